package woocommerce

import (
	"errors"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// item is a product or a variation as it stands in a document.
type item struct {
	id, parent, kind, name, sku, gtin, status string
	brand, category, price                    string
	modified                                  int64
	variations                                int
	manages                                   bool // keeps stock, its own or its product's
	own                                       bool // keeps stock of its own
	quantity                                  *int64
}

// stockID is the handle of stock writes: a variation is written below its product.
func stockID(product, variation string) string {
	if product == "" || product == "0" {
		return variation
	}
	return product + ":" + variation
}

// item reads a product or variation, in lists and webhooks alike.
func (t *translation) item() (it item) {
	if t.Peek() != '{' {
		t.Unexpected("a product")
		return it
	}
	var seen jsonread.Members
	var modified, created int64
	t.Object()
	for key, ok := t.Next(); ok; key, ok = t.Next() {
		switch key {
		case "id":
			t.Once(&seen, 0)
			it.id = t.ID()
		case "parent_id":
			t.Once(&seen, 1)
			if it.parent = t.ID(); it.parent == "0" {
				it.parent = ""
			}
		case "type":
			t.Once(&seen, 2)
			it.kind = t.Text()
		case "name":
			t.Once(&seen, 3)
			it.name = t.Text()
		case "sku":
			t.Once(&seen, 4)
			it.sku = t.Text()
		case "global_unique_id":
			t.Once(&seen, 5)
			it.gtin = t.Text()
		case "status":
			t.Once(&seen, 6)
			it.status = t.Text()
		case "price":
			t.Once(&seen, 7)
			it.price = t.Number()
		case "date_modified_gmt":
			t.Once(&seen, 8)
			modified = t.gmt()
		case "date_created_gmt":
			t.Once(&seen, 9)
			created = t.gmt()
		case "manage_stock":
			t.Once(&seen, 10)
			// true, false, or "parent": the variations share what their product has.
			if t.Peek() == '"' {
				it.manages = t.Text() == "parent"
			} else {
				it.own = t.Boolean()
				it.manages = it.own
			}
		case "stock_quantity":
			t.Once(&seen, 11)
			if !t.Null() {
				v := t.Integer()
				it.quantity = &v
			}
		case "variations":
			t.Once(&seen, 12)
			t.each(func() { it.variations++; t.Skip() })
		case "brands":
			t.Once(&seen, 13)
			it.brand = t.firstName()
		case "categories":
			t.Once(&seen, 14)
			it.category = t.firstName()
		default:
			t.Skip()
		}
	}
	if it.modified = modified; modified == 0 {
		it.modified = created
	}
	if t.Err() == nil && it.id == "" {
		t.Fail("a product needs an id")
	}
	return it
}

// firstName is the name of a list's first entry.
func (t *translation) firstName() (name string) {
	first := true
	t.each(func() {
		if !first || !t.Object() {
			t.Skip()
			return
		}
		first = false
		for key, ok := t.Next(); ok; key, ok = t.Next() {
			if key == "name" {
				name = t.Text()
			} else {
				t.Skip()
			}
		}
	})
	return name
}

// product reads a product as it stands in a webhook or a list. Of a variation only the stock
// is told: it is no product. Of a product with variations nothing: the document has no more
// than their ids, and half a product would read as the deletion of the rest; the poll brings
// the whole.
func (t *translation) product() (facts connectors.Facts) {
	it := t.item()
	if t.Err() != nil {
		return facts
	}
	switch {
	case it.status == statusTrash:
		if it.parent == "" {
			facts.Deleted = []*event.ProductDeleted{{Connector: Name, Account: t.account, Id: it.id, DeletedMs: it.modified}}
		}
		return facts
	case it.variations == 0 && it.parent == "":
		facts.Products = one(t.productOf(it, nil))
	}
	if it.variations == 0 {
		facts.Observations = one(t.observation(it))
	}
	return facts
}

// productWhole reads {"product", "variations"}.
func (t *translation) productWhole() *event.Product {
	if t.Peek() != '{' {
		t.Unexpected("a product with its variations")
		return nil
	}
	var seen jsonread.Members
	var it item
	var variations []item
	t.Object()
	for key, ok := t.Next(); ok; key, ok = t.Next() {
		switch key {
		case "product":
			t.Once(&seen, 0)
			it = t.item()
		case "variations":
			t.Once(&seen, 1)
			t.each(func() { variations = append(variations, t.item()) })
		default:
			t.Skip()
		}
	}
	if t.Err() == nil && seen != 3 {
		t.Fail("the product or its variations are missing")
	}
	if t.Err() != nil {
		return nil
	}
	return t.productOf(it, variations)
}

// productOf makes the fact. What can be bought is the product itself, or its variations and
// not the product. A group is bought by its members, which are products of their own, and
// external products are bought elsewhere.
func (t *translation) productOf(it item, variations []item) *event.Product {
	p := &event.Product{
		Connector: Name, Account: t.account, Id: it.id, Title: it.name, UpdatedMs: it.modified,
		Status: it.status, Brand: it.brand, Category: it.category,
	}
	switch {
	case it.kind == "grouped" || it.kind == "external":
	case it.variations > 0:
		for _, v := range variations {
			if v.status == statusTrash {
				continue
			}
			v.parent = it.id
			if v.name = it.name + " - " + v.name; v.name == it.name+" - " {
				v.name = it.name
			}
			// A variation changes without its product: the snapshot is as new as its newest part.
			p.UpdatedMs = max(p.UpdatedMs, v.modified)
			p.Listings = append(p.Listings, t.listing(v))
		}
	default:
		p.Listings = []*event.ListingSnapshot{t.listing(it)}
	}
	if p.UpdatedMs == 0 {
		t.Fail("a product needs date_modified_gmt")
		return nil
	}
	return p
}

func (t *translation) listing(it item) *event.ListingSnapshot {
	l := &event.ListingSnapshot{Id: it.id, StockId: stockID(it.parent, it.id), PlatformSku: it.sku, Title: it.name, Stocked: it.manages}
	if it.own {
		// What is shared with others shows everybody the same units.
		l.Shown = it.quantity
	}
	if k := connectors.BarcodeKind(it.gtin); k != event.IdentifierKind_IDENTIFIER_KIND_UNSPECIFIED {
		l.Identifiers = []*event.Identifier{{Kind: k, Value: it.gtin}}
	}
	if currency := t.translator.currency; currency != "" && it.price != "" {
		switch minor, err := money.Parse(Name, currency, it.price); {
		case err == nil:
			l.Price = &event.Money{Minor: minor, Currency: currency}
		case errors.Is(err, money.ErrPrecision):
			// Prices of one may be finer than what can be paid. Such a price is left out: the
			// listing is needed whatever it costs.
		default:
			t.Fail("price of %s: %v", it.id, err)
		}
	}
	return l
}

// stock reads a product or variation for what it shows.
func (t *translation) stock() *event.InventoryObservation {
	it := t.item()
	if t.Err() != nil {
		return nil
	}
	return t.observation(it)
}

// observation is nil for what keeps no stock of its own.
func (t *translation) observation(it item) *event.InventoryObservation {
	if !it.own || it.quantity == nil {
		return nil
	}
	return &event.InventoryObservation{Connector: Name, Account: t.account, StockId: stockID(it.parent, it.id), Shown: *it.quantity, UpdatedMs: it.modified}
}

// deleted reads {"id"}; the time is that of the webhook's arrival, for nothing else is told.
func (t *translation) deleted(at time.Time) *event.ProductDeleted {
	if t.Peek() != '{' {
		t.Unexpected("a product")
		return nil
	}
	d := &event.ProductDeleted{Connector: Name, Account: t.account, DeletedMs: unixMilli(at)}
	t.Object()
	for key, ok := t.Next(); ok; key, ok = t.Next() {
		if key == "id" {
			d.Id = t.ID()
		} else {
			t.Skip()
		}
	}
	if t.Err() == nil && d.Id == "" {
		t.Fail("a deleted product needs an id")
	}
	return d
}
