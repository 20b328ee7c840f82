package amazon

import (
	"context"
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
)

// canceller cancels orders, by the feed that acknowledges them with the status Failure.
//
// That an order is cancelled is in the order. So it is read before anything is sent and whenever
// the command comes back, and nothing but its status CANCELLED is taken for done: a feed that
// Amazon took without an error is confirmed by it (feeder has what is written down, and why).
// A feed of which nobody knows whether it was made is sent again after a while: an order is
// cancelled once, however many feeds say so. It is never sent once a unit has left: Amazon would
// give all the money back (https://sellercentral.amazon.com/help/hub/reference/G200387140).
//
// Amazon tells the buyer, and charges nobody: an order is paid for when it is shipped.
type canceller struct{ feeder }

// maxCancels is how often a cancellation is sent, when Amazon gives its feeds up.
const maxCancels = 3

// Codes of cancellations.
const (
	codeShipped    = "SHIPPED"
	codeConfirming = "CONFIRMING"
	codeNothing    = "NOTHING_LEFT"
	codeDoneBefore = "DONE_BEFORE"
)

// CancelOrder cancels what was not cancelled yet of an order of which nothing is shipped.
func (k *canceller) CancelOrder(ctx context.Context, w connectors.CancelWrite) (connectors.Result, error) {
	if w.OrderID == "" || w.CommandID == "" {
		return refused(codeInvalid, "a cancellation needs an order and a command"), nil
	}
	b, unlock, err := k.open(ctx, w.OrderID)
	if err != nil {
		return asked(err)
	}
	defer unlock()
	s := b.Journal[w.CommandID]
	if s != nil {
		if r := s.answer(); r != nil {
			return *r, nil
		}
	}
	o, err := k.orderNow(ctx, w.OrderID, "FULFILLMENT", connectors.Urgent)
	switch {
	case err != nil && s != nil:
		return k.unread(s, err)
	case err != nil:
		return asked(err)
	case o.Fulfilment.Status == statusCancelled && s != nil:
		return b.end(ctx, s, done("", "the order is cancelled")), nil
	case o.Fulfilment.Status == statusCancelled:
		return done(codeDoneBefore, "the order was cancelled before"), nil
	case s == nil:
		return k.hand(ctx, b, w, o, nil)
	}
	if s.Feed == "" {
		if k.age(s.At) < settleTime {
			return unsettled(codeSettling, k.patience(s.At), "it may have been sent: the order tells"), nil
		}
		return k.hand(ctx, b, w, o, s)
	}
	confirming := unsettled(codeConfirming, k.patience(s.At), "Amazon took feed "+s.Feed+" without an error, and the order does not say so yet")
	if s.Judged {
		return confirming, nil
	}
	end, v, err := k.follow(ctx, w.CommandID, s, connectors.Urgent)
	switch {
	case err != nil:
		return k.unread(s, err)
	case end == feedPending:
		return unsettled(codeProgress, k.patience(s.At), "feed "+s.Feed+" is not processed yet"), nil
	case end == feedWithdrawn:
		return b.end(ctx, s, refused(codeWithdrawn, "feed "+s.Feed+" was cancelled before Amazon began it")), nil
	case end == feedJudged && v.doubt == "" && v.failed > 0:
		return b.end(ctx, s, refused(v.why())), nil
	case end == feedJudged && v.doubt == "":
		s.Judged = true
		if err := b.save(ctx); err != nil {
			k.deps.Log.Warn("that a feed was taken could not be written down: its report is read again", "err", err)
		}
		return confirming, nil
	case k.age(s.At) < settleTime:
		return unsettled(codeBroken, k.patience(s.At), "feed "+s.Feed+" was given up, or its report says nothing: the order tells"), nil
	case s.Sent >= maxCancels:
		return b.end(ctx, s, refused(codeBroken, "Amazon gave up every feed, and the order is not cancelled: cancel it in Seller Central")), nil
	}
	return k.hand(ctx, b, w, o, s)
}

// hand sends a feed; before is what an earlier attempt wrote down, when there was one.
func (k *canceller) hand(ctx context.Context, b *book, w connectors.CancelWrite, o *orderNow, before *sending) (connectors.Result, error) {
	end := func(r connectors.Result) (connectors.Result, error) {
		if before != nil {
			r = b.end(ctx, before, r)
		}
		return r, nil
	}
	switch {
	case o.Fulfilment.By == byAmazon:
		return end(refused(codeAmazon, "Amazon ships this order itself: only the buyer and Amazon can cancel it"))
	case o.waits():
		return later(o.Fulfilment.Status, pendingPause, "Amazon lets no order be cancelled before it is paid"), nil
	case o.shipped():
		return end(refused(codeShipped, "some of it is shipped: refund it instead"))
	}
	message := acknowledgement{Order: w.OrderID, Status: "Failure"}
	for _, i := range o.Items {
		if i.Fulfilment.Open > 0 {
			message.Items = append(message.Items, acknowledgedItem{i.ID, cancelReason(w.Reason, w.Restock)})
		}
	}
	if len(message.Items) == 0 {
		return end(refused(codeNothing, "nothing of the order is left to cancel"))
	}
	content, err := feedDocument(k.cfg.SellerID, feedCancel, []feedMessage{{ID: messageID(w.CommandID, 0), Cancel: &message}})
	if err != nil {
		return asked(err)
	}
	at, since, err := k.prepare(ctx, content, connectors.Urgent)
	if err != nil {
		return outcome(err), whole(err)
	}
	s := &sending{Kind: feedCancel, At: k.deps.Now().UTC(), Since: since, Messages: 1, Sent: 1}
	if before != nil {
		s.Sent = before.Sent + 1
	}
	if err := b.begin(ctx, w.CommandID, s); err != nil {
		return asked(err)
	}
	feed, err := k.create(ctx, s, o.Channel.Marketplace, at, connectors.Urgent)
	switch {
	case calls.IsUnsent(err):
		b.undo(ctx, w.CommandID, before)
		return outcome(err), whole(err)
	case err != nil:
		return k.unread(s, err)
	}
	b.made(ctx, s, feed)
	return unsettled(codeProgress, k.patience(s.At), "feed "+feed+" is handed in"), nil
}

// cancelReason is a CancelReason of OrderAcknowledgement.xsd. Amazon puts the units up for sale
// again for every reason but NoInventory, so that a reason that Amazon does not have is one or
// the other by what is wanted of them. What is shown after that is ours to write.
func cancelReason(reason string, restock bool) string {
	switch strings.ToLower(strings.TrimSpace(reason)) {
	case "customer", "buyer", "buyer_asked_cancel", "buyer_cancel":
		return "BuyerCanceled"
	case "address", "address_issues":
		return "ShippingAddressUndeliverable"
	case "exchange":
		return "CustomerExchange"
	case "fraud":
		return "RiskAssessmentInformationNotValid"
	case "inventory", "out_of_stock", "short", "no_stock":
		return "NoInventory"
	case "staff", "error", "mistake":
		return "GeneralAdjustment"
	}
	if restock {
		return "GeneralAdjustment"
	}
	return "NoInventory"
}
