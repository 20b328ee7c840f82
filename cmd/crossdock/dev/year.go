package dev

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/helloword/crossdock/cmd/crossdock/retail"
	"github.com/helloword/crossdock/connectors"
	shopsim "github.com/helloword/crossdock/connectors/shopify/simulator"
	depotsim "github.com/helloword/crossdock/connectors/warehouse/simulator"
)

// groups are the shops of the year: one for each group of countries.
var groups = []string{"shop-uk", "shop-ireland", "shop-europe", "shop-world"}

var europe = map[string]bool{
	"Germany": true, "France": true, "Spain": true, "Netherlands": true, "Belgium": true, "Switzerland": true,
	"Portugal": true, "Norway": true, "Italy": true, "Finland": true, "Cyprus": true, "Sweden": true, "Austria": true,
	"Denmark": true, "Poland": true, "Iceland": true, "Greece": true, "Malta": true, "European Community": true,
	"Lithuania": true, "Czech Republic": true,
}

// groupOf is the shop where a country buys.
func groupOf(country string) int {
	switch {
	case country == "United Kingdom" || country == "Channel Islands" || country == "Unspecified":
		return 0
	case country == "EIRE":
		return 1
	case europe[country]:
		return 2
	default:
		return 3
	}
}

// isoCountry of the file's names; others stay without.
var isoCountry = map[string]string{
	"United Kingdom": "GB", "EIRE": "IE", "Germany": "DE", "France": "FR", "Spain": "ES", "Netherlands": "NL",
	"Belgium": "BE", "Switzerland": "CH", "Portugal": "PT", "Australia": "AU", "Norway": "NO", "Italy": "IT",
	"Channel Islands": "JE", "Finland": "FI", "Cyprus": "CY", "Sweden": "SE", "Austria": "AT", "Denmark": "DK",
	"Poland": "PL", "Japan": "JP", "Israel": "IL", "Hong Kong": "HK", "Singapore": "SG", "Iceland": "IS", "USA": "US",
	"Canada": "CA", "Greece": "GR", "Malta": "MT", "United Arab Emirates": "AE", "RSA": "ZA", "Lebanon": "LB",
	"Lithuania": "LT", "Brazil": "BR", "Czech Republic": "CZ", "Bahrain": "BH", "Saudi Arabia": "SA",
}

// year plays the file.
type year struct {
	*stage
	year    *retail.Year
	figures retail.Figures
	// variants[shop][SKU] is what sells it there.
	variants []map[string]int64
	// queues[shop] is what happens there, in the order of time.
	queues [][]func() error
	depot  []depotsim.Entry
	// begin is before anything happens.
	begin time.Time

	total, played atomic.Int64
}

// Year plays an Online Retail file through the whole pipeline and returns what it came to.
func Year(ctx context.Context, o Options) (*Report, error) {
	began := time.Now()
	defer bound()()
	file, err := retail.Read(o.Orders)
	if err != nil {
		return nil, err
	}
	st, err := set(ctx, o, groups, "GBP")
	if err != nil {
		return nil, err
	}
	y := &year{stage: st, year: file, figures: file.Figures()}
	var report *Report
	err = st.play(ctx, func(ctx context.Context) error {
		watch := y.watch(ctx)
		err := y.script(ctx)
		if err == nil {
			report, err = y.report(ctx, began)
		}
		watch()
		if err != nil || o.Exit {
			return err
		}
		y.say("The year has been played. Everything stays up until Ctrl-C.")
		<-ctx.Done()
		return nil
	})
	return report, errors.Join(err, st.strike())
}

// The collector of the year: it may spend as much again as is in use, and works harder from
// goMemory on, which is half as much again as the year's end has in use. Less makes it collect
// all the time. What the ClickHouse engine takes comes on top.
const (
	gcPercent = 100
	goMemory  = 1200 << 20
)

// bound lowers the collector's limits, where they are not lower already. The pipeline, the
// engines and the shops share one process and one machine: garbage that waits for a collection
// is memory that the others would have.
func bound() (restore func()) {
	percent, limit := debug.SetGCPercent(gcPercent), debug.SetMemoryLimit(-1)
	if percent >= 0 && percent < gcPercent {
		debug.SetGCPercent(percent)
	}
	debug.SetMemoryLimit(min(limit, goMemory))
	return func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}
}

// script is the year: goods in, listings known, trade, and the last look by poll.
func (y *year) script(ctx context.Context) error {
	y.stock()
	y.plan()
	y.say("%d lines: %d orders on %d shops, %d SKUs", y.year.Rows, y.figures.Orders, len(y.shops), len(y.figures.Levels))
	if err := y.prepare(ctx); err != nil {
		return err
	}
	y.subscribe()
	g, play := errgroup.WithContext(ctx)
	for i := range y.queues {
		g.Go(func() error { return y.playShop(play, i) })
	}
	g.Go(func() error { return y.stage.depot.Send(play, y.depot...) })
	if err := g.Wait(); err != nil {
		return err
	}
	return y.drain(ctx)
}

// prepare brings in what was there before the year began: rates, goods on the shelf, listings.
func (y *year) prepare(ctx context.Context) error {
	g, early := errgroup.WithContext(ctx)
	g.Go(func() error { return y.poll(early, ratesAccount, connectors.RateDays) })
	// Goods are counted in before anything is offered.
	if err := y.opening(ctx); err != nil {
		return errors.Join(err, g.Wait())
	}
	for _, sh := range y.shops {
		g.Go(func() error { return y.reconcile(early, sh, connectors.Products) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	// What only looks on may catch up later.
	return y.drain(ctx, "translate", "catalog", "stock", "fx")
}

// playShop does everything that happens on one shop, then polls for what its webhooks did not
// tell.
func (y *year) playShop(ctx context.Context, i int) error {
	queue := y.queues[i]
	for n, do := range queue {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := do(); err != nil {
			return fmt.Errorf("%s: %w", y.shops[i].account, err)
		}
		queue[n] = nil // the shop has it now
		y.played.Add(1)
	}
	if err := y.shops[i].Drain(ctx); err != nil {
		return err
	}
	return y.reconcile(ctx, y.shops[i], connectors.Orders)
}

// reconcile polls everything that has happened on a shop so far.
func (y *year) reconcile(ctx context.Context, sh *shop, name connectors.Subject) error {
	if err := sh.Settle(ctx); err != nil {
		return err
	}
	return y.poll(ctx, sh.account, name)
}

// poll asks once more where an engine was too busy to answer: that is no reason to give a year up.
func (y *year) poll(ctx context.Context, account string, name connectors.Subject) error {
	var err error
	for range 3 {
		if err = y.app.Poller.Now(ctx, account, name); err == nil {
			return nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return fmt.Errorf("%s of %s: %w", name, account, err)
}

// stock puts every SKU on the shelf of every shop.
func (y *year) stock() {
	y.variants = make([]map[string]int64, len(y.shops))
	for i, sh := range y.shops {
		y.variants[i] = make(map[string]int64)
		for sku, price := range y.year.ListPrices() {
			p := sh.AddProduct(shopsim.ProductSpec{
				Title:    y.title(sku),
				Variants: []shopsim.VariantSpec{{SKU: sku, Price: price, Tracked: retail.Goods(sku)}},
			})
			y.variants[i][sku] = p.Variants[0]
		}
	}
}

func (y *year) title(sku string) string {
	if t := y.year.Titles[sku]; t != "" {
		return t
	}
	return sku
}

// opening counts in what the year will sell.
func (y *year) opening(ctx context.Context) error {
	var entries []depotsim.Entry
	for sku, n := range y.year.Sold {
		entries = append(entries, depotsim.Entry{Kind: "opening", ID: "opening/" + sku, SKU: sku, Warehouse: depotName, Quantity: n, OccurredAt: y.begin})
	}
	return y.stage.depot.Send(ctx, entries...)
}

// plan turns events into what happens on which shop. Returns are matched here, in the order
// of time over all shops; the shops only carry out. The file's events are let go of: each
// lives until it was played.
func (y *year) plan() {
	y.queues = make([][]func() error, len(y.shops))
	book := retail.NewBook()
	home := make(map[string]int)   // invoice → shop
	ids := make(map[string]*int64) // invoice → order id, known when it was placed
	y.begin = y.year.Events[0].At.Add(-24 * time.Hour)
	add := func(shop int, f func() error) {
		y.queues[shop] = append(y.queues[shop], f)
		y.total.Add(1)
	}
	for _, e := range y.year.Events {
		switch e.Kind {
		case retail.Sale:
			book.Sell(e)
			shop, id := groupOf(e.Country), new(int64)
			home[e.Invoice], ids[e.Invoice] = shop, id
			add(shop, func() (err error) {
				*id, err = y.shops[shop].PlaceOrder(y.order(shop, e))
				return err
			})
		case retail.Edit:
			book.Sell(e)
			shop, id := home[e.Invoice], ids[e.Invoice]
			add(shop, func() error { return y.shops[shop].EditOrder(*id, y.lines(shop, e), e.At) })
		case retail.Return:
			y.planReturn(book, home, ids, e, add)
		case retail.WriteOff, retail.Receipt:
			kind := "write_off"
			if e.Kind == retail.Receipt {
				kind = "receipt"
			}
			for _, l := range e.Lines {
				y.depot = append(y.depot, depotsim.Entry{
					Kind: kind, ID: entryID(e, l), SKU: l.SKU, Warehouse: depotName, Quantity: max(l.Quantity, -l.Quantity), OccurredAt: e.At, Reference: e.Invoice, Note: l.Title,
				})
			}
		case retail.Refused:
			for _, l := range e.Lines {
				// Bookkeeping that is neither an order nor goods: the translator refuses it.
				y.depot = append(y.depot, depotsim.Entry{Kind: "invoice", ID: entryID(e, l), SKU: l.SKU, Quantity: l.Quantity, OccurredAt: e.At, Reference: e.Invoice})
			}
		}
	}
	y.year.Events = nil
}

func entryID(e *retail.Event, l *retail.Line) string { return e.Invoice + "/" + strconv.Itoa(l.Number) }

// planReturn sends a credit note's lines to the orders they belong to, one refund an order; a
// line that no order explains goes to the depot's shelf of unmatched returns.
func (y *year) planReturn(book *retail.Book, home map[string]int, ids map[string]*int64, e *retail.Event, add func(int, func() error)) {
	type share struct {
		parts []retail.Part
		lines []string
	}
	shares := make(map[string]*share)
	var order []string
	for _, l := range e.Lines {
		parts := book.Return(e.Customer, l)
		if parts == nil {
			y.depot = append(y.depot, depotsim.Entry{
				Kind: "unmatched_return", ID: entryID(e, l), SKU: l.SKU, Quantity: -l.Quantity, OccurredAt: e.At,
				Reference: e.Invoice + "#" + strconv.Itoa(l.Number), BuyerID: e.Customer, Reason: "no order of this customer has enough left",
				Amount: &depotsim.Amount{Text: pence(-l.Minor), Currency: "GBP"},
			})
			continue
		}
		for _, p := range parts {
			s := shares[p.Invoice]
			if s == nil {
				s = new(share)
				shares[p.Invoice] = s
				order = append(order, p.Invoice)
			}
			s.parts = append(s.parts, p)
			if n := strconv.Itoa(l.Number); len(s.lines) == 0 || s.lines[len(s.lines)-1] != n {
				s.lines = append(s.lines, n)
			}
		}
	}
	for _, invoice := range order {
		s, shop, id := shares[invoice], home[invoice], ids[invoice]
		add(shop, func() error {
			o, ok := y.shops[shop].Order(*id)
			if !ok {
				return fmt.Errorf("order of invoice %s is not there", invoice)
			}
			spec := shopsim.RefundSpec{At: e.At, Note: e.Invoice + "#" + strings.Join(s.lines, "+")}
			for _, p := range s.parts {
				spec.Lines = append(spec.Lines, shopsim.RefundLineSpec{Line: o.Lines[p.Line].ID, Quantity: p.Quantity, Restock: "cancel", Amount: pence(p.Minor)})
			}
			_, err := y.shops[shop].Refund(*id, spec)
			return err
		})
	}
}

// pence is an amount as decimal text.
func pence(minor int64) string {
	return fmt.Sprintf("%d.%02d", minor/100, minor%100)
}

func (y *year) order(shop int, e *retail.Event) shopsim.OrderSpec {
	spec := shopsim.OrderSpec{Name: e.Invoice, At: e.At, Paid: true, SourceIdentifier: e.Invoice, Lines: y.lines(shop, e)}
	if e.Customer != "" {
		if id, err := strconv.ParseInt(e.Customer, 10, 64); err == nil {
			spec.Customer = &shopsim.Customer{ID: id, FirstName: "Customer", LastName: e.Customer}
		}
	}
	if iso := isoCountry[e.Country]; iso != "" {
		spec.Shipping = &shopsim.Address{FirstName: "Customer", LastName: e.Customer, Country: e.Country, CountryCode: iso}
	}
	return spec
}

func (y *year) lines(shop int, e *retail.Event) []shopsim.LineSpec {
	lines := make([]shopsim.LineSpec, len(e.Lines))
	for i, l := range e.Lines {
		lines[i] = shopsim.LineSpec{Variant: y.variants[shop][l.SKU], SKU: l.SKU, Title: y.title(l.SKU), Quantity: l.Quantity, Price: l.PriceText}
	}
	return lines
}
