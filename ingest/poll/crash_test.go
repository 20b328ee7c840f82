package poll

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/kafka"
)

// file is a Kafka that survives the process: each call is one synchronous write.
type file struct{ path string }

func (f file) Produce(_ context.Context, records []kafka.Record) error {
	var b bytes.Buffer
	for _, r := range records {
		b.Write(append(r.Value, '\n'))
	}
	out, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := out.Write(b.Bytes()); err != nil {
		return err
	}
	return out.Close()
}

// TestCrashChild is the process that dies. It polls once and ends well if nobody kills it.
func TestCrashChild(t *testing.T) {
	dir, addr := os.Getenv("CROSSDOCK_TEST_CRASH_DIR"), os.Getenv("CROSSDOCK_TEST_CRASH_REDIS")
	if dir == "" {
		t.Skip("runs as the child of TestKillAtEveryPoint only")
	}
	w := worldAt(t, Config{ChunkRecords: 2}, addr, pollFunc(func(_ context.Context, req connectors.PollRequest, emit func(connectors.Raw) error) (connectors.PollResult, error) {
		// Five changes a part, two parts.
		first := 0
		if req.Cursor != nil {
			if _, err := fmt.Sscan(string(req.Cursor), &first); err != nil {
				return connectors.PollResult{}, err
			}
		}
		for i := first; i < first+5; i++ {
			if err := emit(object(fmt.Sprint("o", i))); err != nil {
				return connectors.PollResult{}, err
			}
		}
		return connectors.PollResult{Cursor: cursor(first + 5), More: first == 0}, nil
	}))
	w.publisher = file{filepath.Join(dir, "kafka")}
	w.visitOrders(t.Context())
}

// kill -9 at each point and passage: what was not acknowledged is polled again, nothing is
// missing, and only the part under way is seen twice.
func TestKillAtEveryPoint(t *testing.T) {
	for _, at := range []string{"poll.Fetch:1", "poll.Fetch:2", "poll.Produce:1", "poll.Produce:3", "poll.Produce:4", "poll.Save:1", "poll.Save:2"} {
		t.Run(at, func(t *testing.T) {
			mr := newRedis(t)
			dir := t.TempDir()
			run := func(crash string) error {
				cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrashChild$")
				cmd.Env = append(os.Environ(), "CROSSDOCK_TEST_CRASH_DIR="+dir, "CROSSDOCK_TEST_CRASH_REDIS="+mr.Addr(), "CROSSDOCK_CRASH_AT="+crash)
				return cmd.Run()
			}
			err := run(at)
			if status, ok := exitStatus(err); !ok || status.Signal() != syscall.SIGKILL {
				t.Fatalf("the child was not killed: %v", err)
			}
			mr.FastForward(20 * time.Second)
			mr.SetTime(epoch.Add(time.Hour))
			if at == "poll.Save:2" {
				// Everything was done: another poll would find the next changes.
				mr.SetTime(epoch)
			}
			if err := run(""); err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(filepath.Join(dir, "kafka"))
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]int{}
			for _, id := range strings.Fields(string(content)) {
				seen[id]++
			}
			for i := range 10 {
				if n := seen[fmt.Sprint("o", i)]; n < 1 || n > 2 {
					t.Errorf("o%d was seen %d times", i, n)
				}
			}
			if len(seen) != 10 {
				t.Errorf("%d objects", len(seen))
			}
		})
	}
}

func exitStatus(err error) (syscall.WaitStatus, bool) {
	exit, ok := err.(*exec.ExitError) //nolint:errorlint // exactly what Run returns
	if !ok {
		return 0, false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return status, ok
}
