package orders

import (
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// What becomes of an order whose buyer is to be forgotten. What was sold, for how much, and
// from which country stays: that is the seller's own book. What leads to a person goes, for
// good: whatever is said of the order afterwards is made nameless before it is joined, so that
// a late snapshot, a poll or a replay of old records brings nothing back.

// nameless takes out of an order what leads to a person. The order is the caller's; what it
// points to is shared and left as it is.
func nameless(o *event.Order) {
	o.Personal, o.BuyerId = nil, ""
	if d := o.Destination; d.GetPostcodePrefix() != "" {
		o.Destination = &event.Destination{Country: d.Country, Region: d.Region}
	}
	o.Refunds = namelessRefunds(o.Refunds)
}

// namelessRefunds are the same without their notes, which people write and which name people.
func namelessRefunds(refunds []*event.Refund) []*event.Refund {
	for i, r := range refunds {
		if r.GetNote() == "" {
			continue
		}
		rest := append(append(make([]*event.Refund, 0, len(refunds)), refunds[:i]...), namelessRefund(r))
		return append(rest, namelessRefunds(refunds[i+1:])...)
	}
	return refunds
}

func namelessRefund(r *event.Refund) *event.Refund {
	return &event.Refund{
		Connector: r.Connector, Account: r.Account, OrderId: r.OrderId, Id: r.Id, CreatedMs: r.CreatedMs,
		Lines: r.Lines, Total: r.Total, Shipping: r.Shipping, Origin: r.Origin,
	}
}

// nameless is what an input may say of an order whose buyer was forgotten.
func (s said) nameless() said {
	switch {
	case s.snapshot != nil:
		o := shallow(s.snapshot)
		nameless(o)
		return said{snapshot: o}
	case s.refund != nil:
		return said{refund: namelessRefund(s.refund)}
	}
	return s
}

// forget joins a decision to forget: the earliest stays.
func (j *joining) forget(f *event.Forget) {
	if j.forgottenMs == 0 || f.AtMs < j.forgottenMs {
		j.forgottenMs, j.forgotten = f.AtMs, true
	}
}

// commandsForget tells the commands room, which has what the seller wrote about the order.
func commandsForget(f *event.Forget) stream.Output {
	return stream.Output{
		Topic: schemas.CommandsIn, Key: []byte(schemas.CommandKey(f.Account, f.OrderId, "")),
		Value: &event.CommandInput{Input: &event.CommandInput_Forget{Forget: f}},
	}
}
