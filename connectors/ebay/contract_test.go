package ebay

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/helloword/crossdock/internal/testkit"
)

// contracts is eBay's own description of each API that is used, by base path.
func contracts() map[string]string {
	return map[string]string{
		baseFulfillment:  "sell_fulfillment_v1_oas3.json",
		baseInventory:    "sell_inventory_v1_oas3.json",
		baseNotification: "commerce_notification_v1_oas3.json",
		baseAnalytics:    "developer_analytics_v1_beta_oas3.json",
		basePostOrder:    "cancellation_oas3.json",
	}
}

// contract is one API: its document, to find a call's description in.
type contract struct {
	router routers.Router
	base   string
}

// load reads contracts, once for all tests.
var load = func() func(base, path string) (*contract, error) {
	var mu sync.Mutex
	loaded := map[string]*contract{}
	return func(base, path string) (*contract, error) {
		mu.Lock()
		defer mu.Unlock()
		if c := loaded[base]; c != nil {
			return c, nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		doc, err := openapi3.NewLoader().LoadFromData(text)
		if err != nil {
			return nil, err
		}
		if doc.Components != nil && doc.Components.Schemas["Destination"] != nil && waived()[waivedDelivery] != "" {
			doc.Components.Schemas["Destination"].Value.Properties["deliveryConfig"] = doc.Components.Schemas["DeliveryConfig"]
		}
		doc.Servers = openapi3.Servers{{URL: base}}
		router, err := legacy.NewRouter(doc, openapi3.DisableExamplesValidation(), openapi3.DisableSchemaPatternValidation(), openapi3.DisableSchemaDefaultsValidation())
		if err != nil {
			return nil, err
		}
		c := &contract{router, base}
		loaded[base] = c
		return c, nil
	}
}()

// waivedDelivery is a member of an answer whose contract is put right; see waived.
const waivedDelivery = "Destination.deliveryConfig"

// waivedCancel is a body that no contract describes; see waived.
const waivedCancel = "POST /post-order/v2/cancellation (body)"

// waived is what is not held against eBay's contract, with the reason.
func waived() map[string]string {
	return map[string]string{
		"POST /identity/v1/oauth2/token": "eBay publishes no contract of its token endpoint; checked by hand against oauth-refresh-token-request.html",
		waivedCancel:                     "the contract names the calls of the Post-Order API and no bodies; the body is that of the reference's page",
		waivedDelivery:                   "a string by the contract of answers, an object by the contract of requests and by the documentation's examples; the reader takes both",
	}
}

// tape is a transport that checks every request and every answer against the contract, and
// remembers which calls were made.
type tape struct {
	t    testing.TB
	next http.RoundTripper

	mu    sync.Mutex
	calls map[string]int
	// paths as they were asked for, in order.
	asked []string
	// skip leaves answers unchecked: of tests that make the simulator answer nonsense.
	skip bool
}

func (tp *tape) CloseIdleConnections() {
	if c, ok := tp.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func (tp *tape) made(name string) int {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	return tp.calls[name]
}

func (tp *tape) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil && r.Body != http.NoBody {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	name, input := tp.check(r, body)
	tp.mu.Lock()
	if tp.calls == nil {
		tp.calls = map[string]int{}
	}
	tp.calls[name]++
	tp.asked = append(tp.asked, r.Method+" "+r.URL.RequestURI())
	skip := tp.skip
	tp.mu.Unlock()
	resp, err := tp.next.RoundTrip(r)
	if err != nil || input == nil || skip {
		return resp, err
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(text))
	// What a proxy says instead of eBay is in no contract.
	if err != nil || resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		return resp, nil
	}
	answer := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: resp.StatusCode, Header: resp.Header, Body: io.NopCloser(bytes.NewReader(text)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	if resp.StatusCode < 300 {
		if err := openapi3filter.ValidateResponse(context.Background(), answer); err != nil {
			tp.t.Errorf("%s: the simulator's answer breaks the contract: %v\n%.500s", name, err, text)
		}
	}
	return resp, nil
}

// check finds the call in a contract and validates the request. What no contract knows, and
// is not waived, is a failure.
func (tp *tape) check(r *http.Request, body []byte) (name string, input *openapi3filter.RequestValidationInput) {
	name = r.Method + " " + r.URL.Path
	if waived()[name] != "" {
		return name, nil
	}
	for base, file := range contracts() {
		if !strings.HasPrefix(r.URL.Path, base+"/") {
			continue
		}
		path, ok := sharedFile(tp.t, file)
		if !ok {
			for _, e := range endpoints() {
				if e.method == r.Method && fits(e.base+e.path, r.URL.EscapedPath()) {
					name = e.name()
				}
			}
			return name, nil
		}
		c, err := load(base, path)
		if err != nil {
			tp.t.Errorf("loading %s: %v", file, err)
			return name, nil
		}
		copied := r.Clone(context.Background())
		copied.URL.Scheme, copied.URL.Host, copied.Host = "", "", ""
		copied.Body = io.NopCloser(bytes.NewReader(body))
		route, params, err := c.router.FindRoute(copied)
		if err != nil {
			tp.t.Errorf("%s: no call of eBay's contract: %v", name, err)
			return name, nil
		}
		name = r.Method + " " + base + route.Path
		input = &openapi3filter.RequestValidationInput{
			Request: copied, PathParams: params, Route: route,
			Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
		}
		if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
			tp.t.Errorf("%s breaks the contract: %v\n%s", name, err, body)
		}
		if err := known(route, r, body); err != nil {
			tp.t.Errorf("%s: %v", name, err)
		}
		return name, input
	}
	tp.t.Errorf("%s: there is no contract for it", name)
	return name, nil
}

// fits says whether a path is one of a template's, {names} being any one part.
func fits(template, path string) bool {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] && !strings.HasPrefix(want[i], "{") {
			return false
		}
	}
	return true
}

// known refuses what a contract lets pass because it forbids nothing: query parameters and
// members that it does not name.
func known(route *routers.Route, r *http.Request, body []byte) error {
	for q := range r.URL.Query() {
		if route.Operation.Parameters.GetByInAndName("query", q) == nil {
			return fmt.Errorf("query parameter %s is not in the contract", q)
		}
	}
	if len(body) == 0 {
		if b := route.Operation.RequestBody; b != nil && b.Value.Required {
			return fmt.Errorf("the contract wants a body")
		}
		return nil
	}
	if waived()[route.Method+" "+r.URL.Path+" (body)"] != "" {
		return nil
	}
	if route.Operation.RequestBody == nil {
		return fmt.Errorf("the contract wants no body")
	}
	schema := route.Operation.RequestBody.Value.Content.Get("application/json").Schema.Value
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return err
	}
	return members(schema, v, "$")
}

// members says which member of a document the schema does not know.
func members(schema *openapi3.Schema, v any, at string) error {
	switch v := v.(type) {
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		sort.Strings(names)
		for _, name := range names {
			p := schema.Properties[name]
			if p == nil {
				return fmt.Errorf("%s.%s is not in the contract", at, name)
			}
			if err := members(p.Value, v[name], at+"."+name); err != nil {
				return err
			}
		}
	case []any:
		for i, e := range v {
			if err := members(schema.Items.Value, e, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// sharedFile is a contract's file; ok is false where there is none.
func sharedFile(t testing.TB, file string) (string, bool) {
	dir := os.Getenv("CROSSDOCK_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared") // beside the repository
	}
	path := filepath.Join(dir, "specs", "ebay", file)
	if _, err := os.Stat(path); err != nil {
		if testkit.Required() {
			t.Errorf("%s: %v", file, err)
		}
		return "", false
	}
	return path, true
}
