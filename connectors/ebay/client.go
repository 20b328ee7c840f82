package ebay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/connectors/jsonread"
)

// maxAnswer bounds one answer, after decompression: 200 orders of many lines.
const maxAnswer = 32 << 20

// Hosts of production and sandbox.
const (
	host         = "https://api.ebay.com"
	hostApart    = "https://apiz.ebay.com"
	sandboxHost  = "https://api.sandbox.ebay.com"
	sandboxApart = "https://apiz.sandbox.ebay.com"
)

// client makes calls and turns what comes back into answers or instructions.
type client struct {
	cfg    Config
	deps   connectors.Deps
	base   string
	apart  string
	http   *http.Client
	tokens map[actor]*auth
	sign   *signer
	quotas quotas
	// single: bulkUpdatePriceQuantity takes one SKU at a time; see update.
	single atomic.Bool
}

func newClient(cfg Config, deps connectors.Deps) *client {
	base, apart := host, hostApart
	switch {
	case cfg.TestBaseURL != "":
		base = strings.TrimRight(cfg.TestBaseURL, "/")
		apart = base
	case cfg.Sandbox:
		base, apart = sandboxHost, sandboxApart
	}
	h := calls.Unfollowing(deps.HTTP)
	c := &client{cfg: cfg, deps: deps, base: base, apart: apart, http: h, tokens: map[actor]*auth{}, sign: newSigner(cfg, deps.Now)}
	for _, who := range []actor{asUser, asApplication} {
		c.tokens[who] = newAuth(cfg, who, base, h, deps)
	}
	return c
}

// answer is what came back with a status of 2xx.
type answer struct {
	status int
	body   []byte
	header http.Header
	// date is the server's clock; zero when it was not told.
	date time.Time
}

// fault is one entry of "errors", as all of these APIs write it.
type fault struct {
	ID       int64  `json:"errorId"`
	Domain   string `json:"domain"`
	Category string `json:"category"`
	Message  string `json:"message"`
	Long     string `json:"longMessage"`
}

func (f fault) text() string {
	if f.Long != "" {
		return f.Long
	}
	return f.Message
}

// refusal is a status of 4xx with what eBay says to it.
type refusal struct {
	status int
	faults []fault
}

func (e *refusal) Error() string {
	if len(e.faults) == 0 {
		return "eBay answered " + strconv.Itoa(e.status)
	}
	f := e.faults[0]
	return fmt.Sprintf("eBay answered %d: %d %s", e.status, f.ID, calls.Clip(f.text()))
}

func (e *refusal) code() string {
	if len(e.faults) == 0 {
		return "HTTP_" + strconv.Itoa(e.status)
	}
	return strconv.FormatInt(e.faults[0].ID, 10)
}

// missing says whether err is eBay's "there is no such thing".
func missing(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.status == http.StatusNotFound
}

// patience of one read.
var patience = calls.Patience{Tries: 4, Wait: 10 * time.Second, Failures: 2, Pause: 200 * time.Millisecond}

// read makes a call that changes nothing. It waits, bounded, when eBay asks for it, and asks
// again after a failure that passes: reading twice harms nobody.
func (c *client) read(ctx context.Context, r request) (*answer, error) {
	return calls.Read(ctx, patience, func(ctx context.Context) (*answer, error) { return c.send(ctx, r) })
}

// send makes a call once; after a refused token once more with a new one.
func (c *client) send(ctx context.Context, r request) (*answer, error) {
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return nil, calls.Unsent(fmt.Errorf("encoding %s: %w", r.name(), err))
		}
	}
	if err := c.deps.Limiter.Wait(ctx, r.bucket, 1, r.priority); err != nil {
		return nil, calls.Unsent(fmt.Errorf("waiting for the quota of %s: %w", r.bucket, err))
	}
	stale := ""
	for {
		token, err := c.tokens[r.actor()].token(ctx, stale)
		if err != nil {
			return nil, calls.Unsent(err)
		}
		a, err := c.once(ctx, r, body, token)
		if errors.Is(err, errToken) && stale == "" {
			stale = token
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.name(), err)
		}
		return a, nil
	}
}

// errToken: eBay does not know the access token (any more).
var errToken = fmt.Errorf("%w: eBay refuses the access token: let the seller consent again (`crossdock connect`), or put the new token where refresh_token points", connectors.ErrNeedsAuthorisation)

// errScope: the token is good, and not for this.
var errScope = errors.New("a scope is missing")

func (c *client) once(ctx context.Context, r request, body []byte, token string) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.CallTimeout)
	defer cancel()
	base := c.base
	if r.apart() {
		base = c.apart
	}
	req, err := http.NewRequestWithContext(ctx, r.method, base+r.target(), bytes.NewReader(body))
	if err != nil {
		return nil, calls.Unsent(err)
	}
	if r.body == nil {
		req.Body, req.GetBody, req.ContentLength = http.NoBody, nil, 0
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Authorization", r.scheme()+token)
	req.Header.Set("X-EBAY-C-MARKETPLACE-ID", c.cfg.Marketplace)
	if r.signed {
		if err := c.sign.sign(req, body); err != nil {
			return nil, calls.Unsent(err)
		}
	}
	resp, text, err := calls.Do(c.http, req, maxAnswer)
	if err != nil {
		return nil, err
	}
	if err := c.status(r, resp, text); err != nil {
		return nil, err
	}
	a := &answer{status: resp.StatusCode, body: text, header: resp.Header, date: calls.Date(resp)}
	if len(text) > 0 && text[0] != '{' {
		return nil, calls.Passing(fmt.Errorf("the answer is no JSON (%s): a proxy or a maintenance page answered instead of eBay", jsonread.Clip(resp.Header.Get("Content-Type"))))
	}
	return a, nil
}

// status turns everything but 2xx into an instruction.
func (c *client) status(r request, resp *http.Response, text []byte) error {
	var said struct {
		Errors []fault `json:"errors"`
	}
	code := resp.StatusCode
	if code >= 400 {
		_ = json.Unmarshal(text, &said) // a page of a proxy says nothing
	}
	refused := &refusal{code, said.Errors}
	switch {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusUnauthorized:
		return calls.Unsent(errToken)
	case code == http.StatusForbidden && (len(said.Errors) == 0 || said.Errors[0].Domain == "ACCESS"):
		return calls.Unsent(fmt.Errorf("%w: %w: %w: the consent lacks a scope for %s (`crossdock check` names it): let the seller consent again", connectors.ErrNeedsAuthorisation, errScope, refused, r.bucket))
	case code == http.StatusTooManyRequests:
		after := c.quotas.pause(r.bucket, c.deps.Now())
		after = calls.RetryAfter(resp.Header, c.deps.Now(), after)
		c.deps.Limiter.Observe(r.bucket, connectors.LimitState{RetryAfter: after})
		return calls.Unsent(&connectors.RetryAfterError{After: after, Err: fmt.Errorf("eBay answered 429: the quota of %s is used up", r.bucket)})
	case code >= 300 && code < 400:
		where := "nowhere"
		if u, err := resp.Location(); err == nil {
			where = u.Host
		}
		return calls.Unsent(fmt.Errorf("%w: eBay redirects to %s, which is not followed", connectors.ErrPermanent, jsonread.Clip(where)))
	case code >= 500:
		return calls.Passing(refused)
	default:
		return calls.Unsent(fmt.Errorf("%w: %w", connectors.ErrPermanent, refused))
	}
}

// decode reads an answer off the orders' path.
func decode(a *answer, what string, into any) error {
	if len(a.body) == 0 {
		return nil
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		return calls.Passing(fmt.Errorf("reading the answer to %s: %w", what, err))
	}
	return nil
}
