// Package telemetry is what a process shows of itself: logs, metrics, health.
//
// Liveness does not depend on anything outside the process: a restart would not mend Kafka.
// Readiness says whether the process can do its work now. It keeps nothing.
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
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q: use debug, info, warn or error", level)
	}
	opts := &slog.HandlerOptions{Level: l}
	if asJSON {
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return slog.New(slog.NewTextHandler(w, opts)), nil
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
	checks []check
}

type check struct {
	name string
	ask  func(context.Context) error
}

// NewServer makes a server; it listens in Serve.
func NewServer(reg prometheus.Gatherer, log *slog.Logger) *Server {
	return &Server{reg: reg, log: log}
}

// Ready adds a question to /readyz. ask is called concurrently and gets a second.
func (s *Server) Ready(name string, ask func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks = append(s.checks, check{name, ask})
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
	ctx, cancel := context.WithTimeout(r.Context(), time.Second)
	defer cancel()
	s.mu.Lock()
	checks := s.checks
	s.mu.Unlock()
	errs := make([]error, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() { errs[i] = c.ask(ctx) })
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
