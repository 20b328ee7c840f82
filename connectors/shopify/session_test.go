package shopify

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/bearer"
	"github.com/helloword/crossdock/connectors/connectortest"
	"github.com/helloword/crossdock/connectors/shopify/simulator"
	"github.com/helloword/crossdock/schemas"
)

// opened is a query as the admin opens the app's address with it, with another session token.
func (s *shop) opened(token string) string {
	return simulator.SignQuery(s.Simulator.Config().ClientSecret, url.Values{
		"id_token": {token}, "shop": {s.cfg.Shop}, "timestamp": {stringID(s.clock.Now().Unix())}, "embedded": {"1"}, "host": {"YWRtaW4"},
	})
}

// handmade is a token of any header and payload, signed by any hash.
func handmade(head, payload string, h func() hash.Hash, secret string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(head)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	if h == nil {
		return text + "."
	}
	mac := hmac.New(h, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// respelt is another last letter that lax decoders of base64 take for the same 32 bytes: they pass
// over its last two bits.
func respelt(last byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, last)|1])
}

// TestSession: the owner opens the app in the admin, and the connection works from then on, in
// this process and in the next, with one refresh at each end of a token.
func TestSession(t *testing.T) {
	for _, tc := range []struct {
		name   string
		sim    simulator.Config
		change func(*Config)
	}{
		{"embedded app", simulator.Config{}, byCode},
		{"an answer without expires_in", simulator.Config{OmitExpiry: true}, byCode},
		{"beside a configured refresh token", simulator.Config{RefreshToken: "first"}, offline(t)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("SHOPIFY_TEST_REFRESH", "first")
			s := open(t, tc.sim, tc.change)
			raw := agree(t, s.server.URL+"/admin/apps/simulated-app?app_url="+url.QueryEscape("https://t.example/callback"))
			q, err := url.ParseQuery(raw)
			if err != nil {
				t.Fatal(err)
			}
			answer := &connectors.AuthorizeAnswer{Query: q, RawQuery: raw}
			if err := s.conn.Embed.Opened(answer); err != nil {
				t.Fatal(err)
			}
			if got := s.conn.Authorize.State(answer); got != "" {
				t.Errorf("state %q", got)
			}
			if err := s.conn.Authorize.Exchange(t.Context(), connectors.AuthorizeRequest{State: testState}, answer); err != nil {
				t.Fatal(err)
			}
			var kept bearer.Token
			if err := json.Unmarshal(s.deps.Tokens.(*connectortest.Tokens).Held("shopify/shop-uk"), &kept); err != nil || kept.Refresh == "" || (kept.Begun == fingerprint("first")) != (s.cfg.Auth == AuthOfflineToken) {
				t.Errorf("stored as begun by %q, %v", kept.Begun, err)
			}
			both := []*connectors.Connector{s.conn, s.again(t)}
			for round := range int64(3) {
				var wg sync.WaitGroup
				for i := range 32 {
					wg.Go(func() {
						if _, err := both[i%2].Stock.ReadStock(t.Context(), []connectors.StockRef{{StockID: "1", Location: "905684977"}}); err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
				if st := s.Stats(); st.Refreshes != round || st.Exchanges != 1 {
					t.Fatalf("round %d: %d refreshes, %d exchanges", round, st.Refreshes, st.Exchanges)
				}
				s.clock.Add(time.Hour)
			}
			// By now the session has ended.
			if err := s.conn.Embed.Opened(answer); !errors.Is(err, connectors.ErrUnauthentic) {
				t.Errorf("after three hours: %v", err)
			}
			if err := s.conn.Authorize.Exchange(t.Context(), connectors.AuthorizeRequest{State: testState}, answer); !errors.Is(err, connectors.ErrUnauthentic) {
				t.Errorf("after three hours: %v", err)
			}
		})
	}
}

func TestFrames(t *testing.T) {
	s := open(t, simulator.Config{}, byCode)
	if diff := cmp.Diff([]string{"https://simulated.myshopify.com", "https://admin.shopify.com"}, s.conn.Embed.Frames()); diff != "" {
		t.Error(diff)
	}
}

// Saved before used: and when the store fails, what Shopify gave is not asked for again.
func TestSessionWhenTheStoreFails(t *testing.T) {
	s := open(t, simulator.Config{}, byCode)
	store := s.deps.Tokens.(*connectortest.Tokens)
	a := s.authorisation(t)
	query := s.OpenApp()
	store.Fail(errors.New("disk full"))
	if _, err := a.ExchangeSession(t.Context(), query); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("got %v", err)
	}
	store.Fail(nil)
	granted, err := a.ExchangeSession(t.Context(), query)
	if err != nil || len(a.Missing(granted)) != 0 || !slices.Contains(granted, "write_orders") {
		t.Errorf("again: %v, %v", granted, err)
	}
	if got := s.Stats().Exchanges; got != 1 {
		t.Errorf("%d exchanges", got)
	}
	if r := s.check(t, s.conn); !r[0].OK {
		t.Errorf("%+v", r[0])
	}
}

// A lost answer costs a second exchange with the same session token: what is kept is what works.
func TestSessionAfterALostAnswer(t *testing.T) {
	s := open(t, simulator.Config{}, byCode)
	var lost atomic.Int64
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/admin/oauth/access_token" && lost.Add(1) == 1 {
			s.Simulator.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		s.Simulator.ServeHTTP(w, r)
	}))
	defer front.Close()
	cfg := s.cfg
	cfg.TestBaseURL = front.URL
	c, err := New(cfg, schemas.Test, s.deps)
	if err != nil {
		t.Fatal(err)
	}
	a := c.Authorize.(*authorizer).authorisation
	query := s.OpenApp()
	if _, err := a.ExchangeSession(t.Context(), query); err == nil || errors.Is(err, connectors.ErrNeedsAuthorisation) || errors.Is(err, connectors.ErrPermanent) {
		t.Errorf("the lost answer: %v", err)
	}
	if got := s.deps.Tokens.(*connectortest.Tokens).Len(); got != 0 {
		t.Errorf("something was saved: %d", got)
	}
	if _, err := a.ExchangeSession(t.Context(), query); err != nil {
		t.Fatal(err)
	}
	if r := s.check(t, c); !r[0].OK {
		t.Errorf("%+v", r[0])
	}
	if st := s.Stats(); st.Exchanges != 2 || st.Refreshes != 0 {
		t.Errorf("%d exchanges, %d refreshes", st.Exchanges, st.Refreshes)
	}
}

// What Shopify may answer instead of a token, and what it means. Nothing is saved then.
func TestSessionRefused(t *testing.T) {
	for _, tc := range []struct {
		name   string
		status int
		header http.Header
		body   string
		class  string
		says   string
	}{
		{"the session ended", 400, nil, `{"error":"invalid_subject_token"}`, "needs-authorisation", "open the app in the admin again"},
		{"another client", 401, nil, `{"error":"invalid_client"}`, "needs-authorisation", "client_secret"},
		{"told in HTML", 400, nil, "<html>Oauth error invalid_subject_token", "needs-authorisation", "400"},
		{"no refresh token", 200, nil, `{"access_token":"ACCESS","scope":"read_orders"}`, "permanent", "without a refresh token"},
		{"no access token", 200, nil, `{"refresh_token":"REFRESH","expires_in":3600}`, "transient", "no token"},
		{"HTML", 200, http.Header{"Content-Type": {"text/html"}}, "<html>Sorry", "transient", "text/html"},
		{"cut off", 200, nil, `{"access_token":"ACCESS","refresh_`, "transient", "no token"},
		{"another shop", 302, http.Header{"Location": {"https://moved.example/admin/oauth/access_token?secret=x"}}, "", "permanent", "redirects to moved.example"},
		{"another page", 303, http.Header{"Location": {"/password"}}, "", "permanent", "redirects to another page"},
		{"a redirect to nowhere", 307, nil, "", "permanent", "redirects to another page"},
		{"too many", 429, http.Header{"Retry-After": {"7"}}, "", "retry-after", "7s"},
		{"trouble", 503, nil, "<html>", "transient", "503"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t, simulator.Config{}, byCode)
			calls := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls++
				for name, values := range tc.header {
					w.Header()[name] = values
				}
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			}))
			defer server.Close()
			cfg := s.cfg
			cfg.TestBaseURL = server.URL
			a, err := newAuthorisation(cfg, schemas.Test, s.deps)
			if err != nil {
				t.Fatal(err)
			}
			query := s.OpenApp()
			q, _ := url.ParseQuery(query)
			_, err = a.ExchangeSession(t.Context(), query)
			if connectors.Class(err) != tc.class || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%s: %v; want %s that says %q", connectors.Class(err), err, tc.class, tc.says)
			}
			for _, secret := range []string{s.Simulator.Config().ClientSecret, q.Get("id_token"), "ACCESS", "REFRESH", "secret="} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error holds a secret: %v", err)
				}
			}
			if held := s.deps.Tokens.(*connectortest.Tokens).Len(); held != 0 || calls != 1 {
				t.Errorf("saved %d, after %d calls", held, calls)
			}
		})
	}
}

// By the simulator: it refuses a session that ended, though our clock says otherwise.
func TestSessionRefusedByTheShop(t *testing.T) {
	late := connectortest.NewClock()
	s := open(t, simulator.Config{Now: late.Now}, byCode)
	query := s.OpenApp()
	late.Add(time.Minute)
	if _, err := s.authorisation(t).ExchangeSession(t.Context(), query); !errors.Is(err, connectors.ErrNeedsAuthorisation) || !strings.Contains(err.Error(), "session token") {
		t.Errorf("got %v", err)
	}
	never := open(t, simulator.Config{NoExpiry: true}, byCode)
	if _, err := never.authorisation(t).ExchangeSession(t.Context(), never.OpenApp()); !errors.Is(err, connectors.ErrPermanent) || !strings.Contains(err.Error(), "refresh token") {
		t.Errorf("a token that never ends: %v", err)
	}
	for _, s := range []*shop{s, never} {
		if held := s.deps.Tokens.(*connectortest.Tokens).Len(); held != 0 {
			t.Errorf("saved %d", held)
		}
	}
}

// Every claim and the way of signing, one by one. The query around the token is signed as it
// should be: the token has to stand by itself.
func TestSessionClaims(t *testing.T) {
	s := open(t, simulator.Config{}, byCode)
	secret := s.Simulator.Config().ClientSecret
	now := s.clock.Now().Unix()
	sign := func(change func(*simulator.Session)) string {
		c := s.Session()
		change(&c)
		return c.Sign(secret)
	}
	payload, err := json.Marshal(s.Session())
	if err != nil {
		t.Fatal(err)
	}
	const head = `{"alg":"HS256","typ":"JWT"}`
	good := sign(func(*simulator.Session) {})
	bare := func(drop string) string {
		var m map[string]any
		if err := json.Unmarshal(payload, &m); err != nil {
			t.Fatal(err)
		}
		delete(m, drop)
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return handmade(head, string(b), sha256.New, secret)
	}
	for _, tc := range []struct {
		name, token string
		ok          bool
	}{
		{"good", good, true},
		{"made by hand", handmade(head, string(payload), sha256.New, secret), true},
		{"without typ", handmade(`{"alg":"HS256"}`, string(payload), sha256.New, secret), true},
		{"signed with the secret before the rotation", handmade(head, string(payload), sha256.New, "old"), true},
		{"signed with another secret", handmade(head, string(payload), sha256.New, "other"), false},
		{"signed with nothing", handmade(head, string(payload), sha256.New, ""), false},
		{"alg none", handmade(`{"alg":"none","typ":"JWT"}`, string(payload), nil, ""), false},
		{"alg None, signed", handmade(`{"alg":"None","typ":"JWT"}`, string(payload), sha256.New, secret), false},
		{"no alg", handmade(`{"typ":"JWT"}`, string(payload), sha256.New, secret), false},
		{"HS512", handmade(`{"alg":"HS512","typ":"JWT"}`, string(payload), sha512.New, secret), false},
		{"HS384", handmade(`{"alg":"HS384","typ":"JWT"}`, string(payload), sha512.New384, secret), false},
		{"says RS256", handmade(`{"alg":"RS256","typ":"JWT"}`, string(payload), sha256.New, secret), false},
		{"says HS512 and is HS256", handmade(`{"alg":"HS512","typ":"JWT"}`, string(payload), sha256.New, secret), false},
		{"another app", sign(func(c *simulator.Session) { c.Audience = "another-app" }), false},
		{"of no app", sign(func(c *simulator.Session) { c.Audience = "" }), false},
		{"another shop", sign(func(c *simulator.Session) {
			c.Issuer, c.Dest = "https://other.myshopify.com/admin", "https://other.myshopify.com"
		}), false},
		{"for another shop", sign(func(c *simulator.Session) { c.Dest = "https://other.myshopify.com" }), false},
		{"from another shop", sign(func(c *simulator.Session) { c.Issuer = "https://other.myshopify.com/admin" }), false},
		{"a shop that looks alike", sign(func(c *simulator.Session) { c.Dest = "https://simulated.myshopify.com.evil.example" }), false},
		{"a user that looks alike", sign(func(c *simulator.Session) { c.Dest = "https://simulated.myshopify.com@evil.example" }), false},
		{"by http", sign(func(c *simulator.Session) { c.Dest = "http://simulated.myshopify.com" }), false},
		{"ended within the leeway", sign(func(c *simulator.Session) { c.Expires = now - 9 }), true},
		{"ended", sign(func(c *simulator.Session) { c.Expires = now - 11 }), false},
		{"ends never", bare("exp"), false},
		{"ends at zero", sign(func(c *simulator.Session) { c.Expires = 0 }), false},
		{"begins within the leeway", sign(func(c *simulator.Session) { c.NotBefore = now + 9 }), true},
		{"not yet good", sign(func(c *simulator.Session) { c.NotBefore = now + 11 }), false},
		{"no aud", bare("aud"), false},
		{"no iss", bare("iss"), false},
		{"no dest", bare("dest"), false},
		{"exp is a text", handmade(head, strings.Replace(string(payload), `"exp":`, `"exp":"soon","old":`, 1), sha256.New, secret), false},
		{"no JSON", handmade(head, "hello", sha256.New, secret), false},
		{"a list", handmade(head, "[]", sha256.New, secret), false},
		{"padded", good + "=", false},
		{"with a line break", good[:9] + "\n" + good[9:], false},
		{"with a line break in the signature", good[:len(good)-9] + "\n" + good[len(good)-9:], false},
		{"the signature in another spelling", good[:len(good)-1] + respelt(good[len(good)-1]), false},
		{"two parts", good[:strings.LastIndexByte(good, '.')], false},
		{"four parts", good + ".x", false},
		{"empty", "", false},
		{"huge", handmade(head, `{"x":"`+strings.Repeat("x", maxQuery)+`",`+string(payload[1:]), sha256.New, secret), false},
		{"an access token", "shpua_0123456789abcdef", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("SHOPIFY_TEST_OLD", "old")
			cfg := s.cfg
			cfg.PreviousClientSecret = "env:SHOPIFY_TEST_OLD"
			a, err := newAuthorisation(cfg, schemas.Test, s.deps)
			if err != nil {
				t.Fatal(err)
			}
			got, err := a.VerifySession(s.opened(tc.token))
			switch {
			case tc.ok && (err != nil || got != tc.token):
				t.Errorf("refused: %v", err)
			case !tc.ok && !errors.Is(err, connectors.ErrUnauthentic):
				t.Errorf("got %v; want unauthentic", err)
			case err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "\n")):
				t.Errorf("the error holds a secret or several lines: %q", err)
			}
		})
	}
	if st := s.Stats(); st.Exchanges != 0 {
		t.Errorf("%d exchanges", st.Exchanges)
	}
}

// The query around a good session token is signed, of this shop and fresh, too.
func TestSessionQuery(t *testing.T) {
	s := open(t, simulator.Config{}, byCode)
	a := s.authorisation(t)
	good, err := url.ParseQuery(s.OpenApp())
	if err != nil {
		t.Fatal(err)
	}
	good.Del("hmac")
	for _, tc := range []struct {
		name, secret string
		change       func(q url.Values)
		ok           bool
	}{
		{"good", "simulated-secret", func(url.Values) {}, true},
		{"another secret", "other", func(url.Values) {}, false},
		{"another shop", "simulated-secret", func(q url.Values) { q.Set("shop", "other.myshopify.com") }, false},
		{"old", "simulated-secret", func(q url.Values) { q.Set("timestamp", stringID(s.clock.Now().Unix()-91)) }, false},
		{"no session token", "simulated-secret", func(q url.Values) { q.Del("id_token") }, false},
		{"two session tokens", "simulated-secret", func(q url.Values) { q.Add("id_token", "x") }, false},
	} {
		q := url.Values{}
		for name, values := range good {
			q[name] = slices.Clone(values)
		}
		tc.change(q)
		raw := simulator.SignQuery(tc.secret, q)
		if _, err := a.VerifySession(raw); (err == nil) != tc.ok || err != nil && !errors.Is(err, connectors.ErrUnauthentic) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	// A callback with a code is no session, and the other way round.
	if _, err := a.VerifySession(s.Callback(testState, a.Scopes()...)); !errors.Is(err, connectors.ErrUnauthentic) {
		t.Errorf("a code: %v", err)
	}
	if _, err := a.Exchange(t.Context(), s.OpenApp(), testState); !errors.Is(err, connectors.ErrUnauthentic) {
		t.Errorf("a session as a code: %v", err)
	}
	if st := s.Stats(); st.Exchanges != 0 {
		t.Errorf("%d exchanges", st.Exchanges)
	}
}

// No bit of the token and none of the query can be changed, and nobody is asked about one that
// was. The token is tried alone as well: in a query that is signed around it.
func TestEveryFlippedBitOfASessionIsRefused(t *testing.T) {
	s := open(t, simulator.Config{}, byCode)
	a := s.authorisation(t)
	query := s.OpenApp()
	q, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	token := q.Get("id_token")
	for i := range len(token) * 8 {
		b := []byte(token)
		b[i/8] ^= 1 << (i % 8)
		if _, err := a.ExchangeSession(t.Context(), s.opened(string(b))); !errors.Is(err, connectors.ErrUnauthentic) {
			t.Errorf("bit %d of byte %d of the token (%q): %v", i%8, i/8, token[i/8], err)
		}
	}
	for i := range token {
		if _, err := a.ExchangeSession(t.Context(), s.opened(token[:i])); !errors.Is(err, connectors.ErrUnauthentic) {
			t.Errorf("the token cut after %d bytes: %v", i, err)
		}
	}
	for i := range len(query) * 8 {
		b := []byte(query)
		b[i/8] ^= 1 << (i % 8)
		if _, err := a.ExchangeSession(t.Context(), string(b)); !errors.Is(err, connectors.ErrUnauthentic) {
			t.Errorf("bit %d of byte %d of the query (%q): %v", i%8, i/8, query[i/8], err)
		}
	}
	if st := s.Stats(); st.Exchanges != 0 {
		t.Errorf("%d exchanges", st.Exchanges)
	}
	if _, err := a.ExchangeSession(t.Context(), query); err != nil {
		t.Errorf("the query itself: %v", err)
	}
}

func FuzzSession(f *testing.F) {
	f.Setenv("SHOPIFY_FUZZ", "secret")
	cfg := DefaultConfig()
	cfg.Shop, cfg.ClientID, cfg.ClientSecret, cfg.Auth = "acme.myshopify.com", "id", "env:SHOPIFY_FUZZ", AuthAuthorizationCode
	clock := connectortest.NewClock()
	a := &authorisation{cfg: cfg, auth: &auth{cfg: cfg, deps: connectors.Deps{Now: clock.Now}}}
	now := clock.Now().Unix()
	good := simulator.Session{
		Issuer: "https://acme.myshopify.com/admin", Dest: "https://acme.myshopify.com", Audience: "id", Expires: now + 60, NotBefore: now,
	}.Sign("secret")
	for _, token := range []string{good, "", "..", "e30.e30.e30", handmade(`{"alg":"none"}`, "{}", nil, ""), fmt.Sprint(good, ".")} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		err := a.checkSession(token)
		if err == nil && token != good {
			t.Errorf("%q was taken", token)
		}
		if err != nil && !errors.Is(err, connectors.ErrUnauthentic) {
			t.Errorf("%q: %v", token, err)
		}
	})
}
