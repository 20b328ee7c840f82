package stream

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/helloword/crossdock/schemas"
)

// ExecutorLoop feeds an Executor: at least once, in order of each partition, committing the
// offset below which everything is done.
type ExecutorLoop struct {
	member
	exec   Executor
	topics []schemas.Topic

	maxOutstanding int

	mu       sync.Mutex
	trackers map[partition]*tracker
}

// outstandingLimit bounds the deliveries of one partition that are not done: beyond it the
// partition is paused, and the member stays in the group.
const outstandingLimit = 50_000

// NewExecutorLoop makes the loop of a sink that carries records out one by one.
func NewExecutorLoop(name string, topics []schemas.Topic, exec Executor, d Deps) (*ExecutorLoop, error) {
	if exec == nil || len(topics) == 0 || d.Log == nil || d.Metrics == nil {
		return nil, fmt.Errorf("sink %s: executor, topics, log and metrics are needed", name)
	}
	return &ExecutorLoop{
		member: member{Deps: d, name: name}, exec: exec, topics: topics, maxOutstanding: outstandingLimit,
		trackers: make(map[partition]*tracker),
	}, nil
}

// Run works until ctx ends. What was not done by then is delivered again to whoever is next.
func (l *ExecutorLoop) Run(ctx context.Context) error {
	return l.run(ctx, "sink", func(ctx context.Context) error {
		if err := l.open(l.topics, l.revoked); err != nil {
			return err
		}
		defer l.close()
		return l.rounds(ctx)
	})
}

func (l *ExecutorLoop) rounds(ctx context.Context) error {
	for {
		fetches, err := l.poll(ctx, true)
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return l.stop()
		}
		if err := l.offer(ctx, fetches); err != nil {
			if ctx.Err() != nil {
				return l.stop()
			}
			return err
		}
		l.progress(ctx)
		l.client.AllowRebalance()
	}
}

// stop waits for what is under way and commits it.
func (l *ExecutorLoop) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	l.mu.Lock()
	var parts []partition
	for p := range l.trackers {
		parts = append(parts, p)
	}
	l.mu.Unlock()
	for _, p := range parts {
		l.exec.Revoke(ctx, p.topic, p.id)
	}
	l.progress(ctx)
	return nil
}

func (l *ExecutorLoop) offer(ctx context.Context, fetches kgo.Fetches) error {
	var err error
	fetches.EachPartition(func(fp kgo.FetchTopicPartition) {
		if len(fp.Records) == 0 || err != nil {
			return
		}
		t := l.inputs[fp.Topic]
		part := partition{t.Name, fp.Partition}
		l.mu.Lock()
		tr := l.trackers[part]
		if tr == nil {
			tr = &tracker{topic: fp.Topic}
			l.trackers[part] = tr
		}
		l.mu.Unlock()
		ds := make([]*Delivery, len(fp.Records))
		for i, r := range fp.Records {
			rec := convert(t, r)
			ds[i] = &Delivery{Record: &rec, Done: tr.add(r.Offset, r.LeaderEpoch, r.Timestamp)}
		}
		tr.setHigh(fp.HighWatermark)
		l.Metrics.Records.WithLabelValues(l.name).Add(float64(len(ds)))
		err = l.exec.Offer(ctx, ds)
	})
	return err
}

// progress commits what is done and pauses partitions that have too much outstanding.
func (l *ExecutorLoop) progress(ctx context.Context) {
	commit := make(map[string]map[int32]kgo.EpochOffset)
	before := make(map[partition]int64)
	l.mu.Lock()
	for p, tr := range l.trackers {
		next, epoch, moved, was, outstanding, oldest, high := tr.low()
		before[p] = was
		if moved {
			set(commit, tr.topic, p.id, kgo.EpochOffset{Epoch: epoch, Offset: next})
		}
		l.lag(p.topic, p.id, high, next-1, oldest)
		one := map[string][]int32{tr.topic: {p.id}}
		switch {
		case outstanding > l.maxOutstanding && !tr.paused:
			tr.paused = true
			l.client.PauseFetchPartitions(one)
		case outstanding < l.maxOutstanding/2 && tr.paused:
			tr.paused = false
			l.client.ResumeFetchPartitions(one)
		}
	}
	l.mu.Unlock()
	if len(commit) == 0 || l.commit(context.WithoutCancel(ctx), commit) == nil {
		return
	}
	// Not stored: it is tried again, also when nothing more is done until then.
	l.mu.Lock()
	defer l.mu.Unlock()
	for p, tr := range l.trackers {
		if _, ok := commit[tr.topic][p.id]; ok {
			tr.touch(before[p])
		}
	}
}

func (l *ExecutorLoop) revoked(lost map[string][]int32) {
	ctx, cancel := context.WithTimeout(context.Background(), l.Group.RebalanceTimeout/2)
	defer cancel()
	for full, parts := range lost {
		t := l.inputs[full]
		for _, p := range parts {
			l.exec.Revoke(ctx, t.Name, p)
		}
	}
	l.progress(ctx)
	l.mu.Lock()
	for full, parts := range lost {
		for _, p := range parts {
			delete(l.trackers, partition{l.inputs[full].Name, p})
		}
	}
	l.mu.Unlock()
	l.resume(lost)
	l.forgetLag(lost)
}

// tracker knows which offsets of a partition are not done.
type tracker struct {
	topic  string
	paused bool

	mu sync.Mutex
	// queue is in order of offsets. Done ones leave at the front at once, and elsewhere when
	// they are the half of it: one that takes long holds up commits, not memory.
	queue []*tracked
	open  int // entries not done
	// next is the offset after the newest one taken: what is committed when nothing is open.
	next  int64
	epoch int32
	// committed is what low last reported as moved.
	committed int64
	high      int64
}

type tracked struct {
	offset int64
	epoch  int32
	at     time.Time
	done   bool
}

// tidyAbove is the length from which a queue is looked through for done entries.
const tidyAbove = 1024

func (t *tracker) add(offset int64, epoch int32, at time.Time) (done func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := &tracked{offset: offset, epoch: epoch, at: at}
	if len(t.queue) == 0 && t.committed == 0 {
		// Nothing is known to be done below the first record that was taken.
		t.committed = offset
	}
	t.queue = append(t.queue, e)
	t.open++
	t.next, t.epoch = offset+1, epoch
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if e.done {
			return
		}
		e.done = true
		t.open--
		for len(t.queue) > 0 && t.queue[0].done {
			t.queue[0] = nil
			t.queue = t.queue[1:]
		}
		if len(t.queue) > tidyAbove && t.open < len(t.queue)/2 {
			t.queue = slices.DeleteFunc(t.queue, func(e *tracked) bool { return e.done })
		}
	}
}

// touch makes low report the offset once more, because it was not stored.
func (t *tracker) touch(stored int64) {
	t.mu.Lock()
	t.committed = min(t.committed, stored)
	t.mu.Unlock()
}

func (t *tracker) setHigh(h int64) {
	t.mu.Lock()
	t.high = h
	t.mu.Unlock()
}

// low returns the offset below which everything is done, whether it moved since it was asked
// for, and how many are not done.
func (t *tracker) low() (next int64, epoch int32, moved bool, was int64, outstanding int, oldest time.Time, high int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next, epoch = t.next, t.epoch
	if len(t.queue) > 0 {
		next, epoch, oldest = t.queue[0].offset, t.queue[0].epoch, t.queue[0].at
	}
	was, moved = t.committed, next > t.committed
	t.committed = max(was, next)
	return next, epoch, moved, was, t.open, oldest, t.high
}
