package poll

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/redis"
)

func TestPlan(t *testing.T) {
	c := Config{Plan: Plan{Interval: time.Minute, Overlap: 2 * time.Minute}, Plans: map[string]Plan{
		"uk": {Interval: time.Second, Settle: 3 * time.Second}, "uk/orders": {Interval: 2 * time.Second, Backfill: -1}}}.withDefaults()
	for _, tc := range []struct {
		account string
		subject connectors.Subject
		floor   time.Duration
		want    Plan
	}{
		{"de", "orders", 0, Plan{time.Minute, 2 * time.Minute, 15 * time.Second, 0}},
		{"de", "orders", time.Hour, Plan{time.Hour, 2 * time.Minute, 15 * time.Second, 0}},
		{"uk", "products", 0, Plan{time.Second, 2 * time.Minute, 3 * time.Second, 0}},
		{"uk", "orders", 0, Plan{2 * time.Second, 2 * time.Minute, 3 * time.Second, -1}},
	} {
		if diff := cmp.Diff(tc.want, c.plan(tc.account, tc.subject, tc.floor)); diff != "" {
			t.Errorf("%s/%s: %s", tc.account, tc.subject, diff)
		}
	}
}

func TestJitter(t *testing.T) {
	const interval = 15 * time.Minute
	seen := map[time.Duration]bool{}
	for i := range 1000 {
		account := fmt.Sprint("shop-", i)
		got := jittered(interval, account, connectors.Orders)
		if got < interval*95/100 || got > interval*105/100 {
			t.Fatalf("%s: %s", account, got)
		}
		if got != jittered(interval, account, connectors.Orders) {
			t.Fatalf("%s: it changes", account)
		}
		seen[got.Round(time.Second)] = true
	}
	if len(seen) < 80 {
		t.Errorf("1000 shops share %d seconds", len(seen))
	}
}

func TestBackoff(t *testing.T) {
	c := Config{BackoffMin: time.Second, BackoffMax: time.Minute}
	for n, top := range map[int64]time.Duration{0: time.Second, 1: time.Second, 2: 2 * time.Second, 6: 32 * time.Second, 7: time.Minute, 1000: time.Minute} {
		for range 100 {
			if got := c.backoff(n); got < top/2 || got > top {
				t.Fatalf("failure %d: %s, want %s to %s", n, got, top/2, top)
			}
		}
	}
}

func TestDue(t *testing.T) {
	last, until := epoch, epoch.Add(time.Hour)
	for name, tc := range map[string]struct {
		e     entry
		asked bool
		want  time.Time
	}{
		"never polled":               {entry{}, false, time.Time{}},
		"an interval after the last": {entry{Last: last}, false, last.Add(time.Minute)},
		"asked":                      {entry{Last: last}, true, time.Time{}},
		"after a failure":            {entry{Last: last, Until: until, Class: "transient"}, false, until},
		"asked after a failure":      {entry{Last: last, Until: until, Class: "transient"}, true, time.Time{}},
		"asked against a wish":       {entry{Last: last, Until: until, Class: "retry-after"}, true, until},
		"first poll failed":          {entry{Until: until}, false, until},
	} {
		if got := tc.e.due(time.Minute, tc.asked); !got.Equal(tc.want) {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	mr := newRedis(t)
	p, _ := counting()
	orders := map[connectors.Subject]connectors.Poller{connectors.Orders: p}
	good := func() Deps {
		client := goredis.NewClient(&goredis.Options{Addr: mr.Addr()})
		t.Cleanup(func() { _ = client.Close() })
		return Deps{Publisher: &memory{}, Redis: client, Scope: scope, Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
			Connections: []Connection{{Connector: "shopify", Account: "uk", Pollers: orders}}}
	}
	for name, tc := range map[string]struct {
		cfg    Config
		mutate func(*Deps)
		want   string
	}{
		"plan for nobody":   {Config{Plans: map[string]Plan{"uk/order": {}}}, func(*Deps) {}, "plans.uk/order"},
		"negative":          {Config{Plans: map[string]Plan{"uk": {Interval: -1}}}, func(*Deps) {}, "plans.uk"},
		"negative overlap":  {Config{Plan: Plan{Overlap: -1}}, func(*Deps) {}, "overlap"},
		"back-off":          {Config{BackoffMin: time.Hour}, func(*Deps) {}, "backoff_min"},
		"lease":             {Config{LeaseTTL: 1}, func(*Deps) {}, "lease_ttl"},
		"chunks":            {Config{ChunkRecords: -1, ChunkBytes: -1, Concurrent: -1, Deadline: -1, Recheck: -1}, func(*Deps) {}, "chunk_bytes"},
		"no Redis":          {Config{}, func(d *Deps) { d.Redis = nil }, "Redis"},
		"scope":             {Config{}, func(d *Deps) { d.Scope.Tenant = "" }, "tenant"},
		"twice":             {Config{}, func(d *Deps) { d.Connections = append(d.Connections, d.Connections[0]) }, "uk"},
		"braces":            {Config{}, func(d *Deps) { d.Connections[0].Account = "a}b" }, "braces"},
		"subject":           {Config{}, func(d *Deps) { d.Connections[0].Pollers = map[connectors.Subject]connectors.Poller{"gossip": p} }, "gossip"},
		"nil poller":        {Config{}, func(d *Deps) { d.Connections[0].Pollers = map[connectors.Subject]connectors.Poller{"orders": nil} }, "orders"},
		"metrics are taken": {Config{}, func(d *Deps) { _, _ = New(Config{}, *d) }, "registration"},
	} {
		d := good()
		tc.mutate(&d)
		if _, err := New(tc.cfg, d); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(Config{}, good()); err != nil {
		t.Error(err)
	}
}

func TestNow(t *testing.T) {
	p, seen := counting()
	w := newWorld(t, Config{}, newRedis(t), p)
	w.run(t)
	eventually(t, "the first poll", func() bool { return len(seen()) == 1 })
	// Asked, it does not wait for the interval, and has everything in Kafka when it returns.
	for n := 2; n < 5; n++ {
		if err := w.Now(t.Context(), "shop-uk", connectors.Orders); err != nil {
			t.Fatal(err)
		}
		if got := len(w.kafka.objects()); got != n {
			t.Errorf("%d objects after poll %d", got, n)
		}
	}
	if s := w.Status()[0]; s.Found != 4 || !s.Watermark.Equal(epoch.Add(4*time.Second)) || !s.LastSuccess.Equal(epoch) || s.Account != "shop-uk" || s.Subject != connectors.Orders {
		t.Errorf("status %+v", s)
	}
	if diff := cmp.Diff([]string{"", "1", "2", "3"}, seen()); diff != "" {
		t.Error(diff)
	}
	for _, account := range []string{"shop-fr", ""} {
		if err := w.Now(t.Context(), account, connectors.Orders); err == nil {
			t.Errorf("%q was polled", account)
		}
	}
}

func TestNowReportsTheFailure(t *testing.T) {
	broken := errors.New("HTTP 500")
	w := newWorld(t, Config{}, newRedis(t), pollFunc(func(context.Context, connectors.PollRequest, func(connectors.Raw) error) (connectors.PollResult, error) {
		return connectors.PollResult{}, broken
	}))
	stop := w.run(t)
	if err := w.Now(t.Context(), "shop-uk", connectors.Orders); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	stop()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Now(ctx, "shop-uk", connectors.Orders); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody runs: %v", err)
	}
}

// Who asks during a poll may know of something newer than what it saw: one more poll follows.
func TestNowDuringAPollMeansTheNext(t *testing.T) {
	inside, leave := make(chan int, 10), make(chan struct{})
	var n atomic.Int64
	w := newWorld(t, Config{}, newRedis(t), pollFunc(func(context.Context, connectors.PollRequest, func(connectors.Raw) error) (connectors.PollResult, error) {
		i := int(n.Add(1))
		inside <- i
		<-leave
		return connectors.PollResult{Cursor: cursor(i)}, nil
	}))
	w.run(t)
	<-inside
	if s := w.Status()[0]; !s.Polling {
		t.Errorf("status %+v", s)
	}
	asked := make(chan error, 1)
	go func() { asked <- w.Now(t.Context(), "shop-uk", connectors.Orders) }()
	eventually(t, "the question", func() bool {
		sub := w.connections[0].subjects[0]
		sub.mu.Lock()
		defer sub.mu.Unlock()
		return len(sub.waiting) == 1
	})
	leave <- struct{}{}
	<-inside
	select {
	case err := <-asked:
		t.Fatalf("answered by the poll that was under way: %v", err)
	default:
	}
	leave <- struct{}{}
	if err := <-asked; err != nil {
		t.Error(err)
	}
}

func TestReload(t *testing.T) {
	p, seen := counting()
	mr := newRedis(t)
	w := newWorld(t, Config{}, mr, p)
	w.run(t)
	eventually(t, "the first poll", func() bool { return len(seen()) == 1 })
	// Redis' clock stands still in this test; the service counts on from it by itself.
	if err := w.Reload(Config{Plans: map[string]Plan{"shop-uk/orders": {Interval: time.Millisecond}}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a poll at the new interval", func() bool {
		mr.SetTime(epoch.Add(time.Second))
		return len(seen()) >= 2
	})
	for name, cfg := range map[string]Config{
		"typo": {Plans: map[string]Plan{"shop-u": {}}}, "needs a new start": {Concurrent: 3}, "lease": {LeaseTTL: time.Minute}, "bad": {Deadline: -1},
	} {
		before := w.cfg.Load()
		if err := w.Reload(cfg); err == nil || w.cfg.Load() != before {
			t.Errorf("%s was taken up: %v", name, err)
		}
	}
}

// Processes share the work, and nobody polls an account that another is polling: not even
// two subjects of it.
func TestProcessesShareTheWork(t *testing.T) {
	mr := newRedis(t)
	var inside [3]atomic.Int64
	var polls atomic.Int64
	watch := func(account int) connectors.Poller {
		return pollFunc(func(_ context.Context, _ connectors.PollRequest, emit func(connectors.Raw) error) (connectors.PollResult, error) {
			if inside[account].Add(1) != 1 {
				t.Errorf("account %d is polled twice at once", account)
			}
			defer inside[account].Add(-1)
			polls.Add(1)
			return connectors.PollResult{Cursor: cursor(1)}, emit(object("x"))
		})
	}
	var wg sync.WaitGroup
	var worlds []*world
	for range 3 {
		var more []Connection
		for a := 1; a < 3; a++ {
			more = append(more, Connection{Connector: "shopify", Account: fmt.Sprint("shop-", a), Pollers: map[connectors.Subject]connectors.Poller{
				connectors.Orders: watch(a), connectors.Products: watch(a)}})
		}
		w := newWorld(t, Config{LeaseTTL: 100 * time.Millisecond}, mr, watch(0), more...)
		w.run(t)
		worlds = append(worlds, w)
	}
	for _, w := range worlds {
		for range 10 {
			for account, names := range map[string][]connectors.Subject{"shop-uk": {connectors.Orders}, "shop-1": {connectors.Orders, connectors.Products}} {
				for _, name := range names {
					wg.Go(func() {
						if err := w.Now(t.Context(), account, name); err != nil {
							t.Error(err)
						}
					})
				}
			}
		}
	}
	wg.Wait()
	if polls.Load() < 9 {
		t.Errorf("%d polls", polls.Load())
	}
}

// What one process polled is not due for the others: they see it in the shared state.
func TestAnIntervalIsPolledOnce(t *testing.T) {
	mr := newRedis(t)
	p, seen := counting()
	a, b := newWorld(t, Config{}, mr, p), newWorld(t, Config{}, mr, p)
	for i := 1; i <= 3; i++ {
		a.visitOrders(t.Context())
		b.visitOrders(t.Context())
		if len(seen()) != i {
			t.Fatalf("interval %d: %d polls", i, len(seen()))
		}
		mr.SetTime(epoch.Add(time.Duration(i) * 16 * time.Minute))
	}
	if s := b.Status()[0]; s.Found != 3 {
		t.Errorf("the other process' status: %+v", s)
	}
}

// kill -9 in the middle of a poll: nothing was released. The others take over when the TTL
// of 20 s is over, and begin where the dead one had stored its cursor.
func TestTakeOver(t *testing.T) {
	mr := newRedis(t)
	p, seen := counting()
	w := newWorld(t, Config{}, mr, p)
	w.visitOrders(t.Context())
	dead := redis.Leases{Client: w.store.client, Owner: "dead", TTL: w.leases.TTL}
	if _, err := dead.Acquire(t.Context(), w.connections[0].lease); err != nil {
		t.Fatal(err)
	}
	mr.SetTime(epoch.Add(time.Hour))
	waited := time.Duration(0)
	for len(seen()) == 1 {
		rest := w.visitOrders(t.Context())
		if waited += rest; waited > 30*time.Second {
			t.Fatal("not taken over within 30 s")
		}
		mr.FastForward(rest)
	}
	if got := seen(); got[1] != "1" {
		t.Errorf("begins at %q", got[1])
	}
	if waited < 15*time.Second {
		t.Errorf("taken over after %s, while the lease was valid", waited)
	}
}

// A stop in the middle of a poll: the lease is given back at once, nothing is stored.
func TestStopGivesTheLeaseBack(t *testing.T) {
	mr := newRedis(t)
	inside := make(chan struct{})
	w := newWorld(t, Config{}, mr, pollFunc(func(ctx context.Context, _ connectors.PollRequest, _ func(connectors.Raw) error) (connectors.PollResult, error) {
		close(inside)
		<-ctx.Done()
		return connectors.PollResult{}, ctx.Err()
	}))
	stop := w.run(t)
	<-inside
	if !mr.Exists(w.connections[0].lease + ":lease") {
		t.Error("polled without a lease")
	}
	stop()
	if mr.Exists(w.connections[0].lease + ":lease") {
		t.Error("the lease was not given back")
	}
	if e := w.stored(t); e.Failures != 0 || e.Cursor != nil {
		t.Errorf("stored %+v", e)
	}
}

// A lease that is lost ends the poll under way.
func TestLostLeaseEndsThePoll(t *testing.T) {
	mr := newRedis(t)
	ended := make(chan error, 1)
	var w *world
	w = newWorld(t, Config{LeaseTTL: 100 * time.Millisecond}, mr, pollFunc(func(ctx context.Context, _ connectors.PollRequest, _ func(connectors.Raw) error) (connectors.PollResult, error) {
		mr.Del(w.connections[0].lease + ":lease")
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return connectors.PollResult{}, ctx.Err()
	}))
	w.visitOrders(t.Context())
	if err := <-ended; !errors.Is(err, redis.ErrLeaseLost) {
		t.Errorf("ended by %v", err)
	}
	if s := w.Status()[0]; !strings.Contains(s.Error, "lease lost") {
		t.Errorf("status %+v", s)
	}
}

// Redis away: no poll, since nobody knows from where; and it goes on by itself.
func TestRedisAway(t *testing.T) {
	mr := newRedis(t)
	p, seen := counting()
	w := newWorld(t, Config{}, mr, p)
	mr.SetError("LOADING")
	if rest := w.visitOrders(t.Context()); rest != redisWait || len(seen()) != 0 {
		t.Errorf("waits %s after %d polls", rest, len(seen()))
	}
	if s := w.Status()[0]; s.Class != "transient" || !strings.Contains(s.Error, "LOADING") {
		t.Errorf("status %+v", s)
	}
	mr.SetError("")
	w.visitOrders(t.Context())
	if s := w.Status()[0]; len(seen()) != 1 || s.Error != "" {
		t.Errorf("%d polls, status %+v", len(seen()), s)
	}
}

// An account that needs its owner stops only itself.
func TestAuthorisationStopsOnlyItsConnection(t *testing.T) {
	var asked atomic.Int64
	locked := pollFunc(func(context.Context, connectors.PollRequest, func(connectors.Raw) error) (connectors.PollResult, error) {
		asked.Add(1)
		return connectors.PollResult{}, connectors.ErrNeedsAuthorisation
	})
	p, seen := counting()
	w := newWorld(t, Config{Plan: Plan{Interval: time.Millisecond}}, newRedis(t), locked,
		Connection{Connector: "shopify", Account: "shop-de", Pollers: map[connectors.Subject]connectors.Poller{connectors.Orders: p}})
	w.run(t)
	for range 5 {
		if err := w.Now(t.Context(), "shop-de", connectors.Orders); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the first question", func() bool { return w.Status()[0].Class == "needs-authorisation" })
	if asked.Load() != 1 || len(seen()) < 5 {
		t.Errorf("the locked one was asked %d times, the other %d", asked.Load(), len(seen()))
	}
	if got := w.gauge(t, "crossdock_poll_needs_authorisation", "shop-uk"); got != 1 {
		t.Errorf("gauge of the locked one is %v", got)
	}
	if got := w.gauge(t, "crossdock_poll_needs_authorisation", "shop-de"); got != 0 {
		t.Errorf("gauge of the other one is %v", got)
	}
}

func (w *world) gauge(t *testing.T, name, account string) float64 {
	t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == name && l.GetName() == "account" && l.GetValue() == account {
					return m.GetGauge().GetValue()
				}
			}
		}
	}
	t.Fatalf("no gauge %s of %s", name, account)
	return 0
}
