package stock

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// TestLaterMoveReplaces: a cause's figures are absolute, and only a later version counts.
func TestLaterMoveReplaces(t *testing.T) {
	room, m := newRoom(t)
	feed(m,
		count("S", "adjust/1", 10),
		move("S", "order/1", 3, 0, 4),
		move("S", "order/1", 3, 0, 9), // the same version: repeated
		move("S", "order/1", 2, 0, 7), // an older one, late
		move("S", "order/2", 1, -1, 0),
	)
	drain(t, m, 2)
	got := levelOf(room, m, "S")
	if got.OnHand != 9 || got.Reserved != 4 || got.Available != 5 {
		t.Errorf("got %v, want on hand 9, reserved 4, available 5", got)
	}
	feed(m, move("S", "order/1", 4, -4, 0))
	drain(t, m, 1)
	if got = levelOf(room, m, "S"); got.OnHand != 5 || got.Reserved != 0 || got.Available != 5 {
		t.Errorf("shipped: got %v, want on hand 5, reserved 0", got)
	}
}

// TestAlarms: nothing is ever silently negative, and an alarm ends openly.
func TestAlarms(t *testing.T) {
	over, short, clear := event.AlarmKind_ALARM_KIND_OVERSOLD, event.AlarmKind_ALARM_KIND_SHORT, event.AlarmKind_ALARM_KIND_CLEARED
	room, m := newRoom(t)
	for _, c := range []struct {
		in       *event.StockInput
		alarms   []alarm
		onHand   int64
		oversold int64
		short    int64
	}{
		{count("S", "a", 2), nil, 2, 0, 0},
		{move("S", "o", 1, 0, 2), nil, 2, 0, 0},
		{move("S", "p", 1, 0, 3), []alarm{{"", over, 3}}, 2, 3, 0},
		{count("S", "w", -5), []alarm{{"", over, 5}, {"main", short, 3}}, 0, 5, 3},
		{move("S", "p", 2, 0, 0), []alarm{{"", over, 2}}, 0, 2, 3},
		{count("S", "r", 4), []alarm{{"", over, 1}, {"main", clear, 0}}, 1, 1, 0},
		{move("S", "o", 2, 0, 0), []alarm{{"", clear, 0}}, 1, 0, 0},
		{move("S", "q", 1, 0, 1), nil, 1, 0, 0},
	} {
		feed(m, c.in)
		if diff := cmp.Diff(c.alarms, alarms(drain(t, m, 1))); diff != "" {
			t.Errorf("%s: alarms (-want +got):\n%s", c.in.GetMove().MoveId, diff)
		}
		l := levelOf(room, m, "S")
		if l.OnHand != c.onHand || l.Oversold != c.oversold || l.Short != c.short {
			t.Errorf("%s: got %v, want on hand %d, oversold %d, short %d", c.in.GetMove().MoveId, l, c.onHand, c.oversold, c.short)
		}
	}
}

// TestShortageStaysWhereItIs: one warehouse's shortage does not eat another's goods.
func TestShortageStaysWhereItIs(t *testing.T) {
	room, m := newRoom(t)
	a, b := count("S", "a", -3), count("S", "b", 5)
	a.GetMove().Warehouse, b.GetMove().Warehouse = "north", "south"
	feed(m, a, b)
	drain(t, m, 5)
	if l := levelOf(room, m, "S"); l.OnHand != 5 || l.Short != 3 || l.Available != 5 || len(l.Warehouses) != 2 {
		t.Errorf("got %v, want on hand 5, short 3, available 5 in two warehouses", l)
	}
}

// TestClearedAlarmIsToldAgainAfterACrash: the end of an alarm is not lost with the process.
func TestClearedAlarmIsToldAgainAfterACrash(t *testing.T) {
	_, m := newRoom(t)
	feed(m, count("S", "a", 1), move("S", "o", 1, 0, 3))
	drain(t, m, 2)
	feed(m, move("S", "o", 2, 0, 0))
	_, err := m.Step(1, stream.AfterApply)
	mustNot(t, err)
	want := []alarm{{"", event.AlarmKind_ALARM_KIND_CLEARED, 0}, {"main", event.AlarmKind_ALARM_KIND_CLEARED, 0}}
	if diff := cmp.Diff(want, alarms(drain(t, m, 1))); diff != "" {
		t.Errorf("alarms (-want +got):\n%s", diff)
	}
	feed(m, move("S", "p", 1, 0, 0))
	_, err = m.Step(1, stream.AfterApply)
	mustNot(t, err)
	if got := alarms(drain(t, m, 1)); got != nil {
		t.Errorf("an alarm that was told before: %v", got)
	}
}

// TestMovesOfOneRecord: several SKUs, and one of them twice.
func TestMovesOfOneRecord(t *testing.T) {
	room, m := newRoom(t)
	in := &event.StockInput{Input: &event.StockInput_Moves{Moves: &event.StockMoves{Moves: []*event.StockMove{
		count("S", "a", 4).GetMove(), count("T", "a", 5).GetMove(), move("S", "o", 1, 0, 1).GetMove(),
	}}}}
	feed(m, in)
	if _, err := m.Step(1, stream.AfterApply); err != nil {
		t.Fatal(err)
	}
	out := drain(t, m, 1)
	if s, u := levelOf(room, m, "S"), levelOf(room, m, "T"); s.Available != 3 || u.Available != 5 {
		t.Errorf("got %v and %v", s, u)
	}
	n := 0
	for _, o := range out {
		if o.Topic.Name == schemas.StockLevels.Name || o.Topic.Name == schemas.StockClaims.Name {
			n++
		}
	}
	if n != 5 { // two levels, three claims, each once
		t.Errorf("repeated %d entries, want 5", n)
	}
}

func TestClaimIDs(t *testing.T) {
	for _, c := range []struct{ sku, warehouse, move, want string }{
		{"A", "main", "order/s/1", "A|main|order/s/1"},
		{"A|B", "main", "m", "A%7CB|main|m"},
		{"100%", "a|b", "m|n", "100%25|a%7Cb|m|n"},
		{"%7C", "w", "m", "%257C|w|m"},
	} {
		got := ClaimID(c.sku, c.warehouse, c.move)
		if got != c.want || skuOfClaim(got) != c.sku {
			t.Errorf("got %s of SKU %s, want %s of SKU %s", got, skuOfClaim(got), c.want, c.sku)
		}
	}
	if ClaimID("A|B", "C", "m") == ClaimID("A", "B|C", "m") {
		t.Error("two claims, one id")
	}
}

// TestCopiesAreComplete: a field added to the schema is not forgotten by the copy.
func TestCopiesAreComplete(t *testing.T) {
	l := &event.LinkedListing{}
	fields := l.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch f.Kind() {
		case protoreflect.StringKind:
			l.ProtoReflect().Set(f, protoreflect.ValueOfString("x"+string(f.Name())))
		case protoreflect.BoolKind:
			l.ProtoReflect().Set(f, protoreflect.ValueOfBool(true))
		case protoreflect.Int64Kind:
			l.ProtoReflect().Set(f, protoreflect.ValueOfInt64(int64(i+1)))
		case protoreflect.MessageKind:
			l.ProtoReflect().Mutable(f)
		default:
			t.Fatalf("field %s: teach this test its kind", f.Name())
		}
	}
	if got := copyListing(l); !proto.Equal(got, l) {
		t.Errorf("got %v, want %v", got, l)
	}
}
