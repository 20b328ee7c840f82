package amazon

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/amazon/simulator"
)

// TestAuthorisation: the page, the code, the right seller only, and the calls that live on what
// was kept.
func TestAuthorisation(t *testing.T) {
	s := open(t, simulator.Config{}, func(c *Config) { c.RefreshToken = "" })
	// The simulator knows the refresh token; who gives it for a code stands between.
	s.between = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/auth/o2/token" {
			s.Simulator.ServeHTTP(w, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		if form.Get("grant_type") != "authorization_code" {
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			s.Simulator.ServeHTTP(w, r)
			return
		}
		if form.Get("code") != "ANcode" || form.Get("client_id") != s.cfg.ClientID || form.Get("client_secret") != s.Config().ClientSecret {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"invalid_grant"}`)
			return
		}
		_, _ = io.WriteString(w, `{"access_token":"Atza|1","token_type":"bearer","expires_in":3600,"refresh_token":"`+s.Config().RefreshToken+`"}`)
	})
	z := s.conn.Authorize
	if _, err := z.AuthorizeURL(connectors.AuthorizeRequest{State: "s"}); err == nil || !strings.Contains(err.Error(), "application_id") {
		t.Errorf("without an id: %v", err)
	}
	s.cfg.ApplicationID, s.cfg.Draft = "amzn1.sp.solution.1", true
	s.again(t)
	z = s.conn.Authorize
	token := func() error {
		_, err := newClient(s.cfg, s.deps).auth.token(context.Background(), scopeSeller, "")
		return err
	}
	if err := token(); !errors.Is(err, connectors.ErrNeedsAuthorisation) || !strings.Contains(err.Error(), "crossdock connect shop-uk") {
		t.Errorf("before: %v", err)
	}
	address, err := z.AuthorizeURL(connectors.AuthorizeRequest{State: "the state"})
	if want := s.server.URL + "/apps/authorize/consent?application_id=amzn1.sp.solution.1&state=the+state&version=beta"; err != nil || address != want {
		t.Errorf("the page: %s, %v; want %s", address, err, want)
	}
	seller := s.cfg.SellerID
	exchange := func(seller, code string) error {
		a := &connectors.AuthorizeAnswer{Query: url.Values{"state": {"abc"}, "selling_partner_id": {seller}, "spapi_oauth_code": {code}}}
		if got := z.State(a); got != "abc" {
			t.Errorf("state %q", got)
		}
		return z.Exchange(t.Context(), connectors.AuthorizeRequest{}, a)
	}
	for name, c := range map[string]struct{ seller, code, want string }{
		"another seller": {"A9SOMEBODYELSE", "ANcode", "log in as that one"},
		"no code":        {seller, "", "did not authorise"},
		"spent":          {seller, "ANspent", "begin anew"},
	} {
		if err := exchange(c.seller, c.code); !errors.Is(err, connectors.ErrNeedsAuthorisation) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if err := exchange(seller, "ANcode"); err != nil {
		t.Fatal(err)
	}
	if err := token(); err != nil {
		t.Errorf("after: %v", err)
	}
	s.cfg.RefreshToken = "env:AMAZON_TEST_REFRESH"
	s.again(t)
	if _, err := s.conn.Authorize.AuthorizeURL(connectors.AuthorizeRequest{State: "s"}); err == nil || !strings.Contains(err.Error(), "refresh_token") {
		t.Errorf("with refresh_token: %v", err)
	}
}

func TestSellerCentral(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://sellercentral.amazon.co.uk": true, "https://sellercentral.amazon.com": true, "https://sellercentral-europe.amazon.com": true,
		"http://sellercentral.amazon.com": false, "https://sellercentral.amazon.com.evil.example": false, "https://amazon.com": false, "https://sellercentral.amazon.com/x": false,
	} {
		if got := sellerCentral.MatchString(address); got != ok {
			t.Errorf("%s: %t, want %t", address, got, ok)
		}
	}
}
