package shopify

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas/event"
)

// refunder gives money back. Two things keep it from being given twice: Shopify's idempotency
// key, which it remembers for a while, and the command's mark in the refund's note, which stays.
type refunder struct{ *client }

// Codes of refusals to refund.
const (
	codeAmount       = "AMOUNT"
	codeCurrency     = "CURRENCY"
	codeMoreThanPaid = "MORE_THAN_PAID"
	codeNoPayment    = "UNKNOWN_PAYMENT"
	codeMismatch     = "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"
)

// maxRefundNote bounds the note; Shopify names no bound of its own.
const maxRefundNote = 255

// refundRetry is how long after a call whose twin is still running the next one comes.
const refundRetry = 10 * time.Second

type refundLine struct {
	Line     string `json:"lineItemId"`
	Quantity int64  `json:"quantity"`
	Restock  string `json:"restockType"`
	Location string `json:"locationId,omitempty"`
}

type refundPayment struct {
	Order   string `json:"orderId"`
	Parent  string `json:"parentId"`
	Gateway string `json:"gateway"`
	Kind    string `json:"kind"`
	Amount  string `json:"amount"`
}

type refundInput struct {
	Order    string          `json:"orderId"`
	Note     string          `json:"note"`
	Notify   bool            `json:"notify"`
	Currency string          `json:"currency,omitempty"`
	Lines    []refundLine    `json:"refundLineItems,omitempty"`
	Payments []refundPayment `json:"transactions"`
}

// PushRefund gives exactly the amount back to the payments it came from, the oldest first or
// the one that is named. Which lines and how they go back to the shelf changes the books only.
func (p *refunder) PushRefund(ctx context.Context, w connectors.RefundWrite) (connectors.Result, error) {
	order := orderGID(w.OrderID)
	if order == "" {
		return refused(codeNoOrder, "%q is no order's id", w.OrderID), nil
	}
	if w.Amount.GetMinor() <= 0 || w.CommandID == "" {
		return refused(codeAmount, "a refund needs a command and an amount above zero"), nil
	}
	o, err := p.order(ctx, order)
	if err != nil {
		return failed(asked(err))
	}
	if o == nil {
		return refused(codeNoOrder, "the shop has no order %s", w.OrderID), nil
	}
	if made := o.made(w.CommandID); made != nil {
		return compared(doneBefore(), made, w.Amount), nil
	}
	in, bad := p.input(o, w)
	if bad != nil {
		return *bad, nil
	}
	if err := p.shelve(ctx, in); err != nil {
		return failed(asked(err))
	}
	return p.give(ctx, order, w, in)
}

// give sends the refund. A key whose first use failed is burnt, as in PushStock; before the
// next of the chain is taken, it is asked once more whether the refund is there.
func (p *refunder) give(ctx context.Context, order string, w connectors.RefundWrite, in *refundInput) (connectors.Result, error) {
	for attempt := range maxKeys {
		made, failures, err := p.create(ctx, in, refundKey(w, attempt))
		var key *idempotencyError
		burnt := errors.As(err, &key) && key.code == codePrevious
		switch {
		case err == nil && len(failures) > 0:
			return refusedBy(failures), nil
		case err == nil && made != nil:
			return compared(accepted(), made, w.Amount), nil
		}
		// It may have been done: the order says whether it was.
		r, failure := unknown(codeNoAnswer, "Shopify names no refund"), error(nil)
		if err != nil {
			r, failure = failed(err)
		}
		if key != nil {
			r.Code, r.RetryAfter = key.code, refundRetry
		}
		if r.Outcome != event.Outcome_OUTCOME_UNKNOWN || failure != nil {
			return r, failure
		}
		o, err := p.order(ctx, order)
		if err != nil || o == nil {
			return r, nil // it cannot be read back: it stays unknown
		}
		if made := o.made(w.CommandID); made != nil {
			return compared(accepted(), made, w.Amount), nil
		}
		if !burnt {
			return r, nil
		}
	}
	return refused(codePrevious, "Shopify has refused this refund %d times: look at the order in the shop's admin, and give a new command", maxKeys), nil
}

// compared says when a refund gave back something else than was wanted. What it gave is given
// in any case.
func compared(r connectors.Result, made *givenBack, amount *event.Money) connectors.Result {
	if minor, err := made.Total.in(amount.GetCurrency()); err != nil || minor != amount.GetMinor() {
		r.Code, r.Message = codeNotExact, fmt.Sprintf("the refund is of %s %s", made.Total.Buyer.Amount, made.Total.Buyer.Currency)
	}
	return r
}

// order reads what decides a refund; nil when the shop has no such order.
func (p *refunder) order(ctx context.Context, id string) (*paidOrder, error) {
	a, err := p.read(ctx, &docRefunds, map[string]any{"id": id}, connectors.Normal)
	if err != nil {
		return nil, fmt.Errorf("asking what was refunded: %w", err)
	}
	var data struct {
		Order *paidOrder `json:"order"`
	}
	if err := json.Unmarshal([]byte(a.data), &data); err != nil {
		return nil, fmt.Errorf("asking what was refunded: %w", err)
	}
	return data.Order, nil
}

// input is the refund as it is sent, without the places where goods go.
func (p *refunder) input(o *paidOrder, w connectors.RefundWrite) (*refundInput, *connectors.Result) {
	no := func(code, format string, args ...any) (*refundInput, *connectors.Result) {
		r := refused(code, format, args...)
		return nil, &r
	}
	// Shopify counts a refund in the buyer's currency; from the shop's it would have to be
	// converted, at a rate that nobody here knows.
	if w.Amount.GetCurrency() != o.Buyer {
		return no(codeCurrency, "the order was paid in %s: a refund of %s would not be exact", o.Buyer, w.Amount.GetCurrency())
	}
	in := &refundInput{Order: o.ID, Note: noted(w.Note, w.CommandID, maxRefundNote)}
	if o.Buyer != o.Currency {
		in.Currency = o.Buyer
	}
	at := map[string]int{}
	for _, l := range w.Lines {
		id := number(l.LineID)
		if !numeric.MatchString(id) || l.Quantity < 1 {
			return no(codeNoLine, "%d units of line %q", l.Quantity, l.LineID)
		}
		if i, ok := at[id]; ok {
			in.Lines[i].Quantity += l.Quantity
			continue
		}
		at[id] = len(in.Lines)
		in.Lines = append(in.Lines, refundLine{Line: gid("LineItem", id), Quantity: l.Quantity, Restock: restockType(w.Restock)})
	}
	if len(in.Lines) > maxPage {
		return no(codeNoLine, "%d lines in one refund, Shopify takes %d", len(in.Lines), maxPage)
	}
	payments, bad := o.split(w)
	in.Payments = payments
	return in, bad
}

// shelve says where goods go that are put back.
func (p *refunder) shelve(ctx context.Context, in *refundInput) error {
	for i := range in.Lines {
		if in.Lines[i].Restock == restockType(event.Restock_RESTOCK_NONE) {
			continue
		}
		location, err := p.locationOf(ctx, "")
		if err != nil {
			return err
		}
		in.Lines[i].Location = gid("Location", location)
	}
	return nil
}

// restockType is RefundLineItemRestockType.
func restockType(r event.Restock) string {
	switch r {
	case event.Restock_RESTOCK_CANCEL:
		return "CANCEL"
	case event.Restock_RESTOCK_RETURN:
		return "RETURN"
	}
	return "NO_RESTOCK"
}

func (p *refunder) create(ctx context.Context, in *refundInput, key string) (*givenBack, []userError, error) {
	a, err := p.send(ctx, &docRefundCreate, map[string]any{"input": in, "key": key}, connectors.Normal)
	if err != nil {
		return nil, nil, err
	}
	var data struct {
		Create *struct {
			Refund *givenBack  `json:"refund"`
			Errors []userError `json:"userErrors"`
		} `json:"refundCreate"`
	}
	if err := json.Unmarshal([]byte(a.data), &data); err != nil {
		return nil, nil, fmt.Errorf("reading the answer to %s: %w", docRefundCreate.name, err)
	}
	if data.Create == nil {
		return nil, nil, fmt.Errorf("the answer to %s says nothing", docRefundCreate.name)
	}
	for _, e := range data.Create.Errors {
		if code := idempotencyCode(e); code != "" {
			return nil, nil, &idempotencyError{code, e.Message}
		}
	}
	return data.Create.Refund, data.Create.Errors, nil
}

// idempotencyError: the key was used before. It says nothing of whether that was done.
type idempotencyError struct{ code, message string }

func (e *idempotencyError) Error() string { return e.code + ": " + e.message }

// idempotencyCode finds out whether a refusal is about the key. userErrors of refunds have no
// code, so that the words are read, which the schema gives for the codes of other mutations.
func idempotencyCode(e userError) string {
	text := strings.ToLower(e.Message)
	switch {
	case isIdempotency(e.Code):
		return e.Code
	case strings.Contains(text, "request is currently in progress"):
		return codeConcurrent
	case !strings.Contains(text, "idempotency key"):
		return ""
	case strings.Contains(text, "failed"):
		return codePrevious
	}
	return codeMismatch
}

func isIdempotency(code string) bool {
	return code == codeConcurrent || code == codePrevious || code == codeMismatch
}

// refundKey is a UUID v5 of the command alone, and not of how its amount is spread over the
// payments: should another refund have changed that since an attempt whose answer was lost,
// the key must be the same, so that Shopify refuses it instead of giving twice.
func refundKey(w connectors.RefundWrite, attempt int) string {
	h := sha256.New()
	fmt.Fprintf(h, "refund %q %q %q %d %q %d\n", w.CommandID, number(w.OrderID), number(w.PaymentID), w.Amount.GetMinor(), w.Amount.GetCurrency(), w.Restock)
	lines := make([]string, 0, len(w.Lines))
	for _, l := range w.Lines {
		lines = append(lines, fmt.Sprintf("%q %d", number(l.LineID), l.Quantity))
	}
	sort.Strings(lines)
	fmt.Fprintf(h, "%q %d", lines, attempt)
	return uuid.NewSHA1(keySpace, h.Sum(nil)).String()
}
