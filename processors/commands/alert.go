package commands

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// alarming: somebody must know of it.
func alarming(s event.CommandState) bool {
	return s == event.CommandState_COMMAND_STATE_REFUSED || s == event.CommandState_COMMAND_STATE_NEEDS_PERSON
}

// alert tells of a command that came to nothing, or to nobody knows what. Its id is the
// command's and the state's, so that it is the same alert each time it is told.
func alert(b *event.CommandBook, s *event.CommandStatus) stream.Output {
	a := &event.Alert{
		Kind: "command-refused", Severity: event.Severity_SEVERITY_WARNING, Account: b.Account,
		Subject: subject(b, s.Command), RaisedMs: s.ChangedMs,
		Text: strings.TrimSpace(fmt.Sprintf("%s of %s was refused: %s %s", asked(s.Command), subject(b, s.Command), s.Code, s.Message)),
	}
	if s.State == event.CommandState_COMMAND_STATE_NEEDS_PERSON {
		a.Kind, a.Severity = "command-needs-person", event.Severity_SEVERITY_CRITICAL
		a.Text = strings.TrimSpace(fmt.Sprintf("nobody knows whether %s of %s was carried out: look at the platform. The last that was heard: %s %s",
			asked(s.Command), subject(b, s.Command), s.Code, s.Message))
	}
	a.Id = a.Kind + "/" + a.Subject
	return stream.Output{Topic: schemas.Alerts, Key: []byte(a.Kind + "/" + a.Subject), Value: a}
}

// subject is one per command, so that each is told.
func subject(b *event.CommandBook, c *event.Command) string {
	about := b.OrderId
	if about == "" {
		about = b.ListingId
	}
	return b.Account + "/" + about + " (" + c.Id + ")"
}

// asked is what a command asks for, in a word.
func asked(c *event.Command) string { return cmp.Or(schemas.CommandKind(c), "command") }
