package tokens

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/schemas"
)

// Log is the topic as it can be read: everything up to the moment of the call.
type Log interface {
	CatchUp(ctx context.Context, take func(*kafka.Scanned)) error
}

// Publisher is Kafka as it can be written. Produce returns after all replicas acknowledged.
type Publisher interface {
	Produce(ctx context.Context, records []kafka.Record) error
}

// supersededError says that a Save came too late.
type supersededError struct{ name string }

func (e *supersededError) Error() string {
	return fmt.Sprintf("saving token %s: another process has saved a newer one, this one is dropped: load it again", e.name)
}

// Superseded is how package connectors knows it, which cannot be imported from here.
func (e *supersededError) Superseded() bool { return true }

// TopicDeps is the world of a Topic.
type TopicDeps struct {
	Log     Log
	Publish Publisher
	// Redis holds the second copy of each token, below Prefix, which ends with the scope.
	Redis  goredis.UniversalClient
	Prefix string
	// Scope is sealed with each token ("acme.test.").
	Scope   string
	Keys    Keys
	Logger  *slog.Logger
	Metrics prometheus.Registerer
}

// Topic keeps tokens in schemas.Tokens.
//
// The topic is read up to now at each Load and Save, and both are rare: once for each process
// and refresh. Redis' copy is read as well, because a cluster that elected a replica which
// lagged behind (or was restored) has lost records that it acknowledged. The newer of the two
// counts, by its version; what was behind is written again before the token is handed out.
type Topic struct {
	d       TopicDeps
	metrics *metrics

	// turn lets one call at a time work on what follows; a caller's ctx bounds its waiting.
	turn    chan struct{}
	entries map[string]*entry
	// seen is the version that Load returned or Save wrote last, here; tried is one whose Save
	// ended without telling whether it was written.
	seen, tried map[string]uint64
}

// patience bounds one Load or Save, waiting for others in this process included.
const patience = 20 * time.Second

// entry is what the topic says of one name.
type entry struct {
	version uint64
	sealed  []byte // nil: nothing authentic was seen
	// late: an older version came after it in the log, so that compaction would keep that.
	late bool
	// bad is a newer value that cannot be opened, and where it stands.
	bad     []byte
	place   string
	written time.Time
}

// NewTopic asks nobody yet.
func NewTopic(d TopicDeps) (*Topic, error) {
	if d.Log == nil || d.Publish == nil || d.Redis == nil || len(d.Keys) == 0 || d.Logger == nil || d.Metrics == nil {
		return nil, errors.New("tokens: Log, Publish, Redis, Keys, Logger and Metrics must be handed in")
	}
	m, err := newMetrics(d.Metrics)
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	return &Topic{
		d: d, metrics: m, turn: make(chan struct{}, 1),
		entries: make(map[string]*entry), seen: make(map[string]uint64), tried: make(map[string]uint64),
	}, nil
}

func (t *Topic) enter(ctx context.Context) (leave func(), err error) {
	select {
	case t.turn <- struct{}{}:
		return func() { <-t.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// take files one record of the topic.
func (t *Topic) take(r *kafka.Scanned) {
	name := string(r.Key)
	if r.Value == nil {
		delete(t.entries, name)
		return
	}
	e := t.entries[name]
	if e == nil {
		e = &entry{}
		t.entries[name] = e
	}
	o, err := t.d.Keys.open(t.d.Scope, name, r.Value)
	if err != nil {
		e.bad, e.place = bytes.Clone(r.Value), fmt.Sprintf("%s/%d@%d", r.Topic.Name, r.Partition, r.Offset)
		return
	}
	e.bad = nil
	if e.sealed != nil && o.version < e.version {
		e.late = true
		return
	}
	e.version, e.sealed, e.late, e.written = o.version, bytes.Clone(r.Value), false, time.UnixMilli(r.TimestampMs)
}

// current reads the topic up to now and returns what it says of a name, never nil.
func (t *Topic) current(ctx context.Context, name string) (*entry, error) {
	if err := t.d.Log.CatchUp(ctx, t.take); err != nil {
		return nil, err
	}
	return t.entry(name), nil
}

func (t *Topic) entry(name string) *entry {
	e := t.entries[name]
	if e == nil {
		return &entry{}
	}
	if e.bad != nil {
		// A key that was put back, or is read from a file, may open it by now.
		if o, err := t.d.Keys.open(t.d.Scope, name, e.bad); err == nil {
			if e.sealed == nil || o.version >= e.version {
				e.version, e.sealed, e.late = o.version, e.bad, false
			} else {
				e.late = true
			}
			e.bad = nil
		}
	}
	return e
}

// unreadable says what is wrong with a record, and what to do.
func (t *Topic) unreadable(name string, e *entry) error {
	_, err := t.d.Keys.open(t.d.Scope, name, e.bad)
	if errors.Is(err, errUnknownKey) {
		return fmt.Errorf("%s: %w (its id begins with %s), or authorise the connection again", e.place, err, keyID(e.bad))
	}
	return fmt.Errorf("%s: %w: somebody else wrote into the topic, or a disk is failing: authorise the connection again with `crossdock connect`", e.place, errDamaged)
}

func (t *Topic) copyKey(name string) string { return t.d.Prefix + "token:{" + name + "}:copy" }

// copied is Redis' copy; nil when it has none that can be opened, which is only logged: the
// topic is what counts.
func (t *Topic) copied(ctx context.Context, name string) (sealed []byte, version uint64) {
	b, err := t.d.Redis.Get(ctx, t.copyKey(name)).Bytes()
	if errors.Is(err, goredis.Nil) {
		return nil, 0
	}
	var o opened
	if err == nil {
		o, err = t.d.Keys.open(t.d.Scope, name, b)
	}
	if err != nil {
		t.d.Logger.Warn("Redis' copy of a token cannot be used; the topic's is", "token", name, "err", err)
		return nil, 0
	}
	return b, o.version
}

func (t *Topic) copy(ctx context.Context, name string, sealed []byte) {
	if err := t.d.Redis.Set(ctx, t.copyKey(name), sealed, 0).Err(); err != nil {
		t.d.Logger.Warn("a token has no second copy in Redis now", "token", name, "err", err)
	}
}

func (t *Topic) produce(ctx context.Context, name string, sealed []byte) error {
	return t.d.Publish.Produce(ctx, []kafka.Record{{Topic: schemas.Tokens, Key: []byte(name), Value: sealed}})
}

// Load returns the newest token, nil when there is none. A record that cannot be opened is an
// error, never "none" and never the token before it: that one is dead.
func (t *Topic) Load(ctx context.Context, name string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	leave, err := t.enter(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading token %s: %w", name, err)
	}
	defer leave()
	value, from, err := t.load(ctx, name)
	if err != nil {
		t.metrics.loads.WithLabelValues("error").Inc()
		return nil, fmt.Errorf("reading token %s: %w", name, err)
	}
	t.metrics.loads.WithLabelValues(from).Inc()
	return value, nil
}

func (t *Topic) load(ctx context.Context, name string) (value []byte, from string, err error) {
	e, err := t.current(ctx, name)
	if err != nil {
		return nil, "", err
	}
	if e.bad != nil {
		return nil, "", t.unreadable(name, e)
	}
	sealed, version, repair, from := e.sealed, e.version, e.late, "topic"
	switch other, v := t.copied(ctx, name); {
	case other != nil && (e.sealed == nil || v > e.version):
		t.d.Logger.Error("Kafka had lost the newest version of a token, Redis still has it: it is written to the topic again", "token", name)
		sealed, version, repair, from = other, v, true, "redis"
	case e.sealed == nil:
		t.seen[name] = 0
		return nil, "none", nil
	case other == nil || v < e.version:
		t.copy(ctx, name, e.sealed)
	}
	if repair {
		if err := t.produce(ctx, name, sealed); err != nil {
			return nil, "", fmt.Errorf("writing it to the topic again: %w", err)
		}
		t.metrics.repairs.Inc()
	}
	o, err := t.d.Keys.open(t.d.Scope, name, sealed)
	if err != nil {
		return nil, "", err
	}
	t.seen[name] = version
	return o.value, from, nil
}

// Save returns after every replica has the token. It is refused (see supersededError) when
// somebody saved since the last Load here.
func (t *Topic) Save(ctx context.Context, name string, value []byte, fence uint64) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	leave, err := t.enter(ctx)
	if err != nil {
		return fmt.Errorf("saving token %s: %w", name, err)
	}
	defer leave()
	err = t.save(ctx, name, value, fence)
	var late *supersededError
	switch {
	case errors.As(err, &late):
		t.metrics.saves.WithLabelValues("superseded").Inc()
		return err
	case err != nil:
		t.metrics.saves.WithLabelValues("error").Inc()
		return fmt.Errorf("saving token %s: %w", name, err)
	}
	t.metrics.saves.WithLabelValues("ok").Inc()
	return nil
}

func (t *Topic) save(ctx context.Context, name string, value []byte, fence uint64) error {
	e, err := t.current(ctx, name)
	if err != nil {
		return err
	}
	newest := e.version
	if _, v := t.copied(ctx, name); v > newest {
		newest = v
	}
	if seen, known := t.seen[name]; known && newest != seen && newest != t.tried[name] {
		return &supersededError{name}
	}
	// The lock's number is greater than those before it: what a process writes that slept
	// through the end of its lock has a lower version than what was written meanwhile.
	version := max(newest+1, fence)
	sealed, err := t.d.Keys.seal(t.d.Scope, name, version, value)
	if err != nil {
		return err
	}
	t.tried[name] = version
	if err := t.produce(ctx, name, sealed); err != nil {
		return err
	}
	if e, err = t.current(ctx, name); err != nil {
		return err
	}
	if e.version > version {
		return &supersededError{name}
	}
	t.seen[name] = version
	delete(t.tried, name)
	t.copy(ctx, name, sealed)
	return nil
}

// Status is what is known of one token, without its content.
type Status struct {
	Name    string `json:"name"`
	Version uint64 `json:"version"`
	// Key is the beginning of the id of the key that sealed it; Current says that it is the one
	// that seals now.
	Key     string    `json:"key"`
	Current bool      `json:"current"`
	Written time.Time `json:"written"`
	// Problem says why it cannot be read, and what to do.
	Problem string `json:"problem,omitempty"`
}

// List tells of every token in the topic, by name.
func (t *Topic) List(ctx context.Context) ([]Status, error) {
	leave, err := t.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := t.d.Log.CatchUp(ctx, t.take); err != nil {
		return nil, err
	}
	all := []Status{}
	for name := range t.entries {
		e := t.entry(name)
		s := Status{Name: name, Version: e.version, Key: keyID(e.sealed), Written: e.written.UTC()}
		if e.bad != nil {
			s.Key, s.Problem = keyID(e.bad), t.unreadable(name, e).Error()
		} else if o, err := t.d.Keys.open(t.d.Scope, name, e.sealed); err == nil {
			s.Current = o.place == 0
		} else {
			s.Problem = err.Error()
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Status) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	return all, nil
}

// Reseal seals with the first key what a previous one sealed, so that the previous ones can be
// taken away. Nothing else changes: a process that saves meanwhile has the higher version.
func (t *Topic) Reseal(ctx context.Context) (resealed int, err error) {
	leave, err := t.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	if err := t.d.Log.CatchUp(ctx, t.take); err != nil {
		return 0, err
	}
	names := make([]string, 0, len(t.entries))
	for name := range t.entries {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		e := t.entry(name)
		if e.bad != nil {
			return resealed, fmt.Errorf("sealing token %s anew: %w", name, t.unreadable(name, e))
		}
		o, err := t.d.Keys.open(t.d.Scope, name, e.sealed)
		if err != nil {
			return resealed, fmt.Errorf("sealing token %s anew: %w", name, err)
		}
		if o.place == 0 {
			continue
		}
		sealed, err := t.d.Keys.seal(t.d.Scope, name, o.version, o.value)
		if err == nil {
			err = t.produce(ctx, name, sealed)
		}
		if err != nil {
			return resealed, fmt.Errorf("sealing token %s anew: %w", name, err)
		}
		t.copy(ctx, name, sealed)
		resealed++
	}
	return resealed, nil
}

type metrics struct {
	loads, saves *prometheus.CounterVec
	repairs      prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		loads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "crossdock_token_loads_total", Help: `Tokens that were read, by where the newest was: topic, redis (Kafka had lost it), none, or error.`,
		}, []string{"from"}),
		saves: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "crossdock_token_saves_total", Help: `Tokens that were saved: ok, error, or superseded (the lock had run out, and somebody else saved a newer one).`,
		}, []string{"outcome"}),
		repairs: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "crossdock_token_repairs_total", Help: "Tokens whose newest version was written to the topic again, because it was missing or an older one came after it.",
		}),
	}
	return m, errors.Join(reg.Register(m.loads), reg.Register(m.saves), reg.Register(m.repairs))
}

// RegisterMetrics registers the metrics of a store, for their list.
func RegisterMetrics(reg prometheus.Registerer) error {
	_, err := newMetrics(reg)
	return err
}
