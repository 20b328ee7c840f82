package magento

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/money"
)

// Name of the connector. Package money knows no exponents of Magento's own: ISO 4217's hold.
const Name = "magento"

// Ways to authenticate.
const (
	// AuthOAuth signs each call with the four keys of an integration. They do not expire.
	AuthOAuth = "oauth"
	// AuthBearer sends an integration's access token as it is, which a shop has to allow
	// (oauth/consumer/enable_integration_as_bearer; off since 2.4.4).
	AuthBearer = "bearer"
	// AuthAdmin trades an administrator's name and password for a token of some hours.
	AuthAdmin = "admin"
	// AuthIMS trades a client of Adobe's identity service for a token of a day (cloud service).
	AuthIMS = "ims"
)

// Config is one connection to one installation.
type Config struct {
	BaseURL           string            `yaml:"base_url" doc:"Address of the shop, e.g. https://shop.example.com; of the cloud service, https://SERVER.api.commerce.adobe.com/TENANT."`
	TestBaseURL       string            `yaml:"test_base_url,omitempty" doc:"Address of a simulator or of a shop on this machine (http://127.0.0.1:…), instead of base_url. Only in the test environment, with allow_loopback."`
	Store             string            `yaml:"store" doc:"Code of the store view whose names and prices are read; all = the default values."`
	Auth              string            `yaml:"auth" doc:"oauth (the four keys of an integration), bearer (an integration's access token alone), admin (an administrator's name and password) or ims (Adobe Commerce as a Cloud Service)."`
	ConsumerKey       connectors.Secret `yaml:"consumer_key,omitempty" doc:"The integration's consumer key; for oauth."`
	ConsumerSecret    connectors.Secret `yaml:"consumer_secret,omitempty" doc:"The integration's consumer secret; for oauth."`
	AccessToken       connectors.Secret `yaml:"access_token,omitempty" doc:"The integration's access token; for oauth and bearer."`
	AccessTokenSecret connectors.Secret `yaml:"access_token_secret,omitempty" doc:"The integration's access token secret; for oauth."`
	Username          string            `yaml:"username,omitempty" doc:"The administrator's name; for admin."`
	Password          connectors.Secret `yaml:"password,omitempty" doc:"The administrator's password; for admin."`
	ClientID          string            `yaml:"client_id,omitempty" doc:"The credential's client id; for ims."`
	ClientSecret      connectors.Secret `yaml:"client_secret,omitempty" doc:"The credential's client secret; for ims."`
	Organisation      string            `yaml:"ims_org_id,omitempty" doc:"The organisation's id, e.g. 1234@AdobeOrg; for ims."`
	TokenURL          string            `yaml:"ims_token_url,omitempty" doc:"Where tokens are asked for; for ims. In a test connection it is on this machine."`
	Scope             string            `yaml:"ims_scope,omitempty" doc:"Scopes of the token; for ims."`
	Currency          string            `yaml:"currency,omitempty" doc:"The base currency (ISO 4217). Products name none: without it listings carry no price, and none is pushed."`
	Source            string            `yaml:"source" doc:"Code of the inventory source whose quantity is pushed and polled."`
	InventoryEvery    time.Duration     `yaml:"inventory_interval" doc:"How often all quantities are read. Magento does not tell which of them changed."`
	Identifiers       map[string]string `yaml:"identifiers,omitempty" doc:"Product attributes that hold identifiers, by attribute code: gtin, isbn, asin or mpn."`
	Carriers          map[string]string `yaml:"carriers,omitempty" doc:"Carrier codes of the shop by our carrier codes; what is not named is sent as custom."`
	PageSize          int               `yaml:"page_size" doc:"Objects asked for at once, 1 to 300 (the most that a shop with input limits allows)."`
	MaxPages          int               `yaml:"max_pages" doc:"Pages read by one poll before its progress is stored."`
	CallTimeout       time.Duration     `yaml:"call_timeout" doc:"Deadline of one call to the shop."`
}

// DefaultConfig is what a setting is when it is not given.
func DefaultConfig() Config {
	return Config{ //nolint:gosec // G101: the address where tokens are asked for is none
		Store:          "all",
		Auth:           AuthOAuth,
		TokenURL:       "https://ims-na1.adobelogin.com/ims/token/v3",
		Scope:          "openid,AdobeID,email,profile,additional_info.roles,additional_info.projectedProductContext,commerce.accs",
		Source:         "default",
		InventoryEvery: time.Hour,
		Identifiers:    map[string]string{"gtin": "gtin", "ean": "gtin", "upc": "gtin", "barcode": "gtin", "isbn": "isbn", "mpn": "mpn"},
		Carriers:       map[string]string{"dhl": "dhl", "fedex": "fedex", "ups": "ups", "usps": "usps"},
		PageSize:       100,
		MaxPages:       40,
		CallTimeout:    45 * time.Second,
	}
}

// maxPage is the most that a shop with input limits takes in one page.
// https://developer.adobe.com/commerce/webapi/get-started/api-security/
const maxPage = 300

var code = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate(env schemas.Environment) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	c.validateAddress(env, bad)
	c.validateAuth(env, bad)
	if !code.MatchString(c.Store) {
		bad("store: %q: write the store view's code, or all", c.Store)
	}
	if !code.MatchString(c.Source) {
		bad("source: %q: write the source's code, e.g. default", c.Source)
	}
	if _, ok := money.Exponent(Name, c.Currency); c.Currency != "" && !ok {
		bad("currency: %q is not known: write the ISO 4217 code, e.g. GBP", c.Currency)
	}
	for attribute, kind := range c.Identifiers {
		if _, ok := kindOf(kind); !ok || !code.MatchString(attribute) {
			bad("identifiers: %s: %q: use gtin, isbn, asin or mpn", attribute, kind)
		}
	}
	for ours, theirs := range c.Carriers {
		if ours == "" || !code.MatchString(theirs) {
			bad("carriers: %s: %q is no carrier code", ours, theirs)
		}
	}
	for _, f := range []struct {
		name    string
		v, most int
	}{{"page_size", c.PageSize, maxPage}, {"max_pages", c.MaxPages, 10_000}} {
		if f.v < 1 || f.v > f.most {
			bad("%s: %d: use 1 to %d", f.name, f.v, f.most)
		}
	}
	if c.InventoryEvery < 0 || c.InventoryEvery > 7*24*time.Hour {
		bad("inventory_interval: %s: use 0 (with every poll) to 168h", c.InventoryEvery)
	}
	if c.CallTimeout < time.Second || c.CallTimeout > 10*time.Minute {
		bad("call_timeout: %s: use 1s to 10m", c.CallTimeout)
	}
	return errors.Join(errs...)
}

func (c Config) validateAddress(env schemas.Environment, bad func(string, ...any)) {
	if c.BaseURL != "" || env == schemas.Production {
		if u, err := plainURL(c.BaseURL); err != nil || u.Scheme != "https" {
			bad("base_url: %q: write the shop's address as https://shop.example.com", c.BaseURL)
		}
	}
	switch {
	case c.TestBaseURL != "" && env != schemas.Test:
		bad("test_base_url: only the test environment may talk to this machine: remove it")
	case c.TestBaseURL != "":
		if err := loopback(c.TestBaseURL); err != nil {
			bad("test_base_url: %w", err)
		}
	case env != schemas.Production:
		bad("test_base_url: a connection of the test environment cannot hold a production shop: give the address of a simulator or of a shop on this machine")
	}
}

func (c Config) validateAuth(env schemas.Environment, bad func(string, ...any)) {
	secret := func(name string, s connectors.Secret, of ...string) {
		if s == "" && !slices.Contains(of, c.Auth) {
			return
		}
		if err := s.Validate(); err != nil {
			bad("%s: %w", name, err)
		}
	}
	secret("consumer_key", c.ConsumerKey, AuthOAuth)
	secret("consumer_secret", c.ConsumerSecret, AuthOAuth)
	secret("access_token", c.AccessToken, AuthOAuth, AuthBearer)
	secret("access_token_secret", c.AccessTokenSecret, AuthOAuth)
	secret("password", c.Password, AuthAdmin)
	secret("client_secret", c.ClientSecret, AuthIMS)
	switch c.Auth {
	case AuthOAuth, AuthBearer:
	case AuthAdmin:
		if c.Username == "" {
			bad("username: admin needs it")
		}
	case AuthIMS:
		if c.ClientID == "" {
			bad("client_id: ims needs it")
		}
		if env == schemas.Production {
			if u, err := plainURL(c.TokenURL); err != nil || u.Scheme != "https" {
				bad("ims_token_url: %q: write it as https://…", c.TokenURL)
			}
		} else if err := loopback(c.TokenURL); err != nil {
			bad("ims_token_url: a test connection takes its tokens from this machine: %w", err)
		}
	default:
		bad("auth: %q: use %s, %s, %s or %s", c.Auth, AuthOAuth, AuthBearer, AuthAdmin, AuthIMS)
	}
}

// plainURL is an address without anything that would be lost or sent along with each call.
func plainURL(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("write it as http://127.0.0.1:PORT")
	}
	return u, nil
}

func loopback(address string) error {
	u, err := plainURL(address)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%s is not on this machine", u.Hostname())
	}
	return nil
}

// New opens a connection. It is inert: nothing is asked and no secret is read before the
// first use.
func New(cfg Config, env schemas.Environment, deps connectors.Deps) (*connectors.Connector, error) {
	if err := cfg.Validate(env); err != nil {
		return nil, fmt.Errorf("magento connection %s: %w", deps.Account, err)
	}
	if deps.Account == "" || deps.HTTP == nil || deps.Log == nil || deps.Now == nil || deps.Tokens == nil || deps.Limiter == nil {
		return nil, fmt.Errorf("magento connection %q: account, HTTP client, logger, clock, token store and limiter must be handed in", deps.Account)
	}
	api := newClient(cfg, deps)
	c := &connectors.Connector{
		Name:      Name,
		Kind:      connectors.Channel,
		Check:     &checker{api},
		Authorize: &authorizer{cfg, deps.Account},
		Poll: map[connectors.Subject]connectors.Poller{
			connectors.Orders:    &orderPoller{api},
			connectors.Products:  &productPoller{api},
			connectors.Inventory: &levelPoller{api},
		},
		Translate:  newTranslator(cfg),
		Stock:      &pusher{api.hasty()},
		Fulfilment: &shipper{api.hasty()},
		Cancel:     &canceller{api.hasty()},
		Refund:     &refunder{api.hasty()},
	}
	if cfg.Currency != "" {
		// A price without a currency would be written as whatever the shop counts in.
		c.Price = &pricer{api.hasty()}
	}
	return c, nil
}
