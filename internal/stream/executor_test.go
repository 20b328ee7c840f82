package stream

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/helloword/crossdock/schemas"
)

// TestTrackerModel: the offset to commit is the lowest that is not done, whatever order.
func TestTrackerModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tr := &tracker{}
		open := make(map[int64]func())
		next := rapid.Int64Range(0, 5).Draw(rt, "first")
		first, reported := next, int64(-1)
		for range rapid.IntRange(1, 60).Draw(rt, "actions") {
			if n := len(open); n > 0 && rapid.Bool().Draw(rt, "done") {
				offsets := make([]int64, 0, n)
				for o := range open {
					offsets = append(offsets, o)
				}
				slices.Sort(offsets)
				o := offsets[rapid.IntRange(0, n-1).Draw(rt, "which")]
				open[o]()
				if rapid.Bool().Draw(rt, "twice") {
					open[o]()
				}
				delete(open, o)
			} else {
				next += rapid.Int64Range(0, 2).Draw(rt, "hole")
				open[next] = tr.add(next, 0, time.Unix(next, 0))
				next++
			}
			want := next
			for o := range open {
				want = min(want, o)
			}
			got, _, moved, was, outstanding, oldest, _ := tr.low()
			if len(open) > 0 && !oldest.Equal(time.Unix(want, 0)) {
				rt.Fatalf("oldest is of %v, want of %d", oldest, want)
			}
			if got != want || outstanding != len(open) {
				rt.Fatalf("low = %d with %d open, want %d with %d", got, outstanding, want, len(open))
			}
			if moved && got <= max(reported, first) && reported >= 0 {
				rt.Fatalf("moved to %d, reported before: %d", got, reported)
			}
			if moved && rapid.IntRange(0, 4).Draw(rt, "refused") == 0 {
				tr.touch(was)
				if again, _, moved, _, _, _, _ := tr.low(); !moved || again != got {
					rt.Fatalf("a refused commit of %d is not tried again: %d, %v", got, again, moved)
				}
			}
			if moved {
				reported = got
			}
		}
	})
}

// TestTrackerBoundsMemory: one delivery that takes for ever holds up commits, not memory.
func TestTrackerBoundsMemory(t *testing.T) {
	tr := &tracker{}
	tr.add(0, 0, time.Time{})
	for o := range int64(100_000) {
		tr.add(o+1, 0, time.Time{})()
	}
	if next, _, _, _, open, _, _ := tr.low(); next != 0 || open != 1 || len(tr.queue) > 2*tidyAbove {
		t.Errorf("low = %d, %d open, %d kept; want 0, 1, few", next, open, len(tr.queue))
	}
}

// hands is an executor whose deliveries the test completes.
type hands struct {
	mu      sync.Mutex
	got     []*Delivery
	revoked []string
	fail    error
}

func (h *hands) Offer(_ context.Context, ds []*Delivery) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.got = append(h.got, ds...)
	return h.fail
}

func (h *hands) Revoke(_ context.Context, topic string, p int32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.revoked = append(h.revoked, fmt.Sprint(topic, "/", p))
}

func (h *hands) offsets() []int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	var offsets []int64
	for _, d := range h.got {
		offsets = append(offsets, d.Offset)
	}
	return offsets
}

func (h *hands) done(offset int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range h.got {
		if d.Offset == offset {
			d.Done()
		}
	}
}

func (e *engines) execute(t *testing.T, x Executor) *running {
	t.Helper()
	l, err := NewExecutorLoop("push", []schemas.Topic{sumsIn}, x, e.deps)
	if err != nil {
		t.Fatal(err)
	}
	return background(t, l.Run)
}

// at waits until the group has committed an offset of the only partition.
func (e *engines) at(t *testing.T, group string, want int64) {
	t.Helper()
	c := e.admin(t)
	var got int64
	eventually(t, fmt.Sprintf("group %s to commit %d", group, want), func() bool {
		lags, err := c.Lag(t.Context(), group, []schemas.Topic{sumsIn})
		if err == nil {
			got = lags[0].Committed
		}
		return got == want
	})
}

func (e *engines) feed(t *testing.T, n int) {
	t.Helper()
	c := e.admin(t)
	for i := range n {
		give(t, c, number("k", int64(i)))
	}
}

func TestExecutorCommitsTheLowestNotDone(t *testing.T) {
	e := newEngines(t, 1)
	h := &hands{}
	r := e.execute(t, h)
	e.feed(t, 5)
	eventually(t, "five deliveries", func() bool { return len(h.offsets()) == 5 })
	h.done(0)
	h.done(3)
	e.at(t, "push", 1)
	h.done(2)
	h.done(1)
	e.at(t, "push", 4)
	h.done(4)
	e.at(t, "push", 5)
	r.stop(t)
	if fmt.Sprint(h.offsets()) != "[0 1 2 3 4]" {
		t.Errorf("deliveries %v, want each once and in order", h.offsets())
	}
}

// TestExecutorRedelivers what was not done when the loop ended.
func TestExecutorRedelivers(t *testing.T) {
	e := newEngines(t, 1)
	first := &hands{}
	r := e.execute(t, first)
	e.feed(t, 4)
	eventually(t, "four deliveries", func() bool { return len(first.offsets()) == 4 })
	first.done(0)
	first.done(2) // done, but above one that is not
	r.stop(t)
	if len(first.revoked) == 0 {
		t.Error("the executor was not told that the partition went")
	}
	second := &hands{}
	r = e.execute(t, second)
	eventually(t, "the rest again", func() bool { return len(second.offsets()) == 3 })
	if fmt.Sprint(second.offsets()) != "[1 2 3]" {
		t.Errorf("delivered again: %v, want [1 2 3]", second.offsets())
	}
	for o := range int64(4) {
		second.done(o)
	}
	e.at(t, "push", 4)
	r.stop(t)
}

// TestExecutorCommitRefused is made good while it is quiet.
func TestExecutorCommitRefused(t *testing.T) {
	e := newEngines(t, 1)
	f := e.broker.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Group: e.deps.Scope.Group("push"), Err: kerr.RebalanceInProgress, Count: 2})
	h := &hands{}
	r := e.execute(t, h)
	e.feed(t, 1)
	eventually(t, "the delivery", func() bool { return len(h.offsets()) == 1 })
	h.done(0)
	e.at(t, "push", 1)
	if f.Hits() != 2 {
		t.Errorf("%d commits refused, want 2", f.Hits())
	}
	r.stop(t)
}

// TestExecutorRevoke: another member takes over what was not begun, and nothing is lost.
func TestExecutorRevoke(t *testing.T) {
	for _, next := range []bool{false, true} {
		t.Run(fmt.Sprint("kip848=", next), func(t *testing.T) {
			onEngines(t, 4, func(t *testing.T, e *engines) {
				e.deps.Group.NewProtocol = next
				var mu sync.Mutex
				done := make(map[string]int)
				work := func() *worker {
					return &worker{done: func(d *Delivery) {
						mu.Lock()
						done[fmt.Sprint(d.Partition, "@", d.Offset)]++
						mu.Unlock()
					}}
				}
				r1 := e.execute(t, work())
				c := e.admin(t)
				rng := rand.New(rand.NewPCG(3, 4))
				want := 0
				for i := range 5 {
					for range 40 {
						give(t, c, number(fmt.Sprint("k", rng.IntN(50)), 1))
						want++
					}
					if i%2 == 1 {
						r2 := e.execute(t, work())
						r1.stop(t)
						r1 = r2
					}
				}
				eventually(t, "everything to be done", func() bool {
					mu.Lock()
					defer mu.Unlock()
					return len(done) == want
				})
				r1.stop(t)
				lags, err := e.admin(t).Lag(t.Context(), "push", []schemas.Topic{sumsIn})
				if err != nil {
					t.Fatal(err)
				}
				for _, l := range lags {
					if l.End > 0 && l.Committed != l.End {
						t.Errorf("%s/%d: committed %d of %d", l.Topic, l.Partition, l.Committed, l.End)
					}
				}
			})
		})
	}
}

// worker does every delivery at once.
type worker struct{ done func(*Delivery) }

func (w *worker) Offer(_ context.Context, ds []*Delivery) error {
	for _, d := range ds {
		w.done(d)
		d.Done()
	}
	return nil
}

func (w *worker) Revoke(context.Context, string, int32) {}

// TestExecutorPauses a partition that has too much outstanding, and goes on when it is done;
// also when the partition went away and came back while it was paused.
func TestExecutorPauses(t *testing.T) {
	e := newEngines(t, 1)
	h := &hands{}
	l, err := NewExecutorLoop("push", []schemas.Topic{sumsIn}, h, e.deps)
	if err != nil {
		t.Fatal(err)
	}
	l.maxOutstanding = 10
	r := background(t, l.Run)
	full := e.deps.Scope.Topic(sumsIn)
	e.feed(t, 20)
	eventually(t, "a pause", func() bool { return len(h.offsets()) > 10 && len(l.paused()) > 0 })
	e.feed(t, 10)
	eventually(t, "the rest after the pause", func() bool {
		for _, o := range h.offsets() {
			h.done(o)
		}
		return len(h.offsets()) == 30
	})
	// Revoked while paused: the client must not remember it.
	l.client.PauseFetchPartitions(map[string][]int32{full: {0}})
	l.revoked(map[string][]int32{full: {0}})
	if p := l.paused(); len(p) != 0 {
		t.Errorf("still paused after it went: %v", p)
	}
	r.stop(t)
}

func (l *ExecutorLoop) paused() map[string][]int32 {
	return l.client.PauseFetchPartitions(nil)
}

// TestExecutorFails: its error ends the loop and is told.
func TestExecutorFails(t *testing.T) {
	e := newEngines(t, 1)
	h := &hands{fail: kerr.UnknownServerError}
	r := e.execute(t, h)
	e.feed(t, 1)
	if err := r.wait(t); err == nil {
		t.Error("the loop ended without the executor's error")
	}
}
