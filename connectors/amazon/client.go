package amazon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/internal/httpx"
)

// maxAnswer bounds one answer, after decompression. A hundred orders are below 2 MB.
const maxAnswer = 32 << 20

// operation is one thing that can be asked of Amazon. Each has a bucket of its own.
type operation struct {
	name, method string
	// pause is how long one call takes to come back into the bucket.
	pause time.Duration
	// scope of a grantless operation.
	scope string
}

// Operations, with the rate that Amazon publishes for each.
var (
	opSearchOrders   = operation{name: "searchOrders", method: http.MethodGet, pause: 180 * time.Second}
	opGetOrder       = operation{name: "getOrder", method: http.MethodGet, pause: 2 * time.Second}
	opSearchListings = operation{name: "searchListingsItems", method: http.MethodGet, pause: time.Second / 5}
	opGetListing     = operation{name: "getListingsItem", method: http.MethodGet, pause: time.Second / 5}
	opPatchListing   = operation{name: "patchListingsItem", method: http.MethodPatch, pause: time.Second / 5}
	opCreateReport   = operation{name: "createReport", method: http.MethodPost, pause: time.Minute}
	opGetReport      = operation{name: "getReport", method: http.MethodGet, pause: time.Second / 2}
	opReportDocument = operation{name: "getReportDocument", method: http.MethodGet, pause: time.Minute}
	opInventory      = operation{name: "getInventorySummaries", method: http.MethodGet, pause: time.Second / 2}
)

// call is one request.
type call struct {
	op    operation
	path  string
	query url.Values
	// body is encoded as JSON; nil = none.
	body     any
	priority connectors.Priority
	// patience is how long the quota is waited for at most; 0 = as long as the context lasts. Who
	// has more to do than this call comes back later.
	patience time.Duration
	// granted: the quota has been waited for already, by grant.
	granted bool
}

// answer is what came back.
type answer struct {
	body []byte
	// date is the server's clock; zero when it was not told.
	date time.Time
}

// client sends calls and turns what comes back into data or instructions.
type client struct {
	cfg  Config
	deps connectors.Deps
	base string
	http *http.Client
	auth *auth
	// pause is between the tries of a read.
	pause time.Duration
}

func newClient(cfg Config, deps connectors.Deps) *client {
	base, tokens := endpoint(cfg.Region), tokenHost
	if cfg.TestBaseURL != "" {
		base, tokens = cfg.TestBaseURL, cfg.TestBaseURL
	}
	h := calls.Unfollowing(deps.HTTP)
	return &client{
		cfg: cfg, deps: deps, base: base, http: h, pause: retryPause,
		auth: newAuth(cfg, tokens, h, deps),
	}
}

// errNotFound: there is no such thing at Amazon.
var errNotFound = errors.New("not found")

// inputError: Amazon says that the request is wrong.
type inputError struct{ code, message string }

func (e *inputError) Error() string {
	return fmt.Sprintf("Amazon refuses the request: %s %s", jsonread.Clip(e.code), calls.Clip(e.message))
}

func (e *inputError) Unwrap() error { return connectors.ErrPermanent }

// maxReads bounds how often a read is tried; retryPause is after the first try.
const (
	maxReads   = 3
	retryPause = 300 * time.Millisecond
)

// read asks, and asks again after a failure that passes: reading twice harms nobody. Where
// Amazon asks to wait for longer than a moment the caller hears of it.
func (c *client) read(ctx context.Context, k call) (*answer, error) {
	how := calls.Patience{Tries: maxReads, Wait: 5 * time.Second, Failures: maxReads, Pause: c.pause}
	a, err := calls.Read(ctx, how, func(ctx context.Context) (*answer, error) { return c.send(ctx, k) })
	var large *httpx.BodyTooLargeError
	if errors.As(err, &large) {
		err = fmt.Errorf("%w: %w", connectors.ErrPermanent, err)
	}
	return a, err
}

// send sends one call once; after a refused token once more with a new one.
func (c *client) send(ctx context.Context, k call) (*answer, error) {
	var body []byte
	if k.body != nil {
		var err error
		if body, err = json.Marshal(k.body); err != nil {
			return nil, calls.Unsent(fmt.Errorf("encoding %s: %w", k.op.name, err))
		}
	}
	if !k.granted {
		if err := c.grant(ctx, k); err != nil {
			return nil, err
		}
	}
	stale := ""
	for {
		access, err := c.auth.token(ctx, k.op.scope, stale)
		if err != nil {
			return nil, calls.Unsent(err)
		}
		a, err := c.once(ctx, k, body, access)
		if errors.Is(err, errToken) && stale == "" {
			stale = access
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.op.name, err)
		}
		return a, nil
	}
}

// grant waits for the quota of a call, within its patience.
func (c *client) grant(ctx context.Context, k call) error {
	wait, cancel := ctx, func() {}
	if k.patience > 0 {
		wait, cancel = context.WithTimeout(ctx, k.patience)
	}
	defer cancel()
	err := c.deps.Limiter.Wait(wait, k.op.name, 1, k.priority)
	switch {
	case err == nil:
		return nil
	case wait.Err() != nil && ctx.Err() == nil:
		return calls.Unsent(&connectors.RetryAfterError{After: k.op.pause, Err: fmt.Errorf("the quota of %s is spent", k.op.name)})
	}
	return calls.Unsent(fmt.Errorf("waiting for the quota of %s: %w", k.op.name, err))
}

// errToken: Amazon does not know the access token (any more).
var errToken = fmt.Errorf("%w: Amazon refuses the access token: authorise the application again", connectors.ErrNeedsAuthorisation)

// errRole: the authorisation does not go so far.
var errRole = fmt.Errorf("%w: a role is missing", connectors.ErrNeedsAuthorisation)

func (c *client) once(ctx context.Context, k call, body []byte, access string) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.CallTimeout)
	defer cancel()
	var payload io.Reader
	if body != nil {
		payload = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, k.op.method, c.base+k.path+encode(k.query), payload)
	if err != nil {
		return nil, calls.Unsent(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("X-Amz-Access-Token", access)
	req.Header.Set("X-Amz-Date", c.deps.Now().UTC().Format("20060102T150405Z"))
	resp, text, err := calls.Do(c.http, req, maxAnswer)
	if err != nil {
		return nil, err
	}
	c.learn(k.op, resp.Header)
	if err := c.status(k.op, resp, text); err != nil {
		return nil, err
	}
	a := &answer{body: text, date: calls.Date(resp)}
	if first := firstByte(text); first != '{' && !(first == 0 && resp.StatusCode == http.StatusNoContent) {
		return nil, calls.Passing(fmt.Errorf("the answer is no JSON (%s): a proxy or a maintenance page answered instead of Amazon", jsonread.Clip(resp.Header.Get("Content-Type"))))
	}
	return a, nil
}

// firstByte is the first that is no white space, 0 when there is none.
func firstByte(text []byte) byte {
	for _, c := range text {
		if c > ' ' {
			return c
		}
	}
	return 0
}

// encode writes a query with %20 for a blank, as Amazon wants it.
// https://developer-docs.amazon.com/sp-api/docs/url-encoding
func encode(q url.Values) string {
	if len(q) == 0 {
		return ""
	}
	return "?" + strings.ReplaceAll(q.Encode(), "+", "%20")
}

// learn takes in the rate that an answer tells. It is never the burst, and missing on many.
func (c *client) learn(op operation, h http.Header) {
	if rate, err := strconv.ParseFloat(h.Get("x-amzn-RateLimit-Limit"), 64); err == nil && rate > 0 && rate < 1000 {
		c.deps.Limiter.Observe(op.name, connectors.LimitState{PerSecond: rate, Known: true})
	}
}

// failures is the body of every refusal.
type failures struct {
	Errors []struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Details string `json:"details"`
	} `json:"errors"`
}

// status turns everything but success into an instruction.
func (c *client) status(op operation, resp *http.Response, text []byte) error {
	code := resp.StatusCode
	if code >= 200 && code < 300 {
		return nil
	}
	var told failures
	var first string
	var why, details string
	if json.Unmarshal(text, &told) == nil && len(told.Errors) > 0 {
		first, why, details = told.Errors[0].Code, told.Errors[0].Message, told.Errors[0].Details
	}
	switch {
	case code == http.StatusUnauthorized, code == http.StatusForbidden && strings.Contains(strings.ToLower(why+details), "token"):
		return calls.Unsent(errToken)
	case code == http.StatusForbidden:
		return calls.Unsent(fmt.Errorf("%w: Amazon answered 403 %s: give the application the role that %s needs (README), and authorise it again",
			errRole, calls.Clip(why), op.name))
	case code == http.StatusTooManyRequests:
		after := calls.RetryAfter(resp.Header, c.deps.Now(), op.pause)
		c.deps.Limiter.Observe(op.name, connectors.LimitState{RetryAfter: after})
		return calls.Unsent(&connectors.RetryAfterError{After: after, Err: errors.New("Amazon answered 429, the quota is spent")})
	case code == http.StatusNotFound:
		return calls.Unsent(fmt.Errorf("%w: %s", errNotFound, calls.Clip(why)))
	case code >= 300 && code < 400:
		host := "nowhere"
		if u, err := resp.Location(); err == nil {
			host = u.Host
		}
		return calls.Unsent(fmt.Errorf("%w: Amazon redirects to %s, which is not followed: check region", connectors.ErrPermanent, jsonread.Clip(host)))
	case code >= 500:
		return calls.Passing(fmt.Errorf("Amazon answered %d %s", code, jsonread.Clip(first)))
	default:
		return calls.Unsent(&inputError{first, strings.TrimSpace(fmt.Sprintf("(%d) %s %s", code, why, details))})
	}
}

// stamp is a time as Amazon reads it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
