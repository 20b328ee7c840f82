package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/helloword/crossdock/cmd/crossdock/drift"
	"github.com/helloword/crossdock/connectors/all"
)

func driftCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "drift CONNECTOR OLD NEW",
		Short:   "Which of our calls and fields a new version of a vendor's contract touches",
		GroupID: "look",
		Long: `Compares two versions of a vendor's contract: OpenAPI 3 or Swagger 2 (JSON or YAML), or GraphQL
SDL, each also as .gz. Lists what of it the connector uses and the new version changes, each with
its place in the contract, and what it means:
  breaks    a call is refused, or what we read is gone
  look      it depends on what the vendor really sends, or on what we really send
  harmless  it concerns what we use and changes nothing for us
A member counts as used when its name, and that of everything around it, stands in the
connector's code; now and then it only shares the name of another. Headers are not known.
Nobody is asked, and no configuration is needed.

Status: 0 nothing breaks, 1 something does, 2 there is nothing to compare (usage, a file that
cannot be read).`,
		Example: `  crossdock drift amazon ordersV0.json orders_2026-01-01.json
  crossdock drift shopify admin-2026-07.graphql.gz admin-2026-10.graphql.gz --json`,
		Args: func(c *cobra.Command, args []string) error {
			if err := cobra.ExactArgs(3)(c, args); err != nil {
				return &usageError{fmt.Errorf("%w: name the connector, the old contract and the new one", err)}
			}
			return nil
		},
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	asJSON := jsonFlag(c)
	others := c.Flags().Bool("all", false, "list the changes that do not touch us, too")
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := compare(args[0], args[1], args[2])
		if err != nil {
			return &usageError{err}
		}
		if err := showDrift(c.OutOrStdout(), args[0], r, *asJSON, *others); err != nil {
			return err
		}
		if r.Breaks() {
			return &quietError{errors.New("something breaks")}
		}
		return nil
	}
	return c
}

func compare(connector, old, next string) (*drift.Report, error) {
	uses := all.Uses()
	u, ok := uses[connector]
	if !ok {
		return nil, fmt.Errorf("no connector %q calls by a contract: these do: %s", connector, strings.Join(slices.Sorted(maps.Keys(uses)), ", "))
	}
	var both [2]*drift.Contract
	for i, path := range []string{old, next} {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading a contract: %w", err)
		}
		if both[i], err = drift.Read(path, text); err != nil {
			return nil, fmt.Errorf("reading a contract: %w", err)
		}
	}
	return drift.Compare(both[0], both[1], u)
}

func showDrift(w io.Writer, connector string, r *drift.Report, asJSON, others bool) error {
	if asJSON {
		answer := struct {
			Connector string `json:"connector"`
			*drift.Report
			Others []drift.Finding `json:"others,omitempty"`
			Count  int             `json:"other_changes"`
		}{Connector: connector, Report: r, Count: len(r.Others)}
		if others {
			answer.Others = r.Others
		}
		return printJSON(w, answer)
	}
	if len(r.Findings) > 0 {
		if err := driftTable(w, []string{"IMPACT", "CALL", "CHANGE", "FIELD", "PLACE", "DETAIL"}, r.Findings); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	switch {
	case len(r.Calls) == 0:
		fmt.Fprintf(w, "No call of %s stands in these contracts.\n", connector)
	case len(r.Findings) == 0:
		fmt.Fprintf(w, "Nothing touches the calls of %s: %s.\n", connector, strings.Join(r.Calls, ", "))
	}
	fmt.Fprintf(w, "%d other changes do not touch us", len(r.Others))
	if !others || len(r.Others) == 0 {
		hint := "."
		if len(r.Others) > 0 {
			hint = " (--all lists them)."
		}
		fmt.Fprintln(w, hint)
		return nil
	}
	fmt.Fprintln(w, ":")
	return driftTable(w, []string{"CHANGE", "FIELD", "PLACE", "DETAIL"}, r.Others)
}

func driftTable(w io.Writer, head []string, list []drift.Finding) error {
	rows := make([][]string, len(list))
	for i, f := range list {
		field := f.Field
		if f.Side != "" && field != "" {
			field = f.Side + " " + field
		}
		rows[i] = []string{string(f.Change), field, f.In + " " + f.Place, f.Detail}
		if head[0] == "IMPACT" {
			rows[i] = append([]string{string(f.Impact), f.Call}, rows[i]...)
		}
	}
	return table(w, head, rows)
}
