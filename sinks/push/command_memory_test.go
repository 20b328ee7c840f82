package push

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	goredis "github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/helloword/crossdock/schemas/event"
)

func redisCommands(t *testing.T, m *miniredis.Miniredis) *RedisCommands {
	t.Helper()
	c := goredis.NewClient(&goredis.Options{Addr: m.Addr()})
	t.Cleanup(func() { _ = c.Close() })
	return NewRedisCommands(c, testScope, slog.New(slog.DiscardHandler))
}

// TestRedisCommandsBehavesAsTheModel: the tests' memory and the real one answer alike to any
// sequence of one process.
func TestRedisCommandsBehavesAsTheModel(t *testing.T) {
	mini := miniredis.RunT(t)
	real := redisCommands(t, mini)
	ctx := context.Background()
	rapid.Check(t, func(rt *rapid.T) {
		mini.FlushAll()
		model := newBegun()
		for range rapid.IntRange(1, 12).Draw(rt, "n") {
			var tries []CommandTry
			var keys []string
			for _, id := range []string{"a", "b|c"} {
				tg := ship(id, 0)
				tg.Version = &event.Version{
					Epoch:  rapid.Int64Range(0, 2).Draw(rt, "epoch"),
					Number: rapid.SampledFrom([]int64{0, 2, 9, 10, 1 << 62}).Draw(rt, "number"),
				}
				tries = append(tries, CommandTry{Key: commandKey(tg), Target: tg, Offset: rapid.Int64Range(0, 99).Draw(rt, "offset")})
				keys = append(keys, commandKey(tg))
			}
			got, err := real.Begin(ctx, "uk", tries, time.Minute)
			if err != nil {
				rt.Fatal(err)
			}
			want, _ := model.Begin(ctx, "uk", tries, time.Minute)
			if d := cmp.Diff(knownText(want), knownText(got)); d != "" {
				rt.Fatalf("begin (-model +redis):\n%s", d)
			}
			if rapid.Bool().Draw(rt, "end") {
				if err := real.End(ctx, "uk", keys); err != nil {
					rt.Fatal(err)
				}
			}
		}
	})
}

func knownText(all []CommandKnown) (out []string) {
	for _, k := range all {
		out = append(out, fmt.Sprint(k.Held, k.NewerOffset, k.Newer))
	}
	return out
}

// TestOneProcessAtACommand: who began keeps others from it until it ends, or until it cannot be
// at it any more; and what is remembered goes by itself.
func TestOneProcessAtACommand(t *testing.T) {
	mini := miniredis.RunT(t)
	one, other := redisCommands(t, mini), redisCommands(t, mini)
	ctx := context.Background()
	try := []CommandTry{{Key: "uk/A", Target: ship("A", 1)}}
	held := func(m *RedisCommands) bool {
		t.Helper()
		known, err := m.Begin(ctx, "uk", try, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return known[0].Held
	}
	if held(one) || held(one) {
		t.Fatal("it is held against its own holder")
	}
	if !held(other) {
		t.Fatal("two are at it")
	}
	if err := other.End(ctx, "uk", []string{"uk/A"}); err != nil || !held(other) {
		t.Fatalf("somebody who does not hold it ended it: %v", err)
	}
	if err := one.End(ctx, "uk", []string{"uk/A"}); err != nil || held(other) {
		t.Fatalf("it is held after its end: %v", err)
	}
	mini.FastForward(59 * time.Second)
	if !held(one) {
		t.Error("it ended too early")
	}
	mini.FastForward(time.Second)
	if held(one) {
		t.Error("a holder that was killed holds it for ever")
	}
	mini.FastForward(commandsKept)
	if keys := mini.Keys(); len(keys) > 0 {
		t.Errorf("this is kept for ever: %v", keys)
	}
}
