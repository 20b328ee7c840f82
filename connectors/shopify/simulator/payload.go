package simulator

import (
	"strconv"
	"unicode/utf8"

	"github.com/helloword/crossdock/schemas/money"
)

// Payloads of webhooks are REST-shaped JSON. They are written by hand into one buffer: a
// year of a wholesaler is half a million lines.

// w appends JSON.
type w struct {
	b []byte
	// next says that a comma comes before the next member or element.
	next bool
	s    *Simulator
}

func (w *w) comma() {
	if w.next {
		w.b = append(w.b, ',')
	}
	w.next = true
}

func (w *w) open(c byte)  { w.b = append(w.b, c); w.next = false }
func (w *w) close(c byte) { w.b = append(w.b, c); w.next = true }

func (w *w) key(k string) {
	w.comma()
	w.b = append(w.b, '"')
	w.b = append(w.b, k...)
	w.b = append(w.b, `":`...)
}

func (w *w) raw(k, v string)       { w.key(k); w.b = append(w.b, v...) }
func (w *w) num(k string, v int64) { w.key(k); w.b = strconv.AppendInt(w.b, v, 10) }
func (w *w) str(k, v string)       { w.key(k); w.b = quote(w.b, v) }
func (w *w) boolean(k string, v bool) {
	w.key(k)
	w.b = strconv.AppendBool(w.b, v)
}

// text is a string, or null when it is empty.
func (w *w) text(k, v string) {
	if v == "" {
		w.raw(k, "null")
		return
	}
	w.str(k, v)
}

// when is a time, or null.
func (w *w) when(k string, unix int64) {
	if unix == 0 {
		w.raw(k, "null")
		return
	}
	w.key(k)
	w.b = append(w.b, '"')
	w.b = append(w.b, rest(unix)...)
	w.b = append(w.b, '"')
}

// amount is an amount of minor units, "12.50".
func (w *w) amount(k string, minor int64) {
	w.key(k)
	w.b = append(w.b, '"')
	w.b = w.s.fixed(w.b, minor)
	w.b = append(w.b, '"')
}

// set is an amount in the shop's and in the buyer's currency, which are the same here.
func (w *w) set(k string, amount []byte) {
	w.key(k)
	for i, of := range [...]string{`{"shop_money":{"amount":"`, `,"presentment_money":{"amount":"`} {
		w.b = append(w.b, of...)
		w.b = append(w.b, amount...)
		w.b = append(w.b, `","currency_code":"`...)
		w.b = append(w.b, w.s.cfg.Currency...)
		w.b = append(w.b, `"}`...)
		if i == 1 {
			w.b = append(w.b, '}')
		}
	}
	w.next = true
}

func (w *w) amountSet(k string, minor int64) {
	var scratch [24]byte
	w.set(k, w.s.fixed(scratch[:0], minor))
}

// fixed writes minor units with as many decimals as the currency has.
func (s *Simulator) fixed(b []byte, minor int64) []byte {
	if minor < 0 {
		b, minor = append(b, '-'), -minor
	}
	var scratch [24]byte
	digits := strconv.AppendInt(scratch[:0], minor, 10)
	if s.exponent == 0 {
		return append(b, digits...)
	}
	for range s.exponent + 1 - len(digits) {
		digits = append([]byte{'0'}, digits...)
	}
	b = append(b, digits[:len(digits)-s.exponent]...)
	b = append(b, '.')
	return append(b, digits[len(digits)-s.exponent:]...)
}

// priceText is a price in webhooks: at least as many decimals as the currency has.
func (s *Simulator) priceText(b []byte, d decimal) []byte {
	if minor, err := money.Mul(d.value, 1, s.exponent); err == nil && int(d.value.Scale) <= s.exponent {
		return s.fixed(b, minor)
	}
	return append(b, d.text...)
}

const hexDigits = "0123456789abcdef"

// quote appends a JSON string.
func quote(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r) // an invalid byte becomes U+FFFD, as Shopify has no others
			i += n
			continue
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
		i++
	}
	return append(b, '"')
}

// orderJSON is the payload of orders/*.
func (s *Simulator) orderJSON(o *order) []byte {
	perLine := 900
	if s.cfg.Lean {
		perLine = 420
	}
	w := &w{b: make([]byte, 0, 3000+perLine*len(o.lines)), s: s}
	sp := o.spec
	total := o.total()
	w.open('{')
	w.num("id", o.id)
	w.str("admin_graphql_api_id", "gid://shopify/Order/"+strconv.FormatInt(o.id, 10))
	w.num("app_id", 1354745)
	w.boolean("buyer_accepts_marketing", false)
	w.text("cancel_reason", o.cancelReason)
	w.when("cancelled_at", o.cancelled)
	w.when("closed_at", o.closed)
	w.boolean("confirmed", true)
	w.when("created_at", o.created)
	w.str("currency", s.cfg.Currency)
	w.amount("current_total_discounts", o.discount)
	w.amount("current_total_price", total-o.refunded)
	w.amount("current_total_tax", o.tax)
	w.key("discount_codes")
	w.open('[')
	if sp.DiscountCode != "" {
		w.comma()
		w.open('{')
		w.str("code", sp.DiscountCode)
		w.amount("amount", o.code)
		w.str("type", "fixed_amount")
		w.close('}')
	}
	w.close(']')
	w.boolean("duties_included", false)
	email, phone := "", ""
	if c := sp.Customer; c != nil {
		email, phone = c.Email, c.Phone
	}
	w.str("email", email)
	w.boolean("estimated_taxes", false)
	w.str("financial_status", o.financial)
	w.text("fulfillment_status", o.fulfilmentStatus())
	w.num("location_id", s.cfg.LocationID)
	w.str("name", o.name)
	w.text("note", sp.Note)
	w.raw("note_attributes", "[]")
	w.num("number", o.number-1000)
	w.num("order_number", o.number)
	w.str("order_status_url", "https://"+s.cfg.Shop+"/orders/"+strconv.FormatInt(o.id, 16)+"/authenticate")
	w.raw("payment_gateway_names", `["manual"]`)
	w.text("phone", phone)
	w.text("po_number", sp.PONumber)
	w.str("presentment_currency", s.cfg.Currency)
	w.when("processed_at", o.created)
	w.text("source_identifier", sp.SourceIdentifier)
	w.str("source_name", "web")
	w.amount("subtotal_price", o.subtotal-o.discount)
	w.str("tags", "")
	w.boolean("tax_exempt", false)
	w.key("tax_lines")
	w.open('[')
	if o.tax != 0 {
		w.tax(tax{sp.TaxTitle, sp.TaxRate, o.tax})
	}
	w.close(']')
	w.boolean("taxes_included", sp.Included)
	w.boolean("test", sp.Test)
	w.amount("total_discounts", o.discount)
	w.amount("total_line_items_price", o.subtotal)
	w.amount("total_outstanding", 0)
	w.amount("total_price", total)
	w.amountSet("total_shipping_price_set", o.shipping)
	w.amount("total_tax", o.tax)
	if !s.cfg.Lean {
		w.amountSet("current_subtotal_price_set", o.subtotal-o.discount)
		w.amountSet("current_total_price_set", total-o.refunded)
		w.amountSet("subtotal_price_set", o.subtotal-o.discount)
		w.amountSet("total_discounts_set", o.discount)
		w.amountSet("total_line_items_price_set", o.subtotal)
		w.amountSet("total_price_set", total)
		w.amountSet("total_tax_set", o.tax)
	}
	w.amount("total_tip_received", 0)
	w.num("total_weight", 0)
	w.when("updated_at", o.updated)
	w.raw("user_id", "null")
	w.address("billing_address", sp.Billing)
	w.customer(sp.Customer, o.created)
	w.key("discount_applications")
	w.open('[')
	for _, a := range o.applications() {
		w.comma()
		w.open('{')
		w.str("target_type", "line_item")
		if a.code != "" {
			w.str("type", "discount_code")
			w.str("code", a.code)
		} else {
			w.str("type", "manual")
			w.str("title", a.title)
		}
		w.amount("value", a.minor)
		w.str("value_type", "fixed_amount")
		w.str("allocation_method", "across")
		if a.byHand {
			w.str("target_selection", "explicit")
		} else {
			w.str("target_selection", "all")
		}
		w.close('}')
	}
	w.close(']')
	w.key("fulfillments")
	w.open('[')
	for _, f := range o.fulfilments {
		w.fulfilment(o, f)
	}
	w.close(']')
	w.key("line_items")
	w.open('[')
	for _, l := range o.lines {
		w.line(o, l)
	}
	w.close(']')
	w.raw("payment_terms", "null")
	w.key("refunds")
	w.open('[')
	for _, r := range o.refunds {
		w.comma()
		w.b = s.refundJSON(w.b, r)
	}
	w.close(']')
	w.address("shipping_address", sp.Shipping)
	w.key("shipping_lines")
	w.open('[')
	if sp.Delivery != "" {
		w.comma()
		w.open('{')
		w.num("id", o.id+1)
		w.str("code", "Standard")
		w.raw("carrier_identifier", "null")
		w.amount("discounted_price", o.shipping)
		w.boolean("is_removed", false)
		w.raw("phone", "null")
		w.amount("price", o.shipping)
		if !s.cfg.Lean {
			w.amountSet("price_set", o.shipping)
		}
		w.str("source", "shopify")
		w.str("title", "Standard")
		w.raw("tax_lines", "[]")
		w.raw("discount_allocations", "[]")
		w.close('}')
	}
	w.close(']')
	w.close('}')
	return w.b
}

func (w *w) tax(t tax) {
	w.comma()
	w.open('{')
	w.amount("price", t.minor)
	w.raw("rate", t.rate)
	w.str("title", t.title)
	if !w.s.cfg.Lean {
		w.amountSet("price_set", t.minor)
	}
	w.boolean("channel_liable", false)
	w.close('}')
}

func (w *w) line(o *order, l *line) {
	w.comma()
	w.open('{')
	w.num("id", l.id)
	if !w.s.cfg.Lean {
		w.str("admin_graphql_api_id", "gid://shopify/LineItem/"+strconv.FormatInt(l.id, 10))
		w.raw("attributed_staffs", "[]")
	}
	w.num("current_quantity", l.current)
	w.num("fulfillable_quantity", max(0, l.current-l.fulfilled))
	w.str("fulfillment_service", "manual")
	switch {
	case l.fulfilled > 0 && l.fulfilled >= l.current:
		w.str("fulfillment_status", "fulfilled")
	case l.fulfilled > 0:
		w.str("fulfillment_status", "partial")
	default:
		w.raw("fulfillment_status", "null")
	}
	w.boolean("gift_card", false)
	w.num("grams", 0)
	w.str("name", l.title)
	w.key("price")
	w.b = append(w.b, '"')
	from := len(w.b)
	w.b = w.s.priceText(w.b, l.price)
	text := w.b[from:]
	w.b = append(w.b, '"')
	if !w.s.cfg.Lean {
		w.set("price_set", text)
	}
	v := l.variant
	if v != nil && v.product.deleted {
		v = nil
	}
	w.boolean("product_exists", v != nil)
	if v != nil {
		w.num("product_id", v.product.id)
	} else {
		w.raw("product_id", "null")
	}
	w.raw("properties", "[]")
	w.num("quantity", l.quantity)
	w.boolean("requires_shipping", v != nil)
	w.text("sku", l.sku)
	w.boolean("taxable", len(l.taxes) > 0)
	w.str("title", l.title)
	w.raw("total_discount", `"0.00"`)
	if v != nil {
		w.num("variant_id", v.id)
		if v.tracked {
			w.str("variant_inventory_management", "shopify")
		} else {
			w.raw("variant_inventory_management", "null")
		}
	} else {
		w.raw("variant_id", "null")
		w.raw("variant_inventory_management", "null")
	}
	w.raw("variant_title", "null")
	w.str("vendor", w.s.cfg.Name)
	w.key("tax_lines")
	w.open('[')
	for _, t := range l.taxes {
		w.tax(t)
	}
	w.close(']')
	w.raw("duties", "[]")
	w.key("discount_allocations")
	w.open('[')
	for _, a := range l.allocations(o) {
		w.comma()
		w.open('{')
		w.amount("amount", a.minor)
		if !w.s.cfg.Lean {
			w.amountSet("amount_set", a.minor)
		}
		w.num("discount_application_index", int64(a.index))
		w.close('}')
	}
	w.close(']')
	w.close('}')
}

func (w *w) fulfilment(o *order, f *fulfilment) {
	w.comma()
	w.open('{')
	w.num("id", f.id)
	w.num("order_id", o.id)
	w.str("status", f.status)
	w.when("created_at", f.at)
	w.str("service", "manual")
	w.when("updated_at", f.at)
	w.text("tracking_company", f.company)
	w.key("tracking_numbers")
	w.open('[')
	if f.number != "" {
		w.comma()
		w.b = quote(w.b, f.number)
	}
	w.close(']')
	w.key("line_items")
	w.open('[')
	for _, fl := range f.lines {
		w.comma()
		w.open('{')
		w.num("id", fl.line.id)
		w.num("quantity", fl.quantity)
		w.text("sku", fl.line.sku)
		w.str("title", fl.line.title)
		w.close('}')
	}
	w.close(']')
	w.close('}')
}

// refundJSON is the payload of refunds/create, and a refund inside an order.
func (s *Simulator) refundJSON(b []byte, r *refund) []byte {
	w := &w{b: b, s: s}
	w.open('{')
	w.num("id", r.id)
	w.num("order_id", r.order.id)
	w.when("created_at", r.at)
	w.text("note", r.note)
	w.raw("user_id", "null")
	w.when("processed_at", r.at)
	w.raw("duties", "[]")
	w.str("admin_graphql_api_id", "gid://shopify/Refund/"+strconv.FormatInt(r.id, 10))
	w.key("refund_line_items")
	w.open('[')
	restock := false
	for _, rl := range r.lines {
		restock = restock || rl.restock != "no_restock"
		w.comma()
		w.open('{')
		w.num("id", rl.id)
		w.num("quantity", rl.quantity)
		w.num("line_item_id", rl.line.id)
		w.num("location_id", s.cfg.LocationID)
		w.str("restock_type", rl.restock)
		w.key("subtotal")
		w.b = s.fixed(w.b, rl.minor)
		w.key("total_tax")
		w.b = s.fixed(w.b, rl.tax)
		w.amountSet("subtotal_set", rl.minor)
		w.close('}')
	}
	w.close(']')
	w.boolean("restock", restock)
	w.key("transactions")
	w.open('[')
	for _, t := range r.payments {
		w.comma()
		w.open('{')
		w.num("id", t.id)
		w.num("order_id", r.order.id)
		w.str("kind", "refund")
		w.str("gateway", t.gateway)
		w.str("status", "success")
		w.amount("amount", t.minor)
		w.str("currency", s.cfg.Currency)
		w.when("created_at", r.at)
		w.boolean("test", false)
		w.close('}')
	}
	w.close(']')
	w.raw("order_adjustments", "[]")
	w.key("refund_shipping_lines")
	w.open('[')
	if r.shipping != 0 {
		w.comma()
		w.open('{')
		w.num("id", r.id+2)
		w.amountSet("subtotal_amount_set", r.shipping)
		w.amountSet("tax_amount_set", 0)
		w.close('}')
	}
	w.close(']')
	w.close('}')
	return w.b
}

func (w *w) customer(c *Customer, created int64) {
	if c == nil {
		w.raw("customer", "null")
		return
	}
	w.key("customer")
	w.open('{')
	w.num("id", c.ID)
	w.when("created_at", created)
	w.text("email", c.Email)
	w.text("first_name", c.FirstName)
	w.text("last_name", c.LastName)
	w.text("phone", c.Phone)
	w.str("state", "disabled")
	w.boolean("verified_email", true)
	w.str("tags", "")
	w.str("currency", w.s.cfg.Currency)
	w.close('}')
}

func (w *w) address(k string, a *Address) {
	if a == nil {
		w.raw(k, "null")
		return
	}
	w.key(k)
	w.open('{')
	w.text("first_name", a.FirstName)
	w.text("address1", a.Address1)
	w.text("phone", a.Phone)
	w.text("city", a.City)
	w.text("zip", a.Zip)
	w.text("province", a.Province)
	w.text("country", a.Country)
	w.text("last_name", a.LastName)
	w.text("address2", a.Address2)
	w.text("company", a.Company)
	w.raw("latitude", "null")
	w.raw("longitude", "null")
	w.text("name", a.name())
	w.text("country_code", a.CountryCode)
	w.text("province_code", a.ProvinceCode)
	w.close('}')
}

func (a *Address) name() string {
	switch {
	case a.FirstName == "":
		return a.LastName
	case a.LastName == "":
		return a.FirstName
	}
	return a.FirstName + " " + a.LastName
}

// productJSON is the payload of products/*.
func (s *Simulator) productJSON(p *product) []byte {
	w := &w{b: make([]byte, 0, 600+500*len(p.variants)), s: s}
	w.open('{')
	w.num("id", p.id)
	w.str("admin_graphql_api_id", "gid://shopify/Product/"+strconv.FormatInt(p.id, 10))
	w.raw("body_html", "null")
	w.when("created_at", p.created)
	w.str("handle", "product-"+strconv.FormatInt(p.id, 10))
	w.str("product_type", p.kind)
	w.when("published_at", p.created)
	w.str("title", p.title)
	w.when("updated_at", p.updated)
	w.str("vendor", p.vendor)
	w.str("status", "active")
	w.str("tags", "")
	w.key("variants")
	w.open('[')
	for i, v := range p.variants {
		w.comma()
		w.open('{')
		w.num("id", v.id)
		w.str("admin_graphql_api_id", "gid://shopify/ProductVariant/"+strconv.FormatInt(v.id, 10))
		w.num("product_id", p.id)
		w.text("barcode", v.barcode)
		w.num("inventory_item_id", v.item)
		if v.tracked {
			w.str("inventory_management", "shopify")
		} else {
			w.raw("inventory_management", "null")
		}
		w.num("inventory_quantity", v.available)
		w.num("position", int64(i+1))
		w.key("price")
		w.b = append(w.b, '"')
		w.b = s.priceText(w.b, v.price)
		w.b = append(w.b, '"')
		w.text("sku", v.sku)
		w.str("title", v.title)
		w.when("updated_at", p.updated)
		w.close('}')
	}
	w.close(']')
	w.raw("images", "[]")
	w.close('}')
	return w.b
}
