package shopify

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/schemas/event"
)

// Codes of userErrors that mean more than "no".
const (
	codeStale      = "CHANGE_FROM_QUANTITY_STALE"
	codeConcurrent = "IDEMPOTENCY_CONCURRENT_REQUEST"
	codePrevious   = "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"
)

// codeBatch marks a write that failed only because another one of its batch was refused.
const codeBatch = "BATCH_NOT_APPLIED"

// pusher sets what the shop shows as available.
type pusher struct{ *client }

// Batch is Shopify's bound on input arrays.
func (p *pusher) Batch() int { return maxPage }

// quantityInput is InventoryQuantityInput. changeFromQuantity is always sent: null says
// openly that nothing is compared, and leaving it out is an error.
type quantityInput struct {
	Item     string `json:"inventoryItemId"`
	Location string `json:"locationId"`
	Quantity int64  `json:"quantity"`
	Expected *int64 `json:"changeFromQuantity"`
}

// PushStock sends all writes as one mutation, which Shopify carries out wholly or not at
// all: when one item is refused, the others come back NotSent and want to be sent without it.
func (p *pusher) PushStock(ctx context.Context, writes []connectors.StockWrite) ([]connectors.Result, error) {
	results := make([]connectors.Result, len(writes))
	if len(writes) > maxPage {
		return fill(results, event.Outcome_OUTCOME_NOT_SENT), fmt.Errorf("%w: %d writes at once, Shopify takes %d", connectors.ErrPermanent, len(writes), maxPage)
	}
	// sent[i] is the index in writes of the i-th input.
	var sent []int
	var inputs []quantityInput
	used := map[string]bool{}
	for i, w := range writes {
		location, err := p.locationOf(ctx, w.Location)
		if err != nil {
			return fill(results, event.Outcome_OUTCOME_NOT_SENT), err
		}
		switch key := w.StockID + "@" + location; {
		case w.StockID == "":
			results[i] = connectors.Result{Outcome: event.Outcome_OUTCOME_REFUSED, Code: "NO_INVENTORY_ITEM",
				Message: "the inventory item of listing " + w.ListingID + " is not known: its product has not been read yet"}
		case used[key]:
			results[i] = connectors.Result{Outcome: event.Outcome_OUTCOME_NOT_SENT, Code: codeBatch, Sibling: true, Message: "the same item and location stand twice in one batch"}
		default:
			used[key] = true
			sent = append(sent, i)
			inputs = append(inputs, quantityInput{gid("InventoryItem", w.StockID), gid("Location", location), w.Quantity, w.Expected})
		}
	}
	if len(inputs) == 0 {
		return results, nil
	}
	urgency := connectors.Normal
	for _, w := range writes {
		if w.Expected != nil && w.Quantity < *w.Expected {
			urgency = connectors.Urgent
		}
	}
	// A key whose first use failed is burnt, also for the very same request; what failed
	// certainly did nothing, so the next key of the same chain is taken.
	for attempt := range maxKeys {
		failures, err := p.set(ctx, inputs, idempotencyKey(writes, sent, attempt), urgency)
		if err == nil && len(failures) == 1 && failures[0].Code == codePrevious && attempt+1 < maxKeys {
			continue
		}
		answers, err := outcomes(len(inputs), failures, err)
		for n, i := range sent {
			results[i] = answers[n]
		}
		return results, err
	}
	return results, nil
}

// maxKeys bounds the chain of idempotency keys of one content.
const maxKeys = 4

// userError is one of userErrors; the ones without a code leave it empty.
type userError struct {
	Code    string   `json:"code"`
	Field   []string `json:"field"`
	Message string   `json:"message"`
}

func (p *pusher) set(ctx context.Context, inputs []quantityInput, key string, urgency connectors.Priority) ([]userError, error) {
	a, err := p.send(ctx, &docSetQuantities, map[string]any{
		"key": key,
		"input": map[string]any{
			"name":                 "available",
			"reason":               "correction",
			"referenceDocumentUri": "gid://crossdock/StockCommand/" + key,
			"quantities":           inputs,
		},
	}, urgency)
	if err != nil {
		return nil, err
	}
	var data struct {
		Set *struct {
			Errors []userError `json:"userErrors"`
		} `json:"inventorySetQuantities"`
	}
	if err := json.Unmarshal([]byte(a.data), &data); err != nil {
		return nil, fmt.Errorf("reading the answer to %s: %w", docSetQuantities.name, err)
	}
	if data.Set == nil {
		return nil, fmt.Errorf("the answer to %s says nothing", docSetQuantities.name)
	}
	return data.Set.Errors, nil
}

// outcomes says what became of each of n inputs.
func outcomes(n int, failures []userError, err error) ([]connectors.Result, error) {
	results := make([]connectors.Result, n)
	if err != nil {
		var retry *connectors.RetryAfterError
		r := connectors.Result{Outcome: event.Outcome_OUTCOME_UNKNOWN, Code: connectors.Class(err), Message: calls.Clip(err.Error())}
		if calls.IsUnsent(err) {
			r.Outcome = event.Outcome_OUTCOME_NOT_SENT
		}
		if errors.As(err, &retry) {
			r.RetryAfter = retry.After
		}
		if errors.Is(err, connectors.ErrPermanent) {
			r.Outcome = event.Outcome_OUTCOME_REFUSED
		}
		for i := range results {
			results[i] = r
		}
		if !errors.Is(err, connectors.ErrNeedsAuthorisation) && !errors.Is(err, context.Canceled) {
			err = nil // the results say it all
		}
		return results, err
	}
	if len(failures) == 0 {
		return fill(results, event.Outcome_OUTCOME_ACCEPTED), nil
	}
	named := false
	for _, f := range failures {
		i, ok := f.index()
		if !ok || i >= n {
			continue
		}
		named = true
		results[i] = connectors.Result{Outcome: event.Outcome_OUTCOME_REFUSED, Code: f.Code, Message: calls.Clip(f.Message), Stale: f.Code == codeStale}
	}
	for i := range results {
		switch {
		case results[i].Outcome != event.Outcome_OUTCOME_UNSPECIFIED:
		case named:
			results[i] = connectors.Result{Outcome: event.Outcome_OUTCOME_NOT_SENT, Code: codeBatch, Sibling: true, Message: "another write of the batch was refused, and Shopify applies all or none"}
		default:
			// The refusal is of the call as a whole.
			f := failures[0]
			results[i] = connectors.Result{Outcome: event.Outcome_OUTCOME_REFUSED, Code: f.Code, Message: calls.Clip(f.Message), Stale: f.Code == codeStale && n == 1}
			switch f.Code {
			case codeConcurrent:
				// The twin of this call is still running: what it does is not known yet.
				results[i].Outcome = event.Outcome_OUTCOME_UNKNOWN
			case codePrevious:
				results[i].Outcome = event.Outcome_OUTCOME_NOT_SENT
			}
		}
	}
	return results, nil
}

// index is the position in a path such as ["input", "quantities", "3", "locationId"] or
// ["variants", "3", "price"].
func (e userError) index() (int, bool) {
	for i, part := range e.Field {
		if (part == "quantities" || part == "variants") && i+1 < len(e.Field) {
			n, err := strconv.Atoi(e.Field[i+1])
			return n, err == nil && n >= 0
		}
	}
	return 0, false
}

func fill(results []connectors.Result, o event.Outcome) []connectors.Result {
	for i := range results {
		results[i].Outcome = o
	}
	return results
}

// keySpace is the namespace of our idempotency keys: a UUID chosen once.
var keySpace = uuid.MustParse("6f0d4c1e-6a5c-5a0e-9d2b-3f1a7f0e9b54")

// idempotencyKey is a UUID v5 of the commands and of what they ask for: the same on every
// attempt at the same thing, and another one when the batch or an expectation changed,
// because Shopify refuses a known key with other parameters.
func idempotencyKey(writes []connectors.StockWrite, sent []int, attempt int) string {
	h := sha256.New()
	for _, i := range sent {
		w := writes[i]
		expected := "-"
		if w.Expected != nil {
			expected = strconv.FormatInt(*w.Expected, 10)
		}
		fmt.Fprintf(h, "%q %q %q %d %s\n", w.CommandID, w.StockID, w.Location, w.Quantity, expected)
	}
	fmt.Fprintf(h, "%d", attempt)
	return uuid.NewSHA1(keySpace, h.Sum(nil)).String()
}

// locationOf is the write's location, the configured one, or the only one of the shop.
func (c *client) locationOf(ctx context.Context, given string) (string, error) {
	switch {
	case given != "":
		return given, nil
	case c.cfg.LocationID != "":
		return c.cfg.LocationID, nil
	}
	if only := c.location.Load(); only != nil {
		return *only, nil
	}
	ids, err := c.locations(ctx)
	if err != nil {
		return "", err
	}
	if len(ids) != 1 {
		return "", fmt.Errorf("%w: the shop has %d active locations: say in location_id which one is pushed to", connectors.ErrPermanent, len(ids))
	}
	c.location.Store(&ids[0])
	return ids[0], nil
}

// ReadStock asks what is shown. A reference by its stock item or by its listing will do.
func (p *pusher) ReadStock(ctx context.Context, refs []connectors.StockRef) ([]*int64, error) {
	shown := make([]*int64, len(refs))
	byLocation := map[string][]int{}
	var order []string
	for i, ref := range refs {
		location, err := p.locationOf(ctx, ref.Location)
		if err != nil {
			return nil, fmt.Errorf("reading stock: %w", err)
		}
		if byLocation[location] == nil {
			order = append(order, location)
		}
		byLocation[location] = append(byLocation[location], i)
	}
	for _, location := range order {
		for at := byLocation[location]; len(at) > 0; {
			n := min(len(at), maxPage)
			if err := p.readShown(ctx, location, at[:n], refs, shown); err != nil {
				return nil, fmt.Errorf("reading stock: %w", err)
			}
			at = at[n:]
		}
	}
	return shown, nil
}

func (p *pusher) readShown(ctx context.Context, location string, at []int, refs []connectors.StockRef, shown []*int64) error {
	ids := make([]string, len(at))
	for n, i := range at {
		if ids[n] = gid("InventoryItem", refs[i].StockID); refs[i].StockID == "" {
			ids[n] = gid("ProductVariant", refs[i].ListingID)
		}
	}
	a, err := p.read(ctx, &docShown, map[string]any{"ids": ids, "location": gid("Location", location)}, connectors.Urgent)
	if err != nil {
		return err
	}
	type level struct {
		Quantities []struct {
			Name     string `json:"name"`
			Quantity int64  `json:"quantity"`
		} `json:"quantities"`
	}
	var data struct {
		Nodes []*struct {
			Level *level `json:"inventoryLevel"`
			Item  *struct {
				Level *level `json:"inventoryLevel"`
			} `json:"inventoryItem"`
		} `json:"nodes"`
	}
	if err := json.Unmarshal([]byte(a.data), &data); err != nil {
		return fmt.Errorf("reading the answer to %s: %w", docShown.name, err)
	}
	if len(data.Nodes) != len(at) {
		return fmt.Errorf("%s: %d answers to %d ids", docShown.name, len(data.Nodes), len(at))
	}
	for n, node := range data.Nodes {
		if node == nil {
			continue
		}
		l := node.Level
		if node.Item != nil {
			l = node.Item.Level
		}
		if l == nil {
			continue
		}
		for _, q := range l.Quantities {
			if q.Name == "available" {
				v := q.Quantity
				shown[at[n]] = &v
			}
		}
	}
	return nil
}
