package commands

import (
	"strings"
	"testing"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas/event"
)

// forgetBuyer of order O.
func forgetBuyer(atMs int64) *event.CommandInput {
	return &event.CommandInput{Input: &event.CommandInput_Forget{Forget: &event.Forget{Account: "shop", OrderId: "O", AtMs: atMs, RequestId: "q"}}}
}

// aboutAnn are commands that name somebody wherever they can.
func aboutAnn() (ship, cancel, back *event.Command) {
	ship, cancel, back = shipment(1, "ship"), cancellation(2, "cancel"), refund(3, "back", 500)
	ship.GetShipment().Tracking, ship.GetShipment().TrackingUrl = "to-ann", "https://carrier.example/to-ann"
	cancel.GetCancellation().Reason = "ann moved"
	back.GetRefund().Note = "call ann"
	return ship, cancel, back
}

// leads reports whether a message leads to Ann.
func leads(t fataler, m stream.Message) bool {
	t.Helper()
	b, err := m.MarshalVTStrict()
	if err != nil {
		t.Fatalf("encoding: %v", err)
	}
	return strings.Contains(string(b), "ann")
}

// TestForgottenWhenItIsOver: what is over names nobody, what is still to be done is told whole and
// names nobody afterwards, and what was done, for how much, stays.
func TestForgottenWhenItIsOver(t *testing.T) {
	r, m := newRoom(t)
	ship, cancel, back := aboutAnn()
	told := func(o event.Outcome, c *event.Command) *event.CommandInput {
		in := became(c, o, "code")
		in.GetOutcome().Message = "ann said so"
		return in
	}
	feed(m, wrap(ship), wrap(cancel), wrap(back), told(accepted, ship), told(refused, cancel), forgetBuyer(9000))
	drain(t, m, 1)
	b := bookOf(r, m, orderO)
	equal(t, "states", []string{"ship done", "cancel refused", "back sent"}, states(b))
	for _, s := range b.Commands[:2] {
		if leads(t, s.Command) || s.Message != "" || s.Code != "code" {
			t.Errorf("%s after its buyer was forgotten: %v", s.Command.Id, s)
		}
	}
	if !b.Commands[2].Command.EqualVT(back) {
		t.Errorf("what is still to be done: %v, want %v", b.Commands[2].Command, back)
	}

	feed(m, forgetBuyer(8000), told(accepted, back))
	drain(t, m, 1)
	b = bookOf(r, m, orderO)
	equal(t, "states", []string{"ship done", "cancel refused", "back done"}, states(b))
	if leads(t, b) || b.NamelessMs != 8000 {
		t.Errorf("the book: %v", b)
	}
	if a := b.Commands[2].Command.GetRefund(); !a.Amount.EqualVT(euros(500)) {
		t.Errorf("of the refund stayed %v", a)
	}

	// Sent again, a command is still the same one; another one under its id is not.
	feed(m, wrap(ship), wrap(back))
	drain(t, m, 2)
	if n := deadLetters(m.Emitted); n != 0 {
		t.Errorf("%d dead letters for commands that were sent again", n)
	}
	other := refund(3, "back", 501)
	feed(m, wrap(other))
	drain(t, m, 1)
	if n := deadLetters(m.Emitted); n != 1 {
		t.Errorf("%d dead letters for another command under the id", n)
	}
	if leads(t, bookOf(r, m, orderO)) {
		t.Error("sent again, it brought the name back")
	}
}

// TestForgetWithoutCommands keeps nothing, and one that says too little is refused.
func TestForgetWithoutCommands(t *testing.T) {
	r, m := newRoom(t)
	feed(m, forgetBuyer(9000))
	if out := drain(t, m, 1); len(out) != 0 || bookOf(r, m, orderO) != nil {
		t.Errorf("%d outputs, book %v", len(out), bookOf(r, m, orderO))
	}
	feed(m, forgetBuyer(0))
	drain(t, m, 1)
	if n := deadLetters(m.Emitted); n != 1 {
		t.Errorf("%d dead letters for a decision without a time", n)
	}
}
