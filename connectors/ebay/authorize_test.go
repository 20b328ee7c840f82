package ebay

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/connectortest"
	"github.com/helloword/crossdock/internal/httpx"
	"github.com/helloword/crossdock/schemas"
)

// TestConsent: the page that the seller is sent to, the code, what is kept, and the calls that
// live on it, also in another process; a new consent takes effect when the old one has ended.
func TestConsent(t *testing.T) {
	t.Setenv("EBAY_TEST_SECRET", "cert-id")
	good := "refresh-1"
	mux := http.NewServeMux()
	mux.HandleFunc("POST /identity/v1/oauth2/token", func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		refuse := func() {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"invalid_grant"}`)
		}
		switch {
		case id != "app-id" || secret != "cert-id":
			w.WriteHeader(http.StatusUnauthorized)
		case r.PostFormValue("grant_type") == "authorization_code":
			if r.PostFormValue("code") != "v^1.1#code" || r.PostFormValue("redirect_uri") != "Acme-RuName" {
				refuse()
				return
			}
			_, _ = io.WriteString(w, `{"access_token":"first","expires_in":7200,"refresh_token":"`+good+`","refresh_token_expires_in":47304000}`)
		case r.PostFormValue("refresh_token") != good:
			refuse()
		default:
			_, _ = io.WriteString(w, `{"access_token":"access of `+good+`","expires_in":7200}`)
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	cfg := DefaultConfig()
	cfg.Marketplace, cfg.TestBaseURL, cfg.ClientID, cfg.ClientSecret = "EBAY_GB", server.URL, "app-id", "env:EBAY_TEST_SECRET"
	store, clock := &connectortest.Tokens{}, connectortest.NewClock()
	process := func() *connectors.Connector {
		t.Helper()
		c, err := New(cfg, schemas.Test, connectors.Deps{
			Account: "ebay-uk", HTTP: httpx.NewClient(httpx.Config{AllowLoopback: true}), Log: slog.New(slog.DiscardHandler),
			Now: clock.Now, Tokens: store, Limiter: &connectortest.Limiter{},
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	token := func(c *connectors.Connector, stale string) (string, error) {
		return c.Check.(*checker).tokens[asUser].token(context.Background(), stale)
	}
	z := process().Authorize
	if _, err := z.AuthorizeURL(connectors.AuthorizeRequest{State: "s"}); err == nil || !strings.Contains(err.Error(), "ru_name") {
		t.Errorf("without RuName: %v", err)
	}
	cfg.RuName = "Acme-RuName"
	one := process()
	z = one.Authorize
	if _, err := token(one, ""); !errors.Is(err, connectors.ErrNeedsAuthorisation) || !strings.Contains(err.Error(), "crossdock connect ebay-uk") {
		t.Errorf("before: %v", err)
	}
	address, err := z.AuthorizeURL(connectors.AuthorizeRequest{State: "the state"})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if u.Path != "/oauth2/authorize" || q.Get("redirect_uri") != "Acme-RuName" || q.Get("state") != "the state" || q.Get("response_type") != "code" ||
		len(strings.Fields(q.Get("scope"))) != len(scopes())+1 || strings.Contains(address, "cert-id") {
		t.Errorf("the page: %s", address)
	}
	answer := func(query string) *connectors.AuthorizeAnswer {
		v, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		return &connectors.AuthorizeAnswer{Query: v, RawQuery: query}
	}
	if got := z.State(answer("code=x&state=abc")); got != "abc" {
		t.Errorf("state %q", got)
	}
	for query, want := range map[string]string{"error=access_denied": "access_denied", "code=spent": "begin anew"} {
		if err := z.Exchange(t.Context(), connectors.AuthorizeRequest{}, answer(query)); !errors.Is(err, connectors.ErrNeedsAuthorisation) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", query, err)
		}
	}
	code := answer("code=v%5E1.1%23code&state=s&expires_in=299")
	away := errors.New("Kafka is away")
	store.Fail(away)
	if err := z.Exchange(t.Context(), connectors.AuthorizeRequest{}, code); !errors.Is(err, away) {
		t.Errorf("it was not kept: %v", err)
	}
	store.Fail(nil)
	if err := z.Exchange(t.Context(), connectors.AuthorizeRequest{}, code); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*connectors.Connector{one, process()} {
		if got, err := token(c, ""); err != nil || got != "access of refresh-1" {
			t.Errorf("after: %q, %v", got, err)
		}
	}
	good = "refresh-2"
	if _, err := token(one, "access of refresh-1"); !errors.Is(err, connectors.ErrNeedsAuthorisation) || strings.Contains(err.Error(), "refresh-1") {
		t.Errorf("the consent ended: %v", err)
	}
	if err := z.Exchange(t.Context(), connectors.AuthorizeRequest{}, code); err != nil {
		t.Fatal(err)
	}
	if got, err := token(one, "access of refresh-1"); err != nil || got != "access of refresh-2" {
		t.Errorf("consented again: %q, %v", got, err)
	}
	// What is configured would win: it is said before anybody is sent anywhere.
	cfg.RefreshToken = "env:EBAY_TEST_SECRET"
	if _, err := process().Authorize.AuthorizeURL(connectors.AuthorizeRequest{State: "s"}); err == nil || !strings.Contains(err.Error(), "refresh_token") {
		t.Errorf("with refresh_token: %v", err)
	}
}
