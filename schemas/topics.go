package schemas

import "time"

// Cleanup is how Kafka gets rid of old records of a topic.
type Cleanup string

// Delete drops by age, Compact keeps the last record of each key.
const (
	Delete  Cleanup = "delete"
	Compact Cleanup = "compact"
)

// Width is the class of a topic's partition count; the counts themselves are configuration.
type Width int

// Wide topics carry orders and stock; Narrow ones are small; Single ones need one total order.
const (
	Wide Width = iota
	Narrow
	Single
)

// Topic declares one topic: the only place where its name, shape and retention stand.
// `crossdock topics plan|apply` reconciles a cluster with these declarations.
type Topic struct {
	// Name carries the version of its content: "raw.orders.v1".
	Name string
	// Key says what the record key is made of.
	Key string
	// Value names the message, or says that bytes are kept as they came.
	Value string
	Width Width
	// Stateful: a room keeps state by partition, so the count is pinned for ever.
	Stateful bool
	Cleanup  Cleanup
	// Retention of Delete topics.
	Retention time.Duration
	// MinCompactionLag of Compact topics: well above the longest pause of a process,
	// so that a late writer's old record is repaired before compaction can prefer it.
	MinCompactionLag time.Duration
	// MaxCompactionLag of Compact topics: no later than this the older states of a key leave the
	// log. 0 = whenever Kafka comes to it.
	MaxCompactionLag time.Duration
	// Personal: carries personal data, so that its retention is bounded.
	Personal bool
}

const (
	day     = 24 * time.Hour
	rawLife = 30 * day
	lag     = 6 * time.Hour
	// A forgotten buyer's older states leave the log within it, far within every deadline.
	maxLag = 3 * day
)

// Raw topics keep the platforms' bytes untouched. Key: account/object.
var (
	RawOrders    = Topic{Name: "raw.orders.v1", Key: "account/order", Value: "bytes as received", Width: Wide, Stateful: true, Cleanup: Delete, Retention: rawLife, Personal: true}
	RawProducts  = Topic{Name: "raw.products.v1", Key: "account/product", Value: "bytes as received", Width: Narrow, Stateful: true, Cleanup: Delete, Retention: rawLife}
	RawInventory = Topic{Name: "raw.inventory.v1", Key: "account/stock item", Value: "bytes as received", Width: Narrow, Stateful: true, Cleanup: Delete, Retention: rawLife}
	RawStock     = Topic{Name: "raw.stock.v1", Key: "account/entry", Value: "bytes as received", Width: Narrow, Stateful: true, Cleanup: Delete, Retention: rawLife, Personal: true}
	RawRates     = Topic{Name: "raw.rates.v1", Key: "account/day", Value: "bytes as received", Width: Single, Stateful: true, Cleanup: Delete, Retention: rawLife}
)

// Inputs of the stateful rooms: one topic each, so that a rewind repeats the same history.
var (
	OrdersIn   = Topic{Name: "orders.in.v1", Key: "account/order", Value: "OrderInput", Width: Wide, Stateful: true, Cleanup: Delete, Retention: rawLife, Personal: true}
	CatalogIn  = Topic{Name: "catalog.in.v1", Key: "account/product", Value: "CatalogInput", Width: Single, Stateful: true, Cleanup: Delete, Retention: rawLife}
	StockIn    = Topic{Name: "stock.in.v1", Key: "SKU", Value: "StockInput", Width: Wide, Stateful: true, Cleanup: Delete, Retention: rawLife}
	CommandsIn = Topic{Name: "commands.in.v1", Key: "account/order, or price:account/listing", Value: "CommandInput", Width: Narrow, Stateful: true, Cleanup: Delete, Retention: rawLife, Personal: true}
	PrivacyIn  = Topic{Name: "privacy.in.v1", Key: "account/request", Value: "PrivacyInput", Width: Single, Stateful: true, Cleanup: Delete, Retention: rawLife, Personal: true}
	FxIn       = Topic{Name: "fx.in.v1", Key: "subject, or day", Value: "FxInput", Width: Narrow, Stateful: true, Cleanup: Delete, Retention: rawLife}
)

// Tables are compacted: the last record of a key is its state, and all of them
// together rebuild a room.
var (
	Orders       = Topic{Name: "orders.v1", Key: "account/order", Value: "Order", Width: Wide, Cleanup: Compact, MinCompactionLag: lag, MaxCompactionLag: maxLag, Personal: true}
	Listings     = Topic{Name: "catalog.listings.v1", Key: "account/listing", Value: "Listing", Width: Single, Cleanup: Compact, MinCompactionLag: lag}
	CatalogIndex = Topic{Name: "catalog.index.v1", Key: "kind/value", Value: "CatalogEntry", Width: Single, Cleanup: Compact, MinCompactionLag: lag}
	StockLevels  = Topic{Name: "stock.levels.v1", Key: "SKU", Value: "StockLevel", Width: Wide, Cleanup: Compact, MinCompactionLag: lag}
	StockClaims  = Topic{Name: "stock.claims.v1", Key: "SKU|warehouse|move", Value: "Claim", Width: Wide, Cleanup: Compact, MinCompactionLag: lag}
	PushTargets  = Topic{Name: "push.targets.v1", Key: "account/listing", Value: "PushTarget", Width: Wide, Stateful: true, Cleanup: Compact, MinCompactionLag: lag}
	Commands     = Topic{Name: "commands.v1", Key: "as commands.in", Value: "CommandBook", Width: Narrow, Cleanup: Compact, MinCompactionLag: lag, MaxCompactionLag: maxLag, Personal: true}
	PushCommands = Topic{Name: "push.commands.v1", Key: "as commands.in", Value: "CommandTarget", Width: Narrow, Stateful: true, Cleanup: Compact, MinCompactionLag: lag, MaxCompactionLag: maxLag, Personal: true}
	Valuations   = Topic{Name: "fx.valuations.v1", Key: "subject", Value: "Valuation", Width: Narrow, Cleanup: Compact, MinCompactionLag: lag}
	RateDays     = Topic{Name: "fx.rates.v1", Key: "source/date/partition", Value: "RateDay", Width: Narrow, Cleanup: Compact, MinCompactionLag: lag}
	// Requests about people's data name nobody: buyers are keyed hashes.
	PrivacyRequests = Topic{Name: "privacy.requests.v1", Key: "account/request", Value: "PrivacyState", Width: Single, Cleanup: Compact, MinCompactionLag: lag}
	FxWaiting       = Topic{Name: "fx.waiting.v1", Key: "partition/date/chunk", Value: "FxWaiting", Width: Narrow, Cleanup: Compact, MinCompactionLag: lag}
)

// Tokens that rotate, sealed: the only copy that must not be lost. No room folds it.
var Tokens = Topic{Name: "tokens.v1", Key: "connector/account/name", Value: "sealed bytes", Width: Single, Stateful: true, Cleanup: Compact, MinCompactionLag: lag}

// Facts that nobody folds: they are read once by the sinks.
var (
	PushOutcomes      = Topic{Name: "push.outcomes.v1", Key: "account/listing", Value: "PushOutcome", Width: Wide, Cleanup: Delete, Retention: rawLife}
	CommandOutcomes   = Topic{Name: "commands.outcomes.v1", Key: "as commands.in", Value: "CommandOutcome", Width: Narrow, Cleanup: Delete, Retention: rawLife}
	InventoryObserved = Topic{Name: "inventory.observed.v1", Key: "account/stock item", Value: "InventoryObservation", Width: Narrow, Cleanup: Delete, Retention: rawLife}
	StockAlarms       = Topic{Name: "stock.alarms.v1", Key: "SKU", Value: "StockAlarm", Width: Narrow, Cleanup: Delete, Retention: 365 * day}
	StockAdjustments  = Topic{Name: "stock.adjustments.v1", Key: "account/entry", Value: "Adjustment", Width: Narrow, Cleanup: Delete, Retention: 365 * day}
	StockReturns      = Topic{Name: "stock.returns.v1", Key: "account/entry", Value: "UnmatchedReturn", Width: Narrow, Cleanup: Delete, Retention: 365 * day}
	Alerts            = Topic{Name: "alerts.v1", Key: "kind/subject", Value: "Alert", Width: Single, Cleanup: Delete, Retention: rawLife}
)

// DeadLetters is the dead-letter topic of a stage: bytes untouched, the reason in headers.
func DeadLetters(stage string) Topic {
	return Topic{Name: "dlq." + stage + ".v1", Key: "as received", Value: "bytes as received", Width: Narrow, Cleanup: Delete, Retention: rawLife, Personal: true}
}

// Stages that have dead letters, in the order of an order's way.
var Stages = []string{"ingest", "translate", "catalog", "orders", "privacy", "stock", "commands", "fx", "push", "clickhouse"}

// Topics is every topic there is.
func Topics() []Topic {
	all := []Topic{
		RawOrders, RawProducts, RawInventory, RawStock, RawRates,
		OrdersIn, CatalogIn, StockIn, CommandsIn, FxIn, PrivacyIn,
		Orders, Listings, CatalogIndex, StockLevels, StockClaims, PushTargets, Commands, PushCommands, Valuations, RateDays, FxWaiting, PrivacyRequests, Tokens,
		PushOutcomes, CommandOutcomes, InventoryObserved, StockAlarms, StockAdjustments, StockReturns, Alerts,
	}
	for _, s := range Stages {
		all = append(all, DeadLetters(s))
	}
	return all
}

// Names of record headers. Values are text.
const (
	HeaderConnector  = "connector"
	HeaderAccount    = "account"
	HeaderFormat     = "format"      // what the raw bytes are, e.g. "rest/order"
	HeaderDelivery   = "delivery"    // the platform's delivery id
	HeaderPath       = "path"        // webhook | poll | import | redrive
	HeaderSourceTime = "source-time" // milliseconds, the platform's own time
	HeaderObject     = "object"      // the platform's object id
	HeaderVersion    = "version"     // "epoch.number" of a table record
	// HeaderLineage of a table record: the version it replaces ("0.-1" for a new key), the offset of
	// the first input record that made this version of that one, and the partition of the room's
	// input that wrote it: "0.17 18 3".
	HeaderLineage    = "lineage"
	HeaderOrigin     = "origin-coord" // coordinates that a redriven record stands for
	HeaderTrace      = "traceparent"  // W3C trace context
	HeaderDeadLetter = "crossdock-deadletter"
	HeaderAttempt    = "attempt" // how often the record was redriven
)
