package magento

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/magento/simulator"
)

// objects is what was emitted, in order.
func objects(raws []connectors.Raw) (ids []string) {
	for _, r := range raws {
		ids = append(ids, r.Object)
	}
	return ids
}

func placed(t testing.TB, s *shop, variant int64, n int) (ids []int64) {
	t.Helper()
	for range n {
		id, err := s.PlaceOrder(simulator.OrderSpec{Paid: true, Lines: []simulator.LineSpec{{Variant: variant, Quantity: 2}}})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

// More orders than a page holds change within one second, as a mass action does: nobody is
// left out, each comes once, and no page but the first is ever asked for.
func TestAWholePageWithinOneSecond(t *testing.T) {
	var pages []string
	s := openOn(t, simulator.Config{}, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			pages = append(pages, r.URL.Query().Get("searchCriteria[currentPage]"))
			h.ServeHTTP(w, r)
		})
	}, func(c *Config) { c.PageSize, c.MaxPages = 3, 2 })
	heart := stocked(s)[0].Variants[0]
	placed(t, s, heart, 2)
	s.clock.Add(time.Second)
	placed(t, s, heart, 11)
	s.clock.Add(time.Second)
	placed(t, s, heart, 2)
	s.clock.Add(time.Minute)
	raws, res := s.poll(t, connectors.Orders, connectors.PollRequest{})
	var want []string
	for i := range 15 {
		want = append(want, stringID(int64(i)+1))
	}
	// The second one of the first page stands at a seam of two polls.
	seen := map[string]int{}
	for _, id := range objects(raws) {
		seen[id]++
	}
	for _, id := range want {
		if seen[id] == 0 {
			t.Errorf("order %s never came", id)
		}
	}
	if len(raws) > 20 {
		t.Errorf("%d orders came of 15", len(raws))
	}
	for _, p := range pages {
		if p != "1" {
			t.Errorf("page %s was asked for", p)
		}
	}
	if want := s.clock.Now(); !res.Watermark.Equal(want) {
		t.Errorf("watermark %s, want %s", res.Watermark, want)
	}
}

// A second partial shipment moves no column of the order: it is found by its own time.
func TestAShipmentThatDoesNotMoveItsOrder(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	id, err := s.PlaceOrder(simulator.OrderSpec{Paid: true, Lines: []simulator.LineSpec{{Variant: stocked(s)[0].Variants[0], Quantity: 3}}})
	if err != nil {
		t.Fatal(err)
	}
	s.clock.Add(time.Hour)
	_, res := s.poll(t, connectors.Orders, connectors.PollRequest{})
	o, _ := s.Order(id)
	before := o.Updated
	if err := s.Fulfil(id, simulator.FulfilSpec{Lines: []simulator.FulfilLineSpec{{Line: o.Lines[0].ID, Quantity: 1}}}); err != nil {
		t.Fatal(err)
	}
	if o, _ = s.Order(id); !o.Updated.Equal(before) {
		t.Fatal("the simulator moves the order")
	}
	s.clock.Add(time.Minute)
	raws, _ := s.poll(t, connectors.Orders, connectors.PollRequest{Cursor: res.Cursor, Overlap: time.Minute})
	if len(raws) != 1 {
		t.Fatalf("%d orders came, want the one that was shipped", len(raws))
	}
	facts, err := s.conn.Translate.Translate(s.record(raws[0]))
	if err != nil {
		t.Fatal(err)
	}
	got := facts.Orders[0]
	if got.Lines[0].Fulfilled != 1 || got.UpdatedMs != before.Add(time.Hour).UnixMilli() {
		t.Errorf("%d shipped, changed at %d: the line's time of change counts", got.Lines[0].Fulfilled, got.UpdatedMs)
	}
}

// Nothing newer than the server's now less the settling time is emitted, and the cursor goes
// by the server's clock.
func TestSettling(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	heart := stocked(s)[0].Variants[0]
	placed(t, s, heart, 1)
	s.clock.Add(8 * time.Second)
	placed(t, s, heart, 1)
	s.clock.Add(3 * time.Second)
	raws, res := s.poll(t, connectors.Orders, connectors.PollRequest{Settle: 10 * time.Second})
	if diff := cmp.Diff([]string{"1"}, objects(raws)); diff != "" {
		t.Error(diff)
	}
	if want := s.clock.Now().Add(-10 * time.Second); !res.Watermark.Equal(want) {
		t.Errorf("watermark %s, want %s", res.Watermark, want)
	}
	s.clock.Add(10 * time.Second)
	raws, _ = s.poll(t, connectors.Orders, connectors.PollRequest{Cursor: res.Cursor, Settle: 10 * time.Second})
	if diff := cmp.Diff([]string{"2"}, objects(raws)); diff != "" {
		t.Error(diff)
	}
}

// One broken order among good ones comes as it is, and the others as well.
func TestABrokenOrderDoesNotEndThePage(t *testing.T) {
	s := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/V1/orders") {
			_, _ = io.WriteString(w, `{"items":[],"total_count":0}`)
			return
		}
		_, _ = io.WriteString(w, `{"items":[{"entity_id":1,"updated_at":"2026-11-02 08:00:00"},{"entity_id":"two","updated_at":7},"three",{"entity_id":4,"updated_at":"2026-11-02 08:00:01"}],"total_count":4}`)
	})
	raws, _ := s.poll(t, connectors.Orders, connectors.PollRequest{})
	if diff := cmp.Diff([]string{"1", "unreadable", "unreadable", "4"}, objects(raws)); diff != "" {
		t.Error(diff)
	}
	for _, r := range raws[1:3] {
		if _, err := s.conn.Translate.Translate(s.record(r)); connectors.Class(err) != "malformed" {
			t.Errorf("%s: %v", r.Body, err)
		}
	}
}

// Answers that would be asked for without end.
func TestListsThatDoNotEnd(t *testing.T) {
	for name, body := range map[string]string{
		"no times":   `{"items":[{"entity_id":1},{"entity_id":2}],"total_count":9}`,
		"nothing":    `{"items":null,"total_count":9}`,
		"not sorted": `{"items":[{"entity_id":1,"updated_at":"2020-01-01 00:00:00"}],"total_count":9}`,
		"no ids":     `{"items":[{"updated_at":"2026-11-02 08:00:00"}],"total_count":9}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := answering(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
			for _, subject := range []connectors.Subject{connectors.Orders, connectors.Inventory} {
				req := connectors.PollRequest{Start: time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)}
				if _, err := s.conn.Poll[subject].Poll(context.Background(), req, func(connectors.Raw) error { return nil }); err == nil {
					t.Errorf("%s: the poll ended as if all had been read", subject)
				}
			}
		})
	}
}

func TestCursors(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	for _, subject := range []connectors.Subject{connectors.Orders, connectors.Products, connectors.Inventory} {
		if _, err := s.conn.Poll[subject].Poll(context.Background(), connectors.PollRequest{Cursor: json.RawMessage(`{"until":1}`), Overlap: 1}, nil); subject != connectors.Inventory && connectors.Class(err) != "permanent" {
			t.Errorf("%s: a broken cursor: %v", subject, err)
		}
		if _, err := s.conn.Poll[subject].Poll(context.Background(), connectors.PollRequest{Cursor: json.RawMessage(`7`)}, nil); connectors.Class(err) != "permanent" {
			t.Errorf("%s: a broken cursor: %v", subject, err)
		}
	}
	// A poll that is cut short goes on in the same list, from the same window.
	stocked(s)
	placed(t, s, 1, 3)
	begun := part{Leg: 1, From: s.clock.Now().Add(-time.Hour), At: s.clock.Now().Add(-time.Hour), Bound: s.clock.Now()}
	b, err := json.Marshal(cursor{Until: begun.From, Part: &begun})
	if err != nil {
		t.Fatal(err)
	}
	s.clock.Add(time.Hour)
	raws, res := s.poll(t, connectors.Orders, connectors.PollRequest{Cursor: b})
	if len(raws) != 0 || !res.Watermark.Equal(begun.Bound) {
		t.Errorf("%d orders of a list that was read, watermark %s; want the end of the window that was begun, %s", len(raws), res.Watermark, begun.Bound)
	}
}

// Quantities are read when it is time, and what is shown allows for what is reserved.
func TestQuantitiesAreReadWhenItIsTime(t *testing.T) {
	s := open(t, simulator.Config{}, func(c *Config) { c.InventoryEvery = time.Hour })
	heart := stocked(s)[0].Variants[0]
	placed(t, s, heart, 2)
	raws, res := s.poll(t, connectors.Inventory, connectors.PollRequest{})
	if diff := cmp.Diff([]string{"85123A", "MUG-G", "MUG-R"}, objects(raws)); diff != "" {
		t.Error(diff)
	}
	facts, err := s.conn.Translate.Translate(s.record(raws[0]))
	if err != nil || facts.Observations[0].Shown != 96 || facts.Observations[0].Location != "default" {
		t.Errorf("%v, %v; want 100 less two orders of 2", facts.Observations, err)
	}
	for _, step := range []struct {
		wait time.Duration
		want int
	}{{30 * time.Minute, 0}, {31 * time.Minute, 3}} {
		s.clock.Add(step.wait)
		again, next := s.poll(t, connectors.Inventory, connectors.PollRequest{Cursor: res.Cursor})
		if len(again) != step.want {
			t.Errorf("after %s: %d quantities, want %d", step.wait, len(again), step.want)
		}
		res = next
	}
}

// A product whose price or stock is written does not move; that is told nowhere else.
func TestPricesDoNotMoveAProduct(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	s.clock.Add(time.Hour)
	_, res := s.poll(t, connectors.Products, connectors.PollRequest{})
	s.push(t, connectors.StockWrite{StockID: "85123A", Quantity: 1})
	s.clock.Add(time.Minute)
	if raws, _ := s.poll(t, connectors.Products, connectors.PollRequest{Cursor: res.Cursor}); len(raws) != 0 {
		t.Errorf("%d products came", len(raws))
	}
}

func TestAnErrorOfEmitEndsThePoll(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	stop := fmt.Errorf("full")
	n := 0
	_, err := s.conn.Poll[connectors.Products].Poll(context.Background(), connectors.PollRequest{}, func(connectors.Raw) error { n++; return stop })
	if err == nil || n != 1 {
		t.Errorf("%v after %d", err, n)
	}
}

// A shop counts products that it does not show to these keys: the others come, and the poll
// ends. Orders are never hidden: there it is an error.
func TestHiddenProducts(t *testing.T) {
	s := openOn(t, simulator.Config{}, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			var answer map[string]any
			if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
				t.Error(err)
			}
			var left []any
			items, _ := answer["items"].([]any)
			for _, it := range items {
				if id, _ := it.(map[string]any)["id"].(float64); int(id)%3 != 0 {
					left = append(left, it)
				}
			}
			answer["items"] = left
			w.Header().Set("Date", rec.Header().Get("Date"))
			if err := json.NewEncoder(w).Encode(answer); err != nil {
				t.Error(err)
			}
		})
	}, func(c *Config) { c.PageSize = 4 })
	for i := range 21 {
		s.AddProduct(simulator.ProductSpec{Title: "P", Variants: []simulator.VariantSpec{{SKU: fmt.Sprint("P", i), Price: "1", Tracked: true}}})
		if i%7 == 6 {
			s.clock.Add(time.Second)
		}
	}
	s.clock.Add(time.Minute)
	raws, res := s.poll(t, connectors.Products, connectors.PollRequest{})
	seen := map[string]bool{}
	for _, r := range raws {
		seen[r.Object] = true
	}
	if len(seen) != 14 {
		t.Errorf("%d products came, want the 14 that are shown: %v", len(seen), objects(raws))
	}
	if !res.Watermark.Equal(s.clock.Now()) {
		t.Errorf("watermark %s", res.Watermark)
	}
}
