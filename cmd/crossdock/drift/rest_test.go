package drift

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
)

// shop is what a made-up connector uses.
func shop() connectors.Uses {
	return connectors.Uses{
		Endpoints: []connectors.Endpoint{
			{Name: "listOrders", Method: "GET", Path: "/orders"},
			{Name: "getOrder", Method: "GET", Path: "/orders/{id}"},
			{Name: "putStock", Method: "PUT", Path: "/stock/{sku}"},
		},
		Words: strings.Fields("orders id total lines sku status limit state quantity expected OPEN next shop page size amount"),
	}
}

// swagger is a contract of version 2 with one thing changed. Each of the pairs in change is a
// text and what stands for it.
func swagger(t *testing.T, change ...string) *Contract {
	t.Helper()
	text := `{"swagger":"2.0","info":{"title":"Shop","version":"1"},"basePath":"/api",
"paths":{
 "/orders":{"get":{"operationId":"listOrders",
  "parameters":[{"name":"limit","in":"query","type":"integer","maximum":100},{"name":"state","in":"query","type":"array","items":{"type":"string","enum":["OPEN","DONE","LOST"]}},{"name":"other","in":"query","type":"string"}],
  "responses":{"200":{"description":"","schema":{"type":"object","properties":{"orders":{"type":"array","items":{"$ref":"#/definitions/Order"}},"next":{"type":"string"}}}}}}},
 "/orders/{orderId}":{"get":{"operationId":"getOrder","parameters":[{"name":"orderId","in":"path","required":true,"type":"string"}],
  "responses":{"200":{"description":"","schema":{"$ref":"#/definitions/Order"}}}}},
 "/stock/{sku}":{"put":{"operationId":"putStock",
  "parameters":[{"name":"sku","in":"path","required":true,"type":"string"},{"name":"body","in":"body","schema":{"$ref":"#/definitions/Stock"}}],
  "responses":{"204":{"description":""}}}},
 "/people":{"get":{"operationId":"listPeople","responses":{"200":{"description":"","schema":{"type":"array","items":{"type":"object","properties":{"name":{"type":"string"}}}}}}}}
},
"definitions":{
 "Order":{"type":"object","required":["id","total"],"properties":{"id":{"type":"string"},"total":{"type":"string"},"status":{"type":"string","enum":["OPEN","DONE"]},
  "colour":{"type":"string"},"lines":{"type":"array","items":{"$ref":"#/definitions/Line"}}}},
 "Line":{"type":"object","properties":{"sku":{"type":"string"},"quantity":{"type":"integer"}}},
 "Stock":{"type":"object","required":["quantity"],"properties":{"quantity":{"type":"integer"},"expected":{"type":"integer"},"comment":{"type":"string"}}}
}}`
	for i := 0; i < len(change); i += 2 {
		if !strings.Contains(text, change[i]) {
			t.Fatalf("the contract has no %s", change[i])
		}
		text = strings.Replace(text, change[i], change[i+1], 1)
	}
	c, err := Read("new.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// lines is findings in one line each.
func lines(list []Finding) (all []string) {
	for _, f := range list {
		all = append(all, strings.Join(strings.Fields(fmt.Sprintf("%s %s: %s %s %s at %s %s", f.Impact, f.Call, f.Change, f.Side, f.Field, f.In, f.Place)), " "))
	}
	return all
}

func TestREST(t *testing.T) {
	const order = "#/definitions/Order/properties/"
	for _, tc := range []struct {
		name   string
		change []string
		want   []string
		others int
	}{
		{"nothing", nil, nil, 0},
		{"operation removed", []string{`"/orders/{orderId}"`, `"/purchases/{orderId}"`, `"getOrder"`, `"getPurchase"`},
			[]string{"breaks getOrder: operation removed at old #/paths/~1orders~1{orderId}/get"}, 1},
		{"operation moved", []string{`"/orders/{orderId}"`, `"/v2/orders/{orderId}"`},
			[]string{"breaks getOrder: operation moved at new #/paths/~1v2~1orders~1{orderId}/get"}, 0},
		{"a hole's name is not an address", []string{`"/orders/{orderId}"`, `"/orders/{id}"`, `"name":"orderId"`, `"name":"id"`}, nil, 0},
		{"operation deprecated", []string{`"operationId":"getOrder"`, `"operationId":"getOrder","deprecated":true`},
			[]string{"look getOrder: operation deprecated at new #/paths/~1orders~1{orderId}/get"}, 0},
		{"parameter removed", []string{`{"name":"limit","in":"query","type":"integer","maximum":100},`, ``},
			[]string{"breaks listOrders: parameter removed request limit at old #/paths/~1orders/get/parameters/0"}, 0},
		{"parameter of others removed", []string{`,{"name":"other","in":"query","type":"string"}`, ``}, nil, 1},
		{"parameter required", []string{`{"name":"other","in":"query","type":"string"}`, `{"name":"other","in":"query","type":"string","required":true}`},
			[]string{"breaks listOrders: parameter required request other at new #/paths/~1orders/get/parameters/2"}, 0},
		{"parameter that we send required", []string{`"in":"query","type":"integer"`, `"in":"query","required":true,"type":"integer"`},
			[]string{"look listOrders: parameter required request limit at new #/paths/~1orders/get/parameters/0"}, 0},
		{"header required", []string{`[{"name":"limit"`, `[{"name":"Version","in":"header","required":true,"type":"string"},{"name":"limit"`},
			[]string{"look listOrders: parameter required request Version at new #/paths/~1orders/get/parameters/0"}, 0},
		{"parameter retyped", []string{`"in":"query","type":"integer"`, `"in":"query","type":"string"`},
			[]string{"breaks listOrders: parameter retyped request limit at new #/paths/~1orders/get/parameters/0"}, 0},
		{"limits", []string{`"maximum":100`, `"maximum":50`},
			[]string{"look listOrders: limits changed request limit at new #/paths/~1orders/get/parameters/0"}, 0},
		{"enum narrowed, of what we send", []string{`"OPEN","DONE","LOST"`, `"DONE","LOST"`},
			[]string{"breaks listOrders: enum narrowed request state at new #/paths/~1orders/get/parameters/1/items"}, 0},
		{"enum narrowed", []string{`"OPEN","DONE","LOST"`, `"OPEN","DONE"`},
			[]string{"look listOrders: enum narrowed request state at new #/paths/~1orders/get/parameters/1/items"}, 0},
		{"enum widened", []string{`"OPEN","DONE","LOST"`, `"OPEN","DONE","LOST","HELD"`},
			[]string{"harmless listOrders: enum widened request state at new #/paths/~1orders/get/parameters/1/items"}, 0},
		{"enum of an answer widened", []string{`"enum":["OPEN","DONE"]`, `"enum":["OPEN","DONE","HELD"]`}, []string{
			"look listOrders: enum widened response orders[].status at new " + order + "status",
			"look getOrder: enum widened response status at new " + order + "status"}, 0},
		{"enum of an answer narrowed", []string{`"enum":["OPEN","DONE"]`, `"enum":["OPEN"]`}, []string{
			"harmless listOrders: enum narrowed response orders[].status at new " + order + "status",
			"harmless getOrder: enum narrowed response status at new " + order + "status"}, 0},
		{"field removed", []string{`"total":{"type":"string"}`, `"grandTotal":{"type":"string"}`, `["id","total"]`, `["id"]`}, []string{
			"breaks listOrders: field removed response orders[].total at old " + order + "total",
			"breaks getOrder: field removed response total at old " + order + "total"}, 1},
		{"field that nobody reads removed", []string{`"colour":{"type":"string"},`, ``}, nil, 1},
		{"field retyped", []string{`"quantity":{"type":"integer"}}},`, `"quantity":{"type":"number"}}},`}, []string{
			"breaks listOrders: field retyped response orders[].lines[].quantity at new #/definitions/Line/properties/quantity",
			"breaks getOrder: field retyped response lines[].quantity at new #/definitions/Line/properties/quantity"}, 0},
		{"field nullable", []string{`"total":{"type":"string"}`, `"total":{"type":"string","x-nullable":true}`}, []string{
			"look listOrders: field made nullable response orders[].total at new " + order + "total",
			"look getOrder: field made nullable response total at new " + order + "total"}, 0},
		{"field optional", []string{`["id","total"]`, `["id"]`}, []string{
			"look listOrders: field made optional response orders[].total at new " + order + "total",
			"look getOrder: field made optional response total at new " + order + "total"}, 0},
		{"format", []string{`"next":{"type":"string"}`, `"next":{"type":"string","format":"uuid"}`},
			[]string{"look listOrders: format changed response next at new #/paths/~1orders/get/responses/200/schema/properties/next"}, 0},
		{"request field removed", []string{`"expected":{"type":"integer"},`, ``},
			[]string{"breaks putStock: field removed request expected at old #/definitions/Stock/properties/expected"}, 0},
		{"request field required", []string{`"required":["quantity"]`, `"required":["quantity","comment"]`},
			[]string{"breaks putStock: field required request comment at new #/definitions/Stock/properties/comment"}, 0},
		{"request field that we know required", []string{`"required":["quantity"]`, `"required":["quantity","expected"]`},
			[]string{"look putStock: field required request expected at new #/definitions/Stock/properties/expected"}, 0},
		{"request field takes more", []string{`"required":["quantity"],"properties":{"quantity":{"type":"integer"}`, `"required":["quantity"],"properties":{"quantity":{"type":"number"}`},
			[]string{"harmless putStock: field retyped request quantity at new #/definitions/Stock/properties/quantity"}, 0},
		{"others alone", []string{`"operationId":"listPeople"`, `"operationId":"listPeople","deprecated":true`, `"name":{"type":"string"}`, `"label":{"type":"string"}`}, nil, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := Compare(swagger(t), swagger(t, tc.change...), shop())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, lines(r.Findings)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if len(r.Others) != tc.others {
				t.Errorf("%d other changes, want %d: %v", len(r.Others), tc.others, lines(r.Others))
			}
			if got := r.Breaks(); got != (len(tc.want) > 0 && strings.HasPrefix(tc.want[0], "breaks")) {
				t.Errorf("Breaks() = %v", got)
			}
			if diff := cmp.Diff([]string{"listOrders", "getOrder", "putStock"}, r.Calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

// A call that only the new contract has is one that our code was written for already.
func TestWeAreThereAlready(t *testing.T) {
	r, err := Compare(swagger(t, `"/orders/{orderId}"`, `"/v0/orders/{orderId}"`), swagger(t), shop())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"harmless getOrder: operation added at new #/paths/~1orders~1{orderId}/get"}, lines(r.Findings)); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(r.Findings[0].Detail, "was GET /v0/orders/{orderId}") {
		t.Errorf("detail %q does not say where it was", r.Findings[0].Detail)
	}
}

// What took the place of a field stands beside it.
func TestRenamed(t *testing.T) {
	r, err := Compare(swagger(t), swagger(t, `"expected":{"type":"integer"}`, `"changeFrom":{"type":"integer"}`), shop())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Findings) != 1 || !strings.Contains(r.Findings[0].Detail, "new beside it: changeFrom") {
		t.Errorf("%+v", r.Findings)
	}
}

// The other dialect: bodies by kind of content, servers, null as a type, composed and endless
// schemas.
func TestOpenAPI3(t *testing.T) {
	contract := func(total, server string) *Contract {
		c, err := Read("v3.yaml", []byte(`openapi: 3.1.0
info: {title: Shop, version: "1"}
servers:
  - url: https://api.example.com{base}
    variables: {base: {default: `+server+`}}
paths:
  /orders/{id}:
    parameters:
      - {$ref: '#/components/parameters/Id'}
    get:
      responses:
        default: {description: failed}
        "200":
          description: fine
          content:
            application/json; charset=utf-8:
              schema: {$ref: '#/components/schemas/Order'}
components:
  parameters:
    Id: {name: id, in: path, required: true, schema: {type: string}}
  schemas:
    Order:
      allOf:
        - {$ref: '#/components/schemas/Head'}
        - type: object
          properties:
            lines: {type: array, items: {$ref: '#/components/schemas/Order'}}
    Head:
      type: object
      required: [id]
      properties:
        id: {type: string}
        total: `+total+`
`))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	uses := connectors.Uses{Endpoints: []connectors.Endpoint{{Name: "getOrder", Method: "GET", Path: "/v1/orders/{orderId}"}}, Words: []string{"id", "total", "lines"}}
	r, err := Compare(contract("{type: string}", "/v1"), contract("{type: [string, 'null']}", "/v1"), uses)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"look getOrder: field made nullable response total at new #/components/schemas/Head/properties/total"}, lines(r.Findings)); diff != "" {
		t.Error(diff)
	}
	r, err = Compare(contract("{type: string}", "/v1"), contract("{type: string}", "/v2"), uses)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Findings) != 1 || r.Findings[0].Impact != Breaks {
		t.Errorf("the API's base moved, and that is not seen: %v", lines(r.Findings))
	}
}
