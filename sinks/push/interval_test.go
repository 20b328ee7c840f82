package push

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// series is a figure of a metric by the values of its labels.
func (w *world) series(name string, values ...string) float64 {
	w.t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "crossdock_push_"+name {
			continue
		}
		for _, m := range f.Metric {
			var have []string
			for _, l := range m.Label {
				have = append(have, l.GetValue())
			}
			if strings.Join(have, " ") != strings.Join(values, " ") {
				continue
			}
			if m.Histogram != nil {
				return m.Histogram.GetSampleSum()
			}
			if m.Gauge != nil {
				return m.Gauge.GetValue()
			}
			return m.Counter.GetValue()
		}
	}
	return 0
}

// TestIntervals: an account that is written every so often, beside one that is written at once,
// and the change from one to the other while the sink runs.
func TestIntervals(t *testing.T) {
	run(t, "what is decided in between waits for the full interval", func(w *world) {
		w.cfg.Every = map[string]time.Duration{"uk": 15 * time.Minute, "de": 0}
		w.start()
		pass(time.Minute)
		w.decide(target("uk", "a", 1, 5, true), target("uk", "b", 2, 7, false), target("de", "c", 3, 9, true))
		pass(time.Minute)
		w.decide(target("uk", "a", 4, 3, true))
		pass(12 * time.Minute)
		w.offer() // what was carried to the topic's end comes back, and waits no longer than it would
		synctest.Wait()
		same(w.t, "before the interval is over", []string{"c v3 9 accepted"}, w.outcomes())
		pass(time.Minute)
		same(w.t, "then, in one call", []string{"c v3 9 accepted", "a v4 3 accepted", "b v2 7 accepted"}, w.outcomes())
		same(w.t, "calls", 1, len(w.shops["uk"].calls))
		same(w.t, "at once", true, w.series("delay_seconds", "de") < 1)
		same(w.t, "late", true, w.series("delay_seconds", "uk") > (26*time.Minute).Seconds())
		w.allDone()
	})
	run(t, "what fails is not put off to the next interval", func(w *world) {
		w.cfg.Every = map[string]time.Duration{"uk": time.Hour}
		w.room = again
		w.shops["uk"].meet(fine, outage) // the first read, then the write
		w.start()
		w.decide(target("uk", "a", 1, 5, true))
		for range 8 {
			pass(8 * time.Minute)
			w.offer() // what was carried
		}
		synctest.Wait()
		same(w.t, "told", []string{"a v1 5 unknown", "a v1 5 given-back", "a v1001 5 accepted"}, w.outcomes())
		same(w.t, "shown", int64(5), w.shops["uk"].shows("a"))
		w.allDone()
	})
	run(t, "from intervals to at once: what waits goes", func(w *world) {
		w.cfg.Every = map[string]time.Duration{"uk": 15 * time.Minute}
		w.start()
		w.decide(target("uk", "a", 1, 5, true))
		pass(time.Minute)
		same(w.t, "waits", []string(nil), w.outcomes())
		w.cfg.Every = nil
		if err := w.sink.Reload(w.cfg); err != nil {
			w.t.Fatal(err)
		}
		synctest.Wait()
		same(w.t, "goes", []string{"a v1 5 accepted"}, w.outcomes())
		w.decide(target("uk", "a", 2, 4, true))
		synctest.Wait()
		same(w.t, "and the next", []string{"a v1 5 accepted", "a v2 4 accepted"}, w.outcomes())
		w.cfg.Every = map[string]time.Duration{"uk": 15 * time.Minute}
		if err := w.sink.Reload(w.cfg); err != nil {
			w.t.Fatal(err)
		}
		w.decide(target("uk", "a", 3, 3, true))
		pass(time.Minute)
		same(w.t, "and back", int64(4), w.shops["uk"].shows("a"))
		pass(11 * time.Minute)
		w.offer()
		pass(4 * time.Minute)
		same(w.t, "in the end", int64(3), w.shops["uk"].shows("a"))
		w.allDone()
	})
	cfg := DefaultConfig()
	cfg.Every = map[string]time.Duration{"uk": -time.Second}
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "account uk") {
		t.Errorf("a negative interval: %v", err)
	}
}

// TestErrorRate: three calls of a hundred fail, and three of a hundred are counted, by what was
// wrong with them.
func TestErrorRate(t *testing.T) {
	run(t, "calls by their class", func(w *world) {
		s := w.shops["uk"]
		w.start()
		w.decide(target("uk", "a", 1, 1000, true))
		synctest.Wait()
		for i := range int64(99) {
			switch i {
			case 10:
				s.meet(outage)
			case 40:
				s.meet(notSent)
			case 70:
				s.meet(lost)
			}
			w.decide(target("uk", "a", i+2, 999-i, true))
			pass(2 * time.Minute) // the try that follows is one more call
		}
		w.allDone()
		for class, want := range map[string]float64{"transient": 1, "not-sent": 1, "unknown": 1} {
			same(w.t, class, want, w.series("calls_total", "uk", class, "write"))
		}
		calls := len(s.writes())
		same(w.t, "all of them", float64(calls), w.series("calls_total", "uk", "ok", "write")+3)
	})
}
