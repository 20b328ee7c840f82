package stream

// Every line of the failure tables that the protocol was derived from, and the test that
// holds it. "model" is TestSessionModel and TestDedupModel, which do all of it in any order.
//
//	dedup
//	  crash after the mark, before output and commit      TestCrashBetweenSteps, model
//	  duplicate reaches another consumer                  TestDuplicateAtAnotherConsumer, model
//	  two identical events inside one batch               TestDuplicateInOneBatch
//	  mark expired, then redelivery                       TestKeyExpiredThenRedelivered
//	  mark expired, duplicate first, then redelivery      TestKeyExpiredDuplicateFirst
//	  deliberate replay from earlier offsets              TestReplayPassesTheSameRecords
//	  poison, corrected and redriven                      TestPoisonThenCorrectedRedrive
//	  redriven though it had been passed on               TestRedriveOfWhatWasPassedOn
//	  topic recreated                                     TestTopicRecreatedRefusesToStart
//	  retention shorter than the time away                TestRetentionShorterThanDowntime
//	  Redis loses its last marks                          TestDuplicateAfterRedisFellBack, model
//	state
//	  kill before Apply; between Apply and Emit;
//	  between Emit and Commit                             TestCrashBetweenSteps, model
//	  the same before the first commit of all             TestCrashBeforeFirstCommit
//	  Redis falls back under a live consumer              TestRedisFallsBackUnderLiveConsumer, model
//	  Redis falls back while it is quiet                  TestRedisFallsBackWhileQuiet, model
//	  Redis falls back while nobody looks                 TestRedisFellBackWhileStopped
//	  a session that repeats when Redis falls back        TestRewindNeverSkipsWhatIsOwed, model
//	  both at once                                        model
//	  zombie applies late                                 TestZombieIsFenced, model
//	  zombie emits late on a compacted topic              TestZombieEmitsLate, TestViewNewestVersionWins
//	  Redis away                                          TestRedisAwayStallsAndRecovers
//	  Redis on two sides                                  is a zombie and a fall-back: model
//	  an answer is lost, a call is lost                   TestAnswerLost, model
//	  Redis wiped                                         TestStateGoneRefusesToStart, TestRebuild
//	  Redis wiped under a live consumer                   TestStateGoneUnderLiveConsumer
//	  an entry is damaged                                 TestDamagedEntryStops
//	  script flushed from Redis                           TestStoreAgainstMemory
//	  partition count changed                             TestPartitionCountPinned
//	  poison blocks nothing                               TestPoisonPasses, model
//	  poison and a crash before its dead letter           TestRefusalSurvivesCrash, model
//	  a handler panics                                    TestPoisonPasses, model
//	group
//	  commit refused                                      TestCommitRefusedIsHarmless
//	  graceful stop                                       TestGracefulStopDrainsAndLeaves
//	  restart of a static member                          TestStaticMember
//	  members come and go, both protocols                 TestLoopFoldsEverythingOnce
//	  Kafka refuses an output                             TestCrashBeforeFirstCommit
//	sinks
//	  crash between intent and insert, and after insert   TestWriterCrash
//	  intent refused                                      TestWriterIntentRefused
//	  records that can never be written                   TestWriterRejectedRecords
//	  one partition's writer is away                      TestWriterAwayPausesItsPartitionOnly
//	  rebalance while writing                             TestWriterRebalance
//	  an intent of another program                        TestWriterForeignIntent
//	  out of order, crash, revocation                     TestExecutor...

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

func TestCrashBetweenSteps(t *testing.T) {
	for _, tc := range []struct {
		name      string
		until     func(w *world)
		repeated  bool // the batch's outputs were out before
		watermark int64
	}{
		{"before Apply", func(*world) {}, false, -1},
		{"after Apply, before Emit", func(w *world) { w.handle(w.owner, 10) }, false, 3},
		{"after Emit, before Commit", func(w *world) { w.handle(w.owner, 10); w.emit(w.owner) }, true, 3},
		{"after Commit", func(w *world) { w.step(10) }, true, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newTestWorld(t, newLedgerRoom())
			w.addNumber("a", 5)
			w.addNumber("b", 1)
			w.addNumber("a", 2)
			w.add("a", []byte("poison"))
			tc.until(w)
			if w.redis.wm != tc.watermark || (len(w.emitted) > 0) != tc.repeated {
				t.Fatalf("at the crash: watermark %d, %d outputs", w.redis.wm, len(w.emitted))
			}
			w.crash()
			w.rest()
			w.check()
			if got := w.claims(w.redis)["a"]; got.OnHand != 7 || got.Reserved != 2 {
				t.Errorf("a = %v, want 7 of 2 records: nothing is applied twice", got)
			}
		})
	}
}

// TestCrashBeforeFirstCommit: nothing is committed yet and the state is ahead: the outputs are
// owed from the beginning. Kafka refuses the first outputs for good, which ends the loop.
func TestCrashBeforeFirstCommit(t *testing.T) {
	e := newEngines(t, 1)
	e.produce(t, number("a", 5), number("b", 1), number("a", 2))
	e.broker.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: e.deps.Scope.Topic(sums), Err: kerr.TopicAuthorizationFailed, Count: 1})
	err := e.run(t, newSumRoom()).wait(t)
	if !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Fatalf("the loop ended with %v, want the broker's refusal", err)
	}
	if e.committed(t) != -1 {
		t.Fatalf("committed %d although outputs are missing", e.committed(t))
	}
	r := e.run(t, newSumRoom())
	e.drained(t, "orders")
	r.stop(t)
	got := e.table(t)
	if got["a"].GetOnHand() != 7 || got["a"].GetReserved() != 2 || got["b"].GetOnHand() != 1 {
		t.Errorf("table = %v, want a: 7 of 2, b: 1", got)
	}
	if n := figure(e.deps.Metrics.Repeated.WithLabelValues("orders")); n != 3 {
		t.Errorf("%v records repeated, want 3", n)
	}
}

func events(w *world) []string {
	var got []string
	for _, o := range w.emitted {
		if o.Topic.Name == sumsOut.Name {
			got = append(got, string(o.Key)[:1]+"@"+string(o.Bytes))
		}
	}
	return got
}

func wantEvents(t *testing.T, w *world, want string) {
	t.Helper()
	if got := strings.Join(events(w), " "); got != want {
		t.Errorf("passed on: %s, want %s", got, want)
	}
}

var (
	eventA = []byte("a-sixteen-bytes-or-more")
	eventB = []byte("b-sixteen-bytes-or-more")
)

func TestDuplicateInOneBatch(t *testing.T) {
	w := newTestWorld(t, onceRoom{})
	w.add("k", eventA)
	w.add("k", eventB)
	w.add("k", eventA)
	res, err := w.owner.handle(t.Context(), w.log)
	if err != nil {
		t.Fatal(err)
	}
	w.emitted = res.outputs()
	wantEvents(t, w, "a@0 a@0 b@1 b@1")
	if res.duplicates != 1 {
		t.Errorf("%d duplicates counted, want 1", res.duplicates)
	}
}

func TestDuplicateAtAnotherConsumer(t *testing.T) {
	w := newTestWorld(t, onceRoom{})
	w.add("k", eventA)
	w.handle(w.owner, 1)
	w.rebalance() // the first one never emits
	w.add("k", eventA)
	w.rest()
	wantEvents(t, w, "a@0 a@0")
}

// onceOnRedis is the dedup room over a miniredis whose clock the test moves.
func onceOnRedis(t *testing.T) (*world, *miniredis.Miniredis, func(from int) handled) {
	mini := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: mini.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	w := newTestWorld(t, onceRoom{})
	st := newRedisStore(client, scopeOf("acme"), w.room.name, w.room.stored())
	return w, mini, func(from int) handled {
		t.Helper()
		wm, err := st.watermark(t.Context(), partition{sumsIn.Name, 0})
		if err != nil {
			t.Fatal(err)
		}
		s := newSession(w.room, partition{sumsIn.Name, 0}, sumsIn, st, wm)
		res, err := s.handle(t.Context(), w.log[from:])
		if err != nil {
			t.Fatal(err)
		}
		w.emitted = append(w.emitted, res.outputs()...)
		return res
	}
}

// TestKeyExpiredThenRedelivered: it is passed on again, not lost.
func TestKeyExpiredThenRedelivered(t *testing.T) {
	w, mini, handle := onceOnRedis(t)
	w.add("k", eventA)
	handle(0)
	mini.FastForward(2*dedupPeriod + time.Second)
	handle(0) // the same record again
	wantEvents(t, w, "a@0 a@0 a@0 a@0")
}

// TestKeyExpiredDuplicateFirst: the duplicate speaks for the event, the original does not
// speak a third time.
func TestKeyExpiredDuplicateFirst(t *testing.T) {
	w, mini, handle := onceOnRedis(t)
	w.add("k", eventA)
	w.add("k", eventA)
	handle(1)
	mini.FastForward(2*dedupPeriod + time.Second)
	handle(1)
	if res := handle(0); res.duplicates != 1 {
		t.Errorf("%d duplicates, want the original", res.duplicates)
	}
	wantEvents(t, w, "a@1 a@1 a@1 a@1 a@1 a@1")
}

// TestReplayPassesTheSameRecords: offsets are reset, marks are kept: the same records pass, the
// same duplicates do not.
func TestReplayPassesTheSameRecords(t *testing.T) {
	w, _, handle := onceOnRedis(t)
	w.add("k", eventA)
	w.add("k", eventA)
	w.add("k", eventB)
	handle(0)
	first := len(w.emitted)
	handle(0)
	wantEvents(t, w, "a@0 a@0 b@2 b@2 a@0 a@0 b@2 b@2")
	if len(w.emitted) != 2*first {
		t.Errorf("a replay passed %d on, the first time %d", len(w.emitted)-first, first)
	}
}

func TestDuplicateAfterRedisFellBack(t *testing.T) {
	w := newTestWorld(t, onceRoom{})
	w.add("k", eventB)
	w.add("k", eventA)
	w.step(1)
	w.step(1)
	w.fallBack(1) // the mark of a is gone
	w.add("k", eventA)
	w.rest()
	if w.gaps == 0 {
		t.Error("nobody noticed that Redis fell back")
	}
	for _, e := range events(w) {
		if e == "a@2" {
			t.Errorf("the duplicate was passed on: %v", events(w))
		}
	}
}

func TestPoisonThenCorrectedRedrive(t *testing.T) {
	w := newTestWorld(t, onceRoom{})
	w.add("k", nil) // poison
	w.step(1)
	w.add("k", eventA, Header{Key: schemas.HeaderOrigin, Value: []byte(Origin(sumsIn.Name, 0, 0))}, Header{Key: schemas.HeaderAttempt, Value: []byte("1")})
	w.add("k", eventA) // the platform sends it again, too
	w.rest()
	wantEvents(t, w, "a@1 a@1")
	if w.dead()[0] != 1 {
		t.Errorf("dead letters: %v", w.dead())
	}
}

// TestRedriveOfWhatWasPassedOn: a stage behind refused it; the redrive speaks under the same
// coordinates, so it is no duplicate. Without them it is.
func TestRedriveOfWhatWasPassedOn(t *testing.T) {
	w := newTestWorld(t, onceRoom{})
	w.add("k", eventB)
	w.add("k", eventA)
	w.add("k", eventA, Header{Key: schemas.HeaderOrigin, Value: []byte(Origin(sumsIn.Name, 0, 1))})
	w.add("k", eventA)
	w.rest()
	wantEvents(t, w, "b@0 b@0 a@1 a@1 a@2 a@2")
}

func TestRedriveCountsAttempts(t *testing.T) {
	w := newTestWorld(t, newLedgerRoom())
	w.add("k", []byte("poison"), Header{Key: schemas.HeaderAttempt, Value: []byte("4")}, Header{Key: "keep", Value: []byte("me")})
	w.rest()
	o := w.emitted[0]
	d := new(event.DeadLetter)
	if err := d.UnmarshalVT([]byte(header(o.Headers, schemas.HeaderDeadLetter))); err != nil {
		t.Fatal(err)
	}
	if d.Attempt != 5 || d.Stage != "orders" || d.Code != "malformed" || d.Offset != 0 || d.Topic != sumsIn.Name ||
		string(o.Bytes) != "poison" || header(o.Headers, "keep") != "me" {
		t.Errorf("dead letter %v of %q with headers %v", d, o.Bytes, o.Headers)
	}
}

// TestPoisonPasses: bytes that cannot be decoded, a refusal by the state and a panic all go to
// the dead letters, leave nothing behind, and the records after them are handled.
func TestPoisonPasses(t *testing.T) {
	w := newTestWorld(t, newLedgerRoom())
	w.addNumber("a", 5)
	w.add("a", []byte("poison"))
	w.addNumber("a", panics)
	w.addNumber("a", -9)
	w.addNumber("a", 2)
	w.rest()
	w.check()
	if got := w.claims(w.redis)["a"]; got.OnHand != 7 || got.Reserved != 2 {
		t.Errorf("a = %v, want 7 of 2", got)
	}
	var codes []string
	for _, o := range w.emitted {
		if b := header(o.Headers, schemas.HeaderDeadLetter); b != "" {
			d := new(event.DeadLetter)
			if err := d.UnmarshalVT([]byte(b)); err != nil {
				t.Fatal(err)
			}
			codes = append(codes, fmt.Sprint(d.Offset, d.Code))
		}
	}
	if got := strings.Join(codes, ", "); got != "1malformed, 2panic, 3malformed" {
		t.Errorf("dead letters: %s", got)
	}
}

// TestMisusePanics: a handler that breaks its contract is no poison.
func TestMisusePanics(t *testing.T) {
	room := newSumRoom() // its table does not delete
	r, err := NewRoom(room, "test")
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(tx *Tx){
		"get":    func(tx *Tx) { tx.Get(Key{room.table, "unnamed"}) },
		"put":    func(tx *Tx) { tx.Put(Key{room.table, "unnamed"}, new(event.Claim)) },
		"again":  func(tx *Tx) { tx.Again(Key{room.table, "unnamed"}) },
		"delete": func(tx *Tx) { tx.Delete(Key{room.table, "k"}) },
		"repeat": func(tx *Tx) { tx.repeat = true; tx.Put(Key{room.table, "k"}, new(event.Claim)) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if _, ok := recover().(misuse); !ok {
					t.Error("the handler was not stopped")
				}
			}()
			r.handler = misuser{room, f}
			s := newSession(r, here, sumsIn, newMemoryStore(), -1)
			s.cache.slot(Key{room.table, "unnamed"}) // by a batch before
			s.work.begin(s, nil)
			s.work.again()
			_ = r.handle(&Tx{batch: &s.work}, &Record{}, Input{})
		})
	}
}

type misuser struct {
	*sumRoom
	f func(*Tx)
}

func (m misuser) Apply(tx *Tx, _ *Record, _ Input) error { m.f(tx); return nil }

// TestRefusalSurvivesCrash: the record was refused, the program that starts after the crash
// would accept it: the dead letter is written all the same, because the state lacks it.
func TestRefusalSurvivesCrash(t *testing.T) {
	w := newTestWorld(t, newLedgerRoom())
	w.addNumber("a", 5)
	w.addNumber("a", -9) // refused by the state
	w.addNumber("a", 20)
	w.handle(w.owner, 3)
	w.crash()
	w.rest()
	w.check()
	if w.dead()[1] != 1 {
		t.Errorf("dead letters: %v, want one of offset 1", w.dead())
	}
	if w.addNumber("a", 1); len(w.redis.entries) != 2 {
		t.Errorf("%d keys, want the entry and the refusal", len(w.redis.entries))
	}
	w.rest()
	if len(w.redis.entries) != 1 {
		t.Errorf("%d keys, want the entry alone: the refusal is committed", len(w.redis.entries))
	}
}

// TestRewindNeverSkipsWhatIsOwed: a successor that repeats stands below the watermark. When
// Redis falls back then, but less far, it must not jump to the watermark.
func TestRewindNeverSkipsWhatIsOwed(t *testing.T) {
	w := newTestWorld(t, newLedgerRoom())
	for i := range 6 {
		w.addNumber(fmt.Sprint("k", i), 1)
	}
	w.handle(w.owner, 3) // 0..2 applied, never emitted
	w.rebalance()
	w.owner.at = 3 // as if a predecessor had gone further in one more batch
	w.handle(w.owner, 3)
	w.crash() // 0..5 applied, nothing emitted
	w.fallBack(1)
	w.rest()
	w.check()
}

// TestRepeatedVersionStandsBeforeNewer: compaction keeps the last offset, so what one batch
// repeats and what it applies anew stand in the order of their versions.
func TestRepeatedVersionStandsBeforeNewer(t *testing.T) {
	w := newTestWorld(t, newLedgerRoom())
	w.addNumber("a", 1)
	w.addNumber("a", 2)
	w.handle(w.owner, 2)
	w.crash()
	w.addNumber("a", 3)
	w.handle(w.owner, 3)
	w.emit(w.owner)
	w.commit(w.owner)
	w.check()
	var got []int64
	for _, r := range w.topic() {
		got = append(got, r.version.Number)
	}
	if fmt.Sprint(got) != "[1 2]" {
		t.Errorf("versions in order of the topic: %v, want [1 2]", got)
	}
}

// TestLineageInOneBatch: one version covers all records of a batch, and says since when.
func TestLineageInOneBatch(t *testing.T) {
	w := newTestWorld(t, newLedgerRoom())
	w.addNumber("a", 1)
	w.step(1)
	w.addNumber("a", 2)
	w.addNumber("b", 2)
	w.addNumber("a", 3)
	w.step(3)
	var got []string
	for _, r := range w.topic() {
		got = append(got, fmt.Sprintf("%s %s<-%s since %d", r.key, r.version, r.previous, r.since))
	}
	want := "a 0.0<-0.-1 since 0, a 0.3<-0.0 since 1, b 0.2<-0.-1 since 2"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
}

func TestZombieIsFenced(t *testing.T) {
	w := newTestWorld(t, newLedgerRoom())
	for range 4 {
		w.addNumber("a", 1)
	}
	w.step(1)
	zombie := w.owner
	w.rebalance()
	w.step(2)
	// It wakes on its old state, and handles what it had fetched: as repeats, not again.
	if !w.handle(zombie, 2) {
		t.Fatal("the zombie could not handle its batch")
	}
	w.emit(zombie)
	w.commit(zombie)
	w.check()
	if w.committed != 3 {
		t.Errorf("committed %d, want 3: a zombie's commit is refused", w.committed)
	}
	// It goes on ahead of the owner: the owner repeats.
	w.handle(zombie, 1)
	w.rest()
	w.check()
	if got := w.claims(w.redis)["a"].GetOnHand(); got != 4 {
		t.Errorf("a = %d, want 4", got)
	}
}

// TestZombieEmitsLate: an old version after newer ones: true for its version, and the newest
// is told by its number, not by its place.
func TestZombieEmitsLate(t *testing.T) {
	w := newTestWorld(t, newLedgerRoom())
	for range 3 {
		w.addNumber("a", 1)
	}
	w.handle(w.owner, 1)
	zombie := w.owner
	w.rebalance()
	w.drain()
	w.emit(zombie)
	w.check()
	seen := w.topic()
	if last := seen[len(seen)-1]; last.version.Number != 0 {
		t.Fatalf("the last record is %v, want the zombie's", last)
	}
}

func TestAnswerLost(t *testing.T) {
	for name, u := range map[string]unsure{"call": {before: 1}, "answer": {after: 1}, "read": {loads: 1}} {
		t.Run(name, func(t *testing.T) {
			w := newTestWorld(t, newLedgerRoom())
			w.addNumber("a", 1)
			w.addNumber("a", 2)
			w.owner.lost.before, w.owner.lost.after, w.owner.lost.loads = u.before, u.after, u.loads
			if w.handle(w.owner, 2) {
				t.Fatal("nothing was lost")
			}
			w.rest()
			w.check()
			if got := w.claims(w.redis)["a"]; got.OnHand != 3 || got.Reserved != 2 {
				t.Errorf("a = %v, want 3 of 2", got)
			}
		})
	}
}

// TestRepeatTellsDeletions: the tombstone that was owed at a crash.
func TestRepeatTellsDeletions(t *testing.T) {
	w := newTestWorld(t, newLedgerRoom())
	w.addNumber("a", 1)
	w.step(1)
	w.addNumber("a", remove)
	w.handle(w.owner, 1)
	w.crash()
	w.rest()
	w.check()
	seen := w.topic()
	if last := seen[len(seen)-1]; last.claim != nil || last.version.Number != 1 {
		t.Errorf("the topic ends with %+v, want a tombstone of version 1", last)
	}
}
