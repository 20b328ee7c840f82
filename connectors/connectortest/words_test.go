package connectortest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestWordsOfAFolder: names are found wherever code can hold them, and nothing else is.
func TestWordsOfAFolder(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{
		"a.go": "package toy\n\nimport \"net/http\"\n\n// \"comment\"\ntype x struct {\n\tA string `json:\"tagged,omitempty\" doc:\"prose\"`\n\tB string `json:\"-\"`\n\tC string `yaml:\"settings\"`\n}\n\n" +
			"const q = `filter[inner][0]`\n\nvar f = []string{\"id,total\", \"a sentence\", \"\", \"12\", \"/orders/\", \"naïve\"}\n\n" +
			"func g(key string) bool {\n\tswitch key {\n\tcase \"member\":\n\t}\n\treturn key == \"other_member\" && http.MethodGet == key\n}\n",
		"a_test.go": "package toy\n\nconst t = \"tested\"\n",
		"words.go":  "package toy\n\nconst w = \"listed\"\n",
		"uses.go":   "package toy\n\nconst u = \"used\"\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, pkg, err := words(folder)
	if err != nil || pkg != "toy" {
		t.Fatal(pkg, err)
	}
	want := []string{"filter", "id", "inner", "member", "na", "orders", "other_member", "tagged", "total", "ve"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
