package amazon

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/amazon/simulator"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// everything makes a connection call each operation that it can, in all the shapes that it
// has, and says which operations were called.
func everything(t *testing.T, c *contract) map[string]bool {
	t.Helper()
	s := open(t, simulator.Config{}, func(cfg *Config) {
		cfg.PageSize, cfg.FBA, cfg.ReportEvery = 2, true, time.Hour
	})
	called := map[string]bool{}
	checked := c.contracted(t, s.Simulator)
	s.between = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		checked.ServeHTTP(w, r)
		if op, err := c.check(r, nil, nil); op != "" || err == nil {
			called[op] = true
		}
	})
	ctx := context.Background()
	stocked(s)
	s.Subscribe()
	for range 5 {
		s.place(t, "85123A", 1, true)
	}
	s.place(t, "MUG/red 1", 1, false)
	partly := s.place(t, "MUG/red 1", 3, true)
	o, _ := s.Order(partly)
	if err := s.RemoveUnits(partly, o.Lines[0].ID, 1, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Fulfil(partly, simulator.FulfilSpec{Lines: []simulator.FulfilLineSpec{{Line: o.Lines[0].ID, Quantity: 1}}}); err != nil {
		t.Fatal(err)
	}
	gone := s.place(t, "MUG-FBA", 1, true)
	if err := s.RequestCancel(gone, "changed mind"); err != nil {
		t.Fatal(err)
	}
	if err := s.Cancel(gone, "BuyerCanceled", true, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PlaceOrder(simulator.OrderSpec{
		Name: "SO-1", Customer: buyer, Shipping: home, Paid: true, Delivery: "3.00", DiscountCode: "AUTUMN", Discount: "1.01", TaxRate: "0.2",
		Lines: []simulator.LineSpec{{SKU: "85123A", Quantity: 2}, {SKU: "MUG/red 1", Quantity: 1}},
	}); err != nil {
		t.Fatal(err)
	}
	s.clock.Add(10 * time.Minute)
	cursors := map[connectors.Subject]connectors.PollRequest{}
	for range 4 { // the report is made step by step
		for _, subject := range []connectors.Subject{connectors.Orders, connectors.Products, connectors.Inventory} {
			raws, res := s.poll(t, subject, connectors.PollRequest{Cursor: cursors[subject].Cursor, Overlap: time.Minute, Settle: time.Second})
			cursors[subject] = connectors.PollRequest{Cursor: res.Cursor}
			for _, raw := range raws {
				s.translate(t, raw)
			}
		}
		s.clock.Add(time.Hour)
	}
	writes := []connectors.StockWrite{{ListingID: "85123A", StockID: "85123A", Quantity: 5}, {ListingID: "MUG/red 1", Quantity: 0}, {ListingID: "none", Quantity: 1}}
	if _, err := s.conn.Stock.PushStock(ctx, writes); err != nil {
		t.Error(err)
	}
	if _, err := s.conn.Stock.ReadStock(ctx, []connectors.StockRef{{ListingID: "85123A"}, {StockID: "a,b"}}); err != nil {
		t.Error(err)
	}
	prices := []connectors.PriceWrite{{ListingID: "85123A", Price: &event.Money{Minor: 1205, Currency: "GBP"}}}
	if results, err := s.conn.Price.PushPrice(ctx, prices); err != nil || results[0].Outcome != event.Outcome_OUTCOME_ACCEPTED {
		t.Errorf("pushing a price: %v, %v", results, err)
	}
	paid := s.place(t, "85123A", 2, true)
	for _, w := range []connectors.FulfilmentWrite{
		{OrderID: paid, CarrierCode: "dhl", Tracking: "T1", CommandID: "c1"},
		{OrderID: s.place(t, "85123A", 2, true), CarrierName: "Bike & Sons", Tracking: "T2", CommandID: "c2"},
	} {
		if result, err := s.conn.Fulfilment.PushFulfilment(ctx, w); err != nil || result.Outcome != event.Outcome_OUTCOME_ACCEPTED {
			t.Errorf("confirming a shipment: %v, %v", result, err)
		}
	}
	refundAndCancel(t, s, paid)
	s.Unsubscribe()
	for range 2 {
		if err := s.conn.Webhooks.EnsureWebhooks(ctx, ""); err != nil {
			t.Error(err)
		}
	}
	// A subscription to another queue is turned to ours.
	elsewhere := s.cfg
	elsewhere.QueueURL = s.server.URL + "/123456789012/elsewhere"
	other, err := New(elsewhere, schemas.Test, s.deps)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Webhooks.EnsureWebhooks(ctx, ""); err != nil {
		t.Error(err)
	}
	if err := s.conn.Webhooks.EnsureWebhooks(ctx, ""); err != nil {
		t.Error(err)
	}
	checks, err := s.conn.Check.Check(ctx)
	if err != nil {
		t.Error(err)
	}
	for _, r := range checks {
		if !r.OK || r.Advice != "" {
			t.Errorf("check %s: %s: %s", r.Subject, r.Detail, r.Advice)
		}
	}
	return called
}

// refundAndCancel refunds of a shipped order, once with a lost answer, so that the feed is looked
// for, and cancels another one.
func refundAndCancel(t *testing.T, s *seller, shipped string) {
	t.Helper()
	o, _ := s.Order(shipped)
	s.SetFaults(simulator.Faults{FailAfter: 1})
	first := connectors.RefundWrite{OrderID: shipped, CommandID: "r1", Amount: &event.Money{Minor: 100, Currency: "GBP"}}
	if r := s.refund(t, first); r.Outcome != event.Outcome_OUTCOME_UNKNOWN {
		t.Errorf("a refund whose answer is lost: %v", r)
	}
	s.SetFaults(simulator.Faults{})
	second := connectors.RefundWrite{OrderID: shipped, CommandID: "r2", Lines: []connectors.LineQuantity{{LineID: o.Lines[0].ID, Quantity: 1}}}
	for _, w := range []connectors.RefundWrite{first, second} {
		if r := s.settled(t, func() connectors.Result { return s.refund(t, w) }); r.Outcome != event.Outcome_OUTCOME_ACCEPTED {
			t.Errorf("refund %s: %v", w.CommandID, r)
		}
	}
	w := connectors.CancelWrite{OrderID: s.place(t, "85123A", 2, true), CommandID: "c1", Reason: "customer", Restock: true}
	if r := s.settled(t, func() connectors.Result { return s.cancel(t, w) }); r.Outcome != event.Outcome_OUTCOME_ACCEPTED {
		t.Errorf("a cancellation: %v", r)
	}
}
