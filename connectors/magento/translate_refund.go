package magento

import (
	"cmp"
	"slices"

	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
)

// memo is a credit memo.
type memo struct {
	id, number, state            string
	created                      int64
	total, shipping, shippingTax string
	lines                        []memoLine
}

type memoLine struct {
	line                        string
	quantity                    int64
	row, discount, compensation string
}

// shipment is when how many units of which lines left.
type shipment struct {
	created int64
	lines   []memoLine
}

func (t *translation) memo() (m memo) {
	r := &t.r
	var seen jsonread.Members
	if !r.Object() {
		r.Unexpected("a credit memo")
		return m
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "entity_id":
			r.Once(&seen, 0)
			m.id = r.ID()
		case "increment_id":
			r.Once(&seen, 1)
			m.number = r.Text()
		case "state":
			r.Once(&seen, 2)
			m.state = r.Number()
		case "created_at":
			r.Once(&seen, 3)
			m.created = instant(r)
		case "base_grand_total":
			r.Once(&seen, 4)
			m.total = r.Number()
		case "base_shipping_amount":
			r.Once(&seen, 5)
			m.shipping = r.Number()
		case "base_shipping_tax_amount":
			r.Once(&seen, 6)
			m.shippingTax = r.Number()
		case "items":
			r.Once(&seen, 7)
			for ok := r.Array(); ok && r.More(); {
				m.lines = append(m.lines, t.memoLine())
			}
		default:
			r.Skip()
		}
	}
	if r.Err() == nil && (m.id == "" || m.total == "") {
		r.Fail("a credit memo needs entity_id and base_grand_total")
	}
	return m
}

func (t *translation) shipment() (s shipment) {
	r := &t.r
	var seen jsonread.Members
	if !r.Object() {
		r.Unexpected("a shipment")
		return s
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "created_at":
			r.Once(&seen, 0)
			s.created = instant(r)
		case "items":
			r.Once(&seen, 1)
			for ok := r.Array(); ok && r.More(); {
				s.lines = append(s.lines, t.memoLine())
			}
		default:
			r.Skip()
		}
	}
	return s
}

// memoLine reads a line of a credit memo or of a shipment.
func (t *translation) memoLine() (l memoLine) {
	r := &t.r
	var seen jsonread.Members
	if !r.Object() {
		r.Unexpected("a line")
		return l
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "order_item_id":
			r.Once(&seen, 0)
			l.line = r.ID()
		case "qty":
			r.Once(&seen, 1)
			text := r.Number()
			if text == "" {
				continue
			}
			if l.quantity = wholeUnits(r, text); l.quantity < 0 {
				r.Fail("a line of %d units", l.quantity)
			}
		case "base_row_total":
			r.Once(&seen, 2)
			l.row = r.Number()
		case "base_discount_amount":
			r.Once(&seen, 4)
			l.discount = r.Number()
		case "base_discount_tax_compensation_amount":
			r.Once(&seen, 5)
			l.compensation = r.Number()
		default:
			r.Skip()
		}
	}
	return l
}

// memoOpen and memoCancelled are states of a credit memo that gave nothing back.
const (
	memoOpen      = "1"
	memoCancelled = "3"
)

// refunds makes a refund of each credit memo. Magento does not tell whether units that were
// refunded came back: those beyond what had been shipped when the memo was made never left
// (Magento's own rule for what is left to ship), and whether the others lie on a shelf again
// is for the warehouse to say. Shipments and memos do not change, so that this does not
// either when the rest is shipped later.
func (t *translation) refunds(order string, h *orderHead) []*event.Refund {
	if len(h.memos) == 0 {
		return nil
	}
	memos := slices.Clone(h.memos)
	slices.SortStableFunc(memos, func(a, b memo) int {
		return cmp.Or(cmp.Compare(a.created, b.created), cmp.Compare(len(a.id), len(b.id)), cmp.Compare(a.id, b.id))
	})
	refunded, unshipped := map[string]int64{}, map[string]int64{}
	all := make([]*event.Refund, 0, len(memos))
	for _, m := range memos {
		if m.state == memoOpen || m.state == memoCancelled {
			continue
		}
		f := &event.Refund{Connector: Name, Account: t.account, OrderId: order, Id: m.id, CreatedMs: m.created,
			Note: m.number, Total: t.amount(t.minor("base_grand_total", m.total)),
			Shipping: t.nonZero(t.sum(t.minor("base_shipping_amount", m.shipping), t.minor("base_shipping_tax_amount", m.shippingTax)))}
		for _, ml := range m.lines {
			g := t.goodsOf(ml.line)
			if g == nil || ml.quantity == 0 {
				continue // the other half of a configurable product or of a bundle
			}
			// Like the lines of the order, without the tax: the memo's total has it.
			amount := t.sum(t.minor("base_row_total", ml.row), -t.discount(ml.discount, ml.compensation))
			if g.money == nil {
				amount = 0
			}
			refunded[ml.line] += ml.quantity
			never := max(0, refunded[ml.line]-shippedBefore(h.shipments, ml.line, m.created)-unshipped[ml.line])
			never = min(never, ml.quantity)
			unshipped[ml.line] += never
			f.Lines = append(f.Lines, t.refundLines(g, ml.quantity, never, amount)...)
		}
		all = append(all, f)
	}
	return all
}

// refundLines splits a line into the units that never left and the others.
func (t *translation) refundLines(g *goods, units, never, amount int64) []*event.RefundLine {
	line := func(units, amount int64, restock event.Restock) *event.RefundLine {
		return &event.RefundLine{OrderLineId: g.id, Quantity: units, Amount: t.amount(amount), Restock: restock}
	}
	if !g.stocked || never == 0 {
		return []*event.RefundLine{line(units, amount, event.Restock_RESTOCK_NONE)}
	}
	if never == units {
		return []*event.RefundLine{line(units, amount, event.Restock_RESTOCK_CANCEL)}
	}
	// The first takes the part that is rounded, the second what is left: no cent is lost.
	part := amount / units * never
	return []*event.RefundLine{
		line(never, part, event.Restock_RESTOCK_CANCEL),
		line(units-never, amount-part, event.Restock_RESTOCK_NONE),
	}
}

func (t *translation) goodsOf(line string) *goods {
	for i := range t.lines {
		if t.lines[i].id == line {
			return &t.lines[i]
		}
	}
	return nil
}

// shippedBefore counts the units of a line that had left at a time.
func shippedBefore(shipments []shipment, line string, at int64) (units int64) {
	for _, s := range shipments {
		if s.created > at {
			continue
		}
		for _, l := range s.lines {
			if l.line == line {
				units += l.quantity
			}
		}
	}
	return units
}
