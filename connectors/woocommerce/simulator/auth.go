package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// The simulator checks signatures with code of its own: what both sides get wrong in the same
// way would be seen by nobody.

// skew is how far OAuth timestamps may be off, in seconds.
const skew = 15 * 60

func (s *Simulator) authenticate(r *http.Request, query url.Values) *refusal {
	deny := func(message string) *refusal {
		return no(http.StatusUnauthorized, "woocommerce_rest_authentication_error", message)
	}
	if s.cfg.TLS || r.TLS != nil {
		key, secret, ok := r.BasicAuth()
		if !ok {
			key, secret = query.Get("consumer_key"), query.Get("consumer_secret")
		}
		if key == "" {
			return no(http.StatusUnauthorized, "woocommerce_rest_cannot_view", "Sorry, you cannot list resources.")
		}
		if key != s.cfg.ConsumerKey || secret != s.cfg.ConsumerSecret {
			return deny("Consumer key or secret is invalid.")
		}
		return nil
	}
	if query.Get("oauth_consumer_key") == "" {
		return no(http.StatusUnauthorized, "woocommerce_rest_cannot_view", "Sorry, you cannot list resources.")
	}
	home := s.cfg.Home
	if home == "" {
		home = "http://" + r.Host
	}
	want := s.signature(r.Method, strings.TrimRight(home, "/")+r.URL.Path, query)
	at, err := strconv.ParseInt(query.Get("oauth_timestamp"), 10, 64)
	now := s.cfg.Now().Unix()
	nonce := query.Get("oauth_nonce")
	switch {
	case query.Get("oauth_consumer_key") != s.cfg.ConsumerKey:
		return deny("Consumer key is invalid.")
	case query.Get("oauth_signature_method") != "HMAC-SHA256", query.Get("oauth_signature") != want:
		return deny("Invalid signature - provided signature does not match.")
	case err != nil || at < now-skew || at > now+skew:
		return deny("Invalid timestamp.")
	case nonce == "" || s.nonces[nonce] != 0:
		return deny("Invalid nonce - nonce has already been used.")
	}
	if len(s.nonces) > 1<<16 {
		clear(s.nonces)
	}
	s.nonces[nonce] = at
	return nil
}

// signature follows WC_REST_Authentication: sort by name, encode names and values, join, and
// encode once more.
func (s *Simulator) signature(method, address string, query url.Values) string {
	names := make([]string, 0, len(query))
	for name := range query {
		if name != "oauth_signature" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var parts []string
	for _, name := range names {
		for _, value := range query[name] {
			parts = append(parts, rawurlencode(rawurlencode(name)+"="+rawurlencode(value)))
		}
	}
	mac := hmac.New(sha256.New, []byte(s.cfg.ConsumerSecret+"&"))
	mac.Write([]byte(method + "&" + rawurlencode(address) + "&" + strings.Join(parts, "%26")))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// rawurlencode is PHP's.
func rawurlencode(s string) string {
	return strings.NewReplacer("+", "%20", "%7E", "~").Replace(url.QueryEscape(s))
}

// bodySignature is X-WC-Webhook-Signature.
func bodySignature(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
