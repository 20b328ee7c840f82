package shops

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"github.com/helloword/crossdock/connectors/amazon/simulator"
)

type amazonShop struct {
	*simulator.Simulator
	spec Spec
	// ahead is how far Amazon's clock was set forward, in nanoseconds.
	ahead atomic.Int64
}

func openAmazon(o Spec) (Shop, error) {
	s := &amazonShop{spec: o}
	c := simulator.Config{
		Currency: o.Currency, ClientSecret: o.Secret, RefreshToken: o.Secret, QueueSecret: o.Secret, Seed: o.Seed,
		Now: func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) },
		// A clock that is set forward ends no token.
		TokenLife: 24 * time.Hour,
	}
	if o.Currency == "EUR" {
		c.Marketplace = "A1PA6795UKMFR9" // Germany
	}
	if err := setFaults(&c.Faults, o.Faults); err != nil {
		return nil, err
	}
	s.Simulator = simulator.New(c)
	s.Simulator.Subscribe(simulator.OrderChange) // into its own queue
	return s, nil
}

// Traits: notifications wait in a queue until they are fetched. The list of listings ends after a
// thousand: a report has the rest, which is asked for by one poll, and read by the next.
func (*amazonShop) Traits() Traits { return Traits{CancelsPaid: true, Looks: 3} }

func (s *amazonShop) Offer(g Good) error {
	s.AddProduct(simulator.ProductSpec{Title: g.Title, Variants: []simulator.VariantSpec{{SKU: g.SKU, Price: g.Price, Available: g.Quantity}}})
	return nil
}

func (s *amazonShop) Place(o Order) (string, error) {
	spec := simulator.OrderSpec{Name: o.Name, At: o.At, Paid: o.Paid}
	for _, l := range o.Lines {
		price, discount, err := whole(l, s.spec.Currency)
		if err != nil {
			return "", err
		}
		spec.Lines = append(spec.Lines, simulator.LineSpec{SKU: l.SKU, Title: l.Title, Quantity: l.Quantity, Price: price, Discount: discount})
	}
	if o.Buyer != 0 {
		spec.Customer = &simulator.Customer{Name: "Customer " + buyerName(o)}
	}
	if o.CountryCode != "" {
		spec.Shipping = &simulator.Address{Name: "Customer " + buyerName(o), CountryCode: o.CountryCode}
	}
	return s.PlaceOrder(spec)
}

func (*amazonShop) Edit(string, []Line, time.Time) error { return errCannot }

// Refund does nothing here: money is given back through feeds, of which no order says anything,
// and what the goods are back in is not Amazon's warehouse.
func (s *amazonShop) Refund(order string, _ Refund) (Told, error) {
	if _, ok := s.Order(order); !ok {
		return Told{}, fmt.Errorf("order %s is not there", order)
	}
	return Told{}, nil
}

func (s *amazonShop) Cancel(order string) error {
	return s.Simulator.Cancel(order, "BuyerCanceled", true, time.Now())
}

func (*amazonShop) Subscribe(string) error {
	return errors.New("Amazon calls nobody: its notifications are in the queue of the printed connection; leave --webhooks away")
}

// SetFaults: what is reordered comes late into the queue.
func (s *amazonShop) SetFaults(f Faults) {
	s.Simulator.SetFaults(simulator.Faults{Duplicate: f.Duplicate, Late: f.Reorder, LateBy: f.ReorderBy, Drop: f.Drop})
}

// Drain waits for nothing: whoever polls fetches what is in the queue.
func (*amazonShop) Drain(ctx context.Context) error { return ctx.Err() }

// fresh is how old a change has to be before it stands in the list of orders, and a minute that is
// left out for clocks that differ.
const fresh = 3*time.Minute + 10*time.Second

// Settle sets Amazon's clock forward: nobody waits three minutes for a year that takes two.
func (s *amazonShop) Settle(ctx context.Context) error {
	s.ahead.Add(int64(fresh))
	return ctx.Err()
}

func (s *amazonShop) Shown(sku string) int64 { return s.Available(sku) }

func (s *amazonShop) Listings() iter.Seq2[string, int64] {
	return func(yield func(string, int64) bool) {
		for l := range s.Simulator.Listings() {
			if !slices.Contains(s.spec.Services, l.SKU) && !yield(l.SKU, l.Available) {
				return
			}
		}
	}
}

func (s *amazonShop) Stats() Stats {
	st := s.Simulator.Stats()
	return Stats{st.NotificationsSent, st.NotificationsDuplicated, st.NotificationsDropped, st.PushesAccepted}
}

func (s *amazonShop) Connection(address string) string {
	c := s.Config()
	connection := fmt.Sprintf(`connector: amazon
allow_loopback: true
amazon:
  seller_id: %s
  region: eu
  marketplaces: [%s]
  test_base_url: %s
  client_id: %s
  client_secret: %s
  refresh_token: %[5]s
  queue_url: %[3]s%[6]s
  queue_access_key_id: %[7]s
  queue_secret_key: %[5]s
  queue_wait: 0s
`, c.SellerID, c.Marketplace, address, c.ClientID, s.spec.Reference, s.QueuePath(), c.QueueKeyID)
	if s.spec.Hurried {
		connection += "  reconcile_every: 0s\n  reconcile_overlap: 0s\n"
	}
	return connection + yamlList("services", s.spec.Services)
}
