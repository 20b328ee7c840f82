package poll

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/httpx"
	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/internal/redis"
)

// errEngine marks errors of Redis: they say nothing about the platform and are not stored.
var errEngine = errors.New("our own state cannot be reached")

// poll asks one subject until nothing more is to be had. ctx ends with the lease.
func (s *Service) poll(ctx context.Context, sub *subject, lease *redis.Lease) error {
	began := sub.clock
	for {
		cfg := s.cfg.Load()
		res, found, err := s.round(ctx, cfg, sub)
		if cause := context.Cause(ctx); err != nil && cause != nil {
			return fmt.Errorf("polling %s of %s: %w", sub.name, sub.connection.Account, cause)
		}
		u := update{found: found}
		if err != nil {
			s.failure(cfg, sub, err, &u)
		} else {
			u.success, u.cursor, u.watermark = true, res.Cursor, res.Watermark
			if !res.More {
				u.last = began
			}
		}
		if storeErr := s.save(ctx, sub, lease, u); storeErr != nil {
			return errors.Join(err, errEngine, storeErr)
		}
		if err != nil || !res.More {
			return err
		}
	}
}

// round is one call of the poller: fetch, produce everything, and only then let the caller
// store the cursor.
func (s *Service) round(ctx context.Context, cfg *Config, sub *subject) (res connectors.PollResult, found int64, err error) {
	c := sub.connection
	ctx, cancel := context.WithTimeout(ctx, cfg.Deadline)
	defer cancel()
	plan := cfg.plan(c.Account, sub.name, c.Floor)
	req := connectors.PollRequest{Cursor: sub.entry.Cursor, Overlap: plan.Overlap, Settle: plan.Settle}
	if plan.Backfill > 0 {
		req.Start = s.now().Add(-plan.Backfill)
	}
	span := s.tracer.Poll(c.Connector, c.Account, string(sub.name))
	trace := span.TraceParent()
	if span == nil {
		trace = httpx.TraceParent("")
	}
	out := &chunk{service: s, subject: sub, cfg: cfg, trace: trace}
	began := time.Now()
	res, err = ask(ctx, sub.poller, req, out.emit(ctx))
	s.fetched.Pass()
	// Also after an error of the platform: what it did tell is not kept back. The cursor stays
	// where it is then, so that it is told again.
	if out.broken == nil {
		_ = out.flush(ctx)
	}
	// A poller that swallows emit's error must not move the cursor over what was not stored.
	if out.broken != nil && !errors.Is(err, out.broken) {
		err = errors.Join(err, out.broken)
	}
	sub.metrics.duration.Observe(time.Since(began).Seconds())
	if err == nil && res.More && bytes.Equal(res.Cursor, req.Cursor) {
		err = fmt.Errorf("the poller wants to go on from where it began: %w", connectors.ErrPermanent)
	}
	if err != nil {
		span.End(connectors.Class(err), true, int(out.acknowledged))
	} else {
		span.End("ok", false, int(out.acknowledged))
	}
	return res, out.acknowledged, err
}

// ask keeps a panic of a poller to its own connection.
func ask(ctx context.Context, p connectors.Poller, req connectors.PollRequest, emit func(connectors.Raw) error) (res connectors.PollResult, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return p.Poll(ctx, req, emit)
}

// chunk collects records up to a bound and hands them to Kafka.
type chunk struct {
	service *Service
	subject *subject
	cfg     *Config
	trace   string
	records []kafka.Record
	bytes   int
	// acknowledged counts the objects that Kafka has.
	acknowledged int64
	// broken is why nothing more goes out in this round.
	broken error
}

func (k *chunk) emit(ctx context.Context) func(connectors.Raw) error {
	return func(raw connectors.Raw) error {
		if k.broken != nil {
			return k.broken
		}
		if takes := k.subject.connection.Takes; takes != nil && !takes(raw.Subject) {
			return nil
		}
		record, err := k.subject.connection.stamp.Record(&raw, k.trace)
		if err != nil {
			k.broken = fmt.Errorf("%w: %w", connectors.ErrPermanent, err)
			return k.broken
		}
		k.records = append(k.records, record)
		k.bytes += len(record.Value)
		if len(k.records) < k.cfg.ChunkRecords && k.bytes < k.cfg.ChunkBytes {
			return nil
		}
		return k.flush(ctx)
	}
}

func (k *chunk) flush(ctx context.Context) error {
	if len(k.records) == 0 {
		return nil
	}
	if err := k.service.publisher.Produce(ctx, k.records); err != nil {
		k.broken = fmt.Errorf("producing %d records: %w", len(k.records), err)
		return k.broken
	}
	k.service.produced.Pass()
	k.acknowledged += int64(len(k.records))
	k.subject.metrics.objects.Add(float64(len(k.records)))
	k.subject.metrics.bytes.Add(float64(k.bytes))
	clear(k.records)
	k.records, k.bytes = k.records[:0], 0
	return nil
}

// maxMessage bounds what of an error is kept in Redis.
const maxMessage = 500

// failure decides, by the error's class, when to ask again.
func (s *Service) failure(cfg *Config, sub *subject, err error, u *update) {
	u.class, u.failures = connectors.Class(err), sub.entry.Failures+1
	u.message = httpx.RedactError(err).Error()
	if len(u.message) > maxMessage {
		u.message = u.message[:maxMessage] + "…"
	}
	var wish *connectors.RetryAfterError
	switch {
	case errors.Is(err, connectors.ErrNeedsAuthorisation), errors.Is(err, connectors.ErrPermanent):
		u.wait = cfg.Recheck
	case errors.As(err, &wish):
		u.class = retryAfter
		u.wait = min(max(wish.After, cfg.BackoffMin), maxRetryAfter)
	default:
		u.wait = cfg.backoff(u.failures)
	}
	if u.failures == 1 || u.class != sub.entry.Class {
		s.log.Warn("poll failed", "connector", sub.connection.Connector, "account", sub.connection.Account,
			"subject", sub.name, "class", u.class, "next_in", u.wait, "error", u.message)
	}
}

// save stores what a round came to, and takes it over into this process' own picture.
func (s *Service) save(ctx context.Context, sub *subject, lease *redis.Lease, u update) error {
	if err := s.tell(ctx, sub, u.class); err != nil {
		return err
	}
	if err := s.store.save(ctx, sub.connection.lease, sub.key, lease, u); err != nil {
		return err
	}
	s.saved.Pass()
	class := u.class
	if u.success {
		class = "ok"
	}
	sub.metrics.outcome(class)
	if sub.entry.Failures > 0 && u.success {
		s.log.Info("poll works again", "account", sub.connection.Account, "subject", sub.name, "failures", sub.entry.Failures)
	}
	_, err := s.look(ctx, sub)
	return err
}
