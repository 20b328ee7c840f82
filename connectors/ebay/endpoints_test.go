package ebay

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/ebay/simulator"
	"github.com/helloword/crossdock/internal/testkit"
)

// TestEveryCallIsInTheContract makes each call that this connector can make, through the tape
// that holds it against eBay's contract, and fails for one that was not made.
func TestEveryCallIsInTheContract(t *testing.T) {
	testkit.Shared(t, "specs", "ebay")
	ctx := context.Background()
	other := open(t, simulator.Config{}, nil)
	if err := other.conn.Webhooks.EnsureWebhooks(ctx, other.cfg.Endpoint); err != nil {
		t.Fatal(err)
	}
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	s.Subscribe("https://elsewhere.example/hook", "MARKETPLACE_ACCOUNT_DELETION")
	s.Subscribe("https://old.example/webhooks/ebay/ebay-uk", "ORDER_CONFIRMATION")
	s.MarkDown("https://old.example/webhooks/ebay/ebay-uk")
	if err := s.conn.Webhooks.EnsureWebhooks(ctx, s.cfg.Endpoint); err != nil {
		t.Fatal(err)
	}
	id, o := sold(t, s, simulator.LineSpec{Variant: "85123A", Quantity: 5})
	if _, err := s.conn.Fulfilment.PushFulfilment(ctx, connectors.FulfilmentWrite{OrderID: id, Lines: []connectors.LineQuantity{{LineID: o.Lines[0].ID, Quantity: 1}}, Tracking: "T1"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.conn.Fulfilment.PushFulfilment(ctx, connectors.FulfilmentWrite{OrderID: id}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.conn.Refund.PushRefund(ctx, connectors.RefundWrite{OrderID: id, CommandID: "1", Amount: pounds(1), Note: "sorry"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.conn.Refund.PushRefund(ctx, connectors.RefundWrite{OrderID: id, CommandID: "2", Amount: pounds(1), Lines: []connectors.LineQuantity{{LineID: o.Lines[0].ID, Quantity: 1}}}); err != nil {
		t.Fatal(err)
	}
	pushed(t, s, connectors.StockWrite{StockID: "85123A", Quantity: 5})
	if _, err := s.conn.Price.PushPrice(ctx, []connectors.PriceWrite{{ListingID: "85123A", Price: pounds(5)}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.conn.Stock.ReadStock(ctx, []connectors.StockRef{{StockID: "85123A"}}); err != nil {
		t.Fatal(err)
	}
	s.clock.Add(time.Minute)
	for subject := range s.conn.Poll {
		s.poll(t, subject, connectors.PollRequest{})
	}
	for _, d := range s.deliveries(t) {
		if _, err := s.conn.Receive.Receive(ctx, &d); err != nil {
			t.Fatal(err)
		}
	}
	cancelWorld(t, s)
	for _, e := range endpoints() {
		if s.tape.made(e.name())+other.tape.made(e.name()) == 0 {
			t.Errorf("%s was never made: it is not held against the contract", e.name())
		}
	}
	for name := range s.tape.calls {
		if waived()[name] != "" {
			continue
		}
		known := false
		for _, e := range endpoints() {
			known = known || e.name() == name
		}
		if !known {
			t.Errorf("%s was made, and stands in no list", name)
		}
	}
}

// TestWaiversHaveReasons: what is not checked says why.
func TestWaiversHaveReasons(t *testing.T) {
	for what, why := range waived() {
		if len(strings.Fields(why)) < 5 {
			t.Errorf("%s: %q is no reason", what, why)
		}
	}
}
