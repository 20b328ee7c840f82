package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/helloword/crossdock/cmd/crossdock/simulate"
)

func simulateCommand() *cobra.Command {
	var o simulate.Options
	c := &cobra.Command{
		Use:     "simulate PLATFORM",
		Short:   "Run the simulator of one platform alone",
		GroupID: "run",
		Long: `Runs a made-up shop on one platform, on this machine: its API with the platform's own paging,
limits and errors, and its webhooks. It prints the connection that crossdock.yaml needs for it, and
what happens. Everything is in memory: when it ends, the shop never was.

Platforms: ` + strings.Join(simulate.Platforms(), ", ") + `

With --every somebody buys now and then, and cancels every ninth order. Faults are probabilities from
0 to 1, or switches; a name that does not exist lists those that do.`,
		Example: `  crossdock simulate shopify
  crossdock simulate shopify --every 2s --webhooks http://127.0.0.1:8080/webhooks/shopify/shop
  crossdock simulate shopify --faults duplicate=0.05,drop=0.02,fail-after=0.01`,
		Args:      cobra.ExactArgs(1),
		ValidArgs: simulate.Platforms(),
		RunE: func(c *cobra.Command, args []string) error {
			o.Out = c.OutOrStdout()
			return simulate.Run(c.Context(), args[0], o, nil)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Listen, "listen", "127.0.0.1:0", "loopback `ADDRESS` to serve at; port 0 = a free one")
	f.StringVar(&o.Webhooks, "webhooks", "", "`URL` that the platform's webhooks go to (default nowhere)")
	f.DurationVar(&o.Every, "every", 10*time.Second, "pause between two orders; 0 = nobody buys")
	f.StringVar(&o.Faults, "faults", "", "what goes wrong, `NAME=PROBABILITY,…`")
	f.StringVar(&o.Currency, "currency", "EUR", "the shop's currency")
	f.Uint64Var(&o.Seed, "seed", 1, "seed of everything that is random")
	return c
}
