package stream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/helloword/crossdock/internal/crash"
	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/schemas"
)

// WriterConfig is when a batch is full.
type WriterConfig struct {
	MaxRecords int
	MaxBytes   int
	// MaxAge of the first record of a batch before it is written.
	MaxAge time.Duration
}

func (c WriterConfig) withDefaults() WriterConfig {
	if c.MaxRecords == 0 {
		c.MaxRecords = 20_000
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 32 << 20
	}
	if c.MaxAge == 0 {
		c.MaxAge = time.Second
	}
	return c
}

// WriterLoop feeds a BatchWriter so that each record is counted once: before a batch is
// written, its bounds are committed as the intent in the metadata of the offset; after a
// crash the next owner writes exactly that batch again, under the same token. The next
// intent confirms the batch before it, so it costs one commit a batch.
//
// The protocol is specified in docs/spec/ClickHouseSink.tla.
type WriterLoop struct {
	member
	cfg    WriterConfig
	writer BatchWriter
	topics []schemas.Topic

	// patience with writes under way when the loop is stopped.
	patience time.Duration

	mu    sync.Mutex
	lanes map[partition]*writeLane
	// opened intents found at assignment, until the lane is made.
	intents map[partition]intent
	ids     map[string]string // topic id by base name

	intentPoint, insertPoint, confirmPoint *crash.Point
}

// intent is the batch [first, last] that somebody was about to write.
type intent struct{ first, last int64 }

// writeLane is one partition on its way into the writer.
type writeLane struct {
	part  partition
	topic string // full name

	buffer []*kgo.Record
	bytes  int
	since  time.Time
	paused bool
	high   int64

	next   int64 // offset after the last batch written: what a commit confirms
	epoch  int32
	dirty  bool   // next is not committed yet
	forced intent // an intent to be repeated exactly; last < 0: none

	writing chan struct{} // closed when the write in progress ends; nil: none
	wrote   *Batch
	err     error
	cancel  context.CancelFunc
}

// NewWriterLoop makes the loop of a sink that takes batches.
func NewWriterLoop(name string, topics []schemas.Topic, w BatchWriter, cfg WriterConfig, d Deps) (*WriterLoop, error) {
	if w == nil || len(topics) == 0 || d.Log == nil || d.Metrics == nil {
		return nil, fmt.Errorf("sink %s: writer, topics, log and metrics are needed", name)
	}
	points := crash.Points(name)
	return &WriterLoop{
		member: member{Deps: d, name: name}, cfg: cfg.withDefaults(), writer: w, topics: topics,
		lanes: make(map[partition]*writeLane), intents: make(map[partition]intent), ids: make(map[string]string),
		patience:    15 * time.Second,
		intentPoint: points("Intent"), insertPoint: points("Insert"), confirmPoint: points("Confirm"),
	}, nil
}

// Run works until ctx ends, then waits for the batches under way and confirms them.
func (l *WriterLoop) Run(ctx context.Context) error {
	return l.run(ctx, "sink", func(ctx context.Context) error {
		named := func(t schemas.Topic, id string, _ int32) error { l.ids[t.Name] = id; return nil }
		if err := l.identify(ctx, l.topics, named); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if err := l.open(l.topics, l.revoked, kgo.OnOffsetsFetched(l.fetched)); err != nil {
			return err
		}
		defer l.close()
		return l.rounds(ctx)
	})
}

func (l *WriterLoop) rounds(ctx context.Context) error {
	for {
		fetches, err := l.pollShort(ctx)
		if err := errors.Join(l.failed(), err); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return l.stop()
		}
		l.take(fetches)
		if err := l.advance(ctx); err != nil {
			return err
		}
		l.client.AllowRebalance()
	}
}

// pollShort polls no longer than a waiting batch may age.
func (l *WriterLoop) pollShort(ctx context.Context) (kgo.Fetches, error) {
	short, cancel := context.WithTimeout(ctx, max(l.cfg.MaxAge/4, 5*time.Millisecond))
	defer cancel()
	fetches, err := l.poll(short, true)
	if short.Err() != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	return fetches, err
}

// fetched reads the intents in the metadata of the offsets: step Assign of the sink.
func (l *WriterLoop) fetched(_ context.Context, _ *kgo.Client, resp *kmsg.OffsetFetchResponse) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	note := func(full string, p int32, offset int64, metadata *string) error {
		t, ok := l.inputs[full]
		if !ok {
			return nil
		}
		delete(l.intents, partition{t.Name, p})
		if offset < 0 || metadata == nil || *metadata == "" {
			return nil
		}
		last, err := parseIntent(*metadata)
		if err != nil {
			return fmt.Errorf("%s/%d: %w", t.Name, p, err)
		}
		l.intents[partition{t.Name, p}] = intent{offset, last}
		return nil
	}
	var errs error
	for i := range resp.Topics {
		t := &resp.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			errs = errors.Join(errs, note(t.Topic, p.Partition, p.Offset, p.Metadata))
		}
	}
	for i := range resp.Groups {
		for j := range resp.Groups[i].Topics {
			t := &resp.Groups[i].Topics[j]
			for k := range t.Partitions {
				p := &t.Partitions[k]
				errs = errors.Join(errs, note(t.Topic, p.Partition, p.Offset, p.Metadata))
			}
		}
	}
	if errs != nil {
		l.fail(errs)
	}
	return errs
}

func formatIntent(last int64) string { return "i1:" + strconv.FormatInt(last, 10) }

func parseIntent(s string) (last int64, err error) {
	rest, ok := strings.CutPrefix(s, "i1:")
	if !ok {
		return 0, fmt.Errorf("offset metadata %q is not an intent of this program", s)
	}
	return strconv.ParseInt(rest, 10, 64)
}

// take adds what was polled to the lanes' buffers.
func (l *WriterLoop) take(fetches kgo.Fetches) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	fetches.EachPartition(func(fp kgo.FetchTopicPartition) {
		if len(fp.Records) == 0 {
			return
		}
		part := partition{l.inputs[fp.Topic].Name, fp.Partition}
		lane := l.lanes[part]
		if lane == nil {
			lane = &writeLane{part: part, topic: fp.Topic, next: fp.Records[0].Offset, forced: intent{last: -1}}
			if i, ok := l.intents[part]; ok {
				lane.forced = i
				delete(l.intents, part)
			}
			l.lanes[part] = lane
		}
		if len(lane.buffer) == 0 {
			lane.since = now
		}
		lane.buffer = append(lane.buffer, fp.Records...)
		for _, r := range fp.Records {
			lane.bytes += len(r.Key) + len(r.Value)
		}
		lane.high = fp.HighWatermark
		l.Metrics.Records.WithLabelValues(l.name).Add(float64(len(fp.Records)))
	})
}

// advance ends finished writes, begins due ones and commits intents and confirmations.
func (l *WriterLoop) advance(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	marks := make(map[*writeLane]string)
	var start []*writeLane
	for _, lane := range l.lanes {
		if err := l.finish(lane); err != nil {
			return err
		}
		l.throttle(lane)
		switch {
		case lane.writing != nil:
		case l.due(lane):
			lane.wrote = l.cut(lane)
			marks[lane] = formatIntent(lane.wrote.Last)
			start = append(start, lane)
		case lane.dirty:
			marks[lane] = ""
		}
		l.lag(lane.part.topic, lane.part.id, lane.high, lane.next-1, lane.since)
	}
	if len(marks) == 0 {
		return nil
	}
	refused, err := l.commitMarks(context.WithoutCancel(ctx), marks)
	if err != nil {
		// Nothing was begun: the records stay in the buffers, or go to their new owner.
		l.Log.Info("an intent was refused; it will be tried again", "sink", l.name, "err", err)
		for _, lane := range start {
			l.uncut(lane)
		}
		return nil
	}
	confirmed := false
	for lane := range marks {
		if !refused[lane] {
			confirmed = confirmed || lane.dirty
			lane.dirty = false
		}
	}
	if confirmed {
		l.confirmPoint.Pass()
	}
	if len(start) > 0 {
		l.intentPoint.Pass()
	}
	for _, lane := range start {
		if refused[lane] {
			l.uncut(lane)
			continue
		}
		l.begin(lane)
	}
	return nil
}

// due reports whether the lane's buffer makes a batch. A repeated intent waits until all of
// its records are there, and is then cut exactly.
func (l *WriterLoop) due(lane *writeLane) bool {
	if len(lane.buffer) == 0 {
		return false
	}
	if lane.forced.last >= 0 {
		return lane.buffer[len(lane.buffer)-1].Offset >= lane.forced.last
	}
	return len(lane.buffer) >= l.cfg.MaxRecords || lane.bytes >= l.cfg.MaxBytes || time.Since(lane.since) >= l.cfg.MaxAge
}

// cut takes the lane's next batch off its buffer.
func (l *WriterLoop) cut(lane *writeLane) *Batch {
	n, bytes := 0, 0
	for n < len(lane.buffer) {
		r := lane.buffer[n]
		if lane.forced.last >= 0 {
			if r.Offset > lane.forced.last {
				break
			}
		} else if n >= l.cfg.MaxRecords || bytes >= l.cfg.MaxBytes {
			break
		}
		bytes += len(r.Key) + len(r.Value)
		n++
	}
	t := l.inputs[lane.topic]
	b := &Batch{Topic: t.Name, Partition: lane.part.id, First: lane.next, Last: lane.buffer[n-1].Offset}
	if lane.forced.last >= 0 {
		b.First, b.Last = lane.forced.first, lane.forced.last
	}
	for _, r := range lane.buffer[:n] {
		rec := convert(t, r)
		b.Records = append(b.Records, &rec)
	}
	b.Token = fmt.Sprintf("v1|%s|%d|%d|%d", l.ids[t.Name], b.Partition, b.First, b.Last)
	return b
}

// uncut: the batch was not begun; the buffer still holds its records.
func (l *WriterLoop) uncut(lane *writeLane) { lane.wrote = nil }

// begin writes in the background, for as long as it takes.
func (l *WriterLoop) begin(lane *writeLane) {
	b := lane.wrote
	kept := 0
	for _, r := range lane.buffer {
		if r.Offset > b.Last {
			lane.buffer[kept] = r
			kept++
		} else {
			lane.bytes -= len(r.Key) + len(r.Value)
			lane.epoch = r.LeaderEpoch
		}
	}
	clear(lane.buffer[kept:])
	lane.buffer = lane.buffer[:kept]
	lane.since = time.Now()

	var ctx context.Context
	ctx, lane.cancel = context.WithCancel(context.Background())
	done := make(chan struct{})
	lane.writing = done
	go func() {
		defer close(done)
		lane.err = l.write(ctx, b)
	}()
}

func (l *WriterLoop) write(ctx context.Context, b *Batch) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
		err := l.writer.Write(ctx, b)
		l.insertPoint.Pass()
		var rejected *RejectedError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &rejected):
			return l.bury(ctx, b, rejected)
		case ctx.Err() != nil:
			return ctx.Err()
		}
		l.Metrics.Stalls.WithLabelValues(l.name).Inc()
		l.Log.Warn("a batch has to wait", "sink", l.name, "topic", b.Topic, "partition", b.Partition, "first", b.First, "last", b.Last, "err", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// bury sends rejected records to the dead letters. Repeating it after a crash repeats the
// dead letters: their coordinates tell.
func (l *WriterLoop) bury(ctx context.Context, b *Batch, rejected *RejectedError) error {
	for _, r := range rejected.Records {
		source := b.Records[r.Index]
		o := deadLetterOf(l.name, source, newDeadLetter(l.name, l.Version, source, r.Err))
		rec := kafka.Record{Topic: o.Topic, Key: o.Key, Value: o.Bytes, Headers: o.Headers}
		for {
			err := l.client.Produce(ctx, []kafka.Record{rec})
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			l.Log.Warn("producing a dead letter", "sink", l.name, "err", err)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Second):
			}
		}
		l.Metrics.Dead.WithLabelValues(l.name).Inc()
	}
	return nil
}

// finish takes note of a write that has ended.
func (l *WriterLoop) finish(lane *writeLane) error {
	if lane.writing == nil {
		return nil
	}
	select {
	case <-lane.writing:
	default:
		return nil
	}
	lane.cancel()
	lane.writing = nil
	if lane.err != nil {
		return fmt.Errorf("writing %s: %w", lane.part, lane.err)
	}
	lane.next, lane.dirty = lane.wrote.Last+1, true
	lane.forced = intent{last: -1}
	lane.wrote = nil
	return nil
}

// throttle pauses a lane whose buffer is full while it waits for its writer.
func (l *WriterLoop) throttle(lane *writeLane) {
	full := len(lane.buffer) >= 2*l.cfg.MaxRecords || lane.bytes >= 2*l.cfg.MaxBytes
	one := map[string][]int32{lane.topic: {lane.part.id}}
	switch {
	case full && lane.writing != nil && !lane.paused:
		lane.paused = true
		l.client.PauseFetchPartitions(one)
	case lane.paused && !full:
		lane.paused = false
		l.client.ResumeFetchPartitions(one)
	}
}

// commitMarks commits each lane's confirmed offset with its intent as metadata. Refused
// lanes belong to somebody else by now.
func (l *WriterLoop) commitMarks(ctx context.Context, marks map[*writeLane]string) (refused map[*writeLane]bool, err error) {
	offsets := make(map[string]map[int32]kgo.EpochOffset)
	byPart := make(map[partition]*writeLane, len(marks))
	for lane := range marks {
		at := lane.next
		if lane.forced.last >= 0 {
			at = lane.forced.first
		}
		set(offsets, lane.topic, lane.part.id, kgo.EpochOffset{Epoch: -1, Offset: at})
		byPart[lane.part] = lane
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	ctx = kgo.PreCommitFnContext(ctx, func(req *kmsg.OffsetCommitRequest) error {
		for i := range req.Topics {
			t := &req.Topics[i]
			for j := range t.Partitions {
				p := &t.Partitions[j]
				mark := marks[byPart[partition{l.inputs[t.Topic].Name, p.Partition}]]
				p.Metadata = &mark
			}
		}
		return nil
	})
	// What is not answered for counts as refused: nothing is written without its intent.
	refused = make(map[*writeLane]bool, len(marks))
	for lane := range marks {
		refused[lane] = true
	}
	l.client.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, failed error) {
		if failed != nil {
			err = failed
			return
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode == 0 {
					delete(refused, byPart[partition{l.inputs[t.Topic].Name, p.Partition}])
				}
			}
		}
	})
	return refused, err
}

func (l *WriterLoop) revoked(lost map[string][]int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for full, parts := range lost {
		for _, p := range parts {
			part := partition{l.inputs[full].Name, p}
			if lane := l.lanes[part]; lane != nil && lane.writing != nil {
				// Its intent stays open: the next owner writes the same batch again.
				lane.cancel()
				<-lane.writing
			}
			delete(l.lanes, part)
			delete(l.intents, part)
		}
	}
	l.resume(lost)
	l.forgetLag(lost)
}

// stop lets the writes under way end, for a while, and confirms them.
func (l *WriterLoop) stop() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	patience, cancel := context.WithTimeout(context.Background(), l.patience)
	defer cancel()
	marks := make(map[*writeLane]string)
	for _, lane := range l.lanes {
		if lane.writing != nil {
			select {
			case <-lane.writing:
			case <-patience.Done():
				lane.cancel()
				<-lane.writing
			}
			if err := l.finish(lane); err != nil {
				if errors.Is(err, context.Canceled) {
					continue
				}
				return err
			}
		}
		if lane.dirty {
			marks[lane] = ""
		}
	}
	if len(marks) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := l.commitMarks(ctx, marks); err != nil {
		l.Log.Info("the last batches are confirmed by the next owner", "sink", l.name, "err", err)
	}
	return nil
}
