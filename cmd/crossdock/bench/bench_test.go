package bench

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/helloword/crossdock/internal/testkit"
)

// TestRun: every part runs on real engines, checks itself, and says all that it should. How
// fast it was is no matter of a test.
func TestRun(t *testing.T) {
	o := Options{
		Kafka: testkit.Kafka(t), Redis: testkit.Redis(t), ClickHouse: testkit.ClickHouse(t),
		Orders: 400, Known: 20_000, For: time.Second, Version: "test",
		Log: slog.New(slog.DiscardHandler), Progress: t.Output(),
	}
	if testing.Short() {
		o.Turns = 1 // the others are the same again, for the sake of the median
	}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		"copy_per_s", "first_hop_per_s", "pipeline_per_s", "ratio", "clickhouse_bare_rows_per_s", "clickhouse_sink_rows_per_s",
		"clickhouse_ratio", "webhook_bare_per_s", "webhook_per_s", "webhook_ratio", "rss_mb", "cost_growth",
	} {
		if v, ok := got[key].(float64); !ok || v <= 0 {
			t.Errorf("%s is %v, want a number above 0", key, got[key])
		}
	}
	if r.E2E.P50 <= 0 || r.E2E.P99 < r.E2E.P50 {
		t.Errorf("end to end: p50 %v, p99 %v", r.E2E.P50, r.E2E.P99)
	}
}

func TestOptions(t *testing.T) {
	for name, tc := range map[string]struct {
		o    Options
		want string
	}{
		"unknown part": {Options{Orders: 1, Known: 1, For: 1, Only: []string{"copy", "copies"}}, `part "copies" is not known`},
		"no orders":    {Options{Known: 1, For: 1}, "must be above 0"},
		"turns":        {Options{Orders: 1, Known: 1, For: 1, Turns: -1}, "not below"},
	} {
		if _, err := Run(t.Context(), tc.o); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}
