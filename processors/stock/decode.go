package stock

import (
	"bytes"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas/event"
)

// heard is one move as far as the room needs it, with its keys: those of level and claim. It
// lives as long as its batch. Nearly all records of the room are one move, so it is one
// allocation.
type heard struct {
	keys               [2]stream.Key
	sku, warehouse, id string
	cause              stream.Version
	counts             bool
	onHand, reserved   int64
}

// hear decodes a StockInput that is one move. The texts of the move are parts of its claim's
// id. What it does not know, or finds twice, broken or to be refused, it leaves to the
// generated code, whose word counts: then it returns nil. Fields that nobody asks for here are
// passed over.
func (r *Room) hear(value []byte) *heard {
	var move []byte
	for len(value) > 0 {
		number, kind, n := protowire.ConsumeTag(value)
		if n < 0 || kind != protowire.BytesType || number != 1 && number != 15 {
			return nil
		}
		field, m := protowire.ConsumeBytes(value[n:])
		if m < 0 || number == 1 && move != nil {
			return nil
		}
		if number == 1 {
			move = field
		}
		value = value[n+m:]
	}
	h := new(heard)
	if !h.read(r, move) {
		return nil
	}
	return h
}

// of is a move that the generated code decoded and checkMove let pass.
func (h *heard) of(m *event.StockMove, keys []stream.Key) {
	h.keys = [2]stream.Key(keys)
	h.sku, h.warehouse, h.id = m.Sku, m.Warehouse, m.MoveId
	h.cause = stream.VersionOf(m.CauseVersion)
	h.counts = m.Kind != event.MoveKind_MOVE_KIND_ORDER
	h.onHand, h.reserved = m.OnHand, m.Reserved
}

// Tags of a move's fields: number and wire type.
const (
	textField   = uint64(protowire.BytesType)
	figureField = uint64(protowire.VarintType)
)

func (h *heard) read(r *Room, b []byte) bool {
	var sku, warehouse, id []byte
	h.counts = true
	versions := 0
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		var text []byte
		var figure uint64
		l := -1
		switch kind {
		case protowire.BytesType:
			text, l = protowire.ConsumeBytes(b[n:])
		case protowire.VarintType:
			figure, l = protowire.ConsumeVarint(b[n:])
		}
		if l < 0 {
			return false
		}
		b = b[n+l:]
		switch uint64(number)<<3 | uint64(kind) {
		case 1<<3 | textField:
			sku = text
		case 2<<3 | textField:
			warehouse = text
		case 3<<3 | textField:
			id = text
		case 4<<3 | textField:
			versions++
			if versions > 1 || !readVersion(&h.cause, text) {
				return false
			}
		case 5<<3 | figureField:
			h.counts = event.MoveKind(figure) != event.MoveKind_MOVE_KIND_ORDER
		case 6<<3 | figureField:
			h.onHand = int64(figure)
		case 7<<3 | figureField:
			h.reserved = int64(figure)
		case 8<<3 | figureField, 9<<3 | textField:
			// When it was, and a note: for readers of the topic.
		default:
			return false
		}
	}
	if len(sku) == 0 || len(id) == 0 || versions == 0 || !inBounds(h.onHand, h.reserved) || separates(sku) || separates(warehouse) {
		return false
	}
	h.name(r, sku, warehouse, id)
	return true
}

func readVersion(v *stream.Version, b []byte) bool {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 || kind != protowire.VarintType {
			return false
		}
		figure, l := protowire.ConsumeVarint(b[n:])
		if l < 0 {
			return false
		}
		b = b[n+l:]
		switch number {
		case 1:
			v.Epoch = int64(figure)
		case 2:
			v.Number = int64(figure)
		default:
			return false
		}
	}
	return true
}

// separates: in a claim's id the text would have to be escaped.
func separates(text []byte) bool {
	return bytes.IndexByte(text, '|') >= 0 || bytes.IndexByte(text, '%') >= 0
}

// name makes the claim's id, see ClaimID, and of its parts the texts and the level's key.
func (h *heard) name(r *Room, sku, warehouse, id []byte) {
	var claim string
	if len(warehouse) == 0 || string(warehouse) == r.warehouse {
		claim = string(sku) + r.between + string(id)
		h.warehouse = r.warehouse
	} else {
		claim = string(sku) + "|" + string(warehouse) + "|" + string(id)
		h.warehouse = claim[len(sku)+1:][:len(warehouse)]
	}
	h.sku, h.id = claim[:len(sku)], claim[len(claim)-len(id):]
	h.keys = [2]stream.Key{{Table: r.levels, ID: h.sku}, {Table: r.claims, ID: claim}}
}
