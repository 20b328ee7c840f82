package ebay

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
)

// bulkUpdatePriceQuantity is the one call that writes stock and prices. It has no idempotency
// key and compares nothing: what it writes is absolute, and whoever does not know what became
// of it reads back. A status of 200 or 207 says nothing about the entries; each has its own.
// https://developer.ebay.com/api-docs/sell/inventory/resources/inventory_item/methods/bulkUpdatePriceQuantity

// priceQuantity is PriceQuantity: what becomes of one SKU and its offers.
type priceQuantity struct {
	SKU    string        `json:"sku"`
	Ship   *shipQuantity `json:"shipToLocationAvailability,omitempty"`
	Offers []offerChange `json:"offers,omitempty"`
}

type shipQuantity struct {
	Quantity int64 `json:"quantity"`
}

type offerChange struct {
	ID       string       `json:"offerId"`
	Quantity *int64       `json:"availableQuantity,omitempty"`
	Price    *priceAmount `json:"price,omitempty"`
}

type priceAmount struct {
	Currency string `json:"currency"`
	Value    string `json:"value"`
}

// entryAnswer is PriceQuantityResponse.
type entryAnswer struct {
	Status int     `json:"statusCode"`
	SKU    string  `json:"sku"`
	Offer  string  `json:"offerId"`
	Errors []fault `json:"errors"`
}

// update sends entries and says what became of each. eBay's contract says of this call both
// "up to 25" and "only one SKU". A call of several that is refused as a whole did nothing: its
// entries are sent alone, and so are all after them, if that was all that was wrong.
func (c *client) update(ctx context.Context, entries []priceQuantity, p connectors.Priority) ([]connectors.Result, error) {
	if len(entries) > 1 && c.single.Load() {
		return c.updateEach(ctx, entries, p)
	}
	results, whole, err := c.updateAll(ctx, entries, p)
	if !whole || len(entries) < 2 {
		return results, err
	}
	results, err = c.updateEach(ctx, entries, p)
	accepted := true
	for _, r := range results {
		accepted = accepted && r.Outcome == event.Outcome_OUTCOME_ACCEPTED
	}
	if accepted {
		c.single.Store(true)
	}
	return results, err
}

// updateEach sends entries one by one. What is left when a call fails for all of them was not
// sent.
func (c *client) updateEach(ctx context.Context, entries []priceQuantity, p connectors.Priority) ([]connectors.Result, error) {
	results := make([]connectors.Result, len(entries))
	for i := range entries {
		one, _, err := c.updateAll(ctx, entries[i:i+1], p)
		results[i] = one[0]
		if err != nil {
			return fill(results, event.Outcome_OUTCOME_NOT_SENT), err
		}
	}
	return results, nil
}

// updateAll sends entries in one call; whole says that it was refused as a whole.
func (c *client) updateAll(ctx context.Context, entries []priceQuantity, p connectors.Priority) (results []connectors.Result, whole bool, err error) {
	results = make([]connectors.Result, len(entries))
	if len(entries) == 0 {
		return results, false, nil
	}
	a, err := c.send(ctx, request{endpoint: callUpdate, body: map[string]any{"requests": entries}, priority: p})
	var answer struct {
		Responses []entryAnswer `json:"responses"`
	}
	if err == nil {
		err = decode(a, callUpdate.name(), &answer)
	}
	if err != nil {
		r := c.failure(err)
		for i := range results {
			results[i] = r
		}
		var refused *refusal
		whole = errors.As(err, &refused) && refused.status == http.StatusBadRequest
		if !errors.Is(err, connectors.ErrNeedsAuthorisation) && !errors.Is(err, context.Canceled) {
			err = nil // the results say it all
		}
		return results, whole, err
	}
	for i, e := range entries {
		results[i] = c.outcome(e, answer.Responses)
	}
	return results, false, nil
}

// failure is the result of a write whose call failed as a whole.
func (c *client) failure(err error) connectors.Result {
	r := connectors.Result{Outcome: event.Outcome_OUTCOME_UNKNOWN, Code: connectors.Class(err), Message: calls.Clip(err.Error())}
	if calls.IsUnsent(err) {
		r.Outcome = event.Outcome_OUTCOME_NOT_SENT
	}
	var retry *connectors.RetryAfterError
	if errors.As(err, &retry) {
		r.RetryAfter = retry.After
	}
	if errors.Is(err, connectors.ErrPermanent) {
		r.Outcome = event.Outcome_OUTCOME_REFUSED
	}
	var refused *refusal
	if errors.As(err, &refused) && len(refused.faults) > 0 {
		r.Code = refused.code()
		if revisionsUsed(refused.faults) {
			r.Outcome, r.RetryAfter = event.Outcome_OUTCOME_NOT_SENT, untilNextDay(c.deps.Now())
		}
	}
	return r
}

// outcome is what became of one entry. It is accepted when all of its parts are; when some
// were done and some not, nobody knows what is shown, and it is read back.
func (c *client) outcome(e priceQuantity, answers []entryAnswer) connectors.Result {
	done, refused, missing := 0, 0, 0
	var worst connectors.Result
	judge := func(match func(entryAnswer) bool) {
		for _, a := range answers {
			if !match(a) {
				continue
			}
			switch r := c.part(a); r.Outcome {
			case event.Outcome_OUTCOME_ACCEPTED:
				done++
			default:
				refused++
				if worst.Outcome != event.Outcome_OUTCOME_UNKNOWN {
					worst = r
				}
			}
			return
		}
		missing++
	}
	for _, o := range e.Offers {
		judge(func(a entryAnswer) bool { return a.Offer == o.ID })
	}
	if e.Ship != nil {
		// The item's own answer names no offer; some answers tell of item and offer in one.
		item := func(a entryAnswer) bool { return a.Offer == "" && a.SKU == e.SKU }
		found := false
		for _, a := range answers {
			found = found || item(a)
		}
		if found || len(e.Offers) == 0 {
			judge(item)
		}
	}
	switch {
	case refused == 0 && missing == 0:
		return connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED}
	case done == 0 && missing == 0:
		return worst
	case refused == 0:
		return connectors.Result{Outcome: event.Outcome_OUTCOME_UNKNOWN, Code: "NOT_ANSWERED", Message: "the answer leaves out SKU " + jsonread.Clip(e.SKU)}
	}
	worst.Outcome = event.Outcome_OUTCOME_UNKNOWN
	return worst
}

// part reads the answer to one entry.
func (c *client) part(a entryAnswer) connectors.Result {
	if a.Status >= 200 && a.Status < 300 && len(a.Errors) == 0 {
		return connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED}
	}
	r := connectors.Result{Outcome: event.Outcome_OUTCOME_REFUSED, Code: "HTTP_" + strconv.Itoa(a.Status)}
	if len(a.Errors) > 0 {
		r.Code, r.Message = strconv.FormatInt(a.Errors[0].ID, 10), calls.Clip(a.Errors[0].text())
	}
	switch {
	case revisionsUsed(a.Errors):
		r.Outcome, r.RetryAfter = event.Outcome_OUTCOME_NOT_SENT, untilNextDay(c.deps.Now())
	case a.Status == http.StatusTooManyRequests:
		r.Outcome, r.RetryAfter = event.Outcome_OUTCOME_NOT_SENT, pauseUnknown
	case a.Status >= 500 || a.Status < 200 || len(a.Errors) > 0 && a.Errors[0].Category == "APPLICATION":
		r.Outcome = event.Outcome_OUTCOME_UNKNOWN
	}
	return r
}

// revisionsUsed recognises that a listing was revised as often as it may be in one day. The
// contract names no number for it: it comes as a user error (25002) that says so in words.
func revisionsUsed(faults []fault) bool {
	for _, f := range faults {
		text := strings.ToLower(f.Message + " " + f.Long)
		if strings.Contains(text, "revis") && (strings.Contains(text, "250") || strings.Contains(text, "limit") || strings.Contains(text, "exceed")) {
			return true
		}
	}
	return false
}
