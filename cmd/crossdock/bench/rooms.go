package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
)

// with opens a tenant, and removes it after f.
func (r *runner) with(ctx context.Context, name string, f func(*world) error) error {
	w, err := r.open(ctx, name, nil)
	if err != nil {
		return err
	}
	return errors.Join(f(w), w.close())
}

// commitEvery records the copy flushes and commits, as a careful program would.
const commitEvery = 5_000

// copy is what the broker and the client can do when nothing is promised but delivery: each
// record is read and written again to a topic as wide.
func (r *runner) copy(ctx context.Context) error {
	r.say("copy: bare consume → produce")
	took, err := r.copies(ctx, "copy", r.Orders)
	if err != nil {
		return err
	}
	r.copied = append(r.copied, perSecond(r.Orders, took))
	r.say("  %.0f orders/s", perSecond(r.Orders, took))
	return nil
}

func (r *runner) copies(ctx context.Context, name string, n int) (took time.Duration, err error) {
	err = r.with(ctx, name, func(w *world) error {
		if err := w.preload(ctx, n); err != nil {
			return err
		}
		from, to := w.Scope.Topic(schemas.RawOrders), w.Scope.Topic(schemas.Topic{Name: "copy.v1"})
		if _, err := kadm.NewClient(w.Producer.Client).CreateTopic(ctx, partitions, 1, nil, to); err != nil {
			return err
		}
		return r.profiled(name, func() error {
			began := time.Now()
			err := copyTopic(ctx, w.cfg.KafkaConfig(), w, from, to, n)
			took = time.Since(began)
			return err
		})
	})
	return took, err
}

func copyTopic(ctx context.Context, cfg kafka.Config, w *world, from, to string, n int) error {
	opts, err := cfg.Options(w.Log)
	if err != nil {
		return err
	}
	// The same connection settings as the loops', partition by partition as well.
	c, err := kgo.NewClient(append(opts,
		kgo.ConsumerGroup(w.Scope.Group("copy")), kgo.ConsumeTopics(from), kgo.DisableAutoCommit(),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()), kgo.BlockRebalanceOnPoll(),
	)...)
	if err != nil {
		return err
	}
	defer c.CloseAllowingRebalance()
	var mu sync.Mutex
	var failed error
	for copied, open := 0, 0; copied < n; {
		fetches := c.PollRecords(ctx, commitEvery)
		if err := fetches.Err(); err != nil {
			return err
		}
		fetches.EachRecord(func(k *kgo.Record) {
			c.Produce(ctx, &kgo.Record{Topic: to, Partition: k.Partition, Key: k.Key, Value: k.Value, Headers: k.Headers}, func(_ *kgo.Record, err error) {
				if err != nil {
					mu.Lock()
					failed = errors.Join(failed, err)
					mu.Unlock()
				}
			})
		})
		copied += fetches.NumRecords()
		if open += fetches.NumRecords(); open >= commitEvery || copied >= n {
			open = 0
			if err := c.Flush(ctx); err != nil {
				return err
			}
			if err := c.CommitUncommittedOffsets(ctx); err != nil {
				return err
			}
		}
		c.AllowRebalance()
	}
	mu.Lock()
	defer mu.Unlock()
	return failed
}

// hop measures the translate room on n orders with known events in its memory.
func (r *runner) hop(ctx context.Context, name string, n, known int) (took time.Duration, err error) {
	err = r.with(ctx, name, func(w *world) error {
		if err := w.goods(ctx, n); err != nil {
			return err
		}
		if known > 0 {
			r.say("  filling Redis with %d known events", known)
			g, ctx := errgroup.WithContext(ctx)
			g.SetLimit(4)
			for p := range int32(partitions) {
				g.Go(func() error {
					return stream.Remember(ctx, w.Redis, w.Scope, "translate", schemas.RawOrders, p, time.Now(), max(1, known/partitions))
				})
			}
			if err := g.Wait(); err != nil {
				return err
			}
		}
		if err := w.preload(ctx, n); err != nil {
			return err
		}
		took, err = r.timed(ctx, w, name, []string{"translate"})
		if err != nil {
			return err
		}
		return w.checked(n)
	})
	return took, err
}

// timed runs rooms until they are through: from their start, joining the group included, to
// the last commit.
func (r *runner) timed(ctx context.Context, w *world, name string, rooms []string) (took time.Duration, err error) {
	err = r.profiled(name, func() error {
		return w.roles(ctx, rooms, func(ctx context.Context) error {
			began := time.Now()
			err := w.drained(ctx, rooms...)
			took = time.Since(began)
			return err
		})
	})
	return took, err
}

// firstHop is raw → translate → dedup → SKU → canonical order, acknowledged and committed.
func (r *runner) firstHop(ctx context.Context) error {
	r.say("first hop: translate, deduplicate, SKUs")
	took, err := r.hop(ctx, "hop", r.Orders, 0)
	if err != nil {
		return err
	}
	r.hopped = append(r.hopped, perSecond(r.Orders, took))
	r.say("  %.0f orders/s", perSecond(r.Orders, took))
	return nil
}

// pipeline is the first hop, orders and stock: from raw bytes to levels and targets, every
// output acknowledged and committed.
func (r *runner) pipeline(ctx context.Context) error {
	r.say("pipeline: translate, orders, stock")
	took, rss, err := r.whole(ctx, "pipeline", r.Orders)
	if err != nil {
		return err
	}
	r.piped, r.out.RSS = append(r.piped, perSecond(r.Orders, took)), max(r.out.RSS, rss)
	r.say("  %.0f orders/s, %d MB", perSecond(r.Orders, took), rss)
	return nil
}

// whole measures the rooms of the pipeline on n orders, and the most memory they took.
func (r *runner) whole(ctx context.Context, name string, n int) (took time.Duration, rss int64, err error) {
	err = r.with(ctx, name, func(w *world) error {
		if err := w.goods(ctx, n); err != nil {
			return err
		}
		if err := w.preload(ctx, n); err != nil {
			return err
		}
		debug.FreeOSMemory() // what was made to write them is not the rooms'
		stop := peak(ctx)
		took, err = r.timed(ctx, w, name, []string{"translate", "orders", "stock"})
		rss = stop()
		if err != nil {
			return err
		}
		if got, want := w.count("records_total", "orders"), float64(distinct(n)); got < want {
			return fmt.Errorf("the orders room read %.0f records, want %.0f", got, want)
		}
		return w.checked(n)
	})
	return took, rss, err
}

// warm lets the engines do once what is measured afterwards. The broker compiles its code while
// it works: whoever came first would look slow, and the ratio to it good.
func (r *runner) warm(ctx context.Context) error {
	r.say("warming the engines up")
	if _, err := r.copies(ctx, "warmcopy", max(r.Orders/2, 1)); err != nil {
		return err
	}
	_, _, err := r.whole(ctx, "warmpipe", r.Orders)
	return err
}

// fewKnown is the smaller of the two memories.
const fewKnown = 10_000

// growth compares the first hop on a full memory with that on an almost empty one. Each is
// measured twice, in turns, because the machine has other work.
func (r *runner) growth(ctx context.Context) error {
	r.say("growth: the first hop with %d and with %d known events", fewKnown, r.Known)
	n := max(r.Orders/2, 1)
	var few, many time.Duration
	for i := range 2 {
		f, err := r.hop(ctx, fmt.Sprintf("few%d", i), n, fewKnown)
		if err != nil {
			return err
		}
		m, err := r.hop(ctx, fmt.Sprintf("many%d", i), n, r.Known)
		if err != nil {
			return err
		}
		r.say("  %.0f and %.0f orders/s", perSecond(n, f), perSecond(n, m))
		few, many = few+f, many+m
	}
	r.out.CostGrowth = few.Seconds() / many.Seconds()
	return nil
}
