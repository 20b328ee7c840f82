package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/helloword/crossdock/cmd/crossdock/app"
)

func checkCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "check",
		Short:   "Validate the configuration and ask every connection what it may do",
		GroupID: "set",
		Long: `Validates the configuration, then asks every engine and every connection: credentials, scopes,
reachability, versions, settings. It changes nothing. Each failure says what to do; any failure
ends with status 1.`,
		Args: cobra.NoArgs,
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return with(c, func(ctx context.Context, a *app.App) error {
			ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
			defer cancel()
			results := a.Check(ctx)
			failed := 0
			rows := make([][]string, 0, len(results))
			for _, r := range results {
				mark, detail := "ok", r.Detail
				if !r.OK {
					failed++
					mark, detail = "FAIL", r.Detail+"; "+r.Advice
				}
				rows = append(rows, []string{mark, r.Subject, detail})
			}
			var err error
			if *asJSON {
				err = printJSON(c.OutOrStdout(), results)
			} else {
				err = table(c.OutOrStdout(), []string{"", "WHAT", "FOUND"}, rows)
			}
			if err == nil && failed > 0 {
				err = fmt.Errorf("%d of %d checks failed", failed, len(results))
			}
			return err
		})
	}
	return c
}

func lagCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "lag", Short: "How far each reader is behind", GroupID: "look", Args: cobra.NoArgs,
		Long: `Records that each consumer group has not handled yet, over all its partitions. In seconds, and by
partition, it is a metric of the running process: crossdock_stream_lag_seconds.`,
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return with(c, func(ctx context.Context, a *app.App) error {
			lags, err := a.Lags(ctx)
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(c.OutOrStdout(), lags)
			}
			rows := make([][]string, len(lags))
			for i, l := range lags {
				rows[i] = []string{l.Group, strconv.FormatInt(l.Records, 10), strconv.FormatInt(l.Handled, 10), strconv.FormatInt(l.End, 10)}
			}
			return table(c.OutOrStdout(), []string{"GROUP", "BEHIND", "HANDLED", "END"}, rows)
		})
	}
	return c
}

func replayCommand() *cobra.Command {
	var group, from string
	c := &cobra.Command{
		Use:     "replay",
		Short:   "Put a reader back to a time or an offset",
		GroupID: "look",
		Long: `Sets the offsets of a stopped reader, so that it handles its input again from there. A room emits
what it has decided once more and changes nothing; a sink writes again and is deduplicated. Use
it to fill a table anew, or after a sink lost something. A reader that is running is refused.`,
		Example: `  crossdock replay --group clickhouse --from 2026-11-01T00:00:00Z
  crossdock replay --group push --from 0`,
		Args: cobra.NoArgs,
	}
	c.Flags().StringVar(&group, "group", "", "reader: a room, push or clickhouse")
	c.Flags().StringVar(&from, "from", "", "time (RFC 3339) or offset")
	_ = c.MarkFlagRequired("group")
	_ = c.MarkFlagRequired("from")
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return with(c, func(ctx context.Context, a *app.App) error {
			parts, err := a.Replay(ctx, group, from)
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(c.OutOrStdout(), parts)
			}
			rows := make([][]string, len(parts))
			for i, p := range parts {
				rows[i] = []string{p.Topic, fmt.Sprint(p.Partition), fmt.Sprint(p.Committed), fmt.Sprint(p.End)}
			}
			return table(c.OutOrStdout(), []string{"TOPIC", "PARTITION", "FROM", "END"}, rows)
		})
	}
	return c
}

func rebuildCommand() *cobra.Command {
	var rooms []string
	var fromInput bool
	c := &cobra.Command{
		Use:     "rebuild",
		Short:   "Make rooms' state in Redis anew from Kafka",
		GroupID: "look",
		Long: `Restores the state of stopped rooms in Redis from their compacted topics, up to what was
committed; what came after is handled again when they start. This is what to do when a room
says that its state is gone. Kafka is only read.`,
		Example: `  crossdock rebuild
  crossdock rebuild --room stock`,
		Args: cobra.NoArgs,
	}
	c.Flags().StringSliceVar(&rooms, "room", nil, "rooms to rebuild (default all)")
	c.Flags().BoolVar(&fromInput, "from-input", false, "restore nothing: let the room fold its whole input again, as far back as it is kept")
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return with(c, func(ctx context.Context, a *app.App) error {
			done, err := a.Rebuild(ctx, rooms, fromInput, func(room string, n int) {
				fmt.Fprintf(c.ErrOrStderr(), "\r%-10s %10d records", room, n)
			})
			if len(done) > 0 {
				fmt.Fprintln(c.ErrOrStderr())
			}
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(c.OutOrStdout(), done)
			}
			rows := make([][]string, len(done))
			for i, r := range done {
				rate := "-"
				if r.Entries > 0 {
					rate = fmt.Sprintf("%.1f s", r.Seconds/float64(r.Entries)*1e6)
				}
				rows[i] = []string{r.Room, fmt.Sprint(r.Partitions), fmt.Sprint(r.Records), fmt.Sprint(r.Entries), fmt.Sprintf("%.1f s", r.Seconds), rate}
			}
			return table(c.OutOrStdout(), []string{"ROOM", "PARTITIONS", "READ", "ENTRIES", "TOOK", "PER MILLION"}, rows)
		})
	}
	return c
}

func dlqCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "dlq",
		Short:   "Dead letters: list, show, redrive",
		GroupID: "look",
		Long: `Records that could not be handled lie in dead-letter topics, their bytes untouched, with the
reason. List them, look at one, and send them back after the cause is mended.`,
	}
	var stages []string
	var since time.Duration
	var code string
	filters := func(c *cobra.Command) {
		c.Flags().StringSliceVar(&stages, "stage", nil, "only these stages (default all)")
		c.Flags().DurationVar(&since, "since", 0, "only those of this long ago and later, e.g. 24h (default all)")
		c.Flags().StringVar(&code, "code", "", "only this code, e.g. malformed")
	}
	from := func() time.Time {
		if since == 0 {
			return time.Time{}
		}
		return time.Now().Add(-since)
	}
	list := &cobra.Command{Use: "list", Short: "List dead letters", Args: cobra.NoArgs}
	filters(list)
	asJSON := jsonFlag(list)
	list.RunE = func(c *cobra.Command, _ []string) error {
		return with(c, func(ctx context.Context, a *app.App) error {
			found := []*app.DeadLetter{}
			err := a.DeadLetters(ctx, stages, from(), func(d *app.DeadLetter) error {
				if code == "" || d.Letter.Code == code {
					found = append(found, d)
				}
				return nil
			})
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(c.OutOrStdout(), found)
			}
			if len(found) == 0 {
				_, err := fmt.Fprintln(c.OutOrStdout(), "No dead letters.")
				return err
			}
			rows := make([][]string, len(found))
			for i, d := range found {
				l := d.Letter
				rows[i] = []string{d.ID, l.Code, l.Account, strconv.FormatInt(l.Attempt, 10), time.UnixMilli(l.TimestampMs).UTC().Format(time.RFC3339), l.Reason}
			}
			return table(c.OutOrStdout(), []string{"ID", "CODE", "ACCOUNT", "ATTEMPT", "RECORD TIME", "REASON"}, rows)
		})
	}
	show := &cobra.Command{
		Use: "show ID", Short: "Show one dead letter with its bytes", Args: cobra.ExactArgs(1),
		Long: "Prints the reason and the record's own bytes, which may hold personal data. ID is as `dlq list` prints it.",
		RunE: func(c *cobra.Command, args []string) error {
			return with(c, func(ctx context.Context, a *app.App) error {
				done := errors.New("found")
				err := a.DeadLetters(ctx, nil, time.Time{}, func(d *app.DeadLetter) error {
					if d.ID != args[0] {
						return nil
					}
					l := d.Letter
					fmt.Fprintf(c.OutOrStdout(), "id       %s\nstage    %s\ncode     %s\nreason   %s\norigin   %s/%d@%d\naccount  %s\nattempt  %d\nkey      %s\nvalue    %d bytes\n\n",
						d.ID, l.Stage, l.Code, l.Reason, l.Topic, l.Partition, l.Offset, l.Account, l.Attempt, d.Key, len(d.Value))
					if _, err := c.OutOrStdout().Write(append(d.Value, '\n')); err != nil {
						return err
					}
					return done
				})
				if errors.Is(err, done) {
					return nil
				}
				if err == nil {
					err = fmt.Errorf("no dead letter %s: `crossdock dlq list` shows all", args[0])
				}
				return err
			})
		},
	}
	var rate int
	redrive := &cobra.Command{
		Use: "redrive [ID…]", Short: "Send dead letters back to where they came from",
		Long: `Sends dead letters back: those named, or all that the filters choose. A redriven record stands for
the one that failed, so it is no duplicate of it. What fails again comes back with the next
attempt's number.`,
		Example: `  crossdock dlq redrive dlq.translate.v1/0/17
  crossdock dlq redrive --stage translate --since 24h --rate 100`,
	}
	filters(redrive)
	redrive.Flags().IntVar(&rate, "rate", 200, "records per second at most")
	redrive.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 && len(stages) == 0 && code == "" && since == 0 {
			return errors.New("name ids, or choose with --stage, --code or --since")
		}
		return with(c, func(ctx context.Context, a *app.App) error {
			named := make(map[string]bool)
			for _, id := range args {
				named[id] = true
			}
			tick := time.NewTicker(time.Second / time.Duration(max(rate, 1)))
			defer tick.Stop()
			n := 0
			err := a.DeadLetters(ctx, stages, from(), func(d *app.DeadLetter) error {
				if len(named) > 0 && !named[d.ID] || code != "" && d.Letter.Code != code {
					return nil
				}
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-tick.C:
				}
				n++
				return a.Redrive(ctx, d)
			})
			fmt.Fprintf(os.Stderr, "%d redriven\n", n)
			return err
		})
	}
	c.AddCommand(list, show, redrive)
	return c
}
