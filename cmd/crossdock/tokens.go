package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/helloword/crossdock/cmd/crossdock/app"
)

func tokensCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "tokens",
		Short:   "Tokens kept in Kafka: list, seal anew, take over from files",
		GroupID: "look",
		Long: `What platforms gave and nobody can ask for again lies sealed in the topic tokens.v1. No command
prints a token itself.`,
	}
	list := &cobra.Command{
		Use: "list", Short: "List them: since when, sealed by which key, what is wrong", Args: cobra.NoArgs,
	}
	asJSON := jsonFlag(list)
	list.RunE = func(c *cobra.Command, _ []string) error {
		return with(c, func(ctx context.Context, a *app.App) error {
			all, err := a.Tokens(ctx)
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(c.OutOrStdout(), all)
			}
			rows := make([][]string, len(all))
			for i, s := range all {
				state := "ok"
				switch {
				case s.Problem != "":
					state = s.Problem
				case !s.Current:
					state = "ok, sealed by a previous key"
				}
				rows[i] = []string{s.Name, s.Written.Format(time.RFC3339), s.Key, state}
			}
			return table(c.OutOrStdout(), []string{"TOKEN", "WRITTEN", "KEY", "STATE"}, rows)
		})
	}
	reseal := &cobra.Command{
		Use: "reseal", Short: "Seal with tokens.key what a previous key sealed", Args: cobra.NoArgs,
		Long: `The last step but one of a rotation of tokens.key: after it the keys in tokens.previous_keys are
needed no more. Roles may run meanwhile.`,
		RunE: func(c *cobra.Command, _ []string) error {
			return with(c, func(ctx context.Context, a *app.App) error {
				n, err := a.ResealTokens(ctx)
				fmt.Fprintf(c.OutOrStdout(), "%d sealed anew\n", n)
				return err
			})
		},
	}
	take := &cobra.Command{
		Use: "import DIR", Short: "Take over the files of a folder that was tokens.dir", Args: cobra.ExactArgs(1),
		Long: `Stop all roles first: a token that is refreshed meanwhile makes the file's worthless. Tokens that
Kafka has already are left alone.`,
		RunE: func(c *cobra.Command, args []string) error {
			return with(c, func(ctx context.Context, a *app.App) error {
				taken, left, err := a.ImportTokens(ctx, args[0])
				for _, name := range taken {
					fmt.Fprintln(c.OutOrStdout(), "taken over  "+name)
				}
				for _, name := range left {
					fmt.Fprintln(c.OutOrStdout(), "left alone  "+name)
				}
				return err
			})
		},
	}
	c.AddCommand(list, reseal, take)
	return c
}
