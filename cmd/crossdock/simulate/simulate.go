// Package simulate runs the simulator of one platform alone, with goods and, if wanted, with
// trade: to learn what a connection does, and to test a configuration without an account.
//
// In: the name of a platform and what is to happen in its shop. Out: an address on this
// machine, the connection that a configuration file needs for it, and a line for each thing
// that happens. Keeps everything in memory: when it ends, the shop never was.
package simulate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/helloword/crossdock/cmd/crossdock/shops"
)

// Options of a run.
type Options struct {
	// Listen address; only loopback is allowed.
	Listen string
	// Webhooks is where the platform delivers; empty = nowhere.
	Webhooks string
	// Every is the pause between two orders; 0 = nobody buys.
	Every time.Duration
	// Faults as "name=probability,name"; the names are those of the platform's simulator.
	Faults string
	// Currency of the shop.
	Currency string
	// Seed of everything that is random.
	Seed uint64
	// Out is told what happens.
	Out io.Writer
}

// Secret is what the simulated shops sign and authenticate with: it guards nothing.
const Secret = "simulated-secret"

// SecretVariable is the environment variable that the printed connection refers to.
const SecretVariable = "CROSSDOCK_SIMULATED_SECRET" //nolint:gosec // a name

// Good is one article of the made-up trade.
type Good struct{ SKU, Title, Price string }

// Goods are what every simulated shop sells.
var Goods = []Good{
	{"MUG-BLUE", "Mug, blue", "9.90"}, {"MUG-RED", "Mug, red", "9.90"}, {"LAMP-OAK", "Desk lamp, oak", "64.00"},
	{"SCARF-WOOL", "Scarf, wool", "29.50"}, {"TRAY-TIN", "Tray, tin", "12.25"}, {"CLOCK-WALL", "Wall clock", "45.00"},
	{"BAG-LINEN", "Bag, linen", "18.75"}, {"CANDLE-6", "Candles, box of six", "14.40"},
}

// opening is how many of each good a shop has at first.
const opening = 500

// Platforms are the names of those that can be run, sorted.
func Platforms() []string { return shops.Platforms() }

// Running is a simulated shop that serves.
type Running struct {
	Platform, Address string
	till              *till
	stop              func()
}

// Start opens a shop, fills it, and lets it serve at o.Listen until Stop.
func Start(platform string, o Options) (*Running, error) {
	if err := loopback(o.Listen); err != nil {
		return nil, err
	}
	s, err := shops.Open(platform, shops.Spec{Currency: o.Currency, Secret: Secret, Reference: "env:" + SecretVariable, Seed: o.Seed, Faults: o.Faults})
	if err != nil {
		return nil, err
	}
	for _, g := range Goods {
		if err := s.Offer(shops.Good{SKU: g.SKU, Title: g.Title, Price: g.Price, Quantity: opening}); err != nil {
			s.Close()
			return nil, fmt.Errorf("filling the shop: %w", err)
		}
	}
	l, err := net.Listen("tcp", o.Listen)
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("listening: %w: choose another address with --listen", err)
	}
	t := &till{Shop: s, out: o.Out}
	srv := &http.Server{Handler: t, ReadHeaderTimeout: 5 * time.Second}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(l) })
	r := &Running{Platform: platform, Address: "http://" + l.Addr().String(), till: t}
	r.stop = func() { _ = srv.Close(); wg.Wait(); s.Close() }
	return r, nil
}

// Stop ends it; nothing of it remains.
func (r *Running) Stop() { r.stop() }

// Subscribe lets the platform deliver its webhooks to an address, where it has any.
func (r *Running) Subscribe(address string) error { return r.till.Subscribe(address) }

// Sell places one order, and returns what the platform calls it.
func (r *Running) Sell(g Good, quantity int64) (order string, err error) {
	return r.till.sell(g, quantity)
}

// Shown is how many of a SKU the shop offers.
func (r *Running) Shown(sku string) int64 { return r.till.Shown(sku) }

// Connection is the connection of a configuration file under a name, indented as it stands
// below "connections".
func (r *Running) Connection(name string) string {
	text := "  " + name + ":\n"
	for line := range strings.Lines(r.till.Connection(r.Address)) {
		text += "    " + line
	}
	return text
}

// Run runs a platform until ctx ends. started is called with its address once it serves.
func Run(ctx context.Context, platform string, o Options, started func(address string)) error {
	r, err := Start(platform, o)
	if err != nil {
		return err
	}
	defer r.Stop()
	if o.Webhooks != "" {
		if err := r.Subscribe(o.Webhooks); err != nil {
			return fmt.Errorf("subscribing %s: %w", o.Webhooks, err)
		}
	}
	fmt.Fprintf(o.Out, "A simulated %s serves at %s. Its connection in crossdock.yaml:\n\nenvironment: test\nconnections:\n%s\nand in the environment: export %s=%s\n\n",
		platform, r.Address, r.Connection("shop"), SecretVariable, Secret)
	if started != nil {
		started(r.Address)
	}
	return r.till.trade(ctx, o)
}

// loopback refuses addresses that others can reach: whoever knows the printed secret would be
// let in.
func loopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("--listen %q: want HOST:PORT, for example 127.0.0.1:8450", address)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("--listen %q: a simulator listens on this machine only, for example 127.0.0.1:8450", address)
	}
	return nil
}

// till counts what is asked of the shop, and sells.
type till struct {
	shops.Shop
	out io.Writer

	mu    sync.Mutex
	calls map[string]int
}

func (t *till) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	if t.calls == nil {
		t.calls = make(map[string]int)
	}
	t.calls[r.Method]++
	t.mu.Unlock()
	t.Shop.ServeHTTP(w, r)
}

// counted is what was asked so far, "12 GET, 3 POST".
func (t *till) counted() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var parts []string
	for m, n := range t.calls {
		parts = append(parts, fmt.Sprintf("%d %s", n, m))
	}
	if parts == nil {
		return "none"
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// sell places one order of a good, paid where a paid order can be cancelled, and returns the
// platform's name of it.
func (t *till) sell(g Good, quantity int64) (order string, err error) {
	if t.Shown(g.SKU) < quantity {
		return "", errSoldOut
	}
	return t.Place(shops.Order{Paid: t.Traits().CancelsPaid, Lines: []shops.Line{{SKU: g.SKU, Title: g.Title, Quantity: quantity}}})
}

// trade sells until ctx ends; every ninth order is cancelled.
func (t *till) trade(ctx context.Context, o Options) error {
	if o.Every <= 0 {
		<-ctx.Done()
		fmt.Fprintf(t.out, "ended; calls: %s\n", t.counted())
		return nil
	}
	rng := rand.New(rand.NewPCG(o.Seed, 2))
	tick := time.NewTicker(o.Every)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			fmt.Fprintf(t.out, "ended; calls: %s\n", t.counted())
			return nil
		case <-tick.C:
		}
		g := Goods[rng.IntN(len(Goods))]
		quantity := 1 + rng.Int64N(3)
		order, err := t.sell(g, quantity)
		switch {
		case errors.Is(err, errSoldOut):
			fmt.Fprintf(t.out, "%s is sold out\n", g.SKU)
			continue
		case err != nil:
			return fmt.Errorf("selling %s: %w", g.SKU, err)
		}
		fmt.Fprintf(t.out, "order %s: %d × %s at %s; calls so far: %s\n", order, quantity, g.SKU, g.Price, t.counted())
		if n%9 == 0 {
			if err := t.Cancel(order); err != nil {
				return fmt.Errorf("cancelling %s: %w", order, err)
			}
			fmt.Fprintf(t.out, "order %s: cancelled\n", order)
		}
	}
}

// errSoldOut: the shop shows none.
var errSoldOut = errors.New("sold out")
