// Command crossdock is the whole pipeline in one binary: what a process does is chosen by
// its subcommand and roles.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the build.
var version = "dev"

func main() {
	fitMemory()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := root().ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	var q *quietError
	if !errors.As(err, &q) {
		fmt.Fprintln(os.Stderr, "crossdock: "+err.Error())
	}
	os.Exit(status(err))
}

// status is what the program ends with.
func status(err error) int {
	var u *usageError
	if errors.As(err, &u) {
		return 2
	}
	return 1
}

// quietError ends the program with status 1 after everything has been said already.
type quietError struct{ error }

// usageError ends the program with status 2, where that tells "there was nothing to do it
// with" from "it was done, and is bad".
type usageError struct{ error }

func root() *cobra.Command {
	c := &cobra.Command{
		Use:   "crossdock",
		Short: "Orders, stock and money of a cross-border seller, each exactly once",
		Long: `crossdock takes what happens on every shop of a seller, turns it into one set of facts on
Kafka, keeps orders and stock true, and pushes the consequences back out.

To see it work, without accounts and without servers:
  crossdock dev
To run it on your own Kafka, Redis and ClickHouse:
  crossdock init                              (which platforms? writes crossdock.yaml)
  crossdock topics apply && crossdock migrate
  crossdock connect ebay                      (asks an account's owner, where a platform wants that)
  crossdock check                             (asks every connection what it may do)
  crossdock run`,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c.PersistentFlags().StringP("config", "c", "crossdock.yaml", "configuration `FILE`")
	c.AddGroup(
		&cobra.Group{ID: "run", Title: "Run:"},
		&cobra.Group{ID: "set", Title: "Set up:"},
		&cobra.Group{ID: "look", Title: "Look and mend:"},
		&cobra.Group{ID: "make", Title: "Develop:"},
	)
	c.AddCommand(
		runCommand(), devCommand(), simulateCommand(),
		initCommand(), connectCommand(), checkCommand(), configCommand(), topicsCommand(), migrateCommand(), connectorsCommand(), warehouseCommand(),
		traceCommand(), lagCommand(), healthCommand(), dlqCommand(), replayCommand(), rebuildCommand(), tokensCommand(), privacyCommand(),
		driftCommand(), servicesCommand(), benchCommand(), metricsCommand(), embeddedCommand(),
	)
	return c
}
