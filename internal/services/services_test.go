package services

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/helloword/crossdock/internal/embedded"
)

// The test binary stands in for the crossdock binary where an engine has to be a
// process of its own, and for a parent that dies.
const selfEnv = "CROSSDOCK_SERVICES_SELF"

func TestMain(m *testing.M) {
	switch os.Getenv(selfEnv) {
	case "":
		os.Exit(m.Run())
	case "engine": // embedded clickhouse --dir D --addr A --library L
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
		defer stop()
		a := os.Args
		if err := embedded.ServeClickHouse(ctx, embedded.ClickHouseConfig{Dir: a[4], Addr: a[6], Library: a[8]}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "parent": // starts a Redis that dies with it, tells its pid, and waits
		r, err := StartRedis(context.Background(), Config{Dir: os.Args[1], DieWithParent: true})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(r.PID())
		select {}
	}
}

// required skips unless the real engines are asked for; then nothing may miss.
func required(t *testing.T) {
	t.Helper()
	if os.Getenv("REQUIRE_SERVICES") != "1" {
		t.Skip("NOTICE: not tested on the real engines: set REQUIRE_SERVICES=1")
	}
	if err := Install(t.Context(), "", t.Output()); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never came true: %s", what)
		}
	}
}

func stopAtEnd(t *testing.T, stop func() error) {
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestKafka(t *testing.T) {
	required(t)
	p, err := StartKafka(t.Context(), Config{Dir: t.TempDir(), DieWithParent: true})
	if err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, p.Stop)
	addr := p.Addr()
	client := func(opts ...kgo.Opt) *kgo.Client {
		c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(addr)}, opts...)...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.CloseAllowingRebalance)
		return c
	}
	c := client()
	if _, err := kadm.NewClient(c).CreateTopic(t.Context(), 2, 1, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	put := func(from, to int) {
		for i := from; i < to; i++ {
			c.Produce(t.Context(), &kgo.Record{Topic: "orders", Value: []byte(strconv.Itoa(i))}, func(_ *kgo.Record, err error) {
				if err != nil {
					t.Error(err)
				}
			})
		}
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	put(0, 100)

	// The broker wakes up from a pause with its clients still there.
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	put(100, 200)
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if p.PID() != 0 {
		t.Errorf("killed, and still process %d", p.PID())
	}
	if err := p.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.Addr() != addr {
		t.Errorf("restarted on %s, not on %s", p.Addr(), addr)
	}
	for name, opt := range map[string]kgo.Opt{"cooperative": kgo.Balancers(kgo.CooperativeStickyBalancer()), "kip848": kgo.ServerSideBalancer()} {
		g := client(kgo.ConsumerGroup(name), kgo.ConsumeTopics("orders"), opt, kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
		seen := map[string]bool{}
		for len(seen) < 200 {
			fs := g.PollFetches(t.Context())
			if err := fs.Err(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			fs.EachRecord(func(r *kgo.Record) { seen[string(r.Value)] = true })
		}
		if err := g.CommitUncommittedOffsets(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := client(kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(1)).ProduceSync(t.Context(), &kgo.Record{Topic: "typo"}).FirstErr(); err == nil {
		t.Error("a topic was created by itself")
	}
	if b, err := os.ReadFile(p.LogPath()); err != nil || !strings.Contains(string(b), "INFO") {
		t.Errorf("the log: %d bytes, %v", len(b), err)
	}
}

func TestRedisFallsBack(t *testing.T) {
	required(t)
	r, err := StartRedis(t.Context(), Config{Dir: t.TempDir(), DieWithParent: true})
	if err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, r.Stop)
	c := redis.NewClient(&redis.Options{Addr: r.Addr()})
	defer func() { _ = c.Close() }()
	set := func(v string) {
		if err := c.Set(t.Context(), "k", v, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("old")
	snapshot := filepath.Join(t.TempDir(), "snap.rdb")
	if err := r.Snapshot(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	set("new")
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := r.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := c.Get(t.Context(), "k").Val(); got != "new" {
		t.Errorf("after kill -9: %q, want what was acknowledged", got)
	}
	if err := r.Restore(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	if got := c.Get(t.Context(), "k").Val(); got != "old" {
		t.Errorf("after the fall-back: %q, want old", got)
	}
	set("newer")
	if err := r.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := c.Get(t.Context(), "k").Val(); got != "newer" {
		t.Errorf("after the fall-back, a write and a restart: %q", got)
	}
}

func TestEnginesDieWithTheirParent(t *testing.T) {
	required(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, t.TempDir())
	cmd.Env = append(os.Environ(), selfEnv+"=parent")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil {
		t.Fatal(err)
	}
	id, err := identify(pid)
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	eventually(t, "the engine dies with its parent", func() bool { return !id.alive() })
}

func TestUpAndDown(t *testing.T) {
	required(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(selfEnv, "engine")
	dir := t.TempDir()
	stopAtEnd(t, func() error { return Down(dir) })
	if err := Up(t.Context(), dir, "", exe, t.Output()); err != nil {
		t.Fatal(err)
	}
	first, err := ReadEnv(EnvFile(dir))
	if err != nil {
		t.Fatal(err)
	}
	get := func(addr string) string {
		res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + addr + "/ping")
		if err != nil {
			return err.Error()
		}
		_ = res.Body.Close()
		return res.Status
	}
	if got := get(first.ClickHouse); got != "200 OK" {
		t.Errorf("ClickHouse: %s", got)
	}
	if err := Up(t.Context(), dir, "", exe, nil); err != nil {
		t.Fatal(err)
	}
	second, err := ReadEnv(EnvFile(dir))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("a second Up changed what ran:\n%s", diff)
	}

	// One that died comes back on its port; the others are left alone.
	if err := syscall.Kill(first.Processes["clickhouse"].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ClickHouse is gone", func() bool { return !first.Processes["clickhouse"].alive() })
	if err := Up(t.Context(), dir, "", exe, nil); err != nil {
		t.Fatal(err)
	}
	third, err := ReadEnv(EnvFile(dir))
	if err != nil {
		t.Fatal(err)
	}
	if third.ClickHouse != first.ClickHouse || third.Processes["kafka"] != first.Processes["kafka"] || third.Processes["clickhouse"] == first.Processes["clickhouse"] {
		t.Errorf("after one was killed:\n%s", cmp.Diff(first, third))
	}
	states, err := Status(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range states {
		if !s.Running || s.Addr == "" {
			t.Errorf("status: %+v", s)
		}
	}

	if err := Down(dir); err != nil {
		t.Fatal(err)
	}
	for name, id := range third.Processes {
		if id.alive() {
			t.Errorf("%s still runs", name)
		}
	}
	if err := Down(dir); err != nil {
		t.Errorf("a second Down: %v", err)
	}
}

func TestDownEndsNobodyElse(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	id, err := identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	stranger := Identity{PID: id.PID, Started: "1@another-boot"}
	if err := WriteEnv(EnvFile(dir), Addresses{Processes: map[string]Identity{"redis": stranger}}); err != nil {
		t.Fatal(err)
	}
	if err := Down(dir); err != nil {
		t.Fatal(err)
	}
	if !id.alive() {
		t.Fatal("a process that only had the same id was ended")
	}
	// With its true identity it is ended.
	if err := WriteEnv(EnvFile(dir), Addresses{Processes: map[string]Identity{"redis": id}}); err != nil {
		t.Fatal(err)
	}
	if err := Down(dir); err != nil {
		t.Fatal(err)
	}
	if id.alive() {
		t.Error("the process of the env file still runs")
	}
}

func TestEnvFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "services.env")
	want := Addresses{
		Kafka: "127.0.0.1:1", Redis: "127.0.0.1:2", ClickHouse: "127.0.0.1:3",
		Processes: map[string]Identity{"kafka": {10, "77@boot"}, "clickhouse": {12, "Mon Nov 23 10:00:00 2026"}},
	}
	if err := WriteEnv(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := ReadEnv(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	out, err := exec.Command("sh", "-c", `. "$1"; printf %s "$CROSSDOCK_TEST_KAFKA/$CROSSDOCK_SERVICES_CLICKHOUSE_STARTED"`, "sh", path).Output()
	if err != nil || string(out) != "127.0.0.1:1/Mon Nov 23 10:00:00 2026" {
		t.Errorf("sourced by a shell: %q, %v", out, err)
	}
	if _, err := ReadEnv(path + ".nosuch"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	for text, place := range map[string]string{
		"nonsense": ":1:",
		"\nexport CROSSDOCK_SERVICES_KAFKA_PID=-1":           ":2:",
		"CROSSDOCK_SERVICES_KAFKA_PID=1":                     "not a process id",
		"# c\nexport PATH=/tmp":                              "unknown name",
		"export CROSSDOCK_SERVICES_KAFKA_COLOUR=red":         "unknown name",
		"CROSSDOCK_SERVICES_REDIS_PID=99999999999999999999x": "not a process id",
	} {
		if _, err := parseEnv("f", text); err == nil || !strings.Contains(err.Error(), place) {
			t.Errorf("%q: %v, want %q", text, err, place)
		}
	}
}

func FuzzEnvFile(f *testing.F) {
	f.Add("export CROSSDOCK_TEST_KAFKA=127.0.0.1:1\nCROSSDOCK_SERVICES_REDIS_PID=12\n")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := parseEnv("f", text)
		if err != nil {
			return
		}
		for name, id := range a.Processes {
			if id.PID != 0 && id.PID < 2 {
				t.Errorf("%s: process %d could be signalled", name, id.PID)
			}
		}
	})
}

func TestStartTellsWhatWentWrong(t *testing.T) {
	for name, cfg := range map[string]Config{
		"not loopback": {Dir: t.TempDir(), Addr: "0.0.0.0:1"},
		"no port":      {Dir: t.TempDir(), Addr: "127.0.0.1"},
	} {
		if _, err := choosePort(cfg.Addr); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	t.Setenv("CROSSDOCK_CACHE", t.TempDir())
	if _, err := StartKafka(t.Context(), Config{Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "install the services first") {
		t.Errorf("Kafka from an empty cache: %v", err)
	}
	if _, err := StartClickHouse(t.Context(), Config{Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "install the services first") {
		t.Errorf("ClickHouse from an empty cache: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if err := installKafka(t.Context(), t.TempDir(), t.Output()); err == nil || !strings.Contains(err.Error(), "on the PATH") {
		t.Errorf("Kafka without Java and Maven: %v", err)
	}
	if err := installRedis(t.Context(), t.TempDir(), t.Output()); err == nil || !strings.Contains(err.Error(), "by hand") {
		t.Errorf("Redis without apt-get: %v", err)
	}
}

// A process that ends before it answers is told with the end of its log.
func TestStartShowsTheLog(t *testing.T) {
	p, err := newProcess("redis", Config{Dir: t.TempDir()}, "127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	p.build = func(context.Context) (*exec.Cmd, error) {
		return exec.Command("sh", "-c", "echo bad configuration line 7; exit 3"), nil
	}
	p.ping = func(context.Context) error { return errors.New("nobody there") }
	if err := p.start(t.Context()); err == nil || !strings.Contains(err.Error(), "bad configuration line 7") {
		t.Errorf("got %v", err)
	}
}
