package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/helloword/crossdock/cmd/crossdock/app"
	"github.com/helloword/crossdock/cmd/crossdock/config"
	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/shopify"
	"github.com/helloword/crossdock/ingest"
	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// account is the made-up shop's connection; shopDomain its address, which nobody calls.
const (
	account    = "bench"
	shopDomain = "bench.myshopify.com"
	secretName = "CROSSDOCK_BENCH_SECRET"
	secret     = "bench-secret"
)

// partitions of the topics that carry orders and stock.
const partitions = 8

// world is one tenant: its topics, keys and database, and the program opened on it.
type world struct {
	*app.App
	cfg *config.Config
	log func(format string, args ...any)
}

// open makes a tenant. configure may change the configuration before it is used.
func (r *runner) open(ctx context.Context, name string, configure func(*config.Config) error) (*world, error) {
	// Both ends of the signature are in this process: it guards nothing.
	if err := os.Setenv(secretName, secret); err != nil {
		return nil, err
	}
	c := config.Default()
	c.Tenant, c.Environment = "bench_"+r.stamp+"_"+name, schemas.Test
	c.Kafka.Brokers, c.Kafka.Replicas, c.Kafka.MinInSync = []string{r.Kafka}, 1, 0
	c.Kafka.Partitions = config.Partitions{Wide: partitions, Narrow: 2}
	c.Redis.Addrs = []string{r.Redis}
	c.ClickHouse.Addrs, c.ClickHouse.Compression = []string{r.ClickHouse}, "none"
	c.ClickHouse.BuyerKey = "env:" + secretName
	c.Telemetry.Listen = ""
	// What a shop has just changed is read at once.
	c.Poll.Overlap, c.Poll.Settle = 5*time.Second, time.Millisecond
	sc := shopify.DefaultConfig()
	sc.Shop, sc.TestBaseURL, sc.ClientID, sc.ClientSecret, sc.Currency = shopDomain, "http://127.0.0.1:1", "bench", "env:"+secretName, "GBP"
	sc.LocationID = "1000"
	c.Connections = map[string]config.Connection{account: {Connector: shopify.Name, AllowHTTP: true, Shopify: &sc}}
	if configure != nil {
		if err := configure(&c); err != nil {
			return nil, err
		}
	}
	a, err := app.Open(ctx, &c, r.Version, r.Log)
	if err != nil {
		return nil, err
	}
	w := &world{App: a, cfg: &c, log: r.say}
	if _, err := a.Producer.ApplyTopics(ctx, schemas.Topics(), c.Layout()); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// close removes the tenant from Kafka and Redis, so that the next part has the machine that
// this one had.
func (w *world) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	defer w.Close()
	adm := kadm.NewClient(w.Producer.Client)
	var errs []error
	topics, err := adm.ListTopics(ctx)
	errs = append(errs, err)
	var own []string
	for _, t := range topics.Names() {
		if _, ok := w.Scope.Base(t); ok {
			own = append(own, t)
		}
	}
	if len(own) > 0 {
		_, err := adm.DeleteTopics(ctx, own...)
		errs = append(errs, err)
	}
	for cursor := uint64(0); ; {
		keys, next, err := w.Redis.Scan(ctx, cursor, w.Scope.Key("*"), 5000).Result()
		if err == nil && len(keys) > 0 {
			err = w.Redis.Unlink(ctx, keys...).Err()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("removing keys: %w", err))
			break
		}
		if cursor = next; cursor == 0 {
			break
		}
	}
	return errors.Join(errs...)
}

// roles runs roles beside f, which begins when they have been started, and ends them with it.
func (w *world) roles(ctx context.Context, names []string, f func(context.Context) error) error {
	run, stop := context.WithCancel(ctx)
	defer stop()
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- w.Run(run, names, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		return errors.Join(err, ctx.Err())
	}
	done := make(chan error, 1)
	go func() { done <- f(run) }()
	select {
	case err := <-done:
		stop()
		return errors.Join(err, <-ended)
	case err := <-ended:
		stop()
		<-done
		if err == nil {
			err = ctx.Err()
		}
		return err
	}
}

// reads are the topics of the groups that are waited for, in the order of an order's way.
func reads(group string) []schemas.Topic {
	switch group {
	case "translate":
		return []schemas.Topic{schemas.RawOrders, schemas.RawProducts, schemas.RawInventory, schemas.RawStock, schemas.RawRates}
	case "catalog":
		return []schemas.Topic{schemas.CatalogIn}
	case "orders":
		return []schemas.Topic{schemas.OrdersIn}
	case "stock":
		return []schemas.Topic{schemas.StockIn}
	case "push":
		return []schemas.Topic{schemas.PushTargets}
	}
	panic("bench: no group " + group)
}

// drained waits until the groups have committed everything. They are asked in the order of an
// order's way: a group commits after what it wrote was acknowledged, so once it is through
// the next one's end stands.
func (w *world) drained(ctx context.Context, groups ...string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for _, g := range groups {
		for {
			parts, err := w.Producer.Lag(ctx, g, reads(g))
			if err != nil {
				return err
			}
			behind := int64(0)
			for _, p := range parts {
				behind += p.End - max(p.Committed, 0)
			}
			if behind == 0 {
				break
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			}
		}
	}
	return nil
}

// count is the sum of a counter over all rooms, or of one room.
func (w *world) count(name, room string) (total float64) {
	families, err := w.Registry.Gather()
	if err != nil {
		return 0
	}
	for _, f := range families {
		if f.GetName() != "crossdock_stream_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "room" && (room == "" || l.GetValue() == room) {
					total += m.GetCounter().GetValue()
				}
			}
		}
	}
	return total
}

// goods makes the shop's listings known and counts in enough of each SKU that no sale of
// orders exhausts it, by the rooms themselves.
func (w *world) goods(ctx context.Context, orders int) error {
	at := time.Now()
	stamp := ingest.NewStamp(shopify.Name, account, ingest.PathPoll)
	var records []kafka.Record
	for p := range skus / variantsOf {
		rec, err := stamp.Record(&connectors.Raw{
			Subject: connectors.Products, Object: fmt.Sprint(productID(p)), Format: "rest/product", Body: productBody(p, at), SourceTime: at,
		}, "")
		if err != nil {
			return err
		}
		records = append(records, rec)
	}
	for i := range skus {
		in := &event.StockInput{Input: &event.StockInput_Move{Move: &event.StockMove{
			Sku: skuName(i), MoveId: "adjust/bench/opening/" + skuName(i), Kind: event.MoveKind_MOVE_KIND_OPENING,
			CauseVersion: &event.Version{Number: at.UnixMilli()}, OnHand: int64(orders)*6/skus + 1000, OccurredMs: at.UnixMilli(),
		}}}
		b, err := in.MarshalVTStrict()
		if err != nil {
			return err
		}
		records = append(records, kafka.Record{Topic: schemas.StockIn, Key: []byte(skuName(i)), Value: b})
	}
	if err := w.Producer.Produce(ctx, records); err != nil {
		return err
	}
	err := w.roles(ctx, []string{"translate", "catalog", "stock"}, func(ctx context.Context) error {
		return w.drained(ctx, "translate", "catalog", "stock")
	})
	if err != nil {
		return fmt.Errorf("goods: %w", err)
	}
	return nil
}

// preload writes n raw orders, as the webhook room would have.
func (w *world) preload(ctx context.Context, n int) error {
	w.log("  writing %d raw orders", n)
	at := time.Now()
	stamp := ingest.NewStamp(shopify.Name, account, ingest.PathWebhook)
	var mu sync.Mutex
	var failed error
	for i := range n {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		of := original(i)
		rec, err := stamp.Record(&connectors.Raw{
			Subject: connectors.Orders, Object: fmt.Sprint(orderID(of)), Format: "rest/order",
			Body: orderBody(of, at), Delivery: fmt.Sprintf("delivery-%d", i), SourceTime: at,
		}, "")
		if err != nil {
			return err
		}
		err = w.Producer.Convert(ctx, &rec, func(k *kgo.Record) {
			w.Producer.Client.Produce(ctx, k, func(_ *kgo.Record, err error) {
				if err != nil {
					mu.Lock()
					failed = errors.Join(failed, err)
					mu.Unlock()
				}
			})
		})
		if err != nil {
			return err
		}
	}
	if err := w.Producer.Flush(ctx); err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	return failed
}

// checked says whether the rooms did what they should have: a fast wrong answer is no figure.
func (w *world) checked(orders int) error {
	var wrong []string
	is := func(what string, got, want float64) {
		if got != want {
			wrong = append(wrong, fmt.Sprintf("%s: %.0f, want %.0f", what, got, want))
		}
	}
	is("dead letters", w.count("dead_letters_total", ""), 0)
	is("records read again", w.count("repeated_total", ""), 0)
	is("duplicates found", w.count("duplicates_total", "translate"), float64(orders-distinct(orders)))
	if wrong != nil {
		return errors.New("the rooms did not do what they should: " + strings.Join(wrong, ", "))
	}
	return nil
}
