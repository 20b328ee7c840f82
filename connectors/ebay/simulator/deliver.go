package simulator

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"github.com/helloword/crossdock/connectors/mailroom"
)

// delivery is one notification on its way. What it says never changes, whatever happens to
// the object in the meantime.
type delivery struct {
	mailroom.Slot
	endpoint, topic, id string
	event               time.Time
	data                object
	attempt             int
}

// pauses before the retries. eBay retries and does not say when; after days without an
// answer it marks the destination down, which is MarkDown here.
// https://developer.ebay.com/marketplace-account-deletion
var pauses = [...]time.Duration{
	time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 4 * time.Hour, 12 * time.Hour,
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
	}
	return false
}

func (s *Simulator) call(ctx context.Context, d *delivery) bool {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.DeliveryTimeout)
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
	defer resp.Body.Close()
	return mailroom.ReadOut(resp) == nil && resp.StatusCode/100 == 2
}

// Drain waits until every webhook has been delivered or given up.
func (s *Simulator) Drain(ctx context.Context) error { return s.mail.Drain(ctx) }

// Pending says how many webhooks are on their way.
func (s *Simulator) Pending() int { return s.mail.Pending() }

// Close stops the delivery of notifications; what was not delivered is lost.
func (s *Simulator) Close() {
	s.mail.Close()
	s.cfg.HTTP.CloseIdleConnections()
}
