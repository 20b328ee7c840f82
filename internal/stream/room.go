// Package stream is the one consume → handle → produce → commit loop that every
// stateful processor uses, and the protocol that makes it exactly-once in effect.
//
// A room is a fold over its input topic. What comes in: records of one partition, in
// order. What goes out: absolute, versioned outputs, acknowledged by all replicas before
// the offset is committed. What it keeps: tables of entries in Redis, each also a
// compacted topic, and a watermark beside them that is moved by the same Lua call that
// writes them. What a crash does: the records since the last commit are read again; those
// at or below the watermark are repeated from state, the others applied for the first time.
//
// The protocol is specified in docs/spec/StreamLoop.tla; the crash points in this package
// carry the names of the specification's steps.
package stream

import (
	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/schemas"
)

// Record is one input record, as the handler sees it. Its slices are only valid until the
// batch is done: copy what is kept.
type Record struct {
	Topic     schemas.Topic
	Partition int32
	Offset    int64
	// TimestampMs is the record's own time, milliseconds, UTC: the only clock of a room.
	TimestampMs int64
	Key, Value  []byte
	Headers     []Header
}

// Header is one record header: Key and Value.
type Header = kafka.Header

// Header returns the value of the last header of that name, nil if there is none.
func (r *Record) Header(name string) []byte {
	for i := len(r.Headers) - 1; i >= 0; i-- {
		if r.Headers[i].Key == name {
			return r.Headers[i].Value
		}
	}
	return nil
}

// Message is what a table keeps and an output carries: a generated Protobuf message.
type Message interface {
	MarshalVTStrict() ([]byte, error)
	UnmarshalVT([]byte) error
	SizeVT() int
	MarshalToSizedBufferVTStrict([]byte) (int, error)
}

// Table is one kind of entries that a room keeps: in Redis by input partition, and as the
// compacted topic from which Redis can be rebuilt.
type Table struct {
	// Name is short and stable: it is part of the Redis key.
	Name  string
	Topic schemas.Topic
	// New makes an empty entry to decode into.
	New func() Message
	// PartitionKey derives from an entry's key what the topic is partitioned by, when that is
	// not the whole key; nil = the whole key.
	PartitionKey func(key string) string
	// Deletes: entries are deleted, and readers of the topic know tombstones.
	Deletes bool
}

// Key names one entry of one of the room's tables.
type Key struct {
	Table *Table
	ID    string
}

// Input is one record, decoded.
type Input struct {
	// Keys are the entries that Apply and Repeat will read. Those not named cannot be read.
	Keys []Key
	// Value is the decoded record, for Apply and Repeat.
	Value any
}

// Handler is what a room does with a record. Its work depends on nothing but the record and
// the entries: no clock, no network, no randomness.
type Handler interface {
	// Prepare decodes. It is pure and is called concurrently. An error is permanent: the record
	// goes to the dead letters with the error's class (connectors.Class) as code.
	Prepare(r *Record) (Input, error)
	// Apply handles a record for the first time, and again with the same Input when the batch has
	// to be handled on another state: it leaves nothing behind but in tx. Entries read must not be modified in place: put
	// a new one. An error undoes what this record did and sends it to the dead letters.
	Apply(tx *Tx, r *Record, in Input) error
	// Repeat handles a record that was applied before: it emits again what the entries say now,
	// and changes nothing. The outputs are absolute and versioned, so more of them do no harm.
	Repeat(tx *Tx, r *Record, in Input) error
}

// Output is one record to be produced.
type Output struct {
	Topic schemas.Topic
	Key   []byte
	// PartitionKey when it differs from Key.
	PartitionKey []byte
	// Partition, when ByPartition is set, overrides the key: Everywhere writes to all.
	Partition   int32
	ByPartition bool
	Value       Message
	// Bytes instead of Value, for what is passed on untouched.
	Bytes   []byte
	Headers []Header
	// Once, when set, is an event id (16 bytes or more): the output is produced only if no
	// other input record brought the same event before. At most one room in a path does this.
	Once []byte
	// Latest outputs of one key replace each other within a batch: only the last is produced.
	Latest bool
	// LatestOf is what else they must have in common, when several writers share a key.
	LatestOf string
}

// Everywhere as Partition writes the output to every partition of its topic.
const Everywhere int32 = -1
