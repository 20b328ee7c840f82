package ebay

import (
	"fmt"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// Formats of raw records. The rest/ ones are envelopes around objects as eBay sent them:
// {"order": …, "fulfillments": […]} and {"item": …, "offers": […]}. The notification/ ones
// are bodies of webhooks.
const (
	formatOrder     = "rest/order"
	formatProduct   = "rest/product"
	formatStock     = "rest/stock"
	formatConfirmed = "notification/order_confirmation"
	formatShipped   = "notification/item_marked_shipped"
	formatDeletion  = "notification/account_deletion"
	formatRevoked   = "notification/authorization_revocation"
)

// translator turns raw records into facts.
type translator struct {
	// services are SKUs that are no goods.
	services []string
}

var _ connectors.Translator = (*translator)(nil)

// Translate reads one raw record. Notifications are hints: what they say of an order is less
// than an order, and comes whole with the next poll. The deletion of an account is a request.
func (tr *translator) Translate(rec *connectors.Record) (connectors.Facts, error) {
	t := translation{account: rec.Account, services: tr.services}
	t.r.Reset(string(rec.Body))
	var facts connectors.Facts
	switch rec.Format {
	case formatOrder:
		if o := t.orderEnvelope(); o != nil {
			facts.Orders = []*event.Order{o}
		}
	case formatProduct:
		if p := t.product(rec.SourceTime); p != nil {
			facts.Products = []*event.Product{p}
		}
	case formatStock:
		if o := t.stock(rec.SourceTime); o != nil {
			facts.Observations = []*event.InventoryObservation{o}
		}
	case formatDeletion:
		if q := t.deletion(); q != nil {
			facts.Privacy = []*event.PrivacyRequest{q}
		}
	case formatConfirmed, formatShipped, formatRevoked:
		if n := readNotification(&t.r); t.r.Err() == nil && n.id == "" {
			t.r.Fail("a notification needs an id")
		}
	default:
		return facts, fmt.Errorf("%w: ebay has no format %q", connectors.ErrUnsupported, jsonread.Clip(rec.Format))
	}
	t.r.End()
	if t.r.Err() != nil {
		return connectors.Facts{}, fmt.Errorf("translating ebay %s %s: %w", rec.Format, rec.Object, t.r.Err())
	}
	return facts, nil
}

// translation is the state of reading one document.
type translation struct {
	r        jsonread.Reader
	account  string
	services []string
	// currency of the order being read, once all of it is known.
	currency string
}

// amount is money as it stands in the document. Its currency may be a converted one, and is
// decided on when the order has been read to its end.
type amount struct{ value, currency, fromValue, fromCurrency string }

// amount reads Amount: {"value", "currency", "convertedFromValue", "convertedFromCurrency"}.
func (t *translation) amount() (a amount) {
	r := &t.r
	var seen jsonread.Members
	if !r.Object() {
		return a
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "value":
			r.Once(&seen, 0)
			a.value = r.Number()
		case "currency":
			r.Once(&seen, 1)
			a.currency = r.Text()
		case "convertedFromValue":
			r.Once(&seen, 2)
			a.fromValue = r.Number()
		case "convertedFromCurrency":
			r.Once(&seen, 3)
			a.fromCurrency = r.Text()
		default:
			r.Skip()
		}
	}
	return a
}

// minor is an amount in the order's currency; 0 for one that is not there.
func (t *translation) minor(a amount, what string) int64 {
	if t.r.Err() != nil || (a.value == "" && a.currency == "") {
		return 0
	}
	text := a.value
	switch t.currency {
	case a.fromCurrency:
		text = a.fromValue
	case a.currency:
	default:
		t.r.Fail("%s is in %s, the order in %s", what, jsonread.Clip(a.currency), jsonread.Clip(t.currency))
		return 0
	}
	v, err := money.Parse(provider, t.currency, text)
	if err != nil {
		t.r.Fail("%s: %v", what, err)
	}
	return v
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
func (t *translation) sum(parts ...int64) (total int64) {
	for _, p := range parts {
		v, err := money.Add(total, p)
		if err != nil {
			t.r.Fail("%v", err)
			return 0
		}
		total = v
	}
	return total
}

// each calls read for every element of an array; null is an empty one.
func (t *translation) each(read func()) {
	for ok := t.r.Array(); ok && t.r.More(); {
		read()
	}
}
