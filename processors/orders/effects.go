package orders

import (
	"slices"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// claim is what one order does to one SKU.
type claim struct {
	sku      string
	onHand   int64
	reserved int64
}

// claimsOf derives what an order does to stock, in units of the SKU. Of a line's units
// some were taken out before they were shipped (removed, or refunded as cancelled; the
// platform's translator counts none of them twice), some were shipped, some came back:
//
//	reserved = (quantity - removed - cancelled - fulfilled) × multiplier   while the order stands
//	on hand  = -(fulfilled - returned) × multiplier
//
// A return can be heard of before the shipment that it undoes: until then it lowers what is
// reserved, so that nothing comes back that has not left. A refund that puts nothing back
// changes neither figure. Several lines of one SKU are summed. A test order does nothing; an
// order on hold reserves like any other. SKUs that the order may have claimed before, and
// does not now, stand with nothing.
func claimsOf(o *event.Order, into []claim) []claim {
	claims := into[:0]
	at := func(sku string) *claim {
		for i := range claims {
			if claims[i].sku == sku {
				return &claims[i]
			}
		}
		claims = append(claims, claim{sku: sku})
		return &claims[len(claims)-1]
	}
	standing := o.CancelledMs == 0 && o.Status != event.OrderStatus_ORDER_STATUS_CANCELLED
	for _, l := range o.Lines {
		if l.Resolution.GetSku() == "" {
			continue
		}
		c := at(l.Resolution.Sku)
		if o.Test || !l.Stocked {
			continue
		}
		cancelled, returned := putBack(o.Refunds, l.Id)
		back := min(returned, l.Fulfilled)
		if standing {
			open := l.Quantity - l.Removed - cancelled - l.Fulfilled - (returned - back)
			c.reserved += max(0, open) * l.Resolution.Multiplier
		}
		c.onHand -= (l.Fulfilled - back) * l.Resolution.Multiplier
	}
	for _, k := range o.Known {
		at(k.Resolution.Sku)
	}
	return claims
}

// putBack sums a line's refunded units by where they go.
func putBack(refunds []*event.Refund, line string) (cancelled, returned int64) {
	for _, r := range refunds {
		for _, l := range r.Lines {
			if l.OrderLineId != line {
				continue
			}
			switch l.Restock {
			case event.Restock_RESTOCK_CANCEL:
				cancelled += l.Quantity
			case event.Restock_RESTOCK_RETURN:
				returned += l.Quantity
			}
		}
	}
	return cancelled, returned
}

// movePrefix makes a move's id of an order's.
const movePrefix = "order/"

// moveInput is a stock move with its wrapping and its key, allocated at once with the order's
// others: the hot path.
type moveInput struct {
	input event.StockInput
	oneof event.StockInput_Move
	move  event.StockMove
	// Longer SKUs have their key elsewhere.
	key [24]byte
}

// emitMoves emits the moves of order: all of them, or those that differ from what old did. A SKU
// that is heard of for the first time has its move even when that claims nothing, because the
// order and all that was given back of it came together: the platform has counted the sale down
// by itself, and may not have counted up what came back. The cause's version is the order's,
// which all moves of one state share.
func (r *Room) emitMoves(tx *stream.Tx, id string, old, order *event.Order, all bool) {
	var buffer, oldBuffer [8]claim
	claims := claimsOf(order, buffer[:])
	if !all {
		var before []claim
		if old != nil {
			before = claimsOf(old, oldBuffer[:])
		}
		claims = slices.DeleteFunc(claims, func(c claim) bool { return slices.Contains(before, c) })
	}
	if len(claims) == 0 {
		return
	}
	inputs := make([]moveInput, len(claims))
	for i, c := range claims {
		in := &inputs[i]
		m := &in.move
		m.Sku, m.Warehouse, m.MoveId, m.CauseVersion = c.sku, r.warehouse, id, order.Version
		m.Kind, m.OnHand, m.Reserved = event.MoveKind_MOVE_KIND_ORDER, c.onHand, c.reserved
		m.OccurredMs = order.UpdatedMs
		in.oneof.Move = m
		in.input.Input = &in.oneof
		tx.Emit(stream.Output{Topic: schemas.StockIn, Key: append(in.key[:0], c.sku...), Value: &in.input})
	}
}

// emitValuables emits the amounts that are not in old, or differ: an order's total as it
// was sold, under the id of its moves, and each refund's.
func emitValuables(tx *stream.Tx, id string, old, order *event.Order) {
	if order.Total != nil && !order.Test {
		if old == nil || !old.Total.EqualVT(order.Total) || old.CreatedMs != order.CreatedMs || old.Test {
			emitValuable(tx, id, order.Version, order.Total, order.CreatedMs)
		}
	}
	if order.Test {
		return
	}
	for _, r := range order.Refunds {
		if r.Total == nil || (old != nil && !old.Test && refundValued(old.Refunds, r)) {
			continue
		}
		emitValuable(tx, "refund/"+order.Account+"/"+r.Id, order.Version, r.Total, r.CreatedMs)
	}
}

func refundValued(refunds []*event.Refund, r *event.Refund) bool {
	for _, o := range refunds {
		if o.Id == r.Id {
			return o.CreatedMs == r.CreatedMs && o.Total.EqualVT(r.Total)
		}
	}
	return false
}

// valuableInput is a valuable with its wrapping and its key, allocated at once: the hot path.
type valuableInput struct {
	input event.FxInput
	oneof event.FxInput_Valuable
	value event.Valuable
	// Longer subjects have their key elsewhere.
	key [40]byte
}

func emitValuable(tx *stream.Tx, subject string, v *event.Version, amount *event.Money, occurredMs int64) {
	in := new(valuableInput)
	in.value.Subject, in.value.Version, in.value.Amount, in.value.OccurredMs = subject, v, amount, occurredMs
	in.oneof.Valuable = &in.value
	in.input.Input = &in.oneof
	tx.Emit(stream.Output{Topic: schemas.FxIn, Key: append(in.key[:0], subject...), Value: &in.input})
}
