package woocommerce

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/connectortest"
	"github.com/helloword/crossdock/connectors/woocommerce/simulator"
)

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
		d := connectors.Delivery{Method: http.MethodPost, Header: http.Header{}, Body: body, Received: connectortest.NewClock().Now()}
		for k, v := range flat {
			d.Header.Set(k, v)
		}
		all = append(all, connectortest.Delivery{Name: name, Delivery: d})
	}
	return all
}

// polled is the records of polls below testdata/records; the part of the name before the
// first dot is the format.
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
		format, _, _ := strings.Cut(name, ".")
		all = append(all, connectortest.Record{Name: name, Record: connectors.Record{Account: "golden", Object: name, Format: "rest/" + format, Body: body}})
	}
	return all
}

func TestSuite(t *testing.T) {
	s := open(t, simulator.Config{WebhookSecret: recordedSecret}, func(c *Config) {
		// Small pages and few of them: every seam is crossed.
		c.PageSize, c.MaxPages = 7, 3
	})
	connectortest.Run(t, connectortest.Suite{
		Connector:  s.conn,
		Can:        []string{"check", "authorize", "receive", "poll:inventory", "poll:orders", "poll:products", "translate", "webhooks", "stock", "price", "fulfilment", "cancel", "refund"},
		Deliveries: recorded(t),
		Signatures: []string{"X-WC-Webhook-Signature"},
		Records:    polled(t),
		Golden:     "testdata/golden",
		Polls:      []connectortest.PollWorld{orderWorld(t, s), productWorld(t, s), stockWorld(t, s)},
		Push:       pushWorld(s),
	})
}

// world needs no switch for pages that shift: offsets always do.
func world(s *shop, w connectortest.PollWorld) connectortest.PollWorld {
	w.Advance = s.clock.Add
	w.Drift = func(bool) {}
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
			return fmt.Sprintf("%d lines", len(s.facts(t, raw).Orders[0].Lines))
		},
	})
}

func productWorld(t *testing.T, s *shop) connectortest.PollWorld {
	var products []simulator.Product
	titles := map[int64]string{}
	n := 0
	return world(s, connectortest.PollWorld{
		Subject: connectors.Products,
		Change: func(choose int) (string, string) {
			n++
			title := fmt.Sprintf("title %d", n)
			if len(products) == 0 || choose%3 == 0 {
				variants := make([]simulator.VariantSpec, choose%3+1)
				for i := range variants {
					variants[i] = simulator.VariantSpec{SKU: fmt.Sprintf("%s-%d", title, i), Price: "1.00", Tracked: true}
				}
				p := s.AddProduct(simulator.ProductSpec{Title: title, Variants: variants})
				products = append(products, p)
				titles[p.ID] = title
				return stringID(p.ID), version(title, p, s)
			}
			p := products[choose/3%len(products)]
			if choose%2 == 0 {
				// Only a variation changes.
				if err := s.UpdateVariation(p.Variants[0], title, "3.00"); err != nil {
					t.Fatal(err)
				}
			} else {
				if err := s.UpdateProduct(p.ID, title, "2.00"); err != nil {
					t.Fatal(err)
				}
				titles[p.ID] = title
			}
			return stringID(p.ID), version(titles[p.ID], p, s)
		},
		Version: func(raw connectors.Raw) string {
			f := s.facts(t, raw).Products[0]
			return fmt.Sprintf("%s: %s of %d", f.Title, f.Listings[0].PlatformSku, len(f.Listings))
		},
	})
}

// version is what a product shows by its first listing.
func version(title string, p simulator.Product, s *shop) string {
	for l := range s.Listings() {
		if l.Variant == p.Variants[0] {
			return fmt.Sprintf("%s: %s of %d", title, l.SKU, len(p.Variants))
		}
	}
	return "gone"
}

func stockWorld(t *testing.T, s *shop) connectortest.PollWorld {
	var items []string
	var variants []int64
	for range 20 {
		p := s.AddProduct(simulator.ProductSpec{Title: "Level", Variants: []simulator.VariantSpec{{SKU: "L", Price: "1.00", Tracked: true}}})
		q := s.AddProduct(simulator.ProductSpec{Title: "Levels", Variants: []simulator.VariantSpec{{SKU: "L1", Title: "a", Price: "1.00", Tracked: true}, {SKU: "L2", Title: "b", Price: "1.00", Tracked: true}}})
		items = append(append(items, p.Items...), q.Items...)
		variants = append(append(variants, p.Variants...), q.Variants...)
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
			return items[i], fmt.Sprint(quantity)
		},
		Version: func(raw connectors.Raw) string {
			f := s.facts(t, raw)
			if len(f.Observations) == 0 {
				return "keeps no stock"
			}
			if f.Observations[0].StockId != raw.Object {
				t.Errorf("record %s holds stock of %s", raw.Object, f.Observations[0].StockId)
			}
			return fmt.Sprint(f.Observations[0].Shown)
		},
	})
}

func pushWorld(s *shop) *connectortest.PushWorld {
	w := &connectortest.PushWorld{
		Missing: connectors.StockWrite{ListingID: "777", SKU: "P"},
		Effects: func() int64 { return s.Stats().PushesAccepted },
		Fault: func(name string) {
			s.SetFaults(map[string]simulator.Faults{
				"refuse": {Refuse: 1}, "after": {FailAfter: 1}, "throttle": {Throttle: 1}, "outage": {Outage: true},
			}[name])
		},
	}
	byListing := map[string]int64{}
	for i := range 3 {
		spec := simulator.ProductSpec{Title: "Pushed", Variants: []simulator.VariantSpec{{SKU: "P", Price: "1.00", Tracked: true, Available: 3}}}
		if i == 1 {
			spec.Variants[0].Title = "one"
		}
		p := s.AddProduct(spec)
		w.Writes = append(w.Writes, connectors.StockWrite{ListingID: stringID(p.Variants[0]), StockID: p.Items[0], SKU: "P"})
		byListing[stringID(p.Variants[0])] = p.Variants[0]
	}
	w.Shown = func(t connectors.StockWrite) int64 { return s.Available(byListing[t.ListingID]) }
	return w
}
