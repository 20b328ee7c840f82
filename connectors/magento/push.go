package magento

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/schemas/event"
)

// Codes of results that are ours: Magento answers 200 to all of these.
const (
	codeUnknownSKU = "UNKNOWN_SKU"
	codeNotStocked = "NOT_STOCKED"
	codeStale      = "SHOWN_CHANGED"
	codeNotApplied = "NOT_APPLIED"
	codeChanging   = "CHANGED_MEANWHILE"
)

// maxRewrites bounds how often one call writes a SKU again whose orders were shipped while
// it was written.
const maxRewrites = 3

// pusher sets what the shop can sell.
type pusher struct{ *client }

// Batch is how many SKUs can be looked up by one address.
func (p *pusher) Batch() int { return maxList }

// wanted is one write on its way.
type wanted struct {
	at   int // index in writes
	sku  string
	show int64
	// put is the quantity of the source that was sent last, reserved what it allowed for.
	put, reserved int64
}

// PushStock looks before and after: before, because a source item for a SKU that does not
// exist is written without complaint, because the quantity of the source has to allow for
// what open orders reserve, and to compare with what is expected; after, because an order
// that was shipped in between took its units from the source that the write then put back.
// What shows the quantity already is not written. Magento compares nothing itself, so that
// the comparison is as good as the moment between reading and writing is short.
func (p *pusher) PushStock(ctx context.Context, writes []connectors.StockWrite) ([]connectors.Result, error) {
	results := make([]connectors.Result, len(writes))
	if len(writes) > maxList {
		return fill(results, event.Outcome_OUTCOME_NOT_SENT), fmt.Errorf("%w: %d writes at once, at most %d are taken", connectors.ErrPermanent, len(writes), maxList)
	}
	skus := make([]string, 0, len(writes))
	for _, w := range writes {
		if w.StockID != "" {
			skus = append(skus, w.StockID)
		}
	}
	urgency := urgencyOf(writes)
	before, err := p.look(ctx, skus, urgency)
	if err != nil {
		// Nothing was written yet.
		return p.failed(results, calls.Unsent(err))
	}
	open := p.plan(writes, before, results)
	for attempt := 0; len(open) > 0; attempt++ {
		if open = p.put(ctx, open, urgency, results, &err); len(open) == 0 {
			break
		}
		open = p.verify(ctx, open, before, urgency, results, attempt+1 < maxRewrites)
	}
	return results, err
}

// urgencyOf puts decreases first: they keep goods from being sold that are not there.
func urgencyOf(writes []connectors.StockWrite) connectors.Priority {
	for _, w := range writes {
		if w.Expected != nil && w.Quantity < *w.Expected {
			return connectors.Urgent
		}
	}
	return connectors.Normal
}

// plan settles what needs no write and returns the rest.
func (p *pusher) plan(writes []connectors.StockWrite, before map[string]*stockOf, results []connectors.Result) (open []wanted) {
	used := map[string]bool{}
	for i, w := range writes {
		s := before[w.StockID]
		switch {
		case w.Location != "" && w.Location != p.cfg.Source:
			results[i] = refusal(codeUnknownSKU, fmt.Sprintf("this connection writes source %s, not %s", p.cfg.Source, w.Location))
		case s == nil || !s.known:
			results[i] = refusal(codeUnknownSKU, fmt.Sprintf("the shop has no product with the SKU %q: it was renamed or deleted", w.StockID))
		case !s.stocked():
			results[i] = refusal(codeNotStocked, fmt.Sprintf("%q is a %s product, which has no quantity of its own", w.StockID, s.kind))
		case used[w.StockID]:
			results[i] = connectors.Result{Outcome: event.Outcome_OUTCOME_NOT_SENT, Sibling: true, Message: "the same SKU stands twice in one batch"}
		case s.has && s.shown() == w.Quantity:
			results[i] = connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED}
			used[w.StockID] = true
		case w.Expected != nil && s.has && s.shown() != *w.Expected:
			shown := s.shown()
			results[i] = refusal(codeStale, fmt.Sprintf("it shows %d, not %d", shown, *w.Expected))
			results[i].Stale, results[i].Shown = true, &shown
			used[w.StockID] = true
		default:
			open = append(open, wanted{at: i, sku: w.StockID, show: w.Quantity, reserved: s.reserved})
			used[w.StockID] = true
		}
	}
	return open
}

func refusal(code, message string) connectors.Result {
	return connectors.Result{Outcome: event.Outcome_OUTCOME_REFUSED, Code: code, Message: message}
}

// sourceItemInput is one entry of POST inventory/source-items.
type sourceItemInput struct {
	SKU      string `json:"sku"`
	Source   string `json:"source_code"`
	Quantity int64  `json:"quantity"`
	Status   int    `json:"status"` // 1 = in stock
}

// put writes, and returns what was answered with 200. Magento checks all items of a call
// before it saves any: a call that is refused is repeated item by item, so that one does not
// hold up the others.
func (p *pusher) put(ctx context.Context, open []wanted, urgency connectors.Priority, results []connectors.Result, whole *error) []wanted {
	inputs := make([]sourceItemInput, len(open))
	for n := range open {
		w := &open[n]
		w.put = w.show + w.reserved
		inputs[n] = sourceItemInput{SKU: w.sku, Source: p.cfg.Source, Quantity: w.put}
		if w.put > 0 {
			inputs[n].Status = 1
		}
	}
	_, err := p.write(ctx, http.MethodPost, "/V1/inventory/source-items", map[string]any{"sourceItems": inputs}, urgency)
	if err == nil {
		return open
	}
	var refused *refusedError
	if errors.As(err, &refused) && len(open) > 1 {
		var done []wanted
		for n := range open {
			done = append(done, p.put(ctx, open[n:n+1], urgency, results, whole)...)
		}
		return done
	}
	said := make([]connectors.Result, 1)
	if _, err := p.failed(said, err); err != nil {
		*whole = err
	}
	for _, w := range open {
		results[w.at] = said[0]
	}
	return nil
}

// verify reads back what was written, and returns what has to be written again: units that
// were reserved when they were counted and are not any more were shipped or cancelled in
// between, and stand in the source once too often.
func (p *pusher) verify(ctx context.Context, open []wanted, before map[string]*stockOf, urgency connectors.Priority, results []connectors.Result, again bool) (rest []wanted) {
	skus := make([]string, len(open))
	now := make(map[string]*stockOf, len(open))
	reserved := false
	for n, w := range open {
		skus[n] = w.sku
		now[w.sku] = &stockOf{}
		reserved = reserved || w.reserved > 0
	}
	err := p.quantities(ctx, skus, now, urgency)
	if err == nil && reserved {
		var units map[string]int64
		units, err = p.reserving(ctx, urgency)
		for sku, s := range now {
			s.reserved = units[before[sku].id]
		}
	}
	for _, w := range open {
		s, was := now[w.sku], before[w.sku]
		r := &results[w.at]
		switch {
		case err != nil:
			*r = connectors.Result{Outcome: event.Outcome_OUTCOME_UNKNOWN, Code: connectors.Class(err), Message: "it was written and could not be read back: " + calls.Clip(err.Error())}
		case s.reserved < w.reserved && again:
			w.reserved = s.reserved
			rest = append(rest, w)
		case s.reserved < w.reserved:
			*r = connectors.Result{Outcome: event.Outcome_OUTCOME_UNKNOWN, Code: codeChanging, Message: "its orders change faster than it can be written"}
		case s.has && s.quantity == w.put:
			*r = connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED}
		case s.has == was.has && s.quantity == was.quantity:
			*r = connectors.Result{Outcome: event.Outcome_OUTCOME_NOT_SENT, Code: codeNotApplied, Message: "the shop answered 200 and did not write it"}
		default:
			*r = connectors.Result{Outcome: event.Outcome_OUTCOME_UNKNOWN, Code: codeChanging, Message: fmt.Sprintf("the source was written with %d and holds %d: somebody else writes it", w.put, s.quantity)}
		}
	}
	return rest
}

// failed is the result of a call that failed, for each of its writes.
func (c *client) failed(results []connectors.Result, err error) ([]connectors.Result, error) {
	r := resultOf(err)
	for i := range results {
		results[i] = r
	}
	if errors.Is(err, connectors.ErrNeedsAuthorisation) || errors.Is(err, context.Canceled) {
		return results, err
	}
	return results, nil // the results say it all
}

// resultOf is what an error says about the write that it ended.
func resultOf(err error) connectors.Result {
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
	return r
}

func fill(results []connectors.Result, o event.Outcome) []connectors.Result {
	for i := range results {
		results[i].Outcome = o
	}
	return results
}

// ReadStock tells what the shop can sell of each SKU; nil where there is no such product, or
// it is of a kind that has no quantity.
func (p *pusher) ReadStock(ctx context.Context, refs []connectors.StockRef) ([]*int64, error) {
	skus := make([]string, 0, len(refs))
	for _, ref := range refs {
		if ref.StockID != "" {
			skus = append(skus, ref.StockID)
		}
	}
	found, err := p.look(ctx, skus, connectors.Urgent)
	if err != nil {
		return nil, fmt.Errorf("reading stock: %w", err)
	}
	shown := make([]*int64, len(refs))
	for i, ref := range refs {
		if s := found[ref.StockID]; s != nil && s.known && s.stocked() {
			v := s.shown()
			shown[i] = &v
		}
	}
	return shown, nil
}
