package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/helloword/crossdock/cmd/crossdock/config"
	"github.com/helloword/crossdock/schemas"
)

// run is the program with arguments and an input that is no terminal.
func run(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	c := root()
	var b bytes.Buffer
	c.SetOut(&b)
	c.SetErr(&b)
	c.SetIn(strings.NewReader(""))
	c.SetArgs(args)
	err = c.ExecuteContext(t.Context())
	return b.String(), err
}

func TestInit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crossdock.yaml")
	if _, err := run(t, "init", "--out", path); err == nil || !strings.Contains(err.Error(), "--channels") {
		t.Errorf("without channels: %v", err)
	}
	out, err := run(t, "init", "--channels", "shopify,ebay", "--modules", "orders,products,inventory", "--out", path, "--yes")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"SHOPIFY_CLIENT_SECRET", "EBAY_CLIENT_SECRET", "CROSSDOCK_TOKEN_KEY", "config validate -c " + path, "crossdock connect ebay -c " + path} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not name %s:\n%s", want, out)
		}
	}
	if strings.Contains(out, "crossdock connect shopify") {
		t.Errorf("it sends to a command that cannot help:\n%s", out)
	}
	if out, err := run(t, "config", "validate", "-c", path); err != nil || !strings.Contains(out, "4 connections") {
		t.Errorf("validating it: %s, %v", out, err)
	}
	before, _ := os.ReadFile(path)
	if _, err := run(t, "init", "--channels", "magento", "--out", path, "--yes"); err == nil || !strings.Contains(err.Error(), "left alone") {
		t.Errorf("over a file: %v", err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) || len(before) == 0 {
		t.Error("the file was changed")
	}
	if err := create(path, "x"); err == nil {
		t.Error("a file that came meanwhile was written over")
	}
}

// TestInterview: answers, defaults, a second chance for a typo, and an end of the input.
func TestInterview(t *testing.T) {
	s := config.Starter{Tenant: "acme", Environment: schemas.Production}
	var out bytes.Buffer
	if err := interview(strings.NewReader("etsy\nwoocommerce shopify\n\n\nmy-id\nGBP\nhttps://shop.acme.example\n\n"), &out, &s); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if !strings.Contains(out.String(), `"etsy" is none of them`) {
		t.Errorf("the typo passed:\n%s", &out)
	}
	text, _, err := s.Write()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`shop: "https://shop.acme.example"`, `client_id: "my-id"`, `currency: "GBP"`, "modules: [orders, products, inventory, fulfilment, finance]"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in:\n%s", want, text)
		}
	}
	for _, input := range []string{"", "etsy\nx\ny\nz\na\nb\n"} {
		if err := interview(strings.NewReader(input), &out, &config.Starter{}); err == nil || !strings.Contains(err.Error(), "nothing was written") {
			t.Errorf("%q: %v", input, err)
		}
	}
}
