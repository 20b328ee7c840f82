package amazon

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas/event"
)

// opConfirm is of the old version of the Orders API: it has no successor.
var opConfirm = operation{name: "confirmShipment", method: http.MethodPost, pause: time.Second / 2}

// fulfiller confirms shipments. Amazon is asked first whether the package is there already;
// and its reference is made from the command's name, so that confirming it twice all the same
// edits one package and makes no second one.
type fulfiller struct{ *client }

// pendingPause is how long an order waits for its payment before it is asked again.
const pendingPause = 15 * time.Minute

// PushFulfilment confirms one package.
func (f *fulfiller) PushFulfilment(ctx context.Context, w connectors.FulfilmentWrite) (connectors.Result, error) {
	if w.Tracking == "" {
		return refused(codeInvalid, "Amazon takes no shipment without a tracking number"), nil
	}
	known, err := f.orderNow(ctx, w.OrderID, "FULFILLMENT,PACKAGES", connectors.Normal)
	if err != nil {
		return asked(err)
	}
	reference := packageReference(w.CommandID)
	for _, p := range known.Packages {
		// The tracking number also: the seller may have typed it into Seller Central.
		if p.Reference == reference || strings.EqualFold(p.Tracking, w.Tracking) {
			return connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED, Code: "DONE_BEFORE", Message: "package " + p.Reference}, nil
		}
	}
	switch status := known.Fulfilment.Status; {
	case known.Fulfilment.By == byAmazon:
		return refused(codeAmazon, "Amazon ships this order itself"), nil
	case known.waits():
		return later(status, pendingPause, "Amazon does not let it be shipped before it is paid"), nil
	case status == statusCancelled:
		return refused(status, "the order is cancelled"), nil
	}
	type item struct {
		ID       string `json:"orderItemId"`
		Quantity int64  `json:"quantity"`
	}
	var items []item
	for _, l := range w.Lines {
		items = append(items, item{l.LineID, l.Quantity})
	}
	if len(w.Lines) == 0 {
		for _, i := range known.Items {
			if i.Fulfilment.Open > 0 {
				items = append(items, item{i.ID, i.Fulfilment.Open})
			}
		}
	}
	if len(items) == 0 {
		return refused("NOTHING_LEFT", "every unit of the order is shipped, under another tracking number"), nil
	}
	code, name := carrierCode(w.CarrierCode, w.CarrierName)
	detail := map[string]any{
		"packageReferenceId": reference, "carrierCode": code, "trackingNumber": w.Tracking,
		"shipDate": stamp(f.deps.Now()), "orderItems": items,
	}
	if name != "" {
		detail["carrierName"] = name
	}
	_, err = f.send(ctx, call{
		op: opConfirm, path: "/orders/v0/orders/" + url.PathEscape(w.OrderID) + "/shipmentConfirmation", priority: connectors.Normal,
		body: map[string]any{"marketplaceId": known.Channel.Marketplace, "packageDetail": detail},
	})
	if err != nil {
		return outcome(err), whole(err)
	}
	return connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED, Message: "package " + reference}, nil
}

// packageReference is a positive number, as text: Amazon takes nothing else.
// https://github.com/amzn/selling-partner-api-models/issues/5094
func packageReference(command string) string {
	sum := sha256.Sum256([]byte(command))
	return strconv.FormatUint(1+binary.BigEndian.Uint64(sum[:8])%999_999_999, 10)
}

// carrierCode is Amazon's name of a carrier, which must match its list to the letter; a
// carrier that is not in it goes by its own name.
// https://developer-docs.amazon.com/sp-api/docs/carrier-codes
func carrierCode(code, name string) (amazon, other string) {
	for _, text := range []string{code, name} {
		switch plainCarrier(text) {
		case "dhl", "dhlparcel":
			return "DHL", ""
		case "dhlexpress":
			return "DHL Express", ""
		case "dhlecommerce":
			return "DHL eCommerce", ""
		case "deutschepost":
			return "Deutsche Post", ""
		case "ups":
			return "UPS", ""
		case "fedex":
			return "FedEx", ""
		case "usps":
			return "USPS", ""
		case "royalmail":
			return "Royal Mail", ""
		case "parcelforce":
			return "Parcelforce", ""
		case "dpd":
			return "DPD", ""
		case "gls":
			return "GLS", ""
		case "hermes":
			return "Hermes", ""
		case "evri":
			return "Evri", ""
		case "yodel":
			return "Yodel", ""
		case "tnt":
			return "TNT", ""
		case "correos":
			return "Correos", ""
		case "postnl":
			return "PostNL", ""
		case "bpost":
			return "BPOST", ""
		case "laposte":
			return "La Poste", ""
		case "colissimo":
			return "Colissimo", ""
		case "chronopost":
			return "Chronopost", ""
		case "canadapost":
			return "Canada Post", ""
		case "australiapost", "auspost":
			return "Australia Post", ""
		case "yanwen":
			return "Yanwen", ""
		case "yunexpress":
			return "Yun Express", ""
		case "sfexpress":
			return "SF Express", ""
		case "chinapost":
			return "China Post", ""
		}
	}
	if name == "" {
		name = code
	}
	if name == "" {
		name = "Other"
	}
	return "Other", name
}

// plainCarrier is a name without case, blanks and punctuation.
func plainCarrier(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return -1
	}, text)
}
