package shopify

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/shopify/simulator"
)

func TestCancel(t *testing.T) {
	for _, tc := range []struct {
		name    string
		reason  string
		restock bool
		shown   string // the reason that the order keeps
		stock   int64
	}{
		{"by the buyer", "customer", true, "customer", 100},
		{"out of stock, nothing goes back", "out_of_stock", false, "inventory", 96},
		{"for a reason of our own", "the lorry broke down", true, "other", 100},
		{"for none", "", true, "other", 100},
		{"for a long one", strings.Repeat("why ", 200), true, "other", 100},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t, simulator.Config{}, nil)
			v := stocked(s)[0].Variants[0]
			o := s.order(t, simulator.OrderSpec{Paid: true, Lines: []simulator.LineSpec{{Variant: v, Quantity: 4}}})
			r, err := s.conn.Cancel.CancelOrder(t.Context(), connectors.CancelWrite{OrderID: stringID(o.ID), Reason: tc.reason, Restock: tc.restock, CommandID: "c7"})
			is(t, "cancel", r, err, outcomeAccepted)
			now := s.truth(t, o.ID)
			if !now.Cancelled || now.CancelReason != tc.shown || !strings.HasSuffix(now.StaffNote, "[crossdock c7]") || !strings.HasPrefix(now.StaffNote, strings.TrimSpace(tc.reason)[:min(len(strings.TrimSpace(tc.reason)), 200)]) {
				t.Errorf("got %+v", now)
			}
			if got := s.Available(v); got != tc.stock {
				t.Errorf("%d available, want %d", got, tc.stock)
			}
			// The money is another command's business.
			for _, p := range now.Payments {
				if p.Kind != "SALE" {
					t.Errorf("money was given back: %+v", p)
				}
			}
			r, err = s.conn.Refund.PushRefund(t.Context(), connectors.RefundWrite{OrderID: stringID(o.ID), Amount: pounds(1020), CommandID: "c8"})
			is(t, "the refund of a cancelled order", r, err, outcomeAccepted)
		})
	}
}

func TestCancelThatCannotBe(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	v := stocked(s)[0].Variants[0]
	o := s.order(t, simulator.OrderSpec{Lines: []simulator.LineSpec{{Variant: v, Quantity: 4}}})
	if err := s.Fulfil(o.ID, simulator.FulfilSpec{}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r, err := s.conn.Cancel.CancelOrder(t.Context(), connectors.CancelWrite{OrderID: stringID(o.ID), CommandID: "c"})
		is(t, "the job fails", r, err, outcomeRefused)
		if r.Code != "INVALID" || !strings.Contains(r.Message, "fulfillments") {
			t.Errorf("%s %s", r.Code, r.Message)
		}
	}
	if s.truth(t, o.ID).Cancelled {
		t.Error("it is cancelled")
	}
}

// The job takes its time: unknown, until it is read back.
func TestCancelThatTakesLong(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	v := stocked(s)[0].Variants[0]
	o := s.order(t, simulator.OrderSpec{Lines: []simulator.LineSpec{{Variant: v, Quantity: 4}}})
	w := connectors.CancelWrite{OrderID: stringID(o.ID), Restock: true, CommandID: "c"}
	s.SetFaults(simulator.Faults{HoldJobs: true})
	for range 2 { // the second begins another job
		r, err := s.conn.Cancel.CancelOrder(t.Context(), w)
		is(t, "the job is not done", r, err, outcomeUnknown)
		if r.Code != codeInProgress || r.RetryAfter <= 0 {
			t.Errorf("%+v", r)
		}
	}
	s.SetFaults(simulator.Faults{})
	r, err := s.conn.Cancel.CancelOrder(t.Context(), w)
	is(t, "read back", r, err, outcomeAccepted)
	if st := s.Stats(); st.Cancellations != 1 || s.Available(v) != 100 {
		t.Errorf("%d cancellations, %d available", st.Cancellations, s.Available(v))
	}
}

// Somebody else cancels between our question and our command.
func TestCancelThatSomebodyElseDid(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	v := stocked(s)[0].Variants[0]
	o := s.order(t, simulator.OrderSpec{Lines: []simulator.LineSpec{{Variant: v, Quantity: 4}}})
	conn := s.behind(t, docCancel.name, 1, func(w http.ResponseWriter, forward func() *httptest.ResponseRecorder) {
		if err := s.Cancel(o.ID, "customer", true, time.Time{}); err != nil {
			t.Error(err)
		}
		_, _ = w.Write(forward().Body.Bytes())
	})
	r, err := conn.Cancel.CancelOrder(t.Context(), connectors.CancelWrite{OrderID: stringID(o.ID), CommandID: "c"})
	is(t, "it is cancelled", r, err, outcomeAccepted)
}

func TestCancelErrors(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	v := stocked(s)[0].Variants[0]
	o := s.order(t, simulator.OrderSpec{Lines: []simulator.LineSpec{{Variant: v, Quantity: 4}}})
	conn := s.behind(t, docCancel.name, 1, func(w http.ResponseWriter, _ func() *httptest.ResponseRecorder) {
		_, _ = io.WriteString(w, `{"data":{"orderCancel":{"jobResult":null,"orderCancelUserErrors":[{"code":"INTERNAL_ERROR","field":null,"message":"oops"}]}}}`)
	})
	r, err := conn.Cancel.CancelOrder(t.Context(), connectors.CancelWrite{OrderID: stringID(o.ID), CommandID: "c"})
	is(t, "an error inside of Shopify", r, err, outcomeUnknown)
	r, err = conn.Cancel.CancelOrder(t.Context(), connectors.CancelWrite{OrderID: stringID(o.ID), CommandID: "c"})
	is(t, "again", r, err, outcomeAccepted)
}
