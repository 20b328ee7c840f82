package money

import (
	"fmt"

	"github.com/helloword/crossdock/schemas/event"
)

// MaxScale is the largest number of decimals that a Decimal may have: 10^18 is the largest
// power of ten in int64.
const MaxScale = 18

// Text is what numbers arrive in.
type Text interface{ ~string | ~[]byte }

// Parse reads an amount's decimal text into minor units of the currency at the provider:
// an optional minus, digits, optionally a point and digits. Decimals beyond the exponent
// must be zeros (ErrPrecision). No sign +, no space, no comma, no exponent.
func Parse[T Text](provider, currency string, text T) (minor int64, err error) {
	exponent, ok := Exponent(provider, currency)
	if !ok {
		return 0, unknown(provider, currency)
	}
	unscaled, scale, err := scan(text)
	if err != nil {
		return 0, err
	}
	return rescale(text, unscaled, scale, exponent)
}

// ParseNumber is Parse for a number of a JSON document: it also takes the exponent form
// ("1.2e+3") that some encoders write.
func ParseNumber[T Text](provider, currency string, text T) (minor int64, err error) {
	exponent, ok := Exponent(provider, currency)
	if !ok {
		return 0, unknown(provider, currency)
	}
	mark := -1
	for i := range len(text) {
		if text[i] == 'e' || text[i] == 'E' {
			mark = i
			break
		}
	}
	if mark < 0 {
		return Parse(provider, currency, text)
	}
	unscaled, scale, err := scan(text[:mark])
	if err != nil {
		return 0, err
	}
	power, err := scanPower(text, mark+1)
	if err != nil {
		return 0, err
	}
	return rescale(text, unscaled, scale-power, exponent)
}

// ParseDecimal reads decimal text into its shortest form: "10.00", "10.0" and "10" give the
// same Decimal, so that one price told in two spellings is one price.
func ParseDecimal[T Text](text T) (*event.Decimal, error) {
	d := &event.Decimal{}
	if err := ParseDecimalInto(d, text); err != nil {
		return nil, err
	}
	return d, nil
}

// ParseDecimalInto is ParseDecimal for a Decimal that is there already; after an error it is
// as it was.
func ParseDecimalInto[T Text](d *event.Decimal, text T) error {
	unscaled, scale, err := scan(text)
	if err != nil {
		return err
	}
	d.Unscaled, d.Scale = unscaled, int32(scale)
	return nil
}

// scan reads "-12.340" as (-1234, 2): zeros at the end of the decimals are left out, so that
// any number of them may follow. 0 ≤ scale ≤ MaxScale.
func scan[T Text](text T) (unscaled int64, scale int, err error) {
	i, n := 0, len(text)
	negative := n > 0 && text[0] == '-'
	if negative {
		i = 1
	}
	var u uint64
	start := i
	for ; i < n; i++ {
		d := text[i] - '0'
		if d > 9 {
			break
		}
		if u > (1<<63)/10 {
			return 0, 0, overflow(text)
		}
		u = u*10 + uint64(d) // at most 2^63 + 9
	}
	if i == start {
		return 0, 0, syntax(text)
	}
	if i < n {
		if text[i] != '.' || i+1 == n {
			return 0, 0, syntax(text)
		}
		point := i
		for i++; i < n; i++ {
			d := text[i] - '0'
			if d > 9 {
				return 0, 0, syntax(text)
			}
			if d == 0 {
				continue
			}
			// Only now the zeros before this digit count.
			if i-point > MaxScale {
				return 0, 0, precision(text)
			}
			for ; scale < i-point; scale++ {
				if u > (1<<63)/10 {
					return 0, 0, overflow(text)
				}
				u *= 10
			}
			u += uint64(d)
		}
	}
	if negative {
		if u > 1<<63 {
			return 0, 0, overflow(text)
		}
		return -int64(u), scale, nil
	}
	if u > 1<<63-1 {
		return 0, 0, overflow(text)
	}
	return int64(u), scale, nil
}

// scanPower reads the digits after an e, signed; beyond ±99 nothing fits.
func scanPower[T Text](text T, i int) (int, error) {
	negative := false
	if i < len(text) && (text[i] == '-' || text[i] == '+') {
		negative = text[i] == '-'
		i++
	}
	if i == len(text) {
		return 0, syntax(text)
	}
	power := 0
	for ; i < len(text); i++ {
		d := text[i] - '0'
		if d > 9 {
			return 0, syntax(text)
		}
		power = min(power*10+int(d), 99)
	}
	if negative {
		power = -power
	}
	return power, nil
}

// rescale turns unscaled × 10^-scale into units of 10^-exponent, exactly or not at all.
func rescale[T Text](text T, unscaled int64, scale, exponent int) (int64, error) {
	if unscaled == 0 {
		return 0, nil
	}
	for ; scale > exponent; scale-- {
		if unscaled%10 != 0 {
			return 0, precision(text)
		}
		unscaled /= 10
	}
	if exponent-scale > MaxScale {
		return 0, overflow(text)
	}
	p := pow10(exponent - scale)
	minor := unscaled * p
	if p != 1 && minor/p != unscaled {
		return 0, overflow(text)
	}
	return minor, nil
}

// pow10 for 0 ≤ n ≤ MaxScale.
func pow10(n int) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}

func unknown(provider, currency string) error {
	if provider == "" {
		provider = "ISO 4217"
	}
	return fmt.Errorf("currency %q at %s: %w", clip(currency), provider, ErrCurrency)
}

func syntax[T Text](text T) error    { return fmt.Errorf("amount %q: %w", clip(text), ErrSyntax) }
func precision[T Text](text T) error { return fmt.Errorf("amount %q: %w", clip(text), ErrPrecision) }
func overflow[T Text](text T) error  { return fmt.Errorf("amount %q: %w", clip(text), ErrOverflow) }

// clip bounds what an error repeats of its input.
func clip[T Text](text T) string {
	const most = 40
	if len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(text)
}
