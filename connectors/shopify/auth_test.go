package shopify

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/shopify/simulator"
	"github.com/helloword/crossdock/schemas"
)

// again opens another connection to the same shop: another process with the same store.
func (s *shop) again(t testing.TB) *connectors.Connector {
	t.Helper()
	c, err := New(s.cfg, schemas.Test, s.deps)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *shop) check(t testing.TB, c *connectors.Connector) []connectors.CheckResult {
	t.Helper()
	results, err := c.Check.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func offline(t testing.TB) func(*Config) {
	return func(c *Config) {
		c.Auth, c.RefreshToken = AuthOfflineToken, "env:SHOPIFY_TEST_REFRESH"
	}
}

func TestManyCallersRefreshOnce(t *testing.T) {
	t.Setenv("SHOPIFY_TEST_REFRESH", "first")
	for _, tc := range []struct {
		name   string
		sim    simulator.Config
		change func(*Config)
		life   time.Duration
	}{
		{"client credentials", simulator.Config{}, nil, 24 * time.Hour},
		{"offline token", simulator.Config{RefreshToken: "first"}, offline(t), time.Hour},
		{"no expires_in", simulator.Config{RefreshToken: "first", OmitExpiry: true}, offline(t), time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t, tc.sim, tc.change)
			// Two processes that share a store.
			both := []*connectors.Connector{s.conn, s.again(t)}
			for round := int64(1); round <= 3; round++ {
				var wg sync.WaitGroup
				for i := range 32 {
					wg.Add(1)
					go func() {
						defer wg.Done()
						if _, err := both[i%2].Stock.ReadStock(t.Context(), []connectors.StockRef{{StockID: "1", Location: "905684977"}}); err != nil {
							t.Error(err)
						}
					}()
				}
				wg.Wait()
				if got := s.Stats().Refreshes; got != round {
					t.Fatalf("round %d: %d refreshes", round, got)
				}
				s.clock.add(tc.life)
			}
		})
	}
}

func TestTokenIsSavedBeforeItIsUsed(t *testing.T) {
	t.Setenv("SHOPIFY_TEST_REFRESH", "first")
	s := open(t, simulator.Config{RefreshToken: "first"}, offline(t))
	store := s.deps.Tokens.(*memory)
	store.fail = errors.New("disk full")
	if r := s.check(t, s.conn); r[0].OK || !strings.Contains(r[0].Detail, "disk full") {
		t.Errorf("a token that was not saved was used: %+v", r[0])
	}
	if got := s.Stats().Calls; got != 0 {
		t.Errorf("%d calls with a token that was not saved", got)
	}
	// The token that Shopify gave is not lost: the old one is dead already.
	store.fail = nil
	if r := s.check(t, s.conn); !r[0].OK {
		t.Errorf("after the store came back: %+v", r[0])
	}
	if got := s.Stats().Refreshes; got != 1 {
		t.Errorf("%d refreshes", got)
	}
	// The pair before is kept, and the next process goes on with the newest.
	s.clock.add(2 * time.Hour)
	if r := s.check(t, s.again(t)); !r[0].OK {
		t.Errorf("the next process: %+v", r[0])
	}
	var kept tokens
	if err := json.Unmarshal(store.held["shopify/shop-uk"], &kept); err != nil {
		t.Fatal(err)
	}
	if kept.Previous == nil || kept.Previous.Refresh == "" || kept.Previous.Refresh == kept.Refresh {
		t.Errorf("the pair before is not kept: %+v", kept.Previous)
	}
}

func TestRevokedTokens(t *testing.T) {
	// Client credentials come back by themselves, once.
	s := open(t, simulator.Config{}, nil)
	if r := s.check(t, s.conn); !r[0].OK {
		t.Fatalf("%+v", r[0])
	}
	s.RevokeTokens()
	if r := s.check(t, s.conn); !r[0].OK {
		t.Errorf("after a 401 a new token is asked for: %+v", r[0])
	}
	// A refresh token that is dead needs its owner.
	t.Setenv("SHOPIFY_TEST_REFRESH", "another")
	s = open(t, simulator.Config{RefreshToken: "first"}, offline(t))
	_, err := s.conn.Stock.ReadStock(t.Context(), []connectors.StockRef{{StockID: "1", Location: "1"}})
	if !errors.Is(err, connectors.ErrNeedsAuthorisation) {
		t.Errorf("got %v", err)
	}
	// So does an access token that nobody knows; it is asked with it once.
	t.Setenv("SHOPIFY_TEST_ACCESS", "wrong")
	s = open(t, simulator.Config{}, func(c *Config) { c.Auth, c.AccessToken = AuthAccessToken, "env:SHOPIFY_TEST_ACCESS" })
	_, err = s.conn.Stock.ReadStock(t.Context(), []connectors.StockRef{{StockID: "1", Location: "1"}})
	if !errors.Is(err, connectors.ErrNeedsAuthorisation) || s.Stats().Calls != 1 {
		t.Errorf("got %v after %d calls", err, s.Stats().Calls)
	}
}

// A secret is in no error, whatever goes wrong.
func TestSecretsAreInNoError(t *testing.T) {
	for _, answer := range []string{"", "<html>", `{"access_token":"TOKENTOKEN"`, `{"error":"invalid"}`} {
		s := open(t, simulator.Config{ClientSecret: "SECRETSECRET"}, nil)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, answer)
		}))
		defer server.Close()
		cfg := s.cfg
		cfg.TestBaseURL = server.URL
		c, err := New(cfg, schemas.Test, s.deps)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Stock.ReadStock(t.Context(), []connectors.StockRef{{StockID: "1", Location: "1"}})
		if err == nil || strings.Contains(err.Error(), "SECRETSECRET") || strings.Contains(err.Error(), "TOKENTOKEN") {
			t.Errorf("got %v", err)
		}
	}
}
