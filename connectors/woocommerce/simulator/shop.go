package simulator

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"sort"
	"strconv"
	"sync"
	"time"

	"github.com/helloword/crossdock/connectors/mailroom"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// provider is the name under which package money knows the platform.
const provider = "woocommerce"

// Simulator is one shop.
type Simulator struct {
	cfg      Config
	exponent int

	mu       sync.Mutex
	rng      *rand.Rand
	faults   Faults
	stats    Stats
	last     int64 // newest second of the shop's clock: it never goes back
	nextID   int64 // posts: products, orders and refunds share their numbers
	nextItem int64 // lines of orders and refunds
	nextSeq  uint64
	orders   map[int64]*order
	inOrder  []*order
	products []*product
	byID     map[int64]*product
	variants map[int64]*variant
	byUpdate changelog[*order]
	trashed  int // orders
	subs     []*subscription
	nextSub  int64
	nonces   map[string]int64
	ledger   []Write
	table    []route
	door     mailroom.Turnstile

	mail *mailroom.Room[*delivery]
}

type product struct {
	id                  int64
	title, vendor, kind string
	created, updated    int64
	trashed             bool
	variable            bool
	variants            []*variant
}

// variant is a variation, or what is bought of a simple product; then its id is the product's.
type variant struct {
	id                int64
	product           *product
	title, sku, gtin  string
	price             decimal
	sale              string
	tracked           bool
	available         int64
	created, modified int64
}

// decimal is a price as text and as number.
type decimal struct {
	text  string
	value *event.Decimal
}

// New makes a shop without products. It starts nothing: workers begin with the first
// webhook.
func New(cfg Config) *Simulator {
	cfg = cfg.withDefaults()
	exponent, ok := money.Exponent(provider, cfg.Currency)
	if !ok {
		panic(fmt.Sprintf("simulator: currency %q is not known", cfg.Currency))
	}
	s := &Simulator{
		cfg: cfg, exponent: exponent, faults: cfg.Faults,
		rng:    rand.New(rand.NewPCG(cfg.Seed, 0x3cc)),
		nextID: 9, nextItem: 0,
		orders: map[int64]*order{}, byID: map[int64]*product{}, variants: map[int64]*variant{}, nonces: map[string]int64{},
	}
	s.byUpdate.seqOf = func(o *order) uint64 { return o.seq }
	s.table = s.routes()
	s.door.Rate, s.door.Burst = cfg.PerSecond, cfg.Burst
	s.mail = mailroom.New(s.cfg.Workers, s.cfg.Queue, s.attempt)
	return s
}

// Config returns the settings with their defaults.
func (s *Simulator) Config() Config { return s.cfg }

// SetFaults changes what goes wrong from now on.
func (s *Simulator) SetFaults(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f
}

// SetLimit changes how many calls the shop's host takes from now on.
func (s *Simulator) SetLimit(perSecond, burst float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.door.Limit(s.cfg.Now(), perSecond, burst)
}

// Stats returns the counts so far.
func (s *Simulator) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// now is the shop's clock in seconds; it never goes back. Callers hold mu.
func (s *Simulator) now() int64 {
	s.last = max(s.last, s.cfg.Now().Unix())
	return s.last
}

func (s *Simulator) id() int64 { s.nextID++; return s.nextID }

func (s *Simulator) item() int64 { s.nextItem++; return s.nextItem }

// hit says whether a fault of probability p happens now.
func (s *Simulator) hit(p float64) bool { return p > 0 && s.rng.Float64() < p }

// ProductSpec is a product to add. One variant without a title makes a simple product, all
// else one with variations.
type ProductSpec struct {
	// Title; Vendor is the brand, Type the category.
	Title, Vendor, Type string
	Variants            []VariantSpec
}

// VariantSpec is one variation, or what is bought of a simple product.
type VariantSpec struct {
	SKU, Title, Barcode string
	// Price as decimal text.
	Price string
	// Tracked: the shop keeps stock for it, beginning with Available.
	Tracked   bool
	Available int64
}

// Product says which ids a product got; Items are the handles of stock writes.
type Product struct {
	ID       int64
	Variants []int64
	Items    []string
}

// AddProduct adds a product. Prices that are no decimal numbers panic: the shop is part of
// the test.
func (s *Simulator) AddProduct(spec ProductSpec) Product {
	s.mu.Lock()
	now := s.now()
	p := &product{id: s.id(), title: spec.Title, vendor: spec.Vendor, kind: spec.Type, created: now, updated: now}
	p.variable = len(spec.Variants) != 1 || spec.Variants[0].Title != ""
	out := Product{ID: p.id}
	for _, vs := range spec.Variants {
		v := &variant{
			id: p.id, product: p, title: vs.Title, sku: vs.SKU, gtin: vs.Barcode, price: price(vs.Price),
			tracked: vs.Tracked, available: vs.Available, created: now, modified: now,
		}
		if p.variable {
			v.id = s.id()
		}
		p.variants = append(p.variants, v)
		s.variants[v.id] = v
		out.Variants, out.Items = append(out.Variants, v.id), append(out.Items, v.stockID())
	}
	s.products = append(s.products, p)
	s.byID[p.id] = p
	mail := s.post(nil, "product.created", p.id)
	s.mu.Unlock()
	s.mail.Deliver(mail)
	return out
}

// stockID is the variant's handle of stock writes.
func (v *variant) stockID() string {
	id := strconv.FormatInt(v.id, 10)
	if v.product.variable {
		return strconv.FormatInt(v.product.id, 10) + ":" + id
	}
	return id
}

// UpdateProduct changes a product's title and the price of all its variants.
func (s *Simulator) UpdateProduct(id int64, title, newPrice string) error {
	return s.changeProduct(id, "product.updated", func(p *product) {
		p.title = title
		for _, v := range p.variants {
			v.price = price(newPrice)
		}
	})
}

// UpdateVariation changes a variation's SKU and price, and nothing of its product.
func (s *Simulator) UpdateVariation(id int64, sku, newPrice string) error {
	s.mu.Lock()
	v := s.variants[id]
	if v == nil {
		s.mu.Unlock()
		return fmt.Errorf("variation %d does not exist", id)
	}
	v.sku, v.price, v.modified = sku, price(newPrice), s.now()
	if !v.product.variable {
		v.product.updated = v.modified
	}
	mail := s.post(nil, "product.updated", v.id)
	s.mu.Unlock()
	s.mail.Deliver(mail)
	return nil
}

// TrashProduct puts a product into the trash.
func (s *Simulator) TrashProduct(id int64) error {
	return s.changeProduct(id, "product.deleted", func(p *product) { p.trashed = true })
}

func (s *Simulator) changeProduct(id int64, topic string, f func(*product)) error {
	s.mu.Lock()
	p := s.byID[id]
	if p == nil {
		s.mu.Unlock()
		return fmt.Errorf("product %d does not exist", id)
	}
	f(p)
	p.updated = s.now()
	if !p.variable && len(p.variants) > 0 {
		p.variants[0].modified = p.updated
	}
	mail := s.post(nil, topic, p.id)
	s.mu.Unlock()
	s.mail.Deliver(mail)
	return nil
}

// DeleteProduct erases a product; lines of orders keep its number.
func (s *Simulator) DeleteProduct(id int64) error {
	s.mu.Lock()
	p := s.byID[id]
	if p == nil {
		s.mu.Unlock()
		return fmt.Errorf("product %d does not exist", id)
	}
	delete(s.byID, id)
	for i := range s.products {
		if s.products[i] == p {
			s.products = append(s.products[:i:i], s.products[i+1:]...)
			break
		}
	}
	for _, v := range p.variants {
		delete(s.variants, v.id)
	}
	mail := s.post(nil, "product.deleted", id)
	s.mu.Unlock()
	s.mail.Deliver(mail)
	return nil
}

func price(text string) decimal {
	d, err := money.ParseDecimal(text)
	if err != nil {
		panic(fmt.Sprintf("simulator: price %q: %v", text, err))
	}
	return decimal{text: text, value: d}
}

// SetStock sets what a variant shows, as somebody at the shelf would.
func (s *Simulator) SetStock(variant, quantity int64) error {
	s.mu.Lock()
	v := s.variants[variant]
	if v == nil {
		s.mu.Unlock()
		return fmt.Errorf("variant %d does not exist", variant)
	}
	v.tracked, v.available = true, quantity
	mail := s.post(nil, "product.updated", v.id)
	s.mu.Unlock()
	s.mail.Deliver(mail)
	return nil
}

// Available is what a variant shows; 0 for one that does not exist.
func (s *Simulator) Available(variant int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.variants[variant]; v != nil {
		return v.available
	}
	return 0
}

// Price is what a product or variation costs: its sale price while there is one.
func (s *Simulator) Price(variant int64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.variants[variant]
	switch {
	case v == nil:
		return ""
	case v.sale != "":
		return v.sale
	}
	return v.price.text
}

// Listing is a variant with what it shows.
type Listing struct {
	Product, Variant int64
	Item             string
	SKU              string
	Tracked          bool
	Available        int64
}

// Listings iterates over the variants there were when it began.
func (s *Simulator) Listings() iter.Seq[Listing] {
	s.mu.Lock()
	var all []Listing
	for _, p := range s.products {
		for _, v := range p.variants {
			if !p.trashed {
				all = append(all, Listing{p.id, v.id, v.stockID(), v.sku, v.tracked, v.available})
			}
		}
	}
	s.mu.Unlock()
	return func(yield func(Listing) bool) {
		for _, l := range all {
			if !yield(l) {
				return
			}
		}
	}
}

// Write is one stock write that changed something.
type Write struct {
	At       time.Time
	Variant  int64
	Quantity int64
}

// maxLedger bounds the ledger; the oldest half goes when it is full.
const maxLedger = 1 << 16

// Ledger is the newest stock writes that changed something, oldest first.
func (s *Simulator) Ledger() []Write {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Write(nil), s.ledger...)
}

// written notes a stock write.
func (s *Simulator) written(v *variant, quantity int64) {
	if len(s.ledger) == maxLedger {
		s.ledger = append(s.ledger[:0], s.ledger[maxLedger/2:]...)
	}
	s.ledger = append(s.ledger, Write{s.cfg.Now(), v.id, quantity})
}

// move changes a variant's stock because of an order.
func (s *Simulator) move(mail []*delivery, v *variant, by int64) []*delivery {
	if v == nil || !v.tracked || by == 0 {
		return mail
	}
	v.available += by
	return s.post(mail, "product.updated", v.id)
}

// changelog is what a list sorted by date_modified reads: every change appends, and an entry
// counts only while it is its object's newest.
type changelog[T any] struct {
	entries []change[T]
	stale   int
	seqOf   func(T) uint64
}

type change[T any] struct {
	v   T
	seq uint64
	at  int64
}

func (c *changelog[T]) add(v T, seq uint64, at int64) {
	c.entries = append(c.entries, change[T]{v, seq, at})
	if c.stale++; c.stale > 1000 && c.stale > len(c.entries)/2 {
		c.clean()
	}
}

// clean forgets all but the newest entry of each object.
func (c *changelog[T]) clean() {
	live := c.entries[:0]
	for _, e := range c.entries {
		if c.seqOf(e.v) == e.seq {
			live = append(live, e)
		}
	}
	clear(c.entries[len(live):])
	c.entries, c.stale = live, 0
}

// since is the newest entries of what changed later than a second, oldest first.
func (c *changelog[T]) since(at int64) []change[T] {
	if c.stale > 0 {
		c.clean()
	}
	return c.entries[sort.Search(len(c.entries), func(i int) bool { return c.entries[i].at > at }):]
}

// after returns what changed later than a second, oldest first.
func (c *changelog[T]) after(at int64) []T {
	i := sort.Search(len(c.entries), func(i int) bool { return c.entries[i].at > at })
	var found []T
	for ; i < len(c.entries); i++ {
		if e := c.entries[i]; c.seqOf(e.v) == e.seq {
			found = append(found, e.v)
		}
	}
	return found
}

// Settle waits until everything that happened so far can be polled: the shop tells time in
// whole seconds, and a poll leaves out the one that is still going on. It waits by the
// machine's clock.
func (s *Simulator) Settle(ctx context.Context) error {
	now := time.Now()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(now.Truncate(time.Second).Add(time.Second + 5*time.Millisecond).Sub(now)):
		return nil
	}
}
