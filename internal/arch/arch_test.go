// Package arch keeps the import rules of the house. It parses the files themselves: a test
// that asked the go command would be cached and stay green after a rule is broken.
package arch

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/helloword/crossdock/"

// A rule says what the packages below a folder may import of ours. The longest folder that
// matches counts.
type rule struct {
	folder string
	may    []string
	// own: packages below the same direct child of the folder may import each other.
	own bool
}

var rules = []rule{
	{"schemas", []string{"schemas"}, false},
	{"connectors", []string{"schemas", "connectors!"}, false},
	{"connectors/connectortest", []string{"schemas", "connectors!"}, false},
	{"connectors/all", []string{"schemas", "connectors"}, false},
	{"connectors/bearer", []string{"connectors!", "internal/httpx"}, false},
	{"connectors/calls", []string{"connectors!", "internal/httpx"}, false},
	{"connectors/jsonread", []string{"connectors!"}, false},
	{"connectors/mailroom", nil, false},
	{"connectors/*", []string{"schemas", "connectors!", "connectors/bearer!", "connectors/calls!", "connectors/jsonread!", "connectors/mailroom!", "internal/httpx"}, true},
	{"ingest", []string{"schemas", "connectors!", "internal"}, false},
	{"ingest/*", []string{"schemas", "connectors!", "ingest!", "internal"}, true},
	{"processors/*", []string{"schemas", "connectors!", "internal"}, true},
	{"sinks/*", []string{"schemas", "connectors!", "internal"}, true},
	{"internal", []string{"schemas", "internal"}, false},
	{"cmd", []string{"schemas", "connectors", "ingest", "processors", "sinks", "internal", "cmd"}, false},
	{"test", []string{"schemas", "connectors", "ingest", "processors", "sinks", "internal", "cmd"}, false},
	{"deploy", []string{"schemas", "internal"}, false},
}

// Libraries that only certain folders may import.
var guarded = map[string][]string{
	"github.com/twmb/franz-go":            {"internal/kafka", "internal/stream", "internal/embedded", "internal/services", "cmd/crossdock/bench"},
	"github.com/ClickHouse/clickhouse-go": {"sinks/clickhouse", "internal/embedded", "cmd/crossdock/bench"},
}

// goFiles calls visit with the path of every Go file of the tree, relative to its root. Folders
// that begin with a dot are not of the tree: running services keep files there that come and go.
func goFiles(t *testing.T, visit func(root, rel string)) {
	t.Helper()
	root := filepath.Join("..", "..")
	seen := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		seen++
		visit(root, filepath.ToSlash(rel))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 50 {
		t.Fatalf("only %d files were looked at: the walk is broken", seen)
	}
}

func TestImports(t *testing.T) {
	goFiles(t, func(root, rel string) {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, rel), nil, parser.ImportsOnly)
		if err != nil {
			t.Error(err)
			return
		}
		for _, imp := range f.Imports {
			p, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				t.Errorf("%s imports %s: %v", rel, imp.Path.Value, err)
				continue
			}
			if why := forbidden(path.Dir(rel), p, strings.HasSuffix(rel, "_test.go")); why != "" {
				t.Errorf("%s imports %s: %s", rel, p, why)
			}
		}
	})
}

// forbidden says why a package may not import another, "" if it may. Tests may use the test
// kit, the connector suite, and the embedded engines.
func forbidden(pkg, imp string, test bool) string {
	for lib, homes := range guarded {
		if strings.HasPrefix(imp, lib) && !test && !under(pkg, homes) {
			return "only " + strings.Join(homes, ", ") + " may"
		}
	}
	ours, ok := strings.CutPrefix(imp, module)
	if !ok {
		return ""
	}
	if test && (under(ours, []string{"internal", "connectors/connectortest", "schemas"}) || ours == pkg) {
		return ""
	}
	r := ruleFor(pkg)
	if r == nil {
		return "folder " + pkg + " has no rule"
	}
	for _, m := range r.may {
		exact, only := strings.CutSuffix(m, "!")
		if only && ours == exact || !only && under(ours, []string{m}) {
			return ""
		}
	}
	if r.own && child(pkg) == child(ours) {
		return ""
	}
	return "the folder's rule allows only " + strings.Join(r.may, ", ")
}

func ruleFor(pkg string) *rule {
	var best *rule
	for i := range rules {
		r := &rules[i]
		base, wild := strings.CutSuffix(r.folder, "/*")
		match := pkg == r.folder || strings.HasPrefix(pkg, r.folder+"/")
		if wild {
			match = strings.HasPrefix(pkg, base+"/")
		}
		if match && (best == nil || specificity(r.folder) > specificity(best.folder)) {
			best = r
		}
	}
	return best
}

// specificity: a named folder is more than a wildcard at the same depth.
func specificity(folder string) int {
	n := 2 * strings.Count(folder, "/")
	if !strings.HasSuffix(folder, "/*") {
		n++
	}
	return n
}

func under(pkg string, folders []string) bool {
	for _, f := range folders {
		if pkg == f || strings.HasPrefix(pkg, f+"/") {
			return true
		}
	}
	return false
}

// child is the first two elements of a path: "connectors/shopify/simulator" is of "connectors/shopify".
func child(pkg string) string {
	parts := strings.SplitN(pkg, "/", 3)
	if len(parts) < 2 {
		return pkg
	}
	return parts[0] + "/" + parts[1]
}

// TestRulesBite: the rules refuse what they are there to refuse.
func TestRulesBite(t *testing.T) {
	for _, c := range []struct {
		pkg, imp string
		ok       bool
	}{
		{"processors/orders", module + "processors/stock", false},
		{"processors/orders", module + "connectors/shopify", false},
		{"processors/orders", module + "connectors", true},
		{"connectors/shopify", module + "connectors/ecb", false},
		{"connectors/shopify", module + "internal/kafka", false},
		{"connectors/shopify", module + "internal/httpx", true},
		{"connectors/shopify/simulator", module + "connectors/shopify", true},
		{"schemas/event", module + "connectors", false},
		{"internal/stream", module + "connectors", false},
		{"ingest/poll", "github.com/twmb/franz-go/pkg/kgo", false},
		{"internal/stream", "github.com/twmb/franz-go/pkg/kgo", true},
		{"sinks/push", "github.com/ClickHouse/clickhouse-go/v2", false},
		{"cmd/crossdock", module + "sinks/push", true},
	} {
		if got := forbidden(c.pkg, c.imp, false) == ""; got != c.ok {
			t.Errorf("%s imports %s: allowed %v, want %v", c.pkg, c.imp, got, c.ok)
		}
	}
}

// TestNoInit: nothing registers itself, but for the generated events.
func TestNoInit(t *testing.T) {
	goFiles(t, func(root, rel string) {
		if strings.HasSuffix(rel, ".pb.go") {
			return
		}
		b, err := os.ReadFile(filepath.Join(root, rel))
		if err != nil {
			t.Error(err)
			return
		}
		if strings.Contains(string(b), "\nfunc init"+"() {") {
			t.Errorf("%s has an init function", rel)
		}
	})
}
