package connectortest

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/helloword/crossdock/connectors"
)

// PollWorld is a platform with a poller on it.
type PollWorld struct {
	Subject connectors.Subject
	// Change changes one object, a new one or another one of those there are (n is a random
	// number to choose by), and says which, and what a record shows of it from then on.
	Change func(n int) (object, version string)
	// Late is Change for one that took effect up to a minute before it could be seen; nil
	// where the platform cannot be made to.
	Late func(n int) (object, version string)
	// Version is what a record shows.
	Version func(raw connectors.Raw) string
	// Advance moves the platform's clock.
	Advance func(d time.Duration)
	// Drift makes pages of the platform shift when an object changes while they are read.
	Drift func(on bool)
}

var errStop = errors.New("the room cannot take more")

// poll plays a room: changes happen between polls and in the middle of them, pages drift,
// emitting fails now and then, and the cursor is stored only after a poll that ended well.
// In the end everything must have come, in its last state.
func poll(r reporter, s Suite, w PollWorld) {
	r.Helper()
	p := s.Connector.Poll[w.Subject]
	if p == nil {
		r.Errorf("there is a world for %s and no poller", w.Subject)
		return
	}
	rng := rand.New(rand.NewPCG(1, 2))
	want, got := map[string]string{}, map[string]string{}
	change := func() {
		how := w.Change
		if w.Late != nil && rng.IntN(5) == 0 {
			how = w.Late
		}
		object, version := how(int(rng.Uint32() >> 1))
		want[object] = version
	}
	var cursor json.RawMessage
	var watermark time.Time
	const overlap, settle = 5 * time.Minute, 5 * time.Second
	once := func(meddle bool) bool {
		for {
			req := connectors.PollRequest{Cursor: cursor, Overlap: overlap, Settle: settle}
			emitted, stopAt := 0, -1
			if meddle && rng.IntN(4) == 0 {
				stopAt = rng.IntN(20)
			}
			before := string(cursor)
			res, err := p.Poll(context.Background(), req, func(raw connectors.Raw) error {
				if emitted == stopAt {
					return errStop
				}
				emitted++
				if raw.Subject != w.Subject || raw.Object == "" || raw.Format == "" || len(raw.Body) == 0 {
					r.Errorf("a record without subject, object, format or body: %q %q %q", raw.Subject, raw.Object, raw.Format)
				}
				got[raw.Object] = w.Version(raw)
				if meddle && rng.IntN(6) == 0 {
					w.Advance(time.Second)
					change()
				}
				return nil
			})
			if string(cursor) != before {
				r.Errorf("the poll changed the cursor that it was given")
			}
			if errors.Is(err, errStop) {
				return true // what was emitted comes again: the old cursor stands
			}
			if err != nil {
				r.Errorf("polling: %v", err)
				return false
			}
			if stopAt >= 0 && emitted > stopAt {
				r.Errorf("an error of emit did not end the poll")
			}
			if !json.Valid(res.Cursor) {
				r.Errorf("the cursor is no JSON: %q", res.Cursor)
				return false
			}
			if res.Watermark.Before(watermark) {
				r.Errorf("the watermark went back from %s to %s", watermark, res.Watermark)
			}
			if res.Objects != emitted {
				r.Errorf("%d objects were counted, %d emitted", res.Objects, emitted)
			}
			cursor, watermark = res.Cursor, res.Watermark
			if !res.More {
				return true
			}
		}
	}
	w.Drift(true)
	for range 120 {
		change()
		w.Advance(time.Duration(rng.IntN(3000)) * time.Millisecond)
	}
	for range 15 {
		if !once(true) {
			return
		}
		for range rng.IntN(30) {
			change()
			w.Advance(time.Duration(rng.IntN(2000)) * time.Millisecond)
		}
	}
	// Nothing happens any more: what is still missing comes within the overlap.
	for range 2 {
		w.Advance(2 * settle)
		if !once(false) {
			return
		}
	}
	missing, old := 0, 0
	for object, version := range want {
		switch seen, ok := got[object]; {
		case !ok:
			missing++
		case seen != version:
			old++
		}
	}
	if missing > 0 || old > 0 {
		r.Errorf("of %d objects %d were never emitted, and %d not in their last state", len(want), missing, old)
	}
	w.Drift(false)
	// A poll with nothing new still moves on with the platform's clock.
	at := watermark
	w.Advance(time.Hour)
	if once(false) && !watermark.After(at) {
		r.Errorf("an hour without changes, and the watermark stays at %s: the next poll reads all of it again", at)
	}
}
