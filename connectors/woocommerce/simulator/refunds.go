package simulator

// Refunds change nothing of the order's own figures: they are objects beside it.

import (
	"fmt"
	"time"

	"github.com/helloword/crossdock/schemas/money"
)

// RefundSpec is goods or money given back.
type RefundSpec struct {
	At    time.Time
	Note  string
	Lines []RefundLineSpec
	// Shipping given back; empty = none.
	Shipping string
}

// RefundLineSpec is units of one line. Restock is "return" or "cancel" (they go back to the
// shelf, which is one and the same here) or "no_restock". Amount, when empty, is the line's
// share by units of what was paid for it, without tax.
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
		r := &refund{order: o, reason: spec.Note, at: spec.At.Unix()}
		if spec.At.IsZero() {
			r.at = s.now()
		}
		restock := map[*line]int64{}
		taken := map[*line]int64{}
		for i, ls := range spec.Lines {
			l := o.line(ls.Line)
			if l == nil {
				return nil, fmt.Errorf("refund line %d: the order has no line %d", i+1, ls.Line)
			}
			if taken[l] += ls.Quantity; ls.Quantity < 0 || l.refundedUnits+taken[l] > l.quantity {
				return nil, fmt.Errorf("refund line %d: %d of %d units, %d are refunded", i+1, ls.Quantity, l.quantity, l.refundedUnits)
			}
			rl := refundLine{id: s.item(), line: l, quantity: ls.Quantity}
			var err error
			if rl.minor, err = money.MulDiv(l.total, ls.Quantity, l.quantity); ls.Amount != "" {
				rl.minor, err = s.minor(ls.Amount)
			}
			if err != nil {
				return nil, fmt.Errorf("refund line %d: %w", i+1, err)
			}
			if rl.tax, err = money.MulDiv(l.tax, ls.Quantity, l.quantity); err != nil {
				return nil, fmt.Errorf("refund line %d: %w", i+1, err)
			}
			switch ls.Restock {
			case "return", "cancel":
				restock[l] += ls.Quantity
			case "", "no_restock":
			default:
				return nil, fmt.Errorf("refund line %d: restock %q", i+1, ls.Restock)
			}
			r.lines = append(r.lines, rl)
			r.total += rl.minor + rl.tax
		}
		if spec.Shipping != "" {
			minor, err := s.minor(spec.Shipping)
			if err != nil {
				return nil, err
			}
			r.shipping = minor
			r.total += minor
		}
		if left := o.total() - o.refunded(); r.total > left {
			return nil, fmt.Errorf("%d cannot be given back: %d are left of what was paid", r.total, left)
		}
		r.id = s.id()
		id = r.id
		return s.refund(o, r, restock), nil
	})
	return id, err
}

// refund books a refund; restock says how many units of each line go back to the shelf.
func (s *Simulator) refund(o *order, r *refund, restock map[*line]int64) (mail []*delivery) {
	for _, rl := range r.lines {
		rl.line.refundedUnits += rl.quantity
	}
	for _, l := range o.lines {
		units := min(restock[l], l.reduced)
		if units <= 0 {
			continue
		}
		l.restocked += units
		l.reduced -= units
		mail = s.move(mail, l.variant, units)
	}
	o.refunds = append(o.refunds, r)
	if o.refunded() >= o.total() {
		o.status = "refunded"
	}
	return mail
}
