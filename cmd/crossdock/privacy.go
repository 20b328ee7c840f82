package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/helloword/crossdock/cmd/crossdock/app"
	"github.com/helloword/crossdock/processors/privacy"
	"github.com/helloword/crossdock/schemas/event"
)

func privacyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "privacy",
		Short:   "Requests about people's data: list, show, export, done",
		GroupID: "look",
		Long: `Platforms demand that people are forgotten, or told what is held of them, and until when. Who is to
be forgotten is forgotten by the role privacy; what is to be handed over needs a person: export
it, hand it over, and record that with done. No command but export prints personal data.`,
	}
	c.AddCommand(privacyList(), privacyShow(), privacyExport(), privacyDone())
	return c
}

// requestView is a request as the commands print it.
type requestView struct {
	ID        string              `json:"id"`
	Platform  string              `json:"platform"`
	Account   string              `json:"account"`
	Kind      string              `json:"kind"`
	Whose     []string            `json:"whose"` // keyed hashes
	Orders    []string            `json:"orders_named"`
	Received  time.Time           `json:"received"`
	Due       time.Time           `json:"due"`
	State     string              `json:"state"` // open, overdue, done
	Forgotten int64               `json:"orders_forgotten"`
	Done      *time.Time          `json:"done,omitempty"`
	By        string              `json:"by,omitempty"`
	Note      string              `json:"note,omitempty"`
	Remains   []privacy.Remaining `json:"remains"`
	state     *event.PrivacyState
}

func viewOf(s *event.PrivacyState, now time.Time) requestView {
	at := func(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
	v := requestView{
		ID: s.Account + "/" + s.Id, Platform: s.Connector, Account: s.Account, Kind: kindOf(s.Kind),
		Whose: slices.Concat([]string{}, s.Buyers), Orders: slices.Concat([]string{}, s.OrderIds),
		Received: at(s.RequestedMs), Due: at(s.DueMs), State: "open", Forgotten: s.Orders, By: s.By, Note: s.Note,
		Remains: slices.Concat([]privacy.Remaining{}, privacy.Remains(s, now)), state: s,
	}
	switch {
	case privacy.Done(s):
		done := at(s.DoneMs)
		v.State, v.Done = "done", &done
	case privacy.Overdue(s, now):
		v.State = "overdue"
	}
	return v
}

// kindOf: PRIVACY_KIND_DATA_REQUEST is data_request.
func kindOf(k event.PrivacyKind) string {
	return strings.ToLower(strings.TrimPrefix(k.String(), "PRIVACY_KIND_"))
}

// whose is what the table says of the people.
func (v *requestView) whose() string {
	switch {
	case v.state.Kind == event.PrivacyKind_PRIVACY_KIND_ACCOUNT:
		return "everybody"
	case v.state.Kind == event.PrivacyKind_PRIVACY_KIND_RETENTION:
		return "buyers whose term ends"
	case len(v.Whose) == 0:
		return strconv.Itoa(len(v.Orders)) + " orders"
	}
	return strings.Join(v.Whose, " ")
}

// became is what the table says of the state.
func (v *requestView) became() string {
	switch {
	case v.State == "overdue":
		return "OVERDUE"
	case v.State == "open":
		return "open"
	case v.By != "":
		return "handed over " + day(*v.Done) + " by " + v.By
	}
	return "carried out " + day(*v.Done)
}

// remains groups the topics by the day on which they have lost what they hold.
func (v *requestView) remains() string {
	var parts []string
	for i := 0; i < len(v.Remains); {
		until, names := v.Remains[i].Until, []string{}
		for ; i < len(v.Remains) && v.Remains[i].Until.Equal(until); i++ {
			name := v.Remains[i].Topic
			if strings.HasPrefix(name, "dlq.") {
				name = "dlq.*"
			}
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		parts = append(parts, "until "+day(until)+": "+strings.Join(names, " "))
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, "; ")
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func privacyList() *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List them: whose, until when, what became of them, what remains until when", Args: cobra.NoArgs,
		Long: `Lists the requests by their deadlines. A person is a keyed hash: the one that the column buyer in
ClickHouse has, where the platform's ids belong to one account. What is carried out remains in
topics whose records end by age; the last column says until when. Those that are open after
their deadline are marked OVERDUE, and the command then ends with status 1; with 2 when the
requests could not be read.

Platforms may tell of all their users: requests that concerned nobody here are left out once they
are carried out, unless --all is given.`,
	}
	all := c.Flags().Bool("all", false, "also those that concerned nobody here")
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		err := with(c, func(ctx context.Context, a *app.App) error {
			states, err := a.PrivacyRequests(ctx)
			if err != nil {
				return err
			}
			return listRequests(c.OutOrStdout(), states, time.Now(), *all, *asJSON)
		})
		var late *overdueError
		if err != nil && !errors.As(err, &late) {
			return &usageError{err}
		}
		return err
	}
	return c
}

// overdueError says that requests are open after their deadlines.
type overdueError struct{ overdue, all int }

func (e *overdueError) Error() string {
	return fmt.Sprintf("%d of %d requests are overdue", e.overdue, e.all)
}

func listRequests(w io.Writer, states []*event.PrivacyState, now time.Time, all, asJSON bool) error {
	views := []requestView{}
	overdue, left := 0, 0
	for _, s := range states {
		v := viewOf(s, now)
		if v.State == "overdue" {
			overdue++
		}
		if !all && v.State == "done" && s.Kind == event.PrivacyKind_PRIVACY_KIND_BUYER && s.Orders == 0 && len(s.OrderIds) == 0 {
			left++
			continue
		}
		views = append(views, v)
	}
	if err := printRequests(w, views, left, asJSON); err != nil {
		return err
	}
	if overdue > 0 {
		return &overdueError{overdue, len(states)}
	}
	return nil
}

func printRequests(w io.Writer, views []requestView, left int, asJSON bool) error {
	if asJSON {
		return printJSON(w, views)
	}
	if len(views) > 0 {
		rows := make([][]string, len(views))
		for i := range views {
			v := &views[i]
			rows[i] = []string{v.ID, v.Platform, v.Kind, v.whose(), day(v.Received), day(v.Due), v.became(), strconv.FormatInt(v.Forgotten, 10), v.remains()}
		}
		if err := table(w, []string{"ID", "PLATFORM", "KIND", "WHOSE", "RECEIVED", "DUE", "STATE", "ORDERS", "REMAINS"}, rows); err != nil {
			return err
		}
	} else if _, err := fmt.Fprintln(w, "No requests about people's data."); err != nil {
		return err
	}
	if left > 0 {
		_, err := fmt.Fprintf(w, "%d more concerned nobody here (--all)\n", left)
		return err
	}
	return nil
}

func privacyShow() *cobra.Command {
	c := &cobra.Command{
		Use: "show ID", Short: "Show one request, with what remains by topic", Args: cobra.ExactArgs(1),
		Long: "ID is as `privacy list` prints it.",
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return with(c, func(ctx context.Context, a *app.App) error {
			s, err := a.PrivacyRequest(ctx, args[0])
			if err != nil {
				return err
			}
			v := viewOf(s, time.Now())
			if *asJSON {
				return printJSON(c.OutOrStdout(), v)
			}
			return showRequest(c.OutOrStdout(), &v)
		})
	}
	return c
}

func showRequest(w io.Writer, v *requestView) error {
	rows := [][]string{
		{"platform", v.Platform}, {"account", v.Account}, {"kind", v.Kind}, {"whose", v.whose()},
		{"orders named", strings.Join(v.Orders, " ")}, {"received", v.Received.Format(time.RFC3339)}, {"due", v.Due.Format(time.RFC3339)},
		{"state", v.became()}, {"orders forgotten", strconv.FormatInt(v.Forgotten, 10)}, {"note", v.Note},
	}
	for _, r := range v.Remains {
		rows = append(rows, []string{"remains in " + r.Topic, "until " + r.Until.Format(time.RFC3339)})
	}
	return table(w, []string{"REQUEST", v.ID}, rows)
}

func privacyExport() *cobra.Command {
	c := &cobra.Command{
		Use: "export ID", Short: "Write what is held of the person of a request to a file", Args: cobra.ExactArgs(1),
		Long: `Looks through the orders and writes those of the person, with everything that they say, as JSON to
a file that only you can read. It holds personal data: hand it over, then delete it. A file that
is there is not overwritten.`,
		Example: `  crossdock privacy export shop-uk/data-9999 --out buyer.json
  crossdock privacy done shop-uk/data-9999 --note "sent to the shop's owner"`,
	}
	out := c.Flags().String("out", "", "`FILE` to write (default privacy-ACCOUNT-REQUEST.json)")
	c.RunE = func(c *cobra.Command, args []string) error {
		return with(c, func(ctx context.Context, a *app.App) error {
			s, err := a.PrivacyRequest(ctx, args[0])
			if err != nil {
				return err
			}
			path := *out
			if path == "" {
				path = filepath.Base("privacy-" + strings.ReplaceAll(s.Account+"-"+s.Id, string(filepath.Separator), "-") + ".json")
			}
			n, err := exportTo(path, func(w io.Writer) (int, error) { return a.PrivacyExport(ctx, s, time.Now(), w) })
			if err == nil {
				_, err = fmt.Fprintf(c.OutOrStdout(), "%d orders written to %s\n", n, path)
			}
			return err
		})
	}
	return c
}

// exportTo writes a file that only its owner can read; half of one does not stay.
func exportTo(path string, write func(io.Writer) (int, error)) (int, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, fmt.Errorf("export: %w", err)
	}
	n, err := write(f)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return 0, errors.Join(err, os.Remove(path))
	}
	return n, nil
}

func privacyDone() *cobra.Command {
	c := &cobra.Command{
		Use: "done ID", Short: "Record that what was asked for was handed over", Args: cobra.ExactArgs(1),
		Long: `Records who handed over what a data request asked for, and when. The others need no such word: they
are carried out by the role privacy.`,
	}
	note := c.Flags().String("note", "", "what was done, e.g. how it was sent; no personal data")
	by := c.Flags().String("by", "", "who did it (default: your name on this machine)")
	c.RunE = func(c *cobra.Command, args []string) error {
		return with(c, func(ctx context.Context, a *app.App) error {
			s, err := a.PrivacyRequest(ctx, args[0])
			if err != nil {
				return err
			}
			if s.Kind != event.PrivacyKind_PRIVACY_KIND_DATA_REQUEST {
				return fmt.Errorf("request %s is of kind %s: it is carried out by the role privacy, and is done when that finds nothing left", args[0], kindOf(s.Kind))
			}
			who := *by
			if who == "" {
				u, err := user.Current()
				if err != nil {
					return fmt.Errorf("who are you? say it with --by: %w", err)
				}
				who = u.Username
			}
			if err := a.PrivacyHandover(ctx, s, who, *note, time.Now()); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "recorded: %s handed over by %s\n", args[0], who)
			return err
		})
	}
	return c
}
