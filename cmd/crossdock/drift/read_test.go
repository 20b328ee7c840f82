package drift

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"

	"github.com/helloword/crossdock/connectors"
)

// What cannot be compared says which file, and where in it.
func TestReadRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"empty":         {" \n", []string{"x.json", "empty"}},
		"broken JSON":   {"{\"swagger\":\"2.0\",\n \"paths\":{]}", []string{"x.json:2:", "broken JSON"}},
		"cut JSON":      {`{"swagger":"2.0","paths":{`, []string{"x.json:1:", "broken JSON"}},
		"broken YAML":   {"openapi: 3.0.0\npaths: {a: [}\n", []string{"x.json", "broken YAML", "2:"}},
		"broken SDL":    {"type Query {\n  a: String\n", []string{"x.json", "broken GraphQL"}},
		"unknown type":  {"type Query {\n  a: Nothing\n}\n", []string{"x.json:2", "Nothing"}},
		"other JSON":    {`{"a":1}`, []string{"x.json", "neither OpenAPI"}},
		"a list":        {`[1]`, []string{"x.json", "neither OpenAPI"}},
		"text":          {"Dear customer,\nall is well.\n", []string{"x.json", "neither OpenAPI"}},
		"version":       {`{"swagger":"1.2","paths":{}}`, []string{"x.json", "1.2"}},
		"introspection": {`{"data":{"__schema":{}}}`, []string{"x.json", "introspection", "SDL"}},
		"no paths":      {`{"openapi":"3.0.0"}`, []string{"x.json", "#/paths"}},
		"nowhere":       {`{"openapi":"3.0.0","paths":{"/a":{"get":{"responses":{"200":{"$ref":"#/components/x"}}}}}}`, []string{"x.json", "#/paths/~1a/get/responses/200", "#/components/x"}},
		"elsewhere":     {`{"openapi":"3.0.0","paths":{"/a":{"$ref":"other.json"}}}`, []string{"x.json", "#/paths/~1a", "other.json"}},
		"broken gzip":   {"\x1f\x8b\x00", []string{"x.json", "decompressing"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read("x.json", []byte(tc.text))
			if err == nil {
				t.Fatal("it was taken")
			}
			for _, w := range tc.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
		})
	}
}

func TestReadCompressed(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte("\ufefftype Query { a: String }")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := Read("x.graphql.gz", b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if c.kind != "GraphQL" {
		t.Errorf("it is %s", c.kind)
	}
}

// References in a circle, and schemas that hold themselves, end.
func TestCircles(t *testing.T) {
	const text = `{"swagger":"2.0","paths":{"/a":{"get":{"responses":{"200":{"schema":{"$ref":"#/definitions/A"}}}}}},
"definitions":{"A":{"allOf":[{"$ref":"#/definitions/A"},{"$ref":"#/definitions/B"}]},"B":{"$ref":"#/definitions/C"},"C":{"$ref":"#/definitions/B"}}}`
	c, err := Read("x.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	uses := connectors.Uses{Endpoints: []connectors.Endpoint{{Name: "a", Method: "GET", Path: "/a"}}, Words: []string{"x"}}
	r, err := Compare(c, c, uses)
	if err != nil || len(r.Findings)+len(r.Others) > 0 {
		t.Errorf("%v, %v", r, err)
	}
}

// Contracts of two kinds, or of another kind than the connector's, are not compared.
func TestKindsMustAgree(t *testing.T) {
	for name, try := range map[string]func() error{
		"two kinds":     func() error { _, err := Compare(swagger(t), graph(t), shop()); return err },
		"REST for SDL":  func() error { _, err := Compare(swagger(t), swagger(t), graphUses()); return err },
		"SDL for REST":  func() error { _, err := Compare(graph(t), graph(t), shop()); return err },
		"kinds, turned": func() error { _, err := Compare(graph(t), swagger(t), graphUses()); return err },
	} {
		if err := try(); err == nil || !strings.Contains(err.Error(), "GraphQL") || !strings.Contains(err.Error(), "Swagger 2.0") && !strings.Contains(err.Error(), "REST") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(sdl))
	f.Add([]byte(`{"swagger":"2.0","paths":{"/orders":{"get":{"parameters":[{"in":"body","schema":{"$ref":"#/definitions/A"}}],"responses":{"200":{"schema":{"type":"array","items":{"$ref":"#/definitions/A"}}}}}}},"definitions":{"A":{"properties":{"id":{"enum":[null,1]}},"required":["id"]}}}`))
	f.Add([]byte("openapi: 3.0.0\nservers: [{url: '{a}', variables: {a: {default: 1}}}]\npaths: {/orders: {get: {}}}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Read("x", data)
		if err != nil {
			return
		}
		uses := shop()
		if c.graph != nil {
			uses = graphUses()
		}
		r, err := Compare(c, c, uses)
		if err != nil {
			t.Fatal(err)
		}
		if c.graph == nil && len(r.Findings)+len(r.Others) > 0 {
			t.Errorf("a contract differs from itself: %v %v", lines(r.Findings), lines(r.Others))
		}
	})
}
