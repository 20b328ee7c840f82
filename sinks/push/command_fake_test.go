package push

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// clerk carries out commands as a connector does that asks first: what it did under a name it
// does not do again.
type clerk struct {
	mu      sync.Mutex
	modules connectors.Modules
	faults  []fault
	said    map[string]string // what was asked, by the command's name at the platform
	effects []string          // what was done, each time
	done    map[string]bool
	asked   []string // every call
	batches []int    // prices in each call
	inside  int
	wrong   []string
	before  func() // within a call, before anything happens
	after   func() // the effect is there and the answer is not
}

func newClerk() *clerk { return &clerk{said: map[string]string{}, done: map[string]bool{}} }

func (c *clerk) Batch() int { return 3 }

func (c *clerk) meet(faults ...fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = faults
}

func (c *clerk) hook(before, after func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.before, c.after = before, after
}

func (c *clerk) unlocked(f func()) {
	if f != nil {
		c.mu.Unlock()
		defer c.mu.Lock()
		f()
	}
}

// write is one write of a call. absolute: repeating it does no harm, but changes what is there.
func (c *clerk) write(ctx context.Context, id, what string, absolute bool) (connectors.Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inside++; c.inside > 1 {
		c.wrong = append(c.wrong, fmt.Sprintf("%d calls at once", c.inside))
	}
	defer func() { c.inside-- }()
	if first, ok := c.said[id]; ok && first != what || len(id) != 32 {
		c.wrong = append(c.wrong, fmt.Sprintf("%q is the name of %s and of %s", id, first, what))
	}
	for other, said := range c.said {
		if said == what && other != id {
			c.wrong = append(c.wrong, what+" was asked for under two names")
		}
	}
	c.said[id] = what
	c.asked = append(c.asked, what)
	c.unlocked(c.before)
	f := fine
	if len(c.faults) > 0 {
		f, c.faults = c.faults[0], c.faults[1:]
	}
	result := func(o event.Outcome) connectors.Result { return connectors.Result{Outcome: o, Code: string(f)} }
	switch f {
	case vanished:
		return result(event.Outcome_OUTCOME_UNKNOWN), nil
	case notSent:
		return result(event.Outcome_OUTCOME_NOT_SENT), nil
	case throttled:
		r := result(event.Outcome_OUTCOME_NOT_SENT)
		r.RetryAfter = 3 * time.Second
		return r, nil
	case outage:
		return connectors.Result{}, errors.New("connection refused")
	case noLogin:
		return result(event.Outcome_OUTCOME_NOT_SENT), fmt.Errorf("401: %w", connectors.ErrNeedsAuthorisation)
	case refused:
		return result(event.Outcome_OUTCOME_REFUSED), nil
	}
	if !c.done[id] || absolute {
		c.effects = append(c.effects, what)
	}
	c.done[id] = true
	c.unlocked(c.after)
	if f == lost {
		return result(event.Outcome_OUTCOME_UNKNOWN), nil
	}
	return connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED}, ctx.Err()
}

func (c *clerk) PushPrice(ctx context.Context, writes []connectors.PriceWrite) (results []connectors.Result, err error) {
	c.mu.Lock()
	c.batches = append(c.batches, len(writes))
	c.mu.Unlock()
	for _, w := range writes {
		r, e := c.write(ctx, w.CommandID, fmt.Sprintf("price %s %d %s", w.ListingID, w.Price.Minor, w.Price.Currency), true)
		results, err = append(results, r), errors.Join(err, e)
	}
	return results, err
}

func (c *clerk) PushFulfilment(ctx context.Context, w connectors.FulfilmentWrite) (connectors.Result, error) {
	return c.write(ctx, w.CommandID, fmt.Sprintf("ship %s %v by %s %s", w.OrderID, w.Lines, w.CarrierCode, w.Tracking), false)
}

func (c *clerk) CancelOrder(ctx context.Context, w connectors.CancelWrite) (connectors.Result, error) {
	return c.write(ctx, w.CommandID, fmt.Sprintf("cancel %s for %s", w.OrderID, w.Reason), false)
}

func (c *clerk) PushRefund(ctx context.Context, w connectors.RefundWrite) (connectors.Result, error) {
	return c.write(ctx, w.CommandID, fmt.Sprintf("refund %s %d %s", w.OrderID, w.Amount.GetMinor(), w.Amount.GetCurrency()), false)
}

func (c *clerk) did() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.effects)
}

func (c *clerk) wasAsked() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.asked)
}

// begun is a CommandMemory in memory that behaves as RedisCommands of one process.
type begun struct {
	mu    sync.Mutex
	last  map[string]CommandTry
	held  map[string]time.Time // by somebody else, until
	fail  int
	ended []string
}

func newBegun() *begun { return &begun{last: map[string]CommandTry{}, held: map[string]time.Time{}} }

func (b *begun) Begin(_ context.Context, _ string, tries []CommandTry, _ time.Duration) ([]CommandKnown, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail > 0 {
		b.fail--
		return nil, errors.New("redis is away")
	}
	known := make([]CommandKnown, len(tries))
	for i, t := range tries {
		last, ok := b.last[t.Key]
		switch {
		case ok && compare(last.Target.Version, t.Target.Version) > 0:
			known[i] = CommandKnown{Newer: last.Target, NewerOffset: last.Offset}
		case time.Now().Before(b.held[t.Key]):
			known[i].Held = true
		default:
			b.last[t.Key] = t
		}
	}
	return known, nil
}

// fallBack: Redis was put back to a state from before all that.
func (b *begun) fallBack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.last)
}

func (b *begun) End(_ context.Context, _ string, keys []string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = append(b.ended, keys...)
	return nil
}

// ask appends command targets to the topic and offers them.
func (w *world) ask(ts ...*event.CommandTarget) {
	w.mu.Lock()
	for _, t := range ts {
		b, err := t.MarshalVTStrict()
		if err != nil {
			w.t.Fatal(err)
		}
		w.appendTo(schemas.PushCommands, []byte(commandKey(t)), b)
	}
	w.mu.Unlock()
	w.offer()
}

// commanded lists "kind about version outcome" as they were published, and checks that the
// commands room was told the same.
func (w *world) commanded() (out []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	told := map[string]int{}
	for _, r := range w.records {
		switch r.Topic.Name {
		case schemas.CommandOutcomes.Name:
			o := &event.CommandOutcome{}
			if err := o.UnmarshalVT(r.Value); err != nil {
				w.t.Fatal(err)
			}
			told[fmt.Sprint(o)]++
			word := label(o.Outcome)
			if o.GaveUp {
				word += " for good"
			}
			out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s%s v%d %s %s", o.Kind, o.OrderId, o.ListingId, o.TargetVersion.Number, word, o.Code)))
		case schemas.CommandsIn.Name:
			in := &event.CommandInput{}
			if err := in.UnmarshalVT(r.Value); err != nil {
				w.t.Fatal(err)
			}
			o := in.GetOutcome()
			if len(in.EventId) < 16 || string(r.Key) != schemas.CommandKey(o.Account, o.OrderId, o.ListingId) {
				w.t.Errorf("command input without event id or with key %q", r.Key)
			}
			told[fmt.Sprint(o)]--
		}
	}
	for o, n := range told {
		if n != 0 {
			w.t.Errorf("outcome told to only one of the two topics: %s", o)
		}
	}
	return out
}

func order(account, id string, version int64) *event.CommandTarget {
	return &event.CommandTarget{
		Account: account, OrderId: id, Version: &event.Version{Number: version}, DecidedMs: time.Now().UnixMilli(),
		Command: &event.Command{Id: fmt.Sprintf("depot/%s-%d", id, version), Account: account, OrderId: id, RequestedMs: 1},
	}
}

func ship(id string, version int64) *event.CommandTarget {
	t := order("uk", id, version)
	t.Command.Action = &event.Command_Shipment{Shipment: &event.ShipmentReport{
		Lines: []*event.CommandLine{{LineId: "1", Quantity: 2}}, CarrierCode: "dhl", Tracking: "T" + id,
	}}
	return t
}

func cancelling(id string, version int64) *event.CommandTarget {
	t := order("uk", id, version)
	t.Command.Action = &event.Command_Cancellation{Cancellation: &event.Cancellation{Reason: "fraud"}}
	return t
}

func refunding(id string, version, unscaled int64) *event.CommandTarget {
	t := order("uk", id, version)
	t.Command.Action = &event.Command_Refund{Refund: &event.RefundRequest{Amount: amountOf(unscaled, 2, "EUR")}}
	return t
}

func pricing(listing string, version, unscaled int64) *event.CommandTarget {
	t := order("uk", "", version)
	t.ListingId, t.Command.Id = listing, fmt.Sprintf("depot/%s-%d", listing, version)
	t.Command.Action = &event.Command_Price{Price: &event.PriceChange{ListingId: listing, Amount: amountOf(unscaled, 2, "EUR")}}
	return t
}

// nothing is the target of an errand that has nothing to do.
func nothing(t *event.CommandTarget, version int64) *event.CommandTarget {
	return &event.CommandTarget{Account: t.Account, OrderId: t.OrderId, ListingId: t.ListingId, Version: &event.Version{Number: version}}
}

func amountOf(unscaled int64, scale int32, currency string) *event.Amount {
	return &event.Amount{Value: &event.Decimal{Unscaled: unscaled, Scale: scale}, Currency: currency}
}
