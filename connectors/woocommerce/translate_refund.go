package woocommerce

import (
	"strings"

	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
)

// refunds reads {"order_id", "currency", "refunds": [refund, …]}, which the poller writes in
// this order.
func (t *translation) refunds() []*event.Refund {
	if t.Peek() != '{' {
		t.Unexpected("refunds")
		return nil
	}
	var seen jsonread.Members
	var order string
	var all []*event.Refund
	t.Object()
	for key, ok := t.Next(); ok; key, ok = t.Next() {
		switch key {
		case "order_id":
			t.Once(&seen, 0)
			order = t.ID()
		case "currency":
			t.Once(&seen, 1)
			t.in(strings.ToUpper(t.Text()))
		case "refunds":
			t.Once(&seen, 2)
			if t.Err() == nil && (order == "" || t.currency == "") {
				t.Fail("refunds need order_id and currency in front of them")
			}
			t.each(func() {
				if f := t.refund(order); f != nil {
					all = append(all, f)
				}
			})
		default:
			t.Skip()
		}
	}
	if t.Err() == nil && seen != 7 {
		t.Fail("order_id, currency or refunds are missing")
	}
	return all
}

// refund reads one refund: amount is above zero, and every other figure below. Its units move
// no stock: the order's own lines say what went back to the shelf.
func (t *translation) refund(order string) *event.Refund {
	if t.Peek() != '{' {
		t.Unexpected("a refund")
		return nil
	}
	f := &event.Refund{Connector: Name, Account: t.account, OrderId: order}
	var seen jsonread.Members
	var shipping int64
	told := false
	line := func() {
		if l := t.refundLine(); l != nil {
			f.Lines = append(f.Lines, l)
		}
	}
	t.Object()
	for key, ok := t.Next(); ok; key, ok = t.Next() {
		switch key {
		case "id":
			t.Once(&seen, 0)
			f.Id = t.ID()
		case "date_created_gmt":
			t.Once(&seen, 1)
			f.CreatedMs = t.gmt()
		case "amount":
			t.Once(&seen, 2)
			told = true
			f.Total = t.amount(t.minor())
		case "reason":
			t.Once(&seen, 3)
			f.Note = t.Text()
		case "line_items":
			t.Once(&seen, 4)
			t.each(line)
		case "fee_lines":
			t.Once(&seen, 5)
			t.each(line)
		case "shipping_lines":
			t.Once(&seen, 6)
			t.each(func() { shipping = t.sum(shipping, t.neg(t.refundedShipping())) })
		default:
			t.Skip()
		}
	}
	if t.Err() != nil {
		return nil
	}
	if f.Id == "" || f.CreatedMs == 0 || !told {
		t.Fail("a refund needs id, date_created_gmt and amount")
		return nil
	}
	f.Shipping = t.nonZero(shipping)
	return f
}

// refundLine reads one entry of a refund's line_items or fee_lines; nil when it says of no
// line of the order that it is for it.
func (t *translation) refundLine() *event.RefundLine {
	if t.Peek() != '{' {
		t.Unexpected("a refund's line")
		return nil
	}
	l := &event.RefundLine{Restock: event.Restock_RESTOCK_NONE}
	var seen jsonread.Members
	t.Object()
	for key, ok := t.Next(); ok; key, ok = t.Next() {
		switch key {
		case "quantity":
			t.Once(&seen, 0)
			l.Quantity = t.neg(t.Integer())
		case "total":
			t.Once(&seen, 1)
			l.Amount = t.amount(t.neg(t.minor()))
		case "meta_data":
			t.Once(&seen, 2)
			t.each(func() {
				if k, v := t.meta(); k == "_refunded_item_id" {
					l.OrderLineId = v
				}
			})
		default:
			t.Skip()
		}
	}
	if t.Err() == nil && l.Quantity < 0 {
		t.Fail("a refund of %d units", l.Quantity)
	}
	if t.Err() != nil || l.OrderLineId == "" {
		return nil
	}
	return l
}

// refundedShipping reads one entry of a refund's shipping_lines, with its tax.
func (t *translation) refundedShipping() (minor int64) {
	if !t.Object() {
		return 0
	}
	for key, ok := t.Next(); ok; key, ok = t.Next() {
		switch key {
		case "total", "total_tax":
			minor = t.sum(minor, t.minor())
		default:
			t.Skip()
		}
	}
	return minor
}
