package push

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"

	goredis "github.com/redis/go-redis/v9"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// notebook is a file that survives the process: a platform's books, or Kafka.
type notebook string

func (n notebook) note(line string) error {
	f, err := os.OpenFile(string(n), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line + "\n")
	return errors.Join(err, f.Close())
}

func (n notebook) lines() (all []string) {
	b, err := os.ReadFile(string(n))
	if err != nil {
		return nil
	}
	s := bufio.NewScanner(strings.NewReader(string(b)))
	for s.Scan() {
		all = append(all, s.Text())
	}
	return all
}

// bank refunds, and asks its books first.
type bank struct{ calls, books notebook }

func (b bank) PushRefund(_ context.Context, w connectors.RefundWrite) (connectors.Result, error) {
	if err := b.calls.note(w.CommandID); err != nil {
		return connectors.Result{}, err
	}
	for _, l := range b.books.lines() {
		if l == w.CommandID {
			return connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED}, nil
		}
	}
	return connectors.Result{Outcome: event.Outcome_OUTCOME_ACCEPTED}, b.books.note(w.CommandID)
}

// ledger is Kafka: it is told what became of commands.
type ledger struct{ notebook }

func (l ledger) Produce(_ context.Context, records []kafka.Record) error {
	for _, r := range records {
		if err := l.note(r.Topic.Name); err != nil {
			return err
		}
	}
	return nil
}

// TestCommandCrashChild is the process that dies. It carries out one refund and ends well if
// nobody kills it.
func TestCommandCrashChild(t *testing.T) {
	dir, addr := os.Getenv("CROSSDOCK_TEST_CRASH_DIR"), os.Getenv("CROSSDOCK_TEST_CRASH_REDIS")
	if dir == "" {
		t.Skip("runs as the child of TestKillAtEveryPointOfACommand only")
	}
	in := func(name string) notebook { return notebook(filepath.Join(dir, name)) }
	client := goredis.NewClient(&goredis.Options{Addr: addr})
	defer client.Close()
	log := slog.New(slog.DiscardHandler)
	sink, err := New(DefaultConfig(), Deps{
		Accounts: map[string]Account{"uk": {Connector: "shop", Refund: bank{in("calls"), in("books")}}},
		Publish:  ledger{in("kafka")}, Memory: NewRedisMemory(client, testScope, log), Commands: NewRedisCommands(client, testScope, log),
		Log: log, Now: time.Now, Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = sink.Run(ctx) }()
	tg := refunding("A", 1, 500)
	value, err := tg.MarshalVTStrict()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	if err := sink.Offer(ctx, []*stream.Delivery{{
		Record: &stream.Record{Topic: schemas.PushCommands, Key: []byte(commandKey(tg)), Value: value}, Done: func() { close(done) },
	}}); err != nil {
		t.Fatal(err)
	}
	<-done
	cancel()
	<-ended
}

// TestKillAtEveryPointOfACommand: kill -9 before the call, after the answer, and after the
// record. The next process calls again under the same name, and the money is given back once.
func TestKillAtEveryPointOfACommand(t *testing.T) {
	for at, want := range map[string]struct{ calls, told int }{
		"push.CommandClaim:1": {1, 2}, "push.CommandCall:1": {2, 2}, "push.CommandRecord:1": {2, 4},
	} {
		t.Run(at, func(t *testing.T) {
			mr, dir := miniredis.RunT(t), t.TempDir()
			run := func(crash string) error {
				cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCommandCrashChild$")
				cmd.Env = append(os.Environ(), "CROSSDOCK_TEST_CRASH_DIR="+dir, "CROSSDOCK_TEST_CRASH_REDIS="+mr.Addr(), "CROSSDOCK_CRASH_AT="+crash)
				return cmd.Run()
			}
			var exit *exec.ExitError
			if err := run(at); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("the child was not killed: %v", err)
			}
			mr.FastForward(DefaultConfig().CallTimeout + holdBeyond) // nobody can be at it any more
			if err := run(""); err != nil {
				t.Fatal(err)
			}
			in := func(name string) []string { return notebook(filepath.Join(dir, name)).lines() }
			calls := in("calls")
			for _, c := range calls {
				if c != calls[0] {
					t.Errorf("it was asked for under two names: %v", calls)
				}
			}
			if got := fmt.Sprint(len(calls), len(in("books")), len(in("kafka"))); got != fmt.Sprint(want.calls, 1, want.told) {
				t.Errorf("calls, refunds and records: %s, want %d 1 %d", got, want.calls, want.told)
			}
		})
	}
}
