package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiff(t *testing.T) {
	for _, tc := range []struct {
		old, new string
		want     string // keys; those that need a restart with a "!"
	}{
		{"", "", ""},
		{"# crossdock.yaml", "# another comment", ""},
		{"interval: 15m", "interval: 900s", ""},
		{"interval: 15m", "interval: 20m", "poll.interval"},
		{"    connector: ecb", "    connector: ecb\n    poll: {interval: 1h}", "connections.rates.poll"},
		{"    connector: ecb", "    connector: ecb\n    push_interval: 15m", "connections.rates.push_interval"},
		{"    connector: ecb", "    connector: ecb\n    modules: [orders]", "connections.rates.modules!"},
		{"max_listed: 50", "max_listed: 40", "stock.policies"},
		{"log_level: info", "log_level: debug", "telemetry.log_level"},
		{"log_level: info", "log_json: true", "telemetry.log_json!"},
		{"log_level: info", "traces: {sample_ratio: 0.5}", "telemetry.traces.sample_ratio"},
		{"log_level: info", `traces: {endpoint: "https://otlp.example.com"}`, "telemetry.traces.endpoint!"},
		{"window: 15m", "window: 5m", "alert.window"},
		{"increase_delay: 500ms", "increase_delay: 1s", "push.increase_delay"},
		{"tenant: acme", "tenant: other", "tenant!"},
		{`["127.0.0.1:9092"]`, `["127.0.0.1:9092", "127.0.0.1:9093"]`, "kafka.brokers!"},
		{"wide: 12", "wide: 24", "kafka.partitions.wide!"},
		{"adopt_skus: true", "adopt_skus: false", "catalog.adopt_skus!"},
		{"env:SHOP_UK_SECRET", "env:SHOP_UK_OTHER", "connections.shop-uk.shopify.client_secret!"},
		{"  rates:\n    connector: ecb\n    ecb: {}\n", "", "connections.rates!"},
		{"  rates:\n", "  rates2:\n    connector: ecb\n    ecb: {}\n  rates:\n", "connections.rates2!"},
	} {
		text := strings.Replace(Example, tc.old, tc.new, 1)
		if text == Example && tc.old != "" {
			t.Fatalf("the example has no %q", tc.old)
		}
		a, err := Parse("a.yaml", []byte(Example))
		if err != nil {
			t.Fatal(err)
		}
		b, err := Parse("b.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, pair := range [][2]*Config{{a, b}, {b, a}} {
			var got []string
			for _, key := range Diff(pair[0], pair[1]) {
				if !Live(key) {
					key += "!"
				}
				got = append(got, key)
			}
			if diff := cmp.Diff(tc.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("%q → %q: %s", tc.old, tc.new, diff)
			}
		}
		if (a.Sum() == b.Sum()) != (text == Example) || a.Path() != "a.yaml" {
			t.Errorf("%q: sums %x %x", tc.new, a.Sum(), b.Sum())
		}
	}
}
