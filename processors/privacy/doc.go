// Package privacy sees to it that people are forgotten when a platform demands it, and keeps
// the list of who demanded what, until when, and what became of it.
//
// In (privacy.in, key account/request): requests, as the platforms made them; what each look at
// all orders found of a request; that a person handed over what was asked for; that the record
// of a request has served its time. Out: the request whenever it changed (table
// privacy.requests), and on orders.in, for each order that a request names, that its buyer is
// to be forgotten.
//
// It keeps one entry per request: the join of all that was said about it, so that every
// permutation and repetition of the same inputs ends in the same entry (but for those after its
// expiry, which begin it anew). An entry names nobody: a person is a keyed hash.
//
// A crash costs a repetition: the records since the last commit emit the request and the orders
// that it names again, and both change nothing.
//
// There is no index of who bought what: it would be one more thing to be forgotten, and would
// grow with the orders, for a question that is asked a few times a day and has weeks to be
// answered. The Sweeper beside the room looks through the orders' own table instead, finds those
// that still name somebody whom they must not, and writes them down to be forgotten; a request is
// carried out when a look finds nothing left. That is also how time passes here: Apply knows no
// clock. The Sweeper has one, and what it concludes becomes a record of the room's input and
// so a part of the history that a rewind repeats. A look costs one reading of the orders; two at
// once, or one broken off, do no harm.
package privacy
