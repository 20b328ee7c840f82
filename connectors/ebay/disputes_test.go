package ebay

import (
	"errors"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/ebay/simulator"
	"github.com/helloword/crossdock/schemas/event"
)

// TestDisputes: an order whose payment is disputed is on hold until the dispute is closed,
// although eBay does not say that the order changed; each state is newer than the one before.
func TestDisputes(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	id, _ := sold(t, s, simulator.LineSpec{Variant: "85123A", Quantity: 1})
	place(t, s, 3, time.Second)
	req := connectors.PollRequest{Overlap: time.Minute}
	last := int64(0)
	state := func(emitted int) event.OrderStatus {
		t.Helper()
		s.clock.Add(10 * time.Minute)
		raws, res := s.poll(t, connectors.Orders, req)
		req.Cursor = res.Cursor
		if len(raws) != emitted {
			t.Fatalf("%d orders, want %d", len(raws), emitted)
		}
		for _, f := range s.translate(t, raws) {
			if o := f.Orders[0]; o.Id == id {
				if o.UpdatedMs <= last {
					t.Errorf("the snapshot of %d is not newer than that of %d", o.UpdatedMs, last)
				}
				last = o.UpdatedMs
				return o.Status
			}
		}
		return event.OrderStatus_ORDER_STATUS_UNSPECIFIED
	}
	if got := state(4); got != event.OrderStatus_ORDER_STATUS_OPEN {
		t.Errorf("at first: %s", got)
	}
	if err := s.OpenDispute(id, "FRAUD"); err != nil {
		t.Fatal(err)
	}
	if got := state(1); got != event.OrderStatus_ORDER_STATUS_ON_HOLD {
		t.Errorf("disputed: %s", got)
	}
	state(0)
	// The order changes while it is disputed: it stays on hold.
	if err := s.Fulfil(id, simulator.FulfilSpec{}); err != nil {
		t.Fatal(err)
	}
	if got := state(1); got != event.OrderStatus_ORDER_STATUS_ON_HOLD {
		t.Errorf("disputed and shipped: %s", got)
	}
	if err := s.CloseDispute(id); err != nil {
		t.Fatal(err)
	}
	// It has left meanwhile: nothing is to be done with it any more.
	if got := state(1); got != event.OrderStatus_ORDER_STATUS_CLOSED {
		t.Errorf("closed: %s", got)
	}
	state(0)
}

// TestDisputesWithoutScope: orders go on.
func TestDisputesWithoutScope(t *testing.T) {
	s := open(t, simulator.Config{Scopes: []string{"sell.fulfillment"}}, nil)
	stocked(s)
	place(t, s, 2, time.Second)
	s.clock.Add(time.Minute)
	if raws, _ := s.poll(t, connectors.Orders, connectors.PollRequest{}); len(raws) != 2 {
		t.Errorf("%d orders, want 2", len(raws))
	}
}

// TestTwoDisputes: an order of several lines may have several; one that is open holds it.
func TestTwoDisputes(t *testing.T) {
	body := read(t, "order-paid")
	with := func(disputes string) string { return body[:len(body)-1] + `,"disputes":` + disputes + "}" }
	for _, tt := range []struct {
		disputes string
		want     event.OrderStatus
	}{
		{`[]`, event.OrderStatus_ORDER_STATUS_OPEN},
		{`[{"paymentDisputeStatus":"CLOSED"},{"paymentDisputeStatus":"ACTION_NEEDED"}]`, event.OrderStatus_ORDER_STATUS_ON_HOLD},
		{`[{"paymentDisputeStatus":"OPEN"},{"paymentDisputeStatus":"CLOSED"}]`, event.OrderStatus_ORDER_STATUS_ON_HOLD},
		{`[{"paymentDisputeStatus":"CLOSED"}]`, event.OrderStatus_ORDER_STATUS_OPEN},
	} {
		o, err := translateOrder(with(tt.disputes))
		if err != nil || o.Status != tt.want {
			t.Errorf("%s: %s, %v, want %s", tt.disputes, o.GetStatus(), err, tt.want)
		}
	}
	if _, err := translateOrder(with(`[{"openDate":"2026-11-01"}]`)); !errors.Is(err, connectors.ErrMalformed) {
		t.Errorf("a date without a time: %v", err)
	}
}
