package shopify

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/connectortest"
	"github.com/helloword/crossdock/connectors/shopify/simulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recordedSecret signed the deliveries below testdata.
const recordedSecret = "recorded-secret"

// recorded is the deliveries below testdata/deliveries: body and headers as they arrived.
func recorded(t testing.TB) []connectortest.Delivery {
	t.Helper()
	bodies, err := filepath.Glob("testdata/deliveries/*.body")
	if err != nil || len(bodies) == 0 {
		t.Fatalf("no recorded deliveries: %v", err)
	}
	var all []connectortest.Delivery
	for _, path := range bodies {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(path), ".body")
		text, err := os.ReadFile("testdata/deliveries/" + name + ".headers.json")
		if err != nil {
			t.Fatal(err)
		}
		var flat map[string]string
		if err := json.Unmarshal(text, &flat); err != nil {
			t.Fatal(err)
		}
		d := connectors.Delivery{Method: http.MethodPost, Header: http.Header{}, Body: body}
		for k, v := range flat {
			d.Header.Set(k, v)
		}
		at, err := time.Parse(time.RFC3339, d.Header.Get("X-Shopify-Triggered-At"))
		if err != nil {
			t.Fatal(err)
		}
		d.Received = at.Add(time.Second)
		all = append(all, connectortest.Delivery{Name: name, Delivery: d})
	}
	return all
}

// polled is the records of polls below testdata/records.
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
		kind, _, _ := strings.Cut(strings.TrimPrefix(name, "graphql_"), "-")
		all = append(all, connectortest.Record{Name: name, Record: connectors.Record{Account: "golden", Object: name, Format: "graphql/" + kind, Body: body}})
	}
	return all
}

func TestSuite(t *testing.T) {
	s := open(t, simulator.Config{ClientSecret: recordedSecret}, func(c *Config) {
		// Small pages and few of them: every seam is crossed.
		c.PageSize, c.NestedPageSize, c.MaxPages = 7, 3, 3
	})
	connectortest.Run(t, connectortest.Suite{
		Connector:  s.conn,
		Can:        []string{"check", "authorize", "embed", "receive", "poll:inventory", "poll:orders", "poll:products", "translate", "webhooks", "stock", "price", "fulfilment", "cancel", "refund"},
		Deliveries: recorded(t),
		Signatures: []string{"X-Shopify-Hmac-Sha256"},
		Records:    polled(t),
		Golden:     "testdata/golden",
		Polls:      []connectortest.PollWorld{orderWorld(t, s), productWorld(t, s), levelWorld(t, s)},
		Push:       pushWorld(s),
	})
}

func world(s *shop, w connectortest.PollWorld) connectortest.PollWorld {
	w.Advance = s.clock.Add
	w.Drift = func(on bool) { s.SetFaults(simulator.Faults{PageDrift: on}) }
	return w
}

func orderWorld(t *testing.T, s *shop) connectortest.PollWorld {
	p := stocked(s)
	var ids []int64
	lines := map[int64]int{}
	return world(s, connectortest.PollWorld{
		Subject: connectors.Orders,
		Change: func(n int) (string, string) {
			line := []simulator.LineSpec{{Variant: p[0].Variants[0], Quantity: 1}}
			if len(ids) == 0 || n%3 == 0 {
				id, err := s.PlaceOrder(simulator.OrderSpec{Lines: line})
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, id)
				lines[id] = 1
				return stringID(id), "1 lines"
			}
			id := ids[n/3%len(ids)]
			if err := s.EditOrder(id, line, time.Time{}); err != nil {
				t.Fatal(err)
			}
			lines[id]++
			return stringID(id), fmt.Sprintf("%d lines", lines[id])
		},
		Version: func(raw connectors.Raw) string {
			facts, err := s.conn.Translate.Translate(s.record(raw))
			if err != nil {
				t.Error(err)
				return ""
			}
			return fmt.Sprintf("%d lines", len(facts.Orders[0].Lines))
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
				variants := make([]simulator.VariantSpec, choose%7+1)
				for i := range variants {
					variants[i] = simulator.VariantSpec{SKU: fmt.Sprint(i), Price: "1.00", Tracked: true}
				}
				id := s.AddProduct(simulator.ProductSpec{Title: title, Variants: variants}).ID
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
	var items, variants []int64
	for range 40 {
		p := s.AddProduct(simulator.ProductSpec{Title: "Level", Variants: []simulator.VariantSpec{{SKU: "L", Price: "1.00", Tracked: true}}})
		items, variants = append(items, p.Items[0]), append(variants, p.Variants[0])
	}
	quantity := int64(0)
	return world(s, connectortest.PollWorld{
		Subject: connectors.Inventory,
		Change: func(n int) (string, string) {
			quantity++
			i := n % len(items)
			if err := s.SetStock(variants[i], quantity); err != nil {
				t.Fatal(err)
			}
			return stringID(items[i]), fmt.Sprint(quantity)
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
	target := func(variant, item int64) connectors.StockWrite {
		return connectors.StockWrite{ListingID: stringID(variant), StockID: stringID(item), SKU: "P"}
	}
	w := &connectortest.PushWorld{
		Missing:       target(1, 2),
		CompareAndSet: true,
		AllOrNothing:  true,
		Effects:       func() int64 { return s.Stats().PushesAccepted },
		Fault: func(name string) {
			s.SetFaults(map[string]simulator.Faults{
				"refuse": {Refuse: 1}, "after": {FailAfter: 1}, "throttle": {Throttle: 1}, "outage": {Outage: true},
			}[name])
		},
	}
	byListing := map[string]int64{}
	for range 3 {
		p := s.AddProduct(simulator.ProductSpec{Title: "Pushed", Variants: []simulator.VariantSpec{{SKU: "P", Price: "1.00", Tracked: true, Available: 3}}})
		w.Writes = append(w.Writes, target(p.Variants[0], p.Items[0]))
		byListing[stringID(p.Variants[0])] = p.Variants[0]
	}
	w.Shown = func(t connectors.StockWrite) int64 { return s.Available(byListing[t.ListingID]) }
	return w
}
