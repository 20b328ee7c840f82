package simulator

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"iter"
	"maps"
	mathrand "math/rand/v2"
	"net/http"
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
	mux      *http.ServeMux
	key      *ecdsa.PrivateKey
	keyID    string

	mu       sync.Mutex
	rng      *mathrand.Rand
	faults   Faults
	stats    Stats
	last     time.Time // newest time told: the clock never goes back
	nextID   int64
	orders   map[string]*order
	inOrder  []*order // by creation
	underWay []pending
	items    []*item
	bySKU    map[string]*item
	ledger   []Write
	tokens   map[string]grant
	spent    map[string]int64 // calls of the day by API
	day      string
	email    string
	places   []*place
	subs     []*sub
	messages int64

	mail     *mailroom.Room[*delivery]
	retrying int // deliveries that wait for another attempt
}

// item is an inventory item with its one offer.
type item struct {
	sku, title, brand, barcode, product string
	price                               int64
	quantity                            int64
	offer, listing                      string
	available, sold                     int64
	revisions                           *revisions // of the listing, shared by its variants
	gone                                bool
}

type revisions struct {
	day   string
	count int
}

// shown is never below nothing, as in the API's answers: two buyers who were faster than eBay owe
// the account units, which is not told.
func (i *item) shown() int64 { return max(0, min(i.quantity, i.available)) }

// New makes an account without listings. It starts nothing: workers begin with the first
// notification.
func New(cfg Config) *Simulator {
	cfg = cfg.withDefaults()
	exponent, ok := money.Exponent("ebay", cfg.Currency)
	if !ok {
		panic(fmt.Sprintf("simulator: currency %q is not known", cfg.Currency))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(fmt.Sprintf("simulator: making a key: %v", err))
	}
	s := &Simulator{
		cfg: cfg, exponent: exponent, faults: cfg.Faults, key: key, keyID: "5d7b0c1e-51a3-4f5c-9d2e-3c9f7a1b2d4e",
		rng:    mathrand.New(mathrand.NewPCG(cfg.Seed, 0xeba1)),
		nextID: 1_000_000, orders: map[string]*order{}, bySKU: map[string]*item{}, tokens: map[string]grant{}, spent: map[string]int64{},
	}
	s.stats.Made, s.stats.Refused = map[string]int64{}, map[string]int64{}
	s.mail = mailroom.New(s.cfg.Workers, s.cfg.Queue, s.attempt)
	s.mux = s.routes()
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

// SetQuota changes how many calls of an API a day takes, from now on.
func (s *Simulator) SetQuota(api string, calls int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	quota := map[string]int64{api: calls}
	for name, n := range s.cfg.Quota {
		if name != api {
			quota[name] = n
		}
	}
	s.cfg.Quota = quota
}

// Stats returns the counts so far.
func (s *Simulator) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Made, st.Refused = maps.Clone(st.Made), maps.Clone(st.Refused)
	return st
}

// Writes is the ledger: every stock write that was carried out, in its order.
func (s *Simulator) Writes() []Write {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Write(nil), s.ledger...)
}

// now is eBay's clock in milliseconds; it never goes back. Callers hold mu.
func (s *Simulator) now() time.Time {
	if t := s.cfg.Now().UTC().Truncate(time.Millisecond); t.After(s.last) {
		s.last = t
	}
	return s.last
}

func (s *Simulator) id() int64 { s.nextID++; return s.nextID }

// hit says whether a fault of probability p happens now.
func (s *Simulator) hit(p float64) bool { return p > 0 && s.rng.Float64() < p }

// ProductSpec is a product to list. Several variants make a listing with variations.
type ProductSpec struct {
	Title, Vendor, Type string
	Variants            []VariantSpec
}

// VariantSpec is one variant; SKU must be new. Price is decimal text.
type VariantSpec struct {
	SKU, Title, Barcode string
	Price               string
	// Tracked is kept for likeness with other shops: eBay always counts stock.
	Tracked   bool
	Available int64
}

// Product says which ids a product got: its listing, and the SKUs of the variants, which are
// also what their stock is written to.
type Product struct {
	ID              string
	Variants, Items []string
}

// AddProduct lists a product. A price that is no number, or a SKU that there is already,
// panics: the account is part of the test.
func (s *Simulator) AddProduct(spec ProductSpec) Product {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Product{ID: fmt.Sprintf("1%011d", s.id())}
	shared := &revisions{}
	for _, v := range spec.Variants {
		if s.bySKU[v.SKU] != nil || v.SKU == "" {
			panic(fmt.Sprintf("simulator: SKU %q is there already", v.SKU))
		}
		title := spec.Title
		if v.Title != "" {
			title += " - " + v.Title
		}
		i := &item{
			sku: v.SKU, title: title, brand: spec.Vendor, barcode: v.Barcode, product: out.ID, price: s.minor(v.Price),
			quantity: v.Available, available: v.Available, offer: fmt.Sprintf("9%09d", s.id()), listing: out.ID, revisions: shared,
		}
		s.items = append(s.items, i)
		s.bySKU[v.SKU] = i
		out.Variants, out.Items = append(out.Variants, v.SKU), append(out.Items, v.SKU)
	}
	return out
}

// UpdateProduct changes the title and the price of all variants of a listing.
func (s *Simulator) UpdateProduct(id, title, price string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := false
	for _, i := range s.items {
		if i.product == id && !i.gone {
			i.title, i.price, found = title, s.minor(price), true
		}
	}
	if !found {
		return fmt.Errorf("listing %s does not exist", id)
	}
	return nil
}

// DeleteProduct ends a listing and takes its inventory items away.
func (s *Simulator) DeleteProduct(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := false
	for _, i := range s.items {
		if i.product == id && !i.gone {
			i.gone, found = true, true
			delete(s.bySKU, i.sku)
		}
	}
	if !found {
		return fmt.Errorf("listing %s does not exist", id)
	}
	return nil
}

// minor reads decimal text in the account's currency.
func (s *Simulator) minor(text string) int64 {
	v, err := money.Parse("ebay", s.cfg.Currency, text)
	if err != nil {
		panic(fmt.Sprintf("simulator: amount %q: %v", text, err))
	}
	return v
}

// amount is Amount.
type amount struct {
	Value    string `json:"value"`
	Currency string `json:"currency"`
}

func (s *Simulator) amount(minor int64) *amount {
	text, err := money.Format("ebay", &event.Money{Minor: minor, Currency: s.cfg.Currency})
	if err != nil {
		panic(fmt.Sprintf("simulator: %v", err))
	}
	return &amount{text, s.cfg.Currency}
}

// SetStock sets what a SKU shows, as somebody in the seller hub would.
func (s *Simulator) SetStock(sku string, quantity int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.bySKU[sku]
	if i == nil {
		return fmt.Errorf("SKU %s does not exist", sku)
	}
	i.quantity, i.available = quantity, quantity
	return nil
}

// Available is what a SKU shows; 0 for one that does not exist.
func (s *Simulator) Available(sku string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.bySKU[sku]; i != nil {
		return i.shown()
	}
	return 0
}

// Listing is a SKU with what it shows.
type Listing struct {
	Product, Variant, Item string
	SKU                    string
	Tracked                bool
	Available              int64
	Price                  int64
}

// Listings iterates over the SKUs there were when it began.
func (s *Simulator) Listings() iter.Seq[Listing] {
	s.mu.Lock()
	var all []Listing
	for _, i := range s.items {
		if !i.gone {
			all = append(all, Listing{i.product, i.sku, i.sku, i.sku, true, i.shown(), i.price})
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

// Settle waits until everything that happened so far can be polled: times are told in
// milliseconds, and the Date header in seconds. It waits by the machine's clock.
func (s *Simulator) Settle(ctx context.Context) error {
	t := time.NewTimer(time.Second + 5*time.Millisecond)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
