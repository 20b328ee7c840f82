package magento

import (
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// totals sets the order's amounts and checks that they add up to the cent:
//
//	lines + shipping + tax − discounts = base_grand_total
//
// What a module adds to a total beyond what is known here is told nowhere in the contract:
// such an order is refused rather than booked with a difference.
func (t *translation) totals(o *event.Order, h *orderHead, subtotal int64) {
	r := &t.r
	total := t.minor("base_grand_total", h.total)
	shipping := t.minor("base_shipping_amount", h.shipping)
	tax := t.minor("base_tax_amount", h.tax)
	// The order's discount is negative and includes that of shipping; a line's is positive.
	shipDiscount := t.discount(h.shipDiscount, h.shipCompensate)
	discounts := t.sum(-t.minor("base_discount_amount", h.discount), -t.minor("base_discount_tax_compensation_amount", h.compensation),
		-t.minor("base_shipping_discount_tax_compensation_amnt", h.shipCompensate))
	if discounts != 0 {
		o.Discounts = append(o.Discounts, &event.Discount{Code: h.coupon, Kind: h.rule, Amount: t.amount(discounts)})
	}
	for _, paid := range []struct{ kind, amount string }{
		{"gift_card", h.others.giftCards}, {"store_credit", h.others.credit}, {"reward_points", h.others.points},
	} {
		if amount := t.minor(paid.kind, paid.amount); amount != 0 {
			o.Discounts = append(o.Discounts, &event.Discount{Kind: paid.kind, Amount: t.amount(amount)})
			discounts = t.sum(discounts, amount)
		}
	}
	if wrapping := t.sum(t.minor("gw_base_price", h.others.wrapping), t.minor("gw_items_base_price", h.others.wrappedItems),
		t.minor("gw_card_base_price", h.others.card)); wrapping != 0 {
		o.Lines = append(o.Lines, t.wrapping(wrapping))
		subtotal = t.sum(subtotal, wrapping)
	}
	for _, a := range h.taxes {
		if amount := t.minor("applied_taxes", a.amount); amount != 0 {
			o.Taxes = append(o.Taxes, &event.Tax{Title: a.title, RatePpm: t.rate(a.percent), Amount: t.amount(amount)})
		}
	}
	missing := t.sum(total, -subtotal, -shipping, -tax, discounts)
	if missing != 0 {
		// Fixed product taxes (eco fees) are part of the total, and stand with the lines only.
		tax = t.sum(tax, t.fixedTaxes(o, missing))
		missing = t.sum(total, -subtotal, -shipping, -tax, discounts)
	}
	if r.Err() != nil {
		return
	}
	if missing != 0 {
		r.Fail("order %s does not add up: lines %d + shipping %d + tax %d − discounts %d is not base_grand_total %d (in the smallest unit of %s): a module adds something that is told nowhere",
			o.Id, subtotal, shipping, tax, discounts, total, t.base)
		return
	}
	o.Total, o.Subtotal, o.TotalTax = t.amount(total), t.amount(subtotal), t.amount(tax)
	o.TotalShipping, o.TotalDiscounts = t.amount(shipping), t.amount(discounts)
	if h.method != "" || shipping != 0 {
		l := &event.ShippingLine{Code: h.method, Title: h.carrier, Price: t.amount(shipping), Discount: t.nonZero(shipDiscount)}
		if shippingTax := t.minor("base_shipping_tax_amount", h.shippingTax); shippingTax != 0 {
			l.Taxes = []*event.Tax{{Amount: t.amount(shippingTax)}}
		}
		o.ShippingLines = []*event.ShippingLine{l}
	}
	if h.currency != "" && h.currency != t.base {
		minor, err := money.ParseNumber(Name, h.currency, h.shownTotal)
		if err != nil {
			r.Fail("grand_total: %v", err)
			return
		}
		o.PresentmentTotal = &event.Money{Minor: minor, Currency: h.currency}
	}
}

// wrapping is what gift wrapping costs, as a line of the order's own.
func (t *translation) wrapping(minor int64) *event.OrderLine {
	exponent, _ := money.Exponent(Name, t.base)
	return &event.OrderLine{Id: "gift-wrapping", Title: "Gift wrapping", Quantity: 1,
		UnitPrice: &event.Decimal{Unscaled: minor, Scale: int32(exponent)}, Total: t.amount(minor)}
}

// fixedTaxes adds the fixed taxes of the lines, when they explain what is missing.
func (t *translation) fixedTaxes(o *event.Order, missing int64) int64 {
	sum := int64(0)
	for i := range t.lines {
		if paid := t.lines[i].money; paid != nil {
			sum = t.sum(sum, t.minor("base_weee_tax_applied_row_amnt", paid.weee))
		}
	}
	if sum != missing {
		return 0
	}
	for i := range t.lines {
		if paid := t.lines[i].money; paid != nil {
			if fee := t.minor("base_weee_tax_applied_row_amnt", paid.weee); fee != 0 {
				o.Lines[i].Taxes = append(o.Lines[i].Taxes, &event.Tax{Title: "FPT", Amount: t.amount(fee)})
			}
		}
	}
	o.Taxes = append(o.Taxes, &event.Tax{Title: "FPT", Amount: t.amount(sum)})
	return sum
}

// status derives how the order stands. The state is Magento's own and counts; the status
// beside it is a name that merchants invent.
func (t *translation) status(o *event.Order, h *orderHead) {
	o.Status = stateOf(h.state)
	if o.Status == event.OrderStatus_ORDER_STATUS_CANCELLED {
		if o.CancelledMs = h.cancelled; o.CancelledMs == 0 {
			o.CancelledMs = o.UpdatedMs
		}
	}
	o.PaymentStatus = t.payment(o, h)
	var shipped, left, gone int64
	for i := range t.lines {
		l := &t.lines[i]
		if !l.stocked {
			continue
		}
		shipped += l.shipped
		gone += l.cancelled
		left += max(0, l.ordered-l.cancelled-l.shipped)
	}
	for _, f := range o.Refunds {
		for _, fl := range f.Lines {
			if fl.Restock == event.Restock_RESTOCK_CANCEL {
				left -= fl.Quantity
				gone += fl.Quantity
			}
		}
	}
	switch {
	case shipped > 0 && left <= 0:
		o.FulfilmentStatus = event.FulfilmentStatus_FULFILMENT_STATUS_FULFILLED
	case shipped > 0:
		o.FulfilmentStatus = event.FulfilmentStatus_FULFILMENT_STATUS_PARTIAL
	case left <= 0 && gone > 0:
		o.FulfilmentStatus = event.FulfilmentStatus_FULFILMENT_STATUS_RESTOCKED
	default:
		o.FulfilmentStatus = event.FulfilmentStatus_FULFILMENT_STATUS_UNFULFILLED
	}
}

// stateOf maps the states of an order. One that is not known says nothing: the order
// reserves like an open one.
func stateOf(state string) event.OrderStatus {
	switch state {
	case "new", "pending_payment", "processing", "payment_review":
		return event.OrderStatus_ORDER_STATUS_OPEN
	case "holded":
		return event.OrderStatus_ORDER_STATUS_ON_HOLD
	case "complete", "closed":
		return event.OrderStatus_ORDER_STATUS_CLOSED
	case "canceled":
		return event.OrderStatus_ORDER_STATUS_CANCELLED
	}
	return event.OrderStatus_ORDER_STATUS_UNSPECIFIED
}

// payment derives what was paid; Magento has no status of that.
func (t *translation) payment(o *event.Order, h *orderHead) event.PaymentStatus {
	paid, refunded := t.minor("base_total_paid", h.paid), t.minor("base_total_refunded", h.refunded)
	switch total := o.Total.GetMinor(); {
	case refunded > 0 && refunded >= max(paid, 1):
		return event.PaymentStatus_PAYMENT_STATUS_REFUNDED
	case refunded > 0:
		return event.PaymentStatus_PAYMENT_STATUS_PARTIALLY_REFUNDED
	case o.Status == event.OrderStatus_ORDER_STATUS_CANCELLED && paid == 0:
		return event.PaymentStatus_PAYMENT_STATUS_VOIDED
	case paid >= total:
		return event.PaymentStatus_PAYMENT_STATUS_PAID
	case paid > 0:
		return event.PaymentStatus_PAYMENT_STATUS_PARTIALLY_PAID
	case t.minor("base_amount_authorized", h.authorised) > 0:
		return event.PaymentStatus_PAYMENT_STATUS_AUTHORISED
	}
	return event.PaymentStatus_PAYMENT_STATUS_PENDING
}
