package shopify

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/shopify/simulator"
	"github.com/helloword/crossdock/schemas/event"
)

func twoLines(t testing.TB, s *shop) simulator.Order {
	p := stocked(s)
	return s.order(t, simulator.OrderSpec{Paid: true, Lines: []simulator.LineSpec{{Variant: p[0].Variants[0], Quantity: 4}, {Variant: p[1].Variants[0], Quantity: 2}}})
}

// Each step is one command; the order is asked afterwards how much of its lines was shipped.
func TestFulfilments(t *testing.T) {
	type step struct {
		tracking string
		a, b     int64 // units of the two lines; none of both = everything
		want     event.Outcome
		code     string
		shipped  [2]int64
		parcels  int
	}
	for _, tc := range []struct {
		name  string
		steps []step
	}{
		{"in two parcels, told twice and out of order", []step{
			{"T1", 3, 0, outcomeAccepted, "", [2]int64{3, 0}, 1},
			{"T2", 1, 2, outcomeAccepted, "", [2]int64{4, 2}, 2},
			{"T1", 3, 0, outcomeAccepted, "", [2]int64{4, 2}, 2},
			{"t2 ", 1, 2, outcomeAccepted, "", [2]int64{4, 2}, 2},
			{"T3", 1, 0, outcomeRefused, codeNothingLeft, [2]int64{4, 2}, 2},
		}},
		{"one parcel, told line by line", []step{
			{"T1", 4, 0, outcomeAccepted, "", [2]int64{4, 0}, 1},
			{"T1", 0, 2, outcomeAccepted, "", [2]int64{4, 2}, 2},
			{"T1", 4, 2, outcomeAccepted, "", [2]int64{4, 2}, 2},
		}},
		{"more than there is", []step{
			{"T1", 5, 0, outcomeRefused, codeNothingLeft, [2]int64{0, 0}, 0},
			{"T1", 4, 3, outcomeRefused, codeNothingLeft, [2]int64{0, 0}, 0},
		}},
		{"everything", []step{
			{"T1", 1, 0, outcomeAccepted, "", [2]int64{1, 0}, 1},
			{"T1", 0, 0, outcomeRefused, codePartlyShipped, [2]int64{1, 0}, 1},
			{"T2", 0, 0, outcomeAccepted, "", [2]int64{4, 2}, 2},
			{"T2", 0, 0, outcomeAccepted, "", [2]int64{4, 2}, 2},
			{"T3", 0, 0, outcomeRefused, codeNothingLeft, [2]int64{4, 2}, 2},
		}},
		{"without a number", []step{
			{"", 2, 0, outcomeAccepted, "", [2]int64{2, 0}, 1},
			{"  ", 2, 0, outcomeAccepted, "", [2]int64{2, 0}, 1},
			{"", 1, 0, outcomeAccepted, "", [2]int64{3, 0}, 2},
			{"T1", 1, 0, outcomeAccepted, "", [2]int64{4, 0}, 3},
			{"", 0, 0, outcomeAccepted, "", [2]int64{4, 2}, 4},
			{"", 0, 0, outcomeAccepted, "", [2]int64{4, 2}, 4},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t, simulator.Config{}, nil)
			o := twoLines(t, s)
			for i, st := range tc.steps {
				w := connectors.FulfilmentWrite{OrderID: stringID(o.ID), Tracking: st.tracking, CommandID: stringID(int64(i))}
				for n, units := range []int64{st.a, st.b} {
					if units > 0 {
						w.Lines = append(w.Lines, connectors.LineQuantity{LineID: stringID(o.Lines[n].ID), Quantity: units})
					}
				}
				r, err := s.conn.Fulfilment.PushFulfilment(t.Context(), w)
				is(t, "step "+stringID(int64(i+1)), r, err, st.want)
				if st.code != "" && r.Code != st.code {
					t.Errorf("step %d: code %s, want %s", i+1, r.Code, st.code)
				}
				now := s.truth(t, o.ID)
				if got := [2]int64{now.Lines[0].Fulfilled, now.Lines[1].Fulfilled}; got != st.shipped || len(now.Fulfilments) != st.parcels {
					t.Errorf("step %d: shipped %v in %d parcels, want %v in %d", i+1, got, len(now.Fulfilments), st.shipped, st.parcels)
				}
			}
		})
	}
}

func TestWhatAFulfilmentSays(t *testing.T) {
	for _, tc := range []struct {
		name                   string
		code, carrier, address string
		company, url           string
	}{
		{"a carrier of Shopify's list", "royal-mail", "RM Tracked 48", "https://track.example/1?a=b", "Royal Mail", "https://track.example/1?a=b"},
		{"known by its name", "c-17", "DHL Express", "", "DHL Express", ""},
		{"one that nobody knows", "c-17", "Hinterland Couriers", "", "Hinterland Couriers", ""},
		{"only a code", "hinterland", "", "", "hinterland", ""},
		{"an address that is none", "ups", "", "javascript:alert(1)", "UPS", ""},
		{"an address without a host", "ups", "", "https://", "UPS", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t, simulator.Config{}, nil)
			o := twoLines(t, s)
			r, err := s.conn.Fulfilment.PushFulfilment(t.Context(), connectors.FulfilmentWrite{
				OrderID: stringID(o.ID), CarrierCode: tc.code, CarrierName: tc.carrier, Tracking: "N1", TrackingURL: tc.address, Notify: true, CommandID: "c",
			})
			is(t, "fulfilment", r, err, outcomeAccepted)
			want := simulator.Fulfilment{Company: tc.company, Tracking: "N1", URL: tc.url, Notified: true, Lines: []simulator.FulfilLineSpec{{Line: o.Lines[0].ID, Quantity: 4}, {Line: o.Lines[1].ID, Quantity: 2}}}
			got := s.truth(t, o.ID).Fulfilments[0]
			got.ID = 0
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Goods of two locations are two fulfilments with one number. The second is lost: the next
// attempt makes only that one.
func TestFulfilmentOfTwoLocations(t *testing.T) {
	s := open(t, simulator.Config{}, func(c *Config) { c.LocationID = "905684977" })
	o := twoLines(t, s)
	if err := s.SplitFulfilment(o.ID, 77, simulator.FulfilLineSpec{Line: o.Lines[0].ID, Quantity: 3}); err != nil {
		t.Fatal(err)
	}
	w := connectors.FulfilmentWrite{OrderID: stringID(o.ID), Tracking: "T1", CommandID: "c", Lines: []connectors.LineQuantity{
		{LineID: stringID(o.Lines[0].ID), Quantity: 1}, {LineID: stringID(o.Lines[0].ID), Quantity: 3}, {LineID: stringID(o.Lines[1].ID), Quantity: 2},
	}}
	calls := 0
	conn := s.behind(t, docFulfil.name, 2, func(rw http.ResponseWriter, forward func() *httptest.ResponseRecorder) {
		if calls++; calls == 2 {
			rw.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = rw.Write(forward().Body.Bytes())
	})
	r, err := conn.Fulfilment.PushFulfilment(t.Context(), w)
	is(t, "the second is lost", r, err, outcomeUnknown)
	if !strings.Contains(r.Message, "3 units were shipped") {
		t.Errorf("the message does not say what was done: %s", r.Message)
	}
	for range 2 {
		r, err = conn.Fulfilment.PushFulfilment(t.Context(), w)
		is(t, "again", r, err, outcomeAccepted)
	}
	now := s.truth(t, o.ID)
	if now.Lines[0].Fulfilled != 4 || now.Lines[1].Fulfilled != 2 || len(now.Fulfilments) != 2 {
		t.Errorf("got %+v", now)
	}
	// The configured location is asked first, for as much as it has.
	if diff := cmp.Diff([]simulator.FulfilLineSpec{{Line: o.Lines[0].ID, Quantity: 1}, {Line: o.Lines[1].ID, Quantity: 2}}, now.Fulfilments[0].Lines); diff != "" {
		t.Error(diff)
	}
}

// Everything, of two locations, cut in the middle: what is left is not shipped under a number
// that is known already, because nobody can say whether it is in that parcel.
func TestFulfilmentOfEverythingCutInTheMiddle(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	o := twoLines(t, s)
	if err := s.SplitFulfilment(o.ID, 77, simulator.FulfilLineSpec{Line: o.Lines[0].ID, Quantity: 4}); err != nil {
		t.Fatal(err)
	}
	calls := 0
	conn := s.behind(t, docFulfil.name, 2, func(rw http.ResponseWriter, forward func() *httptest.ResponseRecorder) {
		if calls++; calls == 2 {
			rw.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = rw.Write(forward().Body.Bytes())
	})
	w := connectors.FulfilmentWrite{OrderID: stringID(o.ID), Tracking: "T1", CommandID: "c"}
	r, err := conn.Fulfilment.PushFulfilment(t.Context(), w)
	is(t, "the second is lost", r, err, outcomeUnknown)
	r, err = conn.Fulfilment.PushFulfilment(t.Context(), w)
	is(t, "again", r, err, outcomeRefused)
	if r.Code != codePartlyShipped {
		t.Errorf("code %s", r.Code)
	}
}

func TestFulfilmentThatIsHeldBack(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	o := twoLines(t, s)
	hold := func(on bool) {
		if err := s.HoldFulfilment(o.ID, on); err != nil {
			t.Fatal(err)
		}
	}
	hold(true)
	for _, lines := range [][]connectors.LineQuantity{nil, {{LineID: stringID(o.Lines[0].ID), Quantity: 1}}} {
		w := connectors.FulfilmentWrite{OrderID: stringID(o.ID), Tracking: "T1", CommandID: "c", Lines: lines}
		r, err := s.conn.Fulfilment.PushFulfilment(t.Context(), w)
		is(t, "held", r, err, outcomeRefused)
		if r.Code != codeNotOpen || !strings.Contains(r.Message, "ON_HOLD") {
			t.Errorf("%s %s", r.Code, r.Message)
		}
	}
	hold(false)
	r, err := s.conn.Fulfilment.PushFulfilment(t.Context(), connectors.FulfilmentWrite{OrderID: stringID(o.ID), Tracking: "T1", CommandID: "c"})
	is(t, "released", r, err, outcomeAccepted)
}

// What people ship, take out or give back in the admin is not there any more.
func TestFulfilmentBesidePeople(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	o := twoLines(t, s)
	if err := s.Fulfil(o.ID, simulator.FulfilSpec{Tracking: "BY-HAND", Lines: []simulator.FulfilLineSpec{{Line: o.Lines[0].ID, Quantity: 1}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Refund(o.ID, simulator.RefundSpec{Lines: []simulator.RefundLineSpec{{Line: o.Lines[0].ID, Quantity: 1, Restock: "cancel"}}}); err != nil {
		t.Fatal(err)
	}
	w := func(tracking string, units int64) connectors.FulfilmentWrite {
		return connectors.FulfilmentWrite{OrderID: stringID(o.ID), Tracking: tracking, CommandID: tracking, Lines: []connectors.LineQuantity{{LineID: "gid://shopify/LineItem/" + stringID(o.Lines[0].ID), Quantity: units}}}
	}
	r, err := s.conn.Fulfilment.PushFulfilment(t.Context(), w("BY-HAND", 1))
	is(t, "the number that somebody typed in", r, err, outcomeAccepted)
	r, err = s.conn.Fulfilment.PushFulfilment(t.Context(), w("T1", 3))
	is(t, "three of two", r, err, outcomeRefused)
	r, err = s.conn.Fulfilment.PushFulfilment(t.Context(), w("T1", 2))
	is(t, "two of two", r, err, outcomeAccepted)
	for _, bad := range []connectors.LineQuantity{{LineID: "12", Quantity: 1}, {LineID: "x", Quantity: 1}, {LineID: stringID(o.Lines[1].ID), Quantity: 0}} {
		r, err = s.conn.Fulfilment.PushFulfilment(t.Context(), connectors.FulfilmentWrite{OrderID: stringID(o.ID), Tracking: "T9", CommandID: "T9", Lines: []connectors.LineQuantity{bad}})
		is(t, "line "+bad.LineID, r, err, outcomeRefused)
	}
}

// A wholesaler's order: pages of lines, and more lines than one mutation takes.
func TestFulfilmentOfManyLines(t *testing.T) {
	s := open(t, simulator.Config{}, func(c *Config) { c.NestedPageSize = maxPage })
	id, err := s.PlaceOrder(simulator.OrderSpec{Lines: manyLines(stocked(s), 600)})
	if err != nil {
		t.Fatal(err)
	}
	w := connectors.FulfilmentWrite{OrderID: stringID(id), Tracking: "T1", CommandID: "c"}
	for _, l := range s.truth(t, id).Lines {
		w.Lines = append(w.Lines, connectors.LineQuantity{LineID: stringID(l.ID), Quantity: l.Quantity})
	}
	for range 2 {
		r, err := s.conn.Fulfilment.PushFulfilment(t.Context(), w)
		is(t, "600 lines", r, err, outcomeAccepted)
	}
	now := s.truth(t, id)
	for _, l := range now.Lines {
		if l.Fulfilled != l.Quantity {
			t.Fatalf("line %d: %d of %d", l.ID, l.Fulfilled, l.Quantity)
		}
	}
	if len(now.Fulfilments) != 3 {
		t.Errorf("%d fulfilments, want 3 of 250 lines at most", len(now.Fulfilments))
	}
}

// An app that may not see fulfilment orders finds nothing to ship, and does not say that it did.
func TestFulfilmentWithoutSight(t *testing.T) {
	s := open(t, simulator.Config{Scopes: []string{"read_orders"}}, nil)
	o := twoLines(t, s)
	r, err := s.conn.Fulfilment.PushFulfilment(t.Context(), connectors.FulfilmentWrite{OrderID: stringID(o.ID), Tracking: "T1", CommandID: "c"})
	is(t, "nothing is seen", r, err, outcomeRefused)
	if errors.Is(err, connectors.ErrNeedsAuthorisation) || r.Code != codeNothingLeft {
		t.Errorf("%+v, %v", r, err)
	}
}
