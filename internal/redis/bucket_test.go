package redis

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"
)

// world is a Redis whose clock moves only when told.
type world struct {
	t    *testing.T
	mini *miniredis.Miniredis
	now  time.Time
	b    *Bucket
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, mini: miniredis.RunT(t), now: time.Unix(1_800_000_000, 0)}
	w.mini.SetTime(w.now)
	c := goredis.NewClient(&goredis.Options{Addr: w.mini.Addr()})
	t.Cleanup(func() { _ = c.Close() })
	w.b = NewBucket(c, "acme.test.")
	return w
}

func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	w.mini.SetTime(w.now)
}

func (w *world) take(r Request) time.Duration {
	w.t.Helper()
	d, err := w.b.Take(context.Background(), "shop|admin", r)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

func (w *world) observe(q Quota, s State) {
	w.t.Helper()
	if err := w.b.Observe(context.Background(), "shop|admin", q, s); err != nil {
		w.t.Fatal(err)
	}
}

var ten = Quota{Capacity: 10, PerSecond: 2}

func TestTakeSpendsAndRefills(t *testing.T) {
	w := newWorld(t)
	r := Request{Quota: ten, Cost: 4, Waiter: "a"}
	for i, want := range []time.Duration{0, 0, time.Second} { // 10 → 6 → 2; 2 short at 2/s
		if got := w.take(r); got != want {
			t.Fatalf("take %d: got %s, want %s", i, got, want)
		}
	}
	w.pass(time.Second)
	if got := w.take(r); got != 0 {
		t.Errorf("after the wait: got %s", got)
	}
	w.pass(time.Hour)
	w.take(Request{Quota: ten, Cost: 25, Waiter: "a"}) // beyond capacity: passes, leaves a debt of 15
	if got, want := w.take(Request{Quota: ten, Cost: 1, Waiter: "a"}), 8*time.Second; got != want {
		t.Errorf("after a debt: got %s, want %s", got, want)
	}
}

func TestTakeLeavesReservesToTheMoreUrgent(t *testing.T) {
	w := newWorld(t)
	one := func(reserve float64, class string) time.Duration {
		return w.take(Request{Quota: ten, Cost: 1, Reserve: reserve, Class: class, Waiter: class})
	}
	var backfill, normal, urgent int
	for one(0.5, "2") == 0 {
		backfill++
	}
	for one(0.1, "1") == 0 {
		normal++
	}
	for one(0, "0") == 0 {
		urgent++
	}
	if backfill != 5 || normal != 4 || urgent != 1 {
		t.Errorf("got backfill %d, normal %d, urgent %d; want 5, 4, 1", backfill, normal, urgent)
	}
	if one(0.5, "2") <= one(0, "0") {
		t.Error("the urgent one should be served first")
	}
}

func TestTakeGivesTheCostlyWaiterItsTurn(t *testing.T) {
	w := newWorld(t)
	w.take(Request{Quota: ten, Cost: 10, Waiter: "x"})
	costly := Request{Quota: ten, Cost: 8, Class: "1", Waiter: "costly"}
	cheap := Request{Quota: ten, Cost: 1, Class: "1", Waiter: "cheap"}
	if w.take(costly) == 0 {
		t.Fatal("the bucket should be empty")
	}
	served := false
	for range 60 { // the cheap one asks all the time; 8 units take 4 s
		w.pass(100 * time.Millisecond)
		if !served && w.take(cheap) == 0 {
			t.Fatal("the cheap call overtook the one that waits")
		}
		served = served || w.take(costly) == 0
		if served {
			break
		}
	}
	if !served {
		t.Error("the costly call was starved")
	}
	// One who waited and went away does not hold the turn for ever.
	w.take(Request{Quota: ten, Cost: 10, Class: "1", Waiter: "gone"})
	w.pass(10 * time.Second)
	if got := w.take(cheap); got != 0 {
		t.Errorf("a turn was held by nobody: wait %s", got)
	}
}

// TestTakeWaitsOnceForASlowBucket: whoever waits as long as it was told to has it then, however
// slow the bucket fills.
func TestTakeWaitsOnceForASlowBucket(t *testing.T) {
	for _, rate := range []float64{0.00011574, 0.0056, 0.0167, 0.5, 5, 100} {
		w := newWorld(t)
		r := Request{Quota: Quota{Capacity: 20, PerSecond: rate}, Cost: 1, Reserve: 0.05, Waiter: "a"}
		asked := 0
		for done := 0; done < 40; asked++ {
			wait := w.take(r)
			if wait == 0 {
				done++
			}
			w.pass(wait)
		}
		if asked > 70 {
			t.Errorf("%g per second: asked %d times for 40 units", rate, asked)
		}
	}
}

// TestTakeStandsInLine: two who always ask, one of them a moment earlier, get as much each.
func TestTakeStandsInLine(t *testing.T) {
	w := newWorld(t)
	w.take(Request{Quota: ten, Cost: 10, Waiter: "x"})
	got := map[string]int{}
	next := map[string]time.Duration{"quick": 0, "late": time.Millisecond}
	turn := map[string]int{}
	for now := time.Duration(0); now < time.Minute; {
		name := "quick"
		if next["late"] < next["quick"] {
			name = "late"
		}
		w.pass(next[name] - now)
		now = next[name]
		wait := w.take(Request{Quota: ten, Cost: 1, Class: "1", Waiter: name + string(rune('a'+turn[name]))})
		if wait == 0 {
			got[name]++
			turn[name]++ // its next call stands at the end
		}
		next[name] = now + Nap(wait)
	}
	if got["quick"]+got["late"] < 114 || got["late"] < 50 || got["quick"] < 50 {
		t.Errorf("of 120 units the quick one got %d, the late one %d", got["quick"], got["late"])
	}
}

func TestObserveCorrectsByWhatThePlatformTells(t *testing.T) {
	w := newWorld(t)
	r := Request{Quota: ten, Cost: 100, Waiter: "a"}
	w.take(r) // a debt of 90 by our guess
	w.observe(ten, State{Known: true, Capacity: 2000, Available: 1900, PerSecond: 100})
	if got := w.take(r); got != 0 {
		t.Errorf("2000 units were told: got %s", got)
	}
	// Under way: 100 units that the platform's answer to somebody else does not know of.
	w.take(Request{Quota: ten, Cost: 100, Waiter: "a"})
	w.observe(ten, State{Known: true, Capacity: 2000, Available: 150, PerSecond: 100})
	if got, want := w.take(r), 500*time.Millisecond; got != want {
		t.Errorf("150 available less 100 under way: got %s, want %s", got, want)
	}
	w.observe(ten, State{Known: true, Capacity: 2000, Available: 0, PerSecond: 100})
	if got, want := w.take(r), time.Second; got != want {
		t.Errorf("0 available: got %s, want %s", got, want)
	}
	// A rate alone (as one platform's header tells it) says nothing of the level.
	w.pass(time.Minute)
	w.observe(ten, State{Known: true, PerSecond: 50})
	if got := w.take(r); got != 0 {
		t.Errorf("a told rate emptied the bucket: wait %s", got)
	}
}

func TestObserveRetryAfterClosesForEverybody(t *testing.T) {
	w := newWorld(t)
	w.observe(ten, State{RetryAfter: 30 * time.Second})
	if got := w.take(Request{Quota: ten, Cost: 1, Waiter: "urgent"}); got != 30*time.Second {
		t.Errorf("got %s, want 30s", got)
	}
	w.pass(30 * time.Second)
	if got := w.take(Request{Quota: ten, Cost: 1, Waiter: "urgent"}); got != 0 {
		t.Errorf("after it: got %s", got)
	}
}

func TestBucketSurvivesARestartOfTheProcess(t *testing.T) {
	w := newWorld(t)
	w.take(Request{Quota: ten, Cost: 10, Waiter: "a"})
	w.b = NewBucket(w.b.client, "acme.test.")
	if w.take(Request{Quota: ten, Cost: 1, Waiter: "b"}) == 0 {
		t.Error("the new process began with a full bucket")
	}
}

func TestBucketRefusesAQuotaOfNothing(t *testing.T) {
	w := newWorld(t)
	for _, q := range []Quota{{}, {Capacity: 1}, {PerSecond: 1}, {Capacity: math.NaN(), PerSecond: 1}} {
		if _, err := w.b.Take(context.Background(), "k", Request{Quota: q, Cost: 1}); err == nil {
			t.Errorf("%+v: no error", q)
		}
	}
}

// platform enforces a bucket of its own, whose limit changes while we run.
type platform struct{ cap, rate, n float64 }

func (p *platform) call(cost float64) bool {
	if p.n < cost {
		return false
	}
	p.n -= cost
	return true
}

func TestALimitHalvedAtRunTimeConvergesWithoutAStorm(t *testing.T) {
	for name, told := range map[string]bool{"told in each answer": true, "only 429 and Retry-After": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p := &platform{cap: 40, rate: 4, n: 40}
			q := Quota{Capacity: 40, PerSecond: 4}
			run := func(d time.Duration) (done, throttled int) {
				for end := w.now.Add(d); w.now.Before(end); {
					wait := w.take(Request{Quota: q, Cost: 1, Waiter: "a"})
					if wait > 0 {
						w.pass(wait)
						p.n = math.Min(p.cap, p.n+wait.Seconds()*p.rate)
						continue
					}
					s := State{}
					if p.call(1) {
						done++
					} else {
						throttled++
						s.RetryAfter = time.Second
					}
					if told {
						s.Known, s.Capacity, s.Available, s.PerSecond = true, p.cap, p.n, p.rate
					}
					w.observe(q, s)
				}
				return done, throttled
			}
			if done, throttled := run(100 * time.Second); throttled != 0 || done < 400 {
				t.Fatalf("before: %d done, %d throttled", done, throttled)
			}
			p.cap, p.rate = 20, 2
			p.n = math.Min(p.n, p.cap)
			done, throttled := run(200 * time.Second)
			t.Logf("after halving: %d done of 400 possible, %d throttled", done, throttled)
			if limit := 8; throttled > limit {
				t.Errorf("%d throttled calls, want at most %d", throttled, limit)
			}
			if done < 380 {
				t.Errorf("only %d of 400 possible calls", done)
			}
			w.pass(Window) // restored, nobody told us
			p.cap, p.rate, p.n = 40, 4, 40
			if done, throttled := run(100 * time.Second); throttled != 0 || done < 400 {
				t.Errorf("restored: %d done, %d throttled", done, throttled)
			}
		})
	}
}
