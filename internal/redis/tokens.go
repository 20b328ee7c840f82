package redis

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	mathrand "math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// TokenKeeper is where rotating tokens are durable. A token that was lost needs its owner to
// log in again, so it is never kept in Redis alone. FileTokens is the one for a single
// machine.
type TokenKeeper interface {
	// Load returns nil when there is none.
	Load(ctx context.Context, name string) ([]byte, error)
	// Save returns after the token is durable.
	Save(ctx context.Context, name string, value []byte) error
}

// TokenStore is a keeper with a lock over all processes: one refresh at a time, because a
// refreshed token kills the one before it.
type TokenStore struct {
	TokenKeeper
	leases Leases
	prefix string
	log    *slog.Logger
}

// tokenLock is how long after a crash the next refresh waits at most. A holder that lives
// renews it.
const tokenLock = 20 * time.Second

// NewTokenStore guards keeper with locks below prefix, which ends with the scope.
func NewTokenStore(keeper TokenKeeper, leases Leases, prefix string, log *slog.Logger) *TokenStore {
	if leases.TTL == 0 {
		leases.TTL = tokenLock
	}
	return &TokenStore{TokenKeeper: keeper, leases: leases, prefix: prefix, log: log}
}

// Lock waits until nobody else refreshes the token, or ctx ends. unlock is never nil and may
// be called more than once. Load again after it: another process may have refreshed meanwhile.
func (s *TokenStore) Lock(ctx context.Context, name string) (unlock func(), err error) {
	key := s.prefix + "token:{" + name + "}"
	for {
		lease, err := s.leases.Acquire(ctx, key)
		if err == nil {
			_, stop := lease.Keep(context.WithoutCancel(ctx))
			return sync.OnceFunc(func() { s.release(lease, stop, name) }), nil
		}
		var held *HeldError
		if !errors.As(err, &held) {
			return func() {}, fmt.Errorf("locking token %s: %w", name, err)
		}
		// A refresh takes a second or so: look often, and not all at the same moment.
		wait := min(held.Remaining, 50*time.Millisecond+mathrand.N(100*time.Millisecond))
		select {
		case <-ctx.Done():
			return func() {}, fmt.Errorf("locking token %s, which %s refreshes: %w", name, held.Owner, ctx.Err())
		case <-time.After(max(wait, time.Millisecond)):
		}
	}
}

func (s *TokenStore) release(lease *Lease, stop func(), name string) {
	stop()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := lease.Release(ctx); err != nil {
		s.log.Warn("a token's lock ends by its own time", "token", name, "err", err)
	}
}

// FileTokens keeps each token in a file of its own, sealed with AES-256-GCM: written beside,
// synced, renamed. The name is sealed with it, so that files cannot be exchanged.
type FileTokens struct {
	dir   string
	scope string
	keys  []Secret
	mu    sync.Mutex // one Save at a time
}

// tokenMagic begins each file; then follow the key's fingerprint, nonce and sealed text.
const (
	tokenMagic       = "crossdock token 1\n"
	tokenFingerprint = 8
	tokenMax         = 1 << 20
)

// NewFileTokens keeps the tokens of a scope ("acme.test.") in dir, which is made when it is
// missing. key is 32 random bytes in base64 or hex, by reference; previous keys still open
// what was sealed with them.
func NewFileTokens(dir, scope string, key Secret, previous ...Secret) (*FileTokens, error) {
	f := &FileTokens{dir: dir, scope: scope, keys: append([]Secret{key}, previous...)}
	for _, k := range f.keys {
		if _, err := tokenKey(k); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of the tokens: %w", err)
	}
	return f, nil
}

func tokenKey(s Secret) ([]byte, error) {
	text, err := s.Resolve()
	if err != nil {
		return nil, fmt.Errorf("key of the tokens: %w", err)
	}
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	} {
		if b, err := decode(text); err == nil && len(b) == 32 {
			return b, nil
		}
	}
	return nil, errors.New("key of the tokens: it must be 32 random bytes in base64 or hex: make one with `openssl rand -base64 32`")
}

func fingerprint(key []byte) string {
	sum := sha256.Sum256(append([]byte("crossdock token key\x00"), key...))
	return string(sum[:tokenFingerprint])
}

func (f *FileTokens) path(name string) string {
	// The prefix keeps "." and ".." from being what they are elsewhere.
	return filepath.Join(f.dir, "token-"+url.QueryEscape(f.scope+name))
}

// Load returns nil when there is none. A file that cannot be opened is an error that names it:
// it is never taken for "none", because that would log the account in anew or not at all.
func (f *FileTokens) Load(_ context.Context, name string) ([]byte, error) {
	path := f.path(name)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && info.Size() > tokenMax {
		err = fmt.Errorf("%d bytes are no token", info.Size())
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading token %s: %w", name, err)
	}
	rest, ok := strings.CutPrefix(string(b), tokenMagic)
	if !ok || len(rest) < tokenFingerprint {
		return nil, f.broken(name, path, "it is damaged or was not written by crossdock")
	}
	for _, k := range f.keys {
		key, err := tokenKey(k)
		if err != nil {
			return nil, fmt.Errorf("reading token %s: %w", name, err)
		}
		if fingerprint(key) != rest[:tokenFingerprint] {
			continue
		}
		value, err := open(key, []byte(rest[tokenFingerprint:]), f.scope+name)
		if err != nil {
			return nil, f.broken(name, path, "its content is damaged")
		}
		return value, nil
	}
	return nil, fmt.Errorf("reading token %s: %s was sealed with another key: add that key to the previous keys of the token store", name, path)
}

func (f *FileTokens) broken(name, path, why string) error {
	return fmt.Errorf("reading token %s: %s: %s: restore the file from a copy, or remove it and authorise the account again", name, path, why)
}

// Save replaces the token. When it returns, the new one survives a loss of power.
func (f *FileTokens) Save(_ context.Context, name string, value []byte) error {
	if len(value) > tokenMax/2 {
		return fmt.Errorf("saving token %s: %d bytes are no token", name, len(value))
	}
	key, err := tokenKey(f.keys[0])
	if err == nil {
		var sealed []byte
		if sealed, err = seal(key, value, f.scope+name); err == nil {
			f.mu.Lock()
			defer f.mu.Unlock()
			err = replaceFile(f.path(name), []byte(tokenMagic+fingerprint(key)+string(sealed)))
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

func seal(key, value []byte, name string) ([]byte, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return aead.Seal(nonce, nonce, value, []byte(name)), nil
}

func open(key, sealed []byte, name string) ([]byte, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	if len(sealed) < aead.NonceSize() {
		return nil, errors.New("cut short")
	}
	return aead.Open([]byte{}, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], []byte(name))
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
