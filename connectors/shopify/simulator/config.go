package simulator

import (
	"net/http"
	"time"
)

// Config is one shop. Zero fields take the defaults that are named.
type Config struct {
	// Shop is the domain, default "simulated.myshopify.com"; Name what people call it.
	Shop, Name string
	// Currency, default "GBP".
	Currency string
	// APIVersion, default "2026-10". Calls for another version "fall forward" to it.
	APIVersion string
	// ClientID and ClientSecret of the one app; the secret signs webhooks. Defaults
	// "simulated-app" and "simulated-secret".
	ClientID, ClientSecret string
	// AccessToken is one that never ends, as a legacy custom app has; empty = none.
	AccessToken string
	// RefreshToken begins a chain of rotating offline tokens; empty = none.
	RefreshToken string
	// TokenLife of tokens given by OAuth: default 24 h for client credentials, 1 h for
	// offline tokens. OmitExpiry leaves expires_in out of the answers.
	TokenLife  time.Duration
	OmitExpiry bool
	// NoExpiry: a code or session token is exchanged for a token that never ends, whatever is asked for, as an
	// app of before December 2025 gets.
	NoExpiry bool
	// Scopes granted; nil = all that there are.
	Scopes []string
	// LocationID of the only location, default 905684977.
	LocationID int64
	// Now is the shop's clock, default time.Now. It decides updated_at, the Date header, the
	// bucket and the life of tokens; waiting for retries goes by the machine's clock.
	Now func() time.Time
	// Seed of everything that is random.
	Seed uint64
	// Faults from the start; see SetFaults.
	Faults Faults

	// MaximumAvailable and RestoreRate of the cost bucket, default 2000 and 100 (Shopify's
	// standard plan); MaxQueryCost of one query, default 1000.
	MaximumAvailable, RestoreRate, MaxQueryCost float64

	// HTTP delivers webhooks; default a client of its own with kept-alive connections.
	HTTP *http.Client
	// Workers deliver at once (default 4); Queue deliveries wait at most (default 256): what
	// happens in the shop waits while the queue is full. MaxRetrying bounds the deliveries
	// that wait for a retry (default 10,000); the rest is given up.
	Workers, Queue, MaxRetrying int
	// DeliveryTimeout, default 5 s.
	DeliveryTimeout time.Duration
	// RetryScale multiplies the pauses between retries, which are four hours altogether;
	// default 1. A test takes 0.00001.
	RetryScale float64
	// KeepSubscriptions: a subscription survives a delivery whose retries were used up.
	KeepSubscriptions bool
	// Archive is the setting that archives an order by itself once it is paid and all of it is
	// shipped, refunded or cancelled; shops begin with it on.
	// https://help.shopify.com/en/manual/fulfillment/managing-orders/archiving-orders
	Archive bool
	// InventoryWebhooks: inventory_levels/update is sent for every change of a quantity.
	InventoryWebhooks bool
	// Lean leaves out of webhooks the amounts that are told twice (price and price_set):
	// smaller payloads with the same content.
	Lean bool
}

func (c Config) withDefaults() Config {
	text := func(v *string, d string) {
		if *v == "" {
			*v = d
		}
	}
	text(&c.Shop, "simulated.myshopify.com")
	text(&c.Name, "Simulated shop")
	text(&c.Currency, "GBP")
	text(&c.APIVersion, "2026-10")
	text(&c.ClientID, "simulated-app")
	text(&c.ClientSecret, "simulated-secret")
	if c.LocationID == 0 {
		c.LocationID = 905684977
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	number := func(v *float64, d float64) {
		if *v == 0 {
			*v = d
		}
	}
	number(&c.MaximumAvailable, 2000)
	number(&c.RestoreRate, 100)
	number(&c.MaxQueryCost, 1000)
	number(&c.RetryScale, 1)
	count := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
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
	// Duplicate: a webhook is delivered twice, under the same id.
	Duplicate float64
	// Reorder: a webhook is held back for up to ReorderBy (default 300 ms), so that later
	// ones overtake it.
	Reorder   float64
	ReorderBy time.Duration
	// Drop: a webhook is never sent.
	Drop float64
	// Late: a webhook is sent up to LateBy (default 2 s) late.
	Late   float64
	LateBy time.Duration
	// PageDrift: pages are counted, not keyed: an object that changes between two pages
	// moves to the end, and the page after it begins one too far.
	PageDrift bool
	// Refuse: a write is answered with 200 and a userError, and does nothing.
	Refuse float64
	// Throttle: a call is answered THROTTLED whatever the bucket holds.
	Throttle float64
	// FailBefore: a call is answered 503 and does nothing. FailAfter: a mutation is carried
	// out and then answered 502.
	FailBefore, FailAfter float64
	// Outage: every call is answered 503.
	Outage bool
	// HoldJobs: cancellations that were begun do not get on.
	HoldJobs bool
}

// Stats is what happened so far.
type Stats struct {
	// WebhooksSent counts deliveries that were meant to be made, once for each event and
	// subscription; Duplicated, Dropped and Late those of them that were hit by a fault.
	WebhooksSent, WebhooksDuplicated, WebhooksDropped, WebhooksLate, WebhooksReordered int64
	// WebhooksDelivered counts calls answered 2xx, WebhooksRetried further attempts,
	// WebhooksGivenUp deliveries that failed for good.
	WebhooksDelivered, WebhooksRetried, WebhooksGivenUp int64
	// PushesAccepted and PushesRefused count items of stock writes, PushesRepeated calls
	// that were answered from their idempotency key.
	PushesAccepted, PushesRefused, PushesRepeated int64
	// Prices, Fulfilments, Cancellations and Refunds count what the API changed: variants,
	// parcels, orders and refunds. RefundsRepeated were answered from their idempotency key.
	Prices, Fulfilments, Cancellations, Refunds, RefundsRepeated int64
	// Calls to GraphQL, Throttled among them; Refreshes of tokens, and Exchanges of codes
	// and session tokens.
	Calls, Throttled, Refreshes, Exchanges int64
	// Points of the cost bucket that calls took.
	Points float64
	// FailedAfter counts mutations that were carried out and answered 502.
	FailedAfter int64
}
