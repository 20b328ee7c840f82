package channels

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/helloword/crossdock/connectors"
	magentosim "github.com/helloword/crossdock/connectors/magento/simulator"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/processors/stock"
	"github.com/helloword/crossdock/processors/translate"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// happened is one thing that happens to an order, and what the platform tells of it.
type happened struct {
	name string
	do   func() error
	raws []connectors.Raw
}

// biography is an order's life on one platform. silent are the happenings of which the
// platform tells nothing; what is delivered in their place is what was told last, once more.
type biography struct {
	platform, name string
	silent         string
	// does the six things: created, paid, shipped, updated, cancelled, refunded, in the order in
	// which the platform allows them.
	six func(s *shop, sl *sale, order *string) []happened
	// onHand and reserved of the two SKUs in the end: 100 of each there were.
	want [2][2]int64
}

// biographies: two lines, of 3 and of 2 units. One of the three is shipped.
func biographies() []biography {
	part := []int64{1, 0}
	back := &refund{units: []int64{1, 0}, restock: event.Restock_RESTOCK_RETURN}
	created := func(s *shop, sl *sale, order *string) happened {
		return happened{name: "created", do: func() (err error) { *order, err = s.place(sl); return err }}
	}
	paid := func(s *shop, order *string) happened {
		return happened{name: "paid", do: func() error { return s.pay(*order) }}
	}
	ship := func(s *shop, order *string) happened {
		return happened{name: "shipped", do: func() error { return s.ship(*order, part) }}
	}
	nothing := func() error { return nil }
	return []biography{
		{"shopify", "", "", func(s *shop, sl *sale, order *string) []happened {
			p := s.player.(*shopifyPlayer)
			return []happened{created(s, sl, order), paid(s, order), ship(s, order),
				{name: "updated", do: func() error {
					o, _ := p.Order(number(*order))
					return p.RemoveUnits(number(*order), o.Lines[1].ID, 1, p.c.now())
				}},
				{name: "cancelled", do: func() error { return s.cancel(*order) }},
				{name: "refunded", do: func() error { return s.refund(*order, sl, back) }},
			}
		}, [2][2]int64{{100, 0}, {100, 0}}},
		{"woocommerce", "", "", func(s *shop, sl *sale, order *string) []happened {
			p := s.player.(*wooPlayer)
			return []happened{created(s, sl, order), paid(s, order),
				{name: "updated", do: func() error {
					o, _ := p.Order(number(*order))
					return p.RemoveUnits(number(*order), o.Lines[1].ID, 1, p.c.now())
				}},
				{name: "shipped", do: func() error { return s.ship(*order, nil) }},
				{name: "refunded", do: func() error { return s.refund(*order, sl, back) }},
				{name: "cancelled", do: func() error { return s.cancel(*order) }},
			}
		}, [2][2]int64{{100, 0}, {100, 0}}},
		// What is invoiced is not cancelled at Magento: a credit memo takes the rest out. That what
		// came back lies on a shelf again is told nowhere, so that it is one less.
		{"magento", "", "", func(s *shop, sl *sale, order *string) []happened {
			p := s.player.(*magentoPlayer)
			return []happened{created(s, sl, order), paid(s, order), ship(s, order),
				{name: "updated", do: func() error { return p.SetReference(number(*order), "ERP-1") }},
				{name: "cancelled", do: func() error {
					o, _ := p.Order(number(*order))
					_, err := p.Refund(number(*order), magentosim.RefundSpec{Lines: []magentosim.RefundLineSpec{{Line: o.Lines[0].ID, Quantity: 2}, {Line: o.Lines[1].ID, Quantity: 2}}})
					return err
				}},
				{name: "refunded", do: func() error { return s.refund(*order, sl, back) }},
			}
		}, [2][2]int64{{99, 0}, {100, 0}}},
		{"amazon", "", "refunded", func(s *shop, sl *sale, order *string) []happened {
			p := s.player.(*amazonPlayer)
			return []happened{created(s, sl, order), paid(s, order), ship(s, order),
				{name: "updated", do: func() error { return p.RequestCancel(*order, "NO_LONGER_NEEDED") }},
				{name: "cancelled", do: func() error {
					o, _ := p.Order(*order)
					for i, units := range []int64{2, 2} {
						if err := p.RemoveUnits(*order, o.Lines[i].ID, units, p.c.now()); err != nil {
							return err
						}
					}
					return nil
				}},
				{name: "refunded", do: nothing},
			}
		}, [2][2]int64{{99, 0}, {100, 0}}},
		// Nothing that was shipped can be cancelled at eBay, so that an order has one of two lives.
		{"ebay", "shipped", "cancelled created", func(s *shop, sl *sale, order *string) []happened {
			p := s.player.(*ebayPlayer)
			return []happened{created(s, sl, order), paid(s, order), ship(s, order),
				{name: "cancelled", do: nothing},
				{name: "updated", do: func() error { return p.OpenDispute(*order, "ITEM_NOT_RECEIVED") }},
				{name: "refunded", do: func() error { return s.refund(*order, sl, back) }},
			}
		}, [2][2]int64{{99, 2}, {100, 2}}},
		{"ebay", "cancelled", "created refunded shipped", func(s *shop, sl *sale, order *string) []happened {
			p := s.player.(*ebayPlayer)
			return []happened{created(s, sl, order), paid(s, order),
				{name: "shipped", do: nothing},
				{name: "updated", do: func() error { return p.RequestCancel(*order, "BUYER_ASKED_CANCEL") }},
				{name: "cancelled", do: func() error { return s.cancel(*order) }},
				{name: "refunded", do: nothing}, // with the cancellation, by eBay itself
			}
		}, [2][2]int64{{100, 0}, {100, 0}}},
	}
}

// lived plays a biography and returns what was told of each happening.
func lived(t *testing.T, b biography) (s *shop, known listings, order string, all []happened) {
	t.Helper()
	c := &clock{t: begin}
	s = opened(t, b.platform, "EUR", c)
	known = listings{}
	for _, sku := range skus[:2] {
		known[s.account+"/"+s.offer(sku, 100)] = &event.Resolution{Sku: sku, Multiplier: 1, MappingVersion: 1, Rule: event.MatchRule_MATCH_RULE_SKU}
	}
	sl := &sale{
		n: 1, currency: "EUR", life: paidLater, rate: "0.2", delivery: 495, email: "zoe@example.com",
		lines:    []sold{{sku: skus[0], units: 3, price: 1000}, {sku: skus[1], units: 2, price: 2500}},
		shipping: address{"Zoë", "O'Neil", "", "Hauptstraße 1", "", "Köln", "NW", "Nordrhein-Westfalen", "50667", "DE", "+49 221 5550101"},
	}
	sl.billing = sl.shipping
	all = b.six(s, sl, &order)
	var silent []string
	for i := range all {
		c.set(begin.Add(time.Duration(i) * 6 * time.Hour))
		if err := all[i].do(); err != nil {
			t.Fatalf("%s: %v", all[i].name, err)
		}
		c.set(c.now().Add(10 * time.Minute))
		byHook, byPoll := s.news(t)
		told := append(byHook, byPoll...)
		if len(told) == 0 || i > 0 && same(told, all[i-1].raws) {
			silent = append(silent, all[i].name)
		}
		all[i].raws = told
	}
	// What was not told is delivered as what was told before, or, at first, behind it.
	for i := range all {
		for j := i; len(all[i].raws) == 0 && j >= 0; j-- {
			all[i].raws = all[j].raws
		}
	}
	for i := len(all) - 2; i >= 0; i-- {
		if len(all[i].raws) == 0 {
			all[i].raws = all[i+1].raws
		}
	}
	slices.Sort(silent)
	if got := strings.Join(silent, " "); got != b.silent {
		t.Fatalf("%s tells nothing of %q, want %q", b.platform, got, b.silent)
	}
	return s, known, order, all
}

// same: a poll looks back, and finds what it told before.
func same(a, b []connectors.Raw) bool {
	return slices.EqualFunc(a, b, func(a, b connectors.Raw) bool { return bytes.Equal(a.Body, b.Body) })
}

// ledger is the rooms up to stock, with 100 of each SKU counted.
type ledger struct {
	*house
	room  *stock.Room
	stock *stream.Memory
}

func newLedger(t testing.TB, shops []*shop, known translate.Listings) *ledger {
	t.Helper()
	room, err := stock.New(stock.Config{})
	if err != nil {
		t.Fatal(err)
	}
	l := &ledger{newHouse(t, shops, known), room, inMemory(t, room, schemas.StockIn)}
	for _, sku := range skus[:2] {
		l.stock.AppendMessage(sku, &event.StockInput{Input: &event.StockInput_Move{Move: &event.StockMove{
			Sku: sku, MoveId: "opening/" + sku, CauseVersion: &event.Version{Number: 1}, OnHand: 100, Kind: event.MoveKind_MOVE_KIND_OPENING,
		}}}, 1)
	}
	return l
}

// take lets payloads through, one after the other.
func (l *ledger) take(t testing.TB, s *shop, path string, raws ...connectors.Raw) {
	t.Helper()
	for _, o := range l.house.take(t, s, path, raws...) {
		if o.Topic.Name == schemas.StockIn.Name {
			l.received++
			l.stock.AppendMessage(string(o.Key), o.Value, l.received)
		}
	}
	drained(t, l.stock)
}

func (l *ledger) level(sku string) *event.StockLevel {
	v, _ := l.stock.Entry(stream.Key{Table: l.room.Levels(), ID: sku}).(*event.StockLevel)
	return v
}

// outcome is all that must not depend on the order of arrival: the order, the levels, and what
// each claim stands for.
func (l *ledger) outcome(account, id string) (*event.Order, map[string][2]int64) {
	o := proto.Clone(l.order(account, id)).(*event.Order)
	o.Version, o.Origin = nil, nil
	for _, r := range o.Refunds {
		r.Origin = nil
	}
	figures := map[string][2]int64{}
	for _, sku := range skus[:2] {
		v := l.level(sku)
		figures[sku] = [2]int64{v.OnHand, v.Reserved}
	}
	l.stock.Entries(l.room.Claims(), func(id string, v stream.Message) {
		if c := v.(*event.Claim); c.OnHand != 0 || c.Reserved != 0 {
			figures["claim "+id] = [2]int64{c.OnHand, c.Reserved}
		}
	})
	return o, figures
}

func permutations(n int) (all [][]int) {
	if n == 0 {
		return [][]int{nil}
	}
	for _, p := range permutations(n - 1) {
		for at := range n {
			all = append(all, slices.Insert(slices.Clone(p), at, n-1))
		}
	}
	return all
}

// TestAllOrdersOfArrivalOfEveryChannel: created, paid, shipped, updated, cancelled, refunded, as
// each platform tells them by webhook and by poll, in all 720 orders of arrival: one and the same order, and one and
// the same stock, which is right. With -short it is one order of arrival in 17: they are tried one
// after the other, in memory.
func TestAllOrdersOfArrivalOfEveryChannel(t *testing.T) {
	for _, b := range biographies() {
		t.Run(strings.TrimSuffix(b.platform+"-"+b.name, "-"), func(t *testing.T) {
			s, known, id, six := lived(t, b)
			var first *event.Order
			var figures map[string][2]int64
			all := permutations(6)
			if len(all) != 720 {
				t.Fatalf("%d orders of arrival", len(all))
			}
			for n, order := range all {
				if testing.Short() && n%17 != 0 {
					continue
				}
				l := newLedger(t, []*shop{s}, known)
				var names []string
				for _, i := range order {
					l.take(t, s, "poll", six[i].raws...)
					names = append(names, six[i].name)
				}
				o, f := l.outcome(s.account, id)
				if n == 0 {
					first, figures = o, f
					continue
				}
				// What differs is worked out only when something does: 4,320 ends are compared.
				if !proto.Equal(first, o) || !maps.Equal(figures, f) {
					t.Fatalf("%s: another order of arrival, another end (-want +got):\n%s", strings.Join(names, ", "), gocmp.Diff(first, o, protocmp.Transform())+gocmp.Diff(figures, f))
				}
			}
			for i, sku := range skus[:2] {
				if got := figures[sku]; got != b.want[i] {
					t.Errorf("%s: on hand and reserved %v, want %v", sku, got, b.want[i])
				}
			}
		})
	}
}

// TestCancellationOfEveryChannelReturnsStockOnce: a cancellation that is delivered three times,
// and once before the creation, puts the goods back exactly once, or reserves none at all.
func TestCancellationOfEveryChannelReturnsStockOnce(t *testing.T) {
	for _, platform := range platforms {
		t.Run(platform, func(t *testing.T) {
			b := biography{platform: platform, six: func(s *shop, sl *sale, order *string) []happened {
				made := happened{name: "created", do: func() (err error) { *order, err = s.place(sl); return err }}
				if platform == "ebay" { // which shows nothing that is not paid
					place := made.do
					made.do = func() error {
						if err := place(); err != nil {
							return err
						}
						return s.pay(*order)
					}
				}
				return []happened{made, {name: "cancelled", do: func() error { return s.cancel(*order) }}}
			}}
			s, known, _, told := lived(t, b)
			created, cancelled := told[0].raws, told[1].raws
			for _, c := range []struct {
				name  string
				given [][]connectors.Raw
				// reserved units of the first SKU after each delivery
				want []int64
			}{
				{"before the creation", [][]connectors.Raw{cancelled, created, cancelled, cancelled}, []int64{0, 0, 0, 0}},
				{"after it", [][]connectors.Raw{created, cancelled, cancelled, cancelled}, []int64{3, 0, 0, 0}},
				{"around it", [][]connectors.Raw{created, cancelled, created, cancelled, cancelled}, []int64{3, 0, 0, 0, 0}},
			} {
				l := newLedger(t, []*shop{s}, known)
				for i, raws := range c.given {
					path := []string{"poll", "webhook"}[i%2]
					// Another delivery is another record: what tells it from the first is not its content.
					again := slices.Clone(raws)
					for j := range again {
						again[j].Delivery = fmt.Sprint("d", i)
					}
					l.take(t, s, path, again...)
					v := l.level(skus[0])
					if v.OnHand != 100 || v.Reserved != c.want[i] || v.Available != 100-c.want[i] || v.Oversold != 0 {
						t.Errorf("%s, delivery %d: on hand %d, reserved %d, available %d, want 100, %d, %d", c.name, i+1, v.OnHand, v.Reserved, v.Available, c.want[i], 100-c.want[i])
					}
				}
			}
		})
	}
}
