package ebay

import (
	"fmt"
	"strings"
	"testing"

	"github.com/helloword/crossdock/connectors"
)

// orderBody is the n-th envelope of an order as getOrders sends it: 5 kB, with one to three
// lines, addresses and taxes, no two alike.
func orderBody(n int) []byte {
	cents := func(v int) string {
		return fmt.Sprintf(`{"value":"%d.%02d","currency":"GBP"}`, v/100, v%100)
	}
	var lines []string
	subtotal, tax := 0, 0
	for l := range 1 + n%3 {
		quantity := 1 + (n+l)%3
		cost := (299 + (n*37+l*101)%9700) * quantity
		vat := cost / 5
		subtotal, tax = subtotal+cost, tax+vat
		lines = append(lines, fmt.Sprintf(`{"lineItemId":"100%08d%d","legacyItemId":"1234%08d","sku":"SKU-%d","title":"Hand-made Picture Frame No. %d, oak, with glass","lineItemCost":%s,"quantity":%d,"soldFormat":"FIXED_PRICE","listingMarketplaceId":"EBAY_GB","purchaseMarketplaceId":"EBAY_GB","lineItemFulfillmentStatus":"NOT_STARTED","total":%s,"deliveryCost":{"shippingCost":{"value":"0.0","currency":"GBP"}},"appliedPromotions":[],"taxes":[{"amount":%s,"taxType":"VAT"}],"ebayCollectAndRemitTaxes":[{"amount":%s,"taxType":"VAT","collectionMethod":"NET"}],"properties":{"buyerProtection":true,"soldViaAdCampaign":false},"lineItemFulfillmentInstructions":{"minEstimatedDeliveryDate":"2026-11-03T00:00:00.000Z","maxEstimatedDeliveryDate":"2026-11-05T00:00:00.000Z","shipByDate":"2026-11-02T22:59:59.000Z","guaranteedDelivery":false},"itemLocation":{"location":"Leeds","countryCode":"GB","postalCode":"LS1 4**"},"refunds":[],"variationAspects":[{"name":"Colour","value":"oak"}]}`,
			n, l, n%1000, n%3000, n%3000, cents(cost), quantity, cents(cost+vat), cents(vat), cents(vat)))
	}
	contact := fmt.Sprintf(`{"fullName":"Made Up %d","contactAddress":{"addressLine1":"%d High Street","addressLine2":"Flat %d","city":"London","stateOrProvince":"England","postalCode":"SW%dA 1AA","countryCode":"GB"},"primaryPhone":{"phoneNumber":"+44 7%09d"},"email":"a%d@members.example.com"}`, n, 1+n%240, 1+n%40, 1+n%9, n, n)
	return fmt.Appendf(nil, `{"order":{"orderId":"12-%05d-%05d","legacyOrderId":"12-%05d-%05d","creationDate":"2026-11-01T10:15:30.%03dZ","lastModifiedDate":"2026-11-01T10:16:02.%03dZ","orderFulfillmentStatus":"NOT_STARTED","orderPaymentStatus":"PAID","sellerId":"bench","buyer":{"username":"buyer_%d","taxAddress":{"stateOrProvince":"England","postalCode":"SW1A 1AA","countryCode":"GB"},"buyerRegistrationAddress":%s},"pricingSummary":{"priceSubtotal":%s,"deliveryCost":%s,"tax":%s,"total":%s},"cancelStatus":{"cancelState":"NONE_REQUESTED","cancelRequests":[]},"paymentSummary":{"totalDueSeller":%s,"refunds":[],"payments":[{"paymentMethod":"EBAY","paymentReferenceId":"%d","paymentDate":"2026-11-01T10:15:31.000Z","amount":%s,"paymentStatus":"PAID"}]},"fulfillmentStartInstructions":[{"fulfillmentInstructionsType":"SHIP_TO","minEstimatedDeliveryDate":"2026-11-03T00:00:00.000Z","maxEstimatedDeliveryDate":"2026-11-05T00:00:00.000Z","ebaySupportedFulfillment":false,"shippingStep":{"shippingCarrierCode":"RoyalMail","shippingServiceCode":"UK_RoyalMailSecondClassStandard","shipTo":%s}}],"fulfillmentHrefs":[],"lineItems":[%s],"ebayCollectAndRemitTax":true,"salesRecordReference":"%d","totalFeeBasisAmount":%s,"totalMarketplaceFee":%s}}`,
		n%100_000, n*7%100_000, n%100_000, n*7%100_000, n%1000, n%1000, n, contact, cents(subtotal), cents(495), cents(tax), cents(subtotal+tax+495), cents(subtotal+495), n, cents(subtotal+tax+495), contact, strings.Join(lines, ","), n, cents(subtotal+tax+495), cents(subtotal/8))
}

// BenchmarkTranslate is the hot path: one record of a poll to one order.
func BenchmarkTranslate(b *testing.B) {
	var bodies [][]byte
	total := 0
	for n := range 500 {
		bodies = append(bodies, orderBody(n))
		total += len(bodies[n])
	}
	b.SetBytes(int64(total / len(bodies)))
	b.ReportAllocs()
	tr := &translator{}
	for i := 0; b.Loop(); i++ {
		facts, err := tr.Translate(&connectors.Record{Account: "ebay-uk", Format: formatOrder, Body: bodies[i%len(bodies)]})
		if err != nil || len(facts.Orders) != 1 {
			b.Fatalf("%d orders, %v", len(facts.Orders), err)
		}
	}
}
