// Package woocommerce is the connector to one WooCommerce shop: REST API wc/v3 for everything
// that we ask and write, and webhooks for what the shop tells by itself. It was written
// against WooCommerce 11.0.1 on WordPress 6.9 and asks for nothing that 3.5 did not have,
// except where it says so.
// https://woocommerce.github.io/woocommerce-rest-api-docs/
//
// Comes in: webhook calls (webhook.go), answers to polls (poll*.go), stock writes (push.go).
// Goes out: raw records, and by translate*.go the facts Order, Refund, Product,
// ProductDeleted and InventoryObservation; results of writes. Keeps nothing: keys do not
// expire, and cursors are kept by the caller. A crash costs a repetition.
//
// Quirks that shaped the code, each with its place:
//   - A shop is somebody's own server: caches, firewalls and PHP warnings answer in its stead,
//     with HTML, redirects and 200 (client.go).
//   - Basic authentication counts over TLS only; over plain HTTP each call is signed by
//     OAuth 1.0a (oauth.go).
//   - modified_after is exclusive, counts seconds and reads a time with a zone wrongly; pages are
//     offsets and drift (poll.go).
//   - A failed webhook is never sent again, and after some failures none is (keeper.go).
//   - A refund does not change the order's figures, and its lines are a resource of their own;
//     what went back to the shelf stands on the order's line alone (translate_order.go).
//   - A stock write is absolute and compares nothing; a batch answers 200 with errors inside;
//     a shop that does not manage stock takes the write, says 200 and does nothing (push.go).
package woocommerce
