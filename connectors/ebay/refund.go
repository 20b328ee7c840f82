package ebay

import (
	"context"
	"fmt"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// refunder gives money back. issueRefund has no idempotency key, and a refund of the order
// does not say which request made it; so a journal is kept with the tokens, by order: before
// anything is sent, it is written down which refunds there were. Whoever comes back after a
// crash finds there that it may have been sent, and in the order whether it was.
// https://developer.ebay.com/api-docs/sell/fulfillment/resources/order/methods/issueRefund
type refunder struct{ *client }

// attempt is what the journal says of one command.
type attempt struct {
	At     time.Time `json:"at"`
	Before []string  `json:"before,omitempty"` // names of the refunds that there were
	Refund string    `json:"refund,omitempty"` // eBay's id, when it is known to be done
}

// settles is how long a refund that was sent may take to appear in the order.
const settles = 15 * time.Minute

// maxNote is eBay's bound on the comment.
const maxNote = 100

type simpleAmount struct {
	Currency string `json:"currency"`
	Value    string `json:"value"`
}

type refundItem struct {
	Line   string       `json:"lineItemId"`
	Amount simpleAmount `json:"refundAmount"`
}

type refundRequest struct {
	Reason  string        `json:"reasonForRefund"`
	Comment string        `json:"comment,omitempty"`
	Items   []refundItem  `json:"refundItems,omitempty"`
	Amount  *simpleAmount `json:"orderLevelRefundAmount,omitempty"`
}

// PushRefund refunds an amount: of a line when it names exactly one, else of the order.
func (f *refunder) PushRefund(ctx context.Context, w connectors.RefundWrite) (connectors.Result, error) {
	text, err := money.Format(provider, w.Amount)
	if err != nil || w.Amount.GetMinor() <= 0 || w.CommandID == "" || w.OrderID == "" {
		return connectors.Result{Outcome: event.Outcome_OUTCOME_REFUSED, Code: "AMOUNT", Message: "a refund needs an order, a command and an amount above zero"}, nil
	}
	name := "ebay/" + f.deps.Account + "/refunds/" + w.OrderID
	unlock, err := f.deps.Tokens.Lock(ctx, name)
	if err != nil {
		return f.asked(fmt.Errorf("locking the refunds of order %s: %w", w.OrderID, err))
	}
	defer unlock()
	journal, err := calls.LoadJournal[attempt](ctx, f.deps.Tokens, name, "look in the seller hub whether the refund is there")
	if err != nil {
		return f.asked(err)
	}
	mine, tried := journal[w.CommandID]
	if mine.Refund != "" {
		return connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED}, nil
	}
	o, err := f.orderNow(ctx, w.OrderID)
	if err != nil {
		return f.asked(err)
	}
	if tried {
		if found := f.appeared(o, journal, mine, w.Amount); found != "" {
			mine.Refund = found
			journal[w.CommandID] = mine
			return connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED}, journal.Save(ctx, f.deps.Tokens, name)
		}
		if age := f.deps.Now().Sub(mine.At); age < settles {
			return connectors.Result{Outcome: event.Outcome_OUTCOME_UNKNOWN, Code: "SETTLING", RetryAfter: settles - age,
				Message: "it was sent, and is not in the order yet"}, nil
		}
	}
	for command, other := range journal {
		if age := f.deps.Now().Sub(other.At); command != w.CommandID && other.Refund == "" && age < settles {
			// Two of them open at once could not be told apart when one appears.
			return connectors.Result{Outcome: event.Outcome_OUTCOME_NOT_SENT, Code: "SETTLING", RetryAfter: settles - age,
				Message: "of another refund of the order it is not known yet whether it was done"}, nil
		}
	}
	mine = attempt{At: f.deps.Now(), Before: names(o)}
	journal[w.CommandID] = mine
	if err := journal.Save(ctx, f.deps.Tokens, name); err != nil {
		return f.asked(err)
	}
	a, err := f.send(ctx, request{endpoint: callRefund, ids: []string{w.OrderID}, body: refundBody(w, text), priority: connectors.Normal})
	var answer struct {
		ID     string `json:"refundId"`
		Status string `json:"refundStatus"`
	}
	if err == nil {
		err = decode(a, callRefund.name(), &answer)
	}
	if err != nil {
		r, err := f.written(ctx, err)
		if r.Outcome != event.Outcome_OUTCOME_UNKNOWN {
			return r, f.forget(ctx, name, journal, w.CommandID, err)
		}
		return r, err
	}
	if answer.Status == "FAILED" {
		return connectors.Result{Outcome: event.Outcome_OUTCOME_REFUSED, Code: "FAILED", Message: "eBay could not refund: look at the order in the seller hub"},
			f.forget(ctx, name, journal, w.CommandID, nil)
	}
	if mine.Refund = answer.ID; mine.Refund == "" {
		return connectors.Result{Outcome: event.Outcome_OUTCOME_UNKNOWN, Code: "NO_ID", Message: "eBay named no refund"}, nil
	}
	journal[w.CommandID] = mine
	// It is done; that the journal does not know it costs a look at the order.
	return connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED}, journal.Save(ctx, f.deps.Tokens, name)
}

func refundBody(w connectors.RefundWrite, text string) refundRequest {
	body := refundRequest{Reason: reason(w.Restock), Comment: w.Note}
	if len(body.Comment) > maxNote {
		cut := maxNote
		for cut > 0 && body.Comment[cut]&0xc0 == 0x80 {
			cut-- // not in the middle of a letter
		}
		body.Comment = body.Comment[:cut]
	}
	amount := simpleAmount{w.Amount.GetCurrency(), text}
	if len(w.Lines) == 1 {
		body.Items = []refundItem{{w.Lines[0].LineID, amount}}
	} else {
		body.Amount = &amount
	}
	return body
}

// reason is ReasonForRefundEnum.
// https://developer.ebay.com/api-docs/sell/fulfillment/types/api:ReasonForRefundEnum
func reason(r event.Restock) string {
	switch r {
	case event.Restock_RESTOCK_CANCEL:
		return "SELLER_CANCEL"
	case event.Restock_RESTOCK_RETURN:
		return "BUYER_RETURN"
	}
	return "OTHER_ADJUSTMENT"
}

// forget takes a command out that certainly did nothing; first is an error that there is
// already. What cannot be taken out only makes the next attempt wait.
func (f *refunder) forget(ctx context.Context, name string, journal calls.Journal[attempt], command string, first error) error {
	delete(journal, command)
	if err := journal.Save(ctx, f.deps.Tokens, name); err != nil && first == nil {
		return err
	}
	return first
}

// names is what the refunds of an order are called, each once.
func names(o *orderNow) (all []string) {
	for _, r := range refundsNow(o) {
		all = append(all, r.name())
	}
	return all
}

func refundsNow(o *orderNow) []refundNow {
	all := append([]refundNow(nil), o.Payment.Refunds...)
	for _, l := range o.Lines {
		all = append(all, l.Refunds...)
	}
	return all
}

// appeared finds a refund of this amount that was not there before the attempt, and that no
// other command made.
func (f *refunder) appeared(o *orderNow, journal calls.Journal[attempt], mine attempt, amount *event.Money) string {
	taken := map[string]bool{"": true}
	for _, name := range mine.Before {
		taken[name] = true
	}
	for _, other := range journal {
		taken[other.Refund] = true
	}
	for _, r := range refundsNow(o) {
		if !taken[r.name()] && r.Status != "FAILED" && r.worth(amount.GetMinor(), amount.GetCurrency()) {
			return r.name()
		}
	}
	return ""
}
