package push

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// run gives each scenario a clock of its own: settle lets everybody work until nobody can go
// on, pass lets time go by.
func run(t *testing.T, name string, f func(w *world)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, "uk", "de")
			f(w)
			if w.cancel != nil {
				w.stop(false)
			}
			w.check()
		})
	})
}

func pass(d time.Duration) {
	synctest.Wait()
	time.Sleep(d) // the bubble's clock
	synctest.Wait()
}

func same(t *testing.T, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestTargets(t *testing.T) {
	run(t, "only the newest is written, decreases at once, increases after a moment", func(w *world) {
		w.shops["uk"].shown["b"] = 9
		w.start()
		w.decide(target("uk", "a", 1, 5, false), target("uk", "a", 2, 7, false), target("uk", "b", 3, 0, true))
		synctest.Wait()
		same(w.t, "at once", []string{"b v3 0 accepted"}, w.outcomes())
		same(w.t, "not done yet", int64(1), w.low()) // the superseded one is
		pass(500 * time.Millisecond)
		same(w.t, "then", []string{"b v3 0 accepted", "a v2 7 accepted"}, w.outcomes())
		w.allDone()
		same(w.t, "effects", map[string][]int64{"a": {7}, "b": {0}}, w.shops["uk"].applied)
	})
	run(t, "a decrease that was not begun makes the increase after it urgent", func(w *world) {
		w.shops["uk"].shown["a"] = 9
		w.start()
		w.shops["uk"].hook(func() { time.Sleep(time.Second) }, nil) // somebody else's call
		w.decide(target("uk", "z", 1, 1, true))
		synctest.Wait()
		w.decide(target("uk", "a", 2, 2, true), target("uk", "a", 3, 4, false))
		pass(time.Second)
		pass(time.Second)
		same(w.t, "shown", int64(4), w.shops["uk"].shows("a"))
		w.allDone()
	})
	run(t, "what is known is expected; the first write reads", func(w *world) {
		w.shops["uk"].shown["a"] = 3
		w.start()
		w.decide(target("uk", "a", 1, 5, true))
		synctest.Wait()
		w.decide(target("uk", "a", 2, 4, true))
		synctest.Wait()
		var expected []any
		for _, x := range w.shops["uk"].writes() {
			expected = append(expected, value(x.Expected))
		}
		same(w.t, "expected", []any{int64(3), int64(5)}, expected)
	})
	run(t, "a listing that shows it already is not written", func(w *world) {
		w.shops["uk"].shown["a"] = 5
		w.start()
		w.decide(target("uk", "a", 1, 5, true))
		synctest.Wait()
		same(w.t, "calls", 0, len(w.shops["uk"].writes()))
		same(w.t, "outcome", []string{"a v1 5 accepted"}, w.outcomes())
		w.allDone()
	})
	run(t, "a newer target that comes during the call is written after it", func(w *world) {
		w.start()
		w.shops["uk"].hook(func() { time.Sleep(time.Second) }, nil)
		w.decide(target("uk", "a", 1, 5, true))
		synctest.Wait()
		w.decide(target("uk", "a", 2, 4, true), target("uk", "a", 3, 3, true))
		pass(time.Second)
		same(w.t, "low after the first", int64(2), w.low())
		pass(time.Second)
		same(w.t, "effects", []int64{5, 3}, w.shops["uk"].applied["a"])
		w.allDone()
	})
	run(t, "a newer target that comes just before the call is written instead", func(w *world) {
		w.start()
		w.memory.afterLoad(func() {
			w.decide(target("uk", "a", 2, 4, true))
		})
		w.decide(target("uk", "a", 1, 5, true))
		synctest.Wait()
		same(w.t, "effects", []int64{4}, w.shops["uk"].applied["a"])
		same(w.t, "outcomes", []string{"a v2 4 accepted"}, w.outcomes())
		w.allDone()
		w.memory.afterLoad(func() {
			gone := target("uk", "a", 4, 0, false)
			gone.Withdrawn = true
			w.decide(gone)
		})
		w.decide(target("uk", "a", 3, 6, true))
		pass(time.Second)
		same(w.t, "not written any more", []int64{4}, w.shops["uk"].applied["a"])
		w.allDone()
	})
	run(t, "withdrawn is forgotten, but nothing older comes back", func(w *world) {
		w.start()
		gone := target("uk", "a", 5, 0, false)
		gone.Withdrawn = true
		w.decide(target("uk", "a", 4, 9, false), gone)
		synctest.Wait()
		w.decide(target("uk", "a", 3, 8, true))
		pass(time.Second)
		same(w.t, "calls", 0, len(w.shops["uk"].writes()))
		w.offer() // the repair
		synctest.Wait()
		w.allDone()
	})
	run(t, "who cannot is refused", func(w *world) {
		w.start()
		w.decide(target("nowhere", "a", 1, 5, true), target("mute", "b", 2, 5, true))
		synctest.Wait()
		got := w.outcomes()
		slices.Sort(got)
		same(w.t, "outcomes", []string{"a v1 5 refused", "b v2 5 refused"}, got)
		w.allDone()
	})
	run(t, "junk goes to the dead letters untouched, a tombstone nowhere", func(w *world) {
		w.start()
		bad := target("uk", "a", 1, 5, true)
		bad.Version = nil
		w.append([]byte("uk/x"), []byte{0xff, 1, 2})
		w.append([]byte("uk/a"), nil)
		w.decide(bad, target("uk", "a", 2, -1, true), target("", "a", 2, 1, true))
		synctest.Wait()
		w.allDone()
		n := 0
		for _, r := range w.records {
			if r.Topic.Name == "dlq.push.v1" {
				if n == 0 {
					same(w.t, "bytes", []byte{0xff, 1, 2}, r.Value)
				}
				n++
			}
		}
		same(w.t, "dead letters", 4, n)
	})
}

func TestFaults(t *testing.T) {
	for _, f := range []fault{lost, vanished, notSent, throttled, outage, half, short} {
		run(t, string(f), func(w *world) {
			w.room = again
			w.start()
			// The first write reads before: the fault shall meet the write.
			s := w.shops["uk"]
			s.hook(func() {
				s.hook(nil, nil)
				s.meet(f, f)
			}, nil)
			w.decide(target("uk", "a", 1, 5, true), target("uk", "b", 2, 6, true), target("de", "c", 3, 7, true))
			synctest.Wait()
			same(w.t, "the other account does not wait", int64(7), w.shops["de"].shows("c"))
			for range 6 {
				pass(5 * time.Second)
				w.offer() // what was decided anew
			}
			pass(time.Second)
			w.allDone()
			same(w.t, "effects", map[string][]int64{"a": {5}, "b": {6}}, w.shops["uk"].applied)
			var accepted []string
			for _, o := range w.outcomes() {
				if strings.HasSuffix(o, "accepted") {
					accepted = append(accepted, o)
				}
			}
			slices.Sort(accepted)
			want := []string{"a v1 5 accepted", "b v2 6 accepted", "c v3 7 accepted"}
			if f == vanished || f == outage { // it may have been done, for all that the sink knows
				want = []string{"a v1001 5 accepted", "b v1002 6 accepted", "c v3 7 accepted"}
			}
			same(w.t, "accepted", want, accepted)
		})
	}
	run(t, "an unknown outcome is read back before anything is written", func(w *world) {
		w.start()
		s := w.shops["uk"]
		s.hook(func() { s.hook(nil, nil); s.meet(lost) }, nil)
		w.decide(target("uk", "a", 1, 5, true))
		pass(time.Minute)
		same(w.t, "writes", 1, len(s.writes()))
		same(w.t, "outcomes", []string{"a v1 5 unknown", "a v1 5 accepted"}, w.outcomes())
		w.allDone()
	})
	run(t, "a refusal is told and not repeated", func(w *world) {
		w.room = again
		w.start()
		w.shops["uk"].hook(func() { w.shops["uk"].meet(refused) }, nil)
		w.decide(target("uk", "a", 1, 5, true))
		pass(time.Hour)
		same(w.t, "calls", 1, len(w.shops["uk"].writes()))
		same(w.t, "alerts", []string{"push-refused/uk/a"}, w.alerts())
		w.allDone()
		w.shops["uk"].hook(nil, nil)
		w.decide(target("uk", "a", 2, 4, true))
		pass(10 * time.Second)
		w.offer() // nobody knows what it showed before: it was given back
		synctest.Wait()
		same(w.t, "shown", int64(4), w.shops["uk"].shows("a"))
		w.allDone()
	})
	run(t, "an account that needs its owner waits alone, and does not hold back the offset", func(w *world) {
		w.start()
		w.shops["uk"].hook(func() { w.shops["uk"].meet(noLogin) }, nil)
		w.decide(target("uk", "a", 1, 5, true), target("de", "c", 2, 7, true))
		synctest.Wait()
		same(w.t, "the other account", int64(7), w.shops["de"].shows("c"))
		for range 12 {
			pass(5 * time.Minute)
			w.offer() // what was carried comes back
		}
		synctest.Wait()
		same(w.t, "alerts", []string{"needs-authorisation/uk"}, w.alerts())
		if n := len(w.shops["uk"].writes()); n < 5 || n > 14 {
			w.t.Errorf("%d tries in an hour", n)
		}
		if w.low() < 2 {
			w.t.Errorf("offset %d is held back", w.low())
		}
		w.shops["uk"].hook(nil, nil)
		pass(5 * time.Minute)
		w.offer()
		pass(10 * time.Second)
		same(w.t, "shown", int64(5), w.shops["uk"].shows("a"))
		same(w.t, "alerts after", 2, len(w.alerts()))
		w.allDone()
	})
	run(t, "redis and kafka away", func(w *world) {
		w.start()
		w.memory.fail = 3
		n := 0
		w.onPublish(func() error {
			if n++; n < 4 {
				return context.DeadlineExceeded
			}
			w.memory.mu.Lock()
			defer w.memory.mu.Unlock()
			if n == 4 {
				w.memory.fail = 2
			}
			return nil
		})
		w.decide(target("uk", "a", 1, 5, true))
		pass(time.Minute)
		w.allDone()
		same(w.t, "effects", []int64{5}, w.shops["uk"].applied["a"])
		same(w.t, "told once", []string{"a v1 5 accepted"}, w.outcomes())
	})
}

func TestStale(t *testing.T) {
	begin := func(w *world) *shop {
		w.start()
		w.decide(target("uk", "a", 1, 10, true))
		synctest.Wait()
		return w.shops["uk"]
	}
	run(t, "the platform's own sale leads to the same quantity", func(w *world) {
		s := begin(w)
		s.sell("a", 1)
		w.decide(target("uk", "a", 2, 9, true))
		synctest.Wait()
		same(w.t, "shown", int64(9), s.shows("a"))
		same(w.t, "effects", []int64{10}, s.applied["a"])
		w.allDone()
	})
	run(t, "a raise waits for the sale's own event", func(w *world) {
		s := begin(w)
		s.sell("a", 1)
		w.decide(target("uk", "a", 2, 12, true))
		pass(time.Second)
		same(w.t, "not raised over an unseen sale", int64(9), s.shows("a"))
		w.decide(target("uk", "a", 3, 11, false))
		synctest.Wait()
		same(w.t, "raised by the newer target", int64(11), s.shows("a"))
		same(w.t, "effects", []int64{10, 11}, s.applied["a"])
		w.allDone()
	})
	run(t, "and not for ever: it is given back and decided anew", func(w *world) {
		w.room = again
		s := begin(w)
		s.sell("a", 1)
		s.meet(keptHidden)
		w.decide(target("uk", "a", 2, 12, true))
		pass(1900 * time.Millisecond)
		same(w.t, "before", []string{"a v1 10 accepted"}, w.outcomes())
		pass(200 * time.Millisecond)
		same(w.t, "after", []string{"a v1 10 accepted", "a v2 12 given-back"}, w.outcomes())
		same(w.t, "not raised by the sink", int64(9), s.shows("a"))
		w.offer()
		pass(time.Second)
		same(w.t, "by the stock room", int64(12), s.shows("a"))
		w.allDone()
	})
	run(t, "a platform that repeats its answers does not keep us from writing", func(w *world) {
		w.room = again
		s := begin(w)
		s.sell("a", 1)
		w.decide(target("uk", "a", 2, 12, true)) // expects 10, is told 9
		pass(time.Second)
		s.sell("a", -1) // a return, seen by the platform first: it shows 10 again
		pass(10 * time.Second)
		w.offer()
		pass(time.Minute)
		same(w.t, "shown", int64(12), s.shows("a"))
		w.allDone()
	})
	run(t, "a decrease does not wait", func(w *world) {
		s := begin(w)
		s.sell("a", 1)
		w.decide(target("uk", "a", 2, 3, true))
		synctest.Wait()
		same(w.t, "shown", int64(3), s.shows("a"))
	})
	run(t, "an answer lost, then a sale: it is not raised twice", func(w *world) {
		s := begin(w)
		s.hook(func() { s.meet(lost) }, func() {
			s.sell("a", 1)
			s.hook(nil, nil)
		})
		w.decide(target("uk", "a", 2, 20, true))
		pass(10 * time.Second)
		same(w.t, "shown", int64(19), s.shows("a"))
		same(w.t, "effects", []int64{10, 20}, s.applied["a"])
		w.allDone()
	})
}

// TestKilledAfterTheCall: a call of two listings is answered, and the process ends before it
// is recorded. One of them is sold from, the other decided anew, so that no later call is the
// same as the first and no idempotency key is recognised. What was written is not written
// again.
func TestKilledAfterTheCall(t *testing.T) {
	for name, wholly := range map[string]bool{"a key for each call": true, "a key for each write": false} {
		run(t, name, func(w *world) {
			s := w.shops["uk"]
			s.wholly = wholly
			w.room = again
			w.start()
			w.decide(target("uk", "a", 1, 10, true), target("uk", "b", 2, 10, true))
			synctest.Wait()
			s.hook(nil, func() {
				s.hook(nil, nil)
				w.cancel()
			})
			cfg := w.cfg
			cfg.DrainTimeout = 0
			if err := w.sink.Reload(cfg); err != nil {
				w.t.Fatal(err)
			}
			w.onPublish(func() error { return context.Canceled })
			w.decide(target("uk", "a", 3, 20, true), target("uk", "b", 4, 20, true))
			<-w.ended
			w.onPublish(nil)
			s.sell("a", 3)
			w.start()
			w.decide(target("uk", "b", 5, 30, true))
			pass(time.Second)
			same(w.t, "shown of a: the sale is not overwritten", int64(17), s.shows("a"))
			same(w.t, "shown of b", int64(30), s.shows("b"))
			w.decide(target("uk", "a", 6, 17, true)) // the sale's own event
			pass(time.Minute)
			same(w.t, "effects", map[string][]int64{"a": {10, 20, 17}, "b": {10, 20, 30}}, s.applied)
			w.allDone()
		})
	}
	run(t, "and the event never comes", func(w *world) {
		s := w.shops["uk"]
		w.room = func(o *event.PushOutcome) *event.PushTarget {
			same(w.t, "read back", int64(17), o.GetReadBack())
			t := again(o)
			t.Quantity = 18
			return t
		}
		w.start()
		w.decide(target("uk", "a", 1, 10, true))
		synctest.Wait()
		w.memory.tried["uk/a"] = &Entry{Target: target("uk", "a", 2, 20, true)}
		s.mu.Lock()
		s.shown["a"] = 17
		s.mu.Unlock()
		w.decide(target("uk", "a", 2, 20, true))
		pass(3 * time.Second)
		same(w.t, "told", []string{"a v1 10 accepted", "a v2 20 given-back"}, w.outcomes())
		w.offer()
		pass(time.Second)
		same(w.t, "effects", []int64{10, 18}, s.applied["a"])
		w.allDone()
	})
	run(t, "the memory falls back, and old decisions are told again", func(w *world) {
		s := w.shops["uk"]
		w.start()
		w.decide(target("uk", "a", 1, 20, true))
		synctest.Wait()
		w.decide(target("uk", "a", 2, 10, true))
		synctest.Wait()
		w.decide(target("uk", "a", 3, 11, false))
		pass(time.Second)
		w.memory.mu.Lock()
		w.memory.entries["uk/a"] = &Entry{Target: target("uk", "a", 1, 20, true)}
		delete(w.memory.tried, "uk/a")
		w.memory.mu.Unlock()
		w.decide(target("uk", "a", 2, 10, true))
		pass(time.Second)
		w.offer() // the repair
		pass(time.Second)
		same(w.t, "effects", []int64{20, 10, 11}, s.applied["a"])
		same(w.t, "remembered", int64(3), w.memory.entries["uk/a"].Target.Version.Number)
		w.allDone()
	})
	run(t, "killed before the call: lowering does not wait", func(w *world) {
		s := w.shops["uk"]
		w.start()
		w.decide(target("uk", "a", 1, 10, true))
		synctest.Wait()
		w.memory.tried["uk/a"] = &Entry{Target: target("uk", "a", 2, 4, true)}
		w.decide(target("uk", "a", 2, 4, true))
		synctest.Wait()
		same(w.t, "effects", []int64{10, 4}, s.applied["a"])
		w.allDone()
	})
}

func TestLateWriters(t *testing.T) {
	run(t, "a late writer's record is followed by the newest again", func(w *world) {
		w.start()
		w.decide(target("uk", "a", 5, 5, true))
		synctest.Wait()
		w.decide(target("uk", "a", 3, 3, true))
		synctest.Wait()
		w.offer()
		synctest.Wait()
		w.decide(target("uk", "b", 9, 9, false), target("uk", "b", 8, 8, false)) // while it waits
		pass(time.Second)
		w.offer()
		pass(time.Second)
		w.allDone()
		var last []int64
		for _, r := range w.log {
			x, _ := decodeTarget(r)
			last = append(last, x.Version.Number)
		}
		same(w.t, "versions in the topic", []int64{5, 3, 5, 9, 8, 9}, last)
		same(w.t, "effects", map[string][]int64{"a": {5}, "b": {9}}, w.shops["uk"].applied)
	})
	run(t, "a late writer's record that comes while the outcome is recorded", func(w *world) {
		w.start()
		w.memory.onStored(func() {
			w.memory.onStored(nil)
			w.decide(target("uk", "a", 3, 3, true))
		})
		w.decide(target("uk", "a", 5, 5, true))
		synctest.Wait()
		w.offer()
		synctest.Wait()
		last, _ := decodeTarget(w.log[len(w.log)-1])
		same(w.t, "last record", int64(5), last.Version.Number)
		same(w.t, "effects", []int64{5}, w.shops["uk"].applied["a"])
		w.allDone()
	})
	run(t, "killed after the effect, an older target offered again is not written over it", func(w *world) {
		w.start()
		w.decide(target("de", "x", 1, 1, false)) // holds the offset back
		w.shops["uk"].hook(nil, func() {
			w.shops["uk"].hook(nil, nil)
			w.cancel()
		})
		cfg := w.cfg
		cfg.DrainTimeout = 0
		if err := w.sink.Reload(cfg); err != nil {
			w.t.Fatal(err)
		}
		w.onPublish(func() error { return context.Canceled })
		w.decide(target("uk", "a", 2, 6, true), target("uk", "a", 3, 5, true))
		<-w.ended
		w.onPublish(nil)
		same(w.t, "committed", int64(0), w.low())
		log := w.log
		w.log = log[:2] // the newest is fetched only later
		w.start()
		pass(time.Minute)
		w.log = log
		w.offer()
		pass(time.Minute)
		same(w.t, "effects", []int64{5}, w.shops["uk"].applied["a"])
		w.allDone()
	})
	run(t, "offered again after a restart is no late writer", func(w *world) {
		w.start()
		w.decide(target("uk", "a", 1, 5, true), target("uk", "a", 2, 4, true))
		synctest.Wait()
		w.stop(false)
		w.done = map[int64]bool{}
		w.start()
		pass(time.Second)
		same(w.t, "records", 2, len(w.log))
		w.allDone()
	})
	for name, other := range map[string]int64{"an older one": 2, "a newer one": 9} {
		run(t, "another process writes "+name+" during the call", func(w *world) {
			w.room = again
			w.start()
			s := w.shops["uk"]
			s.shown["a"] = 1
			w.decide(target("uk", "a", 1, 50, true))
			synctest.Wait()
			s.hook(nil, func() {
				// It was blind, or compared with our value; it lands after ours either way.
				s.hook(nil, nil)
				s.mu.Lock()
				s.shown["a"] = other * 10
				s.mu.Unlock()
				w.memory.mu.Lock()
				w.memory.entries["uk/a"] = &Entry{Target: target("uk", "a", other, other*10, true)}
				w.memory.mu.Unlock()
			})
			w.decide(target("uk", "a", 5, 40, true))
			pass(10 * time.Second)
			w.offer() // what was decided anew
			pass(10 * time.Second)
			newest := max(5, other)
			want := map[int64]int64{5: 40, 9: 90}[newest]
			same(w.t, "shown", want, s.shows("a"))
			if got := w.memory.entries["uk/a"].Target.Version.Number; got != newest && got != newest+1000 {
				w.t.Errorf("v%d is remembered", got)
			}
			w.allDone()
		})
	}
	run(t, "another process writes an older one twice", func(w *world) {
		w.room = again
		w.start()
		s := w.shops["uk"]
		w.decide(target("uk", "a", 1, 50, true))
		synctest.Wait()
		n := 0
		s.hook(nil, func() {
			if n++; n > 2 {
				return
			}
			s.mu.Lock()
			s.shown["a"] = 20
			s.mu.Unlock()
			w.memory.mu.Lock()
			w.memory.entries["uk/a"] = &Entry{Target: target("uk", "a", 1+int64(n), 20, true)}
			w.memory.mu.Unlock()
		})
		w.decide(target("uk", "a", 5, 40, true))
		for range 4 {
			pass(5 * time.Second)
			w.offer()
		}
		pass(time.Second)
		same(w.t, "shown", int64(40), s.shows("a"))
		w.allDone()
	})
	run(t, "our own older write lands after another's newer one", func(w *world) {
		w.room = again
		w.start()
		s := w.shops["uk"]
		w.decide(target("uk", "a", 1, 50, true))
		synctest.Wait()
		s.hook(func() {
			s.hook(nil, nil)
			w.memory.mu.Lock() // accepted there, and overwritten by us
			w.memory.entries["uk/a"] = &Entry{Target: target("uk", "a", 9, 90, true)}
			w.memory.mu.Unlock()
		}, nil)
		w.decide(target("uk", "a", 5, 40, true))
		pass(10 * time.Second)
		w.offer()
		pass(10 * time.Second)
		same(w.t, "shown", int64(90), s.shows("a"))
		w.allDone()
	})
}

func TestRevoke(t *testing.T) {
	run(t, "what was not begun is dropped, what is under way is waited for", func(w *world) {
		w.start()
		s := w.shops["uk"]
		s.hook(func() { time.Sleep(time.Second) }, nil)
		w.decide(target("uk", "a", 1, 5, true))
		synctest.Wait()
		w.decide(target("uk", "b", 2, 6, true), target("uk", "a", 3, 4, true))
		began := time.Now()
		w.sink.Revoke(context.Background(), schemas.PushTargets.Name, 0)
		same(w.t, "waited", time.Second, time.Since(began))
		same(w.t, "the one under way is done, the others are not", int64(1), w.low())
		pass(time.Minute)
		same(w.t, "effects", map[string][]int64{"a": {5}}, s.applied)
		// Given back, everything is offered again.
		w.assign()
		pass(time.Minute)
		same(w.t, "effects", map[string][]int64{"a": {5, 4}, "b": {6}}, s.applied)
		w.allDone()
		w.sink.Revoke(context.Background(), "another", 3)
	})
	run(t, "an offer that was blocked gives up when its partition goes", func(w *world) {
		w.cfg.PendingPerPartition = 1
		w.start()
		w.decide(target("uk", "a", 1, 5, false))
		offered := make(chan struct{})
		go func() {
			defer close(offered)
			w.decide(target("uk", "b", 2, 5, false))
		}()
		synctest.Wait()
		w.sink.Revoke(context.Background(), schemas.PushTargets.Name, 0)
		<-offered
		pass(time.Minute)
		same(w.t, "calls", 0, len(w.shops["uk"].writes()))
		same(w.t, "low", int64(0), w.low())
	})
	run(t, "a full partition blocks its offer until there is room", func(w *world) {
		w.cfg.PendingPerPartition = 2
		w.start()
		w.decide(target("uk", "a", 1, 5, false), target("uk", "b", 2, 5, false))
		offered := make(chan struct{})
		go func() {
			defer close(offered)
			w.decide(target("uk", "c", 3, 5, false))
		}()
		synctest.Wait()
		select {
		case <-offered:
			w.t.Error("a third target was taken")
		default:
		}
		pass(time.Second)
		<-offered
		pass(time.Second)
		w.allDone()
		ctx, cancel := context.WithCancel(context.Background())
		w.decide(target("uk", "a", 4, 6, false), target("uk", "b", 5, 6, false))
		cancel()
		b, _ := target("uk", "d", 6, 6, false).MarshalVTStrict()
		err := w.sink.Offer(ctx, []*stream.Delivery{{Record: &stream.Record{Topic: schemas.PushTargets, Value: b}, Done: func() { w.t.Error("done") }}})
		if err == nil {
			w.t.Error("an ended context was not noticed")
		}
	})
}

func TestStopWaitsForWhatIsUnderWay(t *testing.T) {
	run(t, "", func(w *world) {
		w.start()
		w.shops["uk"].hook(func() { time.Sleep(5 * time.Second) }, nil)
		w.decide(target("uk", "a", 1, 5, true))
		synctest.Wait()
		began := time.Now()
		w.stop(false)
		w.cancel = nil
		same(w.t, "waited", 5*time.Second, time.Since(began))
		w.allDone()
	})
}

func TestReloadAndValidate(t *testing.T) {
	run(t, "", func(w *world) {
		w.start()
		cfg := w.cfg
		cfg.CoalesceIncreases = 0
		if err := w.sink.Reload(cfg); err != nil {
			w.t.Fatal(err)
		}
		w.decide(target("uk", "a", 1, 5, false))
		synctest.Wait()
		w.allDone()
		for _, broken := range []func(*Config){
			func(c *Config) { c.CallTimeout = 0 },
			func(c *Config) { c.StalePatience = -1 },
			func(c *Config) { c.BackoffMax = c.BackoffMin - 1 },
			func(c *Config) { c.PendingPerPartition = 0 },
		} {
			c := DefaultConfig()
			broken(&c)
			if w.sink.Reload(c) == nil {
				w.t.Errorf("%+v was taken", c)
			}
		}
	})
}

func TestCommandID(t *testing.T) {
	three, four := int64(3), int64(4)
	id := func(change func(*task)) string {
		x := &task{g: &listing{expected: &three}, it: item{target: target("uk", "a", 1, 5, true)}}
		change(x)
		return x.commandID()
	}
	first := id(func(*task) {})
	if first != id(func(x *task) { x.g.attempts = 7; x.it.offset = 9 }) {
		t.Error("another attempt at the same intent has another name")
	}
	seen := map[string]string{first: "first"}
	for name, change := range map[string]func(*task){
		"account":  func(x *task) { x.it.target.Account = "de" },
		"listing":  func(x *task) { x.it.target.ListingId = "b" },
		"version":  func(x *task) { x.it.target.Version = &event.Version{Epoch: 1, Number: 2} },
		"quantity": func(x *task) { x.it.target.Quantity = 6 },
		"expected": func(x *task) { x.g.expected = &four },
		"nothing":  func(x *task) { x.g.expected = nil },
		"round":    func(x *task) { x.g.round = 1 },
		"verify":   func(x *task) { x.g.verify = "verify 1" },
	} {
		got := id(change)
		if other, ok := seen[got]; ok {
			t.Errorf("%s and %s have one name", name, other)
		}
		seen[got] = name
	}
	var _ connectors.StockPusher = newShop()
}
