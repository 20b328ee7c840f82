package ebay

import (
	"context"
	"strings"
	"testing"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/ebay/simulator"
	"github.com/helloword/crossdock/schemas/event"
)

// cancelWorld cancels an order, and one that its buyer wants to cancel.
func cancelWorld(t *testing.T, s *shop) {
	t.Helper()
	one, _ := sold(t, s, simulator.LineSpec{Variant: "MUG-R", Quantity: 1})
	two, _ := sold(t, s, simulator.LineSpec{Variant: "MUG-R", Quantity: 1})
	if err := s.RequestCancel(two, "BUYER_ASKED_CANCEL"); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{one, two, one, two} {
		r, err := s.conn.Cancel.CancelOrder(context.Background(), connectors.CancelWrite{OrderID: id, CommandID: id})
		if err != nil || r.Outcome != event.Outcome_OUTCOME_ACCEPTED {
			t.Errorf("cancelling %s: %+v, %v", id, r, err)
		}
		if o, _ := s.Order(id); !o.Cancelled {
			t.Errorf("order %s is not cancelled", id)
		}
	}
}

// TestCancel: once, whatever is killed; never what is shipped; with an IAF token, signed.
func TestCancel(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	cancelWorld(t, s)
	if got := s.Stats().Cancellations; got != 2 {
		t.Errorf("%d cancellations, want 2", got)
	}
	cancel := func(id string) connectors.Result {
		t.Helper()
		r, err := s.conn.Cancel.CancelOrder(context.Background(), connectors.CancelWrite{OrderID: id, Reason: "customer"})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	id, _ := sold(t, s, simulator.LineSpec{Variant: "MUG-R", Quantity: 2})
	s.SetFaults(simulator.Faults{FailAfter: 1})
	if r := cancel(id); r.Outcome != event.Outcome_OUTCOME_UNKNOWN {
		t.Errorf("got %+v, want Unknown", r)
	}
	s.SetFaults(simulator.Faults{})
	if r := cancel(id); r.Outcome != event.Outcome_OUTCOME_ACCEPTED || s.Stats().Cancellations != 3 {
		t.Errorf("got %+v, %d cancellations", r, s.Stats().Cancellations)
	}
	shipped, _ := sold(t, s, simulator.LineSpec{Variant: "MUG-R", Quantity: 2})
	if err := s.Fulfil(shipped, simulator.FulfilSpec{}); err != nil {
		t.Fatal(err)
	}
	if r := cancel(shipped); r.Outcome != event.Outcome_OUTCOME_REFUSED || r.Code != "SHIPPED" {
		t.Errorf("a shipped order: %+v", r)
	}
	if r := cancel("no order"); r.Outcome != event.Outcome_OUTCOME_REFUSED {
		t.Errorf("no order: %+v", r)
	}
	s.cfg.SigningJWE, s.cfg.SigningKey = "", ""
	unsigned := &canceller{newClient(s.cfg, s.deps)}
	id, _ = sold(t, s, simulator.LineSpec{Variant: "MUG-R", Quantity: 1})
	if r, err := unsigned.CancelOrder(context.Background(), connectors.CancelWrite{OrderID: id}); err != nil || r.Outcome != event.Outcome_OUTCOME_REFUSED {
		t.Errorf("without a signature: %+v, %v", r, err)
	}
}

func TestCancelReasons(t *testing.T) {
	for in, want := range map[string]string{"customer": "BUYER_ASKED_CANCEL", "Address": "ADDRESS_ISSUES", "": outOfStock, "inventory": outOfStock} {
		if got := cancelReason(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	if strings.ToUpper(cancelReason("x")) != cancelReason("x") {
		t.Error("enumerations are in capitals")
	}
}
