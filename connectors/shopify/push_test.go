package shopify

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/shopify/simulator"
	"github.com/helloword/crossdock/schemas/event"
)

func TestIdempotencyKey(t *testing.T) {
	five := int64(5)
	w := connectors.StockWrite{ListingID: "1", StockID: "2", Location: "3", Quantity: 4, CommandID: "c"}
	key := func(attempt int, writes ...connectors.StockWrite) string {
		sent := make([]int, len(writes))
		for i := range sent {
			sent[i] = i
		}
		return idempotencyKey(writes, sent, attempt)
	}
	// Pinned: a new release must find the keys of the one before.
	if got, want := key(0, w), "a0ec1134-8f3d-56f0-b274-95279d5f52b5"; got != want {
		t.Errorf("key %s, want %s", got, want)
	}
	other, compared := w, w
	other.CommandID, compared.Expected = "d", &five
	seen := map[string]string{}
	for name, k := range map[string]string{
		"one": key(0, w), "the next of the chain": key(1, w), "another command": key(0, other), "compared": key(0, compared), "two": key(0, w, other), "two turned": key(0, other, w),
	} {
		if before, ok := seen[k]; ok {
			t.Errorf("%s and %s have the same key", name, before)
		}
		seen[k] = name
	}
}

// The very same write, refused as stale, may be right later: its burnt key does not stand in
// its way.
func TestBurntKeyIsLeftBehind(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	p := stocked(s)
	nine := int64(9)
	w := connectors.StockWrite{ListingID: stringID(p[0].Variants[0]), StockID: stringID(p[0].Items[0]), Quantity: 3, Expected: &nine, CommandID: "c"}
	for i, want := range []event.Outcome{event.Outcome_OUTCOME_REFUSED, event.Outcome_OUTCOME_ACCEPTED} {
		if i == 1 {
			if err := s.SetStock(p[0].Variants[0], 9); err != nil {
				t.Fatal(err)
			}
		}
		results, err := s.conn.Stock.PushStock(t.Context(), []connectors.StockWrite{w})
		if err != nil || results[0].Outcome != want {
			t.Fatalf("attempt %d: %+v, %v, want %s", i+1, results, err, want)
		}
	}
}

func TestBatches(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	var writes []connectors.StockWrite
	for i := range 250 {
		p := s.AddProduct(simulator.ProductSpec{Title: "P", Variants: []simulator.VariantSpec{{SKU: "P", Price: "1", Tracked: true}}})
		writes = append(writes, connectors.StockWrite{ListingID: stringID(p.Variants[0]), StockID: stringID(p.Items[0]), Quantity: int64(i), CommandID: fmt.Sprint(i)})
	}
	results, err := s.conn.Stock.PushStock(t.Context(), writes)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if r.Outcome != event.Outcome_OUTCOME_ACCEPTED {
			t.Fatalf("write %d: %+v", i, r)
		}
	}
	if got := s.Stats().PushesAccepted; got != 250 {
		t.Errorf("%d writes arrived", got)
	}
	if _, err := s.conn.Stock.PushStock(t.Context(), append(writes, writes[0])); err == nil {
		t.Error("251 writes were taken")
	}
	// Listings without a stock item, and the same item twice, do not spoil the rest.
	few := []connectors.StockWrite{writes[3], {ListingID: "9", CommandID: "x"}, writes[3], writes[4]}
	few[0].Quantity, few[3].Quantity = 77, 78
	results, err = s.conn.Stock.PushStock(t.Context(), few)
	if err != nil {
		t.Fatal(err)
	}
	want := []event.Outcome{event.Outcome_OUTCOME_ACCEPTED, event.Outcome_OUTCOME_REFUSED, event.Outcome_OUTCOME_NOT_SENT, event.Outcome_OUTCOME_ACCEPTED}
	for i, r := range results {
		if r.Outcome != want[i] {
			t.Errorf("write %d: %+v, want %s", i, r, want[i])
		}
	}
	// By listing alone, without the stock item.
	shown, err := s.conn.Stock.ReadStock(t.Context(), []connectors.StockRef{{ListingID: writes[3].ListingID}, {ListingID: writes[4].ListingID, StockID: writes[4].StockID}})
	if err != nil || *shown[0] != 77 || *shown[1] != 78 {
		t.Errorf("read back %v, %v", shown, err)
	}
}

func TestCheck(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	for _, r := range s.check(t, s.conn) {
		if !r.OK || r.Advice != "" {
			t.Errorf("all is well, and yet %+v", r)
		}
	}
	s = open(t, simulator.Config{Scopes: []string{"write_orders", "write_products", "write_inventory", "read_locations", "write_merchant_managed_fulfillment_orders"}, Currency: "EUR"}, func(c *Config) {
		c.APIVersion, c.Currency, c.LocationID = "2026-07", "GBP", "7"
	})
	bad := map[string]string{}
	for _, r := range s.check(t, s.conn) {
		if !r.OK {
			bad[r.Subject] = r.Advice
		}
	}
	for subject, advice := range map[string]string{"API version 2026-07": "2026-10", "currency GBP": "EUR", "scope read_customers": "read_customers", "location": "location_id"} {
		if !strings.Contains(bad[subject], advice) {
			t.Errorf("%s: advice %q, want it to name %s", subject, bad[subject], advice)
		}
		delete(bad, subject)
	}
	if len(bad) > 0 {
		t.Errorf("and also %v", bad) // write_inventory includes read_inventory
	}
}

func TestEnsureWebhooks(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	address := s.listen(t)
	for range 2 {
		if err := s.conn.Webhooks.EnsureWebhooks(t.Context(), address); err != nil {
			t.Fatal(err)
		}
		if got, want := s.Subscriptions(), len(topics()); got != want {
			t.Errorf("%d subscriptions, want %d", got, want)
		}
	}
	// The same path on another host: we moved.
	moved := s.listen(t)
	if err := s.conn.Webhooks.EnsureWebhooks(t.Context(), moved); err != nil {
		t.Fatal(err)
	}
	if got, want := s.Subscriptions(), len(topics()); got != want {
		t.Errorf("%d subscriptions after the move, want %d", got, want)
	}
	if err := s.conn.Webhooks.EnsureWebhooks(t.Context(), "http://shop.example/"); err == nil {
		t.Error("an address without TLS was taken")
	}
	if err := s.conn.Webhooks.EnsureWebhooks(t.Context(), "no address"); err == nil {
		t.Error("an address that is none was taken")
	}
}

// The largest order of a wholesaler, and one that changes while it is read.
func TestOrderOfManyPages(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	p := stocked(s)
	id, err := s.PlaceOrder(simulator.OrderSpec{Lines: manyLines(p, 1114)})
	if err != nil {
		t.Fatal(err)
	}
	raws, _ := s.poll(t, connectors.Orders, connectors.PollRequest{})
	facts, err := s.conn.Translate.Translate(s.record(raws[0]))
	if err != nil || len(facts.Orders[0].Lines) != 1114 {
		t.Fatalf("%d lines, %v", len(facts.Orders[0].Lines), err)
	}
	// The simulator changes the order when the second page is asked for.
	edits := 0
	changing := httptest.NewServer(before(s.Simulator, docOrderLines.name, func() {
		if edits < 2 {
			edits++
			s.clock.Add(time.Second)
			if err := s.EditOrder(id, []simulator.LineSpec{{Variant: p[0].Variants[0], Quantity: 1}}, time.Time{}); err != nil {
				t.Error(err)
			}
		}
	}))
	defer changing.Close()
	s.cfg.TestBaseURL = changing.URL
	s.conn = s.again(t)
	raws, _ = s.poll(t, connectors.Orders, connectors.PollRequest{})
	facts, err = s.conn.Translate.Translate(s.record(raws[0]))
	if err != nil || len(facts.Orders[0].Lines) != 1116 || edits != 2 {
		t.Errorf("%d lines after %d edits, %v; want one state of the order", len(facts.Orders[0].Lines), edits, err)
	}
}
