package woocommerce

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Over plain HTTP WooCommerce takes no password: each call is signed by OAuth 1.0a (RFC
// 5849), "one-legged", which is to say that there is a consumer and no token. The shop takes
// each nonce once, and timestamps of 15 minutes around its own clock.
//
// The parameters go into the query and not into the header, because servers that run PHP
// through CGI are known to drop the Authorization header.
// https://woocommerce.github.io/woocommerce-rest-api-docs/#authentication-over-http

// sign adds the signature's parameters to a query.
func sign(method, address, key, secret, nonce string, query url.Values, now time.Time) {
	query.Set("oauth_consumer_key", key)
	query.Set("oauth_nonce", nonce)
	query.Set("oauth_signature_method", "HMAC-SHA256")
	query.Set("oauth_timestamp", strconv.FormatInt(now.Unix(), 10))
	query.Set("oauth_version", "1.0")
	query.Set("oauth_signature", Signature(method, address, secret, query))
}

// Signature is oauth_signature of a call to an address, which has no query of its own, with
// these parameters; one that is among them is left out.
func Signature(method, address, secret string, query url.Values) string {
	mac := hmac.New(sha256.New, []byte(escape(secret)+"&"))
	mac.Write([]byte(signatureBase(method, address, query)))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// signatureBase is the text that is signed (RFC 5849, 3.4.1).
func signatureBase(method, address string, query url.Values) string {
	signed := make(url.Values, len(query))
	for name, values := range query {
		if name != "oauth_signature" {
			signed[name] = slices.Sorted(slices.Values(values))
		}
	}
	return strings.ToUpper(method) + "&" + escape(address) + "&" + escape(encoded(signed))
}

// escape is the encoding of RFC 3986, which leaves fewer characters alone than net/url does.
func escape(s string) string {
	const hex = "0123456789ABCDEF"
	b := make([]byte, 0, len(s)+8)
	for i := range len(s) {
		switch c := s[i]; {
		case c-'0' <= 9, (c|0x20)-'a' <= 'z'-'a', c == '-', c == '.', c == '_', c == '~':
			b = append(b, c)
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(b)
}

// encoded is a query in the order of its names, and with a blank as %20, as it is signed:
// net/url would write "+".
func encoded(query url.Values) string {
	names := make([]string, 0, len(query))
	for name := range query {
		names = append(names, name)
	}
	sort.Strings(names)
	var b strings.Builder
	for _, name := range names {
		for _, v := range query[name] {
			if b.Len() > 0 {
				b.WriteByte('&')
			}
			b.WriteString(escape(name) + "=" + escape(v))
		}
	}
	return b.String()
}

// authorise puts the keys on a request whose query is not yet written.
func (c *client) authorise(req *http.Request, query url.Values) error {
	key, secret, err := c.keys(req.Context())
	if err != nil {
		return err
	}
	how := c.cfg.Auth
	if how == AuthAuto {
		if how = AuthBasic; req.URL.Scheme != "https" {
			how = AuthOAuth1
		}
	}
	switch how {
	case AuthQuery:
		query.Set("consumer_key", key)
		query.Set("consumer_secret", secret)
	case AuthOAuth1:
		address := *req.URL
		address.RawQuery = ""
		sign(req.Method, address.String(), key, secret, rand.Text(), query, c.deps.Now())
	default:
		req.SetBasicAuth(key, secret)
	}
	return nil
}
