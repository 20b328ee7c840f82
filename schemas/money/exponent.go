package money

// Exponent returns how many decimals the minor unit of a currency stands for at a provider
// (a connector's name); ok is false when the currency is not known there. Providers that
// are not named below follow ISO 4217, as does the empty provider.
func Exponent(provider, currency string) (exponent int, ok bool) {
	switch provider {
	case "stripe":
		// https://docs.stripe.com/currencies#zero-decimal and #special-cases: MGA has no
		// decimals although ISO gives it 2; ISK and UGX have none in ISO but their API amounts
		// have two (and must be multiples of 100). The other zero- and three-decimal currencies
		// of Stripe are ISO's.
		switch currency {
		case "MGA":
			return 0, true
		case "ISK", "UGX":
			return 2, true
		}
	case "paypal":
		// https://developer.paypal.com/api/rest/reference/currency-codes/: HUF, JPY and TWD
		// "do not support decimals"; a decimal amount is refused.
		switch currency {
		case "HUF", "TWD":
			return 0, true
		}
	}
	// Shopify sends and takes decimal text, for which ISO's exponents are enough. (Its own
	// library, github.com/Shopify/money, counts MGA and MRU in whole units only: text without
	// decimals, which parses the same.)
	return isoExponent(currency)
}

// isoExponent is ISO 4217, list one (current currencies, as of 2026-01). Codes without a
// minor unit (XAU, XDR, XTS, XXX …) are no currencies to be paid in: not known. A switch
// and not a map, because it stands on every amount's path; the test compares it with the
// published list, code by code.
func isoExponent(currency string) (int, bool) {
	switch currency {
	case "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV",
		"XAF", "XOF", "XPF":
		return 0, true
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		return 3, true
	case "CLF", "UYW":
		return 4, true
	case "AED", "AFN", "ALL", "AMD", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BMD", "BND",
		"BOB", "BOV", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF", "CHE", "CHF", "CHW", "CNY",
		"COP", "COU", "CRC", "CUP", "CVE", "CZK", "DKK", "DOP", "DZD", "EGP", "ERN", "ETB", "EUR", "FJD",
		"FKP", "GBP", "GEL", "GHS", "GIP", "GMD", "GTQ", "GYD", "HKD", "HNL", "HTG", "HUF", "IDR", "ILS",
		"INR", "IRR", "JMD", "KES", "KGS", "KHR", "KPW", "KYD", "KZT", "LAK", "LBP", "LKR", "LRD", "LSL",
		"MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MRU", "MUR", "MVR", "MWK", "MXN", "MXV", "MYR",
		"MZN", "NAD", "NGN", "NIO", "NOK", "NPR", "NZD", "PAB", "PEN", "PGK", "PHP", "PKR", "PLN", "QAR",
		"RON", "RSD", "RUB", "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP", "SLE", "SOS", "SRD", "SSP",
		"STN", "SVC", "SYP", "SZL", "THB", "TJS", "TMT", "TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "USD",
		"USN", "UYU", "UZS", "VED", "VES", "WST", "XAD", "XCD", "XCG", "YER", "ZAR", "ZMW", "ZWG":
		return 2, true
	}
	return withdrawnExponent(currency)
}

// withdrawnExponent is what ISO 4217 gave to currencies that are gone, but stand in the
// history of the European Central Bank's rates or on orders of the last years. The list of
// withdrawn codes no longer tells minor units; these are of the last edition that did.
func withdrawnExponent(currency string) (int, bool) {
	switch currency {
	case "TRL", "BYR":
		return 0, true
	case "BGN", "CYP", "EEK", "HRK", "LTL", "LVL", "MTL", "ROL", "SIT", "SKK",
		"ANG", "CUC", "MRO", "SLL", "STD", "VEF", "ZMK", "ZWL":
		return 2, true
	}
	return 0, false
}
