package shopify

import (
	"fmt"
	"strings"
	"sync"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// Formats of raw records. The rest/ ones are webhook bodies as Shopify sent them; the
// graphql/ ones are envelopes {"order": node, "pages": [node, …]} around nodes as Shopify
// sent them, where pages holds what did not fit into the first answer (see assemble).
const (
	formatOrder       = "rest/order"
	formatOrderEdit   = "rest/order_edit"
	formatOrderDelete = "rest/order_delete"
	formatRefund      = "rest/refund"
	formatProduct     = "rest/product"
	formatProductGone = "rest/product_delete"
	formatLevel       = "rest/inventory_level"
	// The three about people's data.
	formatDataRequest    = "rest/customer_data_request"
	formatCustomerRedact = "rest/customer_redact"
	formatShopRedact     = "rest/shop_redact"

	formatGraphOrder   = "graphql/order"
	formatGraphProduct = "graphql/product"
	formatGraphLevel   = "graphql/inventory_level"
)

// provider is the name under which package money knows Shopify's exponents.
const provider = "shopify"

// translator turns raw records into facts. One set of functions reads both spellings of
// every field (updated_at and updatedAt, price and originalUnitPriceSet), so that a change
// seen by webhook and by poll gives the same fact by construction; what only one of the two
// shapes tells is left out.
type translator struct {
	// currency of the shop: product payloads name none. Empty = prices are left out.
	currency string
	location string
	// spare translations, so that none is made for each record.
	spare sync.Pool
}

var _ connectors.Translator = (*translator)(nil)

// Translate reads one raw record.
func (tr *translator) Translate(rec *connectors.Record) (connectors.Facts, error) {
	t, ok := tr.spare.Get().(*translation)
	if !ok {
		t = &translation{r: &reader{}}
	}
	t.begin(tr, rec)
	defer func() {
		t.end()
		tr.spare.Put(t)
	}()
	var facts connectors.Facts
	switch rec.Format {
	case formatOrder:
		facts.Orders = t.order()
	case formatGraphOrder:
		facts.Orders = t.orderEnvelope()
	case formatRefund:
		t.currency = t.keep(refundCurrency(t.r.Source()))
		facts.Refunds = one(t.refund(true))
	case formatProduct:
		facts.Products = one(t.product())
	case formatGraphProduct:
		facts.Products = one(t.productEnvelope())
	case formatProductGone:
		facts.Deleted = one(t.deleted(rec.SourceTime))
	case formatLevel, formatGraphLevel:
		facts.Observations = one(t.level())
	case formatOrderEdit, formatOrderDelete:
		// What an edit did comes as the whole order in orders/updated. Only orders that are
		// finished can be deleted, and a deleted order is still a fact of the past.
		t.r.Skip()
	case formatDataRequest, formatCustomerRedact, formatShopRedact:
		facts.Privacy = one(t.privacy(rec))
	default:
		return facts, fmt.Errorf("%w: shopify has no format %q", connectors.ErrUnsupported, rec.Format)
	}
	t.r.End()
	if t.r.Err() != nil {
		return connectors.Facts{}, fmt.Errorf("translating shopify %s %s: %w", rec.Format, rec.Object, t.r.Err())
	}
	return facts, nil
}

// one is a list of one, or none.
func one[T any](v *T) []*T {
	if v == nil {
		return nil
	}
	return []*T{v}
}

// translation is the state of reading one document.
type translation struct {
	*translator
	store
	r       *reader
	account string
	// currency of the order or refund being read; hides the translator's.
	currency string
	// open counts connections that said "there is more" minus the pages that followed.
	open int

	// The last address, and how it stands in the document.
	place     *event.PostalAddress
	placeText string
	// The last tax rate, as text and in millionths.
	rateText string
	ratePpm  int64

	// What has to wait for the whole order, because members come in any order.
	current   []int64 // current_quantity per line, -1 = not told
	fulfilled []lineCount
	allocated []int64 // sum of allocations by discount application
}

// begin takes up a document.
func (t *translation) begin(tr *translator, rec *connectors.Record) {
	t.translator, t.account, t.currency, t.open = tr, rec.Account, "", 0
	t.r.Reset(view(rec.Body))
}

// end forgets the document; the lists keep their room.
func (t *translation) end() {
	t.r.Reset("")
	t.place, t.placeText = nil, ""
	clear(t.fulfilled)
	t.current, t.fulfilled, t.allocated = t.current[:0], t.fulfilled[:0], t.allocated[:0]
}

// str reads a string that is kept; null is "".
func (t *translation) str() string { return t.keep(t.r.Text()) }

// id reads an identifier that is kept; null is "".
func (t *translation) id() string { return t.keep(t.r.ID()) }

// lineCount is a number of units of one order line.
type lineCount struct {
	line  string
	units int64
}

// money parses an amount in the currency of the document. "" is nil.
func (t *translation) money(text string) *event.Money {
	if text == "" || t.r.Err() != nil {
		return nil
	}
	minor, err := money.Parse(provider, t.currency, text)
	if err != nil {
		t.r.Fail("%v", err)
		return nil
	}
	return t.amount(minor, t.currency)
}

func (t *translation) amount(minor int64, currency string) *event.Money {
	m := t.moneys.take()
	m.Minor, m.Currency = minor, currency
	return m
}

func (t *translation) minor(text string) int64 {
	if text == "" || t.r.Err() != nil {
		return 0
	}
	minor, err := money.Parse(provider, t.currency, text)
	if err != nil {
		t.r.Fail("%v", err)
	}
	return minor
}

// sum adds amounts; an overflow is an error and never a wrap.
func (t *translation) sum(a, b int64) int64 {
	v, err := money.Add(a, b)
	if err != nil {
		t.r.Fail("%v", err)
	}
	return v
}

// nonZero is nil for nothing.
func (t *translation) nonZero(minor int64) *event.Money {
	if minor == 0 {
		return nil
	}
	return t.amount(minor, t.currency)
}

// bag is an amount in the shop's and in the buyer's currency.
type bag struct{ shop, shopCurrency, buyer, buyerCurrency string }

// bag reads {"shop_money": {"amount", "currency_code"}, "presentment_money": …}.
func (r *reader) bag() (b bag) {
	var seen jsonread.Members
	if !r.Object() {
		return b
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "shop_money", "shopMoney":
			r.Once(&seen, 0)
			b.shop, b.shopCurrency = r.amount()
		case "presentment_money", "presentmentMoney":
			r.Once(&seen, 1)
			b.buyer, b.buyerCurrency = r.amount()
		default:
			r.Skip()
		}
	}
	return b
}

func (r *reader) amount() (text, currency string) {
	var seen jsonread.Members
	if !r.Object() {
		return "", ""
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "amount":
			r.Once(&seen, 0)
			text = r.Number()
		case "currency_code", "currencyCode":
			r.Once(&seen, 1)
			currency = r.Text()
		default:
			r.Skip()
		}
	}
	return text, currency
}

// each calls read for every element of an array (webhooks) or of a connection's nodes
// (GraphQL).
func (t *translation) each(read func()) {
	r := t.r
	if r.Peek() != '{' {
		for ok := r.Array(); ok && r.More(); {
			read()
		}
		return
	}
	var seen jsonread.Members
	r.Object()
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "nodes":
			r.Once(&seen, 0)
			for ok := r.Array(); ok && r.More(); {
				read()
			}
		case "pageInfo":
			r.Once(&seen, 1)
			if next, _ := r.pageInfo(); next {
				t.open++
			}
		default:
			r.Skip()
		}
	}
}

func (r *reader) pageInfo() (next bool, cursor string) {
	var seen jsonread.Members
	if !r.Object() {
		return false, ""
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "hasNextPage":
			r.Once(&seen, 0)
			next = r.Boolean()
		case "endCursor":
			r.Once(&seen, 1)
			cursor = r.Text()
		default:
			r.Skip()
		}
	}
	return next, cursor
}

// idOf reads {"id": …}; null is "".
func (r *reader) idOf() (id string) {
	var seen jsonread.Members
	if !r.Object() {
		return ""
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		if key == "id" {
			r.Once(&seen, 0)
			id = r.ID()
		} else {
			r.Skip()
		}
	}
	return id
}

// envelope reads {name: node, "pages": [...]}; node and each page are read by the functions
// given. Pages come behind the node that they continue.
func (t *translation) envelope(name string, node, page func()) {
	r := t.r
	var seen jsonread.Members
	if !r.Object() {
		r.Unexpected("an object")
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch {
		case key == name:
			r.Once(&seen, 0)
			node()
		case key == "pages" && seen&1 != 0:
			r.Once(&seen, 1)
			for ok := r.Array(); ok && r.More(); {
				page()
				t.open--
			}
		default:
			r.Skip()
		}
	}
	if r.Err() == nil && seen&1 == 0 {
		r.Fail("%s is missing", name)
	}
	if r.Err() == nil && t.open != 0 {
		r.Fail("%d pages of the %s are missing", t.open, name)
	}
}

// currencyOf finds the currency of an order that tells its amounts first: members of an
// object have no order. The slow way, and never needed with Shopify as it is.
func (t *translation) currencyOf() string {
	if t.currency != "" || t.r.Err() != nil {
		return t.currency
	}
	r := newReaderString(t.r.Source())
	find := func() {
		for key, ok := r.Next(); ok; key, ok = r.Next() {
			if key == "currency" || key == "currencyCode" {
				t.currency = t.keep(strings.ToUpper(r.Text()))
			} else {
				r.Skip()
			}
		}
	}
	if r.Object() {
		for key, ok := r.Next(); ok; key, ok = r.Next() {
			switch key {
			case "currency", "currencyCode":
				t.currency = t.keep(strings.ToUpper(r.Text()))
			case "order":
				if r.Peek() == '{' && r.Object() {
					find()
				} else {
					r.Skip()
				}
			default:
				r.Skip()
			}
		}
	}
	if t.currency == "" {
		t.r.Fail("the order names no currency")
	}
	return t.currency
}
