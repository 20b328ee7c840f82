package woocommerce

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// anOrder is a small order with members replaced or added.
func anOrder(change map[string]string) []byte {
	members := []string{"id", "currency", "status", "date_modified_gmt", "date_created_gmt", "total", "total_tax", "line_items"}
	values := map[string]string{
		"id": "7", "currency": `"EUR"`, "status": `"processing"`, "date_modified_gmt": `"2026-11-20T08:13:02"`, "date_created_gmt": `"2026-11-20T08:12:44"`,
		"total": `"20.00"`, "total_tax": `"0.00"`, "line_items": `[{"id":1,"name":"Mug","product_id":9,"variation_id":0,"quantity":2,"subtotal":"20.00","total":"20.00","taxes":[],"meta_data":[],"sku":"MUG"}]`,
	}
	var extra []string
	for name, v := range change {
		if _, ok := values[name]; !ok {
			extra = append(extra, name)
		}
		values[name] = v
	}
	var parts []string
	for _, name := range append(members, extra...) {
		if values[name] != "-" {
			parts = append(parts, fmt.Sprintf("%q:%s", name, values[name]))
		}
	}
	return []byte("{" + strings.Join(parts, ",") + "}")
}

func translate(t testing.TB, format string, body []byte) (connectors.Facts, error) {
	t.Helper()
	tr := &translator{currency: "EUR", statuses: map[string]string{"shipped": "completed", "parked": "ignored"}}
	return tr.Translate(&connectors.Record{Account: "a", Object: "o", Format: format, Body: body})
}

func TestOrderRefused(t *testing.T) {
	line := func(with string) string { return `[{"id":1,"quantity":1,"product_id":9,` + with + `}]` }
	for _, tc := range []struct {
		name   string
		change map[string]string
		want   error
		text   string
	}{
		{"no id", map[string]string{"id": "-"}, connectors.ErrMalformed, "id and status"},
		{"no currency", map[string]string{"currency": "-"}, connectors.ErrMalformed, "names no currency"},
		{"unknown currency", map[string]string{"currency": `"XYZ"`}, connectors.ErrMalformed, `"XYZ" is not known`},
		{"currency that is no money", map[string]string{"currency": `"BTC"`}, connectors.ErrMalformed, `"BTC" is not known`},
		{"a plugin's status", map[string]string{"status": `"awaiting-pickup"`}, connectors.ErrUnsupported, "say under statuses"},
		{"a comma", map[string]string{"total": `"20,00"`}, connectors.ErrMalformed, "$.total"},
		{"finer than the currency", map[string]string{"total": `"20.001"`}, connectors.ErrMalformed, "more decimals"},
		{"beyond 64 bits", map[string]string{"total": `"99999999999999999999.00"`}, connectors.ErrMalformed, "$.total"},
		{"an id beyond 64 bits", map[string]string{"id": "123456789012345678901"}, connectors.ErrMalformed, "is not an id"},
		{"a date with a zone of its own", map[string]string{"date_modified_gmt": `"2026-11-20T08:13:02+01:00"`}, connectors.ErrMalformed, "$.date_modified_gmt"},
		{"a date that is none", map[string]string{"date_modified_gmt": `"0000-00-00T00:00:00"`}, connectors.ErrMalformed, "$.date_modified_gmt"},
		{"no date at all", map[string]string{"date_modified_gmt": "null", "date_created_gmt": "null"}, connectors.ErrMalformed, "date_modified_gmt"},
		{"a key twice", map[string]string{"id": `7,"id":8`}, connectors.ErrMalformed, "twice"},
		{"it does not add up", map[string]string{"total": `"25.00"`}, connectors.ErrMalformed, "its total is 2500"},
		{"half a unit sold", map[string]string{"line_items": `[{"id":1,"quantity":0.5,"subtotal":"20.00","total":"20.00"}]`}, connectors.ErrMalformed, "quantity"},
		{"less than none sold", map[string]string{"line_items": `[{"id":1,"quantity":-1,"subtotal":"20.00","total":"20.00"}]`}, connectors.ErrMalformed, "-1 units"},
		{"more units than there are", map[string]string{"line_items": `[{"id":1,"quantity":9200000000000000000,"subtotal":"20.00","total":"20.00"}]`}, connectors.ErrMalformed, "9200000000000000000 units"},
		{"a line without an id", map[string]string{"line_items": `[{"quantity":1,"subtotal":"20.00","total":"20.00"}]`}, connectors.ErrMalformed, "a line needs an id"},
		{"units that are no number", map[string]string{"line_items": line(`"subtotal":"20.00","total":"20.00","meta_data":[{"key":"_restock_refunded_items","value":"some"}]`)}, connectors.ErrMalformed, "is not a count"},
		{"lines that are no list", map[string]string{"line_items": `{"0":{"id":1}}`}, connectors.ErrMalformed, "$.line_items"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := translate(t, formatOrder, anOrder(tc.change))
			if !errors.Is(err, tc.want) || !strings.Contains(fmt.Sprint(err), tc.text) {
				t.Errorf("got %v, want %v naming %q", err, tc.want, tc.text)
			}
		})
	}
}

func TestOrderStatuses(t *testing.T) {
	const completed = `"2026-11-20T08:13:02"`
	for _, tc := range []struct {
		name    string
		change  map[string]string
		status  event.OrderStatus
		payment event.PaymentStatus
		shipped event.FulfilmentStatus
	}{
		{"pending", map[string]string{"status": `"pending"`}, event.OrderStatus_ORDER_STATUS_OPEN, event.PaymentStatus_PAYMENT_STATUS_PENDING, event.FulfilmentStatus_FULFILMENT_STATUS_UNFULFILLED},
		{"paid", map[string]string{"date_paid_gmt": completed}, event.OrderStatus_ORDER_STATUS_OPEN, event.PaymentStatus_PAYMENT_STATUS_PAID, event.FulfilmentStatus_FULFILMENT_STATUS_UNFULFILLED},
		{"cash on delivery", nil, event.OrderStatus_ORDER_STATUS_OPEN, event.PaymentStatus_PAYMENT_STATUS_PENDING, event.FulfilmentStatus_FULFILMENT_STATUS_UNFULFILLED},
		{"on hold", map[string]string{"status": `"on-hold"`}, event.OrderStatus_ORDER_STATUS_ON_HOLD, event.PaymentStatus_PAYMENT_STATUS_PENDING, event.FulfilmentStatus_FULFILMENT_STATUS_UNFULFILLED},
		{"completed", map[string]string{"status": `"completed"`, "date_paid_gmt": completed, "date_completed_gmt": completed}, event.OrderStatus_ORDER_STATUS_CLOSED, event.PaymentStatus_PAYMENT_STATUS_PAID, event.FulfilmentStatus_FULFILMENT_STATUS_FULFILLED},
		{"a plugin's", map[string]string{"status": `"shipped"`}, event.OrderStatus_ORDER_STATUS_CLOSED, event.PaymentStatus_PAYMENT_STATUS_PENDING, event.FulfilmentStatus_FULFILMENT_STATUS_FULFILLED},
		{"cancelled", map[string]string{"status": `"cancelled"`}, event.OrderStatus_ORDER_STATUS_CANCELLED, event.PaymentStatus_PAYMENT_STATUS_VOIDED, event.FulfilmentStatus_FULFILMENT_STATUS_RESTOCKED},
		{"failed", map[string]string{"status": `"failed"`}, event.OrderStatus_ORDER_STATUS_CANCELLED, event.PaymentStatus_PAYMENT_STATUS_VOIDED, event.FulfilmentStatus_FULFILMENT_STATUS_RESTOCKED},
		{"trash", map[string]string{"status": `"trash"`, "date_paid_gmt": completed}, event.OrderStatus_ORDER_STATUS_CANCELLED, event.PaymentStatus_PAYMENT_STATUS_PAID, event.FulfilmentStatus_FULFILMENT_STATUS_RESTOCKED},
		{"refunded before it left", map[string]string{"status": `"refunded"`, "refunds": `[{"id":1,"total":"-20.00"}]`}, event.OrderStatus_ORDER_STATUS_CLOSED, event.PaymentStatus_PAYMENT_STATUS_REFUNDED, event.FulfilmentStatus_FULFILMENT_STATUS_UNFULFILLED},
		{"refunded after", map[string]string{"status": `"refunded"`, "date_completed_gmt": completed, "refunds": `[{"id":1,"total":"-20.00"}]`}, event.OrderStatus_ORDER_STATUS_CLOSED, event.PaymentStatus_PAYMENT_STATUS_REFUNDED, event.FulfilmentStatus_FULFILMENT_STATUS_FULFILLED},
		{"a part refunded", map[string]string{"refunds": `[{"id":1,"total":"-5.00"}]`, "date_paid_gmt": completed}, event.OrderStatus_ORDER_STATUS_OPEN, event.PaymentStatus_PAYMENT_STATUS_PARTIALLY_REFUNDED, event.FulfilmentStatus_FULFILMENT_STATUS_UNFULFILLED},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := translate(t, formatOrder, anOrder(tc.change))
			if err != nil || len(f.Orders) != 1 {
				t.Fatalf("%d orders, %v", len(f.Orders), err)
			}
			type states struct {
				S event.OrderStatus
				P event.PaymentStatus
				F event.FulfilmentStatus
			}
			o := f.Orders[0]
			if diff := cmp.Diff(states{tc.status, tc.payment, tc.shipped}, states{o.Status, o.PaymentStatus, o.FulfilmentStatus}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if (o.CancelledMs != 0) != (tc.status == event.OrderStatus_ORDER_STATUS_CANCELLED) {
				t.Errorf("cancelled at %d", o.CancelledMs)
			}
			for _, l := range o.Lines {
				// Nothing of a cancelled order is left to ship, as other shops say it of theirs.
				if gone := o.CancelledMs != 0; gone && l.Stocked && l.Removed != l.Quantity || !gone && l.Removed != 0 {
					t.Errorf("of line %s %d of %d units were taken out", l.Id, l.Removed, l.Quantity)
				}
			}
		})
	}
	for _, status := range []string{"checkout-draft", "auto-draft", "parked"} {
		f, err := translate(t, formatOrder, anOrder(map[string]string{"status": `"` + status + `"`}))
		if err != nil || len(f.Orders) != 0 {
			t.Errorf("%s: %d orders, %v; want none", status, len(f.Orders), err)
		}
	}
}

// A voucher that was taken off the total stands nowhere in the lines.
func TestVoucherOffTheTotal(t *testing.T) {
	f, err := translate(t, formatOrder, anOrder(map[string]string{"total": `"12.50"`, "coupon_lines": `[{"id":4,"code":"credit","discount":"7.50","discount_type":"smart_coupon"}]`}))
	if err != nil {
		t.Fatal(err)
	}
	if o := f.Orders[0]; o.TotalDiscounts.Minor != 750 || o.Total.Minor != 1250 || len(o.Discounts) != 1 {
		t.Errorf("discounts %d in %d parts, total %d", o.TotalDiscounts.Minor, len(o.Discounts), o.Total.Minor)
	}
}

// A currency without decimals, and one with three.
func TestDecimalsAreTheCurrencys(t *testing.T) {
	for currency, amount := range map[string]string{"JPY": "2000", "KWD": "2.000", "HUF": "20"} {
		f, err := translate(t, formatOrder, anOrder(map[string]string{
			"currency": `"` + currency + `"`, "total": `"` + amount + `"`, "total_tax": `"0"`,
			"line_items": `[{"id":1,"quantity":1,"product_id":2,"subtotal":"` + amount + `","total":"` + amount + `"}]`,
		}))
		if err != nil || f.Orders[0].Total.Minor != 2000 {
			t.Errorf("%s: %v, %v", currency, f.Orders, err)
		}
	}
}

// The unit price times the quantity rounds to the line's amount, whatever they are.
func TestUnitPriceGivesTheAmount(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		subtotal, quantity := rng.Int64N(1_000_000), 1+rng.Int64N(5000)
		tr := &translation{translator: &translator{}, exponent: 2}
		tr.Reader = jsonread.NewString("{}")
		unit := tr.unitPrice(subtotal, quantity)
		if tr.Err() != nil {
			t.Fatal(tr.Err())
		}
		got, err := money.Mul(unit, quantity, 2)
		if err != nil || got != subtotal {
			t.Fatalf("%d / %d = %d e-%d, which gives %d (%v)", subtotal, quantity, unit.Unscaled, unit.Scale, got, err)
		}
	}
}

func TestRefundsRefused(t *testing.T) {
	const refund = `{"id":1,"date_created_gmt":"2026-11-20T08:13:02","amount":"1.00","line_items":[]}`
	for name, body := range map[string]string{
		"no order":         `{"currency":"EUR","refunds":[` + refund + `]}`,
		"no currency":      `{"order_id":1,"refunds":[` + refund + `]}`,
		"no refunds":       `{"order_id":1,"currency":"EUR"}`,
		"no amount":        `{"order_id":1,"currency":"EUR","refunds":[{"id":1,"date_created_gmt":"2026-11-20T08:13:02"}]}`,
		"no time":          `{"order_id":1,"currency":"EUR","refunds":[{"id":1,"amount":"1.00"}]}`,
		"units above zero": `{"order_id":1,"currency":"EUR","refunds":[{"id":1,"date_created_gmt":"2026-11-20T08:13:02","amount":"1.00","line_items":[{"quantity":2,"total":"-1.00","meta_data":[{"key":"_refunded_item_id","value":"3"}]}]}]}`,
		"unknown currency": `{"order_id":1,"currency":"XYZ","refunds":[` + refund + `]}`,
	} {
		if _, err := translate(t, formatRefunds, []byte(body)); !errors.Is(err, connectors.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
}

func TestProducts(t *testing.T) {
	item := func(with string) string {
		return `{"id":5,"name":"Mug","type":"simple","status":"publish","date_modified_gmt":"2026-11-20T08:13:02","sku":"M","price":"1.5","manage_stock":true,"stock_quantity":4,"parent_id":0,"variations":[]` + with + `}`
	}
	for _, tc := range []struct {
		name, body              string
		products, shown, listed int
		deleted                 int
	}{
		{"simple", item(""), 1, 1, 1, 0},
		{"external", strings.Replace(item(""), "simple", "external", 1), 1, 1, 0, 0},
		{"with variations", strings.Replace(item(""), `"variations":[]`, `"variations":[6,7]`, 1), 0, 0, 0, 0},
		{"a variation", strings.Replace(item(""), `"parent_id":0`, `"parent_id":4`, 1), 0, 1, 0, 0},
		{"no stock kept", strings.Replace(item(""), `"manage_stock":true`, `"manage_stock":false`, 1), 1, 0, 1, 0},
		{"in the trash", strings.Replace(item(""), "publish", "trash", 1), 0, 0, 0, 1},
		{"a price finer than money", strings.Replace(item(""), `"1.5"`, `"1.50501"`, 1), 1, 1, 1, 0},
	} {
		f, err := translate(t, formatProduct, []byte(tc.body))
		listed := 0
		for _, p := range f.Products {
			listed += len(p.Listings)
		}
		got := [4]int{len(f.Products), len(f.Observations), listed, len(f.Deleted)}
		if want := [4]int{tc.products, tc.shown, tc.listed, tc.deleted}; err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", tc.name, got, err, want)
		}
	}
	for name, body := range map[string]string{
		"no id": strings.Replace(item(""), `"id":5,`, "", 1), "a price that is none": strings.Replace(item(""), `"1.5"`, `"1,5"`, 1),
		"no date": strings.Replace(item(""), `"2026-11-20T08:13:02"`, "null", 1), "no object": "[]",
	} {
		if _, err := translate(t, formatProduct, []byte(body)); !errors.Is(err, connectors.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
}

// Whatever the bytes, an order that is taken adds up, and nothing panics.
func FuzzTranslate(f *testing.F) {
	f.Add(formatOrder, anOrder(nil))
	f.Add(formatOrder, orderBody(2))
	f.Add(formatRefunds, []byte(`{"order_id":1,"currency":"EUR","refunds":[{"id":1,"date_created_gmt":"2026-11-20T08:13:02","amount":"1.00","line_items":[{"quantity":-2,"total":"-1.00","meta_data":[{"key":"_refunded_item_id","value":"3"}]}]}]}`))
	f.Add(formatProductWhole, []byte(`{"product":{"id":88,"name":"T","date_modified_gmt":"2026-11-01T11:00:00","type":"variable","variations":[91]},"variations":[{"id":91,"manage_stock":"parent","price":"1"}]}`))
	f.Add(formatStock, []byte(`{"id":91,"parent_id":88,"manage_stock":true,"stock_quantity":-6}`))
	f.Fuzz(func(t *testing.T, format string, body []byte) {
		facts, err := translate(t, format, body)
		if err != nil && !errors.Is(err, connectors.ErrMalformed) && !errors.Is(err, connectors.ErrUnsupported) {
			t.Fatalf("an error of no class: %v", err)
		}
		for _, o := range facts.Orders {
			if sum := o.Subtotal.Minor - o.TotalDiscounts.Minor + o.TotalShipping.Minor + o.TotalTax.Minor; sum != o.Total.Minor {
				t.Errorf("the parts come to %d, the total is %d", sum, o.Total.Minor)
			}
			for _, l := range o.Lines {
				if l.Fulfilled < 0 || l.Removed < 0 || l.Fulfilled+l.Removed > l.Quantity {
					t.Errorf("a line of %d: %d fulfilled, %d removed", l.Quantity, l.Fulfilled, l.Removed)
				}
			}
		}
	})
}

// TestWhoIsCalled: of two telephone numbers that of the parcel's receiver counts, of one the one.
func TestWhoIsCalled(t *testing.T) {
	for _, tc := range []struct{ billing, shipping, want string }{
		{"+49 1", "+49 2", "+49 2"}, {"+49 1", "", "+49 1"}, {"", "+49 2", "+49 2"}, {"", "", ""},
	} {
		f, err := translate(t, formatOrder, anOrder(map[string]string{
			"billing":  `{"first_name":"Ada","city":"Zürich","phone":"` + tc.billing + `"}`,
			"shipping": `{"first_name":"Zoë","city":"Köln","phone":"` + tc.shipping + `"}`,
		}))
		if err != nil || len(f.Orders) != 1 {
			t.Fatalf("%d orders, %v", len(f.Orders), err)
		}
		if got := f.Orders[0].Personal.GetPhone(); got != tc.want {
			t.Errorf("billing %q, shipping %q: %q, want %q", tc.billing, tc.shipping, got, tc.want)
		}
	}
}
