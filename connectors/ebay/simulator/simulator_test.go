package simulator

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// account is a simulator behind a server, with a token of the seller.
type account struct {
	*Simulator
	t     *testing.T
	url   string
	token string
	mu    sync.Mutex
	now   time.Time
}

func start(t *testing.T, cfg Config) *account {
	t.Helper()
	a := &account{t: t, now: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)}
	cfg.Now = func() time.Time { a.mu.Lock(); defer a.mu.Unlock(); return a.now }
	a.Simulator = New(cfg)
	server := httptest.NewServer(a.Simulator)
	t.Cleanup(func() { a.Close(); server.Close(); http.DefaultClient.CloseIdleConnections() })
	a.url = server.URL
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, a.url+"/identity/v1/oauth2/token",
		strings.NewReader(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"simulated-refresh"}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("simulated-app", "simulated-secret")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var answer struct {
		Token string `json:"access_token"`
	}
	a.do(req, &answer)
	a.token = answer.Token
	return a
}

func (a *account) add(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = a.now.Add(d)
}

func (a *account) do(req *http.Request, into any) int {
	a.t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	if into != nil && len(body) > 0 {
		if err := json.Unmarshal(body, into); err != nil {
			a.t.Fatalf("%s: %v", body, err)
		}
	}
	return resp.StatusCode
}

func (a *account) call(method, path, body string, into any) int {
	a.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, a.url+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("Content-Type", "application/json")
	return a.do(req, into)
}

func (a *account) list() Product {
	return a.AddProduct(ProductSpec{Title: "Mug", Variants: []VariantSpec{{SKU: "R", Title: "red", Price: "3.39", Available: 5}, {SKU: "G", Title: "green", Price: "3.39", Available: 5}}})
}

func (a *account) buy(sku string, units int64) string {
	a.t.Helper()
	id, err := a.PlaceOrder(OrderSpec{Lines: []LineSpec{{Variant: sku, Quantity: units}}, Paid: true})
	if err != nil {
		a.t.Fatal(err)
	}
	return id
}

// found is the ids of a page of orders, and how many there are.
func (a *account) found(query string) (ids []string, total int, status int) {
	a.t.Helper()
	var page struct {
		Total  int `json:"total"`
		Orders []struct {
			ID string `json:"orderId"`
		} `json:"orders"`
	}
	status = a.call(http.MethodGet, "/sell/fulfillment/v1/order?"+query, "", &page)
	for _, o := range page.Orders {
		ids = append(ids, o.ID)
	}
	return ids, page.Total, status
}

// TestWindows: both ends belong to a window, to the millisecond; the future is refused.
func TestWindows(t *testing.T) {
	a := start(t, Config{})
	a.list()
	one := a.buy("R", 1)
	a.add(time.Millisecond)
	two := a.buy("R", 1)
	a.add(time.Hour)
	for _, tt := range []struct {
		filter string
		want   []string
		status int
	}{
		{"2026-11-02T09:00:00.000Z..2026-11-02T09:00:00.000Z", []string{one}, 200},
		{"2026-11-02T09:00:00.000Z..2026-11-02T09:00:00.001Z", []string{one, two}, 200},
		{"2026-11-02T09:00:00.001Z..", []string{two}, 200},
		{"2026-11-02T09:00:00.002Z..", nil, 200},
		{"2026-11-02T09:00:00.000Z..2026-11-02T10:00:01.000Z", nil, 400},
		{"2026-11-02T10:00:00.000Z..2026-11-02T09:00:00.000Z", nil, 400},
		{"2024-10-02T10:00:00.000Z..2026-11-02T09:00:00.000Z", nil, 400},
		{"yesterday..", nil, 400},
	} {
		got, _, status := a.found("filter=" + url.QueryEscape("lastmodifieddate:["+tt.filter+"]"))
		if diff := cmp.Diff(tt.want, got); diff != "" || status != tt.status {
			t.Errorf("%s: %d, %s", tt.filter, status, diff)
		}
	}
	for _, q := range []string{"limit=201", "limit=0", "offset=-1", "limit=x"} {
		if _, _, status := a.found(q); status != 400 {
			t.Errorf("%s: %d, want 400", q, status)
		}
	}
}

// TestPagesDrift: an order that changes leaves the window, and who counts pages steps over
// another one. That is how eBay is; a reader has to know.
func TestPagesDrift(t *testing.T) {
	a := start(t, Config{})
	a.list()
	ids := []string{a.buy("R", 1), a.buy("R", 1), a.buy("R", 1)}
	window := "filter=" + url.QueryEscape("lastmodifieddate:[2026-11-02T09:00:00.000Z..2026-11-02T09:00:00.000Z]")
	a.add(time.Second)
	first, total, _ := a.found(window + "&limit=1&offset=0")
	if err := a.Fulfil(ids[0], FulfilSpec{}); err != nil {
		t.Fatal(err)
	}
	second, after, _ := a.found(window + "&limit=1&offset=1")
	if len(first) != 1 || len(second) != 1 || first[0] != ids[0] || second[0] != ids[2] || total != 3 || after != 2 {
		t.Errorf("pages %v of %d and %v of %d: the second order should have been stepped over", first, total, second, after)
	}
}

// TestStockIsTheLowerOne: of item and offer, and both go down with a sale.
func TestStockIsTheLowerOne(t *testing.T) {
	a := start(t, Config{})
	a.list()
	offer := a.bySKU["R"].offer
	update := func(body string) int {
		return a.call(http.MethodPost, "/sell/inventory/v1/bulk_update_price_quantity", body, nil)
	}
	for _, tt := range []struct {
		body   string
		status int
		want   int64
	}{
		{`{"requests":[{"sku":"R","shipToLocationAvailability":{"quantity":9}}]}`, 200, 5},
		{fmt.Sprintf(`{"requests":[{"sku":"R","offers":[{"offerId":%q,"availableQuantity":20}]}]}`, offer), 200, 9},
		{`{"requests":[{"sku":"R","offers":[{"offerId":"no","availableQuantity":1}]}]}`, 207, 9},
		{`{"requests":[{"sku":"none","shipToLocationAvailability":{"quantity":1}}]}`, 207, 9},
		{`{"requests":[]}`, 400, 9},
	} {
		if status := update(tt.body); status != tt.status || a.Available("R") != tt.want {
			t.Errorf("%s: %d, shows %d, want %d and %d", tt.body, status, a.Available("R"), tt.status, tt.want)
		}
	}
	a.buy("R", 2)
	if got := a.Available("R"); got != 7 {
		t.Errorf("shows %d after a sale, want 7", got)
	}
	if w := a.Writes(); len(w) != 0 {
		t.Errorf("ledger %v: the item's quantity alone did not change what is shown", w)
	}
}

// TestOversoldShowsNothing: what the account owes to buyers who were faster than eBay is told
// nowhere, neither by the API nor to whoever compares with it.
func TestOversoldShowsNothing(t *testing.T) {
	a := start(t, Config{})
	a.list()
	a.buy("R", 2)
	a.buy("R", 4)
	if got := a.Available("R"); got != 0 {
		t.Errorf("shows %d, want 0", got)
	}
	for l := range a.Listings() {
		if l.SKU == "R" && l.Available != 0 {
			t.Errorf("is listed with %d, want 0", l.Available)
		}
	}
}

// TestRevisionsAreShared: variants of one listing use up the same revisions.
func TestRevisionsAreShared(t *testing.T) {
	a := start(t, Config{Revisions: 2})
	a.list()
	push := func(sku string) int {
		return a.call(http.MethodPost, "/sell/inventory/v1/bulk_update_price_quantity", `{"requests":[{"sku":"`+sku+`","shipToLocationAvailability":{"quantity":1}}]}`, nil)
	}
	if got := []int{push("R"), push("G"), push("R")}; !cmp.Equal(got, []int{200, 200, 207}) {
		t.Errorf("got %v", got)
	}
	a.add(24 * time.Hour)
	if !a.reviseNow("R") {
		t.Error("no revision on the next day")
	}
}

func (a *account) reviseNow(sku string) bool {
	a.Simulator.mu.Lock()
	defer a.Simulator.mu.Unlock()
	return a.revise(a.bySKU[sku])
}

// TestRefundsAreAsynchronous: pending first, and a change of the order when done.
func TestRefundsAreAsynchronous(t *testing.T) {
	a := start(t, Config{RefundDelay: time.Minute})
	a.list()
	id := a.buy("R", 2)
	before, _ := a.Order(id)
	if _, err := a.Refund(id, RefundSpec{Amount: "1.00", Pending: true}); err != nil {
		t.Fatal(err)
	}
	if o, _ := a.Order(id); o.Refunds[0].Done {
		t.Error("done at once")
	}
	a.add(time.Minute)
	a.found("limit=1")
	after, _ := a.Order(id)
	if !after.Refunds[0].Done || !after.Updated.After(before.Updated) {
		t.Errorf("after a minute: %+v", after)
	}
	if _, err := a.Refund(id, RefundSpec{Amount: "100.00"}); err == nil {
		t.Error("more was refunded than was paid")
	}
}

// TestNotAllowed: tokens, scopes and quotas are enforced.
func TestNotAllowed(t *testing.T) {
	a := start(t, Config{Scopes: []string{"sell.inventory"}, Quota: map[string]int64{"inventory": 2}})
	if _, _, status := a.found("limit=1"); status != 403 {
		t.Errorf("without the scope: %d", status)
	}
	items := func() int { return a.call(http.MethodGet, "/sell/inventory/v1/inventory_item", "", nil) }
	if got := []int{items(), items(), items()}; !cmp.Equal(got, []int{200, 200, 429}) {
		t.Errorf("got %v", got)
	}
	a.RevokeTokens()
	if got := items(); got != 401 {
		t.Errorf("with a revoked token: %d", got)
	}
}

// TestWhatCannotBeDone: the verbs refuse what a marketplace refuses.
func TestWhatCannotBeDone(t *testing.T) {
	a := start(t, Config{})
	p := a.list()
	id := a.buy("R", 1)
	for name, err := range map[string]error{
		"pay twice":     a.Pay(id),
		"ship too much": a.Fulfil(id, FulfilSpec{Lines: []FulfilLineSpec{{"x", 1}}}),
		"no order":      a.Cancel("none", "", false, time.Time{}),
		"no stock":      a.SetStock("none", 1),
		"no listing":    a.UpdateProduct("none", "x", "1.00"),
	} {
		if err == nil {
			t.Errorf("%s: was done", name)
		}
	}
	if err := a.Fulfil(id, FulfilSpec{}); err != nil {
		t.Fatal(err)
	}
	if err := a.Cancel(id, "", true, time.Time{}); err == nil {
		t.Error("a shipped order was cancelled")
	}
	if err := a.DeleteProduct(p.ID); err != nil {
		t.Fatal(err)
	}
	n := 0
	for range a.Listings() {
		n++
	}
	if _, err := a.PlaceOrder(OrderSpec{Lines: []LineSpec{{Variant: "R", Quantity: 1}}}); err == nil || n != 0 {
		t.Errorf("a listing that is gone was bought, %d are left", n)
	}
	total := 0
	for range a.Orders() {
		total++
	}
	if total != 1 {
		t.Errorf("%d orders, want 1", total)
	}
}

// TestWebhookFaults: dropped, doubled, retried.
func TestWebhookFaults(t *testing.T) {
	for name, tt := range map[string]struct {
		faults Faults
		fail   int
		want   int
	}{
		"none":      {Faults{}, 0, 1},
		"drop":      {Faults{Drop: 1}, 0, 0},
		"duplicate": {Faults{Duplicate: 1, ReorderBy: time.Millisecond}, 0, 2},
		"late":      {Faults{Late: 1, LateBy: time.Millisecond}, 0, 1},
		"retried":   {Faults{}, 3, 1},
		"given up":  {Faults{}, 100, 0},
	} {
		t.Run(name, func(t *testing.T) {
			a := start(t, Config{Faults: tt.faults, RetryScale: 1e-9})
			a.list()
			var mu sync.Mutex
			got, fails := 0, tt.fail
			hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				if fails > 0 {
					fails--
					w.WriteHeader(http.StatusInternalServerError)
					return
				}
				if r.Header.Get("X-Ebay-Signature") != "" {
					got++
				}
			}))
			t.Cleanup(hook.Close)
			a.Subscribe(hook.URL, "ORDER_CONFIRMATION")
			a.buy("R", 1)
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if err := a.Drain(ctx); err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if got != tt.want || a.Pending() != 0 {
				t.Errorf("%d deliveries, want %d; stats %+v", got, tt.want, a.Stats())
			}
		})
	}
}
