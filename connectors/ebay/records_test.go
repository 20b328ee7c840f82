package ebay

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/connectortest"
)

// records is the records below testdata/records: FORMAT-name.json, made-up people only.
func records(t testing.TB) []connectortest.Record {
	t.Helper()
	paths, err := filepath.Glob("testdata/records/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no records: %v", err)
	}
	var all []connectortest.Record
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		kind, _, _ := strings.Cut(name, "-")
		all = append(all, connectortest.Record{Name: name, Record: connectors.Record{
			Account: "golden", Object: name, Format: "rest/" + kind, Body: body, SourceTime: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC),
		}})
	}
	return all
}
