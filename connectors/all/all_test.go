package all

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
)

// TestList: the table says what the contract says, no more and no less.
func TestList(t *testing.T) {
	got, err := List()
	if err != nil {
		t.Fatal(err)
	}
	want := []Info{
		{"shopify", connectors.Channel, []string{"check", "authorize", "embed", "receive", "poll:inventory", "poll:orders", "poll:products", "translate", "webhooks", "stock", "price", "fulfilment", "cancel", "refund"}},
		{"woocommerce", connectors.Channel, []string{"check", "authorize", "receive", "poll:inventory", "poll:orders", "poll:products", "translate", "webhooks", "stock", "price", "fulfilment", "cancel", "refund"}},
		{"magento", connectors.Channel, []string{"check", "authorize", "poll:inventory", "poll:orders", "poll:products", "translate", "stock", "price", "fulfilment", "cancel", "refund"}},
		{"amazon", connectors.Channel, []string{"check", "authorize", "poll:inventory", "poll:orders", "poll:products", "translate", "webhooks", "stock", "price", "fulfilment", "cancel", "refund"}},
		{"ebay", connectors.Channel, []string{"check", "authorize", "receive", "challenge", "poll:inventory", "poll:orders", "poll:products", "translate", "webhooks", "stock", "price", "fulfilment", "cancel", "refund"}},
		{"warehouse", connectors.Warehouse, []string{"check", "receive", "translate"}},
		{"ecb", connectors.Rates, []string{"check", "poll:rates", "translate"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
