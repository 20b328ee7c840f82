package simulator

import (
	"crypto"
	"net/http"
	"time"
)

// Config is one seller's account. Zero fields take the defaults that are named.
type Config struct {
	// Seller is the user name, default "simulated-seller".
	Seller string
	// Marketplace, default "EBAY_GB", and its currency, default "GBP".
	Marketplace, Currency string
	// ClientID and ClientSecret of the one application, defaults "simulated-app" and
	// "simulated-secret"; RefreshToken of the seller's consent, default "simulated-refresh".
	ClientID, ClientSecret, RefreshToken string
	// TokenLife, default 2 h. OmitExpiry leaves expires_in out of the answers.
	TokenLife  time.Duration
	OmitExpiry bool
	// Scopes that the seller consented to, by their last part; nil = all.
	Scopes []string
	// SignatureKey verifies digital signatures; nil = none is asked for.
	SignatureKey crypto.PublicKey
	// Now is eBay's clock, default time.Now. It decides lastModifiedDate, the Date header,
	// quotas and the life of tokens; waiting for retries goes by the machine's clock.
	Now func() time.Time
	// Seed of everything that is random, keys excepted.
	Seed uint64
	// Faults from the start; see SetFaults.
	Faults Faults
	// Quota a day by API ("fulfillment", "inventory", "notification", "analytics"); an API
	// that is not named has 1,000,000.
	Quota map[string]int64
	// Revisions of one listing a day, default 250.
	Revisions int
	// OneSKU: bulk_update_price_quantity takes one SKU a call, as one sentence of the
	// contract says.
	OneSKU bool
	// RefundDelay is how long a refund is pending; it is done when it is looked at next.
	RefundDelay time.Duration

	// HTTP delivers notifications; default a client of its own with kept-alive connections.
	HTTP *http.Client
	// Workers deliver at once (default 4); Queue deliveries wait at most (default 256): what
	// happens waits while the queue is full. MaxRetrying bounds the deliveries that wait for
	// a retry (default 10,000); the rest is given up.
	Workers, Queue, MaxRetrying int
	// DeliveryTimeout, default 5 s.
	DeliveryTimeout time.Duration
	// RetryScale multiplies the pauses between retries; default 1. A test takes 0.00001.
	RetryScale float64
}

func (c Config) withDefaults() Config {
	text := func(v *string, d string) {
		if *v == "" {
			*v = d
		}
	}
	text(&c.Seller, "simulated-seller")
	text(&c.Marketplace, "EBAY_GB")
	text(&c.Currency, "GBP")
	text(&c.ClientID, "simulated-app")
	text(&c.ClientSecret, "simulated-secret")
	text(&c.RefreshToken, "simulated-refresh")
	if c.TokenLife == 0 {
		c.TokenLife = 2 * time.Hour
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.RetryScale == 0 {
		c.RetryScale = 1
	}
	count := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	count(&c.Revisions, 250)
	count(&c.Workers, 4)
	count(&c.Queue, 256)
	count(&c.MaxRetrying, 10_000)
	if c.DeliveryTimeout == 0 {
		c.DeliveryTimeout = 5 * time.Second
	}
	if c.HTTP == nil {
		c.HTTP = &http.Client{
			Transport: &http.Transport{MaxIdleConnsPerHost: c.Workers, MaxConnsPerHost: c.Workers, IdleConnTimeout: 30 * time.Second},
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse // a redirect is a failed delivery
			},
		}
	}
	return c
}

// Faults is what goes wrong, as probabilities from 0 to 1. The choice which event is hit
// follows the seed.
type Faults struct {
	// Duplicate: a notification is delivered twice, under the same id.
	Duplicate float64
	// Reorder: a notification is held back for up to ReorderBy (default 300 ms), so that
	// later ones overtake it.
	Reorder   float64
	ReorderBy time.Duration
	// Drop: a notification is never sent.
	Drop float64
	// Late: a notification is sent up to LateBy (default 2 s) late.
	Late   float64
	LateBy time.Duration
	// Backdate: a change of an order carries a lastModifiedDate up to this long before it
	// can be seen.
	Backdate time.Duration
	// Refuse: an entry of a stock write is refused inside of a 200, and does nothing.
	Refuse float64
	// LeaveOut: an entry of a stock write is done, and its answer missing.
	LeaveOut float64
	// Throttle: a call is answered 429 whatever the quota holds.
	Throttle float64
	// FailBefore: a call is answered 503 and does nothing. FailAfter: a write is carried out
	// and then answered 500.
	FailBefore, FailAfter float64
	// HTML: a call is answered 200 with a page of a proxy, and does nothing.
	HTML float64
	// Outage: every call is answered 503.
	Outage bool
}

// Stats is what happened so far.
type Stats struct {
	// WebhooksSent counts deliveries that were meant to be made, once for each event and
	// subscription; Duplicated, Dropped and Late those of them that were hit by a fault.
	WebhooksSent, WebhooksDuplicated, WebhooksDropped, WebhooksLate, WebhooksReordered int64
	// WebhooksDelivered counts calls answered 2xx, WebhooksRetried further attempts,
	// WebhooksGivenUp deliveries that failed for good.
	WebhooksDelivered, WebhooksRetried, WebhooksGivenUp int64
	// PushesAccepted counts stock writes that changed what is shown, PushesRepeated those
	// that found it so, PushesRefused those that were refused.
	PushesAccepted, PushesRepeated, PushesRefused int64
	// Made is the calls that quotas were spent on, by API, Refused those that found none.
	Made, Refused map[string]int64
	// Calls of the APIs, Throttled among them; Refreshes of tokens; Challenges sent.
	Calls, Throttled, Refreshes, Challenges int64
	// FailedAfter counts writes that were carried out and answered 500.
	FailedAfter int64
	// Shipments, Cancellations and Refunds that were made by calls.
	Shipments, Cancellations, Refunds int64
}

// Write is one line of the ledger of stock writes.
type Write struct {
	At       time.Time
	SKU      string
	Quantity int64
	// Before is what was shown until then.
	Before int64
}
