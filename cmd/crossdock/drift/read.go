package drift

// Reading contracts. OpenAPI and Swagger are read as plain trees, and not into the types of a
// library: converting Swagger 2 moves things, and a finding must name its place in the
// vendor's own file.

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

// maxContract bounds a contract, decompressed. The largest that is known has 11 MB.
const maxContract = 128 << 20

// Contract is one version of a vendor's contract.
type Contract struct {
	name, kind string
	// tree is an OpenAPI or Swagger document, graph a GraphQL schema.
	tree  map[string]any
	graph *ast.Schema
}

var (
	restMark  = regexp.MustCompile(`(?m)^[\s{]*["']?(openapi|swagger)["']?\s*:`)
	graphMark = regexp.MustCompile(`(?m)^\s*(extend\s+)?(schema|type|interface|union|enum|input|scalar|directive)\b`)
)

// Read reads a contract. name is its file's, for what is said about it. What it is, its
// content says: OpenAPI 3 or Swagger 2 (JSON, YAML) or GraphQL SDL, each also compressed with
// gzip.
func Read(name string, data []byte) (*Contract, error) {
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err == nil {
			data, err = io.ReadAll(io.LimitReader(z, maxContract+1))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: decompressing: %w", name, err)
		}
	}
	if len(data) > maxContract {
		return nil, fmt.Errorf("%s: larger than %d MB: is it a contract?", name, maxContract>>20)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	text := bytes.TrimSpace(data)
	switch {
	case len(text) == 0:
		return nil, fmt.Errorf("%s: the file is empty", name)
	case text[0] == '{' || text[0] == '[':
		var tree any
		if err := json.Unmarshal(data, &tree); err != nil {
			return nil, fmt.Errorf("%s%s: broken JSON: %w", name, position(data, err), err)
		}
		return rest(name, tree)
	case restMark.Match(data):
		var tree any
		if err := yaml.Unmarshal(data, &tree); err != nil {
			return nil, fmt.Errorf("%s: broken YAML: %w", name, err)
		}
		return rest(name, tree)
	case graphMark.Match(data):
		schema, err := gqlparser.LoadSchema(&ast.Source{Name: name, Input: string(data)})
		if err != nil {
			return nil, fmt.Errorf("broken GraphQL: %w", err) // it names file and line
		}
		return &Contract{name: name, kind: "GraphQL", graph: schema}, nil
	}
	return nil, fmt.Errorf("%s: %s", name, notOne)
}

const notOne = "neither OpenAPI 3, nor Swagger 2, nor GraphQL SDL"

// position is ":line:column" of what is wrong in a JSON document; "" when it is not known.
func position(data []byte, err error) string {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) || syntax.Offset > int64(len(data)) {
		return ""
	}
	before := data[:max(syntax.Offset-1, 0)]
	line := 1 + bytes.Count(before, []byte("\n"))
	return fmt.Sprintf(":%d:%d", line, len(before)-bytes.LastIndexByte(before, '\n'))
}

func rest(name string, tree any) (*Contract, error) {
	top, ok := tree.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s: %s", name, notOne)
	}
	c := &Contract{name: name, tree: top}
	switch version := fmt.Sprint(top["openapi"], top["swagger"]); {
	case strings.HasPrefix(fmt.Sprint(top["openapi"]), "3"):
		c.kind = "OpenAPI " + fmt.Sprint(top["openapi"])
	case fmt.Sprint(top["swagger"]) == "2.0" || fmt.Sprint(top["swagger"]) == "2":
		c.kind = "Swagger 2.0"
	case top["data"] != nil || top["__schema"] != nil:
		return nil, fmt.Errorf("%s: looks like the answer to a GraphQL introspection: store the schema as SDL", name)
	case top["openapi"] != nil || top["swagger"] != nil:
		return nil, fmt.Errorf("%s: version %q is not known: OpenAPI 3 and Swagger 2.0 are", name, strings.Trim(strings.ReplaceAll(version, "<nil>", ""), " "))
	default:
		return nil, fmt.Errorf("%s: %s", name, notOne)
	}
	if _, ok := top["paths"].(map[string]any); !ok {
		return nil, fmt.Errorf("%s: at #/paths: there are no operations", name)
	}
	return c, c.references(top, "#")
}

// references looks that every reference leads somewhere: behind one that does not, changes
// would stay unseen.
func (c *Contract) references(v any, at string) error {
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			if !strings.HasPrefix(ref, "#") {
				return fmt.Errorf("%s: at %s: $ref %q leads out of the file: bundle the contract into one first", c.name, at, ref)
			}
			if _, ok := c.lookup(ref); !ok {
				return fmt.Errorf("%s: at %s: $ref %q leads nowhere", c.name, at, ref)
			}
			return nil
		}
		for _, k := range sorted(v) {
			// Examples hold whatever they like.
			if k == "example" || k == "examples" || k == "default" || k == "enum" || strings.HasPrefix(k, "x-") {
				if !strings.HasSuffix(at, "/properties") {
					continue
				}
			}
			if err := c.references(v[k], at+"/"+escape(k)); err != nil {
				return err
			}
		}
	case []any:
		for i, e := range v {
			if err := c.references(e, at+"/"+strconv.Itoa(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// lookup finds what a JSON pointer means (RFC 6901, in a fragment).
func (c *Contract) lookup(pointer string) (any, bool) {
	var v any = c.tree
	rest := strings.TrimPrefix(pointer, "#")
	if rest == "" {
		return v, true
	}
	for _, part := range strings.Split(strings.TrimPrefix(rest, "/"), "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~", "%7B", "{", "%7D", "}", "%20", " ").Replace(part)
		switch at := v.(type) {
		case map[string]any:
			next, ok := at[part]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(at) {
				return nil, false
			}
			v = at[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// escape writes a key as part of a JSON pointer.
func escape(key string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(key) }

// node is a place in a contract.
type node struct {
	c  *Contract
	at string
	v  map[string]any
}

func (c *Contract) root() node { return node{c, "#", c.tree} }

// ok says whether there is something.
func (n node) ok() bool { return n.v != nil }

// maxRefs bounds how many references follow each other.
const maxRefs = 32

// place follows references: what a node means, and where that stands.
func (c *Contract) place(v any, at string) node {
	for range maxRefs {
		m, ok := v.(map[string]any)
		if !ok {
			return node{}
		}
		ref, ok := m["$ref"].(string)
		if !ok {
			return node{c, at, m}
		}
		if v, ok = c.lookup(ref); !ok {
			return node{}
		}
		at = ref
	}
	return node{} // in a circle: it means nothing
}

// get is what stands below; not ok when there is nothing.
func (n node) get(keys ...string) node {
	for _, k := range keys {
		if !n.ok() {
			return node{}
		}
		n = n.c.place(n.v[k], n.at+"/"+escape(k))
	}
	return n
}

// list is the elements of a member that is an array.
func (n node) list(k string) (all []node) {
	elements, _ := n.v[k].([]any)
	for i, e := range elements {
		if at := n.c.place(e, n.at+"/"+escape(k)+"/"+strconv.Itoa(i)); at.ok() {
			all = append(all, at)
		}
	}
	return all
}

func (n node) text(k string) string {
	s, _ := n.v[k].(string)
	return s
}

func (n node) is(k string) bool {
	b, _ := n.v[k].(bool)
	return b
}
