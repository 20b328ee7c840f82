package orders

import (
	"errors"
	"fmt"
	"testing"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

func TestPrepareRefuses(t *testing.T) {
	room, _ := newRoom(t)
	encode := func(in *event.OrderInput) []byte {
		b, err := in.MarshalVTStrict()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		name  string
		value []byte
		want  error
	}{
		{"nothing", nil, connectors.ErrUnsupported},
		{"an input of a later version", []byte{9<<3 | 2, 0}, connectors.ErrUnsupported},
		{"broken bytes", []byte{0xff}, connectors.ErrMalformed},
		{"no account", encode(snapshot(&event.Order{Id: "1", UpdatedMs: 1})), connectors.ErrMalformed},
		{"no id", encode(snapshot(&event.Order{Account: "a", UpdatedMs: 1})), connectors.ErrMalformed},
		{"no time of change", encode(snapshot(&event.Order{Account: "a", Id: "1"})), connectors.ErrMalformed},
		{"negative quantity", encode(snapshot(order(1, nil, line("a", "L", -1, 0, nil)))), connectors.ErrMalformed},
		{"absurd quantity", encode(snapshot(order(1, nil, line("a", "L", 1<<40, 0, nil)))), connectors.ErrMalformed},
		{"no multiplier", encode(snapshot(order(1, nil, line("a", "L", 1, 0, resolution("S", 0, 1))))), connectors.ErrMalformed},
		{"refund without id", encode(refunded(&event.Refund{Account: "a", OrderId: "1"})), connectors.ErrMalformed},
		{"snapshot's refund without id", encode(snapshot(order(1, func(o *event.Order) { o.Refunds = []*event.Refund{{}} }))), connectors.ErrMalformed},
		{"negative refund", encode(refunded(refund("r", "a", -1, 0))), connectors.ErrMalformed},
		{"no resolution", encode(&event.OrderInput{Input: &event.OrderInput_LineResolved{LineResolved: &event.LineResolved{Account: "a", OrderId: "1"}}}), connectors.ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := room.Prepare(&stream.Record{Topic: schemas.OrdersIn, Value: c.value}); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// FuzzPrepare: whatever bytes come, they are refused or handled.
func FuzzPrepare(f *testing.F) {
	b, _ := snapshot(order(1000, nil, line("a", "L", 5, 0, resolution("MUG", 1, 1)))).MarshalVTStrict()
	f.Add(b)
	b, _ = refunded(refund("r", "a", 1, event.Restock_RESTOCK_RETURN)).MarshalVTStrict()
	f.Add(b)
	f.Fuzz(func(t *testing.T, value []byte) {
		_, m := newRoom(t)
		m.Append(stream.Record{Value: value})
		m.Append(stream.Record{Value: value})
		if _, err := m.Drain(1); err != nil {
			t.Fatal(err)
		}
	})
}

func realistic(n int) *event.Order {
	o := order(1000+int64(n), func(o *event.Order) {
		o.Id = fmt.Sprint(5_000_000_000_000 + n)
		o.Name, o.BuyerId = fmt.Sprint("#", n), "7000000000001"
		o.Destination = &event.Destination{Country: "GB", PostcodePrefix: "SW1"}
		o.Personal = &event.PersonalData{Name: "A. Buyer", Email: "buyer@example.com", Shipping: &event.PostalAddress{Name: "A. Buyer", Street: []string{"1 Some Street"}, City: "London", Postcode: "SW1A 1AA", Country: "GB"}}
		o.Origin = &event.Origin{Connector: "shopify", Account: "shop", Topic: "raw.orders.v1", Offset: int64(n)}
	})
	for i := range 3 {
		l := line(fmt.Sprint(9_000_000_000_000+n*3+i), fmt.Sprint(8_000_000_000_000+i), 2, 0, resolution(fmt.Sprint("SKU-", i), 1, 5))
		l.Title, l.UnitPrice, l.Total = "A mug of a decent size", &event.Decimal{Unscaled: 499, Scale: 2}, &event.Money{Minor: 998, Currency: "GBP"}
		o.Lines = append(o.Lines, l)
	}
	return o
}

func BenchmarkPrepare(b *testing.B) {
	room, _ := newRoom(b)
	value, err := snapshot(realistic(1)).MarshalVTStrict()
	if err != nil {
		b.Fatal(err)
	}
	rec := &stream.Record{Topic: schemas.OrdersIn, Value: value}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := room.Prepare(rec); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRoom is a new order through the loop, in memory, in batches of 500.
func BenchmarkRoom(b *testing.B) {
	_, m := newRoom(b)
	for i := range b.N {
		m.AppendMessage("", snapshot(realistic(i)), 1)
	}
	b.ReportAllocs()
	b.ResetTimer()
	if _, err := m.Drain(500); err != nil {
		b.Fatal(err)
	}
}
