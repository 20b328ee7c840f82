package ebay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/internal/httpx"
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
	// A redirect would carry the token along: it is an answer that we report, never one that
	// we follow.
	h := *deps.HTTP
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c := &client{cfg: cfg, deps: deps, base: base, apart: apart, http: &h, tokens: map[actor]*auth{}, sign: newSigner(cfg, deps.Now)}
	for _, who := range []actor{asUser, asApplication} {
		c.tokens[who] = newAuth(cfg, who, base, &h, deps)
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

// unsentError marks that the call certainly did nothing; everything else of a write that
// failed may have been done.
type unsentError struct{ err error }

func (e *unsentError) Error() string { return e.err.Error() }
func (e *unsentError) Unwrap() error { return e.err }

// passingError is a failure of the other side that usually passes (5xx, a cut connection).
type passingError struct{ err error }

func (e *passingError) Error() string { return e.err.Error() }
func (e *passingError) Unwrap() error { return e.err }

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
	return fmt.Sprintf("eBay answered %d: %d %s", e.status, f.ID, clipLong(f.text()))
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

func clipLong(s string) string {
	if len(s) > 300 {
		return strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}

// maxTries bounds how often one read is asked before its caller hears of it.
const maxTries = 4

// read makes a call that changes nothing. It waits, bounded, when eBay asks for it, and asks
// again after a failure that passes: reading twice harms nobody.
func (c *client) read(ctx context.Context, r request) (*answer, error) {
	var err error
	for attempt := range maxTries {
		var a *answer
		if a, err = c.send(ctx, r); err == nil {
			return a, nil
		}
		var pause time.Duration
		var retry *connectors.RetryAfterError
		var passing *passingError
		switch {
		case errors.As(err, &retry) && retry.After <= 10*time.Second:
			pause = retry.After
		case errors.As(err, &passing) && attempt < 2:
			pause = time.Duration(attempt+1) * 200 * time.Millisecond
		default:
			return nil, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-timer.C:
		}
	}
	return nil, err
}

// send makes a call once; after a refused token once more with a new one.
func (c *client) send(ctx context.Context, r request) (*answer, error) {
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return nil, &unsentError{fmt.Errorf("encoding %s: %w", r.name(), err)}
		}
	}
	if err := c.deps.Limiter.Wait(ctx, r.bucket, 1, r.priority); err != nil {
		return nil, &unsentError{fmt.Errorf("waiting for the quota of %s: %w", r.bucket, err)}
	}
	stale := ""
	for {
		token, err := c.tokens[r.actor()].token(ctx, stale)
		if err != nil {
			return nil, &unsentError{err}
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
	// The request may have reached eBay from the moment that its head was written.
	var written atomic.Bool
	trace := &httptrace.ClientTrace{WroteHeaders: func() { written.Store(true) }}
	base := c.base
	if r.apart() {
		base = c.apart
	}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), r.method, base+r.target(), bytes.NewReader(body))
	if err != nil {
		return nil, &unsentError{err}
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
			return nil, &unsentError{err}
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		err = httpx.RedactError(err)
		if !written.Load() {
			return nil, &unsentError{&passingError{err}}
		}
		return nil, &passingError{err}
	}
	text, err := httpx.ReadBody(resp, maxAnswer)
	if err != nil {
		return nil, &passingError{err}
	}
	if err := c.status(r, resp, text); err != nil {
		return nil, err
	}
	a := &answer{status: resp.StatusCode, body: text, header: resp.Header}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		a.date = date
	}
	if len(text) > 0 && text[0] != '{' {
		return nil, &passingError{fmt.Errorf("the answer is no JSON (%s): a proxy or a maintenance page answered instead of eBay", jsonread.Clip(resp.Header.Get("Content-Type")))}
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
		return &unsentError{errToken}
	case code == http.StatusForbidden && (len(said.Errors) == 0 || said.Errors[0].Domain == "ACCESS"):
		return &unsentError{fmt.Errorf("%w: %w: %w: the consent lacks a scope for %s (`crossdock check` names it): let the seller consent again", connectors.ErrNeedsAuthorisation, errScope, refused, r.bucket)}
	case code == http.StatusTooManyRequests:
		after := c.quotas.pause(r.bucket, c.deps.Now())
		after = retryAfter(resp.Header, c.deps.Now(), after)
		c.deps.Limiter.Observe(r.bucket, connectors.LimitState{RetryAfter: after})
		return &unsentError{&connectors.RetryAfterError{After: after, Err: fmt.Errorf("eBay answered 429: the quota of %s is used up", r.bucket)}}
	case code >= 300 && code < 400:
		where := "nowhere"
		if u, err := resp.Location(); err == nil {
			where = u.Host
		}
		return &unsentError{fmt.Errorf("%w: eBay redirects to %s, which is not followed", connectors.ErrPermanent, jsonread.Clip(where))}
	case code >= 500:
		return &passingError{refused}
	default:
		return &unsentError{fmt.Errorf("%w: %w", connectors.ErrPermanent, refused)}
	}
}

// retryAfter reads Retry-After, in seconds or as a time.
func retryAfter(h http.Header, now time.Time, otherwise time.Duration) time.Duration {
	text := h.Get("Retry-After")
	if s, err := strconv.ParseFloat(text, 64); err == nil && s >= 0 && s <= 86400 {
		return time.Duration(s * float64(time.Second))
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) && at.Before(now.Add(48*time.Hour)) {
		return at.Sub(now)
	}
	return otherwise
}

// decode reads an answer off the orders' path.
func decode(a *answer, what string, into any) error {
	if len(a.body) == 0 {
		return nil
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		return &passingError{fmt.Errorf("reading the answer to %s: %w", what, err)}
	}
	return nil
}
