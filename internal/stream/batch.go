package stream

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/helloword/crossdock/schemas"
)

// batch collects what the records of one attempt do. A session has one, and uses its memory
// again and again.
type batch struct {
	*session
	handled
	serial  uint64
	records []*Record
	slab    []Record // which records point into
	prep    []prepared
	tx      Tx

	// slots of all keys named, record by record; fill are those to be loaded, by missing.
	slots   []*slot
	fill    []*slot
	missing []Key

	changes []*slot
	marks   []mark
	writes  []write
	// refusals to be kept; refused are all that were met.
	refusals []write
	refused  []int64
	latest   map[latest]int
	err      error
}

// pending is an output on its way out.
type pending struct {
	Output
	// mark decides whether it is emitted (-1: none does).
	mark int
	// dropped: it is a duplicate's, or a later one replaces it.
	dropped bool
	// trace is the trace context of the record that caused it, if there is one.
	trace []byte
}

// latest is what outputs have in common that replace each other.
type latest struct{ topic, key, of string }

// convert makes a batch of the client's records. It is valid until the next is made.
func (b *batch) convert(t schemas.Topic, from []*kgo.Record) []*Record {
	if cap(b.slab) < len(from) {
		b.slab = make([]Record, len(from))
	}
	b.slab = b.slab[:len(from)]
	records := b.records[:0]
	for i, r := range from {
		b.slab[i] = convert(t, r)
		records = append(records, &b.slab[i])
	}
	return records
}

// begin takes the records of a new batch.
func (b *batch) begin(s *session, records []*Record) {
	b.session, b.records = s, records
	clear(b.prep)
	if cap(b.prep) < len(records) {
		b.prep = make([]prepared, len(records))
	}
	b.prep = b.prep[:len(records)]
}

// end lets go of what only the handling needed, so that a quiet partition does not keep it.
func (b *batch) end() {
	clear(b.prep)
	clear(b.slots)
	clear(b.fill)
	clear(b.missing)
	clear(b.slab)
	b.records, b.tx = b.records[:0], Tx{}
}

// again forgets what an attempt that was not applied has left behind.
func (b *batch) again() {
	for _, c := range b.changes {
		c.settle(c.entry)
	}
	b.serial++
	clear(b.slots)
	clear(b.fill)
	if cap(b.handled.records) < cap(b.outs) {
		b.handled.records = make([]*kgo.Record, 0, cap(b.outs))
	}
	b.handled = handled{outs: b.outs[:0], arena: new(arena), records: b.handled.records}
	b.slots, b.fill = b.slots[:0], b.fill[:0]
	b.changes, b.marks, b.refusals, b.refused = b.changes[:0], b.marks[:0], b.refusals[:0], b.refused[:0]
	b.err = nil
	b.cache.turn()
}

func (b *batch) record(r *Record, p *prepared) {
	if p.refused != nil {
		b.repeated++
		b.dead++
		b.refused = append(b.refused, r.Offset)
		b.outs = append(b.outs, pending{Output: deadLetterOf(b.room.name, r, p.refused), mark: -1})
		return
	}
	if p.err != nil {
		b.bury(r, p.err)
		return
	}
	first := len(b.outs)
	tx := &b.tx
	*tx = Tx{
		batch: b, keys: p.input.Keys, slots: b.slots[p.slots : p.slots+len(p.input.Keys)], puts: tx.puts[:0],
		version: Version{Number: r.Offset},
		timeMs:  r.TimestampMs,
		repeat:  r.Offset <= b.base,
	}
	if tx.repeat {
		b.repeated++
	}
	if err := b.room.handle(tx, r, p.input); err != nil {
		clear(b.outs[first:])
		b.outs = b.outs[:first]
		b.bury(r, err)
		return
	}
	trace := r.Header(schemas.HeaderTrace)
	for i := range tx.puts {
		b.change(&tx.puts[i], tx.version)
		tx.puts[i].slot.trace = trace
	}
	marks := len(b.marks)
	for i := first; i < len(b.outs); i++ {
		o := &b.outs[i]
		o.trace = trace
		if o.Once == nil {
			continue
		}
		// The verdict comes with Apply, when entries have been computed already: a
		// duplicate's would have to be undone (docs/spec, NoMarks).
		if len(b.room.tables) > 0 {
			panic("stream: room " + b.room.name + " keeps tables and emits Once: dedup belongs to a room before it")
		}
		o.mark = b.markOf(marks, r, o.Once)
	}
}

func (b *batch) change(p *put, version Version) {
	if s := p.slot; s.changed {
		s.next.value, s.next.version = p.value, version
	} else {
		s.changed = true
		s.next = entry{p.value, lineage{version, s.version, version.Number}}
		b.changes = append(b.changes, s)
	}
}

// markOf returns the record's mark for an event id; outputs of one event share it.
func (b *batch) markOf(first int, r *Record, id []byte) int {
	sum := sha256.Sum256(id)
	period, skew := dedupPeriod.Milliseconds(), dedupSkew.Milliseconds()
	m := mark{
		period: r.TimestampMs / period,
		late:   r.TimestampMs%period >= period-skew,
		bucket: binary.LittleEndian.Uint32(sum[12:]) % dedupBuckets,
		coord:  r.Offset,
	}
	copy(m.field[:], sum[:12])
	m.expires = b.expiring.lacks(m.period, m.bucket)
	if origin := r.Header(schemas.HeaderOrigin); origin != nil {
		if c, err := parseOrigin(string(origin)); err == nil {
			m.coord = c
		}
	}
	for i := first; i < len(b.marks); i++ {
		if b.marks[i].field == m.field && b.marks[i].bucket == m.bucket {
			return i
		}
	}
	b.marks = append(b.marks, m)
	return len(b.marks) - 1
}

// drop marks what duplicates would have emitted, and of outputs marked Latest all but the last
// of a key. Those from tables on are the batch's own.
func (b *batch) drop(tables int, emit []bool) {
	for _, e := range emit {
		if !e {
			b.duplicates++
		}
	}
	clear(b.latest)
	for i := range b.outs[:tables] {
		o := &b.outs[i]
		if o.mark >= 0 && !emit[o.mark] {
			o.dropped = true
			continue
		}
		if !o.Latest {
			continue
		}
		if b.latest == nil {
			b.latest = make(map[latest]int)
		}
		l := latest{o.Topic.Name, string(o.Key), o.LatestOf}
		if before, ok := b.latest[l]; ok {
			b.outs[before].dropped = true
		}
		b.latest[l] = i
	}
}

// outputs are the outputs that are to be emitted.
func (h *handled) outputs() []Output {
	kept := make([]Output, 0, len(h.outs))
	for i := range h.outs {
		if o := &h.outs[i]; !o.dropped {
			kept = append(kept, o.Output)
		}
	}
	return kept
}

// bury adds the record's dead letter, and keeps that it did.
func (b *batch) bury(r *Record, why error) {
	d := newDeadLetter(b.room.name, b.room.version, r, why)
	b.dead++
	b.outs = append(b.outs, pending{Output: deadLetterOf(b.room.name, r, d), mark: -1})
	if r.Offset <= b.base {
		return
	}
	version := Version{Number: r.Offset}
	stored, _, err := encodeEntry(&entry{d, lineage{version, noEntry.version, r.Offset}}, b.arena)
	if err != nil {
		b.err = errors.Join(b.err, fmt.Errorf("the dead letter of %s@%d: %w", b.part, r.Offset, err))
		return
	}
	b.refusals = append(b.refusals, write{b.refusal(r.Offset), stored})
	b.refused = append(b.refused, r.Offset)
}
