package shopify

import (
	"reflect"
	"strings"
	"testing"

	"github.com/helloword/crossdock/schemas"
)

func TestValidate(t *testing.T) {
	good := DefaultConfig()
	good.Shop, good.ClientID, good.ClientSecret = "acme.myshopify.com", "id", "env:SECRET"
	if err := good.Validate(schemas.Production); err != nil {
		t.Fatalf("a good configuration: %v", err)
	}
	for _, tc := range []struct {
		name   string
		env    schemas.Environment
		change func(*Config)
		want   string // "" = valid
	}{
		{"simulator in test", schemas.Test, func(c *Config) { c.TestBaseURL = "http://127.0.0.1:8080" }, ""},
		{"simulator in production", schemas.Production, func(c *Config) { c.TestBaseURL = "http://127.0.0.1:8080" }, "test_base_url"},
		{"production shop in test", schemas.Test, func(*Config) {}, "test_base_url"},
		{"simulator elsewhere", schemas.Test, func(c *Config) { c.TestBaseURL = "http://192.0.2.1:8080" }, "not on this machine"},
		{"credentials in the address", schemas.Test, func(c *Config) { c.TestBaseURL = "http://a:b@127.0.0.1" }, "test_base_url"},
		{"own domain", schemas.Production, func(c *Config) { c.Shop = "shop.acme.com" }, "myshopify.com"},
		{"lookalike", schemas.Production, func(c *Config) { c.Shop = "acme.myshopify.com.evil.example" }, "shop"},
		{"version", schemas.Production, func(c *Config) { c.APIVersion = "2026-11" }, "api_version"},
		{"pasted secret", schemas.Production, func(c *Config) { c.ClientSecret = "shpss_abc" }, "client_secret"},
		{"no client id", schemas.Production, func(c *Config) { c.ClientID = "" }, "client_id"},
		{"no refresh token", schemas.Production, func(c *Config) { c.Auth = AuthOfflineToken }, "refresh_token"},
		{"no refresh token is needed", schemas.Production, func(c *Config) { c.Auth = AuthAuthorizationCode }, ""},
		{"no client id to agree to", schemas.Production, func(c *Config) { c.Auth, c.ClientID = AuthAuthorizationCode, "" }, "client_id"},
		{"no access token", schemas.Production, func(c *Config) { c.Auth = AuthAccessToken }, "access_token"},
		{"unknown auth", schemas.Production, func(c *Config) { c.Auth = "basic" }, "auth"},
		{"page", schemas.Production, func(c *Config) { c.PageSize = 251 }, "page_size"},
		{"currency", schemas.Production, func(c *Config) { c.Currency = "POUND" }, "currency"},
		{"location", schemas.Production, func(c *Config) { c.LocationID = "gid://x" }, "location_id"},
		{"window", schemas.Production, func(c *Config) { c.ReplayWindow = 0 }, "replay_window"},
		{"timeout", schemas.Production, func(c *Config) { c.CallTimeout = 0 }, "call_timeout"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := good
			tc.change(&c)
			err := c.Validate(tc.env)
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("got %v", err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("got %v, want it to name %q", err, tc.want)
			case err != nil && strings.Contains(err.Error(), "shpss_abc"):
				t.Errorf("the error repeats a secret: %v", err)
			}
		})
	}
}

// The generated documentation is made of these tags.
func TestEveryFieldIsDocumented(t *testing.T) {
	typ := reflect.TypeFor[Config]()
	for i := range typ.NumField() {
		if f := typ.Field(i); f.Tag.Get("yaml") == "" || f.Tag.Get("doc") == "" {
			t.Errorf("field %s has no yaml or doc tag", f.Name)
		}
	}
}
