package woocommerce

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/woocommerce/simulator"
	"github.com/helloword/crossdock/internal/testkit"
)

// WooCommerce publishes no contract but the one that each shop answers to OPTIONS: the
// arguments of a route's methods, and the schema of its documents. Here are those of orders
// and products of a real 11.0.1.

// rule is JSON schema as WordPress writes it: of draft 4, with types of its own.
type rule struct {
	Type       any             `json:"type"`
	Enum       []any           `json:"enum"`
	Minimum    *float64        `json:"minimum"`
	Maximum    *float64        `json:"maximum"`
	Items      *rule           `json:"items"`
	Properties map[string]rule `json:"properties"`
	ReadOnly   bool            `json:"readonly"`
}

type contract struct {
	Endpoints []struct {
		Methods []string        `json:"methods"`
		Args    map[string]rule `json:"args"`
	} `json:"endpoints"`
	Schema rule `json:"schema"`
}

func readContract(t *testing.T, name string) contract {
	t.Helper()
	text, err := os.ReadFile(testkit.Shared(t, "specs", "woocommerce", name))
	if err != nil {
		t.Fatal(err)
	}
	var c contract
	if err := json.Unmarshal(text, &c); err != nil || len(c.Endpoints) != 2 || c.Schema.Properties == nil {
		t.Fatalf("%s is not understood: %v", name, err)
	}
	return c
}

// breaks says how a value breaks a rule; "" when it does not.
func (r rule) breaks(v any, path string) string {
	var types []string
	switch kind := r.Type.(type) {
	case string:
		types = []string{kind}
	case []any:
		for _, k := range kind {
			types = append(types, fmt.Sprint(k))
		}
	}
	if v == nil && strings.HasSuffix(path, ".parent_name") {
		return "" // measured: null for a product that is no variation
	}
	if len(types) > 0 && !slices.ContainsFunc(types, func(kind string) bool { return isA(kind, v) }) {
		return fmt.Sprintf("%s: %v (%T) is none of %v", path, v, v, types)
	}
	if len(r.Enum) > 0 && !slices.Contains(r.Enum, v) {
		return fmt.Sprintf("%s: %v is none of %v", path, v, r.Enum)
	}
	if n, ok := v.(float64); ok && (r.Minimum != nil && n < *r.Minimum || r.Maximum != nil && n > *r.Maximum) {
		return fmt.Sprintf("%s: %v is out of range", path, v)
	}
	if list, ok := v.([]any); ok && r.Items != nil {
		for i, e := range list {
			if why := r.Items.breaks(e, fmt.Sprintf("%s[%d]", path, i)); why != "" {
				return why
			}
		}
	}
	if object, ok := v.(map[string]any); ok && r.Properties != nil {
		for name, e := range object {
			if p, ok := r.Properties[name]; ok {
				if why := p.breaks(e, path+"."+name); why != "" {
					return why
				}
			}
		}
	}
	return ""
}

func isA(kind string, v any) bool {
	n, number := v.(float64)
	switch kind {
	case "mixed":
		return true
	case "string":
		_, ok := v.(string)
		return ok
	case "date-time":
		text, ok := v.(string)
		if v == nil {
			return true // measured: date_paid of an order that is not paid
		}
		_, err := time.Parse("2006-01-02T15:04:05", text)
		return ok && err == nil
	case "integer":
		return number && n == float64(int64(n))
	case "number":
		return number
	case "boolean":
		_, ok := v.(bool)
		return ok
	case "array":
		_, ok := v.([]any)
		return ok
	case "object":
		_, ok := v.(map[string]any)
		return ok
	case "null":
		return v == nil
	}
	return false
}

// argument reads a query's text as the rule's type.
func (r rule) argument(text string) any {
	switch r.Type {
	case "integer", "number":
		if n, err := strconv.ParseFloat(text, 64); err == nil {
			return n
		}
	case "boolean":
		return text == "true"
	case "array":
		var list []any
		for _, part := range regexp.MustCompile(",").Split(text, -1) {
			list = append(list, r.Items.argument(part))
		}
		return list
	}
	return text
}

// endpoint is one that the connector calls, and what proves the form of its calls.
type endpoint struct {
	method, path string
	// args is the arguments of a query, body those of a JSON body, item those of the elements
	// of a batch.
	args, body, item map[string]rule
	// waiver is why nothing does.
	waiver string
}

func endpoints(t *testing.T) []endpoint {
	orders, products := readContract(t, "schema-orders-OPTIONS.json"), readContract(t, "schema-products-OPTIONS.json")
	const below = "OPTIONS of this route were not captured; its arguments are those of the list of products, which it inherits"
	const unseen = "OPTIONS of this route were not captured; the form is that of the vendor's documentation"
	return []endpoint{
		{method: "GET", path: "orders", args: orders.Endpoints[0].Args},
		{method: "PUT", path: `orders/\d+`, body: orders.Endpoints[1].Args},
		{method: "GET", path: "products", args: products.Endpoints[0].Args},
		{method: "POST", path: "products/batch", item: products.Endpoints[1].Args},
		{method: "GET", path: `products/\d+/variations`, args: products.Endpoints[0].Args, waiver: below},
		{method: "GET", path: "variations", args: products.Endpoints[0].Args, waiver: below},
		{method: "POST", path: `products/\d+/variations/batch`, item: products.Endpoints[1].Args, waiver: below},
		{method: "GET", path: `orders/\d+`, waiver: unseen},
		{method: "GET", path: `orders/\d+/refunds`, waiver: unseen},
		{method: "POST", path: `orders/\d+/refunds`, waiver: unseen},
		{method: "GET", path: `orders/\d+/notes`, waiver: unseen},
		{method: "POST", path: `orders/\d+/notes`, waiver: unseen},
		{method: "GET", path: "webhooks", waiver: unseen},
		{method: "POST", path: "webhooks", waiver: unseen},
		{method: "PUT", path: `webhooks/\d+`, waiver: unseen},
		{method: "GET", path: `settings/\w+/\w+`, waiver: unseen},
	}
}

// everywhere is arguments of WordPress that every route takes, and those that sign.
var everywhere = regexp.MustCompile(`^(_fields|oauth_\w+)$`)

// Every call that the connector can make is one that the shop's own contract takes, and every
// address that it calls is one that stands above.
func TestRequestsAreValidByTheShopsContract(t *testing.T) {
	all := endpoints(t)
	used := map[string]bool{}
	for _, r := range everyCall(t) {
		path := regexp.MustCompile(`^/wp-json/wc/v3/`).ReplaceAllString(r.path, "")
		i := slices.IndexFunc(all, func(e endpoint) bool {
			return e.method == r.method && regexp.MustCompile("^"+e.path+"$").MatchString(path)
		})
		if i < 0 {
			t.Errorf("%s %s has no contract and no waiver", r.method, path)
			continue
		}
		e := all[i]
		used[e.method+" "+e.path] = true
		for name, values := range r.query {
			if everywhere.MatchString(name) || e.args == nil {
				continue
			}
			arg, ok := e.args[name]
			if !ok {
				t.Errorf("%s %s: no argument %q", r.method, path, name)
			} else if why := arg.breaks(arg.argument(values[0]), name); why != "" {
				t.Errorf("%s %s: %s", r.method, path, why)
			}
		}
		checkBody(t, e, path, r.body)
	}
	for _, e := range all {
		if !used[e.method+" "+e.path] {
			t.Errorf("%s %s stands in the list, and nothing calls it", e.method, e.path)
		}
	}
}

// TestUsesAreTheEndpoints: what `crossdock drift` compares is everything that is called.
func TestUsesAreTheEndpoints(t *testing.T) {
	all := endpoints(t)
	known := make([]bool, len(all))
	for _, u := range Uses().Endpoints {
		path := regexp.MustCompile(`\{\w+\}`).ReplaceAllString(strings.TrimPrefix(u.Path, "/wc/v3/"), "1")
		i := slices.IndexFunc(all, func(e endpoint) bool {
			return e.method == u.Method && regexp.MustCompile("^"+e.path+"$").MatchString(path)
		})
		if i < 0 || known[i] {
			t.Errorf("%s is called by nobody, or listed twice", u.Name)
			continue
		}
		known[i] = true
	}
	for i, e := range all {
		if !known[i] {
			t.Errorf("%s %s is called and not listed", e.method, e.path)
		}
	}
}

func checkBody(t *testing.T, e endpoint, path string, body []byte) {
	t.Helper()
	var objects []map[string]any
	args := e.body
	switch {
	case e.item != nil:
		var batch map[string][]map[string]any
		if err := json.Unmarshal(body, &batch); err != nil || len(batch) != 1 || batch["update"] == nil || len(batch["update"]) > maxPage {
			t.Errorf("%s: %s is no batch: %v", path, body, err)
		}
		objects, args = batch["update"], e.item
	case e.body != nil:
		var one map[string]any
		if err := json.Unmarshal(body, &one); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		objects = append(objects, one)
	}
	for _, o := range objects {
		for name, v := range o {
			if name == "id" && e.item != nil {
				if !isA("integer", v) {
					t.Errorf("%s: id %v is no number", path, v)
				}
				continue
			}
			arg, ok := args[name]
			if !ok {
				t.Errorf("%s: no member %q can be written", path, name)
			} else if why := arg.breaks(v, name); why != "" {
				t.Errorf("%s: %s", path, why)
			}
		}
	}
}

// The simulator's documents have the form that the contract gives them: what it does not
// name is not there, and what is there has its type.
func TestSimulatorsDocumentsAreTheContracts(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	orders, products := readContract(t, "schema-orders-OPTIONS.json").Schema, readContract(t, "schema-products-OPTIONS.json").Schema
	seen := 0
	check := func(schema rule, text []byte, known ...string) {
		var doc map[string]any
		if err := json.Unmarshal(text, &doc); err != nil {
			t.Fatal(err)
		}
		seen++
		for name := range doc {
			if _, ok := schema.Properties[name]; !ok && !slices.Contains(known, name) {
				t.Errorf("%s is not in the contract", name)
			}
		}
		if why := schema.breaks(doc, "$"); why != "" {
			t.Error(why)
		}
	}
	history(t, s, func(string) {
		raws, _ := s.poll(t, connectors.Orders, connectors.PollRequest{})
		for _, raw := range raws {
			if raw.Format == formatOrder && shapeOf(string(raw.Body)).trashed {
				continue // "trash" is a status, and not in the list of those that can be written
			}
			if raw.Format == formatOrder {
				// Measured: the sample of a real shop has it, its schema has not.
				check(orders, raw.Body, "currency_symbol")
			}
		}
		raws, _ = s.poll(t, connectors.Products, connectors.PollRequest{})
		for _, raw := range raws {
			if raw.Format == formatProduct {
				check(products, raw.Body)
			}
		}
		s.clock.Add(time.Minute)
	})
	if seen < 20 {
		t.Errorf("only %d documents were looked at", seen)
	}
}

// What a real shop answered can be read.
func TestSamplesOfARealShop(t *testing.T) {
	read := func(name string) []byte {
		text, err := os.ReadFile(testkit.Shared(t, "samples", "woocommerce", name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	whole, err := translate(t, formatOrder, read("order-full.json"))
	if err != nil {
		t.Fatal(err)
	}
	after, err := translate(t, formatOrder, read("order-after-refund.json"))
	if err != nil {
		t.Fatal(err)
	}
	a, b := whole.Orders[0], after.Orders[0]
	if a.Total.Minor != 7115 || b.Total.Minor != 7115 || a.TotalDiscounts.Minor != 725 || a.Subtotal.Minor != 7350 {
		t.Errorf("total %d and %d, discounts %d, subtotal %d", a.Total.Minor, b.Total.Minor, a.TotalDiscounts.Minor, a.Subtotal.Minor)
	}
	if a.Lines[0].Removed != 0 || b.Lines[0].Removed != 1 || b.UpdatedMs <= a.UpdatedMs {
		t.Errorf("removed %d and %d, updated %d and %d: within one second, the refund is later", a.Lines[0].Removed, b.Lines[0].Removed, a.UpdatedMs, b.UpdatedMs)
	}
	refund, err := translate(t, formatRefunds, []byte(`{"order_id":21,"currency":"EUR","refunds":[`+string(read("refund.json"))+`]}`))
	if err != nil || len(refund.Refunds) != 1 || refund.Refunds[0].Total.Minor != 1800 || refund.Refunds[0].Lines[0].OrderLineId != "8" || refund.Refunds[0].Lines[0].Quantity != 1 {
		t.Errorf("refund %v, %v", refund.Refunds, err)
	}
	shown, err := translate(t, formatStock, read("variation.json"))
	if err != nil || len(shown.Observations) != 1 || shown.Observations[0].Shown != 7 || shown.Observations[0].StockId != "19:20" {
		t.Errorf("stock %v, %v", shown.Observations, err)
	}
}

// everyCall is all calls that the connector can make.
func everyCall(t *testing.T) []seen {
	t.Helper()
	s := open(t, simulator.Config{}, func(c *Config) { c.PageSize = 2 })
	s.subscribe(t)
	t.Setenv("WOO_TEST_WEBHOOK", "another")
	if err := s.conn.Webhooks.EnsureWebhooks(t.Context(), "http://127.0.0.1:1/webhooks/woocommerce/shop-de"); err != nil {
		t.Fatal(err)
	}
	var p []simulator.Product
	history(t, s, func(string) {
		for subject := range s.conn.Poll {
			s.poll(t, subject, connectors.PollRequest{})
		}
		s.clock.Add(time.Minute)
	})
	p = stocked(s)
	writes := []connectors.StockWrite{
		{ListingID: stringID(p[0].Variants[0]), Quantity: 4, CommandID: "a"},
		{ListingID: stringID(p[1].Variants[0]), StockID: p[1].Items[0], Quantity: 5, CommandID: "b"},
	}
	if _, err := s.conn.Stock.PushStock(t.Context(), writes); err != nil {
		t.Fatal(err)
	}
	if _, err := s.conn.Stock.ReadStock(t.Context(), []connectors.StockRef{{ListingID: writes[0].ListingID}, {StockID: p[1].Items[0]}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.conn.Check.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	everyWrite(t, s, p)
	return s.sent()
}
