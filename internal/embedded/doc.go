// Package embedded runs the three engines of the pipeline inside one machine,
// with nothing to set up: a Kafka broker, a Redis and a ClickHouse, each behind
// its real network protocol, so that everything else uses the clients that it
// uses in production.
//
// In: a folder per engine and a loopback address. Out: an address to connect to.
//
// Keeps: all of its data in that folder. What an engine survives:
//   - Broker: Ctrl-C and kill -9, with topics, records and committed offsets.
//     Not promised: a power cut (writes are not synced), transactions across a
//     kill -9.
//   - Redis: Ctrl-C whole; a kill -9 falls back to the last snapshot, a few
//     seconds old, always a consistent point in time. The stream loop notices
//     the gap and rewinds by itself.
//   - ClickHouse: Ctrl-C and kill -9, as ClickHouse does.
//
// These are engines for development and tests: they say so in the log when they
// start, and refuse any address that is not loopback. Production is a Kafka
// cluster, a Redis and a ClickHouse server.
package embedded
