package services

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// The env file is what "make services" leaves behind: a shell can source it, and
// tests find the engines in their environment. It also names the processes, by
// id and by start: ids are given out again, a start time with them is not.

// Variables that name the engines' addresses, as host:port.
const (
	EnvKafka      = "CROSSDOCK_TEST_KAFKA"
	EnvRedis      = "CROSSDOCK_TEST_REDIS"
	EnvClickHouse = "CROSSDOCK_TEST_CLICKHOUSE"
)

// Identity names one process for good.
type Identity struct {
	PID     int
	Started string // as the system words it; compared, never read
}

// Addresses is the content of the env file.
type Addresses struct {
	Kafka, Redis, ClickHouse string
	// Processes are the engines' processes by name: kafka, redis, clickhouse.
	Processes map[string]Identity
}

// engineNames is the order in which engines are listed.
var engineNames = []string{"kafka", "redis", "clickhouse"}

// WriteEnv writes the env file, whole or not at all.
func WriteEnv(path string, a Addresses) error {
	var b strings.Builder
	b.WriteString("# The engines that crossdock services started; source it in a shell.\n")
	line := func(k, v string) { fmt.Fprintf(&b, "export %s=%s\n", k, v) }
	line(EnvKafka, a.Kafka)
	line(EnvRedis, a.Redis)
	line(EnvClickHouse, a.ClickHouse)
	for _, name := range engineNames {
		id, ok := a.Processes[name]
		if !ok {
			continue
		}
		prefix := "CROSSDOCK_SERVICES_" + strings.ToUpper(name)
		line(prefix+"_PID", strconv.Itoa(id.PID))
		line(prefix+"_STARTED", "'"+id.Started+"'")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.WriteFile(path+".tmp", []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// ReadEnv reads what WriteEnv wrote. A missing file is an error that wraps
// os.ErrNotExist.
func ReadEnv(path string) (Addresses, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Addresses{}, fmt.Errorf("reading the engines' addresses: %w", err)
	}
	return parseEnv(path, string(b))
}

func parseEnv(path, text string) (Addresses, error) {
	a := Addresses{Processes: map[string]Identity{}}
	for n, l := range strings.Split(text, "\n") {
		l = strings.TrimSpace(l)
		if l == "" || strings.HasPrefix(l, "#") {
			continue
		}
		k, v, ok := strings.Cut(strings.TrimPrefix(l, "export "), "=")
		if !ok {
			return Addresses{}, fmt.Errorf("%s:%d: not NAME=value: %.80q", path, n+1, l)
		}
		v = strings.Trim(v, "'")
		switch k {
		case EnvKafka:
			a.Kafka = v
		case EnvRedis:
			a.Redis = v
		case EnvClickHouse:
			a.ClickHouse = v
		default:
			if err := a.process(k, v); err != nil {
				return Addresses{}, fmt.Errorf("%s:%d: %w", path, n+1, err)
			}
		}
	}
	return a, nil
}

func (a *Addresses) process(k, v string) error {
	for _, name := range engineNames {
		field, ok := strings.CutPrefix(k, "CROSSDOCK_SERVICES_"+strings.ToUpper(name)+"_")
		if !ok {
			continue
		}
		id := a.Processes[name]
		switch field {
		case "PID":
			pid, err := strconv.Atoi(v)
			// 1 is the system and 0 and below are groups: nothing of ours.
			if err != nil || pid < 2 {
				return fmt.Errorf("%s: %.40q is not a process id", k, v)
			}
			id.PID = pid
		case "STARTED":
			id.Started = v
		default:
			return fmt.Errorf("unknown name %s", k)
		}
		a.Processes[name] = id
		return nil
	}
	return fmt.Errorf("unknown name %.80q", k)
}

// of returns the address of an engine by name.
func (a Addresses) of(name string) string {
	return map[string]string{"kafka": a.Kafka, "redis": a.Redis, "clickhouse": a.ClickHouse}[name]
}

// identify finds out who has a process id now.
func identify(pid int) (Identity, error) {
	if runtime.GOOS != "linux" {
		out, err := exec.Command("ps", "-o", "lstart=", "-p", strconv.Itoa(pid)).Output()
		if err != nil {
			return Identity{}, fmt.Errorf("process %d: %w", pid, os.ErrNotExist)
		}
		return Identity{PID: pid, Started: strings.TrimSpace(string(out))}, nil
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Identity{}, fmt.Errorf("process %d: %w", pid, err)
	}
	// "pid (name) state ppid …": the name may hold anything, so count behind it.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 20 {
		return Identity{}, fmt.Errorf("process %d: cannot read its state", pid)
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return Identity{}, fmt.Errorf("process %d has ended: %w", pid, os.ErrNotExist)
	}
	// Ticks since the machine started (field 22), which begin anew with each
	// start of the machine: hence its id beside them.
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return Identity{}, fmt.Errorf("process %d: %w", pid, err)
	}
	return Identity{PID: pid, Started: fields[19] + "@" + strings.TrimSpace(string(boot))}, nil
}

// alive reports whether the process of that identity still runs.
func (id Identity) alive() bool {
	now, err := identify(id.PID)
	return err == nil && now == id
}
