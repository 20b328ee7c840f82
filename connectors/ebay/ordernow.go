package ebay

import (
	"context"
	"net/url"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/schemas/money"
)

// orderNow is what writes ask of an order before they do anything.
type orderNow struct {
	ID     string `json:"orderId"`
	Cancel struct {
		State    string `json:"cancelState"`
		Requests []struct {
			ID    string `json:"cancelRequestId"`
			State string `json:"cancelRequestState"`
			By    string `json:"cancelInitiator"`
		} `json:"cancelRequests"`
	} `json:"cancelStatus"`
	Lines []struct {
		ID       string      `json:"lineItemId"`
		Quantity int64       `json:"quantity"`
		Status   string      `json:"lineItemFulfillmentStatus"`
		Refunds  []refundNow `json:"refunds"`
	} `json:"lineItems"`
	Payment struct {
		Refunds []refundNow `json:"refunds"`
	} `json:"paymentSummary"`
}

// refundNow is a refund of an order or of a line.
type refundNow struct {
	ID        string `json:"refundId"`
	Reference string `json:"refundReferenceId"`
	Status    string `json:"refundStatus"`
	Amount    struct {
		Value    string `json:"value"`
		Currency string `json:"currency"`
	} `json:"amount"`
}

// name is what a refund can be recognised by.
func (f refundNow) name() string {
	if f.ID != "" {
		return f.ID
	}
	return f.Reference
}

// worth says whether it is of this amount.
func (f refundNow) worth(minor int64, currency string) bool {
	v, err := money.Parse(provider, currency, f.Amount.Value)
	return err == nil && f.Amount.Currency == currency && (v == minor || v == -minor)
}

func (c *client) orderNow(ctx context.Context, id string) (*orderNow, error) {
	a, err := c.read(ctx, request{endpoint: callOrder, ids: []string{id}, query: url.Values{"fieldGroups": {"TAX_BREAKDOWN"}}, priority: connectors.Urgent})
	if err != nil {
		return nil, err
	}
	o := &orderNow{}
	return o, decode(a, callOrder.name(), o)
}

// shipmentNow is a shipment that eBay knows of.
type shipmentNow struct {
	Tracking string `json:"shipmentTrackingNumber"`
	Lines    []struct {
		ID       string `json:"lineItemId"`
		Quantity *int64 `json:"quantity"`
	} `json:"lineItems"`
}

func (c *client) shipmentsNow(ctx context.Context, id string) ([]shipmentNow, error) {
	a, err := c.read(ctx, request{endpoint: callShipments, ids: []string{id}, priority: connectors.Normal})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Fulfilments []shipmentNow `json:"fulfillments"`
	}
	return answer.Fulfilments, decode(a, callShipments.name(), &answer)
}

// asked is the result of a write whose question before it failed: nothing was done.
func (c *client) asked(err error) (connectors.Result, error) {
	r := c.failure(calls.Unsent(err))
	if connectors.Class(err) == connectors.Class(connectors.ErrNeedsAuthorisation) {
		return r, err
	}
	return r, nil
}

// written is the result of a single write.
func (c *client) written(ctx context.Context, err error) (connectors.Result, error) {
	r := c.failure(err)
	if connectors.Class(err) == connectors.Class(connectors.ErrNeedsAuthorisation) {
		return r, err
	}
	return r, ctx.Err()
}
