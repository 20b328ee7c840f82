package simulator

import (
	"errors"
	"fmt"
	"time"

	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

type order struct {
	id               int64
	name             string
	created, updated int64
	cancelled        int64
	spec             OrderSpec
	reference        string
	state, before    string // before: the state that a hold ends in
	items            []*item
	// Amounts in the smallest unit of the base currency. The discount is what was taken off;
	// compensation is the part of it that is tax.
	subtotal, discount, shipping, tax, compensation int64
	paid, refunded                                  int64
	// picked is the order as it was answered for some of its fields, until it changes: open orders
	// are asked for at each write of stock.
	picked map[string][]byte
}

// item is one row of sales_order_item.
type item struct {
	id                                              int64
	product                                         *product
	parent                                          *item
	sku, name, kind                                 string
	price                                           *event.Decimal
	ordered, shipped, invoiced, cancelled, refunded int64
	row, discount, tax, compensation                int64
	own                                             int64 // what was taken off this row alone
	updated                                         int64
}

type shipment struct {
	id       int64
	order    *order
	created  int64
	lines    []unitsOf
	tracks   []Track
	comments []string
}

type memo struct {
	id       int64
	number   string
	order    *order
	created  int64
	lines    []memoLine
	shipping int64
	plus     int64
	minus    int64
	total    int64
	comments []string
}

type memoLine struct {
	item               *item
	quantity           int64
	row, tax, discount int64
	compensation       int64
	back               bool // to the source
}

type invoice struct {
	id      int64
	order   *order
	created int64
}

type unitsOf struct {
	item     *item
	quantity int64
}

// Address is where somebody lives.
type Address struct {
	FirstName, LastName, Company, Address1, Address2, City string
	Province, ProvinceCode, Zip, Country, CountryCode      string
	Phone                                                  string
}

// Customer is who buys. ID 0 is a guest.
type Customer struct {
	ID                                int64
	FirstName, LastName, Email, Phone string
}

// OrderSpec is an order to place. Amounts are decimal text in the base currency.
type OrderSpec struct {
	// Name, default "000000001" and so on.
	Name string
	// At is created_at; zero = the shop's clock.
	At       time.Time
	Customer *Customer
	Shipping *Address
	Billing  *Address
	Lines    []LineSpec
	// Delivery is what shipping costs; empty = nothing is shipped.
	Delivery string
	// DiscountCode takes Discount off, spread over the lines by what they cost after discounts
	// of their own.
	DiscountCode, Discount string
	// TaxTitle and TaxRate ("0.2") tax every line, on top of the price. With Included, the
	// prices and the discount hold the tax.
	TaxTitle, TaxRate string
	Included          bool
	// Paid: it is invoiced at once; otherwise the payment is pending.
	Paid bool
	// Transaction is the payment's number at its gateway: it was paid online.
	Transaction      string
	SourceIdentifier string
	// Currency that the buyer saw, and how many of it are one of the base currency.
	Currency, Rate string
}

// LineSpec is one line. Variant is the simple product, or a bundle with its Parts.
type LineSpec struct {
	Variant  int64
	Quantity int64
	// Price of one; empty = the product's.
	Price string
	// Discount of this line alone, by a rule without a coupon.
	Discount string
	// Parts of one bundle.
	Parts []LineSpec
}

// PlaceOrder places an order, which reserves its goods. The ids of the lines are in Order.
func (s *Simulator) PlaceOrder(spec OrderSpec) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := &order{spec: spec, state: "new", reference: spec.SourceIdentifier}
	for _, l := range spec.Lines {
		if err := s.line(o, l); err != nil {
			return 0, fmt.Errorf("placing order %s: %w", spec.Name, err)
		}
	}
	if len(o.items) == 0 {
		return 0, fmt.Errorf("placing order %s: it has no lines", spec.Name)
	}
	if err := s.price(o); err != nil {
		return 0, fmt.Errorf("placing order %s: %w", spec.Name, err)
	}
	o.id = s.id("order")
	if o.name = spec.Name; o.name == "" {
		o.name = fmt.Sprintf("%09d", o.id)
	}
	if o.created = spec.At.Unix(); spec.At.IsZero() {
		o.created = s.now()
	}
	s.touch(o)
	for _, it := range o.items {
		it.id, it.updated = s.id("order_item"), o.updated
		s.reserve(it, it.ordered)
	}
	s.orders = append(s.orders, o)
	s.orderBy[o.id] = o
	if spec.Paid {
		s.pay(o)
	}
	return o.id, nil
}

// reserve changes what is reserved of a row's product, if it is goods.
func (s *Simulator) reserve(it *item, units int64) {
	if it.product != nil && it.product.tracked && it.kind == "simple" {
		s.reserved[it.product.sku] += units
	}
}

// line makes the rows of one line.
func (s *Simulator) line(o *order, l LineSpec) error {
	p := s.byID[l.Variant]
	if p == nil {
		return fmt.Errorf("product %d does not exist", l.Variant)
	}
	if l.Quantity < 1 {
		return fmt.Errorf("%d units of %s", l.Quantity, p.sku)
	}
	own := &item{product: p, sku: p.sku, name: p.name, kind: p.kind, ordered: l.Quantity, price: &event.Decimal{}}
	set := func(it *item, text string) (err error) {
		if it.price, err = money.ParseDecimal(text); err == nil {
			it.row, err = money.Mul(it.price, it.ordered, s.exponent)
		}
		return err
	}
	price := p.price
	if l.Price != "" {
		price = l.Price
	}
	switch {
	case p.kind == "bundle":
		o.items = append(o.items, own)
		sum := int64(0)
		for _, part := range l.Parts {
			q := s.byID[part.Variant]
			if q == nil {
				return fmt.Errorf("product %d does not exist", part.Variant)
			}
			child := &item{product: q, parent: own, sku: q.sku, name: q.name, kind: q.kind, ordered: part.Quantity * l.Quantity, price: &event.Decimal{}}
			if price == "" {
				if err := set(child, q.price); err != nil {
					return err
				}
			}
			sum += child.row
			o.items = append(o.items, child)
		}
		if price != "" {
			return set(own, price)
		}
		own.row = sum
	case p.parent != nil:
		// What was chosen from pays, what was chosen leaves the shelf.
		parent := &item{product: p.parent, sku: p.sku, name: p.parent.name, kind: "configurable", ordered: l.Quantity}
		if err := set(parent, price); err != nil {
			return err
		}
		own.parent = parent
		o.items = append(o.items, parent, own)
	default:
		if err := set(own, price); err != nil {
			return err
		}
		if l.Discount != "" {
			var err error
			if own.own, err = money.Parse("magento", s.cfg.Currency, l.Discount); err != nil {
				return err
			}
		}
		o.items = append(o.items, own)
	}
	return nil
}

// touch is what a change of a column of the order's own does.
func (s *Simulator) touch(o *order) {
	o.updated = s.now()
	o.picked, s.touched = nil, true
}

func (s *Simulator) change(id int64, what string, f func(o *order) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.orderBy[id]
	if o == nil {
		return fmt.Errorf("%s order %d: it does not exist", what, id)
	}
	if err := f(o); err != nil {
		return fmt.Errorf("%s order %d: %w", what, id, err)
	}
	return nil
}

// Pay invoices an order and takes the money.
func (s *Simulator) Pay(id int64) error {
	return s.change(id, "paying", func(o *order) error {
		if o.paid > 0 || o.state == "canceled" {
			return errors.New("nothing is to be paid")
		}
		s.pay(o)
		return nil
	})
}

func (s *Simulator) pay(o *order) {
	o.paid = o.total()
	for _, it := range o.items {
		it.invoiced = it.ordered - it.cancelled
	}
	o.state = "processing"
	s.invoices = append(s.invoices, &invoice{id: s.id("invoice"), order: o, created: s.now()})
	s.touch(o)
	o.settle()
}

// settle finds the state that an order is in when something was done to it.
func (o *order) settle() {
	if o.state == "canceled" || o.state == "holded" {
		return
	}
	open := false
	for _, it := range o.items {
		open = open || it.toShip() > 0
	}
	switch {
	case o.refunded > 0 && o.refunded >= o.paid:
		o.state = "closed"
	case o.paid > 0 && !open:
		o.state = "complete"
	}
}

// SetReference sets the number that another system gave the order.
func (s *Simulator) SetReference(id int64, reference string) error {
	return s.change(id, "naming", func(o *order) error {
		o.reference = reference
		s.touch(o)
		return nil
	})
}

// Hold stops an order, or lets it go on.
func (s *Simulator) Hold(id int64, on bool) error {
	return s.change(id, "holding", func(o *order) error {
		switch {
		case on && (o.state == "new" || o.state == "processing"):
			o.before, o.state = o.state, "holded"
		case !on && o.state == "holded":
			o.state = o.before
		default:
			return fmt.Errorf("it is %s", o.state)
		}
		s.touch(o)
		return nil
	})
}

// FulfilSpec says which units are shipped; no lines = everything that is left.
type FulfilSpec struct {
	At    time.Time
	Lines []FulfilLineSpec
	Track Track
}

// FulfilLineSpec is units of one line.
type FulfilLineSpec struct{ Line, Quantity int64 }

// Track is a number of a parcel.
type Track struct{ Carrier, Title, Number string }

// Fulfil ships units of an order.
func (s *Simulator) Fulfil(id int64, spec FulfilSpec) error {
	return s.change(id, "shipping", func(o *order) error {
		var lines []unitsOf
		for _, l := range spec.Lines {
			it := o.item(l.Line)
			if it == nil || l.Quantity < 1 || l.Quantity > it.toShip() {
				return fmt.Errorf("line %d has no %d units to ship", l.Line, l.Quantity)
			}
			lines = append(lines, unitsOf{it, l.Quantity})
		}
		sh, err := s.ship(o, lines)
		if err != nil {
			return err
		}
		if spec.Track.Number != "" {
			sh.tracks = []Track{spec.Track}
		}
		if !spec.At.IsZero() {
			sh.created = spec.At.Unix()
		}
		return nil
	})
}

// toShip is Magento's own figure: what was refunded is not shipped, but units that were
// shipped and refunded are taken off once.
func (it *item) toShip() int64 {
	if it.kind == "virtual" || it.parent != nil && it.parent.kind == "configurable" || it.kind == "bundle" {
		return 0
	}
	return max(0, it.ordered-max(it.shipped, it.refunded)-it.cancelled)
}

// ship ships lines, or what is left.
func (s *Simulator) ship(o *order, lines []unitsOf) (*shipment, error) {
	if o.state == "canceled" || o.state == "holded" || o.state == "closed" {
		return nil, fmt.Errorf("it is %s", o.state)
	}
	if len(lines) == 0 {
		for _, it := range o.items {
			if left := it.toShip(); left > 0 {
				lines = append(lines, unitsOf{it, left})
			}
		}
	}
	if len(lines) == 0 {
		return nil, errors.New("nothing is left to ship")
	}
	sh := &shipment{id: s.id("shipment"), order: o, created: s.now()}
	for _, l := range lines {
		s.leave(o, l.item, l.quantity)
		sh.lines = append(sh.lines, l)
	}
	s.shipped = append(s.shipped, sh)
	// The rows change, the order itself only when its state does.
	before := o.state
	if o.settle(); o.state == "new" {
		o.state = "processing"
	}
	if o.state != before {
		s.touch(o)
	}
	return sh, nil
}

// leave takes units of a row off the shelf.
func (s *Simulator) leave(o *order, it *item, units int64) {
	it.shipped += units
	it.updated = s.now()
	o.picked = nil
	goods := it
	for _, c := range o.items {
		if c.parent == it && it.kind == "configurable" {
			goods = c
		}
	}
	if goods.product != nil && goods.product.tracked {
		s.item(goods.product.sku).quantity -= units
		s.reserved[goods.product.sku] -= units
	}
}

func (o *order) item(id int64) *item {
	for _, it := range o.items {
		if it.id == id {
			return it
		}
	}
	return nil
}

// Cancel cancels an order that was not invoiced; its reservations end. The reason is not
// kept, and goods always go back: Magento knows no other way.
func (s *Simulator) Cancel(id int64, _ string, _ bool, _ time.Time) error {
	return s.change(id, "cancelling", func(o *order) error {
		if !s.cancel(o) {
			return fmt.Errorf("it is %s and cannot be cancelled", o.state)
		}
		return nil
	})
}

func (s *Simulator) cancel(o *order) bool {
	if o.paid > 0 || o.state != "new" && o.state != "processing" {
		return false
	}
	for _, it := range o.items {
		if left := max(0, it.ordered-it.cancelled-it.shipped); left > 0 {
			it.cancelled += left
			it.updated = s.now()
			s.reserve(it, -left)
		}
	}
	o.state, o.cancelled = "canceled", s.now()
	s.touch(o)
	return true
}

// RefundSpec is goods or money given back.
type RefundSpec struct {
	At time.Time
	// Number is the credit memo's, default "000000001" and so on: a shop may count as its books do.
	Number string
	Note   string
	Lines  []RefundLineSpec
	// Shipping given back; empty = none.
	Shipping string
	// Plus and Minus are adjustments; empty = none.
	Plus, Minus string
}

// RefundLineSpec is units of one line. Restock "return" puts units that were shipped into the
// source again.
type RefundLineSpec struct {
	Line     int64
	Quantity int64
	Restock  string
}

// Refund makes a credit memo and returns its id.
func (s *Simulator) Refund(orderID int64, spec RefundSpec) (id int64, err error) {
	err = s.change(orderID, "refunding", func(o *order) error {
		m, err := s.refund(o, spec)
		if err == nil {
			id = m.id
		}
		return err
	})
	return id, err
}

func (s *Simulator) refund(o *order, spec RefundSpec) (*memo, error) {
	if o.paid == 0 {
		return nil, errors.New("nothing was paid")
	}
	m := &memo{order: o, created: spec.At.Unix()}
	if spec.At.IsZero() {
		m.created = s.now()
	}
	for _, a := range []struct {
		text string
		to   *int64
	}{{spec.Shipping, &m.shipping}, {spec.Plus, &m.plus}, {spec.Minus, &m.minus}} {
		if a.text == "" {
			continue
		}
		var err error
		if *a.to, err = money.Parse("magento", s.cfg.Currency, a.text); err != nil {
			return nil, err
		}
	}
	m.total = m.shipping + m.plus - m.minus
	for _, l := range spec.Lines {
		it := o.item(l.Line)
		if it == nil || l.Quantity < 0 || it.refunded+l.Quantity > it.ordered {
			return nil, fmt.Errorf("line %d has no %d units to refund", l.Line, l.Quantity)
		}
		if l.Quantity == 0 {
			continue
		}
		ml := memoLine{item: it, quantity: l.Quantity, back: l.Restock == "return"}
		for _, part := range []struct {
			of int64
			to *int64
		}{{it.row, &ml.row}, {it.tax, &ml.tax}, {it.discount, &ml.discount}, {it.compensation, &ml.compensation}} {
			// The share up to these units less the share before them: all memos together are all.
			upTo, err := money.MulDiv(part.of, it.refunded+l.Quantity, it.ordered)
			if err != nil {
				return nil, err
			}
			before, err := money.MulDiv(part.of, it.refunded, it.ordered)
			if err != nil {
				return nil, err
			}
			*part.to = upTo - before
		}
		m.lines = append(m.lines, ml)
		m.total += ml.row + ml.tax + ml.compensation - ml.discount
	}
	if m.total <= 0 || o.refunded+m.total > o.paid {
		return nil, fmt.Errorf("%d of %d can be refunded, not %d", o.paid-o.refunded, o.paid, m.total)
	}
	for _, ml := range m.lines {
		it := ml.item
		// Units beyond those that were shipped never left.
		never := max(0, it.refunded+ml.quantity-max(it.shipped, it.refunded))
		it.refunded += ml.quantity
		it.updated = s.now()
		goods := it
		for _, c := range o.items {
			if c.parent == it && it.kind == "configurable" {
				goods = c
			}
		}
		s.reserve(goods, -never)
		if back := ml.quantity - never; back > 0 && ml.back && goods.product.tracked {
			s.item(goods.product.sku).quantity += back
		}
	}
	m.id, m.number = s.id("creditmemo"), spec.Number
	if m.number == "" {
		m.number = increment(m.id)
	}
	if spec.Note != "" {
		m.comments = []string{spec.Note}
	}
	s.memos = append(s.memos, m)
	o.refunded += m.total
	s.touch(o)
	o.settle()
	return m, nil
}
