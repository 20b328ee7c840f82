package shops

import (
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/helloword/crossdock/connectors/shopify/simulator"
)

type shopifyShop struct {
	*simulator.Simulator
	spec     Spec
	variants map[string]int64
}

func openShopify(o Spec) (Shop, error) {
	c := simulator.Config{Currency: o.Currency, ClientSecret: o.Secret, Seed: o.Seed}
	if o.Account != "" {
		c.Shop, c.Name = o.Account+".myshopify.com", o.Account
	}
	if o.Hurried {
		// The bucket is scaled as time is, and so are the retries' pauses.
		c.MaximumAvailable, c.RestoreRate, c.MaxQueryCost, c.RetryScale = 1e9, 1e9, 1e9, 1e-4
		c.Workers, c.Queue, c.KeepSubscriptions, c.Lean = 8, 512, true, true
	}
	if err := setFaults(&c.Faults, o.Faults); err != nil {
		return nil, err
	}
	return &shopifyShop{simulator.New(c), o, make(map[string]int64)}, nil
}

func (*shopifyShop) Traits() Traits {
	return Traits{Hooks: true, Told: true, Edits: true, CancelsPaid: true, Looks: 1}
}

func (s *shopifyShop) Offer(g Good) error {
	p := s.AddProduct(simulator.ProductSpec{Title: g.Title, Variants: []simulator.VariantSpec{{SKU: g.SKU, Price: g.Price, Tracked: !g.Service, Available: g.Quantity}}})
	s.variants[g.SKU] = p.Variants[0]
	return nil
}

func (s *shopifyShop) lines(of []Line) []simulator.LineSpec {
	lines := make([]simulator.LineSpec, len(of))
	for i, l := range of {
		lines[i] = simulator.LineSpec{Variant: s.variants[l.SKU], SKU: l.SKU, Title: l.Title, Quantity: l.Quantity, Price: l.Price}
	}
	return lines
}

func (s *shopifyShop) Place(o Order) (string, error) {
	spec := simulator.OrderSpec{Name: o.Name, At: o.At, Paid: o.Paid, SourceIdentifier: o.Name, Lines: s.lines(o.Lines)}
	if o.Buyer != 0 {
		spec.Customer = &simulator.Customer{ID: o.Buyer, FirstName: "Customer", LastName: strconv.FormatInt(o.Buyer, 10)}
	}
	if o.CountryCode != "" {
		spec.Shipping = &simulator.Address{FirstName: "Customer", LastName: buyerName(o), Country: o.Country, CountryCode: o.CountryCode}
	}
	id, err := s.PlaceOrder(spec)
	return strconv.FormatInt(id, 10), err
}

// buyerName is the buyer's number as a name.
func buyerName(o Order) string {
	if o.Buyer == 0 {
		return ""
	}
	return strconv.FormatInt(o.Buyer, 10)
}

func (s *shopifyShop) Edit(order string, add []Line, at time.Time) error {
	id, err := number(order)
	if err != nil {
		return err
	}
	return s.EditOrder(id, s.lines(add), at)
}

func (s *shopifyShop) Refund(order string, r Refund) (Told, error) {
	id, err := number(order)
	if err != nil {
		return Told{}, err
	}
	o, ok := s.Order(id)
	if !ok {
		return Told{}, fmt.Errorf("order %s is not there", order)
	}
	spec := simulator.RefundSpec{At: r.At, Note: r.Note}
	for _, p := range r.Parts {
		spec.Lines = append(spec.Lines, simulator.RefundLineSpec{Line: o.Lines[p.Line].ID, Quantity: p.Quantity, Restock: "cancel", Amount: text(p.Minor, s.spec.Currency)})
	}
	if _, err := s.Simulator.Refund(id, spec); err != nil {
		return Told{}, err
	}
	return Told{r.Minor(), true, true}, nil
}

func (s *shopifyShop) Cancel(order string) error {
	id, err := number(order)
	if err != nil {
		return err
	}
	return s.Simulator.Cancel(id, "customer", true, time.Now())
}

func (s *shopifyShop) Subscribe(address string) error {
	s.Simulator.Subscribe(address, "orders/create", "orders/updated", "orders/cancelled", "refunds/create", "products/create", "products/update", "products/delete")
	return nil
}

func (s *shopifyShop) SetFaults(f Faults) {
	s.Simulator.SetFaults(simulator.Faults{Duplicate: f.Duplicate, Reorder: f.Reorder, ReorderBy: f.ReorderBy, Drop: f.Drop})
}

func (s *shopifyShop) Shown(sku string) int64 { return s.Available(s.variants[sku]) }

func (s *shopifyShop) Listings() iter.Seq2[string, int64] {
	return func(yield func(string, int64) bool) {
		for l := range s.Simulator.Listings() {
			if l.Tracked && !yield(l.SKU, l.Available) {
				return
			}
		}
	}
}

func (s *shopifyShop) Stats() Stats {
	st := s.Simulator.Stats()
	return Stats{st.WebhooksSent, st.WebhooksDuplicated, st.WebhooksDropped, st.PushesAccepted}
}

func (s *shopifyShop) Connection(address string) string {
	c := s.Config()
	connection := fmt.Sprintf(`connector: shopify
allow_loopback: true
shopify:
  shop: %s
  test_base_url: %s
  client_id: %s
  client_secret: %s
  currency: %s
  location_id: "%d"
`, c.Shop, address, c.ClientID, s.spec.Reference, c.Currency, c.LocationID)
	if s.spec.Hurried {
		connection += "  page_size: 100\n  nested_page_size: 50\n"
	}
	return connection
}
