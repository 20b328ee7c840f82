package woocommerce

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/woocommerce/simulator"
	"github.com/helloword/crossdock/schemas/event"
)

// history lets everything happen to orders that can happen; check is called after each step.
func history(t *testing.T, s *shop, check func(step string)) {
	t.Helper()
	p := stocked(s)
	at := time.Date(2010, 12, 1, 8, 26, 0, 0, time.UTC)
	do := func(step string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", step, err)
		}
		check(step)
	}
	heart, red, green, wrap := p[0].Variants[0], p[1].Variants[0], p[1].Variants[1], p[1].Variants[2]
	id, err := s.PlaceOrder(simulator.OrderSpec{
		Name: "536365", At: at, Customer: buyer, Shipping: home, Billing: home, Pending: true, Delivery: "4.95",
		DiscountCode: "tenoff", Discount: "1.00", TaxTitle: "USt", TaxRate: "0.19", Fee: "-0.50", Note: "ring twice\n",
		Lines: []simulator.LineSpec{
			{Variant: heart, Quantity: 6}, {Variant: red, Quantity: 3}, {Variant: green, Quantity: 2, Price: "3.395"},
			{Variant: wrap, Quantity: 3, Price: "0.055"}, {Title: "POSTAGE", SKU: "POST", Price: "18.00", Quantity: 1},
		},
	})
	do("placed", err)
	o, _ := s.Order(id)
	do("paid", s.Pay(id))
	do("edited", s.EditOrder(id, []simulator.LineSpec{{Variant: heart, Quantity: 4, Price: "2.1"}}, at))
	do("units removed", s.RemoveUnits(id, o.Lines[1].ID, 1, at))
	_, err = s.Refund(id, simulator.RefundSpec{Note: "changed their mind", Lines: []simulator.RefundLineSpec{
		{Line: o.Lines[0].ID, Quantity: 2, Restock: "cancel"}, {Line: o.Lines[3].ID, Quantity: 1},
	}})
	do("refunded before it left", err)
	do("shipped", s.Fulfil(id, simulator.FulfilSpec{}))
	_, err = s.Refund(id, simulator.RefundSpec{At: at.AddDate(0, 1, 0), Note: "C536379", Shipping: "1.00", Lines: []simulator.RefundLineSpec{
		{Line: o.Lines[0].ID, Quantity: 1, Restock: "return"}, {Line: o.Lines[2].ID, Quantity: 1, Restock: "no_restock"},
	}})
	do("refunded", err)
	bare, err := s.PlaceOrder(simulator.OrderSpec{Fee: "2.00", Lines: []simulator.LineSpec{{Variant: red, Quantity: 1}}})
	do("bare", err)
	do("cancelled", s.Cancel(bare, "customer", true, time.Time{}))
	back, err := s.PlaceOrder(simulator.OrderSpec{Paid: true, Lines: []simulator.LineSpec{{Variant: red, Quantity: 2}}})
	do("third", err)
	line, _ := s.Order(back)
	_, err = s.Refund(back, simulator.RefundSpec{Lines: []simulator.RefundLineSpec{{Line: line.Lines[0].ID, Quantity: 2, Restock: "cancel"}}})
	do("all refunded", err)
	lost, err := s.PlaceOrder(simulator.OrderSpec{Lines: []simulator.LineSpec{{Variant: red, Quantity: 1}}})
	do("fourth", err)
	do("failed", s.SetStatus(lost, "failed"))
	do("thrown away", s.TrashOrder(lost))
	do("product gone", s.DeleteProduct(p[1].ID))
	do("touched", s.EditOrder(id, []simulator.LineSpec{{Variant: heart, Quantity: 1}}, time.Time{}))
}

// The same change seen by webhook and by poll gives byte-equal facts.
func TestWebhookAndPollGiveTheSameOrder(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	s.subscribe(t)
	compared := 0
	history(t, s, func(step string) {
		byWebhook := map[string]*event.Order{}
		for _, d := range s.deliveries(t) {
			raws, err := s.conn.Receive.Receive(t.Context(), &d)
			if err != nil {
				t.Fatalf("%s: %v", step, err)
			}
			for _, raw := range raws {
				for _, o := range s.facts(t, raw).Orders {
					byWebhook[o.Id] = o
				}
			}
		}
		polled, _ := s.poll(t, connectors.Orders, connectors.PollRequest{})
		for _, raw := range polled {
			for _, got := range s.facts(t, raw).Orders {
				want, ok := byWebhook[got.Id]
				if !ok {
					continue
				}
				compared++
				if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
					t.Errorf("%s: webhook and poll differ (-webhook +poll):\n%s", step, diff)
				}
				a, _ := want.MarshalVTStrict()
				b, _ := got.MarshalVTStrict()
				if !bytes.Equal(a, b) {
					t.Errorf("%s: the bytes differ", step)
				}
			}
		}
		s.clock.Add(time.Minute)
	})
	if compared < 12 {
		t.Errorf("only %d changes were compared", compared)
	}
}

// What the translator says is what the shop knows, and what an order does to stock is what it
// did to the shop's.
func TestOrderIsTheShopsTruth(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	history(t, s, func(step string) {
		polled, _ := s.poll(t, connectors.Orders, connectors.PollRequest{})
		refunds := map[string]int64{}
		orders := map[string]*event.Order{}
		for _, raw := range polled {
			f := s.facts(t, raw)
			for _, o := range f.Orders {
				if o.Id != raw.Object {
					t.Fatalf("%s: record %s holds order %s", step, raw.Object, o.Id)
				}
				orders[o.Id] = o
			}
			for _, r := range f.Refunds {
				if r.OrderId != raw.Object {
					t.Fatalf("%s: record %s holds a refund of %s", step, raw.Object, r.OrderId)
				}
				refunds[r.Id] = r.Total.Minor
			}
		}
		for want := range s.Orders() {
			got := orders[stringID(want.ID)]
			if got == nil {
				t.Fatalf("%s: order %d was not polled", step, want.ID)
			}
			checkOrder(t, step, got, &want)
			for _, r := range want.Refunds {
				if refunds[stringID(r.ID)] != r.Total {
					t.Errorf("%s: refund %d is %d, want %d", step, r.ID, refunds[stringID(r.ID)], r.Total)
				}
			}
		}
		s.clock.Add(time.Minute)
	})
}

func checkOrder(t *testing.T, step string, got *event.Order, want *simulator.Order) {
	t.Helper()
	fees := int64(0)
	cancelled := got.Status == event.OrderStatus_ORDER_STATUS_CANCELLED
	if got.Total.Minor != want.Total || cancelled != want.Cancelled {
		t.Errorf("%s: order %s: total %d, cancelled %v; want %d, %v", step, got.Id, got.Total.Minor, cancelled, want.Total, want.Cancelled)
	}
	if sum := got.Subtotal.Minor - got.TotalDiscounts.Minor + got.TotalShipping.Minor + got.TotalTax.Minor; sum != got.Total.Minor {
		t.Errorf("%s: order %s: its parts come to %d, its total is %d", step, got.Id, sum, got.Total.Minor)
	}
	lines := got.Lines
	for len(lines) > len(want.Lines) {
		fees += lines[len(lines)-1].Total.Minor
		lines = lines[:len(lines)-1]
	}
	if len(lines) != len(want.Lines) || got.Subtotal.Minor != want.Subtotal+fees {
		t.Fatalf("%s: order %s has %d lines of %d, want %d of %d", step, got.Id, len(lines), got.Subtotal.Minor, len(want.Lines), want.Subtotal+fees)
	}
	for i, l := range want.Lines {
		g := lines[i]
		type figures struct{ Quantity, Fulfilled, Removed, Total int64 }
		w := figures{l.Quantity, l.Fulfilled, l.Quantity - l.Current, l.Total}
		if want.Cancelled {
			w.Removed = l.Quantity
		}
		if diff := cmp.Diff(w, figures{g.Quantity, g.Fulfilled, g.Removed, g.Total.Minor}); diff != "" {
			t.Errorf("%s: order %s line %d (-want +got):\n%s", step, got.Id, i, diff)
		}
		if g.Stocked != (l.Variant != 0) || l.Variant != 0 && g.ListingId != stringID(l.Variant) {
			t.Errorf("%s: order %s line %d: listing %q, stocked %v, want %d", step, got.Id, i, g.ListingId, g.Stocked, l.Variant)
		}
	}
}

// Two states of one second: the one with more refunds is the later one, whichever comes first.
func TestARefundWithinTheSecondIsLater(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	p := stocked(s)
	id, err := s.PlaceOrder(simulator.OrderSpec{Paid: true, Lines: []simulator.LineSpec{{Variant: p[0].Variants[0], Quantity: 3}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Fulfil(id, simulator.FulfilSpec{}); err != nil {
		t.Fatal(err)
	}
	before, _ := s.poll(t, connectors.Orders, connectors.PollRequest{})
	o, _ := s.Order(id)
	if _, err := s.Refund(id, simulator.RefundSpec{Lines: []simulator.RefundLineSpec{{Line: o.Lines[0].ID, Quantity: 1, Restock: "return"}}}); err != nil {
		t.Fatal(err)
	}
	after, _ := s.poll(t, connectors.Orders, connectors.PollRequest{})
	a, b := s.facts(t, before[0]).Orders[0], s.facts(t, after[0]).Orders[0]
	if b.UpdatedMs <= a.UpdatedMs || b.UpdatedMs/1000 != a.UpdatedMs/1000 {
		t.Errorf("updated %d before and %d after the refund", a.UpdatedMs, b.UpdatedMs)
	}
	if b.Lines[0].Fulfilled != 2 || b.Lines[0].Removed != 1 {
		t.Errorf("fulfilled %d, removed %d", b.Lines[0].Fulfilled, b.Lines[0].Removed)
	}
}
