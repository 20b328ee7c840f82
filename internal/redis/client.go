// Package redis opens the Redis that holds crossdock's fast state, and keeps in it
// what has to be shared between processes: quotas (Bucket) and leases.
//
// What it keeps can be rebuilt (from Kafka, or by asking the platform again). What a crash
// does: a lease ends by its own time; everything else is one Lua call.
//
// Keys that one script touches share a hash tag, "…{tag}…", so that they live in one slot
// of a cluster: one client type serves a single node, Sentinel and Cluster.
package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Secret is a reference that is read when it is needed, so that a rotated password is taken
// up by the next connection.
type Secret interface {
	Resolve() (string, error)
}

// Config says where Redis is and how to log in.
type Config struct {
	// Addrs is one host:port, the seeds of a cluster, or, with Master set, the sentinels.
	Addrs []string
	// Master is the Sentinel's name of the master; empty = no Sentinel.
	Master string
	// Cluster forces cluster mode for a single configuration endpoint.
	Cluster bool
	// DB is the number of the database; only 0 exists in a cluster.
	DB int
	// Username and Password of an ACL user; both may be absent.
	Username string
	Password Secret
	// SentinelUsername and SentinelPassword log in to the sentinels, when they ask for it.
	SentinelUsername string
	SentinelPassword Secret
	TLS              TLS
	// PoolSize bounds the connections to each node; 0 = 16.
	PoolSize int
	// DialTimeout and Timeout bound connecting, and one answer; 0 = 3 s and 5 s.
	DialTimeout, Timeout time.Duration
}

// TLS of the connections.
type TLS struct {
	Enabled bool
	// CAFile is a PEM file of the authorities to trust; empty = those of the system.
	CAFile string
	// ServerName is what the certificate must be issued for; empty = the host dialled.
	ServerName string
	// CertFile and KeyFile are the client's certificate, when the server asks for one.
	CertFile, KeyFile string
}

// Validate reports what is wrong with the configuration, without asking anybody.
func (c Config) Validate() error {
	if len(c.Addrs) == 0 {
		return errors.New("redis: no address: set at least one host:port")
	}
	for _, a := range c.Addrs {
		if _, _, err := net.SplitHostPort(a); err != nil {
			return fmt.Errorf("redis: address %q: write host:port", a)
		}
	}
	if c.Master != "" && c.Cluster {
		return errors.New("redis: a Sentinel master and cluster mode exclude each other")
	}
	if c.DB != 0 && (c.Cluster || (c.Master == "" && len(c.Addrs) > 1)) {
		return fmt.Errorf("redis: database %d: a cluster has only database 0", c.DB)
	}
	if c.Username != "" && c.Password == nil {
		return fmt.Errorf("redis: user %q without a password", c.Username)
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		return errors.New("redis: tls: the client's certificate and its key belong together")
	}
	if !c.TLS.Enabled && c.TLS != (TLS{}) {
		return errors.New("redis: tls: files are named but it is not enabled")
	}
	return nil
}

// Open connects and asks for a first answer, so that a wrong address or password shows now
// and not under the first order. The caller closes the client.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (goredis.UniversalClient, error) {
	opts, err := options(cfg)
	if err != nil {
		return nil, err
	}
	client := goredis.NewUniversalClient(opts)
	if err := client.Ping(ctx).Err(); err != nil {
		_ = client.Close()
		return nil, fmt.Errorf("connecting to redis at %s: %w%s", strings.Join(cfg.Addrs, ", "), err, hint(err))
	}
	log.Debug("connected to redis", "addrs", cfg.Addrs, "master", cfg.Master, "tls", cfg.TLS.Enabled)
	return client, nil
}

func options(cfg Config) (*goredis.UniversalOptions, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	tlsConfig, err := cfg.TLS.config()
	if err != nil {
		return nil, err
	}
	o := &goredis.UniversalOptions{
		Addrs:         cfg.Addrs,
		ClientName:    "crossdock",
		DB:            cfg.DB,
		MasterName:    cfg.Master,
		IsClusterMode: cfg.Cluster,
		TLSConfig:     tlsConfig,
		PoolSize:      orDefault(cfg.PoolSize, 16),
		DialTimeout:   orDefault(cfg.DialTimeout, 3*time.Second),
		ReadTimeout:   orDefault(cfg.Timeout, 5*time.Second),
		WriteTimeout:  orDefault(cfg.Timeout, 5*time.Second),
		PoolTimeout:   2 * orDefault(cfg.Timeout, 5*time.Second),
		// The callers repeat with back-off of their own and know what may be repeated: a script
		// whose answer was lost is not sent twice behind their back.
		MaxRetries:            -1,
		DialerRetries:         1,
		ContextTimeoutEnabled: true,
		// Notices of maintenance exist on one vendor's service only, and their handshake is an
		// error in the log of every other server.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if cfg.Password != nil {
		o.CredentialsProviderContext = func(context.Context) (string, string, error) {
			password, err := cfg.Password.Resolve()
			if err != nil {
				return "", "", fmt.Errorf("redis password: %w", err)
			}
			return cfg.Username, password, nil
		}
	}
	if cfg.SentinelPassword != nil {
		o.SentinelUsername = cfg.SentinelUsername
		if o.SentinelPassword, err = cfg.SentinelPassword.Resolve(); err != nil {
			return nil, fmt.Errorf("redis sentinel password: %w", err)
		}
	}
	return o, nil
}

func (t TLS) config() (*tls.Config, error) {
	if !t.Enabled {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("redis: reading the TLS authorities: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("redis: %s holds no certificate in PEM form", t.CAFile)
		}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("redis: reading the TLS client certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// hint says what to do about the errors that a first connection usually meets.
func hint(err error) string {
	text := err.Error()
	switch {
	case strings.Contains(text, "WRONGPASS"), strings.Contains(text, "NOAUTH"):
		return " (check user and password)"
	case strings.Contains(text, "NOPERM"):
		return " (the ACL user lacks a right: see `crossdock check`)"
	case strings.Contains(text, "connection refused"), strings.Contains(text, "no such host"):
		return " (is it running, and is the address right?)"
	case strings.Contains(text, "first record does not look like a TLS handshake"):
		return " (the server speaks no TLS on this port)"
	case strings.Contains(text, "EOF"):
		return " (does the server expect TLS?)"
	default:
		return ""
	}
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}
