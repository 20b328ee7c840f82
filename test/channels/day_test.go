package channels

// A day of trade on all five platforms at once, on a simulated clock: orders are placed, edited,
// paid, shipped, cancelled and refunded at any time, calls and webhooks fail, come twice or in
// another order, and each platform is away for half an hour. What is ours is real: the server of
// webhooks, the pollers' service with its leases and cursors, the limiter, the connectors and the
// rooms; only Kafka is memory. In the end the canonical orders are what the platforms' books say.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/helloword/crossdock/connectors"
	amazonsim "github.com/helloword/crossdock/connectors/amazon/simulator"
	ebaysim "github.com/helloword/crossdock/connectors/ebay/simulator"
	magentosim "github.com/helloword/crossdock/connectors/magento/simulator"
	shopifysim "github.com/helloword/crossdock/connectors/shopify/simulator"
	woosim "github.com/helloword/crossdock/connectors/woocommerce/simulator"
	"github.com/helloword/crossdock/ingest/poll"
	"github.com/helloword/crossdock/ingest/webhook"
	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

const (
	errorRate     = 0.05
	duplicateRate = 0.02
	reorderRate   = 0.01
	outage        = 30 * time.Minute
	// trading is how long things happen, quiet how long the pollers have then for what is left.
	trading, quiet = 24 * time.Hour, 4 * time.Hour
)

// day is what happens.
type day struct {
	start time.Time
	shops []*shop
	house *house
	hooks http.Handler

	mu    sync.Mutex // over all below, and the house's input
	rng   *rand.Rand
	down  map[string]bool // by platform: away, and not to be reached from there
	fails bool
	paths map[string]int // records by platform and path
	times int64
}

// Produce is Kafka: now and then it is away.
func (d *day) Produce(_ context.Context, records []kafka.Record) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fails && d.rng.Float64() < errorRate {
		return errors.New("no leader for the partition")
	}
	for _, r := range records {
		d.times++
		in := stream.Record{Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value), TimestampMs: d.times}
		for _, h := range r.Headers {
			in.Headers = append(in.Headers, stream.Header{Key: h.Key, Value: bytes.Clone(h.Value)})
		}
		d.paths[string(in.Header(schemas.HeaderConnector))+"/"+string(in.Header(schemas.HeaderPath))]++
		d.house.translate.Append(in)
	}
	return nil
}

// RoundTrip brings a webhook to our server, unless the way there is broken.
func (d *day) RoundTrip(r *http.Request) (*http.Response, error) {
	d.mu.Lock()
	lost := d.fails && d.rng.Float64() < errorRate
	for platform, down := range d.down {
		lost = lost || down && bytes.Contains([]byte(r.URL.Path), []byte("/"+platform+"/"))
	}
	d.mu.Unlock()
	if lost {
		return nil, errors.New("connection refused")
	}
	return direct{d.hooks}.RoundTrip(r)
}

// work lets through the rooms what has arrived.
func (d *day) work(t *testing.T) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, o := range drained(t, d.house.translate) {
		if o.Topic.Name != schemas.OrdersIn.Name {
			t.Fatalf("the translation says something on %s: %v", o.Topic.Name, o.Value)
		}
		d.times++
		d.house.orders.AppendMessage(string(o.Key), o.Value, d.times)
	}
	drained(t, d.house.orders)
}

// troubles sets what goes wrong at a shop.
func troubles(s *shop, on, away bool) {
	var e, dup, re float64
	if on {
		e, dup, re = errorRate, duplicateRate, reorderRate
	}
	const by = 20 * time.Minute
	switch p := s.player.(type) {
	case *shopifyPlayer:
		p.SetFaults(shopifysim.Faults{FailBefore: e, FailAfter: e, Drop: e, Duplicate: dup, Reorder: re, ReorderBy: by, Outage: away, PageDrift: true})
	case *wooPlayer:
		p.SetFaults(woosim.Faults{FailBefore: e, FailAfter: e, Drop: e, Duplicate: dup, Reorder: re, ReorderBy: by, HTML: e / 5, Outage: away})
	case *magentoPlayer:
		p.SetFaults(magentosim.Faults{FailBefore: e, Throttle: e / 5, HTML: e / 5, Outage: away})
	case *amazonPlayer:
		p.SetFaults(amazonsim.Faults{FailBefore: e, Drop: e, Duplicate: dup, Late: re, LateBy: by, Missing: re, Undeletable: e, PageDrift: true, Outage: away})
	case *ebayPlayer:
		p.SetFaults(ebaysim.Faults{FailBefore: e, Drop: e, Duplicate: dup, Reorder: re, ReorderBy: by, Backdate: 10 * time.Second, HTML: e / 5, Outage: away})
	}
}

// act is one thing that happens at a time of the day.
type act struct {
	at time.Duration
	do func() error
}

// plan makes the day of one shop: each sale begins at some time, and its stages follow.
func (d *day) plan(s *shop, sales []*sale) (acts []act) {
	for _, sl := range sales {
		at := time.Duration(d.rng.Int64N(int64(trading - 5*time.Hour)))
		for stage := range stages {
			acts = append(acts, act{at, func() error { return play(s, sl, stage) }})
			if e, ok := s.player.(editor); ok && stage == placing && sl.life == waiting && sl.n%2 == 0 {
				acts = append(acts, act{at + time.Duration(d.rng.Int64N(int64(time.Hour))), func() error { return e.edit(s.ids[sl.n]) }})
			}
			at += time.Duration(1+d.rng.IntN(3600)) * time.Second
		}
	}
	begin := 2*time.Hour + time.Duration(d.rng.Int64N(int64(16*time.Hour)))
	switchTo := func(away bool) func() error {
		return func() error {
			d.mu.Lock()
			d.down[s.platform] = away
			d.mu.Unlock()
			troubles(s, true, away)
			return nil
		}
	}
	return append(acts, act{begin, switchTo(true)}, act{begin + outage, switchTo(false)})
}

// editor is a platform on which somebody can add to an order.
type editor interface{ edit(order string) error }

func (p *shopifyPlayer) edit(order string) error {
	return p.EditOrder(number(order), []shopifysim.LineSpec{{Variant: p.variants[skus[0]], Quantity: 1, Price: "3"}}, p.c.now())
}

func (p *wooPlayer) edit(order string) error {
	return p.EditOrder(number(order), []woosim.LineSpec{{Variant: p.variants[skus[0]], Quantity: 1, Price: "3"}}, p.c.now())
}

// seeds are three fixed ones, one with -short, and those that the environment asks for: as many
// more as CROSSDOCK_DAYS, or the one that CROSSDOCK_DAY_SEED gives alone.
func seeds(t *testing.T) []uint64 {
	if text := os.Getenv("CROSSDOCK_DAY_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("CROSSDOCK_DAY_SEED: %v", err)
		}
		return []uint64{seed}
	}
	all := []uint64{1, 2, 3}
	if testing.Short() {
		all = all[:1]
	}
	if n, err := strconv.Atoi(os.Getenv("CROSSDOCK_DAYS")); err == nil {
		for range n {
			all = append(all, rand.Uint64())
		}
	}
	return all
}

// TestDay: after a day with 5 % errors, 2 % duplicates, 1 % reordered and half an hour's outage
// of each platform, no order is missing, none is there that is not in the books, and each is in
// its last state.
func TestDay(t *testing.T) {
	for _, seed := range seeds(t) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Logf("CROSSDOCK_DAY_SEED=%d repeats this day", seed)
			r := simulatedRedis{miniredis.RunT(t)}
			synctest.Test(t, func(t *testing.T) { oneDay(t, seed, r) })
		})
	}
}

func oneDay(t *testing.T, seed uint64, r simulatedRedis) {
	d := &day{start: time.Now(), rng: rand.New(rand.NewPCG(seed, 24)), down: map[string]bool{}, fails: true, paths: map[string]int{}}
	c := &clock{}
	known := listings{}
	for _, p := range platforms {
		s := open(t, p, "GBP", setup{
			clock: c, limiter: process(t, r, p, p+"-GBP"), limits: true, day: true, mail: d, seed: d.rng.Uint64(),
			// So quick that a subscription is given up within an outage.
			retries: 0.05,
		})
		for _, sku := range skus {
			known[s.account+"/"+s.offer(sku, 100_000)] = &event.Resolution{Sku: sku, Multiplier: 1, MappingVersion: 1, Rule: event.MatchRule_MATCH_RULE_SKU}
		}
		d.shops = append(d.shops, s)
	}
	d.house = newHouse(t, d.shops, known)
	log, metrics := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	takes := connectors.Modules{connectors.ModuleOrders}.Takes
	var hooks []webhook.Connection
	var polls []poll.Connection
	for _, s := range d.shops {
		if s.conn.Receive != nil {
			hooks = append(hooks, webhook.Connection{Connector: s.platform, Account: s.account, Receive: s.conn.Receive, Challenge: s.conn.Challenge, Takes: takes})
		}
		polls = append(polls, poll.Connection{Connector: s.platform, Account: s.account, Pollers: map[connectors.Subject]connectors.Poller{connectors.Orders: s.conn.Poll[connectors.Orders]}, Takes: takes})
	}
	server, err := webhook.New(webhook.Config{}, webhook.Deps{Connections: hooks, Publisher: d, Log: log, Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	d.hooks = server.Handler()
	pollers, err := poll.New(poll.Config{LeaseTTL: 10 * time.Minute}, poll.Deps{
		Connections: polls, Publisher: d, Redis: r.client(t), Scope: schemas.Scope{Tenant: "acme", Environment: schemas.Test}, Log: log, Metrics: metrics,
	})
	if err != nil {
		t.Fatal(err)
	}

	var all []act
	rounds := script(t)
	for _, s := range d.shops {
		sales := make([]*sale, len(rounds))
		for i, sl := range rounds {
			own := *sl
			own.currency, own.lines = s.currency, slices.Clone(sl.lines)
			sales[i] = &own
		}
		all = append(all, d.plan(s, sales)...)
		troubles(s, true, false)
	}
	slices.SortStableFunc(all, func(a, b act) int { return int(a.at - b.at) })

	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = pollers.Run(ctx) })
	wg.Go(func() { d.keep(ctx) })
	for _, a := range all {
		time.Sleep(time.Until(d.start.Add(a.at)))
		if err := a.do(); err != nil {
			t.Fatalf("after %s: %v", a.at, err)
		}
		d.work(t)
	}
	time.Sleep(time.Until(d.start.Add(trading)))
	d.mu.Lock()
	d.fails = false
	d.mu.Unlock()
	for _, s := range d.shops {
		troubles(s, false, false)
		if p, ok := s.player.(*amazonPlayer); ok {
			p.ShowMissing()
		}
	}
	for range int(quiet / (10 * time.Minute)) {
		time.Sleep(10 * time.Minute)
		d.work(t)
	}
	for _, s := range d.shops {
		d.subscribed(t, s)
	}
	stop()
	wg.Wait()
	d.work(t)
	d.settle(t, known)
}

// keep looks after the subscriptions every hour, as the role does.
func (d *day) keep(ctx context.Context) {
	for ctx.Err() == nil {
		for _, s := range d.shops {
			if s.conn.Webhooks != nil {
				_ = s.conn.Webhooks.EnsureWebhooks(ctx, hooked(s.platform, s.account)) // it is tried again
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Hour):
		}
	}
}

// subscribed says that the platform sends everything that it is meant to, and that it had given
// up some of that within its outage.
func (d *day) subscribed(t *testing.T, s *shop) {
	p, ok := s.player.(interface{ Subscriptions() int })
	if !ok {
		return
	}
	before := p.Subscriptions()
	if err := s.conn.Webhooks.EnsureWebhooks(t.Context(), hooked(s.platform, s.account)); err != nil {
		t.Errorf("%s: %v", s.platform, err)
	}
	if after := p.Subscriptions(); before != after || before == 0 {
		t.Errorf("%s had %d subscriptions left of %d", s.platform, before, after)
	}
	var retried, given, off int64
	switch p := s.player.(type) {
	case *shopifyPlayer:
		retried, given = p.Stats().WebhooksRetried, p.Stats().WebhooksGivenUp
	case *wooPlayer:
		given, off, retried = p.Stats().WebhooksGivenUp, p.Stats().WebhooksDisabled, 1
	case *ebayPlayer:
		retried, given = p.Stats().WebhooksRetried, 1 // the pauses are long: none is given up within an outage
	default:
		return
	}
	t.Logf("%s: webhooks tried again: %d, given up: %d, subscriptions switched off: %d", s.platform, retried, given, off)
	if retried == 0 || given == 0 {
		t.Errorf("%s: the outage did nothing to its webhooks", s.platform)
	}
}

// book is what a platform's books say of an order; what it does not know of is as the order says.
type book struct {
	total, refunded int64
	cancelled       bool
}

// settle compares what we know with the books: the simulators' own, and what is read of them
// anew, by connectors that know nothing yet and without any trouble.
func (d *day) settle(t *testing.T, known listings) {
	afresh := newHouse(t, d.shops, known)
	for _, s := range d.shops {
		var raws []connectors.Raw
		again := open(t, s.platform, s.currency, setup{clock: &clock{}, limiter: free{}, of: s})
		req := connectors.PollRequest{Start: d.start.Add(-time.Hour), Settle: time.Second}
		for more := true; more; {
			res, err := again.conn.Poll[connectors.Orders].Poll(t.Context(), req, func(r connectors.Raw) error { raws = append(raws, r); return nil })
			if err != nil {
				t.Fatalf("%s: %v", s.platform, err)
			}
			req.Cursor, more = res.Cursor, res.More
		}
		afresh.take(t, s, "poll", raws...)
	}
	compared := map[string]int{}
	orders := func(h *house) map[string]*event.Order {
		m := map[string]*event.Order{}
		h.orders.Entries(h.room.Table(), func(id string, v stream.Message) { m[id] = v.(*event.Order) })
		return m
	}
	got, want := orders(d.house), orders(afresh)
	for _, s := range d.shops {
		books := booksOf(s)
		for id, b := range books {
			o := got[s.account+"/"+id]
			if o == nil {
				t.Errorf("%s: order %s is missing", s.platform, id)
				continue
			}
			compared[s.platform]++
			said := book{o.Total.GetMinor(), 0, o.Status == event.OrderStatus_ORDER_STATUS_CANCELLED}
			for _, r := range o.Refunds {
				said.refunded += r.Total.GetMinor()
			}
			if said != b {
				t.Errorf("%s: order %s: %+v, the books say %+v", s.platform, id, said, b)
			}
		}
		for id, o := range got {
			if _, ok := books[o.Id]; o.Account == s.account && !ok {
				t.Errorf("%s: order %s is in no book", s.platform, id)
			}
		}
	}
	for id, o := range got {
		if was, is := stateOf(want[id]), stateOf(o); !proto.Equal(was, is) {
			t.Errorf("order %s is not in its last state (-read anew +ours):\n%s", id, gocmp.Diff(was, is, protocmp.Transform()))
			break
		}
	}
	t.Logf("compared %v; records by path %v", compared, d.paths)
	for _, s := range d.shops {
		if compared[s.platform] < 150 {
			t.Errorf("only %d orders of %s were compared", compared[s.platform], s.platform)
		}
		if s.conn.Receive != nil && d.paths[s.platform+"/webhook"] < 100 && s.platform != "amazon" {
			t.Errorf("%s: %d records came by webhook", s.platform, d.paths[s.platform+"/webhook"])
		}
	}
}

// stateOf is an order without how we came to know it.
func stateOf(o *event.Order) *event.Order {
	if o == nil {
		return nil
	}
	o = proto.Clone(o).(*event.Order)
	o.Version, o.Origin = nil, nil
	for _, r := range o.Refunds {
		r.Origin = nil
	}
	return o
}

// booksOf is what a simulator says of its orders, as far as the platform tells of them at all.
func booksOf(s *shop) map[string]book {
	m := map[string]book{}
	switch p := s.player.(type) {
	case *shopifyPlayer:
		for o := range p.Orders() {
			b := book{o.Total, 0, o.Cancelled}
			for _, r := range o.Refunds {
				b.refunded += r.Total
			}
			m[fmt.Sprint(o.ID)] = b
		}
	case *wooPlayer:
		for o := range p.Orders() {
			b := book{o.Total, 0, o.Status == "cancelled"}
			for _, r := range o.Refunds {
				b.refunded += r.Total
			}
			m[fmt.Sprint(o.ID)] = b
		}
	case *magentoPlayer:
		for o := range p.Orders() {
			b := book{o.Total, 0, o.Cancelled}
			for _, r := range o.Refunds {
				b.refunded += r.Total
			}
			m[fmt.Sprint(o.ID)] = b
		}
	case *amazonPlayer:
		for o := range p.Orders() {
			b := book{o.Total, 0, o.Cancelled}
			if o.Status == "PENDING" {
				b.total = 0 // amounts are told when it is paid
			}
			m[o.ID] = b
		}
	case *ebayPlayer:
		for o := range p.Orders() {
			if !o.Paid {
				continue // eBay tells of completed checkouts alone
			}
			b := book{o.Total, 0, o.Cancelled}
			for _, r := range o.Refunds {
				b.refunded += r.Total
			}
			m[o.ID] = b
		}
	}
	return m
}
