package connectors

import (
	"strings"

	"github.com/helloword/crossdock/schemas/event"
)

// What channels' own words mean to all of us.

// prefixRunes of a postcode name a region of some ten thousand people, and no street.
const prefixRunes = 3

// PostcodePrefix is what of a postcode is no personal data: its first three characters, in
// upper case.
func PostcodePrefix(postcode string) string {
	s := strings.ToUpper(strings.TrimSpace(postcode))
	n := prefixRunes
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// BarcodeKind says what a barcode is by its form; merchants also write numbers of their own
// into such fields, which identify nothing outside of the shop: IDENTIFIER_KIND_UNSPECIFIED.
func BarcodeKind(barcode string) event.IdentifierKind {
	digits, x := 0, false
	for i := range len(barcode) {
		switch c := barcode[i]; {
		case x:
			return event.IdentifierKind_IDENTIFIER_KIND_UNSPECIFIED
		case c >= '0' && c <= '9':
			digits++
		case c == '-' || c == ' ':
		case (c == 'X' || c == 'x') && digits == 9:
			x = true
		default:
			return event.IdentifierKind_IDENTIFIER_KIND_UNSPECIFIED
		}
	}
	switch {
	case x || digits == 10:
		return event.IdentifierKind_IDENTIFIER_KIND_ISBN
	case digits == 8 || digits == 12 || digits == 13 || digits == 14:
		return event.IdentifierKind_IDENTIFIER_KIND_GTIN
	}
	return event.IdentifierKind_IDENTIFIER_KIND_UNSPECIFIED
}
