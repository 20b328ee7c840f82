package ebay

import (
	"strings"

	"github.com/helloword/crossdock/connectors"
)

// carrier is eBay's code of a carrier, for our code of it or what it is called. eBay keeps
// the list behind a call of the Trading API (GeteBayDetails, ShippingCarrierDetails) and
// writes it without spaces; one that it does not know goes as "Other", with the same
// tracking number.
// https://developer.ebay.com/devzone/xml/docs/reference/ebay/types/ShippingCarrierCodeType.html
func carrier(code, name string) string {
	for _, text := range []string{code, name} {
		switch connectors.CarrierKey(text) {
		case "usps", "unitedstatespostalservice":
			return "USPS"
		case "ups", "unitedparcelservice":
			return "UPS"
		case "fedex", "federalexpress":
			return "FedEx"
		case "dhl", "dhlexpress":
			return "DHL"
		case "dhlecommerce", "dhlglobalmail":
			return "DHLGlobalMail"
		case "royalmail":
			return "RoyalMail"
		case "parcelforce":
			return "Parcelforce"
		case "hermes", "evri", "myhermes":
			return "Hermes"
		case "dpd":
			return "DPD"
		case "gls":
			return "GLS"
		case "yodel":
			return "Yodel"
		case "tnt", "tntpost":
			return "TNT"
		case "deutschepost":
			return "DeutschePost"
		case "colissimo", "laposte":
			return "Colissimo"
		case "chronopost":
			return "Chronopost"
		case "correos":
			return "Correos"
		case "posteitaliane":
			return "PosteItaliane"
		case "canadapost":
			return "CanadaPost"
		case "auspost", "australiapost":
			return "AustraliaPost"
		case "chinapost":
			return "ChinaPost"
		case "yanwen":
			return "Yanwen"
		case "yunexpress":
			return "YunExpress"
		case "sfexpress", "sf":
			return "SFExpress"
		case "4px":
			return "4PX"
		}
	}
	return "Other"
}

// tracking is a tracking number as eBay takes it: letters and digits, "spaces, hyphens, and
// all other special characters are not supported".
func tracking(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return -1
	}, text)
}
