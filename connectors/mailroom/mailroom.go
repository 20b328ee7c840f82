// Package mailroom delivers what simulated platforms send: webhooks that wait in a bounded
// queue, are due later, or are tried again.
//
// In: deliveries, in the order in which they were made. Out: one call after another of the
// platform's own attempt, by a few workers. Keeps what is on its way in memory; what is left
// when the room closes is gone, as the platform is.
package mailroom

import (
	"container/heap"
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// Slot is when a delivery is to be made; zero = at once. Deliveries embed it.
type Slot struct{ Due time.Time }

func (s *Slot) slot() *Slot { return s }

// Delivery is a pointer to something that embeds Slot.
type Delivery interface{ slot() *Slot }

// Room delivers: workers take from a bounded queue, and one clerk feeds into it what is due
// later. They begin with the first delivery.
type Room[D Delivery] struct {
	attempt func(ctx context.Context, d D) (again bool)
	workers int
	queue   chan D
	wake    chan struct{}
	ctx     context.Context
	stop    context.CancelFunc
	done    sync.WaitGroup

	mu    sync.Mutex
	begun bool
	later timetable[D]
	open  int           // deliveries that are not delivered or given up
	idle  chan struct{} // closed when open reaches 0
}

// New makes a room whose queue holds so many deliveries. attempt makes one; if it is to be made
// again, attempt has set when. Its context ends when the room closes.
func New[D Delivery](workers, queue int, attempt func(ctx context.Context, d D) (again bool)) *Room[D] {
	ctx, stop := context.WithCancel(context.Background()) //nolint:gosec // Close calls stop
	return &Room[D]{
		attempt: attempt, workers: workers, queue: make(chan D, queue), wake: make(chan struct{}, 1), ctx: ctx, stop: stop,
	}
}

// Deliver takes deliveries over. It blocks while the queue is full.
func (r *Room[D]) Deliver(mail []D) {
	if len(mail) == 0 {
		return
	}
	r.mu.Lock()
	if r.ctx.Err() != nil {
		r.mu.Unlock()
		return
	}
	if !r.begun {
		r.begun = true
		r.done.Add(r.workers + 1)
		for range r.workers {
			go r.work()
		}
		go r.clerk()
	}
	r.open += len(mail)
	r.mu.Unlock()
	for _, d := range mail {
		r.put(d)
	}
}

// put queues a delivery, or notes it down for later.
func (r *Room[D]) put(d D) {
	if d.slot().Due.IsZero() {
		select {
		case r.queue <- d:
		case <-r.ctx.Done():
		}
		return
	}
	r.mu.Lock()
	heap.Push(&r.later, d)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// clerk puts into the queue what has become due.
func (r *Room[D]) clerk() {
	defer r.done.Done()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		r.mu.Lock()
		var due D
		found := false
		wait := time.Hour
		if len(r.later) > 0 {
			if wait = time.Until(r.later[0].slot().Due); wait <= 0 {
				due, found = heap.Pop(&r.later).(D), true
			}
		}
		r.mu.Unlock()
		if found {
			due.slot().Due = time.Time{}
			r.put(due)
			if r.ctx.Err() != nil {
				return
			}
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-r.wake:
		case <-r.ctx.Done():
			return
		}
	}
}

func (r *Room[D]) work() {
	defer r.done.Done()
	for {
		select {
		case d := <-r.queue:
			again := r.attempt(r.ctx, d)
			switch {
			case r.ctx.Err() != nil:
				return
			case again:
				r.put(d)
			default:
				r.finished()
			}
		case <-r.ctx.Done():
			return
		}
	}
}

func (r *Room[D]) finished() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open--; r.open == 0 && r.idle != nil {
		close(r.idle)
		r.idle = nil
	}
}

// Drain waits until everything has been delivered or given up, or the room is closed.
func (r *Room[D]) Drain(ctx context.Context) error {
	for {
		r.mu.Lock()
		if r.open == 0 || r.ctx.Err() != nil {
			r.mu.Unlock()
			return nil
		}
		if r.idle == nil {
			r.idle = make(chan struct{})
		}
		idle := r.idle
		r.mu.Unlock()
		select {
		case <-idle:
		case <-r.ctx.Done():
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Pending says how many deliveries are on their way.
func (r *Room[D]) Pending() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open
}

// Close ends all attempts and waits for the workers.
func (r *Room[D]) Close() {
	r.stop()
	r.done.Wait()
}

// ReadOut reads an answer that nobody wants to its end: that leaves a connection that can be used
// again. The caller closes it.
func ReadOut(resp *http.Response) error {
	_, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	return err
}

// timetable is a heap of deliveries by when they are due.
type timetable[D Delivery] []D

func (t timetable[D]) Len() int           { return len(t) }
func (t timetable[D]) Less(i, j int) bool { return t[i].slot().Due.Before(t[j].slot().Due) }
func (t timetable[D]) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *timetable[D]) Push(d any)        { *t = append(*t, d.(D)) }
func (t *timetable[D]) Pop() any {
	old := *t
	d := old[len(old)-1]
	var none D
	old[len(old)-1] = none
	*t = old[:len(old)-1]
	return d
}
