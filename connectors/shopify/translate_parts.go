package shopify

import (
	"fmt"
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// refund reads one refund, of its own webhook or inside an order (which gives it its id in
// the end). The currency is known before.
func (t *translation) refund(own bool) *event.Refund {
	r := t.r
	if !r.Object() {
		r.Unexpected("a refund")
		return nil
	}
	f := &event.Refund{Connector: provider, Account: t.account}
	var (
		seen                 jsonread.Members
		created, processed   int64
		restock              bool
		paid, parts          int64
		anyPaid, foreign     bool
		shipping, adjustment int64
	)
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "id":
			r.Once(&seen, 0)
			f.Id = t.id()
		case "order_id":
			r.Once(&seen, 1)
			f.OrderId = t.id()
		case "created_at", "createdAt":
			r.Once(&seen, 2)
			created = r.Instant()
		case "processed_at", "processedAt":
			r.Once(&seen, 3)
			processed = r.Instant()
		case "note":
			r.Once(&seen, 4)
			f.Note = t.str()
		case "restock":
			r.Once(&seen, 5)
			restock = r.Boolean()
		case "refund_line_items", "refundLineItems":
			r.Once(&seen, 6)
			t.each(func() {
				if l := t.refundLine(); l != nil {
					f.Lines = append(f.Lines, l)
				}
			})
		case "transactions":
			r.Once(&seen, 7)
			t.each(func() {
				switch amount, currency, counts := r.transaction(); {
				case !counts:
				case currency != "" && currency != t.currency:
					// The buyer's currency: what it is in the shop's stands nowhere here.
					foreign = true
				default:
					anyPaid = true
					paid = t.sum(paid, t.minor(amount))
				}
			})
		case "refund_shipping_lines", "refundShippingLines":
			r.Once(&seen, 8)
			t.each(func() { shipping = t.sum(shipping, t.refundShipping()) })
		case "order_adjustments":
			r.Once(&seen, 9)
			t.each(func() {
				amount, ofShipping := t.adjustment()
				if ofShipping {
					adjustment = t.sum(adjustment, amount)
				}
				parts = t.sum(parts, amount)
			})
		default:
			r.Skip()
		}
	}
	if r.Err() != nil {
		return nil
	}
	if f.Id == "" || (own && f.OrderId == "") {
		r.Fail("a refund needs id and order_id")
		return nil
	}
	if f.CreatedMs = processed; f.CreatedMs == 0 {
		f.CreatedMs = created
	}
	for _, l := range f.Lines {
		// Payloads from before 2018 say it once for all lines.
		if l.Restock == event.Restock_RESTOCK_UNSPECIFIED && seen&(1<<5) != 0 {
			if l.Restock = event.Restock_RESTOCK_NONE; restock {
				l.Restock = event.Restock_RESTOCK_RETURN
			}
		}
		parts = t.sum(parts, l.Amount.GetMinor())
	}
	if shipping == 0 {
		// Older payloads tell returned shipping as an adjustment of the order.
		shipping = adjustment
	} else if adjustment == 0 {
		parts = t.sum(parts, shipping)
	}
	f.Shipping = t.nonZero(shipping)
	switch {
	case foreign:
		f.Total = t.nonZero(parts)
	case anyPaid:
		f.Total = t.amount(paid, t.currency)
	}
	return f
}

func (t *translation) refundLine() *event.RefundLine {
	r := t.r
	if !r.Object() {
		return nil
	}
	l := &event.RefundLine{}
	var seen jsonread.Members
	var plain, exact string
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "line_item_id":
			r.Once(&seen, 0)
			l.OrderLineId = t.id()
		case "lineItem":
			r.Once(&seen, 0)
			l.OrderLineId = t.keep(r.idOf())
		case "quantity":
			r.Once(&seen, 1)
			l.Quantity = r.Integer()
		case "restock_type", "restockType":
			r.Once(&seen, 2)
			l.Restock = restocked(r.Text())
		case "subtotal":
			r.Once(&seen, 3)
			plain = r.Number()
		case "subtotal_set", "subtotalSet":
			r.Once(&seen, 4)
			exact = r.bag().shop
		default:
			r.Skip()
		}
	}
	if r.Err() != nil {
		return nil
	}
	if l.OrderLineId == "" || l.Quantity < 0 {
		r.Fail("a refund line needs the order's line and a quantity")
		return nil
	}
	if exact == "" {
		exact = plain
	}
	if t.currency != "" {
		l.Amount = t.money(exact)
	}
	return l
}

func restocked(s string) event.Restock {
	switch s {
	case "no_restock", "NO_RESTOCK":
		return event.Restock_RESTOCK_NONE
	case "cancel", "CANCEL":
		return event.Restock_RESTOCK_CANCEL
	// legacy_restock does not tell whether the goods had left; they are back in both cases.
	case "return", "RETURN", "legacy_restock", "LEGACY_RESTOCK":
		return event.Restock_RESTOCK_RETURN
	}
	return event.Restock_RESTOCK_UNSPECIFIED
}

// transaction reads a payment; counts is true when it gave money back.
func (r *reader) transaction() (amount, currency string, counts bool) {
	var seen jsonread.Members
	var kind, status string
	if !r.Object() {
		return "", "", false
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "kind":
			r.Once(&seen, 0)
			kind = strings.ToLower(r.Text())
		case "status":
			r.Once(&seen, 1)
			status = strings.ToLower(r.Text())
		case "amount":
			r.Once(&seen, 2)
			amount = r.Number()
		case "amountSet":
			r.Once(&seen, 2)
			amount = r.bag().shop
		case "currency":
			r.Once(&seen, 3)
			currency = strings.ToUpper(r.Text())
		default:
			r.Skip()
		}
	}
	return amount, currency, kind == "refund" && status != "failure" && status != "error"
}

func (t *translation) refundShipping() (total int64) {
	r := t.r
	var seen jsonread.Members
	if !r.Object() {
		return 0
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "subtotal_amount_set", "subtotalAmountSet":
			r.Once(&seen, 0)
			total = t.sum(total, t.minor(r.bag().shop))
		case "tax_amount_set", "taxAmountSet":
			r.Once(&seen, 1)
			total = t.sum(total, t.minor(r.bag().shop))
		default:
			r.Skip()
		}
	}
	return total
}

// adjustment reads an adjustment of the order's money that a refund made; given back is
// positive.
func (t *translation) adjustment() (givenBack int64, shipping bool) {
	r := t.r
	var seen jsonread.Members
	if !r.Object() {
		return 0, false
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "amount", "tax_amount":
			if key == "amount" {
				r.Once(&seen, 0)
			} else {
				r.Once(&seen, 1)
			}
			text := r.Number()
			if t.currency != "" {
				givenBack = t.sum(givenBack, -t.minor(text))
			}
		case "kind":
			r.Once(&seen, 2)
			shipping = r.Text() == "shipping_refund"
		default:
			r.Skip()
		}
	}
	return givenBack, shipping
}

// refundCurrency finds the shop's currency in a refund of its own, which names none at the
// top: any amount in the shop's money tells it, else the currency that was paid in.
func refundCurrency(doc string) string {
	r := newReaderString(doc)
	var shop, paid string
	if !r.Object() {
		return ""
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "refund_line_items", "refund_shipping_lines", "order_adjustments", "transactions":
			for ok := r.Array(); ok && r.More(); {
				if !r.Object() {
					continue
				}
				for key, ok := r.Next(); ok; key, ok = r.Next() {
					switch {
					case shop == "" && (key == "subtotal_set" || key == "subtotal_amount_set" || key == "amount_set"):
						shop = r.bag().shopCurrency
					case paid == "" && key == "currency":
						paid = r.Text()
					default:
						r.Skip()
					}
				}
			}
		case "total_duties_set":
			if c := r.bag().shopCurrency; shop == "" {
				shop = c
			}
		default:
			r.Skip()
		}
	}
	if shop == "" {
		shop = paid
	}
	return strings.ToUpper(shop)
}

// taxLines reads tax lines into a list that is empty and may have room.
func (t *translation) taxLines(taxes []*event.Tax) []*event.Tax {
	r := t.r
	t.each(func() {
		var seen jsonread.Members
		if !r.Object() {
			return
		}
		x := t.taxes.take()
		var text string
		for key, ok := r.Next(); ok; key, ok = r.Next() {
			switch key {
			case "title":
				r.Once(&seen, 0)
				x.Title = t.str()
			case "rate":
				r.Once(&seen, 1)
				text := r.Number()
				ppm, err := t.rate(text)
				if err != nil {
					r.Fail("rate %q: %v", jsonread.Clip(text), err)
				}
				x.RatePpm = ppm
			case "price":
				r.Once(&seen, 2)
				text = r.Number()
			case "priceSet":
				r.Once(&seen, 2)
				text = r.bag().shop
			case "channel_liable", "channelLiable":
				r.Once(&seen, 3)
				x.RemittedByPlatform = r.Boolean()
			default:
				r.Skip()
			}
		}
		t.currencyOf()
		x.Amount = t.money(text)
		taxes = append(taxes, x)
	})
	if len(taxes) == 0 {
		return nil
	}
	return taxes
}

// rate is rate with a memory of one: most taxes have the rate of the tax before.
func (t *translation) rate(text string) (ppm int64, err error) {
	if text == t.rateText {
		return t.ratePpm, nil
	}
	if ppm, err = rate(text); err == nil && len(text) < maxRate {
		t.rateText, t.ratePpm = strings.Clone(text), ppm
	}
	return ppm, err
}

// maxRate is how long a rate is remembered.
const maxRate = 32

// rate turns a tax rate such as 0.08875 or 5.0e-05 into millionths, rounded once half-even.
func rate(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	var power int64
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		var err error
		if power, err = ratePower(text[i+1:]); err != nil {
			return 0, err
		}
		text = text[:i]
	}
	var d event.Decimal
	if err := money.ParseDecimalInto(&d, text); err != nil {
		return 0, err
	}
	num, den := int64(1), int64(1)
	for shift := 6 + power - int64(d.Scale); shift != 0; {
		if shift > 0 {
			num *= 10
			shift--
		} else if den < 1e18 {
			den *= 10
			shift++
		} else {
			return 0, nil
		}
	}
	return money.MulDiv(d.Unscaled, num, den)
}

func ratePower(text string) (power int64, err error) {
	if _, err := fmt.Sscanf(text, "%d", &power); err != nil || power < -18 || power > 6 {
		return 0, fmt.Errorf("the exponent is out of range")
	}
	return power, nil
}

// application reads one discount as the order names it; its amount is added up from the
// allocations, because GraphQL tells no other.
func (t *translation) application() *event.Discount {
	r := t.r
	d := &event.Discount{}
	if !r.Object() {
		return d
	}
	var seen jsonread.Members
	var code, title string
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "type":
			r.Once(&seen, 0)
			d.Kind = t.str()
		case "__typename":
			r.Once(&seen, 0)
			switch name := r.Text(); name {
			case "DiscountCodeApplication":
				d.Kind = "discount_code"
			default: // AutomaticDiscountApplication is "automatic" in webhooks
				d.Kind = t.keep(strings.ToLower(strings.TrimSuffix(name, "DiscountApplication")))
			}
		case "code":
			r.Once(&seen, 1)
			code = r.Text()
		case "title":
			r.Once(&seen, 2)
			title = r.Text()
		default:
			r.Skip()
		}
	}
	if code == "" {
		code = title
	}
	d.Code = t.keep(code)
	return d
}

func (t *translation) discountCode() *event.Discount {
	r := t.r
	d := &event.Discount{Kind: "discount_code"}
	if !r.Object() {
		return d
	}
	var seen jsonread.Members
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "code":
			r.Once(&seen, 0)
			d.Code = t.str()
		case "amount":
			r.Once(&seen, 1)
			d.Amount = t.money(r.Number())
		default:
			r.Skip()
		}
	}
	return d
}

func (r *reader) customer() (id, first, last string) {
	if !r.Object() {
		return "", "", ""
	}
	var seen jsonread.Members
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "id":
			r.Once(&seen, 0)
			id = r.ID()
		case "first_name", "firstName":
			r.Once(&seen, 1)
			first = r.Text()
		case "last_name", "lastName":
			r.Once(&seen, 2)
			last = r.Text()
		default:
			r.Skip()
		}
	}
	return id, first, last
}

// address reads an address; nil when there is none. Most orders go to where the bill goes:
// the second address is then the first, letter for letter, and not read again.
func (t *translation) address() *event.PostalAddress {
	r := t.r
	if t.place != nil && r.Same(t.placeText) {
		return t.samePlace()
	}
	r.Peek()
	from := r.Offset()
	a := t.readAddress()
	if a != nil && r.Err() == nil {
		t.place, t.placeText = a, r.Source()[from:r.Offset()]
	}
	return a
}

// samePlace is the place before as a message of its own.
func (t *translation) samePlace() *event.PostalAddress {
	block := t.places.take()
	a := &block.address
	a.Name, a.Company, a.Phone = t.place.Name, t.place.Company, t.place.Phone
	a.City, a.Region, a.Postcode, a.Country = t.place.City, t.place.Region, t.place.Postcode, t.place.Country
	if len(t.place.Street) > 0 {
		a.Street = append(block.street[:0], t.place.Street...)
	}
	return a
}

func (t *translation) readAddress() *event.PostalAddress {
	r := t.r
	if !r.Object() {
		return nil
	}
	block := t.places.take()
	a := &block.address
	var seen jsonread.Members
	var line1, line2, province string
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "name":
			r.Once(&seen, 0)
			a.Name = t.str()
		case "company":
			r.Once(&seen, 1)
			a.Company = t.str()
		case "address1":
			r.Once(&seen, 2)
			line1 = r.Text()
		case "address2":
			r.Once(&seen, 3)
			line2 = r.Text()
		case "city":
			r.Once(&seen, 4)
			a.City = t.str()
		case "province":
			r.Once(&seen, 5)
			province = r.Text()
		case "province_code", "provinceCode":
			r.Once(&seen, 6)
			a.Region = t.str()
		case "zip":
			r.Once(&seen, 7)
			a.Postcode = t.str()
		case "country_code", "countryCodeV2":
			r.Once(&seen, 8)
			a.Country = t.keep(strings.ToUpper(r.Text()))
		case "phone":
			r.Once(&seen, 9)
			a.Phone = t.str()
		default:
			r.Skip()
		}
	}
	if a.Region == "" {
		a.Region = t.keep(province)
	}
	for _, s := range [...]string{line1, line2} {
		if s != "" {
			if a.Street == nil {
				a.Street = block.street[:0]
			}
			a.Street = append(a.Street, t.keep(s))
		}
	}
	return a
}

// destination is what of the address is not personal.
func destination(d *event.Destination, shipping, billing *event.PostalAddress) *event.Destination {
	a := shipping
	if a == nil {
		a = billing
	}
	if a == nil {
		return nil
	}
	d.Country, d.Region, d.PostcodePrefix = a.Country, a.Region, prefix(a.Postcode, 3)
	return d
}

// prefix is the first n characters, in upper case.
func prefix(s string, n int) string {
	s = strings.ToUpper(strings.TrimSpace(s))
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// personal completes what is personal, of which email and phone are there; nil when there
// is nothing.
func (t *translation) personal(p *event.PersonalData, first, last string, shipping, billing *event.PostalAddress) *event.PersonalData {
	p.Shipping, p.Billing = shipping, billing
	if p.Name = shipping.GetName(); p.Name == "" {
		p.Name = billing.GetName()
	}
	if p.Name == "" {
		p.Name = t.keep(strings.TrimSpace(first + " " + last))
	}
	if p.Phone == "" {
		p.Phone = shipping.GetPhone()
	}
	if p.Name == "" && p.Email == "" && p.Phone == "" && shipping == nil && billing == nil {
		return nil
	}
	return p
}

func (t *translation) productEnvelope() (p *event.Product) {
	t.envelope("product", func() { p = t.readProduct() }, func() {
		r := t.r
		if p == nil || !r.Object() {
			r.Unexpected("a page")
			return
		}
		for key, ok := r.Next(); ok; key, ok = r.Next() {
			if key == "variants" {
				t.each(func() { t.listing(p) })
			} else {
				r.Skip()
			}
		}
	})
	return t.finishProduct(p)
}

func (t *translation) product() *event.Product { return t.finishProduct(t.readProduct()) }

// readProduct reads a product of either shape. It is nil, without an error, for a webhook
// that leaves variants out: Shopify cuts the list of products with very many variants and
// names all of them in variant_gids. Half a product would read as the deletion of the rest;
// the poll brings the whole.
func (t *translation) readProduct() *event.Product {
	r := t.r
	if !r.Object() {
		r.Unexpected("a product")
		return nil
	}
	t.currency = t.translator.currency
	p := &event.Product{Connector: provider, Account: t.account}
	var seen jsonread.Members
	named := 0
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "id":
			r.Once(&seen, 0)
			p.Id = t.id()
		case "title":
			r.Once(&seen, 1)
			p.Title = t.str()
		case "updated_at", "updatedAt":
			r.Once(&seen, 2)
			p.UpdatedMs = r.Instant()
		case "status":
			r.Once(&seen, 3)
			p.Status = t.keep(strings.ToLower(r.Text()))
		case "vendor":
			r.Once(&seen, 4)
			p.Brand = t.str()
		case "product_type", "productType":
			r.Once(&seen, 5)
			p.Category = t.str()
		case "variants":
			r.Once(&seen, 6)
			t.each(func() { t.listing(p) })
		case "variant_gids":
			r.Once(&seen, 7)
			t.each(func() { named++; r.Skip() })
		default:
			r.Skip()
		}
	}
	if r.Err() != nil || named > len(p.Listings) {
		return nil
	}
	if p.Id == "" || p.UpdatedMs == 0 {
		r.Fail("a product needs id and updated_at")
		return nil
	}
	return p
}

// noTitle is what Shopify calls the only variant of a product without options.
const noTitle = "Default Title"

func (t *translation) finishProduct(p *event.Product) *event.Product {
	if p == nil || t.r.Err() != nil {
		return nil
	}
	for _, l := range p.Listings {
		if l.Title == noTitle || l.Title == "" {
			l.Title = p.Title
		} else {
			l.Title = p.Title + " - " + l.Title
		}
	}
	return p
}

// listing reads a variant.
func (t *translation) listing(p *event.Product) {
	r := t.r
	if !r.Object() {
		return
	}
	l := &event.ListingSnapshot{}
	var seen jsonread.Members
	var barcode string
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "id":
			r.Once(&seen, 0)
			l.Id = t.id()
		case "title":
			r.Once(&seen, 1)
			l.Title = r.Text() // finishProduct keeps it
		case "sku":
			r.Once(&seen, 2)
			l.PlatformSku = t.str()
		case "barcode":
			r.Once(&seen, 3)
			barcode = r.Text()
		case "price":
			r.Once(&seen, 4)
			if price := r.Number(); t.currency != "" {
				l.Price = t.money(price)
			}
		case "inventory_quantity", "inventoryQuantity":
			r.Once(&seen, 5)
			if !r.Null() {
				shown := r.Integer()
				l.Shown = &shown
			}
		case "inventory_item_id":
			r.Once(&seen, 6)
			l.StockId = t.id()
		case "inventory_management":
			r.Once(&seen, 7)
			l.Stocked = r.Text() != ""
		case "inventoryItem":
			r.Once(&seen, 6)
			r.Once(&seen, 7)
			l.StockId, l.Stocked = r.stockItem()
			l.StockId = t.keep(l.StockId)
		default:
			r.Skip()
		}
	}
	if r.Err() != nil {
		return
	}
	if l.Id == "" {
		r.Fail("a variant needs an id")
		return
	}
	if seen&(1<<7) == 0 {
		// Newer webhooks do not say whether stock is kept; what has a stock item usually is.
		l.Stocked = l.StockId != ""
	}
	if k := identifierKind(barcode); k != event.IdentifierKind_IDENTIFIER_KIND_UNSPECIFIED {
		l.Identifiers = []*event.Identifier{{Kind: k, Value: t.keep(barcode)}}
	}
	if t.location != "" {
		l.Locations = []string{t.location}
	}
	p.Listings = append(p.Listings, l)
}

// identifierKind says what a barcode is by its form; merchants also write numbers of their
// own into the field, which identify nothing outside of the shop.
func identifierKind(barcode string) event.IdentifierKind {
	digits, x := 0, false
	for i := range len(barcode) {
		switch c := barcode[i]; {
		case x:
			return event.IdentifierKind_IDENTIFIER_KIND_UNSPECIFIED
		case c >= '0' && c <= '9':
			digits++
		case c == '-' || c == ' ':
		case (c == 'X' || c == 'x') && digits == 9:
			x = true
		default:
			return event.IdentifierKind_IDENTIFIER_KIND_UNSPECIFIED
		}
	}
	switch {
	case x || digits == 10:
		return event.IdentifierKind_IDENTIFIER_KIND_ISBN
	case digits == 8 || digits == 12 || digits == 13 || digits == 14:
		return event.IdentifierKind_IDENTIFIER_KIND_GTIN
	}
	return event.IdentifierKind_IDENTIFIER_KIND_UNSPECIFIED
}

// deleted reads {"id"}; the time is the webhook's, for the body has none.
func (t *translation) deleted(at time.Time) *event.ProductDeleted {
	id := t.keep(t.r.idOf())
	if id == "" {
		t.r.Fail("a deleted product needs an id")
		return nil
	}
	d := &event.ProductDeleted{Connector: provider, Account: t.account, Id: id}
	if !at.IsZero() {
		d.DeletedMs = at.UnixMilli()
	}
	return d
}

// level reads what one location shows of one stock item. It is nil for an item whose stock
// is not kept.
func (t *translation) level() *event.InventoryObservation {
	r := t.r
	if !r.Object() {
		r.Unexpected("an inventory level")
		return nil
	}
	o := &event.InventoryObservation{Connector: provider, Account: t.account}
	var seen jsonread.Members
	told := false
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "inventory_item_id":
			r.Once(&seen, 0)
			o.StockId = t.id()
		case "item":
			r.Once(&seen, 0)
			o.StockId = t.keep(r.idOf())
		case "location_id":
			r.Once(&seen, 1)
			o.Location = t.id()
		case "location":
			r.Once(&seen, 1)
			o.Location = t.keep(r.idOf())
		case "available":
			r.Once(&seen, 2)
			if !r.Null() {
				o.Shown, told = r.Integer(), true
			}
		case "quantities":
			r.Once(&seen, 2)
			t.each(func() {
				if name, quantity := r.quantity(); name == "available" {
					o.Shown, told = quantity, true
				}
			})
		case "updated_at", "updatedAt":
			r.Once(&seen, 3)
			o.UpdatedMs = r.Instant()
		default:
			r.Skip()
		}
	}
	if r.Err() != nil || !told {
		return nil
	}
	if o.StockId == "" || o.Location == "" {
		r.Fail("an inventory level needs its item and location")
		return nil
	}
	return o
}

// quantity reads {"name", "quantity"}.
func (r *reader) quantity() (name string, quantity int64) {
	if !r.Object() {
		return "", 0
	}
	var seen jsonread.Members
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "name":
			r.Once(&seen, 0)
			name = r.Text()
		case "quantity":
			r.Once(&seen, 1)
			quantity = r.Integer()
		default:
			r.Skip()
		}
	}
	return name, quantity
}
