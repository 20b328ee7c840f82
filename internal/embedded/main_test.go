package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The test binary is also the process that gets killed: with this variable set
// it runs one engine until its standard input ends.
const childEnv = "CROSSDOCK_EMBEDDED_CHILD"

func TestMain(m *testing.M) {
	if kind := os.Getenv(childEnv); kind != "" {
		if err := child(kind, os.Args[1], os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func child(kind, dir, addr string) error {
	var engine interface {
		Addr() string
		Close() error
	}
	var err error
	switch kind {
	case "broker":
		engine, err = NewBroker(BrokerConfig{Dir: dir, Addr: addr})
	case "redis":
		engine, err = NewRedis(RedisConfig{Dir: dir, Addr: addr, SnapshotEvery: 20 * time.Millisecond})
	case "clickhouse":
		engine, err = NewClickHouse(ClickHouseConfig{Dir: dir, Addr: addr, Library: os.Getenv("CROSSDOCK_TEST_LIBCHDB")})
	default:
		err = errors.New("unknown engine " + kind)
	}
	if err != nil {
		return err
	}
	fmt.Println(engine.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	return engine.Close()
}

// process is an engine in a process of its own.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.Closer
	addr string
}

func spawn(t *testing.T, kind, dir, addr string, env ...string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, dir, addr)
	cmd.Env = append(append(os.Environ(), childEnv+"="+kind), env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: cmd, in: in}
	t.Cleanup(p.kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the %s child did not start: %v", kind, err)
	}
	p.addr = strings.TrimSpace(line)
	return p
}

func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
}

// stop ends the child as Ctrl-C would: by asking it to.
func (p *process) stop() {
	p.t.Helper()
	_ = p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("clean stop: %v", err)
	}
}

// eventually polls until ok answers true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never came true: %s", what)
		}
	}
}

func testLog(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func TestOnlyLoopback(t *testing.T) {
	for _, c := range []struct {
		addr, want string
		ok         bool
	}{
		{"", "127.0.0.1:0", true},
		{"127.0.0.1:9092", "127.0.0.1:9092", true},
		{"localhost:1", "127.0.0.1:1", true},
		{"[::1]:2", "[::1]:2", true},
		{"0.0.0.0:9092", "", false},
		{":9092", "", false},
		{"192.168.1.4:9092", "", false},
		{"example.com:9092", "", false},
		{"127.0.0.1", "", false},
	} {
		got, err := loopback("broker", c.addr)
		if (err == nil) != c.ok || got != c.want {
			t.Errorf("loopback(%q) = %q, %v; want %q, ok=%v", c.addr, got, err, c.want, c.ok)
		}
	}
	if _, err := NewBroker(BrokerConfig{Addr: "0.0.0.0:0"}); err == nil {
		t.Error("the broker listens on every interface")
	}
	if _, err := NewRedis(RedisConfig{Addr: "0.0.0.0:0"}); err == nil {
		t.Error("Redis listens on every interface")
	}
	if _, err := NewClickHouse(ClickHouseConfig{Addr: "0.0.0.0:0", Dir: t.TempDir(), Library: "x"}); err == nil || !strings.Contains(err.Error(), "not loopback") {
		t.Errorf("ClickHouse on every interface: %v", err)
	}
}

func TestOneProcessPerFolder(t *testing.T) {
	dir := t.TempDir()
	r, err := NewRedis(RedisConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if _, err := NewRedis(RedisConfig{Dir: dir}); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("a second server on the same folder: %v", err)
	}
}
