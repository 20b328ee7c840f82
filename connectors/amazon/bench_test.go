package amazon

import (
	"fmt"
	"strings"
	"testing"

	"github.com/helloword/crossdock/connectors"
)

// orderBody is the n-th order: 5 kB as Amazon tells one with every set of data, with two to
// three items, no two alike.
func orderBody(n int) []byte {
	amount := func(pence int) string {
		return fmt.Sprintf(`{"amount":"%d.%02d","currencyCode":"GBP"}`, pence/100, pence%100)
	}
	var items, packed []string
	goods, shipping, tax := 0, 0, 0
	for i := range 2 + n%2 {
		price, units := 299+(n*37+i*101)%9700, 1+(n+i)%3
		total, ship := price*units, 199
		own := (total + ship) / 5
		goods, shipping, tax = goods+total, shipping+ship, tax+own
		id := 10_000_000_000 + n*10 + i
		items = append(items, fmt.Sprintf(`{"orderItemId":"%d","quantityOrdered":%d,"programs":["SUBSCRIBE_AND_SAVE"],"product":{"asin":"B0%08d","title":"Hand-made Picture Frame No. %d | Oak | 30 × 40 cm","sellerSku":"SKU-%d","condition":{"conditionType":"NEW","conditionSubtype":"NEW","conditionNote":""},"price":{"unitPrice":%s},"customization":{"customizedUrl":""}},"proceeds":{"proceedsTotal":%s,"breakdowns":[{"type":"ITEM","subtotal":%s},{"type":"SHIPPING","subtotal":%s},{"type":"TAX","subtotal":%s,"detailedBreakdowns":[{"subtype":"ITEM","value":%s},{"subtype":"SHIPPING","value":%s}]}]},"promotion":{"breakdowns":[{"promotionId":"UK-AUTUMN"}]},"fulfillment":{"quantityFulfilled":0,"quantityUnfulfilled":%d,"packing":{"giftOption":{"giftMessage":"Many happy returns","giftWrapLevel":"PREMIUM"}},"shipping":{"scheduledDeliveryWindow":{"earliestDateTime":"2026-11-28T09:00:00Z","latestDateTime":"2026-11-28T17:00:00Z"},"shippingConstraints":{"signatureConfirmation":"MANDATORY"},"internationalShipping":{"iossNumber":"IM1234567890"}}},"tax":{"taxCalculationBreakdowns":[{"reportingScheme":"UOSS"}],"taxCollections":[{"model":"MARKETPLACE_FACILITATOR","responsibleParty":"Amazon Services Europe S.a.r.L."}]}}`,
			id, units, n, n, n%3000, amount(price), amount(total+ship+own), amount(total), amount(ship), amount(own), amount(own-20), amount(20), units))
		packed = append(packed, fmt.Sprintf(`{"orderItemId":"%d","quantity":%d,"transparencyCodes":["T12345ABCDE67890UK"]}`, id, units))
	}
	return fmt.Appendf(nil, `{"orderId":"202-%07d-8901234","orderAliases":[{"aliasId":"UK-%d","aliasType":"SELLER_ORDER_ID"}],"createdTime":"2026-11-25T09:15:%02dZ","lastUpdatedTime":"2026-11-25T16:30:00.%03dZ","programs":["PRIME"],"associatedOrders":[],"salesChannel":{"channelName":"AMAZON","marketplaceId":"A1F83G8C2ARO7P","marketplaceName":"Amazon.co.uk"},"buyer":{"buyerName":"Amelia Müller","buyerEmail":"buyer%d@marketplace.example","buyerCompanyName":"Müller Frames Ltd","buyerPurchaseOrderNumber":"PO-%d"},"recipient":{"deliveryAddress":{"name":"Amelia Müller","companyName":"Müller Frames Ltd","addressLine1":"%d High Street","addressLine2":"Unit 4B","addressLine3":"","city":"Manchester","districtOrCounty":"Greater Manchester","stateOrRegion":"England","municipality":"","postalCode":"M1 2AB","countryCode":"GB","phone":"+44 161 496 0000","addressType":"COMMERCIAL"},"deliveryPreference":{"dropOffLocation":"Front desk","addressInstruction":"Enter through the main lobby","deliveryTime":{"businessHours":[{"dayOfWeek":"MON","timeWindows":[{"startTime":{"hour":9,"minute":0},"endTime":{"hour":17,"minute":0}}]}],"exceptionDates":[]}}},"proceeds":{"grandTotal":%s,"breakdowns":[{"type":"ITEM","subtotal":%s},{"type":"SHIPPING","subtotal":%s},{"type":"TAX","subtotal":%s}]},"fulfillment":{"fulfillmentStatus":"UNSHIPPED","fulfilledBy":"MERCHANT","fulfillmentServiceLevel":"STANDARD","shipByWindow":{"earliestDateTime":"2026-11-25T00:00:00Z","latestDateTime":"2026-11-26T23:59:59Z"},"deliverByWindow":{"earliestDateTime":"2026-11-27T00:00:00Z","latestDateTime":"2026-11-30T23:59:59Z"}},"orderItems":[%s],"packages":[{"packageReferenceId":"1","createdTime":"2026-11-25T16:45:00Z","packageStatus":{"status":"PENDING"},"carrier":"Royal Mail","shippingService":"Tracked 48","trackingNumber":"RR%09dGB","packageItems":[%s]}]}`,
		n, n, n%60, n%1000, n, n, n%300, amount(goods+shipping+tax), amount(goods), amount(shipping), amount(tax), strings.Join(items, ","), n, strings.Join(packed, ","))
}

// BenchmarkTranslate is the hot path: one order as it stands in an answer to a fact.
func BenchmarkTranslate(b *testing.B) {
	var bodies [][]byte
	total := 0
	for n := range 500 {
		bodies = append(bodies, orderBody(n))
		total += len(bodies[n])
	}
	b.SetBytes(int64(total / len(bodies)))
	b.ReportAllocs()
	tr := &translator{markets: []string{"A1F83G8C2ARO7P"}}
	for i := 0; b.Loop(); i++ {
		facts, err := tr.Translate(&connectors.Record{Account: "shop-uk", Format: formatOrder, Body: bodies[i%len(bodies)]})
		if err != nil || len(facts.Orders) != 1 {
			b.Fatal(err)
		}
	}
}

// TestBenchmarkOrdersAddUp: what is measured is what is meant.
func TestBenchmarkOrdersAddUp(t *testing.T) {
	for n := range 50 {
		facts, err := translated(formatOrder, string(orderBody(n)))
		if err != nil {
			t.Fatal(err)
		}
		if err := addsUp(facts.Orders[0]); err != nil {
			t.Errorf("order %d: %v", n, err)
		}
	}
}
