package commands

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/schemas/event"
)

func equal(t *testing.T, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// TestOneAtATime: the commands of one order are carried out in the order in which they were
// requested, one at a time, whatever became of the one before.
func TestOneAtATime(t *testing.T) {
	r, m := newRoom(t)
	ship, cancel, back := shipment(1, "ship"), cancellation(2, "cancel"), refund(3, "back", 500)
	step := func(want []string, now string, in *event.CommandInput) {
		t.Helper()
		feed(m, in)
		drain(t, m, 1)
		equal(t, "states", want, states(bookOf(r, m, orderO)))
		equal(t, "to do", map[string]string{orderO: now}, toDo(m.Emitted))
	}
	step([]string{"ship sent"}, "depot/ship", wrap(ship))
	step([]string{"ship sent", "back waiting"}, "depot/ship", wrap(back))
	step([]string{"ship sent", "cancel waiting", "back waiting"}, "depot/ship", wrap(cancel)) // requested before it
	step([]string{"ship sent", "cancel waiting", "back waiting"}, "depot/ship", became(ship, unsure, "timeout"))
	step([]string{"ship done", "cancel sent", "back waiting"}, "depot/cancel", became(ship, accepted, ""))
	step([]string{"ship done", "cancel refused", "back sent"}, "depot/back", became(cancel, refused, "shipped"))
	step([]string{"ship done", "cancel refused", "back needs a person"}, "", gaveUp(back))
	step([]string{"ship done", "cancel refused", "back done"}, "", became(back, accepted, "")) // it was, after all
	equal(t, "alerts", map[string]bool{
		"command-refused shop/O (depot/cancel)": true, "command-needs-person shop/O (depot/back)": true,
	}, alerted(m.Emitted))
	for _, o := range m.Emitted {
		if a, ok := o.Value.(*event.Alert); ok && a.Kind == "command-refused" && a.Text != "cancellation of shop/O (depot/cancel) was refused: shipped" {
			t.Errorf("alert: %s", a.Text)
		}
	}
}

// TestNewestPrice: of a listing's prices the one requested last wins, in whatever order they come.
func TestNewestPrice(t *testing.T) {
	first, second, third := price(1, "a", 100), price(2, "b", 200), price(3, "c", 300)
	for _, arrival := range [][]*event.Command{{first, second, third}, {third, second, first}, {second, third, first}} {
		r, m := newRoom(t)
		for _, c := range arrival {
			feed(m, wrap(c), wrap(c))
		}
		drain(t, m, 2)
		equal(t, "states", []string{"a superseded", "b superseded", "c sent"}, states(bookOf(r, m, priceL)))
		equal(t, "to do", map[string]string{priceL: "depot/c"}, toDo(m.Emitted))
	}
}

// TestRefusedByTheCatalog: what the catalog refuses is in the book as refused, is never handed
// to a platform, and does not stand in another price's way.
func TestRefusedByTheCatalog(t *testing.T) {
	r, m := newRoom(t)
	good, pack := price(1, "good", 100), price(2, "pack", 200)
	pack.RefusalCode, pack.Refusal = "pack", "it sells six at once"
	feed(m, wrap(good), wrap(pack), became(good, accepted, ""))
	drain(t, m, 1)
	equal(t, "states", []string{"good done", "pack refused"}, states(bookOf(r, m, priceL)))
	equal(t, "alerts", map[string]bool{"command-refused shop/L (depot/pack)": true}, alerted(m.Emitted))
	for _, o := range m.Emitted {
		if tg, ok := o.Value.(*event.CommandTarget); ok && tg.GetCommand().GetId() == pack.Id {
			t.Error("a refused price became a target")
		}
	}
}

// TestFromTheFuture: a clock that is far ahead keeps nobody else away.
func TestFromTheFuture(t *testing.T) {
	r, m := newRoom(t)
	late, good, near := price(1_700_000_000+3601, "late", 100), price(1_700_000_000, "good", 200), price(1_700_000_000+3600, "near", 300)
	feed(m, wrap(late), wrap(good), wrap(near), wrap(cancellation(2_000_000_000, "x")))
	drain(t, m, 1)
	equal(t, "prices", []string{"good superseded", "near sent", "late refused"}, states(bookOf(r, m, priceL)))
	equal(t, "order", []string{"x refused"}, states(bookOf(r, m, orderO)))
	equal(t, "alerts", map[string]bool{"command-refused shop/L (depot/late)": true, "command-refused shop/O (depot/x)": true}, alerted(m.Emitted))
}

// TestAnIdIsUsedOnce: the same again is nothing new, also when it was said at another time;
// something else under the id goes to the dead letters.
func TestAnIdIsUsedOnce(t *testing.T) {
	r, m := newRoom(t)
	one, again, other := refund(1, "r", 500), refund(9, "r", 500), refund(1, "r", 5000)
	feed(m, wrap(one), wrap(again), wrap(other))
	out := drain(t, m, 1)
	if n := deadLetters(out); n != 1 {
		t.Errorf("%d dead letters, want 1", n)
	}
	b := bookOf(r, m, orderO)
	if len(b.Commands) != 1 || b.Commands[0].Command.GetRefund().Amount.Value.Unscaled != 500 || b.Commands[0].Command.RequestedMs != 1000 {
		t.Errorf("the book says %v", b)
	}
}

// TestBounds: an order has so many commands, a listing remembers so many prices, and what was
// forgotten does not come back.
func TestBounds(t *testing.T) {
	r, m := newRoom(t)
	for i := range int64(maxCommands) {
		feed(m, wrap(refund(i+1, fmt.Sprint("r", i), 1)))
	}
	feed(m, wrap(refund(1000, "one-too-many", 1)))
	for i := range int64(maxPrices + 5) {
		feed(m, wrap(price(i+1, fmt.Sprint("p", i), i+1)))
	}
	feed(m, wrap(price(1, "p0", 1)))
	if n := deadLetters(drain(t, m, 7)); n != 1 {
		t.Errorf("%d dead letters, want 1", n)
	}
	if n := len(bookOf(r, m, orderO).Commands); n != maxCommands {
		t.Errorf("%d commands in the book of the order", n)
	}
	got := states(bookOf(r, m, priceL))
	if len(got) != maxPrices || got[len(got)-1] != fmt.Sprintf("p%d sent", maxPrices+4) || strings.HasPrefix(got[0], "p0 ") {
		t.Errorf("prices: %v", got)
	}
}

// TestBookFitsARecord: so many long commands are one too many before Kafka says so.
func TestBookFitsARecord(t *testing.T) {
	r, m := newRoom(t)
	long := make([]*event.CommandLine, 500)
	for i := range long {
		long[i] = &event.CommandLine{LineId: strings.Repeat("x", 200), Quantity: int64(i)}
	}
	for i := range int64(10) {
		c := shipment(i+1, fmt.Sprint("s", i))
		c.GetShipment().Lines = long
		feed(m, wrap(c))
	}
	n := deadLetters(drain(t, m, 3))
	if size := bookOf(r, m, orderO).SizeVT(); n == 0 || n == 10 || size > maxBytes {
		t.Errorf("%d of 10 were refused, and the book is of %d bytes", n, size)
	}
}

func TestPrepareRefuses(t *testing.T) {
	bad := map[string]*event.CommandInput{
		"nothing":                  {},
		"no id":                    wrap(&event.Command{Account: "shop", OrderId: "O", RequestedMs: 1, Action: shipment(1, "x").Action}),
		"no time":                  wrap(&event.Command{Id: "a", Account: "shop", OrderId: "O", Action: shipment(1, "x").Action}),
		"no order":                 wrap(&event.Command{Id: "a", Account: "shop", RequestedMs: 1, Action: shipment(1, "x").Action}),
		"no action":                wrap(&event.Command{Id: "a", Account: "shop", OrderId: "O", RequestedMs: 1}),
		"a price of an order":      wrap(&event.Command{Id: "a", Account: "shop", OrderId: "O", RequestedMs: 1, Action: price(1, "x", 1).Action}),
		"an outcome of nothing":    {Input: &event.CommandInput_Outcome{Outcome: &event.CommandOutcome{Account: "shop", CommandId: "a"}}},
		"an outcome of both":       {Input: &event.CommandInput_Outcome{Outcome: &event.CommandOutcome{Account: "shop", CommandId: "a", OrderId: "O", ListingId: "L"}}},
		"an outcome of no command": {Input: &event.CommandInput_Outcome{Outcome: &event.CommandOutcome{Account: "shop", OrderId: "O"}}},
	}
	for name, in := range bad {
		_, m := newRoom(t)
		feed(m, in)
		if deadLetters(drain(t, m, 1)) != 1 {
			t.Errorf("%s: it was taken", name)
		}
	}
}
