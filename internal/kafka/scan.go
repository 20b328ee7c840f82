package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/helloword/crossdock/schemas"
)

// Scanned is a record met by Scan.
type Scanned struct {
	Topic       schemas.Topic
	Partition   int32
	Offset      int64
	TimestampMs int64
	Key, Value  []byte
	Headers     []Header
}

// Header returns the last header of that name, nil if there is none.
func (s *Scanned) Header(name string) []byte {
	for i := len(s.Headers) - 1; i >= 0; i-- {
		if s.Headers[i].Key == name {
			return s.Headers[i].Value
		}
	}
	return nil
}

// Scan reads topics from a time (zero: from the beginning) to the end as it is now, outside of
// any group, partitions in order. f's error ends it and is returned. Topics that are not there
// are passed over.
func Scan(ctx context.Context, cfg Config, scope schemas.Scope, log *slog.Logger, topics []schemas.Topic, from time.Time, f func(*Scanned) error) error {
	c, err := Open(cfg, scope, log)
	if err != nil {
		return err
	}
	defer c.Close()
	byName := make(map[string]schemas.Topic)
	var names []string
	for _, t := range topics {
		byName[scope.Topic(t)] = t
		names = append(names, scope.Topic(t))
	}
	start := make(map[string]map[int32]int64)
	if !from.IsZero() {
		after, err := kadm.NewClient(c.Client).ListOffsetsAfterMilli(ctx, from.UnixMilli(), names...)
		if err != nil {
			return fmt.Errorf("asking for offsets at %s: %w", from.Format(time.RFC3339), err)
		}
		after.Each(func(o kadm.ListedOffset) {
			if start[o.Topic] == nil {
				start[o.Topic] = make(map[int32]int64)
			}
			start[o.Topic][o.Partition] = o.Offset
		})
	}
	tail, err := c.NewTail(ctx, start, names...)
	if err != nil {
		return err
	}
	if tail.Reached() {
		return nil
	}
	reader, err := Open(cfg, scope, log, kgo.ConsumePartitions(tail.Offsets()), kgo.FetchMaxWait(200*time.Millisecond))
	if err != nil {
		return err
	}
	defer reader.Close()
	for !tail.Reached() {
		fetches, err := pollFor(ctx, reader, time.Second/2)
		if err != nil {
			return err
		}
		fetches.EachPartition(func(fp kgo.FetchTopicPartition) {
			end, ahead := tail.End(fp.Topic, fp.Partition)
			if !ahead || err != nil {
				return
			}
			for _, r := range fp.Records {
				if r.Offset >= end {
					break
				}
				s := Scanned{
					Topic: byName[fp.Topic], Partition: r.Partition, Offset: r.Offset,
					TimestampMs: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value, Headers: r.Headers,
				}
				if err = f(&s); err != nil {
					return
				}
			}
			if n := len(fp.Records); n > 0 {
				tail.Saw(fp.Topic, fp.Partition, fp.Records[n-1].Offset)
			}
		})
		if err != nil {
			return err
		}
		if fetches.NumRecords() == 0 {
			if err := tail.Ask(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// pollFor polls for a while; that nothing came is no error.
func pollFor(ctx context.Context, c *Client, patience time.Duration) (kgo.Fetches, error) {
	short, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	fetches := c.PollRecords(short, 10_000)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var failed error
	fetches.EachError(func(topic string, p int32, err error) {
		if !errors.Is(err, context.DeadlineExceeded) {
			failed = errors.Join(failed, fmt.Errorf("reading %s/%d: %w", topic, p, err))
		}
	})
	return fetches, failed
}

// Progress is where a consumer group stands on one partition.
type Progress struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Committed int64  `json:"committed"`
	End       int64  `json:"end"`
}

// Lag of a group, by partition of the topics it reads; Committed is -1 where it has no offset.
func (c *Client) Lag(ctx context.Context, group string, topics []schemas.Topic) ([]Progress, error) {
	adm := kadm.NewClient(c.Client)
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = c.scope.Topic(t)
	}
	var committed kadm.OffsetResponses
	err := patiently(ctx, func() (err error) {
		committed, err = adm.FetchOffsets(ctx, c.scope.Group(group))
		return err
	})
	if err == nil {
		err = committed.Error()
	}
	if err != nil && !absent(err) { // a group that never committed is not there
		return nil, fmt.Errorf("asking for the offsets of group %s: %w", group, err)
	}
	ends, err := adm.ListEndOffsets(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("asking for the ends of topics: %w", err)
	}
	var all []Progress
	ends.Each(func(e kadm.ListedOffset) {
		if e.Err != nil {
			return
		}
		p := Progress{Topic: e.Topic, Partition: e.Partition, Committed: -1, End: e.Offset}
		if o, ok := committed.Lookup(e.Topic, e.Partition); ok {
			p.Committed = o.At
		}
		all = append(all, p)
	})
	return all, nil
}

// ResetGroup puts a group's offsets to a time or an offset on the given topics. The group
// must have no members: a live one would go on from its own position.
func (c *Client) ResetGroup(ctx context.Context, group string, topics []schemas.Topic, to func(start, end int64, atTime int64) int64, at time.Time) ([]Progress, error) {
	adm := kadm.NewClient(c.Client)
	full := c.scope.Group(group)
	if err := c.Idle(ctx, group); err != nil {
		return nil, err
	}
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = c.scope.Topic(t)
	}
	starts, err := adm.ListStartOffsets(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("asking for the starts of topics: %w", err)
	}
	ends, err := adm.ListEndOffsets(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("asking for the ends of topics: %w", err)
	}
	var times kadm.ListedOffsets
	if !at.IsZero() {
		if times, err = adm.ListOffsetsAfterMilli(ctx, at.UnixMilli(), names...); err != nil {
			return nil, fmt.Errorf("asking for offsets at %s: %w", at.Format(time.RFC3339), err)
		}
	}
	offsets := make(kadm.Offsets)
	var done []Progress
	ends.Each(func(e kadm.ListedOffset) {
		s, _ := starts.Lookup(e.Topic, e.Partition)
		t, ok := times.Lookup(e.Topic, e.Partition)
		if !ok {
			t.Offset = s.Offset
		}
		o := min(max(to(s.Offset, e.Offset, t.Offset), s.Offset), e.Offset)
		offsets.AddOffset(e.Topic, e.Partition, o, -1)
		done = append(done, Progress{Topic: e.Topic, Partition: e.Partition, Committed: o, End: e.Offset})
	})
	if err := adm.CommitAllOffsets(ctx, full, offsets); err != nil {
		return nil, fmt.Errorf("setting the offsets of group %s: %w", full, err)
	}
	return done, nil
}

// Idle reports an error while a group has members, of either protocol.
func (c *Client) Idle(ctx context.Context, group string) error {
	full := c.scope.Group(group)
	adm := kadm.NewClient(c.Client)
	described, err := adm.DescribeGroups(ctx, full)
	if err != nil {
		return fmt.Errorf("describing group %s: %w", full, err)
	}
	d := described[full]
	members := len(d.Members)
	if d.Err != nil && !absent(d.Err) {
		return fmt.Errorf("describing group %s: %w", full, d.Err)
	}
	// A group of the new protocol is no group to the old question. Brokers that do not know
	// the new one have no such groups.
	next, err := adm.DescribeConsumerGroups(ctx, full)
	if err != nil && !absent(err) {
		return fmt.Errorf("describing group %s: %w", full, err)
	}
	n := next[full]
	if n.Err != nil && !absent(n.Err) {
		return fmt.Errorf("describing group %s: %w", full, n.Err)
	}
	if members = max(members, len(n.Members)); members > 0 {
		return fmt.Errorf("group %s has %d members: stop them first", full, members)
	}
	return nil
}

func absent(err error) bool {
	return errors.Is(err, kerr.GroupIDNotFound) || errors.Is(err, kerr.UnsupportedVersion)
}

// ForgetGroup deletes a group that has no members: its next member begins at the beginning.
func (c *Client) ForgetGroup(ctx context.Context, group string) error {
	full := c.scope.Group(group)
	r, err := kadm.NewClient(c.Client).DeleteGroup(ctx, full)
	if err == nil {
		err = r.Err
	}
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return fmt.Errorf("forgetting group %s: %w", full, err)
	}
	return nil
}

// patiently repeats what a cluster cannot answer yet: a new one makes its group coordinator at
// the first question.
func patiently(ctx context.Context, ask func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := ask()
		if err == nil || !kerr.IsRetriable(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}
