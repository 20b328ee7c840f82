package simulator

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/helloword/crossdock/connectors/mailroom"
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
	mailroom.Slot
	sub       *subscription
	body      []byte
	webhookID string
	eventID   string
	triggered time.Time
	attempt   int
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
		d.Due = by(f.LateBy, 2*time.Second)
	} else if s.hit(f.Reorder) {
		s.stats.WebhooksReordered++
		d.Due = by(f.ReorderBy, 300*time.Millisecond)
	}
	mail = append(mail, d)
	if s.hit(f.Duplicate) {
		s.stats.WebhooksDuplicated++
		twin := *d
		twin.Due = by(f.ReorderBy, 300*time.Millisecond)
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

// attempt makes one call and decides how it goes on.
func (s *Simulator) attempt(ctx context.Context, d *delivery) (again bool) {
	if d.attempt > 0 {
		s.mu.Lock()
		s.retrying--
		s.mu.Unlock()
	}
	ok := s.call(ctx, d)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return false
	case ok:
		s.stats.WebhooksDelivered++
		return false
	case d.attempt < len(pauses) && s.retrying < s.cfg.MaxRetrying:
		s.retrying++
		s.stats.WebhooksRetried++
		d.Due = time.Now().Add(time.Duration(float64(pauses[d.attempt])*s.cfg.RetryScale) + 1)
		d.attempt++
		return true
	default:
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
	return false
}

func (s *Simulator) call(ctx context.Context, d *delivery) bool {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.DeliveryTimeout)
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
	defer resp.Body.Close()
	return mailroom.ReadOut(resp) == nil && resp.StatusCode/100 == 2
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
