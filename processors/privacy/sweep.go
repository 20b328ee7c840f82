package privacy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// Scan reads topics from their beginning to their end as it is now; see kafka.Scan.
type Scan func(ctx context.Context, topics []schemas.Topic, f func(*kafka.Scanned) error) error

// Publisher writes records; it returns once all replicas have them.
type Publisher interface {
	Produce(ctx context.Context, records []kafka.Record) error
}

// SweepConfig says how often a Sweeper looks.
type SweepConfig struct {
	// Key as the room's.
	Key []byte
	// Interval between two looks at the requests; the orders are looked through when one of them is
	// open, and once a day.
	Interval time.Duration
}

// SweepDeps are a Sweeper's world.
type SweepDeps struct {
	Scan    Scan
	Publish Publisher
	Now     func() time.Time
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// Sweeper looks through the orders for people who must not be known any more, and through the
// requests for those that are late. It keeps nothing: what it finds becomes records of the
// orders' and the privacy room's inputs. It may run in several processes, and end anywhere.
type Sweeper struct {
	cfg     SweepConfig
	deps    SweepDeps
	hash    *hasher
	metrics *metrics
	last    time.Time      // when the orders were last looked through
	told    map[ref]string // day on which an alert was last raised
}

// What the Sweeper goes by.
const (
	fullEvery = 24 * time.Hour
	// ahead is how long before its end an order's own term is carried out: longer than fullEvery,
	// so that a look comes in between.
	ahead = 36 * time.Hour
	// warn is how long before its deadline an open request is somebody's business.
	warn = 3 * 24 * time.Hour
	// How long a request is on record after it is carried out: those that concerned nobody we
	// know (a platform may tell of all its users) for shorter. Both longer than any topic's
	// retention.
	keepNothing = 90 * 24 * time.Hour
	keep        = 2 * 365 * 24 * time.Hour
	// chunk of records written at once.
	chunk = 500
)

// NewSweeper makes one.
func NewSweeper(cfg SweepConfig, d SweepDeps) (*Sweeper, error) {
	h, err := newHasher(cfg.Key)
	if err != nil {
		return nil, err
	}
	if cfg.Interval <= 0 {
		return nil, errors.New("privacy: no interval between two looks")
	}
	m, err := newMetrics(d.Metrics)
	if err != nil {
		return nil, err
	}
	return &Sweeper{cfg: cfg, deps: d, hash: h, metrics: m, told: make(map[ref]string)}, nil
}

// Run looks until ctx ends. A look that failed is logged and comes again.
func (w *Sweeper) Run(ctx context.Context) error {
	tick := time.NewTicker(w.cfg.Interval)
	defer tick.Stop()
	for {
		if err := w.Look(ctx); err != nil && ctx.Err() == nil {
			w.metrics.failed.Inc()
			w.deps.Log.Warn("people's data could not be looked after; it comes again", "in", w.cfg.Interval, "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Look looks once.
func (w *Sweeper) Look(ctx context.Context) error {
	now := w.deps.Now()
	states, err := Requests(ctx, w.deps.Scan)
	if err != nil {
		return err
	}
	w.metrics.show(states)
	errs := []error{w.alert(ctx, states, now), w.expire(ctx, states, now)}
	if now.Sub(w.last) >= fullEvery || slices.ContainsFunc(states, w.unfinished) {
		if err := w.sweep(ctx, states, now); err != nil {
			errs = append(errs, err)
		} else {
			w.last = now
		}
	}
	return errors.Join(errs...)
}

// Requests reads the table of requests.
func Requests(ctx context.Context, scan Scan) ([]*event.PrivacyState, error) {
	newest := make(map[string]*event.PrivacyState)
	versions := make(map[string]stream.Version)
	err := scan(ctx, []schemas.Topic{schemas.PrivacyRequests}, func(r *kafka.Scanned) error {
		v, err := stream.ParseVersion(string(r.Header(schemas.HeaderVersion)))
		if err != nil {
			return fmt.Errorf("request %s: %w", r.Key, err)
		}
		if last, ok := versions[string(r.Key)]; ok && v.Before(last) {
			return nil
		}
		versions[string(r.Key)] = v
		if r.Value == nil {
			delete(newest, string(r.Key))
			return nil
		}
		s := new(event.PrivacyState)
		if err := s.UnmarshalVT(r.Value); err != nil {
			return fmt.Errorf("request %s: %w", r.Key, err)
		}
		newest[string(r.Key)] = s
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the requests about people's data: %w", err)
	}
	states := make([]*event.PrivacyState, 0, len(newest))
	for _, s := range newest {
		states = append(states, s)
	}
	slices.SortFunc(states, func(a, b *event.PrivacyState) int {
		if a.DueMs != b.DueMs {
			return int(min(1, max(-1, a.DueMs-b.DueMs)))
		}
		return compareRefs(refOf(a), refOf(b))
	})
	return states, nil
}

func refOf(s *event.PrivacyState) ref { return ref{s.Account, s.Id} }

func compareRefs(a, b ref) int {
	switch {
	case a == b:
		return 0
	case a.account < b.account || a.account == b.account && a.id < b.id:
		return -1
	}
	return 1
}

// sweeps: the request is carried out by looking through the orders.
func sweeps(s *event.PrivacyState) bool {
	switch s.Kind {
	case event.PrivacyKind_PRIVACY_KIND_BUYER, event.PrivacyKind_PRIVACY_KIND_ACCOUNT, event.PrivacyKind_PRIVACY_KIND_RETENTION:
		return true
	}
	return false
}

// unfinished: a look may carry the request out, or find that it is.
func (w *Sweeper) unfinished(s *event.PrivacyState) bool { return sweeps(s) && !Done(s) && w.reads(s) }

// reads: the hashes of the request were made with our key.
func (w *Sweeper) reads(s *event.PrivacyState) bool { return s.KeyId == "" || s.KeyId == w.hash.id }

// found is an order that must be nobody's, with the requests that demand it.
type found struct{ requests []ref }

// sweep looks through all orders.
func (w *Sweeper) sweep(ctx context.Context, states []*event.PrivacyState, now time.Time) error {
	f := newFinder(w.hash, now.Add(ahead).UnixMilli())
	for _, s := range states {
		if sweeps(s) && s.Kind != event.PrivacyKind_PRIVACY_KIND_RETENTION {
			f.add(s)
		}
	}
	// Of an order the last record of its topic counts: it is the one that compaction keeps.
	orders := make(map[ref]found)
	made := make(map[ref]*event.PrivacyRequest)
	err := w.deps.Scan(ctx, []schemas.Topic{schemas.Orders}, func(r *kafka.Scanned) error {
		o := new(event.Order)
		if err := o.UnmarshalVT(r.Value); err != nil {
			return fmt.Errorf("order %s: %w", r.Key, err)
		}
		k := ref{o.Account, o.Id}
		delete(orders, k)
		if !named(o) {
			return nil
		}
		var by []ref
		for _, s := range f.under(o) {
			by = append(by, refOf(s))
		}
		if f.lapsed(o) {
			q := retention(o, now)
			made[ref{q.Account, q.Id}] = q
			by = append(by, ref{q.Account, q.Id})
		}
		if len(by) > 0 {
			orders[k] = found{by}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("looking through the orders: %w", err)
	}
	return w.conclude(ctx, states, orders, made, now)
}

// conclude writes down what a look found: first the requests that nobody made, then the orders,
// and only when those are safe what became of each request.
func (w *Sweeper) conclude(ctx context.Context, states []*event.PrivacyState, orders map[ref]found, made map[ref]*event.PrivacyRequest, now time.Time) error {
	count := make(map[ref]int64)
	var first, last []kafka.Record
	var errs []error
	add := func(list *[]kafka.Record, t schemas.Topic, account, id string, m stream.Message) {
		b, err := m.MarshalVTStrict()
		errs = append(errs, err)
		*list = append(*list, kafka.Record{Topic: t, Key: []byte(account + "/" + id), Value: b})
	}
	for k, o := range orders {
		for _, q := range o.requests {
			count[q]++
		}
		add(&first, schemas.OrdersIn, k.account, k.id, forget(k.account, k.id, o.requests[0].id, now.UnixMilli()))
	}
	for k, q := range made {
		if count[k] > 0 {
			add(&last, schemas.PrivacyIn, k.account, k.id, &event.PrivacyInput{Input: &event.PrivacyInput_Request{Request: q}})
		}
	}
	tell := func(k ref, n int64) {
		add(&last, schemas.PrivacyIn, k.account, k.id, &event.PrivacyInput{Input: &event.PrivacyInput_Sweep{Sweep: &event.PrivacySweep{
			Account: k.account, RequestId: k.id, Found: n, AtMs: now.UnixMilli(),
		}}})
	}
	for k, n := range count {
		tell(k, n)
	}
	for _, s := range states {
		if count[refOf(s)] == 0 && w.unfinished(s) {
			tell(refOf(s), 0)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("encoding what a look found: %w", err)
	}
	if err := w.write(ctx, first); err != nil {
		return err
	}
	w.metrics.forgotten.Add(float64(len(orders)))
	return w.write(ctx, last)
}

func (w *Sweeper) write(ctx context.Context, records []kafka.Record) error {
	for part := range slices.Chunk(records, chunk) {
		if err := w.deps.Publish.Produce(ctx, part); err != nil {
			return fmt.Errorf("writing down what a look found: %w", err)
		}
	}
	return nil
}

// alert raises one alert a day for each request that is open close to its deadline, or after it.
func (w *Sweeper) alert(ctx context.Context, states []*event.PrivacyState, now time.Time) error {
	day := now.UTC().Format(time.DateOnly)
	var records []kafka.Record
	raised := make(map[ref]string)
	for _, s := range states {
		if !Asked(s) || Done(s) || time.UnixMilli(s.DueMs).Sub(now) > warn {
			continue
		}
		raised[refOf(s)] = day
		if w.told[refOf(s)] == day {
			continue
		}
		a := &event.Alert{
			Id: fmt.Sprintf("privacy-deadline/%s/%s/%s", s.Account, s.Id, day), Kind: "privacy-deadline", Severity: event.Severity_SEVERITY_WARNING,
			Account: s.Account, Subject: s.Account + "/" + s.Id, RaisedMs: now.UnixMilli(), Text: w.text(s, now),
		}
		if Overdue(s, now) {
			a.Severity = event.Severity_SEVERITY_CRITICAL
		}
		b, err := a.MarshalVTStrict()
		if err != nil {
			return fmt.Errorf("encoding an alert: %w", err)
		}
		records = append(records, kafka.Record{Topic: schemas.Alerts, Key: []byte(a.Kind + "/" + a.Subject), Value: b})
	}
	if err := w.write(ctx, records); err != nil {
		return err
	}
	w.told = raised
	return nil
}

// text of an alert names nobody.
func (w *Sweeper) text(s *event.PrivacyState, now time.Time) string {
	due := time.UnixMilli(s.DueMs).UTC().Format("2006-01-02 15:04")
	what := "is due " + due + " and not carried out"
	if Overdue(s, now) {
		what = "was due " + due + " and is not carried out"
	}
	do := fmt.Sprintf("see `crossdock privacy show %s/%s`", s.Account, s.Id)
	switch {
	case s.Kind == event.PrivacyKind_PRIVACY_KIND_DATA_REQUEST:
		do = fmt.Sprintf("hand over what `crossdock privacy export %s/%s` writes, then record it with `crossdock privacy done`", s.Account, s.Id)
	case !w.reads(s):
		do = "its people were hashed with another clickhouse.buyer_key than today's: put that back until it is carried out"
	}
	return fmt.Sprintf("A request about people's data of %s %s: %s.", s.Account, what, do)
}

// expire ends the record of requests that nothing remains of.
func (w *Sweeper) expire(ctx context.Context, states []*event.PrivacyState, now time.Time) error {
	var records []kafka.Record
	for _, s := range states {
		since, life := s.DoneMs, keep
		switch {
		case !Asked(s):
			since, life = max(s.DoneMs, s.ForgottenMs), keepNothing
		case !Done(s):
			continue
		case s.Orders == 0 && sweeps(s):
			life = keepNothing
		}
		if now.Sub(time.UnixMilli(since)) < life {
			continue
		}
		b, err := (&event.PrivacyInput{Input: &event.PrivacyInput_Expiry{Expiry: &event.PrivacyExpiry{Account: s.Account, RequestId: s.Id}}}).MarshalVTStrict()
		if err != nil {
			return fmt.Errorf("encoding the end of a request: %w", err)
		}
		records = append(records, kafka.Record{Topic: schemas.PrivacyIn, Key: []byte(s.Account + "/" + s.Id), Value: b})
	}
	return w.write(ctx, records)
}
