package magento

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/bearer"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/connectors/jsonread"
)

// maxAnswer bounds one answer, after decompression: 300 orders of 100 kB.
const maxAnswer = 32 << 20

// operation is the one bucket of a shop. Magento has no quota of its own; hosts and firewalls
// have, and count all calls alike.
const operation = "magento"

// client sends calls and turns what comes back into text or instructions.
type client struct {
	cfg  Config
	deps connectors.Deps
	base string // up to /V1
	http *http.Client
	auth *auth
	// patient reads wait when they are told to. The push sink waits itself: it has more
	// urgent writes to put before.
	patient bool
}

// hasty is the client for those who would rather hear that they must wait.
func (c *client) hasty() *client {
	h := *c
	h.patient = false
	return &h
}

func newClient(cfg Config, deps connectors.Deps) *client {
	base := cfg.BaseURL
	if cfg.TestBaseURL != "" {
		base = cfg.TestBaseURL
	}
	base = strings.TrimRight(base, "/")
	if cfg.Auth != AuthIMS {
		base += "/rest/" + cfg.Store
	}
	h := calls.Unfollowing(deps.HTTP)
	return &client{cfg: cfg, deps: deps, base: base, http: h, auth: &auth{cfg: cfg, base: base, http: h, deps: deps, held: bearer.NewHolder(deps, "magento/"+deps.Account)}, patient: true}
}

// answer is what came back with 200.
type answer struct {
	body string
	// date is the server's clock; zero when it was not told.
	date time.Time
}

// errNotFound: the shop has no such object.
var errNotFound = fmt.Errorf("%w: the shop has none", connectors.ErrPermanent)

// refusedError is a refusal of what was asked for, in the shop's words (400, 409, 422 …).
type refusedError struct {
	status int
	text   string
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("the shop refuses (%d): %s", e.status, calls.Clip(e.text))
}
func (e *refusedError) Unwrap() error { return connectors.ErrPermanent }

// patience of one read.
var patience = calls.Patience{Tries: 6, Wait: 30 * time.Second, Failures: 2, Pause: 200 * time.Millisecond}

// read asks. It waits, bounded, when it is told to, and asks again after a failure that
// passes: reading twice harms nobody.
func (c *client) read(ctx context.Context, path string, q query, p connectors.Priority) (*answer, error) {
	how := patience
	if !c.patient {
		how = calls.Patience{Tries: 1}
	}
	return calls.Read(ctx, how, func(ctx context.Context) (*answer, error) { return c.send(ctx, http.MethodGet, path, q, nil, p) })
}

// write sends a body once.
func (c *client) write(ctx context.Context, method, path string, body any, p connectors.Priority) (*answer, error) {
	return c.send(ctx, method, path, nil, body, p)
}

// send sends one call; after a refused token once more with a new one.
func (c *client) send(ctx context.Context, method, path string, q query, body any, p connectors.Priority) (*answer, error) {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return nil, calls.Unsent(fmt.Errorf("encoding %s %s: %w", method, path, err))
		}
	}
	if err := c.deps.Limiter.Wait(ctx, operation, 1, p); err != nil {
		return nil, calls.Unsent(fmt.Errorf("waiting for the quota of %s: %w", c.deps.Account, err))
	}
	stale := ""
	for {
		a, used, err := c.once(ctx, method, path, q, text, stale)
		if errors.Is(err, errToken) && stale == "" && used != "" {
			stale = used
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", method, path, err)
		}
		return a, nil
	}
}

// errToken: the shop does not take the credentials, or not for this.
var errToken = fmt.Errorf("%w: the shop refuses the credentials", connectors.ErrNeedsAuthorisation)

func (c *client) once(ctx context.Context, method, path string, q query, body []byte, stale string) (a *answer, used string, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.CallTimeout)
	defer cancel()
	address := c.base + path
	full := address
	if len(q) > 0 {
		full += "?" + q.encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, full, bytes.NewReader(body))
	if err != nil {
		return nil, "", calls.Unsent(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	if used, err = c.auth.authorise(ctx, req, address, q, stale); err != nil {
		return nil, "", calls.Unsent(err)
	}
	resp, text, err := calls.Do(c.http, req, maxAnswer)
	if err != nil {
		return nil, used, err
	}
	if err := c.status(resp, text); err != nil {
		return nil, used, err
	}
	a = &answer{body: string(text), date: calls.Date(resp)}
	if first := jsonread.NewString(a.body).Peek(); first == 0 || first == '<' {
		return nil, used, calls.Passing(fmt.Errorf("the answer is no JSON (%s): a proxy or a maintenance page answered instead of the shop", jsonread.Clip(resp.Header.Get("Content-Type"))))
	}
	return a, used, nil
}

// status turns everything but 200 into an instruction.
func (c *client) status(resp *http.Response, body []byte) error {
	code := resp.StatusCode
	if code == http.StatusOK {
		return nil
	}
	text := message(body)
	switch {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		// Magento answers 401 both to wrong keys and to a resource that was not granted, and
		// names the resource then.
		return calls.Unsent(fmt.Errorf("%w (%d %s): `crossdock check` says which resource is missing", errToken, code, calls.Clip(text)))
	case code == http.StatusNotFound:
		return calls.Unsent(fmt.Errorf("%w (404 %s)", errNotFound, calls.Clip(text)))
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "":
		after := calls.RetryAfter(resp.Header, c.deps.Now(), time.Second)
		c.deps.Limiter.Observe(operation, connectors.LimitState{RetryAfter: after})
		return calls.Unsent(&connectors.RetryAfterError{After: after, Err: fmt.Errorf("the shop answered %d", code)})
	case code >= 300 && code < 400:
		host := "nowhere"
		if u, err := resp.Location(); err == nil {
			host = u.Scheme + "://" + u.Host
		}
		return calls.Unsent(fmt.Errorf("%w: the shop redirects to %s, which is not followed: write its address as it is in base_url", connectors.ErrPermanent, jsonread.Clip(host)))
	case code >= 500:
		return calls.Passing(fmt.Errorf("the shop answered %d %s", code, calls.Clip(text)))
	default:
		return calls.Unsent(&refusedError{code, text})
	}
}

// message is what an error body says: a template with %1 or %name, and what stands for them,
// as a list or by name.
func message(body []byte) string {
	var e struct {
		Message    string          `json:"message"`
		Parameters json.RawMessage `json:"parameters"`
	}
	if json.Unmarshal(body, &e) != nil {
		return ""
	}
	var list []any
	var named map[string]any
	switch {
	case json.Unmarshal(e.Parameters, &list) == nil:
		for i := len(list); i > 0; i-- {
			e.Message = strings.ReplaceAll(e.Message, "%"+strconv.Itoa(i), fmt.Sprint(list[i-1]))
		}
	case json.Unmarshal(e.Parameters, &named) == nil:
		for _, k := range longestFirst(named) {
			e.Message = strings.ReplaceAll(e.Message, "%"+k, fmt.Sprint(named[k]))
		}
	}
	return e.Message
}
