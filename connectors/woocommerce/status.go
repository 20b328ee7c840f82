package woocommerce

import (
	"fmt"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
)

// statusTrash is that of orders and products in the trash.
const statusTrash = "trash"

// meaning is what an order's status says.
type meaning struct {
	status event.OrderStatus
	// shipped: the shop says that the goods have left. Core WooCommerce has no other word for it.
	shipped bool
	// reason of a cancellation.
	reason string
	// nothing: there is no order yet.
	nothing bool
}

// meanings is what statuses of plugins can be said to mean.
func meanings() map[string]meaning {
	all := map[string]meaning{"ignored": {nothing: true}}
	for _, name := range []string{"pending", "processing", "on-hold", "completed", "cancelled", "refunded", "failed"} {
		all[name], _ = coreStatus(name)
	}
	return all
}

// coreStatus is the table of WooCommerce's own statuses.
//
// A pending order is being paid for: the shop holds its goods back for a while, and so do we;
// it becomes processing or cancelled by itself. A failed one holds nothing back: it counts as
// cancelled until its buyer pays after all, when it comes again as processing. Drafts are
// baskets.
// https://woocommerce.com/document/managing-orders/order-statuses/
func coreStatus(name string) (meaning, bool) {
	switch name {
	case "pending", "processing":
		return meaning{status: event.OrderStatus_ORDER_STATUS_OPEN}, true
	case "on-hold":
		return meaning{status: event.OrderStatus_ORDER_STATUS_ON_HOLD}, true
	case "completed":
		return meaning{status: event.OrderStatus_ORDER_STATUS_CLOSED, shipped: true}, true
	case "refunded":
		return meaning{status: event.OrderStatus_ORDER_STATUS_CLOSED}, true
	case "cancelled", "failed", statusTrash:
		return meaning{status: event.OrderStatus_ORDER_STATUS_CANCELLED, reason: name}, true
	case "auto-draft", "checkout-draft", "draft":
		return meaning{nothing: true}, true
	}
	return meaning{}, false
}

// status is what an order's status means. One that nobody knows is no guess: an order that
// was shipped, or cancelled, by a plugin's word must not go on as if it stood.
func (t *translation) status(name string) (m meaning) {
	m, ok := coreStatus(name)
	if !ok {
		m, ok = meanings()[t.statuses[name]]
	}
	if !ok && t.Err() == nil {
		t.unsupported = fmt.Errorf("%w: order status %q is a plugin's: say under statuses what it means, and send the dead letters again", connectors.ErrUnsupported, jsonread.Clip(name))
	}
	return m
}

// paymentStatus is derived: WooCommerce tells when it was paid, and what was given back.
func paymentStatus(paid bool, cancelled bool, total, refunded int64) event.PaymentStatus {
	switch {
	case refunded > 0 && refunded >= total:
		return event.PaymentStatus_PAYMENT_STATUS_REFUNDED
	case refunded > 0:
		return event.PaymentStatus_PAYMENT_STATUS_PARTIALLY_REFUNDED
	case paid:
		return event.PaymentStatus_PAYMENT_STATUS_PAID
	case cancelled:
		return event.PaymentStatus_PAYMENT_STATUS_VOIDED
	}
	return event.PaymentStatus_PAYMENT_STATUS_PENDING
}
