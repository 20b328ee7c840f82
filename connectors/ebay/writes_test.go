package ebay

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/connectortest"
	"github.com/helloword/crossdock/connectors/ebay/simulator"
	"github.com/helloword/crossdock/schemas/event"
)

func pounds(minor int64) *event.Money { return &event.Money{Minor: minor, Currency: "GBP"} }

func TestPushPrice(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	results, err := s.conn.Price.PushPrice(context.Background(), []connectors.PriceWrite{
		{ListingID: "85123A", Price: pounds(1234)},
		{ListingID: "MUG-R", Price: &event.Money{Minor: 100, Currency: "USD"}},
		{ListingID: "gone", Price: pounds(1)},
		{ListingID: "v1|1|0", Price: pounds(1)},
		{ListingID: "MUG-R", Price: pounds(0)},
		{ListingID: "85123A", Price: pounds(1235)},
		{ListingID: "MUG-R", Price: &event.Money{Minor: 1, Currency: "nonsense"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range results {
		got = append(got, r.Outcome.String()[len("OUTCOME_"):]+" "+r.Code)
	}
	want := "ACCEPTED |REFUSED 25709|REFUSED NO_LISTING|REFUSED NO_SKU|REFUSED PRICE|NOT_SENT TWICE_IN_BATCH|REFUSED PRICE"
	if strings.Join(got, "|") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "|"), want)
	}
	for l := range s.Listings() {
		if l.SKU == "85123A" && (l.Price != 1234 || l.Available != 100) {
			t.Errorf("the listing shows %d at %d", l.Available, l.Price)
		}
		if l.SKU == "MUG-R" && l.Price != 339 {
			t.Errorf("a refused price was set: %d", l.Price)
		}
	}
	if _, err := s.conn.Price.PushPrice(context.Background(), make([]connectors.PriceWrite, 26)); !errors.Is(err, connectors.ErrPermanent) {
		t.Errorf("26 at once: %v", err)
	}
}

// sold is a paid order of some lines.
func sold(t *testing.T, s *shop, lines ...simulator.LineSpec) (string, simulator.Order) {
	t.Helper()
	id, err := s.PlaceOrder(simulator.OrderSpec{Lines: lines, Paid: true, Customer: buyer, Shipping: home})
	if err != nil {
		t.Fatal(err)
	}
	o, _ := s.Order(id)
	return id, o
}

// TestPushFulfilment: a package is reported once, however often it is said.
func TestPushFulfilment(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	id, o := sold(t, s, simulator.LineSpec{Variant: "85123A", Quantity: 5}, simulator.LineSpec{Variant: "MUG-R", Quantity: 1})
	ship := func(w connectors.FulfilmentWrite) string {
		t.Helper()
		w.OrderID = id
		r, err := s.conn.Fulfilment.PushFulfilment(context.Background(), w)
		if err != nil {
			t.Fatal(err)
		}
		return r.Outcome.String()[len("OUTCOME_"):] + " " + r.Code
	}
	first := connectors.FulfilmentWrite{Lines: []connectors.LineQuantity{{LineID: o.Lines[0].ID, Quantity: 2}}, CarrierCode: "royal_mail", Tracking: "AB 123-456 GB"}
	for range 3 {
		if got := ship(first); got != "ACCEPTED " {
			t.Errorf("got %s", got)
		}
	}
	// Killed between the effect and the answer.
	s.SetFaults(simulator.Faults{FailAfter: 1})
	second := connectors.FulfilmentWrite{Lines: []connectors.LineQuantity{{LineID: o.Lines[0].ID, Quantity: 3}}, CarrierName: "Pigeons & Sons", Tracking: "P1"}
	if got := ship(second); !strings.HasPrefix(got, "UNKNOWN") {
		t.Errorf("got %s, want UNKNOWN", got)
	}
	s.SetFaults(simulator.Faults{})
	if got := ship(second); got != "ACCEPTED " {
		t.Errorf("got %s", got)
	}
	// Lines that are shipped already, without a number to tell the package by.
	if got := ship(connectors.FulfilmentWrite{Lines: []connectors.LineQuantity{{LineID: o.Lines[0].ID, Quantity: 3}}}); got != "ACCEPTED " {
		t.Errorf("got %s", got)
	}
	if got := s.Stats().Shipments; got != 2 {
		t.Fatalf("%d shipments, want 2", got)
	}
	// What is left, and then nothing.
	for range 2 {
		if got := ship(connectors.FulfilmentWrite{Tracking: "P3"}); got != "ACCEPTED " {
			t.Errorf("got %s", got)
		}
	}
	if got := ship(connectors.FulfilmentWrite{Tracking: "P4"}); got != "ACCEPTED " {
		t.Errorf("nothing left: %s", got)
	}
	if got := ship(connectors.FulfilmentWrite{Lines: []connectors.LineQuantity{{LineID: "no line", Quantity: 3}}, Tracking: "P5"}); got != "REFUSED 32200" {
		t.Errorf("an unknown line: %s", got)
	}
	truth, _ := s.Order(id)
	if got := fmt.Sprint(truth.Shipments); got != "[AB123456GB P1 P3]" || truth.Lines[0].Fulfilled != 5 || truth.Lines[1].Fulfilled != 1 {
		t.Errorf("shipped %s, %+v", got, truth.Lines)
	}
	id = "no order"
	if got := ship(first); !strings.HasPrefix(got, "REFUSED") {
		t.Errorf("an unknown order: %s", got)
	}
}

func TestCarriers(t *testing.T) {
	for in, want := range map[string]string{"royal_mail": "RoyalMail", "DHL": "DHL", "dhl-express": "DHL", "FedEx": "FedEx", "Evri": "Hermes", "": "Other", "Pigeon": "Other", "SF Express": "SFExpress"} {
		if got := carrier("", in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	if got := carrier("usps", "whatever"); got != "USPS" {
		t.Errorf("the code goes before the name: %s", got)
	}
}

// TestPushRefund: signed, once, and never twice whatever is killed.
func TestPushRefund(t *testing.T) {
	s := open(t, simulator.Config{RefundDelay: time.Hour}, nil)
	stocked(s)
	id, o := sold(t, s, simulator.LineSpec{Variant: "85123A", Quantity: 5}, simulator.LineSpec{Variant: "MUG-R", Quantity: 1})
	refund := func(w connectors.RefundWrite) connectors.Result {
		t.Helper()
		if w.OrderID == "" {
			w.OrderID = id
		}
		r, err := s.conn.Refund.PushRefund(context.Background(), w)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	line := []connectors.LineQuantity{{LineID: o.Lines[0].ID, Quantity: 1}}
	for range 3 {
		if r := refund(connectors.RefundWrite{CommandID: "c1", Amount: pounds(255), Lines: line, Note: strings.Repeat("é", 80), Restock: event.Restock_RESTOCK_RETURN}); r.Outcome != event.Outcome_OUTCOME_ACCEPTED {
			t.Errorf("got %+v", r)
		}
	}
	// The same amount by another command is another refund.
	if r := refund(connectors.RefundWrite{CommandID: "c2", Amount: pounds(255), Lines: line}); r.Outcome != event.Outcome_OUTCOME_ACCEPTED {
		t.Errorf("got %+v", r)
	}
	// Done, and the answer lost: the order tells.
	s.SetFaults(simulator.Faults{FailAfter: 1})
	if r := refund(connectors.RefundWrite{CommandID: "c3", Amount: pounds(255)}); r.Outcome != event.Outcome_OUTCOME_UNKNOWN {
		t.Errorf("got %+v, want Unknown", r)
	}
	s.SetFaults(simulator.Faults{})
	if r := refund(connectors.RefundWrite{CommandID: "c4", Amount: pounds(255)}); r.Outcome != event.Outcome_OUTCOME_NOT_SENT || r.RetryAfter <= 0 {
		t.Errorf("a second one while the first is open: %+v", r)
	}
	if r := refund(connectors.RefundWrite{CommandID: "c3", Amount: pounds(255)}); r.Outcome != event.Outcome_OUTCOME_ACCEPTED {
		t.Errorf("got %+v", r)
	}
	if got := s.Stats().Refunds; got != 3 {
		t.Errorf("%d refunds, want 3", got)
	}
	// Sent into the void: it waits, and then is sent again.
	s.SetFaults(simulator.Faults{})
	s.tape.next = refusing{s.tape.next}
	if r := refund(connectors.RefundWrite{CommandID: "c5", Amount: pounds(10)}); r.Outcome != event.Outcome_OUTCOME_UNKNOWN {
		t.Errorf("got %+v, want Unknown", r)
	}
	s.tape.next = s.tape.next.(refusing).RoundTripper
	if r := refund(connectors.RefundWrite{CommandID: "c5", Amount: pounds(10)}); r.Outcome != event.Outcome_OUTCOME_UNKNOWN || r.RetryAfter != settles {
		t.Errorf("got %+v, want Unknown for %s", r, settles)
	}
	s.clock.Add(settles)
	if r := refund(connectors.RefundWrite{CommandID: "c5", Amount: pounds(10)}); r.Outcome != event.Outcome_OUTCOME_ACCEPTED {
		t.Errorf("got %+v", r)
	}
	if r := refund(connectors.RefundWrite{CommandID: "c6", Amount: pounds(100_000)}); r.Outcome != event.Outcome_OUTCOME_REFUSED || r.Code != "34924" {
		t.Errorf("too much: %+v", r)
	}
	for _, w := range []connectors.RefundWrite{{CommandID: "c7"}, {CommandID: "c7", Amount: pounds(0)}, {Amount: pounds(1)}, {CommandID: "c7", Amount: pounds(1), OrderID: "no order"}} {
		if r := refund(w); r.Outcome != event.Outcome_OUTCOME_REFUSED {
			t.Errorf("%+v: %+v, want Refused", w, r)
		}
	}
	truth, _ := s.Order(id)
	if got := s.Stats().Refunds; got != 4 || len(truth.Refunds) != 4 {
		t.Errorf("%d refunds, the order has %v", got, truth.Refunds)
	}
	// Asynchronous: facts come when they are done, and each once.
	s.clock.Add(2 * time.Hour)
	s.poll(t, connectors.Orders, connectors.PollRequest{})
	s.clock.Add(time.Minute)
	raws, _ := s.poll(t, connectors.Orders, connectors.PollRequest{})
	facts := s.translate(t, raws)
	last := facts[len(facts)-1].Orders[0]
	total := int64(0)
	for _, r := range last.Refunds {
		total += r.Total.GetMinor()
	}
	if len(last.Refunds) != 4 || total != 3*255+10 {
		t.Errorf("%d refunds of %d in the facts, want 4 of %d", len(last.Refunds), total, 3*255+10)
	}
}

// TestRefundIsSigned: what the simulator's validator refuses is not done.
func TestRefundIsSigned(t *testing.T) {
	s := open(t, simulator.Config{}, func(c *Config) { c.SigningJWE, c.SigningKey = "", "" })
	stocked(s)
	id, _ := sold(t, s, simulator.LineSpec{Variant: "85123A", Quantity: 5})
	r, err := s.conn.Refund.PushRefund(context.Background(), connectors.RefundWrite{OrderID: id, CommandID: "c", Amount: pounds(1)})
	if err != nil || r.Outcome != event.Outcome_OUTCOME_REFUSED || r.Code != "215122" {
		t.Errorf("without a signature: %+v, %v", r, err)
	}
}

// TestJournalFirst: nothing is sent that is not written down.
func TestJournalFirst(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	id, _ := sold(t, s, simulator.LineSpec{Variant: "85123A", Quantity: 5})
	if _, err := s.conn.Stock.ReadStock(context.Background(), []connectors.StockRef{{StockID: "X"}}); err != nil {
		t.Fatal(err) // there is a token
	}
	s.deps.Tokens.(*connectortest.Tokens).Fail(errors.New("disk full"))
	w := connectors.RefundWrite{OrderID: id, CommandID: "c", Amount: pounds(1)}
	r, err := s.conn.Refund.PushRefund(context.Background(), w)
	if err != nil || r.Outcome != event.Outcome_OUTCOME_NOT_SENT || s.Stats().Refunds != 0 {
		t.Errorf("got %+v, %v, %d refunds", r, err, s.Stats().Refunds)
	}
	s.deps.Tokens.(*connectortest.Tokens).Fail(nil)
	if err := s.deps.Tokens.Save(context.Background(), "ebay/ebay-uk/refunds/"+id, []byte("{")); err != nil {
		t.Fatal(err)
	}
	if r, err = s.conn.Refund.PushRefund(context.Background(), w); err != nil || r.Outcome == event.Outcome_OUTCOME_ACCEPTED || s.Stats().Refunds != 0 {
		t.Errorf("a journal that cannot be read: %+v, %v", r, err)
	}
}
