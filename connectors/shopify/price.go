package shopify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// pricer sets prices of variants.
type pricer struct{ *client }

// Batch is Shopify's bound on input arrays.
func (p *pricer) Batch() int { return maxPage }

// variantPrice is the part of ProductVariantsBulkInput that is ours to say.
type variantPrice struct {
	ID    string `json:"id"`
	Price string `json:"price"`
}

// PushPrice sends one mutation for each product, since Shopify takes the variants of one at a
// time; each is carried out wholly or not at all. A price is absolute, so that the same write
// twice is the same as once; one whose answer was lost is read back.
func (p *pricer) PushPrice(ctx context.Context, writes []connectors.PriceWrite) ([]connectors.Result, error) {
	results := make([]connectors.Result, len(writes))
	if len(writes) > maxPage {
		return fill(results, event.Outcome_OUTCOME_NOT_SENT), fmt.Errorf("%w: %d prices at once, at most %d are taken", connectors.ErrPermanent, len(writes), maxPage)
	}
	if len(writes) == 0 {
		return results, nil
	}
	currency, err := p.shopCurrency(ctx)
	var products map[string]string
	if err == nil {
		products, err = p.products(ctx, writes)
	}
	if err != nil {
		r, err := failed(asked(err))
		for i := range results {
			results[i] = r
		}
		return results, err
	}
	// at[product] are the indexes in writes of its inputs.
	at, inputs, used := map[string][]int{}, map[string][]variantPrice{}, map[string]bool{}
	var order []string
	for i, w := range writes {
		product := number(w.ProductID)
		if product == "" {
			product = products[number(w.ListingID)]
		}
		text, err := money.Format(provider, w.Price)
		switch {
		case !numeric.MatchString(product) || !numeric.MatchString(number(w.ListingID)):
			results[i] = refused("UNKNOWN_LISTING", "the shop has no variant %q (product %q)", w.ListingID, w.ProductID)
		case err != nil:
			results[i] = refused("PRICE", "%v", err)
		case w.Price.GetCurrency() != currency:
			results[i] = refused("CURRENCY", "the shop's prices are in %s, not %s", currency, w.Price.GetCurrency())
		case w.Price.GetMinor() < 0:
			results[i] = refused("PRICE", "a price below nothing")
		case used[number(w.ListingID)]:
			results[i] = connectors.Result{Outcome: event.Outcome_OUTCOME_NOT_SENT, Code: codeBatch, Sibling: true, Message: "the same variant stands twice in one batch"}
		default:
			if inputs[product] == nil {
				order = append(order, product)
			}
			used[number(w.ListingID)] = true
			at[product] = append(at[product], i)
			inputs[product] = append(inputs[product], variantPrice{gid("ProductVariant", w.ListingID), text})
		}
	}
	for n, product := range order {
		done, err := p.set(ctx, product, currency, inputs[product])
		for k, i := range at[product] {
			results[i] = done[k]
		}
		if err == nil {
			continue
		}
		// It concerns the whole connection: what comes behind is not tried.
		for _, later := range order[n+1:] {
			for _, i := range at[later] {
				results[i] = connectors.Result{Outcome: event.Outcome_OUTCOME_NOT_SENT, Code: connectors.Class(err)}
			}
		}
		return results, err
	}
	return results, nil
}

// set writes the prices of one product.
func (p *pricer) set(ctx context.Context, product, currency string, inputs []variantPrice) ([]connectors.Result, error) {
	shown, failures, err := p.write(ctx, product, inputs)
	results, failure := outcomes(len(inputs), failures, err)
	if results[0].Outcome == event.Outcome_OUTCOME_UNKNOWN && failure == nil {
		// Where reading back fails as well, the outcome stays unknown.
		if shown, err = p.shown(ctx, inputs); err != nil {
			return results, nil
		}
		for i, in := range inputs {
			if samePrice(currency, shown[number(in.ID)], in.Price) {
				results[i] = accepted()
			}
		}
		return results, nil
	}
	for i, in := range inputs {
		if results[i].Outcome == event.Outcome_OUTCOME_ACCEPTED && !samePrice(currency, shown[number(in.ID)], in.Price) {
			results[i] = unknown(codeNotExact, "Shopify answers that the price is %q, not %q", shown[number(in.ID)], in.Price)
		}
	}
	return results, failure
}

type pricedVariant struct {
	ID      string `json:"id"`
	Price   string `json:"price"`
	Product struct {
		ID string `json:"id"`
	} `json:"product"`
}

// write sends one mutation; shown are the prices that Shopify answers, by variant.
func (p *pricer) write(ctx context.Context, product string, inputs []variantPrice) (shown map[string]string, failures []userError, err error) {
	a, err := p.send(ctx, &docSetPrices, map[string]any{"product": gid("Product", product), "variants": inputs}, connectors.Normal)
	if err != nil {
		return nil, nil, err
	}
	var data struct {
		Set *struct {
			Variants []pricedVariant `json:"productVariants"`
			Errors   []userError     `json:"userErrors"`
		} `json:"productVariantsBulkUpdate"`
	}
	if err := json.Unmarshal([]byte(a.data), &data); err != nil {
		return nil, nil, fmt.Errorf("reading the answer to %s: %w", docSetPrices.name, err)
	}
	if data.Set == nil {
		return nil, nil, fmt.Errorf("the answer to %s says nothing", docSetPrices.name)
	}
	shown = map[string]string{}
	for _, v := range data.Set.Variants {
		shown[number(v.ID)] = v.Price
	}
	return shown, data.Set.Errors, nil
}

// variants asks for variants; one that does not exist is left out.
func (p *pricer) variants(ctx context.Context, ids []string) ([]pricedVariant, error) {
	a, err := p.read(ctx, &docPrices, map[string]any{"ids": ids}, connectors.Normal)
	if err != nil {
		return nil, err
	}
	var data struct {
		Nodes []*pricedVariant `json:"nodes"`
	}
	if err := json.Unmarshal([]byte(a.data), &data); err != nil {
		return nil, fmt.Errorf("reading the answer to %s: %w", docPrices.name, err)
	}
	var found []pricedVariant
	for _, v := range data.Nodes {
		if v != nil && v.ID != "" {
			found = append(found, *v)
		}
	}
	return found, nil
}

func (p *pricer) shown(ctx context.Context, inputs []variantPrice) (map[string]string, error) {
	ids := make([]string, len(inputs))
	for i, in := range inputs {
		ids[i] = in.ID
	}
	found, err := p.variants(ctx, ids)
	shown := map[string]string{}
	for _, v := range found {
		shown[number(v.ID)] = v.Price
	}
	return shown, err
}

// products looks up the products of the writes that name none, by variant.
func (p *pricer) products(ctx context.Context, writes []connectors.PriceWrite) (map[string]string, error) {
	var ids []string
	for _, w := range writes {
		if w.ProductID == "" && numeric.MatchString(number(w.ListingID)) {
			ids = append(ids, gid("ProductVariant", w.ListingID))
		}
	}
	products := map[string]string{}
	if len(ids) == 0 {
		return products, nil
	}
	found, err := p.variants(ctx, ids)
	for _, v := range found {
		products[number(v.ID)] = number(v.Product.ID)
	}
	return products, err
}

// shopCurrency is the configured one, or what the shop says, once.
func (c *client) shopCurrency(ctx context.Context) (string, error) {
	if c.cfg.Currency != "" {
		return c.cfg.Currency, nil
	}
	if known := c.currency.Load(); known != nil {
		return *known, nil
	}
	a, err := c.read(ctx, &docCurrency, map[string]any{}, connectors.Normal)
	if err != nil {
		return "", fmt.Errorf("asking for the shop's currency: %w", err)
	}
	var data struct {
		Shop struct {
			Currency string `json:"currencyCode"`
		} `json:"shop"`
	}
	if err := json.Unmarshal([]byte(a.data), &data); err != nil || data.Shop.Currency == "" {
		return "", errors.New("asking for the shop's currency: the answer names none")
	}
	c.currency.Store(&data.Shop.Currency)
	return data.Shop.Currency, nil
}

func samePrice(currency, a, b string) bool {
	x, errX := money.Parse(provider, currency, a)
	y, errY := money.Parse(provider, currency, b)
	return errX == nil && errY == nil && x == y
}
