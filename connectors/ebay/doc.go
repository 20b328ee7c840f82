// Package ebay is the connector to one seller's account at eBay: the Sell APIs (Fulfillment
// v1, Inventory v1) for orders, listings, stock, prices and shipments, the Notification API
// for what eBay tells by itself, and the Analytics API for what is left of the quotas.
//
// Comes in: notifications (webhook.go), answers to polls (poll.go, crawl.go), writes
// (push.go, fulfil.go, refund.go). Goes out: raw records, and by translate.go the facts
// Order, Product and InventoryObservation; results of writes. Keeps: access tokens and the
// journal of refunds, through the token store that is handed in. What it remembers in memory
// (offers of a SKU, fingerprints of what was emitted, revisions of a day) is a saving and no
// truth: a crash costs a repetition.
//
// Quirks that shaped the code, each with its source at the place:
//   - Orders cannot be sorted and their pages are counted: an order that changes while pages
//     are read moves the others. A window of time is therefore made so small that it fits
//     into one page.
//   - Unpaid orders are not shown, and getOrders leaves the reasons of cancellations out.
//   - A stock write is blind and has no idempotency key; 200 is not success, each entry of
//     the answer carries a status of its own.
//   - What a buyer can buy is the lower of the inventory item's and the offer's quantity.
//   - A listing can be revised 250 times on one day.
package ebay
