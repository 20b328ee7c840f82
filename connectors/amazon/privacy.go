package amazon

import (
	"time"

	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
)

// personalTerm is how long Amazon lets its sellers know who bought: 30 days after delivery, says
// its Data Protection Policy. When a parcel was delivered is not always told; when it was handed
// over is, and comes before, so that it is counted from then.
// https://sellercentral.amazon.com/mws/static/policy?documentType=DPP (read 2026-11)
const personalTerm = 30 * 24 * time.Hour

// parcel reads when one package was handed to its carrier.
func (t *translation) parcel(p *orderParts) {
	r := t.r
	var seen jsonread.Members
	if !r.Object() {
		return
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "shipTime":
			r.Once(&seen, 0)
			p.shippedMs = max(p.shippedMs, r.Instant())
		default:
			r.Skip()
		}
	}
}

// bound says until when the order's buyer may be known: once nothing is left to be shipped. An
// order that ended and does not say when (Amazon ships its own, and tells no package) is counted
// from when it was placed, which is earlier still.
func bound(o *event.Order, p *orderParts) {
	if o.Personal == nil && o.BuyerId == "" {
		return
	}
	from := o.CreatedMs
	switch {
	case o.CancelledMs != 0:
		from = o.CancelledMs
	case o.Status == event.OrderStatus_ORDER_STATUS_CANCELLED:
	case o.FulfilmentStatus == event.FulfilmentStatus_FULFILMENT_STATUS_RESTOCKED:
	case o.FulfilmentStatus != event.FulfilmentStatus_FULFILMENT_STATUS_FULFILLED:
		return
	case p.shippedMs != 0:
		from = p.shippedMs
	}
	o.PersonalUntilMs = from + personalTerm.Milliseconds()
}
