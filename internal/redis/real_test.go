package redis

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/helloword/crossdock/internal/testkit"
)

// TestOnRedis runs the scripts on the real engine, where Lua and the clock are others.
func TestOnRedis(t *testing.T) {
	ctx := context.Background()
	c, err := Open(ctx, Config{Addrs: []string{testkit.Redis(t)}}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	prefix := "test." + rand.Text() + "."
	for _, r := range Check(ctx, c, prefix) {
		if !r.OK {
			t.Errorf("%s: %s (%s)", r.Subject, r.Detail, r.Advice)
		}
	}
	b := NewBucket(c, prefix)
	q := Quota{Capacity: 10, PerSecond: 0.001}
	take := func(cost, reserve float64) time.Duration {
		t.Helper()
		d, err := b.Take(ctx, "k", Request{Quota: q, Cost: cost, Reserve: reserve, Class: "1", Waiter: "w"})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	defer c.Del(ctx, b.keys("k")...)
	if d := take(8, 0.1); d != 0 {
		t.Errorf("full bucket: wait %s", d)
	}
	if d := take(2, 0.1); d < 900*time.Second || d > 1100*time.Second {
		t.Errorf("one unit short at 0.001/s: wait %s", d)
	}
	if err := b.Observe(ctx, "k", q, State{Known: true, Capacity: 100, Available: 90, PerSecond: 5}); err != nil {
		t.Fatal(err)
	}
	if d := take(50, 0.1); d != 0 {
		t.Errorf("90 available were told: wait %s", d)
	}
	if err := b.Observe(ctx, "k", q, State{RetryAfter: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if d := take(1, 0); d < 50*time.Minute {
		t.Errorf("after a Retry-After of an hour: wait %s", d)
	}
}
