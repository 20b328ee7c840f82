// Package shopify is the connector to Shopify: Admin GraphQL 2026-10 for everything that we
// ask and write, and HTTPS webhooks, whose payloads are still REST-shaped, for everything
// that Shopify tells by itself.
//
// Comes in: webhook calls (webhook.go), answers to polls (poll.go), stock writes (push.go).
// Goes out: raw records, and by translate.go the facts Order, Refund, Product,
// ProductDeleted and InventoryObservation; results of writes. Keeps: an access token, through
// the token store that is handed in (auth.go). A crash costs a repetition: polls go on from
// the stored cursor, and a write is repeated under the same idempotency key.
//
// Quirks that shaped the code, each with its source at the place:
//   - A webhook that Shopify retries carries the payload of the first attempt: its
//     updated_at decides what is newer, never its arrival.
//   - 200 is not success: THROTTLED and userErrors come with 200.
//   - inventorySetQuantities is all or nothing over its batch, needs an idempotency key, and
//     needs changeFromQuantity in every item (null = do not compare).
package shopify
