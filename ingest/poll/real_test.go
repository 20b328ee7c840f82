package poll

import (
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/helloword/crossdock/internal/testkit"
)

// The scripts on the real engine: a cursor is stored, read back, and refused to an old token.
func TestOnRealRedis(t *testing.T) {
	p, seen := counting()
	w := worldAt(t, Config{}, testkit.Redis(t), p)
	client := goredis.NewClient(&goredis.Options{Addr: testkit.Redis(t), DisableIdentity: true})
	c := w.connections[0]
	defer func() {
		client.Del(t.Context(), c.subjects[0].key, c.lease+":lease", c.lease+":fence")
		_ = client.Close()
	}()
	// Keys of this run alone: several runs may share the engine.
	c.lease = strings.Replace(c.lease, "shop-uk", "shop-uk-"+time.Now().Format("150405.000000000"), 1)
	c.subjects[0].key = c.lease + ":orders"

	w.visitOrders(t.Context())
	e := w.stored(t)
	if string(e.Cursor) != "1" || e.Found != 1 || e.Last.IsZero() || e.Success.Before(e.Last) || !e.Until.IsZero() {
		t.Errorf("stored %+v", e)
	}
	w.visitOrders(t.Context())
	if len(seen()) != 1 {
		t.Error("polled again before the interval was over")
	}
	old, err := w.leases.Acquire(t.Context(), c.lease)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.save(t.Context(), c.lease, c.subjects[0].key, old, update{cursor: cursor(2), wait: time.Minute, failures: 3, class: "transient", message: "x"}); err != nil {
		t.Fatal(err)
	}
	if e := w.stored(t); string(e.Cursor) != "2" || e.Failures != 3 || e.Until.Sub(e.Success) < time.Minute {
		t.Errorf("stored %+v", e)
	}
	if err := old.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	newer, err := w.leases.Acquire(t.Context(), c.lease)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = newer.Release(t.Context()) }()
	if err := w.store.save(t.Context(), c.lease, c.subjects[0].key, old, update{cursor: cursor(3)}); err == nil {
		t.Error("an old token stored a cursor")
	}
	if e := w.stored(t); string(e.Cursor) != "2" {
		t.Errorf("stored %+v", e)
	}
}
