package shopify

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
	"sync"
	"sync/atomic"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/internal/httpx"
)

// maxAnswer bounds one answer, after decompression.
const maxAnswer = 32 << 20

// operation is the one bucket that Shopify keeps per app and shop for GraphQL.
const operation = "graphql"

// client sends GraphQL documents and turns what comes back into data or instructions.
type client struct {
	cfg  Config
	deps connectors.Deps
	base string
	http *http.Client
	auth *auth

	// costs remembers what Shopify said that a document costs.
	mu    sync.Mutex
	costs map[string]float64
	// fits remembers the page size that Shopify took where it refused a larger one.
	fits map[string]int

	// location is the only location of the shop, once it is known; see locationOf.
	location atomic.Pointer[string]
	// currency is the shop's, once it was asked for; see shopCurrency.
	currency atomic.Pointer[string]
}

func newClient(cfg Config, deps connectors.Deps) *client {
	base := "https://" + cfg.Shop
	if cfg.TestBaseURL != "" {
		base = strings.TrimRight(cfg.TestBaseURL, "/")
	}
	// A redirect would carry the token along, and turn the POST into a GET: it is an answer
	// that we report, never one that we follow.
	h := *deps.HTTP
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c := &client{cfg: cfg, deps: deps, base: base, http: &h, costs: map[string]float64{}, fits: map[string]int{}}
	c.auth = newAuth(cfg, base, &h, deps)
	return c
}

// answer is the data of one document and what came along with it.
type answer struct {
	// data is the JSON object at "data".
	data string
	// date is the server's clock; zero when it was not told.
	date       time.Time
	apiVersion string
	throttle   *throttle
}

// throttle is extensions.cost.
type throttle struct {
	Requested float64  `json:"requestedQueryCost"`
	Actual    *float64 `json:"actualQueryCost"`
	Status    struct {
		Maximum   float64 `json:"maximumAvailable"`
		Available float64 `json:"currentlyAvailable"`
		Restore   float64 `json:"restoreRate"`
	} `json:"throttleStatus"`
}

// errTooExpensive: the document costs more than Shopify takes in one call: ask for less.
var errTooExpensive = errors.New("the query costs too much for one call")

// unsentError marks that the call certainly did nothing; everything else of a write that
// failed may have been done.
type unsentError struct{ err error }

func (e *unsentError) Error() string { return e.err.Error() }
func (e *unsentError) Unwrap() error { return e.err }

// maxWaits bounds how often one read waits for the bucket before its caller hears of it.
const maxWaits = 6

// read sends a query. It waits, bounded, when Shopify asks for it, and asks again after a
// failure that passes: reading twice harms nobody.
func (c *client) read(ctx context.Context, d *document, vars any, p connectors.Priority) (*answer, error) {
	var err error
	for attempt := range maxWaits {
		var a *answer
		if a, err = c.send(ctx, d, vars, p); err == nil {
			return a, nil
		}
		var pause time.Duration
		var retry *connectors.RetryAfterError
		var passing *passingError
		switch {
		case errors.As(err, &retry) && retry.After <= time.Minute:
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

// passingError is a failure of the other side that usually passes (5xx, a cut connection).
type passingError struct{ err error }

func (e *passingError) Error() string { return e.err.Error() }
func (e *passingError) Unwrap() error { return e.err }

// send sends one document once; after a refused token once more with a new one.
func (c *client) send(ctx context.Context, d *document, vars any, p connectors.Priority) (*answer, error) {
	body, err := json.Marshal(map[string]any{"query": d.text, "operationName": d.name, "variables": vars})
	if err != nil {
		return nil, &unsentError{fmt.Errorf("encoding %s: %w", d.name, err)}
	}
	cost := c.cost(d)
	if err := c.deps.Limiter.Wait(ctx, operation, cost, p); err != nil {
		return nil, &unsentError{fmt.Errorf("waiting for the quota of %s: %w", c.cfg.Shop, err)}
	}
	stale := ""
	for {
		token, err := c.auth.token(ctx, stale)
		if err != nil {
			return nil, &unsentError{err}
		}
		a, err := c.once(ctx, d, body, token, cost)
		if errors.Is(err, errToken) && stale == "" {
			stale = token
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s at %s: %w", d.name, c.cfg.Shop, err)
		}
		return a, nil
	}
}

// errToken: Shopify does not know the access token (any more).
var errToken = fmt.Errorf("%w: Shopify refuses the access token: authorise the app for this shop again", connectors.ErrNeedsAuthorisation)

func (c *client) once(ctx context.Context, d *document, body []byte, token string, spent float64) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.CallTimeout)
	defer cancel()
	// The request may have reached Shopify from the moment that its head was written.
	var written atomic.Bool
	trace := &httptrace.ClientTrace{WroteHeaders: func() { written.Store(true) }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodPost,
		c.base+"/admin/api/"+c.cfg.APIVersion+"/graphql.json", bytes.NewReader(body))
	if err != nil {
		return nil, &unsentError{err}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("X-Shopify-Access-Token", token)
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
	if err := c.status(resp, spent); err != nil {
		return nil, err
	}
	a := &answer{apiVersion: resp.Header.Get("X-Shopify-API-Version")}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		a.date = date
	}
	return a, c.decode(d, resp, text, a, spent)
}

// status turns everything but 200 into an instruction.
func (c *client) status(resp *http.Response, spent float64) error {
	code := resp.StatusCode
	if code == http.StatusOK {
		return nil
	}
	state := connectors.LimitState{Spent: spent}
	if code == http.StatusTooManyRequests || code == http.StatusLocked {
		state.RetryAfter = retryAfter(resp.Header, time.Second)
	}
	c.deps.Limiter.Observe(operation, state)
	switch {
	case code == http.StatusUnauthorized:
		return &unsentError{errToken}
	case code == http.StatusForbidden:
		return &unsentError{fmt.Errorf("%w: Shopify answered 403: the app may not use this shop: check its installation and scopes", connectors.ErrNeedsAuthorisation)}
	case code == http.StatusPaymentRequired:
		return &unsentError{fmt.Errorf("%w: Shopify answered 402: the shop is frozen until its owner pays", connectors.ErrNeedsAuthorisation)}
	case state.RetryAfter > 0:
		return &unsentError{&connectors.RetryAfterError{After: state.RetryAfter, Err: fmt.Errorf("Shopify answered %d", code)}}
	case code >= 300 && code < 400:
		host := "nowhere"
		if u, err := resp.Location(); err == nil {
			host = u.Host
		}
		return &unsentError{fmt.Errorf("%w: Shopify redirects to %s, which is not followed: if the shop's domain changed, change shop", connectors.ErrPermanent, jsonread.Clip(host))}
	case code >= 500:
		return &passingError{fmt.Errorf("Shopify answered %d", code)}
	default:
		return &unsentError{fmt.Errorf("%w: Shopify answered %d: check shop and api_version", connectors.ErrPermanent, code)}
	}
}

func retryAfter(h http.Header, otherwise time.Duration) time.Duration {
	if s, err := strconv.ParseFloat(h.Get("Retry-After"), 64); err == nil && s >= 0 && s < 86400 {
		return time.Duration(s * float64(time.Second))
	}
	return otherwise
}

// graphError is one entry of "errors".
type graphError struct {
	Message    string `json:"message"`
	Extensions struct {
		Code   string `json:"code"`
		Access string `json:"requiredAccess"`
	} `json:"extensions"`
}

// decode takes the answer apart. 200 with errors is a failure, whatever data there is: half
// an order is no order.
func (c *client) decode(d *document, resp *http.Response, text []byte, a *answer, spent float64) error {
	r := newReader(text)
	if c := r.Peek(); c != '{' {
		return &passingError{fmt.Errorf("the answer is no JSON (%s): a proxy or a maintenance page answered instead of Shopify", jsonread.Clip(resp.Header.Get("Content-Type")))}
	}
	var failures []graphError
	r.Object()
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "data":
			if raw := r.Raw(); raw != "null" {
				a.data = raw
			}
		case "errors":
			// A list of errors; some refusals are a bare string.
			raw := r.Raw()
			if json.Unmarshal([]byte(raw), &failures) != nil {
				failures = append(failures, graphError{Message: jsonread.Clip(raw)})
			}
		case "extensions":
			var ext struct {
				Cost *throttle `json:"cost"`
			}
			if json.Unmarshal([]byte(r.Raw()), &ext) == nil {
				a.throttle = ext.Cost
			}
		default:
			r.Skip()
		}
	}
	r.End()
	if r.Err() != nil {
		return &passingError{fmt.Errorf("the answer cannot be read: %w", r.Err())}
	}
	var after time.Duration
	if len(failures) > 0 && failures[0].Extensions.Code == codeThrottled {
		after = a.throttle.pause()
	}
	c.learn(d, a.throttle, spent, after)
	if len(failures) > 0 {
		return c.refused(failures, after)
	}
	if a.data == "" {
		return &passingError{errors.New("the answer has no data")}
	}
	return nil
}

// refused turns GraphQL errors into an instruction. They come before anything was done,
// except for those of the server itself.
func (c *client) refused(failures []graphError, after time.Duration) error {
	first := failures[0]
	switch code := first.Extensions.Code; code {
	case codeThrottled:
		return &unsentError{&connectors.RetryAfterError{After: after, Err: errors.New("throttled")}}
	case "MAX_COST_EXCEEDED":
		return &unsentError{fmt.Errorf("%w: %s", errTooExpensive, jsonread.Clip(first.Message))}
	case "ACCESS_DENIED":
		return &unsentError{fmt.Errorf("%w: access denied: %s: give the app the missing scope (`crossdock check` names it)", connectors.ErrNeedsAuthorisation, clipLong(first.Message))}
	case codeConcurrent, codePrevious, codeMismatch:
		return &idempotencyError{code, clipLong(first.Message)}
	case "INTERNAL_SERVER_ERROR":
		return &passingError{fmt.Errorf("Shopify failed: %s", clipLong(first.Message))}
	default:
		return &unsentError{fmt.Errorf("%w: Shopify refuses the document: %s %s", connectors.ErrPermanent, jsonread.Clip(code), clipLong(first.Message))}
	}
}

func clipLong(s string) string {
	if len(s) > 300 {
		return strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}

func (c *client) cost(d *document) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.costs[d.name]; ok {
		return known
	}
	return d.cost
}

// fitting is the page size for a document: as wished, or what is known to fit.
func (c *client) fitting(d *document, wish int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n, ok := c.fits[d.name]; ok {
		return min(n, wish)
	}
	return wish
}

// tooLarge halves a document's page size, when the error says that it costs too much.
func (c *client) tooLarge(d *document, first *int, err error) bool {
	if !errors.Is(err, errTooExpensive) || *first <= 1 {
		return false
	}
	*first /= 2
	c.mu.Lock()
	c.fits[d.name] = *first
	c.mu.Unlock()
	return true
}

// codeThrottled: the bucket does not hold what the document costs.
const codeThrottled = "THROTTLED"

// pause is how long it takes until a document that was throttled can be paid.
func (t *throttle) pause() time.Duration {
	if t == nil || t.Status.Restore <= 0 {
		return time.Second
	}
	missing := t.Requested - t.Status.Available
	return max(50*time.Millisecond, time.Duration(missing/t.Status.Restore*float64(time.Second)))
}

// learn keeps what Shopify said of cost and bucket. after is set when it throttled.
func (c *client) learn(d *document, t *throttle, spent float64, after time.Duration) {
	state := connectors.LimitState{RetryAfter: after, Spent: spent}
	if t != nil {
		c.mu.Lock()
		c.costs[d.name] = t.Requested
		c.mu.Unlock()
		// The level is told in whole points: it may be less.
		state.Capacity, state.Available, state.PerSecond, state.Known = t.Status.Maximum, max(0, t.Status.Available-1), t.Status.Restore, true
	}
	c.deps.Limiter.Observe(operation, state)
}
