package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/helloword/crossdock/cmd/crossdock/config"
	ecbsim "github.com/helloword/crossdock/connectors/ecb/simulator"
	"github.com/helloword/crossdock/internal/embedded"
	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/internal/telemetry"
	"github.com/helloword/crossdock/internal/telemetry/telemetrytest"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lines is a log that can be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) has(parts ...string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) }) {
			return true
		}
	}
	return false
}

// desk takes alerts.
type desk struct {
	mu   sync.Mutex
	told []string
}

func (d *desk) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var m struct {
		Notifications []struct{ Kind, Subject string }
	}
	b, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(b, &m)
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range m.Notifications {
		d.told = append(d.told, n.Kind+" "+n.Subject)
	}
}

func (d *desk) heard(what string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Contains(d.told, what)
}

// process is an app that runs, on embedded engines, by a file that the test changes.
type process struct {
	t    *testing.T
	app  *App
	log  *lines
	path string
	dir  string
	base string
	n    int
	hup  chan os.Signal
}

// file is what the configuration says after changes: pairs of old and new text.
func (p *process) file(changes ...string) string {
	p.t.Helper()
	text := p.base
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			p.t.Fatalf("the file has no %q", changes[i])
		}
		text = strings.Replace(text, changes[i], changes[i+1], 1)
	}
	return text
}

// mount changes the file as Kubernetes does: a new folder, and a symbolic link that is moved.
func (p *process) mount(text string) {
	p.t.Helper()
	p.n++
	version := filepath.Join(p.dir, fmt.Sprintf("..v%d", p.n))
	link := filepath.Join(p.dir, "..data")
	for _, err := range []error{
		os.Mkdir(version, 0o700),
		os.WriteFile(filepath.Join(version, "crossdock.yaml"), []byte(text), 0o600),
		os.Symlink(version, link+".new"),
		os.Rename(link+".new", link),
	} {
		if err != nil {
			p.t.Fatal(err)
		}
	}
}

func (p *process) eventually(what string, ok func() bool) {
	p.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(end) {
			p.log.mu.Lock()
			defer p.log.mu.Unlock()
			p.t.Fatalf("%s: did not happen; log:\n%s", what, p.log.b.String())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// figure is the value of a metric, with all labels named.
func (p *process) figure(name string, labels ...string) float64 {
	p.t.Helper()
	families, err := p.app.Registry.Gather()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.Metric {
			var have []string
			for _, l := range m.Label {
				have = append(have, l.GetValue())
			}
			if !slices.ContainsFunc(labels, func(l string) bool { return !slices.Contains(have, l) }) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

// polls that ended well.
func (p *process) polls() float64 { return p.figure("crossdock_polls_total", "rates", "ok") }

// rules lists what the catalog room was told of policies: account/SKU and the most it lists.
func (p *process) rules() (all []string) {
	p.t.Helper()
	err := kafka.Scan(p.t.Context(), p.app.Config.KafkaConfig(), p.app.Scope, slog.New(slog.DiscardHandler), []schemas.Topic{schemas.CatalogIn}, time.Time{}, func(r *kafka.Scanned) error {
		var in event.CatalogInput
		if err := in.UnmarshalVT(r.Value); err != nil {
			return err
		}
		if s := in.GetSettings(); s != nil {
			text := s.Account + "/" + s.Sku + " withdrawn"
			if s.Policy != nil {
				text = fmt.Sprintf("%s/%s %d", s.Account, s.Sku, s.Policy.MaxListed)
			}
			all = append(all, text)
		}
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return all
}

func (p *process) alert(subject string) {
	p.t.Helper()
	b, err := (&event.Alert{Kind: "lag", Subject: subject, Severity: event.Severity_SEVERITY_WARNING}).MarshalVTStrict()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.app.Producer.Produce(p.t.Context(), []kafka.Record{{Topic: schemas.Alerts, Key: []byte(subject), Value: b}}); err != nil {
		p.t.Fatal(err)
	}
}

// start runs roles until the function it returns is called.
func start(t *testing.T, every time.Duration, traces string, roles ...string) (p *process, stop func()) {
	t.Helper()
	broker, err := embedded.NewBroker(embedded.BrokerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	redis, err := embedded.NewRedis(embedded.RedisConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Close() })
	var history strings.Builder
	history.WriteString("Date,USD,GBP,\n")
	for day := time.Now().UTC(); time.Since(day) < 14*24*time.Hour; day = day.AddDate(0, 0, -1) {
		if wd := day.Weekday(); wd != time.Saturday && wd != time.Sunday {
			fmt.Fprintf(&history, "%s,1.1,0.85,\n", day.Format(time.DateOnly))
		}
	}
	bank, err := ecbsim.New([]byte(history.String()), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	rates := httptest.NewServer(bank)
	t.Cleanup(rates.Close)

	p = &process{t: t, dir: t.TempDir(), log: &lines{}, hup: make(chan os.Signal, 1)}
	p.path = filepath.Join(p.dir, "crossdock.yaml")
	p.base = fmt.Sprintf(`tenant: acme
environment: test
kafka:
  brokers: [%q]
  replicas: 1
  min_in_sync: 1
  partitions: {wide: 2, narrow: 1}
redis: {addrs: [%q]}
clickhouse: {addrs: ["127.0.0.1:8123"], buyer_key: env:TEST_BUYER_KEY}
poll: {interval: 1h}
stock:
  policies:
    - {max_listed: 50}
    - {account: rates, max_listed: 5}
push: {increase_delay: 500ms}
alert: {window: 15m}
telemetry:
  listen: ""
  log_level: info
  traces: {endpoint: %q, sample_ratio: 1}
connections:
  rates:
    connector: ecb
    allow_loopback: true
    ecb: {base_url: %q}
`, broker.Addr(), redis.Addr(), traces, rates.URL)
	p.mount(p.base)
	if err := os.Symlink(filepath.Join(p.dir, "..data", "crossdock.yaml"), p.path); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(p.path)
	if err != nil {
		t.Fatal(err)
	}
	log, level, err := telemetry.NewLevelLogger(p.log, cfg.Telemetry.LogLevel, false)
	if err != nil {
		t.Fatal(err)
	}
	if p.app, err = Open(t.Context(), cfg, "test", log); err != nil {
		t.Fatal(err)
	}
	p.app.Level = level
	if _, err := p.app.Producer.ApplyTopics(t.Context(), schemas.Topics(), cfg.Layout()); err != nil {
		t.Fatal(err)
	}
	p.app.Follow(p.hup, every)
	ctx, cancel := context.WithCancel(context.Background())
	ended, ready := make(chan error, 1), make(chan struct{})
	go func() { ended <- p.app.Run(ctx, roles, func() { close(ready) }) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			p.app.Close()
		})
	}
	t.Cleanup(stop)
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("it ended: %v", err)
	}
	return p, stop
}

// TestConfigurationIsFollowed: one running process through changes of its file, right and
// wrong ones.
func TestConfigurationIsFollowed(t *testing.T) {
	tell := &desk{}
	receiver := httptest.NewServer(tell)
	t.Cleanup(receiver.Close)
	t.Setenv("TEST_ALERT_URL", receiver.URL)
	t.Setenv("TEST_ALERT_KEY", "key")
	collector := telemetrytest.New(t)
	p, stop := start(t, 20*time.Millisecond, collector.URL, "poll", "catalog", "push", "alert")

	p.eventually("the first poll", func() bool { return p.polls() == 1 })
	began := p.figure("crossdock_config_last_reload_timestamp_seconds")
	if began == 0 {
		t.Error("when the configuration was taken up at the start is not told")
	}
	p.eventually("the first rules", func() bool { return slices.Equal(p.rules(), []string{"/ 50", "rates/ 5"}) })
	p.alert("nobody listens")
	p.eventually("an alert is counted", func() bool { return p.figure("crossdock_alert_facts_total", "lag") == 1 })

	// A shorter interval acts at once, on a poll that is already being waited for.
	quick := []string{
		"interval: 1h", "interval: 1s", "log_level: info", "log_level: debug",
		"    - {max_listed: 50}\n", "    - {max_listed: 40}\n", "    - {account: rates, max_listed: 5}\n", "",
		"alert: {window: 15m}", "alert: {window: 15m, webhook: {url: env:TEST_ALERT_URL, secret: env:TEST_ALERT_KEY}}",
	}
	p.mount(p.file(quick...))
	p.eventually("polls at the new interval", func() bool { return p.polls() >= 3 })
	p.eventually("the log names what changed", func() bool {
		return p.log.has("level=INFO", "taken up", "alert.webhook.secret, alert.webhook.url, poll.interval, stock.policies, telemetry.log_level")
	})
	if diff := cmp.Diff([]string{"/ 50", "rates/ 5", "rates/ withdrawn", "/ 40"}, p.rules()); diff != "" {
		t.Errorf("rules: %s", diff)
	}
	p.app.Log.Debug("debug is heard")
	if !p.log.has("debug is heard") {
		t.Error("the log level is not followed")
	}
	p.alert("somebody listens")
	p.eventually("the alert is told", func() bool { return tell.heard("lag somebody listens") })
	if tell.heard("lag nobody listens") {
		t.Error("what happened before is told")
	}
	if p.figure("crossdock_config_last_reload_timestamp_seconds") <= began {
		t.Error("the time of the reload is not told")
	}

	// A wrong file is refused by its place, once, and everything stays.
	wrong := append(slices.Clone(quick), "increase_delay: 500ms", "increase_delay: soon")
	p.mount(p.file(wrong...))
	p.eventually("a refusal", func() bool { return p.figure("crossdock_config_reload_failures_total") == 1 })
	p.eventually("the refusal names the place", func() bool {
		return p.log.has("level=ERROR", "the old one stays", "crossdock.yaml:14:", "increase_delay")
	})
	before := p.polls()
	p.eventually("polls go on", func() bool { return p.polls() > before+1 })
	if n := p.figure("crossdock_config_reload_failures_total"); n != 1 {
		t.Errorf("%v refusals of one file", n)
	}

	// What cannot change live is named, and the rest of the same file is taken up.
	p.mount(p.file(append(slices.Clone(quick), "narrow: 1", "narrow: 3", "connections:\n", "connections:\n  other: {connector: ecb, ecb: {}, poll: {interval: 5m}}\n", "log_level: debug", "log_level: warn")...))
	p.eventually("a needed restart", func() bool { return p.figure("crossdock_config_restart_needed") == 2 })
	p.eventually("the log names what needs a restart", func() bool {
		return p.log.has("level=WARN", "needs a restart: connections.other, kafka.partitions.narrow")
	})
	p.app.Log.Info("not heard any more")
	if p.log.has("not heard any more") {
		t.Error("the log level is not followed")
	}
	p.mount(p.file())
	p.eventually("no restart is needed", func() bool { return p.figure("crossdock_config_restart_needed") == 0 })
	p.eventually("the policies of before", func() bool {
		rules := p.rules()
		return slices.Equal(rules[len(rules)-2:], []string{"/ 50", "rates/ 5"})
	})

	stop()
	if spans := collector.Spans(); len(spans) < 3 || spans[0].Name != "poll page" || collector.Resource()["tenant"] != "acme" {
		t.Errorf("spans %v of %v: the last ones are sent when the process stops", spans, collector.Resource())
	}
}

// TestTraceGoesThroughTheRooms: what a poll brought and what the rooms made of it is one trace.
func TestTraceGoesThroughTheRooms(t *testing.T) {
	collector := telemetrytest.New(t)
	p, stop := start(t, time.Hour, collector.URL, "poll", "translate", "fx")
	p.eventually("the rates are handled", func() bool {
		lags, err := p.app.Lags(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		handled := map[string]bool{}
		for _, l := range lags {
			handled[l.Group] = l.End > 0 && l.Records == 0
		}
		return handled["translate"] && handled["fx"]
	})
	stop()
	traces := map[string][]string{}
	for _, s := range collector.Spans() {
		traces[s.Trace] = append(traces[s.Trace], s.Name)
	}
	for _, names := range traces {
		if slices.Contains(names, "poll page") && slices.Contains(names, "translate batch") && slices.Contains(names, "fx batch") {
			return
		}
	}
	t.Errorf("no trace goes through all of it: %v", traces)
}

// TestSignal: SIGHUP is heeded at once, however rarely the file is looked at.
func TestSignal(t *testing.T) {
	p, _ := start(t, time.Hour, "", "push")
	p.mount(p.file("log_level: info", "log_level: warn"))
	p.hup <- syscall.SIGHUP
	p.eventually("the new level", func() bool { return p.app.Level.Level() == slog.LevelWarn })
	p.mount(p.file("tenant: acme", "tenant: [acme"))
	p.hup <- syscall.SIGHUP
	p.eventually("a refusal", func() bool { return p.figure("crossdock_config_reload_failures_total") == 1 })
	p.mount(p.file())
	p.hup <- syscall.SIGHUP
	p.eventually("the old level", func() bool { return p.app.Level.Level() == slog.LevelInfo })
	p.hup <- syscall.SIGHUP
	p.eventually("nothing to do", func() bool { return p.log.has("as it was") })
}

// TestLook: a file that is being written is not taken up, one that is away is waited for.
func TestLook(t *testing.T) {
	p, _ := start(t, time.Hour, "", "push")
	ctx := t.Context()
	w := watch{seen: p.app.Config.Sum(), found: p.app.Config.Sum()}
	level := func() string { return p.app.Level.Level().String() }
	look := func(want string, failures float64) {
		t.Helper()
		p.app.look(ctx, &w, false)
		if got, n := level(), p.figure("crossdock_config_reload_failures_total"); got != want || n != failures {
			t.Errorf("level %s, %v failures; want %s, %v", got, n, want, failures)
		}
	}
	look("INFO", 0)
	p.mount(p.file("log_level: info", "log_level: error"))
	look("INFO", 0) // seen once: it may be half of a file
	p.mount(p.file("log_level: info", "log_level: warn"))
	look("INFO", 0)
	look("WARN", 0) // found twice
	look("WARN", 0)
	link := filepath.Join(p.dir, "..data")
	if err := os.Rename(link, link+".away"); err != nil {
		t.Fatal(err)
	}
	look("WARN", 0) // a moment without a file is no failure
	look("WARN", 1)
	look("WARN", 1) // and is told once
	if err := os.Rename(link+".away", link); err != nil {
		t.Fatal(err)
	}
	p.mount(p.file("log_level: info", "log_level: loud"))
	look("WARN", 1)
	look("WARN", 2)
	look("WARN", 2)
	if !p.log.has("telemetry.log_level", "loud") {
		t.Error("the refusal does not name the key")
	}
	p.mount(p.file())
	look("WARN", 2)
	look("INFO", 2)
}

// TestReloadWhileKafkaIsAway: rules that cannot be sent change nothing else either, and are
// sent later.
func TestReloadWhileKafkaIsAway(t *testing.T) {
	p, _ := start(t, time.Hour, "", "catalog")
	p.eventually("the first rules", func() bool { return len(p.rules()) == 2 })
	w := watch{seen: p.app.Config.Sum(), found: p.app.Config.Sum()}
	p.mount(p.file("max_listed: 50", "max_listed: 40", "log_level: info", "log_level: warn"))
	gone, cancel := context.WithCancel(t.Context())
	cancel() // a call that cannot be made
	next, err := config.Load(p.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.app.Reload(gone, next); err == nil || p.app.Level.Level() != slog.LevelInfo {
		t.Fatalf("reload: %v, level %v", err, p.app.Level.Level())
	}
	p.app.look(t.Context(), &w, true)
	if diff := cmp.Diff("/ 40 rates/ 5", strings.Join(p.rules()[2:], " ")); diff != "" || p.app.Level.Level() != slog.LevelWarn {
		t.Errorf("rules %s, level %v", diff, p.app.Level.Level())
	}
}
