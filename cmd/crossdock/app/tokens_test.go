package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"github.com/helloword/crossdock/cmd/crossdock/connect"
	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/connectortest"
	"github.com/helloword/crossdock/connectors/shopify"
	"github.com/helloword/crossdock/connectors/shopify/simulator"
	"github.com/helloword/crossdock/internal/embedded"
	"github.com/helloword/crossdock/internal/httpx"
	"github.com/helloword/crossdock/internal/kafka"
	xredis "github.com/helloword/crossdock/internal/redis"
	"github.com/helloword/crossdock/internal/tokens"
	"github.com/helloword/crossdock/schemas"
)

// unlimited is a quota without end.
type unlimited struct{}

func (unlimited) Wait(ctx context.Context, _ string, _ float64, _ connectors.Priority) error {
	return ctx.Err()
}
func (unlimited) Observe(string, connectors.LimitState) {}

// tokenWorld is a shop whose tokens rotate, and processes that keep them in Kafka.
type tokenWorld struct {
	clock   *connectortest.Clock
	shop    *simulator.Simulator
	address string
	cluster kafka.Config
	client  *kafka.Client
	redis   *miniredis.Miniredis
	conn    *goredis.Client
	quiet   *slog.Logger
	// refreshed counts the refreshes that there should have been.
	refreshed int64
}

var tokenScope = schemas.Scope{Tenant: "acme", Environment: schemas.Test}

func newTokenWorld(t *testing.T, shop simulator.Config) *tokenWorld {
	t.Helper()
	t.Setenv("TEST_SHOP_SECRET", "simulated-secret")
	t.Setenv("TEST_SHOP_REFRESH", "shprt_first")
	t.Setenv("TEST_TOKEN_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
	w := &tokenWorld{clock: connectortest.NewClock(), quiet: slog.New(slog.DiscardHandler)}
	shop.Now = w.clock.Now
	w.shop = simulator.New(shop)
	server := httptest.NewServer(w.shop)
	t.Cleanup(func() { server.Close(); w.shop.Close() })
	w.address = server.URL
	broker, err := embedded.NewBroker(embedded.BrokerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	w.cluster = kafka.Config{Brokers: []string{broker.Addr()}}
	if w.client, err = kafka.Open(w.cluster, tokenScope, w.quiet); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.client.Close)
	if _, err := w.client.ApplyTopics(t.Context(), schemas.Topics(), kafka.Layout{Wide: 1, Narrow: 1, Replicas: 1, MinInSync: 1}); err != nil {
		t.Fatal(err)
	}
	w.redis = miniredis.RunT(t)
	w.conn = goredis.NewClient(&goredis.Options{Addr: w.redis.Addr()})
	t.Cleanup(func() { _ = w.conn.Close() })
	return w
}

func (w *tokenWorld) follow(t *testing.T) *kafka.Follower {
	t.Helper()
	follower := kafka.NewFollower(w.cluster, tokenScope, w.quiet, schemas.Tokens)
	t.Cleanup(follower.Close)
	return follower
}

// process is one that was just started.
func (w *tokenWorld) process(t *testing.T, auth string) *connectors.Connector {
	t.Helper()
	keys, err := tokens.NewKeys(connectors.Secret("env:TEST_TOKEN_KEY"))
	if err != nil {
		t.Fatal(err)
	}
	keeper, err := tokens.NewTopic(tokens.TopicDeps{
		Log: w.follow(t), Publish: w.client, Redis: w.conn, Prefix: tokenScope.Key(""), Scope: tokenScope.Key(""),
		Keys: keys, Logger: w.quiet, Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := shopify.DefaultConfig()
	cfg.Shop, cfg.TestBaseURL, cfg.Auth = w.shop.Config().Shop, w.address, auth
	cfg.ClientID, cfg.ClientSecret = w.shop.Config().ClientID, "env:TEST_SHOP_SECRET"
	if auth == shopify.AuthOfflineToken {
		cfg.RefreshToken = "env:TEST_SHOP_REFRESH"
	}
	c, err := shopify.New(cfg, schemas.Test, connectors.Deps{
		Account: "uk", HTTP: httpx.NewClient(httpx.Config{AllowLoopback: true}), Log: w.quiet, Now: w.clock.Now, Limiter: unlimited{},
		Tokens: tokens.NewStore(keeper, xredis.Leases{Client: w.conn, Owner: "p"}, tokenScope.Key(""), w.quiet),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ask asks the shop 32 times at once, by several processes.
func (w *tokenWorld) ask(t *testing.T, cs ...*connectors.Connector) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			rs, err := cs[i%len(cs)].Check.Check(t.Context())
			if err != nil || len(rs) == 0 || !rs[0].OK {
				t.Errorf("the shop does not know us: %+v, %v", rs, err)
			}
		})
	}
	wg.Wait()
	if got := w.shop.Stats().Refreshes; got != w.refreshed {
		t.Fatalf("%d refreshes, want %d", got, w.refreshed)
	}
}

// expire lets a token's life end: one refresh is due.
func (w *tokenWorld) expire() {
	w.clock.Add(59*time.Minute + 30*time.Second)
	w.refreshed++
}

// TestRotatingTokens: the connector whose tokens rotate, on its simulator, in several processes
// with their tokens in Kafka: at the end of a token's life 32 that need one make exactly one
// refresh; and what becomes of Redis, a newly started process goes on with the newest token.
// The simulator knows only the newest refresh token: every other one ends the chain.
func TestRotatingTokens(t *testing.T) {
	w := newTokenWorld(t, simulator.Config{RefreshToken: "shprt_first"})
	process := func() *connectors.Connector { return w.process(t, shopify.AuthOfflineToken) }
	one, two := process(), process()
	w.refreshed = 1
	w.ask(t, one, two)
	w.expire()
	w.ask(t, one, two)

	old, _ := w.redis.Get("acme.test.token:{shopify/uk}:copy")
	w.expire()
	w.redis.FlushAll()
	w.ask(t, one, two, process())
	w.expire()
	if err := w.redis.Set("acme.test.token:{shopify/uk}:copy", old); err != nil || old == "" {
		t.Fatalf("Redis held %q, %v", old, err)
	}
	w.ask(t, process(), process())
	w.expire()
	w.ask(t, one, two)
}

// TestConnected: `crossdock connect` with the shop's owner, in the browser: sent to the page of
// consent, or opening the app in the admin; the answer reaches the listener, or is pasted. What
// was given stands sealed in Kafka and in Redis, and all processes live on it, the one that was
// there before as well, with one refresh at each end of a token.
func TestConnected(t *testing.T) {
	for _, tc := range []struct {
		name string
		// begins is where the owner's browser begins.
		begins func(shop, listener, asked string) string
		pasted bool
	}{
		{"consent", func(_, _, asked string) string { return asked }, false},
		{"consent, pasted", func(_, _, asked string) string { return asked }, true},
		{"app opened", opensApp, false},
		{"app opened, pasted", opensApp, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newTokenWorld(t, simulator.Config{})
			before := w.process(t, shopify.AuthAuthorizationCode)
			if rs, err := before.Check.Check(t.Context()); err != nil || len(rs) != 1 || rs[0].OK {
				t.Fatalf("before: %+v, %v", rs, err)
			}
			in, keyboard := io.Pipe()
			defer keyboard.Close()
			var screen bytes.Buffer
			var owner sync.WaitGroup
			s := &connect.Session{
				Connector: w.process(t, shopify.AuthAuthorizationCode), Account: "uk", In: in, Out: &screen,
				Listen: "127.0.0.1:0", Timeout: time.Minute,
				Opened: func(listener, asked string) {
					owner.Go(func() {
						browser := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
						if tc.pasted {
							browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
						}
						resp, err := browser.Get(tc.begins(w.address, listener, asked))
						if err != nil {
							t.Error(err)
							return
						}
						defer resp.Body.Close()
						if tc.pasted {
							if _, err := fmt.Fprintln(keyboard, resp.Header.Get("Location")); err != nil {
								t.Error(err)
							}
							return
						}
						body, err := io.ReadAll(resp.Body)
						if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "<th>ok</th><td>scope write_orders</td>") {
							t.Errorf("the browser shows %d %v:\n%s", resp.StatusCode, err, body)
						}
						if policy := resp.Header.Get("Content-Security-Policy"); !strings.HasSuffix(policy, "frame-ancestors https://simulated.myshopify.com https://admin.shopify.com") {
							t.Errorf("its policy is %s", policy)
						}
					})
				},
			}
			err := s.Run(t.Context())
			owner.Wait()
			if err != nil {
				t.Fatalf("%v\n%s", err, &screen)
			}
			w.ask(t, before, s.Connector, w.process(t, shopify.AuthAuthorizationCode))
			w.expire()
			w.ask(t, before, s.Connector)
			w.expire()
			w.ask(t, before, w.process(t, shopify.AuthAuthorizationCode))
			if st := w.shop.Stats(); st.Exchanges != 1 {
				t.Errorf("%d exchanges", st.Exchanges)
			}
			copied, err := w.redis.Get("acme.test.token:{shopify/uk}:copy")
			if err != nil {
				t.Fatal(err)
			}
			kept := []string{copied}
			if err := w.follow(t).CatchUp(t.Context(), func(r *kafka.Scanned) { kept = append(kept, string(r.Value)) }); err != nil {
				t.Fatal(err)
			}
			if len(kept) != 4 { // the copy, the token of the exchange, and those of two refreshes
				t.Errorf("%d values are kept", len(kept))
			}
			for _, v := range append(kept, screen.String()) {
				for _, secret := range []string{"shpat_", "shprt_", "simulated-secret"} {
					if strings.Contains(v, secret) {
						t.Errorf("%q stands in the clear: %q", secret, v)
					}
				}
			}
		})
	}
}

// opensApp is the admin's place of the app, whose address leads to the listener.
func opensApp(shop, listener, _ string) string {
	return shop + "/admin/apps/simulated-app?app_url=" + url.QueryEscape(listener)
}
