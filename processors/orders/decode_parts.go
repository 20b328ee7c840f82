package orders

import (
	"github.com/helloword/crossdock/schemas/event"
)

// The parts of an order that are there once each: into is the field, room where it is put.

func (c *cursor) money(into **event.Money, room *event.Money) {
	c.once(*into != nil)
	*into = room
	outer := c.enter()
	for c.more() {
		switch c.number() {
		case 1<<3 | varintType:
			room.Minor = int64(c.number())
		case 2<<3 | bytesType:
			room.Currency = c.text()
		default:
			c.fail()
		}
	}
	c.leave(outer)
}

func (c *cursor) decimal(into **event.Decimal, room *event.Decimal) {
	c.once(*into != nil)
	*into = room
	outer := c.enter()
	for c.more() {
		switch c.number() {
		case 1<<3 | varintType:
			room.Unscaled = int64(c.number())
		case 2<<3 | varintType:
			room.Scale = int32(c.number())
		default:
			c.fail()
		}
	}
	c.leave(outer)
}

func (c *cursor) resolution(into **event.Resolution, room *event.Resolution) {
	c.once(*into != nil)
	*into = room
	outer := c.enter()
	for c.more() {
		switch c.number() {
		case 1<<3 | bytesType:
			room.Sku = c.text()
		case 2<<3 | varintType:
			room.Multiplier = int64(c.number())
		case 3<<3 | varintType:
			room.MappingVersion = int64(c.number())
		case 4<<3 | varintType:
			room.Rule = event.MatchRule(c.number())
		default:
			c.fail()
		}
	}
	c.leave(outer)
}

func (c *cursor) version(into **event.Version, room *event.Version) {
	c.once(*into != nil)
	*into = room
	outer := c.enter()
	for c.more() {
		switch c.number() {
		case 1<<3 | varintType:
			room.Epoch = int64(c.number())
		case 2<<3 | varintType:
			room.Number = int64(c.number())
		default:
			c.fail()
		}
	}
	c.leave(outer)
}

func (c *cursor) destination(into **event.Destination, room *event.Destination) {
	c.once(*into != nil)
	*into = room
	outer := c.enter()
	for c.more() {
		switch c.number() {
		case 1<<3 | bytesType:
			room.Country = c.text()
		case 2<<3 | bytesType:
			room.Region = c.text()
		case 3<<3 | bytesType:
			room.PostcodePrefix = c.text()
		default:
			c.fail()
		}
	}
	c.leave(outer)
}

func (c *cursor) origin(into **event.Origin, room *event.Origin) {
	c.once(*into != nil)
	*into = room
	outer := c.enter()
	for c.more() {
		switch c.number() {
		case 1<<3 | bytesType:
			room.Connector = c.text()
		case 2<<3 | bytesType:
			room.Account = c.text()
		case 3<<3 | bytesType:
			room.Topic = c.text()
		case 4<<3 | varintType:
			room.Partition = int32(c.number())
		case 5<<3 | varintType:
			room.Offset = int64(c.number())
		case 6<<3 | varintType:
			room.Path = event.Path(c.number())
		case 7<<3 | varintType:
			room.SourceTimeMs = int64(c.number())
		case 8<<3 | varintType:
			room.ReceivedMs = int64(c.number())
		default:
			c.fail()
		}
	}
	c.leave(outer)
}

func (c *cursor) personal() *event.PersonalData {
	outer := c.enter()
	d := new(decodedPersonal)
	p := &d.personal
	var shipping string
	for c.more() {
		switch c.number() {
		case 1<<3 | bytesType:
			p.Name = c.text()
		case 2<<3 | bytesType:
			p.Email = c.text()
		case 3<<3 | bytesType:
			p.Phone = c.text()
		case 4<<3 | bytesType:
			c.once(p.Shipping != nil)
			p.Shipping = &d.shipping.address
			shipping = c.address(&d.shipping)
		case 5<<3 | bytesType:
			c.once(p.Billing != nil)
			if at := c.at; p.Shipping != nil && c.text() == shipping {
				p.Billing = p.Shipping
			} else {
				c.at = at
				b := new(decodedAddress)
				p.Billing = &b.address
				c.address(b)
			}
		case 6<<3 | bytesType:
			p.PurchaseOrder = c.text()
		default:
			c.fail()
		}
	}
	c.leave(outer)
	return p
}

// address returns what it read, encoded.
func (c *cursor) address(room *decodedAddress) string {
	a := &room.address
	outer := c.enter()
	from := c.at
	for c.more() {
		switch c.number() {
		case 1<<3 | bytesType:
			a.Name = c.text()
		case 2<<3 | bytesType:
			a.Company = c.text()
		case 3<<3 | bytesType:
			if a.Street == nil {
				a.Street = room.street[:0]
			}
			a.Street = append(a.Street, c.text())
		case 4<<3 | bytesType:
			a.City = c.text()
		case 5<<3 | bytesType:
			a.Region = c.text()
		case 6<<3 | bytesType:
			a.Postcode = c.text()
		case 7<<3 | bytesType:
			a.Country = c.text()
		case 8<<3 | bytesType:
			a.Phone = c.text()
		default:
			c.fail()
		}
	}
	c.leave(outer)
	return c.s[from:c.at]
}
