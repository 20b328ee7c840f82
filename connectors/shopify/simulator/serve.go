package simulator

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// maxRequest bounds a request's body.
const maxRequest = 8 << 20

// ServeHTTP answers the Admin API and the token endpoint of this shop.
func (s *Simulator) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	h := rw.Header()
	s.mu.Lock()
	h.Set("Date", time.Unix(s.now(), 0).UTC().Format(http.TimeFormat))
	out := s.faults.Outage
	s.mu.Unlock()
	if out {
		h.Set("Content-Type", "text/html")
		rw.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(rw, "<html><body>Service unavailable</body></html>")
		return
	}
	switch {
	case r.URL.Path == "/admin/oauth/access_token":
		s.serveToken(rw, r)
	case r.URL.Path == "/admin/oauth/authorize":
		s.serveAuthorize(rw, r)
	case strings.HasPrefix(r.URL.Path, appPath):
		s.serveApp(rw, r)
	case strings.HasPrefix(r.URL.Path, "/admin/api/") && strings.HasSuffix(r.URL.Path, "/graphql.json"):
		s.serveGraphQL(rw, r)
	default:
		http.NotFound(rw, r)
	}
}

// tokenState is what the OAuth server knows. Callers hold mu.
type tokenState struct {
	// access tokens that work, and until when; zero = for ever.
	access map[string]time.Time
	// refresh is the one refresh token that works, current the token given with it.
	refresh, current string
}

func (t *tokenState) init(cfg Config) {
	t.access = map[string]time.Time{}
	if cfg.AccessToken != "" {
		t.access[cfg.AccessToken] = time.Time{}
	}
	t.refresh = cfg.RefreshToken
}

func (s *Simulator) serveToken(rw http.ResponseWriter, r *http.Request) {
	refuse := func(code int, text string) {
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(code)
		_ = json.NewEncoder(rw).Encode(map[string]string{"error": text})
	}
	r.Body = http.MaxBytesReader(rw, r.Body, 64<<10)
	if r.Method != http.MethodPost || r.ParseForm() != nil {
		refuse(http.StatusBadRequest, "invalid_request")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.PostForm.Get("client_id") != s.cfg.ClientID || r.PostForm.Get("client_secret") != s.cfg.ClientSecret {
		refuse(http.StatusUnauthorized, "invalid_client")
		return
	}
	answer := map[string]any{"scope": strings.Join(s.scopes(), ",")}
	life, rotates, ends := time.Hour, true, true
	counted := &s.stats.Refreshes
	exchanged := func() {
		rotates = r.PostForm.Get("expiring") == "1" && !s.cfg.NoExpiry
		ends = rotates
		counted = &s.stats.Exchanges
	}
	switch grant := r.PostForm.Get("grant_type"); grant {
	case "client_credentials":
		life, rotates = 24*time.Hour, false
	case "refresh_token":
		if given := r.PostForm.Get("refresh_token"); given == "" || given != s.tokens.refresh {
			refuse(http.StatusBadRequest, "invalid_grant")
			return
		}
	case "": // the code of an authorisation, which is good once
		code := r.PostForm.Get("code")
		agreed, ok := s.codes[code]
		if !ok {
			refuse(http.StatusBadRequest, "invalid_request")
			return
		}
		delete(s.codes, code)
		answer["scope"] = strings.Join(agreed.scopes, ",")
		exchanged()
	case "urn:ietf:params:oauth:grant-type:token-exchange": // a session token, until it ends
		if r.PostForm.Get("subject_token_type") != "urn:ietf:params:oauth:token-type:id_token" ||
			r.PostForm.Get("requested_token_type") != "urn:shopify:params:oauth:token-type:offline-access-token" {
			refuse(http.StatusBadRequest, "invalid_request")
			return
		}
		if !s.knows(r.PostForm.Get("subject_token")) {
			refuse(http.StatusBadRequest, "invalid_subject_token")
			return
		}
		exchanged()
	default:
		refuse(http.StatusBadRequest, "unsupported_grant_type")
		return
	}
	if s.cfg.TokenLife != 0 {
		life = s.cfg.TokenLife
	}
	token := "shpat_" + s.uuid()
	answer["access_token"] = token
	if rotates {
		// The refresh token rotates, and the access token before it dies at once.
		delete(s.tokens.access, s.tokens.current)
		s.tokens.refresh, s.tokens.current = "shprt_"+s.uuid(), token
		answer["refresh_token"] = s.tokens.refresh
		answer["refresh_token_expires_in"] = 7776000
	}
	s.tokens.access[token] = time.Time{}
	if ends {
		s.tokens.access[token] = s.cfg.Now().Add(life)
		if !s.cfg.OmitExpiry {
			answer["expires_in"] = int64(life / time.Second)
		}
	}
	*counted++
	rw.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(rw).Encode(answer)
}

// RevokeTokens makes every token given by OAuth invalid, as an uninstalled app's are.
func (s *Simulator) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens.init(s.cfg)
}

// allScopes is what the connector may ever ask for.
var allScopes = []string{
	"read_orders", "read_all_orders", "read_customers", "read_products", "read_inventory",
	"write_inventory", "read_locations", "write_products", "write_orders",
	"read_merchant_managed_fulfillment_orders", "write_merchant_managed_fulfillment_orders",
}

func (s *Simulator) scopes() []string {
	if s.cfg.Scopes == nil {
		return allScopes
	}
	return s.cfg.Scopes
}

func (s *Simulator) granted(scope string) bool {
	for _, have := range s.scopes() {
		if have == scope || (strings.HasPrefix(scope, "read_") && have == "write_"+scope[5:]) {
			return true
		}
	}
	return false
}

func (s *Simulator) serveGraphQL(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxRequest))
	if err != nil {
		http.Error(rw, "request too large", http.StatusRequestEntityTooLarge)
		return
	}
	s.mu.Lock()
	status, answer, mail := s.graphQL(r, body)
	s.mu.Unlock()
	s.mail.Deliver(mail)
	h := rw.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("X-Shopify-Api-Version", s.cfg.APIVersion)
	h.Set("X-Request-Id", fmt.Sprintf("%x", time.Now().UnixNano()))
	rw.WriteHeader(status)
	_, _ = rw.Write(answer)
}

// graphQL runs one call under mu.
func (s *Simulator) graphQL(r *http.Request, body []byte) (status int, answer []byte, mail []*delivery) {
	s.stats.Calls++
	token := r.Header.Get("X-Shopify-Access-Token")
	expires, known := s.tokens.access[token]
	if !known || (!expires.IsZero() && !s.cfg.Now().Before(expires)) {
		return http.StatusUnauthorized, []byte(`{"errors":"[API] Invalid API key or access token (unrecognized login or wrong password)"}`), nil
	}
	if s.hit(s.faults.FailBefore) {
		return http.StatusServiceUnavailable, []byte(`<html>upstream</html>`), nil
	}
	var req struct {
		Query     string         `json:"query"`
		Operation string         `json:"operationName"`
		Variables map[string]any `json:"variables"`
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.UseNumber()
	if err := d.Decode(&req); err != nil {
		return http.StatusBadRequest, []byte(`{"errors":"the body is no JSON"}`), nil
	}
	p, err := s.plan(req.Query, req.Operation)
	if err != nil {
		return http.StatusOK, failure("GRAPHQL_PARSE_FAILED", err.Error(), nil), nil
	}
	x := &exec{s: s, vars: req.Variables}
	x.w.s = s
	x.mail = s.runJobs(x.mail)
	requested := x.cost(p)
	if requested > s.cfg.MaxQueryCost {
		return http.StatusOK, failure("MAX_COST_EXCEEDED", fmt.Sprintf("Query cost is %.0f, which exceeds the single query max cost limit (%.0f).", requested, s.cfg.MaxQueryCost), nil), x.mail
	}
	s.bucket.refill(s.cfg)
	if requested > s.bucket.available || s.hit(s.faults.Throttle) {
		s.stats.Throttled++
		return http.StatusOK, failure("THROTTLED", "Throttled", s.bucket.report(s.cfg, requested, -1)), x.mail
	}
	x.run(p)
	if x.err != nil {
		return http.StatusOK, failure(x.code, x.err.Error(), s.bucket.report(s.cfg, requested, -1)), x.mail
	}
	s.bucket.available -= min(x.actual, requested)
	s.stats.Points += min(x.actual, requested)
	if p.mutation && s.hit(s.faults.FailAfter) {
		s.stats.FailedAfter++
		return http.StatusBadGateway, []byte(`<html>bad gateway</html>`), x.mail
	}
	b := append([]byte(`{"data":`), x.w.b...)
	b = append(b, `,"extensions":`...)
	b = append(b, s.bucket.report(s.cfg, requested, min(x.actual, requested))...)
	return http.StatusOK, append(b, '}'), x.mail
}

// failure is an answer without data.
func failure(code, message string, extensions []byte) []byte {
	b := append([]byte(`{"errors":[{"message":`), quote(nil, message)...)
	b = append(b, `,"extensions":{"code":`...)
	b = append(quote(b, code), `}}]`...)
	if extensions != nil {
		b = append(append(b, `,"extensions":`...), extensions...)
	}
	return append(b, '}')
}

// bucket is the leaky bucket of points.
type bucket struct {
	available float64
	at        time.Time
}

func (b *bucket) refill(cfg Config) {
	now := cfg.Now()
	if !b.at.IsZero() && now.After(b.at) {
		b.available = min(cfg.MaximumAvailable, b.available+now.Sub(b.at).Seconds()*cfg.RestoreRate)
	}
	b.at = now
}

func (b *bucket) report(cfg Config, requested, actual float64) []byte {
	ran := "null"
	if actual >= 0 {
		ran = fmt.Sprintf("%.0f", actual)
	}
	return fmt.Appendf(nil, `{"cost":{"requestedQueryCost":%.0f,"actualQueryCost":%s,"throttleStatus":{"maximumAvailable":%.1f,"currentlyAvailable":%.0f,"restoreRate":%.1f}}}`,
		requested, ran, cfg.MaximumAvailable, b.available, cfg.RestoreRate)
}
