package shopify

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/bearer"
	"github.com/helloword/crossdock/connectors/connectortest"
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
				s.clock.Add(tc.life)
			}
		})
	}
}

func TestTokenIsSavedBeforeItIsUsed(t *testing.T) {
	t.Setenv("SHOPIFY_TEST_REFRESH", "first")
	s := open(t, simulator.Config{RefreshToken: "first"}, offline(t))
	store := s.deps.Tokens.(*connectortest.Tokens)
	store.Fail(errors.New("disk full"))
	if r := s.check(t, s.conn); r[0].OK || !strings.Contains(r[0].Detail, "disk full") {
		t.Errorf("a token that was not saved was used: %+v", r[0])
	}
	if got := s.Stats().Calls; got != 0 {
		t.Errorf("%d calls with a token that was not saved", got)
	}
	// The token that Shopify gave is not lost: the old one is dead already.
	store.Fail(nil)
	if r := s.check(t, s.conn); !r[0].OK {
		t.Errorf("after the store came back: %+v", r[0])
	}
	if got := s.Stats().Refreshes; got != 1 {
		t.Errorf("%d refreshes", got)
	}
	// The pair before is kept, and the next process goes on with the newest.
	s.clock.Add(2 * time.Hour)
	if r := s.check(t, s.again(t)); !r[0].OK {
		t.Errorf("the next process: %+v", r[0])
	}
	var kept bearer.Token
	if err := json.Unmarshal(store.Held("shopify/shop-uk"), &kept); err != nil {
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

// tokenOffice gives tokens for refresh tokens that live; each is good once.
type tokenOffice struct {
	mu    sync.Mutex
	live  map[string]bool
	asked []string
	n     int
}

func (o *tokenOffice) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	spent := r.PostFormValue("refresh_token")
	o.asked = append(o.asked, spent)
	if !o.live[spent] {
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		return
	}
	delete(o.live, spent)
	o.n++
	next := fmt.Sprintf("%s+%d", spent, o.n)
	o.live[next] = true
	_, _ = fmt.Fprintf(w, `{"access_token":"access of %s","refresh_token":"%s","expires_in":3600}`, next, next)
}

// After the shop was authorised again the new refresh token is configured: what is stored of
// the time before must not win over it.
func TestAnotherConfiguredRefreshTokenBeginsAnotherChain(t *testing.T) {
	for _, tc := range []struct {
		name string
		// stored before, by a process with refresh token "first" (nil: nothing).
		before func(o *tokenOffice, stored *bearer.Token)
		// configured is what the next process has; late, the chain has run out meanwhile.
		configured string
		late       bool
		access     string
		asked      []string
	}{
		{"the same", nil, "first", false, "access of first+1", nil},
		{"the same, later", nil, "first", true, "access of first+1+2", []string{"first+1"}},
		{"another", nil, "second", false, "access of second+2", []string{"second"}},
		{"another, and the old chain is dead", func(o *tokenOffice, _ *bearer.Token) { delete(o.live, "first+1") }, "second", true, "access of second+2", []string{"second"}},
		{"an older one", func(o *tokenOffice, _ *bearer.Token) { delete(o.live, "second") }, "second", false, "access of first+1", []string{"second"}},
		{"an older one, later", func(o *tokenOffice, _ *bearer.Token) { delete(o.live, "second") }, "second", true, "access of first+1+2", []string{"second", "first+1"}},
		{"stored by an older release", func(_ *tokenOffice, s *bearer.Token) { s.Begun = "" }, "second", true, "access of first+1+2", []string{"first+1"}},
		{"stored by an older release, and dead", func(o *tokenOffice, s *bearer.Token) { s.Begun = ""; delete(o.live, "first+1") }, "second", true, "access of second+2", []string{"first+1", "second"}},
		{"all dead", func(o *tokenOffice, _ *bearer.Token) { clear(o.live) }, "second", true, "", []string{"second", "first+1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			office := &tokenOffice{live: map[string]bool{"first": true, "second": true}}
			server := httptest.NewServer(office)
			defer server.Close()
			clock, store := connectortest.NewClock(), &connectortest.Tokens{}
			process := func(configured string) *auth {
				t.Setenv("SHOPIFY_TEST_REFRESH", configured)
				t.Setenv("SHOPIFY_TEST_SECRET", "secret")
				cfg := DefaultConfig()
				cfg.Auth, cfg.RefreshToken, cfg.ClientSecret = AuthOfflineToken, "env:SHOPIFY_TEST_REFRESH", "env:SHOPIFY_TEST_SECRET"
				return newAuth(cfg, server.URL, server.Client(), connectors.Deps{Account: "shop-uk", Now: clock.Now, Tokens: store})
			}
			if _, err := process("first").token(t.Context(), ""); err != nil {
				t.Fatal(err)
			}
			var stored bearer.Token
			if err := json.Unmarshal(store.Held("shopify/shop-uk"), &stored); err != nil || stored.Begun == "" || strings.Contains(stored.Begun, "first") {
				t.Fatalf("stored %+v: %v", stored, err)
			}
			if tc.before != nil {
				tc.before(office, &stored)
				value, err := json.Marshal(&stored)
				if err != nil {
					t.Fatal(err)
				}
				store.Put("shopify/shop-uk", value)
			}
			if tc.late {
				clock.Add(2 * time.Hour)
			}
			office.asked = nil
			next := process(tc.configured)
			// Asked twice: it stays with what it has.
			for range 2 {
				got, err := next.token(t.Context(), "")
				if tc.access == "" {
					if !errors.Is(err, connectors.ErrNeedsAuthorisation) {
						t.Errorf("got %q, %v", got, err)
					}
					break
				}
				if err != nil || got != tc.access {
					t.Fatalf("got %q, %v; want %q", got, err, tc.access)
				}
			}
			if diff := cmp.Diff(tc.asked, office.asked); diff != "" {
				t.Errorf("redeemed (-want +got):\n%s", diff)
			}
		})
	}
}
