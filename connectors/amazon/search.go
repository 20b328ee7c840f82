package amazon

// Reconciling: reading again, by searchOrders, every order that changed.

import (
	"context"
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

// search reads a window, or goes on with one, and says whether there is more of it.
func (p *orderPoller) search(ctx context.Context, req connectors.PollRequest, state *orderCursor, res *connectors.PollResult, emit func(connectors.Raw) error) (more bool, err error) {
	w := state.Window
	if w == nil {
		w = p.begin(req, *state)
	}
	for read := range p.cfg.MaxPages {
		page, err := p.searchPage(ctx, w)
		var input *inputError
		if errors.As(err, &input) && w.Token != "" {
			// The token has died: the window is read again from its begin.
			p.deps.Log.Warn("reading orders begins again: Amazon does not take the token of the next page any more", "err", err)
			w = &window{From: w.From, Deep: w.Deep}
			page, err = p.searchPage(ctx, w)
		}
		if err != nil && read > 0 {
			// A page costs three minutes of quota: what was read is kept, and what is wrong comes up
			// again in the next poll.
			p.deps.Log.Warn("reading orders is interrupted", "err", err)
			state.Window = w
			return true, nil
		}
		if err != nil {
			return false, err
		}
		res.Pages++
		if w.Bound.IsZero() {
			w.Bound = page.bound(req.Settle)
		}
		for _, node := range page.orders {
			if err := emit(orderRaw(node)); err != nil {
				return false, err
			}
		}
		if w.Token = page.next; w.Token == "" {
			if w.Bound.After(state.Until) {
				state.Until = w.Bound
			}
			if w.Deep {
				state.Deep = w.Bound
			}
			state.Window, state.Next = nil, p.deps.Now().Add(p.cfg.ReconcileEvery)
			return false, nil
		}
	}
	state.Window = w
	return true, nil
}

// begin is a new window: some hours before the end of the last one, and once a day some days,
// because orders have been seen to be missing from the list and to come later.
// https://github.com/amzn/selling-partner-api-models/issues/5048
func (p *orderPoller) begin(req connectors.PollRequest, state orderCursor) *window {
	now := p.deps.Now()
	w := &window{Deep: now.Sub(state.Deep) >= 24*time.Hour}
	from := now.Add(-oldest)
	if !state.Until.IsZero() {
		overlap := max(req.Overlap, p.cfg.ReconcileOverlap)
		if w.Deep && !state.Deep.IsZero() {
			overlap = max(overlap, p.cfg.DeepOverlap)
		}
		if t := state.Until.Add(-overlap); t.After(from) {
			from = t
		}
	}
	if latest := now.Add(-fresh); from.After(latest) {
		from = latest
	}
	w.From = stamp(from)
	return w
}

// orderPage is one page of orders, as they stand in the answer.
type orderPage struct {
	orders []string
	next   string
	// before is up to when Amazon says that the list goes.
	before, date time.Time
}

// bound is up to where the list is complete.
func (p orderPage) bound(settle time.Duration) time.Time {
	var t time.Time
	if !p.date.IsZero() {
		t = p.date.Add(-max(settle, fresh))
	}
	if !p.before.IsZero() && (t.IsZero() || p.before.Before(t)) {
		t = p.before
	}
	return t
}

func (p *orderPoller) searchPage(ctx context.Context, w *window) (page orderPage, err error) {
	query := url.Values{
		"lastUpdatedAfter":  {w.From},
		"marketplaceIds":    {strings.Join(p.cfg.Marketplaces, ",")},
		"maxResultsPerPage": {strconv.Itoa(p.cfg.PageSize)},
		"includedData":      {orderData},
	}
	if w.Token != "" {
		query.Set("paginationToken", w.Token)
	}
	a, err := p.read(ctx, call{op: opSearchOrders, path: "/orders/2026-01-01/orders", query: query, priority: connectors.Normal})
	if err != nil {
		return page, err
	}
	page.date = a.date
	r := jsonread.New(a.body)
	r.Object()
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "orders":
			for ok := r.Array(); ok && r.More(); {
				page.orders = append(page.orders, r.Raw())
			}
		case "pagination":
			page.next = member(r, "nextToken")
		case "lastUpdatedBefore":
			if ms := r.Instant(); ms != 0 {
				page.before = time.UnixMilli(ms).UTC()
			}
		default:
			r.Skip()
		}
	}
	r.End()
	if r.Err() != nil {
		return orderPage{}, calls.Passing(fmt.Errorf("a page of orders cannot be read: %v", r.Err()))
	}
	return page, nil
}

// member reads one text of an object.
func member(r *jsonread.Reader, name string) (text string) {
	if !r.Object() {
		return ""
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		if key == name {
			text = r.Text()
		} else {
			r.Skip()
		}
	}
	return text
}
