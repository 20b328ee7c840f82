package chaos

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	shopsim "github.com/helloword/crossdock/connectors/shopify/simulator"
	depotsim "github.com/helloword/crossdock/connectors/warehouse/simulator"
)

// What the seller's back office asks for: parcels, refunds, cancellations and prices. Each order
// that it asks about is left alone by everybody else, so that it is known what has to come of it.

// askEvery is how many steps of trade there are between two things that are asked for.
const askEvery = 6

// priced are goods that are never sold and only get dearer, so that an older price is one that is
// lower.
var priced = []string{"PRICED-0", "PRICED-1"}

// asked is a command, with what must have become of it.
type asked struct {
	id, kind string
	shop     *shop
	order    int64
	units    int64 // in the parcel
	minor    int64 // to be given back, or the price
	variant  int64 // of the price
}

// ask lets the back office ask for something: for two parcels of one order, a parcel and a refund
// of another, that a third is cancelled, or for a price.
func (tr *trade) ask(entries chan<- depotsim.Entry) error {
	turn := tr.steps / askEvery
	sh := tr.shops[turn/4%len(tr.shops)]
	if turn%4 == 3 {
		sku := priced[turn/8%len(priced)]
		a := asked{kind: "price", shop: sh, minor: int64(2000 + tr.steps), variant: sh.variants[sku]}
		entries <- tr.request(&a, depotsim.Entry{SKU: sku, Amount: sh.amount(a.minor)})
		return nil
	}
	o, err := tr.reserve(sh)
	if err != nil {
		return err
	}
	parcel := func(l shopsim.Line) {
		a := asked{kind: "shipment", shop: sh, order: o.ID, units: l.Quantity}
		e := tr.request(&a, depotsim.Entry{})
		e.Request.Lines, e.Request.Carrier, e.Request.Tracking = []depotsim.Line{{Line: strconv.FormatInt(l.ID, 10), Quantity: l.Quantity}}, "dhl", a.id
		entries <- e
	}
	switch turn % 4 {
	case 0:
		parcel(o.Lines[0])
		parcel(o.Lines[1])
	case 1:
		parcel(o.Lines[0])
		l := o.Lines[1]
		a := asked{kind: "refund", shop: sh, order: o.ID, minor: l.Total / l.Quantity}
		e := tr.request(&a, depotsim.Entry{Amount: sh.amount(a.minor)})
		e.Note, e.Request.Lines, e.Request.Restock = a.id, []depotsim.Line{{Line: strconv.FormatInt(l.ID, 10), Quantity: 1}}, "cancel"
		tr.shelf[l.SKU]++
		entries <- e
	case 2:
		a := asked{kind: "cancellation", shop: sh, order: o.ID}
		e := tr.request(&a, depotsim.Entry{Reason: "customer"})
		e.Request.Restock = true
		for _, l := range o.Lines {
			tr.shelf[l.SKU] += l.Quantity
		}
		entries <- e
	}
	return nil
}

// request names a command, and writes it down.
func (tr *trade) request(a *asked, e depotsim.Entry) depotsim.Entry {
	a.id = fmt.Sprintf("ask/%d", len(tr.asks)+1)
	e.Kind, e.ID, e.OccurredAt, e.Request = a.kind, a.id, time.Now(), &depotsim.Request{Account: a.shop.account}
	if a.order != 0 {
		e.Request.Order = strconv.FormatInt(a.order, 10)
	}
	tr.asks = append(tr.asks, *a)
	return e
}

func (sh *shop) amount(minor int64) *depotsim.Amount {
	return &depotsim.Amount{Text: fmt.Sprintf("%d.%02d", minor/100, minor%100), Currency: sh.Config().Currency}
}

// reserve sells two articles in an order that trade does not come back to.
func (tr *trade) reserve(sh *shop) (shopsim.Order, error) {
	at := tr.rng.IntN(len(tr.products))
	lines := []shopsim.LineSpec{tr.line(), tr.line()}
	for i := range lines {
		lines[i].SKU = tr.products[(at+i)%len(tr.products)]
	}
	tr.sell(sh, lines)
	id, err := sh.PlaceOrder(shopsim.OrderSpec{
		Name: fmt.Sprintf("#%s-ask-%d", sh.account, tr.steps), At: time.Now(), Paid: true, Lines: lines,
		Customer: &shopsim.Customer{ID: 100, FirstName: "A", LastName: "Buyer"},
	})
	if err != nil {
		return shopsim.Order{}, err
	}
	o, _ := sh.Order(id)
	return o, nil
}

// judgeCommands compares what was asked for with what was done in the shops, and with what is
// told of it.
func (w *world) judgeCommands(v *verdict) error {
	told, err := w.table(v, 4, "SELECT account, order_id, listing_id, command_id, kind, state FROM commands FINAL")
	if err != nil {
		return err
	}
	newest := make(map[*shop]map[int64]string)
	for _, sh := range w.shops {
		newest[sh] = make(map[int64]string)
	}
	for _, a := range w.asks {
		if a.kind == "price" {
			newest[a.shop][a.variant] = a.id
		}
	}
	counts := make(map[*shop]map[string]int64)
	for _, a := range w.asks {
		v.commands++
		if counts[a.shop] == nil {
			counts[a.shop] = make(map[string]int64)
		}
		counts[a.shop][a.kind]++
		about := strconv.FormatInt(a.order, 10) + "/"
		if a.kind == "price" {
			about = "/" + strconv.FormatInt(a.variant, 10)
		}
		key := a.shop.account + "/" + about + "/depot/" + a.id
		got := told[key]
		delete(told, key)
		switch {
		case got == nil:
			v.note(&v.undone, "nothing is told of the %s %s", a.kind, key)
		case got[0] != a.kind:
			v.note(&v.undone, "the %s %s is told as %s", a.kind, key, got[0])
		case got[1] != "done" && (a.kind != "price" || newest[a.shop][a.variant] == a.id || got[1] != "superseded"):
			v.note(&v.undone, "the %s %s is %s", a.kind, key, got[1])
		}
		a.judge(v, newest[a.shop][a.variant] == a.id)
	}
	for k := range told {
		v.note(&v.twice, "nobody asked for %s", k)
	}
	names, err := w.query("SELECT account, order_id, listing_id, command_id FROM command_outcomes FINAL GROUP BY account, order_id, listing_id, command_id HAVING uniqExact(write_id) > 1")
	if err != nil {
		return err
	}
	for _, r := range names {
		v.note(&v.twice, "the shop was told several names of %s", strings.Join(r, "/"))
	}
	for _, sh := range w.shops {
		s := sh.Stats()
		for _, c := range []struct {
			kind string
			done int64
		}{{"shipment", s.Fulfilments}, {"cancellation", s.Cancellations}, {"refund", s.Refunds}} {
			switch want := counts[sh][c.kind]; {
			case c.done > want:
				v.note(&v.twice, "%s counts %d of kind %s, %d were asked for", sh.account, c.done, c.kind, want)
			case c.done < want:
				v.note(&v.undone, "%s counts %d of kind %s, %d were asked for", sh.account, c.done, c.kind, want)
			}
		}
		sh.ledger.mu.Lock()
		for _, b := range sh.back {
			v.note(&v.twice, "%s: an older price over a newer one: %s", sh.account, b)
		}
		sh.ledger.mu.Unlock()
	}
	return nil
}

// judge looks for the effect in the shop: once, and as it was asked for.
func (a *asked) judge(v *verdict, newest bool) {
	if a.kind == "price" {
		if got, want := a.shop.Price(a.variant), a.shop.amount(a.minor).Text; newest && got != want {
			v.note(&v.undone, "%s: %s: the price is %s, want %s", a.shop.account, a.id, got, want)
		}
		return
	}
	o, _ := a.shop.Order(a.order)
	var done int
	var units, minor int64
	switch a.kind {
	case "shipment":
		for _, f := range o.Fulfilments {
			if f.Tracking == a.id {
				done++
				for _, l := range f.Lines {
					units += l.Quantity
				}
			}
		}
	case "refund":
		for _, r := range o.Refunds {
			if strings.HasPrefix(r.Note, a.id+" ") {
				done++
				minor += r.Total
			}
		}
	case "cancellation":
		if o.Cancelled && strings.HasPrefix(o.StaffNote, "customer ") {
			done++
		}
	}
	what := fmt.Sprintf("%s: %s %s of order %d", a.shop.account, a.kind, a.id, a.order)
	want := a.minor
	if a.kind == "shipment" {
		want = 0
	}
	switch {
	case done == 0:
		v.note(&v.undone, "%s was not carried out", what)
	case done > 1 || units > a.units || minor > want:
		v.note(&v.twice, "%s was carried out %d times: %d units, %d in minor units", what, done, units, minor)
	case units < a.units || minor < want:
		v.note(&v.undone, "%s: %d units of %d, %d of %d in minor units", what, units, a.units, minor, want)
	}
}
