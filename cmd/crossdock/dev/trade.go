package dev

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/helloword/crossdock/cmd/crossdock/simulate"
	"github.com/helloword/crossdock/connectors"
	shopsim "github.com/helloword/crossdock/connectors/shopify/simulator"
	depotsim "github.com/helloword/crossdock/connectors/warehouse/simulator"
)

// Trade runs made-up trade on two shops until ctx ends: what `crossdock dev` shows.
func Trade(ctx context.Context, o Options) error {
	st, err := set(ctx, o, []string{"shop-uk", "shop-de"}, "EUR")
	if err != nil {
		return err
	}
	y := &year{stage: st}
	err = st.play(ctx, func(ctx context.Context) error {
		for _, a := range [][2]string{
			{"webhooks", "http://" + st.addrs.webhook + "/webhooks/shopify/shop-uk"},
			{"metrics", "http://" + st.addrs.telemetry + "/metrics"},
			{"health", "http://" + st.addrs.telemetry + "/readyz"},
			{"clickhouse", "http://" + st.addrs.clickhouse + "/?database=" + st.cfg.Scope().Database() + "&query=SELECT+count()+FROM+orders+FINAL"},
			{"kafka", st.addrs.kafka + " (development broker)"},
			{"redis", st.addrs.redis + " (development cache)"},
			{"look", "crossdock --config " + st.config() + " trace shop-uk/ORDER (or lag, or dlq list)"},
			{"data", o.Dir},
		} {
			st.say("%-11s %s", a[0], a[1])
		}
		st.say("Trading made-up goods. Ctrl-C ends it.")
		stop := y.watchTrade(ctx)
		defer stop()
		return y.trade(ctx)
	})
	return errors.Join(err, st.strike())
}

// trade places an order now and then on either shop, refunds some, and receives goods.
func (y *year) trade(ctx context.Context) error {
	// Orders of an earlier run with the same data folder have other ids: names tell them apart.
	run := time.Now().Unix()
	rng := rand.New(rand.NewPCG(uint64(run), 1))
	y.variants = make([]map[string]int64, len(y.shops))
	var opening []depotsim.Entry
	for _, g := range simulate.Goods {
		opening = append(opening, depotsim.Entry{Kind: "opening", ID: "opening/" + g.SKU, SKU: g.SKU, Warehouse: depotName, Quantity: 500, OccurredAt: time.Now()})
		for i, sh := range y.shops {
			if y.variants[i] == nil {
				y.variants[i] = make(map[string]int64)
			}
			p := sh.AddProduct(shopsim.ProductSpec{Title: g.Title, Variants: []shopsim.VariantSpec{{SKU: g.SKU, Price: g.Price, Tracked: true}}})
			y.variants[i][g.SKU] = p.Variants[0]
		}
	}
	if err := y.app.Poller.Now(ctx, ratesAccount, connectors.RateDays); err != nil {
		return ended(ctx, err)
	}
	if err := y.stage.depot.Send(ctx, opening...); err != nil {
		return ended(ctx, err)
	}
	for _, sh := range y.shops {
		if err := sh.Settle(ctx); err != nil {
			return ended(ctx, err)
		}
		if err := y.app.Poller.Now(ctx, sh.account, connectors.Products); err != nil {
			return ended(ctx, err)
		}
	}
	y.subscribe()
	tick := time.NewTicker(150 * time.Millisecond)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		i := rng.IntN(len(y.shops))
		spec := shopsim.OrderSpec{Name: fmt.Sprintf("#%d-%d", run%100_000, n), At: time.Now(), Paid: true}
		for range 1 + rng.IntN(3) {
			g := simulate.Goods[rng.IntN(len(simulate.Goods))]
			spec.Lines = append(spec.Lines, shopsim.LineSpec{Variant: y.variants[i][g.SKU], SKU: g.SKU, Title: g.Title, Quantity: 1 + rng.Int64N(2)})
		}
		id, err := y.shops[i].PlaceOrder(spec)
		if err != nil {
			return err
		}
		y.played.Add(1)
		if n%9 == 0 {
			if err := y.shops[i].Cancel(id, "customer", true, time.Now()); err != nil {
				return err
			}
		}
		if n%40 == 0 {
			g := simulate.Goods[rng.IntN(len(simulate.Goods))]
			err := y.stage.depot.Send(ctx, depotsim.Entry{Kind: "receipt", ID: fmt.Sprintf("receipt/%d/%d", run, n), SKU: g.SKU, Warehouse: depotName, Quantity: 60, OccurredAt: time.Now()})
			if err != nil {
				return ended(ctx, err)
			}
		}
	}
}

// ended is nil when an error only says that Ctrl-C was pressed.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
