package chaos

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	shopsim "github.com/helloword/crossdock/connectors/shopify/simulator"
)

// What platforms must send when buyers ask what is known of them, or to be forgotten.

const (
	topicRedact = "customers/redact"
	topicData   = "customers/data_request"
)

// Steps of trade between two such buyers, from their purchases to their request, and from there
// to when their order is told of again.
const (
	personEvery = 20
	toRequest   = 30
	toShipment  = 20
)

// person is a buyer who bought twice. The request names one of the orders; the other has to be
// found by looking.
type person struct {
	shop         *shop
	topic        string
	customer     *shopsim.Customer
	named, other int64
	since        int // step of the purchases
	asked        int // how often the platform was told to send the request
}

func (p *person) key() string { return p.shop.account + "/" + strconv.FormatInt(p.named, 10) }

func (p *person) ask() error {
	p.asked++
	return p.shop.Privacy(p.topic, p.customer, p.named)
}

// gate stands before our address on the way of requests about people's data, and writes down
// which of them were taken: nobody can ask a platform for them later.
type gate struct {
	to string

	mu    sync.Mutex
	taken map[string]int // by account and the order that is named
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var resp *http.Response
	if err == nil {
		resp, err = g.forward(r, body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	_ = resp.Body.Close()
	w.WriteHeader(resp.StatusCode)
}

func (g *gate) forward(r *http.Request, body []byte) (*http.Response, error) {
	var doc struct {
		Redact  []int64 `json:"orders_to_redact"`
		Request []int64 `json:"orders_requested"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, g.to+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = r.Header.Clone()
	resp, err := http.DefaultClient.Do(req)
	if err == nil && resp.StatusCode == http.StatusOK {
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, id := range append(doc.Redact, doc.Request...) {
			g.taken[path.Base(r.URL.Path)+"/"+strconv.FormatInt(id, 10)]++
		}
	}
	return resp, err
}

func (g *gate) count(key string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.taken[key]
}

// mind lets buyers buy, ask, and hear from their shop again.
func (tr *trade) mind() error {
	if tr.steps%personEvery == 0 {
		if err := tr.buyTwice(); err != nil {
			return err
		}
	}
	for _, p := range tr.people {
		var err error
		switch tr.steps - p.since {
		case toRequest:
			err = p.ask()
		case toRequest + toShipment:
			err = p.shop.Fulfil(p.named, shopsim.FulfilSpec{At: time.Now()})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (tr *trade) buyTwice() error {
	n := len(tr.people)
	p := &person{shop: tr.shops[n%len(tr.shops)], topic: topicRedact, since: tr.steps}
	if n%3 == 2 {
		p.topic = topicData
	}
	p.customer = &shopsim.Customer{ID: int64(10_000 + n), FirstName: "Made", LastName: "Up", Email: fmt.Sprintf("up-%d@madeup.example", n)}
	for i, id := range []*int64{&p.named, &p.other} {
		lines := []shopsim.LineSpec{tr.line()}
		tr.sell(p.shop, lines)
		var err error
		if *id, err = p.shop.PlaceOrder(shopsim.OrderSpec{
			Name: fmt.Sprintf("#%s-person-%d-%d", p.shop.account, n, i), At: time.Now(), Paid: true, Lines: lines, Customer: p.customer,
			Shipping: &shopsim.Address{FirstName: "Made", LastName: "Up", Address1: "Madeup Lane 7", Zip: "M77 2AB", Country: "United Kingdom", CountryCode: "GB"},
		}); err != nil {
			return err
		}
	}
	tr.people = append(tr.people, p)
	return nil
}

// askAgain lets the platforms send again what was not taken, for it was dropped or given up, and
// one request of each shop in any case: it makes somebody look once more, when all has come.
func (w *world) askAgain(t *testing.T) {
	t.Helper()
	last := make(map[*shop]*person)
	for _, p := range w.people {
		if p.asked > 0 && p.topic == topicRedact {
			last[p.shop] = p
		}
	}
	for _, p := range w.people {
		before := w.gate.count(p.key())
		if p.asked == 0 || before > 0 && last[p.shop] != p {
			continue
		}
		for w.gate.count(p.key()) == before {
			if err := p.ask(); err != nil {
				t.Fatal(err)
			}
			if err := p.shop.Drain(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// request is one about people's data, as `crossdock privacy list` tells it.
type request struct {
	ID, Account, Kind, State string
	Orders                   []string `json:"orders_named"`
}

func (w *world) requests() (all []request, err error) {
	out, err := w.try("privacy", "list", "--all", "--json")
	if err != nil {
		return nil, err
	}
	return all, json.Unmarshal([]byte(out), &all)
}

// handOver does by hand what a person has to: what is held of a buyer is exported, and handed
// over.
func (w *world) handOver() error {
	all, err := w.requests()
	if err != nil {
		return err
	}
	for _, q := range all {
		if q.Kind != "data_request" || q.State == "done" {
			continue
		}
		file := filepath.Join(w.dir, "export.json")
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if _, err := w.try("privacy", "export", q.ID, "--out", file); err != nil {
			return err
		}
		held, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if !bytes.Contains(held, []byte("Madeup Lane 7")) {
			return fmt.Errorf("what is held for %s does not tell of the buyer: %.500s", q.ID, held)
		}
		if _, err := w.try("privacy", "done", q.ID, "--by", "chaos", "--note", "by hand"); err != nil {
			return err
		}
	}
	return nil
}

// judgePeople compares the requests that were taken with those that are on record, and who had to
// be forgotten with who is known.
func (w *world) judgePeople(v *verdict) error {
	all, err := w.requests()
	if err != nil {
		return err
	}
	known, err := w.table(v, 2, "SELECT account, order_id, toString(buyer != '' OR postcode_prefix != '') FROM orders FINAL")
	if err != nil {
		return err
	}
	byOrder := make(map[string][]request)
	for _, q := range all {
		v.requests++
		if q.State != "done" {
			v.note(&v.open, "request %s is %s", q.ID, q.State)
		}
		for _, id := range q.Orders {
			byOrder[q.Account+"/"+id] = append(byOrder[q.Account+"/"+id], q)
		}
	}
	for _, p := range w.people {
		if p.asked == 0 {
			continue
		}
		k := p.key()
		kind := "buyer"
		if p.topic == topicData {
			kind = "data_request"
		}
		switch got := byOrder[k]; {
		case w.gate.count(k) == 0:
			v.note(&v.open, "the request about %s did not come through", k)
		case len(got) == 0:
			v.note(&v.open, "the request about %s was taken, and is not on record", k)
		case len(got) > p.asked || got[0].Kind != kind:
			v.note(&v.open, "the request about %s was made %d times, and is on record as %v", k, p.asked, got)
		}
		delete(byOrder, k)
		want := "0"
		if p.topic == topicData {
			want = "1"
		}
		for _, id := range []int64{p.named, p.other} {
			if got := known[p.shop.account+"/"+strconv.FormatInt(id, 10)]; len(got) != 1 || got[0] != want {
				v.note(&v.open, "the buyer of order %s/%d, who asked by %s, is known: %v", p.shop.account, id, p.topic, got)
			}
		}
	}
	for k := range byOrder {
		v.note(&v.open, "nobody asked about %s", k)
	}
	return nil
}
