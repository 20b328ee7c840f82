package shopify

import (
	"strings"

	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
)

// Refunds: of their own webhook, and inside of an order.

// refund reads one refund, of its own webhook or inside an order (which gives it its id in
// the end). The currency is known before.
func (t *translation) refund(own bool) *event.Refund {
	r := t.r
	if !r.Object() {
		r.Unexpected("a refund")
		return nil
	}
	f := &event.Refund{Connector: provider, Account: t.account}
	var (
		seen                 jsonread.Members
		created, processed   int64
		restock              bool
		paid, parts          int64
		anyPaid, foreign     bool
		shipping, adjustment int64
	)
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "id":
			r.Once(&seen, 0)
			f.Id = t.id()
		case "order_id":
			r.Once(&seen, 1)
			f.OrderId = t.id()
		case "created_at", "createdAt":
			r.Once(&seen, 2)
			created = r.Instant()
		case "processed_at", "processedAt":
			r.Once(&seen, 3)
			processed = r.Instant()
		case "note":
			r.Once(&seen, 4)
			f.Note = t.str()
		case "restock":
			r.Once(&seen, 5)
			restock = r.Boolean()
		case "refund_line_items", "refundLineItems":
			r.Once(&seen, 6)
			t.each(func() {
				if l := t.refundLine(); l != nil {
					f.Lines = append(f.Lines, l)
				}
			})
		case "transactions":
			r.Once(&seen, 7)
			t.each(func() {
				switch amount, currency, counts := r.transaction(); {
				case !counts:
				case currency != "" && currency != t.currency:
					// The buyer's currency: what it is in the shop's stands nowhere here.
					foreign = true
				default:
					anyPaid = true
					paid = t.sum(paid, t.minor(amount))
				}
			})
		case "refund_shipping_lines", "refundShippingLines":
			r.Once(&seen, 8)
			t.each(func() { shipping = t.sum(shipping, t.refundShipping()) })
		case "order_adjustments":
			r.Once(&seen, 9)
			t.each(func() {
				amount, ofShipping := t.adjustment()
				if ofShipping {
					adjustment = t.sum(adjustment, amount)
				}
				parts = t.sum(parts, amount)
			})
		default:
			r.Skip()
		}
	}
	if r.Err() != nil {
		return nil
	}
	if f.Id == "" || (own && f.OrderId == "") {
		r.Fail("a refund needs id and order_id")
		return nil
	}
	if f.CreatedMs = processed; f.CreatedMs == 0 {
		f.CreatedMs = created
	}
	for _, l := range f.Lines {
		// Payloads from before 2018 say it once for all lines.
		if l.Restock == event.Restock_RESTOCK_UNSPECIFIED && seen&(1<<5) != 0 {
			if l.Restock = event.Restock_RESTOCK_NONE; restock {
				l.Restock = event.Restock_RESTOCK_RETURN
			}
		}
		parts = t.sum(parts, l.Amount.GetMinor())
	}
	if shipping == 0 {
		// Older payloads tell returned shipping as an adjustment of the order.
		shipping = adjustment
	} else if adjustment == 0 {
		parts = t.sum(parts, shipping)
	}
	f.Shipping = t.nonZero(shipping)
	switch {
	case foreign:
		f.Total = t.nonZero(parts)
	case anyPaid:
		f.Total = t.amount(paid, t.currency)
	}
	return f
}

func (t *translation) refundLine() *event.RefundLine {
	r := t.r
	if !r.Object() {
		return nil
	}
	l := &event.RefundLine{}
	var seen jsonread.Members
	var plain, exact string
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "line_item_id":
			r.Once(&seen, 0)
			l.OrderLineId = t.id()
		case "lineItem":
			r.Once(&seen, 0)
			l.OrderLineId = t.keep(r.idOf())
		case "quantity":
			r.Once(&seen, 1)
			l.Quantity = r.Integer()
		case "restock_type", "restockType":
			r.Once(&seen, 2)
			l.Restock = restocked(r.Text())
		case "subtotal":
			r.Once(&seen, 3)
			plain = r.Number()
		case "subtotal_set", "subtotalSet":
			r.Once(&seen, 4)
			exact = r.bag().shop
		default:
			r.Skip()
		}
	}
	if r.Err() != nil {
		return nil
	}
	if l.OrderLineId == "" || l.Quantity < 0 {
		r.Fail("a refund line needs the order's line and a quantity")
		return nil
	}
	if exact == "" {
		exact = plain
	}
	if t.currency != "" {
		l.Amount = t.money(exact)
	}
	return l
}

func restocked(s string) event.Restock {
	switch s {
	case "no_restock", "NO_RESTOCK":
		return event.Restock_RESTOCK_NONE
	case "cancel", "CANCEL":
		return event.Restock_RESTOCK_CANCEL
	// legacy_restock does not tell whether the goods had left; they are back in both cases.
	case "return", "RETURN", "legacy_restock", "LEGACY_RESTOCK":
		return event.Restock_RESTOCK_RETURN
	}
	return event.Restock_RESTOCK_UNSPECIFIED
}

// transaction reads a payment; counts is true when it gave money back.
func (r *reader) transaction() (amount, currency string, counts bool) {
	var seen jsonread.Members
	var kind, status string
	if !r.Object() {
		return "", "", false
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "kind":
			r.Once(&seen, 0)
			kind = strings.ToLower(r.Text())
		case "status":
			r.Once(&seen, 1)
			status = strings.ToLower(r.Text())
		case "amount":
			r.Once(&seen, 2)
			amount = r.Number()
		case "amountSet":
			r.Once(&seen, 2)
			amount = r.bag().shop
		case "currency":
			r.Once(&seen, 3)
			currency = strings.ToUpper(r.Text())
		default:
			r.Skip()
		}
	}
	return amount, currency, kind == "refund" && status != "failure" && status != "error"
}

func (t *translation) refundShipping() (total int64) {
	r := t.r
	var seen jsonread.Members
	if !r.Object() {
		return 0
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "subtotal_amount_set", "subtotalAmountSet":
			r.Once(&seen, 0)
			total = t.sum(total, t.minor(r.bag().shop))
		case "tax_amount_set", "taxAmountSet":
			r.Once(&seen, 1)
			total = t.sum(total, t.minor(r.bag().shop))
		default:
			r.Skip()
		}
	}
	return total
}

// adjustment reads an adjustment of the order's money that a refund made; given back is
// positive.
func (t *translation) adjustment() (givenBack int64, shipping bool) {
	r := t.r
	var seen jsonread.Members
	if !r.Object() {
		return 0, false
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "amount", "tax_amount":
			if key == "amount" {
				r.Once(&seen, 0)
			} else {
				r.Once(&seen, 1)
			}
			text := r.Number()
			if t.currency != "" {
				givenBack = t.sum(givenBack, -t.minor(text))
			}
		case "kind":
			r.Once(&seen, 2)
			shipping = r.Text() == "shipping_refund"
		default:
			r.Skip()
		}
	}
	return givenBack, shipping
}

// refundCurrency finds the shop's currency in a refund of its own, which names none at the
// top: any amount in the shop's money tells it, else the currency that was paid in.
func refundCurrency(doc string) string {
	r := newReaderString(doc)
	var shop, paid string
	if !r.Object() {
		return ""
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "refund_line_items", "refund_shipping_lines", "order_adjustments", "transactions":
			for ok := r.Array(); ok && r.More(); {
				if !r.Object() {
					continue
				}
				for key, ok := r.Next(); ok; key, ok = r.Next() {
					switch {
					case shop == "" && (key == "subtotal_set" || key == "subtotal_amount_set" || key == "amount_set"):
						shop = r.bag().shopCurrency
					case paid == "" && key == "currency":
						paid = r.Text()
					default:
						r.Skip()
					}
				}
			}
		case "total_duties_set":
			if c := r.bag().shopCurrency; shop == "" {
				shop = c
			}
		default:
			r.Skip()
		}
	}
	if shop == "" {
		shop = paid
	}
	return strings.ToUpper(shop)
}
