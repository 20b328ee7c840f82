package ebay

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/connectortest"
	"github.com/helloword/crossdock/connectors/ebay/simulator"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/money"
)

// TestOneRefresh: 32 goroutines that find the token expired make exactly one refresh.
func TestOneRefresh(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	a := newClient(s.cfg, s.deps).tokens[asUser]
	first, err := a.token(context.Background(), "")
	if err != nil {
		t.Fatal(err)
	}
	s.clock.Add(3 * time.Hour)
	before := s.Stats().Refreshes
	var wg sync.WaitGroup
	got := make([]string, 32)
	for i := range got {
		wg.Go(func() {
			text, err := a.token(context.Background(), "")
			if err != nil {
				t.Error(err)
			}
			got[i] = text
		})
	}
	wg.Wait()
	for _, text := range got {
		if text != got[0] || text == first {
			t.Errorf("token %q, others %q, before %q", text, got[0], first)
		}
	}
	if n := s.Stats().Refreshes - before; n != 1 {
		t.Errorf("%d refreshes, want 1", n)
	}
}

// TestSavedBeforeUse: a token that the store did not take is not used, and not lost either.
func TestSavedBeforeUse(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	store := s.deps.Tokens.(*connectortest.Tokens)
	a := newClient(s.cfg, s.deps).tokens[asUser]
	full := errors.New("disk full")
	store.Fail(full)
	if _, err := a.token(context.Background(), ""); !errors.Is(err, full) {
		t.Fatalf("got %v, want the store's error", err)
	}
	store.Fail(nil)
	if _, err := a.token(context.Background(), ""); err != nil {
		t.Fatal(err)
	}
	if n := s.Stats().Refreshes; n != 1 {
		t.Errorf("%d refreshes, want 1: the token that could not be saved is the one to save", n)
	}
}

// TestTokenIsShared: what one process stored another one uses, and a token dies with the
// credentials that it was given for.
func TestTokenIsShared(t *testing.T) {
	s := open(t, simulator.Config{OmitExpiry: true}, nil)
	one, err := newClient(s.cfg, s.deps).tokens[asUser].token(context.Background(), "")
	if err != nil {
		t.Fatal(err)
	}
	two, err := newClient(s.cfg, s.deps).tokens[asUser].token(context.Background(), "")
	if err != nil || one != two {
		t.Errorf("got %q and %q, %v", one, two, err)
	}
	// No expires_in: something below two hours is assumed.
	s.clock.Add(tokenLife - time.Minute)
	three, err := newClient(s.cfg, s.deps).tokens[asUser].token(context.Background(), "")
	if err != nil || three == two {
		t.Errorf("a token without expires_in is used for longer than it lives: %v", err)
	}
	t.Setenv("EBAY_TEST_REFRESH", "another one")
	if _, err := newClient(s.cfg, s.deps).tokens[asUser].token(context.Background(), ""); !errors.Is(err, connectors.ErrNeedsAuthorisation) {
		t.Errorf("a new refresh token in the configuration is not used at once: %v", err)
	}
}

func TestDeadCredentials(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	if _, err := s.conn.Stock.ReadStock(context.Background(), []connectors.StockRef{{StockID: "X"}}); err != nil {
		t.Fatal(err)
	}
	// A token that is refused once is replaced.
	s.RevokeTokens()
	if _, err := s.conn.Stock.ReadStock(context.Background(), []connectors.StockRef{{StockID: "X"}}); err != nil {
		t.Errorf("a revoked token is not replaced: %v", err)
	}
	s.RevokeConsent()
	_, err := s.conn.Stock.ReadStock(context.Background(), []connectors.StockRef{{StockID: "X"}})
	if !errors.Is(err, connectors.ErrNeedsAuthorisation) || !strings.Contains(err.Error(), "consent again") {
		t.Errorf("got %v, want ErrNeedsAuthorisation that says what to do", err)
	}
	results, err := s.conn.Stock.PushStock(context.Background(), []connectors.StockWrite{{StockID: "X", Quantity: 1}})
	if !errors.Is(err, connectors.ErrNeedsAuthorisation) || len(results) != 1 || results[0].Outcome.String() != "OUTCOME_NOT_SENT" {
		t.Errorf("got %v, %v, want one NotSent and ErrNeedsAuthorisation", results, err)
	}
	for _, secret := range []string{"simulated-secret", "simulated-refresh"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
}

// canned answers every call alike.
type canned func(r *http.Request) *http.Response

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	resp := c(r)
	resp.Request = r
	return resp, nil
}

func says(status int, contentType, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}, "Date": {"Mon, 02 Nov 2026 09:00:00 GMT"}}, Body: io.NopCloser(strings.NewReader(body))}
}

// TestStrangeTokenAnswers: none of them is a token, and none hangs the caller.
func TestStrangeTokenAnswers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		resp  *http.Response
		class string
	}{
		{"a page", says(200, "text/html", "<html>"), "transient"},
		{"no token", says(200, "application/json", `{"expires_in":7200}`), "transient"},
		{"invalid client", says(401, "application/json", `{"error":"invalid_client"}`), "needs-authorisation"},
		{"invalid grant", says(400, "application/json", `{"error":"invalid_grant"}`), "needs-authorisation"},
		{"too many", says(429, "application/json", `{}`), "retry-after"},
		{"away", says(503, "text/html", ``), "transient"},
		{"huge", says(200, "application/json", `{"access_token":"`+strings.Repeat("x", 2<<20)+`"}`), "transient"},
		{"expiry beyond reason", says(200, "application/json", `{"access_token":"a","expires_in":9223372036854775807}`), "ok"},
		{"expiry beyond int64", says(200, "application/json", `{"access_token":"a","expires_in":92233720368547758070}`), "transient"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, simulator.Config{}, nil)
			s.deps.HTTP = &http.Client{Transport: canned(func(*http.Request) *http.Response { return tt.resp })}
			_, err := newClient(s.cfg, s.deps).tokens[asUser].token(context.Background(), "")
			if got := connectors.Class(err); got != tt.class {
				t.Errorf("got %s (%v), want %s", got, err, tt.class)
			}
		})
	}
}

// TestConfig: what is wrong is said with the setting's name, and what is dangerous refused.
func TestConfig(t *testing.T) {
	good := func() Config {
		c := DefaultConfig()
		c.Marketplace, c.ClientID, c.ClientSecret, c.RefreshToken = "EBAY_DE", "id", "env:A", "env:B"
		return c
	}
	for _, tt := range []struct {
		name   string
		env    schemas.Environment
		change func(*Config)
		want   string // "" = fine
	}{
		{"production", schemas.Production, func(*Config) {}, ""},
		{"production in test", schemas.Test, func(*Config) {}, "test_base_url"},
		{"sandbox in test", schemas.Test, func(c *Config) { c.Sandbox = true }, ""},
		{"sandbox in production", schemas.Production, func(c *Config) { c.Sandbox = true }, "sandbox"},
		{"simulator in production", schemas.Production, func(c *Config) { c.TestBaseURL = "http://127.0.0.1:1" }, "test_base_url"},
		{"simulator", schemas.Test, func(c *Config) { c.TestBaseURL = "http://127.0.0.1:1" }, ""},
		{"simulator and sandbox", schemas.Test, func(c *Config) { c.TestBaseURL, c.Sandbox = "http://127.0.0.1:1", true }, "sandbox"},
		{"simulator elsewhere", schemas.Test, func(c *Config) { c.TestBaseURL = "http://api.ebay.com" }, "test_base_url"},
		{"simulator with a password", schemas.Test, func(c *Config) { c.TestBaseURL = "http://a:b@127.0.0.1:1" }, "test_base_url"},
		{"marketplace", schemas.Production, func(c *Config) { c.Marketplace = "DE" }, "marketplace"},
		{"client", schemas.Production, func(c *Config) { c.ClientID = "" }, "client_id"},
		{"a pasted secret", schemas.Production, func(c *Config) { c.ClientSecret = "SBX-abc" }, "client_secret"},
		{"pasted consent", schemas.Production, func(c *Config) { c.RefreshToken = "v^1.1#SBX-abc" }, "refresh_token"},
		{"half a signing key", schemas.Production, func(c *Config) { c.SigningJWE = "env:J" }, "signing_key"},
		{"endpoint without token", schemas.Production, func(c *Config) { c.Endpoint = "https://x.example/hook" }, "verification_token"},
		{"endpoint in the open", schemas.Production, func(c *Config) { c.Endpoint, c.VerificationToken = "http://x.example/hook", "env:V" }, "endpoint"},
		{"page size", schemas.Production, func(c *Config) { c.PageSize = 201 }, "page_size"},
		{"batch", schemas.Production, func(c *Config) { c.StockBatch = 26 }, "stock_batch"},
		{"pages", schemas.Production, func(c *Config) { c.MaxPages = 0 }, "max_pages"},
		{"refresh", schemas.Production, func(c *Config) { c.OffersRefresh = 0 }, "offers_refresh"},
		{"window", schemas.Production, func(c *Config) { c.ReplayWindow = 0 }, "replay_window"},
		{"timeout", schemas.Production, func(c *Config) { c.CallTimeout = time.Hour }, "call_timeout"},
	} {
		c := good()
		tt.change(&c)
		err := c.Validate(tt.env)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want+":") && !strings.Contains(err.Error(), tt.want+" ")):
			t.Errorf("%s: got %v, want it to name %s", tt.name, err, tt.want)
		case err != nil && strings.Contains(err.Error(), "SBX-abc"):
			t.Errorf("%s: the error repeats a secret", tt.name)
		}
	}
	if _, err := New(good(), schemas.Production, connectors.Deps{}); err == nil {
		t.Error("a connection without its world was opened")
	}
}

// TestMarketplaces: each has a currency that is known, and stands once.
func TestMarketplaces(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range marketplaces() {
		if _, ok := money.Exponent(provider, m.currency); !ok || seen[m.id] || !strings.HasPrefix(m.id, "EBAY_") {
			t.Errorf("%+v", m)
		}
		seen[m.id] = true
	}
	if m, ok := marketplaceOf("EBAY_DE"); !ok || !m.signed || m.currency != "EUR" {
		t.Errorf("EBAY_DE: %+v, %v", m, ok)
	}
	if _, ok := marketplaceOf("DE"); ok {
		t.Error("DE is a marketplace")
	}
}
