package orders

import (
	"fmt"
	"math"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// Config of the room.
type Config struct {
	// Warehouse that orders are reserved in; empty = the stock room's default.
	Warehouse string
}

// Room is the orders room.
type Room struct {
	warehouse string
	table     *stream.Table
}

// New makes the room.
func New(cfg Config) (*Room, error) {
	return &Room{
		warehouse: cfg.Warehouse,
		table: &stream.Table{
			Name: "orders", Topic: schemas.Orders,
			New: func() stream.Message { return new(event.Order) },
		},
	}, nil
}

// Name is the stage's name.
func (*Room) Name() string { return "orders" }

// Inputs is orders.in.
func (*Room) Inputs() []schemas.Topic { return []schemas.Topic{schemas.OrdersIn} }

// Tables is the orders themselves.
func (r *Room) Tables() []*stream.Table { return []*stream.Table{r.table} }

// Table is the table of orders; its entries' ids are account/order.
func (r *Room) Table() *stream.Table { return r.table }

// maxUnits bounds a line's quantities: more is a mistake, and would overflow sums.
const maxUnits = math.MaxInt32

// prepared is one input, decoded, and what is named after it: it lives as long as its batch.
type prepared struct {
	said
	keys   [1]stream.Key
	moveID string
	// taken: the snapshot has become an order.
	taken bool
}

// said is what an input says, one of four.
type said struct {
	snapshot *event.Order
	refund   *event.Refund
	resolved *event.LineResolved
	forget   *event.Forget
}

// read decodes. A snapshot is nobody else's.
func (s *said) read(value []byte) error {
	if d := decode(value); d != nil {
		// There is room for one: Apply sets it.
		d.order.Version = &d.version
		*s = said{snapshot: &d.order}
		return nil
	}
	in := new(event.OrderInput)
	if err := in.UnmarshalVT(value); err != nil {
		return fmt.Errorf("decoding an order input: %w: %w", connectors.ErrMalformed, err)
	}
	*s = said{in.GetSnapshot(), in.GetRefund(), in.GetLineResolved(), in.GetForget()}
	return nil
}

// Prepare decodes.
func (r *Room) Prepare(rec *stream.Record) (stream.Input, error) {
	p := new(prepared)
	if err := p.read(rec.Value); err != nil {
		return stream.Input{}, err
	}
	var account, id string
	switch {
	case p.snapshot != nil:
		account, id = p.snapshot.Account, p.snapshot.Id
		if err := checkSnapshot(p.snapshot); err != nil {
			return stream.Input{}, fmt.Errorf("order %s/%s: %w", account, id, err)
		}
	case p.refund != nil:
		account, id = p.refund.Account, p.refund.OrderId
		if err := checkRefund(p.refund); err != nil {
			return stream.Input{}, fmt.Errorf("refund %s of order %s/%s: %w", p.refund.Id, account, id, err)
		}
	case p.resolved != nil:
		account, id = p.resolved.Account, p.resolved.OrderId
		if err := checkResolution(p.resolved.Resolution); err != nil || p.resolved.Resolution == nil {
			return stream.Input{}, fmt.Errorf("SKU of a line of order %s/%s: no usable resolution: %w", account, id, connectors.ErrMalformed)
		}
	case p.forget != nil:
		account, id = p.forget.Account, p.forget.OrderId
		if p.forget.AtMs <= 0 {
			return stream.Input{}, fmt.Errorf("order %s/%s is to be forgotten without a time: %w", account, id, connectors.ErrMalformed)
		}
	default:
		return stream.Input{}, fmt.Errorf("order input of a kind that this version does not know: upgrade and redrive: %w", connectors.ErrUnsupported)
	}
	if account == "" || id == "" {
		return stream.Input{}, fmt.Errorf("order input without account or order id: %w", connectors.ErrMalformed)
	}
	// The entry's id is the end of the move's.
	p.moveID = movePrefix + account + "/" + id
	p.keys[0] = stream.Key{Table: r.table, ID: p.moveID[len(movePrefix):]}
	return stream.Input{Keys: p.keys[:], Value: p}, nil
}

func checkSnapshot(o *event.Order) error {
	if o.GetUpdatedMs() <= 0 {
		return fmt.Errorf("no time of change: %w", connectors.ErrMalformed)
	}
	for _, l := range o.Lines {
		for _, q := range [...]int64{l.Quantity, l.Fulfilled, l.Removed} {
			if q < 0 || q > maxUnits {
				return fmt.Errorf("line %s: quantity %d: %w", l.Id, q, connectors.ErrMalformed)
			}
		}
		if err := checkResolution(l.Resolution); err != nil {
			return fmt.Errorf("line %s: %w", l.Id, err)
		}
	}
	for _, r := range o.Refunds {
		if err := checkRefund(r); err != nil {
			return fmt.Errorf("refund %s: %w", r.Id, err)
		}
	}
	return nil
}

func checkRefund(r *event.Refund) error {
	if r.GetId() == "" {
		return fmt.Errorf("no id: %w", connectors.ErrMalformed)
	}
	for _, l := range r.Lines {
		if l.Quantity < 0 || l.Quantity > maxUnits {
			return fmt.Errorf("quantity %d of line %s: %w", l.Quantity, l.OrderLineId, connectors.ErrMalformed)
		}
	}
	return nil
}

func checkResolution(r *event.Resolution) error {
	if r.GetSku() == "" {
		return nil
	}
	if r.Multiplier < 1 || r.Multiplier > maxUnits {
		return fmt.Errorf("multiplier %d of SKU %s: %w", r.Multiplier, r.Sku, connectors.ErrMalformed)
	}
	return nil
}

// Apply joins the input to the order.
func (r *Room) Apply(tx *stream.Tx, rec *stream.Record, in stream.Input) error {
	p := in.Value.(*prepared)
	if p.forget != nil {
		tx.Emit(commandsForget(p.forget))
	}
	if p.taken {
		// An order of another state, that was given up.
		if err := p.read(rec.Value); err != nil {
			return err
		}
		p.taken = false
	}
	old, _ := tx.Get(p.keys[0]).(*event.Order)
	said, take := p.said, true
	if old.GetForgottenMs() != 0 {
		// What was forgotten stays forgotten: the input says no more than an order may.
		said, take = said.nameless(), false
	}
	order := join(old, said, take)
	if order == nil {
		if p.forget != nil {
			// Whoever says it again has seen an older state at the end of the table's topic, where a
			// process that was late has left it: the newest one goes there again.
			tx.Again(p.keys[0])
		}
		return nil
	}
	p.taken = order == p.snapshot
	v := tx.Version()
	order.Version.Epoch, order.Version.Number = v.Epoch, v.Number
	tx.Put(p.keys[0], order)
	r.emitMoves(tx, p.moveID, old, order, false)
	emitValuables(tx, p.moveID, old, order)
	return nil
}

// Repeat emits what the order says now.
func (r *Room) Repeat(tx *stream.Tx, _ *stream.Record, in stream.Input) error {
	p := in.Value.(*prepared)
	if p.forget != nil {
		tx.Emit(commandsForget(p.forget))
	}
	order, _ := tx.Get(p.keys[0]).(*event.Order)
	if order == nil {
		return nil
	}
	tx.Again(p.keys[0])
	r.emitMoves(tx, p.moveID, nil, order, true)
	emitValuables(tx, p.moveID, nil, order)
	return nil
}
