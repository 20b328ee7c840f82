package translate

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// speaks is a translator of records that are facts in JSON already.
type speaks struct{}

func (speaks) Translate(r *connectors.Record) (connectors.Facts, error) {
	var f connectors.Facts
	if r.Format != "facts" {
		return f, fmt.Errorf("format %q: %w", r.Format, connectors.ErrUnsupported)
	}
	if err := json.Unmarshal(r.Body, &f); err != nil {
		return f, fmt.Errorf("%w: %w", err, connectors.ErrMalformed)
	}
	return f, nil
}

// view is a view of the catalog.
type view map[string]*event.Resolution

func (v view) Lookup(account, listing string) *event.Resolution { return v[account+"/"+listing] }

func newRoom(t testing.TB, v view, input schemas.Topic) *stream.Memory {
	t.Helper()
	room, err := New(Config{Translators: map[Source]connectors.Translator{{"shopify", "shop"}: speaks{}}}, v)
	if err != nil {
		t.Fatal(err)
	}
	sr, err := stream.NewRoom(room, "test")
	if err != nil {
		t.Fatal(err)
	}
	return stream.NewMemory(sr, input)
}

func raw(t testing.TB, path string, f connectors.Facts) stream.Record {
	t.Helper()
	body, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return record(path, body)
}

func record(path string, body []byte) stream.Record {
	h := func(k, v string) stream.Header { return stream.Header{Key: k, Value: []byte(v)} }
	return stream.Record{
		Key: []byte("shop/1"), Value: body, TimestampMs: 1_700_000_000_000,
		Headers: []stream.Header{
			h(schemas.HeaderConnector, "shopify"), h(schemas.HeaderAccount, "shop"), h(schemas.HeaderFormat, "facts"),
			h(schemas.HeaderObject, "1"), h(schemas.HeaderPath, path), h(schemas.HeaderSourceTime, "1699999999000"),
		},
	}
}

func handle(t testing.TB, m *stream.Memory, rs ...stream.Record) []stream.Output {
	t.Helper()
	for _, r := range rs {
		m.Append(r)
	}
	out, err := m.Drain(10)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func sale(lines ...*event.OrderLine) *event.Order {
	return &event.Order{Id: "1", UpdatedMs: 5, Lines: lines}
}

func line(id, listing string, stocked bool) *event.OrderLine {
	return &event.OrderLine{Id: id, ListingId: listing, PlatformSku: "P" + listing, Quantity: 1, Stocked: stocked}
}

var mug = &event.Resolution{Sku: "MUG", Multiplier: 6, MappingVersion: 4, Rule: event.MatchRule_MATCH_RULE_EXPLICIT}

func origin(path event.Path, offset int64, topic schemas.Topic) *event.Origin {
	return &event.Origin{Connector: "shopify", Account: "shop", Topic: topic.Name, Offset: offset, Path: path,
		SourceTimeMs: 1_699_999_999_000, ReceivedMs: 1_700_000_000_000}
}

func TestOrder(t *testing.T) {
	m := newRoom(t, view{"shop/L": mug}, schemas.RawOrders)
	out := handle(t, m, raw(t, "webhook", connectors.Facts{Orders: []*event.Order{
		sale(line("a", "L", true), line("b", "NEW", true), line("c", "NEW", true), line("d", "POST", false), line("e", "", true)),
	}}))
	var got []string
	for _, o := range out {
		got = append(got, o.Topic.Name+" "+string(o.Key))
	}
	if diff := cmp.Diff([]string{"catalog.in.v1 shop/NEW", "catalog.in.v1 shop/sku:P", "orders.in.v1 shop/1"}, got); diff != "" {
		t.Fatalf("outputs (-want +got):\n%s", diff)
	}
	want := &event.ParkRequest{Account: "shop", OrderId: "1", ListingId: "NEW", PlatformSku: "PNEW"}
	if diff := cmp.Diff(want, out[0].Value.(*event.CatalogInput).GetPark(), protocmp.Transform()); diff != "" {
		t.Errorf("question (-want +got):\n%s", diff)
	}
	in := out[2].Value.(*event.OrderInput)
	o := in.GetSnapshot()
	if !o.Lines[0].Resolution.EqualVT(mug) || o.Lines[1].Resolution != nil || o.Lines[3].Resolution != nil {
		t.Errorf("SKUs of the lines: %v", o.Lines)
	}
	if o.Connector != "shopify" || o.Account != "shop" {
		t.Errorf("connection %s/%s", o.Connector, o.Account)
	}
	if diff := cmp.Diff(origin(event.Path_PATH_WEBHOOK, 0, schemas.RawOrders), o.Origin, protocmp.Transform()); diff != "" {
		t.Errorf("origin (-want +got):\n%s", diff)
	}
	if len(in.EventId) != 16 || string(out[2].Once) != string(in.EventId) {
		t.Errorf("event id %x, once %x", in.EventId, out[2].Once)
	}
}

// TestSameChangeMeetsAsOne: by webhook, by poll, with another SKU known meanwhile.
func TestSameChangeMeetsAsOne(t *testing.T) {
	v := view{}
	m := newRoom(t, v, schemas.RawOrders)
	fact := connectors.Facts{Orders: []*event.Order{sale(line("a", "L", true))}}
	first := handle(t, m, raw(t, "webhook", fact))
	v["shop/L"] = mug
	if again := handle(t, m, raw(t, "poll", fact), raw(t, "import", fact)); len(first) != 2 || len(again) != 0 {
		t.Errorf("emitted %d, then %d; want 2 (order, question), then none", len(first), len(again))
	}
	changed := connectors.Facts{Orders: []*event.Order{sale(line("a", "L", true))}}
	changed.Orders[0].UpdatedMs = 6
	if out := handle(t, m, raw(t, "poll", changed)); len(out) != 1 {
		t.Errorf("a change emitted %d, want 1", len(out))
	}
}

// TestRepeatedAfterACrash: the very record that brought a fact brings it again.
func TestRepeatedAfterACrash(t *testing.T) {
	m := newRoom(t, view{"shop/L": mug}, schemas.RawOrders)
	r := raw(t, "webhook", connectors.Facts{Orders: []*event.Order{sale(line("a", "L", true))}})
	m.Append(r)
	if _, err := m.Step(1, stream.AfterApply); err != nil {
		t.Fatal(err)
	}
	if out := handle(t, m, r); len(out) != 1 {
		t.Errorf("emitted %d, want the order once: repeated, and its duplicate dropped", len(out))
	}
}

func TestOtherFacts(t *testing.T) {
	for _, c := range []struct {
		name  string
		topic schemas.Topic
		facts connectors.Facts
		want  []string
	}{
		{"refund", schemas.RawOrders, connectors.Facts{Refunds: []*event.Refund{{OrderId: "7", Id: "r"}}}, []string{"orders.in.v1 shop/7"}},
		{"product", schemas.RawProducts, connectors.Facts{Products: []*event.Product{{Id: "p", UpdatedMs: 1}}}, []string{"catalog.in.v1 shop/p"}},
		{"deleted", schemas.RawProducts, connectors.Facts{Deleted: []*event.ProductDeleted{{Id: "p"}}}, []string{"catalog.in.v1 shop/p"}},
		{"shown", schemas.RawInventory, connectors.Facts{Observations: []*event.InventoryObservation{{StockId: "i"}}}, []string{"inventory.observed.v1 shop/i"}},
		{"adjustment", schemas.RawStock, connectors.Facts{Adjustments: []*event.Adjustment{{Id: "7", Sku: "S"}}}, []string{"stock.in.v1 S", "stock.adjustments.v1 shop/7"}},
		{"return", schemas.RawStock, connectors.Facts{Returns: []*event.UnmatchedReturn{{Id: "C1"}}}, []string{"stock.returns.v1 shop/C1"}},
		{"rates", schemas.RawRates, connectors.Facts{Rates: []*event.RateDay{{Source: "ecb", Date: "2026-11-20"}}}, []string{"fx.in.v1 ecb/2026-11-20"}},
		{"nothing", schemas.RawOrders, connectors.Facts{}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newRoom(t, nil, c.topic)
			var got []string
			for _, o := range handle(t, m, raw(t, "poll", c.facts)) {
				got = append(got, o.Topic.Name+" "+string(o.Key))
				if len(o.Once) != 16 {
					t.Errorf("%s: event id %x", o.Topic.Name, o.Once)
				}
				if everywhere := o.ByPartition && o.Partition == stream.Everywhere; everywhere != (c.name == "rates") {
					t.Errorf("%s: everywhere is %v", o.Topic.Name, everywhere)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("outputs (-want +got):\n%s", diff)
			}
			if out := handle(t, m, raw(t, "webhook", c.facts)); len(out) != 0 {
				t.Errorf("a duplicate emitted %v", out)
			}
		})
	}
}

// TestReturned: what the warehouse says of an order goes to the order, under the connection that
// sold it. One that nobody configured is refused, and can be redriven.
func TestReturned(t *testing.T) {
	room, err := New(Config{Translators: map[Source]connectors.Translator{{"shopify", "shop"}: speaks{}, {"amazon", "market"}: speaks{}}}, view{})
	if err != nil {
		t.Fatal(err)
	}
	sr, err := stream.NewRoom(room, "test")
	if err != nil {
		t.Fatal(err)
	}
	m := stream.NewMemory(sr, schemas.RawStock)
	fact := connectors.Facts{
		Adjustments: []*event.Adjustment{{Id: "C1/1", Sku: "MUG", Kind: event.MoveKind_MOVE_KIND_RETURN, Quantity: 2}},
		Returned:    []*event.Refund{{Account: "market", OrderId: "101", Id: "shop/C1/1", CreatedMs: 5}},
	}
	out := handle(t, m, raw(t, "webhook", fact))
	if len(out) != 3 || string(out[0].Key) != "market/101" || out[0].Topic.Name != schemas.OrdersIn.Name {
		t.Fatalf("outputs: %v", out)
	}
	if mv := out[1].Value.(*event.StockInput).GetMove(); mv.OnHand != 2 || mv.Reserved != 0 {
		t.Errorf("move: %v", mv)
	}
	want := &event.Refund{Connector: "amazon", Account: "market", OrderId: "101", Id: "shop/C1/1", CreatedMs: 5, Origin: origin(event.Path_PATH_WEBHOOK, 0, schemas.RawStock)}
	if diff := cmp.Diff(want, out[0].Value.(*event.OrderInput).GetRefund(), protocmp.Transform()); diff != "" {
		t.Errorf("refund (-want +got):\n%s", diff)
	}
	fact.Returned[0].Account = "nobody"
	refused := handle(t, m, raw(t, "webhook", fact))
	if len(refused) != 1 || refused[0].Topic.Name != schemas.DeadLetters("translate").Name {
		t.Errorf("of an unknown connection: %v", refused)
	}
}

// TestAdjustmentsAreMoves: write-offs take away, whichever sign the warehouse gives them.
func TestAdjustmentsAreMoves(t *testing.T) {
	for _, c := range []struct {
		kind           event.MoveKind
		quantity, want int64
	}{
		{event.MoveKind_MOVE_KIND_WRITE_OFF, 3, -3},
		{event.MoveKind_MOVE_KIND_WRITE_OFF, -3, -3},
		{event.MoveKind_MOVE_KIND_RECEIPT, 3, 3},
		{event.MoveKind_MOVE_KIND_CORRECTION, -3, -3},
		{event.MoveKind_MOVE_KIND_OPENING, 0, 0},
	} {
		m := newRoom(t, nil, schemas.RawStock)
		out := handle(t, m, raw(t, "poll", connectors.Facts{Adjustments: []*event.Adjustment{
			{Id: "7", Sku: "S", Warehouse: "north", Kind: c.kind, Quantity: c.quantity, OccurredMs: 99}}}))
		got := out[0].Value.(*event.StockInput).GetMove()
		want := &event.StockMove{Sku: "S", Warehouse: "north", MoveId: "adjust/shop/7", CauseVersion: &event.Version{Number: 99},
			Kind: c.kind, OnHand: c.want, OccurredMs: 99}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%s of %d (-want +got):\n%s", c.kind, c.quantity, diff)
		}
	}
}

func TestRefused(t *testing.T) {
	good := raw(t, "poll", connectors.Facts{Orders: []*event.Order{sale()}})
	without := func(header, value string) stream.Record {
		r := good
		r.Headers = append([]stream.Header(nil), good.Headers...)
		r.Headers = append(r.Headers, stream.Header{Key: header, Value: []byte(value)})
		return r
	}
	for _, c := range []struct {
		name string
		r    stream.Record
		want string
	}{
		{"unknown account", without(schemas.HeaderAccount, "other"), "unsupported"},
		{"unknown connector", without(schemas.HeaderConnector, "ebay"), "unsupported"},
		{"unknown format", without(schemas.HeaderFormat, "v99"), "unsupported"},
		{"no headers", stream.Record{Key: good.Key, Value: good.Value, TimestampMs: good.TimestampMs}, "unsupported"},
		{"no time", without(schemas.HeaderSourceTime, "noon"), "malformed"},
		{"broken", record("poll", []byte("{")), "malformed"},
		{"order without id", raw(t, "poll", connectors.Facts{Orders: []*event.Order{{UpdatedMs: 1}}}), "malformed"},
		{"order without time", raw(t, "poll", connectors.Facts{Orders: []*event.Order{{Id: "1"}}}), "malformed"},
		{"refund of nothing", raw(t, "poll", connectors.Facts{Refunds: []*event.Refund{{Id: "1"}}}), "malformed"},
		{"product without id", raw(t, "poll", connectors.Facts{Products: []*event.Product{{}}}), "malformed"},
		{"deleted without id", raw(t, "poll", connectors.Facts{Deleted: []*event.ProductDeleted{{}}}), "malformed"},
		{"adjustment of nothing", raw(t, "poll", connectors.Facts{Adjustments: []*event.Adjustment{{Id: "1"}}}), "malformed"},
		{"return without id", raw(t, "poll", connectors.Facts{Returns: []*event.UnmatchedReturn{{}}}), "malformed"},
		{"shown where", raw(t, "poll", connectors.Facts{Observations: []*event.InventoryObservation{{}}}), "malformed"},
		{"rates of no day", raw(t, "poll", connectors.Facts{Rates: []*event.RateDay{{Source: "ecb"}}}), "malformed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newRoom(t, nil, schemas.RawOrders)
			out := handle(t, m, c.r, good)
			if len(out) != 2 {
				t.Fatalf("%d outputs, want a dead letter and the next record's order", len(out))
			}
			var dead *event.DeadLetter
			for _, o := range out {
				for _, h := range o.Headers {
					if h.Key == schemas.HeaderDeadLetter {
						dead = new(event.DeadLetter)
						if err := dead.UnmarshalVT(h.Value); err != nil || string(o.Bytes) != string(c.r.Value) {
							t.Fatalf("dead letter %v: %v", o, err)
						}
					}
				}
			}
			if dead.GetCode() != c.want {
				t.Errorf("got %v, want code %s", dead, c.want)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no translator": {Translators: map[Source]connectors.Translator{{"shopify", "shop"}: nil}},
		"no name":       {Translators: map[Source]connectors.Translator{{"shopify", ""}: speaks{}}},
	} {
		if _, err := New(cfg, view{}); err == nil || !strings.Contains(err.Error(), "shopify") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := New(Config{}, nil); err == nil {
		t.Error("no view of the listings: no error")
	}
}

// made is a translator that costs one allocation: what is measured is the room. Its orders
// are what a shop's are: three lines with taxes, two addresses, shipping and sums.
type made struct{}

type madeOrder struct {
	order    event.Order
	lines    [3]event.OrderLine
	prices   [3]event.Decimal
	taxes    [4]event.Tax
	moneys   [16]event.Money
	ship     event.ShippingLine
	to       event.Destination
	personal event.PersonalData
	places   [2]event.PostalAddress
	lists    struct {
		lines  [3]*event.OrderLine
		taxes  [4]*event.Tax
		ships  [1]*event.ShippingLine
		orders [1]*event.Order
		street [2]string
	}
}

func (made) Translate(r *connectors.Record) (connectors.Facts, error) {
	m := &madeOrder{}
	n := 0
	gbp := func(minor int64) *event.Money {
		v := &m.moneys[n]
		n++
		v.Minor, v.Currency = minor, "GBP"
		return v
	}
	taxed := func(i int, minor int64) []*event.Tax {
		x := &m.taxes[i]
		x.Title, x.RatePpm, x.Amount = "VAT", 200_000, gbp(minor)
		m.lists.taxes[i] = x
		return m.lists.taxes[i : i+1]
	}
	o := &m.order
	o.Id, o.Name, o.BuyerId, o.Currency = string(r.Body), "#1001", "7000000000001", "GBP"
	o.UpdatedMs, o.CreatedMs, o.TaxesIncluded = 1_700_000_000_000, 1_700_000_000_000, true
	o.Subtotal, o.TotalDiscounts, o.TotalShipping, o.TotalTax, o.Total = gbp(2994), gbp(0), gbp(495), gbp(499), gbp(3489)
	o.Taxes = taxed(3, 499)
	for i, id := range [...]string{"8000000000001", "8000000000002", "8000000000003"} {
		l := &m.lines[i]
		m.prices[i].Unscaled, m.prices[i].Scale = 499, 2
		l.Id, l.ListingId, l.ProductId, l.PlatformSku, l.Title = id, id, "9000000000001", "SKU-"+id, "A mug of a decent size"
		l.Quantity, l.Stocked, l.UnitPrice, l.Total, l.Taxes = 2, true, &m.prices[i], gbp(998), taxed(i, 166)
		m.lists.lines[i] = l
	}
	o.Lines = m.lists.lines[:]
	m.ship.Id, m.ship.Code, m.ship.Title, m.ship.Price = "6000000000001", "Standard", "Standard", gbp(495)
	m.lists.ships[0] = &m.ship
	o.ShippingLines = m.lists.ships[:]
	m.lists.street = [2]string{"1 Some Street", "Flat 2"}
	for i := range m.places {
		a := &m.places[i]
		a.Name, a.Street, a.City, a.Region, a.Postcode, a.Country, a.Phone = "A. Buyer", m.lists.street[:], "London", "ENG", "SW1A 1AA", "GB", "+44 7700900000"
	}
	m.to.Country, m.to.Region, m.to.PostcodePrefix = "GB", "ENG", "SW1"
	m.personal.Name, m.personal.Email, m.personal.Phone = "A. Buyer", "buyer@example.com", "+44 7700900000"
	m.personal.Shipping, m.personal.Billing = &m.places[0], &m.places[1]
	o.Destination, o.Personal = &m.to, &m.personal
	m.lists.orders[0] = o
	return connectors.Facts{Orders: m.lists.orders[:]}, nil
}

func BenchmarkPrepare(b *testing.B) {
	room, err := New(Config{Translators: map[Source]connectors.Translator{{"shopify", "shop"}: made{}}}, view{})
	if err != nil {
		b.Fatal(err)
	}
	r := record("webhook", []byte("5000000000001"))
	r.Topic = schemas.RawOrders
	b.ReportAllocs()
	for b.Loop() {
		if _, err := room.Prepare(&r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRoom is a new order with three lines through the loop, in memory, in batches of 500.
func BenchmarkRoom(b *testing.B) {
	v := view{}
	for i := range 3 {
		v[fmt.Sprint("shop/800000000000", i+1)] = mug
	}
	room, err := New(Config{Translators: map[Source]connectors.Translator{{"shopify", "shop"}: made{}}}, v)
	if err != nil {
		b.Fatal(err)
	}
	sr, err := stream.NewRoom(room, "test")
	if err != nil {
		b.Fatal(err)
	}
	m := stream.NewMemory(sr, schemas.RawOrders)
	for i := range b.N {
		m.Append(record("webhook", fmt.Append(nil, i)))
	}
	b.ReportAllocs()
	b.ResetTimer()
	if _, err := m.Drain(500); err != nil {
		b.Fatal(err)
	}
}
