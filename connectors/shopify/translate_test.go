package shopify

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/testkit"
	"github.com/helloword/crossdock/schemas/event"
)

// translate reads a body in a format.
func translate(t testing.TB, format, body string) (connectors.Facts, error) {
	t.Helper()
	return (&translator{currency: "USD"}).Translate(&connectors.Record{Account: "acme", Format: format, Body: []byte(body), SourceTime: time.UnixMilli(1000)})
}

// unwrapped is an official fixture's one member, as a webhook would carry it.
func unwrapped(t *testing.T, name, member string) string {
	t.Helper()
	b, err := os.ReadFile(testkit.Shared(t, "samples", "shopify", name))
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	return string(doc[member])
}

func TestOfficialOrder(t *testing.T) {
	facts, err := translate(t, formatOrder, unwrapped(t, "order.json", "order"))
	if err != nil {
		t.Fatal(err)
	}
	usd := func(minor int64) *event.Money { return &event.Money{Minor: minor, Currency: "USD"} }
	line := func(id, variant, sku, title string, fulfilled int64) *event.OrderLine {
		return &event.OrderLine{Id: id, ListingId: variant, ProductId: "632910392", PlatformSku: sku, Title: title, Quantity: 1,
			Fulfilled: fulfilled, UnitPrice: &event.Decimal{Unscaled: 199}, Total: usd(19900), Stocked: true}
	}
	address := &event.PostalAddress{Name: "Bob Norman", Street: []string{"Chestnut Street 92"}, City: "Louisville", Region: "KY", Postcode: "40202", Country: "US", Phone: "555-625-1199"}
	want := &event.Order{
		Connector: "shopify", Account: "acme", Id: "450789469", Name: "#1001",
		UpdatedMs: 1199980800000, CreatedMs: 1199980800000,
		Status: event.OrderStatus_ORDER_STATUS_OPEN, PaymentStatus: event.PaymentStatus_PAYMENT_STATUS_AUTHORISED,
		// The only shipment failed.
		FulfilmentStatus: event.FulfilmentStatus_FULFILMENT_STATUS_UNFULFILLED,
		Currency:         "USD",
		Lines: []*event.OrderLine{
			line("466157049", "39072856", "IPOD2008GREEN", "IPod Nano - 8gb - green", 0),
			line("518995019", "49148385", "IPOD2008RED", "IPod Nano - 8gb - red", 0),
			line("703073504", "457924702", "IPOD2008BLACK", "IPod Nano - 8gb - black", 0),
		},
		ShippingLines: []*event.ShippingLine{{Code: "Free Shipping", Title: "Free Shipping", Price: usd(0)}},
		Discounts:     []*event.Discount{{Code: "TENOFF", Kind: "discount_code", Amount: usd(1000)}},
		Taxes:         []*event.Tax{{Title: "State Tax", RatePpm: 60000, Amount: usd(1194)}},
		Subtotal:      usd(59700), TotalDiscounts: usd(0), TotalShipping: usd(0), TotalTax: usd(1194), Total: usd(40994),
		BuyerId:     "207119551",
		Destination: &event.Destination{Country: "US", Region: "KY", PostcodePrefix: "402"},
		Personal:    &event.PersonalData{Name: "Bob Norman", Email: "bob.norman@hostmail.com", Phone: "555-625-1199", Shipping: address, Billing: address},
	}
	if diff := cmp.Diff(want, facts.Orders[0], protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOfficialRefund(t *testing.T) {
	facts, err := translate(t, formatRefund, unwrapped(t, "refund.json", "refund"))
	if err != nil {
		t.Fatal(err)
	}
	want := &event.Refund{
		Connector: "shopify", Account: "acme", OrderId: "450789469", Id: "509562969", CreatedMs: 1466444106000,
		// The fixture says "restock" for all lines and tells no amounts of them.
		Lines: []*event.RefundLine{
			{OrderLineId: "703073504", Quantity: 1, Restock: event.Restock_RESTOCK_RETURN},
			{OrderLineId: "466157049", Quantity: 1, Restock: event.Restock_RESTOCK_RETURN},
		},
		Total: &event.Money{Minor: 20900, Currency: "USD"}, Note: "it broke during shipping",
	}
	if diff := cmp.Diff(want, facts.Refunds[0], protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOfficialProductAndLevel(t *testing.T) {
	facts, err := translate(t, formatProduct, unwrapped(t, "product.json", "product"))
	if err != nil {
		t.Fatal(err)
	}
	p := facts.Products[0]
	if p.Id != "632910392" || p.Title != "IPod Nano - 8GB" || p.Brand != "Apple" || p.Category != "Cult Products" || len(p.Listings) != 4 {
		t.Errorf("product %v", p)
	}
	ten := int64(10)
	want := &event.ListingSnapshot{
		Id: "808950810", PlatformSku: "IPOD2008PINK", Title: "IPod Nano - 8GB - Pink", Price: &event.Money{Minor: 19900, Currency: "USD"}, Stocked: true, Shown: &ten,
	}
	got := p.Listings[0]
	if got.Identifiers != nil {
		want.Identifiers = []*event.Identifier{{Kind: event.IdentifierKind_IDENTIFIER_KIND_GTIN, Value: got.Identifiers[0].Value}}
	}
	want.StockId = got.StockId
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	facts, err = translate(t, formatLevel, unwrapped(t, "inventory_level.json", "inventory_level"))
	if err != nil {
		t.Fatal(err)
	}
	level := &event.InventoryObservation{Connector: "shopify", Account: "acme", StockId: "808950810", Location: "905684977", Shown: 6, UpdatedMs: 1525722686000}
	if diff := cmp.Diff(level, facts.Observations[0], protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

const smallOrder = `{"id":1,"currency":"GBP","updated_at":"2026-11-01T10:00:00+01:00","processed_at":"2010-12-01T08:26:00Z","created_at":"2026-11-01T10:00:00+01:00",
	"total_price":"3.40","line_items":[{"id":2,"price":"3.40","quantity":1,"sku":"A","name":"a","variant_id":3,"variant_inventory_management":"shopify"}]}`

func TestMalformedOrdersNameThePlace(t *testing.T) {
	for _, tc := range []struct{ name, old, new, want string }{
		{"a comma in a price", `"price":"3.40"`, `"price":"3,40"`, "$.line_items[0].price"},
		{"more decimals than money has", `"total_price":"3.40"`, `"total_price":"3.405"`, "more decimals"},
		{"an id beyond 64 bits", `"id":2`, `"id":99999999999999999999`, "$.line_items[0].id"},
		{"a float for a quantity", `"quantity":1`, `"quantity":1.5`, "$.line_items[0].quantity"},
		{"a quantity beyond 64 bits", `"quantity":1`, `"quantity":9223372036854775808`, "$.line_items[0].quantity"},
		{"a negative quantity", `"quantity":1`, `"quantity":-1`, "$.line_items[0]"},
		{"a time without a zone", `"2010-12-01T08:26:00Z"`, `"2010-12-01T08:26:00"`, "$.processed_at"},
		{"a key twice", `"sku":"A"`, `"sku":"A","sku":"B"`, "$.line_items[0].sku"},
		{"a key twice at the top", `"id":1`, `"id":1,"id":1`, "$.id"},
		{"no currency", `"currency":"GBP"`, `"currency":null`, "currency"},
		{"a currency that nobody knows", `"currency":"GBP"`, `"currency":"XQQ"`, "XQQ"},
		{"no updated_at", `"updated_at"`, `"updated"`, "updated_at"},
		{"no price", `"price":"3.40",`, ``, "$.line_items[0]"},
		{"an overflow", `"price":"3.40","quantity":1`, `"price":"92233720368547758.07","quantity":99999`, "$.line_items[0]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if !strings.Contains(smallOrder, tc.old) {
				t.Fatal("the test changes nothing")
			}
			_, err := translate(t, formatOrder, strings.Replace(smallOrder, tc.old, tc.new, 1))
			if !errors.Is(err, connectors.ErrMalformed) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want ErrMalformed that names %q", err, tc.want)
			}
		})
	}
}

func TestMembersComeInAnyOrder(t *testing.T) {
	want, err := translate(t, formatOrder, smallOrder)
	if err != nil {
		t.Fatal(err)
	}
	late := strings.Replace(smallOrder, `"currency":"GBP",`, ``, 1)
	late = strings.TrimSuffix(late, "}") + `,"currency":"GBP"}`
	got, err := translate(t, formatOrder, late)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Orders[0], got.Orders[0], protocmp.Transform()); diff != "" {
		t.Errorf("the currency comes last (-first +last):\n%s", diff)
	}
	if o := want.Orders[0]; o.CreatedMs != 1291191960000 || o.UpdatedMs != 1793523600000 {
		t.Errorf("created %d, updated %d", o.CreatedMs, o.UpdatedMs)
	}
}

// The second address is read as the first when it stands there letter for letter, and for
// itself when not.
func TestSameAndOtherAddress(t *testing.T) {
	const first = `{"name":"Zo\u00eb","address1":"1 High Street","address2":"Flat 2","city":"London","province":"England","zip":"sw1a 1aa","country_code":"gb","phone":"+44"}`
	for _, tc := range []struct{ name, second string }{
		{"the same", first},
		{"with other space", strings.Replace(first, `,"city"`, `, "city"`, 1)},
		{"another city", strings.Replace(first, "London", "Leeds", 1)},
		{"one street line", strings.Replace(first, "Flat 2", "", 1)},
		{"nobody", "{}"},
		{"none", "null"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			alone, err := translate(t, formatOrder, strings.Replace(smallOrder, `"id":1`, `"id":1,"shipping_address": `+tc.second, 1))
			if err != nil {
				t.Fatal(err)
			}
			both, err := translate(t, formatOrder, strings.Replace(smallOrder, `"id":1`, `"id":1,"billing_address":`+first+`,"shipping_address": `+tc.second, 1))
			if err != nil {
				t.Fatal(err)
			}
			p := both.Orders[0].Personal
			if diff := cmp.Diff(alone.Orders[0].Personal.GetShipping(), p.Shipping, protocmp.Transform()); diff != "" {
				t.Errorf("shipping, without and behind another (-want +got):\n%s", diff)
			}
			if p.Shipping == p.Billing {
				t.Error("two addresses are one message: what changes one changes the other")
			}
			if p.Billing.GetName() != "Zoë" || p.Billing.GetCountry() != "GB" || len(p.Billing.GetStreet()) != 2 {
				t.Errorf("billing %v", p.Billing)
			}
		})
	}
}

func TestBuyersCurrency(t *testing.T) {
	body := strings.Replace(smallOrder, `"total_price":"3.40"`,
		`"total_price":"3.40","total_price_set":{"shop_money":{"amount":"3.40","currency_code":"GBP"},"presentment_money":{"amount":"650","currency_code":"JPY"}}`, 1)
	facts, err := translate(t, formatOrder, body)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&event.Money{Minor: 650, Currency: "JPY"}, facts.Orders[0].PresentmentTotal, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestRefundMoney(t *testing.T) {
	const lines = `"refund_line_items":[{"line_item_id":5,"quantity":1,"restock_type":"no_restock","subtotal":10.0,"subtotal_set":{"shop_money":{"amount":"10.00","currency_code":"USD"},"presentment_money":{"amount":"9.00","currency_code":"EUR"}}}]`
	for _, tc := range []struct {
		name, rest      string
		total, shipping int64
	}{
		{"by its payments", `"transactions":[{"kind":"refund","status":"success","amount":"7.00","currency":"USD"},{"kind":"refund","status":"failure","amount":"7.00","currency":"USD"},{"kind":"sale","status":"success","amount":"9","currency":"USD"}]`, 700, 0},
		{"nothing was paid", `"transactions":[]`, 0, 0},
		{"paid in the buyer's currency: by its parts", `"transactions":[{"kind":"refund","status":"success","amount":"11.00","currency":"EUR"}],"refund_shipping_lines":[{"subtotal_amount_set":{"shop_money":{"amount":"2.00","currency_code":"USD"}},"tax_amount_set":{"shop_money":{"amount":"0.50","currency_code":"USD"}}}]`, 1250, 250},
		{"shipping as it used to be told", `"transactions":[{"kind":"refund","status":"success","amount":"15.30","currency":"USD"}],"order_adjustments":[{"amount":"-5.00","tax_amount":"-0.30","kind":"shipping_refund"}]`, 1530, 530},
	} {
		t.Run(tc.name, func(t *testing.T) {
			facts, err := translate(t, formatRefund, `{"id":1,"order_id":2,"processed_at":"2026-11-01T00:00:00Z",`+lines+`,`+tc.rest+`}`)
			if err != nil {
				t.Fatal(err)
			}
			r := facts.Refunds[0]
			if r.Total.GetMinor() != tc.total || r.Shipping.GetMinor() != tc.shipping || r.Lines[0].Amount.GetMinor() != 1000 {
				t.Errorf("total %v, shipping %v, line %v", r.Total, r.Shipping, r.Lines[0].Amount)
			}
		})
	}
}

func TestRate(t *testing.T) {
	for text, want := range map[string]int64{
		"0.06": 60000, "0.2": 200000, "0.08875": 88750, "5.0e-05": 50, "1": 1_000_000, "0": 0, "": 0,
		"0.0000005": 0, "0.0000015": 2, "0.0000025": 2, "1e-18": 0, "2E-1": 200000,
	} {
		if got, err := rate(text); err != nil || got != want {
			t.Errorf("rate(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"x", "0,2", "1e99", "1e"} {
		if got, err := rate(text); err == nil {
			t.Errorf("rate(%q) = %d, want an error", text, got)
		}
	}
}

func TestProductWithVariantsLeftOut(t *testing.T) {
	facts, err := translate(t, formatProduct, `{"id":1,"updated_at":"2026-11-01T00:00:00Z","variants":[{"id":2}],"variant_gids":[{"admin_graphql_api_id":"a"},{"admin_graphql_api_id":"b"}]}`)
	if err != nil || len(facts.Products) != 0 {
		t.Errorf("got %v, %v; half a product is no product", facts.Products, err)
	}
}

func TestUntrackedLevelAndDeletedProduct(t *testing.T) {
	facts, err := translate(t, formatLevel, `{"inventory_item_id":1,"location_id":2,"available":null,"updated_at":"2026-11-01T00:00:00Z"}`)
	if err != nil || len(facts.Observations) != 0 {
		t.Errorf("an item whose stock is not kept: %v, %v", facts, err)
	}
	facts, err = translate(t, formatProductGone, `{"id":7}`)
	if err != nil || len(facts.Deleted) != 1 || facts.Deleted[0].Id != "7" || facts.Deleted[0].DeletedMs != 1000 {
		t.Errorf("a deleted product: %v, %v", facts, err)
	}
}

func TestIncompletePagesAreRefused(t *testing.T) {
	node := `{"id":"gid://shopify/Order/1","currencyCode":"GBP","updatedAt":"2026-11-01T10:00:00Z","totalPriceSet":{"shopMoney":{"amount":"1.0"}},"lineItems":{"nodes":[],"pageInfo":{"hasNextPage":true,"endCursor":"x"}}}`
	if _, err := translate(t, formatGraphOrder, `{"order":`+node+`}`); !errors.Is(err, connectors.ErrMalformed) {
		t.Errorf("lines are missing: %v", err)
	}
	page := `{"id":"gid://shopify/Order/1","lineItems":{"nodes":[],"pageInfo":{"hasNextPage":false}}}`
	if _, err := translate(t, formatGraphOrder, `{"order":`+node+`,"pages":[`+page+`]}`); err != nil {
		t.Errorf("all pages are there: %v", err)
	}
	more := strings.Replace(node, `"lineItems"`, `"shippingLines":{"nodes":[],"pageInfo":{"hasNextPage":true,"endCursor":"x"}},"lineItems"`, 1)
	if _, err := translate(t, formatGraphOrder, `{"order":`+more+`,"pages":[`+page+`]}`); !errors.Is(err, connectors.ErrMalformed) {
		t.Errorf("shipping lines were cut off: %v", err)
	}
}

func FuzzTranslate(f *testing.F) {
	for _, r := range polled(f) {
		f.Add(r.Record.Format, r.Record.Body)
	}
	for _, d := range recorded(f) {
		for _, t := range topics() {
			if t.name == d.Delivery.Header.Get("X-Shopify-Topic") {
				f.Add(t.format, d.Delivery.Body)
			}
		}
	}
	tr := &translator{currency: "GBP"}
	f.Fuzz(func(t *testing.T, format string, body []byte) {
		facts, err := tr.Translate(&connectors.Record{Account: "a", Format: format, Body: body})
		if err != nil {
			if !errors.Is(err, connectors.ErrMalformed) && !errors.Is(err, connectors.ErrUnsupported) {
				t.Errorf("%v", err)
			}
			return
		}
		for _, o := range facts.Orders {
			if o.Id == "" || o.Currency == "" || o.Total == nil {
				t.Errorf("an order without id, currency or total: %v", o)
			}
			if _, err := o.MarshalVTStrict(); err != nil {
				t.Error(err)
			}
		}
	})
}
