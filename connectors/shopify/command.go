package shopify

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/schemas/event"
)

// Commands change an order or a price once. Where Shopify takes no idempotency key it is asked
// first what was done already, and after an answer that was lost it is asked again: whoever is
// killed in between finds what he did when he comes back with the same command.

// Codes of results that are ours; those of Shopify are passed on as they are.
const (
	codeUserError  = "USER_ERROR" // Shopify's refusals of fulfilments and refunds have no code
	codeNoOrder    = "UNKNOWN_ORDER"
	codeNoLine     = "UNKNOWN_LINE"
	codeNoAnswer   = "NO_ANSWER"
	codeNotExact   = "AMOUNT_DIFFERS"
	codeInProgress = "IN_PROGRESS"
)

// doneBefore is the result of a command that was carried out by an earlier attempt.
func doneBefore() connectors.Result {
	return connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED, Message: "it was done before"}
}

func accepted() connectors.Result {
	return connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED}
}

func refused(code, format string, args ...any) connectors.Result {
	return connectors.Result{Outcome: event.Outcome_OUTCOME_REFUSED, Code: code, Message: calls.Clip(fmt.Sprintf(format, args...))}
}

func unknown(code, format string, args ...any) connectors.Result {
	return connectors.Result{Outcome: event.Outcome_OUTCOME_UNKNOWN, Code: code, Message: calls.Clip(fmt.Sprintf(format, args...))}
}

// refusedBy is the result of userErrors in an answer of 200.
func refusedBy(failures []userError) connectors.Result {
	f := failures[0]
	r := refused(f.Code, "%s", f.Message)
	if r.Code == "" {
		r.Code = codeUserError
	}
	if len(f.Field) > 0 {
		r.Message = calls.Clip(strings.Join(f.Field, ".") + ": " + f.Message)
	}
	return r
}

// asked marks the failure of a question that came before anything was written.
func asked(err error) error {
	if err == nil || calls.IsUnsent(err) {
		return err
	}
	return calls.Unsent(err)
}

// failed is what an error says of the one write that it ended.
func failed(err error) (connectors.Result, error) {
	results, err := outcomes(1, nil, err)
	return results[0], err
}

// orderGID is the global id of an order; "" when the id cannot be one.
func orderGID(id string) string {
	if n := number(id); numeric.MatchString(n) && (n == id || strings.HasPrefix(id, "gid://shopify/Order/")) {
		return gid("Order", n)
	}
	return ""
}

// marker names a command in a note that only people of the shop read. The brackets keep one
// command's mark from being found in another's.
func marker(commandID string) string { return "[crossdock " + commandID + "]" }

// noted is a note with a command's mark, of at most so many letters; what does not fit is cut
// off the note, never off the mark.
func noted(note, commandID string, most int) string {
	mark := marker(commandID)
	room := most - utf8.RuneCountInString(mark) - 1
	letters := []rune(strings.ToValidUTF8(strings.TrimSpace(note), ""))
	if len(letters) > room {
		letters = letters[:max(0, room)]
	}
	return strings.TrimSpace(string(letters) + " " + mark)
}

// pause waits, unless the context ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
