package simulator

import (
	"bytes"
	"container/heap"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// subscription is one topic sent to one address.
type subscription struct {
	id                                   int64
	name, topic, address, secret, status string
	failures                             int
	// waiting is the objects of which a delivery is queued and not begun.
	waiting map[int64]bool
}

// maxFailures in a row are borne; the next one switches the webhook off. Measured: the
// seventh, where the documentation says five.
const maxFailures = 6

// Subscribe sends topics to an address, as somebody in the admin does.
func (s *Simulator) Subscribe(address string, topics ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, topic := range topics {
		s.subscribe(topic, address)
	}
}

func (s *Simulator) subscribe(topic, address string) *subscription {
	s.nextSub++
	sub := &subscription{id: s.nextSub, name: "Webhook", topic: topic, address: address, secret: s.cfg.WebhookSecret, status: "active", waiting: map[int64]bool{}}
	s.subs = append(s.subs, sub)
	return sub
}

// Webhook is one subscription as the admin shows it.
type Webhook struct {
	Name, Topic, Address, Status string
	Failures                     int
}

// Webhooks is the subscriptions there are.
func (s *Simulator) Webhooks() (all []Webhook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subs {
		all = append(all, Webhook{sub.name, sub.topic, sub.address, sub.status, sub.failures})
	}
	return all
}

// Subscriptions says how many subscriptions are switched on.
func (s *Simulator) Subscriptions() (n int) {
	for _, w := range s.Webhooks() {
		if w.Status == "active" {
			n++
		}
	}
	return n
}

// delivery is one webhook on its way. Its body is made when it is sent: it tells the state at
// that time, and not that of the event.
type delivery struct {
	sub    *subscription
	object int64
	id     string
	due    time.Time // zero = at once
	// body is set once it was made: a twin carries the same.
	body *[]byte
	ping bool
	twin bool
}

// post makes deliveries of one event, as the faults will have it. Callers hold mu, and hand
// the deliveries to the mailroom when they have let go of it.
func (s *Simulator) post(mail []*delivery, topic string, object int64) []*delivery {
	for _, sub := range s.subs {
		if sub.topic != topic || sub.status != "active" {
			continue
		}
		if sub.waiting[object] {
			s.stats.WebhooksFolded++
			continue
		}
		mail = s.addressed(mail, sub, object)
	}
	return mail
}

func (s *Simulator) addressed(mail []*delivery, sub *subscription, object int64) []*delivery {
	var id [16]byte
	for i := range id {
		id[i] = byte(s.rng.Uint32())
	}
	d := &delivery{sub: sub, object: object, id: hex.EncodeToString(id[:]), body: new([]byte)}
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
	sub.waiting[object] = true
	mail = append(mail, d)
	if s.hit(f.Duplicate) {
		s.stats.WebhooksDuplicated++
		twin := *d
		twin.twin, twin.due = true, by(f.ReorderBy, 300*time.Millisecond)
		mail = append(mail, &twin)
	}
	return mail
}

// ping is the call that making a webhook brings: a form without a signature.
func (s *Simulator) ping(sub *subscription) []*delivery {
	body := []byte("webhook_id=" + strconv.FormatInt(sub.id, 10))
	return []*delivery{{sub: sub, body: &body, ping: true}}
}

// render makes the body of a delivery, under mu.
func (s *Simulator) render(d *delivery) []byte {
	if len(*d.body) > 0 {
		return *d.body
	}
	gone := fmt.Appendf(nil, `{"id":%d}`, d.object)
	b := gone
	switch resource, event, _ := strings.Cut(d.sub.topic, "."); {
	case event == "deleted":
	case resource == "order":
		if o := s.orders[d.object]; o != nil {
			b = s.orderJSON(o)
		}
	default:
		if p := s.byID[d.object]; p != nil {
			b = s.productJSON(p, nil, false)
		} else if v := s.variants[d.object]; v != nil {
			b = s.productJSON(v.product, v, true)
		}
	}
	*d.body = b
	return b
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

	mu    sync.Mutex
	begun bool
	later timetable
	open  int           // deliveries that are not delivered or given up
	idle  chan struct{} // closed when open reaches 0
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

// attempt makes the one call that there is.
func (m *mailroom) attempt(d *delivery) {
	s := m.s
	s.mu.Lock()
	body := s.render(d)
	if !d.twin {
		delete(d.sub.waiting, d.object)
	}
	address, topic, secret, active := d.sub.address, d.sub.topic, d.sub.secret, d.sub.status == "active"
	s.mu.Unlock()
	ok := active && m.call(d, address, topic, secret, body)
	if m.ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	switch {
	case ok:
		s.stats.WebhooksDelivered++
		d.sub.failures = 0
	case active:
		s.stats.WebhooksGivenUp++
		if d.sub.failures++; d.sub.failures > maxFailures && !s.cfg.KeepWebhooks {
			d.sub.status = "disabled"
			s.stats.WebhooksDisabled++
		}
	}
	s.mu.Unlock()
	m.finished()
}

func (m *mailroom) call(d *delivery, address, topic, secret string, body []byte) bool {
	s := m.s
	ctx, cancel := context.WithTimeout(m.ctx, s.cfg.DeliveryTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return false
	}
	h := req.Header
	h["User-Agent"] = []string{"WooCommerce/" + version + " Hookshot (WordPress/6.9.7)"}
	h["Content-Type"] = []string{"application/x-www-form-urlencoded"}
	if !d.ping {
		resource, event, _ := strings.Cut(topic, ".")
		h["Content-Type"] = []string{"application/json"}
		h.Set("X-WC-Webhook-Source", s.home()+"/")
		h.Set("X-WC-Webhook-Topic", topic)
		h.Set("X-WC-Webhook-Resource", resource)
		h.Set("X-WC-Webhook-Event", event)
		h.Set("X-WC-Webhook-Signature", bodySignature(secret, body))
		h.Set("X-WC-Webhook-ID", strconv.FormatInt(d.sub.id, 10))
		h.Set("X-WC-Webhook-Delivery-ID", d.id)
	}
	resp, err := s.cfg.HTTP.Do(req)
	if err != nil {
		return false
	}
	// What is read to its end leaves a connection that can be used again.
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	_ = resp.Body.Close()
	code := resp.StatusCode
	return err == nil && (code/100 == 2 || code == http.StatusMovedPermanently || code == http.StatusFound)
}

// home is the Site Address.
func (s *Simulator) home() string {
	if s.cfg.Home != "" {
		return strings.TrimRight(s.cfg.Home, "/")
	}
	return "https://simulated.example"
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
