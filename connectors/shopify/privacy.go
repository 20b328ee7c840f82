package shopify

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
)

// privacyTerm is how long Shopify gives for each of the three, counted from when it asked.
// https://shopify.dev/docs/apps/build/compliance/privacy-law-compliance (read 2026-11)
const privacyTerm = 30 * 24 * time.Hour

// privacy reads a request about people's data. What else it says of the person (mail, telephone)
// is passed over: the platform's ids are enough to find what is held.
func (t *translation) privacy(rec *connectors.Record) *event.PrivacyRequest {
	r := t.r
	q := &event.PrivacyRequest{Connector: provider, Account: t.account}
	var shop, customer, asked string
	var seen jsonread.Members
	if !r.Object() {
		r.Unexpected("a request about people's data")
		return nil
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "shop_id":
			r.Once(&seen, 0)
			shop = r.ID()
		case "customer":
			r.Once(&seen, 1)
			customer = r.memberID("id")
		case "orders_requested", "orders_to_redact":
			r.Once(&seen, 2)
			for ok := r.Array(); ok && r.More(); {
				if id := r.ID(); id != "" {
					q.OrderIds = append(q.OrderIds, t.keep(id))
				}
			}
		case "data_request":
			r.Once(&seen, 3)
			asked = r.memberID("id")
		default:
			r.Skip()
		}
	}
	if r.Err() != nil {
		return nil
	}
	if customer != "" {
		q.BuyerIds = []string{t.keep(customer)}
	}
	switch rec.Format {
	case formatDataRequest:
		q.Kind = event.PrivacyKind_PRIVACY_KIND_DATA_REQUEST
	case formatCustomerRedact:
		q.Kind = event.PrivacyKind_PRIVACY_KIND_BUYER
	case formatShopRedact:
		q.Kind = event.PrivacyKind_PRIVACY_KIND_ACCOUNT
	}
	switch {
	case shop == "":
		r.Fail("a request about people's data needs shop_id")
	case q.Kind != event.PrivacyKind_PRIVACY_KIND_ACCOUNT && customer == "" && len(q.OrderIds) == 0:
		r.Fail("a request about a buyer names neither customer nor orders")
	}
	if asked != "" {
		q.Id = "data-" + asked
	} else {
		// Shopify names no other request: what it says, and when it asked, is its name, so that the
		// same one delivered again is the same, and one of another year is not.
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %s", rec.Format, rec.SourceTime.UnixMilli(), r.Source()))
		q.Id = hex.EncodeToString(sum[:6])
	}
	if !rec.SourceTime.IsZero() {
		q.RequestedMs = rec.SourceTime.UnixMilli()
		q.DueMs = rec.SourceTime.Add(privacyTerm).UnixMilli()
	}
	return q
}

// memberID reads one id of an object and passes over the rest.
func (r *reader) memberID(member string) (id string) {
	if !r.Object() {
		return ""
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		if key == member {
			id = r.ID()
		} else {
			r.Skip()
		}
	}
	return id
}
