// Package shopify is the connector to Shopify: Admin GraphQL 2026-10 for everything that we
// ask and write, and HTTPS webhooks, whose payloads are still REST-shaped, for everything
// that Shopify tells by itself.
//
// Comes in: webhook calls (webhook.go), answers to polls (poll.go), stock writes (push.go),
// and commands on prices (price.go) and orders (fulfil.go, cancel.go, refund.go).
// Goes out: raw records, and by translate.go the facts Order, Refund, Product,
// ProductDeleted and InventoryObservation; results of writes. Keeps: an access token, through
// the token store that is handed in (auth.go, authorize.go). A crash costs a repetition: polls
// go on from the stored cursor, a write is repeated under the same idempotency key, and a
// command that takes no key asks first what was done.
//
// Quirks that shaped the code, each with its source at the place:
//   - A webhook that Shopify retries carries the payload of the first attempt: its
//     updated_at decides what is newer, never its arrival.
//   - 200 is not success: THROTTLED and userErrors come with 200.
//   - inventorySetQuantities is all or nothing over its batch, needs an idempotency key, and
//     needs changeFromQuantity in every item (null = do not compare).
//   - orderCancel only begins a job, fulfillmentCreate takes no key and has no place for a mark,
//     and refundCreate gives its refusals no code.
package shopify
