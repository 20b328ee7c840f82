package push

import (
	"errors"
	"strconv"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas/event"
)

// judge decides what a failure means for the lane and for the tasks that it left open.
func (l *lane) judge(err error, tasks []*task) {
	var definite, failed, called int
	var after time.Duration
	for _, t := range tasks {
		switch t.outcome {
		case event.Outcome_OUTCOME_NOT_SENT, event.Outcome_OUTCOME_UNKNOWN:
			failed++
			after = max(after, t.delay)
		default:
			if t.write.CommandID != "" {
				definite++
			}
		}
		if t.write.CommandID != "" {
			called++
		}
	}
	var retry *connectors.RetryAfterError
	switch {
	case errors.Is(err, connectors.ErrNeedsAuthorisation):
		l.unauthorise(err)
		return
	case errors.As(err, &retry):
		after = max(after, retry.After)
	}
	switch {
	case after > 0:
		l.failures++
		l.park(after)
	case err != nil || (failed > 0 && definite == 0):
		l.failures++
		l.park(0)
		if err != nil {
			// The first says it, then each time that the count has doubled.
			if n := l.failures; n&(n-1) == 0 {
				l.s.deps.Log.Warn("pushing stock failed and is tried again", "account", l.account, "failures", n, "err", err)
			}
		}
	case called > 0:
		l.failures = 0
		l.authorise()
	}
	if definite > 0 && failed > 0 && after == 0 {
		// The platform is well: only these wait.
		for _, t := range tasks {
			if t.outcome == event.Outcome_OUTCOME_NOT_SENT || t.outcome == event.Outcome_OUTCOME_UNKNOWN {
				t.delay = backoff(l.s.cfg(), int(t.g.attempts))
			}
		}
	}
}

// finish lets go of what is over and puts the rest back.
func (l *lane) finish(tasks []*task) {
	var done []func()
	now := l.s.deps.Now()
	l.s.mu.Lock()
	for _, t := range tasks {
		g := t.g
		g.running = false
		if t.remember {
			g.expected = nil // the memory knows
		}
		switch {
		case t.over && l.lookAgain(t, now):
			continue // still busy
		case t.over && g.repair && g.next == nil && !g.revoked:
			// A late writer's record came after the outcome was recorded: one more round, which finds
			// nothing to do but the repair.
			l.schedule(g, now)
		case t.over && !(g.repair && g.revoked), g.next != nil:
			done = append(done, g.cur.done)
			g.part.pending--
			if t.over {
				g.urgent = false
			}
			if g.next == nil {
				delete(l.listings, g.key)
				break
			}
			g.patient = false
			l.replace(g, *g.next)
			l.schedule(g, l.due(g.cur.target, g.held))
		case g.revoked && g.verify == "":
			// Whoever is offered it next finds it done, or does it, and repairs what is to be repaired.
			g.part.pending--
			delete(l.listings, g.key)
		default:
			l.schedule(g, now.Add(t.delay))
			if g.verify != "" {
				continue // still busy
			}
		}
		g.part.busy--
		g.part.wake()
	}
	l.s.mu.Unlock()
	for _, f := range done {
		f()
	}
}

// lookAgain: when somebody else wrote the listing between our look into the memory and now,
// one of the two writes came last, and nobody knows which. Whoever finds that out reads the
// listing and, if need be, writes the newest again; the record stays undone until then.
// Sink.mu is held.
func (l *lane) lookAgain(t *task, now time.Time) bool {
	g := t.g
	g.verify = ""
	if t.race == nil {
		return false
	}
	l.s.metrics.races.WithLabelValues(l.account).Inc()
	g.expected, g.read = nil, true
	newest := t.it.target
	if t.race.Newer != nil {
		newest = t.race.Newer.Target
	}
	if newest.Withdrawn || (g.next != nil && compare(g.next.target.Version, newest.Version) >= 0) {
		return false // nothing to write, or the next is written, and reads first
	}
	g.races++
	g.cur.target = newest
	g.attempts, g.started, g.round, g.told = 0, time.Time{}, 0, 0
	g.tried, g.waited = false, false
	g.verify = "verify " + strconv.Itoa(g.races)
	l.schedule(g, now)
	return true
}

// abandon leaves what was under way when the sink was stopped hard: nothing of it is done, and
// it is offered again, to whoever is next.
func (l *lane) abandon(tasks []*task) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	for _, t := range tasks {
		t.g.leave(t.g.next != nil)
		delete(l.listings, t.g.key)
	}
}
