package channels

// The five shops: a simulator of the platform, a connector on it, and somebody who plays the
// script there, by what the platform offers for it.

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/amazon"
	amazonsim "github.com/helloword/crossdock/connectors/amazon/simulator"
	"github.com/helloword/crossdock/connectors/connectortest"
	"github.com/helloword/crossdock/connectors/ebay"
	ebaysim "github.com/helloword/crossdock/connectors/ebay/simulator"
	"github.com/helloword/crossdock/connectors/magento"
	magentosim "github.com/helloword/crossdock/connectors/magento/simulator"
	"github.com/helloword/crossdock/connectors/shopify"
	shopifysim "github.com/helloword/crossdock/connectors/shopify/simulator"
	"github.com/helloword/crossdock/connectors/woocommerce"
	woosim "github.com/helloword/crossdock/connectors/woocommerce/simulator"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// player does at one shop what the script says.
type player interface {
	http.Handler
	// offer puts a SKU on sale and returns the listing that order lines name.
	offer(sku string, available int64) string
	place(s *sale) (order string, err error)
	pay(order string) error
	// ship sends units of the order's lines; nil = all that is left.
	ship(order string, units []int64) error
	cancel(order string) error
	// void cancels what was paid, and gives all of it back.
	void(order string, s *sale, r *refund) error
	refund(order string, s *sale, r *refund) error
}

// clock is the time of all shops.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

// now is what was set last; a clock that was never set is the machine's.
func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.t.IsZero() {
		return time.Now()
	}
	return c.t
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = t
}

// direct calls a shop without a network between.
type direct struct{ to http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	r = r.Clone(r.Context())
	r.RequestURI, r.Host = r.URL.RequestURI(), r.URL.Host
	if r.Body == nil {
		r.Body = http.NoBody
	}
	d.to.ServeHTTP(rec, r)
	return rec.Result(), nil
}

// free is a limiter that lets everything pass.
type free struct{}

func (free) Wait(ctx context.Context, _ string, _ float64, _ connectors.Priority) error {
	return ctx.Err()
}
func (free) Observe(string, connectors.LimitState) {}

// shop is one account.
type shop struct {
	platform, account, currency string
	player
	conn   *connectors.Connector
	cursor []byte
	// mail is the webhooks that came and were not taken yet.
	mu   sync.Mutex // over mail and asked
	mail []connectors.Raw
	// drain waits for the webhooks that are on their way; nil where there are none.
	drain func(context.Context) error
	ids   map[int]string // orders by number of the sale
	asked []string       // paths of the calls that came
	// numbers of the orders, where they are many.
	numbers map[string]int
	// listing and stock are what is written and read where only one is.
	listing, stock string
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, strings.Clone(r.URL.Path)) // and not what it is a part of
	s.mu.Unlock()
	s.player.ServeHTTP(w, r)
}

const (
	address1 = "http://127.0.0.1:1"
	secret   = "env:CROSSDOCK_CHANNELS_SECRET"
)

// opened makes a shop on a platform, without limits.
func opened(t testing.TB, platform, currency string, c *clock, modules ...connectors.Module) *shop {
	t.Helper()
	return open(t, platform, currency, setup{clock: c, modules: modules, limiter: free{}})
}

// setup is what shops differ in from test to test.
type setup struct {
	clock   *clock
	modules connectors.Modules
	limiter connectors.Limiter
	// limits: the platform counts calls, where it publishes how.
	limits bool
	// name of the account, if it is not that of platform and currency.
	name string
	// of is a shop that is there already: only a connector is opened on it.
	of *shop
	// day: the platform sends what it sends through mail, subscriptions are the keeper's, and
	// deliveries are tried again, and given up, as the platform does.
	day  bool
	mail http.RoundTripper
	seed uint64
	// retries multiplies the pauses between deliveries.
	retries float64
}

// hooked is where a shop's webhooks go.
func hooked(platform, account string) string {
	return address1 + "/webhooks/" + platform + "/" + account
}

// open makes a shop on a platform.
func open(t testing.TB, platform, currency string, with setup) *shop {
	t.Helper()
	c := with.clock
	t.Setenv("CROSSDOCK_CHANNELS_SECRET", "simulated-secret-of-this-test")
	const own = "simulated-secret-of-this-test"
	s := &shop{platform: platform, account: cmp.Or(with.name, platform+"-"+currency), currency: currency, ids: map[int]string{}}
	deps := connectors.Deps{
		Account: s.account, Modules: with.modules, Log: slog.New(slog.DiscardHandler), Now: c.now, Tokens: &connectortest.Tokens{}, Limiter: with.limiter,
	}
	points := 1e9
	if with.limits {
		points = 0 // as published
	}
	mail := s.postbox(c)
	if with.day {
		mail = &http.Client{Transport: with.mail}
	}
	var err error
	switch platform {
	case "shopify":
		sim := shopifysim.New(shopifysim.Config{Currency: currency, ClientSecret: own, Now: c.now, Archive: true, MaximumAvailable: points, RestoreRate: points, HTTP: mail, Seed: with.seed, RetryScale: with.retries})
		s.player, s.drain = &shopifyPlayer{sim, c, map[string]int64{}}, sim.Drain
		t.Cleanup(sim.Close)
		if !with.day {
			sim.Subscribe(address1+"/hook", "orders/create", "orders/updated", "orders/cancelled", "orders/paid")
		}
		cfg := shopify.DefaultConfig()
		cfg.Shop, cfg.TestBaseURL, cfg.ClientID, cfg.ClientSecret, cfg.Currency = sim.Config().Shop, address1, sim.Config().ClientID, secret, currency
		deps.HTTP = &http.Client{Transport: direct{s}}
		s.conn, err = shopify.New(cfg, schemas.Test, deps)
	case "woocommerce":
		sim := woosim.New(woosim.Config{Currency: currency, ConsumerKey: own, ConsumerSecret: own, WebhookSecret: own, Now: c.now, HTTP: mail, Seed: with.seed, KeepWebhooks: !with.day})
		s.player, s.drain = &wooPlayer{sim, c, map[string]int64{}}, sim.Drain
		t.Cleanup(sim.Close)
		if !with.day {
			sim.Subscribe(address1+"/hook", "order.created", "order.updated")
		}
		cfg := woocommerce.DefaultConfig()
		cfg.Shop, cfg.TestBaseURL, cfg.Currency = "https://shop.example.com", address1, currency
		cfg.ConsumerKey, cfg.ConsumerSecret, cfg.WebhookSecret = secret, secret, secret
		deps.HTTP = &http.Client{Transport: direct{s}}
		s.conn, err = woocommerce.New(cfg, schemas.Test, deps)
	case "magento":
		sim := magentosim.New(magentosim.Config{Currency: currency, ConsumerKey: own, ConsumerSecret: own, AccessToken: own, AccessTokenSecret: own, Now: c.now, Seed: with.seed})
		s.player = &magentoPlayer{sim, c, map[string]int64{}}
		cfg := magento.DefaultConfig()
		cfg.BaseURL, cfg.TestBaseURL, cfg.Currency = "https://shop.example.com", address1, currency
		cfg.ConsumerKey, cfg.ConsumerSecret, cfg.AccessToken, cfg.AccessTokenSecret = secret, secret, secret, secret
		deps.HTTP = &http.Client{Transport: direct{s}}
		s.conn, err = magento.New(cfg, schemas.Test, deps)
	case "amazon":
		market := map[string][2]string{
			"EUR": {"A1PA6795UKMFR9", amazon.RegionEurope}, "GBP": {"A1F83G8C2ARO7P", amazon.RegionEurope},
			"USD": {"ATVPDKIKX0DER", amazon.RegionNorthAmerica}, "JPY": {"A1VC38T7YXB528", amazon.RegionFarEast},
		}[currency]
		sim := amazonsim.New(amazonsim.Config{Currency: currency, Marketplace: market[0], ClientSecret: own, RefreshToken: own, Now: c.now, Limits: with.limits, Seed: with.seed, QueueSecret: own})
		s.player = &amazonPlayer{sim, c}
		cfg := amazon.DefaultConfig()
		cfg.SellerID, cfg.Region, cfg.Marketplaces, cfg.TestBaseURL = sim.Config().SellerID, market[1], []string{market[0]}, address1
		cfg.ClientID, cfg.ClientSecret, cfg.RefreshToken, cfg.ReportEvery = sim.Config().ClientID, secret, secret, 0
		if with.day {
			cfg.QueueURL, cfg.QueueAccessKeyID, cfg.QueueSecretKey = address1+sim.QueuePath(), sim.Config().QueueKeyID, secret
		}
		deps.HTTP = &http.Client{Transport: direct{s}}
		s.conn, err = amazon.New(cfg, schemas.Test, deps)
	case "ebay":
		market := map[string]string{"EUR": "EBAY_DE", "GBP": "EBAY_GB", "USD": "EBAY_US"}[currency]
		sim := ebaysim.New(ebaysim.Config{Currency: currency, Marketplace: market, ClientSecret: own, RefreshToken: own, Now: c.now, HTTP: mail, Seed: with.seed, RetryScale: with.retries})
		s.player = &ebayPlayer{sim, c}
		t.Cleanup(sim.Close)
		cfg := ebay.DefaultConfig()
		cfg.Marketplace, cfg.TestBaseURL = market, address1
		cfg.ClientID, cfg.ClientSecret, cfg.RefreshToken = sim.Config().ClientID, secret, secret
		if with.day {
			t.Setenv("CROSSDOCK_CHANNELS_TOKEN", "a-verification-token-of-this-test-000")
			cfg.Endpoint, cfg.VerificationToken, cfg.AlertEmail = hooked(platform, s.account), "env:CROSSDOCK_CHANNELS_TOKEN", "alerts@example.com"
		}
		deps.HTTP = &http.Client{Transport: direct{s}}
		s.conn, err = ebay.New(cfg, schemas.Test, deps)
	}
	if err != nil {
		t.Fatal(err)
	}
	if with.of != nil {
		s.player, s.drain = with.of.player, with.of.drain
	}
	return s
}

// postbox receives what the shop delivers, as the server of webhooks does.
func (s *shop) postbox(c *clock) *http.Client {
	return &http.Client{Transport: direct{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, 0, 8<<10)
		for chunk := make([]byte, 8<<10); ; {
			n, err := r.Body.Read(chunk)
			if body = append(body, chunk[:n]...); err != nil {
				break
			}
		}
		raws, err := s.conn.Receive.Receive(r.Context(), &connectors.Delivery{Method: r.Method, Path: r.URL.Path, Header: r.Header, Body: body, Received: c.now()})
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.mail = append(s.mail, raws...)
	})}}
}

// news is what the shop told since the last time, by webhook and by poll.
func (s *shop) news(t testing.TB) (byHook, byPoll []connectors.Raw) {
	t.Helper()
	if s.drain != nil {
		if err := s.drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		byHook, s.mail = s.mail, nil
		s.mu.Unlock()
	}
	req := connectors.PollRequest{Cursor: s.cursor, Start: begin.Add(-time.Hour), Overlap: time.Minute, Settle: time.Second}
	for {
		res, err := s.conn.Poll[connectors.Orders].Poll(t.Context(), req, func(r connectors.Raw) error {
			byPoll = append(byPoll, r)
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", s.account, err)
		}
		s.cursor, req.Cursor = res.Cursor, res.Cursor
		if !res.More {
			return byHook, byPoll
		}
	}
}

func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

// restockWord is how Shopify and those after it name what becomes of units.
func restockWord(r event.Restock) string {
	switch r {
	case event.Restock_RESTOCK_RETURN:
		return "return"
	case event.Restock_RESTOCK_CANCEL:
		return "cancel"
	}
	return "no_restock"
}
