package woocommerce

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/schemas/event"
)

// Commands on orders: WooCommerce knows no idempotency keys, so that each of them is asked for
// first. What a command did carries its mark, in the very write that did it; whoever is killed
// in between finds the mark when he comes again.

// marker names a command where people read it, too: short, and of nothing but the command.
func marker(commandID string) string {
	sum := sha256.Sum256([]byte(commandID))
	return "[ref " + hex.EncodeToString(sum[:6]) + "]"
}

// orderState is what of an order decides a command.
type orderState struct {
	ID       json.Number `json:"id"`
	Status   string      `json:"status"`
	Currency string      `json:"currency"`
	Total    string      `json:"total"`
	Lines    []struct {
		ID       json.Number `json:"id"`
		Quantity int64       `json:"quantity"`
		Total    string      `json:"total"`
		Taxes    []struct {
			ID    json.Number `json:"id"`
			Total any         `json:"total"`
		} `json:"taxes"`
		Meta []metaState `json:"meta_data"`
	} `json:"line_items"`
	Meta []metaState `json:"meta_data"`
}

type metaState struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

// codeNoOrder is ours for an order that cannot be one of WooCommerce's.
const codeNoOrder = "no_order"

// errNoOrder: the id is none.
var errNoOrder = errors.New("the order's id is no number")

// order asks for one order.
func (c *client) order(ctx context.Context, id string) (o orderState, err error) {
	if !isNumber(id) {
		return o, calls.Unsent(fmt.Errorf("%w: %w", connectors.ErrPermanent, errNoOrder))
	}
	a, err := c.read(ctx, "orders/"+id, nil, connectors.Urgent)
	if err != nil {
		return o, unsent(err)
	}
	if err := json.Unmarshal([]byte(a.text), &o); err != nil || o.ID.String() != id {
		return o, calls.Unsent(fmt.Errorf("order %s cannot be read: %w", id, errors.Join(err, errors.New("it is another one"))))
	}
	return o, nil
}

// unsent marks a question that failed: nothing was done by asking.
func unsent(err error) error {
	if calls.IsUnsent(err) {
		return err
	}
	return calls.Unsent(err)
}

// put writes members of an order, and returns it as it is then.
func (c *client) put(ctx context.Context, id string, body map[string]any) (o orderState, err error) {
	a, err := c.send(ctx, call{method: http.MethodPut, path: "orders/" + id, body: body, priority: connectors.Urgent})
	if err != nil {
		return o, err
	}
	if err := json.Unmarshal([]byte(a.text), &o); err != nil {
		return o, fmt.Errorf("reading the answer to order %s: %w", id, err)
	}
	return o, nil
}

// commandFailed is the result of a command of which one call failed. A refusal of the account
// is the whole connection's business.
func commandFailed(err error) (connectors.Result, error) {
	r := failed(err)
	if errors.Is(err, errNoOrder) {
		r.Code = codeNoOrder
	}
	if errors.Is(err, connectors.ErrNeedsAuthorisation) || errors.Is(err, context.Canceled) {
		return r, err
	}
	return r, nil
}

func accepted() (connectors.Result, error) {
	return connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED}, nil
}

func refusedFor(code, format string, args ...any) (connectors.Result, error) {
	return connectors.Result{Outcome: event.Outcome_OUTCOME_REFUSED, Code: code, Message: fmt.Sprintf(format, args...)}, nil
}

// canceller cancels orders.
type canceller struct{ *client }

// CancelOrder sets the status. WooCommerce puts back what the order had taken off the shelf,
// once, whether Restock asks for it or not; and it tells the buyer as its own settings say.
// One that was shipped is not cancelled: it is refunded.
func (k *canceller) CancelOrder(ctx context.Context, w connectors.CancelWrite) (connectors.Result, error) {
	o, err := k.order(ctx, w.OrderID)
	if err != nil {
		return commandFailed(err)
	}
	switch o.Status {
	case "cancelled", statusTrash:
		return accepted()
	case "completed", "refunded":
		return refusedFor("order_"+o.Status, "the order is %s: refund it instead", o.Status)
	}
	body := map[string]any{"status": "cancelled"}
	if w.Reason != "" {
		body["meta_data"] = []map[string]any{{"key": "_crossdock_cancel_reason", "value": calls.Clip(w.Reason)}}
	}
	if o, err = k.put(ctx, w.OrderID, body); err != nil {
		return commandFailed(err)
	}
	if o.Status != "cancelled" {
		return connectors.Result{Outcome: event.Outcome_OUTCOME_UNKNOWN, Code: "another_status", Message: "the shop answers that the order is " + o.Status}, nil
	}
	return accepted()
}
