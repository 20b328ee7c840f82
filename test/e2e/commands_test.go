package e2e

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/cmd/crossdock/simulate"
	"github.com/helloword/crossdock/connectors"
	amazonsim "github.com/helloword/crossdock/connectors/amazon/simulator"
	ebaysim "github.com/helloword/crossdock/connectors/ebay/simulator"
	magentosim "github.com/helloword/crossdock/connectors/magento/simulator"
	shopsim "github.com/helloword/crossdock/connectors/shopify/simulator"
	depotsim "github.com/helloword/crossdock/connectors/warehouse/simulator"
	woosim "github.com/helloword/crossdock/connectors/woocommerce/simulator"
	"github.com/helloword/crossdock/sinks/clickhouse"
)

// TestCommands: on each of the five platforms one order is shipped, one cancelled and one partly
// refunded, and a price is set by SKU, all asked for by the seller's back office. Answers are
// lost, everything is asked for twice, and the program is restarted in between. Each effect is
// in the platform's books once, and what became of it is in ClickHouse. What a platform cannot
// do is refused by name.
func TestCommands(t *testing.T) {
	s := engines(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	t.Setenv(simulate.SecretVariable, simulate.Secret)
	t.Setenv("CROSSDOCK_E2E_BUYER", strings.Repeat("k", 40))
	t.Setenv("CROSSDOCK_E2E_KEY", base64.StdEncoding.EncodeToString(make([]byte, 32)))

	shops := counters(t)
	connections := "connections:\n  depot:\n    connector: warehouse\n    warehouse: {secret: \"env:" + simulate.SecretVariable + "\"}\n"
	for _, c := range shops {
		connections += c.connection(c.at.URL)
	}
	webhook := freeAddress(t)
	yaml := s.settings(webhook) + fmt.Sprintf("tokens: {dir: %q, key: \"env:CROSSDOCK_E2E_KEY\"}\npush: {park_max: 2s}\n", filepath.Join(t.TempDir(), "tokens")) + connections
	a, stop := s.program(ctx, t, yaml)
	running := true
	defer func() {
		if running {
			stop()
		}
	}()
	poll := func(subject connectors.Subject, account string) {
		t.Helper()
		if err := a.Poller.Now(ctx, account, subject); err != nil {
			t.Fatalf("polling %s of %s: %v", subject, account, err)
		}
	}
	depot, err := depotsim.New(depotsim.Config{URL: "http://" + webhook + "/webhooks/warehouse/depot", Secret: simulate.Secret, BatchSize: 100})
	if err != nil {
		t.Fatal(err)
	}

	// The shops' goods are known, and each has sold three times.
	for _, c := range shops {
		for i := range c.orders {
			// Magento cancels no order that is paid.
			if c.orders[i], err = c.sell(c.name != "magento" || i != toCancel); err != nil {
				t.Fatalf("selling on %s: %v", c.name, err)
			}
			if i == toRefund && c.charge != nil {
				c.charge(c.orders[i])
			}
		}
	}
	const known = "SELECT toString((SELECT count() FROM listings FINAL WHERE account = '%s' AND sku = 'MUG-BLUE' AND stocked) + (SELECT count() FROM orders FINAL WHERE account = '%[1]s'))"
	s.eventually(ctx, t, "orders and listings to be known", func() string {
		var wrong []string
		for _, c := range shops {
			// Only who is asked for: Amazon answers a few questions a minute.
			if n := strings.TrimSpace(s.query(t, fmt.Sprintf(known, c.name))); n != "4" {
				poll(connectors.Products, c.name)
				poll(connectors.Orders, c.name)
				wrong = append(wrong, fmt.Sprintf("%s of %s instead of 3 orders and a listing", n, c.name))
			}
		}
		return strings.Join(wrong, "; ")
	})

	asked := requests(t, s, shops)
	// Stock is written at the same time: commands have no line of their own to the platform.
	asked = append(asked, depotsim.Entry{Kind: "opening", ID: "opening/MUG-BLUE", SKU: "MUG-BLUE", Warehouse: "main", Quantity: 400, OccurredAt: time.Now()})
	for _, c := range shops {
		c.lossy(true)
	}
	if err := depot.Send(ctx, asked...); err != nil {
		t.Fatal(err)
	}
	s.eventually(ctx, t, "something to be done, and something to be left", func() string {
		if n := strings.TrimSpace(s.query(t, "SELECT count() FROM command_outcomes FINAL")); n == "0" {
			return "nothing was heard yet"
		}
		return ""
	})
	stop()
	running = false
	a, stop = s.program(ctx, t, yaml)
	running = true
	// The back office has lost our answer, and asks again for everything; and what it asked for
	// before all that comes only now.
	if err := depot.Send(ctx, append(asked, olderPrices(shops)...)...); err != nil {
		t.Fatal(err)
	}

	var want []string
	for _, c := range shops {
		order := func(i int, kind, state string) { want = append(want, c.name+"\t"+c.orders[i]+"\t"+kind+"\t"+state) }
		order(toShip, "shipment", "done")
		order(toCancel, "cancellation", "done")
		order(toRefund, "refund", "done")
		want = append(want, c.name+"\t\tprice\tdone", c.name+"\t\tprice\tsuperseded")
	}
	slices.Sort(want)
	const states = "SELECT account, order_id, kind, state FROM commands FINAL"
	s.eventually(ctx, t, "every command to have its end in ClickHouse", func() string {
		got := strings.Split(strings.TrimSpace(s.query(t, states)), "\n")
		slices.Sort(got)
		return cmp.Diff(want, got)
	})
	for _, c := range shops {
		if d := cmp.Diff(books{Parcels: 1, Cancelled: true, Refunds: []int64{990}, Price: "12.34"}, c.books()); d != "" {
			t.Errorf("the books of %s (-want +got):\n%s", c.name, d)
		}
		if c.losses() == 0 {
			t.Errorf("no answer of %s was lost: the test shows less than it says", c.name)
		}
	}
	told := map[string]bool{}
	reader, err := clickhouse.NewReader(a.Config.ClickHouseConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	trace, err := reader.Trace(ctx, "shopify", shops[3].orders[toRefund])
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range trace {
		told[e.Kind] = true
	}
	if !told["order"] || !told["command"] || !told["command outcome"] {
		t.Errorf("the trace of an order with a refund tells of %v", told)
	}
	for what, want := range map[string][2]string{
		"commands that were accepted":      {"SELECT uniqExact(account, order_id, listing_id, command_id) FROM command_outcomes FINAL WHERE outcome = 'accepted'", "20"},
		"commands that had two names":      {"SELECT count() FROM (SELECT uniqExact(write_id) AS n FROM command_outcomes FINAL GROUP BY account, order_id, listing_id, command_id) WHERE n > 1", "0"},
		"alerts of refused commands":       {"SELECT count() FROM alerts FINAL WHERE kind = 'command-refused'", "0"},
		"accounts whose stock was written": {"SELECT uniqExact(account) FROM push_outcomes FINAL WHERE outcome = 'accepted'", "5"},
		"dead letters":                     {"SELECT count() FROM dead_letters", "0"},
	} {
		s.eventually(ctx, t, what, func() string { return cmp.Diff(want[1], strings.TrimSpace(s.query(t, want[0]))) })
	}
}

// Which of a shop's orders is what.
const (
	toShip = iota
	toCancel
	toRefund
)

// requests are what the back office asks for: lines by the platform's names of them, as the
// orders that crossdock tells have them.
func requests(t *testing.T, s *stage, shops []*counter) (all []depotsim.Entry) {
	t.Helper()
	now := time.Now()
	eur := func(text string) *depotsim.Amount { return &depotsim.Amount{Text: text, Currency: "EUR"} }
	for _, c := range shops {
		line := strings.TrimSpace(s.query(t, fmt.Sprintf("SELECT lines.line_id[1] FROM orders FINAL WHERE account = '%s' AND order_id = '%s'", c.name, c.orders[toRefund])))
		all = append(all,
			depotsim.Entry{Kind: "shipment", ID: "ship/" + c.name, OccurredAt: now, Request: &depotsim.Request{
				Account: c.name, Order: c.orders[toShip], Lines: depotsim.All, Carrier: "dhl", Tracking: "00340434-" + c.name,
			}},
			depotsim.Entry{Kind: "cancellation", ID: "cancel/" + c.name, OccurredAt: now, Reason: "customer", Request: &depotsim.Request{
				Account: c.name, Order: c.orders[toCancel], Restock: true,
			}},
			depotsim.Entry{Kind: "refund", ID: "refund/" + c.name, OccurredAt: now, Amount: eur("9.90"), Request: &depotsim.Request{
				Account: c.name, Order: c.orders[toRefund], Lines: []depotsim.Line{{Line: line, Quantity: 1}}, Restock: "none",
			}},
			depotsim.Entry{Kind: "price", ID: "price/new/" + c.name, OccurredAt: now, SKU: "MUG-BLUE", Amount: eur("12.34"), Request: &depotsim.Request{Account: c.name}},
		)
	}
	return all
}

// olderPrices were asked for an hour earlier.
func olderPrices(shops []*counter) (all []depotsim.Entry) {
	for _, c := range shops {
		all = append(all, depotsim.Entry{
			Kind: "price", ID: "price/old/" + c.name, OccurredAt: time.Now().Add(-time.Hour), SKU: "MUG-BLUE",
			Amount: &depotsim.Amount{Text: "11.11", Currency: "EUR"}, Request: &depotsim.Request{Account: c.name},
		})
	}
	return all
}

// books are what a platform says was done: parcels by number, cancelled orders, refunds in
// cents, and the price.
type books struct {
	Parcels   int
	Cancelled bool
	Refunds   []int64
	Price     string
}

// counter is one platform's shop, with a line to it that loses answers.
type counter struct {
	name       string
	orders     [3]string
	at         *httptest.Server
	connection func(address string) string
	sell       func(paid bool) (string, error)
	books      func() books
	// charge is what has to happen to an order before it can be refunded; nil = nothing.
	charge func(order string)

	mu   sync.Mutex
	rng  *rand.Rand
	on   bool
	lost int
}

func (c *counter) lossy(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on = on
}

func (c *counter) losses() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost
}

// lose carries out a call and answers something else: the first, and others by chance. Log-ins are spared: a
// platform that rotates tokens would be left for good.
func (c *counter) lose(shop http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		lose := c.on && r.Method != http.MethodGet && !strings.Contains(r.URL.Path, "token") && (c.lost == 0 || c.rng.Float64() < 0.4)
		if lose {
			c.lost++
		}
		c.mu.Unlock()
		if !lose {
			shop.ServeHTTP(w, r)
			return
		}
		shop.ServeHTTP(httptest.NewRecorder(), r)
		http.Error(w, "the line went dead", http.StatusBadGateway)
	})
}

// counters opens a shop on each platform.
func counters(t *testing.T) []*counter {
	t.Helper()
	const sku = "MUG-BLUE"
	number := func(id int64, err error) (string, error) { return strconv.FormatInt(id, 10), err }
	parse := func(id string) int64 {
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil {
			t.Error(err)
		}
		return n
	}
	secret := "env:" + simulate.SecretVariable
	var all []*counter
	open := func(c *counter, shop http.Handler) {
		c.rng = rand.New(rand.NewPCG(7, uint64(len(all))))
		c.at = httptest.NewServer(c.lose(shop))
		t.Cleanup(c.at.Close)
		all = append(all, c)
	}

	az := amazonsim.New(amazonsim.Config{Currency: "EUR", Marketplace: "A1PA6795UKMFR9", ClientSecret: simulate.Secret, RefreshToken: simulate.Secret, QueueSecret: simulate.Secret})
	az.Subscribe("ORDER_CHANGE")
	az.AddProduct(amazonsim.ProductSpec{Title: "Mug", Variants: []amazonsim.VariantSpec{{SKU: sku, Price: "9.90", Available: 500}}})
	amazon := &counter{name: "amazon"}
	// Amazon charges the buyer when the order is shipped.
	amazon.charge = func(order string) {
		if err := az.Fulfil(order, amazonsim.FulfilSpec{}); err != nil {
			t.Error(err)
		}
	}
	amazon.connection = func(address string) string {
		c := az.Config()
		return fmt.Sprintf("  amazon:\n    connector: amazon\n    allow_loopback: true\n    amazon: {seller_id: %s, region: eu, marketplaces: [%s], test_base_url: %q, client_id: %s, client_secret: %q, refresh_token: %[5]q, queue_url: %[6]q, queue_access_key_id: %[7]s, queue_secret_key: %[5]q, queue_wait: 0s}\n",
			c.SellerID, c.Marketplace, address, c.ClientID, secret, address+az.QueuePath(), c.QueueKeyID)
	}
	amazon.sell = func(paid bool) (string, error) {
		return az.PlaceOrder(amazonsim.OrderSpec{Paid: paid, Lines: []amazonsim.LineSpec{{SKU: sku, Title: "Mug", Quantity: 2}}})
	}
	amazon.books = func() books {
		ship, _ := az.Order(amazon.orders[toShip])
		cancel, _ := az.Order(amazon.orders[toCancel])
		refund, _ := az.Order(amazon.orders[toRefund])
		b := books{Parcels: len(ship.Packages), Cancelled: cancel.Cancelled, Price: az.Price(sku)}
		for _, r := range refund.Refunds {
			b.Refunds = append(b.Refunds, r.Total)
		}
		return b
	}
	open(amazon, az)

	eb := ebaysim.New(ebaysim.Config{Currency: "EUR", Marketplace: "EBAY_DE", ClientSecret: simulate.Secret, RefreshToken: simulate.Secret})
	t.Cleanup(eb.Close)
	eb.AddProduct(ebaysim.ProductSpec{Title: "Mug", Variants: []ebaysim.VariantSpec{{SKU: sku, Price: "9.90", Tracked: true, Available: 500}}})
	ebay := &counter{name: "ebay"}
	ebay.connection = func(address string) string {
		c := eb.Config()
		return fmt.Sprintf("  ebay:\n    connector: ebay\n    allow_loopback: true\n    ebay: {marketplace: %s, test_base_url: %q, client_id: %s, client_secret: %q, refresh_token: %[4]q}\n",
			c.Marketplace, address, c.ClientID, secret)
	}
	ebay.sell = func(paid bool) (string, error) {
		return eb.PlaceOrder(ebaysim.OrderSpec{Paid: paid, Lines: []ebaysim.LineSpec{{Variant: sku, Title: "Mug", Quantity: 2}}})
	}
	ebay.books = func() (b books) {
		ship, _ := eb.Order(ebay.orders[toShip])
		cancel, _ := eb.Order(ebay.orders[toCancel])
		refund, _ := eb.Order(ebay.orders[toRefund])
		for _, r := range refund.Refunds {
			b.Refunds = append(b.Refunds, r.Total)
		}
		for l := range eb.Listings() {
			b.Price = fmt.Sprintf("%d.%02d", l.Price/100, l.Price%100)
		}
		b.Parcels, b.Cancelled = len(ship.Shipments), cancel.Cancelled
		return b
	}
	open(ebay, eb)

	mg := magentosim.New(magentosim.Config{Currency: "EUR", ConsumerKey: simulate.Secret, ConsumerSecret: simulate.Secret, AccessToken: simulate.Secret, AccessTokenSecret: simulate.Secret})
	mug := mg.AddProduct(magentosim.ProductSpec{Title: "Mug", Variants: []magentosim.VariantSpec{{SKU: sku, Price: "9.90", Tracked: true, Available: 500}}}).Variants[0]
	magento := &counter{name: "magento"}
	magento.connection = func(address string) string {
		return fmt.Sprintf("  magento:\n    connector: magento\n    allow_loopback: true\n    magento: {base_url: \"https://shop.example.com\", test_base_url: %q, consumer_key: %q, consumer_secret: %[2]q, access_token: %[2]q, access_token_secret: %[2]q, currency: EUR}\n", address, secret)
	}
	magento.sell = func(paid bool) (string, error) {
		return number(mg.PlaceOrder(magentosim.OrderSpec{Paid: paid, Lines: []magentosim.LineSpec{{Variant: mug, Quantity: 2}}}))
	}
	magento.books = func() (b books) {
		ship, _ := mg.Order(parse(magento.orders[toShip]))
		cancel, _ := mg.Order(parse(magento.orders[toCancel]))
		refund, _ := mg.Order(parse(magento.orders[toRefund]))
		for _, r := range refund.Refunds {
			b.Refunds = append(b.Refunds, r.Total)
		}
		b.Parcels, b.Cancelled, b.Price = ship.Shipments, cancel.Cancelled, mg.Price(mug)
		return b
	}
	open(magento, mg)

	sh := shopsim.New(shopsim.Config{Currency: "EUR", ClientSecret: simulate.Secret})
	t.Cleanup(sh.Close)
	variant := sh.AddProduct(shopsim.ProductSpec{Title: "Mug", Variants: []shopsim.VariantSpec{{SKU: sku, Price: "9.90", Tracked: true, Available: 500}}}).Variants[0]
	shopify := &counter{name: "shopify"}
	shopify.connection = func(address string) string {
		c := sh.Config()
		return fmt.Sprintf("  shopify:\n    connector: shopify\n    allow_loopback: true\n    shopify: {shop: %s, test_base_url: %q, client_id: %s, client_secret: %q, currency: EUR, location_id: \"%d\"}\n",
			c.Shop, address, c.ClientID, secret, c.LocationID)
	}
	shopify.sell = func(paid bool) (string, error) {
		return number(sh.PlaceOrder(shopsim.OrderSpec{Paid: paid, Lines: []shopsim.LineSpec{{Variant: variant, SKU: sku, Title: "Mug", Quantity: 2}}}))
	}
	shopify.books = func() (b books) {
		ship, _ := sh.Order(parse(shopify.orders[toShip]))
		cancel, _ := sh.Order(parse(shopify.orders[toCancel]))
		refund, _ := sh.Order(parse(shopify.orders[toRefund]))
		for _, r := range refund.Refunds {
			b.Refunds = append(b.Refunds, r.Total)
		}
		b.Parcels, b.Cancelled, b.Price = len(ship.Fulfilments), cancel.Cancelled, sh.Price(variant)
		return b
	}
	open(shopify, sh)

	wc := woosim.New(woosim.Config{Currency: "EUR", ConsumerKey: simulate.Secret, ConsumerSecret: simulate.Secret, WebhookSecret: simulate.Secret})
	t.Cleanup(wc.Close)
	thing := wc.AddProduct(woosim.ProductSpec{Title: "Mug", Variants: []woosim.VariantSpec{{SKU: sku, Price: "9.90", Tracked: true, Available: 500}}}).Variants[0]
	woo := &counter{name: "woocommerce"}
	woo.connection = func(address string) string {
		return fmt.Sprintf("  woocommerce:\n    connector: woocommerce\n    allow_loopback: true\n    woocommerce: {shop: \"https://shop.example.com\", test_base_url: %q, consumer_key: %q, consumer_secret: %[2]q, webhook_secret: %[2]q, currency: EUR}\n", address, secret)
	}
	woo.sell = func(paid bool) (string, error) {
		return number(wc.PlaceOrder(woosim.OrderSpec{Paid: paid, Lines: []woosim.LineSpec{{Variant: thing, SKU: sku, Title: "Mug", Quantity: 2}}}))
	}
	woo.books = func() (b books) {
		cancel, _ := wc.Order(parse(woo.orders[toCancel]))
		refund, _ := wc.Order(parse(woo.orders[toRefund]))
		for _, r := range refund.Refunds {
			b.Refunds = append(b.Refunds, r.Total)
		}
		for _, note := range wc.Notes(parse(woo.orders[toShip])) {
			if strings.Contains(note, "00340434-woocommerce") {
				b.Parcels++
			}
		}
		b.Cancelled, b.Price = cancel.Cancelled, wc.Price(thing)
		return b
	}
	open(woo, wc)
	return all
}
