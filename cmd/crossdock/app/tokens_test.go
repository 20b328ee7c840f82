package app

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/shopify"
	"github.com/helloword/crossdock/connectors/shopify/simulator"
	"github.com/helloword/crossdock/internal/embedded"
	"github.com/helloword/crossdock/internal/httpx"
	"github.com/helloword/crossdock/internal/kafka"
	xredis "github.com/helloword/crossdock/internal/redis"
	"github.com/helloword/crossdock/internal/tokens"
	"github.com/helloword/crossdock/schemas"
)

// moved is a clock that a test moves.
type moved struct {
	mu sync.Mutex
	t  time.Time
}

func (c *moved) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *moved) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// unlimited is a quota without end.
type unlimited struct{}

func (unlimited) Wait(ctx context.Context, _ string, _ float64, _ connectors.Priority) error {
	return ctx.Err()
}
func (unlimited) Observe(string, connectors.LimitState) {}

// TestRotatingTokens: the connector whose tokens rotate, on its simulator, in several processes
// with their tokens in Kafka: at the end of a token's life 32 that need one make exactly one
// refresh; and what becomes of Redis, a newly started process goes on with the newest token.
// The simulator knows only the newest refresh token: every other one ends the chain.
func TestRotatingTokens(t *testing.T) {
	t.Setenv("TEST_SHOP_SECRET", "simulated-secret")
	t.Setenv("TEST_SHOP_REFRESH", "shprt_first")
	t.Setenv("TEST_TOKEN_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
	clock := &moved{t: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
	shop := simulator.New(simulator.Config{RefreshToken: "shprt_first", Now: clock.now})
	server := httptest.NewServer(shop)
	t.Cleanup(server.Close)
	broker, err := embedded.NewBroker(embedded.BrokerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	quiet := slog.New(slog.DiscardHandler)
	scope := schemas.Scope{Tenant: "acme", Environment: schemas.Test}
	cluster := kafka.Config{Brokers: []string{broker.Addr()}}
	client, err := kafka.Open(cluster, scope, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if _, err := client.ApplyTopics(t.Context(), schemas.Topics(), kafka.Layout{Wide: 1, Narrow: 1, Replicas: 1, MinInSync: 1}); err != nil {
		t.Fatal(err)
	}
	redis := miniredis.RunT(t)
	conn := goredis.NewClient(&goredis.Options{Addr: redis.Addr()})
	t.Cleanup(func() { _ = conn.Close() })

	process := func() *connectors.Connector {
		t.Helper()
		follower := kafka.NewFollower(cluster, scope, quiet, schemas.Tokens)
		t.Cleanup(follower.Close)
		keys, err := tokens.NewKeys(connectors.Secret("env:TEST_TOKEN_KEY"))
		if err != nil {
			t.Fatal(err)
		}
		keeper, err := tokens.NewTopic(tokens.TopicDeps{
			Log: follower, Publish: client, Redis: conn, Prefix: scope.Key(""), Scope: scope.Key(""),
			Keys: keys, Logger: quiet, Metrics: prometheus.NewRegistry(),
		})
		if err != nil {
			t.Fatal(err)
		}
		cfg := shopify.DefaultConfig()
		cfg.Shop, cfg.TestBaseURL, cfg.Auth = shop.Config().Shop, server.URL, shopify.AuthOfflineToken
		cfg.ClientID, cfg.ClientSecret, cfg.RefreshToken = shop.Config().ClientID, "env:TEST_SHOP_SECRET", "env:TEST_SHOP_REFRESH"
		c, err := shopify.New(cfg, schemas.Test, connectors.Deps{
			Account: "uk", HTTP: httpx.NewClient(httpx.Config{AllowLoopback: true}), Log: quiet, Now: clock.now, Limiter: unlimited{},
			Tokens: tokens.NewStore(keeper, xredis.Leases{Client: conn, Owner: "p"}, scope.Key(""), quiet),
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	ask := func(c *connectors.Connector) {
		rs, err := c.Check.Check(t.Context())
		if err != nil || len(rs) == 0 || !rs[0].OK {
			t.Errorf("the shop does not know us: %+v, %v", rs, err)
		}
	}
	refreshed := int64(0)
	all := func(cs ...*connectors.Connector) {
		t.Helper()
		var wg sync.WaitGroup
		for i := range 32 {
			wg.Go(func() { ask(cs[i%len(cs)]) })
		}
		wg.Wait()
		refreshed++
		if got := shop.Stats().Refreshes; got != refreshed {
			t.Fatalf("%d refreshes, want %d", got, refreshed)
		}
	}
	expire := func() { clock.add(59*time.Minute + 30*time.Second) }
	one, two := process(), process()
	all(one, two)
	expire()
	all(one, two)

	old, _ := redis.Get("acme.test.token:{shopify/uk}:copy")
	expire()
	redis.FlushAll()
	all(one, two, process())
	expire()
	if err := redis.Set("acme.test.token:{shopify/uk}:copy", old); err != nil || old == "" {
		t.Fatalf("Redis held %q, %v", old, err)
	}
	all(process(), process())
	expire()
	all(one, two)
}
