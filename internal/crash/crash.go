// Package crash names the points at which a process can be killed on purpose, to prove
// that nothing is lost or doubled there.
//
// In normal operation a point costs one comparison. When CROSSDOCK_CRASH_AT holds the name
// of a point and the number of the passage ("orders.Emit:3"), the process kills itself
// with SIGKILL at that passage: no deferred call, no flush, as if the power had gone.
package crash

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// Point is one place in one role. Its zero value never fires.
type Point struct {
	name string
	left atomic.Int64
}

// Points makes the points of one role: Points("orders")("Emit"). The environment is read
// once per call, so that a process that arms nothing pays nothing.
func Points(role string) func(step string) *Point {
	at, passage := armed()
	return func(step string) *Point {
		p := &Point{name: role + "." + step}
		if p.name == at {
			p.left.Store(passage)
		}
		return p
	}
}

// Pass goes by the point; it does not return when the process is to die here.
func (p *Point) Pass() {
	if p == nil || p.left.Load() == 0 {
		return
	}
	if p.left.Add(-1) == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func armed() (name string, passage int64) {
	name, n, found := strings.Cut(os.Getenv("CROSSDOCK_CRASH_AT"), ":")
	if !found {
		return name, 1
	}
	passage, err := strconv.ParseInt(n, 10, 64)
	if err != nil || passage < 1 {
		return "", 0
	}
	return name, passage
}
