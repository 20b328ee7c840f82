package stream

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/helloword/crossdock/internal/testkit"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

var (
	tableA = &Table{Name: "a", Topic: sums, Deletes: true, New: func() Message { return new(event.Claim) }}
	tableB = &Table{Name: "b", Topic: sums, Deletes: true, New: func() Message { return new(event.Claim) }}
	here   = partition{"sums.in.v1", 3}
)

// onRedis runs a test on miniredis and on the real one; each has keys of its own.
func onRedis(t *testing.T, f func(t *testing.T, client redis.UniversalClient, tenant string)) {
	run := func(t *testing.T, addr string) {
		client := redis.NewClient(&redis.Options{Addr: addr})
		t.Cleanup(func() { _ = client.Close() })
		f(t, client, "t"+nonce())
	}
	t.Run("miniredis", func(t *testing.T) { run(t, miniredis.RunT(t).Addr()) })
	t.Run("redis", func(t *testing.T) { run(t, testkit.Redis(t)) })
}

func nonce() string {
	var b [5]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func scopeOf(tenant string) schemas.Scope {
	return schemas.Scope{Tenant: tenant, Environment: schemas.Test}
}

// TestStoreAgainstMemory: the script does what the same rules in Go do, whatever it is asked.
func TestStoreAgainstMemory(t *testing.T) {
	onRedis(t, func(t *testing.T, client redis.UniversalClient, tenant string) {
		run := 0
		rapid.Check(t, func(rt *rapid.T) {
			run++
			ctx := context.Background()
			got := newRedisStore(client, scopeOf(fmt.Sprintf("%s-%d", tenant, run)), "room", []*Table{tableA, tableB})
			want := newMemoryStore()
			id := rapid.SampledFrom([]string{"", "k1", "k2", "k3", "a b\r\n", "\x00\xff", "{x}"})
			everything := func() []Key {
				var keys []Key
				for _, table := range []*Table{tableA, tableB} {
					for _, k := range []string{"", "k1", "k2", "k3", "a b\r\n", "\x00\xff", "{x}"} {
						keys = append(keys, Key{table, k})
					}
				}
				return keys
			}
			for range rapid.IntRange(1, 12).Draw(rt, "calls") {
				if rapid.IntRange(0, 9).Draw(rt, "flush") == 0 {
					if err := client.ScriptFlush(ctx).Err(); err != nil {
						rt.Fatal(err)
					}
				}
				r := &applyRequest{base: want.wm}
				if rapid.IntRange(0, 3).Draw(rt, "stale") == 0 {
					r.base = rapid.Int64Range(-1, 60).Draw(rt, "base")
				}
				// A batch of repeats ends at or below base.
				r.last = max(0, r.base+rapid.Int64Range(-5, 10).Draw(rt, "last"))
				written := make(map[Key]bool)
				for range rapid.IntRange(0, 6).Draw(rt, "writes") {
					w := write{key: Key{rapid.SampledFrom([]*Table{tableA, tableB}).Draw(rt, "table"), id.Draw(rt, "id")}}
					if written[w.key] {
						continue
					}
					written[w.key] = true
					if rapid.IntRange(0, 2).Draw(rt, "delete") > 0 {
						w.stored = rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(rt, "stored")
					}
					r.writes = append(r.writes, w)
				}
				for range rapid.IntRange(0, 8).Draw(rt, "marks") {
					r.marks = append(r.marks, mark{
						period:  rapid.Int64Range(100, 103).Draw(rt, "period"),
						bucket:  rapid.Uint32Range(0, 1).Draw(rt, "bucket"),
						field:   [12]byte{rapid.Byte().Draw(rt, "field") % 4},
						coord:   rapid.Int64Range(0, 5).Draw(rt, "coord"),
						expires: rapid.Bool().Draw(rt, "expires"),
						late:    rapid.Bool().Draw(rt, "late"),
					})
				}
				a, err := got.apply(ctx, here, r)
				if err != nil {
					rt.Fatal(err)
				}
				b, _ := want.apply(ctx, here, r)
				if diff := cmp.Diff(b, a, cmp.AllowUnexported(applyAnswer{}), cmpopts.EquateEmpty()); diff != "" {
					rt.Fatalf("apply (-memory +redis):\n%s", diff)
				}
				wm, stored, err := got.load(ctx, here, everything())
				if err != nil {
					rt.Fatal(err)
				}
				wantWM, wantStored, _ := want.load(ctx, here, everything())
				if diff := cmp.Diff(wantStored, stored, cmpopts.EquateEmpty()); diff != "" || wm != wantWM {
					rt.Fatalf("load: watermark %d, want %d; (-memory +redis):\n%s", wm, wantWM, diff)
				}
			}
		})
	})
}

// TestStoreLargeBatch: more entries than Lua can unpack at once, more arguments than its stack.
func TestStoreLargeBatch(t *testing.T) {
	onRedis(t, func(t *testing.T, client redis.UniversalClient, tenant string) {
		ctx := t.Context()
		got := newRedisStore(client, scopeOf(tenant), "room", []*Table{tableA, tableB})
		want := newMemoryStore()
		for round := range 2 {
			r := &applyRequest{base: want.wm, last: int64(round+1) * 10_000}
			var keys []Key
			for i := range 2501 {
				a, b := Key{tableA, fmt.Sprint("k", i)}, Key{tableB, fmt.Sprint("k", i)}
				keys = append(keys, a, b)
				r.writes = append(r.writes, write{key: a, stored: fmt.Append(nil, round, i)})
				if round == 0 {
					r.writes = append(r.writes, write{key: b, stored: []byte{1}})
				} else if i%2 == 0 {
					r.writes = append(r.writes, write{key: b})
				}
			}
			for i := range 3000 {
				m := mark{period: 7 + int64(round), bucket: uint32(i % dedupBuckets), coord: int64(i)}
				m.field[0], m.field[1] = byte(i), byte(i>>8)
				if round == 1 && i%3 == 0 {
					m.coord++ // another record with the same event
				}
				r.marks = append(r.marks, m)
			}
			if n := 4 + len(r.writes) + 5*len(r.marks); n < 8000 {
				t.Fatalf("the batch has only %d arguments", n)
			}
			a, err := got.apply(ctx, here, r)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := want.apply(ctx, here, r)
			if diff := cmp.Diff(b, a, cmp.AllowUnexported(applyAnswer{})); diff != "" {
				t.Fatalf("round %d (-memory +redis):\n%s", round, diff)
			}
			wm, stored, err := got.load(ctx, here, keys)
			if err != nil {
				t.Fatal(err)
			}
			_, wantStored, _ := want.load(ctx, here, keys)
			if diff := cmp.Diff(wantStored, stored); diff != "" || wm != r.last {
				t.Fatalf("round %d: watermark %d, want %d; %s", round, wm, r.last, diff)
			}
		}
	})
}

// TestMarksExpire: a bucket of marks is given its lifetime when that is asked for.
func TestMarksExpire(t *testing.T) {
	onRedis(t, func(t *testing.T, client redis.UniversalClient, tenant string) {
		st := newRedisStore(client, scopeOf(tenant), "room", nil)
		for i := range 5 {
			r := &applyRequest{base: int64(i) - 1, last: int64(i), marks: []mark{{period: 50, bucket: uint32(i % 2), field: [12]byte{byte(i)}, coord: int64(i), expires: i < 2}}}
			if _, err := st.apply(t.Context(), here, r); err != nil {
				t.Fatal(err)
			}
		}
		for _, bucket := range []string{"0", "1"} {
			ttl, err := client.PTTL(t.Context(), st.dedupKey(here, 50)+bucket).Result()
			if err != nil || ttl <= dedupPeriod || ttl > 2*dedupPeriod {
				t.Errorf("bucket %s lives %s (%v), want two periods of %s", bucket, ttl, err, dedupPeriod)
			}
		}
	})
}

// TestDuplicateAcrossTheWeek: an event that two machines bring, whose clocks differ by a little,
// is one event also where one generation of marks ends and the next begins.
func TestDuplicateAcrossTheWeek(t *testing.T) {
	onRedis(t, func(t *testing.T, client redis.UniversalClient, tenant string) {
		room, err := NewRoom(onceRoom{}, "test")
		if err != nil {
			t.Fatal(err)
		}
		monday := 2900 * dedupPeriod.Milliseconds()
		skew := dedupSkew.Milliseconds()
		for name, times := range map[string][2]int64{
			"behind, then ahead": {monday - 1, monday + 1},
			"ahead, then behind": {monday + 1, monday - 1},
			"far ahead":          {monday + skew, monday - skew},
			"a week later":       {monday - 1, monday + dedupPeriod.Milliseconds() - 1},
		} {
			for _, batches := range []int{1, 2} {
				t.Run(fmt.Sprintf("%s/%d", name, batches), func(t *testing.T) {
					st := newRedisStore(client, scopeOf(fmt.Sprintf("%s%d%s", tenant, batches, strings.ReplaceAll(name, " ", "-"))), room.name, room.stored())
					s := newSession(room, here, sumsIn, st, -1)
					records := make([]*Record, 2)
					for i := range records {
						records[i] = &Record{Topic: sumsIn, Offset: int64(i), Value: []byte("the-same-event"), TimestampMs: times[i]}
					}
					duplicates := 0
					for part := range slices.Chunk(records, 2/batches) {
						h, err := s.handle(t.Context(), part)
						if err != nil {
							t.Fatal(err)
						}
						duplicates += h.duplicates
					}
					if duplicates != 1 {
						t.Errorf("%d duplicates, want 1", duplicates)
					}
				})
			}
		}
	})
}

// TestEveryBucketHasALifetime: whichever session writes it first, also after Redis fell back to
// before it was written.
func TestEveryBucketHasALifetime(t *testing.T) {
	onRedis(t, func(t *testing.T, client redis.UniversalClient, tenant string) {
		ctx := t.Context()
		room, err := NewRoom(onceRoom{}, "test")
		if err != nil {
			t.Fatal(err)
		}
		st := newRedisStore(client, scopeOf(tenant), room.name, room.stored())
		s := newSession(room, here, sumsIn, st, -1)
		next := int64(0)
		handle := func(n int, period int64) {
			t.Helper()
			batch := make([]*Record, n)
			for i := range batch {
				id := fmt.Appendf(nil, "event-number-%d", next%700)
				batch[i] = &Record{Topic: sumsIn, Offset: next, Value: id, TimestampMs: period * dedupPeriod.Milliseconds()}
				next++
			}
			if _, err := s.handle(ctx, batch); err != nil {
				t.Fatal(err)
			}
		}
		keys := func() []string {
			t.Helper()
			all, err := client.Keys(ctx, st.scope.Key("d:*")).Result()
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		handle(300, 2900)
		handle(300, 2900)
		handle(300, 2901)
		s = newSession(room, here, sumsIn, st, next-1)
		handle(300, 2901)
		if n := len(keys()); n < 500 {
			t.Fatalf("only %d buckets", n)
		}
		if err := client.Del(ctx, keys()...).Err(); err != nil {
			t.Fatal(err)
		}
		back := next - 1000
		if err := client.Set(ctx, st.watermarkKey(here), back-1, 0).Err(); err != nil {
			t.Fatal(err)
		}
		_, err = s.handle(ctx, []*Record{{Topic: sumsIn, Offset: next, Value: []byte("event-number-x"), TimestampMs: 1}})
		if gap, ok := asGap(err); !ok || gap.next != back {
			t.Fatalf("the session was told %v, want a gap", err)
		}
		next = back
		handle(1000, 2901)
		for _, k := range keys() {
			if ttl := client.PTTL(ctx, k).Val(); ttl <= 0 {
				t.Fatalf("bucket %s lives for ever", k)
			}
		}
		if n := len(keys()); n < 500 {
			t.Fatalf("only %d buckets after the gap", n)
		}
	})
}

// TestStoreKeysShareOneSlot: all keys of a partition have one hash tag, so that a cluster takes
// the call and a fail-over cuts all of them at one moment.
func TestStoreKeysShareOneSlot(t *testing.T) {
	st := newRedisStore(nil, scopeOf("acme"), "room", []*Table{tableA})
	tag := func(key string) string {
		return key[strings.Index(key, "{") : strings.Index(key, "}")+1]
	}
	want := tag(st.watermarkKey(here))
	for _, k := range []string{st.tableKey(tableA, here), st.dedupKey(here, 9) + "77"} {
		if got := tag(k); got != want {
			t.Errorf("key %s has tag %s, want %s", k, got, want)
		}
	}
	if other := tag(st.watermarkKey(partition{here.topic, here.id + 1})); other == want {
		t.Errorf("two partitions share the tag %s", want)
	}
}

// TestStoreRefusesForeignTable: a programming error is told, not written somewhere.
func TestStoreRefusesForeignTable(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer client.Close()
	st := newRedisStore(client, scopeOf("acme"), "room", []*Table{tableA})
	if _, _, err := st.load(t.Context(), here, []Key{{tableB, "k"}}); err == nil || !strings.Contains(err.Error(), "does not belong") {
		t.Errorf("loading from another room's table: %v", err)
	}
}

// unsure is a store whose answers get lost: before the call took effect, or after.
type unsure struct {
	store
	before, after int // calls of apply to be lost
	loads         int
}

var errLost = errors.New("i/o timeout")

func (u *unsure) load(ctx context.Context, p partition, keys []Key) (int64, [][]byte, error) {
	if u.loads > 0 {
		u.loads--
		return 0, nil, errLost
	}
	return u.store.load(ctx, p, keys)
}

func (u *unsure) apply(ctx context.Context, p partition, r *applyRequest) (applyAnswer, error) {
	if u.before > 0 {
		u.before--
		return applyAnswer{}, errLost
	}
	a, err := u.store.apply(ctx, p, r)
	if u.after > 0 {
		u.after--
		return applyAnswer{}, errLost
	}
	return a, err
}
