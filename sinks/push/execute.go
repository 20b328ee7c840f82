package push

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/telemetry"
	"github.com/helloword/crossdock/schemas/event"
)

// task is one listing's part in a batch under way.
type task struct {
	g     *listing
	it    item   // what is being carried out
	known *Entry // what was accepted before the call, as far as is known
	// loaded is the version that the memory had of it; nil = none.
	loaded *event.Version
	write  connectors.StockWrite
	span   *telemetry.Span

	// settled: nothing more is to be called for it in this round.
	settled bool
	// over: it is carried out, or never will be.
	over    bool
	outcome event.Outcome
	code    string
	message string
	shown   *int64 // as read back
	delay   time.Duration
	repair  *Entry
	// remember: the memory takes the target; race is what it answered.
	remember bool
	race     *Race
}

// execute carries a batch one step further: remember, read what is in doubt, write, record.
// What is not over by then goes back into the queue.
func (l *lane) execute(ctx context.Context, batch []*listing) {
	tasks := make([]*task, len(batch))
	l.s.mu.Lock()
	for i, g := range batch {
		tasks[i] = &task{g: g, it: g.cur}
	}
	l.s.mu.Unlock()
	err := l.recall(ctx, tasks)
	if err == nil {
		err = l.readBack(ctx, tasks)
	}
	if err == nil {
		err = l.call(ctx, tasks)
	}
	l.judge(err, tasks)
	// What is over must be on record before it counts as done, however long that takes.
	if !l.record(ctx, tasks) {
		l.abandon(tasks)
		return
	}
	l.finish(tasks)
}

func (l *lane) open(tasks []*task) (open []*task) {
	for _, t := range tasks {
		if !t.settled {
			open = append(open, t)
		}
	}
	return open
}

func (t *task) settle(o event.Outcome, code, message string) {
	t.settled, t.over, t.outcome, t.code, t.message = true, true, o, code, message
	t.remember = o == event.Outcome_OUTCOME_ACCEPTED
}

// recall asks the memory, and settles what needs no call.
func (l *lane) recall(ctx context.Context, tasks []*task) error {
	if l == l.s.nobody {
		for _, t := range tasks {
			t.settle(event.Outcome_OUTCOME_REFUSED, "unknown-account", "no account of this name is configured: add it, or unlink its listings")
		}
		return nil
	}
	tries := make([]Try, len(tasks))
	for i, t := range tasks {
		tries[i] = Try{Listing: t.it.target.ListingId, Entry: Entry{Target: t.it.target, Offset: t.it.offset}}
	}
	known, err := l.s.deps.Memory.Load(ctx, l.account, tries)
	if err != nil {
		return fmt.Errorf("recalling what was accepted: %w", err)
	}
	if err := l.remind(ctx, tasks, known); err != nil {
		return err
	}
	for i, t := range tasks {
		t.known = known[i].Accepted
		t.g.suspect(known[i])
		t.g.began = t.it.target.Version
		if t.g.verify == "" && l.past(t, known[i]) {
			t.settled, t.over = true, true // nothing to tell
			continue
		}
		switch {
		case t.it.target.Withdrawn:
			t.settled, t.over, t.remember = true, true, true
		case l.stock == nil:
			t.settle(event.Outcome_OUTCOME_REFUSED, "cannot", "this connection cannot write stock")
		}
	}
	return nil
}

// remind puts right a memory that fell back behind what this process saw accepted.
func (l *lane) remind(ctx context.Context, tasks []*task, known []Known) error {
	var writes []Write
	for i, t := range tasks {
		if last := known[i].Accepted; last != nil {
			t.loaded = last.Target.Version
		}
		e, ok := l.own.find(t.it.target.ListingId)
		if !ok || compare(t.loaded, e.Target.Version) >= 0 {
			continue
		}
		writes = append(writes, Write{Listing: t.it.target.ListingId, Entry: *e, Loaded: t.loaded})
		known[i].Accepted, t.loaded = e, e.Target.Version
	}
	if len(writes) == 0 {
		return nil
	}
	l.s.deps.Log.Warn("the push memory had fallen back and was reminded", "account", l.account, "listings", len(writes))
	if _, err := l.s.deps.Memory.Store(ctx, l.account, writes); err != nil {
		return fmt.Errorf("reminding the memory of what was accepted: %w", err)
	}
	return nil
}

// suspect takes a target that was tried and not recorded for a write of unknown outcome, as
// one whose answer was lost: a process ended between the two, or is at it right now. That the
// same write has the same idempotency key does not help: a platform's key belongs to a call,
// and the call held other listings then.
func (g *listing) suspect(known Known) {
	tried := known.Tried
	if g.doubt != nil || tried == nil || compare(tried.Target.Version, g.began) == 0 {
		return
	}
	doubt := &attempt{version: tried.Target.Version, quantity: tried.Target.Quantity}
	if last := known.Accepted; last != nil {
		if compare(last.Target.Version, tried.Target.Version) >= 0 {
			return
		}
		if !last.Target.Withdrawn {
			doubt.expected = &last.Target.Quantity
		}
	}
	g.doubt = doubt
}

// past: the target was carried out before, or a newer one was at least begun, whose record
// is done or will be offered again.
func (l *lane) past(t *task, known Known) bool {
	newest := known.Accepted
	past := newest != nil && compare(t.it.target.Version, newest.Target.Version) <= 0
	if tried := known.Tried; tried != nil && compare(t.it.target.Version, tried.Target.Version) < 0 {
		past = true
		if newest == nil || compare(newest.Target.Version, tried.Target.Version) < 0 {
			newest = tried
		}
	}
	if past && compare(t.it.target.Version, newest.Target.Version) < 0 && t.it.offset > newest.Offset {
		t.repair = newest // a late writer's record is the last of its key
	}
	return past
}

// readBack reads what is shown where that must be known before a write: after an unknown
// outcome, after a stale belief, after waiting, where somebody else wrote, and where nothing
// is believed.
func (l *lane) readBack(ctx context.Context, tasks []*task) error {
	var unsure []*task
	var refs []connectors.StockRef
	for _, t := range l.open(tasks) {
		if t.g.doubt != nil || t.g.read || t.g.waited || t.expected() == nil {
			unsure = append(unsure, t)
			refs = append(refs, connectors.StockRef{ListingID: t.it.target.ListingId, StockID: t.it.target.StockId, Location: t.it.target.Location})
		}
	}
	if len(unsure) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.s.cfg().CallTimeout)
	defer cancel()
	shown, err := l.stock.ReadStock(ctx, refs)
	l.s.metrics.calls.WithLabelValues(l.account, "read", connectors.Class(err)).Inc()
	if err == nil && len(shown) != len(refs) {
		err = fmt.Errorf("%d answers to %d listings", len(shown), len(refs))
	}
	switch {
	case errors.Is(err, connectors.ErrUnsupported):
		// A platform that tells nothing is written to without comparing.
		shown = make([]*int64, len(refs))
	case errors.Is(err, connectors.ErrPermanent):
		for _, t := range unsure {
			t.settle(event.Outcome_OUTCOME_REFUSED, "permanent", err.Error())
		}
		return nil
	case err != nil:
		return fmt.Errorf("reading what is shown: %w", err)
	}
	l.s.metrics.readBacks.WithLabelValues(l.account).Add(float64(len(refs)))
	for i, t := range unsure {
		l.learn(t, shown[i])
	}
	return nil
}

// learn takes in what a listing was read to show; nil = it does not exist there, and the
// write will be refused. Lowering is always right. Raising is not where the listing shows
// less than anybody expected, nor where this very target may have been written before: what
// is missing is likely a sale, and units that were sold would be offered again.
func (l *lane) learn(t *task, shown *int64) {
	g := t.g
	surprised := g.read || g.waited
	g.read = false
	if doubt := g.doubt; doubt != nil {
		g.doubt = nil
		switch {
		case compare(doubt.version, t.it.target.Version) == 0:
			g.tried = true
		case shown != nil && !doubt.mayExplain(*shown):
			surprised = true
		}
	}
	if b := t.it.target.Believed; b != nil && shown != nil && *b == *shown {
		surprised = false // it was decided knowing that
	}
	g.expected = shown
	switch want := t.it.target.Quantity; {
	case shown == nil:
	case *shown == want:
		t.shown = shown
		t.settle(event.Outcome_OUTCOME_ACCEPTED, "", "")
	case *shown < want && (surprised || g.tried):
		l.doNotRaise(t, *shown)
	}
}

// doNotRaise waits for the event that explains why less is shown, once. If none came by then,
// the target is given back: the stock room decides anew, from what is shown. So no decision
// is ever carried out twice, whatever a platform remembers of our calls.
func (l *lane) doNotRaise(t *task, shown int64) {
	if g := t.g; !g.waited {
		g.waited, g.patient = true, true
		t.settled, t.delay = true, l.s.cfg().StalePatience
		return
	}
	t.shown = &shown
	t.settle(event.Outcome_OUTCOME_GIVEN_BACK, "shows-less", fmt.Sprintf("the listing shows %d, and no event explains why", shown))
}

// expected is what we believe the listing shows; nil = we do not know.
func (t *task) expected() *int64 {
	switch {
	case t.g.expected != nil:
		return t.g.expected
	case t.known != nil && !t.known.Target.Withdrawn:
		return &t.known.Target.Quantity
	default:
		return t.it.target.Believed
	}
}

// call writes what is still open, after one more look for newer targets.
func (l *lane) call(ctx context.Context, tasks []*task) error {
	open := l.open(tasks)
	if len(open) == 0 {
		return nil
	}
	now := l.s.deps.Now()
	open = l.current(open)
	writes := make([]connectors.StockWrite, len(open))
	for i, t := range open {
		t.g.attempts++
		if t.g.started.IsZero() {
			t.g.started = now
		}
		t.write = connectors.StockWrite{
			ListingID: t.it.target.ListingId, StockID: t.it.target.StockId, Location: t.it.target.Location,
			SKU: t.it.target.Sku, Quantity: t.it.target.Quantity, Expected: t.expected(), CommandID: t.commandID(),
		}
		writes[i] = t.write
	}
	if len(writes) == 0 {
		return nil
	}
	for _, t := range open {
		t.span = l.s.deps.Tracer.PushWrite(l.connector, l.account, t.write.CommandID, t.it.trace, len(writes))
	}
	l.s.claim.Pass()
	callCtx, cancel := context.WithTimeout(ctx, l.s.cfg().CallTimeout)
	results, err := l.stock.PushStock(callCtx, writes)
	cancel()
	l.s.called.Pass()
	l.s.metrics.calls.WithLabelValues(l.account, "write", class(results, err)).Inc()
	l.s.metrics.callSeconds.WithLabelValues(l.account).Observe(l.s.deps.Now().Sub(now).Seconds())
	if len(results) != len(writes) {
		if err == nil {
			err = fmt.Errorf("connector %s gave %d results for %d writes", l.connector, len(results), len(writes))
		}
		// Nothing is known of any of them, unless the call was never to be made.
		results = make([]connectors.Result, len(writes))
		for i := range results {
			results[i].Outcome = event.Outcome_OUTCOME_UNKNOWN
			if errors.Is(err, connectors.ErrPermanent) {
				results[i].Outcome = event.Outcome_OUTCOME_NOT_SENT
			}
		}
	}
	for i, t := range open {
		l.take(t, results[i], err)
		t.span.End(said(results[i]), results[i].Outcome != event.Outcome_OUTCOME_ACCEPTED && !results[i].Stale, 1)
	}
	return err
}

// class is what was wrong with a call, in a word.
func class(results []connectors.Result, err error) string {
	if err != nil {
		return connectors.Class(err)
	}
	for _, r := range results {
		if o := r.Outcome; !r.Stale && !r.Sibling && o != event.Outcome_OUTCOME_ACCEPTED && o != event.Outcome_OUTCOME_REFUSED {
			return label(o)
		}
	}
	return connectors.Class(nil)
}

// said is what a platform said to one write, in a word.
func said(r connectors.Result) string {
	if r.Stale {
		return "stale"
	}
	return label(r.Outcome)
}

// current leaves out the targets for which newer ones came since they were picked: those are
// looked up and written in the next round, which follows at once.
func (l *lane) current(tasks []*task) (current []*task) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	for _, t := range tasks {
		if t.g.next != nil && compare(t.g.next.target.Version, t.it.target.Version) > 0 {
			t.settled = true
			continue
		}
		current = append(current, t)
	}
	return current
}

// commandID names the intent: the same on each attempt at it, after a crash too. What is
// expected is part of it, because a platform refuses one idempotency key with two payloads;
// so another expectation is another intent, and is only formed after what is shown was read
// (see learn). The round tells apart intents that are equal in all
// of this and were answered, definitely, with "not done": a platform may repeat that answer
// for ever under the same key.
func (t *task) commandID() string {
	h := sha256.New()
	tg := t.it.target
	field := func(s string) {
		h.Write(strconv.AppendInt(nil, int64(len(s)), 10))
		h.Write([]byte{':'})
		h.Write([]byte(s))
	}
	field(tg.Account)
	field(tg.ListingId)
	field(versionText(tg.Version))
	field(strconv.FormatInt(tg.Quantity, 10))
	if e := t.expected(); e != nil {
		field(strconv.FormatInt(*e, 10))
	} else {
		field("any")
	}
	field(strconv.Itoa(t.g.round))
	field(t.g.verify)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// take is what one answer means.
func (l *lane) take(t *task, r connectors.Result, callErr error) {
	g := t.g
	switch {
	case r.Outcome == event.Outcome_OUTCOME_ACCEPTED:
		t.settle(r.Outcome, r.Code, r.Message)
	case r.Stale:
		l.s.metrics.stale.WithLabelValues(l.account).Inc()
		g.round++
		g.expected, g.read = nil, true
		if r.Shown != nil {
			l.learn(t, r.Shown)
		}
		// Otherwise it is read in the next round, which follows at once.
	case r.Outcome == event.Outcome_OUTCOME_REFUSED:
		t.settle(r.Outcome, r.Code, r.Message)
	case r.Outcome == event.Outcome_OUTCOME_NOT_SENT:
		if errors.Is(callErr, connectors.ErrPermanent) {
			t.settle(event.Outcome_OUTCOME_REFUSED, "permanent", callErr.Error())
			return
		}
		if r.Sibling {
			// Nothing is wrong with this one, and no attempt at it was made: the next call follows at once.
			t.g.attempts--
			return
		}
		t.outcome, t.code, t.message, t.delay = r.Outcome, r.Code, r.Message, r.RetryAfter
	default: // Unknown, and what does not exist
		t.outcome, t.code, t.message = event.Outcome_OUTCOME_UNKNOWN, r.Code, r.Message
		g.doubt = &attempt{version: t.it.target.Version, quantity: t.write.Quantity, expected: t.write.Expected}
	}
}
