package simulate

import (
	"errors"
	"fmt"
	"time"

	"github.com/helloword/crossdock/connectors/amazon/simulator"
)

type amazonShop struct{ *simulator.Simulator }

func openAmazon(o Options) (shop, error) {
	c := simulator.Config{
		Currency: o.Currency, ClientSecret: Secret, RefreshToken: Secret, QueueSecret: Secret, Seed: o.Seed,
	}
	if o.Currency == "EUR" {
		c.Marketplace = "A1PA6795UKMFR9" // Germany
	}
	if err := setFaults(&c.Faults, o.Faults); err != nil {
		return nil, err
	}
	s := &amazonShop{simulator.New(c)}
	s.Subscribe("ORDER_CHANGE") // into its own queue
	return s, nil
}

func (s *amazonShop) stock(goods []Good) error {
	for _, g := range goods {
		s.AddProduct(simulator.ProductSpec{Title: g.Title, Variants: []simulator.VariantSpec{{SKU: g.SKU, Price: g.Price, Available: opening}}})
	}
	return nil
}

func (s *amazonShop) sell(g Good, quantity int64) (string, error) {
	if s.Available(g.SKU) < quantity {
		return "", errSoldOut
	}
	return s.PlaceOrder(simulator.OrderSpec{Paid: true, Lines: []simulator.LineSpec{{SKU: g.SKU, Title: g.Title, Quantity: quantity}}})
}

func (s *amazonShop) shown(sku string) int64 { return s.Available(sku) }

func (s *amazonShop) cancel(order string) error {
	return s.Cancel(order, "BuyerCanceled", true, time.Now())
}

func (*amazonShop) subscribe(string) error {
	return errors.New("Amazon calls nobody: its notifications are in the queue of the printed connection; leave --webhooks away")
}

func (s *amazonShop) connection(address string) string {
	c := s.Config()
	return fmt.Sprintf(`connector: amazon
allow_loopback: true
amazon:
  seller_id: %s
  region: eu
  marketplaces: [%s]
  test_base_url: %s
  client_id: %s
  client_secret: env:%s
  refresh_token: env:%[5]s
  queue_url: %[3]s%[6]s
  queue_access_key_id: %[7]s
  queue_secret_key: env:%[5]s
  queue_wait: 0s
`, c.SellerID, c.Marketplace, address, c.ClientID, SecretVariable, s.QueuePath(), c.QueueKeyID)
}
