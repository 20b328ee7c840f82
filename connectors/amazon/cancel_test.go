package amazon

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/amazon/simulator"
	"github.com/helloword/crossdock/schemas/event"
)

// slow is an account whose feeds take minutes.
var slow = simulator.Config{FeedQueue: 2 * time.Minute, FeedRun: 3 * time.Minute}

// TestCancelIsSubmittedAndConfirmed: handing in a feed is no cancellation. It is one when the
// order says so; on the way there is one feed.
func TestCancelIsSubmittedAndConfirmed(t *testing.T) {
	s := open(t, slow, nil)
	stocked(s)
	s.Subscribe(simulator.OrderChange)
	id := s.place(t, "85123A", 3, true)
	w := connectors.CancelWrite{OrderID: id, Reason: "customer", Restock: true, CommandID: "one"}
	if r := s.cancel(t, w); r.Outcome != unknown || r.Code != codeProgress || r.RetryAfter <= 0 || r.RetryAfter > 10*time.Second {
		t.Fatalf("handed in: %v, want Unknown and soon", r)
	}
	told := s.Stats().NotificationsSent
	for range 5 {
		if r := s.cancel(t, w); r.Outcome != unknown {
			t.Errorf("while it waits: %v", r)
		}
	}
	s.clock.Add(slow.FeedQueue)
	r := s.cancel(t, w)
	if r.Outcome != unknown || r.RetryAfter < time.Minute {
		t.Errorf("after minutes it is asked less often: %v", r)
	}
	s.clock.Add(slow.FeedRun)
	if r := s.cancel(t, w); r.Outcome != accepted {
		t.Errorf("processed: %v", r)
	}
	if r := s.cancel(t, w); r.Outcome != accepted {
		t.Errorf("the same again: %v", r)
	}
	if r := s.cancel(t, connectors.CancelWrite{OrderID: id, CommandID: "two"}); r.Outcome != accepted || r.Code != codeDoneBefore {
		t.Errorf("another command: %v", r)
	}
	o, _ := s.Order(id)
	if st := s.Stats(); !o.Cancelled || st.Feeds != 1 || st.Cancellations != 1 || s.Available("85123A") != 100 || st.NotificationsSent != told+1 {
		t.Errorf("%+v, %d feeds, %d cancellations, %d shown, %d notifications", o, st.Feeds, st.Cancellations, s.Available("85123A"), st.NotificationsSent-told)
	}
}

// TestCancelRefusals: what is not cancelled, and why; none of it is handed in.
func TestCancelRefusals(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	shipped, partly, byAmazon, unpaid := s.place(t, "85123A", 1, true), s.place(t, "85123A", 3, true), s.place(t, "MUG-FBA", 1, true), s.place(t, "85123A", 1, false)
	if err := s.Fulfil(shipped, simulator.FulfilSpec{}); err != nil {
		t.Fatal(err)
	}
	o, _ := s.Order(partly)
	if err := s.Fulfil(partly, simulator.FulfilSpec{Lines: []simulator.FulfilLineSpec{{Line: o.Lines[0].ID, Quantity: 1}}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, order, code string
		want              event.Outcome
	}{
		{"shipped", shipped, codeShipped, refusedO},
		{"a part of it is shipped", partly, codeShipped, refusedO},
		{"Amazon's", byAmazon, codeAmazon, refusedO},
		{"not paid", unpaid, "PENDING", notSent},
		{"no such order", "202-0000000-0000000", codeNoOrder, refusedO},
		{"no order", "", codeInvalid, refusedO},
	} {
		if r := s.cancel(t, connectors.CancelWrite{OrderID: c.order, CommandID: c.name}); r.Outcome != c.want || r.Code != c.code || c.want == notSent && r.RetryAfter <= 0 {
			t.Errorf("%s: %v, want %v %s", c.name, r, c.want, c.code)
		}
	}
	if err := s.Pay(unpaid); err != nil {
		t.Fatal(err)
	}
	w := connectors.CancelWrite{OrderID: unpaid, CommandID: "not paid"}
	if r := s.settled(t, func() connectors.Result { return s.cancel(t, w) }); r.Outcome != accepted || s.Stats().Feeds != 1 {
		t.Errorf("when it is paid: %v, %d feeds", r, s.Stats().Feeds)
	}
}

// TestCancelWhatIsLeft: units that were cancelled before stay so, and the rest goes.
func TestCancelWhatIsLeft(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	id, err := s.PlaceOrder(simulator.OrderSpec{Paid: true, Lines: []simulator.LineSpec{{SKU: "85123A", Quantity: 3}, {SKU: "MUG/red 1", Quantity: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	o, _ := s.Order(id)
	for line, units := range map[string]int64{o.Lines[0].ID: 1, o.Lines[1].ID: 2} {
		if err := s.RemoveUnits(id, line, units, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	var shown atomic.Value
	s.between = uploads(s.Simulator, func(document string) { shown.Store(document) })
	w := connectors.CancelWrite{OrderID: id, CommandID: "rest", Restock: true, Reason: "staff"}
	if r := s.settled(t, func() connectors.Result { return s.cancel(t, w) }); r.Outcome != accepted {
		t.Errorf("got %v", r)
	}
	sent, _ := shown.Load().(string)
	if !strings.Contains(sent, o.Lines[0].ID) || strings.Contains(sent, o.Lines[1].ID) || !strings.Contains(sent, "GeneralAdjustment") {
		t.Errorf("sent was %s", sent)
	}
	if s.Available("85123A") != 100 || s.Available("MUG/red 1") != 50 {
		t.Errorf("shown are %d and %d, want what there was before", s.Available("85123A"), s.Available("MUG/red 1"))
	}
}

// uploads shows the documents that pass.
func uploads(next http.Handler, show func(document string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			body := &strings.Builder{}
			r.Body = teed(r.Body, body)
			next.ServeHTTP(w, r)
			show(body.String())
			return
		}
		next.ServeHTTP(w, r)
	})
}

// TestCancelFailures: each way in which a feed fails on its way, and what comes of it in the end.
func TestCancelFailures(t *testing.T) {
	for _, c := range []struct {
		name    string
		faults  simulator.Faults
		config  simulator.Config
		first   event.Outcome
		between func(s *seller, id string)
		code    string
		last    event.Outcome
		feeds   int64
	}{
		{"a lost answer", simulator.Faults{FailAfter: 1}, simulator.Config{}, unknown, nil, "", accepted, 1},
		{"an outage", simulator.Faults{Outage: true}, simulator.Config{}, notSent, nil, "", accepted, 1},
		{"an upload that fails", simulator.Faults{FailUpload: 1}, simulator.Config{}, notSent, nil, "", accepted, 1},
		{"given up before the effect", simulator.Faults{FeedFatal: 1}, simulator.Config{}, unknown, nil, "", accepted, 2},
		{"given up after the effect", simulator.Faults{FeedFatalAfter: 1}, simulator.Config{}, unknown, nil, "", accepted, 1},
		{"withdrawn", simulator.Faults{}, slow, unknown, func(s *seller, _ string) { s.WithdrawFeeds() }, codeWithdrawn, refusedO, 1},
		{"forgotten", simulator.Faults{}, slow, unknown, func(s *seller, _ string) { s.ForgetFeeds() }, "", accepted, 2},
		{"shipped meanwhile", simulator.Faults{FeedFatal: 1}, slow, unknown, func(s *seller, id string) { s.ship(id) }, codeShipped, refusedO, 1},
		{"cancelled by the seller meanwhile", simulator.Faults{}, slow, unknown, func(s *seller, id string) {
			if err := s.Cancel(id, "", true, time.Time{}); err != nil {
				panic(err)
			}
		}, "", accepted, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, c.config, nil)
			stocked(s)
			id := s.place(t, "85123A", 2, true)
			if _, err := s.conn.Stock.ReadStock(t.Context(), []connectors.StockRef{{StockID: "85123A"}}); err != nil {
				t.Fatal(err) // there is a token
			}
			w := connectors.CancelWrite{OrderID: id, CommandID: "one", Restock: true, Reason: "customer"}
			s.SetFaults(c.faults)
			if r := s.cancel(t, w); r.Outcome != c.first {
				t.Fatalf("first: %v, want %v", r, c.first)
			}
			s.SetFaults(simulator.Faults{})
			if c.between != nil {
				c.between(s, id)
			}
			r := s.settled(t, func() connectors.Result { return s.cancel(t, w) })
			if r.Outcome != c.last || r.Code != c.code || s.Stats().Feeds != c.feeds {
				t.Errorf("in the end: %v, %d feeds, want %v %s, %d feeds", r, s.Stats().Feeds, c.last, c.code, c.feeds)
			}
			o, _ := s.Order(id)
			if o.Cancelled != (c.last == accepted) || len(o.Refunds) > 0 || c.last == accepted && s.Available("85123A") != 100 {
				t.Errorf("the order: %+v, %d shown", o, s.Available("85123A"))
			}
			if again := s.cancel(t, w); again.Outcome != c.last || s.Stats().Feeds != c.feeds {
				t.Errorf("once more: %v, %d feeds", again, s.Stats().Feeds)
			}
		})
	}
}

// ship ships all of an order behind everybody's back.
func (s *seller) ship(id string) {
	if err := s.Fulfil(id, simulator.FulfilSpec{}); err != nil {
		panic(err)
	}
}

// TestCancelIsGivenUp: a feed that Amazon gives up every time is not sent for ever.
func TestCancelIsGivenUp(t *testing.T) {
	s := open(t, simulator.Config{Faults: simulator.Faults{FeedFatal: 1}}, nil)
	stocked(s)
	w := connectors.CancelWrite{OrderID: s.place(t, "85123A", 2, true), CommandID: "one"}
	if r := s.settled(t, func() connectors.Result { return s.cancel(t, w) }); r.Outcome != refusedO || r.Code != codeBroken || s.Stats().Feeds != maxCancels {
		t.Errorf("%v, %d feeds", r, s.Stats().Feeds)
	}
}

// TestCancelRefusedByTheReport: what Amazon says of the message is what is told.
func TestCancelRefusedByTheReport(t *testing.T) {
	s := open(t, slow, nil)
	stocked(s)
	id := s.place(t, "85123A", 2, true)
	w := connectors.CancelWrite{OrderID: id, CommandID: "one"}
	s.cancel(t, w)
	s.between = answering(s.Simulator, simulatedReport, func(rw http.ResponseWriter, _ *http.Request) {
		zipped(rw, reported(1, 0, 1, "Complete", resultOf(messageID("one", 0), "Error")))
	})
	if r := s.settled(t, func() connectors.Result { return s.cancel(t, w) }); r.Outcome != accepted {
		t.Errorf("the order says that it is cancelled, whatever the report says: %v", r)
	}
	s = open(t, simulator.Config{}, nil)
	stocked(s)
	id = s.place(t, "85123A", 2, true)
	s.between = uploads(answering(s.Simulator, "nothing", nil), func(string) {})
	s.cfg.SellerID = "A1SOMEBODYELSE"
	s.again(t)
	w.OrderID = id
	if r := s.settled(t, func() connectors.Result { return s.cancel(t, w) }); r.Outcome != refusedO || r.Code != "5000" || !strings.Contains(r.Message, "merchant") {
		t.Errorf("a feed in another seller's name: %v", r)
	}
}

// TestCancelKilled: whatever is killed and wherever, an order is cancelled once, and a command
// ends.
func TestCancelKilled(t *testing.T) {
	killedEverywhere(t, func(t *testing.T, s *seller) (func() connectors.Result, func() error) {
		id := s.place(t, "85123A", 2, true)
		w := connectors.CancelWrite{OrderID: id, CommandID: "one", Restock: true, Reason: "customer"}
		return func() connectors.Result { return s.mayFail(s.conn.Cancel.CancelOrder(t.Context(), w)) }, func() error {
			o, _ := s.Order(id)
			if st := s.Stats(); !o.Cancelled || st.Cancellations != 1 || s.Available("85123A") != 100 || st.Feeds > 2 {
				return fmt.Errorf("%+v, %d cancellations by %d feeds, %d shown", o, st.Cancellations, st.Feeds, s.Available("85123A"))
			}
			return nil
		}
	})
}
