package simulator

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// object is a JSON object; encoding/json sorts the members, as Magento nearly does.
type object = map[string]any

// clock is a time as Magento writes it.
func clock(unix int64) string { return time.Unix(unix, 0).UTC().Format("2006-01-02 15:04:05") }

// amount is a number as PHP writes it: no zeros at the end.
func (s *Simulator) amount(minor int64) json.Number {
	text, err := money.Format("magento", &event.Money{Minor: minor, Currency: s.cfg.Currency})
	if err != nil {
		panic(err) // the currency was checked when the shop was made
	}
	return trimmed(text)
}

func trimmed(text string) json.Number {
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return json.Number(text)
}

func number(d *event.Decimal) json.Number {
	text, err := money.FormatDecimal(d)
	if err != nil {
		panic(err) // it was parsed from text
	}
	return trimmed(text)
}

// both sets an amount under its name in the buyer's currency and, with base_ before it, in the
// shop's.
func (s *Simulator) both(into object, o *order, name string, minor int64) {
	into["base_"+name] = s.amount(minor)
	into[name] = s.shown(o, minor)
}

// shown is an amount in the currency that the buyer saw.
func (s *Simulator) shown(o *order, minor int64) json.Number {
	if o.spec.Currency == "" || o.spec.Currency == s.cfg.Currency {
		return s.amount(minor)
	}
	rate, err := money.ParseDecimal(o.spec.Rate)
	if err != nil {
		panic("simulator: rate " + o.spec.Rate)
	}
	to, _ := money.Exponent("magento", o.spec.Currency)
	converted, err := money.Convert(minor, s.exponent, to, &event.Decimal{Unscaled: 1}, rate)
	if err != nil {
		panic(err)
	}
	text, err := money.Format("magento", &event.Money{Minor: converted, Currency: o.spec.Currency})
	if err != nil {
		panic(err)
	}
	return trimmed(text)
}

func (s *Simulator) orderJSON(o *order) any {
	items := make([]any, len(o.items))
	qty := int64(0)
	for i, it := range o.items {
		items[i] = s.itemJSON(o, it)
		if it.parent == nil {
			qty += it.ordered
		}
	}
	currency := o.spec.Currency
	if currency == "" {
		currency = s.cfg.Currency
	}
	c := o.spec.Customer
	if c == nil {
		c = &Customer{}
	}
	v := object{
		"entity_id": o.id, "increment_id": o.name, "created_at": clock(o.created), "updated_at": clock(o.updated),
		"state": o.state, "status": status(o.state), "store_id": 1, "store_name": s.cfg.Name, "is_virtual": 0,
		"base_currency_code": s.cfg.Currency, "global_currency_code": s.cfg.Currency, "store_currency_code": s.cfg.Currency, "order_currency_code": currency,
		"customer_email": c.Email, "customer_firstname": c.FirstName, "customer_lastname": c.LastName, "customer_is_guest": 1,
		"total_qty_ordered": qty, "total_item_count": len(o.items), "items": items,
		"base_shipping_discount_tax_compensation_amnt": 0,
		"payment": object{"method": "checkmo", "parent_id": o.id, "entity_id": o.id, "account_status": nil, "cc_last4": nil,
			"additional_information": []any{"Check / Money order"}, "base_amount_ordered": s.amount(o.total()), "amount_ordered": s.shown(o, o.total())},
		"shipping_description": "Flat Rate - Fixed",
	}
	if c.ID != 0 {
		v["customer_id"], v["customer_is_guest"] = c.ID, 0
	}
	if o.spec.DiscountCode != "" {
		v["coupon_code"], v["discount_description"] = o.spec.DiscountCode, o.spec.DiscountCode
	}
	if o.reference != "" {
		v["ext_order_id"] = o.reference
	}
	for name, minor := range map[string]int64{
		"grand_total": o.total(), "subtotal": o.subtotal, "discount_amount": -o.discount, "tax_amount": o.tax,
		"discount_tax_compensation_amount": o.compensation, "shipping_amount": o.shipping, "shipping_tax_amount": 0,
		"shipping_discount_amount": 0, "total_due": o.total() - o.paid,
	} {
		s.both(v, o, name, minor)
	}
	if o.paid > 0 {
		s.both(v, o, "total_paid", o.paid)
		s.both(v, o, "total_invoiced", o.paid)
	}
	if o.refunded > 0 {
		s.both(v, o, "total_refunded", o.refunded)
		s.both(v, o, "total_offline_refunded", o.refunded)
	}
	histories := []any{}
	if o.cancelled != 0 {
		histories = append(histories, object{"comment": nil, "created_at": clock(o.cancelled), "entity_id": o.id, "entity_name": "order",
			"is_customer_notified": 0, "is_visible_on_front": 0, "parent_id": o.id, "status": "canceled"})
	}
	v["status_histories"] = histories
	shipTo, billTo := o.spec.Shipping, o.spec.Billing
	if billTo == nil {
		billTo = shipTo
	}
	if billTo != nil {
		v["billing_address"] = addressJSON(o, billTo, c, "billing")
	}
	shipping := object{"method": "flatrate_flatrate", "total": object{"base_shipping_amount": s.amount(o.shipping), "shipping_amount": s.shown(o, o.shipping)}}
	if shipTo != nil {
		shipping["address"] = addressJSON(o, shipTo, c, "shipping")
	}
	taxes := []any{}
	if o.tax != 0 {
		taxes = append(taxes, object{"code": o.spec.TaxTitle, "title": o.spec.TaxTitle, "percent": percent(o.spec.TaxRate), "amount": s.shown(o, o.tax), "base_amount": s.amount(o.tax)})
	}
	v["extension_attributes"] = object{
		"shipping_assignments": []any{object{"shipping": shipping, "items": items}},
		"applied_taxes":        taxes, "item_applied_taxes": []any{}, "converting_from_quote": false,
		"payment_additional_info": []any{object{"key": "method_title", "value": "Check / Money order"}},
	}
	return v
}

// status is the name that a state has when nobody invented another.
func status(state string) string {
	if state == "new" {
		return "pending"
	}
	return state
}

func percent(rate string) json.Number {
	d, err := money.ParseDecimal(rate)
	if err != nil {
		return "0"
	}
	ppm, err := money.Mul(d, 1_000_000, 0)
	if err != nil {
		return "0"
	}
	return number(&event.Decimal{Unscaled: ppm, Scale: 4})
}

func (s *Simulator) itemJSON(o *order, it *item) object {
	v := object{
		"item_id": it.id, "order_id": o.id, "product_id": it.product.id, "product_type": it.kind, "sku": it.sku, "name": it.name,
		"qty_ordered": it.ordered, "qty_shipped": it.shipped, "qty_invoiced": it.invoiced, "qty_canceled": it.cancelled, "qty_refunded": it.refunded,
		"is_virtual": 0, "is_qty_decimal": 0, "tax_percent": 0, "created_at": clock(o.created), "updated_at": clock(it.updated), "store_id": 1,
		"weee_tax_applied": "[]", "base_price": number(it.price), "price": number(it.price),
	}
	if it.kind == "virtual" {
		v["is_virtual"] = 1
	}
	if it.tax != 0 {
		v["tax_percent"] = percent(o.spec.TaxRate)
	}
	if it.parent != nil {
		v["parent_item_id"] = it.parent.id
		v["parent_item"] = s.itemJSON(o, it.parent)
	}
	for name, minor := range map[string]int64{"row_total": it.row, "discount_amount": it.discount, "tax_amount": it.tax, "discount_tax_compensation_amount": it.compensation} {
		s.both(v, o, name, minor)
	}
	if it.invoiced > 0 {
		for name, minor := range map[string]int64{"row_invoiced": it.row, "discount_invoiced": it.discount, "tax_invoiced": it.tax, "discount_tax_compensation_invoiced": it.compensation} {
			s.both(v, o, name, minor)
		}
	}
	if it.refunded > 0 {
		back := it.back()
		for name, minor := range map[string]int64{"amount_refunded": back.row, "discount_refunded": back.discount, "tax_refunded": back.tax, "discount_tax_compensation_refunded": back.compensation} {
			s.both(v, o, name, minor)
		}
	}
	return v
}

// back is what was refunded of a row so far.
func (it *item) back() (l memoLine) {
	for _, part := range []struct {
		of int64
		to *int64
	}{{it.row, &l.row}, {it.tax, &l.tax}, {it.discount, &l.discount}, {it.compensation, &l.compensation}} {
		v, err := money.MulDiv(part.of, it.refunded, it.ordered)
		if err != nil {
			panic(err) // it was reckoned when it was refunded
		}
		*part.to = v
	}
	return l
}

func addressJSON(o *order, a *Address, c *Customer, kind string) object {
	street := []any{}
	for _, line := range []string{a.Address1, a.Address2} {
		if line != "" {
			street = append(street, line)
		}
	}
	return object{
		"address_type": kind, "entity_id": o.id, "parent_id": o.id, "firstname": a.FirstName, "lastname": a.LastName, "company": a.Company,
		"street": street, "city": a.City, "region": a.Province, "region_code": a.ProvinceCode, "postcode": a.Zip, "country_id": a.CountryCode,
		"telephone": a.Phone, "email": c.Email,
	}
}

func (s *Simulator) productJSON(p *product) any {
	attributes := []any{
		object{"attribute_code": "url_key", "value": strings.ToLower(p.sku)},
		object{"attribute_code": "category_ids", "value": []any{}},
	}
	if p.barcode != "" {
		attributes = append(attributes, object{"attribute_code": "ean", "value": p.barcode})
	}
	if p.vendor != "" {
		attributes = append(attributes, object{"attribute_code": "brand", "value": p.vendor})
	}
	v := object{
		"id": p.id, "sku": p.sku, "name": p.name, "attribute_set_id": 4, "status": 1, "visibility": 4, "type_id": p.kind, "weight": 1,
		"created_at": clock(p.created), "updated_at": clock(p.updated), "product_links": []any{}, "options": []any{},
		"media_gallery_entries": []any{}, "tier_prices": []any{}, "custom_attributes": attributes,
	}
	if p.price != "" {
		v["price"] = trimmed(p.price)
	}
	links := []any{}
	for _, q := range s.products {
		if q.parent == p {
			links = append(links, q.id)
		}
	}
	v["extension_attributes"] = object{"website_ids": []any{1}}
	if len(links) > 0 {
		v["extension_attributes"] = object{"website_ids": []any{1}, "configurable_product_links": links}
	}
	return v
}

func (s *Simulator) shipmentJSON(sh *shipment) any {
	items, tracks, comments := []any{}, []any{}, []any{}
	total := int64(0)
	for i, l := range sh.lines {
		total += l.quantity
		items = append(items, object{"entity_id": i + 1, "parent_id": sh.id, "order_item_id": l.item.id, "qty": l.quantity, "sku": l.item.sku, "name": l.item.name, "product_id": l.item.product.id})
	}
	for i, t := range sh.tracks {
		tracks = append(tracks, object{"entity_id": i + 1, "parent_id": sh.id, "order_id": sh.order.id, "track_number": t.Number, "title": t.Title,
			"carrier_code": t.Carrier, "created_at": clock(sh.created), "updated_at": clock(sh.created), "description": nil, "weight": nil, "qty": nil})
	}
	for i, c := range sh.comments {
		comments = append(comments, object{"entity_id": i + 1, "parent_id": sh.id, "comment": c, "created_at": clock(sh.created), "is_customer_notified": 0, "is_visible_on_front": 0})
	}
	return object{"entity_id": sh.id, "increment_id": increment(sh.id), "order_id": sh.order.id, "created_at": clock(sh.created), "updated_at": clock(sh.created),
		"store_id": 1, "total_qty": total, "packages": []any{}, "items": items, "tracks": tracks, "comments": comments,
		"extension_attributes": object{"source_code": s.cfg.Source}}
}

func (s *Simulator) memoJSON(m *memo) any {
	items, comments := []any{}, []any{}
	var subtotal, tax, discount, compensation int64
	add := func(l memoLine, it *item) {
		v := object{"entity_id": len(items) + 1, "parent_id": m.id, "order_item_id": it.id, "qty": l.quantity, "sku": it.sku, "name": it.name, "product_id": it.product.id, "base_cost": nil,
			"base_price": number(it.price), "price": number(it.price)}
		for name, minor := range map[string]int64{"row_total": l.row, "tax_amount": l.tax, "discount_amount": l.discount, "discount_tax_compensation_amount": l.compensation} {
			s.both(v, m.order, name, minor)
		}
		items = append(items, v)
	}
	for _, l := range m.lines {
		add(l, l.item)
		for _, c := range m.order.items {
			// What was chosen stands beside what was chosen from, without money.
			if c.parent == l.item && l.item.kind == "configurable" {
				add(memoLine{quantity: l.quantity}, c)
			}
		}
		subtotal, tax, discount, compensation = subtotal+l.row, tax+l.tax, discount+l.discount, compensation+l.compensation
	}
	for i, c := range m.comments {
		comments = append(comments, object{"entity_id": i + 1, "parent_id": m.id, "comment": c, "created_at": clock(m.created), "is_customer_notified": 0, "is_visible_on_front": 0})
	}
	v := object{"entity_id": m.id, "increment_id": m.number, "order_id": m.order.id, "state": 2, "created_at": clock(m.created), "updated_at": clock(m.created),
		"store_id": 1, "base_currency_code": s.cfg.Currency, "items": items, "comments": comments}
	for name, minor := range map[string]int64{
		"grand_total": m.total, "subtotal": subtotal, "tax_amount": tax, "discount_amount": -discount, "discount_tax_compensation_amount": compensation,
		"shipping_amount": m.shipping, "shipping_tax_amount": 0, "adjustment_positive": m.plus, "adjustment_negative": m.minus, "adjustment": m.plus - m.minus,
	} {
		s.both(v, m.order, name, minor)
	}
	return v
}

func (s *Simulator) invoiceJSON(v *invoice) any {
	var transaction any
	if v.order.spec.Transaction != "" {
		transaction = v.order.spec.Transaction
	}
	return object{"entity_id": v.id, "increment_id": increment(v.id), "order_id": v.order.id, "state": 2, "created_at": clock(v.created), "updated_at": clock(v.created),
		"store_id": 1, "base_grand_total": s.amount(v.order.total()), "grand_total": s.shown(v.order, v.order.total()), "items": []any{}, "total_qty": 0, "transaction_id": transaction}
}

func increment(id int64) string {
	text := strconv.FormatInt(id, 10)
	return strings.Repeat("0", max(0, 9-len(text))) + text
}
