package channels

// The script: 200 sales that every channel plays, and what a canonical order says of each.
// It is made by code from one seed. What is expected is reckoned here, from the script alone,
// so that no channel is the measure of the others.

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// life is what happens to a sale after it was placed.
type life int

const (
	shipped    life = iota // paid, shipped whole
	partly                 // paid, a part shipped
	inTwo                  // paid, shipped in two parcels
	cancelled              // never paid, cancelled
	void                   // paid, cancelled, all given back
	returned               // shipped, some units given back and put on the shelf again
	kept                   // shipped, some units given back and not put on the shelf
	shortened              // paid, a line given back before it left, the rest shipped
	waiting                // not paid
	paidLater              // placed unpaid, paid, not shipped
	freightOff             // shipped, shipping given back
	allBack                // shipped, all given back and put on the shelf again
	lives                  // how many there are
)

// sale is one order. Amounts are in the smallest unit.
type sale struct {
	n        int
	currency string
	life     life
	lines    []sold
	code     string // takes discount off
	discount int64
	delivery int64
	rate     string // "" = no tax
	included bool   // prices hold the tax
	shipping address
	billing  address
	email    string
}

type sold struct {
	sku        string
	units      int64
	price, off int64
	share      int64 // of the order's discount
}

type address struct {
	first, last, company, line1, line2, city, code, region, zip, country, phone string
}

func (a address) name() string { return a.first + " " + a.last }

const rounds = 200

var skus = []string{"MUG-BLUE", "LAMP-OAK", "SCARF-WOOL", "TRAY-TIN", "CLOCK-WALL"}

// script makes the sales.
func script(t testing.TB) []*sale {
	t.Helper()
	rng := rand.New(rand.NewPCG(20261129, 5))
	currencies := []string{"EUR", "GBP", "USD", "JPY"}
	rates := []string{"", "0.2", "0.19", "0.07"}
	streets := []string{"Lagerstraße 4", "1 High Street", "350 Fifth Avenue", "1-2-3 Dogenzaka"}
	all := make([]*sale, rounds)
	for i := range all {
		s := &sale{
			n: i, currency: currencies[rng.IntN(len(currencies))], life: life(i % int(lives)), rate: rates[rng.IntN(len(rates))],
			email: fmt.Sprintf("buyer%d@example.com", i),
		}
		s.included = s.rate != "" && rng.IntN(2) == 0
		n := 1 + rng.IntN(4)
		if s.life == shortened || s.life == partly || s.life == inTwo {
			n = max(n, 2)
		}
		for j := range n {
			l := sold{sku: skus[(i+j)%len(skus)], units: 1 + rng.Int64N(4), price: 199 + rng.Int64N(9000)}
			if rng.IntN(3) == 0 {
				l.off = 1 + rng.Int64N(l.price/2)
			}
			s.lines = append(s.lines, l)
		}
		if rng.IntN(3) == 0 {
			s.code, s.discount = "AUTUMN", 1+rng.Int64N(90)
		}
		if rng.IntN(4) > 0 || s.life == freightOff {
			s.delivery = 395 + rng.Int64N(300)
		}
		s.shipping = address{"Zoë", "O'Neil", "", streets[i%4], "3rd floor", "Springfield", "CA", "California", "sw1a 1aa", "US", "+1 555 0100"}
		if i%3 > 0 {
			s.shipping = address{"Jürgen", fmt.Sprintf("Müller-%d", i), "Lager GmbH", streets[i%4], "", "Köln", "NW", "Nordrhein-Westfalen", "50667", "DE", "+49 221 5550101"}
		}
		s.billing = address{"Ada", "Buchhaltung", "Holding AG", "Rechnungsweg 9", "", "Zürich", "ZH", "Zürich", "8001", "CH", "+41 44 5550199"}
		s.spread(t)
		all[i] = s
	}
	return all
}

// spread shares the order's discount out to the lines.
func (s *sale) spread(t testing.TB) {
	weights := make([]int64, len(s.lines))
	for i, l := range s.lines {
		weights[i] = l.units*l.price - l.off
	}
	shares, err := money.Allocate(s.discount, weights)
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.lines {
		s.lines[i].share = shares[i]
	}
}

// figures of one line: what it costs before and after discounts, and its tax.
func (s *sale) gross(i int) int64 { return s.lines[i].units * s.lines[i].price }
func (s *sale) net(i int) int64   { return s.gross(i) - s.lines[i].off - s.lines[i].share }
func (s *sale) tax(i int) int64   { return s.taxOf(s.net(i)) }

// taxOf is the tax of an amount: on top of it, or within it.
func (s *sale) taxOf(minor int64) int64 {
	if s.rate == "" {
		return 0
	}
	d, err := money.ParseDecimal(s.rate)
	if err != nil {
		panic(err)
	}
	whole := int64(1)
	for range d.Scale {
		whole *= 10
	}
	if s.included {
		whole += d.Unscaled
	}
	v, err := money.MulDiv(minor, d.Unscaled, whole)
	if err != nil {
		panic(err)
	}
	return v
}

func (s *sale) ppm() int64 {
	d, err := money.ParseDecimal(s.rate)
	if err != nil {
		return 0
	}
	v := d.Unscaled
	for scale := d.Scale; scale < 6; scale++ {
		v *= 10
	}
	return v
}

// refund is what is given back.
type refund struct {
	units    []int64 // by line
	restock  event.Restock
	shipping int64
}

// amount is what is given back for a line's units, as lines are told: without tax on top.
func (s *sale) amount(i int, units int64) int64 { return s.net(i) * units / s.lines[i].units }

// onTop is the tax that comes with it.
func (s *sale) onTop(i int, units int64) int64 {
	if s.included {
		return 0
	}
	v, err := money.MulDiv(s.tax(i), units, s.lines[i].units)
	if err != nil {
		panic(err)
	}
	return v
}

func (s *sale) total(r *refund) (sum int64) {
	for i, n := range r.units {
		if n > 0 {
			sum += s.amount(i, n) + s.onTop(i, n)
		}
	}
	return sum + r.shipping
}

// back is the refund of the sale's life, nil when there is none.
func (s *sale) back() *refund {
	r := &refund{units: make([]int64, len(s.lines)), restock: event.Restock_RESTOCK_RETURN}
	whole := func() {
		for i, l := range s.lines {
			r.units[i] = l.units
		}
		r.shipping = s.delivery
	}
	switch s.life {
	case returned, kept:
		l := s.lines[0]
		// A part of a line only where it divides: how a cent is rounded is each platform's own.
		if r.units[0] = l.units; l.off+l.share == 0 && !s.included {
			r.units[0] = max(1, l.units/2)
		}
		if s.life == kept {
			r.restock = event.Restock_RESTOCK_NONE
		} else if s.n%2 == 0 {
			r.shipping = s.delivery
		}
	case shortened:
		r.units[0], r.restock = s.lines[0].units, event.Restock_RESTOCK_CANCEL
	case void:
		whole()
		r.restock = event.Restock_RESTOCK_CANCEL
	case allBack:
		whole()
	case freightOff:
		r.shipping = s.delivery
	default:
		return nil
	}
	return r
}

// first are the units of the first parcel.
func (s *sale) first() []int64 {
	units := make([]int64, len(s.lines))
	for i, l := range s.lines {
		if i%2 == 0 {
			units[i] = (l.units + 1) / 2
		}
	}
	return units
}

// Stages of the script: everything of one stage happens within one second of the shops' clocks.
const (
	placing = iota
	paying
	parcel // the first one, or a refund before anything has left
	rest
	ending // cancellations, and refunds of what has left
	stages
)

var begin = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

func at(stage int) time.Time { return begin.Add(time.Duration(stage) * 6 * time.Hour) }

func (s *sale) cash(minor int64) *event.Money {
	return &event.Money{Minor: minor, Currency: s.currency}
}

// want is what the canonical order says in the end, in its normal form.
func (s *sale) want() *event.Order {
	o := &event.Order{
		CreatedMs: at(placing).UnixMilli(), Currency: s.currency, TaxesIncluded: s.included,
		Status: event.OrderStatus_ORDER_STATUS_OPEN, PaymentStatus: event.PaymentStatus_PAYMENT_STATUS_PAID,
		FulfilmentStatus: event.FulfilmentStatus_FULFILMENT_STATUS_UNFULFILLED,
		ShippingLines:    []*event.ShippingLine{{Price: s.cash(s.delivery)}},
		Destination:      &event.Destination{Country: s.shipping.country, Region: s.shipping.code, PostcodePrefix: map[string]string{"US": "SW1", "DE": "506"}[s.shipping.country]},
		Personal: &event.PersonalData{Name: s.shipping.name(), Email: s.email, Phone: s.shipping.phone,
			Shipping: s.shipping.canonical(), Billing: s.billing.canonical()},
	}
	var subtotal, discounts, byHand, tax int64
	for i, l := range s.lines {
		line := &event.OrderLine{Id: fmt.Sprint(i + 1), PlatformSku: l.sku, Quantity: l.units, Total: s.cash(s.gross(i)), Stocked: true,
			Resolution: &event.Resolution{Sku: l.sku, Multiplier: 1}}
		if off := l.off + l.share; off > 0 {
			line.Discount = s.cash(off)
		}
		if s.rate != "" {
			line.Taxes = []*event.Tax{{RatePpm: s.ppm(), Amount: s.cash(s.tax(i))}}
		}
		subtotal, discounts, byHand, tax = subtotal+s.gross(i), discounts+l.off+l.share, byHand+l.off, tax+s.tax(i)
		o.Lines = append(o.Lines, line)
	}
	if byHand > 0 {
		o.Discounts = append(o.Discounts, &event.Discount{Amount: s.cash(byHand)})
	}
	if s.discount > 0 {
		o.Discounts = append(o.Discounts, &event.Discount{Code: s.code, Amount: s.cash(s.discount)})
	}
	if s.rate != "" {
		o.Taxes = []*event.Tax{{RatePpm: s.ppm(), Amount: s.cash(tax)}}
	}
	total := subtotal - discounts + s.delivery
	if !s.included {
		total += tax
	}
	o.Subtotal, o.TotalDiscounts, o.TotalShipping, o.TotalTax, o.Total = s.cash(subtotal), s.cash(discounts), s.cash(s.delivery), s.cash(tax), s.cash(total)
	s.ending(o)
	return o
}

// ending is what the sale's life makes of the order.
func (s *sale) ending(o *event.Order) {
	ship := func() {
		for i, l := range s.lines {
			o.Lines[i].Fulfilled = l.units
		}
		o.FulfilmentStatus, o.Status = event.FulfilmentStatus_FULFILMENT_STATUS_FULFILLED, event.OrderStatus_ORDER_STATUS_CLOSED
	}
	when := at(ending)
	switch s.life {
	case shipped, inTwo, returned, kept, freightOff, allBack:
		ship()
	case partly:
		for i, n := range s.first() {
			o.Lines[i].Fulfilled = n
		}
		o.FulfilmentStatus = event.FulfilmentStatus_FULFILMENT_STATUS_PARTIAL
	case shortened:
		ship()
		o.Lines[0].Fulfilled = 0
		when = at(parcel)
	case cancelled:
		for i, l := range s.lines {
			o.Lines[i].Removed = l.units
		}
		o.Status, o.CancelledMs = event.OrderStatus_ORDER_STATUS_CANCELLED, when.UnixMilli()
		o.PaymentStatus, o.FulfilmentStatus = event.PaymentStatus_PAYMENT_STATUS_VOIDED, event.FulfilmentStatus_FULFILMENT_STATUS_RESTOCKED
	case void:
		o.Status, o.CancelledMs = event.OrderStatus_ORDER_STATUS_CANCELLED, when.UnixMilli()
		o.FulfilmentStatus = event.FulfilmentStatus_FULFILMENT_STATUS_RESTOCKED
	case waiting:
		o.PaymentStatus = event.PaymentStatus_PAYMENT_STATUS_PENDING
	}
	b := s.back()
	if b == nil {
		return
	}
	r := &event.Refund{CreatedMs: when.UnixMilli(), Total: s.cash(s.total(b))}
	if b.shipping > 0 {
		r.Shipping = s.cash(b.shipping)
	}
	for i, n := range b.units {
		if n > 0 {
			r.Lines = append(r.Lines, &event.RefundLine{OrderLineId: fmt.Sprint(i + 1), Quantity: n, Amount: s.cash(s.amount(i, n)), Restock: b.restock})
		}
	}
	o.Refunds = []*event.Refund{r}
	if o.PaymentStatus = event.PaymentStatus_PAYMENT_STATUS_PARTIALLY_REFUNDED; r.Total.Minor >= o.Total.Minor {
		o.PaymentStatus = event.PaymentStatus_PAYMENT_STATUS_REFUNDED
	}
}

func (a address) canonical() *event.PostalAddress {
	p := &event.PostalAddress{Name: a.name(), Company: a.company, City: a.city, Region: a.code, Postcode: a.zip, Country: a.country, Phone: a.phone}
	for _, l := range []string{a.line1, a.line2} {
		if l != "" {
			p.Street = append(p.Street, l)
		}
	}
	return p
}

// text is an amount as people type it.
func (s *sale) text(minor int64) string {
	text, err := money.Format("", s.cash(minor))
	if err != nil {
		panic(err)
	}
	return text
}
