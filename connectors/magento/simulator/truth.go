package simulator

// What a test or a player compares with: the state of orders as the shop knows it.

import (
	"iter"
	"time"
)

// Order is the truth about one order.
type Order struct {
	ID        int64
	Name      string
	Created   time.Time
	Updated   time.Time
	State     string
	Cancelled bool
	Lines     []Line
	Refunds   []Refund
	// Shipments counts them; Tracks are their numbers.
	Shipments int
	Tracks    []string
	// Amounts in the smallest unit of the base currency.
	Subtotal, Total int64
}

// Line is the truth about one line: a row that is not the child of another, with the simple
// product that it means. Current is without what was cancelled or refunded.
type Line struct {
	ID, Variant                            int64
	SKU                                    string
	Quantity, Current, Fulfilled, Refunded int64
	Total                                  int64
}

// Refund is the truth about one credit memo.
type Refund struct {
	ID    int64
	Total int64
	Units int64
}

// Order returns one order; ok is false when there is none.
func (s *Simulator) Order(id int64) (o Order, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.orderBy[id]; o != nil {
		return s.truth(o), true
	}
	return o, false
}

// Orders iterates over the orders that there were when it began, each as it is when its turn
// comes.
func (s *Simulator) Orders() iter.Seq[Order] {
	s.mu.Lock()
	all := s.orders[:len(s.orders):len(s.orders)]
	s.mu.Unlock()
	return func(yield func(Order) bool) {
		for _, o := range all {
			s.mu.Lock()
			truth := s.truth(o)
			s.mu.Unlock()
			if !yield(truth) {
				return
			}
		}
	}
}

func (s *Simulator) truth(o *order) Order {
	t := Order{
		ID: o.id, Name: o.name, Created: time.Unix(o.created, 0).UTC(), Updated: time.Unix(o.updated, 0).UTC(),
		State: o.state, Cancelled: o.state == "canceled", Subtotal: o.subtotal, Total: o.total(),
	}
	for _, it := range o.items {
		if it.parent != nil && it.parent.kind == "configurable" {
			continue
		}
		l := Line{it.id, it.product.id, it.sku, it.ordered, max(0, it.ordered-it.cancelled-it.refunded), it.shipped, it.refunded, it.row}
		for _, c := range o.items {
			if c.parent == it && it.kind == "configurable" {
				l.Variant = c.product.id
			}
		}
		t.Lines = append(t.Lines, l)
	}
	for _, m := range s.memos {
		if m.order == o {
			sum := Refund{ID: m.id, Total: m.total}
			for _, l := range m.lines {
				sum.Units += l.quantity
			}
			t.Refunds = append(t.Refunds, sum)
		}
	}
	for _, sh := range s.shipped {
		if sh.order == o {
			t.Shipments++
			for _, tr := range sh.tracks {
				t.Tracks = append(t.Tracks, tr.Number)
			}
		}
	}
	return t
}
