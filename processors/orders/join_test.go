package orders

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// TestAllOrdersOfArrivalConverge: whatever overtakes whatever, the order and the stock end
// the same.
func TestAllOrdersOfArrivalConverge(t *testing.T) {
	r := resolution("MUG", 6, 4)
	paid := func(o *event.Order) { o.PaymentStatus = event.PaymentStatus_PAYMENT_STATUS_PAID }
	ins := []*event.OrderInput{
		snapshot(order(1000, nil, line("a", "L", 5, 0, nil), line("b", "M", 1, 0, nil))), // created
		snapshot(order(2000, paid, line("a", "L", 5, 0, r), line("b", "M", 1, 0, nil))),  // paid
		snapshot(order(3000, paid, line("a", "L", 5, 2, r), line("b", "M", 1, 0, nil))),  // shipped
		snapshot(order(4000, func(o *event.Order) { paid(o); o.Total.Minor = 900 }, // updated: line b is gone
			line("a", "L", 5, 2, resolution("CUP", 1, 9)))),
		snapshot(order(4000, func(o *event.Order) { // cancelled in the same second
			paid(o)
			o.Total.Minor, o.CancelledMs, o.Status = 900, 4000, event.OrderStatus_ORDER_STATUS_CANCELLED
		}, line("a", "L", 5, 2, nil))),
		refunded(refund("r1", "a", 1, event.Restock_RESTOCK_RETURN)),
	}
	// MUG by the oldest mapping: two shipped, one came back, the rest not reserved any more.
	wantFigures := map[string][2]int64{"MUG": {-6, 0}}
	wantValues := map[string]int64{"order/shop/1": 900, "refund/shop/r1": 100}
	var want *event.Order
	for n, p := range permutations(len(ins)) {
		room, m := newRoom(t)
		for _, i := range p {
			feed(m, ins[i])
		}
		outputs := drain(t, m, 1+n%4)
		got := content(state(room, m))
		if want == nil {
			want = got
			if got.Status != event.OrderStatus_ORDER_STATUS_CANCELLED || len(got.Lines) != 1 || len(got.Refunds) != 1 || got.Parked {
				t.Fatalf("order: %v", got)
			}
		}
		if !got.EqualVT(want) {
			t.Fatalf("order of arrival %v: got %v, want %v", p, got, want)
		}
		if diff := cmp.Diff(wantFigures, nonZero(figures(outputs))); diff != "" {
			t.Fatalf("order of arrival %v: stock (-want +got):\n%s", p, diff)
		}
		if diff := cmp.Diff(wantValues, values(outputs)); diff != "" {
			t.Fatalf("order of arrival %v: amounts (-want +got):\n%s", p, diff)
		}
	}
}

// TestCancellationReturnsStockOnce: three times, and once before the order was heard of.
func TestCancellationReturnsStockOnce(t *testing.T) {
	r := resolution("MUG", 1, 1)
	created := snapshot(order(1000, nil, line("a", "L", 3, 0, r)))
	cancelled := snapshot(order(2000, func(o *event.Order) { o.CancelledMs = 2000 }, line("a", "L", 3, 0, r)))
	for name, ins := range map[string][]*event.OrderInput{
		"three times":         {created, cancelled, cancelled, cancelled},
		"before its creation": {cancelled, created, cancelled},
	} {
		t.Run(name, func(t *testing.T) {
			_, m := newRoom(t)
			feed(m, ins...)
			var moves [][2]int64
			for _, o := range drain(t, m, 1) {
				if o.Topic.Name == schemas.StockIn.Name {
					mv := o.Value.(*event.StockInput).GetMove()
					moves = append(moves, [2]int64{mv.OnHand, mv.Reserved})
				}
			}
			want := [][2]int64{{0, 3}, {0, 0}}
			if name == "before its creation" {
				want = [][2]int64{{0, 0}} // nothing was ever reserved, and that is told once
			}
			if diff := cmp.Diff(want, moves); diff != "" {
				t.Errorf("moves (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnchangedEmitsNothing(t *testing.T) {
	for name, in := range map[string]*event.OrderInput{
		"snapshot":        snapshot(order(2000, nil, line("a", "L", 3, 0, resolution("MUG", 1, 1)))),
		"older snapshot":  snapshot(order(1000, nil)),
		"younger mapping": resolved("L", "MUG", 1, 7),
		"refund":          refunded(refund("r1", "a", 1, event.Restock_RESTOCK_NONE)),
		"origin only": snapshot(order(2000, func(o *event.Order) { o.Origin = &event.Origin{Offset: 9} },
			line("a", "L", 3, 0, resolution("MUG", 1, 1)))),
	} {
		t.Run(name, func(t *testing.T) {
			room, m := newRoom(t)
			feed(m,
				snapshot(order(2000, nil, line("a", "L", 3, 0, resolution("MUG", 1, 1)))),
				refunded(refund("r1", "a", 1, event.Restock_RESTOCK_NONE)))
			drain(t, m, 10)
			before := state(room, m)
			feed(m, in)
			if out := drain(t, m, 10); len(out) != 0 {
				t.Errorf("emitted %v", out)
			}
			if got := state(room, m); !got.EqualVT(before) {
				t.Errorf("got %v, want %v", got, before)
			}
		})
	}
}

func TestClaims(t *testing.T) {
	mug, six := resolution("MUG", 1, 1), resolution("MUG", 6, 1)
	cancelled := func(o *event.Order) { o.CancelledMs = 5 }
	with := func(change func(*event.Order), refunds ...*event.Refund) func(*event.Order) {
		return func(o *event.Order) {
			o.Refunds = refunds
			if change != nil {
				change(o)
			}
		}
	}
	removed := line("a", "L", 5, 1, mug)
	removed.Removed = 2
	unstocked := line("a", "L", 5, 1, mug)
	unstocked.Stocked = false
	for _, c := range []struct {
		name             string
		order            *event.Order
		onHand, reserved int64
	}{
		{"open", order(1, nil, line("a", "L", 5, 0, mug)), 0, 5},
		{"on hold", order(1, func(o *event.Order) { o.Status = event.OrderStatus_ORDER_STATUS_ON_HOLD }, line("a", "L", 5, 0, mug)), 0, 5},
		{"six-pack", order(1, nil, line("a", "L", 5, 1, six)), -6, 24},
		{"two lines of one SKU", order(1, nil, line("a", "L", 2, 1, mug), line("b", "M", 3, 0, six)), -1, 19},
		{"removed", order(1, nil, removed), -1, 2},
		{"cancelled", order(1, cancelled, line("a", "L", 5, 2, mug)), -2, 0},
		{"cancelled by status", order(1, func(o *event.Order) { o.Status = event.OrderStatus_ORDER_STATUS_CANCELLED }, line("a", "L", 5, 2, mug)), -2, 0},
		{"test", order(1, func(o *event.Order) { o.Test = true }, line("a", "L", 5, 2, mug)), 0, 0},
		{"not stocked", order(1, nil, unstocked), 0, 0},
		{"units cancelled", order(1, with(nil, refund("r", "a", 2, event.Restock_RESTOCK_CANCEL)), line("a", "L", 5, 1, mug)), -1, 2},
		{"units returned", order(1, with(nil, refund("r", "a", 2, event.Restock_RESTOCK_RETURN)), line("a", "L", 5, 5, mug)), -3, 0},
		{"units refunded only", order(1, with(nil, refund("r", "a", 2, event.Restock_RESTOCK_NONE)), line("a", "L", 5, 5, mug)), -5, 0},
		{"returned before the shipment is known", order(1, with(nil, refund("r", "a", 2, event.Restock_RESTOCK_RETURN)), line("a", "L", 5, 0, mug)), 0, 3},
		{"returned, cancelled, never shipped", order(1, with(cancelled, refund("r", "a", 5, event.Restock_RESTOCK_RETURN)), line("a", "L", 5, 0, mug)), 0, 0},
		{"more returned than sold", order(1, with(nil, refund("r", "a", 9, event.Restock_RESTOCK_RETURN)), line("a", "L", 5, 5, mug)), 0, 0},
		{"more cancelled than sold", order(1, with(nil, refund("r", "a", 9, event.Restock_RESTOCK_CANCEL)), line("a", "L", 5, 0, mug)), 0, 0},
		{"another line's refund", order(1, with(nil, refund("r", "z", 2, event.Restock_RESTOCK_CANCEL)), line("a", "L", 5, 0, mug)), 0, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := claimsOf(c.order, nil)
			if len(got) != 1 || got[0] != (claim{"MUG", c.onHand, c.reserved}) {
				t.Errorf("got %+v, want on hand %d, reserved %d", got, c.onHand, c.reserved)
			}
		})
	}
}

// TestParkedUntilResolved: an order waits for its SKU, wherever the answer overtakes it.
func TestParkedUntilResolved(t *testing.T) {
	unknown := snapshot(order(1000, nil, line("a", "L", 2, 0, nil)))
	answer := resolved("L", "MUG", 6, 3)
	for name, ins := range map[string][]*event.OrderInput{"question first": {unknown, answer}, "answer first": {answer, unknown}} {
		t.Run(name, func(t *testing.T) {
			room, m := newRoom(t)
			feed(m, ins[0])
			first := figures(drain(t, m, 1))
			if name == "question first" && (!state(room, m).Parked || len(first) != 0) {
				t.Errorf("parked %v, moves %v; want parked and none", state(room, m).Parked, first)
			}
			feed(m, ins[1])
			got := figures(drain(t, m, 1))
			if diff := cmp.Diff(map[string][2]int64{"MUG": {0, 12}}, got); diff != "" || state(room, m).Parked {
				t.Errorf("parked %v, moves (-want +got):\n%s", state(room, m).Parked, diff)
			}
		})
	}
}

// TestGivenUpSKUIsZeroedAgainAfterACrash: the move of nothing is not lost with the process.
func TestGivenUpSKUIsZeroedAgainAfterACrash(t *testing.T) {
	_, m := newRoom(t)
	feed(m, snapshot(order(1000, nil, line("a", "L", 2, 0, resolution("MUG", 1, 9)))))
	before := drain(t, m, 1)
	feed(m, snapshot(order(2000, nil, line("b", "M", 1, 0, resolution("CUP", 1, 9)))), resolved("M", "JUG", 1, 2))
	if _, err := m.Step(2, stream.AfterApply); err != nil {
		t.Fatal(err)
	}
	got := figures(append(before, drain(t, m, 2)...))
	want := map[string][2]int64{"MUG": {0, 0}, "CUP": {0, 0}, "JUG": {0, 1}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("moves (-want +got):\n%s", diff)
	}
}

// TestCopiesAreComplete: a field added to the schema is not forgotten by the copies.
func TestCopiesAreComplete(t *testing.T) {
	o := new(event.Order)
	fill(o.ProtoReflect(), 2)
	if got := shallow(o); !got.EqualVT(o) || !proto.Equal(got, o) {
		t.Errorf("shallow: got %v, want %v", got, o)
	}
	l := new(event.OrderLine)
	fill(l.ProtoReflect(), 2)
	if got := withResolution(l, l.Resolution); !proto.Equal(got, l) {
		t.Errorf("withResolution: got %v, want %v", got, l)
	}
	r := new(event.Refund)
	fill(r.ProtoReflect(), 2)
	r.Note = ""
	if got := namelessRefund(r); !proto.Equal(got, r) {
		t.Errorf("namelessRefund: got %v, want %v", got, r)
	}
	r.Connector, r.Account, r.Origin = "", "", nil
	var back event.Refund
	if err := back.UnmarshalVT(refundBytes(r)); err != nil || !proto.Equal(&back, r) {
		t.Errorf("refundBytes: got %v (%v), want %v", &back, err, r)
	}
}

// fill sets every field of a message to something.
func fill(m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.Message() != nil && depth == 0 {
			continue
		}
		value := func() protoreflect.Value {
			switch f.Kind() {
			case protoreflect.BoolKind:
				return protoreflect.ValueOfBool(true)
			case protoreflect.StringKind:
				return protoreflect.ValueOfString("x" + string(f.Name()))
			case protoreflect.BytesKind:
				return protoreflect.ValueOfBytes([]byte(f.Name()))
			case protoreflect.EnumKind:
				return protoreflect.ValueOfEnum(1)
			case protoreflect.Int32Kind:
				return protoreflect.ValueOfInt32(int32(f.Number()))
			case protoreflect.MessageKind:
				n := m.NewField(f)
				if f.IsList() {
					n = n.List().NewElement()
				}
				fill(n.Message(), depth-1)
				return n
			default:
				return protoreflect.ValueOfInt64(int64(f.Number()))
			}
		}
		if f.IsList() {
			m.Mutable(f).List().Append(value())
		} else {
			m.Set(f, value())
		}
	}
}

// TestNothingClaimedIsToldOnce: an order that is first heard of together with the refund of all
// of it claims nothing, and says so. The platform has counted the sale down by itself: whoever
// decides what its listing shows has to hear of it. Told once, it is not told again.
func TestNothingClaimedIsToldOnce(t *testing.T) {
	_, m := newRoom(t)
	whole := order(2000, func(o *event.Order) {
		o.Refunds = []*event.Refund{refund("r1", "1", 3, event.Restock_RESTOCK_CANCEL)}
	}, line("1", "L", 3, 0, resolution("MUG", 1, 1)))
	feed(m, snapshot(whole))
	if diff := cmp.Diff(map[string][2]int64{"MUG": {0, 0}}, figures(drain(t, m, 1))); diff != "" {
		t.Errorf("moves (-want +got):\n%s", diff)
	}
	later := whole.CloneVT()
	later.UpdatedMs, later.Name = 3000, "named"
	feed(m, snapshot(later))
	if got := figures(drain(t, m, 1)); len(got) > 0 {
		t.Errorf("it is told again: %v", got)
	}
}
