package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// A lease says that one process works on something and the others do not, until it is
// released or its time runs out. Time alone cannot promise that: a process may sleep through
// the end of its lease and go on. So each lease carries a fencing token, greater than all
// before it, and whoever stores something on the strength of a lease compares it with the
// newest token handed out, in the same script (see Fenced).
//
// Two keys: <name>:lease holds the owner and expires; <name>:fence holds the newest token
// and stays. A name with a hash tag keeps both, and what is fenced by them, in one slot.

// ErrLeaseLost: the lease belongs to nobody or to somebody else by now. Stop the work.
var ErrLeaseLost = errors.New("lease lost")

// HeldError: somebody else holds the lease.
type HeldError struct {
	Name  string
	Owner string
	// Remaining is how long it lasts unless it is renewed.
	Remaining time.Duration
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("lease %s is held by %s for another %s", e.Name, e.Owner, e.Remaining)
}

// Leases hands out leases on behalf of one process.
type Leases struct {
	Client goredis.UniversalClient
	// Owner names the process, for people who look.
	Owner string
	// TTL is how long after a crash the next one must wait; whole milliseconds.
	TTL time.Duration
}

// The token is taken from Redis' clock, and is greater than the last one in any case: it
// grows also when Redis was wiped, or restored from an older snapshot.
// KEYS: lease, fence. ARGV: owner, TTL in ms. Returns {token} or {false, owner, ms left}.
var acquireScript = goredis.NewScript(`
local held = redis.call('GET', KEYS[1])
if held then
  return {'', held, redis.call('PTTL', KEYS[1])}
end
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000000 + tonumber(t[2])
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
local token = string.format('%.0f', math.max(last + 1, now))
redis.call('SET', KEYS[2], token)
redis.call('SET', KEYS[1], ARGV[1] .. '/' .. token, 'PX', ARGV[2])
return {token}
`)

// KEYS: lease. ARGV: owner/token, TTL in ms.
var renewScript = goredis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`)

// KEYS: lease. ARGV: owner/token.
var releaseScript = goredis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
`)

// Lease is held until its TTL after the last renewal.
type Lease struct {
	leases Leases
	name   string
	token  string
	// confirmed is our clock just before the last successful call: the lease lasts at least
	// TTL from then. Owned by the goroutine that renews.
	confirmed time.Time
}

// Acquire takes the lease, or returns a *HeldError. When its answer is lost, the lease stays
// taken until the TTL is over.
func (l Leases) Acquire(ctx context.Context, name string) (*Lease, error) {
	if l.TTL < time.Millisecond {
		return nil, fmt.Errorf("lease %s: TTL %s is too short", name, l.TTL)
	}
	began := time.Now()
	got, err := acquireScript.Run(ctx, l.Client, []string{leaseKey(name), FenceKey(name)}, l.Owner, l.TTL.Milliseconds()).Slice()
	if err != nil {
		return nil, fmt.Errorf("acquiring lease %s: %w", name, err)
	}
	switch {
	case len(got) == 1:
		token, _ := got[0].(string)
		return &Lease{leases: l, name: name, token: token, confirmed: began}, nil
	case len(got) == 3:
		owner, _ := got[1].(string)
		left, _ := got[2].(int64)
		return nil, &HeldError{Name: name, Owner: owner, Remaining: time.Duration(left) * time.Millisecond}
	default:
		return nil, fmt.Errorf("acquiring lease %s: unexpected answer %v", name, got)
	}
}

// FenceKey is the key that holds the newest token of a name, for scripts.
func FenceKey(name string) string { return name + ":fence" }

func leaseKey(name string) string { return name + ":lease" }

// Token is the fencing token: a decimal number, greater than all handed out before. A script
// that stores something compares it, as text, with the value of FenceKey; any difference
// means that this lease is over.
func (l *Lease) Token() string { return l.token }

// Renew prolongs the lease by its TTL from now, or returns ErrLeaseLost.
func (l *Lease) Renew(ctx context.Context) error {
	began := time.Now()
	kept, err := renewScript.Run(ctx, l.leases.Client, []string{leaseKey(l.name)}, l.value(), l.leases.TTL.Milliseconds()).Int()
	if err != nil {
		return fmt.Errorf("renewing lease %s: %w", l.name, err)
	}
	if kept != 1 {
		return fmt.Errorf("renewing lease %s: %w", l.name, ErrLeaseLost)
	}
	l.confirmed = began
	return nil
}

// Release gives the lease back. It is no error when it was lost before.
func (l *Lease) Release(ctx context.Context) error {
	if err := releaseScript.Run(ctx, l.leases.Client, []string{leaseKey(l.name)}, l.value()).Err(); err != nil {
		return fmt.Errorf("releasing lease %s: %w", l.name, err)
	}
	return nil
}

func (l *Lease) value() string { return l.leases.Owner + "/" + l.token }

// Keep renews the lease in the background, four times within its TTL, until stop is called.
// The context that it returns ends, with ErrLeaseLost as its cause, when the lease was lost,
// or could not be renewed for three quarters of its TTL: before anybody else can have it.
// stop waits for the background to end; no other method may be called before.
func (l *Lease) Keep(ctx context.Context) (kept context.Context, stop func()) {
	kept, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(l.leases.TTL / 4)
		defer tick.Stop()
		for {
			select {
			case <-kept.Done():
				return
			case <-tick.C:
			}
			if err := l.renewInTime(kept); err != nil && kept.Err() == nil {
				cancel(err)
				return
			}
		}
	}()
	return kept, func() {
		cancel(context.Canceled)
		<-done
	}
}

// renewInTime forgives errors of the connection while there is time left.
func (l *Lease) renewInTime(ctx context.Context) error {
	end := l.confirmed.Add(l.leases.TTL * 3 / 4)
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	err := l.Renew(ctx)
	if err == nil || errors.Is(err, ErrLeaseLost) {
		return err
	}
	if next := time.Now().Add(l.leases.TTL / 4); next.Before(end) {
		return nil
	}
	return fmt.Errorf("%w: it could not be renewed in time: %w", ErrLeaseLost, err)
}
