package httpx

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
)

// BodyTooLargeError: an answer was larger than its reader allowed. The rest was not read.
type BodyTooLargeError struct {
	// Limit in bytes, after decompression.
	Limit int64
}

func (e *BodyTooLargeError) Error() string {
	return fmt.Sprintf("body is larger than %d bytes after decompression: ask for less at once, or raise the limit", e.Limit)
}

// ReadBody reads an answer's body up to limit bytes, and closes it. The limit holds for what
// comes out of the decompression, so that a small answer cannot fill the memory. More than
// that is a *BodyTooLargeError.
func ReadBody(resp *http.Response, limit int64) ([]byte, error) {
	defer func() { _ = resp.Body.Close() }()
	var body io.Reader = resp.Body
	// net/http decompresses what it asked for itself and then drops the header. What is still
	// there was asked for by the caller, or sent unasked.
	switch encoding := resp.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
		if resp.ContentLength > limit {
			return nil, &BodyTooLargeError{Limit: limit}
		}
	case "gzip":
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, fmt.Errorf("reading body: gzip: %w", err)
		}
		defer func() { _ = z.Close() }()
		body = z
	default:
		return nil, fmt.Errorf("reading body: content encoding %q is not supported: send no Accept-Encoding", encoding)
	}
	b, err := io.ReadAll(io.LimitReader(body, limit+1))
	if int64(len(b)) > limit {
		return nil, &BodyTooLargeError{Limit: limit}
	}
	if err != nil {
		return nil, fmt.Errorf("reading body: %w", err)
	}
	return b, nil
}
