package ebay

import (
	"strings"

	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// orderDoc is an order while it is being read: what can be said only at its end.
type orderDoc struct {
	event.Order
	price      summary
	lines      []lineDoc
	refunds    []refundDoc // of the order as a whole
	paid       bool        // one of the payments was made
	payment    string      // orderPaymentStatus
	fulfilment string      // orderFulfillmentStatus
	cancel     cancelDoc
	shipTo     *event.PostalAddress
	email      string
	phone      string
	billing    *event.PostalAddress
	billEmail  string
	billPhone  string
	byEbay     bool // shipped from eBay's warehouse
	digital    bool
	shipped    []shippedLine
	disputed   bool  // a dispute is open
	disputeMs  int64 // when one was last opened or closed
	shipCode   string
}

type cancelDoc struct {
	state, reason string
	at, completed int64
}

type shippedLine struct {
	line  string
	units int64
}

// orderEnvelope reads what the poller assembled.
func (t *translation) orderEnvelope() *event.Order {
	r := &t.r
	var seen jsonread.Members
	var d orderDoc
	if !r.Object() {
		r.Unexpected("an object")
		return nil
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "order":
			r.Once(&seen, 0)
			t.order(&d)
		case "fulfillments":
			r.Once(&seen, 1)
			t.each(func() { t.shipment(&d) })
		case "disputes":
			r.Once(&seen, 2)
			t.each(func() { t.dispute(&d) })
		default:
			r.Skip()
		}
	}
	if r.Err() == nil && seen&1 == 0 {
		r.Fail("order is missing")
	}
	if r.Err() != nil {
		return nil
	}
	t.finish(&d)
	if r.Err() != nil {
		return nil
	}
	return &d.Order
}

func (t *translation) order(d *orderDoc) {
	r := &t.r
	if !r.Object() {
		r.Unexpected("an order")
		return
	}
	o := &d.Order
	o.Connector, o.Account = provider, t.account
	var seen jsonread.Members
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "orderId":
			r.Once(&seen, 0)
			o.Id = r.Text()
		case "creationDate":
			r.Once(&seen, 1)
			o.CreatedMs = r.Instant()
		case "lastModifiedDate":
			r.Once(&seen, 2)
			o.UpdatedMs = r.Instant()
		case "orderFulfillmentStatus":
			r.Once(&seen, 3)
			d.fulfilment = r.Text()
		case "orderPaymentStatus":
			r.Once(&seen, 4)
			d.payment = r.Text()
		case "salesRecordReference":
			r.Once(&seen, 5)
			o.Reference = r.Text()
		case "buyer":
			r.Once(&seen, 6)
			t.buyer(d)
		case "pricingSummary":
			r.Once(&seen, 7)
			t.pricing(&d.price)
		case "cancelStatus":
			r.Once(&seen, 8)
			t.cancelStatus(&d.cancel)
		case "paymentSummary":
			r.Once(&seen, 9)
			t.payments(d)
		case "fulfillmentStartInstructions":
			r.Once(&seen, 10)
			t.each(func() { t.instruction(d) })
		case "lineItems":
			r.Once(&seen, 11)
			t.each(func() { t.line(d) })
		case "program":
			r.Once(&seen, 12)
			d.byEbay = t.program()
		default:
			r.Skip()
		}
	}
	if r.Err() == nil && (o.Id == "" || o.UpdatedMs == 0 || o.CreatedMs == 0) {
		r.Fail("an order needs orderId, creationDate and lastModifiedDate")
	}
}

func (t *translation) cancelStatus(c *cancelDoc) {
	r := &t.r
	var seen jsonread.Members
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "cancelState":
			r.Once(&seen, 0)
			c.state = r.Text()
		case "cancelledDate":
			r.Once(&seen, 1)
			c.at = r.Instant()
		case "cancelRequests":
			r.Once(&seen, 2)
			t.each(func() { t.cancelRequest(c) })
		default:
			r.Skip()
		}
	}
}

func (t *translation) cancelRequest(c *cancelDoc) {
	r := &t.r
	var seen jsonread.Members
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "cancelReason":
			r.Once(&seen, 0)
			if reason := strings.ToLower(r.Text()); reason != "" {
				c.reason = reason
			}
		case "cancelCompletedDate":
			r.Once(&seen, 1)
			c.completed = max(c.completed, r.Instant())
		default:
			r.Skip()
		}
	}
}

// program reads who ships: {"fulfillmentProgram": {"fulfilledBy": "EBAY"}}.
func (t *translation) program() (byEbay bool) {
	r := &t.r
	if !r.Object() {
		return false
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		if key != "fulfillmentProgram" {
			r.Skip()
			continue
		}
		if !r.Object() {
			continue
		}
		for key, ok := r.Next(); ok; key, ok = r.Next() {
			if key == "fulfilledBy" {
				byEbay = r.Text() == "EBAY"
			} else {
				r.Skip()
			}
		}
	}
	return byEbay
}

func (t *translation) payments(d *orderDoc) {
	r := &t.r
	var seen jsonread.Members
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "payments":
			r.Once(&seen, 0)
			t.each(func() {
				if !r.Object() {
					return
				}
				for key, ok := r.Next(); ok; key, ok = r.Next() {
					if key == "paymentStatus" {
						d.paid = r.Text() == "PAID" || d.paid
					} else {
						r.Skip()
					}
				}
			})
		case "refunds":
			r.Once(&seen, 1)
			t.each(func() { d.refunds = append(d.refunds, t.refund("")) })
		default:
			r.Skip()
		}
	}
}

// shipment reads one of getShippingFulfillments.
func (t *translation) shipment(d *orderDoc) {
	r := &t.r
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		if key != "lineItems" {
			r.Skip()
			continue
		}
		t.each(func() {
			// A quantity that is left out is one.
			s := shippedLine{units: 1}
			if !r.Object() {
				return
			}
			for key, ok := r.Next(); ok; key, ok = r.Next() {
				switch key {
				case "lineItemId":
					s.line = r.Text()
				case "quantity":
					if !r.Null() {
						s.units = r.Integer()
					}
				default:
					r.Skip()
				}
			}
			if s.units < 0 {
				r.Fail("a shipment of %d units", s.units)
			}
			d.shipped = append(d.shipped, s)
		})
	}
}

// dispute reads PaymentDisputeSummary. While one is open nothing more should leave.
func (t *translation) dispute(d *orderDoc) {
	r := &t.r
	var seen jsonread.Members
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "paymentDisputeStatus":
			r.Once(&seen, 0)
			d.disputed = r.Text() != "CLOSED" || d.disputed
		case "openDate":
			r.Once(&seen, 1)
			d.disputeMs = max(d.disputeMs, r.Instant())
		case "closedDate":
			r.Once(&seen, 2)
			d.disputeMs = max(d.disputeMs, r.Instant())
		default:
			r.Skip()
		}
	}
}

// finish is what can be said only when all of the order has been read.
func (t *translation) finish(d *orderDoc) {
	o := &d.Order
	// A converted amount is the payout's; what was agreed on, and adds up, is what it was
	// converted from.
	if t.currency = d.price.total.fromCurrency; t.currency == "" {
		t.currency = d.price.total.currency
	}
	if d.price.total.value == "" || t.currency == "" {
		t.r.Fail("an order needs pricingSummary.total")
		return
	}
	if _, ok := money.Exponent(provider, t.currency); !ok {
		t.r.Fail("pricingSummary.total: currency %q is not known", jsonread.Clip(t.currency))
		return
	}
	o.Currency, o.Name = t.currency, o.Id
	if len(d.lines) == 0 {
		t.r.Fail("an order without lineItems")
		return
	}
	for i := range d.lines {
		t.finishLine(d, &d.lines[i])
	}
	t.totals(d)
	o.Refunds = t.refunds(d)
	t.statuses(d)
	t.people(d)
}

// statuses maps what eBay says to ours.
func (t *translation) statuses(d *orderDoc) {
	o := &d.Order
	o.PaymentStatus = paymentStatus(d.payment, d.paid)
	switch d.cancel.state {
	case "CANCELED":
		o.Status = event.OrderStatus_ORDER_STATUS_CANCELLED
		if o.CancelledMs = d.cancel.at; o.CancelledMs == 0 {
			o.CancelledMs = d.cancel.completed
		}
		if o.CancelledMs == 0 {
			o.CancelledMs = o.UpdatedMs
		}
		o.CancelReason = d.cancel.reason
	case "IN_PROGRESS":
		// Somebody wants to cancel it: it keeps its stock, and is not to be shipped.
		o.Status = event.OrderStatus_ORDER_STATUS_ON_HOLD
		o.CancelReason = d.cancel.reason
	case "", "NONE_REQUESTED":
		if o.Status = event.OrderStatus_ORDER_STATUS_OPEN; d.payment == "PENDING" || d.payment == "FAILED" && !d.paid {
			o.Status = event.OrderStatus_ORDER_STATUS_ON_HOLD
		}
	default:
		// A state that nobody knows yet: whatever it is, stock stays reserved.
		o.Status = event.OrderStatus_ORDER_STATUS_ON_HOLD
	}
	if d.disputed && o.Status == event.OrderStatus_ORDER_STATUS_OPEN {
		o.Status = event.OrderStatus_ORDER_STATUS_ON_HOLD
	}
	// A dispute does not touch lastModifiedDate: its own times make the order newer.
	o.UpdatedMs = max(o.UpdatedMs, d.disputeMs)
	var shipped, left, gone int64
	for _, l := range o.Lines {
		if o.Status == event.OrderStatus_ORDER_STATUS_CANCELLED {
			// eBay cancels whole orders, and only what has not left.
			l.Removed = l.Quantity - l.Fulfilled
		}
		shipped += l.Fulfilled
		gone += l.Removed
		left += l.Quantity - l.Fulfilled - l.Removed
	}
	switch {
	case gone > 0 && left == 0 && shipped == 0:
		o.FulfilmentStatus = event.FulfilmentStatus_FULFILMENT_STATUS_RESTOCKED
	case d.fulfilment == "FULFILLED" || shipped > 0 && left == 0:
		o.FulfilmentStatus = event.FulfilmentStatus_FULFILMENT_STATUS_FULFILLED
	case d.fulfilment == "IN_PROGRESS" || shipped > 0:
		o.FulfilmentStatus = event.FulfilmentStatus_FULFILMENT_STATUS_PARTIAL
	case d.fulfilment == "NOT_STARTED" || d.fulfilment == "":
		o.FulfilmentStatus = event.FulfilmentStatus_FULFILMENT_STATUS_UNFULFILLED
	}
	// An order that was paid, as all are that eBay shows, and has left is done with.
	if o.Status == event.OrderStatus_ORDER_STATUS_OPEN && o.FulfilmentStatus == event.FulfilmentStatus_FULFILMENT_STATUS_FULFILLED {
		o.Status = event.OrderStatus_ORDER_STATUS_CLOSED
	}
}

// paymentStatus maps OrderPaymentStatusEnum. FAILED is said of a payment and of a refund:
// when something was paid it was the refund.
// https://developer.ebay.com/api-docs/sell/fulfillment/types/sel:OrderPaymentStatusEnum
func paymentStatus(s string, paid bool) event.PaymentStatus {
	switch {
	case s == "PAID" || s == "FAILED" && paid:
		return event.PaymentStatus_PAYMENT_STATUS_PAID
	case s == "PENDING" || s == "FAILED":
		return event.PaymentStatus_PAYMENT_STATUS_PENDING
	case s == "PARTIALLY_REFUNDED":
		return event.PaymentStatus_PAYMENT_STATUS_PARTIALLY_REFUNDED
	case s == "FULLY_REFUNDED":
		return event.PaymentStatus_PAYMENT_STATUS_REFUNDED
	}
	return event.PaymentStatus_PAYMENT_STATUS_UNSPECIFIED
}
