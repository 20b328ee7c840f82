package simulate

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/helloword/crossdock/connectors/magento/simulator"
)

type magentoShop struct {
	*simulator.Simulator
	variants map[string]int64
}

func openMagento(o Options) (shop, error) {
	c := simulator.Config{
		Currency:    o.Currency,
		ConsumerKey: Secret, ConsumerSecret: Secret, AccessToken: Secret, AccessTokenSecret: Secret, Seed: o.Seed,
	}
	if err := setFaults(&c.Faults, o.Faults); err != nil {
		return nil, err
	}
	return &magentoShop{simulator.New(c), make(map[string]int64)}, nil
}

func (s *magentoShop) stock(goods []Good) error {
	for _, g := range goods {
		p := s.AddProduct(simulator.ProductSpec{Title: g.Title, Variants: []simulator.VariantSpec{{SKU: g.SKU, Price: g.Price, Tracked: true, Available: opening}}})
		s.variants[g.SKU] = p.Variants[0]
	}
	return nil
}

func (s *magentoShop) sell(g Good, quantity int64) (string, error) {
	v := s.variants[g.SKU]
	if s.Available(v) < quantity {
		return "", errSoldOut
	}
	// Not paid yet: an order that was paid cannot be cancelled at Magento, only credited.
	id, err := s.PlaceOrder(simulator.OrderSpec{Lines: []simulator.LineSpec{{Variant: v, Quantity: quantity}}})
	return strconv.FormatInt(id, 10), err
}

func (s *magentoShop) shown(sku string) int64 { return s.Available(s.variants[sku]) }

func (s *magentoShop) cancel(order string) error {
	id, err := strconv.ParseInt(order, 10, 64)
	if err != nil {
		return err
	}
	return s.Cancel(id, "customer", true, time.Now())
}

func (*magentoShop) subscribe(string) error {
	return errors.New("Magento Open Source has no webhooks: leave --webhooks away")
}

func (s *magentoShop) connection(address string) string {
	return fmt.Sprintf(`connector: magento
allow_loopback: true
magento:
  base_url: https://shop.example.com
  test_base_url: %s
  consumer_key: env:%s
  consumer_secret: env:%[2]s
  access_token: env:%[2]s
  access_token_secret: env:%[2]s
  currency: %[3]s
`, address, SecretVariable, s.Config().Currency)
}

// Close ends nothing: Magento delivers nothing.
func (*magentoShop) Close() {}
