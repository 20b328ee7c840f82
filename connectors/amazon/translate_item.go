package amazon

import (
	"slices"

	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
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
