package simulator

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

type order struct {
	id, number                   int64
	name                         string
	created, updated             int64
	cancelled, closed            int64
	seq                          uint64
	spec                         *OrderSpec // what never changes
	financial, cancelReason      string
	lines                        []*line
	refunds                      []*refund
	fulfilments                  []*fulfilment
	open                         []*fulfilmentOrder // see fulfilmentOrders
	payments                     []*transaction
	staffNote                    string // of the cancellation
	edits                        int
	subtotal, shipping, discount int64
	code                         int64 // what the code took off
	tax, refunded                int64
}

type line struct {
	id                           int64
	variant                      *variant
	sku, title                   string
	price                        decimal
	quantity, current, fulfilled int64
	refunded                     int64
	// discount is all that was taken off, own what of it was taken off this line by hand.
	total, discount, own int64
	taxes                []tax
}

type tax struct {
	title, rate string
	minor       int64
}

type refund struct {
	id       int64
	order    *order
	at       int64
	note     string
	lines    []refundLine
	shipping int64
	total    int64
	// payments that gave the total back.
	payments []*transaction
}

// transaction is money that came (SALE) or went (REFUND).
type transaction struct {
	id      int64
	kind    string
	gateway string
	minor   int64
	parent  *transaction
}

type refundLine struct {
	id       int64
	line     *line
	quantity int64
	restock  string
	minor    int64
	tax      int64
}

type fulfilment struct {
	id     int64
	order  *order
	at     int64
	status string
	lines  []fulfilledLine
	tracking
}

// tracking is what a fulfilment says of its parcel.
type tracking struct {
	company, number, url string
	notified             bool
}

type fulfilledLine struct {
	line     *line
	quantity int64
}

// Address is where somebody lives.
type Address struct {
	FirstName, LastName, Company, Address1, Address2, City string
	Province, ProvinceCode, Zip, Country, CountryCode      string
	Phone                                                  string
}

// Customer is who buys.
type Customer struct {
	ID                                int64
	FirstName, LastName, Email, Phone string
}

// OrderSpec is an order to place. Amounts are decimal text in the shop's currency.
type OrderSpec struct {
	// Name, default "#1001" and so on.
	Name string
	// At is created_at and processed_at; zero = the shop's clock.
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
	// TaxTitle and TaxRate ("0.2") tax every line, on top of the price. With Included, prices
	// and discounts hold the tax.
	TaxTitle, TaxRate string
	Included          bool
	// Paid: otherwise the payment is pending. Payments are what it was paid with, one after
	// another; the rest was paid "manual".
	Paid                   bool
	Payments               []PaymentSpec
	Test                   bool
	SourceIdentifier, Note string
	PONumber               string
}

// LineSpec is one line. Variant 0 is a custom line, which needs Title and Price.
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

// PaymentSpec is one payment.
type PaymentSpec struct{ Gateway, Amount string }

// PlaceOrder places an order: stock goes down at once, and webhooks go out. The ids of the
// lines are in Order.
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
	o := &order{spec: spec, name: spec.Name, financial: "pending"}
	if spec.Paid {
		o.financial = "paid"
	}
	lines, err := s.newLines(o, spec.Lines)
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
	s.number++
	o.id, o.number = s.id(), s.number
	if o.name == "" {
		o.name = fmt.Sprintf("#%d", o.number)
	}
	if o.created = spec.At.Unix(); spec.At.IsZero() {
		o.created = s.now()
	}
	o.lines = lines
	spec.Lines = nil // the lines tell it from here on
	for _, l := range lines {
		o.subtotal += l.total
		o.discount += l.own
	}
	if spec.Discount != "" {
		if o.code, err = s.minor(spec.Discount); err != nil {
			return nil, nil, err
		}
		o.discount += o.code
		weights := make([]int64, len(lines))
		for i, l := range lines {
			weights[i] = l.total - l.own
		}
		shares, err := money.Allocate(o.code, weights)
		if err != nil {
			return nil, nil, err
		}
		for i, l := range lines {
			l.discount += shares[i]
		}
	}
	for _, l := range lines {
		if err := s.taxLine(o, l); err != nil {
			return nil, nil, err
		}
	}
	if err := s.pay(o); err != nil {
		return nil, nil, err
	}
	s.orders[o.id] = o
	s.inOrder = append(s.inOrder, o)
	s.touch(o)
	var mail []*delivery
	for _, l := range lines {
		mail = s.move(mail, l.variant, -l.quantity)
	}
	mail = s.postOrder(mail, o, "orders/create")
	if spec.Paid {
		mail = s.postOrder(mail, o, "orders/paid")
	}
	return o, mail, nil
}

func (s *Simulator) newLines(o *order, specs []LineSpec) ([]*line, error) {
	lines, room := make([]*line, 0, len(specs)), make([]line, len(specs))
	for i, ls := range specs {
		l := &room[i]
		*l = line{id: s.id(), sku: ls.SKU, title: ls.Title, quantity: ls.Quantity, current: ls.Quantity}
		if ls.Quantity < 1 {
			return nil, fmt.Errorf("line %d: quantity %d", i+1, ls.Quantity)
		}
		if ls.Variant != 0 {
			if l.variant = s.variants[ls.Variant]; l.variant == nil {
				return nil, fmt.Errorf("line %d: variant %d does not exist", i+1, ls.Variant)
			}
			l.price = l.variant.price
			if l.sku == "" {
				l.sku = l.variant.sku
			}
			if l.title == "" {
				l.title = l.variant.product.title
			}
		}
		if ls.Price != "" && ls.Price != l.price.text {
			var err error
			if l.price, err = s.price(ls.Price); err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
		}
		if l.price.value == nil {
			return nil, fmt.Errorf("line %d: a custom line needs a price", i+1)
		}
		total, err := money.Mul(l.price.value, l.quantity, s.exponent)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		l.total = total
		if ls.Discount != "" {
			if l.own, err = s.minor(ls.Discount); err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			l.discount = l.own
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// maxPrices bounds the prices that are remembered.
const maxPrices = 1 << 14

// price reads a price. A shop has many lines and few prices: equal ones are kept once.
func (s *Simulator) price(text string) (decimal, error) {
	if d, ok := s.prices[text]; ok {
		return d, nil
	}
	v, err := money.ParseDecimal(text)
	if err != nil {
		return decimal{}, err
	}
	d := decimal{text, v}
	if len(s.prices) < maxPrices {
		s.prices[text] = d
	}
	return d, nil
}

func (s *Simulator) taxLine(o *order, l *line) error {
	if o.spec.TaxRate == "" {
		return nil
	}
	rate, err := money.ParseDecimal(o.spec.TaxRate)
	if err != nil {
		return err
	}
	// The rate has few decimals; minor units times it stay far below 2^63.
	minor, err := money.Mul(&event.Decimal{Unscaled: rate.Unscaled, Scale: rate.Scale}, l.total-l.discount, 0)
	if o.spec.Included {
		// Of an amount with tax, rate ÷ (1 + rate) is tax.
		whole := int64(1)
		for range rate.Scale {
			whole *= 10
		}
		minor, err = money.MulDiv(l.total-l.discount, rate.Unscaled, whole+rate.Unscaled)
	}
	if err != nil {
		return err
	}
	l.taxes = []tax{{o.spec.TaxTitle, o.spec.TaxRate, minor}}
	o.tax += minor
	return nil
}

func (s *Simulator) minor(text string) (int64, error) {
	return money.Parse("shopify", s.cfg.Currency, text)
}

func (o *order) total() int64 {
	if o.spec.Included {
		return o.subtotal - o.discount + o.shipping
	}
	return o.subtotal - o.discount + o.shipping + o.tax
}

// application is one discount as orders list them: the code's first, then what was taken off
// by hand.
type application struct {
	code, title string
	minor       int64
	byHand      bool
}

func (o *order) applications() (all []application) {
	if o.spec.Discount != "" {
		a := application{code: o.spec.DiscountCode, minor: o.code}
		if a.code == "" {
			a.title = "Discount"
		}
		all = append(all, a)
	}
	if byHand := o.discount - o.code; byHand != 0 {
		all = append(all, application{title: "By hand", minor: byHand, byHand: true})
	}
	return all
}

// allocation is what one of the order's discounts took off a line.
type allocation struct {
	index int
	minor int64
}

func (l *line) allocations(o *order) (all []allocation) {
	at := 0
	if o.spec.Discount != "" {
		at = 1
		if share := l.discount - l.own; share != 0 {
			all = append(all, allocation{0, share})
		}
	}
	if l.own != 0 {
		all = append(all, allocation{at, l.own})
	}
	return all
}

// touch makes the order the one that changed last.
func (s *Simulator) touch(o *order) {
	o.updated = s.now()
	s.nextSeq++
	o.seq = s.nextSeq
	s.byUpdate.add(o, o.seq, o.updated)
}

// change runs f on an order and sends what f and every change brings: orders/updated.
func (s *Simulator) change(id int64, what string, f func(o *order) ([]*delivery, error)) error {
	s.mu.Lock()
	o := s.orders[id]
	if o == nil {
		s.mu.Unlock()
		return fmt.Errorf("%s order %d: it does not exist", what, id)
	}
	mail, err := f(o)
	if err == nil {
		mail = s.postOrder(mail, o, "orders/updated")
	}
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%s order %d: %w", what, id, err)
	}
	s.mail.Deliver(mail)
	return nil
}

// EditOrder adds lines to an order.
func (s *Simulator) EditOrder(id int64, add []LineSpec, at time.Time) error {
	return s.change(id, "editing", func(o *order) ([]*delivery, error) {
		lines, err := s.newLines(o, add)
		if err != nil {
			return nil, err
		}
		var mail []*delivery
		for _, l := range lines {
			if err := s.taxLine(o, l); err != nil {
				return nil, err
			}
			o.subtotal += l.total
			o.discount += l.own
			mail = s.move(mail, l.variant, -l.quantity)
		}
		o.lines = append(o.lines, lines...)
		return s.edited(mail, o, lines, nil, at), nil
	})
}

// RemoveUnits takes units of a line out of an order before they were shipped.
func (s *Simulator) RemoveUnits(id, lineID, units int64, at time.Time) error {
	return s.change(id, "editing", func(o *order) ([]*delivery, error) {
		l := o.line(lineID)
		if l == nil || units < 1 || units > l.current-l.fulfilled {
			return nil, fmt.Errorf("line %d has no %d units to take out", lineID, units)
		}
		l.current -= units
		mail := s.move(nil, l.variant, units)
		return s.edited(mail, o, nil, l, at), nil
	})
}

// edited sends the payload of orders/edited, which is not the order.
func (s *Simulator) edited(mail []*delivery, o *order, added []*line, removed *line, at time.Time) []*delivery {
	s.touch(o)
	o.edits++
	when := at.Unix()
	if at.IsZero() {
		when = s.now()
	}
	return s.post(mail, "orders/edited", func() []byte {
		b := fmt.Appendf(nil, `{"order_edit":{"id":%d,"order_id":%d,"created_at":"%s","notify_customer":false,"line_items":{"additions":[`, s.id(), o.id, rest(when))
		for i, l := range added {
			if i > 0 {
				b = append(b, ',')
			}
			b = fmt.Appendf(b, `{"id":%d,"delta":%d}`, l.id, l.quantity)
		}
		b = append(b, `],"removals":[`...)
		if removed != nil {
			b = fmt.Appendf(b, `{"id":%d,"delta":%d}`, removed.id, removed.quantity-removed.current)
		}
		return append(b, `]}}}`...)
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

// RefundSpec is goods or money given back.
type RefundSpec struct {
	At    time.Time
	Note  string
	Lines []RefundLineSpec
	// Shipping given back; empty = none.
	Shipping string
	// NoPayment: nothing is paid back, only the books change.
	NoPayment bool

	// payments, when not nil, are what is given back, instead of what the lines come to.
	payments []*transaction
}

// RefundLineSpec is units of one line. Restock is "return" (it was shipped and goes back to
// the shelf), "cancel" (it never left) or "no_restock". Amount, when empty, is the line's
// share by units of what was paid for it; where taxes lie on top, they come in addition.
type RefundLineSpec struct {
	Line     int64
	Quantity int64
	Restock  string
	Amount   string
}

// Refund refunds and returns the refund's id.
func (s *Simulator) Refund(orderID int64, spec RefundSpec) (int64, error) {
	var id int64
	err := s.change(orderID, "refunding", func(o *order) ([]*delivery, error) {
		r, mail, err := s.refund(o, spec)
		if err != nil {
			return nil, err
		}
		id = r.id
		return mail, nil
	})
	return id, err
}

func (s *Simulator) refund(o *order, spec RefundSpec) (*refund, []*delivery, error) {
	r := &refund{id: s.id(), order: o, note: spec.Note, at: spec.At.Unix()}
	if spec.At.IsZero() {
		r.at = s.now()
	}
	taken := map[*line]int64{}
	for i, ls := range spec.Lines {
		l := o.line(ls.Line)
		if l == nil {
			return nil, nil, fmt.Errorf("refund line %d: the order has no line %d", i+1, ls.Line)
		}
		taken[l] += ls.Quantity
		if ls.Quantity < 1 || l.refunded+taken[l] > l.quantity {
			return nil, nil, fmt.Errorf("refund line %d: %d of %d units, %d are refunded", i+1, ls.Quantity, l.quantity, l.refunded)
		}
		rl := refundLine{id: s.id(), line: l, quantity: ls.Quantity, restock: ls.Restock}
		var err error
		switch {
		case ls.Amount != "":
			rl.minor, err = s.minor(ls.Amount)
		default:
			rl.minor, err = money.MulDiv(l.total-l.discount, ls.Quantity, l.quantity)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("refund line %d: %w", i+1, err)
		}
		for _, of := range l.taxes {
			share, err := money.MulDiv(of.minor, ls.Quantity, l.quantity)
			if err != nil {
				return nil, nil, fmt.Errorf("refund line %d: %w", i+1, err)
			}
			rl.tax += share
		}
		switch rl.restock {
		case "":
			rl.restock = "no_restock"
		case "return", "cancel", "no_restock":
		default:
			return nil, nil, fmt.Errorf("refund line %d: restock %q", i+1, ls.Restock)
		}
		r.lines = append(r.lines, rl)
		if r.total += rl.minor; !o.spec.Included {
			r.total += rl.tax
		}
	}
	if spec.Shipping != "" {
		minor, err := s.minor(spec.Shipping)
		if err != nil {
			return nil, nil, err
		}
		r.shipping = minor
		r.total += minor
	}
	if spec.NoPayment {
		r.total = 0
	}
	if spec.payments != nil {
		r.total = 0
		for _, t := range spec.payments {
			r.total += t.minor
		}
	}
	var mail []*delivery
	for _, rl := range r.lines {
		rl.line.refunded += rl.quantity
		rl.line.current = max(0, rl.line.current-rl.quantity)
		if rl.restock != "no_restock" {
			mail = s.move(mail, rl.line.variant, rl.quantity)
		}
	}
	if r.payments = spec.payments; r.payments == nil {
		r.payments = s.giveBack(o, r.total)
	}
	o.payments = append(o.payments, r.payments...)
	o.refunds = append(o.refunds, r)
	s.parts[r.id] = r
	if o.refunded += r.total; r.total > 0 {
		if o.financial = "partially_refunded"; o.refunded >= o.total() {
			o.financial = "refunded"
		}
	}
	s.archive(o)
	s.touch(o)
	return r, s.post(mail, "refunds/create", func() []byte { return s.refundJSON(nil, r) }), nil
}

// Cancel cancels an order; what was not shipped goes back to the shelf with restock.
func (s *Simulator) Cancel(id int64, reason string, restock bool, at time.Time) error {
	return s.change(id, "cancelling", func(o *order) ([]*delivery, error) {
		return s.cancel(o, reason, restock, true, at)
	})
}

func (s *Simulator) cancel(o *order, reason string, restock, payBack bool, at time.Time) ([]*delivery, error) {
	if o.cancelled != 0 {
		return nil, errors.New("it is cancelled")
	}
	spec := RefundSpec{At: at, NoPayment: !payBack || o.financial == "pending"}
	kind := "no_restock"
	if restock {
		kind = "cancel"
	}
	for _, l := range o.lines {
		if open := l.current - l.fulfilled; open > 0 {
			spec.Lines = append(spec.Lines, RefundLineSpec{Line: l.id, Quantity: open, Restock: kind})
		}
	}
	var mail []*delivery
	var err error
	if len(spec.Lines) > 0 {
		if _, mail, err = s.refund(o, spec); err != nil {
			return nil, err
		}
	}
	if o.cancelled = at.Unix(); at.IsZero() {
		o.cancelled = s.now()
	}
	if o.cancelReason = reason; reason == "" {
		o.cancelReason = "other"
	}
	if o.financial == "pending" {
		o.financial = "voided"
	}
	s.archive(o)
	s.touch(o)
	return s.postOrder(mail, o, "orders/cancelled"), nil
}

// FulfilSpec says which units are shipped; no lines = everything that is left.
type FulfilSpec struct {
	At    time.Time
	Lines []FulfilLineSpec
	// Carrier and Tracking of the parcel.
	Carrier, Tracking string
}

// FulfilLineSpec is units of one line.
type FulfilLineSpec struct{ Line, Quantity int64 }

// Fulfil ships units of an order, as somebody does in the admin.
func (s *Simulator) Fulfil(id int64, spec FulfilSpec) error {
	return s.change(id, "shipping", func(o *order) ([]*delivery, error) {
		var lines []fulfilledLine
		if len(spec.Lines) == 0 {
			for _, l := range o.lines {
				if open := l.current - l.fulfilled; open > 0 {
					lines = append(lines, fulfilledLine{l, open})
				}
			}
		}
		for _, ls := range spec.Lines {
			l := o.line(ls.Line)
			if l == nil || ls.Quantity < 1 || ls.Quantity > l.current-l.fulfilled {
				return nil, fmt.Errorf("line %d has no %d units to ship", ls.Line, ls.Quantity)
			}
			lines = append(lines, fulfilledLine{l, ls.Quantity})
		}
		if len(lines) == 0 {
			return nil, errors.New("nothing is left to ship")
		}
		_, mail := s.fulfil(o, lines, tracking{company: spec.Carrier, number: spec.Tracking}, spec.At)
		return mail, nil
	})
}

// fulfil makes a fulfilment of units that can be shipped.
func (s *Simulator) fulfil(o *order, lines []fulfilledLine, tr tracking, at time.Time) (*fulfilment, []*delivery) {
	f := &fulfilment{id: s.id(), order: o, status: "success", at: at.Unix(), lines: lines, tracking: tr}
	if at.IsZero() {
		f.at = s.now()
	}
	for _, fl := range lines {
		fl.line.fulfilled += fl.quantity
	}
	o.fulfilments = append(o.fulfilments, f)
	s.parts[f.id] = f
	s.archive(o)
	s.touch(o)
	topic := "orders/fulfilled"
	if o.fulfilmentStatus() == "partial" {
		topic = "orders/partially_fulfilled"
	}
	return f, s.postOrder(nil, o, topic)
}

// Pay marks an order whose payment was pending as paid.
func (s *Simulator) Pay(id int64) error {
	return s.change(id, "paying", func(o *order) ([]*delivery, error) {
		if o.financial != "pending" || o.cancelled != 0 {
			return nil, fmt.Errorf("it is %s", o.financial)
		}
		o.financial = "paid"
		if due := o.total() - o.refunded; due > 0 {
			o.payments = append(o.payments, &transaction{id: s.partID(), kind: "SALE", gateway: "manual", minor: due})
		}
		s.archive(o)
		s.touch(o)
		return s.postOrder(nil, o, "orders/paid"), nil
	})
}

// archive closes an order with which nothing is left to do, in a shop that archives by itself.
func (s *Simulator) archive(o *order) {
	if !s.cfg.Archive || o.closed != 0 {
		return
	}
	open := int64(0)
	for _, l := range o.lines {
		open += max(0, l.current-l.fulfilled)
	}
	if open == 0 && o.financial != "pending" || o.cancelled != 0 {
		o.closed = s.now()
	}
}

// fulfilmentStatus is fulfillment_status of webhooks; "" is null.
func (o *order) fulfilmentStatus() string {
	var shipped, left int64
	for _, l := range o.lines {
		shipped += l.fulfilled
		left += max(0, l.current-l.fulfilled)
	}
	switch {
	case shipped > 0 && left == 0:
		return "fulfilled"
	case shipped > 0:
		return "partial"
	}
	return ""
}

// Order is the truth about one order.
type Order struct {
	ID        int64
	Name      string
	Created   time.Time
	Updated   time.Time
	Cancelled bool
	// CancelReason and StaffNote are what the cancellation says.
	CancelReason, StaffNote string
	Lines                   []Line
	Refunds                 []Refund
	Fulfilments             []Fulfilment
	Payments                []Payment
	// Amounts in minor units of the shop's currency.
	Subtotal, Total int64
}

// Line is the truth about one line. Current is without what was removed or refunded.
type Line struct {
	ID, Variant                            int64
	SKU                                    string
	Quantity, Current, Fulfilled, Refunded int64
	Total                                  int64
}

// Refund is the truth about one refund.
type Refund struct {
	ID    int64
	Total int64
	Units int64
	Note  string
}

// Fulfilment is the truth about one parcel.
type Fulfilment struct {
	ID                     int64
	Company, Tracking, URL string
	Notified               bool
	Lines                  []FulfilLineSpec
}

// Payment is the truth about one transaction: SALE, or REFUND of the payment Parent.
type Payment struct {
	ID            int64
	Kind, Gateway string
	Minor, Parent int64
}

// Order returns one order; ok is false when there is none.
func (s *Simulator) Order(id int64) (o Order, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.orders[id]; o != nil {
		return o.truth(), true
	}
	return o, false
}

// Orders iterates over the orders that there were when it began, each as it is when its
// turn comes.
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
		ID: o.id, Name: o.name, Created: time.Unix(o.created, 0).UTC(), Updated: time.Unix(o.updated, 0).UTC(),
		Cancelled: o.cancelled != 0, CancelReason: o.cancelReason, StaffNote: o.staffNote, Subtotal: o.subtotal, Total: o.total(),
	}
	for _, l := range o.lines {
		var v int64
		if l.variant != nil {
			v = l.variant.id
		}
		t.Lines = append(t.Lines, Line{l.id, v, l.sku, l.quantity, l.current, l.fulfilled, l.refunded, l.total})
	}
	for _, r := range o.refunds {
		sum := Refund{ID: r.id, Total: r.total, Note: r.note}
		for _, rl := range r.lines {
			sum.Units += rl.quantity
		}
		t.Refunds = append(t.Refunds, sum)
	}
	for _, f := range o.fulfilments {
		p := Fulfilment{ID: f.id, Company: f.company, Tracking: f.number, URL: f.url, Notified: f.notified}
		for _, fl := range f.lines {
			p.Lines = append(p.Lines, FulfilLineSpec{fl.line.id, fl.quantity})
		}
		t.Fulfilments = append(t.Fulfilments, p)
	}
	for _, tr := range o.payments {
		p := Payment{ID: tr.id, Kind: tr.kind, Gateway: tr.gateway, Minor: tr.minor}
		if tr.parent != nil {
			p.Parent = tr.parent.id
		}
		t.Payments = append(t.Payments, p)
	}
	return t
}
