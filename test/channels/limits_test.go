package channels

// Quotas: each connector spends what its platform allows through its own client, the limiter of
// production and a Redis, and the platform's simulator counts. The clock is simulated: hours pass
// in seconds, and nothing depends on the machine's.

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/helloword/crossdock/cmd/crossdock/app"
	"github.com/helloword/crossdock/cmd/crossdock/config"
	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/redis"
)

// simulatedRedis is a Redis whose clock is that of the bubble that its clients are in. Its server
// stays outside: a bubble's clock stands still while somebody waits for a network.
type simulatedRedis struct{ mini *miniredis.Miniredis }

func (s simulatedRedis) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (s simulatedRedis) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		s.mini.SetTime(time.Now())
		return next(ctx, cmd)
	}
}

func (s simulatedRedis) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		s.mini.SetTime(time.Now())
		return next(ctx, cmds)
	}
}

func (s simulatedRedis) client(t testing.TB) *goredis.Client {
	c := goredis.NewClient(&goredis.Options{Addr: s.mini.Addr(), MaxRetries: -1, DisableIdentity: true, ConnMaxIdleTime: -1})
	c.AddHook(s)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// process is one process of ours: what it knows of quotas is in Redis.
func process(t testing.TB, r simulatedRedis, platform, account string) connectors.Limiter {
	t.Helper()
	l, err := app.Limiter(redis.NewBucket(r.client(t), "acme.test."), config.Connection{Connector: platform}, account, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// quotaCase is one quota of one platform, and how a connector spends it.
type quotaCase struct {
	platform, operation string
	// rate is units a second at the documented limit, burst what may be spent at once.
	rate, burst float64
	// window is within which a change is to be found: how long the bucket takes to fill, or,
	// where nothing is told, what the limiter takes to look for more.
	window time.Duration
	// period is how long each phase of a test is, of the simulated clock.
	period time.Duration
	// limit sets the platform's limit to a share of the documented one.
	limit func(s *shop, share float64)
	// counted is the units spent and the calls made and refused so far.
	counted func(s *shop) (units float64, calls, refused int64)
	// work are the calls that are made over and over, each by one worker.
	work []func(ctx context.Context, s *shop) error
}

// polling reads the orders of the last hour anew.
func polling(ctx context.Context, s *shop) error {
	_, err := s.conn.Poll[connectors.Orders].Poll(ctx, connectors.PollRequest{Start: time.Now().Add(-time.Hour), Settle: time.Second}, func(connectors.Raw) error { return nil })
	return err
}

// looking reads what is shown, with the urgency of a decrease.
func looking(ctx context.Context, s *shop) error {
	_, err := s.conn.Stock.ReadStock(ctx, []connectors.StockRef{{ListingID: s.listing, StockID: s.stock}})
	return err
}

// writing sets a stock, less urgently.
func writing(ctx context.Context, s *shop) error { return write(ctx, s, false) }

func write(ctx context.Context, s *shop, lower bool) error {
	now := time.Now().UnixNano()
	w := connectors.StockWrite{ListingID: s.listing, StockID: s.stock, SKU: skus[0], Quantity: now % 1000, CommandID: strconv.FormatInt(now, 10)}
	if more := w.Quantity + 1; lower {
		w.Expected = &more
	}
	results, err := s.conn.Stock.PushStock(ctx, []connectors.StockWrite{w})
	if err == nil && len(results) == 1 && results[0].RetryAfter > 0 {
		return &connectors.RetryAfterError{After: results[0].RetryAfter, Err: errors.New(results[0].Message)}
	}
	return err
}

func quotaCases() []quotaCase {
	type worker = func(ctx context.Context, s *shop) error
	amazon := func(operation string, rate, burst float64, period time.Duration, work ...worker) quotaCase {
		return quotaCase{
			platform: "amazon", operation: operation, rate: rate, burst: burst, period: period,
			window: time.Duration(burst / rate * float64(time.Second)),
			limit:  func(s *shop, share float64) { s.player.(*amazonPlayer).ScaleLimits(share) },
			counted: func(s *shop) (float64, int64, int64) {
				stats := s.player.(*amazonPlayer).Stats()
				calls, refused := stats.Calls[operation], stats.Refused[operation]
				return float64(calls - refused), calls, refused
			},
			work: work,
		}
	}
	return []quotaCase{{
		platform: "shopify", operation: "graphql", rate: 100, burst: 2000, window: 20 * time.Second, period: time.Minute,
		limit: func(s *shop, share float64) { s.player.(*shopifyPlayer).SetBucket(2000*share, 100*share) },
		counted: func(s *shop) (float64, int64, int64) {
			stats := s.player.(*shopifyPlayer).Stats()
			return stats.Points, stats.Calls, stats.Throttled
		},
		work: []worker{polling, polling, writing, writing},
	}, {
		platform: "woocommerce", operation: "woocommerce", rate: 10, burst: 40, window: redis.Window, period: 90 * time.Second,
		limit: func(s *shop, share float64) { s.player.(*wooPlayer).SetLimit(10*share, 40*share) },
		counted: func(s *shop) (float64, int64, int64) {
			stats := s.player.(*wooPlayer).Stats()
			return float64(stats.Calls - stats.Throttled), stats.Calls, stats.Throttled
		},
		work: []worker{polling, looking, writing},
	}, {
		platform: "magento", operation: "magento", rate: 20, burst: 40, window: redis.Window, period: time.Minute,
		limit: func(s *shop, share float64) { s.player.(*magentoPlayer).SetLimit(20*share, 40*share) },
		counted: func(s *shop) (float64, int64, int64) {
			stats := s.player.(*magentoPlayer).Stats()
			return float64(stats.Calls - stats.Throttled), stats.Calls, stats.Throttled
		},
		work: []worker{polling, looking, writing},
	},
		amazon("searchOrders", 0.0056, 20, 3*time.Hour, polling),
		amazon("searchListingsItems", 5, 5, 2*time.Minute, looking, looking, looking),
		amazon("patchListingsItem", 5, 5, 2*time.Minute, writing, writing, writing),
		{
			// A day's quota, a smaller one than eBay's: it is told, and not assumed.
			platform: "ebay", operation: "fulfillment", rate: ebayCalls / 86400., burst: ebayCalls, window: 24 * time.Hour, period: 24 * time.Hour,
			limit: func(s *shop, share float64) { s.player.(*ebayPlayer).SetQuota("fulfillment", int64(ebayCalls*share)) },
			counted: func(s *shop) (float64, int64, int64) {
				stats := s.player.(*ebayPlayer).Stats()
				return float64(stats.Made["fulfillment"]), stats.Made["fulfillment"] + stats.Refused["fulfillment"], stats.Refused["fulfillment"]
			},
			work: []worker{polling},
		},
	}
}

const ebayCalls = 600

// spend makes the case's calls, by one worker each, for a period of the simulated clock. Who is
// told to wait waits, as the rooms do.
func (q *quotaCase) spend(t *testing.T, d time.Duration, shops ...*shop) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var wg sync.WaitGroup
	for _, s := range shops {
		for _, do := range q.work {
			wg.Go(func() {
				for ctx.Err() == nil {
					err := do(ctx, s)
					var retry *connectors.RetryAfterError
					switch {
					case ctx.Err() != nil || err == nil:
					case errors.As(err, &retry):
						select {
						case <-ctx.Done():
						case <-time.After(retry.After):
						}
					default:
						t.Errorf("%s: %v", q.operation, err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
}

// figures of one phase.
type figures struct {
	units          float64
	calls, refused int64
}

func (q *quotaCase) phase(t *testing.T, d time.Duration, shops ...*shop) (f figures) {
	t.Helper()
	units, calls, refused := q.counted(shops[0])
	q.spend(t, d, shops...)
	f.units, f.calls, f.refused = q.counted(shops[0])
	f.units, f.calls, f.refused = f.units-units, f.calls-calls, f.refused-refused
	return f
}

// uses says which share of the limit was used.
func (f figures) uses(t *testing.T, what string, of float64) {
	t.Helper()
	t.Logf("%s: %.1f %% of the limit used, %d of %d calls refused", what, f.units/of*100, f.refused, f.calls)
	if f.units < 0.95*of {
		t.Errorf("%s: %.1f %% of the limit used, want at least 95", what, f.units/of*100)
	}
}

// refused01 says that less than 1 % was refused.
func (f figures) refused01(t *testing.T, what string) {
	t.Helper()
	if f.refused*100 >= max(f.calls, 100) {
		t.Errorf("%s: %d of %d calls refused, want less than 1 %%", what, f.refused, f.calls)
	}
}

// eachQuota runs a test for each quota, in a bubble with a Redis outside; with -short, for one
// that is told and one that is counted in calls.
func eachQuota(t *testing.T, f func(t *testing.T, q quotaCase, r simulatedRedis)) {
	for _, q := range quotaCases() {
		if testing.Short() && q.operation != "graphql" && q.operation != "patchListingsItem" {
			continue
		}
		t.Run(q.platform+"/"+q.operation, func(t *testing.T) {
			r := simulatedRedis{miniredis.RunT(t)}
			synctest.Test(t, func(t *testing.T) { f(t, q, r) })
		})
	}
}

// shop opens an account, at the documented limit.
func (q *quotaCase) shop(t testing.TB, name string, l connectors.Limiter) *shop {
	s := open(t, q.platform, "GBP", setup{name: name, clock: &clock{}, limiter: l, limits: true})
	s.listing = s.offer(skus[0], 10)
	s.stock = s.listing
	if p, ok := s.player.(*shopifyPlayer); ok {
		for l := range p.Listings() {
			s.stock = strconv.FormatInt(l.Item, 10)
		}
	}
	q.limit(s, 1)
	if q.platform == "ebay" {
		// Its day begins at midnight of the Pacific coast.
		day := time.Now().Truncate(24 * time.Hour).Add(8 * time.Hour)
		time.Sleep(time.Until(day))
	}
	return s
}

// TestQuotas: at the documented limit at least 95 % of it is used, and less than 1 % of the calls
// is refused. A limit that is halved in the middle of work, and restored later, is found within
// one window, with few refusals, and used as well. With -short it is shown of the one that makes
// fewer calls: the other's quota is spent by several in the tests below, which is what can race.
func TestQuotas(t *testing.T) {
	eachQuota(t, func(t *testing.T, q quotaCase, r simulatedRedis) {
		if testing.Short() && q.operation == "graphql" {
			t.Skip("four minutes of calls of one shop")
		}
		s := q.shop(t, "one", process(t, r, q.platform, "one"))
		measured := func(what string, share float64) {
			f := q.phase(t, q.period, s)
			f.uses(t, what, q.most(q.period, share))
			f.refused01(t, what)
		}
		q.spend(t, q.warming(), s)
		measured("at the documented limit", 1)
		q.limit(s, 0.5)
		f := q.phase(t, q.window, s)
		t.Logf("halved: %d of %d calls refused in the window after it", f.refused, f.calls)
		if f.refused > max(10, f.calls/100) {
			t.Errorf("halved: %d of %d calls refused within one window", f.refused, f.calls)
		}
		measured("halved", 0.5)
		q.limit(s, 1)
		time.Sleep(q.window)
		if q.platform != "ebay" {
			q.spend(t, q.warming(), s) // what gathered meanwhile
		}
		measured("restored", 1)
	})
}

// TestQuotaIsShared: two processes spend one quota, each about half of it; a third one that takes
// over from both begins with what they left.
func TestQuotaIsShared(t *testing.T) {
	eachQuota(t, func(t *testing.T, q quotaCase, r simulatedRedis) {
		if q.operation == "searchOrders" || q.platform == "ebay" || q.platform == "woocommerce" {
			t.Skip("the others show it, which make more calls a second")
		}
		first := q.shop(t, "one", process(t, r, q.platform, "one"))
		second := q.also(t, first, process(t, r, q.platform, "one"))
		q.spend(t, q.warming(), first, second)
		first.asked, second.asked = nil, nil
		f := q.phase(t, q.period, first, second)
		f.uses(t, "by two processes", q.most(q.period, 1))
		f.refused01(t, "by two processes")
		a, b := len(first.asked), len(second.asked)
		if float64(min(a, b)) < 0.4*float64(a+b) {
			t.Errorf("one process made %d calls, the other %d", a, b)
		}
		third := q.also(t, first, process(t, r, q.platform, "one"))
		f = q.phase(t, q.period/2, third)
		f.uses(t, "after a restart", q.most(q.period/2, 1))
		f.refused01(t, "after a restart")
	})
}

// TestAccountsDoNotWaitForEachOther: an account's limit is used whole, however many calls another
// one has to make.
func TestAccountsDoNotWaitForEachOther(t *testing.T) {
	eachQuota(t, func(t *testing.T, q quotaCase, r simulatedRedis) {
		if q.operation == "searchOrders" || q.platform == "ebay" || q.platform == "woocommerce" {
			t.Skip("as in TestQuotaIsShared")
		}
		if testing.Short() && q.operation == "graphql" {
			t.Skip("a minute of calls of five shops")
		}
		small := q.shop(t, "small", process(t, r, q.platform, "small"))
		large := q.shop(t, "large", process(t, r, q.platform, "large"))
		q.spend(t, q.warming(), small, large)
		f := q.phase(t, q.period/2, small, large, large, large)
		f.uses(t, "beside a busy account", q.most(q.period/2, 1))
		f.refused01(t, "beside a busy account")
	})
}

// TestUrgentCallsGoFirst: while everything else takes all that there is, a call that prevents
// overselling waits for no more than a few calls' worth of quota.
func TestUrgentCallsGoFirst(t *testing.T) {
	eachQuota(t, func(t *testing.T, q quotaCase, r simulatedRedis) {
		urgent := looking
		switch q.operation {
		case "searchOrders", "searchListingsItems", "fulfillment":
			t.Skip("nothing urgent is asked of this bucket while something else is")
		case "patchListingsItem":
			urgent = func(ctx context.Context, s *shop) error { return write(ctx, s, true) }
		case "graphql", "woocommerce", "magento":
			q.work = []func(context.Context, *shop) error{polling, polling, writing, writing}
		}
		l := &watched{Limiter: process(t, r, q.platform, "one")}
		s := q.shop(t, "one", l)
		ctx, cancel := context.WithTimeout(t.Context(), q.period)
		defer cancel()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for ctx.Err() == nil {
				time.Sleep(5 * time.Second)
				if err := urgent(ctx, s); err != nil && ctx.Err() == nil {
					t.Errorf("urgent: %v", err)
				}
			}
		}()
		q.spend(t, q.period, s)
		<-done
		u, n := l.longest[connectors.Urgent], l.longest[connectors.Normal]
		t.Logf("the longest wait of an urgent call: %s, of another one: %s", u, n)
		if most := time.Duration(30 / q.rate * float64(time.Second)); q.platform == "shopify" && u > most || q.platform != "shopify" && u > time.Duration(2.5/q.rate*float64(time.Second)) {
			t.Errorf("an urgent call waited %s", u)
		}
		if n < u || l.calls[connectors.Urgent] < 10 {
			t.Errorf("%d urgent calls; others waited %s at most", l.calls[connectors.Urgent], n)
		}
	})
}

// watched notes how long calls waited.
type watched struct {
	connectors.Limiter
	mu      sync.Mutex
	longest [3]time.Duration
	calls   [3]int
}

func (w *watched) Wait(ctx context.Context, operation string, cost float64, p connectors.Priority) error {
	began := time.Now()
	err := w.Limiter.Wait(ctx, operation, cost, p)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		w.calls[p]++
		w.longest[p] = max(w.longest[p], time.Since(began))
	}
	return err
}

// also is another process' connector on a shop.
func (q *quotaCase) also(t testing.TB, of *shop, l connectors.Limiter) *shop {
	s := open(t, q.platform, "GBP", setup{name: of.account, clock: &clock{}, limiter: l, limits: true, of: of})
	s.listing, s.stock = of.listing, of.stock
	return s
}

// warming is how long the bucket is drawn on that begins full, before anything is measured. A
// day's quota is measured from its beginning.
func (q *quotaCase) warming() time.Duration {
	if q.platform == "ebay" {
		return 0
	}
	return time.Duration(q.burst / q.rate * float64(time.Second))
}

// most is what a platform takes in a phase.
func (q *quotaCase) most(d time.Duration, share float64) float64 {
	return q.rate * share * d.Seconds()
}
