package stream

import (
	"fmt"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// act lets the world do one thing. Whatever the room, the actions are the specification's.
func (w *world) act(rt *rapid.T, add func()) {
	switch rapid.SampledFrom([]string{
		"add", "add", "add", "step", "step", "step", "apply", "emit", "commit",
		"crash", "rebalance", "zombie", "fall back", "look", "answer lost", "call lost", "read lost",
	}).Draw(rt, "action") {
	case "add":
		add()
	case "step":
		w.step(rapid.IntRange(1, 5).Draw(rt, "batch"))
	case "apply":
		w.handle(w.owner, rapid.IntRange(1, 5).Draw(rt, "batch"))
	case "emit":
		// Some of the outputs, then the rest or a crash.
		if n := len(w.owner.applied); n > 0 {
			k := rapid.IntRange(0, n).Draw(rt, "some")
			w.emitted = append(w.emitted, w.owner.applied[:k]...)
			if rapid.Bool().Draw(rt, "crash") {
				w.crash()
			} else {
				w.owner.applied = w.owner.applied[k:]
				w.emit(w.owner)
				w.commit(w.owner)
			}
		}
	case "commit":
		if len(w.owner.applied) == 0 {
			w.commit(w.owner)
		}
	case "crash":
		w.crash()
	case "rebalance":
		if w.owner.applied != nil || rapid.Bool().Draw(rt, "idle too") {
			w.rebalance()
		}
	case "zombie":
		if len(w.zombies) > 0 {
			z := w.zombies[rapid.IntRange(0, len(w.zombies)-1).Draw(rt, "zombie")]
			if len(z.applied) > 0 {
				w.emit(z)
			} else {
				w.handle(z, rapid.IntRange(1, 5).Draw(rt, "batch"))
			}
			w.commit(z)
		}
	case "fall back":
		w.fallBack(rapid.IntRange(0, 50).Draw(rt, "to"))
	case "look":
		w.look(w.owner)
	case "answer lost":
		w.owner.lost.after = 1
	case "call lost":
		w.owner.lost.before = 1
	case "read lost":
		w.owner.lost.loads = 1
	}
}

// rest lets everything settle: the zombies die, the owner goes on.
func (w *world) rest() {
	w.zombies = nil
	w.emit(w.owner)
	w.commit(w.owner)
	w.drain()
}

// TestSessionModel: whatever happens, in whatever order, the state is the fold of the input,
// every output is true for its version, and nothing committed is missing.
func TestSessionModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := newLedgerRoom()
		w := newWorld(rt, f)
		w.room.cacheBytes = rapid.IntRange(1, 4).Draw(rt, "cache") * slotCost
		w.assign()
		add := func() {
			key := "k" + strconv.Itoa(rapid.IntRange(0, 3).Draw(rt, "key"))
			switch rapid.IntRange(0, 11).Draw(rt, "kind") {
			case 0:
				w.add(key, []byte("poison"))
			case 1:
				w.addNumber(key, remove)
			case 2:
				w.addNumber(key, panics)
			case 3, 4:
				w.addNumber(key, -rapid.Int64Range(1, 30).Draw(rt, "n"))
			default:
				w.addNumber(key, rapid.Int64Range(0, 20).Draw(rt, "n"))
			}
		}
		for range rapid.IntRange(1, 60).Draw(rt, "actions") {
			w.act(rt, add)
			w.check()
		}
		w.rest()
		w.check()
		all := fold(w.log, int64(len(w.log)))
		w.sameState(w.claims(w.redis), all, "at rest")
		newest := make(map[string]tableRecordSeen)
		for _, r := range w.topic() {
			if old, ok := newest[r.key]; !ok || !r.version.Before(old.version) {
				newest[r.key] = r
			}
		}
		for k := range all.changed {
			if !sameClaim(newest[k].claim, all.entries[k]) {
				rt.Fatalf("the topic's newest version of %s is %v, the state is %v", k, newest[k].claim, all.entries[k])
			}
		}
		if n := len(w.redis.entries) - len(all.entries); n > len(all.refused) {
			rt.Fatalf("%d refusals are kept of %d", n, len(all.refused))
		}
	})
}

// TestDedupModel: each event is passed on, under one coordinate only, both outputs of it.
func TestDedupModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, onceRoom{})
		w.assign()
		// owed[id] are events that came; coordinate of each record that may speak for it.
		poisoned := make(map[int64]bool)
		add := func() {
			id := fmt.Appendf(nil, "event-%d-padded-to-16", rapid.IntRange(0, 5).Draw(rt, "event"))
			switch rapid.IntRange(0, 8).Draw(rt, "kind") {
			case 0:
				poisoned[int64(len(w.log))] = true
				w.add("k", nil)
			case 1:
				// A poison record, corrected and sent again: it speaks for where it first stood.
				for o := range poisoned {
					w.add("k", id, Header{Key: schemas.HeaderOrigin, Value: []byte(Origin(sumsIn.Name, 0, o))}, Header{Key: schemas.HeaderAttempt, Value: []byte("1")})
					delete(poisoned, o)
					break
				}
			default:
				w.add("k", id)
			}
		}
		coordinate := func(offset int64) int64 {
			if h := w.log[offset].Header(schemas.HeaderOrigin); h != nil {
				c, err := parseOrigin(string(h))
				if err != nil {
					rt.Fatal(err)
				}
				return c
			}
			return offset
		}
		check := func() {
			said, times := make(map[string]int64), make(map[string]int)
			for _, o := range w.emitted {
				if o.Topic.Name != sumsOut.Name {
					continue
				}
				offset, err := strconv.ParseInt(string(o.Bytes), 10, 64)
				if err != nil {
					rt.Fatal(err)
				}
				id, c := string(o.Key), coordinate(offset)
				if old, ok := said[id]; ok && old != c {
					rt.Fatalf("OneCoordinate: event %s speaks under %d and %d", id, old, c)
				}
				said[id] = c
				times[id]++
			}
			for _, r := range w.log {
				if id := string(r.Value); r.Offset < w.committed && id != "" && times[id] < 2 {
					rt.Fatalf("CommittedIsEmitted: event %s of offset %d was passed on %d times, want both outputs", id, r.Offset, times[id])
				}
			}
		}
		for range rapid.IntRange(1, 60).Draw(rt, "actions") {
			w.act(rt, add)
			check()
		}
		w.rest()
		check()
	})
}

// TestMemoryModel: the public harness keeps the same promise.
func TestMemoryModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := newLedgerRoom()
		room, err := NewRoom(f, "test")
		if err != nil {
			rt.Fatal(err)
		}
		m := NewMemory(room, sumsIn)
		var snapshots []any
		for range rapid.IntRange(1, 50).Draw(rt, "actions") {
			switch rapid.IntRange(0, 6).Draw(rt, "action") {
			case 0:
				snapshots = append(snapshots, m.Snapshot())
			case 1:
				if len(snapshots) > 0 {
					n := rapid.IntRange(0, len(snapshots)-1).Draw(rt, "to")
					m.Restore(snapshots[n])
					snapshots = snapshots[:n+1]
				}
			case 2:
				m.Look()
			case 3, 4:
				m.Append(number16(rapid.IntRange(0, 3).Draw(rt, "key"), rapid.Int64Range(-5, 20).Draw(rt, "n")))
			default:
				if _, err := m.Step(rapid.IntRange(1, 5).Draw(rt, "batch"), Crash(rapid.IntRange(0, 2).Draw(rt, "crash"))); err != nil {
					rt.Fatal(err)
				}
			}
		}
		m.Look()
		if _, err := m.Drain(4); err != nil {
			rt.Fatal(err)
		}
		want := fold(m.log, int64(len(m.log)))
		got := make(map[string]*event.Claim)
		m.Entries(f.table, func(id string, v Message) { got[id] = v.(*event.Claim) })
		(&world{t: rt}).sameState(got, want, "memory")
		if m.Watermark() != int64(len(m.log))-1 || m.Pending() != 0 {
			rt.Fatalf("watermark %d, %d pending of %d", m.Watermark(), m.Pending(), len(m.log))
		}
		for k, c := range want.entries {
			if !sameClaim(m.Entry(Key{f.table, k}).(*event.Claim), c) {
				rt.Fatalf("Entry(%s) differs", k)
			}
		}
	})
}

func number16(key int, n int64) Record {
	r := number("k"+strconv.Itoa(key), n)
	return Record{Key: r.Key, Value: r.Value}
}
