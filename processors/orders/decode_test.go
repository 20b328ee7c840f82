package orders

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

func encoded(t fataler, in *event.OrderInput) []byte {
	t.Helper()
	b, err := in.MarshalVTStrict()
	if err != nil {
		t.Fatalf("encoding: %v", err)
	}
	return b
}

// plain is a snapshot as the generated code reads it, nil if it does not.
func plain(value []byte) *event.Order {
	in := new(event.OrderInput)
	if in.UnmarshalVT(value) != nil {
		return nil
	}
	return in.GetSnapshot()
}

// wide is an order with more of everything than has a place in a decoded one.
func wide() *event.OrderInput {
	in := realistic(7)
	o := in.GetSnapshot()
	for range 2 {
		o.Lines = append(o.Lines, realistic(8).GetSnapshot().Lines...)
		o.ShippingLines = append(o.ShippingLines, o.ShippingLines[0])
		o.Taxes = append(o.Taxes, o.Taxes[0], o.Lines[0].Taxes[0])
		o.Discounts = append(o.Discounts, &event.Discount{Code: "TEN", Kind: "percentage", Amount: o.Total})
		o.Refunds = append(o.Refunds, refund("r1", "a", 1, event.Restock_RESTOCK_RETURN))
	}
	o.Lines[2].Taxes = append(o.Lines[2].Taxes, o.Taxes...)
	o.ShippingLines[0].Taxes = append(o.ShippingLines[0].Taxes, o.Taxes...)
	o.Personal.Billing.City = "Leeds"
	o.Personal.Billing.Street = []string{"House", "", "Street", "Quarter"}
	o.CancelledMs, o.Total.Minor, o.UpdatedMs = -1, -1<<63, 1<<62
	o.Reference = string(make([]byte, 1000))
	return in
}

// TestDecodeKnowsAllOfASnapshot: a field added to the schema is not forgotten by decode.
func TestDecodeKnowsAllOfASnapshot(t *testing.T) {
	full := new(event.OrderInput)
	fill(full.ProtoReflect(), 6)
	o := new(event.Order)
	fill(o.ProtoReflect(), 6)
	full.Input = &event.OrderInput_Snapshot{Snapshot: o}
	for name, in := range map[string]*event.OrderInput{
		"every field": full, "usual": realistic(1), "wide": wide(), "nothing in it": snapshot(new(event.Order)),
	} {
		value := encoded(t, in)
		got := decode(value)
		if got == nil {
			t.Errorf("%s: not decoded", name)
			continue
		}
		want := plain(value)
		clear(value) // the record's buffer is used again
		if !proto.Equal(&got.order, want) {
			t.Errorf("%s: got %v, want %v", name, &got.order, want)
		}
	}
}

// TestDecodeLeavesWhatItDoesNotKnow to the generated code.
func TestDecodeLeavesWhatItDoesNotKnow(t *testing.T) {
	// field appends a field of bytes.
	field := func(to []byte, number byte, value ...byte) []byte {
		return append(append(to, number<<3|2, byte(len(value))), value...)
	}
	money := []byte{1 << 3, 5}
	for name, value := range map[string][]byte{
		"nothing":                   nil,
		"only an event id":          field(nil, 15, 1, 2, 3),
		"a refund":                  encoded(t, refunded(refund("r", "a", 1, event.Restock_RESTOCK_RETURN))),
		"two snapshots":             slices.Concat(encoded(t, realistic(1)), encoded(t, realistic(2))),
		"a field of later":          field(field(nil, 1), 9),
		"a field of later in it":    field(nil, 1, 34<<3&0x7f|0x80|2, 34>>4, 0),
		"a total twice":             field(nil, 1, field(field(nil, 11, 'X'), 12, append(money, field(nil, 12, money...)...)...)...),
		"a presentment total twice": field(nil, 1, field(field(nil, 12, money...), 12, money...)...),
		"a group":                   field(nil, 1, 3<<3|3),
		"a name that is a number":   field(nil, 1, 4<<3, 1),
		"a text past the end":       field(nil, 1, 4<<3|2, 5, 'x'),
		"a message past the end":    {1<<3 | 2, 5, 1<<3 | 2},
		"a line past its order":     append(field(nil, 1, 13<<3|2, 4), 1<<3|2, 2, 'x', 'x'),
		"a number without end":      field(nil, 1, slices.Concat([]byte{5 << 3}, slices.Repeat([]byte{0xff}, 11))...),
		"a number that is cut off":  field(nil, 1, 5<<3, 0xff),
	} {
		if got := decode(value); got != nil {
			t.Errorf("%s: decoded %v", name, &got.order)
		}
	}
}

// TestDecodeAgreesWithTheGenerated code wherever it has a word, however the bytes are damaged.
func TestDecodeAgreesWithTheGenerated(t *testing.T) {
	usual, most := encoded(t, realistic(1)), encoded(t, wide())
	for n := range most {
		agree(t, most[:n])
	}
	rapid.Check(t, func(t *rapid.T) {
		value := slices.Clone(rapid.SampledFrom([][]byte{usual, most}).Draw(t, "order"))
		for range rapid.IntRange(0, 4).Draw(t, "damages") {
			at := rapid.IntRange(0, len(value)-1).Draw(t, "at")
			switch rapid.IntRange(0, 2).Draw(t, "damage") {
			case 0:
				value[at] = rapid.Byte().Draw(t, "byte")
			case 1:
				value = slices.Delete(value, at, at+1)
			default:
				value = slices.Insert(value, at, rapid.Byte().Draw(t, "byte"))
			}
		}
		agree(t, value)
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(encoded(f, realistic(1)))
	f.Add(encoded(f, wide()))
	f.Add(encoded(f, resolved("L", "S", 1, 1)))
	f.Fuzz(func(t *testing.T, value []byte) { agree(t, value) })
}

func agree(t fataler, value []byte) {
	t.Helper()
	got := decode(value)
	if got == nil {
		return
	}
	if want := plain(value); want == nil || !proto.Equal(&got.order, want) {
		t.Fatalf("%x: got %v, want %v", value, &got.order, want)
	}
}

// again is a room that handles the first snapshot it was given in place of any other.
type again struct {
	*Room
	kept *stream.Input
}

func (a again) Apply(tx *stream.Tx, r *stream.Record, in stream.Input) error {
	if in.Value.(*prepared).snapshot != nil {
		if a.kept.Value == nil {
			*a.kept = in
		}
		in = *a.kept
	}
	return a.Room.Apply(tx, r, in)
}

// TestAppliedAgainOnAnotherState: an input that has become an order of one state brings nothing
// of it to another, and that order stays as it is.
func TestAppliedAgainOnAnotherState(t *testing.T) {
	room, _ := newRoom(t)
	kept := new(stream.Input)
	sr, err := stream.NewRoom(again{room, kept}, "test")
	if err != nil {
		t.Fatal(err)
	}
	created := snapshot(order(1000, nil, line("a", "L", 2, 0, nil)))
	told, untold := stream.NewMemory(sr, schemas.OrdersIn), stream.NewMemory(sr, schemas.OrdersIn)
	feed(told, resolved("L", "MUG", 6, 3), refunded(refund("r", "a", 1, event.Restock_RESTOCK_CANCEL)), created)
	drain(t, told, 1)
	first := kept.Value.(*prepared).snapshot
	want := first.CloneVT()
	if want.Parked || len(want.Refunds) != 1 {
		t.Fatalf("order: %v", want)
	}
	feed(untold, created)
	drain(t, untold, 1)
	if got := state(room, untold); !got.Parked || len(got.Refunds) != 0 || got.Lines[0].Resolution != nil || got.Version.Number != 0 {
		t.Errorf("it was told nothing, and knows %v", got)
	}
	if !first.EqualVT(want) {
		t.Errorf("the other state's order changed to %v, was %v", first, want)
	}
}
