package config

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/amazon"
	"github.com/helloword/crossdock/schemas"
)

func TestExampleLoads(t *testing.T) {
	c, err := Parse("example.yaml", []byte(Example))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Connections["shop-uk"].Shopify.PageSize; got == 0 {
		t.Error("the connector's defaults were not filled in")
	}
	if got := c.Stock.Policies[1].MaxListed; got != 50 {
		t.Errorf("max_listed %d, want 50", got)
	}
}

// TestErrorsNameFileLineAndKey: whatever is wrong, the message leads to the place.
func TestErrorsNameFileLineAndKey(t *testing.T) {
	for name, c := range map[string]struct {
		old, new string
		want     []string
	}{
		"unknown key":       {"  overlap: 5m", "  overlapp: 5m", []string{"f.yaml:", "overlapp"}},
		"not a number":      {"replicas: 1", "replicas: many", []string{"f.yaml:14", "replicas"}},
		"bad duration":      {"interval: 15m", "interval: 15 minutes", []string{"f.yaml:", "interval"}},
		"short interval":    {"interval: 15m", "interval: 1ms", []string{"f.yaml:2", `"poll.interval"`, "too short"}},
		"pasted secret":     {"client_secret: env:SHOP_UK_SECRET", "client_secret: shpss_hunter2", []string{"f.yaml:", "client_secret", "env:NAME"}},
		"unknown connector": {"connector: ecb", "connector: ebc", []string{"f.yaml:", `"connections.rates"`, "ebc"}},
		"broken yaml":       {"kafka:", "kafka", []string{"f.yaml:"}},
		"environment":       {"environment: test ", "environment: staging ", []string{"f.yaml:10", "environment", "staging"}},
		"production host":   {`test_base_url: "http://127.0.0.1:9400"`, "", []string{"f.yaml:", "shop-uk", "test environment"}},
		"push too short":    {"park_max: 1m", "park_max: 1ms", []string{"f.yaml:", `"push.park_max"`, "at least 1s"}},
		"push interval":     {"    connector: ecb", "    connector: ecb\n    push_interval: 48h", []string{"f.yaml:", `"connections.rates"`, "push_interval 48h"}},
		"own pace":          {"    connector: ecb", "    connector: ecb\n    calls_per_second: -1", []string{"f.yaml:", `"connections.rates"`, "calls_per_second -1"}},
		"own interval":      {"    connector: ecb", "    connector: ecb\n    poll: {interval: 5ms}", []string{"f.yaml:", `"connections.rates.poll.interval"`, "too short"}},
		"negative overlap":  {"overlap: 5m", "overlap: -5m", []string{"f.yaml:", `"poll"`, "negative"}},
		"trace endpoint":    {"log_level: info", "traces: {endpoint: \"http://collector:4318\"}", []string{"f.yaml:", `"telemetry.traces"`, "https"}},
		"trace ratio":       {"log_level: info", "traces: {sample_ratio: 5}", []string{"f.yaml:", `"telemetry.traces"`, "sample_ratio 5"}},
		"trace secret":      {"log_level: info", "traces: {headers: {Authorization: hunter2}}", []string{"f.yaml:", `"telemetry.traces"`, "Authorization", "env:NAME"}},
		"unknown module":    {"    connector: ecb", "    connector: ecb\n    modules: [orders, invoices]", []string{"f.yaml:83:23", `"connections.rates.modules[1]"`, "invoices", "fulfilment"}},
		"module twice":      {"    connector: ecb", "    connector: ecb\n    modules: [orders, orders]", []string{"f.yaml:83:23", `"connections.rates.modules[1]"`, "twice"}},
		"looks too rare":    {"  interval: 1h  ", "  interval: 48h  ", []string{"f.yaml:", `"privacy.interval"`, "between 1s and 24h"}},
		"flapping":          {"resume_at: 4", "resume_at: 1", []string{"f.yaml:", "resume_at", "flaps"}},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(Example, c.old, c.new, 1)
			if text == Example {
				t.Fatalf("the example has no %q", c.old)
			}
			_, err := Parse("f.yaml", []byte(text))
			if err == nil {
				t.Fatal("it loads")
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not hold %q", err, w)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %q repeats a secret", err)
			}
		})
	}
}

// TestJournalsNeedAKey: what keeps refunds from being made twice must outlive the process, for
// whoever refunds.
func TestJournalsNeedAKey(t *testing.T) {
	cfg := amazon.DefaultConfig()
	cfg.SellerID, cfg.Region, cfg.Marketplaces, cfg.ClientID = "A1SIMULATED0", amazon.RegionEurope, []string{"A1F83G8C2ARO7P"}, "amzn1.application"
	cfg.ClientSecret, cfg.RefreshToken, cfg.TestBaseURL = "env:X", "env:X", "http://127.0.0.1:1"
	for _, tt := range []struct {
		modules connectors.Modules
		key     connectors.Secret
		ok      bool
	}{
		{nil, "", false}, {connectors.Modules{connectors.ModuleFinance}, "", false},
		{nil, "env:KEY", true}, {connectors.Modules{connectors.ModuleOrders, connectors.ModuleFulfilment}, "", true},
	} {
		c := &Config{Environment: schemas.Test, Tokens: Tokens{Key: tt.key}, Connections: map[string]Connection{
			"shop": {Connector: amazon.Name, AllowHTTP: true, Modules: tt.modules, Amazon: &cfg},
		}}
		if err := c.connection("shop"); (err == nil) != tt.ok || err != nil && !strings.Contains(err.Error(), "tokens.key") {
			t.Errorf("modules %v, key %q: %v", tt.modules, tt.key, err)
		}
	}
}

// TestPace: limits can be overruled where they are nobody's contract, and against a simulator.
func TestPace(t *testing.T) {
	for _, tt := range []struct {
		connector string
		env       schemas.Environment
		rate      float64
		ok        bool
	}{
		{"woocommerce", schemas.Production, 50, true}, {"magento", schemas.Production, 0.5, true},
		{"amazon", schemas.Test, 1e6, true}, {"ebay", schemas.Test, 1000, true},
		{"amazon", schemas.Production, 1, false}, {"ebay", schemas.Production, 1, false}, {"shopify", schemas.Test, 1, false},
		{"magento", schemas.Test, -1, false}, {"magento", schemas.Test, 1e9, false}, {"amazon", schemas.Production, 0, true},
	} {
		if err := (Connection{Connector: tt.connector, PerSecond: tt.rate}).checkPace(tt.env); (err == nil) != tt.ok {
			t.Errorf("%s in %s, %g: %v", tt.connector, tt.env, tt.rate, err)
		}
	}
}

// TestParseConnection: one connection by itself has its connector's defaults, and unknown keys
// are errors there, too.
func TestParseConnection(t *testing.T) {
	c, err := ParseConnection("connector: magento\ncalls_per_second: 7\nmagento:\n  base_url: https://shop.example.com\n")
	if err != nil {
		t.Fatal(err)
	}
	if c.Connector != "magento" || c.PerSecond != 7 || c.Magento == nil || c.Magento.Source != "default" || c.Magento.BaseURL != "https://shop.example.com" {
		t.Errorf("%+v", c)
	}
	for _, text := range []string{"connector: magento\nmagneto: {}\n", "connector: [\n", "magento: {page_size: many}"} {
		if _, err := ParseConnection(text); err == nil || !strings.Contains(err.Error(), "connection:") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// off is a setting that is switched off in the example: "#" and a key, however far in; prose
// has one blank after the "#".
var off = regexp.MustCompile(`(?m)^#(\S|  )`)

// switchedOn is the example with all that is switched off in it.
func switchedOn(t *testing.T) string {
	t.Helper()
	text := off.ReplaceAllString(Example, "$1")
	if text == Example {
		t.Fatal("nothing is switched off in the example")
	}
	return text
}

// TestExampleShowsAllSections: what the schema knows at the top the example shows, and what is
// switched off in it is right, too.
func TestExampleShowsAllSections(t *testing.T) {
	text := switchedOn(t)
	c, err := Parse("example.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if c.Tokens.Key == "" || c.Telemetry.Traces.Endpoint == "" || len(c.Catalog.Mappings) != 1 || c.Alert.Webhook.URL == "" {
		t.Errorf("switched on: %+v %+v %+v %+v", c.Tokens, c.Telemetry, c.Catalog, c.Alert)
	}
	b, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var schema struct{ Properties map[string]any }
	if err := json.Unmarshal(b, &schema); err != nil {
		t.Fatal(err)
	}
	var shown map[string]any
	if err := yaml.Unmarshal([]byte(text), &shown); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(schema.Properties)), slices.Sorted(maps.Keys(shown))); diff != "" {
		t.Errorf("sections of the schema and of the example: %s", diff)
	}
}

// TestSchema: the example is valid by the schema, also with all that is switched off in it, a
// typo is not, and the generated file in docs is this one.
func TestSchema(t *testing.T) {
	b, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("crossdock.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("crossdock.json")
	if err != nil {
		t.Fatal(err)
	}
	valid := func(text string) error {
		j, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal(j, &v); err != nil {
			t.Fatal(err)
		}
		return schema.Validate(v)
	}
	if err := valid(Example); err != nil {
		t.Errorf("the example: %v", err)
	}
	if err := valid(switchedOn(t)); err != nil {
		t.Errorf("the example with all settings: %v", err)
	}
	if valid(strings.Replace(switchedOn(t), "env:OTLP_AUTHORIZATION", "hunter2", 1)) == nil {
		t.Error("a pasted header is valid by the schema")
	}
	if valid(strings.Replace(Example, "overlap:", "overlapp:", 1)) == nil {
		t.Error("a typo is valid by the schema")
	}
	if valid(strings.Replace(Example, "env:SHOP_UK_SECRET", "hunter2", 1)) == nil {
		t.Error("a pasted secret is valid by the schema")
	}
	if have, err := os.ReadFile("../../../docs/crossdock.schema.json"); err != nil || string(have) != string(b) {
		t.Errorf("docs/crossdock.schema.json is not up to date (%v): run make generate", err)
	}
}
