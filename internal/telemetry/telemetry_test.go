package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func get(t *testing.T, s *Server, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestReady(t *testing.T) {
	down := fmt.Errorf("connection refused%s", "\n") // as libraries do
	for _, tc := range []struct {
		name   string
		checks map[string]error
		status int
		body   map[string]string
	}{
		{"nothing asked", nil, 200, map[string]string{"status": "ready"}},
		{"all well", map[string]error{"kafka": nil, "redis": nil}, 200, map[string]string{"status": "ready", "kafka": "ok", "redis": "ok"}},
		{"one away", map[string]error{"kafka": nil, "redis": down}, 503, map[string]string{"status": "not ready", "kafka": "ok", "redis": "connection refused"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := NewServer(prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
			for name, err := range tc.checks {
				s.Ready(name, func(context.Context) error { return err })
			}
			status, text := get(t, s, "/readyz")
			var body map[string]string
			if err := json.Unmarshal([]byte(text), &body); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.body, body); diff != "" || status != tc.status {
				t.Errorf("status %d, want %d; %s", status, tc.status, diff)
			}
			// Whatever is away, the process lives.
			if status, text := get(t, s, "/healthz"); status != 200 || !strings.Contains(text, "alive") {
				t.Errorf("/healthz: %d %s", status, text)
			}
		})
	}
}

// TestReadyIsBounded: a question that is never answered is answered for.
func TestReadyIsBounded(t *testing.T) {
	s := NewServer(prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	s.Ready("redis", func(ctx context.Context) error {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("asked without a deadline")
		}
		<-ctx.Done()
		return ctx.Err()
	})
	if status, text := get(t, s, "/readyz"); status != 503 || !strings.Contains(text, "deadline") {
		t.Errorf("/readyz: %d %s", status, text)
	}
}

// TestReadyDoesNotHang: a question that does not heed its context holds up nobody, and is not
// asked again while it is under way.
func TestReadyDoesNotHang(t *testing.T) {
	s := NewServer(prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	var asked atomic.Int32
	release := make(chan struct{})
	s.Ready("kafka", func(context.Context) error { asked.Add(1); <-release; return nil })
	s.Ready("redis", func(context.Context) error { return nil })
	for range 3 {
		// A caller that has no time left is answered at once.
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/readyz", nil))
		if w.Code != 503 || !strings.Contains(w.Body.String(), "no answer in time") {
			t.Errorf("/readyz: %d %s", w.Code, w.Body)
		}
	}
	status, text := get(t, s, "/readyz")
	if status != 503 || !strings.Contains(text, `"kafka":"no answer in time`) || !strings.Contains(text, `"redis":"ok"`) {
		t.Errorf("/readyz: %d %s", status, text)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times while the first question was under way", n)
	}
	close(release)
	if status, text := get(t, s, "/readyz"); status != 200 {
		t.Errorf("/readyz after it came back: %d %s", status, text)
	}
}

func TestMetrics(t *testing.T) {
	reg := NewRegistry("v1.2.3")
	s := NewServer(reg, slog.New(slog.DiscardHandler))
	status, text := get(t, s, "/metrics")
	if status != 200 {
		t.Fatalf("status %d", status)
	}
	for _, want := range []string{`crossdock_build_info{go="`, `version="v1.2.3"`, "go_goroutines", "process_"} {
		if !strings.Contains(text, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
}

func TestOtherAddresses(t *testing.T) {
	s := NewServer(prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if status, _ := get(t, s, "/secrets"); status != http.StatusNotFound {
		t.Errorf("an unknown address: %d", status)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/readyz", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST /readyz: %d", w.Code)
	}
}

func TestServeUntilTheEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	s := NewServer(NewRegistry("test"), slog.New(slog.DiscardHandler))
	go func() { done <- s.Serve(ctx, l) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + l.Addr().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("stopped with %v", err)
	}
	if err := s.Serve(t.Context(), l); err == nil {
		t.Error("serving on a closed listener succeeded")
	}
}

func TestLogger(t *testing.T) {
	var b bytes.Buffer
	log, err := NewLogger(&b, "warn", true)
	if err != nil {
		t.Fatal(err)
	}
	log.Info("quiet")
	log.Warn("heard", "room", "orders")
	var line map[string]any
	if err := json.Unmarshal(b.Bytes(), &line); err != nil || line["msg"] != "heard" || line["room"] != "orders" {
		t.Errorf("log %q: %v", b.String(), err)
	}
	b.Reset()
	if log, err = NewLogger(&b, "debug", false); err != nil {
		t.Fatal(err)
	}
	log.Debug("heard")
	if !strings.Contains(b.String(), "msg=heard") {
		t.Errorf("log %q", b.String())
	}
	b.Reset()
	log, level, err := NewLevelLogger(&b, "error", false)
	if err != nil {
		t.Fatal(err)
	}
	log.Info("quiet")
	if err := SetLevel(level, "info"); err != nil {
		t.Fatal(err)
	}
	if err := SetLevel(level, "loud"); err == nil {
		t.Error("an unknown level was set")
	}
	log.Info("heard later")
	if got := b.String(); strings.Contains(got, "quiet") || !strings.Contains(got, "heard later") {
		t.Errorf("log after the level was changed: %q", got)
	}
	if _, err := NewLogger(&b, "loud", false); err == nil || !strings.Contains(err.Error(), "use debug, info, warn or error") {
		t.Errorf("an unknown level: %v", err)
	}
}
