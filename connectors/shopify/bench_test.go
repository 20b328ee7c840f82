package shopify

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/shopify/simulator"
	"github.com/helloword/crossdock/schemas/event"
)

// orderBody is the n-th webhook body of orders/create: 5 kB as the shops of today get it, with
// one to three lines, addresses, taxes and the sets of prices, no two alike.
func orderBody(n int) []byte {
	set := func(pence int) string {
		return fmt.Sprintf(`{"shop_money":{"amount":"%[1]d.%02[2]d","currency_code":"GBP"},"presentment_money":{"amount":"%[1]d.%02[2]d","currency_code":"GBP"}}`, pence/100, pence%100)
	}
	amount := func(pence int) string { return fmt.Sprintf("%d.%02d", pence/100, pence%100) }
	pick := func(of ...string) string { return of[n%len(of)] }
	id, token := 5_100_000_000_000+n*1024, fmt.Sprintf("%032x", uint64(n)*0x9e3779b97f4a7c15)
	at := time.Unix(1_700_000_000+int64(n), 0).UTC().Format("2006-01-02T15:04:05-07:00")
	first, last := pick("Amelia", "Zoë", "Oliver", "Jürgen", "Isla"), pick("Smith", "O'Brien", "Müller", "Papadopoulos", "van Dijk", "Taylor", "Walker")
	address := fmt.Sprintf(`{"first_name":%q,"address1":"%d High Street","phone":"+44 7%09d","city":%q,"zip":"SW%dA 1AA","province":"England","country":"United Kingdom","last_name":%q,"address2":"Flat %d","company":null,"latitude":51.%06d,"longitude":-0.%06d,"name":%q,"country_code":"GB","province_code":"ENG"}`,
		first, 1+n%240, n, pick("London", "Leeds", "Bristol"), 1+n%9, last, 1+n%40, n%1_000_000, n*7%1_000_000, first+" "+last)
	var items []string
	total := 495
	for l := range 1 + n%3 {
		price, quantity := 299+(n*37+l*101)%9700, 1+(n+l)%3
		total += price * quantity
		items = append(items, fmt.Sprintf(`{"id":%[1]d,"admin_graphql_api_id":"gid://shopify/LineItem/%[1]d","attributed_staffs":[],"current_quantity":%[2]d,"fulfillable_quantity":%[2]d,"fulfillment_service":"manual","fulfillment_status":null,"gift_card":false,"grams":%[3]d,"name":"Hand-made Picture Frame No. %[4]d","price":"%[5]s","price_set":%[6]s,"product_exists":true,"product_id":%[7]d,"properties":[],"quantity":%[2]d,"requires_shipping":true,"sku":"SKU-%[4]d","taxable":true,"title":"Hand-made Picture Frame No. %[4]d","total_discount":"0.00","variant_id":%[8]d,"variant_inventory_management":"shopify","variant_title":null,"vendor":"Bench & Sons","tax_lines":[{"price":"%[9]s","rate":0.2,"title":"VAT","channel_liable":false}],"duties":[],"discount_allocations":[]}`,
			id+l+1, quantity, 100+n%900, 100_000+n%3000, amount(price), set(price), 9_000_000_000_000+n%300, 42_000_000_000_000+n%3000, amount(price*quantity/6)))
	}
	net := total - 495
	return fmt.Appendf(nil, `{"id":%d,"admin_graphql_api_id":"gid://shopify/Order/%d","app_id":580111,"browser_ip":"10.0.%d.%d","buyer_accepts_marketing":%t,"cancel_reason":null,"cancelled_at":null,"cart_token":"%s","checkout_id":%d,"checkout_token":"%s","closed_at":null,"confirmation_number":"%s","confirmed":true,"contact_email":"buyer.%d@example.com","created_at":"%s","currency":"GBP","current_subtotal_price":"%s","current_total_discounts":"0.00","current_total_price":"%s","current_total_tax":"%s","customer_locale":"en-GB","discount_codes":[],"duties_included":false,"email":"buyer.%d@example.com","estimated_taxes":false,"financial_status":"paid","fulfillment_status":null,"landing_site":"/products/%s?utm_source=mail","location_id":null,"name":"#%d","note":null,"note_attributes":[],"number":%d,"order_number":%d,"order_status_url":"https://bench.myshopify.com/60000000001/orders/%s/authenticate?key=%s","payment_gateway_names":["shopify_payments"],"phone":null,"presentment_currency":"GBP","processed_at":"%s","reference":null,"referring_site":"","source_identifier":null,"source_name":"web","subtotal_price":"%s","tags":"","tax_exempt":false,"tax_lines":[{"price":"%s","rate":0.2,"title":"VAT","channel_liable":false}],"taxes_included":true,"test":false,"token":"%s","total_discounts":"0.00","total_line_items_price":"%s","total_outstanding":"0.00","total_price":"%s","total_price_set":%s,"total_shipping_price_set":%s,"total_tax":"%s","total_tip_received":"0.00","total_weight":%d,"updated_at":"%s","user_id":null,"billing_address":%s,"customer":{"id":%d,"created_at":"%s","email":"buyer.%d@example.com","first_name":%q,"last_name":%q,"phone":null,"state":"disabled","verified_email":true,"tags":"","currency":"GBP"},"discount_applications":[],"fulfillments":[],"line_items":[%s],"payment_terms":null,"refunds":[],"shipping_address":%s,"shipping_lines":[{"id":%d,"code":"Standard","carrier_identifier":null,"discounted_price":"4.95","is_removed":false,"phone":null,"price":"4.95","price_set":%s,"source":"shopify","title":"Standard","tax_lines":[],"discount_allocations":[]}]}`,
		id, id, n%250, n/250%250, n%2 == 0, token, id+9, token[:24], token[:9], n, at, amount(net), amount(total), amount(net/6), n, token[3:12], 1001+n, 1+n, 1001+n, token, token[16:], at, amount(net), amount(net/6), token, amount(net), amount(total), set(total), set(495), amount(net/6), 100+n%2000, at,
		address, 7_000_000_000_000+n, at, n, first, last, strings.Join(items, ","), address, id+77, set(495))
}

// different makes n of them.
func different(n int) (bodies [][]byte) {
	for i := range n {
		bodies = append(bodies, orderBody(i))
	}
	return bodies
}

// BenchmarkTranslate is the hot path: one webhook body to one order.
func BenchmarkTranslate(b *testing.B) {
	bodies := different(500)
	total := 0
	for _, body := range bodies {
		total += len(body)
	}
	b.SetBytes(int64(total / len(bodies)))
	b.ReportAllocs()
	tr := &translator{currency: "GBP"}
	for i := 0; b.Loop(); i++ {
		facts, err := tr.Translate(&connectors.Record{Account: "shop-uk", Format: formatOrder, Body: bodies[i%len(bodies)]})
		if err != nil || len(facts.Orders) != 1 {
			b.Fatal(err)
		}
	}
}

// BenchmarkEncode is what writing the order costs after that.
func BenchmarkEncode(b *testing.B) {
	tr := &translator{currency: "GBP"}
	var orders []*event.Order
	for _, body := range different(200) {
		facts, err := tr.Translate(&connectors.Record{Account: "shop-uk", Format: formatOrder, Body: body})
		if err != nil {
			b.Fatal(err)
		}
		orders = append(orders, facts.Orders[0])
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := orders[i%len(orders)].MarshalVTStrict(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReceive is what a webhook costs before it is written: the signature and the id.
func BenchmarkReceive(b *testing.B) {
	s := open(b, simulator.Config{}, nil)
	s.subscribe(b)
	p := stocked(s)
	if _, err := s.PlaceOrder(simulator.OrderSpec{Customer: buyer, Shipping: home, Lines: []simulator.LineSpec{{Variant: p[0].Variants[0], Quantity: 1}}}); err != nil {
		b.Fatal(err)
	}
	all := s.deliveries(b)
	d := &all[len(all)-1]
	b.SetBytes(int64(len(d.Body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.conn.Receive.Receive(b.Context(), d); err != nil {
			b.Fatal(err)
		}
	}
}
