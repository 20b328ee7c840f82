package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/sinks/clickhouse"
)

// insertRecords is what the sink's loop hands over under load.
const insertRecords = 20_000

// clickhouse compares the sink, from encoded orders to confirmed inserts, with clickhouse-go
// alone inserting the same rows made beforehand.
func (r *runner) clickhouse(ctx context.Context) (err error) {
	r.say("clickhouse: clickhouse-go alone and the sink")
	w, err := r.open(ctx, "ch", nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	cfg := w.cfg.ClickHouseConfig()
	if err := clickhouse.Migrate(ctx, cfg, r.Log); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dropDatabase(cfg)) }()
	writer, err := clickhouse.New(cfg, clickhouse.Deps{Log: r.Log})
	if err != nil {
		return err
	}
	defer func() { _ = writer.Close() }()
	batch, err := orderBatch(min(insertRecords, max(r.Orders, 1)))
	if err != nil {
		return err
	}
	bare, err := writer.Bare(batch)
	if err != nil {
		return err
	}
	return r.profiled("clickhouse", func() error {
		var took [2]time.Duration
		rounds := 0
		// In turns, because the machine has other work; the first turn warms up.
		for began := time.Now(); rounds < 3 || time.Since(began) < r.For; rounds++ {
			for i, insert := range []func() error{
				func() error { return bare.Insert(ctx) },
				func() error {
					batch.Token = fmt.Sprintf("bench-%s-%d", r.stamp, rounds)
					return writer.Write(ctx, batch)
				},
			} {
				start := time.Now()
				if err := insert(); err != nil {
					return err
				}
				if rounds > 0 {
					took[i] += time.Since(start)
				}
			}
		}
		rows := bare.Rows() * (rounds - 1)
		r.out.ClickHouseBare, r.out.ClickHouseSink = perSecond(rows, took[0]), perSecond(rows, took[1])
		r.out.ClickHouseRatio = ratio(r.out.ClickHouseSink, r.out.ClickHouseBare)
		r.say("  %.0f and %.0f rows/s", r.out.ClickHouseBare, r.out.ClickHouseSink)
		return nil
	})
}

// dropDatabase removes the part's tables.
func dropDatabase(cfg clickhouse.Config) error {
	conn, err := ch.Open(&ch.Options{Addr: cfg.Addrs, Protocol: ch.HTTP})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return errors.Join(conn.Exec(ctx, "DROP DATABASE IF EXISTS "+cfg.Database), conn.Close())
}

// orderBatch is a batch of orders as the orders room writes them.
func orderBatch(n int) (*stream.Batch, error) {
	b := &stream.Batch{Topic: schemas.Orders.Name, Last: int64(n - 1)}
	day := time.Now().UnixMilli()
	for i := range n {
		at := day - int64(i%90)*86_400_000
		o := &event.Order{
			Connector: "shopify", Account: account, Id: fmt.Sprint(orderID(i)), Name: fmt.Sprintf("#%d", i),
			Version: &event.Version{Number: int64(i)}, Currency: "GBP", CreatedMs: at, UpdatedMs: at,
			Total: &event.Money{Minor: 0, Currency: "GBP"},
		}
		for l, s := range sold(i) {
			minor := int64(priceOf(s[0]) * s[1])
			o.Total.Minor += minor
			o.Lines = append(o.Lines, &event.OrderLine{
				Id: fmt.Sprint(orderID(i) + int64(l) + 1), ListingId: fmt.Sprint(variantID(s[0])), ProductId: fmt.Sprint(productID(s[0] / variantsOf)),
				PlatformSku: skuName(s[0]), Title: title(s[0]), Quantity: int64(s[1]), Stocked: true,
				UnitPrice:  &event.Decimal{Unscaled: int64(priceOf(s[0])), Scale: 2},
				Total:      &event.Money{Minor: minor, Currency: "GBP"},
				Resolution: &event.Resolution{Sku: skuName(s[0]), Multiplier: 1, Rule: event.MatchRule_MATCH_RULE_SKU},
			})
		}
		value, err := o.MarshalVTStrict()
		if err != nil {
			return nil, err
		}
		b.Records = append(b.Records, &stream.Record{
			Topic: schemas.Orders, Offset: int64(i), TimestampMs: day, Key: []byte(account + "/" + o.Id), Value: value,
			Headers: []stream.Header{{Key: schemas.HeaderVersion, Value: fmt.Appendf(nil, "0.%d", i)}, {Key: schemas.HeaderLineage, Value: []byte("0.-1 0 0")}},
		})
	}
	return b, nil
}
