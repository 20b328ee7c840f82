package shopify

import (
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// The lines of an order.

func (t *translation) line(o *event.Order) {
	r := t.r
	if !r.Object() {
		return
	}
	block := t.lines.take()
	l := &block.line
	var (
		seen            jsonread.Members
		title           string
		tracked         bool
		current         = int64(-1)
		allocated       bool
		discount, ofOwn int64
	)
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "id":
			r.Once(&seen, 0)
			l.Id = t.id()
		case "name":
			r.Once(&seen, 1)
			l.Title = t.str()
		case "title":
			r.Once(&seen, 2)
			title = r.Text()
		case "sku":
			r.Once(&seen, 3)
			l.PlatformSku = t.str()
		case "quantity":
			r.Once(&seen, 4)
			l.Quantity = r.Integer()
		case "current_quantity", "currentQuantity":
			r.Once(&seen, 5)
			if !r.Null() {
				current = r.Integer()
			}
		case "price":
			r.Once(&seen, 6)
			t.unitPrice(block, r.Number())
		case "originalUnitPriceSet":
			r.Once(&seen, 6)
			t.unitPrice(block, r.bag().shop)
		case "variant_id":
			r.Once(&seen, 7)
			l.ListingId = t.id()
		case "product_id":
			r.Once(&seen, 8)
			l.ProductId = t.id()
		case "variant_inventory_management":
			r.Once(&seen, 9)
			tracked = r.Text() != ""
		case "variant":
			r.Once(&seen, 7)
			l.ListingId, tracked = r.variant()
			l.ListingId = t.keep(l.ListingId)
		case "product":
			r.Once(&seen, 8)
			l.ProductId = t.keep(r.idOf())
		case "total_discount":
			r.Once(&seen, 10)
			ofOwn = t.minor(r.Number())
		case "discount_allocations", "discountAllocations":
			r.Once(&seen, 11)
			allocated = true
			discount = t.allocations()
		case "tax_lines", "taxLines":
			r.Once(&seen, 12)
			l.Taxes = t.taxLines(block.taxes[:0])
		default:
			r.Skip()
		}
	}
	if r.Err() != nil {
		return
	}
	if l.Id == "" || l.UnitPrice == nil {
		r.Fail("a line needs id and price")
		return
	}
	if l.Quantity < 0 {
		r.Fail("a line of %d units", l.Quantity)
		return
	}
	if l.Title == "" {
		l.Title = t.keep(title)
	}
	// A line without a variant is a custom sale, or its product is gone: nothing of it is
	// in stock at Shopify.
	l.Stocked = tracked && l.ListingId != ""
	if !allocated {
		discount = ofOwn // payloads from before 2018 have no allocations
	}
	l.Discount = t.nonZero(discount)
	exponent, ok := money.Exponent(provider, t.currency)
	if !ok {
		r.Fail("currency %q is not known", jsonread.Clip(t.currency))
		return
	}
	minor, err := money.Mul(l.UnitPrice, l.Quantity, exponent)
	if err != nil {
		r.Fail("quantity × price: %v", err)
		return
	}
	block.total.Minor, block.total.Currency = minor, t.currency
	l.Total = &block.total
	o.Lines = append(o.Lines, l)
	t.current = append(t.current, current)
}

func (t *translation) unitPrice(b *lineBlock, text string) {
	if text == "" || t.r.Err() != nil {
		return
	}
	if err := money.ParseDecimalInto(&b.unit, text); err != nil {
		t.r.Fail("%v", err)
		return
	}
	b.line.UnitPrice = &b.unit
}

// variant reads {"id", "inventoryItem": {"tracked"}}.
func (r *reader) variant() (id string, tracked bool) {
	var seen jsonread.Members
	if !r.Object() {
		return "", false
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "id":
			r.Once(&seen, 0)
			id = r.ID()
		case "inventoryItem":
			r.Once(&seen, 1)
			_, tracked = r.stockItem()
		default:
			r.Skip()
		}
	}
	return id, tracked
}

// stockItem reads {"id", "tracked"}.
func (r *reader) stockItem() (id string, tracked bool) {
	var seen jsonread.Members
	if !r.Object() {
		return "", false
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "id":
			r.Once(&seen, 0)
			id = r.ID()
		case "tracked":
			r.Once(&seen, 1)
			tracked = r.Boolean()
		default:
			r.Skip()
		}
	}
	return id, tracked
}

// allocations adds up the discounts of one line, and each discount over all lines.
func (t *translation) allocations() (total int64) {
	r := t.r
	t.each(func() {
		var seen jsonread.Members
		var amount, index int64
		if !r.Object() {
			return
		}
		for key, ok := r.Next(); ok; key, ok = r.Next() {
			switch key {
			case "amount":
				r.Once(&seen, 0)
				amount = t.minor(r.Number())
			case "allocatedAmountSet":
				r.Once(&seen, 0)
				amount = t.minor(r.bag().shop)
			case "discount_application_index":
				r.Once(&seen, 1)
				index = r.Integer()
			case "discountApplication":
				r.Once(&seen, 1)
				index = r.applicationIndex()
			default:
				r.Skip()
			}
		}
		if index < 0 || index >= maxApplications {
			r.Fail("discount application %d", index)
			return
		}
		for int(index) >= len(t.allocated) {
			t.allocated = append(t.allocated, 0)
		}
		t.allocated[index] = t.sum(t.allocated[index], amount)
		total = t.sum(total, amount)
	})
	return total
}

func (r *reader) applicationIndex() (index int64) {
	var seen jsonread.Members
	if !r.Object() {
		return 0
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		if key == "index" {
			r.Once(&seen, 0)
			index = r.Integer()
		} else {
			r.Skip()
		}
	}
	return index
}
