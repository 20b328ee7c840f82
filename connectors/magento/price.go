package magento

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// pricer sets base prices.
type pricer struct{ *client }

// Batch is how many products can be looked up by one address.
func (p *pricer) Batch() int { return maxList }

// priceInput is one entry of POST products/base-prices; store 0 is the default value of all.
type priceInput struct {
	Price json.Number `json:"price"`
	Store int         `json:"store_id"`
	SKU   string      `json:"sku"`
}

// PushPrice writes base prices by SKU. Magento answers 200 with a list of what it did not
// write, and writes the rest; what the list means by which entry is free text, so that prices
// are read back when there is one.
func (p *pricer) PushPrice(ctx context.Context, writes []connectors.PriceWrite) ([]connectors.Result, error) {
	results := make([]connectors.Result, len(writes))
	if len(writes) > maxList {
		return fill(results, event.Outcome_OUTCOME_NOT_SENT), fmt.Errorf("%w: %d prices at once, at most %d are taken", connectors.ErrPermanent, len(writes), maxList)
	}
	skus, err := p.skus(ctx, writes)
	if err != nil {
		return p.failed(results, unsent(err))
	}
	var inputs []priceInput
	var at []int
	used := map[string]bool{}
	for i, w := range writes {
		sku := skus[w.ListingID]
		text, err := money.Format(Name, w.Price)
		switch {
		case sku == "":
			results[i] = refusal(codeUnknownSKU, fmt.Sprintf("the shop has no product %q", w.ListingID))
		case err != nil:
			results[i] = refusal(codeNotPossible, err.Error())
		case w.Price.GetCurrency() != p.cfg.Currency:
			results[i] = refusal(codeNotPossible, fmt.Sprintf("the shop's prices are in %s (currency), not %s", p.cfg.Currency, w.Price.GetCurrency()))
		case w.Price.GetMinor() < 0:
			results[i] = refusal(codeNotPossible, "a price below nothing")
		case used[sku]:
			results[i] = connectors.Result{Outcome: event.Outcome_OUTCOME_NOT_SENT, Sibling: true, Message: "the same product stands twice in one batch"}
		default:
			used[sku] = true
			inputs, at = append(inputs, priceInput{json.Number(text), 0, sku}), append(at, i)
		}
	}
	if len(inputs) == 0 {
		return results, nil
	}
	said, err := p.set(ctx, inputs)
	if err != nil {
		failed, err := p.failed(make([]connectors.Result, 1), err)
		for _, i := range at {
			results[i] = failed[0]
		}
		return results, err
	}
	shown := map[string]string{}
	if said != "" {
		if shown, err = p.shown(ctx, inputs); err != nil {
			said = "it was written in part and could not be read back: " + err.Error()
		}
	}
	for n, i := range at {
		switch {
		case said == "":
			results[i].Outcome = event.Outcome_OUTCOME_ACCEPTED
		case err != nil:
			results[i] = connectors.Result{Outcome: event.Outcome_OUTCOME_UNKNOWN, Code: connectors.Class(err), Message: calls.Clip(said)}
		case p.same(shown[inputs[n].SKU], inputs[n].Price.String()):
			results[i].Outcome = event.Outcome_OUTCOME_ACCEPTED
		default:
			results[i] = refusal(codeNotApplied, calls.Clip(said))
		}
	}
	return results, nil
}

// skus looks up what the products are called: prices go by SKU.
func (p *pricer) skus(ctx context.Context, writes []connectors.PriceWrite) (map[string]string, error) {
	var ids []string
	for _, w := range writes {
		if digitsOnly(w.ListingID) {
			ids = append(ids, w.ListingID)
		}
	}
	skus := map[string]string{}
	if len(ids) == 0 {
		return skus, nil
	}
	found, err := p.catalogue(ctx, condition{"entity_id", "in", strings.Join(ids, ",")}, connectors.Normal)
	for _, e := range found {
		skus[e.id] = e.sku
	}
	return skus, err
}

// set writes, and returns what the shop complains of.
func (p *pricer) set(ctx context.Context, inputs []priceInput) (said string, err error) {
	a, err := p.write(ctx, http.MethodPost, "/V1/products/base-prices", map[string]any{"prices": inputs}, connectors.Normal)
	if err != nil {
		return "", err
	}
	var failures []json.RawMessage
	if err := json.Unmarshal([]byte(a.body), &failures); err != nil {
		return "", fmt.Errorf("reading the answer to prices: %w", err)
	}
	var all []string
	for _, f := range failures {
		all = append(all, message(f))
	}
	return strings.Join(all, "; "), nil
}

// shown reads the default prices back, by SKU.
func (p *pricer) shown(ctx context.Context, inputs []priceInput) (map[string]string, error) {
	skus := make([]string, len(inputs))
	for i, in := range inputs {
		skus[i] = in.SKU
	}
	a, err := p.send(ctx, http.MethodPost, "/V1/products/base-prices-information", nil, map[string]any{"skus": skus}, connectors.Normal)
	if err != nil {
		return nil, err
	}
	var prices []priceInput
	if err := json.Unmarshal([]byte(a.body), &prices); err != nil {
		return nil, fmt.Errorf("reading prices back: %w", err)
	}
	shown := map[string]string{}
	for _, at := range prices {
		if at.Store == 0 {
			shown[at.SKU] = at.Price.String()
		}
	}
	return shown, nil
}

func (p *pricer) same(a, b string) bool {
	x, errX := money.ParseNumber(Name, p.cfg.Currency, a)
	y, errY := money.ParseNumber(Name, p.cfg.Currency, b)
	return errX == nil && errY == nil && x == y
}
