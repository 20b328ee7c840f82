// Package sku is the normal forms under which articles are recognised: trade item numbers
// (GTIN with its older names EAN, UPC, JAN, and ISBN), the platforms' own numbers, and the
// merchant's SKUs.
//
// Comes in: text as a platform gave it. Goes out: one canonical form per article number, and
// whether the number may be matched between accounts at all. Keeps: nothing. Pure functions.
//
// Two spellings of one number have one canonical form; a number that does not check is an
// error and never repaired: a lost digit that is guessed sells the wrong article. What two
// merchants may have given out independently (in-store numbers, part numbers) is never
// global.
package sku

import (
	"errors"
	"fmt"
	"strings"

	"github.com/helloword/crossdock/schemas/event"
)

// What can be wrong with an identifier. All are permanent.
var (
	// ErrForm: wrong length or characters.
	ErrForm = errors.New("wrong form")
	// ErrCheck: the check digit is not that of the other digits.
	ErrCheck = errors.New("wrong check digit")
	// ErrKind: an identifier of a kind that has no normal form here.
	ErrKind = errors.New("unknown kind of identifier")
)

// Normalise returns an identifier's canonical form. global says that the form alone names
// the same article on every account; without it, it is at most a hint.
//
// GTIN and ISBN have one canonical form, 14 digits: file them under CanonicalKind, so that
// the ISBN on one shop meets the GTIN on another.
func Normalise(kind event.IdentifierKind, text string) (canonical string, global bool, err error) {
	switch kind {
	case event.IdentifierKind_IDENTIFIER_KIND_GTIN:
		g, err := ParseGTIN(text)
		if err != nil {
			return "", false, err
		}
		return g.Canonical, g.Global, nil
	case event.IdentifierKind_IDENTIFIER_KIND_ISBN:
		g, err := ParseISBN(text)
		if err != nil {
			return "", false, err
		}
		return g.Canonical, true, nil
	case event.IdentifierKind_IDENTIFIER_KIND_ASIN:
		canonical, err := parseASIN(text)
		return canonical, err == nil, err
	case event.IdentifierKind_IDENTIFIER_KIND_MPN:
		// Unique within one manufacturer at best.
		canonical, err := SKU(text)
		return canonical, false, err
	}
	return "", false, fmt.Errorf("identifier %q of kind %s: %w", clip(text), kind, ErrKind)
}

// CanonicalKind is the kind under which Normalise's result is filed: an ISBN is a GTIN.
func CanonicalKind(kind event.IdentifierKind) event.IdentifierKind {
	if kind == event.IdentifierKind_IDENTIFIER_KIND_ISBN {
		return event.IdentifierKind_IDENTIFIER_KIND_GTIN
	}
	return kind
}

// parseASIN: ten letters and digits. Those of books are their ISBN-10, all others begin
// with B; https://www.amazon.com/gp/seller/asin-upc-isbn-info.html
func parseASIN(text string) (string, error) {
	asin := strings.ToUpper(strings.TrimSpace(text))
	if len(asin) != 10 {
		return "", fmt.Errorf("ASIN %q: not ten letters and digits: %w", clip(text), ErrForm)
	}
	for i := range asin {
		if c := asin[i]; !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z') {
			return "", fmt.Errorf("ASIN %q: not ten letters and digits: %w", clip(text), ErrForm)
		}
	}
	if asin[0] == 'B' {
		return asin, nil
	}
	if _, err := ParseISBN(asin); err != nil {
		return "", fmt.Errorf("ASIN %q: does not begin with B and is no ISBN-10: %w", clip(text), ErrForm)
	}
	return asin, nil
}

// clip bounds what an error repeats of its input.
func clip(text string) string {
	const most = 40
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
