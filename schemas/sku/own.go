package sku

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// MaxLength of a SKU, in characters.
const MaxLength = 128

// SKU returns the normal form of a merchant's own SKU: without blanks around it, composed
// (Unicode NFC), the case kept, because there are merchants whose codes differ by nothing
// else. Nothing that cannot be seen is allowed in it (controls, line ends, zero-width
// characters): two SKUs that look alike must be alike.
func SKU(text string) (string, error) {
	s := text
	if !plain(s) {
		if !utf8.ValidString(s) {
			return "", fmt.Errorf("SKU %q: not UTF-8: %w", clip(text), ErrForm)
		}
		s = norm.NFC.String(strings.TrimSpace(s))
		for _, r := range s {
			if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
				return "", fmt.Errorf("SKU %q: character %U cannot be seen: %w", clip(text), r, ErrForm)
			}
		}
	}
	if s == "" {
		return "", fmt.Errorf("SKU %q: empty: %w", clip(text), ErrForm)
	}
	if n := utf8.RuneCountInString(s); n > MaxLength {
		return "", fmt.Errorf("SKU %q: %d characters, at most %d are allowed: %w", clip(text), n, MaxLength, ErrForm)
	}
	return s, nil
}

// plain: visible ASCII with no blank at either end is its own normal form.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == ' ' && (i == 0 || i == len(s)-1) {
			return false
		}
	}
	return true
}
