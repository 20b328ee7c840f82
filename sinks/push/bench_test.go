package push

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// instant accepts everything at once.
type instant struct{}

func (instant) Batch() int { return 250 }

func (instant) PushStock(_ context.Context, ws []connectors.StockWrite) ([]connectors.Result, error) {
	rs := make([]connectors.Result, len(ws))
	for i := range rs {
		rs[i].Outcome = event.Outcome_OUTCOME_ACCEPTED
	}
	return rs, nil
}

func (instant) ReadStock(_ context.Context, refs []connectors.StockRef) ([]*int64, error) {
	return make([]*int64, len(refs)), nil
}

type nowhere struct{}

func (nowhere) Produce(context.Context, []kafka.Record) error { return nil }

// BenchmarkSink is the sink's own cost of one target, offered to done, with the platform,
// Kafka and Redis taking no time.
func BenchmarkSink(b *testing.B) {
	for name, listings := range map[string]int{"each its own listing": 0, "ten listings": 10} {
		b.Run(name, func(b *testing.B) {
			cfg := DefaultConfig()
			cfg.CoalesceIncreases = 0
			s, err := New(cfg, Deps{
				Accounts: map[string]Account{"uk": {Connector: "shop", Stock: instant{}}},
				Publish:  nowhere{}, Memory: newMemory(), Commands: newBegun(), Now: time.Now, Metrics: prometheus.NewRegistry(),
				Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
			})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			var run, left sync.WaitGroup
			run.Go(func() { _ = s.Run(ctx) })
			left.Add(b.N)
			ds := make([]*stream.Delivery, b.N)
			for i := range ds {
				n := i
				if listings > 0 {
					n = i % listings
				}
				v, err := target("uk", strconv.Itoa(n), int64(i+1), int64(i), i%2 == 0).MarshalVTStrict()
				if err != nil {
					b.Fatal(err)
				}
				ds[i] = &stream.Delivery{Record: &stream.Record{Topic: schemas.PushTargets, Offset: int64(i), Value: v}, Done: left.Done}
			}
			b.ReportAllocs()
			b.ResetTimer()
			for len(ds) > 0 {
				n := min(1000, len(ds))
				if err := s.Offer(ctx, ds[:n]); err != nil {
					b.Fatal(err)
				}
				ds = ds[n:]
			}
			left.Wait()
			b.StopTimer()
			cancel()
			run.Wait()
		})
	}
}
