package poll

import (
	"context"
	"fmt"
	"strconv"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// needsOwner is the class of an account that its owner has to authorise again.
var needsOwner = connectors.Class(connectors.ErrNeedsAuthorisation)

// tell puts on the topic of alerts that an account needs its owner, and that it does not any
// more: once for the account, not for each of its subjects. It comes before the entry is
// stored: a crash between the two tells it twice rather than never.
func (s *Service) tell(ctx context.Context, sub *subject, class string) error {
	before, after := sub.entry.Class == needsOwner, class == needsOwner
	if before == after {
		return nil
	}
	for _, other := range sub.connection.subjects {
		if other == sub {
			continue
		}
		other.mu.Lock()
		known := other.entry.Class == needsOwner
		other.mu.Unlock()
		if known {
			return nil // it was told, or is not over
		}
	}
	account := sub.connection.Account
	now := s.now().UnixMilli()
	a := &event.Alert{
		Id: needsOwner + "/" + account + "/" + strconv.FormatInt(now, 10), Kind: needsOwner, Account: account, Subject: account, RaisedMs: now,
		Severity: event.Severity_SEVERITY_INFO, Text: account + " is authorised again, and polled.",
	}
	if after {
		a.Severity = event.Severity_SEVERITY_CRITICAL
		a.Text = fmt.Sprintf("%s refuses our credentials and is not polled: its owner has to authorise it again (`crossdock check` says what is missing, `crossdock connect %s` asks for it).", account, account)
	}
	value, err := a.MarshalVTStrict()
	if err != nil {
		return fmt.Errorf("encoding an alert: %w", err)
	}
	err = s.publisher.Produce(ctx, []kafka.Record{{Topic: schemas.Alerts, Key: []byte(needsOwner + "/" + account), Value: value}})
	if err != nil {
		return fmt.Errorf("telling that %s needs its owner, or not any more: %w", account, err)
	}
	return nil
}
