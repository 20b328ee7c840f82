package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/helloword/crossdock/cmd/crossdock/app"
	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/sinks/clickhouse"
)

func topicsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "topics",
		Short:   "Compare the cluster's topics with the declared ones, or make them so",
		GroupID: "set",
		Long: `Topics are declared in the program: name with version, key, partitions, retention, cleanup.
"plan" shows what differs in the cluster, "apply" does it. The partition count of a topic by
which state is kept is never changed: apply refuses and says what to do.`,
	}
	plan := &cobra.Command{Use: "plan", Short: "Show what apply would do", Args: cobra.NoArgs}
	asJSON := jsonFlag(plan)
	plan.RunE = func(c *cobra.Command, _ []string) error {
		return with(c, func(ctx context.Context, a *app.App) error {
			changes, err := a.Producer.PlanTopics(ctx, schemas.Topics(), a.Config.Layout())
			if err != nil {
				return err
			}
			return showChanges(c, changes, *asJSON, "Nothing to do: all %d topics are as declared.")
		})
	}
	apply := &cobra.Command{Use: "apply", Short: "Make the cluster's topics as declared", Args: cobra.NoArgs}
	applyJSON := jsonFlag(apply)
	apply.RunE = func(c *cobra.Command, _ []string) error {
		return with(c, func(ctx context.Context, a *app.App) error {
			changes, err := a.Producer.ApplyTopics(ctx, schemas.Topics(), a.Config.Layout())
			if err != nil {
				return err
			}
			return showChanges(c, changes, *applyJSON, "Nothing to do: all %d topics are as declared.")
		})
	}
	c.AddCommand(plan, apply)
	return c
}

func showChanges(c *cobra.Command, changes []kafka.Change, asJSON bool, nothing string) error {
	if asJSON {
		if changes == nil {
			changes = []kafka.Change{}
		}
		return printJSON(c.OutOrStdout(), changes)
	}
	if len(changes) == 0 {
		_, err := fmt.Fprintf(c.OutOrStdout(), nothing+"\n", len(schemas.Topics()))
		return err
	}
	rows := make([][]string, len(changes))
	for i, ch := range changes {
		rows[i] = []string{ch.Action, ch.Topic, ch.Detail}
	}
	return table(c.OutOrStdout(), []string{"ACTION", "TOPIC", "DETAIL"}, rows)
}

func migrateCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "migrate",
		Short:   "Bring ClickHouse's tables to this version",
		GroupID: "set",
		Long: `Applies the numbered migrations that the database has not seen. It can be repeated and run by
several at once; a migration that was changed after it was applied is refused.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := load(c)
			if err != nil {
				return err
			}
			log, _, err := logger(cfg)
			if err != nil {
				return err
			}
			return clickhouse.Migrate(c.Context(), cfg.ClickHouseConfig(), log)
		},
	}
}
