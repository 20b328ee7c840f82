// Package dev runs everything on one machine: embedded engines, simulated shops, a simulated
// warehouse and rate source, and all roles of the pipeline, against each other. What comes in:
// a folder for the data, and an orders file or nothing. What goes out: a running pipeline to
// look at, and the figures that it arrived at, read back from ClickHouse. It is for
// development: one broker, one cache, no replication.
package dev

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/helloword/crossdock/cmd/crossdock/app"
	"github.com/helloword/crossdock/cmd/crossdock/config"
	"github.com/helloword/crossdock/cmd/crossdock/shops"
	"github.com/helloword/crossdock/connectors/ecb"
	ecbsim "github.com/helloword/crossdock/connectors/ecb/simulator"
	"github.com/helloword/crossdock/connectors/shopify"
	"github.com/helloword/crossdock/connectors/warehouse"
	depotsim "github.com/helloword/crossdock/connectors/warehouse/simulator"
	"github.com/helloword/crossdock/internal/embedded"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/sinks/clickhouse"
)

// Options of a run.
type Options struct {
	// Dir keeps the engines' data; it survives a restart.
	Dir string
	// Passing: nobody reads Dir afterwards, so that Redis need not write its state down.
	Passing bool
	// Orders is an Online Retail file to play; empty: made-up trade until stopped.
	Orders string
	// Rates is the rate history to serve; empty: a *eurofxref-hist*.zip beside Orders, or a
	// made-up history.
	Rates string
	// Channels are the platforms to sell on, one shop on each; empty: several shops on Shopify.
	Channels []string
	// Faults of what the shops tell by themselves.
	Faults shops.Faults
	// Exit when the file has been played and everything is drained.
	Exit    bool
	Version string
	Log     *slog.Logger
	// Progress is where a person watches; Live says that it is a terminal.
	Progress io.Writer
	Live     bool
	// Kafka, Redis and ClickHouse, when given, are used instead of the embedded engines.
	Kafka, Redis, ClickHouse string
	// Listen addresses; empty: free loopback ports.
	Webhook, Telemetry string
}

// Secrets of the simulated world. They guard nothing: both ends are in this process.
const (
	shopSecret  = "crossdock-dev-shop"
	depotSecret = "crossdock-dev-depot-secret"
	buyerKey    = "crossdock-dev-buyer-key"
)

// tokenKey seals what must survive a restart, where a platform asks for that.
var tokenKey = base64.StdEncoding.EncodeToString([]byte("crossdock-dev-token-key-32-bytes"))

// Names of the connections, and of the only warehouse (the stock room's default).
const depotAccount, ratesAccount, depotName = "depot", "rates", "main"

// stage is everything that runs.
type stage struct {
	opts   Options
	cfg    *config.Config
	app    *app.App
	shops  []*shop
	depot  *depotsim.Warehouse
	reader *clickhouse.Reader

	addrs   struct{ webhook, telemetry, kafka, redis, clickhouse string }
	closers []func() error
}

// shop is one simulated shop with its address.
type shop struct {
	seat
	shops.Shop
	url string
}

// set builds the stage up to the point where roles can run. seats are the shops to open, services
// the SKUs that are no goods.
func set(ctx context.Context, o Options, seats []seat, currency string, services []string) (*stage, error) {
	s := &stage{opts: o}
	if err := s.engines(ctx); err != nil {
		return nil, errors.Join(err, s.strike())
	}
	if err := s.world(seats, currency, services); err != nil {
		return nil, errors.Join(err, s.strike())
	}
	if err := s.configure(); err != nil {
		return nil, errors.Join(err, s.strike())
	}
	return s, nil
}

// strike takes everything down, last things first.
func (s *stage) strike() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}

func (s *stage) closing(f func() error) { s.closers = append(s.closers, f) }

// engines starts the embedded engines, or takes the addresses that were given.
func (s *stage) engines(ctx context.Context) error {
	o := s.opts
	s.addrs.kafka, s.addrs.redis, s.addrs.clickhouse = o.Kafka, o.Redis, o.ClickHouse
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	var library string
	if o.ClickHouse == "" {
		cache, err := embedded.CacheDir("")
		if err != nil {
			return err
		}
		if library, err = embedded.Library(ctx, cache, o.Progress); err != nil {
			return err
		}
	}
	if o.Kafka == "" {
		b, err := embedded.NewBroker(embedded.BrokerConfig{Dir: filepath.Join(o.Dir, "kafka"), Log: o.Log})
		if err != nil {
			return fmt.Errorf("embedded broker: %w", err)
		}
		s.closing(b.Close)
		s.addrs.kafka = b.Addr()
	}
	if o.Redis == "" {
		cfg := embedded.RedisConfig{Dir: filepath.Join(o.Dir, "redis"), SnapshotEvery: 10 * time.Second, Log: o.Log}
		switch {
		case o.Passing:
			cfg.Dir = ""
		case o.Orders != "":
			// A year begins anew after a crash: its state is written when it is over. Clients wait
			// while it is copied.
			cfg.SnapshotEvery = time.Hour
		}
		r, err := embedded.NewRedis(cfg)
		if err != nil {
			return fmt.Errorf("embedded redis: %w", err)
		}
		s.closing(r.Close)
		s.addrs.redis = r.Addr()
	}
	if o.ClickHouse == "" {
		c, err := embedded.NewClickHouse(embedded.ClickHouseConfig{Dir: filepath.Join(o.Dir, "clickhouse"), Library: library, Log: o.Log})
		if err != nil {
			return fmt.Errorf("embedded clickhouse: %w", err)
		}
		s.closing(c.Close)
		s.addrs.clickhouse = c.Addr()
	}
	return nil
}

// serve gives a handler an address of its own on this machine.
func (s *stage) serve(h http.Handler) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(l) })
	s.closing(func() error { err := srv.Close(); wg.Wait(); return err })
	return "http://" + l.Addr().String(), nil
}

// world opens the simulated shops.
func (s *stage) world(seats []seat, currency string, services []string) error {
	for i, at := range seats {
		sim, err := shops.Open(at.platform, shops.Spec{
			Account: at.account, Currency: currency, Secret: shopSecret, Reference: "env:CROSSDOCK_DEV_SHOP", Seed: uint64(i + 1), Hurried: true, Services: services,
		})
		if err != nil {
			return fmt.Errorf("shop %s: %w", at.account, err)
		}
		s.closing(func() error { sim.Close(); return nil })
		url, err := s.serve(sim)
		if err != nil {
			return fmt.Errorf("shop %s: %w", at.account, err)
		}
		s.shops = append(s.shops, &shop{at, sim, url})
	}
	return nil
}

// configure makes the configuration that a person would have written.
func (s *stage) configure() error {
	for name, value := range map[string]string{
		"CROSSDOCK_DEV_SHOP": shopSecret, "CROSSDOCK_DEV_DEPOT": depotSecret, "CROSSDOCK_DEV_BUYER": buyerKey, "CROSSDOCK_DEV_TOKENS": tokenKey,
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	webhookAddr, err := free(s.opts.Webhook)
	if err != nil {
		return err
	}
	telemetryAddr, err := free(s.opts.Telemetry)
	if err != nil {
		return err
	}
	s.addrs.webhook, s.addrs.telemetry = webhookAddr, telemetryAddr

	c := config.Default()
	c.Tenant, c.Environment = "dev", schemas.Test
	c.Kafka.Brokers, c.Kafka.Replicas, c.Kafka.MinInSync = []string{s.addrs.kafka}, 1, 0
	c.Kafka.Partitions = config.Partitions{Wide: 4, Narrow: 2}
	c.Redis.Addrs = []string{s.addrs.redis}
	c.ClickHouse.Addrs, c.ClickHouse.Compression = []string{s.addrs.clickhouse}, "none"
	c.ClickHouse.BuyerKey = "env:CROSSDOCK_DEV_BUYER"
	// The engine shares this machine's cores: few large inserts cost it least.
	c.ClickHouse.BatchRecords, c.ClickHouse.BatchAge = 50_000, 3*time.Second
	if s.opts.Orders != "" {
		// A year in a minute: a second here is a week of changes. What replaces each other within two
		// weeks is decided, written and stored once.
		c.Stock.Gather = 3 * time.Second
		// More partitions would make smaller batches, not more hands.
		c.Kafka.Partitions = config.Partitions{Wide: 2, Narrow: 1}
		// An insert makes a part of a dozen files for each month and table that it touches: making
		// them costs the engine more than the rows do.
		c.ClickHouse.BatchAge = 5 * time.Second
	}
	c.Webhook.Listen = webhookAddr
	c.Telemetry.Listen = telemetryAddr
	// The shops' clocks tell seconds; a minute is a long time here.
	c.Poll.Interval, c.Poll.Overlap, c.Poll.Settle = 15*time.Minute, 5*time.Second, time.Millisecond
	c.Connections = map[string]config.Connection{
		depotAccount: {Connector: warehouse.Name, Warehouse: &warehouse.Config{Secret: "env:CROSSDOCK_DEV_DEPOT", ReplayWindow: 5 * time.Minute}},
	}
	rates, err := s.rates()
	if err != nil {
		return err
	}
	c.Connections[ratesAccount] = config.Connection{Connector: ecb.Name, AllowHTTP: true, ECB: &ecb.Config{BaseURL: rates}}
	for _, sh := range s.shops {
		if c.Connections[sh.account], err = s.connection(sh); err != nil {
			return fmt.Errorf("shop %s: %w", sh.account, err)
		}
	}
	if len(s.opts.Channels) > 0 {
		// eBay's connector keeps its journal of refunds with the tokens.
		c.Tokens = config.Tokens{Dir: filepath.Join(s.opts.Dir, "tokens"), Key: "env:CROSSDOCK_DEV_TOKENS"}
	}
	if err := c.Validate(); err != nil {
		return err
	}
	s.cfg = &c
	if err := s.leave(); err != nil {
		return err
	}
	s.depot, err = depotsim.New(depotsim.Config{
		URL: "http://" + webhookAddr + "/webhooks/" + warehouse.Name + "/" + depotAccount, Secret: depotSecret,
		BatchSize: 500, DuplicateEvery: 20,
	})
	return err
}

// unhurried is how often a shop is polled that does not tell everything by webhooks, where trade
// goes on until somebody ends it.
const unhurried = 5 * time.Second

// connection is the shop's own, as it would stand in a file. The limits that platforms publish are
// those of weeks: a year is played in minutes. Shopify's simulator tells its own.
func (s *stage) connection(sh *shop) (config.Connection, error) {
	c, err := config.ParseConnection(sh.Connection(sh.url))
	if err != nil {
		return c, err
	}
	if c.Connector != shopify.Name {
		c.PerSecond = 1e6
	}
	if s.opts.Orders == "" && !sh.Traits().Told {
		c.Poll = &config.Poll{Interval: unhurried, Overlap: 5 * time.Second, Settle: time.Millisecond}
	}
	return c, nil
}

// config is where the commands that only look find the engines.
func (s *stage) config() string { return filepath.Join(s.opts.Dir, "crossdock.yaml") }

// leave writes a configuration with which trace, lag and dlq can be asked from beside.
func (s *stage) leave() error {
	text := fmt.Sprintf(`# Written by crossdock dev, anew at each start: for trace, lag and dlq while it runs.
tenant: %s
environment: %s
kafka:
  brokers: [%q]
  replicas: 1
  min_in_sync: 0
redis:
  addrs: [%q]
clickhouse:
  addrs: [%q]
  compression: none
  buyer_key: env:CROSSDOCK_DEV_BUYER
`, s.cfg.Tenant, s.cfg.Environment, s.addrs.kafka, s.addrs.redis, s.addrs.clickhouse)
	if err := os.WriteFile(s.config(), []byte(text), 0o600); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	return nil
}

// rates serves the rate history.
func (s *stage) rates() (string, error) {
	history, err := history(s.opts)
	if err != nil {
		return "", err
	}
	sim, err := ecbsim.New(history, time.Now)
	if err != nil {
		return "", err
	}
	return s.serve(sim)
}

// history finds the rate history: as named, beside the orders, or made up.
func history(o Options) ([]byte, error) {
	path := o.Rates
	if path == "" && o.Orders != "" {
		found, err := filepath.Glob(filepath.Join(filepath.Dir(o.Orders), "*eurofxref-hist*.zip"))
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("no rate history beside %s: name one with --rates", o.Orders)
		}
		path = found[len(found)-1]
	}
	if path == "" {
		return madeUpRates(time.Now()), nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("rates: %w", err)
	}
	return b, nil
}

// free is an address on this machine that nobody listens on.
func free(addr string) (string, error) {
	if addr != "" {
		return addr, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// play opens the pipeline, runs all roles and the script beside them, and takes everything
// down when the script ends, or at the first failure.
func (s *stage) play(ctx context.Context, script func(context.Context) error) error {
	var err error
	if s.app, err = app.Open(ctx, s.cfg, s.opts.Version, s.opts.Log); err != nil {
		return err
	}
	defer s.app.Close()
	if _, err := s.app.Producer.ApplyTopics(ctx, schemas.Topics(), s.cfg.Layout()); err != nil {
		return err
	}
	// The tables are made by the role that fills them; nothing is read before it is ready.
	if s.reader, err = clickhouse.NewReader(s.cfg.ClickHouseConfig()); err != nil {
		return err
	}
	defer s.reader.Close()

	run, stop := context.WithCancel(ctx)
	defer stop()
	g, run := errgroup.WithContext(run)
	ready := make(chan struct{})
	g.Go(func() error { return s.app.Run(run, nil, func() { close(ready) }) })
	g.Go(func() error {
		defer stop()
		select {
		case <-ready:
		case <-run.Done():
			return nil
		}
		return script(run)
	})
	err = g.Wait()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// subscribe lets the shops send their webhooks.
func (s *stage) subscribe() error {
	for _, sh := range s.shops {
		sh.SetFaults(s.opts.Faults)
		if !sh.Traits().Hooks {
			continue
		}
		if err := sh.Subscribe("http://" + s.addrs.webhook + "/webhooks/" + sh.platform + "/" + sh.account); err != nil {
			return fmt.Errorf("shop %s: %w", sh.account, err)
		}
	}
	return nil
}
