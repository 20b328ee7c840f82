package woocommerce

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/money"
)

// Name of the connector, under which package money knows the platform's exponents, too.
const Name = "woocommerce"

// Ways to authenticate.
const (
	AuthAuto   = "auto"
	AuthBasic  = "basic"
	AuthQuery  = "query"
	AuthOAuth1 = "oauth1"
)

// Config is one connection to one shop.
type Config struct {
	Shop                  string            `yaml:"shop,omitempty" doc:"The site's address as its settings show it under General, Site Address, e.g. https://shop.example.com. A shop in a folder keeps its folder. It may be left out with test_base_url."`
	TestBaseURL           string            `yaml:"test_base_url,omitempty" doc:"Address of a shop or simulator on this machine (http://127.0.0.1:…), instead of the shop. Only in the test environment. A real shop must have it as its own Site Address, because signatures are made over it."`
	ConsumerKey           connectors.Secret `yaml:"consumer_key,omitempty" doc:"Reference to the REST API key (ck_…) with permission read/write. Empty, with its secret: crossdock connect asks the shop, and keeps what was given."`
	ConsumerSecret        connectors.Secret `yaml:"consumer_secret,omitempty" doc:"Reference to the key's secret (cs_…)."`
	Auth                  string            `yaml:"auth" doc:"auto (basic over https, oauth1 over http), basic, query (keys in the address, for servers that drop the Authorization header; https only) or oauth1 (signed calls)."`
	WebhookSecret         connectors.Secret `yaml:"webhook_secret" doc:"Reference to a secret of your own choosing that signs webhooks. The subscriptions are made with it."`
	PreviousWebhookSecret connectors.Secret `yaml:"previous_webhook_secret,omitempty" doc:"The secret before a rotation: webhooks signed with it are still taken."`
	Currency              string            `yaml:"currency,omitempty" doc:"The shop's currency (ISO 4217). Products name none: without it listings carry no price, and prices cannot be pushed."`
	Statuses              map[string]string `yaml:"statuses,omitempty" doc:"What order statuses of plugins mean: name without wc-, and one of pending, processing, on-hold, completed, cancelled, refunded, failed or ignored."`
	RefundPayments        bool              `yaml:"refund_payments" doc:"Refunds give the money back through the shop's payment gateway; off: they are only booked."`
	PageSize              int               `yaml:"page_size" doc:"Objects asked for at once, 1 to 100. Less for a shop with little memory."`
	MaxPages              int               `yaml:"max_pages" doc:"Pages read by one poll before its progress is stored."`
	Parallel              int               `yaml:"parallel" doc:"Calls to the shop at the same time, 1 to 16."`
	CallTimeout           time.Duration     `yaml:"call_timeout" doc:"Deadline of one call."`
}

// DefaultConfig is what a setting is when it is not given.
func DefaultConfig() Config {
	return Config{Auth: AuthAuto, RefundPayments: true, PageSize: 50, MaxPages: 40, Parallel: 2, CallTimeout: 45 * time.Second}
}

// maxPage is WooCommerce's bound on per_page (101 is answered 400) and on the objects of a
// batch (101 is answered 413).
const maxPage = 100

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate(env schemas.Environment) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, s := range []struct {
		name   string
		ref    connectors.Secret
		needed bool
	}{
		{"consumer_key", c.ConsumerKey, c.ConsumerSecret != ""}, {"consumer_secret", c.ConsumerSecret, c.ConsumerKey != ""},
		{"webhook_secret", c.WebhookSecret, true}, {"previous_webhook_secret", c.PreviousWebhookSecret, false},
	} {
		if s.ref == "" && !s.needed {
			continue
		}
		if err := s.ref.Validate(); err != nil {
			bad("%s: %w", s.name, err)
		}
	}
	switch shop, err := siteAddress(c.Shop); {
	case c.Shop == "" && c.TestBaseURL != "":
	case err != nil:
		bad("shop: %w", err)
	case shop.Scheme != "https":
		bad("shop: %s is not https: get a certificate for the shop; orders hold people's addresses", shop.Host)
	}
	base := c.Shop
	if c.TestBaseURL != "" {
		base = c.TestBaseURL
		if env != schemas.Test {
			bad("test_base_url: only the test environment may talk to this machine: remove it")
		} else if err := loopback(c.TestBaseURL); err != nil {
			bad("test_base_url: %w", err)
		}
	} else if env != schemas.Production {
		bad("test_base_url: a connection of the test environment cannot hold a production shop: give the address of a shop or simulator on this machine")
	}
	switch c.Auth {
	case AuthAuto, AuthOAuth1:
	case AuthBasic, AuthQuery:
		if strings.HasPrefix(base, "http://") {
			bad("auth: %s sends the keys themselves, and WooCommerce takes them over https only: use %s", c.Auth, AuthAuto)
		}
	default:
		bad("auth: %q: use %s, %s, %s or %s", c.Auth, AuthAuto, AuthBasic, AuthQuery, AuthOAuth1)
	}
	if _, ok := money.Exponent(Name, c.Currency); c.Currency != "" && !ok {
		bad("currency: %q is not known: write the ISO 4217 code, e.g. EUR", c.Currency)
	}
	for name, meaning := range c.Statuses {
		if _, core := coreStatus(name); core || name == "" || strings.HasPrefix(name, "wc-") {
			bad("statuses: %q: name a status of a plugin, without wc-", name)
		} else if _, ok := meanings()[meaning]; !ok {
			bad("statuses: %s: %q is no meaning: use pending, processing, on-hold, completed, cancelled, refunded, failed or ignored", name, meaning)
		}
	}
	for _, f := range []struct {
		name string
		v    int
		most int
	}{{"page_size", c.PageSize, maxPage}, {"max_pages", c.MaxPages, 10_000}, {"parallel", c.Parallel, 16}} {
		if f.v < 1 || f.v > f.most {
			bad("%s: %d: use 1 to %d", f.name, f.v, f.most)
		}
	}
	if c.CallTimeout < time.Second || c.CallTimeout > 10*time.Minute {
		bad("call_timeout: %s: use 1s to 10m", c.CallTimeout)
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// siteAddress reads a site's address; it holds no more than scheme, host and folder.
func siteAddress(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("write the site's address as https://shop.example.com")
	}
	if strings.Contains(u.Path, "wp-json") {
		return nil, errors.New("write the site's address without /wp-json")
	}
	return u, nil
}

func loopback(address string) error {
	u, err := siteAddress(address)
	if err != nil {
		return errors.New("write it as http://127.0.0.1:PORT")
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%s is not on this machine", u.Hostname())
	}
	return nil
}

// base is the address that is called, without a slash at its end.
func (c Config) base() string {
	if c.TestBaseURL != "" {
		return strings.TrimRight(c.TestBaseURL, "/")
	}
	return strings.TrimRight(c.Shop, "/")
}

// New opens a connection. It is inert: nothing is asked and no secret is read before the
// first use.
func New(cfg Config, env schemas.Environment, deps connectors.Deps) (*connectors.Connector, error) {
	if err := cfg.Validate(env); err != nil {
		return nil, fmt.Errorf("woocommerce connection %s: %w", deps.Account, err)
	}
	if deps.Account == "" || deps.HTTP == nil || deps.Log == nil || deps.Now == nil || deps.Limiter == nil {
		return nil, fmt.Errorf("woocommerce connection %q: account, HTTP client, logger, clock and limiter must be handed in", deps.Account)
	}
	if cfg.ConsumerKey == "" && deps.Tokens == nil {
		return nil, fmt.Errorf("woocommerce connection %q: without consumer_key a token store must be handed in", deps.Account)
	}
	api := newClient(cfg, deps)
	return &connectors.Connector{
		Name:      Name,
		Kind:      connectors.Channel,
		Check:     &checker{api},
		Authorize: &authorizer{api},
		Receive:   &receiver{cfg: cfg},
		Poll: map[connectors.Subject]connectors.Poller{
			connectors.Orders:    &orderPoller{api},
			connectors.Products:  &productPoller{api},
			connectors.Inventory: &stockPoller{api},
		},
		Translate:  &translator{currency: cfg.Currency, statuses: cfg.Statuses},
		Webhooks:   &keeper{api},
		Stock:      &pusher{api},
		Price:      &pricer{api},
		Fulfilment: &shipper{api},
		Cancel:     &canceller{api},
		Refund:     &refunder{api},
	}, nil
}
