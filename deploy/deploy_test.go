package deploy

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// root of the repository.
const root = ".."

// program is crossdock itself, built from this tree: what it says of its roles, commands and
// metrics is the truth that files are compared with.
var program string

func TestMain(m *testing.M) {
	// The go command remembers what a test read inside its own module, and takes an old result
	// for good as long as that has not changed. Most of what is read here lies outside.
	if !slices.ContainsFunc(os.Args, func(a string) bool { return strings.HasPrefix(a, "-test.count=") }) {
		fmt.Fprintln(os.Stderr, "run it with -count=1, or an old result may be shown: cd deploy && go test -count=1 ./...")
		os.Exit(1)
	}
	dir, err := os.MkdirTemp("", "crossdock-deploy")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = filepath.Join(dir, "crossdock")
	build := exec.Command("go", "build", "-o", program, "./cmd/crossdock")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building crossdock: %v\n%s", err, out)
		os.RemoveAll(dir)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// run runs crossdock and returns what it prints.
func run(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, program, args...)
	c.Env = append(os.Environ(), env...)
	var both bytes.Buffer
	c.Stdout, c.Stderr = &both, &both
	err := c.Run()
	return both.String(), err
}

var roleLine = regexp.MustCompile(`(?m)^  ([a-z]+) {2,}\S`)

// roles are the real ones, as `crossdock run --help` lists them.
func roles(t *testing.T) map[string]bool {
	t.Helper()
	out, err := run(t, nil, "run", "--help")
	if err != nil {
		t.Fatalf("crossdock run --help: %v\n%s", err, out)
	}
	_, list, ok := strings.Cut(out, "unless --roles names some:")
	if !ok {
		t.Fatalf("crossdock run --help lists no roles:\n%s", out)
	}
	list, _, _ = strings.Cut(list, "Every role")
	found := make(map[string]bool)
	for _, m := range roleLine.FindAllStringSubmatch(list, -1) {
		found[m[1]] = true
	}
	if len(found) < 5 {
		t.Fatalf("found only the roles %v in:\n%s", found, list)
	}
	return found
}

// metrics are the names and labels that a process exports.
func metrics(t *testing.T) map[string][]string {
	t.Helper()
	out, err := run(t, nil, "metrics", "--markdown")
	if err != nil {
		t.Fatalf("crossdock metrics: %v\n%s", err, out)
	}
	found := make(map[string][]string)
	for _, line := range strings.Split(out, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || !strings.Contains(cells[1], "crossdock_") {
			continue
		}
		var labels []string
		for _, l := range strings.Split(cells[2], ",") {
			if l = strings.TrimSpace(l); l != "" {
				labels = append(labels, l)
			}
		}
		found[strings.Trim(cells[1], " `")] = labels
	}
	if len(found) < 10 {
		t.Fatalf("found only %d metrics in:\n%s", len(found), out)
	}
	return found
}

// rolesOf returns the roles that a command line of a container names.
func rolesOf(t *testing.T, where string, args []string) []string {
	t.Helper()
	for i, a := range args {
		if a == "--roles" && i+1 < len(args) {
			return strings.Split(args[i+1], ",")
		}
	}
	t.Errorf("%s: no --roles in %q", where, args)
	return nil
}

// accepted fails the test when crossdock does not know a command with these flags.
func accepted(t *testing.T, where string, args []string) {
	t.Helper()
	if out, err := run(t, nil, append(args[:len(args):len(args)], "--help")...); err != nil {
		t.Errorf("%s: crossdock %s: %v: %s", where, strings.Join(args, " "), err, firstLine(out))
	} else if len(args) > 0 && !strings.HasPrefix(args[0], "-") && strings.Contains(out, "Usage:\n  crossdock [command]") {
		t.Errorf("%s: crossdock has no command %q", where, args[0])
	}
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return s
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// validConfiguration checks a crossdock.yaml with the program itself. Files of secrets need not be
// there: references are not followed before they are needed.
func validConfiguration(t *testing.T, path string) {
	t.Helper()
	if out, err := run(t, nil, "--config", path, "config", "validate"); err != nil {
		t.Errorf("%s: %s", path, out)
	}
}
