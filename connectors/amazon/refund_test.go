package amazon

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/amazon/simulator"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// simulatedReport is in the address of a processing report.
const simulatedReport = "/simulated-documents/feed/"

func pounds(minor int64) *event.Money { return &event.Money{Minor: minor, Currency: "GBP"} }

// teed copies what is read of a body.
func teed(body io.ReadCloser, to io.Writer) io.ReadCloser {
	return struct {
		io.Reader
		io.Closer
	}{io.TeeReader(body, to), body}
}

func zipped(w io.Writer, text string) {
	z := gzip.NewWriter(w)
	_, _ = io.WriteString(z, text)
	_ = z.Close()
}

// soldAndShipped is a shipped order: 4 hearts of 2.55 with 1.00 off and 3 mugs of 3.39, 5.00
// shipping, and 20 % tax on top of the goods or within.
func soldAndShipped(t testing.TB, s *seller, included bool) (id string, lines []string) {
	t.Helper()
	id, err := s.PlaceOrder(simulator.OrderSpec{
		Paid: true, Delivery: "5.00", TaxRate: "0.2", Included: included,
		Lines: []simulator.LineSpec{{SKU: "85123A", Quantity: 4, Discount: "1.00"}, {SKU: "MUG/red 1", Quantity: 3}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.ship(id)
	o, _ := s.Order(id)
	return id, []string{o.Lines[0].ID, o.Lines[1].ID}
}

// given is what was refunded of an order, by line and type, in the order in which it was.
func (s *seller) given(id string) (all []string) {
	o, _ := s.Order(id)
	for _, r := range o.Refunds {
		text := r.Line[len(r.Line)-2:]
		for _, kind := range componentNames {
			if v := r.By[kind]; v != 0 {
				text += fmt.Sprintf(" %s %d", kind, v)
			}
		}
		all = append(all, text)
	}
	return all
}

func (s *seller) refundSettled(t testing.TB, w connectors.RefundWrite) connectors.Result {
	t.Helper()
	return s.settled(t, func() connectors.Result { return s.refund(t, w) })
}

// TestRefundAmounts: what is given back of which line, goods before shipping, to the penny, by
// amount and by lines; and never more than was paid.
func TestRefundAmounts(t *testing.T) {
	for _, c := range []struct {
		name     string
		included bool
		w        func(lines []string) connectors.RefundWrite
		want     []string
		code     string
	}{
		{"units of a line", false, func(l []string) connectors.RefundWrite {
			return connectors.RefundWrite{Lines: []connectors.LineQuantity{{LineID: l[0], Quantity: 1}}}
		}, []string{"01 Principal 230 Tax 46"}, ""},
		{"units of a line, tax within", true, func(l []string) connectors.RefundWrite {
			return connectors.RefundWrite{Lines: []connectors.LineQuantity{{LineID: l[0], Quantity: 1}}}
		}, []string{"01 Principal 230"}, ""},
		{"units of a line for a price of its own", false, func(l []string) connectors.RefundWrite {
			return connectors.RefundWrite{Lines: []connectors.LineQuantity{{LineID: l[0], Quantity: 1}}, Amount: pounds(138)}
		}, []string{"01 Principal 115 Tax 23"}, ""},
		{"a line with its shipping", false, func(l []string) connectors.RefundWrite {
			return connectors.RefundWrite{Lines: []connectors.LineQuantity{{LineID: l[0], Quantity: 4}}, Amount: pounds(1104 + 500)}
		}, []string{"01 Principal 920 Tax 184 Shipping 500"}, ""},
		{"an amount", false, func([]string) connectors.RefundWrite { return connectors.RefundWrite{Amount: pounds(100)} },
			[]string{"01 Principal 39 Tax 8", "02 Principal 44 Tax 9"}, ""},
		{"everything", false, func([]string) connectors.RefundWrite {
			return connectors.RefundWrite{Amount: pounds(1104 + 500 + 1017 + 203)}
		}, []string{"01 Principal 920 Tax 184 Shipping 500", "02 Principal 1017 Tax 203"}, ""},
		{"a penny more than everything", false, func([]string) connectors.RefundWrite {
			return connectors.RefundWrite{Amount: pounds(1104 + 500 + 1017 + 203 + 1)}
		}, nil, codeMoreThan},
		{"more than the line", false, func(l []string) connectors.RefundWrite {
			return connectors.RefundWrite{Lines: []connectors.LineQuantity{{LineID: l[1], Quantity: 3}}, Amount: pounds(1221)}
		}, nil, codeMoreThan},
		{"more units than there are", false, func(l []string) connectors.RefundWrite {
			return connectors.RefundWrite{Lines: []connectors.LineQuantity{{LineID: l[1], Quantity: 2}, {LineID: l[1], Quantity: 2}}}
		}, nil, codeNoLine},
		{"a line that is not there", false, func([]string) connectors.RefundWrite {
			return connectors.RefundWrite{Lines: []connectors.LineQuantity{{LineID: "1", Quantity: 1}}}
		}, nil, codeNoLine},
		{"another currency", false, func([]string) connectors.RefundWrite {
			return connectors.RefundWrite{Amount: &event.Money{Minor: 1, Currency: "EUR"}}
		}, nil, codeCurrency},
		{"nothing", false, func([]string) connectors.RefundWrite { return connectors.RefundWrite{} }, nil, codeAmount},
		{"no amount", false, func([]string) connectors.RefundWrite { return connectors.RefundWrite{Amount: pounds(0)} }, nil, codeAmount},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, simulator.Config{}, nil)
			stocked(s)
			id, lines := soldAndShipped(t, s, c.included)
			w := c.w(lines)
			w.OrderID, w.CommandID = id, "one"
			r := s.refundSettled(t, w)
			if c.code != "" && (r.Outcome != refusedO || r.Code != c.code || s.Stats().Feeds != 0) || c.code == "" && r.Outcome != accepted {
				t.Errorf("got %v, want %q", r, c.code)
			}
			if diff := cmp.Diff(c.want, s.given(id)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestRefundsOfOneOrder: each command its own, also of the same amount; what is gone is gone,
// whoever gave it back; and Amazon's books are believed, as late as they are.
func TestRefundsOfOneOrder(t *testing.T) {
	s := open(t, simulator.Config{FeedQueue: time.Minute, FinanceDelay: 48 * time.Hour}, nil)
	stocked(s)
	id, lines := soldAndShipped(t, s, true)
	heart := func(command string, minor int64) connectors.RefundWrite {
		return connectors.RefundWrite{OrderID: id, CommandID: command, Lines: []connectors.LineQuantity{{LineID: lines[0], Quantity: 4}}, Amount: pounds(minor), Restock: event.Restock_RESTOCK_RETURN}
	}
	for _, c := range []struct {
		w    connectors.RefundWrite
		want event.Outcome
	}{
		{heart("one", 300), accepted}, {heart("one", 300), accepted}, {heart("two", 300), accepted},
		// 9.20 of goods and 5.00 of shipping, less 6.00.
		{heart("three", 821), refusedO}, {heart("four", 820), accepted}, {heart("five", 1), refusedO},
	} {
		if r := s.refundSettled(t, c.w); r.Outcome != c.want || r.Outcome == refusedO && r.Code != codeMoreThan {
			t.Errorf("%s: %v, want %v", c.w.CommandID, r, c.want)
		}
	}
	if diff := cmp.Diff([]string{"01 Principal 300", "01 Principal 300", "01 Principal 320 Shipping 500"}, s.given(id)); diff != "" {
		t.Error(diff)
	}
	o, _ := s.Order(id)
	if o.Refunds[0].Own != "one-1" {
		t.Errorf("our name for it is %q", o.Refunds[0].Own)
	}
	// Somebody refunds the mugs in Seller Central. Before the books tell, Amazon itself refuses.
	if err := s.RefundByHand(id, lines[1], 1000); err != nil {
		t.Fatal(err)
	}
	mugs := connectors.RefundWrite{OrderID: id, CommandID: "six", Amount: pounds(100)}
	if r := s.refundSettled(t, mugs); r.Outcome != refusedO || r.Code != "18042" || !strings.Contains(r.Message, "not yet refunded") {
		t.Errorf("before the books tell: %v", r)
	}
	s.clock.Add(49 * time.Hour)
	feeds := s.Stats().Feeds
	mugs.CommandID = "seven"
	if r := s.refundSettled(t, mugs); r.Outcome != refusedO || r.Code != codeMoreThan || s.Stats().Feeds != feeds {
		t.Errorf("when the books tell: %v, %d feeds more", r, s.Stats().Feeds-feeds)
	}
	mugs.CommandID, mugs.Amount = "eight", pounds(17)
	if r := s.refundSettled(t, mugs); r.Outcome != accepted {
		t.Errorf("what is left: %v", r)
	}
}

// TestRefundRefusals: what is not refunded, and why; none of it is handed in.
func TestRefundRefusals(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	unshipped, byAmazon, unpaid, gone := s.place(t, "85123A", 1, true), s.place(t, "MUG-FBA", 1, true), s.place(t, "85123A", 1, false), s.place(t, "85123A", 1, true)
	s.ship(byAmazon)
	if err := s.Cancel(gone, "", true, time.Time{}); err != nil {
		t.Fatal(err)
	}
	partly, err := s.PlaceOrder(simulator.OrderSpec{Paid: true, Lines: []simulator.LineSpec{{SKU: "85123A", Quantity: 1}, {SKU: "MUG/red 1", Quantity: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	o, _ := s.Order(partly)
	if err := s.Fulfil(partly, simulator.FulfilSpec{Lines: []simulator.FulfilLineSpec{{Line: o.Lines[0].ID, Quantity: 1}}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, order, code string
		lines             []connectors.LineQuantity
		want              event.Outcome
	}{
		{"not shipped", unshipped, codeUnshipped, nil, notSent},
		{"a line that is not shipped", partly, codeUnshipped, []connectors.LineQuantity{{LineID: o.Lines[1].ID, Quantity: 1}}, notSent},
		{"Amazon's", byAmazon, codeAmazon, nil, refusedO},
		{"not paid", unpaid, "PENDING", nil, notSent},
		{"cancelled", gone, "CANCELLED", nil, refusedO},
		{"no such order", "202-0000000-0000000", codeNoOrder, nil, refusedO},
		{"no order", "", codeInvalid, nil, refusedO},
	} {
		r := s.refund(t, connectors.RefundWrite{OrderID: c.order, CommandID: c.name, Lines: c.lines, Amount: pounds(10)})
		if r.Outcome != c.want || r.Code != c.code || c.want == notSent && r.RetryAfter <= 0 {
			t.Errorf("%s: %v, want %v %s", c.name, r, c.want, c.code)
		}
	}
	if got := s.Stats().Feeds; got != 0 {
		t.Errorf("%d feeds were handed in", got)
	}
	// The line that was shipped is refunded by itself, and an amount goes to it.
	if r := s.refundSettled(t, connectors.RefundWrite{OrderID: partly, CommandID: "x", Amount: pounds(10)}); r.Outcome != accepted {
		t.Errorf("the line that is shipped: %v", r)
	}
	if diff := cmp.Diff([]string{"01 Principal 10"}, s.given(partly)); diff != "" {
		t.Error(diff)
	}
}

// TestRefundFailures: each way in which a feed fails on its way. There is never a second refund,
// and what nobody can find out stays Unknown.
func TestRefundFailures(t *testing.T) {
	for _, c := range []struct {
		name    string
		faults  simulator.Faults
		config  simulator.Config
		first   event.Outcome
		between func(s *seller)
		code    string
		last    event.Outcome
		feeds   int64
		refunds int64
	}{
		{"a lost answer", simulator.Faults{FailAfter: 1}, simulator.Config{}, unknown, nil, "", accepted, 1, 1},
		{"a lost answer, and a list that lags", simulator.Faults{FailAfter: 1}, simulator.Config{FeedListDelay: 5 * time.Minute}, unknown, nil, "", accepted, 1, 1},
		{"a lost answer, and another's feeds before", simulator.Faults{FailAfter: 1}, simulator.Config{FeedPage: 1}, unknown, nil, "", accepted, 1, 1},
		{"a lost answer, and another's feed beside it", simulator.Faults{FailAfter: 1}, simulator.Config{FeedPage: 1}, unknown, func(s *seller) { s.ForeignFeed(simulator.FeedRefund) }, codeSeveral, unknown, 2, 1},
		{"a lost answer, and another's cancellation beside it", simulator.Faults{FailAfter: 1}, simulator.Config{}, unknown, func(s *seller) { s.ForeignFeed(simulator.FeedCancel) }, "", accepted, 2, 1},
		{"an outage", simulator.Faults{Outage: true}, simulator.Config{}, notSent, nil, "", accepted, 1, 1},
		{"an upload that fails", simulator.Faults{FailUpload: 1}, simulator.Config{}, notSent, nil, "", accepted, 1, 1},
		{"given up before the effect", simulator.Faults{FeedFatal: 1}, simulator.Config{FinanceDelay: time.Minute}, unknown, nil, codeBroken, unknown, 1, 0},
		{"given up after the effect", simulator.Faults{FeedFatalAfter: 1}, simulator.Config{FinanceDelay: time.Minute}, unknown, nil, "", accepted, 1, 1},
		{"given up after the effect, and the books do not tell", simulator.Faults{FeedFatalAfter: 1}, simulator.Config{FinanceDelay: 48 * time.Hour}, unknown, nil, codeBroken, unknown, 1, 1},
		{"withdrawn", simulator.Faults{}, slow, unknown, func(s *seller) { s.WithdrawFeeds() }, codeWithdrawn, refusedO, 1, 0},
		{"forgotten", simulator.Faults{}, simulator.Config{FinanceDelay: 48 * time.Hour}, unknown, func(s *seller) { s.ForgetFeeds() }, codeGone, unknown, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, c.config, nil)
			stocked(s)
			id, lines := soldAndShipped(t, s, false)
			if _, err := s.conn.Stock.ReadStock(t.Context(), []connectors.StockRef{{StockID: "85123A"}}); err != nil {
				t.Fatal(err) // there is a token
			}
			foreign := int64(0)
			if strings.Contains(c.name, "feeds before") {
				for range 2 {
					s.ForeignFeed(simulator.FeedRefund)
					foreign++
				}
				s.clock.Add(time.Minute)
			}
			w := connectors.RefundWrite{OrderID: id, CommandID: "one", Lines: []connectors.LineQuantity{{LineID: lines[0], Quantity: 1}}}
			s.SetFaults(c.faults)
			if r := s.refund(t, w); r.Outcome != c.first {
				t.Fatalf("first: %v, want %v", r, c.first)
			}
			s.SetFaults(simulator.Faults{})
			if c.between != nil {
				c.between(s)
			}
			check := func(r connectors.Result) {
				t.Helper()
				st := s.Stats()
				if r.Outcome != c.last || r.Code != c.code || st.Feeds != c.feeds+foreign || st.Refunds != c.refunds {
					t.Errorf("%v, %d feeds, %d refunds, want %v %q, %d and %d", r, st.Feeds-foreign, st.Refunds, c.last, c.code, c.feeds, c.refunds)
				}
			}
			check(s.refundSettled(t, w))
			s.again(t)
			check(s.refund(t, w))
		})
	}
}

// TestRefundNeverArrived: a createFeed that went into the void is found out to have made nothing,
// and is sent once more; meanwhile no other refund is.
func TestRefundNeverArrived(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	id, lines := soldAndShipped(t, s, false)
	other, _ := soldAndShipped(t, s, false)
	w := connectors.RefundWrite{OrderID: id, CommandID: "one", Lines: []connectors.LineQuantity{{LineID: lines[0], Quantity: 1}}}
	s.between = answering(s.Simulator, "/2021-06-30/feeds", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "the line went dead", http.StatusBadGateway)
	})
	if r := s.refund(t, w); r.Outcome != unknown {
		t.Fatalf("into the void: %v", r)
	}
	s.between = s.Simulator
	if r := s.refund(t, connectors.RefundWrite{OrderID: other, CommandID: "two", Amount: pounds(10)}); r.Outcome != notSent || r.Code != codeSettling || r.RetryAfter <= 0 {
		t.Errorf("another refund meanwhile: %v", r)
	}
	s.clock.Add(settleTime - time.Second)
	if r := s.refund(t, w); r.Outcome != unknown || r.RetryAfter != time.Second || s.Stats().Feeds != 0 {
		t.Errorf("while it may still appear: %v, %d feeds", r, s.Stats().Feeds)
	}
	s.clock.Add(time.Second)
	if r := s.refundSettled(t, w); r.Outcome != accepted || s.Stats().Feeds != 1 || s.Stats().Refunds != 1 {
		t.Errorf("then: %v, %d feeds, %d refunds", r, s.Stats().Feeds, s.Stats().Refunds)
	}
	if r := s.refundSettled(t, connectors.RefundWrite{OrderID: other, CommandID: "two", Amount: pounds(10)}); r.Outcome != accepted {
		t.Errorf("the other one, after that: %v", r)
	}
}

// TestRefundReports: a report that cannot be read is read again, one that says something else is
// not believed, and a refund of which only a part was done is for a person.
func TestRefundReports(t *testing.T) {
	start := func(t *testing.T) (*seller, connectors.RefundWrite) {
		s := open(t, simulator.Config{}, nil)
		stocked(s)
		id, _ := soldAndShipped(t, s, false)
		return s, connectors.RefundWrite{OrderID: id, CommandID: "one", Amount: pounds(100)}
	}
	for name, f := range map[string]simulator.Faults{"cut off": {ReportCut: 1}, "damaged": {ReportDamaged: 1}} {
		t.Run(name, func(t *testing.T) {
			s, w := start(t)
			s.refund(t, w)
			s.SetFaults(f)
			for range 3 {
				if r := s.refund(t, w); r.Outcome != unknown || r.RetryAfter <= 0 {
					t.Errorf("got %v", r)
				}
			}
			s.SetFaults(simulator.Faults{})
			if r := s.refundSettled(t, w); r.Outcome != accepted || s.Stats().Refunds != 2 {
				t.Errorf("then: %v, %d refunds of two items", r, s.Stats().Refunds)
			}
		})
	}
	for _, c := range []struct {
		name, report, code string
		want               event.Outcome
	}{
		{"all refused", reported(2, 0, 2, "Complete", resultOf(messageID("one", 0), "Error"), resultOf(messageID("one", 1), "Error")), "18028", refusedO},
		{"one refused", reported(2, 1, 1, "Complete", resultOf(messageID("one", 1), "Error")), codePartly, unknown},
		{"another feed's", reported(1, 1, 0, "Complete"), codeDoubt, unknown},
		{"another command's", reported(2, 1, 1, "Complete", resultOf(messageID("two", 0), "Error")), codeDoubt, unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, w := start(t)
			s.between = answering(s.Simulator, simulatedReport, func(rw http.ResponseWriter, _ *http.Request) { zipped(rw, c.report) })
			w.Lines = nil
			s.cfg.CallTimeout = time.Minute
			s.SetFaults(simulator.Faults{})
			r := s.refundSettledFor(t, w, 20*time.Minute)
			if r.Outcome != c.want || r.Code != c.code || s.Stats().Feeds != 1 {
				t.Errorf("%v, %d feeds, want %v %s", r, s.Stats().Feeds, c.want, c.code)
			}
			if c.code == codePartly && !strings.Contains(r.Message, "not & never") {
				t.Errorf("the message says %q", r.Message)
			}
		})
	}
}

// refundSettledFor is refundSettled that stops at the first answer that nothing moves any more.
func (s *seller) refundSettledFor(t testing.TB, w connectors.RefundWrite, most time.Duration) (r connectors.Result) {
	t.Helper()
	for waited := time.Duration(0); waited < most; {
		if r = s.refund(t, w); r.Outcome != unknown || r.RetryAfter >= personPause {
			return r
		}
		s.clock.Add(r.RetryAfter)
		waited += r.RetryAfter
	}
	return r
}

// TestAfterAPartOfARefund: what Amazon did not do is still there, what it did is not.
func TestAfterAPartOfARefund(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	id, lines := soldAndShipped(t, s, true)
	if err := s.RefundByHand(id, lines[1], 1017); err != nil {
		t.Fatal(err)
	}
	// The books are asked, and answer nothing yet.
	s.between = answering(s.Simulator, "/finances/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"payload":{"transactions":[]}}`)
	})
	w := connectors.RefundWrite{OrderID: id, CommandID: "one", Lines: []connectors.LineQuantity{{LineID: lines[0], Quantity: 1}, {LineID: lines[1], Quantity: 1}}}
	if r := s.refundSettledFor(t, w, time.Hour); r.Outcome != unknown || r.Code != codePartly || !strings.Contains(r.Message, lines[1]) || strings.Contains(r.Message, lines[0]) {
		t.Errorf("one line of two: %v", r)
	}
	w = connectors.RefundWrite{OrderID: id, CommandID: "two", Lines: []connectors.LineQuantity{{LineID: lines[0], Quantity: 4}}, Amount: pounds(920 + 500 - 230 + 1)}
	if r := s.refund(t, w); r.Outcome != refusedO || r.Code != codeMoreThan {
		t.Errorf("what was done is gone: %v", r)
	}
	w.Amount = pounds(920 + 500 - 230)
	if r := s.refundSettled(t, w); r.Outcome != accepted {
		t.Errorf("what is left: %v", r)
	}
}

// TestTaxOfAmazon: tax that Amazon collects is none of what the seller gives back.
func TestTaxOfAmazon(t *testing.T) {
	node := `{"orderId":"1","createdTime":"2026-11-01T00:00:00Z","lastUpdatedTime":"2026-11-01T00:00:00Z","salesChannel":{"channelName":"AMAZON","marketplaceId":"ATVPDKIKX0DER"},` +
		`"fulfillment":{"fulfillmentStatus":"SHIPPED","fulfilledBy":"MERCHANT"},"orderItems":[{"orderItemId":"11","quantityOrdered":1,"product":{"sellerSku":"A"},` +
		`"fulfillment":{"quantityFulfilled":1,"quantityUnfulfilled":0},"proceeds":{"proceedsTotal":{"amount":"16.50","currencyCode":"USD"},"breakdowns":[` +
		`{"type":"ITEM","subtotal":{"amount":"10.00","currencyCode":"USD"}},{"type":"SHIPPING","subtotal":{"amount":"4.00","currencyCode":"USD"}},{"type":"GIFT_WRAP","subtotal":{"amount":"2.00","currencyCode":"USD"}},` +
		`{"type":"DISCOUNT","subtotal":{"amount":"-1.50","currencyCode":"USD"},"detailedBreakdowns":[{"subtype":"SHIPPING","value":{"amount":"-0.50","currencyCode":"USD"}}]},` +
		`{"type":"TAX","subtotal":{"amount":"2.00","currencyCode":"USD"},"detailedBreakdowns":[{"subtype":"SHIPPING","value":{"amount":"0.70","currencyCode":"USD"}}]}]}%s}]}`
	for tax, want := range map[string][components]int64{
		"": {900, 130, 350, 70, 200},
		`,"tax":{"taxCollections":[{"model":"MARKETPLACE_FACILITATOR","responsibleParty":"Amazon"}]}`: {900, 0, 350, 0, 200},
	} {
		o := &orderNow{node: fmt.Appendf(nil, node, tax)}
		got, err := sold(o)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.items[0].paid); diff != "" {
			t.Error(diff)
		}
	}
	if _, err := sold(&orderNow{node: []byte(`{"orderId":"1"}`)}); err == nil {
		t.Error("an order that cannot be read is reckoned with")
	}
}

// TestBooks: refunds as Amazon shows them, and the example of the contract.
func TestBooks(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       []givenBack
	}{
		{"below an item's expenses", `{"transactionType":"Refund","transactionId":"a","items":[{"breakdowns":[{"breakdownType":"Expenses","breakdownAmount":{"currencyAmount":-12,"currencyCode":"GBP"},"breakdowns":[{"breakdownType":"Product Charges","breakdownAmount":{"currencyAmount":-10.5,"currencyCode":"GBP"},"breakdowns":null}]}]}]}`, []givenBack{{"a", 1050, true}}},
		{"of the transaction, in a list", `{"transactionType":"Refund","transactionId":"a","breakdowns":[{"breakdownType":"ProductCharges","breakdownAmount":{"currencyAmount":-3,"currencyCode":"GBP"}}]}`, []givenBack{{"a", 300, true}}},
		{"of the transaction, in an object", `{"transactionType":"Refund","transactionId":"a","breakdowns":{"breakdowns":[{"breakdownType":"ProductCharges","breakdownAmount":{"currencyAmount":-3,"currencyCode":"GBP"}}]}}`, []givenBack{{"a", 300, true}}},
		{"a sale", `{"transactionType":"Shipment","transactionId":"a","breakdowns":[{"breakdownType":"ProductCharges","breakdownAmount":{"currencyAmount":3,"currencyCode":"GBP"}}]}`, nil},
		{"the release of one", `{"transactionType":"Refund","transactionId":"a","relatedIdentifiers":[{"relatedIdentifierName":"DEFERRED_TRANSACTION_ID","relatedIdentifierValue":"b"}]}`, nil},
		{"in another currency", `{"transactionType":"Refund","transactionId":"a","breakdowns":[{"breakdownType":"ProductCharges","breakdownAmount":{"currencyAmount":-3,"currencyCode":"USD"}}]}`, []givenBack{{"a", 0, false}}},
	} {
		s := open(t, simulator.Config{}, nil)
		s.between = answering(s.Simulator, "/finances/", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"payload":{"transactions":[`+c.body+`]}}`)
		})
		got, err := s.conn.Refund.(*refunder).givenBack(t.Context(), "1", "GBP")
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(givenBack{})); diff != "" || err != nil {
			t.Errorf("%s: %v %s", c.name, err, diff)
		}
	}
}

// TestWithoutTheBooks: without the role for them nothing is refunded blindly, and nothing else
// of the account stops.
func TestWithoutTheBooks(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	stocked(s)
	id, _ := soldAndShipped(t, s, false)
	s.between = answering(s.Simulator, "/finances/", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusForbidden, unauthorised, "Access to requested resource is denied.")
	})
	if r := s.refund(t, connectors.RefundWrite{OrderID: id, CommandID: "one", Amount: pounds(10)}); r.Outcome != refusedO || r.Code != codeRoleMissing || s.Stats().Feeds != 0 {
		t.Errorf("got %v", r)
	}
}

// TestRefundByTwoAtOnce: two processes that were given the same command make one feed.
func TestRefundByTwoAtOnce(t *testing.T) {
	s := open(t, simulator.Config{FeedQueue: time.Minute}, nil)
	stocked(s)
	id, _ := soldAndShipped(t, s, false)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			c, err := New(s.cfg, schemas.Test, s.deps)
			if err == nil {
				_, err = c.Refund.PushRefund(t.Context(), connectors.RefundWrite{OrderID: id, CommandID: "one", Amount: pounds(10)})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := s.Stats().Feeds; got != 1 {
		t.Errorf("%d feeds, want 1", got)
	}
}

// TestRefundKilled: whatever is killed and wherever, a refund is made once, and the command ends.
func TestRefundKilled(t *testing.T) {
	killedEverywhere(t, func(t *testing.T, s *seller) (func() connectors.Result, func() error) {
		id, lines := soldAndShipped(t, s, false)
		w := connectors.RefundWrite{OrderID: id, CommandID: "one", Lines: []connectors.LineQuantity{{LineID: lines[0], Quantity: 1}}}
		return func() connectors.Result { return s.mayFail(s.conn.Refund.PushRefund(t.Context(), w)) }, func() error {
			if st := s.Stats(); st.Refunds != 1 || st.Feeds != 1 {
				return fmt.Errorf("%d refunds by %d feeds", st.Refunds, st.Feeds)
			}
			return nil
		}
	})
}
