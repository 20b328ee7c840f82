package woocommerce

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/connectortest"
	"github.com/helloword/crossdock/connectors/woocommerce/simulator"
	"github.com/helloword/crossdock/internal/httpx"
	"github.com/helloword/crossdock/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shop is a simulator with a connector opened on it.
type shop struct {
	*simulator.Simulator
	conn   *connectors.Connector
	server *httptest.Server
	clock  *connectortest.Clock
	deps   connectors.Deps
	cfg    Config
	limit  *connectortest.Limiter

	mu       sync.Mutex
	received []connectors.Delivery
	refuse   int // calls to answer 500 first
	requests []seen
}

// seen is one request as it arrived.
type seen struct {
	method, path string
	query        map[string][]string
	body         []byte
	basic        bool
}

// open starts a simulator and opens a connector on it.
func open(t testing.TB, sim simulator.Config, change func(*Config)) *shop {
	t.Helper()
	s := &shop{clock: connectortest.NewClock(), limit: &connectortest.Limiter{}}
	if sim.Now == nil {
		sim.Now = s.clock.Now
	}
	s.Simulator = simulator.New(sim)
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _, basic := r.BasicAuth()
		s.mu.Lock()
		s.requests = append(s.requests, seen{r.Method, r.URL.Path, r.URL.Query(), body, basic})
		s.mu.Unlock()
		r.Body = io.NopCloser(newReader(body))
		s.Simulator.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		s.Simulator.Close()
		s.server.Close()
	})
	t.Setenv("WOO_TEST_KEY", s.Simulator.Config().ConsumerKey)
	t.Setenv("WOO_TEST_SECRET", s.Simulator.Config().ConsumerSecret)
	t.Setenv("WOO_TEST_WEBHOOK", s.Simulator.Config().WebhookSecret)
	cfg := testConfig(s.server.URL)
	cfg.Currency = s.Simulator.Config().Currency
	if change != nil {
		change(&cfg)
	}
	s.connect(t, cfg)
	return s
}

// testConfig is one for a shop on this machine.
func testConfig(address string) Config {
	cfg := DefaultConfig()
	cfg.Shop = "https://shop.example"
	cfg.TestBaseURL = address
	cfg.ConsumerKey, cfg.ConsumerSecret, cfg.WebhookSecret = "env:WOO_TEST_KEY", "env:WOO_TEST_SECRET", "env:WOO_TEST_WEBHOOK"
	return cfg
}

// connect opens a connector on the server.
func (s *shop) connect(t testing.TB, cfg Config) {
	t.Helper()
	s.cfg = cfg
	s.deps = connectors.Deps{
		Account: "shop-de", HTTP: httpx.NewClient(httpx.Config{AllowLoopback: true}), Log: slog.New(slog.DiscardHandler),
		Now: s.clock.Now, Tokens: &connectortest.Tokens{}, Limiter: s.limit,
	}
	t.Cleanup(s.deps.HTTP.CloseIdleConnections)
	c, err := New(cfg, schemas.Test, s.deps)
	if err != nil {
		t.Fatal(err)
	}
	s.conn = c
}

type byteReader struct {
	b []byte
}

func newReader(b []byte) *byteReader { return &byteReader{b} }

func (r *byteReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b)
	r.b = r.b[n:]
	return n, nil
}

// sent is the requests since it was last asked.
func (s *shop) sent() []seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.requests
	s.requests = nil
	return out
}

// listen receives webhooks, and keeps them as they came.
func (s *shop) listen(t testing.TB) string {
	t.Helper()
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.refuse > 0 {
			s.refuse--
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		s.received = append(s.received, connectors.Delivery{Method: r.Method, Path: r.URL.Path, Header: r.Header, Body: body, Received: s.clock.Now()})
	}))
	t.Cleanup(hook.Close)
	return hook.URL + "/webhooks/woocommerce/shop-de"
}

// subscribe listens and subscribes to everything.
func (s *shop) subscribe(t testing.TB) string {
	t.Helper()
	address := s.listen(t)
	if err := s.conn.Webhooks.EnsureWebhooks(context.Background(), address); err != nil {
		t.Fatal(err)
	}
	return address
}

// deliveries waits for all webhooks and hands them over.
func (s *shop) deliveries(t testing.TB) []connectors.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.received
	s.received = nil
	return out
}

// poll polls to the end and returns what came.
func (s *shop) poll(t testing.TB, subject connectors.Subject, req connectors.PollRequest) ([]connectors.Raw, connectors.PollResult) {
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

func (s *shop) record(raw connectors.Raw) *connectors.Record {
	return &connectors.Record{Subject: raw.Subject, Account: "shop-de", Object: raw.Object, Format: raw.Format, Body: raw.Body, SourceTime: raw.SourceTime}
}

// facts translates a record.
func (s *shop) facts(t testing.TB, raw connectors.Raw) connectors.Facts {
	t.Helper()
	f, err := s.conn.Translate.Translate(s.record(raw))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// stocked is a shop with some products.
func stocked(s *shop) []simulator.Product {
	return []simulator.Product{
		s.AddProduct(simulator.ProductSpec{Title: "Hanging heart", Vendor: "Lights Ltd", Type: "Decoration", Variants: []simulator.VariantSpec{
			{SKU: "85123A", Barcode: "4006381333931", Price: "2.55", Tracked: true, Available: 100},
		}}),
		s.AddProduct(simulator.ProductSpec{Title: "Mug", Variants: []simulator.VariantSpec{
			{SKU: "MUG-R", Title: "red", Barcode: "not a number", Price: "3.39", Tracked: true, Available: 50},
			{SKU: "MUG-G", Title: "green", Barcode: "0-306-40615-2", Price: "3.4", Tracked: true, Available: 5},
			{SKU: "GIFT", Title: "gift wrap", Price: "0.05", Tracked: false},
		}}),
	}
}

var buyer = &simulator.Customer{ID: 17850, FirstName: "Zoë", LastName: "O'Neil \"Z\"", Email: "zoe@example.com", Phone: "+49 30 5550100"}

var home = &simulator.Address{
	FirstName: "Zoë", LastName: "O'Neil", Address1: "Hauptstraße 1", Address2: "3. Stock / links", City: "Köln",
	Province: "DE-NW", Zip: "50667", CountryCode: "DE", Phone: "+49 221 5550101",
}

func stringID(id int64) string { return strconv.FormatInt(id, 10) }
