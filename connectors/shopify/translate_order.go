package shopify

import (
	"strings"

	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// orderEnvelope reads what the poller assembled.
func (t *translation) orderEnvelope() []*event.Order {
	var of fulfilments
	var b *orderBlock
	t.envelope("order", func() { b = t.readOrder(&of) }, func() { t.orderPage(b, &of) })
	return t.finished(b)
}

// order reads a webhook body.
func (t *translation) order() []*event.Order {
	var of fulfilments
	return t.finished(t.readOrder(&of))
}

// finished is the list of the one order, or of none.
func (t *translation) finished(b *orderBlock) []*event.Order {
	if b == nil {
		return nil
	}
	t.finish(&b.order)
	b.list[0] = &b.order
	return b.list[:]
}

// fulfilments remembers which fulfilments count, for pages that continue them.
type fulfilments map[string]bool

func (t *translation) readOrder(of *fulfilments) *orderBlock {
	r := t.r
	if !r.Object() {
		r.Unexpected("an order")
		return nil
	}
	block := t.orders.take()
	o := &block.order
	o.Connector, o.Account = provider, t.account
	o.Lines, o.ShippingLines = block.lines[:0], block.ships[:0]
	var (
		seen               jsonread.Members
		created, processed int64
		closed             int64
		total              bag
		shipping, billing  *event.PostalAddress
		first, last        string
		po, source         string
		codes              []*event.Discount
		applications       bool
		totalText          string
		shippingTotal      string
	)
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "id":
			r.Once(&seen, 0)
			o.Id = t.id()
		case "name":
			r.Once(&seen, 1)
			o.Name = t.str()
		case "updated_at", "updatedAt":
			r.Once(&seen, 2)
			o.UpdatedMs = r.Instant()
		case "created_at", "createdAt":
			r.Once(&seen, 3)
			created = r.Instant()
		case "processed_at", "processedAt":
			r.Once(&seen, 4)
			processed = r.Instant()
		case "cancelled_at", "cancelledAt":
			r.Once(&seen, 5)
			o.CancelledMs = r.Instant()
		case "closed_at", "closedAt":
			r.Once(&seen, 6)
			closed = r.Instant()
		case "cancel_reason", "cancelReason":
			r.Once(&seen, 7)
			o.CancelReason = t.keep(strings.ToLower(r.Text()))
		case "test":
			r.Once(&seen, 8)
			o.Test = r.Boolean()
		case "financial_status", "displayFinancialStatus":
			r.Once(&seen, 9)
			o.PaymentStatus = paymentStatus(r.Text())
		case "currency", "currencyCode":
			r.Once(&seen, 10)
			o.Currency = t.keep(strings.ToUpper(r.Text()))
			t.currency = o.Currency
		case "taxes_included", "taxesIncluded":
			r.Once(&seen, 11)
			o.TaxesIncluded = r.Boolean()
		case "total_price":
			r.Once(&seen, 12)
			totalText = r.Number()
		case "total_price_set", "totalPriceSet":
			r.Once(&seen, 13)
			total = r.bag()
		case "total_discounts":
			r.Once(&seen, 14)
			text := r.Number()
			t.currencyOf()
			o.TotalDiscounts = t.money(text)
		case "totalDiscountsSet":
			r.Once(&seen, 14)
			text := r.bag().shop
			t.currencyOf()
			o.TotalDiscounts = t.money(text)
		case "total_shipping_price_set", "totalShippingPriceSet":
			r.Once(&seen, 15)
			shippingTotal = r.bag().shop
		case "total_tax":
			r.Once(&seen, 16)
			text := r.Number()
			t.currencyOf()
			o.TotalTax = t.money(text)
		case "totalTaxSet":
			r.Once(&seen, 16)
			text := r.bag().shop
			t.currencyOf()
			o.TotalTax = t.money(text)
		case "tax_lines", "taxLines":
			r.Once(&seen, 17)
			o.Taxes = t.taxLines(block.taxes[:0])
		case "customer":
			r.Once(&seen, 18)
			o.BuyerId, first, last = r.customer()
			o.BuyerId = t.keep(o.BuyerId)
		case "shipping_address", "shippingAddress":
			r.Once(&seen, 19)
			shipping = t.address()
		case "billing_address", "billingAddress":
			r.Once(&seen, 20)
			billing = t.address()
		case "email":
			r.Once(&seen, 21)
			block.personal.Email = t.str()
		case "phone":
			r.Once(&seen, 22)
			block.personal.Phone = t.str()
		case "source_identifier", "sourceIdentifier":
			r.Once(&seen, 23)
			source = r.Text()
		case "po_number", "poNumber":
			r.Once(&seen, 24)
			po = r.Text()
		case "line_items", "lineItems":
			r.Once(&seen, 25)
			t.currencyOf()
			t.each(func() { t.line(o) })
		case "shipping_lines", "shippingLines":
			r.Once(&seen, 26)
			t.currencyOf()
			t.each(func() { t.shippingLine(o) })
		case "discount_applications", "discountApplications":
			r.Once(&seen, 27)
			applications = true
			t.each(func() { o.Discounts = append(o.Discounts, t.application()) })
		case "discount_codes":
			r.Once(&seen, 28)
			t.currencyOf()
			t.each(func() { codes = append(codes, t.discountCode()) })
		case "fulfillments":
			r.Once(&seen, 29)
			t.each(func() { t.fulfilment(of) })
		case "refunds":
			r.Once(&seen, 30)
			t.currencyOf()
			t.each(func() {
				if f := t.refund(false); f != nil {
					o.Refunds = append(o.Refunds, f)
				}
			})
		default:
			r.Skip()
		}
	}
	if r.Err() != nil {
		return nil
	}
	if o.Id == "" || o.Currency == "" || o.UpdatedMs == 0 {
		r.Fail("an order needs id, currency and updated_at")
		return nil
	}
	// processed_at is the order's business time: it may lie before created_at when an order
	// is imported, and Shopify's own reports go by it.
	// https://shopify.dev/docs/api/admin-graphql/2026-10/objects/Order#field-processedAt
	if o.CreatedMs = processed; o.CreatedMs == 0 {
		o.CreatedMs = created
	}
	switch {
	case o.CancelledMs != 0:
		o.Status = event.OrderStatus_ORDER_STATUS_CANCELLED
	case closed != 0:
		o.Status = event.OrderStatus_ORDER_STATUS_CLOSED
	default:
		o.Status = event.OrderStatus_ORDER_STATUS_OPEN
	}
	if total.shop == "" {
		total.shop = totalText
	}
	if o.Total = t.money(total.shop); o.Total == nil {
		r.Fail("an order needs a total price")
		return nil
	}
	if total.buyerCurrency != "" && total.buyerCurrency != o.Currency {
		minor, err := money.Parse(provider, total.buyerCurrency, total.buyer)
		if err != nil {
			r.Fail("presentment total: %v", err)
			return nil
		}
		o.PresentmentTotal = t.amount(minor, t.keep(total.buyerCurrency))
	}
	if o.TotalShipping = t.money(shippingTotal); o.TotalShipping == nil {
		o.TotalShipping = t.amount(0, o.Currency)
		for _, l := range o.ShippingLines {
			o.TotalShipping.Minor = t.sum(o.TotalShipping.Minor, l.Price.GetMinor())
		}
	}
	if o.TotalDiscounts == nil {
		o.TotalDiscounts = t.amount(0, o.Currency)
	}
	if o.TotalTax == nil {
		o.TotalTax = t.amount(0, o.Currency)
	}
	if !applications {
		o.Discounts = codes
	}
	if source == "" {
		source = po
	}
	o.Reference = t.keep(source)
	o.Destination = destination(&block.destination, shipping, billing)
	o.Personal = t.personal(&block.personal, first, last, shipping, billing)
	return block
}

// finish is what can be said only when all of the order has been read.
func (t *translation) finish(o *event.Order) {
	if t.r.Err() != nil {
		return
	}
	for _, f := range o.Refunds {
		f.OrderId = o.Id
	}
	// One line is found by looking along; many lines by an index.
	find := func(id string) int {
		for i, l := range o.Lines {
			if l.Id == id {
				return i
			}
		}
		return -1
	}
	if len(o.Lines) > 24 {
		index := make(map[string]int, len(o.Lines))
		for i, l := range o.Lines {
			index[l.Id] = i
		}
		find = func(id string) int {
			if i, ok := index[id]; ok {
				return i
			}
			return -1
		}
	}
	for _, f := range t.fulfilled {
		if i := find(f.line); i >= 0 {
			o.Lines[i].Fulfilled += f.units
		}
	}
	// removed = quantity − current − refunded: current_quantity has lost both what an edit
	// took out and what a refund took back, and the refunds tell their part themselves.
	for i, l := range o.Lines {
		if c := t.current[i]; c >= 0 {
			l.Removed = l.Quantity - c
		}
	}
	for _, f := range o.Refunds {
		for _, fl := range f.Lines {
			if i := find(fl.OrderLineId); i >= 0 && t.current[i] >= 0 {
				o.Lines[i].Removed -= fl.Quantity
			}
		}
	}
	subtotal, shipped, left, gone := int64(0), int64(0), int64(0), int64(0)
	for _, l := range o.Lines {
		l.Removed = max(0, l.Removed)
		subtotal = t.sum(subtotal, l.Total.GetMinor())
		shipped += l.Fulfilled
		left += max(0, l.Quantity-l.Removed-l.Fulfilled)
		gone += l.Removed
	}
	for _, f := range o.Refunds {
		for _, fl := range f.Lines {
			if fl.Restock == event.Restock_RESTOCK_CANCEL {
				left -= fl.Quantity
				gone += fl.Quantity
			}
		}
	}
	o.Subtotal = t.amount(subtotal, o.Currency)
	// The two shapes name different states (partial, IN_PROGRESS, ON_HOLD …): it is derived
	// from the lines, which they tell alike.
	switch {
	case shipped > 0 && left <= 0:
		o.FulfilmentStatus = event.FulfilmentStatus_FULFILMENT_STATUS_FULFILLED
	case shipped > 0:
		o.FulfilmentStatus = event.FulfilmentStatus_FULFILMENT_STATUS_PARTIAL
	case left <= 0 && gone > 0:
		o.FulfilmentStatus = event.FulfilmentStatus_FULFILMENT_STATUS_RESTOCKED
	default:
		o.FulfilmentStatus = event.FulfilmentStatus_FULFILMENT_STATUS_UNFULFILLED
	}
	for i, d := range o.Discounts {
		if d.Amount == nil && i < len(t.allocated) {
			d.Amount = t.amount(t.allocated[i], o.Currency)
		}
		if d.Amount == nil {
			d.Amount = t.amount(0, o.Currency)
		}
	}
}

// orderPage reads {"id": …, one connection}: more lines of the order, of a fulfilment or of
// a refund that has been read before.
func (t *translation) orderPage(b *orderBlock, of *fulfilments) {
	r := t.r
	if b == nil || !r.Object() {
		r.Unexpected("a page")
		return
	}
	o := &b.order
	var id string
	var seen jsonread.Members
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "id":
			r.Once(&seen, 0)
			id = r.ID()
		case "lineItems":
			r.Once(&seen, 1)
			t.each(func() { t.line(o) })
		case "fulfillmentLineItems":
			r.Once(&seen, 2)
			if counts, known := (*of)[id]; known {
				t.each(func() { t.fulfilledLine(counts) })
			} else {
				r.Fail("a page of fulfilment %q, which the order does not have", id)
			}
		case "refundLineItems":
			r.Once(&seen, 3)
			t.refundPage(o, id)
		default:
			r.Skip()
		}
	}
}

func (t *translation) refundPage(o *event.Order, id string) {
	for _, f := range o.Refunds {
		if f.Id == id {
			t.each(func() {
				if l := t.refundLine(); l != nil {
					f.Lines = append(f.Lines, l)
				}
			})
			return
		}
	}
	t.r.Fail("a page of refund %q, which the order does not have", id)
}

// maxApplications bounds the discounts of one order.
const maxApplications = 1000

func (t *translation) shippingLine(o *event.Order) {
	r := t.r
	var seen jsonread.Members
	if !r.Object() {
		return
	}
	l := t.ships.take()
	removed := false
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "id":
			r.Once(&seen, 0)
			l.Id = t.id()
		case "code":
			r.Once(&seen, 1)
			l.Code = t.str()
		case "title":
			r.Once(&seen, 2)
			l.Title = t.str()
		case "price":
			r.Once(&seen, 3)
			l.Price = t.money(r.Number())
		case "originalPriceSet":
			r.Once(&seen, 3)
			l.Price = t.money(r.bag().shop)
		case "discount_allocations", "discountAllocations":
			r.Once(&seen, 4)
			l.Discount = t.nonZero(t.allocations())
		case "tax_lines", "taxLines":
			r.Once(&seen, 5)
			l.Taxes = t.taxLines(nil)
		case "is_removed":
			r.Once(&seen, 6)
			removed = r.Boolean()
		default:
			r.Skip()
		}
	}
	if !removed && r.Err() == nil {
		o.ShippingLines = append(o.ShippingLines, l)
	}
}

// fulfilment adds the units of one shipment to its lines, unless it came to nothing.
func (t *translation) fulfilment(of *fulfilments) {
	r := t.r
	var seen jsonread.Members
	if !r.Object() {
		return
	}
	from := len(t.fulfilled)
	var id, status string
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "id":
			r.Once(&seen, 0)
			id = r.ID()
		case "status":
			r.Once(&seen, 1)
			status = strings.ToLower(r.Text())
		case "line_items":
			r.Once(&seen, 2)
			t.each(func() { t.fulfilledLine(true) })
		case "fulfillmentLineItems":
			r.Once(&seen, 2)
			t.each(func() { t.fulfilledLine(true) })
		default:
			r.Skip()
		}
	}
	counts := status != "cancelled" && status != "error" && status != "failure"
	if !counts {
		t.fulfilled = t.fulfilled[:from]
	}
	if *of == nil {
		*of = fulfilments{}
	}
	(*of)[id] = counts
}

// fulfilledLine reads a line of a fulfilment: {"id", "quantity"} in webhooks, where the id is
// the order line's, and {"quantity", "lineItem": {"id"}} in GraphQL.
func (t *translation) fulfilledLine(counts bool) {
	r := t.r
	var seen jsonread.Members
	if !r.Object() {
		return
	}
	var c lineCount
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "id":
			r.Once(&seen, 0)
			c.line = r.ID()
		case "lineItem":
			r.Once(&seen, 0)
			c.line = r.idOf()
		case "quantity":
			r.Once(&seen, 1)
			c.units = r.Integer()
		default:
			r.Skip()
		}
	}
	if c.units < 0 {
		r.Fail("a fulfilment of %d units", c.units)
	}
	if counts {
		t.fulfilled = append(t.fulfilled, c)
	}
}

// paymentStatus maps financial_status (lower case) and displayFinancialStatus (upper case).
func paymentStatus(s string) event.PaymentStatus {
	switch s {
	case "pending", "PENDING":
		return event.PaymentStatus_PAYMENT_STATUS_PENDING
	case "authorized", "AUTHORIZED":
		return event.PaymentStatus_PAYMENT_STATUS_AUTHORISED
	case "partially_paid", "PARTIALLY_PAID":
		return event.PaymentStatus_PAYMENT_STATUS_PARTIALLY_PAID
	case "paid", "PAID":
		return event.PaymentStatus_PAYMENT_STATUS_PAID
	case "partially_refunded", "PARTIALLY_REFUNDED":
		return event.PaymentStatus_PAYMENT_STATUS_PARTIALLY_REFUNDED
	case "refunded", "REFUNDED":
		return event.PaymentStatus_PAYMENT_STATUS_REFUNDED
	// An authorisation that ran out holds no money any more, as one that was voided.
	case "voided", "VOIDED", "expired", "EXPIRED":
		return event.PaymentStatus_PAYMENT_STATUS_VOIDED
	}
	return event.PaymentStatus_PAYMENT_STATUS_UNSPECIFIED
}
