package ebay

import (
	"context"
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas/event"
)

// fulfiller reports shipments.
type fulfiller struct{ *client }

type shipmentLine struct {
	ID       string `json:"lineItemId"`
	Quantity int64  `json:"quantity"`
}

// PushFulfilment makes one shipping fulfilment, which is one package. The call has no
// idempotency key, so that eBay is asked first whether it knows the package: by its tracking
// number, or, for a package without one, by the lines being shipped already.
// https://developer.ebay.com/api-docs/sell/fulfillment/resources/order/shipping_fulfillment/methods/createShippingFulfillment
func (f *fulfiller) PushFulfilment(ctx context.Context, w connectors.FulfilmentWrite) (connectors.Result, error) {
	done := connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED}
	number := tracking(w.Tracking)
	known, err := f.shipmentsNow(ctx, w.OrderID)
	if err != nil {
		return f.asked(err)
	}
	shipped := map[string]int64{}
	for _, s := range known {
		if number != "" && strings.EqualFold(tracking(s.Tracking), number) {
			return done, nil
		}
		for _, l := range s.Lines {
			if l.Quantity == nil {
				shipped[l.ID]++
			} else {
				shipped[l.ID] += *l.Quantity
			}
		}
	}
	var lines []shipmentLine
	for _, l := range w.Lines {
		lines = append(lines, shipmentLine{l.LineID, l.Quantity})
	}
	if number == "" || len(lines) == 0 {
		o, err := f.orderNow(ctx, w.OrderID)
		if err != nil {
			return f.asked(err)
		}
		if len(lines) == 0 {
			for _, l := range o.Lines {
				if left := l.Quantity - shipped[l.ID]; left > 0 && l.Status != "FULFILLED" {
					lines = append(lines, shipmentLine{l.ID, left})
				}
			}
		} else if number == "" {
			// Lines that are shipped as often as they were sold cannot be shipped once more.
			open := false
			for _, l := range o.Lines {
				for _, want := range lines {
					open = open || l.ID == want.ID && l.Status != "FULFILLED" && l.Quantity-shipped[l.ID] >= want.Quantity
				}
			}
			if !open {
				return done, nil
			}
		}
		if len(lines) == 0 {
			return done, nil // all of it is shipped
		}
	}
	body := map[string]any{"lineItems": lines}
	if number != "" {
		body["trackingNumber"], body["shippingCarrierCode"] = number, carrier(w.CarrierCode, w.CarrierName)
	}
	if _, err := f.send(ctx, request{endpoint: callShip, ids: []string{w.OrderID}, body: body, priority: connectors.Normal}); err != nil {
		return f.written(ctx, err)
	}
	return done, nil
}
