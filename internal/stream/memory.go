package stream

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/helloword/crossdock/schemas"
)

// Memory runs a room in memory with the protocol's own code, without Kafka and Redis: for
// model tests. It is one partition; a test feeds it in batches of its own cut, makes it
// crash after applying and before committing, and lets its state fall back.
type Memory struct {
	room    *Room
	part    partition
	input   schemas.Topic
	store   *memoryStore
	session *session

	log       []*Record
	next      int // position in log
	committed int
	// Emitted is everything that was acknowledged, in order, repetitions included.
	Emitted []Output
}

// NewMemory makes an empty partition of a room.
func NewMemory(room *Room, input schemas.Topic) *Memory {
	m := &Memory{room: room, part: partition{input.Name, 0}, input: input, store: newMemoryStore()}
	m.assign()
	return m
}

// assign is what a consumer does that gets the partition: step Assign.
func (m *Memory) assign() {
	m.session = newSession(m.room, m.part, m.input, m.store, m.store.wm)
	m.next = min(m.committed, int(m.store.wm+1))
	m.session.next, m.session.committed = int64(m.next), int64(m.committed)
}

// Append adds a record to the input, as a producer would. Offsets count from 0.
func (m *Memory) Append(r Record) {
	r.Topic, r.Partition, r.Offset = m.input, 0, int64(len(m.log))
	m.log = append(m.log, &r)
}

// AppendMessage adds a message to the input.
func (m *Memory) AppendMessage(key string, value Message, timestampMs int64) {
	b, err := value.MarshalVTStrict()
	if err != nil {
		panic(err)
	}
	m.Append(Record{Key: []byte(key), Value: b, TimestampMs: timestampMs})
}

// Pending is the number of records not yet handled.
func (m *Memory) Pending() int { return len(m.log) - m.next }

// Crash says where a batch ends early.
type Crash int

// NoCrash; AfterApply: state is written, nothing is emitted; AfterEmit: emitted, not committed.
const (
	NoCrash Crash = iota
	AfterApply
	AfterEmit
)

// Step handles up to n records and returns what it emitted. After a crash the next step
// begins where a new consumer would.
func (m *Memory) Step(n int, crash Crash) ([]Output, error) {
	n = min(n, m.Pending())
	if n == 0 {
		return nil, nil
	}
	lent := lend(m.log[m.next : m.next+n])
	defer lent.scribble()
	res, err := m.session.handle(context.Background(), lent)
	if gap, ok := asGap(err); ok {
		m.next = int(gap.next)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if crash == AfterApply {
		m.assign()
		return nil, nil
	}
	outputs := res.outputs()
	for i := range outputs {
		outputs[i] = owned(outputs[i])
	}
	m.Emitted = append(m.Emitted, outputs...)
	if crash == AfterEmit {
		m.assign()
		return outputs, nil
	}
	m.next += n
	m.committed = max(m.committed, m.next)
	m.session.committed = int64(m.committed)
	return outputs, nil
}

// lent are records whose bytes are used again after the batch, as the client's are.
type lent []*Record

func lend(records []*Record) lent {
	l := make(lent, len(records))
	for i, r := range records {
		c := *r
		c.Key, c.Value, c.Headers = clone(r.Key), clone(r.Value), slices.Clone(r.Headers)
		for h := range c.Headers {
			c.Headers[h].Value = clone(c.Headers[h].Value)
		}
		l[i] = &c
	}
	return l
}

// scribble makes a room show itself that holds on to a record's bytes.
func (l lent) scribble() {
	spoil := func(b []byte) {
		for i := range b {
			b[i] = '!'
		}
	}
	for _, r := range l {
		spoil(r.Key)
		spoil(r.Value)
		for _, h := range r.Headers {
			spoil(h.Value)
		}
	}
}

// owned is an output that shares nothing with the records it was made of.
func owned(o Output) Output {
	o.Key, o.PartitionKey, o.Bytes, o.Headers = clone(o.Key), clone(o.PartitionKey), clone(o.Bytes), slices.Clone(o.Headers)
	for h := range o.Headers {
		o.Headers[h].Value = clone(o.Headers[h].Value)
	}
	if o.Value == nil {
		return o
	}
	b, err := o.Value.MarshalVTStrict()
	if err != nil {
		panic(err)
	}
	fresh := o.Value.(proto.Message).ProtoReflect().New().Interface().(Message)
	if err := fresh.UnmarshalVT(b); err != nil {
		panic(err)
	}
	o.Value = fresh
	return o
}

// Drain handles all that is left, in batches of n.
func (m *Memory) Drain(n int) ([]Output, error) {
	var all []Output
	for m.Pending() > 0 {
		out, err := m.Step(n, NoCrash)
		if err != nil {
			return all, err
		}
		all = append(all, out...)
	}
	return all, nil
}

// Snapshot copies the state; Restore puts it back under the live consumer, as a fail-over to
// a stale replica would.
func (m *Memory) Snapshot() any { return m.store.clone() }

// Restore: see Snapshot. The consumer is not told; it finds out by its next call or look.
func (m *Memory) Restore(snapshot any) { *m.store = *snapshot.(*memoryStore).clone() }

// Look is the idle look: step IdleLook.
func (m *Memory) Look() {
	if m.store.wm < m.session.base {
		m.next = int(m.session.fellBack(m.store.wm).next)
	}
}

// Entry returns one entry as it stands in the state, nil if there is none.
func (m *Memory) Entry(k Key) Message {
	stored := m.store.entries[k]
	if stored == nil {
		return nil
	}
	e, err := decodeEntry(k.Table, stored)
	if err != nil {
		panic(err)
	}
	return e.value
}

// Entries calls f for each entry of a table.
func (m *Memory) Entries(t *Table, f func(id string, value Message)) {
	for k := range m.store.entries {
		if k.Table == t {
			f(k.ID, m.Entry(k))
		}
	}
}

// Watermark is the last applied offset, -1 at the beginning.
func (m *Memory) Watermark() int64 { return m.store.wm }

// memoryStore is the store's semantics in Go: an oracle for apply.lua, too.
type memoryStore struct {
	wm      int64
	entries map[Key][]byte
	marks   map[string]int64
}

func newMemoryStore() *memoryStore {
	return &memoryStore{wm: -1, entries: make(map[Key][]byte), marks: make(map[string]int64)}
}

func (s *memoryStore) clone() *memoryStore {
	c := newMemoryStore()
	c.wm = s.wm
	for k, v := range s.entries {
		c.entries[k] = v
	}
	for k, v := range s.marks {
		c.marks[k] = v
	}
	return c
}

func (s *memoryStore) load(_ context.Context, _ partition, keys []Key) (int64, [][]byte, error) {
	stored := make([][]byte, len(keys))
	for i, k := range keys {
		stored[i] = s.entries[k]
	}
	return s.wm, stored, nil
}

func (s *memoryStore) apply(_ context.Context, _ partition, r *applyRequest) (applyAnswer, error) {
	if s.wm != r.base {
		return applyAnswer{watermark: s.wm}, nil
	}
	for _, w := range r.writes {
		if w.stored == nil {
			delete(s.entries, w.key)
		} else {
			s.entries[w.key] = w.stored
		}
	}
	a := applyAnswer{watermark: s.wm, applied: true, emit: make([]bool, len(r.marks))}
	for i, m := range r.marks {
		name := func(period int64) string { return fmt.Sprintf("%d:%d:%x", period, m.bucket, m.field) }
		coord, known := s.marks[name(m.period-1)]
		if !known && m.late {
			coord, known = s.marks[name(m.period+1)]
		}
		if !known {
			if coord, known = s.marks[name(m.period)]; !known {
				s.marks[name(m.period)] = m.coord
			}
		}
		a.emit[i] = !known || coord == m.coord
	}
	s.wm = max(s.wm, r.last)
	return a, nil
}
