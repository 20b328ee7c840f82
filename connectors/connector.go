// Package connectors is the contract between crossdock and the systems it talks
// to: sales channels, warehouses, carriers, payment gateways and rate sources.
//
// A connector is a struct of small interfaces in which a nil field means
// "cannot": the table of capabilities in the docs is printed from exactly this.
// It knows its system and package schemas, and nothing of Kafka, Redis or
// ClickHouse; all of its world (HTTP client, clock, logger, token store, limiter)
// is handed in. It keeps nothing of its own: what must survive goes through
// cursors and the token store, so a crash costs a repetition at most.
//
// What comes in: bytes. What goes out: facts (package event), outcomes of writes,
// and errors that instruct the caller (errors.go).
package connectors

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/helloword/crossdock/schemas/event"
)

// Kind is what a connector is for.
type Kind string

// The kinds of connectors.
const (
	Channel   Kind = "channel"
	Warehouse Kind = "warehouse"
	Carrier   Kind = "carrier"
	Gateway   Kind = "gateway"
	Rates     Kind = "rates"
)

// Subject is what a raw record is about; it decides the raw topic.
type Subject string

// Subjects of raw records.
const (
	Orders    Subject = "orders"
	Products  Subject = "products"
	Inventory Subject = "inventory"
	Stock     Subject = "stock"
	RateDays  Subject = "rates"
	Payments  Subject = "payments"
	Payouts   Subject = "payouts"
	Shipments Subject = "shipments"
)

// Connector is one connection's capabilities, opened for one account. A nil field means
// that the system, or this connection, cannot do it.
type Connector struct {
	Name string
	Kind Kind

	// Check asks the system what this connection may do; see CheckResult.
	Check Checker
	// Authorize lets the account's owner give us access.
	Authorize Authorizer
	// Embed recognises the platform's admin opening the app, which Authorize takes for an answer.
	Embed Embedder
	// Receive authenticates and names webhook calls.
	Receive Receiver
	// Challenge answers a platform's proof-of-ownership request (GET on the webhook address).
	Challenge Challenger
	// Poll reports changes, by subject.
	Poll map[Subject]Poller
	// Translate turns raw records into facts.
	Translate Translator
	// Webhooks keeps the subscriptions on the platform's side as they should be.
	Webhooks WebhookKeeper

	// Pushers of sales channels.
	Stock      StockPusher
	Price      PricePusher
	Fulfilment FulfilmentPusher
	Cancel     Canceller
	Refund     Refunder

	// Carriers.
	Rate    Rater
	Ship    Shipper
	Void    Voider
	Track   Tracker
	Recover ShipmentRecoverer

	// Gateways.
	Capture    Capturer
	Settlement SettlementPuller
}

// Deps is a connector's whole world.
type Deps struct {
	// Account is the connection's name in the configuration; it is part of every fact.
	Account string
	// Modules of the connection: a check asks only for what they need.
	Modules Modules
	HTTP    *http.Client
	Log     *slog.Logger
	Now     func() time.Time
	Tokens  TokenStore
	Limiter Limiter
}

// ---- in ----

// Raw is one object as the platform sent it, on its way to a raw topic.
type Raw struct {
	Subject Subject
	// Object is the platform's id of the object; account/object is the record key, so that
	// everything said about one object stays in order.
	Object string
	// Body is never altered.
	Body []byte
	// Format names what the bytes are, for the translator: "rest/order", "graphql/order".
	Format string
	// Delivery is the platform's id of this delivery, if it has one.
	Delivery string
	// SourceTime is the platform's own time of the change; zero when unknown.
	SourceTime time.Time
}

// Delivery is one webhook call. Body is complete and bounded; it was not parsed.
type Delivery struct {
	Method string
	// Path and Query as received, for platforms that sign them.
	Path   string
	Query  string
	Header http.Header
	Body   []byte
	// Received is our clock at the first byte: replay windows are measured against it.
	Received time.Time
}

// Receiver authenticates one webhook call over the raw bytes and says what it is. It
// parses no more than that needs. Errors: ErrUnauthentic (401, nothing is stored),
// ErrMalformed (400). An empty result without error is a call that needs no record (a ping).
// Called concurrently; must not block on the network except to fetch signing keys.
type Receiver interface {
	Receive(ctx context.Context, d *Delivery) ([]Raw, error)
}

// Challenger answers a challenge with a body and its content type.
type Challenger interface {
	Answer(ctx context.Context, d *Delivery) (body []byte, contentType string, err error)
}

// PollRequest says how far back and how close to now one poll looks.
type PollRequest struct {
	// Cursor is what the last poll returned; nil on the first.
	Cursor json.RawMessage
	// Start is where a first poll begins; zero means as far back as the platform allows.
	Start time.Time
	// Overlap is read again before the cursor: changes that were committed late are found.
	Overlap time.Duration
	// Settle is left out before the server's now: changes still being written.
	Settle time.Duration
}

// PollResult is the state after one poll.
type PollResult struct {
	// Cursor for the next poll. It is stored only after everything emitted is in Kafka,
	// and comes from the server's clock, never from ours.
	Cursor json.RawMessage
	// More is true when the window was cut short and the caller should poll again at once.
	More bool
	// Watermark: everything changed up to here has been emitted.
	Watermark time.Time
	Objects   int
	Pages     int
}

// Poller reports what changed since a cursor, oldest first where the platform can. emit is
// called for each object, from one goroutine; an error of emit ends the poll and is
// returned. One broken object is emitted as it is (the translator refuses it), it does not
// end the page. Not called concurrently for one account.
type Poller interface {
	Poll(ctx context.Context, req PollRequest, emit func(Raw) error) (PollResult, error)
}

// Record is a raw record as read back from Kafka.
type Record struct {
	Subject    Subject
	Account    string
	Object     string
	Format     string
	Body       []byte
	SourceTime time.Time
}

// Translator turns one raw record into facts. It is a pure function: no clock, no network;
// the same input gives the same facts, byte for byte. The same change seen by webhook and by
// poll gives equal facts. Errors: ErrMalformed, ErrUnsupported. Called concurrently.
// It fills no Origin, Version or Resolution: the rooms do.
type Translator interface {
	Translate(r *Record) (Facts, error)
}

// Facts is what one raw record says.
type Facts struct {
	Orders       []*event.Order
	Refunds      []*event.Refund
	Products     []*event.Product
	Deleted      []*event.ProductDeleted
	Observations []*event.InventoryObservation
	Adjustments  []*event.Adjustment
	Returns      []*event.UnmatchedReturn
	// Returned is what somebody else than its platform says of an order: Account names the
	// connection that sold it, OrderId the platform's order.
	Returned []*event.Refund
	Rates    []*event.RateDay
	// Commands are what the seller asks of a platform; their ids are those of the source.
	Commands []*event.Command
	// Privacy is what a platform asks us to do about a person's data.
	Privacy []*event.PrivacyRequest
}

// WebhookKeeper makes the subscriptions on the platform equal to what is wanted: creates,
// corrects, re-enables. Idempotent.
type WebhookKeeper interface {
	EnsureWebhooks(ctx context.Context, address string) error
}

// CheckResult is one thing that was asked of a system, for `crossdock check`.
type CheckResult struct {
	// Subject, e.g. "scope write_inventory".
	Subject string
	OK      bool
	// Detail says what was found; Advice what to do when OK is false.
	Detail, Advice string
}

// Checker asks the system what this connection may do. It changes nothing.
type Checker interface {
	Check(ctx context.Context) ([]CheckResult, error)
}

// ---- out ----

// Result is what became of one write.
type Result struct {
	// Outcome: Accepted (the platform took it), Refused (it said no and will again),
	// NotSent (certainly not done: try again), Unknown (it may have been done: read back).
	Outcome event.Outcome
	// Code and Message as the platform gave them, without secrets.
	Code, Message string
	// RetryAfter is the platform's wish, for NotSent.
	RetryAfter time.Duration
	// Sibling: NotSent only because another write of the same call was refused and the platform
	// applies all or none. It may be sent again at once, without that one.
	Sibling bool
	// Stale: a compare-and-set found another value; Shown tells it when the platform did.
	Stale bool
	Shown *int64
}

// StockWrite sets what one listing shows, absolutely.
type StockWrite struct {
	ListingID string
	StockID   string
	Location  string
	SKU       string
	Quantity  int64
	// Expected is the quantity that we believe is shown; nil = write without comparing.
	Expected *int64
	// CommandID is the stable name of this intent; the idempotency key is made from it and
	// is the same on every attempt.
	CommandID string
}

// StockRef names a listing whose shown quantity is read.
type StockRef struct {
	ListingID, StockID, Location string
}

// StockPusher writes shown quantities and reads them back. results[i] belongs to
// writes[i]; len(writes) <= Batch. The error is for what concerns the whole call
// (ErrNeedsAuthorisation, context); results are then all NotSent or Unknown.
// Called concurrently for different accounts, one call at a time for one account.
type StockPusher interface {
	Batch() int
	PushStock(ctx context.Context, writes []StockWrite) (results []Result, err error)
	// ReadStock returns what is shown; nil where the listing does not exist.
	ReadStock(ctx context.Context, refs []StockRef) ([]*int64, error)
}

// PriceWrite sets a listing's price, absolutely.
type PriceWrite struct {
	ListingID, ProductID, SKU string
	Price                     *event.Money
	CommandID                 string
}

// PricePusher writes prices. Contract as StockPusher's. Prices, and the commands below, go one
// at a time for one account, but beside its stock writes.
type PricePusher interface {
	Batch() int
	PushPrice(ctx context.Context, writes []PriceWrite) ([]Result, error)
}

// FulfilmentWrite tells a channel that goods left with a tracking number.
type FulfilmentWrite struct {
	OrderID     string
	Lines       []LineQuantity
	CarrierCode string
	CarrierName string
	Tracking    string
	TrackingURL string
	Notify      bool
	CommandID   string
}

// LineQuantity is a quantity of one order line.
type LineQuantity struct {
	LineID   string
	Quantity int64
}

// FulfilmentPusher reports shipments. A platform without idempotency is asked first.
type FulfilmentPusher interface {
	PushFulfilment(ctx context.Context, w FulfilmentWrite) (Result, error)
}

// CancelWrite cancels an order on its channel.
type CancelWrite struct {
	OrderID, Reason string
	Restock, Notify bool
	CommandID       string
}

// Canceller cancels orders.
type Canceller interface {
	CancelOrder(ctx context.Context, w CancelWrite) (Result, error)
}

// RefundWrite gives money back on a channel or gateway.
type RefundWrite struct {
	OrderID, PaymentID string
	Lines              []LineQuantity
	Amount             *event.Money
	Note               string
	Restock            event.Restock
	CommandID          string
}

// Refunder refunds.
type Refunder interface {
	PushRefund(ctx context.Context, w RefundWrite) (Result, error)
}

// ShipRequest is one parcel on its way to a carrier.
type ShipRequest struct {
	Shipment  *event.Shipment
	Parcel    *event.Parcel
	Service   string
	Format    string
	CommandID string
}

// Quote is one service that a carrier offers for a shipment.
type Quote struct {
	Service    string
	Cost       *event.Money
	TransitMin time.Duration
	TransitMax time.Duration
}

// Rater asks a carrier's price.
type Rater interface {
	Rate(ctx context.Context, s *event.Shipment) ([]Quote, error)
}

// Shipper buys a label. The document is returned once; the caller keeps it.
type Shipper interface {
	Ship(ctx context.Context, r ShipRequest) (*event.Label, []byte, Result, error)
}

// Voider cancels a label that was not used.
type Voider interface {
	Void(ctx context.Context, waybill, commandID string) (Result, error)
}

// Tracker asks for the scans of waybills.
type Tracker interface {
	Track(ctx context.Context, waybills []string) ([]*event.TrackingEvent, error)
}

// ShipmentRecoverer finds out whether a label of unknown outcome was bought.
type ShipmentRecoverer interface {
	RecoverShipment(ctx context.Context, r ShipRequest) (*event.Label, []byte, bool, error)
}

// Capturer captures an authorised payment.
type Capturer interface {
	Capture(ctx context.Context, paymentID string, amount *event.Money, commandID string) (Result, error)
}

// SettlementPuller reads payouts with their lines.
type SettlementPuller interface {
	Settlements(ctx context.Context, req PollRequest, emit func(Raw) error) (PollResult, error)
}

// ---- what is handed in ----

// TokenStore keeps tokens that rotate. Save returns only after the token is durable: a
// refreshed token is saved before it is used, because the old one is dead by then.
type TokenStore interface {
	// Load returns nil when there is none.
	Load(ctx context.Context, name string) ([]byte, error)
	// Save refuses with an error that Superseded knows when somebody else has saved since the
	// last Load.
	Save(ctx context.Context, name string, value []byte) error
	// Lock makes one refresh at a time, over all processes. unlock is always safe to call.
	Lock(ctx context.Context, name string) (unlock func(), err error)
}

// Priority of a call when there is less quota than work.
type Priority int

// Priorities, most urgent first: what prevents overselling goes before what fills shelves.
const (
	Urgent   Priority = iota // decreases, cancellations
	Normal                   // increases, prices, polls
	Backfill                 // history
)

// Limiter hands out a system's quota, shared by all processes.
type Limiter interface {
	// Wait blocks until cost units of the operation may be spent, or ctx ends.
	Wait(ctx context.Context, operation string, cost float64, p Priority) error
	// Observe corrects the bucket by what the system's answer said.
	Observe(operation string, s LimitState)
}

// LimitState is a bucket as the system described it. Zero fields were not told.
type LimitState struct {
	Capacity   float64
	Available  float64
	PerSecond  float64
	RetryAfter time.Duration
	// Known says which of Capacity, Available and PerSecond are meaningful.
	Known bool
	// Spent is the cost that Wait was asked for, of the call that was answered; 0 = not told.
	Spent float64
}
