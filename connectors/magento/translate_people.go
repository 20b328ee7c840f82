package magento

// Who buys and where it goes: the only part of an order that names a person, apart from the
// rest as the fact has it.

import (
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
)

func (t *translation) address() *event.PostalAddress {
	r := &t.r
	if !r.Object() {
		return nil
	}
	a := &event.PostalAddress{}
	var seen jsonread.Members
	var names [5]string
	var region string
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "prefix":
			names[0] = r.Text()
		case "firstname":
			names[1] = r.Text()
		case "middlename":
			names[2] = r.Text()
		case "lastname":
			names[3] = r.Text()
		case "suffix":
			names[4] = r.Text()
		case "company":
			a.Company = r.Text()
		case "street":
			r.Once(&seen, 0)
			for ok := r.Array(); ok && r.More(); {
				if line := r.Text(); line != "" {
					a.Street = append(a.Street, line)
				}
			}
		case "city":
			a.City = r.Text()
		case "region":
			region = r.Text()
		case "region_code":
			// As other shops tell it: a code where there is one.
			a.Region = r.Text()
		case "postcode":
			a.Postcode = r.Text()
		case "country_id":
			a.Country = strings.ToUpper(r.Text())
		case "telephone":
			a.Phone = r.Text()
		default:
			r.Skip()
		}
	}
	if a.Region == "" {
		a.Region = region
	}
	a.Name = joined(names[:]...)
	return a
}

// joined puts the parts of a name that are there together.
func joined(parts ...string) string {
	n, only := 0, ""
	for _, p := range parts {
		if p != "" {
			n++
			only = p
		}
	}
	if n < 2 {
		return only
	}
	b := make([]byte, 0, 48)
	for _, p := range parts {
		if p == "" {
			continue
		}
		if len(b) > 0 {
			b = append(b, ' ')
		}
		b = append(b, p...)
	}
	return string(b)
}

// people sets who bought and where it goes.
func (t *translation) people(o *event.Order, h *orderHead) {
	p := o.Personal
	p.Shipping, p.Billing = h.shipTo, h.billTo
	if p.Name = h.shipTo.GetName(); p.Name == "" {
		p.Name = h.billTo.GetName()
	}
	if p.Name == "" {
		p.Name = joined(h.first, h.last)
	}
	if p.Phone = h.shipTo.GetPhone(); p.Phone == "" {
		p.Phone = h.billTo.GetPhone()
	}
	if p.Name == "" && p.Email == "" && p.Phone == "" && p.Shipping == nil && p.Billing == nil {
		o.Personal = nil
	}
	to := h.shipTo
	if to == nil {
		to = h.billTo
	}
	if to != nil {
		o.Destination = &event.Destination{Country: to.Country, Region: to.Region, PostcodePrefix: connectors.PostcodePrefix(to.Postcode)}
	}
}
