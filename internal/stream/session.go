package stream

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/helloword/crossdock/internal/crash"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// store is a room's state outside the process: watermark, entries and dedup marks of one
// partition, changed only by compare-and-set on the watermark.
type store interface {
	// load reads the watermark (-1: none) and entries in one atomic step; nil = absent.
	load(ctx context.Context, p partition, keys []Key) (watermark int64, stored [][]byte, err error)
	// apply does everything or nothing, see applyRequest.
	apply(ctx context.Context, p partition, r *applyRequest) (applyAnswer, error)
}

// partition is one input partition of a room.
type partition struct {
	topic string // base name, without scope
	id    int32
}

func (p partition) String() string { return fmt.Sprintf("%s/%d", p.topic, p.id) }

// applyRequest: if the watermark equals base, set the marks that are absent, write the
// entries and move the watermark to last.
type applyRequest struct {
	base, last int64
	writes     []write
	marks      []mark
}

type write struct {
	key    Key
	stored []byte // nil deletes
}

// mark is one event id on its way into the dedup memory.
type mark struct {
	period int64 // which week of the record's time
	bucket uint32
	field  [12]byte
	coord  int64 // offset of the record that brought it, or of the one it stands for
}

type applyAnswer struct {
	// watermark as found; applied only when it equals base.
	watermark int64
	applied   bool
	// emit[i]: marks[i] is new, or was set by this very record before.
	emit []bool
}

// gapError: Redis is behind what this session has seen: it fell back. The partition must be
// read again from next.
type gapError struct{ watermark, next int64 }

func (e *gapError) Error() string {
	return fmt.Sprintf("state fell back to offset %d: reading again from %d", e.watermark, e.next)
}

// dedupPeriod is how long one generation of marks is written; a mark is found for one to
// two periods after it was set. Longer than any platform resends.
const dedupPeriod = 7 * 24 * time.Hour

// dedupBuckets per partition and period: small hashes stay in Redis' compact encoding, about
// 19 bytes an event id.
const dedupBuckets = 1 << 13

// session is one consumer's hold on one partition.
type session struct {
	room  *Room
	part  partition
	input schemas.Topic
	epoch int64
	store store
	// base is the watermark that the cache reflects.
	base int64
	// next is the offset to be handled next; it can be below base, while what was applied
	// before a crash is repeated.
	next int64
	// committed is the highest offset that Kafka has of the group.
	committed int64
	// emitted is the offset after the last record whose outputs are acknowledged.
	emitted kgo.EpochOffset
	// refused are the offsets whose refusal Redis keeps.
	refused map[int64]bool
	cache   *cache

	load, apply *crash.Point
}

// handled is what one batch leads to.
type handled struct {
	outputs []Output
	dead    int
	// duplicates dropped, records repeated.
	duplicates, repeated int
}

type prepared struct {
	input Input
	err   error
}

// handle takes a batch through Prepare, Load and Apply, and returns the outputs to emit. It
// changes nothing when it returns an error.
func (s *session) handle(ctx context.Context, records []*Record) (handled, error) {
	prep := make([]prepared, len(records))
	for i, r := range records {
		prep[i].input, prep[i].err = s.room.prepare(r)
	}
	for {
		res, answer, err := s.attempt(ctx, records, prep)
		switch {
		case err != nil:
			return handled{}, err
		case answer.applied:
			s.next = records[len(records)-1].Offset + 1
			return res, nil
		case answer.watermark < s.base:
			s.next = records[0].Offset
			return handled{}, s.fellBack(answer.watermark)
		default:
			// AHEAD: an answer of ours was lost, or another consumer went on. What it did
			// is the same fold; the batch is handled again on top of it.
			s.rewind(answer.watermark)
		}
	}
}

// fellBack is step Rewind: the session goes on from the watermark, or from where it stood when
// that is earlier: what it was repeating has not been emitted yet (docs/spec, NoRewindBound).
func (s *session) fellBack(watermark int64) *gapError {
	s.rewind(watermark)
	s.next = min(s.next, watermark+1)
	return &gapError{watermark: watermark, next: s.next}
}

// refusal is the key under which it is kept that a record went to the dead letters.
func (s *session) refusal(offset int64) Key {
	return Key{s.room.refusals, strconv.FormatInt(offset, 10)}
}

// forgets are the refusals that nobody will ask for again, because they are committed.
func (s *session) forgets() (writes []write) {
	for o := range s.refused {
		if o < s.committed {
			writes = append(writes, write{key: s.refusal(o)})
		}
	}
	return writes
}

// rewind makes the session's view that of a watermark.
func (s *session) rewind(watermark int64) {
	s.cache.clear()
	s.base = watermark
}

// change is the newest state of one entry within a batch.
type change struct {
	key Key
	entry
}

func (s *session) attempt(ctx context.Context, records []*Record, prep []prepared) (handled, applyAnswer, error) {
	view, answer, err := s.loadMissing(ctx, records, prep)
	if err != nil || !answer.applied {
		return handled{}, answer, err
	}

	b := batch{session: s, view: view, index: make(map[Key]int)}
	for i, r := range records {
		b.record(r, &prep[i])
	}
	if b.err != nil {
		return handled{}, applyAnswer{}, b.err
	}

	req := applyRequest{base: s.base, last: records[len(records)-1].Offset, marks: b.marks}
	tables := make([]Output, 0, len(b.changes))
	for i := range b.changes {
		c := &b.changes[i]
		w := write{key: c.key}
		out := tableRecord(c.key, c.value, c.lineage)
		if c.value != nil {
			var message []byte
			if w.stored, message, err = encodeEntry(c.entry); err != nil {
				return handled{}, applyAnswer{}, fmt.Errorf("%s %s: %w", s.part, c.key.ID, err)
			}
			out.Value, out.Bytes = nil, message
		}
		out.Headers = append(out.Headers, sourceHeader(s.part.id))
		req.writes = append(req.writes, w)
		tables = append(tables, out)
	}

	req.writes = append(req.writes, b.refusals...)
	forgets := s.forgets()
	req.writes = append(req.writes, forgets...)

	answer, err = s.store.apply(ctx, s.part, &req)
	s.apply.Pass()
	if err != nil || !answer.applied {
		return handled{}, answer, err
	}
	s.base = max(s.base, req.last)
	for i := range b.changes {
		c := &b.changes[i]
		s.cache.put(c.key, c.entry)
	}
	maps.DeleteFunc(s.refused, func(o int64, _ bool) bool { return o < s.committed })
	for _, o := range b.refused {
		s.refused[o] = true
	}
	res := b.handled
	// Tables last: what is repeated of an older version must not stand behind the newer one.
	res.outputs = append(b.outputs(answer.emit), tables...)
	res.duplicates = b.droppedBy(answer.emit)
	return res, answer, nil
}

// loadMissing reads the entries that the batch needs and the cache lacks. The answer is
// "applied" when what was read belongs to base.
func (s *session) loadMissing(ctx context.Context, records []*Record, prep []prepared) (map[Key]entry, applyAnswer, error) {
	view := make(map[Key]entry)
	var missing []Key
	for i := range prep {
		for _, k := range prep[i].input.Keys {
			if _, ok := view[k]; ok {
				continue
			}
			e, ok := s.cache.get(k)
			if !ok {
				missing = append(missing, k)
				e = noEntry
			}
			view[k] = e
		}
		if records[i].Offset <= s.base {
			missing = append(missing, s.refusal(records[i].Offset))
		}
	}
	if len(missing) == 0 {
		return view, applyAnswer{watermark: s.base, applied: true}, nil
	}
	wm, stored, err := s.store.load(ctx, s.part, missing)
	if err != nil {
		return nil, applyAnswer{}, fmt.Errorf("loading state of %s: %w", s.part, err)
	}
	s.load.Pass()
	if wm != s.base {
		return nil, applyAnswer{watermark: wm}, nil
	}
	for i, k := range missing {
		e := noEntry
		if stored[i] != nil {
			if e, err = decodeEntry(k.Table, stored[i]); err != nil {
				return nil, applyAnswer{}, &StateError{Room: s.room.name, Why: fmt.Sprintf(
					"the state of %s is damaged, entry %s: %v. Run `crossdock rebuild --room %s`, then start again", s.part, k.ID, err, s.room.name)}
			}
		}
		view[k] = e
		if k.Table != s.room.refusals {
			s.cache.put(k, e)
		}
	}
	return view, applyAnswer{watermark: wm, applied: true}, nil
}

// batch collects what the records of one attempt do.
type batch struct {
	*session
	handled
	view    map[Key]entry
	index   map[Key]int // into changes
	changes []change
	marks   []mark
	outs    []pending
	// refusals to be kept; refused are all that were met.
	refusals []write
	refused  []int64
	err      error
}

// pending is an output, with the mark that decides whether it is emitted (-1: none).
type pending struct {
	Output
	mark int
}

// read is the newest view of an entry: changed in this batch, or as loaded.
func (b *batch) read(k Key) (entry, bool) {
	if i, ok := b.index[k]; ok {
		return b.changes[i].entry, true
	}
	e, ok := b.view[k]
	return e, ok
}

func (b *batch) record(r *Record, p *prepared) {
	if old, ok := b.view[b.refusal(r.Offset)]; ok && old.value != nil {
		b.repeated++
		b.dead++
		b.refused = append(b.refused, r.Offset)
		b.outs = append(b.outs, pending{deadLetterOf(b.room.name, r, old.value.(*event.DeadLetter)), -1})
		return
	}
	if p.err != nil {
		b.bury(r, p.err)
		return
	}
	tx := Tx{
		version: Version{Epoch: b.epoch, Number: r.Offset},
		timeMs:  r.TimestampMs,
		read:    b.read,
		repeat:  r.Offset <= b.base,
		source:  r.Partition,
		base:    b.base,
	}
	if tx.repeat {
		b.repeated++
	}
	if err := b.room.handle(&tx, r, p.input); err != nil {
		b.bury(r, err)
		return
	}
	for _, p := range tx.puts {
		b.change(p, tx.version)
	}
	first := len(b.marks)
	for i := range tx.outs {
		o := pending{tx.outs[i], -1}
		if o.Once != nil {
			// The verdict comes with Apply, when entries have been computed already: a
			// duplicate's would have to be undone (docs/spec, NoMarks).
			if len(b.room.tables) > 0 {
				panic("stream: room " + b.room.name + " keeps tables and emits Once: dedup belongs to a room before it")
			}
			o.mark = b.markOf(first, r, o.Once)
		}
		b.outs = append(b.outs, o)
	}
}

func (b *batch) change(p put, version Version) {
	if i, ok := b.index[p.key]; ok {
		b.changes[i].value, b.changes[i].version = p.value, version
		return
	}
	b.index[p.key] = len(b.changes)
	b.changes = append(b.changes, change{p.key, entry{p.value, lineage{version, b.view[p.key].version, version.Number}}})
}

// markOf returns the record's mark for an event id; outputs of one event share it.
func (b *batch) markOf(first int, r *Record, id []byte) int {
	sum := sha256.Sum256(id)
	m := mark{
		period: r.TimestampMs / dedupPeriod.Milliseconds(),
		bucket: binary.LittleEndian.Uint32(sum[12:]) % dedupBuckets,
		coord:  r.Offset,
	}
	copy(m.field[:], sum[:12])
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

// outputs drops what duplicates would have emitted, and of outputs marked Latest all but
// the last of a key.
func (b *batch) outputs(emit []bool) []Output {
	type slot struct{ topic, key, of string }
	last := make(map[slot]int)
	for i := range b.outs {
		if o := &b.outs[i]; o.Latest && (o.mark < 0 || emit[o.mark]) {
			last[slot{o.Topic.Name, string(o.Key), o.LatestOf}] = i
		}
	}
	kept := make([]Output, 0, len(b.outs))
	for i := range b.outs {
		o := &b.outs[i]
		if o.mark >= 0 && !emit[o.mark] {
			continue
		}
		if o.Latest && last[slot{o.Topic.Name, string(o.Key), o.LatestOf}] != i {
			continue
		}
		kept = append(kept, o.Output)
	}
	return kept
}

func (b *batch) droppedBy(emit []bool) int {
	n := 0
	for _, e := range emit {
		if !e {
			n++
		}
	}
	return n
}

// bury adds the record's dead letter, and keeps that it did.
func (b *batch) bury(r *Record, why error) {
	d := newDeadLetter(b.room.name, b.room.version, r, why)
	b.dead++
	b.outs = append(b.outs, pending{deadLetterOf(b.room.name, r, d), -1})
	if r.Offset <= b.base {
		return
	}
	version := Version{b.epoch, r.Offset}
	stored, _, err := encodeEntry(entry{d, lineage{version, noEntry.version, r.Offset}})
	if err != nil {
		b.err = errors.Join(b.err, fmt.Errorf("the dead letter of %s@%d: %w", b.part, r.Offset, err))
		return
	}
	b.refusals = append(b.refusals, write{b.refusal(r.Offset), stored})
	b.refused = append(b.refused, r.Offset)
}
