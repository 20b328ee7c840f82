// Package config is crossdock.yaml: one file that says everything that a process needs to
// know. What comes in: YAML. What goes out: a Config that has been validated, or errors that
// name file, line and key. Unknown keys are errors. Secrets stand in it only by reference.
//
// The file's JSON Schema is generated from these types (schema.go).
package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/amazon"
	"github.com/helloword/crossdock/connectors/ebay"
	"github.com/helloword/crossdock/connectors/ecb"
	"github.com/helloword/crossdock/connectors/magento"
	"github.com/helloword/crossdock/connectors/shopify"
	"github.com/helloword/crossdock/connectors/warehouse"
	"github.com/helloword/crossdock/connectors/woocommerce"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/sinks/clickhouse"
	"github.com/helloword/crossdock/sinks/push"
)

// Config is the whole file.
type Config struct {
	Tenant      string              `yaml:"tenant" doc:"Name of the tenant: part of every topic, group, Redis key and database. a-z, 0-9 and _."`
	Environment schemas.Environment `yaml:"environment" doc:"test or production. A test connection cannot hold a production host."`

	Kafka      Kafka      `yaml:"kafka" doc:"The Kafka cluster (Apache Kafka 4.0 or newer)."`
	Redis      Redis      `yaml:"redis" doc:"Redis 7.0 or newer: state that can be rebuilt from Kafka."`
	ClickHouse ClickHouse `yaml:"clickhouse" doc:"ClickHouse 24.8 or newer: where people look."`

	Webhook   Webhook   `yaml:"webhook" doc:"The server that platforms call."`
	Poll      Poll      `yaml:"poll" doc:"How often and how far back platforms are asked."`
	Catalog   Catalog   `yaml:"catalog" doc:"Which SKU a listing means."`
	Stock     Stock     `yaml:"stock" doc:"What a listing shows."`
	Fx        Fx        `yaml:"fx" doc:"The reporting currency and its rule."`
	Push      Push      `yaml:"push" doc:"How shown quantities are written back."`
	Privacy   Privacy   `yaml:"privacy" doc:"Requests about people's data."`
	Alert     Alert     `yaml:"alert" doc:"Whom to tell."`
	Telemetry Telemetry `yaml:"telemetry" doc:"Metrics, health and logs."`
	Tokens    Tokens    `yaml:"tokens" doc:"Where rotating tokens are kept."`

	Connections map[string]Connection `yaml:"connections" doc:"One entry for each account at a platform. The name is part of every fact."`

	// path and file say where keys stand, for errors; sum is the hash of the file's bytes.
	path string
	file *ast.File
	sum  Sum
}

// Sum is the hash of a file's bytes: what was read, and whether it changed.
type Sum [sha256.Size]byte

// SumOf hashes a file's bytes.
func SumOf(b []byte) Sum { return sha256.Sum256(b) }

// Path is that of the file; empty for a configuration that was made in code.
func (c *Config) Path() string { return c.path }

// Sum is that of the bytes that it was read from.
func (c *Config) Sum() Sum { return c.sum }

// Kafka section.
type Kafka struct {
	Brokers    []string      `yaml:"brokers" doc:"host:port of one broker or more."`
	TLS        TLS           `yaml:"tls" doc:"Encryption."`
	SASL       SASL          `yaml:"sasl" doc:"Log-in."`
	Partitions Partitions    `yaml:"partitions" doc:"Partition counts. Those of stateful topics cannot change later."`
	Replicas   int16         `yaml:"replicas" doc:"Copies of each topic. 3 in production."`
	MinInSync  int           `yaml:"min_in_sync" doc:"Copies that must have a record before it is acknowledged. 2 in production; 0 leaves it to the cluster."`
	InstanceID string        `yaml:"instance_id" doc:"Makes the process a static member of its groups: a restart causes no rebalance. Unique, e.g. the pod's name. env:NAME is read from the environment."`
	NewGroups  bool          `yaml:"new_group_protocol" doc:"Use the cluster's own balancer (KIP-848); Kafka 4.3 or newer is advised."`
	Session    time.Duration `yaml:"session_timeout" doc:"After this silence a member is taken for dead."`
}

// Partitions by class of topics.
type Partitions struct {
	Wide   int32 `yaml:"wide" doc:"Topics that carry orders and stock."`
	Narrow int32 `yaml:"narrow" doc:"All others."`
}

// TLS of any connection.
type TLS struct {
	Enabled    bool   `yaml:"enabled" doc:"Encrypt the connection."`
	CAFile     string `yaml:"ca_file" doc:"PEM file of the authorities to trust; empty: those of the system."`
	CertFile   string `yaml:"cert_file" doc:"Client certificate (PEM)."`
	KeyFile    string `yaml:"key_file" doc:"Key of the client certificate (PEM)."`
	ServerName string `yaml:"server_name" doc:"Name that the server's certificate must have; empty: the host dialled."`
}

// SASL log-in.
type SASL struct {
	Mechanism string            `yaml:"mechanism" doc:"PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; empty: none."`
	Username  string            `yaml:"username" doc:"User."`
	Password  connectors.Secret `yaml:"password" doc:"Reference to the password: env:NAME or file:PATH."`
}

// Redis section.
type Redis struct {
	Addrs    []string          `yaml:"addrs" doc:"host:port; several: the seeds of a cluster, or the sentinels when master is set."`
	Master   string            `yaml:"master" doc:"The Sentinel's name of the master."`
	Cluster  bool              `yaml:"cluster" doc:"Cluster mode for a single configuration endpoint."`
	DB       int               `yaml:"db" doc:"Number of the database."`
	Username string            `yaml:"username" doc:"ACL user."`
	Password connectors.Secret `yaml:"password" doc:"Reference to the password: env:NAME or file:PATH."`
	// The sentinels may ask for a log-in of their own.
	SentinelUsername string            `yaml:"sentinel_username" doc:"ACL user of the sentinels, when they ask for one."`
	SentinelPassword connectors.Secret `yaml:"sentinel_password" doc:"Reference to the sentinels' password: env:NAME or file:PATH."`
	TLS              TLS               `yaml:"tls" doc:"Encryption."`
}

// ClickHouse section.
type ClickHouse struct {
	Addrs        []string            `yaml:"addrs" doc:"host:port of the replicas of one shard."`
	Protocol     clickhouse.Protocol `yaml:"protocol" doc:"http or native."`
	Username     string              `yaml:"username" doc:"User."`
	Password     connectors.Secret   `yaml:"password" doc:"Reference to the password: env:NAME or file:PATH."`
	TLS          TLS                 `yaml:"tls" doc:"Encryption."`
	Compression  string              `yaml:"compression" doc:"none, lz4 or zstd."`
	Replicated   bool                `yaml:"replicated" doc:"Create replicated tables."`
	Cluster      string              `yaml:"cluster" doc:"Create tables ON CLUSTER of this name."`
	InsertQuorum string              `yaml:"insert_quorum" doc:"Replicas that hold an insert before it counts: a number or auto."`
	Fsync        bool                `yaml:"fsync_after_insert" doc:"A single server puts an insert on disk before it counts."`
	Buyer        clickhouse.Buyer    `yaml:"buyer" doc:"What is kept of the buyer: hash (keyed), id or none."`
	BuyerKey     connectors.Secret   `yaml:"buyer_key" doc:"Reference to the key of the hash: env:NAME or file:PATH."`
	BatchRecords int                 `yaml:"batch_records" doc:"Records of one insert at most."`
	BatchAge     time.Duration       `yaml:"batch_age" doc:"A smaller insert is made after this time."`
}

// Webhook section.
type Webhook struct {
	Listen    string        `yaml:"listen" doc:"Address to listen on, host:port."`
	PublicURL string        `yaml:"public_url" doc:"Address by which platforms reach it, https://…; subscriptions are made with it."`
	MaxBody   int64         `yaml:"max_body" doc:"Largest body that is taken, bytes."`
	Produce   time.Duration `yaml:"produce_timeout" doc:"How long Kafka may take to acknowledge before the answer is 503."`
	InFlight  int           `yaml:"in_flight" doc:"Calls handled at the same time at most."`
}

// Poll section; a connection may have its own.
type Poll struct {
	Interval time.Duration `yaml:"interval" doc:"Time between two polls of the same kind."`
	Overlap  time.Duration `yaml:"overlap" doc:"Read again before the cursor, for changes that were committed late."`
	Settle   time.Duration `yaml:"settle" doc:"Left out before the platform's now, for changes still being written."`
	Backfill time.Duration `yaml:"backfill" doc:"How far back a first poll goes; 0: as far as the platform allows."`
}

// Catalog section.
type Catalog struct {
	AdoptSKUs bool      `yaml:"adopt_skus" doc:"A platform's SKU that nobody knows yet becomes our own. Off: only skus and mappings count."`
	SKUs      []string  `yaml:"skus" doc:"Our own SKUs."`
	Mappings  []Mapping `yaml:"mappings" doc:"Listings whose SKU is not the platform's own."`
}

// Mapping of one listing.
type Mapping struct {
	Account     string `yaml:"account" doc:"Name of the connection."`
	Listing     string `yaml:"listing" doc:"Id of the listing at the platform; or platform_sku."`
	PlatformSKU string `yaml:"platform_sku" doc:"SKU as the platform writes it; or listing."`
	SKU         string `yaml:"sku" doc:"Our SKU."`
	Multiplier  int64  `yaml:"multiplier" doc:"Units of our SKU in one unit of the listing (six-pack: 6)."`
}

// Stock section.
type Stock struct {
	Gather   time.Duration `yaml:"gather" doc:"How long changes are gathered before levels are decided anew. Fewer levels and writes, later ones; 0: at once."`
	Policies []Policy      `yaml:"policies" doc:"Rules for what a listing shows; the most specific one counts."`
}

// Policy for listings.
type Policy struct {
	Account   string `yaml:"account" doc:"Only this connection; empty: all."`
	SKU       string `yaml:"sku" doc:"Only this SKU; empty: all."`
	Buffer    int64  `yaml:"buffer" doc:"Units held back."`
	BufferBP  int64  `yaml:"buffer_bp" doc:"Held back as well, in hundredths of a percent of what is available (1000 = 10 %)."`
	MaxListed int64  `yaml:"max_listed" doc:"Never show more; 0: no limit."`
	PauseAt   int64  `yaml:"pause_at" doc:"At or below this many available, show 0."`
	ResumeAt  int64  `yaml:"resume_at" doc:"Show again at or above this many available."`
}

// Fx section.
type Fx struct {
	Reporting string `yaml:"reporting_currency" doc:"Currency of the reports, ISO 4217."`
	Rule      string `yaml:"rule" doc:"previous-day (default), same-day, month-end, month-end-or-next or quarter-end-or-next."`
}

// Push section.
type Push struct {
	Delay    time.Duration `yaml:"increase_delay" doc:"How long an increase may wait for a newer one. Decreases never wait."`
	Patience time.Duration `yaml:"stale_patience" doc:"How long to wait for the order behind a changed quantity before the stock room decides anew from what is shown."`
	ParkMax  time.Duration `yaml:"park_max" doc:"How long an account that keeps failing is left alone at most, between two tries."`
	Owner    time.Duration `yaml:"reauthorise_every" doc:"How often an account is tried that refuses our credentials and needs its owner."`
	Call     time.Duration `yaml:"call_timeout" doc:"How long one write may take, waiting for the platform's quota included."`
	Commands time.Duration `yaml:"command_patience" doc:"How long a price, shipment, cancellation or refund is tried that is neither done nor refused. After that it needs a person."`
}

// Privacy section.
type Privacy struct {
	Interval time.Duration `yaml:"interval" doc:"Time between two looks at the requests; while one is open the orders are looked through at each, else once a day."`
}

// Alert section.
type Alert struct {
	Webhook AlertWebhook  `yaml:"webhook" doc:"Tell a web address."`
	Mail    AlertMail     `yaml:"mail" doc:"Tell by mail."`
	Window  time.Duration `yaml:"window" doc:"The same thing is told once in this time."`
}

// AlertWebhook is where alerts are posted.
type AlertWebhook struct {
	URL    connectors.Secret `yaml:"url" doc:"Reference to the https address, which is a secret for many receivers: env:NAME or file:PATH. Empty: none."`
	Secret connectors.Secret `yaml:"secret" doc:"Reference to the key that signs the call: env:NAME or file:PATH."`
}

// AlertMail is where alerts are mailed.
type AlertMail struct {
	Server   string            `yaml:"server" doc:"SMTP server, host:port; empty: none."`
	From     string            `yaml:"from" doc:"Sender."`
	To       []string          `yaml:"to" doc:"Receivers."`
	TLS      string            `yaml:"tls" doc:"starttls (default), tls or none."`
	Username string            `yaml:"username" doc:"User."`
	Password connectors.Secret `yaml:"password" doc:"Reference to the password: env:NAME or file:PATH."`
}

// Telemetry section.
type Telemetry struct {
	Listen   string `yaml:"listen" doc:"Address of /metrics, /healthz and /readyz."`
	LogLevel string `yaml:"log_level" doc:"debug, info, warn or error."`
	LogJSON  bool   `yaml:"log_json" doc:"Write logs as JSON."`
	Traces   Traces `yaml:"traces" doc:"Where spans go (OpenTelemetry). Off without an endpoint."`
}

// Traces section.
type Traces struct {
	Endpoint    string                       `yaml:"endpoint" doc:"Address of a collector that takes OTLP over HTTP: https://host[:port][/path], without a path /v1/traces. http only for a collector on this machine (http://127.0.0.1:4318). Empty: no traces."`
	SampleRatio float64                      `yaml:"sample_ratio" doc:"Share of the webhooks and polls whose way is recorded, 0 to 1."`
	Headers     map[string]connectors.Secret `yaml:"headers" doc:"Headers of each export by name; the values are references: env:NAME or file:PATH."`
}

// Tokens section.
type Tokens struct {
	Dir          string              `yaml:"dir" doc:"Folder of sealed token files, for a single machine or a shared volume. Empty: they are kept in Kafka (tokens.v1), with a second copy in Redis."`
	Key          connectors.Secret   `yaml:"key" doc:"Reference to the key that seals them, 32 bytes in base64: env:NAME or file:PATH. Without one nothing is kept that must survive a restart."`
	PreviousKeys []connectors.Secret `yaml:"previous_keys" doc:"References to keys that sealed them before a rotation: they still open."`
}

// Kept reports whether tokens survive a restart.
func (t Tokens) Kept() bool { return t.Key != "" }

// Validate reports what is wrong.
func (t Tokens) Validate() error {
	if t.Key == "" && (t.Dir != "" || len(t.PreviousKeys) > 0) {
		return errors.New("key is missing: 32 random bytes in base64, by reference: openssl rand -base64 32")
	}
	for _, s := range append([]connectors.Secret{t.Key}, t.PreviousKeys...) {
		if s == "" {
			continue
		}
		if err := s.Validate(); err != nil {
			return fmt.Errorf("key, previous_keys: %w", err)
		}
	}
	return nil
}

// Connection to one account.
type Connection struct {
	Connector string             `yaml:"connector" doc:"Name of the connector, see crossdock connectors."`
	Modules   connectors.Modules `yaml:"modules" doc:"What flows, a list out of orders, products, inventory, fulfilment and finance. Without it all that the connector can. Without inventory nothing is written to its listings; without orders or products theirs are neither polled nor kept when a webhook brings them."`
	Poll      *Poll              `yaml:"poll" doc:"Its own intervals."`
	PushEvery time.Duration      `yaml:"push_interval" doc:"How often its listings are written, e.g. 15m; 0: as soon as something is decided. With an interval decreases wait, too: more can be sold than there is."`
	PerSecond float64            `yaml:"calls_per_second" doc:"Calls a second that may be made, instead of what the platform publishes or tells: for a shop of your own whose server bears more or less (woocommerce, magento), and in the test environment for a simulator. 0: what is known of the platform."`
	AllowHTTP bool               `yaml:"allow_loopback" doc:"Let it talk to an address on this machine (test environment only)."`

	Shopify     *shopify.Config     `yaml:"shopify" doc:"Settings of the connector shopify."`
	WooCommerce *woocommerce.Config `yaml:"woocommerce" doc:"Settings of the connector woocommerce."`
	Magento     *magento.Config     `yaml:"magento" doc:"Settings of the connector magento."`
	Amazon      *amazon.Config      `yaml:"amazon" doc:"Settings of the connector amazon."`
	Ebay        *ebay.Config        `yaml:"ebay" doc:"Settings of the connector ebay."`
	ECB         *ecb.Config         `yaml:"ecb" doc:"Settings of the connector ecb."`
	Warehouse   *warehouse.Config   `yaml:"warehouse" doc:"Settings of the connector warehouse."`
}

// UnmarshalYAML reads a connection; a connector's section that is there begins with its
// defaults.
func (c *Connection) UnmarshalYAML(unmarshal func(any) error) error {
	type plain Connection
	var found plain
	if err := unmarshal(&found); err != nil {
		return err
	}
	if found.Shopify != nil {
		d := shopify.DefaultConfig()
		found.Shopify = &d
	}
	if found.WooCommerce != nil {
		d := woocommerce.DefaultConfig()
		found.WooCommerce = &d
	}
	if found.Magento != nil {
		d := magento.DefaultConfig()
		found.Magento = &d
	}
	if found.Amazon != nil {
		d := amazon.DefaultConfig()
		found.Amazon = &d
	}
	if found.Ebay != nil {
		d := ebay.DefaultConfig()
		found.Ebay = &d
	}
	if found.Warehouse != nil {
		d := warehouse.DefaultConfig()
		found.Warehouse = &d
	}
	if err := unmarshal(&found); err != nil {
		return err
	}
	*c = Connection(found)
	return nil
}

// Default is the configuration before the file is read.
func Default() Config {
	return Config{
		Kafka:      Kafka{Partitions: Partitions{Wide: 12, Narrow: 4}, Replicas: 3, MinInSync: 2, Session: 45 * time.Second},
		ClickHouse: ClickHouse{Protocol: clickhouse.HTTP, Compression: "lz4", Buyer: clickhouse.BuyerHash, BatchRecords: 20_000, BatchAge: time.Second},
		Webhook:    Webhook{Listen: "127.0.0.1:8080", MaxBody: 2 << 20, Produce: 4 * time.Second, InFlight: 512},
		Poll:       Poll{Interval: 15 * time.Minute, Overlap: 5 * time.Minute, Settle: 10 * time.Second},
		Fx:         Fx{Reporting: "EUR", Rule: "previous-day"},
		Push:       pushDefaults(),
		Privacy:    Privacy{Interval: time.Hour},
		Alert:      Alert{Window: 15 * time.Minute},
		Telemetry:  Telemetry{Listen: "127.0.0.1:9090", LogLevel: "info", Traces: Traces{SampleRatio: 0.05}},
		Catalog:    Catalog{AdoptSKUs: true},
	}
}

func pushDefaults() Push {
	d := push.DefaultConfig()
	return Push{Delay: d.CoalesceIncreases, Patience: d.StalePatience, ParkMax: d.BackoffMax, Owner: d.ReauthoriseEvery, Call: d.CallTimeout, Commands: d.CommandPatience}
}
