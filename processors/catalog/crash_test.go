package catalog

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas/event"
)

// TestCrashAtEveryStep crashes each history once at every step, in batches of several
// sizes: afterwards the stock room knows the same links, and every order was told.
func TestCrashAtEveryStep(t *testing.T) {
	var crowd []*event.CatalogInput
	for i := range 3 * maxWaiting {
		crowd = append(crowd, park(fmt.Sprintf("order-%02d", i), "L", "x"))
	}
	for name, ins := range map[string][]*event.CatalogInput{
		"a link":               {product(1, listing("L", "A"))},
		"a link changed":       {product(1, listing("L", "A")), product(2, listing("L", "B")), mapping("L", "", "C", 2)},
		"gone from its shop":   {product(1, listing("L", "A"), listing("K", "B")), product(2, listing("K", "B")), deleted(3)},
		"many waiting orders":  append(slices.Clone(crowd), product(1, listing("L", "x")), mapping("L", "", "A", 1)),
		"SKU lost and found":   {product(1, listing("L", "A")), park("order-1", "L", "A"), product(2, listing("L", "x")), mapping("", "x", "B", 1)},
		"lost while told":      {park("order-1", "L", "x"), product(1, listing("L", "x")), mapping("L", "", "A", 1), mapping("L", "", "", 1), mapping("", "x", "B", 1)},
		"through another's id": {product(1, listing("L", "x", gtinA)), park("order-1", "L", "x"), productOf("q", 1, listing("K", "A", gtinA)), settings("", "A", &event.ShowPolicy{MaxListed: 3})},
	} {
		t.Run(name, func(t *testing.T) {
			calm := newHouse(t, Config{SKUs: []string{"A", "B"}})
			for _, in := range ins {
				calm.append(in)
			}
			calm.settle(1)
			for _, batch := range []int{1, 2, 3, 7} {
				for _, crash := range []stream.Crash{stream.AfterApply, stream.AfterEmit} {
					for at := 0; ; at++ {
						h := newHouse(t, Config{SKUs: []string{"A", "B"}})
						for _, in := range ins {
							h.append(in)
						}
						if !h.crashAt(at, batch, crash) {
							break
						}
						where := fmt.Sprintf("batches of %d, crash %d at step %d", batch, crash, at)
						if diff := cmp.Diff(calm.sold(), h.sold()); diff != "" {
							t.Fatalf("%s: sold (-want +got):\n%s", where, diff)
						}
						if diff := cmp.Diff(asked(ins), informed(h)); diff != "" {
							t.Fatalf("%s: orders told (-want +got):\n%s", where, diff)
						}
					}
				}
			}
		})
	}
}

// crashAt runs to the end with one crash; false if the run was over before.
func (h *house) crashAt(step, batch int, crash stream.Crash) bool {
	for ; ; step-- {
		h.deliver()
		if h.m.Pending() == 0 {
			return false
		}
		how := stream.NoCrash
		if step == 0 {
			how = crash
		}
		if _, err := h.m.Step(batch, how); err != nil {
			h.t.Fatalf("step: %v", err)
		}
		if step == 0 {
			h.settle(batch)
			return true
		}
	}
}

// asked are the orders that asked; informed those that were told of any SKU.
func asked(ins []*event.CatalogInput) []string {
	orders := []string{}
	for _, in := range ins {
		if p := in.GetPark(); p != nil {
			orders = append(orders, p.OrderId)
		}
	}
	slices.Sort(orders)
	return orders
}

func informed(h *house) []string {
	orders := []string{}
	for k, told := range h.told() {
		if strings.HasPrefix(k, "L=") {
			orders = append(orders, told...)
		}
	}
	slices.Sort(orders)
	return slices.Compact(orders)
}

// TestToldInTheBatchThatTakesTheSKUAway: the answer is lost with the process, and when it is
// repeated there is none any more. The order asks again.
func TestToldInTheBatchThatTakesTheSKUAway(t *testing.T) {
	step := func(h *house, n int, crash stream.Crash) {
		t.Helper()
		if n < 0 || h.m.Pending() < n {
			t.Fatalf("%d records pending, want %d at least", h.m.Pending(), n)
		}
		if _, err := h.m.Step(n, crash); err != nil {
			t.Fatal(err)
		}
	}
	for name, prepare := range map[string]func(h *house){
		"an answer": func(h *house) {
			h.tell(product(1, listing("L", "A")))
			h.append(product(2, listing("L", "x"))) // its note will come after the question
			h.append(park("order-1", "L", "A"))
			step(h, 1, stream.NoCrash)
		},
		"a release": func(h *house) {
			h.tell(product(1, listing("L", "x")), park("order-1", "L", "x"))
			h.append(mapping("L", "", "A", 1))
			for h.listing("L").Resolution == nil {
				h.deliver()
				step(h, 1, stream.NoCrash)
			}
			h.deliver() // a note to release the order; behind it the mapping is taken back
			h.append(mapping("L", "", "", 1))
			h.append(&event.CatalogInput{Input: &event.CatalogInput_Relook{Relook: &event.Relook{Account: "shop", ListingId: "L",
				Entries: slices.Concat(h.room.decisive(h.listing("L")), settled("shop", "A"))}}})
			step(h, h.m.Pending()-3, stream.NoCrash)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, Config{SKUs: []string{"A"}})
			prepare(h)
			h.deliver()
			step(h, h.m.Pending(), stream.AfterApply)
			if got := informed(h); len(got) != 0 || h.listing("L").Resolution != nil {
				t.Fatalf("this test does not test what it says: told %v, listing %v", got, h.listing("L"))
			}
			h.settle(2)
			h.tell(mapping("", "x", "B", 1))
			if diff := cmp.Diff([]string{"order-1"}, informed(h)); diff != "" {
				t.Errorf("orders told (-want +got):\n%s", diff)
			}
		})
	}
}
