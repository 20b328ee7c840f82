package ebay

// The totals of an order: what eBay says of them, and whether it adds up.

import (
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
)

// summary is PricingSummary.
type summary struct {
	subtotal, discount, delivery, deliveryDiscount, adjustment, fee, tax, total amount
}

func (t *translation) pricing(s *summary) {
	r := &t.r
	var seen jsonread.Members
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		var bit uint
		var into *amount
		switch key {
		case "priceSubtotal":
			bit, into = 0, &s.subtotal
		case "priceDiscount", "priceDiscountSubtotal":
			bit, into = 1, &s.discount
		case "deliveryCost":
			bit, into = 2, &s.delivery
		case "deliveryDiscount":
			bit, into = 3, &s.deliveryDiscount
		case "adjustment":
			bit, into = 4, &s.adjustment
		case "fee":
			bit, into = 5, &s.fee
		case "tax":
			bit, into = 6, &s.tax
		case "total":
			bit, into = 7, &s.total
		default:
			r.Skip()
			continue
		}
		r.Once(&seen, bit)
		*into = t.amount()
	}
}

// totals checks that the parts add up to the total, to the smallest unit.
func (t *translation) totals(d *orderDoc) {
	o, s := &d.Order, &d.price
	subtotal, lineTax, remitted, imports := int64(0), int64(0), int64(0), int64(0)
	for i, l := range o.Lines {
		subtotal = t.sum(subtotal, l.Total.GetMinor())
		for _, tax := range l.Taxes {
			lineTax = t.sum(lineTax, tax.Amount.GetMinor())
		}
		remitted = t.sum(remitted, d.lines[i].extra)
		imports = t.sum(imports, t.minor(d.lines[i].imports, "importCharges"))
	}
	if given := t.minor(s.subtotal, "pricingSummary.priceSubtotal"); s.subtotal.value != "" && given != subtotal && t.r.Err() == nil {
		t.r.Fail("pricingSummary.priceSubtotal is %d, the lines add up to %d (smallest units of %s)", given, subtotal, t.currency)
	}
	// Discounts are negative here by the contract; their sign is not relied on.
	discount := abs(t.minor(s.discount, "pricingSummary.priceDiscount"))
	freed := abs(t.minor(s.deliveryDiscount, "pricingSummary.deliveryDiscount"))
	adjustment := t.minor(s.adjustment, "pricingSummary.adjustment")
	delivery := t.minor(s.delivery, "pricingSummary.deliveryCost")
	// Fees of this kind (recycling) are levies: they stand among the taxes of the lines.
	tax := t.sum(t.minor(s.tax, "pricingSummary.tax"), t.minor(s.fee, "pricingSummary.fee"))
	total := t.minor(s.total, "pricingSummary.total")
	if t.r.Err() != nil {
		return
	}
	// What the contract leaves open is found out by what adds up: whether an adjustment is
	// told with its sign or as what is taken off, and whether tax that eBay remits, and import
	// charges, are in the total without being in the parts.
	rest := t.sum(total, -subtotal, discount, freed, -delivery, -tax)
	if t.r.Err() != nil {
		return
	}
	signed, ofTax, ofDelivery, ok := fit(rest, adjustment, remitted, imports)
	if !ok {
		t.r.Fail("pricingSummary.total is %d, its parts add up to %d (smallest units of %s)", total, total-rest+adjustment, t.currency)
		return
	}
	adjustment, tax, delivery = signed, t.sum(tax, ofTax), t.sum(delivery, ofDelivery)
	o.Subtotal, o.Total, o.TotalTax, o.TotalShipping = t.money(subtotal), t.money(total), t.money(tax), t.money(delivery)
	o.TotalDiscounts = t.money(t.sum(discount, freed, -adjustment))
	for _, part := range []struct {
		kind   string
		amount int64
	}{{"promotion", discount}, {"delivery", freed}, {"adjustment", -adjustment}} {
		// A price that was raised after the sale is a discount below zero.
		if part.amount != 0 {
			o.Discounts = append(o.Discounts, &event.Discount{Kind: part.kind, Amount: t.money(part.amount)})
		}
	}
	if delivery != 0 || d.shipCode != "" {
		o.ShippingLines = []*event.ShippingLine{{Id: "delivery", Code: d.shipCode, Title: d.shipCode, Price: t.money(delivery), Discount: t.nonZero(freed)}}
	}
	if tax != 0 {
		o.Taxes = t.orderTaxes(o.Lines, tax, lineTax)
	}
}

// fit finds what the rest of a total is: the adjustment with one of its signs, and with it
// nothing, the remitted tax, the import charges, or both. The plainest comes first.
func fit(rest, adjustment, remitted, imports int64) (signed, tax, delivery int64, ok bool) {
	for _, signed := range [...]int64{adjustment, -adjustment} {
		for _, more := range [...][2]int64{{0, 0}, {remitted, 0}, {0, imports}, {remitted, imports}} {
			if rest-signed == more[0]+more[1] {
				return signed, more[0], more[1], true
			}
		}
	}
	return 0, 0, 0, false
}

// orderTaxes adds up the lines' taxes by what they are; when they are not all of it, the
// order's own figure stands alone.
func (t *translation) orderTaxes(lines []*event.OrderLine, tax, lineTax int64) (all []*event.Tax) {
	if tax != lineTax {
		return []*event.Tax{{Title: "tax", Amount: t.money(tax)}}
	}
	for _, l := range lines {
	next:
		for _, one := range l.Taxes {
			for _, known := range all {
				if known.Title == one.Title && known.RemittedByPlatform == one.RemittedByPlatform {
					known.Amount.Minor = t.sum(known.Amount.Minor, one.Amount.Minor)
					continue next
				}
			}
			all = append(all, &event.Tax{Title: one.Title, Amount: t.money(one.Amount.Minor), RemittedByPlatform: one.RemittedByPlatform})
		}
	}
	return all
}

func abs(v int64) int64 {
	if v < 0 {
		return -v // amounts have fewer digits than the smallest int64: Parse bounds them
	}
	return v
}
