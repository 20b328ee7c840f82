package commands

import (
	"fmt"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// Room is the commands room.
type Room struct {
	books *stream.Table
}

// New makes the room.
func New() (*Room, error) {
	return &Room{books: &stream.Table{
		Name: "books", Topic: schemas.Commands,
		New: func() stream.Message { return new(event.CommandBook) },
	}}, nil
}

// Name is the stage's name.
func (*Room) Name() string { return "commands" }

// Inputs is commands.in.
func (*Room) Inputs() []schemas.Topic { return []schemas.Topic{schemas.CommandsIn} }

// Tables is the books.
func (r *Room) Tables() []*stream.Table { return []*stream.Table{r.books} }

// Books is the table of books; for its entries' ids see schemas.CommandKey.
func (r *Room) Books() *stream.Table { return r.books }

// Prepare decodes.
func (r *Room) Prepare(rec *stream.Record) (stream.Input, error) {
	in := new(event.CommandInput)
	if err := in.UnmarshalVT(rec.Value); err != nil {
		return stream.Input{}, fmt.Errorf("decoding a command input: %w: %w", connectors.ErrMalformed, err)
	}
	var id string
	switch v := in.Input.(type) {
	case *event.CommandInput_Command:
		c := v.Command
		if err := check(c); err != nil {
			return stream.Input{}, err
		}
		id = schemas.CommandKey(c.Account, c.OrderId, c.GetPrice().GetListingId())
	case *event.CommandInput_Outcome:
		o := v.Outcome
		if o.GetAccount() == "" || o.CommandId == "" || (o.OrderId == "") == (o.ListingId == "") {
			return stream.Input{}, fmt.Errorf("outcome without account, command, or one of order and listing: %w", connectors.ErrMalformed)
		}
		id = schemas.CommandKey(o.Account, o.OrderId, o.ListingId)
	case *event.CommandInput_Forget:
		f := v.Forget
		if f.GetAccount() == "" || f.OrderId == "" || f.AtMs <= 0 {
			return stream.Input{}, fmt.Errorf("a buyer is to be forgotten without account, order or time: %w", connectors.ErrMalformed)
		}
		id = schemas.CommandKey(f.Account, f.OrderId, "")
	default:
		return stream.Input{}, fmt.Errorf("command input of a kind that this version does not know: upgrade and redrive: %w", connectors.ErrUnsupported)
	}
	return stream.Input{Keys: []stream.Key{{Table: r.books, ID: id}}, Value: in}, nil
}

func check(c *event.Command) error {
	if c.GetId() == "" || c.Account == "" || c.RequestedMs <= 0 {
		return fmt.Errorf("command %q without id, account or time: %w", c.GetId(), connectors.ErrMalformed)
	}
	switch a := c.Action.(type) {
	case *event.Command_Price:
		if c.OrderId != "" || a.Price.GetListingId() == "" || a.Price.GetAmount() == nil {
			return fmt.Errorf("price %s without listing or amount, or with an order: %w", c.Id, connectors.ErrMalformed)
		}
		return nil
	case *event.Command_Shipment, *event.Command_Cancellation, *event.Command_Refund:
		if c.OrderId == "" {
			return fmt.Errorf("command %s without order: %w", c.Id, connectors.ErrMalformed)
		}
		return nil
	}
	return fmt.Errorf("command %s asks for something that this version does not know: upgrade and redrive: %w", c.Id, connectors.ErrUnsupported)
}

// Apply folds one input into its book.
func (r *Room) Apply(tx *stream.Tx, _ *stream.Record, in stream.Input) error {
	k := in.Keys[0]
	old, _ := tx.Get(k).(*event.CommandBook)
	input := in.Value.(*event.CommandInput)
	var n *book
	switch v := input.Input.(type) {
	case *event.CommandInput_Command:
		if err := refuse(old, v.Command); err != nil {
			return err
		}
		n = succeed(tx, old, v.Command.Account, v.Command.OrderId, v.Command.GetPrice().GetListingId())
		n.take(v.Command)
	case *event.CommandInput_Outcome:
		if old == nil {
			return nil // of a book that was never kept: nobody asks
		}
		n = succeed(tx, old, old.Account, old.OrderId, old.ListingId)
		n.hear(v.Outcome)
	case *event.CommandInput_Forget:
		if old == nil {
			return nil // nobody asked for anything
		}
		n = succeed(tx, old, old.Account, old.OrderId, "")
		n.loseName(v.Forget)
	}
	if !n.changed {
		return nil
	}
	if n.next() {
		tx.Emit(target(n.CommandBook))
	}
	for _, a := range n.alerts {
		tx.Emit(a)
	}
	tx.Put(k, n.CommandBook)
	return nil
}

// Repeat emits what the book says now. A command that was refused is refused again: its dead
// letter may have been lost.
func (r *Room) Repeat(tx *stream.Tx, _ *stream.Record, in stream.Input) error {
	k := in.Keys[0]
	b, _ := tx.Get(k).(*event.CommandBook)
	if c := in.Value.(*event.CommandInput).GetCommand(); c != nil {
		if err := refuse(b, c); err != nil {
			return err
		}
	}
	if b == nil {
		return nil
	}
	tx.Again(k)
	if b.TargetVersion != nil {
		tx.Emit(target(b))
	}
	for _, s := range b.Commands {
		// Only what may not have been told: what this record or a later one brought about.
		if alarming(s.State) && !stream.VersionOf(s.Since).Before(stream.VersionOf(tx.Version())) {
			tx.Emit(alert(b, s))
		}
	}
	return nil
}
