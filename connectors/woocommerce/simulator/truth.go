package simulator

// What really happened in the shop, for whoever compares it with what arrived elsewhere.

import (
	"iter"
	"time"
)

// Order is the truth about one order.
type Order struct {
	ID        int64
	Name      string
	Status    string
	Created   time.Time
	Updated   time.Time
	Cancelled bool
	Lines     []Line
	Refunds   []Refund
	// Amounts in minor units of the shop's currency. Subtotal is without fees.
	Subtotal, Total int64
}

// Line is the truth about one line. Current is without what was put back to the shelf, and
// Fulfilled what of that has left. Total is before discounts, without tax.
type Line struct {
	ID, Variant                            int64
	SKU                                    string
	Quantity, Current, Fulfilled, Refunded int64
	Total                                  int64
}

// Refund is the truth about one refund.
type Refund struct {
	ID    int64
	Total int64
	Units int64
}

// Order returns one order; ok is false when there is none.
func (s *Simulator) Order(id int64) (o Order, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.orders[id]; o != nil {
		return o.truth(), true
	}
	return o, false
}

// Orders iterates over the orders that there were when it began, each as it is when its
// turn comes.
func (s *Simulator) Orders() iter.Seq[Order] {
	s.mu.Lock()
	all := s.inOrder[:len(s.inOrder):len(s.inOrder)]
	s.mu.Unlock()
	return func(yield func(Order) bool) {
		for _, o := range all {
			s.mu.Lock()
			truth := o.truth()
			s.mu.Unlock()
			if !yield(truth) {
				return
			}
		}
	}
}

func (o *order) truth() Order {
	t := Order{
		ID: o.id, Name: o.number, Status: o.status, Created: time.Unix(o.created, 0).UTC(), Updated: time.Unix(o.updated, 0).UTC(),
		Cancelled: o.status == "cancelled" || o.status == "trash" || o.status == "failed", Total: o.total(),
	}
	for _, l := range o.lines {
		v := l.variation
		if v == 0 {
			v = l.product
		}
		tl := Line{ID: l.id, Variant: v, SKU: l.sku, Quantity: l.quantity, Current: l.quantity - l.restocked, Refunded: l.refundedUnits, Total: l.subtotal}
		if o.status == "completed" || o.status == "refunded" && o.completed != 0 {
			tl.Fulfilled = tl.Current
		}
		t.Lines = append(t.Lines, tl)
		t.Subtotal += l.subtotal
	}
	for _, r := range o.refunds {
		sum := Refund{ID: r.id, Total: r.total}
		for _, rl := range r.lines {
			sum.Units += rl.quantity
		}
		t.Refunds = append(t.Refunds, sum)
	}
	return t
}
