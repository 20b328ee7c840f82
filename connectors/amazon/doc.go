// Package amazon is the connector to Amazon's Selling Partner API: Orders 2026-01-01,
// Listings Items 2021-08-01, Reports 2021-06-30, Feeds 2021-06-30, Finances 2024-06-19, FBA
// Inventory v1, Notifications v1, and of Orders v0 only confirmShipment, which has no successor.
//
// Comes in: answers to polls and the notifications that wait in a queue of Amazon SQS. Goes
// out: raw records, and by translate.go the facts Order, Product and InventoryObservation;
// results of writes. Keeps, through the token store that is handed in: access tokens (auth.go),
// and by order what was cancelled and refunded, or may have been (feed.go).
//
// How nothing is lost. Amazon writes each notification into our queue and keeps it there
// until it is deleted. A poll receives messages, reads each order that they name, emits it,
// and puts the receipt handles into its cursor; it deletes nothing. The cursor is stored only
// when everything emitted is in Kafka, and the next poll, which is asked with that cursor,
// deletes them first. A crash in between, a lost answer or a handle that has expired brings a
// message a second time, never none. An order that cannot be read leaves its message in the
// queue. searchOrders reads again, behind all this, every order that changed: with an overlap
// of hours each time, and of days once a day, because Amazon itself calls notifications
// something that needs a backup and its list has been seen to leave orders out.
//
// Quirks that shaped the code, each with its source at the place:
//   - searchOrders may be asked once in three minutes; it is the reconciler, and getOrder is
//     the way a change is read.
//   - A stock write that is ACCEPTED was received and not applied yet. The write is Accepted
//     then, because Amazon has taken it over; that it was applied is seen from outside, by the
//     quantities that the inventory poller, the queue and ReadStock report.
//   - Cancellations and refunds go by feeds, which have no idempotency key and take minutes: what
//     is sent is written down before, and done is what the order or the feed's report says.
//   - Patching the merchant's quantity of a listing that Amazon fulfils would take it out of
//     Amazon's warehouse: every write looks first who fulfils.
//   - 403 means an expired token as well as a missing role; the text tells them apart.
package amazon
