package clickhouse

import (
	"fmt"
	"testing"
	"time"

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

// BenchmarkSales measures what decided how sales are counted: half a million orders of three lines in
// 24 months, a tenth of them with a second version that no merge has met yet.
func BenchmarkSales(b *testing.B) {
	cfg := migrated(b)
	cfg.Timeout = 10 * time.Minute
	conn := connect(b, cfg)
	exec := func(sql string) {
		b.Helper()
		if err := conn.Exec(b.Context(), sql); err != nil {
			b.Fatal(err)
		}
	}
	exec("SYSTEM STOP MERGES orders")
	fill := func(orders, step, version int) {
		exec(fmt.Sprintf(`INSERT INTO orders (account, order_id, connector, status, country, currency, created_at, total_minor, units, line_count,
    lines.line_id, lines.listing_id, lines.product_id, lines.platform_sku, lines.sku, lines.multiplier, lines.match_rule, lines.title, lines.quantity, lines.fulfilled, lines.removed,
    lines.unit_price_unscaled, lines.unit_price_scale, lines.total_minor, lines.discount_minor, lines.tax_minor, lines.stocked, _version)
SELECT concat('shop-', toString(number %% 6)), toString(number * %[2]d), 'shopify', 'open', arrayElement(['GB', 'DE', 'FR', 'NL'], 1 + number %% 4), 'GBP',
    toDateTime64('2024-01-01 00:00:00', 3, 'UTC') + toIntervalSecond((number * %[2]d * 7919) %% 62208000), 600, 6, 3,
    ['1', '2', '3'], ['a', 'b', 'c'], ['p', 'q', 'r'], ['x', 'y', 'z'], [toString(cityHash64(number) %% 20000), toString(cityHash64(number, 1) %% 20000), toString(cityHash64(number, 2) %% 20000)],
    [1, 1, 1], ['sku', 'sku', 'sku'], ['Thing', 'Thing', 'Thing'], [1, 2, 3], [0, 0, 0], [0, 0, 0], [100, 100, 100], [2, 2, 2], [100, 200, 300], [0, 0, 0], [0, 0, 0], [true, true, true], %[3]d
FROM numbers(%[1]d) SETTINGS max_partitions_per_insert_block = 0`, orders, step, version))
	}
	fill(500_000, 1, 1)
	fill(50_000, 10, 2)
	plain := `FROM orders ARRAY JOIN lines.sku AS sku, lines.quantity AS quantity, lines.total_minor AS minor`
	for _, q := range []struct{ name, sql string }{
		{"per day, view over FINAL", "SELECT day, sum(units), sum(gross_minor) FROM sales GROUP BY day FORMAT Null"},
		{"per SKU, view over FINAL", "SELECT sku, sum(units), sum(gross_minor) FROM sales GROUP BY sku FORMAT Null"},
		{"one month, view over FINAL", "SELECT day, sum(units) FROM sales WHERE day BETWEEN '2025-03-01' AND '2025-03-31' GROUP BY day FORMAT Null"},
		{"per SKU, no FINAL, wrong", "SELECT sku, sum(quantity), sum(minor) " + plain + " GROUP BY sku FORMAT Null"},
		{"per SKU, argMax", "SELECT sku, sum(quantity) FROM (SELECT argMax((lines.sku, lines.quantity), _rank) AS l FROM orders GROUP BY account, order_id) ARRAY JOIN l.1 AS sku, l.2 AS quantity GROUP BY sku FORMAT Null"},
		{"per SKU, materialised", "SELECT * FROM sales_by_sku FORMAT Null"},
	} {
		if q.name == "per SKU, materialised" {
			b.Run("refresh", func(b *testing.B) {
				for b.Loop() {
					exec("SYSTEM REFRESH VIEW sales_daily")
					exec("SYSTEM WAIT VIEW sales_daily")
				}
			})
		}
		b.Run(q.name, func(b *testing.B) {
			for b.Loop() {
				exec(q.sql)
			}
		})
	}
	exec("SYSTEM START MERGES orders")
	exec("OPTIMIZE TABLE orders FINAL")
	b.Run("per SKU, view over FINAL, merged", func(b *testing.B) {
		for b.Loop() {
			exec("SELECT sku, sum(units), sum(gross_minor) FROM sales GROUP BY sku FORMAT Null")
		}
	})
}
