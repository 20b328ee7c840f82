package ebay

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
)

// Config is one connection to one seller's account.
type Config struct {
	Marketplace       string            `yaml:"marketplace" doc:"The site that the account sells on first, e.g. EBAY_GB."`
	Sandbox           bool              `yaml:"sandbox,omitempty" doc:"Talk to eBay's sandbox, where made-up users trade. Only in the test environment."`
	TestBaseURL       string            `yaml:"test_base_url,omitempty" doc:"Address of a simulator on this machine (http://127.0.0.1:…), instead of eBay. Only in the test environment."`
	ClientID          string            `yaml:"client_id" doc:"App ID (client id) of the application's keyset."`
	ClientSecret      connectors.Secret `yaml:"client_secret" doc:"Cert ID (client secret) of the same keyset."`
	RefreshToken      connectors.Secret `yaml:"refresh_token,omitempty" doc:"The refresh token that the seller's consent gave. It lives for 18 months and does not rotate. Empty: crossdock connect asks the seller, and keeps what was given."`
	RuName            string            `yaml:"ru_name,omitempty" doc:"eBay's name for the redirect address of the application (RuName); crossdock connect needs it."`
	SigningJWE        connectors.Secret `yaml:"signing_jwe,omitempty" doc:"The jwe of a signing key of the Key Management API. Sellers of the EU and the UK need it to refund."`
	SigningKey        connectors.Secret `yaml:"signing_key,omitempty" doc:"The private key that belongs to signing_jwe: PKCS #8, with or without the PEM lines."`
	Endpoint          string            `yaml:"endpoint,omitempty" doc:"The public https address under which eBay reaches this connection's webhooks, exactly as it is registered. Needed to answer eBay's challenge."`
	VerificationToken connectors.Secret `yaml:"verification_token,omitempty" doc:"A text of 32 to 80 letters, digits, _ and -, that you choose: eBay's challenge is answered with it."`
	AlertEmail        string            `yaml:"alert_email,omitempty" doc:"Where eBay writes to when notifications cannot be delivered. Needed before the first subscription."`
	PageSize          int               `yaml:"page_size" doc:"Orders or inventory items asked for at once, 1 to 200."`
	MaxPages          int               `yaml:"max_pages" doc:"Pages read by one poll before its progress is stored."`
	StockBatch        int               `yaml:"stock_batch" doc:"SKUs in one write of stock or prices, 1 to 25. eBay's contract names both figures."`
	OffersRefresh     time.Duration     `yaml:"offers_refresh" doc:"How long the offers of an unchanged SKU are taken as known, before they are read again."`
	ReplayWindow      time.Duration     `yaml:"replay_window" doc:"How old a notification may be by its publishDate."`
	Services          []string          `yaml:"services,omitempty" doc:"SKUs that are no goods (gift wrap, postage, a fee): their lines move no stock and nothing is written to their listings. eBay counts stock of everything, so that it has to be said."`
	CallTimeout       time.Duration     `yaml:"call_timeout" doc:"Deadline of one call to eBay."`
}

// DefaultConfig is what a setting is when it is not given.
func DefaultConfig() Config {
	return Config{
		PageSize:      200,
		MaxPages:      50,
		StockBatch:    maxBatch,
		OffersRefresh: 6 * time.Hour,
		ReplayWindow:  24 * time.Hour,
		CallTimeout:   30 * time.Second,
	}
}

// Bounds of the contracts: limit of getOrders and getInventoryItems, entries of
// bulkUpdatePriceQuantity and bulkGetInventoryItem.
const (
	maxPage  = 200
	maxBatch = 25
)

var verificationForm = regexp.MustCompile(`^[A-Za-z0-9_-]{32,80}$`)

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
	if _, ok := marketplaceOf(c.Marketplace); !ok {
		bad("marketplace: %q is not known: write it as EBAY_US, EBAY_GB, EBAY_DE …", c.Marketplace)
	}
	switch {
	case env == schemas.Production && c.Sandbox:
		bad("sandbox: only the test environment may talk to the sandbox: remove it")
	case env == schemas.Production && c.TestBaseURL != "":
		bad("test_base_url: only the test environment may talk to a simulator: remove it")
	case env == schemas.Production:
	case c.Sandbox && c.TestBaseURL != "":
		bad("sandbox and test_base_url: use one of the two")
	case c.TestBaseURL != "":
		if err := loopback(c.TestBaseURL); err != nil {
			bad("test_base_url: %w", err)
		}
	case !c.Sandbox:
		bad("test_base_url: a connection of the test environment cannot hold a seller's real account: give the address of a simulator, or set sandbox")
	}
	if c.ClientID == "" {
		bad("client_id: write the App ID of the application's keyset")
	}
	secret("client_secret", c.ClientSecret, true)
	secret("refresh_token", c.RefreshToken, false)
	secret("signing_jwe", c.SigningJWE, c.SigningKey != "")
	secret("signing_key", c.SigningKey, c.SigningJWE != "")
	secret("verification_token", c.VerificationToken, c.Endpoint != "")
	if c.Endpoint != "" {
		if u, err := url.Parse(c.Endpoint); err != nil || u.Scheme != "https" && env == schemas.Production || u.Host == "" {
			bad("endpoint: %q: write the whole https address that eBay calls", c.Endpoint)
		}
	}
	for _, f := range []struct {
		name string
		v    int
		most int
	}{{"page_size", c.PageSize, maxPage}, {"max_pages", c.MaxPages, 10_000}, {"stock_batch", c.StockBatch, maxBatch}} {
		if f.v < 1 || f.v > f.most {
			bad("%s: %d: use 1 to %d", f.name, f.v, f.most)
		}
	}
	if slices.Contains(c.Services, "") {
		bad("services: a SKU is empty")
	}
	if c.OffersRefresh < time.Minute {
		bad("offers_refresh: %s: use at least 1m", c.OffersRefresh)
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
		return nil, fmt.Errorf("ebay connection %s: %w", deps.Account, err)
	}
	if deps.Account == "" || deps.HTTP == nil || deps.Log == nil || deps.Now == nil || deps.Tokens == nil || deps.Limiter == nil {
		return nil, fmt.Errorf("ebay connection %q: account, HTTP client, logger, clock, token store and limiter must be handed in", deps.Account)
	}
	api := newClient(cfg, deps)
	book, count := newOfferBook(api), newRevisions()
	c := &connectors.Connector{
		Name:      provider,
		Kind:      connectors.Channel,
		Check:     &checker{api},
		Authorize: &authorizer{api},
		Receive:   &receiver{client: api, keys: newKeyring(api)},
		Poll: map[connectors.Subject]connectors.Poller{
			connectors.Orders:    &orderPoller{client: api},
			connectors.Products:  newCrawler(api, book, connectors.Products, formatProduct),
			connectors.Inventory: newCrawler(api, book, connectors.Inventory, formatStock),
		},
		Translate: &translator{services: cfg.Services},
		Webhooks:  &keeper{api},
		Stock:     &pusher{client: api, book: book, revisions: count},
		Price:     &pricer{client: api, book: book, revisions: count},

		Fulfilment: &fulfiller{api},
		Cancel:     &canceller{api},
		Refund:     &refunder{api},
	}
	if cfg.Endpoint != "" {
		c.Challenge = &challenger{cfg}
	}
	return c, nil
}
