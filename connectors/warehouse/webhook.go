package warehouse

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors"
)

// Headers of a call.
const (
	// SignatureHeader holds "t=<seconds since 1970>,v1=<HMAC-SHA256 of "t.body", hexadecimal>".
	SignatureHeader = "X-Crossdock-Signature"
	// DeliveryHeader may hold the sender's own id of the call.
	DeliveryHeader = "X-Crossdock-Delivery"
)

// Format of the records.
const Format = "warehouse/entry"

// MaxEntries is the longest list that one call may hold.
const MaxEntries = 1000

// maxID is the longest id of an entry, and of a delivery.
const maxID = 128

// receiver authenticates calls.
type receiver struct{ cfg Config }

// Receive checks the signature over the raw bytes first. Then it reads no more than the ids:
// whether an entry makes sense is the translator's matter, whose refusals keep the bytes.
func (r receiver) Receive(_ context.Context, d *connectors.Delivery) ([]connectors.Raw, error) {
	if err := r.authenticate(d); err != nil {
		return nil, err
	}
	delivery := d.Header.Get(DeliveryHeader)
	if len(delivery) > maxID {
		return nil, malformed(DeliveryHeader, "longer than %d bytes", maxID)
	}
	top, err := members(d.Body, "$")
	if err != nil {
		return nil, err
	}
	if len(top) == 1 && top[0].name == "entries" {
		return list(top[0].value, delivery)
	}
	raw, err := entry(d.Body, top, "$", delivery)
	if err != nil {
		return nil, err
	}
	return []connectors.Raw{raw}, nil
}

// list splits a list into its entries. It is taken as a whole or refused as a whole.
func list(value []byte, delivery string) ([]connectors.Raw, error) {
	all, err := elements(value, "$.entries", MaxEntries)
	if err != nil {
		return nil, err
	}
	raws := make([]connectors.Raw, 0, len(all))
	seen := make(map[string]int, len(all))
	for i, body := range all {
		path := fmt.Sprintf("$.entries[%d]", i)
		parts, err := members(body, path)
		if err != nil {
			return nil, err
		}
		raw, err := entry(body, parts, path, delivery)
		if err != nil {
			return nil, err
		}
		if first, twice := seen[raw.Object]; twice {
			return nil, malformed(path+".id", "%q is the id of $.entries[%d] as well", clip(raw.Object), first)
		}
		seen[raw.Object] = i
		raws = append(raws, raw)
	}
	return raws, nil
}

// entry names one entry by its id.
func entry(body []byte, parts []member, path, delivery string) (connectors.Raw, error) {
	raw := connectors.Raw{Subject: connectors.Stock, Body: body, Format: Format, Delivery: delivery}
	found := false
	for _, m := range parts {
		switch m.name {
		case "id":
			id, err := text(m.value, path+".id", maxID, false)
			if err != nil {
				return connectors.Raw{}, err
			}
			raw.Object, found = id, true
		case "occurred_at":
			// A time that cannot be read is the translator's to refuse.
			if at, err := instant(m.value, path); err == nil {
				raw.SourceTime = at
			}
		}
	}
	if !found {
		return connectors.Raw{}, malformed(path+".id", "it is missing")
	}
	return raw, nil
}

// authenticate accepts exactly what Sign writes, in its one spelling: lower case, no spaces,
// no leading zeros. Every other spelling of the same digest is refused, so that no bit of the
// header can be changed.
func (r receiver) authenticate(d *connectors.Delivery) error {
	values := d.Header[http.CanonicalHeaderKey(SignatureHeader)]
	if len(values) != 1 {
		return fmt.Errorf("%s stands %d times in the call: %w", SignatureHeader, len(values), connectors.ErrUnauthentic)
	}
	stamp, _, ok := strings.Cut(strings.TrimPrefix(values[0], "t="), ",")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if !ok || err != nil || seconds < 0 || seconds > 1<<40 {
		return fmt.Errorf("%s is not t=…,v1=…: %w", SignatureHeader, connectors.ErrUnauthentic)
	}
	matched := false
	for _, ref := range []connectors.Secret{r.cfg.Secret, r.cfg.PreviousSecret} {
		if ref == "" {
			continue
		}
		secret, err := ref.Resolve()
		if err != nil {
			if ref == r.cfg.PreviousSecret {
				continue // it may be gone after the rotation
			}
			return fmt.Errorf("checking a warehouse's signature: %w", err)
		}
		if hmac.Equal([]byte(Sign(secret, time.Unix(seconds, 0), d.Body)), []byte(values[0])) {
			matched = true
		}
	}
	if !matched {
		return fmt.Errorf("%s does not match the body and secret: %w", SignatureHeader, connectors.ErrUnauthentic)
	}
	if age := d.Received.Sub(time.Unix(seconds, 0)); age > r.cfg.ReplayWindow || age < -r.cfg.ReplayWindow {
		return fmt.Errorf("signed %s ago, outside of the replay window of %s: sign each attempt anew, and check both clocks: %w",
			age.Round(time.Second), r.cfg.ReplayWindow, connectors.ErrUnauthentic)
	}
	return nil
}

// Sign is the value of SignatureHeader for a body that is sent at a time.
func Sign(secret string, at time.Time, body []byte) string {
	stamp := strconv.AppendInt(nil, at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(stamp)
	mac.Write([]byte{'.'})
	mac.Write(body)
	out := make([]byte, 0, 2+len(stamp)+4+2*sha256.Size)
	out = append(append(append(out, "t="...), stamp...), ",v1="...)
	var sum [sha256.Size]byte
	return string(hex.AppendEncode(out, mac.Sum(sum[:0])))
}
