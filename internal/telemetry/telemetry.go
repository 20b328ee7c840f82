// Package telemetry is what a process shows of itself: logs, metrics, health, traces.
//
// Liveness does not depend on anything outside the process: a restart would not mend Kafka.
// Readiness says whether the process can do its work now. Spans go to a collector in the
// background, from a bounded queue: nothing waits for it. It keeps nothing; a crash loses the
// spans of the last seconds.
package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// NewLogger writes structured logs. level is debug, info, warn or error.
func NewLogger(w io.Writer, level string, asJSON bool) (*slog.Logger, error) {
	log, _, err := NewLevelLogger(w, level, asJSON)
	return log, err
}

// NewLevelLogger is NewLogger with the level to change while the process runs; see SetLevel.
func NewLevelLogger(w io.Writer, level string, asJSON bool) (*slog.Logger, *slog.LevelVar, error) {
	l := new(slog.LevelVar)
	if err := SetLevel(l, level); err != nil {
		return nil, nil, err
	}
	opts := &slog.HandlerOptions{Level: l}
	if asJSON {
		return slog.New(slog.NewJSONHandler(w, opts)), l, nil
	}
	return slog.New(slog.NewTextHandler(w, opts)), l, nil
}

// SetLevel sets a level by its name; an unknown name changes nothing.
func SetLevel(l *slog.LevelVar, name string) error {
	var found slog.Level
	if err := found.UnmarshalText([]byte(name)); err != nil {
		return fmt.Errorf("log level %q: use debug, info, warn or error", name)
	}
	l.Set(found)
	return nil
}

// NewRegistry is a registry with the process's own figures.
func NewRegistry(version string) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	RegisterBuild(reg, version)
	return reg
}

// RegisterBuild registers the gauge that tells the program's version.
func RegisterBuild(reg prometheus.Registerer, version string) {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "crossdock_build_info", Help: "1, labelled with the program's version.",
		ConstLabels: prometheus.Labels{"version": version, "go": runtime.Version()},
	})
	build.Set(1)
	reg.MustRegister(build)
}

// Server answers /metrics, /healthz and /readyz.
type Server struct {
	reg prometheus.Gatherer
	log *slog.Logger

	mu     sync.Mutex
	checks []*check
}

// check is one question of /readyz. It is asked once at a time: one that does not come back
// is not asked again and again.
type check struct {
	name string
	ask  func(context.Context) error

	mu    sync.Mutex
	asked *asking // nil: nobody waits
}

// asking is one question under way; err is its answer once done is closed.
type asking struct {
	done chan struct{}
	err  error
}

// answer asks, or joins who has asked already, and waits no longer than ctx, whatever the
// question does with it.
func (c *check) answer(ctx context.Context) error {
	c.mu.Lock()
	a := c.asked
	if a == nil {
		a = &asking{done: make(chan struct{})}
		c.asked = a
		// Not the caller's context: others may wait for the same answer after he has gone.
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout)
		go func() {
			defer cancel()
			err := c.ask(own)
			c.mu.Lock()
			a.err, c.asked = err, nil
			c.mu.Unlock()
			close(a.done)
		}()
	}
	c.mu.Unlock()
	select {
	case <-a.done:
		return a.err
	case <-ctx.Done():
		return fmt.Errorf("no answer in time: %w", ctx.Err())
	}
}

// readyTimeout bounds /readyz as a whole.
const readyTimeout = time.Second

// NewServer makes a server; it listens in Serve.
func NewServer(reg prometheus.Gatherer, log *slog.Logger) *Server {
	return &Server{reg: reg, log: log}
}

// Ready adds a question to /readyz. ask gets a second; one that takes longer counts as not
// ready, whether it heeds its context or not. It is not called again before it has returned.
func (s *Server) Ready(name string, ask func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks = append(s.checks, &check{name: name, ask: ask})
}

// Handler of the three addresses.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "alive"})
	})
	mux.HandleFunc("GET /readyz", s.readyz)
	return mux
}

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	s.mu.Lock()
	checks := s.checks
	s.mu.Unlock()
	errs := make([]error, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() { errs[i] = c.answer(ctx) })
	}
	wg.Wait()
	status, body := http.StatusOK, map[string]string{"status": "ready"}
	for i, c := range checks {
		body[c.name] = "ok"
		if errs[i] != nil {
			status, body["status"] = http.StatusServiceUnavailable, "not ready"
			body[c.name] = strings.TrimSpace(errs[i].Error())
		}
	}
	answer(w, status, body)
}

func answer(w http.ResponseWriter, status int, body map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The caller went away: there is nobody to tell.
	_ = json.NewEncoder(w).Encode(body)
}

// Serve answers on a listener until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("telemetry server: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	err := srv.Shutdown(stop)
	<-failed
	if errors.Is(err, context.DeadlineExceeded) {
		return srv.Close()
	}
	return err
}
