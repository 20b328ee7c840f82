package simulator

import (
	"iter"
	"time"
)

// What the shop knows, for tests to compare with.

// Order is the truth about one order.
type Order struct {
	ID        int64
	Name      string
	Created   time.Time
	Updated   time.Time
	Cancelled bool
	// CancelReason and StaffNote are what the cancellation says.
	CancelReason, StaffNote string
	Lines                   []Line
	Refunds                 []Refund
	Fulfilments             []Fulfilment
	Payments                []Payment
	// Amounts in minor units of the shop's currency.
	Subtotal, Total int64
}

// Line is the truth about one line. Current is without what was removed or refunded.
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
	Note  string
}

// Fulfilment is the truth about one parcel.
type Fulfilment struct {
	ID                     int64
	Company, Tracking, URL string
	Notified               bool
	Lines                  []FulfilLineSpec
}

// Payment is the truth about one transaction: SALE, or REFUND of the payment Parent.
type Payment struct {
	ID            int64
	Kind, Gateway string
	Minor, Parent int64
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
		ID: o.id, Name: o.name, Created: time.Unix(o.created, 0).UTC(), Updated: time.Unix(o.updated, 0).UTC(),
		Cancelled: o.cancelled != 0, CancelReason: o.cancelReason, StaffNote: o.staffNote, Subtotal: o.subtotal, Total: o.total(),
	}
	for _, l := range o.lines {
		var v int64
		if l.variant != nil {
			v = l.variant.id
		}
		t.Lines = append(t.Lines, Line{l.id, v, l.sku, l.quantity, l.current, l.fulfilled, l.refunded, l.total})
	}
	for _, r := range o.refunds {
		sum := Refund{ID: r.id, Total: r.total, Note: r.note}
		for _, rl := range r.lines {
			sum.Units += rl.quantity
		}
		t.Refunds = append(t.Refunds, sum)
	}
	for _, f := range o.fulfilments {
		p := Fulfilment{ID: f.id, Company: f.company, Tracking: f.number, URL: f.url, Notified: f.notified}
		for _, fl := range f.lines {
			p.Lines = append(p.Lines, FulfilLineSpec{fl.line.id, fl.quantity})
		}
		t.Fulfilments = append(t.Fulfilments, p)
	}
	for _, tr := range o.payments {
		p := Payment{ID: tr.id, Kind: tr.kind, Gateway: tr.gateway, Minor: tr.minor}
		if tr.parent != nil {
			p.Parent = tr.parent.id
		}
		t.Payments = append(t.Payments, p)
	}
	return t
}
