package ebay

import (
	"slices"

	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// lineDoc is a line while it is being read.
type lineDoc struct {
	*event.OrderLine
	item, variation, sku string
	status               string
	cost, discounted     amount
	hasDiscounted        bool
	imports              amount
	taxes, remitted      []taxDoc
	refunds              []refundDoc
	gift                 bool
	// extra is tax that eBay remits and that stands among no other taxes.
	extra int64
}

type taxDoc struct {
	kind   string
	amount amount
}

func (t *translation) line(d *orderDoc) {
	r := &t.r
	if !r.Object() {
		return
	}
	l := lineDoc{OrderLine: &event.OrderLine{}}
	var seen jsonread.Members
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "lineItemId":
			r.Once(&seen, 0)
			l.Id = r.Text()
		case "legacyItemId":
			r.Once(&seen, 1)
			l.item = r.ID()
		case "legacyVariationId":
			r.Once(&seen, 2)
			l.variation = r.ID()
		case "sku":
			r.Once(&seen, 3)
			l.sku = r.Text()
		case "title":
			r.Once(&seen, 4)
			l.Title = r.Text()
		case "quantity":
			r.Once(&seen, 5)
			l.Quantity = r.Integer()
		case "lineItemCost":
			r.Once(&seen, 6)
			l.cost = t.amount()
		case "discountedLineItemCost":
			r.Once(&seen, 7)
			l.discounted, l.hasDiscounted = t.amount(), true
		case "lineItemFulfillmentStatus":
			r.Once(&seen, 8)
			l.status = r.Text()
		case "taxes":
			r.Once(&seen, 9)
			t.each(func() { l.taxes = append(l.taxes, t.tax()) })
		case "ebayCollectAndRemitTaxes":
			r.Once(&seen, 10)
			t.each(func() { l.remitted = append(l.remitted, t.tax()) })
		case "deliveryCost":
			r.Once(&seen, 11)
			l.imports = t.importCharges()
		case "refunds":
			r.Once(&seen, 12)
			t.each(func() { l.refunds = append(l.refunds, t.refund(l.Id)) })
		case "giftDetails":
			r.Once(&seen, 13)
			if !r.Null() {
				l.gift = true
				r.Skip()
			}
		default:
			r.Skip()
		}
	}
	if r.Err() != nil {
		return
	}
	if l.Id == "" || l.cost.value == "" {
		r.Fail("a line needs lineItemId and lineItemCost")
		return
	}
	if l.Quantity < 1 {
		r.Fail("a line of %d units", l.Quantity)
		return
	}
	d.lines = append(d.lines, l)
}

func (t *translation) tax() (x taxDoc) {
	r := &t.r
	var seen jsonread.Members
	if !r.Object() {
		return x
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "taxType":
			r.Once(&seen, 0)
			x.kind = r.Text()
		case "amount":
			r.Once(&seen, 1)
			x.amount = t.amount()
		default:
			r.Skip()
		}
	}
	return x
}

func (t *translation) importCharges() (a amount) {
	r := &t.r
	if !r.Object() {
		return a
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		if key == "importCharges" {
			a = t.amount()
		} else {
			r.Skip()
		}
	}
	return a
}

// ListingID is what an order line names and what stock is written to: the SKU, under which
// the Inventory API keeps quantities, or, for a listing without one, item and variation in
// the form of the Browse API: "v1|item|variation".
func listingID(sku, item, variation string) string {
	if sku != "" {
		return sku
	}
	if variation == "" {
		variation = "0"
	}
	return "v1|" + item + "|" + variation
}

// finishLine turns a line into the order's line, once the currency is known.
func (t *translation) finishLine(d *orderDoc, l *lineDoc) {
	if l.sku == "" && l.item == "" {
		t.r.Fail("line %s names neither sku nor legacyItemId", jsonread.Clip(l.Id))
		return
	}
	o := l.OrderLine
	o.ListingId, o.ProductId, o.PlatformSku = listingID(l.sku, l.item, l.variation), l.item, l.sku
	total := t.minor(l.cost, "lineItemCost")
	o.Total = t.money(total)
	o.UnitPrice = t.unitPrice(total, o.Quantity)
	if l.hasDiscounted {
		o.Discount = t.nonZero(t.sum(total, -t.minor(l.discounted, "discountedLineItemCost")))
	}
	// Nothing of ours leaves for what eBay sends from its own warehouse, or as a code.
	o.Stocked = !d.byEbay && !d.digital && !l.gift && (l.sku == "" || !slices.Contains(t.services, l.sku))
	switch l.status {
	case "FULFILLED":
		o.Fulfilled = o.Quantity
	case "IN_PROGRESS":
		for _, s := range d.shipped {
			if s.line == o.Id {
				o.Fulfilled = min(o.Quantity, o.Fulfilled+s.units)
			}
		}
	}
	t.lineTaxes(l)
	for i := range l.refunds {
		l.refunds[i].line = o.Id // members come in any order
	}
	d.Order.Lines = append(d.Order.Lines, o)
}

// unitPrice is total ÷ quantity: eBay tells the product only. Where it does not divide, six
// more decimals give the total again when multiplied.
func (t *translation) unitPrice(total, quantity int64) *event.Decimal {
	if t.r.Err() != nil {
		return nil
	}
	exponent, _ := money.Exponent(provider, t.currency)
	if total%quantity == 0 {
		return &event.Decimal{Unscaled: total / quantity, Scale: int32(exponent)}
	}
	fine, err := money.MulDiv(total, 1_000_000, quantity)
	if err != nil {
		t.r.Fail("lineItemCost ÷ quantity: %v", err)
		return nil
	}
	price := &event.Decimal{Unscaled: fine, Scale: int32(exponent + 6)}
	if back, err := money.Mul(price, quantity, exponent); err != nil || back != total {
		t.r.Fail("lineItemCost of %d cannot be divided by %d units", total, quantity)
		return nil
	}
	return price
}

// lineTaxes reads the taxes that were paid, and marks those that eBay remits itself: they
// stand in both lists with the same type.
func (t *translation) lineTaxes(l *lineDoc) {
	left := l.remitted
	for _, x := range l.taxes {
		minor := t.minor(x.amount, "taxes")
		if minor == 0 {
			continue
		}
		tax := &event.Tax{Title: x.kind, Amount: t.money(minor)}
		for i, own := range left {
			if (x.kind == "" || own.kind == x.kind) && t.minor(own.amount, "ebayCollectAndRemitTaxes") == minor {
				tax.RemittedByPlatform = true
				if tax.Title == "" {
					tax.Title = own.kind
				}
				left = append(left[:i:i], left[i+1:]...)
				break
			}
		}
		l.Taxes = append(l.Taxes, tax)
	}
	for _, own := range left {
		l.extra = t.sum(l.extra, t.minor(own.amount, "ebayCollectAndRemitTaxes"))
	}
}
