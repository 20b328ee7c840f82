package simulator

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/helloword/crossdock/connectors/mailroom"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// Simulator is one seller's account.
type Simulator struct {
	cfg      Config
	exponent int

	mu       sync.Mutex
	rng      *rand.Rand
	faults   Faults
	stats    Stats
	last     int64 // newest second of the account's clock: it never goes back
	number   int64
	orders   map[string]*order
	inOrder  []*order // by creation
	listings map[string]*listing
	inStock  []*listing
	reports  map[string]*report
	feeds    []*feed
	uploads  map[string]*upload
	access   map[string]grant
	buckets  map[string]*mailroom.Turnstile
	share    float64 // of the published quotas
	lists    map[int]fixed
	nextList int
	writes   []StockWrite
	dests    []destination
	subs     map[string]subscription
	queue    mailbox
}

// listing is one SKU.
type listing struct {
	sku, asin, title, kind, brand, ean string
	price                              string
	fba                                bool
	quantity, fulfillable              int64
	created, updated                   int64
	changed                            int64 // of a quantity
	deleted                            bool
	pending                            []change
}

// change is a submission that was accepted and is not applied yet.
type change struct {
	due      time.Time
	quantity *int64
	price    string
}

// New makes an account without listings. It starts nothing.
func New(cfg Config) *Simulator {
	cfg = cfg.withDefaults()
	exponent, ok := money.Exponent("amazon", cfg.Currency)
	if !ok {
		panic(fmt.Sprintf("simulator: currency %q is not known", cfg.Currency))
	}
	s := &Simulator{
		cfg: cfg, exponent: exponent, faults: cfg.Faults, rng: rand.New(rand.NewPCG(cfg.Seed, 0xa3a2)),
		orders: map[string]*order{}, listings: map[string]*listing{}, reports: map[string]*report{}, uploads: map[string]*upload{},
		access: map[string]grant{}, buckets: map[string]*mailroom.Turnstile{}, share: 1, lists: map[int]fixed{}, subs: map[string]subscription{},
	}
	s.stats.Calls, s.stats.Refused = map[string]int64{}, map[string]int64{}
	s.queue.arrived = make(chan struct{})
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

// SetClientSecret changes the application's secret, as a rotation does.
func (s *Simulator) SetClientSecret(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.ClientSecret = secret
}

// Stats returns the counts so far.
func (s *Simulator) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Calls, st.Refused = maps.Clone(st.Calls), maps.Clone(st.Refused)
	return st
}

// Close ends nothing: the account has no workers. It is here so that all simulators are
// closed alike.
func (s *Simulator) Close() {}

// now is the account's clock in seconds; it never goes back. Callers hold mu.
func (s *Simulator) now() int64 {
	s.last = max(s.last, s.cfg.Now().Unix())
	return s.last
}

// hit says whether a fault of probability p happens now.
func (s *Simulator) hit(p float64) bool { return p > 0 && s.rng.Float64() < p }

// uuid is drawn from the seed, so that a run can be repeated.
func (s *Simulator) uuid() string {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], s.rng.Uint64())
	binary.LittleEndian.PutUint64(b[8:], s.rng.Uint64())
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	t := hex.EncodeToString(b[:])
	return t[:8] + "-" + t[8:12] + "-" + t[12:16] + "-" + t[16:20] + "-" + t[20:]
}

// ProductSpec is a product to add: one ASIN, with its SKUs.
type ProductSpec struct {
	Title, Vendor, Type string
	Variants            []VariantSpec
}

// VariantSpec is one SKU; Barcode is an EAN.
type VariantSpec struct {
	SKU, Title, Barcode string
	// Price as decimal text.
	Price string
	// FBA: Amazon fulfils it, from Available units in its warehouse.
	FBA       bool
	Available int64
}

// Product says how a product is called.
type Product struct {
	ASIN string
	SKUs []string
}

// AddProduct adds a product. Prices that are no decimal numbers panic: the account is part
// of the test.
func (s *Simulator) AddProduct(spec ProductSpec) Product {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	out := Product{ASIN: fmt.Sprintf("B0%08d", s.number)}
	for _, v := range spec.Variants {
		s.price(v.Price)
		l := &listing{
			sku: v.SKU, asin: out.ASIN, title: spec.Title, kind: spec.Type, brand: spec.Vendor, ean: v.Barcode, price: v.Price, fba: v.FBA,
			created: s.now(),
		}
		if v.Title != "" {
			l.title += " " + v.Title
		}
		if l.kind == "" {
			l.kind = "HOME"
		}
		if l.quantity = v.Available; v.FBA {
			l.quantity, l.fulfillable = 0, v.Available
		}
		l.updated, l.changed = l.created, l.created
		s.listings[l.sku] = l
		s.inStock = append(s.inStock, l)
		out.SKUs = append(out.SKUs, l.sku)
	}
	return out
}

func (s *Simulator) price(text string) int64 {
	minor, err := money.Parse("amazon", s.cfg.Currency, text)
	if err != nil {
		panic(fmt.Sprintf("simulator: price %q: %v", text, err))
	}
	return minor
}

// UpdateProduct changes a listing's title and price.
func (s *Simulator) UpdateProduct(sku, title, newPrice string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.live(sku)
	if l == nil {
		return fmt.Errorf("listing %s does not exist", sku)
	}
	s.price(newPrice)
	l.title, l.price, l.updated = title, newPrice, s.now()
	return nil
}

// DeleteProduct takes a listing out of the account.
func (s *Simulator) DeleteProduct(sku string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.live(sku)
	if l == nil {
		return fmt.Errorf("listing %s does not exist", sku)
	}
	l.deleted = true
	return nil
}

// live is a listing that is not deleted, with everything applied that is due.
func (s *Simulator) live(sku string) *listing {
	l := s.listings[sku]
	if l == nil || l.deleted {
		return nil
	}
	s.apply(l)
	return l
}

// apply carries out the submissions that are due, in the order in which they came.
func (s *Simulator) apply(l *listing) {
	now := s.cfg.Now()
	for len(l.pending) > 0 && !l.pending[0].due.After(now) {
		c := l.pending[0]
		l.pending = l.pending[1:]
		if c.price != "" {
			l.price, l.updated = c.price, s.now()
		}
		if c.quantity != nil {
			s.show(l, *c.quantity)
		}
	}
}

// show sets what a listing shows and tells of it.
func (s *Simulator) show(l *listing, quantity int64) {
	if l.quantity == quantity {
		return
	}
	l.quantity, l.updated, l.changed = quantity, s.now(), s.now()
	s.notifyQuantity(l)
}

// SetStock sets what a listing shows, or what lies in Amazon's warehouse, as somebody in
// Seller Central would.
func (s *Simulator) SetStock(sku string, quantity int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.live(sku)
	if l == nil {
		return fmt.Errorf("listing %s does not exist", sku)
	}
	if l.fba {
		l.fulfillable, l.changed = quantity, s.now()
		s.notifyFBA(l)
		return nil
	}
	s.show(l, quantity)
	return nil
}

// Available is what a listing shows, or what lies in Amazon's warehouse; 0 for one that does
// not exist.
func (s *Simulator) Available(sku string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.live(sku)
	switch {
	case l == nil:
		return 0
	case l.fba:
		return l.fulfillable
	}
	return l.quantity
}

// Price is a listing's price as decimal text; "" for one that does not exist.
func (s *Simulator) Price(sku string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.live(sku); l != nil {
		return l.price
	}
	return ""
}

// Listing is a SKU with what it shows.
type Listing struct {
	SKU, ASIN string
	FBA       bool
	Available int64
}

// Listings iterates over the listings there were when it began.
func (s *Simulator) Listings() iter.Seq[Listing] {
	s.mu.Lock()
	var all []Listing
	for _, l := range s.inStock {
		if s.live(l.sku) == nil {
			continue
		}
		shown := l.quantity
		if l.fba {
			shown = l.fulfillable
		}
		all = append(all, Listing{l.sku, l.asin, l.fba, shown})
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

// StockWrite is one submission of a quantity that was accepted.
type StockWrite struct {
	SKU      string
	Quantity int64
	At       time.Time
}

// Writes is the ledger of stock writes, in their order.
func (s *Simulator) Writes() []StockWrite {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]StockWrite(nil), s.writes...)
}

// move changes a listing's stock because of an order.
func (s *Simulator) move(l *listing, by int64) {
	switch {
	case l == nil || by == 0:
	case l.fba:
		l.fulfillable, l.changed = l.fulfillable+by, s.now()
		s.notifyFBA(l)
	default:
		s.apply(l)
		s.show(l, l.quantity+by)
	}
}

// Settle returns at once: what happened can be read by its id, and is in the queue.
func (s *Simulator) Settle(ctx context.Context) error { return ctx.Err() }

func (s *Simulator) amount(minor int64) map[string]any {
	text, err := money.Format("amazon", &event.Money{Minor: minor, Currency: s.cfg.Currency})
	if err != nil {
		panic(err) // New has checked the currency
	}
	return map[string]any{"amount": text, "currencyCode": s.cfg.Currency}
}

func stamp(unix int64) string { return time.Unix(unix, 0).UTC().Format("2006-01-02T15:04:05Z") }
