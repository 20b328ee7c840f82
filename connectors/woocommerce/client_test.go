package woocommerce

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/connectortest"
	"github.com/helloword/crossdock/connectors/woocommerce/simulator"
	"github.com/helloword/crossdock/schemas/event"
)

// transport answers in the shop's stead, without a network.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answered opens a client whose shop answers as f says.
func answered(t testing.TB, f func(*http.Request) (*http.Response, error), change func(*Config)) (*client, *connectortest.Limiter) {
	t.Helper()
	t.Setenv("WOO_TEST_KEY", "ck_key")
	t.Setenv("WOO_TEST_SECRET", "cs_geheim")
	t.Setenv("WOO_TEST_WEBHOOK", "hook_geheim")
	cfg := testConfig("http://127.0.0.1:1")
	if change != nil {
		change(&cfg)
	}
	l := &connectortest.Limiter{}
	return newClient(cfg, connectors.Deps{Account: "a", HTTP: &http.Client{Transport: transport(f)}, Now: connectortest.NewClock().Now, Limiter: l}), l
}

func respond(code int, header map[string]string, body string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		h := http.Header{"Content-Type": {"application/json"}}
		for k, v := range header {
			h.Set(k, v)
		}
		return &http.Response{StatusCode: code, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1, Request: r}, nil
	}
}

// cut is a gzip stream without its end.
func cut(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	return b.String()[:b.Len()-6]
}

func TestAnswersAreSorted(t *testing.T) {
	const html = "<!DOCTYPE html><html><body>Just a moment…</body></html>"
	for _, tc := range []struct {
		name   string
		code   int
		header map[string]string
		body   string
		class  string
		// unsent: a write that was answered so certainly did nothing.
		unsent  bool
		outcome event.Outcome
		text    string
	}{
		{"key unknown", 401, nil, `{"code":"woocommerce_rest_authentication_error","message":"Consumer key is invalid."}`, "needs-authorisation", true, event.Outcome_OUTCOME_NOT_SENT, "consumer_key"},
		{"clock wrong", 401, nil, `{"code":"woocommerce_rest_authentication_error","message":"Invalid timestamp."}`, "transient", true, event.Outcome_OUTCOME_NOT_SENT, "clock"},
		{"nonce used", 401, nil, `{"code":"woocommerce_rest_authentication_error","message":"Invalid nonce - nonce has already been used."}`, "transient", true, event.Outcome_OUTCOME_NOT_SENT, "nonce"},
		{"may not", 403, nil, `{"code":"woocommerce_rest_cannot_view","message":"Sorry"}`, "needs-authorisation", true, event.Outcome_OUTCOME_NOT_SENT, "shop manager"},
		{"a password in front", 401, nil, html, "needs-authorisation", true, event.Outcome_OUTCOME_NOT_SENT, "/wp-json/"},
		{"a firewall", 403, nil, html, "transient", true, event.Outcome_OUTCOME_NOT_SENT, "firewall"},
		{"no such address", 404, nil, html, "permanent", true, event.Outcome_OUTCOME_REFUSED, "permalinks"},
		{"no such route", 404, nil, `{"code":"rest_no_route","message":"No route"}`, "permanent", true, event.Outcome_OUTCOME_REFUSED, "rest_no_route"},
		{"bad request", 400, nil, `{"code":"rest_invalid_param","message":"Invalid parameter(s): per_page"}`, "permanent", true, event.Outcome_OUTCOME_REFUSED, "per_page"},
		{"too many", 413, nil, `{"code":"woocommerce_rest_request_entity_too_large","message":"100"}`, "permanent", true, event.Outcome_OUTCOME_REFUSED, "too_large"},
		{"slow down", 429, map[string]string{"Retry-After": "30"}, html, "retry-after", true, event.Outcome_OUTCOME_NOT_SENT, "429"},
		{"maintenance", 503, map[string]string{"Retry-After": "600"}, html, "retry-after", false, event.Outcome_OUTCOME_UNKNOWN, "503"},
		{"overloaded", 508, map[string]string{"Retry-After": "Mon, 02 Nov 2026 09:01:00 GMT"}, html, "retry-after", false, event.Outcome_OUTCOME_UNKNOWN, "1m0s"},
		{"bad gateway", 502, nil, html, "transient", false, event.Outcome_OUTCOME_UNKNOWN, "502"},
		{"fatal error", 500, nil, `{"code":"internal_server_error","message":"critical error"}`, "transient", false, event.Outcome_OUTCOME_UNKNOWN, "critical error"},
		{"a page instead of an answer", 200, map[string]string{"Content-Type": "text/html"}, html, "transient", false, event.Outcome_OUTCOME_UNKNOWN, "no JSON (text/html)"},
		{"a warning in front", 200, nil, "<br />\n<b>Warning</b>: x in y{\"update\":[]}", "transient", false, event.Outcome_OUTCOME_UNKNOWN, `WooCommerce: "Warning: x in y"`},
		{"half an answer", 200, nil, `{"update":[{"id":`, "transient", false, event.Outcome_OUTCOME_UNKNOWN, "cannot be read"},
		{"half a gzip", 200, map[string]string{"Content-Encoding": "gzip"}, cut(`{"update":[]}`), "transient", false, event.Outcome_OUTCOME_UNKNOWN, "reading body"},
		{"a number beyond 64 bits", 200, nil, `{"update":[{"id":5,"manage_stock":true,"stock_quantity":99999999999999999999}]}`, "", false, event.Outcome_OUTCOME_UNKNOWN, "99999999999999999999"},
		{"another host", 301, map[string]string{"Location": "https://www.shop.example/wp-json/"}, "", "permanent", true, event.Outcome_OUTCOME_REFUSED, "https://www.shop.example"},
		{"the same host over TLS", 302, map[string]string{"Location": "https://127.0.0.1:1/wp-json/"}, "", "permanent", true, event.Outcome_OUTCOME_REFUSED, "change shop"},
		{"the log-in page", 302, map[string]string{"Location": "/wp-login.php"}, "", "transient", true, event.Outcome_OUTCOME_NOT_SENT, "within itself"},
		{"nowhere", 302, nil, "", "transient", true, event.Outcome_OUTCOME_NOT_SENT, "without saying where"},
		{"fewer answers than items", 200, nil, `{"update":[]}`, "transient", false, event.Outcome_OUTCOME_UNKNOWN, "0 answers"},
		{"another object", 200, nil, `{"update":[{"id":6,"manage_stock":true,"stock_quantity":4}]}`, "", false, event.Outcome_OUTCOME_UNKNOWN, "asked was 5"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := answered(t, respond(tc.code, tc.header, tc.body), nil)
				if tc.class != "" && tc.name != "fewer answers than items" {
					if _, err := c.read(t.Context(), "orders", nil, connectors.Normal); connectors.Class(err) != tc.class || !strings.Contains(err.Error(), tc.text) {
						t.Errorf("reading: class %s of %v, want %s naming %q", connectors.Class(err), err, tc.class, tc.text)
					} else if strings.Contains(err.Error(), "geheim") || strings.Contains(err.Error(), "ck_key") {
						t.Errorf("the error tells the key: %v", err)
					}
				}
				results, err := (&pusher{c}).PushStock(t.Context(), []connectors.StockWrite{{ListingID: "5", Quantity: 4}})
				if len(results) != 1 || results[0].Outcome != tc.outcome || !strings.Contains(results[0].Message, tc.text) {
					t.Errorf("writing: %+v, %v; want %s naming %q", results, err, tc.outcome, tc.text)
				}
				if (err != nil) != (tc.class == "needs-authorisation") {
					t.Errorf("the error of the call: %v", err)
				}
				if tc.class == "retry-after" && results[0].RetryAfter <= 0 {
					t.Error("nothing says when to try again")
				}
			})
		})
	}
}

// A body without an end is not read to its end.
func TestEndlessAnswer(t *testing.T) {
	c, _ := answered(t, func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(endless{}), ContentLength: -1, Request: r}, nil
	}, nil)
	if _, err := c.read(t.Context(), "orders", nil, connectors.Normal); !errors.Is(err, connectors.ErrPermanent) || !strings.Contains(err.Error(), "page_size") {
		t.Errorf("got %v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// A write whose bytes never left was certainly not done; one that was cut may have been.
func TestBrokenConnections(t *testing.T) {
	c, _ := answered(t, func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }, nil)
	results, err := (&pusher{c}).PushStock(t.Context(), []connectors.StockWrite{{ListingID: "5", Quantity: 4}})
	if err != nil || results[0].Outcome != event.Outcome_OUTCOME_NOT_SENT {
		t.Errorf("nobody there: %v, %v", results, err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}))
	defer server.Close()
	s := &shop{clock: connectortest.NewClock(), limit: &connectortest.Limiter{}}
	s.connect(t, testConfig(server.URL))
	t.Setenv("WOO_TEST_KEY", "ck_key")
	t.Setenv("WOO_TEST_SECRET", "cs_geheim")
	results, err = s.conn.Stock.PushStock(t.Context(), []connectors.StockWrite{{ListingID: "5", Quantity: 4}})
	if err != nil || results[0].Outcome != event.Outcome_OUTCOME_UNKNOWN || strings.Contains(results[0].Message, "oauth_signature=%") {
		t.Errorf("cut in the middle: %+v, %v", results, err)
	}
}

// A read waits when it is asked to, and tries again what passes; both have an end.
func TestReadsAreRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		c, l := answered(t, func(r *http.Request) (*http.Response, error) {
			switch calls.Add(1) {
			case 1:
				return respond(502, nil, "")(r)
			case 2:
				return respond(429, map[string]string{"Retry-After": "7"}, "")(r)
			}
			return respond(200, nil, "[]")(r)
		}, nil)
		begin := time.Now()
		if _, err := c.read(t.Context(), "orders", nil, connectors.Normal); err != nil || calls.Load() != 3 {
			t.Errorf("%d calls, %v", calls.Load(), err)
		}
		if waited := time.Since(begin); waited < 7*time.Second || l.Last().RetryAfter != 7*time.Second || len(l.Asked()) != 3 {
			t.Errorf("waited %s, told the limiter %s, asked it %d times", waited, l.Last().RetryAfter, len(l.Asked()))
		}
		c, _ = answered(t, respond(502, nil, ""), nil)
		if _, err := c.read(t.Context(), "orders", nil, connectors.Normal); err == nil {
			t.Error("a shop that never answers was taken for one that does")
		}
	})
}

// A shop that runs out of memory over a page is asked for less.
func TestSmallerPages(t *testing.T) {
	s := open(t, simulator.Config{}, func(c *Config) { c.PageSize = 80 })
	p := stocked(s)
	for range 30 {
		if _, err := s.PlaceOrder(simulator.OrderSpec{Lines: []simulator.LineSpec{{Variant: p[0].Variants[0], Quantity: 1}}}); err != nil {
			t.Fatal(err)
		}
		s.clock.Add(time.Second)
	}
	next := s.server.Config.Handler
	s.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := r.URL.Query().Get("per_page"); len(n) == 2 && n > "20" {
			http.Error(w, "<b>Fatal error</b>: Allowed memory size exhausted", http.StatusInternalServerError)
			return
		}
		next.ServeHTTP(w, r)
	})
	raws, _ := s.poll(t, connectors.Orders, connectors.PollRequest{})
	if len(raws) != 30 {
		t.Errorf("%d orders, want 30", len(raws))
	}
}

// No more calls at once than the shop is said to bear.
func TestParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		c, _ := answered(t, func(r *http.Request) (*http.Response, error) {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(time.Second) // the bubble's clock
			now.Add(-1)
			return respond(200, nil, "[]")(r)
		}, func(c *Config) { c.Parallel = 3 })
		for range 12 {
			go func() { _, _ = c.read(t.Context(), "orders", nil, connectors.Normal) }()
		}
		synctest.Wait()
		time.Sleep(time.Minute)
		if most.Load() != 3 {
			t.Errorf("%d calls at once, want 3", most.Load())
		}
	})
}

func TestAuthentication(t *testing.T) {
	for _, tc := range []struct {
		name string
		sim  simulator.Config
		auth string
		want string
	}{
		{"signed over plain HTTP", simulator.Config{}, AuthAuto, ""},
		{"signed, said openly", simulator.Config{}, AuthOAuth1, ""},
		{"another key", simulator.Config{ConsumerKey: "ck_other"}, AuthAuto, "Consumer key is invalid"},
		{"another secret", simulator.Config{ConsumerSecret: "cs_other"}, AuthAuto, "signature does not match"},
		{"another Site Address", simulator.Config{Home: "http://shop.example"}, AuthAuto, "signature does not match"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t, tc.sim, func(c *Config) { c.Auth = tc.auth })
			t.Setenv("WOO_TEST_KEY", "ck_simulated")
			t.Setenv("WOO_TEST_SECRET", "cs_simulated")
			_, err := s.conn.Poll[connectors.Orders].Poll(t.Context(), connectors.PollRequest{}, func(connectors.Raw) error { return nil })
			switch {
			case tc.want == "" && err != nil:
				t.Error(err)
			case tc.want != "" && (!errors.Is(err, connectors.ErrNeedsAuthorisation) || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

// Over TLS the keys go as they are: in the header, or in the address where headers get lost.
func TestKeysOverTLS(t *testing.T) {
	for auth, header := range map[string]bool{AuthAuto: true, AuthBasic: true, AuthQuery: false} {
		var seen *http.Request
		c, _ := answered(t, func(r *http.Request) (*http.Response, error) {
			seen = r
			return respond(200, nil, "[]")(r)
		}, func(c *Config) { c.TestBaseURL, c.Auth = "https://127.0.0.1:1", auth })
		if _, err := c.read(t.Context(), "orders", url.Values{"page": {"2"}}, connectors.Normal); err != nil {
			t.Fatal(err)
		}
		user, password, ok := seen.BasicAuth()
		q := seen.URL.Query()
		if header != (ok && user == "ck_key" && password == "cs_geheim") || header == (q.Get("consumer_secret") == "cs_geheim") || q.Get("page") != "2" {
			t.Errorf("%s: header %v %q, query %v", auth, ok, user, q)
		}
	}
}

// Timestamps follow the clock that was handed in, and nonces never repeat.
func TestOldTimestampAndNonces(t *testing.T) {
	s := open(t, simulator.Config{Now: func() time.Time { return connectortest.NewClock().Now().Add(time.Hour) }}, nil)
	_, err := s.conn.Poll[connectors.Orders].Poll(t.Context(), connectors.PollRequest{}, func(connectors.Raw) error { return nil })
	if err == nil || errors.Is(err, connectors.ErrNeedsAuthorisation) || !strings.Contains(err.Error(), "clock") {
		t.Errorf("an hour off: %v", err)
	}
	nonces := map[string]bool{}
	for _, r := range s.sent() {
		if n := r.query["oauth_nonce"][0]; nonces[n] || len(n) < 16 {
			t.Errorf("nonce %q", n)
		} else {
			nonces[n] = true
		}
	}
}

// The signature of RFC 5849, worked out by another hand: the base string as in its section
// 3.4.1 (with HMAC-SHA256 in place of SHA1), the digest by a script over that text.
func TestSignatureBase(t *testing.T) {
	q := url.Values{
		"oauth_consumer_key": {"9djdj82h48djs9d2"}, "oauth_nonce": {"7d8f3e4a"}, "oauth_signature_method": {"HMAC-SHA256"},
		"oauth_timestamp": {"137131201"}, "oauth_signature": {"left out"},
		"b5": {"=%3D"}, "a3": {"a", "2 q"}, "c@": {""}, "modified_after": {"2026-11-01T00:00:00Z"}, "x": {"~-._*ä"},
	}
	const want = "GET&http%3A%2F%2Fexample.com%2Frequest&a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26modified_after%3D2026-11-01T00%253A00%253A00Z%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA256%26oauth_timestamp%3D137131201%26x%3D~-._%252A%25C3%25A4"
	if got := signatureBase("get", "http://example.com/request", q); got != want {
		t.Errorf("base string\n%s\nwant\n%s", got, want)
	}
	if got := Signature("get", "http://example.com/request", "cs_secret", q); got != "Zkf9tcMwjrl6NhJXWb9LzkS/FrRildqETfWvBX8Mi8k=" {
		t.Errorf("signature %s", got)
	}
	// Names are sorted, and not what they are joined to: "a" comes before "a1".
	if got := signatureBase("GET", "x", url.Values{"a1": {"1"}, "a": {"2"}}); got != "GET&x&a%3D2%26a1%3D1" {
		t.Errorf("base string %s", got)
	}
	if got := encoded(url.Values{"b": {"x y"}, "a": {"1", "2+"}}); got != "a=1&a=2%2B&b=x%20y" {
		t.Errorf("query %s", got)
	}
}

// Every altered parameter, secret and address gives another signature.
func TestSignatureCoversEverything(t *testing.T) {
	base := func() (string, string, string, url.Values) {
		return "GET", "http://a/b", "cs", url.Values{"oauth_nonce": {"n"}, "page": {"1"}}
	}
	m, a, k, q := base()
	good := Signature(m, a, k, q)
	for i := range 5 {
		m, a, k, q := base()
		switch i {
		case 0:
			m = "POST"
		case 1:
			a += "c"
		case 2:
			k += "x"
		case 3:
			q.Set("page", "2")
		case 4:
			q.Set("more", "1")
		}
		if Signature(m, a, k, q) == good {
			t.Errorf("change %d does not change the signature", i)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add(200, `{"update":[{"id":5,"manage_stock":true,"stock_quantity":4}]}`)
	f.Add(200, `{"update":[{"id":5,"error":{"code":"x","message":"y"}}]}`)
	f.Add(500, `{"code":5}`)
	f.Fuzz(func(t *testing.T, code int, body string) {
		if code < 100 || code > 599 {
			return
		}
		c, _ := answered(t, respond(code, nil, body), nil)
		results, _ := (&pusher{c}).PushStock(t.Context(), []connectors.StockWrite{{ListingID: "5", Quantity: 4}})
		if len(results) != 1 || results[0].Outcome == event.Outcome_OUTCOME_UNSPECIFIED {
			t.Errorf("%d %q: %v", code, body, results)
		}
		if results[0].Outcome == event.Outcome_OUTCOME_ACCEPTED && !strings.Contains(body, "4") {
			t.Errorf("%d %q was taken for done", code, body)
		}
		if strings.Contains(fmt.Sprint(results), "geheim") {
			t.Errorf("a secret in %v", results)
		}
	})
}
