package ebay

import (
	"time"

	"github.com/helloword/crossdock/schemas/event"
)

// privacyTerm is until when a deletion has to be done. eBay wants it as soon as possible and
// names no day; the month that the GDPR gives is what it can be held to.
// https://developer.ebay.com/marketplace-account-deletion (read 2026-11)
const privacyTerm = 30 * 24 * time.Hour

// deletion reads the notice that a user of eBay has closed the account. Every application gets
// the notices of all users, whoever they bought from. Orders name a buyer by the username or,
// where eBay withholds it, by the immutable id, so that both are looked for; they mean the same
// person on every account.
func (t *translation) deletion() *event.PrivacyRequest {
	n := readNotification(&t.r)
	if t.r.Err() != nil {
		return nil
	}
	q := &event.PrivacyRequest{
		Connector: provider, Account: t.account, Id: n.id,
		Kind: event.PrivacyKind_PRIVACY_KIND_BUYER, EveryAccount: true,
	}
	for _, id := range [...]string{n.user, n.username} {
		if id != "" {
			q.BuyerIds = append(q.BuyerIds, id)
		}
	}
	if n.id == "" || len(q.BuyerIds) == 0 {
		t.r.Fail("the notice of a closed account needs notificationId and userId or username")
		return nil
	}
	at := n.event
	if at.IsZero() {
		at = n.publish
	}
	if !at.IsZero() {
		q.RequestedMs, q.DueMs = at.UnixMilli(), at.Add(privacyTerm).UnixMilli()
	}
	return q
}
