package magento

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/helloword/crossdock/connectors"
)

// orderBody is the n-th order as a shop of today answers it: some 5 kB with two or three
// lines, addresses, and the lines a second time in the shipping assignment; no two alike.
func orderBody(n int) []byte {
	amount := func(cents int) string { return fmt.Sprintf("%d.%02d", cents/100, cents%100) }
	pick := func(of ...string) string { return of[n%len(of)] }
	first, last := pick("Amelia", "Zoë", "Oliver", "Jürgen", "Isla"), pick("Smith", "O'Brien", "Müller", "Papadopoulos", "van Dijk", "Taylor")
	address := func(kind string) string {
		return fmt.Sprintf(`{"address_type":%q,"city":%q,"country_id":"DE","email":"buyer.%d@example.com","entity_id":%d,"firstname":%q,"lastname":%q,"parent_id":%d,"postcode":"%05d","region":"Berlin","region_code":"BER","region_id":82,"street":["%d High Street","Flat %d"],"telephone":"+49 30 %07d"}`,
			kind, pick("Berlin", "Leipzig", "Köln"), n, n, first, last, n, 10000+n%80000, 1+n%240, 1+n%40, n)
	}
	var items bytes.Buffer
	total := 495
	for l := range 1 + n%2 {
		price, quantity := 299+(n*37+l*101)%9700, 1+(n+l)%3
		total += price * quantity
		if l > 0 {
			items.WriteByte(',')
		}
		fmt.Fprintf(&items, `{"amount_refunded":0,"base_amount_refunded":0,"base_discount_amount":0,"base_discount_invoiced":0,"base_discount_tax_compensation_amount":0,"base_original_price":%[1]s,"base_price":%[1]s,"base_price_incl_tax":%[1]s,"base_row_invoiced":0,"base_row_total":%[2]s,"base_row_total_incl_tax":%[2]s,"base_tax_amount":0,"base_tax_invoiced":0,"created_at":"2026-11-23 07:03:35","discount_amount":0,"discount_invoiced":0,"discount_percent":0,"free_shipping":0,"is_qty_decimal":0,"is_virtual":0,"item_id":%[3]d,"name":"Hand-made Picture Frame No. %[4]d","no_discount":0,"order_id":%[5]d,"original_price":%[1]s,"price":%[1]s,"product_id":%[4]d,"product_type":"simple","qty_canceled":0,"qty_invoiced":0,"qty_ordered":%[6]d,"qty_refunded":0,"qty_shipped":0,"row_total":%[2]s,"sku":"SKU-%[4]d","store_id":1,"tax_amount":0,"tax_percent":0,"updated_at":"2026-11-23 07:04:32","weee_tax_applied":"[]","weight":1}`,
			amount(price), amount(price*quantity), 2*n+l, 100_000+n%3000, n, quantity)
	}
	return fmt.Appendf(nil, `{"order":{"base_currency_code":"EUR","base_discount_amount":0,"base_grand_total":%[1]s,"base_discount_tax_compensation_amount":0,"base_shipping_amount":4.95,"base_shipping_discount_amount":0,"base_shipping_discount_tax_compensation_amnt":0,"base_shipping_incl_tax":4.95,"base_shipping_tax_amount":0,"base_subtotal":%[2]s,"base_tax_amount":0,"base_total_due":%[1]s,"base_to_order_rate":1,"billing_address_id":%[3]d,"created_at":"2026-11-23 07:03:35","customer_email":"buyer.%[3]d@example.com","customer_firstname":%[4]q,"customer_is_guest":1,"customer_lastname":%[5]q,"discount_amount":0,"entity_id":%[3]d,"global_currency_code":"EUR","grand_total":%[1]s,"increment_id":"%09[3]d","is_virtual":0,"order_currency_code":"EUR","shipping_amount":4.95,"shipping_description":"Flat Rate - Fixed","state":"new","status":"pending","store_currency_code":"EUR","store_id":1,"store_name":"Main Website\nMain Website Store\nDefault Store View","subtotal":%[2]s,"tax_amount":0,"total_due":%[1]s,"total_item_count":1,"total_qty_ordered":2,"updated_at":"2026-11-23 07:03:39","weight":2,"items":[%[6]s],"billing_address":%[7]s,"payment":{"account_status":null,"additional_information":["Check / Money order"],"amount_ordered":%[1]s,"base_amount_ordered":%[1]s,"cc_last4":null,"entity_id":%[3]d,"method":"checkmo","parent_id":%[3]d},"status_histories":[],"extension_attributes":{"shipping_assignments":[{"shipping":{"address":%[8]s,"method":"flatrate_flatrate","total":{"base_shipping_amount":4.95,"shipping_amount":4.95}},"items":[%[6]s]}],"payment_additional_info":[{"key":"method_title","value":"Check / Money order"}],"applied_taxes":[],"item_applied_taxes":[],"converting_from_quote":false}}}`,
		amount(total), amount(total-495), n+1, first, last, items.String(), address("billing"), address("shipping"))
}

// BenchmarkTranslate is the hot path: one order as it was polled.
func BenchmarkTranslate(b *testing.B) {
	var bodies [][]byte
	total := 0
	for i := range 500 {
		bodies = append(bodies, orderBody(i))
		total += len(bodies[i])
	}
	b.SetBytes(int64(total / len(bodies)))
	b.ReportAllocs()
	tr := newTranslator(DefaultConfig())
	for i := 0; b.Loop(); i++ {
		facts, err := tr.Translate(&connectors.Record{Account: "shop-de", Format: formatOrder, Body: bodies[i%len(bodies)]})
		if err != nil || len(facts.Orders[0].Lines) == 0 {
			b.Fatal(err)
		}
	}
}
