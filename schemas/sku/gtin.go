package sku

import (
	"fmt"
	"strings"
)

// GTIN is a trade item number: GS1 General Specifications, sections 1.4 and 2.1.
type GTIN struct {
	// Canonical is the 14 digits, padded with zeros on the left.
	Canonical string
	// Global: assigned by GS1 to one article, worldwide. False for numbers that anybody may
	// use inside his own walls, for coupons and refunds, for variable measures, and for eight
	// digits that are both a right GTIN-8 and a right UPC-E.
	Global bool
	// Case: indicator 1 to 8, a packing of several of Item. How many is not in the number.
	Case bool
	// Variable: indicator 9, sold by weight or length.
	Variable bool
}

// Item is the number inside a case: the same digits with indicator 0 and their own check
// digit. For anything but a case it is the number itself.
func (g GTIN) Item() string {
	if !g.Case {
		return g.Canonical
	}
	body := "0" + g.Canonical[1:13]
	return body + string(checkDigit(body))
}

// ParseGTIN reads GTIN-8, GTIN-12 (UPC-A), GTIN-13 (EAN-13), GTIN-14, and UPC-E with its
// number system and check digit. Blanks and hyphens between digits are ignored. A number
// with another count of digits is an error: a spreadsheet that cut leading zeros also cuts
// others, and padding could hit another article.
func ParseGTIN(text string) (GTIN, error) {
	digits, err := onlyDigits("GTIN", text)
	if err != nil {
		return GTIN{}, err
	}
	switch len(digits) {
	case 8:
		return parseEight(text, digits)
	case 12, 13, 14:
		return checked("GTIN", text, digits)
	}
	return GTIN{}, fmt.Errorf("GTIN %q: %d digits, not 8, 12, 13 or 14: %w", clip(text), len(digits), ErrForm)
}

// parseEight tells a GTIN-8 from a UPC-E. Only numbers that begin with 0 or 1 can be UPC-E;
// one in ten of them checks both ways, and then nothing in it says which it is.
func parseEight(text, digits string) (GTIN, error) {
	plain, err := checked("GTIN", text, digits)
	upca, errE := ExpandUPCE(digits)
	switch {
	case errE != nil:
		return plain, err
	case err != nil:
		return checked("UPC-E", text, upca)
	}
	plain.Global = false
	return plain, nil
}

// ExpandUPCE writes out the zeros of a UPC-E (number system 0 or 1, six digits, check digit)
// and returns the UPC-A of 12 digits.
func ExpandUPCE(upce string) (string, error) {
	if len(upce) != 8 || upce[0] != '0' && upce[0] != '1' {
		return "", fmt.Errorf("UPC-E %q: not eight digits that begin with 0 or 1: %w", clip(upce), ErrForm)
	}
	for i := range upce {
		if upce[i] < '0' || upce[i] > '9' {
			return "", fmt.Errorf("UPC-E %q: not eight digits: %w", clip(upce), ErrForm)
		}
	}
	system, d, check := upce[:1], upce[1:7], upce[7:]
	var body string
	switch last := d[5]; last {
	case '0', '1', '2':
		body = d[:2] + string(last) + "0000" + d[2:5]
	case '3':
		body = d[:3] + "00000" + d[3:5]
	case '4':
		body = d[:4] + "00000" + d[4:5]
	default:
		body = d[:5] + "0000" + string(last)
	}
	upca := system + body
	if string(checkDigit(upca)) != check {
		return "", fmt.Errorf("UPC-E %q: %w", clip(upce), ErrCheck)
	}
	return upca + check, nil
}

// ParseISBN reads ISBN-10 and ISBN-13 into the GTIN that they are.
func ParseISBN(text string) (GTIN, error) {
	isbn := strings.ToUpper(separators.Replace(strings.TrimSpace(text)))
	if len(isbn) == 10 {
		sum := 0
		for i := range 10 {
			d := int(isbn[i] - '0')
			if isbn[i] == 'X' && i == 9 {
				d = 10
			} else if isbn[i] < '0' || isbn[i] > '9' {
				return GTIN{}, fmt.Errorf("ISBN %q: not digits: %w", clip(text), ErrForm)
			}
			sum += (10 - i) * d
		}
		if sum%11 != 0 {
			return GTIN{}, fmt.Errorf("ISBN %q: %w", clip(text), ErrCheck)
		}
		body := "978" + isbn[:9]
		return checked("ISBN", text, body+string(checkDigit(body)))
	}
	digits, err := onlyDigits("ISBN", text)
	if err != nil {
		return GTIN{}, err
	}
	// A GTIN-14 of a single book is allowed for; 9790 numbers printed music (ISMN).
	if len(digits) == 14 && digits[0] == '0' {
		digits = digits[1:]
	}
	if len(digits) != 13 || digits[:3] != "978" && (digits[:3] != "979" || digits[3] == '0') {
		return GTIN{}, fmt.Errorf("ISBN %q: not ten digits, nor 13 that begin with 978 or 979: %w", clip(text), ErrForm)
	}
	return checked("ISBN", text, digits)
}

// ISBN10 is the old form of a canonical number; ok is false where there is none: it exists
// for prefix 978 only.
func ISBN10(canonical string) (isbn string, ok bool) {
	if len(canonical) != 14 || canonical[:4] != "0978" {
		return "", false
	}
	body := canonical[4:13]
	sum := 0
	for i := range 9 {
		sum += (10 - i) * int(body[i]-'0')
	}
	check := "0123456789X"[(11-sum%11)%11]
	return body + string(check), true
}

var separators = strings.NewReplacer(" ", "", "-", "", "\u2010", "", "\u2011", "", "\u2013", "", "\u00a0", "")

// onlyDigits drops separators; anything else that is no ASCII digit is an error.
func onlyDigits(what, text string) (string, error) {
	digits := strings.TrimSpace(text)
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			digits = separators.Replace(digits)
			break
		}
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return "", fmt.Errorf("%s %q: not digits: %w", what, clip(text), ErrForm)
		}
	}
	return digits, nil
}

const zeros = "00000000000000"

// checked pads to 14 digits, verifies the check digit and reads what the digits tell.
func checked(what, text, digits string) (GTIN, error) {
	c := zeros[len(digits):] + digits
	if c == zeros {
		return GTIN{}, fmt.Errorf("%s %q: all zeros: %w", what, clip(text), ErrForm)
	}
	if c[13] != checkDigit(c[:13]) {
		return GTIN{}, fmt.Errorf("%s %q: %w", what, clip(text), ErrCheck)
	}
	g := GTIN{Canonical: c, Case: c[0] >= '1' && c[0] <= '8', Variable: c[0] == '9'}
	g.Global = !g.Variable && !restricted(c)
	return g, nil
}

// restricted circulation, by GS1 prefix (https://www.gs1.org/standards/id-keys/company-prefix):
// 02, 04 and 2x inside a company or region; 05, 98 and 99 coupons, vouchers and refund
// receipts; of GTIN-8 (six zeros in front) those that begin with 0 and 2.
func restricted(canonical string) bool {
	if canonical[:6] == "000000" {
		return canonical[6] == '0' || canonical[6] == '2'
	}
	switch prefix := canonical[1:3]; {
	case prefix[0] == '2':
		return true
	case prefix == "02", prefix == "04", prefix == "05", prefix == "98", prefix == "99":
		return true
	}
	return false
}

// checkDigit is GS1's modulo 10: weights 3 and 1 in turn, beginning with 3 at the right.
func checkDigit(body string) byte {
	sum, weight := 0, 3
	for i := len(body) - 1; i >= 0; i-- {
		sum += weight * int(body[i]-'0')
		weight = 4 - weight
	}
	return byte('0' + (10-sum%10)%10)
}
