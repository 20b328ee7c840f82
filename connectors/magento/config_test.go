package magento

import (
	"strings"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/magento/simulator"
	"github.com/helloword/crossdock/schemas"
)

func production() Config {
	c := DefaultConfig()
	c.BaseURL = "https://shop.example.com"
	c.ConsumerKey, c.ConsumerSecret, c.AccessToken, c.AccessTokenSecret = "env:A", "env:B", "env:C", "file:/run/d"
	return c
}

func TestConfigurations(t *testing.T) {
	for name, tc := range map[string]struct {
		env    schemas.Environment
		change func(*Config)
		says   string // empty = it is right
	}{
		"production":                  {schemas.Production, func(*Config) {}, ""},
		"a path":                      {schemas.Production, func(c *Config) { c.BaseURL = "https://example.com/shop/" }, ""},
		"a test on this machine":      {schemas.Test, func(c *Config) { c.BaseURL, c.TestBaseURL = "", "http://127.0.0.1:8081" }, ""},
		"a test by name":              {schemas.Test, func(c *Config) { c.TestBaseURL = "http://localhost:8081" }, ""},
		"plain text":                  {schemas.Production, func(c *Config) { c.BaseURL = "http://shop.example.com" }, "base_url"},
		"a password in the address":   {schemas.Production, func(c *Config) { c.BaseURL = "https://a:b@shop.example.com" }, "base_url"},
		"no address":                  {schemas.Production, func(c *Config) { c.BaseURL = "" }, "base_url"},
		"a simulator in production":   {schemas.Production, func(c *Config) { c.TestBaseURL = "http://127.0.0.1:1" }, "test_base_url"},
		"a production shop in a test": {schemas.Test, func(*Config) {}, "test_base_url"},
		"a test on another machine":   {schemas.Test, func(c *Config) { c.TestBaseURL = "http://192.168.1.1" }, "not on this machine"},
		"a pasted secret":             {schemas.Production, func(c *Config) { c.ConsumerSecret = "s3cr3t" }, "consumer_secret"},
		"a missing key":               {schemas.Production, func(c *Config) { c.AccessTokenSecret = "" }, "access_token_secret"},
		"bearer needs one":            {schemas.Production, func(c *Config) { c.Auth, c.ConsumerKey, c.ConsumerSecret, c.AccessTokenSecret = AuthBearer, "", "", "" }, ""},
		"admin":                       {schemas.Production, func(c *Config) { c.Auth, c.Username, c.Password = AuthAdmin, "u", "env:P" }, ""},
		"admin without a name":        {schemas.Production, func(c *Config) { c.Auth, c.Password = AuthAdmin, "env:P" }, "username"},
		"admin without a password":    {schemas.Production, func(c *Config) { c.Auth, c.Username = AuthAdmin, "u" }, "password"},
		"ims":                         {schemas.Production, func(c *Config) { c.Auth, c.ClientID, c.ClientSecret = AuthIMS, "i", "env:S" }, ""},
		"ims without a client":        {schemas.Production, func(c *Config) { c.Auth, c.ClientSecret = AuthIMS, "env:S" }, "client_id"},
		"ims in plain text": {schemas.Production, func(c *Config) {
			c.Auth, c.ClientID, c.ClientSecret, c.TokenURL = AuthIMS, "i", "env:S", "http://x.example"
		}, "ims_token_url"},
		"ims of Adobe in a test": {schemas.Test, func(c *Config) {
			c.Auth, c.ClientID, c.ClientSecret, c.TestBaseURL = AuthIMS, "i", "env:S", "http://127.0.0.1:1"
		}, "ims_token_url"},
		"another way":   {schemas.Production, func(c *Config) { c.Auth = "basic" }, "auth"},
		"a store":       {schemas.Production, func(c *Config) { c.Store = "../admin" }, "store"},
		"a source":      {schemas.Production, func(c *Config) { c.Source = "" }, "source"},
		"a currency":    {schemas.Production, func(c *Config) { c.Currency = "EURO" }, "currency"},
		"an identifier": {schemas.Production, func(c *Config) { c.Identifiers = map[string]string{"ean": "barcode"} }, "identifiers"},
		"a carrier":     {schemas.Production, func(c *Config) { c.Carriers = map[string]string{"dhl": ""} }, "carriers"},
		"a page":        {schemas.Production, func(c *Config) { c.PageSize = 301 }, "page_size"},
		"pages":         {schemas.Production, func(c *Config) { c.MaxPages = 0 }, "max_pages"},
		"an interval":   {schemas.Production, func(c *Config) { c.InventoryEvery = -time.Second }, "inventory_interval"},
		"a deadline":    {schemas.Production, func(c *Config) { c.CallTimeout = 0 }, "call_timeout"},
	} {
		c := production()
		tc.change(&c)
		err := c.Validate(tc.env)
		if tc.says == "" && err != nil || tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)) {
			t.Errorf("%s: %v, want %q", name, err, tc.says)
		}
		if err != nil && strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: the secret stands in %v", name, err)
		}
	}
}

func TestNewNeedsItsWorld(t *testing.T) {
	if _, err := New(production(), schemas.Production, connectors.Deps{Account: "a"}); err == nil {
		t.Error("it opens without a client")
	}
	if _, err := New(Config{}, schemas.Production, connectors.Deps{}); err == nil {
		t.Error("it opens without a configuration")
	}
}

// Without a currency a price would be written as whatever the shop counts in.
func TestNoCurrencyNoPrices(t *testing.T) {
	s := open(t, simulator.Config{}, func(c *Config) { c.Currency = "" })
	if s.conn.Price != nil {
		t.Error("it pushes prices")
	}
}
