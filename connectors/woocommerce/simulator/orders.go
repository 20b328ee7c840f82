package simulator

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

type order struct {
	id               int64
	number           string
	status           string
	created, updated int64
	completed, paid  int64
	seq              uint64
	spec             *OrderSpec // what never changes
	lines            []*line
	fees             []*line
	refunds          []*refund
	shipping         int64
	shippingID       int64
	couponID, taxID  int64
	meta             []metaDoc
	notes            []note
	reduced          bool // stock went down because of it
}

type line struct {
	id                                 int64
	variant                            *variant
	product, variation                 int64
	sku, title                         string
	price                              decimal
	quantity, restocked, refundedUnits int64
	reduced                            int64
	subtotal, total, tax               int64
	// subtotalTax is the tax of what it cost before discounts, coupon what the coupon took off.
	subtotalTax, coupon int64
}

type refund struct {
	id       int64
	order    *order
	at       int64
	reason   string
	lines    []refundLine
	shipping int64
	total    int64
	paid     bool
	meta     []metaDoc
}

type refundLine struct {
	id       int64
	line     *line
	quantity int64
	minor    int64
	tax      int64
}

type note struct {
	id       int64
	text     string
	customer bool
	at       int64
}

// Address is where somebody lives.
type Address struct {
	FirstName, LastName, Company, Address1, Address2, City string
	Province, Zip, CountryCode, Email, Phone               string
}

// Customer is who buys.
type Customer struct {
	ID                                int64
	FirstName, LastName, Email, Phone string
}

// OrderSpec is an order to place. Amounts are decimal text in the shop's currency.
type OrderSpec struct {
	// Name is the order's number, default its id.
	Name string
	// At is date_created; zero = the shop's clock.
	At       time.Time
	Customer *Customer
	Shipping *Address
	Billing  *Address
	Lines    []LineSpec
	// Delivery is what shipping costs; empty = no shipping line.
	Delivery string
	// DiscountCode takes Discount off, spread over the lines by what they cost after discounts
	// of their own.
	DiscountCode, Discount string
	// Fee is added to the total; below zero it is taken off.
	Fee string
	// TaxTitle and TaxRate ("0.2") tax every line, on top of the price. With Included, prices
	// and discounts are entered with the tax; orders tell all amounts without it all the same.
	TaxTitle, TaxRate string
	Included          bool
	// Paid: otherwise the order is on hold until a transfer arrives. Stock goes down in both
	// cases. Pending: the buyer is still paying, and stock stays as it is.
	Paid, Pending bool
	Note          string
}

// LineSpec is one line. Variant 0 is a product that is gone; it needs Title and Price.
type LineSpec struct {
	Variant  int64
	SKU      string
	Title    string
	Quantity int64
	// Price of one; empty = the variant's.
	Price string
	// Discount of this line alone, taken off by hand.
	Discount string
}

// PlaceOrder places an order. The ids of the lines are in Order.
func (s *Simulator) PlaceOrder(spec OrderSpec) (int64, error) {
	s.mu.Lock()
	o, mail, err := s.place(&spec)
	s.mu.Unlock()
	if err != nil {
		return 0, fmt.Errorf("placing order %s: %w", spec.Name, err)
	}
	s.mail.Deliver(mail)
	return o.id, nil
}

func (s *Simulator) place(spec *OrderSpec) (*order, []*delivery, error) {
	o := &order{spec: spec, status: "on-hold"}
	lines, err := s.newLines(spec.Lines)
	if err != nil {
		return nil, nil, err
	}
	if len(lines) == 0 {
		return nil, nil, errors.New("an order needs lines")
	}
	if spec.Delivery != "" {
		if o.shipping, err = s.minor(spec.Delivery); err != nil {
			return nil, nil, err
		}
	}
	if spec.Fee != "" {
		minor, err := s.minor(spec.Fee)
		if err != nil {
			return nil, nil, err
		}
		o.fees = []*line{{id: s.item(), title: "Fee", total: minor}}
	}
	if err := s.discount(spec, lines); err != nil {
		return nil, nil, err
	}
	for _, l := range lines {
		if err := s.taxLine(spec, l); err != nil {
			return nil, nil, err
		}
	}
	o.id = s.id()
	if o.number = spec.Name; o.number == "" {
		o.number = strconv.FormatInt(o.id, 10)
	}
	if o.created = spec.At.Unix(); spec.At.IsZero() {
		o.created = s.now()
	}
	o.shippingID, o.couponID, o.taxID = s.item(), s.item(), s.item()
	o.lines = lines
	switch {
	case spec.Pending:
		o.status = "pending"
	case spec.Paid:
		o.status, o.paid = "processing", o.created
	}
	spec.Lines = nil // the lines tell it from here on
	s.orders[o.id] = o
	s.inOrder = append(s.inOrder, o)
	s.touch(o)
	mail := s.stockFor(nil, o)
	mail = s.post(mail, "order.created", o.id)
	return o, s.post(mail, "order.updated", o.id), nil
}

func (s *Simulator) discount(spec *OrderSpec, lines []*line) error {
	if spec.Discount == "" {
		return nil
	}
	off, err := s.minor(spec.Discount)
	if err != nil {
		return err
	}
	weights := make([]int64, len(lines))
	for i, l := range lines {
		weights[i] = l.total
	}
	shares, err := money.Allocate(off, weights)
	if err != nil {
		return err
	}
	for i, l := range lines {
		l.total -= shares[i]
		l.coupon = shares[i]
	}
	return nil
}

func (s *Simulator) newLines(specs []LineSpec) ([]*line, error) {
	lines := make([]*line, 0, len(specs))
	for i, ls := range specs {
		l := &line{id: s.item(), sku: ls.SKU, title: ls.Title, quantity: ls.Quantity}
		if ls.Quantity < 1 {
			return nil, fmt.Errorf("line %d: quantity %d", i+1, ls.Quantity)
		}
		if ls.Variant != 0 {
			v := s.variants[ls.Variant]
			if v == nil {
				return nil, fmt.Errorf("line %d: variant %d does not exist", i+1, ls.Variant)
			}
			l.variant, l.price, l.product = v, v.price, v.product.id
			if v.product.variable {
				l.variation = v.id
			}
			if l.sku == "" {
				l.sku = v.sku
			}
			if l.title == "" {
				l.title = v.fullTitle()
			}
		}
		if ls.Price != "" {
			v, err := money.ParseDecimal(ls.Price)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			l.price = decimal{ls.Price, v}
		}
		if l.price.value == nil {
			return nil, fmt.Errorf("line %d: a line without a variant needs a price", i+1)
		}
		total, err := money.Mul(l.price.value, l.quantity, s.exponent)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		l.subtotal, l.total = total, total
		if ls.Discount != "" {
			off, err := s.minor(ls.Discount)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			l.total -= off
		}
		lines = append(lines, l)
	}
	return lines, nil
}

func (v *variant) fullTitle() string {
	if v.title == "" {
		return v.product.title
	}
	return v.product.title + " - " + v.title
}

func (s *Simulator) taxLine(spec *OrderSpec, l *line) error {
	if spec.TaxRate == "" {
		return nil
	}
	rate, err := money.ParseDecimal(spec.TaxRate)
	if err != nil {
		return err
	}
	// The rate has few decimals; minor units times it stay far below 2^63.
	on := func(minor int64) (int64, error) {
		return money.Mul(&event.Decimal{Unscaled: rate.Unscaled, Scale: rate.Scale}, minor, 0)
	}
	if spec.Included {
		// Of an amount with tax, rate ÷ (1 + rate) is tax.
		whole := int64(1)
		for range rate.Scale {
			whole *= 10
		}
		on = func(minor int64) (int64, error) { return money.MulDiv(minor, rate.Unscaled, whole+rate.Unscaled) }
	}
	if l.subtotalTax, err = on(l.subtotal); err != nil {
		return err
	}
	if l.tax, err = on(l.total); err != nil || !spec.Included {
		return err
	}
	// What the coupon took off, too, is told without its tax.
	before, err := on(l.total + l.coupon)
	if err != nil {
		return err
	}
	l.coupon -= before - l.tax
	l.subtotal, l.total = l.subtotal-l.subtotalTax, l.total-l.tax
	return nil
}

func (s *Simulator) minor(text string) (int64, error) {
	return money.Parse(provider, s.cfg.Currency, text)
}

func (o *order) total() int64 {
	sum := o.shipping
	for _, l := range o.lines {
		sum += l.total + l.tax
	}
	for _, f := range o.fees {
		sum += f.total
	}
	return sum
}

func (o *order) refunded() (sum int64) {
	for _, r := range o.refunds {
		sum += r.total
	}
	return sum
}

// touch makes the order the one that changed last.
func (s *Simulator) touch(o *order) {
	o.updated = s.now()
	s.nextSeq++
	o.seq = s.nextSeq
	s.byUpdate.add(o, o.seq, o.updated)
}

// stockFor makes stock what the order's status wants: down while it is being worked on, back,
// once, when it is cancelled.
func (s *Simulator) stockFor(mail []*delivery, o *order) []*delivery {
	switch o.status {
	case "processing", "on-hold", "completed":
		for _, l := range o.lines {
			// Only what the shop keeps stock of goes down.
			if want := l.quantity - l.restocked; l.variant != nil && l.variant.tracked && want != l.reduced {
				mail = s.move(mail, l.variant, l.reduced-want)
				l.reduced = want
			}
		}
		o.reduced = true
	case "cancelled", "pending":
		for _, l := range o.lines {
			mail = s.move(mail, l.variant, l.reduced)
			l.reduced = 0
		}
		o.reduced = false
	}
	return mail
}

// change runs f on an order and sends what f and every change brings.
func (s *Simulator) change(id int64, what string, f func(o *order) ([]*delivery, error)) error {
	s.mu.Lock()
	o := s.orders[id]
	if o == nil {
		s.mu.Unlock()
		return fmt.Errorf("%s order %d: it does not exist", what, id)
	}
	mail, err := f(o)
	if err == nil {
		s.touch(o)
		mail = s.post(mail, "order.updated", o.id)
	}
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%s order %d: %w", what, id, err)
	}
	s.mail.Deliver(mail)
	return nil
}

// EditOrder adds lines to an order.
func (s *Simulator) EditOrder(id int64, add []LineSpec, _ time.Time) error {
	return s.change(id, "editing", func(o *order) ([]*delivery, error) {
		lines, err := s.newLines(add)
		if err != nil {
			return nil, err
		}
		for _, l := range lines {
			if err := s.taxLine(o.spec, l); err != nil {
				return nil, err
			}
		}
		o.lines = append(o.lines, lines...)
		return s.stockFor(nil, o), nil
	})
}

// RemoveUnits takes units of a line out of an order: WooCommerce lowers the line itself, and
// takes it out when nothing is left.
func (s *Simulator) RemoveUnits(id, lineID, units int64, _ time.Time) error {
	return s.change(id, "editing", func(o *order) ([]*delivery, error) {
		l := o.line(lineID)
		if l == nil || units < 1 || units > l.quantity-l.refundedUnits || o.status == "completed" {
			return nil, fmt.Errorf("line %d has no %d units to take out", lineID, units)
		}
		left := l.quantity - units
		for _, v := range []*int64{&l.subtotal, &l.total, &l.tax, &l.subtotalTax, &l.coupon} {
			share, err := money.MulDiv(*v, left, l.quantity)
			if err != nil {
				return nil, err
			}
			*v = share
		}
		l.quantity = left
		mail := s.stockFor(nil, o)
		if left == 0 {
			for i := range o.lines {
				if o.lines[i] == l {
					o.lines = append(o.lines[:i:i], o.lines[i+1:]...)
					break
				}
			}
		}
		return mail, nil
	})
}

func (o *order) line(id int64) *line {
	for _, l := range o.lines {
		if l.id == id {
			return l
		}
	}
	return nil
}

// SetStatus does what the admin's list of statuses does.
func (s *Simulator) SetStatus(id int64, status string) error {
	return s.change(id, "setting the status of", func(o *order) ([]*delivery, error) { return s.setStatus(o, status), nil })
}

func (s *Simulator) setStatus(o *order, status string) []*delivery {
	if o.status = status; status == "trash" {
		s.trashed++
	}
	switch {
	case status == "completed":
		o.completed = s.now()
		if o.paid == 0 {
			o.paid = o.completed
		}
	case status == "processing" && o.paid == 0:
		o.paid = s.now()
	}
	return s.stockFor(nil, o)
}

// Pay pays an order that waits for it.
func (s *Simulator) Pay(id int64) error { return s.SetStatus(id, "processing") }

// TrashOrder puts an order into the trash. Stock stays as it is: whoever wants it back
// cancels first.
func (s *Simulator) TrashOrder(id int64) error {
	s.mu.Lock()
	o := s.orders[id]
	if o == nil {
		s.mu.Unlock()
		return fmt.Errorf("order %d does not exist", id)
	}
	o.status = "trash"
	s.trashed++
	s.touch(o)
	mail := s.post(nil, "order.deleted", id)
	s.mu.Unlock()
	s.mail.Deliver(mail)
	return nil
}

// Cancel cancels an order; WooCommerce puts back what had gone down, whatever is asked for.
func (s *Simulator) Cancel(id int64, _ string, _ bool, _ time.Time) error {
	return s.change(id, "cancelling", func(o *order) ([]*delivery, error) {
		if o.status == "cancelled" {
			return nil, errors.New("it is cancelled")
		}
		return s.setStatus(o, "cancelled"), nil
	})
}

// FulfilSpec says what is shipped. The core knows whole orders only: lines are refused.
type FulfilSpec struct {
	At    time.Time
	Lines []FulfilLineSpec
}

// FulfilLineSpec is units of one line.
type FulfilLineSpec struct{ Line, Quantity int64 }

// Fulfil ships an order, all that is left of it.
func (s *Simulator) Fulfil(id int64, spec FulfilSpec) error {
	return s.change(id, "shipping", func(o *order) ([]*delivery, error) {
		if len(spec.Lines) > 0 {
			return nil, errors.New("a part of an order cannot be shipped")
		}
		if o.status == "completed" || o.status == "cancelled" || o.status == "refunded" {
			return nil, fmt.Errorf("it is %s", o.status)
		}
		return s.setStatus(o, "completed"), nil
	})
}
