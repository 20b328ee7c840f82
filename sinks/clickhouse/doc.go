// Package clickhouse writes every fact to the analysts' tables (schemas/clickhouse) and reads
// the figures back that other parts print.
//
// What comes in: batches of one partition, of the topics that Topics names. What goes out: one
// insert per table under one deduplication token, so that a batch written again, wholly or from
// the table on where a crash cut it, adds nothing. What it keeps: nothing. What a crash does:
// the same batch comes again with the same token. When the server's deduplication window has
// been exceeded meanwhile, the second line of defence holds: the tables are ReplacingMergeTree
// by business key, and the higher version of a row wins in whatever order versions arrive.
//
// A row carries no personal data: the buyer is a keyed hash, a place is country, region and
// postcode prefix.
package clickhouse
