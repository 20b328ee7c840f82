package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/helloword/crossdock/cmd/crossdock/config"
	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/shopify"
	shopsim "github.com/helloword/crossdock/connectors/shopify/simulator"
	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// ordersPerSecond is the steady load of the end-to-end measurement.
const ordersPerSecond = 200

// opening stock of each SKU of the end-to-end measurement.
const opening = 100_000

// endToEnd is the time from a sale's accepted webhook on one shop to the accepted write of the
// new quantity on the other one, all roles running.
func (r *runner) endToEnd(ctx context.Context) (err error) {
	r.say("end to end: %d orders/s for %s", ordersPerSecond, r.For)
	addr, err := freeAddress()
	if err != nil {
		return err
	}
	c := &clock{sales: make(map[int64]sale), waiting: make(map[string][]sale)}
	shop := func(name string, location int64, client *http.Client) *shopsim.Simulator {
		return shopsim.New(shopsim.Config{
			Shop: name + ".myshopify.com", Currency: "GBP", ClientID: "bench", ClientSecret: secret, LocationID: location,
			MaximumAvailable: 1e9, RestoreRate: 1e9, MaxQueryCost: 1e9, Workers: 16, HTTP: client,
		})
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	defer transport.CloseIdleConnections()
	seller := shop("seller", 1000, &http.Client{Transport: accepted{transport, c}})
	defer seller.Close()
	other := shop("other", 1001, nil)
	defer other.Close()
	urls, stop, err := serve(seller, c.written(other))
	if err != nil {
		return err
	}
	defer stop()

	w, err := r.open(ctx, "e2e", func(cfg *config.Config) error {
		cfg.Webhook.Listen = addr
		cfg.Connections = make(map[string]config.Connection)
		for i, name := range []string{"seller", "other"} {
			sc := shopify.DefaultConfig()
			sc.Shop, sc.TestBaseURL, sc.ClientID, sc.ClientSecret, sc.Currency = name+".myshopify.com", urls[i], "bench", "env:"+secretName, "GBP"
			sc.LocationID, sc.PageSize, sc.NestedPageSize = strconv.Itoa(1000+i), 100, 50
			cfg.Connections[name] = config.Connection{Connector: shopify.Name, AllowHTTP: true, Shopify: &sc}
		}
		return nil
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close(), dropDatabase(w.cfg.ClickHouseConfig())) }()
	return w.roles(ctx, nil, func(ctx context.Context) error {
		if err := waitFor(ctx, addr); err != nil {
			return err
		}
		variants, err := c.goods(ctx, w, seller, other)
		if err != nil {
			return err
		}
		seller.Subscribe("http://"+addr+"/webhooks/"+shopify.Name+"/seller", "orders/create")
		warm := min(2*time.Second, r.For/4)
		return r.profiled("e2e", func() error {
			if err := c.trade(ctx, seller, variants, warm, r.For); err != nil {
				return err
			}
			times, err := c.settled(ctx)
			if err != nil {
				return err
			}
			r.out.E2E = Latency{P50: percentile(times, 0.50), P99: percentile(times, 0.99)}
			r.say("  %d sales: p50 %.0f ms, p99 %.0f ms", len(times), r.out.E2E.P50, r.out.E2E.P99)
			return nil
		})
	})
}

// sale is one order on its way.
type sale struct {
	item     string // the other shop's inventory item
	shows    int64  // what it shows when the sale has arrived
	counted  bool   // not one of the warm-up
	accepted time.Time
}

// clock takes the time of each sale.
type clock struct {
	mu      sync.Mutex
	items   []string
	sales   map[int64]sale    // placed, by order name's number
	waiting map[string][]sale // accepted, by item
	shown   map[string]int64
	times   []time.Duration
	open    int
}

// goods puts the same SKUs on both shops and counts them in.
func (c *clock) goods(ctx context.Context, w *world, shops ...*shopsim.Simulator) (variants []int64, err error) {
	const products = 100
	var records []kafka.Record
	now := time.Now().UnixMilli()
	for i := range products {
		sku := skuName(i)
		for s, shop := range shops {
			p := shop.AddProduct(shopsim.ProductSpec{Title: title(i), Variants: []shopsim.VariantSpec{{SKU: sku, Price: "9.90", Tracked: true}}})
			if s == 0 {
				variants = append(variants, p.Variants[0])
			} else {
				c.items = append(c.items, strconv.FormatInt(p.Items[0], 10))
			}
		}
		in := &event.StockInput{Input: &event.StockInput_Move{Move: &event.StockMove{
			Sku: sku, MoveId: "adjust/bench/opening/" + sku, Kind: event.MoveKind_MOVE_KIND_OPENING,
			CauseVersion: &event.Version{Number: now}, OnHand: opening, OccurredMs: now,
		}}}
		b, err := in.MarshalVTStrict()
		if err != nil {
			return nil, err
		}
		records = append(records, kafka.Record{Topic: schemas.StockIn, Key: []byte(sku), Value: b})
	}
	if err := w.Producer.Produce(ctx, records); err != nil {
		return nil, err
	}
	for i, name := range []string{"seller", "other"} {
		if err := shops[i].Settle(ctx); err != nil {
			return nil, err
		}
		if err := w.Poller.Now(ctx, name, connectors.Products); err != nil {
			return nil, err
		}
	}
	// Trade begins when both shops show what there is.
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for _, shop := range shops {
		for l := range shop.Listings() {
			for shop.Available(l.Variant) != opening {
				select {
				case <-ctx.Done():
					return nil, fmt.Errorf("listing %d shows %d of %d: %w", l.Variant, shop.Available(l.Variant), opening, ctx.Err())
				case <-tick.C:
				}
			}
		}
	}
	return variants, nil
}

// trade places orders at a steady rate.
func (c *clock) trade(ctx context.Context, shop *shopsim.Simulator, variants []int64, warm, during time.Duration) error {
	tick := time.NewTicker(time.Second / ordersPerSecond)
	defer tick.Stop()
	left := slices.Repeat([]int64{opening}, len(variants))
	began := time.Now()
	for n := int64(0); ; n++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		since := time.Since(began)
		if since > warm+during {
			return nil
		}
		i := int(n) % len(variants)
		left[i]--
		c.mu.Lock()
		c.sales[n] = sale{item: c.items[i], shows: left[i], counted: since > warm}
		c.open++
		c.mu.Unlock()
		if _, err := shop.PlaceOrder(shopsim.OrderSpec{
			Name: strconv.FormatInt(n, 10), Paid: true, Customer: buyer, Shipping: home, Billing: home, Delivery: "4.95",
			Lines: []shopsim.LineSpec{{Variant: variants[i], Quantity: 1}},
		}); err != nil {
			return err
		}
	}
}

var buyer = &shopsim.Customer{ID: 1, FirstName: "Amelia", LastName: "Smith", Email: "amelia@example.com", Phone: "+44 7000000000"}
var home = &shopsim.Address{FirstName: "Amelia", LastName: "Smith", Address1: "1 High Street", City: "London", Zip: "E1 6AN", Country: "United Kingdom", CountryCode: "GB"}

// accepted notes when a webhook was answered 200.
type accepted struct {
	next http.RoundTripper
	c    *clock
}

func (a accepted) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer, err := a.next.RoundTrip(r)
	if err == nil && answer.StatusCode == http.StatusOK {
		at := time.Now()
		var o struct {
			Name string `json:"name"`
		}
		if json.Unmarshal(body, &o) == nil {
			a.c.took(o.Name, at)
		}
	}
	return answer, err
}

func (c *clock) took(name string, at time.Time) {
	n, err := strconv.ParseInt(name, 10, 64)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.sales[n]
	if !ok {
		return
	}
	delete(c.sales, n)
	s.accepted = at
	if shown, ok := c.shown[s.item]; ok && shown <= s.shows {
		c.done(s, at) // the write was quicker than the answer
		return
	}
	c.waiting[s.item] = append(c.waiting[s.item], s)
}

func (c *clock) done(s sale, at time.Time) {
	c.open--
	if s.counted {
		c.times = append(c.times, at.Sub(s.accepted))
	}
}

// written notes which quantities a shop has accepted.
func (c *clock) written(shop http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !bytes.Contains(body, []byte("changeFromQuantity")) {
			r.Body = io.NopCloser(bytes.NewReader(body))
			shop.ServeHTTP(w, r)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer := &recorded{ResponseWriter: w}
		shop.ServeHTTP(answer, r)
		at := time.Now()
		var in struct {
			Variables struct {
				Input struct {
					Quantities []struct {
						Item     string `json:"inventoryItemId"`
						Quantity int64  `json:"quantity"`
					} `json:"quantities"`
				} `json:"input"`
			} `json:"variables"`
		}
		if json.Unmarshal(body, &in) != nil || !bytes.Contains(answer.body.Bytes(), []byte(`"userErrors":[]`)) {
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, q := range in.Variables.Input.Quantities {
			item := path.Base(q.Item)
			if c.shown == nil {
				c.shown = make(map[string]int64)
			}
			c.shown[item] = q.Quantity
			c.waiting[item] = slices.DeleteFunc(c.waiting[item], func(s sale) bool {
				if s.shows < q.Quantity {
					return false
				}
				c.done(s, at)
				return true
			})
		}
	})
}

// recorded keeps what was answered.
type recorded struct {
	http.ResponseWriter
	body bytes.Buffer
}

func (r *recorded) Write(b []byte) (int, error) { r.body.Write(b); return r.ResponseWriter.Write(b) }

// settled waits until every sale has arrived, and returns how long each took, ascending.
func (c *clock) settled(ctx context.Context) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		c.mu.Lock()
		open, times := c.open, slices.Sorted(slices.Values(c.times))
		c.mu.Unlock()
		if open == 0 && len(times) > 0 {
			return times, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%d sales have not arrived at the other shop: %w", open, ctx.Err())
		case <-tick.C:
		}
	}
}

func percentile(ascending []time.Duration, p float64) float64 {
	i := min(int(p*float64(len(ascending))), len(ascending)-1)
	return float64(ascending[i].Microseconds()) / 1000
}

// serve gives each handler an address on this machine.
func serve(handlers ...http.Handler) (urls []string, stop func(), err error) {
	var wg sync.WaitGroup
	var servers []*http.Server
	stop = func() {
		for _, s := range servers {
			_ = s.Close()
		}
		wg.Wait()
	}
	for _, h := range handlers {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			stop()
			return nil, nil, err
		}
		s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
		servers = append(servers, s)
		wg.Go(func() { _ = s.Serve(l) })
		urls = append(urls, "http://"+l.Addr().String())
	}
	return urls, stop, nil
}
