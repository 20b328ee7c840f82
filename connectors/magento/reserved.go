package magento

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
)

// Magento reserves what was ordered and subtracts it from a source when it is shipped. What
// a shop can sell is therefore the quantity of its source less what open orders reserve, and
// the hub's quantity is what can be sold: a source is written as that plus what is reserved.
// Writing it plainly takes every open order off twice (seen on 2.4.7).
//
// What is reserved is counted from the open orders themselves. The "salable quantity" that
// Magento answers comes from an index, which may lag behind the source: the difference of
// the two would then be taken for reservations, and goods sold that are not there.

// openStates are the states of orders that reserve.
const openStates = "new,pending_payment,processing,payment_review,holded"

// openFields is what is asked of an open order: a tenth of it.
const openFields = "items[entity_id,items[item_id,parent_item_id,product_id,product_type,is_virtual,qty_ordered,qty_canceled,qty_shipped,qty_refunded]],total_count"

// maxList bounds the values of one condition: the address of a call may have 8 kB.
const maxList = 50

// reserving counts the units that open orders reserve, by id of the product. A unit that was
// refunded reserves nothing, whether it had left or not: the lower count never oversells.
func (c *client) reserving(ctx context.Context, p connectors.Priority) (map[string]int64, error) {
	orders, err := c.all(ctx, "/V1/orders", condition{"state", "in", openStates}, openFields, p)
	if err != nil {
		return nil, fmt.Errorf("reading open orders: %w", err)
	}
	units := map[string]int64{}
	for _, order := range orders {
		items, err := itemsOf(order)
		if err != nil {
			return nil, fmt.Errorf("reading open orders: %w", err)
		}
		for _, l := range goodsOf(items) {
			open := l.ordered - l.cancelled - l.shipped - l.refunded
			if open > 0 && l.stocked {
				units[l.product] += open
			}
		}
	}
	return units, nil
}

// reserved counts them by SKU. An order line's own SKU may carry the SKUs of options behind the
// product's, so that all products are looked up: whoever knows the products counts by their ids.
func (c *client) reserved(ctx context.Context, p connectors.Priority) (map[string]int64, error) {
	units, err := c.reserving(ctx, p)
	if err != nil {
		return nil, err
	}
	ids := slices.Sorted(maps.Keys(units))
	bySKU := make(map[string]int64, len(ids))
	for len(ids) > 0 {
		n := min(len(ids), maxList)
		found, err := c.catalogue(ctx, condition{"entity_id", "in", strings.Join(ids[:n], ",")}, p)
		if err != nil {
			return nil, err
		}
		for _, product := range found {
			bySKU[product.sku] = units[product.id]
		}
		ids = ids[n:]
	}
	return bySKU, nil
}

// itemsOf reads the lines of an order's node and nothing else.
func itemsOf(node string) ([]item, error) {
	r := jsonread.NewString(node)
	var items []item
	if !r.Object() {
		r.Unexpected("an order")
	} else {
		for key, ok := r.Next(); ok; key, ok = r.Next() {
			if key == "items" {
				for ok := r.Array(); ok && r.More(); {
					items = append(items, readItem(r, nil))
				}
			} else {
				r.Skip()
			}
		}
	}
	r.End()
	return items, r.Err()
}

// entry is a product as the stock writer needs to know it.
type entry struct {
	id   string
	sku  string
	kind string
}

// stocked says whether a product of this kind has quantities of its own.
func (e entry) stocked() bool { return stockedKind(e.kind) }

// catalogue reads products by a condition that at most maxList of them fulfil.
func (c *client) catalogue(ctx context.Context, where condition, p connectors.Priority) ([]entry, error) {
	s := search{where: []condition{where}, size: maxPage, fields: "items[id,sku,type_id],total_count"}
	a, err := c.read(ctx, "/V1/products", s.query(), p)
	if err != nil {
		return nil, fmt.Errorf("looking up products: %w", err)
	}
	page, err := readPage(a.body)
	if err != nil {
		return nil, fmt.Errorf("looking up products: %w", err)
	}
	entries := make([]entry, 0, len(page.nodes))
	for _, node := range page.nodes {
		r := jsonread.NewString(node)
		var e entry
		if r.Object() {
			for key, ok := r.Next(); ok; key, ok = r.Next() {
				switch key {
				case "id":
					e.id = r.ID()
				case "sku":
					e.sku = r.Text()
				case "type_id":
					e.kind = r.Text()
				default:
					r.Skip()
				}
			}
		}
		if r.Err() != nil {
			return nil, fmt.Errorf("looking up products: %w", r.Err())
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// bySKU calls read with conditions that name all SKUs between them. A comma separates the
// values of a list, so that a SKU with a comma is asked for alone.
func bySKU(skus []string, read func(condition) error) error {
	var together []string
	for _, sku := range skus {
		if strings.Contains(sku, ",") {
			if err := read(condition{"sku", "eq", sku}); err != nil {
				return err
			}
			continue
		}
		together = append(together, sku)
	}
	for len(together) > 0 {
		n := min(len(together), maxList)
		if err := read(condition{"sku", "in", strings.Join(together[:n], ",")}); err != nil {
			return err
		}
		together = together[n:]
	}
	return nil
}

// sourceItem is what one source holds of one SKU.
type sourceItem struct {
	sku      string
	quantity int64
}

// readSourceItem reads a node. Whole units count: of 10.5 metres 10 can be promised.
func readSourceItem(r *jsonread.Reader) (s sourceItem, source string) {
	var seen jsonread.Members
	if !r.Object() {
		r.Unexpected("a source item")
		return s, ""
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "sku":
			r.Once(&seen, 0)
			s.sku = r.Text()
		case "source_code":
			r.Once(&seen, 1)
			source = r.Text()
		case "quantity":
			r.Once(&seen, 2)
			s.quantity = wholeUnits(r, r.Number())
		default:
			r.Skip()
		}
	}
	if r.Err() == nil && (s.sku == "" || source == "" || seen&4 == 0) {
		r.Fail("a source item needs sku, source_code and quantity")
	}
	return s, source
}

// wholeUnits is a quantity rounded down.
func wholeUnits(r *jsonread.Reader, text string) int64 {
	whole, fraction, _ := strings.Cut(text, ".")
	v, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		r.Fail("%q is not a quantity", jsonread.Clip(text))
		return 0
	}
	if strings.HasPrefix(text, "-") && something(fraction) {
		v--
	}
	return v
}

// stockOf is what is known of one SKU before it is written.
type stockOf struct {
	entry
	known    bool // the product exists
	has      bool // the source has it
	quantity int64
	reserved int64
}

// shown is what the shop can sell.
func (s stockOf) shown() int64 { return s.quantity - s.reserved }

// look reads what SKUs show now: whether they exist, what the source holds, and what open
// orders reserve.
func (c *client) look(ctx context.Context, skus []string, p connectors.Priority) (map[string]*stockOf, error) {
	found := make(map[string]*stockOf, len(skus))
	for _, sku := range skus {
		found[sku] = &stockOf{}
	}
	err := bySKU(skus, func(where condition) error {
		entries, err := c.catalogue(ctx, where, p)
		for _, e := range entries {
			if s := found[e.sku]; s != nil {
				s.entry, s.known = e, true
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := c.quantities(ctx, skus, found, p); err != nil {
		return nil, err
	}
	units, err := c.reserving(ctx, p)
	if err != nil {
		return nil, err
	}
	for _, s := range found {
		if s.known {
			s.reserved = units[s.id]
		}
	}
	return found, nil
}

// quantities reads what the source holds.
func (c *client) quantities(ctx context.Context, skus []string, into map[string]*stockOf, p connectors.Priority) error {
	return bySKU(skus, func(where condition) error {
		s := search{where: []condition{{"source_code", "eq", c.cfg.Source}, where}, size: maxPage}
		a, err := c.read(ctx, "/V1/inventory/source-items", s.query(), p)
		if err != nil {
			return fmt.Errorf("reading source %s: %w", c.cfg.Source, err)
		}
		page, err := readPage(a.body)
		if err != nil {
			return fmt.Errorf("reading source %s: %w", c.cfg.Source, err)
		}
		for _, node := range page.nodes {
			r := jsonread.NewString(node)
			item, _ := readSourceItem(r)
			if r.Err() != nil {
				return fmt.Errorf("reading source %s: %w", c.cfg.Source, r.Err())
			}
			if s := into[item.sku]; s != nil {
				s.has, s.quantity = true, item.quantity
			}
		}
		return nil
	})
}
