// Package simulator is one Magento 2 shop that can be run on this machine: an http.Handler
// with state, that speaks the part of REST V1 that the connector uses.
//
// Comes in: HTTP calls, and by the Go methods what happens in a shop (orders, invoices,
// shipments, credit memos, stock). Goes out: answers; Open Source has no webhooks. Keeps:
// everything in memory; a crash loses the shop, as it is nobody's truth but the test's.
//
// What it does as a 2.4.7 was seen to do:
//   - times in UTC without saying so, in whole seconds; gt is exclusive, gteq inclusive
//   - pages are counted, so that they drift when an object changes between two of them; a
//     page behind the end is empty (OldPaging: repeats the last page, as 2.0 to 2.3 do);
//     with "fields", a list without objects is null
//   - an order reserves; a shipment takes from the source and ends the reservation; only a
//     change of the order's own columns moves its updated_at, so a second partial shipment
//     does not
//   - a source item is written for a SKU that does not exist, and the answer is 200
//   - prices and stock written by the API do not move a product's updated_at
//   - a cancellation that is not possible is answered 200 false; errors are templates
//   - OAuth 1.0a with HMAC-SHA256 only, a nonce counts once, parameters are sorted in natural
//     order before they are signed; an integration's token alone is refused
//
// Time: created_at is what an order says, so that history can be played; updated_at is the
// shop's own clock, which is what polls go by.
//
// Not simulated: several sources of one stock, custom options, partial invoices, carts, the
// asynchronous bulk API.
package simulator
