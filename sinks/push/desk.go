package push

import (
	"container/heap"
	"context"
	"fmt"
	"time"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// desk is one account's commands: a queue in which cancellations go first, and one worker. It
// stands beside the account's lane and not in it, because what is decided about a listing's
// stock is compared, read back and given back, and a command is only ever said again, under
// the name that it had the first time.
type desk struct {
	worker
	to    Account
	batch int // prices in one call

	// Guarded by Sink.mu.
	errands map[string]*errand
	urgent  errandQueue // cancellations
	calm    errandQueue
	repairs []repair

	own own[CommandTry] // begun, by key; owned by the worker
}

// job is one target of a command and the delivery that brought it.
type job struct {
	target *event.CommandTarget
	offset int64
	trace  []byte // W3C trace context
	done   func()
}

// errand is an order, or a listing's price, that has something to do.
type errand struct {
	holding
	cur job
	// next is a newer target that came while cur was under way.
	next *job

	// What the attempts at cur came to.
	attempts int64
	started  time.Time
	told     uint8 // bits of the passing outcomes that were reported
}

// repair is a target to be written to its topic again, because an older one came after it.
type repair struct {
	target *event.CommandTarget
	done   func()
}

func newDesk(s *Sink, account string, a Account, o *owner) *desk {
	d := &desk{worker: newWorker(s, account, o), to: a, batch: 1, errands: make(map[string]*errand)}
	if a.Price != nil {
		d.batch = a.Price.Batch()
	}
	return d
}

func (s *Sink) deskOf(account string) *desk {
	if d := s.desks[account]; d != nil {
		return d
	}
	return s.noDesk
}

// decodeCommand returns nil without error for a tombstone.
func decodeCommand(r *stream.Record) (*event.CommandTarget, error) {
	if len(r.Value) == 0 {
		return nil, nil
	}
	t := &event.CommandTarget{}
	if err := t.UnmarshalVT(r.Value); err != nil {
		return nil, fmt.Errorf("decoding the command: %w", err)
	}
	switch {
	case t.Account == "" || (t.OrderId == "") == (t.ListingId == ""):
		return nil, fmt.Errorf("the command of key %.200q names no account, or not one of order and listing", r.Key)
	case t.Version == nil || t.Version.Epoch < 0 || t.Version.Number < 0:
		return nil, fmt.Errorf("the command of key %.200q has no valid version", r.Key)
	case t.Command != nil && t.Command.Id == "":
		return nil, fmt.Errorf("the command of key %.200q has no id", r.Key)
	case t.Command != nil && schemas.CommandKind(t.Command) == "":
		return nil, fmt.Errorf("command %.200q is of a kind that this version does not know: upgrade and redrive", t.Command.Id)
	}
	return t, nil
}

func commandKey(t *event.CommandTarget) string {
	return schemas.CommandKey(t.Account, t.OrderId, t.ListingId)
}

// add takes a target in and returns what is done by that. Sink.mu is held.
func (d *desk) add(p *partition, j job) (done []func()) {
	now := d.s.deps.Now()
	key := commandKey(j.target)
	e := d.errands[key]
	if e == nil {
		e = &errand{holding: holding{key: key, part: p, held: now, index: -1}, cur: j}
		d.errands[key] = e
		p.pending++
		d.schedule(e, now)
		return nil
	}
	e.revoked = false
	newest := &e.cur
	if e.next != nil {
		newest = e.next
	}
	switch c := compare(j.target.Version, newest.target.Version); {
	case c < 0:
		// A late writer's record is now the last of its key: the newest is written again.
		d.repairs = append(d.repairs, repair{newest.target, j.done})
		d.poke()
		return nil
	case c == 0 && e.running && e.next == nil:
		// The same again, while it is carried out: both are done then.
		first := e.cur.done
		e.cur.done = func() { first(); j.done() }
		e.cur.offset = max(e.cur.offset, j.offset)
		return nil
	}
	// From here on the later offset stands for the errand, so the earlier ones are done.
	e.held = now
	if e.running {
		if e.next != nil {
			done = append(done, e.next.done)
		} else {
			p.pending++
		}
		e.next = &j
		return done
	}
	done = append(done, e.cur.done)
	at := e.ready
	if compare(j.target.Version, e.cur.target.Version) > 0 {
		at = now
	}
	d.unschedule(e)
	e.replace(j)
	d.schedule(e, at)
	return done
}

// replace makes j what is to be done.
func (e *errand) replace(j job) {
	if compare(j.target.Version, e.cur.target.Version) > 0 {
		e.attempts, e.started, e.told = 0, time.Time{}, 0
	}
	e.cur, e.next = j, nil
}

// queueOf: what prevents a parcel from leaving goes before everything else.
func (d *desk) queueOf(e *errand) *errandQueue {
	if e.cur.target.Command.GetCancellation() != nil {
		return &d.urgent
	}
	return &d.calm
}

func (d *desk) schedule(e *errand, at time.Time) {
	d.unschedule(e)
	e.ready = at
	heap.Push(d.queueOf(e), e)
	d.poke()
}

func (d *desk) unschedule(e *errand) {
	if e.index >= 0 {
		heap.Remove(d.queueOf(e), e.index)
	}
}

// drop forgets what was not begun of a partition. Sink.mu is held.
func (d *desk) drop(p *partition) {
	for key, e := range d.errands {
		if e.part != p {
			continue
		}
		if e.next != nil {
			e.next = nil
			p.pending--
		}
		if e.running {
			e.revoked = true
			continue
		}
		d.unschedule(e)
		delete(d.errands, key)
		p.pending--
	}
}

// pick takes what may be begun now: one command about an order, or prices for one call. Or it
// tells how long there is nothing to do (negative = until woken). Sink.mu is held.
func (d *desk) pick(now time.Time) (batch []*errand, wait time.Duration) {
	if now.Before(d.parked) {
		return nil, d.parked.Sub(now)
	}
	limit := d.batch
	if d.failures > 0 || d.unauthorised {
		limit = 1 // one tries the ice
	}
	wait = -1
	for _, q := range []*errandQueue{&d.urgent, &d.calm} {
		for len(*q) > 0 && len(batch) < limit {
			e := (*q)[0]
			if left := e.ready.Sub(now); left > 0 {
				if wait < 0 || left < wait {
					wait = left
				}
				break
			}
			alone := e.cur.target.Command.GetPrice() == nil
			if alone && len(batch) > 0 {
				return batch, 0
			}
			heap.Pop(q)
			e.running = true
			e.part.busy++
			batch = append(batch, e)
			if alone {
				return batch, 0
			}
		}
	}
	return batch, wait
}

// run is the desk's worker. It begins nothing after ctx ended, and leaves everything as it is
// when hard ends.
func (d *desk) run(ctx, hard context.Context) {
	for {
		now := d.s.deps.Now()
		d.s.mu.Lock()
		var batch []*errand
		var wait time.Duration
		if ctx.Err() == nil {
			batch, wait = d.pick(now)
		}
		again := d.repairs
		d.repairs = nil
		old, next := toCarry(&d.worker, now, d.errands, func(e *errand) bool { return e.next == nil })
		for _, e := range old {
			again = append(again, repair{target: e.cur.target})
		}
		d.s.metrics.pending.WithLabelValues(d.account, "commands").Set(float64(len(d.errands)))
		d.s.mu.Unlock()
		if ctx.Err() != nil {
			return
		}
		if len(again) > 0 {
			d.rewrite(hard, again)
		}
		if len(batch) > 0 {
			d.execute(hard, batch)
		}
		if len(again)+len(batch) > 0 {
			continue
		}
		if next >= 0 && (wait < 0 || next < wait) {
			wait = next
		}
		d.rest(ctx, wait)
	}
}

// errandQueue is a heap by the time at which an errand may be begun; of one time, by when it came.
type errandQueue []*errand

func (q errandQueue) Len() int { return len(q) }
func (q errandQueue) Less(i, j int) bool {
	if q[i].ready.Equal(q[j].ready) {
		return q[i].cur.offset < q[j].cur.offset
	}
	return q[i].ready.Before(q[j].ready)
}
func (q errandQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *errandQueue) Push(x any) {
	e := x.(*errand)
	e.index = len(*q)
	*q = append(*q, e)
}

func (q *errandQueue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	e.index = -1
	return e
}
