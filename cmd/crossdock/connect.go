package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/helloword/crossdock/cmd/crossdock/app"
	"github.com/helloword/crossdock/cmd/crossdock/connect"
)

func connectCommand() *cobra.Command {
	var s connect.Session
	c := &cobra.Command{
		Use:     "connect CONNECTION",
		Short:   "Authorise one connection: ask its owner, keep what was given",
		GroupID: "set",
		Long: `Walks you through authorising one connection of the configuration, the first time or again: it says
what is needed, names the address for the account's owner to open, takes the answer, exchanges it,
keeps what was given (sealed, see tokens.key), and shows what the connection may do then.

The answer comes to a listener on this machine. A platform whose own server sends it, or that sends
only to https, needs a tunnel that leads there: name its address with --callback-url. Where the
owner's browser carries the answer, the address that it shows in the end can be pasted instead.

A Shopify app that is embedded in the admin needs no question: with the callback as its App URL, the
owner opens the app in the admin, which brings a session token, and the page there shows what was
granted and what is missing.`,
		Example: `  crossdock connect ebay-uk
  crossdock connect shop-de --callback-url https://tunnel.example.com/callback`,
		Args: cobra.ExactArgs(1),
	}
	f := c.Flags()
	f.StringVar(&s.Listen, "listen", connect.Listen, "`ADDRESS` on this machine that takes the answer")
	f.StringVar(&s.Callback, "callback-url", "", "https `ADDRESS` that leads to it, ending in "+connect.Path)
	f.DurationVar(&s.Timeout, "timeout", 10*time.Minute, "how long the answer is awaited")
	c.RunE = func(c *cobra.Command, args []string) error {
		return with(c, func(ctx context.Context, a *app.App) error {
			var err error
			if s.Connector, err = a.Authorizable(args[0]); err != nil {
				return err
			}
			s.Account, s.In, s.Out = args[0], c.InOrStdin(), c.OutOrStdout()
			return s.Run(ctx)
		})
	}
	return c
}
