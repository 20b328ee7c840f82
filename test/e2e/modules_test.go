package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/cmd/crossdock/simulate"
	"github.com/helloword/crossdock/connectors"
	shopsim "github.com/helloword/crossdock/connectors/shopify/simulator"
	depotsim "github.com/helloword/crossdock/connectors/warehouse/simulator"
	woosim "github.com/helloword/crossdock/connectors/woocommerce/simulator"
)

// TestModules: three shops of one SKU. One whose inventory is off is never written to, and its
// orders are counted all the same, by a third one that goes on being written to. One whose
// orders are off is written to; its orders are not polled, and acknowledged without being kept
// when webhooks bring them.
func TestModules(t *testing.T) {
	s := engines(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	t.Setenv(simulate.SecretVariable, simulate.Secret)
	t.Setenv("CROSSDOCK_E2E_BUYER", strings.Repeat("k", 40))

	const sku = "MUG-BLUE"
	silent := shopsim.New(shopsim.Config{Currency: "EUR", ClientSecret: simulate.Secret})
	defer silent.Close()
	silentAt := httptest.NewServer(silent)
	defer silentAt.Close()
	own := silent.AddProduct(shopsim.ProductSpec{Title: "Mug", Variants: []shopsim.VariantSpec{{SKU: sku, Price: "9.90", Tracked: true, Available: 500}}}).Variants[0]
	deaf := woosim.New(woosim.Config{Currency: "EUR", ConsumerKey: simulate.Secret, ConsumerSecret: simulate.Secret, WebhookSecret: simulate.Secret})
	defer deaf.Close()
	deafAt := httptest.NewServer(deaf)
	defer deafAt.Close()
	theirs := deaf.AddProduct(woosim.ProductSpec{Title: "Mug", Variants: []woosim.VariantSpec{{SKU: sku, Price: "9.90", Tracked: true, Available: 500}}}).Variants[0]
	whole, err := simulate.Start("magento", simulate.Options{Listen: "127.0.0.1:0", Currency: "EUR", Seed: 3, Out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Stop()

	webhook := freeAddress(t)
	secret := "\"env:" + simulate.SecretVariable + "\""
	yaml := s.settings(webhook) + fmt.Sprintf(`connections:
  depot:
    connector: warehouse
    warehouse: {secret: %s}
  silent:
    connector: shopify
    modules: [orders, products]
    allow_loopback: true
    shopify: {shop: %s, test_base_url: %q, client_id: %s, client_secret: %[1]s, currency: EUR}
  deaf:
    connector: woocommerce
    modules: [products, inventory]
    allow_loopback: true
    woocommerce: {shop: "https://shop.example.com", test_base_url: %[5]q, consumer_key: %[1]s, consumer_secret: %[1]s, webhook_secret: %[1]s, currency: EUR}
`, secret, silent.Config().Shop, silentAt.URL, silent.Config().ClientID, deafAt.URL) + whole.Connection("whole")
	a, stop := s.program(ctx, t, yaml)
	defer stop()
	poll := func(subject connectors.Subject, accounts ...string) {
		t.Helper()
		for _, account := range accounts {
			if err := a.Poller.Now(ctx, account, subject); err != nil {
				t.Fatalf("polling %s of %s: %v", subject, account, err)
			}
		}
	}
	depot, err := depotsim.New(depotsim.Config{URL: "http://" + webhook + "/webhooks/warehouse/depot", Secret: simulate.Secret, BatchSize: 100})
	if err != nil {
		t.Fatal(err)
	}
	if err := depot.Send(ctx, depotsim.Entry{Kind: "opening", ID: "opening/" + sku, SKU: sku, Warehouse: "main", Quantity: 100, OccurredAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	offered := func(want int64) func() string {
		return func() string {
			if d, w := deaf.Available(theirs), whole.Shown(sku); d != want || w != want {
				return fmt.Sprintf("deaf offers %d and whole %d instead of %d", d, w, want)
			}
			return ""
		}
	}
	s.eventually(ctx, t, "who is written to, to offer what there is", func() string {
		poll(connectors.Products, "silent", "deaf", "whole")
		return offered(100)()
	})

	sold, err := silent.PlaceOrder(shopsim.OrderSpec{Paid: true, Lines: []shopsim.LineSpec{{Variant: own, Quantity: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	s.eventually(ctx, t, "the order of the shop that is not written to", func() string {
		poll(connectors.Orders, "silent", "whole")
		return offered(98)()
	})

	// The order of the deaf shop comes by a webhook, and is acknowledged.
	deaf.Subscribe("http://"+webhook+"/webhooks/woocommerce/deaf", "order.created", "order.updated")
	if _, err := deaf.PlaceOrder(woosim.OrderSpec{Paid: true, Lines: []woosim.LineSpec{{Variant: theirs, Quantity: 5}}}); err != nil {
		t.Fatal(err)
	}
	if err := deaf.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	if st := deaf.Stats(); st.WebhooksDelivered < 1 || st.WebhooksGivenUp != 0 {
		t.Errorf("%d webhooks were acknowledged, %d were not", st.WebhooksDelivered, st.WebhooksGivenUp)
	}
	if err := a.Poller.Now(ctx, "deaf", connectors.Orders); err == nil {
		t.Error("the orders of the deaf shop can be polled")
	}
	// Something later has come all the way: what was not kept would have come before it.
	again, err := whole.Sell(simulate.Goods[0], 3)
	if err != nil {
		t.Fatal(err)
	}
	s.eventually(ctx, t, "the next order", func() string {
		poll(connectors.Orders, "silent", "whole")
		if w := whole.Shown(sku); w != 95 {
			return fmt.Sprintf("whole offers %d instead of 95", w)
		}
		return ""
	})
	want := "silent\t" + strconv.FormatInt(sold, 10) + "\n" + "whole\t" + again + "\n"
	s.eventually(ctx, t, "these two orders, and no other, to stand in ClickHouse", func() string {
		// Its own platform has counted the sale down at once; we hear of it when its second is over.
		poll(connectors.Orders, "silent", "whole")
		return cmp.Diff(want, s.query(t, "SELECT account, order_id FROM orders FINAL ORDER BY account"))
	})
	if st := silent.Stats(); st.PushesAccepted+st.PushesRefused+st.PushesRepeated != 0 || silent.Available(own) != 498 {
		t.Errorf("the shop whose inventory is off was written to: %d, %d, %d, and offers %d instead of 498", st.PushesAccepted, st.PushesRefused, st.PushesRepeated, silent.Available(own))
	}
	if rows := s.query(t, "SELECT count() FROM push_outcomes WHERE account = 'silent'"); strings.TrimSpace(rows) != "0" {
		t.Errorf("there are %s outcomes of writes to it", rows)
	}
}
