package simulator

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"sort"
	"sync"
	"time"

	"github.com/helloword/crossdock/connectors/mailroom"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// Simulator is one shop.
type Simulator struct {
	cfg      Config
	exponent int

	mu       sync.Mutex
	rng      *rand.Rand
	faults   Faults
	stats    Stats
	last     int64 // newest second of the shop's clock: it never goes back
	nextID   int64
	nextSeq  uint64
	number   int64
	orders   map[int64]*order
	inOrder  []*order // by creation
	products []*product
	variants map[int64]*variant
	items    map[int64]*variant // by inventory item
	codes    map[string]grant   // of authorisations that were not redeemed
	prices   map[string]decimal // of lines, by their text
	byUpdate changelog[*order]
	byChange changelog[*product]
	parts    map[int64]any // refunds, fulfilments, fulfilment orders and jobs by id
	subs     []*subscription
	nextSub  int64
	// nextPart numbers payments, fulfilment orders and jobs, apart from what webhooks tell of.
	nextPart int64
	jobs     []*job // that are not done
	// dataRequests counts those for a buyer's data.
	dataRequests int64
	plans        map[string]*plan
	tokens       tokenState
	bucket       bucket
	keys         keyring

	mail     *mailroom.Room[*delivery]
	retrying int // deliveries that wait for another attempt
}

type product struct {
	id                  int64
	title, vendor, kind string
	created, updated    int64
	seq                 uint64
	deleted             bool
	variants            []*variant
}

type variant struct {
	id, item            int64
	product             *product
	title, sku, barcode string
	price               decimal
	tracked             bool
	available           int64
	levelUpdated        int64
}

// decimal is a price as text and as number.
type decimal struct {
	text  string // as given: "2.55"
	value *event.Decimal
}

// New makes a shop without products. It starts nothing: workers begin with the first
// webhook.
func New(cfg Config) *Simulator {
	cfg = cfg.withDefaults()
	exponent, ok := money.Exponent("shopify", cfg.Currency)
	if !ok {
		panic(fmt.Sprintf("simulator: currency %q is not known", cfg.Currency))
	}
	s := &Simulator{
		cfg: cfg, exponent: exponent, faults: cfg.Faults,
		rng:    rand.New(rand.NewPCG(cfg.Seed, 0x5307)),
		nextID: 5_000_000_000_000, nextPart: 7_000_000_000_000, number: 1000,
		orders: map[int64]*order{}, variants: map[int64]*variant{}, items: map[int64]*variant{},
		prices: map[string]decimal{}, parts: map[int64]any{}, plans: map[string]*plan{}, codes: map[string]grant{},
	}
	s.byUpdate.seqOf = func(o *order) uint64 { return o.seq }
	s.byChange.seqOf = func(p *product) uint64 { return p.seq }
	s.bucket = bucket{available: cfg.MaximumAvailable}
	s.tokens.init(cfg)
	s.mail = mailroom.New(s.cfg.Workers, s.cfg.Queue, s.attempt)
	return s
}

// Config returns the settings with their defaults.
func (s *Simulator) Config() Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cfg
}

// SetFaults changes what goes wrong from now on.
func (s *Simulator) SetFaults(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f
}

// SetBucket changes the cost bucket from now on: points at most, and restored each second.
func (s *Simulator) SetBucket(maximum, restore float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bucket.refill(s.cfg)
	s.cfg.MaximumAvailable, s.cfg.RestoreRate = maximum, restore
	s.bucket.available = min(s.bucket.available, maximum)
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

func (s *Simulator) partID() int64 { s.nextPart++; return s.nextPart }

// hit says whether a fault of probability p happens now.
func (s *Simulator) hit(p float64) bool { return p > 0 && s.rng.Float64() < p }

// ProductSpec is a product to add.
type ProductSpec struct {
	Title, Vendor, Type string
	Variants            []VariantSpec
}

// VariantSpec is one variant; Title may be empty for a product's only one.
type VariantSpec struct {
	SKU, Title, Barcode string
	// Price as decimal text.
	Price string
	// Tracked: the shop keeps stock for it, beginning with Available.
	Tracked   bool
	Available int64
}

// Product says which ids a product got; Items are the inventory items of the variants.
type Product struct {
	ID              int64
	Variants, Items []int64
}

// AddProduct adds a product. Prices that are no decimal numbers panic: the shop is part of
// the test.
func (s *Simulator) AddProduct(spec ProductSpec) Product {
	s.mu.Lock()
	now := s.now()
	p := &product{id: s.id(), title: spec.Title, vendor: spec.Vendor, kind: spec.Type, created: now}
	out := Product{ID: p.id}
	for _, vs := range spec.Variants {
		v := &variant{
			id: s.id(), item: s.id(), product: p, title: vs.Title, sku: vs.SKU, barcode: vs.Barcode,
			price: price(vs.Price), tracked: vs.Tracked, available: vs.Available, levelUpdated: now,
		}
		if v.title == "" {
			v.title = "Default Title"
		}
		p.variants = append(p.variants, v)
		s.variants[v.id], s.items[v.item] = v, v
		out.Variants, out.Items = append(out.Variants, v.id), append(out.Items, v.item)
	}
	s.products = append(s.products, p)
	s.touchProduct(p)
	mail := s.post(nil, "products/create", func() []byte { return s.productJSON(p) })
	s.mu.Unlock()
	s.mail.Deliver(mail)
	return out
}

// UpdateProduct changes a product's title and the price of all its variants.
func (s *Simulator) UpdateProduct(id int64, title, newPrice string) error {
	s.mu.Lock()
	p := s.product(id)
	if p == nil {
		s.mu.Unlock()
		return fmt.Errorf("product %d does not exist", id)
	}
	p.title = title
	for _, v := range p.variants {
		v.price = price(newPrice)
	}
	s.touchProduct(p)
	mail := s.post(nil, "products/update", func() []byte { return s.productJSON(p) })
	s.mu.Unlock()
	s.mail.Deliver(mail)
	return nil
}

// DeleteProduct takes a product out of the shop; lines of orders lose their variant.
func (s *Simulator) DeleteProduct(id int64) error {
	s.mu.Lock()
	p := s.product(id)
	if p == nil {
		s.mu.Unlock()
		return fmt.Errorf("product %d does not exist", id)
	}
	p.deleted = true
	s.nextSeq++
	p.seq = s.nextSeq // no entry of the changelog is its newest any more
	for _, v := range p.variants {
		delete(s.variants, v.id)
		delete(s.items, v.item)
	}
	mail := s.post(nil, "products/delete", func() []byte { return fmt.Appendf(nil, `{"id":%d}`, p.id) })
	s.mu.Unlock()
	s.mail.Deliver(mail)
	return nil
}

func (s *Simulator) product(id int64) *product {
	for _, p := range s.products {
		if p.id == id && !p.deleted {
			return p
		}
	}
	return nil
}

func (s *Simulator) touchProduct(p *product) {
	p.updated = s.now()
	s.nextSeq++
	p.seq = s.nextSeq
	s.byChange.add(p, p.seq, p.updated)
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
	v.available = quantity
	mail := s.stockChanged(nil, v)
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

// Listing is a variant with what it shows.
type Listing struct {
	Product, Variant, Item int64
	SKU                    string
	Tracked                bool
	Available              int64
}

// Listings iterates over the variants there were when it began.
func (s *Simulator) Listings() iter.Seq[Listing] {
	s.mu.Lock()
	var all []Listing
	for _, p := range s.products {
		for _, v := range p.variants {
			if !p.deleted {
				all = append(all, Listing{p.id, v.id, v.item, v.sku, v.tracked, v.available})
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

// move changes a variant's stock because of an order.
func (s *Simulator) move(mail []*delivery, v *variant, by int64) []*delivery {
	if v == nil || !v.tracked || by == 0 {
		return mail
	}
	v.available += by
	return s.stockChanged(mail, v)
}

func (s *Simulator) stockChanged(mail []*delivery, v *variant) []*delivery {
	v.levelUpdated = s.now()
	if !s.cfg.InventoryWebhooks {
		return mail
	}
	return s.post(mail, "inventory_levels/update", func() []byte {
		return fmt.Appendf(nil, `{"inventory_item_id":%d,"location_id":%d,"available":%d,"updated_at":"%s","admin_graphql_api_id":"gid://shopify/InventoryLevel/%d?inventory_item_id=%d"}`,
			v.item, s.cfg.LocationID, v.available, rest(v.levelUpdated), s.cfg.LocationID, v.item)
	})
}

// rest is a time as webhooks write it; Shopify uses the shop's zone, this shop's is
// America/New_York without summer time.
func rest(unix int64) string {
	return time.Unix(unix, 0).In(zone).Format("2006-01-02T15:04:05-07:00")
}

var zone = time.FixedZone("", -5*3600)

// changelog is what a connection sorted by updated_at reads: every change appends, and an
// entry counts only while it is its object's newest.
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
		live := c.entries[:0]
		for _, e := range c.entries {
			if c.seqOf(e.v) == e.seq {
				live = append(live, e)
			}
		}
		clear(c.entries[len(live):])
		c.entries, c.stale = live, 0
	}
}

// from returns what changed at or after a time, oldest first: at most n of those behind the
// sequence number after, or, when counted is not negative, behind that many.
func (c *changelog[T]) from(at int64, after uint64, counted, n int) (found []T, seqs []uint64, more bool) {
	i := sort.Search(len(c.entries), func(i int) bool { return c.entries[i].at >= at && c.entries[i].seq > after })
	for ; i < len(c.entries); i++ {
		e := c.entries[i]
		if c.seqOf(e.v) != e.seq {
			continue
		}
		if counted > 0 {
			counted--
			continue
		}
		if len(found) == n {
			return found, seqs, true
		}
		found, seqs = append(found, e.v), append(seqs, e.seq)
	}
	return found, seqs, false
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
