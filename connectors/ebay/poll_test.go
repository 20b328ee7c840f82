package ebay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/connectortest"
	"github.com/helloword/crossdock/connectors/ebay/simulator"
	"github.com/helloword/crossdock/schemas/event"
)

// place places n paid orders of one unit, one after the other by step.
func place(t *testing.T, s *shop, n int, step time.Duration) (ids []string) {
	t.Helper()
	for range n {
		id, err := s.PlaceOrder(simulator.OrderSpec{Lines: []simulator.LineSpec{{Variant: "85123A", Quantity: 1}}, Paid: true})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
		s.clock.Add(step)
	}
	return ids
}

func objects(raws []connectors.Raw) (ids []string) {
	for _, r := range raws {
		ids = append(ids, r.Object)
	}
	return ids
}

// TestOldestFirst: eBay tells no order of results; ours is that of time, whatever fits.
func TestOldestFirst(t *testing.T) {
	for _, size := range []int{1, 2, 7, 200} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := open(t, simulator.Config{}, func(c *Config) { c.PageSize = size })
			stocked(s)
			want := place(t, s, 40, 17*time.Millisecond)
			s.clock.Add(time.Minute)
			raws, res := s.poll(t, connectors.Orders, connectors.PollRequest{})
			if got := strings.Join(objects(raws), " "); got != strings.Join(want, " ") {
				t.Errorf("got  %s\nwant %s", got, strings.Join(want, " "))
			}
			if !res.Watermark.Equal(s.clock.Now().Truncate(time.Second)) {
				t.Errorf("watermark %s, want eBay's clock %s", res.Watermark, s.clock.Now())
			}
			for i := 1; i < len(raws); i++ {
				if raws[i].SourceTime.Before(raws[i-1].SourceTime) {
					t.Errorf("order %d is older than the one before", i)
				}
			}
		})
	}
}

// TestOneMillisecond: more orders than a page holds, all of one millisecond: nothing is left
// but to count pages.
func TestOneMillisecond(t *testing.T) {
	s := open(t, simulator.Config{}, func(c *Config) { c.PageSize = 3 })
	stocked(s)
	want := place(t, s, 10, 0)
	s.clock.Add(time.Minute)
	raws, _ := s.poll(t, connectors.Orders, connectors.PollRequest{Start: s.clock.Now().Add(-time.Hour)})
	if len(raws) != len(want) {
		t.Errorf("%d orders, want %d", len(raws), len(want))
	}
}

// TestQuietPoll: when nothing changed, one small question is all.
func TestQuietPoll(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	_, res := s.poll(t, connectors.Orders, connectors.PollRequest{})
	before := s.tape.made(callOrders.name())
	s.clock.Add(time.Hour)
	_, res = s.poll(t, connectors.Orders, connectors.PollRequest{Cursor: res.Cursor, Overlap: 5 * time.Minute, Settle: 5 * time.Second})
	if got := s.tape.made(callOrders.name()) - before; got != 1 {
		t.Errorf("%d calls, want 1", got)
	}
	if want := s.clock.Now().Add(-5 * time.Second); !res.Watermark.Equal(want) {
		t.Errorf("watermark %s, want %s", res.Watermark, want)
	}
}

// TestOurClockDoesNotMatter: cursors come from eBay's clock.
func TestOurClockDoesNotMatter(t *testing.T) {
	for _, off := range []time.Duration{-3 * time.Hour, 3 * time.Hour} {
		s := open(t, simulator.Config{}, nil)
		stocked(s)
		place(t, s, 3, time.Second)
		s.clock.Add(time.Minute)
		deps := s.deps
		deps.Now = func() time.Time { return s.clock.Now().Add(off) }
		p := &orderPoller{client: newClient(s.cfg, deps)}
		n := 0
		res, err := p.Poll(context.Background(), connectors.PollRequest{}, func(connectors.Raw) error { n++; return nil })
		if err != nil || n != 3 || !res.Watermark.Equal(s.clock.Now()) {
			t.Errorf("off by %s: %d orders, watermark %s, %v", off, n, res.Watermark, err)
		}
	}
}

func TestUnpaidOrdersAreNotShown(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	id, err := s.PlaceOrder(simulator.OrderSpec{Lines: []simulator.LineSpec{{Variant: "85123A", Quantity: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	s.clock.Add(time.Minute)
	raws, res := s.poll(t, connectors.Orders, connectors.PollRequest{})
	if len(raws) != 0 {
		t.Errorf("an unpaid order was shown")
	}
	if err := s.Pay(id); err != nil {
		t.Fatal(err)
	}
	s.clock.Add(time.Minute)
	raws, _ = s.poll(t, connectors.Orders, connectors.PollRequest{Cursor: res.Cursor})
	if len(raws) != 1 || raws[0].Object != id {
		t.Errorf("got %v, want %s", objects(raws), id)
	}
}

// TestWholeOrders: what getOrders leaves out is asked for.
func TestWholeOrders(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	spec := simulator.OrderSpec{Lines: []simulator.LineSpec{{Variant: "85123A", Quantity: 5}, {Variant: "MUG-R", Quantity: 1}}, Paid: true, Customer: buyer, Shipping: home}
	parts, err := s.PlaceOrder(spec)
	if err != nil {
		t.Fatal(err)
	}
	o, _ := s.Order(parts)
	for range 2 {
		if err := s.Fulfil(parts, simulator.FulfilSpec{Lines: []simulator.FulfilLineSpec{{Line: o.Lines[0].ID, Quantity: 2}}}); err != nil {
			t.Fatal(err)
		}
	}
	asked, err := s.PlaceOrder(spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RequestCancel(asked, "BUYER_CANCEL_OR_ADDRESS_ISSUE"); err != nil {
		t.Fatal(err)
	}
	cancelled, err := s.PlaceOrder(spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Cancel(cancelled, "", true, time.Time{}); err != nil {
		t.Fatal(err)
	}
	s.clock.Add(time.Minute)
	raws, _ := s.poll(t, connectors.Orders, connectors.PollRequest{})
	found := map[string]*event.Order{}
	for _, f := range s.translate(t, raws) {
		found[f.Orders[0].Id] = f.Orders[0]
	}
	if got := found[parts].Lines[0].Fulfilled; got != 4 {
		t.Errorf("%d units shipped, want 4", got)
	}
	if got := found[parts].FulfilmentStatus; got != event.FulfilmentStatus_FULFILMENT_STATUS_PARTIAL {
		t.Errorf("status %s", got)
	}
	if got := found[asked]; got.Status != event.OrderStatus_ORDER_STATUS_ON_HOLD || got.CancelReason != "buyer_cancel_or_address_issue" {
		t.Errorf("an order that the buyer wants to cancel: %s %q", got.Status, got.CancelReason)
	}
	got := found[cancelled]
	if got.Status != event.OrderStatus_ORDER_STATUS_CANCELLED || got.CancelReason != strings.ToLower(outOfStock) || got.CancelledMs == 0 {
		t.Errorf("a cancelled order: %s %q %d", got.Status, got.CancelReason, got.CancelledMs)
	}
	if len(got.Refunds) != 1 || got.Refunds[0].Total.GetMinor() != got.Total.GetMinor() || got.PaymentStatus != event.PaymentStatus_PAYMENT_STATUS_REFUNDED {
		t.Errorf("its refund: %v, %s", got.Refunds, got.PaymentStatus)
	}
}

// TestBrokenOrder: one broken order does not keep the others of its page.
func TestBrokenOrder(t *testing.T) {
	nodes, total, _, err := readList([]byte(`{"total":3,"orders":[{"orderId":"a","lastModifiedDate":"2026-11-01T00:00:00.000Z"},{"orderId":7,"lastModifiedDate":"yesterday"},{"orderId":"c","lastModifiedDate":"2026-11-01T00:00:01.000Z"}]}`), "orders", orderHead)
	if err != nil || total != 3 || len(nodes) != 3 {
		t.Fatalf("%d nodes of %d, %v", len(nodes), total, err)
	}
	p := &orderPoller{client: newClient(DefaultConfig(), connectors.Deps{HTTP: &http.Client{}})}
	for i, n := range nodes {
		raw, err := p.whole(context.Background(), n)
		if err != nil || !json.Valid(raw.Body) || raw.Object == "" {
			t.Errorf("node %d: %q, %v", i, raw.Body, err)
		}
		if _, err := (&translator{}).Translate(&connectors.Record{Format: raw.Format, Body: raw.Body}); !errors.Is(err, connectors.ErrMalformed) {
			t.Errorf("node %d: %v, want ErrMalformed", i, err)
		}
	}
}

func TestBadCursor(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	for subject, p := range s.conn.Poll {
		_, err := p.Poll(context.Background(), connectors.PollRequest{Cursor: json.RawMessage(`{"until":7,`)}, nil)
		if !errors.Is(err, connectors.ErrPermanent) || !strings.Contains(err.Error(), "delete it") {
			t.Errorf("%s: got %v", subject, err)
		}
	}
}

// TestCrawlSavesCalls: what did not change is not emitted again, and its offers are not read
// again, until they are old; what was emitted and then lost is.
func TestCrawlSavesCalls(t *testing.T) {
	s := open(t, simulator.Config{}, func(c *Config) { c.PageSize = 2 })
	stocked(s)
	raws, res := s.poll(t, connectors.Products, connectors.PollRequest{})
	if len(raws) != 3 {
		t.Fatalf("%d products, want 3", len(raws))
	}
	lost, _ := s.poll(t, connectors.Products, connectors.PollRequest{})
	if len(lost) != 3 {
		t.Errorf("%d products after the cursor was lost, want all 3", len(lost))
	}
	_, res = s.poll(t, connectors.Products, connectors.PollRequest{Cursor: res.Cursor})
	calls := s.tape.made(callOffers.name())
	raws, res = s.poll(t, connectors.Products, connectors.PollRequest{Cursor: res.Cursor})
	if len(raws) != 0 || s.tape.made(callOffers.name()) != calls {
		t.Errorf("%d products and %d calls although nothing changed", len(raws), s.tape.made(callOffers.name())-calls)
	}
	if err := s.SetStock("MUG-R", 7); err != nil {
		t.Fatal(err)
	}
	raws, res = s.poll(t, connectors.Products, connectors.PollRequest{Cursor: res.Cursor})
	if got := s.translate(t, raws); len(got) != 1 || got[0].Products[0].Listings[0].GetShown() != 7 {
		t.Errorf("after a change: %v", got)
	}
	s.clock.Add(s.cfg.OffersRefresh)
	_, _ = s.poll(t, connectors.Products, connectors.PollRequest{Cursor: res.Cursor})
	if got := s.tape.made(callOffers.name()) - calls; got != 4 {
		t.Errorf("%d calls for offers, want 1 for the change and 3 because they are old", got)
	}
}

func TestProductFacts(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	raws, _ := s.poll(t, connectors.Products, connectors.PollRequest{})
	facts := s.translate(t, raws)
	p := facts[2].Products[0]
	if p.Id != "MUG G/1" || p.Title != "Mug - green" || p.Status != "published" || p.UpdatedMs != s.clock.Now().UnixMilli() {
		t.Errorf("product %v", p)
	}
	l := p.Listings[0]
	if l.Id != "MUG G/1" || l.StockId != "MUG G/1" || !l.Stocked || l.GetShown() != 5 || l.Price.GetMinor() != 340 || l.Price.GetCurrency() != "GBP" {
		t.Errorf("listing %v", l)
	}
	if len(l.Identifiers) != 1 || l.Identifiers[0].Value != "036000291452" || l.Identifiers[0].Kind != event.IdentifierKind_IDENTIFIER_KIND_GTIN {
		t.Errorf("identifiers %v", l.Identifiers)
	}
	// The line of an order names the same listing.
	id, err := s.PlaceOrder(simulator.OrderSpec{Lines: []simulator.LineSpec{{Variant: "MUG G/1", Quantity: 2}}, Paid: true})
	if err != nil {
		t.Fatal(err)
	}
	s.clock.Add(time.Minute)
	raws, _ = s.poll(t, connectors.Orders, connectors.PollRequest{})
	if o := s.translate(t, raws)[0].Orders[0]; o.Id != id || o.Lines[0].ListingId != l.Id {
		t.Errorf("the order names listing %q, the product %q", o.Lines[0].ListingId, l.Id)
	}
}

// TestFarBack: a first poll asks for no more than eBay gives.
func TestFarBack(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	s.poll(t, connectors.Orders, connectors.PollRequest{Start: time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC)})
	for _, asked := range s.tape.asked {
		if strings.Contains(asked, "2010") {
			t.Errorf("asked for %s", asked)
		}
	}
}

// stubborn answers some calls with a refusal that will not change.
type stubborn struct {
	next http.RoundTripper
	path string
}

func (s stubborn) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.URL.Path, s.path) || strings.Contains(r.URL.RawQuery, s.path) {
		resp := says(400, "application/json", `{"errors":[{"errorId":32100,"message":"Invalid Order Id"}]}`)
		resp.Request = r
		return resp, nil
	}
	return s.next.RoundTrip(r)
}

// TestOneDoesNotKeepTheOthers: what cannot be completed is told as far as it is known.
func TestOneDoesNotKeepTheOthers(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	ids := place(t, s, 3, time.Second)
	id, o := sold(t, s, simulator.LineSpec{Variant: "85123A", Quantity: 5})
	if err := s.Fulfil(id, simulator.FulfilSpec{Lines: []simulator.FulfilLineSpec{{Line: o.Lines[0].ID, Quantity: 2}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.RequestCancel(ids[1], "x"); err != nil {
		t.Fatal(err)
	}
	s.clock.Add(time.Minute)
	s.tape.next = stubborn{s.tape.next, "/shipping_fulfillment"}
	raws, _ := s.poll(t, connectors.Orders, connectors.PollRequest{})
	if len(raws) != 4 || len(s.translate(t, raws)) != 4 {
		t.Errorf("%d orders, want 4", len(raws))
	}
	s.tape.next = stubborn{s.tape.next.(stubborn).next, "/order/" + ids[1]}
	if raws, _ = s.poll(t, connectors.Orders, connectors.PollRequest{}); len(raws) != 4 {
		t.Errorf("%d orders, want 4", len(raws))
	}
	s.tape.next = stubborn{s.tape.next.(stubborn).next, "sku=MUG-R"}
	if raws, _ = s.poll(t, connectors.Products, connectors.PollRequest{}); len(raws) != 2 {
		t.Errorf("%d products, want the other 2", len(raws))
	}
}

// TestHistoryGivesWay: windows of long ago leave quota to what is urgent, those of today do
// not wait.
func TestHistoryGivesWay(t *testing.T) {
	s := open(t, simulator.Config{}, func(c *Config) { c.PageSize = 2 })
	stocked(s)
	place(t, s, 9, 24*time.Hour)
	s.poll(t, connectors.Orders, connectors.PollRequest{})
	l := s.deps.Limiter.(*connectortest.Limiter)
	calls := make(map[connectors.Priority]int)
	for _, asked := range l.Asked() {
		calls[asked.Priority]++
	}
	if calls[connectors.Backfill] == 0 || calls[connectors.Normal] == 0 {
		t.Errorf("calls by priority: %v", calls)
	}
}
