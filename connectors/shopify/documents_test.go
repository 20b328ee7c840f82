package shopify

import (
	"compress/gzip"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/helloword/crossdock/internal/testkit"
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
	case docInstallation.name:
		return map[string]any{}
	}
	return nil
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
}
