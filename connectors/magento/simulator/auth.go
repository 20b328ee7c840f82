package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
)

// authentic checks the Authorization header; nil means that the call may go on.
func (s *Simulator) authentic(r *http.Request) *reply {
	header := r.Header.Get("Authorization")
	refuse := func(status int, template string, parameters ...any) *reply {
		a := fail(status, template, parameters...)
		return &a
	}
	if text, ok := strings.CutPrefix(header, "Bearer "); ok {
		if until, known := s.tokens[text]; known && s.now() < until || s.cfg.BearerAllowed && text == s.cfg.AccessToken {
			return nil
		}
		return refuse(http.StatusUnauthorized, "The consumer isn't authorized to access %resources.")
	}
	fields, ok := strings.CutPrefix(header, "OAuth ")
	if !ok {
		return refuse(http.StatusUnauthorized, "The consumer isn't authorized to access %resources.")
	}
	given := map[string]string{}
	for _, f := range strings.Split(fields, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(f), "=")
		if len(value) < 2 || value[0] != '"' || value[len(value)-1] != '"' {
			return refuse(http.StatusBadRequest, "Bad header")
		}
		text, err := url.PathUnescape(value[1 : len(value)-1])
		if err != nil {
			return refuse(http.StatusBadRequest, "Bad header")
		}
		given[name] = text
	}
	if m := given["oauth_signature_method"]; m != "HMAC-SHA256" {
		return refuse(http.StatusBadRequest, "Signature method %1 is not supported", m)
	}
	at, err := strconv.ParseInt(given["oauth_timestamp"], 10, 64)
	nonce := given["oauth_nonce"]
	switch {
	case given["oauth_consumer_key"] != s.cfg.ConsumerKey || given["oauth_token"] != s.cfg.AccessToken:
		return refuse(http.StatusUnauthorized, "A consumer with this key was not found")
	case err != nil || at > s.now()+600:
		return refuse(http.StatusUnauthorized, "The timestamp value in the oauth_timestamp parameter is invalid")
	case s.nonces[nonce]:
		return refuse(http.StatusUnauthorized, "The nonce is already being used by the consumer with key %1", s.cfg.ConsumerKey)
	case len(nonce) == 0 || len(nonce) > 32:
		return refuse(http.StatusBadRequest, "oauth_nonce is a required field. Enter and try again.")
	}
	s.nonces[nonce] = true
	if !hmac.Equal([]byte(s.signature(r, given)), []byte(given["oauth_signature"])) {
		return refuse(http.StatusUnauthorized, "The signature is invalid. Verify and try again.")
	}
	return nil
}

// signature is what the shop makes of a call: parameters of the header and of the query, with
// a plus left as it is, sorted in natural order by their escaped names.
func (s *Simulator) signature(r *http.Request, given map[string]string) string {
	var pairs [][2]string
	add := func(name, value string) {
		pairs = append(pairs, [2]string{rawurlencode(name), rawurlencode(value)})
	}
	for name, value := range given {
		if name != "oauth_signature" && name != "realm" {
			add(name, value)
		}
	}
	for _, p := range strings.Split(r.URL.RawQuery, "&") {
		name, value, ok := strings.Cut(p, "=")
		if !ok {
			continue
		}
		n, errN := url.PathUnescape(name)
		v, errV := url.PathUnescape(value)
		if errN == nil && errV == nil {
			add(n, v)
		}
	}
	sort.SliceStable(pairs, func(i, j int) bool { return naturally(pairs[i][0], pairs[j][0]) < 0 })
	var joined []string
	for _, p := range pairs {
		joined = append(joined, p[0]+"="+p[1])
	}
	base := r.Method + "&" + rawurlencode("http://"+r.Host+r.URL.EscapedPath()) + "&" + rawurlencode(strings.Join(joined, "&"))
	mac := hmac.New(sha256.New, []byte(rawurlencode(s.cfg.ConsumerSecret)+"&"+rawurlencode(s.cfg.AccessTokenSecret)))
	mac.Write([]byte(base))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// naturally compares as strnatcmp does, as far as names have it: runs of digits by value.
func naturally(a, b string) int {
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	for len(a) > 0 && len(b) > 0 {
		if !digit(a[0]) || !digit(b[0]) {
			if a[0] != b[0] {
				return int(a[0]) - int(b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		i, j := 0, 0
		for i < len(a) && digit(a[i]) {
			i++
		}
		for j < len(b) && digit(b[j]) {
			j++
		}
		if i != j {
			return i - j
		}
		if c := strings.Compare(a[:i], b[:j]); c != 0 {
			return c
		}
		a, b = a[i:], b[j:]
	}
	return len(a) - len(b)
}

// rawurlencode is PHP's.
func rawurlencode(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// give makes a token that ends.
func (s *Simulator) give() string {
	s.stats.Logins++
	made := s.now()
	until := made + int64(s.cfg.TokenLife.Seconds())
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"kid":"1","alg":"HS256"}`)) + "." + encode(fmt.Appendf(nil, `{"uid":1,"utypid":2,"iat":%d,"exp":%d}`, made, until)) + "." +
		encode(fmt.Appendf(nil, "%016x", s.rng.Uint64()))
	s.tokens[text] = until
	return text
}

func (s *Simulator) adminToken(body []byte) reply {
	var in struct{ Username, Password string }
	if json.Unmarshal(body, &in) != nil || in.Username != s.cfg.Username || in.Password != s.cfg.Password {
		return fail(http.StatusUnauthorized, "The account sign-in was incorrect or your account is disabled temporarily. Please wait and try again later.")
	}
	return reply{http.StatusOK, s.give()}
}

func (s *Simulator) imsToken(body []byte) reply {
	form, err := url.ParseQuery(string(body))
	if err != nil || form.Get("grant_type") != "client_credentials" || form.Get("client_id") != s.cfg.ClientID || form.Get("client_secret") != s.cfg.ClientSecret {
		return reply{http.StatusBadRequest, object{"error": "invalid_client", "error_description": "invalid client_id parameter"}}
	}
	a := object{"access_token": s.give(), "token_type": "bearer"}
	if !s.cfg.OmitExpiry {
		a["expires_in"] = int64(s.cfg.TokenLife.Seconds())
	}
	return reply{http.StatusOK, a}
}

// RevokeTokens ends all tokens, as a change of the administrator's password does.
func (s *Simulator) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = map[string]int64{}
}
