package push

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/helloword/crossdock/internal/testkit"
)

// TestRedisMemoryOnRedis runs the script on the real engine, where Lua is another one.
func TestRedisMemoryOnRedis(t *testing.T) {
	ctx := context.Background()
	c := goredis.NewClient(&goredis.Options{Addr: testkit.Redis(t)})
	defer c.Close()
	m := NewRedisMemory(c, testScope, slog.New(slog.NewTextHandler(io.Discard, nil)))
	account := rand.Text()
	defer c.Del(ctx, m.key(account), m.key(account)+":tried")
	var loaded *Entry
	for i, x := range []struct {
		version, loaded int64
		want            string // the race found
	}{
		{9, 0, ""}, {10, 9, ""}, {9, 9, "newer"}, {11, 9, "older"}, {11, 10, ""},
	} {
		w := Write{Listing: "a", Entry: Entry{Target: target(account, "a", x.version, x.version, true), Offset: int64(i)}}
		if x.loaded > 0 {
			w.Loaded = target("", "", x.loaded, 0, false).Version
		}
		races, err := m.Store(ctx, account, []Write{w})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if races[0] != nil {
			got = "older"
			if races[0].Newer != nil {
				got = "newer"
			}
		}
		if got != x.want {
			t.Errorf("write %d: got race %q, want %q", i, got, x.want)
		}
		known, err := m.Load(ctx, account, []Try{{Listing: "a", Entry: w.Entry}})
		if err != nil || known[0].Accepted == nil {
			t.Fatal(known, err)
		}
		if loaded != nil && compare(known[0].Accepted.Target.Version, loaded.Target.Version) < 0 {
			t.Errorf("write %d: the memory went back", i)
		}
		loaded = known[0].Accepted
	}
	known, err := m.Load(ctx, account, []Try{{Listing: "a", Entry: Entry{Target: target(account, "a", 1, 1, true)}}})
	if err != nil || known[0].Tried.Target.Version.Number != 11 {
		t.Errorf("tried: got %+v, %v; want v11", known, err)
	}
}
