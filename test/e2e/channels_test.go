package e2e

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/cmd/crossdock/app"
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
	m := s.market(ctx, t, simulate.Platforms()...)
	m.sellEverywhere(ctx, t)
}

// market is some shops that offer the same goods, and the program between them.
type market struct {
	*stage
	app   *app.App
	shops []*simulate.Running
	// left is how many mugs there are; orders what ClickHouse has to show, a line each.
	left   int64
	orders []string
}

// stocked is how many mugs a market begins with.
const stocked = 100

// market opens a shop on each platform, and waits until all offer the mugs that there are.
func (s *stage) market(ctx context.Context, t *testing.T, platforms ...string) *market {
	t.Helper()
	t.Setenv(simulate.SecretVariable, simulate.Secret)
	t.Setenv("CROSSDOCK_E2E_BUYER", strings.Repeat("k", 40))
	t.Setenv("CROSSDOCK_E2E_KEY", base64.StdEncoding.EncodeToString(make([]byte, 32)))
	m := &market{stage: s, left: stocked}
	connections := "connections:\n  depot:\n    connector: warehouse\n    warehouse: {secret: \"env:" + simulate.SecretVariable + "\"}\n"
	for _, name := range platforms {
		r, err := simulate.Start(name, simulate.Options{Listen: "127.0.0.1:0", Currency: "EUR", Seed: 3, Out: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Stop)
		m.shops = append(m.shops, r)
		connections += r.Connection(name)
	}
	webhook := freeAddress(t)
	yaml := s.settings(webhook) + fmt.Sprintf("tokens: {dir: %q, key: \"env:CROSSDOCK_E2E_KEY\"}\n", filepath.Join(t.TempDir(), "tokens")) + connections
	var stop func()
	m.app, stop = s.program(ctx, t, yaml)
	t.Cleanup(stop)

	depot, err := depotsim.New(depotsim.Config{URL: "http://" + webhook + "/webhooks/warehouse/depot", Secret: simulate.Secret, BatchSize: 100})
	if err != nil {
		t.Fatal(err)
	}
	mug := simulate.Goods[0]
	if err := depot.Send(ctx, depotsim.Entry{Kind: "opening", ID: "opening/" + mug.SKU, SKU: mug.SKU, Warehouse: "main", Quantity: stocked, OccurredAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	s.eventually(ctx, t, "every shop to offer what there is", func() string {
		// A platform's clock tells seconds: the last one is not over yet.
		return cmp.Or(m.poll(ctx, connectors.Products), differing(m.shops, mug.SKU, m.left))
	})
	return m
}

// poll asks every shop, and says what went wrong.
func (m *market) poll(ctx context.Context, subject connectors.Subject) string {
	for _, r := range m.shops {
		if err := m.app.Poller.Now(ctx, r.Platform, subject); err != nil {
			return fmt.Sprintf("polling %s of %s: %v", subject, r.Platform, err)
		}
	}
	return ""
}

// sellEverywhere sells two mugs in each shop, and waits until all others know.
func (m *market) sellEverywhere(ctx context.Context, t *testing.T) {
	t.Helper()
	mug := simulate.Goods[0]
	for _, r := range m.shops {
		order, err := r.Sell(mug, 2)
		if err != nil {
			t.Fatalf("selling on %s: %v", r.Platform, err)
		}
		m.orders = append(m.orders, fmt.Sprintf("%s\t%s\t1980\tEUR", r.Platform, order))
		m.left -= 2
	}
	slices.Sort(m.orders)
	m.eventually(ctx, t, "every shop to offer what is left", func() string {
		return cmp.Or(m.poll(ctx, connectors.Orders), differing(m.shops, mug.SKU, m.left))
	})
	const orders = "SELECT account, order_id, toString(total_minor), currency FROM orders FINAL"
	m.eventually(ctx, t, "the orders to stand in ClickHouse", func() string {
		got := strings.Split(strings.TrimSpace(m.query(t, orders)), "\n")
		slices.Sort(got)
		return gocmp.Diff(m.orders, got)
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
