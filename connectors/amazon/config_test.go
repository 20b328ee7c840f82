package amazon

import (
	"strings"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas"
)

func valid() Config {
	c := DefaultConfig()
	c.SellerID, c.Region, c.Marketplaces = "A1B2C3D4E5F6G7", RegionEurope, []string{"A1F83G8C2ARO7P", "A1PA6795UKMFR9"}
	c.ClientID, c.ClientSecret, c.RefreshToken = "amzn1.x", "env:S", "env:R"
	c.QueueURL, c.QueueAccessKeyID, c.QueueSecretKey = "https://sqs.eu-west-1.amazonaws.com/123456789012/q", "AKIA", "env:Q"
	return c
}

// TestValidate: what is wrong is named, and a test connection cannot hold a seller's account.
func TestValidate(t *testing.T) {
	for _, c := range []struct {
		name, want string
		env        schemas.Environment
		change     func(*Config)
	}{
		{"right", "", schemas.Production, func(*Config) {}},
		{"without a queue", "", schemas.Production, func(c *Config) { c.QueueURL, c.QueueAccessKeyID, c.QueueSecretKey = "", "", "" }},
		{"a simulator", "", schemas.Test, func(c *Config) { c.TestBaseURL, c.QueueURL = "http://127.0.0.1:1", "http://127.0.0.1:1/123456789012/q" }},
		{"production with a simulator", "test_base_url", schemas.Production, func(c *Config) { c.TestBaseURL = "http://127.0.0.1:1" }},
		{"a test with a seller's account", "test_base_url", schemas.Test, func(*Config) {}},
		{"a simulator elsewhere", "test_base_url", schemas.Test, func(c *Config) { c.TestBaseURL = "http://192.0.2.1:1" }},
		{"a simulator's queue elsewhere", "queue_url", schemas.Test, func(c *Config) { c.TestBaseURL, c.QueueURL = "http://127.0.0.1:1", "http://192.0.2.1/123456789012/q" }},
		{"a real queue in a test", "queue_url", schemas.Test, func(c *Config) { c.TestBaseURL = "http://127.0.0.1:1" }},
		{"a queue of somebody else's host", "queue_url", schemas.Production, func(c *Config) { c.QueueURL = "https://sqs.example.com/123456789012/q" }},
		{"a queue without a key", "queue_access_key_id", schemas.Production, func(c *Config) { c.QueueAccessKeyID = "" }},
		{"a secret itself", "client_secret", schemas.Production, func(c *Config) { c.ClientSecret = "pasted" }},
		{"pasted refresh token", "refresh_token", schemas.Production, func(c *Config) { c.RefreshToken = "Atzr|pasted" }},
		{"no client", "client_id", schemas.Production, func(c *Config) { c.ClientID = "" }},
		{"no seller", "seller_id", schemas.Production, func(c *Config) { c.SellerID = "acme" }},
		{"no region", "region", schemas.Production, func(c *Config) { c.Region = "mars" }},
		{"no marketplace", "marketplaces", schemas.Production, func(c *Config) { c.Marketplaces = nil }},
		{"another region's marketplace", "connection of its own", schemas.Production, func(c *Config) { c.Marketplaces = []string{"ATVPDKIKX0DER"} }},
		{"a marketplace twice", "twice", schemas.Production, func(c *Config) { c.Marketplaces = []string{"A1F83G8C2ARO7P", "A1F83G8C2ARO7P"} }},
		{"too long a wait", "queue_wait", schemas.Production, func(c *Config) { c.QueueWait = time.Minute }},
		{"read again at once", "reconcile_every", schemas.Production, func(c *Config) { c.ReconcileEvery = time.Second }},
		{"read again at once from a simulator", "", schemas.Test, func(c *Config) {
			c.TestBaseURL, c.QueueURL, c.ReconcileEvery = "http://127.0.0.1:1", "http://127.0.0.1:1/123456789012/q", time.Second
		}},
		{"a service without a name", "services", schemas.Production, func(c *Config) { c.Services = []string{"GIFT-WRAP", ""} }},
		{"too large a page", "page_size", schemas.Production, func(c *Config) { c.PageSize = 101 }},
	} {
		cfg := valid()
		c.change(&cfg)
		err := cfg.Validate(c.env)
		if (err == nil) != (c.want == "") || (err != nil && !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "pasted") {
			t.Errorf("%s: the error repeats a secret: %v", c.name, err)
		}
	}
	if _, err := New(valid(), schemas.Production, connectors.Deps{}); err == nil {
		t.Error("a connection without anything handed in was opened")
	}
}

// TestMarketplaces: each has a region with an endpoint and a currency that money knows.
func TestMarketplaces(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range marketplaces() {
		facts, err := translated(formatOrder, orderOf("GBP", m.currency, "20.00", "2000", "10.00", "1000", "A1F83G8C2ARO7P", m.id))
		if err != nil || facts.Orders[0].Currency != m.currency {
			t.Errorf("%s: %v, %v", m.id, facts.Orders, err)
		}
		if endpoint(m.region) == "" || seen[m.id] || len(m.country) != 2 {
			t.Errorf("%+v", m)
		}
		seen[m.id] = true
	}
}
