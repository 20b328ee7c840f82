package dev

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/helloword/crossdock/cmd/crossdock/retail"
	"github.com/helloword/crossdock/cmd/crossdock/shops"
	"github.com/helloword/crossdock/connectors"
	depotsim "github.com/helloword/crossdock/connectors/warehouse/simulator"
)

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
	// prices that the shops list, by SKU.
	prices map[string]string
	// queues[shop] is what happens there, in the order of time.
	queues [][]func(context.Context) error
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
	seats, err := seatsOf(o.Channels, groups...)
	if err != nil {
		return nil, err
	}
	y := &year{year: file, figures: file.Figures(), prices: file.ListPrices()}
	st, err := set(ctx, o, seats, "GBP", y.services())
	if err != nil {
		return nil, err
	}
	y.stage = st
	// Before anybody asks: goods stand in a shop before it opens.
	if err := y.stock(); err != nil {
		return nil, errors.Join(err, st.strike())
	}
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
	y.plan()
	y.say("%d lines: %d orders on %d shops, %d SKUs", y.year.Rows, y.figures.Orders, len(y.shops), len(y.figures.Levels))
	if err := y.prepare(ctx); err != nil {
		return err
	}
	if err := y.subscribe(); err != nil {
		return err
	}
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
	sh, queue := y.shops[i], y.queues[i]
	g, trade := errgroup.WithContext(ctx)
	played := make(chan struct{})
	if !sh.Traits().Told {
		g.Go(func() error { return y.keepPolling(trade, sh, played) })
	}
	g.Go(func() error {
		defer close(played)
		for n, do := range queue {
			if trade.Err() != nil {
				return trade.Err()
			}
			if err := do(trade); err != nil {
				return fmt.Errorf("%s: %w", sh.account, err)
			}
			queue[n] = nil // the shop has it now
			y.played.Add(1)
		}
		return sh.Drain(trade)
	})
	if err := g.Wait(); err != nil {
		return err
	}
	return y.reconcile(ctx, sh, connectors.Orders)
}

// between is the pause between two polls of a shop that does not tell everything by webhooks.
const between = 2 * time.Second

// keepPolling polls a shop's orders until all was played.
func (y *year) keepPolling(ctx context.Context, sh *shop, played <-chan struct{}) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-played:
			return nil
		case <-time.After(between):
		}
		if err := y.poll(ctx, sh.account, connectors.Orders); err != nil {
			return err
		}
	}
}

// reconcile polls everything that has happened on a shop so far.
func (y *year) reconcile(ctx context.Context, sh *shop, name connectors.Subject) error {
	if err := sh.Settle(ctx); err != nil {
		return err
	}
	looks := 1
	if name == connectors.Products {
		looks = sh.Traits().Looks
	}
	for range looks {
		if err := y.poll(ctx, sh.account, name); err != nil {
			return err
		}
	}
	return nil
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
func (y *year) stock() error {
	for _, sh := range y.shops {
		for sku, price := range y.prices {
			if err := sh.Offer(shops.Good{SKU: sku, Title: y.title(sku), Price: price, Service: !retail.Goods(sku)}); err != nil {
				return fmt.Errorf("%s: %w", sh.account, err)
			}
		}
	}
	return nil
}

// services are the codes of the file that are no goods.
func (y *year) services() (codes []string) {
	for sku := range y.prices {
		if !retail.Goods(sku) {
			codes = append(codes, sku)
		}
	}
	slices.Sort(codes)
	return codes
}

// shopOf is the shop where a country buys.
func (y *year) shopOf(country string) int {
	if len(y.opts.Channels) > 0 {
		return channelOf(country, len(y.shops))
	}
	return groupOf(country)
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
	y.queues = make([][]func(context.Context) error, len(y.shops))
	book := retail.NewBook()
	sold := make(map[string]*sale) // by invoice
	y.begin = y.year.Events[0].At.Add(-24 * time.Hour)
	add := func(shop int, f func(context.Context) error) {
		y.queues[shop] = append(y.queues[shop], f)
		y.total.Add(1)
	}
	for _, e := range y.year.Events {
		switch e.Kind {
		case retail.Sale:
			book.Sell(e)
			s := &sale{shop: y.shopOf(e.Country), event: e}
			sold[e.Invoice] = s
			add(s.shop, func(context.Context) (err error) {
				s.id, err = y.shops[s.shop].Place(y.order(s.event))
				s.event = nil
				return err
			})
		case retail.Edit:
			book.Sell(e)
			s := sold[e.Invoice]
			if !y.shops[s.shop].Traits().Edits {
				// Where nothing can be added to an order, it was all ordered at once.
				s.event.Lines = append(s.event.Lines, e.Lines...)
				continue
			}
			add(s.shop, func(context.Context) error { return y.shops[s.shop].Edit(s.id, y.lines(e), e.At) })
		case retail.Return:
			y.planReturn(book, sold, e, add)
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

// sale is an order of the file: where it was sold, and how it is called there once it is placed.
type sale struct {
	shop  int
	event *retail.Event
	id    string
}

// share is what of a credit note belongs to one order.
type share struct {
	invoice string
	refund  shops.Refund
	skus    []string // of the parts
	numbers []string // of the credit note's lines, of the parts
	lines   []string // the same, each once
}

// planReturn sends a credit note's lines to the orders they belong to, one refund an order; a
// line that no order explains goes to the depot's shelf of unmatched returns.
func (y *year) planReturn(book *retail.Book, sold map[string]*sale, e *retail.Event, add func(int, func(context.Context) error)) {
	shares := make(map[string]*share)
	var inOrder []*share
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
				s = &share{invoice: p.Invoice, refund: shops.Refund{At: e.At}}
				shares[p.Invoice] = s
				inOrder = append(inOrder, s)
			}
			s.refund.Parts = append(s.refund.Parts, shops.Part{Line: p.Line, Quantity: p.Quantity, Minor: p.Minor})
			s.skus, s.numbers = append(s.skus, l.SKU), append(s.numbers, strconv.Itoa(l.Number))
			if n := strconv.Itoa(l.Number); len(s.lines) == 0 || s.lines[len(s.lines)-1] != n {
				s.lines = append(s.lines, n)
			}
		}
	}
	for _, s := range inOrder {
		s.refund.Note = e.Invoice + "#" + strings.Join(s.lines, "+")
		of := sold[s.invoice]
		add(of.shop, func(ctx context.Context) error {
			told, err := y.shops[of.shop].Refund(of.id, s.refund)
			if err != nil {
				return fmt.Errorf("credit note %s of invoice %s: %w", e.Invoice, s.invoice, err)
			}
			return y.stage.depot.Send(ctx, y.untold(e.Invoice, of, s, told)...)
		})
	}
}

// untold is what the back office says of a refund, part by part, because the platform does not:
// that goods are on the shelf again, money beyond what the platform gives back, which it gives for
// the first parts, and the number of the note.
func (y *year) untold(note string, of *sale, s *share, told shops.Told) (entries []depotsim.Entry) {
	given := told.Minor
	for i, p := range s.refund.Parts {
		rest := p.Minor - min(p.Minor, given)
		given -= p.Minor - rest
		goods := !told.Goods && retail.Goods(s.skus[i])
		if !goods && rest == 0 && told.Note {
			continue
		}
		e := depotsim.Entry{
			Kind: "return", ID: fmt.Sprintf("%s/%s/%d", note, s.invoice, i), OccurredAt: s.refund.At, Reference: note + "#" + s.numbers[i],
			Request: &depotsim.Request{Account: y.shops[of.shop].account, Order: of.id},
		}
		if goods {
			e.SKU, e.Warehouse, e.Quantity = s.skus[i], depotName, p.Quantity
		}
		if rest > 0 || !goods {
			e.Amount = &depotsim.Amount{Text: pence(rest), Currency: "GBP"}
		}
		entries = append(entries, e)
	}
	return entries
}

// pence is an amount as decimal text.
func pence(minor int64) string {
	return fmt.Sprintf("%d.%02d", minor/100, minor%100)
}

func (y *year) order(e *retail.Event) shops.Order {
	o := shops.Order{Name: e.Invoice, At: e.At, Paid: true, Lines: y.lines(e)}
	if id, err := strconv.ParseInt(e.Customer, 10, 64); err == nil {
		o.Buyer = id
	}
	if iso := isoCountry[e.Country]; iso != "" {
		o.Country, o.CountryCode = e.Country, iso
	}
	return o
}

func (y *year) lines(e *retail.Event) []shops.Line {
	lines := make([]shops.Line, len(e.Lines))
	for i, l := range e.Lines {
		lines[i] = shops.Line{SKU: l.SKU, Title: y.title(l.SKU), Quantity: l.Quantity, Price: l.PriceText}
	}
	return lines
}
