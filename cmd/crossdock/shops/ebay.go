package shops

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/helloword/crossdock/connectors/ebay/simulator"
)

type ebayShop struct {
	*simulator.Simulator
	spec Spec
}

func openEbay(o Spec) (Shop, error) {
	c := simulator.Config{Currency: o.Currency, ClientSecret: o.Secret, RefreshToken: o.Secret, Seed: o.Seed}
	if o.Currency == "EUR" {
		c.Marketplace = "EBAY_DE"
	}
	if o.Hurried {
		// A day's limits are those of days.
		c.Revisions, c.RetryScale, c.Workers, c.Queue = 1<<30, 1e-4, 8, 512
		c.Quota = map[string]int64{"fulfillment": 1 << 40, "inventory": 1 << 40, "notification": 1 << 40, "analytics": 1 << 40}
	}
	if err := setFaults(&c.Faults, o.Faults); err != nil {
		return nil, err
	}
	return &ebayShop{simulator.New(c), o}, nil
}

// Traits: a notification says that an order was confirmed, and nothing of what happens to it.
func (*ebayShop) Traits() Traits { return Traits{Hooks: true, CancelsPaid: true, Looks: 1} }

func (s *ebayShop) Offer(g Good) error {
	s.AddProduct(simulator.ProductSpec{Title: g.Title, Variants: []simulator.VariantSpec{{SKU: g.SKU, Price: g.Price, Tracked: true, Available: g.Quantity}}})
	return nil
}

func (s *ebayShop) Place(o Order) (string, error) {
	spec := simulator.OrderSpec{At: o.At, Paid: o.Paid}
	for _, l := range o.Lines {
		price, discount, err := whole(l, s.spec.Currency)
		if err != nil {
			return "", err
		}
		spec.Lines = append(spec.Lines, simulator.LineSpec{Variant: l.SKU, Title: l.Title, Quantity: l.Quantity, Price: price, Discount: discount})
	}
	if o.Buyer != 0 {
		spec.Customer = &simulator.Customer{Username: "customer_" + buyerName(o), FirstName: "Customer", LastName: buyerName(o)}
	}
	if o.CountryCode != "" {
		spec.Shipping = &simulator.Address{FirstName: "Customer", LastName: buyerName(o), Country: o.Country, CountryCode: o.CountryCode}
	}
	return s.PlaceOrder(spec)
}

func (*ebayShop) Edit(string, []Line, time.Time) error { return errCannot }

// Refund gives money back, no more than was paid. eBay says of it neither what came back nor why.
func (s *ebayShop) Refund(order string, r Refund) (Told, error) {
	o, ok := s.Order(order)
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
		if amounts[i] > 0 {
			spec.Lines = append(spec.Lines, simulator.RefundLineSpec{Line: o.Lines[p.Line].ID, Quantity: p.Quantity, Amount: text(amounts[i], s.spec.Currency)})
		}
	}
	if given == 0 {
		return Told{}, nil
	}
	if _, err := s.Simulator.Refund(order, spec); err != nil {
		return Told{}, err
	}
	return Told{Minor: given}, nil
}

func (s *ebayShop) Cancel(order string) error {
	return s.Simulator.Cancel(order, "BUYER_CANCEL_OR_ADDRESS_ISSUE", true, time.Now())
}

func (s *ebayShop) Subscribe(address string) error {
	s.Simulator.Subscribe(address, "ORDER_CONFIRMATION", "MARKETPLACE_ACCOUNT_DELETION")
	return nil
}

func (s *ebayShop) SetFaults(f Faults) {
	s.Simulator.SetFaults(simulator.Faults{Duplicate: f.Duplicate, Reorder: f.Reorder, ReorderBy: f.ReorderBy, Drop: f.Drop})
}

func (s *ebayShop) Shown(sku string) int64 { return s.Available(sku) }

func (s *ebayShop) Listings() iter.Seq2[string, int64] {
	return func(yield func(string, int64) bool) {
		for l := range s.Simulator.Listings() {
			if !slices.Contains(s.spec.Services, l.SKU) && !yield(l.SKU, l.Available) {
				return
			}
		}
	}
}

func (s *ebayShop) Stats() Stats {
	st := s.Simulator.Stats()
	return Stats{st.WebhooksSent, st.WebhooksDuplicated, st.WebhooksDropped, st.PushesAccepted}
}

func (s *ebayShop) Connection(address string) string {
	c := s.Config()
	return fmt.Sprintf(`connector: ebay
allow_loopback: true
ebay:
  marketplace: %s
  test_base_url: %s
  client_id: %s
  client_secret: %s
  refresh_token: %[4]s
`, c.Marketplace, address, c.ClientID, s.spec.Reference) + yamlList("services", s.spec.Services)
}
