package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/cmd/crossdock/config"
	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/warehouse"
	"github.com/helloword/crossdock/schemas"
)

// office takes calls as the webhook server does, and keeps what came.
type office struct {
	*httptest.Server
	receive connectors.Receiver
	raws    []connectors.Raw
	calls   int
	answers []int // given before anything is taken
}

func newOffice(t *testing.T) *office {
	t.Helper()
	t.Setenv("DEPOT_SECRET", "a-secret-of-the-depot-for-tests")
	conn, err := warehouse.New(warehouse.Config{Secret: "env:DEPOT_SECRET"}, schemas.Test, connectors.Deps{Account: "depot"})
	if err != nil {
		t.Fatal(err)
	}
	o := &office{receive: conn.Receive}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.calls++
		if len(o.answers) > 0 {
			w.WriteHeader(o.answers[0])
			o.answers = o.answers[1:]
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		raws, err := o.receive.Receive(r.Context(), &connectors.Delivery{Header: r.Header, Body: body, Received: time.Now()})
		if err != nil || r.URL.Path != "/webhooks/warehouse/depot" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = fmt.Fprint(w, err)
			return
		}
		o.raws = append(o.raws, raws...)
	}))
	t.Cleanup(o.Close)
	return o
}

// configured is a configuration whose webhook server is the office.
func (o *office) configured(t *testing.T) string {
	t.Helper()
	text, _, err := config.Starter{Tenant: "acme", Environment: schemas.Test, Channels: []string{"woocommerce"}}.Write()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "crossdock.yaml")
	text = strings.Replace(text, `listen: "127.0.0.1:8080"`, fmt.Sprintf("listen: %q", o.Listener.Addr()), 1)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func written(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestWarehouseSend: a table of what is on hand becomes openings that the server takes, again
// after an answer that was no good, in as many calls as it needs.
func TestWarehouseSend(t *testing.T) {
	o := newOffice(t)
	cfg := o.configured(t)
	o.answers = []int{503}
	out, err := run(t, "warehouse", "send", "depot", written(t, "stock.csv", "\ufeffSKU, Quantity ,warehouse\nMUG-BLUE,40,\n\"MUG, RED\",7,north\n"), "-c", cfg)
	if err != nil || !strings.Contains(out, "entries stored: 2 (calls: 1)") || o.calls != 2 {
		t.Fatalf("%s, %v, %d calls", out, err, o.calls)
	}
	var got []map[string]any
	for _, r := range o.raws {
		var e map[string]any
		if err := json.Unmarshal(r.Body, &e); err != nil {
			t.Fatal(err)
		}
		if at, err := time.Parse(time.RFC3339, e["occurred_at"].(string)); err != nil || time.Since(at) > time.Hour {
			t.Errorf("it happened at %v", e["occurred_at"])
		}
		delete(e, "occurred_at")
		got = append(got, e)
	}
	if diff := cmp.Diff([]map[string]any{
		{"kind": "opening", "id": "opening/main/MUG-BLUE", "sku": "MUG-BLUE", "warehouse": "main", "quantity": 40.0},
		{"kind": "opening", "id": "opening/north/MUG, RED", "sku": "MUG, RED", "warehouse": "north", "quantity": 7.0},
	}, got); diff != "" {
		t.Error(diff)
	}

	o.raws, o.calls = nil, 0
	var rows strings.Builder
	rows.WriteString("kind,id,sku,quantity,occurred_at,reference,note\n")
	for i := range 2*warehouse.MaxEntries + 1 {
		fmt.Fprintf(&rows, "receipt,r%d,S%d,1,2026-11-23T09:30:00+01:00,GR-1,late\n", i, i)
	}
	out, err = run(t, "warehouse", "send", "depot", written(t, "receipts.csv", rows.String()), "-c", cfg, "--json")
	if err != nil || strings.TrimSpace(out) != `{"calls":3,"entries":2001}` || len(o.raws) != 2001 {
		t.Errorf("%s, %v, %d records", out, err, len(o.raws))
	}
	if want := time.Date(2026, 11, 23, 8, 30, 0, 0, time.UTC); o.raws[0].Object != "r0" || !o.raws[0].SourceTime.Equal(want) {
		t.Errorf("the first is %+v", o.raws[0])
	}
}

// TestWarehouseSendJSON: bytes go out as they came, members that we do not know included.
func TestWarehouseSendJSON(t *testing.T) {
	o := newOffice(t)
	cfg := o.configured(t)
	one := `{"kind":"price", "id":"p1","account":"shop","sku":"MUG","amount":{"text":"1.10","currency":"EUR"},"occurred_at":"2026-11-23T09:30:00Z","later":1}`
	for file, want := range map[string][]string{
		one:                                     {one},
		`{"entries":[` + one + `,{"id":"p2"}]}`: {one, `{"id":"p2"}`},
	} {
		o.raws = nil
		if out, err := run(t, "warehouse", "send", "depot", written(t, "e.json", file), "-c", cfg); err != nil {
			t.Fatalf("%s, %v", out, err)
		}
		var got []string
		for _, r := range o.raws {
			got = append(got, string(r.Body))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

// TestWarehouseSendRefuses: what is wrong is named with its place, and nothing is sent.
func TestWarehouseSendRefuses(t *testing.T) {
	o := newOffice(t)
	cfg := o.configured(t)
	for want, file := range map[string][2]string{
		`line 3: quantity "many" is not a whole number`: {"a.csv", "sku,quantity\nA,1\nB,many\n"},
		`line 2: sku is empty`:                          {"b.csv", "sku,quantity\n,1\n"},
		`line 1: column "colour" is not known`:          {"c.csv", "sku,colour\nA,red\n"},
		`line 1: column "sku" is not known, or there`:   {"d.csv", "sku,sku\nA,A\n"},
		`line 2: occurred_at "yesterday"`:               {"e.csv", "sku,quantity,occurred_at\nA,1,yesterday\n"},
		`record on line 2`:                              {"f.csv", "sku,quantity\nA\n"},
		`it is empty`:                                   {"g.csv", ""},
		`no line after the first`:                       {"h.csv", "sku,quantity\n"},
		`neither an entry nor`:                          {"i.json", "[1]"},
		`it holds no entries`:                           {"j.json", `{"entries":[]}`},
	} {
		path := written(t, file[0], file[1])
		if _, err := run(t, "warehouse", "send", "depot", path, "-c", cfg); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", want, err)
		}
	}
	stock := written(t, "stock.csv", "sku,quantity\nA,1\n")
	for want, args := range map[string][]string{
		"use depot":    {"woocommerce", stock},
		"no such file": {"depot", stock + "x"},
		"--url":        {"depot", stock, "--url", "ftp://x/"},
	} {
		if _, err := run(t, append([]string{"warehouse", "send", "-c", cfg}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if o.calls != 0 {
		t.Errorf("%d calls", o.calls)
	}
	// What the server refuses is told at once, and not tried again.
	o.answers = []int{http.StatusUnauthorized}
	if _, err := run(t, "warehouse", "send", "depot", stock, "-c", cfg); err == nil || !strings.Contains(err.Error(), "0 of 1 entries are stored") || !strings.Contains(err.Error(), "HTTP 401") || o.calls != 1 {
		t.Errorf("refused: %v, %d calls", err, o.calls)
	}
}
