package orders

import (
	"errors"
	"testing"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

func TestPrepareRefuses(t *testing.T) {
	room, _ := newRoom(t)
	encode := func(in *event.OrderInput) []byte {
		b, err := in.MarshalVTStrict()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		name  string
		value []byte
		want  error
	}{
		{"nothing", nil, connectors.ErrUnsupported},
		{"an input of a later version", []byte{9<<3 | 2, 0}, connectors.ErrUnsupported},
		{"broken bytes", []byte{0xff}, connectors.ErrMalformed},
		{"no account", encode(snapshot(&event.Order{Id: "1", UpdatedMs: 1})), connectors.ErrMalformed},
		{"no id", encode(snapshot(&event.Order{Account: "a", UpdatedMs: 1})), connectors.ErrMalformed},
		{"no time of change", encode(snapshot(&event.Order{Account: "a", Id: "1"})), connectors.ErrMalformed},
		{"negative quantity", encode(snapshot(order(1, nil, line("a", "L", -1, 0, nil)))), connectors.ErrMalformed},
		{"absurd quantity", encode(snapshot(order(1, nil, line("a", "L", 1<<40, 0, nil)))), connectors.ErrMalformed},
		{"no multiplier", encode(snapshot(order(1, nil, line("a", "L", 1, 0, resolution("S", 0, 1))))), connectors.ErrMalformed},
		{"refund without id", encode(refunded(&event.Refund{Account: "a", OrderId: "1"})), connectors.ErrMalformed},
		{"snapshot's refund without id", encode(snapshot(order(1, func(o *event.Order) { o.Refunds = []*event.Refund{{}} }))), connectors.ErrMalformed},
		{"negative refund", encode(refunded(refund("r", "a", -1, 0))), connectors.ErrMalformed},
		{"no resolution", encode(&event.OrderInput{Input: &event.OrderInput_LineResolved{LineResolved: &event.LineResolved{Account: "a", OrderId: "1"}}}), connectors.ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := room.Prepare(&stream.Record{Topic: schemas.OrdersIn, Value: c.value}); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// FuzzPrepare: whatever bytes come, they are refused or handled.
func FuzzPrepare(f *testing.F) {
	b, _ := snapshot(order(1000, nil, line("a", "L", 5, 0, resolution("MUG", 1, 1)))).MarshalVTStrict()
	f.Add(b)
	b, _ = refunded(refund("r", "a", 1, event.Restock_RESTOCK_RETURN)).MarshalVTStrict()
	f.Add(b)
	f.Fuzz(func(t *testing.T, value []byte) {
		_, m := newRoom(t)
		m.Append(stream.Record{Value: value})
		m.Append(stream.Record{Value: value})
		if _, err := m.Drain(1); err != nil {
			t.Fatal(err)
		}
	})
}
