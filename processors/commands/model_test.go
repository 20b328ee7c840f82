package commands

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// oracle is one order, or one listing, as a patient clerk would keep it: every command on a
// list, and a pencil mark at the one that is under way.
type oracle struct {
	price    bool
	known    []*event.Command
	ended    map[string]string
	current  string
	nameless bool
}

func newOracle(price bool) *oracle { return &oracle{price: price, ended: map[string]string{}} }

func (o *oracle) command(c *event.Command) {
	if slices.ContainsFunc(o.known, func(k *event.Command) bool { return k.Id == c.Id }) {
		return
	}
	o.known = append(o.known, c)
	o.settle()
}

func (o *oracle) outcome(id string, out event.Outcome, gaveUp bool) {
	if !slices.ContainsFunc(o.known, func(k *event.Command) bool { return k.Id == id }) {
		return
	}
	unknown := o.ended[id] == "needs a person"
	switch {
	case out == accepted:
		o.ended[id] = "done"
	case out == refused && (id == o.current || unknown):
		o.ended[id] = "refused"
	case gaveUp && id == o.current:
		o.ended[id] = "needs a person"
	}
	o.settle()
}

// settle looks through the whole list anew.
func (o *oracle) settle() {
	if o.current != "" && o.ended[o.current] != "" {
		o.current = ""
	}
	list := slices.Clone(o.known)
	slices.SortFunc(list, func(a, b *event.Command) int {
		if before(a, b) {
			return -1
		}
		return 1
	})
	if o.price {
		for _, c := range list[:len(list)-1] {
			if o.ended[c.Id] == "" {
				o.ended[c.Id] = "superseded"
			}
		}
		o.current = ""
	}
	if o.current != "" {
		return
	}
	for _, c := range list {
		if o.ended[c.Id] == "" {
			o.current = c.Id
			return
		}
	}
}

func (o *oracle) check(t *rapid.T, b *event.CommandBook, now string) {
	if len(b.GetCommands()) != len(o.known) {
		t.Fatalf("%d commands in the book, %d on the list", len(b.GetCommands()), len(o.known))
	}
	for i, s := range b.GetCommands() {
		want := o.ended[s.Command.Id]
		switch {
		case want == "" && s.Command.Id == o.current:
			want = "sent"
		case want == "":
			want = "waiting"
		}
		if got := word(s.State); got != want {
			t.Fatalf("%s is %q, want %q; the list is %v", s.Command.Id, got, want, o)
		}
		over := want != "waiting" && want != "sent"
		if whole := named(s.Command.Id); o.nameless && over == s.Command.EqualVT(whole) && !bare(whole).EqualVT(whole) {
			t.Fatalf("%s, which is %s, is %v after its buyer was forgotten", s.Command.Id, want, s.Command)
		}
		if i > 0 && !before(b.Commands[i-1].Command, s.Command) {
			t.Fatalf("%s stands after a later one", s.Command.Id)
		}
	}
	if now != o.current {
		t.Fatalf("the newest target says %q, the list %q", now, o.current)
	}
}

// clerks keep both lists.
type clerks struct{ order, price *oracle }

func newClerks() clerks { return clerks{newOracle(false), newOracle(true)} }

func (k clerks) take(in *event.CommandInput) {
	switch v := in.Input.(type) {
	case *event.CommandInput_Command:
		if v.Command.OrderId != "" {
			k.order.command(v.Command)
		} else {
			k.price.command(v.Command)
		}
	case *event.CommandInput_Outcome:
		o := v.Outcome
		if o.OrderId != "" {
			k.order.outcome(o.CommandId, o.Outcome, o.GaveUp)
		} else {
			k.price.outcome(o.CommandId, o.Outcome, o.GaveUp)
		}
	case *event.CommandInput_Forget:
		k.order.nameless = k.order.nameless || len(k.order.known) > 0
	}
}

func (k clerks) check(t *rapid.T, room *Room, m *stream.Memory) {
	now := toDo(m.Emitted)
	k.order.check(t, bookOf(room, m, orderO), now[orderO])
	k.price.check(t, bookOf(room, m, priceL), now[priceL])
}

var all = []*event.Command{
	shipment(3, "a"), cancellation(2, "b"), refund(5, "c", 100), shipment(3, "d"), refund(1, "e", 250),
	price(2, "p", 100), price(1, "q", 200), price(4, "r", 300), price(4, "s", 400),
}

// named is a command as it was asked for.
func named(id string) *event.Command {
	return all[slices.IndexFunc(all, func(c *event.Command) bool { return c.Id == id })]
}

func drawInput(t *rapid.T) *event.CommandInput {
	c := rapid.SampledFrom(all).Draw(t, "command")
	switch rapid.IntRange(0, 9).Draw(t, "what") {
	case 9:
		return forgetBuyer(int64(1 + rapid.IntRange(0, 3).Draw(t, "decided")))
	case 0, 1:
		return became(c, accepted, "")
	case 2:
		return became(c, refused, "no")
	case 3:
		return became(c, unsure, rapid.SampledFrom([]string{"timeout", "5xx"}).Draw(t, "code"))
	case 4:
		return gaveUp(c)
	default:
		return wrap(c)
	}
}

// TestBookEqualsListAtEveryOffset: after each record the book says what a clerk's list says, and
// the newest target is the command that is under way.
func TestBookEqualsListAtEveryOffset(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		room, m := newRoom(t)
		k := newClerks()
		for _, in := range rapid.SliceOfN(rapid.Custom(drawInput), 1, 40).Draw(t, "history") {
			feed(m, in)
			if _, err := m.Step(1, stream.NoCrash); err != nil {
				t.Fatalf("step: %v", err)
			}
			k.take(in)
			k.check(t, room, m)
		}
	})
}

// TestModel feeds random histories with repetitions, in any order, with crashes, fall-backs of
// Redis and batches of any cut, and compares books, targets, alerts and the table's topic with
// the clerk's lists.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		room, m := newRoom(t)
		history := rapid.SliceOfN(rapid.Custom(drawInput), 1, 30).Draw(t, "history")
		history = slices.Concat(history, rapid.SliceOfN(rapid.SampledFrom(history), 0, 10).Draw(t, "duplicates"))
		history = rapid.Permutation(history).Draw(t, "arrival")
		feed(m, history...)
		run(t, m)

		k := newClerks()
		for _, in := range history {
			k.take(in)
		}
		k.check(t, room, m)
		checkTargets(t, m)
		checkAlerts(t, room, m)
		checkTable(t, room, m)
	})
}

func run(t *rapid.T, m *stream.Memory) {
	var kept any
	for m.Pending() > 0 {
		if rapid.IntRange(0, 3).Draw(t, "keep") == 0 {
			kept = m.Snapshot()
		}
		crash := stream.Crash(rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "crash"))
		if _, err := m.Step(rapid.IntRange(1, 6).Draw(t, "batch"), crash); err != nil {
			t.Fatalf("step: %v", err)
		}
		if kept != nil && rapid.IntRange(0, 7).Draw(t, "fall back") == 0 {
			m.Restore(kept)
		}
	}
	m.Look()
	if _, err := m.Drain(3); err != nil {
		t.Fatalf("drain: %v", err)
	}
}

// checkTargets: one version of a key says one thing, however often it is told, and what it says
// is what was asked.
func checkTargets(t *rapid.T, m *stream.Memory) {
	said := make(map[string]*event.CommandTarget)
	for _, o := range m.Emitted {
		if o.Topic.Name != schemas.PushCommands.Name {
			continue
		}
		tg := o.Value.(*event.CommandTarget)
		k := fmt.Sprint(string(o.Key), stream.VersionOf(tg.Version))
		if first := said[k]; first != nil && first.GetCommand().GetId() != tg.GetCommand().GetId() {
			t.Fatalf("version %s says %v and %v", k, first, tg)
		}
		said[k] = tg
		if tg.Command == nil {
			continue
		}
		at := slices.IndexFunc(all, func(c *event.Command) bool { return c.Id == tg.Command.Id })
		if at < 0 || !all[at].EqualVT(tg.Command) {
			t.Fatalf("the target says %v, which nobody asked for", tg.Command)
		}
	}
}

// checkAlerts: what is refused, or needs a person, was told.
func checkAlerts(t *rapid.T, room *Room, m *stream.Memory) {
	told := alerted(m.Emitted)
	for _, id := range []string{orderO, priceL} {
		b := bookOf(room, m, id)
		for _, s := range b.GetCommands() {
			kind := map[event.CommandState]string{
				event.CommandState_COMMAND_STATE_REFUSED: "command-refused", event.CommandState_COMMAND_STATE_NEEDS_PERSON: "command-needs-person",
			}[s.State]
			if kind != "" && !told[kind+" "+subject(b, s.Command)] {
				t.Fatalf("nobody was told that %s is %s: %v", s.Command.Id, word(s.State), told)
			}
		}
	}
}

// checkTable: the newest versions on the table's topic are the state.
func checkTable(t *rapid.T, room *Room, m *stream.Memory) {
	newest, value := make(map[string]stream.Version), make(map[string][]byte)
	for _, o := range m.Emitted {
		if o.Topic.Name != schemas.Commands.Name {
			continue
		}
		var v stream.Version
		for _, h := range o.Headers {
			if h.Key == schemas.HeaderVersion {
				v, _ = stream.ParseVersion(string(h.Value))
			}
		}
		if k := string(o.Key); !v.Before(newest[k]) {
			newest[k], value[k] = v, o.Bytes
			if o.Bytes == nil {
				value[k], _ = o.Value.MarshalVTStrict()
			}
		}
	}
	got := make(map[string][]byte)
	m.Entries(room.books, func(id string, entry stream.Message) {
		got[id], _ = entry.MarshalVTStrict()
	})
	if d := cmp.Diff(got, value, cmp.Comparer(bytes.Equal)); d != "" {
		t.Fatalf("state and topic differ:\n%s", d)
	}
}
