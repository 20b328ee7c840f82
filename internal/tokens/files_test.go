package tokens

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// secret is a reference that holds its own value.
type secret string

func (s secret) Resolve() (string, error) {
	if s == "" {
		return "", errors.New("the environment variable is not set")
	}
	return string(s), nil
}

const (
	keyA = secret("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef") // hex
	keyB = secret("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")                     // base64
)

func files(t *testing.T, dir string, keys ...Secret) *Files {
	t.Helper()
	ring, err := NewKeys(keys[0], keys[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	f, err := NewFiles(dir, "acme.test.", ring)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFilesKeepSealedTokens(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "tokens")
	f := files(t, dir, keyA)
	if got, err := f.Load(ctx, "shop-uk"); got != nil || err != nil {
		t.Fatalf("before: got %q, %v", got, err)
	}
	for _, name := range []string{"shop-uk", "..", "a/b", "店"} {
		for _, value := range []string{"first", "second " + name} {
			if err := f.Save(ctx, name, []byte(value), 0); err != nil {
				t.Fatal(err)
			}
			got, err := files(t, dir, keyB, keyA).Load(ctx, name) // after a restart, key rotated
			if err != nil || string(got) != value {
				t.Errorf("%q: got %q, %v; want %q", name, got, err, value)
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 {
		t.Fatalf("got %d files, %v; want one for each token and nothing else", len(entries), err)
	}
	if names, err := f.Names(); err != nil || !slices.Equal(names, []string{"..", "a/b", "shop-uk", "店"}) {
		t.Errorf("got names %q, %v", names, err)
	}
	for _, e := range entries {
		b, _ := os.ReadFile(filepath.Join(dir, e.Name()))
		info, _ := e.Info()
		if bytes.Contains(b, []byte("second")) || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, plain text %t", e.Name(), info.Mode(), bytes.Contains(b, []byte("second")))
		}
	}
	if got, _ := f.Load(ctx, "empty"); got != nil {
		t.Error("none must be nil")
	}
	if err := f.Save(ctx, "empty", nil, 0); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Load(ctx, "empty"); got == nil || err != nil {
		t.Errorf("an empty token is not none: got %v, %v", got, err)
	}
}

// Every flipped bit and every truncation is refused with the file's name, never read as none.
func TestFilesRefuseDamage(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	f := files(t, dir, keyA)
	if err := f.Save(ctx, "shop", []byte("refresh-token"), 0); err != nil {
		t.Fatal(err)
	}
	path := f.path("shop")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := f.Load(ctx, "shop")
		if err == nil || got != nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "refresh-token") {
			t.Errorf("%s: got %q, %v", what, got, err)
		}
	}
	for i := range good {
		for bit := range 8 {
			b := bytes.Clone(good)
			b[i] ^= 1 << bit
			check("flipped bit", b)
		}
		check("truncated", good[:i])
	}
	// Another account's file under this name.
	if err := os.WriteFile(f.path("other"), good, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Load(ctx, "other"); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("exchanged files: got %v", err)
	}
	check("replaced by junk", []byte("{}"))
}

func TestFilesNameTheMissingKey(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	if err := files(t, dir, keyA).Save(ctx, "shop", []byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := files(t, dir, keyB).Load(ctx, "shop"); err == nil || !strings.Contains(err.Error(), "previous_keys") {
		t.Errorf("got %v", err)
	}
	for _, bad := range []secret{"short", "", keyA[:62]} {
		_, err := NewKeys(bad)
		if err == nil || (bad != "" && strings.Contains(err.Error(), string(bad))) {
			t.Errorf("key %q: got %v", bad, err)
		}
	}
}
