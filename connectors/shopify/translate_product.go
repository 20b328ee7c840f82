package shopify

import (
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
)

// Products and their variants, which are the listings.

func (t *translation) productEnvelope() (p *event.Product) {
	t.envelope("product", func() { p = t.readProduct() }, func() {
		r := t.r
		if p == nil || !r.Object() {
			r.Unexpected("a page")
			return
		}
		for key, ok := r.Next(); ok; key, ok = r.Next() {
			if key == "variants" {
				t.each(func() { t.listing(p) })
			} else {
				r.Skip()
			}
		}
	})
	return t.finishProduct(p)
}

func (t *translation) product() *event.Product { return t.finishProduct(t.readProduct()) }

// readProduct reads a product of either shape. It is nil, without an error, for a webhook
// that leaves variants out: Shopify cuts the list of products with very many variants and
// names all of them in variant_gids. Half a product would read as the deletion of the rest;
// the poll brings the whole.
func (t *translation) readProduct() *event.Product {
	r := t.r
	if !r.Object() {
		r.Unexpected("a product")
		return nil
	}
	t.currency = t.translator.currency
	p := &event.Product{Connector: provider, Account: t.account}
	var seen jsonread.Members
	named := 0
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "id":
			r.Once(&seen, 0)
			p.Id = t.id()
		case "title":
			r.Once(&seen, 1)
			p.Title = t.str()
		case "updated_at", "updatedAt":
			r.Once(&seen, 2)
			p.UpdatedMs = r.Instant()
		case "status":
			r.Once(&seen, 3)
			p.Status = t.keep(strings.ToLower(r.Text()))
		case "vendor":
			r.Once(&seen, 4)
			p.Brand = t.str()
		case "product_type", "productType":
			r.Once(&seen, 5)
			p.Category = t.str()
		case "variants":
			r.Once(&seen, 6)
			t.each(func() { t.listing(p) })
		case "variant_gids":
			r.Once(&seen, 7)
			t.each(func() { named++; r.Skip() })
		default:
			r.Skip()
		}
	}
	if r.Err() != nil || named > len(p.Listings) {
		return nil
	}
	if p.Id == "" || p.UpdatedMs == 0 {
		r.Fail("a product needs id and updated_at")
		return nil
	}
	return p
}

// noTitle is what Shopify calls the only variant of a product without options.
const noTitle = "Default Title"

func (t *translation) finishProduct(p *event.Product) *event.Product {
	if p == nil || t.r.Err() != nil {
		return nil
	}
	for _, l := range p.Listings {
		if l.Title == noTitle || l.Title == "" {
			l.Title = p.Title
		} else {
			l.Title = p.Title + " - " + l.Title
		}
	}
	return p
}

// listing reads a variant.
func (t *translation) listing(p *event.Product) {
	r := t.r
	if !r.Object() {
		return
	}
	l := &event.ListingSnapshot{}
	var seen jsonread.Members
	var barcode string
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "id":
			r.Once(&seen, 0)
			l.Id = t.id()
		case "title":
			r.Once(&seen, 1)
			l.Title = r.Text() // finishProduct keeps it
		case "sku":
			r.Once(&seen, 2)
			l.PlatformSku = t.str()
		case "barcode":
			r.Once(&seen, 3)
			barcode = r.Text()
		case "price":
			r.Once(&seen, 4)
			if price := r.Number(); t.currency != "" {
				l.Price = t.money(price)
			}
		case "inventory_quantity", "inventoryQuantity":
			r.Once(&seen, 5)
			if !r.Null() {
				shown := r.Integer()
				l.Shown = &shown
			}
		case "inventory_item_id":
			r.Once(&seen, 6)
			l.StockId = t.id()
		case "inventory_management":
			r.Once(&seen, 7)
			l.Stocked = r.Text() != ""
		case "inventoryItem":
			r.Once(&seen, 6)
			r.Once(&seen, 7)
			l.StockId, l.Stocked = r.stockItem()
			l.StockId = t.keep(l.StockId)
		default:
			r.Skip()
		}
	}
	if r.Err() != nil {
		return
	}
	if l.Id == "" {
		r.Fail("a variant needs an id")
		return
	}
	if seen&(1<<7) == 0 {
		// Newer webhooks do not say whether stock is kept; what has a stock item usually is.
		l.Stocked = l.StockId != ""
	}
	if k := connectors.BarcodeKind(barcode); k != event.IdentifierKind_IDENTIFIER_KIND_UNSPECIFIED {
		l.Identifiers = []*event.Identifier{{Kind: k, Value: t.keep(barcode)}}
	}
	if t.location != "" {
		l.Locations = []string{t.location}
	}
	p.Listings = append(p.Listings, l)
}

// deleted reads {"id"}; the time is the webhook's, for the body has none.
func (t *translation) deleted(at time.Time) *event.ProductDeleted {
	id := t.keep(t.r.idOf())
	if id == "" {
		t.r.Fail("a deleted product needs an id")
		return nil
	}
	d := &event.ProductDeleted{Connector: provider, Account: t.account, Id: id}
	if !at.IsZero() {
		d.DeletedMs = at.UnixMilli()
	}
	return d
}
