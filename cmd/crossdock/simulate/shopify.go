package simulate

import (
	"fmt"
	"strconv"
	"time"

	"github.com/helloword/crossdock/connectors/shopify/simulator"
)

// opening is how many of each good a shop has at first.
const opening = 500

type shopifyShop struct {
	*simulator.Simulator
	variants map[string]int64
}

func openShopify(o Options) (shop, error) {
	c := simulator.Config{Currency: o.Currency, ClientSecret: Secret, Seed: o.Seed}
	if err := setFaults(&c.Faults, o.Faults); err != nil {
		return nil, err
	}
	return &shopifyShop{simulator.New(c), make(map[string]int64)}, nil
}

func (s *shopifyShop) stock(goods []Good) error {
	for _, g := range goods {
		p := s.AddProduct(simulator.ProductSpec{Title: g.Title, Variants: []simulator.VariantSpec{{SKU: g.SKU, Price: g.Price, Tracked: true, Available: opening}}})
		s.variants[g.SKU] = p.Variants[0]
	}
	return nil
}

func (s *shopifyShop) sell(g Good, quantity int64) (string, error) {
	v := s.variants[g.SKU]
	if s.Available(v) < quantity {
		return "", errSoldOut
	}
	id, err := s.PlaceOrder(simulator.OrderSpec{Paid: true, Lines: []simulator.LineSpec{{Variant: v, SKU: g.SKU, Title: g.Title, Quantity: quantity}}})
	return strconv.FormatInt(id, 10), err
}

func (s *shopifyShop) shown(sku string) int64 { return s.Available(s.variants[sku]) }

func (s *shopifyShop) cancel(order string) error {
	id, err := strconv.ParseInt(order, 10, 64)
	if err != nil {
		return err
	}
	return s.Cancel(id, "customer", true, time.Now())
}

func (s *shopifyShop) subscribe(address string) error {
	s.Subscribe(address, "orders/create", "orders/updated", "refunds/create", "products/create", "products/update", "products/delete")
	return nil
}

func (s *shopifyShop) connection(address string) string {
	c := s.Config()
	return fmt.Sprintf(`connector: shopify
allow_loopback: true
shopify:
  shop: %s
  test_base_url: %s
  client_id: %s
  client_secret: env:%s
  currency: %s
  location_id: "%d"
`, c.Shop, address, c.ClientID, SecretVariable, c.Currency, c.LocationID)
}
