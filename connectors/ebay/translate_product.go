package ebay

import (
	"slices"
	"time"

	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// itemDoc is an inventory item with its offers while they are being read.
type itemDoc struct {
	sku, title, brand string
	identifiers       []*event.Identifier
	quantity          int64
	offers            []offerDoc
}

type offerDoc struct {
	id, format, status, listing, listingStatus string
	available                                  *int64
	price                                      amount
	category                                   string
}

// live is offer.live for the translator.
func (o offerDoc) live() bool {
	return o.status == "PUBLISHED" && o.format != "AUCTION" && o.listing != "" && o.listingStatus != "ENDED"
}

// shown is what a buyer can buy: the inventory item's quantity, or less where an offer holds
// less. ok is false when no offer is live.
// https://developer.ebay.com/api-docs/sell/static/inventory/inventory-quantities.html
func shown(item int64, available []*int64) (quantity int64, ok bool) {
	for i, a := range available {
		most := item
		if a != nil {
			most = min(item, *a)
		}
		if quantity = max(quantity, most); i == 0 {
			quantity = most
		}
	}
	return quantity, len(available) > 0
}

func (d *itemDoc) shown() (int64, bool) {
	var available []*int64
	for _, o := range d.offers {
		if o.live() {
			available = append(available, o.available)
		}
	}
	return shown(d.quantity, available)
}

// product reads what the crawler assembled. eBay tells no time of change: the record's own
// time, eBay's clock when it was read, orders the snapshots.
func (t *translation) product(at time.Time) *event.Product {
	d := t.item()
	if t.r.Err() != nil {
		return nil
	}
	if at.IsZero() {
		t.r.Fail("the record has no time")
		return nil
	}
	p := &event.Product{Connector: provider, Account: t.account, Id: d.sku, Title: d.title, Brand: d.brand, UpdatedMs: at.UnixMilli(), Status: "unpublished"}
	quantity, live := d.shown()
	if !live {
		return p // nothing that could be bought
	}
	p.Status = "published"
	l := &event.ListingSnapshot{Id: d.sku, PlatformSku: d.sku, Title: d.title, Identifiers: d.identifiers, Stocked: !slices.Contains(t.services, d.sku), StockId: d.sku, Shown: &quantity}
	for _, o := range d.offers {
		if o.live() && l.Price == nil && o.price.value != "" {
			minor, err := money.Parse(provider, o.price.currency, o.price.value)
			if err != nil {
				t.r.Fail("pricingSummary.price: %v", err)
				return nil
			}
			l.Price = &event.Money{Minor: minor, Currency: o.price.currency}
			p.Category = o.category
		}
	}
	p.Listings = []*event.ListingSnapshot{l}
	return p
}

// stock reads the same, for what is shown.
func (t *translation) stock(at time.Time) *event.InventoryObservation {
	d := t.item()
	if t.r.Err() != nil {
		return nil
	}
	if at.IsZero() {
		t.r.Fail("the record has no time")
		return nil
	}
	quantity, live := d.shown()
	if !live {
		return nil
	}
	return &event.InventoryObservation{Connector: provider, Account: t.account, StockId: d.sku, Shown: quantity, UpdatedMs: at.UnixMilli()}
}

func (t *translation) item() (d itemDoc) {
	r := &t.r
	var seen jsonread.Members
	if !r.Object() {
		r.Unexpected("an object")
		return d
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "item":
			r.Once(&seen, 0)
			t.inventoryItem(&d)
		case "offers":
			r.Once(&seen, 1)
			t.each(func() { d.offers = append(d.offers, t.offer()) })
		default:
			r.Skip()
		}
	}
	if r.Err() == nil && d.sku == "" {
		r.Fail("an inventory item needs a sku")
	}
	return d
}

func (t *translation) inventoryItem(d *itemDoc) {
	r := &t.r
	var seen jsonread.Members
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "sku":
			r.Once(&seen, 0)
			d.sku = r.Text()
		case "product":
			r.Once(&seen, 1)
			t.itemProduct(d)
		case "availability":
			r.Once(&seen, 2)
			d.quantity = t.nested("shipToLocationAvailability", "quantity")
		default:
			r.Skip()
		}
	}
}

// nested reads the whole number at a path of two members; 0 when it is not there.
func (t *translation) nested(outer, inner string) (v int64) {
	r := &t.r
	if !r.Object() {
		return 0
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		if key != outer || !r.Object() {
			if key != outer {
				r.Skip()
			}
			continue
		}
		for key, ok := r.Next(); ok; key, ok = r.Next() {
			if key == inner && !r.Null() {
				v = r.Integer()
			} else if key != inner {
				r.Skip()
			}
		}
	}
	return v
}

func (t *translation) itemProduct(d *itemDoc) {
	r := &t.r
	var seen jsonread.Members
	if !r.Object() {
		return
	}
	add := func(kind event.IdentifierKind, value string) {
		// "Does not apply" is what eBay lets sellers write where there is no number.
		if value != "" && value[0] != 'D' && value[0] != 'd' || kind == event.IdentifierKind_IDENTIFIER_KIND_MPN && value != "" {
			d.identifiers = append(d.identifiers, &event.Identifier{Kind: kind, Value: value})
		}
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "title":
			r.Once(&seen, 0)
			d.title = r.Text()
		case "brand":
			r.Once(&seen, 1)
			d.brand = r.Text()
		case "mpn":
			r.Once(&seen, 2)
			add(event.IdentifierKind_IDENTIFIER_KIND_MPN, r.Text())
		case "ean":
			r.Once(&seen, 3)
			t.each(func() { add(event.IdentifierKind_IDENTIFIER_KIND_GTIN, r.Text()) })
		case "upc":
			r.Once(&seen, 4)
			t.each(func() { add(event.IdentifierKind_IDENTIFIER_KIND_GTIN, r.Text()) })
		case "isbn":
			r.Once(&seen, 5)
			t.each(func() { add(event.IdentifierKind_IDENTIFIER_KIND_ISBN, r.Text()) })
		default:
			r.Skip()
		}
	}
}

func (t *translation) offer() (o offerDoc) {
	r := &t.r
	var seen jsonread.Members
	if !r.Object() {
		return o
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "offerId":
			r.Once(&seen, 0)
			o.id = r.Text()
		case "format":
			r.Once(&seen, 1)
			o.format = r.Text()
		case "status":
			r.Once(&seen, 2)
			o.status = r.Text()
		case "categoryId":
			r.Once(&seen, 3)
			o.category = r.Text()
		case "availableQuantity":
			r.Once(&seen, 4)
			if !r.Null() {
				v := r.Integer()
				o.available = &v
			}
		case "listing":
			r.Once(&seen, 5)
			if !r.Object() {
				continue
			}
			for key, ok := r.Next(); ok; key, ok = r.Next() {
				switch key {
				case "listingId":
					o.listing = r.Text()
				case "listingStatus":
					o.listingStatus = r.Text()
				default:
					r.Skip()
				}
			}
		case "pricingSummary":
			r.Once(&seen, 6)
			if !r.Object() {
				continue
			}
			for key, ok := r.Next(); ok; key, ok = r.Next() {
				if key == "price" {
					o.price = t.amount()
				} else {
					r.Skip()
				}
			}
		default:
			r.Skip()
		}
	}
	return o
}
