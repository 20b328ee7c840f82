package main

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/helloword/crossdock/cmd/crossdock/app"
)

func runCommand() *cobra.Command {
	names, help := app.RoleNames()
	var list strings.Builder
	for _, n := range names {
		fmt.Fprintf(&list, "  %-11s %s\n", n, help[n])
	}
	var only []string
	c := &cobra.Command{
		Use:     "run",
		Short:   "Run roles of the pipeline until stopped",
		GroupID: "run",
		Long: `Runs roles of the pipeline in this process, until Ctrl-C or SIGTERM: then it finishes what it
has taken, commits and leaves its groups. All roles, unless --roles names some:

` + list.String() + `
Every role can run in any number of processes; Kafka shares the work among them.

The configuration file is followed: a changed file, or SIGHUP, changes intervals of polls, the
pace of pushes, alerts, stock policies, mappings and the log level while it runs. A wrong file
is refused with file, line and key, and the old one stays; what needs a restart is named in the
log and counted in crossdock_config_restart_needed.`,
		Example: `  crossdock run
  crossdock run --roles webhook,poll
  crossdock run --roles orders --config /etc/crossdock.yaml`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			hup := make(chan os.Signal, 1)
			signal.Notify(hup, syscall.SIGHUP)
			defer signal.Stop(hup)
			a, err := opened(c)
			if err != nil {
				return err
			}
			defer a.Close()
			a.Follow(hup, app.LookEvery)
			return a.Run(c.Context(), only, nil)
		},
	}
	c.Flags().StringSliceVar(&only, "roles", nil, "roles to run, separated by commas (default all)")
	_ = c.RegisterFlagCompletionFunc("roles", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return names, cobra.ShellCompDirectiveNoFileComp
	})
	return c
}
