package push

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/helloword/crossdock/internal/crash"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// Sink carries out push targets and commands. Its lanes run in Run; Offer only sorts.
type Sink struct {
	deps    Deps
	config  atomic.Pointer[Config]
	metrics *metrics
	lanes   map[string]*lane // by account
	nobody  *lane            // targets of accounts that are not configured

	desks  map[string]*desk // by account
	noDesk *desk            // commands for accounts that are not configured

	claim, called, recorded                      *crash.Point
	commandClaim, commandCalled, commandRecorded *crash.Point

	// mu guards all that follows, and the lanes' queues: it is held for moments only.
	mu         sync.Mutex
	partitions map[partitionID]*partition
}

var _ stream.Executor = (*Sink)(nil)

type partitionID struct {
	topic string
	id    int32
}

// partition counts what is held of one partition.
type partition struct {
	pending int
	// busy counts listings that must not be dropped: under way, or being verified.
	busy int
	// epoch grows with each revocation, so that an offer that was blocked meanwhile gives up.
	epoch int
	// changed is closed, and made anew, when pending or busy falls while somebody waits.
	changed chan struct{}
}

func (p *partition) wait() <-chan struct{} {
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.changed
}

func (p *partition) wake() {
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// New makes the sink; Run starts it.
func New(cfg Config, deps Deps) (*Sink, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := deps.validate(); err != nil {
		return nil, err
	}
	point := crash.Points("push")
	s := &Sink{
		deps:       deps,
		lanes:      make(map[string]*lane, len(deps.Accounts)),
		partitions: make(map[partitionID]*partition),
		claim:      point("Claim"), called: point("Call"), recorded: point("Record"),
		desks:        make(map[string]*desk, len(deps.Accounts)),
		commandClaim: point("CommandClaim"), commandCalled: point("CommandCall"), commandRecorded: point("CommandRecord"),
	}
	s.config.Store(&cfg)
	var err error
	if s.metrics, err = newMetrics(deps.Metrics); err != nil {
		return nil, err
	}
	for name, a := range deps.Accounts {
		o := new(owner)
		s.lanes[name], s.desks[name] = newLane(s, name, a, o), newDesk(s, name, a, o)
	}
	o := new(owner)
	s.nobody, s.noDesk = newLane(s, unknownAccount, Account{}, o), newDesk(s, unknownAccount, Account{}, o)
	return s, nil
}

// unknownAccount is a label, not a name that a configuration may hold.
const unknownAccount = "(unknown)"

// Reload changes the configuration of a running sink. What waits keeps the time it was given,
// unless it may go earlier now.
func (s *Sink) Reload(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	s.config.Store(&cfg)
	now := s.deps.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lanes {
		l.hurry(now)
	}
	return nil
}

func (s *Sink) cfg() *Config { return s.config.Load() }

// Run carries out what is offered until ctx ends, then waits for what is under way, for
// DrainTimeout at most.
func (s *Sink) Run(ctx context.Context) error {
	hard, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	var wg sync.WaitGroup
	run := func(l *lane) { wg.Go(func() { l.run(ctx, hard) }) }
	for _, l := range s.lanes {
		run(l)
	}
	run(s.nobody)
	for _, d := range s.desks {
		wg.Go(func() { d.run(ctx, hard) })
	}
	wg.Go(func() { s.noDesk.run(ctx, hard) })
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	<-ctx.Done()
	t := time.NewTimer(s.cfg().DrainTimeout)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
		kill()
		<-done
	}
	return nil
}

// Offer implements stream.Executor. It blocks while a partition holds PendingPerPartition
// targets, and while Kafka takes no dead letter.
func (s *Sink) Offer(ctx context.Context, ds []*stream.Delivery) error {
	held := make([]arrival, 0, len(ds))
	for _, d := range ds {
		if d.Topic.Name == schemas.PushCommands.Name {
			c, err := decodeCommand(d.Record)
			switch {
			case err != nil:
				if err := s.bury(ctx, d.Record, err); err != nil {
					return err
				}
				d.Done()
			case c == nil:
				d.Done()
			default:
				held = append(held, arrival{d: d, command: c})
			}
			continue
		}
		t, err := decodeTarget(d.Record)
		switch {
		case err != nil:
			if err := s.bury(ctx, d.Record, err); err != nil {
				return err
			}
			d.Done()
		case t == nil: // the key was deleted: nothing is decided by that
			d.Done()
		case s.deps.Accounts[t.Account].Off:
			s.metrics.off.WithLabelValues(t.Account).Inc()
			d.Done()
		default:
			held = append(held, arrival{d: d, target: t})
		}
	}
	if len(held) == 0 {
		return nil
	}
	return s.accept(ctx, held)
}

// arrival is one delivery, decoded: a target or a command.
type arrival struct {
	d       *stream.Delivery
	target  *event.PushTarget
	command *event.CommandTarget
}

// accept holds targets of one partition, all in one step if there is room, so that of those
// that come together only the newest of a listing is ever begun. It gives up without an error
// when the partition is revoked meanwhile.
func (s *Sink) accept(ctx context.Context, held []arrival) error {
	id := partitionID{held[0].d.Topic.Name, held[0].d.Partition}
	var done []func()
	defer func() {
		for _, f := range done {
			f()
		}
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.partitions[id]
	if p == nil {
		p = &partition{}
		s.partitions[id] = p
	}
	epoch := p.epoch
	for _, a := range held {
		for p.pending >= s.cfg().PendingPerPartition {
			changed := p.wait()
			s.mu.Unlock()
			select {
			case <-ctx.Done():
				s.mu.Lock()
				return fmt.Errorf("holding the target of key %.200q: %w", a.d.Key, ctx.Err())
			case <-changed:
			}
			s.mu.Lock()
			if p.epoch != epoch {
				return nil
			}
		}
		if a.command != nil {
			done = append(done, s.deskOf(a.command.Account).add(p, job{
				target: a.command, offset: a.d.Offset, trace: bytes.Clone(a.d.Header(schemas.HeaderTrace)), done: a.d.Done,
			})...)
			continue
		}
		l := s.lanes[a.target.Account]
		if l == nil {
			l = s.nobody
		}
		done = append(done, l.add(p, item{
			target: a.target, offset: a.d.Offset, trace: bytes.Clone(a.d.Header(schemas.HeaderTrace)), done: a.d.Done,
		})...)
	}
	return nil
}

// Revoke implements stream.Executor.
func (s *Sink) Revoke(ctx context.Context, topic string, id int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.partitions[partitionID{topic, id}]
	if p == nil {
		return
	}
	p.epoch++
	for _, l := range s.lanes {
		l.drop(p)
	}
	s.nobody.drop(p)
	for _, d := range s.desks {
		d.drop(p)
	}
	s.noDesk.drop(p)
	p.wake()
	for p.busy > 0 {
		changed := p.wait()
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			s.mu.Lock()
			return
		case <-changed:
		}
		s.mu.Lock()
	}
	// The entry is kept: partitions are few, and a late Done may still refer to it.
}

// decodeTarget returns nil without error for a tombstone.
func decodeTarget(r *stream.Record) (*event.PushTarget, error) {
	if len(r.Value) == 0 {
		return nil, nil
	}
	t := &event.PushTarget{}
	if err := t.UnmarshalVT(r.Value); err != nil {
		return nil, fmt.Errorf("decoding the target: %w", err)
	}
	switch {
	case t.Account == "" || t.ListingId == "":
		return nil, fmt.Errorf("the target of key %.200q names no account or no listing", r.Key)
	case t.Version == nil || t.Version.Epoch < 0 || t.Version.Number < 0:
		return nil, fmt.Errorf("the target of %s/%s has no valid version", t.Account, t.ListingId)
	case t.Quantity < 0:
		return nil, fmt.Errorf("the target of %s/%s shows %d", t.Account, t.ListingId, t.Quantity)
	}
	return t, nil
}
