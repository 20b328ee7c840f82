package simulator

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/helloword/crossdock/connectors/mailroom"
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
	nextID   map[string]int64
	products []*product
	byID     map[int64]*product
	bySKU    map[string]*product
	sources  map[string]*sourceItem
	orders   []*order
	updates  []*order // orders by their change, unless touched since
	touched  bool
	table    []route
	orderBy  map[int64]*order
	shipped  []*shipment
	memos    []*memo
	invoices []*invoice
	reserved map[string]int64 // by SKU; what is not sold any more
	tokens   map[string]int64 // by text, until when
	nonces   map[string]bool
	ledger   []StockWrite
	door     mailroom.Turnstile
}

type product struct {
	id               int64
	sku, name, kind  string
	vendor, barcode  string
	price            string
	enabled, tracked bool
	created, updated int64
	parent           *product
}

type sourceItem struct {
	sku      string
	quantity int64
	status   int
}

// StockWrite is one quantity of a source that was written by the API.
type StockWrite struct {
	At       time.Time
	SKU      string
	Quantity int64
	// Salable is what could be sold from then on.
	Salable int64
}

// New makes a shop without products. It starts nothing.
func New(cfg Config) *Simulator {
	cfg = cfg.withDefaults()
	exponent, ok := money.Exponent("magento", cfg.Currency)
	if !ok {
		panic(fmt.Sprintf("simulator: currency %q is not known", cfg.Currency))
	}
	return &Simulator{
		cfg: cfg, exponent: exponent, faults: cfg.Faults, table: routes(),
		rng:    rand.New(rand.NewPCG(cfg.Seed, 0x3a6e)),
		nextID: map[string]int64{}, byID: map[int64]*product{}, bySKU: map[string]*product{}, sources: map[string]*sourceItem{},
		orderBy: map[int64]*order{}, reserved: map[string]int64{}, tokens: map[string]int64{}, nonces: map[string]bool{},
		touched: true,
		door:    mailroom.Turnstile{Rate: cfg.PerSecond, Burst: cfg.Burst},
	}
}

// Config returns the settings with their defaults.
func (s *Simulator) Config() Config { return s.cfg }

// Close ends the shop. It has nothing running.
func (s *Simulator) Close() {}

// SetFaults changes what goes wrong from now on.
func (s *Simulator) SetFaults(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f
}

// SetLimit changes how many calls the firewall lets through from now on.
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

// Ledger returns every quantity that was written by the API, oldest first.
func (s *Simulator) Ledger() []StockWrite {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]StockWrite(nil), s.ledger...)
}

// now is the shop's clock in seconds; it never goes back. Callers hold mu.
func (s *Simulator) now() int64 {
	s.last = max(s.last, s.cfg.Now().Unix())
	return s.last
}

// id counts each table on its own, as MySQL does.
func (s *Simulator) id(table string) int64 {
	s.nextID[table]++
	return s.nextID[table]
}

// hit says whether a fault of probability p happens now.
func (s *Simulator) hit(p float64) bool { return p > 0 && s.rng.Float64() < p }

// ProductSpec is a product to add: a simple one, or with several variants a configurable one
// with its simple products.
type ProductSpec struct {
	Title, Vendor, Type string
	Variants            []VariantSpec
}

// VariantSpec is one simple product. Tracked: it lies on a shelf, beginning with Available;
// otherwise it is virtual.
type VariantSpec struct {
	SKU, Title, Barcode string
	// Price as decimal text.
	Price     string
	Tracked   bool
	Available int64
}

// Product says which ids a product got. Items are what stock goes by elsewhere: here the
// variants again, because Magento goes by SKU.
type Product struct {
	ID              int64
	Variants, Items []int64
}

// AddProduct adds a product. Prices that are no decimal numbers, and SKUs that are there
// already, panic: the shop is part of the test.
func (s *Simulator) AddProduct(spec ProductSpec) Product {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out Product
	var parent *product
	if len(spec.Variants) > 1 {
		parent = s.add(&product{sku: spec.Variants[0].SKU + "-set", name: spec.Title, kind: "configurable", vendor: spec.Vendor, price: "0"})
		out.ID = parent.id
	}
	for _, v := range spec.Variants {
		p := &product{sku: v.SKU, name: spec.Title, kind: "simple", vendor: spec.Vendor, barcode: v.Barcode, price: v.Price, tracked: v.Tracked, parent: parent}
		if !v.Tracked {
			p.kind = "virtual"
		}
		if v.Title != "" {
			p.name += " " + v.Title
		}
		s.add(p)
		if v.Tracked {
			s.sources[p.sku] = &sourceItem{p.sku, v.Available, 1}
		}
		if parent == nil {
			out.ID = p.id
		}
		out.Variants, out.Items = append(out.Variants, p.id), append(out.Items, p.id)
	}
	return out
}

// AddBundle adds a bundle of products that are there, with a price of its own or, with an
// empty price, at the sum of its parts. Orders name its id as Variant.
func (s *Simulator) AddBundle(sku, title, price string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.add(&product{sku: sku, name: title, kind: "bundle", price: price}).id
}

func (s *Simulator) add(p *product) *product {
	if p.price != "" {
		if _, err := money.ParseDecimal(p.price); err != nil {
			panic(fmt.Sprintf("simulator: price %q: %v", p.price, err))
		}
	}
	if s.bySKU[p.sku] != nil {
		panic(fmt.Sprintf("simulator: SKU %q is there already", p.sku))
	}
	p.id, p.enabled, p.created = s.id("product"), true, s.now()
	p.updated = p.created
	s.products = append(s.products, p)
	s.byID[p.id], s.bySKU[p.sku] = p, p
	return p
}

// UpdateProduct changes a product's title and price, as somebody in the admin would, and with
// it those of its simple products.
func (s *Simulator) UpdateProduct(id int64, title, price string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.byID[id]
	if p == nil {
		return fmt.Errorf("product %d does not exist", id)
	}
	for _, q := range s.products {
		if q == p || q.parent == p {
			q.name, q.price, q.updated = title, price, s.now()
		}
	}
	return nil
}

// DeleteProduct takes a product out of the shop. Its source item stays, as Magento's does
// until a queue has cleaned up.
func (s *Simulator) DeleteProduct(id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.byID[id]
	if p == nil {
		return fmt.Errorf("product %d does not exist", id)
	}
	delete(s.byID, id)
	delete(s.bySKU, p.sku)
	for i, q := range s.products {
		if q == p {
			s.products = append(s.products[:i:i], s.products[i+1:]...)
			break
		}
	}
	return nil
}

// SetStock sets how many of a variant can be sold, whatever is reserved.
func (s *Simulator) SetStock(variant, quantity int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.byID[variant]
	if p == nil {
		return fmt.Errorf("product %d does not exist", variant)
	}
	s.item(p.sku).quantity = quantity + s.reserved[p.sku]
	return nil
}

// SetSource sets how many units lie in the source, as somebody at the shelf would.
func (s *Simulator) SetSource(sku string, quantity int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.item(sku).quantity = quantity
}

func (s *Simulator) item(sku string) *sourceItem {
	if s.sources[sku] == nil {
		s.sources[sku] = &sourceItem{sku: sku, status: 1}
	}
	return s.sources[sku]
}

// Available is how many of a variant can be sold: the source less what is reserved; 0 for one
// that does not exist.
func (s *Simulator) Available(variant int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.byID[variant]; p != nil {
		return s.salable(p.sku)
	}
	return 0
}

// OnHand is how many units of a SKU the source holds.
func (s *Simulator) OnHand(sku string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if it := s.sources[sku]; it != nil {
		return it.quantity
	}
	return 0
}

func (s *Simulator) salable(sku string) int64 {
	if it := s.sources[sku]; it != nil {
		return it.quantity - s.reserved[sku]
	}
	return -s.reserved[sku]
}

// Listing is a simple product with what it shows.
type Listing struct {
	Product, Variant, Item int64
	SKU                    string
	Tracked                bool
	Available              int64
}

// Listings iterates over the simple products there were when it began.
func (s *Simulator) Listings() iter.Seq[Listing] {
	s.mu.Lock()
	var all []Listing
	for _, p := range s.products {
		if p.kind == "simple" || p.kind == "virtual" {
			all = append(all, Listing{p.id, p.id, p.id, p.sku, p.tracked, s.salable(p.sku)})
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

// Settle waits until everything that happened so far can be polled: the shop tells time in
// whole seconds, and a poll leaves out the one that is still going on.
func (s *Simulator) Settle(ctx context.Context) error {
	now := s.cfg.Now()
	timer := time.NewTimer(now.Truncate(time.Second).Add(time.Second + 5*time.Millisecond).Sub(now))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
