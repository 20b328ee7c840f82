package simulator

// What there is to be known of the account, for who compares it with what came of it.

import (
	"iter"
	"time"
)

// Order is the truth about one order.
type Order struct {
	ID        string
	Created   time.Time
	Updated   time.Time
	Paid      bool
	Cancelled bool
	Lines     []Line
	Refunds   []Refund
	Shipments []string // tracking numbers
	// Amounts in minor units of the account's currency.
	Subtotal, Total int64
}

// Line is the truth about one line.
type Line struct {
	ID, Variant                   string
	SKU                           string
	Quantity, Fulfilled, Refunded int64
	Total                         int64
}

// Refund is the truth about one refund.
type Refund struct {
	ID    string
	Total int64
	Units int64
	Done  bool
}

// Order returns one order; ok is false when there is none.
func (s *Simulator) Order(id string) (o Order, ok bool) {
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
	t := Order{ID: o.id, Created: o.created, Updated: o.updated, Paid: o.paid, Cancelled: o.cancelState == "CANCELED", Subtotal: o.subtotal, Total: o.total()}
	for _, l := range o.lines {
		t.Lines = append(t.Lines, Line{l.id, l.sku, l.sku, l.quantity, l.shipped, l.returned, l.cost})
	}
	for _, r := range o.refunds {
		sum := Refund{ID: r.id, Total: r.total, Done: !r.done.IsZero()}
		for _, rl := range r.lines {
			sum.Units += rl.quantity
		}
		t.Refunds = append(t.Refunds, sum)
	}
	for _, p := range o.shipments {
		t.Shipments = append(t.Shipments, p.tracking)
	}
	return t
}
