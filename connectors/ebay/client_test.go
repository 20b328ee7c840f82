package ebay

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"testing"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/connectors/connectortest"
	"github.com/helloword/crossdock/connectors/ebay/simulator"
)

// TestBadAnswers: each is an error of the right class, and says what is wrong.
func TestBadAnswers(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(bytes.Repeat([]byte(`{"orders":[]}`), 1000))
	_ = z.Close()
	refuse := func(status int, domain string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"errors":[{"errorId":1100,"domain":"`+domain+`","message":"no"}]}`)
		}
	}
	for _, tt := range []struct {
		name   string
		answer func(http.ResponseWriter)
		class  string
		says   string
		unsent bool
	}{
		{"a page", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>")
		}, "transient", "no JSON", false},
		{"truncated gzip", func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(zipped.Bytes()[:zipped.Len()/2])
		}, "transient", "", false},
		{"another host", func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://evil.example/")
			w.WriteHeader(http.StatusFound)
		}, "permanent", "evil.example", true},
		{"too much", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"x":"`)
			for chunk, n := bytes.Repeat([]byte("x"), 1<<20), 0; n < maxAnswer+2<<20; n += len(chunk) {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, "transient", "", false},
		{"a scope is missing", refuse(403, "ACCESS"), "needs-authorisation", "scope", true},
		{"refused for the business", refuse(403, "API_FULFILLMENT"), "permanent", "1100", true},
		{"not found", refuse(404, "API"), "permanent", "404", true},
		{"away", refuse(503, "API"), "transient", "503", false},
		{"wait", func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "77")
			w.WriteHeader(http.StatusTooManyRequests)
		}, "retry-after", "1m17s", true},
		{"wait until", func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "Mon, 02 Nov 2026 09:10:00 GMT")
			w.WriteHeader(http.StatusTooManyRequests)
		}, "retry-after", "10m0s", true},
		{"a list that is cut", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"orders":[{"orderId"`)
		}, "ok", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/oauth2/token") {
					_, _ = io.WriteString(w, `{"access_token":"a","expires_in":7200}`)
					return
				}
				tt.answer(w)
			}))
			defer server.Close()
			s := open(t, simulator.Config{}, func(c *Config) { c.TestBaseURL = server.URL })
			s.tape.skip = true
			c := newClient(s.cfg, s.deps)
			_, err := c.send(context.Background(), request{endpoint: callOrders, query: url.Values{"limit": {"1"}}})
			if got := connectors.Class(err); got != tt.class || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %s: %v, want %s and %q", got, err, tt.class, tt.says)
			}
			if got := calls.IsUnsent(err); got != tt.unsent {
				t.Errorf("certainly not done: %v, want %v", got, tt.unsent)
			}
			// Whatever it was, a write of which nothing is known says so.
			if err != nil {
				r := c.failure(err)
				if (r.Outcome.String() == "OUTCOME_UNKNOWN") == tt.unsent {
					t.Errorf("outcome %s", r.Outcome)
				}
			}
		})
	}
}

// TestReadsAreRepeated: a failure that passes does not reach the caller.
func TestReadsAreRepeated(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	n := 0
	s.deps.HTTP.Transport = failing{s.tape, func() bool { n++; return n == 2 || n == 3 }}
	c := newClient(s.cfg, s.deps)
	if _, err := c.read(context.Background(), request{endpoint: callItems}); err != nil {
		t.Error(err)
	}
	if n != 4 {
		t.Errorf("%d calls, want a token and three tries", n)
	}
}

// failing fails some calls before they leave.
type failing struct {
	next http.RoundTripper
	fail func() bool
}

func (f failing) RoundTrip(r *http.Request) (*http.Response, error) {
	if f.fail() {
		return nil, errors.New("connection refused")
	}
	return f.next.RoundTrip(r)
}

// TestQuotas: what the Analytics API tells goes to the limiter, and a quota that is used up
// is left alone until it begins anew.
func TestQuotas(t *testing.T) {
	s := open(t, simulator.Config{Quota: map[string]int64{"fulfillment": 4}}, nil)
	stocked(s)
	poll := func() error {
		_, err := s.conn.Poll[connectors.Orders].Poll(context.Background(), connectors.PollRequest{}, func(connectors.Raw) error { return nil })
		return err
	}
	if err := poll(); err != nil {
		t.Fatal(err)
	}
	l := s.deps.Limiter.(*connectortest.Limiter)
	got := l.Told(bucketFulfillment)
	if !got.Known || got.Capacity != 4 || got.Available != 4 || got.PerSecond != 4.0/86400 {
		t.Errorf("the limiter was told %+v", got)
	}
	var err error
	for range 10 {
		if err = poll(); err != nil {
			break
		}
	}
	var retry *connectors.RetryAfterError
	if !errors.As(err, &retry) || retry.After <= 0 {
		t.Fatalf("got %v, want RetryAfter", err)
	}
	// The next reader asks what is left: nothing, until midnight of the Pacific.
	s.clock.Add(retry.After)
	_ = poll()
	if got, want := l.Told(bucketFulfillment).RetryAfter, untilNextDay(s.clock.Now()); got != want {
		t.Errorf("the API is left alone for %s, want %s", got, want)
	}
}

func TestCheck(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	results, err := s.conn.Check.Check(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if !r.OK || r.Advice != "" {
			t.Errorf("%s: %s, %s", r.Subject, r.Detail, r.Advice)
		}
	}
	for _, tt := range []struct {
		name    string
		sim     simulator.Config
		change  func(*Config)
		subject string
		advice  string
	}{
		{"a scope", simulator.Config{Scopes: []string{"sell.fulfillment"}}, nil, "scope sell.inventory", "api_scope/sell.inventory"},
		{"quota", simulator.Config{Quota: map[string]int64{"fulfillment": 0}}, nil, "scope sell.fulfillment", "quota"},
		{"signature", simulator.Config{}, func(c *Config) { c.SigningJWE, c.SigningKey = "", "" }, "digital signature", "createSigningKey"},
		{"endpoint", simulator.Config{}, func(c *Config) { c.Endpoint = "" }, "endpoint", "verification_token"},
		{"outage", simulator.Config{Faults: simulator.Faults{Outage: true}}, nil, "keyset", "cannot be reached"},
	} {
		s := open(t, tt.sim, tt.change)
		results, err := s.conn.Check.Check(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, r := range results {
			if strings.HasPrefix(r.Subject, tt.subject) {
				found = true
				if r.OK || !strings.Contains(r.Advice, tt.advice) {
					t.Errorf("%s: %v %s: %s, want advice with %q", tt.name, r.OK, r.Detail, r.Advice, tt.advice)
				}
			}
		}
		if !found {
			t.Errorf("%s: no result for %s", tt.name, tt.subject)
		}
	}
}

// TestTargets: ids are data; none of them leads to another path.
func TestTargets(t *testing.T) {
	for _, tt := range []struct{ id, want string }{
		{"12-34567-89012", "/sell/fulfillment/v1/order/12-34567-89012"},
		{"../../x?y#z", "/sell/fulfillment/v1/order/..%2F..%2Fx%3Fy%23z"},
		{"a b{c}", "/sell/fulfillment/v1/order/a%20b%7Bc%7D"},
	} {
		if got := (request{endpoint: callOrder, ids: []string{tt.id}}).target(); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

// refusing swallows refunds: they leave, and nobody hears of them again.
type refusing struct{ http.RoundTripper }

func (f refusing) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/issue_refund") {
		if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.WroteHeaders != nil {
			trace.WroteHeaders()
		}
		return nil, errors.New("connection reset")
	}
	return f.RoundTripper.RoundTrip(r)
}
