package woocommerce

// Addresses, and what of them names a person. They have a file of their own because personal
// data goes to one place only.

import (
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
)

// place is an address as orders hold it; it is there even when nothing is in it.
type place struct {
	address *event.PostalAddress
	email   string
	there   bool
}

func (t *translation) place() (p place) {
	var seen jsonread.Members
	var first, last, line1, line2 string
	if !t.Object() {
		return p
	}
	a := &event.PostalAddress{}
	p.address = a
	for key, ok := t.Next(); ok; key, ok = t.Next() {
		switch key {
		case "first_name":
			t.Once(&seen, 0)
			first = t.Text()
		case "last_name":
			t.Once(&seen, 1)
			last = t.Text()
		case "company":
			t.Once(&seen, 2)
			a.Company = t.Text()
		case "address_1":
			t.Once(&seen, 3)
			line1 = t.Text()
		case "address_2":
			t.Once(&seen, 4)
			line2 = t.Text()
		case "city":
			t.Once(&seen, 5)
			a.City = t.Text()
		case "state":
			t.Once(&seen, 6)
			a.Region = t.Text()
		case "postcode":
			t.Once(&seen, 7)
			a.Postcode = t.Text()
		case "country":
			t.Once(&seen, 8)
			a.Country = strings.ToUpper(t.Text())
		case "email":
			t.Once(&seen, 9)
			p.email = t.Text()
		case "phone":
			t.Once(&seen, 10)
			a.Phone = t.Text()
		default:
			t.Skip()
		}
	}
	if a.Name = first; last != "" {
		if a.Name = last; first != "" {
			a.Name = first + " " + last
		}
	}
	for _, s := range [...]string{line1, line2} {
		if s != "" {
			a.Street = append(a.Street, s)
		}
	}
	p.there = a.Name != "" || a.Company != "" || a.City != "" || a.Region != "" || a.Postcode != "" || a.Country != "" || a.Phone != "" || a.Street != nil
	return p
}

// peopleOf keeps what is personal apart from where the order goes to.
func (t *translation) peopleOf(d *draft) {
	o := d.order
	p := &event.PersonalData{Email: d.billing.email}
	to := &d.billing
	if d.billing.there {
		p.Billing = d.billing.address
		p.Name = d.billing.address.Name
	}
	if d.ship.there {
		p.Shipping = d.ship.address
		to = &d.ship
		if d.ship.address.Name != "" {
			p.Name = d.ship.address.Name
		}
		p.Phone = d.ship.address.Phone
	}
	// Whoever brings the parcel calls who gets it, and, without a number, who paid for it.
	if p.Phone == "" {
		p.Phone = d.billing.address.GetPhone()
	}
	if p.Name != "" || p.Email != "" || p.Phone != "" || p.Shipping != nil || p.Billing != nil {
		o.Personal = p
	}
	if to.there {
		o.Destination = &event.Destination{Country: to.address.Country, Region: to.address.Region, PostcodePrefix: connectors.PostcodePrefix(to.address.Postcode)}
	}
}
