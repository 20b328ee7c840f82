package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/helloword/crossdock/internal/embedded"
	"github.com/helloword/crossdock/internal/services"
)

func servicesCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "services",
		Short:   "Real Kafka, Redis and ClickHouse on this machine, without containers",
		GroupID: "make",
		Long: `Starts Apache Kafka, Redis and the ClickHouse engine for real, on free loopback ports, for
tests and benchmarks. What is missing is fetched by package name (Maven, apt-get, npm). Their
addresses are written to services.env in the folder, to be sourced by a shell.`,
	}
	var dir string
	c.PersistentFlags().StringVar(&dir, "dir", ".services", "folder of their data, logs and addresses")
	c.AddCommand(
		&cobra.Command{
			Use: "start", Short: "Start what does not run", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				self, err := os.Executable()
				if err != nil {
					return err
				}
				abs, err := filepath.Abs(dir)
				if err != nil {
					return err
				}
				cache, err := embedded.CacheDir("")
				if err != nil {
					return err
				}
				if err := services.Up(c.Context(), abs, cache, self, c.ErrOrStderr()); err != nil {
					return err
				}
				_, err = fmt.Fprintf(c.OutOrStdout(), "%s\n", services.EnvFile(abs))
				return err
			},
		},
		&cobra.Command{
			Use: "stop", Short: "Stop what start has started", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				abs, err := filepath.Abs(dir)
				if err != nil {
					return err
				}
				return services.Down(abs)
			},
		},
	)
	status := &cobra.Command{Use: "status", Short: "Show what runs", Args: cobra.NoArgs}
	asJSON := jsonFlag(status)
	status.RunE = func(c *cobra.Command, _ []string) error {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return err
		}
		states, err := services.Status(abs)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), states)
		}
		rows := make([][]string, 0, len(states))
		for _, s := range states {
			runs := "stopped"
			if s.Running {
				runs = "runs"
			}
			rows = append(rows, []string{s.Name, runs, s.Addr, strconv.Itoa(s.PID)})
		}
		return table(c.OutOrStdout(), []string{"ENGINE", "STATE", "ADDRESS", "PID"}, rows)
	}
	c.AddCommand(status)
	return c
}

// embeddedCommand serves one embedded engine in a process of its own, so that it can be killed
// and restarted like a server.
func embeddedCommand() *cobra.Command {
	c := &cobra.Command{Use: "embedded", Short: "Serve one embedded engine", Hidden: true}
	var cfg embedded.ClickHouseConfig
	ch := &cobra.Command{
		Use: "clickhouse", Short: "The ClickHouse engine behind its HTTP interface", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
			return embedded.ServeClickHouse(c.Context(), cfg)
		},
	}
	ch.Flags().StringVar(&cfg.Dir, "dir", "", "data folder")
	ch.Flags().StringVar(&cfg.Addr, "addr", "127.0.0.1:0", "loopback address, host:port")
	ch.Flags().StringVar(&cfg.Library, "library", "", "path of libchdb")
	c.AddCommand(ch)
	return c
}
