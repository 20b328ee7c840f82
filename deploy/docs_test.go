package deploy

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/template"
	shell "github.com/mattn/go-shellwords"
)

// Documents that people follow: what they name must be there.
var documents = []string{
	"README.md", "README.zh-CN.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md",
	"docs/runbook.md", "docs/adr/*.md", "docs/performance.md", "connectors/*/README.md",
}

func eachDocument(t *testing.T, f func(t *testing.T, path, text string)) {
	t.Helper()
	for _, pattern := range documents {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 && pattern != "docs/performance.md" {
			t.Errorf("%s is missing", pattern)
		}
		for _, file := range files {
			rel, _ := filepath.Rel(root, file)
			t.Run(rel, func(t *testing.T) { f(t, rel, read(t, file)) })
		}
	}
}

var testName = regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w+`)

// A promise names its test: the test is there.
func TestDocumentsNameRealTests(t *testing.T) {
	real := make(map[string]bool)
	decl := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	walk(t, func(path string) {
		if strings.HasSuffix(path, "_test.go") {
			for _, m := range decl.FindAllStringSubmatch(read(t, path), -1) {
				real[m[1]] = true
			}
		}
	})
	if len(real) < 100 {
		t.Fatalf("found only %d tests: the walk is broken", len(real))
	}
	eachDocument(t, func(t *testing.T, path, text string) {
		for _, name := range testName.FindAllString(text, -1) {
			if !real[name] {
				t.Errorf("%s names %s, which does not exist", path, name)
			}
		}
	})
}

var (
	code = regexp.MustCompile("`([^`\n]+)`")
	link = regexp.MustCompile(`\]\(([^)#\s]+)(#[^)\s]*)?\)`)
	file = regexp.MustCompile(`^(?:\.ci|cmd|connectors|deploy|docs|ingest|internal|processors|schemas|sinks|test)/[\w./*-]+$|^[A-Z][\w.-]*\.md$|^Makefile$|^docker-compose\.yml$`)
)

// Files and links that documents name are there.
func TestDocumentsNameRealFiles(t *testing.T) {
	eachDocument(t, func(t *testing.T, path, text string) {
		for _, m := range code.FindAllStringSubmatch(text, -1) {
			name := strings.TrimSuffix(m[1], "/")
			// Names with a placeholder stand for many.
			if !file.MatchString(name) || strings.Contains(name, "NAME") || strings.Contains(name, "…") {
				continue
			}
			if found, err := filepath.Glob(filepath.Join(root, name)); err != nil || len(found) == 0 {
				t.Errorf("%s names %s, which does not exist", path, name)
			}
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", path, m[1], err)
			}
		}
	})
}

// Every command line `crossdock …` in a document is understood by the program, flags included.
func TestDocumentsNameRealCommands(t *testing.T) {
	checked := 0
	eachDocument(t, func(t *testing.T, path, text string) {
		seen := make(map[string]bool)
		for _, line := range commandLines(text) {
			if seen[line] {
				continue
			}
			seen[line] = true
			args, err := shell.Parse(line)
			if err != nil {
				t.Errorf("%s: %q: %v", path, line, err)
				continue
			}
			checked++
			accepted(t, path, args)
		}
	})
	if checked < 20 {
		t.Errorf("only %d commands were looked at", checked)
	}
}

// commandLines finds the arguments of crossdock in code spans and code blocks.
func commandLines(text string) []string {
	var lines []string
	block := false
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			block = !block
			continue
		}
		if block {
			rest := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "$ "))
			rest = strings.TrimPrefix(rest, "bin/")
			if args, ok := strings.CutPrefix(rest, "crossdock "); ok {
				lines = append(lines, clean(args)...)
			}
			continue
		}
		for _, m := range code.FindAllStringSubmatch(line, -1) {
			if args, ok := strings.CutPrefix(strings.TrimPrefix(m[1], "bin/"), "crossdock "); ok {
				lines = append(lines, clean(args)...)
			}
		}
	}
	return lines
}

// clean cuts off comments, redirections and what follows a command, and stands a word for each
// placeholder.
func clean(args string) []string {
	var all []string
	for i, part := range regexp.MustCompile(`&&|;`).Split(args, -1) {
		part = strings.TrimSpace(part)
		if i > 0 {
			rest, ok := strings.CutPrefix(part, "crossdock ")
			if !ok {
				continue
			}
			part = rest
		}
		part = regexp.MustCompile(`\s+#.*$|\s*[|>].*$`).ReplaceAllString(part, "")
		// "…" and "[--flag]" describe, they do not run.
		if strings.ContainsAny(part, "…[") {
			continue
		}
		all = append(all, part)
	}
	return all
}

// Variables in docker-compose.yml would have to be set by somebody: there are none.
func TestComposeNeedsNoEnvironment(t *testing.T) {
	text := read(t, "../docker-compose.yml")
	if vars := template.ExtractVariables(map[string]any{"file": text}, template.DefaultPattern); len(vars) > 0 {
		t.Errorf("docker-compose.yml needs variables: %v", vars)
	}
}

// make-secrets writes what docker-compose.yml names, and keeps what is there.
func TestMakeSecrets(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "make-secrets")
	if err := os.WriteFile(script, []byte(read(t, "compose/make-secrets")), 0o700); err != nil {
		t.Fatal(err)
	}
	first := secretsAfter(t, script)
	for name := range composed(t).Secrets {
		if len(first[name]) < 32 || bytes.ContainsAny(first[name], "\n ") {
			t.Errorf("secret %s: %d bytes", name, len(first[name]))
		}
	}
	for name, again := range secretsAfter(t, script) {
		if !bytes.Equal(first[name], again) {
			t.Errorf("secret %s was made anew", name)
		}
	}
}

func walk(t *testing.T, f func(path string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			return filepath.SkipDir
		}
		if !d.IsDir() {
			f(path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func secretsAfter(t *testing.T, script string) map[string][]byte {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), script).CombinedOutput(); err != nil {
		t.Fatalf("make-secrets: %v\n%s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(script), "secrets", "*"))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]byte)
	for _, f := range files {
		all[filepath.Base(f)] = []byte(read(t, f))
	}
	return all
}
