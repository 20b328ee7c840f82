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
	ErrUnauthentic = errors.New("unauthentic")
	// ErrMalformed: the same bytes would fail again. Dead letters.
	ErrMalformed = errors.New("malformed")
	// ErrUnsupported: well-formed, but of a kind or version that we do not know. Dead letters.
	ErrUnsupported = errors.New("unsupported")
	// ErrPermanent: give up and tell the operator.
	ErrPermanent = errors.New("permanent")
	// ErrNeedsAuthorisation: the connection needs its owner again. It stops only itself.
	ErrNeedsAuthorisation = errors.New("needs authorisation")
)

// RetryAfterError: the system asked to wait this long.
type RetryAfterError struct {
	After time.Duration
	Err   error
}

func (e *RetryAfterError) Error() string {
	return fmt.Sprintf("retry after %s: %v", e.After, e.Err)
}

func (e *RetryAfterError) Unwrap() error { return e.Err }

// Class is a short stable name of an error's instruction, for metrics and dead letters.
func Class(err error) string {
	var retry *RetryAfterError
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ErrUnauthentic):
		return "unauthentic"
	case errors.Is(err, ErrMalformed):
		return "malformed"
	case errors.Is(err, ErrUnsupported):
		return "unsupported"
	case errors.Is(err, ErrNeedsAuthorisation):
		return "needs-authorisation"
	case errors.Is(err, ErrPermanent):
		return "permanent"
	case errors.As(err, &retry):
		return "retry-after"
	default:
		return "transient"
	}
}
