package magento

import (
	"fmt"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// Formats of raw records: nodes as Magento sent them, products alone, orders and source items
// in an envelope with what belongs to them (see orders and levelRaw).
const (
	formatOrder   = "rest/order"
	formatProduct = "rest/product"
	formatLevel   = "rest/source_item"
)

// translator turns raw records into facts.
type translator struct {
	currency    string
	identifiers map[string]event.IdentifierKind
}

func newTranslator(cfg Config) *translator {
	tr := &translator{currency: cfg.Currency, identifiers: make(map[string]event.IdentifierKind, len(cfg.Identifiers))}
	for attribute, name := range cfg.Identifiers {
		tr.identifiers[attribute], _ = kindOf(name)
	}
	return tr
}

// kindOf is a kind of identifier by its name in the configuration.
func kindOf(name string) (event.IdentifierKind, bool) {
	switch name {
	case "gtin":
		return event.IdentifierKind_IDENTIFIER_KIND_GTIN, true
	case "isbn":
		return event.IdentifierKind_IDENTIFIER_KIND_ISBN, true
	case "asin":
		return event.IdentifierKind_IDENTIFIER_KIND_ASIN, true
	case "mpn":
		return event.IdentifierKind_IDENTIFIER_KIND_MPN, true
	}
	return event.IdentifierKind_IDENTIFIER_KIND_UNSPECIFIED, false
}

// Translate reads one raw record. The document is copied once, as a string that the facts
// share: strings cut from it cost nothing, and nobody can change them.
func (tr *translator) Translate(rec *connectors.Record) (connectors.Facts, error) {
	t := &translation{translator: tr, account: rec.Account}
	t.r.Reset(string(rec.Body))
	var facts connectors.Facts
	switch rec.Format {
	case formatOrder:
		facts.Orders = one(t.orderEnvelope())
	case formatProduct:
		facts.Products = one(t.product())
	case formatLevel:
		facts.Observations = one(t.level())
	default:
		return facts, fmt.Errorf("%w: magento has no format %q", connectors.ErrUnsupported, rec.Format)
	}
	t.r.End()
	if err := t.r.Err(); err != nil {
		return connectors.Facts{}, fmt.Errorf("translating magento %s %s: %w", rec.Format, rec.Object, err)
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
	r       jsonread.Reader
	account string
	// base is the base currency of the order being read: the currency of the books.
	base  string
	lines []goods
	slab  []event.Money
}

// minor parses an amount of the base currency. Magento writes amounts as numbers, and PHP
// writes very small ones with a power; null and what is not there are nothing.
func (t *translation) minor(what, text string) int64 {
	if text == "" || text == "0" || t.r.Err() != nil {
		return 0
	}
	v, err := money.ParseNumber(Name, t.base, text)
	if err != nil {
		t.r.Fail("%s: %v", what, err)
		return 0
	}
	return v
}

// amount is an amount in the base currency.
func (t *translation) amount(minor int64) *event.Money {
	if len(t.slab) == 0 {
		t.slab = make([]event.Money, 16)
	}
	m := &t.slab[0]
	t.slab = t.slab[1:]
	m.Minor, m.Currency = minor, t.base
	return m
}

// nonZero is nil for nothing.
func (t *translation) nonZero(minor int64) *event.Money {
	if minor == 0 {
		return nil
	}
	return t.amount(minor)
}

// sum adds amounts; an overflow is an error and never a wrap.
func (t *translation) sum(amounts ...int64) (total int64) {
	for _, a := range amounts {
		v, err := money.Add(total, a)
		if err != nil {
			t.r.Fail("%v", err)
		}
		total = v
	}
	return total
}

// instant reads a time, which Magento tells in UTC and does not say so; null is 0.
func instant(r *jsonread.Reader) int64 {
	text := r.Text()
	if text == "" || r.Err() != nil {
		return 0
	}
	ms, ok := jsonread.UTC(text)
	if !ok {
		r.Fail("%q is not a time as Magento writes it (2006-01-02 15:04:05)", jsonread.Clip(text))
	}
	return ms
}
