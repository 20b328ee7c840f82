package stream

import (
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

func decodeClaim(b []byte) (*event.Claim, error) {
	if string(b) == "junk" {
		return nil, errors.New("junk")
	}
	c := new(event.Claim)
	return c, c.UnmarshalVT(b)
}

func isReady[T any](v *View[T]) func() bool {
	return func() bool {
		select {
		case <-v.Ready():
			return true
		default:
			return false
		}
	}
}

// TestViewNewestVersionWins, whatever order the log has them in.
func TestViewNewestVersionWins(t *testing.T) {
	e := newEngines(t, 2)
	junk := written("c", 9, 2, 9)
	junk.Value = []byte("junk")
	e.produce(t,
		written("a", 5, 1, 5), written("a", 1, -1, 1), // a zombie's late word
		written("b", 1, -1, 1), tombstone("b", 3, 1), written("b", 2, 1, 2),
		written("c", 2, -1, 2), junk,
		tombstone("d", 1, -1), written("d", 4, -1, 4),
	)
	v := NewView(sums, decodeClaim, e.deps)
	if _, ok := v.Get([]byte("a")); ok {
		t.Error("there is an entry before anything was read")
	}
	r := background(t, v.Run)
	eventually(t, "the view to be ready", isReady(v))
	for k, want := range map[string]int64{"a": 5, "c": 2, "d": 4} {
		if got, ok := v.Get([]byte(k)); !ok || got.OnHand != want {
			t.Errorf("%s = %v, %v; want version %d", k, got, ok, want)
		}
	}
	if _, ok := v.Get([]byte("b")); ok {
		t.Error("b was deleted and is there")
	}
	if v.Len() != 3 {
		t.Errorf("%d keys, want 3", v.Len())
	}
	e.produce(t, written("a", 6, 5, 6))
	eventually(t, "the view to follow", func() bool { c, _ := v.Get([]byte("a")); return c.OnHand == 6 })
	r.stop(t)
}

// TestViewIsReady: when the topic is empty, and when it ends with offsets without records.
func TestViewIsReady(t *testing.T) {
	e := newEngines(t, 2)
	v := NewView(sums, decodeClaim, e.deps)
	r := background(t, v.Run)
	eventually(t, "the view of nothing to be ready", isReady(v))
	r.stop(t)

	w, err := kafka.Open(e.deps.Kafka, e.deps.Scope, e.deps.Log, kgo.TransactionalID("t"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	rec := written("a", 1, -1, 1)
	err = w.Convert(t.Context(), &rec, func(k *kgo.Record) {
		if err := w.ProduceSync(t.Context(), k).FirstErr(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	v = NewView(sums, decodeClaim, e.deps)
	r = background(t, v.Run)
	eventually(t, "the view that ends with a marker to be ready", isReady(v))
	if _, ok := v.Get([]byte("a")); !ok {
		t.Error("the view is ready without its entry")
	}
	r.stop(t)
}

func TestViewOfMissingTopic(t *testing.T) {
	e := newEngines(t, 1)
	v := NewView(schemas.Topic{Name: "missing.v1"}, decodeClaim, e.deps)
	if err := v.Run(t.Context()); !errors.Is(err, kafka.ErrNoTopic) || !strings.Contains(err.Error(), "missing.v1") {
		t.Errorf("view of a topic that is not there: %v", err)
	}
}
