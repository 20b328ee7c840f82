package bench

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/shopify"
	"github.com/helloword/crossdock/schemas"
)

// TestBodies: what is measured is what Shopify sends, and the translator understands it.
func TestBodies(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	cfg := shopify.DefaultConfig()
	cfg.Shop, cfg.TestBaseURL, cfg.ClientID, cfg.ClientSecret, cfg.Currency = shopDomain, "http://127.0.0.1:1", "bench", "env:BENCH", "GBP"
	c, err := shopify.New(cfg, schemas.Test, connectors.Deps{
		Account: account, Log: slog.New(slog.DiscardHandler), Now: time.Now, HTTP: http.DefaultClient,
		// Neither is asked when nothing is called.
		Tokens: struct{ connectors.TokenStore }{}, Limiter: struct{ connectors.Limiter }{},
	})
	if err != nil {
		t.Fatal(err)
	}
	tr := c.Translate
	seen := make(map[string]bool)
	for n := range 500 {
		body := orderBody(n, at)
		if seen[string(body)] {
			t.Fatalf("order %d is like an earlier one", n)
		}
		seen[string(body)] = true
		if len(body) < 3_000 || len(body) > 6_144 {
			t.Errorf("order %d has %d bytes, want 3 to 6 kB", n, len(body))
		}
		if !json.Valid(body) {
			t.Fatalf("order %d is no JSON: %s", n, body)
		}
		f, err := tr.Translate(&connectors.Record{Subject: connectors.Orders, Account: account, Format: "rest/order", Body: body})
		if err != nil {
			t.Fatal(err)
		}
		want := sold(n)
		o := f.Orders[0]
		if len(o.Lines) != len(want) {
			t.Fatalf("order %d: %d lines, want %d", n, len(o.Lines), len(want))
		}
		for i, l := range o.Lines {
			if l.PlatformSku != skuName(want[i][0]) || l.Quantity != int64(want[i][1]) || !l.Stocked {
				t.Errorf("order %d line %d: %s × %d, stocked %t, want %v", n, i, l.PlatformSku, l.Quantity, l.Stocked, want[i])
			}
		}
	}
	f, err := tr.Translate(&connectors.Record{Subject: connectors.Products, Account: account, Format: "rest/product", Body: productBody(3, at)})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(f.Products[0].Listings); got != variantsOf {
		t.Errorf("product: %d listings, want %d", got, variantsOf)
	}
}

// TestDuplicates: one record in twenty repeats another, which is no duplicate itself.
func TestDuplicates(t *testing.T) {
	const n = 2000
	seen := make(map[int]bool)
	for i := range n {
		o := original(i)
		if o != i && !seen[o] {
			t.Errorf("record %d repeats %d, which has not been there", i, o)
		}
		seen[o] = true
	}
	if len(seen) != distinct(n) {
		t.Errorf("%d orders, distinct says %d", len(seen), distinct(n))
	}
}
