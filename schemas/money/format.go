package money

import (
	"fmt"
	"strconv"

	"github.com/helloword/crossdock/schemas/event"
)

// Format writes an amount as its provider writes it: "-12.30", with exactly as many decimals
// as the exponent says. It is the inverse of Parse.
func Format(provider string, m *event.Money) (string, error) {
	exponent, ok := Exponent(provider, m.GetCurrency())
	if !ok {
		return "", unknown(provider, m.GetCurrency())
	}
	return string(appendFixed(nil, m.GetMinor(), exponent)), nil
}

// FormatDecimal writes a Decimal as it stands, "19.90" for (1990, 2).
func FormatDecimal(d *event.Decimal) (string, error) {
	if d.GetScale() < 0 || d.GetScale() > MaxScale {
		return "", badScale(d)
	}
	return string(appendFixed(nil, d.GetUnscaled(), int(d.GetScale()))), nil
}

// ISO turns an amount in its provider's minor units into ISO 4217's: what is added up or
// converted across providers must be counted alike. It is m itself when nothing changes.
// ErrPrecision when the provider counts finer than ISO and the surplus is not zero.
func ISO(provider string, m *event.Money) (*event.Money, error) {
	from, ok := Exponent(provider, m.GetCurrency())
	if !ok {
		return nil, unknown(provider, m.GetCurrency())
	}
	to, ok := isoExponent(m.GetCurrency())
	if !ok {
		return nil, unknown("", m.GetCurrency())
	}
	if from == to {
		return m, nil
	}
	minor, err := rescale(m.GetCurrency(), m.GetMinor(), from, to)
	if err != nil {
		return nil, fmt.Errorf("amount of %d minor units of %s at %s: %w", m.GetMinor(), m.GetCurrency(), provider, err)
	}
	return &event.Money{Minor: minor, Currency: m.GetCurrency()}, nil
}

// appendFixed writes v × 10^-scale.
func appendFixed(b []byte, v int64, scale int) []byte {
	if v < 0 {
		b = append(b, '-')
	}
	var buf [20]byte
	digits := strconv.AppendUint(buf[:0], magnitude(v), 10)
	if len(digits) <= scale {
		b = append(b, '0')
	} else {
		b = append(b, digits[:len(digits)-scale]...)
		digits = digits[len(digits)-scale:]
	}
	if scale == 0 {
		return b
	}
	b = append(b, '.')
	for range scale - len(digits) {
		b = append(b, '0')
	}
	return append(b, digits...)
}
