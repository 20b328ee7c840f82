package shopify

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/shopify/simulator"
	"github.com/helloword/crossdock/schemas/event"
)

// history lets everything happen to orders that can happen; check is called after each step
// with the order that changed.
func history(t *testing.T, s *shop, check func(step string, order int64)) {
	t.Helper()
	p := stocked(s)
	at := time.Date(2010, 12, 1, 8, 26, 0, 0, time.UTC)
	do := func(step string, order int64, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", step, err)
		}
		check(step, order)
	}
	heart, red, green, wrap := p[0].Variants[0], p[1].Variants[0], p[1].Variants[1], p[1].Variants[2]
	id, err := s.PlaceOrder(simulator.OrderSpec{
		Name: "536365", At: at, Customer: buyer, Shipping: home, Billing: home, Paid: true, Delivery: "4.95",
		DiscountCode: "TENOFF", Discount: "1.00", TaxTitle: "VAT", TaxRate: "0.2", SourceIdentifier: "536365", Note: "ring twice\n",
		Lines: []simulator.LineSpec{
			{Variant: heart, Quantity: 6}, {Variant: red, Quantity: 3}, {Variant: green, Quantity: 2, Price: "3.395"},
			{Variant: wrap, Quantity: 3, Price: "0.055"}, {Title: "POSTAGE", SKU: "POST", Price: "18.00", Quantity: 1},
		},
	})
	do("placed", id, err)
	o, _ := s.Order(id)
	do("edited", id, s.EditOrder(id, []simulator.LineSpec{{Variant: heart, Quantity: 4, Price: "2.1"}}, at.Add(time.Minute)))
	do("units removed", id, s.RemoveUnits(id, o.Lines[1].ID, 1, at.Add(2*time.Minute)))
	do("part shipped", id, s.Fulfil(id, simulator.FulfilSpec{Lines: []simulator.FulfilLineSpec{{Line: o.Lines[0].ID, Quantity: 4}}}))
	_, err = s.Refund(id, simulator.RefundSpec{At: at.AddDate(0, 1, 0), Note: "C536379", Shipping: "1.00", Lines: []simulator.RefundLineSpec{
		{Line: o.Lines[0].ID, Quantity: 2, Restock: "return"}, {Line: o.Lines[2].ID, Quantity: 1, Restock: "cancel"}, {Line: o.Lines[3].ID, Quantity: 1},
	}})
	do("refunded", id, err)
	do("all shipped", id, s.Fulfil(id, simulator.FulfilSpec{}))
	bare, err := s.PlaceOrder(simulator.OrderSpec{Test: true, Lines: []simulator.LineSpec{{Variant: red, Quantity: 1}}})
	do("bare", bare, err)
	do("cancelled", bare, s.Cancel(bare, "customer", true, time.Time{}))
	many, err := s.PlaceOrder(simulator.OrderSpec{Lines: manyLines(p, 260)})
	do("many lines", many, err)
	do("many shipped", many, s.Fulfil(many, simulator.FulfilSpec{}))
	truth, _ := s.Order(many)
	var back []simulator.RefundLineSpec
	for _, l := range truth.Lines {
		back = append(back, simulator.RefundLineSpec{Line: l.ID, Quantity: 1, Restock: "return"})
	}
	_, err = s.Refund(many, simulator.RefundSpec{Lines: back})
	do("many refunded", many, err)
	do("product gone", many, s.DeleteProduct(p[1].ID))
	do("touched", many, s.EditOrder(many, []simulator.LineSpec{{Variant: heart, Quantity: 1}}, time.Time{}))
}

func manyLines(p []simulator.Product, n int) []simulator.LineSpec {
	lines := make([]simulator.LineSpec, n)
	for i := range lines {
		lines[i] = simulator.LineSpec{Variant: p[i%2].Variants[0], Quantity: int64(i%5 + 1)}
	}
	return lines
}

// The same change seen by webhook and by poll gives byte-equal facts.
func TestWebhookAndPollGiveTheSameOrder(t *testing.T) {
	for _, lean := range []bool{false, true} {
		s := open(t, simulator.Config{Lean: lean}, nil)
		s.subscribe(t)
		seen := 0
		history(t, s, func(step string, id int64) {
			byWebhook := map[string]*event.Order{}
			for _, d := range s.deliveries(t) {
				raws, err := s.conn.Receive.Receive(t.Context(), &d)
				if err != nil {
					t.Fatalf("%s: %v", step, err)
				}
				for _, raw := range raws {
					facts, err := s.conn.Translate.Translate(s.record(raw))
					if err != nil {
						t.Fatalf("%s: %v", step, err)
					}
					for _, o := range facts.Orders {
						byWebhook[o.Id] = o
					}
				}
			}
			polled, _ := s.poll(t, connectors.Orders, connectors.PollRequest{})
			for _, raw := range polled {
				facts, err := s.conn.Translate.Translate(s.record(raw))
				if err != nil {
					t.Fatalf("%s: %v", step, err)
				}
				want, ok := byWebhook[facts.Orders[0].Id]
				if !ok {
					continue
				}
				seen++
				if diff := cmp.Diff(want, facts.Orders[0], protocmp.Transform()); diff != "" {
					t.Errorf("%s: webhook and poll differ (-webhook +poll):\n%s", step, diff)
				}
				a, _ := want.MarshalVTStrict()
				b, _ := facts.Orders[0].MarshalVTStrict()
				if !bytes.Equal(a, b) {
					t.Errorf("%s: the bytes differ", step)
				}
			}
			s.clock.Add(time.Minute)
		})
		if seen < 12 {
			t.Errorf("only %d changes were compared", seen)
		}
	}
}

// What the translator says is what the shop knows.
func TestOrderIsTheShopsTruth(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	history(t, s, func(step string, id int64) {
		polled, _ := s.poll(t, connectors.Orders, connectors.PollRequest{})
		for _, raw := range polled {
			facts, err := s.conn.Translate.Translate(s.record(raw))
			if err != nil {
				t.Fatal(err)
			}
			got := facts.Orders[0]
			if got.Id != raw.Object {
				t.Fatalf("%s: record %s holds order %s", step, raw.Object, got.Id)
			}
			want := truthOf(s, got.Id)
			if got.Total.Minor != want.Total || got.Subtotal.Minor != want.Subtotal {
				t.Errorf("%s: order %s: total %d, subtotal %d; want %d, %d", step, got.Id, got.Total.Minor, got.Subtotal.Minor, want.Total, want.Subtotal)
			}
			if len(got.Lines) != len(want.Lines) {
				t.Fatalf("%s: order %s has %d lines, want %d", step, got.Id, len(got.Lines), len(want.Lines))
			}
			refunded := map[string]int64{}
			for _, r := range got.Refunds {
				for _, l := range r.Lines {
					refunded[l.OrderLineId] += l.Quantity
				}
			}
			for i, l := range want.Lines {
				g := got.Lines[i]
				type figures struct{ Quantity, Fulfilled, Removed, Refunded, Total int64 }
				w := figures{l.Quantity, l.Fulfilled, l.Quantity - l.Current - l.Refunded, l.Refunded, l.Total}
				if diff := cmp.Diff(w, figures{g.Quantity, g.Fulfilled, g.Removed, refunded[g.Id], g.Total.Minor}); diff != "" {
					t.Errorf("%s: order %s line %d (-want +got):\n%s", step, got.Id, i, diff)
				}
			}
		}
		s.clock.Add(time.Minute)
	})
}

func truthOf(s *shop, id string) simulator.Order {
	for o := range s.Orders() {
		if stringID(o.ID) == id {
			return o
		}
	}
	return simulator.Order{}
}
