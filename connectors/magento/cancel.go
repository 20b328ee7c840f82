package magento

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas/event"
)

// canceller cancels orders.
type canceller struct{ *client }

// CancelOrder cancels an order. Magento answers 200 false both to one that is cancelled and to
// one that cannot be: its state tells which. It always gives up what is reserved, tells the
// buyer nothing, and keeps no reason.
func (p *canceller) CancelOrder(ctx context.Context, w connectors.CancelWrite) (connectors.Result, error) {
	state, refused, err := p.state(ctx, w.OrderID)
	if refused != nil || err != nil {
		return outcome(refused, unsent(err))
	}
	if state == "canceled" {
		return connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED, Message: "it was done before"}, nil
	}
	a, err := p.write(ctx, http.MethodPost, "/V1/orders/"+w.OrderID+"/cancel", struct{}{}, connectors.Urgent)
	if err != nil {
		return outcome(nil, err)
	}
	if strings.TrimSpace(a.body) == "true" {
		return connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED}, nil
	}
	// Somebody may have cancelled it in between.
	if state, _, err = p.state(ctx, w.OrderID); err != nil {
		return outcome(nil, err)
	}
	if state == "canceled" {
		return connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED}, nil
	}
	return refusal(codeNotPossible, fmt.Sprintf("the shop does not cancel an order that is %s: what was invoiced is refunded by a credit memo", state)), nil
}

// state is how an order stands.
func (c *client) state(ctx context.Context, id string) (string, *connectors.Result, error) {
	if !digitsOnly(id) {
		return "", refuse(codeNoOrder, "%q is no order's id", id), nil
	}
	a, err := c.read(ctx, "/V1/orders/"+id, nil, connectors.Normal)
	if errors.Is(err, errNotFound) {
		return "", refuse(codeNoOrder, "the shop has no order %s", id), nil
	}
	if err != nil {
		return "", nil, err
	}
	var o struct {
		State string `json:"state"`
	}
	if err := json.Unmarshal([]byte(a.body), &o); err != nil || o.State == "" {
		return "", nil, fmt.Errorf("reading order %s: the answer tells no state", id)
	}
	return o.State, nil, nil
}

// digitsOnly guards ids that become part of a path.
func digitsOnly(id string) bool {
	for i := range len(id) {
		if id[i]-'0' > 9 {
			return false
		}
	}
	return id != "" && len(id) < 20
}
