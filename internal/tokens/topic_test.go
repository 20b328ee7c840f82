package tokens

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

const uk = "shopify/uk"

// TestSavedBeforeUsed: when Save returns, Kafka has the token; when Kafka has not taken it,
// Save fails, and Redis does not know what Kafka does not.
func TestSavedBeforeUsed(t *testing.T) {
	w := newWorld(t)
	k := w.topic()
	w.log.before = func() {
		if w.redis.Exists(k.copyKey(uk)) {
			t.Error("Redis had the token before Kafka")
		}
	}
	save(t, k, uk, "first")
	w.log.before = nil
	if n := len(w.log.values(uk)); n != 1 {
		t.Fatalf("%d records after Save, want 1", n)
	}
	w.log.fail = errors.New("not enough replicas")
	if err := k.Save(t.Context(), uk, []byte("second"), 0); err == nil || strings.Contains(err.Error(), "second") {
		t.Errorf("Kafka took nothing: %v", err)
	}
	want(t, w.topic(), uk, "first")
	w.log.fail = nil
	save(t, k, uk, "second")
	want(t, w.topic(), uk, "second")
	for _, v := range w.log.values(uk) {
		if bytes.Contains(v, []byte("first")) || bytes.Contains(v, []byte("second")) {
			t.Error("the topic holds plain text")
		}
	}
	if v, _ := w.redis.Get(k.copyKey(uk)); v == "" || strings.Contains(v, "second") {
		t.Errorf("Redis' copy: %q", v)
	}
}

// TestAnswerLost: Kafka wrote and its answer was lost; the same process saves again.
func TestAnswerLost(t *testing.T) {
	w := newWorld(t)
	k := w.topic()
	save(t, k, uk, "first")
	w.log.fail, w.log.written = errors.New("timed out"), true
	if err := k.Save(t.Context(), uk, []byte("second"), 0); err == nil || superseded(err) {
		t.Fatalf("got %v, want the timeout", err)
	}
	w.log.fail = nil
	save(t, k, uk, "second")
	want(t, w.topic(), uk, "second")
}

func TestRedisWiped(t *testing.T) {
	w := newWorld(t)
	k := w.topic()
	save(t, k, uk, "first")
	save(t, k, uk, "second")
	w.redis.FlushAll()
	want(t, k, uk, "second")
	want(t, w.topic(), uk, "second")
	if !w.redis.Exists(k.copyKey(uk)) {
		t.Error("the second copy was not made again")
	}
	w.redis.SetError("Redis is away")
	want(t, w.topic(), uk, "second")
}

// TestRedisFellBack: an older copy does not win, and is replaced.
func TestRedisFellBack(t *testing.T) {
	w := newWorld(t)
	k := w.topic()
	save(t, k, uk, "first")
	old, _ := w.redis.Get(k.copyKey(uk))
	save(t, k, uk, "second")
	newest, _ := w.redis.Get(k.copyKey(uk))
	for _, who := range []*Topic{k, w.topic()} {
		if err := w.redis.Set(k.copyKey(uk), old); err != nil {
			t.Fatal(err)
		}
		want(t, who, uk, "second")
		if got, _ := w.redis.Get(k.copyKey(uk)); got != newest {
			t.Error("the old copy still stands in Redis")
		}
	}
	// And the version goes on from the newest one.
	if err := w.redis.Set(k.copyKey(uk), old); err != nil {
		t.Fatal(err)
	}
	save(t, k, uk, "third")
	want(t, w.topic(), uk, "third")
}

// TestKafkaFellBack: a replica that lagged became leader. Redis' newer copy wins, and is in
// the topic before it is handed out.
func TestKafkaFellBack(t *testing.T) {
	w := newWorld(t)
	save(t, w.topic(), uk, "first")
	save(t, w.topic(), uk, "second")
	w.log.records = w.log.records[:1]
	w.log.fail = errors.New("away")
	if _, err := w.topic().Load(t.Context(), uk); err == nil {
		t.Error("a token was handed out that Kafka does not have")
	}
	w.log.fail = nil
	want(t, w.topic(), uk, "second")
	w.redis.FlushAll()
	want(t, w.topic(), uk, "second")
}

// TestLateWriter: a process slept through the end of its lock, and its older token came into
// the log last. The newest wins, also after compaction.
func TestLateWriter(t *testing.T) {
	w := newWorld(t)
	save(t, w.topic(), uk, "first")
	old := w.log.values(uk)[0]
	save(t, w.topic(), uk, "second")
	w.log.put(uk, old)
	want(t, w.topic(), uk, "second")
	all := w.log.values(uk)
	w.redis.FlushAll()
	w.log.records = w.log.records[len(all)-1:] // compacted
	want(t, w.topic(), uk, "second")
}

// TestSuperseded: a refresh took longer than its lock. What it brought is dead by then and is
// refused, before and after the other one has written.
func TestSuperseded(t *testing.T) {
	w := newWorld(t)
	slow, quick := w.topic(), w.topic()
	save(t, slow, uk, "first")
	want(t, slow, uk, "first")
	want(t, quick, uk, "first")
	if err := quick.Save(t.Context(), uk, []byte("second of quick"), 900); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := slow.Save(t.Context(), uk, []byte("second of slow"), 800); !superseded(err) || strings.Contains(err.Error(), "of slow") {
			t.Fatalf("got %v, want superseded", err)
		}
	}
	want(t, slow, uk, "second of quick") // it loads again, and goes on from there
	save(t, slow, uk, "third")
	want(t, quick, uk, "third")

	// Between its look and its write: the lower number of its lock decides.
	want(t, slow, uk, "third")
	w.log.before = func() {
		w.log.before = nil
		if err := w.topic().Save(t.Context(), uk, []byte("fourth of quick"), 2000); err != nil {
			t.Error(err)
		}
	}
	if err := slow.Save(t.Context(), uk, []byte("fourth of slow"), 1900); !superseded(err) {
		t.Fatalf("got %v, want superseded", err)
	}
	want(t, w.topic(), uk, "fourth of quick")
}

// TestLocksGiveTheVersion: the store hands the number of the lock that it holds to the keeper.
func TestLocksGiveTheVersion(t *testing.T) {
	w := newWorld(t)
	s := w.store()
	var versions []uint64
	for _, value := range []string{"first", "second"} {
		unlock, err := s.Lock(t.Context(), uk)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Save(t.Context(), uk, []byte(value)); err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		fence := s.fences[uk]
		s.mu.Unlock()
		list, err := w.topic().List(t.Context())
		if err != nil || len(list) != 1 || list[0].Version != fence || fence == 0 {
			t.Errorf("%+v, %v, want the version %d", list, err, fence)
		}
		versions = append(versions, fence)
		unlock()
		unlock() // always safe
	}
	if versions[1] <= versions[0] {
		t.Errorf("versions %v do not grow", versions)
	}
	if len(s.fences) != 0 {
		t.Errorf("%d locks are remembered", len(s.fences))
	}
}

// TestWrongKey names the key and says what to do; with the key back, all is as it was.
func TestWrongKey(t *testing.T) {
	w := newWorld(t)
	save(t, w.topic(keyA), uk, "first")
	_, err := w.topic(keyB).Load(t.Context(), uk)
	if err == nil || !strings.Contains(err.Error(), "tokens.previous_keys") || !strings.Contains(err.Error(), "tokens.v1/0@0") {
		t.Errorf("with another key: %v", err)
	}
	want(t, w.topic(keyB, keyA), uk, "first")
	// The owner authorised again, under the new key: the old record is of no matter any more.
	again := w.topic(keyB)
	save(t, again, uk, "authorised again")
	want(t, again, uk, "authorised again")
	want(t, w.topic(keyB), uk, "authorised again")
}

// TestRotation: sealed anew, the previous key can go. Nothing is lost when a token is saved
// meanwhile.
func TestRotation(t *testing.T) {
	w := newWorld(t)
	old := w.topic(keyA, keyB)
	save(t, old, uk, "first")
	save(t, old, "ebay/de/user", "other")
	next := w.topic(keyB, keyA)
	if _, err := next.List(t.Context()); err != nil {
		t.Fatal(err)
	}
	save(t, old, uk, "second")
	if n, err := next.Reseal(t.Context()); n != 2 || err != nil {
		t.Fatalf("%d sealed anew, %v; want 2", n, err)
	}
	if n, err := next.Reseal(t.Context()); n != 0 || err != nil {
		t.Errorf("once more: %d sealed anew, %v", n, err)
	}
	bare := w.topic(keyB)
	want(t, bare, uk, "second")
	want(t, bare, "ebay/de/user", "other")
	list, err := bare.List(t.Context())
	if err != nil || len(list) != 2 || !list[0].Current || !list[1].Current {
		t.Errorf("list: %+v, %v", list, err)
	}
	// Who still has both goes on.
	want(t, old, uk, "second")
	save(t, old, uk, "third")
	want(t, w.topic(keyB, keyA), uk, "third")
}

// TestMoved: a value under another connection's name, or in another scope, is refused.
func TestMoved(t *testing.T) {
	w := newWorld(t)
	save(t, w.topic(), uk, "of the UK")
	w.log.put("shopify/de", w.log.values(uk)[0])
	_, err := w.topic().Load(t.Context(), "shopify/de")
	if err == nil || !strings.Contains(err.Error(), "another connection") || strings.Contains(err.Error(), "of the UK") {
		t.Errorf("moved: %v", err)
	}
	ring, _ := NewKeys(keyA)
	if _, err := ring.open("acme.production.", uk, w.log.values(uk)[0]); !errors.Is(err, errDamaged) {
		t.Errorf("in another scope: %v", err)
	}
	// In Redis it is passed over: the topic counts.
	k := w.topic()
	if err := w.redis.Set(k.copyKey("shopify/fr"), string(w.log.values(uk)[0])); err != nil {
		t.Fatal(err)
	}
	if got, err := k.Load(t.Context(), "shopify/fr"); got != nil || err != nil {
		t.Errorf("moved in Redis: %q, %v", got, err)
	}
}

// TestEveryFlippedBit and every cut is refused, in the topic and in Redis: never read as none,
// never as the token before it.
func TestEveryFlippedBit(t *testing.T) {
	ring, err := NewKeys(keyA)
	if err != nil {
		t.Fatal(err)
	}
	good, err := ring.seal(scopeText, uk, 7, []byte("refresh-token"))
	if err != nil {
		t.Fatal(err)
	}
	if o, err := ring.open(scopeText, uk, good); err != nil || o.version != 7 || string(o.value) != "refresh-token" {
		t.Fatalf("unharmed: %+v, %v", o, err)
	}
	for i := range good {
		for bit := range 8 {
			b := bytes.Clone(good)
			b[i] ^= 1 << bit
			if o, err := ring.open(scopeText, uk, b); err == nil || o.value != nil || o.version != 0 {
				t.Fatalf("byte %d bit %d: %+v, %v", i, bit, o, err)
			}
		}
		if _, err := ring.open(scopeText, uk, good[:i]); err == nil {
			t.Fatalf("cut at %d: no error", i)
		}
	}
	w := newWorld(t)
	k := w.topic()
	save(t, k, uk, "first")
	save(t, k, uk, "second")
	last := w.log.values(uk)[1]
	for _, at := range []int{0, versionAt, valueHead, len(last) - 1} {
		b := bytes.Clone(last)
		b[at] ^= 1
		w.log.put(uk, b)
		for _, who := range []*Topic{k, w.topic()} {
			if got, err := who.Load(t.Context(), uk); err == nil || got != nil || !strings.Contains(err.Error(), "authorise the connection again") {
				t.Fatalf("byte %d: %q, %v", at, got, err)
			}
		}
	}
	if n, err := k.Reseal(t.Context()); n != 0 || err == nil {
		t.Errorf("sealing anew what cannot be read: %d, %v", n, err)
	}
	// What the owner gives again counts.
	save(t, k, uk, "authorised again")
	want(t, w.topic(), uk, "authorised again")
}

// TestOneRefreshAtATime: 32 in four processes, each token refreshed exactly once.
func TestOneRefreshAtATime(t *testing.T) {
	w := newWorld(t)
	var refreshes atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		s := w.store()
		for range 8 {
			wg.Go(func() {
				unlock, err := s.Lock(t.Context(), uk)
				if err != nil {
					t.Error(err)
					return
				}
				defer unlock()
				if b, err := s.Load(t.Context(), uk); err != nil || b != nil {
					if err != nil {
						t.Error(err)
					}
					return
				}
				refreshes.Add(1)
				if err := s.Save(t.Context(), uk, []byte("new")); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if refreshes.Load() != 1 {
		t.Errorf("%d refreshes, want 1", refreshes.Load())
	}
}
