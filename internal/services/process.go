package services

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Config says where an engine lives and how it is started.
type Config struct {
	Dir   string // required: data and logs; created if missing
	Cache string // as Install filled it; "" is the default cache folder
	// Addr asks for a loopback host:port; "" or a taken port means a free one.
	Addr string
	// Self is the crossdock binary, which runs the ClickHouse engine as
	// "crossdock embedded clickhouse". Only StartClickHouse needs it.
	Self string
	Env  []string // added to the environment of the process
	// Options are added to the engine's own, and overrule them: arguments of redis-server, lines
	// of Kafka's properties.
	Options []string
	// Secure, when set, makes Kafka and Redis answer at Addr to TLS and to one user only.
	Secure *Secure
	// DieWithParent ends the engine when this process ends, however it ends.
	DieWithParent bool
	Log           *slog.Logger
}

// Secure is what a secured engine is started with: PEM files of the server's certificate, its
// key (PKCS #8) and the authority that signed it, and the one user that may log in (Kafka:
// SCRAM-SHA-512).
type Secure struct {
	CertFile, KeyFile, CAFile string
	Username, Password        string
	// Rights of the user, in Redis' words ("~prefix*", "+@hash", …); Kafka's may do everything.
	Rights []string
}

const (
	readyWithin = 90 * time.Second
	stopWithin  = 20 * time.Second
	pollEvery   = 25 * time.Millisecond
)

// Process is one engine in a process of its own. Its methods may be called from
// several goroutines, but Stop, Kill and Restart one at a time.
type Process struct {
	name  string
	addr  string
	dir   string
	log   *slog.Logger
	die   bool
	build func(ctx context.Context) (*exec.Cmd, error) // a fresh command for each start
	ping  func(ctx context.Context) error              // nil when the engine answers

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{} // closed when the process has been waited for
}

func newProcess(name string, cfg Config, addr string) (*Process, error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil || cfg.Dir == "" {
		return nil, fmt.Errorf("starting %s: no data folder (%q): %w", name, cfg.Dir, errors.Join(err, os.ErrInvalid))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Process{name: name, addr: addr, dir: dir, log: log, die: cfg.DieWithParent}, nil
}

// Name is "kafka", "redis" or "clickhouse".
func (p *Process) Name() string { return p.name }

// Addr is the host:port at which the engine answers; a restart keeps it.
func (p *Process) Addr() string { return p.addr }

// Dir is the folder with the engine's data and logs.
func (p *Process) Dir() string { return p.dir }

// LogPath is the file with what the engine printed.
func (p *Process) LogPath() string { return filepath.Join(p.dir, p.name+".log") }

// PID is the process's id, 0 when it does not run.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	select {
	case <-p.exited:
		return 0
	default:
		return p.cmd.Process.Pid
	}
}

// start runs the command and waits until the engine answers.
func (p *Process) start(ctx context.Context) error {
	cmd, err := p.build(ctx)
	if err != nil {
		return err
	}
	logFile, err := os.OpenFile(p.LogPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	defer func() { _ = logFile.Close() }()
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, logFile, logFile
	cmd.SysProcAttr = procAttr(p.die)

	started, exited := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(exited)
		if p.die {
			// The kernel's "parent" is the thread that forked: were it handed
			// back to the runtime and ended, the engine would die with it.
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
		}
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	p.mu.Lock()
	p.cmd, p.exited = cmd, exited
	p.mu.Unlock()
	if err := p.ready(ctx, exited); err != nil {
		_ = p.Kill()
		return err
	}
	p.log.Info("engine started", "engine", p.name, "addr", p.addr, "pid", cmd.Process.Pid, "log", p.LogPath())
	return nil
}

// ready polls until the engine answers, has ended, or took too long.
func (p *Process) ready(ctx context.Context, exited <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var last error
	for {
		one, done := context.WithTimeout(ctx, 5*time.Second)
		err := p.ping(one)
		done()
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-exited:
			return fmt.Errorf("starting %s: it ended before it answered; the end of %s:\n%s", p.name, p.LogPath(), p.logTail())
		case <-ctx.Done():
			return fmt.Errorf("starting %s: no answer at %s in time (%w); the end of %s:\n%s", p.name, p.addr, errors.Join(ctx.Err(), last), p.LogPath(), p.logTail())
		case <-tick.C:
		}
	}
}

func (p *Process) logTail() string {
	f, err := os.Open(p.LogPath())
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }()
	if end, err := f.Seek(0, io.SeekEnd); err == nil {
		_, _ = f.Seek(max(0, end-2000), io.SeekStart)
	}
	b, _ := io.ReadAll(io.LimitReader(f, 2000))
	return string(b)
}

// signal goes to the whole group, so that nothing the engine started stays.
func (p *Process) signal(sig syscall.Signal) error {
	pid := p.PID()
	if pid == 0 {
		return fmt.Errorf("%s does not run", p.name)
	}
	if err := syscall.Kill(-pid, sig); err != nil {
		return fmt.Errorf("sending %s to %s: %w", sig, p.name, err)
	}
	return nil
}

// Kill ends the process as a power cut would (SIGKILL) and waits until it is
// gone. It is no error if it does not run.
func (p *Process) Kill() error {
	p.mu.Lock()
	exited := p.exited
	p.mu.Unlock()
	if p.PID() == 0 {
		return nil
	}
	if err := p.signal(syscall.SIGKILL); err != nil && p.PID() != 0 {
		return err
	}
	<-exited
	return nil
}

// Pause stops the process without ending it (SIGSTOP): it keeps its connections
// and answers nothing.
func (p *Process) Pause() error { return p.signal(syscall.SIGSTOP) }

// Resume lets a paused process go on (SIGCONT).
func (p *Process) Resume() error { return p.signal(syscall.SIGCONT) }

// Stop asks the engine to end, and kills it if it does not within twenty
// seconds. It is no error if it does not run.
func (p *Process) Stop() error {
	p.mu.Lock()
	exited := p.exited
	p.mu.Unlock()
	if p.PID() == 0 {
		return nil
	}
	_ = p.signal(syscall.SIGTERM)
	_ = p.signal(syscall.SIGCONT) // a paused one would not hear it
	timer := time.NewTimer(stopWithin)
	defer timer.Stop()
	select {
	case <-exited:
		return nil
	case <-timer.C:
		p.log.Warn("engine did not end when asked: killing it", "engine", p.name)
		return p.Kill()
	}
}

// Restart ends the engine, if it runs, and starts it on the same port with the
// same data.
func (p *Process) Restart(ctx context.Context) error {
	if err := p.Stop(); err != nil {
		return err
	}
	return p.start(ctx)
}

// Ports are chosen below those that systems lend to outgoing connections (32768 and up on
// Linux, 49152 and up elsewhere): an engine that was killed finds its port free again.
const lowestPort, portsEnd = 20_000, 32_768

// letGo is how long a killed engine may hold on to its port: its last threads close it some
// time after its first one is gone.
const letGo = 5 * time.Second

// listen tries a port, patiently when it was an engine's own.
func listen(addr string, patient bool) (net.Listener, error) {
	patience := time.After(letGo)
	for {
		l, err := net.Listen("tcp", addr)
		if err == nil || !patient {
			return l, err
		}
		select {
		case <-patience:
			return nil, err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// choosePort returns want if that loopback port is free, else a free one.
func choosePort(want string) (string, error) {
	candidates := []string{want}
	for range 100 {
		port := lowestPort + rand.IntN(portsEnd-lowestPort) //nolint:gosec // a free port is no secret
		candidates = append(candidates, fmt.Sprintf("127.0.0.1:%d", port))
	}
	for _, addr := range append(candidates, "127.0.0.1:0") {
		if addr == "" {
			continue
		}
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return "", fmt.Errorf("address %q: %w", addr, err)
		}
		if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
			return "", fmt.Errorf("address %q is not loopback: these engines are for this machine only", addr)
		}
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return "", fmt.Errorf("address %q: %w", addr, err)
		}
		l, err := listen(addr, addr == want && port != "0")
		if err != nil {
			continue // taken: any other will do
		}
		defer func() { _ = l.Close() }()
		return l.Addr().String(), nil
	}
	return "", errors.New("no free loopback port")
}
