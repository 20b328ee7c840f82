package push

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/redis"
)

// TestLimiter: the clock is Redis' own, and moves only when the limiter sleeps.
func TestLimiter(t *testing.T) {
	ctx := context.Background()
	mini := miniredis.RunT(t)
	start := time.Unix(1_800_000_000, 0)
	now := start
	mini.SetTime(now)
	c := goredis.NewClient(&goredis.Options{Addr: mini.Addr()})
	defer c.Close()
	l, err := NewLimiter(redis.NewBucket(c, testScope.Key("")), "uk", redis.Quota{Capacity: 10, PerSecond: 1},
		map[string]redis.Quota{"read": {Capacity: 2, PerSecond: 0.1}}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	naps := 0
	l.sleep = func(ctx context.Context, d time.Duration) error {
		if d > time.Second {
			t.Errorf("slept %s without looking", d)
		}
		naps++
		now = now.Add(d)
		mini.SetTime(now)
		return ctx.Err()
	}
	took := func(op string, cost float64, p connectors.Priority) time.Duration {
		t.Helper()
		began := now
		if err := l.Wait(ctx, op, cost, p); err != nil {
			t.Fatal(err)
		}
		return now.Sub(began)
	}
	for _, c := range []struct {
		op   string
		cost float64
		p    connectors.Priority
		want time.Duration
	}{
		{"write", 9, connectors.Normal, 0},                       // 1 left, of which half is the reserve
		{"write", 1, connectors.Urgent, 0},                       // may use it
		{"write", 1, connectors.Normal, 1500 * time.Millisecond}, // must leave it
		{"write", 1, connectors.Backfill, 5500 * time.Millisecond},
		{"read", 2, connectors.Urgent, 0}, // its own bucket
		{"read", 1, connectors.Urgent, 10 * time.Second},
	} {
		if got := took(c.op, c.cost, c.p).Round(time.Millisecond); got != c.want {
			t.Errorf("%s %g %d: got %s, want %s", c.op, c.cost, c.p, got, c.want)
		}
	}
	l.Observe("write", connectors.LimitState{RetryAfter: 7 * time.Second})
	if got := took("write", 1, connectors.Urgent).Round(time.Millisecond); got < 7*time.Second {
		t.Errorf("after a Retry-After: waited %s", got)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := l.Wait(ended, "read", 2, connectors.Backfill); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: got %v", err)
	}
	mini.Close()
	if err := l.Wait(ctx, "write", 1, connectors.Urgent); err == nil {
		t.Error("spent without a count")
	}
	l.Observe("write", connectors.LimitState{}) // only logs
	if _, err := NewLimiter(nil, "uk", redis.Quota{}, nil, nil); err == nil {
		t.Error("a quota of nothing was taken")
	}
}
