package commands

import "github.com/helloword/crossdock/schemas/event"

// What becomes of the commands about an order whose buyer is to be forgotten. What was asked for,
// for how much, and what came of it stays: that is the seller's own book. What people wrote, what
// the platform answered in words, and the way of a parcel to a door go. A command that is still
// to be carried out keeps them until it is over: the platform has to be told.

// loseName takes in a decision to forget: the earliest stays.
func (b *book) loseName(f *event.Forget) {
	if b.NamelessMs != 0 && b.NamelessMs <= f.AtMs {
		return
	}
	b.NamelessMs, b.changed = f.AtMs, true
	for i, s := range b.Commands {
		if open(s.State) {
			continue
		}
		strip(b.change(i))
	}
}

// strip takes out of a status that is over, the book's own, what may lead to a person.
func strip(s *event.CommandStatus) { s.Command, s.Message = bare(s.Command), "" }

// bare is a command without what may lead to a person.
func bare(c *event.Command) *event.Command {
	n := &event.Command{
		Id: c.Id, Account: c.Account, OrderId: c.OrderId, RequestedMs: c.RequestedMs, Action: c.Action,
		Origin: c.Origin, RefusalCode: c.RefusalCode, Refusal: c.Refusal,
	}
	switch a := c.Action.(type) {
	case *event.Command_Shipment:
		s := a.Shipment
		n.Action = &event.Command_Shipment{Shipment: &event.ShipmentReport{
			Lines: s.Lines, CarrierCode: s.CarrierCode, CarrierName: s.CarrierName, Notify: s.Notify,
		}}
	case *event.Command_Cancellation:
		n.Action = &event.Command_Cancellation{Cancellation: &event.Cancellation{Restock: a.Cancellation.Restock, Notify: a.Cancellation.Notify}}
	case *event.Command_Refund:
		r := a.Refund
		n.Action = &event.Command_Refund{Refund: &event.RefundRequest{Lines: r.Lines, Amount: r.Amount, PaymentId: r.PaymentId, Restock: r.Restock}}
	}
	return n
}
