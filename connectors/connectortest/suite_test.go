package connectortest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas/event"
)

// recorder collects what the suite would report.
type recorder struct {
	mu     *sync.Mutex
	path   string
	failed *[]string
}

func (r recorder) Helper() {}

func (r recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*r.failed = append(*r.failed, r.path+": "+fmt.Sprintf(format, args...))
}

func (r recorder) Run(name string, check func(reporter)) {
	r.path += "/" + name
	check(r)
}

func failures(s Suite) []string {
	var failed []string
	run(recorder{mu: &sync.Mutex{}, failed: &failed}, s)
	return failed
}

// toy is a platform and its connector in one. broken names the promise that it breaks.
type toy struct {
	broken string
	now    time.Time
	things map[string]*thing
	drift  bool
	fault  string
	used   map[string]bool
	effect int64
	calls  atomic.Int64
}

type thing struct {
	id      string
	shown   int64
	updated time.Time
	seq     int
}

func sign(body []byte) string {
	mac := hmac.New(sha256.New, []byte("toy"))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

func (t *toy) is(promise string) bool { return t.broken == promise }

func (t *toy) Receive(_ context.Context, d *connectors.Delivery) ([]connectors.Raw, error) {
	given := d.Header.Get("X-Sig")
	if t.is("case of signature") {
		given = strings.ToLower(given)
	}
	ok := given == sign(d.Body)
	switch {
	case t.is("no signature"):
		ok = true
	case t.is("signature when present"):
		ok = ok || given == ""
	case t.is("signature of the beginning"):
		ok = len(d.Body) > 9 && given == sign([]byte(`{"id":"a","n":5}`)) && bytes.HasPrefix(d.Body, []byte(`{"id":"a"`))
	}
	if !ok {
		if t.is("wrong error") {
			return nil, errors.New("no")
		}
		return nil, fmt.Errorf("%w: toy", connectors.ErrUnauthentic)
	}
	raw := connectors.Raw{Subject: connectors.Inventory, Object: "a", Body: d.Body, Format: "toy"}
	switch {
	case t.is("body as it came"):
		raw.Body = append(bytes.Clone(d.Body), '\n')
	case t.is("delivery unaltered"):
		d.Header.Set("X-Seen", "yes")
	case t.is("object"):
		raw.Object = ""
	case t.is("refuses the genuine"):
		return nil, connectors.ErrUnauthentic
	}
	return []connectors.Raw{raw}, nil
}

func (t *toy) Translate(r *connectors.Record) (connectors.Facts, error) {
	if r.Format != "toy" && !t.is("unknown format") {
		return connectors.Facts{}, fmt.Errorf("%w: %s", connectors.ErrUnsupported, r.Format)
	}
	var v struct {
		ID string `json:"id"`
		N  int64  `json:"n"`
	}
	if t.is("truncation panics") && len(r.Body) == 3 {
		panic("index out of range")
	}
	if err := json.Unmarshal(r.Body, &v); err != nil && !t.is("truncation") {
		return connectors.Facts{}, fmt.Errorf("%w: %w", connectors.ErrMalformed, err)
	}
	o := &event.InventoryObservation{Connector: "toy", StockId: v.ID, Shown: v.N}
	switch {
	case t.is("repeatable"):
		o.UpdatedMs = t.calls.Add(1)
	case t.is("record unaltered"):
		r.Body[0] = ' '
	case t.is("golden"):
		o.Location = "elsewhere"
	}
	facts := connectors.Facts{Observations: []*event.InventoryObservation{o}}
	if t.is("no origin") {
		facts.Orders = []*event.Order{{Id: "1", Origin: &event.Origin{}}}
	}
	return facts, nil
}

type toyCursor struct {
	At time.Time `json:"at"`
}

func (t *toy) Poll(_ context.Context, req connectors.PollRequest, emit func(connectors.Raw) error) (connectors.PollResult, error) {
	var c toyCursor
	if req.Cursor != nil {
		_ = json.Unmarshal(req.Cursor, &c)
	}
	from := c.At
	if !from.IsZero() && !t.is("overlap") && !t.is("drift") {
		from = from.Add(-req.Overlap)
	}
	bound := t.now.Add(-req.Settle)
	var res connectors.PollResult
	window := func() []*thing {
		var list []*thing
		for _, x := range t.things {
			if !x.updated.Before(from) && !x.updated.After(bound) {
				list = append(list, x)
			}
		}
		sort.Slice(list, func(i, j int) bool { return list[i].seq < list[j].seq })
		return list
	}
	list := window()
	for i := 0; i < len(list); i++ {
		x := list[i]
		if i > 0 && i%5 == 0 && t.drift && t.is("drift") {
			// A counted page over a list that has moved.
			if list = window(); i >= len(list) {
				break
			}
			x = list[i]
		}
		if t.is("skips one") && x.seq%37 == 5 {
			continue
		}
		res.Objects++
		body, _ := json.Marshal(map[string]any{"id": x.id, "n": x.shown})
		raw := connectors.Raw{Subject: connectors.Inventory, Object: x.id, Body: body, Format: "toy"}
		if t.is("format of polls") {
			raw.Format = ""
		}
		if err := emit(raw); err != nil && !t.is("stops when told") {
			return res, err
		}
	}
	at := bound
	switch {
	case t.is("cursor from nowhere"):
		at = t.now.Add(time.Hour)
	case t.is("watermark goes back") && !c.At.IsZero():
		at = c.At.Add(-time.Second)
	case t.is("cursor stands still"):
		at = c.At
		for _, x := range list {
			if x.updated.After(at) {
				at = x.updated
			}
		}
	case t.is("counts objects"):
		res.Objects++
	}
	res.Watermark = at
	res.Cursor, _ = json.Marshal(toyCursor{at})
	if t.is("cursor is JSON") {
		res.Cursor = json.RawMessage("yesterday")
	}
	return res, nil
}

func (t *toy) Batch() int {
	if t.is("batch") {
		return 0
	}
	return 10
}

func (t *toy) PushStock(ctx context.Context, writes []connectors.StockWrite) ([]connectors.Result, error) {
	results := make([]connectors.Result, len(writes))
	all := func(r connectors.Result) ([]connectors.Result, error) {
		for i := range results {
			results[i] = r
		}
		return results, nil
	}
	if ctx.Err() != nil && !t.is("context") {
		r, _ := all(connectors.Result{Outcome: event.Outcome_OUTCOME_NOT_SENT})
		return r, ctx.Err()
	}
	switch {
	case t.fault == "refuse" && !t.is("200 but failed"):
		return all(connectors.Result{Outcome: event.Outcome_OUTCOME_REFUSED})
	case t.fault == "refuse":
		return all(connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED})
	case t.fault == "throttle" && t.is("retry after"):
		return all(connectors.Result{Outcome: event.Outcome_OUTCOME_NOT_SENT})
	case t.fault == "throttle":
		return all(connectors.Result{Outcome: event.Outcome_OUTCOME_NOT_SENT, RetryAfter: time.Second})
	case t.fault == "outage" && t.is("outage"):
		return all(connectors.Result{Outcome: event.Outcome_OUTCOME_REFUSED})
	case t.fault == "outage":
		return all(connectors.Result{Outcome: event.Outcome_OUTCOME_NOT_SENT})
	}
	for i, w := range writes {
		if t.things[w.ListingID] == nil {
			all(connectors.Result{Outcome: event.Outcome_OUTCOME_NOT_SENT})
			if t.is("neighbours") {
				all(connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED})
			}
			if results[i].Outcome = event.Outcome_OUTCOME_REFUSED; t.is("missing target") {
				results[i].Outcome = event.Outcome_OUTCOME_ACCEPTED
			}
			return results, nil
		}
	}
	for i, w := range writes {
		x := t.things[w.ListingID]
		results[i].Outcome = event.Outcome_OUTCOME_ACCEPTED
		switch {
		case t.used[w.CommandID] && !t.is("idempotent"):
			continue
		case w.Expected != nil && *w.Expected != x.shown && !t.is("compares"):
			results[i] = connectors.Result{Outcome: event.Outcome_OUTCOME_REFUSED, Stale: !t.is("says stale")}
			continue
		}
		if t.used[w.CommandID] = true; !t.is("writes") {
			x.shown = w.Quantity
		}
		t.effect++
	}
	if t.fault == "after" && !t.is("unknown") {
		return all(connectors.Result{Outcome: event.Outcome_OUTCOME_UNKNOWN})
	}
	if t.fault == "after" {
		return all(connectors.Result{Outcome: event.Outcome_OUTCOME_NOT_SENT})
	}
	if t.is("a result for each") {
		return results[:0], nil
	}
	return results, nil
}

func (t *toy) ReadStock(_ context.Context, refs []connectors.StockRef) ([]*int64, error) {
	out := make([]*int64, len(refs))
	for i, ref := range refs {
		x := t.things[ref.ListingID]
		switch {
		case x != nil && t.is("reads back"):
			out[i] = new(int64)
		case x != nil:
			v := x.shown
			out[i] = &v
		case t.is("nil for missing"):
			out[i] = new(int64)
		}
	}
	return out, nil
}

func toySuite(broken, golden string) Suite {
	t := &toy{broken: broken, now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), things: map[string]*thing{}, used: map[string]bool{}}
	seq := 0
	changed := func(n int, at time.Time) (string, string) {
		id := fmt.Sprint("p", n%150)
		seq++
		x := t.things[id]
		if x == nil {
			x = &thing{id: id}
			t.things[id] = x
		}
		x.shown, x.updated, x.seq = int64(seq), at, seq
		return id, fmt.Sprint(seq)
	}
	body := []byte(`{"id":"a","n":5}`)
	c := &connectors.Connector{Name: "toy", Kind: connectors.Warehouse, Receive: t, Translate: t, Stock: t,
		Poll: map[connectors.Subject]connectors.Poller{connectors.Inventory: t}}
	switch broken {
	case "kind":
		c.Kind = "toaster"
	case "capabilities":
		c.Stock = nil
	}
	for _, id := range []string{"x", "y", "z"} {
		t.things[id] = &thing{id: id, updated: t.now.Add(-time.Hour)}
	}
	return Suite{
		Connector:  c,
		Can:        []string{"receive", "poll:inventory", "translate", "stock"},
		Deliveries: []Delivery{{Name: "toy", Delivery: connectors.Delivery{Method: http.MethodPost, Header: http.Header{"X-Sig": {sign(body)}}, Body: body}}},
		Signatures: []string{"X-Sig"},
		Golden:     golden,
		Polls: []PollWorld{{
			Subject: connectors.Inventory,
			Change:  func(n int) (string, string) { return changed(n, t.now) },
			Late:    func(n int) (string, string) { return changed(n, t.now.Add(-time.Minute)) },
			Version: func(raw connectors.Raw) string {
				facts, err := (&toy{}).Translate(&connectors.Record{Format: "toy", Body: raw.Body})
				if err != nil {
					return err.Error()
				}
				return fmt.Sprint(facts.Observations[0].Shown)
			},
			Advance: func(d time.Duration) { t.now = t.now.Add(d) },
			Drift:   func(on bool) { t.drift = on },
		}},
		Push: &PushWorld{
			Writes:        []connectors.StockWrite{{ListingID: "x"}, {ListingID: "y"}, {ListingID: "z"}},
			Missing:       connectors.StockWrite{ListingID: "nobody"},
			Shown:         func(w connectors.StockWrite) int64 { return t.things[w.ListingID].shown },
			Effects:       func() int64 { return t.effect },
			Fault:         func(name string) { t.fault = name },
			CompareAndSet: true, AllOrNothing: true,
		},
	}
}

// goldenOfToys writes the golden file of the toy that keeps its promises.
func goldenOfToys(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	*update = true
	defer func() { *update = false }()
	run(recorder{mu: &sync.Mutex{}, failed: new([]string)}, toySuite("", dir))
	return dir
}

func TestTheSuitePassesAConnectorThatKeepsItsPromises(t *testing.T) {
	for _, f := range failures(toySuite("", goldenOfToys(t))) {
		t.Error(f)
	}
}

func TestTheSuiteFindsEachBrokenPromise(t *testing.T) {
	dir := goldenOfToys(t)
	for broken, where := range map[string]string{
		"kind": "capabilities", "capabilities": "capabilities",
		"no signature": "delivery", "signature when present": "delivery", "signature of the beginning": "delivery",
		"case of signature": "delivery", "wrong error": "delivery", "body as it came": "delivery", "delivery unaltered": "delivery",
		"object": "delivery", "refuses the genuine": "delivery",
		"truncation": "translate", "truncation panics": "translate", "unknown format": "translate", "repeatable": "translate",
		"record unaltered": "translate", "golden": "translate", "no origin": "translate",
		"overlap": "poll", "drift": "poll", "skips one": "poll", "format of polls": "poll", "stops when told": "poll",
		"cursor from nowhere": "poll", "watermark goes back": "poll", "cursor stands still": "poll", "counts objects": "poll", "cursor is JSON": "poll",
		"batch": "push", "context": "push", "200 but failed": "push", "retry after": "push", "outage": "push", "neighbours": "push",
		"missing target": "push", "idempotent": "push", "compares": "push", "says stale": "push", "writes": "push", "unknown": "push",
		"a result for each": "push", "reads back": "push", "nil for missing": "push",
	} {
		t.Run(broken, func(t *testing.T) {
			s := toySuite(broken, dir)
			if broken == "drift" {
				s.Polls[0].Late = nil // it is to be found by the pages that shift
			}
			found := failures(s)
			for _, f := range found {
				if strings.HasPrefix(f, "/"+where) {
					return
				}
			}
			t.Errorf("nothing under %s was reported, only %v", where, found)
		})
	}
}
