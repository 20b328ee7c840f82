package magento

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/magento/simulator"
	"github.com/helloword/crossdock/schemas/event"
)

// refundOf pushes a refund.
func (s *shop) refundOf(t testing.TB, w connectors.RefundWrite) connectors.Result {
	t.Helper()
	r, err := s.conn.Refund.PushRefund(context.Background(), w)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// paidOrder is three hearts of 2.50 and two mugs of 3.33, with a fifth of tax.
func paidOrder(t testing.TB, s *shop, transaction string) simulator.Order {
	t.Helper()
	p := stocked(s)
	id, err := s.PlaceOrder(simulator.OrderSpec{Paid: true, Transaction: transaction, Delivery: "4.95", TaxTitle: "VAT", TaxRate: "0.2",
		Lines: []simulator.LineSpec{{Variant: p[0].Variants[0], Quantity: 3, Price: "2.50"}, {Variant: p[1].Variants[0], Quantity: 2, Price: "3.33"}}})
	if err != nil {
		t.Fatal(err)
	}
	o, _ := s.Order(id)
	return o
}

func TestRefunds(t *testing.T) {
	one := func(line simulator.Line, units int64) []connectors.LineQuantity {
		return []connectors.LineQuantity{{LineID: stringID(line.ID), Quantity: units}}
	}
	for name, tc := range map[string]struct {
		write func(o simulator.Order) connectors.RefundWrite
		code  string // of a refusal
		total int64
		units int64
	}{
		"units at their price": {func(o simulator.Order) connectors.RefundWrite {
			return connectors.RefundWrite{Lines: one(o.Lines[0], 1), Amount: eur(300)}
		}, "", 300, 1},
		"units for less": {func(o simulator.Order) connectors.RefundWrite {
			return connectors.RefundWrite{Lines: one(o.Lines[0], 2), Amount: eur(101)}
		}, "", 101, 2},
		"units for more": {func(o simulator.Order) connectors.RefundWrite {
			return connectors.RefundWrite{Lines: one(o.Lines[0], 2), Amount: eur(777)}
		}, "", 777, 2},
		"only money": {func(simulator.Order) connectors.RefundWrite {
			return connectors.RefundWrite{Amount: eur(123)}
		}, "", 123, 0},
		"only units": {func(o simulator.Order) connectors.RefundWrite {
			return connectors.RefundWrite{Lines: one(o.Lines[0], 3)}
		}, "", 900, 3},
		"a share with half a cent": {func(o simulator.Order) connectors.RefundWrite {
			return connectors.RefundWrite{Lines: one(o.Lines[1], 1), Amount: eur(400)}
		}, codeNotExact, 0, 0},
		"all of that line": {func(o simulator.Order) connectors.RefundWrite {
			return connectors.RefundWrite{Lines: one(o.Lines[1], 2), Amount: eur(799)}
		}, "", 799, 2},
		"more than was paid": {func(simulator.Order) connectors.RefundWrite {
			return connectors.RefundWrite{Amount: eur(999999)}
		}, "permanent", 0, 0},
		"more units than were paid": {func(o simulator.Order) connectors.RefundWrite {
			return connectors.RefundWrite{Lines: one(o.Lines[0], 4)}
		}, codeNotPossible, 0, 0},
		"another currency": {func(simulator.Order) connectors.RefundWrite {
			return connectors.RefundWrite{Amount: &event.Money{Minor: 1, Currency: "GBP"}}
		}, codeNotPossible, 0, 0},
		"nothing":  {func(simulator.Order) connectors.RefundWrite { return connectors.RefundWrite{} }, codeNotPossible, 0, 0},
		"no money": {func(simulator.Order) connectors.RefundWrite { return connectors.RefundWrite{Amount: eur(0)} }, codeNotPossible, 0, 0},
		"another order": {func(simulator.Order) connectors.RefundWrite {
			return connectors.RefundWrite{OrderID: "99", Amount: eur(1)}
		}, codeNoOrder, 0, 0},
		"no order": {func(simulator.Order) connectors.RefundWrite {
			return connectors.RefundWrite{OrderID: "1/2", Amount: eur(1)}
		}, codeNoOrder, 0, 0},
		"a line of none": {func(simulator.Order) connectors.RefundWrite {
			return connectors.RefundWrite{Lines: []connectors.LineQuantity{{LineID: "77", Quantity: 1}}}
		}, codeNoLine, 0, 0},
		"a line twice": {func(o simulator.Order) connectors.RefundWrite {
			return connectors.RefundWrite{Lines: append(one(o.Lines[0], 1), one(o.Lines[0], 1)...)}
		}, codeNoLine, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, simulator.Config{}, nil)
			o := paidOrder(t, s, "")
			w := tc.write(o)
			w.CommandID = "c1"
			if w.OrderID == "" {
				w.OrderID = stringID(o.ID)
			}
			// Twice: whatever is killed, the money goes back once.
			for range 2 {
				r := s.refundOf(t, w)
				if tc.code != "" {
					if r.Outcome != refused || r.Code != tc.code {
						t.Errorf("%+v, want %s", r, tc.code)
					}
				} else if r.Outcome != accepted || r.Code != "" {
					t.Errorf("%+v", r)
				}
			}
			after, _ := s.Order(o.ID)
			want := []simulator.Refund{{ID: 1, Total: tc.total, Units: tc.units}}
			if tc.code != "" {
				want = nil
			}
			if diff := cmp.Diff(want, after.Refunds); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What was refunded before counts, to the cent.
func TestTheRestOfALine(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	o := paidOrder(t, s, "")
	if _, err := s.Refund(o.ID, simulator.RefundSpec{Lines: []simulator.RefundLineSpec{{Line: o.Lines[1].ID, Quantity: 1}}}); err != nil {
		t.Fatal(err)
	}
	before, _ := s.Order(o.ID)
	rest := 799 - before.Refunds[0].Total
	w := connectors.RefundWrite{OrderID: stringID(o.ID), Lines: []connectors.LineQuantity{{LineID: stringID(o.Lines[1].ID), Quantity: 1}}, Amount: eur(rest), CommandID: "c"}
	if r := s.refundOf(t, w); r.Outcome != accepted || r.Code != "" {
		t.Fatalf("%+v", r)
	}
	after, _ := s.Order(o.ID)
	if len(after.Refunds) != 2 || after.Refunds[0].Total+after.Refunds[1].Total != 799 {
		t.Errorf("%+v", after.Refunds)
	}
}

// What was paid online goes back online; the goods go back into the source.
func TestOnlineRefunds(t *testing.T) {
	var body string
	s := openOn(t, simulator.Config{}, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			if strings.HasSuffix(r.URL.Path, "/refund") {
				body = r.URL.Path + " " + string(b)
			}
			r.Body = io.NopCloser(strings.NewReader(string(b)))
			h.ServeHTTP(w, r)
		})
	}, nil)
	o := paidOrder(t, s, "T-1")
	if err := s.Fulfil(o.ID, simulator.FulfilSpec{}); err != nil {
		t.Fatal(err)
	}
	w := connectors.RefundWrite{OrderID: stringID(o.ID), Lines: []connectors.LineQuantity{{LineID: stringID(o.Lines[0].ID), Quantity: 1}}, Amount: eur(250), Note: "broken",
		Restock: event.Restock_RESTOCK_RETURN, CommandID: "c9"}
	if r := s.refundOf(t, w); r.Outcome != accepted {
		t.Fatalf("%+v", r)
	}
	want := `/rest/all/V1/invoice/1/refund {"items":[{"order_item_id":1,"qty":1}],"isOnline":true,"notify":false,"appendComment":false,"comment":{"comment":"broken [crossdock c9]","is_visible_on_front":0},"arguments":{"shipping_amount":0,"adjustment_positive":0,"adjustment_negative":0.50,"extension_attributes":{"return_to_stock_items":[1]}}}`
	if diff := cmp.Diff(want, body); diff != "" {
		t.Error(diff)
	}
	if st := s.Stats(); st.OnlineRefunds != 1 || st.Refunds != 1 {
		t.Errorf("%+v", st)
	}
	if got := s.OnHand("85123A"); got != 98 {
		t.Errorf("%d in the source, want 100 less 3 shipped and 1 back", got)
	}
}

// The answer is lost: the next attempt finds the memo.
func TestARefundWhoseAnswerIsLost(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	o := paidOrder(t, s, "")
	w := connectors.RefundWrite{OrderID: stringID(o.ID), Amount: eur(100), CommandID: "c"}
	s.SetFaults(simulator.Faults{FailAfter: 1})
	if r := s.refundOf(t, w); r.Outcome != unknown {
		t.Errorf("%+v", r)
	}
	s.SetFaults(simulator.Faults{Outage: true})
	if r := s.refundOf(t, w); r.Outcome != notSent {
		t.Errorf("%+v", r)
	}
	s.SetFaults(simulator.Faults{})
	if r := s.refundOf(t, w); r.Outcome != accepted {
		t.Errorf("%+v", r)
	}
	if got := s.Stats().Refunds; got != 1 {
		t.Errorf("%d refunds", got)
	}
	// A memo of another amount under the same mark is told.
	w.Amount = eur(99)
	if r := s.refundOf(t, w); r.Outcome != accepted || r.Code != codeDifferent {
		t.Errorf("%+v", r)
	}
}

// Several invoices: which of them pays back is for a person to say.
func TestSeveralInvoices(t *testing.T) {
	for body, want := range map[string]string{
		`{"items":[{"entity_id":1,"state":2,"transaction_id":"T"}],"total_count":1}`:  "/V1/invoice/1/refund",
		`{"items":[{"entity_id":1,"state":2,"transaction_id":null}],"total_count":1}`: "/V1/order/7/refund",
		`{"items":[{"entity_id":1,"state":1,"transaction_id":"T"}],"total_count":1}`:  "/V1/order/7/refund",
		`{"items":[],"total_count":0}`: "/V1/order/7/refund",
		`{"items":[{"entity_id":1,"state":2,"transaction_id":"T"},{"entity_id":2,"state":2,"transaction_id":"U"}],"total_count":2}`: codeInvoices,
		`{"items":[{"entity_id":1,"state":2,"transaction_id":"T"},{"entity_id":2,"state":2}],"total_count":2}`:                      codeInvoices,
	} {
		s := answering(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
		got, refusal, err := (&refunder{newClient(s.cfg, s.deps)}).payee(context.Background(), "7")
		if refusal != nil {
			got = refusal.Code
		}
		if got != want || err != nil {
			t.Errorf("%s: %s, %v; want %s", body, got, err, want)
		}
	}
}

func TestShares(t *testing.T) {
	for name, tc := range map[string]struct {
		item  string
		units int64
		total int64
		whole bool
		bad   bool
	}{
		"even":          {`{"qty_invoiced":3,"base_row_invoiced":9,"base_tax_invoiced":1.8}`, 1, 360, true, false},
		"uneven":        {`{"qty_invoiced":3,"base_row_invoiced":10}`, 1, 333, false, false},
		"uneven, all":   {`{"qty_invoiced":3,"base_row_invoiced":10}`, 3, 1000, true, false},
		"the rest":      {`{"qty_invoiced":3,"qty_refunded":2,"base_row_invoiced":10,"base_amount_refunded":6.67}`, 1, 333, true, false},
		"with discount": {`{"qty_invoiced":"2.0000","base_row_invoiced":10,"base_tax_invoiced":1.8,"base_discount_invoiced":1.2,"base_discount_tax_compensation_invoiced":0.2}`, 1, 540, true, false},
		"nearly":        {`{"qty_invoiced":6,"base_row_invoiced":0.04}`, 5, 3, false, false},
		"too many":      {`{"qty_invoiced":2,"qty_refunded":2}`, 1, 0, false, true},
		"half a unit":   {`{"qty_invoiced":2.5,"base_row_invoiced":10}`, 1, 0, false, true},
		"a fraction":    {`{"qty_invoiced":2,"base_row_invoiced":10.001}`, 1, 0, false, true},
	} {
		var i refundItem
		if err := json.Unmarshal([]byte(tc.item), &i); err != nil {
			// json.Number takes numbers and texts that are numbers.
			t.Fatalf("%s: %v", name, err)
		}
		total, whole, err := i.share("EUR", tc.units)
		if total != tc.total || whole != tc.whole || (err != nil) != tc.bad {
			t.Errorf("%s: %d, whole %v, %v; want %d, %v", name, total, whole, err, tc.total, tc.whole)
		}
	}
}
