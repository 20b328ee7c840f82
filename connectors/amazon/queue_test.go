package amazon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/amazon/simulator"
)

// once polls orders once, with what it emitted.
func (s *seller) once(cursor json.RawMessage, emit func(connectors.Raw) error) (objects []string, res connectors.PollResult, err error) {
	res, err = s.conn.Poll[connectors.Orders].Poll(context.Background(), connectors.PollRequest{Cursor: cursor}, func(r connectors.Raw) error {
		if emit != nil {
			if err := emit(r); err != nil {
				return err
			}
		}
		objects = append(objects, r.Object)
		return nil
	})
	return objects, res, err
}

// reconciled is a connection that has read its orders and does not do so again for a while:
// what comes, comes by the queue.
func reconciled(t testing.TB, sim simulator.Config) (*seller, json.RawMessage) {
	t.Helper()
	s := open(t, sim, func(c *Config) { c.ReconcileEvery = 24 * time.Hour })
	s.directly(t)
	stocked(s)
	s.Subscribe(simulator.OrderChange)
	_, res := s.poll(t, connectors.Orders, connectors.PollRequest{})
	return s, res.Cursor
}

// TestNotificationsAreDeletedOnlyAfterTheCursorWasStored: the poll that reads a message does
// not delete it; the one that is asked with its cursor does.
func TestNotificationsAreDeletedOnlyAfterTheCursorWasStored(t *testing.T) {
	s, cursor := reconciled(t, simulator.Config{})
	id := s.place(t, "85123A", 1, true)
	objects, res, err := s.once(cursor, nil)
	if diff := cmp.Diff([]string{id}, objects); diff != "" || err != nil || !res.More {
		t.Fatalf("the first poll: %s, %v, more %v, want the order and more", diff, err, res.More)
	}
	if s.Pending() != 1 {
		t.Fatalf("%d messages are left after the first poll, want the one that was read", s.Pending())
	}
	// The process dies: the cursor was never stored. After a while the message comes again.
	s.again(t)
	if objects, _, err := s.once(cursor, nil); err != nil || len(objects) != 0 {
		t.Fatalf("while it is hidden: %v, %v, want nothing", objects, err)
	}
	s.clock.Add(s.cfg.QueueInvisible)
	if objects, res, err = s.once(cursor, nil); err != nil || len(objects) != 1 {
		t.Fatalf("when it is visible again: %v, %v, want the order once more", objects, err)
	}
	if objects, res, err = s.once(res.Cursor, nil); err != nil || len(objects) != 0 || res.More || s.Pending() != 0 {
		t.Errorf("the poll with the stored cursor: %v, %v, more %v, %d left, want nothing left", objects, err, res.More, s.Pending())
	}
}

// TestNothingIsLostWhateverIsKilled plays a room that dies at any moment, over a queue that
// loses nothing: in the end the last state of every order was stored.
func TestNothingIsLostWhateverIsKilled(t *testing.T) {
	killed := errors.New("killed")
	rapid.Check(t, func(rt *rapid.T) {
		s, stored := reconciled(t, simulator.Config{Seed: rapid.Uint64().Draw(rt, "seed")})
		kafka := map[string]string{} // what was acknowledged, in its last state
		var ids []string
		for range rapid.IntRange(5, 25).Draw(rt, "steps") {
			switch rapid.IntRange(0, 4).Draw(rt, "step") {
			case 0, 1:
				ids = append(ids, s.place(t, "85123A", 1, false))
			case 2:
				if len(ids) > 0 {
					id := rapid.SampledFrom(ids).Draw(rt, "order")
					if o, _ := s.Order(id); o.Status == "PENDING" {
						if err := s.Pay(id); err != nil {
							rt.Fatal(err)
						}
					}
				}
			case 3:
				s.clock.Add(s.cfg.QueueInvisible)
				s.SetFaults(simulator.Faults{Undeletable: 0.3, Duplicate: 0.3, FailBefore: rapid.SampledFrom([]float64{0, 0.2}).Draw(rt, "failing")})
			case 4:
				// Killed while emitting, or after it and before the cursor was stored, or not at all.
				left := rapid.IntRange(0, 6).Draw(rt, "left")
				_, res, err := s.once(stored, func(r connectors.Raw) error {
					if left == 0 {
						return killed
					}
					left--
					kafka[r.Object] = string(r.Body)
					return nil
				})
				if err == nil && left > 1 {
					stored = res.Cursor
				} else {
					s.again(t)
				}
			}
		}
		s.SetFaults(simulator.Faults{})
		for range 3 {
			s.clock.Add(s.cfg.QueueInvisible)
			for more := true; more; {
				_, res, err := s.once(stored, func(r connectors.Raw) error {
					kafka[r.Object] = string(r.Body)
					return nil
				})
				if err != nil {
					rt.Fatal(err)
				}
				stored, more = res.Cursor, res.More
			}
		}
		for _, id := range ids {
			o, _ := s.Order(id)
			if body := kafka[id]; !strings.Contains(body, `"fulfillmentStatus":"`+o.Status+`"`) {
				rt.Errorf("order %s is %s and was stored as %.200q", id, o.Status, body)
			}
		}
		if s.Pending() != 0 {
			rt.Errorf("%d messages are left", s.Pending())
		}
	})
}

// TestAnOrderThatCannotBeRead stays in the queue, does not hold up the others, and ends on
// record.
func TestAnOrderThatCannotBeRead(t *testing.T) {
	s, cursor := reconciled(t, simulator.Config{})
	bad, good := s.place(t, "85123A", 1, true), s.place(t, "85123A", 1, true)
	s.between = answering(s.Simulator, bad, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"errors":[{"code":"NotFound","message":"not yet"}]}`))
	})
	seen := map[string]int{}
	var last connectors.Raw
	for range maxReceives {
		for more := true; more; {
			_, res, err := s.once(cursor, func(r connectors.Raw) error {
				seen[r.Object]++
				last = r
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			cursor, more = res.Cursor, res.More
		}
		s.clock.Add(s.cfg.QueueInvisible)
	}
	if seen[good] != 1 || seen[bad] != 1 || s.Pending() != 0 {
		t.Fatalf("seen %v, %d messages left, want each order once and none left", seen, s.Pending())
	}
	if last.Format != formatNotification {
		t.Errorf("the order that cannot be read was put on record as %s", last.Format)
	}
	if _, err := s.conn.Translate.Translate(s.record(last)); !errors.Is(err, connectors.ErrUnsupported) {
		t.Errorf("its record: %v, want ErrUnsupported, for the dead letters", err)
	}
}

// TestAnOutageIsNotTriedOrderByOrder: after a few in a row it is given up, and all messages
// stay.
func TestAnOutageIsNotTriedOrderByOrder(t *testing.T) {
	s, cursor := reconciled(t, simulator.Config{})
	for range 9 {
		s.place(t, "85123A", 1, true)
	}
	calls := 0
	s.between = answering(s.Simulator, "/orders/", func(w http.ResponseWriter, _ *http.Request) {
		calls++
		fail(w, http.StatusServiceUnavailable, "ServiceUnavailable", "away")
	})
	if _, _, err := s.once(cursor, nil); err == nil || calls != maxAway*maxReads || s.Pending() != 9 {
		t.Errorf("%v, %d calls, %d messages left, want an error after %d orders and all messages", err, calls, s.Pending(), maxAway)
	}
}

// TestMessagesOfAllKinds: quantities are facts themselves, another seller's is left where it
// is, what nobody can read goes on record, what says nothing is deleted.
func TestMessagesOfAllKinds(t *testing.T) {
	s, cursor := reconciled(t, simulator.Config{})
	quantity := `{"NotificationType":"LISTINGS_ITEM_MFN_QUANTITY_CHANGE","EventTime":"2026-11-02T09:00:00Z","Payload":{"SellerId":"A1SIMULATED0","FulfillmentChannelCode":"DEFAULT","Sku":"85123A","Quantity":3},"NotificationMetadata":{"NotificationId":"n1"}}`
	for _, body := range []string{
		quantity,
		strings.Replace(quantity, "A1SIMULATED0", "A2SOMEBODY00", 1),
		`{"NotificationType":"REPORT_PROCESSING_FINISHED","Payload":{"reportProcessingFinishedNotification":{}},"NotificationMetadata":{}}`,
		`<html>`,
	} {
		s.Put([]byte(body))
	}
	var raws []connectors.Raw
	_, res, err := s.once(cursor, func(r connectors.Raw) error {
		raws = append(raws, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(raws) != 2 {
		t.Fatalf("%d records, want 2", len(raws))
	}
	if r := raws[0]; r.Subject != connectors.Inventory || r.Object != "85123A" || string(r.Body) != quantity || r.Delivery != "n1" {
		t.Errorf("a quantity became %+v", r)
	}
	if got := s.translate(t, raws[0]).Observations; len(got) != 1 || got[0].Shown != 3 || got[0].UpdatedMs != time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC).UnixMilli() {
		t.Errorf("a quantity was translated to %v", got)
	}
	if _, err := s.conn.Translate.Translate(s.record(raws[1])); !errors.Is(err, connectors.ErrMalformed) {
		t.Errorf("what cannot be read: %v, want ErrMalformed", err)
	}
	if _, _, err := s.once(res.Cursor, nil); err != nil || s.Pending() != 1 {
		t.Errorf("%v, %d messages are left, want the other seller's", err, s.Pending())
	}
}

// TestSeveralMessagesOfOneOrder are one call.
func TestSeveralMessagesOfOneOrder(t *testing.T) {
	s, cursor := reconciled(t, simulator.Config{})
	id := s.place(t, "85123A", 1, false)
	if err := s.Pay(id); err != nil {
		t.Fatal(err)
	}
	if err := s.Fulfil(id, simulator.FulfilSpec{}); err != nil {
		t.Fatal(err)
	}
	objects, _, err := s.once(cursor, nil)
	if calls := s.Stats().Calls["getOrder"]; err != nil || len(objects) != 1 || calls != 1 {
		t.Errorf("%v, %v, %d calls, want one order by one call", objects, err, calls)
	}
}

// TestQueueErrors: a wrong key stops the connection, a queue that is not there is permanent,
// another failure passes; none names a secret.
func TestQueueErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		faults simulator.Faults
		want   error
	}{
		{"wrong secret", func(c *Config) { c.QueueSecretKey = "env:AMAZON_TEST_WRONG" }, simulator.Faults{}, connectors.ErrNeedsAuthorisation},
		{"no such queue", func(c *Config) { c.QueueURL = strings.Replace(c.QueueURL, "notifications", "other", 1) }, simulator.Faults{}, connectors.ErrPermanent},
		{"outage", nil, simulator.Faults{Outage: true}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("AMAZON_TEST_WRONG", "wrong-queue-secret")
			s := open(t, simulator.Config{Faults: c.faults}, c.change)
			_, res, err := s.once(nil, nil)
			if c.faults == (simulator.Faults{}) {
				// The list of orders is read all the same; then, until it is due again, the queue's failure
				// is the outcome.
				if err != nil || res.Watermark.IsZero() {
					t.Fatalf("the list of orders: %v, %s", err, res.Watermark)
				}
				_, _, err = s.once(res.Cursor, nil)
			}
			if err == nil || (c.want != nil && !errors.Is(err, c.want)) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if c.want == nil && (errors.Is(err, connectors.ErrPermanent) || errors.Is(err, connectors.ErrNeedsAuthorisation)) {
				t.Errorf("got %v, want an error that passes", err)
			}
			if strings.Contains(fmt.Sprintf("%v", err), "queue-secret") {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

// TestAClosedConnectionIsNoFailure: SQS closes connections that were kept alive, at any moment.
// Of three calls with a body that cannot be rewound none is repeated by net/http.
func TestAClosedConnectionIsNoFailure(t *testing.T) {
	s, cursor := reconciled(t, simulator.Config{})
	id := s.place(t, "85123A", 1, true)
	seen := map[string]int{}
	through := s.deps.HTTP.Transport
	s.deps.HTTP = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		action := r.Header.Get("X-Amz-Target")
		if seen[action]++; action != "" && seen[action]%2 == 1 {
			return nil, &net.OpError{Op: "write", Net: "tcp", Err: net.ErrClosed}
		}
		return through.RoundTrip(r)
	})}
	s.again(t)
	objects, res, err := s.once(cursor, nil)
	if diff := cmp.Diff([]string{id}, objects); diff != "" || err != nil {
		t.Fatalf("receiving: %s %v", diff, err)
	}
	if _, _, err := s.once(res.Cursor, nil); err != nil || s.Pending() != 0 {
		t.Errorf("deleting: %v, %d messages are left", err, s.Pending())
	}
	if _, err := s.conn.Poll[connectors.Orders].(*orderPoller).queue.attributes(context.Background()); err != nil {
		t.Errorf("reading the settings: %v", err)
	}
	if len(seen) < 3 {
		t.Errorf("called were %v, want three actions of SQS", seen)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestReconcilingFindsWhatWasNotAnnounced, and what the list itself left out for a day.
func TestReconcilingFindsWhatWasNotAnnounced(t *testing.T) {
	s := open(t, simulator.Config{Faults: simulator.Faults{Drop: 1}}, func(c *Config) { c.ReconcileEvery = 15 * time.Minute })
	stocked(s)
	s.Subscribe()
	_, res := s.poll(t, connectors.Orders, connectors.PollRequest{})
	dropped := s.place(t, "85123A", 1, true)
	s.SetFaults(simulator.Faults{Drop: 1, Missing: 1})
	missing := s.place(t, "85123A", 1, true)
	s.SetFaults(simulator.Faults{Drop: 1})
	objects := func() (all []string) {
		raws, r := s.poll(t, connectors.Orders, connectors.PollRequest{Cursor: res.Cursor})
		res = r
		for _, raw := range raws {
			all = append(all, raw.Object)
		}
		return all
	}
	s.clock.Add(5 * time.Minute)
	if got := objects(); len(got) != 0 {
		t.Errorf("before it is due: %v, want no search", got)
	}
	s.clock.Add(15 * time.Minute)
	if diff := cmp.Diff([]string{dropped}, objects()); diff != "" {
		t.Error(diff)
	}
	s.ShowMissing()
	s.clock.Add(23 * time.Hour)
	objects() // the overlap of hours is over
	s.clock.Add(2 * time.Hour)
	if got := objects(); len(got) != 2 || (got[0] != missing && got[1] != missing) {
		t.Errorf("the daily reading found %v, want %s among them", got, missing)
	}
}
