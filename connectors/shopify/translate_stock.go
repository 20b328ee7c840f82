package shopify

import (
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
)

// What a location shows of an item.

// level reads what one location shows of one stock item. It is nil for an item whose stock
// is not kept.
func (t *translation) level() *event.InventoryObservation {
	r := t.r
	if !r.Object() {
		r.Unexpected("an inventory level")
		return nil
	}
	o := &event.InventoryObservation{Connector: provider, Account: t.account}
	var seen jsonread.Members
	told := false
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "inventory_item_id":
			r.Once(&seen, 0)
			o.StockId = t.id()
		case "item":
			r.Once(&seen, 0)
			o.StockId = t.keep(r.idOf())
		case "location_id":
			r.Once(&seen, 1)
			o.Location = t.id()
		case "location":
			r.Once(&seen, 1)
			o.Location = t.keep(r.idOf())
		case "available":
			r.Once(&seen, 2)
			if !r.Null() {
				o.Shown, told = r.Integer(), true
			}
		case "quantities":
			r.Once(&seen, 2)
			t.each(func() {
				if name, quantity := r.quantity(); name == "available" {
					o.Shown, told = quantity, true
				}
			})
		case "updated_at", "updatedAt":
			r.Once(&seen, 3)
			o.UpdatedMs = r.Instant()
		default:
			r.Skip()
		}
	}
	if r.Err() != nil || !told {
		return nil
	}
	if o.StockId == "" || o.Location == "" {
		r.Fail("an inventory level needs its item and location")
		return nil
	}
	return o
}

// quantity reads {"name", "quantity"}.
func (r *reader) quantity() (name string, quantity int64) {
	if !r.Object() {
		return "", 0
	}
	var seen jsonread.Members
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "name":
			r.Once(&seen, 0)
			name = r.Text()
		case "quantity":
			r.Once(&seen, 1)
			quantity = r.Integer()
		default:
			r.Skip()
		}
	}
	return name, quantity
}
