package shopify

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/testkit"
	"github.com/helloword/crossdock/schemas/event"
)

// official loads Shopify's own schema of APIVersion.
func official(t testing.TB) *ast.Schema {
	t.Helper()
	path := testkit.Shared(t, "specs", "shopify", "admin-"+APIVersion+".graphql.gz")
	schema, err := loadSchema(path)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

var loadSchema = func() func(string) (*ast.Schema, error) {
	var once sync.Once
	var schema *ast.Schema
	var failed error
	return func(path string) (*ast.Schema, error) {
		once.Do(func() {
			f, err := os.Open(path)
			if err != nil {
				failed = err
				return
			}
			defer func() { _ = f.Close() }()
			z, err := gzip.NewReader(f)
			if err != nil {
				failed = err
				return
			}
			text, err := io.ReadAll(z)
			if err != nil {
				failed = err
				return
			}
			schema, failed = gqlparser.LoadSchema(&ast.Source{Name: "admin.graphql", Input: string(text)})
		})
		return schema, failed
	}
}()

// sample is a set of variables as the code makes them; the test fails when a document has
// none, so that a new document cannot be forgotten.
func sample(name string) map[string]any {
	const id = "gid://shopify/Order/1"
	page := map[string]any{"first": 50, "after": "cursor", "query": "updated_at:>='2026-11-01T00:00:00Z'", "nested": 20}
	switch name {
	case docOrders.name, docProducts.name:
		return page
	case docOrder.name:
		return map[string]any{"id": id, "nested": 20}
	case docOrderLines.name, docFulfilmentLines.name, docRefundLines.name, docVariants.name:
		return map[string]any{"id": id, "first": 100, "after": "cursor"}
	case docLocations.name, docSubscriptions.name:
		return map[string]any{"first": 50, "after": nil}
	case docLevels.name:
		return map[string]any{"location": "gid://shopify/Location/1", "first": 100, "after": nil, "query": nil}
	case docSetQuantities.name:
		return map[string]any{"key": "k", "input": map[string]any{
			"name": "available", "reason": "correction", "referenceDocumentUri": "gid://crossdock/Command/1",
			"quantities": []any{
				map[string]any{"inventoryItemId": id, "locationId": id, "quantity": 3, "changeFromQuantity": nil},
				map[string]any{"inventoryItemId": id, "locationId": id, "quantity": 3, "changeFromQuantity": 4},
			},
		}}
	case docShown.name:
		return map[string]any{"ids": []any{id}, "location": id}
	case docSubscribe.name:
		return map[string]any{"topic": "ORDERS_CREATE", "subscription": map[string]any{"uri": "https://x.example/", "format": "JSON"}}
	case docResubscribe.name:
		return map[string]any{"id": id, "subscription": map[string]any{"uri": "https://x.example/", "format": "JSON"}}
	case docInstallation.name, docCurrency.name:
		return map[string]any{}
	case docPrices.name:
		return map[string]any{"ids": []any{id}}
	case docSetPrices.name:
		return map[string]any{"product": id, "variants": asSent([]variantPrice{{ID: id, Price: "2.55"}})}
	case docShipments.name:
		return map[string]any{"id": id, "nested": 10}
	case docFulfilmentOrders.name:
		return map[string]any{"id": id, "first": 10, "after": nil, "nested": 10}
	case docFulfilmentOrderLines.name:
		return map[string]any{"id": id, "first": 100, "after": "cursor"}
	case docFulfil.name:
		w := connectors.FulfilmentWrite{CarrierCode: "ups", Tracking: "1Z", TrackingURL: "https://track.example/1Z"}
		return map[string]any{"fulfillment": map[string]any{
			"lineItemsByFulfillmentOrder": asSent([]map[string]any{{"fulfillmentOrderId": id, "fulfillmentOrderLineItems": []shipLine{{id, 2}}}}),
			"notifyCustomer":              true, "trackingInfo": trackingInfo(w),
		}}
	case docCancelState.name, docRefunds.name:
		return map[string]any{"id": id}
	case docCancelJob.name:
		return map[string]any{"id": id, "job": id}
	case docCancel.name:
		return map[string]any{"order": id, "reason": cancelReason("customer"), "restock": true, "notify": false, "note": noted("why", "c", maxStaffNote)}
	case docRefundCreate.name:
		return map[string]any{"key": "k", "input": asSent(refundInput{
			Order: id, Note: "n", Currency: "USD",
			Lines:    []refundLine{{id, 1, "RETURN", id}, {id, 1, "NO_RESTOCK", ""}},
			Payments: []refundPayment{{id, id, "manual", "REFUND", "9.99"}},
		})}
	}
	return nil
}

// asSent is a value as it is sent.
func asSent(v any) (out any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // of this test's own making
	}
	if err := json.Unmarshal(b, &out); err != nil {
		panic(err)
	}
	return out
}

func TestDocumentsAreValidByTheOfficialSchema(t *testing.T) {
	schema := official(t)
	for _, d := range documents() {
		t.Run(d.name, func(t *testing.T) {
			query, errs := gqlparser.LoadQueryWithRules(schema, d.text, rules.NewDefaultRules())
			if len(errs) > 0 {
				t.Fatalf("the schema refuses it: %v", errs)
			}
			op := query.Operations.ForName(d.name)
			if op == nil {
				t.Fatalf("no operation is called %s", d.name)
			}
			if got := op.Operation == ast.Mutation; got != d.write {
				t.Errorf("write = %v, operation is a %s", d.write, op.Operation)
			}
			vars := sample(d.name)
			if vars == nil {
				t.Fatal("no sample variables: add them to sample")
			}
			if _, err := validator.VariableValues(schema, op, vars); err != nil {
				t.Errorf("variables: %v", err)
			}
			for name := range vars {
				if op.VariableDefinitions.ForName(name) == nil {
					t.Errorf("variable %s is sent and not declared", name)
				}
			}
			deprecated(t, op.SelectionSet)
		})
	}
}

// deprecated fails on fields that Shopify is going to take away.
func deprecated(t *testing.T, set ast.SelectionSet) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if s.Definition.Directives.ForName("deprecated") != nil {
				t.Errorf("field %s.%s is deprecated", s.ObjectDefinition.Name, s.Name)
			}
			deprecated(t, s.SelectionSet)
		case *ast.InlineFragment:
			deprecated(t, s.SelectionSet)
		}
	}
}

// The topics and reasons that stand in the code as text exist in the schema.
func TestNamesExistInTheOfficialSchema(t *testing.T) {
	schema := official(t)
	enum := schema.Types["WebhookSubscriptionTopic"]
	for _, topic := range topics() {
		if name := strings.ToUpper(strings.ReplaceAll(topic.name, "/", "_")); enum.EnumValues.ForName(name) == nil {
			t.Errorf("topic %s: the schema knows no %s", topic.name, name)
		}
	}
	for _, code := range []string{codeStale, codeConcurrent, codePrevious} {
		if schema.Types["InventorySetQuantitiesUserErrorCode"].EnumValues.ForName(code) == nil {
			t.Errorf("the schema knows no error code %s", code)
		}
	}
	known := func(enum string, names ...string) {
		for _, name := range names {
			if schema.Types[enum].EnumValues.ForName(name) == nil {
				t.Errorf("%s has no %s", enum, name)
			}
		}
	}
	for _, reason := range []string{"customer", "declined", "fraud", "inventory", "staff", "something else"} {
		known("OrderCancelReason", cancelReason(reason))
	}
	for _, r := range []event.Restock{event.Restock_RESTOCK_UNSPECIFIED, event.Restock_RESTOCK_NONE, event.Restock_RESTOCK_CANCEL, event.Restock_RESTOCK_RETURN} {
		known("RefundLineItemRestockType", restockType(r))
	}
	known("OrderCancelStatus", "FAILED")
	known("FulfillmentStatus", "CANCELLED", "ERROR", "FAILURE")
	known("FulfillmentOrderStatus", "CLOSED", "CANCELLED", "INCOMPLETE")
	known("FulfillmentOrderAction", "CREATE_FULFILLMENT")
	known("OrderTransactionKind", "SALE", "CAPTURE", "REFUND", "CHANGE")
	known("OrderTransactionStatus", "SUCCESS", "FAILURE", "ERROR")
}

// The carriers are written as in the schema's list: Shopify knows no other spelling.
func TestCompaniesStandInTheOfficialList(t *testing.T) {
	var list string
	for _, f := range official(t).Types["FulfillmentTrackingInfo"].Fields {
		if f.Name == "company" {
			list = f.Description
		}
	}
	listed := map[string]bool{}
	for _, line := range strings.Split(list, "\n") {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "* "); ok {
			line = rest
		}
		if _, of, ok := strings.Cut(line, "**: "); ok {
			line = of
		}
		for _, name := range strings.Split(line, ",") {
			listed[strings.TrimSpace(name)] = true
		}
		listed[line] = true
	}
	source, err := os.ReadFile("carriers.go")
	if err != nil {
		t.Fatal(err)
	}
	returned := regexp.MustCompile(`return "([^"]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(returned) < 40 {
		t.Fatalf("only %d names found", len(returned))
	}
	for _, m := range returned {
		if !listed[m[1]] {
			t.Errorf("%q is not in Shopify's list", m[1])
		}
	}
}
