package amazon

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas"
)

// Config is one connection to one seller in one region.
type Config struct {
	SellerID             string            `yaml:"seller_id" doc:"The seller's Merchant Token, e.g. A1B2C3D4E5F6G7 (Seller Central, Account Info)."`
	Region               string            `yaml:"region" doc:"na (the Americas), eu (Europe, the Middle East, India) or fe (Japan, Australia, Singapore)."`
	Marketplaces         []string          `yaml:"marketplaces" doc:"Ids of the marketplaces, all of the region; the first is the main one: its prices and its listings report are read."`
	TestBaseURL          string            `yaml:"test_base_url,omitempty" doc:"Address of a simulator on this machine (http://127.0.0.1:…), instead of Amazon. Only in the test environment."`
	ClientID             string            `yaml:"client_id" doc:"The application's LWA client id, amzn1.application-oa2-client.…"`
	ClientSecret         connectors.Secret `yaml:"client_secret" doc:"The application's LWA client secret. Amazon lets it end 180 days after it was made."`
	PreviousClientSecret connectors.Secret `yaml:"previous_client_secret,omitempty" doc:"The other secret during a rotation: it is tried when Amazon does not know client_secret."`
	RefreshToken         connectors.Secret `yaml:"refresh_token,omitempty" doc:"The refresh token of the seller's authorisation. It lives until the seller takes the authorisation back or 365 days have passed. Empty: crossdock connect asks the seller, and keeps what was given."`
	ApplicationID        string            `yaml:"application_id,omitempty" doc:"The application's id, amzn1.sp.solution.…; crossdock connect needs it."`
	SellerCentral        string            `yaml:"seller_central,omitempty" doc:"Address of the seller's Seller Central, e.g. https://sellercentral.amazon.co.uk; crossdock connect needs it."`
	Draft                bool              `yaml:"draft,omitempty" doc:"The application is not published: its authorisation page is that of the draft."`
	QueueURL             string            `yaml:"queue_url,omitempty" doc:"Address of the Amazon SQS queue that gets this seller's notifications, and nobody else's. Empty: orders are found by searchOrders alone."`
	QueueAccessKeyID     string            `yaml:"queue_access_key_id,omitempty" doc:"Id of the AWS access key that may read the queue."`
	QueueSecretKey       connectors.Secret `yaml:"queue_secret_key,omitempty" doc:"The AWS access key's secret."`
	QueueWait            time.Duration     `yaml:"queue_wait" doc:"How long one poll waits for a first notification, 0 to 20s."`
	QueueInvisible       time.Duration     `yaml:"queue_invisible" doc:"How long a received notification stays hidden before it comes again. It must be longer than a poll."`
	QueueMessages        int               `yaml:"queue_messages" doc:"Notifications taken by one poll before its progress is stored."`
	ReconcileEvery       time.Duration     `yaml:"reconcile_every" doc:"How often searchOrders reads again what changed, where there is a queue. Without one each poll does."`
	ReconcileOverlap     time.Duration     `yaml:"reconcile_overlap" doc:"How far before its last end searchOrders begins again."`
	DeepOverlap          time.Duration     `yaml:"deep_overlap" doc:"The same once a day."`
	PageSize             int               `yaml:"page_size" doc:"Orders asked for at once, 1 to 100."`
	MaxPages             int               `yaml:"max_pages" doc:"Pages read by one poll before its progress is stored."`
	ReportEvery          time.Duration     `yaml:"report_every" doc:"How often all listings are read by the report GET_MERCHANT_LISTINGS_ALL_DATA; 0 = never."`
	FBA                  bool              `yaml:"fba" doc:"Amazon fulfils some of the goods: report what lies in Amazon's warehouses."`
	Services             []string          `yaml:"services,omitempty" doc:"SKUs that are no goods (gift wrap, postage, a fee): their lines move no stock and nothing is written to their listings. Amazon counts stock of everything, so that it has to be said."`
	CallTimeout          time.Duration     `yaml:"call_timeout" doc:"Deadline of one call to Amazon."`
}

// DefaultConfig is what a setting is when it is not given.
func DefaultConfig() Config {
	return Config{
		QueueWait:        10 * time.Second,
		QueueInvisible:   15 * time.Minute,
		QueueMessages:    60,
		ReconcileEvery:   15 * time.Minute,
		ReconcileOverlap: 2 * time.Hour,
		DeepOverlap:      48 * time.Hour,
		PageSize:         maxPage,
		MaxPages:         2,
		ReportEvery:      24 * time.Hour,
		CallTimeout:      30 * time.Second,
	}
}

// maxPage is the most orders that searchOrders gives at once.
const maxPage = 100

var (
	sellerCentral = regexp.MustCompile(`^https://sellercentral(-europe|-japan)?\.amazon(\.[a-z]{2,3}){1,2}$`)
	sellerID      = regexp.MustCompile(`^[A-Z0-9]{8,20}$`)
	queueURL      = regexp.MustCompile(`^https://sqs\.([a-z0-9-]{4,30})\.amazonaws\.com/([0-9]{12})/([A-Za-z0-9_-]{1,80})$`)
	// A simulator's queue: account and name follow the address.
	testQueue = regexp.MustCompile(`^(https?://[^/]+)/([0-9]{12})/([A-Za-z0-9_-]{1,80})$`)
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
	if !sellerID.MatchString(c.SellerID) {
		bad("seller_id: %q is not a Merchant Token: copy it from Account Info in Seller Central", c.SellerID)
	}
	if endpoint(c.Region) == "" {
		bad("region: %q: use na, eu or fe", c.Region)
	}
	if len(c.Marketplaces) == 0 || len(c.Marketplaces) > 50 {
		bad("marketplaces: %d: name at least one, and at most 50", len(c.Marketplaces))
	}
	seen := map[string]bool{}
	for _, id := range c.Marketplaces {
		switch m, ok := marketplaceByID(id); {
		case !ok:
			bad("marketplaces: %q is not known: write the id, e.g. A1F83G8C2ARO7P for Amazon.co.uk", id)
		case m.region != c.Region && endpoint(c.Region) != "":
			bad("marketplaces: %s (%s) belongs to the region %s: give it a connection of its own", id, m.country, m.region)
		case seen[id]:
			bad("marketplaces: %s stands there twice", id)
		}
		seen[id] = true
	}
	if c.TestBaseURL != "" {
		if env != schemas.Test {
			bad("test_base_url: only the test environment may talk to a simulator: remove it")
		} else if err := loopback(c.TestBaseURL); err != nil {
			bad("test_base_url: %w", err)
		}
	} else if env != schemas.Production {
		bad("test_base_url: a connection of the test environment cannot hold a seller's account: give the address of a simulator")
	}
	if c.ClientID == "" {
		bad("client_id: the application's LWA client id is needed")
	}
	secret("client_secret", c.ClientSecret, true)
	secret("previous_client_secret", c.PreviousClientSecret, false)
	secret("refresh_token", c.RefreshToken, false)
	if c.SellerCentral != "" && !sellerCentral.MatchString(c.SellerCentral) {
		bad("seller_central: %q: write it as https://sellercentral.amazon.co.uk", c.SellerCentral)
	}
	if c.QueueURL != "" {
		if _, err := c.queue(); err != nil {
			bad("queue_url: %w", err)
		}
		if c.QueueAccessKeyID == "" {
			bad("queue_access_key_id: queue_url needs it")
		}
		secret("queue_secret_key", c.QueueSecretKey, true)
	}
	if slices.Contains(c.Services, "") {
		bad("services: a SKU is empty")
	}
	// A simulator's clock may be set forward: it need not be waited for.
	pace := 3 * time.Minute
	if c.TestBaseURL != "" {
		pace = 0
	}
	for _, f := range []struct {
		name        string
		v, low, top time.Duration
	}{
		{"queue_wait", c.QueueWait, 0, 20 * time.Second},
		{"queue_invisible", c.QueueInvisible, time.Minute, 12 * time.Hour},
		{"reconcile_every", c.ReconcileEvery, pace, 24 * time.Hour},
		{"reconcile_overlap", c.ReconcileOverlap, 0, 30 * 24 * time.Hour},
		{"deep_overlap", c.DeepOverlap, 0, 60 * 24 * time.Hour},
		{"report_every", c.ReportEvery, 0, 30 * 24 * time.Hour},
		{"call_timeout", c.CallTimeout, time.Second, 10 * time.Minute},
	} {
		if f.v < f.low || f.v > f.top {
			bad("%s: %s: use %s to %s", f.name, f.v, f.low, f.top)
		}
	}
	for _, f := range []struct {
		name    string
		v, most int
	}{{"page_size", c.PageSize, maxPage}, {"max_pages", c.MaxPages, 1000}, {"queue_messages", c.QueueMessages, 1000}} {
		if f.v < 1 || f.v > f.most {
			bad("%s: %d: use 1 to %d", f.name, f.v, f.most)
		}
	}
	return errors.Join(errs...)
}

// queueAddress is a queue's address taken apart.
type queueAddress struct {
	// base is where the service is reached; "" = where its region says.
	base, region, account, name string
}

// arn is the queue's name in AWS's terms, as a destination of notifications wants it.
func (q queueAddress) arn() string {
	return "arn:aws:sqs:" + q.region + ":" + q.account + ":" + q.name
}

func (c Config) queue() (q queueAddress, err error) {
	if m := queueURL.FindStringSubmatch(c.QueueURL); m != nil && c.TestBaseURL == "" {
		return queueAddress{region: m[1], account: m[2], name: m[3]}, nil
	}
	if m := testQueue.FindStringSubmatch(c.QueueURL); m != nil && c.TestBaseURL != "" {
		if err := loopback(m[1]); err != nil {
			return q, err
		}
		return queueAddress{base: m[1], region: "us-east-1", account: m[2], name: m[3]}, nil
	}
	return q, fmt.Errorf("%q: write it as https://sqs.REGION.amazonaws.com/ACCOUNT/NAME (in the test environment http://127.0.0.1:PORT/ACCOUNT/NAME)", c.QueueURL)
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
		return nil, fmt.Errorf("amazon connection %s: %w", deps.Account, err)
	}
	if deps.Account == "" || deps.HTTP == nil || deps.Log == nil || deps.Now == nil || deps.Tokens == nil || deps.Limiter == nil {
		return nil, fmt.Errorf("amazon connection %q: account, HTTP client, logger, clock, token store and limiter must be handed in", deps.Account)
	}
	cfg.TestBaseURL = strings.TrimRight(cfg.TestBaseURL, "/")
	api := newClient(cfg, deps)
	inbox, err := newQueue(cfg, deps)
	if err != nil {
		return nil, fmt.Errorf("amazon connection %s: %w", deps.Account, err)
	}
	check := &checker{client: api, queue: inbox}
	c := &connectors.Connector{
		Name:      provider,
		Kind:      connectors.Channel,
		Check:     check,
		Authorize: &authorizer{api},
		Poll: map[connectors.Subject]connectors.Poller{
			connectors.Orders:    &orderPoller{client: api, queue: inbox},
			connectors.Products:  &productPoller{api},
			connectors.Inventory: &inventoryPoller{api},
		},
		Translate:  &translator{markets: cfg.Marketplaces, services: cfg.Services},
		Stock:      &pusher{api},
		Price:      &pusher{api},
		Fulfilment: &fulfiller{api},
		Cancel:     &canceller{feeder{api}},
		Refund:     &refunder{feeder{api}},
	}
	if inbox != nil {
		check.keep = &keeper{client: api, address: inbox.address}
		c.Webhooks = check.keep
	}
	return c, nil
}
