// Package calls is what connectors share of a call to a platform: what its failure means, how a
// read is asked again, and how long a platform wants to be left alone.
//
// In: a request. Out: the answer's bytes, or an error that says whether the call may have done
// something (Unsent) and whether the failure usually passes (Passing). Keeps nothing but what a
// connector writes into a Journal before a write that must not be sent twice.
package calls

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/httpx"
)

// unsent marks that the call certainly did nothing.
type unsent struct{ err error }

func (e *unsent) Error() string { return e.err.Error() }
func (e *unsent) Unwrap() error { return e.err }

// Unsent marks that a call certainly did nothing; everything else of a write that failed may
// have been done. nil stays nil.
func Unsent(err error) error {
	if err == nil {
		return nil
	}
	return &unsent{err}
}

// IsUnsent reports whether the call certainly did nothing.
func IsUnsent(err error) bool {
	var e *unsent
	return errors.As(err, &e)
}

// passing is a failure of the other side that usually passes.
type passing struct{ err error }

func (e *passing) Error() string { return e.err.Error() }
func (e *passing) Unwrap() error { return e.err }

// Passing marks a failure of the other side that usually passes: a status of 5xx, a cut
// connection, a page of a proxy. nil stays nil.
func Passing(err error) error {
	if err == nil {
		return nil
	}
	return &passing{err}
}

// IsPassing reports whether the failure usually passes.
func IsPassing(err error) bool {
	var e *passing
	return errors.As(err, &e)
}

// Do sends a request and reads its answer, of any status, up to the bytes that httpx allows.
// The request may have reached the platform from the moment that its head was written: a failure
// before that is Unsent. An answer that is too large is no Passing one: it would be as large again.
func Do(client *http.Client, req *http.Request, most int64) (*http.Response, []byte, error) {
	var written atomic.Bool
	trace := &httptrace.ClientTrace{WroteHeaders: func() { written.Store(true) }}
	resp, err := client.Do(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if err != nil {
		err = Passing(httpx.RedactError(err))
		if !written.Load() {
			return nil, nil, Unsent(err)
		}
		return nil, nil, err
	}
	text, err := httpx.ReadBody(resp, most)
	var large *httpx.BodyTooLargeError
	switch {
	case errors.As(err, &large):
		return nil, nil, err
	case err != nil:
		return nil, nil, Passing(err)
	}
	return resp, text, nil
}

// Unfollowing is the client without redirects: one would carry a token along, and turn a POST
// into a GET. It is an answer that is reported, never one that is followed.
func Unfollowing(c *http.Client) *http.Client {
	h := *c
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &h
}

// Date is the platform's clock at the answer, UTC; zero when it was not told.
func Date(resp *http.Response) time.Time {
	t, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// Patience bounds how a read is asked again.
type Patience struct {
	// Tries altogether.
	Tries int
	// Wait is the longest wish to be left alone that is waited for.
	Wait time.Duration
	// Failures that pass are waited out so often, Pause times their number.
	Failures int
	Pause    time.Duration
}

// Read asks, waits when the platform wants that (connectors.RetryAfterError), and asks again
// after a failure that passes: reading twice harms nobody. ask must have no effect.
func Read[T any](ctx context.Context, p Patience, ask func(context.Context) (T, error)) (T, error) {
	for try := 1; ; try++ {
		answer, err := ask(ctx)
		var retry *connectors.RetryAfterError
		var pause time.Duration
		switch {
		case err == nil || try >= p.Tries:
			return answer, err
		case errors.As(err, &retry) && retry.After <= p.Wait:
			pause = retry.After
		case IsPassing(err) && try <= p.Failures:
			pause = time.Duration(try) * p.Pause
		default:
			return answer, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return answer, ctx.Err()
		case <-timer.C:
		}
	}
}

// What is believed of a Retry-After.
const maxRetryAfter = 48 * time.Hour

// RetryAfter reads the header of that name, in seconds or as a time (RFC 9110, section 10.2.3).
func RetryAfter(h http.Header, now time.Time, otherwise time.Duration) time.Duration {
	text := h.Get("Retry-After")
	if s, err := strconv.ParseFloat(text, 64); err == nil && s >= 0 && s <= maxRetryAfter.Seconds() {
		return time.Duration(s * float64(time.Second))
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) && at.Before(now.Add(maxRetryAfter)) {
		return at.Sub(now)
	}
	return otherwise
}

// maxText bounds what is repeated of a platform's words, bytes.
const maxText = 300

// Clip bounds what an error or an outcome repeats of a platform's words.
func Clip(s string) string {
	if len(s) > maxText {
		return strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return s
}
