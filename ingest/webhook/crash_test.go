package webhook

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/helloword/crossdock/internal/kafka"
)

// TestCrashChild is the process that dies: a server whose Kafka is a file.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv("CROSSDOCK_TEST_CRASH_DIR")
	if dir == "" {
		t.Skip("runs as the child of TestKillAtEveryPoint only")
	}
	w := newWorld(t, Config{})
	w.publisher = publisherFunc(func(_ context.Context, records []kafka.Record) error {
		out, err := os.OpenFile(filepath.Join(dir, "kafka"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		for _, r := range records {
			if _, err := fmt.Fprintf(out, "%s\n", r.Value); err != nil {
				return err
			}
		}
		return out.Close()
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// The name appears with its whole content.
	if err := os.WriteFile(filepath.Join(dir, "new"), []byte(l.Addr().String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "address")); err != nil {
		t.Fatal(err)
	}
	if err := w.Serve(ctx, l); err != nil {
		t.Fatal(err)
	}
}

// kill -9 at each point: whoever got a 200 is stored; whoever got none sends again and is
// stored then; nothing is missing.
func TestKillAtEveryPoint(t *testing.T) {
	for at, copies := range map[string]int{"webhook.Receive:2": 1, "webhook.Produce:2": 2, "webhook.Answer:2": 2} {
		t.Run(at, func(t *testing.T) {
			dir := t.TempDir()
			client := &http.Client{Timeout: 20 * time.Second}
			defer client.CloseIdleConnections()
			address, stop := child(t, dir, at)
			for i := range 3 {
				for attempt := 1; !post(client, address, fmt.Sprint("order-", i)); attempt++ {
					if attempt > 1 {
						t.Fatalf("order %d was refused twice", i)
					}
					stop()
					address, stop = child(t, dir, "")
				}
			}
			stop()
			content, err := os.ReadFile(filepath.Join(dir, "kafka"))
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range []int{1, copies, 1} {
				if got := strings.Count(string(content), fmt.Sprintf("order-%d\n", i)); got != want {
					t.Errorf("order %d is stored %d times, want %d", i, got, want)
				}
			}
		})
	}
}

// post reports whether the server answered 200.
func post(client *http.Client, address, body string) bool {
	r, err := http.NewRequest(http.MethodPost, "http://"+address+uk, bytes.NewReader([]byte(body)))
	if err != nil {
		return false
	}
	// Without it net/http would send the body again by itself.
	r.GetBody = nil
	r.Header.Set("X-Signature", sign([]byte(body)))
	resp, err := client.Do(r)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// child starts a server and waits for its address.
func child(t *testing.T, dir, crash string) (address string, stop func()) {
	t.Helper()
	file := filepath.Join(dir, "address")
	_ = os.Remove(file)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrashChild$")
	cmd.Env = append(os.Environ(), "CROSSDOCK_TEST_CRASH_DIR="+dir, "CROSSDOCK_CRASH_AT="+crash)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the child's address", func() bool {
		b, err := os.ReadFile(file)
		address = string(b)
		return err == nil
	})
	return address, func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
}
