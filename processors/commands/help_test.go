package commands

import (
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// fataler is what testing.T and rapid.T have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func newRoom(t fataler) (*Room, *stream.Memory) {
	t.Helper()
	r, err := New()
	if err != nil {
		t.Fatalf("new: %v", err)
	}
	sr, err := stream.NewRoom(r, "test")
	if err != nil {
		t.Fatalf("new room: %v", err)
	}
	return r, stream.NewMemory(sr, schemas.CommandsIn)
}

func wrap(c *event.Command) *event.CommandInput {
	return &event.CommandInput{Input: &event.CommandInput_Command{Command: c}}
}

// at is a command about order O of the shop, requested at a second.
func at(second int64, id string) *event.Command {
	return &event.Command{Id: "depot/" + id, Account: "shop", OrderId: "O", RequestedMs: 1000 * second}
}

func shipment(second int64, id string) *event.Command {
	c := at(second, id)
	c.Action = &event.Command_Shipment{Shipment: &event.ShipmentReport{CarrierCode: "dhl", Tracking: "T-" + id}}
	return c
}

func cancellation(second int64, id string) *event.Command {
	c := at(second, id)
	c.Action = &event.Command_Cancellation{Cancellation: &event.Cancellation{Reason: "customer"}}
	return c
}

func refund(second int64, id string, unscaled int64) *event.Command {
	c := at(second, id)
	c.Action = &event.Command_Refund{Refund: &event.RefundRequest{Amount: euros(unscaled)}}
	return c
}

// price is one of listing L.
func price(second int64, id string, unscaled int64) *event.Command {
	c := at(second, id)
	c.OrderId, c.Action = "", &event.Command_Price{Price: &event.PriceChange{ListingId: "L", Amount: euros(unscaled)}}
	return c
}

func euros(unscaled int64) *event.Amount {
	return &event.Amount{Value: &event.Decimal{Unscaled: unscaled, Scale: 2}, Currency: "EUR"}
}

// became is what became of an attempt at a command.
func became(c *event.Command, o event.Outcome, code string) *event.CommandInput {
	return &event.CommandInput{Input: &event.CommandInput_Outcome{Outcome: &event.CommandOutcome{
		Account: c.Account, OrderId: c.OrderId, ListingId: c.GetPrice().GetListingId(), CommandId: c.Id,
		TargetVersion: &event.Version{}, Outcome: o, Code: code, Attempts: 1,
	}}}
}

func gaveUp(c *event.Command) *event.CommandInput {
	in := became(c, event.Outcome_OUTCOME_UNKNOWN, "timeout")
	in.GetOutcome().GaveUp = true
	return in
}

const (
	accepted = event.Outcome_OUTCOME_ACCEPTED
	refused  = event.Outcome_OUTCOME_REFUSED
	notSent  = event.Outcome_OUTCOME_NOT_SENT
	unsure   = event.Outcome_OUTCOME_UNKNOWN
)

func feed(m *stream.Memory, ins ...*event.CommandInput) {
	for _, in := range ins {
		m.AppendMessage("", in, 1_700_000_000_000)
	}
}

func drain(t fataler, m *stream.Memory, n int) []stream.Output {
	t.Helper()
	out, err := m.Drain(n)
	if err != nil {
		t.Fatalf("drain: %v", err)
	}
	return out
}

func bookOf(r *Room, m *stream.Memory, id string) *event.CommandBook {
	b, _ := m.Entry(stream.Key{Table: r.books, ID: id}).(*event.CommandBook)
	return b
}

var (
	orderO = schemas.CommandKey("shop", "O", "")
	priceL = schemas.CommandKey("shop", "", "L")
)

// states are a book's commands in order, "id state".
func states(b *event.CommandBook) (all []string) {
	for _, s := range b.GetCommands() {
		all = append(all, s.Command.Id[len("depot/"):]+" "+word(s.State))
	}
	return all
}

func word(s event.CommandState) string {
	return map[event.CommandState]string{
		event.CommandState_COMMAND_STATE_WAITING: "waiting", event.CommandState_COMMAND_STATE_SENT: "sent",
		event.CommandState_COMMAND_STATE_DONE: "done", event.CommandState_COMMAND_STATE_REFUSED: "refused",
		event.CommandState_COMMAND_STATE_NEEDS_PERSON: "needs a person", event.CommandState_COMMAND_STATE_SUPERSEDED: "superseded",
	}[s]
}

// toDo is what the newest target of each key says, "" = nothing.
func toDo(outputs []stream.Output) map[string]string {
	now, version := make(map[string]string), make(map[string]stream.Version)
	for _, o := range outputs {
		if o.Topic.Name != schemas.PushCommands.Name {
			continue
		}
		t := o.Value.(*event.CommandTarget)
		k := string(o.Key)
		if v := stream.VersionOf(t.Version); !v.Before(version[k]) {
			now[k], version[k] = t.GetCommand().GetId(), v
		}
	}
	return now
}

// alerted are the subjects of alerts by kind.
func alerted(outputs []stream.Output) map[string]bool {
	all := make(map[string]bool)
	for _, o := range outputs {
		if o.Topic.Name == schemas.Alerts.Name {
			a := o.Value.(*event.Alert)
			all[a.Kind+" "+a.Subject] = true
		}
	}
	return all
}

func deadLetters(outputs []stream.Output) (n int) {
	for _, o := range outputs {
		if o.Topic.Name == schemas.DeadLetters("commands").Name {
			n++
		}
	}
	return n
}
