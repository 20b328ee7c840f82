package stream

import (
	"context"
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
	// late: the record's time is so near to the next week that the same event may be in there.
	late bool
	// expires: the bucket may be new, and is given its lifetime.
	expires bool
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

// dedupSkew is by how much the clocks of machines that bring the same event may differ where one
// week ends and the next begins.
const dedupSkew = time.Hour

// dedupBuckets per partition and period: small hashes stay in Redis' compact encoding, about
// 21 bytes an event id, and are searched in about a microsecond up to some millions of them.
const dedupBuckets = 1 << 14

// session is one consumer's hold on one partition.
type session struct {
	room  *Room
	part  partition
	input schemas.Topic
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
	// expiring are the buckets of marks that have a lifetime.
	expiring expiring
	// work is the batch at hand; its memory serves the next one again.
	work batch

	load, apply *crash.Point
}

// handled is what one batch leads to.
type handled struct {
	// outs are the outputs, in order; those dropped are not emitted. They are valid until the
	// session handles its next batch, the bytes in arena until that is released.
	outs  []pending
	arena *arena
	// records is room for what the outputs become.
	records []*kgo.Record
	dead    int
	// duplicates dropped, records repeated.
	duplicates, repeated int
}

type prepared struct {
	input Input
	err   error
	// slots of the input's keys are those of the batch from here on.
	slots int
	// refused is the refusal that Redis keeps of the record, if any.
	refused *event.DeadLetter
}

// handle takes a batch through Prepare, Load and Apply, and returns the outputs to emit. It
// changes nothing when it returns an error.
func (s *session) handle(ctx context.Context, records []*Record) (handled, error) {
	b := &s.work
	b.begin(s, records)
	for i, r := range records {
		b.prep[i].input, b.prep[i].err = s.room.prepare(r)
	}
	for {
		answer, err := s.attempt(ctx, b)
		switch {
		case err != nil:
			return handled{}, err
		case answer.applied:
			s.next = records[len(records)-1].Offset + 1
			b.end()
			return b.handled, nil
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
	s.expiring.clear()
	s.base = watermark
}

// attempt takes a prepared batch through Load and Apply. Unless the answer is "applied",
// nothing has changed.
func (s *session) attempt(ctx context.Context, b *batch) (applyAnswer, error) {
	b.again()
	answer, err := s.loadMissing(ctx, b)
	if err != nil || !answer.applied {
		return answer, err
	}
	for i, r := range b.records {
		b.record(r, &b.prep[i])
	}
	if b.err != nil {
		return applyAnswer{}, b.err
	}
	req := applyRequest{base: s.base, last: b.records[len(b.records)-1].Offset, marks: b.marks, writes: b.writes[:0]}
	// Tables come last: what is repeated of an older version must not stand behind the newer one.
	outs := len(b.outs)
	for _, c := range b.changes {
		w := write{key: c.key}
		out := tableRecord(c.key, c.next.value, &c.next.lineage, s.part.id, b.arena)
		if c.next.value != nil {
			if w.stored, out.Bytes, err = encodeEntry(&c.next, b.arena); err != nil {
				return applyAnswer{}, fmt.Errorf("%s %s: %w", s.part, c.key.ID, err)
			}
			out.Value = nil
		}
		req.writes = append(req.writes, w)
		if c.trace != nil {
			out.Headers = append(out.Headers, Header{Key: schemas.HeaderTrace, Value: c.trace})
		}
		b.outs = append(b.outs, pending{Output: out, mark: -1})
	}
	changed := len(req.writes)
	req.writes = append(req.writes, b.refusals...)
	req.writes = append(req.writes, s.forgets()...)
	b.writes = req.writes

	answer, err = s.store.apply(ctx, s.part, &req)
	s.apply.Pass()
	if err != nil || !answer.applied {
		return answer, err
	}
	s.base = max(s.base, req.last)
	s.expiring.note(b.marks, answer.emit)
	for i, c := range b.changes {
		c.settle(c.next)
		s.cache.weigh(c, len(req.writes[i].stored))
	}
	b.changes = b.changes[:0]
	clear(req.writes[:changed])
	maps.DeleteFunc(s.refused, func(o int64, _ bool) bool { return o < s.committed })
	for _, o := range b.refused {
		s.refused[o] = true
	}
	b.drop(outs, answer.emit)
	return answer, nil
}

// loadMissing finds the entries that the batch needs, and reads those that the cache lacks. The
// answer is "applied" when what was read belongs to base.
func (s *session) loadMissing(ctx context.Context, b *batch) (applyAnswer, error) {
	missing := b.missing[:0]
	for i := range b.prep {
		p := &b.prep[i]
		p.slots, p.refused = len(b.slots), nil
		for _, k := range p.input.Keys {
			e := s.cache.slot(k)
			if !e.loaded && e.batch != b.serial {
				missing = append(missing, k)
				b.fill = append(b.fill, e)
			}
			e.batch = b.serial
			b.slots = append(b.slots, e)
		}
	}
	entries := len(missing)
	repeats := 0
	for ; repeats < len(b.records) && b.records[repeats].Offset <= s.base; repeats++ {
		missing = append(missing, s.refusal(b.records[repeats].Offset))
	}
	b.missing = missing
	if len(missing) == 0 {
		return applyAnswer{watermark: s.base, applied: true}, nil
	}
	wm, stored, err := s.store.load(ctx, s.part, missing)
	if err != nil {
		return applyAnswer{}, fmt.Errorf("loading state of %s: %w", s.part, err)
	}
	s.load.Pass()
	if wm != s.base {
		return applyAnswer{watermark: wm}, nil
	}
	decode := func(i int) (e entry, err error) {
		if e, err = decodeEntry(missing[i].Table, stored[i]); err != nil {
			return e, &StateError{Room: s.room.name, Why: fmt.Sprintf(
				"the state of %s is damaged, entry %s: %v. Run `crossdock rebuild --room %s`, then start again", s.part, missing[i].ID, err, s.room.name)}
		}
		return e, nil
	}
	for i, e := range b.fill {
		e.entry, e.loaded = noEntry, true
		if stored[i] == nil {
			continue
		}
		if e.entry, err = decode(i); err != nil {
			e.loaded = false
			return applyAnswer{}, err
		}
		s.cache.weigh(e, len(stored[i]))
	}
	for i := range repeats {
		if stored[entries+i] == nil {
			continue
		}
		e, err := decode(entries + i)
		if err != nil {
			return applyAnswer{}, err
		}
		b.prep[i].refused = e.value.(*event.DeadLetter)
	}
	return applyAnswer{watermark: wm, applied: true}, nil
}
