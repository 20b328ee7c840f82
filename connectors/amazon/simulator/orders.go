package simulator

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"time"

	"github.com/helloword/crossdock/schemas/money"
)

// Statuses of an order.
const (
	pending   = "PENDING"
	unshipped = "UNSHIPPED"
	partial   = "PARTIALLY_SHIPPED"
	shipped   = "SHIPPED"
	cancelled = "CANCELLED"
)

type order struct {
	id               string
	spec             *OrderSpec
	created, updated int64
	status, reason   string
	fba              bool
	lines            []*line
	delivery         int64
	packages         []pack
	requested        string // why the buyer wants it cancelled
	refunds          []moneyBack
	missing          bool
}

type line struct {
	id                           string
	listing                      *listing
	sku, asin, title             string
	unit, total, discount, tax   int64
	shipping                     int64
	coded                        bool // the order's code took part of the discount
	quantity, fulfilled, removed int64
}

// pack is a package that was confirmed.
type pack struct {
	reference, carrier, service, tracking, shipped string
	lines                                          map[string]int64
	order                                          []string
}

// Address is where somebody lives.
type Address struct {
	Name, Company, Address1, Address2, City, Province, Zip, CountryCode, Phone string
}

// Customer is who buys.
type Customer struct{ Name, Email string }

// OrderSpec is an order to place. Amounts are decimal text in the account's currency.
type OrderSpec struct {
	// Name is the seller's own order number; empty = none.
	Name     string
	At       time.Time
	Customer *Customer
	Shipping *Address
	Lines    []LineSpec
	// Delivery is what shipping costs; empty = nothing.
	Delivery string
	// DiscountCode takes Discount off, spread over the lines by what they cost after discounts
	// of their own.
	DiscountCode, Discount string
	// TaxRate ("0.2") taxes the goods of every line, on top of the price. With Included, prices
	// and discounts hold the tax. Shipping is not taxed.
	TaxRate  string
	Included bool
	// Paid: otherwise the payment is pending, and neither amounts nor address are told.
	Paid bool
}

// LineSpec is one line.
type LineSpec struct {
	SKU      string
	Title    string
	Quantity int64
	// Price of one; empty = the listing's.
	Price string
	// Discount of this line alone, by a promotion without a code.
	Discount string
}

// PlaceOrder places an order: stock goes down at once, and a notification goes out.
func (s *Simulator) PlaceOrder(spec OrderSpec) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	o := &order{
		id: fmt.Sprintf("%03d-%07d-%07d", 100+s.number%800, 1_000_000+s.number*7919%9_000_000, s.number), spec: &spec, status: pending, created: spec.At.Unix(),
		missing: s.hit(s.faults.Missing),
	}
	if spec.At.IsZero() {
		o.created = s.now()
	}
	if spec.Paid {
		o.status = unshipped
	}
	var goods int64
	for i, ls := range spec.Lines {
		l := &line{id: fmt.Sprintf("%d%02d", 10_000_000_000+s.number, i+1), sku: ls.SKU, title: ls.Title, quantity: ls.Quantity, listing: s.live(ls.SKU)}
		if ls.Quantity < 1 {
			return "", fmt.Errorf("placing order: line %d of %d units", i+1, ls.Quantity)
		}
		price := ls.Price
		if l.listing != nil {
			l.asin = l.listing.asin
			o.fba = o.fba || l.listing.fba
			if l.title == "" {
				l.title = l.listing.title
			}
			if price == "" {
				price = l.listing.price
			}
		}
		if price == "" {
			return "", fmt.Errorf("placing order: line %d of SKU %q has no price", i+1, ls.SKU)
		}
		l.unit = s.price(price)
		l.total = l.unit * l.quantity
		if ls.Discount != "" {
			l.discount = s.price(ls.Discount)
		}
		goods += l.total - l.discount
		o.lines = append(o.lines, l)
	}
	if len(o.lines) == 0 {
		return "", errors.New("placing order: no lines")
	}
	if err := s.charge(o, goods); err != nil {
		return "", fmt.Errorf("placing order: %w", err)
	}
	for _, l := range o.lines {
		s.move(l.listing, -l.quantity)
	}
	s.orders[o.id] = o
	s.inOrder = append(s.inOrder, o)
	s.touch(o, "OrderStatusChange")
	return o.id, nil
}

// charge works out discounts, shipping and taxes of the lines.
func (s *Simulator) charge(o *order, goods int64) error {
	var weights []int64
	for _, l := range o.lines {
		weights = append(weights, l.total-l.discount)
	}
	if o.spec.Discount != "" && goods > 0 {
		parts, err := money.Allocate(s.price(o.spec.Discount), weights)
		if err != nil {
			return err
		}
		for i, l := range o.lines {
			l.discount += parts[i]
			l.coded = parts[i] > 0
		}
	}
	if o.spec.Delivery != "" {
		o.delivery = s.price(o.spec.Delivery)
		o.lines[0].shipping = o.delivery
	}
	if o.spec.TaxRate != "" {
		rate, err := money.ParseDecimal(o.spec.TaxRate)
		if err != nil {
			return err
		}
		den := int64(1)
		for range rate.Scale {
			den *= 10
		}
		for _, l := range o.lines {
			whole := den
			if o.spec.Included {
				whole += rate.Unscaled // of an amount with tax, rate ÷ (1 + rate) is tax
			}
			if l.tax, err = money.MulDiv(l.total-l.discount, rate.Unscaled, whole); err != nil {
				return err
			}
		}
	}
	return nil
}

// touch makes the order the one that changed last, and tells of it.
func (s *Simulator) touch(o *order, what string) {
	o.updated = s.now()
	s.notifyOrder(o, what)
}

func (s *Simulator) change(id, what, kind string, f func(o *order) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.orders[id]
	if o == nil {
		return fmt.Errorf("%s order %s: it does not exist", what, id)
	}
	if err := f(o); err != nil {
		return fmt.Errorf("%s order %s: %w", what, id, err)
	}
	s.touch(o, kind)
	return nil
}

// Pay authorises the payment of a pending order.
func (s *Simulator) Pay(id string) error {
	return s.change(id, "paying", "OrderStatusChange", func(o *order) error {
		if o.status != pending {
			return fmt.Errorf("it is %s", o.status)
		}
		o.status = unshipped
		return nil
	})
}

// RequestCancel is the buyer's wish to have the order cancelled. Nothing comes of it by itself.
func (s *Simulator) RequestCancel(id, reason string) error {
	return s.change(id, "asking to cancel", "BuyerRequestedChange", func(o *order) error {
		o.requested = reason
		return nil
	})
}

// RemoveUnits cancels units of a line before they were shipped. Amazon tells no time of it, so
// that the one given is not used, here and in Cancel.
func (s *Simulator) RemoveUnits(id, lineID string, units int64, _ time.Time) error {
	return s.change(id, "taking units out of", "OrderStatusChange", func(o *order) error {
		l := o.line(lineID)
		if l == nil || units < 1 || units > l.quantity-l.fulfilled-l.removed {
			return fmt.Errorf("line %s has no %d units to take out", lineID, units)
		}
		l.removed += units
		s.move(l.listing, units)
		return nil
	})
}

// Cancel cancels an order; what was not shipped goes back to the shelf with restock.
func (s *Simulator) Cancel(id, reason string, restock bool, _ time.Time) error {
	return s.change(id, "cancelling", "OrderStatusChange", func(o *order) error {
		for _, l := range o.lines {
			if l.fulfilled > 0 {
				return errors.New("a part of it is shipped")
			}
		}
		if o.status == cancelled {
			return errors.New("it is cancelled")
		}
		if o.reason = reason; reason == "" {
			o.reason = "NoInventory"
		}
		for _, l := range o.lines {
			if restock {
				s.move(l.listing, l.quantity-l.removed)
			}
			l.removed = l.quantity
		}
		o.status = cancelled
		return nil
	})
}

// FulfilSpec says which units are shipped; no lines = everything that is left.
type FulfilSpec struct {
	At    time.Time
	Lines []FulfilLineSpec
}

// FulfilLineSpec is units of one line.
type FulfilLineSpec struct {
	Line     string
	Quantity int64
}

// Fulfil ships units of an order, as Amazon does its own and a seller in Seller Central.
func (s *Simulator) Fulfil(id string, spec FulfilSpec) error {
	return s.change(id, "shipping", "OrderStatusChange", func(o *order) error {
		p := pack{reference: fmt.Sprint(len(o.packages) + 1), carrier: "Royal Mail", tracking: fmt.Sprintf("SIM%08d", s.number), shipped: stamp(s.now()), lines: map[string]int64{}}
		if !spec.At.IsZero() {
			p.shipped = stamp(spec.At.Unix())
		}
		for _, l := range spec.Lines {
			p.lines[l.Line] += l.Quantity
			p.order = append(p.order, l.Line)
		}
		if len(spec.Lines) == 0 {
			for _, l := range o.lines {
				if open := l.quantity - l.removed - l.fulfilled; open > 0 {
					p.lines[l.id] = open
					p.order = append(p.order, l.id)
				}
			}
		}
		return o.ship(p)
	})
}

// ship puts units into a package.
func (o *order) ship(p pack) error {
	if o.status == pending || o.status == cancelled {
		return fmt.Errorf("it is %s", o.status)
	}
	if len(p.lines) == 0 {
		return errors.New("nothing is left to ship")
	}
	for id, n := range p.lines {
		l := o.line(id)
		if l == nil || n < 1 || n > l.quantity-l.removed-l.fulfilled {
			return fmt.Errorf("line %s has no %d units to ship", id, n)
		}
	}
	for id, n := range p.lines {
		o.line(id).fulfilled += n
	}
	o.packages = append(o.packages, p)
	o.status = shipped
	for _, l := range o.lines {
		if l.fulfilled < l.quantity-l.removed {
			o.status = partial
		}
	}
	return nil
}

// proceeds is what a line brings with everything on top.
func (l *line) proceeds(o *order) int64 {
	if o.spec.Included {
		return l.total - l.discount + l.shipping
	}
	return l.total - l.discount + l.shipping + l.tax
}

func (o *order) line(id string) *line {
	for _, l := range o.lines {
		if l.id == id {
			return l
		}
	}
	return nil
}

// Order is the truth about one order.
type Order struct {
	ID        string
	Created   time.Time
	Updated   time.Time
	Status    string
	Cancelled bool
	FBA       bool
	Lines     []Line
	// Packages are the references of what was confirmed, in their order.
	Packages []string
	// Amounts in minor units of the account's currency.
	Subtotal, Total int64
	// Refunds in their order.
	Refunds []Refund
}

// Refund is the truth about one refund, of one line. Own is the seller's name for it.
type Refund struct {
	Line, Own string
	// By are the amounts by type of BuyerPrice, Total their sum.
	By    map[string]int64
	Total int64
}

// Line is the truth about one line.
type Line struct {
	ID, SKU                      string
	Quantity, Fulfilled, Removed int64
	Total                        int64
}

// Order returns one order; ok is false when there is none.
func (s *Simulator) Order(id string) (o Order, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process()
	if o := s.orders[id]; o != nil {
		return o.truth(), true
	}
	return o, false
}

// Orders iterates over the orders that there were when it began, each as it is when its turn
// comes.
func (s *Simulator) Orders() iter.Seq[Order] {
	s.mu.Lock()
	all := s.inOrder[:len(s.inOrder):len(s.inOrder)]
	s.mu.Unlock()
	return func(yield func(Order) bool) {
		for _, o := range all {
			s.mu.Lock()
			truth := o.truth()
			s.mu.Unlock()
			if !yield(truth) {
				return
			}
		}
	}
}

func (o *order) truth() Order {
	t := Order{
		ID: o.id, Created: time.Unix(o.created, 0).UTC(), Updated: time.Unix(o.updated, 0).UTC(), Status: o.status,
		Cancelled: o.status == cancelled, FBA: o.fba,
	}
	for _, l := range o.lines {
		t.Lines = append(t.Lines, Line{l.id, l.sku, l.quantity, l.fulfilled, l.removed, l.total})
		t.Subtotal += l.total
		t.Total += l.proceeds(o)
	}
	for _, p := range o.packages {
		t.Packages = append(t.Packages, p.reference)
	}
	for _, r := range o.refunds {
		t.Refunds = append(t.Refunds, Refund{r.item, r.own, maps.Clone(r.by), r.by.sum()})
	}
	return t
}
