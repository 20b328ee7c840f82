package stream

import (
	"fmt"

	"github.com/helloword/crossdock/schemas/event"
)

// Tx is what a handler sees of its room while it handles one record. Nothing that it does
// is visible to anybody before the whole batch is applied.
type Tx struct {
	batch *batch
	// keys that Prepare named for the record, and their slots.
	keys    []Key
	slots   []*slot
	version Version
	timeMs  int64
	repeat  bool
	puts    []put
}

type put struct {
	slot  *slot
	value Message // nil deletes
}

// slot of a key that the batch has named.
func (tx *Tx) slot(k Key) *slot {
	// Nearly always one of a few.
	for i := range tx.keys[:min(len(tx.keys), 8)] {
		if tx.keys[i] == k {
			return tx.slots[i]
		}
	}
	s := tx.batch.cache.find(k)
	if s == nil || s.batch != tx.batch.serial {
		panic(misuse(fmt.Sprintf("stream: entry %s/%s is used but was not named by Prepare", k.Table.Name, k.ID)))
	}
	return s
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
	s := tx.slot(k)
	for i := len(tx.puts) - 1; i >= 0; i-- {
		if tx.puts[i].slot == s {
			return tx.puts[i].value
		}
	}
	return s.newest().value
}

// Put replaces an entry; the caller must not modify it afterwards. It is written to Redis
// and, as its newest version, to the table's topic. The key must have been named by Prepare.
func (tx *Tx) Put(k Key, m Message) {
	if tx.repeat {
		panic(misuse("stream: Repeat must not change entries"))
	}
	if m == nil && !k.Table.Deletes {
		panic(misuse("stream: table " + k.Table.Name + " is not declared as one whose entries are deleted"))
	}
	tx.puts = append(tx.puts, put{tx.slot(k), m})
}

// Delete removes an entry of a table that Deletes, and writes a tombstone to the table's topic.
func (tx *Tx) Delete(k Key) { tx.Put(k, nil) }

// Again emits an entry to its table's topic as it stands, with the version it has: for Repeat.
// That there is none is told, too, where entries are deleted.
func (tx *Tx) Again(k Key) {
	e := *tx.slot(k).newest()
	if e.value == nil {
		if !k.Table.Deletes {
			return
		}
		// Redis forgets a deleted entry's lineage; that it is not there is true as of base.
		if e.version == noEntry.version {
			e.version.Epoch, e.version.Number, e.since = tx.version.Epoch, tx.batch.base, tx.batch.base
		}
	}
	o := tableRecord(k, e.value, &e.lineage, tx.batch.part.id, tx.batch.arena)
	o.Latest = true
	tx.Emit(o)
}

// Emit adds an output.
func (tx *Tx) Emit(o Output) {
	tx.batch.outs = append(tx.batch.outs, pending{Output: o, mark: -1})
}
