package simulator

// object is a JSON object.
type object = map[string]any

// orderJSON is an order as Orders 2026-01-01 shows it with every set of data.
func (s *Simulator) orderJSON(o *order) object {
	by, program := "MERCHANT", []string{}
	if o.fba {
		by, program = "AMAZON", []string{"PRIME"}
	}
	var items []object
	var total int64
	sums := map[string]int64{}
	kinds := []string{"ITEM", "SHIPPING", "TAX", "DISCOUNT"}
	for _, l := range o.lines {
		items = append(items, s.itemJSON(o, l))
		total += l.proceeds(o)
		for i, v := range []int64{l.total, l.shipping, l.tax, -l.discount} {
			sums[kinds[i]] += v
		}
	}
	out := object{
		"orderId": o.id, "createdTime": stamp(o.created), "lastUpdatedTime": stamp(o.updated), "programs": program,
		"salesChannel": object{"channelName": "AMAZON", "marketplaceId": s.cfg.Marketplace, "marketplaceName": "Amazon"},
		"fulfillment":  object{"fulfillmentStatus": o.status, "fulfilledBy": by, "fulfillmentServiceLevel": "STANDARD"},
		"orderItems":   items,
	}
	if o.spec.Name != "" {
		out["orderAliases"] = []object{{"aliasId": o.spec.Name, "aliasType": "SELLER_ORDER_ID"}}
	}
	if o.status == pending {
		return out
	}
	var breakdowns []object
	for _, kind := range kinds {
		if sums[kind] != 0 {
			breakdowns = append(breakdowns, object{"type": kind, "subtotal": s.amount(sums[kind])})
		}
	}
	out["proceeds"] = object{"grandTotal": s.amount(total), "breakdowns": breakdowns}
	if c := o.spec.Customer; c != nil {
		out["buyer"] = object{"buyerName": c.Name, "buyerEmail": c.Email}
	}
	if a := o.spec.Shipping; a != nil {
		out["recipient"] = object{"deliveryAddress": object{
			"name": a.Name, "companyName": a.Company, "addressLine1": a.Address1, "addressLine2": a.Address2, "city": a.City,
			"stateOrRegion": a.Province, "postalCode": a.Zip, "countryCode": a.CountryCode, "phone": a.Phone, "addressType": "RESIDENTIAL",
		}}
	}
	var packages []object
	for _, p := range o.packages {
		var in []object
		for _, id := range p.order {
			in = append(in, object{"orderItemId": id, "quantity": p.lines[id]})
		}
		packages = append(packages, object{
			"packageReferenceId": p.reference, "createdTime": p.shipped, "shipTime": p.shipped, "carrier": p.carrier, "shippingService": p.service,
			"trackingNumber": p.tracking, "packageStatus": object{"status": "SHIPPED"}, "packageItems": in,
		})
	}
	if packages != nil && !o.fba {
		out["packages"] = packages
	}
	return out
}

func (s *Simulator) itemJSON(o *order, l *line) object {
	out := object{
		"orderItemId": l.id, "quantityOrdered": l.quantity,
		"product": object{"asin": l.asin, "title": l.title, "sellerSku": l.sku, "condition": object{"conditionType": "NEW", "conditionSubtype": "NEW"}},
	}
	open := l.quantity - l.removed - l.fulfilled
	if o.status == pending {
		// A pending order has nothing to ship yet, and tells no amount.
		out["fulfillment"] = object{"quantityFulfilled": 0, "quantityUnfulfilled": 0}
		return out
	}
	out["fulfillment"] = object{"quantityFulfilled": l.fulfilled, "quantityUnfulfilled": open}
	out["product"].(object)["price"] = object{"unitPrice": s.amount(l.unit)}
	breakdowns := []object{{"type": "ITEM", "subtotal": s.amount(l.total)}}
	if l.shipping != 0 {
		breakdowns = append(breakdowns, object{"type": "SHIPPING", "subtotal": s.amount(l.shipping)})
	}
	if l.tax != 0 {
		breakdowns = append(breakdowns, object{"type": "TAX", "subtotal": s.amount(l.tax), "detailedBreakdowns": []object{{"subtype": "ITEM", "value": s.amount(l.tax)}}})
	}
	if l.discount != 0 {
		breakdowns = append(breakdowns, object{"type": "DISCOUNT", "subtotal": s.amount(-l.discount), "detailedBreakdowns": []object{{"subtype": "ITEM", "value": s.amount(-l.discount)}}})
		promotions := []object{}
		if l.coded {
			promotions = append(promotions, object{"promotionId": o.spec.DiscountCode})
		}
		out["promotion"] = object{"breakdowns": promotions}
	}
	out["proceeds"] = object{"proceedsTotal": s.amount(l.proceeds(o)), "breakdowns": breakdowns}
	cancellation := object{}
	if o.requested != "" {
		cancellation["cancellationRequest"] = object{"requester": "BUYER", "cancelReason": o.requested}
	}
	if l.removed > 0 {
		cancellation["cancellationExecution"] = object{"cancelledBy": "MERCHANT", "cancelReason": o.reason}
	}
	if len(cancellation) > 0 {
		out["cancellation"] = cancellation
	}
	return out
}

// listingJSON is a listing as Listings Items shows it, with the sets of data that are asked for.
func (s *Simulator) listingJSON(l *listing, wanted map[string]bool) object {
	out := object{"sku": l.sku}
	states := []string{"DISCOVERABLE"}
	if l.quantity > 0 || l.fulfillable > 0 {
		states = []string{"BUYABLE", "DISCOVERABLE"}
	}
	if wanted["summaries"] {
		out["summaries"] = []object{{
			"marketplaceId": s.cfg.Marketplace, "asin": l.asin, "productType": l.kind, "conditionType": "new_new", "status": states,
			"itemName": l.title, "createdDate": stamp(l.created), "lastUpdatedDate": stamp(l.updated),
		}}
	}
	if wanted["attributes"] {
		attributes := object{"item_name": []object{{"value": l.title, "language_tag": "en_GB", "marketplace_id": s.cfg.Marketplace}}}
		if l.ean != "" {
			attributes["externally_assigned_product_identifier"] = []object{{"type": "ean", "value": l.ean, "marketplace_id": s.cfg.Marketplace}}
		}
		if l.brand != "" {
			attributes["brand"] = []object{{"value": l.brand, "language_tag": "en_GB", "marketplace_id": s.cfg.Marketplace}}
		}
		out["attributes"] = attributes
	}
	if wanted["offers"] {
		out["offers"] = []object{{"marketplaceId": s.cfg.Marketplace, "offerType": "B2C", "price": s.amount(s.price(l.price))}}
	}
	if wanted["fulfillmentAvailability"] {
		if l.fba {
			out["fulfillmentAvailability"] = []object{{"fulfillmentChannelCode": "AMAZON_EU"}}
		} else {
			out["fulfillmentAvailability"] = []object{{"fulfillmentChannelCode": "DEFAULT", "quantity": l.quantity}}
		}
	}
	if wanted["productTypes"] {
		out["productTypes"] = []object{{"marketplaceId": s.cfg.Marketplace, "productType": l.kind}}
	}
	if wanted["issues"] {
		out["issues"] = []object{}
	}
	return out
}
