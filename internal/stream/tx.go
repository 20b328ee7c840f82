package stream

import (
	"fmt"

	"github.com/helloword/crossdock/schemas/event"
)

// Tx is what a handler sees of its room while it handles one record. Nothing that it does
// is visible to anybody before the whole batch is applied.
type Tx struct {
	version Version
	timeMs  int64
	read    func(Key) (entry, bool)
	// source is the input partition, for table records.
	source int32
	repeat bool
	base   int64

	puts []put
	outs []Output
}

type put struct {
	key   Key
	value Message // nil deletes
}

// Version of everything that this record causes: the input topic's epoch and the record's offset.
func (tx *Tx) Version() *event.Version {
	return &event.Version{Epoch: tx.version.Epoch, Number: tx.version.Number}
}

// TimeMs is the record's time, milliseconds, UTC.
func (tx *Tx) TimeMs() int64 { return tx.timeMs }

// Get returns an entry, nil if there is none. It must not be modified. The key must have been
// named by Prepare.
func (tx *Tx) Get(k Key) Message {
	for i := len(tx.puts) - 1; i >= 0; i-- {
		if tx.puts[i].key == k {
			return tx.puts[i].value
		}
	}
	e, ok := tx.read(k)
	if !ok {
		panic(misuse(fmt.Sprintf("stream: entry %s/%s was read but not named by Prepare", k.Table.Name, k.ID)))
	}
	return e.value
}

// Put replaces an entry; the caller must not modify it afterwards. It is written to Redis
// and, as its newest version, to the table's topic.
func (tx *Tx) Put(k Key, m Message) {
	if tx.repeat {
		panic(misuse("stream: Repeat must not change entries"))
	}
	if m == nil && !k.Table.Deletes {
		panic(misuse("stream: table " + k.Table.Name + " is not declared as one whose entries are deleted"))
	}
	tx.puts = append(tx.puts, put{k, m})
}

// Delete removes an entry of a table that Deletes, and writes a tombstone to the table's topic.
func (tx *Tx) Delete(k Key) { tx.Put(k, nil) }

// Again emits an entry to its table's topic as it stands, with the version it has: for Repeat.
// That there is none is told, too, where entries are deleted.
func (tx *Tx) Again(k Key) {
	e, ok := tx.read(k)
	if !ok {
		panic(misuse(fmt.Sprintf("stream: entry %s/%s was read but not named by Prepare", k.Table.Name, k.ID)))
	}
	if e.value == nil {
		if !k.Table.Deletes {
			return
		}
		// Redis forgets a deleted entry's lineage; that it is not there is true as of base.
		if e.version == noEntry.version {
			e.version.Epoch, e.version.Number, e.since = tx.version.Epoch, tx.base, tx.base
		}
	}
	o := tableRecord(k, e.value, e.lineage)
	o.Headers = append(o.Headers, sourceHeader(tx.source))
	o.Latest = true
	tx.outs = append(tx.outs, o)
}

// Emit adds an output.
func (tx *Tx) Emit(o Output) { tx.outs = append(tx.outs, o) }
