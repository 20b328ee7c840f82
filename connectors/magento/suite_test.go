package magento

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/connectortest"
	"github.com/helloword/crossdock/connectors/magento/simulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// polled is the records below testdata/records; a file's name begins with its format.
func polled(t testing.TB) []connectortest.Record {
	t.Helper()
	paths, err := filepath.Glob("testdata/records/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no recorded records: %v", err)
	}
	var all []connectortest.Record
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		kind, _, _ := strings.Cut(name, "-")
		all = append(all, connectortest.Record{Name: name, Record: connectors.Record{Account: "golden", Object: name, Format: "rest/" + kind, Body: body}})
	}
	return all
}

func TestSuite(t *testing.T) {
	s := open(t, simulator.Config{}, func(c *Config) {
		// Small pages and few of them: every seam is crossed.
		c.PageSize, c.MaxPages = 7, 3
	})
	connectortest.Run(t, connectortest.Suite{
		Connector: s.conn,
		Can:       capabilities,
		Records:   polled(t),
		Golden:    "testdata/golden",
		Polls:     []connectortest.PollWorld{orderWorld(t, s), productWorld(t, s), levelWorld(t, s)},
		Push:      pushWorld(s),
	})
}

// capabilities of a connection, in the order in which they are told.
var capabilities = []string{"check", "authorize", "poll:inventory", "poll:orders", "poll:products", "translate", "stock", "price", "fulfilment", "cancel", "refund"}

func world(s *shop, w connectortest.PollWorld) connectortest.PollWorld {
	w.Advance = s.clock.Add
	// Pages always drift, as Magento's do.
	w.Drift = func(bool) {}
	return w
}

// orderWorld changes orders in all the ways that move another clock: the order's own, and
// those of its shipments and credit memos.
func orderWorld(t *testing.T, s *shop) connectortest.PollWorld {
	p := stocked(s)
	var ids []int64
	version := func(id int64) string {
		o, _ := s.Order(id)
		shipped, refunded := int64(0), int64(0)
		for _, l := range o.Lines {
			shipped += l.Fulfilled
		}
		for _, r := range o.Refunds {
			refunded += r.Units
		}
		return fmt.Sprintf("%d shipped, %d refunded", shipped, refunded)
	}
	return world(s, connectortest.PollWorld{
		Subject: connectors.Orders,
		Change: func(n int) (string, string) {
			var id int64
			if len(ids) == 0 || n%3 == 0 {
				var err error
				id, err = s.PlaceOrder(simulator.OrderSpec{Paid: true, Lines: []simulator.LineSpec{{Variant: p[n%2].Variants[0], Quantity: 1000}}})
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, id)
				return stringID(id), version(id)
			}
			id = ids[n/3%len(ids)]
			o, _ := s.Order(id)
			line := o.Lines[0].ID
			var err error
			if n%2 == 0 {
				err = s.Fulfil(id, simulator.FulfilSpec{Lines: []simulator.FulfilLineSpec{{Line: line, Quantity: 1}}})
			} else {
				_, err = s.Refund(id, simulator.RefundSpec{Lines: []simulator.RefundLineSpec{{Line: line, Quantity: 1}}})
			}
			if err != nil {
				t.Fatal(err)
			}
			return stringID(id), version(id)
		},
		Version: func(raw connectors.Raw) string {
			facts, err := s.conn.Translate.Translate(s.record(raw))
			if err != nil {
				t.Error(err)
				return ""
			}
			o, refunded := facts.Orders[0], int64(0)
			for _, r := range o.Refunds {
				for _, l := range r.Lines {
					refunded += l.Quantity
				}
			}
			return fmt.Sprintf("%d shipped, %d refunded", o.Lines[0].Fulfilled, refunded)
		},
	})
}

func productWorld(t *testing.T, s *shop) connectortest.PollWorld {
	var ids []int64
	n := 0
	return world(s, connectortest.PollWorld{
		Subject: connectors.Products,
		Change: func(choose int) (string, string) {
			n++
			title := fmt.Sprintf("title %d", n)
			if len(ids) == 0 || choose%3 == 0 {
				id := s.AddProduct(simulator.ProductSpec{Title: title, Variants: []simulator.VariantSpec{{SKU: fmt.Sprintf("NEW-%d", n), Price: "1.00", Tracked: true}}}).ID
				ids = append(ids, id)
				return stringID(id), title
			}
			id := ids[choose/3%len(ids)]
			if err := s.UpdateProduct(id, title, "2.00"); err != nil {
				t.Fatal(err)
			}
			return stringID(id), title
		},
		Version: func(raw connectors.Raw) string {
			facts, err := s.conn.Translate.Translate(s.record(raw))
			if err != nil {
				t.Error(err)
				return ""
			}
			return facts.Products[0].Title
		},
	})
}

func levelWorld(t *testing.T, s *shop) connectortest.PollWorld {
	var variants []int64
	var skus []string
	for i := range 40 {
		sku := fmt.Sprintf("LEVEL, %d", i)
		p := s.AddProduct(simulator.ProductSpec{Title: "Level", Variants: []simulator.VariantSpec{{SKU: sku, Price: "1.00", Tracked: true}}})
		variants, skus = append(variants, p.Variants[0]), append(skus, sku)
	}
	quantity := int64(0)
	return world(s, connectortest.PollWorld{
		Subject: connectors.Inventory,
		Change: func(n int) (string, string) {
			quantity++
			i := n % len(variants)
			if err := s.SetStock(variants[i], quantity); err != nil {
				t.Fatal(err)
			}
			return skus[i], fmt.Sprint(quantity)
		},
		Version: func(raw connectors.Raw) string {
			facts, err := s.conn.Translate.Translate(s.record(raw))
			if err != nil {
				t.Error(err)
				return ""
			}
			return fmt.Sprint(facts.Observations[0].Shown)
		},
	})
}

func pushWorld(s *shop) *connectortest.PushWorld {
	w := &connectortest.PushWorld{
		Missing:       connectors.StockWrite{ListingID: "999999", StockID: "NOBODY", SKU: "P"},
		CompareAndSet: true,
		Effects:       func() int64 { return s.Stats().PushesAccepted },
		Fault: func(name string) {
			s.SetFaults(map[string]simulator.Faults{
				"refuse": {Refuse: 1}, "after": {FailAfter: 1}, "throttle": {Throttle: 1}, "outage": {Outage: true},
			}[name])
		},
	}
	byListing := map[string]int64{}
	for i := range 3 {
		p := s.AddProduct(simulator.ProductSpec{Title: "Pushed", Variants: []simulator.VariantSpec{{SKU: fmt.Sprintf("P-%d", i), Price: "1.00", Tracked: true, Available: 3}}})
		w.Writes = append(w.Writes, connectors.StockWrite{ListingID: stringID(p.ID), StockID: fmt.Sprintf("P-%d", i), SKU: "P"})
		byListing[stringID(p.ID)] = p.ID
		// Open orders reserve: what is shown is not what lies in the source.
		if _, err := s.PlaceOrder(simulator.OrderSpec{At: time.Unix(1, 0), Lines: []simulator.LineSpec{{Variant: p.ID, Quantity: int64(i) + 1}}}); err != nil {
			panic(err)
		}
	}
	w.Shown = func(t connectors.StockWrite) int64 { return s.Available(byListing[t.ListingID]) }
	return w
}
