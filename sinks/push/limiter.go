package push

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/redis"
)

// Limiter hands one account's quota to its connector, from buckets that all processes share.
type Limiter struct {
	bucket   *redis.Bucket
	account  string
	fallback redis.Quota
	quotas   map[string]redis.Quota
	log      *slog.Logger
	sleep    func(context.Context, time.Duration) error
}

var _ connectors.Limiter = (*Limiter)(nil)

// NewLimiter makes an account's limiter. quotas, by operation, and fallback for all others are
// what is assumed until the platform tells more. The bucket carries the scope.
func NewLimiter(bucket *redis.Bucket, account string, fallback redis.Quota, quotas map[string]redis.Quota, log *slog.Logger) (*Limiter, error) {
	if err := fallback.Validate(); err != nil {
		return nil, fmt.Errorf("account %s: %w", account, err)
	}
	for op, q := range quotas {
		if err := q.Validate(); err != nil {
			return nil, fmt.Errorf("account %s: operation %s: %w", account, op, err)
		}
	}
	return &Limiter{bucket: bucket, account: account, fallback: fallback, quotas: quotas, log: log, sleep: sleep}, nil
}

// reserves is the share of a bucket that each priority leaves to those more urgent.
var reserves = map[connectors.Priority]float64{connectors.Urgent: 0, connectors.Normal: 0.05, connectors.Backfill: 0.5}

// Wait implements connectors.Limiter. It fails when Redis does: without the shared count,
// nobody may spend.
func (l *Limiter) Wait(ctx context.Context, operation string, cost float64, p connectors.Priority) error {
	r := redis.Request{Quota: l.quota(operation), Cost: max(0, cost), Reserve: reserves[p], Class: strconv.Itoa(int(p)), Waiter: rand.Text()}
	for {
		wait, err := l.bucket.Take(ctx, l.key(operation), r)
		if err != nil {
			return err
		}
		if wait == 0 {
			return nil
		}
		if err := l.sleep(ctx, redis.Nap(wait)); err != nil {
			return fmt.Errorf("waiting for quota %s of %s: %w", operation, l.account, err)
		}
	}
}

// Observe implements connectors.Limiter.
func (l *Limiter) Observe(operation string, s connectors.LimitState) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := l.bucket.Observe(ctx, l.key(operation), l.quota(operation), redis.State{
		Capacity: s.Capacity, Available: s.Available, PerSecond: s.PerSecond,
		RetryAfter: s.RetryAfter, Known: s.Known, Spent: s.Spent,
	})
	if err != nil {
		// The bucket goes on by what it knew; the next answer corrects it.
		l.log.Warn("a quota could not be corrected", "account", l.account, "operation", operation, "err", err)
	}
}

func (l *Limiter) key(operation string) string { return l.account + "|" + operation }

func (l *Limiter) quota(operation string) redis.Quota {
	if q, ok := l.quotas[operation]; ok {
		return q
	}
	return l.fallback
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
