package shopify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/connectors/jsonread"
)

// cursor is the state between two polls.
type cursor struct {
	// Until: everything that changed up to here has been emitted. It never goes back.
	Until time.Time `json:"until"`
	// Resume: the last poll stopped in the middle, and the next goes on exactly here, which
	// may lie before Until while the overlap is read again. Beginning with the overlap once
	// more, a poll that is cut short within it would never get on.
	Resume *time.Time `json:"resume,omitempty"`
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
		panic(err) // two times
	}
	res.Cursor, res.More, res.Watermark = b, c.Resume != nil, c.Until
	return res
}

// since is a filter of Shopify's search syntax; nil asks for everything.
func since(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return "updated_at:>='" + stamp(t) + "'"
}

type (
	orderPoller   struct{ *client }
	productPoller struct{ *client }
	levelPoller   struct{ *client }
)

// Poll emits orders that changed, each whole, oldest change first.
func (p *orderPoller) Poll(ctx context.Context, req connectors.PollRequest, emit func(connectors.Raw) error) (connectors.PollResult, error) {
	return p.window(ctx, req, listing{doc: &docOrders, root: "orders", subject: connectors.Orders, format: formatGraphOrder, whole: p.wholeOrder}, emit)
}

// Poll emits products that changed, each with all of its variants.
func (p *productPoller) Poll(ctx context.Context, req connectors.PollRequest, emit func(connectors.Raw) error) (connectors.PollResult, error) {
	return p.window(ctx, req, listing{doc: &docProducts, root: "products", subject: connectors.Products, format: formatGraphProduct, whole: p.wholeProduct}, emit)
}

// listing is a connection at the root that is sorted by updated_at.
type listing struct {
	doc     *document
	root    string
	subject connectors.Subject
	format  string
	// whole completes a node with what did not fit in and wraps it; nil when it is gone.
	whole func(ctx context.Context, node string) ([]byte, error)
}

// window reads everything with from ≤ updated_at ≤ server's now − settle.
//
// It does not go from page to page by Shopify's cursor where it can avoid it: whenever the
// last change of a page is newer than the window's begin, the next query begins there. An
// object that changes while we read moves to the end of the list, and everything behind it
// moves up; counted pages would step over some, a bound by value cannot. Only where a whole
// page changed within one second is the cursor used. What was read twice at such a seam is
// emitted once.
func (c *client) window(ctx context.Context, req connectors.PollRequest, l listing, emit func(connectors.Raw) error) (res connectors.PollResult, err error) {
	state, from, err := readCursor(req)
	if err != nil {
		return res, err
	}
	begin, last := from, from
	var bound time.Time
	var after any
	first := c.fitting(l.doc, c.cfg.PageSize)
	seam := map[string]time.Time{}
	for done := false; !done; {
		vars := map[string]any{"first": first, "after": after, "query": since(from), "nested": c.cfg.NestedPageSize}
		a, err := c.read(ctx, l.doc, vars, connectors.Normal)
		if c.tooLarge(l.doc, &first, err) {
			continue
		}
		if err != nil {
			return res, fmt.Errorf("polling %s: %w", l.root, err)
		}
		if bound.IsZero() && !a.date.IsZero() {
			bound = a.date.Add(-req.Settle)
		}
		page, err := readPage(a.data, l.root)
		if err != nil {
			return res, fmt.Errorf("polling %s: %w", l.root, err)
		}
		res.Pages++
		sorted := true
		for _, node := range page.nodes {
			id, updated := head(node)
			if !updated.IsZero() && !bound.IsZero() && updated.After(bound) {
				done = true // and everything behind it is newer still
				break
			}
			if at, ok := seam[id]; ok && at.Equal(updated) {
				continue
			}
			body, err := l.whole(ctx, node)
			if err != nil {
				return res, fmt.Errorf("polling %s: object %s: %w", l.root, id, err)
			}
			if body == nil {
				continue
			}
			if err := emit(connectors.Raw{Subject: l.subject, Object: id, Body: body, Format: l.format, SourceTime: updated}); err != nil {
				return res, err
			}
			res.Objects++
			switch {
			case updated.After(last):
				last = updated
				clear(seam)
				seam[id] = updated
			case updated.Equal(last):
				seam[id] = updated
			case !updated.IsZero():
				sorted = false
			}
		}
		switch {
		case done || !page.next:
			done = true
		case sorted && last.After(from):
			from, after = last, nil
		default:
			after = page.cursor
		}
		if !done && after == nil && res.Pages >= c.cfg.MaxPages && last.After(begin) {
			if last.After(state.Until) {
				state.Until = last
			}
			return cursor{Until: state.Until, Resume: &last}.result(res), nil
		}
	}
	// The whole window was read, so that its end is the new begin, by the server's clock.
	until := state.Until
	for _, t := range []time.Time{last, bound} {
		if t.After(until) && (bound.IsZero() || !t.After(bound)) {
			until = t
		}
	}
	return cursor{Until: until}.result(res), nil
}

// page is one page of a connection: nodes as they stand in the answer.
type page struct {
	nodes  []string
	next   bool
	cursor string
}

// readPage finds a connection by the members that lead to it.
func readPage(data string, path ...string) (p page, err error) {
	r := newReaderString(data)
	var read func(path []string)
	read = func(path []string) {
		if !r.Object() {
			r.Unexpected("an object")
			return
		}
		for key, ok := r.Next(); ok; key, ok = r.Next() {
			switch {
			case len(path) > 0 && key == path[0]:
				read(path[1:])
			case len(path) == 0 && key == "nodes":
				for ok := r.Array(); ok && r.More(); {
					if node := r.Raw(); node != "null" && node != "" {
						p.nodes = append(p.nodes, node)
					}
				}
			case len(path) == 0 && key == "pageInfo":
				p.next, p.cursor = r.pageInfo()
			default:
				r.Skip()
			}
		}
	}
	read(path)
	r.End()
	if r.Err() != nil {
		return page{}, calls.Passing(fmt.Errorf("the answer cannot be read: %w", r.Err()))
	}
	if p.next && p.cursor == "" {
		return page{}, calls.Passing(errors.New("the answer promises another page and gives no cursor"))
	}
	return p, nil
}

// head reads a node's id and time of change. A node that cannot be read has none: it is
// emitted as it is, and the translator says what is wrong with it.
func head(node string) (id string, updated time.Time) {
	r := newReaderString(node)
	if !r.Object() {
		return "", updated
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "id":
			id = r.ID()
		case "updatedAt":
			if ms := r.Instant(); ms != 0 {
				updated = time.UnixMilli(ms).UTC()
			}
		default:
			r.Skip()
		}
	}
	return id, updated
}

// Poll emits what each location shows. Levels cannot be sorted by time, so that the window
// is always read whole; what changed behind its end is emitted as well, and again next time.
func (p *levelPoller) Poll(ctx context.Context, req connectors.PollRequest, emit func(connectors.Raw) error) (res connectors.PollResult, err error) {
	state, from, err := readCursor(req)
	if err != nil {
		return res, err
	}
	locations, err := p.locations(ctx)
	if err != nil {
		return res, fmt.Errorf("polling inventory: %w", err)
	}
	var bound time.Time
	first := p.fitting(&docLevels, maxPage)
	for _, location := range locations {
		var after any
		for more := true; more; {
			vars := map[string]any{"location": gid("Location", location), "first": first, "after": after, "query": since(from)}
			a, err := p.read(ctx, &docLevels, vars, connectors.Normal)
			if p.tooLarge(&docLevels, &first, err) {
				continue
			}
			if err != nil {
				return res, fmt.Errorf("polling inventory of location %s: %w", location, err)
			}
			if bound.IsZero() && !a.date.IsZero() {
				bound = a.date.Add(-req.Settle)
			}
			page, err := readPage(a.data, "location", "inventoryLevels")
			if err != nil {
				return res, fmt.Errorf("polling inventory of location %s: %w", location, err)
			}
			res.Pages++
			for _, node := range page.nodes {
				id, updated := levelHead(node)
				if err := emit(connectors.Raw{Subject: connectors.Inventory, Object: id, Body: []byte(node), Format: formatGraphLevel, SourceTime: updated}); err != nil {
					return res, err
				}
				res.Objects++
			}
			more, after = page.next, page.cursor
		}
	}
	if bound.After(state.Until) {
		state.Until = bound
	}
	return cursor{Until: state.Until}.result(res), nil
}

// levelHead is head for inventory levels, whose own id is not what they go by.
func levelHead(node string) (item string, updated time.Time) {
	r := newReaderString(node)
	if !r.Object() {
		return "", updated
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "item":
			item = r.idOf()
		case "updatedAt":
			if ms := r.Instant(); ms != 0 {
				updated = time.UnixMilli(ms).UTC()
			}
		default:
			r.Skip()
		}
	}
	return item, updated
}

// locations is the configured one, or all that are active.
func (c *client) locations(ctx context.Context) ([]string, error) {
	if c.cfg.LocationID != "" {
		return []string{c.cfg.LocationID}, nil
	}
	var ids []string
	var after any
	for more := true; more; {
		a, err := c.read(ctx, &docLocations, map[string]any{"first": 50, "after": after}, connectors.Normal)
		if err != nil {
			return nil, fmt.Errorf("listing locations: %w", err)
		}
		page, err := readPage(a.data, "locations")
		if err != nil {
			return nil, fmt.Errorf("listing locations: %w", err)
		}
		for _, node := range page.nodes {
			var l struct {
				ID     string `json:"id"`
				Active bool   `json:"isActive"`
			}
			if err := json.Unmarshal([]byte(node), &l); err != nil {
				return nil, fmt.Errorf("listing locations: %w", err)
			}
			if l.Active {
				ids = append(ids, number(l.ID))
			}
		}
		more, after = page.next, page.cursor
	}
	return ids, nil
}
