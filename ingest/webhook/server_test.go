package webhook

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// start serves on a free port; the function it returns stops the server and gives its error.
func (w *world) start(t *testing.T) (address string, stop func() error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Serve(ctx, l) }()
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-done
	}
	t.Cleanup(func() { _ = stop() })
	return l.Addr().String(), stop
}

func request(body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nX-Signature: %s\r\nX-Object: 1\r\nContent-Length: %d\r\n\r\n%s",
		uk, sign([]byte(body)), len(body), body)
}

// talk writes raw bytes on a connection of its own and reads one answer.
func talk(t *testing.T, address, text string) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp
}

func TestServe(t *testing.T) {
	w := newWorld(t, Config{ReadTimeout: 2 * time.Second, MaxBody: 1 << 20, MaxHeader: 8 << 10})
	address, stop := w.start(t)
	if got := talk(t, address, request("order")).StatusCode; got != 200 {
		t.Errorf("plain: %d", got)
	}
	large := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nX-Large: %s\r\n\r\n", uk, strings.Repeat("x", 32<<10))
	if got := talk(t, address, large).StatusCode; got != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("large header: %d", got)
	}
	// A body that is announced and never comes.
	slow := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf", uk)
	if got := talk(t, address, slow).StatusCode; got != http.StatusRequestTimeout {
		t.Errorf("slow body: %d", got)
	}
	// A caller that asks first is told before it sends two gigabytes.
	expect := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2000000000\r\n\r\n", uk)
	if got := talk(t, address, expect).StatusCode; got != http.StatusRequestEntityTooLarge {
		t.Errorf("expect: %d", got)
	}
	if n := len(w.kafka.stored()); n != 1 {
		t.Errorf("%d records", n)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// A stop finishes what was taken: the request under way gets its answer after its record.
func TestGracefulStop(t *testing.T) {
	w := newWorld(t, Config{AnswerTimeout: time.Minute, DrainTimeout: time.Minute})
	inside, leave := make(chan struct{}), make(chan struct{})
	w.kafka.produce = func(ctx context.Context) error {
		close(inside)
		<-leave
		return ctx.Err()
	}
	address, stop := w.start(t)
	status := make(chan int, 1)
	go func() { status <- talk(t, address, request("order")).StatusCode }()
	<-inside
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	// No new connection is taken any more; then the old one is allowed to finish.
	eventually(t, "the listener's end", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	select {
	case err := <-stopped:
		t.Fatalf("stopped with a request under way: %v", err)
	default:
	}
	close(leave)
	if got := <-status; got != 200 {
		t.Errorf("the request under way got %d", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if n := len(w.kafka.stored()); n != 1 {
		t.Errorf("%d records", n)
	}
}

func TestStopCutsOffAfterTheDrainTimeout(t *testing.T) {
	w := newWorld(t, Config{DrainTimeout: 20 * time.Millisecond})
	inside, leave := make(chan struct{}), make(chan struct{})
	w.kafka.produce = func(context.Context) error { close(inside); <-leave; return nil }
	address, stop := w.start(t)
	go func() {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, request("order"))
		_, _ = io.ReadAll(conn)
	}()
	<-inside
	if err := stop(); err != nil {
		t.Error(err)
	}
	close(leave)
	eventually(t, "the handler's end", func() bool { return w.inFlight.Load() == 0 })
}

func TestRunReportsABusyPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if err := newWorld(t, Config{Address: l.Addr().String()}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("got %v", err)
	}
}

// eventually polls a condition that another goroutine brings about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("%s did not happen", what)
		}
		time.Sleep(time.Millisecond)
	}
}
