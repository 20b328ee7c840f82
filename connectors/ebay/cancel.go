package ebay

import (
	"context"
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas/event"
)

// canceller cancels orders by the Post-Order API, which is older than the others: it wants
// its tokens announced as "IAF", and its published contract names the calls and not their
// bodies. Those are of its reference:
// https://developer.ebay.com/devzone/post-order/post-order_v2_cancellation__post.html
type canceller struct{ *client }

type cancelBody struct {
	Order  string `json:"legacyOrderId"`
	Reason string `json:"cancelReason"`
}

// CancelOrder asks first: an order that is cancelled is left alone, one that the buyer wants
// to cancel is approved of, and only else a cancellation is made. eBay refunds the buyer and
// tells them itself, whatever Notify says. It never puts units up for sale again: what is
// shown is ours to say, so that Restock needs no write here.
func (k *canceller) CancelOrder(ctx context.Context, w connectors.CancelWrite) (connectors.Result, error) {
	done := connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED}
	o, err := k.orderNow(ctx, w.OrderID)
	if err != nil {
		return k.asked(err)
	}
	if o.Cancel.State == "CANCELED" {
		return done, nil
	}
	for _, l := range o.Lines {
		if l.Status != "" && l.Status != "NOT_STARTED" {
			return connectors.Result{Outcome: event.Outcome_OUTCOME_REFUSED, Code: "SHIPPED", Message: "some of it is shipped: refund it instead"}, nil
		}
	}
	send := request{endpoint: callCancel, body: cancelBody{w.OrderID, cancelReason(w.Reason)}, priority: connectors.Urgent}
	if o.Cancel.State == "IN_PROGRESS" {
		open := ""
		for _, r := range o.Cancel.Requests {
			if strings.EqualFold(r.By, "buyer") && r.State == "REQUESTED" {
				open = r.ID
			}
		}
		if open == "" {
			// Somebody has begun to cancel it: a killed attempt of ours, or the seller by hand.
			return connectors.Result{Outcome: event.Outcome_OUTCOME_UNKNOWN, Code: "IN_PROGRESS", Message: "a cancellation is under way"}, nil
		}
		send = request{endpoint: callApprove, ids: []string{open}, priority: connectors.Urgent}
	}
	if _, err := k.send(ctx, send); err != nil {
		return k.written(ctx, err)
	}
	return done, nil
}

const outOfStock = "OUT_OF_STOCK_OR_CANNOT_FULFILL" //nolint:misspell // the word is eBay's

// cancelReason is CancelReasonEnum, as far as sellers may use it.
// https://developer.ebay.com/Devzone/post-order/types/CancelReasonEnum.html
func cancelReason(reason string) string {
	switch strings.ToLower(reason) {
	case "customer", "buyer", "buyer_asked_cancel", "buyer_cancel":
		return "BUYER_ASKED_CANCEL"
	case "address", "address_issues":
		return "ADDRESS_ISSUES"
	}
	return outOfStock
}
