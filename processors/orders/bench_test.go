package orders

import (
	"fmt"
	"testing"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// realistic is order n as the translate room tells it of a web shop: two lines, tax on each
// and on the whole, one way of shipping, and a buyer with two addresses.
func realistic(n int) *event.OrderInput {
	gbp := func(minor int64) *event.Money { return &event.Money{Minor: minor, Currency: "GBP"} }
	vat := func(minor int64) []*event.Tax {
		return []*event.Tax{{Title: "VAT", RatePpm: 200_000, Amount: gbp(minor)}}
	}
	at := int64(1_800_000_000_000 + n*997)
	address := func() *event.PostalAddress {
		return &event.PostalAddress{
			Name: "Augusta Buyer", Street: []string{"1 Some Street", "Flat 4"}, City: "London",
			Region: "ENG", Postcode: "SW1A 1AA", Country: "GB", Phone: "+44 20 7946 0000",
		}
	}
	o := &event.Order{
		Connector: "shopify", Account: "shop-uk", Id: fmt.Sprint(5_000_000_000_000 + n), Name: fmt.Sprint("#", 1000+n),
		UpdatedMs: at, CreatedMs: at - 1000,
		Status:        event.OrderStatus_ORDER_STATUS_OPEN,
		PaymentStatus: event.PaymentStatus_PAYMENT_STATUS_PAID, FulfilmentStatus: event.FulfilmentStatus_FULFILMENT_STATUS_UNFULFILLED,
		Currency: "GBP", Taxes: vat(433), TaxesIncluded: true,
		Subtotal: gbp(1996), TotalDiscounts: gbp(0), TotalShipping: gbp(595), TotalTax: gbp(433), Total: gbp(2591),
		ShippingLines: []*event.ShippingLine{{Id: "4100000000001", Code: "STANDARD", Title: "Standard delivery", Price: gbp(595), Taxes: vat(99)}},
		BuyerId:       fmt.Sprint(7_000_000_000_000 + n),
		Destination:   &event.Destination{Country: "GB", Region: "ENG", PostcodePrefix: "SW1"},
		Personal: &event.PersonalData{
			Name: "Augusta Buyer", Email: "augusta.buyer@example.com", Phone: "+44 20 7946 0000",
			Shipping: address(), Billing: address(),
		},
		Origin: &event.Origin{
			Connector: "shopify", Account: "shop-uk", Topic: "raw.orders.v1", Offset: int64(n),
			Path: event.Path_PATH_WEBHOOK, SourceTimeMs: at, ReceivedMs: at + 300,
		},
	}
	for i := range 2 {
		o.Lines = append(o.Lines, &event.OrderLine{
			Id: fmt.Sprint(9_000_000_000_000 + 2*n + i), ListingId: fmt.Sprint(8_000_000_000_000 + (n+i)%4000), ProductId: fmt.Sprint(6_000_000_000_000 + (n+i)%4000),
			PlatformSku: fmt.Sprint("SKU-", (n+i)%4000), Title: "A hand-made mug of a decent size", Quantity: 2, Stocked: true,
			UnitPrice: &event.Decimal{Unscaled: 499, Scale: 2}, Total: gbp(998), Taxes: vat(167),
			Resolution: resolution(fmt.Sprint("SKU-", (n+i)%4000), 1, 5),
		})
	}
	in := snapshot(o)
	in.EventId = fmt.Appendf(nil, "%016x", n)
	return in
}

// paid is what the same order tells next.
func paid(n int) *event.OrderInput {
	in := realistic(n)
	in.GetSnapshot().UpdatedMs += 5000
	in.GetSnapshot().FulfilmentStatus = event.FulfilmentStatus_FULFILMENT_STATUS_PARTIAL
	return in
}

func BenchmarkPrepare(b *testing.B) {
	room, _ := newRoom(b)
	value, err := realistic(1).MarshalVTStrict()
	if err != nil {
		b.Fatal(err)
	}
	rec := &stream.Record{Topic: schemas.OrdersIn, Value: value}
	b.ReportAllocs()
	b.SetBytes(int64(len(value)))
	for b.Loop() {
		if _, err := room.Prepare(rec); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkJoin is the fold alone: of an order that is new, of one that changed, and of one
// that was told again.
func BenchmarkJoin(b *testing.B) {
	first := join(nil, said{snapshot: realistic(1).GetSnapshot()}, true)
	for _, c := range []struct {
		name string
		old  *event.Order
		in   *event.Order
	}{{"new", nil, realistic(1).GetSnapshot()}, {"changed", first, paid(1).GetSnapshot()}, {"again", first, realistic(1).GetSnapshot()}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if join(c.old, said{snapshot: c.in}, true) == nil && c.name != "again" {
					b.Fatal("not joined")
				}
			}
		})
	}
}

// BenchmarkRoom is a new order through the loop, in memory, in batches of 500.
func BenchmarkRoom(b *testing.B) {
	_, m := newRoom(b)
	for i := range b.N {
		m.AppendMessage("", realistic(i), 1)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for m.Pending() > 0 {
		if _, err := m.Step(500, stream.NoCrash); err != nil {
			b.Fatal(err)
		}
		m.Emitted = m.Emitted[:0]
	}
}
