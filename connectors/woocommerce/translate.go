package woocommerce

import (
	"fmt"
	"math"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// Formats of raw records. A webhook's body and an element of a list have the same shape, so
// that the same change gives the same facts by construction. Envelopes hold what takes
// several calls to read: {"order_id", "currency", "refunds": [refund, …]} and
// {"product": product, "variations": [variation, …]}.
const (
	formatOrder        = "rest/order"
	formatOrderDelete  = "rest/order_delete"
	formatRefunds      = "rest/refunds"
	formatProduct      = "rest/product"
	formatProductWhole = "rest/product_whole"
	formatProductGone  = "rest/product_delete"
	formatStock        = "rest/stock"
)

// translator turns raw records into facts.
type translator struct {
	// currency of the shop: products name none. Empty = prices are left out.
	currency string
	// statuses of plugins, and what they mean.
	statuses map[string]string
}

var _ connectors.Translator = (*translator)(nil)

// Translate reads one raw record. The facts share one copy of the document's text: nearly all
// of what they hold is in it.
func (tr *translator) Translate(rec *connectors.Record) (connectors.Facts, error) {
	t := &translation{translator: tr, Reader: jsonread.New(rec.Body), account: rec.Account}
	var facts connectors.Facts
	switch rec.Format {
	case formatOrder:
		facts.Orders = one(t.order())
	case formatRefunds:
		facts.Refunds = t.refunds()
	case formatProduct:
		facts = t.product()
	case formatProductWhole:
		facts.Products = one(t.productWhole())
	case formatProductGone:
		facts.Deleted = one(t.deleted(rec.SourceTime))
	case formatStock:
		facts.Observations = one(t.stock())
	case formatOrderDelete:
		// The body is the id alone. An order that is in the trash is seen by the poll, with all
		// that it was; of one that was erased nothing can be said.
		t.Skip()
	default:
		return facts, fmt.Errorf("%w: woocommerce has no format %q", connectors.ErrUnsupported, jsonread.Clip(rec.Format))
	}
	t.End()
	if t.Err() != nil {
		return connectors.Facts{}, fmt.Errorf("translating woocommerce %s %s: %w", rec.Format, rec.Object, t.Err())
	}
	if t.unsupported != nil {
		return connectors.Facts{}, fmt.Errorf("translating woocommerce %s %s: %w", rec.Format, rec.Object, t.unsupported)
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
	*jsonread.Reader
	account string
	// currency of the order or refund being read; hides the translator's.
	currency string
	exponent int
	// unsupported: the document is well-formed and means something that we do not know.
	unsupported error
}

// in sets the currency of all amounts that follow.
func (t *translation) in(currency string) {
	if t.Err() != nil {
		return
	}
	exponent, ok := money.Exponent(Name, currency)
	if !ok {
		t.Fail("currency %q is not known", jsonread.Clip(currency))
	}
	t.currency, t.exponent = currency, exponent
}

// minor reads an amount: text such as "18.00", or a number. "" and null are nothing.
func (t *translation) minor() int64 {
	text := t.Number()
	if text == "" || t.Err() != nil {
		return 0
	}
	v, err := money.Parse(Name, t.currency, text)
	if err != nil {
		t.Fail("%v", err)
	}
	return v
}

// sum adds amounts; an overflow is an error and never a wrap.
func (t *translation) sum(a, b int64) int64 {
	v, err := money.Add(a, b)
	if err != nil {
		t.Fail("%v", err)
	}
	return v
}

// neg is the opposite of an amount.
func (t *translation) neg(a int64) int64 {
	if a == math.MinInt64 {
		t.Fail("an amount out of range")
		return 0
	}
	return -a
}

func (t *translation) amount(minor int64) *event.Money {
	return &event.Money{Minor: minor, Currency: t.currency}
}

// nonZero is nil for nothing.
func (t *translation) nonZero(minor int64) *event.Money {
	if minor == 0 {
		return nil
	}
	return t.amount(minor)
}

// gmt reads a time of a member whose name ends in _gmt: UTC, written without a zone. The same
// time under the name without _gmt is the shop's local one, and is never read.
func (t *translation) gmt() int64 {
	text := t.Text()
	if text == "" || t.Err() != nil {
		return 0
	}
	ms, ok := jsonread.UTC(text)
	if !ok {
		t.Fail("%q is not a time of the form 2006-01-02T15:04:05", jsonread.Clip(text))
	}
	return ms
}

// unixMilli is a record's own time; 0 when there is none.
func unixMilli(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixMilli()
}

// each calls read for every element of an array; null is an empty one.
func (t *translation) each(read func()) {
	for ok := t.Array(); ok && t.More(); {
		read()
	}
}

// text is a copy of what an element says under a key of free form: of a string its text, of
// anything else "".
func (t *translation) loose() string {
	if k := t.Peek(); k == '"' || k == '-' || k-'0' <= 9 {
		return t.Number()
	}
	t.Skip()
	return ""
}
