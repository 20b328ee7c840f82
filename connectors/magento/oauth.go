package magento

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// keys are the four parts of an integration's access.
type keys struct{ consumer, consumerSecret, token, tokenSecret string }

// param is one parameter of a query, not escaped.
type param struct{ name, value string }

// authorization is the header of an OAuth 1.0a call (RFC 5849, section 3), signed by
// HMAC-SHA256, the only method that Magento takes since 2.4.4. address is scheme, host and
// path as they are sent.
//
// Magento sorts the parameters by "natural" order (strnatcmp), where RFC 5849 wants the
// order of bytes. The two agree as long as no index in a name has two digits: search.go
// keeps to that.
func (k keys) authorization(method, address string, query []param, nonce string, at time.Time) string {
	signed := []param{
		{"oauth_consumer_key", k.consumer},
		{"oauth_nonce", nonce},
		{"oauth_signature_method", "HMAC-SHA256"},
		{"oauth_timestamp", strconv.FormatInt(at.Unix(), 10)},
		{"oauth_token", k.token},
		{"oauth_version", "1.0"},
	}
	var b strings.Builder
	b.WriteString("OAuth ")
	for _, p := range signed {
		b.WriteString(p.name + `="` + escape(p.value) + `", `)
	}
	b.WriteString(`oauth_signature="` + escape(k.sign(baseString(method, address, append(signed, query...)))) + `"`)
	return b.String()
}

// baseString is what is signed (RFC 5849, section 3.4.1).
func baseString(method, address string, params []param) string {
	escaped := make([]param, len(params))
	for i, p := range params {
		escaped[i] = param{escape(p.name), escape(p.value)}
	}
	slices.SortFunc(escaped, func(a, b param) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.value, b.value))
	})
	pairs := make([]string, len(escaped))
	for i, p := range escaped {
		pairs[i] = p.name + "=" + p.value
	}
	return method + "&" + escape(address) + "&" + escape(strings.Join(pairs, "&"))
}

func (k keys) sign(base string) string {
	mac := hmac.New(sha256.New, []byte(escape(k.consumerSecret)+"&"+escape(k.tokenSecret)))
	mac.Write([]byte(base))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// escape is percent encoding by RFC 5849, section 3.6. A blank is %20: Magento reads a plus
// as a plus.
func escape(s string) string {
	const digits = "0123456789ABCDEF"
	b := make([]byte, 0, len(s)+8)
	for i := range len(s) {
		c := s[i]
		if c-'0' <= 9 || c|0x20-'a' <= 25 || c == '-' || c == '.' || c == '_' || c == '~' {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(b)
}

// newNonce is used once: Magento refuses one that it has seen.
func newNonce() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("making a nonce: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}
