package woocommerce

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/connectortest"
	"github.com/helloword/crossdock/connectors/woocommerce/simulator"
)

// orderBody is the n-th body of an order: 5 kB as shops of today send it, with one to three
// lines, addresses and taxes, no two alike.
func orderBody(n int) []byte {
	amount := func(cents int) string { return fmt.Sprintf("%d.%02d", cents/100, cents%100) }
	pick := func(of ...string) string { return of[n%len(of)] }
	at := time.Unix(1_700_000_000+int64(n), 0).UTC().Format("2006-01-02T15:04:05")
	first, last := pick("Amelia", `Zo\u00eb`, "Oliver", `J\u00fcrgen`, "Isla"), pick("Smith", "O'Brien", `M\u00fcller`, "Papadopoulos", "van Dijk", "Taylor", "Walker")
	address := fmt.Sprintf(`"first_name":"%s","last_name":"%s","company":"","address_1":"Hauptstra\u00dfe %d","address_2":"","city":"%s","state":"DE-NW","postcode":"%d","country":"DE"`, first, last, 1+n%240, pick(`K\u00f6ln`, "Bonn", "Essen"), 40000+n%9999)
	var lines []string
	net, tax := 0, 0
	for l := range 1 + n%3 {
		price, quantity := 299+(n*37+l*101)%9700, 1+(n+l)%3
		sum := price * quantity
		part := (sum*19 + 50) / 100
		net, tax = net+sum, tax+part
		lines = append(lines, fmt.Sprintf(`{"id":%d,"name":"Hand-made Picture Frame No. %d","product_id":%d,"variation_id":%d,"quantity":%d,"tax_class":"","subtotal":"%s","subtotal_tax":"%s","total":"%s","total_tax":"%s","taxes":[{"id":5,"total":"%s","subtotal":"%s"}],"meta_data":[{"id":%d,"key":"pa_size","value":"m","display_key":"Size","display_value":"M"},{"id":%d,"key":"_reduced_stock","value":"%d","display_key":"_reduced_stock","display_value":"%d"}],"sku":"SKU-%d","global_unique_id":"","price":%s,"image":{"id":"%d","src":"https:\/\/shop.example\/wp-content\/uploads\/2026\/01\/frame-%d.jpg"},"parent_name":"Hand-made Picture Frame"}`,
			n*8+l, 100_000+n%3000, 9000+n%300, 42_000+n%3000, quantity, amount(sum), amount(part), amount(sum), amount(part), amount(part), amount(part), n*16+l, n*16+l+8, quantity, quantity, 100_000+n%3000, amount(price), 500+n%99, n%99))
	}
	return fmt.Appendf(nil, `{"id":%d,"parent_id":0,"status":"processing","currency":"EUR","version":"11.0.1","prices_include_tax":false,"date_created":"%[2]s","date_modified":"%[2]s","discount_total":"0.00","discount_tax":"0.00","shipping_total":"4.95","shipping_tax":"0.00","cart_tax":"%[3]s","total":"%[4]s","total_tax":"%[3]s","customer_id":%[1]d,"order_key":"wc_order_%[1]x","billing":{%[5]s,"email":"buyer.%[1]d@example.com","phone":"+49 221 %09[1]d"},"shipping":{%[5]s,"phone":""},"payment_method":"stripe","payment_method_title":"Card","transaction_id":"ch_%[1]d","customer_ip_address":"192.0.2.%[6]d","customer_user_agent":"Mozilla\/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit\/605.1.15 (KHTML, like Gecko) Version\/19.0 Safari\/605.1.15","created_via":"checkout","customer_note":"","date_completed":null,"date_paid":"%[2]s","cart_hash":"%032[1]x","number":"%[1]d","meta_data":[{"id":%[1]d,"key":"_wc_order_attribution_source_type","value":"utm"},{"id":%[1]d,"key":"_wc_order_attribution_utm_source","value":"mail"},{"id":%[1]d,"key":"_wc_order_attribution_session_entry","value":"https:\/\/shop.example\/?utm_source=mail"},{"id":%[1]d,"key":"_wc_order_attribution_user_agent","value":"Mozilla\/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit\/605.1.15"},{"id":%[1]d,"key":"is_vat_exempt","value":"no"}],"line_items":[%[7]s],"tax_lines":[{"id":%[1]d,"rate_code":"DE-MWST-1","rate_id":5,"label":"MwSt.","compound":false,"tax_total":"%[3]s","shipping_tax_total":"0.00","rate_percent":19,"meta_data":[]}],"shipping_lines":[{"id":%[1]d,"method_title":"DHL Paket","method_id":"flat_rate","instance_id":"2","total":"4.95","total_tax":"0.00","taxes":[],"tax_status":"taxable","meta_data":[{"id":%[1]d,"key":"Items","value":"Frame &times; 3","display_key":"Items","display_value":"Frame &times; 3"}]}],"fee_lines":[],"coupon_lines":[],"refunds":[],"payment_url":"https:\/\/shop.example\/checkout\/order-pay\/%[1]d\/?pay_for_order=true&key=wc_order_%[1]x","is_editable":false,"needs_payment":false,"needs_processing":true,"date_created_gmt":"%[2]s","date_modified_gmt":"%[2]s","date_completed_gmt":null,"date_paid_gmt":"%[2]s","currency_symbol":"\u20ac","_links":{"self":[{"href":"https:\/\/shop.example\/wp-json\/wc\/v3\/orders\/%[1]d","targetHints":{"allow":["GET","POST","PUT","PATCH","DELETE"]}}],"collection":[{"href":"https:\/\/shop.example\/wp-json\/wc\/v3\/orders"}],"email_templates":[{"embeddable":true,"href":"https:\/\/shop.example\/wp-json\/wc\/v3\/orders\/%[1]d\/actions\/email_templates"}]}}`,
		5_100_000+n, at, amount(tax), amount(net+tax+495), address, n%250, strings.Join(lines, ","))
}

// BenchmarkTranslate is the hot path: one webhook body to one order.
func BenchmarkTranslate(b *testing.B) {
	var bodies [][]byte
	total := 0
	for i := range 500 {
		bodies = append(bodies, orderBody(i))
		total += len(bodies[i])
	}
	b.SetBytes(int64(total / len(bodies)))
	b.ReportAllocs()
	tr := &translator{currency: "EUR"}
	for i := 0; b.Loop(); i++ {
		facts, err := tr.Translate(&connectors.Record{Account: "shop-de", Format: formatOrder, Body: bodies[i%len(bodies)]})
		if err != nil || len(facts.Orders) != 1 {
			b.Fatal(err)
		}
	}
}

// BenchmarkReceive is what a webhook costs before it is written: the signature and the id.
func BenchmarkReceive(b *testing.B) {
	b.Setenv("WOO_TEST_WEBHOOK", "bench-secret")
	rc := &receiver{cfg: testConfig("http://127.0.0.1:1")}
	body := orderBody(1)
	d := &connectors.Delivery{Header: map[string][]string{}, Body: body, Received: connectortest.NewClock().Now()}
	d.Header.Set("Content-Type", "application/json")
	d.Header.Set("X-WC-Webhook-Topic", "order.updated")
	d.Header.Set("X-WC-Webhook-Delivery-ID", "0bf1573b")
	d.Header.Set("X-WC-Webhook-Signature", Sign("bench-secret", body))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if raws, err := rc.Receive(b.Context(), d); err != nil || len(raws) != 1 {
			b.Fatal(err)
		}
	}
}

// BenchmarkPollOrders is one page of the poll with its parsing, against the simulator.
func BenchmarkPollOrders(b *testing.B) {
	s := open(b, simulator.Config{}, func(c *Config) { c.PageSize = 100 })
	p := stocked(s)
	for range 100 {
		if _, err := s.PlaceOrder(simulator.OrderSpec{Customer: buyer, Billing: home, Shipping: home, Lines: []simulator.LineSpec{{Variant: p[0].Variants[0], Quantity: 1}}}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		res, err := s.conn.Poll[connectors.Orders].Poll(b.Context(), connectors.PollRequest{}, func(connectors.Raw) error { return nil })
		if err != nil || res.Objects != 100 {
			b.Fatal(res.Objects, err)
		}
	}
}
