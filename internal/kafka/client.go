// Package kafka opens clients of a cluster, produces with acknowledgement by all replicas,
// and reconciles a cluster's topics with their declarations.
//
// What comes in: a Config and the scope that is part of every name. What it keeps: the
// partition counts it has seen. A crash loses what was not yet acknowledged, and the caller
// was not told otherwise.
package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/helloword/crossdock/schemas"
)

// Secret is read each time a connection is made, so that a rotated one is taken up.
type Secret interface{ Resolve() (string, error) }

// Config of the connection to a cluster.
type Config struct {
	// Brokers, host:port each; at least one.
	Brokers  []string
	ClientID string
	TLS      TLSConfig
	SASL     SASLConfig
}

// TLSConfig of a connection.
type TLSConfig struct {
	Enabled bool
	// CAFile, when the system's roots are not enough; CertFile and KeyFile for mutual TLS.
	CAFile, CertFile, KeyFile string
	ServerName                string
}

// SASLConfig of a connection; Mechanism "" is none.
type SASLConfig struct {
	Mechanism string // PLAIN | SCRAM-SHA-256 | SCRAM-SHA-512
	Username  string
	Password  Secret
}

// Validate reports what is wrong.
func (c Config) Validate() error {
	if len(c.Brokers) == 0 {
		return errors.New("brokers: name at least one host:port")
	}
	switch c.SASL.Mechanism {
	case "":
	case "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512":
		if c.SASL.Username == "" || c.SASL.Password == nil {
			return fmt.Errorf("sasl: %s needs username and password", c.SASL.Mechanism)
		}
	default:
		return fmt.Errorf("sasl.mechanism %q: use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", c.SASL.Mechanism)
	}
	return nil
}

// maxMessageBytes is what one record may have, with all that belongs to it: the topics are
// made to take it, so producers must not refuse it.
const maxMessageBytes = 8 << 20

// Options are the client options of the connection itself.
func (c Config) Options(log *slog.Logger) ([]kgo.Opt, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	id := c.ClientID
	if id == "" {
		id = "crossdock"
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.ClientID(id),
		kgo.WithLogger(clientLog{log}),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		kgo.ProducerLinger(2 * time.Millisecond),
		kgo.MaxBufferedRecords(200_000),
		kgo.MaxBufferedBytes(64 << 20),
		kgo.ProducerBatchMaxBytes(maxMessageBytes),
		kgo.MetadataMinAge(250 * time.Millisecond),
	}
	if c.TLS.Enabled {
		t, err := c.TLS.config()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(t))
	}
	if m := c.SASL.Mechanism; m != "" {
		user, pass := c.SASL.Username, c.SASL.Password
		switch m {
		case "PLAIN":
			opts = append(opts, kgo.SASL(plain.Plain(func(context.Context) (plain.Auth, error) {
				p, err := pass.Resolve()
				return plain.Auth{User: user, Pass: p}, err
			})))
		default:
			fn := func(context.Context) (scram.Auth, error) {
				p, err := pass.Resolve()
				return scram.Auth{User: user, Pass: p}, err
			}
			if m == "SCRAM-SHA-256" {
				opts = append(opts, kgo.SASL(scram.Sha256(fn)))
			} else {
				opts = append(opts, kgo.SASL(scram.Sha512(fn)))
			}
		}
	}
	return opts, nil
}

func (t TLSConfig) config() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls.ca_file: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca_file %s: no certificate in it", t.CAFile)
		}
	}
	if t.CertFile != "" || t.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls.cert_file, tls.key_file: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

// Client produces to a cluster. It is safe for concurrent use.
type Client struct {
	*kgo.Client
	scope schemas.Scope

	mu    sync.RWMutex
	known map[string]Destination // by base name
}

// Open connects; opts are added to the connection's own.
func Open(cfg Config, scope schemas.Scope, log *slog.Logger, opts ...kgo.Opt) (*Client, error) {
	base, err := cfg.Options(log)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	cl, err := kgo.NewClient(append(base, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return &Client{Client: cl, scope: scope, known: make(map[string]Destination)}, nil
}

// Scope of the client's names.
func (c *Client) Scope() schemas.Scope { return c.scope }

// Partition is the partition of a key among n: Kafka's own (murmur2), so that producers in
// other languages agree.
func Partition(key []byte, n int32) int32 {
	return int32(murmur2(key)&0x7fffffff) % n
}

// murmur2 is the hash of Kafka's default partitioner (org.apache.kafka.common.utils.Utils).
func murmur2(b []byte) uint32 {
	const (
		seed uint32 = 0x9747b28c
		m    uint32 = 0x5bd1e995
		r           = 24
	)
	h := seed ^ uint32(len(b))
	for len(b) >= 4 {
		k := uint32(b[3])<<24 + uint32(b[2])<<16 + uint32(b[1])<<8 + uint32(b[0])
		b = b[4:]
		k *= m
		k ^= k >> r
		k *= m
		h *= m
		h ^= k
	}
	switch len(b) {
	case 3:
		h ^= uint32(b[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(b[1]) << 8
		fallthrough
	case 1:
		h ^= uint32(b[0])
		h *= m
	}
	h ^= h >> 13
	h *= m
	h ^= h >> 15
	return h
}

// Convert makes the client's records of one of ours: several when it goes everywhere.
func (c *Client) Convert(ctx context.Context, r *Record, add func(*kgo.Record)) error {
	d, err := c.Destination(ctx, r.Topic)
	if err != nil {
		return err
	}
	rec := kgo.Record{Topic: d.Topic, Key: r.Key, Value: r.Value, Headers: r.Headers}
	if r.TimestampMs != 0 {
		rec.Timestamp = time.UnixMilli(r.TimestampMs)
	}
	switch {
	case r.ByPartition && r.Partition < 0:
		for p := range d.Partitions {
			each := rec
			each.Partition = p
			add(&each)
		}
		return nil
	case r.ByPartition:
		if r.Partition >= d.Partitions {
			return fmt.Errorf("topic %s has %d partitions, not %d", d.Topic, d.Partitions, r.Partition+1)
		}
		rec.Partition = r.Partition
	default:
		rec.Partition = d.Partition(r.Key, r.PartitionKey)
	}
	add(&rec)
	return nil
}

// Produce returns nil only after every record was acknowledged by all in-sync replicas. On an
// error some may have been written: producing them again is for the caller to make harmless.
func (c *Client) Produce(ctx context.Context, records []Record) error {
	out := make([]*kgo.Record, 0, len(records))
	for i := range records {
		if err := c.Convert(ctx, &records[i], func(r *kgo.Record) { out = append(out, r) }); err != nil {
			return err
		}
	}
	if err := c.ProduceSync(ctx, out...).FirstErr(); err != nil {
		return fmt.Errorf("producing %d records: %w", len(out), err)
	}
	return nil
}

// Destination is a topic as the cluster has it.
type Destination struct {
	// Topic is its full name.
	Topic      string
	Partitions int32
}

// Partition is where a record goes: by its partition key, or by its key when it has none.
func (d Destination) Partition(key, partitionKey []byte) int32 {
	if partitionKey != nil {
		key = partitionKey
	}
	return Partition(key, d.Partitions)
}

// Destination is where records of a topic go. The cluster is asked once: partition counts of
// stateful topics are pinned, and the others only matter for spreading.
func (c *Client) Destination(ctx context.Context, t schemas.Topic) (Destination, error) {
	c.mu.RLock()
	d, ok := c.known[t.Name]
	c.mu.RUnlock()
	if ok {
		return d, nil
	}
	d.Topic = c.scope.Topic(t)
	var err error
	if d.Partitions, err = c.ask(ctx, d.Topic); err != nil {
		return Destination{}, err
	}
	c.mu.Lock()
	c.known[t.Name] = d
	c.mu.Unlock()
	return d, nil
}

// Partitions is the topic's partition count; see Destination.
func (c *Client) Partitions(ctx context.Context, t schemas.Topic) (int32, error) {
	d, err := c.Destination(ctx, t)
	return d.Partitions, err
}
