package stream

// The tests below run the whole loop, on a broker and a Redis in this process.
// See failures_test.go for what they stand for.

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// running is a loop in the background.
type running struct {
	cancel context.CancelFunc
	done   chan error
}

func (e *engines) run(t *testing.T, f Fold) *running {
	t.Helper()
	l, err := NewLoop(f, e.deps)
	if err != nil {
		t.Fatal(err)
	}
	return background(t, l.Run)
}

func background(t *testing.T, run func(context.Context) error) *running {
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{cancel, make(chan error, 1)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.done <- run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return r
}

// wait is for a loop that ends by itself.
func (r *running) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.done:
		return err
	case <-time.After(time.Minute):
		t.Fatal("the loop did not end within a minute")
		return nil
	}
}

// stop ends it gracefully.
func (r *running) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
}

func (e *engines) admin(t *testing.T) *kafka.Client {
	t.Helper()
	c, err := kafka.Open(e.deps.Kafka, e.deps.Scope, e.deps.Log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// committed of the only partition.
func (e *engines) committed(t *testing.T) int64 {
	t.Helper()
	lags, err := e.admin(t).Lag(t.Context(), "orders", []schemas.Topic{sumsIn})
	if err != nil {
		t.Fatal(err)
	}
	return lags[0].Committed
}

// snapshot copies all of Redis; the function puts it back in one moment.
func (e *engines) snapshot(t *testing.T) (restore func()) {
	t.Helper()
	strs, hashes := make(map[string]string), make(map[string][]any)
	for _, k := range e.mini.Keys() {
		switch e.mini.Type(k) {
		case "string":
			strs[k], _ = e.mini.Get(k)
		case "hash":
			fields, _ := e.mini.HKeys(k)
			for _, f := range fields {
				hashes[k] = append(hashes[k], f, e.mini.HGet(k, f))
			}
		}
	}
	return func() {
		t.Helper()
		_, err := e.deps.Redis.TxPipelined(context.Background(), func(p redis.Pipeliner) error {
			p.FlushAll(context.Background())
			for k, v := range strs {
				p.Set(context.Background(), k, v, 0)
			}
			for k, v := range hashes {
				p.HSet(context.Background(), k, v...)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (e *engines) sumsAre(t *testing.T, want map[string]int64) {
	t.Helper()
	got := e.table(t)
	for k, n := range want {
		if got[k].GetOnHand() != n {
			t.Errorf("sum of %s = %d, want %d", k, got[k].GetOnHand(), n)
		}
	}
	// And Redis has what the topic has.
	st := newRedisStore(e.deps.Redis, e.deps.Scope, "orders", []*Table{newSumRoom().table})
	room := newSumRoom()
	st.number[room.table] = 0
	for k, n := range want {
		_, stored, err := st.load(t.Context(), partition{sumsIn.Name, kafka.Partition([]byte(k), e.partitions(t))}, []Key{{room.table, k}})
		if err != nil || stored[0] == nil {
			t.Errorf("loading %s: %v, %v", k, stored, err)
			continue
		}
		en, err := decodeEntry(room.table, stored[0])
		if err != nil || en.value.(*event.Claim).OnHand != n {
			t.Errorf("Redis has %v for %s (%v), want %d", en.value, k, err, n)
		}
	}
}

func (e *engines) partitions(t *testing.T) int32 {
	t.Helper()
	n, err := e.admin(t).Partitions(t.Context(), sumsIn)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRedisFallsBackUnderLiveConsumer(t *testing.T) {
	e := newEngines(t, 2)
	e.deps.Group.MaxPoll = 10
	r := e.run(t, newSumRoom())
	want := make(map[string]int64)
	feed := func(n int) {
		var rs []kafka.Record
		for i := range n {
			k := fmt.Sprint("k", i%7)
			want[k]++
			rs = append(rs, number(k, 1))
		}
		e.produce(t, rs...)
	}
	feed(40)
	e.drained(t, "orders")
	restore := e.snapshot(t)
	feed(60)
	e.drained(t, "orders")
	restore()
	feed(30)
	e.drained(t, "orders")
	r.stop(t)
	e.sumsAre(t, want)
	if n := figure(e.deps.Metrics.Gaps.WithLabelValues("orders")); n == 0 {
		t.Error("no gap was noticed")
	}
}

// TestRedisFallsBackWhileQuiet: no record comes that would notice it.
func TestRedisFallsBackWhileQuiet(t *testing.T) {
	e := newEngines(t, 1)
	r := e.run(t, newSumRoom())
	e.produce(t, number("a", 1))
	e.drained(t, "orders")
	restore := e.snapshot(t)
	e.produce(t, number("a", 2), number("b", 3))
	e.drained(t, "orders")
	restore()
	st := newRedisStore(e.deps.Redis, e.deps.Scope, "orders", nil)
	eventually(t, "the idle look to find it", func() bool {
		wm, err := st.watermark(t.Context(), partition{sumsIn.Name, 0})
		return err == nil && wm == 2
	})
	r.stop(t)
	e.sumsAre(t, map[string]int64{"a": 3, "b": 3})
}

func TestRedisFellBackWhileStopped(t *testing.T) {
	e := newEngines(t, 1)
	r := e.run(t, newSumRoom())
	e.produce(t, number("a", 1))
	e.drained(t, "orders")
	restore := e.snapshot(t)
	e.produce(t, number("a", 2), number("b", 3))
	e.drained(t, "orders")
	r.stop(t)
	restore()
	e.produce(t, number("a", 4))
	r = e.run(t, newSumRoom())
	e.drained(t, "orders")
	r.stop(t)
	e.sumsAre(t, map[string]int64{"a": 7, "b": 3})
}

// refuses is a stop that tells what to do.
func refuses(t *testing.T, err error, says ...string) {
	t.Helper()
	var s *StateError
	if !errors.As(err, &s) || s.Room != "orders" {
		t.Fatalf("the loop ended with %v, want a StateError of room orders", err)
	}
	for _, text := range says {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error %q does not say %q", err, text)
		}
	}
}

func TestStateGoneRefusesToStart(t *testing.T) {
	e := newEngines(t, 1)
	r := e.run(t, newSumRoom())
	e.produce(t, number("a", 1))
	e.drained(t, "orders")
	r.stop(t)
	e.mini.FlushAll()
	err := e.run(t, newSumRoom()).wait(t)
	refuses(t, err, "sums.in.v1/0", "crossdock rebuild --room orders")
}

func TestStateGoneUnderLiveConsumer(t *testing.T) {
	e := newEngines(t, 1)
	r := e.run(t, newSumRoom())
	e.produce(t, number("a", 1))
	e.drained(t, "orders")
	e.mini.FlushAll()
	e.produce(t, number("a", 2))
	refuses(t, r.wait(t), "crossdock rebuild --room orders")
}

func TestDamagedEntryStops(t *testing.T) {
	e := newEngines(t, 1)
	r := e.run(t, newSumRoom())
	e.produce(t, number("a", 1))
	e.drained(t, "orders")
	r.stop(t)
	st := newRedisStore(e.deps.Redis, e.deps.Scope, "orders", nil)
	e.mini.HSet(st.tableKey(newSumRoom().table, partition{sumsIn.Name, 0}), "a", "\xff")
	e.produce(t, number("a", 2))
	refuses(t, e.run(t, newSumRoom()).wait(t), "entry a", "crossdock rebuild --room orders")
}

func TestTopicRecreatedRefusesToStart(t *testing.T) {
	e := newEngines(t, 1)
	r := e.run(t, newSumRoom())
	e.produce(t, number("a", 1))
	e.drained(t, "orders")
	r.stop(t)
	c := e.admin(t)
	if _, err := kadm.NewClient(c.Client).DeleteTopic(t.Context(), e.deps.Scope.Topic(sumsIn)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ApplyTopics(t.Context(), []schemas.Topic{sumsIn}, kafka.Layout{Wide: 1, Narrow: 1, Replicas: 1}); err != nil {
		t.Fatal(err)
	}
	refuses(t, e.run(t, newSumRoom()).wait(t), "recreated or widened", "crossdock rebuild --room orders")
}

func TestPartitionCountPinned(t *testing.T) {
	e := newEngines(t, 2)
	r := e.run(t, newSumRoom())
	e.produce(t, number("a", 1))
	e.drained(t, "orders")
	r.stop(t)
	if _, err := kadm.NewClient(e.admin(t).Client).UpdatePartitions(t.Context(), 3, e.deps.Scope.Topic(sumsIn)); err != nil {
		t.Fatal(err)
	}
	refuses(t, e.run(t, newSumRoom()).wait(t), "old partition count")
}

func TestRetentionShorterThanDowntime(t *testing.T) {
	e := newEngines(t, 1)
	r := e.run(t, newSumRoom())
	e.produce(t, number("a", 1))
	e.drained(t, "orders")
	r.stop(t)
	e.produce(t, number("a", 1), number("a", 1), number("a", 1))
	var gone kadm.Offsets
	gone.AddOffset(e.deps.Scope.Topic(sumsIn), 0, 3, -1)
	if _, err := kadm.NewClient(e.admin(t).Client).DeleteRecords(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	err := e.run(t, newSumRoom()).wait(t)
	if !errors.Is(err, kerr.OffsetOutOfRange) || !strings.Contains(err.Error(), "crossdock replay --from") {
		t.Errorf("the loop ended with %v, want the way out", err)
	}
}

// TestRedisAwayStallsAndRecovers: longer than a round waits; the member stays in its group.
// TestRetentionAndForgottenGroup: the group's offsets are gone too, so that Kafka would begin with
// what is left and say nothing.
func TestRetentionAndForgottenGroup(t *testing.T) {
	e := newEngines(t, 1)
	r := e.run(t, newSumRoom())
	e.produce(t, number("a", 1), number("a", 2))
	e.drained(t, "orders")
	r.stop(t)
	e.produce(t, number("a", 4), number("a", 8))
	c := e.admin(t)
	if err := c.ForgetGroup(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	var gone kadm.Offsets
	gone.AddOffset(e.deps.Scope.Topic(sumsIn), 0, 3, -1)
	if _, err := kadm.NewClient(c.Client).DeleteRecords(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	refuses(t, e.run(t, newSumRoom()).wait(t), "next record to handle is 2", "begins at 3", "--from-input")
}

func TestRedisAwayStallsAndRecovers(t *testing.T) {
	e := newEngines(t, 3)
	r := e.run(t, newSumRoom())
	e.produce(t, number("a", 1))
	e.drained(t, "orders")
	group := e.deps.Scope.Group("orders")
	before := e.broker.GroupInfo(group)
	e.mini.SetError("LOADING Redis is loading the dataset in memory")
	want := map[string]int64{"a": 1}
	for i := range 9 {
		k := fmt.Sprint("k", i)
		want[k] = int64(i)
		e.produce(t, number(k, int64(i)))
	}
	eventually(t, "a stall", func() bool {
		return figure(e.deps.Metrics.Stalls.WithLabelValues("orders")) > 0
	})
	e.mini.SetError("")
	e.drained(t, "orders")
	after := e.broker.GroupInfo(group)
	if len(after.Members) != 1 || before.Epoch != after.Epoch {
		t.Errorf("the member did not stay: %+v, then %+v", before, after)
	}
	r.stop(t)
	e.sumsAre(t, want)
}

// TestRedisRestarts: its connections break, its data is there.
func TestRedisRestarts(t *testing.T) {
	e := newEngines(t, 1)
	r := e.run(t, newSumRoom())
	e.produce(t, number("a", 1))
	e.drained(t, "orders")
	e.mini.Close()
	e.produce(t, number("a", 2))
	if err := e.mini.Restart(); err != nil {
		t.Fatal(err)
	}
	e.drained(t, "orders")
	r.stop(t)
	e.sumsAre(t, map[string]int64{"a": 3})
}

// TestCommitRefusedIsHarmless, and is made good while it is quiet.
func TestCommitRefusedIsHarmless(t *testing.T) {
	e := newEngines(t, 1)
	f := e.broker.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Group: e.deps.Scope.Group("orders"), Err: kerr.RebalanceInProgress, Count: 2})
	r := e.run(t, newSumRoom())
	e.produce(t, number("a", 1), number("a", 2))
	e.drained(t, "orders")
	if f.Hits() != 2 {
		t.Errorf("%d commits were refused, want 2", f.Hits())
	}
	r.stop(t)
	e.sumsAre(t, map[string]int64{"a": 3})
}

func TestGracefulStopDrainsAndLeaves(t *testing.T) {
	for _, next := range []bool{false, true} {
		t.Run(fmt.Sprint("kip848=", next), func(t *testing.T) {
			onEngines(t, 2, func(t *testing.T, e *engines) {
				e.deps.Group.NewProtocol = next
				r := e.run(t, newSumRoom())
				var rs []kafka.Record
				for i := range 500 {
					rs = append(rs, number(fmt.Sprint("k", i%9), 1))
				}
				e.produce(t, rs...)
				eventually(t, "the first records", func() bool {
					return figure(e.deps.Metrics.Records.WithLabelValues("orders")) > 0
				})
				r.stop(t)
				// It left: nobody waits for a session to time out.
				if err := e.admin(t).Idle(t.Context(), "orders"); err != nil {
					t.Errorf("after the stop: %v", err)
				}
				// And what it had handled is committed.
				lags, err := e.admin(t).Lag(t.Context(), "orders", []schemas.Topic{sumsIn})
				if err != nil {
					t.Fatal(err)
				}
				committed := int64(0)
				for _, l := range lags {
					committed += max(l.Committed, 0)
				}
				if handled := int64(figure(e.deps.Metrics.Records.WithLabelValues("orders"))); handled != committed {
					t.Errorf("handled %d, committed %d", handled, committed)
				}
			})
		})
	}
}

// TestStaticMember: a restart within the session timeout moves nothing.
func TestStaticMember(t *testing.T) {
	e := newEngines(t, 2)
	e.deps.Group.InstanceID = "pod-0"
	group := e.deps.Scope.Group("orders")
	r := e.run(t, newSumRoom())
	e.produce(t, number("a", 1), number("b", 1))
	e.drained(t, "orders")
	r.stop(t)
	before := e.broker.GroupInfo(group)
	if len(before.Members) != 1 || before.Members[0].InstanceID == nil || *before.Members[0].InstanceID != "pod-0" {
		t.Fatalf("after the stop: %+v, want the static member", before)
	}
	r = e.run(t, newSumRoom())
	e.produce(t, number("a", 2))
	e.drained(t, "orders")
	if after := e.broker.GroupInfo(group); after.Epoch != before.Epoch {
		t.Errorf("the restart made a rebalance: generation %d, then %d", before.Epoch, after.Epoch)
	}
	r.stop(t)
	e.sumsAre(t, map[string]int64{"a": 3, "b": 1})
}

func TestLagIsShown(t *testing.T) {
	e := newEngines(t, 1)
	r := e.run(t, newSumRoom())
	e.produce(t, number("a", 1))
	e.drained(t, "orders")
	if n := series(e.deps.Metrics.LagRecords); n != 1 {
		t.Errorf("%d lag gauges, want 1", n)
	}
	if got := figure(e.deps.Metrics.LagRecords.WithLabelValues("orders", sumsIn.Name, "0")); got != 0 {
		t.Errorf("lag %v, want 0", got)
	}
	r.stop(t)
	if n := series(e.deps.Metrics.LagRecords); n != 0 {
		t.Errorf("%d lag gauges after the partition went, want none", n)
	}
}
