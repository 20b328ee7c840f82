// Package poll asks platforms what changed, for what their webhooks did not tell.
//
// In: the Pollers of the connections, each asked every interval. Out: one raw record for each
// object that a Poller reports, bytes untouched, the same as a webhook would have made. It
// keeps, in Redis, one cursor for each connection and subject, stored only after Kafka
// acknowledged everything that was emitted before it.
//
// Several processes share the work: a poll needs the account's lease, so that each account is
// polled by one process at a time, and a cursor is stored only with the newest fencing token.
// A crash loses the lease, which others take over when its TTL ends (20 s), and the cursor of
// the poll under way, which is then done again; dedup drops what is seen twice. Losing Redis
// costs a poll from the beginning of the backfill window, and no object.
package poll

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/ingest"
	"github.com/helloword/crossdock/internal/crash"
	"github.com/helloword/crossdock/internal/redis"
	"github.com/helloword/crossdock/internal/telemetry"
	"github.com/helloword/crossdock/schemas"
)

// Publisher is Kafka as this room sees it.
type Publisher = ingest.Publisher

// Connection is one configured connection that can be polled.
type Connection struct {
	Connector, Account string
	Pollers            map[connectors.Subject]connectors.Poller
	// Floor is the shortest interval that the platform tolerates; 0 = none.
	Floor time.Duration
	// Takes reports whether records of a subject are stored: some pollers find those of another
	// one on their way. nil = all.
	Takes func(connectors.Subject) bool
}

// Deps is the world of the service.
type Deps struct {
	Connections []Connection
	Publisher   Publisher
	Redis       goredis.UniversalClient
	Scope       schemas.Scope
	Log         *slog.Logger
	Metrics     prometheus.Registerer
	// Now is the clock from which the backfill window is counted; nil = the system's.
	Now func() time.Time
	// Tracer makes spans; nil = none.
	Tracer *telemetry.Tracer
}

// State is what is known of one subject of one connection.
type State struct {
	Connector, Account string
	Subject            connectors.Subject
	// Polling: a poll is under way in this process.
	Polling bool
	// LastSuccess is when a poll last ended well, in any process.
	LastSuccess time.Time
	// Watermark: everything that changed up to here was emitted.
	Watermark time.Time
	// Found counts the objects that polls emitted, ever.
	Found int64
	// Class and Error of the last poll; empty after a success.
	Class, Error string
	// Failures in a row.
	Failures int64
}

// Service polls.
type Service struct {
	cfg         atomic.Pointer[Config]
	publisher   Publisher
	log         *slog.Logger
	now         func() time.Time
	tracer      *telemetry.Tracer
	leases      redis.Leases
	store       store
	metrics     *metrics
	connections []*connection
	slots       chan struct{}

	fetched, produced, saved *crash.Point
}

// connection is one account: its subjects are polled one after the other.
type connection struct {
	Connection
	lease    string // name of the account's lease
	subjects []*subject
	stamp    *ingest.Stamp
	wake     chan struct{} // holds one signal
}

// subject is one thing that one account is asked for.
type subject struct {
	connection *connection
	name       connectors.Subject
	poller     connectors.Poller
	key        string
	metrics    subjectMetrics

	mu      sync.Mutex
	entry   entry
	clock   time.Time // Redis' clock when entry was read
	read    time.Time // ours; zero = never read
	polling bool
	waiting []chan error // of Now
}

// New makes a service. It asks nobody yet.
func New(cfg Config, deps Deps) (*Service, error) {
	if deps.Publisher == nil || deps.Redis == nil || deps.Log == nil || deps.Metrics == nil {
		return nil, errors.New("poller: Publisher, Redis, Log and Metrics must be handed in")
	}
	if err := deps.Scope.Validate(); err != nil {
		return nil, fmt.Errorf("poller: %w", err)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	point := crash.Points("poll")
	s := &Service{
		publisher: deps.Publisher, log: deps.Log, now: deps.Now, tracer: deps.Tracer, store: store{deps.Redis},
		fetched: point("Fetch"), produced: point("Produce"), saved: point("Save"),
	}
	var err error
	if s.metrics, err = newMetrics(deps.Metrics); err != nil {
		return nil, fmt.Errorf("poller: %w", err)
	}
	accounts := map[string]bool{}
	for _, c := range deps.Connections {
		if c.Connector == "" || c.Account == "" || strings.ContainsAny(c.Account, "{}/") || accounts[c.Account] {
			return nil, fmt.Errorf("poller: connection %q of %q: it needs a connector and an account of its own, without braces and slashes", c.Account, c.Connector)
		}
		accounts[c.Account] = true
		added, err := s.connect(c, deps.Scope)
		if err != nil {
			return nil, fmt.Errorf("poller: connection %s: %w", c.Account, err)
		}
		s.connections = append(s.connections, added)
	}
	if err := s.check(cfg); err != nil {
		return nil, fmt.Errorf("poller: %w", err)
	}
	cfg = cfg.withDefaults()
	s.cfg.Store(&cfg)
	s.slots = make(chan struct{}, cfg.Concurrent)
	host, _ := os.Hostname()
	s.leases = redis.Leases{Client: deps.Redis, Owner: fmt.Sprintf("%s:%d", host, os.Getpid()), TTL: cfg.LeaseTTL}
	return s, nil
}

func (s *Service) connect(c Connection, scope schemas.Scope) (*connection, error) {
	added := &connection{
		Connection: c,
		// The braces keep all keys of an account in one slot of a cluster.
		lease: scope.Key("poll:{" + c.Account + "}"),
		stamp: ingest.NewStamp(c.Connector, c.Account, ingest.PathPoll),
		wake:  make(chan struct{}, 1),
	}
	for name, poller := range c.Pollers {
		if _, ok := ingest.Topic(name); !ok || poller == nil {
			return nil, fmt.Errorf("subject %q has no raw topic or no poller", name)
		}
		added.subjects = append(added.subjects, &subject{
			connection: added, name: name, poller: poller,
			key:     added.lease + ":" + string(name),
			metrics: s.metrics.of(c.Connector, c.Account, string(name)),
		})
	}
	slices.SortFunc(added.subjects, func(a, b *subject) int { return strings.Compare(string(a.name), string(b.name)) })
	return added, nil
}

// check validates a configuration against the connections: a plan for nobody is a typo.
func (s *Service) check(cfg Config) error {
	errs := []error{cfg.Validate()}
	known := map[string]bool{}
	for _, c := range s.connections {
		known[c.Account] = true
		for _, sub := range c.subjects {
			known[c.Account+"/"+string(sub.name)] = true
		}
	}
	for name := range cfg.Plans {
		if !known[name] {
			errs = append(errs, fmt.Errorf("plans.%s: no connection that is polled has this name: write account or account/subject", name))
		}
	}
	return errors.Join(errs...)
}

// Reload takes up new intervals, windows and bounds, also for polls that are being waited for.
// What would need a new start is refused, and nothing changes then.
func (s *Service) Reload(cfg Config) error {
	if err := s.check(cfg); err != nil {
		return fmt.Errorf("reloading the poller: %w", err)
	}
	cfg = cfg.withDefaults()
	if old := s.cfg.Load(); cfg.Concurrent != old.Concurrent || cfg.LeaseTTL != old.LeaseTTL {
		return errors.New("reloading the poller: concurrent and lease_ttl take effect at the next start only: keep them as they are")
	}
	s.cfg.Store(&cfg)
	for _, c := range s.connections {
		c.signal()
	}
	return nil
}

// Run polls until ctx ends, then gives its leases back and returns nil.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, c := range s.connections {
		wg.Go(func() { s.attend(ctx, c) })
	}
	wg.Wait()
	return nil
}

// Now polls one subject of one account as soon as its lease can be had, whatever the interval
// says, and returns after everything that it found was acknowledged and the cursor stored.
// Only a platform's own Retry-After is waited for. Run must be running; called concurrently.
func (s *Service) Now(ctx context.Context, account string, name connectors.Subject) error {
	for _, c := range s.connections {
		for _, sub := range c.subjects {
			if c.Account != account || sub.name != name {
				continue
			}
			done := make(chan error, 1)
			sub.mu.Lock()
			sub.waiting = append(sub.waiting, done)
			sub.mu.Unlock()
			c.signal()
			select {
			case err := <-done:
				return err
			case <-ctx.Done():
				return fmt.Errorf("polling %s of %s: %w", name, account, context.Cause(ctx))
			}
		}
	}
	return fmt.Errorf("polling %s of %s: no such connection or subject", name, account)
}

// Status is the state of everything that is polled, in a stable order.
func (s *Service) Status() []State {
	var all []State
	for _, c := range s.connections {
		for _, sub := range c.subjects {
			sub.mu.Lock()
			e := sub.entry
			all = append(all, State{
				Connector: c.Connector, Account: c.Account, Subject: sub.name, Polling: sub.polling,
				LastSuccess: e.Success, Watermark: e.Watermark, Found: e.Found,
				Class: e.Class, Error: e.Error, Failures: e.Failures,
			})
			sub.mu.Unlock()
		}
	}
	return all
}

func (c *connection) signal() {
	select {
	case c.wake <- struct{}{}:
	default: // a signal is waiting already
	}
}
