package clickhouse

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"time"

	"github.com/helloword/crossdock/connectors"
)

// Protocol is how to speak to the server.
type Protocol string

// HTTP is served by the embedded engine too; Native is a little faster on a real server.
const (
	HTTP   Protocol = "http"
	Native Protocol = "native"
)

// Buyer is what the column buyer holds.
type Buyer string

// A keyed hash of the buyer's id, the id itself, or nothing.
const (
	BuyerHash Buyer = "hash"
	BuyerID   Buyer = "id"
	BuyerNone Buyer = "none"
)

// Config says where ClickHouse is, how to log in, and how durable an insert must be.
type Config struct {
	// Addrs are host:port of the replicas of one shard; the first that answers is used.
	Addrs    []string
	Protocol Protocol // "" = HTTP
	// Database is the scope's database, see schemas.Scope.
	Database string
	Username string
	Password connectors.Secret
	TLS      TLS
	// Compression of the connection: "" or "none", "lz4", "zstd". The embedded engine is on the
	// same machine: none.
	Compression string

	// Replicated makes the tables ReplicatedMergeTree; Cluster, when named, creates them ON CLUSTER.
	Replicated bool
	Cluster    string
	// InsertQuorum: how many replicas hold an insert before it counts; "" = the server's own
	// default, "auto" = the majority, or a number.
	InsertQuorum string
	// FsyncAfterInsert makes a single server put an insert on disk before it counts.
	FsyncAfterInsert bool

	// Buyer is what becomes of the buyer's id; "" = hash, with BuyerKey as its key.
	Buyer    Buyer
	BuyerKey connectors.Secret

	// Timeout bounds one insert or query; 0 = 60 s.
	Timeout time.Duration
	// MaxConns bounds the connections; 0 = 8.
	MaxConns int
}

// TLS of the connection.
type TLS struct {
	Enabled bool
	// CAFile is a PEM file of the authorities to trust; empty = those of the system.
	CAFile string
	// ServerName is what the certificate must be issued for; empty = the host dialled.
	ServerName string
}

var name = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Validate reports what is wrong with the configuration, without asking anybody.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("clickhouse: "+format, args...)) }
	if len(c.Addrs) == 0 {
		bad("no address: set at least one host:port")
	}
	for _, a := range c.Addrs {
		if _, _, err := net.SplitHostPort(a); err != nil {
			bad("address %q: write host:port", a)
		}
	}
	if c.Protocol != "" && c.Protocol != HTTP && c.Protocol != Native {
		bad("protocol %q: use http or native", c.Protocol)
	}
	if !name.MatchString(c.Database) {
		bad("database %q: use letters, digits and _", c.Database)
	}
	if c.Cluster != "" && !name.MatchString(c.Cluster) {
		bad("cluster %q: use letters, digits and _", c.Cluster)
	}
	if c.Cluster != "" && !c.Replicated {
		bad("cluster %q without replicated tables: every replica would hold other rows", c.Cluster)
	}
	if c.Password != "" {
		if err := c.Password.Validate(); err != nil {
			bad("password: %w", err)
		}
	}
	switch c.Compression {
	case "", "none", "lz4", "zstd":
	default:
		bad("compression %q: use none, lz4 or zstd", c.Compression)
	}
	if n, err := strconv.Atoi(c.InsertQuorum); c.InsertQuorum != "" && c.InsertQuorum != "auto" && (err != nil || n < 0) {
		bad("insert quorum %q: use auto or a number of replicas", c.InsertQuorum)
	}
	if c.InsertQuorum != "" && !c.Replicated {
		bad("insert quorum without replicated tables")
	}
	switch c.Buyer {
	case "", BuyerHash:
		if c.BuyerKey == "" {
			bad("no key for the hash of buyers: set it to env:NAME or file:PATH, or buyer to %q", BuyerNone)
		} else if err := c.BuyerKey.Validate(); err != nil {
			bad("buyer key: %w", err)
		}
	case BuyerID, BuyerNone:
	default:
		bad("buyer %q: use %s, %s or %s", c.Buyer, BuyerHash, BuyerID, BuyerNone)
	}
	if !c.TLS.Enabled && c.TLS != (TLS{}) {
		bad("tls: files are named but it is not enabled")
	}
	if c.Timeout < 0 || c.MaxConns < 0 {
		bad("a timeout or a number of connections is negative")
	}
	return errors.Join(errs...)
}

func (c Config) timeout() time.Duration {
	if c.Timeout == 0 {
		return time.Minute
	}
	return c.Timeout
}
