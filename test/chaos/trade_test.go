package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	shopsim "github.com/helloword/crossdock/connectors/shopify/simulator"
	depotsim "github.com/helloword/crossdock/connectors/warehouse/simulator"
)

// trade is what happens outside, and the arithmetic of it: it never asks the pipeline.
type trade struct {
	t     *testing.T
	shops []*shop
	depot *depotsim.Warehouse
	rates string
	gate  *gate

	rng      *rand.Rand
	products []string
	// shelf is what can be promised of each SKU, below zero where more was written off than
	// there was.
	shelf   map[string]int64
	orders  []placed
	asks    []asked
	people  []*person
	entries int
	steps   int
	// ticks counts the steps for those who watch.
	ticks atomic.Int64
}

// shop is one simulated shop behind its ledger.
type shop struct {
	*ledger
	url      string
	products []int64 // that are renamed now and then
	variants map[string]int64
}

// placed is an order that trade may come back to.
type placed struct {
	shop      *shop
	id        int64
	cancelled bool
}

// scarce is written off beyond what there is, and never sold.
const scarce = "SCARCE"

// open offers the goods and counts them in.
func (tr *trade) open(ctx context.Context) error {
	tr.rng = rand.New(rand.NewPCG(7, 11))
	var opening []depotsim.Entry
	for i := range 24 {
		tr.products = append(tr.products, fmt.Sprintf("SKU-%02d", i))
	}
	for _, sh := range tr.shops {
		sh.variants = make(map[string]int64)
		for _, sku := range slices.Concat(tr.products, priced, []string{scarce}) {
			p := sh.AddProduct(shopsim.ProductSpec{Title: "Goods " + sku, Variants: []shopsim.VariantSpec{{SKU: sku, Price: "12.34", Tracked: true}}})
			sh.variants[sku] = p.Variants[0]
			if !slices.Contains(priced, sku) {
				sh.products = append(sh.products, p.ID)
			}
			sh.ledger.mu.Lock()
			sh.items[fmt.Sprintf("gid://shopify/InventoryItem/%d", p.Items[0])] = sku
			sh.ledger.mu.Unlock()
		}
	}
	for _, sku := range slices.Concat(tr.products, priced, []string{scarce}) {
		n := int64(100_000)
		if sku == scarce {
			n = 10
		}
		opening = append(opening, tr.entry("opening", sku, n))
	}
	return tr.depot.Send(ctx, opening...)
}

// entry is one of the warehouse, counted at once: it is sent until it is taken.
func (tr *trade) entry(kind, sku string, n int64) depotsim.Entry {
	tr.entries++
	if kind == "write_off" {
		tr.shelf[sku] -= n
	} else {
		tr.shelf[sku] += n
	}
	return depotsim.Entry{Kind: kind, ID: fmt.Sprintf("%s/%d", kind, tr.entries), SKU: sku, Warehouse: "main", Quantity: n, OccurredAt: time.Now()}
}

// during trades for as long as f runs.
func (tr *trade) during(f func()) {
	tr.t.Helper()
	ctx, stop := context.WithCancel(tr.t.Context())
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() { failed = tr.run(ctx) })
	defer func() {
		stop()
		wg.Wait()
		if failed != nil {
			tr.t.Errorf("trading: %v", failed)
		}
	}()
	f()
}

// goOn waits until trade has gone on for some steps.
func (tr *trade) goOn(t *testing.T, steps int64) {
	t.Helper()
	to := tr.ticks.Load() + steps
	until(t, 2*time.Minute, "trade goes on", func() bool { return tr.ticks.Load() >= to })
}

// run trades at a steady pace until ctx ends.
func (tr *trade) run(ctx context.Context) error {
	entries := make(chan depotsim.Entry, 1000)
	var wg sync.WaitGroup
	var depot error
	wg.Go(func() {
		for e := range entries {
			// What was counted is sent, also after trade has stopped.
			if err := tr.depot.Send(context.WithoutCancel(ctx), e); err != nil && depot == nil {
				depot = err
			}
		}
	})
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var err error
	for ctx.Err() == nil && err == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			err = tr.step(entries)
		}
	}
	close(entries)
	wg.Wait()
	return errors.Join(err, depot)
}

// step is one thing that happens in a shop, and now and then one in the warehouse, one that the
// back office asks for, and one that the law does.
func (tr *trade) step(entries chan<- depotsim.Entry) error {
	tr.steps++
	tr.ticks.Add(1)
	sku := tr.products[tr.rng.IntN(len(tr.products))]
	switch {
	case tr.steps%7 == 0:
		entries <- tr.entry("receipt", sku, 1+tr.rng.Int64N(20))
	case tr.steps%11 == 0:
		entries <- tr.entry("write_off", sku, 1+tr.rng.Int64N(5))
	case tr.steps%97 == 0:
		entries <- tr.entry("write_off", scarce, 3)
	}
	if tr.steps%10 == 0 {
		sh := tr.shops[tr.rng.IntN(len(tr.shops))]
		if err := sh.UpdateProduct(sh.products[tr.rng.IntN(len(sh.products))], fmt.Sprintf("Goods, edition %d", tr.steps), "12.34"); err != nil {
			return err
		}
	}
	if tr.steps%askEvery == 0 {
		if err := tr.ask(entries); err != nil {
			return err
		}
	}
	if err := tr.mind(); err != nil {
		return err
	}
	if len(tr.orders) == 0 || tr.rng.IntN(3) > 0 {
		return tr.place()
	}
	// One of the last orders is changed.
	o := &tr.orders[len(tr.orders)-1-tr.rng.IntN(min(len(tr.orders), 60))]
	if o.cancelled {
		return nil
	}
	return tr.change(o)
}

func (tr *trade) line() shopsim.LineSpec {
	sku := tr.products[tr.rng.IntN(len(tr.products))]
	return shopsim.LineSpec{SKU: sku, Quantity: 1 + tr.rng.Int64N(4), Price: fmt.Sprintf("%d.%02d", 1+tr.rng.IntN(60), tr.rng.IntN(100))}
}

// sell takes lines off the shelf.
func (tr *trade) sell(sh *shop, lines []shopsim.LineSpec) {
	for i := range lines {
		lines[i].Variant = sh.variants[lines[i].SKU]
		tr.shelf[lines[i].SKU] -= lines[i].Quantity
	}
}

func (tr *trade) place() error {
	sh := tr.shops[tr.rng.IntN(len(tr.shops))]
	spec := shopsim.OrderSpec{
		Name: fmt.Sprintf("#%s-%d", sh.account, len(tr.orders)+1), At: time.Now(), Paid: true,
		Customer: &shopsim.Customer{ID: 1 + tr.rng.Int64N(50), FirstName: "A", LastName: "Buyer"},
		Shipping: &shopsim.Address{FirstName: "A", LastName: "Buyer", Country: "United Kingdom", CountryCode: "GB"},
	}
	for range 1 + tr.rng.IntN(4) {
		spec.Lines = append(spec.Lines, tr.line())
	}
	tr.sell(sh, spec.Lines)
	id, err := sh.PlaceOrder(spec)
	tr.orders = append(tr.orders, placed{shop: sh, id: id})
	return err
}

// change edits, ships, refunds or cancels an order.
func (tr *trade) change(o *placed) error {
	truth, ok := o.shop.Order(o.id)
	if !ok {
		return fmt.Errorf("order %d is not there", o.id)
	}
	var open int64
	var left []shopsim.Line
	for _, l := range truth.Lines {
		open += l.Current - l.Fulfilled
		if l.Current > 0 {
			left = append(left, l)
		}
	}
	switch k := tr.rng.IntN(10); {
	case k < 3:
		lines := []shopsim.LineSpec{tr.line()}
		tr.sell(o.shop, lines)
		return o.shop.EditOrder(o.id, lines, time.Now())
	case k < 5 && open > 0:
		return o.shop.Fulfil(o.id, shopsim.FulfilSpec{At: time.Now()})
	case k < 9 && len(left) > 0:
		l := left[tr.rng.IntN(len(left))]
		restock := "cancel"
		if l.Fulfilled > 0 {
			restock = "return"
		}
		n := 1 + tr.rng.Int64N(l.Current)
		tr.shelf[l.SKU] += n
		_, err := o.shop.Refund(o.id, shopsim.RefundSpec{At: time.Now(), Note: "changed their mind", Lines: []shopsim.RefundLineSpec{{Line: l.ID, Quantity: n, Restock: restock}}})
		return err
	case k == 9 && !o.cancelled:
		for _, l := range truth.Lines {
			if n := l.Current - l.Fulfilled; n > 0 {
				tr.shelf[l.SKU] += n
			}
		}
		o.cancelled = true
		return o.shop.Cancel(o.id, "customer", true, time.Now())
	}
	return nil
}
