package amazon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/schemas/event"
)

// batch is how many writes one call of PushStock takes. Amazon takes one SKU at a time and five
// a second: ten are done within the deadline of a call, and the listings of ten are looked up
// at once.
const batch = 10

// pusher sets the quantity of listings that the seller ships.
//
// Amazon answers ACCEPTED when it has received a submission, and applies it within minutes.
// The write is Accepted then, since nothing more can be done about it and writing again would
// only stand behind it; it has no compare-and-set and no idempotency key, and needs none,
// because an absolute quantity may be written twice. That it was applied is seen from outside:
// ReadStock, the inventory poller and LISTINGS_ITEM_MFN_QUANTITY_CHANGE tell what is shown.
// For the same reason no write is left out because the listing seems to show the quantity
// already: what is read may be older than a write that is still on its way.
type pusher struct{ *client }

// Batch is a bound of ours, see batch.
func (p *pusher) Batch() int { return batch }

// Codes of our own.
const (
	codeMissing = "LISTING_NOT_FOUND"
	codeAmazon  = "FULFILLED_BY_AMAZON"
	codeInvalid = "INVALID"
)

// PushStock writes one listing after another. What befalls one does not concern the others,
// until Amazon asks to wait.
func (p *pusher) PushStock(ctx context.Context, writes []connectors.StockWrite) ([]connectors.Result, error) {
	return p.submit(ctx, len(writes), func(i int) submission {
		w := writes[i]
		urgency := connectors.Normal
		if w.Expected != nil && w.Quantity < *w.Expected {
			urgency = connectors.Urgent
		}
		return submission{sku: skuOf(w.StockID, w.ListingID), markets: p.marketsOf(w.Location), urgency: urgency, merchant: true, patch: patch{
			// merge leaves restock_date and lead_time_to_ship_max_days as they are.
			// https://developer-docs.amazon.com/sp-api/docs/merge-a-listing
			Op: "merge", Path: "/attributes/fulfillment_availability",
			Value: []any{map[string]any{"fulfillment_channel_code": channelMerchant, "quantity": w.Quantity}},
		}}
	})
}

// skuOf is the handle of a listing: its SKU, which is its id and its stock's.
func skuOf(stockID, listingID string) string {
	if stockID != "" {
		return stockID
	}
	return listingID
}

// marketsOf is where a write is for: the marketplace that is named, or all of the connection.
func (c *client) marketsOf(location string) []string {
	if _, ok := marketplaceByID(location); ok {
		return []string{location}
	}
	return c.cfg.Marketplaces
}

// submission is one patch of one listing.
type submission struct {
	sku     string
	markets []string
	urgency connectors.Priority
	// merchant: only a listing that the seller ships may be patched so.
	merchant bool
	patch    patch
	// refused says why it is not sent at all.
	refused string
}

// patch is one operation of JSON Patch.
type patch struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value []any  `json:"value"`
}

// submit looks the listings up and patches one after another.
func (c *client) submit(ctx context.Context, n int, of func(i int) submission) ([]connectors.Result, error) {
	results := make([]connectors.Result, n)
	if n > batch {
		return fill(results, event.Outcome_OUTCOME_NOT_SENT), fmt.Errorf("%w: %d writes at once, %d are taken", connectors.ErrPermanent, n, batch)
	}
	submissions := make([]submission, n)
	var skus []string
	urgency := connectors.Normal
	for i := range submissions {
		submissions[i] = of(i)
		if submissions[i].refused == "" {
			skus = append(skus, submissions[i].sku)
		}
		urgency = min(urgency, submissions[i].urgency)
	}
	// Before each batch, because who fulfils a listing may change at any time, and a patch of the
	// merchant's quantity takes a listing away from Amazon's warehouse.
	known, err := c.lookup(ctx, skus, urgency)
	if err != nil {
		// Nothing was written, whatever became of the question.
		r := outcome(calls.Unsent(err))
		for i := range results {
			results[i] = r
		}
		return results, whole(err)
	}
	for i, s := range submissions {
		l := known[s.sku]
		switch {
		case s.refused != "":
			results[i] = refused(codeInvalid, s.refused)
		case l == nil:
			results[i] = refused(codeMissing, "seller "+c.cfg.SellerID+" has no listing of this SKU")
		case s.merchant && !l.merchant:
			results[i] = refused(codeAmazon, "Amazon fulfils this listing: its quantity is what lies in Amazon's warehouse")
		default:
			var stop error
			if results[i], stop = c.patchListing(ctx, s, l.productType); stop != nil {
				for n := i + 1; n < len(results); n++ {
					results[n] = connectors.Result{Outcome: event.Outcome_OUTCOME_NOT_SENT, Code: results[i].Code, Message: results[i].Message, RetryAfter: results[i].RetryAfter}
				}
				return results, whole(stop)
			}
		}
	}
	return results, nil
}

func refused(code, message string) connectors.Result {
	return connectors.Result{Outcome: event.Outcome_OUTCOME_REFUSED, Code: code, Message: message}
}

// done is a write that was carried out.
func done(code, message string) connectors.Result {
	return connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED, Code: code, Message: message}
}

// later is a write that was certainly not sent, and may be in a while.
func later(code string, after time.Duration, message string) connectors.Result {
	return connectors.Result{Outcome: event.Outcome_OUTCOME_NOT_SENT, Code: code, Message: message, RetryAfter: after}
}

// unsettled is a write of which it is not known yet what became.
func unsettled(code string, after time.Duration, message string) connectors.Result {
	return connectors.Result{Outcome: event.Outcome_OUTCOME_UNKNOWN, Code: code, Message: message, RetryAfter: after}
}

func fill(results []connectors.Result, o event.Outcome) []connectors.Result {
	for i := range results {
		results[i].Outcome = o
	}
	return results
}

// whole is the part of an error that concerns a whole call; the results say the rest.
func whole(err error) error {
	if errors.Is(err, connectors.ErrNeedsAuthorisation) || errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// outcome says what became of a call that failed.
func outcome(err error) connectors.Result {
	var retry *connectors.RetryAfterError
	r := connectors.Result{Outcome: event.Outcome_OUTCOME_UNKNOWN, Code: connectors.Class(err), Message: calls.Clip(err.Error())}
	if calls.IsUnsent(err) {
		r.Outcome = event.Outcome_OUTCOME_NOT_SENT
	}
	if errors.As(err, &retry) {
		r.RetryAfter = retry.After
	}
	var input *inputError
	switch {
	case errors.Is(err, errNotFound):
		r.Outcome, r.Code = event.Outcome_OUTCOME_REFUSED, codeMissing
	case errors.As(err, &input) && input.code != "":
		r.Outcome, r.Code = event.Outcome_OUTCOME_REFUSED, input.code
	case errors.Is(err, connectors.ErrPermanent):
		r.Outcome = event.Outcome_OUTCOME_REFUSED
	}
	return r
}

// submitted is the answer to a patch.
type submitted struct {
	Status string  `json:"status"`
	ID     string  `json:"submissionId"`
	Issues []issue `json:"issues"`
}

type issue struct {
	Code       string   `json:"code"`
	Message    string   `json:"message"`
	Severity   string   `json:"severity"`
	Attributes []string `json:"attributeNames"`
}

// patchListing sends one patch. The error is what concerns the writes behind it, too.
func (c *client) patchListing(ctx context.Context, s submission, productType string) (connectors.Result, error) {
	a, err := c.send(ctx, call{
		op: opPatchListing, path: c.listingPath(s.sku), priority: s.urgency,
		query: url.Values{"marketplaceIds": {strings.Join(s.markets, ",")}, "includedData": {"issues"}},
		body:  map[string]any{"productType": productType, "patches": []patch{s.patch}},
	})
	if err != nil {
		r := outcome(err)
		if stops(ctx, err) {
			return r, err
		}
		return r, nil
	}
	var answer submitted
	if err := json.Unmarshal(a.body, &answer); err != nil {
		return connectors.Result{Outcome: event.Outcome_OUTCOME_UNKNOWN, Code: "unreadable", Message: "the answer to the patch cannot be read"}, nil
	}
	return answer.result(strings.TrimPrefix(s.patch.Path, "/attributes/")), nil
}

// result says what an answer with 200 means. ACCEPTED may come with errors in other attributes
// of the listing, which were there before; one in the attribute that was written is a refusal.
func (s submitted) result(attribute string) connectors.Result {
	var worst *issue
	for i, found := range s.Issues {
		if found.Severity != "ERROR" {
			continue
		}
		ours := false
		for _, name := range found.Attributes {
			ours = ours || name == attribute || strings.HasPrefix(name, attribute+".")
		}
		if worst == nil && (ours || s.Status != "ACCEPTED") {
			worst = &s.Issues[i]
		}
	}
	switch {
	case worst != nil:
		return refused(worst.Code, calls.Clip(worst.Message))
	case s.Status == "ACCEPTED":
		return connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED, Code: s.Status, Message: "submission " + calls.Clip(s.ID)}
	case s.Status == "INVALID", s.Status == "VALID":
		return refused(s.Status, "Amazon did not take the submission and names no error")
	default:
		return connectors.Result{Outcome: event.Outcome_OUTCOME_UNKNOWN, Code: calls.Clip(s.Status), Message: "Amazon answered with a status that is not known"}
	}
}

func (c *client) listingPath(sku string) string {
	return "/listings/2021-08-01/items/" + url.PathEscape(c.cfg.SellerID) + "/" + url.PathEscape(sku)
}

// foundListing is what a write needs to know of a listing.
type foundListing struct {
	SKU       string `json:"sku"`
	Summaries []struct {
		Marketplace string `json:"marketplaceId"`
		ProductType string `json:"productType"`
		// FNSKU is the name of the goods in Amazon's warehouse.
		FNSKU string `json:"fnSku"`
	} `json:"summaries"`
	ProductTypes []struct {
		ProductType string `json:"productType"`
	} `json:"productTypes"`
	Availability []struct {
		Channel  string `json:"fulfillmentChannelCode"`
		Quantity *int64 `json:"quantity"`
	} `json:"fulfillmentAvailability"`
	// What follows of it.
	productType string
	merchant    bool
	shown       *int64
}

// lookupData is what is asked of a listing before it is written.
const lookupData = "summaries,fulfillmentAvailability,productTypes"

// lookup finds listings by SKU, all of them with one question. What the search does not know
// (its index is younger than a listing), and a SKU with a comma in it, is asked for by itself.
func (c *client) lookup(ctx context.Context, skus []string, urgency connectors.Priority) (map[string]*foundListing, error) {
	found := make(map[string]*foundListing, len(skus))
	var together []string
	for _, sku := range skus {
		if !strings.Contains(sku, ",") && sku != "" {
			together = append(together, sku)
		}
	}
	if len(together) > 0 {
		a, err := c.read(ctx, call{op: opSearchListings, path: "/listings/2021-08-01/items/" + url.PathEscape(c.cfg.SellerID), priority: urgency, query: url.Values{
			"marketplaceIds": {strings.Join(c.cfg.Marketplaces, ",")}, "includedData": {lookupData},
			"identifiersType": {"SKU"}, "identifiers": {strings.Join(together, ",")}, "pageSize": {strconv.Itoa(listingPage)},
		}})
		if err != nil {
			return nil, fmt.Errorf("looking up listings: %w", err)
		}
		var data struct {
			Items []*foundListing `json:"items"`
		}
		if err := json.Unmarshal(a.body, &data); err != nil {
			return nil, calls.Passing(errors.New("looking up listings: the answer cannot be read"))
		}
		for _, l := range data.Items {
			if l != nil {
				found[l.SKU] = l
			}
		}
	}
	for _, sku := range skus {
		if found[sku] != nil || sku == "" {
			continue
		}
		a, err := c.read(ctx, call{op: opGetListing, path: c.listingPath(sku), priority: urgency, query: url.Values{
			"marketplaceIds": {strings.Join(c.cfg.Marketplaces, ",")}, "includedData": {lookupData},
		}})
		var input *inputError
		if errors.Is(err, errNotFound) || errors.As(err, &input) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("looking up a listing: %w", err)
		}
		l := &foundListing{}
		if err := json.Unmarshal(a.body, l); err != nil {
			return nil, calls.Passing(errors.New("looking up a listing: the answer cannot be read"))
		}
		found[sku] = l
	}
	for _, l := range found {
		l.settle(c.cfg.Marketplaces)
	}
	return found, nil
}

// settle works out who fulfils a listing and what it is called. A listing without any
// availability has never been given a quantity; it is the merchant's, unless it has a name in
// Amazon's warehouse.
func (l *foundListing) settle(markets []string) {
	l.merchant = true
	for _, s := range l.Summaries {
		l.merchant = l.merchant && (s.FNSKU == "" || len(l.Availability) > 0)
	}
	for _, a := range l.Availability {
		switch a.Channel {
		case channelMerchant:
			l.shown = a.Quantity
		case "":
		default:
			l.merchant, l.shown = false, nil
		}
		if !l.merchant {
			l.shown = nil
			break
		}
	}
	l.productType = "PRODUCT" // an offer without a product type of its own
	for _, t := range l.ProductTypes {
		if t.ProductType != "" {
			l.productType = t.ProductType
			return
		}
	}
	for _, market := range markets {
		for _, s := range l.Summaries {
			if s.Marketplace == market && s.ProductType != "" {
				l.productType = s.ProductType
				return
			}
		}
	}
}

// ReadStock asks what is shown. Nothing is shown of what Amazon fulfils: no write of ours
// would be taken there either.
func (p *pusher) ReadStock(ctx context.Context, refs []connectors.StockRef) ([]*int64, error) {
	shown := make([]*int64, len(refs))
	for from := 0; from < len(refs); from += listingPage {
		part := refs[from:min(from+listingPage, len(refs))]
		skus := make([]string, len(part))
		for i, ref := range part {
			skus[i] = skuOf(ref.StockID, ref.ListingID)
		}
		known, err := p.lookup(ctx, skus, connectors.Urgent)
		if err != nil {
			return nil, fmt.Errorf("reading stock: %w", err)
		}
		for i, sku := range skus {
			l := known[sku]
			if l == nil || !l.merchant {
				continue
			}
			v := int64(0) // a listing without a quantity shows none
			if l.shown != nil {
				v = *l.shown
			}
			shown[from+i] = &v
		}
	}
	return shown, nil
}
