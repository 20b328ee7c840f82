package stock

import (
	"testing"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// fataler is what testing.T and rapid.T have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func newRoom(t fataler) (*Room, *stream.Memory) {
	t.Helper()
	r, err := New(Config{})
	if err != nil {
		t.Fatalf("new: %v", err)
	}
	sr, err := stream.NewRoom(r, "test")
	if err != nil {
		t.Fatalf("new room: %v", err)
	}
	return r, stream.NewMemory(sr, schemas.StockIn)
}

func move(sku, id string, version, onHand, reserved int64) *event.StockInput {
	return &event.StockInput{Input: &event.StockInput_Move{Move: &event.StockMove{
		Sku: sku, MoveId: id, CauseVersion: &event.Version{Number: version}, OnHand: onHand, Reserved: reserved,
		Kind: event.MoveKind_MOVE_KIND_ORDER,
	}}}
}

func count(sku, id string, onHand int64) *event.StockInput {
	in := move(sku, id, 1, onHand, 0)
	in.GetMove().Kind = event.MoveKind_MOVE_KIND_OPENING
	return in
}

func link(sku, listing string, multiplier, version int64, p *event.ShowPolicy) *event.StockInput {
	return &event.StockInput{Input: &event.StockInput_Link{Link: &event.ListingLink{
		Sku: sku, Connector: "shopify", Account: "shop", ListingId: listing, StockId: "i" + listing,
		Multiplier: multiplier, Policy: p, Version: &event.Version{Number: version},
	}}}
}

func unlink(sku, listing string, version int64) *event.StockInput {
	return &event.StockInput{Input: &event.StockInput_Link{Link: &event.ListingLink{
		Sku: sku, Account: "shop", ListingId: listing, Unlinked: true, Version: &event.Version{Number: version},
	}}}
}

func outcome(sku, listing string, quantity int64, v *event.Version, o event.Outcome) *event.StockInput {
	return &event.StockInput{Input: &event.StockInput_Outcome{Outcome: &event.PushOutcome{
		Sku: sku, Account: "shop", ListingId: listing, Quantity: quantity, TargetVersion: v, Outcome: o,
	}}}
}

func feed(m *stream.Memory, ins ...*event.StockInput) {
	for _, in := range ins {
		m.AppendMessage("", in, 1_700_000_000_000)
	}
}

func drain(t fataler, m *stream.Memory, n int) []stream.Output {
	t.Helper()
	out, err := m.Drain(n)
	if err != nil {
		t.Fatalf("drain: %v", err)
	}
	for _, o := range out {
		if o.Topic.Name == schemas.DeadLetters("stock").Name {
			t.Fatalf("dead letter: %s", o.Headers)
		}
	}
	return out
}

func levelOf(r *Room, m *stream.Memory, sku string) *event.StockLevel {
	l, _ := m.Entry(stream.Key{Table: r.levels, ID: sku}).(*event.StockLevel)
	return l
}

// targets are the outputs on push.targets.
func targets(outputs []stream.Output) []*event.PushTarget {
	var ts []*event.PushTarget
	for _, o := range outputs {
		if o.Topic.Name == schemas.PushTargets.Name {
			ts = append(ts, o.Value.(*event.PushTarget))
		}
	}
	return ts
}

// shows is the newest target of each listing, as the push sink would carry it out.
func shows(outputs []stream.Output) map[string]*event.PushTarget {
	newest := make(map[string]*event.PushTarget)
	for _, t := range targets(outputs) {
		if last := newest[t.ListingId]; last == nil || !stream.VersionOf(t.Version).Before(stream.VersionOf(last.Version)) {
			newest[t.ListingId] = t
		}
	}
	return newest
}

type alarm struct {
	Warehouse string
	Kind      event.AlarmKind
	Units     int64
}

func alarms(outputs []stream.Output) []alarm {
	var as []alarm
	for _, o := range outputs {
		if o.Topic.Name == schemas.StockAlarms.Name {
			a := o.Value.(*event.StockAlarm)
			as = append(as, alarm{a.Warehouse, a.Kind, a.Units})
		}
	}
	return as
}

func quantities(outputs []stream.Output) map[string]int64 {
	got := make(map[string]int64)
	for id, t := range shows(outputs) {
		if !t.Withdrawn {
			got[id] = t.Quantity
		}
	}
	return got
}

func mustNot(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
