package ebay

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/ebay/simulator"
	"github.com/helloword/crossdock/schemas/event"
)

func read(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/records/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func translateOrder(body string) (*event.Order, error) {
	facts, err := (&translator{}).Translate(&connectors.Record{Account: "a", Object: "o", Format: formatOrder, Body: []byte(body)})
	if err != nil {
		return nil, err
	}
	return facts.Orders[0], nil
}

// TestBadOrders: one thing is wrong with each; the error names the place.
func TestBadOrders(t *testing.T) {
	good := read(t, "order-paid")
	for _, tt := range []struct{ name, old, new, says string }{
		{"a cent too much", `"total":{"value":"32.32"`, `"total":{"value":"32.33"`, "pricingSummary.total is 3233, its parts add up to 3232"},
		{"lines do not add up", `"priceSubtotal":{"value":"25.93"`, `"priceSubtotal":{"value":"25.92"`, "priceSubtotal"},
		{"a comma", `"value":"20.94"`, `"value":"20,94"`, "lineItemCost"},
		{"half a penny", `"value":"20.94"`, `"value":"20.945"`, "lineItemCost"},
		{"beyond int64", `"value":"20.94"`, `"value":"99999999999999999999.00"`, "lineItemCost"},
		{"another currency", `"priceDiscount":{"value":"-2.00","currency":"GBP"}`, `"priceDiscount":{"value":"-2.00","currency":"EUR"}`, "priceDiscount is in EUR"},
		{"no currency at all", `"total":{"value":"32.32","currency":"GBP"}`, `"total":{"value":"32.32"}`, "pricingSummary.total"},
		{"unknown currency", `"total":{"value":"32.32","currency":"GBP"}`, `"total":{"value":"32.32","currency":"XYZ"}`, `"XYZ" is not known`},
		{"no zone", `"lastModifiedDate":"2026-11-01T10:16:02.456Z"`, `"lastModifiedDate":"2026-11-01T10:16:02.456"`, "lastModifiedDate"},
		{"no id", `"orderId":"12-34567-89012",`, ``, "orderId"},
		{"no units", `"quantity":3`, `"quantity":0`, "0 units"},
		{"units beyond int64", `"quantity":3`, `"quantity":99999999999999999999`, "quantity"},
		{"half a unit", `"quantity":3`, `"quantity":1.5`, "quantity"},
		{"twice", `"orderId":"12-34567-89012",`, `"orderId":"12-34567-89012","orderId":"x",`, "orderId"},
		{"neither sku nor item", `"legacyItemId":"223456789012",`, ``, "legacyItemId"},
		{"no lines", `"lineItems":[`, `"lineItems":[],"other":[`, "lineItems"},
		{"no order", `{"order":`, `{"other":`, "order is missing"},
	} {
		body := strings.Replace(good, tt.old, tt.new, 1)
		if body == good {
			t.Fatalf("%s: the record has no %s", tt.name, tt.old)
		}
		_, err := translateOrder(body)
		if !errors.Is(err, connectors.ErrMalformed) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got %v, want ErrMalformed with %q", tt.name, err, tt.says)
		}
	}
}

// TestTotals: the parts that eBay may leave out or show twice.
func TestTotals(t *testing.T) {
	good := read(t, "order-paid")
	change := func(pairs ...string) string {
		body := good
		for i := 0; i < len(pairs); i += 2 {
			if !strings.Contains(body, pairs[i]) {
				t.Fatalf("the record has no %s", pairs[i])
			}
			body = strings.Replace(body, pairs[i], pairs[i+1], 1)
		}
		return body
	}
	taxed := `"taxes":[{"amount":{"value":"4.39","currency":"GBP"},"taxType":"VAT"}]`
	for _, tt := range []struct {
		name, body    string
		tax, shipping int64
	}{
		{"as it is", good, 539, 395},
		{"members in another order", change(`"value":"32.32","currency":"GBP"`, `"currency":"GBP","value":"32.32"`), 539, 395},
		// Remitted tax in the total, and in no list of taxes and not in the tax.
		{"remitted beside the tax", change(`"tax":{"value":"5.39"`, `"tax":{"value":"1.00"`, taxed, `"taxes":[]`), 539, 395},
		// An adjustment of one pound less, told as -1 and as 1.
		{"adjustment with its sign", change(`"total":{"value":"32.32","currency":"GBP"}},"cancel`, `"adjustment":{"value":"-1.00","currency":"GBP"},"total":{"value":"31.32","currency":"GBP"}},"cancel`), 539, 395},
		{"adjustment taken off", change(`"total":{"value":"32.32","currency":"GBP"}},"cancel`, `"adjustment":{"value":"1.00","currency":"GBP"},"total":{"value":"31.32","currency":"GBP"}},"cancel`), 539, 395},
		// Import charges in the total, and not in the delivery.
		{"import charges", change(`"value":"32.32","currency":"GBP"}},"cancel`, `"value":"34.32","currency":"GBP"}},"cancel`,
			`"shippingCost":{"value":"3.00","currency":"GBP"}`, `"shippingCost":{"value":"3.00","currency":"GBP"},"importCharges":{"value":"2.00","currency":"GBP"}`), 539, 595},
	} {
		o, err := translateOrder(tt.body)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if o.TotalTax.GetMinor() != tt.tax || o.TotalShipping.GetMinor() != tt.shipping {
			t.Errorf("%s: tax %d, shipping %d, want %d and %d", tt.name, o.TotalTax.GetMinor(), o.TotalShipping.GetMinor(), tt.tax, tt.shipping)
		}
		adds(t, o)
	}
}

// adds checks that an order's parts are its total.
func adds(t *testing.T, o *event.Order) {
	t.Helper()
	lines, taxes := int64(0), int64(0)
	for _, l := range o.Lines {
		lines += l.Total.GetMinor()
	}
	for _, x := range o.Taxes {
		taxes += x.Amount.GetMinor()
	}
	if got := lines + o.TotalShipping.GetMinor() + o.TotalTax.GetMinor() - o.TotalDiscounts.GetMinor(); got != o.Total.GetMinor() {
		t.Errorf("order %s: its parts are %d, its total %d", o.Id, got, o.Total.GetMinor())
	}
	if taxes != o.TotalTax.GetMinor() {
		t.Errorf("order %s: its taxes are %d, their total %d", o.Id, taxes, o.TotalTax.GetMinor())
	}
}

// TestOrdersOfTheSimulator: whatever is bought, the facts say what was bought.
func TestOrdersOfTheSimulator(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	specs := []simulator.OrderSpec{
		{Lines: []simulator.LineSpec{{Variant: "85123A", Quantity: 7}}, Delivery: "4.95"},
		{Lines: []simulator.LineSpec{{Variant: "85123A", Quantity: 3}, {Variant: "MUG-R", Quantity: 2, Price: "3.33"}}, Discount: "1.01", TaxRate: "0.2"},
		{Lines: []simulator.LineSpec{{Variant: "MUG-R", Quantity: 1}}, TaxRate: "0.0725", Remitted: true, TaxType: "STATE_SALES_TAX"},
		{Lines: []simulator.LineSpec{{Title: "Old listing", Price: "9.99", Quantity: 1}}, Customer: buyer, Shipping: home},
	}
	want := map[string]simulator.OrderSpec{}
	for _, spec := range specs {
		spec.Paid = true
		id, err := s.PlaceOrder(spec)
		if err != nil {
			t.Fatal(err)
		}
		want[id] = spec
	}
	s.clock.Add(time.Minute)
	raws, _ := s.poll(t, connectors.Orders, connectors.PollRequest{})
	for _, f := range s.translate(t, raws) {
		o := f.Orders[0]
		spec := want[o.Id]
		truth, _ := s.Order(o.Id)
		adds(t, o)
		if o.Total.GetMinor() != truth.Total || len(o.Lines) != len(spec.Lines) {
			t.Errorf("order %s: total %d of %d lines, want %d of %d", o.Id, o.Total.GetMinor(), len(o.Lines), truth.Total, len(spec.Lines))
		}
		for i, l := range o.Lines {
			if l.Quantity != spec.Lines[i].Quantity || l.PlatformSku != spec.Lines[i].Variant || l.Total.GetMinor() != truth.Lines[i].Total || !l.Stocked {
				t.Errorf("order %s, line %d: %v", o.Id, i, l)
			}
			for _, x := range l.Taxes {
				if x.RemittedByPlatform != spec.Remitted {
					t.Errorf("order %s: tax %v, remitted %v", o.Id, x, spec.Remitted)
				}
			}
		}
		if spec.Customer != nil && (o.Personal.Name != "Zoë O'Neil" || o.Personal.Email != "zoe@example.com" || o.Destination.PostcodePrefix != "SW1" || o.Destination.Country != "GB") {
			t.Errorf("order %s: %v, %v", o.Id, o.Personal, o.Destination)
		}
	}
}

// TestPersonalDataStaysTogether: nothing that names a person stands outside of PersonalData.
func TestPersonalDataStaysTogether(t *testing.T) {
	o, err := translateOrder(read(t, "order-paid"))
	if err != nil {
		t.Fatal(err)
	}
	o.Personal = nil
	text := o.String()
	for _, word := range []string{"Mabel Example", "Mill Lane", "Leeds", "496 0001", "@", "4DY"} {
		if strings.Contains(text, word) {
			t.Errorf("%q stands outside of PersonalData: %s", word, text)
		}
	}
}

func TestStatuses(t *testing.T) {
	good := read(t, "order-paid")
	for _, tt := range []struct {
		payment, cancel, fulfilment string
		status                      event.OrderStatus
		paid                        event.PaymentStatus
		done                        event.FulfilmentStatus
	}{
		{"PAID", "NONE_REQUESTED", "NOT_STARTED", event.OrderStatus_ORDER_STATUS_OPEN, event.PaymentStatus_PAYMENT_STATUS_PAID, event.FulfilmentStatus_FULFILMENT_STATUS_UNFULFILLED},
		{"PENDING", "NONE_REQUESTED", "NOT_STARTED", event.OrderStatus_ORDER_STATUS_ON_HOLD, event.PaymentStatus_PAYMENT_STATUS_PENDING, event.FulfilmentStatus_FULFILMENT_STATUS_UNFULFILLED},
		{"FAILED", "NONE_REQUESTED", "IN_PROGRESS", event.OrderStatus_ORDER_STATUS_OPEN, event.PaymentStatus_PAYMENT_STATUS_PAID, event.FulfilmentStatus_FULFILMENT_STATUS_PARTIAL},
		{"PARTIALLY_REFUNDED", "IN_PROGRESS", "FULFILLED", event.OrderStatus_ORDER_STATUS_ON_HOLD, event.PaymentStatus_PAYMENT_STATUS_PARTIALLY_REFUNDED, event.FulfilmentStatus_FULFILMENT_STATUS_FULFILLED},
		{"FULLY_REFUNDED", "CANCELED", "NOT_STARTED", event.OrderStatus_ORDER_STATUS_CANCELLED, event.PaymentStatus_PAYMENT_STATUS_REFUNDED, event.FulfilmentStatus_FULFILMENT_STATUS_RESTOCKED},
		{"PAID", "NONE_REQUESTED", "FULFILLED", event.OrderStatus_ORDER_STATUS_CLOSED, event.PaymentStatus_PAYMENT_STATUS_PAID, event.FulfilmentStatus_FULFILMENT_STATUS_FULFILLED},
		{"NEW_ONE", "NEW_ONE", "NEW_ONE", event.OrderStatus_ORDER_STATUS_ON_HOLD, event.PaymentStatus_PAYMENT_STATUS_UNSPECIFIED, event.FulfilmentStatus_FULFILMENT_STATUS_UNSPECIFIED},
	} {
		body := strings.NewReplacer(`"orderPaymentStatus":"PAID"`, `"orderPaymentStatus":"`+tt.payment+`"`, `"cancelState":"NONE_REQUESTED"`, `"cancelState":"`+tt.cancel+`"`,
			`"orderFulfillmentStatus":"NOT_STARTED"`, `"orderFulfillmentStatus":"`+tt.fulfilment+`"`).Replace(good)
		o, err := translateOrder(body)
		if err != nil {
			t.Errorf("%+v: %v", tt, err)
			continue
		}
		if o.Status != tt.status || o.PaymentStatus != tt.paid || o.FulfilmentStatus != tt.done {
			t.Errorf("%s %s %s: got %s, %s, %s", tt.payment, tt.cancel, tt.fulfilment, o.Status, o.PaymentStatus, o.FulfilmentStatus)
		}
		if tt.cancel == "CANCELED" && o.CancelledMs != o.UpdatedMs {
			t.Errorf("cancelled at %d: without a date it is the change's, %d", o.CancelledMs, o.UpdatedMs)
		}
		for _, l := range o.Lines {
			// A cancelled order has nothing left to ship.
			if gone := tt.cancel == "CANCELED"; gone && l.Removed != l.Quantity-l.Fulfilled || !gone && l.Removed != 0 {
				t.Errorf("%s: of line %s %d of %d units were taken out", tt.cancel, l.Id, l.Removed, l.Quantity)
			}
		}
	}
}

// TestRefundsCountOnce: eBay says some refunds twice, some without an id, and some before
// they are done.
func TestRefundsCountOnce(t *testing.T) {
	const (
		seven = `"2026-11-09T07:00:00.000Z"`
		eight = `"2026-11-09T08:00:00.000Z"`
	)
	refund := func(members ...string) string { return "{" + strings.Join(members, ",") + "}" }
	at := func(t string) string { return `"refundDate":` + t }
	id := func(v string) string { return `"refundId":"` + v + `"` }
	ref := func(v string) string { return `"refundReferenceId":"` + v + `"` }
	worth := func(v string) string { return `"amount":{"value":"` + v + `","currency":"GBP"}` }
	state := func(v string) string { return `"refundStatus":"` + v + `"` }
	for _, tt := range []struct {
		name, line, order string
		want              string // id:minor:lines
	}{
		{"none", "", "", ""},
		{"of a line, twice with its id", refund(id("R1"), worth("1.00"), at(seven)), refund(id("R1"), worth("1.00"), at(seven), state("REFUNDED")), "R1:100:1"},
		{"of a line, without an id at the order", refund(id("R1"), worth("1.00"), at(seven)), refund(ref("X"), worth("1.00"), at(seven), state("REFUNDED")), "R1:100:1"},
		{"the same amount, another date", refund(id("R1"), worth("1.00"), at(seven)), refund(worth("1.00"), at(eight), state("REFUNDED")), "R1:100:1"},
		{"the order's is larger: shipping is in it", refund(id("R1"), worth("1.00"), at(seven)), refund(worth("1.50"), at(seven), state("REFUNDED")), "R1:150:1"},
		{"without any id", refund(worth("1.00"), at(seven)), refund(id("R1"), worth("1.00"), at(seven), state("REFUNDED")), "at-1794207600000:100:1"},
		{"only at the line", refund(id("R1"), worth("1.00"), at(seven)), "", "R1:100:1"},
		{"only at the order", "", refund(ref("X"), worth("1.00"), at(seven), state("REFUNDED")), "X:100:0"},
		{"two different ones", refund(id("R1"), worth("1.00"), at(seven)), refund(id("R2"), worth("1.00"), at(seven), state("REFUNDED")), "R1:100:1 R2:100:0"},
		{"under way", refund(id("R1"), worth("1.00")), refund(id("R1"), worth("1.00"), state("PENDING")), ""},
		{"failed", "", refund(id("R1"), worth("1.00"), at(seven), state("FAILED")), ""},
		{"a minus", "", refund(id("R1"), worth("-1.00"), at(seven), state("REFUNDED")), "R1:100:0"},
	} {
		body := strings.Replace(read(t, "order-paid"), `"refunds":[],"properties"`, `"refunds":[`+tt.line+`],"properties"`, 1)
		body = strings.Replace(body, `"refunds":[],"payments"`, `"refunds":[`+tt.order+`],"payments"`, 1)
		o, err := translateOrder(body)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var got []string
		for _, r := range o.Refunds {
			got = append(got, r.Id+":"+itoa(r.Total.GetMinor())+":"+itoa(int64(len(r.Lines))))
			if r.OrderId != o.Id || r.CreatedMs == 0 {
				t.Errorf("%s: %v", tt.name, r)
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, strings.Join(got, " "), tt.want)
		}
	}
}

// TestStocked: nothing of ours leaves for codes, and for what eBay sends itself.
func TestStocked(t *testing.T) {
	good := read(t, "order-paid")
	for name, tt := range map[string]struct {
		body string
		want bool
	}{
		"goods":   {good, true},
		"digital": {strings.Replace(good, `"SHIP_TO"`, `"DIGITAL"`, 1), false},
		"a gift":  {strings.Replace(good, `"sku":"FRAME-10x15",`, `"sku":"FRAME-10x15","giftDetails":{"message":"x"},`, 1), false},
		"by ebay": {strings.Replace(good, `"SHIP_TO"`, `"FULFILLED_BY_EBAY"`, 1), false},
	} {
		o, err := translateOrder(tt.body)
		if err != nil || o.Lines[0].Stocked != tt.want {
			t.Errorf("%s: %v, stocked %v, want %v", name, err, o.GetLines()[0].GetStocked(), tt.want)
		}
	}
}

// TestServices: what is no goods moves no stock, as a line and as a listing; all else does.
func TestServices(t *testing.T) {
	for _, tt := range []struct {
		services []string
		stocked  bool
	}{{nil, true}, {[]string{"frame-10x15", "FEE"}, true}, {[]string{"FEE", "FRAME-10x15"}, false}} {
		tr := &translator{services: tt.services}
		sold, err := tr.Translate(&connectors.Record{Account: "a", Object: "o", Format: formatOrder, Body: []byte(read(t, "order-paid"))})
		if err != nil {
			t.Fatal(err)
		}
		offered, err := tr.Translate(&connectors.Record{Account: "a", Object: "p", Format: formatProduct, Body: []byte(read(t, "product-published")), SourceTime: time.Unix(1_800_000_000, 0)})
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range sold.Orders[0].Lines {
			if want := tt.stocked || l.PlatformSku != "FRAME-10x15"; l.Stocked != want {
				t.Errorf("services %v: the line of %q is stocked: %v, want %v", tt.services, l.PlatformSku, l.Stocked, want)
			}
		}
		if got := offered.Products[0].Listings[0].Stocked; got != tt.stocked {
			t.Errorf("services %v: the listing is stocked: %v, want %v", tt.services, got, tt.stocked)
		}
	}
}
