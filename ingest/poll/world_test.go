package poll

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var scope = schemas.Scope{Tenant: "acme", Environment: schemas.Test}

// epoch is when the tests' Redis begins to count.
var epoch = time.Unix(1_700_000_000, 0)

// memory is a Kafka that can be told to fail.
type memory struct {
	mu      sync.Mutex
	records []kafka.Record
	calls   []int // records of each call
	fail    func(n int) error
}

func (m *memory) Produce(_ context.Context, records []kafka.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		if err := m.fail(len(records)); err != nil {
			return err
		}
	}
	m.calls = append(m.calls, len(records))
	for _, r := range records {
		r.Value = bytes.Clone(r.Value)
		m.records = append(m.records, r)
	}
	return nil
}

func (m *memory) objects() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var ids []string
	for _, r := range m.records {
		ids = append(ids, string(r.Value))
	}
	return ids
}

// pollFunc is a Poller.
type pollFunc func(ctx context.Context, req connectors.PollRequest, emit func(connectors.Raw) error) (connectors.PollResult, error)

func (f pollFunc) Poll(ctx context.Context, req connectors.PollRequest, emit func(connectors.Raw) error) (connectors.PollResult, error) {
	return f(ctx, req, emit)
}

func object(id string) connectors.Raw {
	return connectors.Raw{Subject: connectors.Orders, Object: id, Body: []byte(id), Format: "rest/order"}
}

func cursor(n int) json.RawMessage { return json.RawMessage(strconv.Itoa(n)) }

// counting emits one object for each poll and counts them in its cursor.
func counting() (p pollFunc, seen func() []string) {
	var mu sync.Mutex
	var cursors []string
	return func(_ context.Context, req connectors.PollRequest, emit func(connectors.Raw) error) (connectors.PollResult, error) {
			mu.Lock()
			cursors = append(cursors, string(req.Cursor))
			n := len(cursors)
			mu.Unlock()
			err := emit(object(strconv.Itoa(n)))
			return connectors.PollResult{Cursor: cursor(n), Objects: 1, Watermark: epoch.Add(time.Duration(n) * time.Second)}, err
		}, func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(cursors)
		}
}

type world struct {
	*Service
	redis *miniredis.Miniredis
	kafka *memory
	reg   *prometheus.Registry
	log   *bytes.Buffer
}

// newWorld is one process that polls the orders of shop-uk; processes share redis.
func newWorld(t testing.TB, cfg Config, redis *miniredis.Miniredis, p connectors.Poller, more ...Connection) *world {
	t.Helper()
	w := worldAt(t, cfg, redis.Addr(), p, more...)
	w.redis = redis
	return w
}

// worldAt is newWorld for a Redis of another process.
func worldAt(t testing.TB, cfg Config, addr string, p connectors.Poller, more ...Connection) *world {
	t.Helper()
	w := &world{kafka: &memory{}, reg: prometheus.NewRegistry(), log: &bytes.Buffer{}}
	client := goredis.NewClient(&goredis.Options{Addr: addr, MaxRetries: -1, DisableIdentity: true})
	t.Cleanup(func() { _ = client.Close() })
	connections := []Connection{{Connector: "shopify", Account: "shop-uk", Pollers: map[connectors.Subject]connectors.Poller{connectors.Orders: p}}}
	s, err := New(cfg, Deps{
		Connections: append(connections, more...),
		Publisher:   w.kafka, Redis: client, Scope: scope, Metrics: w.reg,
		Log: slog.New(slog.NewTextHandler(io.Writer(w.log), nil)),
		Now: func() time.Time { return epoch },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Service = s
	return w
}

func newRedis(t testing.TB) *miniredis.Miniredis {
	t.Helper()
	mr := miniredis.NewMiniRedis()
	if err := mr.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(mr.Close)
	mr.SetTime(epoch)
	return mr
}

// visitOrders does what the loop does when it believes that the orders are due.
func (w *world) visitOrders(ctx context.Context) time.Duration {
	c := w.connections[0]
	return w.visit(ctx, c, c.subjects[0])
}

func (w *world) stored(t *testing.T) entry {
	t.Helper()
	e, _, err := w.store.load(t.Context(), w.connections[0].subjects[0].key)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// run starts the service; the function it returns stops it.
func (w *world) run(t testing.TB) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// eventually polls a condition that another goroutine brings about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("%s did not happen", what)
		}
		time.Sleep(time.Millisecond)
	}
}
