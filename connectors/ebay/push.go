package ebay

import (
	"context"
	"fmt"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
)

// Codes of results that are not eBay's own.
const (
	codeNoListing = "NO_LISTING"
	codeNoSKU     = "NO_SKU"
	codeRevisions = "REVISIONS_USED_UP"
	codeTwice     = "TWICE_IN_BATCH"
	codeQuantity  = "QUANTITY"
)

// maxQuantity is what fits into the contract's int32.
const maxQuantity = 1<<31 - 1

// pusher sets what listings show.
type pusher struct {
	*client
	book      *offerBook
	revisions *revisions
}

// Batch is how many SKUs one call carries. eBay's contract says "up to 25" of the requests
// and "only one SKU per call" of the call; stock_batch decides.
func (p *pusher) Batch() int { return p.cfg.StockBatch }

// PushStock writes the inventory items' quantities and those of their live offers, which
// together decide what can be bought: the lower one counts. Quantities are of what is
// available, not of what was ever listed: what was sold is not part of them.
func (p *pusher) PushStock(ctx context.Context, writes []connectors.StockWrite) ([]connectors.Result, error) {
	results := make([]connectors.Result, len(writes))
	if len(writes) > maxBatch {
		return fill(results, event.Outcome_OUTCOME_NOT_SENT), fmt.Errorf("%w: %d writes at once, eBay takes %d", connectors.ErrPermanent, len(writes), maxBatch)
	}
	urgency := connectors.Normal
	for _, w := range writes {
		if decreases(w) {
			urgency = connectors.Urgent
		}
	}
	var sent []int // sent[n] is the index in writes of the n-th entry
	var entries []priceQuantity
	used := map[string]bool{}
	for i, w := range writes {
		sku := skuOf(w.StockID, w.ListingID)
		if r, ok := p.unfit(w, sku, used); !ok {
			results[i] = r
			continue
		}
		live, r, err := p.book.revise(ctx, p.revisions, sku, urgency, decreases(w))
		if err != nil {
			return fill(results, event.Outcome_OUTCOME_NOT_SENT), err
		}
		if live == nil {
			results[i] = r
			continue
		}
		used[sku] = true
		sent = append(sent, i)
		entries = append(entries, stockEntry(sku, w.Quantity, live))
	}
	answers, err := p.update(ctx, entries, urgency)
	for n, i := range sent {
		results[i] = answers[n]
		if o := answers[n].Outcome; o != event.Outcome_OUTCOME_ACCEPTED && o != event.Outcome_OUTCOME_NOT_SENT {
			p.book.forget(entries[n].SKU) // it may be because an offer is another one now
		}
	}
	return results, err
}

// unfit says why a write cannot be sent at all.
func (p *pusher) unfit(w connectors.StockWrite, sku string, used map[string]bool) (connectors.Result, bool) {
	switch {
	case sku == "":
		return connectors.Result{Outcome: event.Outcome_OUTCOME_REFUSED, Code: codeNoSKU,
			Message: "listing " + jsonread.Clip(w.ListingID) + " has no SKU: give it one at eBay and move it to the Inventory API"}, false
	case w.Quantity < 0 || w.Quantity > maxQuantity:
		return connectors.Result{Outcome: event.Outcome_OUTCOME_REFUSED, Code: codeQuantity, Message: fmt.Sprintf("a quantity of %d", w.Quantity)}, false
	case used[sku]:
		return connectors.Result{Outcome: event.Outcome_OUTCOME_NOT_SENT, Code: codeTwice, Sibling: true, Message: "the same SKU stands twice in one batch"}, false
	}
	return connectors.Result{}, true
}

func decreases(w connectors.StockWrite) bool {
	return w.Quantity == 0 || w.Expected != nil && w.Quantity < *w.Expected
}

func listingsOf(live []offer) []string {
	ids := make([]string, len(live))
	for i, o := range live {
		ids[i] = o.Listing.ID
	}
	return ids
}

func stockEntry(sku string, quantity int64, live []offer) priceQuantity {
	e := priceQuantity{SKU: sku, Ship: &shipQuantity{quantity}}
	for _, o := range live {
		e.Offers = append(e.Offers, offerChange{ID: o.ID, Quantity: &quantity})
	}
	return e
}

// skuOf is the SKU that a listing's stock is kept under; "" for listings without one.
func skuOf(stockID, listingID string) string {
	if stockID != "" {
		return stockID
	}
	if len(listingID) > 3 && listingID[:3] == "v1|" {
		return ""
	}
	return listingID
}

func fill(results []connectors.Result, o event.Outcome) []connectors.Result {
	for i := range results {
		if results[i].Outcome == event.Outcome_OUTCOME_UNSPECIFIED {
			results[i].Outcome = o
		}
	}
	return results
}

// ReadStock asks what is shown: the item's quantity, or less where an offer holds less. It is
// nil where nothing is for sale.
func (p *pusher) ReadStock(ctx context.Context, refs []connectors.StockRef) ([]*int64, error) {
	result := make([]*int64, len(refs))
	byRef := map[string][]int{}
	var skus []string
	for i, ref := range refs {
		sku := skuOf(ref.StockID, ref.ListingID)
		if sku == "" {
			continue
		}
		if byRef[sku] == nil {
			skus = append(skus, sku)
		}
		byRef[sku] = append(byRef[sku], i)
	}
	for len(skus) > 0 {
		n := min(len(skus), maxBatch)
		items, err := p.itemsOf(ctx, skus[:n], connectors.Urgent)
		if err != nil {
			return nil, fmt.Errorf("reading stock: %w", err)
		}
		for _, sku := range skus[:n] {
			quantity, ok := items[sku]
			if !ok {
				continue
			}
			o, err := p.book.of(ctx, sku, true, connectors.Urgent)
			if err != nil {
				return nil, fmt.Errorf("reading stock: %w", err)
			}
			var available []*int64
			for _, one := range o.live() {
				available = append(available, one.Available)
			}
			if v, live := shown(quantity, available); live {
				for _, i := range byRef[sku] {
					copied := v
					result[i] = &copied
				}
			}
		}
		skus = skus[n:]
	}
	return result, nil
}
