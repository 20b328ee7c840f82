// Package schemas is what crosses a process boundary: topics, their names and
// shapes, and the scope (tenant and environment) that is part of every name.
//
// The values themselves are Protobuf messages (proto/crossdock/v1, generated
// into package event), money and identifiers have packages of their own below
// this one, and the analysts' tables are the numbered files in clickhouse/.
// Nothing here imports anything else of the project.
package schemas
