// Package all is the explicit list of the connectors: nothing registers itself.
package all

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/amazon"
	"github.com/helloword/crossdock/connectors/ebay"
	"github.com/helloword/crossdock/connectors/ecb"
	"github.com/helloword/crossdock/connectors/magento"
	"github.com/helloword/crossdock/connectors/shopify"
	"github.com/helloword/crossdock/connectors/warehouse"
	"github.com/helloword/crossdock/connectors/woocommerce"
	"github.com/helloword/crossdock/schemas"
)

// Info is one row of the table of capabilities.
type Info struct {
	Name string          `json:"name"`
	Kind connectors.Kind `json:"kind"`
	Can  []string        `json:"can"`
}

// List opens each connector for a made-up account and reads from the contract itself what it
// can. Opening is inert: nobody is called and no secret is read.
func List() ([]Info, error) {
	deps := connectors.Deps{
		Account: "example", HTTP: &http.Client{}, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Tokens: nothing{}, Limiter: nothing{},
	}
	shop := shopify.DefaultConfig()
	shop.Shop, shop.ClientID, shop.ClientSecret = "example.myshopify.com", "example", "env:EXAMPLE"
	woo := woocommerce.DefaultConfig()
	woo.Shop, woo.ConsumerKey, woo.ConsumerSecret, woo.WebhookSecret = "https://shop.example.com", "env:EXAMPLE", "env:EXAMPLE", "env:EXAMPLE"
	mage := magento.DefaultConfig()
	mage.BaseURL, mage.Currency = "https://shop.example.com", "EUR"
	mage.ConsumerKey, mage.ConsumerSecret = "env:EXAMPLE", "env:EXAMPLE"
	mage.AccessToken, mage.AccessTokenSecret = "env:EXAMPLE", "env:EXAMPLE"
	sp := amazon.DefaultConfig()
	sp.SellerID, sp.Region, sp.Marketplaces = "A1EXAMPLE000", amazon.RegionEurope, []string{"A1F83G8C2ARO7P"}
	sp.ClientID, sp.ClientSecret, sp.RefreshToken = "example", "env:EXAMPLE", "env:EXAMPLE"
	sp.QueueURL = "https://sqs.eu-west-1.amazonaws.com/123456789012/example"
	sp.QueueAccessKeyID, sp.QueueSecretKey = "example", "env:EXAMPLE"
	bay := ebay.DefaultConfig()
	bay.Marketplace, bay.ClientID, bay.ClientSecret, bay.RefreshToken = "EBAY_GB", "example", "env:EXAMPLE", "env:EXAMPLE"
	bay.Endpoint, bay.VerificationToken = "https://example.com/webhooks/ebay/example", "env:EXAMPLE"
	var infos []Info
	for _, open := range []func() (*connectors.Connector, error){
		func() (*connectors.Connector, error) { return shopify.New(shop, schemas.Production, deps) },
		func() (*connectors.Connector, error) { return woocommerce.New(woo, schemas.Production, deps) },
		func() (*connectors.Connector, error) { return magento.New(mage, schemas.Production, deps) },
		func() (*connectors.Connector, error) { return amazon.New(sp, schemas.Production, deps) },
		func() (*connectors.Connector, error) { return ebay.New(bay, schemas.Production, deps) },
		func() (*connectors.Connector, error) {
			return warehouse.New(warehouse.Config{Secret: "env:EXAMPLE"}, schemas.Production, deps)
		},
		func() (*connectors.Connector, error) { return ecb.New(ecb.Config{}, deps) },
	} {
		c, err := open()
		if err != nil {
			return nil, fmt.Errorf("listing connectors: %w", err)
		}
		infos = append(infos, Info{c.Name, c.Kind, c.Capabilities()})
	}
	return infos, nil
}

// Uses is what each connector that calls somebody with a contract uses of it, by its name.
func Uses() map[string]connectors.Uses {
	return map[string]connectors.Uses{
		amazon.Name: amazon.Uses(), ebay.Name: ebay.Uses(), magento.Name: magento.Uses(),
		shopify.Name: shopify.Uses(), woocommerce.Name: woocommerce.Uses(),
	}
}

// nothing is a token store and a limiter for connections that call nobody.
type nothing struct{}

func (nothing) Load(context.Context, string) ([]byte, error)                     { return nil, nil }
func (nothing) Save(context.Context, string, []byte) error                       { return nil }
func (nothing) Lock(context.Context, string) (func(), error)                     { return func() {}, nil }
func (nothing) Wait(context.Context, string, float64, connectors.Priority) error { return nil }
func (nothing) Observe(string, connectors.LimitState)                            {}
