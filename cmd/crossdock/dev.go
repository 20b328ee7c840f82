package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/helloword/crossdock/cmd/crossdock/dev"
	"github.com/helloword/crossdock/cmd/crossdock/shops"
	"github.com/helloword/crossdock/internal/telemetry"
)

func devCommand() *cobra.Command {
	var o dev.Options
	var asJSON, clean bool
	var level, profiles string
	c := &cobra.Command{
		Use:     "dev",
		Short:   "Run everything on this machine: embedded engines, simulated shops",
		GroupID: "run",
		Long: `Runs the whole pipeline in one process on embedded engines (for development: no replication),
against simulated shops, a simulated warehouse and a simulated rate source. No account and no
server is needed; the ClickHouse engine is fetched once with npm.

Without a file it trades made-up goods until Ctrl-C. With --orders it plays an Online Retail file:
every order, edit, return, write-off and receipt of it, webhooks duplicated, reordered and
dropped, and then compares what arrived in ClickHouse with the file's own arithmetic.

The shops are on Shopify. With --channels there is one shop on each platform that is named, and a
file's orders are spread over them by country. What a platform cannot do or tell is done or told as
its sellers do: Magento is polled, Amazon's notifications wait in a queue, and that goods of Amazon
or eBay came back is said by the warehouse.`,
		Example: `  crossdock dev
  crossdock dev --channels shopify,ebay
  crossdock dev --orders online-retail.csv.gz --exit --json
  crossdock dev --orders online-retail.csv.gz --channels shopify,woocommerce,magento,amazon,ebay --exit --json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := telemetry.NewLogger(os.Stderr, level, false)
			if err != nil {
				return err
			}
			o.Version, o.Log, o.Progress = version, log, c.ErrOrStderr()
			o.Live = isatty.IsTerminal(os.Stderr.Fd())
			o.Faults = shops.Faults{Duplicate: 0.02, Reorder: 0.02, Drop: 0.01}
			if o.Dir == "" {
				// A year is played from the beginning: its data is of no use afterwards.
				if o.Orders != "" {
					if o.Dir, err = os.MkdirTemp("", "crossdock-dev-"); err != nil {
						return err
					}
					defer os.RemoveAll(o.Dir)
					o.Passing = true
				} else {
					o.Dir = "crossdock-data"
				}
			}
			if o.Dir, err = filepath.Abs(o.Dir); err != nil {
				return err
			}
			if clean {
				if err := os.RemoveAll(o.Dir); err != nil {
					return err
				}
			}
			if profiles != "" {
				stop, err := profile(profiles)
				if err != nil {
					return err
				}
				defer stop()
			}
			if o.Orders == "" {
				return dev.Trade(c.Context(), o)
			}
			r, err := dev.Year(c.Context(), o)
			if r == nil {
				return err
			}
			if asJSON {
				err = errors.Join(err, printJSON(c.OutOrStdout(), r))
			} else {
				err = errors.Join(err, r.Print(c.OutOrStdout()))
			}
			if wrong := r.Err(); wrong != nil {
				fmt.Fprintln(os.Stderr, wrong)
				return errors.Join(err, errors.New("the figures differ from the file's own arithmetic"))
			}
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&o.Orders, "orders", "", "Online Retail `FILE` to play (csv or csv.gz)")
	f.StringSliceVar(&o.Channels, "channels", nil, "`PLATFORMS` to sell on, one shop on each: "+strings.Join(shops.Platforms(), ", ")+" (default: several shops on shopify)")
	f.StringVar(&o.Rates, "rates", "", "euro reference rate history `FILE` (default: *eurofxref-hist*.zip beside the orders)")
	f.BoolVar(&o.Exit, "exit", false, "end when the file has been played and everything is drained")
	f.BoolVar(&asJSON, "json", false, "print the figures as one JSON object, as the last line")
	f.StringVar(&o.Dir, "data", "", "folder of the engines' data (default crossdock-data; a temporary one with --orders)")
	f.BoolVar(&clean, "clean", false, "begin with an empty data folder")
	f.StringVar(&level, "log-level", "error", "debug, info, warn or error")
	f.StringVar(&o.Kafka, "kafka", "", "use this Kafka (`HOST:PORT`) instead of the embedded one")
	f.StringVar(&o.Redis, "redis", "", "use this Redis (`HOST:PORT`) instead of the embedded one")
	f.StringVar(&o.ClickHouse, "clickhouse", "", "use this ClickHouse (HTTP, `HOST:PORT`) instead of the embedded one")
	f.StringVar(&o.Webhook, "webhook", "", "address of the webhook server (default: a free loopback port)")
	f.StringVar(&o.Telemetry, "telemetry", "", "address of metrics and health (default: a free loopback port)")
	f.StringVar(&profiles, "profile", "", "write CPU and heap profiles into this folder")
	_ = f.MarkHidden("profile")
	return c
}

// profile records where the time and memory of a run go.
func profile(dir string) (stop func(), err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	cpu, err := os.Create(filepath.Join(dir, "cpu.pprof"))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		cpu.Close()
		if heap, err := os.Create(filepath.Join(dir, "heap.pprof")); err == nil {
			_ = pprof.Lookup("heap").WriteTo(heap, 0)
			heap.Close()
		}
	}, nil
}
