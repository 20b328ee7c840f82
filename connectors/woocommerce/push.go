package woocommerce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/schemas/event"
)

// Codes of results that are ours.
const (
	codeNotTaken = "stock_not_managed"
	codeNoTarget = "no_target"
	codeTwice    = "twice_in_one_batch"
)

// pusher sets what the shop shows.
//
// WooCommerce compares nothing: a write is absolute, and a sale between our decision and the
// write is written over until the order of that sale arrives and the next target with it.
// Expected is therefore not sent. Repeating a write changes nothing.
type pusher struct{ *client }

// pushBatch is half of what WooCommerce takes at once: each object of a batch is loaded and
// saved by itself, and a shop on a small host ends a call that takes half a minute.
const pushBatch = 50

// Batch is how many writes are sent at once.
func (p *pusher) Batch() int { return pushBatch }

// stockInput is what of a product or variation is written. manage_stock is always sent: a
// quantity without it is kept and not shown.
type stockInput struct {
	ID       json.Number `json:"id"`
	Manage   bool        `json:"manage_stock"`
	Quantity int64       `json:"stock_quantity"`
}

// target is a write's address: the list that it is part of, and its id there.
type target struct{ path, id string }

// targetOf finds the address of a listing: "20" below products, "19:20" below the variations
// of product 19.
func targetOf(listing, stock string) (to target, ok bool) {
	if stock == "" {
		stock = listing
	}
	product, id, below := strings.Cut(stock, ":")
	if !below {
		return target{"products", product}, isNumber(product)
	}
	return target{"products/" + product + "/variations", id}, isNumber(product) && isNumber(id)
}

func isNumber(s string) bool {
	return s != "" && len(s) <= 19 && strings.Trim(s, "0123456789") == "" && s[0] != '0'
}

// PushStock writes by one batch for products and one for each product with variations: they
// are separate lists. Each item succeeds or fails by itself.
func (p *pusher) PushStock(ctx context.Context, writes []connectors.StockWrite) ([]connectors.Result, error) {
	results := make([]connectors.Result, len(writes))
	for i := range results {
		results[i].Outcome = event.Outcome_OUTCOME_NOT_SENT
	}
	if len(writes) > maxPage {
		return results, fmt.Errorf("%w: %d writes at once, WooCommerce takes %d", connectors.ErrPermanent, len(writes), maxPage)
	}
	var paths []string
	byPath := map[string][]int{}
	ids := make([]string, len(writes))
	used := map[target]bool{}
	urgency := connectors.Normal
	for i, w := range writes {
		to, ok := targetOf(w.ListingID, w.StockID)
		switch {
		case !ok:
			results[i] = connectors.Result{Outcome: event.Outcome_OUTCOME_REFUSED, Code: codeNoTarget,
				Message: fmt.Sprintf("listing %q with stock id %q is no product or variation of WooCommerce", w.ListingID, w.StockID)}
			continue
		case used[to]:
			results[i] = connectors.Result{Outcome: event.Outcome_OUTCOME_NOT_SENT, Code: codeTwice, Sibling: true, Message: "the same listing stands twice in one batch"}
			continue
		}
		used[to] = true
		if byPath[to.path] == nil {
			paths = append(paths, to.path)
		}
		byPath[to.path] = append(byPath[to.path], i)
		ids[i] = to.id
		if w.Expected != nil && w.Quantity < *w.Expected {
			urgency = connectors.Urgent
		}
	}
	for _, path := range paths {
		at := byPath[path]
		items := make([]any, len(at))
		for n, i := range at {
			items[n] = stockInput{json.Number(ids[i]), true, writes[i].Quantity}
		}
		answers, err := p.batch(ctx, path, items, urgency)
		for n, i := range at {
			if err != nil {
				results[i] = failed(err)
				continue
			}
			results[i] = stockResult(answers[n], ids[i], writes[i].Quantity)
		}
		if errors.Is(err, connectors.ErrNeedsAuthorisation) || ctx.Err() != nil {
			// The rest was not tried.
			return results, errors.Join(err, ctx.Err())
		}
	}
	return results, nil
}

// batchItem is one element of a batch's answer: the object, or why not.
type batchItem struct {
	ID       json.Number  `json:"id"`
	Manage   any          `json:"manage_stock"`
	Quantity *json.Number `json:"stock_quantity"`
	Regular  string       `json:"regular_price"`
	Sale     string       `json:"sale_price"`
	Error    *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// batch updates objects of one list. The answer has an element for each, in their order.
func (c *client) batch(ctx context.Context, path string, items []any, urgency connectors.Priority) ([]batchItem, error) {
	a, err := c.send(ctx, call{method: http.MethodPost, path: path + "/batch", body: map[string]any{"update": items}, priority: urgency})
	if err != nil {
		return nil, err
	}
	var data struct {
		Update []batchItem `json:"update"`
	}
	if err := json.Unmarshal([]byte(a.text), &data); err != nil {
		return nil, fmt.Errorf("reading the answer to %s/batch: %w", path, err)
	}
	if len(data.Update) != len(items) {
		return nil, fmt.Errorf("%s/batch: %d answers to %d items", path, len(data.Update), len(items))
	}
	return data.Update, nil
}

// stockResult says what became of one item. A shop whose stock management is switched off
// answers success, and the object as it was: only what the answer shows was done.
func stockResult(it batchItem, id string, quantity int64) connectors.Result {
	if it.Error != nil {
		return connectors.Result{Outcome: event.Outcome_OUTCOME_REFUSED, Code: it.Error.Code, Message: calls.Clip(it.Error.Message)}
	}
	if it.ID.String() != id {
		return connectors.Result{Outcome: event.Outcome_OUTCOME_UNKNOWN, Code: "another_object", Message: fmt.Sprintf("the answer is of %q, asked was %s", it.ID, id)}
	}
	if it.Quantity != nil {
		if shown, err := it.Quantity.Int64(); err == nil && shown == quantity {
			return connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED}
		}
	}
	if it.Manage == false {
		return connectors.Result{Outcome: event.Outcome_OUTCOME_REFUSED, Code: codeNotTaken,
			Message: "the shop took the write and does not manage stock: switch it on under WooCommerce, Settings, Products, Inventory"}
	}
	shown := "nothing"
	if it.Quantity != nil {
		shown = it.Quantity.String()
	}
	return connectors.Result{Outcome: event.Outcome_OUTCOME_UNKNOWN, Code: "another_quantity", Message: fmt.Sprintf("written was %d, and the answer shows %s", quantity, shown)}
}

// failed is the result of a write whose whole call failed.
func failed(err error) connectors.Result {
	r := connectors.Result{Outcome: event.Outcome_OUTCOME_UNKNOWN, Code: connectors.Class(err), Message: calls.Clip(err.Error())}
	var retry *connectors.RetryAfterError
	var api *apiError
	if errors.As(err, &api) {
		r.Code = api.code
	}
	if calls.IsUnsent(err) {
		r.Outcome = event.Outcome_OUTCOME_NOT_SENT
		if errors.Is(err, connectors.ErrPermanent) {
			r.Outcome = event.Outcome_OUTCOME_REFUSED
		}
	}
	if errors.As(err, &retry) {
		r.RetryAfter = retry.After
	}
	return r
}

// ReadStock asks what is shown. A listing that exists and keeps no stock of its own shows no
// number; for it, too, the answer is nil.
func (p *pusher) ReadStock(ctx context.Context, refs []connectors.StockRef) ([]*int64, error) {
	shown := make([]*int64, len(refs))
	byPath := map[string]map[string][]int{}
	var paths []string
	for i, ref := range refs {
		to, ok := targetOf(ref.ListingID, ref.StockID)
		if !ok {
			continue
		}
		if byPath[to.path] == nil {
			byPath[to.path] = map[string][]int{}
			paths = append(paths, to.path)
		}
		byPath[to.path][to.id] = append(byPath[to.path][to.id], i)
	}
	for _, path := range paths {
		wanted := byPath[path]
		ids := make([]string, 0, len(wanted))
		for i, ref := range refs {
			if to, ok := targetOf(ref.ListingID, ref.StockID); ok && to.path == path && wanted[to.id][0] == i {
				ids = append(ids, to.id)
			}
		}
		for len(ids) > 0 {
			n := min(len(ids), maxPage)
			q := url.Values{"include": {strings.Join(ids[:n], ",")}, "per_page": {strconv.Itoa(maxPage)}, "status": {"any"}, "_fields": {"id,manage_stock,stock_quantity"}}
			ids = ids[n:]
			a, err := p.read(ctx, path, q, connectors.Urgent)
			if isCode(err, codeInvalidProduct) {
				continue // the product is gone, and its variations with it
			}
			if err != nil {
				return nil, fmt.Errorf("reading stock: %w", err)
			}
			var found []batchItem
			if err := json.Unmarshal([]byte(a.text), &found); err != nil {
				return nil, fmt.Errorf("reading stock: %w", err)
			}
			for _, it := range found {
				if it.Quantity == nil || it.Manage != true {
					continue
				}
				v, err := it.Quantity.Int64()
				if err != nil {
					return nil, fmt.Errorf("reading stock of %s: %w", it.ID, err)
				}
				for _, i := range wanted[it.ID.String()] {
					shown[i] = &v
				}
			}
		}
	}
	return shown, nil
}
