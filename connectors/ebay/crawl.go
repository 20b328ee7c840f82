package ebay

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/connectors/jsonread"
)

// The Inventory API tells no times of change: what is new can only be found by reading
// everything. To keep that cheap, the crawler remembers a fingerprint of what it emitted,
// and reads the offers of a SKU (one call each) only when its inventory item changed or when
// the offers are older than offers_refresh.

// offer is what is needed of one offer of a SKU.
type offer struct {
	ID        string `json:"offerId"`
	Format    string `json:"format"`
	Status    string `json:"status"`
	Available *int64 `json:"availableQuantity"`
	Listing   struct {
		ID     string `json:"listingId"`
		Status string `json:"listingStatus"`
	} `json:"listing"`
}

// live: buyers can buy it at a fixed price. Auctions sell one unit that is set aside.
func (o offer) live() bool {
	return o.Status == "PUBLISHED" && o.Format != "AUCTION" && o.Listing.ID != "" && o.Listing.Status != "ENDED"
}

// offers is all offers of one SKU.
type offers struct {
	text string // the list as it stands in the answer
	list []offer
	read time.Time
}

func (o *offers) live() (live []offer) {
	for _, one := range o.list {
		if one.live() {
			live = append(live, one)
		}
	}
	return live
}

// maxOffers bounds how many SKUs' offers are remembered; eBay itself keeps sellers to a few
// hundred thousand listings, and forgetting costs one call.
const maxOffers = 200_000

// offerBook remembers the offers of SKUs.
type offerBook struct {
	*client
	mu    sync.Mutex
	bySKU map[string]*offers
}

func newOfferBook(c *client) *offerBook { return &offerBook{client: c, bySKU: map[string]*offers{}} }

// of is the offers of a SKU; fresh reads them anew whatever is remembered.
func (b *offerBook) of(ctx context.Context, sku string, fresh bool, p connectors.Priority) (*offers, error) {
	b.mu.Lock()
	known := b.bySKU[sku]
	b.mu.Unlock()
	if known != nil && !fresh && b.deps.Now().Sub(known.read) < b.cfg.OffersRefresh {
		return known, nil
	}
	a, err := b.read(ctx, request{endpoint: callOffers, query: url.Values{"sku": {sku}}, priority: p})
	o := &offers{text: "[]", read: b.deps.Now()}
	switch {
	case missing(err): // a SKU that was never offered
	case err != nil:
		return nil, fmt.Errorf("reading the offers of SKU %s: %w", jsonread.Clip(sku), err)
	default:
		var answer struct {
			Offers json.RawMessage `json:"offers"`
		}
		if err := decode(a, callOffers.name(), &answer); err != nil {
			return nil, err
		}
		if len(answer.Offers) > 0 && string(answer.Offers) != "null" {
			o.text = string(answer.Offers)
			if err := json.Unmarshal(answer.Offers, &o.list); err != nil {
				return nil, calls.Passing(fmt.Errorf("reading the offers of SKU %s: %w", jsonread.Clip(sku), err))
			}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.bySKU) >= maxOffers {
		clear(b.bySKU)
	}
	b.bySKU[sku] = o
	return o, nil
}

func (b *offerBook) forget(sku string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.bySKU, sku)
}

// crawler emits inventory items with their offers, as products or as shown quantities.
type crawler struct {
	*client
	book    *offerBook
	subject connectors.Subject
	format  string

	// told is what was emitted and is known to be stored: the next poll came with the cursor
	// that stood at its end. pending is what the last poll emitted.
	told, pending map[string]fingerprints
	promise       string // the cursor whose return promotes pending
}

// fingerprints of what was emitted of one SKU: of its item alone, and of all.
type fingerprints struct{ item, whole [16]byte }

func newCrawler(c *client, b *offerBook, subject connectors.Subject, format string) *crawler {
	return &crawler{client: c, book: b, subject: subject, format: format, told: map[string]fingerprints{}, pending: map[string]fingerprints{}}
}

// crawl is the state between two polls.
type crawl struct {
	// Until: the last whole round began at this time of the server.
	Until time.Time `json:"until"`
	// Page and Began: a round that is not finished.
	Page  int        `json:"page,omitempty"`
	Began *time.Time `json:"began,omitempty"`
	// Round makes the cursors of two rounds differ.
	Round int64 `json:"round"`
}

// Poll reads all inventory items, page by page, and emits what is new. Pages are numbered,
// and an item that is taken out moves the others: what is stepped over is found by the next
// round.
// https://developer.ebay.com/api-docs/sell/inventory/resources/inventory_item/methods/getInventoryItems
func (w *crawler) Poll(ctx context.Context, req connectors.PollRequest, emit func(connectors.Raw) error) (res connectors.PollResult, err error) {
	var state crawl
	if len(req.Cursor) > 0 {
		if err := json.Unmarshal(req.Cursor, &state); err != nil {
			return res, fmt.Errorf("%w: the stored cursor %q cannot be read: delete it to begin again", connectors.ErrPermanent, jsonread.Clip(string(req.Cursor)))
		}
	}
	if w.promise != "" && string(req.Cursor) == w.promise {
		for sku, f := range w.pending {
			if len(w.told) >= maxOffers {
				clear(w.told)
			}
			w.told[sku] = f
		}
	}
	w.promise = ""
	clear(w.pending)
	for more := true; more; state.Page++ {
		if res.Pages >= w.cfg.MaxPages {
			return w.result(state, res, true), nil
		}
		a, err := w.read(ctx, request{endpoint: callItems, priority: connectors.Normal,
			query: url.Values{"limit": {strconv.Itoa(w.cfg.PageSize)}, "offset": {strconv.Itoa(state.Page)}}})
		if err != nil {
			return res, fmt.Errorf("polling %s: %w", w.subject, err)
		}
		if a.date.IsZero() {
			return res, fmt.Errorf("polling %s: eBay did not tell its time: the answer has no Date", w.subject)
		}
		if state.Began == nil {
			at := a.date.Add(-req.Settle)
			state.Began = &at
		}
		nodes, _, next, err := readList(a.body, "inventoryItems", itemHead)
		if err != nil {
			return res, fmt.Errorf("polling %s: %w", w.subject, err)
		}
		res.Pages++
		more = next && len(nodes) > 0
		for _, n := range nodes {
			emitted, err := w.item(ctx, n, a.date, emit)
			if err != nil {
				return res, err
			}
			if emitted {
				res.Objects++
			}
		}
	}
	if state.Began.After(state.Until) {
		state.Until = *state.Began
	}
	return w.result(crawl{Until: state.Until, Round: state.Round + 1}, res, false), nil
}

func (w *crawler) result(state crawl, res connectors.PollResult, more bool) connectors.PollResult {
	b, err := json.Marshal(state)
	if err != nil {
		panic(err) // times and numbers
	}
	res.Cursor, res.More, res.Watermark = b, more, state.Until
	w.promise = string(b)
	return res
}

// item emits one inventory item with its offers, unless nothing about it is new.
func (w *crawler) item(ctx context.Context, n node, at time.Time, emit func(connectors.Raw) error) (bool, error) {
	object, list := n.id, "[]"
	if n.id == "" {
		object = "unreadable" // the translator says what is wrong with it
	} else {
		known, before := w.told[n.id]
		f := fingerprints{item: short(n.text)}
		o, err := w.book.of(ctx, n.id, before && known.item != f.item, connectors.Normal)
		if errors.Is(err, connectors.ErrPermanent) {
			// One SKU does not keep the others; the next round asks again.
			w.deps.Log.Warn("the offers of a SKU cannot be read: it is left out", "account", w.deps.Account, "sku", n.id, "err", err)
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("polling %s: %w", w.subject, err)
		}
		list = o.text
		f.whole = short(n.text + list)
		if before && known == f {
			return false, nil
		}
		w.pending[n.id] = f
	}
	b := make([]byte, 0, len(n.text)+len(list)+24)
	b = append(b, `{"item":`...)
	b = append(b, n.text...)
	b = append(b, `,"offers":`...)
	b = append(b, list...)
	b = append(b, '}')
	return true, emit(connectors.Raw{Subject: w.subject, Object: object, Body: b, Format: w.format, SourceTime: at})
}

func short(text string) (f [16]byte) {
	sum := sha256.Sum256([]byte(text))
	copy(f[:], sum[:])
	return f
}

func itemHead(text string) node {
	n := node{text: text}
	r := jsonread.NewString(text)
	if r.Object() {
		for key, ok := r.Next(); ok; key, ok = r.Next() {
			if key == "sku" {
				n.id = r.Text()
			} else {
				r.Skip()
			}
		}
	}
	return n
}

// itemsOf reads inventory items by their SKUs, at most maxBatch at once. A SKU that has none
// is not in the result.
func (c *client) itemsOf(ctx context.Context, skus []string, p connectors.Priority) (map[string]int64, error) {
	type ask struct {
		SKU string `json:"sku"`
	}
	asks := make([]ask, len(skus))
	for i, s := range skus {
		asks[i].SKU = s
	}
	a, err := c.read(ctx, request{endpoint: callItemsOf, body: map[string]any{"requests": asks}, priority: p})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Responses []struct {
			Status int    `json:"statusCode"`
			SKU    string `json:"sku"`
			Item   *struct {
				Availability struct {
					Ship struct {
						Quantity int64 `json:"quantity"`
					} `json:"shipToLocationAvailability"`
				} `json:"availability"`
			} `json:"inventoryItem"`
			Errors []fault `json:"errors"`
		} `json:"responses"`
	}
	if err := decode(a, callItemsOf.name(), &answer); err != nil {
		return nil, err
	}
	found := map[string]int64{}
	told := 0
	for _, r := range answer.Responses {
		switch {
		case r.Status == http.StatusOK && r.Item != nil:
			found[r.SKU] = r.Item.Availability.Ship.Quantity
			told++
		case r.Status == http.StatusNotFound || r.Status == http.StatusBadRequest:
			told++
		default:
			return nil, calls.Passing(fmt.Errorf("SKU %s could not be read: status %d", jsonread.Clip(r.SKU), r.Status))
		}
	}
	if told < len(skus) {
		return nil, calls.Passing(errors.New("the answer leaves SKUs out"))
	}
	return found, nil
}
