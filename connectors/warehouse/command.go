package warehouse

import (
	"fmt"
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// Requests are entries that ask for something to be done at a sales channel. They say nothing
// of stock, and share with the other kinds the way they come, id and occurred_at only: so they
// are read here, by members of their own.

// Kinds of requests.
const (
	kindPrice        = "price"
	kindShipment     = "shipment"
	kindCancellation = "cancellation"
	kindRefund       = "refund"
)

// requestMembers are what a request of each kind must hold, in the order in which a missing
// one is named, and what it may hold.
var requestMembers = map[string]struct{ must, may []string }{
	kindPrice:        {[]string{"id", "account", "amount", "occurred_at"}, []string{"sku", "listing", "product"}},
	kindShipment:     {[]string{"id", "account", "order", "lines", "occurred_at"}, []string{"carrier", "carrier_name", "tracking", "tracking_url", "notify"}},
	kindCancellation: {[]string{"id", "account", "order", "reason", "occurred_at"}, []string{"restock", "notify"}},
	kindRefund:       {[]string{"id", "account", "order", "occurred_at"}, []string{"lines", "amount", "payment", "restock", "note"}},
}

// isRequest reports whether a kind asks for something.
func isRequest(kind string) bool {
	_, ok := requestMembers[kind]
	return ok
}

// Bounds of a request.
const (
	maxAddress = 2000
	maxLines   = 500
)

// asked are the members of a request, of whatever kind.
type asked struct {
	id, account, order, sku, listing, product   string
	carrier, carrierName, tracking, trackingURL string
	payment, reason, note                       string
	notify, putBack                             bool
	restock                                     event.Restock
	lines                                       []*event.CommandLine
	amount                                      *event.Amount
	occurred                                    time.Time
}

// request turns the members of a request into its command.
func request(parts []member, kind string) (*event.Command, error) {
	a, err := readRequest(parts, kind)
	if err != nil {
		return nil, err
	}
	c := &event.Command{Id: a.id, Account: a.account, OrderId: a.order, RequestedMs: a.occurred.UnixMilli()}
	switch kind {
	case kindPrice:
		switch {
		case a.sku == "" && a.listing == "":
			return nil, malformed("$.sku", "it is missing, and so is listing: a price needs one of them")
		case a.sku != "" && a.listing != "":
			return nil, malformed("$.listing", "name the SKU or the listing, not both")
		case a.sku != "" && a.product != "":
			return nil, malformed("$.product", "it goes with listing only")
		case a.amount.GetValue().GetUnscaled() == 0:
			return nil, malformed("$.amount.text", "a price above 0 is needed")
		}
		c.Action = &event.Command_Price{Price: &event.PriceChange{Sku: a.sku, ListingId: a.listing, ProductId: a.product, Amount: a.amount}}
	case kindShipment:
		if a.tracking == "" && a.trackingURL != "" {
			return nil, malformed("$.tracking", "it is missing, and tracking_url is there")
		}
		c.Action = &event.Command_Shipment{Shipment: &event.ShipmentReport{
			Lines: a.lines, CarrierCode: a.carrier, CarrierName: a.carrierName,
			Tracking: a.tracking, TrackingUrl: a.trackingURL, Notify: a.notify,
		}}
	case kindCancellation:
		c.Action = &event.Command_Cancellation{Cancellation: &event.Cancellation{Reason: a.reason, Restock: a.putBack, Notify: a.notify}}
	case kindRefund:
		switch {
		case len(a.lines) == 0 && a.amount == nil:
			return nil, malformed("$.amount", "it is missing, and so are lines: a refund needs one of them")
		case a.amount != nil && a.amount.Value.Unscaled == 0:
			return nil, malformed("$.amount.text", "an amount above 0 is needed")
		}
		c.Action = &event.Command_Refund{Refund: &event.RefundRequest{
			Lines: a.lines, Amount: a.amount, PaymentId: a.payment, Restock: a.restock, Note: a.note,
		}}
	}
	return c, nil
}

// readRequest takes the members of a kind, and refuses others: see read.
func readRequest(parts []member, kind string) (a asked, err error) {
	known := requestMembers[kind]
	missing := make(map[string]bool, len(known.must))
	allowed := make(map[string]bool, len(known.must)+len(known.may))
	for _, name := range known.must {
		missing[name], allowed[name] = true, true
	}
	for _, name := range known.may {
		allowed[name] = true
	}
	for _, m := range parts {
		if m.name == "kind" {
			continue
		}
		path := "$." + clip(m.name)
		if !allowed[m.name] {
			return asked{}, malformed(path, "a request of kind %s has no such member", kind)
		}
		if err := a.set(m, path, kind); err != nil {
			return asked{}, err
		}
		delete(missing, m.name)
	}
	for _, name := range known.must {
		if missing[name] {
			return asked{}, malformed("$."+name, "it is missing")
		}
	}
	return a, nil
}

func (a *asked) set(m member, path, kind string) (err error) {
	word := func(to *string, most int, mayBeEmpty bool) { *to, err = text(m.value, path, most, mayBeEmpty) }
	switch m.name {
	case "id":
		word(&a.id, maxID, false)
	case "account":
		word(&a.account, maxWord, false)
	case "order":
		word(&a.order, maxWord, false)
	case "sku":
		word(&a.sku, maxWord, false)
	case "listing":
		word(&a.listing, maxWord, false)
	case "product":
		word(&a.product, maxWord, false)
	case "carrier":
		word(&a.carrier, maxWord, true)
	case "carrier_name":
		word(&a.carrierName, maxWord, true)
	case "tracking":
		word(&a.tracking, maxWord, true)
	case "tracking_url":
		if word(&a.trackingURL, maxAddress, true); err == nil && a.trackingURL != "" &&
			!strings.HasPrefix(a.trackingURL, "https://") && !strings.HasPrefix(a.trackingURL, "http://") {
			err = malformed(path, "%q is not the address of a page", clip(a.trackingURL))
		}
	case "payment":
		word(&a.payment, maxWord, true)
	case "reason":
		word(&a.reason, maxNote, false)
	case "note":
		word(&a.note, maxNote, true)
	case "occurred_at":
		a.occurred, err = instant(m.value, path)
	case "notify":
		a.notify, err = flag(m.value, path)
	case "restock":
		if kind == kindCancellation {
			a.putBack, err = flag(m.value, path)
		} else {
			a.restock, err = restock(m.value, path)
		}
	case "amount":
		a.amount, err = price(m.value, path)
	case "lines":
		a.lines, err = commandLines(m.value, path, kind == kindShipment)
	}
	return err
}

func flag(value []byte, path string) (bool, error) {
	switch string(value) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, malformed(path, "%s is not true or false", clip(string(value)))
}

// restock is what becomes of the goods of a refund.
func restock(value []byte, path string) (event.Restock, error) {
	word, err := text(value, path, maxWord, false)
	if err != nil {
		return 0, err
	}
	switch word {
	case "none":
		return event.Restock_RESTOCK_NONE, nil
	case "cancel":
		return event.Restock_RESTOCK_CANCEL, nil
	case "return":
		return event.Restock_RESTOCK_RETURN, nil
	}
	return 0, malformed(path, "%q is not known: send none, cancel (not shipped yet) or return (came back)", clip(word))
}

// commandLines is a list of {"line":"…","quantity":1}. Where that is allowed, "all" is
// everything that is left of the order: it has to be said, since an empty list may be a fault.
func commandLines(value []byte, path string, mayBeAll bool) ([]*event.CommandLine, error) {
	if mayBeAll && string(value) == `"all"` {
		return nil, nil
	}
	if len(value) > 0 && value[0] == '"' && mayBeAll {
		return nil, malformed(path, `%s is neither "all" nor a list`, clip(string(value)))
	}
	all, err := elements(value, path, maxLines)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, malformed(path, "it is empty")
	}
	lines := make([]*event.CommandLine, 0, len(all))
	seen := make(map[string]bool, len(all))
	for i, doc := range all {
		at := fmt.Sprintf("%s[%d]", path, i)
		l, err := commandLine(doc, at)
		if err != nil {
			return nil, err
		}
		if seen[l.LineId] {
			return nil, malformed(at+".line", "%q stands twice", clip(l.LineId))
		}
		seen[l.LineId] = true
		lines = append(lines, l)
	}
	return lines, nil
}

func commandLine(doc []byte, path string) (*event.CommandLine, error) {
	parts, err := members(doc, path)
	if err != nil {
		return nil, err
	}
	l := &event.CommandLine{}
	for _, m := range parts {
		switch m.name {
		case "line":
			l.LineId, err = text(m.value, path+".line", maxWord, false)
		case "quantity":
			if l.Quantity, err = integer(m.value, path+".quantity"); err == nil && l.Quantity < 1 {
				err = malformed(path+".quantity", "%d: at least 1", l.Quantity)
			}
		default:
			err = malformed(path+"."+clip(m.name), "a line has no such member")
		}
		if err != nil {
			return nil, err
		}
	}
	switch {
	case l.LineId == "":
		return nil, malformed(path+".line", "it is missing")
	case l.Quantity == 0:
		return nil, malformed(path+".quantity", "it is missing")
	}
	return l, nil
}

// price is an amount as it was written. It becomes smallest units only when it is known which
// platform is asked: they do not all count a currency alike.
func price(value []byte, path string) (*event.Amount, error) {
	figure, currency, err := amountTexts(value, path)
	if err != nil {
		return nil, err
	}
	// That the currency exists, and the figure is one of it.
	minor, err := money.Parse(Name, currency, figure)
	if err != nil {
		return nil, malformed(path, "%v", err)
	}
	if minor < 0 {
		return nil, malformed(path+".text", "%s is below 0", figure)
	}
	d, err := money.ParseDecimal(figure)
	if err != nil {
		return nil, malformed(path+".text", "%v", err)
	}
	return &event.Amount{Value: d, Currency: currency}, nil
}

// requested is the fact of a request.
func requested(parts []member, kind string) (connectors.Facts, error) {
	c, err := request(parts, kind)
	if err != nil {
		return connectors.Facts{}, err
	}
	return connectors.Facts{Commands: []*event.Command{c}}, nil
}
