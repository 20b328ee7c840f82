package magento

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
)

// cursor is the state between two polls.
type cursor struct {
	// Until: everything that changed up to here has been emitted. It never goes back.
	Until time.Time `json:"until"`
	// Part: the last poll stopped in the middle of its window, and the next goes on there.
	Part *part `json:"part,omitempty"`
}

// part is a window that was read in part.
type part struct {
	// Leg is the list being read; those before it are read to the end.
	Leg int `json:"leg"`
	// From is where each list begins, At where this one goes on, Bound where all end.
	From  time.Time `json:"from"`
	At    time.Time `json:"at"`
	Bound time.Time `json:"bound"`
}

// readCursor says where to go on: in a window that was begun, or in a new one.
func readCursor(req connectors.PollRequest) (c cursor, p part, err error) {
	if len(req.Cursor) == 0 {
		return cursor{Until: req.Start}, part{From: req.Start, At: req.Start}, nil
	}
	if err := json.Unmarshal(req.Cursor, &c); err != nil {
		return c, p, fmt.Errorf("%w: the stored cursor %q cannot be read: delete it to begin from start", connectors.ErrPermanent, jsonread.Clip(string(req.Cursor)))
	}
	if c.Part != nil {
		return c, *c.Part, nil
	}
	if !c.Until.IsZero() {
		p.From = c.Until.Add(-req.Overlap)
		p.At = p.From
	}
	return c, p, nil
}

func (c cursor) result(res connectors.PollResult) connectors.PollResult {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // times and a number
	}
	res.Cursor, res.More, res.Watermark = b, c.Part != nil, c.Until
	return res
}

// leg is one list that is sorted by updated_at.
type leg struct {
	name, path string
	// hides: the shop counts objects that it does not answer, such as products of a website
	// that these keys may not see. They must not hold up the others.
	hides bool
	// whole makes records of the nodes of a page.
	whole func(ctx context.Context, nodes []string) ([]connectors.Raw, error)
}

type productPoller struct{ *client }

// Poll emits products that changed, oldest change first. Magento does not move a product's
// updated_at when only its price or stock is written by the API (magento/magento2#37670):
// quantities are polled on their own, and prices come with the next change of anything else.
func (p *productPoller) Poll(ctx context.Context, req connectors.PollRequest, emit func(connectors.Raw) error) (connectors.PollResult, error) {
	return p.window(ctx, req, []leg{{"products", "/V1/products", true, p.products}}, emit)
}

func (c *client) products(_ context.Context, nodes []string) ([]connectors.Raw, error) {
	raws := make([]connectors.Raw, len(nodes))
	for i, node := range nodes {
		h := readHead(node)
		raws[i] = connectors.Raw{Subject: connectors.Products, Object: object(h.id), Body: []byte(node), Format: formatProduct, SourceTime: h.updated}
	}
	return raws, nil
}

// object names a node; one that cannot be read has to have a name, too.
func object(id int64) string {
	if id <= 0 {
		return "unreadable"
	}
	return strconv.FormatInt(id, 10)
}

// reading is a poll under way.
type reading struct {
	*client
	req  connectors.PollRequest
	emit func(connectors.Raw) error
	at   part
	res  connectors.PollResult
	last time.Time // newest change that was emitted
	// seam holds what was emitted of the second that the next page begins with.
	seam map[int64]time.Time
	done bool // with the leg
}

// window reads every leg with from ≤ updated_at ≤ server's now − settle.
//
// It never asks for a second page. The next query begins at the second of the last change of
// the page before: an object that changes while we read moves to the end of the list and
// everything behind it moves up, so that counted pages would step over some (seen on 2.4.7).
// Where a whole page changed within one second, that second is read by ascending id instead.
// What was read twice at a seam is emitted once.
func (c *client) window(ctx context.Context, req connectors.PollRequest, legs []leg, emit func(connectors.Raw) error) (connectors.PollResult, error) {
	state, at, err := readCursor(req)
	if err != nil {
		return connectors.PollResult{}, err
	}
	r := &reading{client: c, req: req, emit: emit, at: at}
	for ; r.at.Leg < len(legs); r.at.Leg, r.at.At = r.at.Leg+1, r.at.From {
		l := legs[r.at.Leg]
		r.seam, r.done = map[int64]time.Time{}, false
		for begin := r.at.At; !r.done; {
			if err := r.page(ctx, l); err != nil {
				return r.res, fmt.Errorf("polling %s: %w", l.name, err)
			}
			if !r.done && r.res.Pages >= c.cfg.MaxPages && r.at.At.After(begin) {
				state.Part = &r.at
				return state.result(r.res), nil
			}
		}
	}
	// Every list was read to the end, so that their end is the new begin, by the server's clock.
	state.Part = nil
	for _, t := range []time.Time{r.last, r.at.Bound} {
		if t.After(state.Until) && (r.at.Bound.IsZero() || !t.After(r.at.Bound)) {
			state.Until = t
		}
	}
	return state.result(r.res), nil
}

// page reads one page and moves on.
func (r *reading) page(ctx context.Context, l leg) error {
	s := search{sort: []string{"updated_at", "entity_id"}, size: r.cfg.PageSize}
	if !r.at.At.IsZero() {
		s.where = []condition{{"updated_at", "gteq", stamp(r.at.At)}}
	}
	p, err := r.ask(ctx, l, s)
	if err != nil {
		return err
	}
	last, err := r.take(ctx, l, p.nodes)
	if err != nil || r.done {
		return err
	}
	switch at := r.at.At.Truncate(time.Second); {
	case int64(len(p.nodes)) >= p.total:
		r.done = true
	case len(p.nodes) == 0 && l.hides:
		r.deps.Log.Warn("the shop counts more than it shows", "list", l.name, "hidden", p.total, "from", stamp(at))
		r.done = true
	case last.After(at):
		for id, t := range r.seam {
			if t.Before(last) {
				delete(r.seam, id)
			}
		}
		r.at.At = last
	case last.Equal(at) && !at.IsZero():
		if err := r.second(ctx, l, at); err != nil {
			return err
		}
		clear(r.seam)
		r.at.At = at.Add(time.Second)
	default:
		return fmt.Errorf("a page of %d objects at %s tells no usable time of change: is the list sorted?", len(p.nodes), stamp(at))
	}
	return nil
}

// second reads all that changed within one second, by id.
func (r *reading) second(ctx context.Context, l leg, at time.Time) error {
	for after := int64(0); ; {
		p, err := r.ask(ctx, l, search{
			where: []condition{{"updated_at", "eq", stamp(at)}, {"entity_id", "gt", strconv.FormatInt(after, 10)}},
			sort:  []string{"entity_id"}, size: r.cfg.PageSize,
		})
		if err != nil {
			return err
		}
		if _, err := r.take(ctx, l, p.nodes); err != nil {
			return err
		}
		if int64(len(p.nodes)) >= p.total || len(p.nodes) == 0 && l.hides {
			return nil
		}
		before := after
		for _, node := range p.nodes {
			after = max(after, readHead(node).id)
		}
		if after == before {
			return fmt.Errorf("a page of %d objects of %s tells no usable id", len(p.nodes), stamp(at))
		}
	}
}

func (r *reading) ask(ctx context.Context, l leg, s search) (page, error) {
	a, err := r.read(ctx, l.path, s.query(), connectors.Normal)
	if err != nil {
		return page{}, err
	}
	if r.at.Bound.IsZero() && !a.date.IsZero() {
		r.at.Bound = a.date.Add(-r.req.Settle)
	}
	r.res.Pages++
	return readPage(a.body)
}

// take emits what is new of a page, and returns the time of its last change.
func (r *reading) take(ctx context.Context, l leg, nodes []string) (last time.Time, err error) {
	var fresh []string
	for _, node := range nodes {
		h := readHead(node)
		if !r.at.Bound.IsZero() && h.updated.After(r.at.Bound) {
			r.done = true // and everything behind it is newer still
			break
		}
		if h.updated.After(last) {
			last = h.updated
		}
		if at, ok := r.seam[h.id]; ok && at.Equal(h.updated) {
			continue
		}
		if h.id != 0 {
			r.seam[h.id] = h.updated
		}
		fresh = append(fresh, node)
	}
	if len(fresh) == 0 {
		return last, nil
	}
	raws, err := l.whole(ctx, fresh)
	if err != nil {
		return last, err
	}
	for _, raw := range raws {
		if err := r.emit(raw); err != nil {
			return last, err
		}
		r.res.Objects++
	}
	if last.After(r.last) {
		r.last = last
	}
	return last, nil
}

// all reads every object of a list that fulfils a condition, by ascending id.
func (c *client) all(ctx context.Context, path string, where condition, fields string, p connectors.Priority) (nodes []string, err error) {
	for after := int64(0); ; {
		s := search{where: []condition{where, {"entity_id", "gt", strconv.FormatInt(after, 10)}}, sort: []string{"entity_id"}, size: maxPage, fields: fields}
		a, err := c.read(ctx, path, s.query(), p)
		if err != nil {
			return nil, err
		}
		page, err := readPage(a.body)
		if err != nil {
			return nil, fmt.Errorf("GET %s: %w", path, err)
		}
		nodes = append(nodes, page.nodes...)
		if int64(len(page.nodes)) >= page.total {
			return nodes, nil
		}
		before := after
		for _, node := range page.nodes {
			after = max(after, readHead(node).id)
		}
		if after == before {
			return nil, fmt.Errorf("GET %s: a page of %d objects tells no usable id", path, len(page.nodes))
		}
	}
}
