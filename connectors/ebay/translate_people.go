package ebay

import (
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
)

func (t *translation) buyer(d *orderDoc) {
	r := &t.r
	var seen jsonread.Members
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "username":
			r.Once(&seen, 0)
			d.BuyerId = r.Text()
		case "buyerRegistrationAddress":
			r.Once(&seen, 1)
			d.billing, d.billEmail, d.billPhone = t.contact()
		default:
			r.Skip()
		}
	}
}

// instruction reads where one parcel goes. Orders have one of them.
func (t *translation) instruction(d *orderDoc) {
	r := &t.r
	var seen jsonread.Members
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "fulfillmentInstructionsType":
			r.Once(&seen, 0)
			switch r.Text() {
			case "DIGITAL":
				d.digital = true
			case "FULFILLED_BY_EBAY":
				d.byEbay = true
			}
		case "shippingStep":
			r.Once(&seen, 1)
			t.shippingStep(d)
		default:
			r.Skip()
		}
	}
}

func (t *translation) shippingStep(d *orderDoc) {
	r := &t.r
	var seen jsonread.Members
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "shippingServiceCode":
			r.Once(&seen, 0)
			d.shipCode = r.Text()
		case "shipTo":
			r.Once(&seen, 1)
			// Where the parcel goes: with eBay's international programmes that is a hub.
			if a, email, phone := t.contact(); a != nil {
				d.shipTo, d.email, d.phone = a, email, phone
			}
		default:
			r.Skip()
		}
	}
}

// contact reads ExtendedContact; nil for null.
func (t *translation) contact() (a *event.PostalAddress, email, phone string) {
	r := &t.r
	var seen jsonread.Members
	if !r.Object() {
		return nil, "", ""
	}
	a = &event.PostalAddress{}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "fullName":
			r.Once(&seen, 0)
			a.Name = r.Text()
		case "companyName":
			r.Once(&seen, 1)
			a.Company = r.Text()
		case "email":
			r.Once(&seen, 2)
			email = r.Text()
		case "primaryPhone":
			r.Once(&seen, 3)
			if !r.Object() {
				continue
			}
			for key, ok := r.Next(); ok; key, ok = r.Next() {
				if key == "phoneNumber" {
					phone = r.Text()
				} else {
					r.Skip()
				}
			}
		case "contactAddress":
			r.Once(&seen, 4)
			t.address(a)
		default:
			r.Skip()
		}
	}
	a.Phone = phone
	return a, email, phone
}

func (t *translation) address(a *event.PostalAddress) {
	r := &t.r
	var seen jsonread.Members
	var first, second string
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "addressLine1":
			r.Once(&seen, 0)
			first = r.Text()
		case "addressLine2":
			r.Once(&seen, 1)
			second = r.Text()
		case "city":
			r.Once(&seen, 2)
			a.City = r.Text()
		case "stateOrProvince":
			r.Once(&seen, 3)
			a.Region = r.Text()
		case "postalCode":
			r.Once(&seen, 4)
			a.Postcode = r.Text()
		case "countryCode":
			r.Once(&seen, 5)
			a.Country = strings.ToUpper(r.Text())
		default:
			r.Skip()
		}
	}
	for _, s := range [...]string{first, second} {
		if s != "" {
			a.Street = append(a.Street, s)
		}
	}
}

// people fills what is personal, and what of the address is not.
func (t *translation) people(d *orderDoc) {
	at := d.shipTo
	if at == nil {
		at = d.billing
	}
	if at != nil {
		d.Destination = &event.Destination{Country: at.Country, Region: at.Region, PostcodePrefix: connectors.PostcodePrefix(at.Postcode)}
	}
	p := &event.PersonalData{Shipping: d.shipTo, Billing: d.billing, Email: d.email, Phone: d.phone}
	if p.Name = d.shipTo.GetName(); p.Name == "" {
		p.Name = d.billing.GetName()
	}
	if p.Email == "" {
		p.Email = d.billEmail
	}
	if p.Phone == "" {
		p.Phone = d.billPhone
	}
	if p.Name != "" || p.Email != "" || p.Phone != "" || at != nil {
		d.Personal = p
	}
}
