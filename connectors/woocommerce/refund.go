package woocommerce

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// refunder gives money back.
type refunder struct{ *client }

// codeCannotRefund: the shop, or its payment gateway, says no.
const codeCannotRefund = "woocommerce_rest_cannot_create_order_refund"

// refundLineInput is units of a line with what was paid for them.
type refundLineInput struct {
	ID       json.Number      `json:"id"`
	Quantity int64            `json:"quantity"`
	Total    json.Number      `json:"refund_total"`
	Taxes    []refundTaxInput `json:"refund_tax,omitempty"`
}

type refundTaxInput struct {
	ID    json.Number `json:"id"`
	Total json.Number `json:"refund_total"`
}

// PushRefund asks first. The mark stands in the refund's reason, which is written with it at
// once: meta data is saved a moment later, and a shop that stops in between would have given
// money back without saying for which command.
func (p *refunder) PushRefund(ctx context.Context, w connectors.RefundWrite) (connectors.Result, error) {
	o, err := p.order(ctx, w.OrderID)
	if err != nil {
		return commandFailed(err)
	}
	ref := marker(w.CommandID)
	known, err := p.all(ctx, "orders/"+w.OrderID+"/refunds", url.Values{"orderby": {"id"}, "order": {"asc"}}, connectors.Urgent)
	if err != nil {
		return commandFailed(unsent(err))
	}
	for _, text := range known {
		var r struct {
			Reason string `json:"reason"`
		}
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return commandFailed(calls.Unsent(fmt.Errorf("reading refunds: %w", err)))
		}
		if strings.Contains(r.Reason, ref) {
			return accepted()
		}
	}
	lines, total, err := refundLines(o, w.Lines)
	if err != nil {
		return refusedFor("no_such_units", "%v", err)
	}
	if w.Amount != nil {
		if w.Amount.Currency != o.Currency {
			return refusedFor(codeCurrency, "the amount is in %s, the order in %s", w.Amount.Currency, o.Currency)
		}
		total = w.Amount.Minor
	}
	text, err := money.Format(Name, &event.Money{Minor: total, Currency: o.Currency})
	if err != nil || total <= 0 {
		return refusedFor("no_amount", "%d of %s cannot be refunded", total, o.Currency)
	}
	body := map[string]any{
		"amount": text, "reason": strings.TrimSpace(calls.Clip(w.Note) + " " + ref), "api_refund": p.cfg.RefundPayments,
		"api_restock": w.Restock == event.Restock_RESTOCK_RETURN || w.Restock == event.Restock_RESTOCK_CANCEL,
	}
	if len(lines) > 0 {
		body["line_items"] = lines
	}
	a, err := p.send(ctx, call{method: http.MethodPost, path: "orders/" + w.OrderID + "/refunds", body: body, priority: connectors.Urgent})
	if isCode(err, codeCannotRefund) {
		// It answers 500, and has taken back what it had begun. Whether the gateway has too,
		// only its owner can see: it is not tried again.
		advice := ""
		if p.cfg.RefundPayments {
			advice = ": where the gateway cannot give money back, give it back yourself, and set refund_payments: false to have refunds booked only"
		}
		return refusedFor(codeCannotRefund, "%v", err.Error()+advice)
	}
	if err != nil {
		return commandFailed(err)
	}
	var made struct {
		Amount string `json:"amount"`
	}
	if err := json.Unmarshal([]byte(a.text), &made); err != nil {
		return commandFailed(fmt.Errorf("reading the answer to a refund: %w", err))
	}
	if got, err := money.Parse(Name, o.Currency, made.Amount); err != nil || got != total {
		return connectors.Result{Outcome: event.Outcome_OUTCOME_UNKNOWN, Code: "another_amount", Message: fmt.Sprintf("asked was %s, and the answer shows %q", text, made.Amount)}, nil
	}
	return accepted()
}

// refundLines is what was paid for these units, with tax; total is the sum.
func refundLines(o orderState, wanted []connectors.LineQuantity) (lines []refundLineInput, total int64, err error) {
	for _, want := range wanted {
		found := false
		for _, l := range o.Lines {
			if l.ID.String() != want.LineID {
				continue
			}
			found = true
			if want.Quantity < 1 || want.Quantity > l.Quantity {
				return nil, 0, fmt.Errorf("line %s has %d units, not %d", want.LineID, l.Quantity, want.Quantity)
			}
			share := func(text string) (json.Number, error) {
				exponent, ok := money.Exponent(Name, o.Currency)
				if !ok {
					return "", fmt.Errorf("currency %q is not known", o.Currency)
				}
				paid, err := money.ParseDecimal(text)
				if err != nil {
					return "", err
				}
				// Of a line's tax the shop tells more digits than can be paid.
				minor, err := money.Mul(paid, 1, exponent)
				if err == nil {
					minor, err = money.MulDiv(minor, want.Quantity, l.Quantity)
				}
				if err == nil {
					total, err = money.Add(total, minor)
				}
				if err != nil {
					return "", err
				}
				text, err = money.Format(Name, &event.Money{Minor: minor, Currency: o.Currency})
				return json.Number(text), err
			}
			in := refundLineInput{ID: l.ID, Quantity: want.Quantity}
			if in.Total, err = share(l.Total); err != nil {
				return nil, 0, fmt.Errorf("line %s: %w", want.LineID, err)
			}
			for _, x := range l.Taxes {
				text := strings.TrimSpace(fmt.Sprint(x.Total))
				if text == "" {
					continue
				}
				part, err := share(text)
				if err != nil {
					return nil, 0, fmt.Errorf("tax of line %s: %w", want.LineID, err)
				}
				in.Taxes = append(in.Taxes, refundTaxInput{x.ID, part})
			}
			lines = append(lines, in)
		}
		if !found {
			return nil, 0, fmt.Errorf("the order has no line %q", want.LineID)
		}
	}
	return lines, total, nil
}
