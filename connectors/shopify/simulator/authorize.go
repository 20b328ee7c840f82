package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// grant is what an owner agreed to; its code is good once.
type grant struct{ scopes []string }

// serveAuthorize is the page where the shop's owner agrees; this owner always does. The
// browser is sent back with a code and a signature over the query.
func (s *Simulator) serveAuthorize(rw http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	if r.Method != http.MethodGet || q.Get("client_id") != s.cfg.ClientID || err != nil || back.Host == "" {
		http.Error(rw, "Oauth error invalid_request", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	back.RawQuery = s.callback(q.Get("state"), strings.Split(q.Get("scope"), ","))
	http.Redirect(rw, r, back.String(), http.StatusFound) //nolint:gosec // the app under test is who asks
}

// Callback is the query that the browser comes back with when the owner agrees to the scopes.
func (s *Simulator) Callback(state string, scopes ...string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.callback(state, scopes)
}

func (s *Simulator) callback(state string, scopes []string) string {
	code := strings.ReplaceAll(s.uuid(), "-", "")
	g := grant{}
	for _, scope := range scopes {
		if slices.Contains(s.scopes(), scope) {
			g.scopes = append(g.scopes, scope)
		}
	}
	s.codes[code] = g
	return s.query(url.Values{"code": {code}, "state": {state}})
}

// query is one with which the admin sends a browser on, signed.
func (s *Simulator) query(q url.Values) string {
	q.Set("shop", s.cfg.Shop)
	q.Set("timestamp", strconv.FormatInt(s.cfg.Now().Unix(), 10))
	q.Set("host", base64.RawStdEncoding.EncodeToString([]byte("admin.shopify.com/store/"+s.store())))
	return SignQuery(s.cfg.ClientSecret, q)
}

// store is the shop's name in the admin's addresses.
func (s *Simulator) store() string { return strings.TrimSuffix(s.cfg.Shop, ".myshopify.com") }

// SignQuery is a callback's query with its signature: hex of HMAC-SHA256 over the members
// sorted by name.
func SignQuery(secret string, q url.Values) string {
	text := q.Encode() // sorted
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return text + "&hmac=" + hex.EncodeToString(mac.Sum(nil))
}
