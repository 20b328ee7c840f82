package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/kafka"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a Kafka that can be told to fail or to wait. It copies what it is given, as
// the contract of Publisher wants.
type memory struct {
	mu      sync.Mutex
	records []kafka.Record
	produce func(ctx context.Context) error
}

func (m *memory) Produce(ctx context.Context, records []kafka.Record) error {
	if m.produce != nil {
		if err := m.produce(ctx); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range records {
		r.Value = bytes.Clone(r.Value)
		m.records = append(m.records, r)
	}
	return nil
}

func (m *memory) stored() []kafka.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.records)
}

const secret = "the secret of the tests"

func sign(body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// receiver authenticates as most platforms do; the body's first word says what follows.
type receiver struct{}

func (receiver) Receive(_ context.Context, d *connectors.Delivery) ([]connectors.Raw, error) {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(d.Body)
	var sum [sha256.Size]byte
	if hex.EncodeToString(mac.Sum(sum[:0])) != d.Header.Get("X-Signature") {
		return nil, fmt.Errorf("signature of the body: %w", connectors.ErrUnauthentic)
	}
	word, _, _ := bytes.Cut(d.Body, []byte(" "))
	raw := connectors.Raw{Subject: connectors.Orders, Object: d.Header.Get("X-Object"), Body: d.Body,
		Format: "rest/order", Delivery: d.Header.Get("X-Delivery"), SourceTime: time.UnixMilli(1_700_000_000_000)}
	switch string(word) {
	case "malformed":
		return nil, fmt.Errorf("$.id: %w", connectors.ErrMalformed)
	case "unsupported":
		return nil, connectors.ErrUnsupported
	case "keys-away":
		return nil, errors.New("fetching the signing keys: connection refused")
	case "ping":
		return nil, nil
	case "panic":
		panic("the receiver's secret thoughts")
	case "gossip":
		raw.Subject = "gossip"
	case "two":
		second := raw
		second.Object, second.Body = "second", d.Body[4:]
		return []connectors.Raw{raw, second}, nil
	}
	return []connectors.Raw{raw}, nil
}

type challenger struct{ err error }

func (c challenger) Answer(_ context.Context, d *connectors.Delivery) ([]byte, string, error) {
	return []byte("answer to " + d.Query), "text/plain", c.err
}

type world struct {
	*Server
	kafka *memory
	reg   *prometheus.Registry
	log   *bytes.Buffer
}

func newWorld(t testing.TB, cfg Config) *world {
	t.Helper()
	w := &world{kafka: &memory{}, reg: prometheus.NewRegistry(), log: &bytes.Buffer{}}
	s, err := New(cfg, Deps{
		Connections: []Connection{
			{Connector: "shopify", Account: "shop-uk", Receive: receiver{}},
			{Connector: "ebay", Account: "de", Receive: receiver{}, Challenge: challenger{}},
			{Connector: "shopify", Account: "no-orders", Receive: receiver{}, Takes: func(s connectors.Subject) bool { return s != connectors.Orders }},
			{Connector: "ebay", Account: "closed", Receive: receiver{}, Challenge: challenger{err: connectors.ErrUnauthentic}},
		},
		Publisher: w.kafka, Metrics: w.reg,
		Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Server = s
	return w
}

func (w *world) post(path, body string, mutate ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("X-Signature", sign([]byte(body)))
	r.Header.Set("X-Object", "order-1")
	for _, m := range mutate {
		m(r)
	}
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	return rec
}

// counted reads how many requests have these values of connector, account and outcome.
func (w *world) counted(t *testing.T, want []string) float64 {
	t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "crossdock_webhook_requests_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			got := map[string]string{}
			for _, l := range m.GetLabel() {
				got[l.GetName()] = l.GetValue()
			}
			if cmp.Equal(got, map[string]string{"connector": want[0], "account": want[1], "outcome": want[2]}) {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

const uk = "/webhooks/shopify/shop-uk"

func TestAnswers(t *testing.T) {
	header := func(k, v string) func(*http.Request) { return func(r *http.Request) { r.Header.Set(k, v) } }
	method := func(m string) func(*http.Request) { return func(r *http.Request) { r.Method = m } }
	away := func(context.Context) error { return errors.New("broker 7 at 10.0.0.7 is gone") }
	for name, tc := range map[string]struct {
		path, body string
		mutate     []func(*http.Request)
		produce    func(context.Context) error
		status     int
		answer     string
		header     map[string]string
		records    int
		outcome    string
	}{
		"stored":             {body: `order {"id":1}`, status: 200, answer: `{"status":200,"reason":"stored"}`, records: 1, outcome: "accepted"},
		"two objects":        {body: `two more`, status: 200, answer: `{"status":200,"reason":"stored"}`, records: 2, outcome: "accepted"},
		"ping":               {body: `ping`, status: 200, answer: `{"status":200,"reason":"nothing to store"}`, outcome: "ignored"},
		"forged":             {body: `order`, mutate: []func(*http.Request){header("X-Signature", sign([]byte("other")))}, status: 401, answer: `{"status":401,"reason":"unauthentic"}`, outcome: "unauthentic"},
		"unsigned":           {body: `order`, mutate: []func(*http.Request){func(r *http.Request) { r.Header.Del("X-Signature") }}, status: 401, answer: `{"status":401,"reason":"unauthentic"}`, outcome: "unauthentic"},
		"malformed":          {body: `malformed`, status: 400, answer: `{"status":400,"reason":"malformed request"}`, outcome: "malformed"},
		"unsupported":        {body: `unsupported`, status: 400, answer: `{"status":400,"reason":"malformed request"}`, outcome: "malformed"},
		"unknown account":    {path: "/webhooks/shopify/shop-fr", body: `order`, status: 404, answer: `{"status":404,"reason":"no such connection"}`},
		"unknown connector":  {path: "/webhooks/etsy/shop-uk", body: `order`, status: 404, answer: `{"status":404,"reason":"no such connection"}`},
		"longer path":        {path: uk + "/more", body: `order`, status: 404, answer: `{"status":404,"reason":"no such connection"}`},
		"another place":      {path: "/", body: `order`, status: 404, answer: `{"status":404,"reason":"no such connection"}`},
		"wrong method":       {body: `order`, mutate: []func(*http.Request){method("PUT")}, status: 405, answer: `{"status":405,"reason":"send POST"}`, header: map[string]string{"Allow": "POST"}, outcome: "wrong-method"},
		"GET, no challenge":  {mutate: []func(*http.Request){method("GET")}, status: 405, answer: `{"status":405,"reason":"send POST"}`, header: map[string]string{"Allow": "POST"}, outcome: "wrong-method"},
		"too large":          {body: "order " + strings.Repeat("x", 1000), status: 413, answer: `{"status":413,"reason":"body is too large"}`, outcome: "too-large"},
		"too large, chunked": {body: "order " + strings.Repeat("x", 1000), mutate: []func(*http.Request){func(r *http.Request) { r.ContentLength = -1 }}, status: 413, answer: `{"status":413,"reason":"body is too large"}`, outcome: "too-large"},
		"shorter than said":  {body: "order", mutate: []func(*http.Request){func(r *http.Request) { r.ContentLength = 9 }}, status: 400, answer: `{"status":400,"reason":"body is shorter than its Content-Length"}`, outcome: "malformed"},
		"Kafka away":         {body: `order`, produce: away, status: 503, answer: `{"status":503,"reason":"not stored, send it again"}`, header: map[string]string{"Retry-After": "2"}, outcome: "kafka-away"},
		"keys away":          {body: `keys-away`, status: 503, answer: `{"status":503,"reason":"cannot be checked now, send it again"}`, header: map[string]string{"Retry-After": "2"}, outcome: "receiver-away"},
		"no such subject":    {body: `gossip`, status: 500, answer: `{"status":500,"reason":"the connector named a subject that is not kept"}`, outcome: "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Config{MaxBody: 500, RetryAfter: 1500 * time.Millisecond})
			w.kafka.produce = tc.produce
			path := tc.path
			if path == "" {
				path = uk
			}
			got := w.post(path, tc.body, tc.mutate...)
			if got.Code != tc.status || strings.TrimSpace(got.Body.String()) != tc.answer {
				t.Errorf("got %d %s, want %d %s", got.Code, got.Body, tc.status, tc.answer)
			}
			for k, v := range tc.header {
				if got.Header().Get(k) != v {
					t.Errorf("header %s is %q, want %q", k, got.Header().Get(k), v)
				}
			}
			if n := len(w.kafka.stored()); n != tc.records {
				t.Errorf("%d records, want %d", n, tc.records)
			}
			labels := []string{"shopify", "shop-uk", tc.outcome}
			if tc.outcome == "" {
				labels = []string{"", "", "unknown-connection"}
			}
			if n := w.counted(t, labels); n != 1 {
				t.Errorf("%v was counted %v times", labels, n)
			}
			if w.inFlight.Load() != 0 || w.inFlightBytes.Load() != 0 {
				t.Errorf("%d requests and %d bytes are still in flight", w.inFlight.Load(), w.inFlightBytes.Load())
			}
		})
	}
}

// TestWhatIsNotTakenIsAcknowledged: a module that is off stores nothing and is answered 200, or
// the platform would try for hours and then end the subscription; what is forged stays 401.
func TestWhatIsNotTakenIsAcknowledged(t *testing.T) {
	w := newWorld(t, Config{MaxBody: 500})
	got := w.post("/webhooks/shopify/no-orders", "two orders")
	if got.Code != http.StatusOK || !strings.Contains(got.Body.String(), "nothing to store") {
		t.Errorf("got %d %s", got.Code, got.Body)
	}
	forged := w.post("/webhooks/shopify/no-orders", "order", func(r *http.Request) { r.Header.Set("X-Signature", "00") })
	if forged.Code != http.StatusUnauthorized {
		t.Errorf("forged: got %d", forged.Code)
	}
	if n := len(w.kafka.stored()); n != 0 {
		t.Errorf("%d records were stored", n)
	}
	if n := w.counted(t, []string{"shopify", "no-orders", "ignored"}); n != 1 {
		t.Errorf("ignored was counted %v times", n)
	}
}

func TestRecordAsReceived(t *testing.T) {
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	w := newWorld(t, Config{})
	body := "order \x00\xff {\"a\":  1}\r\n"
	w.post(uk, body, func(r *http.Request) {
		r.Header.Set("X-Delivery", "d-7")
		r.Header.Set("Traceparent", trace)
	})
	w.post(uk, body)
	got := w.kafka.stored()
	if len(got) != 2 {
		t.Fatalf("%d records", len(got))
	}
	headers := func(r kafka.Record) map[string]string {
		m := map[string]string{}
		for _, h := range r.Headers {
			m[h.Key] = string(h.Value)
		}
		return m
	}
	want := map[string]string{"connector": "shopify", "account": "shop-uk", "path": "webhook", "object": "order-1",
		"format": "rest/order", "delivery": "d-7", "source-time": "1700000000000", "traceparent": trace}
	if diff := cmp.Diff(want, headers(got[0])); diff != "" {
		t.Error(diff)
	}
	if got[0].Topic.Name != "raw.orders.v1" || string(got[0].Key) != "shop-uk/order-1" || string(got[0].Value) != body {
		t.Errorf("topic %s, key %s, value %q", got[0].Topic.Name, got[0].Key, got[0].Value)
	}
	if started := headers(got[1])["traceparent"]; len(started) != len(trace) || started == trace {
		t.Errorf("a trace was not started: %q", started)
	}
}

func TestChallenge(t *testing.T) {
	w := newWorld(t, Config{})
	for path, want := range map[string]struct {
		status      int
		body, ctype string
	}{
		"/webhooks/ebay/de?challenge_code=abc": {200, "answer to challenge_code=abc", "text/plain"},
		"/webhooks/ebay/closed?x=y":            {401, `{"status":401,"reason":"unauthentic"}` + "\n", "application/json"},
	} {
		rec := httptest.NewRecorder()
		w.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
		if rec.Code != want.status || rec.Body.String() != want.body || rec.Header().Get("Content-Type") != want.ctype {
			t.Errorf("%s: %d %s %q", path, rec.Code, rec.Header().Get("Content-Type"), rec.Body)
		}
	}
}

func TestPanicIsAnAnswer(t *testing.T) {
	w := newWorld(t, Config{})
	rec := w.post(uk, "panic now")
	body := rec.Body.String()
	_, id, found := strings.Cut(strings.TrimSuffix(strings.TrimSpace(body), `"}`), "internal error ")
	if rec.Code != 500 || !found || len(id) != 16 || strings.Contains(body, "thoughts") || strings.Contains(body, ".go") {
		t.Errorf("%d %s", rec.Code, body)
	}
	if log := w.log.String(); !strings.Contains(log, id) || !strings.Contains(log, "thoughts") {
		t.Errorf("log has not both the id and the panic: %s", log)
	}
	if w.inFlight.Load() != 0 || w.inFlightBytes.Load() != 0 {
		t.Error("a panic keeps its place")
	}
	if rec := w.post(uk, "order"); rec.Code != 200 {
		t.Errorf("after a panic: %d", rec.Code)
	}
}

// Kafka that neither takes nor refuses: the answer comes in bounded time all the same.
func TestKafkaHangs(t *testing.T) {
	w := newWorld(t, Config{AnswerTimeout: 20 * time.Millisecond})
	w.kafka.produce = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	if rec := w.post(uk, "order"); rec.Code != 503 || rec.Header().Get("Retry-After") != "5" {
		t.Errorf("%d, Retry-After %q", rec.Code, rec.Header().Get("Retry-After"))
	}
	if n := len(w.kafka.stored()); n != 0 {
		t.Errorf("%d records", n)
	}
}

// The memory of a body is used again only after Kafka acknowledged it.
func TestBufferOfAFailedProduceIsLeftAlone(t *testing.T) {
	w := newWorld(t, Config{})
	var kept [][]byte
	lost := publisherFunc(func(_ context.Context, records []kafka.Record) error {
		kept = append(kept, records[0].Value)
		return context.DeadlineExceeded
	})
	w.publisher = lost
	first := "order " + strings.Repeat("a", 100)
	w.post(uk, first)
	for range 50 {
		w.post(uk, "order "+strings.Repeat("b", 100))
	}
	if string(kept[0]) != first {
		t.Errorf("bytes that may still be on their way were overwritten: %q", kept[0])
	}
}

type publisherFunc func(context.Context, []kafka.Record) error

func (f publisherFunc) Produce(ctx context.Context, r []kafka.Record) error { return f(ctx, r) }

func TestBoundedWork(t *testing.T) {
	t.Run("requests", func(t *testing.T) {
		w := newWorld(t, Config{InFlight: 2})
		inside, leave := make(chan struct{}), make(chan struct{})
		w.kafka.produce = func(context.Context) error { inside <- struct{}{}; <-leave; return nil }
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if rec := w.post(uk, "order"); rec.Code != 200 {
					t.Errorf("inside: %d", rec.Code)
				}
			})
		}
		<-inside
		<-inside
		if rec := w.post(uk, "order"); rec.Code != 503 || rec.Header().Get("Retry-After") == "" {
			t.Errorf("one too many: %d", rec.Code)
		}
		close(leave)
		wg.Wait()
		w.kafka.produce = nil
		if rec := w.post(uk, "order"); rec.Code != 200 {
			t.Errorf("afterwards: %d", rec.Code)
		}
	})
	t.Run("bytes", func(t *testing.T) {
		w := newWorld(t, Config{MaxBody: 20 << 10, InFlightBytes: 21 << 10})
		inside, leave := make(chan struct{}), make(chan struct{})
		w.kafka.produce = func(context.Context) error { inside <- struct{}{}; <-leave; return nil }
		var wg sync.WaitGroup
		wg.Go(func() {
			if rec := w.post(uk, "order "+strings.Repeat("x", 10<<10)); rec.Code != 200 {
				t.Errorf("inside: %d", rec.Code)
			}
		})
		<-inside
		if rec := w.post(uk, "order"); rec.Code != 503 {
			t.Errorf("no memory left: %d", rec.Code)
		}
		close(leave)
		wg.Wait()
		if w.inFlightBytes.Load() != 0 {
			t.Errorf("%d bytes are still charged", w.inFlightBytes.Load())
		}
	})
}

func TestTroubleIsSampled(t *testing.T) {
	w := newWorld(t, Config{})
	now := time.Unix(1_700_000_000, 0)
	w.now = func() time.Time { return now }
	forge := func(r *http.Request) { r.Header.Set("X-Signature", "no") }
	for range 10 {
		w.post(uk, "order", forge)
	}
	if n := strings.Count(w.log.String(), "webhook refused"); n != 1 {
		t.Errorf("ten forgeries in one moment were logged %d times", n)
	}
	now = now.Add(logEvery)
	w.post(uk, "order", forge)
	if log := w.log.String(); strings.Count(log, "webhook refused") != 2 || !strings.Contains(log, "not_logged_before=9") {
		t.Errorf("log: %s", log)
	}
}

func TestNewRefuses(t *testing.T) {
	good := Deps{Publisher: &memory{}, Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)}
	with := func(c ...Connection) Deps {
		d := good
		d.Metrics = prometheus.NewRegistry()
		d.Connections = c
		return d
	}
	one := Connection{Connector: "a", Account: "b", Receive: receiver{}}
	for name, tc := range map[string]struct {
		cfg  Config
		deps Deps
		want string
	}{
		"address":      {Config{Address: "8080"}, good, "address"},
		"body":         {Config{MaxBody: -1}, good, "max_body"},
		"header":       {Config{MaxHeader: 10}, good, "max_header"},
		"room":         {Config{MaxBody: 100, InFlightBytes: 99}, good, "in_flight_bytes"},
		"time":         {Config{AnswerTimeout: -1}, good, "answer_timeout"},
		"no publisher": {Config{}, Deps{Log: good.Log, Metrics: good.Metrics}, "Publisher"},
		"twice":        {Config{}, with(one, one), "twice"},
		"no receiver":  {Config{}, with(Connection{Connector: "a", Account: "b"}), "receiver"},
	} {
		if _, err := New(tc.cfg, tc.deps); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(Config{}, good); err != nil {
		t.Error(err)
	}
	if _, err := New(Config{}, good); err == nil {
		t.Error("a second server took the same registry")
	}
}

func FuzzHandler(f *testing.F) {
	f.Add("POST", "shopify/shop-uk", []byte("order"), "sig", "trace")
	f.Add("GET", "ebay/de", []byte(nil), "", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f.Fuzz(func(t *testing.T, method, path string, body []byte, signature, trace string) {
		w := newWorld(t, Config{MaxBody: 1 << 10})
		r := httptest.NewRequest(http.MethodPost, Prefix, bytes.NewReader(body))
		r.Method, r.URL.Path = method, Prefix+path
		r.Header["X-Signature"], r.Header["Traceparent"] = []string{signature}, []string{trace}
		rec := httptest.NewRecorder()
		w.Handler().ServeHTTP(rec, r)
		stored := len(w.kafka.stored())
		if (rec.Code == 200 && method == http.MethodPost) != (stored > 0) && signature != sign(body) {
			t.Errorf("status %d with %d records", rec.Code, stored)
		}
		if stored > 0 && signature != sign(body) {
			t.Error("an unsigned body was stored")
		}
		if _, err := io.Copy(io.Discard, rec.Body); err != nil {
			t.Error(err)
		}
	})
}
