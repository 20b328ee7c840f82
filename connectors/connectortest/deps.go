package connectortest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/helloword/crossdock/connectors"
)

// What a connector is handed, for its own tests: a clock, a token store and a limiter that a test
// moves, breaks and looks into.

// Clock is a time that a test moves. It begins at nine in the morning, UTC, of a Monday in
// November 2026.
type Clock struct {
	mu sync.Mutex
	t  time.Time
}

// NewClock makes a clock.
func NewClock() *Clock { return &Clock{t: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)} }

// Now is what it shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

// Add moves it.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// Tokens is a token store. The zero value is empty.
type Tokens struct {
	mu    sync.Mutex
	locks map[string]*sync.Mutex
	held  map[string][]byte
	saves int
	fail  error
}

// Load implements connectors.TokenStore.
func (s *Tokens) Load(_ context.Context, name string) ([]byte, error) { return s.Held(name), nil }

// Save implements connectors.TokenStore.
func (s *Tokens) Save(_ context.Context, name string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	s.saves++
	s.put(name, value)
	return nil
}

// Lock implements connectors.TokenStore.
func (s *Tokens) Lock(_ context.Context, name string) (func(), error) {
	s.mu.Lock()
	if s.locks == nil {
		s.locks = make(map[string]*sync.Mutex)
	}
	l := s.locks[name]
	if l == nil {
		l = new(sync.Mutex)
		s.locks[name] = l
	}
	s.mu.Unlock()
	l.Lock()
	return l.Unlock, nil
}

func (s *Tokens) put(name string, value []byte) {
	if s.held == nil {
		s.held = make(map[string][]byte)
	}
	s.held[name] = value
}

// Put stores a value as if it had been there before.
func (s *Tokens) Put(name string, value []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(name, value)
}

// Held is what is stored under a name; nil = nothing.
func (s *Tokens) Held(name string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[name]
}

// Len is how many names have something.
func (s *Tokens) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.held)
}

// Saves is how often something was saved.
func (s *Tokens) Saves() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saves
}

// Fail makes every Save fail; nil = no more.
func (s *Tokens) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// Limiter lets everything pass, and remembers what it was asked and told. The zero value is ready.
type Limiter struct {
	mu    sync.Mutex
	asked []Asked
	told  map[string]connectors.LimitState
	last  connectors.LimitState
}

// Asked is one call of Wait.
type Asked struct {
	Operation string
	Cost      float64
	Priority  connectors.Priority
}

// Wait implements connectors.Limiter.
func (l *Limiter) Wait(ctx context.Context, operation string, cost float64, p connectors.Priority) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, Asked{operation, cost, p})
	return ctx.Err()
}

// Observe implements connectors.Limiter.
func (l *Limiter) Observe(operation string, s connectors.LimitState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.told == nil {
		l.told = make(map[string]connectors.LimitState)
	}
	l.told[operation], l.last = s, s
}

// Asked is what it was asked so far.
func (l *Limiter) Asked() []Asked {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.asked)
}

// Last is what it was told last.
func (l *Limiter) Last() connectors.LimitState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// Told is what it was told last of an operation.
func (l *Limiter) Told(operation string) connectors.LimitState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.told[operation]
}
