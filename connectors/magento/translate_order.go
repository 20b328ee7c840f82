package magento

import (
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// orderHead is what of an order has to wait until all of it was read.
type orderHead struct {
	currency                     string // of the buyer
	state                        string
	total, shownTotal            string
	discount, compensation       string
	tax, shipping, shippingTax   string
	shipDiscount, shipCompensate string
	paid, refunded, authorised   string
	coupon, rule                 string
	method, carrier              string
	first, last                  string
	shipTo, billTo               *event.PostalAddress
	taxes                        []orderTax
	items                        []item
	others                       others
	cancelled                    int64
	memos                        []memo
	shipments                    []shipment
}

// others is what Adobe Commerce adds to a total: wrapping costs, and what was paid with a
// gift card, store credit or reward points is taken off the total.
type others struct{ giftCards, credit, points, wrapping, wrappedItems, card string }

type orderTax struct{ title, percent, amount string }

// orderEnvelope reads {"order": node, "creditmemos": […], "shipments": […]}.
func (t *translation) orderEnvelope() *event.Order {
	r := &t.r
	var seen jsonread.Members
	var h orderHead
	var o *event.Order
	if !r.Object() {
		r.Unexpected("an object")
		return nil
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "order":
			r.Once(&seen, 0)
			o = t.order(&h)
		case "creditmemos":
			r.Once(&seen, 1)
			for ok := r.Array(); ok && r.More(); {
				h.memos = append(h.memos, t.memo())
			}
		case "shipments":
			r.Once(&seen, 2)
			for ok := r.Array(); ok && r.More(); {
				h.shipments = append(h.shipments, t.shipment())
			}
		default:
			r.Skip()
		}
	}
	if r.Err() == nil && o == nil {
		r.Fail("order is missing")
	}
	if r.Err() == nil {
		t.finish(o, &h)
	}
	if r.Err() != nil {
		return nil
	}
	return o
}

// order reads the node. Amounts are taken in the base currency, the currency of the shop's
// books, in which all of an order's amounts add up; what the buyer was shown is told beside.
func (t *translation) order(h *orderHead) *event.Order {
	r := &t.r
	if !r.Object() {
		r.Unexpected("an order")
		return nil
	}
	o := &event.Order{Connector: Name, Account: t.account, Personal: &event.PersonalData{}}
	var seen jsonread.Members
	text := func(bit uint, to *string) {
		r.Once(&seen, bit)
		*to = r.Text()
	}
	number := func(bit uint, to *string) {
		r.Once(&seen, bit)
		*to = r.Number()
	}
	strict := true
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "entity_id":
			r.Once(&seen, 0)
			o.Id = r.ID()
		case "increment_id":
			text(1, &o.Name)
		case "created_at":
			r.Once(&seen, 2)
			o.CreatedMs = instant(r)
		case "updated_at":
			r.Once(&seen, 3)
			o.UpdatedMs = instant(r)
		case "state":
			text(4, &h.state)
		case "base_currency_code":
			text(5, &t.base)
		case "order_currency_code":
			text(6, &h.currency)
		case "base_grand_total":
			number(7, &h.total)
		case "grand_total":
			number(8, &h.shownTotal)
		case "base_discount_amount":
			number(9, &h.discount)
		case "base_discount_tax_compensation_amount":
			number(10, &h.compensation)
		case "base_tax_amount":
			number(11, &h.tax)
		case "base_shipping_amount":
			number(12, &h.shipping)
		case "base_shipping_tax_amount":
			number(13, &h.shippingTax)
		case "base_shipping_discount_amount":
			number(14, &h.shipDiscount)
		case "base_shipping_discount_tax_compensation_amnt":
			number(15, &h.shipCompensate)
		case "base_total_paid":
			number(16, &h.paid)
		case "base_total_refunded":
			number(17, &h.refunded)
		case "coupon_code":
			text(18, &h.coupon)
		case "discount_description":
			text(19, &h.rule)
		case "shipping_description":
			text(20, &h.carrier)
		case "customer_id":
			r.Once(&seen, 21)
			o.BuyerId = r.ID()
		case "customer_email":
			text(22, &o.Personal.Email)
		case "customer_firstname":
			text(23, &h.first)
		case "customer_lastname":
			text(24, &h.last)
		case "ext_order_id":
			text(25, &o.Reference)
		case "billing_address":
			r.Once(&seen, 26)
			h.billTo = t.address()
		case "payment":
			r.Once(&seen, 27)
			h.authorised = member(r, "base_amount_authorized")
		case "status_histories":
			r.Once(&seen, 28)
			h.cancelled = cancelledAt(r)
		case "items":
			r.Once(&seen, 29)
			for ok := r.Array(); ok && r.More(); {
				h.items = append(h.items, readItem(r, &strict))
			}
		case "extension_attributes":
			r.Once(&seen, 30)
			t.extensions(h)
		default:
			r.Skip()
		}
	}
	if r.Err() == nil && (o.Id == "" || t.base == "" || o.UpdatedMs == 0 || h.total == "") {
		r.Fail("an order needs entity_id, base_currency_code, updated_at and base_grand_total")
	}
	return o
}

// member reads one figure of an object.
func member(r *jsonread.Reader, name string) (text string) {
	if !r.Object() {
		return ""
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		if key == name {
			text = r.Number()
		} else {
			r.Skip()
		}
	}
	return text
}

// cancelledAt is the first time that the history speaks of a cancellation; an order has no
// such time of its own.
func cancelledAt(r *jsonread.Reader) (at int64) {
	for ok := r.Array(); ok && r.More(); {
		if !r.Object() {
			continue
		}
		var status string
		var when int64
		for key, ok := r.Next(); ok; key, ok = r.Next() {
			switch key {
			case "status":
				status = r.Text()
			case "created_at":
				when = instant(r)
			default:
				r.Skip()
			}
		}
		if status == "canceled" && when > 0 && (at == 0 || when < at) {
			at = when
		}
	}
	return at
}

func (t *translation) extensions(h *orderHead) {
	r := &t.r
	// PHP writes an empty object as an empty list.
	if r.Peek() == '[' || !r.Object() {
		r.Skip()
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "shipping_assignments":
			for ok := r.Array(); ok && r.More(); {
				t.assignment(h)
			}
		case "applied_taxes":
			for ok := r.Array(); ok && r.More(); {
				h.taxes = append(h.taxes, t.appliedTax())
			}
		case "base_gift_cards_amount":
			h.others.giftCards = r.Number()
		case "base_customer_balance_amount":
			h.others.credit = r.Number()
		case "base_reward_currency_amount":
			h.others.points = r.Number()
		case "gw_base_price":
			h.others.wrapping = r.Number()
		case "gw_items_base_price":
			h.others.wrappedItems = r.Number()
		case "gw_card_base_price":
			h.others.card = r.Number()
		default:
			r.Skip()
		}
	}
}

// assignment reads where the goods go. There is one: Magento has no orders to several
// addresses, it makes several orders.
func (t *translation) assignment(h *orderHead) {
	r := &t.r
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		if key != "shipping" || !r.Object() {
			r.Skip()
			continue
		}
		for key, ok := r.Next(); ok; key, ok = r.Next() {
			switch key {
			case "address":
				h.shipTo = t.address()
			case "method":
				h.method = r.Text()
			default:
				r.Skip()
			}
		}
	}
}

func (t *translation) appliedTax() (tax orderTax) {
	r := &t.r
	if !r.Object() {
		return tax
	}
	var name string
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "title":
			tax.title = r.Text()
		case "code":
			name = r.Text()
		case "percent":
			tax.percent = r.Number()
		case "base_amount":
			tax.amount = r.Number()
		default:
			r.Skip()
		}
	}
	if tax.title == "" {
		tax.title = name
	}
	return tax
}

// finish says what can be said only when all of the order has been read.
func (t *translation) finish(o *event.Order, h *orderHead) {
	r := &t.r
	if _, ok := money.Exponent(Name, t.base); !ok {
		r.Fail("base_currency_code %q is not known", jsonread.Clip(t.base))
		return
	}
	o.Currency = t.base
	// A shipment moves the lines' time of change and not the order's.
	for i := range h.items {
		o.UpdatedMs = max(o.UpdatedMs, h.items[i].updated)
	}
	t.lines = goodsOf(h.items)
	o.Lines = make([]*event.OrderLine, 0, len(t.lines))
	subtotal := int64(0)
	for i := range t.lines {
		l := t.line(&t.lines[i])
		if r.Err() != nil {
			return
		}
		subtotal = t.sum(subtotal, l.Total.GetMinor())
		o.Lines = append(o.Lines, l)
	}
	o.Refunds = t.refunds(o.Id, h)
	t.totals(o, h, subtotal)
	t.status(o, h)
	t.people(o, h)
}

// line makes one of our lines.
func (t *translation) line(g *goods) *event.OrderLine {
	r := &t.r
	if g.id == "" || g.ordered < 0 || g.shipped < 0 || g.cancelled < 0 {
		r.Fail("order line %q of %d units, %d shipped, %d cancelled", g.id, g.ordered, g.shipped, g.cancelled)
		return nil
	}
	l := &event.OrderLine{
		Id: g.id, ListingId: g.product, ProductId: g.product, PlatformSku: g.sku, Title: g.name,
		Quantity: g.ordered, Fulfilled: g.shipped, Removed: g.cancelled, Stocked: g.stocked,
		UnitPrice: &event.Decimal{}, Total: t.amount(0),
	}
	paid := g.money
	if paid == nil {
		return l
	}
	if paid.price != "" {
		if err := money.ParseDecimalInto(l.UnitPrice, paid.price); err != nil {
			r.Fail("base_price of line %s: %v", g.id, err)
			return nil
		}
	}
	// The row total is Magento's own rounding of quantity × price: with prices that include tax
	// the price is a rounded one, and multiplying it again loses cents.
	l.Total.Minor = t.minor("base_row_total", paid.row)
	l.Discount = t.nonZero(t.discount(paid.discount, paid.compensation))
	if tax := t.minor("base_tax_amount", paid.tax); tax != 0 {
		l.Taxes = append(l.Taxes, &event.Tax{RatePpm: t.rate(paid.percent), Amount: t.amount(tax)})
	}
	return l
}

// discount is a discount without tax. Where prices include tax, so does a discount: Magento
// then keeps the tax that it held apart, and adds it to the total again.
func (t *translation) discount(with, compensation string) int64 {
	return t.sum(t.minor("discount", with), -t.minor("discount_tax_compensation", compensation))
}

// rate turns a percentage into millionths.
func (t *translation) rate(percent string) int64 {
	if percent == "" || t.r.Err() != nil {
		return 0
	}
	var d event.Decimal
	if err := money.ParseDecimalInto(&d, percent); err != nil {
		t.r.Fail("tax percent: %v", err)
		return 0
	}
	// 1 % is 10,000 millionths; a rate is told with four decimals at most.
	ppm, err := money.Mul(&d, 10_000, 0)
	if err != nil {
		t.r.Fail("tax percent: %v", err)
	}
	return ppm
}
