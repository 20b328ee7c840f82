package amazon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi2"
	"github.com/getkin/kin-openapi/openapi2conv"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/goccy/go-yaml"

	"github.com/helloword/crossdock/internal/testkit"
)

// specs are Amazon's own contracts of the APIs that are called.
var specs = []string{
	"orders_2026-01-01.json", "ordersV0.json", "listingsItems_2021-08-01.json", "reports_2021-06-30.json",
	"fbaInventory.json", "notifications.json", "sellers.json", "feeds_2021-06-30.json", "finances_2024-06-19.json",
}

// contract is Amazon's contracts, read once.
type contract struct {
	swagger map[string]*openapi2.T
	routers []routers.Router
	mu      sync.Mutex
	seen    map[string]int
}

var readContract = sync.OnceValues(func() (*contract, error) {
	c := &contract{swagger: map[string]*openapi2.T{}, seen: map[string]int{}}
	folder := os.Getenv("AMAZON_CONTRACTS")
	for _, name := range specs {
		text, err := os.ReadFile(folder + "/" + name)
		if err != nil {
			return nil, err
		}
		var v2 openapi2.T
		if err := json.Unmarshal(text, &v2); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		c.swagger[name] = &v2
		// Converted from a copy: the conversion changes what it is given.
		var again openapi2.T
		if err := json.Unmarshal(text, &again); err != nil {
			return nil, err
		}
		// Lists are separated by commas where a contract says nothing: Swagger 2.0's default, which
		// the conversion does not know.
		for _, item := range again.Paths {
			for _, op := range item.Operations() {
				for _, p := range op.Parameters {
					if p.In == "query" && p.CollectionFormat == "" && p.Type != nil && p.Type.Is("array") {
						p.CollectionFormat = "csv"
					}
				}
			}
		}
		v3, err := openapi2conv.ToV3(&again)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		v3.Servers = openapi3.Servers{{URL: "/"}}
		router, err := legacy.NewRouter(v3, openapi3.DisableExamplesValidation(), openapi3.DisableSchemaDefaultsValidation(), openapi3.DisableSchemaPatternValidation())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		c.routers = append(c.routers, router)
	}
	return c, nil
})

func loadContract(t testing.TB) *contract {
	t.Helper()
	t.Setenv("AMAZON_CONTRACTS", testkit.Shared(t, "specs", "amazon"))
	c, err := readContract()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// check holds one request, and the answer to it, against the contract, and names the operation.
func (c *contract) check(r *http.Request, body []byte, answer *httptest.ResponseRecorder) (operation string, err error) {
	for _, router := range c.routers {
		again := httptest.NewRequest(r.Method, r.URL.RequestURI(), bytes.NewReader(body))
		again.URL.Path = again.URL.EscapedPath() // a SKU may hold a slash
		again.URL.RawPath = ""
		again.Header = r.Header.Clone()
		route, params, err := router.FindRoute(again)
		if err != nil {
			continue
		}
		operation = route.Operation.OperationID
		c.mu.Lock()
		c.seen[operation]++
		c.mu.Unlock()
		in := &openapi3filter.RequestValidationInput{Request: again, PathParams: params, Route: route, Options: &openapi3filter.Options{MultiError: true}}
		if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil {
			return operation, fmt.Errorf("request %s %s: %w", r.Method, r.URL, err)
		}
		for name := range again.URL.Query() {
			if p := route.Operation.Parameters.GetByInAndName("query", name); p == nil {
				return operation, fmt.Errorf("request %s %s: no parameter %s", r.Method, r.URL, name)
			}
		}
		if answer != nil && answer.Code < 500 && answer.Header().Get("Content-Type") == "application/json" {
			out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: answer.Code, Header: answer.Header(), Options: &openapi3filter.Options{MultiError: true}}
			out.SetBodyBytes(answer.Body.Bytes())
			if err := openapi3filter.ValidateResponse(context.Background(), out); err != nil {
				return operation, fmt.Errorf("answer %d to %s %s: %w", answer.Code, r.Method, r.URL, err)
			}
		}
		return operation, nil
	}
	return "", fmt.Errorf("request %s %s: no contract knows it", r.Method, r.URL)
}

// contracted holds everything that passes against the contract.
func (c *contract) contracted(t testing.TB, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Target") != "" || strings.HasPrefix(r.URL.Path, "/auth/") || strings.HasPrefix(r.URL.Path, "/simulated-") {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		if _, err := c.check(r, body, rec); err != nil {
			t.Error(err)
		}
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	})
}

// sandbox calls f with every answer that Amazon's sandbox and the examples give to an operation.
func (c *contract) sandbox(t *testing.T, operation string, f func(name string, code string, body []byte)) {
	t.Helper()
	n := 0
	for file, v2 := range c.swagger {
		for path, item := range v2.Paths {
			for method, op := range item.Operations() {
				if op.OperationID != operation {
					continue
				}
				for code, resp := range op.Responses.Map() {
					give := func(kind string, v any) {
						b, err := json.Marshal(v)
						if err != nil {
							t.Fatal(err)
						}
						n++
						f(fmt.Sprintf("%s %s %s %s %s", file, method, path, code, kind), code, b)
					}
					for kind, v := range resp.Examples {
						give("example "+kind, v)
					}
					box, ok := resp.Extensions["x-amzn-api-sandbox"].(map[string]any)
					if !ok {
						continue
					}
					cases, _ := box["static"].([]any)
					for i, v := range cases {
						if m, ok := v.(map[string]any); ok && m["response"] != nil {
							give(fmt.Sprintf("sandbox %d", i), m["response"])
						}
					}
				}
			}
		}
	}
	if n == 0 {
		t.Errorf("%s has no example: is it still called that?", operation)
	}
}

// operations is everything that is called.
func operations() []operation {
	return []operation{
		opSearchOrders, opGetOrder, opSearchListings, opGetListing, opPatchListing, opCreateReport, opGetReport, opReportDocument, opInventory,
		opConfirm, opParticipations, opGetDestinations, opCreateDestination, opGetSubscription, opCreateSubscription, opDeleteSubscription,
		opFeedAddress, opCreateFeed, opGetFeed, opGetFeeds, opFeedDocument, opTransactions,
	}
}

// TestOperationsAreListed: the list above is what stands in the code.
func TestOperationsAreListed(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, m := range regexp.MustCompile(`operation\{name: "(\w+)"`).FindAllStringSubmatch(string(text), -1) {
			found[m[1]] = true
		}
	}
	for _, op := range operations() {
		if !found[op.name] {
			t.Errorf("%s is listed and not in the code", op.name)
		}
		delete(found, op.name)
	}
	if len(found) > 0 {
		t.Errorf("in the code and not listed: %v", found)
	}
}

// TestRates: the pauses are those of the published rates.
func TestRates(t *testing.T) {
	loadContract(t)
	text, err := os.ReadFile(os.Getenv("AMAZON_CONTRACTS") + "/rate-limits.yml")
	if err != nil {
		t.Fatal(err)
	}
	var published map[string][]float64
	if err := yaml.Unmarshal(text, &published); err != nil {
		t.Fatal(err)
	}
	for _, op := range operations() {
		var rate []float64
		for _, api := range []string{"SearchOrdersApi", "GetOrderApi", "OrdersV0Api", "ListingsApi", "ReportsApi", "FbaInventoryApi", "SellersApi", "NotificationsApi", "FeedsApi", "DefaultApi"} {
			if r := published[api+"-"+op.name]; r != nil {
				rate = r
				break
			}
		}
		if len(rate) < 2 {
			t.Errorf("%s has no published rate", op.name)
			continue
		}
		want := 1 / rate[0]
		if len(rate) > 2 {
			want = rate[2] / rate[0]
		}
		if got := op.pause.Seconds(); got != want {
			t.Errorf("%s: a call comes back after %gs, published are %gs", op.name, got, want)
		}
	}
}

// TestRequestsAreValidByTheContract calls everything that the connector can call, and holds
// each request, and each answer of the simulator, against Amazon's contracts.
func TestRequestsAreValidByTheContract(t *testing.T) {
	c := loadContract(t)
	called := everything(t, c)
	for _, op := range operations() {
		if !called[op.name] {
			t.Errorf("%s is called by the connector and by no test here", op.name)
		}
	}
	for name := range called {
		if !slices.ContainsFunc(operations(), func(op operation) bool { return op.name == name }) {
			t.Errorf("%s was called and is not listed", name)
		}
	}
}

// TestUsesAreTheOperations: what `crossdock drift` compares is everything that is called, at
// the addresses of the contracts.
func TestUsesAreTheOperations(t *testing.T) {
	var got, want []string
	for _, e := range Uses().Endpoints {
		got = append(got, e.Name)
	}
	for _, op := range operations() {
		want = append(want, op.name)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("Uses has %v, called are %v", got, want)
	}
	c := loadContract(t)
	for _, e := range Uses().Endpoints {
		if !slices.ContainsFunc(specs, func(file string) bool {
			item := c.swagger[file].Paths[e.Path]
			return item != nil && item.Operations()[e.Method] != nil && item.Operations()[e.Method].OperationID == e.Name
		}) {
			t.Errorf("no contract has %s as %s %s", e.Name, e.Method, e.Path)
		}
	}
}
