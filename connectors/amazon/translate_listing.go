package amazon

import (
	"slices"
	"strings"

	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// channelMerchant is the fulfilment channel of goods that the seller ships. All others are
// Amazon's: AMAZON_NA, AMAZON_EU, AMAZON_JP and so on.
const channelMerchant = "DEFAULT"

// listingParts is what is read of one listing.
type listingParts struct {
	sku, title, brand, category string
	status                      []string
	asin                        string
	updated                     int64
	identifiers                 []*event.Identifier
	price                       *event.Money
	priceRank                   int
	merchant, amazon            bool
	// stored: it has a name in Amazon's warehouse.
	stored bool
	// shown is the merchant's quantity.
	shown *int64
}

// listing reads a listings item. A product is one SKU: an ASIN that is sold under two, one
// shipped by the seller and one by Amazon, is two things to buy with two stocks, and each of
// them is told whole.
func (t *translation) listing() *event.Product {
	l := t.readListing()
	if t.r.Err() != nil {
		return nil
	}
	if l.sku == "" || l.updated == 0 {
		t.r.Fail("a listing needs its SKU and, in summaries, lastUpdatedDate")
		return nil
	}
	return t.productOf(l)
}

func (t *translation) productOf(l *listingParts) *event.Product {
	if l.asin != "" {
		l.identifiers = append([]*event.Identifier{{Kind: event.IdentifierKind_IDENTIFIER_KIND_ASIN, Value: l.asin}}, l.identifiers...)
	}
	return &event.Product{
		Connector: provider, Account: t.account, Id: l.sku, Title: l.title, UpdatedMs: l.updated,
		Status: strings.ToLower(strings.Join(l.status, "+")), Brand: l.brand, Category: l.category,
		Listings: []*event.ListingSnapshot{{
			Id: l.sku, PlatformSku: l.sku, Title: l.title, Identifiers: l.identifiers, Price: l.price,
			Stocked: !l.amazon && !slices.Contains(t.services, l.sku), StockId: l.sku, Shown: l.shown,
		}},
	}
}

// level reads the same document for what the listing shows. Goods that Amazon ships are told
// by summaries, where the figures are.
func (t *translation) level() []*event.InventoryObservation {
	l := t.readListing()
	if t.r.Err() != nil {
		return nil
	}
	if l.sku == "" {
		t.r.Fail("a listing needs its SKU")
		return nil
	}
	if l.amazon || l.shown == nil {
		return nil
	}
	at := t.source
	if at == 0 {
		at = l.updated
	}
	return []*event.InventoryObservation{t.observation(l.sku, channelMerchant, *l.shown, at)}
}

func (t *translation) observation(sku, location string, shown, at int64) *event.InventoryObservation {
	return &event.InventoryObservation{Connector: provider, Account: t.account, StockId: sku, Location: location, Shown: shown, UpdatedMs: at}
}

func (t *translation) readListing() *listingParts {
	r := t.r
	l := &listingParts{priceRank: len(t.markets)}
	if !r.Object() {
		r.Unexpected("a listing")
		return l
	}
	rank := len(t.markets) + 1
	var seen jsonread.Members
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "sku":
			r.Once(&seen, 0)
			l.sku = r.Text()
		case "summaries":
			r.Once(&seen, 1)
			t.each(func() { t.marketSummary(l, &rank) })
		case "attributes":
			r.Once(&seen, 2)
			t.attributes(l)
		case "offers":
			r.Once(&seen, 3)
			t.each(func() { t.offer(l) })
		case "fulfillmentAvailability":
			r.Once(&seen, 4)
			t.each(func() { t.availability(l) })
		default:
			r.Skip()
		}
	}
	// Without any availability, a name in Amazon's warehouse says whose it is.
	l.amazon = l.amazon || (l.stored && !l.merchant)
	return l
}

// rankOf is the place of a marketplace in the configuration.
func (t *translation) rankOf(market string) int {
	for i, id := range t.markets {
		if id == market {
			return i
		}
	}
	return len(t.markets)
}

// marketSummary reads what one marketplace says; the one that stands first in the
// configuration is told, and the newest time of all.
func (t *translation) marketSummary(l *listingParts, rank *int) {
	r := t.r
	var seen jsonread.Members
	var market, asin, title, kind string
	var states []string
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "marketplaceId":
			r.Once(&seen, 0)
			market = r.Text()
		case "asin":
			r.Once(&seen, 1)
			asin = r.Text()
		case "itemName":
			r.Once(&seen, 2)
			title = r.Text()
		case "productType":
			r.Once(&seen, 3)
			kind = r.Text()
		case "status":
			r.Once(&seen, 4)
			t.each(func() { states = append(states, r.Text()) })
		case "fnSku":
			r.Once(&seen, 6)
			l.stored = l.stored || r.Text() != ""
		case "lastUpdatedDate":
			r.Once(&seen, 5)
			l.updated = max(l.updated, r.Instant())
		default:
			r.Skip()
		}
	}
	if n := t.rankOf(market); n < *rank {
		*rank = n
		l.asin, l.title, l.category, l.status = asin, title, kind, states
	}
}

// offer reads a price. The price is the one for everybody in the first marketplace that
// has one.
func (t *translation) offer(l *listingParts) {
	r := t.r
	var seen jsonread.Members
	var market, kind, text, currency string
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "marketplaceId":
			r.Once(&seen, 0)
			market = r.Text()
		case "offerType":
			r.Once(&seen, 1)
			kind = r.Text()
		case "price":
			r.Once(&seen, 2)
			if !r.Object() {
				continue
			}
			for key, ok := r.Next(); ok; key, ok = r.Next() {
				switch key {
				case "amount":
					text = r.Number()
				case "currencyCode":
					currency = strings.ToUpper(r.Text())
				default:
					r.Skip()
				}
			}
		default:
			r.Skip()
		}
	}
	rank := t.rankOf(market)
	if r.Err() != nil || kind != "B2C" || text == "" || rank >= l.priceRank {
		return
	}
	minor, err := money.Parse(provider, currency, text)
	if err != nil {
		r.Fail("price: %v", err)
		return
	}
	l.price, l.priceRank = &event.Money{Minor: minor, Currency: currency}, rank
}

func (t *translation) availability(l *listingParts) {
	r := t.r
	var seen jsonread.Members
	var channel string
	var quantity int64
	told := false
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "fulfillmentChannelCode":
			r.Once(&seen, 0)
			channel = r.Text()
		case "quantity":
			r.Once(&seen, 1)
			if !r.Null() {
				quantity, told = r.Integer(), true
			}
		default:
			r.Skip()
		}
	}
	switch channel {
	case channelMerchant:
		l.merchant = true
		if told {
			l.shown = &quantity
		}
	case "":
	default:
		l.amazon = true
	}
}

// attributes reads identifiers and brand of what the seller submitted. Of the other
// attributes there are hundreds, in shapes of their own.
func (t *translation) attributes(l *listingParts) {
	r := t.r
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "externally_assigned_product_identifier":
			t.each(func() { t.identifier(l) })
		case "part_number":
			t.each(func() {
				if v := t.value(); v != "" && len(l.identifiers) < maxIdentifiers {
					l.add(event.IdentifierKind_IDENTIFIER_KIND_MPN, v)
				}
			})
		case "brand":
			t.each(func() {
				if v := t.value(); l.brand == "" {
					l.brand = v
				}
			})
		default:
			r.Skip()
		}
	}
}

// maxIdentifiers bounds those of one listing.
const maxIdentifiers = 50

// add adds an identifier once: each marketplace names it.
func (l *listingParts) add(kind event.IdentifierKind, value string) {
	for _, have := range l.identifiers {
		if have.Kind == kind && have.Value == value {
			return
		}
	}
	l.identifiers = append(l.identifiers, &event.Identifier{Kind: kind, Value: value})
}

// value reads the text of {"value": …}; another kind of value is "".
func (t *translation) value() (text string) {
	r := t.r
	if r.Peek() != '{' {
		r.Skip()
		return ""
	}
	r.Object()
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		if key == "value" && r.Peek() == '"' {
			text = r.Text()
		} else {
			r.Skip()
		}
	}
	return text
}

func (t *translation) identifier(l *listingParts) {
	r := t.r
	var kind, value string
	if r.Peek() != '{' {
		r.Skip()
		return
	}
	r.Object()
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch {
		case key == "type" && r.Peek() == '"':
			kind = r.Text()
		case key == "value" && r.Peek() == '"':
			value = r.Text()
		default:
			r.Skip()
		}
	}
	if k := identifierKind(kind); k != event.IdentifierKind_IDENTIFIER_KIND_UNSPECIFIED && value != "" && len(l.identifiers) < maxIdentifiers {
		l.add(k, value)
	}
}

func identifierKind(text string) event.IdentifierKind {
	switch strings.ToLower(text) {
	case "ean", "upc", "gtin", "jan":
		return event.IdentifierKind_IDENTIFIER_KIND_GTIN
	case "isbn":
		return event.IdentifierKind_IDENTIFIER_KIND_ISBN
	}
	return event.IdentifierKind_IDENTIFIER_KIND_UNSPECIFIED
}
