package poll

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/telemetry"
	"github.com/helloword/crossdock/internal/telemetry/telemetrytest"
	"github.com/helloword/crossdock/schemas"
)

// TestSpans: each page is a span of its own trace, and its records carry it.
func TestSpans(t *testing.T) {
	o := telemetrytest.New(t)
	three := pollFunc(func(_ context.Context, _ connectors.PollRequest, emit func(connectors.Raw) error) (connectors.PollResult, error) {
		for i := range 3 {
			if err := emit(object(fmt.Sprint(i))); err != nil {
				return connectors.PollResult{}, err
			}
		}
		return connectors.PollResult{Cursor: cursor(3), Objects: 3}, nil
	})
	w := newWorld(t, Config{}, newRedis(t), three)
	tracer, err := telemetry.NewTracer(telemetry.TraceConfig{Endpoint: o.URL, Ratio: 1}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w.tracer = tracer
	w.visitOrders(t.Context())
	w.kafka.fail = func(int) error { return errors.New("not enough replicas") }
	w.redis.SetTime(epoch.Add(time.Hour))
	w.visitOrders(t.Context())
	if err := tracer.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}

	spans := o.Spans()
	if len(spans) != 2 || spans[0].Trace == spans[1].Trace {
		t.Fatalf("spans %+v, want one for each page", spans)
	}
	for i, want := range []struct {
		outcome, records string
		failed           bool
	}{{"ok", "3", false}, {"transient", "0", true}} {
		s := spans[i]
		if s.Name != "poll page" || s.Attrs["crossdock.subject"] != "orders" || s.Attrs["crossdock.outcome"] != want.outcome ||
			s.Attrs["messaging.batch.message_count"] != want.records || s.Failed != want.failed {
			t.Errorf("span %d: %+v, want %+v", i, s, want)
		}
	}
	for _, r := range w.kafka.records {
		got := ""
		for _, h := range r.Headers {
			if h.Key == schemas.HeaderTrace {
				got = string(h.Value)
			}
		}
		if want := "00-" + spans[0].Trace + "-" + spans[0].ID + "-01"; got != want {
			t.Errorf("a record carries %s, want %s", got, want)
		}
	}
}
