package woocommerce

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/internal/httpx"
)

// maxAnswer bounds one answer, after decompression: a hundred orders of 300 kB.
const maxAnswer = 32 << 20

// operation is the one bucket of a shop: all of its calls run the same PHP.
const operation = "woocommerce"

// client sends calls to a shop and turns what comes back into data or instructions. What
// answers is often not the shop: a cache, a firewall, a maintenance page. Only JSON is ever
// taken for an answer, whatever the status says.
type client struct {
	cfg  Config
	deps connectors.Deps
	base string
	http *http.Client
	// given is the key that the shop gave; see authorize.go.
	given *given
	// slots bounds the calls at one time: a shop is somebody's small server.
	slots chan struct{}
	// fits is the page size that the shop managed where it failed with a larger one; 0 = as
	// configured.
	fits atomic.Int64
	// variations is whether the shop lists the variations of all products at once (10.3).
	variations atomic.Int32
}

func newClient(cfg Config, deps connectors.Deps) *client {
	return &client{cfg: cfg, deps: deps, base: cfg.base(), http: calls.Unfollowing(deps.HTTP), given: &given{}, slots: make(chan struct{}, cfg.Parallel)}
}

// call is one request below /wp-json/wc/v3/.
type call struct {
	method, path string
	query        url.Values
	// body is sent as JSON; nil = none.
	body     any
	priority connectors.Priority
}

// answer is a JSON document and what came along with it.
type answer struct {
	text string
	// date is the server's clock; zero when it was not told.
	date time.Time
	// pages is how many pages the list has; 0 when it was not told.
	pages int
	// total is how many objects it has; -1 when it was not told.
	total int
}

// apiError is how the REST API says no.
type apiError struct {
	status        int
	code, message string
}

func (e *apiError) Error() string {
	return fmt.Sprintf("the shop answered %d %s: %s", e.status, calls.Clip(e.code), calls.Clip(e.message))
}

// isCode says whether an error is the API's with this code.
func isCode(err error, code string) bool {
	var api *apiError
	return errors.As(err, &api) && api.code == code
}

// codeNoRoute: the shop does not know the address: older than what was asked for.
const codeNoRoute = "rest_no_route"

// patience of one read.
var patience = calls.Patience{Tries: 4, Wait: 10 * time.Second, Failures: 2, Pause: 200 * time.Millisecond}

// read sends a GET. It waits, bounded, when the shop asks for it, and asks again after a
// failure that passes: reading twice harms nobody.
func (c *client) read(ctx context.Context, path string, query url.Values, p connectors.Priority) (*answer, error) {
	return calls.Read(ctx, patience, func(ctx context.Context) (*answer, error) {
		return c.send(ctx, call{method: http.MethodGet, path: path, query: query, priority: p})
	})
}

// send sends one call once.
func (c *client) send(ctx context.Context, o call) (*answer, error) {
	if err := c.deps.Limiter.Wait(ctx, operation, 1, o.priority); err != nil {
		return nil, calls.Unsent(fmt.Errorf("waiting for the quota of %s: %w", c.base, err))
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, calls.Unsent(ctx.Err())
	}
	a, err := c.once(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("%s %s at %s: %w", o.method, o.path, c.base, err)
	}
	return a, nil
}

func (c *client) once(ctx context.Context, o call) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.CallTimeout)
	defer cancel()
	req, err := c.request(ctx, o)
	if err != nil {
		return nil, calls.Unsent(err)
	}
	resp, text, err := calls.Do(c.http, req, maxAnswer)
	var large *httpx.BodyTooLargeError
	if errors.As(err, &large) {
		return nil, fmt.Errorf("%w: %w: ask for less at once: lower page_size", connectors.ErrPermanent, err)
	}
	if err != nil {
		return nil, err
	}
	if err := c.status(resp, text); err != nil {
		return nil, err
	}
	return c.document(resp, text)
}

// request makes a request with keys on it.
func (c *client) request(ctx context.Context, o call) (*http.Request, error) {
	var body []byte
	if o.body != nil {
		var err error
		if body, err = json.Marshal(o.body); err != nil {
			return nil, fmt.Errorf("encoding %s: %w", o.path, err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, o.method, c.base+"/wp-json/wc/v3/"+o.path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	query := url.Values{}
	for name, values := range o.query {
		query[name] = values
	}
	if err := c.authorise(req, query); err != nil {
		return nil, err
	}
	req.URL.RawQuery = encoded(query)
	req.Header.Set("Accept", "application/json")
	// Caches of pages in front of shops are known to keep answers of the API as well.
	req.Header.Set("Cache-Control", "no-cache")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// status turns everything but success into an instruction.
func (c *client) status(resp *http.Response, text []byte) error {
	code := resp.StatusCode
	if code >= 200 && code < 300 {
		return nil
	}
	api := readError(code, text)
	switch {
	case code >= 300 && code < 400:
		return redirected(resp)
	case code == http.StatusTooManyRequests, (code == http.StatusServiceUnavailable || code == 508) && resp.Header.Get("Retry-After") != "":
		after := calls.RetryAfter(resp.Header, c.deps.Now(), 5*time.Second)
		c.deps.Limiter.Observe(operation, connectors.LimitState{RetryAfter: after})
		err := &connectors.RetryAfterError{After: after, Err: fmt.Errorf("the shop or its host answered %d", code)}
		if code == http.StatusTooManyRequests {
			return calls.Unsent(err) // turned away at the door
		}
		return err
	case code >= 500 && api == nil:
		if code == http.StatusServiceUnavailable || code == 508 {
			c.deps.Limiter.Observe(operation, connectors.LimitState{RetryAfter: time.Second})
		}
		return calls.Passing(fmt.Errorf("the shop answered %d", code))
	case code >= 500:
		return calls.Passing(api)
	case api == nil && code == http.StatusNotFound:
		return calls.Unsent(fmt.Errorf("%w: nothing answers at /wp-json/: check shop, that WooCommerce is active, and that permalinks are not plain (Settings, Permalinks)", connectors.ErrPermanent))
	case api == nil && code == http.StatusUnauthorized:
		return calls.Unsent(fmt.Errorf("%w: something in front of the shop asks for another password: let calls to /wp-json/ pass", connectors.ErrNeedsAuthorisation))
	case api == nil && code == http.StatusForbidden:
		return calls.Unsent(calls.Passing(errors.New("a firewall in front of the shop answered 403: let calls to /wp-json/ pass")))
	case api == nil:
		return calls.Unsent(fmt.Errorf("%w: the shop answered %d and no JSON: check shop", connectors.ErrPermanent, code))
	default:
		if code == http.StatusUnauthorized {
			c.forget()
		}
		return calls.Unsent(c.refusal(api))
	}
}

// refusal sorts what the API itself says no to.
func (c *client) refusal(api *apiError) error {
	says := func(word string) bool {
		return api.status == http.StatusUnauthorized && strings.Contains(strings.ToLower(api.message), word)
	}
	switch {
	case says("timestamp"):
		return fmt.Errorf("%w: its clock and this machine's differ by more than 15 minutes: set both", api)
	case says("nonce"):
		return calls.Passing(api)
	case says("signature"):
		return fmt.Errorf("%w: %w: consumer_secret is another key's, or %s is not written as the shop's own Site Address (Settings, General), over which calls are signed: www, localhost or 127.0.0.1, and the port count", connectors.ErrNeedsAuthorisation, api, c.base)
	case says("write permission"):
		return fmt.Errorf("%w: %w: the key may only read: make one with permission read/write", connectors.ErrNeedsAuthorisation, api)
	case api.status == http.StatusUnauthorized:
		return fmt.Errorf("%w: %w: check consumer_key and consumer_secret, and that shop is the Site Address; if the server drops the Authorization header, set auth to query", connectors.ErrNeedsAuthorisation, api)
	case api.status == http.StatusForbidden:
		return fmt.Errorf("%w: %w: the key needs permission read/write, and its user the role of a shop manager", connectors.ErrNeedsAuthorisation, api)
	default:
		return fmt.Errorf("%w: %w", connectors.ErrPermanent, api)
	}
}

// redirected tells a site that moved from one whose firewall or cache sends us round.
func redirected(resp *http.Response) error {
	to, err := resp.Location()
	if err != nil {
		return calls.Unsent(calls.Passing(fmt.Errorf("the shop answered %d without saying where to", resp.StatusCode)))
	}
	from := resp.Request.URL
	if to.Scheme != from.Scheme || !strings.EqualFold(to.Host, from.Host) {
		return calls.Unsent(fmt.Errorf("%w: the shop redirects to %s://%s, which is not followed: if that is its address, change shop", connectors.ErrPermanent, jsonread.Clip(to.Scheme), jsonread.Clip(to.Host)))
	}
	return calls.Unsent(calls.Passing(fmt.Errorf("the shop redirects within itself (%d), as firewalls and login pages do: let calls to /wp-json/ pass", resp.StatusCode)))
}

// readError reads {"code", "message", "data"}; nil when it is none.
func readError(status int, text []byte) *apiError {
	var e struct {
		Code    any    `json:"code"`
		Message string `json:"message"`
	}
	if json.Unmarshal(text, &e) != nil || e.Code == nil {
		return nil
	}
	return &apiError{status, fmt.Sprint(e.Code), e.Message}
}

// document takes a successful answer, if it is one.
func (c *client) document(resp *http.Response, text []byte) (*answer, error) {
	a := &answer{text: string(text), total: -1}
	r := jsonread.NewString(a.text)
	if k := r.Peek(); k != '{' && k != '[' {
		return nil, calls.Passing(fmt.Errorf("the answer is no JSON (%s): a cache, a firewall or a PHP warning answered instead of WooCommerce: %q", jsonread.Clip(resp.Header.Get("Content-Type")), prose(a.text)))
	}
	r.Skip()
	r.End()
	if r.Err() != nil {
		// Not wrapped: it is the call that failed, and no record.
		return nil, calls.Passing(fmt.Errorf("the answer cannot be read: %s", r.Err()))
	}
	if date := calls.Date(resp); !date.IsZero() {
		a.date = date
		// What a cache kept was true some time ago: the clock is that of then.
		if age, err := strconv.Atoi(resp.Header.Get("Age")); err == nil && age > 0 {
			a.date = date.Add(-time.Duration(age) * time.Second)
		}
	}
	if n, err := strconv.Atoi(resp.Header.Get("X-WP-TotalPages")); err == nil && n > 0 {
		a.pages = n
	}
	if n, err := strconv.Atoi(resp.Header.Get("X-WP-Total")); err == nil && n >= 0 {
		a.total = n
	}
	return a, nil
}

// prose is the beginning of a page without its tags, to know it by: of what a PHP warning was
// printed before, nothing.
func prose(page string) string {
	page, _, _ = strings.Cut(page[:min(len(page), 2000)], "{")
	page, _, _ = strings.Cut(page, "[")
	var b strings.Builder
	for _, part := range strings.Split(page, "<") {
		if _, text, tagged := strings.Cut(part, ">"); tagged {
			part = text
		}
		b.WriteString(part)
	}
	return calls.Clip(strings.Join(strings.Fields(b.String()), " "))
}

// nodes is the elements of a list as they stand in the answer.
func (a *answer) nodes() ([]string, error) {
	r := jsonread.NewString(a.text)
	if r.Peek() != '[' {
		return nil, calls.Passing(errors.New("the answer is no list"))
	}
	var nodes []string
	for ok := r.Array(); ok && r.More(); {
		nodes = append(nodes, r.Raw())
	}
	return nodes, nil
}

// pageSize is the page size that is asked for.
func (c *client) pageSize() int {
	if n := int(c.fits.Load()); n > 0 {
		return min(n, c.cfg.PageSize)
	}
	return c.cfg.PageSize
}

// smaller halves the page size, when the error may be that the shop ran out of memory or time
// over a page; false when it is no such error or there is nothing left to halve.
func (c *client) smaller(err error) bool {
	n := c.pageSize()
	if !calls.IsPassing(err) || n < 10 {
		return false
	}
	c.fits.Store(int64(n / 2))
	return true
}
