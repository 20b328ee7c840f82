// Package simulator is one WooCommerce shop that can be run on this machine: an http.Handler
// with state, that answers the part of wc/v3 that the connector asks for, as WooCommerce 11
// does, and delivers webhooks.
//
// Comes in: HTTP calls, and by the Go methods what happens in a shop (orders, edits, refunds,
// shipments, stock). Goes out: answers, and signed webhooks to whoever subscribed. Keeps:
// everything in memory; a crash loses the shop, as it is nobody's truth but the test's.
//
// What it does as measured with a real 11.0.1:
//
//   - Basic authentication over TLS only, else OAuth 1.0a with HMAC-SHA256: each nonce once,
//     timestamps of 15 minutes around the shop's clock.
//   - modified_after leaves its second out, and with a zone and dates_are_gmt is off by the
//     shop's; times are whole seconds without a zone, UTC in members that end in _gmt and the
//     shop's own (Config.Zone) in the others; pages are offsets, and shift
//     when an object changes while they are read; per_page up to 100; "any" leaves the trash
//     out.
//   - A batch answers 200 with an error for each object that it did not do; more than 100
//     objects are 413. Stock writes are absolute, and ignored while stock management is off.
//   - A change of a variation, and a sale, do not touch date_modified of the product.
//   - A refund leaves total and quantity as they were; what went back to the shelf is
//     _restock_refunded_items of the order's line. Cancelling puts back once.
//   - Webhooks: a ping that is not signed when one is made; the state at the time of delivery,
//     changes before it folded into one; one attempt, no other; switched off at the seventh
//     failure in a row; text escaped as PHP does.
//
// Not simulated: several currencies, coupons beyond one per order, prices that include tax,
// partial shipments (the core knows none), customers, the log of webhooks.
package simulator
