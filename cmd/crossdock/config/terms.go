package config

import (
	"time"

	"github.com/helloword/crossdock/ingest/poll"
	"github.com/helloword/crossdock/internal/kafka"
	xredis "github.com/helloword/crossdock/internal/redis"
	"github.com/helloword/crossdock/internal/telemetry"
	"github.com/helloword/crossdock/processors/fx"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/sinks/alert"
	"github.com/helloword/crossdock/sinks/clickhouse"
	"github.com/helloword/crossdock/sinks/push"
)

// The file in the terms of the packages that it configures.

// Scope of all names.
func (c *Config) Scope() schemas.Scope {
	return schemas.Scope{Tenant: c.Tenant, Environment: c.Environment}
}

// KafkaConfig is the section in the client's terms.
func (c *Config) KafkaConfig() kafka.Config {
	k := kafka.Config{
		Brokers: c.Kafka.Brokers,
		TLS: kafka.TLSConfig{
			Enabled: c.Kafka.TLS.Enabled, CAFile: c.Kafka.TLS.CAFile, CertFile: c.Kafka.TLS.CertFile,
			KeyFile: c.Kafka.TLS.KeyFile, ServerName: c.Kafka.TLS.ServerName,
		},
		SASL: kafka.SASLConfig{Mechanism: c.Kafka.SASL.Mechanism, Username: c.Kafka.SASL.Username},
	}
	if c.Kafka.SASL.Password != "" {
		k.SASL.Password = c.Kafka.SASL.Password
	}
	return k
}

// Layout of the topics.
func (c *Config) Layout() kafka.Layout {
	return kafka.Layout{
		Wide: c.Kafka.Partitions.Wide, Narrow: c.Kafka.Partitions.Narrow,
		Replicas: c.Kafka.Replicas, MinInSync: c.Kafka.MinInSync,
	}
}

// RedisConfig is the section in the client's terms.
func (c *Config) RedisConfig() xredis.Config {
	r := xredis.Config{
		Addrs: c.Redis.Addrs, Master: c.Redis.Master, Cluster: c.Redis.Cluster, DB: c.Redis.DB, Username: c.Redis.Username,
		SentinelUsername: c.Redis.SentinelUsername,
		TLS: xredis.TLS{
			Enabled: c.Redis.TLS.Enabled, CAFile: c.Redis.TLS.CAFile, ServerName: c.Redis.TLS.ServerName,
			CertFile: c.Redis.TLS.CertFile, KeyFile: c.Redis.TLS.KeyFile,
		},
	}
	if c.Redis.Password != "" {
		r.Password = c.Redis.Password
	}
	if c.Redis.SentinelPassword != "" {
		r.SentinelPassword = c.Redis.SentinelPassword
	}
	return r
}

// ClickHouseConfig is the section in the sink's terms.
func (c *Config) ClickHouseConfig() clickhouse.Config {
	h := c.ClickHouse
	return clickhouse.Config{
		Addrs: h.Addrs, Protocol: h.Protocol, Database: c.Scope().Database(), Username: h.Username, Password: h.Password,
		TLS:         clickhouse.TLS{Enabled: h.TLS.Enabled, CAFile: h.TLS.CAFile, ServerName: h.TLS.ServerName},
		Compression: h.Compression, Replicated: h.Replicated, Cluster: h.Cluster, InsertQuorum: h.InsertQuorum,
		FsyncAfterInsert: h.Fsync, Buyer: h.Buyer, BuyerKey: h.BuyerKey,
	}
}

// AlertConfig is the section in the sink's terms.
func (c *Config) AlertConfig() alert.Config {
	a := c.Alert
	return alert.Config{
		Webhook: alert.Webhook{URL: a.Webhook.URL, Key: a.Webhook.Secret},
		Mail: alert.Mail{
			Server: a.Mail.Server, From: a.Mail.From, To: a.Mail.To, TLS: a.Mail.TLS,
			Username: a.Mail.Username, Password: a.Mail.Password,
		},
		Window: a.Window,
	}
}

// Plan is the section in the poller's terms.
func (p Poll) Plan() poll.Plan {
	return poll.Plan{Interval: p.Interval, Overlap: p.Overlap, Settle: p.Settle, Backfill: p.Backfill}
}

// PushConfig is the section in the sink's terms.
func (c *Config) PushConfig() push.Config {
	p := push.DefaultConfig()
	p.CoalesceIncreases, p.StalePatience = c.Push.Delay, c.Push.Patience
	p.BackoffMax, p.ReauthoriseEvery, p.CallTimeout = c.Push.ParkMax, c.Push.Owner, c.Push.Call
	p.CommandPatience = c.Push.Commands
	p.Every = make(map[string]time.Duration)
	for name, n := range c.Connections {
		p.Every[name] = n.PushEvery
	}
	return p
}

// TraceConfig is the section in the tracer's terms. The process adds what it is.
func (c *Config) TraceConfig() telemetry.TraceConfig {
	t := telemetry.TraceConfig{
		Endpoint: c.Telemetry.Traces.Endpoint, Ratio: c.Telemetry.Traces.SampleRatio,
		Tenant: c.Tenant, Environment: string(c.Environment), Headers: make(map[string]telemetry.Secret),
	}
	for name, s := range c.Telemetry.Traces.Headers {
		t.Headers[name] = s
	}
	return t
}

// FxConfig is the section in the room's terms.
func (c *Config) FxConfig() fx.Config {
	return fx.Config{Reporting: c.Fx.Reporting, Rule: fx.Rule(c.Fx.Rule)}
}
