package embedded

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

func redisClient(t testing.TB, addr string) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func startRedis(t testing.TB, dir string, every time.Duration) *Redis {
	t.Helper()
	r, err := NewRedis(RedisConfig{Dir: dir, SnapshotEvery: every})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// content reads everything a client can see.
func content(t testing.TB, c *redis.Client) map[string]any {
	t.Helper()
	ctx := t.Context()
	all := map[string]any{}
	for _, k := range c.Keys(ctx, "*").Val() {
		switch typ := c.Type(ctx, k).Val(); typ {
		case "string":
			all[k] = c.Get(ctx, k).Val()
		case "hash":
			all[k] = c.HGetAll(ctx, k).Val()
		case "list":
			all[k] = c.LRange(ctx, k, 0, -1).Val()
		case "set":
			all[k] = c.SMembersMap(ctx, k).Val()
		case "zset":
			all[k] = c.ZRangeWithScores(ctx, k, 0, -1).Val()
		default:
			t.Fatalf("key %q is a %q", k, typ)
		}
	}
	return all
}

func TestRedisKeepsEverythingOverAStop(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	r := startRedis(t, dir, time.Hour)
	c := redisClient(t, r.Addr())
	nasty := "a\r\nb\x00\xff'\"$5\r\n"
	c.Set(ctx, "string "+nasty, nasty, 0)
	c.Set(ctx, "empty", "", 0)
	c.Set(ctx, "short", "v", time.Hour)
	for i := range 1300 { // more than one command of the file
		c.HSet(ctx, "hash", fmt.Sprintf("f%d", i), i)
	}
	c.HSet(ctx, "hash", nasty, nasty)
	c.RPush(ctx, "list", "c", "a", "b", nasty)
	c.SAdd(ctx, "set", "x", "y", nasty)
	c.ZAdd(ctx, "zset", redis.Z{Score: 1.5, Member: "m"}, redis.Z{Score: math.Inf(1), Member: "inf"}, redis.Z{Score: 9007199254740991, Member: "big"})
	if err := c.Do(ctx, "SELECT", "0").Err(); err != nil {
		t.Fatal(err)
	}
	other := redis.NewClient(&redis.Options{Addr: r.Addr(), DB: 3})
	other.Set(ctx, "in three", "3", 0)
	_ = other.Close()
	want := content(t, c)
	_ = c.Close()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}

	r = startRedis(t, dir, time.Hour)
	c = redisClient(t, r.Addr())
	if diff := cmp.Diff(want, content(t, c)); diff != "" {
		t.Errorf("after a restart (-want +got):\n%s", diff)
	}
	if ttl := c.PTTL(ctx, "short").Val(); ttl <= 0 || ttl > time.Hour {
		t.Errorf("time to live after a restart: %s", ttl)
	}
	if ttl := c.PTTL(ctx, "empty").Val(); ttl != -1 {
		t.Errorf("a key without expiry got one: %s", ttl)
	}
	other = redis.NewClient(&redis.Options{Addr: r.Addr(), DB: 3})
	defer func() { _ = other.Close() }()
	if got := other.Get(ctx, "in three").Val(); got != "3" {
		t.Errorf("database 3: %q", got)
	}
}

func TestRedisExpiresByItself(t *testing.T) {
	r := startRedis(t, "", 0)
	c := redisClient(t, r.Addr())
	if ok := c.SetNX(t.Context(), "lock", "me", 50*time.Millisecond).Val(); !ok {
		t.Fatal("the lock was taken")
	}
	eventually(t, "the lock expires", func() bool { return c.SetNX(t.Context(), "lock", "you", time.Hour).Val() })
}

func TestRedisDropsWhatExpiredWhileAway(t *testing.T) {
	dir := t.TempDir()
	at := time.Now()
	body := command(nil, "SELECT", "0")
	body = append(body, command(nil, "SET", "gone", "1")...)
	body = append(body, command(nil, "PEXPIREAT", "gone", fmt.Sprint(at.Add(-time.Second).UnixMilli()))...)
	body = append(body, command(nil, "SET", "kept", "1")...)
	body = append(body, command(nil, "PEXPIREAT", "kept", fmt.Sprint(at.Add(time.Hour).UnixMilli()))...)
	if err := os.WriteFile(filepath.Join(dir, "snapshot.aof"), seal(body), 0o600); err != nil {
		t.Fatal(err)
	}
	c := redisClient(t, startRedis(t, dir, time.Hour).Addr())
	if diff := cmp.Diff(map[string]any{"kept": "1"}, content(t, c)); diff != "" {
		t.Error(diff)
	}
}

func TestRedisRunsScripts(t *testing.T) {
	dir := t.TempDir()
	r := startRedis(t, dir, time.Hour)
	c := redisClient(t, r.Addr())
	s := redis.NewScript(`
		local have = redis.call('HGET', KEYS[1], 'v')
		if have and tonumber(have) >= tonumber(ARGV[1]) then return 0 end
		redis.call('HSET', KEYS[1], 'v', ARGV[1])
		return 1`)
	for i, want := range []int64{1, 0, 1} {
		got, err := s.Run(t.Context(), c, []string{"k"}, []int{5, 5, 6}[i]).Int64()
		if err != nil || got != want {
			t.Errorf("run %d: %d, %v; want %d", i, got, err, want)
		}
	}
	// A script's writes count as changes, though EVALSHA itself does not.
	if !r.changed() {
		t.Error("a script's write did not ask for a snapshot")
	}
}

func TestRedisSnapshotsOnlyAfterChanges(t *testing.T) {
	r := startRedis(t, t.TempDir(), time.Hour)
	c := redisClient(t, r.Addr())
	ctx := t.Context()
	if r.changed() {
		t.Error("a new server asks for a snapshot")
	}
	c.Set(ctx, "k", "v", 0)
	if !r.changed() {
		t.Fatal("a SET does not ask for a snapshot")
	}
	for range 2 { // one more than the change needs: see changed
		if err := r.Snapshot(); err != nil {
			t.Fatal(err)
		}
	}
	c.Get(ctx, "k")
	c.Ping(ctx)
	c.TxPipelined(ctx, func(p redis.Pipeliner) error { p.HGetAll(ctx, "h"); return nil })
	if r.changed() {
		t.Error("reading asks for a snapshot")
	}
	c.PExpire(ctx, "k", time.Hour)
	if !r.changed() {
		t.Error("PEXPIRE does not ask for a snapshot")
	}
}

// A snapshot taken while scripts move units between two keys must find each move
// whole: the sum is constant at every point in time.
func TestRedisSnapshotIsAPointInTime(t *testing.T) {
	dir := t.TempDir()
	r := startRedis(t, dir, time.Hour)
	c := redisClient(t, r.Addr())
	c.Set(t.Context(), "a", 1000, 0)
	c.HSet(t.Context(), "z", "n", 0)
	for i := range 2000 { // keys between the two, so that the copy takes a while
		c.Set(t.Context(), fmt.Sprintf("m%04d", i), i, 0)
	}
	move := redis.NewScript(`redis.call('DECR', 'a'); redis.call('HINCRBY', 'z', 'n', 1); return 1`)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_ = move.Run(ctx, c, nil).Err()
		}
	}()
	for range 20 {
		if err := r.Snapshot(); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(r.path)
		if err != nil {
			t.Fatal(err)
		}
		copyDir := t.TempDir()
		if err := os.WriteFile(filepath.Join(copyDir, "snapshot.aof"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		back, err := NewRedis(RedisConfig{Dir: copyDir})
		if err != nil {
			t.Fatal(err)
		}
		rc := redis.NewClient(&redis.Options{Addr: back.Addr()})
		a, _ := rc.Get(t.Context(), "a").Int()
		z, _ := rc.HGet(t.Context(), "z", "n").Int()
		if a+z != 1000 {
			t.Errorf("a=%d, z=%d: half of a move", a, z)
		}
		_ = rc.Close()
		_ = back.Close()
	}
	stop()
	<-done
}

func TestRedisFallsBackToTheLastSnapshotAfterAKill(t *testing.T) {
	dir := t.TempDir()
	p := spawn(t, "redis", dir, "127.0.0.1:0")
	c := redisClient(t, p.addr)
	c.HSet(t.Context(), "state", "n", 1)
	eventually(t, "the snapshot holds the state", func() bool {
		b, _ := os.ReadFile(filepath.Join(dir, "snapshot.aof"))
		return bytes.Contains(b, []byte("state"))
	})
	p.kill()
	q := spawn(t, "redis", dir, p.addr) // the same port
	if q.addr != p.addr {
		t.Errorf("restarted on %s, not on %s", q.addr, p.addr)
	}
	if got := redisClient(t, q.addr).HGet(t.Context(), "state", "n").Val(); got != "1" {
		t.Errorf("after kill -9: %q", got)
	}
	q.stop()
}

func TestRedisRefusesWhatItCannotKeep(t *testing.T) {
	r := startRedis(t, t.TempDir(), time.Hour)
	c := redisClient(t, r.Addr())
	for _, cmd := range [][]any{{"XADD", "s", "*", "a", "b"}, {"PFADD", "h", "a"}, {"SELECT", "16"}, {dumpCommand, "guess"}} {
		if err := c.Do(t.Context(), cmd...).Err(); err == nil {
			t.Errorf("%v was accepted", cmd)
		}
	}
	if err := r.Snapshot(); err != nil {
		t.Error(err)
	}
}

func TestRedisRefusesADamagedSnapshot(t *testing.T) {
	whole := seal(append(command(nil, "SELECT", "0"), command(nil, "SET", "k", "v")...))
	for name, b := range map[string][]byte{
		"cut":     whole[:len(whole)-1],
		"flipped": bytes.Replace(whole, []byte("v"), []byte("w"), 1),
		"empty":   {},
		"unknown": seal(command(nil, "FLUSHALL", "now", "x")),
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "snapshot.aof"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := NewRedis(RedisConfig{Dir: dir}); err == nil || !strings.Contains(err.Error(), "snapshot.aof") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// seal adds the closing command to a snapshot's body.
func seal(body []byte) []byte {
	return append(bytes.Clone(body), command(nil, "ECHO", endMark+checksum(body))...)
}

func TestRedisSnapshotModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		r, err := NewRedis(RedisConfig{Dir: dir, SnapshotEvery: time.Hour})
		if err != nil {
			rt.Fatal(err)
		}
		c := redis.NewClient(&redis.Options{Addr: r.Addr()})
		ctx := t.Context()
		text := rapid.StringOfN(rapid.RuneFrom([]rune("ab\r\n\x00$*:é")), 0, 5, -1)
		for range rapid.IntRange(0, 30).Draw(rt, "commands") {
			k, v := rapid.SampledFrom([]string{"k1", "k2", "k\r\n3"}).Draw(rt, "key"), text.Draw(rt, "value")
			switch rapid.IntRange(0, 5).Draw(rt, "command") {
			case 0:
				c.Set(ctx, k, v, 0)
			case 1:
				c.HSet(ctx, k, v, v)
			case 2:
				c.SAdd(ctx, k, v)
			case 3:
				c.ZAdd(ctx, k, redis.Z{Score: float64(len(v)), Member: v})
			case 4:
				c.RPush(ctx, k, v)
			case 5:
				c.Del(ctx, k)
			}
		}
		want := content(t, c)
		_ = c.Close()
		if err := r.Close(); err != nil {
			rt.Fatal(err)
		}
		if r, err = NewRedis(RedisConfig{Dir: dir}); err != nil {
			rt.Fatal(err)
		}
		c = redis.NewClient(&redis.Options{Addr: r.Addr()})
		got := content(t, c)
		_ = c.Close()
		_ = r.Close()
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("after a restart (-want +got):\n%s", diff)
		}
	})
}

func FuzzReadReply(f *testing.F) {
	f.Add([]byte("*2\r\n$1\r\na\r\n$0\r\n\r\n"))
	f.Add([]byte(":12\r\n+OK\r\n"))
	f.Add([]byte("$-1\r\n"))
	f.Add([]byte("*999999999\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for range 100 {
			_, rest, err := readReply(b)
			if err != nil || len(rest) == 0 {
				return
			}
			if len(rest) >= len(b) {
				t.Fatalf("%q: nothing was consumed", b)
			}
			b = rest
		}
	})
}

func BenchmarkRedisSnapshot(b *testing.B) {
	for _, fields := range []int{10_000, 300_000} {
		b.Run(strconv.Itoa(fields), func(b *testing.B) {
			r := startRedis(b, b.TempDir(), time.Hour)
			args := make([]string, 0, 200)
			for i := range fields { // direct: the loading is not what is measured
				args = append(args, fmt.Sprintf("order-%d", i), strings.Repeat("s", 100))
				if len(args) == 200 {
					r.mini.HSet(fmt.Sprintf("part-%d", i%64), args...)
					args = args[:0]
				}
			}
			var stall time.Duration
			for b.Loop() {
				r.dumping.Lock()
				began := time.Now()
				if _, _, err := r.copy(); err != nil {
					b.Fatal(err)
				}
				stall += time.Since(began)
				r.dumping.Unlock()
				if err := r.Snapshot(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(stall.Milliseconds())/float64(b.N), "stall-ms/op")
		})
	}
}
