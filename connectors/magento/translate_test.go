package magento

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/testkit"
	"github.com/helloword/crossdock/schemas/event"
)

// translate reads a body in a format.
func translate(t testing.TB, format, body string) (connectors.Facts, error) {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Currency = "EUR"
	return newTranslator(cfg).Translate(&connectors.Record{Account: "acme", Object: "1", Format: format, Body: []byte(body)})
}

// captured is an answer that a real 2.4.7 gave.
func captured(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(testkit.Shared(t, "samples", "magento", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// nodes is the objects of a captured search result.
func nodes(t *testing.T, name string) string {
	t.Helper()
	p, err := readPage(captured(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(p.nodes, ",")
}

func eur(minor int64) *event.Money { return &event.Money{Minor: minor, Currency: "EUR"} }

// An order of two mugs of a real shop: one was shipped, one refunded, and then the second
// shipped as well, which did not move the order's updated_at.
func TestACapturedOrder(t *testing.T) {
	body := fmt.Sprintf(`{"order":%s,"creditmemos":[%s],"shipments":[%s]}`, captured(t, "order-1.json"), nodes(t, "creditmemos.json"), nodes(t, "shipments.json"))
	facts, err := translate(t, formatOrder, body)
	if err != nil {
		t.Fatal(err)
	}
	address := &event.PostalAddress{Name: "Zoë Müller", Street: []string{"Straße 1"}, City: "Berlin", Region: "BER", Postcode: "10115", Country: "DE", Phone: "1"}
	want := &event.Order{
		Connector: "magento", Account: "acme", Id: "1", Name: "000000001",
		CreatedMs: 1795417415000,
		// The order says 07:03:39, its line 07:04:32.
		UpdatedMs: 1795417472000,
		Status:    event.OrderStatus_ORDER_STATUS_CLOSED, PaymentStatus: event.PaymentStatus_PAYMENT_STATUS_PARTIALLY_REFUNDED,
		FulfilmentStatus: event.FulfilmentStatus_FULFILMENT_STATUS_FULFILLED,
		Currency:         "EUR",
		Lines: []*event.OrderLine{{Id: "1", ListingId: "1", ProductId: "1", PlatformSku: "MUG-1", Title: "Mug", Quantity: 2, Fulfilled: 2,
			UnitPrice: &event.Decimal{Unscaled: 125, Scale: 1}, Total: eur(2500), Stocked: true}},
		ShippingLines: []*event.ShippingLine{{Code: "flatrate_flatrate", Title: "Flat Rate - Fixed", Price: eur(1000)}},
		Subtotal:      eur(2500), TotalDiscounts: eur(0), TotalShipping: eur(1000), TotalTax: eur(0), Total: eur(3500),
		Destination: &event.Destination{Country: "DE", Region: "BER", PostcodePrefix: "101"},
		Personal:    &event.PersonalData{Name: "Zoë Müller", Email: "z@example.test", Phone: "1", Shipping: address, Billing: address},
		Refunds: []*event.Refund{{Connector: "magento", Account: "acme", OrderId: "1", Id: "1", CreatedMs: 1795417419000, Note: "000000001", Total: eur(1250),
			// One had been shipped a second before: the refund is of that one.
			Lines: []*event.RefundLine{{OrderLineId: "1", Quantity: 1, Amount: eur(1250), Restock: event.Restock_RESTOCK_NONE}}}},
	}
	if diff := cmp.Diff(want, facts.Orders[0], protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestACapturedProduct(t *testing.T) {
	facts, err := translate(t, formatProduct, nodes(t, "products.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := &event.Product{Connector: "magento", Account: "acme", Id: "1", Title: "Mug", Status: "enabled", UpdatedMs: 1795417411000,
		Listings: []*event.ListingSnapshot{{Id: "1", PlatformSku: "MUG-1", StockId: "MUG-1", Title: "Mug", Price: eur(1400), Stocked: true}}}
	if diff := cmp.Diff(want, facts.Products[0], protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

// orderOf is an order with some members set, the rest as small as it can be.
func orderOf(t testing.TB, members string) (*event.Order, error) {
	t.Helper()
	doc := map[string]any{}
	for _, text := range []string{
		`{"entity_id":7,"increment_id":"000000007","created_at":"2026-11-02 09:00:00","updated_at":"2026-11-02 09:00:01","state":"new","base_currency_code":"EUR","order_currency_code":"EUR",
		"base_grand_total":10,"base_shipping_amount":0,"items":[{"item_id":1,"product_id":11,"product_type":"simple","sku":"A","name":"A","qty_ordered":1,"base_price":10,"base_row_total":10}]}`, members,
	} {
		var m map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Fatal(err)
		}
		for k, v := range m {
			doc[k] = v
		}
	}
	b, err := json.Marshal(map[string]any{"order": doc})
	if err != nil {
		t.Fatal(err)
	}
	facts, err := translate(t, formatOrder, string(b))
	if err != nil {
		return nil, err
	}
	return facts.Orders[0], nil
}

// sums is the amounts of an order in one line.
func sums(o *event.Order) string {
	return fmt.Sprintf("lines %d shipping %d tax %d discounts %d total %d", o.Subtotal.GetMinor(), o.TotalShipping.GetMinor(), o.TotalTax.GetMinor(), o.TotalDiscounts.GetMinor(), o.Total.GetMinor())
}

func TestTotals(t *testing.T) {
	for name, tc := range map[string]struct{ members, want string }{
		"plain": {`{}`, "lines 1000 shipping 0 tax 0 discounts 0 total 1000"},
		"tax, shipping, discount": {`{"base_tax_amount":2.09,"base_shipping_amount":5,"base_discount_amount":-4,"base_grand_total":13.09}`,
			"lines 1000 shipping 500 tax 209 discounts 400 total 1309"},
		// 12.00 with 20 % tax, 10 % off: 10.80 is paid, of which 1.80 is tax; the discount of 1.20 held 0.20 tax.
		"prices with tax": {`{"base_tax_amount":1.8,"base_discount_amount":-1.2,"base_discount_tax_compensation_amount":0.2,"base_grand_total":10.8}`,
			"lines 1000 shipping 0 tax 180 discounts 100 total 1080"},
		"shipping with tax": {`{"base_shipping_amount":5,"base_tax_amount":0.9,"base_discount_amount":-0.6,"base_shipping_discount_amount":0.6,"base_shipping_discount_tax_compensation_amnt":0.1,"base_grand_total":15.4}`,
			"lines 1000 shipping 500 tax 90 discounts 50 total 1540"},
		"paid with a gift card": {`{"base_grand_total":3,"extension_attributes":{"base_gift_cards_amount":5,"base_customer_balance_amount":2}}`,
			"lines 1000 shipping 0 tax 0 discounts 700 total 300"},
		"wrapped": {`{"base_grand_total":11.5,"extension_attributes":{"gw_base_price":"1.0000","gw_card_base_price":"0.5000"}}`,
			"lines 1150 shipping 0 tax 0 discounts 0 total 1150"},
		"eco fee": {`{"base_grand_total":10.35,"items":[{"item_id":1,"product_id":11,"product_type":"simple","sku":"A","qty_ordered":1,"base_price":10,"base_row_total":10,"base_weee_tax_applied_row_amnt":0.35}]}`,
			"lines 1000 shipping 0 tax 35 discounts 0 total 1035"},
		"a power": {`{"base_grand_total":1.0E+1}`, "lines 1000 shipping 0 tax 0 discounts 0 total 1000"},
		"text":    {`{"base_grand_total":"10.0000"}`, "lines 1000 shipping 0 tax 0 discounts 0 total 1000"},
	} {
		o, err := orderOf(t, tc.members)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := sums(o); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
		if o.Subtotal.Minor+o.TotalShipping.Minor+o.TotalTax.Minor-o.TotalDiscounts.Minor != o.Total.Minor {
			t.Errorf("%s: %s does not add up", name, sums(o))
		}
	}
}

// What cannot be booked is refused, and the error says where and why.
func TestRefusedOrders(t *testing.T) {
	line := func(members string) string {
		return `{"items":[{"item_id":1,"product_id":11,"product_type":"simple","sku":"A","qty_ordered":1,"base_price":10,"base_row_total":10,` + members + `}]}`
	}
	for name, tc := range map[string]struct{ members, says string }{
		"a fee of a module":   {`{"base_grand_total":11}`, "does not add up"},
		"a cent":              {`{"base_grand_total":10.01}`, "does not add up"},
		"a fraction":          {`{"base_grand_total":10.001}`, "base_grand_total"},
		"a comma":             {`{"base_grand_total":"10,00"}`, "10,00"},
		"no total":            {`{"base_grand_total":null}`, "needs entity_id"},
		"no id":               {`{"entity_id":null}`, "needs entity_id"},
		"a huge id":           {`{"entity_id":99999999999999999999}`, "id"},
		"a huge amount":       {`{"base_grand_total":99999999999999999999}`, "base_grand_total"},
		"a huge quantity":     {line(`"qty_shipped":99999999999999999999`), "items[0].qty_shipped"},
		"half a unit":         {line(`"qty_canceled":0.5`), "whole units"},
		"fewer than none":     {line(`"qty_shipped":-1`), "-1 shipped"},
		"unknown currency":    {`{"base_currency_code":"XXX"}`, "XXX"},
		"the buyer's unknown": {`{"order_currency_code":"QQQ","grand_total":1}`, "grand_total"},
		"a zone":              {`{"updated_at":"2026-11-02T09:00:00+01:00"}`, "updated_at"},
		"no date":             {`{"updated_at":"0000-00-00 00:00:00"}`, "updated_at"},
		"a line of text":      {`{"items":["a"]}`, "items[0]"},
		"prices beyond":       {line(`"base_tax_amount":1e30`), "base_tax_amount"},
	} {
		_, err := orderOf(t, tc.members)
		if !errors.Is(err, connectors.ErrMalformed) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: got %v, want ErrMalformed that says %q", name, err, tc.says)
		}
	}
	for _, body := range []string{``, `null`, `[]`, `{}`, `{"order":null}`, `{"order":{}}`, `{"order":{"entity_id":1},"order":{}}`, `{"order":1}`} {
		if _, err := translate(t, formatOrder, body); !errors.Is(err, connectors.ErrMalformed) {
			t.Errorf("%s: got %v", body, err)
		}
	}
}

func TestStates(t *testing.T) {
	for state, want := range map[string]event.OrderStatus{
		"new": event.OrderStatus_ORDER_STATUS_OPEN, "pending_payment": event.OrderStatus_ORDER_STATUS_OPEN, "processing": event.OrderStatus_ORDER_STATUS_OPEN,
		"payment_review": event.OrderStatus_ORDER_STATUS_OPEN, "holded": event.OrderStatus_ORDER_STATUS_ON_HOLD, "complete": event.OrderStatus_ORDER_STATUS_CLOSED,
		"closed": event.OrderStatus_ORDER_STATUS_CLOSED, "canceled": event.OrderStatus_ORDER_STATUS_CANCELLED, "of_a_module": event.OrderStatus_ORDER_STATUS_UNSPECIFIED,
	} {
		o, err := orderOf(t, fmt.Sprintf(`{"state":%q}`, state))
		if err != nil || o.Status != want {
			t.Errorf("%s: %v, %v; want %v", state, o.GetStatus(), err, want)
		}
		if cancelled := o.CancelledMs != 0; cancelled != (state == "canceled") {
			t.Errorf("%s: cancelled at %d", state, o.CancelledMs)
		}
	}
	o, err := orderOf(t, `{"state":"canceled","status_histories":[{"status":"canceled","created_at":"2026-11-02 09:00:09"},{"status":"canceled","created_at":"2026-11-02 09:00:05"},{"status":"pending","created_at":"2026-11-02 09:00:01"},null]}`)
	if err != nil || o.CancelledMs != 1793610005000 {
		t.Errorf("cancelled at %d, %v; want the first time that the history says so", o.GetCancelledMs(), err)
	}
}

func TestPayment(t *testing.T) {
	for members, want := range map[string]event.PaymentStatus{
		`{}`: event.PaymentStatus_PAYMENT_STATUS_PENDING,
		`{"payment":{"base_amount_authorized":10}}`:         event.PaymentStatus_PAYMENT_STATUS_AUTHORISED,
		`{"base_total_paid":4}`:                             event.PaymentStatus_PAYMENT_STATUS_PARTIALLY_PAID,
		`{"base_total_paid":10}`:                            event.PaymentStatus_PAYMENT_STATUS_PAID,
		`{"base_total_paid":10,"base_total_refunded":4}`:    event.PaymentStatus_PAYMENT_STATUS_PARTIALLY_REFUNDED,
		`{"base_total_paid":10,"base_total_refunded":10}`:   event.PaymentStatus_PAYMENT_STATUS_REFUNDED,
		`{"state":"canceled"}`:                              event.PaymentStatus_PAYMENT_STATUS_VOIDED,
		`{"base_discount_amount":-10,"base_grand_total":0}`: event.PaymentStatus_PAYMENT_STATUS_PAID,
	} {
		o, err := orderOf(t, members)
		if err != nil || o.PaymentStatus != want {
			t.Errorf("%s: %v, %v; want %v", members, o.GetPaymentStatus(), err, want)
		}
	}
}

// described is a line in short: id, listing, units, what is paid, and whether it is goods.
func described(o *event.Order) (lines []string) {
	for _, l := range o.Lines {
		kind := "money"
		if l.Stocked {
			kind = "goods"
		}
		lines = append(lines, fmt.Sprintf("%s: %d of %s (%s), %d shipped, %d removed, %d, %s", l.Id, l.Quantity, l.ListingId, l.PlatformSku, l.Fulfilled, l.Removed, l.Total.Minor, kind))
	}
	return lines
}

// Goods are counted once, and money once.
func TestParentsAndChildren(t *testing.T) {
	for name, tc := range map[string]struct {
		items string
		want  []string
	}{
		"configurable": {`{"item_id":1,"product_id":100,"product_type":"configurable","sku":"RED","qty_ordered":2,"qty_shipped":1,"base_row_total":10},
			{"item_id":2,"parent_item_id":1,"parent_item":{"item_id":1},"product_id":101,"product_type":"simple","sku":"RED","qty_ordered":2,"base_row_total":0}`,
			[]string{"1: 2 of 101 (RED), 1 shipped, 0 removed, 1000, goods"}},
		"child first": {`{"item_id":2,"parent_item_id":1,"product_id":101,"product_type":"simple","sku":"RED","qty_ordered":2},
			{"item_id":1,"product_id":100,"product_type":"configurable","sku":"RED","qty_ordered":2,"base_row_total":10}`,
			[]string{"1: 2 of 101 (RED), 0 shipped, 0 removed, 1000, goods"}},
		"virtual child": {`{"item_id":1,"product_id":100,"product_type":"configurable","sku":"PDF","qty_ordered":1,"base_row_total":10},
			{"item_id":2,"parent_item_id":1,"product_id":101,"product_type":"virtual","is_virtual":1,"sku":"PDF","qty_ordered":1}`,
			[]string{"1: 1 of 101 (PDF), 0 shipped, 0 removed, 1000, money"}},
		"bundle at its own price, shipped together": {`{"item_id":1,"product_id":100,"product_type":"bundle","sku":"SET","qty_ordered":2,"qty_shipped":1,"base_row_total":10},
			{"item_id":2,"parent_item_id":1,"product_id":101,"product_type":"simple","sku":"A","qty_ordered":4},
			{"item_id":3,"parent_item_id":1,"product_id":102,"product_type":"simple","sku":"B","qty_ordered":2}`,
			[]string{"1: 2 of 100 (SET), 1 shipped, 0 removed, 1000, money", "2: 4 of 101 (A), 2 shipped, 0 removed, 0, goods", "3: 2 of 102 (B), 1 shipped, 0 removed, 0, goods"}},
		"bundle at the price of its parts, shipped apart": {`{"item_id":1,"product_id":100,"product_type":"bundle","sku":"SET","qty_ordered":1,"qty_shipped":1,"base_row_total":10},
			{"item_id":2,"parent_item_id":1,"product_id":101,"product_type":"simple","sku":"A","qty_ordered":2,"qty_shipped":2,"base_row_total":4},
			{"item_id":3,"parent_item_id":1,"product_id":102,"product_type":"simple","sku":"B","qty_ordered":1,"base_row_total":6}`,
			[]string{"2: 2 of 101 (A), 2 shipped, 0 removed, 400, goods", "3: 1 of 102 (B), 0 shipped, 0 removed, 600, goods"}},
		"grouped": {`{"item_id":1,"product_id":101,"product_type":"grouped","sku":"A","qty_ordered":1,"qty_canceled":1,"base_row_total":10}`,
			[]string{"1: 1 of 101 (A), 0 shipped, 1 removed, 1000, goods"}},
		"orphan": {`{"item_id":2,"parent_item_id":9,"product_id":101,"product_type":"simple","sku":"A","qty_ordered":1,"base_row_total":10}`,
			[]string{"2: 1 of 101 (A), 0 shipped, 0 removed, 1000, goods"}},
		"its own parent": {`{"item_id":2,"parent_item_id":2,"product_id":101,"product_type":"simple","sku":"A","qty_ordered":1,"base_row_total":10}`,
			[]string{"2: 1 of 101 (A), 0 shipped, 0 removed, 1000, goods"}},
		"download": {`{"item_id":1,"product_id":101,"product_type":"downloadable","is_virtual":1,"sku":"A","qty_ordered":1,"base_row_total":10}`,
			[]string{"1: 1 of 101 (A), 0 shipped, 0 removed, 1000, money"}},
	} {
		o, err := orderOf(t, `{"items":[`+tc.items+`]}`)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(tc.want, described(o)); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// A refund is what it is for ever: what is shipped after it changes nothing of it.
func TestWhatARefundTakesOut(t *testing.T) {
	memo := func(id int, at string, qty int) string {
		return fmt.Sprintf(`{"entity_id":%d,"created_at":"2026-11-02 %s","state":2,"base_grand_total":%d,"items":[{"order_item_id":1,"qty":%d,"base_row_total":%d}]}`, id, at, qty, qty, qty)
	}
	shipment := func(at string, qty int) string {
		return fmt.Sprintf(`{"created_at":"2026-11-02 %s","items":[{"order_item_id":1,"qty":%d}]}`, at, qty)
	}
	for name, tc := range map[string]struct {
		memos, shipments []string
		want             []string
	}{
		"before anything left":      {[]string{memo(1, "10:00:00", 2)}, nil, []string{"1: 2 CANCEL 200"}},
		"after all had left":        {[]string{memo(1, "10:00:00", 2)}, []string{shipment("09:00:00", 5)}, []string{"1: 2 NONE 200"}},
		"shipped after it":          {[]string{memo(1, "10:00:00", 2)}, []string{shipment("11:00:00", 3)}, []string{"1: 2 CANCEL 200"}},
		"more than had left":        {[]string{memo(1, "10:00:00", 3)}, []string{shipment("09:00:00", 2)}, []string{"1: 1 CANCEL 100", "1: 2 NONE 200"}},
		"twice, after one had left": {[]string{memo(2, "12:00:00", 1), memo(1, "10:00:00", 1)}, []string{shipment("09:00:00", 1)}, []string{"1: 1 NONE 100", "2: 1 CANCEL 100"}},
		"twice, shipped between":    {[]string{memo(1, "10:00:00", 1), memo(2, "12:00:00", 1)}, []string{shipment("11:00:00", 4)}, []string{"1: 1 CANCEL 100", "2: 1 NONE 100"}},
		"open and cancelled memos":  {[]string{strings.Replace(memo(1, "10:00:00", 1), `"state":2`, `"state":1`, 1), strings.Replace(memo(2, "10:00:00", 1), `"state":2`, `"state":3`, 1)}, nil, nil},
	} {
		body := fmt.Sprintf(`{"order":{"entity_id":7,"updated_at":"2026-11-02 13:00:00","base_currency_code":"EUR","base_grand_total":5,"items":[{"item_id":1,"product_id":11,"product_type":"simple","sku":"A","qty_ordered":5,"base_row_total":5}]},"creditmemos":[%s],"shipments":[%s]}`,
			strings.Join(tc.memos, ","), strings.Join(tc.shipments, ","))
		facts, err := translate(t, formatOrder, body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, r := range facts.Orders[0].Refunds {
			for _, l := range r.Lines {
				got = append(got, fmt.Sprintf("%s: %d %s %d", r.Id, l.Quantity, strings.TrimPrefix(l.Restock.String(), "RESTOCK_"), l.Amount.Minor))
			}
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// A refund that is split loses no cent.
func TestASplitRefundLosesNoCent(t *testing.T) {
	tr := &translation{translator: &translator{}, base: "EUR"}
	for units := int64(1); units < 9; units++ {
		for never := range units + 1 {
			sum, n := int64(0), int64(0)
			for _, l := range tr.refundLines(&goods{stocked: true}, units, never, 1000) {
				sum += l.Amount.Minor
				n += l.Quantity
			}
			if sum != 1000 || n != units {
				t.Errorf("%d of %d: %d cents of %d units", never, units, sum, n)
			}
		}
	}
}

func TestIdentifiers(t *testing.T) {
	attribute := func(code, value string) string { return fmt.Sprintf(`{"attribute_code":%q,"value":%s}`, code, value) }
	body := `{"id":1,"sku":"A","name":"A","type_id":"simple","updated_at":"2026-11-02 09:00:00","price":14.005,"custom_attributes":[` + strings.Join([]string{
		attribute("ean", `"4006381333931"`), attribute("gtin", `"n/a"`), attribute("upc", `"4006381333932"`), attribute("barcode", `" 036000291452 "`),
		attribute("isbn", `"0-306-40615-2"`), attribute("mpn", `"X-1"`), attribute("brand", `"Lights Ltd"`), attribute("category_ids", `["1","2"]`), attribute("other", `"1"`), attribute("mpn2", `null`),
	}, ",") + `]}`
	facts, err := translate(t, formatProduct, body)
	if err != nil {
		t.Fatal(err)
	}
	p := facts.Products[0]
	var got []string
	for _, id := range p.Listings[0].Identifiers {
		got = append(got, strings.TrimPrefix(id.Kind.String(), "IDENTIFIER_KIND_")+" "+id.Value)
	}
	if diff := cmp.Diff([]string{"GTIN 4006381333931", "GTIN 036000291452", "ISBN 0-306-40615-2", "MPN X-1"}, got); diff != "" {
		t.Error(diff)
	}
	if p.Brand != "Lights Ltd" || p.Listings[0].Price != nil {
		t.Errorf("brand %q, price %v: a price finer than a cent is none", p.Brand, p.Listings[0].Price)
	}
}

func TestRefusedProductsAndLevels(t *testing.T) {
	for body, format := range map[string]string{
		`{"id":1,"sku":"A"}`:                                                            formatProduct,
		`{"sku":"A","updated_at":"2026-11-02 09:00:00"}`:                                formatProduct,
		`{"id":1,"sku":"A","updated_at":"2026-11-02 09:00:00","price":"1,5"}`:           formatProduct,
		`{"id":1,"sku":"A","updated_at":"2026-11-02 09:00:00","custom_attributes":[1]}`: formatProduct,
		`[]`: formatProduct,
		`{"reserved":0,"source_item":{"sku":"A","source_code":"default"}}`:                                         formatLevel,
		`{"reserved":0,"source_item":{"source_code":"default","quantity":1}}`:                                      formatLevel,
		`{"source_item":{"sku":"A","source_code":"default","quantity":1}}`:                                         formatLevel,
		`{"at":"2026-11-02 09:00:00","reserved":0,"source_item":{"sku":"A","source_code":"default","quantity":1}}`: formatLevel,
		`{"reserved":0,"source_item":{"sku":"A","source_code":"default","quantity":99999999999999999999}}`:         formatLevel,
	} {
		if _, err := translate(t, format, body); !errors.Is(err, connectors.ErrMalformed) {
			t.Errorf("%s: got %v", body, err)
		}
	}
}

func TestQuantitiesOfASource(t *testing.T) {
	for text, want := range map[string]int64{`10`: 10, `10.5`: 10, `"3.0000"`: 3, `-1.5`: -2, `-2`: -2, `0`: 0} {
		facts, err := translate(t, formatLevel, `{"at":"2026-11-02T09:00:00Z","reserved":1,"source_item":{"sku":"A","source_code":"default","quantity":`+text+`,"status":1}}`)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		want := &event.InventoryObservation{Connector: "magento", Account: "acme", StockId: "A", Location: "default", Shown: want - 1, UpdatedMs: 1793610000000}
		if diff := cmp.Diff(want, facts.Observations[0], protocmp.Transform()); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func FuzzTranslate(f *testing.F) {
	paths, err := filepath.Glob("testdata/records/*.json")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no records: %v", err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, format := range []string{formatOrder, formatProduct, formatLevel} {
			facts, err := translate(t, format, string(body))
			if err != nil && !errors.Is(err, connectors.ErrMalformed) {
				t.Errorf("%s: %v", format, err)
			}
			for _, o := range facts.Orders {
				if o.Subtotal.Minor+o.TotalShipping.Minor+o.TotalTax.Minor-o.TotalDiscounts.Minor != o.Total.Minor {
					t.Errorf("%s does not add up", sums(o))
				}
			}
		}
	})
}
