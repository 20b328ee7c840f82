package woocommerce

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/connectortest"
	"github.com/helloword/crossdock/connectors/woocommerce/simulator"
	"github.com/helloword/crossdock/internal/testkit"
)

func delivery(secret, topic, body string) *connectors.Delivery {
	d := &connectors.Delivery{Method: http.MethodPost, Header: http.Header{}, Body: []byte(body), Received: connectortest.NewClock().Now()}
	d.Header.Set("Content-Type", "application/json")
	d.Header.Set("X-WC-Webhook-Topic", topic)
	d.Header.Set("X-WC-Webhook-Delivery-ID", "0bf1573b1a4a2707")
	d.Header.Set("X-WC-Webhook-Signature", Sign(secret, []byte(body)))
	return d
}

func TestReceive(t *testing.T) {
	t.Setenv("WOO_TEST_WEBHOOK", "now")
	t.Setenv("WOO_TEST_BEFORE", "before")
	cfg := testConfig("http://127.0.0.1:1")
	cfg.PreviousWebhookSecret = "env:WOO_TEST_BEFORE"
	rc := &receiver{cfg: cfg}
	for _, tc := range []struct {
		name   string
		change func(d *connectors.Delivery)
		body   string
		topic  string
		want   error
		object string
	}{
		{name: "an order", body: `{"id":21,"parent_id":0}`, topic: "order.updated", object: "21"},
		{name: "signed with the secret before", body: `{"id":21}`, topic: "order.updated", object: "21", change: func(d *connectors.Delivery) {
			d.Header.Set("X-WC-Webhook-Signature", Sign("before", d.Body))
		}},
		{name: "signed with another", body: `{"id":21}`, topic: "order.updated", want: connectors.ErrUnauthentic, change: func(d *connectors.Delivery) {
			d.Header.Set("X-WC-Webhook-Signature", Sign("", d.Body))
		}},
		{name: "a variation goes by its product", body: `{"id":20,"type":"variation","parent_id":19}`, topic: "product.updated", object: "19"},
		{name: "a suborder goes by itself", body: `{"id":20,"parent_id":19}`, topic: "order.updated", object: "20"},
		{name: "somebody else's topic", body: `{"id":20}`, topic: "coupon.updated"},
		{name: "no delivery id", body: `{"id":20}`, topic: "order.updated", want: connectors.ErrMalformed, change: func(d *connectors.Delivery) { d.Header.Del("X-WC-Webhook-Delivery-ID") }},
		{name: "no id", body: `{"number":"20"}`, topic: "order.updated", want: connectors.ErrMalformed},
		{name: "no object", body: `[1]`, topic: "order.updated", want: connectors.ErrMalformed},
		{name: "the ping", body: "webhook_id=12", topic: "", change: unsigned},
		{name: "a ping with a signature is none", body: "webhook_id=12", want: connectors.ErrUnauthentic, change: func(d *connectors.Delivery) {
			unsigned(d)
			d.Header.Set("X-WC-Webhook-Signature", "x")
		}},
		{name: "a ping with more in it is none", body: "webhook_id=12&id=3", want: connectors.ErrUnauthentic, change: unsigned},
		{name: "a ping without a number is none", body: "webhook_id=", want: connectors.ErrUnauthentic, change: unsigned},
		{name: "JSON without a signature", body: `{"id":21}`, topic: "order.updated", want: connectors.ErrUnauthentic, change: func(d *connectors.Delivery) { d.Header.Del("X-WC-Webhook-Signature") }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := delivery("now", tc.topic, tc.body)
			if tc.change != nil {
				tc.change(d)
			}
			raws, err := rc.Receive(t.Context(), d)
			if !errors.Is(err, tc.want) || (err != nil) != (tc.want != nil) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			object := ""
			if len(raws) > 0 {
				object = raws[0].Object
			}
			if object != tc.object {
				t.Errorf("object %q, want %q", object, tc.object)
			}
		})
	}
}

func unsigned(d *connectors.Delivery) {
	d.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	d.Header.Del("X-WC-Webhook-Signature")
}

// What a real shop delivered: created and updated carry the same bytes, which therefore have
// the same signature; its secret is not known, so that the digest is compared with another
// one's structure only.
func TestCapturedDeliveries(t *testing.T) {
	text, err := os.ReadFile(testkit.Shared(t, "vectors", "woocommerce", "webhook-deliveries.json"))
	if err != nil {
		t.Fatal(err)
	}
	var captured []struct {
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
	}
	if err := json.Unmarshal(text, &captured); err != nil || len(captured) == 0 {
		t.Fatalf("%d deliveries, %v", len(captured), err)
	}
	t.Setenv("WOO_TEST_WEBHOOK", "ours")
	rc := &receiver{cfg: testConfig("http://127.0.0.1:1")}
	bySignature := map[string]string{}
	for _, c := range captured {
		topic, signature := c.Headers["X-WC-Webhook-Topic"], c.Headers["X-WC-Webhook-Signature"]
		if body, ok := bySignature[signature]; ok && body != c.Body {
			t.Errorf("%s: two bodies under one signature", topic)
		}
		bySignature[signature] = c.Body
		if len(signature) != len(Sign("ours", []byte(c.Body))) {
			t.Errorf("%s: signature %q is of another form than ours", topic, signature)
		}
		d := delivery("ours", topic, c.Body)
		for k, v := range c.Headers {
			d.Header.Set(k, v)
		}
		if _, err := rc.Receive(t.Context(), d); !errors.Is(err, connectors.ErrUnauthentic) {
			t.Errorf("%s: signed with a secret that is not ours: %v", topic, err)
		}
		d.Header.Set("X-WC-Webhook-Signature", Sign("ours", d.Body))
		raws, err := rc.Receive(t.Context(), d)
		if err != nil || len(raws) != 1 {
			t.Fatalf("%s: %d records, %v", topic, len(raws), err)
		}
		f, err := translate(t, raws[0].Format, raws[0].Body)
		if err != nil {
			t.Errorf("%s: %v", topic, err)
		}
		if n := len(f.Orders) + len(f.Products) + len(f.Observations); n == 0 && !strings.Contains(c.Body, `"variations":[`) {
			t.Errorf("%s: nothing came of it", topic)
		}
	}
	if len(bySignature) < 4 {
		t.Errorf("only %d different deliveries", len(bySignature))
	}
}

func TestEnsureWebhooks(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	address := s.subscribe(t)
	want := map[string]bool{}
	for _, topic := range topics() {
		want[topic.name] = true
	}
	got := map[string]bool{}
	for _, w := range s.Webhooks() {
		got[w.Topic] = w.Status == "active" && w.Address == address
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	for _, d := range s.deliveries(t) {
		if raws, err := s.conn.Receive.Receive(t.Context(), &d); err != nil || len(raws) > 0 {
			t.Errorf("the ping of a new webhook: %d records, %v", len(raws), err)
		}
	}
	writes := func() (n int) {
		for _, r := range s.sent() {
			if r.method != http.MethodGet {
				n++
			}
		}
		return n
	}
	writes()
	ensure := func(address string) {
		t.Helper()
		if err := s.conn.Webhooks.EnsureWebhooks(t.Context(), address); err != nil {
			t.Fatal(err)
		}
	}
	if ensure(address); writes() != 0 {
		t.Error("what was right was written again")
	}
	// The shop switches a webhook off after seven failures, and the keeper on again.
	p := stocked(s)
	s.deliveries(t)
	s.mu.Lock()
	s.refuse = 14 // created and updated
	s.mu.Unlock()
	for range 7 {
		if _, err := s.PlaceOrder(simulator.OrderSpec{Lines: []simulator.LineSpec{{Variant: p[1].Variants[2], Quantity: 1}}}); err != nil {
			t.Fatal(err)
		}
		s.deliveries(t)
	}
	if got := s.Stats().WebhooksDisabled; got != 2 {
		t.Fatalf("%d webhooks were switched off, want 2", got)
	}
	if ensure(address); writes() != 2 || s.Subscriptions() != len(topics()) {
		t.Errorf("%d webhooks are on, want %d", s.Subscriptions(), len(topics()))
	}
	// Another secret is told to the shop; a move to another host turns what is there.
	t.Setenv("WOO_TEST_WEBHOOK", "another-secret")
	if ensure(address); writes() != len(topics()) {
		t.Error("the new secret was not told")
	}
	moved := strings.Replace(address, "127.0.0.1", "localhost", 1)
	ensure(moved)
	if got := s.Webhooks(); len(got) != len(topics()) || got[0].Address != moved {
		t.Errorf("after a move there are %d webhooks, the first at %s", len(got), got[0].Address)
	}
	if _, err := s.PlaceOrder(simulator.OrderSpec{Lines: []simulator.LineSpec{{Variant: p[0].Variants[0], Quantity: 1}}}); err != nil {
		t.Fatal(err)
	}
	for _, d := range s.deliveries(t) {
		if _, err := s.conn.Receive.Receive(t.Context(), &d); err != nil {
			t.Errorf("%s: %v", d.Header.Get("X-WC-Webhook-Topic"), err)
		}
	}
	if err := s.conn.Webhooks.EnsureWebhooks(t.Context(), "nowhere"); !errors.Is(err, connectors.ErrPermanent) {
		t.Errorf("an address that is none: %v", err)
	}
}

func TestDeletionsHaveATime(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	s.subscribe(t)
	p := stocked(s)
	s.deliveries(t)
	s.clock.Add(time.Minute)
	if err := s.DeleteProduct(p[0].ID); err != nil {
		t.Fatal(err)
	}
	for _, d := range s.deliveries(t) {
		raws, err := s.conn.Receive.Receive(t.Context(), &d)
		if err != nil || len(raws) != 1 {
			t.Fatal(raws, err)
		}
		f := s.facts(t, raws[0])
		if len(f.Deleted) != 1 || f.Deleted[0].Id != stringID(p[0].ID) || f.Deleted[0].DeletedMs != s.clock.Now().UnixMilli() {
			t.Errorf("got %v", f.Deleted)
		}
	}
}

func FuzzReceive(f *testing.F) {
	f.Add("order.updated", []byte(`{"id":21}`), "application/json")
	f.Add("", []byte("webhook_id=3"), "application/x-www-form-urlencoded")
	f.Setenv("WOO_TEST_WEBHOOK", "now")
	rc := &receiver{cfg: testConfig("http://127.0.0.1:1")}
	f.Fuzz(func(t *testing.T, topic string, body []byte, kind string) {
		d := delivery("now", topic, string(body))
		d.Header.Set("Content-Type", kind)
		raws, err := rc.Receive(t.Context(), d)
		if err != nil && !errors.Is(err, connectors.ErrMalformed) {
			t.Errorf("authentic, and refused: %v", err)
		}
		d.Header.Set("X-WC-Webhook-Signature", "AAAA")
		if again, err := rc.Receive(t.Context(), d); !errors.Is(err, connectors.ErrUnauthentic) || len(again) > 0 {
			t.Errorf("not authentic, and taken: %v %v", raws, err)
		}
	})
}
