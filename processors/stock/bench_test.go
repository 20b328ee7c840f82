package stock

import (
	"fmt"
	"testing"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// realistic is the move that the orders room makes of order n: of one of the SKUs.
func realistic(n, skus int) *event.StockInput {
	in := move(fmt.Sprint("SKU-", n*7919%skus), fmt.Sprint("order/shop-uk/", 5_000_000_000_000+n), int64(n+1), 0, 2)
	in.GetMove().Warehouse = "main"
	in.GetMove().OccurredMs = 1_800_000_000_000 + int64(n)
	return in
}

func BenchmarkPrepare(b *testing.B) {
	room, _ := newRoom(b)
	value, err := realistic(1, 4000).MarshalVTStrict()
	if err != nil {
		b.Fatal(err)
	}
	rec := &stream.Record{Topic: schemas.StockIn, Value: value}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := room.Prepare(rec); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRoom is a new order's move of one of 4,000 SKUs through the loop, in memory, in
// batches of 500: with one listing of its own account each, with three of others, and while
// nobody has counted.
func BenchmarkRoom(b *testing.B) {
	const skus = 4000
	for _, c := range []struct {
		name, account string
		listings      int
	}{{"own listing", "shop-uk", 1}, {"three listings", "shop-de", 3}, {"not counted", "", 0}} {
		b.Run(c.name, func(b *testing.B) {
			_, m := newRoom(b)
			for i := range skus {
				sku := fmt.Sprint("SKU-", i)
				if c.listings > 0 {
					feed(m, count(sku, "opening", 1_000_000))
				}
				for l := range c.listings {
					in := link(sku, fmt.Sprint(8_000_000_000_000+skus*l+i), 1, 1, nil)
					in.GetLink().Account = c.account
					feed(m, in)
				}
			}
			drain(b, m, 1000)
			for i := range b.N {
				feed(m, realistic(i, skus))
			}
			m.Emitted = nil
			b.ReportAllocs()
			b.ResetTimer()
			for m.Pending() > 0 {
				if _, err := m.Step(500, stream.NoCrash); err != nil {
					b.Fatal(err)
				}
				m.Emitted = m.Emitted[:0]
			}
		})
	}
}
