package httpx

import (
	"errors"
	"net/url"
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

// RedactError is an error of http.Client with its address redacted: a *url.Error prints the
// whole of it. The chain below is kept for errors.Is and errors.As.
func RedactError(err error) error {
	var u *url.Error
	if !errors.As(err, &u) {
		return err
	}
	return &url.Error{Op: u.Op, URL: Redact(u.URL), Err: u.Err}
}
