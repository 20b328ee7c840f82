package shopify

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
)

// The vector was verified with Shopify's own library.
func TestSignVector(t *testing.T) {
	const want = "B23tXN681gZ0qIWNRrgtzBE9XSDo5yaUu6wfmhu3a7g="
	if got := Sign("test_secret_key", []byte(`{"foo": "bar"}`)); got != want {
		t.Errorf("Sign = %s, want %s", got, want)
	}
}

func TestReceive(t *testing.T) {
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	t.Setenv("SHOPIFY_NEW", "new secret")
	t.Setenv("SHOPIFY_OLD", "old secret")
	cfg := DefaultConfig()
	cfg.Shop, cfg.ClientSecret, cfg.PreviousClientSecret = "acme.myshopify.com", "env:SHOPIFY_NEW", "env:SHOPIFY_OLD"
	call := func(topic, body, secret string) *connectors.Delivery {
		h := http.Header{}
		h.Set("X-Shopify-Topic", topic)
		h.Set("X-Shopify-Hmac-Sha256", Sign(secret, []byte(body)))
		h.Set("X-Shopify-Shop-Domain", "acme.myshopify.com")
		h.Set("X-Shopify-Webhook-Id", "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043")
		h.Set("X-Shopify-Triggered-At", "2026-11-02T08:59:58.123456789Z")
		return &connectors.Delivery{Method: "POST", Header: h, Body: []byte(body), Received: now}
	}
	const order = `{"id":820982911946154508,"name":"#9999"}`
	for _, tc := range []struct {
		name   string
		call   *connectors.Delivery
		change func(d *connectors.Delivery)
		object string // "" = no record
		format string
		err    error
	}{
		{name: "order", call: call("orders/create", order, "new secret"), object: "820982911946154508", format: formatOrder},
		{name: "signed with the secret before the rotation", call: call("orders/create", order, "old secret"), object: "820982911946154508", format: formatOrder},
		{name: "signed with another secret", call: call("orders/create", order, "other"), err: connectors.ErrUnauthentic},
		{name: "signed with nothing", call: call("orders/create", order, ""), err: connectors.ErrUnauthentic},
		{name: "a refund goes by its order", call: call("refunds/create", `{"id":509562969,"order_id":450789469}`, "new secret"), object: "450789469", format: formatRefund},
		{name: "an edit goes by its order", call: call("orders/edited", `{"order_edit":{"id":1,"order_id":607673086}}`, "new secret"), object: "607673086", format: formatOrderEdit},
		{name: "a level goes by its item", call: call("inventory_levels/update", `{"inventory_item_id":271878346596884015,"location_id":24826418}`, "new secret"), object: "271878346596884015", format: formatLevel},
		{name: "a deleted product", call: call("products/delete", `{"id":788032119674292922}`, "new secret"), object: "788032119674292922", format: formatProductGone},
		{name: "another shop", call: call("orders/create", order, "new secret"), change: func(d *connectors.Delivery) { d.Header.Set("X-Shopify-Shop-Domain", "other.myshopify.com") }, err: connectors.ErrUnauthentic},
		{name: "no shop", call: call("orders/create", order, "new secret"), change: func(d *connectors.Delivery) { d.Header.Del("X-Shopify-Shop-Domain") }, err: connectors.ErrUnauthentic},
		{name: "the last retry", call: call("orders/create", order, "new secret"), change: func(d *connectors.Delivery) { d.Received = now.Add(4 * time.Hour) }, object: "820982911946154508", format: formatOrder},
		{name: "replayed", call: call("orders/create", order, "new secret"), change: func(d *connectors.Delivery) { d.Received = now.Add(5 * time.Hour) }, err: connectors.ErrUnauthentic},
		{name: "from the future", call: call("orders/create", order, "new secret"), change: func(d *connectors.Delivery) { d.Received = now.Add(-time.Hour) }, err: connectors.ErrUnauthentic},
		{name: "no time", call: call("orders/create", order, "new secret"), change: func(d *connectors.Delivery) { d.Header.Del("X-Shopify-Triggered-At") }, err: connectors.ErrUnauthentic},
		{name: "no delivery id", call: call("orders/create", order, "new secret"), change: func(d *connectors.Delivery) { d.Header.Del("X-Shopify-Webhook-Id") }, err: connectors.ErrMalformed},
		{name: "no id", call: call("orders/create", `{"name":"#1"}`, "new secret"), err: connectors.ErrMalformed},
		{name: "no JSON", call: call("orders/create", `<html>`, "new secret"), err: connectors.ErrMalformed},
		{name: "an id that is none", call: call("orders/create", `{"id":1.5}`, "new secret"), err: connectors.ErrMalformed},
		{name: "somebody else's topic", call: call("app/uninstalled", `{"id":1}`, "new secret")},
		{name: "a request for a buyer's data", call: call("customers/data_request", `{"shop_id":954889,"shop_domain":"acme.myshopify.com","orders_requested":[299938],"customer":{"id":191167},"data_request":{"id":9999}}`, "new secret"), object: "954889", format: formatDataRequest},
		{name: "a buyer is to be forgotten", call: call("customers/redact", `{"shop_id":954889,"customer":{"id":191167},"orders_to_redact":[299938]}`, "new secret"), object: "954889", format: formatCustomerRedact},
		{name: "the shop is to be forgotten", call: call("shop/redact", `{"shop_id":954889,"shop_domain":"acme.myshopify.com"}`, "new secret"), object: "954889", format: formatShopRedact},
		{name: "a request that names no shop", call: call("shop/redact", `{}`, "new secret"), err: connectors.ErrMalformed},
		{name: "a forged request", call: call("customers/redact", `{"shop_id":954889}`, "other"), err: connectors.ErrUnauthentic},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.change != nil {
				tc.change(tc.call)
			}
			raws, err := (&receiver{cfg: cfg}).Receive(t.Context(), tc.call)
			if !errors.Is(err, tc.err) {
				t.Fatalf("got %v, want %v", err, tc.err)
			}
			if tc.object == "" {
				if len(raws) != 0 {
					t.Errorf("got %d records", len(raws))
				}
				return
			}
			if len(raws) != 1 || raws[0].Object != tc.object || raws[0].Format != tc.format {
				t.Fatalf("got %+v", raws)
			}
			if want := time.Date(2026, 11, 2, 8, 59, 58, 123456789, time.UTC); !raws[0].SourceTime.Equal(want) || raws[0].Delivery == "" {
				t.Errorf("time %s, delivery %q", raws[0].SourceTime, raws[0].Delivery)
			}
		})
	}
}

// A secret that is not there is our fault, not the caller's: 401 would make Shopify give up.
func TestReceiveWithoutItsSecret(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Shop, cfg.ClientSecret = "acme.myshopify.com", "env:SHOPIFY_NOT_SET"
	_, err := (&receiver{cfg: cfg}).Receive(t.Context(), &connectors.Delivery{Header: http.Header{}})
	if err == nil || errors.Is(err, connectors.ErrUnauthentic) {
		t.Errorf("got %v", err)
	}
}

func FuzzReceive(f *testing.F) {
	for _, d := range recorded(f) {
		f.Add(d.Delivery.Header.Get("X-Shopify-Topic"), d.Delivery.Body)
	}
	f.Setenv("SHOPIFY_FUZZ", "secret")
	cfg := DefaultConfig()
	cfg.Shop, cfg.ClientSecret = "acme.myshopify.com", "env:SHOPIFY_FUZZ"
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, topic string, body []byte) {
		d := &connectors.Delivery{Header: http.Header{
			"X-Shopify-Topic": {topic}, "X-Shopify-Hmac-Sha256": {Sign("secret", body)}, "X-Shopify-Shop-Domain": {cfg.Shop},
			"X-Shopify-Webhook-Id": {"1"}, "X-Shopify-Triggered-At": {now.Format(time.RFC3339)},
		}, Body: body, Received: now}
		raws, err := (&receiver{cfg: cfg}).Receive(t.Context(), d)
		if err != nil && !errors.Is(err, connectors.ErrMalformed) {
			t.Errorf("%q: %v", body, err)
		}
		for _, raw := range raws {
			if raw.Object == "" || len(raw.Object) > 19 {
				t.Errorf("object %q", raw.Object)
			}
		}
	})
}
