package simulator

import "time"

// Config is one seller's account. Zero fields take the defaults that are named.
type Config struct {
	// SellerID, default "A1SIMULATED0".
	SellerID string
	// Marketplace is where orders are placed, default Amazon.co.uk; Currency its currency,
	// default GBP.
	Marketplace, Currency string
	// ClientID, ClientSecret and RefreshToken of the one application. Defaults
	// "amzn1.application-oa2-client.simulated", "simulated-secret" and "Atzr|simulated".
	ClientID, ClientSecret, RefreshToken string
	// TokenLife, default 1 h. OmitExpiry leaves expires_in out of the answers.
	TokenLife  time.Duration
	OmitExpiry bool
	// Now is Amazon's clock, default time.Now.
	Now func() time.Time
	// Seed of everything that is random.
	Seed uint64
	// Faults from the start; see SetFaults.
	Faults Faults

	// Limits: each operation has its published bucket; without, none is ever empty.
	Limits bool
	// ApplyAfter is how long a submission that was accepted takes to be applied.
	ApplyAfter time.Duration
	// FeedQueue is how long a feed waits, FeedRun how long it is then being processed, and
	// FeedListDelay how long it takes to be in the list of feeds. FeedPage bounds a page of that list;
	// 0 = only what is asked for does.
	FeedQueue, FeedRun, FeedListDelay time.Duration
	FeedPage                          int
	// FinanceDelay is how late the finances tell of a refund.
	FinanceDelay time.Duration
	// ReportLatin1 writes reports in ISO 8859-1; ReportPlain does not compress them, nor processing
	// reports.
	ReportLatin1, ReportPlain bool

	// QueueAccount and QueueName are the queue's; defaults "123456789012" and "notifications".
	QueueAccount, QueueName string
	// QueueKeyID and QueueSecret of the one AWS access key that may read the queue. Defaults
	// "AKIASIMULATED" and "simulated-queue-secret".
	QueueKeyID, QueueSecret string
}

func (c Config) withDefaults() Config {
	text := func(v *string, d string) {
		if *v == "" {
			*v = d
		}
	}
	text(&c.SellerID, "A1SIMULATED0")
	text(&c.Marketplace, "A1F83G8C2ARO7P")
	text(&c.Currency, "GBP")
	text(&c.ClientID, "amzn1.application-oa2-client.simulated")
	text(&c.ClientSecret, "simulated-secret")
	text(&c.RefreshToken, "Atzr|simulated")
	text(&c.QueueAccount, "123456789012")
	text(&c.QueueName, "notifications")
	text(&c.QueueKeyID, "AKIASIMULATED")
	text(&c.QueueSecret, "simulated-queue-secret")
	if c.TokenLife == 0 {
		c.TokenLife = time.Hour
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Faults is what goes wrong, as probabilities from 0 to 1. The choice which event is hit
// follows the seed.
type Faults struct {
	// Duplicate: a notification is put into the queue twice.
	Duplicate float64
	// Drop: a notification is never sent.
	Drop float64
	// Late: a notification is put into the queue up to LateBy (default 2 s) late, by the
	// account's clock.
	Late   float64
	LateBy time.Duration
	// PageDrift: pages of orders are counted, not fixed when the list was begun: an order that
	// changes between two pages leaves the list, and the page after it begins one too far.
	PageDrift bool
	// Missing: an order is left out of the list, though it can be read by its id.
	Missing float64
	// Refuse: a submission is answered with 200 and INVALID, and does nothing.
	Refuse float64
	// Throttle: a call is answered 429 whatever the bucket holds.
	Throttle float64
	// FailBefore: a call is answered 503 and does nothing. FailAfter: a write is carried out
	// and then answered 500.
	FailBefore, FailAfter float64
	// HTML: a call is answered 200 with a page of HTML.
	HTML float64
	// Outage: every call is answered 503.
	Outage bool
	// FeedFatal: a feed is given up before anything of it is done. FeedFatalAfter: it is given up
	// when all of it is done. Neither has a report.
	FeedFatal, FeedFatalAfter float64
	// FailUpload: an upload is answered 503 and does nothing.
	FailUpload float64
	// ReportCut: a processing report is cut off. ReportDamaged: bytes of it are changed.
	ReportCut, ReportDamaged float64
	// Undeletable: a message cannot be deleted.
	Undeletable float64
}

// Stats is what happened so far.
type Stats struct {
	// NotificationsSent counts those that were meant to be sent; Duplicated, Dropped and Late
	// those of them that were hit by a fault.
	NotificationsSent, NotificationsDuplicated, NotificationsDropped, NotificationsLate int64
	// MessagesReceived counts messages handed out, again ones too; MessagesDeleted deletions.
	MessagesReceived, MessagesDeleted int64
	// PushesAccepted and PushesRefused count submissions of quantities; PushesChanged those
	// that changed one.
	PushesAccepted, PushesRefused, PushesChanged int64
	// Feeds counts those that were handed in; Cancellations and Refunds what they did, and refunds
	// by hand. Foreign of the feeds are another application's.
	Feeds, Cancellations, Refunds, Foreign int64
	// Calls to the API by operation, and of them those Refused with 429; Throttled is all of
	// these, Refreshes those of tokens.
	Calls, Refused       map[string]int64
	Throttled, Refreshes int64
}
