package woocommerce

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas"
)

func TestValidate(t *testing.T) {
	good := func() Config {
		c := DefaultConfig()
		c.Shop, c.ConsumerKey, c.ConsumerSecret, c.WebhookSecret = "https://shop.example.com/store", "env:A", "env:B", "file:/c"
		return c
	}
	if err := good().Validate(schemas.Production); err != nil {
		t.Errorf("a good one: %v", err)
	}
	test := good()
	test.TestBaseURL = "http://127.0.0.1:8089"
	if err := test.Validate(schemas.Test); err != nil {
		t.Errorf("a good one for tests: %v", err)
	}
	if test.Shop = ""; test.Validate(schemas.Test) != nil {
		t.Errorf("a shop on this machine needs no other address: %v", test.Validate(schemas.Test))
	}
	for _, tc := range []struct {
		name   string
		env    schemas.Environment
		change func(*Config)
		want   string
	}{
		{"no shop", schemas.Production, func(c *Config) { c.Shop = "" }, "shop: write the site's address"},
		{"plain http", schemas.Production, func(c *Config) { c.Shop = "http://shop.example.com" }, "not https"},
		{"the API's address", schemas.Production, func(c *Config) { c.Shop += "/wp-json" }, "without /wp-json"},
		{"a password in the address", schemas.Production, func(c *Config) { c.Shop = "https://a:b@shop.example.com" }, "shop: write"},
		{"a test address in production", schemas.Production, func(c *Config) { c.TestBaseURL = "http://127.0.0.1:1" }, "only the test environment"},
		{"no test address in the test", schemas.Test, func(*Config) {}, "cannot hold a production shop"},
		{"a test address elsewhere", schemas.Test, func(c *Config) { c.TestBaseURL = "http://192.0.2.1" }, "not on this machine"},
		{"a test address that is none", schemas.Test, func(c *Config) { c.TestBaseURL = "127.0.0.1:1" }, "http://127.0.0.1:PORT"},
		{"keys over plain http", schemas.Test, func(c *Config) { c.TestBaseURL, c.Auth = "http://127.0.0.1:1", AuthBasic }, "over https only"},
		{"a way that is none", schemas.Production, func(c *Config) { c.Auth = "bearer" }, "auth:"},
		{"a pasted key", schemas.Production, func(c *Config) { c.ConsumerSecret = "cs_geheim" }, "consumer_secret: not a reference"},
		{"no webhook secret", schemas.Production, func(c *Config) { c.WebhookSecret = "" }, "webhook_secret"},
		{"a currency that is none", schemas.Production, func(c *Config) { c.Currency = "EURO" }, "ISO 4217"},
		{"a core status", schemas.Production, func(c *Config) { c.Statuses = map[string]string{"completed": "failed"} }, "a status of a plugin"},
		{"a status with its prefix", schemas.Production, func(c *Config) { c.Statuses = map[string]string{"wc-sent": "completed"} }, "without wc-"},
		{"a meaning that is none", schemas.Production, func(c *Config) { c.Statuses = map[string]string{"sent": "gone"} }, "no meaning"},
		{"pages too large", schemas.Production, func(c *Config) { c.PageSize = 101 }, "page_size: 101: use 1 to 100"},
		{"no parallel calls", schemas.Production, func(c *Config) { c.Parallel = 0 }, "parallel: 0"},
		{"no time", schemas.Production, func(c *Config) { c.CallTimeout = time.Millisecond }, "call_timeout"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := good()
			tc.change(&c)
			err := c.Validate(tc.env)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want it to name %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "geheim") {
				t.Errorf("the error tells a secret: %v", err)
			}
			if _, err := New(c, tc.env, connectors.Deps{}); err == nil {
				t.Error("it was opened all the same")
			}
		})
	}
	if _, err := New(good(), schemas.Production, connectors.Deps{Account: "a"}); err == nil || !strings.Contains(err.Error(), "handed in") {
		t.Errorf("opened with nothing: %v", err)
	}
}

func TestAuthorizeURL(t *testing.T) {
	good := Authorisation{AppName: "Crossdock & Co", State: "0123456789abcdef", ReturnURL: "http://127.0.0.1:1/done", CallbackURL: "https://hooks.example/keys"}
	got, err := AuthorizeURL("https://shop.example/store/", good)
	const want = "https://shop.example/store/wc-auth/v1/authorize?app_name=Crossdock+%26+Co&callback_url=https%3A%2F%2Fhooks.example%2Fkeys&return_url=http%3A%2F%2F127.0.0.1%3A1%2Fdone&scope=read_write&user_id=0123456789abcdef"
	if err != nil || got != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
	for name, change := range map[string]func(*Authorisation){
		"no name":        func(a *Authorisation) { a.AppName = "" },
		"a short state":  func(a *Authorisation) { a.State = "1" },
		"plain callback": func(a *Authorisation) { a.CallbackURL = "http://hooks.example/keys" },
		"no return":      func(a *Authorisation) { a.ReturnURL = "" },
		"no such scope":  func(a *Authorisation) { a.Scope = "all" },
	} {
		a := good
		change(&a)
		if got, err := AuthorizeURL("https://shop.example", a); err == nil {
			t.Errorf("%s: %s", name, got)
		}
	}
	if _, err := AuthorizeURL("shop.example", good); err == nil {
		t.Error("an address without a scheme was taken")
	}
}

func TestReadGrant(t *testing.T) {
	const state = "0123456789abcdef"
	body := func(user, key string) []byte {
		return []byte(`{"key_id":7,"user_id":` + user + `,"consumer_key":"` + key + `","consumer_secret":"cs_geheim","key_permissions":"read_write"}`)
	}
	g, err := ReadGrant(body(`"`+state+`"`, "ck_geheim"), state)
	if err != nil || g.KeyID != "7" || g.ConsumerKey != "ck_geheim" || g.ConsumerSecret != "cs_geheim" || g.Scope != ScopeReadWrite {
		t.Errorf("got %v, %v", g, err)
	}
	if text := g.String() + g.GoString(); strings.Contains(text, "geheim") {
		t.Errorf("it prints its key: %s", text)
	}
	if _, err := ReadGrant(body("1234567890123456", "ck_geheim"), "1234567890123456"); err != nil {
		t.Errorf("a state that came back as a number: %v", err)
	}
	for name, tc := range map[string]struct {
		body  []byte
		state string
		want  error
	}{
		"another state": {body(`"fedcba9876543210"`, "ck_a"), state, connectors.ErrUnauthentic},
		"no state":      {body(`""`, "ck_a"), "", connectors.ErrUnauthentic},
		"no key":        {body(`"`+state+`"`, "sk_a"), state, connectors.ErrMalformed},
		"no JSON":       {[]byte("<html>"), state, connectors.ErrMalformed},
	} {
		if _, err := ReadGrant(tc.body, tc.state); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

func FuzzReadGrant(f *testing.F) {
	f.Add([]byte(`{"key_id":7,"user_id":"0123456789abcdef","consumer_key":"ck_a","consumer_secret":"cs_a"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		g, err := ReadGrant(body, "0123456789abcdef")
		switch {
		case err == nil && (len(g.ConsumerKey) < 3 || len(g.ConsumerSecret) < 3):
			t.Errorf("%q was taken for a key", body)
		case err != nil && (!errors.Is(err, connectors.ErrUnauthentic) && !errors.Is(err, connectors.ErrMalformed) || g != (Grant{})):
			t.Errorf("%q: %v with %v", body, g, err)
		}
	})
}
