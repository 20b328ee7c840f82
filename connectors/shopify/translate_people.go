package shopify

import (
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
)

// Buyers, and where goods go.

func (r *reader) customer() (id, first, last string) {
	if !r.Object() {
		return "", "", ""
	}
	var seen jsonread.Members
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "id":
			r.Once(&seen, 0)
			id = r.ID()
		case "first_name", "firstName":
			r.Once(&seen, 1)
			first = r.Text()
		case "last_name", "lastName":
			r.Once(&seen, 2)
			last = r.Text()
		default:
			r.Skip()
		}
	}
	return id, first, last
}

// address reads an address; nil when there is none. Most orders go to where the bill goes:
// the second address is then the first, letter for letter, and not read again.
func (t *translation) address() *event.PostalAddress {
	r := t.r
	if t.place != nil && r.Same(t.placeText) {
		return t.samePlace()
	}
	r.Peek()
	from := r.Offset()
	a := t.readAddress()
	if a != nil && r.Err() == nil {
		t.place, t.placeText = a, r.Source()[from:r.Offset()]
	}
	return a
}

// samePlace is the place before as a message of its own.
func (t *translation) samePlace() *event.PostalAddress {
	block := t.places.take()
	a := &block.address
	a.Name, a.Company, a.Phone = t.place.Name, t.place.Company, t.place.Phone
	a.City, a.Region, a.Postcode, a.Country = t.place.City, t.place.Region, t.place.Postcode, t.place.Country
	if len(t.place.Street) > 0 {
		a.Street = append(block.street[:0], t.place.Street...)
	}
	return a
}

func (t *translation) readAddress() *event.PostalAddress {
	r := t.r
	if !r.Object() {
		return nil
	}
	block := t.places.take()
	a := &block.address
	var seen jsonread.Members
	var line1, line2, province string
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "name":
			r.Once(&seen, 0)
			a.Name = t.str()
		case "company":
			r.Once(&seen, 1)
			a.Company = t.str()
		case "address1":
			r.Once(&seen, 2)
			line1 = r.Text()
		case "address2":
			r.Once(&seen, 3)
			line2 = r.Text()
		case "city":
			r.Once(&seen, 4)
			a.City = t.str()
		case "province":
			r.Once(&seen, 5)
			province = r.Text()
		case "province_code", "provinceCode":
			r.Once(&seen, 6)
			a.Region = t.str()
		case "zip":
			r.Once(&seen, 7)
			a.Postcode = t.str()
		case "country_code", "countryCodeV2":
			r.Once(&seen, 8)
			a.Country = t.keep(strings.ToUpper(r.Text()))
		case "phone":
			r.Once(&seen, 9)
			a.Phone = t.str()
		default:
			r.Skip()
		}
	}
	if a.Region == "" {
		a.Region = t.keep(province)
	}
	for _, s := range [...]string{line1, line2} {
		if s != "" {
			if a.Street == nil {
				a.Street = block.street[:0]
			}
			a.Street = append(a.Street, t.keep(s))
		}
	}
	return a
}

// destination is what of the address is not personal.
func destination(d *event.Destination, shipping, billing *event.PostalAddress) *event.Destination {
	a := shipping
	if a == nil {
		a = billing
	}
	if a == nil {
		return nil
	}
	d.Country, d.Region, d.PostcodePrefix = a.Country, a.Region, connectors.PostcodePrefix(a.Postcode)
	return d
}

// personal completes what is personal, of which email and phone are there; nil when there
// is nothing.
func (t *translation) personal(p *event.PersonalData, first, last string, shipping, billing *event.PostalAddress) *event.PersonalData {
	p.Shipping, p.Billing = shipping, billing
	if p.Name = shipping.GetName(); p.Name == "" {
		p.Name = billing.GetName()
	}
	if p.Name == "" {
		p.Name = t.keep(strings.TrimSpace(first + " " + last))
	}
	if p.Phone == "" {
		p.Phone = shipping.GetPhone()
	}
	if p.Name == "" && p.Email == "" && p.Phone == "" && shipping == nil && billing == nil {
		return nil
	}
	return p
}
