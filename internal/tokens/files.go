package tokens

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Files keeps each token in a file of its own, sealed: written beside, synced, renamed. The
// name is sealed with it, so that files cannot be exchanged.
type Files struct {
	dir   string
	scope string
	keys  Keys
	mu    sync.Mutex // one Save at a time
}

// fileMagic begins each file; then follow the key's fingerprint, nonce and sealed text.
const (
	fileMagic  = "crossdock token 1\n"
	filePrefix = "token-"
	maxFile    = 1 << 20
)

// NewFiles keeps the tokens of a scope ("acme.test.") in dir, which is made when it is missing.
func NewFiles(dir, scope string, keys Keys) (*Files, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of the tokens: %w", err)
	}
	return &Files{dir: dir, scope: scope, keys: keys}, nil
}

func (f *Files) path(name string) string {
	// The prefix keeps "." and ".." from being what they are elsewhere.
	return filepath.Join(f.dir, filePrefix+url.QueryEscape(f.scope+name))
}

// Names of the tokens that are there, sorted.
func (f *Files) Names() ([]string, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, fmt.Errorf("listing the tokens: %w", err)
	}
	var names []string
	for _, e := range entries {
		escaped, ok := strings.CutPrefix(e.Name(), filePrefix)
		full, err := url.QueryUnescape(escaped)
		name, ours := strings.CutPrefix(full, f.scope)
		if ok && err == nil && ours {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Load returns nil when there is none. A file that cannot be opened is an error that names it:
// it is never taken for "none", because that would log the account in anew or not at all.
func (f *Files) Load(_ context.Context, name string) ([]byte, error) {
	path := f.path(name)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && info.Size() > maxFile {
		err = fmt.Errorf("%d bytes are no token", info.Size())
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading token %s: %w", name, err)
	}
	rest, ok := strings.CutPrefix(string(b), fileMagic)
	if !ok || len(rest) < fingerprintSize {
		return nil, f.broken(name, path, "it is damaged or was not written by crossdock")
	}
	key, _, err := f.keys.find(rest[:fingerprintSize])
	if err != nil {
		return nil, fmt.Errorf("reading token %s: %s: %w", name, path, err)
	}
	value, err := open(key, []byte(rest[fingerprintSize:]), []byte(f.scope+name))
	if err != nil {
		return nil, f.broken(name, path, "its content is damaged")
	}
	return value, nil
}

func (f *Files) broken(name, path, why string) error {
	return fmt.Errorf("reading token %s: %s: %s: restore the file from a copy, or remove it and authorise the account again", name, path, why)
}

// Save replaces the token. When it returns, the new one survives a loss of power. The fence is
// not looked at: a file has no version.
func (f *Files) Save(_ context.Context, name string, value []byte, _ uint64) error {
	if len(value) > maxValue {
		return fmt.Errorf("saving token %s: %d bytes are no token", name, len(value))
	}
	key, err := resolveKey(f.keys[0])
	if err == nil {
		var sealed []byte
		if sealed, err = seal(key, value, []byte(f.scope+name)); err == nil {
			f.mu.Lock()
			defer f.mu.Unlock()
			err = replaceFile(f.path(name), []byte(fileMagic+fingerprint(key)+string(sealed)))
		}
	}
	if err != nil {
		return fmt.Errorf("saving token %s: %w", name, err)
	}
	return nil
}

func replaceFile(path string, content []byte) error {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(content)
	if err == nil {
		err = tmp.Sync()
	}
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return err
	}
	// The rename itself must survive too.
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if e := d.Close(); err == nil {
		err = e
	}
	return err
}
