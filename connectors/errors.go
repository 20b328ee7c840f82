package connectors

import (
	"errors"
	"fmt"
	"time"
)

// Errors instruct the room that called. Wrap them with %w; anything else is transient:
// the caller tries again with back-off.
var (
	// ErrUnauthentic: the call did not come from whom it claims. Answer 401, store nothing.
	ErrUnauthentic error = instruction{"unauthentic", "unauthentic"}
	// ErrMalformed: the same bytes would fail again. Dead letters.
	ErrMalformed error = instruction{"malformed", "malformed"}
	// ErrUnsupported: well-formed, but of a kind or version that we do not know. Dead letters.
	ErrUnsupported error = instruction{"unsupported", "unsupported"}
	// ErrPermanent: give up and tell the operator.
	ErrPermanent error = instruction{"permanent", "permanent"}
	// ErrNeedsAuthorisation: the connection needs its owner again. It stops only itself.
	ErrNeedsAuthorisation error = instruction{"needs authorisation", "needs-authorisation"}
)

// instruction is an error that tells the caller what to do.
type instruction struct{ text, class string }

func (i instruction) Error() string { return i.text }

// DeadLetterCode makes the class the code of the dead letter that it leads to.
func (i instruction) DeadLetterCode() string { return i.class }

// RetryAfterError: the system asked to wait this long.
type RetryAfterError struct {
	After time.Duration
	Err   error
}

func (e *RetryAfterError) Error() string {
	return fmt.Sprintf("retry after %s: %v", e.After, e.Err)
}

func (e *RetryAfterError) Unwrap() error { return e.Err }

// Superseded reports whether TokenStore.Save refused because somebody else has saved since the
// value was loaded: our lock had run out meanwhile. What was to be saved is worth nothing any
// more: drop it and load again.
func Superseded(err error) bool {
	var s interface{ Superseded() bool }
	return errors.As(err, &s) && s.Superseded()
}

// Class is a short stable name of an error's instruction, for metrics and dead letters.
func Class(err error) string {
	var retry *RetryAfterError
	var told instruction
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &told):
		return told.class
	case errors.As(err, &retry):
		return "retry-after"
	default:
		return "transient"
	}
}
