package woocommerce

import (
	"strings"

	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// draft is an order with what can be said only when all of it has been read: members of an
// object have no order.
type draft struct {
	order             *event.Order
	status            string
	modified, created int64
	completed         int64
	paid              bool
	total, tax        int64
	refunded, refunds int64
	lines             []draftLine
	fees              []draftLine
	ships             []draftLine
	taxes             []taxLine
	coupons           []*event.Discount
	billing, ship     place
}

// draftLine is a line, a fee or a shipping line.
type draftLine struct {
	id, product, variation, sku, name, code string
	quantity, restocked                     int64
	// subtotal is before, total after discounts, both without tax.
	subtotal, total int64
	taxes           []taxPart
}

// taxPart is what one tax rate takes of one line.
type taxPart struct {
	rate  string
	minor int64
}

// taxLine is what one tax rate takes of the order.
type taxLine struct {
	rate, label string
	ppm, minor  int64
}

// order reads an order. It is nil for a draft, which is a basket.
func (t *translation) order() *event.Order {
	if t.Peek() != '{' {
		t.Unexpected("an order")
		return nil
	}
	d := &draft{order: &event.Order{Connector: Name, Account: t.account}}
	// Amounts cannot be read without their currency, which WooCommerce writes near the top.
	t.in(t.currencyAhead())
	d.order.Currency = t.currency
	var seen jsonread.Members
	t.Object()
	for key, ok := t.Next(); ok; key, ok = t.Next() {
		t.orderMember(d, key, &seen)
	}
	if t.Err() != nil {
		return nil
	}
	return t.finish(d)
}

// currencyAhead looks for the order's currency.
func (t *translation) currencyAhead() (currency string) {
	r := jsonread.NewString(t.Source())
	r.Object()
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		if key == "currency" {
			return strings.ToUpper(r.Text())
		}
		r.Skip()
	}
	if r.Err() == nil {
		t.Fail("the order names no currency")
	} else {
		t.Skip() // finds the same mistake, with its place
	}
	return ""
}

func (t *translation) orderMember(d *draft, key string, seen *jsonread.Members) {
	o := d.order
	switch key {
	case "id":
		t.Once(seen, 0)
		o.Id = t.ID()
	case "number":
		t.Once(seen, 1)
		o.Name = t.Number()
	case "status":
		t.Once(seen, 2)
		d.status = t.Text()
	case "currency":
		t.Once(seen, 3)
		t.Skip()
	case "date_created_gmt":
		t.Once(seen, 4)
		d.created = t.gmt()
	case "date_modified_gmt":
		t.Once(seen, 5)
		d.modified = t.gmt()
	case "date_completed_gmt":
		t.Once(seen, 6)
		d.completed = t.gmt()
	case "date_paid_gmt":
		t.Once(seen, 7)
		d.paid = t.gmt() != 0
	case "total":
		t.Once(seen, 10)
		d.total = t.minor()
	case "total_tax":
		t.Once(seen, 11)
		d.tax = t.minor()
	case "customer_id":
		t.Once(seen, 12)
		if o.BuyerId = t.ID(); o.BuyerId == "0" {
			o.BuyerId = "" // a guest
		}
	case "billing":
		t.Once(seen, 13)
		d.billing = t.place()
	case "shipping":
		t.Once(seen, 14)
		d.ship = t.place()
	case "line_items":
		t.Once(seen, 15)
		t.each(func() { d.lines = append(d.lines, t.line()) })
	case "fee_lines":
		t.Once(seen, 16)
		t.each(func() { d.fees = append(d.fees, t.line()) })
	case "shipping_lines":
		t.Once(seen, 17)
		t.each(func() { d.ships = append(d.ships, t.line()) })
	case "tax_lines":
		t.Once(seen, 18)
		t.each(func() { d.taxes = append(d.taxes, t.taxLine()) })
	case "coupon_lines":
		t.Once(seen, 19)
		t.each(func() { d.coupons = append(d.coupons, t.coupon()) })
	case "refunds":
		t.Once(seen, 20)
		t.each(func() {
			d.refunds++
			d.refunded = t.sum(d.refunded, t.neg(t.refundTotal()))
		})
	default:
		t.Skip()
	}
}

// maxUnits of one line; beyond, no price of one can be told.
const maxUnits = 1_000_000_000

// line reads one entry of line_items, fee_lines or shipping_lines.
func (t *translation) line() (l draftLine) {
	if t.Peek() != '{' {
		t.Unexpected("a line")
		return l
	}
	var seen jsonread.Members
	hasSubtotal := false
	t.Object()
	for key, ok := t.Next(); ok; key, ok = t.Next() {
		switch key {
		case "id":
			t.Once(&seen, 0)
			l.id = t.ID()
		case "name", "method_title":
			t.Once(&seen, 1)
			l.name = t.loose()
		case "method_id":
			t.Once(&seen, 2)
			l.code = t.loose()
		case "product_id":
			t.Once(&seen, 3)
			l.product = t.ID()
		case "variation_id":
			t.Once(&seen, 4)
			l.variation = t.ID()
		case "quantity":
			t.Once(&seen, 5)
			l.quantity = t.Integer()
		case "sku":
			t.Once(&seen, 6)
			l.sku = t.Text()
		case "subtotal":
			t.Once(&seen, 7)
			hasSubtotal = true
			l.subtotal = t.minor()
		case "total":
			t.Once(&seen, 8)
			l.total = t.minor()
		case "taxes":
			t.Once(&seen, 9)
			t.each(func() {
				if p := t.taxPart(); p.rate != "" {
					l.taxes = append(l.taxes, p)
				}
			})
		case "meta_data":
			t.Once(&seen, 10)
			t.each(func() {
				if k, v := t.meta(); k == "_restock_refunded_items" {
					l.restocked = t.units(v)
				}
			})
		default:
			t.Skip()
		}
	}
	if t.Err() == nil && l.id == "" {
		t.Fail("a line needs an id")
	}
	if t.Err() == nil && (l.quantity < 0 || l.quantity > maxUnits) {
		t.Fail("a line of %d units", l.quantity)
	}
	if !hasSubtotal {
		l.subtotal = l.total
	}
	return l
}

// taxPart reads {"id": rate, "total", "subtotal"}.
func (t *translation) taxPart() (p taxPart) {
	var seen jsonread.Members
	if !t.Object() {
		return p
	}
	for key, ok := t.Next(); ok; key, ok = t.Next() {
		switch key {
		case "id":
			t.Once(&seen, 0)
			p.rate = t.ID()
		case "total":
			t.Once(&seen, 1)
			p.minor = t.rounded()
		default:
			t.Skip()
		}
	}
	return p
}

// rounded reads an amount that the shop tells with all the digits that it counts with, as it
// does for nothing but the parts of a line's tax.
func (t *translation) rounded() int64 {
	text := t.Number()
	if text == "" || t.Err() != nil {
		return 0
	}
	d, err := money.ParseDecimal(text)
	if err != nil {
		t.Fail("%v", err)
		return 0
	}
	v, err := money.Mul(d, 1, t.exponent)
	if err != nil {
		t.Fail("%v", err)
	}
	return v
}

// meta reads {"key", "value"}; a value that is no text is "".
func (t *translation) meta() (name, value string) {
	if !t.Object() {
		return "", ""
	}
	for key, ok := t.Next(); ok; key, ok = t.Next() {
		switch key {
		case "key":
			name = t.loose()
		case "value":
			value = t.loose()
		default:
			t.Skip()
		}
	}
	return name, value
}

// units reads a count out of meta data.
func (t *translation) units(text string) int64 {
	if text == "" || t.Err() != nil {
		return 0
	}
	n := int64(0)
	for i := range len(text) {
		c := text[i] - '0'
		if c > 9 || i >= 15 {
			t.Fail("%q is not a count of units", jsonread.Clip(text))
			return 0
		}
		n = n*10 + int64(c)
	}
	return n
}

// taxLine reads one entry of tax_lines.
func (t *translation) taxLine() (l taxLine) {
	if t.Peek() != '{' {
		t.Unexpected("a tax line")
		return l
	}
	var seen jsonread.Members
	var shipping int64
	t.Object()
	for key, ok := t.Next(); ok; key, ok = t.Next() {
		switch key {
		case "rate_id":
			t.Once(&seen, 0)
			l.rate = t.ID()
		case "label":
			t.Once(&seen, 1)
			l.label = t.loose()
		case "rate_percent":
			t.Once(&seen, 2)
			l.ppm = t.percent(t.Number())
		case "tax_total":
			t.Once(&seen, 3)
			l.minor = t.minor()
		case "shipping_tax_total":
			t.Once(&seen, 4)
			shipping = t.minor()
		default:
			t.Skip()
		}
	}
	l.minor = t.sum(l.minor, shipping)
	return l
}

// coupon reads one entry of coupon_lines.
func (t *translation) coupon() *event.Discount {
	c := &event.Discount{Kind: "coupon"}
	var seen jsonread.Members
	if !t.Object() {
		t.Unexpected("a coupon")
		return c
	}
	var minor int64
	for key, ok := t.Next(); ok; key, ok = t.Next() {
		switch key {
		case "code":
			t.Once(&seen, 0)
			c.Code = t.loose()
		case "discount":
			t.Once(&seen, 1)
			minor = t.minor()
		case "discount_type":
			t.Once(&seen, 2)
			if kind := t.loose(); kind != "" {
				c.Kind = kind
			}
		default:
			t.Skip()
		}
	}
	c.Amount = t.amount(minor)
	return c
}

// refundTotal reads the total of one of the order's refunds, which is below zero.
func (t *translation) refundTotal() (minor int64) {
	if !t.Object() {
		return 0
	}
	for key, ok := t.Next(); ok; key, ok = t.Next() {
		if key == "total" {
			minor = t.minor()
		} else {
			t.Skip()
		}
	}
	return minor
}
