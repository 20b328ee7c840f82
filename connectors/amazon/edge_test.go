package amazon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/amazon/simulator"
)

// TestWhereAWriteGoes: to the marketplace that is named, and else to all of the connection.
func TestWhereAWriteGoes(t *testing.T) {
	s := open(t, simulator.Config{}, func(c *Config) { c.Marketplaces = append(c.Marketplaces, "A1PA6795UKMFR9") })
	stocked(s)
	var markets []string
	s.between = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch {
			markets = append(markets, r.URL.Query().Get("marketplaceIds"))
		}
		s.Simulator.ServeHTTP(w, r)
	})
	five := int64(5)
	s.push(t,
		connectors.StockWrite{StockID: "85123A", Quantity: 4, Expected: &five, Location: "A1PA6795UKMFR9"},
		connectors.StockWrite{StockID: "85123A", Quantity: 4},
		connectors.StockWrite{StockID: "85123A", Quantity: 4, Location: channelMerchant},
	)
	both := "A1F83G8C2ARO7P,A1PA6795UKMFR9"
	if diff := cmp.Diff([]string{"A1PA6795UKMFR9", both, both}, markets); diff != "" {
		t.Error(diff)
	}
}

// TestTooManyAtOnce is a mistake of the caller's, and nothing is sent.
func TestTooManyAtOnce(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	results, err := s.conn.Stock.PushStock(context.Background(), make([]connectors.StockWrite, batch+1))
	if !errors.Is(err, connectors.ErrPermanent) || len(results) != batch+1 || results[0].Outcome != notSent || len(s.Stats().Calls) != 0 {
		t.Errorf("%d results, %v, calls %v", len(results), err, s.Stats().Calls)
	}
}

// TestUnitPrices: what Amazon names where it fits, and else what makes the total.
func TestUnitPrices(t *testing.T) {
	item := func(units int, unit, total string) []string {
		return []string{`"quantityOrdered":2`, fmt.Sprintf(`"quantityOrdered":%d`, units), `"amount":"10.00"`, `"amount":"` + unit + `"`, `"amount":"20.00"`, `"amount":"` + total + `"`}
	}
	for _, c := range []struct {
		name     string
		changes  []string
		unscaled int64
		scale    int32
	}{
		{"as named", item(2, "10.00", "20.00"), 10, 0},
		{"finer than the currency", item(3, "0.125", "0.38"), 125, 3},
		{"a third", item(3, "1.00", "1.00"), 33333333, 8},
		{"by weight", item(1, "4.99", "3.47"), 347000000, 8},
		{"nothing is left of it", item(0, "10.00", "0.00"), 10, 0},
	} {
		facts, err := translated(formatOrder, orderOf(c.changes...))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if err := addsUp(facts.Orders[0]); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if u := facts.Orders[0].Lines[0].UnitPrice; u.Unscaled != c.unscaled || u.Scale != c.scale {
			t.Errorf("%s: %v, want %d × 10^-%d", c.name, u, c.unscaled, c.scale)
		}
	}
}

// TestSumsThatOverflow are refused and never wrapped.
func TestSumsThatOverflow(t *testing.T) {
	most := `{"amount":"92233720368547758.07","currencyCode":"GBP"}`
	_, err := translated(formatOrder, orderOf(`{"type":"ITEM","subtotal":{"amount":"20.00","currencyCode":"GBP"}}`, `{"type":"ITEM","subtotal":`+most+`},{"type":"SHIPPING","subtotal":`+most+`}`))
	if !errors.Is(err, connectors.ErrMalformed) || !strings.Contains(err.Error(), "out of range") {
		t.Errorf("got %v, want ErrMalformed, out of range", err)
	}
}

// TestAReportThatIsNeverMade is asked for again after some hours, and one that is gone at once.
func TestAReportThatIsNeverMade(t *testing.T) {
	s := open(t, simulator.Config{}, func(cfg *Config) { cfg.ReportEvery = 24 * time.Hour })
	stocked(s)
	status := `{"reportId":"1","reportType":"X","createdTime":"2026-11-02T09:00:00Z","processingStatus":"IN_QUEUE"}`
	code := http.StatusOK
	s.between = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/reports/") {
			w.WriteHeader(code)
			_, _ = fmt.Fprint(w, status)
			return
		}
		s.Simulator.ServeHTTP(w, r)
	})
	req := connectors.PollRequest{}
	asked := func() int64 {
		_, res := s.poll(t, connectors.Products, req)
		req.Cursor = res.Cursor
		return s.Stats().Calls["createReport"]
	}
	for _, step := range []struct {
		name string
		do   func()
		want int64
	}{
		{"at first", func() {}, 1},
		{"while it waits", func() { s.clock.Add(time.Hour) }, 1},
		{"when it has waited too long", func() { s.clock.Add(reportPatience) }, 1},
		{"after that", func() {}, 2},
		{"when it is gone", func() { code, status = http.StatusNotFound, `{"errors":[{"code":"NotFound","message":"gone"}]}` }, 2},
		{"after that too", func() {}, 3},
	} {
		step.do()
		if got := asked(); got != step.want {
			t.Errorf("%s: asked for %d times, want %d", step.name, got, step.want)
		}
	}
}
