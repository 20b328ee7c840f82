package shops

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/helloword/crossdock/connectors/woocommerce/simulator"
)

type wooShop struct {
	*simulator.Simulator
	spec     Spec
	variants map[string]int64
	services map[string]Good
	// behind is how far the shop's clock is set back while its goods are typed in, in nanoseconds.
	behind atomic.Int64
}

// typing is how long it took to type in all goods, and pause the time between two of them. A shop
// tells time in whole seconds, and has no way to be asked for the rest of a second of thousands
// while they are being changed.
const typing, pause = time.Hour, 20 * time.Millisecond

func openWooCommerce(o Spec) (Shop, error) {
	s := &wooShop{spec: o, variants: make(map[string]int64), services: make(map[string]Good)}
	c := simulator.Config{
		Currency: o.Currency, ConsumerKey: o.Secret, ConsumerSecret: o.Secret, WebhookSecret: o.Secret, Seed: o.Seed,
		Now: func() time.Time { return time.Now().Add(-time.Duration(s.behind.Load())) },
	}
	if o.Hurried {
		s.behind.Store(int64(typing))
		c.Workers, c.Queue, c.KeepWebhooks = 8, 512, true
	}
	if err := setFaults(&c.Faults, o.Faults); err != nil {
		return nil, err
	}
	s.Simulator = simulator.New(c)
	return s, nil
}

func (*wooShop) Traits() Traits {
	return Traits{Hooks: true, Told: true, Edits: true, CancelsPaid: true, Looks: 1}
}

// Offer: what is no goods is typed into an order by hand. A line does not say whether stock of its
// product is kept.
func (s *wooShop) Offer(g Good) error {
	if g.Service {
		s.services[g.SKU] = g
		return nil
	}
	s.behind.Store(max(0, s.behind.Load()-int64(pause)))
	p := s.AddProduct(simulator.ProductSpec{Title: g.Title, Variants: []simulator.VariantSpec{{SKU: g.SKU, Price: g.Price, Tracked: true, Available: g.Quantity}}})
	s.variants[g.SKU] = p.Variants[0]
	return nil
}

func (s *wooShop) lines(of []Line) []simulator.LineSpec {
	lines := make([]simulator.LineSpec, len(of))
	for i, l := range of {
		if g, ok := s.services[l.SKU]; ok {
			l.Title, l.Price = cmp.Or(l.Title, g.Title), cmp.Or(l.Price, g.Price)
		}
		lines[i] = simulator.LineSpec{Variant: s.variants[l.SKU], SKU: l.SKU, Title: l.Title, Quantity: l.Quantity, Price: l.Price}
	}
	return lines
}

func (s *wooShop) Place(o Order) (string, error) {
	s.behind.Store(0)
	spec := simulator.OrderSpec{Name: o.Name, At: o.At, Paid: o.Paid, Lines: s.lines(o.Lines)}
	if o.Buyer != 0 {
		spec.Customer = &simulator.Customer{ID: o.Buyer, FirstName: "Customer", LastName: buyerName(o)}
	}
	if o.CountryCode != "" {
		spec.Shipping = &simulator.Address{FirstName: "Customer", LastName: buyerName(o), CountryCode: o.CountryCode}
	}
	id, err := s.PlaceOrder(spec)
	return strconv.FormatInt(id, 10), err
}

func (s *wooShop) Edit(order string, add []Line, at time.Time) error {
	id, err := number(order)
	if err != nil {
		return err
	}
	return s.EditOrder(id, s.lines(add), at)
}

// Refund: the shop gives back no more than was paid.
func (s *wooShop) Refund(order string, r Refund) (Told, error) {
	id, err := number(order)
	if err != nil {
		return Told{}, err
	}
	o, ok := s.Order(id)
	if !ok {
		return Told{}, fmt.Errorf("order %s is not there", order)
	}
	paid := o.Total
	for _, before := range o.Refunds {
		paid -= before.Total
	}
	given, amounts := r.left(paid)
	spec := simulator.RefundSpec{At: r.At, Note: r.Note}
	for i, p := range r.Parts {
		spec.Lines = append(spec.Lines, simulator.RefundLineSpec{Line: o.Lines[p.Line].ID, Quantity: p.Quantity, Restock: "cancel", Amount: text(amounts[i], s.spec.Currency)})
	}
	if _, err := s.Simulator.Refund(id, spec); err != nil {
		return Told{}, err
	}
	return Told{given, true, true}, nil
}

func (s *wooShop) Cancel(order string) error {
	id, err := number(order)
	if err != nil {
		return err
	}
	return s.Simulator.Cancel(id, "customer", true, time.Now())
}

func (s *wooShop) Subscribe(address string) error {
	topics := []string{"order.created", "order.updated", "order.deleted"}
	if !s.spec.Hurried {
		// Each line of each order changes a product, and each write of ours does.
		topics = append(topics, "product.created", "product.updated", "product.deleted")
	}
	s.Simulator.Subscribe(address, topics...)
	return nil
}

func (s *wooShop) SetFaults(f Faults) {
	s.Simulator.SetFaults(simulator.Faults{Duplicate: f.Duplicate, Reorder: f.Reorder, ReorderBy: f.ReorderBy, Drop: f.Drop})
}

// Settle ends the typing in of goods.
func (s *wooShop) Settle(ctx context.Context) error {
	s.behind.Store(0)
	return s.Simulator.Settle(ctx)
}

func (s *wooShop) Shown(sku string) int64 { return s.Available(s.variants[sku]) }

func (s *wooShop) Listings() iter.Seq2[string, int64] {
	return func(yield func(string, int64) bool) {
		for l := range s.Simulator.Listings() {
			if l.Tracked && !yield(l.SKU, l.Available) {
				return
			}
		}
	}
}

func (s *wooShop) Stats() Stats {
	st := s.Simulator.Stats()
	return Stats{st.WebhooksSent, st.WebhooksDuplicated, st.WebhooksDropped, st.PushesAccepted}
}

func (s *wooShop) Connection(address string) string {
	connection := fmt.Sprintf(`connector: woocommerce
allow_loopback: true
woocommerce:
  test_base_url: %s
  consumer_key: %s
  consumer_secret: %[2]s
  webhook_secret: %[2]s
  currency: %[3]s
`, address, s.spec.Reference, s.Config().Currency)
	if s.spec.Hurried {
		connection += "  page_size: 100\n"
	}
	return connection
}
