// Package translate is the first hop: what a platform said becomes facts that every other
// room understands.
//
// In: raw.* records, bytes untouched, with the headers connector, account, format, object,
// path and source-time. Out: orders and refunds on orders.in, products on catalog.in, stock
// adjustments on stock.in and stock.adjustments, returns that no order explains on
// stock.returns, shown quantities on inventory.observed, rate days on every partition of
// fx.in, requests about people's data on privacy.in. An order line whose listing has no SKU
// yet leaves as it is, together with a request on catalog.in to be told when it has one.
//
// It keeps no entries, only the loop's dedup marks: each fact has an event id that is a
// function of its content, and a fact whose id another record brought before is dropped,
// however it came (webhook, poll, import). A crash costs a repetition of the records since
// the last commit: facts with the same ids again. Only the SKU of an order line may differ
// between the two, since the catalog moves on; the orders room joins both to the same state.
//
// A record that cannot be translated goes to the dead letters: Malformed when its bytes are
// broken, Unsupported when no connection of that name, or no such format, is known.
package translate
