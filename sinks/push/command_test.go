package push

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

func TestCommands(t *testing.T) {
	run(t, "each kind is carried out once and told to both topics", func(w *world) {
		w.start()
		w.ask(ship("A", 1), cancelling("B", 2), refunding("C", 3, 1250), pricing("L", 4, 999))
		pass(time.Second)
		same(w.t, "effects", []string{"cancel B for fraud", "ship A [{1 2}] by dhl TA", "refund C 1250 EUR", "price L 999 EUR"}, w.clerks["uk"].did())
		same(w.t, "outcomes", []string{"cancellation B v2 accepted", "shipment A v1 accepted", "refund C v3 accepted", "price L v4 accepted"}, w.commanded())
		w.allDone()
		same(w.t, "counted", 1.0, w.series("commands_total", "uk", "refund", "accepted"))
		same(w.t, "let go of", 4, len(w.begun.ended))
	})
	run(t, "nothing to do is done at once, and keeps the older from being done", func(w *world) {
		w.ask0(ship("A", 1), nothing(ship("A", 1), 2))
		w.start()
		pass(time.Minute)
		same(w.t, "asked", 0, len(w.clerks["uk"].wasAsked()))
		w.ask(ship("A", 1)) // a late writer
		pass(time.Minute)
		same(w.t, "asked after a late writer", 0, len(w.clerks["uk"].wasAsked()))
		w.offer() // the newest, written again
		pass(time.Second)
		w.allDone()
		same(w.t, "the last record of the key", int64(2), w.lastCommand("uk/A").Version.Number)
	})
	run(t, "prices go together, and only the newest of a listing", func(w *world) {
		w.start()
		w.clerks["uk"].hook(func() { time.Sleep(time.Second) }, nil)
		w.ask(cancelling("Z", 1))
		synctest.Wait()
		w.ask(pricing("L", 2, 100), pricing("M", 3, 100), pricing("L", 4, 200), pricing("N", 5, 100), pricing("O", 6, 100))
		w.clerks["uk"].hook(nil, nil)
		pass(time.Minute)
		same(w.t, "effects", []string{"cancel Z for fraud", "price M 100 EUR", "price L 200 EUR", "price N 100 EUR", "price O 100 EUR"}, w.clerks["uk"].did())
		same(w.t, "calls of prices", []int{3, 1}, w.clerks["uk"].batches)
		w.allDone()
	})
	run(t, "a newer price that comes during the call is written after it", func(w *world) {
		w.start()
		w.clerks["uk"].hook(func() { time.Sleep(time.Second) }, nil)
		w.ask(pricing("L", 1, 100))
		synctest.Wait()
		w.ask(pricing("L", 2, 200), pricing("L", 3, 300))
		pass(5 * time.Second)
		same(w.t, "effects", []string{"price L 100 EUR", "price L 300 EUR"}, w.clerks["uk"].did())
		w.allDone()
	})
	run(t, "a memory that fell back lets no old price be set again", func(w *world) {
		w.start()
		w.ask(pricing("L", 1, 100))
		pass(time.Second)
		w.ask(pricing("L", 2, 200))
		pass(time.Second)
		w.begun.fallBack()
		w.ask(pricing("L", 1, 100)) // the room tells both again
		pass(time.Second)
		w.offer() // the newest, written again
		w.ask(pricing("L", 2, 200))
		pass(time.Second)
		same(w.t, "prices, each as often as may be", []string{"price L 100 EUR", "price L 200 EUR"}, slices.Compact(w.clerks["uk"].did()))
		w.allDone()
	})
	run(t, "what waits long is written to the topic's end, and its old record is done", func(w *world) {
		w.clerks["uk"].meet(faultsOf(notSent, 1000)...)
		w.start()
		w.ask(ship("A", 1))
		pass(w.cfg.CarryAfter + w.cfg.BackoffMax*2)
		w.offer()
		synctest.Wait()
		if low := w.low(); low < 1 {
			w.t.Errorf("the old record holds back the offset: %d", low)
		}
		w.clerks["uk"].meet()
		pass(2 * w.cfg.BackoffMax)
		same(w.t, "effects", 1, len(w.clerks["uk"].did()))
		w.offer()
		pass(time.Minute)
		w.allDone()
	})
}

// TestCommandFaults: whatever happens to a call, it is made again under the same name until
// the platform says what it did, and that is there once. The clerk complains of two names.
func TestCommandFaults(t *testing.T) {
	for f, told := range map[fault][]string{
		lost:      {"refund A v1 unknown applied, answer lost", "refund A v1 accepted"},
		vanished:  {"refund A v1 unknown not applied, answer lost", "refund A v1 accepted"},
		notSent:   {"refund A v1 not-sent not sent", "refund A v1 accepted"},
		throttled: {"refund A v1 not-sent throttled", "refund A v1 accepted"},
		outage:    {"refund A v1 unknown transient", "refund A v1 accepted"},
		noLogin:   {"refund A v1 not-sent needs authorisation", "refund A v1 accepted"},
		refused:   {"refund A v1 refused refused"},
	} {
		run(t, string(f), func(w *world) {
			c := w.clerks["uk"]
			c.meet(f, f)
			w.start()
			w.ask(refunding("A", 1, 500))
			pass(time.Hour)
			same(w.t, "outcomes", told, w.commanded())
			want := []string{"refund A 500 EUR"}
			if f == refused {
				want = nil
			}
			same(w.t, "effects", want, c.did())
			w.allDone()
			if f == noLogin {
				same(w.t, "alerts", []string{"needs-authorisation/uk", "needs-authorisation/uk"}, w.alerts())
			}
		})
	}
	run(t, "an account that needs its owner is told of once, by whoever meets it, and once when it is over", func(w *world) {
		w.room = again
		w.start()
		w.clerks["uk"].hook(func() { w.clerks["uk"].meet(noLogin) }, nil)
		w.shops["uk"].hook(func() { w.shops["uk"].meet(noLogin) }, nil)
		w.ask(refunding("A", 1, 500))
		w.decide(target("uk", "a", 2, 5, true))
		pass(time.Minute)
		same(w.t, "alerts", []string{"needs-authorisation/uk"}, w.alerts())
		same(w.t, "shown", 1.0, w.series("needs_authorisation", "uk"))
		w.clerks["uk"].hook(nil, nil)
		w.clerks["uk"].meet()
		pass(2 * w.cfg.ReauthoriseEvery)
		same(w.t, "alerts while one of two is refused", 1, len(w.alerts()))
		same(w.t, "shown while one of two is refused", 1.0, w.series("needs_authorisation", "uk"))
		w.shops["uk"].hook(nil, nil)
		w.shops["uk"].meet()
		pass(2 * w.cfg.ReauthoriseEvery)
		w.offer()
		pass(w.cfg.ReauthoriseEvery)
		same(w.t, "alerts after", 2, len(w.alerts()))
		same(w.t, "shown after", 0.0, w.series("needs_authorisation", "uk"))
		w.allDone()
	})
	run(t, "the memory is away for a while", func(w *world) {
		w.begun.fail = 3
		w.start()
		w.ask(ship("A", 1))
		pass(time.Minute)
		same(w.t, "outcomes", []string{"shipment A v1 accepted"}, w.commanded())
		w.allDone()
	})
	run(t, "somebody else is at it", func(w *world) {
		w.begun.held["uk/A"] = time.Now().Add(10 * time.Second)
		w.start()
		w.ask(ship("A", 1))
		pass(9 * time.Second)
		same(w.t, "asked meanwhile", 0, len(w.clerks["uk"].wasAsked()))
		pass(3 * time.Second)
		same(w.t, "asked then", 1, len(w.clerks["uk"].wasAsked()))
		w.allDone()
	})
	run(t, "one that is to come later does not keep the others waiting", func(w *world) {
		w.clerks["uk"].meet(throttled)
		w.start()
		w.ask(ship("A", 1), ship("B", 2))
		pass(time.Second)
		same(w.t, "effects", []string{"ship B [{1 2}] by dhl TB"}, w.clerks["uk"].did())
		pass(3 * time.Second)
		w.allDone()
	})
	run(t, "nobody knows after all patience", func(w *world) {
		w.clerks["uk"].meet(faultsOf(vanished, 10_000)...)
		w.start()
		w.ask(refunding("A", 1, 500))
		pass(w.cfg.CommandPatience + time.Hour)
		same(w.t, "outcomes", []string{"refund A v1 unknown not applied, answer lost", "refund A v1 unknown for good not applied, answer lost"}, w.commanded())
		w.offer()
		pass(time.Minute)
		w.allDone()
	})
}

// TestKilledAtACommand: the process ends at each step around a call. The call is made again, by
// the same name, and its effect is there once.
func TestKilledAtACommand(t *testing.T) {
	for _, at := range []string{"before the effect", "after the effect", "before the record", "after the record"} {
		for _, make := range []func() *event.CommandTarget{
			func() *event.CommandTarget { return ship("A", 1) }, func() *event.CommandTarget { return cancelling("A", 1) },
			func() *event.CommandTarget { return refunding("A", 1, 500) },
		} {
			tg := make()
			run(t, at+" of a "+schemas.CommandKind(tg.Command), func(w *world) {
				c := w.clerks["uk"]
				die := func() {
					c.hook(nil, nil)
					cfg := w.cfg
					cfg.DrainTimeout = 0
					if err := w.sink.Reload(cfg); err != nil {
						w.t.Error(err)
					}
					w.onPublish(func() error { return context.Canceled })
					w.cancel()
				}
				switch at {
				case "before the effect":
					c.meet(vanished)
					c.hook(die, nil)
				case "after the effect":
					c.hook(nil, die)
				case "before the record":
					w.onPublish(func() error { die(); return context.Canceled })
				}
				w.start()
				w.ask(tg)
				if at == "after the record" {
					synctest.Wait()
					w.stop(true)
					w.forgetDone()
				}
				<-w.ended
				w.onPublish(nil)
				w.start()
				pass(time.Minute)
				same(w.t, "effects", 1, len(c.did()))
				if n := len(c.wasAsked()); n != 2 {
					w.t.Errorf("it was asked for %d times", n)
				}
				w.allDone()
			})
		}
	}
	run(t, "an old price is not set over a newer one", func(w *world) {
		w.start()
		w.ask(pricing("L", 1, 100))
		pass(time.Second)
		w.ask(pricing("L", 2, 200))
		pass(time.Second)
		w.stop(true)
		w.forgetDone()
		// The next owner is offered the old record by itself, and the newer one a while later.
		all := w.log
		w.log = all[:1]
		w.start()
		pass(time.Second)
		w.log = all
		w.offer()
		pass(time.Second)
		same(w.t, "effects", []string{"price L 100 EUR", "price L 200 EUR", "price L 200 EUR"}, w.clerks["uk"].did())
		w.allDone()
	})
}

// TestCommandsRefusedHere: what no platform is asked for, by name; and stock goes on.
func TestCommandsRefusedHere(t *testing.T) {
	run(t, "modules that are off", func(w *world) {
		w.clerks["uk"].modules = connectors.Modules{connectors.ModuleOrders, connectors.ModuleInventory}
		w.start()
		w.ask(ship("A", 1), cancelling("B", 2), refunding("C", 3, 100), pricing("L", 4, 100))
		w.decide(target("uk", "a", 1, 5, true))
		pass(time.Second)
		same(w.t, "outcomes", []string{
			"cancellation B v2 refused module-off", "shipment A v1 refused module-off", "refund C v3 refused module-off", "price L v4 refused module-off",
		}, w.commanded())
		same(w.t, "asked", 0, len(w.clerks["uk"].wasAsked()))
		same(w.t, "stock", int64(5), w.shops["uk"].shows("a"))
		w.allDone()
	})
	run(t, "accounts that cannot, or are not there, and amounts that are none", func(w *world) {
		w.start()
		mute, gone, fine, whole := ship("A", 1), ship("B", 2), pricing("L", 3, 100), pricing("M", 4, 100)
		mute.Account, gone.Account = "mute", "gone"
		fine.Command.GetPrice().Amount = amountOf(1005, 3, "EUR")
		whole.Command.GetPrice().Amount = amountOf(7, 0, "JPY")
		w.ask(mute, gone, fine, whole)
		pass(time.Second)
		got := map[string]bool{}
		for _, o := range w.commanded() {
			got[o] = true
		}
		same(w.t, "outcomes", map[string]bool{
			"shipment A v1 refused cannot": true, "shipment B v2 refused unknown-account": true,
			"price L v3 refused amount": true, "price M v4 accepted": true,
		}, got)
		same(w.t, "effects", []string{"price M 7 JPY"}, w.clerks["uk"].did())
		w.allDone()
	})
	run(t, "records that are no commands", func(w *world) {
		w.start()
		nobody, both, unversioned, strange := ship("A", 1), ship("A", 1), ship("A", 1), ship("A", 1)
		nobody.Account, both.ListingId, unversioned.Version, strange.Command.Action = "", "L", nil, nil
		w.ask(nobody, both, unversioned, strange)
		pass(time.Second)
		n := 0
		for _, r := range w.records {
			if r.Topic.Name == schemas.DeadLetters("push").Name {
				n++
			}
		}
		same(w.t, "dead letters", 4, n)
		w.allDone()
	})
}

// TestCommandRevoked: what is under way when a partition goes is waited for; the rest is dropped.
func TestCommandRevoked(t *testing.T) {
	run(t, "in the middle of a call", func(w *world) {
		w.start()
		w.clerks["uk"].hook(func() { time.Sleep(time.Second) }, nil)
		w.ask(ship("A", 1), ship("B", 2))
		synctest.Wait()
		began := time.Now()
		w.sink.Revoke(context.Background(), schemas.PushCommands.Name, 0)
		same(w.t, "waited", time.Second, time.Since(began))
		pass(time.Minute)
		same(w.t, "effects", 1, len(w.clerks["uk"].did()))
		w.assign()
		pass(time.Minute)
		same(w.t, "effects after another owner had it", 2, len(w.clerks["uk"].did()))
		w.allDone()
	})
}

func faultsOf(f fault, n int) []fault {
	all := make([]fault, n)
	for i := range all {
		all[i] = f
	}
	return all
}

// ask0 appends without offering: there is no sink yet.
func (w *world) ask0(ts ...*event.CommandTarget) {
	for _, t := range ts {
		b, err := t.MarshalVTStrict()
		if err != nil {
			w.t.Fatal(err)
		}
		w.appendTo(schemas.PushCommands, []byte(commandKey(t)), b)
	}
}

// forgetDone is a group whose commit was lost.
func (w *world) forgetDone() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done = map[int64]bool{}
}

// lastCommand is what a reader of the compacted topic would find.
func (w *world) lastCommand(key string) *event.CommandTarget {
	w.mu.Lock()
	defer w.mu.Unlock()
	var last *stream.Record
	for _, r := range w.log {
		if string(r.Key) == key {
			last = r
		}
	}
	t := &event.CommandTarget{}
	if err := errors.Join(t.UnmarshalVT(last.Value)); err != nil {
		w.errs = append(w.errs, fmt.Sprint(err))
	}
	return t
}
