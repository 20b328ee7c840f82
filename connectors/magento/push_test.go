package magento

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/magento/simulator"
	"github.com/helloword/crossdock/schemas/event"
)

const (
	accepted = event.Outcome_OUTCOME_ACCEPTED
	refused  = event.Outcome_OUTCOME_REFUSED
	notSent  = event.Outcome_OUTCOME_NOT_SENT
	unknown  = event.Outcome_OUTCOME_UNKNOWN
)

// push writes stock and returns outcomes with their codes.
func (s *shop) push(t testing.TB, writes ...connectors.StockWrite) []string {
	t.Helper()
	results, err := s.conn.Stock.PushStock(context.Background(), writes)
	if err != nil {
		t.Fatal(err)
	}
	return told(results)
}

func told(results []connectors.Result) (said []string) {
	for _, r := range results {
		said = append(said, strings.TrimSpace(strings.TrimPrefix(r.Outcome.String(), "OUTCOME_")+" "+r.Code))
	}
	return said
}

// around calls before and after a call that ends in path has been answered, for writes only.
func around(path string, before, after func(n int)) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		n := 0
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			hit := r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, path)
			if hit {
				n++
				if before != nil {
					before(n)
				}
			}
			h.ServeHTTP(w, r)
			if hit && after != nil {
				after(n)
			}
		})
	}
}

// A write looks up the products that it is about, and not everything that open orders reserve:
// a shop with many open orders is not asked for its catalogue each time.
func TestAWriteLooksUpItsOwnProducts(t *testing.T) {
	asked := 0
	s := openOn(t, simulator.Config{}, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/V1/products") {
				asked++
			}
			h.ServeHTTP(w, r)
		})
	}, nil)
	heart := stocked(s)[0].Variants[0]
	order := simulator.OrderSpec{Paid: true, Lines: []simulator.LineSpec{{Variant: heart, Quantity: 3}}}
	for i := range 2 * maxList {
		v := s.AddProduct(simulator.ProductSpec{Title: "Other", Variants: []simulator.VariantSpec{{SKU: fmt.Sprint("OTHER-", i), Price: "1", Tracked: true, Available: 9}}}).Variants[0]
		order.Lines = append(order.Lines, simulator.LineSpec{Variant: v, Quantity: 1})
	}
	if _, err := s.PlaceOrder(order); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ACCEPTED"}, s.push(t, connectors.StockWrite{StockID: "85123A", Quantity: 7})); diff != "" {
		t.Error(diff)
	}
	if got := s.OnHand("85123A"); got != 10 {
		t.Errorf("%d in the source, want 7 and the 3 that are reserved", got)
	}
	if asked != 1 {
		t.Errorf("products were asked for %d times, want once", asked)
	}
}

// The source is written as what shall be sold plus what open orders reserve; what is sold
// from then on goes down with each order, and a shipment changes nothing of it.
func TestTheSourceAllowsForOpenOrders(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	p := stocked(s)
	heart, red := p[0].Variants[0], p[1].Variants[0]
	place := func(variant, n int64) int64 {
		id, err := s.PlaceOrder(simulator.OrderSpec{Paid: true, Lines: []simulator.LineSpec{{Variant: variant, Quantity: n}}})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	first := place(heart, 3)
	place(red, 2) // a configurable product's
	cancelled, err := s.PlaceOrder(simulator.OrderSpec{Lines: []simulator.LineSpec{{Variant: heart, Quantity: 50}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Cancel(cancelled, "", true, s.clock.Now()); err != nil {
		t.Fatal(err)
	}
	got := s.push(t, connectors.StockWrite{StockID: "85123A", Quantity: 7}, connectors.StockWrite{StockID: "MUG-R", Quantity: 10}, connectors.StockWrite{StockID: "MUG-G", Quantity: 4})
	if diff := cmp.Diff([]string{"ACCEPTED", "ACCEPTED", "ACCEPTED"}, got); diff != "" {
		t.Error(diff)
	}
	for sku, want := range map[string][2]int64{"85123A": {10, 7}, "MUG-R": {12, 10}, "MUG-G": {4, 4}} {
		on := s.OnHand(sku)
		sell := int64(-1)
		for l := range s.Listings() {
			if l.SKU == sku {
				sell = l.Available
			}
		}
		if on != want[0] || sell != want[1] {
			t.Errorf("%s: %d in the source, %d to sell, want %v", sku, on, sell, want)
		}
	}
	if err := s.Fulfil(first, simulator.FulfilSpec{}); err != nil {
		t.Fatal(err)
	}
	place(heart, 1)
	if got := s.Available(heart); got != 6 {
		t.Errorf("after a shipment of 3 and an order of 1: %d to sell, want 6", got)
	}
	shown, err := s.conn.Stock.ReadStock(context.Background(), []connectors.StockRef{{StockID: "85123A"}, {StockID: "MUG-R-set"}, {StockID: "NOBODY"}, {}})
	if err != nil || shown[0] == nil || *shown[0] != 6 || shown[1] != nil || shown[2] != nil || shown[3] != nil {
		t.Errorf("read %v, %v", shown, err)
	}
	if s.Stats().Orphans != 0 {
		t.Error("a source item of nobody was written")
	}
}

func TestWhatIsNotWritten(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	five, hundred := int64(5), int64(100)
	results, err := s.conn.Stock.PushStock(context.Background(), []connectors.StockWrite{
		{StockID: "NOBODY", Quantity: 1},
		{StockID: "MUG-R-set", Quantity: 1},
		{StockID: "GIFT", Quantity: 1},
		{StockID: "", Quantity: 1},
		{StockID: "85123A", Quantity: 1, Location: "elsewhere"},
		{StockID: "85123A", Quantity: 100},
		{StockID: "85123A", Quantity: 3},
		{StockID: "MUG-R", Quantity: 1, Expected: &five},
		{StockID: "MUG-G", Quantity: 5, Expected: &hundred}, // as wanted, whatever was expected
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"REFUSED UNKNOWN_SKU", "REFUSED NOT_STOCKED", "REFUSED NOT_STOCKED", "REFUSED UNKNOWN_SKU", "REFUSED UNKNOWN_SKU", "ACCEPTED", "NOT_SENT", "REFUSED SHOWN_CHANGED", "ACCEPTED"}
	if diff := cmp.Diff(want, told(results)); diff != "" {
		t.Error(diff)
	}
	if r := results[7]; !r.Stale || r.Shown == nil || *r.Shown != 50 {
		t.Errorf("stale: %+v", r)
	}
	if !results[6].Sibling {
		t.Error("the second of one SKU is not marked as a sibling")
	}
	if n := len(s.Ledger()); n != 0 {
		t.Errorf("%d quantities were written", n)
	}
	if _, err := s.conn.Stock.PushStock(context.Background(), make([]connectors.StockWrite, maxList+1)); err == nil {
		t.Error("more than a batch is taken")
	}
}

// An order that is shipped between counting and writing takes its units from the source, and
// the write puts them back: it is written again.
func TestAShipmentInBetween(t *testing.T) {
	for name, ships := range map[string]int{"once": 1, "for ever": 100} {
		t.Run(name, func(t *testing.T) {
			var s *shop
			var orders []int64
			s = openOn(t, simulator.Config{}, around("/inventory/source-items", func(n int) {
				if n <= ships && n <= len(orders) {
					if err := s.Fulfil(orders[n-1], simulator.FulfilSpec{}); err != nil {
						t.Error(err)
					}
				}
			}, nil), nil)
			heart := stocked(s)[0].Variants[0]
			for range 5 {
				id, err := s.PlaceOrder(simulator.OrderSpec{Paid: true, Lines: []simulator.LineSpec{{Variant: heart, Quantity: 3}}})
				if err != nil {
					t.Fatal(err)
				}
				orders = append(orders, id)
			}
			got := s.push(t, connectors.StockWrite{StockID: "85123A", Quantity: 7})
			if ships > 1 {
				if diff := cmp.Diff([]string{"UNKNOWN CHANGED_MEANWHILE"}, got); diff != "" {
					t.Error(diff)
				}
				return
			}
			if diff := cmp.Diff([]string{"ACCEPTED"}, got); diff != "" {
				t.Error(diff)
			}
			if got := s.Available(heart); got != 7 {
				t.Errorf("%d can be sold, want 7", got)
			}
		})
	}
}

// An order in between lowers what can be sold by itself, and must not be made up for.
func TestAnOrderInBetween(t *testing.T) {
	var s *shop
	var heart int64
	s = openOn(t, simulator.Config{}, around("/inventory/source-items", func(n int) {
		if n == 1 {
			if _, err := s.PlaceOrder(simulator.OrderSpec{Lines: []simulator.LineSpec{{Variant: heart, Quantity: 2}}}); err != nil {
				t.Error(err)
			}
		}
	}, nil), nil)
	heart = stocked(s)[0].Variants[0]
	if got := s.push(t, connectors.StockWrite{StockID: "85123A", Quantity: 7}); got[0] != "ACCEPTED" {
		t.Error(got)
	}
	if got := s.Available(heart); got != 5 {
		t.Errorf("%d can be sold, want 7 less the 2 just ordered", got)
	}
}

// Somebody else writes the same source.
func TestAnotherWriter(t *testing.T) {
	var s *shop
	s = openOn(t, simulator.Config{}, around("/inventory/source-items", nil, func(int) { s.SetSource("85123A", 77) }), nil)
	stocked(s)
	if diff := cmp.Diff([]string{"UNKNOWN CHANGED_MEANWHILE"}, s.push(t, connectors.StockWrite{StockID: "85123A", Quantity: 7})); diff != "" {
		t.Error(diff)
	}
}

// Magento saves nothing of a call in which one item is wrong.
func TestOneBadItemDoesNotHoldUpTheOthers(t *testing.T) {
	s := openOn(t, simulator.Config{}, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			if r.Method == http.MethodPost && bytes.Contains(body, []byte("MUG-R")) {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, `{"message":"Validation Failed"}`)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			h.ServeHTTP(w, r)
		})
	}, nil)
	stocked(s)
	got := s.push(t, connectors.StockWrite{StockID: "85123A", Quantity: 7}, connectors.StockWrite{StockID: "MUG-R", Quantity: 1}, connectors.StockWrite{StockID: "MUG-G", Quantity: 1})
	if diff := cmp.Diff([]string{"ACCEPTED", "REFUSED permanent", "ACCEPTED"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestSKUsThatAreHardToAskFor(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	var writes []connectors.StockWrite
	want := map[string]int64{}
	for i, sku := range []string{"a,b", "a b", "a+b", "ä/ö", `"q"`, "50%", "A&B=C", "[x]", "1e3"} {
		s.AddProduct(simulator.ProductSpec{Title: sku, Variants: []simulator.VariantSpec{{SKU: sku, Price: "1", Tracked: true}}})
		writes = append(writes, connectors.StockWrite{StockID: sku, Quantity: int64(i) + 1})
		want[sku] = int64(i) + 1
	}
	for i, got := range s.push(t, writes...) {
		if got != "ACCEPTED" || s.OnHand(writes[i].StockID) != want[writes[i].StockID] {
			t.Errorf("%q: %s, %d in the source", writes[i].StockID, got, s.OnHand(writes[i].StockID))
		}
	}
}

func TestAWriteThatMayHaveBeenDone(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	for name, tc := range map[string]struct {
		faults simulator.Faults
		want   string
	}{
		"after": {simulator.Faults{FailAfter: 1}, "UNKNOWN transient"}, "outage": {simulator.Faults{Outage: true}, "NOT_SENT transient"},
		"page": {simulator.Faults{HTML: 1}, "NOT_SENT transient"}, "refuse": {simulator.Faults{Refuse: 1}, "NOT_SENT NOT_APPLIED"},
		"throttle": {simulator.Faults{Throttle: 1}, "NOT_SENT retry-after"},
	} {
		s.SetFaults(tc.faults)
		if diff := cmp.Diff([]string{tc.want}, s.push(t, connectors.StockWrite{StockID: "85123A", Quantity: int64(len(name))})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestACallWithoutRights(t *testing.T) {
	s := open(t, simulator.Config{Denied: []string{"Magento_InventoryApi::source"}}, nil)
	stocked(s)
	results, err := s.conn.Stock.PushStock(context.Background(), []connectors.StockWrite{{StockID: "85123A", Quantity: 1}})
	if connectors.Class(err) != "needs-authorisation" || results[0].Outcome != notSent {
		t.Errorf("%v, %v", results, err)
	}
}

func TestUrgency(t *testing.T) {
	ten := int64(10)
	for _, tc := range []struct {
		write connectors.StockWrite
		want  connectors.Priority
	}{
		{connectors.StockWrite{Quantity: 9, Expected: &ten}, connectors.Urgent},
		{connectors.StockWrite{Quantity: 11, Expected: &ten}, connectors.Normal},
		{connectors.StockWrite{Quantity: 9}, connectors.Normal},
	} {
		if got := urgencyOf([]connectors.StockWrite{tc.write}); got != tc.want {
			t.Errorf("%+v: %d", tc.write, got)
		}
	}
}

func TestABatchIsAskedForInOneCall(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	var writes []connectors.StockWrite
	for i := range maxList {
		sku := fmt.Sprintf("SKU-%060d", i)
		s.AddProduct(simulator.ProductSpec{Title: sku, Variants: []simulator.VariantSpec{{SKU: sku, Price: "1", Tracked: true}}})
		writes = append(writes, connectors.StockWrite{StockID: sku, Quantity: 1})
	}
	before := s.Stats().Calls
	for _, got := range s.push(t, writes...) {
		if got != "ACCEPTED" {
			t.Fatal(got)
		}
	}
	// Products, source, open orders; the write; the source again.
	if got := s.Stats().Calls - before; got != 5 {
		t.Errorf("%d calls, want 5", got)
	}
	if q := (search{where: []condition{{"source_code", "eq", "default"}, {"sku", "in", strings.Join(func() (all []string) {
		for _, w := range writes {
			all = append(all, w.StockID)
		}
		return all
	}(), ",")}}, size: maxPage}).query().encode(); len(q) > 7500 {
		t.Errorf("the longest address has %d bytes, servers take 8192", len(q))
	}
}
