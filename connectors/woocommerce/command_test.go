package woocommerce

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/woocommerce/simulator"
	"github.com/helloword/crossdock/schemas/event"
)

// ordered is a shop with a paid order of three hearts and two red mugs, taxed and discounted.
func ordered(t testing.TB, sim simulator.Config) (*shop, simulator.Order) {
	t.Helper()
	s := open(t, sim, nil)
	p := stocked(s)
	id, err := s.PlaceOrder(simulator.OrderSpec{Paid: true, Delivery: "4.90", TaxTitle: "USt", TaxRate: "0.19", DiscountCode: "x", Discount: "1.00", Lines: []simulator.LineSpec{
		{Variant: p[0].Variants[0], Quantity: 3}, {Variant: p[1].Variants[0], Quantity: 2},
	}})
	if err != nil {
		t.Fatal(err)
	}
	o, _ := s.Order(id)
	return s, o
}

// everyWrite is one of each command, for the list of calls.
func everyWrite(t *testing.T, s *shop, p []simulator.Product) {
	t.Helper()
	ctx := t.Context()
	prices := []connectors.PriceWrite{
		{ListingID: stringID(p[0].Variants[0]), ProductID: stringID(p[0].ID), Price: &event.Money{Minor: 299, Currency: "EUR"}},
		{ListingID: stringID(p[1].Variants[0]), ProductID: stringID(p[1].ID), Price: &event.Money{Minor: 300, Currency: "EUR"}},
	}
	if _, err := s.conn.Price.PushPrice(ctx, prices); err != nil {
		t.Fatal(err)
	}
	place := func() (string, string) {
		id, err := s.PlaceOrder(simulator.OrderSpec{Paid: true, Lines: []simulator.LineSpec{{Variant: p[0].Variants[0], Quantity: 2}}})
		if err != nil {
			t.Fatal(err)
		}
		o, _ := s.Order(id)
		return stringID(id), stringID(o.Lines[0].ID)
	}
	id, line := place()
	_, err := s.conn.Fulfilment.PushFulfilment(ctx, connectors.FulfilmentWrite{OrderID: id, CarrierCode: "dhl", Tracking: "JD1", Notify: true, CommandID: "f"})
	_, err2 := s.conn.Refund.PushRefund(ctx, connectors.RefundWrite{OrderID: id, Lines: []connectors.LineQuantity{{LineID: line, Quantity: 1}}, CommandID: "r"})
	id, _ = place()
	_, err3 := s.conn.Cancel.CancelOrder(ctx, connectors.CancelWrite{OrderID: id, Reason: "customer", CommandID: "c"})
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
}

// killed lets the n-th call of a handler be carried out (after) or not, and answers 502.
func killed(next http.Handler, n int, after bool) http.Handler {
	calls := 0
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls++; calls != n {
			next.ServeHTTP(w, r)
			return
		}
		if after {
			next.ServeHTTP(&recorder{header: http.Header{}}, r)
		}
		w.WriteHeader(http.StatusBadGateway)
	})
}

// Whatever call is cut, before or after its effect, the command is done once when it is
// repeated until it is accepted.
func TestCommandsAreDoneOnce(t *testing.T) {
	for _, tc := range []struct {
		name string
		run  func(s *shop, o simulator.Order) (connectors.Result, error)
		// effect says what the shop shows of it in the end.
		effect func(s *shop, o simulator.Order) string
		want   string
	}{
		{"cancel", func(s *shop, o simulator.Order) (connectors.Result, error) {
			return s.conn.Cancel.CancelOrder(t.Context(), connectors.CancelWrite{OrderID: stringID(o.ID), Reason: "customer", CommandID: "cancel/1"})
		}, func(s *shop, o simulator.Order) string {
			return fmt.Sprint(o.Status, " ", s.Available(o.Lines[0].Variant), s.Available(o.Lines[1].Variant))
		}, "cancelled 100 50"},
		{"refund", func(s *shop, o simulator.Order) (connectors.Result, error) {
			return s.conn.Refund.PushRefund(t.Context(), connectors.RefundWrite{
				OrderID: stringID(o.ID), Note: "broken", Restock: event.Restock_RESTOCK_RETURN, CommandID: "refund/1",
				Lines: []connectors.LineQuantity{{LineID: stringID(o.Lines[0].ID), Quantity: 1}},
			})
		}, func(s *shop, o simulator.Order) string {
			return fmt.Sprint(len(o.Refunds), o.Refunds[0].Total, s.Available(o.Lines[0].Variant))
		}, "1 282 98"},
		{"shipment", func(s *shop, o simulator.Order) (connectors.Result, error) {
			return s.conn.Fulfilment.PushFulfilment(t.Context(), connectors.FulfilmentWrite{OrderID: stringID(o.ID), CarrierCode: "dhl", Tracking: "JD014600", TrackingURL: "https://dhl.example/JD014600", Notify: true, CommandID: "ship/1"})
		}, func(s *shop, o simulator.Order) string {
			return fmt.Sprint(o.Status, " ", strings.Join(s.Notes(o.ID), "|"))
		}, "completed *Shipped with DHL, tracking number JD014600: https://dhl.example/JD014600 " + marker("ship/1")},
	} {
		for n := 1; n <= 4; n++ {
			for _, after := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/call %d/after %v", tc.name, n, after), func(t *testing.T) {
					s, o := ordered(t, simulator.Config{})
					s.server.Config.Handler = killed(s.server.Config.Handler, n, after)
					for try := 1; ; try++ {
						res, err := tc.run(s, o)
						if err != nil || try > 4 {
							t.Fatal(res, err)
						}
						if res.Outcome == event.Outcome_OUTCOME_ACCEPTED {
							break
						}
						if res.Outcome == event.Outcome_OUTCOME_REFUSED {
							t.Fatalf("refused: %+v", res)
						}
					}
					if res, err := tc.run(s, o); err != nil || res.Outcome != event.Outcome_OUTCOME_ACCEPTED {
						t.Errorf("once more: %+v, %v", res, err)
					}
					o, _ = s.Order(o.ID)
					if got := tc.effect(s, o); got != tc.want {
						t.Errorf("the shop shows %q, want %q", got, tc.want)
					}
				})
			}
		}
	}
}

func TestCommandsRefused(t *testing.T) {
	s, o := ordered(t, simulator.Config{})
	id, line := stringID(o.ID), stringID(o.Lines[0].ID)
	done, finished := ordered(t, simulator.Config{})
	if err := done.Fulfil(finished.ID, simulator.FulfilSpec{}); err != nil {
		t.Fatal(err)
	}
	cancelled, gone := ordered(t, simulator.Config{ManualRefunds: true})
	if err := cancelled.Cancel(gone.ID, "", true, cancelled.clock.Now()); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	cancel := func(s *shop, id string) (connectors.Result, error) {
		return s.conn.Cancel.CancelOrder(ctx, connectors.CancelWrite{OrderID: id, CommandID: "c"})
	}
	refund := func(s *shop, w connectors.RefundWrite) (connectors.Result, error) {
		w.CommandID = "r"
		return s.conn.Refund.PushRefund(ctx, w)
	}
	ship := func(s *shop, w connectors.FulfilmentWrite) (connectors.Result, error) {
		w.CommandID = "f"
		return s.conn.Fulfilment.PushFulfilment(ctx, w)
	}
	for _, tc := range []struct {
		name string
		run  func() (connectors.Result, error)
		want string
	}{
		{"cancel what is no order", func() (connectors.Result, error) { return cancel(s, "abc") }, codeNoOrder},
		{"cancel what does not exist", func() (connectors.Result, error) { return cancel(s, "4711") }, "woocommerce_rest_shop_order_invalid_id"},
		{"cancel what has left", func() (connectors.Result, error) { return cancel(done, stringID(finished.ID)) }, "order_completed"},
		{"ship what is cancelled", func() (connectors.Result, error) {
			return ship(cancelled, connectors.FulfilmentWrite{OrderID: stringID(gone.ID)})
		}, "order_cancelled"},
		{"ship more than there is", func() (connectors.Result, error) {
			return ship(s, connectors.FulfilmentWrite{OrderID: id, Lines: []connectors.LineQuantity{{LineID: line, Quantity: 2}, {LineID: line, Quantity: 2}}})
		}, "no_such_units"},
		{"refund no line of the order", func() (connectors.Result, error) {
			return refund(s, connectors.RefundWrite{OrderID: id, Lines: []connectors.LineQuantity{{LineID: "9999", Quantity: 1}}})
		}, "no_such_units"},
		{"refund more than was ordered", func() (connectors.Result, error) {
			return refund(s, connectors.RefundWrite{OrderID: id, Lines: []connectors.LineQuantity{{LineID: line, Quantity: 4}}})
		}, "no_such_units"},
		{"refund nothing", func() (connectors.Result, error) { return refund(s, connectors.RefundWrite{OrderID: id}) }, "no_amount"},
		{"refund another currency", func() (connectors.Result, error) {
			return refund(s, connectors.RefundWrite{OrderID: id, Amount: &event.Money{Minor: 100, Currency: "USD"}})
		}, codeCurrency},
		{"refund more than was paid", func() (connectors.Result, error) {
			return refund(s, connectors.RefundWrite{OrderID: id, Amount: &event.Money{Minor: 1_000_000, Currency: "EUR"}})
		}, codeCannotRefund},
		{"a gateway that cannot", func() (connectors.Result, error) {
			return refund(cancelled, connectors.RefundWrite{OrderID: stringID(gone.ID), Amount: &event.Money{Minor: 100, Currency: "EUR"}})
		}, codeCannotRefund},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, err := tc.run(); err != nil || got.Outcome != event.Outcome_OUTCOME_REFUSED || got.Code != tc.want {
				t.Errorf("got %+v, %v; want refused with %s", got, err, tc.want)
			}
		})
	}
	if res, err := refund(cancelled, connectors.RefundWrite{OrderID: stringID(gone.ID), Amount: &event.Money{Minor: 100, Currency: "EUR"}}); err != nil || !strings.Contains(res.Message, "refund_payments: false") {
		t.Errorf("it is not said what to do: %s, %v", res.Message, err)
	}
	if got, _ := s.Order(o.ID); len(got.Refunds) > 0 || got.Status != o.Status {
		t.Errorf("something was done: %+v", got)
	}
	t.Setenv("WOO_TEST_SECRET", "cs_wrong")
	if _, err := cancel(s, id); !errors.Is(err, connectors.ErrNeedsAuthorisation) {
		t.Errorf("with a wrong secret: %v", err)
	}
}

// An order leaves in two parcels: the second completes it.
func TestShipmentsInParts(t *testing.T) {
	s, o := ordered(t, simulator.Config{})
	ship := func(command string, lines ...connectors.LineQuantity) {
		t.Helper()
		res, err := s.conn.Fulfilment.PushFulfilment(t.Context(), connectors.FulfilmentWrite{OrderID: stringID(o.ID), CarrierName: "Bote", Tracking: command, Lines: lines, CommandID: command})
		if err != nil || res.Outcome != event.Outcome_OUTCOME_ACCEPTED {
			t.Fatal(res, err)
		}
	}
	status := func() string { o, _ := s.Order(o.ID); return o.Status }
	ship("one", connectors.LineQuantity{LineID: stringID(o.Lines[0].ID), Quantity: 2})
	if status() != "processing" {
		t.Errorf("after the first parcel the order is %s", status())
	}
	ship("one", connectors.LineQuantity{LineID: stringID(o.Lines[0].ID), Quantity: 2})
	ship("two", connectors.LineQuantity{LineID: stringID(o.Lines[0].ID), Quantity: 1}, connectors.LineQuantity{LineID: stringID(o.Lines[1].ID), Quantity: 2})
	if status() != "completed" {
		t.Errorf("after the second parcel the order is %s", status())
	}
	want := []string{"Shipped with Bote, tracking number one " + marker("one"), "Shipped with Bote, tracking number two " + marker("two")}
	if diff := cmp.Diff(want, s.Notes(o.ID)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPushPrice(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	p := stocked(s)
	eur := func(minor int64) *event.Money { return &event.Money{Minor: minor, Currency: "EUR"} }
	results, err := s.conn.Price.PushPrice(t.Context(), []connectors.PriceWrite{
		{ListingID: stringID(p[0].Variants[0]), ProductID: stringID(p[0].ID), Price: eur(1999)},
		{ListingID: stringID(p[1].Variants[1]), ProductID: stringID(p[1].ID), Price: eur(0)},
		{ListingID: "777", ProductID: "777", Price: eur(5)},
		{ListingID: stringID(p[0].Variants[0]), ProductID: stringID(p[0].ID), Price: &event.Money{Minor: 5, Currency: "USD"}},
		{ListingID: "x", Price: eur(5)},
		{ListingID: stringID(p[0].Variants[0]), ProductID: stringID(p[0].ID), Price: eur(7)},
		{ListingID: stringID(p[1].Variants[0]), ProductID: stringID(p[1].ID), Price: eur(-1)},
	})
	if err != nil {
		t.Fatal(err)
	}
	type short struct {
		Outcome event.Outcome
		Code    string
	}
	var got []short
	for _, r := range results {
		got = append(got, short{r.Outcome, r.Code})
	}
	const ok, no, later = event.Outcome_OUTCOME_ACCEPTED, event.Outcome_OUTCOME_REFUSED, event.Outcome_OUTCOME_NOT_SENT
	want := []short{{ok, ""}, {ok, ""}, {no, codeInvalidProduct}, {no, codeCurrency}, {no, codeNoTarget}, {later, codeTwice}, {no, "no_price"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	raws, _ := s.poll(t, connectors.Products, connectors.PollRequest{})
	prices := map[string]int64{}
	for _, raw := range raws {
		for _, l := range s.facts(t, raw).Products[0].Listings {
			prices[l.Id] = l.Price.GetMinor()
		}
	}
	if prices[stringID(p[0].Variants[0])] != 1999 || prices[stringID(p[1].Variants[1])] != 0 {
		t.Errorf("the shop sells at %v", prices)
	}
}

// A shop that does not manage stock takes the write, and nothing comes of it.
func TestStockNobodyManages(t *testing.T) {
	s := open(t, simulator.Config{NoStockManagement: true}, nil)
	p := stocked(s)
	results, err := s.conn.Stock.PushStock(t.Context(), []connectors.StockWrite{{ListingID: stringID(p[0].Variants[0]), Quantity: 4, CommandID: "a"}})
	if err != nil || results[0].Outcome != event.Outcome_OUTCOME_REFUSED || results[0].Code != codeNotTaken {
		t.Errorf("got %+v, %v", results, err)
	}
}

// A batch over products and variations is one call for each list, and each item stands by
// itself.
func TestPushStockInParts(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	p := stocked(s)
	s.sent()
	w := func(listing int64, stock string, quantity int64) connectors.StockWrite {
		return connectors.StockWrite{ListingID: stringID(listing), StockID: stock, Quantity: quantity, CommandID: fmt.Sprint(listing, quantity)}
	}
	results, err := s.conn.Stock.PushStock(t.Context(), []connectors.StockWrite{
		w(p[0].Variants[0], "", 11), w(p[1].Variants[0], p[1].Items[0], 12), w(p[1].Variants[2], p[1].Items[2], 13), w(p[0].Variants[0], "", 14),
		w(5, "5:", 1), w(4711, "4712:4711", 1), w(p[1].Variants[1], "", 3),
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range results {
		got = append(got, strings.TrimPrefix(r.Outcome.String(), "OUTCOME_")+" "+r.Code)
	}
	want := []string{"ACCEPTED ", "ACCEPTED ", "ACCEPTED ", "NOT_SENT " + codeTwice, "REFUSED " + codeNoTarget, "REFUSED woocommerce_rest_product_variation_invalid_id", "REFUSED woocommerce_rest_invalid_product_id"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := len(s.sent()); n != 3 {
		t.Errorf("%d calls, want one for products and one for each product with variations", n)
	}
	if s.Available(p[1].Variants[2]) != 13 {
		t.Error("what kept no stock keeps it once it was told to")
	}
	if _, err := s.conn.Stock.PushStock(t.Context(), make([]connectors.StockWrite, maxPage+1)); !errors.Is(err, connectors.ErrPermanent) {
		t.Errorf("too many at once: %v", err)
	}
	var ledger []int64
	for _, l := range s.Ledger() {
		ledger = append(ledger, l.Quantity)
	}
	if diff := cmp.Diff([]int64{11, 12, 13}, ledger); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

// When the first of several calls says that the key is dead, the rest is not tried.
func TestDeadKeyStopsABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c, _ := answered(t, func(r *http.Request) (*http.Response, error) {
			calls++
			return respond(401, nil, `{"code":"woocommerce_rest_cannot_edit","message":"no"}`)(r)
		}, nil)
		results, err := (&pusher{c}).PushStock(t.Context(), []connectors.StockWrite{{ListingID: "5"}, {ListingID: "7", StockID: "6:7"}})
		if !errors.Is(err, connectors.ErrNeedsAuthorisation) || calls != 1 {
			t.Errorf("%d calls, %v", calls, err)
		}
		for _, r := range results {
			if r.Outcome != event.Outcome_OUTCOME_NOT_SENT {
				t.Errorf("got %+v", r)
			}
		}
	})
}
