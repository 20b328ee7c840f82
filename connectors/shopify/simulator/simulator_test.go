package simulator

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// call is one webhook as it arrived.
type call struct {
	header http.Header
	body   []byte
}

// hook receives webhooks; answer decides the status, nil = 200.
func hook(t testing.TB, answer func(n int) int) (address string, calls func() []call) {
	t.Helper()
	var mu sync.Mutex
	var got []call
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		got = append(got, call{r.Header, body})
		if answer != nil {
			w.WriteHeader(answer(len(got)))
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, func() []call {
		mu.Lock()
		defer mu.Unlock()
		return append([]call(nil), got...)
	}
}

func shop(t testing.TB, cfg Config) *Simulator {
	t.Helper()
	if cfg.AccessToken == "" {
		cfg.AccessToken = "token"
	}
	if cfg.RetryScale == 0 {
		cfg.RetryScale = 1e-6
	}
	s := New(cfg)
	t.Cleanup(s.Close)
	return s
}

func drain(t testing.TB, s *Simulator) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.Drain(ctx); err != nil {
		t.Fatal(err)
	}
}

// ask sends a document and decodes the answer.
func ask(t testing.TB, s *Simulator, query string, vars map[string]any) (status int, answer map[string]any) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": vars})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/admin/api/2026-10/graphql.json", strings.NewReader(string(body)))
	r.Header.Set("X-Shopify-Access-Token", "token")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil && w.Code == http.StatusOK {
		t.Fatalf("the answer is no JSON: %v\n%s", err, w.Body)
	}
	return w.Code, answer
}

// dig walks into an answer.
func dig(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

func mug(s *Simulator, available int64) (variant, item int64) {
	p := s.AddProduct(ProductSpec{Title: "Mug", Variants: []VariantSpec{{SKU: "MUG", Price: "3.39", Tracked: true, Available: available}}})
	return p.Variants[0], p.Items[0]
}

func TestRetriesCarryTheFirstPayloadAndTheSameID(t *testing.T) {
	// Every first attempt fails.
	seen := map[string]int{}
	var mu sync.Mutex
	var bodies [][]byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		id := r.Header.Get("X-Shopify-Webhook-Id")
		if seen[id]++; seen[id] <= 3 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		bodies = append(bodies, body)
	}))
	defer server.Close()
	s := shop(t, Config{})
	v, _ := mug(s, 10)
	s.Subscribe(server.URL, "orders/create")
	id, err := s.PlaceOrder(OrderSpec{Lines: []LineSpec{{Variant: v, Quantity: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.EditOrder(id, []LineSpec{{Variant: v, Quantity: 2}}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	drain(t, s)
	if len(bodies) != 1 || strings.Count(string(bodies[0]), `"current_quantity"`) != 1 {
		t.Errorf("got %d bodies; the retry must carry the order as it was first: %s", len(bodies), bodies)
	}
	if got := s.Stats(); got.WebhooksRetried != 3 || got.WebhooksDelivered != 1 || got.WebhooksGivenUp != 0 {
		t.Errorf("stats %+v", got)
	}
}

func TestEightRetriesAndTheSubscriptionIsGone(t *testing.T) {
	address, calls := hook(t, func(int) int { return http.StatusInternalServerError })
	s := shop(t, Config{})
	v, _ := mug(s, 10)
	s.Subscribe(address, "orders/create")
	if _, err := s.PlaceOrder(OrderSpec{Lines: []LineSpec{{Variant: v, Quantity: 1}}}); err != nil {
		t.Fatal(err)
	}
	drain(t, s)
	if got := len(calls()); got != 9 {
		t.Errorf("%d attempts, want 1 and 8 retries", got)
	}
	if got := s.Subscriptions(); got != 0 {
		t.Errorf("%d subscriptions are left", got)
	}
}

func TestSignatureAndHeaders(t *testing.T) {
	address, calls := hook(t, nil)
	s := shop(t, Config{ClientSecret: "s3cret"})
	v, _ := mug(s, 10)
	s.Subscribe(address, "orders/create")
	if _, err := s.PlaceOrder(OrderSpec{Lines: []LineSpec{{Variant: v, Quantity: 1}}}); err != nil {
		t.Fatal(err)
	}
	drain(t, s)
	c := calls()[0]
	mac := hmac.New(sha256.New, []byte("s3cret"))
	mac.Write(c.body)
	if got, want := c.header.Get("X-Shopify-Hmac-Sha256"), base64.StdEncoding.EncodeToString(mac.Sum(nil)); got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
	for _, name := range []string{"Topic", "Shop-Domain", "API-Version", "Webhook-Id", "Event-Id", "Triggered-At"} {
		if c.header.Get("X-Shopify-"+name) == "" {
			t.Errorf("X-Shopify-%s is missing", name)
		}
	}
	if !json.Valid(c.body) {
		t.Errorf("the body is no JSON: %s", c.body)
	}
}

func TestFaultsOnWebhooks(t *testing.T) {
	address, calls := hook(t, nil)
	s := shop(t, Config{Seed: 7, Faults: Faults{Duplicate: 0.2, Drop: 0.2, Reorder: 0.3, ReorderBy: 10 * time.Millisecond}})
	v, _ := mug(s, 10_000)
	s.Subscribe(address, "orders/create")
	const n = 300
	for range n {
		if _, err := s.PlaceOrder(OrderSpec{Lines: []LineSpec{{Variant: v, Quantity: 1}}}); err != nil {
			t.Fatal(err)
		}
	}
	drain(t, s)
	st := s.Stats()
	if st.WebhooksSent != n || st.WebhooksDropped == 0 || st.WebhooksDuplicated == 0 || st.WebhooksReordered == 0 {
		t.Errorf("stats %+v", st)
	}
	if got, want := int64(len(calls())), n-st.WebhooksDropped+st.WebhooksDuplicated; got != want || st.WebhooksDelivered != want {
		t.Errorf("%d arrived, %d delivered, want %d", got, st.WebhooksDelivered, want)
	}
	again := shop(t, Config{Seed: 7, Faults: Faults{Duplicate: 0.2, Drop: 0.2, Reorder: 0.3, ReorderBy: 10 * time.Millisecond}})
	w, _ := mug(again, 10_000)
	again.Subscribe(address, "orders/create")
	for range n {
		if _, err := again.PlaceOrder(OrderSpec{Lines: []LineSpec{{Variant: w, Quantity: 1}}}); err != nil {
			t.Fatal(err)
		}
	}
	drain(t, again)
	if a := again.Stats(); a.WebhooksDropped != st.WebhooksDropped || a.WebhooksDuplicated != st.WebhooksDuplicated {
		t.Errorf("the same seed did otherwise: %+v, %+v", a, st)
	}
}

func TestStockFollowsOrders(t *testing.T) {
	s := shop(t, Config{})
	v, _ := mug(s, 10)
	id, err := s.PlaceOrder(OrderSpec{Lines: []LineSpec{{Variant: v, Quantity: 4}}})
	if err != nil {
		t.Fatal(err)
	}
	o, _ := s.Order(id)
	steps := []struct {
		name string
		do   func() error
		want int64
	}{
		{"placed", func() error { return nil }, 6},
		{"edited", func() error { return s.EditOrder(id, []LineSpec{{Variant: v, Quantity: 1}}, time.Time{}) }, 5},
		{"refund without restock", func() error {
			_, err := s.Refund(id, RefundSpec{Lines: []RefundLineSpec{{Line: o.Lines[0].ID, Quantity: 1}}})
			return err
		}, 5},
		{"return", func() error {
			_, err := s.Refund(id, RefundSpec{Lines: []RefundLineSpec{{Line: o.Lines[0].ID, Quantity: 1, Restock: "return"}}})
			return err
		}, 6},
		{"units removed", func() error { return s.RemoveUnits(id, o.Lines[0].ID, 1, time.Time{}) }, 7},
		{"cancelled", func() error { return s.Cancel(id, "", true, time.Time{}) }, 9},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got := s.Available(v); got != step.want {
			t.Errorf("%s: %d available, want %d", step.name, got, step.want)
		}
	}
	if _, err := s.Refund(id, RefundSpec{Lines: []RefundLineSpec{{Line: o.Lines[0].ID, Quantity: 9}}}); err == nil {
		t.Error("more was refunded than was bought")
	}
}

const setDoc = `mutation($input: InventorySetQuantitiesInput!, $key: String!) {
	inventorySetQuantities(input: $input) @idempotent(key: $key) { inventoryAdjustmentGroup { id } userErrors { code field message } } }`

func set(item, quantity int64, expected any) map[string]any {
	return map[string]any{"name": "available", "reason": "correction", "quantities": []any{map[string]any{
		"inventoryItemId": fmt.Sprintf("gid://shopify/InventoryItem/%d", item), "locationId": "gid://shopify/Location/905684977",
		"quantity": quantity, "changeFromQuantity": expected,
	}}}
}

func TestSetQuantities(t *testing.T) {
	s := shop(t, Config{})
	v, item := mug(s, 10)
	for _, tc := range []struct {
		name  string
		key   string
		input map[string]any
		code  any
		shown int64
	}{
		{"without comparing", "a", set(item, 7, nil), nil, 7},
		{"the same key again", "a", set(item, 7, nil), nil, 7},
		{"the key with something else", "a", set(item, 8, nil), "IDEMPOTENCY_KEY_PARAMETER_MISMATCH", 7},
		{"stale", "b", set(item, 5, 9), "CHANGE_FROM_QUANTITY_STALE", 7},
		{"the failed key again", "b", set(item, 5, 9), "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", 7},
		{"compared", "c", set(item, 5, 7), nil, 5},
		{"negative", "d", set(item, -1, nil), "INVALID_QUANTITY_NEGATIVE", 5},
		{"unknown item", "e", set(12, 1, nil), "INVALID_INVENTORY_ITEM", 5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, answer := ask(t, s, setDoc, map[string]any{"input": tc.input, "key": tc.key})
			if got := dig(answer, "data", "inventorySetQuantities", "userErrors", 0, "code"); got != tc.code {
				t.Errorf("code %v, want %v: %v", got, tc.code, answer)
			}
			if got := s.Available(v); got != tc.shown {
				t.Errorf("%d available, want %d", got, tc.shown)
			}
		})
	}
	without := set(item, 1, nil)
	delete(without["quantities"].([]any)[0].(map[string]any), "changeFromQuantity")
	if _, answer := ask(t, s, setDoc, map[string]any{"input": without, "key": "f"}); dig(answer, "errors", 0, "message") == nil {
		t.Errorf("changeFromQuantity was left out and nobody minded: %v", answer)
	}
	if _, answer := ask(t, s, strings.Replace(setDoc, "@idempotent(key: $key)", "", 1), map[string]any{"input": set(item, 1, nil), "key": "g"}); dig(answer, "errors", 0, "message") == nil {
		t.Errorf("there was no idempotency key and nobody minded: %v", answer)
	}
}

func TestCostBucket(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	s := shop(t, Config{Now: func() time.Time { return at }, MaximumAvailable: 100, RestoreRate: 50})
	const query = `{ orders(first: 50, sortKey: UPDATED_AT) { nodes { id } } }`
	if _, answer := ask(t, s, query, nil); dig(answer, "extensions", "cost", "requestedQueryCost") != 52.0 || dig(answer, "extensions", "cost", "actualQueryCost") != 2.0 {
		t.Errorf("cost: %v", answer)
	}
	const dear = `{ orders(first: 250, sortKey: UPDATED_AT) { nodes { lineItems(first: 10) { nodes { id } } } } }`
	if _, answer := ask(t, s, dear, nil); dig(answer, "errors", 0, "extensions", "code") != "MAX_COST_EXCEEDED" {
		t.Errorf("the limit of one query: %v", answer)
	}
	for range 60 {
		ask(t, s, query, nil)
	}
	_, answer := ask(t, s, query, nil)
	if dig(answer, "errors", 0, "extensions", "code") != "THROTTLED" || answer["data"] != nil {
		t.Errorf("the bucket is empty: %v", answer)
	}
	at = at.Add(time.Second)
	if _, answer := ask(t, s, query, nil); answer["data"] == nil {
		t.Errorf("a second later: %v", answer)
	}
	if _, answer := ask(t, s, `{ orders(first: 251, sortKey: UPDATED_AT) { nodes { id } } }`, nil); answer["data"] != nil {
		t.Errorf("first: 251 was taken: %v", answer)
	}
	if _, answer := ask(t, s, `{ shop { noSuchField } }`, nil); answer["data"] != nil {
		t.Errorf("an unknown field was taken: %v", answer)
	}
}

func TestFaultsOnCalls(t *testing.T) {
	s := shop(t, Config{})
	v, item := mug(s, 10)
	s.SetFaults(Faults{FailAfter: 1})
	if status, _ := ask(t, s, setDoc, map[string]any{"input": set(item, 3, nil), "key": "a"}); status != http.StatusBadGateway || s.Available(v) != 3 {
		t.Errorf("fail after: status %d, %d available", status, s.Available(v))
	}
	s.SetFaults(Faults{FailBefore: 1})
	if status, _ := ask(t, s, setDoc, map[string]any{"input": set(item, 4, nil), "key": "b"}); status != http.StatusServiceUnavailable || s.Available(v) != 3 {
		t.Errorf("fail before: status %d, %d available", status, s.Available(v))
	}
	s.SetFaults(Faults{Outage: true})
	if status, _ := ask(t, s, setDoc, nil); status != http.StatusServiceUnavailable {
		t.Errorf("outage: status %d", status)
	}
	s.SetFaults(Faults{Refuse: 1})
	if status, answer := ask(t, s, setDoc, map[string]any{"input": set(item, 5, nil), "key": "c"}); status != http.StatusOK || dig(answer, "data", "inventorySetQuantities", "userErrors", 0, "code") == nil || s.Available(v) != 3 {
		t.Errorf("200 but failed: status %d, %v, %d available", status, answer, s.Available(v))
	}
}

// BenchmarkYear is a tenth of the wholesaler's year: 2,500 orders of 22 lines, one of them
// of 1,114, delivered as webhooks. It reports the time for each order.
func BenchmarkYear(b *testing.B) {
	var bytes atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		bytes.Add(n)
	}))
	defer server.Close()
	const orders = 2500
	for b.Loop() {
		s := New(Config{Lean: true})
		s.Subscribe(server.URL, Topics()...)
		var variants []int64
		for i := range 4000 {
			p := s.AddProduct(ProductSpec{Title: fmt.Sprintf("Product %d of the wholesaler", i), Variants: []VariantSpec{{SKU: fmt.Sprintf("SKU%d", i), Price: "2.55", Tracked: true, Available: 1_000_000}}})
			variants = append(variants, p.Variants[0])
		}
		for i := range orders {
			n := 1 + i*7%43
			if i == 5 {
				n = 1114
			}
			lines := make([]LineSpec, n)
			for j := range lines {
				lines[j] = LineSpec{Variant: variants[(i*31+j*17)%len(variants)], Quantity: int64(j%12 + 1), Price: "2.10"}
			}
			if _, err := s.PlaceOrder(OrderSpec{Name: fmt.Sprint(536365 + i), At: time.Unix(1291190760, 0), Lines: lines}); err != nil {
				b.Fatal(err)
			}
		}
		drain(b, s)
		s.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/orders, "ns/order")
	b.ReportMetric(float64(bytes.Load())/float64(b.N)/orders, "B/order")
}
