package push

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/helloword/crossdock/schemas/event"
)

// step is one thing that happens in a run of the model.
type step struct {
	kind    string
	account string
	listing string
	n       int64
	fault   fault
	flag    bool
}

func steps() *rapid.Generator[[]step] {
	one := rapid.Custom(func(t *rapid.T) step {
		return step{
			kind: rapid.SampledFrom([]string{
				"decide", "decide", "decide", "decide", "late", "pass", "pass", "fault", "fault",
				"sale", "sale", "redis", "kafka", "kill", "kill in call", "kill in record", "kill in memory", "stop", "revoke", "meanwhile",
			}).Draw(t, "kind"),
			account: rapid.SampledFrom([]string{"uk", "de"}).Draw(t, "account"),
			listing: rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "listing"),
			n:       rapid.Int64Range(1, 4).Draw(t, "n"),
			fault:   rapid.SampledFrom([]fault{fine, lost, vanished, notSent, throttled, outage, half, short, noLogin, keptHidden}).Draw(t, "fault"),
			flag:    rapid.Bool().Draw(t, "flag"),
		}
	})
	return rapid.SliceOfN(one, 5, 60)
}

// TestModel: whatever fails, is killed or comes late, in the end each listing shows its newest
// target, it was accepted and told, no decision had an effect twice, no listing ever went back
// to an older target, and the last record of each key in the topic is the newest. Sales lower
// what is shown; the stock room hears of some of them only later.
func TestModel(t *testing.T) {
	played := 0
	defer func() { t.Logf("%d steps", played) }()
	rapid.Check(t, func(rt *rapid.T) {
		script := steps().Draw(rt, "steps")
		var problems []string
		synctest.Test(t, func(t *testing.T) { problems = play(newWorld(t, "uk", "de"), script); played += len(script) })
		if len(problems) > 0 {
			rt.Fatal(strings.Join(problems, "\n"))
		}
	})
}

func play(w *world, script []step) []string {
	newest := map[string]*event.PushTarget{}
	var version int64
	var facts sync.Mutex // of the two
	w.cfg.ReauthoriseEvery = 20 * time.Second
	w.shops["de"].wholly = true
	// decide gives a listing its next target; facts is held. The quantity tells the version, so
	// that an effect can be told too.
	next := func(account, listing string, decrease bool) *event.PushTarget {
		version++
		v := target(account, listing, version, 1000+version*100, decrease)
		newest[account+"/"+listing] = v
		return v
	}
	w.room = func(o *event.PushOutcome) *event.PushTarget {
		facts.Lock()
		defer facts.Unlock()
		if v := newest[o.Account+"/"+o.ListingId]; v == nil || compare(v.Version, o.TargetVersion) != 0 {
			return nil // decided already
		}
		v := next(o.Account, o.ListingId, false)
		v.Believed, v.Cause = o.ReadBack, "outcome/"+o.Account+"/"+o.ListingId
		return v
	}
	unheard := map[string][2]string{} // listings that were sold from
	hear := func() {
		for _, key := range slices.Sorted(maps.Keys(unheard)) {
			facts.Lock()
			v := next(unheard[key][0], unheard[key][1], false)
			facts.Unlock()
			delete(unheard, key)
			w.decide(v)
		}
	}
	w.start()
	kill := func() { // at a point within a call: from another goroutine, the sink must get on
		cfg := w.cfg
		cfg.DrainTimeout = 0
		_ = w.sink.Reload(cfg)
		w.cancel()
	}
	for _, x := range script {
		s := w.shops[x.account]
		switch x.kind {
		case "decide", "late":
			facts.Lock()
			key := x.account + "/" + x.listing
			var v *event.PushTarget
			if x.kind == "late" && newest[key] != nil {
				old := newest[key].Version.Number - 1
				v = target(x.account, x.listing, old, 1000+old*100, x.flag)
				v.Sku = "late"
			} else {
				v = next(x.account, x.listing, x.flag)
			}
			facts.Unlock()
			w.decide(v)
		case "sale":
			if s.shows(x.listing) > 0 {
				s.sell(x.listing, x.n)
				unheard[x.account+"/"+x.listing] = [2]string{x.account, x.listing}
			}
			if x.flag {
				hear()
			}
		case "pass":
			pass(time.Duration(x.n*x.n) * 200 * time.Millisecond)
			w.offer()
		case "fault":
			s.mu.Lock()
			for range x.n {
				s.faults = append(s.faults, x.fault)
			}
			s.mu.Unlock()
		case "redis":
			w.memory.mu.Lock()
			if x.flag {
				w.memory.fail = int(x.n)
			} else {
				w.memory.lost = int(x.n)
			}
			w.memory.mu.Unlock()
		case "kafka":
			var n atomic.Int64
			n.Store(x.n)
			w.onPublish(func() error {
				if n.Add(-1) >= 0 {
					return errors.New("no leader")
				}
				return nil
			})
			pass(time.Duration(x.n) * time.Second)
			w.onPublish(nil)
		case "kill", "stop":
			w.stop(x.kind == "kill")
			w.start()
		case "kill in call", "kill in record", "kill in memory":
			// Give the point a moment to be reached; then the process is gone in any case.
			die := sync.OnceFunc(kill)
			switch x.kind {
			case "kill in call":
				if x.flag {
					s.hook(die, nil)
				} else {
					s.hook(nil, die)
				}
			case "kill in record":
				w.onPublish(func() error {
					die()
					if x.flag {
						return context.Canceled
					}
					return nil
				})
			case "kill in memory":
				w.memory.onStored(die)
			}
			pass(time.Second)
			w.cancel()
			<-w.ended
			s.hook(nil, nil)
			w.onPublish(nil)
			w.memory.onStored(nil)
			w.start()
		case "meanwhile": // a newer target comes between the look into the memory and the call
			w.memory.afterLoad(func() {
				facts.Lock()
				v := next(x.account, x.listing, x.flag)
				facts.Unlock()
				w.decide(v)
			})
		case "revoke":
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			w.sink.Revoke(ctx, "push.targets.v1", 0)
			cancel()
			w.assign()
		}
	}
	w.memory.afterLoad(nil)
	for _, s := range w.shops {
		s.mu.Lock()
		s.faults = nil
		s.mu.Unlock()
	}
	w.memory.mu.Lock()
	w.memory.fail, w.memory.lost = 0, 0
	w.memory.mu.Unlock()
	hear()
	for range 10 {
		pass(time.Minute)
		w.offer()
	}
	pass(time.Minute)
	w.stop(false)

	bad := w.problems()
	report := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	if low := w.low(); low != int64(len(w.log)) {
		report("offset %d of %d is not done", low, len(w.log))
	}
	last := map[string]int64{}
	for _, r := range w.log {
		v, err := decodeTarget(r)
		if err != nil {
			report("%v", err)
			continue
		}
		last[string(r.Key)] = v.Version.Number
	}
	told := map[string]bool{}
	for _, o := range w.outcomes() {
		told[o] = true
	}
	for key, v := range newest {
		s := w.shops[v.Account]
		if got := s.shows(v.ListingId); got != v.Quantity {
			report("%s shows %d, want %d", key, got, v.Quantity)
		}
		if last[key] != v.Version.Number {
			report("%s: the last record is v%d, want v%d", key, last[key], v.Version.Number)
		}
		if o := fmt.Sprintf("%s v%d %d accepted", v.ListingId, v.Version.Number, v.Quantity); !told[o] {
			report("not told: %s", o)
		}
		before := int64(0)
		for _, q := range s.applied[v.ListingId] {
			if q <= before {
				report("%s: effects %v: twice, or back", key, s.applied[v.ListingId])
				break
			}
			before = q
		}
	}
	return bad
}
