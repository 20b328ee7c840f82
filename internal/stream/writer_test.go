package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// receiver is a table that remembers tokens, as ClickHouse does.
type receiver struct {
	mu      sync.Mutex
	batches map[string][]int64 // by token: offsets, as first written
	writes  int
	before  func(ctx context.Context, b *Batch) error // may fail or hang before it is written
	after   func(ctx context.Context, b *Batch) error // or after
	t       *testing.T
}

func newReceiver(t *testing.T) *receiver { return &receiver{t: t, batches: make(map[string][]int64)} }

func (w *receiver) Write(ctx context.Context, b *Batch) error {
	w.mu.Lock()
	before, after := w.before, w.after
	w.mu.Unlock()
	if before != nil {
		if err := before(ctx, b); err != nil {
			return err
		}
	}
	var offsets []int64
	for _, r := range b.Records {
		offsets = append(offsets, r.Offset)
	}
	w.mu.Lock()
	w.writes++
	token := fmt.Sprint(b.Topic, "/", b.Partition, " ", b.Token)
	if old, ok := w.batches[token]; ok && fmt.Sprint(old) != fmt.Sprint(offsets) {
		w.t.Errorf("token %s names %v and %v", b.Token, old, offsets)
	}
	w.batches[token] = offsets
	if len(offsets) == 0 || offsets[0] < b.First || offsets[len(offsets)-1] != b.Last {
		w.t.Errorf("batch %d..%d holds %v", b.First, b.Last, offsets)
	}
	w.mu.Unlock()
	if after != nil {
		return after(ctx, b)
	}
	return nil
}

// hang waits until the loop gives up: for it, that is a crash.
func hang(ctx context.Context, _ *Batch) error {
	<-ctx.Done()
	return ctx.Err()
}

func (w *receiver) set(before, after func(context.Context, *Batch) error) {
	w.mu.Lock()
	w.before, w.after = before, after
	w.mu.Unlock()
}

// counted is how many records are in, each once; it fails when one is under two tokens.
func (w *receiver) counted() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	rows := make(map[string]string)
	for token, offsets := range w.batches {
		place := strings.Fields(token)[0]
		for _, o := range offsets {
			row := fmt.Sprint(place, "@", o)
			if other, ok := rows[row]; ok {
				w.t.Errorf("record %s was written under %s and %s", row, other, token)
			}
			rows[row] = token
		}
	}
	return len(rows)
}

func (w *receiver) tokens() map[string][]int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.batches)
}

func (e *engines) write(t *testing.T, w BatchWriter, cfg WriterConfig) *running {
	t.Helper()
	l, err := NewWriterLoop("orders", []schemas.Topic{sumsIn}, w, cfg, e.deps)
	if err != nil {
		t.Fatal(err)
	}
	l.patience = 0 // a stop while something is written is a crash
	return background(t, l.Run)
}

var quick = WriterConfig{MaxRecords: 10, MaxAge: 20 * time.Millisecond}

// metadata is what the group has committed for the only partition.
func (e *engines) metadata(t *testing.T) (int64, string) {
	t.Helper()
	os, err := kadm.NewClient(e.admin(t).Client).FetchOffsets(t.Context(), e.deps.Scope.Group("orders"))
	if err != nil {
		t.Fatal(err)
	}
	o, _ := os.Lookup(e.deps.Scope.Topic(sumsIn), 0)
	return o.At, o.Metadata
}

func TestWriterCountsOnce(t *testing.T) {
	e := newEngines(t, 2)
	w := newReceiver(t)
	r := e.write(t, w, quick)
	for i := range 100 {
		e.produce(t, number(fmt.Sprint("k", i), 1))
	}
	eventually(t, "all records", func() bool { return w.counted() == 100 })
	e.drained(t, "orders")
	r.stop(t)
}

// TestWriterCrash: whoever is next writes exactly the batch that was begun, under its token,
// though there is more by then, and a batch may be larger.
func TestWriterCrash(t *testing.T) {
	for _, tc := range []struct {
		name          string
		before, after func(context.Context, *Batch) error
	}{{"between Intent and Insert", hang, nil}, {"between Insert and Confirm", nil, hang}} {
		t.Run(tc.name, func(t *testing.T) {
			e := newEngines(t, 1)
			w := newReceiver(t)
			w.set(tc.before, tc.after)
			r := e.write(t, w, quick)
			e.feed(t, 7)
			var begun string
			eventually(t, "an intent", func() bool { _, begun = e.metadata(t); return begun != "" })
			if tc.after != nil {
				eventually(t, "the insert", func() bool { return w.counted() > 0 })
			}
			r.stop(t)
			at, mark := e.metadata(t)
			last, err := parseIntent(mark)
			if err != nil || mark != begun {
				t.Fatalf("after the crash the intent is %q (%v), it was %q", mark, err, begun)
			}
			e.feed(t, 20)
			w.set(nil, nil)
			r = e.write(t, w, WriterConfig{MaxRecords: 1000, MaxAge: 20 * time.Millisecond})
			eventually(t, "all records", func() bool { return w.counted() == 27 })
			e.drained(t, "orders")
			r.stop(t)
			found := false
			for token, offsets := range w.tokens() {
				if offsets[0] == at {
					found = offsets[len(offsets)-1] == last && strings.HasSuffix(token, fmt.Sprintf("|0|%d|%d", at, last))
				}
			}
			if !found {
				t.Errorf("the batch %d..%d was not written again as it was: %v", at, last, w.tokens())
			}
			if _, mark := e.metadata(t); mark != "" {
				t.Errorf("at rest there is still an intent: %q", mark)
			}
		})
	}
}

// TestWriterIntentRefused: nothing is written before Kafka has the intent.
func TestWriterIntentRefused(t *testing.T) {
	e := newEngines(t, 1)
	f := e.broker.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Group: e.deps.Scope.Group("orders"), Err: kerr.RebalanceInProgress, Count: 3})
	w := newReceiver(t)
	w.set(func(context.Context, *Batch) error {
		if f.Hits() < 3 {
			t.Errorf("a batch is written after %d of 3 refusals", f.Hits())
		}
		if _, mark := e.metadata(t); mark == "" {
			t.Error("a batch is written without an intent")
		}
		return nil
	}, nil)
	r := e.write(t, w, quick)
	e.feed(t, 5)
	eventually(t, "all records", func() bool { return w.counted() == 5 })
	e.drained(t, "orders")
	r.stop(t)
}

// TestWriterNotAnsweredFor: a partition that the answer to the intent does not mention.
func TestWriterNotAnsweredFor(t *testing.T) {
	e := newEngines(t, 1)
	refused := make(chan struct{})
	e.broker.ControlKey(int16(kmsg.OffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
		close(refused)
		resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
		return resp, nil, true // of no partition at all
	})
	w := newReceiver(t)
	w.set(func(context.Context, *Batch) error {
		if _, mark := e.metadata(t); mark == "" {
			t.Error("a batch is written without an intent")
		}
		return nil
	}, nil)
	r := e.write(t, w, quick)
	e.feed(t, 5)
	<-refused
	eventually(t, "all records", func() bool { return w.counted() == 5 })
	e.drained(t, "orders")
	r.stop(t)
}

// TestWriterRejectedRecords go to the dead letters; the rest is written.
func TestWriterRejectedRecords(t *testing.T) {
	e := newEngines(t, 1)
	w := newReceiver(t)
	w.set(nil, func(_ context.Context, b *Batch) error {
		rejected := &RejectedError{}
		for i, r := range b.Records {
			if r.Offset%4 == 3 {
				rejected.Records = append(rejected.Records, Rejected{i, fmt.Errorf("column %d is too small", r.Offset)})
			}
		}
		if len(rejected.Records) == 0 {
			return nil
		}
		return fmt.Errorf("insert: %w", rejected)
	})
	r := e.write(t, w, quick)
	e.feed(t, 10)
	e.drained(t, "orders")
	r.stop(t)
	var dead []string
	err := kafka.Scan(t.Context(), e.deps.Kafka, e.deps.Scope, e.deps.Log, []schemas.Topic{schemas.DeadLetters("orders")}, time.Time{}, func(r *kafka.Scanned) error {
		d := new(event.DeadLetter)
		if err := d.UnmarshalVT(r.Header(schemas.HeaderDeadLetter)); err != nil {
			return err
		}
		dead = append(dead, fmt.Sprintf("%d: %s", d.Offset, d.Reason))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(dead, ", "); got != "3: column 3 is too small, 7: column 7 is too small" {
		t.Errorf("dead letters: %s", got)
	}
	if w.counted() != 10 {
		t.Errorf("%d records handed over, want 10", w.counted())
	}
}

// TestWriterAwayPausesItsPartitionOnly: the others go on, the member stays in its group, and
// buffers are bounded.
func TestWriterAwayPausesItsPartitionOnly(t *testing.T) {
	e := newEngines(t, 2)
	away := make(chan struct{})
	w := newReceiver(t)
	w.set(func(_ context.Context, b *Batch) error {
		select {
		case <-away:
			return nil
		default:
		}
		if b.Partition == 0 {
			return errors.New("connection refused")
		}
		return nil
	}, nil)
	l, err := NewWriterLoop("orders", []schemas.Topic{sumsIn}, w, WriterConfig{MaxRecords: 5, MaxAge: 10 * time.Millisecond}, e.deps)
	if err != nil {
		t.Fatal(err)
	}
	r := background(t, l.Run)
	want, c := [2]int{}, e.admin(t)
	for i := range 120 {
		k := fmt.Sprint("k", i)
		want[kafka.Partition([]byte(k), 2)]++
		give(t, c, number(k, 1))
	}
	eventually(t, "the other partition", func() bool { return w.counted() == want[1] })
	eventually(t, "a pause", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.client.PauseFetchPartitions(nil)) == 1
	})
	before := e.broker.GroupInfo(e.deps.Scope.Group("orders"))
	close(away)
	eventually(t, "all records", func() bool { return w.counted() == 120 })
	e.drained(t, "orders")
	if after := e.broker.GroupInfo(e.deps.Scope.Group("orders")); len(after.Members) != 1 || after.Epoch != before.Epoch {
		t.Errorf("the member did not stay: %+v, then %+v", before, after)
	}
	r.stop(t)
}

// TestWriterRebalance: members come and go while batches are written, by both protocols.
func TestWriterRebalance(t *testing.T) {
	for _, next := range []bool{false, true} {
		t.Run(fmt.Sprint("kip848=", next), func(t *testing.T) {
			onEngines(t, 4, func(t *testing.T, e *engines) {
				e.deps.Group.NewProtocol = next
				w := newReceiver(t)
				slow := make(chan struct{}, 1)
				w.set(func(ctx context.Context, b *Batch) error {
					// One write at a time waits for a while: revocations meet it.
					select {
					case slow <- struct{}{}:
						defer func() { <-slow }()
						select {
						case <-ctx.Done():
							return ctx.Err()
						case <-time.After(30 * time.Millisecond):
						}
					default:
					}
					return nil
				}, nil)
				loops := []*running{e.write(t, w, quick)}
				c, n := e.admin(t), 0
				for round := range 5 {
					for range 40 {
						give(t, c, number(fmt.Sprint("k", n), 1))
						n++
					}
					loops = append(loops, e.write(t, w, quick))
					if round > 0 {
						loops[0].stop(t)
						loops = loops[1:]
					}
				}
				eventually(t, "all records", func() bool { return w.counted() == n })
				e.drained(t, "orders")
				for _, r := range loops {
					r.stop(t)
				}
				if w.counted() != n {
					t.Errorf("%d records, want %d", w.counted(), n)
				}
			})
		})
	}
}

// TestWriterForeignIntent: somebody else's metadata is not guessed at.
func TestWriterForeignIntent(t *testing.T) {
	e := newEngines(t, 1)
	e.feed(t, 3)
	var os kadm.Offsets
	os.Add(kadm.Offset{Topic: e.deps.Scope.Topic(sumsIn), At: 1, LeaderEpoch: -1, Metadata: "v7:what"})
	if err := kadm.NewClient(e.admin(t).Client).CommitAllOffsets(t.Context(), e.deps.Scope.Group("orders"), os); err != nil {
		t.Fatal(err)
	}
	err := e.write(t, newReceiver(t), quick).wait(t)
	if err == nil || !strings.Contains(err.Error(), `"v7:what" is not an intent`) {
		t.Errorf("the loop ended with %v, want what is wrong", err)
	}
}

// TestWriterStopsInTime though several writers hang.
func TestWriterStopsInTime(t *testing.T) {
	e := newEngines(t, 4)
	w := newReceiver(t)
	var hanging sync.WaitGroup
	hanging.Add(4)
	w.set(func(ctx context.Context, b *Batch) error { hanging.Done(); return hang(ctx, b) }, nil)
	l, err := NewWriterLoop("orders", []schemas.Topic{sumsIn}, w, quick, e.deps)
	if err != nil {
		t.Fatal(err)
	}
	l.patience = 50 * time.Millisecond
	r := background(t, l.Run)
	for p := range int32(4) {
		e.produce(t, kafka.Record{Topic: sumsIn, Key: []byte("k"), ByPartition: true, Partition: p})
	}
	hanging.Wait()
	r.stop(t)
}

func FuzzIntent(f *testing.F) {
	f.Add("i1:5")
	f.Add("i1:-1")
	f.Fuzz(func(t *testing.T, s string) {
		if last, err := parseIntent(s); err == nil {
			if again, err := parseIntent(formatIntent(last)); err != nil || again != last {
				t.Errorf("%q = %d, again %d, %v", s, last, again, err)
			}
		}
	})
}
