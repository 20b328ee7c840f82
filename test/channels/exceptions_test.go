package channels

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// exception is something that a platform cannot say, or says in another way. It changes the
// order that is expected to exactly what the platform says instead, and to nothing where the
// platform has no such order; what is not listed here has to be equal. Exceptions of one
// platform apply in their order.
type exception struct {
	platform, reason string
	says             func(o *event.Order, s *sale) *event.Order
}

// exceptions is the one table of what the platforms cannot express.
func exceptions() []exception {
	return []exception{
		{"shopify", "a cancellation of what was not paid is told as a refund of nothing, whose lines take the units out", func(o *event.Order, s *sale) *event.Order {
			if s.life == cancelled {
				r := &event.Refund{CreatedMs: o.CancelledMs}
				for i, l := range o.Lines {
					l.Removed = 0
					r.Lines = append(r.Lines, &event.RefundLine{OrderLineId: l.Id, Quantity: l.Quantity, Amount: s.cash(s.net(i)), Restock: event.Restock_RESTOCK_CANCEL})
				}
				o.Refunds = []*event.Refund{r}
			}
			return o
		}},
		{"shopify", "a discount without a code is named by its title", func(o *event.Order, _ *sale) *event.Order {
			for _, d := range o.Discounts {
				if d.Code == "" {
					d.Code = "By hand"
				}
			}
			return o
		}},

		{"woocommerce", "the core tells no part of an order as shipped", func(o *event.Order, s *sale) *event.Order {
			if s.life == partly {
				for _, l := range o.Lines {
					l.Fulfilled = 0
				}
				o.FulfilmentStatus = event.FulfilmentStatus_FULFILMENT_STATUS_UNFULFILLED
			}
			return o
		}},
		{"woocommerce", "what went back to the shelf stands at the order's line, and not at the refund", func(o *event.Order, _ *sale) *event.Order {
			var left, gone int64
			for _, r := range o.Refunds {
				for _, rl := range r.Lines {
					l := o.Lines[number(rl.OrderLineId)-1]
					switch rl.Restock {
					case event.Restock_RESTOCK_RETURN:
						l.Fulfilled, l.Removed = l.Fulfilled-rl.Quantity, l.Removed+rl.Quantity
					case event.Restock_RESTOCK_CANCEL:
						l.Removed += rl.Quantity
					}
					rl.Restock = event.Restock_RESTOCK_NONE
				}
			}
			for _, l := range o.Lines {
				left, gone = left+l.Fulfilled, gone+l.Removed
			}
			if left == 0 && gone > 0 {
				o.FulfilmentStatus = event.FulfilmentStatus_FULFILMENT_STATUS_RESTOCKED
			}
			return o
		}},
		{"woocommerce", "amounts are told without tax, whatever prices hold", func(o *event.Order, s *sale) *event.Order {
			return untaxed(o, s, true)
		}},

		{"magento", "amounts are told without tax, whatever prices hold", func(o *event.Order, s *sale) *event.Order {
			return untaxed(o, s, false)
		}},
		{"magento", "the price of one without tax is rounded, so that the units times it may miss the amount", func(o *event.Order, s *sale) *event.Order {
			for _, l := range o.Lines {
				if s.included {
					l.UnitPrice = each(l, s)
				}
			}
			return o
		}},
		{"magento", "discounts are told as one, under the coupon's code", func(o *event.Order, s *sale) *event.Order {
			return oneDiscount(o, s.code)
		}},
		{"magento", "an invoiced order cannot be cancelled: a credit memo of all of it closes it", func(o *event.Order, s *sale) *event.Order {
			if s.life == void {
				o.Status, o.CancelledMs = event.OrderStatus_ORDER_STATUS_CLOSED, 0
			}
			return o
		}},
		{"magento", "whether units that had left came back is told nowhere", func(o *event.Order, _ *sale) *event.Order {
			for _, r := range o.Refunds {
				for _, l := range r.Lines {
					if l.Restock == event.Restock_RESTOCK_RETURN {
						l.Restock = event.Restock_RESTOCK_NONE
					}
				}
			}
			return o
		}},

		{"amazon", "the buyer's e-mail is hidden behind an address made up for each buyer, and who pays is not told", func(o *event.Order, s *sale) *event.Order {
			o.Personal.Email, o.Personal.Billing = relay(s), nil
			return o
		}},
		{"amazon", "taxes are told without their rate", func(o *event.Order, _ *sale) *event.Order { return withoutRates(o) }},
		{"amazon", "discounts are told as one promotion, by the promotion's id", func(o *event.Order, s *sale) *event.Order {
			return oneDiscount(o, s.code)
		}},
		{"amazon", "shipping that costs nothing is not told", func(o *event.Order, _ *sale) *event.Order {
			if o.TotalShipping.Minor == 0 {
				o.ShippingLines = nil
			}
			return o
		}},
		{"amazon", "orders say nothing of refunds; units that did not leave are taken out of the order", func(o *event.Order, s *sale) *event.Order {
			for _, r := range o.Refunds {
				for _, l := range r.Lines {
					if l.Restock == event.Restock_RESTOCK_CANCEL {
						o.Lines[number(l.OrderLineId)-1].Removed += l.Quantity
					}
				}
			}
			o.Refunds = nil
			return o
		}},
		{"amazon", "the payment is authorised when the order is placed, and taken with each shipment", func(o *event.Order, s *sale) *event.Order {
			switch {
			case s.life == waiting:
			case o.Status == event.OrderStatus_ORDER_STATUS_CANCELLED:
				o.PaymentStatus = event.PaymentStatus_PAYMENT_STATUS_VOIDED
			case o.FulfilmentStatus == event.FulfilmentStatus_FULFILMENT_STATUS_FULFILLED:
				o.PaymentStatus = event.PaymentStatus_PAYMENT_STATUS_PAID
			case o.FulfilmentStatus == event.FulfilmentStatus_FULFILMENT_STATUS_PARTIAL:
				o.PaymentStatus = event.PaymentStatus_PAYMENT_STATUS_PARTIALLY_PAID
			default:
				o.PaymentStatus = event.PaymentStatus_PAYMENT_STATUS_AUTHORISED
			}
			return o
		}},
		{"amazon", "an order that waits for its payment is on hold, and tells neither amounts nor persons", func(o *event.Order, s *sale) *event.Order {
			if s.life != waiting {
				return o
			}
			o.Status, o.TaxesIncluded = event.OrderStatus_ORDER_STATUS_ON_HOLD, false
			o.Subtotal, o.TotalDiscounts, o.TotalShipping, o.TotalTax, o.Total = nil, nil, nil, nil, nil
			o.ShippingLines, o.Discounts, o.Taxes, o.Personal, o.Destination = nil, nil, nil, nil, nil
			for _, l := range o.Lines {
				l.Total, l.Discount, l.Taxes = nil, nil, nil
			}
			return o
		}},
		{"amazon", "the buyer may be known for 30 days after the goods left, or were called off", func(o *event.Order, _ *sale) *event.Order {
			from := at(3).UnixMilli() // when the script ships
			switch {
			case o.Personal == nil:
				return o
			case o.Status == event.OrderStatus_ORDER_STATUS_CANCELLED:
				from = o.CancelledMs
				if from == 0 {
					from = o.CreatedMs
				}
			case o.FulfilmentStatus == event.FulfilmentStatus_FULFILMENT_STATUS_RESTOCKED:
				from = o.CreatedMs
			case o.FulfilmentStatus != event.FulfilmentStatus_FULFILMENT_STATUS_FULFILLED:
				return o
			}
			o.PersonalUntilMs = from + 30*24*time.Hour.Milliseconds()
			return o
		}},

		{"ebay", "no marketplace trades in this currency", func(o *event.Order, s *sale) *event.Order {
			if s.currency == "JPY" {
				return nil
			}
			return o
		}},
		{"ebay", "what is not paid is not shown", func(o *event.Order, s *sale) *event.Order {
			if s.life == cancelled || s.life == waiting {
				return nil
			}
			return o
		}},
		{"ebay", "there is no address of who pays: the buyer's registered one stands for it", func(o *event.Order, s *sale) *event.Order {
			o.Personal.Billing = s.shipping.canonical() // which the simulator takes for it
			return o
		}},
		{"ebay", "tax within prices is not told", func(o *event.Order, s *sale) *event.Order {
			if s.included {
				o.TaxesIncluded, o.Taxes, o.TotalTax = false, nil, s.cash(0)
				for _, l := range o.Lines {
					l.Taxes = nil
				}
			}
			return o
		}},
		{"ebay", "taxes are told without their rate", func(o *event.Order, _ *sale) *event.Order { return withoutRates(o) }},
		{"ebay", "there are no discounts of orders: what is taken off is told as one, without a code", func(o *event.Order, _ *sale) *event.Order {
			return oneDiscount(o, "")
		}},
		{"ebay", "a refund tells no units, nor what became of them", func(o *event.Order, s *sale) *event.Order {
			for _, r := range o.Refunds {
				for _, l := range r.Lines {
					l.Quantity, l.Restock = 0, event.Restock_RESTOCK_NONE
				}
			}
			if s.life == shortened { // so that it is not known that nothing is left to ship
				o.FulfilmentStatus, o.Status = event.FulfilmentStatus_FULFILMENT_STATUS_PARTIAL, event.OrderStatus_ORDER_STATUS_OPEN
			}
			return o
		}},
		{"ebay", "a refund of a line holds the tax of it", func(o *event.Order, s *sale) *event.Order {
			if b := s.back(); b != nil {
				for _, r := range o.Refunds {
					for _, l := range r.Lines {
						i := int(number(l.OrderLineId) - 1)
						l.Amount.Minor += s.onTop(i, b.units[i])
					}
				}
			}
			return o
		}},
		{"ebay", "a cancellation, and a refund with shipping, is a refund of the order and of no line", func(o *event.Order, s *sale) *event.Order {
			for _, r := range o.Refunds {
				if s.life == void || r.Shipping.GetMinor() > 0 {
					r.Lines, r.Shipping = nil, nil
				}
			}
			if s.life == void {
				for _, l := range o.Lines {
					l.Removed = l.Quantity
				}
			}
			return o
		}},
	}
}

// said is what a platform says of a sale, by the table; nil = it has no such order. used is
// told each exception that changed something.
func said(platform string, s *sale, used func(i int)) *event.Order {
	o := s.want()
	for i, e := range exceptions() {
		if e.platform != platform {
			continue
		}
		before := proto.Clone(o)
		if o = e.says(o, s); o == nil {
			used(i)
			return nil
		}
		if !proto.Equal(before, o) {
			used(i)
		}
	}
	return o
}

func withoutRates(o *event.Order) *event.Order {
	for _, t := range o.Taxes {
		t.RatePpm = 0
	}
	for _, l := range o.Lines {
		for _, t := range l.Taxes {
			t.RatePpm = 0
		}
	}
	return o
}

func oneDiscount(o *event.Order, code string) *event.Order {
	if len(o.Discounts) == 0 {
		return o
	}
	o.Discounts = []*event.Discount{{Code: code, Amount: proto.Clone(o.TotalDiscounts).(*event.Money)}}
	return o
}

// untaxed takes the tax out of an order whose prices hold it. perCode: the code's discount is
// told by itself.
func untaxed(o *event.Order, s *sale, perCode bool) *event.Order {
	if !s.included {
		return o
	}
	o.TaxesIncluded = false
	var subtotal, discounts, coupon int64
	for i, l := range o.Lines {
		gross, net, own := s.gross(i), s.net(i), s.lines[i].off
		l.Total.Minor = gross - s.taxOf(gross)
		off := l.Total.Minor - (net - s.taxOf(net))
		if l.Discount = nil; off > 0 {
			l.Discount = s.cash(off)
		}
		// Of the discount the code took what is between the price after the other and the end.
		coupon += (gross - own - s.taxOf(gross-own)) - (net - s.taxOf(net))
		subtotal, discounts = subtotal+l.Total.Minor, discounts+off
	}
	o.Subtotal, o.TotalDiscounts = s.cash(subtotal), s.cash(discounts)
	o.Discounts = nil
	if rest := discounts - coupon; rest > 0 || !perCode && discounts > 0 {
		o.Discounts = append(o.Discounts, &event.Discount{Amount: s.cash(rest)})
	}
	if coupon > 0 && s.discount > 0 {
		o.Discounts = append(o.Discounts, &event.Discount{Code: s.code, Amount: s.cash(coupon)})
	}
	for _, r := range o.Refunds {
		for _, l := range r.Lines {
			i := int(number(l.OrderLineId) - 1)
			l.Amount.Minor = s.net(i) - s.taxOf(s.net(i))
			if l.Quantity != s.lines[i].units {
				panic(fmt.Sprintf("sale %d: a part of a line with tax in its price is refunded", s.n))
			}
		}
	}
	return o
}

// each is the price of one as Magento rounds it, where the units times it are not the amount:
// the normal form has none otherwise.
func each(l *event.OrderLine, s *sale) *event.Decimal {
	exponent, _ := money.Exponent("", s.currency)
	one, err := money.MulDiv(l.Total.Minor, 1, l.Quantity)
	if err != nil {
		panic(err)
	}
	if one*l.Quantity == l.Total.Minor {
		return nil
	}
	return trimmed(&event.Decimal{Unscaled: one, Scale: int32(exponent)})
}

// trimmed has no zeros at its end.
func trimmed(d *event.Decimal) *event.Decimal {
	for d.Scale > 0 && d.Unscaled%10 == 0 {
		d.Unscaled, d.Scale = d.Unscaled/10, d.Scale-1
	}
	return d
}
