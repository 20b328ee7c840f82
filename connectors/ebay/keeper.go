package ebay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"

	"github.com/helloword/crossdock/connectors"
)

// keeper makes destination and subscriptions as they should be.
// https://developer.ebay.com/api-docs/commerce/notification/overview.html
type keeper struct{ *client }

type deliveryConfig struct {
	Endpoint          string `json:"endpoint,omitempty"`
	VerificationToken string `json:"verificationToken,omitempty"`
}

// UnmarshalJSON reads an object, or an object inside of a string: eBay's contract says of
// answers that it is a string, the documentation's examples show an object.
func (d *deliveryConfig) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		b = []byte(text)
	}
	type plain deliveryConfig
	if err := json.Unmarshal(b, (*plain)(d)); err != nil {
		*d = deliveryConfig{} // a text that says nothing to us: not ours
	}
	return nil
}

type destination struct {
	ID     string         `json:"destinationId,omitempty"`
	Name   string         `json:"name,omitempty"`
	Status string         `json:"status,omitempty"`
	Config deliveryConfig `json:"deliveryConfig"`
}

type payload struct {
	Format   string `json:"format,omitempty"`
	Version  string `json:"schemaVersion,omitempty"`
	Protocol string `json:"deliveryProtocol,omitempty"`
}

type subscription struct {
	ID          string  `json:"subscriptionId,omitempty"`
	Topic       string  `json:"topicId,omitempty"`
	Status      string  `json:"status,omitempty"`
	Payload     payload `json:"payload"`
	Destination string  `json:"destinationId,omitempty"`
}

// EnsureWebhooks makes the address a destination of notifications and subscribes it to every
// topic that the receiver knows. eBay marks a destination down when it does not answer, so
// that this is called again and again; what is right already is left alone. A destination
// with the same path on another host is ours from before a move, and is turned to the new
// host. While a destination is made, eBay calls it with a challenge: the receiver must be up.
func (k *keeper) EnsureWebhooks(ctx context.Context, address string) error {
	want, err := url.Parse(address)
	if err != nil || want.Host == "" {
		return fmt.Errorf("%w: %q is no address for webhooks: write it as https://…", connectors.ErrPermanent, address)
	}
	if k.cfg.Endpoint != address {
		return fmt.Errorf("%w: endpoint must be %s, or eBay's challenge cannot be answered: correct it in the configuration", connectors.ErrPermanent, address)
	}
	token, err := verification(k.cfg)
	if err != nil {
		return err
	}
	if err := k.ensureConfig(ctx); err != nil {
		return err
	}
	to, err := k.ensureDestination(ctx, want, token)
	if err != nil {
		return err
	}
	for _, who := range []actor{asApplication, asUser} {
		if err := k.ensureTopics(ctx, who, to); err != nil {
			return err
		}
	}
	return nil
}

// ensureConfig sets the alert address: without one eBay takes no subscription.
func (k *keeper) ensureConfig(ctx context.Context) error {
	a, err := k.read(ctx, request{endpoint: callConfig})
	var have struct {
		Email string `json:"alertEmail"`
	}
	switch {
	case missing(err):
	case err != nil:
		return fmt.Errorf("reading the alert address: %w", err)
	default:
		if err := decode(a, callConfig.name(), &have); err != nil {
			return err
		}
	}
	if have.Email != "" && (k.cfg.AlertEmail == "" || have.Email == k.cfg.AlertEmail) {
		return nil
	}
	if k.cfg.AlertEmail == "" {
		return fmt.Errorf("%w: eBay wants to know whom to write to when notifications fail: set alert_email", connectors.ErrPermanent)
	}
	if _, err := k.send(ctx, request{endpoint: callSetConfig, body: map[string]string{"alertEmail": k.cfg.AlertEmail}}); err != nil {
		return fmt.Errorf("setting the alert address: %w", err)
	}
	return nil
}

const enabled = "ENABLED"

func (k *keeper) ensureDestination(ctx context.Context, want *url.URL, token string) (id string, err error) {
	var have []destination
	err = k.pages(ctx, callPlaces, "", func(a *answer) (string, error) {
		var page struct {
			Next         string        `json:"next"`
			Destinations []destination `json:"destinations"`
		}
		err := decode(a, callPlaces.name(), &page)
		have = append(have, page.Destinations...)
		return page.Next, err
	})
	if err != nil {
		return "", fmt.Errorf("listing destinations: %w", err)
	}
	body := destination{Name: "crossdock " + k.deps.Account, Status: enabled, Config: deliveryConfig{want.String(), token}}
	old := ""
	for _, d := range have {
		if d.Config.Endpoint == want.String() && d.Status == enabled && (d.Config.VerificationToken == token || d.Config.VerificationToken == "") {
			return d.ID, nil
		}
		if u, err := url.Parse(d.Config.Endpoint); err == nil && u.Path == want.Path {
			old = d.ID
		}
	}
	if old != "" {
		if _, err := k.send(ctx, request{endpoint: callSetPlace, ids: []string{old}, body: body}); err != nil {
			return "", fmt.Errorf("correcting the destination: %w", err)
		}
		return old, nil
	}
	a, err := k.send(ctx, request{endpoint: callAddPlace, body: body})
	if err != nil {
		return "", fmt.Errorf("making the destination (eBay must reach %s and get its challenge answered): %w", want.Host, err)
	}
	if id = path.Base(a.header.Get("Location")); id == "." || id == "/" {
		return "", errors.New("eBay made a destination and did not name it: it is found the next time")
	}
	return id, nil
}

func (k *keeper) ensureTopics(ctx context.Context, who actor, to string) error {
	have := map[string]subscription{}
	err := k.pages(ctx, callTopics, who, func(a *answer) (string, error) {
		var page struct {
			Next          string         `json:"next"`
			Subscriptions []subscription `json:"subscriptions"`
		}
		err := decode(a, callTopics.name(), &page)
		for _, s := range page.Subscriptions {
			have[s.Topic] = s
		}
		return page.Next, err
	})
	if err != nil {
		return fmt.Errorf("listing subscriptions: %w", err)
	}
	for _, t := range topics() {
		if t.as != who {
			continue
		}
		body := subscription{Topic: t.name, Status: enabled, Destination: to, Payload: payload{"JSON", t.version, "HTTPS"}}
		s, known := have[t.name]
		if !known {
			if _, err := k.send(ctx, request{endpoint: callSubscribe, as: who, body: body}); err != nil && !conflict(err) {
				return fmt.Errorf("subscribing to %s: %w", t.name, err)
			}
			continue
		}
		if s.Destination != to || s.Payload != body.Payload {
			body.Topic = "" // it cannot be changed, and is not part of an update
			if _, err := k.send(ctx, request{endpoint: callResubscribe, ids: []string{s.ID}, as: who, body: body}); err != nil {
				return fmt.Errorf("correcting the subscription to %s: %w", t.name, err)
			}
		}
		if s.Status != enabled {
			if _, err := k.send(ctx, request{endpoint: callEnable, ids: []string{s.ID}, as: who}); err != nil && !conflict(err) {
				return fmt.Errorf("enabling the subscription to %s: %w", t.name, err)
			}
		}
	}
	return nil
}

// conflict: it is there already, or enabled already; another process was faster.
func conflict(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.status == http.StatusConflict
}

// maxListPages bounds a list of the Notification API; there are fewer than 100 of anything.
const maxListPages = 50

// pages reads a list that goes on with a token. Of "next" only the token is used: an answer
// cannot send us elsewhere.
func (k *keeper) pages(ctx context.Context, call endpoint, who actor, each func(*answer) (next string, err error)) error {
	q := url.Values{"limit": {"100"}}
	for range maxListPages {
		a, err := k.read(ctx, request{endpoint: call, as: who, query: q})
		if err != nil {
			return err
		}
		next, err := each(a)
		if err != nil || next == "" {
			return err
		}
		u, err := url.Parse(next)
		if err != nil || u.Query().Get("continuation_token") == "" {
			return nil
		}
		q = url.Values{"limit": {"100"}, "continuation_token": {u.Query().Get("continuation_token")}}
	}
	return fmt.Errorf("%s has more than %d pages", call.name(), maxListPages)
}
