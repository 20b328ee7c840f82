package shopify

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/shopify/simulator"
	"github.com/helloword/crossdock/schemas/event"
)

// paidTwice is an order of 14.20, paid 5.00 by gift card and the rest by card.
func paidTwice(t testing.TB, s *shop) (simulator.Order, int64) {
	v := stocked(s)[0].Variants[0]
	return s.order(t, simulator.OrderSpec{
		Paid: true, Delivery: "4.00", Payments: []simulator.PaymentSpec{{Gateway: "gift_card", Amount: "5.00"}, {Gateway: "shopify_payments", Amount: "9.20"}},
		Lines: []simulator.LineSpec{{Variant: v, Quantity: 4}},
	}), v
}

func TestRefunds(t *testing.T) {
	type back struct {
		gateway string
		minor   int64
	}
	for _, tc := range []struct {
		name    string
		amount  int64
		units   int64
		restock event.Restock
		payment int // 1 or 2: that one only
		want    event.Outcome
		code    string
		back    []back
		stock   int64
	}{
		{"units and their money", 255, 1, event.Restock_RESTOCK_CANCEL, 0, outcomeAccepted, "", []back{{"gift_card", 255}}, 97},
		{"money without units", 1, 0, event.Restock_RESTOCK_UNSPECIFIED, 0, outcomeAccepted, "", []back{{"gift_card", 1}}, 96},
		{"over both payments", 700, 2, event.Restock_RESTOCK_NONE, 0, outcomeAccepted, "", []back{{"gift_card", 500}, {"shopify_payments", 200}}, 96},
		{"everything", 1420, 4, event.Restock_RESTOCK_RETURN, 0, outcomeAccepted, "", []back{{"gift_card", 500}, {"shopify_payments", 920}}, 100},
		{"one payment", 300, 1, event.Restock_RESTOCK_NONE, 2, outcomeAccepted, "", []back{{"shopify_payments", 300}}, 96},
		{"a cent more than was paid", 1421, 0, event.Restock_RESTOCK_NONE, 0, outcomeRefused, codeMoreThanPaid, nil, 96},
		{"more than one payment", 501, 0, event.Restock_RESTOCK_NONE, 1, outcomeRefused, codeMoreThanPaid, nil, 96},
		{"more units than were bought", 100, 5, event.Restock_RESTOCK_NONE, 0, outcomeRefused, codeUserError, nil, 96},
		{"nothing", 0, 1, event.Restock_RESTOCK_NONE, 0, outcomeRefused, codeAmount, nil, 96},
		{"less than nothing", -5, 1, event.Restock_RESTOCK_NONE, 0, outcomeRefused, codeAmount, nil, 96},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t, simulator.Config{}, nil)
			o, v := paidTwice(t, s)
			w := connectors.RefundWrite{OrderID: stringID(o.ID), Amount: pounds(tc.amount), Note: "damaged", Restock: tc.restock, CommandID: "c1"}
			if tc.units > 0 {
				w.Lines = []connectors.LineQuantity{{LineID: stringID(o.Lines[0].ID), Quantity: tc.units}}
			}
			if tc.payment > 0 {
				w.PaymentID = stringID(o.Payments[tc.payment-1].ID)
			}
			for range 2 {
				r, err := s.conn.Refund.PushRefund(t.Context(), w)
				is(t, "refund", r, err, tc.want)
				if r.Code != tc.code {
					t.Errorf("code %q, want %q: %s", r.Code, tc.code, r.Message)
				}
			}
			now := s.truth(t, o.ID)
			var got []back
			parents := map[int64]string{}
			for _, p := range now.Payments {
				if parents[p.ID] = p.Gateway; p.Kind == "REFUND" {
					if parents[p.Parent] != p.Gateway {
						t.Errorf("%s was given back to %s", p.Gateway, parents[p.Parent])
					}
					got = append(got, back{p.Gateway, p.Minor})
				}
			}
			if diff := cmp.Diff(tc.back, got, cmp.AllowUnexported(back{})); diff != "" {
				t.Error(diff)
			}
			if got := s.Available(v); got != tc.stock {
				t.Errorf("%d available, want %d", got, tc.stock)
			}
			if tc.want == outcomeAccepted {
				if r := now.Refunds[0]; r.Note != "damaged [crossdock c1]" || r.Total != tc.amount || r.Units != tc.units {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

// Several refunds of one order go on where the last one ended, and to the cent.
func TestRefundsOneAfterAnother(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	o, _ := paidTwice(t, s)
	push := func(command string, amount int64, want event.Outcome) {
		t.Helper()
		r, err := s.conn.Refund.PushRefund(t.Context(), connectors.RefundWrite{OrderID: stringID(o.ID), Amount: pounds(amount), CommandID: command})
		is(t, command, r, err, want)
	}
	push("c1", 450, outcomeAccepted)
	push("c10", 450, outcomeAccepted) // c1's mark is not found in it, nor the other way round
	push("c1", 450, outcomeAccepted)
	push("c2", 521, outcomeRefused)
	push("c3", 520, outcomeAccepted)
	push("c4", 1, outcomeRefused)
	total := int64(0)
	for _, r := range s.truth(t, o.ID).Refunds {
		total += r.Total
	}
	if total != 1420 || s.Stats().Refunds != 3 {
		t.Errorf("%d given back in %d refunds", total, s.Stats().Refunds)
	}
}

func TestRefundsThatAreNotPossible(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	o, v := paidTwice(t, s)
	unpaid := s.order(t, simulator.OrderSpec{Lines: []simulator.LineSpec{{Variant: v, Quantity: 1}}})
	for _, tc := range []struct {
		name string
		w    connectors.RefundWrite
		code string
	}{
		{"another currency", connectors.RefundWrite{OrderID: stringID(o.ID), Amount: &event.Money{Minor: 1, Currency: "USD"}, CommandID: "c"}, codeCurrency},
		{"no amount", connectors.RefundWrite{OrderID: stringID(o.ID), CommandID: "c"}, codeAmount},
		{"no command", connectors.RefundWrite{OrderID: stringID(o.ID), Amount: pounds(1)}, codeAmount},
		{"a payment of another order", connectors.RefundWrite{OrderID: stringID(o.ID), Amount: pounds(1), PaymentID: "12", CommandID: "c"}, codeNoPayment},
		{"an order that nobody paid", connectors.RefundWrite{OrderID: stringID(unpaid.ID), Amount: pounds(1), CommandID: "c"}, codeMoreThanPaid},
		{"a line that is none", connectors.RefundWrite{OrderID: stringID(o.ID), Amount: pounds(1), Lines: []connectors.LineQuantity{{LineID: "x", Quantity: 1}}, CommandID: "c"}, codeNoLine},
		{"no units of a line", connectors.RefundWrite{OrderID: stringID(o.ID), Amount: pounds(1), Lines: []connectors.LineQuantity{{LineID: "1"}}, CommandID: "c"}, codeNoLine},
	} {
		r, err := s.conn.Refund.PushRefund(t.Context(), tc.w)
		is(t, tc.name, r, err, outcomeRefused)
		if r.Code != tc.code {
			t.Errorf("%s: code %s, want %s", tc.name, r.Code, tc.code)
		}
	}
	if got := s.Stats().Refunds; got != 0 {
		t.Errorf("%d refunds", got)
	}
}

// The order was paid in the buyer's currency, and what is given back is counted in it.
func TestRefundInTheBuyersCurrency(t *testing.T) {
	const order = `{"data":{"order":{"id":"gid://shopify/Order/1","currencyCode":"GBP","presentmentCurrencyCode":"JPY","refunds":[],"transactions":[
		{"id":"gid://shopify/OrderTransaction/1","kind":"AUTHORIZATION","status":"SUCCESS","gateway":"g","amountSet":{"shopMoney":{"amount":"9.0","currencyCode":"GBP"},"presentmentMoney":{"amount":"1000.0","currencyCode":"JPY"}},"parentTransaction":null},
		{"id":"gid://shopify/OrderTransaction/2","kind":"CAPTURE","status":"SUCCESS","gateway":"g","amountSet":{"shopMoney":{"amount":"5.0","currencyCode":"GBP"},"presentmentMoney":{"amount":"1000.0","currencyCode":"JPY"}},"parentTransaction":{"id":"gid://shopify/OrderTransaction/1"}},
		{"id":"gid://shopify/OrderTransaction/3","kind":"CAPTURE","status":"FAILURE","gateway":"g","amountSet":{"shopMoney":{"amount":"5.0","currencyCode":"GBP"},"presentmentMoney":{"amount":"1000.0","currencyCode":"JPY"}},"parentTransaction":null},
		{"id":"gid://shopify/OrderTransaction/4","kind":"REFUND","status":"PENDING","gateway":"g","amountSet":{"shopMoney":{"amount":"1.0","currencyCode":"GBP"},"presentmentMoney":{"amount":"200.0","currencyCode":"JPY"}},"parentTransaction":{"id":"gid://shopify/OrderTransaction/2"}},
		{"id":"gid://shopify/OrderTransaction/5","kind":"REFUND","status":"FAILURE","gateway":"g","amountSet":{"shopMoney":{"amount":"1.0","currencyCode":"GBP"},"presentmentMoney":{"amount":"500.0","currencyCode":"JPY"}},"parentTransaction":{"id":"gid://shopify/OrderTransaction/2"}}
	]}}}`
	var sent string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case strings.HasSuffix(r.URL.Path, "access_token"):
			_, _ = io.WriteString(w, `{"access_token":"t","expires_in":3600}`)
		case strings.Contains(string(body), docRefunds.name):
			_, _ = io.WriteString(w, order)
		default:
			sent = string(body)
			_, _ = io.WriteString(w, `{"data":{"refundCreate":{"refund":{"id":"gid://shopify/Refund/9","totalRefundedSet":{"shopMoney":{"amount":"4.0","currencyCode":"GBP"},"presentmentMoney":{"amount":"800.0","currencyCode":"JPY"}}},"userErrors":[]}}}`)
		}
	}))
	defer server.Close()
	s := open(t, simulator.Config{}, func(c *Config) { c.TestBaseURL = server.URL })
	push := func(minor int64, currency string) connectors.Result {
		t.Helper()
		r, err := s.conn.Refund.PushRefund(t.Context(), connectors.RefundWrite{OrderID: "1", Amount: &event.Money{Minor: minor, Currency: currency}, CommandID: "c"})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := push(400, "GBP"); r.Code != codeCurrency {
		t.Errorf("in the shop's currency: %+v", r)
	}
	if r := push(801, "JPY"); r.Code != codeMoreThanPaid {
		t.Errorf("a yen more than is left: %+v", r)
	}
	if r := push(800, "JPY"); r.Outcome != outcomeAccepted || r.Code != "" {
		t.Errorf("what is left: %+v", r)
	}
	for _, want := range []string{`"currency":"JPY"`, `"amount":"800"`, `"parentId":"gid://shopify/OrderTransaction/2"`} {
		if !strings.Contains(sent, want) {
			t.Errorf("%s is not in %s", want, sent)
		}
	}
	if r := push(700, "JPY"); r.Outcome != outcomeAccepted || r.Code != codeNotExact {
		t.Errorf("Shopify gave back something else: %+v", r)
	}
}

// What Shopify says of a key: as a code, or in words only.
func TestRefundKeysThatWereUsed(t *testing.T) {
	userError := func(message string) string {
		return fmt.Sprintf(`{"data":{"refundCreate":{"refund":null,"userErrors":[{"field":null,"message":%q}]}}}`, message)
	}
	topLevel := func(code string) string {
		return fmt.Sprintf(`{"errors":[{"message":"no","extensions":{"code":%q}}]}`, code)
	}
	for _, tc := range []struct {
		name, answer string
		times        int
		want         event.Outcome
		code         string
	}{
		{"still running", userError("This request is currently in progress, please try again."), 1, outcomeUnknown, codeConcurrent},
		{"still running, by code", topLevel(codeConcurrent), 1, outcomeUnknown, codeConcurrent},
		{"used for something else", userError("The same idempotency key cannot be used with different operation parameters."), 1, outcomeUnknown, codeMismatch},
		{"used for something else, by code", topLevel(codeMismatch), 1, outcomeUnknown, codeMismatch},
		{"failed: the next key is taken", userError("A previous request with this idempotency key failed. Retry with a new idempotency key."), 1, outcomeAccepted, ""},
		{"failed, by code", topLevel(codePrevious), 3, outcomeAccepted, ""},
		{"failed again and again", topLevel(codePrevious), 4, outcomeRefused, codePrevious},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t, simulator.Config{}, nil)
			o, _ := paidTwice(t, s)
			conn := s.behind(t, docRefundCreate.name, tc.times, func(w http.ResponseWriter, _ func() *httptest.ResponseRecorder) { _, _ = io.WriteString(w, tc.answer) })
			w := connectors.RefundWrite{OrderID: stringID(o.ID), Amount: pounds(100), CommandID: "c"}
			r, err := conn.Refund.PushRefund(t.Context(), w)
			is(t, "first", r, err, tc.want)
			if r.Code != tc.code {
				t.Errorf("code %s, want %s", r.Code, tc.code)
			}
			r, err = conn.Refund.PushRefund(t.Context(), w)
			is(t, "again", r, err, outcomeAccepted)
			if got := s.Stats().Refunds; got != 1 {
				t.Errorf("%d refunds", got)
			}
		})
	}
}

// The key is the command's alone: an attempt whose answer was lost, and another refund since
// that changed how the amount is spread, must not be two refunds.
func TestRefundKey(t *testing.T) {
	w := connectors.RefundWrite{OrderID: "1", Amount: pounds(100), Lines: []connectors.LineQuantity{{LineID: "2", Quantity: 1}, {LineID: "3", Quantity: 1}}, CommandID: "c"}
	// Pinned: a new release must find the keys of the one before.
	if got, want := refundKey(w, 0), "1d4d5221-0e08-5857-af6d-87b2895cc3de"; got != want {
		t.Errorf("key %s, want %s", got, want)
	}
	turned := w
	turned.Lines = []connectors.LineQuantity{w.Lines[1], w.Lines[0]}
	turned.Note, turned.OrderID = "another note", "gid://shopify/Order/1"
	if refundKey(turned, 0) != refundKey(w, 0) {
		t.Error("the same command has two keys")
	}
	seen := map[string]string{refundKey(w, 0): "itself"}
	for name, change := range map[string]func(w *connectors.RefundWrite){
		"command": func(w *connectors.RefundWrite) { w.CommandID = "d" },
		"order":   func(w *connectors.RefundWrite) { w.OrderID = "2" },
		"amount":  func(w *connectors.RefundWrite) { w.Amount = pounds(101) },
		"payment": func(w *connectors.RefundWrite) { w.PaymentID = "7" },
		"lines":   func(w *connectors.RefundWrite) { w.Lines = w.Lines[:1] },
	} {
		other := w
		change(&other)
		key := refundKey(other, 0)
		if before, ok := seen[key]; ok {
			t.Errorf("another %s has the key of %s", name, before)
		}
		seen[key] = name
	}
	if refundKey(w, 1) == refundKey(w, 0) {
		t.Error("the chain does not get on")
	}
}
