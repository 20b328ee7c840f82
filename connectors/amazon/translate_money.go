package amazon

// What the order brings, and that its parts make the whole. It is apart from reading the
// items because none of it can be said before all of them were read.

import (
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// extraDigits is how much finer than the currency a unit price is that had to be worked out.
const extraDigits = 6

// settle works out one item: what the goods cost, whether its tax lies within or on top, and
// that the parts make the whole.
func (t *translation) settle(i int, l *event.OrderLine, exponent int) (inclusive, known bool) {
	m := &t.items[i]
	if !m.hasParts {
		switch {
		case m.hasTotal:
			m.by[catItem] = m.total
		case m.unit != nil:
			minor, err := money.Mul(m.unit, l.Quantity, exponent)
			if err != nil {
				t.r.Fail("order item %s: quantity × price: %v", jsonread.Clip(l.Id), err)
				return false, false
			}
			m.by[catItem] = minor
		default:
			return false, false // nothing is known of its money yet
		}
	}
	// A discount is written with either sign: it makes the whole smaller.
	if m.by[catDiscount] < 0 {
		m.by[catDiscount], m.shippingDiscount = -m.by[catDiscount], -m.shippingDiscount
	}
	net := t.sum(m.by[catItem], m.by[catShipping], m.by[catGift], m.by[catCash], m.by[catOther], -m.by[catDiscount])
	gross := t.sum(net, m.by[catTax])
	switch {
	case !m.hasTotal || gross == m.total:
		m.total = gross
	case net == m.total:
		inclusive = true
	default:
		t.r.Fail("order item %s: its parts make %d and its proceedsTotal is %d (smallest units of %s)", jsonread.Clip(l.Id), gross, m.total, t.currency)
		return false, false
	}
	l.Total = t.money(m.by[catItem])
	l.Discount = t.nonZero(t.sum(m.by[catDiscount], -m.shippingDiscount))
	if own := t.sum(m.by[catTax], -m.shippingTax); own != 0 {
		l.Taxes = []*event.Tax{{Title: "TAX", Amount: t.money(own), RemittedByPlatform: m.remitted}}
	}
	l.UnitPrice = t.unitPrice(m, l.Quantity, exponent)
	return inclusive, true
}

// unitPrice is the one that Amazon names when the goods cost a multiple of it, and otherwise
// what they cost divided by the units, finer than the currency, so that the multiple is right
// to the cent: a price with tax beside an amount without, goods that are sold by weight.
func (t *translation) unitPrice(m *itemMoney, units int64, exponent int) *event.Decimal {
	if m.unit != nil {
		if minor, err := money.Mul(m.unit, units, exponent); err == nil && (minor == m.by[catItem] || units == 0) {
			return m.unit
		}
	}
	if units == 0 {
		return &event.Decimal{Unscaled: m.by[catItem], Scale: int32(exponent)}
	}
	unscaled, err := money.MulDiv(m.by[catItem], 1_000_000, units)
	if err != nil {
		t.r.Fail("price of one of %d units: %v", units, err)
		return nil
	}
	return &event.Decimal{Unscaled: unscaled, Scale: int32(exponent + extraDigits)}
}

// totals adds up the order. Amazon gives everything by item; what is not for the goods is
// gathered: shipping into one shipping line, each other fee into a line that nothing in stock
// belongs to. lines + shipping − discounts (+ tax, where it lies on top) = total, or the order
// is refused.
func (t *translation) totals(o *event.Order, p *orderParts) {
	if t.r.Err() != nil || t.currency == "" {
		return
	}
	exponent, ok := money.Exponent(provider, t.currency)
	if !ok {
		t.r.Fail("currency %q is not known", jsonread.Clip(t.currency))
		return
	}
	var sums [categories]int64
	var shippingTax, shippingDiscount, total, tax, remittedTax int64
	known, inclusive, exclusive := false, false, false
	for i, l := range o.Lines {
		in, is := t.settle(i, l, exponent)
		if t.r.Err() != nil {
			return
		}
		m := &t.items[i]
		known = known || is
		if m.by[catTax] != 0 {
			inclusive, exclusive = inclusive || in, exclusive || !in
		}
		for c := range m.by {
			sums[c] = t.sum(sums[c], m.by[c])
		}
		shippingTax, shippingDiscount = t.sum(shippingTax, m.shippingTax), t.sum(shippingDiscount, m.shippingDiscount)
		total, tax = t.sum(total, m.total), t.sum(tax, m.by[catTax])
		if m.remitted {
			remittedTax = t.sum(remittedTax, m.by[catTax])
		}
	}
	if inclusive && exclusive {
		t.r.Fail("some items hold their tax and some have it on top")
		return
	}
	if !known {
		return // what is reserved is known, what it brings is not yet
	}
	if p.hasGrand {
		switch p.grand {
		case total:
			p.tip = 0 // it has not been charged yet
		case t.sum(total, p.tip):
			total = p.grand
		default:
			t.r.Fail("proceeds.grandTotal is %d and the items make %d (smallest units of %s)", p.grand, total, t.currency)
			return
		}
	}
	o.TaxesIncluded = inclusive
	subtotal := sums[catItem]
	for _, fee := range []struct {
		id, title string
		minor     int64
	}{
		{"fee/gift-wrap", "Gift wrap", sums[catGift]}, {"fee/cash-on-delivery", "Cash on delivery", sums[catCash]},
		{"fee/other", "Other", sums[catOther]}, {"fee/delivery-tip", "Delivery tip", p.tip},
	} {
		if fee.minor == 0 {
			continue
		}
		subtotal = t.sum(subtotal, fee.minor)
		o.Lines = append(o.Lines, &event.OrderLine{
			Id: fee.id, Title: fee.title, Quantity: 1, UnitPrice: &event.Decimal{Unscaled: fee.minor, Scale: int32(exponent)}, Total: t.money(fee.minor),
		})
	}
	if sums[catShipping] != 0 || shippingTax != 0 || shippingDiscount != 0 {
		s := &event.ShippingLine{Id: "shipping", Code: "SHIPPING", Title: "Shipping", Price: t.money(sums[catShipping]), Discount: t.nonZero(shippingDiscount)}
		if shippingTax != 0 {
			s.Taxes = []*event.Tax{{Title: "TAX", Amount: t.money(shippingTax), RemittedByPlatform: remittedTax != 0}}
		}
		o.ShippingLines = []*event.ShippingLine{s}
	}
	if d := sums[catDiscount]; d != 0 {
		discount := &event.Discount{Kind: "promotion", Amount: t.money(d)}
		if len(p.promotions) == 1 {
			discount.Code = p.promotions[0] // of several it is not told which gave how much
		}
		o.Discounts = []*event.Discount{discount}
	}
	for _, part := range []struct {
		minor    int64
		remitted bool
	}{{t.sum(tax, -remittedTax), false}, {remittedTax, true}} {
		if part.minor != 0 {
			o.Taxes = append(o.Taxes, &event.Tax{Title: "TAX", Amount: t.money(part.minor), RemittedByPlatform: part.remitted})
		}
	}
	o.Subtotal, o.TotalShipping = t.money(subtotal), t.money(sums[catShipping])
	o.TotalDiscounts, o.TotalTax, o.Total = t.money(sums[catDiscount]), t.money(tax), t.money(total)
}
