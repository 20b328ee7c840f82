package amazon

import (
	"fmt"
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// Formats of raw records: an order, a listing and a listing's quantities as they stand in an
// answer, a line of the listings report under its head, a summary of Amazon's warehouses with
// its marketplace, and a notification as it came.
const (
	formatOrder        = "orders/order"
	formatListing      = "listings/item"
	formatLevel        = "listings/quantity"
	formatReport       = "reports/listing"
	formatSummary      = "fba/summary"
	formatNotification = "notifications/message"
)

// maxID bounds an identifier; a SKU has at most 40 characters, which may be 160 bytes.
const maxID = 200

// translator turns raw records into facts. Both ways of reading an order (getOrder after a
// notification, searchOrders) give the same node, so that they give equal facts.
type translator struct {
	// markets of the connection; the first one's prices are told.
	markets []string
	// services are SKUs that are no goods.
	services []string
}

var _ connectors.Translator = (*translator)(nil)

// Translate reads one raw record.
func (tr *translator) Translate(rec *connectors.Record) (connectors.Facts, error) {
	// The body is copied once, as a string, and the facts share its memory: they live about as
	// long as the record, and fifty texts of an order cost nothing each.
	t := &translation{markets: tr.markets, services: tr.services, r: jsonread.New(rec.Body), account: rec.Account}
	if !rec.SourceTime.IsZero() {
		t.source = rec.SourceTime.UnixMilli()
	}
	var facts connectors.Facts
	switch rec.Format {
	case formatOrder:
		facts.Orders = one(t.order())
	case formatListing:
		facts.Products = one(t.listing())
	case formatLevel:
		facts.Observations = t.level()
	case formatSummary:
		facts.Observations = t.summary()
	case formatReport:
		product, shown := t.row()
		facts.Products, facts.Observations = one(product), one(shown)
	case formatNotification:
		facts.Observations = t.notification()
	default:
		return facts, fmt.Errorf("%w: amazon has no format %q", connectors.ErrUnsupported, rec.Format)
	}
	t.r.End()
	if err := t.r.Err(); err != nil {
		return connectors.Facts{}, fmt.Errorf("translating amazon %s %s: %w", rec.Format, jsonread.Clip(rec.Object), err)
	}
	if t.unsupported != "" {
		return connectors.Facts{}, fmt.Errorf("translating amazon %s %s: %w: %s", rec.Format, jsonread.Clip(rec.Object), connectors.ErrUnsupported, t.unsupported)
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
	markets  []string
	services []string
	r        *jsonread.Reader
	account  string
	// source is the record's time, in milliseconds.
	source int64
	// unsupported says why a document that is right says nothing to us.
	unsupported string

	// Of an order: its currency, which is the first that is named, and its items.
	currency string
	items    []itemMoney
}

// figure reads {"amount", "currencyCode"} of the order's currency; told is false for null.
func (t *translation) figure() (text string, told bool) {
	r := t.r
	var seen jsonread.Members
	var currency string
	if !r.Object() {
		return "", false
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "amount":
			r.Once(&seen, 0)
			text = r.Number()
		case "currencyCode":
			r.Once(&seen, 1)
			currency = r.Text()
		default:
			r.Skip()
		}
	}
	if t.currency == "" {
		t.currency = strings.ToUpper(currency)
	}
	if r.Err() == nil && !strings.EqualFold(currency, t.currency) {
		r.Fail("an amount in %q on an order in %q", jsonread.Clip(currency), jsonread.Clip(t.currency))
	}
	return text, r.Err() == nil
}

// amount is a figure in the currency's smallest units.
func (t *translation) amount() (minor int64, told bool) {
	text, told := t.figure()
	if !told {
		return 0, false
	}
	minor, err := money.Parse(provider, t.currency, text)
	if err != nil {
		t.r.Fail("%v", err)
	}
	return minor, true
}

// price is a figure exactly as it is written; nil for null.
func (t *translation) price() *event.Decimal {
	text, told := t.figure()
	if !told {
		return nil
	}
	d, err := money.ParseDecimal(text)
	if err != nil {
		t.r.Fail("%v", err)
	}
	return d
}

func (t *translation) money(minor int64) *event.Money {
	return &event.Money{Minor: minor, Currency: t.currency}
}

// nonZero is nil for nothing.
func (t *translation) nonZero(minor int64) *event.Money {
	if minor == 0 {
		return nil
	}
	return t.money(minor)
}

// sum adds amounts; an overflow is an error and never a wrap.
func (t *translation) sum(amounts ...int64) (total int64) {
	for _, a := range amounts {
		v, err := money.Add(total, a)
		if err != nil {
			t.r.Fail("%v", err)
			return 0
		}
		total = v
	}
	return total
}

// each calls read for every element of an array.
func (t *translation) each(read func()) {
	for ok := t.r.Array(); ok && t.r.More(); {
		read()
	}
}
