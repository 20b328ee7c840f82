package simulator

import (
	"bytes"
	"container/heap"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net/http"
	"sync"
	"time"
)

// subscription is one topic sent to one address.
type subscription struct {
	id      int64
	topic   string // "orders/create"
	address string
	gone    bool
}

// Subscribe sends topics to an address, as an app does by webhookSubscriptionCreate.
func (s *Simulator) Subscribe(address string, topics ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, topic := range topics {
		s.subscribe(topic, address)
	}
}

func (s *Simulator) subscribe(topic, address string) *subscription {
	s.nextSub++
	sub := &subscription{id: s.nextSub, topic: topic, address: address}
	s.subs = append(s.subs, sub)
	return sub
}

// Subscriptions says how many subscriptions there are.
func (s *Simulator) Subscriptions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.subs)
}

// delivery is one webhook on its way. Its bytes never change, whatever happens to the
// object in the meantime: a retry carries the payload of the first attempt.
type delivery struct {
	sub       *subscription
	body      []byte
	webhookID string
	eventID   string
	triggered time.Time
	attempt   int
	due       time.Time // zero = at once
}

// post makes deliveries of one event, as the faults will have it. Callers hold mu, and hand
// the deliveries to the mailroom when they have let go of it.
func (s *Simulator) post(mail []*delivery, topic string, body func() []byte) []*delivery {
	var bytes []byte
	var eventID string
	for _, sub := range s.subs {
		if sub.topic != topic {
			continue
		}
		if bytes == nil {
			bytes, eventID = body(), s.uuid()
		}
		mail = s.addressed(mail, sub, bytes, eventID)
	}
	return mail
}

// postOrder is post for an order. Two topics of one event share their bytes.
func (s *Simulator) postOrder(mail []*delivery, o *order, topic string) []*delivery {
	return s.post(mail, topic, func() []byte { return s.orderJSON(o) })
}

func (s *Simulator) addressed(mail []*delivery, sub *subscription, body []byte, eventID string) []*delivery {
	d := &delivery{sub: sub, body: body, webhookID: s.uuid(), eventID: eventID, triggered: s.cfg.Now()}
	f := s.faults
	s.stats.WebhooksSent++
	if s.hit(f.Drop) {
		s.stats.WebhooksDropped++
		return mail
	}
	now := time.Now()
	by := func(most, otherwise time.Duration) time.Time {
		if most == 0 {
			most = otherwise
		}
		return now.Add(time.Duration(s.rng.Int64N(int64(most))) + 1)
	}
	if s.hit(f.Late) {
		s.stats.WebhooksLate++
		d.due = by(f.LateBy, 2*time.Second)
	} else if s.hit(f.Reorder) {
		s.stats.WebhooksReordered++
		d.due = by(f.ReorderBy, 300*time.Millisecond)
	}
	mail = append(mail, d)
	if s.hit(f.Duplicate) {
		s.stats.WebhooksDuplicated++
		twin := *d
		twin.due = by(f.ReorderBy, 300*time.Millisecond)
		mail = append(mail, &twin)
	}
	return mail
}

// uuid is drawn from the seed, so that a run can be repeated.
func (s *Simulator) uuid() string {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], s.rng.Uint64())
	binary.LittleEndian.PutUint64(b[8:], s.rng.Uint64())
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	var t [36]byte
	hex.Encode(t[0:8], b[0:4])
	hex.Encode(t[9:13], b[4:6])
	hex.Encode(t[14:18], b[6:8])
	hex.Encode(t[19:23], b[8:10])
	hex.Encode(t[24:36], b[10:16])
	t[8], t[13], t[18], t[23] = '-', '-', '-', '-'
	return string(t[:])
}

// pauses before the retries, four hours altogether. Shopify says "8 times in 4 hours" and
// not when. https://shopify.dev/docs/apps/build/webhooks/subscribe/https
var pauses = [...]time.Duration{
	time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute,
	15 * time.Minute, 30 * time.Minute, 60 * time.Minute, 120 * time.Minute,
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
		if !s.cfg.KeepSubscriptions && d.attempt >= len(pauses) && !d.sub.gone {
			d.sub.gone = true
			for i, sub := range s.subs {
				if sub == d.sub {
					s.subs = append(s.subs[:i:i], s.subs[i+1:]...)
					break
				}
			}
		}
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
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.sub.address, bytes.NewReader(d.body))
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, []byte(s.cfg.ClientSecret))
	mac.Write(d.body)
	h := req.Header
	h["Content-Type"] = []string{"application/json"}
	h["User-Agent"] = []string{"Shopify-Captain-Hook"}
	h["X-Shopify-Topic"] = []string{d.sub.topic}
	h["X-Shopify-Hmac-Sha256"] = []string{base64.StdEncoding.EncodeToString(mac.Sum(nil))}
	h["X-Shopify-Shop-Domain"] = []string{s.cfg.Shop}
	h["X-Shopify-Api-Version"] = []string{s.cfg.APIVersion}
	h["X-Shopify-Webhook-Id"] = []string{d.webhookID}
	h["X-Shopify-Event-Id"] = []string{d.eventID}
	h["X-Shopify-Triggered-At"] = []string{d.triggered.UTC().Format("2006-01-02T15:04:05.000000000Z")}
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
