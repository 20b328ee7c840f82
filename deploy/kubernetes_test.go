package deploy

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/santhosh-tekuri/jsonschema/v6"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// keda is the version whose definitions the ScaledObjects are checked with.
const keda = "github.com/kedacore/keda/v2@v2.21.0"

// object is one object as kustomize builds it: what would be applied.
type object struct {
	kind, name string
	yaml       []byte
}

func built(t *testing.T) []object {
	t.Helper()
	m, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), "kubernetes")
	if err != nil {
		t.Fatalf("kustomize build deploy/kubernetes: %v", err)
	}
	var objects []object
	for _, r := range m.Resources() {
		b, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, object{r.GetKind(), r.GetName(), b})
		if ns := r.GetNamespace(); ns != "crossdock" && r.GetKind() != "Namespace" {
			t.Errorf("%s %s is in the namespace %q", r.GetKind(), r.GetName(), ns)
		}
	}
	return objects
}

// strict decodes into the official type; an unknown field is an error.
func strict[T any](t *testing.T, o object) T {
	t.Helper()
	var v T
	if err := yaml.UnmarshalStrict(o.yaml, &v); err != nil {
		t.Errorf("%s %s: %v", o.kind, o.name, err)
	}
	return v
}

// workload is what Deployments and StatefulSets have in common.
type workload struct {
	kind, name string
	labels     map[string]string // of the selector
	pod        corev1.PodTemplateSpec
}

func workloads(t *testing.T, objects []object) []workload {
	t.Helper()
	var all []workload
	for _, o := range objects {
		switch o.kind {
		case "Deployment":
			d := strict[appsv1.Deployment](t, o)
			all = append(all, workload{o.kind, o.name, d.Spec.Selector.MatchLabels, d.Spec.Template})
		case "StatefulSet":
			s := strict[appsv1.StatefulSet](t, o)
			all = append(all, workload{o.kind, o.name, s.Spec.Selector.MatchLabels, s.Spec.Template})
		}
	}
	return all
}

func TestKubernetesObjectsAreValid(t *testing.T) {
	crds := kedaSchemas(t)
	for _, o := range built(t) {
		switch o.kind {
		case "Deployment", "StatefulSet":
			// in workloads
		case "Namespace":
			strict[corev1.Namespace](t, o)
		case "ConfigMap":
			strict[corev1.ConfigMap](t, o)
		case "Service":
			strict[corev1.Service](t, o)
		case "ServiceAccount":
			strict[corev1.ServiceAccount](t, o)
		case "PersistentVolumeClaim":
			strict[corev1.PersistentVolumeClaim](t, o)
		case "Job":
			strict[batchv1.Job](t, o)
		case "PodDisruptionBudget":
			strict[policyv1.PodDisruptionBudget](t, o)
		case "NetworkPolicy":
			strict[networkingv1.NetworkPolicy](t, o)
		case "ServiceMonitor":
			strict[monitoring.ServiceMonitor](t, o)
		case "ScaledObject", "TriggerAuthentication":
			schema := crds[o.kind]
			if schema == nil {
				t.Fatalf("%s defines no %s", keda, o.kind)
			}
			if err := schema.Validate(decoded(t, o.yaml)); err != nil {
				t.Errorf("%s %s: %v", o.kind, o.name, err)
			}
		default:
			t.Errorf("%s %s: this test does not know the kind", o.kind, o.name)
		}
	}
}

func TestKubernetesWorkloads(t *testing.T) {
	objects := built(t)
	real, run := roles(t), make(map[string]bool)
	budgets := make(map[string]map[string]string)
	for _, o := range objects {
		if o.kind == "PodDisruptionBudget" {
			budgets[o.name] = strict[policyv1.PodDisruptionBudget](t, o).Spec.Selector.MatchLabels
		}
	}
	all := workloads(t, objects)
	for _, w := range all {
		where := w.kind + " " + w.name
		if !maps.Equal(w.labels, w.pod.Labels) {
			t.Errorf("%s: selects %v, its pods have %v", where, w.labels, w.pod.Labels)
		}
		if !maps.Equal(budgets[w.name], w.labels) {
			t.Errorf("%s: its disruption budget selects %v", where, budgets[w.name])
		}
		c := w.pod.Spec.Containers[0]
		secured(t, where, w.pod.Spec)
		accepted(t, where, c.Args)
		for _, r := range rolesOf(t, where, c.Args) {
			if !real[r] || run[r] {
				t.Errorf("%s: role %q does not exist, or runs twice", where, r)
			}
			run[r] = true
			// Members of groups keep their names, so that they can be static members.
			if member := r != "webhook" && r != "poll"; member != (w.kind == "StatefulSet") {
				t.Errorf("role %s is a %s", r, w.kind)
			}
		}
		if c.LivenessProbe == nil || c.LivenessProbe.HTTPGet.Path != "/healthz" || c.ReadinessProbe == nil || c.ReadinessProbe.HTTPGet.Path != "/readyz" {
			t.Errorf("%s: liveness must ask /healthz and readiness /readyz", where)
		}
	}
	if !maps.Equal(run, real) {
		t.Errorf("workloads run the roles %v, there are %v", slices.Sorted(maps.Keys(run)), slices.Sorted(maps.Keys(real)))
	}
	for _, o := range objects {
		if o.kind == "Job" {
			spec := strict[batchv1.Job](t, o).Spec.Template.Spec
			secured(t, "Job "+o.name, spec)
			for _, c := range append(spec.InitContainers, spec.Containers...) {
				accepted(t, "Job "+o.name, c.Args)
			}
		}
	}
}

// secured checks what the namespace's level "restricted" asks for, and a little more.
func secured(t *testing.T, where string, p corev1.PodSpec) {
	t.Helper()
	if s := p.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.SeccompProfile == nil || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("%s: pod security context %+v", where, p.SecurityContext)
	}
	if p.AutomountServiceAccountToken == nil || *p.AutomountServiceAccountToken {
		t.Errorf("%s: it gets a token of the cluster", where)
	}
	for _, c := range append(p.InitContainers, p.Containers...) {
		s := c.SecurityContext
		if s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem ||
			s.Capabilities == nil || !slices.Contains(s.Capabilities.Drop, "ALL") || len(s.Capabilities.Add) > 0 {
			t.Errorf("%s, container %s: security context %+v", where, c.Name, s)
		}
		if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
			t.Errorf("%s, container %s: resources %+v", where, c.Name, c.Resources)
		}
		if !strings.Contains(c.Image, ":") || strings.HasSuffix(c.Image, ":latest") {
			t.Errorf("%s, container %s: image %s has no version", where, c.Name, c.Image)
		}
	}
}

// The configuration in the ConfigMap is valid, and the autoscaling fits it: real groups and topics
// of its tenant and environment, no more pods than partitions, the brokers.
func TestKubernetesConfigurationAndScaling(t *testing.T) {
	objects := built(t)
	var text string
	for _, o := range objects {
		if o.kind == "ConfigMap" {
			text = strict[corev1.ConfigMap](t, o).Data["crossdock.yaml"]
		}
	}
	path := filepath.Join(t.TempDir(), "crossdock.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	validConfiguration(t, path)
	var cfg struct {
		Tenant, Environment string
		Kafka               struct {
			Brokers    []string
			Partitions map[string]int
		}
	}
	if err := yaml.Unmarshal([]byte(text), &cfg); err != nil {
		t.Fatal(err)
	}
	widths := topicWidths(t)
	names := make(map[string]string)
	for _, w := range workloads(t, objects) {
		names[w.name] = w.kind
	}
	scaled := 0
	for _, o := range objects {
		if o.kind != "ScaledObject" {
			continue
		}
		scaled++
		var s struct {
			Spec struct {
				ScaleTargetRef  struct{ Kind, Name string }
				MaxReplicaCount int
				Triggers        []struct{ Metadata map[string]string }
			}
		}
		if err := yaml.Unmarshal(o.yaml, &s); err != nil {
			t.Fatal(err)
		}
		target := s.Spec.ScaleTargetRef
		if names[target.Name] != target.Kind {
			t.Errorf("%s scales the %s %q, which is not here", o.name, target.Kind, target.Name)
		}
		m := s.Spec.Triggers[0].Metadata
		prefix := cfg.Tenant + "." + cfg.Environment + "."
		width, ok := widths[strings.TrimPrefix(m["topic"], prefix)]
		if !ok || !strings.HasPrefix(m["topic"], prefix) {
			t.Errorf("%s: no topic %q is declared", o.name, m["topic"])
		}
		if want := cfg.Kafka.Partitions[width]; s.Spec.MaxReplicaCount != want {
			t.Errorf("%s: up to %d pods, its topic has %d partitions", o.name, s.Spec.MaxReplicaCount, want)
		}
		if got, want := m["consumerGroup"], prefix+target.Name; got != want {
			t.Errorf("%s: group %q, want %q", o.name, got, want)
		}
		if got, want := m["bootstrapServers"], strings.Join(cfg.Kafka.Brokers, ","); got != want {
			t.Errorf("%s: brokers %s, the configuration has %s", o.name, got, want)
		}
		for _, k := range []string{"excludePersistentLag", "limitToPartitionsWithLag"} {
			if m[k] != "true" {
				t.Errorf("%s: %s is %q", o.name, k, m[k])
			}
		}
	}
	if scaled == 0 {
		t.Error("nothing is scaled")
	}
}

// topicWidths reads the declarations of topics: name to class of width, in lower case.
func topicWidths(t *testing.T) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "schemas", "topics.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	widths := make(map[string]string)
	ast.Inspect(f, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		var name, width string
		for _, e := range lit.Elts {
			kv, ok := e.(*ast.KeyValueExpr)
			if !ok {
				continue
			}
			key, _ := kv.Key.(*ast.Ident)
			switch v := kv.Value.(type) {
			case *ast.BasicLit:
				if key != nil && key.Name == "Name" {
					name, _ = strconv.Unquote(v.Value)
				}
			case *ast.Ident:
				if key != nil && key.Name == "Width" {
					width = strings.ToLower(v.Name)
				}
			}
		}
		if name != "" && width != "" {
			widths[name] = width
		}
		return true
	})
	if len(widths) < 10 {
		t.Fatalf("found only the topics %v", widths)
	}
	return widths
}

// kedaSchemas are the definitions that KEDA installs in a cluster, made strict.
func kedaSchemas(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", keda).Output()
	if err != nil {
		t.Fatalf("fetching %s: %v %s", keda, err, out)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	schemas := make(map[string]*jsonschema.Schema)
	for _, file := range []string{"keda.sh_scaledobjects.yaml", "keda.sh_triggerauthentications.yaml"} {
		var crd struct {
			Spec struct {
				Names    struct{ Kind string }
				Versions []struct {
					Schema struct {
						OpenAPIV3Schema any `json:"openAPIV3Schema"`
					}
				}
			}
		}
		if err := yaml.Unmarshal([]byte(read(t, filepath.Join(module.Dir, "config", "crd", "bases", file))), &crd); err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource(file, closed(crd.Spec.Versions[0].Schema.OpenAPIV3Schema, true)); err != nil {
			t.Fatal(err)
		}
		s, err := c.Compile(file)
		if err != nil {
			t.Fatal(err)
		}
		schemas[crd.Spec.Names.Kind] = s
	}
	return schemas
}

// closed makes a schema refuse fields that it does not name, as a cluster's strict validation does.
func closed(schema any, top bool) any {
	switch s := schema.(type) {
	case map[string]any:
		for k, v := range s {
			s[k] = closed(v, false)
		}
		props, ok := s["properties"].(map[string]any)
		if _, open := s["additionalProperties"]; ok && !open && s["type"] == "object" && s["x-kubernetes-preserve-unknown-fields"] != true {
			if top {
				props["metadata"] = map[string]any{"type": "object"}
			}
			s["additionalProperties"] = false
		}
	case []any:
		for i, v := range s {
			s[i] = closed(v, false)
		}
	}
	return schema
}

func decoded(t *testing.T, b []byte) any {
	t.Helper()
	j, err := yaml.YAMLToJSON(b)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(j))
	if err != nil {
		t.Fatal(err)
	}
	return v
}
