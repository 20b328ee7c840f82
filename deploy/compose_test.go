package deploy

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"gopkg.in/yaml.v3"
)

// pinned says whether an image's tag names one version.
var pinned = regexp.MustCompile(`^[a-z0-9./-]+:v?[0-9]+(\.[0-9]+){1,3}(-[a-z0-9]+)?(@sha256:[0-9a-f]{64})?$`)

func composed(t *testing.T) *types.Project {
	t.Helper()
	abs, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	// The loader checks the file against the official JSON Schema and for consistency.
	p, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  abs,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(abs, "docker-compose.yml")}},
	})
	if err != nil {
		t.Fatalf("docker-compose.yml: %v", err)
	}
	return p
}

func TestCompose(t *testing.T) {
	p := composed(t)
	real := roles(t)
	run := make(map[string]bool)
	for name, s := range p.Services {
		if s.Image != "crossdock:local" && !pinned.MatchString(s.Image) {
			t.Errorf("%s: image %q is not pinned to a version", name, s.Image)
		}
		if !s.ReadOnly {
			t.Errorf("%s: its file system can be written", name)
		}
		if !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0 || s.Privileged {
			t.Errorf("%s: capabilities: drop %v, add %v", name, s.CapDrop, s.CapAdd)
		}
		if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s: it may gain privileges", name)
		}
		if s.MemLimit == 0 || s.PidsLimit == 0 {
			t.Errorf("%s: memory %d, processes %d: not bounded", name, s.MemLimit, s.PidsLimit)
		}
		if user, _, _ := strings.Cut(s.User, ":"); s.User != "" && user == "0" {
			t.Errorf("%s: runs as root", name)
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %s is published on %q, not on loopback only", name, port.Published, port.HostIP)
			}
		}
		once := s.Restart != "unless-stopped"
		if !once && (s.HealthCheck == nil || len(s.HealthCheck.Test) == 0) {
			t.Errorf("%s: no health check", name)
		}
		for key, value := range s.Environment {
			if value != nil && regexp.MustCompile(`(?i)(password|secret|token|key)$`).MatchString(key) {
				t.Errorf("%s: the environment holds the secret %s", name, key)
			}
		}
		if s.Image != "crossdock:local" {
			continue
		}
		args := []string(s.Command)
		accepted(t, "docker-compose.yml, "+name, args)
		if s.HealthCheck != nil && !s.HealthCheck.Disable {
			test := s.HealthCheck.Test
			if len(test) < 3 || test[0] != "CMD" || test[1] != "/crossdock" {
				t.Errorf("%s: health check %q: the image has nothing but /crossdock", name, test)
			} else {
				accepted(t, name+"'s health check", test[2:])
			}
		}
		if args[0] != "run" {
			continue
		}
		for _, r := range rolesOf(t, name, args) {
			if !real[r] {
				t.Errorf("%s: role %q does not exist", name, r)
			}
			if run[r] {
				t.Errorf("role %s runs in two services", r)
			}
			run[r] = true
		}
		for _, needed := range []string{"topics", "migrate"} {
			if s.DependsOn[needed].Condition != "service_completed_successfully" {
				t.Errorf("%s does not wait for %s", name, needed)
			}
		}
	}
	if !maps.Equal(run, real) {
		t.Errorf("services run the roles %v, there are %v", slices.Sorted(maps.Keys(run)), slices.Sorted(maps.Keys(real)))
	}
}

// Files that the containers are given must be there; secrets are made by make-secrets.
func TestComposeFiles(t *testing.T) {
	p := composed(t)
	for name, c := range p.Configs {
		if _, err := os.Stat(c.File); err != nil {
			t.Errorf("config %s: %v", name, err)
		}
	}
	made := read(t, "compose/make-secrets")
	for name, s := range p.Secrets {
		if !strings.Contains(made, name) {
			t.Errorf("secret %s: make-secrets does not make it", name)
		}
		if got, want := s.File, filepath.Join(p.WorkingDir, "deploy/compose/secrets", name); got != want {
			t.Errorf("secret %s is read from %s, want %s", name, got, want)
		}
	}
	for name, s := range p.Services {
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind {
				continue
			}
			if _, err := os.Stat(v.Source); err != nil || !v.ReadOnly {
				t.Errorf("%s: %s: read-only %v, %v", name, v.Source, v.ReadOnly, err)
			}
		}
	}
	validConfiguration(t, "compose/crossdock.yaml")
	// Every secret that the configuration names is given to every role.
	for _, m := range regexp.MustCompile(`(?m)^[^#\n]*file:/run/secrets/(\w+)`).FindAllStringSubmatch(read(t, "compose/crossdock.yaml"), -1) {
		for name, s := range p.Services {
			if s.Image == "crossdock:local" && !slices.ContainsFunc(s.Secrets, func(c types.ServiceSecretConfig) bool { return c.Source == m[1] }) {
				t.Errorf("%s is not given the secret %s", name, m[1])
			}
		}
	}
}

// Prometheus looks at each role, and the address is the one that the configuration opens.
func TestComposeScrapesEveryRole(t *testing.T) {
	var cfg struct {
		Scrape []struct {
			Job    string `yaml:"job_name"`
			Static []struct {
				Targets []string `yaml:"targets"`
			} `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "prometheus/prometheus.yml")), &cfg); err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, s := range cfg.Scrape {
		if s.Job == "crossdock" {
			got = s.Static[0].Targets
		}
	}
	for name, s := range composed(t).Services {
		if s.Image == "crossdock:local" && s.Command[0] == "run" {
			want = append(want, name+":9090")
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("scraped: %v\nrunning: %v", got, want)
	}
}

func TestDockerfile(t *testing.T) {
	f, err := os.Open("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	res, err := parser.Parse(f)
	if err != nil {
		t.Fatalf("Dockerfile: %v", err)
	}
	for _, w := range res.Warnings {
		t.Errorf("Dockerfile: %s", w.Short)
	}
	lint := linter.New(&linter.Config{Warn: func(rule, description, _, short string, _ []parser.Range) {
		t.Errorf("Dockerfile: %s: %s (%s)", rule, short, description)
	}})
	stages, _, err := instructions.Parse(res.AST, lint)
	if err != nil {
		t.Fatalf("Dockerfile: %v", err)
	}
	last := stages[len(stages)-1]
	if last.BaseName != "scratch" {
		t.Errorf("the image begins with %s, want scratch", last.BaseName)
	}
	user, entry := "", []string(nil)
	for _, c := range last.Commands {
		switch c := c.(type) {
		case *instructions.UserCommand:
			user = c.User
		case *instructions.EntrypointCommand:
			entry = c.CmdLine
		}
	}
	if user == "" || strings.HasPrefix(user, "0") || user == "root" {
		t.Errorf("the image runs as user %q", user)
	}
	if len(entry) == 0 || entry[0] != "/crossdock" {
		t.Errorf("entry point %q", entry)
	}
	// Every folder that the program is made of is copied.
	for _, c := range stages[0].Commands {
		cp, ok := c.(*instructions.CopyCommand)
		if !ok {
			continue
		}
		for _, src := range cp.SourcePaths {
			if _, err := os.Stat(filepath.Join(root, src)); err != nil {
				t.Errorf("COPY %s: %v", src, err)
			}
			if !strings.Contains(read(t, "Dockerfile.dockerignore"), "!"+src+"\n") {
				t.Errorf("COPY %s: Dockerfile.dockerignore leaves it out", src)
			}
		}
	}
}
