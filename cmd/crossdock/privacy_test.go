package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/helloword/crossdock/schemas/event"
)

func requests(now time.Time) []*event.PrivacyState {
	at := func(d time.Duration) int64 { return now.Add(d).UnixMilli() }
	const day = 24 * time.Hour
	return []*event.PrivacyState{
		{
			Connector: "shopify", Account: "shop-uk", Id: "data-9999", Kind: event.PrivacyKind_PRIVACY_KIND_DATA_REQUEST,
			Buyers: []string{"00112233aabbccdd"}, RequestedMs: at(-31 * day), DueMs: at(-day),
		},
		{
			Connector: "shopify", Account: "shop-uk", Id: "b0e4", Kind: event.PrivacyKind_PRIVACY_KIND_BUYER,
			Buyers: []string{"00112233aabbccdd"}, RequestedMs: at(-2 * day), DueMs: at(28 * day), Orders: 3, ForgottenMs: at(-2 * day), DoneMs: at(-day),
		},
		{
			Connector: "ebay", Account: "ebay-uk", Id: "n1", Kind: event.PrivacyKind_PRIVACY_KIND_BUYER,
			Buyers: []string{"ffeeddccbbaa9988"}, RequestedMs: at(-2 * day), DueMs: at(28 * day), DoneMs: at(-2 * day),
		},
	}
}

// The list says whose, until when, what became of it and what remains; what is overdue ends the
// command with an error, which is status 1.
func TestPrivacyList(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	err := listRequests(&out, requests(now), now, false, false)
	var late *overdueError
	if !errors.As(err, &late) || status(err) != 1 {
		t.Errorf("with one overdue: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 4 {
		t.Fatalf("got\n%s", out.String())
	}
	for i, want := range [][]string{
		{"ID", "PLATFORM", "KIND", "WHOSE", "RECEIVED", "DUE", "STATE", "ORDERS", "REMAINS"},
		{"shop-uk/data-9999", "shopify", "data_request", "00112233aabbccdd", "2026-10-20", "2026-11-19", "OVERDUE"},
		{"shop-uk/b0e4", "buyer", "carried out 2026-11-19", "until 2026-11-22: orders.v1 commands.v1 push.commands.v1; until 2026-12-19: raw.orders.v1 raw.stock.v1 orders.in.v1 commands.in.v1 privacy.in.v1 dlq.*"},
		{"1 more concerned nobody here"},
	} {
		for _, text := range want {
			if !strings.Contains(lines[i], text) {
				t.Errorf("line %d does not say %q:\n%s", i, text, out.String())
			}
		}
	}
	if at := strings.Index(lines[0], "STATE"); at < 0 || !strings.HasPrefix(lines[1][at:], "OVERDUE") || !strings.HasPrefix(lines[2][at:], "carried out") {
		t.Errorf("the columns are not aligned:\n%s", out.String())
	}

	out.Reset()
	if err := listRequests(&out, requests(now)[1:], now, true, true); err != nil {
		t.Errorf("nothing is overdue: %v", err)
	}
	var views []struct {
		ID, State string
		Whose     []string
		Remains   []struct {
			Topic string
			Until time.Time
		}
	}
	if err := json.Unmarshal(out.Bytes(), &views); err != nil || len(views) != 2 || views[0].State != "done" || len(views[0].Remains) < 5 || views[1].ID != "ebay-uk/n1" {
		t.Errorf("JSON: %v\n%s", err, out.String())
	}

	out.Reset()
	if err := listRequests(&out, nil, now, false, false); err != nil || !strings.Contains(out.String(), "No requests") {
		t.Errorf("without requests: %v, %s", err, out.String())
	}
	v := viewOf(requests(now)[1], now)
	out.Reset()
	if err := showRequest(&out, &v); err != nil || !strings.Contains(out.String(), "remains in raw.orders.v1") {
		t.Errorf("one request: %v\n%s", err, out.String())
	}
}

// An export is for its owner's eyes, replaces nothing, and is whole or not there.
func TestPrivacyExportFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "buyer.json")
	write := func(w io.Writer) (int, error) { return fmt.Fprint(w, "{}") }
	if _, err := exportTo(path, write); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := exportTo(path, write); !errors.Is(err, os.ErrExist) {
		t.Errorf("a file that is there: %v", err)
	}
	half := filepath.Join(t.TempDir(), "half.json")
	broken := errors.New("broken")
	if _, err := exportTo(half, func(w io.Writer) (int, error) { _, _ = fmt.Fprint(w, "{"); return 0, broken }); !errors.Is(err, broken) {
		t.Errorf("a broken export: %v", err)
	}
	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half a file stayed: %v", err)
	}
}
