package ebay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sort"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/connectors/jsonread"
)

// cursor is the state between two polls of orders.
type cursor struct {
	// Until: everything that changed up to here has been emitted. It never goes back.
	Until time.Time `json:"until"`
	// Resume: the last poll stopped in the middle, and the next goes on exactly here, which
	// may lie before Until while the overlap is read again.
	Resume *time.Time `json:"resume,omitempty"`
	// Span is how long the last window was: the next poll begins with one like it.
	Span time.Duration `json:"span,omitempty"`
}

func readCursor(req connectors.PollRequest) (c cursor, from time.Time, err error) {
	if len(req.Cursor) == 0 {
		return cursor{Until: req.Start}, req.Start, nil
	}
	if err := json.Unmarshal(req.Cursor, &c); err != nil {
		return c, from, fmt.Errorf("%w: the stored cursor %q cannot be read: delete it to begin from start", connectors.ErrPermanent, jsonread.Clip(string(req.Cursor)))
	}
	if c.Resume != nil {
		return c, *c.Resume, nil
	}
	if c.Until.IsZero() {
		return c, from, nil
	}
	return c, c.Until.Add(-req.Overlap), nil
}

func (c cursor) result(res connectors.PollResult) connectors.PollResult {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // times and a number
	}
	res.Cursor, res.More, res.Watermark = b, c.Resume != nil, c.Until
	return res
}

// farthest is how far back orders can be asked for: eBay says two years, and something is
// left for clocks and leap days.
const farthest = 729 * 24 * time.Hour

// history is what leaves quota to others: windows that end so long ago.
const history = 24 * time.Hour

// resolution is that of lastModifiedDate; both ends of a window belong to it.
const resolution = time.Millisecond

// stamp is a time as a filter wants it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

type orderPoller struct {
	*client
	// open is the disputes by order, as of this poll.
	open map[string]disputed
	told atomic.Bool // of the missing scope
}

// Poll emits the orders that changed, each whole, oldest change first.
//
// getOrders cannot sort, and counts its pages: an order that changes while they are read
// leaves the window, and everything behind it moves up by one, past the reader. So no window
// is read that does not fit into one page: it is cut until it does, and the windows are read
// one after the other. An order that changes meanwhile is found in a later window, or by the
// next poll. The end of all windows is the server's now less settle, for eBay refuses times
// in the future, and an order that has just changed may not be visible yet.
// https://developer.ebay.com/api-docs/sell/fulfillment/resources/order/methods/getOrders
func (p *orderPoller) Poll(ctx context.Context, req connectors.PollRequest, emit func(connectors.Raw) error) (res connectors.PollResult, err error) {
	state, from, err := readCursor(req)
	if err != nil {
		return res, err
	}
	p.learn(ctx)
	if oldest := p.deps.Now().Add(-farthest); from.Before(oldest) {
		from = oldest
	}
	from = from.Truncate(resolution)
	// The first question only asks what time it is over there, and whether there is anything.
	probe, err := p.page(ctx, from, time.Time{}, 0, 1, connectors.Normal)
	if err != nil {
		return res, fmt.Errorf("polling orders: %w", err)
	}
	res.Pages++
	if probe.date.IsZero() {
		return res, errors.New("polling orders: eBay did not tell its time: the answer has no Date")
	}
	var disputedIDs []string
	if p.open, disputedIDs, err = p.disputes(ctx); err != nil {
		return res, fmt.Errorf("polling disputes: %w", err)
	}
	if state.Resume == nil {
		n, err := p.emitDisputed(ctx, disputedIDs, from, emit)
		res.Objects += n
		if err != nil {
			return res, err
		}
	}
	bound := probe.date.Add(-req.Settle).Truncate(resolution)
	span := state.Span
	if probe.total == 0 || span <= 0 {
		span = bound.Sub(from)
	}
	for !from.After(bound) && probe.total > 0 {
		to := from.Add(max(span, 0))
		if to.After(bound) {
			to = bound
		}
		urgency := connectors.Normal
		if bound.Sub(to) > history {
			urgency = connectors.Backfill
		}
		nodes, total, pages, err := p.window(ctx, from, to, urgency)
		res.Pages += pages
		if err != nil {
			return res, fmt.Errorf("polling orders: %w", err)
		}
		if nodes == nil {
			// Cut so that three quarters of a page are to be expected, and at least in half.
			share := to.Sub(from) / time.Duration(total) * time.Duration(p.cfg.PageSize) / 4 * 3
			span = min(share, to.Sub(from)/2).Truncate(resolution)
			continue
		}
		for _, n := range nodes {
			raw, err := p.whole(ctx, n)
			if err != nil {
				return res, fmt.Errorf("polling orders: order %s: %w", n.id, err)
			}
			if err := emit(raw); err != nil {
				return res, err
			}
			res.Objects++
		}
		if span = to.Sub(from); len(nodes) < p.cfg.PageSize/2 {
			span = min(2*span+time.Second, farthest)
		}
		if to.After(state.Until) {
			state.Until = to
		}
		from = to.Add(resolution)
		if res.Pages >= p.cfg.MaxPages && !from.After(bound) {
			return cursor{Until: state.Until, Resume: &from, Span: span}.result(res), nil
		}
	}
	if bound.After(state.Until) {
		state.Until = bound
	}
	return cursor{Until: state.Until, Span: span}.result(res), nil
}

// node is one object of a list as it stands in the answer.
type node struct {
	text    string
	id      string
	updated time.Time
}

// window reads all orders that changed from one time to another, both included, oldest
// first. nodes is nil when there are more than a page holds and the window can be cut.
func (p *orderPoller) window(ctx context.Context, from, to time.Time, urgency connectors.Priority) (nodes []node, total int64, pages int, err error) {
	first, err := p.page(ctx, from, to, 0, p.cfg.PageSize, urgency)
	if err != nil {
		return nil, 0, 1, err
	}
	pages = 1
	total = max(first.total, int64(len(first.nodes)))
	all := first.nodes
	if total > int64(p.cfg.PageSize) || first.more {
		if to.After(from) {
			return nil, max(total, int64(p.cfg.PageSize)+1), pages, nil
		}
		// More than a page within one millisecond: nothing is left but to count.
		for more := true; more; {
			next, err := p.page(ctx, from, to, len(all), p.cfg.PageSize, urgency)
			if err != nil {
				return nil, 0, pages + 1, err
			}
			pages++
			all = append(all, next.nodes...)
			more = len(next.nodes) > 0 && int64(len(all)) < next.total
		}
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].updated.Before(all[j].updated) })
	if all == nil {
		all = []node{}
	}
	return all, total, pages, nil
}

// orderPage is one answer of getOrders.
type orderPage struct {
	nodes []node
	total int64
	more  bool
	date  time.Time
}

func (p *orderPoller) page(ctx context.Context, from, to time.Time, offset, limit int, urgency connectors.Priority) (page orderPage, err error) {
	end := ""
	if !to.IsZero() {
		end = stamp(to)
	}
	q := url.Values{
		"filter": {"lastmodifieddate:[" + stamp(from) + ".." + end + "]"},
		"limit":  {strconv.Itoa(limit)}, "offset": {strconv.Itoa(offset)},
		// Without it taxes that eBay remits are left out of the totals.
		"fieldGroups": {"TAX_BREAKDOWN"},
	}
	a, err := p.read(ctx, request{endpoint: callOrders, query: q, priority: urgency})
	if err != nil {
		return page, err
	}
	page.date = a.date
	page.nodes, page.total, page.more, err = readList(a.body, "orders", orderHead)
	page.total = max(page.total, int64(len(page.nodes)))
	return page, err
}

// readList takes a list's answer apart: its nodes as they stand there, the number of all,
// and whether there is a next page. Where the answer is broken, it is asked for again; a
// broken order inside a sound answer is a node like the others.
func readList(body []byte, list string, head func(string) node) (nodes []node, total int64, more bool, err error) {
	r := jsonread.New(body)
	if !r.Object() {
		r.Unexpected("an object")
	}
	var seen jsonread.Members
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case list:
			r.Once(&seen, 0)
			for ok := r.Array(); ok && r.More(); {
				if text := r.Raw(); text != "" && text != "null" {
					nodes = append(nodes, head(text))
				}
			}
		case "total":
			r.Once(&seen, 1)
			total = r.Integer()
		case "next":
			r.Once(&seen, 2)
			more = r.Text() != ""
		default:
			r.Skip()
		}
	}
	r.End()
	if r.Err() != nil {
		return nil, 0, false, calls.Passing(fmt.Errorf("the answer cannot be read: %w", r.Err()))
	}
	return nodes, total, more, nil
}

// orderHead reads an order's id and time of change. One that cannot be read has none: it is
// emitted as it is, and the translator says what is wrong with it.
func orderHead(text string) node {
	n := node{text: text}
	r := jsonread.NewString(text)
	if r.Object() {
		for key, ok := r.Next(); ok; key, ok = r.Next() {
			switch key {
			case "orderId":
				n.id = r.Text()
			case "lastModifiedDate":
				if ms := r.Instant(); ms != 0 {
					n.updated = time.UnixMilli(ms).UTC()
				}
			default:
				r.Skip()
			}
		}
	}
	return n
}
