// Package clickhouse holds the analysts' tables: numbered SQL files, applied in order and
// never changed once released. A change is a new file.
//
// Statements end with ";" at the end of a line and can be repeated without harm (IF NOT
// EXISTS), so that two runners, or one that was killed half-way, end in the same state.
// The runner (sinks/clickhouse) replaces these words before it sends a statement:
//
//	{on}                         ON CLUSTER …, when the configuration names a cluster
//	{engine:ReplacingMergeTree(_rank)}  the engine, or its Replicated form
//	{coordinates}                the columns that say which record a row came from
//	{settings}                   the table settings that deduplicated inserts need
//	{money:total_minor,currency} an expression: minor units as a decimal amount
//	{day:created_at}             an expression: the UTC date
package clickhouse

import "embed"

// Migrations are the files NNNN_name.sql.
//
//go:embed *.sql
var Migrations embed.FS
