package simulator

// What an order costs: discounts spread over its rows, and tax on top of prices or in them.

import (
	"fmt"

	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// pays says whether a row's amounts are part of the order's: the parts of a bundle without a
// price pay for it, a configurable product pays for what was chosen.
func (o *order) pays(it *item) bool {
	if it.kind == "bundle" {
		for _, c := range o.items {
			if c.parent == it && c.row != 0 {
				return false
			}
		}
	}
	return true
}

// price sets the amounts.
func (s *Simulator) price(o *order) (err error) {
	amount := func(text string) (v int64) {
		if text != "" && err == nil {
			v, err = money.Parse("magento", s.cfg.Currency, text)
		}
		return v
	}
	discount := amount(o.spec.Discount)
	o.shipping = amount(o.spec.Delivery)
	rate := &event.Decimal{}
	if o.spec.TaxRate != "" && err == nil {
		rate, err = money.ParseDecimal(o.spec.TaxRate)
	}
	if err != nil {
		return err
	}
	var paying []*item
	var weights []int64
	for _, it := range o.items {
		if o.pays(it) {
			paying, weights = append(paying, it), append(weights, it.row-it.own)
		}
	}
	shares, err := money.Allocate(discount, weights)
	if err != nil {
		return fmt.Errorf("spreading the discount: %w", err)
	}
	for i, it := range paying {
		it.discount = it.own + shares[i]
		if err := o.taxOf(it, rate, s.exponent); err != nil {
			return err
		}
		o.subtotal += it.row
		o.discount += it.discount
		o.tax += it.tax
		o.compensation += it.compensation
	}
	return nil
}

// taxOf taxes a row after its discount. Where prices include tax, so does the discount: the
// tax in it is kept apart as compensation, so that row + tax + compensation − discount is
// what is paid.
func (o *order) taxOf(it *item, rate *event.Decimal, exponent int) error {
	scaled := func(minor int64) (int64, error) { return money.Mul(rate, minor, 0) }
	if !o.spec.Included {
		tax, err := scaled(it.row - it.discount)
		it.tax = tax
		return err
	}
	// Of an amount with tax, rate ÷ (1 + rate) is tax.
	whole := int64(1)
	for range rate.Scale {
		whole *= 10
	}
	within := func(minor int64) (int64, error) { return money.MulDiv(minor, rate.Unscaled, whole+rate.Unscaled) }
	full, err := within(it.row)
	if err != nil {
		return err
	}
	paid, err := within(it.row - it.discount)
	if err != nil {
		return err
	}
	it.row -= full
	it.tax, it.compensation = paid, full-paid
	it.price = &event.Decimal{Unscaled: it.row, Scale: int32(exponent)}
	if it.ordered > 1 {
		each, err := money.MulDiv(it.row, 1, it.ordered)
		if err != nil {
			return err
		}
		it.price.Unscaled = each
	}
	return nil
}

func (o *order) total() int64 {
	return o.subtotal - o.discount + o.compensation + o.shipping + o.tax
}
