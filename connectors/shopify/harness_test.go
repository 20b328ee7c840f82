package shopify

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/connectortest"
	"github.com/helloword/crossdock/connectors/shopify/simulator"
	"github.com/helloword/crossdock/internal/httpx"
	"github.com/helloword/crossdock/schemas"
)

// shop is a simulator with a connector opened on it.
type shop struct {
	*simulator.Simulator
	conn   *connectors.Connector
	server *httptest.Server
	clock  *connectortest.Clock
	deps   connectors.Deps
	cfg    Config

	mu       sync.Mutex
	received []connectors.Delivery
	refuse   int // calls to answer 500 first
}

// open starts a simulator and opens a connector on it.
func open(t testing.TB, sim simulator.Config, change func(*Config)) *shop {
	t.Helper()
	s := &shop{clock: connectortest.NewClock()}
	if sim.Now == nil {
		sim.Now = s.clock.Now
	}
	if sim.RestoreRate == 0 {
		sim.MaximumAvailable, sim.RestoreRate = 1e9, 1e9
	}
	if sim.RetryScale == 0 {
		sim.RetryScale = 1e-6
	}
	s.Simulator = simulator.New(sim)
	s.server = httptest.NewServer(s.Simulator)
	t.Cleanup(func() {
		s.Simulator.Close()
		s.server.Close()
	})
	t.Setenv("SHOPIFY_TEST_SECRET", s.Simulator.Config().ClientSecret)
	cfg := DefaultConfig()
	cfg.Shop = s.Simulator.Config().Shop
	cfg.TestBaseURL = s.server.URL
	cfg.ClientID = s.Simulator.Config().ClientID
	cfg.ClientSecret = "env:SHOPIFY_TEST_SECRET"
	cfg.Currency = s.Simulator.Config().Currency
	if change != nil {
		change(&cfg)
	}
	s.cfg = cfg
	s.deps = connectors.Deps{
		Account: "shop-uk", HTTP: httpx.NewClient(httpx.Config{AllowLoopback: true}), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Now: s.clock.Now, Tokens: &connectortest.Tokens{}, Limiter: &connectortest.Limiter{},
	}
	t.Cleanup(s.deps.HTTP.CloseIdleConnections)
	c, err := New(cfg, schemas.Test, s.deps)
	if err != nil {
		t.Fatal(err)
	}
	s.conn = c
	return s
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
	return hook.URL + "/webhooks/shopify/shop-uk"
}

// subscribe listens and subscribes to everything.
func (s *shop) subscribe(t testing.TB) {
	t.Helper()
	if err := s.conn.Webhooks.EnsureWebhooks(context.Background(), s.listen(t)); err != nil {
		t.Fatal(err)
	}
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
	return &connectors.Record{Subject: raw.Subject, Account: "shop-uk", Object: raw.Object, Format: raw.Format, Body: raw.Body, SourceTime: raw.SourceTime}
}

// stocked is a shop with some products.
func stocked(s *shop) []simulator.Product {
	return []simulator.Product{
		s.AddProduct(simulator.ProductSpec{Title: "White hanging heart", Vendor: "Lights Ltd", Type: "Decoration", Variants: []simulator.VariantSpec{
			{SKU: "85123A", Barcode: "4006381333931", Price: "2.55", Tracked: true, Available: 100},
		}}),
		s.AddProduct(simulator.ProductSpec{Title: "Mug", Variants: []simulator.VariantSpec{
			{SKU: "MUG-R", Title: "red", Barcode: "not a number", Price: "3.39", Tracked: true, Available: 50},
			{SKU: "MUG-G", Title: "green", Barcode: "0-306-40615-2", Price: "3.4", Tracked: true, Available: 5},
			{SKU: "GIFT", Title: "gift wrap", Price: "0.05", Tracked: false},
		}}),
	}
}

var buyer = &simulator.Customer{ID: 17850, FirstName: "Zoë", LastName: "O'Neil \"Z\"", Email: "zoe@example.com", Phone: "+44 20 7946 0000"}

var home = &simulator.Address{
	FirstName: "Zoë", LastName: "O'Neil", Address1: "1 High Street", Address2: "Flat 2", City: "London", Province: "England",
	ProvinceCode: "ENG", Zip: "sw1a 1aa", Country: "United Kingdom", CountryCode: "GB", Phone: "+44 20 7946 0001",
}

func stringID(id int64) string { return strconv.FormatInt(id, 10) }

// before calls f before a document of that name is answered.
func before(next http.Handler, name string, f func()) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if bytes.Contains(body, []byte(`"operationName":"`+name+`"`)) {
			f()
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}
