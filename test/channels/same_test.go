package channels

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/processors/orders"
	"github.com/helloword/crossdock/processors/translate"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

var platforms = []string{"shopify", "woocommerce", "magento", "amazon", "ebay"}

// listings answers which SKU a listing means.
type listings map[string]*event.Resolution

func (l listings) Lookup(account, listing string) *event.Resolution { return l[account+"/"+listing] }

// house is the rooms that an order goes through, in memory.
type house struct {
	translate, orders *stream.Memory
	room              *orders.Room
	received          int64
}

func newHouse(t testing.TB, shops []*shop, known translate.Listings) *house {
	t.Helper()
	cfg := translate.Config{Translators: map[translate.Source]connectors.Translator{}}
	for _, s := range shops {
		cfg.Translators[translate.Source{Connector: s.platform, Account: s.account}] = s.conn.Translate
	}
	tr, err := translate.New(cfg, known)
	if err != nil {
		t.Fatal(err)
	}
	or, err := orders.New(orders.Config{Warehouse: "main"})
	if err != nil {
		t.Fatal(err)
	}
	return &house{translate: inMemory(t, tr, schemas.RawOrders), orders: inMemory(t, or, schemas.OrdersIn), room: or}
}

func inMemory(t testing.TB, f stream.Fold, input schemas.Topic) *stream.Memory {
	t.Helper()
	r, err := stream.NewRoom(f, "test")
	if err != nil {
		t.Fatal(err)
	}
	return stream.NewMemory(r, input)
}

// take lets raw records through the rooms, and returns what the orders room said.
func (h *house) take(t testing.TB, s *shop, path string, raws ...connectors.Raw) []stream.Output {
	t.Helper()
	for _, r := range raws {
		h.received++
		header := func(k, v string) stream.Header { return stream.Header{Key: k, Value: []byte(v)} }
		h.translate.Append(stream.Record{
			Key: []byte(s.account + "/" + r.Object), Value: r.Body, TimestampMs: h.received,
			Headers: []stream.Header{
				header(schemas.HeaderConnector, s.platform), header(schemas.HeaderAccount, s.account), header(schemas.HeaderFormat, r.Format),
				header(schemas.HeaderObject, r.Object), header(schemas.HeaderPath, path), header(schemas.HeaderSourceTime, strconv.FormatInt(r.SourceTime.UnixMilli(), 10)),
			},
		})
	}
	for _, o := range drained(t, h.translate) {
		if o.Topic.Name != schemas.OrdersIn.Name {
			t.Fatalf("%s: the translation says something on %s: %v %s", s.account, o.Topic.Name, o.Value, o.Headers)
		}
		h.received++
		h.orders.AppendMessage(string(o.Key), o.Value, h.received)
	}
	return drained(t, h.orders)
}

func drained(t testing.TB, m *stream.Memory) []stream.Output {
	t.Helper()
	out, err := m.Drain(50)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range out {
		if strings.HasPrefix(o.Topic.Name, "dlq") {
			t.Fatalf("dead letter on %s: %s %s", o.Topic.Name, o.Headers, o.Bytes)
		}
	}
	return out
}

// order is what the orders room knows of one.
func (h *house) order(account, id string) *event.Order {
	o, _ := h.orders.Entry(stream.Key{Table: h.room.Table(), ID: account + "/" + id}).(*event.Order)
	return o
}

// play does what the sale's life wants in one stage.
func play(s *shop, sl *sale, stage int) (err error) {
	id := s.ids[sl.n]
	switch {
	case stage == placing:
		s.ids[sl.n], err = s.place(sl)
	case stage == paying && sl.life == paidLater:
		err = s.pay(id)
	case stage == parcel && (sl.life == partly || sl.life == inTwo):
		err = s.ship(id, sl.first())
	case stage == parcel && sl.life == shortened:
		err = s.refund(id, sl, sl.back())
	case stage == rest && (sl.life == shipped || sl.life == inTwo || sl.life == returned || sl.life == kept || sl.life == shortened || sl.life == freightOff || sl.life == allBack):
		err = s.ship(id, nil)
	case stage == ending && sl.life == cancelled:
		err = s.cancel(id)
	case stage == ending && sl.life == void:
		err = s.void(id, sl, sl.back())
	case stage == ending && (sl.life == returned || sl.life == kept || sl.life == freightOff || sl.life == allBack) && sl.total(sl.back()) > 0:
		err = s.refund(id, sl, sl.back())
	}
	if err != nil {
		return fmt.Errorf("%s, sale %d, stage %d: %w", s.account, sl.n, stage, err)
	}
	return nil
}

// TestOneScriptOnFiveChannels: 200 sales, played on every platform, end in the same canonical
// orders, but for what the table of exceptions says, to the letter.
func TestOneScriptOnFiveChannels(t *testing.T) {
	sales := script(t)
	c := &clock{t: begin}
	known := listings{}
	var shops []*shop
	find := map[string]*shop{}
	for _, p := range platforms {
		for _, currency := range []string{"EUR", "GBP", "USD", "JPY"} {
			if p == "ebay" && currency == "JPY" {
				continue
			}
			s := opened(t, p, currency, c)
			for _, sku := range skus {
				known[s.account+"/"+s.offer(sku, 100_000)] = &event.Resolution{Sku: sku, Multiplier: 1, MappingVersion: 1, Rule: event.MatchRule_MATCH_RULE_SKU}
			}
			shops, find[p+currency] = append(shops, s), s
		}
	}
	h := newHouse(t, shops, known)
	hooks, polls := map[string]int{}, map[string]int{}
	for stage := range stages {
		c.set(at(stage))
		for _, p := range platforms {
			for _, sl := range sales {
				if s := find[p+sl.currency]; s != nil {
					if err := play(s, sl, stage); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		c.set(at(stage).Add(10 * 60 * 1e9))
		for _, s := range shops {
			byHook, byPoll := s.news(t)
			hooks[s.platform], polls[s.platform] = hooks[s.platform]+len(byHook), polls[s.platform]+len(byPoll)
			h.take(t, s, "webhook", byHook...)
			h.take(t, s, "poll", byPoll...)
		}
	}

	for _, p := range platforms {
		if polls[p] < 300 || hooks[p] < 300 && (p == "shopify" || p == "woocommerce") {
			t.Errorf("%s told %d by webhook and %d by poll", p, hooks[p], polls[p])
		}
	}
	used := map[int]bool{}
	compared := 0
	for _, p := range platforms {
		for _, sl := range sales {
			want := said(p, sl, func(i int) { used[i] = true })
			var got *event.Order
			if s := find[p+sl.currency]; s != nil {
				got = h.order(s.account, s.ids[sl.n])
			}
			if (got == nil) != (want == nil) {
				t.Errorf("%s, sale %d (%s): there is an order: %v, want %v", p, sl.n, sl.currency, got != nil, want != nil)
				continue
			}
			if got == nil {
				continue
			}
			compared++
			if diff := gocmp.Diff(normal(t, want), normal(t, got), protocmp.Transform()); diff != "" {
				t.Errorf("%s, sale %d, life %d, tax %q included %v, discount %d (-want +got):\n%s", p, sl.n, sl.life, sl.rate, sl.included, sl.discount, diff)
			}
		}
		if t.Failed() {
			t.FailNow() // the next platform says much the same
		}
	}
	for i, e := range exceptions() {
		if !used[i] {
			t.Errorf("exception %d of %s is used by no sale: %s", i, e.platform, e.reason)
		}
	}
	if compared < 850 {
		t.Errorf("only %d orders were compared", compared)
	}
}

// normal is an order without what is the platform's own: ids, names, the times of versions.
// What stays is money, taxes, discounts, shipping, people and places, states, units, refunds.
func normal(t testing.TB, in *event.Order) *event.Order {
	t.Helper()
	o := proto.Clone(in).(*event.Order)
	if o.Parked {
		t.Errorf("order %s/%s waits for a SKU", o.Account, o.Id)
	}
	o.Connector, o.Account, o.Id, o.Name, o.BuyerId, o.Reference, o.CancelReason = "", "", "", "", "", "", ""
	o.UpdatedMs, o.Version, o.Origin, o.Known = 0, nil, nil, nil
	index := map[string]string{}
	exponent, _ := money.Exponent("", o.Currency)
	for i, l := range o.Lines {
		index[l.Id] = strconv.Itoa(i + 1)
		l.Id, l.ListingId, l.ProductId, l.Title = index[l.Id], "", "", ""
		l.Resolution.MappingVersion, l.Resolution.Rule = 0, 0
		untitled(l.Taxes)
		// A price of one that gives the amount says nothing more.
		if l.UnitPrice != nil {
			if minor, err := money.Mul(l.UnitPrice, l.Quantity, exponent); err == nil && minor == l.Total.GetMinor() {
				l.UnitPrice = nil
			} else {
				trimmed(l.UnitPrice)
			}
		}
	}
	for _, s := range o.ShippingLines {
		s.Id, s.Code, s.Title = "", "", ""
	}
	for _, d := range o.Discounts {
		d.Kind = ""
	}
	slices.SortFunc(o.Discounts, func(a, b *event.Discount) int {
		return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.Amount.GetMinor(), b.Amount.GetMinor()))
	})
	untitled(o.Taxes)
	for _, r := range o.Refunds {
		r.Connector, r.Account, r.OrderId, r.Id, r.Note, r.Origin = "", "", "", "", "", nil
		for _, l := range r.Lines {
			l.OrderLineId = index[l.OrderLineId]
		}
	}
	slices.SortFunc(o.Refunds, func(a, b *event.Refund) int {
		return cmp.Or(cmp.Compare(a.CreatedMs, b.CreatedMs), cmp.Compare(a.Total.GetMinor(), b.Total.GetMinor()))
	})
	return o
}

func untitled(taxes []*event.Tax) {
	for _, t := range taxes {
		t.Title = ""
	}
}
