package amazon

// Lines of the listings report.

import (
	"strconv"
	"strings"

	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// Columns of the listings report.
const (
	columnSKU      = "seller-sku"
	columnTitle    = "item-name"
	columnQuantity = "quantity"
	columnPrice    = "price"
	columnASIN     = "asin1"
	columnCode     = "product-id"
	columnCodeKind = "product-id-type"
	columnChannel  = "fulfilment-channel"
	columnStatus   = "status"
)

// rowTime is when a listing was changed that only the report tells of. The report fills in
// what nobody else has told, and never overrides what a listing says itself, which is more.
const rowTime = 1

// row reads a line of the listings report, {"head", "row"}.
func (t *translation) row() (*event.Product, *event.InventoryObservation) {
	r := t.r
	var seen jsonread.Members
	var head, line string
	if !r.Object() {
		r.Unexpected("a line of the report")
		return nil, nil
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "head":
			r.Once(&seen, 0)
			head = r.Text()
		case "row":
			r.Once(&seen, 1)
			line = r.Text()
		default:
			r.Skip()
		}
	}
	names, cells := strings.Split(head, "\t"), strings.Split(line, "\t")
	if r.Err() == nil && len(names) != len(cells) {
		r.Fail("%d cells under %d columns", len(cells), len(names))
	}
	if r.Err() != nil {
		return nil, nil
	}
	cell := func(name string) string {
		for i, n := range names {
			// Amazon writes fulfilment with one l, and with two where it was corrected.
			if n == name || (name == columnChannel && n == "fulfillment-channel") {
				return strings.TrimSpace(cells[i])
			}
		}
		return ""
	}
	l := &listingParts{sku: cell(columnSKU), title: cell(columnTitle), asin: cell(columnASIN), updated: rowTime}
	if l.sku == "" {
		r.Fail("no %s", columnSKU)
		return nil, nil
	}
	if s := cell(columnStatus); s != "" {
		l.status = []string{s}
	}
	// 1 is an ASIN, 2 an ISBN, 3 a UPC and 4 an EAN.
	switch code := cell(columnCode); cell(columnCodeKind) {
	case "2":
		l.add(event.IdentifierKind_IDENTIFIER_KIND_ISBN, code)
	case "3", "4":
		l.add(event.IdentifierKind_IDENTIFIER_KIND_GTIN, code)
	}
	if text := cell(columnPrice); text != "" && len(t.markets) > 0 {
		m, _ := marketplaceByID(t.markets[0])
		minor, err := money.Parse(provider, m.currency, text)
		if err != nil {
			r.Fail("%s: %v", columnPrice, err)
			return nil, nil
		}
		l.price = &event.Money{Minor: minor, Currency: m.currency}
	}
	channel := cell(columnChannel)
	l.amazon = channel != "" && channel != channelMerchant
	var shown *event.InventoryObservation
	if text := cell(columnQuantity); text != "" && !l.amazon {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			r.Fail("%s: %q is not a whole number", columnQuantity, jsonread.Clip(text))
			return nil, nil
		}
		l.shown = &n
		shown = t.observation(l.sku, channelMerchant, n, max(t.source, rowTime))
	}
	return t.productOf(l), shown
}
