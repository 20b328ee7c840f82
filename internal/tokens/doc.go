// Package tokens keeps what platforms give once and what nobody can ask for again: tokens that
// rotate, and the few notes that are as precious (a journal of refunds). A rotating token that
// was lost needs its owner to log in again.
//
// What comes in: a name ("shopify/shop-uk", connector and connection) and bytes. It keeps them,
// sealed with a key that stands in the configuration by reference, in one of two places:
//
//   - Topic: the compacted topic tokens.v1 in Kafka, acknowledged by all replicas before Save
//     returns, with a second copy in Redis. Every token has a version that only grows, so that
//     whichever of the two fell back to an older state, the newest one wins and is written to
//     the other again.
//   - Files: one sealed file for each token, for a single machine or a shared volume.
//
// Store adds the lock, in Redis: one refresh at a time over all processes, because a refreshed
// token kills the one before it. A process that slept through the end of its lock cannot put
// its token over a newer one (ErrSuperseded).
//
// What a crash does: a token whose Save did not return may or may not be kept; whoever asks
// next finds the newest one that is. A lock ends by its own time.
//
// Topic holds every sealed value in memory, some 500 bytes for each connection, for each order of
// eBay that was refunded from here, and for each of Amazon that was cancelled or refunded.
package tokens
