package poll

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/helloword/crossdock/connectors"
)

// Plan says how one subject of one connection is polled. Zero fields are inherited.
type Plan struct {
	// Interval from the start of one poll to the start of the next; default 15 min, never
	// below the platform's floor.
	Interval time.Duration `yaml:"interval"`
	// Overlap is read again before the cursor, for what was committed late; default 5 min.
	Overlap time.Duration `yaml:"overlap"`
	// Settle is left out before the platform's now, for what is still being written; default 15 s.
	Settle time.Duration `yaml:"settle"`
	// Backfill is how far back a first poll begins; default and negative = as far as the platform
	// allows. It is also what is read again when Redis was lost.
	Backfill time.Duration `yaml:"backfill"`
}

// Config of the pollers. Zero fields take the defaults named beside them.
type Config struct {
	Plan `yaml:",inline"`
	// Plans overrides the plan of one connection ("shop-uk") or of one of its subjects
	// ("shop-uk/orders").
	Plans map[string]Plan `yaml:"plans"`
	// Concurrent bounds the polls of this process at one time; default 8.
	Concurrent int `yaml:"concurrent"`
	// ChunkRecords and ChunkBytes bound what is held before it is handed to Kafka; defaults
	// 500 and 4 MiB.
	ChunkRecords int `yaml:"chunk_records"`
	ChunkBytes   int `yaml:"chunk_bytes"`
	// LeaseTTL is how long after a crash another process takes over; default 20 s.
	LeaseTTL time.Duration `yaml:"lease_ttl"`
	// Deadline bounds one call of a poller; default 30 min.
	Deadline time.Duration `yaml:"deadline"`
	// BackoffMin and BackoffMax bound the waits after errors that may pass; defaults 5 s, 10 min.
	BackoffMin time.Duration `yaml:"backoff_min"`
	BackoffMax time.Duration `yaml:"backoff_max"`
	// Recheck is how often a connection that needs its owner is tried; default 30 min.
	Recheck time.Duration `yaml:"recheck"`
}

// maxRetryAfter bounds what a platform may wish for.
const maxRetryAfter = 24 * time.Hour

// Validate reports what is wrong with one plan.
func (p Plan) Validate() error {
	if p.Interval < 0 || p.Overlap < 0 || p.Settle < 0 {
		return errors.New("interval, overlap and settle cannot be negative")
	}
	return nil
}

func (p Plan) or(q Plan) Plan {
	return Plan{
		Interval: cmp.Or(p.Interval, q.Interval), Overlap: cmp.Or(p.Overlap, q.Overlap),
		Settle: cmp.Or(p.Settle, q.Settle), Backfill: cmp.Or(p.Backfill, q.Backfill),
	}
}

func (c Config) withDefaults() Config {
	c.Plan = c.or(Plan{Interval: 15 * time.Minute, Overlap: 5 * time.Minute, Settle: 15 * time.Second})
	c.Concurrent = cmp.Or(c.Concurrent, 8)
	c.ChunkRecords = cmp.Or(c.ChunkRecords, 500)
	c.ChunkBytes = cmp.Or(c.ChunkBytes, 4<<20)
	c.LeaseTTL = cmp.Or(c.LeaseTTL, 20*time.Second)
	c.Deadline = cmp.Or(c.Deadline, 30*time.Minute)
	c.BackoffMin = cmp.Or(c.BackoffMin, 5*time.Second)
	c.BackoffMax = cmp.Or(c.BackoffMax, 10*time.Minute)
	c.Recheck = cmp.Or(c.Recheck, 30*time.Minute)
	return c
}

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Plans)) {
		err := c.Plans[name].Validate()
		wrong(err != nil, "plans.%s: %w", name, err)
	}
	c = c.withDefaults()
	err := c.Plan.Validate()
	wrong(err != nil, "%w", err)
	wrong(c.Concurrent < 1, "concurrent %d: at least 1", c.Concurrent)
	wrong(c.ChunkRecords < 1, "chunk_records %d: at least 1", c.ChunkRecords)
	wrong(c.ChunkBytes < 1, "chunk_bytes %d: at least 1", c.ChunkBytes)
	wrong(c.LeaseTTL < 100*time.Millisecond, "lease_ttl %s: at least 100ms", c.LeaseTTL)
	wrong(c.Deadline < time.Millisecond, "deadline %s: write a duration above 0", c.Deadline)
	wrong(c.BackoffMin < time.Millisecond || c.BackoffMax < c.BackoffMin, "backoff_min %s, backoff_max %s: write durations above 0, the smaller one first", c.BackoffMin, c.BackoffMax)
	wrong(c.Recheck < time.Millisecond, "recheck %s: write a duration above 0", c.Recheck)
	return errors.Join(errs...)
}

// plan is what holds for one subject: its own plan, its connection's, the common one.
func (c *Config) plan(account string, subject connectors.Subject, floor time.Duration) Plan {
	p := c.Plans[account+"/"+string(subject)].or(c.Plans[account]).or(c.Plan)
	p.Interval = max(p.Interval, floor)
	return p
}

// jittered spreads the polls of many connections over ±5 % of the interval. It is the same
// in every process and at every start, so that processes agree on when a poll is due.
func jittered(interval time.Duration, account string, subject connectors.Subject) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write([]byte(account + "/" + string(subject)))
	const steps = 10_001
	permyriad := int64(h.Sum64()%steps) - steps/2 // -5000 … 5000 of 100,000
	return interval + time.Duration(float64(interval)*float64(permyriad)/100_000)
}

// backoff after the n-th failure in a row, counted from 1: doubling, capped, and spread over
// the upper half so that a platform that comes back does not meet everybody at once.
func (c *Config) backoff(n int64) time.Duration {
	d := c.BackoffMin << min(max(n-1, 0), 30)
	if d > c.BackoffMax || d < c.BackoffMin {
		d = c.BackoffMax
	}
	return d/2 + rand.N(d/2+1)
}
