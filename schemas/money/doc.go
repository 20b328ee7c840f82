// Package money is exact arithmetic on amounts: int64 minor units of a currency, decimal
// text as platforms write it, and 128-bit products that are rounded once.
//
// Comes in: decimal text and event.Money, event.Decimal. Goes out: the same. Keeps: nothing.
// There is no float anywhere, and no function guesses: an unknown currency, a digit that
// does not fit and an overflow are errors.
//
// How many decimals an amount's minor unit stands for belongs to (provider, currency), not
// to the currency: 5 UGX are 5 minor units by ISO 4217 and 500 at Stripe. Money carries no
// provider, so whatever leaves the provider's own path (for a conversion, a sum over
// platforms, a report) goes through ISO first.
//
// Rounding is half to even, everywhere, and each function that rounds says so.
package money

import "errors"

// What can be wrong with an amount. All are permanent: the same text fails again.
var (
	// ErrCurrency: no exponent is known for (provider, currency).
	ErrCurrency = errors.New("unknown currency")
	// ErrSyntax: not a plain decimal number.
	ErrSyntax = errors.New("not a decimal number")
	// ErrPrecision: more decimals, not all zero, than can be kept.
	ErrPrecision = errors.New("more decimals than the currency has")
	// ErrOverflow: does not fit into int64.
	ErrOverflow = errors.New("amount out of range")
)
