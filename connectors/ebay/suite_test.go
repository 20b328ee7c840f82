package ebay

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/connectortest"
	"github.com/helloword/crossdock/connectors/ebay/simulator"
)

func TestSuite(t *testing.T) {
	s := open(t, simulator.Config{}, func(c *Config) {
		// Small pages and few of them: every seam is crossed.
		c.PageSize, c.MaxPages, c.OffersRefresh = 7, 4, time.Minute
	})
	connectortest.Run(t, connectortest.Suite{
		Connector:  s.conn,
		Can:        []string{"check", "authorize", "receive", "challenge", "poll:inventory", "poll:orders", "poll:products", "translate", "webhooks", "stock", "price", "fulfilment", "cancel", "refund"},
		Deliveries: notifications(t, s),
		Signatures: []string{signatureHeader},
		Records:    records(t),
		Golden:     "testdata/golden",
		Polls:      []connectortest.PollWorld{orderWorld(t, s), itemWorld(t, s, connectors.Products), itemWorld(t, s, connectors.Inventory)},
		Push:       pushWorld(s),
	})
}

// notifications is one delivery of each topic, as the simulator sends them.
func notifications(t *testing.T, s *shop) (all []connectortest.Delivery) {
	t.Helper()
	if err := s.conn.Webhooks.EnsureWebhooks(context.Background(), s.cfg.Endpoint); err != nil {
		t.Fatal(err)
	}
	p := s.AddProduct(simulator.ProductSpec{Title: "Told", Variants: []simulator.VariantSpec{{SKU: "TOLD", Price: "1.00", Available: 5}}})
	id, err := s.PlaceOrder(simulator.OrderSpec{Lines: []simulator.LineSpec{{Variant: p.Variants[0], Quantity: 1}}, Paid: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Fulfil(id, simulator.FulfilSpec{}); err != nil {
		t.Fatal(err)
	}
	s.DeleteAccount("gone_user", "ma8vp1jySJC")
	sent := s.deliveries(t)
	// Two may overtake each other on the way here.
	slices.SortFunc(sent, func(a, b connectors.Delivery) int { return cmp.Compare(notificationID(a), notificationID(b)) })
	for _, d := range sent {
		all = append(all, connectortest.Delivery{Name: fmt.Sprintf("notification-%d", len(all)), Delivery: d})
	}
	if len(all) != 3 {
		t.Fatalf("%d notifications, want 3", len(all))
	}
	return all
}

// notificationID is what the simulator counts its notifications by.
func notificationID(d connectors.Delivery) string {
	_, rest, _ := strings.Cut(string(d.Body), `"notificationId":"`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

func world(s *shop, w connectortest.PollWorld) connectortest.PollWorld {
	w.Advance = s.clock.Add
	w.Drift = func(bool) {} // orders leave the window, and move the others, by themselves
	return w
}

func orderWorld(t *testing.T, s *shop) connectortest.PollWorld {
	s.AddProduct(simulator.ProductSpec{Title: "Sold", Variants: []simulator.VariantSpec{{SKU: "SOLD", Price: "1.00", Available: 1e6}}})
	var ids []string
	shipped := map[string]int{}
	change := func(n int) (string, string) {
		if len(ids) == 0 || n%3 == 0 {
			id, err := s.PlaceOrder(simulator.OrderSpec{Lines: []simulator.LineSpec{{Variant: "SOLD", Quantity: 1000}}, Paid: true})
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
			return id, "0 shipped"
		}
		id := ids[n/3%len(ids)]
		o, _ := s.Order(id)
		if err := s.Fulfil(id, simulator.FulfilSpec{Lines: []simulator.FulfilLineSpec{{Line: o.Lines[0].ID, Quantity: 1}}}); err != nil {
			t.Fatal(err)
		}
		shipped[id]++
		return id, fmt.Sprintf("%d shipped", shipped[id])
	}
	return world(s, connectortest.PollWorld{
		Subject: connectors.Orders,
		Change:  change,
		Late: func(n int) (string, string) {
			s.SetFaults(simulator.Faults{Backdate: time.Minute})
			defer s.SetFaults(simulator.Faults{})
			return change(n)
		},
		Version: func(raw connectors.Raw) string {
			facts, err := s.conn.Translate.Translate(s.record(raw))
			if err != nil {
				t.Error(err)
				return ""
			}
			return fmt.Sprintf("%d shipped", facts.Orders[0].Lines[0].Fulfilled)
		},
	})
}

// itemWorld changes titles for products and quantities for what is shown.
func itemWorld(t *testing.T, s *shop, subject connectors.Subject) connectortest.PollWorld {
	var ids []string
	n := 0
	return world(s, connectortest.PollWorld{
		Subject: subject,
		Change: func(choose int) (string, string) {
			n++
			if len(ids) == 0 || choose%3 == 0 {
				sku := fmt.Sprintf("%s-%d", subject, n)
				p := s.AddProduct(simulator.ProductSpec{Title: fmt.Sprint(n), Variants: []simulator.VariantSpec{{SKU: sku, Price: "1.00", Available: int64(n)}}})
				ids = append(ids, p.ID+" "+sku)
				return sku, fmt.Sprint(n)
			}
			var product, sku string
			if _, err := fmt.Sscan(ids[choose/3%len(ids)], &product, &sku); err != nil {
				t.Fatal(err)
			}
			err := s.SetStock(sku, int64(n))
			if subject == connectors.Products {
				err = s.UpdateProduct(product, fmt.Sprint(n), "2.00")
			}
			if err != nil {
				t.Fatal(err)
			}
			return sku, fmt.Sprint(n)
		},
		Version: func(raw connectors.Raw) string {
			facts, err := s.conn.Translate.Translate(s.record(raw))
			if err != nil {
				t.Error(err)
				return ""
			}
			if subject == connectors.Products {
				return facts.Products[0].Title
			}
			return fmt.Sprint(facts.Observations[0].Shown)
		},
	})
}

func pushWorld(s *shop) *connectortest.PushWorld {
	target := func(sku string) connectors.StockWrite {
		return connectors.StockWrite{ListingID: sku, StockID: sku, SKU: "P"}
	}
	w := &connectortest.PushWorld{
		Missing: target("no such SKU"),
		// What was set to what it shows already is no effect: there is no key to tell a
		// repetition by, and a write is absolute.
		Effects: func() int64 { return s.Stats().PushesAccepted },
		Fault: func(name string) {
			s.SetFaults(map[string]simulator.Faults{
				"refuse": {Refuse: 1}, "after": {FailAfter: 1}, "throttle": {Throttle: 1}, "outage": {Outage: true},
			}[name])
		},
	}
	for i := range 3 {
		sku := fmt.Sprint("PUSHED-", i)
		s.AddProduct(simulator.ProductSpec{Title: "Pushed", Variants: []simulator.VariantSpec{{SKU: sku, Price: "1.00", Available: 3}}})
		w.Writes = append(w.Writes, target(sku))
	}
	w.Shown = func(t connectors.StockWrite) int64 { return s.Available(t.StockID) }
	return w
}
