package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// shop is a simulator whose token is known, with a time that the test moves.
type shop struct {
	*Simulator
	now   time.Time
	token string
}

func open(t testing.TB, cfg Config) *shop {
	t.Helper()
	s := &shop{now: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)}
	cfg.Now = func() time.Time { return s.now }
	cfg.BearerAllowed = true
	s.Simulator = New(cfg)
	s.token = s.Config().AccessToken
	t.Cleanup(s.Close)
	return s
}

// ask sends one call.
func (s *shop) ask(t testing.TB, method, path, body string) (status int, answer any) {
	t.Helper()
	r := httptest.NewRequest(method, "http://shop.example/rest/all/V1"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+s.token)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%s %s: %s", method, path, w.Body)
	}
	return w.Code, answer
}

// find searches and returns one member of each object.
func (s *shop) find(t testing.TB, path, member string, params ...string) (found []string, total int) {
	t.Helper()
	q := url.Values{}
	for i := 0; i+1 < len(params); i += 2 {
		q.Set("searchCriteria"+params[i], params[i+1])
	}
	status, answer := s.ask(t, "GET", path+"?"+q.Encode(), "")
	if status != http.StatusOK {
		t.Fatalf("%s: %d %v", path, status, answer)
	}
	m := answer.(map[string]any)
	items, _ := m["items"].([]any)
	for _, it := range items {
		found = append(found, fmt.Sprint(it.(map[string]any)[member]))
	}
	return found, int(m["total_count"].(float64))
}

func filterBy(n int, field, is, value string) []string {
	at := fmt.Sprintf("[filter_groups][%d][filters][0]", n)
	return []string{at + "[field]", field, at + "[condition_type]", is, at + "[value]", value}
}

func hearts(s *shop, available int64) int64 {
	return s.AddProduct(ProductSpec{Title: "Heart", Variants: []VariantSpec{{SKU: "H", Price: "2.50", Tracked: true, Available: available}}}).ID
}

func place(t testing.TB, s *shop, variant, quantity int64, paid bool) Order {
	t.Helper()
	id, err := s.PlaceOrder(OrderSpec{Paid: paid, Delivery: "4.00", Lines: []LineSpec{{Variant: variant, Quantity: quantity}}})
	if err != nil {
		t.Fatal(err)
	}
	o, _ := s.Order(id)
	return o
}

func TestSearch(t *testing.T) {
	s := open(t, Config{})
	heart := hearts(s, 100)
	for range 5 {
		place(t, s, heart, 1, false)
		s.now = s.now.Add(time.Second)
	}
	ascending := []string{"[sortOrders][0][field]", "entity_id", "[sortOrders][0][direction]", "ASC"}
	for name, tc := range map[string]struct {
		params []string
		want   []string
		total  int
	}{
		"all":              {ascending, []string{"1", "2", "3", "4", "5"}, 5},
		"gt is exclusive":  {append(filterBy(0, "updated_at", "gt", "2026-11-02 09:00:02"), ascending...), []string{"4", "5"}, 2},
		"gteq is not":      {append(filterBy(0, "updated_at", "gteq", "2026-11-02 09:00:02"), ascending...), []string{"3", "4", "5"}, 3},
		"groups are and":   {append(append(filterBy(0, "entity_id", "gt", "1"), filterBy(1, "entity_id", "lt", "4")...), ascending...), []string{"2", "3"}, 2},
		"in":               {append(filterBy(0, "entity_id", "in", "5,2,9"), ascending...), []string{"2", "5"}, 2},
		"a page":           {append([]string{"[pageSize]", "2", "[currentPage]", "2"}, ascending...), []string{"3", "4"}, 5},
		"behind the end":   {append([]string{"[pageSize]", "2", "[currentPage]", "9"}, ascending...), nil, 5},
		"descending":       {[]string{"[sortOrders][0][field]", "entity_id", "[sortOrders][0][direction]", "DESC", "[pageSize]", "1"}, []string{"5"}, 5},
		"camels":           {[]string{"[filterGroups][0][filters][0][field]", "entity_id", "[filterGroups][0][filters][0][conditionType]", "eq", "[filterGroups][0][filters][0][value]", "3"}, []string{"3"}, 1},
		"alternatives":     {append([]string{"[filterGroups][0][filters][0][field]", "entity_id", "[filterGroups][0][filters][0][value]", "3", "[filterGroups][0][filters][1][field]", "entity_id", "[filterGroups][0][filters][1][value]", "1"}, ascending...), []string{"1", "3"}, 2},
		"nothing matches":  {filterBy(0, "entity_id", "eq", "77"), nil, 0},
		"state":            {append(filterBy(0, "state", "in", "new,processing"), ascending...), []string{"1", "2", "3", "4", "5"}, 5},
		"not":              {append(filterBy(0, "entity_id", "neq", "1"), ascending...), []string{"2", "3", "4", "5"}, 4},
		"at most, of four": {append(append(filterBy(0, "entity_id", "lteq", "4"), filterBy(1, "created_at", "gteq", "2026-11-02 09:00:03")...), ascending...), []string{"4"}, 1},
	} {
		got, total := s.find(t, "/orders", "entity_id", tc.params...)
		if diff := cmp.Diff(tc.want, got); diff != "" || total != tc.total {
			t.Errorf("%s: total %d, want %d; %s", name, total, tc.total, diff)
		}
	}
	for _, q := range []string{"searchCriteria[pageSize]=many", "searchCriteria[filterGroups][0][filters][0][field]=nothing", "searchCriteria[filterGroups][0][filters][0][field]=entity_id&searchCriteria[filterGroups][0][filters][0][conditionType]=like"} {
		if status, _ := s.ask(t, "GET", "/orders?"+q, ""); status < 400 {
			t.Errorf("%s: %d", q, status)
		}
	}
}

func TestPagesDriftAndOldOnesRepeat(t *testing.T) {
	s := open(t, Config{OldPaging: true, InputLimits: true})
	heart := hearts(s, 100)
	for range 3 {
		place(t, s, heart, 1, false)
		s.now = s.now.Add(time.Second)
	}
	page := func(n string) []string {
		got, _ := s.find(t, "/orders", "entity_id", "[sortOrders][0][field]", "updated_at", "[pageSize]", "2", "[currentPage]", n)
		return got
	}
	if diff := cmp.Diff([]string{"1", "2"}, page("1")); diff != "" {
		t.Error(diff)
	}
	if err := s.Hold(1, true); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1"}, page("2")); diff != "" {
		t.Errorf("the third order moved to the page before: %s", diff)
	}
	if diff := cmp.Diff([]string{"1"}, page("9")); diff != "" {
		t.Errorf("behind the end: %s", diff)
	}
	if status, _ := s.ask(t, "GET", "/orders?searchCriteria[pageSize]=301", ""); status != http.StatusBadRequest {
		t.Errorf("a page of 301: %d", status)
	}
}

func TestPartialAnswers(t *testing.T) {
	s := open(t, Config{})
	place(t, s, hearts(s, 9), 2, false)
	_, got := s.ask(t, "GET", "/orders?fields=items[entity_id,items[sku,qty_ordered]],total_count", "")
	want := map[string]any{"items": []any{map[string]any{"entity_id": 1.0, "items": []any{map[string]any{"sku": "H", "qty_ordered": 2.0}}}}, "total_count": 1.0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	_, got = s.ask(t, "GET", "/orders?fields=items[entity_id],total_count&searchCriteria[filterGroups][0][filters][0][field]=entity_id&searchCriteria[filterGroups][0][filters][0][value]=9", "")
	if diff := cmp.Diff(map[string]any{"items": nil, "total_count": 0.0}, got); diff != "" {
		t.Error(diff)
	}
}

// An order reserves, a shipment takes from the source, a cancellation and a refund of what
// never left give the reservation back.
func TestReservations(t *testing.T) {
	s := open(t, Config{})
	heart := hearts(s, 10)
	is := func(what string, source, salable int64) {
		t.Helper()
		if s.OnHand("H") != source || s.Available(heart) != salable {
			t.Errorf("%s: %d in the source, %d to sell, want %d and %d", what, s.OnHand("H"), s.Available(heart), source, salable)
		}
		if _, got := s.ask(t, "GET", "/inventory/get-product-salable-quantity/H/1", ""); got != float64(salable) {
			t.Errorf("%s: the shop tells %v to sell", what, got)
		}
	}
	first := place(t, s, heart, 4, true)
	is("an order of 4", 10, 6)
	if err := s.Fulfil(first.ID, FulfilSpec{Lines: []FulfilLineSpec{{first.Lines[0].ID, 1}}, Track: Track{"custom", "DHL", "JD1"}}); err != nil {
		t.Fatal(err)
	}
	is("1 is shipped", 9, 6)
	if _, err := s.Refund(first.ID, RefundSpec{Lines: []RefundLineSpec{{first.Lines[0].ID, 1, "return"}}}); err != nil {
		t.Fatal(err)
	}
	is("1 came back", 10, 7)
	if _, err := s.Refund(first.ID, RefundSpec{Lines: []RefundLineSpec{{first.Lines[0].ID, 2, "return"}}}); err != nil {
		t.Fatal(err)
	}
	is("2 never left", 10, 9)
	second := place(t, s, heart, 3, false)
	is("an order of 3", 10, 6)
	if err := s.Cancel(second.ID, "", true, s.now); err != nil {
		t.Fatal(err)
	}
	is("it is cancelled", 10, 9)
	for what, err := range map[string]error{
		"cancelling a paid order":   s.Cancel(first.ID, "", true, s.now),
		"cancelling twice":          s.Cancel(second.ID, "", true, s.now),
		"paying twice":              s.Pay(first.ID),
		"shipping what is not left": s.Fulfil(first.ID, FulfilSpec{Lines: []FulfilLineSpec{{first.Lines[0].ID, 9}}}),
		"an order of nobody":        s.Pay(99),
		"letting go what is free":   s.Hold(first.ID, false),
	} {
		if err == nil {
			t.Errorf("%s is possible", what)
		}
	}
	if _, err := s.Refund(first.ID, RefundSpec{Lines: []RefundLineSpec{{first.Lines[0].ID, 4, ""}}}); err == nil {
		t.Error("more can be refunded than was sold")
	}
	o, _ := s.Order(first.ID)
	if diff := cmp.Diff([]string{"JD1"}, o.Tracks); diff != "" || o.Shipments != 1 || len(o.Refunds) != 2 || o.Lines[0].Current != 1 {
		t.Errorf("%+v %s", o, diff)
	}
}

// Only a change of the order's own columns moves its updated_at.
func TestWhatMovesAnOrder(t *testing.T) {
	s := open(t, Config{})
	o := place(t, s, hearts(s, 10), 3, true)
	moved := func(what string, want bool, f func() error) {
		t.Helper()
		before, _ := s.Order(o.ID)
		s.now = s.now.Add(time.Minute)
		if err := f(); err != nil {
			t.Fatal(err)
		}
		if after, _ := s.Order(o.ID); after.Updated.After(before.Updated) != want {
			t.Errorf("%s: moved %v, want %v", what, !want, want)
		}
	}
	line := o.Lines[0].ID
	moved("a partial shipment", false, func() error { return s.Fulfil(o.ID, FulfilSpec{Lines: []FulfilLineSpec{{line, 1}}}) })
	moved("a reference", true, func() error { return s.SetReference(o.ID, "ERP-1") })
	moved("a refund", true, func() error {
		_, err := s.Refund(o.ID, RefundSpec{Lines: []RefundLineSpec{{line, 1, ""}}})
		return err
	})
	moved("the last shipment", true, func() error { return s.Fulfil(o.ID, FulfilSpec{}) })
	if after, _ := s.Order(o.ID); after.State != "complete" {
		t.Errorf("it is %s", after.State)
	}
}

func TestCallsThatWrite(t *testing.T) {
	s := open(t, Config{})
	heart := hearts(s, 10)
	o := place(t, s, heart, 2, true)
	for _, tc := range []struct {
		path, body string
		status     int
		want       any // nil = whatever
	}{
		{"/inventory/source-items", `{"sourceItems":[{"sku":"H","source_code":"default","quantity":7,"status":1},{"sku":"NOBODY","source_code":"default","quantity":1,"status":1}]}`, 200, []any{}},
		{"/inventory/source-items", `{"sourceItems":[{"sku":"H","source_code":"default","quantity":1},{"sku":"H","source_code":"moon","quantity":1}]}`, 400, nil},
		{"/inventory/source-items", `{"sourceItems":[]}`, 400, nil},
		{"/inventory/source-items", `{"sourceItems":[{"sku":"H","source_code":"default"}]}`, 400, nil},
		{"/inventory/source-items", `{"sourceItems":[{"source_code":"default","quantity":1}]}`, 400, nil},
		{"/inventory/source-items", `{`, 400, nil},
		{"/orders/99/cancel", `{}`, 404, nil},
		{fmt.Sprintf("/orders/%d/cancel", o.ID), `{}`, 200, false},
		{fmt.Sprintf("/order/%d/ship", o.ID), fmt.Sprintf(`{"items":[{"order_item_id":%d,"qty":1}],"comment":{"comment":"c"},"tracks":[{"track_number":"T","title":"t","carrier_code":"custom"}]}`, o.Lines[0].ID), 200, 1.0},
		// More than is left is shipped as far as it is.
		{fmt.Sprintf("/order/%d/ship", o.ID), fmt.Sprintf(`{"items":[{"order_item_id":%d,"qty":5}]}`, o.Lines[0].ID), 200, 2.0},
		{fmt.Sprintf("/order/%d/ship", o.ID), `{}`, 400, nil},
		{"/order/99/ship", `{}`, 404, nil},
		// What is not said of shipping is all of it: 2.50 + 4.00.
		{fmt.Sprintf("/order/%d/refund", o.ID), fmt.Sprintf(`{"items":[{"order_item_id":%d,"qty":1}],"comment":{"comment":"late"},"arguments":{"extension_attributes":{"return_to_stock_items":[%[1]d]}}}`, o.Lines[0].ID), 200, 1.0},
		{fmt.Sprintf("/order/%d/refund", o.ID), fmt.Sprintf(`{"items":[{"order_item_id":%d,"qty":9}],"arguments":{"shipping_amount":0}}`, o.Lines[0].ID), 400, nil},
		{"/order/99/refund", `{}`, 404, nil},
		{"/products/base-prices", `{"prices":[{"price":9.99,"store_id":0,"sku":"H"}]}`, 200, []any{}},
		{"/products/base-prices-information", `{"skus":["H"]}`, 200, []any{map[string]any{"price": 9.99, "store_id": 0.0, "sku": "H"}}},
		{"/products/base-prices-information", `{"skus":["NOBODY"]}`, 404, nil},
		{"/nothing", `{}`, 404, nil},
	} {
		status, got := s.ask(t, "POST", tc.path, tc.body)
		if status != tc.status || tc.want != nil && !cmp.Equal(tc.want, got) {
			t.Errorf("%s %s: %d %v, want %d %v", tc.path, tc.body, status, got, tc.status, tc.want)
		}
	}
	st := s.Stats()
	if st.Orphans != 1 || st.PushesAccepted != 2 || st.Shipments != 2 || st.Refunds != 1 || st.PricesAccepted != 1 || st.Cancellations != 0 {
		t.Errorf("%+v", st)
	}
	if after, _ := s.Order(o.ID); len(after.Refunds) != 1 || after.Refunds[0].Total != 650 {
		t.Errorf("%+v", after.Refunds)
	}
	ledger := s.Ledger()
	if len(ledger) != 2 || ledger[0].SKU != "H" || ledger[0].Quantity != 7 || ledger[0].Salable != 5 {
		t.Errorf("%+v", ledger)
	}
	// Two left, one came back.
	if got := s.OnHand("H"); got != 6 {
		t.Errorf("%d in the source", got)
	}
}

func TestWhoMayCall(t *testing.T) {
	s := open(t, Config{Denied: []string{"Magento_Sales::shipment"}})
	if status, got := s.ask(t, "GET", "/shipments", ""); status != http.StatusUnauthorized || !strings.Contains(fmt.Sprint(got), "Magento_Sales::shipment") {
		t.Errorf("%d %v", status, got)
	}
	s.token = "other"
	if status, _ := s.ask(t, "GET", "/orders", ""); status != http.StatusUnauthorized {
		t.Errorf("another token: %d", status)
	}
	_, token := s.ask(t, "POST", "/integration/admin/token", `{"username":"admin","password":"simulated-password"}`)
	s.token = token.(string)
	if status, _ := s.ask(t, "GET", "/orders", ""); status != http.StatusOK {
		t.Errorf("an administrator: %d", status)
	}
	s.now = s.now.Add(time.Hour)
	if status, _ := s.ask(t, "GET", "/orders", ""); status != http.StatusUnauthorized {
		t.Errorf("an hour later: %d", status)
	}
	if status, _ := s.ask(t, "POST", "/integration/admin/token", `{"username":"admin","password":"other"}`); status != http.StatusUnauthorized {
		t.Errorf("another password: %d", status)
	}
	r := httptest.NewRequest("GET", "http://shop.example/rest/all/V1/orders", nil)
	r.Header.Set("Authorization", `OAuth oauth_signature_method="HMAC-SHA1"`)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "not supported") {
		t.Errorf("HMAC-SHA1: %d %s", w.Code, w.Body)
	}
}

func TestFaults(t *testing.T) {
	s := open(t, Config{})
	hearts(s, 10)
	call := func() (int, string, string) {
		r := httptest.NewRequest("POST", "http://shop.example/rest/V1/inventory/source-items", strings.NewReader(`{"sourceItems":[{"sku":"H","source_code":"default","quantity":7,"status":1}]}`))
		r.Header.Set("Authorization", "Bearer "+s.token)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		body, _ := io.ReadAll(w.Body)
		return w.Code, w.Header().Get("Retry-After"), string(body)
	}
	for name, tc := range map[string]struct {
		faults Faults
		status int
		done   bool
		says   string
	}{
		"outage": {Faults{Outage: true}, 503, false, "<title>"}, "before": {Faults{FailBefore: 1}, 503, false, "<title>"}, "page": {Faults{HTML: 1}, 200, false, "<title>"},
		"throttle": {Faults{Throttle: 1}, 429, false, "Too Many"}, "refuse": {Faults{Refuse: 1}, 200, false, "[]"}, "after": {Faults{FailAfter: 1}, 502, true, "Bad Gateway"},
	} {
		s.SetSource("H", 10)
		s.SetFaults(tc.faults)
		status, retry, body := call()
		if done := s.OnHand("H") == 7; status != tc.status || done != tc.done || !strings.Contains(body, tc.says) || (retry != "") != (name == "throttle") {
			t.Errorf("%s: %d, done %v, retry after %q: %s", name, status, done, retry, body)
		}
	}
}

// Whatever an order is made of, its amounts add up as Magento's do.
func TestAmountsAddUp(t *testing.T) {
	s := open(t, Config{})
	p := s.AddProduct(ProductSpec{Title: "Mug", Variants: []VariantSpec{{SKU: "R", Price: "3.39", Tracked: true}, {SKU: "G", Price: "7.77", Tracked: true}}})
	set := s.AddBundle("SET", "Set", "")
	for _, spec := range []OrderSpec{
		{Lines: []LineSpec{{Variant: p.Variants[0], Quantity: 3}}, TaxRate: "0.19", Discount: "1.01", Delivery: "4.95"},
		{Lines: []LineSpec{{Variant: p.Variants[0], Quantity: 3}, {Variant: p.Variants[1], Quantity: 2}}, TaxRate: "0.19", Discount: "1.01", Included: true},
		{Lines: []LineSpec{{Variant: set, Quantity: 2, Parts: []LineSpec{{Variant: p.Variants[0], Quantity: 1}, {Variant: p.Variants[1], Quantity: 2}}}}, TaxRate: "0.07", Currency: "JPY", Rate: "160"},
	} {
		id, err := s.PlaceOrder(spec)
		if err != nil {
			t.Fatal(err)
		}
		_, got := s.ask(t, "GET", fmt.Sprintf("/orders/%d", id), "")
		m := got.(map[string]any)
		cents := func(name string) int64 {
			return int64(m[name].(float64)*100 + map[bool]float64{true: 0.5, false: -0.5}[m[name].(float64) >= 0])
		}
		if sum := cents("base_subtotal") + cents("base_tax_amount") + cents("base_shipping_amount") + cents("base_discount_amount") + cents("base_discount_tax_compensation_amount"); sum != cents("base_grand_total") {
			t.Errorf("order %d: %d is not %d", id, sum, cents("base_grand_total"))
		}
	}
}

func TestOrdersThatCannotBe(t *testing.T) {
	s := open(t, Config{})
	heart := hearts(s, 1)
	for name, spec := range map[string]OrderSpec{
		"no lines": {}, "nobody's product": {Lines: []LineSpec{{Variant: 99, Quantity: 1}}}, "no units": {Lines: []LineSpec{{Variant: heart}}},
		"a price": {Lines: []LineSpec{{Variant: heart, Quantity: 1, Price: "1,5"}}}, "a discount": {Lines: []LineSpec{{Variant: heart, Quantity: 1}}, Discount: "x"},
	} {
		if _, err := s.PlaceOrder(spec); err == nil {
			t.Errorf("%s: it was placed", name)
		}
	}
	n := 0
	for range s.Orders() {
		n++
	}
	if n != 0 || s.Available(heart) != 1 {
		t.Errorf("%d orders, %d to sell", n, s.Available(heart))
	}
}

func TestProducts(t *testing.T) {
	s := open(t, Config{})
	p := s.AddProduct(ProductSpec{Title: "Mug", Vendor: "Potters", Variants: []VariantSpec{{SKU: "R", Title: "red", Price: "3", Tracked: true, Available: 4}, {SKU: "G", Price: "3"}}})
	s.now = s.now.Add(time.Minute)
	if err := s.UpdateProduct(p.ID, "Cup", "5"); err != nil {
		t.Fatal(err)
	}
	skus, _ := s.find(t, "/products", "sku", filterBy(0, "updated_at", "gteq", "2026-11-02 09:01:00")...)
	if diff := cmp.Diff([]string{"R-set", "R", "G"}, skus); diff != "" {
		t.Error(diff)
	}
	if err := s.SetStock(p.Variants[0], 9); err != nil || s.Available(p.Variants[0]) != 9 {
		t.Errorf("%v, %d to sell", err, s.Available(p.Variants[0]))
	}
	var listed []string
	for l := range s.Listings() {
		listed = append(listed, fmt.Sprintf("%s %v %d", l.SKU, l.Tracked, l.Available))
	}
	if diff := cmp.Diff([]string{"R true 9", "G false 0"}, listed); diff != "" {
		t.Error(diff)
	}
	if err := s.DeleteProduct(p.Variants[0]); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{"deleting": s.DeleteProduct(p.Variants[0]), "updating": s.UpdateProduct(p.Variants[0], "", "1"), "stocking": s.SetStock(p.Variants[0], 1)} {
		if err == nil {
			t.Errorf("%s a product that is gone", what)
		}
	}
	if s.Available(p.Variants[0]) != 0 || s.Price(p.Variants[0]) != "" || s.OnHand("R") != 9 {
		t.Error("the product is there, or its source item is gone")
	}
}

func TestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		begin := time.Now()
		if err := s.Settle(context.Background()); err != nil {
			t.Fatal(err)
		}
		if time.Now().Truncate(time.Second).Equal(begin.Truncate(time.Second)) {
			t.Error("the second is still going on")
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := s.Settle(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}
