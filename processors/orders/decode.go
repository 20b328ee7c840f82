package orders

import (
	"github.com/helloword/crossdock/schemas/event"
)

// An order is a hundred small fields, and in the generated code each text and each message of
// it is an allocation of its own. Here all texts of a snapshot are parts of one, and what an
// order of the usual shape consists of lies in few structures.
//
// decode knows the encoding of today's snapshots. What it does not know, or finds twice, or
// broken, it leaves to the generated code, whose word counts: so both say the same.

// decoded is a snapshot with its parts, allocated at once; it lives as long as the order does.
type decoded struct {
	order       event.Order
	version     event.Version
	destination event.Destination
	origin      event.Origin
	// Subtotal, discounts, shipping, tax and total.
	subtotal, discounts, shipping, totalTax, total event.Money

	lines [2]*event.OrderLine
	tax   decodedTax
}

// decodedTax is the first tax of a list, and the list.
type decodedTax struct {
	tax    event.Tax
	amount event.Money
	list   [1]*event.Tax
}

type decodedLine struct {
	line       event.OrderLine
	unitPrice  event.Decimal
	total      event.Money
	resolution event.Resolution
	tax        decodedTax
}

type decodedShipping struct {
	line  event.ShippingLine
	price event.Money
	list  [1]*event.ShippingLine
	tax   decodedTax
}

// decodedPersonal has one address: most orders are billed where they are shipped to.
type decodedPersonal struct {
	personal event.PersonalData
	shipping decodedAddress
}

type decodedAddress struct {
	address event.PostalAddress
	street  [2]string
}

// decode reads the encoding of an OrderInput that is a snapshot, nil if it is not one that it
// knows. Nothing of what it returns is part of value. The event id is passed over: here nobody
// asks for it.
func decode(value []byte) *decoded {
	c := cursor{s: string(value), end: len(value)}
	var d *decoded
	for c.more() {
		switch c.number() {
		case 1<<3 | bytesType:
			if d != nil {
				return nil
			}
			d = new(decoded)
			outer := c.enter()
			d.read(&c)
			c.leave(outer)
		case 15<<3 | bytesType:
			c.text()
		default:
			return nil
		}
	}
	if c.bad {
		return nil
	}
	return d
}

func (d *decoded) read(c *cursor) {
	o := &d.order
	for c.more() {
		switch c.number() {
		case 1<<3 | bytesType:
			o.Connector = c.text()
		case 2<<3 | bytesType:
			o.Account = c.text()
		case 3<<3 | bytesType:
			o.Id = c.text()
		case 4<<3 | bytesType:
			o.Name = c.text()
		case 5<<3 | varintType:
			o.UpdatedMs = int64(c.number())
		case 6<<3 | varintType:
			o.CreatedMs = int64(c.number())
		case 7<<3 | varintType:
			o.CancelledMs = int64(c.number())
		case 8<<3 | varintType:
			o.Status = event.OrderStatus(c.number())
		case 9<<3 | varintType:
			o.PaymentStatus = event.PaymentStatus(c.number())
		case 10<<3 | varintType:
			o.FulfilmentStatus = event.FulfilmentStatus(c.number())
		case 11<<3 | bytesType:
			o.Currency = c.text()
		case 12<<3 | bytesType:
			c.money(&o.PresentmentTotal, new(event.Money))
		case 13<<3 | bytesType:
			if o.Lines == nil {
				o.Lines = d.lines[:0]
			}
			o.Lines = append(o.Lines, c.line())
		case 14<<3 | bytesType:
			o.ShippingLines = c.shipping(o.ShippingLines)
		case 15<<3 | bytesType:
			o.Discounts = append(o.Discounts, c.discount())
		case 16<<3 | bytesType:
			o.Taxes = c.tax(o.Taxes, &d.tax)
		case 17<<3 | varintType:
			o.TaxesIncluded = c.number() != 0
		case 18<<3 | bytesType:
			c.money(&o.Subtotal, &d.subtotal)
		case 19<<3 | bytesType:
			c.money(&o.TotalDiscounts, &d.discounts)
		case 20<<3 | bytesType:
			c.money(&o.TotalShipping, &d.shipping)
		case 21<<3 | bytesType:
			c.money(&o.TotalTax, &d.totalTax)
		case 22<<3 | bytesType:
			c.money(&o.Total, &d.total)
		case 23<<3 | bytesType:
			o.BuyerId = c.text()
		case 24<<3 | bytesType:
			c.destination(&o.Destination, &d.destination)
		case 25<<3 | bytesType:
			c.once(o.Personal != nil)
			o.Personal = c.personal()
		case 26<<3 | bytesType:
			o.Refunds = append(o.Refunds, c.refund())
		case 27<<3 | bytesType:
			o.CancelReason = c.text()
		case 28<<3 | varintType:
			o.Test = c.number() != 0
		case 29<<3 | bytesType:
			o.Reference = c.text()
		case 30<<3 | bytesType:
			c.version(&o.Version, &d.version)
		case 31<<3 | varintType:
			o.Parked = c.number() != 0
		case 32<<3 | bytesType:
			c.origin(&o.Origin, &d.origin)
		case 33<<3 | bytesType:
			o.Known = append(o.Known, c.known())
		case 34<<3 | varintType:
			o.ForgottenMs = int64(c.number())
		case 35<<3 | varintType:
			o.PersonalUntilMs = int64(c.number())
		default:
			c.fail()
		}
	}
}

func (c *cursor) line() *event.OrderLine {
	outer := c.enter()
	d := new(decodedLine)
	l := &d.line
	for c.more() {
		switch c.number() {
		case 1<<3 | bytesType:
			l.Id = c.text()
		case 2<<3 | bytesType:
			l.ListingId = c.text()
		case 3<<3 | bytesType:
			l.ProductId = c.text()
		case 4<<3 | bytesType:
			l.PlatformSku = c.text()
		case 5<<3 | bytesType:
			l.Title = c.text()
		case 6<<3 | varintType:
			l.Quantity = int64(c.number())
		case 7<<3 | varintType:
			l.Fulfilled = int64(c.number())
		case 8<<3 | varintType:
			l.Removed = int64(c.number())
		case 9<<3 | bytesType:
			c.decimal(&l.UnitPrice, &d.unitPrice)
		case 10<<3 | bytesType:
			c.money(&l.Total, &d.total)
		case 11<<3 | bytesType:
			c.money(&l.Discount, new(event.Money))
		case 12<<3 | bytesType:
			l.Taxes = c.tax(l.Taxes, &d.tax)
		case 13<<3 | varintType:
			l.Stocked = c.number() != 0
		case 14<<3 | bytesType:
			c.resolution(&l.Resolution, &d.resolution)
		default:
			c.fail()
		}
	}
	c.leave(outer)
	return l
}

func (c *cursor) shipping(list []*event.ShippingLine) []*event.ShippingLine {
	outer := c.enter()
	d := new(decodedShipping)
	l := &d.line
	for c.more() {
		switch c.number() {
		case 1<<3 | bytesType:
			l.Id = c.text()
		case 2<<3 | bytesType:
			l.Code = c.text()
		case 3<<3 | bytesType:
			l.Title = c.text()
		case 4<<3 | bytesType:
			c.money(&l.Price, &d.price)
		case 5<<3 | bytesType:
			c.money(&l.Discount, new(event.Money))
		case 6<<3 | bytesType:
			l.Taxes = c.tax(l.Taxes, &d.tax)
		default:
			c.fail()
		}
	}
	c.leave(outer)
	if list == nil {
		list = d.list[:0]
	}
	return append(list, l)
}

// tax adds one to a list; the first of it is where it has its place.
func (c *cursor) tax(list []*event.Tax, first *decodedTax) []*event.Tax {
	outer := c.enter()
	d := first
	if list == nil {
		list = first.list[:0]
	} else {
		d = new(decodedTax)
	}
	t := &d.tax
	for c.more() {
		switch c.number() {
		case 1<<3 | bytesType:
			t.Title = c.text()
		case 2<<3 | varintType:
			t.RatePpm = int64(c.number())
		case 3<<3 | bytesType:
			c.money(&t.Amount, &d.amount)
		case 4<<3 | varintType:
			t.RemittedByPlatform = c.number() != 0
		default:
			c.fail()
		}
	}
	c.leave(outer)
	return append(list, t)
}

func (c *cursor) discount() *event.Discount {
	outer := c.enter()
	d := new(event.Discount)
	for c.more() {
		switch c.number() {
		case 1<<3 | bytesType:
			d.Code = c.text()
		case 2<<3 | bytesType:
			d.Kind = c.text()
		case 3<<3 | bytesType:
			c.money(&d.Amount, new(event.Money))
		default:
			c.fail()
		}
	}
	c.leave(outer)
	return d
}

func (c *cursor) refund() *event.Refund {
	outer := c.enter()
	r := new(event.Refund)
	for c.more() {
		switch c.number() {
		case 1<<3 | bytesType:
			r.Connector = c.text()
		case 2<<3 | bytesType:
			r.Account = c.text()
		case 3<<3 | bytesType:
			r.OrderId = c.text()
		case 4<<3 | bytesType:
			r.Id = c.text()
		case 5<<3 | varintType:
			r.CreatedMs = int64(c.number())
		case 6<<3 | bytesType:
			r.Lines = append(r.Lines, c.refundLine())
		case 7<<3 | bytesType:
			c.money(&r.Total, new(event.Money))
		case 8<<3 | bytesType:
			c.money(&r.Shipping, new(event.Money))
		case 9<<3 | bytesType:
			r.Note = c.text()
		case 10<<3 | bytesType:
			c.origin(&r.Origin, new(event.Origin))
		default:
			c.fail()
		}
	}
	c.leave(outer)
	return r
}

func (c *cursor) refundLine() *event.RefundLine {
	outer := c.enter()
	l := new(event.RefundLine)
	for c.more() {
		switch c.number() {
		case 1<<3 | bytesType:
			l.OrderLineId = c.text()
		case 2<<3 | varintType:
			l.Quantity = int64(c.number())
		case 3<<3 | bytesType:
			c.money(&l.Amount, new(event.Money))
		case 4<<3 | varintType:
			l.Restock = event.Restock(c.number())
		default:
			c.fail()
		}
	}
	c.leave(outer)
	return l
}

func (c *cursor) known() *event.LineResolved {
	outer := c.enter()
	k := new(event.LineResolved)
	for c.more() {
		switch c.number() {
		case 1<<3 | bytesType:
			k.Account = c.text()
		case 2<<3 | bytesType:
			k.OrderId = c.text()
		case 3<<3 | bytesType:
			k.ListingId = c.text()
		case 4<<3 | bytesType:
			c.resolution(&k.Resolution, new(event.Resolution))
		default:
			c.fail()
		}
	}
	c.leave(outer)
	return k
}
