package dev

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/helloword/crossdock/cmd/crossdock/shops"
	"github.com/helloword/crossdock/cmd/crossdock/simulate"
	"github.com/helloword/crossdock/connectors"
	depotsim "github.com/helloword/crossdock/connectors/warehouse/simulator"
)

// Trade runs made-up trade on two shops, or one on each platform that is named, until ctx ends:
// what `crossdock dev` shows.
func Trade(ctx context.Context, o Options) error {
	seats, err := seatsOf(o.Channels, "shop-uk", "shop-de")
	if err != nil {
		return err
	}
	st, err := set(ctx, o, seats, "EUR", nil)
	if err != nil {
		return err
	}
	y := &year{stage: st}
	for _, sh := range y.shops {
		for _, g := range simulate.Goods {
			if err := sh.Offer(shops.Good{SKU: g.SKU, Title: g.Title, Price: g.Price}); err != nil {
				return errors.Join(fmt.Errorf("%s: %w", sh.account, err), st.strike())
			}
		}
	}
	err = st.play(ctx, func(ctx context.Context) error {
		for _, a := range [][2]string{
			{"webhooks", "http://" + st.addrs.webhook + "/webhooks/" + seats[0].platform + "/" + seats[0].account},
			{"metrics", "http://" + st.addrs.telemetry + "/metrics"},
			{"health", "http://" + st.addrs.telemetry + "/readyz"},
			{"clickhouse", "http://" + st.addrs.clickhouse + "/?database=" + st.cfg.Scope().Database() + "&query=SELECT+count()+FROM+orders+FINAL"},
			{"kafka", st.addrs.kafka + " (development broker)"},
			{"redis", st.addrs.redis + " (development cache)"},
			{"look", "crossdock --config " + st.config() + " trace " + seats[0].account + "/ORDER (or lag, or dlq list)"},
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

// trade places an order now and then on some shop, cancels some, and receives goods.
func (y *year) trade(ctx context.Context) error {
	// Orders of an earlier run with the same data folder have other ids: names tell them apart.
	run := time.Now().Unix()
	rng := rand.New(rand.NewPCG(uint64(run), 1))
	var opening []depotsim.Entry
	for _, g := range simulate.Goods {
		opening = append(opening, depotsim.Entry{Kind: "opening", ID: "opening/" + g.SKU, SKU: g.SKU, Warehouse: depotName, Quantity: 500, OccurredAt: time.Now()})
	}
	if err := y.app.Poller.Now(ctx, ratesAccount, connectors.RateDays); err != nil {
		return ended(ctx, err)
	}
	if err := y.stage.depot.Send(ctx, opening...); err != nil {
		return ended(ctx, err)
	}
	for _, sh := range y.shops {
		if err := y.reconcile(ctx, sh, connectors.Products); err != nil {
			return ended(ctx, err)
		}
	}
	if err := y.subscribe(); err != nil {
		return err
	}
	tick := time.NewTicker(150 * time.Millisecond)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		i := rng.IntN(len(y.shops))
		// Paid, where what is paid can be cancelled.
		order := shops.Order{Name: fmt.Sprintf("#%d-%d", run%100_000, n), At: time.Now(), Paid: y.shops[i].Traits().CancelsPaid}
		for range 1 + rng.IntN(3) {
			g := simulate.Goods[rng.IntN(len(simulate.Goods))]
			order.Lines = append(order.Lines, shops.Line{SKU: g.SKU, Title: g.Title, Quantity: 1 + rng.Int64N(2)})
		}
		id, err := y.shops[i].Place(order)
		if err != nil {
			return err
		}
		y.played.Add(1)
		if n%9 == 0 {
			if err := y.shops[i].Cancel(id); err != nil {
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
