package woocommerce

import (
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// finish makes the order of what was read.
func (t *translation) finish(d *draft) *event.Order {
	o := d.order
	if o.Id == "" || d.status == "" {
		t.Fail("an order needs id and status")
		return nil
	}
	if d.modified == 0 {
		d.modified = d.created
	}
	if d.modified == 0 {
		t.Fail("an order needs date_modified_gmt")
		return nil
	}
	m := t.status(d.status)
	if m.nothing || t.unsupported != nil {
		return nil
	}
	// The shop's clock counts seconds, and a refund often comes within the second of another
	// change: of two states of one second the one with more refunds is the later one.
	o.UpdatedMs = d.modified + min(d.refunds, 999)
	if o.CreatedMs = d.created; o.CreatedMs == 0 {
		o.CreatedMs = d.modified
	}
	o.Status = m.status
	cancelled := m.status == event.OrderStatus_ORDER_STATUS_CANCELLED
	if cancelled {
		// Nobody wrote down when it was cancelled; it is what changed last, as a rule.
		o.CancelledMs, o.CancelReason = d.modified, m.reason
	}
	o.PaymentStatus = paymentStatus(d.paid, cancelled, d.total, d.refunded)
	o.Taxes = t.taxesOf(d)
	t.linesOf(d, m.shipped || (d.completed != 0 && m.status == event.OrderStatus_ORDER_STATUS_CLOSED), cancelled)
	t.moneyOf(d)
	t.peopleOf(d)
	if t.Err() != nil {
		return nil
	}
	return o
}

// linesOf makes the lines. Three things are not as they seem:
//
//   - All amounts of a line are without tax, also in shops whose prices include it.
//   - quantity stays when units are refunded. What of them went back to the shelf is
//     _restock_refunded_items on the order's own line: it stands there at once, in webhooks as
//     in polls, while a refund itself does not say. These units are no longer reserved, and
//     did not leave. Refunds therefore carry money, and move no stock.
//   - There are no shipments. The one word of the core for "it has left" is completed. A
//     cancelled order is one whose goods stayed, all of them.
func (t *translation) linesOf(d *draft, shipped, cancelled bool) {
	o := d.order
	o.Lines = make([]*event.OrderLine, 0, len(d.lines)+len(d.fees))
	gone, open := int64(0), int64(0)
	for i := range d.lines {
		l := t.lineOf(d, &d.lines[i])
		if product := d.lines[i].product; product != "" && product != "0" {
			l.ProductId, l.ListingId = product, product
			if v := d.lines[i].variation; v != "" && v != "0" {
				l.ListingId = v
			}
			// A line without a product is a product that is gone, or was typed in by hand.
			l.Stocked = true
		}
		l.PlatformSku = d.lines[i].sku
		l.Removed = min(l.Quantity, d.lines[i].restocked)
		switch {
		case shipped:
			l.Fulfilled = l.Quantity - l.Removed
		case cancelled:
			l.Removed = l.Quantity
		}
		gone += l.Fulfilled
		open += l.Quantity - l.Removed - l.Fulfilled
		o.Lines = append(o.Lines, l)
	}
	for i := range d.fees {
		if f := &d.fees[i]; f.total >= 0 {
			f.quantity, f.subtotal = 1, f.total
			o.Lines = append(o.Lines, t.lineOf(d, f))
		} else {
			o.Discounts = append(o.Discounts, &event.Discount{Code: f.name, Kind: "fee", Amount: t.amount(t.neg(f.total))})
		}
	}
	for i := range d.ships {
		s := &d.ships[i]
		o.ShippingLines = append(o.ShippingLines, &event.ShippingLine{
			Id: s.id, Code: s.code, Title: s.name, Price: t.amount(s.total), Taxes: t.partsOf(d, s),
		})
	}
	switch {
	case gone > 0:
		o.FulfilmentStatus = event.FulfilmentStatus_FULFILMENT_STATUS_FULFILLED
	case open == 0 && len(d.lines) > 0:
		o.FulfilmentStatus = event.FulfilmentStatus_FULFILMENT_STATUS_RESTOCKED
	default:
		o.FulfilmentStatus = event.FulfilmentStatus_FULFILMENT_STATUS_UNFULFILLED
	}
}

func (t *translation) lineOf(d *draft, l *draftLine) *event.OrderLine {
	return &event.OrderLine{
		Id: l.id, Title: l.name, Quantity: l.quantity, UnitPrice: t.unitPrice(l.subtotal, l.quantity),
		Total: t.amount(l.subtotal), Discount: t.nonZero(t.sum(l.subtotal, t.neg(l.total))), Taxes: t.partsOf(d, l),
	}
}

// unitPrice is the price of one before discounts, so fine that the quantity times it rounds
// to the line's amount. WooCommerce's own "price" is after discounts, and a float.
func (t *translation) unitPrice(subtotal, quantity int64) *event.Decimal {
	if quantity <= 0 || t.Err() != nil {
		return &event.Decimal{Unscaled: subtotal, Scale: int32(t.exponent)}
	}
	unit := &event.Decimal{Scale: int32(t.exponent)}
	power := int64(1)
	if subtotal%quantity != 0 {
		// One digit more than the quantity has: a half of the last one, times the quantity, is
		// less than a twentieth of the smallest unit.
		for power <= quantity {
			power *= 10
			unit.Scale++
		}
		power *= 10
		unit.Scale++
	}
	v, err := money.MulDiv(subtotal, power, quantity)
	if err != nil || unit.Scale > money.MaxScale {
		t.Fail("a line of %d units cannot be priced", quantity)
		return nil
	}
	for unit.Unscaled = v; unit.Scale > 0 && unit.Unscaled%10 == 0; unit.Scale-- {
		unit.Unscaled /= 10
	}
	return unit
}

// partsOf names the taxes of one line, which refers to them by the id of their rate.
func (t *translation) partsOf(d *draft, l *draftLine) []*event.Tax {
	if len(l.taxes) == 0 {
		return nil
	}
	taxes := make([]*event.Tax, 0, len(l.taxes))
	for _, p := range l.taxes {
		x := &event.Tax{Amount: t.amount(p.minor)}
		for i := range d.taxes {
			if d.taxes[i].rate == p.rate {
				x.Title, x.RatePpm = d.taxes[i].label, d.taxes[i].ppm
				break
			}
		}
		taxes = append(taxes, x)
	}
	return taxes
}

func (t *translation) taxesOf(d *draft) []*event.Tax {
	var taxes []*event.Tax
	for _, l := range d.taxes {
		taxes = append(taxes, &event.Tax{Title: l.label, RatePpm: l.ppm, Amount: t.amount(l.minor)})
	}
	return taxes
}

// moneyOf checks that the order adds up:
//
//	lines − discounts + shipping + tax = total
//
// Every figure was rounded on its own before it was told, so that up to half a unit of each
// may be missing; the shop counts with more digits. What is missing is written down as a
// discount of kind "rounding". More than that is no order that we understand.
func (t *translation) moneyOf(d *draft) {
	o := d.order
	subtotal, discounts := int64(0), int64(0)
	for _, l := range o.Lines {
		subtotal = t.sum(subtotal, l.Total.Minor)
		discounts = t.sum(discounts, l.Discount.GetMinor())
	}
	shipping := int64(0)
	for _, s := range o.ShippingLines {
		shipping = t.sum(shipping, s.Price.Minor)
	}
	fees := int64(0)
	for _, f := range o.Discounts {
		fees = t.sum(fees, f.Amount.Minor)
	}
	t.couponsOf(d, discounts)
	discounts = t.sum(discounts, fees)
	parts := t.sum(t.sum(subtotal, t.neg(discounts)), t.sum(shipping, d.tax))
	if missing := t.sum(parts, t.neg(d.total)); missing != 0 && t.Err() == nil {
		rounded := int64(len(d.lines) + len(d.fees) + len(d.ships) + len(d.taxes) + 2)
		switch credit := t.credit(d); {
		case missing == credit:
			// Vouchers that are taken off the total and not off the lines.
			discounts = t.sum(discounts, credit)
		case missing <= rounded && -missing <= rounded:
			discounts = t.sum(discounts, missing)
			o.Discounts = append(o.Discounts, &event.Discount{Kind: "rounding", Amount: t.amount(missing)})
		default:
			t.Fail("the parts of the order come to %d, its total is %d (in the smallest unit of %s): lines %d, discounts %d, shipping %d, tax %d",
				parts, d.total, t.currency, subtotal, discounts, shipping, d.tax)
		}
	}
	o.Subtotal, o.TotalDiscounts, o.TotalShipping = t.amount(subtotal), t.amount(discounts), t.amount(shipping)
	o.TotalTax, o.Total = t.amount(d.tax), t.amount(d.total)
}

// couponsOf lists the discounts: coupons, and what was taken off lines without one.
func (t *translation) couponsOf(d *draft, ofLines int64) {
	var named int64
	for _, c := range d.coupons {
		named = t.sum(named, c.Amount.Minor)
	}
	all := d.coupons
	if rest := t.sum(ofLines, t.neg(named)); rest > 0 {
		all = append(all, &event.Discount{Kind: "line", Amount: t.amount(rest)})
	}
	d.order.Discounts = append(all, d.order.Discounts...)
}

// credit is how much more the coupons took off than the lines show.
func (t *translation) credit(d *draft) int64 {
	var named, ofLines int64
	for _, c := range d.coupons {
		named = t.sum(named, c.Amount.Minor)
	}
	for i := range d.lines {
		ofLines = t.sum(ofLines, t.sum(d.lines[i].subtotal, t.neg(d.lines[i].total)))
	}
	return max(0, t.sum(named, t.neg(ofLines)))
}

// percent turns a rate such as 19 or 8.875 per cent into millionths, rounded once.
func (t *translation) percent(text string) int64 {
	if text == "" || t.Err() != nil {
		return 0
	}
	rate, err := money.ParseDecimal(text)
	if err != nil {
		t.Fail("rate %v", err)
		return 0
	}
	num, den := int64(10_000), int64(1)
	for range rate.Scale {
		den *= 10
	}
	ppm, err := money.MulDiv(rate.Unscaled, num, den)
	if err != nil {
		t.Fail("rate %v", err)
	}
	return ppm
}
