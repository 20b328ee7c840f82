package catalog

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/sku"
)

// TestRules: the first rule that applies, and no guess after the last.
func TestRules(t *testing.T) {
	explicit, bySKU, byID := event.MatchRule_MATCH_RULE_EXPLICIT, event.MatchRule_MATCH_RULE_SKU, event.MatchRule_MATCH_RULE_IDENTIFIER
	invalid := "4006381333932"
	for _, c := range []struct {
		name       string
		cfg        Config
		ins        []*event.CatalogInput
		sku        string
		multiplier int64
		rule       event.MatchRule
	}{
		{"nothing known", Config{}, []*event.CatalogInput{product(1, listing("L", "X"))}, "", 0, 0},
		{"platform SKU adopted", Config{AdoptSKUs: true}, []*event.CatalogInput{product(1, listing("L", "X"))}, "X", 1, bySKU},
		{"platform SKU of ours", Config{SKUs: []string{"X"}}, []*event.CatalogInput{product(1, listing("L", "X"))}, "X", 1, bySKU},
		{"platform SKU in another case", Config{SKUs: []string{"X"}}, []*event.CatalogInput{product(1, listing("L", "x"))}, "", 0, 0},
		{"no platform SKU", Config{AdoptSKUs: true}, []*event.CatalogInput{product(1, listing("L", ""))}, "", 0, 0},
		{"mapping before", Config{AdoptSKUs: true}, []*event.CatalogInput{mapping("L", "", "M", 6), product(1, listing("L", "X"))}, "M", 6, explicit},
		{"mapping after", Config{AdoptSKUs: true}, []*event.CatalogInput{product(1, listing("L", "X")), mapping("L", "", "M", 6)}, "M", 6, explicit},
		{"mapping of its platform SKU before", Config{}, []*event.CatalogInput{mapping("", "X", "M", 0), product(1, listing("L", "X"))}, "M", 1, explicit},
		{"mapping of its platform SKU after", Config{}, []*event.CatalogInput{product(1, listing("L", "X")), mapping("", "X", "M", 2)}, "M", 2, explicit},
		{"mapping of the listing goes first", Config{}, []*event.CatalogInput{mapping("", "X", "M", 1), mapping("L", "", "N", 1), product(1, listing("L", "X"))}, "N", 1, explicit},
		{"mapping taken back", Config{AdoptSKUs: true}, []*event.CatalogInput{product(1, listing("L", "X")), mapping("L", "", "M", 6), mapping("L", "", "", 0)}, "X", 1, bySKU},
		{"identifier, known before", Config{SKUs: []string{"A"}}, []*event.CatalogInput{productOf("q", 1, listing("K", "A", gtinA)), product(1, listing("L", "?", gtinA))}, "A", 1, byID},
		{"identifier, known after", Config{SKUs: []string{"A"}}, []*event.CatalogInput{product(1, listing("L", "?", gtinA)), productOf("q", 1, listing("K", "A", gtinA))}, "A", 1, byID},
		{"identifier in another form", Config{SKUs: []string{"A"}}, []*event.CatalogInput{productOf("q", 1, listing("K", "A", gtinA)), product(1, listing("L", "?", "0"+gtinA))}, "A", 1, byID},
		{"identifier of a six-pack", Config{}, []*event.CatalogInput{productOf("q", 1, listing("K", "", gtinA)), mapping("K", "", "A", 6), product(1, listing("L", "?", gtinA))}, "A", 6, byID},
		{"identifier of two SKUs", Config{SKUs: []string{"A", "B"}}, []*event.CatalogInput{productOf("q", 1, listing("K", "A", gtinA), listing("J", "B", gtinA)), product(1, listing("L", "?", gtinA))}, "", 0, 0},
		{"of a single and a pack", Config{SKUs: []string{"A"}}, []*event.CatalogInput{productOf("q", 1, listing("K", "A", gtinA), listing("J", "?", gtinA)), mapping("J", "", "A", 6), product(1, listing("L", "?", gtinA))}, "", 0, 0},
		{"two identifiers of two SKUs", Config{SKUs: []string{"A", "B"}}, []*event.CatalogInput{productOf("q", 1, listing("K", "A", gtinA), listing("J", "B", gtinB)), product(1, listing("L", "?", gtinA, gtinB))}, "", 0, 0},
		{"broken identifier", Config{SKUs: []string{"A"}}, []*event.CatalogInput{productOf("q", 1, listing("K", "A", invalid)), product(1, listing("L", "?", invalid))}, "", 0, 0},
		{"identifier given up", Config{SKUs: []string{"A"}}, []*event.CatalogInput{productOf("q", 1, listing("K", "A", gtinA)), product(1, listing("L", "?", gtinA)), productOf("q", 2, listing("K", "A", gtinB))}, "", 0, 0},
		{"only through another's identifier", Config{SKUs: []string{"A"}}, []*event.CatalogInput{productOf("q", 1, listing("K", "A", gtinA)), productOf("r", 1, listing("J", "?", gtinA, gtinB)), product(1, listing("L", "?", gtinB))}, "", 0, 0},
		{"ambiguity resolved", Config{SKUs: []string{"A", "B"}}, []*event.CatalogInput{productOf("q", 1, listing("K", "A", gtinA), listing("J", "B", gtinA)), product(1, listing("L", "?", gtinA)), productOf("q", 2, listing("K", "A", gtinA))}, "A", 1, byID},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t, c.cfg)
			h.tell(c.ins...)
			l := h.listing("L")
			r := l.GetResolution()
			if r.GetSku() != c.sku || r.GetMultiplier() != c.multiplier || r.GetRule() != c.rule {
				t.Errorf("got %v, want SKU %q, %d in one, by %s", l, c.sku, c.multiplier, c.rule)
			}
			if (l.UnresolvedReason == "") != (c.sku != "") {
				t.Errorf("SKU %q, reason %q", c.sku, l.UnresolvedReason)
			}
			if got := h.sold()["L"]; got != c.sku {
				t.Errorf("the stock room thinks it sells %q, want %q", got, c.sku)
			}
		})
	}
}

// TestConfigurationDoesNotOverrideAnOperator, but comes back when the operator steps back.
func TestConfigurationDoesNotOverrideAnOperator(t *testing.T) {
	configuredMapping := mapping("L", "", "C", 1)
	configuredMapping.GetMapping().Author = "config"
	h := newHouse(t, Config{})
	h.tell(product(1, listing("L", "X")), configuredMapping)
	for _, c := range []struct {
		in   *event.CatalogInput
		want string
	}{{mapping("L", "", "O", 1), "O"}, {configuredMapping, "O"}, {mapping("L", "", "", 0), ""}, {configuredMapping, "C"}} {
		h.tell(c.in)
		if got := h.listing("L").GetResolution().GetSku(); got != c.want {
			t.Errorf("after %v: got SKU %q, want %q", c.in, got, c.want)
		}
	}
}

// TestLinks: the stock room hears of what concerns it, and of nothing else.
func TestLinks(t *testing.T) {
	h := newHouse(t, Config{AdoptSKUs: true, Locations: map[string]string{"other": "elsewhere"}})
	count := func() int {
		n := 0
		for _, o := range h.m.Emitted {
			if o.Topic.Name == schemas.StockIn.Name {
				n++
			}
		}
		return n
	}
	h.tell(product(1, listing("L", "X")))
	first := h.links()[[2]string{"X", "L"}]
	if first.GetStockId() != "iL" || first.Location != "loc" || first.Multiplier != 1 || first.Connector != "shopify" {
		t.Fatalf("link %v", first)
	}
	before := count()
	dearer := listing("L", "X")
	dearer.Price = &event.Money{Minor: 5, Currency: "GBP"}
	h.tell(product(1, listing("L", "X")), product(2, dearer), park("1", "L", "X"))
	if count() != before {
		t.Errorf("told of a price")
	}
	other := listing("L", "X")
	other.StockId = "i2"
	h.tell(product(3, other))
	if got := h.links()[[2]string{"X", "L"}]; got.StockId != "i2" {
		t.Errorf("stock id: link %v", got)
	}
	h.tell(product(2, listing("L", "Z"))) // late
	h.tell(mapping("L", "", "M", 6))
	if diff := cmp.Diff(map[string]string{"L": "M"}, h.sold()); diff != "" {
		t.Errorf("mapped (-want +got):\n%s", diff)
	}
	h.tell(product(4, listing("L", "Y"), listing("K", "X")))
	if diff := cmp.Diff(map[string]string{"L": "M", "K": "X"}, h.sold()); diff != "" {
		t.Errorf("a second one (-want +got):\n%s", diff)
	}
	h.tell(mapping("L", "", "", 0))
	if diff := cmp.Diff(map[string]string{"L": "Y", "K": "X"}, h.sold()); diff != "" {
		t.Errorf("mapping taken back (-want +got):\n%s", diff)
	}
	h.tell(product(5, listing("K", "X")))
	if diff := cmp.Diff(map[string]string{"K": "X"}, h.sold()); diff != "" || !h.listing("L").Deleted {
		t.Errorf("gone from its product (-want +got):\n%s", diff)
	}
	h.tell(product(6, listing("L", "Y"), listing("K", "X")))
	if diff := cmp.Diff(map[string]string{"L": "Y", "K": "X"}, h.sold()); diff != "" || h.listing("L").Deleted {
		t.Errorf("back (-want +got):\n%s", diff)
	}
	h.tell(deleted(5), deleted(7))
	if diff := cmp.Diff(map[string]string{}, h.sold()); diff != "" || len(h.entry("product/shop/p").Leaving) != 0 {
		t.Errorf("deleted (-want +got):\n%s", diff)
	}
	unstocked := listing("G", "GIFT")
	unstocked.Stocked = false
	h.tell(productOf("q", 1, unstocked))
	if h.listing("G").GetResolution().GetSku() != "GIFT" || h.sold()["G"] != "" {
		t.Errorf("gift card: %v", h.links())
	}
}

// TestWaitingOrders: told when the SKU is known, however many wait and whoever comes first.
func TestWaitingOrders(t *testing.T) {
	for _, n := range []int{1, maxWaiting, maxWaiting + 1, 400} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			h := newHouse(t, Config{})
			var want []string
			for i := range n {
				if i == n/2 {
					h.tell(product(1, listing("L", "X")))
				}
				want = append(want, fmt.Sprintf("order-%03d", i))
				h.tell(park(want[i], "L", "X"), park(want[i], "L", "X"))
			}
			if got := h.told(); len(got) != 0 {
				t.Fatalf("told %v before anything was known", got)
			}
			h.tell(mapping("L", "", "MUG", 6))
			if diff := cmp.Diff(map[string][]string{"L=MUG": want}, h.told()); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
			l := h.listing("L")
			if len(l.Waiting) != 0 || l.WaitingSpilled != 0 {
				t.Errorf("still waiting: %v", l)
			}
			for i := range uint32(spills) {
				if e := h.entry(waitID("shop", "L", i)); len(e.GetWaiting()) != 0 {
					t.Errorf("still waiting: %v", e)
				}
			}
			h.tell(park("late", "L", "X"))
			if got := h.told()["L=MUG"]; !slices.Contains(got, "late") {
				t.Error("a later question was not answered at once")
			}
		})
	}
}

// TestQuestionBeforeTheListing: an order can be older than its product's first snapshot.
func TestQuestionBeforeTheListing(t *testing.T) {
	h := newHouse(t, Config{SKUs: []string{"X"}})
	h.tell(park("1", "L", "X"))
	if diff := cmp.Diff(map[string][]string{"L=X": {"1"}}, h.told()); diff != "" {
		t.Errorf("by the SKU in the order (-want +got):\n%s", diff)
	}
	if got := h.sold(); len(got) != 0 {
		t.Errorf("nobody has reported the listing, but it sells %v", got)
	}
	h.tell(product(1, listing("L", "X")))
	if diff := cmp.Diff(map[string]string{"L": "X"}, h.sold()); diff != "" {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
	h.tell(park("2", "sku:GONE", "GONE"), mapping("", "GONE", "NEW", 1))
	if got := h.told()["sku:GONE=NEW"]; len(got) != 1 {
		t.Errorf("a line without its listing: told %v", h.told())
	}
}

// TestSettings: the closest settings apply, whether they come before or after the listing.
func TestSettings(t *testing.T) {
	limit := func(n int64) *event.ShowPolicy { return &event.ShowPolicy{MaxListed: n} }
	all := []*event.CatalogInput{settings("", "", limit(1)), settings("shop", "", limit(2)), settings("", "X", limit(3)), settings("shop", "X", limit(4)), settings("other", "X", limit(5))}
	for n, want := range []int64{9, 1, 2, 3, 4, 4} {
		for _, name := range []string{"before", "after"} {
			h := newHouse(t, Config{AdoptSKUs: true, Policy: limit(9)})
			if name == "before" {
				h.tell(all[:n]...)
			}
			h.tell(product(1, listing("L", "X")))
			if name == "after" {
				h.tell(all[:n]...)
			}
			if got := h.links()[[2]string{"X", "L"}].GetPolicy().GetMaxListed(); got != want {
				t.Errorf("%d settings %s the listing: got %d, want %d", n, name, got, want)
			}
		}
	}
	h := newHouse(t, Config{AdoptSKUs: true, Policy: limit(9)})
	h.tell(product(1, listing("L", "X")), settings("", "X", limit(3)), settings("", "X", nil))
	if got := h.links()[[2]string{"X", "L"}].GetPolicy().GetMaxListed(); got != 9 {
		t.Errorf("taken back: got %d, want 9", got)
	}
}

// TestTooManyCarriers: a number that everything carries identifies nothing.
func TestTooManyCarriers(t *testing.T) {
	h := newHouse(t, Config{SKUs: []string{"A"}})
	h.tell(productOf("q", 1, listing("K", "A", gtinA)))
	for i := range maxMembers {
		h.append(productOf(fmt.Sprint("p", i), 1, listing(fmt.Sprint("L", i), "?", gtinA)))
	}
	h.settle(50)
	for _, id := range []string{"L0", fmt.Sprint("L", maxMembers-1)} {
		if l := h.listing(id); l.Resolution != nil || l.UnresolvedReason == "" {
			t.Errorf("%s: got %v", id, l)
		}
	}
	if n := len(h.entry("id/0" + gtinA).GetMembers()); n != maxMembers {
		t.Errorf("%d members, want %d", n, maxMembers)
	}
}

func TestPrepareRefuses(t *testing.T) {
	room, err := New(Config{}, sku.Normalise)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(in *event.CatalogInput) []byte {
		b, err := in.MarshalVTStrict()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		name  string
		value []byte
		want  error
	}{
		{"nothing", nil, connectors.ErrUnsupported},
		{"an input of a later version", []byte{9<<3 | 2, 0}, connectors.ErrUnsupported},
		{"broken bytes", []byte{0xff}, connectors.ErrMalformed},
		{"product without time", encode(product(0)), connectors.ErrMalformed},
		{"listing without id", encode(product(1, listing("", "X"))), connectors.ErrMalformed},
		{"deletion of nothing", encode(&event.CatalogInput{Input: &event.CatalogInput_ProductDeleted{ProductDeleted: &event.ProductDeleted{}}}), connectors.ErrMalformed},
		{"mapping of nothing", encode(mapping("", "", "S", 1)), connectors.ErrMalformed},
		{"absurd pack", encode(mapping("L", "", "S", 1<<40)), connectors.ErrMalformed},
		{"question of nobody", encode(park("", "L", "X")), connectors.ErrMalformed},
		{"negative buffer", encode(settings("", "", &event.ShowPolicy{Buffer: -1})), connectors.ErrMalformed},
		{"more than all held back", encode(settings("", "", &event.ShowPolicy{BufferBp: 10_001})), connectors.ErrMalformed},
		{"note about nothing", encode(&event.CatalogInput{Input: &event.CatalogInput_Relook{Relook: &event.Relook{}}}), connectors.ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := room.Prepare(&stream.Record{Topic: schemas.CatalogIn, Value: c.value}); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	if _, err := New(Config{Policy: &event.ShowPolicy{MaxListed: -1}}, sku.Normalise); err == nil {
		t.Error("a negative default: no error")
	}
	if _, err := New(Config{}, nil); err == nil {
		t.Error("no normal form: no error")
	}
}

// TestCopiesAreComplete: a field added to the schema is not forgotten by the copies.
func TestCopiesAreComplete(t *testing.T) {
	l := &event.Listing{}
	fields := l.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		m := l.ProtoReflect()
		switch {
		case f.IsList() && f.Kind() == protoreflect.StringKind:
			m.Mutable(f).List().Append(protoreflect.ValueOfString("x"))
		case f.IsList():
			m.Mutable(f).List().AppendMutable()
		case f.Kind() == protoreflect.StringKind:
			m.Set(f, protoreflect.ValueOfString("x"))
		case f.Kind() == protoreflect.BoolKind:
			m.Set(f, protoreflect.ValueOfBool(true))
		case f.Kind() == protoreflect.Int64Kind:
			m.Set(f, protoreflect.ValueOfInt64(1))
		case f.Kind() == protoreflect.Fixed64Kind:
			m.Set(f, protoreflect.ValueOfUint64(1))
		default:
			m.Mutable(f)
		}
	}
	if got := copyListing(l); !proto.Equal(got, l) {
		t.Errorf("got %v, want %v", got, l)
	}
}

// BenchmarkProduct is a new product with three variants through the loop, in memory.
func BenchmarkProduct(b *testing.B) {
	h := newHouse(b, Config{AdoptSKUs: true})
	for i := range b.N {
		var ls []*event.ListingSnapshot
		for v := range 3 {
			ls = append(ls, listing(fmt.Sprint(8_000_000_000_000+i*3+v), fmt.Sprintf("SKU-%d-%d", i, v), gtinA))
			ls[v].Identifiers = nil
		}
		h.append(productOf(fmt.Sprint(i), 1, ls...))
	}
	b.ReportAllocs()
	b.ResetTimer()
	if _, err := h.m.Drain(500); err != nil {
		b.Fatal(err)
	}
}
