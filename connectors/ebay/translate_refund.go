package ebay

import (
	"strconv"

	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
)

// refundDoc is LineItemRefund or OrderRefund.
type refundDoc struct {
	line                  string // of a line; "" = of the order
	id, reference, status string
	at                    int64
	amount                amount
}

func (t *translation) refund(line string) refundDoc {
	r := &t.r
	f := refundDoc{line: line}
	var seen jsonread.Members
	if !r.Object() {
		return f
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "refundId":
			r.Once(&seen, 0)
			f.id = r.Text()
		case "refundReferenceId":
			r.Once(&seen, 1)
			f.reference = r.Text()
		case "refundStatus":
			r.Once(&seen, 2)
			f.status = r.Text()
		case "refundDate":
			r.Once(&seen, 3)
			f.at = r.Instant()
		case "amount":
			r.Once(&seen, 4)
			f.amount = t.amount()
		default:
			r.Skip()
		}
	}
	return f
}

// given: the money went back. A refund that is under way may still fail, and has no date; it
// comes again when it is done, for that changes the order.
func (f refundDoc) given() bool {
	return f.at != 0 && f.status != "PENDING" && f.status != "FAILED"
}

// group is one refund that may stand in several places.
type group struct {
	*event.Refund
	claimed bool
}

// refunds puts together what eBay says twice. The order's list holds each refund, but the id
// of one that was made by lines stands only at the lines; there are also older ones without
// any id. What belongs together has the same id, or no id on one side and the same date, or
// the same amount. Nothing is counted twice: a line's refund that belongs to one of the
// order's gives it a line and no money.
// https://developer.ebay.com/api-docs/sell/fulfillment/types/sel:OrderRefund
func (t *translation) refunds(d *orderDoc) (all []*event.Refund) {
	var groups []*group
	find := func(id string) *group {
		for _, g := range groups {
			if g.Id == id {
				return g
			}
		}
		return nil
	}
	for i := range d.lines {
		for _, f := range d.lines[i].refunds {
			if !f.given() {
				continue
			}
			id := f.id
			if id == "" {
				// By its date, which refunds of several lines in one go share.
				id = "at-" + strconv.FormatInt(f.at, 10)
			}
			g := find(id)
			if g == nil {
				g = &group{Refund: &event.Refund{Connector: provider, Account: t.account, OrderId: d.Id, Id: id, CreatedMs: f.at, Total: t.money(0)}}
				groups = append(groups, g)
			}
			minor := abs(t.minor(f.amount, "refunds"))
			g.Total.Minor = t.sum(g.Total.Minor, minor)
			// eBay does not say how many units came back, or that any did: goods that return
			// are booked where they arrive.
			g.Lines = append(g.Lines, &event.RefundLine{OrderLineId: f.line, Amount: t.money(minor), Restock: event.Restock_RESTOCK_NONE})
		}
	}
	for _, f := range d.refunds {
		if !f.given() {
			continue
		}
		minor := abs(t.minor(f.amount, "paymentSummary.refunds"))
		g := match(groups, f, minor)
		if g == nil {
			id := f.id
			if id == "" {
				id = f.reference
			}
			if id == "" {
				id = "at-" + strconv.FormatInt(f.at, 10)
			}
			if find(id) != nil {
				id += "-" + strconv.Itoa(len(groups)) // two of one moment
			}
			g = &group{Refund: &event.Refund{Connector: provider, Account: t.account, OrderId: d.Id, Id: id}}
			groups = append(groups, g)
		}
		g.claimed = true
		g.CreatedMs, g.Total = f.at, t.money(minor)
	}
	for _, g := range groups {
		all = append(all, g.Refund)
	}
	return all
}

// match finds what the lines said of one of the order's refunds.
func match(groups []*group, f refundDoc, minor int64) *group {
	var same *group
	for _, g := range groups {
		switch {
		case g.claimed:
		case f.id != "" && g.Id == f.id:
			return g
		case f.id != "" && g.Id != "at-"+strconv.FormatInt(g.CreatedMs, 10):
			// Both have ids, and other ones.
		case g.CreatedMs == f.at:
			same = g
		case same == nil && g.Total.GetMinor() == minor:
			same = g
		}
	}
	return same
}
