package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"testing"

	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// The ledger room adds up like the sum room, and also refuses by what it has (Apply's own
// error), panics, and deletes: whatever a room can do with entries.
type ledgerRoom struct{ sumRoom }

const (
	remove = math.MinInt64 // deletes the entry
	panics = 666           // makes Apply panic
)

func newLedgerRoom() *ledgerRoom {
	r := &ledgerRoom{*newSumRoom()}
	r.table.Deletes = true
	return r
}

func (l *ledgerRoom) Apply(tx *Tx, r *Record, in Input) error {
	k := Key{l.table, string(r.Key)}
	old, _ := tx.Get(k).(*event.Claim)
	n := in.Value.(int64)
	switch {
	case n == panics:
		tx.Put(k, new(event.Claim)) // must not be seen
		panic("out of range")
	case n == remove:
		if old != nil {
			tx.Delete(k)
		}
		return nil
	case old.GetOnHand()+n < 0:
		tx.Put(k, new(event.Claim)) // must not be seen
		return fmt.Errorf("%d of %d", -n, old.GetOnHand())
	}
	return l.sumRoom.Apply(tx, r, in)
}

func (l *ledgerRoom) Repeat(tx *Tx, r *Record, in Input) error {
	k := Key{l.table, string(r.Key)}
	tx.Again(k)
	if c, ok := tx.Get(k).(*event.Claim); ok {
		tx.Emit(Output{Topic: sumsOut, Key: []byte(r.Key), Value: c})
	}
	return nil
}

// naive is the same fold with no protocol at all.
type naive struct {
	entries map[string]*event.Claim
	changed map[string]int64 // version of each key, deletions included
	refused map[int64]bool
}

func fold(log []*Record, upTo int64) naive {
	f := naive{make(map[string]*event.Claim), make(map[string]int64), make(map[int64]bool)}
	for _, r := range log {
		if r.Offset > upTo {
			break
		}
		k := string(r.Key)
		if len(r.Value) != 8 {
			f.refused[r.Offset] = true
			continue
		}
		n := int64(binary.BigEndian.Uint64(r.Value))
		old := f.entries[k]
		switch {
		case n == remove:
			if old != nil {
				delete(f.entries, k)
				f.changed[k] = r.Offset
			}
		case n == panics, old.GetOnHand()+n < 0:
			f.refused[r.Offset] = true
		default:
			f.entries[k] = &event.Claim{OnHand: old.GetOnHand() + n, Reserved: old.GetReserved() + 1, CauseVersion: &event.Version{Number: r.Offset}}
			f.changed[k] = r.Offset
		}
	}
	return f
}

// The dedup room passes each event on once, wherever else it comes from.
type onceRoom struct{}

func (onceRoom) Name() string            { return "translate" }
func (onceRoom) Inputs() []schemas.Topic { return []schemas.Topic{sumsIn} }
func (onceRoom) Tables() []*Table        { return nil }

func (onceRoom) Prepare(r *Record) (Input, error) {
	if len(r.Value) == 0 {
		return Input{}, errors.New("no event id")
	}
	return Input{Value: r.Value}, nil
}

// Apply passes two outputs on for each event: they have one verdict.
func (onceRoom) Apply(tx *Tx, r *Record, in Input) error {
	for range 2 {
		tx.Emit(Output{Topic: sumsOut, Key: in.Value.([]byte), Once: in.Value.([]byte), Bytes: strconv.AppendInt(nil, r.Offset, 10)})
	}
	return nil
}

func (o onceRoom) Repeat(tx *Tx, r *Record, in Input) error { return o.Apply(tx, r, in) }

// world is one partition, its consumers, and all that can go wrong between them: what
// docs/spec/StreamLoop.tla has, with the code's own session.
type world struct {
	t interface {
		Fatalf(string, ...any)
		Helper()
	}
	room      *Room
	log       []*Record
	redis     *memoryStore
	past      []*memoryStore // states Redis has been in
	committed int64
	owner     *consumer
	zombies   []*consumer
	emitted   []Output
	gaps      int
}

// consumer is a session with what it has applied and not emitted yet.
type consumer struct {
	*session
	lost    *unsure
	at      int64 // fetch position
	applied []Output
	through int64 // last offset of what was applied
}

func newWorld(t interface {
	Fatalf(string, ...any)
	Helper()
}, f Fold) *world {
	room, err := NewRoom(f, "test")
	if err != nil {
		t.Fatalf("%v", err)
	}
	return &world{t: t, room: room, redis: newMemoryStore()}
}

func (w *world) add(key string, value []byte, headers ...Header) {
	w.log = append(w.log, &Record{Topic: sumsIn, Offset: int64(len(w.log)), Key: []byte(key), Value: value, Headers: headers,
		TimestampMs: 1_800_000_000_000 + int64(len(w.log))*60_000})
}

func (w *world) addNumber(key string, n int64) {
	w.add(key, binary.BigEndian.AppendUint64(nil, uint64(n)))
}

// assign makes a new owner, as the loop does; the old one is gone.
func (w *world) assign() {
	u := &unsure{store: shared{w}}
	c := &consumer{session: newSession(w.room, partition{sumsIn.Name, 0}, sumsIn, u, w.redis.wm), lost: u, through: -1}
	c.at = min(w.committed, w.redis.wm+1)
	c.next, c.session.committed = c.at, w.committed
	w.owner = c
}

// shared follows the world's Redis when it falls back.
type shared struct{ w *world }

func (s shared) load(ctx context.Context, p partition, keys []Key) (int64, [][]byte, error) {
	return s.w.redis.load(ctx, p, keys)
}

func (s shared) apply(ctx context.Context, p partition, r *applyRequest) (applyAnswer, error) {
	before := s.w.redis.clone()
	a, err := s.w.redis.apply(ctx, p, r)
	if a.applied {
		s.w.past = append(s.w.past, before)
	}
	return a, err
}

// rebalance takes the partition from the owner, who does not know.
func (w *world) rebalance() {
	if w.owner != nil {
		w.zombies = append(w.zombies, w.owner)
	}
	w.assign()
}

func (w *world) crash() { w.assign() }

// fallBack puts Redis to an earlier state.
func (w *world) fallBack(i int) {
	if len(w.past) == 0 {
		return
	}
	i %= len(w.past)
	w.redis, w.past = w.past[i].clone(), w.past[:i]
}

// handle is Fetch to Apply of up to n records.
func (w *world) handle(c *consumer, n int) bool {
	w.t.Helper()
	batch := w.log[min(c.at, int64(len(w.log))):min(c.at+int64(n), int64(len(w.log)))]
	if len(batch) == 0 || c.through >= 0 {
		return false
	}
	res, err := c.handle(context.Background(), batch)
	if gap, ok := asGap(err); ok {
		w.gaps++
		c.at = gap.next
		return false
	}
	if errors.Is(err, errLost) {
		return false // the same batch again
	}
	if err != nil {
		w.t.Fatalf("handling: %v", err)
	}
	c.applied, c.through = res.outputs(), batch[len(batch)-1].Offset
	return true
}

func (w *world) emit(c *consumer) {
	w.emitted = append(w.emitted, c.applied...)
	c.applied = nil
}

// commit ends a round; it is refused for those who are not the owner, and never lowered.
func (w *world) commit(c *consumer) {
	if c.through < 0 {
		return
	}
	c.at = c.through + 1
	if c == w.owner && c.at > c.session.committed {
		w.committed, c.session.committed = c.at, c.at
	}
	c.through = -1
}

func (w *world) look(c *consumer) {
	if w.redis.wm < c.base && c.through < 0 {
		w.gaps++
		c.at = c.fellBack(w.redis.wm).next
	}
}

// step is a whole round of the owner.
func (w *world) step(n int) {
	if w.handle(w.owner, n) {
		w.emit(w.owner)
		w.commit(w.owner)
	}
}

// drain lets the owner go on until it rests.
func (w *world) drain() {
	w.t.Helper()
	for range 10 * (len(w.log) + 10) {
		w.look(w.owner)
		if w.committed == int64(len(w.log)) && w.owner.at == w.committed && w.redis.wm == w.committed-1 {
			return
		}
		w.step(3)
	}
	w.t.Fatalf("the owner does not come to rest: at %d, committed %d, watermark %d of %d", w.owner.at, w.committed, w.redis.wm, len(w.log))
}

// claims are the room's entries as they stand in the state.
func (w *world) claims(s *memoryStore) map[string]*event.Claim {
	got := make(map[string]*event.Claim)
	for k, stored := range s.entries {
		if k.Table == w.room.refusals {
			continue
		}
		e, err := decodeEntry(k.Table, stored)
		if err != nil {
			w.t.Fatalf("%v", err)
		}
		c := e.value.(*event.Claim)
		if c.CauseVersion.GetNumber() != e.version.Number {
			w.t.Fatalf("entry %s of version %v says %v", k.ID, e.version, c.CauseVersion)
		}
		got[k.ID] = c
	}
	return got
}

func sameClaim(a, b *event.Claim) bool {
	return (a == nil) == (b == nil) && a.GetOnHand() == b.GetOnHand() && a.GetReserved() == b.GetReserved() &&
		a.GetCauseVersion().GetNumber() == b.GetCauseVersion().GetNumber()
}

func (w *world) sameState(got map[string]*event.Claim, want naive, when string) {
	w.t.Helper()
	if len(got) != len(want.entries) {
		w.t.Fatalf("%s: %d entries, want %d", when, len(got), len(want.entries))
	}
	for k, c := range want.entries {
		if !sameClaim(got[k], c) {
			w.t.Fatalf("%s: entry %s = %v, want %v", when, k, got[k], c)
		}
	}
}

// tableRecords are what the ledger's topic has, in order of offsets.
type tableRecordSeen struct {
	key               string
	version, previous Version
	since             int64
	claim             *event.Claim // nil: tombstone
}

func header(hs []Header, name string) string {
	for _, h := range hs {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}

func (w *world) topic() []tableRecordSeen {
	var seen []tableRecordSeen
	for _, o := range w.emitted {
		if o.Topic.Name != sums.Name {
			continue
		}
		r := tableRecordSeen{key: string(o.Key)}
		var err1, err2 error
		r.version, err1 = ParseVersion(header(o.Headers, schemas.HeaderVersion))
		l, source, err2 := parseLineage(header(o.Headers, schemas.HeaderLineage))
		r.previous, r.since = l.previous, l.since
		if err := errors.Join(err1, err2); err != nil || source != 0 {
			w.t.Fatalf("a table record with headers %v: %v", o.Headers, err)
		}
		value, err := o.encode(nil)
		if err != nil {
			w.t.Fatalf("%v", err)
		}
		if value != nil {
			r.claim = new(event.Claim)
			if err := r.claim.UnmarshalVT(value); err != nil {
				w.t.Fatalf("%v", err)
			}
		}
		seen = append(seen, r)
	}
	return seen
}

// check holds everything that must hold always, by the names of the specification.
func (w *world) check() {
	w.t.Helper()
	// StateIsFold
	w.sameState(w.claims(w.redis), fold(w.log, w.redis.wm), "StateIsFold")
	// OutputIsTrue
	best := make(map[string]int64)
	for _, r := range w.topic() {
		want := fold(w.log, r.version.Number)
		if !sameClaim(r.claim, want.entries[r.key]) {
			w.t.Fatalf("OutputIsTrue: %s@%s = %v, want %v", r.key, r.version, r.claim, want.entries[r.key])
		}
		best[r.key] = max(best[r.key], r.version.Number)
	}
	// CommittedIsEmitted
	want := fold(w.log, w.committed-1)
	for k, v := range want.changed {
		if best[k] < v {
			w.t.Fatalf("CommittedIsEmitted: %s changed at %d, the topic has %d at most", k, v, best[k])
		}
	}
	dead := w.dead()
	for o := range want.refused {
		if dead[o] == 0 {
			w.t.Fatalf("CommittedIsEmitted: the dead letter of %d is missing", o)
		}
	}
	all := fold(w.log, int64(len(w.log)))
	for o := range dead {
		if !all.refused[o] {
			w.t.Fatalf("offset %d is in the dead letters and was handled", o)
		}
	}
}

// dead counts dead letters by origin offset.
func (w *world) dead() map[int64]int {
	got := make(map[int64]int)
	for _, o := range w.emitted {
		if o.Topic.Name != schemas.DeadLetters(w.room.name).Name {
			continue
		}
		d := new(event.DeadLetter)
		if err := d.UnmarshalVT([]byte(header(o.Headers, schemas.HeaderDeadLetter))); err != nil {
			w.t.Fatalf("%v", err)
		}
		got[d.Offset]++
	}
	return got
}

func newTestWorld(t *testing.T, f Fold) *world {
	t.Helper()
	w := newWorld(t, f)
	w.assign()
	return w
}
