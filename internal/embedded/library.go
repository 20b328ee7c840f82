package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// The library comes from a package registry by name and version, the only
// download that a machine behind a mirror can be expected to make. The version
// is pinned: the HTTP front is tested against this one.
const chdbVersion = "26.7.3-stable.1"

// libraryPackage names the npm package that carries libchdb for a platform, and
// the library's file inside it.
func libraryPackage(goos, goarch string) (pkg, file string, err error) {
	switch goos + "/" + goarch {
	case "linux/amd64":
		return "@chdb/lib-linux-x64-gnu", "libchdb.so", nil
	case "linux/arm64":
		return "@chdb/lib-linux-arm64-gnu", "libchdb.so", nil
	case "darwin/amd64":
		return "@chdb/lib-darwin-x64", "libchdb.so", nil
	case "darwin/arm64":
		return "@chdb/lib-darwin-arm64", "libchdb.so", nil
	}
	return "", "", fmt.Errorf("there is no embedded ClickHouse engine for %s/%s: configure the address of a ClickHouse server instead", goos, goarch)
}

// CacheDir is where fetched engines are kept: dir if given, else what
// $CROSSDOCK_CACHE names, else "crossdock" in the user's cache folder.
func CacheDir(dir string) (string, error) {
	if dir == "" {
		dir = os.Getenv("CROSSDOCK_CACHE")
	}
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("choosing a cache folder: %w; set CROSSDOCK_CACHE to a folder that may be written", err)
		}
		dir = filepath.Join(base, "crossdock")
	}
	return filepath.Abs(dir)
}

// chdbPrefix holds the version, so that a newer crossdock fetches its own.
func chdbPrefix(cacheDir string) string {
	return filepath.Join(cacheDir, "chdb-"+chdbVersion)
}

// FindLibrary returns the path of libchdb in the cache, or an error that
// wraps os.ErrNotExist if it has not been fetched.
func FindLibrary(cacheDir string) (string, error) {
	dir, err := CacheDir(cacheDir)
	if err != nil {
		return "", err
	}
	pkg, file, err := libraryPackage(runtime.GOOS, runtime.GOARCH)
	if err != nil {
		return "", err
	}
	prefix := chdbPrefix(dir)
	path := filepath.Join(prefix, "node_modules", filepath.FromSlash(pkg), file)
	// The mark is written after the install: a library without it may be half
	// a file that an interrupted install left behind.
	if _, err := os.Stat(filepath.Join(prefix, "installed")); err != nil {
		return "", fmt.Errorf("finding the ClickHouse engine in %s: %w", dir, err)
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("finding the ClickHouse engine: %w", err)
	}
	return path, nil
}

// Library returns the path of libchdb, fetching it with npm on first use (180 MB
// to download, 570 MB on disk). progress receives one line when it fetches.
// Several processes may call it at once: one fetches, the others wait.
func Library(ctx context.Context, cacheDir string, progress io.Writer) (string, error) {
	dir, err := CacheDir(cacheDir)
	if err != nil {
		return "", err
	}
	if path, err := FindLibrary(dir); err == nil || !errors.Is(err, os.ErrNotExist) {
		return path, err
	}
	unlock, err := LockCache(ctx, dir, "chdb")
	if err != nil {
		return "", err
	}
	defer unlock()
	if path, err := FindLibrary(dir); err == nil {
		return path, nil
	}

	pkg, _, err := libraryPackage(runtime.GOOS, runtime.GOARCH)
	if err != nil {
		return "", err
	}
	spec := pkg + "@" + chdbVersion
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", fmt.Errorf("fetching the ClickHouse engine: npm is not on the PATH: install Node.js, or install the package %s with npm on another machine and copy its cache folder %s here, or configure the address of a ClickHouse server", spec, chdbPrefix(dir))
	}
	if progress != nil {
		_, _ = fmt.Fprintf(progress, "fetching the ClickHouse engine (%s, 180 MB) into %s\n", spec, dir)
	}
	prefix := chdbPrefix(dir)
	if err := os.RemoveAll(prefix); err != nil {
		return "", fmt.Errorf("clearing a broken install of the ClickHouse engine: %w", err)
	}
	if err := os.MkdirAll(prefix, 0o755); err != nil {
		return "", fmt.Errorf("fetching the ClickHouse engine: %w", err)
	}
	cmd := exec.CommandContext(ctx, npm, "install", "--prefix", prefix, "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", spec)
	cmd.Dir = prefix
	cmd.WaitDelay = 5 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("fetching the ClickHouse engine: npm install %s: %w\n%s", spec, err, tail(out, 2000))
	}
	if err := os.WriteFile(filepath.Join(prefix, "installed"), []byte(spec+"\n"), 0o644); err != nil {
		return "", fmt.Errorf("fetching the ClickHouse engine: %w", err)
	}
	path, err := FindLibrary(dir)
	if err != nil {
		return "", fmt.Errorf("npm installed %s, but the library is not where it should be: %w", spec, err)
	}
	return path, nil
}

// LockCache takes the named lock of the cache folder, waiting for another
// process that holds it until ctx ends. The lock ends with unlock or the process.
func LockCache(ctx context.Context, dir, name string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("creating the cache folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "."+name+".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking the cache folder: %w", err)
	}
	// Polled, because a blocking flock cannot be interrupted by ctx.
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			_ = f.Close()
			return nil, fmt.Errorf("locking the cache folder %s: %w", dir, err)
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, fmt.Errorf("waiting for another process that installs into %s: %w", dir, ctx.Err())
		case <-tick.C:
		}
	}
}

// tail is the last n bytes of b as text: what failed stands at the end.
func tail(b []byte, n int) string {
	if len(b) > n {
		b = b[len(b)-n:]
	}
	return string(b)
}
