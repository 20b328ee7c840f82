package amazon

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
)

// orderParts is what has to wait for the whole order, because members come in any order.
type orderParts struct {
	status, fulfilledBy, market string
	reference, purchaseOrder    string
	grand, tip                  int64
	hasGrand                    bool
	address                     *event.PostalAddress
	buyer, email                string
	shippedMs                   int64 // the last parcel's handover
	promotions                  []string
}

// order reads an order as Orders 2026-01-01 tells it.
func (t *translation) order() *event.Order {
	r := t.r
	if !r.Object() {
		r.Unexpected("an order")
		return nil
	}
	o := &event.Order{Connector: provider, Account: t.account}
	var p orderParts
	var seen jsonread.Members
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "orderId":
			r.Once(&seen, 0)
			o.Id = r.Text()
		case "createdTime":
			r.Once(&seen, 1)
			o.CreatedMs = r.Instant()
		case "lastUpdatedTime":
			r.Once(&seen, 2)
			o.UpdatedMs = r.Instant()
		case "orderAliases":
			r.Once(&seen, 3)
			t.each(func() { t.alias(&p) })
		case "salesChannel":
			r.Once(&seen, 4)
			p.market = member(r, "marketplaceId")
		case "buyer":
			r.Once(&seen, 5)
			t.buyer(&p)
		case "recipient":
			r.Once(&seen, 6)
			t.recipient(&p)
		case "proceeds":
			r.Once(&seen, 7)
			t.proceeds(&p)
		case "fulfillment":
			r.Once(&seen, 8)
			t.fulfilment(&p)
		case "orderItems":
			r.Once(&seen, 9)
			t.each(func() {
				if l := t.item(o, &p); l != nil {
					o.Lines = append(o.Lines, l)
				}
			})
		case "packages":
			r.Once(&seen, 10)
			t.each(func() { t.parcel(&p) })
		default:
			r.Skip()
		}
	}
	if r.Err() != nil {
		return nil
	}
	if o.Id == "" || len(o.Id) > maxID || o.UpdatedMs == 0 || o.CreatedMs == 0 {
		r.Fail("an order needs orderId, createdTime and lastUpdatedTime")
		return nil
	}
	if o.Currency = t.currency; o.Currency == "" {
		// An order that waits for its payment names no amount yet.
		m, _ := marketplaceByID(p.market)
		o.Currency, t.currency = m.currency, m.currency
	}
	o.Name = o.Id
	o.Reference = p.reference
	t.statuses(o, &p)
	t.totals(o, &p)
	t.persons(o, &p)
	bound(o, &p)
	if r.Err() != nil {
		return nil
	}
	return o
}

func (t *translation) alias(p *orderParts) {
	r := t.r
	var seen jsonread.Members
	var id, kind string
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "aliasId":
			r.Once(&seen, 0)
			id = r.Text()
		case "aliasType":
			r.Once(&seen, 1)
			kind = r.Text()
		default:
			r.Skip()
		}
	}
	if kind == "SELLER_ORDER_ID" {
		p.reference = id
	}
}

func (t *translation) buyer(p *orderParts) {
	r := t.r
	var seen jsonread.Members
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "buyerName":
			r.Once(&seen, 0)
			p.buyer = r.Text()
		case "buyerEmail":
			r.Once(&seen, 1)
			p.email = r.Text()
		case "buyerPurchaseOrderNumber":
			r.Once(&seen, 2)
			p.purchaseOrder = r.Text()
		default:
			r.Skip()
		}
	}
}

func (t *translation) recipient(p *orderParts) {
	r := t.r
	var seen jsonread.Members
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		if key == "deliveryAddress" {
			r.Once(&seen, 0)
			p.address = t.address()
		} else {
			r.Skip()
		}
	}
}

// address reads a CustomerAddress; nil when nothing is in it.
func (t *translation) address() *event.PostalAddress {
	r := t.r
	var seen jsonread.Members
	if !r.Object() {
		return nil
	}
	a := &event.PostalAddress{}
	var lines [3]string
	var county, municipality string
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "name":
			r.Once(&seen, 0)
			a.Name = r.Text()
		case "companyName":
			r.Once(&seen, 1)
			a.Company = r.Text()
		case "addressLine1":
			r.Once(&seen, 2)
			lines[0] = r.Text()
		case "addressLine2":
			r.Once(&seen, 3)
			lines[1] = r.Text()
		case "addressLine3":
			r.Once(&seen, 4)
			lines[2] = r.Text()
		case "city":
			r.Once(&seen, 5)
			a.City = r.Text()
		case "districtOrCounty":
			r.Once(&seen, 6)
			county = r.Text()
		case "municipality":
			r.Once(&seen, 7)
			municipality = r.Text()
		case "stateOrRegion":
			r.Once(&seen, 8)
			a.Region = r.Text()
		case "postalCode":
			r.Once(&seen, 9)
			a.Postcode = r.Text()
		case "countryCode":
			r.Once(&seen, 10)
			a.Country = strings.ToUpper(r.Text())
		case "phone":
			r.Once(&seen, 11)
			a.Phone = r.Text()
		default:
			r.Skip()
		}
	}
	for _, l := range lines {
		if l != "" {
			a.Street = append(a.Street, l)
		}
	}
	if a.City == "" {
		a.City = municipality
	}
	if a.Region == "" {
		a.Region = county
	}
	if a.Name == "" && a.Company == "" && len(a.Street) == 0 && a.City == "" && a.Region == "" && a.Postcode == "" && a.Country == "" && a.Phone == "" {
		return nil
	}
	return a
}

func (t *translation) fulfilment(p *orderParts) {
	r := t.r
	var seen jsonread.Members
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "fulfillmentStatus":
			r.Once(&seen, 0)
			p.status = r.Text()
		case "fulfilledBy":
			r.Once(&seen, 1)
			p.fulfilledBy = r.Text()
		default:
			r.Skip()
		}
	}
}

// byAmazon is the value of fulfilledBy for goods that lie in Amazon's own warehouses.
const byAmazon = "AMAZON"

// status is one row of the table of statuses.
type status struct {
	order   event.OrderStatus
	payment event.PaymentStatus
}

// statusOf maps fulfillmentStatus. Amazon authorises the payment before an order may be
// shipped, and takes the money when it is. A value that is not known is an order that stands:
// what is sold must be reserved, whatever else is new about it.
func statusOf(text string) status {
	const (
		open      = event.OrderStatus_ORDER_STATUS_OPEN
		hold      = event.OrderStatus_ORDER_STATUS_ON_HOLD
		closed    = event.OrderStatus_ORDER_STATUS_CLOSED
		cancelled = event.OrderStatus_ORDER_STATUS_CANCELLED
	)
	switch text {
	case "PENDING_AVAILABILITY", "PENDING":
		return status{hold, event.PaymentStatus_PAYMENT_STATUS_PENDING}
	case "UNSHIPPED":
		return status{open, event.PaymentStatus_PAYMENT_STATUS_AUTHORISED}
	case "PARTIALLY_SHIPPED":
		return status{open, event.PaymentStatus_PAYMENT_STATUS_PARTIALLY_PAID}
	case "SHIPPED":
		return status{closed, event.PaymentStatus_PAYMENT_STATUS_PAID}
	case "CANCELLED":
		return status{cancelled, event.PaymentStatus_PAYMENT_STATUS_VOIDED}
	case "UNFULFILLABLE":
		return status{hold, event.PaymentStatus_PAYMENT_STATUS_AUTHORISED}
	}
	return status{open, event.PaymentStatus_PAYMENT_STATUS_UNSPECIFIED}
}

// statuses says what state the order and its lines are in.
func (t *translation) statuses(o *event.Order, p *orderParts) {
	s := statusOf(p.status)
	o.Status, o.PaymentStatus = s.order, s.payment
	cancelled := o.Status == event.OrderStatus_ORDER_STATUS_CANCELLED
	if cancelled {
		o.CancelledMs = o.UpdatedMs // Amazon tells no time of its own for it
	} else {
		o.CancelReason = ""
	}
	var shipped, left, gone int64
	for i, l := range o.Lines {
		m := &t.items[i]
		// What lies in Amazon's warehouse is not ours to reserve.
		l.Stocked = p.fulfilledBy != byAmazon && !slices.Contains(t.services, l.PlatformSku)
		switch {
		case cancelled:
			l.Removed = max(0, l.Quantity-l.Fulfilled)
		case m.executed && m.hasOpen:
			l.Removed = max(0, l.Quantity-l.Fulfilled-m.open)
		}
		shipped += l.Fulfilled
		gone += l.Removed
		left += max(0, l.Quantity-l.Fulfilled-l.Removed)
	}
	switch {
	case shipped > 0 && left == 0:
		o.FulfilmentStatus = event.FulfilmentStatus_FULFILMENT_STATUS_FULFILLED
	case shipped > 0:
		o.FulfilmentStatus = event.FulfilmentStatus_FULFILMENT_STATUS_PARTIAL
	case left == 0 && gone > 0:
		o.FulfilmentStatus = event.FulfilmentStatus_FULFILMENT_STATUS_RESTOCKED
	default:
		o.FulfilmentStatus = event.FulfilmentStatus_FULFILMENT_STATUS_UNFULFILLED
	}
}

// persons is what is personal, and what is left of it for everybody.
func (t *translation) persons(o *event.Order, p *orderParts) {
	if a := p.address; a != nil {
		o.Destination = &event.Destination{Country: a.Country, Region: a.Region, PostcodePrefix: connectors.PostcodePrefix(a.Postcode)}
	}
	if p.email != "" {
		// Amazon tells no id of the buyer. The address that it makes up for each buyer is one, but
		// it can be written to: its digest cannot.
		sum := sha256.Sum256([]byte(p.email))
		o.BuyerId = hex.EncodeToString(sum[:12])
	}
	personal := &event.PersonalData{Name: p.address.GetName(), Email: p.email, Phone: p.address.GetPhone(), Shipping: p.address, PurchaseOrder: p.purchaseOrder}
	if personal.Name == "" {
		personal.Name = p.buyer
	}
	if personal.Name != "" || personal.Email != "" || personal.Phone != "" || personal.PurchaseOrder != "" || personal.Shipping != nil {
		o.Personal = personal
	}
}
