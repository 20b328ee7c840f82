package catalog

import (
	"slices"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/sku"
)

// fataler is what testing.T and rapid.T have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// house is a catalog room with its notes to itself delivered, and what it told the others.
type house struct {
	t     fataler
	room  *Room
	m     *stream.Memory
	taken int // of m.Emitted: notes delivered so far
	clock int64
}

func newHouse(t fataler, cfg Config) *house {
	t.Helper()
	r, err := New(cfg, sku.Normalise)
	if err != nil {
		t.Fatalf("new: %v", err)
	}
	sr, err := stream.NewRoom(r, "test")
	if err != nil {
		t.Fatalf("new room: %v", err)
	}
	return &house{t: t, room: r, m: stream.NewMemory(sr, schemas.CatalogIn)}
}

// tell feeds inputs, each followed by all that comes of it.
func (h *house) tell(ins ...*event.CatalogInput) {
	h.t.Helper()
	for _, in := range ins {
		h.append(in)
		h.settle(4)
	}
}

func (h *house) append(in *event.CatalogInput) {
	h.clock++
	h.m.AppendMessage("", in, 1_700_000_000_000+h.clock)
}

// settle handles what is pending and delivers notes, until there are none.
func (h *house) settle(batch int) {
	h.t.Helper()
	for rounds := 0; ; rounds++ {
		h.deliver()
		if h.m.Pending() == 0 {
			return
		}
		if rounds > 10_000 {
			h.t.Fatalf("the room goes on writing notes to itself")
		}
		if _, err := h.m.Step(batch, stream.NoCrash); err != nil {
			h.t.Fatalf("step: %v", err)
		}
	}
}

// deliver is what the broker does with the room's notes.
func (h *house) deliver() {
	h.t.Helper()
	for ; h.taken < len(h.m.Emitted); h.taken++ {
		switch o := h.m.Emitted[h.taken]; o.Topic.Name {
		case schemas.CatalogIn.Name:
			h.append(o.Value.(*event.CatalogInput))
		case schemas.DeadLetters("catalog").Name:
			h.t.Fatalf("dead letter: %s", o.Headers)
		}
	}
}

func (h *house) listing(id string) *event.Listing {
	l, _ := h.m.Entry(stream.Key{Table: h.room.listings, ID: "shop/" + id}).(*event.Listing)
	return l
}

func (h *house) entry(id string) *event.CatalogEntry {
	e, _ := h.m.Entry(stream.Key{Table: h.room.index, ID: id}).(*event.CatalogEntry)
	return e
}

// links is what the stock room knows: the newest word about each SKU and listing.
func (h *house) links() map[[2]string]*event.ListingLink {
	newest := make(map[[2]string]*event.ListingLink)
	for _, o := range h.m.Emitted {
		if o.Topic.Name != schemas.StockIn.Name {
			continue
		}
		l := o.Value.(*event.StockInput).GetLink()
		k := [2]string{l.Sku, l.ListingId}
		if old := newest[k]; old == nil || !stream.VersionOf(l.Version).Before(stream.VersionOf(old.Version)) {
			newest[k] = l
		}
	}
	return newest
}

// sold is which SKU each listing sells, by the links.
func (h *house) sold() map[string]string {
	got := make(map[string]string)
	for k, l := range h.links() {
		if !l.Unlinked {
			got[k[1]] += k[0]
		}
	}
	return got
}

// told is which orders were told of which SKU for each listing.
func (h *house) told() map[string][]string {
	got := make(map[string][]string)
	for _, o := range h.m.Emitted {
		if o.Topic.Name != schemas.OrdersIn.Name {
			continue
		}
		r := o.Value.(*event.OrderInput).GetLineResolved()
		k := r.ListingId + "=" + r.Resolution.Sku
		if !slices.Contains(got[k], r.OrderId) {
			got[k] = append(got[k], r.OrderId)
		}
	}
	for _, orders := range got {
		slices.Sort(orders)
	}
	return got
}

func product(updatedMs int64, ls ...*event.ListingSnapshot) *event.CatalogInput {
	return productOf("p", updatedMs, ls...)
}

func productOf(id string, updatedMs int64, ls ...*event.ListingSnapshot) *event.CatalogInput {
	return &event.CatalogInput{Input: &event.CatalogInput_Product{Product: &event.Product{
		Connector: "shopify", Account: "shop", Id: id, UpdatedMs: updatedMs, Listings: ls,
	}}}
}

func deleted(ms int64) *event.CatalogInput {
	return &event.CatalogInput{Input: &event.CatalogInput_ProductDeleted{ProductDeleted: &event.ProductDeleted{Account: "shop", Id: "p", DeletedMs: ms}}}
}

func listing(id, platformSKU string, gtins ...string) *event.ListingSnapshot {
	l := &event.ListingSnapshot{Id: id, PlatformSku: platformSKU, Stocked: true, StockId: "i" + id, Locations: []string{"loc"}}
	for _, g := range gtins {
		l.Identifiers = append(l.Identifiers, &event.Identifier{Kind: event.IdentifierKind_IDENTIFIER_KIND_GTIN, Value: g})
	}
	return l
}

func mapping(listingID, platformSKU, to string, multiplier int64) *event.CatalogInput {
	m := &event.Mapping{Account: "shop", ListingId: listingID, PlatformSku: platformSKU, Sku: to, Multiplier: multiplier, Author: "ann"}
	return &event.CatalogInput{Input: &event.CatalogInput_Mapping{Mapping: m}}
}

func park(order, listingID, platformSKU string) *event.CatalogInput {
	return &event.CatalogInput{Input: &event.CatalogInput_Park{Park: &event.ParkRequest{
		Account: "shop", OrderId: order, ListingId: listingID, PlatformSku: platformSKU,
	}}}
}

func settings(account, sku string, p *event.ShowPolicy) *event.CatalogInput {
	return &event.CatalogInput{Input: &event.CatalogInput_Settings{Settings: &event.ListingSettings{Account: account, Sku: sku, Policy: p}}}
}

// Identifiers of two different things.
const (
	gtinA = "4006381333931"
	gtinB = "5901234123457"
)
