// Package simulator is one Shopify shop that can be run on this machine: an http.Handler
// with state, that speaks the part of Admin GraphQL 2026-10 that the connector sends, hands
// out OAuth tokens (its owner agrees to whatever is asked), opens the app as the admin does, and
// delivers webhooks.
//
// Comes in: HTTP calls, and by the Go methods what happens in a shop (orders, edits,
// refunds, shipments, stock). Goes out: answers, and signed webhooks to whoever subscribed.
// Keeps: everything in memory; a crash loses the shop, as it is nobody's truth but the
// test's.
//
// What it enforces as Shopify does: first ≤ 250; input arrays ≤ 250; the cost bucket and the
// limit of a single query, with THROTTLED and MAX_COST_EXCEEDED inside a 200; scopes; the
// death of a token when it is refreshed, and of a code when it is exchanged; the minute of a
// session token; @idempotent on stock writes and refunds, changeFromQuantity, all or nothing per
// call; no more units shipped or money given back than there is, fulfilments of one location at a
// time, cancellations as jobs that an order with shipments fails; five seconds for a webhook's
// answer, and eight retries with the payload of the first attempt over four hours, after which
// the subscription is gone.
//
// Cost of a query, before it runs: a scalar 0, an object 1, a connection 2 + first × one
// node, a list without first as one element, a mutation 10; objects that are only values
// (money, taxes, pageInfo, quantities) 0. After it ran, the nodes that there really were.
// Shopify documents the principle and not every weight (shopify.dev/docs/api/usage/limits).
//
// Time: created_at and processed_at are what an order says, so that history can be played;
// updated_at is the shop's own clock, which is what polls go by.
//
// Not simulated: stock at several locations (what is to be shipped can be split over some),
// returns as objects of their own, authorisations and captures, presentment currencies, bulk operations, Pub/Sub and EventBridge delivery.
package simulator
