package kafka

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Tail tells when a reader has everything that topics held at one moment.
//
// The last record is no sign of it: compaction, transaction markers and deleted records
// leave offsets at the end of a log that no record will ever come for, and a reader that
// waits for one waits for ever. So whatever is quiet is asked for directly.
type Tail struct {
	client *Client
	left   map[string]map[int32]*span
}

// span is what is still ahead in one partition: records from next on, below end.
type span struct{ next, end int64 }

// NewTail notes where the topics end now. from is where reading begins, by topic and
// partition; a partition that is not named is read from its first record.
func (c *Client) NewTail(ctx context.Context, from map[string]map[int32]int64, topics ...string) (*Tail, error) {
	adm := kadm.NewClient(c.Client)
	details, err := c.list(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("listing topics: %w", err)
	}
	t := &Tail{client: c, left: make(map[string]map[int32]*span)}
	var there []string
	for _, d := range details {
		if d.Err == nil && len(d.Partitions) > 0 {
			there = append(there, d.Topic)
		}
	}
	if len(there) == 0 {
		return t, nil
	}
	starts, err := adm.ListStartOffsets(ctx, there...)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("asking for the starts of topics: %w", err)
	}
	ends, err := adm.ListEndOffsets(ctx, there...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("asking for the ends of topics: %w", err)
	}
	ends.Each(func(e kadm.ListedOffset) {
		s := &span{end: e.Offset}
		if start, ok := starts.Lookup(e.Topic, e.Partition); ok {
			s.next = start.Offset
		}
		if at, ok := from[e.Topic][e.Partition]; ok {
			s.next = max(s.next, at)
		}
		if s.next >= s.end {
			return
		}
		if t.left[e.Topic] == nil {
			t.left[e.Topic] = make(map[int32]*span)
		}
		t.left[e.Topic][e.Partition] = s
	})
	return t, nil
}

// Offsets are where reading is to begin.
func (t *Tail) Offsets() map[string]map[int32]kgo.Offset {
	at := make(map[string]map[int32]kgo.Offset)
	for topic, parts := range t.left {
		at[topic] = make(map[int32]kgo.Offset)
		for p, s := range parts {
			at[topic][p] = kgo.NewOffset().At(s.next)
		}
	}
	return at
}

// End of a partition as it was, and whether something below it is still to come.
func (t *Tail) End(topic string, p int32) (int64, bool) {
	s, ok := t.left[topic][p]
	if !ok {
		return 0, false
	}
	return s.end, true
}

// Saw notes that a partition was read up to and including an offset.
func (t *Tail) Saw(topic string, p int32, offset int64) {
	s, ok := t.left[topic][p]
	if !ok {
		return
	}
	s.next = max(s.next, offset+1)
	t.pass(topic, p, s)
}

func (t *Tail) pass(topic string, p int32, s *span) {
	if s.next < s.end {
		return
	}
	delete(t.left[topic], p)
	if len(t.left[topic]) == 0 {
		delete(t.left, topic)
	}
}

// Reached is true when nothing is ahead any more.
func (t *Tail) Reached() bool { return len(t.left) == 0 }

// Ask asks the brokers about the partitions that have something ahead, and strikes off those
// whose remaining offsets hold no record. It is for a poll that brought nothing.
func (t *Tail) Ask(ctx context.Context) error {
	if t.Reached() {
		return nil
	}
	var topics []string
	for topic := range t.left {
		topics = append(topics, topic)
	}
	// Leaders move: they are asked for each time.
	details, err := t.client.list(ctx, topics...)
	if err != nil {
		return fmt.Errorf("asking for the leaders of topics: %w", err)
	}
	for _, topic := range topics {
		d := details[topic]
		for p, s := range t.left[topic] {
			leader, ok := d.Partitions[p]
			if !ok || leader.Err != nil || leader.Leader < 0 {
				continue
			}
			for s.next < s.end {
				next, err := t.client.after(ctx, leader.Leader, topic, d.ID, p, s.next)
				if err != nil {
					return fmt.Errorf("reading the end of %s/%d: %w", topic, p, err)
				}
				if next == s.next {
					break // there is a record: the reader will bring it
				}
				s.next = next
			}
			t.pass(topic, p, s)
		}
	}
	return nil
}

// after returns the offset after what one fetch at an offset covers when that is no record,
// and the offset itself when it is one, or when the broker cannot tell now.
func (c *Client) after(ctx context.Context, leader int32, topic string, id kadm.TopicID, p int32, from int64) (int64, error) {
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes, req.SessionEpoch = 1<<20, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = topic, id
	part := kmsg.NewFetchRequestTopicPartition()
	part.Partition, part.FetchOffset, part.PartitionMaxBytes, part.CurrentLeaderEpoch = p, from, 1<<20, -1
	t.Partitions = append(t.Partitions, part)
	req.Topics = append(req.Topics, t)
	answer, err := c.Broker(int(leader)).Request(ctx, req)
	if err != nil {
		return from, err
	}
	resp := answer.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return from, lasting(err)
	}
	// One partition was asked for.
	if len(resp.Topics) == 0 || len(resp.Topics[0].Partitions) == 0 {
		return from, nil
	}
	rp := &resp.Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
		return from, lasting(err)
	}
	if len(rp.RecordBatches) == 0 {
		// Nothing at all from here to the high watermark.
		return max(from, rp.HighWatermark), nil
	}
	fp, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: from, Topic: topic, Partition: p},
		rp, kgo.DefaultDecompressor(), nil)
	if fp.Err != nil {
		return from, fp.Err
	}
	if len(fp.Records) > 0 {
		return from, nil
	}
	return next, nil
}

// lasting drops errors that pass by themselves: whoever asks, asks again.
func lasting(err error) error {
	if kerr.IsRetriable(err) {
		return nil
	}
	return err
}
