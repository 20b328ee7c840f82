package push

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestOff: to an account whose stock is not written nothing is written or read, nothing is
// recorded, and its targets are done with at once, beside another account's.
func TestOff(t *testing.T) {
	run(t, "an account that is off", func(w *world) {
		w.start()
		w.decide(target("off", "a", 1, 5, true), target("uk", "b", 2, 7, true), target("off", "a", 3, 4, true))
		pass(time.Minute)
		synctest.Wait()
		same(w.t, "outcomes", []string{"b v2 7 accepted"}, w.outcomes())
		same(w.t, "writes to the account that is off", 0, len(w.off.writes()))
		same(w.t, "targets that were let pass", 2.0, w.series("off_total", "off"))
		same(w.t, "alerts", 0, len(w.alerts()))
		w.allDone()
	})
}
