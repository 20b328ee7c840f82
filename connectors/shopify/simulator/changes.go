package simulator

import (
	"errors"
	"fmt"
	"time"

	"github.com/helloword/crossdock/schemas/money"
)

// What happens to an order after it was placed.

// EditOrder adds lines to an order.
func (s *Simulator) EditOrder(id int64, add []LineSpec, at time.Time) error {
	return s.change(id, "editing", func(o *order) ([]*delivery, error) {
		lines, err := s.newLines(o, add)
		if err != nil {
			return nil, err
		}
		var mail []*delivery
		for _, l := range lines {
			if err := s.taxLine(o, l); err != nil {
				return nil, err
			}
			o.subtotal += l.total
			o.discount += l.own
			mail = s.move(mail, l.variant, -l.quantity)
		}
		o.lines = append(o.lines, lines...)
		return s.edited(mail, o, lines, nil, at), nil
	})
}

// RemoveUnits takes units of a line out of an order before they were shipped.
func (s *Simulator) RemoveUnits(id, lineID, units int64, at time.Time) error {
	return s.change(id, "editing", func(o *order) ([]*delivery, error) {
		l := o.line(lineID)
		if l == nil || units < 1 || units > l.current-l.fulfilled {
			return nil, fmt.Errorf("line %d has no %d units to take out", lineID, units)
		}
		l.current -= units
		mail := s.move(nil, l.variant, units)
		return s.edited(mail, o, nil, l, at), nil
	})
}

// edited sends the payload of orders/edited, which is not the order.
func (s *Simulator) edited(mail []*delivery, o *order, added []*line, removed *line, at time.Time) []*delivery {
	s.touch(o)
	o.edits++
	when := at.Unix()
	if at.IsZero() {
		when = s.now()
	}
	return s.post(mail, "orders/edited", func() []byte {
		b := fmt.Appendf(nil, `{"order_edit":{"id":%d,"order_id":%d,"created_at":"%s","notify_customer":false,"line_items":{"additions":[`, s.id(), o.id, rest(when))
		for i, l := range added {
			if i > 0 {
				b = append(b, ',')
			}
			b = fmt.Appendf(b, `{"id":%d,"delta":%d}`, l.id, l.quantity)
		}
		b = append(b, `],"removals":[`...)
		if removed != nil {
			b = fmt.Appendf(b, `{"id":%d,"delta":%d}`, removed.id, removed.quantity-removed.current)
		}
		return append(b, `]}}}`...)
	})
}

// RefundSpec is goods or money given back.
type RefundSpec struct {
	At    time.Time
	Note  string
	Lines []RefundLineSpec
	// Shipping given back; empty = none.
	Shipping string
	// NoPayment: nothing is paid back, only the books change.
	NoPayment bool

	// payments, when not nil, are what is given back, instead of what the lines come to.
	payments []*transaction
}

// RefundLineSpec is units of one line. Restock is "return" (it was shipped and goes back to
// the shelf), "cancel" (it never left) or "no_restock". Amount, when empty, is the line's
// share by units of what was paid for it; where taxes lie on top, they come in addition.
type RefundLineSpec struct {
	Line     int64
	Quantity int64
	Restock  string
	Amount   string
}

// Refund refunds and returns the refund's id.
func (s *Simulator) Refund(orderID int64, spec RefundSpec) (int64, error) {
	var id int64
	err := s.change(orderID, "refunding", func(o *order) ([]*delivery, error) {
		r, mail, err := s.refund(o, spec)
		if err != nil {
			return nil, err
		}
		id = r.id
		return mail, nil
	})
	return id, err
}

func (s *Simulator) refund(o *order, spec RefundSpec) (*refund, []*delivery, error) {
	r := &refund{id: s.id(), order: o, note: spec.Note, at: spec.At.Unix()}
	if spec.At.IsZero() {
		r.at = s.now()
	}
	taken := map[*line]int64{}
	for i, ls := range spec.Lines {
		l := o.line(ls.Line)
		if l == nil {
			return nil, nil, fmt.Errorf("refund line %d: the order has no line %d", i+1, ls.Line)
		}
		taken[l] += ls.Quantity
		if ls.Quantity < 1 || l.refunded+taken[l] > l.quantity {
			return nil, nil, fmt.Errorf("refund line %d: %d of %d units, %d are refunded", i+1, ls.Quantity, l.quantity, l.refunded)
		}
		rl := refundLine{id: s.id(), line: l, quantity: ls.Quantity, restock: ls.Restock}
		var err error
		switch {
		case ls.Amount != "":
			rl.minor, err = s.minor(ls.Amount)
		default:
			rl.minor, err = money.MulDiv(l.total-l.discount, ls.Quantity, l.quantity)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("refund line %d: %w", i+1, err)
		}
		for _, of := range l.taxes {
			share, err := money.MulDiv(of.minor, ls.Quantity, l.quantity)
			if err != nil {
				return nil, nil, fmt.Errorf("refund line %d: %w", i+1, err)
			}
			rl.tax += share
		}
		switch rl.restock {
		case "":
			rl.restock = "no_restock"
		case "return", "cancel", "no_restock":
		default:
			return nil, nil, fmt.Errorf("refund line %d: restock %q", i+1, ls.Restock)
		}
		r.lines = append(r.lines, rl)
		if r.total += rl.minor; !o.spec.Included {
			r.total += rl.tax
		}
	}
	if spec.Shipping != "" {
		minor, err := s.minor(spec.Shipping)
		if err != nil {
			return nil, nil, err
		}
		r.shipping = minor
		r.total += minor
	}
	if spec.NoPayment {
		r.total = 0
	}
	if spec.payments != nil {
		r.total = 0
		for _, t := range spec.payments {
			r.total += t.minor
		}
	}
	var mail []*delivery
	for _, rl := range r.lines {
		rl.line.refunded += rl.quantity
		rl.line.current = max(0, rl.line.current-rl.quantity)
		if rl.restock != "no_restock" {
			mail = s.move(mail, rl.line.variant, rl.quantity)
		}
	}
	if r.payments = spec.payments; r.payments == nil {
		r.payments = s.giveBack(o, r.total)
	}
	o.payments = append(o.payments, r.payments...)
	o.refunds = append(o.refunds, r)
	s.parts[r.id] = r
	if o.refunded += r.total; r.total > 0 {
		if o.financial = "partially_refunded"; o.refunded >= o.total() {
			o.financial = "refunded"
		}
	}
	s.archive(o)
	s.touch(o)
	return r, s.post(mail, "refunds/create", func() []byte { return s.refundJSON(nil, r) }), nil
}

// Cancel cancels an order; what was not shipped goes back to the shelf with restock.
func (s *Simulator) Cancel(id int64, reason string, restock bool, at time.Time) error {
	return s.change(id, "cancelling", func(o *order) ([]*delivery, error) {
		return s.cancel(o, reason, restock, true, at)
	})
}

func (s *Simulator) cancel(o *order, reason string, restock, payBack bool, at time.Time) ([]*delivery, error) {
	if o.cancelled != 0 {
		return nil, errors.New("it is cancelled")
	}
	spec := RefundSpec{At: at, NoPayment: !payBack || o.financial == "pending"}
	kind := "no_restock"
	if restock {
		kind = "cancel"
	}
	for _, l := range o.lines {
		if open := l.current - l.fulfilled; open > 0 {
			spec.Lines = append(spec.Lines, RefundLineSpec{Line: l.id, Quantity: open, Restock: kind})
		}
	}
	var mail []*delivery
	var err error
	if len(spec.Lines) > 0 {
		if _, mail, err = s.refund(o, spec); err != nil {
			return nil, err
		}
	}
	if o.cancelled = at.Unix(); at.IsZero() {
		o.cancelled = s.now()
	}
	if o.cancelReason = reason; reason == "" {
		o.cancelReason = "other"
	}
	if o.financial == "pending" {
		o.financial = "voided"
	}
	s.archive(o)
	s.touch(o)
	return s.postOrder(mail, o, "orders/cancelled"), nil
}

// FulfilSpec says which units are shipped; no lines = everything that is left.
type FulfilSpec struct {
	At    time.Time
	Lines []FulfilLineSpec
	// Carrier and Tracking of the parcel.
	Carrier, Tracking string
}

// FulfilLineSpec is units of one line.
type FulfilLineSpec struct{ Line, Quantity int64 }

// Fulfil ships units of an order, as somebody does in the admin.
func (s *Simulator) Fulfil(id int64, spec FulfilSpec) error {
	return s.change(id, "shipping", func(o *order) ([]*delivery, error) {
		var lines []fulfilledLine
		if len(spec.Lines) == 0 {
			for _, l := range o.lines {
				if open := l.current - l.fulfilled; open > 0 {
					lines = append(lines, fulfilledLine{l, open})
				}
			}
		}
		for _, ls := range spec.Lines {
			l := o.line(ls.Line)
			if l == nil || ls.Quantity < 1 || ls.Quantity > l.current-l.fulfilled {
				return nil, fmt.Errorf("line %d has no %d units to ship", ls.Line, ls.Quantity)
			}
			lines = append(lines, fulfilledLine{l, ls.Quantity})
		}
		if len(lines) == 0 {
			return nil, errors.New("nothing is left to ship")
		}
		_, mail := s.fulfil(o, lines, tracking{company: spec.Carrier, number: spec.Tracking}, spec.At)
		return mail, nil
	})
}

// fulfil makes a fulfilment of units that can be shipped.
func (s *Simulator) fulfil(o *order, lines []fulfilledLine, tr tracking, at time.Time) (*fulfilment, []*delivery) {
	f := &fulfilment{id: s.id(), order: o, status: "success", at: at.Unix(), lines: lines, tracking: tr}
	if at.IsZero() {
		f.at = s.now()
	}
	for _, fl := range lines {
		fl.line.fulfilled += fl.quantity
	}
	o.fulfilments = append(o.fulfilments, f)
	s.parts[f.id] = f
	s.archive(o)
	s.touch(o)
	topic := "orders/fulfilled"
	if o.fulfilmentStatus() == "partial" {
		topic = "orders/partially_fulfilled"
	}
	return f, s.postOrder(nil, o, topic)
}

// Pay marks an order whose payment was pending as paid.
func (s *Simulator) Pay(id int64) error {
	return s.change(id, "paying", func(o *order) ([]*delivery, error) {
		if o.financial != "pending" || o.cancelled != 0 {
			return nil, fmt.Errorf("it is %s", o.financial)
		}
		o.financial = "paid"
		if due := o.total() - o.refunded; due > 0 {
			o.payments = append(o.payments, &transaction{id: s.partID(), kind: "SALE", gateway: "manual", minor: due})
		}
		s.archive(o)
		s.touch(o)
		return s.postOrder(nil, o, "orders/paid"), nil
	})
}

// archive closes an order with which nothing is left to do, in a shop that archives by itself.
func (s *Simulator) archive(o *order) {
	if !s.cfg.Archive || o.closed != 0 {
		return
	}
	open := int64(0)
	for _, l := range o.lines {
		open += max(0, l.current-l.fulfilled)
	}
	if open == 0 && o.financial != "pending" || o.cancelled != 0 {
		o.closed = s.now()
	}
}
