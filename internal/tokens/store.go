package tokens

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/helloword/crossdock/internal/redis"
)

// Keeper is where tokens are durable.
type Keeper interface {
	// Load returns nil when there is none. What is there and cannot be read is an error.
	Load(ctx context.Context, name string) ([]byte, error)
	// Save returns after the token is durable. fence is the number of the caller's lock, greater
	// than those of all locks before it; 0 without a lock.
	Save(ctx context.Context, name string, value []byte, fence uint64) error
}

// Store is a keeper with a lock over all processes: one refresh at a time, because a refreshed
// token kills the one before it. It is connectors.TokenStore.
type Store struct {
	keeper Keeper
	leases redis.Leases
	prefix string
	log    *slog.Logger

	mu     sync.Mutex
	fences map[string]uint64 // of the locks held here, by name
}

// lockTTL is how long after a crash the next refresh waits at most. A holder that lives renews
// it.
const lockTTL = 20 * time.Second

// NewStore guards keeper with locks below prefix, which ends with the scope.
func NewStore(keeper Keeper, leases redis.Leases, prefix string, log *slog.Logger) *Store {
	if leases.TTL == 0 {
		leases.TTL = lockTTL
	}
	return &Store{keeper: keeper, leases: leases, prefix: prefix, log: log, fences: make(map[string]uint64)}
}

// Load returns nil when there is none.
func (s *Store) Load(ctx context.Context, name string) ([]byte, error) {
	return s.keeper.Load(ctx, name)
}

// Save returns after the token is durable.
func (s *Store) Save(ctx context.Context, name string, value []byte) error {
	s.mu.Lock()
	fence := s.fences[name]
	s.mu.Unlock()
	return s.keeper.Save(ctx, name, value, fence)
}

// Lock waits until nobody else refreshes the token, or ctx ends. unlock is never nil and may
// be called more than once. Load again after it: another process may have refreshed meanwhile.
func (s *Store) Lock(ctx context.Context, name string) (unlock func(), err error) {
	key := s.prefix + "token:{" + name + "}"
	for {
		lease, err := s.leases.Acquire(ctx, key)
		if err == nil {
			fence, err := strconv.ParseUint(lease.Token(), 10, 64)
			if err != nil {
				return func() {}, fmt.Errorf("locking token %s: the lock's number cannot be read: %w", name, err)
			}
			s.hold(name, fence)
			_, stop := lease.Keep(context.WithoutCancel(ctx))
			return sync.OnceFunc(func() { s.release(lease, stop, name, fence) }), nil
		}
		var held *redis.HeldError
		if !errors.As(err, &held) {
			return func() {}, fmt.Errorf("locking token %s: %w", name, err)
		}
		// A refresh takes a second or so: look often, and not all at the same moment.
		wait := min(held.Remaining, 50*time.Millisecond+mathrand.N(100*time.Millisecond))
		select {
		case <-ctx.Done():
			return func() {}, fmt.Errorf("locking token %s, which %s refreshes: %w", name, held.Owner, ctx.Err())
		case <-time.After(max(wait, time.Millisecond)):
		}
	}
}

func (s *Store) hold(name string, fence uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fences[name] = fence
}

func (s *Store) release(lease *redis.Lease, stop func(), name string, fence uint64) {
	s.mu.Lock()
	if s.fences[name] == fence {
		delete(s.fences, name)
	}
	s.mu.Unlock()
	stop()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := lease.Release(ctx); err != nil {
		s.log.Warn("a token's lock ends by its own time", "token", name, "err", err)
	}
}
