package httpx

import (
	"net/url"
	"strconv"
	"strings"
)

// maxPlainSegment is the longest path segment that is printed: hooks of chat systems carry
// their secret in the path. Segments of digits alone are object ids and stay.
const maxPlainSegment = 20

// Redact is an address that may stand in a log: without user, password, query values and
// fragment, and with long path segments replaced by "…".
func Redact(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(address that cannot be read)"
	}
	if u.Opaque != "" {
		return u.Scheme + ":…"
	}
	var b strings.Builder
	if u.Scheme != "" {
		b.WriteString(u.Scheme + ":")
	}
	if u.Host != "" {
		b.WriteString("//" + u.Host)
	}
	for i, segment := range strings.Split(u.EscapedPath(), "/") {
		if i > 0 {
			b.WriteByte('/')
		}
		if len(segment) > maxPlainSegment && strings.Trim(segment, "0123456789") != "" {
			segment = "…"
		}
		b.WriteString(segment)
	}
	if u.RawQuery != "" {
		b.WriteString("?" + redactQuery(u.RawQuery))
	}
	return b.String()
}

// redactQuery keeps the names of the parameters and their order. A part without "=" may be
// a secret by itself.
func redactQuery(raw string) string {
	parts := strings.Split(raw, "&")
	for i, part := range parts {
		name, _, named := strings.Cut(part, "=")
		if !named || len(name) > maxPlainSegment {
			parts[i] = "…"
			continue
		}
		parts[i] = name + "=…"
	}
	return strings.Join(parts, "&")
}

// RedactError is an error whose text has its addresses redacted: each *url.Error of
// http.Client prints the whole of its own. The chain below is kept for errors.Is and errors.As.
func RedactError(err error) error {
	if err == nil {
		return nil
	}
	text := redactChain(err, err.Error())
	if text == err.Error() {
		return err
	}
	return &redacted{text: text, err: err}
}

type redacted struct {
	text string
	err  error
}

func (r *redacted) Error() string { return r.text }
func (r *redacted) Unwrap() error { return r.err }

// redactChain replaces the address of each *url.Error in the tree of an error.
func redactChain(err error, text string) string {
	if u, ok := err.(*url.Error); ok { //nolint:errorlint // each level is looked at by itself
		text = strings.ReplaceAll(text, strconv.Quote(u.URL), strconv.Quote(Redact(u.URL)))
	}
	switch next := err.(type) { //nolint:errorlint // as above
	case interface{ Unwrap() error }:
		if inner := next.Unwrap(); inner != nil {
			text = redactChain(inner, text)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range next.Unwrap() {
			text = redactChain(inner, text)
		}
	}
	return text
}
