package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/helloword/crossdock/cmd/crossdock/app"
	"github.com/helloword/crossdock/cmd/crossdock/config"
	"github.com/helloword/crossdock/internal/telemetry"
)

// load reads the configuration that --config names.
func load(c *cobra.Command) (*config.Config, error) {
	path, err := c.Flags().GetString("config")
	if err != nil {
		return nil, err
	}
	return config.Load(path)
}

// logger writes to standard error as the configuration says; its level can be changed.
func logger(cfg *config.Config) (*slog.Logger, *slog.LevelVar, error) {
	return telemetry.NewLevelLogger(os.Stderr, cfg.Telemetry.LogLevel, cfg.Telemetry.LogJSON)
}

// opened loads the configuration and connects to the engines.
func opened(c *cobra.Command) (*app.App, error) {
	cfg, err := load(c)
	if err != nil {
		return nil, err
	}
	log, level, err := logger(cfg)
	if err != nil {
		return nil, err
	}
	a, err := app.Open(c.Context(), cfg, version, log)
	if err != nil {
		return nil, err
	}
	a.Level = level
	return a, nil
}

// with runs f with an opened app and closes it.
func with(c *cobra.Command, f func(context.Context, *app.App) error) error {
	a, err := opened(c)
	if err != nil {
		return err
	}
	defer a.Close()
	return f(c.Context(), a)
}

// jsonFlag adds --json.
func jsonFlag(c *cobra.Command) *bool {
	return c.Flags().Bool("json", false, "print JSON for programs")
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table prints aligned rows.
func table(w io.Writer, head []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(head, "\t"))
	for _, r := range rows {
		fmt.Fprintln(t, strings.Join(r, "\t"))
	}
	return t.Flush()
}
