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

// TestCorrectedRateDay: the copies that the fx room's partitions keep of a day have versions
// that do not compare; an old copy with a higher offset must not beat a corrected one.
func TestCorrectedRateDay(t *testing.T) {
	cfg := migrated(t)
	w := writer(t, cfg, Deps{})
	day := func(unscaled int64) *event.RateDay {
		return &event.RateDay{Source: "ecb", Base: "EUR", Date: "2026-11-20", Rates: []*event.Rate{{Currency: "USD", Value: &event.Decimal{Unscaled: unscaled, Scale: 4}}}}
	}
	l := &log{t: t, topic: schemas.RateDays}
	header := func(version, source string) []stream.Header {
		return []stream.Header{{Key: schemas.HeaderVersion, Value: []byte(version)}, {Key: schemas.HeaderLineage, Value: []byte("0.-1 0 " + source)}}
	}
	b := l.batch(
		l.put("ecb/2026-11-20/1", day(11000), header("0.900", "1")...),
		l.put("ecb/2026-11-20/0", day(11000), header("0.10", "0")...),
		l.put("ecb/2026-11-20/0", day(11500), header("0.20", "0")...),
	)
	if err := w.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	var got int64
	if err := connect(t, cfg).QueryRow(t.Context(), "SELECT toInt64(round(rate * 10000)) FROM rates FINAL").Scan(&got); err != nil {
		t.Fatal(err)
	}
	if got != 11500 {
		t.Errorf("the dollar stands at %d, want the corrected 11500", got)
	}
}
