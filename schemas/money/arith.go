package money

import (
	"fmt"
	"math/bits"
	"sort"

	"github.com/helloword/crossdock/schemas/event"
)

// Mul returns unit × qty in minor units of the exponent, rounded once, half to even.
func Mul(unit *event.Decimal, qty int64, exponent int) (minor int64, err error) {
	scale := int(unit.GetScale())
	if scale < 0 || scale > MaxScale {
		return 0, badScale(unit)
	}
	num, den := qty, int64(1)
	switch {
	case exponent < 0 || exponent > MaxScale:
		return 0, fmt.Errorf("exponent %d: %w", exponent, ErrOverflow)
	case exponent >= scale:
		p := pow10(exponent - scale)
		if num = qty * p; num/p != qty {
			if unit.GetUnscaled() == 0 {
				return 0, nil
			}
			return 0, fmt.Errorf("%d × 10^%d: %w", qty, exponent-scale, ErrOverflow)
		}
	default:
		den = pow10(scale - exponent)
	}
	return MulDiv(unit.GetUnscaled(), num, den)
}

// MulDiv returns a × num ÷ den over a 128-bit product, rounded once, half to even. den may
// be negative but not 0.
func MulDiv(a, num, den int64) (int64, error) {
	if den == 0 {
		return 0, fmt.Errorf("%d × %d ÷ 0: %w", a, num, ErrOverflow)
	}
	d := magnitude(den)
	hi, lo := bits.Mul64(magnitude(a), magnitude(num))
	if hi >= d { // the quotient has more than 64 bits
		return 0, fmt.Errorf("%d × %d ÷ %d: %w", a, num, den, ErrOverflow)
	}
	q, r := bits.Div64(hi, lo, d)
	// r against d-r and not 2r against d: neither can overflow.
	if rest := d - r; r > rest || r == rest && q&1 == 1 {
		if q++; q == 0 {
			return 0, fmt.Errorf("%d × %d ÷ %d: %w", a, num, den, ErrOverflow)
		}
	}
	if negative := (a < 0) != (num < 0) != (den < 0); negative {
		if q > 1<<63 {
			return 0, fmt.Errorf("%d × %d ÷ %d: %w", a, num, den, ErrOverflow)
		}
		return -int64(q), nil
	}
	if q > 1<<63-1 {
		return 0, fmt.Errorf("%d × %d ÷ %d: %w", a, num, den, ErrOverflow)
	}
	return int64(q), nil
}

// Add returns a + b, or ErrOverflow.
func Add(a, b int64) (int64, error) {
	s := a + b
	if (s > a) != (b > 0) {
		return 0, fmt.Errorf("%d + %d: %w", a, b, ErrOverflow)
	}
	return s, nil
}

// Allocate splits total over weights so that the parts add up to it exactly: each part is
// its proportion cut to a whole, and what is left goes, one each, to the largest remainders,
// the earlier one first when they are equal. Weights are not negative and not all zero; a
// part of weight 0 is 0. A negative total is split as its opposite.
func Allocate(total int64, weights []int64) ([]int64, error) {
	var sum uint64
	for i, w := range weights {
		if w < 0 {
			return nil, fmt.Errorf("weight %d of part %d is negative: %w", w, i, ErrOverflow)
		}
		if sum += uint64(w); sum > 1<<63-1 {
			return nil, fmt.Errorf("sum of weights: %w", ErrOverflow)
		}
	}
	if sum == 0 {
		return nil, fmt.Errorf("splitting %d: all weights are zero: %w", total, ErrOverflow)
	}
	parts := make([]int64, len(weights))
	remainders := make([]uint64, len(weights))
	order := make([]int, len(weights))
	t := magnitude(total)
	left := t
	for i, w := range weights {
		hi, lo := bits.Mul64(t, uint64(w))
		q, r := bits.Div64(hi, lo, sum) // w ≤ sum, so q ≤ t fits
		parts[i], remainders[i], order[i] = int64(q), r, i
		left -= q
	}
	sort.SliceStable(order, func(a, b int) bool { return remainders[order[a]] > remainders[order[b]] })
	for i := range left { // fewer than there are remainders above zero
		parts[order[i]]++
	}
	if total < 0 {
		for i := range parts {
			parts[i] = -parts[i]
		}
	}
	return parts, nil
}

// magnitude of the smallest int64 is 2^63, which its negation wraps to.
func magnitude(v int64) uint64 {
	if v < 0 {
		return uint64(-v)
	}
	return uint64(v)
}

func badScale(d *event.Decimal) error {
	return fmt.Errorf("decimal %d × 10^-%d: scale is not 0 to %d: %w", d.GetUnscaled(), d.GetScale(), MaxScale, ErrPrecision)
}

// Convert returns an amount in another currency by two published figures, units of each
// currency for one unit of the same base: amount × to ÷ from, multiplied first, divided once,
// rounded once, half to even. There is no inverse rate and no rounded intermediate amount.
// Figures must be above zero; ErrOverflow when they have too many digits for 128 bits.
func Convert(amount int64, fromExponent, toExponent int, from, to *event.Decimal) (int64, error) {
	if from.GetUnscaled() <= 0 || to.GetUnscaled() <= 0 {
		return 0, fmt.Errorf("converting by figures %d and %d: not above zero: %w", from.GetUnscaled(), to.GetUnscaled(), ErrSyntax)
	}
	if s, t := from.GetScale(), to.GetScale(); s < 0 || s > MaxScale || t < 0 || t > MaxScale {
		return 0, fmt.Errorf("converting by figures of scale %d and %d: %w", s, t, ErrPrecision)
	}
	num, den := to.Unscaled, from.Unscaled
	shift, side := int(from.Scale-to.Scale)+toExponent-fromExponent, &num
	if shift < 0 {
		shift, side = -shift, &den
	}
	if amount == 0 {
		return 0, nil
	}
	for range shift {
		if *side > (1<<63-1)/10 {
			return 0, fmt.Errorf("converting by figures %d and %d: too many digits: %w", from.Unscaled, to.Unscaled, ErrOverflow)
		}
		*side *= 10
	}
	return MulDiv(amount, num, den)
}
