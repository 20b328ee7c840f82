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
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// account is a simulator with a clock and a token.
type account struct {
	*Simulator
	t     *testing.T
	now   time.Time
	token string
}

func newAccount(t *testing.T, cfg Config) *account {
	t.Helper()
	a := &account{t: t, now: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)}
	cfg.Now = func() time.Time { return a.now }
	a.Simulator = New(cfg)
	a.token = a.login(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {a.Config().RefreshToken}})
	a.AddProduct(ProductSpec{Title: "Mug", Variants: []VariantSpec{{SKU: "M", Price: "2.50", Available: 10}, {SKU: "F", Price: "2.50", FBA: true, Available: 4}}})
	return a
}

func (a *account) login(form url.Values) string {
	a.t.Helper()
	form.Set("client_id", a.Config().ClientID)
	form.Set("client_secret", a.Config().ClientSecret)
	rec := httptest.NewRecorder()
	a.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/auth/o2/token", strings.NewReader(form.Encode())))
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
		a.t.Fatal(err)
	}
	return answer.Token
}

// call asks, and returns the code and the answer.
func (a *account) call(method, path, body string) (int, map[string]any) {
	a.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("X-Amz-Access-Token", a.token)
	rec := httptest.NewRecorder()
	a.ServeHTTP(rec, r)
	var answer map[string]any
	if rec.Body.Len() > 0 {
		if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
			a.t.Fatalf("%s %s: %v: %s", method, path, err, rec.Body)
		}
	}
	return rec.Code, answer
}

func (a *account) order(sku string, units int64) string {
	a.t.Helper()
	id, err := a.PlaceOrder(OrderSpec{Paid: true, Lines: []LineSpec{{SKU: sku, Quantity: units}}})
	if err != nil {
		a.t.Fatal(err)
	}
	return id
}

const search = "/orders/2026-01-01/orders?maxResultsPerPage=2&lastUpdatedAfter=2026-11-01T00:00:00Z"

// TestTwoMinutes: what changed in the last two minutes is not in the list, and can be read.
func TestTwoMinutes(t *testing.T) {
	a := newAccount(t, Config{})
	id := a.order("M", 1)
	count := func() int {
		_, answer := a.call(http.MethodGet, search, "")
		return len(answer["orders"].([]any))
	}
	a.now = a.now.Add(time.Minute)
	if code, _ := a.call(http.MethodGet, "/orders/2026-01-01/orders/"+id, ""); count() != 0 || code != http.StatusOK {
		t.Errorf("after a minute: %d in the list, by id %d, want none and 200", count(), code)
	}
	a.now = a.now.Add(time.Minute)
	if got := count(); got != 1 {
		t.Errorf("after two minutes: %d in the list, want 1", got)
	}
	code, _ := a.call(http.MethodGet, search+"&lastUpdatedBefore="+a.now.Add(-time.Minute).Format(time.RFC3339), "")
	if code != http.StatusBadRequest {
		t.Errorf("lastUpdatedBefore of a minute ago: %d, want 400", code)
	}
}

// TestPages: a list stays what it was when it was begun; its tokens die and belong to it.
func TestPages(t *testing.T) {
	for _, drift := range []bool{false, true} {
		a := newAccount(t, Config{Faults: Faults{PageDrift: drift}})
		var ids []string
		for range 3 {
			ids = append(ids, a.order("M", 1))
		}
		a.now = a.now.Add(5 * time.Minute)
		_, answer := a.call(http.MethodGet, search, "")
		token := answer["pagination"].(map[string]any)["nextToken"].(string)
		if err := a.Fulfil(ids[0], FulfilSpec{}); err != nil { // it leaves the list
			t.Fatal(err)
		}
		code, answer := a.call(http.MethodGet, search+"&paginationToken="+token, "")
		want := 1
		if drift {
			want = 0 // stepped over
		}
		if got := len(answer["orders"].([]any)); got != want || code != http.StatusOK {
			t.Errorf("drift %v: the second page has %d orders, %d, want %d", drift, got, code, want)
		}
		if code, _ := a.call(http.MethodGet, strings.Replace(search, "=2&", "=3&", 1)+"&paginationToken="+token, ""); code != http.StatusBadRequest {
			t.Errorf("a token of another query: %d, want 400", code)
		}
		a.now = a.now.Add(25 * time.Hour)
		a.token = a.login(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {a.Config().RefreshToken}})
		if code, _ := a.call(http.MethodGet, search+"&paginationToken="+token, ""); code != http.StatusBadRequest {
			t.Errorf("a token of yesterday: %d, want 400", code)
		}
	}
}

// TestTokens: a grantless operation wants a grantless token, and none lives longer than told.
func TestTokens(t *testing.T) {
	a := newAccount(t, Config{})
	if code, _ := a.call(http.MethodGet, "/notifications/v1/destinations", ""); code != http.StatusForbidden {
		t.Errorf("a grantless operation with the seller's token: %d, want 403", code)
	}
	seller := a.token
	a.token = a.login(url.Values{"grant_type": {"client_credentials"}, "scope": {"sellingpartnerapi::notifications"}})
	if code, _ := a.call(http.MethodGet, "/notifications/v1/destinations", ""); code != http.StatusOK {
		t.Errorf("with a grantless token: %d, want 200", code)
	}
	if code, _ := a.call(http.MethodGet, search, ""); code != http.StatusForbidden {
		t.Errorf("orders with a grantless token: %d, want 403", code)
	}
	a.token = seller
	a.now = a.now.Add(time.Hour)
	if code, answer := a.call(http.MethodGet, search, ""); code != http.StatusForbidden || !strings.Contains(fmt.Sprint(answer), "expired") {
		t.Errorf("after an hour: %d %v, want 403 and expired", code, answer)
	}
}

// TestLimits: a bucket of 20, and one more after three minutes.
func TestLimits(t *testing.T) {
	a := newAccount(t, Config{Limits: true})
	codes := map[int]int{}
	for range 25 {
		code, _ := a.call(http.MethodGet, search, "")
		codes[code]++
	}
	if codes[200] != 20 || codes[429] != 5 || a.Stats().Throttled != 5 {
		t.Errorf("25 calls: %v, want 20 and five times 429", codes)
	}
	a.now = a.now.Add(181 * time.Second)
	if code, _ := a.call(http.MethodGet, search, ""); code != http.StatusOK {
		t.Errorf("three minutes later: %d, want 200", code)
	}
}

// TestStock: an order takes from the shelf it lies on, a cancellation puts back, and a
// submission is applied when it is due.
func TestStock(t *testing.T) {
	a := newAccount(t, Config{ApplyAfter: time.Minute})
	id := a.order("M", 3)
	a.order("F", 1)
	if a.Available("M") != 7 || a.Available("F") != 3 {
		t.Errorf("after two orders: %d and %d, want 7 and 3", a.Available("M"), a.Available("F"))
	}
	if err := a.Cancel(id, "", true, time.Time{}); err != nil || a.Available("M") != 10 {
		t.Errorf("after a cancellation: %v, %d, want 10", err, a.Available("M"))
	}
	patch := func(sku, channel string, quantity int) map[string]any {
		_, answer := a.call(http.MethodPatch, "/listings/2021-08-01/items/A1SIMULATED0/"+sku+"?marketplaceIds=A1F83G8C2ARO7P",
			fmt.Sprintf(`{"productType":"HOME","patches":[{"op":"merge","path":"/attributes/fulfillment_availability","value":[{"fulfillment_channel_code":%q,"quantity":%d}]}]}`, channel, quantity))
		return answer
	}
	if got := patch("M", "DEFAULT", 5)["status"]; got != "ACCEPTED" || a.Available("M") != 10 {
		t.Errorf("a submission: %v, and it shows %d, want ACCEPTED and 10 for now", got, a.Available("M"))
	}
	a.now = a.now.Add(time.Minute)
	if a.Available("M") != 5 {
		t.Errorf("a minute later it shows %d, want 5", a.Available("M"))
	}
	if got := patch("M", "DEFAULT", -1)["status"]; got != "INVALID" {
		t.Errorf("a quantity below zero: %v, want INVALID", got)
	}
	// What the connector has to keep from happening.
	patch("F", "DEFAULT", 5)
	for l := range a.Listings() {
		if l.SKU == "F" && l.FBA {
			t.Error("a merchant's quantity left the listing in Amazon's warehouse")
		}
	}
	if w := a.Writes(); len(w) != 2 || w[0].SKU != "M" || w[0].Quantity != 5 {
		t.Errorf("the ledger says %v", w)
	}
}

// TestOrdersGoTheirWay: from pending to shipped, and what is refused on it.
func TestOrdersGoTheirWay(t *testing.T) {
	a := newAccount(t, Config{})
	id, err := a.PlaceOrder(OrderSpec{Lines: []LineSpec{{SKU: "M", Quantity: 3}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Fulfil(id, FulfilSpec{}); err == nil {
		t.Error("a pending order was shipped")
	}
	if err := a.Pay(id); err != nil {
		t.Fatal(err)
	}
	o, _ := a.Order(id)
	line := o.Lines[0].ID
	for _, step := range []struct {
		name string
		do   func() error
		want string
	}{
		{"one unit is taken out", func() error { return a.RemoveUnits(id, line, 1, time.Time{}) }, "UNSHIPPED 0 1"},
		{"one is shipped", func() error { return a.Fulfil(id, FulfilSpec{Lines: []FulfilLineSpec{{line, 1}}}) }, "PARTIALLY_SHIPPED 1 1"},
		{"the rest is shipped", func() error { return a.Fulfil(id, FulfilSpec{}) }, "SHIPPED 2 1"},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		o, _ := a.Order(id)
		if got := fmt.Sprintf("%s %d %d", o.Status, o.Lines[0].Fulfilled, o.Lines[0].Removed); got != step.want {
			t.Errorf("%s: %s, want %s", step.name, got, step.want)
		}
	}
	for name, do := range map[string]func() error{
		"shipped twice":   func() error { return a.Fulfil(id, FulfilSpec{}) },
		"cancelled late":  func() error { return a.Cancel(id, "", true, time.Time{}) },
		"taken out late":  func() error { return a.RemoveUnits(id, line, 1, time.Time{}) },
		"paid twice":      func() error { return a.Pay(id) },
		"another order":   func() error { return a.Pay("none") },
		"another listing": func() error { return a.SetStock("none", 1) },
	} {
		if do() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	n := 0
	for range a.Orders() {
		n++
	}
	if n != 1 {
		t.Errorf("%d orders, want 1", n)
	}
}

// TestQueue: messages hide, come again, and go when they are deleted, for Amazon's own client.
func TestQueue(t *testing.T) {
	a := newAccount(t, Config{Faults: Faults{Duplicate: 1}})
	server := httptest.NewServer(a)
	defer server.Close()
	client := func(secret string) *sqs.Client {
		return sqs.New(sqs.Options{
			Region: "us-east-1", BaseEndpoint: aws.String(server.URL), Retryer: aws.NopRetryer{},
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "AKIASIMULATED", SecretAccessKey: secret}, nil
			}),
		})
	}
	queue := aws.String(server.URL + a.QueuePath())
	ctx := context.Background()
	receive := func() []string {
		t.Helper()
		out, err := client("simulated-queue-secret").ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: queue, MaxNumberOfMessages: 10, VisibilityTimeout: 60})
		if err != nil {
			t.Fatal(err)
		}
		var receipts []string
		for _, m := range out.Messages {
			receipts = append(receipts, *m.ReceiptHandle)
		}
		return receipts
	}
	a.Subscribe(OrderChange)
	a.order("M", 1)
	if _, err := client("wrong").ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: queue}); err == nil || !strings.Contains(err.Error(), "SignatureDoesNotMatch") {
		t.Errorf("a wrong secret: %v", err)
	}
	first := receive()
	if len(first) != 2 || len(receive()) != 0 {
		t.Fatalf("%d messages, want the notification twice, and then none", len(first))
	}
	a.now = a.now.Add(time.Minute)
	if got := receive(); len(got) != 2 {
		t.Errorf("a minute later: %d messages, want both again", len(got))
	}
	if _, err := client("simulated-queue-secret").DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: queue, ReceiptHandle: &first[0]}); err == nil {
		t.Error("an action that is not simulated was answered")
	}
	a.mu.Lock()
	a.remove(first[0])
	a.mu.Unlock()
	if a.Pending() != 1 {
		t.Errorf("%d messages are left, want 1", a.Pending())
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := a.Drain(ended); err == nil {
		t.Error("the queue is said to be empty")
	}
	a.mu.Lock()
	for _, m := range a.queue.messages {
		m.receipts["all"] = true
	}
	a.remove("all")
	a.mu.Unlock()
	if err := a.Drain(ctx); err != nil {
		t.Error(err)
	}
}

// TestNotifications: what is subscribed to is sent, as the faults will have it.
func TestNotifications(t *testing.T) {
	a := newAccount(t, Config{})
	a.order("M", 1)
	if a.Pending() != 0 {
		t.Error("a notification that nobody subscribed to")
	}
	a.Subscribe()
	a.order("M", 1) // and the quantity of M
	a.order("F", 1) // and what lies in Amazon's warehouse
	if got := a.Pending(); got != 4 || a.Subscriptions() != 3 {
		t.Errorf("%d messages of %d subscriptions, want 4 of 3", got, a.Subscriptions())
	}
	a.SetFaults(Faults{Drop: 1})
	a.order("F", 1)
	if st := a.Stats(); a.Pending() != 4 || st.NotificationsDropped != 2 || st.NotificationsSent != 6 {
		t.Errorf("%d messages, %+v, want the two of the order dropped", a.Pending(), st)
	}
	a.SetFaults(Faults{Late: 1, LateBy: time.Hour})
	a.order("F", 1)
	a.mu.Lock()
	visible := len(a.visible(10, time.Minute))
	a.mu.Unlock()
	if visible != 4 {
		t.Errorf("%d messages are visible, want those that are not late", visible)
	}
	a.Unsubscribe()
	if a.order("M", 1); a.Subscriptions() != 0 || a.Pending() != 6 {
		t.Errorf("%d messages, want no more", a.Pending())
	}
}

// TestFaults: an outage is HTML, before nothing is done, after everything is.
func TestFaults(t *testing.T) {
	a := newAccount(t, Config{})
	get := func() (int, string) {
		r := httptest.NewRequest(http.MethodGet, search, nil)
		r.Header.Set("X-Amz-Access-Token", a.token)
		rec := httptest.NewRecorder()
		a.ServeHTTP(rec, r)
		b, err := io.ReadAll(rec.Body)
		if err != nil {
			t.Fatal(err)
		}
		return rec.Code, string(b)
	}
	for _, c := range []struct {
		f    Faults
		code int
		text string
	}{
		{Faults{Outage: true}, 503, "<html>"}, {Faults{HTML: 1}, 200, "<html>"}, {Faults{FailBefore: 1}, 503, "errors"},
		{Faults{Throttle: 1}, 429, "QuotaExceeded"}, {Faults{}, 200, "orders"},
	} {
		a.SetFaults(c.f)
		if code, text := get(); code != c.code || !strings.Contains(text, c.text) {
			t.Errorf("%+v: %d %.60s, want %d and %s", c.f, code, text, c.code, c.text)
		}
	}
	id := a.order("M", 1)
	o, _ := a.Order(id)
	body := fmt.Sprintf(`{"marketplaceId":"A1F83G8C2ARO7P","packageDetail":{"packageReferenceId":"7","carrierCode":"UPS","trackingNumber":"T","shipDate":"2026-11-02T09:00:00Z","orderItems":[{"orderItemId":%q,"quantity":1}]}}`, o.Lines[0].ID)
	a.SetFaults(Faults{FailAfter: 1})
	code, _ := a.call(http.MethodPost, "/orders/v0/orders/"+id+"/shipmentConfirmation", body)
	if o, _ := a.Order(id); code != http.StatusInternalServerError || o.Status != "SHIPPED" {
		t.Errorf("after the effect: %d, and the order is %s", code, o.Status)
	}
	a.SetFaults(Faults{})
	if code, _ := a.call(http.MethodPost, "/orders/v0/orders/"+id+"/shipmentConfirmation", body); code != http.StatusNoContent {
		t.Errorf("the same package again: %d, want 204: it is edited", code)
	}
	if code, _ := a.call(http.MethodPost, "/orders/v0/orders/"+id+"/shipmentConfirmation", strings.Replace(body, `"7"`, `"x"`, 1)); code != http.StatusBadRequest {
		t.Errorf("a reference that is no number: %d, want 400", code)
	}
}
