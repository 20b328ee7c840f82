package woocommerce

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/connectors/jsonread"
)

// cursor is the state between two polls. A poll reads several lists one after the other
// (lanes), each over the same window of the shop's clock.
type cursor struct {
	// Until: everything that changed up to here has been emitted. It never goes back.
	Until time.Time `json:"until"`
	// The rest is there only when the last poll stopped in the middle: the window, the lane,
	// and where in it to go on. Beginning with the overlap once more, a poll that is cut
	// short within it would never get on.
	From  time.Time  `json:"from,omitzero"`
	Bound time.Time  `json:"bound,omitzero"`
	Lane  int        `json:"lane,omitempty"`
	At    *time.Time `json:"at,omitempty"`
	Page  int        `json:"page,omitempty"`
}

func readCursor(req connectors.PollRequest) (c cursor, err error) {
	if len(req.Cursor) == 0 {
		return cursor{Until: req.Start, From: req.Start}, nil
	}
	if err := json.Unmarshal(req.Cursor, &c); err != nil {
		return c, fmt.Errorf("%w: the stored cursor %q cannot be read: delete it to begin from start", connectors.ErrPermanent, jsonread.Clip(string(req.Cursor)))
	}
	if c.At == nil && c.Page == 0 && !c.Until.IsZero() {
		c.From = c.Until.Add(-req.Overlap)
	}
	return c, nil
}

func (c cursor) result(res connectors.PollResult) connectors.PollResult {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // times and numbers
	}
	res.Cursor, res.More, res.Watermark = b, c.At != nil || c.Page > 0, c.Until
	return res
}

// finished is the cursor behind a window that was read whole.
func (c cursor) finished(last time.Time) cursor {
	until := c.Until
	for _, t := range []time.Time{last, c.Bound} {
		if t.After(until) && (c.Bound.IsZero() || !t.After(c.Bound)) {
			until = t
		}
	}
	return cursor{Until: until}
}

// lane is one list that can be asked for what changed, oldest change first.
type lane struct {
	path  string
	query url.Values
	// optional: a shop that does not have the list is older than the list.
	optional bool
	// take emits what the nodes of a page stand for, in their order.
	take func(ctx context.Context, nodes []node) error
}

// node is one object of a page.
type node struct {
	id      string
	updated time.Time
	text    string
}

// modified is a query for what changed from a time on, oldest first. modified_after leaves
// its own second out and knows no fractions, so that it is given the second before.
//
// The time is written without a zone, and dates_are_gmt says that it is UTC. With both, a Z and
// dates_are_gmt, WordPress turns the time into the shop's own and compares that with the
// column of UTC: a shop east of Greenwich then hides the changes of its last hours for ever.
func modified(from time.Time, size int) url.Values {
	q := url.Values{"orderby": {"modified"}, "order": {"asc"}, "per_page": {strconv.Itoa(size)}, "dates_are_gmt": {"true"}}
	if !from.IsZero() {
		q.Set("modified_after", stamp(from, -time.Second))
	}
	return q
}

// stamp is a time as questions name it: in UTC, whole seconds, no zone.
func stamp(at time.Time, shift time.Duration) string {
	return at.UTC().Truncate(time.Second).Add(shift).Format("2006-01-02T15:04:05")
}

// sweep reads all lanes, everything with from ≤ modified ≤ server's now − settle.
func (c *client) sweep(ctx context.Context, req connectors.PollRequest, lanes []lane) (res connectors.PollResult, err error) {
	state, err := readCursor(req)
	if err != nil {
		return res, err
	}
	var last time.Time
	for state.Lane < len(lanes) {
		l := lanes[state.Lane]
		done, at, err := c.lane(ctx, req, &state, l, &res)
		if err != nil {
			return res, fmt.Errorf("polling %s: %w", l.path, err)
		}
		if !done {
			return state.result(res), nil
		}
		// What lies between a lane's last object and the bound was looked at, and is empty.
		if state.Lane == 0 {
			last = at
		}
		state.Lane, state.At = state.Lane+1, nil
	}
	return state.finished(last).result(res), nil
}

// lane reads one list to the end of the window, or until it has read enough; then the state
// says where to go on.
//
// It does not go from page to page where it can avoid it: pages are offsets, and an object
// that changes while we read moves to the end of the list, so that everything behind it moves
// up and counted pages step over some. Whenever the last change of a page is newer than the
// begin, the next question begins there. Only where a whole page changed within one second is
// the same second asked for again, without what was seen of it, and where that is more than a
// question can name, the second is read by itself.
func (c *client) lane(ctx context.Context, req connectors.PollRequest, state *cursor, l lane, res *connectors.PollResult) (done bool, last time.Time, err error) {
	from := state.From
	if state.At != nil {
		from = *state.At
	}
	begin := from
	last = from
	seam := map[string]time.Time{}
	page, idle := 1, 0
	for {
		a, err := c.page(ctx, l, from, page, seam)
		if l.optional && isCode(err, codeNoRoute) {
			return true, last, nil
		}
		if c.smaller(err) {
			page = 1
			continue
		}
		if err != nil {
			return false, last, err
		}
		if state.Bound.IsZero() && !a.date.IsZero() {
			state.Bound = a.date.Add(-req.Settle)
		}
		res.Pages++
		texts, err := a.nodes()
		if err != nil {
			return false, last, err
		}
		var fresh []node
		sorted, grown := true, false
		for _, text := range texts {
			n := head(text)
			if !n.updated.IsZero() && !state.Bound.IsZero() && n.updated.After(state.Bound) {
				// What stands behind it is newer still, but for the hour that the shop's clock,
				// by which it sorts, has twice a year.
				done = true
				continue
			}
			if at, ok := seam[n.id]; ok && at.Equal(n.updated) {
				continue
			}
			fresh = append(fresh, n)
			switch {
			case n.updated.After(last):
				last = n.updated
				clear(seam)
				seam[n.id] = n.updated
			case n.updated.Equal(last):
				seam[n.id], grown = n.updated, true
			case !n.updated.IsZero():
				sorted = false
			}
		}
		if err := l.take(ctx, fresh); err != nil {
			return false, last, err
		}
		if idle++; len(fresh) > 0 {
			idle = 0
		} else if idle > maxIdle {
			return false, last, calls.Passing(fmt.Errorf("%d pages in a row with nothing new: a cache answers instead of the shop", idle))
		}
		more := len(texts) > 0 && (a.pages > page || a.pages == 0 && len(texts) >= c.pageSize())
		switch {
		case done || !more:
			return true, last, nil
		case sorted && last.After(from):
			from, page = last, 1
			if res.Pages >= c.cfg.MaxPages && last.After(begin) {
				state.At = &last
				return false, last, nil
			}
		case page == 1 && grown && sorted && len(seam) <= maxExcluded:
			// The same second once more, without these.
		case sorted && len(seam) > maxExcluded && a.total > 0:
			if err := c.second(ctx, l, last, seam, res); err != nil {
				return false, last, err
			}
			from, page = last.Add(time.Second), 1
		default:
			page++
		}
	}
}

// second reads all that changed within one second and is not in seam yet. It counts pages, from
// the last one to the first: what changes again leaves the second, and what stands behind it
// moves up, into pages that are still to be read or were read; none is stepped over. A pass
// counts when the list did not grow and gave as many objects as it has at the end; else there
// is another.
func (c *client) second(ctx context.Context, l lane, at time.Time, seam map[string]time.Time, res *connectors.PollResult) error {
	for range maxPasses {
		whole, err := c.pass(ctx, l, at, seam, res)
		if whole || err != nil && !c.smaller(err) {
			return err
		}
	}
	return calls.Passing(fmt.Errorf("more objects change within the second %s than can be read: the list did not stand still while it was read %d times", stamp(at, 0), maxPasses))
}

// pass reads the pages of a second once, and says whether it saw all of them.
func (c *client) pass(ctx context.Context, l lane, at time.Time, seam map[string]time.Time, res *connectors.PollResult) (whole bool, err error) {
	q := modified(at, c.pageSize())
	for name, values := range l.query {
		q[name] = values
	}
	q.Set("modified_before", stamp(at, time.Second))
	a, err := c.read(ctx, l.path, q, connectors.Normal)
	if err != nil {
		return false, err
	}
	res.Pages++
	total, grew, passed := a.total, false, map[string]bool{}
	for page := a.pages; page > 0; page-- {
		q.Set("page", strconv.Itoa(page))
		a, err := c.read(ctx, l.path, q, connectors.Normal)
		if err != nil {
			return false, err
		}
		res.Pages++
		texts, err := a.nodes()
		if err != nil {
			return false, err
		}
		var fresh []node
		for _, text := range texts {
			n := head(text)
			passed[n.id] = true
			if _, seen := seam[n.id]; !seen {
				fresh = append(fresh, n)
				seam[n.id] = n.updated
			}
		}
		if err := l.take(ctx, fresh); err != nil {
			return false, err
		}
		grew, total = grew || a.total > total, a.total
	}
	return !grew && len(passed) >= total, nil
}

// maxPasses bounds how often one second is read.
const maxPasses = 10

// maxIdle bounds the pages in a row that bring nothing new: a second of many orders has some,
// and what has more is no list of a shop.
const maxIdle = 200

// maxExcluded bounds the ids that are named in a question: addresses have a limit, too.
const maxExcluded = 300

// page asks for one page. Where the begin is the second that was seen last, its objects are
// left out by their ids: of objects with one time of change no order is promised, and an
// offset over them steps over some.
func (c *client) page(ctx context.Context, l lane, from time.Time, page int, seam map[string]time.Time) (*answer, error) {
	q := modified(from, c.pageSize())
	for name, values := range l.query {
		q[name] = values
	}
	if page > 1 {
		q.Set("page", strconv.Itoa(page))
	} else if len(seam) > 0 && len(seam) <= maxExcluded {
		ids := make([]string, 0, len(seam))
		for id, at := range seam {
			if id != "" && at.Truncate(time.Second).Equal(from.Truncate(time.Second)) {
				ids = append(ids, id)
			}
		}
		slices.Sort(ids)
		if len(ids) > 0 {
			q.Set("exclude", strings.Join(ids, ","))
		}
	}
	return c.read(ctx, l.path, q, connectors.Normal)
}

// head reads a node's id and time of change. A node that cannot be read has none: it is
// emitted as it is, and the translator says what is wrong with it.
func head(text string) (n node) {
	n.text = text
	r := jsonread.NewString(text)
	if r.Peek() != '{' {
		return n
	}
	r.Object()
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "id":
			n.id = r.ID()
		case "date_modified_gmt":
			if ms, ok := jsonread.UTC(r.Text()); ok {
				n.updated = time.UnixMilli(ms).UTC()
			}
		default:
			r.Skip()
		}
	}
	return n
}
