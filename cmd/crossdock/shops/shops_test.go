package shops

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/helloword/crossdock/cmd/crossdock/config"
	amazonsim "github.com/helloword/crossdock/connectors/amazon/simulator"
	ebaysim "github.com/helloword/crossdock/connectors/ebay/simulator"
	magentosim "github.com/helloword/crossdock/connectors/magento/simulator"
	shopsim "github.com/helloword/crossdock/connectors/shopify/simulator"
	woosim "github.com/helloword/crossdock/connectors/woocommerce/simulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// worth is what an order came to at its platform.
func worth(t *testing.T, s Shop, id string) int64 {
	t.Helper()
	n := func() int64 {
		n, err := number(id)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	switch s := s.(type) {
	case *shopifyShop:
		var o shopsim.Order
		o, _ = s.Order(n())
		return o.Total
	case *wooShop:
		var o woosim.Order
		o, _ = s.Order(n())
		return o.Total
	case *magentoShop:
		var o magentosim.Order
		o, _ = s.Order(n())
		return o.Total
	case *amazonShop:
		var o amazonsim.Order
		o, _ = s.Order(id)
		return o.Total
	case *ebayShop:
		var o ebaysim.Order
		o, _ = s.Order(id)
		return o.Total
	}
	t.Fatalf("%T", s)
	return 0
}

func opened(t *testing.T, platform string) Shop {
	t.Helper()
	s, err := Open(platform, Spec{Account: "here", Currency: "GBP", Secret: "a-secret-of-this-test", Reference: "env:SHOPS_TEST", Hurried: true, Services: []string{"POST"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for _, g := range []Good{{SKU: "HEART", Title: "Heart", Price: "2.55", Quantity: 100}, {SKU: "CUP", Title: "Cup", Price: "1.25"}, {SKU: "POST", Title: "Postage", Price: "18.00", Service: true}} {
		if err := s.Offer(g); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestExtremes: every platform holds what a real year had, to the penny: eighty thousand of one
// thing, nearly forty thousand pounds for one, prices finer than a penny, and a thousand lines.
func TestExtremes(t *testing.T) {
	for _, platform := range Platforms() {
		t.Run(platform, func(t *testing.T) {
			s := opened(t, platform)
			lines := []Line{
				{SKU: "CUP", Quantity: 80_995, Price: "1.04"}, {SKU: "HEART", Quantity: 1, Price: "38970.0"}, {SKU: "CUP", Quantity: 3, Price: "0.125"},
				{SKU: "CUP", Quantity: 1, Price: "0.001"}, {SKU: "POST", Quantity: 1, Price: "18"}, {SKU: "HEART", Quantity: 2},
			}
			for range 1_114 {
				lines = append(lines, Line{SKU: "CUP", Quantity: 7, Price: "0.85"})
			}
			id, err := s.Place(Order{Name: "581483", At: time.Date(2011, 12, 9, 9, 15, 0, 0, time.UTC), Paid: true, Buyer: 16446, Country: "Germany", CountryCode: "DE", Lines: lines})
			if err != nil {
				t.Fatal(err)
			}
			if want := int64(8_423_480 + 3_897_000 + 38 + 0 + 1_800 + 510 + 1_114*595); worth(t, s, id) != want {
				t.Errorf("it is worth %d, want %d", worth(t, s, id), want)
			}
			if got := s.Shown("HEART"); got != 97 {
				t.Errorf("shows %d of what was a hundred", got)
			}
			var goods []string
			for sku := range s.Listings() {
				goods = append(goods, sku)
			}
			slices.Sort(goods)
			if diff := cmp.Diff([]string{"CUP", "HEART"}, goods); diff != "" {
				t.Errorf("goods (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRefunds: what a platform tells of a refund and what it does not, also of money beyond what
// was paid and of an order of which nothing is left.
func TestRefunds(t *testing.T) {
	at := time.Date(2011, 12, 10, 9, 15, 0, 0, time.UTC)
	for platform, want := range map[string][3]Told{
		"shopify":     {{200, true, true}, {1_500, true, true}, {100, true, true}},
		"woocommerce": {{200, true, true}, {565, true, true}, {0, true, true}},
		"magento":     {{200, true, true}, {565, true, true}, {}},
		"amazon":      {{}, {}, {}},
		"ebay":        {{Minor: 200}, {Minor: 565}, {}},
	} {
		t.Run(platform, func(t *testing.T) {
			s := opened(t, platform)
			id, err := s.Place(Order{Paid: true, At: at.Add(-time.Hour), Lines: []Line{{SKU: "HEART", Quantity: 3}}}) // 7.65
			if err != nil {
				t.Fatal(err)
			}
			var got [3]Told
			for i, minor := range []int64{200, 1_500, 100} {
				if got[i], err = s.Refund(id, Refund{At: at, Note: "C1#1", Parts: []Part{{Line: 0, Quantity: 1, Minor: minor}}}); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
			if _, err := s.Refund("99-1", Refund{Parts: []Part{{Quantity: 1, Minor: 1}}}); err == nil {
				t.Error("an order that is not there was refunded")
			}
		})
	}
}

// TestTraits: what a platform says that it can, it does, and what it says that it cannot it refuses.
func TestTraits(t *testing.T) {
	for _, platform := range Platforms() {
		t.Run(platform, func(t *testing.T) {
			s := opened(t, platform)
			can := s.Traits()
			if err := s.Subscribe("http://127.0.0.1:1/"); (err == nil) != can.Hooks {
				t.Errorf("webhooks: %v, %+v", err, can)
			}
			s.SetFaults(Faults{Drop: 1})
			id, err := s.Place(Order{Paid: can.CancelsPaid, Lines: []Line{{SKU: "HEART", Quantity: 2}}})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Edit(id, []Line{{SKU: "HEART", Quantity: 1}}, time.Now()); (err == nil) != can.Edits {
				t.Errorf("adding a line: %v, %+v", err, can)
			}
			if got, want := s.Shown("HEART"), int64(98); got != want && (!can.Edits || got != want-1) {
				t.Errorf("shows %d", got)
			}
			if err := s.Cancel(id); err != nil {
				t.Error(err)
			}
			if got := s.Shown("HEART"); got != 100 {
				t.Errorf("shows %d after the cancellation", got)
			}
			if err := s.Drain(t.Context()); err != nil {
				t.Error(err)
			}
			if st := s.Stats(); st.WebhooksDropped != st.WebhooksSent || can.Told && st.WebhooksSent == 0 {
				t.Errorf("%+v", st)
			}
			if can.Looks < 1 {
				t.Error("no look tells of its products")
			}
		})
	}
}

// TestConnections: what a shop says of its connection is one, with what the spec asks for.
func TestConnections(t *testing.T) {
	for _, platform := range Platforms() {
		s := opened(t, platform)
		c, err := config.ParseConnection(s.Connection("http://127.0.0.1:1"))
		if err != nil {
			t.Errorf("%s: %v", platform, err)
			continue
		}
		if c.Connector != platform || !c.AllowHTTP {
			t.Errorf("%s: %+v", platform, c)
		}
		if services := strings.Contains(s.Connection("x"), `services: ["POST"]`); services != (platform == "amazon" || platform == "ebay") {
			t.Errorf("%s: says which SKUs are services: %v", platform, services)
		}
	}
	if _, err := Open("etsy", Spec{}); err == nil || !strings.Contains(err.Error(), "shopify") {
		t.Errorf("an unknown platform: %v", err)
	}
}
