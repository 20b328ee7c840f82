package alert

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// counts are the series of a registry that are not 0.
func counts(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetValue())
			}
			if v := m.Counter.GetValue(); v != 0 {
				all[strings.TrimPrefix(f.GetName(), "crossdock_alert_")+" "+strings.Join(labels, " ")] = v
			}
		}
	}
	return all
}

// TestFactsAreCounted: also when there is nobody to tell, once however often a batch comes
// again, and with labels that do not grow with what others write.
func TestFactsAreCounted(t *testing.T) {
	reg := prometheus.NewRegistry()
	w, err := New(Config{}, Deps{HTTP: http.DefaultClient, Now: time.Now, Metrics: reg})
	if err != nil {
		t.Fatal(err)
	}
	oversold := short("A", 2)
	oversold.Kind = event.AlarmKind_ALARM_KIND_OVERSOLD
	alarms := batch(t, schemas.StockAlarms, 0, short("A", 1), oversold, oversold)
	write(t, w, alarms)
	write(t, w, alarms)
	write(t, w, batch(t, schemas.StockAlarms, 2, oversold, oversold)) // 2 was there, 3 is new
	write(t, w, batch(t, schemas.Alerts, 0, &event.Alert{Kind: "needs-authorisation", Account: "uk"},
		&event.Alert{Kind: "made up 1", Subject: "x"}, &event.Alert{Kind: "made up 2", Subject: "x"}))
	write(t, w, batch(t, schemas.DeadLetters("translate"), 0, &event.DeadLetter{Stage: "translate", Code: "malformed"}))
	if diff := cmp.Diff(map[string]float64{
		"facts_total short": 1, "facts_total oversold": 3, "facts_total needs-authorisation": 1, "facts_total other": 2, "facts_total dead-letter": 1,
	}, counts(t, reg)); diff != "" {
		t.Error(diff)
	}
}

// TestCountedThoughNobodyAnswers: a receiver that is away does not hide what happened.
func TestCountedThoughNobodyAnswers(t *testing.T) {
	d, c := &desk{status: http.StatusBadGateway}, &clock{start}
	w := webhook(t, Config{}, d, c)
	b := batch(t, schemas.StockAlarms, 0, short("A", 1))
	for range 2 {
		if err := w.Write(t.Context(), b); err == nil {
			t.Fatal("nobody took it")
		}
	}
	d.mu.Lock()
	d.status = 0
	d.mu.Unlock()
	write(t, w, b)
	want(t, d, "warning short SKU A ×1")
	if diff := cmp.Diff(map[string]float64{"facts_total short": 1, "messages_total webhook failed": 2, "messages_total webhook sent": 1},
		counts(t, w.deps.Metrics.(*prometheus.Registry))); diff != "" {
		t.Error(diff)
	}
}

// TestReload: routes change while it runs; a way that stays knows what it told.
func TestReload(t *testing.T) {
	first, second, c := &desk{}, &desk{}, &clock{start}
	w := webhook(t, Config{}, first, c)
	other := httptest.NewServer(second)
	t.Cleanup(other.Close)
	t.Setenv("TEST_ALERT_SECOND", other.URL)
	write(t, w, batch(t, schemas.StockAlarms, 0, short("A", 1)))
	want(t, first, "warning short SKU A ×1")

	moved := Config{Webhook: Webhook{URL: "env:TEST_ALERT_SECOND", Key: "env:TEST_ALERT_KEY"}, Window: time.Hour}
	wrong := moved
	wrong.Webhook.Key = ""
	if err := w.Reload(wrong); err == nil || !strings.Contains(err.Error(), "webhook key") {
		t.Errorf("a wrong configuration: %v", err)
	}
	write(t, w, batch(t, schemas.StockAlarms, 1, short("B", 1)))
	want(t, first, "warning short SKU B ×1")

	if err := w.Reload(moved); err != nil {
		t.Fatal(err)
	}
	c.now = c.now.Add(20 * time.Minute) // beyond the old window, within the new one
	write(t, w, batch(t, schemas.StockAlarms, 2, short("A", 1), short("C", 1)))
	want(t, first)
	want(t, second, "warning short SKU C ×1")

	// Nobody, and somebody again.
	if err := w.Reload(Config{}); err != nil {
		t.Fatal(err)
	}
	write(t, w, batch(t, schemas.StockAlarms, 4, short("D", 1)))
	if err := w.Reload(moved); err != nil {
		t.Fatal(err)
	}
	write(t, w, batch(t, schemas.StockAlarms, 5, short("E", 1)))
	want(t, second, "warning short SKU E ×1")
}

// TestReloadReachesRun: a shorter window ends when it should.
func TestReloadReachesRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent []string
		cfg := Config{Window: 24 * time.Hour, Mail: Mail{Server: "mail.example.org:25", From: "a@example.org", To: []string{"b@example.org"}}}
		w, err := New(cfg, Deps{
			HTTP: http.DefaultClient, Now: time.Now, Metrics: prometheus.NewRegistry(),
			Sent: func(channel string, n int, _ error) { sent = append(sent, fmt.Sprint(channel, n)) },
		})
		if err != nil {
			t.Fatal(err)
		}
		(*w.channels.Load())[0].send = w.watched("mail", func(ctx context.Context, _ string, _ []Notification) error { return ctx.Err() })
		done := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- w.Run(ctx) }()
		write(t, w, batch(t, schemas.StockAlarms, 0, short("A", 1)))
		write(t, w, batch(t, schemas.StockAlarms, 1, short("A", 1)))
		cfg.Window = time.Minute
		if err := w.Reload(cfg); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if diff := cmp.Diff([]string{"mail1", "mail1"}, sent); diff != "" {
			t.Error(diff)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
