package poll

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/helloword/crossdock/connectors"
)

// platform is a shop whose changes get their time when they begin and are visible when they
// are committed, up to lateness later: a transaction that takes its time, a replica that lags.
type platform struct {
	now     time.Time
	changes []change
	// tell decides what goes wrong in this poll.
	failAfter int // objects; -1 = nothing
}

type change struct {
	id          string
	at, visible time.Time
}

// Poll follows the rule of all pollers: from the cursor less the overlap to the platform's
// own now less the settle time, oldest first, cut into parts.
func (p *platform) Poll(_ context.Context, req connectors.PollRequest, emit func(connectors.Raw) error) (connectors.PollResult, error) {
	from, to := req.Start, p.now.Add(-req.Settle)
	if req.Cursor != nil {
		ms, err := strconv.ParseInt(string(req.Cursor), 10, 64)
		if err != nil {
			return connectors.PollResult{}, err
		}
		from = time.UnixMilli(ms).Add(-req.Overlap)
	}
	var seen []change
	for _, c := range p.changes {
		if !c.visible.After(p.now) && !c.at.Before(from) && c.at.Before(to) {
			seen = append(seen, c)
		}
	}
	slices.SortStableFunc(seen, func(a, b change) int { return a.at.Compare(b.at) })
	for i, c := range seen {
		if i == p.failAfter {
			return connectors.PollResult{}, errors.New("HTTP 503")
		}
		if err := emit(object(c.id)); err != nil {
			return connectors.PollResult{}, err
		}
	}
	return connectors.PollResult{Cursor: json.RawMessage(strconv.FormatInt(to.UnixMilli(), 10)), Watermark: to, Objects: len(seen)}, nil
}

// scenario plays a random history of changes, polls, failures of the platform, of Kafka and
// of a process that dies between Kafka's acknowledgement and the cursor, and returns the
// changes that no poll reported.
func scenario(t *testing.T, draw *rapid.T, lateness, overlap, settle time.Duration) (missed []string) {
	mr := newRedis(t)
	defer mr.Close()
	shop := &platform{now: epoch, failAfter: -1}
	second := func(label string, top time.Duration) time.Duration {
		return time.Duration(rapid.Int64Range(0, int64(top/time.Second)).Draw(draw, label)) * time.Second
	}
	w := newWorld(t, Config{Plan: Plan{Interval: time.Minute, Overlap: overlap, Settle: settle, Backfill: time.Hour},
		ChunkRecords: rapid.IntRange(1, 4).Draw(draw, "chunk"), BackoffMin: time.Millisecond, BackoffMax: time.Millisecond}, mr, shop)
	step := func(d time.Duration) {
		shop.now = shop.now.Add(d)
		mr.SetTime(shop.now)
		mr.FastForward(d)
	}
	for i := range rapid.IntRange(5, 40).Draw(draw, "steps") {
		switch rapid.IntRange(0, 9).Draw(draw, "step") {
		case 0, 1, 2, 3, 4:
			at := shop.now
			shop.changes = append(shop.changes, change{id: fmt.Sprint(i), at: at, visible: at.Add(second("late", lateness))})
			step(second("pause", 30*time.Second))
		case 5:
			shop.failAfter = rapid.IntRange(0, 3).Draw(draw, "platform fails after")
			step(2 * time.Minute)
			w.visitOrders(t.Context())
			shop.failAfter = -1
		case 6:
			left := rapid.IntRange(0, 3).Draw(draw, "kafka fails after")
			w.kafka.fail = func(int) error {
				if left--; left < 0 {
					return errors.New("not enough replicas")
				}
				return nil
			}
			step(2 * time.Minute)
			w.visitOrders(t.Context())
			w.kafka.fail = nil
		case 7: // the process dies with everything acknowledged and nothing stored
			w.kafka.fail = func(int) error { mr.Del(w.connections[0].lease + ":fence"); return nil }
			step(2 * time.Minute)
			w.visitOrders(t.Context())
			w.kafka.fail = nil
			step(w.leases.TTL)
		default:
			step(2 * time.Minute)
			w.visitOrders(t.Context())
		}
	}
	step(lateness + settle + 2*time.Minute)
	w.visitOrders(t.Context())
	if e := w.stored(t); e.Failures != 0 {
		draw.Fatalf("the last poll failed: %+v", e)
	}
	found := map[string]bool{}
	for _, id := range w.kafka.objects() {
		found[id] = true
	}
	for _, c := range shop.changes {
		if !found[c.id] {
			missed = append(missed, c.id)
		}
	}
	return missed
}

// Whatever fails, and however late a change is committed within the overlap: nothing is missed.
func TestNothingIsMissed(t *testing.T) {
	rapid.Check(t, func(draw *rapid.T) {
		settle := time.Duration(rapid.IntRange(0, 30).Draw(draw, "settle")+1) * time.Second
		overlap := time.Duration(rapid.IntRange(1, 300).Draw(draw, "overlap")) * time.Second
		if missed := scenario(t, draw, overlap, overlap, settle); len(missed) > 0 {
			draw.Fatalf("missed %v", missed)
		}
	})
}

// The detector detects: with an overlap shorter than the lateness something is missed.
func TestAnOverlapThatIsTooShortIsDetected(t *testing.T) {
	for _, tc := range []struct {
		overlap time.Duration
		missed  int
	}{{5 * time.Minute, 0}, {time.Second, 1}} {
		mr := newRedis(t)
		shop := &platform{now: epoch, failAfter: -1}
		w := newWorld(t, Config{Plan: Plan{Interval: time.Minute, Overlap: tc.overlap, Settle: time.Second}}, mr, shop)
		shop.changes = []change{{id: "late", at: epoch.Add(time.Minute), visible: epoch.Add(4 * time.Minute)}}
		for _, at := range []time.Duration{3 * time.Minute, 5 * time.Minute} {
			shop.now = epoch.Add(at)
			mr.SetTime(shop.now)
			w.visitOrders(t.Context())
		}
		if got := 1 - len(w.kafka.objects()); got != tc.missed {
			t.Errorf("overlap %s: %d missed, want %d", tc.overlap, got, tc.missed)
		}
	}
}
