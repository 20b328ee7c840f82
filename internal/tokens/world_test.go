package tokens

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/helloword/crossdock/internal/embedded"
	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/internal/redis"
	"github.com/helloword/crossdock/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const scopeText = "acme.test."

// log is Kafka with one topic, in memory.
type log struct {
	mu      sync.Mutex
	records []kafka.Record
	// fail is what Produce returns; written says that the records got there nevertheless.
	fail    error
	written bool
	// before is called before records are appended.
	before func()
}

func (l *log) Produce(_ context.Context, rs []kafka.Record) error {
	if l.before != nil {
		l.before()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail == nil || l.written {
		l.records = append(l.records, rs...)
	}
	return l.fail
}

// values of a name, in the order of the log.
func (l *log) values(name string) (all [][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.records {
		if string(r.Key) == name {
			all = append(all, r.Value)
		}
	}
	return all
}

func (l *log) put(name string, value []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, kafka.Record{Topic: schemas.Tokens, Key: []byte(name), Value: value})
}

// reader stands at its own place in the log, as each process does.
type reader struct {
	log  *log
	next int
}

func (r *reader) CatchUp(ctx context.Context, take func(*kafka.Scanned)) error {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	for ; r.next < len(r.log.records); r.next++ {
		rec := r.log.records[r.next]
		take(&kafka.Scanned{Topic: rec.Topic, Offset: int64(r.next), Key: rec.Key, Value: rec.Value})
	}
	return ctx.Err()
}

// world is one Kafka and one Redis for several processes.
type world struct {
	t     *testing.T
	log   *log
	redis *miniredis.Miniredis
	conn  *goredis.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	m := miniredis.RunT(t)
	c := goredis.NewClient(&goredis.Options{Addr: m.Addr()})
	t.Cleanup(func() { _ = c.Close() })
	return &world{t, &log{}, m, c}
}

// topic is another process' keeper.
func (w *world) topic(keys ...Secret) *Topic {
	w.t.Helper()
	if len(keys) == 0 {
		keys = []Secret{keyA}
	}
	ring, err := NewKeys(keys[0], keys[1:]...)
	if err != nil {
		w.t.Fatal(err)
	}
	k, err := NewTopic(TopicDeps{
		Log: &reader{log: w.log}, Publish: w.log, Redis: w.conn, Prefix: scopeText, Scope: scopeText,
		Keys: ring, Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return k
}

// store is another process' store.
func (w *world) store() *Store {
	w.t.Helper()
	return NewStore(w.topic(), redis.Leases{Client: w.conn, Owner: "p"}, scopeText, slog.New(slog.DiscardHandler))
}

func save(t *testing.T, k Keeper, name, value string) {
	t.Helper()
	if err := k.Save(t.Context(), name, []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, k Keeper, name, value string) {
	t.Helper()
	got, err := k.Load(t.Context(), name)
	if err != nil || string(got) != value {
		t.Errorf("%s: got %q, %v; want %q", name, got, err, value)
	}
}

func superseded(err error) bool {
	var s interface{ Superseded() bool }
	return errors.As(err, &s) && s.Superseded()
}

// TestOnABroker: the same on a broker that speaks the protocol, with the real reader; several
// processes, a topic that is recreated under them.
func TestOnABroker(t *testing.T) {
	broker, err := embedded.NewBroker(embedded.BrokerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	scope := schemas.Scope{Tenant: "acme", Environment: schemas.Test}
	cfg := kafka.Config{Brokers: []string{broker.Addr()}}
	quiet := slog.New(slog.DiscardHandler)
	client, err := kafka.Open(cfg, scope, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	w := newWorld(t)
	process := func() *Topic {
		f := kafka.NewFollower(cfg, scope, quiet, schemas.Tokens)
		t.Cleanup(f.Close)
		ring, err := NewKeys(keyA)
		if err != nil {
			t.Fatal(err)
		}
		k, err := NewTopic(TopicDeps{
			Log: f, Publish: client, Redis: w.conn, Prefix: scopeText, Scope: scopeText,
			Keys: ring, Logger: quiet, Metrics: prometheus.NewRegistry(),
		})
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	one, two := process(), process()
	if _, err := one.Load(t.Context(), "a"); !errors.Is(err, kafka.ErrNoTopic) {
		t.Fatalf("without its topic: %v, want one that names `crossdock topics apply`", err)
	}
	layout := kafka.Layout{Wide: 3, Narrow: 2, Replicas: 1, MinInSync: 1}
	if _, err := client.ApplyTopics(t.Context(), []schemas.Topic{schemas.Tokens}, layout); err != nil {
		t.Fatal(err)
	}
	if got, err := one.Load(t.Context(), "shopify/uk"); got != nil || err != nil {
		t.Fatalf("before: %q, %v", got, err)
	}
	for _, value := range []string{"first", "second", "third"} {
		save(t, one, "shopify/uk", value)
		want(t, two, "shopify/uk", value) // at once: nobody waits for a view to follow
		w.redis.FlushAll()
		want(t, process(), "shopify/uk", value)
	}
	save(t, two, "shopify/de", "other")
	want(t, one, "shopify/de", "other")
	list, err := one.List(t.Context())
	if err != nil || len(list) != 2 || list[0].Name != "shopify/de" || !list[0].Current || list[0].Problem != "" {
		t.Errorf("list: %+v, %v", list, err)
	}
}
