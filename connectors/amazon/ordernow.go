package amazon

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
)

// orderNow is what writes ask of an order before they do anything.
type orderNow struct {
	Channel struct {
		Marketplace string `json:"marketplaceId"`
	} `json:"salesChannel"`
	Fulfilment struct {
		Status string `json:"fulfillmentStatus"`
		By     string `json:"fulfilledBy"`
	} `json:"fulfillment"`
	Items []struct {
		ID         string `json:"orderItemId"`
		Fulfilment struct {
			Done int64 `json:"quantityFulfilled"`
			Open int64 `json:"quantityUnfulfilled"`
		} `json:"fulfillment"`
	} `json:"orderItems"`
	Packages []struct {
		Reference string `json:"packageReferenceId"`
		Tracking  string `json:"trackingNumber"`
	} `json:"packages"`
	// node is the order as it stands in the answer.
	node json.RawMessage
}

// Statuses of an order that writes go by.
const (
	statusUnshipped = "UNSHIPPED"
	statusCancelled = "CANCELLED"
)

// waits says that the payment is not authorised yet: nothing may be done about the order.
func (o *orderNow) waits() bool {
	return o.Fulfilment.Status == "PENDING" || o.Fulfilment.Status == "PENDING_AVAILABILITY"
}

// shipped says that units of it have left.
func (o *orderNow) shipped() bool {
	for _, i := range o.Items {
		if i.Fulfilment.Done > 0 {
			return true
		}
	}
	return o.Fulfilment.Status == "SHIPPED" || o.Fulfilment.Status == "PARTIALLY_SHIPPED"
}

// orderNow reads an order, with the named sets of data. A failure is Unsent: whoever asks has
// done nothing yet.
func (c *client) orderNow(ctx context.Context, id, data string, priority connectors.Priority) (*orderNow, error) {
	a, err := c.read(ctx, call{
		op: opGetOrder, path: "/orders/2026-01-01/orders/" + url.PathEscape(id),
		query: url.Values{"includedData": {data}}, priority: priority,
	})
	if err != nil {
		return nil, calls.Unsent(err)
	}
	var answer struct {
		Order json.RawMessage `json:"order"`
	}
	o := &orderNow{}
	if err = json.Unmarshal(a.body, &answer); err == nil {
		err = json.Unmarshal(answer.Order, o)
	}
	o.node = answer.Order
	if err != nil || o.Channel.Marketplace == "" {
		return nil, calls.Unsent(calls.Passing(fmt.Errorf("the answer about order %s cannot be read", calls.Clip(id))))
	}
	return o, nil
}
