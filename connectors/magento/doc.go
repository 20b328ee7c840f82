// Package magento is the connector to Magento 2: Magento Open Source and Adobe Commerce on
// their own servers (REST below /rest/STORE/V1), and Adobe Commerce as a Cloud Service (REST
// below /V1 of a tenant). Written against the contract of 2.4.9, and what a 2.4.7-p3 was
// seen to do.
//
// Comes in: answers to polls (poll.go, inventory.go); Open Source has no webhooks. Goes out:
// raw records, and by translate.go the facts Order (with its refunds), Product and
// InventoryObservation; stock, prices, shipments, cancellations and refunds. Keeps: an admin
// or IMS token, through the token store that is handed in (auth.go). A crash costs a
// repetition: polls go on from the stored cursor, stock and prices are absolute, and whatever
// Magento would do twice is looked for before it is done.
//
// Quirks that shaped the code, each told at its place:
//   - Times are UTC and do not say so; a second is their finest unit.
//   - A shipment does not move its order's updated_at: orders are polled by three clocks.
//   - Pages drift when an object changes while they are read, and a page behind the end
//     repeats the last one in old releases: no page but the first is ever asked for.
//   - What a shop can sell is the quantity of its source less what its open orders reserve.
//   - A source item can be written for a SKU that does not exist, and 200 is the answer.
//   - A child of a configurable product carries the goods, its parent the money.
package magento
