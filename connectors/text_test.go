package connectors

import (
	"testing"

	"github.com/helloword/crossdock/schemas/event"
)

// TestPostcodePrefix: the same parcel's destination is the same text whoever sold it.
func TestPostcodePrefix(t *testing.T) {
	for text, want := range map[string]string{" sw1a 1aa": "SW1", "50667": "506", "k1": "K1", "": ""} {
		if got := PostcodePrefix(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestBarcodeKind(t *testing.T) {
	const none, gtin, isbn = event.IdentifierKind_IDENTIFIER_KIND_UNSPECIFIED, event.IdentifierKind_IDENTIFIER_KIND_GTIN, event.IdentifierKind_IDENTIFIER_KIND_ISBN
	for barcode, want := range map[string]event.IdentifierKind{
		"4006381333931": gtin, "012345678905": gtin, "96385074": gtin, "10012345678902": gtin, "4 006381 333931": gtin,
		"0-306-40615-2": isbn, "080442957X": isbn, "": none, "SHELF-7": none, "12345": none, "X804429570": none, "080442957XX": none,
		"MUG": none, "X": none,
	} {
		if got := BarcodeKind(barcode); got != want {
			t.Errorf("%q is %s, want %s", barcode, got, want)
		}
	}
}
