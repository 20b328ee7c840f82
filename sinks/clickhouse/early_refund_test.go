package clickhouse

import (
	"testing"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// TestRefundBeforeItsOrder: an order that is only heard of has no time of creation. It is no
// row of its own, or it would stay beside the order's, in another partition, for ever.
func TestRefundBeforeItsOrder(t *testing.T) {
	cfg := migrated(t)
	w := writer(t, cfg, Deps{})
	stub := &event.Order{
		Connector: "shopify", Account: "uk", Id: "7", Version: &event.Version{Number: 1},
		Refunds: []*event.Refund{{Account: "uk", Id: "r1", OrderId: "7", CreatedMs: placed + 1000, Total: gbp(150), Note: "C1#1"}},
	}
	whole := order("uk", "7", 2, line{"A", 2, 150})
	whole.Refunds = stub.Refunds
	l := &log{t: t, topic: schemas.Orders}
	for _, b := range []*stream.Batch{l.batch(l.put("uk/7", stub)), l.batch(l.put("uk/7", whole))} {
		if err := w.Write(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	f, err := newReaderFor(t, cfg).Figures(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if f.Orders != 1 || f.OrderLines != 1 || f.GrossMinor != 300 || f.RefundedMinor != 150 {
		t.Errorf("%d orders, %d lines, gross %d, refunded %d; want 1, 1, 300, 150", f.Orders, f.OrderLines, f.GrossMinor, f.RefundedMinor)
	}
}
