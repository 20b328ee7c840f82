package amazon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/amazon/simulator"
	"github.com/helloword/crossdock/schemas/event"
)

const (
	accepted = event.Outcome_OUTCOME_ACCEPTED
	refusedO = event.Outcome_OUTCOME_REFUSED
	notSent  = event.Outcome_OUTCOME_NOT_SENT
	unknown  = event.Outcome_OUTCOME_UNKNOWN
)

func (s *seller) push(t testing.TB, writes ...connectors.StockWrite) []connectors.Result {
	t.Helper()
	results, err := s.conn.Stock.PushStock(context.Background(), writes)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// TestNothingOfAmazonsIsWritten: a listing that Amazon fulfils is refused, also when it became
// so a moment ago, and stays where it is.
func TestNothingOfAmazonsIsWritten(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	got := s.push(t, connectors.StockWrite{StockID: "85123A", Quantity: 4}, connectors.StockWrite{StockID: "MUG-FBA", Quantity: 4})
	if got[0].Outcome != accepted || got[1].Outcome != refusedO || got[1].Code != codeAmazon {
		t.Errorf("got %v", got)
	}
	if s.Available("MUG-FBA") != 7 || s.Available("85123A") != 4 {
		t.Errorf("Amazon's has %d and ours %d, want 7 and 4", s.Available("MUG-FBA"), s.Available("85123A"))
	}
	shown, err := s.conn.Stock.ReadStock(context.Background(), []connectors.StockRef{{StockID: "MUG-FBA"}, {ListingID: "85123A"}, {StockID: "none"}})
	if err != nil || shown[0] != nil || shown[1] == nil || *shown[1] != 4 || shown[2] != nil {
		t.Errorf("read %v, %v, want nothing, 4, nothing", shown, err)
	}
}

// TestWhoFulfils: by the availability, and where there is none by the name in the warehouse.
// The translator and the pusher are of one mind.
func TestWhoFulfils(t *testing.T) {
	for _, c := range []struct {
		name, node string
		merchant   bool
	}{
		{"the merchant", `"fulfillmentAvailability":[{"fulfillmentChannelCode":"DEFAULT","quantity":3}]`, true},
		{"Amazon", `"fulfillmentAvailability":[{"fulfillmentChannelCode":"AMAZON_NA"}]`, false},
		{"both", `"fulfillmentAvailability":[{"fulfillmentChannelCode":"DEFAULT","quantity":3},{"fulfillmentChannelCode":"AMAZON_NA"}]`, false},
		{"nobody yet", `"fulfillmentAvailability":[]`, true},
		{"nobody said, and it has a name in the warehouse", `"offers":[],"fnsku":1`, false},
		{"the merchant, once Amazon", `"fulfillmentAvailability":[{"fulfillmentChannelCode":"DEFAULT","quantity":3}],"fnsku":1`, true},
	} {
		summary := `{"marketplaceId":"A1F83G8C2ARO7P","productType":"MUG","lastUpdatedDate":"2026-11-01T10:00:00Z"}`
		node := c.node
		if rest, ok := strings.CutSuffix(node, `,"fnsku":1`); ok {
			node, summary = rest, strings.Replace(summary, `"productType"`, `"fnSku":"X001","productType"`, 1)
		}
		body := `{"sku":"S","summaries":[` + summary + `],` + node + `}`
		var l foundListing
		if err := json.Unmarshal([]byte(body), &l); err != nil {
			t.Fatal(err)
		}
		l.settle([]string{"A1F83G8C2ARO7P"})
		facts, err := translated(formatListing, body)
		if err != nil {
			t.Fatal(err)
		}
		if got := facts.Products[0].Listings[0].Stocked; l.merchant != c.merchant || got != c.merchant || l.productType != "MUG" {
			t.Errorf("%s: the pusher says %v and the translator %v, want %v", c.name, l.merchant, got, c.merchant)
		}
	}
}

// TestAcceptedIsNotApplied: a write stands behind the one before it, however late that is
// applied, and is not left out because the listing seems to show it already.
func TestAcceptedIsNotApplied(t *testing.T) {
	s := open(t, simulator.Config{ApplyAfter: 5 * time.Minute}, nil)
	stocked(s)
	if got := s.push(t, connectors.StockWrite{StockID: "85123A", Quantity: 7}); got[0].Outcome != accepted {
		t.Fatal(got)
	}
	// It still shows 100: that is the next target, and has to be written all the same.
	if got := s.push(t, connectors.StockWrite{StockID: "85123A", Quantity: 100}); got[0].Outcome != accepted {
		t.Fatal(got)
	}
	s.clock.Add(10 * time.Minute)
	if got := s.Available("85123A"); got != 100 {
		t.Errorf("it shows %d, want 100", got)
	}
	if diff := cmp.Diff([]int64{7, 100}, []int64{s.Writes()[0].Quantity, s.Writes()[1].Quantity}); diff != "" {
		t.Error(diff)
	}
}

// TestSubmissionAnswers: what a 200 means.
func TestSubmissionAnswers(t *testing.T) {
	problem := func(severity, attribute string) []issue {
		return []issue{{Code: "90000900", Message: "no", Severity: severity, Attributes: []string{attribute}}}
	}
	for _, c := range []struct {
		name string
		a    submitted
		want event.Outcome
		code string
	}{
		{"accepted", submitted{Status: "ACCEPTED", ID: "1"}, accepted, "ACCEPTED"},
		{"accepted with a warning", submitted{Status: "ACCEPTED", Issues: problem("WARNING", "fulfillment_availability")}, accepted, "ACCEPTED"},
		{"accepted with an old error elsewhere", submitted{Status: "ACCEPTED", Issues: problem("ERROR", "size")}, accepted, "ACCEPTED"},
		{"accepted with an error in what was written", submitted{Status: "ACCEPTED", Issues: problem("ERROR", "fulfillment_availability")}, refusedO, "90000900"},
		{"invalid", submitted{Status: "INVALID", Issues: problem("ERROR", "size")}, refusedO, "90000900"},
		{"invalid without a word", submitted{Status: "INVALID"}, refusedO, "INVALID"},
		{"only a preview", submitted{Status: "VALID"}, refusedO, "VALID"},
		{"something new", submitted{Status: "QUEUED"}, unknown, "QUEUED"},
	} {
		if got := c.a.result("fulfillment_availability"); got.Outcome != c.want || got.Code != c.code {
			t.Errorf("%s: got %v, want %v %s", c.name, got, c.want, c.code)
		}
	}
}

// TestPushFailures: each way of failing at the write itself, for the write and for the one
// behind it.
func TestPushFailures(t *testing.T) {
	for _, c := range []struct {
		name         string
		answer       http.HandlerFunc
		first, other event.Outcome
		whole        error
	}{
		{"400", status400, refusedO, refusedO, nil},
		{"404", func(w http.ResponseWriter, _ *http.Request) { fail(w, 404, "NotFound", "gone") }, refusedO, refusedO, nil},
		{"403", func(w http.ResponseWriter, _ *http.Request) {
			fail(w, 403, unauthorised, "Access to requested resource is denied.")
		}, notSent, notSent, connectors.ErrNeedsAuthorisation},
		{"429", func(w http.ResponseWriter, _ *http.Request) { fail(w, 429, "QuotaExceeded", "slow") }, notSent, notSent, nil},
		{"500", func(w http.ResponseWriter, _ *http.Request) { fail(w, 500, "InternalFailure", "oops") }, unknown, unknown, nil},
		{"HTML", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "<html>") }, unknown, unknown, nil},
		{"cut", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = fmt.Fprint(w, "{")
		}, unknown, unknown, nil},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example/", http.StatusFound)
		}, refusedO, refusedO, nil},
		{"no status", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "{}") }, unknown, unknown, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, simulator.Config{}, nil)
			stocked(s)
			s.between = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPatch {
					c.answer(w, r)
					return
				}
				s.Simulator.ServeHTTP(w, r)
			})
			got, err := s.conn.Stock.PushStock(context.Background(), []connectors.StockWrite{{StockID: "85123A", Quantity: 1}, {StockID: "MUG/red 1", Quantity: 1}})
			if got[0].Outcome != c.first || got[1].Outcome != c.other || !errors.Is(err, c.whole) || (c.whole == nil && err != nil) {
				t.Errorf("got %v, %v, want %v and %v, %v", got, err, c.first, c.other, c.whole)
			}
			if c.name == "429" && (got[0].RetryAfter <= 0 || got[1].RetryAfter <= 0) {
				t.Errorf("throttled, and nothing says for how long: %v", got)
			}
		})
	}
}

func fail(w http.ResponseWriter, code int, name, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, name, message)
}

// unauthorised is how Amazon calls every refusal with 403.
const unauthorised = "Unauthorized" //nolint:misspell // Amazon's spelling

func status400(w http.ResponseWriter, _ *http.Request) { fail(w, 400, "InvalidInput", "no") }

// TestPrice: written where the marketplace trades in it, with the decimals of its currency.
func TestPrice(t *testing.T) {
	s := open(t, simulator.Config{}, func(c *Config) { c.Marketplaces = append(c.Marketplaces, "A1PA6795UKMFR9") })
	stocked(s)
	ctx := context.Background()
	got, err := s.conn.Price.PushPrice(ctx, []connectors.PriceWrite{
		{ListingID: "85123A", Price: &event.Money{Minor: 1205, Currency: "GBP"}},
		{ListingID: "85123A", Price: &event.Money{Minor: 1205, Currency: "USD"}},
		{ListingID: "85123A", Price: &event.Money{Minor: -1, Currency: "GBP"}},
		{ListingID: "MUG-FBA", Price: &event.Money{Minor: 5, Currency: "GBP"}},
		{ListingID: "none", Price: &event.Money{Minor: 5, Currency: "GBP"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var outcomes []event.Outcome
	for _, r := range got {
		outcomes = append(outcomes, r.Outcome)
	}
	if diff := cmp.Diff([]event.Outcome{accepted, refusedO, refusedO, accepted, refusedO}, outcomes); diff != "" {
		t.Errorf("%s %v", diff, got)
	}
	if s.Price("85123A") != "12.05" || s.Price("MUG-FBA") != "0.05" {
		t.Errorf("prices %s and %s, want 12.05 and 0.05", s.Price("85123A"), s.Price("MUG-FBA"))
	}
	if s.Available("MUG-FBA") != 7 {
		t.Errorf("a price moved Amazon's stock to %d", s.Available("MUG-FBA"))
	}
}

// TestFulfilment: confirmed once, whatever is repeated or lost on the way.
func TestFulfilment(t *testing.T) {
	ctx := context.Background()
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	id := s.place(t, "85123A", 3, true)
	o, _ := s.Order(id)
	line := o.Lines[0].ID
	send := func(w connectors.FulfilmentWrite) connectors.Result {
		t.Helper()
		r, err := s.conn.Fulfilment.PushFulfilment(ctx, w)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	part := connectors.FulfilmentWrite{OrderID: id, Lines: []connectors.LineQuantity{{LineID: line, Quantity: 1}}, CarrierCode: "royal-mail", Tracking: "T1", CommandID: "one"}
	s.SetFaults(simulator.Faults{FailAfter: 1})
	if r := send(part); r.Outcome != unknown {
		t.Fatalf("an error after the effect: %v, want unknown", r)
	}
	s.SetFaults(simulator.Faults{})
	if r := send(part); r.Outcome != accepted || r.Code != "DONE_BEFORE" {
		t.Errorf("the same again: %v, want found", r)
	}
	if o, _ := s.Order(id); o.Lines[0].Fulfilled != 1 || len(o.Packages) != 1 || o.Status != "PARTIALLY_SHIPPED" {
		t.Errorf("after one package: %+v", o)
	}
	if r := send(connectors.FulfilmentWrite{OrderID: id, Tracking: "t1", CommandID: "typed by hand"}); r.Outcome != accepted || r.Code != "DONE_BEFORE" {
		t.Errorf("the same tracking number: %v, want found", r)
	}
	if r := send(connectors.FulfilmentWrite{OrderID: id, CarrierName: "Bike & Sons", Tracking: "T2", CommandID: "two"}); r.Outcome != accepted {
		t.Errorf("the rest: %v", r)
	}
	if o, _ := s.Order(id); o.Lines[0].Fulfilled != 3 || o.Status != "SHIPPED" {
		t.Errorf("after the rest: %+v", o)
	}
	byAmazon, unpaid, gone := s.place(t, "MUG-FBA", 1, true), s.place(t, "85123A", 1, false), s.place(t, "85123A", 1, true)
	if err := s.Cancel(gone, "", true, time.Time{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		w    connectors.FulfilmentWrite
		want event.Outcome
		code string
	}{
		{"nothing left", connectors.FulfilmentWrite{OrderID: id, Tracking: "T3", CommandID: "three"}, refusedO, "NOTHING_LEFT"},
		{"no tracking number", connectors.FulfilmentWrite{OrderID: id, CommandID: "x"}, refusedO, codeInvalid},
		{"Amazon's", connectors.FulfilmentWrite{OrderID: byAmazon, Tracking: "T4", CommandID: "four"}, refusedO, codeAmazon},
		{"not paid", connectors.FulfilmentWrite{OrderID: unpaid, Tracking: "T5", CommandID: "five"}, notSent, "PENDING"},
		{"cancelled", connectors.FulfilmentWrite{OrderID: gone, Tracking: "T6", CommandID: "six"}, refusedO, "CANCELLED"},
		{"no such order", connectors.FulfilmentWrite{OrderID: "202-0-0", Tracking: "T7", CommandID: "seven"}, refusedO, codeNoOrder},
		{"too many units", connectors.FulfilmentWrite{OrderID: s.place(t, "85123A", 1, true), Lines: []connectors.LineQuantity{{LineID: "1", Quantity: 9}}, Tracking: "T8", CommandID: "eight"}, refusedO, "InvalidInput"},
	} {
		if r := send(c.w); r.Outcome != c.want || r.Code != c.code {
			t.Errorf("%s: %v, want %v %s", c.name, r, c.want, c.code)
		}
	}
	s.SetFaults(simulator.Faults{Outage: true})
	if r := send(part); r.Outcome != notSent {
		t.Errorf("Amazon is away when it is asked: %v, want not sent", r)
	}
}

// TestCarriers: names are Amazon's to the letter, and references are positive numbers.
func TestCarriers(t *testing.T) {
	for _, c := range [][4]string{
		{"dhl", "", "DHL", ""}, {"royal-mail", "", "Royal Mail", ""}, {"", "Royal Mail", "Royal Mail", ""}, {"UPS", "", "UPS", ""},
		{"bike", "Bike & Sons", "Other", "Bike & Sons"}, {"bike", "", "Other", "bike"}, {"", "", "Other", "Other"},
	} {
		if code, name := carrierCode(c[0], c[1]); code != c[2] || name != c[3] {
			t.Errorf("carrier %q %q: got %q %q, want %q %q", c[0], c[1], code, name, c[2], c[3])
		}
	}
	seen := map[string]bool{}
	for i := range 1000 {
		r := packageReference(fmt.Sprint(i))
		if strings.Trim(r, "0123456789") != "" || r[0] == '0' || len(r) > 9 || seen[r] {
			t.Fatalf("reference %q", r)
		}
		seen[r] = true
	}
}
