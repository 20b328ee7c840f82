package ebay

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/connectortest"
	"github.com/helloword/crossdock/connectors/ebay/simulator"
	"github.com/helloword/crossdock/schemas/event"
)

func pushed(t *testing.T, s *shop, writes ...connectors.StockWrite) (outcomes []string) {
	t.Helper()
	results, err := s.conn.Stock.PushStock(context.Background(), writes)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		outcomes = append(outcomes, r.Outcome.String()[len("OUTCOME_"):]+" "+r.Code)
	}
	return outcomes
}

// TestPushKinds: one batch of everything that can be wrong with a write; the sound ones are
// done.
func TestPushKinds(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	got := pushed(t, s,
		connectors.StockWrite{StockID: "85123A", Quantity: 7},
		connectors.StockWrite{ListingID: "v1|123|0", Quantity: 7},
		connectors.StockWrite{StockID: "MUG-R", Quantity: -1},
		connectors.StockWrite{StockID: "MUG-R", Quantity: 1 << 31},
		connectors.StockWrite{ListingID: "MUG G/1", Quantity: 0},
		connectors.StockWrite{StockID: "85123A", Quantity: 8},
		connectors.StockWrite{StockID: "gone", Quantity: 8},
	)
	want := []string{"ACCEPTED ", "REFUSED NO_SKU", "REFUSED QUANTITY", "REFUSED QUANTITY", "ACCEPTED ", "NOT_SENT TWICE_IN_BATCH", "REFUSED NO_LISTING"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if s.Available("85123A") != 7 || s.Available("MUG G/1") != 0 || s.Available("MUG-R") != 50 {
		t.Errorf("shown: %d, %d, %d", s.Available("85123A"), s.Available("MUG G/1"), s.Available("MUG-R"))
	}
	writes := s.Writes()
	if len(writes) != 2 || writes[0].SKU != "85123A" || writes[0].Before != 100 || writes[0].Quantity != 7 {
		t.Errorf("ledger %v", writes)
	}
	if _, err := s.conn.Stock.PushStock(context.Background(), make([]connectors.StockWrite, 26)); connectors.Class(err) != "permanent" {
		t.Errorf("26 writes at once: %v", err)
	}
}

// TestSold: quantities are of what is available; what was sold before is not part of them.
func TestSold(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	place(t, s, 3, time.Second)
	if got := s.Available("85123A"); got != 97 {
		t.Fatalf("%d after three sales", got)
	}
	pushed(t, s, connectors.StockWrite{StockID: "85123A", Quantity: 10})
	if got := s.Available("85123A"); got != 10 {
		t.Errorf("%d are shown, want 10", got)
	}
	shown, err := s.conn.Stock.ReadStock(context.Background(), []connectors.StockRef{{StockID: "85123A"}, {ListingID: "v1|1|0"}, {StockID: "gone"}, {ListingID: "85123A"}})
	if err != nil || shown[0] == nil || *shown[0] != 10 || shown[1] != nil || shown[2] != nil || shown[3] == nil || *shown[3] != 10 {
		t.Errorf("read back %v, %v", shown, err)
	}
}

// TestRevisions: a listing is revised no more often than eBay allows, its variants together,
// and the last revisions of a day are for showing less.
func TestRevisions(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	more := func(sku string, n int64) string {
		return pushed(t, s, connectors.StockWrite{StockID: sku, Quantity: n})[0]
	}
	for i := range int64(revisionsADay - revisionsKept) {
		sku := []string{"MUG-R", "MUG G/1"}[i%2]
		if got := more(sku, 100+i); got != "ACCEPTED " {
			t.Fatalf("revision %d: %s", i, got)
		}
	}
	results, err := s.conn.Stock.PushStock(context.Background(), []connectors.StockWrite{{StockID: "MUG-R", Quantity: 999}})
	if err != nil || results[0].Outcome != event.Outcome_OUTCOME_NOT_SENT || results[0].Code != codeRevisions || results[0].RetryAfter != untilNextDay(s.clock.Now()) {
		t.Errorf("one too many: %+v, %v", results[0], err)
	}
	expected := int64(1000)
	if got := pushed(t, s, connectors.StockWrite{StockID: "MUG-R", Quantity: 3, Expected: &expected})[0]; got != "ACCEPTED " {
		t.Errorf("showing less must not wait: %s", got)
	}
	if got := more("85123A", 5); got != "ACCEPTED " {
		t.Errorf("another listing: %s", got)
	}
	s.clock.Add(results[0].RetryAfter)
	if got := more("MUG-R", 5); got != "ACCEPTED " {
		t.Errorf("the next day: %s", got)
	}
}

// TestRevisionsByEbay: what this process did not count eBay did, and is believed.
func TestRevisionsByEbay(t *testing.T) {
	s := open(t, simulator.Config{Revisions: 1}, nil)
	stocked(s)
	pushed(t, s, connectors.StockWrite{StockID: "85123A", Quantity: 5})
	results, err := s.conn.Stock.PushStock(context.Background(), []connectors.StockWrite{{StockID: "85123A", Quantity: 4}})
	if err != nil || results[0].Outcome != event.Outcome_OUTCOME_NOT_SENT || results[0].RetryAfter != untilNextDay(s.clock.Now()) {
		t.Errorf("got %+v, %v, want NotSent until tomorrow", results[0], err)
	}
}

// TestUpdateAnswers: what each answer says of an entry of one SKU with one offer.
func TestUpdateAnswers(t *testing.T) {
	quantity := int64(3)
	entry := priceQuantity{SKU: "A", Ship: &shipQuantity{3}, Offers: []offerChange{{ID: "1", Quantity: &quantity}}}
	ok := func(sku, offer string) entryAnswer { return entryAnswer{Status: 200, SKU: sku, Offer: offer} }
	bad := func(status int, offer, category, text string) entryAnswer {
		return entryAnswer{Status: status, SKU: "A", Offer: offer, Errors: []fault{{ID: 25002, Category: category, Message: text}}}
	}
	c := &client{}
	c.deps.Now = connectortest.NewClock().Now
	for _, tt := range []struct {
		name    string
		answers []entryAnswer
		want    event.Outcome
	}{
		{"both", []entryAnswer{ok("A", ""), ok("A", "1")}, event.Outcome_OUTCOME_ACCEPTED},
		{"in one", []entryAnswer{ok("A", "1")}, event.Outcome_OUTCOME_ACCEPTED},
		{"nothing", nil, event.Outcome_OUTCOME_UNKNOWN},
		{"of another", []entryAnswer{ok("B", ""), ok("B", "2")}, event.Outcome_OUTCOME_UNKNOWN},
		{"the item only", []entryAnswer{ok("A", "")}, event.Outcome_OUTCOME_UNKNOWN},
		{"refused", []entryAnswer{bad(400, "1", "REQUEST", "no"), bad(400, "", "REQUEST", "no")}, event.Outcome_OUTCOME_REFUSED},
		{"half", []entryAnswer{ok("A", ""), bad(400, "1", "REQUEST", "no")}, event.Outcome_OUTCOME_UNKNOWN},
		{"their failure", []entryAnswer{bad(500, "1", "APPLICATION", "system error")}, event.Outcome_OUTCOME_UNKNOWN},
		{"their failure, politely", []entryAnswer{bad(400, "1", "APPLICATION", "system error")}, event.Outcome_OUTCOME_UNKNOWN},
		{"too many revisions", []entryAnswer{bad(400, "1", "REQUEST", "You've exceeded the number of revisions allowed")}, event.Outcome_OUTCOME_NOT_SENT},
		{"200 with errors", []entryAnswer{bad(200, "1", "REQUEST", "no")}, event.Outcome_OUTCOME_REFUSED},
		{"no status", []entryAnswer{{SKU: "A", Offer: "1"}}, event.Outcome_OUTCOME_UNKNOWN},
	} {
		if got := c.outcome(entry, tt.answers); got.Outcome != tt.want {
			t.Errorf("%s: %s (%s %s), want %s", tt.name, got.Outcome, got.Code, got.Message, tt.want)
		}
	}
}

// TestPushFaults: whatever goes wrong, what the result says is what was done.
func TestPushFaults(t *testing.T) {
	for name, tt := range map[string]struct {
		faults simulator.Faults
		want   map[event.Outcome]bool // and whether it may have been done
	}{
		"left out":    {simulator.Faults{LeaveOut: 1}, map[event.Outcome]bool{event.Outcome_OUTCOME_UNKNOWN: true}},
		"a page":      {simulator.Faults{HTML: 1}, map[event.Outcome]bool{event.Outcome_OUTCOME_UNKNOWN: true, event.Outcome_OUTCOME_NOT_SENT: false}},
		"fail before": {simulator.Faults{FailBefore: 1}, map[event.Outcome]bool{event.Outcome_OUTCOME_UNKNOWN: true, event.Outcome_OUTCOME_NOT_SENT: false}},
		"fail after":  {simulator.Faults{FailAfter: 1}, map[event.Outcome]bool{event.Outcome_OUTCOME_UNKNOWN: true}},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, simulator.Config{}, nil)
			stocked(s)
			pushed(t, s, connectors.StockWrite{StockID: "85123A", Quantity: 50})
			s.SetFaults(tt.faults)
			results, err := s.conn.Stock.PushStock(context.Background(), []connectors.StockWrite{{StockID: "85123A", Quantity: 9}})
			if err != nil {
				t.Fatal(err)
			}
			may, ok := tt.want[results[0].Outcome]
			if !ok {
				t.Errorf("outcome %s", results[0].Outcome)
			}
			if done := s.Available("85123A") == 9; done && !may {
				t.Errorf("%s, and it was done", results[0].Outcome)
			}
		})
	}
}

// TestOneSKU: where eBay takes one SKU a call, a batch is sent again one by one, and so are
// all after it.
func TestOneSKU(t *testing.T) {
	s := open(t, simulator.Config{OneSKU: true}, nil)
	stocked(s)
	two := func(n int64) []connectors.StockWrite {
		return []connectors.StockWrite{{StockID: "85123A", Quantity: n}, {StockID: "MUG-R", Quantity: n}}
	}
	for round, calls := range []int{3, 2, 2} { // the batch and two, and then two
		before := s.tape.made(callUpdate.name())
		if got := pushed(t, s, two(int64(round))...); got[0] != "ACCEPTED " || got[1] != "ACCEPTED " || s.Available("MUG-R") != int64(round) {
			t.Errorf("round %d: %v, shown %d", round, got, s.Available("MUG-R"))
		}
		if got := s.tape.made(callUpdate.name()) - before; got != calls {
			t.Errorf("round %d: %d calls, want %d", round, got, calls)
		}
	}
	// What fails on the way leaves the rest unsent.
	s.SetFaults(simulator.Faults{Throttle: 1})
	if got := pushed(t, s, two(9)...); got[0] != "NOT_SENT retry-after" || got[1] != "NOT_SENT retry-after" {
		t.Errorf("throttled: %v", got)
	}
}

// TestUntilNextDay: the day of eBay is that of the Pacific.
func TestUntilNextDay(t *testing.T) {
	for at, want := range map[string]time.Duration{
		"2026-11-02T07:59:59Z": time.Second, "2026-11-02T08:00:00Z": 24 * time.Hour, "2026-11-02T20:00:00Z": 12 * time.Hour,
	} {
		now, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := untilNextDay(now); got != want {
			t.Errorf("%s: %s, want %s", at, got, want)
		}
	}
}

func TestShown(t *testing.T) {
	n := func(v int64) *int64 { return &v }
	for _, tt := range []struct {
		item      int64
		available []*int64
		want      string
	}{
		{5, nil, "0 false"}, {5, []*int64{n(3)}, "3 true"}, {2, []*int64{n(3)}, "2 true"}, {5, []*int64{nil}, "5 true"},
		{5, []*int64{n(0), n(4)}, "4 true"}, {0, []*int64{n(9)}, "0 true"},
	} {
		v, ok := shown(tt.item, tt.available)
		if got := fmt.Sprint(v, " ", ok); got != tt.want {
			t.Errorf("shown(%d, %v) = %s, want %s", tt.item, tt.available, got, tt.want)
		}
	}
}
