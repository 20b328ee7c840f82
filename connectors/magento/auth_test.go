package magento

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/magento/simulator"
)

func asAdmin(c *Config) {
	c.Auth, c.Username, c.Password = AuthAdmin, "admin", "env:MAGENTO_TEST_PASSWORD"
}

// firstPage asks for something.
func firstPage(s *shop) error {
	_, err := s.conn.Poll[connectors.Products].Poll(context.Background(), connectors.PollRequest{}, func(connectors.Raw) error { return nil })
	return err
}

func TestWaysToAuthenticate(t *testing.T) {
	for name, tc := range map[string]struct {
		sim    simulator.Config
		change func(*Config)
		want   error
	}{
		"oauth":         {},
		"bearer":        {sim: simulator.Config{BearerAllowed: true}, change: func(c *Config) { c.Auth = AuthBearer }},
		"bearer is off": {change: func(c *Config) { c.Auth = AuthBearer }, want: connectors.ErrNeedsAuthorisation},
		"admin":         {change: asAdmin},
		"admin, wrong":  {change: func(c *Config) { asAdmin(c); c.Username = "other" }, want: connectors.ErrNeedsAuthorisation},
		"oauth, wrong":  {sim: simulator.Config{AccessTokenSecret: "other"}, want: connectors.ErrNeedsAuthorisation},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, tc.sim, tc.change)
			if err := firstPage(s); !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestAdobesIdentityService(t *testing.T) {
	for _, omit := range []bool{false, true} {
		var headers http.Header
		s := openOn(t, simulator.Config{OmitExpiry: omit}, func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/V1/") {
					headers = r.Header.Clone()
				}
				h.ServeHTTP(w, r)
			})
		}, nil)
		cfg := s.cfg
		cfg.Auth, cfg.ClientID, cfg.ClientSecret, cfg.Organisation = AuthIMS, "simulated-client", "env:MAGENTO_TEST_CLIENT", "1@AdobeOrg"
		cfg.TokenURL = s.server.URL + "/ims/token/v3"
		c, err := New(cfg, "test", s.deps)
		if err != nil {
			t.Fatal(err)
		}
		s.conn = c
		for range 3 {
			if err := firstPage(s); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.Stats().Logins; got != 1 {
			t.Errorf("expires_in left out %v: %d tokens asked for, want 1", omit, got)
		}
		if headers.Get("X-Api-Key") != "simulated-client" || headers.Get("X-Gw-Ims-Org-Id") != "1@AdobeOrg" || headers.Get("Store") != "all" {
			t.Errorf("headers %v", headers)
		}
	}
}

// At the end of a token's life, one asks for the next, whoever needs it.
func TestOneTokenForAll(t *testing.T) {
	s := open(t, simulator.Config{}, asAdmin)
	if err := firstPage(s); err != nil {
		t.Fatal(err)
	}
	s.clock.Add(time.Hour)
	var wg sync.WaitGroup
	errs := make([]error, 32)
	for i := range errs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			errs[i] = firstPage(s)
		}()
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	if got := s.Stats().Logins; got != 2 {
		t.Errorf("%d tokens were asked for, want one and one more", got)
	}
	if s.tokens.Saves() != 2 {
		t.Errorf("%d tokens were stored, want 2", s.tokens.Saves())
	}
	// Another process finds the token.
	c, err := New(s.cfg, "test", s.deps)
	if err != nil {
		t.Fatal(err)
	}
	s.conn = c
	if err := firstPage(s); err != nil || s.Stats().Logins != 2 {
		t.Errorf("%v, %d tokens", err, s.Stats().Logins)
	}
}

func TestARevokedTokenIsReplacedOnce(t *testing.T) {
	s := open(t, simulator.Config{}, asAdmin)
	if err := firstPage(s); err != nil {
		t.Fatal(err)
	}
	s.RevokeTokens()
	if err := firstPage(s); err != nil || s.Stats().Logins != 2 {
		t.Errorf("%v, %d tokens", err, s.Stats().Logins)
	}
}

// A token is stored before it is used; one that could not be stored is not asked for again.
func TestATokenIsStoredBeforeItIsUsed(t *testing.T) {
	s := open(t, simulator.Config{}, asAdmin)
	s.tokens.Fail(errors.New("disk full"))
	if err := firstPage(s); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Fatalf("got %v", err)
	}
	if calls := s.Stats().Calls; calls != 1 {
		t.Errorf("%d calls, want only the one for the token", calls)
	}
	s.tokens.Fail(nil)
	if err := firstPage(s); err != nil || s.Stats().Logins != 1 {
		t.Errorf("%v, %d tokens", err, s.Stats().Logins)
	}
}

func TestAStoredTokenThatCannotBeRead(t *testing.T) {
	s := open(t, simulator.Config{}, asAdmin)
	s.tokens.Put("magento/shop-de", []byte("{"))
	if err := firstPage(s); err != nil {
		t.Error(err)
	}
}

func TestLifeOfAToken(t *testing.T) {
	jwt := func(payload string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".sig"
	}
	for token, want := range map[string]time.Duration{
		jwt(`{"iat":1000,"exp":4600}`):     time.Hour,
		jwt(`{"iat":1000.5,"exp":1001.5}`): time.Second,
		jwt(`{"exp":4600}`):                adminLife,
		jwt(`{"iat":4600,"exp":1000}`):     adminLife,
		jwt(`{"iat":0,"exp":1e300}`):       adminLife,
		jwt(`not json`):                    adminLife,
		"e30.!!!.sig":                      adminLife,
		"ctbkw0qb1hw1oyqwxeyjwd4uwfv0a7ay": adminLife,
		strings.Repeat("x.", 10) + "x":     adminLife,
	} {
		if got := lifeOf(token, adminLife); got != want {
			t.Errorf("%s: %s, want %s", token, got, want)
		}
	}
}

// Answers that hold no token, and nothing secret in what is said about them.
func TestNoToken(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		body   string
		want   error
	}{
		"page":         {200, "<html>maintenance</html>", nil},
		"empty":        {200, `""`, nil},
		"two-factor":   {401, `{"message":"Please use the 2fa provider-specific endpoints to obtain a token."}`, connectors.ErrNeedsAuthorisation},
		"locked":       {401, `{"message":"The account sign-in was incorrect"}`, connectors.ErrNeedsAuthorisation},
		"server error": {500, `{"message":"Internal"}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := openOn(t, simulator.Config{}, func(http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(tc.status)
					_, _ = w.Write([]byte(tc.body))
				})
			}, asAdmin)
			err := firstPage(s)
			if err == nil || tc.want != nil && !errors.Is(err, tc.want) || tc.want == nil && connectors.Class(err) != "transient" {
				t.Errorf("got %v (%s), want %v", err, connectors.Class(err), tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "simulated-password") {
				t.Errorf("the password stands in %v", err)
			}
		})
	}
}

func FuzzLifeOf(f *testing.F) {
	f.Add("a.eyJpYXQiOjEsImV4cCI6Mn0.c")
	f.Fuzz(func(t *testing.T, token string) {
		if d := lifeOf(token, time.Hour); d < 0 || d > 366*24*time.Hour {
			t.Errorf("%q lives %s", token, d)
		}
	})
}

// A redirect is reported, and nothing is sent along.
func TestRedirects(t *testing.T) {
	called := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	defer other.Close()
	s := openOn(t, simulator.Config{}, func(http.Handler) http.Handler { return http.RedirectHandler(other.URL, http.StatusFound) }, nil)
	if err := firstPage(s); !errors.Is(err, connectors.ErrPermanent) || !strings.Contains(err.Error(), "redirect") {
		t.Errorf("got %v", err)
	}
	if called {
		t.Error("the redirect was followed")
	}
}
