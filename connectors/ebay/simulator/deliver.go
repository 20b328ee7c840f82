package simulator

import (
	"bytes"
	"container/heap"
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// delivery is one notification on its way. What it says never changes, whatever happens to
// the object in the meantime.
type delivery struct {
	endpoint, topic, id string
	event               time.Time
	data                object
	attempt             int
	due                 time.Time // zero = at once
}

// pauses before the retries. eBay retries and does not say when; after days without an
// answer it marks the destination down, which is MarkDown here.
// https://developer.ebay.com/marketplace-account-deletion
var pauses = [...]time.Duration{
	time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 4 * time.Hour, 12 * time.Hour,
}

// mailroom delivers: workers take from a bounded queue, and one clerk feeds into it what is
// due later.
type mailroom struct {
	s     *Simulator
	queue chan *delivery
	wake  chan struct{}
	ctx   context.Context
	stop  context.CancelFunc
	done  sync.WaitGroup

	mu       sync.Mutex
	begun    bool
	later    timetable
	open     int // deliveries that are not delivered or given up
	retrying int
	idle     chan struct{} // closed when open reaches 0
}

func newMailroom(s *Simulator) *mailroom {
	m := &mailroom{s: s, queue: make(chan *delivery, s.cfg.Queue), wake: make(chan struct{}, 1)}
	m.ctx, m.stop = context.WithCancel(context.Background())
	return m
}

// deliver takes deliveries over. It blocks while the queue is full.
func (m *mailroom) deliver(mail []*delivery) {
	if len(mail) == 0 {
		return
	}
	m.mu.Lock()
	if m.ctx.Err() != nil {
		m.mu.Unlock()
		return
	}
	if !m.begun {
		m.begun = true
		m.done.Add(m.s.cfg.Workers + 1)
		for range m.s.cfg.Workers {
			go m.work()
		}
		go m.clerk()
	}
	m.open += len(mail)
	m.mu.Unlock()
	for _, d := range mail {
		m.put(d)
	}
}

// put queues a delivery, or notes it down for later.
func (m *mailroom) put(d *delivery) {
	if d.due.IsZero() {
		select {
		case m.queue <- d:
		case <-m.ctx.Done():
		}
		return
	}
	m.mu.Lock()
	heap.Push(&m.later, d)
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// clerk puts into the queue what has become due.
func (m *mailroom) clerk() {
	defer m.done.Done()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		m.mu.Lock()
		var due *delivery
		wait := time.Hour
		if len(m.later) > 0 {
			if wait = time.Until(m.later[0].due); wait <= 0 {
				due = heap.Pop(&m.later).(*delivery)
			}
		}
		m.mu.Unlock()
		if due != nil {
			due.due = time.Time{}
			m.put(due)
			if m.ctx.Err() != nil {
				return
			}
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-m.wake:
		case <-m.ctx.Done():
			return
		}
	}
}

func (m *mailroom) work() {
	defer m.done.Done()
	for {
		select {
		case d := <-m.queue:
			m.attempt(d)
		case <-m.ctx.Done():
			return
		}
	}
}

// attempt makes one call and decides how it goes on.
func (m *mailroom) attempt(d *delivery) {
	s := m.s
	if d.attempt > 0 {
		m.mu.Lock()
		m.retrying--
		m.mu.Unlock()
	}
	ok := m.call(d)
	if m.ctx.Err() != nil {
		return
	}
	if ok {
		s.mu.Lock()
		s.stats.WebhooksDelivered++
		s.mu.Unlock()
		m.finished()
		return
	}
	m.mu.Lock()
	again := d.attempt < len(pauses) && m.retrying < s.cfg.MaxRetrying
	if again {
		m.retrying++
	}
	m.mu.Unlock()
	s.mu.Lock()
	if again {
		s.stats.WebhooksRetried++
	} else {
		s.stats.WebhooksGivenUp++
	}
	s.mu.Unlock()
	if !again {
		m.finished()
		return
	}
	d.due = time.Now().Add(time.Duration(float64(pauses[d.attempt])*s.cfg.RetryScale) + 1)
	d.attempt++
	m.put(d)
}

func (m *mailroom) call(d *delivery) bool {
	s := m.s
	ctx, cancel := context.WithTimeout(m.ctx, s.cfg.DeliveryTimeout)
	defer cancel()
	body := s.body(d)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.endpoint, bytes.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Ebay-Signature", s.Sign(body))
	resp, err := s.cfg.HTTP.Do(req)
	if err != nil {
		return false
	}
	// What is read to its end leaves a connection that can be used again.
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	_ = resp.Body.Close()
	return err == nil && resp.StatusCode/100 == 2
}

func (m *mailroom) finished() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open--; m.open == 0 && m.idle != nil {
		close(m.idle)
		m.idle = nil
	}
}

// Drain waits until every webhook has been delivered or given up.
func (s *Simulator) Drain(ctx context.Context) error {
	m := s.mail
	for {
		m.mu.Lock()
		if m.open == 0 || m.ctx.Err() != nil {
			m.mu.Unlock()
			return nil
		}
		if m.idle == nil {
			m.idle = make(chan struct{})
		}
		idle := m.idle
		m.mu.Unlock()
		select {
		case <-idle:
		case <-m.ctx.Done():
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Pending says how many webhooks are on their way.
func (s *Simulator) Pending() int {
	s.mail.mu.Lock()
	defer s.mail.mu.Unlock()
	return s.mail.open
}

func (m *mailroom) close() {
	m.stop()
	m.done.Wait()
	m.s.cfg.HTTP.CloseIdleConnections()
}

// timetable is a heap of deliveries by when they are due.
type timetable []*delivery

func (t timetable) Len() int           { return len(t) }
func (t timetable) Less(i, j int) bool { return t[i].due.Before(t[j].due) }
func (t timetable) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *timetable) Push(d any)        { *t = append(*t, d.(*delivery)) }
func (t *timetable) Pop() any {
	old := *t
	d := old[len(old)-1]
	old[len(old)-1] = nil
	*t = old[:len(old)-1]
	return d
}
