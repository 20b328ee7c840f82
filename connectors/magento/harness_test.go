package magento

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/connectortest"
	"github.com/helloword/crossdock/connectors/magento/simulator"
	"github.com/helloword/crossdock/internal/httpx"
	"github.com/helloword/crossdock/schemas"
)

// shop is a simulator with a connector opened on it.
type shop struct {
	*simulator.Simulator
	conn    *connectors.Connector
	server  *httptest.Server
	clock   *connectortest.Clock
	deps    connectors.Deps
	cfg     Config
	tokens  *connectortest.Tokens
	limiter *connectortest.Limiter
}

// configured is a connection with an integration's keys, to an address on this machine.
func configured(t testing.TB, address string) Config {
	t.Helper()
	for name, value := range map[string]string{
		"MAGENTO_TEST_KEY": "simulated-key", "MAGENTO_TEST_SECRET": "simulated-secret", "MAGENTO_TEST_TOKEN": "simulated-token",
		"MAGENTO_TEST_TOKEN_SECRET": "simulated-token-secret", "MAGENTO_TEST_PASSWORD": "simulated-password", "MAGENTO_TEST_CLIENT": "simulated-client-secret",
	} {
		t.Setenv(name, value)
	}
	cfg := DefaultConfig()
	cfg.TestBaseURL = address
	cfg.ConsumerKey, cfg.ConsumerSecret = "env:MAGENTO_TEST_KEY", "env:MAGENTO_TEST_SECRET"
	cfg.AccessToken, cfg.AccessTokenSecret = "env:MAGENTO_TEST_TOKEN", "env:MAGENTO_TEST_TOKEN_SECRET"
	cfg.Currency = "EUR"
	cfg.InventoryEvery = 0
	return cfg
}

// open starts a simulator and opens a connector on it.
func open(t testing.TB, sim simulator.Config, change func(*Config)) *shop {
	t.Helper()
	return openOn(t, sim, func(h http.Handler) http.Handler { return h }, change)
}

// openOn puts something between the connector and the simulator.
func openOn(t testing.TB, sim simulator.Config, between func(http.Handler) http.Handler, change func(*Config)) *shop {
	t.Helper()
	s := &shop{clock: connectortest.NewClock(), tokens: &connectortest.Tokens{}, limiter: &connectortest.Limiter{}}
	if sim.Now == nil {
		sim.Now = s.clock.Now
	}
	s.Simulator = simulator.New(sim)
	s.server = httptest.NewServer(between(s.Simulator))
	t.Cleanup(s.server.Close)
	s.cfg = configured(t, s.server.URL)
	if change != nil {
		change(&s.cfg)
	}
	s.deps = connectors.Deps{
		Account: "shop-de", HTTP: httpx.NewClient(httpx.Config{AllowLoopback: true}), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Now: s.clock.Now, Tokens: s.tokens, Limiter: s.limiter,
	}
	t.Cleanup(s.deps.HTTP.CloseIdleConnections)
	c, err := New(s.cfg, schemas.Test, s.deps)
	if err != nil {
		t.Fatal(err)
	}
	s.conn = c
	return s
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

// stocked is a shop with some products: a heart, and a mug in two colours with gift wrap.
func stocked(s *shop) []simulator.Product {
	return []simulator.Product{
		s.AddProduct(simulator.ProductSpec{Title: "White hanging heart", Vendor: "Lights Ltd", Variants: []simulator.VariantSpec{
			{SKU: "85123A", Barcode: "4006381333931", Price: "2.55", Tracked: true, Available: 100},
		}}),
		s.AddProduct(simulator.ProductSpec{Title: "Mug", Variants: []simulator.VariantSpec{
			{SKU: "MUG-R", Title: "red", Barcode: "not a number", Price: "3.39", Tracked: true, Available: 50},
			{SKU: "MUG-G", Title: "green", Price: "3.4", Tracked: true, Available: 5},
			{SKU: "GIFT", Title: "gift wrap", Price: "0.05"},
		}}),
	}
}

var buyer = &simulator.Customer{ID: 17850, FirstName: "Zoë", LastName: "O'Neil \"Z\"", Email: "zoe@example.com"}

var home = &simulator.Address{
	FirstName: "Zoë", LastName: "O'Neil", Address1: "1 High Street", Address2: "Flat 2", City: "Berlin", Province: "Berlin",
	ProvinceCode: "BER", Zip: "10115", Country: "Germany", CountryCode: "DE", Phone: "+49 30 1234567",
}

func stringID(id int64) string { return strconv.FormatInt(id, 10) }
