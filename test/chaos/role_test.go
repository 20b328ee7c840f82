package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// shot is one death that a role is to die: at the n-th passage of a point.
type shot struct {
	point string
	pass  int
}

// role is one role in a process of its own, started again whenever it ends.
type role struct {
	name string
	w    *world
	log  string // path of what it printed
	done chan struct{}

	mu     sync.Mutex
	cond   *sync.Cond
	cmd    *exec.Cmd
	queue  []shot
	armed  *shot
	ours   bool // the end to come was ordered by the test
	held   bool // it is not to be started
	closed bool
	// kills and misses by point; ends are those that nobody ordered, with the last line.
	kills, misses map[string]int
	ends          []string
}

func (w *world) newRole(name, label string) *role {
	r := &role{
		name: name, w: w, log: filepath.Join(w.dir, label+".log"), done: make(chan struct{}),
		kills: make(map[string]int), misses: make(map[string]int),
	}
	r.cond = sync.NewCond(&r.mu)
	go r.supervise()
	return r
}

// supervise starts the role until close. It keeps its thread: the kernel's notion of a parent
// is the thread that forked.
func (r *role) supervise() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(r.done)
	for r.once() {
	}
}

// once runs the process until it ends; false when there shall be no other.
func (r *role) once() bool {
	r.mu.Lock()
	for r.held && !r.closed {
		r.cond.Wait()
	}
	if r.closed {
		r.mu.Unlock()
		return false
	}
	r.armed, r.ours = nil, false
	if len(r.queue) > 0 {
		r.armed, r.queue = &r.queue[0], r.queue[1:]
	}
	cmd := exec.Command(r.w.bin, "run", "--roles", r.name, "--config", r.w.config)
	cmd.SysProcAttr = dieWithParent()
	cmd.Env = os.Environ()
	if r.armed != nil {
		cmd.Env = append(cmd.Env, fmt.Sprintf("CROSSDOCK_CRASH_AT=%s.%s:%d", r.name, r.armed.point, r.armed.pass))
	}
	out, err := os.OpenFile(r.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		defer out.Close()
		cmd.Stdout, cmd.Stderr = out, out
		err = cmd.Start()
	}
	if err != nil {
		r.ends = append(r.ends, "it could not be started: "+err.Error())
		r.held = true
		r.mu.Unlock()
		return true
	}
	r.cmd = cmd
	var late *time.Timer
	if r.armed != nil {
		late = time.AfterFunc(patience, r.missed)
	}
	r.cond.Broadcast()
	r.mu.Unlock()

	err = cmd.Wait()
	if late != nil {
		late.Stop()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cmd = nil
	switch {
	case r.ours:
	case r.armed != nil && killed(err):
		r.kills[r.armed.point]++
	default:
		r.ended(err)
	}
	r.armed = nil
	r.cond.Broadcast()
	return true
}

// patience is how long a role has to pass the point at which it shall die.
const patience = 45 * time.Second

// missed ends a role that did not come by its point.
func (r *role) missed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd == nil || r.armed == nil || r.ours {
		return
	}
	r.misses[r.armed.point]++
	r.ours = true
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
}

// ended notes an end that nobody ordered. A role that asks for a rebuild is not started again
// before it is released.
func (r *role) ended(err error) {
	last := tail(r.log, 600)
	r.ends = append(r.ends, fmt.Sprintf("%v: %s", err, last))
	if strings.Contains(last, "crossdock rebuild") {
		r.held = true
	}
}

// shoot queues deaths; the first is prepared by a regular stop.
func (r *role) shoot(shots ...shot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue = append(r.queue, shots...)
	if r.cmd != nil && r.armed == nil && !r.ours {
		r.ours = true
		_ = r.cmd.Process.Signal(syscall.SIGTERM)
	}
}

// idle reports whether no death is outstanding and the role runs.
func (r *role) idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.queue) == 0 && r.armed == nil && r.cmd != nil && !r.ours
}

// stopped reports whether the role stands still and is not to be started.
func (r *role) stopped() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held && r.cmd == nil
}

// signal sends a signal to the process; the role is started again if it ends by it.
func (r *role) signal(sig syscall.Signal) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd == nil {
		return fmt.Errorf("role %s does not run", r.name)
	}
	if sig == syscall.SIGKILL || sig == syscall.SIGTERM {
		r.ours = true
	}
	return r.cmd.Process.Signal(sig)
}

// release lets a held role start.
func (r *role) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = false
	r.cond.Broadcast()
}

// close ends the role for good: regularly if it can, after a while by force.
func (r *role) close() {
	r.mu.Lock()
	r.closed, r.ours = true, true
	if r.cmd != nil {
		p := r.cmd.Process
		_ = p.Signal(syscall.SIGTERM)
		_ = p.Signal(syscall.SIGCONT)
		force := time.AfterFunc(20*time.Second, func() { _ = p.Kill() })
		defer force.Stop()
	}
	r.cond.Broadcast()
	r.mu.Unlock()
	<-r.done
}

// killed reports whether a process ended by SIGKILL.
func killed(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// tail is the end of a file.
func tail(path string, n int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	b = bytes.TrimSpace(b)
	return string(b[max(0, len(b)-n):])
}

// until polls a condition up to a deadline.
func until(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within %s: %s", within, what)
		}
	}
}
