package magento

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/magento/simulator"
	"github.com/helloword/crossdock/schemas/event"
)

// ship pushes a shipment.
func (s *shop) ship(t testing.TB, w connectors.FulfilmentWrite) connectors.Result {
	t.Helper()
	r, err := s.conn.Fulfilment.PushFulfilment(context.Background(), w)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestShipments(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	p := stocked(s)
	id, err := s.PlaceOrder(simulator.OrderSpec{Paid: true, Lines: []simulator.LineSpec{{Variant: p[0].Variants[0], Quantity: 3}, {Variant: p[1].Variants[0], Quantity: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	o, _ := s.Order(id)
	heart, mug := stringID(o.Lines[0].ID), stringID(o.Lines[1].ID)
	first := connectors.FulfilmentWrite{OrderID: stringID(id), CarrierCode: "DHL", CarrierName: "DHL Paket", Tracking: "JD014600", Notify: true, CommandID: "c1",
		Lines: []connectors.LineQuantity{{LineID: heart, Quantity: 2}, {LineID: mug, Quantity: 1}}}
	for name, tc := range map[string]struct {
		w    connectors.FulfilmentWrite
		want string
	}{
		"too many":  {connectors.FulfilmentWrite{OrderID: stringID(id), Lines: []connectors.LineQuantity{{LineID: heart, Quantity: 4}}}, codeNothingLeft},
		"in parts":  {connectors.FulfilmentWrite{OrderID: stringID(id), Lines: []connectors.LineQuantity{{LineID: heart, Quantity: 2}, {LineID: heart, Quantity: 2}}}, codeNothingLeft},
		"no line":   {connectors.FulfilmentWrite{OrderID: stringID(id), Lines: []connectors.LineQuantity{{LineID: "99", Quantity: 1}}}, codeNoLine},
		"no units":  {connectors.FulfilmentWrite{OrderID: stringID(id), Lines: []connectors.LineQuantity{{LineID: heart}}}, codeNoLine},
		"no order":  {connectors.FulfilmentWrite{OrderID: "99"}, codeNoOrder},
		"no number": {connectors.FulfilmentWrite{OrderID: "1/../2"}, codeNoOrder},
	} {
		if r := s.ship(t, tc.w); r.Outcome != refused || r.Code != tc.want {
			t.Errorf("%s: %+v, want %s", name, r, tc.want)
		}
	}
	// Whatever is killed, the same again makes no second shipment.
	for range 3 {
		if r := s.ship(t, first); r.Outcome != accepted {
			t.Fatalf("%+v", r)
		}
	}
	// What is left, twice, without a number: the command's mark tells.
	for range 2 {
		if r := s.ship(t, connectors.FulfilmentWrite{OrderID: stringID(id), Notify: true, CommandID: "c2"}); r.Outcome != accepted {
			t.Fatalf("%+v", r)
		}
	}
	o, _ = s.Order(id)
	if diff := cmp.Diff([]string{"JD014600"}, o.Tracks); diff != "" || o.Shipments != 2 {
		t.Errorf("%d shipments: %s", o.Shipments, diff)
	}
	for _, l := range o.Lines {
		if l.Fulfilled != l.Quantity {
			t.Errorf("line %d: %d of %d shipped", l.ID, l.Fulfilled, l.Quantity)
		}
	}
	if r := s.ship(t, connectors.FulfilmentWrite{OrderID: stringID(id), CommandID: "c3"}); r.Code != codeNothingLeft {
		t.Errorf("nothing is left: %+v", r)
	}
	if got := s.Stats().Shipments; got != 2 {
		t.Errorf("%d calls made shipments", got)
	}
}

// The answer is lost: the next attempt finds what was done.
func TestAShipmentWhoseAnswerIsLost(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	id := placed(t, s, stocked(s)[0].Variants[0], 1)[0]
	w := connectors.FulfilmentWrite{OrderID: stringID(id), Tracking: "JD1", CommandID: "c1"}
	s.SetFaults(simulator.Faults{FailAfter: 1})
	if r := s.ship(t, w); r.Outcome != unknown {
		t.Errorf("%+v", r)
	}
	s.SetFaults(simulator.Faults{})
	if r := s.ship(t, w); r.Outcome != accepted {
		t.Errorf("%+v", r)
	}
	s.SetFaults(simulator.Faults{Outage: true})
	if r := s.ship(t, w); r.Outcome != notSent {
		t.Errorf("%+v", r)
	}
	if got := s.Stats().Shipments; got != 1 {
		t.Errorf("%d shipments", got)
	}
}

// What goes over the wire.
func TestTheShipmentsBody(t *testing.T) {
	var bodies []string
	s := openOn(t, simulator.Config{}, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			if strings.HasSuffix(r.URL.Path, "/ship") {
				bodies = append(bodies, string(b))
			}
			r.Body = io.NopCloser(bytes.NewReader(b))
			h.ServeHTTP(w, r)
		})
	}, nil)
	heart := stocked(s)[0].Variants[0]
	for _, w := range []connectors.FulfilmentWrite{
		{CarrierCode: "dhl", CarrierName: "DHL Paket", Tracking: "JD1", Notify: true, CommandID: "c"},
		{CarrierCode: "evri", Tracking: "E1", CommandID: "c"},
		{CommandID: "c"},
	} {
		w.OrderID = stringID(placed(t, s, heart, 1)[0])
		s.ship(t, w)
	}
	want := []string{
		`{"items":[{"order_item_id":1,"qty":2}],"notify":true,"appendComment":false,"comment":{"comment":"crossdock c","is_visible_on_front":0},"tracks":[{"track_number":"JD1","title":"DHL Paket","carrier_code":"dhl"}]}`,
		`{"items":[{"order_item_id":2,"qty":2}],"notify":false,"appendComment":false,"comment":{"comment":"crossdock c","is_visible_on_front":0},"tracks":[{"track_number":"E1","title":"evri","carrier_code":"custom"}]}`,
		`{"items":[{"order_item_id":3,"qty":2}],"notify":false,"appendComment":false,"comment":{"comment":"crossdock c","is_visible_on_front":0}}`,
	}
	if diff := cmp.Diff(want, bodies); diff != "" {
		t.Error(diff)
	}
}

// The parts of a bundle that is shipped as a whole become the bundle.
func TestBundlesThatShipAsAWhole(t *testing.T) {
	row := func(id, parent, kind string, ordered int64) item {
		return item{id: id, parent: parent, kind: kind, product: id + "0", sku: "S" + id, ordered: ordered}
	}
	items := []item{row("1", "", "bundle", 2), row("2", "1", "simple", 4), row("3", "1", "simple", 2), row("4", "", "simple", 1)}
	for _, tc := range []struct {
		together string
		lines    []shipmentItem
		want     []shipmentItem
		code     string
	}{
		{"0", []shipmentItem{{4, 1}, {2, 2}, {3, 1}}, []shipmentItem{{4, 1}, {1, 1}}, ""},
		{"0", []shipmentItem{{2, 4}, {3, 2}}, []shipmentItem{{1, 2}}, ""},
		{"0", []shipmentItem{{2, 2}}, nil, codeBundle},
		{"0", []shipmentItem{{2, 3}, {3, 1}}, nil, codeBundle},
		{"0", []shipmentItem{{2, 4}, {3, 1}}, nil, codeBundle},
		{"1", []shipmentItem{{2, 3}}, []shipmentItem{{2, 3}}, ""},
	} {
		s := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"items":[{"id":10,"custom_attributes":[{"attribute_code":"shipment_type","value":"`+tc.together+`"}]}],"total_count":1}`)
		})
		got, refusal, err := (&shipper{newClient(s.cfg, s.deps)}).bundles(context.Background(), items, tc.lines)
		if err != nil {
			t.Fatal(err)
		}
		code := ""
		if refusal != nil {
			code = refusal.Code
		}
		if diff := cmp.Diff(tc.want, got); diff != "" || code != tc.code {
			t.Errorf("%s %v: %q, want %q; %s", tc.together, tc.lines, code, tc.code, diff)
		}
	}
}

func TestCancellations(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	heart := stocked(s)[0].Variants[0]
	open, err := s.PlaceOrder(simulator.OrderSpec{Lines: []simulator.LineSpec{{Variant: heart, Quantity: 3}}})
	if err != nil {
		t.Fatal(err)
	}
	paid := placed(t, s, heart, 1)[0]
	cancel := func(id string) connectors.Result {
		t.Helper()
		r, err := s.conn.Cancel.CancelOrder(context.Background(), connectors.CancelWrite{OrderID: id, CommandID: "c"})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	s.SetFaults(simulator.Faults{FailAfter: 1})
	if r := cancel(stringID(open)); r.Outcome != unknown {
		t.Errorf("the answer is lost: %+v", r)
	}
	s.SetFaults(simulator.Faults{})
	for range 2 {
		if r := cancel(stringID(open)); r.Outcome != accepted {
			t.Errorf("%+v", r)
		}
	}
	if r := cancel(stringID(paid)); r.Outcome != refused || r.Code != codeNotPossible {
		t.Errorf("a paid order: %+v", r)
	}
	for _, id := range []string{"99", "", "1/2", "../1"} {
		if r := cancel(id); r.Outcome != refused || r.Code != codeNoOrder {
			t.Errorf("%q: %+v", id, r)
		}
	}
	if got := s.Stats().Cancellations; got != 1 {
		t.Errorf("%d cancellations", got)
	}
	if got := s.Available(heart); got != 98 {
		t.Errorf("%d can be sold, want 100 less the 2 of the paid order", got)
	}
}

func TestPrices(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	p := stocked(s)
	heart, red := stringID(p[0].Variants[0]), stringID(p[1].Variants[0])
	push := func(writes ...connectors.PriceWrite) []string {
		t.Helper()
		results, err := s.conn.Price.PushPrice(context.Background(), writes)
		if err != nil {
			t.Fatal(err)
		}
		return told(results)
	}
	at := func(listing string, minor int64, currency string) connectors.PriceWrite {
		return connectors.PriceWrite{ListingID: listing, SKU: "ours", Price: &event.Money{Minor: minor, Currency: currency}}
	}
	got := push(at(heart, 1234, "EUR"), at(red, 999, "GBP"), at("999", 1, "EUR"), at("x", 1, "EUR"), at(red, -1, "EUR"), at(heart, 1, "EUR"), at(red, 500, "EUR"))
	want := []string{"ACCEPTED", "REFUSED NOT_POSSIBLE", "REFUSED UNKNOWN_SKU", "REFUSED UNKNOWN_SKU", "REFUSED NOT_POSSIBLE", "NOT_SENT", "ACCEPTED"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if h, r := s.Price(p[0].Variants[0]), s.Price(p[1].Variants[0]); h != "12.34" || r != "5.00" {
		t.Errorf("prices %s and %s", h, r)
	}
	for name, tc := range map[string]struct {
		faults simulator.Faults
		want   string
	}{
		"200 with errors": {simulator.Faults{Refuse: 1}, "REFUSED NOT_APPLIED"}, "after": {simulator.Faults{FailAfter: 1}, "UNKNOWN transient"},
		"outage": {simulator.Faults{Outage: true}, "NOT_SENT transient"}, "throttle": {simulator.Faults{Throttle: 1}, "NOT_SENT retry-after"},
	} {
		s.SetFaults(tc.faults)
		if diff := cmp.Diff([]string{tc.want}, push(at(heart, int64(len(name)), "EUR"))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	s.SetFaults(simulator.Faults{})
	if n := s.conn.Price.Batch(); n != maxList {
		t.Errorf("batch of %d", n)
	}
	if _, err := s.conn.Price.PushPrice(context.Background(), make([]connectors.PriceWrite, maxList+1)); err == nil {
		t.Error("more than a batch is taken")
	}
}

// One price of two is not taken: what was written is told by reading back.
func TestPricesThatAreTakenInPart(t *testing.T) {
	s := openOn(t, simulator.Config{}, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			// The shop does not take the second one.
			r.Body = io.NopCloser(bytes.NewReader(bytes.Replace(b, []byte(`"price":5.00`), []byte(`"price":-5.00`), 1)))
			h.ServeHTTP(w, r)
		})
	}, nil)
	p := stocked(s)
	results, err := s.conn.Price.PushPrice(context.Background(), []connectors.PriceWrite{
		{ListingID: stringID(p[0].Variants[0]), Price: eur(400)}, {ListingID: stringID(p[1].Variants[0]), Price: eur(500)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ACCEPTED", "REFUSED NOT_APPLIED"}, told(results)); diff != "" {
		t.Error(diff)
	}
}

func TestCheck(t *testing.T) {
	for name, tc := range map[string]struct {
		sim    simulator.Config
		change func(*Config)
		bad    []string
		says   string
	}{
		"all right":     {},
		"wrong keys":    {sim: simulator.Config{ConsumerSecret: "other"}, bad: []string{"shop"}, says: "check the keys"},
		"a resource":    {sim: simulator.Config{Denied: []string{"Magento_Sales::shipment"}}, bad: []string{"resource Magento_Sales::shipment"}, says: "Reauthorize"},
		"the source":    {change: func(c *Config) { c.Source = "berlin" }, bad: []string{"source berlin"}, says: "code of a source"},
		"the currency":  {change: func(c *Config) { c.Currency = "GBP" }, bad: []string{"shop"}, says: "base currency"},
		"an outage":     {sim: simulator.Config{Faults: simulator.Faults{FailBefore: 1}}, bad: []string{"shop"}, says: "check the address"},
		"only a bearer": {change: func(c *Config) { c.Auth = AuthBearer }, bad: []string{"shop"}, says: "enable_integration_as_bearer"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, tc.sim, tc.change)
			results, err := s.conn.Check.Check(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			var bad []string
			for _, r := range results {
				if r.OK {
					continue
				}
				subject, _, _ := strings.Cut(r.Subject, " http")
				bad = append(bad, subject)
				if !strings.Contains(r.Advice, tc.says) || strings.Contains(r.Detail, "simulated-") {
					t.Errorf("%+v", r)
				}
			}
			if diff := cmp.Diff(tc.bad, bad); diff != "" {
				t.Error(diff)
			}
		})
	}
}
