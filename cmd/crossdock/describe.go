package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"github.com/helloword/crossdock/cmd/crossdock/app"
	"github.com/helloword/crossdock/cmd/crossdock/config"
	"github.com/helloword/crossdock/connectors/all"
	"github.com/helloword/crossdock/sinks/clickhouse"
)

func connectorsCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "connectors", Short: "What each connector can do", GroupID: "set", Args: cobra.NoArgs,
		Long: `Lists the connectors and what each can do, read from the contract itself: a field that is not
there means that it cannot.`,
	}
	asJSON := jsonFlag(c)
	markdown := c.Flags().Bool("markdown", false, "print the page of the docs")
	c.RunE = func(c *cobra.Command, _ []string) error {
		infos, err := all.List()
		if err != nil {
			return err
		}
		w := c.OutOrStdout()
		switch {
		case *asJSON:
			return printJSON(w, infos)
		case *markdown:
			fmt.Fprint(w, "# Connectors\n\nGenerated from the contract (`crossdock connectors --markdown`): what is not named, a connector cannot.\n\n| connector | kind | can |\n|---|---|---|\n")
			for _, i := range infos {
				fmt.Fprintf(w, "| [%s](../connectors/%s/README.md) | %s | %s |\n", i.Name, i.Name, i.Kind, strings.Join(i.Can, ", "))
			}
			return nil
		}
		rows := make([][]string, len(infos))
		for i, n := range infos {
			rows[i] = []string{n.Name, string(n.Kind), strings.Join(n.Can, " ")}
		}
		return table(w, []string{"CONNECTOR", "KIND", "CAN"}, rows)
	}
	return c
}

func configCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "config", Short: "The configuration file: example, schema, validation", GroupID: "set",
	}
	c.AddCommand(
		&cobra.Command{
			Use: "example", Short: "Print a commented example", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				_, err := io.WriteString(c.OutOrStdout(), config.Example)
				return err
			},
		},
		&cobra.Command{
			Use: "schema", Short: "Print the JSON Schema of the file", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				b, err := config.Schema()
				if err != nil {
					return err
				}
				_, err = c.OutOrStdout().Write(b)
				return err
			},
		},
		&cobra.Command{
			Use: "validate", Short: "Validate the file without asking anybody", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				cfg, err := load(c)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(c.OutOrStdout(), "valid: tenant %s, environment %s, %d connections\n", cfg.Tenant, cfg.Environment, len(cfg.Connections))
				return err
			},
		},
	)
	return c
}

func metricsCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "metrics", Short: "List the metrics that a process exports", GroupID: "make", Args: cobra.NoArgs, Hidden: true,
	}
	markdown := c.Flags().Bool("markdown", false, "print the page of the docs")
	c.RunE = func(c *cobra.Command, _ []string) error {
		descs, err := app.Metrics(slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		sort.Slice(descs, func(i, j int) bool { return descs[i].Name < descs[j].Name })
		w := c.OutOrStdout()
		if !*markdown {
			rows := make([][]string, len(descs))
			for i, d := range descs {
				rows[i] = []string{d.Name, strings.Join(d.Labels, ","), d.Help}
			}
			return table(w, []string{"METRIC", "LABELS", "HELP"}, rows)
		}
		fmt.Fprint(w, "# Metrics\n\nGenerated (`crossdock metrics --markdown`). Labels never hold an order, a SKU or a buyer.\n\n| metric | labels | meaning |\n|---|---|---|\n")
		for _, d := range descs {
			fmt.Fprintf(w, "| `%s` | %s | %s |\n", d.Name, strings.Join(d.Labels, ", "), d.Help)
		}
		return nil
	}
	return c
}

func traceCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "trace ACCOUNT/ORDER",
		Short:   "Print the whole way of one order",
		GroupID: "look",
		Long: `Prints everything that is known of one order, in the order of time: each version with the topic,
partition and offset of the raw bytes it came from, what it reserved, the levels that it led to,
what each listing was to show for it, and what the platforms answered. It answers the question
"why is the quantity 3 there?". Read from ClickHouse.`,
		Example: "  crossdock trace shop-uk/450789469",
		Args:    cobra.ExactArgs(1),
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		account, order, ok := strings.Cut(args[0], "/")
		if !ok || account == "" || order == "" {
			return fmt.Errorf("%q: write ACCOUNT/ORDER, e.g. shop-uk/450789469", args[0])
		}
		cfg, err := load(c)
		if err != nil {
			return err
		}
		return trace(c.Context(), c.OutOrStdout(), cfg, account, order, *asJSON)
	}
	return c
}

func trace(ctx context.Context, w io.Writer, cfg *config.Config, account, order string, asJSON bool) error {
	r, err := clickhouse.NewReader(cfg.ClickHouseConfig())
	if err != nil {
		return err
	}
	defer r.Close()
	events, err := r.Trace(ctx, account, order)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(w, events)
	}
	if len(events) == 0 {
		return fmt.Errorf("nothing is known of order %s of %s: is it younger than the sink's last batch, or in the dead letters (`crossdock dlq list`)?", order, account)
	}
	rows := make([][]string, len(events))
	for i, e := range events {
		rows[i] = traceRow(e)
	}
	return table(w, []string{"TIME (UTC)", "WHAT", "RECORD", "OF", "DECISION"}, rows)
}

func traceRow(e clickhouse.Event) []string {
	return []string{e.Time.UTC().Format("2006-01-02 15:04:05.000"), e.Kind, fmt.Sprintf("%s/%d@%d", e.Topic, e.Partition, e.Offset), e.Subject, e.Text}
}
