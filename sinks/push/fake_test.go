package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/internal/telemetry"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fault is what happens to one call.
type fault string

const (
	fine       fault = ""
	lost       fault = "applied, answer lost"
	vanished   fault = "not applied, answer lost"
	notSent    fault = "not sent"
	throttled  fault = "throttled"
	outage     fault = "outage"
	noLogin    fault = "needs authorisation"
	half       fault = "first of the batch only"
	refused    fault = "refused"
	short      fault = "too few results"
	keptHidden fault = "stale, and does not say what it shows"
)

// shop is a platform with compare-and-set and idempotency keys. wholly: a key belongs to a
// call, which is carried out wholly or not at all, as Shopify's are; otherwise each write has
// its own.
type shop struct {
	wholly  bool
	mu      sync.Mutex
	shown   map[string]int64
	keys    map[string]answered
	faults  []fault
	batch   int
	calls   [][]connectors.StockWrite
	applied map[string][]int64 // by listing, in order
	inside  int
	wrong   []string // broken promises of the caller
	before  func()   // called within a call, before anything happens
	after   func()   // called when the effect is there and the answer is not
}

type answered struct {
	payload string
	result  connectors.Result
	results []connectors.Result // of a call with one key
}

func newShop() *shop {
	return &shop{shown: map[string]int64{}, keys: map[string]answered{}, batch: 10, applied: map[string][]int64{}}
}

func (s *shop) Batch() int { return s.batch }

func (s *shop) fault() fault {
	if len(s.faults) == 0 {
		return fine
	}
	f := s.faults[0]
	s.faults = s.faults[1:]
	return f
}

func (s *shop) PushStock(ctx context.Context, writes []connectors.StockWrite) ([]connectors.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inside++; s.inside > 1 || len(writes) > s.batch || len(writes) == 0 {
		s.wrong = append(s.wrong, fmt.Sprintf("%d calls at once, %d writes", s.inside, len(writes)))
	}
	defer func() { s.inside-- }()
	s.calls = append(s.calls, slices.Clone(writes))
	if s.before != nil {
		s.unlocked(s.before)
	}
	results := make([]connectors.Result, len(writes))
	all := func(o event.Outcome, retry time.Duration) []connectors.Result {
		for i := range results {
			results[i] = connectors.Result{Outcome: o, RetryAfter: retry, Code: "fault"}
		}
		return results
	}
	f := s.fault()
	switch f {
	case vanished:
		return all(event.Outcome_OUTCOME_UNKNOWN, 0), nil
	case notSent:
		return all(event.Outcome_OUTCOME_NOT_SENT, 0), nil
	case throttled:
		return all(event.Outcome_OUTCOME_NOT_SENT, 3*time.Second), nil
	case outage:
		return nil, errors.New("connection refused")
	case noLogin:
		return all(event.Outcome_OUTCOME_NOT_SENT, 0), fmt.Errorf("401: %w", connectors.ErrNeedsAuthorisation)
	case refused:
		return all(event.Outcome_OUTCOME_REFUSED, 0), nil
	}
	if s.wholly {
		s.writeAll(writes, results, f == keptHidden)
	}
	for i, w := range writes {
		if s.wholly {
			break
		}
		if f == half && i > 0 {
			results[i] = connectors.Result{Outcome: event.Outcome_OUTCOME_NOT_SENT}
			continue
		}
		results[i] = s.write(w, f == keptHidden)
	}
	if s.after != nil {
		s.unlocked(s.after)
	}
	switch f {
	case lost:
		return all(event.Outcome_OUTCOME_UNKNOWN, 0), nil
	case short:
		return results[:0], nil
	}
	return results, ctx.Err()
}

func (s *shop) unlocked(f func()) {
	s.mu.Unlock()
	defer s.mu.Lock()
	f()
}

func (s *shop) write(w connectors.StockWrite, hide bool) connectors.Result {
	payload := fmt.Sprint(w.ListingID, w.Quantity, value(w.Expected))
	if old, ok := s.keys[w.CommandID]; ok {
		if old.payload != payload {
			s.wrong = append(s.wrong, "one command id with two payloads: "+old.payload+" and "+payload)
		}
		return old.result
	}
	cur := s.shown[w.ListingID]
	r := connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED}
	if w.Expected != nil && *w.Expected != cur {
		r = connectors.Result{Outcome: event.Outcome_OUTCOME_NOT_SENT, Stale: true, Code: "CHANGE_FROM_QUANTITY_STALE"}
		if !hide {
			r.Shown = &cur
		}
	} else {
		s.shown[w.ListingID] = w.Quantity
		s.applied[w.ListingID] = append(s.applied[w.ListingID], w.Quantity)
	}
	s.keys[w.CommandID] = answered{payload: payload, result: r}
	return r
}

// writeAll is write for a call with one key.
func (s *shop) writeAll(writes []connectors.StockWrite, results []connectors.Result, hide bool) {
	key, payload := "call", "call"
	for _, w := range writes {
		key += " " + w.CommandID
		payload += fmt.Sprint(" ", w.ListingID, w.Quantity, value(w.Expected))
	}
	if old, ok := s.keys[key]; ok {
		if old.payload != payload {
			s.wrong = append(s.wrong, "one key with two payloads: "+old.payload+" and "+payload)
		}
		copy(results, old.results)
		return
	}
	stale := false
	for i, w := range writes {
		results[i] = connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED}
		if cur := s.shown[w.ListingID]; w.Expected != nil && *w.Expected != cur {
			stale = true
			results[i] = connectors.Result{Outcome: event.Outcome_OUTCOME_REFUSED, Stale: true, Code: "CHANGE_FROM_QUANTITY_STALE"}
			if !hide {
				results[i].Shown = &cur
			}
		}
	}
	for i, w := range writes {
		switch {
		case !stale:
			s.shown[w.ListingID] = w.Quantity
			s.applied[w.ListingID] = append(s.applied[w.ListingID], w.Quantity)
		case !results[i].Stale:
			results[i] = connectors.Result{Outcome: event.Outcome_OUTCOME_NOT_SENT, Sibling: true}
		}
	}
	s.keys[key] = answered{payload: payload, results: slices.Clone(results)}
}

func (s *shop) ReadStock(_ context.Context, refs []connectors.StockRef) ([]*int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.fault() {
	case outage:
		return nil, errors.New("connection refused")
	case noLogin:
		return nil, connectors.ErrNeedsAuthorisation
	}
	out := make([]*int64, len(refs))
	for i, r := range refs {
		v := s.shown[r.ListingID]
		out[i] = &v
	}
	return out, nil
}

// hook sets what happens within the calls.
func (s *shop) hook(before, after func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before, s.after = before, after
}

// meet lets the next calls fail.
func (s *shop) meet(faults ...fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = faults
}

func (s *shop) sell(listing string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown[listing] -= n
}

func (s *shop) shows(listing string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown[listing]
}

func (s *shop) writes() (all []connectors.StockWrite) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		all = append(all, c...)
	}
	return all
}

func value(p *int64) any {
	if p == nil {
		return "any"
	}
	return *p
}

// memory is a Memory in memory that behaves as RedisMemory.
type memory struct {
	mu      sync.Mutex
	entries map[string]*Entry
	tried   map[string]*Entry
	fail    int
	lost    int    // Loads that are done and whose answer is lost
	stored  func() // after a Store
	loaded  func() // after the next Load
}

func newMemory() *memory { return &memory{entries: map[string]*Entry{}, tried: map[string]*Entry{}} }

func (m *memory) onStored(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stored = f
}

func (m *memory) afterLoad(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loaded = f
}

func (m *memory) down() error {
	if m.fail > 0 {
		m.fail--
		return errors.New("redis is away")
	}
	return nil
}

func (m *memory) Load(_ context.Context, account string, tries []Try) ([]Known, error) {
	m.mu.Lock()
	if err := m.down(); err != nil {
		m.mu.Unlock()
		return nil, err
	}
	out := make([]Known, len(tries))
	for i, t := range tries {
		key := account + "/" + t.Listing
		out[i] = Known{Accepted: m.entries[key], Tried: m.tried[key]}
		if old := m.tried[key]; old == nil || compare(old.Target.Version, t.Entry.Target.Version) < 0 {
			e := t.Entry
			m.tried[key] = &e
		}
	}
	f := m.loaded
	m.loaded = nil
	var err error
	if m.lost > 0 {
		m.lost--
		err = errors.New("the answer is lost")
	}
	m.mu.Unlock()
	if f != nil {
		f()
	}
	return out, err
}

func (m *memory) Store(_ context.Context, account string, writes []Write) ([]*Race, error) {
	m.mu.Lock()
	if err := m.down(); err != nil {
		m.mu.Unlock()
		return nil, err
	}
	races := make([]*Race, len(writes))
	for i, w := range writes {
		key := account + "/" + w.Listing
		old := m.entries[key]
		c := 1
		if old != nil {
			c = compare(w.Entry.Target.Version, old.Target.Version)
			if c != 0 && compare(old.Target.Version, w.Loaded) != 0 {
				races[i] = &Race{}
				if c < 0 {
					races[i].Newer = old
				}
			}
		}
		if c >= 0 {
			e := w.Entry
			m.entries[key] = &e
		}
	}
	f := m.stored
	m.mu.Unlock()
	if f != nil {
		f()
	}
	return races, nil
}

// world is Kafka, the memory and shops, around a sink that can be killed and started again.
type world struct {
	t      *testing.T
	cfg    Config
	shops  map[string]*shop
	off    *shop // whose stock is not written
	memory *memory
	// clerks carry out commands, by account; begun is what is remembered of them.
	clerks  map[string]*clerk
	begun   *begun
	reg     *prometheus.Registry
	errs    []string
	publish func() error // before records are taken
	// room is the stock room: it decides anew what is given back.
	room   func(*event.PushOutcome) *event.PushTarget
	tracer *telemetry.Tracer

	mu      sync.Mutex
	log     []*stream.Record // the one partition of push.targets
	records []kafka.Record   // everything else
	done    map[int64]bool   // by offset
	offered int64            // next offset to be offered
	owner   int              // grows with each assignment of the partition
	order   sync.Mutex       // offers of a partition come one after the other

	sink   *Sink
	cancel context.CancelFunc
	ended  chan struct{}
}

func newWorld(t *testing.T, accounts ...string) *world {
	cfg := DefaultConfig()
	cfg.CoalesceIncreases = 500 * time.Millisecond
	w := &world{t: t, cfg: cfg, shops: map[string]*shop{}, off: newShop(), memory: newMemory(), done: map[int64]bool{},
		clerks: map[string]*clerk{}, begun: newBegun()}
	for _, a := range accounts {
		w.shops[a] = newShop()
		w.clerks[a] = newClerk()
	}
	return w
}

func (w *world) Produce(ctx context.Context, rs []kafka.Record) error {
	w.mu.Lock()
	publish := w.publish
	w.mu.Unlock()
	if publish != nil {
		if err := publish(); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range rs {
		if r.Topic.Name == schemas.PushTargets.Name {
			w.append(r.Key, r.Value)
			continue
		}
		if r.Topic.Name == schemas.PushCommands.Name {
			w.appendTo(schemas.PushCommands, r.Key, r.Value)
			continue
		}
		w.records = append(w.records, r)
		if r.Topic.Name == schemas.PushOutcomes.Name {
			if err := w.answer(r.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

// answer is what the stock room does with an outcome: a target that was given back is decided
// anew. It comes with the next offer.
func (w *world) answer(outcome []byte) error {
	o := &event.PushOutcome{}
	if err := o.UnmarshalVT(outcome); err != nil {
		return err
	}
	if o.Outcome != event.Outcome_OUTCOME_GIVEN_BACK {
		return nil
	}
	if o.ReadBack == nil || *o.ReadBack >= o.Quantity {
		w.errs = append(w.errs, fmt.Sprintf("given back for no reason: %v", o))
	}
	if w.room == nil {
		return nil
	}
	if t := w.room(o); t != nil {
		b, err := t.MarshalVTStrict()
		if err != nil {
			return err
		}
		w.append([]byte(t.Account+"/"+t.ListingId), b)
	}
	return nil
}

// again is a stock room that has heard nothing new.
func again(o *event.PushOutcome) *event.PushTarget {
	t := target(o.Account, o.ListingId, o.TargetVersion.Number+1000, o.Quantity, false)
	t.Believed, t.Cause = o.ReadBack, "outcome/"+o.Account+"/"+o.ListingId
	return t
}

func (w *world) append(key, value []byte) { w.appendTo(schemas.PushTargets, key, value) }

func (w *world) appendTo(topic schemas.Topic, key, value []byte) {
	w.log = append(w.log, &stream.Record{Topic: topic, Offset: int64(len(w.log)), Key: key, Value: value})
}

func (w *world) onPublish(f func() error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.publish = f
}

// start runs a new sink and offers everything from the lowest offset that is not done.
func (w *world) start() {
	w.reg = prometheus.NewRegistry()
	accounts := map[string]Account{}
	for name, s := range w.shops {
		s.mu.Lock()
		s.inside = 0
		s.mu.Unlock()
		c := w.clerks[name]
		accounts[name] = Account{Connector: "shop", Stock: s, Price: c, Fulfilment: c, Cancel: c, Refund: c, Modules: c.modules}
	}
	accounts["mute"] = Account{Connector: "ecb"}
	accounts["off"] = Account{Connector: "shop", Stock: w.off, Off: true}
	var err error
	w.sink, err = New(w.cfg, Deps{
		Accounts: accounts, Publish: w, Memory: w.memory, Commands: w.begun, Now: time.Now, Metrics: w.reg,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Tracer: w.tracer,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel, w.ended = cancel, make(chan struct{})
	sink, ended := w.sink, w.ended
	go func() {
		defer close(ended)
		_ = sink.Run(ctx)
	}()
	w.assign()
}

// assign begins at the committed offset, as a new owner of the partition does: what was done
// beyond it is not known to him.
func (w *world) assign() {
	w.offered = w.low()
	w.mu.Lock()
	w.owner++
	for i := w.offered; i < int64(len(w.log)); i++ {
		delete(w.done, i)
	}
	w.mu.Unlock()
	w.offer()
}

// low is the offset that would be committed.
func (w *world) low() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.log {
		if !w.done[int64(i)] {
			return int64(i)
		}
	}
	return int64(len(w.log))
}

// offer hands over what the log has and was not offered.
func (w *world) offer() {
	w.order.Lock()
	defer w.order.Unlock()
	w.mu.Lock()
	var ds []*stream.Delivery
	for ; w.offered < int64(len(w.log)); w.offered++ {
		r := w.log[w.offered]
		owner, calls := w.owner, 0
		ds = append(ds, &stream.Delivery{Record: r, Done: func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			if calls++; calls > 1 {
				w.errs = append(w.errs, fmt.Sprintf("Done of offset %d was called twice", r.Offset))
			}
			if owner == w.owner {
				w.done[r.Offset] = true
			}
		}})
	}
	w.mu.Unlock()
	if err := w.sink.Offer(context.Background(), ds); err != nil {
		w.t.Error(err)
	}
}

// stop ends the sink; hard leaves it no time, as a kill would.
func (w *world) stop(hard bool) {
	if hard {
		cfg := w.cfg
		cfg.DrainTimeout = 0
		if err := w.sink.Reload(cfg); err != nil {
			w.t.Fatal(err)
		}
	}
	w.cancel()
	<-w.ended
}

func target(account, listing string, version, quantity int64, decrease bool) *event.PushTarget {
	return &event.PushTarget{
		Connector: "shop", Account: account, ListingId: listing, StockId: "stock-" + listing, Location: "loc",
		Sku: "SKU-" + listing, Quantity: quantity, Decrease: decrease,
		Version: &event.Version{Epoch: 1, Number: version}, DecidedMs: time.Now().UnixMilli(),
	}
}

// decide appends targets to the topic and offers them.
func (w *world) decide(ts ...*event.PushTarget) {
	w.mu.Lock()
	for _, t := range ts {
		b, err := t.MarshalVTStrict()
		if err != nil {
			w.t.Fatal(err)
		}
		w.append([]byte(t.Account+"/"+t.ListingId), b)
	}
	w.mu.Unlock()
	w.offer()
}

// outcomes lists "listing version quantity outcome" as they were published, and checks that
// the stock room was told the same.
func (w *world) outcomes() (out []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	told := map[string]int{}
	for _, r := range w.records {
		var o *event.PushOutcome
		switch r.Topic.Name {
		case schemas.PushOutcomes.Name:
			o = &event.PushOutcome{}
			if err := o.UnmarshalVT(r.Value); err != nil {
				w.t.Fatal(err)
			}
			told[fmt.Sprint(o)]++
			out = append(out, fmt.Sprintf("%s v%d %d %s", o.ListingId, o.TargetVersion.Number, o.Quantity, label(o.Outcome)))
		case schemas.StockIn.Name:
			in := &event.StockInput{}
			if err := in.UnmarshalVT(r.Value); err != nil {
				w.t.Fatal(err)
			}
			if len(in.EventId) < 16 || string(r.PartitionKey) != in.GetOutcome().GetSku() {
				w.t.Errorf("stock input without event id or with key %q", r.PartitionKey)
			}
			told[fmt.Sprint(in.GetOutcome())]--
		}
	}
	for o, n := range told {
		if n != 0 {
			w.t.Errorf("outcome told to only one of the two topics: %s", o)
		}
	}
	return out
}

func (w *world) alerts() (kinds []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.records {
		if r.Topic.Name == schemas.Alerts.Name {
			kinds = append(kinds, string(r.Key))
		}
	}
	return kinds
}

// problems collects what must never be.
func (w *world) problems() []string {
	w.mu.Lock()
	all := slices.Clone(w.errs)
	w.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(w.shops)) {
		s := w.shops[name]
		s.mu.Lock()
		all = append(all, s.wrong...)
		s.mu.Unlock()
		c := w.clerks[name]
		c.mu.Lock()
		all = append(all, c.wrong...)
		c.mu.Unlock()
	}
	return all
}

func (w *world) check() {
	w.t.Helper()
	if p := w.problems(); len(p) > 0 {
		w.t.Error(strings.Join(p, "\n"))
	}
}

func (w *world) allDone() {
	w.t.Helper()
	if low := w.low(); low != int64(len(w.log)) {
		w.t.Errorf("offset %d of %d is not done", low, len(w.log))
	}
}
