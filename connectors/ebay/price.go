package ebay

import (
	"context"
	"fmt"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// pricer sets the prices of live offers.
type pricer struct {
	*client
	book      *offerBook
	revisions *revisions
}

// Batch is as for stock: it is the same call.
func (p *pricer) Batch() int { return p.cfg.StockBatch }

// PushPrice writes prices, absolutely. An offer keeps its currency: a price in another one is
// refused by eBay.
func (p *pricer) PushPrice(ctx context.Context, writes []connectors.PriceWrite) ([]connectors.Result, error) {
	results := make([]connectors.Result, len(writes))
	if len(writes) > maxBatch {
		return fill(results, event.Outcome_OUTCOME_NOT_SENT), fmt.Errorf("%w: %d writes at once, eBay takes %d", connectors.ErrPermanent, len(writes), maxBatch)
	}
	var sent []int
	var entries []priceQuantity
	used := map[string]bool{}
	for i, w := range writes {
		sku := skuOf("", w.ListingID)
		text, err := money.Format(provider, w.Price)
		switch {
		case sku == "":
			results[i] = connectors.Result{Outcome: event.Outcome_OUTCOME_REFUSED, Code: codeNoSKU, Message: "listing " + jsonread.Clip(w.ListingID) + " has no SKU"}
			continue
		case err != nil || w.Price.GetMinor() <= 0:
			results[i] = connectors.Result{Outcome: event.Outcome_OUTCOME_REFUSED, Code: "PRICE", Message: fmt.Sprintf("a price of %d %s", w.Price.GetMinor(), jsonread.Clip(w.Price.GetCurrency()))}
			continue
		case used[sku]:
			results[i] = connectors.Result{Outcome: event.Outcome_OUTCOME_NOT_SENT, Code: codeTwice, Sibling: true, Message: "the same SKU stands twice in one batch"}
			continue
		}
		live, r, err := p.book.revise(ctx, p.revisions, sku, connectors.Normal, false)
		if err != nil {
			return fill(results, event.Outcome_OUTCOME_NOT_SENT), err
		}
		if live == nil {
			results[i] = r
			continue
		}
		used[sku] = true
		e := priceQuantity{SKU: sku}
		for _, o := range live {
			e.Offers = append(e.Offers, offerChange{ID: o.ID, Price: &priceAmount{w.Price.GetCurrency(), text}})
		}
		sent, entries = append(sent, i), append(entries, e)
	}
	answers, err := p.update(ctx, entries, connectors.Normal)
	for n, i := range sent {
		results[i] = answers[n]
		p.book.forget(entries[n].SKU) // it has another price now, or an offer is not what it was
	}
	return results, err
}

// revise is the live offers of a SKU, of whose listings one revision is counted; nil with a
// result when it cannot be revised. An error is for what concerns the whole call.
func (b *offerBook) revise(ctx context.Context, v *revisions, sku string, p connectors.Priority, decrease bool) ([]offer, connectors.Result, error) {
	o, err := b.of(ctx, sku, false, p)
	if err == nil && len(o.live()) == 0 {
		o, err = b.of(ctx, sku, true, p) // it may have been published since
	}
	if err != nil {
		if connectors.Class(err) == connectors.Class(connectors.ErrNeedsAuthorisation) || ctx.Err() != nil {
			return nil, connectors.Result{}, err
		}
		return nil, b.failure(calls.Unsent(err)), nil
	}
	live := o.live()
	switch {
	case len(live) == 0:
		return nil, connectors.Result{Outcome: event.Outcome_OUTCOME_REFUSED, Code: codeNoListing,
			Message: "SKU " + jsonread.Clip(sku) + " has no published offer at a fixed price: publish one, or move the listing to the Inventory API"}, nil
	case !v.take(b.deps.Now(), listingsOf(live), decrease):
		return nil, connectors.Result{Outcome: event.Outcome_OUTCOME_NOT_SENT, Code: codeRevisions, RetryAfter: untilNextDay(b.deps.Now()),
			Message: "the listing was revised as often as eBay allows in one day"}, nil
	}
	return live, connectors.Result{}, nil
}
