package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/helloword/crossdock/cmd/crossdock/config"
	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/ingest/poll"
	"github.com/helloword/crossdock/ingest/webhook"
	"github.com/helloword/crossdock/internal/httpx"
	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/processors/catalog"
	"github.com/helloword/crossdock/processors/commands"
	"github.com/helloword/crossdock/processors/fx"
	"github.com/helloword/crossdock/processors/orders"
	"github.com/helloword/crossdock/processors/stock"
	"github.com/helloword/crossdock/processors/translate"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/sku"
	"github.com/helloword/crossdock/sinks/alert"
	"github.com/helloword/crossdock/sinks/clickhouse"
	"github.com/helloword/crossdock/sinks/push"
)

func startWebhook(a *App, _ context.Context) (func(context.Context) error, error) {
	w := a.Config.Webhook
	var conns []webhook.Connection
	for _, c := range a.connections {
		if c.Receive != nil {
			conns = append(conns, webhook.Connection{Connector: c.Name, Account: c.name, Receive: c.Receive, Challenge: c.Challenge, Takes: c.cfg.Modules.Takes})
		}
	}
	var err error
	a.Webhook, err = webhook.New(webhook.Config{
		Address: w.Listen, MaxBody: w.MaxBody, AnswerTimeout: w.Produce, InFlight: int64(w.InFlight),
	}, webhook.Deps{Connections: conns, Publisher: a.Producer, Log: a.Log, Metrics: a.Registry, Now: time.Now, Tracer: a.tracer})
	if err != nil {
		return nil, err
	}
	if w.PublicURL == "" {
		return a.Webhook.Run, nil
	}
	return func(ctx context.Context) error {
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { return a.Webhook.Run(ctx) })
		g.Go(func() error { a.keepWebhooks(ctx); return nil })
		return g.Wait()
	}, nil
}

// keepWebhooks makes the platforms' subscriptions what they should be, at start and every hour:
// platforms delete subscriptions whose address was away for long.
func (a *App) keepWebhooks(ctx context.Context) {
	for wait := time.Duration(0); ; wait = time.Hour {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		for _, c := range a.connections {
			if c.Webhooks == nil {
				continue
			}
			address := a.Config.Webhook.PublicURL + "/webhooks/" + c.Name + "/" + c.name
			call, cancel := context.WithTimeout(ctx, 2*time.Minute)
			if err := c.Webhooks.EnsureWebhooks(call, address); err != nil && ctx.Err() == nil {
				a.Log.Warn("webhook subscriptions could not be looked after; polling goes on", "account", c.name, "err", err)
			}
			cancel()
		}
	}
}

func startPoll(a *App, _ context.Context) (func(context.Context) error, error) {
	var conns []poll.Connection
	for _, c := range a.connections {
		pollers := make(map[connectors.Subject]connectors.Poller)
		for s, p := range c.Poll {
			if c.cfg.Modules.Takes(s) {
				pollers[s] = p
			}
		}
		if len(pollers) == 0 {
			continue
		}
		conns = append(conns, poll.Connection{Connector: c.Name, Account: c.name, Pollers: pollers, Takes: c.cfg.Modules.Takes})
		a.polled = append(a.polled, c.name)
	}
	var err error
	a.Poller, err = poll.New(a.pollConfig(a.Config), poll.Deps{
		Connections: conns, Publisher: a.Producer, Redis: a.Redis, Scope: a.Scope, Log: a.Log, Metrics: a.Registry, Now: time.Now,
		Tracer: a.tracer,
	})
	if err != nil {
		return nil, err
	}
	return a.Poller.Run, nil
}

// pollConfig is what a configuration says of the connections that are polled here. One that it
// no longer has is polled as it says for all, until a restart.
func (a *App) pollConfig(c *config.Config) poll.Config {
	cfg := poll.Config{Plan: c.Poll.Plan(), Plans: make(map[string]poll.Plan)}
	for _, name := range a.polled {
		if own := c.Connections[name].Poll; own != nil {
			cfg.Plans[name] = own.Plan()
		}
	}
	return cfg
}

// loop runs a room.
func (a *App) loop(f stream.Fold, err error) (func(context.Context) error, error) {
	if err != nil {
		return nil, err
	}
	l, err := stream.NewLoop(f, a.deps())
	if err != nil {
		return nil, err
	}
	return l.Run, nil
}

// listingView answers the translate room's questions from the view.
type listingView struct{ *stream.View[*event.Listing] }

func (v listingView) Lookup(account, listing string) *event.Resolution {
	var room [96]byte // asked for each line of each order
	l, ok := v.Get(append(append(append(room[:0], account...), '/'), listing...))
	if !ok || l.GetResolution().GetSku() == "" {
		return nil
	}
	return l.Resolution
}

func startTranslate(a *App, ctx context.Context) (func(context.Context) error, error) {
	v, err := a.view(ctx)
	if err != nil {
		return nil, err
	}
	return a.loop(a.translateRoom(listingView{v}))
}

func (a *App) translateRoom(v translate.Listings) (stream.Fold, error) {
	translators := make(map[translate.Source]connectors.Translator)
	for _, c := range a.connections {
		if c.Translate != nil {
			translators[translate.Source{Connector: c.Name, Account: c.name}] = c.Translate
		}
	}
	return translate.New(translate.Config{Translators: translators}, v)
}

func (a *App) catalogRoom() (stream.Fold, error) {
	locations := make(map[string]string)
	for _, c := range a.connections {
		if c.cfg.Shopify != nil && c.cfg.Shopify.LocationID != "" {
			locations[c.name] = c.cfg.Shopify.LocationID
		}
	}
	return catalog.New(catalog.Config{
		AdoptSKUs: a.Config.Catalog.AdoptSKUs, SKUs: a.Config.Catalog.SKUs, Locations: locations,
	}, sku.Normalise)
}

func startCatalog(a *App, _ context.Context) (func(context.Context) error, error) {
	run, err := a.loop(a.catalogRoom())
	if err != nil {
		return nil, err
	}
	a.catalog = true
	return func(ctx context.Context) error {
		a.reload.mu.Lock()
		err := a.sendRules(ctx, nil, a.applied())
		a.reload.mu.Unlock()
		if err != nil {
			return err
		}
		return run(ctx)
	}, nil
}

// sendRules writes the configuration's mappings and policies to the catalog room's input:
// what changes its state comes through its topic, so that a rewind repeats it. Rules that it
// has already change nothing. Those of old, if not nil, that cfg has no more are withdrawn.
func (a *App) sendRules(ctx context.Context, old, cfg *config.Config) error {
	var records []kafka.Record
	add := func(key string, in *event.CatalogInput) error {
		b, err := in.MarshalVTStrict()
		if err != nil {
			return fmt.Errorf("encoding a catalog rule: %w", err)
		}
		records = append(records, kafka.Record{Topic: schemas.CatalogIn, Key: []byte(key), Value: b})
		return nil
	}
	mapping := func(m config.Mapping) error {
		return add(m.Account+"/"+m.Listing+m.PlatformSKU, &event.CatalogInput{Input: &event.CatalogInput_Mapping{Mapping: &event.Mapping{
			Account: m.Account, ListingId: m.Listing, PlatformSku: m.PlatformSKU, Sku: m.SKU, Multiplier: max(m.Multiplier, 1), Author: "config",
		}}})
	}
	policy := func(p config.Policy, show *event.ShowPolicy) error {
		return add(p.Account+"/"+p.SKU, &event.CatalogInput{Input: &event.CatalogInput_Settings{Settings: &event.ListingSettings{
			Account: p.Account, Sku: p.SKU, Policy: show,
		}}})
	}
	var errs []error
	if old != nil {
		for _, m := range gone(old.Catalog.Mappings, cfg.Catalog.Mappings, func(m config.Mapping) string { return m.Account + "/" + m.Listing + "/" + m.PlatformSKU }) {
			m.SKU = "" // nobody's word any more
			errs = append(errs, mapping(m))
		}
		for _, p := range gone(old.Stock.Policies, cfg.Stock.Policies, func(p config.Policy) string { return p.Account + "/" + p.SKU }) {
			errs = append(errs, policy(p, nil))
		}
	}
	for _, m := range cfg.Catalog.Mappings {
		errs = append(errs, mapping(m))
	}
	for _, p := range cfg.Stock.Policies {
		errs = append(errs, policy(p, &event.ShowPolicy{
			Buffer: p.Buffer, BufferBp: p.BufferBP, MaxListed: p.MaxListed, PauseAt: p.PauseAt, ResumeAt: p.ResumeAt,
		}))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if len(records) == 0 {
		return nil
	}
	if err := a.Producer.Produce(ctx, records); err != nil {
		return fmt.Errorf("sending the catalog's rules: %w", err)
	}
	return nil
}

// gone are those of old that are not in all, by their keys.
func gone[T any](old, all []T, key func(T) string) (rest []T) {
	there := make(map[string]bool, len(all))
	for _, v := range all {
		there[key(v)] = true
	}
	for _, v := range old {
		if !there[key(v)] {
			rest = append(rest, v)
		}
	}
	return rest
}

func (a *App) ordersRoom() (stream.Fold, error) { return orders.New(orders.Config{}) }

func startOrders(a *App, _ context.Context) (func(context.Context) error, error) {
	return a.loop(a.ordersRoom())
}

func (a *App) stockRoom() (stream.Fold, error) { return stock.New(stock.Config{}) }

func startStock(a *App, _ context.Context) (func(context.Context) error, error) {
	room, err := a.stockRoom()
	if err != nil {
		return nil, err
	}
	deps := a.deps()
	deps.Group.Gather = a.Config.Stock.Gather
	l, err := stream.NewLoop(room, deps)
	if err != nil {
		return nil, err
	}
	return l.Run, nil
}

func (a *App) commandsRoom() (stream.Fold, error) { return commands.New() }

func startCommands(a *App, _ context.Context) (func(context.Context) error, error) {
	return a.loop(a.commandsRoom())
}

func (a *App) fxRoom() (stream.Fold, error) {
	return fx.New(a.Config.FxConfig())
}

func startFx(a *App, _ context.Context) (func(context.Context) error, error) {
	return a.loop(a.fxRoom())
}

func startPush(a *App, _ context.Context) (func(context.Context) error, error) {
	accounts := make(map[string]push.Account)
	for _, c := range a.connections {
		// A connection whose module inventory is off gets no stock write, and nobody waits for one.
		accounts[c.name] = push.Account{
			Connector: c.Name, Stock: c.Stock, Off: !c.cfg.Modules.Has(connectors.ModuleInventory),
			Price: c.Price, Fulfilment: c.Fulfilment, Cancel: c.Cancel, Refund: c.Refund, Modules: c.cfg.Modules,
		}
	}
	sink, err := push.New(a.Config.PushConfig(), push.Deps{
		Accounts: accounts, Publish: a.Producer, Memory: push.NewRedisMemory(a.Redis, a.Scope, a.Log),
		Commands: push.NewRedisCommands(a.Redis, a.Scope, a.Log),
		Log:      a.Log, Now: time.Now, Metrics: a.Registry, Tracer: a.tracer,
	})
	if err != nil {
		return nil, err
	}
	a.push = sink
	loop, err := stream.NewExecutorLoop("push", []schemas.Topic{schemas.PushTargets, schemas.PushCommands}, sink, a.deps())
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		g, ctx := errgroup.WithContext(ctx)
		// The sink's workers outlive the loop: what is under way is finished before the group is left.
		workers, stop := context.WithCancel(context.WithoutCancel(ctx))
		g.Go(func() error { return sink.Run(workers) })
		g.Go(func() error { defer stop(); return loop.Run(ctx) })
		return g.Wait()
	}, nil
}

func startClickHouse(a *App, ctx context.Context) (func(context.Context) error, error) {
	cfg := a.Config.ClickHouseConfig()
	if err := clickhouse.Migrate(ctx, cfg, a.Log); err != nil {
		return nil, err
	}
	w, err := clickhouse.New(cfg, clickhouse.Deps{Log: a.Log})
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, func() { w.Close() })
	loop, err := stream.NewWriterLoop("clickhouse", w.Topics(), w, stream.WriterConfig{
		MaxRecords: a.Config.ClickHouse.BatchRecords, MaxAge: a.Config.ClickHouse.BatchAge,
	}, a.deps())
	if err != nil {
		return nil, err
	}
	return loop.Run, nil
}

func startAlert(a *App, _ context.Context) (func(context.Context) error, error) {
	cfg := a.Config.AlertConfig()
	if cfg.Webhook.URL == "" && cfg.Mail.Server == "" {
		a.Log.Info("nobody is told of alerts, they are only counted: set alert.webhook or alert.mail")
	}
	w, err := alert.New(cfg, alert.Deps{Log: a.Log, Now: time.Now, Metrics: a.Registry, HTTP: httpx.NewClient(httpx.Config{
		AllowLoopback: a.Config.Environment == schemas.Test,
	})})
	if err != nil {
		return nil, err
	}
	a.alert = w
	loop, err := stream.NewWriterLoop("alert", w.Topics(), w, stream.WriterConfig{MaxAge: 250 * time.Millisecond}, a.deps())
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { return w.Run(ctx) })
		g.Go(func() error { return loop.Run(ctx) })
		return g.Wait()
	}, nil
}
