package shopify

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/shopify/simulator"
	"github.com/helloword/crossdock/schemas/event"
)

// Requests about people's data are kept as they came and become requests with a deadline; they
// reach no dead letter and name a person by the platform's id only.
func TestRequestsAboutPeoplesData(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	address := s.listen(t)
	var names []string
	for _, topic := range complianceTopics() {
		names = append(names, topic.name)
		s.Subscribe(address, topic.name)
		if err := s.Privacy(topic.name, buyer, 1, 2); err != nil {
			t.Fatal(err)
		}
	}
	// By the API nobody subscribes to them, and nothing that is subscribed is taken away.
	if err := s.conn.Webhooks.EnsureWebhooks(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	if got, want := s.Subscriptions(), len(topics())+len(names); got != want {
		t.Errorf("%d subscriptions, want %d", got, want)
	}
	got := s.deliveries(t)
	if len(got) != len(names) {
		t.Fatalf("%d deliveries", len(got))
	}
	kinds := make(map[string]event.PrivacyKind)
	for _, d := range got {
		raws, err := s.conn.Receive.Receive(t.Context(), &d)
		if err != nil || len(raws) != 1 {
			t.Fatalf("%d records, %v", len(raws), err)
		}
		raw := raws[0]
		topic := d.Header.Get("X-Shopify-Topic")
		if !slices.Contains(names, topic) || raw.Subject != connectors.Orders || raw.Object != "954889" || !bytes.Equal(raw.Body, d.Body) {
			t.Errorf("%s: %+v", topic, raw)
		}
		facts, err := s.conn.Translate.Translate(s.record(raw))
		if err != nil || len(facts.Orders)+len(facts.Refunds)+len(facts.Products)+len(facts.Deleted)+len(facts.Observations) != 0 || len(facts.Privacy) != 1 {
			t.Fatalf("%s: %+v, %v", topic, facts, err)
		}
		q := facts.Privacy[0]
		if q.DueMs-q.RequestedMs != 30*24*time.Hour.Milliseconds() || q.RequestedMs != raw.SourceTime.UnixMilli() {
			t.Errorf("%s: asked at %d, due at %d", topic, q.RequestedMs, q.DueMs)
		}
		if text := q.String(); strings.Contains(text, buyer.Email) || buyer.Phone != "" && strings.Contains(text, buyer.Phone) {
			t.Errorf("%s: the request names a person: %s", topic, text)
		}
		kinds[topic] = q.Kind
	}
	want := map[string]event.PrivacyKind{
		"customers/data_request": event.PrivacyKind_PRIVACY_KIND_DATA_REQUEST,
		"customers/redact":       event.PrivacyKind_PRIVACY_KIND_BUYER,
		"shop/redact":            event.PrivacyKind_PRIVACY_KIND_ACCOUNT,
	}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	if err := s.Privacy("orders/create", buyer); err == nil {
		t.Error("another topic was taken")
	}
}

// Payloads as Shopify's documentation shows them, and what is wrong with others.
func TestRequestsAsShopifyWritesThem(t *testing.T) {
	asked := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	tr := new(translator)
	read := func(format, body string) (*event.PrivacyRequest, error) {
		facts, err := tr.Translate(&connectors.Record{Subject: connectors.Orders, Account: "shop-uk", Object: "954889", Format: format, Body: []byte(body), SourceTime: asked})
		if err != nil || len(facts.Privacy) != 1 {
			return nil, err
		}
		return facts.Privacy[0], nil
	}
	data := `{"shop_id":954889,"shop_domain":"acme.myshopify.com","orders_requested":[299938,280263,220458],"customer":{"id":191167,"email":"ann@example.com","phone":"555-625-1199"},"data_request":{"id":9999}}`
	got, err := read(formatDataRequest, data)
	if err != nil {
		t.Fatal(err)
	}
	want := &event.PrivacyRequest{
		Connector: "shopify", Account: "shop-uk", Id: "data-9999", Kind: event.PrivacyKind_PRIVACY_KIND_DATA_REQUEST,
		BuyerIds: []string{"191167"}, OrderIds: []string{"299938", "280263", "220458"},
		RequestedMs: asked.UnixMilli(), DueMs: time.Date(2026, 12, 2, 9, 0, 0, 0, time.UTC).UnixMilli(),
	}
	if !got.EqualVT(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	redact := `{"shop_id":954889,"shop_domain":"acme.myshopify.com","customer":{"id":191167,"email":"ann@example.com","phone":"555-625-1199"},"orders_to_redact":[299938,280263,220458]}`
	one, err := read(formatCustomerRedact, redact)
	if err != nil {
		t.Fatal(err)
	}
	same, err := read(formatCustomerRedact, redact)
	if err != nil || !same.EqualVT(one) || one.Id == "" {
		t.Errorf("the same request: %v and %v, %v", one, same, err)
	}
	other, err := read(formatCustomerRedact, strings.Replace(redact, "299938", "299939", 1))
	if err != nil || other.Id == one.Id {
		t.Errorf("another request has the name %q, %v", other.GetId(), err)
	}
	for _, tt := range []struct{ format, body string }{
		{formatShopRedact, `{"shop_domain":"acme.myshopify.com"}`},
		{formatCustomerRedact, `{"shop_id":954889}`},
		{formatDataRequest, `[]`},
		{formatDataRequest, data[:80]},
	} {
		if _, err := read(tt.format, tt.body); !errors.Is(err, connectors.ErrMalformed) {
			t.Errorf("%s %s: %v, want ErrMalformed", tt.format, tt.body, err)
		}
	}
}
