package simulator

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// exchange asks for a token; change alters what is asked.
func exchange(t testing.TB, s *Simulator, subject string, change func(url.Values)) (status int, answer map[string]any) {
	t.Helper()
	form := url.Values{
		"client_id": {s.cfg.ClientID}, "client_secret": {s.cfg.ClientSecret}, "expiring": {"1"},
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {subject},
		"subject_token_type":   {"urn:ietf:params:oauth:token-type:id_token"},
		"requested_token_type": {"urn:shopify:params:oauth:token-type:offline-access-token"},
	}
	if change != nil {
		change(form)
	}
	r := httptest.NewRequest(http.MethodPost, "/admin/oauth/access_token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return w.Code, answer
}

// A session is exchanged as often as somebody asks until it ends; each time the token of before
// is dead.
func TestTokenExchange(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	s := shop(t, Config{Now: func() time.Time { return now }})
	subject := s.Session().Sign(s.cfg.ClientSecret)
	set := func(name, value string) func(url.Values) { return func(f url.Values) { f.Set(name, value) } }
	of := func(change func(*Session)) string {
		c := s.Session()
		change(&c)
		return c.Sign(s.cfg.ClientSecret)
	}
	for _, c := range []struct {
		name, subject string
		change        func(url.Values)
		status        int
		want          string
	}{
		{"another secret", subject, set("client_secret", "wrong"), 401, "invalid_client"},
		{"another client", subject, set("client_id", "wrong"), 401, "invalid_client"},
		{"another kind of subject", subject, set("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"), 400, "invalid_request"},
		{"for another kind of token", subject, set("requested_token_type", "x"), 400, "invalid_request"},
		{"no subject", "", nil, 400, "invalid_subject_token"},
		{"another signature", s.Session().Sign("wrong"), nil, 400, "invalid_subject_token"},
		{"no JSON", signSession(s.cfg.ClientSecret, "eA"), nil, 400, "invalid_subject_token"},
		{"no base64", signSession(s.cfg.ClientSecret, "?"), nil, 400, "invalid_subject_token"},
		{"another app", of(func(c *Session) { c.Audience = "x" }), nil, 400, "invalid_subject_token"},
		{"another shop", of(func(c *Session) { c.Dest = "https://other.myshopify.com" }), nil, 400, "invalid_subject_token"},
		{"by another shop", of(func(c *Session) { c.Issuer = "https://other.myshopify.com/admin" }), nil, 400, "invalid_subject_token"},
		{"not yet", of(func(c *Session) { c.NotBefore++ }), nil, 400, "invalid_subject_token"},
		{"ended", of(func(c *Session) { c.Expires = c.Issued }), nil, 400, "invalid_subject_token"},
	} {
		if status, answer := exchange(t, s, c.subject, c.change); status != c.status || answer["error"] != c.want {
			t.Errorf("%s: %d %v, want %d %s", c.name, status, answer, c.status, c.want)
		}
	}
	if got := s.Stats().Exchanges; got != 0 {
		t.Errorf("%d exchanges", got)
	}
	var before string
	for range 2 {
		status, answer := exchange(t, s, subject, nil)
		token, _ := answer["access_token"].(string)
		if status != http.StatusOK || token == "" || token == before || answer["refresh_token"] == nil || answer["expires_in"] != 3600.0 {
			t.Fatalf("%d %v", status, answer)
		}
		if _, alive := s.tokens.access[before]; alive {
			t.Error("the token of before lives")
		}
		before = token
	}
	if status, answer := exchange(t, s, subject, set("expiring", "0")); status != http.StatusOK || answer["refresh_token"] != nil || answer["expires_in"] != nil {
		t.Errorf("not to expire: %d %v", status, answer)
	}
	now = now.Add(sessionLife)
	if status, answer := exchange(t, s, subject, nil); status != http.StatusBadRequest || answer["error"] != "invalid_subject_token" {
		t.Errorf("after its minute: %d %v", status, answer)
	}
}

// The admin sends the browser to the app's address, and to none without one.
func TestOpenApp(t *testing.T) {
	s := shop(t, Config{})
	open := func(method, path string) *http.Response {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w.Result()
	}
	resp := open(http.MethodGet, "/admin/apps/simulated-app?app_url="+url.QueryEscape("http://127.0.0.1:7777/callback"))
	at, err := resp.Location()
	if err != nil || at.Host != "127.0.0.1:7777" || at.Path != "/callback" {
		t.Fatalf("%d, %v, %v", resp.StatusCode, at, err)
	}
	q := at.Query()
	raw := at.RawQuery
	mac := q.Get("hmac")
	q.Del("hmac")
	if SignQuery(s.cfg.ClientSecret, q) != raw || mac == "" || q.Get("shop") != s.cfg.Shop || q.Get("embedded") != "1" || !s.knows(q.Get("id_token")) {
		t.Errorf("%s", raw)
	}
	for _, path := range []string{"/admin/apps/simulated-app", "/admin/apps/another?app_url=http://127.0.0.1:7777/", "/admin/apps/simulated-app?app_url=callback", "/admin/apps/simulated-app?app_url=%25"} {
		if resp := open(http.MethodGet, path); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	if resp := open(http.MethodPost, "/admin/apps/simulated-app?app_url=http://127.0.0.1:7777/"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("posted: %d", resp.StatusCode)
	}
}
