package poll

import (
	"context"
	"errors"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/redis"
)

const (
	// heldWait is how often a lease that somebody else holds is looked at, at least.
	heldWait = 5 * time.Second
	// redisWait is the pause after Redis could not be asked.
	redisWait = 2 * time.Second
	// goodbye bounds giving a lease back when the process stops.
	goodbye = 2 * time.Second
)

// attend looks after one account until ctx ends: one subject at a time, the most overdue first.
func (s *Service) attend(ctx context.Context, c *connection) {
	defer c.dismiss(context.Canceled)
	timer := time.NewTimer(0)
	defer timer.Stop()
	var pause time.Time // nothing before, whoever asks
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-c.wake:
		}
		for {
			sub, wait := s.next(c)
			wait = max(wait, time.Until(pause))
			if sub == nil || wait > 0 {
				timer.Reset(wait)
				break
			}
			rest := s.visit(ctx, c, sub)
			if ctx.Err() != nil {
				return
			}
			pause = time.Now().Add(rest)
		}
	}
}

// dismiss tells everybody who still waits that nothing comes any more.
func (c *connection) dismiss(err error) {
	for _, sub := range c.subjects {
		sub.mu.Lock()
		waiting := sub.waiting
		sub.waiting = nil
		sub.mu.Unlock()
		answer(waiting, err)
	}
}

func answer(waiting []chan error, err error) {
	for _, w := range waiting {
		w <- err
	}
}

// next is the subject to look at, and how long to wait until then. A connection without
// subjects waits for ever.
func (s *Service) next(c *connection) (first *subject, wait time.Duration) {
	wait = 1<<63 - 1
	cfg := s.cfg.Load()
	for _, sub := range c.subjects {
		sub.mu.Lock()
		w := time.Duration(0)
		if !sub.read.IsZero() {
			now := sub.clock.Add(time.Since(sub.read))
			w = sub.entry.due(s.interval(cfg, sub), len(sub.waiting) > 0).Sub(now)
		}
		if first == nil || w < wait {
			first, wait = sub, w
		}
		sub.mu.Unlock()
	}
	return first, wait
}

func (s *Service) interval(cfg *Config, sub *subject) time.Duration {
	c := sub.connection
	return jittered(cfg.plan(c.Account, sub.name, c.Floor).Interval, c.Account, sub.name)
}

// visit takes the account's lease, looks whether the poll is still due, since another process
// may have done it, and polls. It returns how long to leave the account alone.
func (s *Service) visit(ctx context.Context, c *connection, sub *subject) (rest time.Duration) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return 0
	}
	lease, err := s.leases.Acquire(ctx, c.lease)
	var held *redis.HeldError
	switch {
	case errors.As(err, &held):
		return min(max(held.Remaining, time.Millisecond), heldWait, s.leases.TTL/2)
	case err != nil:
		s.trouble(ctx, sub, err)
		return redisWait
	}
	kept, stop := lease.Keep(ctx)
	defer func() {
		stop()
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
		defer cancel()
		if err := lease.Release(bye); err != nil {
			s.log.Warn("poll: a lease was not given back; it ends by itself", "account", c.Account, "error", err)
		}
	}()
	due, err := s.look(kept, sub)
	if err != nil {
		s.trouble(ctx, sub, err)
		return redisWait
	}
	if !due {
		return 0
	}
	// Who asks from now on wants to know what happened from now on: the next poll's.
	sub.mu.Lock()
	waiting := sub.waiting
	sub.waiting, sub.polling = nil, true
	sub.mu.Unlock()
	err = s.poll(kept, sub, lease)
	sub.mu.Lock()
	sub.polling = false
	sub.mu.Unlock()
	lost := errors.Is(err, redis.ErrLeaseLost)
	if (lost || errors.Is(err, errEngine)) && ctx.Err() == nil {
		// Somebody else polls, or Redis is away: who asked goes on waiting.
		if lost {
			s.metrics.lost.Inc()
		}
		s.trouble(ctx, sub, err)
		sub.mu.Lock()
		sub.waiting = append(waiting, sub.waiting...)
		sub.mu.Unlock()
		return redisWait
	}
	answer(waiting, err)
	return 0
}

// look reads the entry and reports whether a poll is due now.
func (s *Service) look(ctx context.Context, sub *subject) (due bool, err error) {
	e, clock, err := s.store.load(ctx, sub.key)
	if err != nil {
		return false, err
	}
	sub.mu.Lock()
	defer sub.mu.Unlock()
	sub.entry, sub.clock, sub.read = e, clock, time.Now()
	sub.metrics.show(&e)
	return !e.due(s.interval(s.cfg.Load(), sub), len(sub.waiting) > 0).After(clock), nil
}

// trouble makes an error of our own engines visible; it is not stored, since it says nothing
// about the platform.
func (s *Service) trouble(ctx context.Context, sub *subject, err error) {
	if ctx.Err() != nil {
		return
	}
	sub.mu.Lock()
	repeated := sub.entry.Error == err.Error()
	sub.entry.Class, sub.entry.Error = connectors.Class(err), err.Error()
	sub.mu.Unlock()
	sub.metrics.outcome("engine")
	if !repeated {
		s.log.Warn("poll waits", "account", sub.connection.Account, "subject", sub.name, "error", err)
	}
}
