package simulator

import (
	"errors"
	"fmt"
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

func (o *order) line(id int64) *line {
	for _, l := range o.lines {
		if l.id == id {
			return l
		}
	}
	return nil
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
