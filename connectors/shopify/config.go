package shopify

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/money"
)

// Ways to authenticate.
const (
	AuthClientCredentials = "client_credentials"
	AuthAuthorizationCode = "authorization_code"
	AuthOfflineToken      = "offline_token"
	AuthAccessToken       = "access_token"
)

// Config is one connection to one shop.
type Config struct {
	Shop                 string            `yaml:"shop" doc:"The shop's permanent domain, e.g. acme.myshopify.com."`
	TestBaseURL          string            `yaml:"test_base_url,omitempty" doc:"Address of a simulator on this machine (http://127.0.0.1:…), instead of the shop. Only in the test environment."`
	APIVersion           string            `yaml:"api_version" doc:"Admin API version. The connector was written for 2026-10."`
	Auth                 string            `yaml:"auth" doc:"client_credentials (an app of your own organisation), authorization_code (the shop's owner agrees in the browser, or opens the app in the admin, by crossdock connect), offline_token (rotating tokens of an installed app, beginning with refresh_token) or access_token (a legacy custom app)."`
	ClientID             string            `yaml:"client_id,omitempty" doc:"The app's client id; for all but access_token."`
	ClientSecret         connectors.Secret `yaml:"client_secret" doc:"The app's client secret. It also signs webhooks."`
	PreviousClientSecret connectors.Secret `yaml:"previous_client_secret,omitempty" doc:"The secret before a rotation: webhooks signed with it are still taken. Shopify uses it for up to an hour."`
	AccessToken          connectors.Secret `yaml:"access_token,omitempty" doc:"The Admin API access token; for access_token."`
	RefreshToken         connectors.Secret `yaml:"refresh_token,omitempty" doc:"The first refresh token of the installation; for offline_token. Later ones are kept in the token store."`
	Currency             string            `yaml:"currency,omitempty" doc:"The shop's currency (ISO 4217). Product payloads name none: without it listings carry no price."`
	LocationID           string            `yaml:"location_id,omitempty" doc:"Id of the location whose quantity is pushed and polled. Needed when the shop has several."`
	PageSize             int               `yaml:"page_size" doc:"Orders or products asked for at once, 1 to 250."`
	NestedPageSize       int               `yaml:"nested_page_size" doc:"Lines of an order, or variants of a product, asked for within a page, 1 to 250."`
	MaxPages             int               `yaml:"max_pages" doc:"Pages read by one poll before its progress is stored."`
	ReplayWindow         time.Duration     `yaml:"replay_window" doc:"How old a webhook may be by its X-Shopify-Triggered-At. Shopify retries for 4 h."`
	CallTimeout          time.Duration     `yaml:"call_timeout" doc:"Deadline of one call to Shopify."`
	ReadAllOrders        bool              `yaml:"read_all_orders" doc:"The app has the scope read_all_orders; without it Shopify shows the last 60 days."`
}

// Rotates says whether the tokens rotate: the newest one stands only in the token store, which
// therefore has to outlive the process.
func (c Config) Rotates() bool {
	return c.Auth == AuthOfflineToken || c.Auth == AuthAuthorizationCode
}

// signing are the secrets that Shopify may sign with: the client's, and the one before it. They
// are read at each call, so that a rotation needs no restart.
func (c Config) signing() ([]string, error) {
	secret, err := c.ClientSecret.Resolve()
	if err != nil {
		return nil, fmt.Errorf("reading client_secret: %w", err)
	}
	secrets := []string{secret}
	if c.PreviousClientSecret != "" {
		// It may be gone after the rotation.
		if before, err := c.PreviousClientSecret.Resolve(); err == nil {
			secrets = append(secrets, before)
		}
	}
	return secrets, nil
}

// DefaultConfig is what a setting is when it is not given.
func DefaultConfig() Config {
	return Config{
		APIVersion:     APIVersion,
		Auth:           AuthClientCredentials,
		PageSize:       50,
		NestedPageSize: 10,
		MaxPages:       40,
		// Eight retries in four hours, and something for clocks that differ.
		ReplayWindow: 4*time.Hour + 10*time.Minute,
		CallTimeout:  30 * time.Second,
	}
}

// maxPage is Shopify's bound on "first" and on input arrays.
// https://shopify.dev/docs/api/usage/limits
const maxPage = 250

var (
	shopDomain = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*\.myshopify\.com$`)
	version    = regexp.MustCompile(`^20\d\d-(01|04|07|10)$`)
	numeric    = regexp.MustCompile(`^[0-9]{1,19}$`)
)

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate(env schemas.Environment) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	secret := func(name string, s connectors.Secret, needed bool) {
		if s == "" && !needed {
			return
		}
		if err := s.Validate(); err != nil {
			bad("%s: %w", name, err)
		}
	}
	if !shopDomain.MatchString(c.Shop) {
		bad("shop: %q is not a shop's permanent domain: write it as name.myshopify.com", c.Shop)
	}
	if c.TestBaseURL != "" {
		if env != schemas.Test {
			bad("test_base_url: only the test environment may talk to a simulator: remove it")
		} else if err := loopback(c.TestBaseURL); err != nil {
			bad("test_base_url: %w", err)
		}
	} else if env != schemas.Production {
		bad("test_base_url: a connection of the test environment cannot hold a production shop: give the address of a simulator")
	}
	if !version.MatchString(c.APIVersion) {
		bad("api_version: %q: write it as 2026-10 (quarters begin with 01, 04, 07, 10)", c.APIVersion)
	}
	secret("client_secret", c.ClientSecret, true)
	secret("previous_client_secret", c.PreviousClientSecret, false)
	secret("access_token", c.AccessToken, c.Auth == AuthAccessToken)
	secret("refresh_token", c.RefreshToken, c.Auth == AuthOfflineToken)
	switch c.Auth {
	case AuthAccessToken:
	case AuthClientCredentials, AuthAuthorizationCode, AuthOfflineToken:
		if c.ClientID == "" {
			bad("client_id: %s needs it", c.Auth)
		}
	default:
		bad("auth: %q: use %s, %s, %s or %s", c.Auth, AuthClientCredentials, AuthAuthorizationCode, AuthOfflineToken, AuthAccessToken)
	}
	if _, ok := money.Exponent(provider, c.Currency); c.Currency != "" && !ok {
		bad("currency: %q is not known: write the ISO 4217 code, e.g. GBP", c.Currency)
	}
	if c.LocationID != "" && !numeric.MatchString(c.LocationID) {
		bad("location_id: %q: write the number at the end of the location's address in the admin", c.LocationID)
	}
	for _, f := range []struct {
		name string
		v    int
		most int
	}{{"page_size", c.PageSize, maxPage}, {"nested_page_size", c.NestedPageSize, maxPage}, {"max_pages", c.MaxPages, 10_000}} {
		if f.v < 1 || f.v > f.most {
			bad("%s: %d: use 1 to %d", f.name, f.v, f.most)
		}
	}
	if c.ReplayWindow < time.Minute {
		bad("replay_window: %s: use at least 1m", c.ReplayWindow)
	}
	if c.CallTimeout < time.Second || c.CallTimeout > 10*time.Minute {
		bad("call_timeout: %s: use 1s to 10m", c.CallTimeout)
	}
	return errors.Join(errs...)
}

func loopback(address string) error {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return errors.New("write it as http://127.0.0.1:PORT")
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
		return nil, fmt.Errorf("shopify connection %s: %w", deps.Account, err)
	}
	if deps.Account == "" || deps.HTTP == nil || deps.Log == nil || deps.Now == nil || deps.Tokens == nil || deps.Limiter == nil {
		return nil, fmt.Errorf("shopify connection %q: account, HTTP client, logger, clock, token store and limiter must be handed in", deps.Account)
	}
	api := newClient(cfg, deps)
	owner := &authorizer{&authorisation{cfg: cfg, auth: api.auth}}
	return &connectors.Connector{
		Name:      provider,
		Kind:      connectors.Channel,
		Check:     &checker{api},
		Receive:   &receiver{cfg: cfg},
		Authorize: owner,
		Embed:     owner,
		Poll: map[connectors.Subject]connectors.Poller{
			connectors.Orders:    &orderPoller{api},
			connectors.Products:  &productPoller{api},
			connectors.Inventory: &levelPoller{api},
		},
		Translate: &translator{currency: cfg.Currency, location: cfg.LocationID},
		Webhooks:  &keeper{api},

		Stock:      &pusher{client: api},
		Price:      &pricer{api},
		Fulfilment: &shipper{api},
		Cancel:     &canceller{api},
		Refund:     &refunder{api},
	}, nil
}
