package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// loopback checks that addr is a host:port of this machine only and returns it
// with a numeric host. None of the engines asks who is there, so none of them
// may be reachable from elsewhere.
func loopback(engine, addr string) (string, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("embedded %s: address %q: %w; give host:port, such as 127.0.0.1:0", engine, addr, err)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ip := net.ParseIP(host)
	if ip == nil || !ip.IsLoopback() {
		return "", fmt.Errorf("embedded %s: address %q is not loopback: the embedded engines have no access control and listen on 127.0.0.1 only; use a real server for anything else", engine, addr)
	}
	return net.JoinHostPort(ip.String(), port), nil
}

// lockDir creates dir and takes it for this process. Two engines on one folder
// would write over each other; the lock goes with the process, however it ends.
func lockDir(engine, dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("embedded %s: %w", engine, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("embedded %s: locking the data folder: %w", engine, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("embedded %s: the data folder %s is in use by another process: stop that one, or choose another folder", engine, dir)
		}
		return nil, fmt.Errorf("embedded %s: locking %s: %w", engine, dir, err)
	}
	return f, nil
}

func logger(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}
