package channels

import (
	"fmt"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	amazonsim "github.com/helloword/crossdock/connectors/amazon/simulator"
	ebaysim "github.com/helloword/crossdock/connectors/ebay/simulator"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/processors/catalog"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/sku"
)

// trade is all rooms that an order and a listing go through, up to the shops' shelves.
type trade struct {
	*ledger
	shops   map[string]*shop
	room    *catalog.Room
	catalog *stream.Memory
}

// Lookup asks the catalog room itself, which is what the view of its listings says in the end.
func (w *trade) Lookup(account, listing string) *event.Resolution {
	l, _ := w.catalog.Entry(stream.Key{Table: w.room.Listings(), ID: account + "/" + listing}).(*event.Listing)
	if l.GetResolution().GetSku() == "" {
		return nil
	}
	return l.Resolution
}

// TestPacksAndDoublesShareOneStock: one SKU, which three ASINs, five item ids and a six-pack
// sell. A six-pack that is sold lowers the eight others by six and itself by one; what is sold
// alone lowers the eight others by one, and the six-pack to the whole packs that are left.
func TestPacksAndDoublesShareOneStock(t *testing.T) {
	c := &clock{t: begin}
	shops := []*shop{opened(t, "shopify", "EUR", c), opened(t, "amazon", "EUR", c), opened(t, "ebay", "EUR", c)}
	w := &trade{shops: map[string]*shop{}}
	var err error
	if w.room, err = catalog.New(catalog.Config{AdoptSKUs: true}, sku.Normalise); err != nil {
		t.Fatal(err)
	}
	w.catalog = inMemory(t, w.room, schemas.CatalogIn)
	w.ledger = newLedger(t, shops, w)

	const tea = "TEA"
	var singles []struct{ platform, listing string }
	asins, items := map[string]bool{}, map[string]bool{}
	for _, s := range shops {
		w.shops[s.platform] = s
		switch p := s.player.(type) {
		case *shopifyPlayer:
			p.offer("TEA-SIX", 500)
		case *amazonPlayer:
			for i := range 3 {
				a := p.AddProduct(amazonsim.ProductSpec{Title: "Tea", Variants: []amazonsim.VariantSpec{{SKU: fmt.Sprint("TEA-A", i), Price: "10", Available: 500}}})
				asins[a.ASIN] = true
				singles = append(singles, struct{ platform, listing string }{"amazon", a.SKUs[0]})
			}
		case *ebayPlayer:
			for i := range 5 {
				a := p.AddProduct(ebaysim.ProductSpec{Title: "Tea", Variants: []ebaysim.VariantSpec{{SKU: fmt.Sprint("TEA-E", i), Price: "10", Tracked: true, Available: 500}}})
				items[a.ID] = true
				singles = append(singles, struct{ platform, listing string }{"ebay", a.Variants[0]})
			}
		}
	}
	if len(asins) != 3 || len(items) != 5 {
		t.Fatalf("%d ASINs and %d items, want 3 and 5", len(asins), len(items))
	}
	w.mapped(t, "TEA-SIX", tea, 6)
	for _, l := range singles {
		w.mapped(t, l.listing, tea, 1)
	}
	c.set(begin.Add(10 * time.Minute))
	w.products(t)
	w.count(t, tea, 60)
	six := w.shops["shopify"].player.(*shopifyPlayer)
	shows := func(what string, single, pack int64) {
		t.Helper()
		for _, l := range singles {
			got := int64(0)
			switch p := w.shops[l.platform].player.(type) {
			case *amazonPlayer:
				got = p.Available(l.listing)
			case *ebayPlayer:
				got = p.Available(l.listing)
			}
			if got != single {
				t.Errorf("%s: %s of %s shows %d, want %d", what, l.listing, l.platform, got, single)
			}
		}
		if got := six.Available(six.variants["TEA-SIX"]); got != pack {
			t.Errorf("%s: the six-pack shows %d, want %d", what, got, pack)
		}
	}
	shows("counted", 60, 10)

	buy := func(stage int, platform, code string, units int64) {
		t.Helper()
		c.set(at(stage))
		s := w.shops[platform]
		sl := &sale{n: 100 + stage, currency: "EUR", lines: []sold{{sku: code, units: units, price: 1000}},
			shipping: address{first: "A", last: "B", line1: "C", city: "D", zip: "50667", country: "DE"}}
		if _, err := s.place(sl); err != nil {
			t.Fatal(err)
		}
		c.set(at(stage).Add(10 * time.Minute))
		_, byPoll := s.news(t)
		w.sold(t, s, byPoll)
	}
	buy(1, "shopify", "TEA-SIX", 1)
	shows("a six-pack was sold", 54, 9)
	buy(2, "amazon", "TEA-A1", 1)
	shows("one was sold at Amazon", 53, 8)
	buy(3, "ebay", "TEA-E4", 4)
	shows("four were sold at eBay", 49, 8)
	buy(4, "ebay", "TEA-E0", 2)
	shows("two more were sold at eBay", 47, 7)
	buy(5, "amazon", "TEA-A2", 41)
	shows("forty-one were sold at Amazon", 6, 1)
	buy(6, "amazon", "TEA-A0", 1)
	shows("less than a pack is left", 5, 0)
	level := w.level(tea)
	if len(level.Listings) != 9 || level.Available != 5 || level.Reserved != 55 || level.Oversold != 0 {
		t.Errorf("%d listings, %d available, %d reserved, %d oversold, want 9, 5, 55, 0", len(level.Listings), level.Available, level.Reserved, level.Oversold)
	}
}

// mapped says which SKU a platform's SKU means, as an operator does.
func (w *trade) mapped(t testing.TB, platformSKU, code string, multiplier int64) {
	t.Helper()
	w.tell(t, "", &event.CatalogInput{Input: &event.CatalogInput_Mapping{Mapping: &event.Mapping{PlatformSku: platformSKU, Sku: code, Multiplier: multiplier, Author: "config"}}})
}

// tell feeds the catalog room, and hands on what it says: notes to itself, answers, links.
func (w *trade) tell(t testing.TB, key string, m stream.Message) {
	t.Helper()
	w.received++
	w.catalog.AppendMessage(key, m, w.received)
	for w.catalog.Pending() > 0 {
		for _, o := range drained(t, w.catalog) {
			w.received++
			switch o.Topic.Name {
			case schemas.CatalogIn.Name:
				w.catalog.AppendMessage(string(o.Key), o.Value, w.received)
			case schemas.OrdersIn.Name:
				w.house.orders.AppendMessage(string(o.Key), o.Value, w.received)
			case schemas.StockIn.Name:
				w.stock.AppendMessage(string(o.Key), o.Value, w.received)
			}
		}
	}
	w.shelves(t)
}

// products polls what the shops offer.
func (w *trade) products(t testing.TB) {
	t.Helper()
	for _, p := range platforms {
		s := w.shops[p]
		if s == nil {
			continue
		}
		req := connectors.PollRequest{Start: begin.Add(-time.Hour), Overlap: time.Minute, Settle: time.Second}
		var raws []connectors.Raw
		for more := true; more; {
			res, err := s.conn.Poll[connectors.Products].Poll(t.Context(), req, func(r connectors.Raw) error { raws = append(raws, r); return nil })
			if err != nil {
				t.Fatalf("%s: %v", p, err)
			}
			req.Cursor, more = res.Cursor, res.More
		}
		facts := 0
		for _, r := range raws {
			f, err := s.conn.Translate.Translate(&connectors.Record{Subject: r.Subject, Account: s.account, Object: r.Object, Format: r.Format, Body: r.Body, SourceTime: r.SourceTime})
			if err != nil {
				t.Fatalf("%s: %v", p, err)
			}
			for _, product := range f.Products {
				product.Connector, product.Account = s.platform, s.account
				w.tell(t, s.account+"/"+product.Id, &event.CatalogInput{Input: &event.CatalogInput_Product{Product: product}})
				facts++
			}
		}
		if facts == 0 {
			t.Fatalf("%s offers nothing", p)
		}
	}
}

// count says how many there are.
func (w *trade) count(t testing.TB, code string, units int64) {
	t.Helper()
	w.received++
	w.stock.AppendMessage(code, &event.StockInput{Input: &event.StockInput_Move{Move: &event.StockMove{
		Sku: code, MoveId: "opening/" + code, CauseVersion: &event.Version{Number: 1}, OnHand: units, Kind: event.MoveKind_MOVE_KIND_OPENING,
	}}}, w.received)
	w.shelves(t)
}

// sold lets orders through all rooms.
func (w *trade) sold(t testing.TB, s *shop, raws []connectors.Raw) {
	t.Helper()
	for _, o := range w.house.take(t, s, "poll", raws...) {
		if o.Topic.Name == schemas.StockIn.Name {
			w.received++
			w.stock.AppendMessage(string(o.Key), o.Value, w.received)
		}
	}
	w.shelves(t)
}

// shelves lets the stock room decide, and writes its newest targets to the shops.
func (w *trade) shelves(t testing.TB) {
	t.Helper()
	newest := map[string]*event.PushTarget{}
	var keys []string
	for _, o := range drained(t, w.stock) {
		if o.Topic.Name != schemas.PushTargets.Name {
			continue
		}
		p := o.Value.(*event.PushTarget)
		key := p.Account + "/" + p.ListingId
		if newest[key] == nil {
			keys = append(keys, key)
		}
		newest[key] = p
	}
	for _, key := range keys {
		p := newest[key]
		results, err := w.shops[p.Connector].conn.Stock.PushStock(t.Context(), []connectors.StockWrite{{
			ListingID: p.ListingId, StockID: p.StockId, Location: p.Location, SKU: p.Sku, Quantity: p.Quantity,
			CommandID: fmt.Sprintf("%s@%d.%d", key, p.Version.Epoch, p.Version.Number),
		}})
		if err != nil || len(results) != 1 || results[0].Outcome != event.Outcome_OUTCOME_ACCEPTED {
			t.Fatalf("writing %d to %s: %v %v", p.Quantity, key, results, err)
		}
	}
}
