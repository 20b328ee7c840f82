package amazon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/connectors/jsonread"
)

// inventoryPoller reports what listings show, and what lies in Amazon's own warehouses.
type inventoryPoller struct{ *client }

// inventoryCursor is the state between two polls.
type inventoryCursor struct {
	Until  time.Time  `json:"until"`
	Resume *time.Time `json:"resume,omitempty"`
	// FBA is the begin of the next reading of Amazon's warehouses, by marketplace.
	FBA map[string]time.Time `json:"fba,omitempty"`
}

// Poll reports the quantities of listings that changed and of stock in Amazon's warehouses.
func (p *inventoryPoller) Poll(ctx context.Context, req connectors.PollRequest, emit func(connectors.Raw) error) (res connectors.PollResult, err error) {
	state := inventoryCursor{Until: req.Start}
	if len(req.Cursor) > 0 {
		if err := json.Unmarshal(req.Cursor, &state); err != nil {
			return res, fmt.Errorf("%w: the stored cursor %q cannot be read: delete it to begin from start", connectors.ErrPermanent, jsonread.Clip(string(req.Cursor)))
		}
	}
	counted := func(raw connectors.Raw) error {
		if err := emit(raw); err != nil {
			return err
		}
		res.Objects++
		return nil
	}
	from := resumed(state.Until, state.Resume, req.Overlap, len(req.Cursor) > 0)
	last, more, err := p.changed(ctx, from, req.Settle, listingKind{levelData, formatLevel, connectors.Inventory}, &res, counted)
	if err != nil {
		return res, fmt.Errorf("polling quantities: %w", err)
	}
	if state.Resume = nil; more {
		state.Resume = &last
	}
	if last.After(state.Until) {
		state.Until = last
	}
	if p.cfg.FBA && !more {
		if state.FBA == nil {
			state.FBA = map[string]time.Time{}
		}
		for _, market := range p.cfg.Marketplaces {
			begin := resumed(state.FBA[market], nil, req.Overlap, true)
			until, err := p.summaries(ctx, market, begin, req.Settle, &res, counted)
			if err != nil {
				return res, fmt.Errorf("polling Amazon's warehouses for %s: %w", market, err)
			}
			if until.After(state.FBA[market]) {
				state.FBA[market] = until
			}
		}
	}
	res.Cursor, err = json.Marshal(state)
	if err != nil {
		return res, fmt.Errorf("encoding the cursor of quantities: %w", err)
	}
	res.More, res.Watermark = more, state.Until
	return res, nil
}

// maxSummaryAge is how far back getInventorySummaries takes a begin.
const maxSummaryAge = 18*30*24*time.Hour - 24*time.Hour

// summaries reads what changed in Amazon's warehouses, all pages at once: a token lives for
// 30 seconds. They cannot be sorted, so that the list is always read whole.
func (c *client) summaries(ctx context.Context, market string, from time.Time, settle time.Duration, res *connectors.PollResult, emit func(connectors.Raw) error) (until time.Time, err error) {
	token, again := "", false
	for {
		query := url.Values{
			"details": {"true"}, "granularityType": {"Marketplace"}, "granularityId": {market}, "marketplaceIds": {market},
		}
		if !from.IsZero() && c.deps.Now().Sub(from) < maxSummaryAge {
			query.Set("startDateTime", stamp(from))
		}
		if token != "" {
			query.Set("nextToken", token)
		}
		a, err := c.read(ctx, call{op: opInventory, path: "/fba/inventory/v1/summaries", query: query, priority: connectors.Normal})
		var input *inputError
		if errors.As(err, &input) && token != "" && !again {
			token, again = "", true // it has died while we waited for quota
			continue
		}
		if err != nil {
			return until, err
		}
		if until.IsZero() && !a.date.IsZero() {
			until = a.date.Add(-settle)
		}
		var nodes []string
		if nodes, token, err = readSummaries(a.body); err != nil {
			return until, err
		}
		res.Pages++
		for _, node := range nodes {
			raw := summaryRaw(market, node)
			raw.SourceTime = a.date
			if err := emit(raw); err != nil {
				return until, err
			}
		}
		if token == "" {
			return until, nil
		}
	}
}

func readSummaries(body []byte) (nodes []string, next string, err error) {
	r := jsonread.New(body)
	r.Object()
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "payload":
			if !r.Object() {
				continue
			}
			for key, ok := r.Next(); ok; key, ok = r.Next() {
				if key != "inventorySummaries" {
					r.Skip()
					continue
				}
				for ok := r.Array(); ok && r.More(); {
					nodes = append(nodes, r.Raw())
				}
			}
		case "pagination":
			next = member(r, "nextToken")
		default:
			r.Skip()
		}
	}
	r.End()
	if r.Err() != nil {
		return nil, "", calls.Passing(fmt.Errorf("a page of Amazon's warehouses cannot be read: %v", r.Err()))
	}
	return nodes, next, nil
}

// summaryRaw wraps one summary with the marketplace that it is for, which it does not name.
func summaryRaw(market, node string) connectors.Raw {
	raw := connectors.Raw{Subject: connectors.Inventory, Object: unknownObject, Format: formatSummary}
	raw.Body = append(append(append([]byte(`{"marketplaceId":`), strconvQuote(market)...), `,"summary":`...), node...)
	raw.Body = append(raw.Body, '}')
	r := jsonread.NewString(node)
	if r.Peek() == '{' {
		if sku := member(r, "sellerSku"); sku != "" && len(sku) <= maxID {
			raw.Object = sku
		}
	}
	return raw
}

// strconvQuote writes a marketplace's id, which holds letters and digits, as JSON.
func strconvQuote(id string) string { return `"` + id + `"` }
