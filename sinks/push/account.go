package push

import (
	"context"
	"time"

	"github.com/helloword/crossdock/schemas/event"
)

// What an account's lane and its desk have in common: how they rest after failures, who is told
// that the account needs its owner, how long they hold something before they carry it, and what
// this process remembers by itself. What they do with it is their own.

// owner is what lane and desk of one account say of its credentials. Each finds out by itself:
// they may need different rights. People are told when the first of them is refused, and when
// none is any more.
type owner struct{ refused int } // guarded by Sink.mu

// worker is the part of a lane or desk that does not depend on what it works on.
type worker struct {
	s       *Sink
	account string
	owner   *owner
	wake    chan struct{}

	carryAt time.Time // guarded by Sink.mu

	// Owned by the one who works.
	parked       time.Time
	failures     int
	unauthorised bool
	alerts       []*event.Alert // not yet published
}

func newWorker(s *Sink, account string, o *owner) worker {
	s.metrics.unauthorised.WithLabelValues(account)
	return worker{s: s, account: account, owner: o, wake: make(chan struct{}, 1)}
}

func (w *worker) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// park lets it rest: for d if the platform said so, else with back-off.
func (w *worker) park(d time.Duration) {
	if d <= 0 {
		d = backoff(w.s.cfg(), w.failures)
	}
	w.parked = w.s.deps.Now().Add(min(d, time.Hour))
}

// rest waits for d, or for news; who is parked has no use for news.
func (w *worker) rest(ctx context.Context, d time.Duration) {
	news := w.wake
	if w.s.deps.Now().Before(w.parked) {
		news = nil
	}
	rest(ctx, d, news)
}

// unauthorise: the platform refuses our credentials.
func (w *worker) unauthorise(err error) {
	w.park(w.s.cfg().ReauthoriseEvery)
	if w.unauthorised {
		return
	}
	w.unauthorised = true
	if w.refused(1) > 1 {
		return // the other one has told
	}
	w.s.deps.Log.Error("the account needs its owner: nothing is written to it", "account", w.account, "err", err)
	w.alert("needs-authorisation", w.account, event.Severity_SEVERITY_CRITICAL,
		w.account+" refuses our credentials: authorise the account again. Until then its listings are not written, and what is asked of it is not carried out.")
}

// authorise: the platform takes our credentials.
func (w *worker) authorise() {
	if !w.unauthorised {
		return
	}
	w.unauthorised = false
	if w.refused(-1) > 0 {
		return // the other one has not seen it yet
	}
	w.s.deps.Log.Info("the account is authorised again", "account", w.account)
	w.alert("needs-authorisation", w.account, event.Severity_SEVERITY_INFO, w.account+" is authorised again.")
}

// refused counts those that are refused, and shows it.
func (w *worker) refused(more int) int {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.owner.refused += more
	w.s.metrics.unauthorised.WithLabelValues(w.account).Set(float64(min(w.owner.refused, 1)))
	return w.owner.refused
}

func (w *worker) alert(kind, subject string, severity event.Severity, text string) {
	w.alerts = append(w.alerts, newAlert(w.account, kind, subject, severity, text, w.s.deps.Now().UnixMilli()))
}

// holding is something that is held until it is carried out: a listing's target, or an errand.
type holding struct {
	key     string
	part    *partition
	running bool
	// revoked: its partition went away while it was under way.
	revoked bool
	ready   time.Time // not to be begun before
	held    time.Time // since when, or when it was last carried
	index   int       // in its queue; -1 = in none
}

func (h *holding) holds() *holding { return h }

// leave lets go of what was under way when the sink was stopped hard: it is offered again, to
// whoever is next. more: something newer waited behind it. Sink.mu is held.
func (h *holding) leave(more bool) {
	h.running = false
	h.part.busy--
	h.part.pending--
	if more {
		h.part.pending--
	}
	h.part.wake()
}

// maxCarry bounds one step of carrying.
const maxCarry = 500

// toCarry picks what was held for so long that it holds back the partition's offset, and tells
// when to look next (negative = no need). free: nothing else is to be done with it first. Sink.mu
// is held.
func toCarry[T interface{ holds() *holding }](w *worker, now time.Time, all map[string]T, free func(T) bool) (old []T, next time.Duration) {
	if len(all) == 0 {
		return nil, -1
	}
	if now.Before(w.carryAt) {
		return nil, w.carryAt.Sub(now)
	}
	after := w.s.cfg().CarryAfter
	w.carryAt = now.Add(after / 4)
	for _, x := range all {
		h := x.holds()
		if h.running || !free(x) || now.Sub(h.held) < after {
			continue
		}
		if len(old) == maxCarry {
			w.carryAt = now
			break
		}
		h.held = now
		old = append(old, x)
	}
	return old, after / 4
}

// own is what this process saw last, by key: Redis may fall back to an older state, and the rooms
// then tell old decisions again. Bounded by generations.
type own[T interface{ version() *event.Version }] struct{ young, old map[string]T }

// ownLimit is how many keys of an account one generation holds, at some 300 bytes each.
const ownLimit = 50_000

// note keeps the newer of what there was and v.
func (o *own[T]) note(key string, v T) {
	if now, ok := o.find(key); ok && compare(now.version(), v.version()) > 0 {
		v = now
	}
	if len(o.young) >= ownLimit || o.young == nil {
		o.young, o.old = make(map[string]T), o.young
	}
	o.young[key] = v
}

func (o *own[T]) find(key string) (v T, ok bool) {
	if v, ok = o.young[key]; !ok {
		v, ok = o.old[key]
	}
	return v, ok
}
