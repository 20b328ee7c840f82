package amazon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/amazon/simulator"
	"github.com/helloword/crossdock/connectors/connectortest"
)

// TestOneRefresh: at the end of a token's life 32 that need one make exactly one refresh.
func TestOneRefresh(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	api := newClient(s.cfg, s.deps)
	all := func() {
		t.Helper()
		var wg sync.WaitGroup
		tokens := make([]string, 32)
		errs := make([]error, 32)
		for i := range tokens {
			wg.Add(1)
			go func() {
				defer wg.Done()
				tokens[i], errs[i] = api.auth.token(context.Background(), scopeSeller, "")
			}()
		}
		wg.Wait()
		for i := range tokens {
			if errs[i] != nil || tokens[i] != tokens[0] || tokens[i] == "" {
				t.Fatalf("token %d: %q, %v, want %q", i, tokens[i], errs[i], tokens[0])
			}
		}
	}
	all()
	s.clock.Add(59*time.Minute + 30*time.Second)
	all()
	if got := s.Stats().Refreshes; got != 2 {
		t.Errorf("%d refreshes, want 2", got)
	}
	// Another process finds the token in the store.
	if _, err := newClient(s.cfg, s.deps).auth.token(context.Background(), scopeSeller, ""); err != nil || s.Stats().Refreshes != 2 {
		t.Errorf("another process: %v, %d refreshes, want none more", err, s.Stats().Refreshes)
	}
}

// TestTokenIsSavedBeforeItIsUsed, and not asked for again when saving failed.
func TestTokenIsSavedBeforeItIsUsed(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	store := &connectortest.Tokens{}
	store.Fail(errors.New("the disk is full"))
	s.deps.Tokens = store
	api := newClient(s.cfg, s.deps)
	if text, err := api.auth.token(context.Background(), scopeSeller, ""); err == nil {
		t.Fatalf("a token that could not be saved was handed out: %q", text)
	}
	store.Fail(nil)
	if _, err := api.auth.token(context.Background(), scopeSeller, ""); err != nil || store.Saves() != 1 || s.Stats().Refreshes != 1 {
		t.Errorf("%v, %d saves, %d refreshes, want the one token saved", err, store.Saves(), s.Stats().Refreshes)
	}
}

// TestGrantless: a grantless token is another one, and each operation gets its own kind.
func TestGrantless(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	if err := s.conn.Webhooks.EnsureWebhooks(context.Background(), ""); err != nil {
		t.Fatal(err)
	}
	if got := s.Stats().Refreshes; got != 2 {
		t.Errorf("%d tokens, want the seller's and the application's", got)
	}
	if s.Subscriptions() != 2 {
		t.Errorf("%d subscriptions, want orders and quantities", s.Subscriptions())
	}
}

// TestSecretRotation: either of two secrets will do, in either order.
func TestSecretRotation(t *testing.T) {
	t.Setenv("AMAZON_TEST_OTHER", "another-secret")
	s := open(t, simulator.Config{}, func(c *Config) { c.PreviousClientSecret = "env:AMAZON_TEST_OTHER" })
	api := newClient(s.cfg, s.deps)
	ask := func() error {
		s.clock.Add(time.Hour)
		_, err := api.auth.token(context.Background(), scopeSeller, "")
		return err
	}
	if err := ask(); err != nil {
		t.Errorf("with the secret: %v", err)
	}
	s.SetClientSecret("another-secret")
	if err := ask(); err != nil {
		t.Errorf("with the other secret: %v", err)
	}
	s.SetClientSecret("a-third-secret")
	err := ask()
	if !errors.Is(err, connectors.ErrNeedsAuthorisation) || !strings.Contains(err.Error(), "client_secret") {
		t.Errorf("with neither: %v, want ErrNeedsAuthorisation that names client_secret", err)
	}
	if strings.Contains(err.Error(), "another-secret") || strings.Contains(err.Error(), "simulated-secret") {
		t.Errorf("the error tells a secret: %v", err)
	}
}

// TestExpiredAndWithdrawn: a token that Amazon refuses is replaced once; an authorisation that
// was taken back needs its owner.
func TestExpiredAndWithdrawn(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	read := func() error {
		_, err := s.conn.Stock.ReadStock(context.Background(), []connectors.StockRef{{StockID: "85123A"}})
		return err
	}
	if err := read(); err != nil {
		t.Fatal(err)
	}
	s.RevokeTokens()
	if err := read(); err != nil || s.Stats().Refreshes != 2 {
		t.Errorf("after the token was revoked: %v, %d tokens", err, s.Stats().Refreshes)
	}
	s.Withdraw()
	if err := read(); !errors.Is(err, connectors.ErrNeedsAuthorisation) {
		t.Errorf("after the authorisation was taken back: %v, want ErrNeedsAuthorisation", err)
	}
}

// TestTokenAnswers: what the token endpoint may answer, and what becomes of it.
func TestTokenAnswers(t *testing.T) {
	for _, c := range []struct {
		name, kind, body string
		code             int
		want             string
	}{
		{"without expires_in", "application/json", `{"access_token":"a"}`, 200, "ok"},
		{"expires_in of a thousand years", "application/json", `{"access_token":"a","expires_in":31536000000}`, 200, "ok"},
		{"expires_in beyond int64", "application/json", `{"access_token":"a","expires_in":99999999999999999999}`, 200, "transient"},
		{"HTML", "text/html", `<html>`, 200, "transient"},
		{"nothing in it", "application/json", `{}`, 200, "transient"},
		{"refused", "application/json", `{"error":"invalid_grant"}`, 400, "needs-authorisation"},
		{"client refused", "application/json", `{"error":"invalid_client"}`, 401, "needs-authorisation"},
		{"scope refused", "application/json", `{"error":"unauthorized_client"}`, 400, "needs-authorisation"}, //nolint:misspell // the word of RFC 6749
		{"too many", "application/json", `{"error":"throttled"}`, 429, "retry-after"},
		{"away", "text/html", `<html>`, 503, "transient"},
		{"moved", "text/html", ``, 302, "transient"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, simulator.Config{}, nil)
			s.between = answering(s.Simulator, "/auth/", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.kind)
				w.Header().Set("Location", "https://elsewhere.example/")
				w.WriteHeader(c.code)
				_, _ = fmt.Fprint(w, c.body)
			})
			api := newClient(s.cfg, s.deps)
			_, err := api.auth.token(context.Background(), scopeSeller, "")
			if got := connectors.Class(err); got != c.want {
				t.Errorf("got %s (%v), want %s", got, err, c.want)
			}
			if c.want != "ok" {
				return
			}
			if kept, err := api.auth.held[scopeSeller].Load(context.Background()); err != nil || !kept.Expires.After(s.clock.Now()) {
				t.Errorf("kept is %+v, %v: it does not expire in the future", kept, err)
			}
		})
	}
}
