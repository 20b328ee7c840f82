package crash

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestMain is also the process that is killed: it passes points and says so.
func TestMain(m *testing.M) {
	if os.Getenv("CRASH_TEST_CHILD") == "1" {
		points := Points("orders")
		emit, commit := points("Emit"), points("Commit")
		for i := 1; i <= 4; i++ {
			emit.Pass()
			fmt.Println("emitted", i)
			commit.Pass()
			fmt.Println("committed", i)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestPointKillsAtTheNthPassage(t *testing.T) {
	for _, tc := range []struct {
		at   string
		last string // line that was printed last; "" = none
		dies bool
	}{
		{"orders.Emit", "", true},
		{"orders.Emit:1", "", true},
		{"orders.Emit:3", "committed 2", true},
		{"orders.Commit:2", "emitted 2", true},
		{"orders.Emit:5", "committed 4", false},
		{"stock.Emit:1", "committed 4", false},
		{"orders.Load:1", "committed 4", false},
		{"orders.Emit:0", "committed 4", false},
		{"orders.Emit:x", "committed 4", false},
		{"", "committed 4", false},
	} {
		t.Run(tc.at, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), "CRASH_TEST_CHILD=1", "CROSSDOCK_CRASH_AT="+tc.at)
			out, err := cmd.Output()
			var exit *exec.ExitError
			killed := errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
			if killed != tc.dies || !tc.dies && err != nil {
				t.Errorf("ended with %v, want killed = %v", err, tc.dies)
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if got := lines[len(lines)-1]; got != tc.last {
				t.Errorf("last line %q, want %q", got, tc.last)
			}
		})
	}
}

// TestPassesCostNothing: a point that is not armed neither fires nor allocates, and neither
// does one that was never made.
func TestPassesCostNothing(t *testing.T) {
	t.Setenv("CROSSDOCK_CRASH_AT", "")
	p := Points("orders")("Emit")
	var none *Point
	if n := testing.AllocsPerRun(100, func() { p.Pass(); none.Pass(); new(Point).Pass() }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkPass(b *testing.B) {
	p := Points("orders")("Emit")
	for b.Loop() {
		p.Pass()
	}
}
