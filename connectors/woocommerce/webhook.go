package woocommerce

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"mime"
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
)

// topic is one kind of webhook that we ask for.
type topic struct {
	name    string
	subject connectors.Subject
	format  string
}

// topics is all of them. EnsureWebhooks subscribes to exactly these.
func topics() []topic {
	return []topic{
		{"order.created", connectors.Orders, formatOrder},
		{"order.updated", connectors.Orders, formatOrder},
		{"order.restored", connectors.Orders, formatOrder},
		{"order.deleted", connectors.Orders, formatOrderDelete},
		{"product.created", connectors.Products, formatProduct},
		{"product.updated", connectors.Products, formatProduct},
		{"product.restored", connectors.Products, formatProduct},
		{"product.deleted", connectors.Products, formatProductGone},
	}
}

// receiver authenticates webhook calls.
// https://woocommerce.github.io/woocommerce-rest-api-docs/#webhooks
type receiver struct{ cfg Config }

// Receive checks the signature over the raw bytes first. What it cannot check is when the
// call was made: WooCommerce signs no time. A call that is repeated brings a state that is
// known already, or older than what is known, and changes nothing.
func (rc *receiver) Receive(_ context.Context, d *connectors.Delivery) ([]connectors.Raw, error) {
	if isPing(d) {
		return nil, nil
	}
	if err := rc.authenticate(d); err != nil {
		return nil, err
	}
	id := d.Header.Get("X-WC-Webhook-Delivery-ID")
	if id == "" || len(id) > 200 {
		return nil, fmt.Errorf("%w: X-WC-Webhook-Delivery-ID is missing", connectors.ErrMalformed)
	}
	name := d.Header.Get("X-WC-Webhook-Topic")
	for _, t := range topics() {
		if t.name != name {
			continue
		}
		object, err := objectID(d.Body)
		if err != nil {
			return nil, fmt.Errorf("webhook %s: %w", name, err)
		}
		raw := connectors.Raw{Subject: t.subject, Object: object, Body: d.Body, Format: t.format, Delivery: id}
		if t.format == formatProductGone || t.format == formatOrderDelete {
			// The body is the id alone, and nobody else says when: it was not long ago.
			raw.SourceTime = d.Received.UTC().Truncate(time.Millisecond)
		}
		return []connectors.Raw{raw}, nil
	}
	// A topic that somebody else subscribed to on this address: it is the shop's, and there is
	// nothing in it for us.
	return nil, nil
}

// isPing recognises what the shop sends when a webhook is made: a form with nothing but the
// webhook's number, and no signature. It carries nothing, so that nothing is lost by
// believing it; answered with an error, it would count as the webhook's first failure.
func isPing(d *connectors.Delivery) bool {
	kind, _, err := mime.ParseMediaType(d.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" || len(d.Header.Values("X-WC-Webhook-Signature")) > 0 {
		return false
	}
	number, ok := strings.CutPrefix(string(d.Body), "webhook_id=")
	if !ok || number == "" || len(number) > 19 {
		return false
	}
	return strings.Trim(number, "0123456789") == ""
}

// authenticate compares X-WC-Webhook-Signature with the digests under the current and the
// previous secret, in constant time. Secrets are read at each call, so that a rotation needs
// no restart.
func (rc *receiver) authenticate(d *connectors.Delivery) error {
	given := d.Header.Get("X-WC-Webhook-Signature")
	matched := 0
	for _, s := range []connectors.Secret{rc.cfg.WebhookSecret, rc.cfg.PreviousWebhookSecret} {
		if s == "" {
			continue
		}
		secret, err := s.Resolve()
		if err != nil {
			if s == rc.cfg.PreviousWebhookSecret {
				continue // it may be gone after the rotation
			}
			return fmt.Errorf("checking a webhook's signature: %w", err)
		}
		matched |= subtle.ConstantTimeCompare([]byte(Sign(secret, d.Body)), []byte(given))
	}
	if matched == 0 {
		return fmt.Errorf("%w: the signature does not match webhook_secret", connectors.ErrUnauthentic)
	}
	return nil
}

// Sign is the value of X-WC-Webhook-Signature: base64 of HMAC-SHA256 over the raw body. The
// text is compared, not what it decodes to: base64 has several spellings of some digests.
func Sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// objectID is what the record is keyed by: the order, or the product; of a variation, which
// comes as a product, the product that it belongs to.
func objectID(body []byte) (string, error) {
	r := jsonread.New(body)
	if r.Peek() != '{' {
		r.Unexpected("an object")
		return "", r.Err()
	}
	var id, parent, kind string
	r.Object()
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "id":
			id = r.ID()
		case "parent_id":
			parent = r.ID()
		case "type":
			kind = r.Text()
		default:
			r.Skip()
		}
	}
	if id == "" {
		r.Fail("id is missing")
	}
	if kind == "variation" && parent != "" && parent != "0" {
		id = parent
	}
	return id, r.Err()
}
