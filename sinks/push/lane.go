package push

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas/event"
)

// lane is one account's work: a queue in which decreases go first, and one worker.
type lane struct {
	worker
	connector string
	stock     connectors.StockPusher
	batch     int

	// Guarded by Sink.mu.
	listings map[string]*listing
	urgent   queue // decreases, and what must not wait
	calm     queue // increases

	// Owned by the worker.
	own     own[*Entry]          // accepted, by listing
	alerted map[string]time.Time // by code of refusal
	gauge   laneGauges
}

// item is one target and the delivery that brought it.
type item struct {
	target *event.PushTarget
	offset int64
	trace  []byte // W3C trace context
	done   func()
}

// listing is a listing that has something to do.
type listing struct {
	holding
	cur item
	// next is a newer target that came while cur was under way.
	next    *item
	urgent  bool
	patient bool // waits for an event that explains a stale belief

	// What the attempts at cur's version came to.
	attempts int64
	started  time.Time
	round    int   // definite answers that it was not done: each closes a command id
	told     uint8 // bits of the passing outcomes that were reported
	// verify is not empty when somebody else wrote the listing while we did: what is shown must
	// be seen to be the newest. It is part of the command id.
	verify string

	// tried: a write of cur's version was begun whose outcome nobody knows.
	tried bool
	// waited: patience with less than was expected has been shown once for cur's version.
	waited bool

	// What is known of the platform beyond the memory. It outlives a change of cur.
	// began is the newest version that was looked up for this listing: what the memory says was
	// tried beyond it was tried by somebody else, or by us before a crash.
	began    *event.Version
	expected *int64
	read     bool     // what is shown must be read before the next write
	doubt    *attempt // the outcome of this write is not known
	repair   bool     // an older record is the last of its key in the topic
	races    int      // verifications so far
}

// attempt is one write whose answer was lost, or was never seen by this process.
type attempt struct {
	version  *event.Version
	quantity int64
	expected *int64
}

// mayExplain: the write, done or not, leaves this quantity shown when nobody else acts.
func (a *attempt) mayExplain(shown int64) bool {
	return shown == a.quantity || (a.expected != nil && shown == *a.expected)
}

func newLane(s *Sink, account string, a Account, o *owner) *lane {
	l := &lane{
		worker: newWorker(s, account, o), connector: a.Connector, stock: a.Stock, batch: 100,
		listings: make(map[string]*listing), alerted: make(map[string]time.Time),
		gauge: s.metrics.lane(account),
	}
	if a.Stock != nil {
		l.batch = a.Stock.Batch()
	}
	return l
}

// add takes a target in and returns what is done by that. Sink.mu is held.
func (l *lane) add(p *partition, it item) (done []func()) {
	now := l.s.deps.Now()
	key := it.target.Account + "/" + it.target.ListingId
	g := l.listings[key]
	if g == nil {
		g = &listing{holding: holding{key: key, part: p, held: now, index: -1}, cur: it}
		l.listings[key] = g
		p.pending++
		l.schedule(g, l.due(it.target, now))
		return nil
	}
	g.revoked = false
	newest := &g.cur
	if g.next != nil {
		newest = g.next
	}
	switch c := compare(it.target.Version, newest.target.Version); {
	case c < 0:
		// A late writer's record is now the last of its key: who rebuilds from the compacted topic
		// would find it. The newest is written again before it counts as done.
		g.repair = true
		newest.offset = max(newest.offset, it.offset)
		return []func(){it.done}
	case c == 0 && g.running && g.next == nil:
		// The same decision again, while it is carried out: both are done then.
		first := g.cur.done
		g.cur.done = func() { first(); it.done() }
		g.cur.offset = max(g.cur.offset, it.offset)
		return nil
	}
	// From here on the later offset stands for the listing, so the earlier ones are done.
	l.s.metrics.superseded.WithLabelValues(l.account).Inc()
	g.held = now
	if g.running {
		if g.next != nil {
			done = append(done, g.next.done)
		} else {
			p.pending++
		}
		g.next = &it
		return done
	}
	done = append(done, g.cur.done)
	at := g.ready
	if g.patient && compare(it.target.Version, g.cur.target.Version) > 0 {
		// This is the event that it waited for, or something that counts more.
		g.patient, at = false, now
	}
	if pressing(it.target) && !g.urgent && !g.patient {
		if due := l.due(it.target, now); due.Before(at) {
			at = due
		}
	}
	l.replace(g, it)
	l.schedule(g, at)
	return done
}

// pressing: not to be held back for the sake of fewer calls.
func pressing(t *event.PushTarget) bool { return t.Decrease || t.Withdrawn }

// due is when a target that came at the given time may be begun. Full intervals are those of
// the clock, so that all processes have the same. What was given back has waited before.
func (l *lane) due(t *event.PushTarget, came time.Time) time.Time {
	cfg := l.s.cfg()
	switch every := cfg.Every[l.account]; {
	case strings.HasPrefix(t.Cause, "outcome/"):
		return came
	case every > 0:
		return came.Truncate(every).Add(every)
	case pressing(t):
		return came
	default:
		return came.Add(cfg.CoalesceIncreases)
	}
}

// hurry lets what waits go when the configuration lets it, if that is earlier. What was begun
// keeps its own times. Sink.mu is held.
func (l *lane) hurry(now time.Time) {
	for _, g := range l.listings {
		if g.running || g.index < 0 || g.attempts > 0 || g.patient || g.read || g.doubt != nil || g.verify != "" {
			continue
		}
		if at := l.due(g.cur.target, now); at.Before(g.ready) {
			l.schedule(g, at)
		}
	}
}

// replace makes it the target of g. What is known of the platform stays.
func (l *lane) replace(g *listing, it item) {
	if compare(it.target.Version, g.cur.target.Version) > 0 {
		if g.verify != "" && !g.running {
			g.part.busy--
			g.part.wake()
		}
		g.attempts, g.started, g.round, g.told, g.verify = 0, time.Time{}, 0, 0, ""
		g.tried, g.waited = false, false
	}
	g.cur, g.next = it, nil
}

// schedule puts g into its queue, not to be begun before at. Urgency sticks: after 5 → 2 that
// was not carried out, 2 → 4 is still a decrease for whoever looks at the shop.
func (l *lane) schedule(g *listing, at time.Time) {
	l.unschedule(g)
	g.ready = at
	g.urgent = g.urgent || pressing(g.cur.target) || g.doubt != nil || g.verify != ""
	if g.urgent {
		heap.Push(&l.urgent, g)
	} else {
		heap.Push(&l.calm, g)
	}
	l.poke()
}

func (l *lane) unschedule(g *listing) {
	switch {
	case g.index < 0:
	case g.urgent:
		heap.Remove(&l.urgent, g.index)
	default:
		heap.Remove(&l.calm, g.index)
	}
}

// drop forgets what was not begun of a partition. Sink.mu is held.
func (l *lane) drop(p *partition) {
	for key, g := range l.listings {
		if g.part != p {
			continue
		}
		if g.next != nil {
			g.next = nil
			p.pending--
		}
		if g.running || g.verify != "" {
			g.revoked = true
			continue
		}
		l.unschedule(g)
		delete(l.listings, key)
		p.pending--
	}
}

// longEnough is how long an increase waits before one place in ten of a call is kept for it: when
// an account sells faster than it can be written to, decreases never end, and a shop would show
// less than there is for as long as that lasts. No call is delayed by it.
const longEnough = time.Minute

// kept is how many places of a call are kept for increases that have waited long enough.
func (l *lane) kept(now time.Time, limit int) int {
	if limit < 2 || len(l.calm) == 0 || now.Sub(l.calm[0].ready) < longEnough {
		return 0
	}
	return min(max(1, limit/10), len(l.calm))
}

// pick takes what may be begun now, decreases first, or tells how long there is nothing to
// do (negative = until woken).
func (l *lane) pick(now time.Time) (batch []*listing, wait time.Duration) {
	if now.Before(l.parked) {
		return nil, l.parked.Sub(now)
	}
	limit := l.batch
	if l.failures > 0 || l.unauthorised {
		limit = 1 // one tries the ice
	}
	wait = -1
	kept := l.kept(now, limit)
	for _, q := range []*queue{&l.urgent, &l.calm} {
		most := limit
		if q == &l.urgent {
			most -= kept
		}
		for len(*q) > 0 && len(batch) < most {
			g := (*q)[0]
			if d := g.ready.Sub(now); d > 0 {
				if wait < 0 || d < wait {
					wait = d
				}
				break
			}
			heap.Pop(q)
			g.running, g.patient = true, false
			if g.verify == "" {
				g.part.busy++
			}
			batch = append(batch, g)
		}
	}
	return batch, wait
}

// run is the lane's worker. It begins nothing after ctx ended, and leaves everything as it is
// when hard ends.
func (l *lane) run(ctx, hard context.Context) {
	for {
		now := l.s.deps.Now()
		l.s.mu.Lock()
		var batch []*listing
		var wait time.Duration
		if ctx.Err() == nil {
			batch, wait = l.pick(now)
		}
		old, next := toCarry(&l.worker, now, l.listings, func(g *listing) bool { return g.verify == "" && g.next == nil })
		targets := make([]*event.PushTarget, len(old))
		for i, g := range old {
			targets[i] = g.cur.target
		}
		l.gauge.set(l, now)
		l.s.mu.Unlock()
		if ctx.Err() != nil {
			return
		}
		if len(batch) > 0 {
			l.execute(hard, batch)
			continue
		}
		if len(old) > 0 {
			l.carry(hard, targets)
			continue
		}
		if next >= 0 && (wait < 0 || next < wait) {
			wait = next
		}
		l.rest(ctx, wait)
	}
}

// rest waits for d (negative = for ever), for news, or for the end of ctx.
func rest(ctx context.Context, d time.Duration, news <-chan struct{}) {
	var timer <-chan time.Time
	if d >= 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
	case <-timer:
	case <-news:
	}
}

// backoff doubles from BackoffMin to BackoffMax; half of it is chance, so that many who fail
// together do not return together.
func backoff(cfg *Config, failures int) time.Duration {
	d := cfg.BackoffMin
	for range min(max(failures-1, 0), 30) {
		if d *= 2; d >= cfg.BackoffMax {
			d = cfg.BackoffMax
			break
		}
	}
	return d/2 + rand.N(d/2+1)
}

// queue is a heap by the time at which a listing may be begun.
type queue []*listing

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].ready.Before(q[j].ready) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *queue) Push(x any) {
	g := x.(*listing)
	g.index = len(*q)
	*q = append(*q, g)
}

func (q *queue) Pop() any {
	last := len(*q) - 1
	g := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	g.index = -1
	return g
}
