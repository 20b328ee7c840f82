package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/helloword/crossdock/cmd/crossdock/bench"
	"github.com/helloword/crossdock/internal/embedded"
	"github.com/helloword/crossdock/internal/services"
	"github.com/helloword/crossdock/internal/telemetry"
)

func benchCommand() *cobra.Command {
	var o bench.Options
	var level string
	c := &cobra.Command{
		Use:     "bench",
		Short:   "Measure the pipeline against the same work done bare, on real engines",
		GroupID: "make",
		Long: `Measures, in one run on one machine: a bare copy of raw orders, the first hop, the whole
pipeline, the ClickHouse sink and the webhook server beside their bare counterparts, the time
from a sale on one shop to the new quantity on another, and whether a full memory costs speed.

The engines are those that ` + services.EnvKafka + `, ` + services.EnvRedis + ` and
` + services.EnvClickHouse + ` name; without them they are started for the run.`,
		Example: `  crossdock bench
  crossdock bench --json --only copy,pipeline --orders 100000`,
		Args: cobra.NoArgs,
	}
	asJSON := jsonFlag(c)
	f := c.Flags()
	f.IntVar(&o.Orders, "orders", 200_000, "orders that go through the rooms")
	f.IntVar(&o.Known, "known", 10_000_000, "events that Redis knows already, at the larger measurement of growth")
	f.DurationVar(&o.For, "for", 15*time.Second, "how long the parts take that run for a time")
	f.StringSliceVar(&o.Only, "only", nil, "parts to run: "+strings.Join(bench.Parts(), ", ")+" (default all)")
	f.StringVar(&o.Profile, "profile", "", "write a CPU profile of each part into this `DIR`")
	f.StringVar(&level, "log-level", "error", "debug, info, warn or error")
	_ = c.RegisterFlagCompletionFunc("only", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return bench.Parts(), cobra.ShellCompDirectiveNoFileComp
	})
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if o.Log, err = telemetry.NewLogger(os.Stderr, level, false); err != nil {
			return err
		}
		o.Version, o.Progress = version, c.ErrOrStderr()
		down, err := engines(c.Context(), &o)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, down()) }()
		r, err := bench.Run(c.Context(), o)
		if err != nil {
			return err
		}
		if err := printBench(c.OutOrStdout(), r); err != nil || !*asJSON {
			return err
		}
		return printJSON(c.OutOrStdout(), r)
	}
	return c
}

// engines takes the engines that the environment names, or starts them for as long as the run
// takes.
func engines(ctx context.Context, o *bench.Options) (down func() error, err error) {
	o.Kafka, o.Redis, o.ClickHouse = os.Getenv(services.EnvKafka), os.Getenv(services.EnvRedis), os.Getenv(services.EnvClickHouse)
	named := 0
	for _, a := range []string{o.Kafka, o.Redis, o.ClickHouse} {
		if a != "" {
			named++
		}
	}
	switch named {
	case 3:
		return func() error { return nil }, nil
	case 0:
	default:
		return nil, fmt.Errorf("%s, %s and %s: name all three engines, or none to have them started", services.EnvKafka, services.EnvRedis, services.EnvClickHouse)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cache, err := embedded.CacheDir("")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "crossdock-bench-")
	if err != nil {
		return nil, err
	}
	down = func() error { return errors.Join(services.Down(dir), os.RemoveAll(dir)) }
	if dir, err = filepath.Abs(dir); err == nil {
		err = services.Up(ctx, dir, cache, self, o.Progress)
	}
	if err != nil {
		return nil, errors.Join(err, down())
	}
	a, err := services.ReadEnv(services.EnvFile(dir))
	if err != nil {
		return nil, errors.Join(err, down())
	}
	o.Kafka, o.Redis, o.ClickHouse = a.Kafka, a.Redis, a.ClickHouse
	return down, nil
}

func printBench(w io.Writer, r *bench.Result) error {
	n := func(v float64) string { return fmt.Sprintf("%.0f", v) }
	q := func(v float64) string { return fmt.Sprintf("%.2f", v) }
	return table(w, []string{"WHAT", "FIGURE", "UNIT", "GOAL"}, [][]string{
		{"copy, bare", n(r.CopyPerS), "orders/s", ""},
		{"first hop", n(r.FirstHopPerS), "orders/s", "45000"},
		{"pipeline", n(r.PipelinePerS), "orders/s", ""},
		{"pipeline / copy", q(r.Ratio), "", "0.50"},
		{"ClickHouse, bare", n(r.ClickHouseBare), "rows/s", ""},
		{"ClickHouse sink", n(r.ClickHouseSink), "rows/s", ""},
		{"sink / bare", q(r.ClickHouseRatio), "", "0.80"},
		{"webhook, bare", n(r.WebhookBare), "calls/s", ""},
		{"webhook server", n(r.WebhookPerS), "calls/s", ""},
		{"server / bare", q(r.WebhookRatio), "", "0.80"},
		{"sale to other shop, p50", n(r.E2E.P50), "ms", ""},
		{"sale to other shop, p99", n(r.E2E.P99), "ms", "500"},
		{"memory, pipeline", fmt.Sprint(r.RSS), "MB", ""},
		{fmt.Sprintf("speed with %d known events", r.Known), q(r.CostGrowth), "", "0.95"},
		{"order, mean", fmt.Sprint(r.OrderBytes), "bytes", ""},
		{"load average", r.Load, "", ""},
	})
}
