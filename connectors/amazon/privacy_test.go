package amazon

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/helloword/crossdock/schemas/event"
)

// An order's buyer may be known for 30 days after the last parcel left; not told when it left,
// for 30 days after what came before that.
func TestHowLongABuyerMayBeKnown(t *testing.T) {
	at := func(day int) int64 { return time.Date(2026, 11, day, 12, 0, 0, 0, time.UTC).UnixMilli() }
	const (
		fulfilled = event.FulfilmentStatus_FULFILMENT_STATUS_FULFILLED
		partial   = event.FulfilmentStatus_FULFILMENT_STATUS_PARTIAL
	)
	somebody := &event.PersonalData{Name: "Ann Example"}
	for _, tt := range []struct {
		name  string
		order *event.Order
		parts orderParts
		from  int64
	}{
		{"shipped", &event.Order{CreatedMs: at(1), Personal: somebody, FulfilmentStatus: fulfilled}, orderParts{shippedMs: at(5)}, at(5)},
		{"shipped in part", &event.Order{CreatedMs: at(1), Personal: somebody, FulfilmentStatus: partial}, orderParts{shippedMs: at(5)}, 0},
		{"not shipped", &event.Order{CreatedMs: at(1), Personal: somebody}, orderParts{}, 0},
		{"shipped by Amazon, which tells no package", &event.Order{CreatedMs: at(1), Personal: somebody, FulfilmentStatus: fulfilled}, orderParts{}, at(1)},
		{"cancelled", &event.Order{CreatedMs: at(1), CancelledMs: at(3), BuyerId: "b"}, orderParts{}, at(3)},
		{"cancelled, no time told", &event.Order{CreatedMs: at(1), Status: event.OrderStatus_ORDER_STATUS_CANCELLED, BuyerId: "b"}, orderParts{}, at(1)},
		{"of nobody", &event.Order{CreatedMs: at(1), FulfilmentStatus: fulfilled}, orderParts{shippedMs: at(5)}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bound(tt.order, &tt.parts)
			want := int64(0)
			if tt.from != 0 {
				want = tt.from + 30*24*time.Hour.Milliseconds()
			}
			if tt.order.PersonalUntilMs != want {
				t.Errorf("got %d, want %d", tt.order.PersonalUntilMs, want)
			}
		})
	}
}

// The handover is read from the packages: the last one counts.
func TestHandoverOfTheLastPackage(t *testing.T) {
	body, err := os.ReadFile("testdata/records/order-full.json")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(
		`"quantityFulfilled": 1, "quantityUnfulfilled": 1`, `"quantityFulfilled": 2, "quantityUnfulfilled": 0`,
		`"quantityFulfilled": 0, "quantityUnfulfilled": 3`, `"quantityFulfilled": 3, "quantityUnfulfilled": 0`,
		`"packages": [`, `"packages": [{"packageReferenceId": "2", "shipTime": "2026-11-04T08:00:00Z"}, {"packageReferenceId": "3", "shipTime": "2026-11-03T08:00:00Z"}, `,
	).Replace(string(body))
	for _, rec := range recorded(t) {
		if rec.Name != "order-full" {
			continue
		}
		mine := rec.Record
		mine.Body = []byte(text)
		facts, err := new(translator).Translate(&mine)
		if err != nil || len(facts.Orders) != 1 {
			t.Fatalf("%v, %v", facts, err)
		}
		if got, want := facts.Orders[0].PersonalUntilMs, time.Date(2026, 12, 4, 8, 0, 0, 0, time.UTC).UnixMilli(); got != want {
			t.Errorf("the buyer may be known until %d, want %d", got, want)
		}
		return
	}
	t.Fatal("no record order-full")
}
