package stream

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/internal/testkit"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// The test room adds up: state is one Claim per key, whose OnHand is the sum and Reserved the
// number of records; each record emits the claim. Small, but everything a room can do.
var (
	sumsIn  = schemas.Topic{Name: "sums.in.v1", Width: schemas.Wide, Stateful: true, Cleanup: schemas.Delete, Retention: time.Hour}
	sumsOut = schemas.Topic{Name: "sums.out.v1", Width: schemas.Wide, Cleanup: schemas.Delete, Retention: time.Hour}
	sums    = schemas.Topic{Name: "sums.v1", Width: schemas.Wide, Cleanup: schemas.Compact}
)

type sumRoom struct{ table *Table }

func newSumRoom() *sumRoom {
	return &sumRoom{&Table{Name: "sums", Topic: sums, New: func() Message { return new(event.Claim) }}}
}

func (s *sumRoom) Name() string            { return "orders" }
func (s *sumRoom) Inputs() []schemas.Topic { return []schemas.Topic{sumsIn} }
func (s *sumRoom) Tables() []*Table        { return []*Table{s.table} }

func (s *sumRoom) Prepare(r *Record) (Input, error) {
	if len(r.Value) != 8 {
		return Input{}, fmt.Errorf("value of %d bytes, want 8", len(r.Value))
	}
	return Input{Keys: []Key{{s.table, string(r.Key)}}, Value: int64(binary.BigEndian.Uint64(r.Value))}, nil
}

func (s *sumRoom) Apply(tx *Tx, r *Record, in Input) error {
	k := Key{s.table, string(r.Key)}
	next := &event.Claim{CauseVersion: tx.Version()}
	if old, ok := tx.Get(k).(*event.Claim); ok {
		next.OnHand, next.Reserved = old.OnHand, old.Reserved
	}
	next.OnHand += in.Value.(int64)
	next.Reserved++
	tx.Put(k, next)
	tx.Emit(Output{Topic: sumsOut, Key: []byte(r.Key), Value: next})
	return nil
}

func (s *sumRoom) Repeat(tx *Tx, r *Record, _ Input) error {
	k := Key{s.table, string(r.Key)}
	tx.Again(k)
	tx.Emit(Output{Topic: sumsOut, Key: []byte(r.Key), Value: tx.Get(k)})
	return nil
}

type engines struct {
	broker *kfake.Cluster
	mini   *miniredis.Miniredis
	deps   Deps
}

func newEngines(t *testing.T, partitions int32) *engines {
	t.Helper()
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SleepOutOfOrder())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	mini := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: mini.Addr()})
	t.Cleanup(func() { client.Close() })
	e := &engines{broker: broker, mini: mini, deps: Deps{
		Kafka: kafka.Config{Brokers: broker.ListenAddrs()}, Redis: client,
		Scope: schemas.Scope{Tenant: "acme", Environment: schemas.Test},
		Log:   slog.New(slog.DiscardHandler), Metrics: NewMetrics(prometheus.NewRegistry()), Version: "test",
	}}
	e.topics(t, partitions)
	return e
}

// onEngines runs a test on the engines in this process and on the real ones, side by side: most of
// it is waiting for members to join.
func onEngines(t *testing.T, partitions int32, f func(t *testing.T, e *engines)) {
	t.Run("fake", func(t *testing.T) {
		t.Parallel()
		f(t, newEngines(t, partitions))
	})
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		client := redis.NewClient(&redis.Options{Addr: testkit.Redis(t)})
		t.Cleanup(func() { client.Close() })
		e := &engines{deps: Deps{
			Kafka: kafka.Config{Brokers: []string{testkit.Kafka(t)}}, Redis: client, Scope: scopeOf("s" + nonce()),
			Log: slog.New(slog.DiscardHandler), Metrics: NewMetrics(prometheus.NewRegistry()), Version: "test",
		}}
		e.topics(t, partitions)
		f(t, e)
	})
}

func (e *engines) topics(t testing.TB, partitions int32) {
	t.Helper()
	c, err := kafka.Open(e.deps.Kafka, e.deps.Scope, e.deps.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	layout := kafka.Layout{Wide: partitions, Narrow: partitions, Replicas: 1}
	if _, err := c.ApplyTopics(t.Context(), []schemas.Topic{sumsIn, sumsOut, sums, schemas.DeadLetters("orders")}, layout); err != nil {
		t.Fatal(err)
	}
}

func (e *engines) produce(t testing.TB, records ...kafka.Record) {
	t.Helper()
	c, err := kafka.Open(e.deps.Kafka, e.deps.Scope, e.deps.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	give(t, c, records...)
}

// give is produce by a client that there is.
func give(t testing.TB, c *kafka.Client, records ...kafka.Record) {
	t.Helper()
	if err := c.Produce(t.Context(), records); err != nil {
		t.Fatal(err)
	}
}

func number(key string, n int64) kafka.Record {
	return kafka.Record{Topic: sumsIn, Key: []byte(key), Value: binary.BigEndian.AppendUint64(nil, uint64(n))}
}

// table reads the compacted topic as a fresh reader would: the last record of a key.
func (e *engines) table(t *testing.T) map[string]*event.Claim {
	t.Helper()
	got := make(map[string]*event.Claim)
	err := kafka.Scan(t.Context(), e.deps.Kafka, e.deps.Scope, e.deps.Log, []schemas.Topic{sums}, time.Time{}, func(r *kafka.Scanned) error {
		c := new(event.Claim)
		if err := c.UnmarshalVT(r.Value); err != nil {
			return err
		}
		got[string(r.Key)] = c
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// drained waits until the group has committed everything.
func (e *engines) drained(t testing.TB, room string) {
	t.Helper()
	c, err := kafka.Open(e.deps.Kafka, e.deps.Scope, e.deps.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	eventually(t, "the group to commit everything", func() bool {
		lags, err := c.Lag(t.Context(), room, []schemas.Topic{sumsIn})
		if err != nil {
			return false
		}
		for _, l := range lags {
			if l.End > 0 && l.Committed < l.End {
				return false
			}
		}
		return true
	})
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute for %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// start runs a loop in the background; stop ends it and reports its error.
func (e *engines) start(t testing.TB, f Fold) (stop func() error) {
	t.Helper()
	l, err := NewLoop(f, e.deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	return func() error {
		cancel()
		return <-done
	}
}

// TestLoopFoldsEverythingOnce: several members come and go while records arrive; the state
// is the fold of the input.
func TestLoopFoldsEverythingOnce(t *testing.T) {
	for _, protocol := range []struct {
		name string
		next bool
	}{{"classic", false}, {"kip848", true}} {
		t.Run(protocol.name, func(t *testing.T) {
			onEngines(t, 4, func(t *testing.T, e *engines) {
				e.deps.Group.NewProtocol = protocol.next
				e.deps.Group.MaxPoll = 300
				rng := rand.New(rand.NewPCG(1, 2))
				want := make(map[string]int64)
				var stops []func() error
				for round := range 6 {
					stops = append(stops, e.start(t, newSumRoom()))
					var rs []kafka.Record
					for range 500 {
						key, n := "k"+strconv.Itoa(rng.IntN(50)), rng.Int64N(100)
						want[key] += n
						rs = append(rs, number(key, n))
					}
					e.produce(t, rs...)
					if round%2 == 1 {
						if err := stops[0](); err != nil {
							t.Fatal(err)
						}
						stops = stops[1:]
					}
				}
				e.drained(t, "orders")
				for _, stop := range stops {
					if err := stop(); err != nil {
						t.Fatal(err)
					}
				}
				got := e.table(t)
				for k, n := range want {
					if got[k].GetOnHand() != n {
						t.Errorf("sum of %s = %d, want %d", k, got[k].GetOnHand(), n)
					}
				}
			})
		})
	}
}
