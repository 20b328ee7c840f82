package amazon

import (
	"slices"

	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// category is what an amount of the proceeds is for.
type category int

const (
	catItem category = iota
	catShipping
	catGift
	catCash
	catOther
	catTax
	catDiscount
	categories
)

// categoryOf maps the type of a breakdown. One that is not known is counted among the others,
// so that the sum stays right.
func categoryOf(text string) category {
	switch text {
	case "ITEM":
		return catItem
	case "SHIPPING":
		return catShipping
	case "GIFT_WRAP":
		return catGift
	case "COD_FEE":
		return catCash
	case "TAX":
		return catTax
	case "DISCOUNT":
		return catDiscount
	}
	return catOther
}

// itemMoney is what one item brings, and what else has to wait for the whole order.
type itemMoney struct {
	by [categories]int64
	// shippingTax and shippingDiscount are the parts of tax and discount that are for shipping.
	shippingTax, shippingDiscount int64
	total                         int64
	// hasTotal and hasParts: proceedsTotal and breakdowns were told.
	hasTotal, hasParts bool
	unit               *event.Decimal
	// open is quantityUnfulfilled; executed: units of it were cancelled.
	open              int64
	hasOpen, executed bool
	remitted          bool
}

// item reads an order item into a line; its money waits in t.items.
func (t *translation) item(o *event.Order, p *orderParts) *event.OrderLine {
	r := t.r
	if !r.Object() {
		r.Unexpected("an order item")
		return nil
	}
	l := &event.OrderLine{}
	var m itemMoney
	var seen jsonread.Members
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "orderItemId":
			r.Once(&seen, 0)
			l.Id = r.Text()
		case "quantityOrdered":
			r.Once(&seen, 1)
			l.Quantity = r.Integer()
		case "product":
			r.Once(&seen, 2)
			t.product(l, &m)
		case "proceeds":
			r.Once(&seen, 3)
			t.itemProceeds(&m)
		case "promotion":
			r.Once(&seen, 4)
			t.promotions(p)
		case "cancellation":
			r.Once(&seen, 5)
			t.cancellation(o, &m)
		case "fulfillment":
			r.Once(&seen, 6)
			t.itemFulfilment(l, &m)
		case "tax":
			r.Once(&seen, 7)
			t.itemTax(&m)
		default:
			r.Skip()
		}
	}
	if r.Err() != nil {
		return nil
	}
	if l.Id == "" || l.Quantity < 0 || l.Fulfilled < 0 {
		r.Fail("an order item needs an id, and quantities that are not below zero")
		return nil
	}
	t.items = append(t.items, m)
	return l
}

// product reads what was bought. The listing is the seller's SKU: an ASIN may be sold under
// several, one from our warehouse and one from Amazon's.
func (t *translation) product(l *event.OrderLine, m *itemMoney) {
	r := t.r
	var seen jsonread.Members
	var asin string
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "asin":
			r.Once(&seen, 0)
			asin = r.Text()
		case "title":
			r.Once(&seen, 1)
			l.Title = r.Text()
		case "sellerSku":
			r.Once(&seen, 2)
			l.PlatformSku = r.Text()
		case "price":
			r.Once(&seen, 3)
			var told jsonread.Members
			if !r.Object() {
				continue
			}
			for key, ok := r.Next(); ok; key, ok = r.Next() {
				if key == "unitPrice" {
					r.Once(&told, 0)
					m.unit = t.price()
				} else {
					r.Skip()
				}
			}
		default:
			r.Skip()
		}
	}
	if l.ListingId = l.PlatformSku; l.ListingId == "" && asin != "" {
		l.ListingId = "asin:" + asin
	}
	l.ProductId = l.ListingId
}

func (t *translation) itemProceeds(m *itemMoney) {
	r := t.r
	var seen jsonread.Members
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "proceedsTotal":
			r.Once(&seen, 0)
			m.total, m.hasTotal = t.amount()
		case "breakdowns":
			r.Once(&seen, 1)
			t.each(func() { t.breakdown(m) })
		default:
			r.Skip()
		}
	}
}

// breakdown reads {"type", "subtotal", "detailedBreakdowns"}.
func (t *translation) breakdown(m *itemMoney) {
	r := t.r
	var seen jsonread.Members
	var kind string
	var minor, shipping int64
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "type":
			r.Once(&seen, 0)
			kind = r.Text()
		case "subtotal":
			r.Once(&seen, 1)
			minor, _ = t.amount()
		case "detailedBreakdowns":
			r.Once(&seen, 2)
			t.each(func() { shipping = t.sum(shipping, t.shippingPart()) })
		default:
			r.Skip()
		}
	}
	m.hasParts = true
	c := categoryOf(kind)
	m.by[c] = t.sum(m.by[c], minor)
	switch c {
	case catTax:
		m.shippingTax = t.sum(m.shippingTax, shipping)
	case catDiscount:
		m.shippingDiscount = t.sum(m.shippingDiscount, shipping)
	}
}

// shippingPart is the amount of {"subtype", "value"} when it is for shipping.
func (t *translation) shippingPart() int64 {
	r := t.r
	var seen jsonread.Members
	var kind string
	var minor int64
	if !r.Object() {
		return 0
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "subtype":
			r.Once(&seen, 0)
			kind = r.Text()
		case "value":
			r.Once(&seen, 1)
			minor, _ = t.amount()
		default:
			r.Skip()
		}
	}
	if kind == "SHIPPING" {
		return minor
	}
	return 0
}

func (t *translation) promotions(p *orderParts) {
	r := t.r
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		if key != "breakdowns" {
			r.Skip()
			continue
		}
		t.each(func() {
			if id := member(r, "promotionId"); id != "" && !slices.Contains(p.promotions, id) {
				p.promotions = append(p.promotions, id)
			}
		})
	}
}

func (t *translation) cancellation(o *event.Order, m *itemMoney) {
	r := t.r
	var seen jsonread.Members
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		if key != "cancellationExecution" {
			r.Skip() // a request is a wish: what came of it stands in the execution
			continue
		}
		r.Once(&seen, 0)
		if r.Null() {
			continue
		}
		m.executed = true
		if reason := member(r, "cancelReason"); o.CancelReason == "" {
			o.CancelReason = reason
		}
	}
}

func (t *translation) itemFulfilment(l *event.OrderLine, m *itemMoney) {
	r := t.r
	var seen jsonread.Members
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "quantityFulfilled":
			r.Once(&seen, 0)
			l.Fulfilled = r.Integer()
		case "quantityUnfulfilled":
			r.Once(&seen, 1)
			if !r.Null() {
				m.open, m.hasOpen = r.Integer(), true
			}
		default:
			r.Skip()
		}
	}
}

// itemTax reads who pays the tax to the state.
func (t *translation) itemTax(m *itemMoney) {
	r := t.r
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		if key != "taxCollections" {
			r.Skip()
			continue
		}
		t.each(func() {
			if member(r, "model") == "MARKETPLACE_FACILITATOR" {
				m.remitted = true
			}
		})
	}
}

// proceeds reads the order's own amounts. Of the breakdowns only the tip is the order's; the
// others are the items' once more.
func (t *translation) proceeds(p *orderParts) {
	r := t.r
	var seen jsonread.Members
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "grandTotal":
			r.Once(&seen, 0)
			p.grand, p.hasGrand = t.amount()
		case "breakdowns":
			r.Once(&seen, 1)
			t.each(func() {
				var told jsonread.Members
				var kind string
				var minor int64
				if !r.Object() {
					return
				}
				for key, ok := r.Next(); ok; key, ok = r.Next() {
					switch key {
					case "type":
						r.Once(&told, 0)
						kind = r.Text()
					case "subtotal":
						r.Once(&told, 1)
						minor, _ = t.amount()
					default:
						r.Skip()
					}
				}
				if kind == "DELIVERY_TIP" {
					p.tip = t.sum(p.tip, minor)
				}
			})
		default:
			r.Skip()
		}
	}
}

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
