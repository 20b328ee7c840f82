package shopify

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/connectortest"
	"github.com/helloword/crossdock/connectors/shopify/simulator"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// answering opens a connector on a server that answers GraphQL as given.
func answering(t *testing.T, answer http.HandlerFunc) (*connectors.Connector, *connectortest.Limiter) {
	t.Helper()
	t.Setenv("SHOPIFY_TEST_ACCESS", "token")
	s := open(t, simulator.Config{}, func(c *Config) { c.Auth, c.AccessToken = AuthAccessToken, "env:SHOPIFY_TEST_ACCESS" })
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	cfg := s.cfg
	cfg.TestBaseURL = server.URL
	c, err := New(cfg, schemas.Test, s.deps)
	if err != nil {
		t.Fatal(err)
	}
	return c, s.deps.Limiter.(*connectortest.Limiter)
}

var aWrite = []connectors.StockWrite{{ListingID: "1", StockID: "2", Location: "3", Quantity: 4, CommandID: "c"}}

func TestAnswersToAWrite(t *testing.T) {
	const (
		refused = event.Outcome_OUTCOME_REFUSED
		notSent = event.Outcome_OUTCOME_NOT_SENT
		unknown = event.Outcome_OUTCOME_UNKNOWN
	)
	text := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	failed := func(code string) http.HandlerFunc {
		return text(200, fmt.Sprintf(`{"errors":[{"message":"m","extensions":{"code":"%s"}}],"extensions":{"cost":{"requestedQueryCost":10,"actualQueryCost":null,"throttleStatus":{"maximumAvailable":1000,"currentlyAvailable":5,"restoreRate":50}}}}`, code))
	}
	for _, tc := range []struct {
		name    string
		answer  http.HandlerFunc
		outcome event.Outcome
		err     error
		after   time.Duration
		says    string
	}{
		{"accepted", text(200, `{"data":{"inventorySetQuantities":{"userErrors":[]}}}`), event.Outcome_OUTCOME_ACCEPTED, nil, 0, ""},
		{"throttled in a 200", failed("THROTTLED"), notSent, nil, 100 * time.Millisecond, "throttled"},
		{"429", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "2.0")
			w.WriteHeader(429)
		}, notSent, nil, 2 * time.Second, "429"},
		{"403", text(403, ""), notSent, connectors.ErrNeedsAuthorisation, 0, "scopes"},
		{"frozen", text(402, ""), notSent, connectors.ErrNeedsAuthorisation, 0, "frozen"},
		{"404", text(404, ""), refused, nil, 0, "api_version"},
		{"502", text(502, "<html>"), unknown, nil, 0, "502"},
		{"a maintenance page", text(200, "<html>"), unknown, nil, 0, "no JSON"},
		{"JSON cut short", text(200, `{"data":{"inventorySet`), unknown, nil, 0, "cannot be read"},
		{"no data", text(200, `{"data":null}`), unknown, nil, 0, "no data"},
		{"nothing in the data", text(200, `{"data":{"inventorySetQuantities":null}}`), unknown, nil, 0, "says nothing"},
		{"access denied", failed("ACCESS_DENIED"), notSent, connectors.ErrNeedsAuthorisation, 0, "scope"},
		{"a document that is refused", failed("undefinedField"), refused, nil, 0, "undefinedField"},
		{"failed inside", failed("INTERNAL_SERVER_ERROR"), unknown, nil, 0, "failed"},
		{"another shop's domain", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example/admin", http.StatusMovedPermanently)
		}, refused, nil, 0, "elsewhere.example"},
		{"a cut connection", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			_ = conn.Close()
		}, unknown, nil, 0, ""},
		{"userErrors without a place", text(200, `{"data":{"inventorySetQuantities":{"userErrors":[{"code":"INVALID_REASON","field":["input","reason"],"message":"m"}]}}}`), refused, nil, 0, "m"},
		{"its twin is running", text(200, `{"data":{"inventorySetQuantities":{"userErrors":[{"code":"IDEMPOTENCY_CONCURRENT_REQUEST","field":null,"message":"m"}]}}}`), unknown, nil, 0, "m"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, _ := answering(t, tc.answer)
			results, err := c.Stock.PushStock(t.Context(), aWrite)
			if !errors.Is(err, tc.err) {
				t.Errorf("error %v, want %v", err, tc.err)
			}
			r := results[0]
			if r.Outcome != tc.outcome || r.RetryAfter != tc.after || !strings.Contains(r.Message, tc.says) {
				t.Errorf("got %+v, want %s, after %s, saying %q", r, tc.outcome, tc.after, tc.says)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	t.Setenv("SHOPIFY_TEST_ACCESS", "token")
	s := open(t, simulator.Config{}, func(c *Config) { c.Auth, c.AccessToken = AuthAccessToken, "env:SHOPIFY_TEST_ACCESS" })
	cfg := s.cfg
	cfg.TestBaseURL = "http://" + address
	c, err := New(cfg, schemas.Test, s.deps)
	if err != nil {
		t.Fatal(err)
	}
	results, err := c.Stock.PushStock(t.Context(), aWrite)
	if err != nil || results[0].Outcome != event.Outcome_OUTCOME_NOT_SENT {
		t.Errorf("got %+v, %v; nothing was sent", results, err)
	}
}

func TestBucketIsTold(t *testing.T) {
	c, l := answering(t, func(w http.ResponseWriter, r *http.Request) {
		// gzip as Shopify sends it when it is asked for.
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			t.Error("gzip is not asked for")
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, `{"data":{"inventorySetQuantities":{"userErrors":[]}},"extensions":{"cost":{"requestedQueryCost":12,"actualQueryCost":11,"throttleStatus":{"maximumAvailable":2000.0,"currentlyAvailable":1989,"restoreRate":100.0}}}}`)
		_ = z.Close()
	})
	for range 2 {
		if results, err := c.Stock.PushStock(t.Context(), aWrite); err != nil || results[0].Outcome != event.Outcome_OUTCOME_ACCEPTED {
			t.Fatalf("%+v, %v", results, err)
		}
	}
	if want := (connectors.LimitState{Capacity: 2000, Available: 1988, PerSecond: 100, Known: true, Spent: 12}); l.Last() != want {
		t.Errorf("told %+v, want %+v", l.Last(), want)
	}
	if asked := l.Asked(); asked[0].Cost != docSetQuantities.cost || asked[1].Cost != 12 {
		t.Errorf("asked for %v: the second call knows what the first one cost", asked)
	}
}

func TestReadWaitsForTheBucketAndTriesAgain(t *testing.T) {
	var calls atomic.Int64
	c, _ := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		switch calls.Add(1) {
		case 1:
			_, _ = io.WriteString(w, `{"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED"}}],"extensions":{"cost":{"requestedQueryCost":10,"throttleStatus":{"maximumAvailable":1000,"currentlyAvailable":9,"restoreRate":100}}}}`)
		case 2:
			w.WriteHeader(http.StatusBadGateway)
		default:
			_, _ = io.WriteString(w, `{"data":{"nodes":[null]}}`)
		}
	})
	shown, err := c.Stock.ReadStock(t.Context(), []connectors.StockRef{{StockID: "1", Location: "1"}})
	if err != nil || len(shown) != 1 || shown[0] != nil || calls.Load() != 3 {
		t.Errorf("got %v, %v after %d calls", shown, err, calls.Load())
	}
}

// A query that costs too much is made smaller until it fits, and stays so.
func TestPagesShrinkUntilTheyFit(t *testing.T) {
	s := open(t, simulator.Config{MaxQueryCost: 300}, func(c *Config) { c.PageSize = 200 })
	p := stocked(s)
	for range 30 {
		if _, err := s.PlaceOrder(simulator.OrderSpec{Lines: []simulator.LineSpec{{Variant: p[0].Variants[0], Quantity: 1}}}); err != nil {
			t.Fatal(err)
		}
	}
	raws, _ := s.poll(t, connectors.Orders, connectors.PollRequest{})
	if len(raws) != 30 {
		t.Errorf("%d orders", len(raws))
	}
	before := s.Stats().Calls
	if _, res := s.poll(t, connectors.Orders, connectors.PollRequest{}); s.Stats().Calls-before != int64(res.Pages) {
		t.Errorf("%d calls for %d pages: what fits is not remembered", s.Stats().Calls-before, res.Pages)
	}
}
