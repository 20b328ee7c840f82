package push

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	goredis "github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

var testScope = schemas.Scope{Tenant: "acme", Environment: schemas.Test}

func redisMemory(t *testing.T) (*RedisMemory, *miniredis.Miniredis, *bytes.Buffer) {
	t.Helper()
	m := miniredis.RunT(t)
	c := goredis.NewClient(&goredis.Options{Addr: m.Addr()})
	t.Cleanup(func() { _ = c.Close() })
	var log bytes.Buffer
	return NewRedisMemory(c, testScope, slog.New(slog.NewTextHandler(&log, nil))), m, &log
}

// TestRedisMemoryBehavesAsTheModel: the tests' memory and the real one answer alike to any
// sequence, so what the sink's tests show holds for both.
func TestRedisMemoryBehavesAsTheModel(t *testing.T) {
	ctx := context.Background()
	real, mini, _ := redisMemory(t)
	rapid.Check(t, func(rt *rapid.T) {
		mini.FlushAll()
		model := newMemory()
		version := rapid.Custom(func(t *rapid.T) *event.Version {
			return &event.Version{Epoch: rapid.Int64Range(0, 2).Draw(t, "epoch"), Number: rapid.SampledFrom([]int64{0, 2, 9, 10, 1 << 62}).Draw(t, "number")}
		})
		for range rapid.IntRange(1, 12).Draw(rt, "n") {
			var writes []Write
			for _, id := range []string{"a", "b|c"} {
				w := Write{Listing: id, Entry: Entry{Target: target("uk", id, 0, 3, true), Offset: rapid.Int64Range(0, 99).Draw(rt, "offset")}}
				w.Entry.Target.Version = version.Draw(rt, "version")
				if rapid.Bool().Draw(rt, "known") {
					w.Loaded = version.Draw(rt, "loaded")
				}
				writes = append(writes, w)
			}
			got, err := real.Store(ctx, "uk", writes)
			if err != nil {
				rt.Fatal(err)
			}
			want, _ := model.Store(ctx, "uk", writes)
			if d := cmp.Diff(text(want), text(got)); d != "" {
				rt.Fatalf("store (-model +redis):\n%s", d)
			}
			var tries []Try
			for _, id := range []string{"a", "b|c", "none"} {
				v := target("uk", id, 0, 3, true)
				v.Version = version.Draw(rt, "try")
				tries = append(tries, Try{Listing: id, Entry: Entry{Target: v, Offset: 7}})
			}
			a, err := real.Load(ctx, "uk", tries)
			if err != nil {
				rt.Fatal(err)
			}
			b, _ := model.Load(ctx, "uk", tries)
			for i := range a {
				if entryText(a[i].Accepted) != entryText(b[i].Accepted) || entryText(a[i].Tried) != entryText(b[i].Tried) {
					rt.Fatalf("load %d: got %s, tried %s; want %s, %s", i, entryText(a[i].Accepted), entryText(a[i].Tried), entryText(b[i].Accepted), entryText(b[i].Tried))
				}
			}
		}
	})
}

func entryText(e *Entry) string {
	if e == nil {
		return "none"
	}
	s, err := encodeEntry(*e)
	if err != nil {
		return err.Error()
	}
	return s
}

func text(rs []*Race) (out []string) {
	for _, r := range rs {
		switch {
		case r == nil:
			out = append(out, "")
		default:
			out = append(out, "race "+entryText(r.Newer))
		}
	}
	return out
}

func TestRedisMemoryTakesDamageForNothing(t *testing.T) {
	ctx := context.Background()
	m, mini, log := redisMemory(t)
	try := []Try{{Listing: "a", Entry: Entry{Target: target("uk", "a", 1, 1, true)}}}
	for _, junk := range []string{"", "x", "1|2|3", versionText(&event.Version{Epoch: 1, Number: 2}) + "|0|"} {
		mini.HSet(m.key("uk"), "a", junk)
		got, err := m.Load(ctx, "uk", try)
		if err != nil || got[0].Accepted != nil {
			t.Errorf("%q: got %v, %v", junk, got, err)
		}
	}
	if !strings.Contains(log.String(), "damaged") {
		t.Error("nobody was told")
	}
	if !strings.HasPrefix(m.key("uk"), "acme.test.push:{uk}") {
		t.Errorf("key %s", m.key("uk"))
	}
	mini.Close()
	if _, err := m.Load(ctx, "uk", try); err == nil {
		t.Error("a dead Redis was not noticed")
	}
	if _, err := m.Store(ctx, "uk", []Write{{Listing: "a", Entry: Entry{Target: target("uk", "a", 1, 1, true)}}}); err == nil {
		t.Error("a dead Redis was not noticed")
	}
}
