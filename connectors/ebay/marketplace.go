package ebay

// Marketplaces and what belongs to each.
// https://developer.ebay.com/api-docs/static/rest-request-components.html (2026-11)

// marketplace is one of eBay's sites.
type marketplace struct {
	id       string
	currency string
	// signed: sellers of this site fall under the EU's and UK's payment rules, and their
	// refunds have to carry a digital signature.
	// https://developer.ebay.com/develop/guides/digital-signatures-for-apis
	signed bool
}

func marketplaces() []marketplace {
	return []marketplace{
		{"EBAY_US", "USD", false},
		{"EBAY_MOTORS_US", "USD", false},
		{"EBAY_CA", "CAD", false},
		{"EBAY_GB", "GBP", true},
		{"EBAY_AU", "AUD", false},
		{"EBAY_AT", "EUR", true},
		{"EBAY_BE", "EUR", true},
		{"EBAY_CH", "CHF", false},
		{"EBAY_DE", "EUR", true},
		{"EBAY_ES", "EUR", true},
		{"EBAY_FR", "EUR", true},
		{"EBAY_IE", "EUR", true},
		{"EBAY_IT", "EUR", true},
		{"EBAY_NL", "EUR", true},
		{"EBAY_PL", "PLN", true},
		{"EBAY_HK", "HKD", false},
		{"EBAY_MY", "MYR", false},
		{"EBAY_PH", "PHP", false},
		{"EBAY_SG", "SGD", false},
		{"EBAY_TW", "TWD", false},
	}
}

func marketplaceOf(id string) (marketplace, bool) {
	for _, m := range marketplaces() {
		if m.id == id {
			return m, true
		}
	}
	return marketplace{}, false
}
