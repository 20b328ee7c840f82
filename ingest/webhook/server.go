// Package webhook is the door through which platforms tell us what happened.
//
// In: POST /webhooks/{connector}/{account}. Out: one raw record for each object that the
// connector's Receiver names, bytes untouched; and an answer: 200 only after Kafka
// acknowledged with acks=all, 401 for what is not authentic (nothing is stored), 400 for what
// cannot be read, 503 with Retry-After while Kafka is away or there is no room.
// It keeps nothing. A crash before the acknowledgement loses a request that was never
// answered, so that the platform sends it again; a crash after it makes the platform send
// again what is already stored, which the dedup hop drops.
package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/ingest"
	"github.com/helloword/crossdock/internal/crash"
	"github.com/helloword/crossdock/internal/telemetry"
)

// Publisher is Kafka as this room sees it.
type Publisher = ingest.Publisher

// Connection is one configured connection that takes webhooks.
type Connection struct {
	// Connector and Account are the two words of its address.
	Connector, Account string
	Receive            connectors.Receiver
	// Challenge answers GET; nil = 405.
	Challenge connectors.Challenger
	// Takes reports whether records of a subject are stored. What is not, is acknowledged all the
	// same: a platform that is refused tries for hours and then ends the subscription. nil = all.
	Takes func(connectors.Subject) bool
}

// Deps is the world of the server.
type Deps struct {
	Connections []Connection
	Publisher   Publisher
	Log         *slog.Logger
	// Metrics is where the counters are registered.
	Metrics prometheus.Registerer
	// Now is the clock that replay windows are measured against; nil = the system's.
	Now func() time.Time
	// Tracer makes spans; nil = none.
	Tracer *telemetry.Tracer
}

// Server receives webhooks.
type Server struct {
	cfg        Config
	publisher  Publisher
	log        *slog.Logger
	now        func() time.Time
	tracer     *telemetry.Tracer
	retryAfter []string
	// connections by "connector/account"; read-only.
	connections map[string]*connection
	metrics     *metrics

	inFlight, inFlightBytes atomic.Int64
	buffers                 sync.Pool

	received, produced, answered *crash.Point
}

// connection is a Connection with what is prepared for each of its requests.
type connection struct {
	Connection
	stamp   *ingest.Stamp
	metrics connectionMetrics
	trouble sampler
}

// New makes a server. It does not listen yet.
func New(cfg Config, deps Deps) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("webhook server: %w", err)
	}
	cfg = cfg.withDefaults()
	if deps.Publisher == nil || deps.Log == nil || deps.Metrics == nil {
		return nil, errors.New("webhook server: Publisher, Log and Metrics must be handed in")
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	m, err := newMetrics(deps.Metrics)
	if err != nil {
		return nil, fmt.Errorf("webhook server: %w", err)
	}
	point := crash.Points("webhook")
	s := &Server{
		cfg: cfg, publisher: deps.Publisher, log: deps.Log, now: deps.Now, tracer: deps.Tracer, metrics: m,
		retryAfter:  []string{seconds(cfg.RetryAfter)},
		connections: make(map[string]*connection, len(deps.Connections)),
		received:    point("Receive"), produced: point("Produce"), answered: point("Answer"),
	}
	for _, c := range deps.Connections {
		if c.Connector == "" || c.Account == "" || c.Receive == nil {
			return nil, fmt.Errorf("webhook server: connection %q of %q: it needs a name, an account and a receiver", c.Account, c.Connector)
		}
		name := c.Connector + "/" + c.Account
		if s.connections[name] != nil {
			return nil, fmt.Errorf("webhook server: connection %s is there twice", name)
		}
		s.connections[name] = &connection{
			Connection: c,
			stamp:      ingest.NewStamp(c.Connector, c.Account, ingest.PathWebhook),
			metrics:    m.of(c.Connector, c.Account),
		}
	}
	return s, nil
}

// Run listens on the configured address and serves until ctx ends; see Serve.
func (s *Server) Run(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.cfg.Address)
	if err != nil {
		return fmt.Errorf("webhook server: %w", err)
	}
	return s.Serve(ctx, l)
}

// Serve serves on a listener, which it closes, until ctx ends. Then it takes no new
// connections, finishes the requests under way within DrainTimeout, and returns nil.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: s.cfg.ReadTimeout,
		ReadTimeout:       s.cfg.ReadTimeout,
		WriteTimeout:      s.cfg.ReadTimeout + s.cfg.AnswerTimeout + 5*time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    s.cfg.MaxHeader,
		// Requests under way outlive ctx: they are drained, not cut.
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		ErrorLog:    slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	s.log.Info("webhook server listens", "address", l.Addr().String(), "connections", len(s.connections))
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("webhook server: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.DrainTimeout)
	defer cancel()
	err := srv.Shutdown(drain)
	if err != nil {
		s.log.Warn("webhook server: requests were cut off; their senders will send them again", "requests", s.inFlight.Load())
		err = srv.Close()
	}
	<-failed
	if err != nil {
		return fmt.Errorf("stopping webhook server: %w", err)
	}
	return nil
}
