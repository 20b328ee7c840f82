package orders

import (
	"fmt"
	"runtime"
	"testing"
	"weak"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// remembering is a room that watches the orders it puts.
type remembering struct {
	*Room
	orders []weak.Pointer[event.Order]
}

func (r *remembering) Apply(tx *stream.Tx, rec *stream.Record, in stream.Input) error {
	err := r.Room.Apply(tx, rec, in)
	if o, _ := tx.Get(in.Keys[0]).(*event.Order); o != nil {
		r.orders = append(r.orders, weak.Make(o))
	}
	return err
}

// TestOldOrdersAreForgotten: an order shares refunds and resolutions with those before it, and
// keeps none of them from being collected.
func TestOldOrdersAreForgotten(t *testing.T) {
	room, _ := newRoom(t)
	watched := &remembering{Room: room}
	sr, err := stream.NewRoom(watched, "test")
	if err != nil {
		t.Fatal(err)
	}
	m := stream.NewMemory(sr, schemas.OrdersIn)
	const snapshots = 300
	for i := range snapshots {
		// The SKU of line a is told again and again, that of b only at first and of c in between.
		lines := []*event.OrderLine{line("a", "L", 2, 0, resolution("MUG", 1, 1)), line("b", "M", int64(i), 0, nil)}
		if i == 0 {
			lines[1].Resolution = resolution("CUP", 1, 1)
		}
		if i%3 == 0 {
			lines = append(lines, line("c", "N", 1, 0, resolution("JUG", 1, 2)))
		}
		o := order(int64(1000+i), nil, lines...)
		if i%50 == 0 {
			o.Refunds = []*event.Refund{refund(fmt.Sprint("r", i), "a", 1, event.Restock_RESTOCK_NONE)}
		}
		feed(m, snapshot(o))
	}
	for m.Pending() > 0 {
		if _, err := m.Step(1, stream.NoCrash); err != nil {
			t.Fatal(err)
		}
		m.Emitted = nil
	}
	runtime.GC()
	alive := 0
	for _, o := range watched.orders {
		if o.Value() != nil {
			alive++
		}
	}
	// The newest, and what the loop's reused memory still names.
	if len(watched.orders) != snapshots || alive > 20 {
		t.Errorf("of %d orders %d are still there", len(watched.orders), alive)
	}
	if got := state(room, m); len(got.Refunds) != snapshots/50 || got.Lines[1].Resolution.GetSku() != "CUP" || len(got.Known) != 1 {
		t.Errorf("order %v: want all refunds, and what was told of its lines", got)
	}
}
