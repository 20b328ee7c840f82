// Package orders keeps the state of every order, and derives from it what each order does
// to stock.
//
// In (orders.in, key account/order): whole snapshots of orders, refunds, and the SKUs that
// listings turned out to mean. Out: the order whenever it changed (table orders.v1), one
// absolute stock move per order and SKU on stock.in, the amounts that want a value in the
// reporting currency on fx.in, and on commands.in that an order's buyer is to be forgotten.
//
// It keeps one entry per order: the join of all that was said about it. A join is
// commutative, associative and idempotent, so every permutation and repetition of the same
// inputs ends in the same order: of snapshots the newest, of refunds the union, of each
// line's SKU the one by the oldest mapping (an old order keeps the SKU that it was sold
// as). Whatever changes nothing emits nothing.
//
// A crash costs a repetition: the records since the last commit emit again what the order
// says now. That includes a move of nothing for every SKU that the order ever claimed and
// claims no longer, which is why an order remembers them.
package orders
