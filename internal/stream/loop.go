package stream

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/helloword/crossdock/internal/crash"
	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/internal/telemetry"
	"github.com/helloword/crossdock/schemas"
)

// Loop runs one room: consume → handle → produce → commit.
type Loop struct {
	member
	room  *Room
	store *redisStore

	mu       sync.Mutex
	sessions map[partition]*session
	looked   time.Time

	assignPoint, fetchPoint, emitPoint, commitPoint, idlePoint, rewindPoint *crash.Point
}

// NewLoop makes a loop; it is inert until Run.
func NewLoop(f Fold, d Deps) (*Loop, error) {
	room, err := NewRoom(f, d.Version)
	if err != nil {
		return nil, err
	}
	if d.Redis == nil || d.Log == nil || d.Metrics == nil {
		return nil, fmt.Errorf("room %s: redis, log and metrics are needed", room.name)
	}
	return &Loop{
		member:      member{Deps: d, name: room.name},
		room:        room,
		store:       newRedisStore(d.Redis, d.Scope, room.name, room.stored()),
		sessions:    make(map[partition]*session),
		assignPoint: room.points("Assign"), fetchPoint: room.points("Fetch"), emitPoint: room.points("Emit"),
		commitPoint: room.points("Commit"), idlePoint: room.points("IdleLook"), rewindPoint: room.points("Rewind"),
	}, nil
}

// Run works until ctx ends, then finishes the batch in hand, commits and leaves the group. It
// returns nil on such a stop.
func (l *Loop) Run(ctx context.Context) error {
	return l.run(ctx, "room", func(ctx context.Context) error {
		if err := l.pin(ctx, l.room.inputs); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		opts := append(kafka.Reuse(), kgo.AdjustFetchOffsetsFn(l.assign))
		if err := l.open(l.room.inputs, l.revoked, opts...); err != nil {
			return err
		}
		defer l.close()
		return l.rounds(ctx)
	})
}

// heldAtMost is how long the loop keeps a rebalance waiting while there is always more to do.
const heldAtMost = time.Second

// rounds handles poll after poll. While the outputs of one round are being acknowledged the
// next one is handled already: only what is committed has to wait.
func (l *Loop) rounds(ctx context.Context) error {
	var open *round
	allowed := time.Now()
	for {
		fetches, err := l.poll(ctx, open == nil)
		if err := errors.Join(l.failed(), err); err != nil {
			return err
		}
		if ctx.Err() != nil {
			// Records polled but not handled are read again by the next owner.
			return l.finish(ctx, open)
		}
		var now *round
		if open == nil || fetches.NumRecords() > 0 {
			if now, err = l.handle(ctx, fetches); err != nil {
				return err
			}
		}
		if err := l.finish(ctx, open); err != nil {
			return err
		}
		open = now
		if open != nil && len(open.back) == 0 && open.emitted.n.Load() > 0 && time.Since(allowed) < heldAtMost {
			continue
		}
		if err := l.finish(ctx, open); err != nil {
			return err
		}
		open = nil
		l.client.AllowRebalance()
		allowed = time.Now()
	}
}

// assign is step Assign: where to read from, and on what state the session stands.
func (l *Loop) assign(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	defer l.assignPoint.Pass()
	for full, parts := range offsets {
		t := l.inputs[full]
		for p, o := range parts {
			part := partition{t.Name, p}
			wm, err := l.watermark(ctx, part)
			if err != nil {
				return nil, err
			}
			committed := o.EpochOffset().Offset
			if wm < 0 && committed > 0 {
				l.fail(&StateError{Room: l.name, Why: fmt.Sprintf(
					"the state of %s is gone: Kafka says that records below offset %d were handled, Redis knows nothing of them (was it wiped?). Run `crossdock rebuild --room %s`, then start again",
					part, committed, l.name)})
				return nil, errors.New("state is gone")
			}
			s := newSession(l.room, part, t, l.store, wm)
			s.next, s.committed = max(committed, 0), max(committed, 0)
			if wm >= 0 && committed > wm+1 {
				// Redis fell back while nobody looked.
				s.next = wm + 1
				parts[p] = kgo.NewOffset().At(s.next).WithEpoch(-1)
			}
			// Else outputs of (committed, wm] may be missing: they are read again and repeated;
			// without a commit, from the beginning.
			l.mu.Lock()
			l.sessions[part] = s
			l.mu.Unlock()
		}
	}
	return offsets, nil
}

// watermark reads one, waiting for Redis as long as the group session lasts.
func (l *Loop) watermark(ctx context.Context, p partition) (int64, error) {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		wm, err := l.store.watermark(ctx, p)
		if err == nil {
			return wm, nil
		}
		l.Log.Warn("waiting for Redis", "room", l.name, "err", err)
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(wait):
		}
	}
}

func (l *Loop) revoked(lost map[string][]int32) {
	l.mu.Lock()
	for full, parts := range lost {
		for _, p := range parts {
			delete(l.sessions, partition{l.inputs[full].Name, p})
		}
	}
	l.mu.Unlock()
	l.forgetLag(lost)
}

// uncommitted is what has been emitted and Kafka does not have: that of this round, and what
// was refused before. It is never lower than what Kafka has: after a rewind the session passes
// that again, and a lower commit would move the cut of a rebuild to versions that compaction
// has removed.
func (l *Loop) uncommitted(round map[string]map[int32]kgo.EpochOffset) map[string]map[int32]kgo.EpochOffset {
	commit := make(map[string]map[int32]kgo.EpochOffset)
	l.mu.Lock()
	defer l.mu.Unlock()
	for p, s := range l.sessions {
		full := l.Scope.Topic(s.input)
		if o, ok := round[full][p.id]; ok {
			s.emitted = o
		}
		if s.emitted.Offset > s.committed {
			set(commit, full, p.id, s.emitted)
		}
	}
	return commit
}

// committed notes what Kafka took.
func (l *Loop) committed(offsets map[string]map[int32]kgo.EpochOffset) {
	for full, parts := range offsets {
		for p, o := range parts {
			if s := l.session(partition{l.inputs[full].Name, p}); s != nil {
				s.committed = o.Offset
			}
		}
	}
}

func (l *Loop) session(p partition) *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sessions[p]
}

// round is what one poll has led to.
type round struct {
	began time.Time
	// busy are the offsets to commit once everything is acknowledged, back those to read again.
	busy, back map[string]map[int32]kgo.EpochOffset
	stalled    bool
	emitted    emission
	fetched    kgo.Fetches
	traced     []traced
}

// traced is the span of one batch that was handled.
type traced struct {
	span        *telemetry.BatchSpan
	first, last int64
	records     int
}

// handle handles what one poll brought: partitions side by side, each in order. Then it begins to
// emit. What could not be handled now is to be read again.
func (l *Loop) handle(ctx context.Context, fetches kgo.Fetches) (*round, error) {
	l.fetchPoint.Pass()
	r := &round{
		fetched: fetches, began: time.Now(), busy: make(map[string]map[int32]kgo.EpochOffset), back: make(map[string]map[int32]kgo.EpochOffset),
	}
	var mu sync.Mutex
	wait := &patience{until: r.began.Add(stallAfter)}
	// A stop must not tear a batch apart: it is finished under its own deadlines.
	g, work := errgroup.WithContext(context.WithoutCancel(ctx))
	g.SetLimit(runtime.GOMAXPROCS(0) + 1)
	fetches.EachPartition(func(fp kgo.FetchTopicPartition) {
		if len(fp.Records) == 0 {
			return
		}
		g.Go(func() error {
			first, last := fp.Records[0], fp.Records[len(fp.Records)-1]
			span := l.trace(fp)
			again, stall, err := l.batch(work, ctx, wait, fp, &r.emitted)
			if err != nil {
				span.End(first.Offset, last.Offset, len(fp.Records), "stopped", true)
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case again >= 0:
				span.End(first.Offset, last.Offset, len(fp.Records), "again", true)
				set(r.back, fp.Topic, fp.Partition, kgo.EpochOffset{Epoch: -1, Offset: again})
				r.stalled = r.stalled || stall
			default:
				r.traced = append(r.traced, traced{span, first.Offset, last.Offset, len(fp.Records)})
				set(r.busy, fp.Topic, fp.Partition, kgo.EpochOffset{Epoch: last.LeaderEpoch, Offset: last.Offset + 1})
				l.lag(l.inputs[fp.Topic].Name, fp.Partition, fp.HighWatermark, last.Offset, first.Timestamp)
			}
			return nil
		})
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return r, l.looks(context.WithoutCancel(ctx), r.busy, r.back)
}

// trace begins the span of a batch.
func (l *Loop) trace(fp kgo.FetchTopicPartition) *telemetry.BatchSpan {
	span := l.Tracer.Batch(l.name, l.inputs[fp.Topic].Name, fp.Partition)
	if span == nil {
		return nil
	}
	for _, r := range fp.Records {
		for i := range r.Headers {
			if r.Headers[i].Key == schemas.HeaderTrace {
				span.Record(r.Headers[i].Value)
			}
		}
	}
	return span
}

// finish waits until a round's outputs are acknowledged, and commits. Then it goes back to what
// has to be read again.
func (l *Loop) finish(ctx context.Context, r *round) error {
	if r == nil {
		return nil
	}
	if err := r.emitted.wait(); err != nil {
		return fmt.Errorf("emitting: %w", err)
	}
	l.Metrics.Outputs.WithLabelValues(l.name).Add(float64(r.emitted.n.Load()))
	if commit := l.uncommitted(r.busy); len(commit) > 0 {
		if l.commit(context.WithoutCancel(ctx), commit) == nil {
			l.committed(commit)
		}
		l.commitPoint.Pass()
		l.Metrics.Batch.WithLabelValues(l.name).Observe(time.Since(r.began).Seconds())
	}
	for _, t := range r.traced {
		t.span.End(t.first, t.last, t.records, "committed", false)
	}
	// From here on nobody holds a byte of what was fetched: kafka.Reuse.
	r.fetched.EachRecord((*kgo.Record).Recycle)
	r.fetched = nil
	if len(r.back) > 0 {
		l.client.SetOffsets(r.back)
		l.rewindPoint.Pass()
	}
	if r.stalled {
		l.client.AllowRebalance()
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return nil
}

// stallAfter is how long one round waits for Redis before the poll is given back, so that
// the member can follow a rebalance. Nothing is lost: the batch is read again.
const stallAfter = 8 * time.Second

// patience is shared by the partitions of one round: when one has waited for Redis in vain,
// the others do not begin to.
type patience struct {
	until time.Time
	over  atomic.Bool
}

// batch handles the records of one partition and begins to emit. again >= 0 asks to read
// from there once more; stall says that it is because Redis does not answer.
func (l *Loop) batch(work, stop context.Context, left *patience, fp kgo.FetchTopicPartition, out *emission) (again int64, stall bool, err error) {
	t := l.inputs[fp.Topic]
	s := l.session(partition{t.Name, fp.Partition})
	first := fp.Records[0].Offset
	if s == nil {
		// Assigned, but the watermark is not known yet: the records come again.
		return first, true, nil
	}
	if known := max(s.base, s.committed-1); known >= 0 && first > known+1 {
		return 0, false, &StateError{Room: l.name, Why: fmt.Sprintf(
			"%s: the next record to handle is %d, but the log begins at %d: what lay between was deleted unhandled (retention was shorter than the time away). Bring it in again from its source, then `crossdock rebuild --room %s --from-input` folds what is left",
			s.part, known+1, first, l.name)}
	}
	records := s.work.convert(t, fp.Records)
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		if left.over.Load() {
			return first, true, nil
		}
		res, err := s.handle(work, records)
		if gap, ok := asGap(err); ok {
			l.Metrics.Gaps.WithLabelValues(l.name).Inc()
			l.Log.Warn("state fell back, reading again", "room", l.name, "partition", s.part.String(), "from", gap.next)
			if gap.watermark < 0 {
				return 0, false, l.gone(s.part, first)
			}
			return gap.next, false, nil
		}
		if err == nil {
			l.count(len(records), res)
			err := l.emit(work, &res, out)
			// Some of them are out.
			l.emitPoint.Pass()
			return -1, false, err
		}
		var damaged *StateError
		if errors.As(err, &damaged) {
			return 0, false, err
		}
		l.Log.Warn("a batch has to wait", "room", l.name, "partition", s.part.String(), "err", err)
		if time.Now().After(left.until) || stop.Err() != nil {
			left.over.Store(true)
			l.Metrics.Stalls.WithLabelValues(l.name).Inc()
			return first, true, nil
		}
		select {
		case <-work.Done():
			return first, true, nil
		case <-time.After(wait):
		}
	}
}

func (l *Loop) gone(p partition, offset int64) error {
	return &StateError{Room: l.name, Why: fmt.Sprintf(
		"the state of %s is gone at offset %d (was Redis wiped?). Run `crossdock rebuild --room %s`, then start again", p, offset, l.name)}
}

func (l *Loop) count(n int, res handled) {
	l.Metrics.Records.WithLabelValues(l.name).Add(float64(n))
	l.Metrics.Duplicates.WithLabelValues(l.name).Add(float64(res.duplicates))
	l.Metrics.Repeated.WithLabelValues(l.name).Add(float64(res.repeated))
	l.Metrics.Dead.WithLabelValues(l.name).Add(float64(res.dead))
}

// commit stores progress. A refusal because the group moved on is no error: the new owner
// reads again, and the repeat is harmless.
func (m *member) commit(ctx context.Context, offsets map[string]map[int32]kgo.EpochOffset) (refused error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	m.client.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		if err == nil {
			err = refusal(resp)
		}
		if err != nil {
			refused = err
			m.Log.Info("a commit was refused; the records will be read again", "room", m.name, "err", err)
		}
	})
	return refused
}

// refusal is the first error of a commit's answer.
func refusal(resp *kmsg.OffsetCommitResponse) error {
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("%s/%d: %w", t.Topic, p.Partition, err)
			}
		}
	}
	return nil
}

// looks is step IdleLook: a quiet partition's state is compared with what was applied,
// because a fall-back is otherwise noticed only by the next record.
func (l *Loop) looks(ctx context.Context, busy, back map[string]map[int32]kgo.EpochOffset) error {
	if time.Since(l.looked) < 3*time.Second {
		return nil
	}
	l.looked = time.Now()
	l.mu.Lock()
	var idle []*session
	for p, s := range l.sessions {
		full := l.Scope.Topic(s.input)
		if _, ok := busy[full][p.id]; ok {
			continue
		}
		if _, ok := back[full][p.id]; ok {
			continue
		}
		idle = append(idle, s)
	}
	l.mu.Unlock()
	for _, s := range idle {
		if s.base < 0 {
			continue
		}
		wm, err := l.store.watermark(ctx, s.part)
		if err != nil {
			l.Log.Warn("idle look", "room", l.name, "err", err)
			return nil
		}
		l.idlePoint.Pass()
		if wm >= s.base {
			continue
		}
		l.Metrics.Gaps.WithLabelValues(l.name).Inc()
		if wm < 0 {
			return l.gone(s.part, s.base)
		}
		gap := s.fellBack(wm)
		l.Log.Warn("state fell back on a quiet partition, reading again", "room", l.name, "partition", s.part.String(), "from", gap.next)
		set(back, l.Scope.Topic(s.input), s.part.id, kgo.EpochOffset{Epoch: -1, Offset: gap.next})
	}
	return nil
}

func set(m map[string]map[int32]kgo.EpochOffset, topic string, p int32, o kgo.EpochOffset) {
	if m[topic] == nil {
		m[topic] = make(map[int32]kgo.EpochOffset)
	}
	m[topic][p] = o
}

func isOutOfRange(err error) bool { return errors.Is(err, kerr.OffsetOutOfRange) }
