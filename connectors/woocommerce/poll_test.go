package woocommerce

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/woocommerce/simulator"
)

func sell(t testing.TB, s *shop, variant int64) int64 {
	t.Helper()
	id, err := s.PlaceOrder(simulator.OrderSpec{Paid: true, Lines: []simulator.LineSpec{{Variant: variant, Quantity: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// More orders than a page within one second: all come, and each once.
func TestManyOrdersOfOneSecond(t *testing.T) {
	s := open(t, simulator.Config{}, func(c *Config) { c.PageSize = 5 })
	p := stocked(s)
	want := map[string]int{}
	for range 23 {
		want[stringID(sell(t, s, p[0].Variants[0]))]++
	}
	s.clock.Add(time.Minute)
	want[stringID(sell(t, s, p[0].Variants[0]))]++
	got := map[string]int{}
	raws, res := s.poll(t, connectors.Orders, connectors.PollRequest{})
	for _, raw := range raws {
		got[raw.Object]++
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !res.Watermark.Equal(s.clock.Now()) {
		t.Errorf("watermark %s, the shop's clock says %s", res.Watermark, s.clock.Now())
	}
}

// Wherever the shop's clock hangs, what changed a moment ago is read now, and nothing twice.
func TestZones(t *testing.T) {
	for _, zone := range []*time.Location{time.FixedZone("Kiritimati", 14*3600), time.FixedZone("Berlin", 3600), time.UTC, time.FixedZone("Honolulu", -10*3600)} {
		s := open(t, simulator.Config{Zone: zone}, nil)
		p := stocked(s)
		req := connectors.PollRequest{}
		for i := range 3 {
			s.clock.Add(10 * time.Minute)
			sell(t, s, p[0].Variants[0])
			if err := s.UpdateVariation(p[1].Variants[1], "MUG-X", "4.00"); err != nil {
				t.Fatal(err)
			}
			s.clock.Add(10 * time.Second)
			orders, res := s.poll(t, connectors.Orders, req)
			products, _ := s.poll(t, connectors.Products, req)
			if len(orders) != 1 || len(products) < 1 || i > 0 && len(products) != 1 {
				t.Errorf("%s, poll %d: %d orders and %d products, want one of each", zone, i, len(orders), len(products))
			}
			req.Cursor = res.Cursor
		}
	}
}

// More products than a question can name changed within one second, and some of them change
// again, or are erased, while they are read: counted pages shift, and none is stepped over.
func TestABusySecond(t *testing.T) {
	const pages, size = 8, 100
	s := open(t, simulator.Config{}, func(c *Config) { c.PageSize, c.MaxPages = size, 200 })
	var ids []int64
	for i := range pages * size {
		ids = append(ids, s.AddProduct(simulator.ProductSpec{Title: "Mug", Variants: []simulator.VariantSpec{{SKU: "M" + strconv.Itoa(i), Price: "1.00"}}}).ID)
	}
	s.clock.Add(time.Minute)
	asked := 0
	next := s.server.Config.Handler
	s.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		// After each page one that was read is edited, and one erased: two fewer in the second.
		if r.URL.Path != "/wp-json/wc/v3/products" || asked > 30 {
			return
		}
		if asked++; asked > 3 {
			if err := errors.Join(s.UpdateProduct(ids[asked], "Cup", "2.00"), s.DeleteProduct(ids[40+asked])); err != nil {
				t.Error(err)
			}
		}
	})
	got, times := map[string]int{}, 0
	raws, res := s.poll(t, connectors.Products, connectors.PollRequest{Settle: 5 * time.Second})
	for _, raw := range raws {
		got[raw.Object]++
		times = max(times, got[raw.Object])
	}
	missing := 0
	for _, id := range ids {
		if got[stringID(id)] == 0 {
			missing++
		}
	}
	if missing > 0 || times != 1 || res.More {
		t.Errorf("%d of %d products are missing, and one came %d times (more %v)", missing, len(ids), times, res.More)
	}
}

// A second that never stands still ends in an error that passes, and in no loop.
func TestASecondThatNeverStandsStill(t *testing.T) {
	calls := 0
	c, _ := answered(t, func(r *http.Request) (*http.Response, error) {
		calls++
		first := 1
		if excluded := r.URL.Query().Get("exclude"); excluded != "" {
			first += 1 + strings.Count(excluded, ",")
		}
		var b strings.Builder
		for i := range 100 {
			fmt.Fprintf(&b, `,{"id":%d,"date_modified_gmt":"2026-11-01T00:00:00"}`, first+i)
		}
		h := map[string]string{"X-WP-TotalPages": "5", "X-WP-Total": strconv.Itoa(400 + calls)}
		return respond(http.StatusOK, h, "["+b.String()[1:]+"]")(r)
	}, func(c *Config) { c.PageSize = 100 })
	_, err := (&orderPoller{c}).Poll(t.Context(), connectors.PollRequest{}, func(connectors.Raw) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "did not stand still") || calls > 100 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

// The settle leaves the newest seconds out, and the next poll brings them.
func TestSettle(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	p := stocked(s)
	sell(t, s, p[0].Variants[0])
	req := connectors.PollRequest{Settle: 5 * time.Second}
	raws, res := s.poll(t, connectors.Orders, req)
	if len(raws) != 0 {
		t.Errorf("%d orders of this very second", len(raws))
	}
	s.clock.Add(6 * time.Second)
	req.Cursor = res.Cursor
	if raws, _ = s.poll(t, connectors.Orders, req); len(raws) != 1 {
		t.Errorf("%d orders six seconds later, want 1", len(raws))
	}
}

// A refund comes with the order, as a record of its own under the order's key.
func TestRefundsComeWithTheirOrder(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	p := stocked(s)
	id := sell(t, s, p[0].Variants[0])
	o, _ := s.Order(id)
	refund, err := s.Refund(id, simulator.RefundSpec{Note: "late", Lines: []simulator.RefundLineSpec{{Line: o.Lines[0].ID, Quantity: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	raws, _ := s.poll(t, connectors.Orders, connectors.PollRequest{})
	if len(raws) != 2 || raws[0].Format != formatOrder || raws[1].Format != formatRefunds || raws[1].Object != stringID(id) {
		t.Fatalf("%d records", len(raws))
	}
	f := s.facts(t, raws[1])
	if len(f.Refunds) != 1 || f.Refunds[0].Id != stringID(refund) || f.Refunds[0].OrderId != stringID(id) || f.Refunds[0].Total.Minor != 255 || f.Refunds[0].Note != "late" {
		t.Errorf("got %v", f.Refunds)
	}
}

// An order in the trash is cancelled, and a product in the trash is gone.
func TestTrash(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	p := stocked(s)
	id := sell(t, s, p[0].Variants[0])
	s.clock.Add(time.Minute)
	_, orders := s.poll(t, connectors.Orders, connectors.PollRequest{})
	_, products := s.poll(t, connectors.Products, connectors.PollRequest{})
	s.clock.Add(time.Minute)
	if err := errors.Join(s.TrashOrder(id), s.TrashProduct(p[0].ID)); err != nil {
		t.Fatal(err)
	}
	raws, _ := s.poll(t, connectors.Orders, connectors.PollRequest{Cursor: orders.Cursor})
	if len(raws) != 1 || s.facts(t, raws[0]).Orders[0].CancelReason != "trash" {
		t.Errorf("%d orders", len(raws))
	}
	raws, _ = s.poll(t, connectors.Products, connectors.PollRequest{Cursor: products.Cursor})
	if len(raws) != 1 || s.facts(t, raws[0]).Deleted[0].Id != stringID(p[0].ID) {
		t.Errorf("%d products", len(raws))
	}
}

// A variation that changed brings its product with all variations; on a shop before 10.3
// only a change of the product does, and stock is still read.
func TestVariations(t *testing.T) {
	for _, old := range []bool{false, true} {
		s := open(t, simulator.Config{NoVariationsList: old}, nil)
		p := stocked(s)
		s.clock.Add(time.Minute)
		first, res := s.poll(t, connectors.Products, connectors.PollRequest{})
		if len(first) != 2 || len(s.facts(t, first[1]).Products[0].Listings) != 3 {
			t.Fatalf("old %v: %d records at first", old, len(first))
		}
		s.clock.Add(time.Minute)
		if err := s.UpdateVariation(p[1].Variants[1], "MUG-X", "4.00"); err != nil {
			t.Fatal(err)
		}
		raws, _ := s.poll(t, connectors.Products, connectors.PollRequest{Cursor: res.Cursor})
		if old {
			if len(raws) != 0 {
				t.Errorf("%d records of a shop that does not list variations", len(raws))
			}
		} else if len(raws) != 1 || s.facts(t, raws[0]).Products[0].Listings[1].PlatformSku != "MUG-X" {
			t.Errorf("%d records", len(raws))
		}
		if err := s.SetStock(p[1].Variants[1], 77); err != nil {
			t.Fatal(err)
		}
		shown := map[string]int64{}
		raws, _ = s.poll(t, connectors.Inventory, connectors.PollRequest{})
		for _, raw := range raws {
			for _, o := range s.facts(t, raw).Observations {
				shown[o.StockId] = o.Shown
			}
		}
		if diff := cmp.Diff(map[string]int64{p[0].Items[0]: 100, p[1].Items[0]: 50, p[1].Items[1]: 77}, shown); diff != "" {
			t.Errorf("old %v (-want +got):\n%s", old, diff)
		}
	}
}

// One order that cannot be understood does not keep the others of its page.
func TestABrokenOrderIsEmittedWithTheOthers(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	p := stocked(s)
	for range 3 {
		sell(t, s, p[0].Variants[0])
		s.clock.Add(time.Second)
	}
	next := s.server.Config.Handler
	s.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{header: http.Header{}}
		next.ServeHTTP(rec, r)
		for k, v := range rec.header {
			w.Header()[k] = v
		}
		// The second order loses its id and its time.
		parts := strings.SplitAfter(rec.body.String(), `{"id":`)
		if len(parts) > 2 && strings.HasSuffix(r.URL.Path, "/orders") {
			text := rec.body.String()
			i := strings.Index(text[2:], `{"id":1`) + 2
			text = text[:i] + strings.Replace(strings.Replace(text[i:], `"id":`, `"no":`, 1), "date_modified_gmt", "no", 1)
			_, _ = w.Write([]byte(text))
			return
		}
		_, _ = w.Write([]byte(rec.body.String()))
	})
	raws, _ := s.poll(t, connectors.Orders, connectors.PollRequest{})
	good, bad := 0, 0
	for _, raw := range raws {
		if raw.Object == "" {
			t.Error("a record without a key")
		}
		if _, err := s.conn.Translate.Translate(s.record(raw)); errors.Is(err, connectors.ErrMalformed) {
			bad++
		} else if err == nil {
			good++
		}
	}
	if good != 2 || bad != 1 {
		t.Errorf("%d good and %d broken orders, want 2 and 1", good, bad)
	}
}

type recorder struct {
	header http.Header
	body   strings.Builder
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(int)             {}
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }

// A stored cursor that cannot be read is the operator's business.
func TestCursors(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	for _, subject := range []connectors.Subject{connectors.Orders, connectors.Inventory} {
		_, err := s.conn.Poll[subject].Poll(t.Context(), connectors.PollRequest{Cursor: json.RawMessage(`"x"`)}, nil)
		if !errors.Is(err, connectors.ErrPermanent) {
			t.Errorf("%s: %v", subject, err)
		}
	}
	at := time.Date(2026, 11, 1, 10, 0, 0, 700, time.UTC)
	q := modified(at, 50)
	if got := q.Get("modified_after"); got != "2026-11-01T09:59:59" || q.Get("dates_are_gmt") != "true" {
		t.Errorf("modified_after %s", got)
	}
	if q := modified(time.Time{}, 50); q.Has("modified_after") {
		t.Errorf("from the beginning: %v", q)
	}
}

// A poll that is cut short goes on where it was, in the middle of the overlap and in every
// lane, and ends.
func TestCutShort(t *testing.T) {
	s := open(t, simulator.Config{}, func(c *Config) { c.PageSize, c.MaxPages = 2, 1 })
	p := stocked(s)
	want := map[string]bool{}
	for i := range 12 {
		id := sell(t, s, p[0].Variants[0])
		want[stringID(id)] = true
		s.clock.Add(time.Second)
		if i%3 == 0 {
			if err := s.TrashOrder(id); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := map[string]bool{}
	var cursor json.RawMessage
	polls := 0
	for more := true; more; polls++ {
		res, err := s.conn.Poll[connectors.Orders].Poll(t.Context(), connectors.PollRequest{Cursor: cursor, Overlap: time.Hour}, func(raw connectors.Raw) error {
			got[raw.Object] = true
			return nil
		})
		if err != nil || polls > 30 {
			t.Fatal(polls, err)
		}
		if string(res.Cursor) == string(cursor) {
			t.Fatal("it does not get on")
		}
		cursor, more = res.Cursor, res.More
	}
	if diff := cmp.Diff(want, got); diff != "" || polls < 5 {
		t.Errorf("%d polls (-want +got):\n%s", polls, diff)
	}
}

// A cache that keeps answers must not move the watermark past what it kept.
func TestAnswersOfACache(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	next := s.server.Config.Handler
	s.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Age", "600")
		if r.Header.Get("Cache-Control") != "no-cache" {
			t.Error("the call does not say that it wants no cache")
		}
		next.ServeHTTP(w, r)
	})
	_, res := s.poll(t, connectors.Orders, connectors.PollRequest{})
	if want := s.clock.Now().Add(-10 * time.Minute); !res.Watermark.Equal(want) {
		t.Errorf("watermark %s, want %s", res.Watermark, want)
	}
}

// A list that promises further pages for ever, and repeats itself, has an end.
func TestAListWithoutEnd(t *testing.T) {
	c, _ := answered(t, respond(200, map[string]string{"X-WP-TotalPages": "1000000"}, `[{"id":1,"date_modified_gmt":"2026-11-01T00:00:00"}]`), nil)
	n := 0
	_, err := (&orderPoller{c}).Poll(t.Context(), connectors.PollRequest{}, func(connectors.Raw) error { n++; return nil })
	if err == nil || !strings.Contains(err.Error(), "nothing new") || n != 1 {
		t.Errorf("%d orders, %v", n, err)
	}
}

func TestCheck(t *testing.T) {
	details := ""
	check := func(s *shop) map[string]bool {
		t.Helper()
		results, err := s.conn.Check.Check(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for _, r := range results {
			got[strings.Replace(r.Subject, s.server.URL, "ADDRESS", 1)] = r.OK
			details += r.Detail + "\n"
			if !r.OK && r.Advice == "" {
				t.Errorf("%s: nothing says what to do", r.Subject)
			}
		}
		return got
	}
	all := map[string]bool{
		"shop ADDRESS": true, "clock": true, "read products": true, "read webhooks": true, "write": true, "storage of orders": true, "list of all variations": true,
		"stock management": true, "currency": true, "decimals of prices": true,
	}
	if diff := cmp.Diff(all, check(open(t, simulator.Config{}, nil))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := check(open(t, simulator.Config{NoStockManagement: true}, func(c *Config) { c.Currency = "USD" })); got["stock management"] || got["currency"] {
		t.Errorf("wrong settings: %v", got)
	}
	if got := check(open(t, simulator.Config{Currency: "KWD"}, func(c *Config) { c.Currency = "EUR" })); got["decimals of prices"] || got["currency"] {
		t.Errorf("three decimals of a currency with two: %v", got)
	}
	if got := check(open(t, simulator.Config{ReadOnly: true}, nil)); got["write"] || !got["read products"] || !strings.Contains(details, "may only read") {
		t.Errorf("a key that may only read: %v", got)
	}
	if got := check(open(t, simulator.Config{OrdersInPosts: true}, nil)); !got["storage of orders"] || !strings.Contains(details, "posts: an edit") {
		t.Errorf("orders in posts: %v", got)
	}
	s := open(t, simulator.Config{}, nil)
	t.Setenv("WOO_TEST_SECRET", "cs_wrong")
	if got := check(s); len(got) != 1 || got["shop ADDRESS"] || !strings.Contains(details, s.server.URL+" is not written as") {
		t.Errorf("a wrong secret: %v", got)
	}
	s = open(t, simulator.Config{Faults: simulator.Faults{Outage: true}}, nil)
	if got := check(s); len(got) != 1 {
		t.Errorf("an outage: %v", got)
	}
	if got := fmt.Sprint(s.limit.Last().RetryAfter); got != "1s" {
		t.Errorf("the limiter was told %s", got)
	}
}
