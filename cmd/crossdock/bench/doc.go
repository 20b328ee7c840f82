// Package bench measures crossdock on real engines: how much of what the machine can do is left
// when every promise is kept. Each figure stands beside the same work done bare, in the same
// run, because a machine is never the same twice.
//
// In: addresses of Kafka, Redis and ClickHouse. Out: a Result. It works in tenants of its own,
// which it removes at the end; a crash leaves topics, keys and databases that begin with
// "bench_".
package bench
