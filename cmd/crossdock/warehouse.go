package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/helloword/crossdock/cmd/crossdock/config"
	"github.com/helloword/crossdock/connectors/warehouse"
	depot "github.com/helloword/crossdock/connectors/warehouse/simulator"
)

// A seller who has no system that calls the warehouse's webhook yet tells his stock from a file:
// the same signed calls, made by hand.

func warehouseCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "warehouse",
		Short:   "Tell what happened in your own warehouse",
		GroupID: "set",
	}
	c.AddCommand(warehouseSend())
	return c
}

func warehouseSend() *cobra.Command {
	var address string
	var asCSV bool
	var asJSON *bool
	c := &cobra.Command{
		Use:   "send CONNECTION FILE",
		Short: "Send entries to the running webhook server, signed as the warehouse signs",
		Long: `Sends a file of entries to the webhook server of a running crossdock, as your warehouse's own system
would: signed with the connection's secret, again until they are taken. An entry counts once, by its
id, so that the same file may be sent again; what changes later is a receipt, a write-off or a
correction under an id of its own.

A .json file holds what connectors/warehouse/README.md describes: an entry, or {"entries":[…]}. A .csv
file has a first line with names of members, of which sku and quantity are enough to open a stock:

  sku,quantity
  MUG-BLUE,40

Without a column kind a line is an opening, without id it is the opening of its SKU, without
warehouse it is in "main", and without occurred_at it happened now. FILE - is standard input, which
is JSON unless --csv says otherwise.

Status 0: all of them are stored. What made no sense is in the dead letters (crossdock dlq list).`,
		Example: `  crossdock warehouse send depot stock.csv
  crossdock warehouse send depot entries.json --url https://hooks.example.com/webhooks/warehouse/depot`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := load(c)
			if err != nil {
				return err
			}
			to, err := warehouseAt(cfg, args[0], address)
			if err != nil {
				return err
			}
			from, in := args[1], c.InOrStdin()
			if from == "-" {
				from = "standard input"
			} else {
				file, err := os.Open(from)
				if err != nil {
					return err
				}
				defer file.Close()
				in, asCSV = file, asCSV || strings.EqualFold(filepath.Ext(from), ".csv")
			}
			var entries [][]byte
			if asCSV {
				entries, err = readEntriesCSV(in, time.Now())
			} else {
				entries, err = readEntries(in)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", from, err)
			}
			calls, err := sendEntries(c.Context(), to, entries)
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(c.OutOrStdout(), map[string]int{"entries": len(entries), "calls": calls})
			}
			fmt.Fprintf(c.OutOrStdout(), "entries stored: %d (calls: %d). What made no sense is in the dead letters: crossdock dlq list\n", len(entries), calls)
			return nil
		},
	}
	c.Flags().StringVar(&address, "url", "", "`URL` of the connection's webhook (default: webhook.listen of the configuration)")
	c.Flags().BoolVar(&asCSV, "csv", false, "FILE is CSV, whatever its name")
	asJSON = jsonFlag(c)
	return c
}

// warehouseAt is the sender of one connection.
func warehouseAt(cfg *config.Config, name, address string) (*depot.Warehouse, error) {
	conn, ok := cfg.Connections[name]
	if !ok || conn.Warehouse == nil {
		var known []string
		for n, c := range cfg.Connections {
			if c.Warehouse != nil {
				known = append(known, n)
			}
		}
		slices.Sort(known)
		if len(known) == 0 {
			return nil, fmt.Errorf("%s is no warehouse, and the configuration has none: add a connection with `connector: warehouse` (connectors/warehouse/README.md)", name)
		}
		return nil, fmt.Errorf("%s is no warehouse of the configuration: use %s", name, strings.Join(known, ", "))
	}
	secret, err := conn.Warehouse.Secret.Resolve()
	if err != nil {
		return nil, fmt.Errorf("connections.%s.warehouse.secret: %w", name, err)
	}
	if address == "" {
		address = "http://" + cfg.Webhook.Listen + "/webhooks/" + warehouse.Name + "/" + url.PathEscape(name)
	}
	to, err := url.Parse(address)
	if err != nil || to.Host == "" || to.Scheme != "https" && to.Scheme != "http" {
		return nil, fmt.Errorf("--url %q is no http address", address)
	}
	return depot.New(depot.Config{
		URL: to.String(), Secret: secret, Attempts: 8,
		HTTP: &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	})
}

// maxEntriesFile bounds a file of entries.
const maxEntriesFile = 64 << 20

// readEntries reads one entry, or {"entries":[…]}. The entries' bytes stay as they are.
func readEntries(r io.Reader) (entries [][]byte, err error) {
	b, err := io.ReadAll(io.LimitReader(r, maxEntriesFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxEntriesFile {
		return nil, fmt.Errorf("longer than %d MiB: send it in parts", maxEntriesFile>>20)
	}
	var top map[string]json.RawMessage
	if err := json.Unmarshal(b, &top); err != nil {
		return nil, fmt.Errorf("it is neither an entry nor {\"entries\":[…]}: %w", err)
	}
	list, ok := top["entries"]
	if !ok {
		return [][]byte{bytes.TrimSpace(b)}, nil
	}
	var parts []json.RawMessage
	if err := json.Unmarshal(list, &parts); err != nil {
		return nil, fmt.Errorf("entries: %w", err)
	}
	for _, p := range parts {
		entries = append(entries, p)
	}
	if len(entries) == 0 {
		return nil, errors.New("it holds no entries")
	}
	return entries, nil
}

// entryColumns are what a CSV file may have.
var entryColumns = []string{"id", "kind", "note", "occurred_at", "quantity", "reference", "sku", "warehouse"}

// readEntriesCSV reads lines whose columns are named in the first one. Its errors name line and
// column.
func readEntriesCSV(r io.Reader, now time.Time) (entries [][]byte, err error) {
	lines := csv.NewReader(io.LimitReader(r, maxEntriesFile))
	lines.TrimLeadingSpace = true
	head, err := lines.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("it is empty: the first line names the columns, e.g. sku,quantity")
	}
	if err != nil {
		return nil, err
	}
	head[0] = strings.TrimPrefix(head[0], "\ufeff")
	for i, name := range head {
		head[i] = strings.ToLower(strings.TrimSpace(name))
		if !slices.Contains(entryColumns, head[i]) || slices.Index(head, head[i]) != i {
			return nil, fmt.Errorf("line 1: column %q is not known, or there twice: use %s", name, strings.Join(entryColumns, ", "))
		}
	}
	for {
		fields, err := lines.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		row := make(map[string]string, len(entryColumns))
		for i, name := range head {
			row[name] = strings.TrimSpace(fields[i])
		}
		line, _ := lines.FieldPos(0)
		entry, err := rowEntry(row, now)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		entries = append(entries, entry)
	}
	if len(entries) == 0 {
		return nil, errors.New("there is no line after the first one")
	}
	return entries, nil
}

// rowEntry makes an entry of a row.
func rowEntry(row map[string]string, now time.Time) ([]byte, error) {
	e := depot.Entry{
		Kind: cmp.Or(row["kind"], "opening"), SKU: row["sku"], Warehouse: cmp.Or(row["warehouse"], "main"),
		OccurredAt: now.Truncate(time.Second), Reference: row["reference"], Note: row["note"],
	}
	e.ID = cmp.Or(row["id"], e.Kind+"/"+e.Warehouse+"/"+e.SKU)
	if e.SKU == "" {
		return nil, errors.New("sku is empty")
	}
	var err error
	if e.Quantity, err = strconv.ParseInt(row["quantity"], 10, 64); err != nil {
		return nil, fmt.Errorf("quantity %q is not a whole number", row["quantity"])
	}
	if text := row["occurred_at"]; text != "" {
		if e.OccurredAt, err = time.Parse(time.RFC3339, text); err != nil {
			return nil, fmt.Errorf("occurred_at %q is not a time such as 2026-11-23T09:30:00+01:00", text)
		}
	}
	return json.Marshal(e)
}

// sendEntries sends the entries in as few calls as the protocol allows, and counts the calls.
func sendEntries(ctx context.Context, to *depot.Warehouse, entries [][]byte) (calls int, err error) {
	sent := 0
	for part := range slices.Chunk(entries, warehouse.MaxEntries) {
		body := part[0]
		if len(part) > 1 {
			body = slices.Concat([]byte(`{"entries":[`), bytes.Join(part, []byte(",")), []byte("]}"))
		}
		if err := to.Post(ctx, body); err != nil {
			return calls, fmt.Errorf("%d of %d entries are stored; sending the next %d: %w", sent, len(entries), len(part), err)
		}
		sent += len(part)
		calls++
	}
	return calls, nil
}
