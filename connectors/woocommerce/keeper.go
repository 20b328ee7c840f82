package woocommerce

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/helloword/crossdock/connectors"
)

// keeper makes the shop's webhooks what they should be. It is called again and again: a shop
// makes one attempt at each delivery, and after some failures in a row it switches the
// webhook off (at the seventh, measured with 11.0.1; the documentation says five) and says so
// nowhere.
type keeper struct{ *client }

// subscription is a webhook as the shop lists it. Its secret is written and never shown.
type subscription struct {
	ID     json.Number `json:"id"`
	Name   string      `json:"name"`
	Status string      `json:"status"`
	Topic  string      `json:"topic"`
	URL    string      `json:"delivery_url"`
}

// namePrefix begins the names of our webhooks.
const namePrefix = "crossdock "

// EnsureWebhooks subscribes the address to every topic that the receiver knows. What is right
// is left alone; what is switched off is switched on; a subscription of ours that points to
// the same path on another host is from before a move, and is turned.
func (k *keeper) EnsureWebhooks(ctx context.Context, address string) error {
	want, err := url.Parse(address)
	if err != nil || want.Host == "" {
		return fmt.Errorf("%w: %q is no address for webhooks: write it as https://…", connectors.ErrPermanent, address)
	}
	secret, err := k.cfg.WebhookSecret.Resolve()
	if err != nil {
		return fmt.Errorf("subscribing to webhooks: %w", err)
	}
	texts, err := k.all(ctx, "webhooks", url.Values{"orderby": {"id"}, "order": {"asc"}}, connectors.Normal)
	if err != nil {
		return fmt.Errorf("listing webhooks: %w", err)
	}
	have := map[string][]subscription{}
	for _, text := range texts {
		var s subscription
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			return fmt.Errorf("listing webhooks: %w", err)
		}
		have[s.Topic] = append(have[s.Topic], s)
	}
	var errs []error
	for _, t := range topics() {
		if err := k.subscribe(ctx, t.name, want, secret, have[t.name]); err != nil {
			errs = append(errs, fmt.Errorf("subscribing to %s: %w", t.name, err))
		}
	}
	return errors.Join(errs...)
}

func (k *keeper) subscribe(ctx context.Context, topic string, want *url.URL, secret string, have []subscription) error {
	name := webhookName(topic, secret)
	o := call{method: http.MethodPost, path: "webhooks", priority: connectors.Normal, body: map[string]any{
		"name": name, "topic": topic, "delivery_url": want.String(), "secret": secret, "status": "active",
	}}
	for _, s := range have {
		u, err := url.Parse(s.URL)
		switch {
		case err != nil:
		case s.URL == want.String() && s.Status == "active" && s.Name == name:
			return nil
		case s.URL == want.String() || u.Path == want.Path && strings.HasPrefix(s.Name, namePrefix):
			if id := s.ID.String(); isNumber(id) {
				o.method, o.path = http.MethodPut, "webhooks/"+id
			}
		}
	}
	if _, err := k.send(ctx, o); err != nil {
		return err
	}
	return nil
}

// webhookName says which topic a webhook is for, and under which secret it was made: the shop
// does not show secrets, and one that was exchanged must be told to it.
func webhookName(topic, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("webhook name"))
	return namePrefix + topic + " " + hex.EncodeToString(mac.Sum(nil)[:4])
}
