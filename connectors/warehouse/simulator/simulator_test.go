package simulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/warehouse"
	"github.com/helloword/crossdock/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "a secret of the simulator's tests"

var now = time.Unix(1_323_435_000, 0)

// house is our side: the connector behind an HTTP server, answering as it is told.
type house struct {
	mu     sync.Mutex
	facts  []string
	bodies []string
	// answers are statuses to give before anything is looked at; 0 hangs up after taking.
	answers []int
}

func (h *house) serve(t *testing.T) *httptest.Server {
	t.Helper()
	t.Setenv("CROSSDOCK_TEST_WAREHOUSE", secret)
	c, err := warehouse.New(warehouse.Config{Secret: "env:CROSSDOCK_TEST_WAREHOUSE"}, schemas.Test, connectors.Deps{Account: "depot"})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		status := http.StatusOK
		if len(h.answers) > 0 {
			status, h.answers = h.answers[0], h.answers[1:]
		}
		if status >= 400 {
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"reason":"as told"}`)
			return
		}
		body, _ := io.ReadAll(r.Body)
		raws, err := c.Receive.Receive(r.Context(), &connectors.Delivery{Header: r.Header, Body: body, Received: now})
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h.bodies = append(h.bodies, string(body))
		for _, raw := range raws {
			facts, err := c.Translate.Translate(&connectors.Record{Account: "depot", Object: raw.Object, Format: raw.Format, Body: raw.Body})
			h.facts = append(h.facts, fmt.Sprintf("%s %d+%d %s", raw.Object, len(facts.Adjustments), len(facts.Returns), connectors.Class(err)))
		}
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(s.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return s
}

func start(t *testing.T, h *house, cfg Config) (w *Warehouse, waits *[]time.Duration) {
	t.Helper()
	cfg.URL, cfg.Secret, cfg.Now = h.serve(t).URL, secret, func() time.Time { return now }
	waits = new([]time.Duration)
	cfg.Wait = func(ctx context.Context, d time.Duration) error { *waits = append(*waits, d); return ctx.Err() }
	w, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w, waits
}

func entries(n int) []Entry {
	all := make([]Entry, n)
	for i := range all {
		all[i] = Entry{Kind: "receipt", ID: fmt.Sprint("e", i), SKU: "85123A", Warehouse: "main", Quantity: 1, OccurredAt: now.In(time.FixedZone("", 3600))}
	}
	return all
}

func TestSend(t *testing.T) {
	h := &house{}
	w, _ := start(t, h, Config{BatchSize: 2, DuplicateEvery: 2})
	all := entries(4)
	all[1] = Entry{Kind: "unmatched_return", ID: "e1", SKU: "x", Quantity: 1, OccurredAt: now, Amount: &Amount{"1.50", "GBP"}, Reason: "no order", BuyerID: "b", Reference: "C1"}
	all[3] = Entry{Kind: "invoice", ID: "A563185", OccurredAt: now}
	all = append(all, Entry{Kind: "write_off", ID: "e4", SKU: "x", Warehouse: "main", Quantity: 2, OccurredAt: now, Note: "damp"})
	if err := w.Send(t.Context(), all...); err != nil {
		t.Fatal(err)
	}
	want := []string{"e0 1+0 ok", "e1 0+1 ok", "e2 1+0 ok", "A563185 0+0 unsupported", "e2 1+0 ok", "A563185 0+0 unsupported", "e4 1+0 ok"}
	if diff := cmp.Diff(want, h.facts); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Stats{Calls: 4, Entries: 5, Duplicates: 1}, w.Stats()); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(h.bodies[3], "entries") || !strings.Contains(h.bodies[0], `"occurred_at":"2011-12-09T12:50:00Z"`) {
		t.Errorf("bodies %q", h.bodies)
	}
}

// What was not taken is sent again, also when only the answer was lost; the wait that was
// asked for is kept.
func TestRetries(t *testing.T) {
	h := &house{answers: []int{503, 500, 0, 429}}
	w, waits := start(t, h, Config{Pause: 4 * time.Second})
	if err := w.Send(t.Context(), entries(1)...); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]time.Duration{4 * time.Second, 5 * time.Second, 5 * time.Second, 5 * time.Second}, *waits); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"e0 1+0 ok", "e0 1+0 ok"}, h.facts); diff != "" {
		t.Error(diff)
	}
	if got := w.Stats(); got.Retries != 4 || got.Calls != 1 {
		t.Errorf("%+v", got)
	}
}

func TestRetryAfterIsKept(t *testing.T) {
	h := &house{answers: []int{503}}
	w, waits := start(t, h, Config{Pause: time.Millisecond})
	if err := w.Send(t.Context(), entries(1)...); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]time.Duration{3 * time.Second}, *waits); diff != "" {
		t.Error(diff)
	}
}

func TestGivesUp(t *testing.T) {
	for name, tc := range map[string]struct {
		answers []int
		cfg     Config
		want    string
		retries int64
	}{
		"refused":        {[]int{400}, Config{}, "HTTP 400", 0},
		"not authentic":  {[]int{401}, Config{}, "HTTP 401", 0},
		"too many times": {[]int{503, 503, 503}, Config{Attempts: 3}, "attempt 3: HTTP 503", 2},
	} {
		w, _ := start(t, &house{answers: tc.answers}, tc.cfg)
		err := w.Send(t.Context(), entries(3)...)
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "entry e0 and the 2 after it") || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
		if got := w.Stats(); got.Retries != tc.retries || got.Calls != 0 || got.Entries != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	w, _ := start(t, &house{answers: []int{503}}, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Send(ctx, entries(1)...); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := wait(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled wait: %v", err)
	}
	if err := wait(t.Context(), time.Nanosecond); err != nil {
		t.Error(err)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, cfg := range []Config{{}, {URL: "x"}, {URL: "x", Secret: "y", BatchSize: -1}, {URL: "x", Secret: "y", BatchSize: warehouse.MaxEntries + 1}} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
}
