// Package services runs Apache Kafka, Redis and the ClickHouse engine for real
// on one machine, without containers: for tests, benchmarks and "make services".
//
// In: a cache folder, into which everything is installed by package name, and a
// data folder per engine. Out: processes on free loopback ports, ready when they
// answer, with logs in their data folders.
//
// Keeps: each engine's data in its folder, over restarts and kills. A process
// can be paused, killed and restarted on the same port with the same data, which
// is what crash tests do with it.
//
// When this process dies its engines live on, unless Config.DieWithParent says
// otherwise; the env file that Up writes names them so that Down ends exactly
// these and no other process that got the same id.
package services
