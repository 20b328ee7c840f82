package shopify

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas/event"
)

// canceller cancels orders. The mutation only begins a job; what the job did is in the order.
type canceller struct{ *client }

// maxStaffNote is Shopify's bound on the note about a cancellation.
const maxStaffNote = 255

// How often and how long after one another it is asked whether the job is done. A command
// whose job takes longer comes back Unknown and asks again with its next attempt.
const (
	jobReads = 3
	jobPause = 200 * time.Millisecond
	jobRetry = 10 * time.Second
)

// cancelState is an order and the job that cancels it.
type cancelState struct {
	Order *struct {
		Cancelled *time.Time `json:"cancelledAt"`
	} `json:"order"`
	Job *struct {
		ID     string      `json:"id"`
		Done   bool        `json:"done"`
		Status string      `json:"status"`
		Errors []userError `json:"errors"`
	} `json:"node"`
}

// CancelOrder begins the cancellation and reads back what became of it. Shopify cancels an
// order once: a second job, begun by an attempt that did not know of the first, finds it
// cancelled and does nothing. Money is not given back by it, but by PushRefund, to the cent;
// authorised payments are voided by Shopify in any case.
func (k *canceller) CancelOrder(ctx context.Context, w connectors.CancelWrite) (connectors.Result, error) {
	order := orderGID(w.OrderID)
	if order == "" {
		return refused(codeNoOrder, "%q is no order's id", w.OrderID), nil
	}
	before, err := k.state(ctx, order, "")
	if err != nil {
		return failed(asked(err))
	}
	if before.Order == nil {
		return refused(codeNoOrder, "the shop has no order %s", w.OrderID), nil
	}
	if before.Order.Cancelled != nil {
		return doneBefore(), nil
	}
	job, r, err := k.begin(ctx, order, w)
	if r.Outcome == event.Outcome_OUTCOME_NOT_SENT || err != nil {
		return r, err
	}
	// A refusal is read back, too: somebody may have cancelled it in between.
	for n := range jobReads {
		if err := pause(ctx, time.Duration(n)*jobPause); err != nil {
			return r, err
		}
		now, err := k.state(ctx, order, job)
		switch {
		case err != nil:
			return r, nil // it cannot be read back: it stays unknown
		case now.Order != nil && now.Order.Cancelled != nil:
			return accepted(), nil
		case now.Job != nil && now.Job.Done && now.Job.Status == "FAILED":
			if len(now.Job.Errors) > 0 {
				return refusedBy(now.Job.Errors), nil
			}
			return refused("FAILED", "Shopify could not cancel the order: look at it in the shop's admin"), nil
		case job == "":
			return r, nil // nothing else is going to happen that we would know of
		}
	}
	return r, nil
}

// begin sends the mutation. Unknown is its good outcome: there is a job.
func (k *canceller) begin(ctx context.Context, order string, w connectors.CancelWrite) (job string, r connectors.Result, err error) {
	a, err := k.send(ctx, &docCancel, map[string]any{
		"order": order, "reason": cancelReason(w.Reason), "restock": w.Restock, "notify": w.Notify,
		"note": noted(w.Reason, w.CommandID, maxStaffNote),
	}, connectors.Urgent)
	if err != nil {
		r, err = failed(err)
		return "", r, err
	}
	var data struct {
		Cancel *struct {
			Job *struct {
				ID string `json:"id"`
			} `json:"jobResult"`
			Errors []userError `json:"orderCancelUserErrors"`
		} `json:"orderCancel"`
	}
	if err := json.Unmarshal([]byte(a.data), &data); err != nil || data.Cancel == nil {
		return "", unknown(codeNoAnswer, "the answer to %s cannot be read", docCancel.name), nil
	}
	if failures := data.Cancel.Errors; len(failures) > 0 {
		if failures[0].Code == "INTERNAL_ERROR" {
			return "", unknown(failures[0].Code, "%s", failures[0].Message), nil
		}
		return "", refusedBy(failures), nil
	}
	if data.Cancel.Job != nil {
		job = data.Cancel.Job.ID
	}
	r = unknown(codeInProgress, "Shopify is cancelling the order")
	r.RetryAfter = jobRetry
	return job, r, nil
}

func (k *canceller) state(ctx context.Context, order, job string) (s cancelState, err error) {
	d, vars := &docCancelState, map[string]any{"id": order}
	if job != "" {
		d, vars["job"] = &docCancelJob, job
	}
	a, err := k.read(ctx, d, vars, connectors.Urgent)
	if err != nil {
		return s, fmt.Errorf("asking whether the order is cancelled: %w", err)
	}
	if err := json.Unmarshal([]byte(a.data), &s); err != nil {
		return s, fmt.Errorf("asking whether the order is cancelled: %w", err)
	}
	return s, nil
}

// cancelReason is OrderCancelReason; the words themselves stand in the staff's note.
func cancelReason(reason string) string {
	switch strings.ToLower(strings.TrimSpace(reason)) {
	case "customer", "buyer", "buyer_asked_cancel", "buyer_cancel":
		return "CUSTOMER"
	case "declined", "payment", "payment_declined":
		return "DECLINED"
	case "fraud":
		return "FRAUD"
	case "inventory", "out_of_stock", "short", "no_stock":
		return "INVENTORY"
	case "staff", "error", "mistake":
		return "STAFF"
	}
	return "OTHER"
}
