package simulator

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

type order struct {
	id                string
	number            int64
	created, updated  time.Time
	spec              OrderSpec // what never changes
	paid              bool
	cancelState       string
	cancelled         time.Time
	cancels           []cancelRequest
	lines             []*line
	shipments         []*shipment
	refunds           []*refund
	disputes          []*dispute
	subtotal, freight int64
	discount, tax     int64
}

type line struct {
	id              string
	item            *item
	sku, title      string
	listing         string
	price, quantity int64
	shipped         int64
	cost, discount  int64
	tax             int64
	refunded        int64
	returned        int64
}

type cancelRequest struct {
	id, reason, state, by string
	requested, completed  time.Time
}

type shipment struct {
	id, carrier, tracking string
	at                    time.Time
	lines                 map[string]int64
	order                 []string // of the lines
}

type refund struct {
	id, reference string
	at            time.Time // when it was asked for
	done          time.Time
	lines         []refundLine
	total         int64
	comment       string
}

type refundLine struct {
	line     *line
	quantity int64
	minor    int64
}

type dispute struct {
	id             string
	opened, closed time.Time
	reason         string
}

// pending is a refund that is under way.
type pending struct {
	order  *order
	refund *refund
}

// Address is where somebody lives.
type Address struct {
	FirstName, LastName, Company, Address1, Address2, City string
	Province, ProvinceCode, Zip, Country, CountryCode      string
	Phone                                                  string
}

// Customer is who buys.
type Customer struct {
	Username                          string
	FirstName, LastName, Email, Phone string
}

// OrderSpec is an order to place. Amounts are decimal text in the account's currency.
type OrderSpec struct {
	// At is creationDate; zero = eBay's clock.
	At       time.Time
	Customer *Customer
	Shipping *Address
	Lines    []LineSpec
	// Delivery is what shipping costs; empty = nothing.
	Delivery string
	// Discount is taken off the lines, spread by what they cost after discounts of their own.
	Discount string
	// TaxRate ("0.2") taxes every line, on top of the price; TaxType names it, default "VAT".
	// Remitted: eBay collects and remits it.
	TaxType, TaxRate string
	Remitted         bool
	// Paid: otherwise nobody sees the order until Pay.
	Paid bool
	Note string
}

// LineSpec is one line. Variant is a SKU; empty is a listing of the old kind, without one,
// which needs Title and Price.
type LineSpec struct {
	Variant  string
	Title    string
	Quantity int64
	// Price of one; empty = the listing's.
	Price string
	// Discount of this line alone.
	Discount string
}

// PlaceOrder places an order: stock goes down at once, and when it is paid, notifications go
// out. The ids of the lines are in Order.
func (s *Simulator) PlaceOrder(spec OrderSpec) (string, error) {
	s.mu.Lock()
	o, mail, err := s.place(spec)
	s.mu.Unlock()
	if err != nil {
		return "", fmt.Errorf("placing an order: %w", err)
	}
	s.mail.Deliver(mail)
	return o.id, nil
}

func (s *Simulator) place(spec OrderSpec) (*order, []*delivery, error) {
	n := s.id()
	o := &order{id: fmt.Sprintf("%02d-%05d-%05d", n%89+10, n/100_000%100_000, n%100_000), number: n, created: spec.At.UTC(), spec: spec, paid: spec.Paid, cancelState: "NONE_REQUESTED"}
	if spec.At.IsZero() {
		o.created = s.now()
	}
	if len(spec.Lines) == 0 {
		return nil, nil, errors.New("it has no lines")
	}
	var weights []int64
	for i, ls := range spec.Lines {
		l := &line{id: fmt.Sprintf("10%09d%d", n, i+1), title: ls.Title, quantity: ls.Quantity, listing: "200000000001"}
		if ls.Quantity < 1 {
			return nil, nil, fmt.Errorf("line %d of %d units", i+1, ls.Quantity)
		}
		if ls.Variant != "" {
			if l.item = s.bySKU[ls.Variant]; l.item == nil {
				return nil, nil, fmt.Errorf("SKU %s does not exist", ls.Variant)
			}
			l.sku, l.title, l.price, l.listing = ls.Variant, l.item.title, l.item.price, l.item.listing
		}
		if ls.Price != "" {
			l.price = s.minor(ls.Price)
		}
		l.cost = l.price * l.quantity
		o.subtotal += l.cost
		if ls.Discount != "" {
			l.discount = min(s.minor(ls.Discount), l.cost)
			o.discount += l.discount
		}
		weights = append(weights, l.cost-l.discount)
		o.lines = append(o.lines, l)
	}
	if spec.Delivery != "" {
		o.freight = s.minor(spec.Delivery)
	}
	if spec.Discount != "" && o.subtotal > 0 {
		spread := min(s.minor(spec.Discount), o.subtotal-o.discount)
		o.discount += spread
		parts, err := money.Allocate(spread, weights)
		if err != nil {
			return nil, nil, err
		}
		for i, l := range o.lines {
			l.discount += parts[i]
		}
	}
	if spec.TaxRate != "" {
		rate, err := money.ParseDecimal(spec.TaxRate)
		if err != nil {
			return nil, nil, err
		}
		for _, l := range o.lines {
			if l.tax, err = money.Mul(&event.Decimal{Unscaled: rate.Unscaled, Scale: rate.Scale}, l.cost-l.discount, 0); err != nil {
				return nil, nil, err
			}
			o.tax += l.tax
		}
	}
	for _, l := range o.lines {
		l.move(-l.quantity)
	}
	s.touch(o)
	s.orders[o.id] = o
	s.inOrder = append(s.inOrder, o)
	return o, s.confirmed(o), nil
}

// move changes stock because of an order. It may go below nothing, as it does when two buyers
// are faster than eBay.
func (l *line) move(by int64) {
	if i := l.item; i != nil {
		i.quantity += by
		i.available += by
		i.sold -= by
	}
}

// touch marks an order as changed. Callers hold mu.
func (s *Simulator) touch(o *order) {
	at := s.now()
	if d := s.faults.Backdate; d > 0 {
		if early := at.Add(-time.Duration(s.rng.Int64N(int64(d)))).Truncate(time.Millisecond); early.After(o.updated) {
			at = early
		}
	}
	if !at.After(o.updated) {
		at = o.updated.Add(time.Millisecond)
	}
	o.updated = at
}

// change does something to one order.
func (s *Simulator) change(id, what string, f func(o *order) ([]*delivery, error)) error {
	s.mu.Lock()
	o := s.orders[id]
	if o == nil {
		s.mu.Unlock()
		return fmt.Errorf("%s order %s: it does not exist", what, id)
	}
	mail, err := f(o)
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%s order %s: %w", what, id, err)
	}
	s.mail.Deliver(mail)
	return nil
}

// Pay completes the checkout: from now on the order is shown.
func (s *Simulator) Pay(id string) error {
	return s.change(id, "paying", func(o *order) ([]*delivery, error) {
		if o.paid {
			return nil, errors.New("it is paid already")
		}
		o.paid = true
		s.touch(o)
		return s.confirmed(o), nil
	})
}

// FulfilSpec says which units are shipped, and how; no lines = everything that is left.
type FulfilSpec struct {
	At                time.Time
	Lines             []FulfilLineSpec
	Carrier, Tracking string
}

// FulfilLineSpec is units of one line.
type FulfilLineSpec struct {
	Line     string
	Quantity int64
}

// Fulfil ships units of an order.
func (s *Simulator) Fulfil(id string, spec FulfilSpec) error {
	return s.change(id, "shipping", func(o *order) ([]*delivery, error) { return s.ship(o, spec) })
}

func (s *Simulator) ship(o *order, spec FulfilSpec) ([]*delivery, error) {
	at := spec.At.UTC()
	if spec.At.IsZero() {
		at = s.now()
	}
	if spec.Tracking == "" {
		spec.Carrier, spec.Tracking = "Other", fmt.Sprintf("SIM%d", s.id())
	}
	p := &shipment{id: spec.Tracking, carrier: spec.Carrier, tracking: spec.Tracking, at: at, lines: map[string]int64{}}
	if len(spec.Lines) == 0 {
		for _, l := range o.lines {
			if open := l.quantity - l.shipped; open > 0 {
				spec.Lines = append(spec.Lines, FulfilLineSpec{l.id, open})
			}
		}
	}
	for _, ls := range spec.Lines {
		l := o.line(ls.Line)
		if l == nil || ls.Quantity < 1 || p.lines[ls.Line]+ls.Quantity > l.quantity-l.shipped {
			return nil, fmt.Errorf("line %s has no %d units to ship", ls.Line, ls.Quantity)
		}
		if p.lines[ls.Line] == 0 {
			p.order = append(p.order, ls.Line)
		}
		p.lines[ls.Line] += ls.Quantity
	}
	if len(p.lines) == 0 {
		return nil, errors.New("nothing is left to ship")
	}
	for id, units := range p.lines {
		o.line(id).shipped += units
	}
	o.shipments = append(o.shipments, p)
	s.touch(o)
	return s.post(nil, "ITEM_MARKED_SHIPPED", map[string]any{"orderId": o.id, "sellerId": s.cfg.Seller, "trackingNumber": p.tracking}), nil
}

func (o *order) line(id string) *line {
	for _, l := range o.lines {
		if l.id == id {
			return l
		}
	}
	return nil
}

// RequestCancel is a buyer who wants to cancel.
func (s *Simulator) RequestCancel(id, reason string) error {
	return s.change(id, "asking to cancel", func(o *order) ([]*delivery, error) {
		if o.cancelState != "NONE_REQUESTED" {
			return nil, fmt.Errorf("it is %s", o.cancelState)
		}
		o.cancelState = "IN_PROGRESS"
		o.cancels = append(o.cancels, cancelRequest{id: fmt.Sprint(s.id()), reason: reason, state: "REQUESTED", by: "Buyer", requested: s.now()})
		s.touch(o)
		return nil, nil
	})
}

// Cancel cancels an order; nothing of it may have been shipped. Restock puts its units up for
// sale again. What was paid is given back.
func (s *Simulator) Cancel(id, reason string, restock bool, at time.Time) error {
	return s.change(id, "cancelling", func(o *order) ([]*delivery, error) {
		if at.IsZero() {
			at = s.now()
		}
		return nil, s.cancel(o, reason, restock, at.UTC())
	})
}

func (s *Simulator) cancel(o *order, reason string, restock bool, at time.Time) error {
	if o.cancelState == "CANCELED" {
		return errors.New("it is cancelled already")
	}
	for _, l := range o.lines {
		if l.shipped > 0 {
			return errors.New("it is shipped")
		}
	}
	if reason == "" {
		reason = "OUT_OF_STOCK_OR_CANNOT_FULFILL" //nolint:misspell // the word is eBay's
	}
	if o.cancelState == "NONE_REQUESTED" {
		o.cancels = append(o.cancels, cancelRequest{id: fmt.Sprint(s.id()), reason: reason, by: "Seller", requested: at})
	}
	last := &o.cancels[len(o.cancels)-1]
	last.state, last.completed = "COMPLETED", at
	o.cancelState, o.cancelled = "CANCELED", at
	for _, l := range o.lines {
		if restock {
			l.move(l.quantity)
		}
	}
	if left := o.total() - o.refunded(); o.paid && left > 0 {
		o.refunds = append(o.refunds, &refund{id: fmt.Sprint("R", s.id()), reference: fmt.Sprint("RR", s.id()), at: at, done: at, total: left})
	}
	s.touch(o)
	return nil
}

// OpenDispute is a buyer's bank that takes the payment back. The order itself does not change.
func (s *Simulator) OpenDispute(id, reason string) error {
	return s.change(id, "disputing", func(o *order) ([]*delivery, error) {
		o.disputes = append(o.disputes, &dispute{id: fmt.Sprint(s.id()), opened: s.now(), reason: reason})
		return nil, nil
	})
}

// CloseDispute ends the disputes of an order.
func (s *Simulator) CloseDispute(id string) error {
	return s.change(id, "ending the dispute of", func(o *order) ([]*delivery, error) {
		for _, d := range o.disputes {
			if d.closed.IsZero() {
				d.closed = s.now()
			}
		}
		return nil, nil
	})
}

// RefundSpec is money given back, for units of lines or for the whole order.
type RefundSpec struct {
	At    time.Time
	Note  string
	Lines []RefundLineSpec
	// Amount of a refund without lines.
	Amount string
	// Pending: it takes RefundDelay until it is done.
	Pending bool
}

// RefundLineSpec is units of one line. Restock "return" puts them up for sale again. Amount,
// when empty, is the line's share by units of what was paid for it.
type RefundLineSpec struct {
	Line     string
	Quantity int64
	Restock  string
	Amount   string
}

// Refund refunds and returns the refund's id.
func (s *Simulator) Refund(orderID string, spec RefundSpec) (string, error) {
	var id string
	err := s.change(orderID, "refunding", func(o *order) ([]*delivery, error) {
		r, err := s.refund(o, spec)
		if err == nil {
			id = r.id
		}
		return nil, err
	})
	return id, err
}

func (s *Simulator) refund(o *order, spec RefundSpec) (*refund, error) {
	r := &refund{id: fmt.Sprint("R", s.id()), reference: fmt.Sprint("RR", s.id()), at: spec.At.UTC(), comment: spec.Note}
	if spec.At.IsZero() {
		r.at = s.now()
	}
	for i, ls := range spec.Lines {
		l := o.line(ls.Line)
		if l == nil || ls.Quantity < 0 || l.returned+ls.Quantity > l.quantity {
			return nil, fmt.Errorf("refund line %d: the order has no %d units of line %s", i+1, ls.Quantity, ls.Line)
		}
		rl := refundLine{line: l, quantity: ls.Quantity}
		if ls.Amount != "" {
			rl.minor = s.minor(ls.Amount)
		} else {
			var err error
			if rl.minor, err = money.MulDiv(l.cost-l.discount, ls.Quantity, l.quantity); err != nil {
				return nil, err
			}
		}
		r.lines = append(r.lines, rl)
		r.total += rl.minor
	}
	if len(spec.Lines) == 0 {
		r.total = s.minor(spec.Amount)
	}
	if r.total <= 0 || o.refunded()+r.total > o.total() {
		return nil, fmt.Errorf("%d cannot be refunded: %d of %d are", r.total, o.refunded(), o.total())
	}
	for i, rl := range r.lines {
		rl.line.returned += rl.quantity
		rl.line.refunded += rl.minor
		if strings.EqualFold(spec.Lines[i].Restock, "return") {
			rl.line.move(rl.quantity)
		}
	}
	if spec.Pending {
		s.underWay = append(s.underWay, pending{o, r})
	} else {
		r.done = r.at
	}
	o.refunds = append(o.refunds, r)
	s.touch(o)
	return r, nil
}

// mature finishes the refunds that are due. Callers hold mu.
func (s *Simulator) mature() {
	now := s.now()
	left := s.underWay[:0]
	for _, p := range s.underWay {
		if now.Before(p.refund.at.Add(s.cfg.RefundDelay)) {
			left = append(left, p)
			continue
		}
		p.refund.done = now
		s.touch(p.order)
	}
	s.underWay = left
}

func (o *order) refunded() (sum int64) {
	for _, r := range o.refunds {
		sum += r.total
	}
	return sum
}

func (o *order) total() int64 { return o.subtotal - o.discount + o.freight + o.tax }
