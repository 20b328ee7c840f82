package orders

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
	r, err := New(Config{Warehouse: "main"})
	if err != nil {
		t.Fatalf("new: %v", err)
	}
	sr, err := stream.NewRoom(r, "test")
	if err != nil {
		t.Fatalf("new room: %v", err)
	}
	return r, stream.NewMemory(sr, schemas.OrdersIn)
}

func snapshot(o *event.Order) *event.OrderInput {
	return &event.OrderInput{Input: &event.OrderInput_Snapshot{Snapshot: o}}
}

func refunded(r *event.Refund) *event.OrderInput {
	return &event.OrderInput{Input: &event.OrderInput_Refund{Refund: r}}
}

func resolved(listing, sku string, multiplier, version int64) *event.OrderInput {
	return &event.OrderInput{Input: &event.OrderInput_LineResolved{LineResolved: &event.LineResolved{
		Account: "shop", OrderId: "1", ListingId: listing, Resolution: resolution(sku, multiplier, version),
	}}}
}

func forget(atMs int64) *event.OrderInput {
	return &event.OrderInput{Input: &event.OrderInput_Forget{Forget: &event.Forget{Account: "shop", OrderId: "1", AtMs: atMs, RequestId: "q"}}}
}

func resolution(sku string, multiplier, version int64) *event.Resolution {
	return &event.Resolution{Sku: sku, Multiplier: multiplier, MappingVersion: version, Rule: event.MatchRule_MATCH_RULE_EXPLICIT}
}

func line(id, listing string, quantity, fulfilled int64, r *event.Resolution) *event.OrderLine {
	return &event.OrderLine{Id: id, ListingId: listing, PlatformSku: "P-" + listing, Quantity: quantity, Fulfilled: fulfilled, Stocked: true, Resolution: r}
}

func order(updatedMs int64, change func(*event.Order), lines ...*event.OrderLine) *event.Order {
	o := &event.Order{
		Connector: "shopify", Account: "shop", Id: "1", UpdatedMs: updatedMs, CreatedMs: 1000,
		Status: event.OrderStatus_ORDER_STATUS_OPEN, Lines: lines,
		Total: &event.Money{Minor: 1200, Currency: "GBP"},
	}
	if change != nil {
		change(o)
	}
	return o
}

func refund(id, lineID string, quantity int64, restock event.Restock) *event.Refund {
	return &event.Refund{
		Connector: "shopify", Account: "shop", OrderId: "1", Id: id, CreatedMs: 1500,
		Total: &event.Money{Minor: 100, Currency: "GBP"},
		Lines: []*event.RefundLine{{OrderLineId: lineID, Quantity: quantity, Restock: restock}},
	}
}

func feed(m *stream.Memory, ins ...*event.OrderInput) {
	for i, in := range ins {
		m.AppendMessage("shop/1", in, int64(1_700_000_000_000+i))
	}
}

func drain(t fataler, m *stream.Memory, n int) []stream.Output {
	t.Helper()
	out, err := m.Drain(n)
	if err != nil {
		t.Fatalf("drain: %v", err)
	}
	for _, o := range out {
		if o.Topic.Name == schemas.DeadLetters("orders").Name {
			t.Fatalf("dead letter: %s", o.Headers)
		}
	}
	return out
}

func state(r *Room, m *stream.Memory) *event.Order {
	o, _ := m.Entry(stream.Key{Table: r.table, ID: "shop/1"}).(*event.Order)
	return o
}

// content is a state without what depends on the order of arrival.
func content(o *event.Order) *event.Order {
	if o == nil {
		return nil
	}
	c := o.CloneVT()
	c.Version, c.Origin = nil, nil
	for _, r := range c.Refunds {
		r.Origin = nil
	}
	return c
}

// figures is what the newest move of each SKU says, as the stock room would take it.
func figures(outputs []stream.Output) map[string][2]int64 {
	newest := make(map[string]stream.Version)
	got := make(map[string][2]int64)
	for _, o := range outputs {
		if o.Topic.Name != schemas.StockIn.Name {
			continue
		}
		m := o.Value.(*event.StockInput).GetMove()
		v := stream.VersionOf(m.CauseVersion)
		if last, ok := newest[m.Sku]; ok && !last.Before(v) {
			continue
		}
		newest[m.Sku] = v
		got[m.Sku] = [2]int64{m.OnHand, m.Reserved}
	}
	return got
}

// values is the newest amount of each valuable, in minor units.
func values(outputs []stream.Output) map[string]int64 {
	got := make(map[string]int64)
	for _, o := range outputs {
		if o.Topic.Name == schemas.FxIn.Name {
			v := o.Value.(*event.FxInput).GetValuable()
			got[v.Subject] = v.Amount.Minor
		}
	}
	return got
}

func nonZero(f map[string][2]int64) map[string][2]int64 {
	got := make(map[string][2]int64)
	for sku, v := range f {
		if v != [2]int64{} {
			got[sku] = v
		}
	}
	return got
}

func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var all [][]int
	for _, p := range permutations(n - 1) {
		for at := 0; at <= len(p); at++ {
			q := append(append(append([]int{}, p[:at]...), n-1), p[at:]...)
			all = append(all, q)
		}
	}
	return all
}

func TestPermutationsAreAll(t *testing.T) {
	seen := make(map[[6]int]bool)
	for _, p := range permutations(6) {
		seen[[6]int(p)] = true
	}
	if len(seen) != 720 {
		t.Fatalf("got %d permutations, want 720", len(seen))
	}
}
