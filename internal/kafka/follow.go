package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/helloword/crossdock/schemas"
)

// Follower reads a small topic up to this very moment, each time it is asked to: for what must
// not be a moment old, as a view may be. It keeps the place where it stands, nothing else.
type Follower struct {
	cfg   Config
	scope schemas.Scope
	log   *slog.Logger
	topic schemas.Topic

	turn   chan struct{} // one caller at a time; a caller's ctx bounds its waiting
	client *Client
	id     string // the topic's, as the cluster has it
	next   map[int32]int64
}

// NewFollower connects to nobody yet.
func NewFollower(cfg Config, scope schemas.Scope, log *slog.Logger, topic schemas.Topic) *Follower {
	return &Follower{cfg: cfg, scope: scope, log: log, topic: topic, turn: make(chan struct{}, 1)}
}

// Close lets go of the connection. CatchUp must not be called after it.
func (f *Follower) Close() {
	f.turn <- struct{}{}
	f.forget()
}

func (f *Follower) forget() {
	if f.client != nil {
		f.client.Close()
	}
	f.client, f.id, f.next = nil, "", nil
}

// CatchUp hands over, partitions in order, everything that was written since the last call and
// acknowledged before this one. A topic that was recreated is read from its beginning. After an
// error it goes on where it stood.
func (f *Follower) CatchUp(ctx context.Context, take func(*Scanned)) error {
	select {
	case f.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("reading %s: %w", f.topic.Name, ctx.Err())
	}
	defer func() { <-f.turn }()
	if err := f.catchUp(ctx, take); err != nil {
		return fmt.Errorf("reading %s: %w", f.topic.Name, err)
	}
	return nil
}

func (f *Follower) catchUp(ctx context.Context, take func(*Scanned)) error {
	full := f.scope.Topic(f.topic)
	if f.client == nil {
		if err := f.open(ctx, full); err != nil {
			return err
		}
	}
	id, _, err := f.client.TopicID(ctx, f.topic)
	if err != nil {
		return err
	}
	if id != f.id {
		f.forget()
		if err := f.open(ctx, full); err != nil {
			return err
		}
	}
	tail, err := f.client.NewTail(ctx, map[string]map[int32]int64{full: f.next}, full)
	if err != nil {
		return err
	}
	for !tail.Reached() {
		fetches, err := pollFor(ctx, f.client, time.Second/2)
		if err != nil {
			return err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			take(&Scanned{
				Topic: f.topic, Partition: r.Partition, Offset: r.Offset,
				TimestampMs: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value, Headers: r.Headers,
			})
			f.next[r.Partition] = r.Offset + 1
			tail.Saw(full, r.Partition, r.Offset)
		})
		if fetches.NumRecords() == 0 {
			if err := tail.Ask(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *Follower) open(ctx context.Context, full string) error {
	c, err := Open(f.cfg, f.scope, f.log, kgo.FetchMaxWait(2*time.Second))
	if err != nil {
		return err
	}
	id, n, err := c.TopicID(ctx, f.topic)
	if err != nil {
		c.Close()
		return err
	}
	from := make(map[int32]kgo.Offset, n)
	for p := range n {
		from[p] = kgo.NewOffset().AtStart()
	}
	c.AddConsumePartitions(map[string]map[int32]kgo.Offset{full: from})
	f.client, f.id, f.next = c, id, make(map[int32]int64, n)
	return nil
}
