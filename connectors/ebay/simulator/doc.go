// Package simulator is one seller's account at eBay that can be run on this machine: an
// http.Handler with state, that speaks the parts of the Fulfillment, Inventory,
// Notification, Post-Order and Analytics APIs that the connector calls, hands out OAuth tokens, and
// delivers signed notifications.
//
// Comes in: HTTP calls, and by the Go methods what happens on a marketplace (orders,
// payments, shipments, cancellations, refunds, stock). Goes out: answers, and notifications
// to the destinations that were registered. Keeps: everything in memory; a crash loses the
// account, as it is nobody's truth but the test's.
//
// What it enforces as eBay does: getOrders shows paid orders only, filters by
// lastmodifieddate in milliseconds with both ends included, refuses times in the future and
// more than two years, knows no order of results, counts pages, and leaves cancelRequests
// out; inventory items are paged by page number and tell no time of change; limits of 200,
// 25 and 100; what can be bought is the lower of the item's and the offer's quantity; 250
// revisions of a listing a day; quotas a day by API, which the Analytics API tells and 429
// enforces; refunds are asynchronous; the challenge of a destination; one alert address
// before the first subscription; X-EBAY-SIGNATURE by ECDSA, with a key that is fetched by id.
//
// Not simulated: auctions, several marketplaces, the Trading API, returns, seller hub
// edits other than by the Go methods.
package simulator
