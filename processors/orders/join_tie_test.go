package orders

import (
	"testing"

	"github.com/helloword/crossdock/schemas/event"
)

// TestEditWithinTheSecond: platforms tell time in whole seconds. An order that is edited in the
// second of its creation keeps the added lines, in whatever order the two snapshots arrive.
func TestEditWithinTheSecond(t *testing.T) {
	snapshot := func(lines ...int64) *event.Order {
		o := &event.Order{Account: "shop", Id: "1", UpdatedMs: 1000, Currency: "GBP", PaymentStatus: event.PaymentStatus_PAYMENT_STATUS_PAID}
		for i, q := range lines {
			o.Lines = append(o.Lines, &event.OrderLine{Id: string(rune('a' + i)), Quantity: q})
		}
		return o
	}
	created, edited, raised := snapshot(9), snapshot(9, 1), snapshot(10)
	for name, pair := range map[string][2]*event.Order{"a line was added": {created, edited}, "units were added": {created, raised}} {
		if !newer(pair[1], pair[0]) || newer(pair[0], pair[1]) {
			t.Errorf("%s: the edited snapshot must replace the created one, and not the other way round", name)
		}
	}
}
