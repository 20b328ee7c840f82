package shopify

import "github.com/helloword/crossdock/connectors"

// company is what Shopify calls a carrier, for our code of it or for its name. Of a name that is
// in its list, written exactly so, Shopify makes the tracking address itself; any other is
// shown as it is. https://shopify.dev/docs/api/admin-graphql/2026-10/objects/FulfillmentTrackingInfo
func company(code, name string) string {
	for _, text := range []string{code, name} {
		if known := knownCompany(text); known != "" {
			return known
		}
	}
	if name != "" {
		return name
	}
	return code
}

func knownCompany(text string) string {
	switch connectors.CarrierKey(text) {
	case "usps", "unitedstatespostalservice":
		return "USPS"
	case "ups", "unitedparcelservice":
		return "UPS"
	case "fedex", "federalexpress":
		return "FedEx"
	case "dhlexpress":
		return "DHL Express"
	case "dhlecommerce", "dhlglobalmail":
		return "DHL eCommerce"
	case "dhlecommerceasia":
		return "DHL eCommerce Asia"
	case "dhlparcel":
		return "DHL Parcel"
	case "dhl", "dhlpaket":
		return "DHL"
	case "deutschepost":
		return "Deutsche Post"
	case "royalmail":
		return "Royal Mail"
	case "parcelforce":
		return "Parcelforce"
	case "evri", "myhermes":
		return "Evri"
	case "hermes":
		return "Hermes"
	case "dpd":
		return "DPD"
	case "dpduk":
		return "DPD UK"
	case "dpdlocal":
		return "DPD Local"
	case "gls":
		return "GLS"
	case "yodel":
		return "Yodel"
	case "tnt":
		return "TNT"
	case "colissimo":
		return "Colissimo"
	case "laposte", "lapostecolissimo":
		return "La Poste Colissimo"
	case "chronopost":
		return "Chronopost"
	case "mondialrelay":
		return "Mondial Relay"
	case "bpost":
		return "BPost"
	case "postnl":
		return "PostNL"
	case "correos":
		return "Correos"
	case "ctt":
		return "CTT"
	case "posteitaliane":
		return "Poste Italiane"
	case "swisspost":
		return "Swiss Post"
	case "anpost":
		return "An Post"
	case "canadapost":
		return "Canada Post"
	case "purolator":
		return "Purolator"
	case "auspost", "australiapost":
		return "Australia Post"
	case "nzpost", "newzealandpost":
		return "New Zealand Post"
	case "singpost", "singaporepost":
		return "Singapore Post"
	case "ninjavan":
		return "NinjaVan"
	case "chinapost":
		return "China Post"
	case "yunexpress":
		return "YunExpress"
	case "sfexpress", "sf":
		return "SF Express"
	case "4px":
		return "4PX"
	}
	return ""
}
