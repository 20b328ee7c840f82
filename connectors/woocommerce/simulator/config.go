package simulator

import (
	"net/http"
	"time"
)

// Config is one shop. Zero fields take the defaults that are named.
type Config struct {
	// Home is the Site Address, over which signatures are made; empty = as it was called.
	Home string
	// Currency, default "EUR".
	Currency string
	// ConsumerKey and ConsumerSecret of the one key; defaults "ck_simulated" and
	// "cs_simulated". ReadOnly: the key has no permission to write.
	ConsumerKey, ConsumerSecret string
	ReadOnly                    bool
	// TLS: the shop stands behind something that ends TLS, and takes keys as they are.
	TLS bool
	// WebhookSecret of subscriptions made by Subscribe, default "simulated-secret".
	WebhookSecret string
	// NoStockManagement: the shop's setting is off. NoVariationsList: it is older than 10.3.
	NoStockManagement, NoVariationsList bool
	// OrdersInPosts: the shop says that it keeps orders as before 8.2. It is only said.
	OrdersInPosts bool
	// ManualRefunds: the payment gateway gives no money back by itself.
	ManualRefunds bool
	// PerSecond and Burst are the calls that the shop's host takes; PerSecond 0 = all.
	PerSecond, Burst float64
	// Zone is the shop's own time, default five hours behind UTC. It counts where a
	// question names times (see bound), and in members that do not end in _gmt.
	Zone *time.Location
	// Now is the shop's clock, default time.Now.
	Now func() time.Time
	// Seed of everything that is random.
	Seed uint64
	// Faults from the start; see SetFaults.
	Faults Faults

	// HTTP delivers webhooks; default a client of its own with kept-alive connections.
	HTTP *http.Client
	// Workers deliver at once (default 4); Queue deliveries wait at most (default 256): what
	// happens in the shop waits while the queue is full.
	Workers, Queue int
	// DeliveryTimeout, default 5 s (WooCommerce: 60 s).
	DeliveryTimeout time.Duration
	// KeepWebhooks: a webhook stays on whatever its failures.
	KeepWebhooks bool
}

func (c Config) withDefaults() Config {
	text := func(v *string, d string) {
		if *v == "" {
			*v = d
		}
	}
	text(&c.Currency, "EUR")
	text(&c.ConsumerKey, "ck_simulated")
	text(&c.ConsumerSecret, "cs_simulated")
	text(&c.WebhookSecret, "simulated-secret")
	if c.Zone == nil {
		c.Zone = time.FixedZone("shop", -5*3600)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	count := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	count(&c.Workers, 4)
	count(&c.Queue, 256)
	if c.DeliveryTimeout == 0 {
		c.DeliveryTimeout = 5 * time.Second
	}
	if c.HTTP == nil {
		c.HTTP = &http.Client{
			Transport: &http.Transport{MaxIdleConnsPerHost: c.Workers, MaxConnsPerHost: c.Workers, IdleConnTimeout: 30 * time.Second},
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
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
	// Refuse: an object of a batch is answered with an error inside the 200.
	Refuse float64
	// Throttle: a call is answered 429 by the shop's host.
	Throttle float64
	// FailBefore: a call is answered 503 and does nothing. FailAfter: a write is carried out
	// and then answered 502.
	FailBefore, FailAfter float64
	// HTML: a call is answered 200 with a page, as by a cache or a firewall, and does nothing.
	// Redirect: it is answered 302 to the log-in page.
	HTML, Redirect float64
	// Outage: every call is answered 503.
	Outage bool
}

// Stats is what happened so far.
type Stats struct {
	// WebhooksSent counts deliveries that were meant to be made, WebhooksFolded changes that
	// went along with one that was waiting; WebhooksDuplicated, Dropped, Late and Reordered
	// those that were hit by a fault.
	WebhooksSent, WebhooksFolded, WebhooksDuplicated, WebhooksDropped, WebhooksLate, WebhooksReordered int64
	// WebhooksDelivered counts calls answered 2xx, WebhooksGivenUp those that were not, and
	// WebhooksDisabled webhooks that were switched off.
	WebhooksDelivered, WebhooksGivenUp, WebhooksDisabled int64
	// PushesAccepted counts stock writes that changed something, PushesRepeated those that
	// found it done, PushesRefused those that were answered with an error.
	PushesAccepted, PushesRepeated, PushesRefused int64
	// Calls to the API, Throttled among them.
	Calls, Throttled int64
	// FailedAfter counts writes that were carried out and answered 502.
	FailedAfter int64
}
