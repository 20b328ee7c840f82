package ebay

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/connectortest"
	"github.com/helloword/crossdock/connectors/ebay/simulator"
	"github.com/helloword/crossdock/internal/httpx"
	"github.com/helloword/crossdock/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shop is a simulator with a connector opened on it. Every call that the connector makes is
// checked against eBay's contract, and so is every answer of the simulator.
type shop struct {
	*simulator.Simulator
	conn   *connectors.Connector
	server *httptest.Server
	clock  *connectortest.Clock
	deps   connectors.Deps
	cfg    Config
	tape   *tape

	mu       sync.Mutex
	received []connectors.Delivery
	refuse   int // calls to answer 500 first
}

const testToken = "verification-token-of-forty-characters-x"

// open starts a simulator and opens a connector on it.
func open(t testing.TB, sim simulator.Config, change func(*Config)) *shop {
	t.Helper()
	s := &shop{clock: connectortest.NewClock()}
	if sim.Now == nil {
		sim.Now = s.clock.Now
	}
	if sim.RetryScale == 0 {
		sim.RetryScale = 1e-7
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sim.SignatureKey = public
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	s.Simulator = simulator.New(sim)
	s.server = httptest.NewServer(s.Simulator)
	t.Cleanup(func() {
		s.Simulator.Close()
		s.server.Close()
	})
	t.Setenv("EBAY_TEST_SECRET", s.Simulator.Config().ClientSecret)
	t.Setenv("EBAY_TEST_REFRESH", s.Simulator.Config().RefreshToken)
	t.Setenv("EBAY_TEST_VERIFICATION", testToken)
	t.Setenv("EBAY_TEST_JWE", "eyJhbGciOiJBMjU2R0NNS1ciLCJlbmMiOiJBMjU2R0NNIn0.made.up.for.tests")
	t.Setenv("EBAY_TEST_KEY", base64.StdEncoding.EncodeToString(der))
	cfg := DefaultConfig()
	cfg.Marketplace = "EBAY_GB"
	cfg.TestBaseURL = s.server.URL
	cfg.ClientID = s.Simulator.Config().ClientID
	cfg.ClientSecret, cfg.RefreshToken = "env:EBAY_TEST_SECRET", "env:EBAY_TEST_REFRESH"
	cfg.SigningJWE, cfg.SigningKey = "env:EBAY_TEST_JWE", "env:EBAY_TEST_KEY"
	cfg.VerificationToken, cfg.AlertEmail = "env:EBAY_TEST_VERIFICATION", "alerts@example.com"
	cfg.Endpoint = s.listen(t)
	if change != nil {
		change(&cfg)
	}
	s.cfg = cfg
	h := httpx.NewClient(httpx.Config{AllowLoopback: true})
	s.tape = &tape{t: t, next: h.Transport}
	h.Transport = s.tape
	s.deps = connectors.Deps{
		Account: "ebay-uk", HTTP: h, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Now: s.clock.Now, Tokens: &connectortest.Tokens{}, Limiter: &connectortest.Limiter{},
	}
	t.Cleanup(s.tape.CloseIdleConnections)
	if s.conn, err = New(cfg, schemas.Test, s.deps); err != nil {
		t.Fatal(err)
	}
	return s
}

// listen receives notifications, and keeps them as they came; a GET is a challenge.
func (s *shop) listen(t testing.TB) string {
	t.Helper()
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := connectors.Delivery{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Header: r.Header, Received: s.clock.Now()}
		if r.Method == http.MethodGet {
			body, contentType, err := s.conn.Challenge.Answer(r.Context(), &d)
			if err != nil {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			w.Header().Set("Content-Type", contentType)
			_, _ = w.Write(body)
			return
		}
		d.Body, _ = io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.refuse > 0 {
			s.refuse--
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		s.received = append(s.received, d)
	}))
	t.Cleanup(hook.Close)
	return hook.URL + "/webhooks/ebay/ebay-uk"
}

// deliveries waits for all notifications and hands them over.
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
	return &connectors.Record{Subject: raw.Subject, Account: "ebay-uk", Object: raw.Object, Format: raw.Format, Body: raw.Body, SourceTime: raw.SourceTime}
}

// translate translates what was polled.
func (s *shop) translate(t testing.TB, raws []connectors.Raw) (facts []connectors.Facts) {
	t.Helper()
	for _, raw := range raws {
		f, err := s.conn.Translate.Translate(s.record(raw))
		if err != nil {
			t.Fatalf("%s: %v\n%s", raw.Object, err, raw.Body)
		}
		facts = append(facts, f)
	}
	return facts
}

// stocked is a shop with some listings.
func stocked(s *shop) []simulator.Product {
	return []simulator.Product{
		s.AddProduct(simulator.ProductSpec{Title: "White hanging heart", Vendor: "Lights Ltd", Variants: []simulator.VariantSpec{
			{SKU: "85123A", Barcode: "4006381333931", Price: "2.55", Available: 100},
		}}),
		s.AddProduct(simulator.ProductSpec{Title: "Mug", Variants: []simulator.VariantSpec{
			{SKU: "MUG-R", Title: "red", Price: "3.39", Available: 50},
			{SKU: "MUG G/1", Title: "green", Barcode: "036000291452", Price: "3.40", Available: 5},
		}}),
	}
}

var buyer = &simulator.Customer{Username: "zoe_1850", FirstName: "Zoë", LastName: "O'Neil \"Z\"", Email: "zoe@example.com", Phone: "+44 20 7946 0000"}

var home = &simulator.Address{
	FirstName: "Zoë", LastName: "O'Neil", Address1: "1 High Street", Address2: "Flat 2", City: "London", Province: "England",
	Zip: "sw1a 1aa", CountryCode: "GB", Phone: "+44 20 7946 0001",
}
