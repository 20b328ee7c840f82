package push

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/internal/telemetry"
)

// Config is how patiently the sink works. All of it may be changed while it runs (Reload).
type Config struct {
	// CoalesceIncreases is how long a raise waits for a newer target; decreases never wait.
	CoalesceIncreases time.Duration `yaml:"coalesce_increases"`
	// Every is how often an account's listings are written, by account: what is decided in between
	// waits for the next full interval, decreases too. Accounts that are not named, or with 0,
	// are written as soon as something is decided.
	Every map[string]time.Duration `yaml:"every"`
	// StalePatience is how long a raise waits, after the platform showed less than we believed,
	// for the event that explains it.
	StalePatience time.Duration `yaml:"stale_patience"`
	// CallTimeout bounds one call of a connector, waiting for quota included.
	CallTimeout time.Duration `yaml:"call_timeout"`
	// DrainTimeout bounds how long a stop waits for what is under way.
	DrainTimeout time.Duration `yaml:"drain_timeout"`
	// BackoffMin and BackoffMax bound how long an account waits after failures.
	BackoffMin time.Duration `yaml:"backoff_min"`
	BackoffMax time.Duration `yaml:"backoff_max"`
	// ReauthoriseEvery is how often an account that needs its owner is tried.
	ReauthoriseEvery time.Duration `yaml:"reauthorise_every"`
	// CarryAfter is how long a target is held before it is written to the topic's end again.
	CarryAfter time.Duration `yaml:"carry_after"`
	// CommandPatience is how long a command is tried that is neither done nor refused, counted from
	// when it was its turn. After that it needs a person.
	CommandPatience time.Duration `yaml:"command_patience"`
	// PendingPerPartition bounds the targets held of one partition; beyond it Offer blocks. There
	// is one for each listing at most, so it is a backstop: it should exceed the listings of a
	// partition.
	PendingPerPartition int `yaml:"pending_per_partition"`
}

// DefaultConfig is what suits most.
func DefaultConfig() Config {
	return Config{
		CoalesceIncreases:   500 * time.Millisecond,
		StalePatience:       2 * time.Second,
		CallTimeout:         30 * time.Second,
		DrainTimeout:        15 * time.Second,
		BackoffMin:          200 * time.Millisecond,
		BackoffMax:          time.Minute,
		ReauthoriseEvery:    5 * time.Minute,
		CarryAfter:          10 * time.Minute,
		CommandPatience:     72 * time.Hour,
		PendingPerPartition: 100_000,
	}
}

// Validate reports what is wrong.
func (c Config) Validate() error {
	for _, d := range []struct {
		name     string
		d        time.Duration
		positive bool
	}{
		{"coalesce_increases", c.CoalesceIncreases, false},
		{"stale_patience", c.StalePatience, false},
		{"call_timeout", c.CallTimeout, true},
		{"drain_timeout", c.DrainTimeout, false},
		{"backoff_min", c.BackoffMin, true},
		{"backoff_max", c.BackoffMax, true},
		{"reauthorise_every", c.ReauthoriseEvery, true},
		{"carry_after", c.CarryAfter, true},
		{"command_patience", c.CommandPatience, true},
	} {
		if d.d < 0 || (d.positive && d.d == 0) {
			return fmt.Errorf("push: %s: %s is too short", d.name, d.d)
		}
	}
	for account, every := range c.Every {
		if every < 0 || every > maxEvery {
			return fmt.Errorf("push: every: %s of account %s: use 0 (at once) to %s", every, account, maxEvery)
		}
	}
	if c.BackoffMax < c.BackoffMin {
		return fmt.Errorf("push: backoff_max %s is below backoff_min %s", c.BackoffMax, c.BackoffMin)
	}
	if c.PendingPerPartition < 1 {
		return fmt.Errorf("push: pending_per_partition: %d is too few", c.PendingPerPartition)
	}
	return nil
}

// maxEvery bounds how long shown quantities may be wrong on purpose.
const maxEvery = 24 * time.Hour

// Publisher writes to Kafka. It returns nil only after all replicas acknowledged everything;
// after an error the same records are produced again.
type Publisher interface {
	Produce(ctx context.Context, records []kafka.Record) error
}

// Account is one connection that targets may name.
type Account struct {
	Connector string
	// Stock is nil when the connection cannot write stock: its targets are refused.
	Stock connectors.StockPusher
	// Off: stock is not written here. Its targets are done with when they come: nothing is asked,
	// written or recorded, so that nobody waits for an outcome.
	Off bool
	// What commands are carried out with; nil = this connection cannot, and they are refused.
	Price      connectors.PricePusher
	Fulfilment connectors.FulfilmentPusher
	Cancel     connectors.Canceller
	Refund     connectors.Refunder
	// Modules that are on: commands of the others are refused.
	Modules connectors.Modules
}

// Deps is the sink's whole world.
type Deps struct {
	Accounts map[string]Account
	Publish  Publisher
	Memory   Memory
	Commands CommandMemory
	Log      *slog.Logger
	Now      func() time.Time
	Metrics  prometheus.Registerer
	// Tracer makes spans; nil = none.
	Tracer *telemetry.Tracer
}

func (d Deps) validate() error {
	if d.Publish == nil || d.Memory == nil || d.Commands == nil || d.Log == nil || d.Now == nil || d.Metrics == nil {
		return errors.New("push: publisher, memories, log, clock and metrics are needed")
	}
	for name, a := range d.Accounts {
		if a.Stock != nil && a.Stock.Batch() < 1 {
			return fmt.Errorf("push: account %s: connector %s writes batches of %d", name, a.Connector, a.Stock.Batch())
		}
		if a.Price != nil && a.Price.Batch() < 1 {
			return fmt.Errorf("push: account %s: connector %s writes batches of %d prices", name, a.Connector, a.Price.Batch())
		}
	}
	return nil
}
