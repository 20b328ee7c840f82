package amazon

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/amazon/simulator"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

func translated(format, body string) (connectors.Facts, error) {
	tr := &translator{markets: []string{"A1F83G8C2ARO7P", "A1PA6795UKMFR9"}}
	return tr.Translate(&connectors.Record{Account: "shop-uk", Object: "x", Format: format, Body: []byte(body), SourceTime: time.Unix(1_800_000_000, 0)})
}

// orderOf is an order with one item of two units at 10.00, changed by replacements in its text.
func orderOf(changes ...string) string {
	body := `{"orderId":"202-1-1","createdTime":"2026-11-01T10:00:00Z","lastUpdatedTime":"2026-11-01T10:00:00Z","salesChannel":{"channelName":"AMAZON","marketplaceId":"A1F83G8C2ARO7P"},
"proceeds":{"grandTotal":{"amount":"20.00","currencyCode":"GBP"}},"fulfillment":{"fulfillmentStatus":"UNSHIPPED","fulfilledBy":"MERCHANT"},
"orderItems":[{"orderItemId":"1","quantityOrdered":2,"product":{"asin":"B1","sellerSku":"S","price":{"unitPrice":{"amount":"10.00","currencyCode":"GBP"}}},
"proceeds":{"proceedsTotal":{"amount":"20.00","currencyCode":"GBP"},"breakdowns":[{"type":"ITEM","subtotal":{"amount":"20.00","currencyCode":"GBP"}}]},"fulfillment":{"quantityFulfilled":0,"quantityUnfulfilled":2}}]}`
	return strings.NewReplacer(changes...).Replace(body)
}

// adds up is lines + shipping − discounts + tax, the tax only where it lies on top.
func addsUp(o *event.Order) error {
	var lines, shipping, discounts, tax int64
	for _, l := range o.Lines {
		lines += l.Total.GetMinor()
		discounts += l.Discount.GetMinor()
		for _, x := range l.Taxes {
			tax += x.Amount.Minor
		}
		exponent, ok := money.Exponent(provider, o.Currency)
		if l.UnitPrice != nil {
			if minor, err := money.Mul(l.UnitPrice, l.Quantity, exponent); !ok || err != nil || (l.Quantity > 0 && minor != l.Total.GetMinor()) {
				return fmt.Errorf("line %s: %d × %v is %d, %v, and its total %d", l.Id, l.Quantity, l.UnitPrice, minor, err, l.Total.GetMinor())
			}
		}
	}
	for _, s := range o.ShippingLines {
		shipping += s.Price.GetMinor()
		discounts += s.Discount.GetMinor()
		for _, x := range s.Taxes {
			tax += x.Amount.Minor
		}
	}
	total := lines + shipping - discounts
	if !o.TaxesIncluded {
		total += tax
	}
	if o.Total.GetMinor() != total || o.Subtotal.GetMinor() != lines || o.TotalShipping.GetMinor() != shipping || o.TotalDiscounts.GetMinor() != discounts || o.TotalTax.GetMinor() != tax {
		return fmt.Errorf("lines %d, shipping %d, discounts %d, tax %d (within: %v) and a total of %d", lines, shipping, discounts, tax, o.TaxesIncluded, o.Total.GetMinor())
	}
	return nil
}

// TestSandbox: every answer of Amazon's sandbox and every example is understood.
func TestSandbox(t *testing.T) {
	c := loadContract(t)
	orders := func(name, code string, body []byte) {
		if strings.HasPrefix(name, "ordersV0") {
			return // the old version has an operation of the same name
		}
		var data struct {
			Orders []json.RawMessage `json:"orders"`
			Order  json.RawMessage   `json:"order"`
			Errors []any             `json:"errors"`
		}
		if err := json.Unmarshal(body, &data); err != nil {
			t.Fatal(err)
		}
		if data.Order != nil {
			data.Orders = append(data.Orders, data.Order)
		}
		if len(data.Orders) == 0 && len(data.Errors) == 0 {
			t.Errorf("%s: neither orders nor errors", name)
		}
		for _, node := range data.Orders {
			facts, err := translated(formatOrder, string(node))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if err := addsUp(facts.Orders[0]); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	c.sandbox(t, "searchOrders", orders)
	c.sandbox(t, "getOrder", orders)
	listing := func(name string, node []byte) {
		facts, err := translated(formatListing, string(node))
		if err != nil || facts.Products[0].Id == "" || len(facts.Products[0].Listings) != 1 {
			t.Errorf("%s: %v, %v", name, facts.Products, err)
		}
		if _, err := translated(formatLevel, string(node)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	c.sandbox(t, "getListingsItem", func(name, code string, body []byte) {
		if code == "200" {
			listing(name, body)
		}
	})
	c.sandbox(t, "searchListingsItems", func(name, code string, body []byte) {
		if code != "200" {
			return
		}
		items, _, err := readListings(body)
		if err != nil || len(items) == 0 {
			t.Errorf("%s: %d items, %v", name, len(items), err)
		}
		for _, node := range items {
			listing(name, []byte(node))
		}
	})
	c.sandbox(t, "patchListingsItem", func(name, code string, body []byte) {
		var a submitted
		if err := json.Unmarshal(body, &a); err != nil {
			t.Fatal(err)
		}
		want := map[string]event.Outcome{"ACCEPTED": event.Outcome_OUTCOME_ACCEPTED, "VALID": event.Outcome_OUTCOME_REFUSED, "INVALID": event.Outcome_OUTCOME_REFUSED}
		if code == "200" && a.result("fulfillment_availability").Outcome != want[a.Status] {
			t.Errorf("%s: %v", name, a.result("fulfillment_availability"))
		}
	})
	c.sandbox(t, "getReport", func(name, code string, body []byte) {
		var m madeReport
		if err := json.Unmarshal(body, &m); code == "200" && (err != nil || m.Status == "" || m.at().IsZero()) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	})
}

// TestNotificationSchemas: the vendor's examples of notifications are understood.
func TestNotificationSchemas(t *testing.T) {
	loadContract(t)
	for _, c := range []struct {
		file string
		want notification
	}{
		{"OrderChangeNotification", notification{kind: kindOrderChange, id: "d0e9e693-c3ad-4373-979f-ed4ec98dd746", seller: "A3TH9S8BH6GOGM", object: "903-8868176-2219830", subject: connectors.Orders, at: time.Date(2020, 1, 11, 0, 9, 53, 109e6, time.UTC)}},
		{"ListingsItemMfnQuantityChange", notification{kind: kindQuantity, id: "8e009934-da2c-4f9c-9bc7-93f23b7e1f60", seller: "AXXXXXXXXXXXXX", object: "NLS-SHOES-03", subject: connectors.Inventory, at: time.Date(2021, 2, 3, 18, 59, 30, 194e6, time.UTC)}},
	} {
		var schema struct {
			Examples []json.RawMessage `json:"examples"`
		}
		text, err := os.ReadFile(os.Getenv("AMAZON_CONTRACTS") + "/notifications/" + c.file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &schema); err != nil || len(schema.Examples) == 0 {
			t.Fatalf("%s: %d examples, %v", c.file, len(schema.Examples), err)
		}
		got, err := readNotification(schema.Examples[0])
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(notification{})); diff != "" || err != nil {
			t.Errorf("%s: %v %s", c.file, err, diff)
		}
	}
}

// TestStatuses: the table, and what is done with a value that is not in it.
func TestStatuses(t *testing.T) {
	for _, c := range []struct{ told, order, payment, fulfilment string }{
		{"PENDING_AVAILABILITY", "ON_HOLD", "PENDING", "UNFULFILLED"},
		{"PENDING", "ON_HOLD", "PENDING", "UNFULFILLED"},
		{"UNSHIPPED", "OPEN", "AUTHORISED", "UNFULFILLED"},
		{"PARTIALLY_SHIPPED", "OPEN", "PARTIALLY_PAID", "UNFULFILLED"},
		{"SHIPPED", "CLOSED", "PAID", "UNFULFILLED"},
		{"CANCELLED", "CANCELLED", "VOIDED", "RESTOCKED"},
		{"UNFULFILLABLE", "ON_HOLD", "AUTHORISED", "UNFULFILLED"},
		{"SOMETHING_NEW", "OPEN", "UNSPECIFIED", "UNFULFILLED"},
	} {
		facts, err := translated(formatOrder, orderOf("UNSHIPPED", c.told))
		if err != nil {
			t.Errorf("%s: %v", c.told, err)
			continue
		}
		o := facts.Orders[0]
		got := []string{o.Status.String(), o.PaymentStatus.String(), o.FulfilmentStatus.String()}
		want := []string{"ORDER_STATUS_" + c.order, "PAYMENT_STATUS_" + c.payment, "FULFILMENT_STATUS_" + c.fulfilment}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", c.told, diff)
		}
	}
}

// TestWhatIsReserved: units of a line by what Amazon says of them.
func TestWhatIsReserved(t *testing.T) {
	executed := `"cancellation":{"cancellationExecution":{"cancelledBy":"MERCHANT"}},"fulfillment":{"quantityFulfilled"`
	for _, c := range []struct {
		name               string
		changes            []string
		removed, fulfilled int64
		stocked            bool
	}{
		{"as it is", nil, 0, 0, true},
		{"shipped by Amazon", []string{`"fulfilledBy":"MERCHANT"`, `"fulfilledBy":"AMAZON"`}, 0, 0, false},
		{"nobody says who ships", []string{`,"fulfilledBy":"MERCHANT"`, ``}, 0, 0, true},
		{"pending: nothing to ship yet, and not cancelled", []string{"UNSHIPPED", "PENDING", `"quantityUnfulfilled":2`, `"quantityUnfulfilled":0`}, 0, 0, true},
		{"one shipped", []string{`"quantityFulfilled":0,"quantityUnfulfilled":2`, `"quantityFulfilled":1,"quantityUnfulfilled":1`}, 0, 1, true},
		{"one cancelled", []string{`"fulfillment":{"quantityFulfilled"`, executed, `"quantityUnfulfilled":2`, `"quantityUnfulfilled":1`}, 1, 0, true},
		{"cancellation without figures", []string{`"fulfillment":{"quantityFulfilled":0,"quantityUnfulfilled":2}`, `"cancellation":{"cancellationExecution":{"cancelledBy":"BUYER"}}`}, 0, 0, true},
		{"a request is no cancellation", []string{`"fulfillment":{"quantityFulfilled"`, `"cancellation":{"cancellationRequest":{"requester":"BUYER"}},"fulfillment":{"quantityFulfilled"`, `"quantityUnfulfilled":2`, `"quantityUnfulfilled":1`}, 0, 0, true},
	} {
		facts, err := translated(formatOrder, orderOf(c.changes...))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		l := facts.Orders[0].Lines[0]
		if l.Removed != c.removed || l.Fulfilled != c.fulfilled || l.Stocked != c.stocked {
			t.Errorf("%s: removed %d, fulfilled %d, stocked %v, want %d, %d, %v", c.name, l.Removed, l.Fulfilled, l.Stocked, c.removed, c.fulfilled, c.stocked)
		}
	}
}

// TestMoney: amounts that do not fit together are refused, with the place.
func TestMoney(t *testing.T) {
	parts := func(text string) []string {
		return []string{`[{"type":"ITEM","subtotal":{"amount":"20.00","currencyCode":"GBP"}}]`, "[" + strings.ReplaceAll(text, "£", `"currencyCode":"GBP"`) + "]"}
	}
	for _, c := range []struct {
		name    string
		changes []string
		// refused is a part of the error; "" = it is taken.
		refused string
		within  bool
		total   int64
	}{
		{"plain", nil, "", false, 2000},
		{"tax on top", append(parts(`{"type":"ITEM","subtotal":{"amount":"16.00",£}},{"type":"TAX","subtotal":{"amount":"4.00",£}}`), "x", "x"), "", false, 2000},
		{"tax within", parts(`{"type":"ITEM","subtotal":{"amount":"20.00",£}},{"type":"TAX","subtotal":{"amount":"3.33",£}}`), "", true, 2000},
		{"a discount below zero", parts(`{"type":"ITEM","subtotal":{"amount":"25.00",£}},{"type":"DISCOUNT","subtotal":{"amount":"-5.00",£}}`), "", false, 2000},
		{"a discount above zero", parts(`{"type":"ITEM","subtotal":{"amount":"25.00",£}},{"type":"DISCOUNT","subtotal":{"amount":"5.00",£}}`), "", false, 2000},
		{"a fee that is new", parts(`{"type":"ITEM","subtotal":{"amount":"19.00",£}},{"type":"DEPOSIT","subtotal":{"amount":"1.00",£}}`), "", false, 2000},
		{"cash on delivery", parts(`{"type":"ITEM","subtotal":{"amount":"19.00",£}},{"type":"COD_FEE","subtotal":{"amount":"1.00",£}}`), "", false, 2000},
		{"a third of it", []string{`"quantityOrdered":2`, `"quantityOrdered":3`}, "", false, 2000},
		{"the item does not add up", parts(`{"type":"ITEM","subtotal":{"amount":"19.99",£}}`), "order item 1: its parts make 1999 and its proceedsTotal is 2000", false, 0},
		{"the order does not add up", []string{`"grandTotal":{"amount":"20.00"`, `"grandTotal":{"amount":"20.01"`}, "proceeds.grandTotal is 2001 and the items make 2000", false, 0},
		{"two currencies", []string{`"unitPrice":{"amount":"10.00","currencyCode":"GBP"}`, `"unitPrice":{"amount":"10.00","currencyCode":"EUR"}`}, `"EUR"`, false, 0},
		{"a comma", []string{`"amount":"20.00"`, `"amount":"20,00"`}, "not a decimal number", false, 0},
		{"more than the currency has", []string{`"amount":"20.00"`, `"amount":"20.001"`}, "more decimals", false, 0},
		{"beyond int64", []string{`"amount":"20.00"`, `"amount":"99999999999999999999"`}, "out of range", false, 0},
		{"an unknown currency", []string{`GBP`, `XXQ`}, "unknown currency", false, 0},
		{"a time without a zone", []string{`"lastUpdatedTime":"2026-11-01T10:00:00Z"`, `"lastUpdatedTime":"2026-11-01T10:00:00"`}, "zone", false, 0},
		{"a quantity beyond int64", []string{`"quantityOrdered":2`, `"quantityOrdered":99999999999999999999`}, "64 bits", false, 0},
		{"a quantity below zero", []string{`"quantityOrdered":2`, `"quantityOrdered":-2`}, "below zero", false, 0},
		{"an id twice", []string{`"orderId":"202-1-1"`, `"orderId":"202-1-1","orderId":"202-1-2"`}, "twice", false, 0},
		{"no id", []string{`"orderId":"202-1-1",`, ``}, "orderId", false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			facts, err := translated(formatOrder, orderOf(c.changes...))
			if c.refused != "" {
				if !errors.Is(err, connectors.ErrMalformed) || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("got %v, want ErrMalformed with %q", err, c.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			o := facts.Orders[0]
			if err := addsUp(o); err != nil {
				t.Error(err)
			}
			if o.TaxesIncluded != c.within || o.Total.Minor != c.total {
				t.Errorf("taxes within %v, total %d, want %v and %d", o.TaxesIncluded, o.Total.Minor, c.within, c.total)
			}
		})
	}
}

// TestBothWaysTellTheSame: an order by its id and the same from the list are equal facts.
func TestBothWaysTellTheSame(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	s.Subscribe(simulator.OrderChange)
	if _, err := s.PlaceOrder(simulator.OrderSpec{
		Name: "SO-1", Customer: buyer, Shipping: home, Paid: true, Delivery: "3.00", DiscountCode: "AUTUMN", Discount: "1.01", TaxRate: "0.2",
		Lines: []simulator.LineSpec{{SKU: "85123A", Quantity: 2}, {SKU: "MUG/red 1", Quantity: 1}},
	}); err != nil {
		t.Fatal(err)
	}
	s.clock.Add(5 * time.Minute)
	raws, _ := s.poll(t, connectors.Orders, connectors.PollRequest{})
	if len(raws) != 2 {
		t.Fatalf("%d records, want one by notification and one by the list", len(raws))
	}
	one, two := s.translate(t, raws[0]).Orders[0], s.translate(t, raws[1]).Orders[0]
	if !one.EqualVT(two) {
		t.Errorf("two facts of one order:\n%v\n%v", one, two)
	}
	if err := addsUp(one); err != nil {
		t.Error(err)
	}
	if got := one.Total.Minor; got != 1198 {
		t.Errorf("total %d, want 1198: 2×2.55 + 3.39 − 1.01, and a fifth of it, and 3.00", got)
	}
}

// TestPersonalDataIsInOnePlace: nothing that names a person stands anywhere else.
func TestPersonalDataIsInOnePlace(t *testing.T) {
	body, err := os.ReadFile("testdata/records/order-full.json")
	if err != nil {
		t.Fatal(err)
	}
	facts, err := translated(formatOrder, string(body))
	if err != nil {
		t.Fatal(err)
	}
	o := facts.Orders[0]
	if o.Personal.GetEmail() == "" || o.BuyerId == "" {
		t.Fatalf("no personal data at all: %v", o.Personal)
	}
	o.Personal = nil
	text := fmt.Sprint(o)
	for _, secret := range []string{"Zoë", "x7k2", "High Street", "7946", "1aa", "1AA"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q stands outside of the personal data: %s", secret, text)
		}
	}
}

// TestServices: what is no goods moves no stock, as a line and as a listing; all else does.
func TestServices(t *testing.T) {
	listing := func(sku string) string {
		return `{"sku":"` + sku + `","summaries":[{"marketplaceId":"A1F83G8C2ARO7P","lastUpdatedDate":"2026-11-01T10:00:00Z"}],"fulfillmentAvailability":[{"fulfillmentChannelCode":"DEFAULT","quantity":3}]}`
	}
	tr := &translator{markets: []string{"A1F83G8C2ARO7P"}, services: []string{"POST", "FEE"}}
	for sku, stocked := range map[string]bool{"S": true, "POST": false, "FEE": false, "post": true} {
		for format, body := range map[string]string{formatOrder: orderOf(`"sellerSku":"S"`, `"sellerSku":"`+sku+`"`), formatListing: listing(sku)} {
			facts, err := tr.Translate(&connectors.Record{Account: "a", Object: "x", Format: format, Body: []byte(body)})
			if err != nil {
				t.Fatal(err)
			}
			var got bool
			if format == formatOrder {
				got = facts.Orders[0].Lines[0].Stocked
			} else {
				got = facts.Products[0].Listings[0].Stocked
			}
			if got != stocked {
				t.Errorf("%s of %s: stocked %v, want %v", format, sku, got, stocked)
			}
		}
	}
}
