package bench

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
)

// Bodies of orders/create as Shopify writes them: 3 to 6 kB, one to three lines, no two alike
// but for the duplicates. They are a function of their number, so that no part has to keep
// them.

// Shapes of the made-up shop.
const (
	variantsOf  = 10 // variants of a product
	firstOrder  = 5_100_000_000_000
	firstListed = 42_000_000_000_000
	// duplicateEvery: each 20th record repeats an earlier one.
	duplicateEvery = 20
)

// skus of the shop: enough that orders meet on some, and not all on the same.
const skus = 3000

func skuName(i int) string      { return "SKU-" + strconv.Itoa(100_000+i) }
func variantID(i int) int64     { return firstListed + int64(i)*7 }
func productID(p int) int64     { return 9_000_000_000_000 + int64(p)*3 }
func itemID(i int) int64        { return 51_000_000_000_000 + int64(i)*7 }
func orderID(n int) int64       { return firstOrder + int64(n)*1024 }
func priceOf(i int) (minor int) { return 299 + i*37%9700 }

// original is the order that the n-th record carries.
func original(n int) int {
	if n%duplicateEvery == duplicateEvery-1 {
		return n - 11
	}
	return n
}

// distinct is how many of n records are no duplicates.
func distinct(n int) int { return n - n/duplicateEvery }

// sold is what order n sells: the numbers of SKUs and how many of each.
func sold(n int) (lines [][2]int) {
	h := mix(uint64(n))
	for l := range 1 + n%3 {
		lines = append(lines, [2]int{int((h>>(l*16))&0xffff) % skus, 1 + int(h>>(50+l))&1})
	}
	return lines
}

// mix spreads a number over 64 bits.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

var (
	firstNames = []string{"Amelia", "Oliver", "Isla", "George", "Ava", "Noah", "Freya", "Arthur", "Zoë", "Jürgen", "Chloé", "Søren", "Łucja", "Inés", "Mateo", "Anaïs"}
	lastNames  = []string{"Smith", "Taylor", "Müller", "García", "Dubois", "Rossi", "Kowalski", "Jensen", "Novák", "O'Brien", "van Dijk", "Silva", "Horváth", "Andersson", "Papadopoulos", "Walker"}
	streets    = []string{"High Street", "Station Road", "Church Lane", "Victoria Road", "Mill Lane", "Queens Avenue", "Park Crescent", "Manor Drive"}
	cities     = []string{"London", "Leeds", "Bristol", "Glasgow", "Cardiff", "Norwich", "Plymouth", "Belfast"}
	adjectives = []string{"Blue", "Walnut", "Linen", "Hand-made", "Vintage", "Large", "Foldable", "Brass"}
	nouns      = []string{"Lantern", "Tea Towel Set", "Picture Frame", "Storage Box", "Table Runner", "Candle Holder", "Wall Clock", "Cushion Cover"}
)

func title(i int) string {
	return adjectives[i%8] + " " + nouns[i/8%8] + " No. " + strconv.Itoa(i)
}

func money(minor int) string { return fmt.Sprintf("%d.%02d", minor/100, minor%100) }

func set(minor int) string {
	m := money(minor)
	return `{"shop_money":{"amount":"` + m + `","currency_code":"GBP"},"presentment_money":{"amount":"` + m + `","currency_code":"GBP"}}`
}

// orderBody is the n-th order.
func orderBody(n int, at time.Time) []byte {
	h := mix(uint64(n) ^ 0xabcdef)
	pick := func(from []string, shift int) string { return from[(h>>shift)%uint64(len(from))] }
	sum := sha256.Sum256(strconv.AppendInt(nil, int64(n), 10))
	token := hex.EncodeToString(sum[:16])
	first, last := pick(firstNames, 0), pick(lastNames, 8)
	email := fmt.Sprintf("buyer.%s@example.com", token[:10])
	phone := fmt.Sprintf("+44 7%09d", h%1_000_000_000)
	when := at.Add(time.Duration(n) * time.Second / 50).UTC().Format("2006-01-02T15:04:05-07:00")
	address := fmt.Sprintf(`{"first_name":%q,"address1":"%d %s","phone":%q,"city":%q,"zip":"%s%d %dQX","province":"England","country":"United Kingdom","last_name":%q,"address2":"Flat %d","company":null,"latitude":%d.%06d,"longitude":-%d.%06d,"name":%q,"country_code":"GB","province_code":"ENG"}`,
		first, 1+h%240, pick(streets, 16), phone, pick(cities, 24), string(rune('A'+h%26)), 1+h>>7%20, 1+h>>11%9, last, 1+h>>17%90, 50+h>>5%8, h>>9%1_000_000, h>>13%5, h>>21%1_000_000, first+" "+last)
	lines := sold(n)
	subtotal, tax := 0, 0
	b := make([]byte, 0, 6<<10)
	items := make([]byte, 0, 3<<10)
	for l, s := range lines {
		price, line := priceOf(s[0]), priceOf(s[0])*s[1]
		t := line / 6
		subtotal, tax = subtotal+line, tax+t
		if l > 0 {
			items = append(items, ',')
		}
		id := orderID(n) + int64(l) + 1
		items = fmt.Appendf(items, `{"id":%d,"admin_graphql_api_id":"gid://shopify/LineItem/%d","attributed_staffs":[],"current_quantity":%d,"fulfillable_quantity":%d,"fulfillment_service":"manual","fulfillment_status":null,"gift_card":false,"grams":%d,"name":%q,"price":"%s","price_set":%s,"product_exists":true,"product_id":%d,"properties":[],"quantity":%d,"requires_shipping":true,"sku":"%s","taxable":true,"title":%q,"total_discount":"0.00","variant_id":%d,"variant_inventory_management":"shopify","variant_title":null,"vendor":"Bench & Sons","tax_lines":[{"price":"%s","rate":0.2,"title":"VAT","channel_liable":false}],"duties":[],"discount_allocations":[]}`,
			id, id, s[1], s[1], 100+s[0]%900, title(s[0]), money(price), set(price), productID(s[0]/variantsOf), s[1], skuName(s[0]), title(s[0]), variantID(s[0]), money(t))
	}
	const shipping = 495
	total := subtotal + shipping
	b = fmt.Appendf(b, `{"id":%d,"admin_graphql_api_id":"gid://shopify/Order/%d","app_id":580111,"browser_ip":"%d.%d.%d.%d","buyer_accepts_marketing":%t,"cancel_reason":null,"cancelled_at":null,"cart_token":"%s","checkout_id":%d,"checkout_token":"%s","closed_at":null,"confirmation_number":"%s","confirmed":true,"contact_email":%q,"created_at":"%s","currency":"GBP"`,
		orderID(n), orderID(n), h%223, h>>8%255, h>>16%255, h>>24%255, n%2 == 0, token, orderID(n)+9, token[8:]+token[:8], token[:9], email, when)
	b = fmt.Appendf(b, `,"current_subtotal_price":"%s","current_total_discounts":"0.00","current_total_price":"%s","current_total_tax":"%s","customer_locale":"en-GB","discount_codes":[],"duties_included":false,"email":%q,"estimated_taxes":false,"financial_status":"paid","fulfillment_status":null,"landing_site":"/products/%s?utm_source=mail","location_id":null,"name":"#%d","note":null,"note_attributes":[],"number":%d,"order_number":%d,"order_status_url":"https://bench.myshopify.com/60000000001/orders/%s/authenticate?key=%s","payment_gateway_names":["shopify_payments"],"phone":null,"presentment_currency":"GBP","processed_at":"%s","reference":null,"referring_site":"","source_identifier":null,"source_name":"web","subtotal_price":"%s","tags":"","tax_exempt":false,"tax_lines":[{"price":"%s","rate":0.2,"title":"VAT","channel_liable":false}],"taxes_included":true,"test":false,"token":"%s","total_discounts":"0.00","total_line_items_price":"%s","total_outstanding":"0.00","total_price":"%s","total_price_set":%s,"total_shipping_price_set":%s,"total_tax":"%s","total_tip_received":"0.00","total_weight":%d,"updated_at":"%s","user_id":null`,
		money(subtotal), money(total), money(tax), email, token[3:12], 1001+n, 1+n, 1001+n, token, token[16:], when, money(subtotal), money(tax), token, money(subtotal), money(total), set(total), set(shipping), money(tax), 100+h%2000, when)
	b = fmt.Appendf(b, `,"billing_address":%s,"customer":{"id":%d,"created_at":"%s","email":%q,"first_name":%q,"last_name":%q,"phone":%q,"state":"disabled","verified_email":true,"tags":"","currency":"GBP"},"discount_applications":[],"fulfillments":[],"line_items":[`,
		address, 7_000_000_000_000+int64(h%1_000_000), when, email, first, last, phone)
	b = append(b, items...)
	b = fmt.Appendf(b, `],"payment_terms":null,"refunds":[],"shipping_address":%s,"shipping_lines":[{"id":%d,"code":"Standard","carrier_identifier":null,"discounted_price":"4.95","is_removed":false,"phone":null,"price":"4.95","price_set":%s,"source":"shopify","title":"Standard","tax_lines":[],"discount_allocations":[]}]}`,
		address, orderID(n)+77, set(shipping))
	return b
}

// productBody is one product with its variants, as products/create brings it.
func productBody(p int, at time.Time) []byte {
	when := at.UTC().Format("2006-01-02T15:04:05-07:00")
	b := fmt.Appendf(nil, `{"id":%d,"admin_graphql_api_id":"gid://shopify/Product/%d","body_html":null,"created_at":"%s","handle":"product-%d","product_type":"Goods","published_at":"%s","title":%q,"updated_at":"%s","vendor":"Bench & Sons","status":"active","tags":"","variants":[`,
		productID(p), productID(p), when, p, when, title(p), when)
	for v := range variantsOf {
		i := p*variantsOf + v
		if v > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"id":%d,"admin_graphql_api_id":"gid://shopify/ProductVariant/%d","product_id":%d,"barcode":null,"inventory_item_id":%d,"inventory_management":"shopify","inventory_quantity":0,"position":%d,"price":"%s","sku":"%s","title":"Variant %d","updated_at":"%s"}`,
			variantID(i), variantID(i), productID(p), itemID(i), v+1, money(priceOf(i)), skuName(i), v, when)
	}
	return append(b, `],"images":[]}`...)
}

// meanBytes is the mean length of a body.
func meanBytes(n int) int {
	n, total := min(n, 300), 0
	for i := range n {
		total += len(orderBody(i, time.Unix(1_700_000_000, 0)))
	}
	return total / n
}
