package shopify

import (
	"fmt"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/shopify/simulator"
	"github.com/helloword/crossdock/schemas/event"
)

// different makes n webhook bodies of orders/create, 3 to 6 kB each, no two alike.
func different(b testing.TB, n int) [][]byte {
	s := open(b, simulator.Config{}, nil)
	s.Subscribe(s.listen(b), "orders/create")
	p := stocked(s)
	for i := range n {
		street := *home
		street.Address1 = fmt.Sprintf("%d High Street", i)
		who := *buyer
		who.ID += int64(i)
		lines := []simulator.LineSpec{{Variant: p[0].Variants[0], Quantity: int64(i%9 + 1)}}
		if i%2 == 0 {
			lines = append(lines, simulator.LineSpec{Variant: p[1].Variants[i%3], Quantity: 2, Price: fmt.Sprintf("%d.%02d", i%70, i%100)})
		}
		spec := simulator.OrderSpec{
			At: time.Unix(1_700_000_000+int64(i), 0), Customer: &who, Shipping: &street, Delivery: "4.95",
			TaxTitle: "VAT", TaxRate: "0.2", Lines: lines,
		}
		if i%3 == 0 {
			spec.Billing = &street
		}
		if _, err := s.PlaceOrder(spec); err != nil {
			b.Fatal(err)
		}
	}
	var bodies [][]byte
	for _, d := range s.deliveries(b) {
		bodies = append(bodies, d.Body)
	}
	return bodies
}

// BenchmarkTranslate is the hot path: one webhook body to one order, and its encoding.
func BenchmarkTranslate(b *testing.B) {
	bodies := different(b, 2000)
	total := 0
	for _, body := range bodies {
		total += len(body)
	}
	b.SetBytes(int64(total / len(bodies)))
	b.ReportAllocs()
	tr := &translator{currency: "GBP"}
	for i := 0; b.Loop(); i++ {
		facts, err := tr.Translate(&connectors.Record{Account: "shop-uk", Format: formatOrder, Body: bodies[i%len(bodies)]})
		if err != nil || len(facts.Orders) != 1 {
			b.Fatal(err)
		}
	}
}

// BenchmarkEncode is what writing the order costs after that.
func BenchmarkEncode(b *testing.B) {
	tr := &translator{currency: "GBP"}
	var orders []*event.Order
	for _, body := range different(b, 200) {
		facts, err := tr.Translate(&connectors.Record{Account: "shop-uk", Format: formatOrder, Body: body})
		if err != nil {
			b.Fatal(err)
		}
		orders = append(orders, facts.Orders[0])
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := orders[i%len(orders)].MarshalVTStrict(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReceive is what a webhook costs before it is written: the signature and the id.
func BenchmarkReceive(b *testing.B) {
	s := open(b, simulator.Config{}, nil)
	s.subscribe(b)
	p := stocked(s)
	if _, err := s.PlaceOrder(simulator.OrderSpec{Customer: buyer, Shipping: home, Lines: []simulator.LineSpec{{Variant: p[0].Variants[0], Quantity: 1}}}); err != nil {
		b.Fatal(err)
	}
	all := s.deliveries(b)
	d := &all[len(all)-1]
	b.SetBytes(int64(len(d.Body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.conn.Receive.Receive(b.Context(), d); err != nil {
			b.Fatal(err)
		}
	}
}
