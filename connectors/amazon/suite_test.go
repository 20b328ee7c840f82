package amazon

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/amazon/simulator"
	"github.com/helloword/crossdock/connectors/connectortest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// can is what a connection can do, canWithQueue what one with a queue can.
var (
	can          = []string{"check", "authorize", "poll:inventory", "poll:orders", "poll:products", "translate", "stock", "price", "fulfilment", "cancel", "refund"}
	canWithQueue = []string{"check", "authorize", "poll:inventory", "poll:orders", "poll:products", "translate", "webhooks", "stock", "price", "fulfilment", "cancel", "refund"}
)

// recorded is the records below testdata/records. The part of a name before the first "-" is
// its format.
func recorded(t testing.TB) []connectortest.Record {
	t.Helper()
	paths, err := filepath.Glob("testdata/records/*")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no recorded records: %v", err)
	}
	formats := map[string]string{
		"order": formatOrder, "listing": formatListing, "level": formatLevel, "report": formatReport, "summary": formatSummary, "notification": formatNotification,
	}
	var all []connectortest.Record
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
		kind, _, _ := strings.Cut(name, "-")
		all = append(all, connectortest.Record{Name: name, Record: connectors.Record{
			Account: "golden", Object: name, Format: formats[kind], Body: body, SourceTime: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC),
		}})
	}
	return all
}

// TestSuite is every promise of package connectors, with orders found by searchOrders alone.
func TestSuite(t *testing.T) {
	s := open(t, simulator.Config{}, func(c *Config) {
		c.QueueURL = ""
		// Small pages and few of them: every seam is crossed.
		c.PageSize, c.MaxPages, c.FBA = 7, 3, true
	})
	connectortest.Run(t, connectortest.Suite{
		Connector: s.conn,
		Can:       can,
		Records:   recorded(t),
		Golden:    "testdata/golden",
		Polls:     []connectortest.PollWorld{orderWorld(t, s, 30), productWorld(t, s), levelWorld(t, s)},
		Push:      pushWorld(s),
	})
}

// TestSuiteWithQueue is the same with notifications, half of which are lost, late or there
// twice, and with some that cannot be deleted.
func TestSuiteWithQueue(t *testing.T) {
	s := open(t, simulator.Config{Seed: 3}, func(c *Config) {
		c.PageSize, c.MaxPages, c.QueueMessages, c.ReconcileEvery = 7, 3, 15, 3*time.Minute
	})
	s.Subscribe(simulator.OrderChange)
	w := orderWorld(t, s, 30)
	w.Drift = func(on bool) {
		s.SetFaults(simulator.Faults{PageDrift: on, Drop: 0.2, Duplicate: 0.2, Late: 0.2, LateBy: time.Minute, Undeletable: 0.1})
	}
	connectortest.Run(t, connectortest.Suite{
		Connector: s.conn, Can: canWithQueue, Push: pushWorld(s),
		Polls: []connectortest.PollWorld{w, productWorld(t, s), levelWorld(t, s)},
	})
}

// orderWorld is orders that are placed, paid, shipped and cancelled. Time goes faster by a
// factor: Amazon leaves the last two minutes out of its list.
func orderWorld(t *testing.T, s *seller, faster int) connectortest.PollWorld {
	stocked(s)
	var ids []string
	version := func(id string) string {
		o, _ := s.Order(id)
		return fmt.Sprintf("%s %d", o.Status, o.Lines[0].Removed)
	}
	return connectortest.PollWorld{
		Subject: connectors.Orders,
		Advance: func(d time.Duration) { s.clock.Add(time.Duration(int(d) * faster)) },
		Drift:   func(on bool) { s.SetFaults(simulator.Faults{PageDrift: on}) },
		Change: func(n int) (string, string) {
			if len(ids) > 0 && n%3 > 0 {
				id := ids[n/3%len(ids)]
				o, _ := s.Order(id)
				l := o.Lines[0]
				var err error
				switch {
				case o.Status == "PENDING":
					err = s.Pay(id)
				case n%5 == 0 && o.Status == "UNSHIPPED":
					err = s.Cancel(id, "NoInventory", true, time.Time{})
				case n%2 == 0 && o.Status == "UNSHIPPED" && l.Quantity-l.Removed > 1:
					err = s.RemoveUnits(id, l.ID, 1, time.Time{})
				case o.Status == "UNSHIPPED":
					err = s.Fulfil(id, simulator.FulfilSpec{})
				default:
					id = ""
				}
				if err != nil {
					t.Fatal(err)
				}
				if id != "" {
					return id, version(id)
				}
			}
			id := s.place(t, "85123A", 3, n%2 == 0)
			ids = append(ids, id)
			return id, version(id)
		},
		Version: func(raw connectors.Raw) string {
			facts, err := s.conn.Translate.Translate(s.record(raw))
			if err != nil {
				t.Error(err)
				return ""
			}
			var node struct {
				Fulfillment struct {
					Status string `json:"fulfillmentStatus"`
				} `json:"fulfillment"`
			}
			if err := json.Unmarshal(raw.Body, &node); err != nil {
				t.Error(err)
			}
			return fmt.Sprintf("%s %d", node.Fulfillment.Status, facts.Orders[0].Lines[0].Removed)
		},
	}
}

func productWorld(t *testing.T, s *seller) connectortest.PollWorld {
	var skus []string
	n := 0
	return connectortest.PollWorld{
		Subject: connectors.Products,
		Advance: s.clock.Add,
		Drift:   func(bool) {},
		Change: func(choose int) (string, string) {
			n++
			title := fmt.Sprintf("title %d", n)
			if len(skus) == 0 || choose%3 == 0 {
				sku := fmt.Sprintf("SKU %d/%d", choose%1000, n)
				s.AddProduct(simulator.ProductSpec{Title: title, Variants: []simulator.VariantSpec{{SKU: sku, Price: "1.00"}}})
				skus = append(skus, sku)
				return sku, title
			}
			sku := skus[choose/3%len(skus)]
			if err := s.UpdateProduct(sku, title, "2.00"); err != nil {
				t.Fatal(err)
			}
			return sku, title
		},
		Version: func(raw connectors.Raw) string {
			facts, err := s.conn.Translate.Translate(s.record(raw))
			if err != nil {
				t.Error(err)
				return ""
			}
			return facts.Products[0].Title
		},
	}
}

func levelWorld(t *testing.T, s *seller) connectortest.PollWorld {
	var skus []string
	for i := range 40 {
		sku := fmt.Sprintf("LEVEL-%d", i)
		s.AddProduct(simulator.ProductSpec{Title: "Level", Variants: []simulator.VariantSpec{{SKU: sku, Price: "1.00", FBA: s.cfg.FBA && i%2 == 0}}})
		skus = append(skus, sku)
	}
	quantity := int64(0)
	return connectortest.PollWorld{
		Subject: connectors.Inventory,
		Advance: s.clock.Add,
		Drift:   func(bool) {},
		Change: func(n int) (string, string) {
			quantity++
			sku := skus[n%len(skus)]
			if err := s.SetStock(sku, quantity); err != nil {
				t.Fatal(err)
			}
			return sku, fmt.Sprint(quantity)
		},
		Version: func(raw connectors.Raw) string {
			facts, err := s.conn.Translate.Translate(s.record(raw))
			if err != nil {
				t.Error(err)
				return ""
			}
			if len(facts.Observations) == 0 {
				return "nothing"
			}
			return fmt.Sprint(facts.Observations[0].Shown)
		},
	}
}

func pushWorld(s *seller) *connectortest.PushWorld {
	target := func(sku string) connectors.StockWrite {
		return connectors.StockWrite{ListingID: sku, StockID: sku, SKU: "P"}
	}
	w := &connectortest.PushWorld{
		Missing: target("NOT-THERE"),
		Shown:   func(t connectors.StockWrite) int64 { return s.Available(t.ListingID) },
		Effects: func() int64 { return s.Stats().PushesChanged },
		Fault: func(name string) {
			s.SetFaults(map[string]simulator.Faults{
				"refuse": {Refuse: 1}, "after": {FailAfter: 1}, "throttle": {Throttle: 1}, "outage": {Outage: true},
			}[name])
		},
	}
	for _, sku := range []string{"PUSH-1", "PUSH/2 é", "PUSH,3"} {
		s.AddProduct(simulator.ProductSpec{Title: "Pushed", Variants: []simulator.VariantSpec{{SKU: sku, Price: "1.00", Available: 3}}})
		w.Writes = append(w.Writes, target(sku))
	}
	return w
}
