package simulator

import (
	"fmt"
	"strings"
	"time"
)

// object is a JSON object.
type object = map[string]any

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// orderJSON is Order; whole tells the requests to cancel, as only getOrder does. With
// breakdown the tax that eBay remits is part of the totals, and taxes name their types.
func (s *Simulator) orderJSON(o *order, whole, breakdown bool) object {
	lines := []object{}
	for _, l := range o.lines {
		lines = append(lines, s.lineJSON(o, l, breakdown))
	}
	hrefs := []string{}
	for _, p := range o.shipments {
		hrefs = append(hrefs, "https://api.ebay.com/sell/fulfillment/v1/order/"+o.id+"/shipping_fulfillment/"+p.id)
	}
	cancel := object{"cancelState": o.cancelState, "cancelRequests": []object{}}
	if !o.cancelled.IsZero() {
		cancel["cancelledDate"] = stamp(o.cancelled)
	}
	if whole {
		cancel["cancelRequests"] = cancelJSON(o)
	}
	tax := o.tax
	if o.spec.Remitted && !breakdown {
		tax = 0
	}
	price := object{"priceSubtotal": s.amount(o.subtotal), "deliveryCost": s.amount(o.freight), "total": s.amount(o.total() - o.tax + tax)}
	if o.discount > 0 {
		price["priceDiscount"] = s.amount(-o.discount)
	}
	if tax > 0 {
		price["tax"] = s.amount(tax)
	}
	out := object{
		"orderId": o.id, "legacyOrderId": o.id, "creationDate": stamp(o.created), "lastModifiedDate": stamp(o.updated),
		"orderFulfillmentStatus": o.fulfilment(), "orderPaymentStatus": o.payment(), "sellerId": s.cfg.Seller,
		"buyer": s.buyerJSON(o), "pricingSummary": price, "cancelStatus": cancel,
		"paymentSummary":               s.paymentJSON(o),
		"fulfillmentStartInstructions": []object{s.instructionJSON(o)},
		"fulfillmentHrefs":             hrefs, "lineItems": lines,
		"salesRecordReference": fmt.Sprint(o.number), "totalFeeBasisAmount": s.amount(o.total()), "totalMarketplaceFee": s.amount(o.total() / 8),
	}
	if o.spec.Note != "" {
		out["buyerCheckoutNotes"] = o.spec.Note
	}
	if o.spec.Remitted {
		out["ebayCollectAndRemitTax"] = true
	}
	return out
}

func cancelJSON(o *order) []object {
	all := []object{}
	for _, c := range o.cancels {
		one := object{"cancelRequestId": c.id, "cancelReason": c.reason, "cancelInitiator": c.by, "cancelRequestState": c.state, "cancelRequestedDate": stamp(c.requested)}
		if !c.completed.IsZero() {
			one["cancelCompletedDate"] = stamp(c.completed)
		}
		all = append(all, one)
	}
	return all
}

func (o *order) fulfilment() string {
	var shipped, left int64
	for _, l := range o.lines {
		shipped += l.shipped
		left += l.quantity - l.shipped
	}
	return status(shipped, left)
}

func status(shipped, left int64) string {
	switch {
	case shipped == 0:
		return "NOT_STARTED"
	case left > 0:
		return "IN_PROGRESS"
	}
	return "FULFILLED"
}

func (o *order) payment() string {
	var done int64
	for _, r := range o.refunds {
		if !r.done.IsZero() {
			done += r.total
		}
	}
	switch {
	case !o.paid:
		return "PENDING"
	case done == 0:
		return "PAID"
	case done < o.total():
		return "PARTIALLY_REFUNDED"
	}
	return "FULLY_REFUNDED"
}

func (s *Simulator) lineJSON(o *order, l *line, breakdown bool) object {
	paid := l.cost - l.discount + l.tax
	if o.spec.Remitted && !breakdown {
		paid -= l.tax
	}
	taxes, remitted := []object{}, []object{}
	if l.tax > 0 {
		kind := o.spec.TaxType
		if kind == "" {
			kind = "VAT"
		}
		tax := object{"amount": s.amount(l.tax)}
		if breakdown {
			tax["taxType"] = kind
		}
		if breakdown || !o.spec.Remitted {
			taxes = append(taxes, tax)
		}
		if o.spec.Remitted {
			remitted = append(remitted, object{"amount": s.amount(l.tax), "taxType": kind, "collectionMethod": "NET"})
		}
	}
	refunds := []object{}
	for _, r := range o.refunds {
		for _, rl := range r.lines {
			if rl.line == l {
				one := object{"refundId": r.id, "amount": s.amount(rl.minor)}
				if !r.done.IsZero() {
					one["refundDate"] = stamp(r.done)
				}
				refunds = append(refunds, one)
			}
		}
	}
	out := object{
		"lineItemId": l.id, "legacyItemId": l.listing, "title": l.title, "quantity": l.quantity, "soldFormat": "FIXED_PRICE",
		"listingMarketplaceId": s.cfg.Marketplace, "purchaseMarketplaceId": s.cfg.Marketplace,
		"lineItemCost": s.amount(l.cost), "total": s.amount(paid), "taxes": taxes, "refunds": refunds,
		"lineItemFulfillmentStatus": status(l.shipped, l.quantity-l.shipped), "appliedPromotions": []object{},
		"deliveryCost": object{"shippingCost": s.amount(0)},
		"properties":   object{"buyerProtection": true},
		"lineItemFulfillmentInstructions": object{
			"shipByDate": stamp(o.created.Add(48 * time.Hour)), "minEstimatedDeliveryDate": stamp(o.created.Add(72 * time.Hour)), "maxEstimatedDeliveryDate": stamp(o.created.Add(120 * time.Hour)),
		},
	}
	if l.sku != "" {
		out["sku"] = l.sku
	}
	if l.discount > 0 {
		out["discountedLineItemCost"] = s.amount(l.cost - l.discount)
		out["appliedPromotions"] = []object{{"promotionId": "50000001", "description": "promotion", "discountAmount": s.amount(l.discount)}}
	}
	if len(remitted) > 0 {
		out["ebayCollectAndRemitTaxes"] = remitted
	}
	return out
}

func (s *Simulator) buyerJSON(o *order) object {
	out := object{"username": "buyer-" + fmt.Sprint(o.number)}
	if c := o.spec.Customer; c != nil {
		if c.Username != "" {
			out["username"] = c.Username
		}
		out["buyerRegistrationAddress"] = contact(c, o.spec.Shipping)
	}
	return out
}

func contact(c *Customer, a *Address) object {
	out := object{}
	if c != nil {
		out["fullName"], out["email"] = strings.TrimSpace(c.FirstName+" "+c.LastName), c.Email
		if c.Phone != "" {
			out["primaryPhone"] = object{"phoneNumber": c.Phone}
		}
	}
	if a != nil {
		if name := strings.TrimSpace(a.FirstName + " " + a.LastName); name != "" {
			out["fullName"] = name
		}
		if a.Company != "" {
			out["companyName"] = a.Company
		}
		if a.Phone != "" {
			out["primaryPhone"] = object{"phoneNumber": a.Phone}
		}
		place := object{"addressLine1": a.Address1, "city": a.City, "postalCode": a.Zip, "countryCode": a.CountryCode}
		if a.Address2 != "" {
			place["addressLine2"] = a.Address2
		}
		if a.Province != "" {
			place["stateOrProvince"] = a.Province
		}
		out["contactAddress"] = place
	}
	return out
}

func (s *Simulator) instructionJSON(o *order) object {
	return object{
		"fulfillmentInstructionsType": "SHIP_TO", "ebaySupportedFulfillment": false,
		"minEstimatedDeliveryDate": stamp(o.created.Add(72 * time.Hour)), "maxEstimatedDeliveryDate": stamp(o.created.Add(120 * time.Hour)),
		"shippingStep": object{"shippingCarrierCode": "RoyalMail", "shippingServiceCode": "UK_RoyalMailSecondClassStandard", "shipTo": contact(o.spec.Customer, o.spec.Shipping)},
	}
}

func (s *Simulator) paymentJSON(o *order) object {
	refunds := []object{}
	for _, r := range o.refunds {
		one := object{"amount": s.amount(r.total), "refundStatus": "PENDING", "refundReferenceId": r.reference}
		if len(r.lines) == 0 {
			one["refundId"] = r.id // of refunds by lines it stands at the lines
		}
		if !r.done.IsZero() {
			one["refundStatus"], one["refundDate"] = "REFUNDED", stamp(r.done)
		}
		refunds = append(refunds, one)
	}
	payment := object{"paymentMethod": "EBAY", "amount": s.amount(o.total()), "paymentStatus": "PENDING"}
	if o.paid {
		payment["paymentStatus"], payment["paymentDate"] = "PAID", stamp(o.created)
	}
	return object{"payments": []object{payment}, "refunds": refunds, "totalDueSeller": s.amount(o.total() - o.refunded())}
}

func (o *order) shipmentsJSON() object {
	all := []object{}
	for _, p := range o.shipments {
		lines := []object{}
		for _, id := range p.order {
			lines = append(lines, object{"lineItemId": id, "quantity": p.lines[id]})
		}
		all = append(all, object{"fulfillmentId": p.id, "shipmentTrackingNumber": p.tracking, "shippingCarrierCode": p.carrier, "shippedDate": stamp(p.at), "lineItems": lines})
	}
	return object{"fulfillments": all, "total": len(all)}
}

// itemJSON is an inventory item.
func (i *item) itemJSON() object {
	product := object{"title": i.title}
	if i.brand != "" {
		product["brand"] = i.brand
	}
	switch len(i.barcode) {
	case 0:
	case 12:
		product["upc"] = []string{i.barcode}
	default:
		product["ean"] = []string{i.barcode}
	}
	return object{
		"sku": i.sku, "locale": "en_GB", "condition": "NEW", "product": product,
		"availability": object{"shipToLocationAvailability": object{"quantity": max(0, i.quantity)}},
	}
}

// offerJSON is an offer.
func (s *Simulator) offerJSON(i *item) object {
	return object{
		"offerId": i.offer, "sku": i.sku, "marketplaceId": s.cfg.Marketplace, "format": "FIXED_PRICE", "availableQuantity": max(0, i.available),
		"categoryId": "20625", "listingDuration": "GTC", "status": "PUBLISHED",
		"pricingSummary": object{"price": s.amount(i.price)},
		"listing":        object{"listingId": i.listing, "listingStatus": "ACTIVE", "soldQuantity": i.sold},
	}
}
