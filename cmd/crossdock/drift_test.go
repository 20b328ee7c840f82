package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// drifted runs the command over two contracts and says what it printed and its status.
func drifted(t *testing.T, args ...string) (printed string, code int, err error) {
	t.Helper()
	c := root()
	var b bytes.Buffer
	c.SetOut(&b)
	c.SetErr(&b)
	c.SetArgs(append([]string{"drift"}, args...))
	if err = c.ExecuteContext(t.Context()); err != nil {
		code = status(err)
	}
	return b.String(), code, err
}

func contractFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	sellersNow  = `{"swagger":"2.0","paths":{"/sellers/v1/marketplaceParticipations":{"get":{"operationId":"getMarketplaceParticipations","responses":{"200":{"schema":{"type":"object","properties":{"payload":{"type":"array"},"secret":{"type":"string"}}}}}}}}}`
	sellersNext = `{"swagger":"2.0","paths":{"/sellers/v1/marketplaceParticipations":{"get":{"operationId":"getMarketplaceParticipations","responses":{"200":{"schema":{"type":"object","properties":{"body":{"type":"array"}}}}}}}}}`
)

func TestDrift(t *testing.T) {
	old, next := contractFile(t, "old.json", sellersNow), contractFile(t, "new.json", sellersNext)
	printed, code, err := drifted(t, "amazon", old, next)
	if code != 1 {
		t.Errorf("status %d (%v), want 1: something breaks", code, err)
	}
	for _, w := range []string{"breaks", "getMarketplaceParticipations", "response payload", "responses/200/schema/properties/payload", "new beside it: body", "other changes do not touch us (--all lists them)."} {
		if !strings.Contains(printed, w) {
			t.Errorf("not printed: %s\n%s", w, printed)
		}
	}
	printed, code, err = drifted(t, "amazon", old, next, "--all")
	if code != 1 || !strings.Contains(printed, "schema/properties/secret") {
		t.Errorf("--all: status %d (%v)\n%s", code, err, printed)
	}
	printed, code, _ = drifted(t, "amazon", old, next, "--json")
	var answer struct {
		Connector string
		Findings  []struct{ Impact, Call, Field, Place string }
		Others    []any
		Count     int `json:"other_changes"`
	}
	if err := json.Unmarshal([]byte(printed), &answer); err != nil || code != 1 {
		t.Fatalf("status %d, %v\n%s", code, err, printed)
	}
	if answer.Connector != "amazon" || len(answer.Findings) != 1 || answer.Findings[0].Impact != "breaks" || answer.Findings[0].Field != "payload" || answer.Count == 0 || answer.Others != nil {
		t.Errorf("%+v", answer)
	}
	printed, code, err = drifted(t, "amazon", old, old)
	if code != 0 || err != nil || !strings.Contains(printed, "Nothing touches the calls of amazon: getMarketplaceParticipations.") {
		t.Errorf("no change: status %d, %v\n%s", code, err, printed)
	}
	printed, code, err = drifted(t, "ebay", old, next)
	if code != 0 || err != nil || !strings.Contains(printed, "No call of ebay stands in these contracts.") {
		t.Errorf("another's contract: status %d, %v\n%s", code, err, printed)
	}
}

// What cannot be compared ends with status 2, and says why.
func TestDriftUsage(t *testing.T) {
	good, broken := contractFile(t, "good.json", sellersNow), contractFile(t, "broken.json", "{\n\"swagger\":")
	for name, tc := range map[string]struct {
		args []string
		want []string
	}{
		"too few":           {[]string{"amazon", good}, []string{"accepts 3 arg", "old contract"}},
		"unknown connector": {[]string{"etsy", good, good}, []string{`"etsy"`, "amazon, ebay, magento, shopify, woocommerce"}},
		"no such file":      {[]string{"amazon", good, filepath.Join(t.TempDir(), "none.json")}, []string{"none.json"}},
		"a folder":          {[]string{"amazon", t.TempDir(), good}, []string{"directory"}},
		"broken":            {[]string{"amazon", good, broken}, []string{"broken.json:2:", "JSON"}},
		"wrong kind":        {[]string{"shopify", good, good}, []string{"good.json", "GraphQL"}},
		"unknown flag":      {[]string{"amazon", good, good, "--yaml"}, []string{"--yaml"}},
	} {
		t.Run(name, func(t *testing.T) {
			printed, code, err := drifted(t, tc.args...)
			if code != 2 || err == nil {
				t.Fatalf("status %d, %v\n%s", code, err, printed)
			}
			for _, w := range tc.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
		})
	}
}
