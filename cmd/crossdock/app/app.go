// Package app wires crossdock: it opens what the configuration names and runs the roles that
// were asked for, in the open. What comes in: a Config. It keeps nothing of its own; each
// role's package says what it keeps and what a crash does.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/helloword/crossdock/cmd/crossdock/config"
	"github.com/helloword/crossdock/ingest/poll"
	"github.com/helloword/crossdock/ingest/webhook"
	"github.com/helloword/crossdock/internal/kafka"
	xredis "github.com/helloword/crossdock/internal/redis"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/internal/telemetry"
	"github.com/helloword/crossdock/internal/tokens"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/sinks/alert"
	"github.com/helloword/crossdock/sinks/push"
)

// App is one process of crossdock.
type App struct {
	Config  *config.Config
	Log     *slog.Logger
	Version string
	Scope   schemas.Scope

	Registry *prometheus.Registry
	Redis    goredis.UniversalClient
	// Producer is shared by everything that is not a loop of its own.
	Producer *kafka.Client
	metrics  *stream.Metrics
	owner    string

	connections []*connection
	kept        *tokens.Topic // nil: tokens are not kept in Kafka
	listings    *stream.View[*event.Listing]

	health  *telemetry.Server
	closers []func()

	// Poller and WebhookAddr are known once their roles run.
	Poller  *poll.Service
	Webhook *webhook.Server

	// Level, when set, is the log's: it follows the configuration while the process runs.
	Level *slog.LevelVar

	tracer *telemetry.Tracer
	reload reload
	// What of a changed configuration is for; nil: the role does not run here.
	push    *push.Sink
	alert   *alert.Writer
	catalog bool
	polled  []string // connections
}

// Open connects to the engines and opens the connections; nobody outside is called yet.
func Open(ctx context.Context, cfg *config.Config, version string, log *slog.Logger) (*App, error) {
	a := &App{
		Config: cfg, Log: log, Version: version, Scope: cfg.Scope(),
		Registry: telemetry.NewRegistry(version),
	}
	host, _ := os.Hostname()
	a.owner = fmt.Sprintf("%s/%d/%s", host, os.Getpid(), uuid.NewString()[:8])
	a.metrics = stream.NewMetrics(a.Registry)
	var err error
	if a.reload.metrics, err = newReloadMetrics(a.Registry); err != nil {
		return nil, err
	}
	a.reload.metrics.done(0)
	traces := cfg.TraceConfig()
	traces.Version, traces.Instance = version, a.owner
	if a.tracer, err = telemetry.NewTracer(traces, a.Registry, log); err != nil {
		return nil, err
	}
	a.closers = append(a.closers, a.flushTraces)
	a.health = telemetry.NewServer(a.Registry, log)
	if a.Redis, err = xredis.Open(ctx, cfg.RedisConfig(), log); err != nil {
		a.Close()
		return nil, fmt.Errorf("redis: %w", err)
	}
	a.closers = append(a.closers, func() { a.Redis.Close() })
	if a.Producer, err = kafka.Open(cfg.KafkaConfig(), a.Scope, log); err != nil {
		a.Close()
		return nil, err
	}
	a.closers = append(a.closers, a.Producer.Close)
	if err := a.openConnections(); err != nil {
		a.Close()
		return nil, err
	}
	a.health.Ready("kafka", func(ctx context.Context) error { return a.Producer.Ping(ctx) })
	a.health.Ready("redis", func(ctx context.Context) error { return a.Redis.Ping(ctx).Err() })
	return a, nil
}

// flushTimeout bounds how long a stop waits for the trace collector.
const flushTimeout = 5 * time.Second

// flushTraces sends the last spans: after everything else has ended.
func (a *App) flushTraces() {
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if err := a.tracer.Shutdown(ctx); err != nil {
		a.Log.Warn("the last spans were not sent; they are counted as dropped", "error", err)
	}
}

// Close lets go of the engines.
func (a *App) Close() {
	for i := len(a.closers) - 1; i >= 0; i-- {
		a.closers[i]()
	}
	a.closers = nil
}

// deps are what every loop is given.
func (a *App) deps() stream.Deps {
	k := a.Config.Kafka
	id := k.InstanceID
	if name, ok := strings.CutPrefix(id, "env:"); ok {
		id = os.Getenv(name)
	}
	return stream.Deps{
		Kafka: a.Config.KafkaConfig(), Redis: a.Redis, Scope: a.Scope, Log: a.Log, Metrics: a.metrics, Tracer: a.tracer, Version: a.Version,
		Group: stream.GroupConfig{InstanceID: id, NewProtocol: k.NewGroups, SessionTimeout: k.Session},
	}
}

// A role is one thing that a process can do.
type role struct {
	name, help string
	// start makes the role; what it returns runs until ctx ends.
	start func(a *App, ctx context.Context) (func(context.Context) error, error)
}

// Roles in the order of an order's way.
func roles() []role {
	return []role{
		{"webhook", "receive platforms' webhooks", startWebhook},
		{"poll", "ask platforms what changed", startPoll},
		{"translate", "raw bytes to facts, each once", startTranslate},
		{"catalog", "which SKU a listing means", startCatalog},
		{"orders", "one state per order", startOrders},
		{"privacy", "forget people when a platform demands it", startPrivacy},
		{"stock", "levels, and what each listing shows", startStock},
		{"commands", "what the seller asks of a platform, once and in order", startCommands},
		{"fx", "amounts in the reporting currency", startFx},
		{"push", "write shown quantities to the platforms, and carry out commands", startPush},
		{"clickhouse", "everything into ClickHouse", startClickHouse},
		{"alert", "tell people", startAlert},
	}
}

// RoleNames lists the roles with what they do, for help.
func RoleNames() (names []string, help map[string]string) {
	help = make(map[string]string)
	for _, r := range roles() {
		names = append(names, r.name)
		help[r.name] = r.help
	}
	return names, help
}

// Run runs roles (none named: all) until ctx ends or the first fails. ready, if not nil, is
// called when all of them have been started.
func (a *App) Run(ctx context.Context, names []string, ready func()) error {
	chosen, err := choose(names)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	if addr := a.Config.Telemetry.Listen; addr != "" {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return fmt.Errorf("telemetry.listen: %w", err)
		}
		g.Go(func() error { return a.health.Serve(ctx, l) })
	}
	var runs []func(context.Context) error
	var starts []string
	for _, r := range chosen {
		run, err := r.start(a, ctx)
		if err != nil {
			return fmt.Errorf("role %s: %w", r.name, err)
		}
		runs = append(runs, run)
		starts = append(starts, r.name)
	}
	for i, run := range runs {
		g.Go(func() error {
			if err := run(ctx); err != nil {
				return fmt.Errorf("role %s: %w", starts[i], err)
			}
			return nil
		})
	}
	if a.reload.path != "" {
		g.Go(func() error { a.watchConfig(ctx); return nil })
	}
	a.Log.Info("crossdock runs", "roles", strings.Join(starts, ","), "scope", a.Scope.Key(""), "connections", len(a.connections))
	if ready != nil {
		ready()
	}
	return g.Wait()
}

func choose(names []string) ([]role, error) {
	all := roles()
	if len(names) == 0 {
		return all, nil
	}
	byName := make(map[string]role)
	var known []string
	for _, r := range all {
		byName[r.name] = r
		known = append(known, r.name)
	}
	var chosen []role
	for _, n := range names {
		r, ok := byName[n]
		if !ok {
			sort.Strings(known)
			return nil, fmt.Errorf("role %q is not known: use %s", n, strings.Join(known, ", "))
		}
		chosen = append(chosen, r)
	}
	return chosen, nil
}

// view returns the listings' view, started once, when it has read what was there.
func (a *App) view(ctx context.Context) (*stream.View[*event.Listing], error) {
	if a.listings != nil {
		return a.listings, nil
	}
	v := stream.NewView(schemas.Listings, func(b []byte) (*event.Listing, error) {
		l := new(event.Listing)
		return l, l.UnmarshalVT(b)
	}, a.deps())
	failed := make(chan error, 1)
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	wg.Go(func() { failed <- v.Run(ctx) })
	a.closers = append(a.closers, func() { cancel(); wg.Wait() })
	select {
	case <-v.Ready():
	case err := <-failed:
		return nil, err
	case <-time.After(2 * time.Minute):
		return nil, errors.New("the listings could not be read within two minutes: is Kafka well?")
	}
	a.listings = v
	return v, nil
}
