package simulator

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// run writes the data of a plan.
func (x *exec) run(p *plan) {
	kind := "QueryRoot"
	if p.mutation {
		kind = "Mutation"
		x.actual = 10
	}
	x.object(kind, 0, p.fields, func(f *field) bool {
		if scope := needed(f.name); scope != "" && !x.s.granted(scope) {
			x.fail("ACCESS_DENIED", "Access denied for %s field. Required access: `%s` access scope.", f.name, scope)
			return true
		}
		if p.mutation {
			return x.mutate(f)
		}
		return x.query(f)
	})
}

// needed is the scope of a root field.
func needed(field string) string {
	switch field {
	case "orders", "order":
		return "read_orders"
	case "orderCancel", "refundCreate":
		return "write_orders"
	case "productVariantsBulkUpdate":
		return "write_products"
	case "fulfillmentCreate":
		return "write_merchant_managed_fulfillment_orders"
	case "products":
		return "read_products"
	case "locations", "location":
		return "read_locations"
	case "inventorySetQuantities":
		return "write_inventory"
	}
	return ""
}

func (x *exec) query(f *field) bool {
	s := x.s
	switch f.name {
	case "orders":
		return x.changes(f, "Order", func(at int64, after uint64, counted, n int) (int, []uint64, bool, func(int, []*field)) {
			found, seqs, more := s.byUpdate.from(at, after, counted, n)
			return len(found), seqs, more, func(i int, fields []*field) { x.order(found[i], fields) }
		})
	case "products":
		return x.changes(f, "Product", func(at int64, after uint64, counted, n int) (int, []uint64, bool, func(int, []*field)) {
			found, seqs, more := s.byChange.from(at, after, counted, n)
			return len(found), seqs, more, func(i int, fields []*field) { x.product(found[i], fields) }
		})
	case "order":
		kind, id := split(x.text(f, "id"))
		o := s.orders[id]
		if o == nil || kind != "Order" {
			x.null()
			return true
		}
		x.order(o, f.under)
	case "node":
		x.node(x.text(f, "id"), f.under)
	case "nodes":
		ids, _ := x.arg(f, "ids").([]any)
		if len(ids) > 250 {
			x.fail("MAX_INPUT_SIZE_EXCEEDED", "The input array size of %d is greater than the maximum allowed of 250.", len(ids))
			return true
		}
		x.list(len(ids), func(i int) {
			id, _ := ids[i].(string)
			x.node(id, f.under)
		})
	case "locations":
		return x.connection(f, "Location", 1, func(_ int, fields []*field) { x.location(fields) })
	case "location":
		if kind, id := split(x.text(f, "id")); kind != "Location" || id != s.cfg.LocationID {
			x.null()
			return true
		}
		x.location(f.under)
	case "shop":
		x.object("Shop", 1, f.under, func(f *field) bool {
			switch f.name {
			case "name":
				x.quote(s.cfg.Name)
			case "myshopifyDomain":
				x.quote(s.cfg.Shop)
			case "currencyCode":
				x.quote(s.cfg.Currency)
			default:
				return false
			}
			return true
		})
	case "currentAppInstallation":
		x.object("AppInstallation", 1, f.under, func(f *field) bool {
			if f.name != "accessScopes" {
				return false
			}
			scopes := s.scopes()
			x.list(len(scopes), func(i int) {
				x.object("AccessScope", 0, f.under, func(f *field) bool {
					x.quote(scopes[i])
					return f.name == "handle"
				})
			})
			return true
		})
	case "webhookSubscriptions":
		return x.connection(f, "WebhookSubscription", len(s.subs), func(i int, fields []*field) { x.subscription(s.subs[i], fields) })
	default:
		return false
	}
	return true
}

// filter is the only search that is understood; another one is an error and not ignored.
var filter = regexp.MustCompile(`^updated_at:>='([^']+)'$`)

func (x *exec) filter(f *field) int64 {
	q := x.text(f, "query")
	if q == "" {
		return 0
	}
	m := filter.FindStringSubmatch(q)
	if m == nil {
		x.fail("BAD_REQUEST", "this shop does not understand the search %q", q)
		return 0
	}
	t, err := time.Parse(time.RFC3339, m[1])
	if err != nil {
		x.fail("BAD_REQUEST", "%v", err)
		return 0
	}
	return t.Unix()
}

// changes writes a connection sorted by UPDATED_AT. Its cursors are keyed by the change they
// stand behind, as Shopify's are; with the fault PageDrift they only count.
func (x *exec) changes(f *field, kind string, find func(at int64, after uint64, counted, n int) (int, []uint64, bool, func(int, []*field))) bool {
	if x.text(f, "sortKey") != "UPDATED_AT" {
		x.fail("BAD_REQUEST", "this shop sorts %s by UPDATED_AT only", f.name)
		return true
	}
	at := x.filter(f)
	var after uint64
	counted := 0
	if cursor := x.text(f, "after"); cursor != "" {
		how, rest, _ := strings.Cut(cursor, ":")
		n, err := strconv.ParseUint(rest, 10, 63)
		switch {
		case err != nil || (how != "key" && how != "count"):
			x.fail("BAD_REQUEST", "Invalid cursor for current pagination sort.")
			return true
		case how == "key":
			after = n
		default:
			counted = int(n)
		}
	}
	n, seqs, more, node := find(at, after, counted, x.first(f))
	cursor := func(i int) string { return "key:" + strconv.FormatUint(seqs[i], 10) }
	if x.s.faults.PageDrift {
		cursor = func(i int) string { return "count:" + strconv.Itoa(counted+i+1) }
	}
	return x.page(f, kind, n, more, cursor, node)
}

// split takes a global id apart.
func split(gid string) (kind string, id int64) {
	rest, ok := strings.CutPrefix(gid, "gid://shopify/")
	if !ok {
		return "", 0
	}
	kind, number, _ := strings.Cut(rest, "/")
	id, _ = strconv.ParseInt(number, 10, 64)
	return kind, id
}

func (x *exec) node(gid string, fields []*field) {
	s := x.s
	switch kind, id := split(gid); kind {
	case "Order":
		if o := s.orders[id]; o != nil {
			x.order(o, fields)
			return
		}
	case "Product":
		if p := s.product(id); p != nil {
			x.product(p, fields)
			return
		}
	case "ProductVariant":
		if v := s.variants[id]; v != nil {
			x.variant(v, fields)
			return
		}
	case "InventoryItem":
		if v := s.items[id]; v != nil {
			x.item(v, fields)
			return
		}
	case "Refund":
		if r, ok := s.parts[id].(*refund); ok {
			x.refund(r, fields)
			return
		}
	case "Fulfillment":
		if p, ok := s.parts[id].(*fulfilment); ok {
			x.fulfilment(p, fields)
			return
		}
	case "FulfillmentOrder":
		if fo, ok := s.parts[id].(*fulfilmentOrder); ok {
			x.fulfilmentOrder(fo, fields)
			return
		}
	case "OrderCancelJobResult":
		if j, ok := s.parts[id].(*job); ok {
			x.jobResult(j, fields)
			return
		}
	}
	x.null()
}

func (x *exec) product(p *product, fields []*field) {
	x.object("Product", 1, fields, func(f *field) bool {
		switch f.name {
		case "id":
			x.gid("Product", p.id)
		case "title":
			x.quote(p.title)
		case "status":
			x.quote("ACTIVE")
		case "vendor":
			x.quote(p.vendor)
		case "productType":
			x.quote(p.kind)
		case "updatedAt":
			x.time(p.updated)
		case "variants":
			return x.connection(f, "ProductVariant", len(p.variants), func(i int, fields []*field) { x.variant(p.variants[i], fields) })
		default:
			return false
		}
		return true
	})
}

func (x *exec) variant(v *variant, fields []*field) {
	x.object("ProductVariant", 1, fields, func(f *field) bool {
		switch f.name {
		case "id":
			x.gid("ProductVariant", v.id)
		case "title":
			x.quote(v.title)
		case "sku":
			x.string(v.sku)
		case "barcode":
			x.string(v.barcode)
		case "price":
			x.w.b = append(x.w.b, '"')
			x.w.b = x.s.priceText(x.w.b, v.price)
			x.w.b = append(x.w.b, '"')
		case "product":
			x.product(v.product, f.under)
		case "inventoryQuantity":
			x.int(v.available)
		case "inventoryItem":
			x.item(v, f.under)
		default:
			return false
		}
		return true
	})
}

func (x *exec) item(v *variant, fields []*field) {
	x.object("InventoryItem", 1, fields, func(f *field) bool {
		switch f.name {
		case "id":
			x.gid("InventoryItem", v.item)
		case "tracked":
			x.bool(v.tracked)
		case "sku":
			x.string(v.sku)
		case "inventoryLevel":
			if _, id := split(x.text(f, "locationId")); id != x.s.cfg.LocationID {
				x.null()
				return true
			}
			x.level(v, f.under)
		default:
			return false
		}
		return true
	})
}

func (x *exec) level(v *variant, fields []*field) {
	x.object("InventoryLevel", 1, fields, func(f *field) bool {
		switch f.name {
		case "id":
			x.w.b = append(x.w.b, `"gid://shopify/InventoryLevel/`...)
			x.int(x.s.cfg.LocationID)
			x.w.b = append(x.w.b, `?inventory_item_id=`...)
			x.int(v.item)
			x.w.b = append(x.w.b, '"')
		case "updatedAt":
			x.time(v.levelUpdated)
		case "item":
			x.item(v, f.under)
		case "location":
			x.location(f.under)
		case "quantities":
			names, _ := x.arg(f, "names").([]any)
			x.list(len(names), func(i int) {
				x.object("InventoryQuantity", 0, f.under, func(f *field) bool {
					switch f.name {
					case "name":
						name, _ := names[i].(string)
						x.quote(name)
					case "quantity":
						x.int(v.available)
					default:
						return false
					}
					return true
				})
			})
		default:
			return false
		}
		return true
	})
}

func (x *exec) location(fields []*field) {
	s := x.s
	x.object("Location", 1, fields, func(f *field) bool {
		switch f.name {
		case "id":
			x.gid("Location", s.cfg.LocationID)
		case "name":
			x.quote("Warehouse")
		case "isActive":
			x.bool(true)
		case "inventoryLevels":
			since := x.filter(f)
			var levels []*variant
			for _, p := range s.products {
				for _, v := range p.variants {
					if v.tracked && !p.deleted && v.levelUpdated >= since {
						levels = append(levels, v)
					}
				}
			}
			return x.connection(f, "InventoryLevel", len(levels), func(i int, fields []*field) { x.level(levels[i], fields) })
		default:
			return false
		}
		return true
	})
}

func (x *exec) subscription(sub *subscription, fields []*field) {
	x.object("WebhookSubscription", 1, fields, func(f *field) bool {
		switch f.name {
		case "id":
			x.gid("WebhookSubscription", sub.id)
		case "topic":
			x.quote(strings.ToUpper(strings.ReplaceAll(sub.topic, "/", "_")))
		case "uri":
			x.quote(sub.address)
		case "format":
			x.quote("JSON")
		default:
			return false
		}
		return true
	})
}
