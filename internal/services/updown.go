package services

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/helloword/crossdock/internal/embedded"
)

// EnvFile is the env file of a services folder.
func EnvFile(dir string) string { return filepath.Join(dir, "services.env") }

// State is one line of Status.
type State struct {
	Name    string
	Addr    string
	PID     int
	Running bool
}

// Up installs what is missing, starts the three engines under dir and writes the
// env file. They live on after this process. Engines that run already are left
// alone; those that ended come back on their port with their data. self is the
// path of the crossdock binary.
func Up(ctx context.Context, dir, cache, self string, progress io.Writer) error {
	if progress == nil {
		progress = io.Discard
	}
	unlock, err := embedded.LockCache(ctx, dir, "services")
	if err != nil {
		return err
	}
	defer unlock()
	if err := Install(ctx, cache, progress); err != nil {
		return err
	}
	old, err := ReadEnv(EnvFile(dir))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w; stop what it names by hand and delete the file", err)
	}
	now, failed := bringUp(ctx, dir, cache, self, old)
	// Also after a failure: what did start must be found by Down.
	if len(now.Processes) > 0 {
		failed = errors.Join(failed, WriteEnv(EnvFile(dir), now))
	}
	if failed != nil {
		return errors.Join(failed, Down(dir))
	}
	for _, name := range engineNames {
		_, _ = fmt.Fprintf(progress, "%-10s %s\n", name, now.of(name))
	}
	_, _ = fmt.Fprintf(progress, "addresses in %s\n", EnvFile(dir))
	return nil
}

// bringUp starts the engines side by side and returns what runs now.
func bringUp(ctx context.Context, dir, cache, self string, old Addresses) (Addresses, error) {
	now := Addresses{Processes: map[string]Identity{}}
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		failed error
	)
	for _, name := range engineNames {
		wg.Go(func() {
			addr, id := old.of(name), old.Processes[name]
			var err error
			if !id.alive() {
				addr, id, err = startOne(ctx, name, Config{Dir: filepath.Join(dir, name), Cache: cache, Addr: addr, Self: self})
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = errors.Join(failed, err)
				return
			}
			now.Processes[name] = id
			switch name {
			case "kafka":
				now.Kafka = addr
			case "redis":
				now.Redis = addr
			case "clickhouse":
				now.ClickHouse = addr
			}
		})
	}
	wg.Wait()
	return now, failed
}

func startOne(ctx context.Context, name string, cfg Config) (string, Identity, error) {
	var p *Process
	var err error
	switch name {
	case "kafka":
		p, err = StartKafka(ctx, cfg)
	case "redis":
		var r *Redis
		if r, err = StartRedis(ctx, cfg); err == nil {
			p = r.Process
		}
	case "clickhouse":
		p, err = StartClickHouse(ctx, cfg)
	}
	if err != nil {
		return "", Identity{}, err
	}
	id, err := identify(p.PID())
	if err != nil {
		return "", Identity{}, errors.Join(fmt.Errorf("starting %s: it ended right away: %w", name, err), p.Kill())
	}
	return p.Addr(), id, nil
}

// Down ends the engines that Up started under dir, and no other process: one
// that has the id of an engine but not its start is somebody else's. Nothing to
// end is no error. The data stays.
func Down(dir string) error {
	path := EnvFile(dir)
	a, err := ReadEnv(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, len(engineNames))
	for i, name := range engineNames {
		if id, ok := a.Processes[name]; ok {
			wg.Go(func() { errs[i] = end(name, id) })
		}
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("stopping the services: %w", err)
	}
	return nil
}

// end asks one process to stop and kills it if it does not.
func end(name string, id Identity) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for _, step := range []struct {
		sig    syscall.Signal
		within time.Duration
	}{{syscall.SIGTERM, stopWithin}, {syscall.SIGKILL, 5 * time.Second}} {
		if !id.alive() {
			return nil
		}
		if err := syscall.Kill(-id.PID, step.sig); err != nil && id.alive() {
			return fmt.Errorf("stopping %s (process %d): %w", name, id.PID, err)
		}
		_ = syscall.Kill(-id.PID, syscall.SIGCONT) // a paused one would not hear it
		deadline := time.Now().Add(step.within)
		for time.Now().Before(deadline) {
			<-tick.C
			if !id.alive() {
				return nil
			}
		}
	}
	return fmt.Errorf("stopping %s: process %d does not end, not even when killed", name, id.PID)
}

// Status tells of each engine under dir whether it runs. Without an env file
// none does.
func Status(dir string) ([]State, error) {
	a, err := ReadEnv(EnvFile(dir))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var all []State
	for _, name := range engineNames {
		id := a.Processes[name]
		all = append(all, State{Name: name, Addr: a.of(name), PID: id.PID, Running: id.alive()})
	}
	return all, nil
}
