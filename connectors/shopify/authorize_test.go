package shopify

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
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

const testState = "f3b1c0de-f3b1_C0DE"

func byCode(c *Config) { c.Auth = AuthAuthorizationCode }

// authorisation of the shop's connection.
func (s *shop) authorisation(t testing.TB) *authorisation {
	t.Helper()
	a, err := newAuthorisation(s.cfg, schemas.Test, s.deps)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// newAuthorisation is that of a connection as it is opened.
func newAuthorisation(cfg Config, env schemas.Environment, deps connectors.Deps) (*authorisation, error) {
	c, err := New(cfg, env, deps)
	if err != nil {
		return nil, err
	}
	return c.Authorize.(*authorizer).authorisation, nil
}

// The vector that Shopify's documentation had for years, with the secret "hush".
func TestCallbackVector(t *testing.T) {
	const query = "code=0907a61c0c8d55e99db179b68161bc00&hmac=700e2dadb827fcc8609e9d5ce208b2e9cdaab9df07390d2cbca10d7c328fc4bf&shop=some-shop.myshopify.com&state=0.6784241404160823&timestamp=1337178173"
	members, signed, given, err := takeApart(query)
	if err != nil || members["shop"] != "some-shop.myshopify.com" {
		t.Fatalf("%v, %v", members, err)
	}
	if got := signQuery("hush", signed); got != given {
		t.Errorf("signature %s, want %s", got, given)
	}
}

func TestAuthorizeURL(t *testing.T) {
	s := open(t, simulator.Config{}, func(c *Config) { byCode(c); c.ReadAllOrders = true })
	a := s.authorisation(t)
	for _, tc := range []struct {
		state, redirect string
		ok              bool
	}{
		{testState, "https://crossdock.example/oauth/shopify", true},
		{testState, "http://127.0.0.1:8089/callback", true},
		{testState, "http://localhost:8089/callback", true},
		{testState, "http://crossdock.example/callback", false},
		{testState, "ftp://127.0.0.1/", false},
		{testState, "https://a:b@crossdock.example/", false},
		{testState, "https://crossdock.example/#here", false},
		{testState, "callback", false},
		{testState, "", false},
		{"short", "https://crossdock.example/", false},
		{"sixteen letters &", "https://crossdock.example/", false},
		{strings.Repeat("a", 201), "https://crossdock.example/", false},
	} {
		got, err := a.AuthorizeURL(tc.state, tc.redirect)
		if (err == nil) != tc.ok {
			t.Errorf("state %q, redirect %q: %v", tc.state, tc.redirect, err)
			continue
		}
		if err != nil {
			continue
		}
		u, err := url.Parse(got)
		if err != nil || u.Path != "/admin/oauth/authorize" {
			t.Fatalf("%s: %v", got, err)
		}
		q := u.Query()
		want := url.Values{
			"client_id": {"simulated-app"}, "state": {tc.state}, "redirect_uri": {tc.redirect},
			"scope": {"read_customers,write_inventory,read_locations,write_products,write_orders,write_merchant_managed_fulfillment_orders,read_all_orders"},
		}
		if diff := cmp.Diff(want, q); diff != "" {
			t.Error(diff)
		}
	}
	// In production it is the shop's own domain.
	cfg := s.cfg
	cfg.TestBaseURL = ""
	a, err := newAuthorisation(cfg, schemas.Production, s.deps)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := a.AuthorizeURL(testState, "https://crossdock.example/"); err != nil || !strings.HasPrefix(got, "https://simulated.myshopify.com/admin/oauth/authorize?") {
		t.Errorf("%s, %v", got, err)
	}
}

// agree is an owner who agrees; it returns the query that the browser comes back with.
func agree(t testing.TB, address string) string {
	t.Helper()
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer browser.CloseIdleConnections()
	resp, err := browser.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	back, err := resp.Location()
	if err != nil {
		t.Fatal(err)
	}
	return back.RawQuery
}

// As the contract asks for it: what is told beforehand, an auth that needs no owner, and an
// answer taken as it came.
func TestAuthorizer(t *testing.T) {
	s := open(t, simulator.Config{}, nil) // client_credentials
	c, err := New(s.cfg, schemas.Test, s.deps)
	if err != nil {
		t.Fatal(err)
	}
	req := connectors.AuthorizeRequest{State: testState, Callback: "http://127.0.0.1:8089/callback"}
	if _, err := c.Authorize.AuthorizeURL(req); err == nil || !strings.Contains(err.Error(), AuthAuthorizationCode) {
		t.Errorf("client_credentials: %v", err)
	}
	s = open(t, simulator.Config{}, byCode)
	s.deps.Modules = connectors.Modules{connectors.ModuleOrders}
	if c, err = New(s.cfg, schemas.Test, s.deps); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"read_orders", "read_customers"}, c.Authorize.Guide().Needs); diff != "" {
		t.Errorf("orders alone need (-want +got):\n%s", diff)
	}
	address, err := c.Authorize.AuthorizeURL(req)
	if err != nil {
		t.Fatal(err)
	}
	raw := agree(t, address)
	q, err := url.ParseQuery(raw)
	if err != nil {
		t.Fatal(err)
	}
	answer := &connectors.AuthorizeAnswer{Query: q, RawQuery: raw}
	if got := c.Authorize.State(answer); got != testState {
		t.Errorf("state %q", got)
	}
	if err := c.Authorize.Exchange(t.Context(), req, answer); err != nil {
		t.Fatal(err)
	}
	if err := c.Authorize.Exchange(t.Context(), req, answer); !errors.Is(err, connectors.ErrNeedsAuthorisation) {
		t.Errorf("the same code again: %v", err)
	}
	if _, err := New(Config{Shop: "shop.example", Auth: AuthAuthorizationCode}, schemas.Test, s.deps); err == nil {
		t.Error("a shop that is none was taken")
	}
}

// The whole way: the owner's browser goes to the address, comes back with a query, and the
// connection works from then on, in this process and in the next.
func TestConnect(t *testing.T) {
	for _, tc := range []struct {
		name   string
		sim    simulator.Config
		change func(*Config)
	}{
		{"authorization code", simulator.Config{}, byCode},
		{"an answer without expires_in", simulator.Config{OmitExpiry: true}, byCode},
		{"beside a configured refresh token", simulator.Config{RefreshToken: "first"}, offline(t)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("SHOPIFY_TEST_REFRESH", "first")
			s := open(t, tc.sim, tc.change)
			if tc.sim.RefreshToken == "" {
				_, err := s.conn.Stock.ReadStock(t.Context(), []connectors.StockRef{{StockID: "1", Location: "1"}})
				if !errors.Is(err, connectors.ErrNeedsAuthorisation) || !strings.Contains(err.Error(), "crossdock connect shop-uk") {
					t.Errorf("before: %v", err)
				}
			}
			a := s.authorisation(t)
			address, err := a.AuthorizeURL(testState, "http://127.0.0.1:9/callback")
			if err != nil {
				t.Fatal(err)
			}
			query := agree(t, address)
			granted, err := a.Exchange(t.Context(), query, testState)
			if err != nil || len(a.Missing(granted)) != 0 || !slices.Contains(granted, "write_orders") {
				t.Fatalf("granted %v, %v", granted, err)
			}
			var kept bearer.Token
			if err := json.Unmarshal(s.deps.Tokens.(*connectortest.Tokens).Held("shopify/shop-uk"), &kept); err != nil || (kept.Begun == fingerprint("first")) != (s.cfg.Auth == AuthOfflineToken) {
				t.Errorf("stored as begun by %q, %v", kept.Begun, err)
			}
			both := []*connectors.Connector{s.conn, s.again(t)}
			for round := range int64(3) {
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
				if st := s.Stats(); st.Refreshes != round || st.Exchanges != 1 {
					t.Fatalf("round %d: %d refreshes, %d exchanges", round, st.Refreshes, st.Exchanges)
				}
				s.clock.Add(time.Hour)
			}
			// The code is good once.
			if _, err := a.Exchange(t.Context(), query, testState); err == nil {
				t.Error("the same callback was taken twice")
			}
		})
	}
}

// Another authorisation replaces what is stored, and a process that still holds the token of
// before finds the new one.
func TestConnectAgain(t *testing.T) {
	s := open(t, simulator.Config{}, byCode)
	a := s.authorisation(t)
	if _, err := a.Exchange(t.Context(), s.Callback(testState, a.Scopes()...), testState); err != nil {
		t.Fatal(err)
	}
	s.check(t, s.conn)
	s.RevokeTokens()
	_, err := s.conn.Stock.ReadStock(t.Context(), []connectors.StockRef{{StockID: "1", Location: "1"}})
	if !errors.Is(err, connectors.ErrNeedsAuthorisation) {
		t.Errorf("uninstalled: %v", err)
	}
	granted, err := s.authorisation(t).Exchange(t.Context(), s.Callback(testState, "read_orders", "write_inventory"), testState)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"read_customers", "read_locations", "write_products", "write_orders", "write_merchant_managed_fulfillment_orders"}, a.Missing(granted)); diff != "" {
		t.Error(diff)
	}
	if _, err := s.conn.Stock.ReadStock(t.Context(), []connectors.StockRef{{StockID: "1", Location: "905684977"}}); err != nil {
		t.Errorf("with the new token: %v", err)
	}
	var kept bearer.Token
	if err := json.Unmarshal(s.deps.Tokens.(*connectortest.Tokens).Held("shopify/shop-uk"), &kept); err != nil || kept.Previous == nil || kept.Previous.Refresh == kept.Refresh {
		t.Errorf("the pair before is not kept: %v", err)
	}
}

// Saved before used: and when the store fails, the code, which is good once, is not wasted.
func TestConnectWhenTheStoreFails(t *testing.T) {
	s := open(t, simulator.Config{}, byCode)
	store := s.deps.Tokens.(*connectortest.Tokens)
	a := s.authorisation(t)
	query := s.Callback(testState, a.Scopes()...)
	store.Fail(errors.New("disk full"))
	if _, err := a.Exchange(t.Context(), query, testState); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("got %v", err)
	}
	store.Fail(nil)
	granted, err := a.Exchange(t.Context(), query, testState)
	if err != nil || len(granted) == 0 {
		t.Errorf("again: %v, %v", granted, err)
	}
	if got := s.Stats().Exchanges; got != 1 {
		t.Errorf("%d exchanges", got)
	}
	if r := s.check(t, s.conn); !r[0].OK {
		t.Errorf("%+v", r[0])
	}
}

func TestConnectWithoutARefreshToken(t *testing.T) {
	s := open(t, simulator.Config{NoExpiry: true}, byCode)
	a := s.authorisation(t)
	_, err := a.Exchange(t.Context(), s.Callback(testState, a.Scopes()...), testState)
	if !errors.Is(err, connectors.ErrPermanent) || !strings.Contains(err.Error(), "refresh token") {
		t.Errorf("got %v", err)
	}
	if got := s.deps.Tokens.(*connectortest.Tokens).Len(); got != 0 {
		t.Errorf("something was saved: %d", got)
	}
}

func TestVerify(t *testing.T) {
	s := open(t, simulator.Config{}, byCode)
	secret := s.Simulator.Config().ClientSecret
	now := s.clock.Now()
	good := func() url.Values {
		return url.Values{"code": {"abc"}, "shop": {"simulated.myshopify.com"}, "state": {testState}, "timestamp": {stringID(now.Unix())}, "host": {"YWRtaW4"}}
	}
	for _, tc := range []struct {
		name   string
		query  func(q url.Values) string
		state  string
		change func(*Config)
		ok     bool
	}{
		{"good", func(q url.Values) string { return simulator.SignQuery(secret, q) }, testState, nil, true},
		{"in any order", func(q url.Values) string {
			parts := strings.Split(simulator.SignQuery(secret, q), "&")
			slices.Reverse(parts)
			return strings.Join(parts, "&")
		}, testState, nil, true},
		{"something new that is signed", func(q url.Values) string { q.Set("zone", "eu west/1"); return simulator.SignQuery(secret, q) }, testState, nil, true},
		{"signed with the secret before the rotation", func(q url.Values) string { return simulator.SignQuery("old", q) }, testState, func(c *Config) { c.PreviousClientSecret = "env:SHOPIFY_TEST_OLD" }, true},
		{"signed with another secret", func(q url.Values) string { return simulator.SignQuery("old", q) }, testState, nil, false},
		{"signed with nothing", func(q url.Values) string { return simulator.SignQuery("", q) }, testState, nil, false},
		{"not signed", func(q url.Values) string { return q.Encode() }, testState, nil, false},
		{"signed in capitals", func(q url.Values) string {
			head, mac, _ := strings.Cut(simulator.SignQuery(secret, q), "&hmac=")
			return head + "&hmac=" + strings.ToUpper(mac)
		}, testState, nil, false},
		{"another state", func(q url.Values) string { return simulator.SignQuery(secret, q) }, testState + "x", nil, false},
		{"no state kept", func(q url.Values) string { q.Set("state", ""); return simulator.SignQuery(secret, q) }, "", nil, false},
		{"another shop", func(q url.Values) string { q.Set("shop", "other.myshopify.com"); return simulator.SignQuery(secret, q) }, testState, nil, false},
		{"a shop that looks alike", func(q url.Values) string {
			q.Set("shop", "simulated.myshopify.com.evil.example")
			return simulator.SignQuery(secret, q)
		}, testState, nil, false},
		{"no code", func(q url.Values) string { q.Del("code"); return simulator.SignQuery(secret, q) }, testState, nil, false},
		{"no time", func(q url.Values) string { q.Del("timestamp"); return simulator.SignQuery(secret, q) }, testState, nil, false},
		{"90 s old", func(q url.Values) string {
			q.Set("timestamp", stringID(now.Unix()-90))
			return simulator.SignQuery(secret, q)
		}, testState, nil, true},
		{"old", func(q url.Values) string {
			q.Set("timestamp", stringID(now.Unix()-91))
			return simulator.SignQuery(secret, q)
		}, testState, nil, false},
		{"from the future", func(q url.Values) string {
			q.Set("timestamp", stringID(now.Unix()+91))
			return simulator.SignQuery(secret, q)
		}, testState, nil, false},
		{"a time that overflows", func(q url.Values) string {
			q.Set("timestamp", "9223372036854775807")
			return simulator.SignQuery(secret, q)
		}, testState, nil, false},
		{"a member twice", func(q url.Values) string { q.Add("shop", "other.myshopify.com"); return simulator.SignQuery(secret, q) }, testState, nil, false},
		{"a signature twice", func(q url.Values) string { return simulator.SignQuery(secret, q) + "&hmac=00" }, testState, nil, false},
		{"a member in front", func(q url.Values) string { return "code=evil&" + simulator.SignQuery(secret, q) }, testState, nil, false},
		{"empty", func(url.Values) string { return "" }, testState, nil, false},
		{"no query", func(url.Values) string { return "&&=&%" }, testState, nil, false},
		{"too long", func(q url.Values) string {
			q.Set("x", strings.Repeat("x", maxQuery))
			return simulator.SignQuery(secret, q)
		}, testState, nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("SHOPIFY_TEST_OLD", "old")
			cfg := s.cfg
			if tc.change != nil {
				tc.change(&cfg)
			}
			a, err := newAuthorisation(cfg, schemas.Test, s.deps)
			if err != nil {
				t.Fatal(err)
			}
			code, err := a.Verify(tc.query(good()), tc.state)
			switch {
			case tc.ok && (err != nil || code != "abc"):
				t.Errorf("got %q, %v", code, err)
			case !tc.ok && !errors.Is(err, connectors.ErrUnauthentic):
				t.Errorf("got %q, %v; want unauthentic", code, err)
			case err != nil && strings.Contains(err.Error(), secret):
				t.Errorf("the error holds a secret: %v", err)
			}
		})
	}
}

// No bit of the query can be changed, and nobody is asked about one that was.
func TestEveryFlippedBitOfACallbackIsRefused(t *testing.T) {
	s := open(t, simulator.Config{}, byCode)
	a := s.authorisation(t)
	query := s.Callback(testState, a.Scopes()...)
	for i := range len(query) * 8 {
		b := []byte(query)
		b[i/8] ^= 1 << (i % 8)
		if _, err := a.Exchange(t.Context(), string(b), testState); !errors.Is(err, connectors.ErrUnauthentic) {
			t.Errorf("bit %d of byte %d (%q): %v", i%8, i/8, query[i/8], err)
		}
	}
	for i := range len(query) {
		if _, err := a.Exchange(t.Context(), query[:i], testState); !errors.Is(err, connectors.ErrUnauthentic) {
			t.Errorf("cut after %d bytes: %v", i, err)
		}
	}
	if st := s.Stats(); st.Exchanges != 0 {
		t.Errorf("%d exchanges", st.Exchanges)
	}
	if _, err := a.Exchange(context.Background(), query, testState); err != nil {
		t.Errorf("the query itself: %v", err)
	}
}

func FuzzVerify(f *testing.F) {
	f.Setenv("SHOPIFY_FUZZ", "secret")
	cfg := DefaultConfig()
	cfg.Shop, cfg.ClientID, cfg.ClientSecret, cfg.Auth = "acme.myshopify.com", "id", "env:SHOPIFY_FUZZ", AuthAuthorizationCode
	clock := connectortest.NewClock()
	a := &authorisation{cfg: cfg, auth: &auth{cfg: cfg, deps: connectors.Deps{Now: clock.Now}}}
	good := simulator.SignQuery("secret", url.Values{"code": {"abc"}, "shop": {cfg.Shop}, "state": {testState}, "timestamp": {stringID(clock.Now().Unix())}})
	for _, q := range []string{good, "", "a=b&hmac=", "%zz=1", "code=1&code=2"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		code, err := a.Verify(query, testState)
		if err == nil && code != "abc" {
			t.Errorf("%q was taken for code %q", query, code)
		}
		if err != nil && !errors.Is(err, connectors.ErrUnauthentic) {
			t.Errorf("%q: %v", query, err)
		}
	})
}
