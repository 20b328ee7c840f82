package simulate

import (
	"fmt"
	"time"

	"github.com/helloword/crossdock/connectors/ebay/simulator"
)

type ebayShop struct{ *simulator.Simulator }

func openEbay(o Options) (shop, error) {
	c := simulator.Config{Currency: o.Currency, ClientSecret: Secret, RefreshToken: Secret, Seed: o.Seed}
	if o.Currency == "EUR" {
		c.Marketplace = "EBAY_DE"
	}
	if err := setFaults(&c.Faults, o.Faults); err != nil {
		return nil, err
	}
	return &ebayShop{simulator.New(c)}, nil
}

func (s *ebayShop) stock(goods []Good) error {
	for _, g := range goods {
		s.AddProduct(simulator.ProductSpec{Title: g.Title, Variants: []simulator.VariantSpec{{SKU: g.SKU, Price: g.Price, Tracked: true, Available: opening}}})
	}
	return nil
}

func (s *ebayShop) sell(g Good, quantity int64) (string, error) {
	if s.Available(g.SKU) < quantity {
		return "", errSoldOut
	}
	return s.PlaceOrder(simulator.OrderSpec{Paid: true, Lines: []simulator.LineSpec{{Variant: g.SKU, Title: g.Title, Quantity: quantity}}})
}

func (s *ebayShop) shown(sku string) int64 { return s.Available(sku) }

func (s *ebayShop) cancel(order string) error {
	return s.Cancel(order, "BUYER_CANCEL_OR_ADDRESS_ISSUE", true, time.Now())
}

func (s *ebayShop) subscribe(address string) error {
	s.Subscribe(address, "ORDER_CONFIRMATION", "MARKETPLACE_ACCOUNT_DELETION")
	return nil
}

func (s *ebayShop) connection(address string) string {
	c := s.Config()
	return fmt.Sprintf(`connector: ebay
allow_loopback: true
ebay:
  marketplace: %s
  test_base_url: %s
  client_id: %s
  client_secret: env:%s
  refresh_token: env:%[4]s
`, c.Marketplace, address, c.ClientID, SecretVariable)
}
