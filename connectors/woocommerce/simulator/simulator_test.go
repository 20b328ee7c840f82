package simulator

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shop is a simulator whose clock the test moves; it takes keys as they are.
type shop struct {
	*Simulator
	at time.Time
}

func open(t *testing.T, cfg Config) *shop {
	t.Helper()
	s := &shop{at: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)}
	cfg.TLS = true
	cfg.Now = func() time.Time { return s.at }
	s.Simulator = New(cfg)
	t.Cleanup(s.Close)
	return s
}

// ask makes one call with the key.
func (s *shop) ask(method, path string, query url.Values, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, root+path+"?"+query.Encode(), strings.NewReader(body))
	r.SetBasicAuth("ck_simulated", "cs_simulated")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// ids are those of a list.
func listed(t *testing.T, w *httptest.ResponseRecorder) (all []int64) {
	t.Helper()
	var docs []struct{ ID int64 }
	if err := json.Unmarshal(w.Body.Bytes(), &docs); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	for _, d := range docs {
		all = append(all, d.ID)
	}
	return all
}

// code is that of a refusal.
func code(w *httptest.ResponseRecorder) string {
	var e struct{ Code string }
	_ = json.Unmarshal(w.Body.Bytes(), &e)
	return strconv.Itoa(w.Code) + " " + e.Code
}

func (s *shop) sell(t *testing.T, variant, quantity int64) int64 {
	t.Helper()
	id, err := s.PlaceOrder(OrderSpec{Paid: true, Lines: []LineSpec{{Variant: variant, Quantity: quantity}}})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func mug(s *shop) Product {
	return s.AddProduct(ProductSpec{Title: "Mug", Variants: []VariantSpec{{SKU: "M", Price: "12.50", Tracked: true, Available: 10}}})
}

func TestListsAsMeasured(t *testing.T) {
	s := open(t, Config{})
	p := mug(s)
	var ids []int64
	for range 6 {
		ids = append(ids, s.sell(t, p.Variants[0], 1))
		s.at = s.at.Add(time.Second)
	}
	asc := func(more url.Values) url.Values {
		q := url.Values{"orderby": {"modified"}, "order": {"asc"}}
		for k, v := range more {
			q[k] = v
		}
		return q
	}
	second := s.at.Add(-4 * time.Second) // the third order's
	for _, tc := range []struct {
		name  string
		query url.Values
		want  []int64
	}{
		{"all", asc(nil), ids},
		{"its own second is left out", asc(url.Values{"modified_after": {second.Format(time.RFC3339)}}), ids[3:]},
		{"a page", asc(url.Values{"per_page": {"4"}, "page": {"2"}}), ids[4:]},
		{"without some", asc(url.Values{"exclude": {fmt.Sprintf("%d,%d", ids[0], ids[5])}}), ids[1:5]},
		{"a bare time is the shop's own, five hours behind", asc(url.Values{"modified_after": {second.Format("2006-01-02T15:04:05")}}), nil},
		{"unless it says otherwise", asc(url.Values{"modified_after": {second.Format("2006-01-02T15:04:05")}, "dates_are_gmt": {"true"}}), ids[3:]},
		{"which, said twice, is wrong: turned into the shop's time, and taken for UTC", asc(url.Values{"modified_after": {s.at.Add(time.Minute).Format(time.RFC3339)}, "dates_are_gmt": {"true"}}), ids},
		{"up to a second, without it", asc(url.Values{"modified_before": {second.Format("2006-01-02T15:04:05")}, "dates_are_gmt": {"true"}}), ids[:2]},
		{"the trash is another list", asc(url.Values{"status": {"trash"}}), nil},
	} {
		if diff := cmp.Diff(tc.want, listed(t, s.ask("GET", "orders", tc.query, ""))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
	w := s.ask("GET", "orders", asc(url.Values{"per_page": {"4"}}), "")
	if got := w.Header().Get("X-WP-Total") + "/" + w.Header().Get("X-WP-TotalPages"); got != "6/2" {
		t.Errorf("total %s, want 6/2", got)
	}
	// An object that changes between two pages makes them shift.
	first := listed(t, s.ask("GET", "orders", asc(url.Values{"per_page": {"3"}}), ""))
	if err := s.SetStatus(first[0], "completed"); err != nil {
		t.Fatal(err)
	}
	if second := listed(t, s.ask("GET", "orders", asc(url.Values{"per_page": {"3"}, "page": {"2"}}), "")); second[0] != ids[4] {
		t.Errorf("the second page begins with %d: the list did not shift", second[0])
	}
	if err := s.TrashOrder(ids[1]); err != nil {
		t.Fatal(err)
	}
	if got := listed(t, s.ask("GET", "orders", url.Values{"status": {"trash"}}, "")); len(got) != 1 || got[0] != ids[1] {
		t.Errorf("in the trash: %v", got)
	}
}

func TestRefusals(t *testing.T) {
	s := open(t, Config{})
	p := mug(s)
	id := s.sell(t, p.Variants[0], 1)
	many := `{"update":[` + strings.Repeat(`{"id":1},`, 100) + `{"id":1}]}`
	for want, w := range map[string]*httptest.ResponseRecorder{
		"400 rest_invalid_param":                                 s.ask("GET", "orders", url.Values{"per_page": {"101"}}, ""),
		"413 woocommerce_rest_request_entity_too_large":          s.ask("POST", "products/batch", nil, many),
		"404 rest_no_route":                                      s.ask("GET", "nowhere", nil, ""),
		"404 woocommerce_rest_shop_order_invalid_id":             s.ask("GET", "orders/4711", nil, ""),
		"404 woocommerce_rest_product_invalid_id":                s.ask("GET", "products/4711/variations", nil, ""),
		"400 rest_invalid_json":                                  s.ask("POST", "products/batch", nil, "{"),
		"500 woocommerce_rest_cannot_create_order_refund":        s.ask("POST", fmt.Sprintf("orders/%d/refunds", id), nil, `{"amount":"99.00"}`),
		"400 woocommerce_rest_shop_webhook_invalid_id":           s.ask("PUT", "webhooks/9", nil, `{}`),
		"400 woocommerce_rest_shop_webhook_invalid_delivery_url": s.ask("POST", "webhooks", nil, `{"topic":"order.created"}`),
		"404 rest_setting_setting_invalid":                       s.ask("GET", "settings/general/nothing", nil, ""),
		"400 rest_missing_callback_param":                        s.ask("POST", fmt.Sprintf("orders/%d/notes", id), nil, `{}`),
	} {
		if got := code(w); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := code(open(t, Config{NoVariationsList: true}).ask("GET", "variations", nil, "")); got != "404 rest_no_route" {
		t.Errorf("variations before 10.3: %s", got)
	}
	if got := code(open(t, Config{ReadOnly: true}).ask("POST", "products/batch", nil, `{}`)); got != "401 woocommerce_rest_authentication_error" {
		t.Errorf("a key that may only read: %s", got)
	}
	r := httptest.NewRequest("GET", root+"orders", nil)
	r.SetBasicAuth("ck_simulated", "wrong")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if code(w) != "401 woocommerce_rest_authentication_error" {
		t.Errorf("a wrong secret: %s", code(w))
	}
}

// Over plain HTTP a call is signed; its nonce works once, its time is about now.
func TestOAuth(t *testing.T) {
	s := open(t, Config{Home: "http://shop.example"})
	s.cfg.TLS = false
	call := func(change func(q url.Values), signed bool) string {
		q := url.Values{
			"page": {"1"}, "oauth_consumer_key": {"ck_simulated"}, "oauth_nonce": {"n1"}, "oauth_signature_method": {"HMAC-SHA256"},
			"oauth_timestamp": {strconv.FormatInt(s.at.Unix(), 10)},
		}
		if change != nil && signed {
			change(q)
		}
		q.Set("oauth_signature", s.signature("GET", "http://shop.example"+root+"orders", q))
		if change != nil && !signed {
			change(q)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("GET", root+"orders?"+q.Encode(), nil))
		var e struct{ Message string }
		_ = json.Unmarshal(w.Body.Bytes(), &e)
		return e.Message
	}
	set := func(name, value string) func(url.Values) {
		return func(q url.Values) { q.Set(name, value) }
	}
	if got := call(nil, true); got != "" {
		t.Errorf("a good one: %s", got)
	}
	for _, tc := range []struct {
		name   string
		change func(url.Values)
		signed bool
		want   string
	}{
		{"the nonce again", nil, true, "Invalid nonce"},
		{"a parameter changed", set("page", "2"), false, "Invalid signature"},
		{"an hour old", func(q url.Values) {
			q.Set("oauth_nonce", "n2")
			q.Set("oauth_timestamp", strconv.FormatInt(s.at.Unix()-3600, 10))
		}, true, "Invalid timestamp"},
		{"another key", set("oauth_consumer_key", "ck_other"), true, "Consumer key is invalid"},
		{"SHA1", set("oauth_signature_method", "HMAC-SHA1"), true, "Invalid signature"},
		{"no key", func(q url.Values) { q.Del("oauth_consumer_key") }, true, "Sorry, you cannot list"},
	} {
		if got := call(tc.change, tc.signed); !strings.HasPrefix(got, tc.want) {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

// Stock goes down once it is sold, back what a refund or a cancellation puts back, and never
// twice.
func TestStockFollowsOrders(t *testing.T) {
	s := open(t, Config{})
	p := mug(s)
	v := p.Variants[0]
	is := func(what string, want int64) {
		t.Helper()
		if got := s.Available(v); got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	id := s.sell(t, v, 4)
	is("sold", 6)
	o, _ := s.Order(id)
	refund := func(n int64, restock string) {
		t.Helper()
		if _, err := s.Refund(id, RefundSpec{Lines: []RefundLineSpec{{Line: o.Lines[0].ID, Quantity: n, Restock: restock}}}); err != nil {
			t.Fatal(err)
		}
	}
	refund(1, "return")
	is("one came back", 7)
	refund(1, "no_restock")
	is("one is gone", 7)
	if err := s.Cancel(id, "", true, time.Time{}); err != nil {
		t.Fatal(err)
	}
	is("cancelled", 10)
	if err := s.Cancel(id, "", true, time.Time{}); err == nil {
		t.Error("it was cancelled twice")
	}
	is("cancelled twice", 10)
	if err := s.SetStatus(id, "processing"); err != nil {
		t.Fatal(err)
	}
	is("taken up again", 7)
	pending, err := s.PlaceOrder(OrderSpec{Pending: true, Lines: []LineSpec{{Variant: v, Quantity: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	is("not paid yet", 7)
	if err := s.Pay(pending); err != nil {
		t.Fatal(err)
	}
	is("paid", 5)
	if err := s.RemoveUnits(pending, mustLine(t, s, pending), 1, time.Time{}); err != nil {
		t.Fatal(err)
	}
	is("one taken out", 6)
	if err := s.Fulfil(pending, FulfilSpec{Lines: []FulfilLineSpec{{1, 1}}}); err == nil {
		t.Error("a part was shipped")
	}
	// Nobody asks whether there is enough.
	s.sell(t, v, 20)
	is("oversold", -14)
}

func mustLine(t *testing.T, s *shop, id int64) int64 {
	t.Helper()
	o, ok := s.Order(id)
	if !ok || len(o.Lines) == 0 {
		t.Fatalf("order %d has no line", id)
	}
	return o.Lines[0].ID
}

// inbox is where webhooks arrive.
type inbox struct {
	mu     sync.Mutex
	status int
	gate   chan struct{} // when not nil, deliveries wait for it
	got    []http.Header
	bodies []string
}

func (in *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	in.mu.Lock()
	gate := in.gate
	in.mu.Unlock()
	if gate != nil {
		<-gate
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.got, in.bodies = append(in.got, r.Header), append(in.bodies, string(b))
	if in.status != 0 {
		w.WriteHeader(in.status)
	}
}

func (in *inbox) take(t *testing.T, s *shop) (headers []http.Header, bodies []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	headers, bodies = in.got, in.bodies
	in.got, in.bodies = nil, nil
	return headers, bodies
}

func TestWebhooks(t *testing.T) {
	in := &inbox{}
	server := httptest.NewServer(in)
	defer server.Close()
	s := open(t, Config{Workers: 1})
	p := mug(s)
	w := s.ask("POST", "webhooks", nil, `{"name":"n","topic":"order.updated","delivery_url":"`+server.URL+`","secret":"geheim"}`)
	if w.Code != http.StatusCreated || strings.Contains(w.Body.String(), "geheim") {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	headers, bodies := in.take(t, s)
	if len(bodies) != 1 || bodies[0] != "webhook_id=1" || headers[0].Get("X-WC-Webhook-Signature") != "" {
		t.Errorf("the ping: %v %v", headers, bodies)
	}
	id := s.sell(t, p.Variants[0], 1)
	headers, bodies = in.take(t, s)
	if len(bodies) != 1 || headers[0].Get("X-WC-Webhook-Signature") != bodySignature("geheim", []byte(bodies[0])) || headers[0].Get("X-WC-Webhook-Topic") != "order.updated" {
		t.Fatalf("got %v %v", headers, bodies)
	}
	if strings.Contains(bodies[0], "¤") || !strings.Contains(bodies[0], `\u00a4`) || !strings.Contains(bodies[0], `https:\/\/`) {
		t.Errorf("it is not escaped as PHP does: %s", bodies[0])
	}
	// Changes that come while a delivery waits go along with it, and it tells the last state.
	gate := make(chan struct{})
	in.mu.Lock()
	in.gate = gate
	in.mu.Unlock()
	other := s.sell(t, p.Variants[0], 1)
	for _, status := range []string{"on-hold", "processing", "completed"} {
		if err := s.SetStatus(id, status); err != nil {
			t.Fatal(err)
		}
	}
	close(gate)
	_, bodies = in.take(t, s)
	last := bodies[len(bodies)-1]
	if n := s.Stats().WebhooksFolded; n == 0 || !strings.Contains(last, `"status":"completed"`) {
		t.Errorf("%d folded, of %d deliveries the last says %s", n, len(bodies), last)
	}
	// Seven failures in a row, and it is off; nothing is sent again.
	in.mu.Lock()
	in.status, in.gate = http.StatusInternalServerError, nil
	in.mu.Unlock()
	for i := range 9 {
		if err := s.SetStatus(other, []string{"on-hold", "processing"}[i%2]); err != nil {
			t.Fatal(err)
		}
		_, bodies = in.take(t, s)
		if want := i < 7; (len(bodies) == 1) != want {
			t.Errorf("failure %d: %d deliveries", i+1, len(bodies))
		}
	}
	if got := s.Webhooks()[0]; got.Status != "disabled" || got.Failures != 7 || s.Subscriptions() != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestWebhookFaults(t *testing.T) {
	in := &inbox{}
	server := httptest.NewServer(in)
	defer server.Close()
	for _, tc := range []struct {
		name   string
		faults Faults
		want   int
	}{
		{"none", Faults{}, 1},
		{"dropped", Faults{Drop: 1}, 0},
		{"duplicated", Faults{Duplicate: 1, ReorderBy: time.Millisecond}, 2},
		{"late", Faults{Late: 1, LateBy: time.Millisecond}, 1},
		{"reordered", Faults{Reorder: 1, ReorderBy: time.Millisecond}, 1},
	} {
		s := open(t, Config{Faults: tc.faults})
		s.Subscribe(server.URL, "order.created")
		s.sell(t, mug(s).Variants[0], 1)
		headers, bodies := in.take(t, s)
		if len(bodies) != tc.want {
			t.Errorf("%s: %d deliveries, want %d", tc.name, len(bodies), tc.want)
		}
		if len(bodies) == 2 && (bodies[0] != bodies[1] || headers[0].Get("X-WC-Webhook-Delivery-ID") != headers[1].Get("X-WC-Webhook-Delivery-ID")) {
			t.Errorf("%s: the second is another one", tc.name)
		}
	}
}

func TestFaults(t *testing.T) {
	s := open(t, Config{})
	p := mug(s)
	write := fmt.Sprintf(`{"update":[{"id":%d,"manage_stock":true,"stock_quantity":3}]}`, p.ID)
	for _, tc := range []struct {
		name   string
		faults Faults
		want   int
		shows  int64
		text   string
	}{
		{"outage", Faults{Outage: true}, 503, 10, "<html>"},
		{"before", Faults{FailBefore: 1}, 503, 10, "<html>"},
		{"throttle", Faults{Throttle: 1}, 429, 10, "<html>"},
		{"a page", Faults{HTML: 1}, 200, 10, "<html>"},
		{"the log-in", Faults{Redirect: 1}, 302, 10, ""},
		{"refused inside", Faults{Refuse: 1}, 200, 10, "db_update_error"},
		{"after", Faults{FailAfter: 1}, 502, 3, "<html>"},
		{"none", Faults{}, 200, 3, `"stock_quantity":3`},
	} {
		s.SetFaults(tc.faults)
		w := s.ask("POST", "products/batch", nil, write)
		if w.Code != tc.want || s.Available(p.Variants[0]) != tc.shows || !strings.Contains(w.Body.String(), tc.text) {
			t.Errorf("%s: %d, shows %d; want %d, %d: %s", tc.name, w.Code, s.Available(p.Variants[0]), tc.want, tc.shows, w.Body)
		}
	}
	if st := s.Stats(); st.PushesAccepted != 1 || st.PushesRepeated != 1 || st.PushesRefused != 1 || st.FailedAfter != 1 || st.Throttled != 1 || st.Calls != 8 {
		t.Errorf("counted %+v", st)
	}
	if l := s.Ledger(); len(l) != 1 || l[0].Quantity != 3 {
		t.Errorf("ledger %v", l)
	}
}

// What is bought is counted to the cent: lines, discount, tax, fee and shipping make the total.
func TestOrderTotals(t *testing.T) {
	s := open(t, Config{})
	p := mug(s)
	id, err := s.PlaceOrder(OrderSpec{Delivery: "4.90", DiscountCode: "x", Discount: "1.01", TaxTitle: "T", TaxRate: "0.19", Fee: "-0.50", Lines: []LineSpec{
		{Variant: p.Variants[0], Quantity: 3}, {Title: "old", Price: "0.333", Quantity: 2},
	}})
	if err != nil {
		t.Fatal(err)
	}
	o, _ := s.Order(id)
	// 37.50 + 0.67 − 1.01 = 37.16; tax 6.94 + 0.12; − 0.50 + 4.90.
	if o.Subtotal != 3817 || o.Total != 3716+706-50+490 {
		t.Errorf("subtotal %d, total %d", o.Subtotal, o.Total)
	}
	for what, spec := range map[string]OrderSpec{
		"no lines": {}, "no such variant": {Lines: []LineSpec{{Variant: 99, Quantity: 1}}}, "no price": {Lines: []LineSpec{{Title: "x", Quantity: 1}}},
		"no units": {Lines: []LineSpec{{Variant: p.Variants[0]}}}, "a comma": {Delivery: "4,90", Lines: []LineSpec{{Variant: p.Variants[0], Quantity: 1}}},
	} {
		if _, err := s.PlaceOrder(spec); err == nil {
			t.Errorf("%s: it was placed", what)
		}
	}
	n := 0
	for range s.Orders() {
		n++
	}
	if n != 1 {
		t.Errorf("%d orders", n)
	}
}

// TestRefundsEndAtWhatWasPaid: the shop gives back what is left of what was paid, and no more.
func TestRefundsEndAtWhatWasPaid(t *testing.T) {
	s := open(t, Config{})
	p := mug(s)
	id, err := s.PlaceOrder(OrderSpec{Paid: true, Lines: []LineSpec{{Variant: p.Variants[0], Price: "5.00", Quantity: 4}}})
	if err != nil {
		t.Fatal(err)
	}
	o, _ := s.Order(id)
	give := func(units int64, amount string) error {
		_, err := s.Refund(id, RefundSpec{Lines: []RefundLineSpec{{Line: o.Lines[0].ID, Quantity: units, Restock: "cancel", Amount: amount}}})
		return err
	}
	if err := give(1, "12.00"); err != nil {
		t.Fatal(err)
	}
	if err := give(1, "8.01"); err == nil {
		t.Error("more was given back than was paid")
	}
	if err := give(1, "8.00"); err != nil {
		t.Error(err)
	}
	o, _ = s.Order(id)
	if len(o.Refunds) != 2 || o.Lines[0].Refunded != 2 || o.Status != "refunded" {
		t.Errorf("%+v", o)
	}
}
