package magento

import (
	"errors"
	"strings"

	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// product reads a product. To Magento every simple product is one of its own, also when a
// configurable product or a bundle offers it: so it is here, and each has the one listing
// that order lines name by its id, and stock is written by its SKU.
func (t *translation) product() *event.Product {
	r := &t.r
	if !r.Object() {
		r.Unexpected("a product")
		return nil
	}
	p := &event.Product{Connector: Name, Account: t.account}
	l := &event.ListingSnapshot{}
	var seen jsonread.Members
	var kind, price string
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "id":
			r.Once(&seen, 0)
			p.Id = r.ID()
		case "sku":
			r.Once(&seen, 1)
			l.PlatformSku = r.Text()
		case "name":
			r.Once(&seen, 2)
			p.Title = r.Text()
		case "price":
			r.Once(&seen, 3)
			price = r.Number()
		case "status":
			r.Once(&seen, 4)
			p.Status = productStatus(r.Number())
		case "type_id":
			r.Once(&seen, 5)
			kind = r.Text()
		case "updated_at":
			r.Once(&seen, 6)
			p.UpdatedMs = instant(r)
		case "custom_attributes":
			r.Once(&seen, 7)
			for ok := r.Array(); ok && r.More(); {
				t.attribute(p, l)
			}
		default:
			r.Skip()
		}
	}
	if r.Err() != nil {
		return nil
	}
	if p.Id == "" || l.PlatformSku == "" || p.UpdatedMs == 0 {
		r.Fail("a product needs id, sku and updated_at")
		return nil
	}
	l.Id, l.StockId, l.Title, l.Stocked = p.Id, l.PlatformSku, p.Title, stockedKind(kind)
	if l.Price = t.price(price); r.Err() != nil {
		return nil
	}
	p.Listings = []*event.ListingSnapshot{l}
	return p
}

// price is the price in the configured currency. Magento keeps prices with six decimals: one
// that is finer than the currency can be paid is not a price that we can name.
func (t *translation) price(text string) *event.Money {
	if text == "" || t.currency == "" {
		return nil
	}
	minor, err := money.ParseNumber(Name, t.currency, text)
	switch {
	case errors.Is(err, money.ErrPrecision):
		return nil
	case err != nil:
		t.r.Fail("price: %v", err)
		return nil
	}
	return &event.Money{Minor: minor, Currency: t.currency}
}

func productStatus(s string) string {
	switch s {
	case "1":
		return "enabled"
	case "2":
		return "disabled"
	}
	return s
}

// attribute reads one {"attribute_code", "value"}; values are texts or lists of texts.
func (t *translation) attribute(p *event.Product, l *event.ListingSnapshot) {
	r := &t.r
	var seen jsonread.Members
	if !r.Object() {
		r.Unexpected("an attribute")
		return
	}
	var name, value string
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "attribute_code":
			r.Once(&seen, 0)
			name = r.Text()
		case "value":
			r.Once(&seen, 1)
			switch c := r.Peek(); {
			case c == '"' || c == '-' || c-'0' <= 9:
				value = strings.TrimSpace(r.Number())
			default:
				r.Skip()
			}
		default:
			r.Skip()
		}
	}
	if value == "" {
		return
	}
	if name == "brand" {
		p.Brand = value
	}
	kind, ok := t.identifiers[name]
	if !ok || kind == event.IdentifierKind_IDENTIFIER_KIND_GTIN && !validGTIN(value) {
		return
	}
	l.Identifiers = append(l.Identifiers, &event.Identifier{Kind: kind, Value: value})
}

// validGTIN checks length and check digit: the field is free text, and "n/a" on two products
// would make them one.
func validGTIN(s string) bool {
	if len(s) != 8 && len(s) != 12 && len(s) != 13 && len(s) != 14 {
		return false
	}
	sum, weight := 0, 1
	for i := len(s) - 1; i >= 0; i-- {
		if s[i]-'0' > 9 {
			return false
		}
		sum += int(s[i]-'0') * weight
		weight = 4 - weight
	}
	return sum%10 == 0 && strings.Trim(s, "0") != ""
}

// level reads {"at", "reserved", "source_item"}.
func (t *translation) level() *event.InventoryObservation {
	r := &t.r
	if !r.Object() {
		r.Unexpected("an inventory level")
		return nil
	}
	var seen jsonread.Members
	var reserved, at int64
	var held sourceItem
	var source string
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "at":
			r.Once(&seen, 0)
			at = r.Instant()
		case "reserved":
			r.Once(&seen, 1)
			reserved = r.Integer()
		case "source_item":
			r.Once(&seen, 2)
			held, source = readSourceItem(r)
		default:
			r.Skip()
		}
	}
	if r.Err() == nil && seen&6 != 6 {
		r.Fail("an inventory level needs reserved and source_item")
	}
	if r.Err() != nil {
		return nil
	}
	return &event.InventoryObservation{Connector: Name, Account: t.account, StockId: held.sku, Location: source,
		Shown: held.quantity - reserved, UpdatedMs: at}
}
