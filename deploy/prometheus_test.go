package deploy

import (
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// Labels that Prometheus and the scrape add.
var scraped = []string{"job", "instance", "le", "namespace", "pod", "service", "container"}

// checkExpression parses a PromQL expression and checks that every metric of ours in it exists, and
// that every label it selects by or groups by is one of that metric's.
func checkExpression(t *testing.T, where, expr string) {
	t.Helper()
	exported := metrics(t)
	p := parser.NewParser(parser.Options{})
	// Grafana's variables stand where durations do.
	node, err := p.ParseExpr(strings.ReplaceAll(expr, "$__rate_interval", "5m"))
	if err != nil {
		t.Errorf("%s: %v in %s", where, err, expr)
		return
	}
	known := slices.Clone(scraped)
	parser.Inspect(node, func(n parser.Node, _ []parser.Node) error {
		v, ok := n.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		name := v.Name
		if !strings.HasPrefix(name, "crossdock_") {
			return nil
		}
		ls, ok := exported[name]
		if name == "crossdock_build_info" {
			ls = []string{"version", "go"} // constant labels, which are not listed
		}
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if !ok {
				ls, ok = exported[strings.TrimSuffix(name, suffix)]
			}
		}
		if !ok {
			t.Errorf("%s: no process exports %s", where, name)
			return nil
		}
		known = append(known, ls...)
		for _, m := range v.LabelMatchers {
			if m.Name != model.MetricNameLabel && !slices.Contains(ls, m.Name) && !slices.Contains(scraped, m.Name) {
				t.Errorf("%s: %s has no label %s, only %v", where, name, m.Name, ls)
			}
			if m.Name == "outcome" && strings.HasPrefix(name, "crossdock_webhook_requests") || strings.HasPrefix(name, "crossdock_push_outcomes") && m.Name == "outcome" {
				checkOutcomes(t, where, name, m.Value)
			}
		}
		return nil
	})
	parser.Inspect(node, func(n parser.Node, _ []parser.Node) error {
		if a, ok := n.(*parser.AggregateExpr); ok {
			for _, l := range a.Grouping {
				if !slices.Contains(known, l) {
					t.Errorf("%s: grouped by %s, a label of nothing in %s", where, l, expr)
				}
			}
		}
		return nil
	})
}

// checkOutcomes checks values of the label outcome against the sources.
func checkOutcomes(t *testing.T, where, metric, values string) {
	t.Helper()
	source := "../ingest/webhook/answer.go"
	if strings.HasPrefix(metric, "crossdock_push") {
		source = "../sinks/push/metrics.go"
	}
	text := read(t, source)
	for _, v := range strings.Split(values, "|") {
		if !strings.Contains(text, `"`+v+`"`) {
			t.Errorf("%s: %s knows no outcome %q", where, source, v)
		}
	}
}

var runbookLink = regexp.MustCompile(`^docs/runbook\.md#([a-z0-9-]+)$`)

func TestRules(t *testing.T) {
	groups, errs := rulefmt.ParseFile("prometheus/rules.yml", false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	if groups == nil {
		t.FailNow()
	}
	sections := headings(read(t, "../docs/runbook.md"))
	alerts := 0
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			alerts++
			where := "alert " + r.Alert
			checkExpression(t, where, r.Expr)
			if s := r.Labels["severity"]; s != "page" && s != "ticket" {
				t.Errorf("%s: severity %q", where, s)
			}
			link := runbookLink.FindStringSubmatch(r.Annotations["runbook"])
			if link == nil || !slices.Contains(sections, link[1]) {
				t.Errorf("%s: runbook %q is not one of %v", where, r.Annotations["runbook"], sections)
			}
		}
	}
	if alerts < 5 {
		t.Errorf("only %d alerts were looked at", alerts)
	}
}

// headings are the anchors of a document's sections.
func headings(markdown string) []string {
	var anchors []string
	for _, line := range strings.Split(markdown, "\n") {
		text, ok := strings.CutPrefix(line, "## ")
		if !ok {
			continue
		}
		a := strings.ToLower(text)
		a = regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(a, "")
		anchors = append(anchors, strings.ReplaceAll(a, " ", "-"))
	}
	return anchors
}

func TestDashboards(t *testing.T) {
	files, err := filepath.Glob("grafana/dashboards/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	used := make(map[string]bool)
	for _, file := range files {
		var d struct {
			UID    string `json:"uid"`
			Title  string `json:"title"`
			Panels []struct {
				ID      int    `json:"id"`
				Type    string `json:"type"`
				Title   string `json:"title"`
				GridPos struct{ X, Y, W, H int }
				Targets []struct{ Expr string }
			} `json:"panels"`
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		ids := make(map[int]bool)
		for _, p := range d.Panels {
			where := file + ", " + p.Title
			if ids[p.ID] || p.GridPos.X+p.GridPos.W > 24 {
				t.Errorf("%s: id %d twice, or it stands beside the page", where, p.ID)
			}
			ids[p.ID] = true
			if p.Type != "row" && len(p.Targets) == 0 {
				t.Errorf("%s shows nothing", where)
			}
			for _, target := range p.Targets {
				checkExpression(t, where, target.Expr)
				for _, m := range regexp.MustCompile(`crossdock_\w+`).FindAllString(target.Expr, -1) {
					used[m] = true
				}
			}
		}
		if d.UID == "" || d.Title == "" {
			t.Errorf("%s: no uid or title", file)
		}
	}
	t.Logf("%d metrics are shown: %v", len(used), slices.Sorted(maps.Keys(used)))
}
