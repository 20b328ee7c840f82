package magento

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors/magento/simulator"
)

// The base string of RFC 5849, section 3.4.1.1: names and values that need escaping, that are
// empty, and that stand twice.
func TestBaseStringOfTheRFC(t *testing.T) {
	got := baseString("POST", "http://example.com/request", []param{
		{"b5", "=%3D"}, {"a3", "a"}, {"c@", ""}, {"a2", "r b"}, {"oauth_consumer_key", "9djdj82h48djs9d2"}, {"oauth_token", "kkk9d7dh3k39sjv7"},
		{"oauth_signature_method", "HMAC-SHA1"}, {"oauth_timestamp", "137131201"}, {"oauth_nonce", "7d8f3e4a"}, {"c2", ""}, {"a3", "2 q"},
	})
	want := "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// signed is a call as the connector makes it.
func signed(k keys, q query, nonce string, at time.Time) *http.Request {
	const address = "http://example.com/rest/all/V1/orders"
	r := httptest.NewRequest(http.MethodGet, address+"?"+q.encode(), nil)
	r.Header.Set("Authorization", k.authorization(http.MethodGet, address, q, nonce, at))
	return r
}

func TestSignatures(t *testing.T) {
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	k := keys{"simulated-key", "simulated-secret", "simulated-token", "simulated-token-secret"}
	q := search{where: []condition{{"updated_at", "gteq", "2026-11-02 09:00:00"}, {"state", "in", openStates}}, sort: []string{"updated_at", "entity_id"}, size: 100, fields: openFields}.query()
	serve := func(r *http.Request) int {
		sim := simulator.New(simulator.Config{Now: func() time.Time { return at }})
		w := httptest.NewRecorder()
		sim.ServeHTTP(w, r)
		return w.Code
	}
	if got := serve(signed(k, q, "n1", at)); got != http.StatusOK {
		t.Fatalf("a right signature: %d", got)
	}
	for name, with := range map[string]keys{
		"consumer": {"other", k.consumerSecret, k.token, k.tokenSecret}, "consumer secret": {k.consumer, "other", k.token, k.tokenSecret},
		"token": {k.consumer, k.consumerSecret, "other", k.tokenSecret}, "token secret": {k.consumer, k.consumerSecret, k.token, "other"},
	} {
		if got := serve(signed(with, q, "n1", at)); got != http.StatusUnauthorized {
			t.Errorf("another %s: %d", name, got)
		}
	}
	// Every bit of the header that can be sent.
	header := signed(k, q, "n1", at).Header.Get("Authorization")
	for i := range header {
		for bit := range 7 {
			c := header[i] ^ 1<<bit
			if c < ' ' || c > '~' {
				continue
			}
			r := signed(k, q, "n1", at)
			altered := header[:i] + string(c) + header[i+1:]
			r.Header.Set("Authorization", altered)
			// Blanks between the fields are not signed, nor is the case of an escape.
			if strings.EqualFold(altered, header) || strings.ReplaceAll(altered, " ", "") == strings.ReplaceAll(header, " ", "") {
				continue
			}
			if got := serve(r); got == http.StatusOK {
				t.Errorf("byte %d, bit %d: %q is taken", i, bit, altered)
			}
		}
	}
	r := signed(k, q, "n1", at)
	r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "100", "101", 1)
	if got := serve(r); got != http.StatusUnauthorized {
		t.Errorf("another query: %d", got)
	}
}

// The order of bytes is the natural order as long as every index has one digit.
func TestIndexesHaveOneDigit(t *testing.T) {
	s := search{sort: []string{"a", "b"}, size: 1}
	for range 9 {
		s.where = append(s.where, condition{"f", "eq", "v"})
	}
	for _, p := range s.query() {
		for i := 0; i+1 < len(p.name); i++ {
			if p.name[i]-'0' <= 9 && p.name[i+1]-'0' <= 9 {
				t.Errorf("%s has an index of two digits", p.name)
			}
		}
	}
}

func TestNonces(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		n, err := newNonce()
		if err != nil || len(n) != 32 || seen[n] {
			t.Fatalf("nonce %q, %v", n, err)
		}
		seen[n] = true
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("a b+c%/ü\x00")
	f.Fuzz(func(t *testing.T, s string) {
		for i, c := range []byte(escape(s)) {
			if c < '%' || c > '~' {
				t.Fatalf("byte %d of %q is %q", i, escape(s), c)
			}
		}
	})
}
