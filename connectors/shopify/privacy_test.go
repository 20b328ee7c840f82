package shopify

import (
	"bytes"
	"slices"
	"testing"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/shopify/simulator"
)

// Requests about people's data are kept as they came and say no facts; they reach no dead letter.
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
		if err != nil || len(facts.Orders)+len(facts.Refunds)+len(facts.Products)+len(facts.Deleted)+len(facts.Observations) != 0 {
			t.Errorf("%s: %+v, %v", topic, facts, err)
		}
	}
	if err := s.Privacy("orders/create", buyer); err == nil {
		t.Error("another topic was taken")
	}
}
