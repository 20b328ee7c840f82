package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/schemas"
)

// View is a whole compacted topic in memory, kept up to date: for what every member must
// look up, like the listings. Of several versions of a key the highest counts, whatever
// order the log has them in.
type View[T any] struct {
	deps   Deps
	topic  schemas.Topic
	decode func([]byte) (T, error)

	mu      sync.RWMutex
	entries map[string]viewed[T]
	ready   chan struct{}
	once    sync.Once
}

type viewed[T any] struct {
	value   T
	version Version
	gone    bool
}

// NewView makes a view; it fills while Run runs.
func NewView[T any](topic schemas.Topic, decode func([]byte) (T, error), d Deps) *View[T] {
	return &View[T]{deps: d, topic: topic, decode: decode, entries: make(map[string]viewed[T]), ready: make(chan struct{})}
}

// Ready is closed when everything that was in the topic when Run began has been read.
func (v *View[T]) Ready() <-chan struct{} { return v.ready }

// Get returns a key's newest value. The key is not kept.
func (v *View[T]) Get(key []byte) (T, bool) {
	v.mu.RLock()
	e, ok := v.entries[string(key)]
	v.mu.RUnlock()
	return e.value, ok && !e.gone
}

// Len is the number of keys.
func (v *View[T]) Len() int {
	v.mu.RLock()
	defer v.mu.RUnlock()
	n := 0
	for _, e := range v.entries {
		if !e.gone {
			n++
		}
	}
	return n
}

// Run reads until ctx ends.
func (v *View[T]) Run(ctx context.Context) error {
	c, err := kafka.Open(v.deps.Kafka, v.deps.Scope, v.deps.Log,
		kgo.ConsumeTopics(v.deps.Scope.Topic(v.topic)), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		return fmt.Errorf("view of %s: %w", v.topic.Name, err)
	}
	defer c.Close()
	if _, _, err := c.TopicID(ctx, v.topic); err != nil && ctx.Err() == nil {
		return fmt.Errorf("view of %s: %w", v.topic.Name, err)
	}
	tail, err := c.NewTail(ctx, nil, v.deps.Scope.Topic(v.topic))
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("view of %s: %w", v.topic.Name, err)
	}
	for {
		if tail.Reached() {
			v.once.Do(func() { close(v.ready) })
		}
		fetches := pollView(ctx, c, tail.Reached())
		if ctx.Err() != nil {
			return nil
		}
		fetches.EachError(func(topic string, p int32, err error) {
			if errors.Is(err, context.DeadlineExceeded) {
				return
			}
			v.deps.Log.Warn("reading a view", "topic", topic, "partition", p, "err", err)
		})
		fetches.EachRecord(func(r *kgo.Record) {
			v.take(r)
			tail.Saw(r.Topic, r.Partition, r.Offset)
		})
		if fetches.NumRecords() == 0 && !tail.Reached() {
			// Offsets without records at the end would keep it from ever being ready.
			if err := tail.Ask(ctx); err != nil {
				v.deps.Log.Warn("asking how far a view has to read", "topic", v.topic.Name, "err", err)
			}
		}
	}
}

// pollView polls, for ever once everything there was has been read.
func pollView(ctx context.Context, c *kafka.Client, ready bool) kgo.Fetches {
	if !ready {
		short, cancel := context.WithTimeout(ctx, time.Second/2)
		defer cancel()
		ctx = short
	}
	return c.PollRecords(ctx, 10_000)
}

func (v *View[T]) take(r *kgo.Record) {
	var version Version
	for _, h := range r.Headers {
		if h.Key == schemas.HeaderVersion {
			version, _ = ParseVersion(string(h.Value))
		}
	}
	e := viewed[T]{version: version, gone: r.Value == nil}
	if !e.gone {
		value, err := v.decode(r.Value)
		if err != nil {
			v.deps.Log.Error("a record of a view cannot be decoded and is passed over", "topic", v.topic.Name, "partition", r.Partition, "offset", r.Offset, "err", err)
			return
		}
		e.value = value
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if old, ok := v.entries[string(r.Key)]; ok && version.Before(old.version) {
		return
	}
	v.entries[string(r.Key)] = e
}
