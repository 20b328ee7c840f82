package bearer

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/helloword/crossdock/internal/httpx"
)

// Answer is what a token endpoint said (RFC 6749, sections 5.1 and 5.2).
type Answer struct {
	Access    string `json:"access_token"`
	Refresh   string `json:"refresh_token"`
	ExpiresIn int64  `json:"expires_in"` // seconds
	Scope     string `json:"scope"`
	Error     string `json:"error"`

	Status int         `json:"-"`
	Header http.Header `json:"-"`
	// JSON: the body could be decoded.
	JSON bool `json:"-"`
}

// Given reports whether the answer holds an access token.
func (a *Answer) Given() bool { return a.Status == http.StatusOK && a.JSON && a.Access != "" }

// Life is how long the token lives by its own words: at most as long as is believable, and
// otherwise what is assumed, when the answer tells nothing.
func (a *Answer) Life(otherwise, most time.Duration) time.Duration {
	if a.ExpiresIn <= 0 {
		return otherwise
	}
	return time.Duration(min(a.ExpiresIn, int64(most/time.Second))) * time.Second
}

// Ask posts a form to a token endpoint. prepare, when set, completes the request (RFC 6749,
// section 2.3.1: the client's own credentials). An answer of any status is no error.
func Ask(ctx context.Context, client *http.Client, timeout time.Duration, address string, form url.Values, prepare func(*http.Request)) (*Answer, error) {
	a := &Answer{}
	status, header, body, err := Post(ctx, client, timeout, address, "application/x-www-form-urlencoded", form.Encode(), prepare)
	if err != nil {
		return nil, err
	}
	a.JSON = json.Unmarshal(body, a) == nil
	a.Status, a.Header = status, header
	return a, nil
}

// maxAnswer bounds an answer, bytes.
const maxAnswer = 1 << 20

// Post sends one question for a token and returns what came back. Errors tell no secret.
func Post(ctx context.Context, client *http.Client, timeout time.Duration, address, contentType, body string, prepare func(*http.Request)) (status int, header http.Header, answer []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		return 0, nil, nil, fmt.Errorf("asking for a token: %w", err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Accept", "application/json")
	if prepare != nil {
		prepare(req)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, nil, fmt.Errorf("asking for a token: %w", httpx.RedactError(err))
	}
	if answer, err = httpx.ReadBody(resp, maxAnswer); err != nil {
		return 0, nil, nil, fmt.Errorf("asking for a token: %w", err)
	}
	return resp.StatusCode, resp.Header, answer, nil
}
