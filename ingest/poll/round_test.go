package poll

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas"
)

func TestPollStoresTheCursorAfterTheAcknowledgement(t *testing.T) {
	var requests []connectors.PollRequest
	p := pollFunc(func(_ context.Context, req connectors.PollRequest, emit func(connectors.Raw) error) (connectors.PollResult, error) {
		requests = append(requests, req)
		for i := range 7 {
			if err := emit(object(fmt.Sprint(i))); err != nil {
				return connectors.PollResult{}, fmt.Errorf("page 1: %w", err)
			}
		}
		return connectors.PollResult{Cursor: cursor(7), Watermark: epoch.Add(-time.Minute), Objects: 7}, nil
	})
	w := newWorld(t, Config{ChunkRecords: 3, Plan: Plan{Backfill: time.Hour, Overlap: time.Minute, Settle: time.Second}}, newRedis(t), p)

	// Kafka takes one chunk and then goes away: nothing is stored but the failure.
	w.kafka.fail = func(int) error {
		if len(w.kafka.calls) == 1 {
			return errors.New("not enough replicas")
		}
		return nil
	}
	w.visitOrders(t.Context())
	e := w.stored(t)
	if e.Cursor != nil || e.Failures != 1 || e.Class != "transient" || !strings.Contains(e.Error, "not enough replicas") || !e.Until.After(epoch) || e.Found != 3 {
		t.Fatalf("after a refused chunk: %+v", e)
	}

	w.kafka.fail = nil
	w.redis.SetTime(e.Until)
	w.visitOrders(t.Context())
	e = w.stored(t)
	want := entry{Cursor: cursor(7), Last: time.UnixMilli(w.redisNow(t)), Success: time.UnixMilli(w.redisNow(t)), Watermark: epoch.Add(-time.Minute), Found: 10}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Errorf("after a good poll: %s", diff)
	}
	if diff := cmp.Diff([]int{3, 3, 3, 1}, w.kafka.calls); diff != "" {
		t.Errorf("chunks: %s", diff)
	}
	if diff := cmp.Diff([]string{"0", "1", "2", "0", "1", "2", "3", "4", "5", "6"}, w.kafka.objects()); diff != "" {
		t.Error(diff)
	}
	r := w.kafka.records[0]
	headers := map[string]string{}
	for _, h := range r.Headers {
		headers[h.Key] = string(h.Value)
	}
	if r.Topic.Name != schemas.RawOrders.Name || string(r.Key) != "shop-uk/0" || headers["path"] != "poll" ||
		headers["connector"] != "shopify" || headers["object"] != "0" || headers["traceparent"] == "" {
		t.Errorf("record %s %s %v", r.Topic.Name, r.Key, headers)
	}

	// The next one, an interval later, begins at the cursor.
	w.redis.SetTime(e.Last.Add(w.interval(w.cfg.Load(), w.connections[0].subjects[0])))
	w.visitOrders(t.Context())
	start := epoch.Add(-time.Hour)
	if diff := cmp.Diff([]connectors.PollRequest{
		{Start: start, Overlap: time.Minute, Settle: time.Second}, {Start: start, Overlap: time.Minute, Settle: time.Second},
		{Cursor: cursor(7), Start: start, Overlap: time.Minute, Settle: time.Second},
	}, requests); diff != "" {
		t.Error(diff)
	}
}

func (w *world) redisNow(t *testing.T) int64 {
	t.Helper()
	_, now, err := w.store.load(t.Context(), "nothing")
	if err != nil {
		t.Fatal(err)
	}
	return now.UnixMilli()
}

// TestWhatIsNotTakenIsNotStored: a poller may find on its way what belongs to a module that is
// off.
func TestWhatIsNotTakenIsNotStored(t *testing.T) {
	p := pollFunc(func(_ context.Context, _ connectors.PollRequest, emit func(connectors.Raw) error) (connectors.PollResult, error) {
		shown := object("shown")
		shown.Subject = connectors.Inventory
		for _, raw := range []connectors.Raw{object("1"), shown, object("2")} {
			if err := emit(raw); err != nil {
				return connectors.PollResult{}, err
			}
		}
		return connectors.PollResult{Cursor: cursor(1), Watermark: epoch, Objects: 3}, nil
	})
	w := newWorld(t, Config{}, newRedis(t), p)
	w.connections[0].Takes = func(s connectors.Subject) bool { return s != connectors.Inventory }
	w.visitOrders(t.Context())
	if diff := cmp.Diff([]string{"1", "2"}, w.kafka.objects()); diff != "" {
		t.Error(diff)
	}
	if e := w.stored(t); e.Failures != 0 || e.Found != 2 {
		t.Errorf("after the poll: %+v", e)
	}
}

func TestChunksAreBoundedInBytes(t *testing.T) {
	p := pollFunc(func(_ context.Context, _ connectors.PollRequest, emit func(connectors.Raw) error) (connectors.PollResult, error) {
		for range 5 {
			if err := emit(object(strings.Repeat("x", 40))); err != nil {
				return connectors.PollResult{}, err
			}
		}
		return connectors.PollResult{Cursor: cursor(1)}, nil
	})
	w := newWorld(t, Config{ChunkBytes: 100}, newRedis(t), p)
	w.visitOrders(t.Context())
	if diff := cmp.Diff([]int{3, 2}, w.kafka.calls); diff != "" {
		t.Error(diff)
	}
}

// Errors instruct: each class has its own wait, none moves the cursor, what was emitted before
// the error is kept.
func TestFailures(t *testing.T) {
	for name, tc := range map[string]struct {
		poll      func(emit func(connectors.Raw) error) (connectors.PollResult, error)
		kafka     error
		class     string
		low, high time.Duration
		found     int64
		text      string
	}{
		"transient": {func(emit func(connectors.Raw) error) (connectors.PollResult, error) {
			_ = emit(object("1"))
			return connectors.PollResult{Cursor: cursor(9)}, errors.New("page 2: HTTP 502")
		}, nil, "transient", 4 * time.Second, 8 * time.Second, 1, "502"},
		"authorisation": {func(func(connectors.Raw) error) (connectors.PollResult, error) {
			return connectors.PollResult{}, fmt.Errorf("token: %w", connectors.ErrNeedsAuthorisation)
		}, nil, "needs-authorisation", time.Hour, time.Hour, 0, "token"},
		"permanent": {func(func(connectors.Raw) error) (connectors.PollResult, error) {
			return connectors.PollResult{}, connectors.ErrPermanent
		}, nil, "permanent", time.Hour, time.Hour, 0, "permanent"},
		"wish": {func(func(connectors.Raw) error) (connectors.PollResult, error) {
			return connectors.PollResult{}, &connectors.RetryAfterError{After: 90 * time.Second, Err: errors.New("429")}
		}, nil, "retry-after", 90 * time.Second, 90 * time.Second, 0, "429"},
		"endless wish": {func(func(connectors.Raw) error) (connectors.PollResult, error) {
			return connectors.PollResult{}, &connectors.RetryAfterError{After: 1e6 * time.Hour, Err: errors.New("429")}
		}, nil, "retry-after", 24 * time.Hour, 24 * time.Hour, 0, "429"},
		"panic": {func(func(connectors.Raw) error) (connectors.PollResult, error) { panic("nil map") },
			nil, "transient", 4 * time.Second, 8 * time.Second, 0, "nil map"},
		"emit's error swallowed": {func(emit func(connectors.Raw) error) (connectors.PollResult, error) {
			for range 3 {
				_ = emit(object("1"))
			}
			return connectors.PollResult{Cursor: cursor(9)}, nil
		}, errors.New("broker away"), "transient", 4 * time.Second, 8 * time.Second, 0, "broker away"},
		"last chunk refused": {func(emit func(connectors.Raw) error) (connectors.PollResult, error) {
			return connectors.PollResult{Cursor: cursor(9)}, emit(object("1"))
		}, errors.New("broker away"), "transient", 4 * time.Second, 8 * time.Second, 0, "broker away"},
		"no raw topic": {func(emit func(connectors.Raw) error) (connectors.PollResult, error) {
			return connectors.PollResult{Cursor: cursor(9)}, emit(connectors.Raw{Subject: "gossip"})
		}, nil, "permanent", time.Hour, time.Hour, 0, "gossip"},
		"going round in circles": {func(func(connectors.Raw) error) (connectors.PollResult, error) {
			return connectors.PollResult{More: true}, nil
		}, nil, "permanent", time.Hour, time.Hour, 0, "where it began"},
		"secret in the address": {func(func(connectors.Raw) error) (connectors.PollResult, error) {
			return connectors.PollResult{}, fmt.Errorf("reading orders: %w", &url.Error{Op: "Get", URL: "https://a.example/?key=geheim", Err: errors.New("EOF")})
		}, nil, "transient", 4 * time.Second, 8 * time.Second, 0, `reading orders: Get "https://a.example/?key=…"`},
	} {
		t.Run(name, func(t *testing.T) {
			p := pollFunc(func(_ context.Context, _ connectors.PollRequest, emit func(connectors.Raw) error) (connectors.PollResult, error) {
				return tc.poll(emit)
			})
			w := newWorld(t, Config{BackoffMin: 8 * time.Second, Recheck: time.Hour, ChunkRecords: 2}, newRedis(t), p)
			w.kafka.fail = func(int) error { return tc.kafka }
			w.visitOrders(t.Context())
			e := w.stored(t)
			wait := e.Until.Sub(epoch)
			if e.Cursor != nil || !e.Last.IsZero() || !e.Success.IsZero() || e.Class != tc.class || e.Found != tc.found || !strings.Contains(e.Error, tc.text) {
				t.Errorf("entry %+v", e)
			}
			if wait < tc.low || wait > tc.high {
				t.Errorf("waits %s, want %s to %s", wait, tc.low, tc.high)
			}
			if strings.Contains(e.Error+w.log.String(), "geheim") {
				t.Errorf("leaked: %s", w.log)
			}
			if got := w.Status()[0]; got.Class != tc.class || got.Failures != 1 || got.Polling {
				t.Errorf("status %+v", got)
			}
		})
	}
}

// A window that was cut short goes on at once, each part with its own cursor; a part that
// fails is asked for again, and the parts before it are not.
func TestMore(t *testing.T) {
	var asked []string
	ill := true
	p := pollFunc(func(_ context.Context, req connectors.PollRequest, emit func(connectors.Raw) error) (connectors.PollResult, error) {
		asked = append(asked, string(req.Cursor))
		part, _ := strconv.Atoi(string(req.Cursor))
		if part++; part == 3 && ill {
			return connectors.PollResult{}, errors.New("HTTP 500")
		}
		return connectors.PollResult{Cursor: cursor(part), More: part < 5}, emit(object(strconv.Itoa(part)))
	})
	w := newWorld(t, Config{}, newRedis(t), p)
	w.visitOrders(t.Context())
	e := w.stored(t)
	if string(e.Cursor) != "2" || e.Failures != 1 || !e.Last.IsZero() {
		t.Fatalf("after the failure in part 3: %+v", e)
	}
	ill = false
	w.redis.SetTime(e.Until)
	w.visitOrders(t.Context())
	if got := w.stored(t); string(got.Cursor) != "5" || got.Failures != 0 || got.Error != "" || !got.Last.Equal(e.Until) {
		t.Errorf("at the end: %+v", got)
	}
	if diff := cmp.Diff([]string{"", "1", "2", "2", "3", "4"}, asked); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"1", "2", "3", "4", "5"}, w.kafka.objects()); diff != "" {
		t.Error(diff)
	}
}

func TestBackfillWithoutEnd(t *testing.T) {
	var got connectors.PollRequest
	p := pollFunc(func(_ context.Context, req connectors.PollRequest, _ func(connectors.Raw) error) (connectors.PollResult, error) {
		got = req
		return connectors.PollResult{Cursor: cursor(1)}, nil
	})
	w := newWorld(t, Config{Plan: Plan{Backfill: time.Hour}, Plans: map[string]Plan{"shop-uk": {Backfill: -1}}}, newRedis(t), p)
	w.visitOrders(t.Context())
	if !got.Start.IsZero() {
		t.Errorf("begins at %s", got.Start)
	}
}

// A process that sleeps through the end of its lease must not store its cursor over the
// cursor of the one that took over.
func TestFencing(t *testing.T) {
	mr := newRedis(t)
	next, _ := counting()
	second := newWorld(t, Config{}, mr, next)
	var first *world
	first = newWorld(t, Config{}, mr, pollFunc(func(_ context.Context, _ connectors.PollRequest, emit func(connectors.Raw) error) (connectors.PollResult, error) {
		mr.FastForward(first.leases.TTL + time.Second)
		second.visitOrders(t.Context())
		return connectors.PollResult{Cursor: cursor(99)}, emit(object("late"))
	}))
	if rest := first.visitOrders(t.Context()); rest == 0 {
		t.Error("it goes on as if nothing had happened")
	}
	e := second.stored(t)
	if string(e.Cursor) != "1" || e.Found != 1 || e.Failures != 0 {
		t.Errorf("the old owner wrote: %+v", e)
	}
	if s := first.Status()[0]; !strings.Contains(s.Error, "lease lost") {
		t.Errorf("status of the old owner: %+v", s)
	}
}

// The same when Redis was wiped meanwhile: the fence is gone, and nothing is stored on the
// strength of a lease that nobody remembers.
func TestFencingAfterAWipe(t *testing.T) {
	mr := newRedis(t)
	w := newWorld(t, Config{}, mr, pollFunc(func(context.Context, connectors.PollRequest, func(connectors.Raw) error) (connectors.PollResult, error) {
		mr.FlushAll()
		return connectors.PollResult{Cursor: cursor(99)}, nil
	}))
	w.visitOrders(t.Context())
	if e := w.stored(t); e.Cursor != nil {
		t.Errorf("stored %+v", e)
	}
}

func TestStoreRefusesWhatItCannotRead(t *testing.T) {
	w := newWorld(t, Config{}, newRedis(t), pollFunc(nil))
	key := w.connections[0].subjects[0].key
	for field, value := range map[string]string{"cursor": "{", "last_ms": "yesterday", "failures": "x"} {
		w.redis.Del(key)
		w.redis.HSet(key, field, value)
		_, _, err := w.store.load(t.Context(), key)
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s=%s: %v", field, value, err)
		}
	}
}
