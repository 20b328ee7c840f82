package ingest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas"
)

func TestRecord(t *testing.T) {
	s := NewStamp("shopify", "shop-uk", PathWebhook)
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	full := connectors.Raw{Subject: connectors.Orders, Object: "gid://shopify/Order/1", Body: []byte(`{"id":1}`),
		Format: "rest/order", Delivery: "d-1", SourceTime: time.UnixMilli(1_700_000_000_123)}
	for name, tc := range map[string]struct {
		raw   connectors.Raw
		trace string
		key   string
		want  map[string]string
	}{
		"everything": {full, trace, "shop-uk/gid://shopify/Order/1", map[string]string{
			"connector": "shopify", "account": "shop-uk", "path": "webhook", "object": "gid://shopify/Order/1",
			"format": "rest/order", "delivery": "d-1", "source-time": "1700000000123", "traceparent": trace}},
		// A broken object without an id goes on: the translator refuses it with its bytes.
		"nothing": {connectors.Raw{Subject: connectors.Orders, Body: []byte("x")}, "", "shop-uk/", map[string]string{
			"connector": "shopify", "account": "shop-uk", "path": "webhook", "object": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.Record(&tc.raw, tc.trace)
			if err != nil {
				t.Fatal(err)
			}
			headers := map[string]string{}
			for _, h := range got.Headers {
				if _, twice := headers[h.Key]; twice {
					t.Errorf("header %s stands twice", h.Key)
				}
				headers[h.Key] = string(h.Value)
			}
			if diff := cmp.Diff(tc.want, headers); diff != "" {
				t.Error(diff)
			}
			if string(got.Key) != tc.key || &got.Value[0] != &tc.raw.Body[0] || cap(got.Headers) != maxHeaders {
				t.Errorf("key %q, value %q, room for %d headers", got.Key, got.Value, cap(got.Headers))
			}
		})
	}
	// Records of one stamp must not share what they append.
	a, _ := s.Record(&full, trace)
	other := connectors.Raw{Subject: connectors.Stock, Object: "b"}
	if _, err := s.Record(&other, ""); err != nil || string(a.Headers[3].Value) != full.Object {
		t.Errorf("a second record changed the first: %q, %v", a.Headers[3].Value, err)
	}
}

func TestTopic(t *testing.T) {
	want := map[connectors.Subject]string{
		connectors.Orders: schemas.RawOrders.Name, connectors.Products: schemas.RawProducts.Name,
		connectors.Inventory: schemas.RawInventory.Name, connectors.Stock: schemas.RawStock.Name,
		connectors.RateDays: schemas.RawRates.Name,
	}
	for subject, name := range want {
		if got, ok := Topic(subject); !ok || got.Name != name {
			t.Errorf("%s goes to %q, want %q", subject, got.Name, name)
		}
	}
	if _, err := NewStamp("a", "b", PathPoll).Record(&connectors.Raw{Subject: "gossip"}, ""); err == nil {
		t.Error("a subject without a topic was accepted")
	}
}
