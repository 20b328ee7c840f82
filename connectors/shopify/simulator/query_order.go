package simulator

import (
	"strings"
)

// Orders and their parts, as a query asks for them.

func (x *exec) order(o *order, fields []*field) {
	sp := o.spec
	x.object("Order", 1, fields, func(f *field) bool {
		switch f.name {
		case "id":
			x.gid("Order", o.id)
		case "name":
			x.quote(o.name)
		case "updatedAt":
			x.time(o.updated)
		case "createdAt", "processedAt":
			x.time(o.created)
		case "cancelledAt":
			x.time(o.cancelled)
		case "closedAt":
			x.time(o.closed)
		case "cancelReason":
			x.string(strings.ToUpper(o.cancelReason))
		case "test":
			x.bool(sp.Test)
		case "displayFinancialStatus":
			x.quote(strings.ToUpper(o.financial))
		case "displayFulfillmentStatus":
			switch o.fulfilmentStatus() {
			case "fulfilled":
				x.quote("FULFILLED")
			case "partial":
				x.quote("PARTIALLY_FULFILLED")
			default:
				x.quote("UNFULFILLED")
			}
		case "currencyCode", "presentmentCurrencyCode":
			x.quote(x.s.cfg.Currency)
		case "cancellation":
			if o.cancelled == 0 {
				x.null()
				return true
			}
			x.object("OrderCancellation", 1, f.under, func(f *field) bool {
				x.string(o.staffNote)
				return f.name == "staffNote"
			})
		case "taxesIncluded":
			x.bool(sp.Included)
		case "sourceIdentifier":
			x.string(sp.SourceIdentifier)
		case "poNumber":
			x.string(sp.PONumber)
		case "email", "phone":
			text := ""
			if c := sp.Customer; c != nil {
				if text = c.Email; f.name == "phone" {
					text = c.Phone
				}
			}
			x.string(text)
		case "totalPriceSet":
			return x.bag(f, o.total())
		case "totalDiscountsSet":
			return x.bag(f, o.discount)
		case "totalShippingPriceSet":
			return x.bag(f, o.shipping)
		case "totalTaxSet":
			return x.bag(f, o.tax)
		case "taxLines":
			var taxes []tax
			if o.tax != 0 {
				taxes = []tax{{sp.TaxTitle, sp.TaxRate, o.tax}}
			}
			return x.taxes(f, taxes)
		case "customer":
			return x.customer(f, sp.Customer)
		case "shippingAddress":
			return x.address(f, sp.Shipping)
		case "billingAddress":
			return x.address(f, sp.Billing)
		case "discountApplications":
			all := o.applications()
			return x.connection(f, "DiscountApplication", len(all), func(i int, fields []*field) { x.application(i, all[i], fields) })
		case "shippingLines":
			n := 0
			if sp.Delivery != "" {
				n = 1
			}
			return x.connection(f, "ShippingLine", n, func(_ int, fields []*field) { x.shippingLine(o, fields) })
		case "lineItems":
			return x.connection(f, "LineItem", len(o.lines), func(i int, fields []*field) { x.line(o, o.lines[i], fields) })
		case "fulfillmentOrders":
			if !x.s.granted("read_merchant_managed_fulfillment_orders") {
				// What an app may not see is left out.
				return x.connection(f, "FulfillmentOrder", 0, nil)
			}
			open := x.s.fulfilmentOrders(o)
			return x.connection(f, "FulfillmentOrder", len(open), func(i int, fields []*field) { x.fulfilmentOrder(open[i], fields) })
		case "transactions":
			x.list(len(o.payments), func(i int) { x.transaction(o.payments[i], f.under) })
		case "fulfillments":
			x.list(len(o.fulfilments), func(i int) { x.fulfilment(o.fulfilments[i], f.under) })
		case "refunds":
			x.list(len(o.refunds), func(i int) { x.refund(o.refunds[i], f.under) })
		default:
			return false
		}
		return true
	})
}

func (x *exec) line(o *order, l *line, fields []*field) {
	v := l.variant
	if v != nil && v.product.deleted {
		v = nil
	}
	x.object("LineItem", 1, fields, func(f *field) bool {
		switch f.name {
		case "id":
			x.gid("LineItem", l.id)
		case "name", "title":
			x.quote(l.title)
		case "sku":
			x.string(l.sku)
		case "quantity":
			x.int(l.quantity)
		case "currentQuantity":
			x.int(l.current)
		case "originalUnitPriceSet":
			var scratch [32]byte
			return x.bagOf(f, x.s.priceText(scratch[:0], l.price))
		case "discountAllocations":
			all := l.allocations(o)
			x.list(len(all), func(i int) { x.allocation(all[i], f.under) })
		case "taxLines":
			return x.taxes(f, l.taxes)
		case "variant":
			if v == nil {
				x.null()
				return true
			}
			x.variant(v, f.under)
		case "product":
			if v == nil {
				x.null()
				return true
			}
			x.object("Product", 1, f.under, func(f *field) bool {
				x.gid("Product", v.product.id)
				return f.name == "id"
			})
		default:
			return false
		}
		return true
	})
}

func (x *exec) allocation(a allocation, fields []*field) {
	x.object("DiscountAllocation", 0, fields, func(f *field) bool {
		switch f.name {
		case "allocatedAmountSet":
			return x.bag(f, a.minor)
		case "discountApplication":
			x.object("ManualDiscountApplication", 0, f.under, func(f *field) bool {
				x.int(int64(a.index))
				return f.name == "index"
			})
		default:
			return false
		}
		return true
	})
}

func (x *exec) application(index int, a application, fields []*field) {
	kind := "ManualDiscountApplication"
	if a.code != "" {
		kind = "DiscountCodeApplication"
	}
	x.object(kind, 1, fields, func(f *field) bool {
		switch f.name {
		case "index":
			x.int(int64(index))
		case "code":
			x.quote(a.code)
		case "title":
			x.quote(a.title)
		default:
			return false
		}
		return true
	})
}

func (x *exec) shippingLine(o *order, fields []*field) {
	x.object("ShippingLine", 1, fields, func(f *field) bool {
		switch f.name {
		case "id":
			x.gid("ShippingLine", o.id+1)
		case "code", "title":
			x.quote("Standard")
		case "originalPriceSet":
			return x.bag(f, o.shipping)
		case "discountAllocations", "taxLines":
			x.list(0, nil)
		default:
			return false
		}
		return true
	})
}

func (x *exec) taxes(f *field, taxes []tax) bool {
	x.list(len(taxes), func(i int) {
		t := taxes[i]
		x.object("TaxLine", 0, f.under, func(f *field) bool {
			switch f.name {
			case "title":
				x.quote(t.title)
			case "rate":
				x.w.b = append(x.w.b, t.rate...)
			case "channelLiable":
				x.bool(false)
			case "priceSet":
				return x.bag(f, t.minor)
			default:
				return false
			}
			return true
		})
	})
	return true
}

func (x *exec) customer(f *field, c *Customer) bool {
	if !x.s.granted("read_customers") {
		x.fail("ACCESS_DENIED", "Access denied for customer field. Required access: `read_customers` access scope.")
		return true
	}
	if c == nil {
		x.null()
		return true
	}
	x.object("Customer", 1, f.under, func(f *field) bool {
		switch f.name {
		case "id":
			x.gid("Customer", c.ID)
		case "firstName":
			x.string(c.FirstName)
		case "lastName":
			x.string(c.LastName)
		default:
			return false
		}
		return true
	})
	return true
}

func (x *exec) address(f *field, a *Address) bool {
	if a == nil {
		x.null()
		return true
	}
	x.object("MailingAddress", 1, f.under, func(f *field) bool {
		switch f.name {
		case "name":
			x.string(a.name())
		case "company":
			x.string(a.Company)
		case "address1":
			x.string(a.Address1)
		case "address2":
			x.string(a.Address2)
		case "city":
			x.string(a.City)
		case "province":
			x.string(a.Province)
		case "provinceCode":
			x.string(a.ProvinceCode)
		case "zip":
			x.string(a.Zip)
		case "countryCodeV2":
			x.string(a.CountryCode)
		case "phone":
			x.string(a.Phone)
		default:
			return false
		}
		return true
	})
	return true
}

func (x *exec) refund(r *refund, fields []*field) {
	x.object("Refund", 1, fields, func(f *field) bool {
		switch f.name {
		case "id":
			x.gid("Refund", r.id)
		case "createdAt", "processedAt":
			x.time(r.at)
		case "note":
			x.string(r.note)
		case "order":
			x.order(r.order, f.under)
		case "totalRefundedSet":
			return x.bag(f, r.total)
		case "transactions":
			return x.connection(f, "OrderTransaction", len(r.payments), func(i int, fields []*field) { x.transaction(r.payments[i], fields) })
		case "refundShippingLines":
			n := 0
			if r.shipping != 0 {
				n = 1
			}
			return x.connection(f, "RefundShippingLine", n, func(_ int, fields []*field) {
				x.object("RefundShippingLine", 1, fields, func(f *field) bool {
					switch f.name {
					case "subtotalAmountSet":
						return x.bag(f, r.shipping)
					case "taxAmountSet":
						return x.bag(f, 0)
					}
					return false
				})
			})
		case "refundLineItems":
			return x.connection(f, "RefundLineItem", len(r.lines), func(i int, fields []*field) {
				rl := r.lines[i]
				x.object("RefundLineItem", 1, fields, func(f *field) bool {
					switch f.name {
					case "quantity":
						x.int(rl.quantity)
					case "restockType":
						x.quote(strings.ToUpper(rl.restock))
					case "subtotalSet":
						return x.bag(f, rl.minor)
					case "lineItem":
						x.line(r.order, rl.line, f.under)
					default:
						return false
					}
					return true
				})
			})
		default:
			return false
		}
		return true
	})
}

func (x *exec) fulfilment(p *fulfilment, fields []*field) {
	x.object("Fulfillment", 1, fields, func(f *field) bool {
		switch f.name {
		case "id":
			x.gid("Fulfillment", p.id)
		case "status":
			x.quote(strings.ToUpper(p.status))
		case "order":
			x.order(p.order, f.under)
		case "trackingInfo":
			n := 0
			if p.number != "" || p.company != "" || p.url != "" {
				n = 1
			}
			x.list(n, func(int) {
				x.object("FulfillmentTrackingInfo", 0, f.under, func(f *field) bool {
					switch f.name {
					case "number":
						x.string(p.number)
					case "company":
						x.string(p.company)
					case "url":
						x.string(p.url)
					default:
						return false
					}
					return true
				})
			})
		case "fulfillmentLineItems":
			return x.connection(f, "FulfillmentLineItem", len(p.lines), func(i int, fields []*field) {
				fl := p.lines[i]
				x.object("FulfillmentLineItem", 1, fields, func(f *field) bool {
					switch f.name {
					case "quantity":
						x.int(fl.quantity)
					case "lineItem":
						x.line(p.order, fl.line, f.under)
					default:
						return false
					}
					return true
				})
			})
		default:
			return false
		}
		return true
	})
}
