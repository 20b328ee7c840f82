package woocommerce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// codeCurrency marks a price in a currency that the shop does not sell in.
const codeCurrency = "another_currency"

// pricer sets prices.
type pricer struct{ *client }

// Batch is how many writes are sent at once.
func (p *pricer) Batch() int { return pushBatch }

// priceInput sets what is paid: the regular price, and no other in its place. A sale that the
// shop runs ends with it, because a listing's price is what a buyer pays.
type priceInput struct {
	ID      json.Number `json:"id"`
	Regular string      `json:"regular_price"`
	Sale    string      `json:"sale_price"`
}

// PushPrice writes by one batch for products and one for each product with variations.
func (p *pricer) PushPrice(ctx context.Context, writes []connectors.PriceWrite) ([]connectors.Result, error) {
	results := make([]connectors.Result, len(writes))
	for i := range results {
		results[i].Outcome = event.Outcome_OUTCOME_NOT_SENT
	}
	if len(writes) > maxPage {
		return results, fmt.Errorf("%w: %d writes at once, WooCommerce takes %d", connectors.ErrPermanent, len(writes), maxPage)
	}
	refuse := func(i int, code, format string, args ...any) {
		results[i] = connectors.Result{Outcome: event.Outcome_OUTCOME_REFUSED, Code: code, Message: fmt.Sprintf(format, args...)}
	}
	var paths []string
	byPath := map[string][]int{}
	inputs := make([]priceInput, len(writes))
	used := map[target]bool{}
	for i, w := range writes {
		stock := w.ListingID
		if w.ProductID != "" && w.ProductID != w.ListingID {
			stock = stockID(w.ProductID, w.ListingID)
		}
		to, ok := targetOf(w.ListingID, stock)
		text, err := money.Format(Name, w.Price)
		switch {
		case !ok:
			refuse(i, codeNoTarget, "listing %q of product %q is no product or variation of WooCommerce", w.ListingID, w.ProductID)
		case err != nil || w.Price.GetMinor() < 0:
			refuse(i, "no_price", "the price cannot be written: %v", err)
		case p.cfg.Currency == "" || w.Price.GetCurrency() != p.cfg.Currency:
			refuse(i, codeCurrency, "the price is in %s, and the configuration says of the shop %q: set currency", w.Price.GetCurrency(), p.cfg.Currency)
		case used[to]:
			results[i] = connectors.Result{Outcome: event.Outcome_OUTCOME_NOT_SENT, Code: codeTwice, Sibling: true, Message: "the same listing stands twice in one batch"}
		default:
			used[to] = true
			if byPath[to.path] == nil {
				paths = append(paths, to.path)
			}
			byPath[to.path] = append(byPath[to.path], i)
			inputs[i] = priceInput{ID: json.Number(to.id), Regular: text}
		}
	}
	for _, path := range paths {
		at := byPath[path]
		items := make([]any, len(at))
		for n, i := range at {
			items[n] = inputs[i]
		}
		answers, err := p.batch(ctx, path, items, connectors.Normal)
		for n, i := range at {
			if err != nil {
				results[i] = failed(err)
				continue
			}
			results[i] = p.priceResult(answers[n], inputs[i])
		}
		if errors.Is(err, connectors.ErrNeedsAuthorisation) || ctx.Err() != nil {
			return results, errors.Join(err, ctx.Err())
		}
	}
	return results, nil
}

// priceResult takes for done only what the answer shows.
func (p *pricer) priceResult(it batchItem, in priceInput) connectors.Result {
	if it.Error != nil {
		return connectors.Result{Outcome: event.Outcome_OUTCOME_REFUSED, Code: it.Error.Code, Message: calls.Clip(it.Error.Message)}
	}
	want, err := money.Parse(Name, p.cfg.Currency, in.Regular)
	got, err2 := money.Parse(Name, p.cfg.Currency, it.Regular)
	if err != nil || err2 != nil || got != want || it.Sale != "" || it.ID != in.ID {
		return connectors.Result{Outcome: event.Outcome_OUTCOME_UNKNOWN, Code: "another_price", Message: fmt.Sprintf("written was %s to %s, and the answer shows %q of %s", in.Regular, in.ID, it.Regular, it.ID)}
	}
	return connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED}
}
