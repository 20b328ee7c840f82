// Package catalog decides which of our SKUs each listing means, and never guesses.
//
// In (catalog.in, one partition, so that every decision sees all earlier ones): snapshots of
// products, mappings that somebody made, the merchant's rules for what listings show,
// questions of orders that wait for a SKU, and prices that the seller wants. Out: listings
// and the index (tables catalog.listings, catalog.index), the link of each listing to its SKU
// on stock.in, the SKU that a waiting order asked for on orders.in, and the price of each
// listing, those of a SKU among them, on commands.in.
//
// The decision, first rule that applies: somebody's mapping; the platform's SKU, if it is one
// of ours; an exact identifier (GTIN, ISBN) that listings of exactly one SKU carry, those
// which have it by one of the first two rules. Two SKUs behind one identifier match nothing;
// the listing says why and waits for a mapping.
//
// It keeps one entry per listing, and an index by mapping, identifier, SKU and product. What a
// decision needs is often known only once the first entry was read, while entries can be
// read only when the record names them: then the room writes a note to its own input
// (Relook) that names them, and decides when that comes round. Notes carry no decisions:
// they are safe to lose, repeat and reorder.
//
// A crash costs a repetition: entries as they stand, and a note for every listing that the
// repeated records concern. What a lost note was to clean up or to answer stands in the
// entries until that is done, and an order is forgotten only by the note that names it.
package catalog
