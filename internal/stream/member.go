package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/internal/telemetry"
	"github.com/helloword/crossdock/schemas"
)

// Deps is what every loop is given.
type Deps struct {
	Kafka kafka.Config
	Redis redis.UniversalClient
	Scope schemas.Scope
	Log   *slog.Logger
	// Metrics shared by all loops of a process.
	Metrics *Metrics
	// Tracer records batches; nil records none.
	Tracer *telemetry.Tracer
	Group  GroupConfig
	// Version of the program, for dead letters.
	Version string
}

// GroupConfig is how a member behaves in its consumer group.
type GroupConfig struct {
	// InstanceID makes the member static: a restart within the session timeout causes no
	// rebalance. It must be unique in the group, e.g. the pod's name.
	InstanceID string
	// NewProtocol uses Kafka's own balancer (KIP-848, Kafka ≥ 4.3 recommended).
	NewProtocol      bool
	SessionTimeout   time.Duration
	RebalanceTimeout time.Duration
	// MaxPoll bounds the records of one round; two rounds are handled between two commits.
	MaxPoll int
	// Gather waits this long for gatherBytes of records, so that batches are larger and what
	// replaces each other within them is emitted once; 0 = take what is there.
	Gather time.Duration
}

// gatherBytes ends a wait early.
const gatherBytes = 1 << 20

func (g GroupConfig) withDefaults() GroupConfig {
	if g.SessionTimeout == 0 {
		g.SessionTimeout = 45 * time.Second
	}
	if g.RebalanceTimeout == 0 {
		g.RebalanceTimeout = 60 * time.Second
	}
	switch {
	case g.MaxPoll > 0:
	case g.Gather > 0:
		g.MaxPoll = 20_000 // what was gathered is handled at once
	default:
		g.MaxPoll = 4_000
	}
	return g
}

// member is what the three loops (fold, executor, batch writer) share: a client in a group
// whose rebalances wait until the records that were polled are finished.
type member struct {
	Deps
	name   string
	client *kafka.Client
	inputs map[string]schemas.Topic // by full name

	// fatal is an error from a callback of the client; cancel ends the loop because of it.
	fatal  atomic.Pointer[error]
	cancel context.CancelFunc
}

// run a loop until ctx ends. What a callback of the client found wrong goes before whatever
// the loop ended with because of it.
func (m *member) run(ctx context.Context, kind string, loop func(context.Context) error) error {
	ctx, m.cancel = context.WithCancel(ctx)
	defer m.cancel()
	err := loop(ctx)
	if failed := m.failed(); failed != nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", kind, m.name, err)
	}
	return nil
}

// open joins the group. revoked is called, while no poll is under way, for partitions that
// go to another member.
func (m *member) open(inputs []schemas.Topic, revoked func(map[string][]int32), opts ...kgo.Opt) error {
	g := m.Group.withDefaults()
	m.Group = g
	m.inputs = make(map[string]schemas.Topic, len(inputs))
	full := make([]string, 0, len(inputs))
	for _, t := range inputs {
		m.inputs[m.Scope.Topic(t)] = t
		full = append(full, m.Scope.Topic(t))
	}
	gone := func(_ context.Context, _ *kgo.Client, lost map[string][]int32) { revoked(lost) }
	base := []kgo.Opt{
		kgo.ConsumerGroup(m.Scope.Group(m.name)),
		kgo.ConsumeTopics(full...),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.SessionTimeout(g.SessionTimeout),
		kgo.RebalanceTimeout(g.RebalanceTimeout),
		kgo.HeartbeatInterval(min(3*time.Second, g.SessionTimeout/4)),
		// Compressed; in memory it is several times as much, three times over: fetched ahead,
		// being handled, being acknowledged.
		kgo.FetchMaxBytes(4 << 20),
		kgo.FetchMaxPartitionBytes(1 << 20),
		kgo.FetchMaxWait(500 * time.Millisecond),
		kgo.OnPartitionsRevoked(gone),
		kgo.OnPartitionsLost(gone),
	}
	if g.NewProtocol {
		base = append(base, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
	} else {
		base = append(base, kgo.Balancers(kgo.CooperativeStickyBalancer()))
	}
	if g.InstanceID != "" {
		base = append(base, kgo.InstanceID(g.InstanceID))
	}
	if g.Gather > 0 {
		base = append(base, kgo.FetchMinBytes(gatherBytes), kgo.FetchMaxWait(g.Gather))
	}
	var err error
	m.client, err = kafka.Open(m.Kafka, m.Scope, m.Log, append(base, opts...)...)
	return err
}

// close leaves the group, so that others take over at once; a static member stays.
func (m *member) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	m.client.AllowRebalance()
	if m.Group.InstanceID == "" {
		if err := m.client.LeaveGroupContext(ctx); err != nil {
			m.Log.Warn("leaving the consumer group", "room", m.name, "err", err)
		}
	}
	m.client.CloseAllowingRebalance()
}

// fail ends the loop with an error from a callback.
func (m *member) fail(err error) {
	m.fatal.CompareAndSwap(nil, &err)
	m.cancel()
}

// failed is what fail was called with.
func (m *member) failed() error {
	if p := m.fatal.Load(); p != nil {
		return *p
	}
	return nil
}

// resume undoes pauses of partitions that go to another member: the client would remember
// them, and never fetch a partition again that comes back later.
func (m *member) resume(lost map[string][]int32) { m.client.ResumeFetchPartitions(lost) }

// poll waits up to a second for records, so that a quiet partition is still looked at; or it
// does not wait at all.
func (m *member) poll(ctx context.Context, wait bool) (kgo.Fetches, error) {
	var short context.Context // nil: what is there
	if wait {
		var cancel context.CancelFunc
		short, cancel = context.WithTimeout(ctx, time.Second)
		defer cancel()
	}
	fetches := m.client.PollRecords(short, m.Group.MaxPoll)
	var err error
	fetches.EachError(func(topic string, p int32, e error) {
		if errors.Is(e, context.Canceled) || errors.Is(e, context.DeadlineExceeded) {
			return
		}
		var loss *kgo.ErrDataLoss
		switch {
		case errors.As(e, &loss):
			err = fmt.Errorf("%s/%d: Kafka lost acknowledged records (%w): restore the topic or accept the loss with `crossdock replay --from`", topic, p, e)
		case isOutOfRange(e):
			err = fmt.Errorf("%s/%d: the next record is no longer in the log (retention was shorter than the time away): decide with `crossdock replay --from` where to go on: %w", topic, p, e)
		case errors.Is(e, kgo.ErrClientClosed):
			err = e
		default:
			m.Log.Warn("fetching", "room", m.name, "topic", topic, "partition", p, "err", e)
		}
	})
	return fetches, err
}

// pin remembers how many partitions a stateful topic has and which topic it is, and refuses
// to start when either is not what the state was made with.
func (m *member) pin(ctx context.Context, topics []schemas.Topic) error {
	key := m.Scope.Key("meta:{" + m.name + "}")
	return m.identify(ctx, topics, func(t schemas.Topic, id string, partitions int32) error {
		want := fmt.Sprintf("%s %d", id, partitions)
		if _, err := m.Redis.HSetNX(ctx, key, t.Name, want).Result(); err != nil {
			return fmt.Errorf("pinning %s: %w", t.Name, err)
		}
		have, err := m.Redis.HGet(ctx, key, t.Name).Result()
		if err != nil {
			return fmt.Errorf("reading the pin of %s: %w", t.Name, err)
		}
		if have != want {
			return &StateError{Room: m.name, Why: fmt.Sprintf(
				"the state of room %s was made with topic %s (id and partitions %s), the cluster has %s: the topic was recreated or widened. Give the topic its old partition count, or run `crossdock rebuild --room %s` to make the state anew",
				m.name, m.Scope.Topic(t), have, want, m.name)}
		}
		return nil
	})
}

// identify asks which topics these are to the cluster and how wide. It is done before the
// group is joined: a member that cannot go on must not take partitions from others.
func (m *member) identify(ctx context.Context, topics []schemas.Topic, each func(t schemas.Topic, id string, partitions int32) error) error {
	c, err := kafka.Open(m.Kafka, m.Scope, m.Log)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, t := range topics {
		id, partitions, err := c.TopicID(ctx, t)
		if err != nil {
			return err
		}
		if err := each(t, id, partitions); err != nil {
			return err
		}
	}
	return nil
}

// StateError says that a room's state does not belong to its input, or is gone: the room
// does not start, because going on would lose or double something.
type StateError struct{ Room, Why string }

func (e *StateError) Error() string { return e.Why }

// convert makes a stream record of a client's. Nothing is copied.
func convert(t schemas.Topic, r *kgo.Record) Record {
	return Record{
		Topic: t, Partition: r.Partition, Offset: r.Offset,
		TimestampMs: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value, Headers: r.Headers,
	}
}

// Metrics of all loops in a process. Labels are rooms, topics and partitions, never keys.
type Metrics struct {
	Records, Outputs, Duplicates, Repeated, Dead, Gaps, Stalls *prometheus.CounterVec
	LagRecords, LagSeconds                                     *prometheus.GaugeVec
	Batch                                                      *prometheus.HistogramVec
}

// NewMetrics registers the loops' metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	counter := func(name, help string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "crossdock_stream_" + name, Help: help}, []string{"room"})
		reg.MustRegister(c)
		return c
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "crossdock_stream_" + name, Help: help}, []string{"room", "topic", "partition"})
		reg.MustRegister(g)
		return g
	}
	m := &Metrics{
		Records:    counter("records_total", "Input records handled."),
		Outputs:    counter("outputs_total", "Output records acknowledged by Kafka."),
		Duplicates: counter("duplicates_total", "Events dropped because another record brought them first."),
		Repeated:   counter("repeated_total", "Records read again after a crash or rewind and emitted again from state."),
		Dead:       counter("dead_letters_total", "Records sent to the dead letters."),
		Gaps:       counter("gaps_total", "Times that state was found behind what had been applied, and the input was read again."),
		Stalls:     counter("stalls_total", "Times that a batch was given back because an engine did not answer."),
		LagRecords: gauge("lag_records", "Records in the partition that are not handled yet."),
		LagSeconds: gauge("lag_seconds", "Age of the oldest record that is not handled yet, seconds; 0 when there is none."),
		Batch: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "crossdock_stream_batch_seconds", Help: "Time from poll to commit, seconds.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
		}, []string{"room"}),
	}
	reg.MustRegister(m.Batch)
	return m
}

// lag records how far a partition is behind after a poll was handled.
func (m *member) lag(topic string, p int32, highWatermark, handled int64, last time.Time) {
	behind := max(0, highWatermark-1-handled)
	age := 0.0
	if behind > 0 {
		age = time.Since(last).Seconds()
	}
	part := fmt.Sprint(p)
	m.Metrics.LagRecords.WithLabelValues(m.name, topic, part).Set(float64(behind))
	m.Metrics.LagSeconds.WithLabelValues(m.name, topic, part).Set(age)
}

// forgetLag removes the gauges of partitions that are somebody else's now.
func (m *member) forgetLag(lost map[string][]int32) {
	for full, parts := range lost {
		t := m.inputs[full]
		for _, p := range parts {
			m.Metrics.LagRecords.DeleteLabelValues(m.name, t.Name, fmt.Sprint(p))
			m.Metrics.LagSeconds.DeleteLabelValues(m.name, t.Name, fmt.Sprint(p))
		}
	}
}
