package magento

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi2"
	"github.com/getkin/kin-openapi/openapi2conv"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/magento/simulator"
	"github.com/helloword/crossdock/internal/testkit"
	"github.com/helloword/crossdock/schemas/event"
)

// contract is the vendor's description of the API of 2.4.9.
type contract struct {
	doc   *openapi3.T
	paths []template
}

type template struct {
	path  string
	match *regexp.Regexp
}

func readContract(t *testing.T) *contract {
	t.Helper()
	b, err := os.ReadFile(testkit.Shared(t, "specs", "magento", "admin-2.4.9.json"))
	if err != nil {
		t.Fatal(err)
	}
	var old openapi2.T
	if err := json.Unmarshal(b, &old); err != nil {
		t.Fatal(err)
	}
	doc, err := openapi2conv.ToV3(&old)
	if err != nil {
		t.Fatal(err)
	}
	c := &contract{doc: doc}
	// Swagger 2.0 has no null. Shops write it for whatever is not set, required or not.
	for _, s := range doc.Components.Schemas {
		for _, p := range s.Value.Properties {
			p.Value.Nullable = true
		}
	}
	// Attribute values are texts to the contract; shops answer lists of texts as well.
	doc.Components.Schemas["framework-attribute-interface"].Value.Properties["value"].Value = openapi3.NewSchema()
	parameter := regexp.MustCompile(`\{[^}]+\}`)
	for path := range doc.Paths.Map() {
		c.paths = append(c.paths, template{path, regexp.MustCompile("^" + parameter.ReplaceAllString(regexp.QuoteMeta(path), `[^/]+`) + "$")})
		if strings.Contains(path, "{") {
			quoted := strings.NewReplacer(`\{`, "{", `\}`, "}").Replace(regexp.QuoteMeta(path))
			c.paths[len(c.paths)-1].match = regexp.MustCompile("^" + parameter.ReplaceAllString(quoted, `[^/]+`) + "$")
		}
	}
	// A path without parameters is meant before one with.
	sort.Slice(c.paths, func(i, j int) bool { return strings.Count(c.paths[i].path, "{") < strings.Count(c.paths[j].path, "{") })
	return c
}

// exchange is one call with its answer, as they went over the wire.
type exchange struct {
	method, path string
	query        url.Values
	body, answer []byte
	status       int
}

// tape records every call that reaches a handler.
type tape struct {
	next http.Handler
	mu   sync.Mutex
	all  []exchange
}

func (r *tape) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	rec := httptest.NewRecorder()
	r.next.ServeHTTP(rec, req)
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, exchange{req.Method, strings.TrimPrefix(req.URL.Path, "/rest/all"), req.URL.Query(), body, rec.Body.Bytes(), rec.Code})
}

// waived is what the contract says and shops of 2.4.7 do not do, each with its reason.
var waived = map[string]string{
	"query fields":                           "partial answers are described in prose (developer.adobe.com/commerce/webapi/rest/use-rest/retrieve-filtered-responses) and not in the contract",
	"answer POST /V1/inventory/source-items": "the contract has no 200; a 2.4.7 answers 200 []",
}

var index = regexp.MustCompile(`\[\d+\]`)

// check says what of an exchange is not as the contract has it.
func (c *contract) check(x exchange) (operation string, wrong []string) {
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	at := slices.IndexFunc(c.paths, func(t template) bool {
		return t.match.MatchString(x.path) && c.doc.Paths.Value(t.path).GetOperation(x.method) != nil
	})
	if at < 0 {
		return "", []string{"the contract has no " + x.method + " " + x.path}
	}
	operation = x.method + " " + c.paths[at].path
	op := c.doc.Paths.Value(c.paths[at].path).GetOperation(x.method)
	for name, values := range x.query {
		if waived["query "+name] != "" {
			continue
		}
		// The contract writes lists with their first index only.
		p := op.Parameters.GetByInAndName("query", index.ReplaceAllString(name, "[0]"))
		if p == nil {
			bad("query parameter %s is not in the contract", name)
			continue
		}
		var value any = values[0]
		if p.Schema.Value.Type.Is("integer") && json.Unmarshal([]byte(values[0]), &value) != nil {
			bad("query parameter %s: %q is no number", name, values[0])
		}
		if err := p.Schema.Value.VisitJSON(value); err != nil {
			bad("query parameter %s: %v", name, err)
		}
	}
	var schema *openapi3.Schema
	if op.RequestBody != nil {
		schema = op.RequestBody.Value.Content.Get("application/json").Schema.Value
	}
	switch {
	case schema == nil && len(x.body) > 0 && string(x.body) != "{}":
		bad("a body that the contract does not have: %s", x.body)
	case schema != nil:
		var v any
		if err := json.Unmarshal(x.body, &v); err != nil {
			bad("body: %v", err)
		} else if err := schema.VisitJSON(v, openapi3.MultiErrors()); err != nil {
			bad("body %s: %s", x.body, firstLine(err))
		} else {
			for _, name := range unknownMembers(schema, v, "") {
				bad("body %s: the contract has no %s", x.body, name)
			}
		}
	}
	if r := op.Responses.Status(x.status); r != nil && waived["answer "+operation] == "" {
		var v any
		if err := json.Unmarshal(x.answer, &v); err != nil {
			bad("answer: %v", err)
		} else if content := r.Value.Content.Get("application/json"); content != nil && x.query.Get("fields") == "" {
			if err := content.Schema.Value.VisitJSON(v); err != nil {
				bad("answer %.300s: %s", x.answer, firstLine(err))
			}
		}
	}
	return operation, wrong
}

// unknownMembers is what a schema does not name: Swagger lets everything through.
func unknownMembers(s *openapi3.Schema, v any, at string) (names []string) {
	switch v := v.(type) {
	case map[string]any:
		for k, member := range v {
			p := s.Properties[k]
			if p == nil {
				names = append(names, at+"."+k)
				continue
			}
			names = append(names, unknownMembers(p.Value, member, at+"."+k)...)
		}
	case []any:
		for _, e := range v {
			if s.Items != nil {
				names = append(names, unknownMembers(s.Items.Value, e, at+"[]")...)
			}
		}
	}
	return names
}

// firstLine is what a complaint says before it prints the schema.
func firstLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

// endpoints is every operation that the connector uses, by the path as the source writes it.
var endpoints = map[string][]string{
	"/V1/integration/admin/token":          {"POST /V1/integration/admin/token"},
	"/V1/orders":                           {"GET /V1/orders"},
	"/V1/orders/":                          {"GET /V1/orders/{id}", "POST /V1/orders/{id}/cancel"},
	"/V1/order/":                           {"POST /V1/order/{orderId}/ship", "POST /V1/order/{orderId}/refund"},
	"/V1/invoice/":                         {"POST /V1/invoice/{invoiceId}/refund"},
	"/V1/invoices":                         {"GET /V1/invoices"},
	"/V1/shipments":                        {"GET /V1/shipments"},
	"/V1/creditmemos":                      {"GET /V1/creditmemos"},
	"/V1/products":                         {"GET /V1/products"},
	"/V1/products/base-prices":             {"POST /V1/products/base-prices"},
	"/V1/products/base-prices-information": {"POST /V1/products/base-prices-information"},
	"/V1/inventory/source-items":           {"GET /V1/inventory/source-items", "POST /V1/inventory/source-items"},
	"/V1/inventory/sources/":               {"GET /V1/inventory/sources/{sourceCode}"},
	"/V1/store/storeConfigs":               {"GET /V1/store/storeConfigs"},
}

// TestEndpointsAreListed: whatever path the source calls has its operations above.
func TestEndpointsAreListed(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	literal := regexp.MustCompile(`"(/V1/[^"]*)"`)
	found := map[string]bool{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range literal.FindAllStringSubmatch(string(b), -1) {
			found[m[1]] = true
			if endpoints[m[1]] == nil {
				t.Errorf("%s calls %s, which no contract test knows", name, m[1])
			}
		}
	}
	for path := range endpoints {
		if !found[path] {
			t.Errorf("%s is listed and not called", path)
		}
	}
}

// TestUsesAreTheEndpoints: what `crossdock drift` compares is everything that is called.
func TestUsesAreTheEndpoints(t *testing.T) {
	var got, want []string
	for _, e := range Uses().Endpoints {
		got = append(got, e.Method+" "+e.Path)
	}
	for _, operations := range endpoints {
		want = append(want, operations...)
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestCallsAreAsTheContractHasThem plays everything that the connector can do, and holds each
// call and each answer of the simulator against the vendor's contract.
func TestCallsAreAsTheContractHasThem(t *testing.T) {
	c := readContract(t)
	var r *tape
	s := openOn(t, simulator.Config{}, func(h http.Handler) http.Handler { r = &tape{next: h}; return r }, func(cfg *Config) {
		cfg.Auth, cfg.Username, cfg.Password = AuthAdmin, "admin", "env:MAGENTO_TEST_PASSWORD"
		cfg.PageSize = 2
	})
	play(t, s)
	used := map[string]bool{}
	for _, x := range r.all {
		operation, wrong := c.check(x)
		used[operation] = true
		for _, w := range wrong {
			t.Errorf("%s %s (%d): %s", x.method, x.path, x.status, w)
		}
	}
	var want, got []string
	for _, operations := range endpoints {
		want = append(want, operations...)
	}
	for operation := range used {
		got = append(got, operation)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("operations used:\n%s", diff)
	}
}

// TestTheContractTestFindsMistakes: a check that lets everything through is no check.
func TestTheContractTestFindsMistakes(t *testing.T) {
	c := readContract(t)
	for name, x := range map[string]exchange{
		"path":      {method: "GET", path: "/V1/order"},
		"method":    {method: "DELETE", path: "/V1/orders"},
		"parameter": {method: "GET", path: "/V1/orders", query: url.Values{"searchCriteria[size]": {"1"}}},
		"number":    {method: "GET", path: "/V1/orders", query: url.Values{"searchCriteria[pageSize]": {"many"}}},
		"member":    {method: "POST", path: "/V1/order/1/ship", body: []byte(`{"lines":[]}`)},
		"type":      {method: "POST", path: "/V1/order/1/ship", body: []byte(`{"items":[{"order_item_id":"1","qty":1}]}`)},
		"missing":   {method: "POST", path: "/V1/order/1/ship", body: []byte(`{"tracks":[{"title":"x"}]}`)},
		"answer":    {method: "GET", path: "/V1/orders", status: 200, answer: []byte(`{"items":[{"entity_id":"one"}]}`)},
	} {
		if _, wrong := c.check(x); len(wrong) == 0 {
			t.Errorf("%s: nothing was found", name)
		}
	}
}

// play does everything that a connector can do, once.
func play(t *testing.T, s *shop) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := context.Background()
	p := stocked(s)
	var orders []int64
	for range 4 {
		id, err := s.PlaceOrder(simulator.OrderSpec{Customer: buyer, Shipping: home, Paid: len(orders) > 0, Delivery: "4.95", DiscountCode: "TEN", Discount: "1.00", TaxTitle: "VAT", TaxRate: "0.19",
			Lines: []simulator.LineSpec{{Variant: p[0].Variants[0], Quantity: 3}, {Variant: p[1].Variants[0], Quantity: 1}}})
		must(err)
		orders = append(orders, id)
	}
	online, err := s.PlaceOrder(simulator.OrderSpec{Paid: true, Transaction: "T-1", Lines: []simulator.LineSpec{{Variant: p[0].Variants[0], Quantity: 1}}})
	must(err)
	o, _ := s.Order(orders[1])
	_, err = s.Refund(orders[1], simulator.RefundSpec{Note: "late", Shipping: "4.95", Lines: []simulator.RefundLineSpec{{Line: o.Lines[0].ID, Quantity: 1}}})
	must(err)
	o, _ = s.Order(orders[2])
	for i, w := range []connectors.FulfilmentWrite{
		{OrderID: stringID(orders[2]), Lines: []connectors.LineQuantity{{LineID: stringID(o.Lines[0].ID), Quantity: 1}}, CarrierCode: "dhl", CarrierName: "DHL", Tracking: "JD1", Notify: true, CommandID: "f1"},
		{OrderID: stringID(orders[2]), CommandID: "f2"},
	} {
		r, err := s.conn.Fulfilment.PushFulfilment(ctx, w)
		must(err)
		if r.Outcome != event.Outcome_OUTCOME_ACCEPTED {
			t.Fatalf("shipment %d: %v", i, r)
		}
	}
	for _, id := range orders[:2] {
		_, err := s.conn.Cancel.CancelOrder(ctx, connectors.CancelWrite{OrderID: stringID(id), CommandID: "c"})
		must(err)
	}
	_, err = s.conn.Stock.PushStock(ctx, []connectors.StockWrite{{StockID: "85123A", Quantity: 8}, {StockID: "MUG-R", Quantity: 0}})
	must(err)
	_, err = s.conn.Price.PushPrice(ctx, []connectors.PriceWrite{
		{ListingID: stringID(p[0].Variants[0]), Price: &event.Money{Minor: 999, Currency: "EUR"}},
	})
	must(err)
	s.SetFaults(simulator.Faults{Refuse: 1})
	_, err = s.conn.Price.PushPrice(ctx, []connectors.PriceWrite{{ListingID: stringID(p[0].Variants[0]), Price: &event.Money{Minor: 998, Currency: "EUR"}}})
	must(err)
	s.SetFaults(simulator.Faults{})
	for i, id := range []int64{orders[3], online} {
		o, _ := s.Order(id)
		r, err := s.conn.Refund.PushRefund(ctx, connectors.RefundWrite{OrderID: stringID(id), Amount: eur(250), CommandID: fmt.Sprint("r", i), Note: "late",
			Restock: event.Restock_RESTOCK_CANCEL, Lines: []connectors.LineQuantity{{LineID: stringID(o.Lines[0].ID), Quantity: o.Lines[0].Quantity}}})
		must(err)
		if r.Outcome != event.Outcome_OUTCOME_ACCEPTED || r.Code != "" {
			t.Fatalf("refund %d: %v", i, r)
		}
	}
	s.clock.Add(60e9)
	for _, subject := range []connectors.Subject{connectors.Orders, connectors.Products, connectors.Inventory} {
		raws, _ := s.poll(t, subject, connectors.PollRequest{})
		if len(raws) == 0 {
			t.Errorf("no %s were polled", subject)
		}
	}
	results, err := s.conn.Check.Check(ctx)
	must(err)
	for _, r := range results {
		if !r.OK {
			t.Errorf("check: %+v", r)
		}
	}
}
