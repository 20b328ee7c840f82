package orders

import (
	"strings"
	"testing"

	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// ann is an order of somebody.
func ann(updatedMs int64) *event.OrderInput {
	return snapshot(order(updatedMs, func(o *event.Order) {
		o.BuyerId = "buyer-ann"
		o.Personal = &event.PersonalData{
			Name: "Ann Example", Email: "ann@example.com",
			Shipping: &event.PostalAddress{Name: "Ann Example", Street: []string{"1 Example Street"}},
		}
		o.Destination = &event.Destination{Country: "GB", Region: "England", PostcodePrefix: "M1"}
		r := refund("r1", "a", 1, event.Restock_RESTOCK_RETURN)
		r.Note = "call Ann Example"
		o.Refunds = []*event.Refund{r}
	}, line("a", "L", 3, 2, resolution("MUG", 1, 1))))
}

// leads tells what of an encoded order leads to Ann.
func leads(t *testing.T, o *event.Order) (found []string) {
	t.Helper()
	b, err := o.MarshalVTStrict()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"Ann", "ann", "Street", "M1"} {
		if strings.Contains(string(b), s) {
			found = append(found, s)
		}
	}
	return found
}

// A buyer who was forgotten stays forgotten, whatever comes before or afterwards, in whatever
// batches; goods and money are what they were.
func TestForgottenStaysForgotten(t *testing.T) {
	note := refund("r2", "a", 1, event.Restock_RESTOCK_RETURN)
	note.Note = "Ann again"
	ins := []*event.OrderInput{ann(1000), forget(5000), ann(2000), refunded(note), forget(4000)}
	for _, p := range permutations(len(ins)) {
		for batch := 1; batch <= len(ins); batch += 2 {
			room, m := newRoom(t)
			for _, i := range p {
				feed(m, ins[i])
			}
			out := drain(t, m, batch)
			got := state(room, m)
			if found := leads(t, got); len(found) > 0 {
				t.Fatalf("order of arrival %v: %q is still there: %v", p, found, got)
			}
			if got.ForgottenMs != 4000 || got.UpdatedMs != 2000 || got.Destination.GetCountry() != "GB" || len(got.Refunds) != 2 {
				t.Fatalf("order of arrival %v: %v", p, got)
			}
			if f := figures(out)["MUG"]; f != [2]int64{0, 1} {
				t.Fatalf("order of arrival %v: stock %v", p, f)
			}
		}
	}
}

// A replay of all that came before changes nothing any more, and emits nothing new.
func TestReplayBringsNothingBack(t *testing.T) {
	_, m := newRoom(t)
	feed(m, ann(1000), forget(5000))
	drain(t, m, 1)
	feed(m, ann(1000), ann(900))
	if out := drain(t, m, 2); len(out) != 0 {
		t.Errorf("%d outputs", len(out))
	}
	// Told once more, the order stands at the end of its topic again: an older state that a late
	// writer left there would outlive compaction.
	feed(m, forget(6000))
	// And what the seller wrote about it is forgotten, should that have been lost.
	topics := make(map[string]int)
	for _, o := range drain(t, m, 2) {
		topics[o.Topic.Name]++
	}
	if len(topics) != 2 || topics[schemas.Orders.Name] != 1 || topics[schemas.CommandsIn.Name] != 1 {
		t.Errorf("outputs: %v", topics)
	}
}

// An order that was never heard of can be forgotten too: it is when it comes.
func TestForgottenBeforeItComes(t *testing.T) {
	room, m := newRoom(t)
	feed(m, forget(5000))
	drain(t, m, 1)
	if o := state(room, m); o == nil || o.ForgottenMs != 5000 {
		t.Fatalf("order %v", o)
	}
	feed(m, ann(7000))
	for _, o := range drain(t, m, 1) {
		if o.Topic.Name == schemas.Orders.Name {
			if found := leads(t, state(room, m)); len(found) > 0 {
				t.Errorf("%q came back", found)
			}
		}
	}
	feed(m, &event.OrderInput{Input: &event.OrderInput_Forget{Forget: &event.Forget{Account: "shop", OrderId: "1"}}})
	out, err := m.Drain(1)
	if err != nil || len(out) != 1 || out[0].Topic.Name != schemas.DeadLetters("orders").Name {
		t.Errorf("a decision without a time: %v, %v", out, err)
	}
}
