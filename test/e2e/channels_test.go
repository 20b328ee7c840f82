package e2e

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/cmd/crossdock/simulate"
	"github.com/helloword/crossdock/connectors"
	depotsim "github.com/helloword/crossdock/connectors/warehouse/simulator"
)

// TestEveryChannel: one shop on every platform that there is a simulator of, each with nothing
// but the connection that `crossdock simulate` prints. All offer the same goods. What one shop
// sells, all others stop offering, and the order stands in ClickHouse to the cent.
func TestEveryChannel(t *testing.T) {
	s := engines(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	t.Setenv(simulate.SecretVariable, simulate.Secret)
	t.Setenv("CROSSDOCK_E2E_BUYER", strings.Repeat("k", 40))
	t.Setenv("CROSSDOCK_E2E_KEY", base64.StdEncoding.EncodeToString(make([]byte, 32)))

	var shops []*simulate.Running
	connections := "connections:\n  depot:\n    connector: warehouse\n    warehouse: {secret: \"env:" + simulate.SecretVariable + "\"}\n"
	for _, name := range simulate.Platforms() {
		r, err := simulate.Start(name, simulate.Options{Listen: "127.0.0.1:0", Currency: "EUR", Seed: 3, Out: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Stop()
		shops = append(shops, r)
		connections += r.Connection(name)
	}
	webhook := freeAddress(t)
	yaml := s.settings(webhook) + fmt.Sprintf("tokens: {dir: %q, key: \"env:CROSSDOCK_E2E_KEY\"}\n", filepath.Join(t.TempDir(), "tokens")) + connections
	a, stop := s.program(ctx, t, yaml)
	defer stop()

	poll := func(subject connectors.Subject) {
		t.Helper()
		for _, r := range shops {
			if err := a.Poller.Now(ctx, r.Platform, subject); err != nil {
				t.Fatalf("polling %s of %s: %v", subject, r.Platform, err)
			}
		}
	}
	depot, err := depotsim.New(depotsim.Config{URL: "http://" + webhook + "/webhooks/warehouse/depot", Secret: simulate.Secret, BatchSize: 100})
	if err != nil {
		t.Fatal(err)
	}
	mug := simulate.Goods[0]
	if err := depot.Send(ctx, depotsim.Entry{Kind: "opening", ID: "opening/" + mug.SKU, SKU: mug.SKU, Warehouse: "main", Quantity: 100, OccurredAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	s.eventually(ctx, t, "every shop to offer what there is", func() string {
		poll(connectors.Products) // a platform's clock tells seconds: the last one is not over yet
		return differing(shops, mug.SKU, 100)
	})

	var want []string
	for _, r := range shops {
		order, err := r.Sell(mug, 2)
		if err != nil {
			t.Fatalf("selling on %s: %v", r.Platform, err)
		}
		want = append(want, fmt.Sprintf("%s\t%s\t1980\tEUR", r.Platform, order))
	}
	left := int64(100 - 2*len(shops))
	s.eventually(ctx, t, "every shop to offer what is left", func() string {
		poll(connectors.Orders)
		return differing(shops, mug.SKU, left)
	})
	const orders = "SELECT account, order_id, toString(total_minor), currency FROM orders FINAL ORDER BY account"
	s.eventually(ctx, t, "the orders to stand in ClickHouse", func() string {
		return cmp.Diff(strings.Join(want, "\n")+"\n", s.query(t, orders))
	})
}

// differing names the shops that do not offer the quantity, "" when all do.
func differing(shops []*simulate.Running, sku string, quantity int64) string {
	var wrong []string
	for _, r := range shops {
		if n := r.Shown(sku); n != quantity {
			wrong = append(wrong, fmt.Sprintf("%s offers %d instead of %d", r.Platform, n, quantity))
		}
	}
	return strings.Join(wrong, "; ")
}

// eventually waits until look finds nothing wrong.
func (s *stage) eventually(ctx context.Context, t *testing.T, what string, look func() string) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		wrong := look()
		if wrong == "" {
			return
		}
		select {
		case <-ctx.Done():
			log := s.logs.Bytes()
			t.Fatalf("waiting for %s: %s\n%s", what, wrong, log[max(0, len(log)-8000):])
		case <-tick.C:
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
