package simulate

import (
	"fmt"
	"strconv"
	"time"

	"github.com/helloword/crossdock/connectors/woocommerce/simulator"
)

type wooShop struct {
	*simulator.Simulator
	variants map[string]int64
}

func openWooCommerce(o Options) (shop, error) {
	c := simulator.Config{Currency: o.Currency, ConsumerKey: Secret, ConsumerSecret: Secret, WebhookSecret: Secret, Seed: o.Seed}
	if err := setFaults(&c.Faults, o.Faults); err != nil {
		return nil, err
	}
	return &wooShop{simulator.New(c), make(map[string]int64)}, nil
}

func (s *wooShop) stock(goods []Good) error {
	for _, g := range goods {
		p := s.AddProduct(simulator.ProductSpec{Title: g.Title, Variants: []simulator.VariantSpec{{SKU: g.SKU, Price: g.Price, Tracked: true, Available: opening}}})
		s.variants[g.SKU] = p.Variants[0]
	}
	return nil
}

func (s *wooShop) sell(g Good, quantity int64) (string, error) {
	v := s.variants[g.SKU]
	if s.Available(v) < quantity {
		return "", errSoldOut
	}
	id, err := s.PlaceOrder(simulator.OrderSpec{Paid: true, Lines: []simulator.LineSpec{{Variant: v, SKU: g.SKU, Title: g.Title, Quantity: quantity}}})
	return strconv.FormatInt(id, 10), err
}

func (s *wooShop) shown(sku string) int64 { return s.Available(s.variants[sku]) }

func (s *wooShop) cancel(order string) error {
	id, err := strconv.ParseInt(order, 10, 64)
	if err != nil {
		return err
	}
	return s.Cancel(id, "customer", true, time.Now())
}

func (s *wooShop) subscribe(address string) error {
	s.Subscribe(address, "order.created", "order.updated", "order.deleted", "product.created", "product.updated", "product.deleted")
	return nil
}

func (s *wooShop) connection(address string) string {
	return fmt.Sprintf(`connector: woocommerce
allow_loopback: true
woocommerce:
  shop: https://shop.example.com
  test_base_url: %s
  consumer_key: env:%s
  consumer_secret: env:%s
  webhook_secret: env:%s
  currency: %s
`, address, SecretVariable, SecretVariable, SecretVariable, s.Config().Currency)
}
