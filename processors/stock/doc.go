// Package stock keeps the level of every SKU, and is the one place that decides what each
// listing of it shows.
//
// In (stock.in, partitioned by SKU): stock moves in absolute figures, links from listings
// to SKUs with the merchant's rules for them, and what became of each push. Out: the level
// and the claims whenever they changed (tables stock.levels, stock.claims), a versioned
// target for each listing that shall show something else (push.targets), and an alarm
// whenever units are missing, more of them, fewer, or none any longer (stock.alarms).
//
// It keeps one level per SKU, with its warehouses and its listings, and one claim per SKU,
// warehouse and cause: the figures that the cause last stood for. A move replaces its
// cause's earlier figures, so repeating or reordering moves ends in the same sums, and the
// level is at any time the sum of the claims. On hand is never negative: what was written
// off beyond what there was stands as short, what was promised beyond it as oversold.
//
// A crash costs a repetition: levels, claims, targets and alarms as they stand now, with the
// versions they have.
package stock
