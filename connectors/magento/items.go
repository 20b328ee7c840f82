package magento

import (
	"strings"

	"github.com/helloword/crossdock/connectors/jsonread"
)

// item is a line of an order as Magento keeps it. Amounts are text until the currency is
// known; members of an object have no order.
type item struct {
	id, parent, product string
	kind, sku, name     string
	virtual             bool

	ordered, cancelled, shipped, refunded int64

	price, row, discount, compensation, tax, percent, weee string

	updated int64
}

// readItem reads a line. strict refuses a quantity that is not whole: half a metre cannot be
// counted in units. Otherwise such a line counts for what it certainly reserves.
func readItem(r *jsonread.Reader, strict *bool) (it item) {
	var seen jsonread.Members
	if !r.Object() {
		r.Unexpected("an order line")
		return it
	}
	quantity := func(up int64) int64 {
		text := r.Number()
		if text == "" {
			return 0
		}
		whole, fraction, _ := strings.Cut(text, ".")
		if !something(fraction) && !strings.ContainsAny(whole, "eE") {
			return wholeUnits(r, whole)
		}
		if strict != nil {
			r.Fail("a quantity of %s: only whole units can be counted", jsonread.Clip(text))
			return 0
		}
		return wholeUnits(r, whole) + up
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "item_id":
			r.Once(&seen, 0)
			it.id = r.ID()
		case "parent_item_id":
			r.Once(&seen, 1)
			it.parent = r.ID()
		case "product_id":
			r.Once(&seen, 2)
			it.product = r.ID()
		case "product_type":
			r.Once(&seen, 3)
			it.kind = r.Text()
		case "sku":
			r.Once(&seen, 4)
			it.sku = r.Text()
		case "name":
			r.Once(&seen, 5)
			it.name = r.Text()
		case "is_virtual":
			r.Once(&seen, 6)
			it.virtual = something(flag(r))
		case "qty_ordered":
			r.Once(&seen, 7)
			it.ordered = quantity(0)
		case "qty_canceled":
			r.Once(&seen, 8)
			it.cancelled = quantity(1)
		case "qty_shipped":
			r.Once(&seen, 9)
			it.shipped = quantity(1)
		case "qty_refunded":
			r.Once(&seen, 10)
			it.refunded = quantity(1)
		case "base_price":
			r.Once(&seen, 11)
			it.price = r.Number()
		case "base_row_total":
			r.Once(&seen, 12)
			it.row = r.Number()
		case "base_discount_amount":
			r.Once(&seen, 13)
			it.discount = r.Number()
		case "base_discount_tax_compensation_amount":
			r.Once(&seen, 14)
			it.compensation = r.Number()
		case "base_tax_amount":
			r.Once(&seen, 15)
			it.tax = r.Number()
		case "tax_percent":
			r.Once(&seen, 16)
			it.percent = r.Number()
		case "base_weee_tax_applied_row_amnt", "base_weee_tax_applied_row_amount":
			it.weee = r.Number()
		case "updated_at":
			r.Once(&seen, 17)
			it.updated = instant(r)
		default:
			r.Skip()
		}
	}
	return it
}

// flag reads 0, 1, true or false as text.
func flag(r *jsonread.Reader) string {
	switch r.Peek() {
	case 't', 'f':
		if r.Boolean() {
			return "1"
		}
		return "0"
	}
	return r.Number()
}

// goods is one line of ours: something that leaves the shelf, or something that is paid for,
// mostly both.
type goods struct {
	item
	// money is the line that was paid; nil = nothing, it was paid with another line.
	money *item
	// stocked: units of it lie on a shelf.
	stocked bool
}

// stockedKind says whether a product of this type lies on a shelf. Virtual and downloadable
// ones do not, and the others are made of simple ones.
func stockedKind(kind string) bool { return kind == "simple" }

// goodsOf makes our lines of Magento's: goods are counted once, and money once.
//
//   - A configurable product stands there twice, as what was chosen from (parent: money,
//     quantities) and as what leaves the shelf (child: product, no money). It is one line,
//     under the parent's id, by which shipments and refunds go.
//   - A bundle stands there with its parts. A price of its own stands with the bundle: then it
//     is a line without goods, and the parts are lines without money. Where the parts have
//     prices, the bundle repeats their sum, and only the parts are lines.
//   - A line of a grouped product names the simple product that was chosen, and is of type
//     "grouped" all the same.
//   - A child whose parent is not there stands for itself.
func goodsOf(items []item) []goods {
	lines := make([]goods, 0, len(items))
	for i := range items {
		it := &items[i]
		if p := byID(items, it.parent); p != nil && p != it && onTop(items, p) {
			continue
		}
		first, priced := -1, false
		for c := range items {
			if child := &items[c]; child.parent == it.id && it.id != "" && c != i {
				if first < 0 {
					first = c
				}
				priced = priced || something(child.row)
			}
		}
		switch {
		case first < 0:
			lines = append(lines, goods{*it, it, (stockedKind(it.kind) || it.kind == "grouped") && !it.virtual})
		case it.kind == "bundle":
			if !priced {
				lines = append(lines, goods{item: *it, money: it})
			}
			lines = parts(lines, items, it, priced)
		default:
			l := goods{*it, it, stockedKind(items[first].kind) && !items[first].virtual}
			l.product, l.sku = items[first].product, items[first].sku
			l.shipped = max(it.shipped, items[first].shipped)
			lines = append(lines, l)
		}
	}
	return lines
}

// onTop says whether a line has no parent among the lines.
func onTop(items []item, it *item) bool {
	p := byID(items, it.parent)
	return p == nil || p == it
}

func byID(items []item, id string) *item {
	for i := range items {
		if id != "" && items[i].id == id {
			return &items[i]
		}
	}
	return nil
}

// parts appends the parts of a bundle. What happened to the bundle as a whole (it is shipped
// together, or has one price) may be told with the bundle only: then it counts for each part
// by its share.
func parts(lines []goods, items []item, bundle *item, priced bool) []goods {
	var shipped, cancelled, refunded bool
	for _, c := range items {
		if c.parent == bundle.id {
			shipped, cancelled, refunded = shipped || c.shipped > 0, cancelled || c.cancelled > 0, refunded || c.refunded > 0
		}
	}
	share := func(told bool, own, whole, ordered int64) int64 {
		if told || bundle.ordered <= 0 {
			return own
		}
		return min(ordered, whole*(ordered/bundle.ordered))
	}
	for i := range items {
		c := &items[i]
		if c.parent != bundle.id {
			continue
		}
		l := goods{item: *c, stocked: stockedKind(c.kind) && !c.virtual}
		if priced {
			l.money = c
		}
		l.shipped = share(shipped, c.shipped, bundle.shipped, c.ordered)
		l.cancelled = share(cancelled, c.cancelled, bundle.cancelled, c.ordered)
		l.refunded = share(refunded, c.refunded, bundle.refunded, c.ordered)
		lines = append(lines, l)
	}
	return lines
}
