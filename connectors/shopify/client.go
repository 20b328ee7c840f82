package shopify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/connectors/jsonread"
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
	h := calls.Unfollowing(deps.HTTP)
	c := &client{cfg: cfg, deps: deps, base: base, http: h, costs: map[string]float64{}, fits: map[string]int{}}
	c.auth = newAuth(cfg, base, h, deps)
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

// patience of one read; the bucket refills within seconds.
var patience = calls.Patience{Tries: 6, Wait: time.Minute, Failures: 2, Pause: 200 * time.Millisecond}

// read sends a query. It waits, bounded, when Shopify asks for it, and asks again after a
// failure that passes: reading twice harms nobody.
func (c *client) read(ctx context.Context, d *document, vars any, p connectors.Priority) (*answer, error) {
	return calls.Read(ctx, patience, func(ctx context.Context) (*answer, error) { return c.send(ctx, d, vars, p) })
}

// send sends one document once; after a refused token once more with a new one.
func (c *client) send(ctx context.Context, d *document, vars any, p connectors.Priority) (*answer, error) {
	body, err := json.Marshal(map[string]any{"query": d.text, "operationName": d.name, "variables": vars})
	if err != nil {
		return nil, calls.Unsent(fmt.Errorf("encoding %s: %w", d.name, err))
	}
	cost := c.cost(d)
	if err := c.deps.Limiter.Wait(ctx, operation, cost, p); err != nil {
		return nil, calls.Unsent(fmt.Errorf("waiting for the quota of %s: %w", c.cfg.Shop, err))
	}
	stale := ""
	for {
		token, err := c.auth.token(ctx, stale)
		if err != nil {
			return nil, calls.Unsent(err)
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
	req, err := http.NewRequestWithContext(ctx, http.MethodPost,
		c.base+"/admin/api/"+c.cfg.APIVersion+"/graphql.json", bytes.NewReader(body))
	if err != nil {
		return nil, calls.Unsent(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("X-Shopify-Access-Token", token)
	resp, text, err := calls.Do(c.http, req, maxAnswer)
	if err != nil {
		return nil, err
	}
	if err := c.status(resp, spent); err != nil {
		return nil, err
	}
	a := &answer{apiVersion: resp.Header.Get("X-Shopify-API-Version"), date: calls.Date(resp)}
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
		state.RetryAfter = calls.RetryAfter(resp.Header, c.deps.Now(), time.Second)
	}
	c.deps.Limiter.Observe(operation, state)
	switch {
	case code == http.StatusUnauthorized:
		return calls.Unsent(errToken)
	case code == http.StatusForbidden:
		return calls.Unsent(fmt.Errorf("%w: Shopify answered 403: the app may not use this shop: check its installation and scopes", connectors.ErrNeedsAuthorisation))
	case code == http.StatusPaymentRequired:
		return calls.Unsent(fmt.Errorf("%w: Shopify answered 402: the shop is frozen until its owner pays", connectors.ErrNeedsAuthorisation))
	case state.RetryAfter > 0:
		return calls.Unsent(&connectors.RetryAfterError{After: state.RetryAfter, Err: fmt.Errorf("Shopify answered %d", code)})
	case code >= 300 && code < 400:
		return calls.Unsent(elsewhere(resp.Header))
	case code >= 500:
		return calls.Passing(fmt.Errorf("Shopify answered %d", code))
	default:
		return calls.Unsent(fmt.Errorf("%w: Shopify answered %d: check shop and api_version", connectors.ErrPermanent, code))
	}
}

// elsewhere is what a redirect means. The host alone is told: the rest of the address may hold
// what is nobody's business.
func elsewhere(header http.Header) error {
	host := "another page"
	if u, err := url.Parse(header.Get("Location")); err == nil && u.Host != "" {
		host = u.Host
	}
	return fmt.Errorf("%w: Shopify redirects to %s, which is not followed: if the shop's domain changed, change shop", connectors.ErrPermanent, jsonread.Clip(host))
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
		return calls.Passing(fmt.Errorf("the answer is no JSON (%s): a proxy or a maintenance page answered instead of Shopify", jsonread.Clip(resp.Header.Get("Content-Type"))))
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
		return calls.Passing(fmt.Errorf("the answer cannot be read: %w", r.Err()))
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
		return calls.Passing(errors.New("the answer has no data"))
	}
	return nil
}

// refused turns GraphQL errors into an instruction. They come before anything was done,
// except for those of the server itself.
func (c *client) refused(failures []graphError, after time.Duration) error {
	first := failures[0]
	switch code := first.Extensions.Code; code {
	case codeThrottled:
		return calls.Unsent(&connectors.RetryAfterError{After: after, Err: errors.New("throttled")})
	case "MAX_COST_EXCEEDED":
		return calls.Unsent(fmt.Errorf("%w: %s", errTooExpensive, jsonread.Clip(first.Message)))
	case "ACCESS_DENIED":
		return calls.Unsent(fmt.Errorf("%w: access denied: %s: give the app the missing scope (`crossdock check` names it)", connectors.ErrNeedsAuthorisation, calls.Clip(first.Message)))
	case codeConcurrent, codePrevious, codeMismatch:
		return &idempotencyError{code, calls.Clip(first.Message)}
	case "INTERNAL_SERVER_ERROR":
		return calls.Passing(fmt.Errorf("Shopify failed: %s", calls.Clip(first.Message)))
	default:
		return calls.Unsent(fmt.Errorf("%w: Shopify refuses the document: %s %s", connectors.ErrPermanent, jsonread.Clip(code), calls.Clip(first.Message)))
	}
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
