package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/cmd/crossdock/app"
	"github.com/helloword/crossdock/cmd/crossdock/simulate"
	"github.com/helloword/crossdock/connectors"
	ebaysim "github.com/helloword/crossdock/connectors/ebay/simulator"
	shopsim "github.com/helloword/crossdock/connectors/shopify/simulator"
	depotsim "github.com/helloword/crossdock/connectors/warehouse/simulator"
	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/processors/privacy"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// person is a buyer, made up, whose every detail is found nowhere else.
type person struct {
	*shopsim.Customer
	address *shopsim.Address
}

func somebody(id int64, name string) person {
	return person{
		&shopsim.Customer{ID: id, FirstName: name, LastName: "Madeup", Email: strings.ToLower(name) + "@madeup.example", Phone: fmt.Sprintf("+4477009%05d", id)},
		&shopsim.Address{FirstName: name, LastName: "Madeup", Address1: name + " Lane 7", City: "Manchester", Province: "England", Zip: fmt.Sprintf("%s 2AB", strings.ToUpper(name[:1])+"77"), CountryCode: "GB", Country: "United Kingdom"},
	}
}

// traces are the texts that lead to the person.
func (p person) traces() []string {
	return []string{p.FirstName + " Madeup", p.Email, p.Phone, p.address.Address1, p.FirstName}
}

// leads lists where something still leads to people: in the newest record of each key of every
// table's topic, in every key of Redis, and in every table of ClickHouse.
func (s *stage) leads(t *testing.T, people ...person) (found []string) {
	t.Helper()
	look := func(kind, where string, b []byte) {
		for _, p := range people {
			for _, text := range p.traces() {
				if bytes.Contains(b, []byte(text)) {
					found = append(found, fmt.Sprintf("%s %s: %s", kind, where, text))
				}
			}
		}
	}
	var tables []schemas.Topic
	for _, topic := range schemas.Topics() {
		if topic.Cleanup == schemas.Compact {
			tables = append(tables, topic)
		}
	}
	newest := make(map[string][]byte)
	err := kafka.Scan(t.Context(), kafka.Config{Brokers: []string{s.kafka}}, schemas.Scope{Tenant: "dev", Environment: schemas.Test}, slog.New(slog.DiscardHandler),
		tables, time.Time{}, func(r *kafka.Scanned) error {
			newest[r.Topic.Name+" "+string(r.Key)] = bytes.Clone(r.Value) // decompressed by the client
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	for where, b := range newest {
		look("topic", where, b)
	}
	for _, table := range strings.Fields(s.query(t, "SHOW TABLES")) {
		look("table", table, []byte(s.query(t, "SELECT * FROM `"+table+"`")))
	}
	s.scanRedis(t, look)
	return found
}

// TestForgotten: buyers are known while their orders are worked on; when their platform demands
// it nothing leads to them any more, in no table, no state and no analysts' row, whether the
// platform or the seller had written it, also when the order is told of again. Others are left alone. Who wants to know what is held gets it.
func TestForgotten(t *testing.T) {
	s := engines(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	t.Setenv(simulate.SecretVariable, simulate.Secret)
	t.Setenv("CROSSDOCK_E2E_BUYER", strings.Repeat("k", 40))
	t.Setenv("CROSSDOCK_E2E_KEY", base64.StdEncoding.EncodeToString(make([]byte, 32)))

	webhook := freeAddress(t)
	secret := "\"env:" + simulate.SecretVariable + "\""
	yaml := s.settings(webhook) + fmt.Sprintf("privacy: {interval: 1s}\ntokens: {dir: %q, key: \"env:CROSSDOCK_E2E_KEY\"}\nconnections:\n", filepath.Join(t.TempDir(), "tokens"))
	shops, variants := map[string]*shopsim.Simulator{}, map[string]int64{}
	for _, name := range []string{"uk", "de"} {
		shop := shopsim.New(shopsim.Config{Shop: "crossdock-" + name + ".myshopify.com", Currency: "GBP", ClientSecret: simulate.Secret})
		defer shop.Close()
		at := httptest.NewServer(shop)
		defer at.Close()
		variants[name] = shop.AddProduct(shopsim.ProductSpec{Title: "Mug", Variants: []shopsim.VariantSpec{{SKU: "MUG", Price: "9.90", Tracked: true, Available: 500}}}).Variants[0]
		shop.Subscribe("http://"+webhook+"/webhooks/shopify/"+name, "customers/data_request", "customers/redact", "shop/redact")
		shops[name] = shop
		yaml += fmt.Sprintf(`  %s:
    connector: shopify
    allow_loopback: true
    shopify: {shop: %s, test_base_url: %q, client_id: %s, client_secret: %s, currency: GBP}
`, name, shop.Config().Shop, at.URL, shop.Config().ClientID, secret)
	}
	market := ebaysim.New(ebaysim.Config{ClientSecret: simulate.Secret, RefreshToken: simulate.Secret})
	defer market.Close()
	marketAt := httptest.NewServer(market)
	defer marketAt.Close()
	market.AddProduct(ebaysim.ProductSpec{Title: "Mug", Variants: []ebaysim.VariantSpec{{SKU: "MUG", Price: "9.90", Tracked: true, Available: 500}}})
	market.Subscribe("http://"+webhook+"/webhooks/ebay/bay", "MARKETPLACE_ACCOUNT_DELETION")
	yaml += fmt.Sprintf(`  bay:
    connector: ebay
    allow_loopback: true
    ebay: {marketplace: %s, test_base_url: %q, client_id: %s, client_secret: %s, refresh_token: %[4]s}
`, market.Config().Marketplace, marketAt.URL, market.Config().ClientID, secret)
	yaml += fmt.Sprintf("  depot:\n    connector: warehouse\n    warehouse: {secret: %s}\n", secret)
	a, stop := s.program(ctx, t, yaml)
	defer stop()

	ann, bo, cleo, dora := somebody(71, "Annabella"), somebody(72, "Bonifacio"), somebody(73, "Cleopatra"), somebody(74, "Dorothea")
	buys := func(shop string, p person) int64 {
		t.Helper()
		id, err := shops[shop].PlaceOrder(shopsim.OrderSpec{Paid: true, Customer: p.Customer, Shipping: p.address, Lines: []shopsim.LineSpec{{Variant: variants[shop], Quantity: 1}}})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	first, second, other, there := buys("uk", ann), buys("uk", ann), buys("uk", bo), buys("de", cleo)
	const username = "Dorothea_shops"
	address := ebaysim.Address(*dora.address)
	bay, err := market.PlaceOrder(ebaysim.OrderSpec{
		Paid: true, Shipping: &address, Lines: []ebaysim.LineSpec{{Variant: "MUG", Title: "Mug", Quantity: 1}},
		Customer: &ebaysim.Customer{Username: username, FirstName: dora.FirstName, LastName: dora.LastName, Email: dora.Email, Phone: dora.Phone},
	})
	if err != nil {
		t.Fatal(err)
	}
	poll := func() {
		t.Helper()
		for _, name := range []string{"uk", "de", "bay"} {
			if err := a.Poller.Now(ctx, name, connectors.Orders); err != nil {
				t.Fatal(err)
			}
		}
	}
	rows := func(want string) func() string {
		return func() string {
			poll()
			return cmp.Diff(want, s.query(t, "SELECT account, order_id, buyer != '', postcode_prefix, total_minor FROM orders FINAL ORDER BY account, order_id"))
		}
	}
	s.eventually(ctx, t, "the orders", rows(fmt.Sprintf("bay\t%s\t1\tD77\t990\nde\t%d\t1\tC77\t990\nuk\t%d\t1\tA77\t990\nuk\t%d\t1\tA77\t990\nuk\t%d\t1\tB77\t990\n", bay, there, first, second, other)))
	// What the seller wrote about an order names its buyer, too.
	depot, err := depotsim.New(depotsim.Config{URL: "http://" + webhook + "/webhooks/warehouse/depot", Secret: simulate.Secret})
	if err != nil {
		t.Fatal(err)
	}
	about := func(kind string, order int64, e depotsim.Entry) depotsim.Entry {
		e.Kind, e.ID, e.OccurredAt = kind, fmt.Sprintf("%s/%d", kind, order), time.Now()
		e.Account, e.Order = "uk", fmt.Sprint(order)
		return e
	}
	if err := depot.Send(ctx,
		about("refund", first, depotsim.Entry{Note: "call " + ann.FirstName, Amount: &depotsim.Amount{Text: "1.00", Currency: "GBP"}, Request: &depotsim.Request{}}),
		about("cancellation", second, depotsim.Entry{Reason: ann.FirstName + " moved", Request: &depotsim.Request{}}),
	); err != nil {
		t.Fatal(err)
	}
	s.eventually(ctx, t, "the commands to be done", func() string {
		return cmp.Diff("cancellation\tdone\nrefund\tdone\n", s.query(t, "SELECT kind, state FROM commands FINAL ORDER BY kind"))
	})
	for _, p := range []person{ann, bo, cleo, dora} {
		if len(s.leads(t, p)) == 0 {
			t.Fatalf("nothing leads to %s before: the search finds nothing", p.FirstName)
		}
	}

	for shop, send := range map[string]func(*shopsim.Simulator) error{
		"uk": func(shop *shopsim.Simulator) error {
			if err := shop.Privacy("customers/data_request", bo.Customer, other); err != nil {
				return err
			}
			// One of the orders is not named: it is found by its buyer.
			return shop.Privacy("customers/redact", ann.Customer, first)
		},
		"de": func(shop *shopsim.Simulator) error { return shop.Privacy("shop/redact", nil) },
	} {
		if err := send(shops[shop]); err != nil {
			t.Fatal(err)
		}
		if err := shops[shop].Drain(ctx); err != nil {
			t.Fatal(err)
		}
	}
	market.DeleteAccount(username, "U-74")
	market.DeleteAccount("a_stranger", "U-1") // eBay tells of everybody
	if err := market.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	kinds := func() map[string]*event.PrivacyState {
		t.Helper()
		states, err := a.PrivacyRequests(ctx)
		if err != nil {
			t.Fatal(err)
		}
		byKind := make(map[string]*event.PrivacyState)
		for _, q := range states {
			if k := q.Account + " " + q.Kind.String(); byKind[k].GetOrders() == 0 {
				byKind[k] = q
			}
		}
		return byKind
	}
	const forgetAnn, forgetDora, forgetAll, tellBo = "uk PRIVACY_KIND_BUYER", "bay PRIVACY_KIND_BUYER", "de PRIVACY_KIND_ACCOUNT", "uk PRIVACY_KIND_DATA_REQUEST"
	s.eventually(ctx, t, "the requests to be carried out", func() string {
		byKind := kinds()
		for _, k := range []string{forgetAnn, forgetDora, forgetAll} {
			if q := byKind[k]; q == nil || !privacy.Done(q) || q.Orders == 0 {
				return fmt.Sprintf("%s: %v", k, q)
			}
		}
		return ""
	})
	s.eventually(ctx, t, "the analysts' rows to be nobody's", rows(fmt.Sprintf("bay\t%s\t0\t\t990\nde\t%d\t0\t\t990\nuk\t%d\t0\t\t990\nuk\t%d\t0\t\t990\nuk\t%d\t1\tB77\t990\n", bay, there, first, second, other)))
	s.eventually(ctx, t, "nothing to lead to them any more", func() string {
		return strings.Join(s.leads(t, ann, cleo, dora), "\n")
	})
	if len(s.leads(t, bo)) == 0 {
		t.Error("somebody else was forgotten too")
	}
	until := make(map[string]time.Duration)
	q := kinds()[forgetAnn]
	for _, r := range privacy.Remains(q, time.UnixMilli(q.DoneMs)) {
		until[r.Topic] = r.Until.Sub(time.UnixMilli(q.DoneMs))
	}
	if until[schemas.RawOrders.Name] != schemas.RawOrders.Retention || until[schemas.DeadLetters("orders").Name] == 0 || until[schemas.Orders.Name] == 0 {
		t.Errorf("what remains: %v", until)
	}

	// The order is told of again, with everything that the shop still knows.
	if err := shops["uk"].Fulfil(first, shopsim.FulfilSpec{}); err != nil {
		t.Fatal(err)
	}
	s.eventually(ctx, t, "the order to be shipped", func() string {
		poll()
		return cmp.Diff("fulfilled\n", s.query(t, fmt.Sprintf("SELECT fulfilment_status FROM orders FINAL WHERE account = 'uk' AND order_id = '%d'", first)))
	})
	if found := s.leads(t, ann, cleo, dora); len(found) > 0 {
		t.Errorf("after the order was told of again:\n%s", strings.Join(found, "\n"))
	}
	s.tell(ctx, t, a, kinds, tellBo, bo, ann)
}

// tell exports what is held of somebody, and records that it was handed over.
func (s *stage) tell(ctx context.Context, t *testing.T, a *app.App, kinds func() map[string]*event.PrivacyState, which string, whose, not person) {
	t.Helper()
	q := kinds()[which]
	if q == nil || privacy.Done(q) {
		t.Fatalf("request %v", q)
	}
	var out bytes.Buffer
	n, err := a.PrivacyExport(ctx, q, time.Now(), &out)
	if err != nil || n != 1 || !json.Valid(out.Bytes()) {
		t.Fatalf("%d orders, %v", n, err)
	}
	for _, text := range whose.traces() {
		if !strings.Contains(out.String(), text) {
			t.Errorf("the export does not say %s:\n%s", text, out.String())
		}
	}
	if strings.Contains(out.String(), not.FirstName) {
		t.Error("the export tells of somebody else")
	}
	if err := a.PrivacyHandover(ctx, q, "kim", "by hand", time.Now()); err != nil {
		t.Fatal(err)
	}
	s.eventually(ctx, t, "the handover", func() string {
		if q := kinds()[which]; !privacy.Done(q) || q.By != "kim" || q.Note != "by hand" {
			return q.String()
		}
		return ""
	})
}
