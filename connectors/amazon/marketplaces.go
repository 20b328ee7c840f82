package amazon

// The marketplaces stand in a table of their own because three things follow from one: the
// region whose endpoint serves it, the currency of its prices, and which of them one
// connection may hold together.

// marketplace is one of Amazon's stores.
type marketplace struct {
	id, country, region, currency string
}

// Regions of the Selling Partner API. A seller's authorisation is for one of them.
// https://developer-docs.amazon.com/sp-api/docs/sp-api-endpoints
const (
	RegionNorthAmerica = "na"
	RegionEurope       = "eu"
	RegionFarEast      = "fe"
)

// marketplaces is all of them.
// https://developer-docs.amazon.com/sp-api/docs/marketplace-ids
func marketplaces() []marketplace {
	return []marketplace{
		{"A2EUQ1WTGCTBG2", "CA", RegionNorthAmerica, "CAD"},
		{"ATVPDKIKX0DER", "US", RegionNorthAmerica, "USD"},
		{"A1AM78C64UM0Y8", "MX", RegionNorthAmerica, "MXN"},
		{"A2Q3Y263D00KWC", "BR", RegionNorthAmerica, "BRL"},
		{"A28R8C7NBKEWEA", "IE", RegionEurope, "EUR"},
		{"A1RKKUPIHCS9HS", "ES", RegionEurope, "EUR"},
		{"A1F83G8C2ARO7P", "GB", RegionEurope, "GBP"},
		{"A13V1IB3VIYZZH", "FR", RegionEurope, "EUR"},
		{"AMEN7PMS3EDWL", "BE", RegionEurope, "EUR"},
		{"A1805IZSGTT6HS", "NL", RegionEurope, "EUR"},
		{"A1PA6795UKMFR9", "DE", RegionEurope, "EUR"},
		{"APJ6JRA9NG5V4", "IT", RegionEurope, "EUR"},
		{"A2NODRKZP88ZB9", "SE", RegionEurope, "SEK"},
		{"AE08WJ6YKNBMC", "ZA", RegionEurope, "ZAR"},
		{"A1C3SOZRARQ6R3", "PL", RegionEurope, "PLN"},
		{"ARBP9OOSHTCHU", "EG", RegionEurope, "EGP"},
		{"A33AVAJ2PDY3EV", "TR", RegionEurope, "TRY"},
		{"A17E79C6D8DWNP", "SA", RegionEurope, "SAR"},
		{"A2VIGQ35RCS4UG", "AE", RegionEurope, "AED"},
		{"A21TJRUUN4KGV", "IN", RegionEurope, "INR"},
		{"A19VAU5U5O7RUS", "SG", RegionFarEast, "SGD"},
		{"A39IBJ37TRP1C6", "AU", RegionFarEast, "AUD"},
		{"A1VC38T7YXB528", "JP", RegionFarEast, "JPY"},
	}
}

// marketplaceByID finds one; ok is false for an id that is not known.
func marketplaceByID(id string) (m marketplace, ok bool) {
	for _, m := range marketplaces() {
		if m.id == id {
			return m, true
		}
	}
	return m, false
}

// endpoint is the host of a region; "" for a region that is none.
func endpoint(region string) string {
	switch region {
	case RegionNorthAmerica, RegionEurope, RegionFarEast:
		return "https://sellingpartnerapi-" + region + ".amazon.com"
	}
	return ""
}

// tokenHost gives access tokens for all regions.
const tokenHost = "https://api.amazon.com" //nolint:gosec // an address, and no token
