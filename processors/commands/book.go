package commands

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// Bounds of a book: it is one record.
const (
	// maxCommands of one order: more is a mistake.
	maxCommands = 200
	// maxBytes of the commands of one order, well below what Kafka takes in one record.
	maxBytes = 512 << 10
	// maxPrices that are remembered of one listing.
	maxPrices = 20
	// maxAhead is how far a seller's clock may be ahead of the record's time, milliseconds. A price
	// from next year would keep every other away until then.
	maxAhead = 60 * 60 * 1000
)

// codeFuture is the code of a command that was requested in the future.
const codeFuture = "future"

// refuse says why a command cannot be taken: its id was given to another one, or the book is full.
func refuse(b *event.CommandBook, c *event.Command) error {
	if at := find(b, c.Id); at >= 0 {
		if !same(b.Commands[at].Command, c, b.NamelessMs != 0) {
			return fmt.Errorf("command %s was something else the first time: an id is used once: %w", c.Id, connectors.ErrPermanent)
		}
		return nil
	}
	if c.OrderId != "" && (len(b.GetCommands()) >= maxCommands || b.SizeVT()+c.SizeVT() > maxBytes) {
		return fmt.Errorf("order %s/%s has %d commands already, of %d bytes: %s is one too many: %w", c.Account, c.OrderId, len(b.GetCommands()), b.SizeVT(), c.Id, connectors.ErrPermanent)
	}
	return nil
}

func find(b *event.CommandBook, id string) int {
	return slices.IndexFunc(b.GetCommands(), func(s *event.CommandStatus) bool { return s.Command.Id == id })
}

// same compares what the seller said. When it was said may differ, if it was sent again, and
// what the catalog added to it; and what was forgotten, where it was.
func same(a, b *event.Command, nameless bool) bool {
	if nameless {
		a, b = bare(a), bare(b)
	}
	return words(a).EqualVT(words(b))
}

func words(c *event.Command) *event.Command {
	n := &event.Command{Id: c.Id, Account: c.Account, OrderId: c.OrderId, Action: c.Action}
	if p := c.GetPrice(); p != nil {
		n.Action = &event.Command_Price{Price: &event.PriceChange{Sku: p.Sku, ListingId: p.ListingId, Amount: p.Amount}}
	}
	return n
}

// before: requested before, by the seller's clock; the id decides between two of one time.
func before(a, b *event.Command) bool {
	return cmp.Or(cmp.Compare(a.RequestedMs, b.RequestedMs), cmp.Compare(a.Id, b.Id)) < 0
}

// book is a book that follows another.
type book struct {
	*event.CommandBook
	was     string // id of the command that was under way
	changed bool
	alerts  []stream.Output
}

// succeed makes the book that follows old. Its commands are still old's: change copies what it
// hands out.
func succeed(tx *stream.Tx, old *event.CommandBook, account, order, listing string) *book {
	return &book{was: underWay(old).GetCommand().GetId(), CommandBook: &event.CommandBook{
		Account: account, OrderId: order, ListingId: listing, Version: tx.Version(), ChangedMs: tx.TimeMs(),
		Commands: slices.Clone(old.GetCommands()), TargetVersion: old.GetTargetVersion(), ForgottenMs: old.GetForgottenMs(), NamelessMs: old.GetNamelessMs(),
	}}
}

// take takes a command in, once.
func (b *book) take(c *event.Command) {
	if find(b.CommandBook, c.Id) >= 0 {
		return
	}
	state := event.CommandState_COMMAND_STATE_WAITING
	code, message := c.RefusalCode, c.Refusal
	if code == "" && c.RequestedMs-b.ChangedMs > maxAhead {
		code, message = codeFuture, "it was requested in the future: set the clock right, and send a new request"
	}
	if code != "" {
		state = event.CommandState_COMMAND_STATE_REFUSED
	} else if c.OrderId == "" {
		if c.RequestedMs <= b.ForgottenMs {
			return // a price that was overtaken long ago, or was here and is forgotten
		}
		for i, s := range b.Commands {
			switch {
			case s.State == event.CommandState_COMMAND_STATE_REFUSED && s.Outcome == event.Outcome_OUTCOME_UNSPECIFIED:
				// We refused it ourselves: it was never anybody's price.
			case before(c, s.Command):
				state = event.CommandState_COMMAND_STATE_SUPERSEDED
			case open(s.State):
				b.enter(b.change(i), event.CommandState_COMMAND_STATE_SUPERSEDED)
			}
		}
	}
	at, _ := slices.BinarySearchFunc(b.Commands, c, func(s *event.CommandStatus, c *event.Command) int {
		if before(s.Command, c) {
			return -1
		}
		return 1
	})
	s := &event.CommandStatus{Command: c, Code: code, Message: message}
	b.Commands = slices.Insert(b.Commands, at, s)
	b.enter(s, state)
	b.forget()
}

// open: it is not over.
func open(s event.CommandState) bool {
	return s == event.CommandState_COMMAND_STATE_WAITING || s == event.CommandState_COMMAND_STATE_SENT
}

// forget lets go of the oldest prices. The newest stays, and with it what decides the next.
func (b *book) forget() {
	for b.OrderId == "" && len(b.Commands) > maxPrices {
		at := slices.IndexFunc(b.Commands, func(s *event.CommandStatus) bool { return !open(s.State) })
		if at < 0 {
			return
		}
		b.ForgottenMs = max(b.ForgottenMs, b.Commands[at].Command.RequestedMs)
		b.Commands = slices.Delete(b.Commands, at, at+1)
	}
}

// change returns the book's own copy of one status.
func (b *book) change(at int) *event.CommandStatus {
	o := b.Commands[at]
	s := &event.CommandStatus{
		Command: o.Command, State: o.State, Since: o.Since, ChangedMs: o.ChangedMs,
		Outcome: o.Outcome, Code: o.Code, Message: o.Message, Attempts: o.Attempts,
	}
	b.Commands[at] = s
	return s
}

// enter puts a status into a state.
func (b *book) enter(s *event.CommandStatus, state event.CommandState) {
	s.State, s.Since, s.ChangedMs = state, b.Version, b.ChangedMs
	b.changed = true
	if alarming(state) {
		b.alerts = append(b.alerts, alert(b.CommandBook, s))
	}
	if b.NamelessMs != 0 && !open(state) {
		strip(s)
	}
}

// hear takes what became of an attempt.
func (b *book) hear(o *event.CommandOutcome) {
	at := find(b.CommandBook, o.CommandId)
	if at < 0 {
		return
	}
	was := b.Commands[at].State
	state := was
	switch {
	case was == event.CommandState_COMMAND_STATE_DONE:
		return
	case o.Outcome == event.Outcome_OUTCOME_ACCEPTED:
		state = event.CommandState_COMMAND_STATE_DONE
	case was != event.CommandState_COMMAND_STATE_SENT && was != event.CommandState_COMMAND_STATE_NEEDS_PERSON:
		return // it was decided otherwise meanwhile
	case o.Outcome == event.Outcome_OUTCOME_REFUSED:
		state = event.CommandState_COMMAND_STATE_REFUSED
	case was == event.CommandState_COMMAND_STATE_NEEDS_PERSON:
		return
	case o.GaveUp:
		state = event.CommandState_COMMAND_STATE_NEEDS_PERSON
	case b.Commands[at].Outcome == o.Outcome && b.Commands[at].Code == o.Code:
		return // nothing new
	}
	s := b.change(at)
	s.Outcome, s.Code, s.Message, s.Attempts = o.Outcome, o.Code, o.Message, o.Attempts
	b.changed = true
	if state != was {
		b.enter(s, state)
	}
}

// next lets the next command begin where none is under way, and reports whether the target is
// another one now.
func (b *book) next() bool {
	sent := underWay(b.CommandBook)
	if sent == nil {
		at := slices.IndexFunc(b.Commands, func(s *event.CommandStatus) bool { return s.State == event.CommandState_COMMAND_STATE_WAITING })
		if at >= 0 {
			sent = b.change(at)
			b.enter(sent, event.CommandState_COMMAND_STATE_SENT)
		}
	}
	if sent.GetCommand().GetId() == b.was {
		return false
	}
	b.TargetVersion = b.Version
	return true
}

// underWay is the command that is being carried out; nil = none.
func underWay(b *event.CommandBook) *event.CommandStatus {
	for _, s := range b.GetCommands() {
		if s.State == event.CommandState_COMMAND_STATE_SENT {
			return s
		}
	}
	return nil
}

// target is what is to be done by the book.
func target(b *event.CommandBook) stream.Output {
	t := &event.CommandTarget{
		Account: b.Account, OrderId: b.OrderId, ListingId: b.ListingId, Version: b.TargetVersion, DecidedMs: b.ChangedMs,
	}
	if s := underWay(b); s != nil {
		t.Command, t.DecidedMs = s.Command, s.ChangedMs
	}
	return stream.Output{Topic: schemas.PushCommands, Key: []byte(schemas.CommandKey(b.Account, b.OrderId, b.ListingId)), Value: t, Latest: true}
}
