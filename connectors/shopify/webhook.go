package shopify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors"
)

// topic is one kind of webhook that we ask for.
type topic struct {
	name    string
	subject connectors.Subject
	format  string
	// object names the member that holds the id under which the record is keyed. Refunds go
	// by their order, so that both land in the same partition and stay in order.
	object string
}

// topics is all of them. EnsureWebhooks subscribes to exactly these.
func topics() []topic {
	return []topic{
		{"orders/create", connectors.Orders, formatOrder, "id"},
		{"orders/updated", connectors.Orders, formatOrder, "id"},
		{"orders/paid", connectors.Orders, formatOrder, "id"},
		{"orders/cancelled", connectors.Orders, formatOrder, "id"},
		{"orders/fulfilled", connectors.Orders, formatOrder, "id"},
		{"orders/partially_fulfilled", connectors.Orders, formatOrder, "id"},
		{"orders/edited", connectors.Orders, formatOrderEdit, "order_id"},
		{"orders/delete", connectors.Orders, formatOrderDelete, "id"},
		{"refunds/create", connectors.Orders, formatRefund, "order_id"},
		{"products/create", connectors.Products, formatProduct, "id"},
		{"products/update", connectors.Products, formatProduct, "id"},
		{"products/delete", connectors.Products, formatProductGone, "id"},
		{"inventory_levels/update", connectors.Inventory, formatLevel, "inventory_item_id"},
	}
}

// complianceTopics is what every app has to take about people's data. They are subscribed to in
// the app's own settings and never by API. All three tell the shop's id, by which they are
// keyed, so that they stay in order; they go to the topic of raw orders.
// https://shopify.dev/docs/apps/build/compliance/privacy-law-compliance
func complianceTopics() []topic {
	return []topic{
		{"customers/data_request", connectors.Orders, formatDataRequest, "shop_id"},
		{"customers/redact", connectors.Orders, formatCustomerRedact, "shop_id"},
		{"shop/redact", connectors.Orders, formatShopRedact, "shop_id"},
	}
}

func topicNamed(name string) (topic, bool) {
	for _, list := range [...]func() []topic{topics, complianceTopics} {
		for _, t := range list() {
			if t.name == name {
				return t, true
			}
		}
	}
	return topic{}, false
}

// receiver authenticates webhook calls.
// https://shopify.dev/docs/apps/build/webhooks/subscribe/https
type receiver struct{ cfg Config }

// Receive checks the signature over the raw bytes first; nothing of a call that is not
// Shopify's is looked at further, and every refusal of that kind reads the same.
func (rc *receiver) Receive(_ context.Context, d *connectors.Delivery) ([]connectors.Raw, error) {
	if err := rc.authenticate(d); err != nil {
		return nil, err
	}
	h := d.Header
	if domain := h.Get("X-Shopify-Shop-Domain"); !strings.EqualFold(domain, rc.cfg.Shop) {
		return nil, fmt.Errorf("%w: the webhook is of another shop", connectors.ErrUnauthentic)
	}
	triggered, err := time.Parse(time.RFC3339, h.Get("X-Shopify-Triggered-At"))
	if err != nil {
		return nil, fmt.Errorf("%w: X-Shopify-Triggered-At is missing or not a time", connectors.ErrUnauthentic)
	}
	if age := d.Received.Sub(triggered); age > rc.cfg.ReplayWindow || age < -clockSkew {
		return nil, fmt.Errorf("%w: triggered %s ago, outside of the replay window of %s: check this machine's clock, or raise replay_window",
			connectors.ErrUnauthentic, age.Round(time.Second), rc.cfg.ReplayWindow)
	}
	id := h.Get("X-Shopify-Webhook-Id")
	if id == "" || len(id) > 200 {
		return nil, fmt.Errorf("%w: X-Shopify-Webhook-Id is missing", connectors.ErrMalformed)
	}
	name := h.Get("X-Shopify-Topic")
	if t, ok := topicNamed(name); ok {
		object, err := objectID(d.Body, t.object)
		if err != nil {
			return nil, fmt.Errorf("webhook %s: %w", name, err)
		}
		return []connectors.Raw{{
			Subject: t.subject, Object: object, Body: d.Body, Format: t.format,
			Delivery: id, SourceTime: triggered.UTC(),
		}}, nil
	}
	// A topic that somebody else subscribed to on this address: it is Shopify's, and there is
	// nothing in it for us.
	return nil, nil
}

// clockSkew is how far Shopify's clock may be ahead of ours.
const clockSkew = 5 * time.Minute

// authenticate compares X-Shopify-Hmac-Sha256 with the digests under the current and the
// previous secret, in constant time. Secrets are read at each call, so that a rotation needs
// no restart.
func (rc *receiver) authenticate(d *connectors.Delivery) error {
	given := d.Header.Get("X-Shopify-Hmac-Sha256")
	secrets, err := rc.cfg.signing()
	if err != nil {
		return fmt.Errorf("checking a webhook's signature: %w", err)
	}
	matched := 0
	for _, secret := range secrets {
		matched |= subtle.ConstantTimeCompare([]byte(Sign(secret, d.Body)), []byte(given))
	}
	if matched == 0 {
		return fmt.Errorf("%w: the signature does not match client_secret (a test notification sent from the admin is signed with another one)", connectors.ErrUnauthentic)
	}
	return nil
}

// Sign is the value of X-Shopify-Hmac-Sha256: base64 of HMAC-SHA256 over the raw body. The
// text is compared, not what it decodes to: base64 has several spellings of some digests.
func Sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// objectID reads one member of the body and nothing behind it. Edits wrap their one object.
func objectID(body []byte, member string) (string, error) {
	r := newReader(body)
	if !r.Object() {
		r.Unexpected("an object")
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case member:
			if id := r.ID(); id != "" {
				return id, nil
			}
			r.Fail("%s is empty", member)
		case "order_edit":
			if member == "order_id" && r.Peek() == '{' {
				return objectID([]byte(r.Raw()), member)
			}
			r.Skip()
		default:
			r.Skip()
		}
	}
	r.Fail("%s is missing", member)
	return "", r.Err()
}
