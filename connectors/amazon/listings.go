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
	"github.com/helloword/crossdock/connectors/jsonread"
)

// listingPage is the most listings that searchListingsItems gives at once; behind 1,000 it
// gives no more, whatever the tokens say.
const listingPage = 20

// listingData is what is asked of a listing to be described, and levelData to see what it shows.
const (
	listingData = "summaries,attributes,offers,fulfillmentAvailability"
	levelData   = "summaries,fulfillmentAvailability"
)

// seam remembers what was emitted with the newest time of change.
type seam map[string]time.Time

// changed reads the listings that changed since from, oldest first, and emits each.
//
// It does not go from page to page by Amazon's token where it can avoid it: whenever the last
// change of a page is newer than where the query began, the next query begins there. A listing
// that changes while we read moves to the end of the list and everything behind it moves up;
// a bound by value cannot step over it, and the end after 1,000 listings is never reached.
// Only where a whole page changed at one time is the token used. What was read twice at such
// a seam is emitted once.
func (c *client) changed(ctx context.Context, from time.Time, settle time.Duration, l listingKind, res *connectors.PollResult, emit func(connectors.Raw) error) (until time.Time, more bool, err error) {
	begin, last := from, from
	var bound time.Time
	token := ""
	at := seam{}
	for done := false; !done; {
		query := url.Values{
			"marketplaceIds": {strings.Join(c.cfg.Marketplaces, ",")},
			"includedData":   {l.data},
			"sortBy":         {"lastUpdatedDate"},
			"sortOrder":      {"ASC"},
			"pageSize":       {strconv.Itoa(listingPage)},
		}
		if !from.IsZero() {
			query.Set("lastUpdatedAfter", stamp(from))
		}
		if token != "" {
			query.Set("pageToken", token)
		}
		a, err := c.read(ctx, call{op: opSearchListings, path: "/listings/2021-08-01/items/" + url.PathEscape(c.cfg.SellerID), query: query, priority: connectors.Normal})
		if err != nil {
			return until, false, err
		}
		if bound.IsZero() && !a.date.IsZero() {
			bound = a.date.Add(-settle)
		}
		items, next, err := readListings(a.body)
		if err != nil {
			return until, false, err
		}
		res.Pages++
		sorted := true
		for _, node := range items {
			sku, updated := listingHead(node)
			if !updated.IsZero() && !bound.IsZero() && updated.After(bound) {
				done = true // and everything behind it is newer still
				break
			}
			if seen, ok := at[sku]; ok && seen.Equal(updated) {
				continue
			}
			if err := emit(connectors.Raw{Subject: l.subject, Object: sku, Body: []byte(node), Format: l.format, SourceTime: l.time(updated, a.date)}); err != nil {
				return until, false, err
			}
			switch {
			case updated.After(last):
				last = updated
				clear(at)
				at[sku] = updated
			case updated.Equal(last):
				at[sku] = updated
			case !updated.IsZero():
				sorted = false
			}
		}
		// A time of change is told to the second at least: the next query begins at its second.
		second := last.Truncate(time.Second)
		switch {
		case done || next == "":
			done = true
		case sorted && second.After(from):
			from, token = second, ""
		default:
			token = next
		}
		if !done && token == "" && res.Pages >= c.cfg.MaxPages*listingPages && last.After(begin) {
			return last, true, nil
		}
	}
	// The whole window was read, so that its end is the new begin, by the server's clock.
	until = last
	if bound.After(until) {
		until = bound
	}
	return until, false, nil
}

// listingPages is how many pages of listings are read where max_pages says one page of
// orders: they are smaller, and come a thousand times as often.
const listingPages = 25

// listingKind is how a listing is reported.
type listingKind struct {
	data, format string
	subject      connectors.Subject
}

// time of a record: of a listing, when it changed; of what it shows, when that was read,
// because a quantity may change without the listing's own time.
func (l listingKind) time(updated, read time.Time) time.Time {
	if l.subject == connectors.Inventory && !read.IsZero() {
		return read
	}
	return updated
}

// readListings takes an answer of searchListingsItems apart.
func readListings(body []byte) (items []string, next string, err error) {
	r := jsonread.New(body)
	r.Object()
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "items":
			for ok := r.Array(); ok && r.More(); {
				items = append(items, r.Raw())
			}
		case "pagination":
			next = member(r, "nextToken")
		default:
			r.Skip()
		}
	}
	r.End()
	if r.Err() != nil {
		return nil, "", calls.Passing(fmt.Errorf("a page of listings cannot be read: %v", r.Err()))
	}
	return items, next, nil
}

// listingHead is a listing's SKU and its newest time of change over the marketplaces.
func listingHead(node string) (sku string, updated time.Time) {
	r := jsonread.NewString(node)
	sku = unknownObject
	if r.Peek() != '{' {
		return sku, updated
	}
	r.Object()
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch {
		case key == "sku" && r.Peek() == '"':
			if text := r.Text(); text != "" && len(text) <= maxID {
				sku = text
			}
		case key == "summaries" && r.Peek() == '[':
			for ok := r.Array(); ok && r.More(); {
				if r.Peek() != '{' {
					r.Skip()
					continue
				}
				if ms, ok := jsonread.Instant(member(r, "lastUpdatedDate")); ok {
					if t := time.UnixMilli(ms).UTC(); t.After(updated) {
						updated = t
					}
				}
			}
		default:
			r.Skip()
		}
	}
	return sku, updated
}

// productPoller reports listings: those that changed, and once a day all of them by a report.
type productPoller struct{ *client }

// productCursor is the state between two polls.
type productCursor struct {
	Until time.Time `json:"until"`
	// Resume: the last poll stopped in the middle, and the next goes on exactly here.
	Resume *time.Time `json:"resume,omitempty"`
	// Report is the id of the report that is being made; Asked when it was asked for, and
	// Read when one was last read to its end or given up, both by our clock: they pace.
	Report string    `json:"report,omitempty"`
	Asked  time.Time `json:"asked,omitzero"`
	Read   time.Time `json:"read,omitzero"`
}

// Poll reports what changed, and moves the report on by a step.
func (p *productPoller) Poll(ctx context.Context, req connectors.PollRequest, emit func(connectors.Raw) error) (res connectors.PollResult, err error) {
	state := productCursor{Until: req.Start}
	if len(req.Cursor) > 0 {
		if err := json.Unmarshal(req.Cursor, &state); err != nil {
			return res, fmt.Errorf("%w: the stored cursor %q cannot be read: delete it to begin from start", connectors.ErrPermanent, jsonread.Clip(string(req.Cursor)))
		}
	}
	var broken error
	counted := func(raw connectors.Raw) error {
		if broken = emit(raw); broken != nil {
			return broken
		}
		res.Objects++
		return nil
	}
	from := resumed(state.Until, state.Resume, req.Overlap, len(req.Cursor) > 0)
	last, more, err := p.changed(ctx, from, req.Settle, listingKind{listingData, formatListing, connectors.Products}, &res, counted)
	if err != nil {
		return res, fmt.Errorf("polling listings: %w", err)
	}
	if state.Resume = nil; more {
		state.Resume = &last
	}
	if last.After(state.Until) {
		state.Until = last
	}
	if !more {
		switch err := p.report(ctx, &state, counted); {
		case err == nil:
		case broken != nil, ctx.Err() != nil, errors.Is(err, connectors.ErrPermanent), errors.Is(err, connectors.ErrNeedsAuthorisation):
			return res, fmt.Errorf("polling listings: %w", err)
		default:
			// What changed is not kept back because of what is read once a day.
			p.deps.Log.Warn("the report of all listings has to wait", "err", err)
		}
	}
	res.Cursor, err = json.Marshal(state)
	if err != nil {
		return res, fmt.Errorf("encoding the cursor of listings: %w", err)
	}
	res.More, res.Watermark = more, state.Until
	return res, nil
}

// resumed is where a poll begins. Beginning with the overlap once more, a poll that is cut
// short within it would never get on.
func resumed(until time.Time, resume *time.Time, overlap time.Duration, later bool) time.Time {
	if resume != nil {
		return *resume
	}
	if later && !until.IsZero() {
		return until.Add(-overlap)
	}
	return until
}
