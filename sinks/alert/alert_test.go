package alert

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// clock is moved by the tests.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

// desk is a receiver of webhooks.
type desk struct {
	mu       sync.Mutex
	status   int
	messages []Message
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	d.mu.Lock()
	defer d.mu.Unlock()
	var m Message
	if err := json.Unmarshal(body, &m); err != nil || r.Header.Get(HeaderSignature) != Sign([]byte("key"), body, m.SentAt) || r.Header.Get(HeaderID) != m.ID {
		http.Error(w, "unauthentic", http.StatusUnauthorized)
		return
	}
	if d.status != 0 {
		w.WriteHeader(d.status)
		return
	}
	d.messages = append(d.messages, m)
}

// told is what arrived since the last call, in short.
func (d *desk) told() (all []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.messages {
		for _, n := range m.Notifications {
			all = append(all, fmt.Sprintf("%s %s %s ×%d", n.Severity, n.Kind, n.Subject, n.Count))
		}
	}
	d.messages = nil
	return all
}

func webhook(t *testing.T, cfg Config, d *desk, c *clock) *Writer {
	t.Helper()
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	t.Setenv("TEST_ALERT_URL", server.URL+"/hooks/top-secret")
	t.Setenv("TEST_ALERT_KEY", "key")
	cfg.Webhook = Webhook{URL: "env:TEST_ALERT_URL", Key: "env:TEST_ALERT_KEY"}
	w, err := New(cfg, Deps{HTTP: server.Client(), Now: c.Now, Metrics: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func batch(t testing.TB, topic schemas.Topic, first int64, ms ...stream.Message) *stream.Batch {
	t.Helper()
	b := &stream.Batch{Topic: topic.Name, First: first, Last: first + int64(len(ms)) - 1, Token: fmt.Sprint(topic.Name, first)}
	for i, m := range ms {
		value, err := m.MarshalVTStrict()
		if err != nil {
			t.Fatal(err)
		}
		r := &stream.Record{Topic: topic, Offset: first + int64(i), Value: value}
		if strings.HasPrefix(topic.Name, "dlq.") {
			r.Headers, r.Value = []stream.Header{{Key: schemas.HeaderDeadLetter, Value: value}}, []byte("bytes as received")
		}
		b.Records = append(b.Records, r)
	}
	return b
}

func short(sku string, units int64) *event.StockAlarm {
	return &event.StockAlarm{Sku: sku, Kind: event.AlarmKind_ALARM_KIND_SHORT, Units: units, Cause: "adjust/uk/1", OccurredMs: start.UnixMilli()}
}

func write(t *testing.T, w *Writer, b *stream.Batch) {
	t.Helper()
	if err := w.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, d *desk, lines ...string) {
	t.Helper()
	if diff := cmp.Diff(lines, d.told()); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestSameSubjectOncePerWindowWithCount(t *testing.T) {
	d, c := &desk{}, &clock{start}
	w := webhook(t, Config{}, d, c)
	write(t, w, batch(t, schemas.StockAlarms, 0, short("A", 1), short("B", 1), short("A", 2)))
	want(t, d, "warning short SKU A ×2", "warning short SKU B ×1")
	for i := range int64(5) {
		c.now = c.now.Add(time.Minute)
		write(t, w, batch(t, schemas.StockAlarms, 3+i, short("A", 3)))
	}
	want(t, d)
	c.now = start.Add(15 * time.Minute)
	write(t, w, batch(t, schemas.StockAlarms, 8, short("A", 4)))
	want(t, d, "warning short SKU A ×6") // the five that were held back, too
	// A window that ends without a new fact tells what it held back.
	write(t, w, batch(t, schemas.StockAlarms, 9, short("A", 5)))
	c.now = c.now.Add(14 * time.Minute)
	flush(t, w)
	want(t, d)
	c.now = c.now.Add(time.Minute)
	flush(t, w)
	want(t, d, "warning short SKU A ×1")
	// And a quiet one is forgotten.
	c.now = c.now.Add(15 * time.Minute)
	flush(t, w)
	want(t, d)
	if n := len((*w.channels.Load())[0].windows); n != 0 {
		t.Errorf("%d windows are kept for nothing", n)
	}
}

func flush(t *testing.T, w *Writer) {
	t.Helper()
	for _, c := range *w.channels.Load() {
		if err := c.flush(t.Context(), w.deps.Now()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEveryTopicIsTold(t *testing.T) {
	d, c := &desk{}, &clock{start}
	w := webhook(t, Config{MinSeverity: Info}, d, c)
	write(t, w, batch(t, schemas.StockAlarms, 0, &event.StockAlarm{Sku: "A", Warehouse: "main", Kind: event.AlarmKind_ALARM_KIND_OVERSOLD, Units: 2}, &event.StockAlarm{Sku: "B", Kind: event.AlarmKind_ALARM_KIND_CLEARED}))
	want(t, d, "critical oversold SKU A in main ×1", "info stock-cleared SKU B ×1")
	write(t, w, batch(t, schemas.Alerts, 0, &event.Alert{Kind: "needs-authorisation", Severity: event.Severity_SEVERITY_CRITICAL, Account: "uk"}, &event.Alert{Kind: "lag", Subject: "orders", Severity: event.Severity_SEVERITY_WARNING}))
	want(t, d, "critical needs-authorisation uk ×1", "warning lag orders ×1")
	for _, stage := range schemas.Stages {
		write(t, w, batch(t, schemas.DeadLetters(stage), 0, &event.DeadLetter{Stage: stage, Code: "malformed", Account: "uk"}, &event.DeadLetter{Stage: stage, Code: "malformed", Account: "uk"}))
		want(t, d, "warning dead-letter "+stage+": malformed (uk) ×2")
	}
	names := map[string]bool{}
	for _, topic := range w.Topics() {
		names[topic.Name] = true
	}
	if len(names) != 2+len(schemas.Stages) || !names["alerts.v1"] || !names["stock.alarms.v1"] {
		t.Errorf("topics: %v", names)
	}
}

func TestSeverityAndClearing(t *testing.T) {
	d, c := &desk{}, &clock{start}
	w := webhook(t, Config{}, d, c)
	cleared := &event.StockAlarm{Sku: "A", Kind: event.AlarmKind_ALARM_KIND_CLEARED}
	write(t, w, batch(t, schemas.StockAlarms, 0, short("A", 1), cleared))
	want(t, d, "warning short SKU A ×1")
	// It was over, by the second batch: the next one is told at once, in the same window.
	write(t, w, batch(t, schemas.StockAlarms, 2, cleared))
	write(t, w, batch(t, schemas.StockAlarms, 3, short("A", 1)))
	want(t, d, "warning short SKU A ×1")
}

func TestAtLeastOnce(t *testing.T) {
	d, c := &desk{status: 503}, &clock{start}
	w := webhook(t, Config{}, d, c)
	b := batch(t, schemas.StockAlarms, 0, short("A", 1), short("A", 2))
	for range 3 {
		err := w.Write(t.Context(), b)
		if err == nil || connectors.Class(err) != "transient" {
			t.Fatalf("a receiver that is away: %v", err)
		}
		if strings.Contains(err.Error(), "top-secret") {
			t.Errorf("the error holds the address: %v", err)
		}
	}
	d.status = 0
	write(t, w, b)
	want(t, d, "warning short SKU A ×2")
	// The loop did not hear of it and comes again: nothing is told twice, nothing counted.
	write(t, w, b)
	c.now = c.now.Add(time.Hour)
	flush(t, w)
	want(t, d)
}

func TestAddressIsNotInErrors(t *testing.T) {
	d, c := &desk{}, &clock{start}
	w := webhook(t, Config{}, d, c)
	t.Setenv("TEST_ALERT_URL", "http://127.0.0.1:1/hooks/top-secret")
	err := w.Write(t.Context(), batch(t, schemas.StockAlarms, 0, short("A", 1)))
	if err == nil || strings.Contains(err.Error(), "top-secret") || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("nobody there: %v", err)
	}
	t.Setenv("TEST_ALERT_URL", "ftp://top-secret")
	if err := w.Write(t.Context(), batch(t, schemas.StockAlarms, 0, short("A", 1))); err == nil || strings.Contains(err.Error(), "top-secret") {
		t.Errorf("not an address: %v", err)
	}
}

func TestBadRecordsAreRejectedAndTheRestTold(t *testing.T) {
	d, c := &desk{}, &clock{start}
	w := webhook(t, Config{}, d, c)
	b := batch(t, schemas.StockAlarms, 0, short("A", 1), short("B", 1), &event.StockAlarm{Sku: "C"})
	b.Records[0].Value = []byte{0xff}
	err := w.Write(t.Context(), b)
	var rejected *stream.RejectedError
	if !errors.As(err, &rejected) || len(rejected.Records) != 2 || rejected.Records[0].Index != 0 || rejected.Records[1].Index != 2 {
		t.Fatalf("got %v", err)
	}
	if got := []string{connectors.Class(rejected.Records[0].Err), connectors.Class(rejected.Records[1].Err)}; got[0] != "malformed" || got[1] != "unsupported" {
		t.Errorf("classes: %v", got)
	}
	want(t, d, "warning short SKU B ×1")
}

func TestBounded(t *testing.T) {
	d, c := &desk{}, &clock{start}
	w := webhook(t, Config{SubjectsPerKind: 3}, d, c)
	var many []stream.Message
	for i := range 1000 {
		many = append(many, short(fmt.Sprintf("S%03d", i), 1))
	}
	write(t, w, batch(t, schemas.StockAlarms, 0, many...))
	want(t, d, "warning short SKU S000 ×1", "warning short SKU S001 ×1", "warning short SKU S002 ×1", "warning short (others) ×997")
	many = nil
	for i := range 1000 {
		many = append(many, &event.Alert{Kind: fmt.Sprint("kind", i), Subject: "x", Severity: event.Severity_SEVERITY_WARNING})
	}
	write(t, w, batch(t, schemas.Alerts, 0, many...))
	if got := len(d.told()); got > maxKinds+1 {
		t.Errorf("%d notifications of %d kinds", got, maxKinds)
	}
	if got := len((*w.channels.Load())[0].windows); got > (maxKinds+1)*(3+1) {
		t.Errorf("%d windows are kept", got)
	}
}

func TestRunTellsWhatWindowsHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []Notification
		soFar := func() []Notification {
			mu.Lock()
			defer mu.Unlock()
			return told
		}
		w, err := New(Config{Window: time.Minute}, Deps{HTTP: http.DefaultClient, Now: time.Now, Metrics: prometheus.NewRegistry()})
		if err != nil {
			t.Fatal(err)
		}
		w.channels.Store(&[]*channel{newChannel("test", w.cfg, func(_ context.Context, _ string, ns []Notification) error {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, ns...)
			return nil
		})})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		write(t, w, batch(t, schemas.StockAlarms, 0, short("A", 1)))
		write(t, w, batch(t, schemas.StockAlarms, 1, short("A", 1)))
		if n := len(soFar()); n != 1 {
			t.Fatalf("told %d at once, want 1", n)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if told := soFar(); len(told) != 2 || told[1].Count != 1 {
			t.Errorf("told %v", told)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// smtpServer takes mails without TLS.
type smtpServer struct {
	addr string
	mu   sync.Mutex
	mail []string
	deny bool
}

func newSMTP(t *testing.T) *smtpServer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &smtpServer{addr: ln.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() { _ = ln.Close(); wg.Wait() })
	return s
}

func (s *smtpServer) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewScanner(conn)
	say := func(line string) { _, _ = io.WriteString(conn, line+"\r\n") }
	say("220 test")
	var data strings.Builder
	reading := false
	for in.Scan() {
		line := in.Text()
		switch {
		case reading && line == ".":
			reading = false
			s.mu.Lock()
			s.mail = append(s.mail, data.String())
			s.mu.Unlock()
			say("250 taken")
		case reading:
			data.WriteString(line + "\n")
		case strings.HasPrefix(line, "RCPT") && s.denies():
			say("550 nobody here")
		case strings.HasPrefix(line, "DATA"):
			data.Reset()
			reading = true
			say("354 go on")
		case strings.HasPrefix(line, "QUIT"):
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (s *smtpServer) denies() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deny
}

func TestMail(t *testing.T) {
	s := newSMTP(t)
	d, c := &desk{}, &clock{start}
	cfg := Config{Mail: Mail{Server: s.addr, From: "crossdock@example.org", To: []string{"ops@example.org"}, TLS: "none"}}
	w := webhook(t, cfg, d, c)
	s.deny = true
	evil := short("A\r\nBcc: thief@example.org", 1)
	b := batch(t, schemas.StockAlarms, 0, evil, &event.StockAlarm{Sku: "B", Kind: event.AlarmKind_ALARM_KIND_OVERSOLD, Units: 3, Cause: "order/uk/1"})
	if err := w.Write(t.Context(), b); err == nil || !strings.Contains(err.Error(), s.addr) {
		t.Fatalf("a mail server that refuses: %v", err)
	}
	s.mu.Lock()
	s.deny = false
	s.mu.Unlock()
	write(t, w, b)
	// The webhook had taken it the first time and is not called again.
	want(t, d, "warning short SKU A  Bcc: thief@example.org ×1", "critical oversold SKU B ×1")
	if len(s.mail) != 1 {
		t.Fatalf("%d mails, want 1", len(s.mail))
	}
	head, body, _ := strings.Cut(s.mail[0], "\n\n")
	if !strings.Contains(head, "Subject: [crossdock] critical: oversold, SKU B and 1 more") {
		t.Errorf("head:\n%s", head)
	}
	if strings.Contains(head, "\nBcc:") {
		t.Errorf("a header was smuggled in:\n%s", head)
	}
	if !strings.Contains(body, "3 units of B are promised and not there, since order/uk/1") {
		t.Errorf("body:\n%s", body)
	}
}

func TestConfigValidate(t *testing.T) {
	good := Config{Webhook: Webhook{URL: "env:A", Key: "env:B"}, Mail: Mail{Server: "mail:25", From: "a@example.org", To: []string{"b@example.org"}}}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Config){
		"webhook url":   func(c *Config) { c.Webhook.URL = "https://hooks.example.org/secret" },
		"webhook key":   func(c *Config) { c.Webhook.Key = "" },
		"mail server":   func(c *Config) { c.Mail.Server = "mail" },
		"sender":        func(c *Config) { c.Mail.From = "x" },
		"receiver":      func(c *Config) { c.Mail.To = []string{"x"} },
		"write to":      func(c *Config) { c.Mail.To = nil },
		"mail tls":      func(c *Config) { c.Mail.TLS = "ssl3" },
		"without TLS":   func(c *Config) { c.Mail.TLS, c.Mail.Username, c.Mail.Password = "none", "u", "env:P" },
		"mail password": func(c *Config) { c.Mail.Username = "u" },
		"severity":      func(c *Config) { c.MinSeverity = "loud" },
		"negative":      func(c *Config) { c.Window = -1 },
	} {
		c := good
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hooks.example.org") {
			t.Errorf("want an error about %q, got %v", want, err)
		}
	}
}

func FuzzReadFact(f *testing.F) {
	for _, m := range []stream.Message{short("A", 1), &event.Alert{Kind: "lag", Subject: "x"}, &event.DeadLetter{Stage: "translate", Reason: strings.Repeat("é", 2000)}} {
		b, _ := m.MarshalVTStrict()
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, topic := range []string{"alerts.v1", "stock.alarms.v1", "dlq.orders.v1"} {
			r := &stream.Record{Value: b, Headers: []stream.Header{{Key: schemas.HeaderDeadLetter, Value: b}}}
			got, err := readFact(topic, r)
			if err != nil {
				if c := connectors.Class(err); c != "malformed" && c != "unsupported" {
					t.Errorf("class %s: %v", c, err)
				}
				continue
			}
			for _, s := range []string{got.subject, got.text, got.kind, got.account} {
				if !utf8.ValidString(s) || strings.ContainsAny(s, "\r\n\x00") || len(s) > maxText {
					t.Errorf("unclean: %q", s)
				}
			}
		}
	})
}
