package shops

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/helloword/crossdock/connectors/magento/simulator"
	"github.com/helloword/crossdock/schemas/money"
)

type magentoShop struct {
	*simulator.Simulator
	spec     Spec
	variants map[string]int64
}

func openMagento(o Spec) (Shop, error) {
	c := simulator.Config{
		Currency:    o.Currency,
		ConsumerKey: o.Secret, ConsumerSecret: o.Secret, AccessToken: o.Secret, AccessTokenSecret: o.Secret, Seed: o.Seed,
	}
	if err := setFaults(&c.Faults, o.Faults); err != nil {
		return nil, err
	}
	return &magentoShop{simulator.New(c), o, make(map[string]int64)}, nil
}

// Traits: Magento Open Source has no webhooks. An order that was paid cannot be cancelled, only
// credited.
func (*magentoShop) Traits() Traits { return Traits{Looks: 1} }

func (s *magentoShop) Offer(g Good) error {
	p := s.AddProduct(simulator.ProductSpec{Title: g.Title, Variants: []simulator.VariantSpec{{SKU: g.SKU, Price: g.Price, Tracked: !g.Service, Available: g.Quantity}}})
	s.variants[g.SKU] = p.Variants[0]
	return nil
}

func (s *magentoShop) Place(o Order) (string, error) {
	spec := simulator.OrderSpec{Name: o.Name, At: o.At, Paid: o.Paid, SourceIdentifier: o.Name}
	for _, l := range o.Lines {
		spec.Lines = append(spec.Lines, simulator.LineSpec{Variant: s.variants[l.SKU], Quantity: l.Quantity, Price: l.Price})
	}
	if o.Buyer != 0 {
		spec.Customer = &simulator.Customer{ID: o.Buyer, FirstName: "Customer", LastName: buyerName(o)}
	}
	if o.CountryCode != "" {
		spec.Shipping = &simulator.Address{FirstName: "Customer", LastName: buyerName(o), Country: o.Country, CountryCode: o.CountryCode}
	}
	id, err := s.PlaceOrder(spec)
	return strconv.FormatInt(id, 10), err
}

func (*magentoShop) Edit(string, []Line, time.Time) error { return errCannot }

// Refund: a credit memo gives back the share of its lines, by units; what is to be given back
// beside that is an adjustment. It gives back something, and no more than was paid.
func (s *magentoShop) Refund(order string, r Refund) (Told, error) {
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
	given, _ := r.left(paid)
	if given == 0 {
		return Told{}, nil
	}
	units := make(map[int]int64)
	spec := simulator.RefundSpec{At: r.At, Number: r.Note}
	for _, p := range r.Parts {
		units[p.Line] += p.Quantity
	}
	var share int64
	for i, l := range o.Lines {
		n := units[i]
		if n == 0 {
			continue
		}
		upTo, err := money.MulDiv(l.Total, l.Refunded+n, l.Quantity)
		if err != nil {
			return Told{}, err
		}
		before, err := money.MulDiv(l.Total, l.Refunded, l.Quantity)
		if err != nil {
			return Told{}, err
		}
		share += upTo - before
		spec.Lines = append(spec.Lines, simulator.RefundLineSpec{Line: l.ID, Quantity: n})
	}
	switch {
	case given > share:
		spec.Plus = text(given-share, s.spec.Currency)
	case given < share:
		spec.Minus = text(share-given, s.spec.Currency)
	}
	if _, err := s.Simulator.Refund(id, spec); err != nil {
		return Told{}, err
	}
	return Told{given, true, true}, nil
}

func (s *magentoShop) Cancel(order string) error {
	id, err := number(order)
	if err != nil {
		return err
	}
	return s.Simulator.Cancel(id, "customer", true, time.Now())
}

func (*magentoShop) Subscribe(string) error {
	return errors.New("Magento Open Source has no webhooks: leave --webhooks away")
}

// SetFaults changes nothing: what nobody is told cannot go wrong.
func (*magentoShop) SetFaults(Faults) {}

// Drain waits for nothing: nothing is delivered.
func (*magentoShop) Drain(ctx context.Context) error { return ctx.Err() }

func (s *magentoShop) Shown(sku string) int64 { return s.Available(s.variants[sku]) }

func (s *magentoShop) Listings() iter.Seq2[string, int64] {
	return func(yield func(string, int64) bool) {
		for l := range s.Simulator.Listings() {
			if l.Tracked && !yield(l.SKU, l.Available) {
				return
			}
		}
	}
}

func (s *magentoShop) Stats() Stats { return Stats{PushesAccepted: s.Simulator.Stats().PushesAccepted} }

func (s *magentoShop) Connection(address string) string {
	return fmt.Sprintf(`connector: magento
allow_loopback: true
magento:
  base_url: https://shop.example.com
  test_base_url: %s
  consumer_key: %s
  consumer_secret: %[2]s
  access_token: %[2]s
  access_token_secret: %[2]s
  currency: %[3]s
`, address, s.spec.Reference, s.Config().Currency)
}
