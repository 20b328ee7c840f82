package clickhouse

import (
	"fmt"
	"testing"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// batchSize is what the sink's loop hands over under load.
const batchSize = 10_000

func orderBatch(b *testing.B) *stream.Batch {
	l := &log{t: b, topic: schemas.Orders}
	var all []*stream.Record
	for i := range int64(batchSize) {
		o := order(fmt.Sprint("shop-", i%4), fmt.Sprint(5_000_000_000+i), i, line{fmt.Sprint("SKU-", i%3000), 2, 150}, line{fmt.Sprint("SKU-", i*7%3000), 1, 999}, line{fmt.Sprint("SKU-", i*11%3000), 3, 250})
		o.CreatedMs += (i % 90) * 86_400_000
		all = append(all, l.put(o.Account+"/"+o.Id, o))
	}
	return l.batch(all...)
}

func levelBatch(b *testing.B) *stream.Batch {
	l := &log{t: b, topic: schemas.StockLevels}
	var all []*stream.Record
	for i := range int64(batchSize) {
		sku := fmt.Sprint("SKU-", i%3000)
		all = append(all, l.put(sku, &event.StockLevel{
			Sku: sku, Version: &event.Version{Number: i}, OnHand: 100, Reserved: i % 90, Available: 100 - i%90, ChangedMs: placed + i, Cause: fmt.Sprint("order/shop-1/", 5_000_000_000+i),
			Warehouses: []*event.WarehouseLevel{{Warehouse: "main", Sum: 100, OnHand: 100, Reserved: i % 90}},
			Listings:   []*event.LinkedListing{{Account: "shop-1", ListingId: fmt.Sprint(i % 3000), Target: 5}, {Account: "shop-2", ListingId: fmt.Sprint(i % 3000), Target: 5}},
		}))
	}
	return l.batch(all...)
}

// BenchmarkInsert compares the sink with clickhouse-go alone on the same rows.
func BenchmarkInsert(b *testing.B) {
	for name, make := range map[string]func(*testing.B) *stream.Batch{"orders": orderBatch, "levels": levelBatch} {
		b.Run(name, func(b *testing.B) {
			cfg := migrated(b)
			w := writer(b, cfg, Deps{})
			batch := make(b)
			bare, err := w.Bare(batch)
			if err != nil {
				b.Fatal(err)
			}
			if err := bare.Insert(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.Run("bare", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := bare.Insert(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(bare.Rows())*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			})
			n := 0
			b.Run("sink", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					n++
					batch.Token = fmt.Sprint("token-", n)
					if err := w.Write(b.Context(), batch); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(bare.Rows())*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			})
		})
	}
}

// BenchmarkDecode is the sink without the server.
func BenchmarkDecode(b *testing.B) {
	w := &Writer{cfg: Config{Buyer: BuyerHash}, key: []byte("k")}
	batch := orderBatch(b)
	r := newOrdersReader(newPseudonym(BuyerHash, w.key))
	b.ReportAllocs()
	for b.Loop() {
		for _, t := range r.tables() {
			t.reset()
		}
		if rejected, _ := w.read(r, schemas.Orders.Name, batch); rejected != nil {
			b.Fatal(rejected)
		}
	}
	b.ReportMetric(float64(len(batch.Records))*float64(b.N)/b.Elapsed().Seconds(), "orders/s")
}
