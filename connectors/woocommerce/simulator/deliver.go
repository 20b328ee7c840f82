package simulator

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors/mailroom"
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
	mailroom.Slot
	sub    *subscription
	object int64
	id     string
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
		d.Due = by(f.LateBy, 2*time.Second)
	} else if s.hit(f.Reorder) {
		s.stats.WebhooksReordered++
		d.Due = by(f.ReorderBy, 300*time.Millisecond)
	}
	sub.waiting[object] = true
	mail = append(mail, d)
	if s.hit(f.Duplicate) {
		s.stats.WebhooksDuplicated++
		twin := *d
		twin.twin, twin.Due = true, by(f.ReorderBy, 300*time.Millisecond)
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

// attempt makes the one call that there is.
func (s *Simulator) attempt(ctx context.Context, d *delivery) (again bool) {
	s.mu.Lock()
	body := s.render(d)
	if !d.twin {
		delete(d.sub.waiting, d.object)
	}
	address, topic, secret, active := d.sub.address, d.sub.topic, d.sub.secret, d.sub.status == "active"
	s.mu.Unlock()
	ok := active && s.call(ctx, d, address, topic, secret, body)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case ctx.Err() != nil:
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
	return false
}

func (s *Simulator) call(ctx context.Context, d *delivery, address, topic, secret string, body []byte) bool {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.DeliveryTimeout)
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
	defer resp.Body.Close()
	code := resp.StatusCode
	return mailroom.ReadOut(resp) == nil && (code/100 == 2 || code == http.StatusMovedPermanently || code == http.StatusFound)
}

// home is the Site Address.
func (s *Simulator) home() string {
	if s.cfg.Home != "" {
		return strings.TrimRight(s.cfg.Home, "/")
	}
	return "https://simulated.example"
}

// Drain waits until every webhook has been delivered or given up.
func (s *Simulator) Drain(ctx context.Context) error { return s.mail.Drain(ctx) }

// Pending says how many webhooks are on their way.
func (s *Simulator) Pending() int { return s.mail.Pending() }

// Close stops the delivery of webhooks; what was not delivered is lost.
func (s *Simulator) Close() {
	s.mail.Close()
	s.cfg.HTTP.CloseIdleConnections()
}
