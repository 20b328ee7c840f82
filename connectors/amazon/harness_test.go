package amazon

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/amazon/simulator"
	"github.com/helloword/crossdock/connectors/connectortest"
	"github.com/helloword/crossdock/internal/httpx"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// seller is a simulator with a connector opened on it.
type seller struct {
	*simulator.Simulator
	conn   *connectors.Connector
	server *httptest.Server
	clock  *connectortest.Clock
	deps   connectors.Deps
	cfg    Config
	// between stands between the two; tests put their own in its place.
	between http.Handler
}

// open starts a simulator and opens a connector on it.
func open(t testing.TB, sim simulator.Config, change func(*Config)) *seller {
	t.Helper()
	s := &seller{clock: connectortest.NewClock()}
	if sim.Now == nil {
		sim.Now = s.clock.Now
	}
	s.Simulator = simulator.New(sim)
	s.between = s.Simulator
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.between.ServeHTTP(w, r) }))
	t.Cleanup(s.server.Close)
	of := s.Config()
	t.Setenv("AMAZON_TEST_SECRET", of.ClientSecret)
	t.Setenv("AMAZON_TEST_REFRESH", of.RefreshToken)
	t.Setenv("AMAZON_TEST_QUEUE", of.QueueSecret)
	cfg := DefaultConfig()
	cfg.SellerID, cfg.Region, cfg.Marketplaces = of.SellerID, RegionEurope, []string{of.Marketplace}
	cfg.TestBaseURL = s.server.URL
	cfg.ClientID, cfg.ClientSecret, cfg.RefreshToken = of.ClientID, "env:AMAZON_TEST_SECRET", "env:AMAZON_TEST_REFRESH"
	cfg.QueueURL = s.server.URL + s.QueuePath()
	cfg.QueueAccessKeyID, cfg.QueueSecretKey, cfg.QueueWait = of.QueueKeyID, "env:AMAZON_TEST_QUEUE", 0
	cfg.ReportEvery = 0
	if change != nil {
		change(&cfg)
	}
	s.cfg = cfg
	s.deps = connectors.Deps{
		Account: "shop-uk", HTTP: httpx.NewClient(httpx.Config{AllowLoopback: true}), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Now: s.clock.Now, Tokens: &connectortest.Tokens{}, Limiter: &connectortest.Limiter{},
	}
	t.Cleanup(s.deps.HTTP.CloseIdleConnections)
	s.again(t)
	return s
}

// direct calls the simulator without a network between: for tests with very many calls.
type direct struct{ to http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	r = r.Clone(r.Context())
	r.RequestURI, r.Host = r.URL.RequestURI(), r.URL.Host
	if r.Body == nil {
		r.Body = http.NoBody
	}
	d.to.ServeHTTP(rec, r)
	return rec.Result(), nil
}

// directly takes the network away.
func (s *seller) directly(t testing.TB) {
	t.Helper()
	s.deps.HTTP = &http.Client{Transport: direct{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.between.ServeHTTP(w, r) })}}
	s.again(t)
}

// again opens the connector once more, as after a restart.
func (s *seller) again(t testing.TB) {
	t.Helper()
	c, err := New(s.cfg, schemas.Test, s.deps)
	if err != nil {
		t.Fatal(err)
	}
	s.conn = c
	// All parts share one client and one queue; tests do not wait between their tries.
	orders := c.Poll[connectors.Orders].(*orderPoller)
	orders.client.pause = 0
	if orders.queue != nil {
		orders.queue.pause = 0
	}
}

// poll polls to the end and returns what came.
func (s *seller) poll(t testing.TB, subject connectors.Subject, req connectors.PollRequest) ([]connectors.Raw, connectors.PollResult) {
	t.Helper()
	var raws []connectors.Raw
	for {
		res, err := s.conn.Poll[subject].Poll(context.Background(), req, func(r connectors.Raw) error {
			raws = append(raws, r)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if !res.More {
			return raws, res
		}
		req.Cursor = res.Cursor
	}
}

func (s *seller) record(raw connectors.Raw) *connectors.Record {
	return &connectors.Record{Subject: raw.Subject, Account: "shop-uk", Object: raw.Object, Format: raw.Format, Body: raw.Body, SourceTime: raw.SourceTime}
}

// translate translates what must be translatable.
func (s *seller) translate(t testing.TB, raw connectors.Raw) connectors.Facts {
	t.Helper()
	facts, err := s.conn.Translate.Translate(s.record(raw))
	if err != nil {
		t.Fatal(err)
	}
	return facts
}

// stocked is an account with some listings.
func stocked(s *seller) {
	s.AddProduct(simulator.ProductSpec{Title: "White hanging heart", Vendor: "Lights Ltd", Type: "LIGHT_FIXTURE", Variants: []simulator.VariantSpec{
		{SKU: "85123A", Barcode: "4006381333931", Price: "2.55", Available: 100},
	}})
	s.AddProduct(simulator.ProductSpec{Title: "Mug", Variants: []simulator.VariantSpec{
		{SKU: "MUG/red 1", Title: "röd", Price: "3.39", Available: 50},
		{SKU: "MUG-FBA", Title: "green", Price: "3.40", FBA: true, Available: 7},
	}})
}

var home = &simulator.Address{
	Name: "Zoë O'Neil", Address1: "1 High Street", Address2: "Flat 2", City: "London", Province: "England", Zip: "sw1a 1aa", CountryCode: "GB", Phone: "+44 20 7946 0001",
}

var buyer = &simulator.Customer{Name: "Zoë O'Neil", Email: "x7k2@marketplace.example"}

// place places an order for one SKU.
func (s *seller) place(t testing.TB, sku string, units int64, paid bool) string {
	t.Helper()
	id, err := s.PlaceOrder(simulator.OrderSpec{Customer: buyer, Shipping: home, Paid: paid, Lines: []simulator.LineSpec{{SKU: sku, Quantity: units}}})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// answering answers calls whose path holds a text, and passes the others on.
func answering(next http.Handler, path string, answer http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, path) {
			answer(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refund pushes a refund.
func (s *seller) refund(t testing.TB, w connectors.RefundWrite) connectors.Result {
	t.Helper()
	r, err := s.conn.Refund.PushRefund(context.Background(), w)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// cancel cancels an order.
func (s *seller) cancel(t testing.TB, w connectors.CancelWrite) connectors.Result {
	t.Helper()
	r, err := s.conn.Cancel.CancelOrder(context.Background(), w)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// settled attempts a command as the desk does, each time after the pause that it was told, until
// it is done or refused, or for an hour and a half.
func (s *seller) settled(t testing.TB, attempt func() connectors.Result) (r connectors.Result) {
	t.Helper()
	for waited := time.Duration(0); waited < 90*time.Minute; {
		if r = attempt(); r.Outcome == event.Outcome_OUTCOME_ACCEPTED || r.Outcome == event.Outcome_OUTCOME_REFUSED {
			return r
		}
		if r.RetryAfter < 0 {
			t.Fatalf("%v", r)
		}
		pause := max(r.RetryAfter, time.Second)
		s.clock.Add(pause)
		waited += pause
	}
	return r
}
