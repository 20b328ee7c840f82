package webhook

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/internal/telemetry"
	"github.com/helloword/crossdock/internal/telemetry/telemetrytest"
	"github.com/helloword/crossdock/schemas"
)

func traceOf(r kafka.Record) string {
	for _, h := range r.Headers {
		if h.Key == schemas.HeaderTrace {
			return string(h.Value)
		}
	}
	return ""
}

// TestSpans: each call is a span, its records carry it, and it says what the call was answered.
func TestSpans(t *testing.T) {
	const outside = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
	o := telemetrytest.New(t)
	w := newWorld(t, Config{})
	tracer, err := telemetry.NewTracer(telemetry.TraceConfig{Endpoint: o.URL, Ratio: 1}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w.tracer = tracer
	w.post(uk, "order", func(r *http.Request) { r.Header.Set("Traceparent", outside) })
	w.post(uk, "order", func(r *http.Request) { r.Header.Set("X-Signature", "forged") })
	w.kafka.produce = func(context.Context) error { return errors.New("away") }
	w.post(uk, "order")
	if err := tracer.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}

	type row struct {
		Parent, Outcome, Records string
		Failed                   bool
	}
	var got []row
	spans := o.Spans()
	for _, s := range spans {
		if s.Name != "webhook receive" || s.Attrs["crossdock.connector"] != "shopify" || s.Attrs["crossdock.account"] != "shop-uk" {
			t.Errorf("span %+v", s)
		}
		got = append(got, row{s.Parent, s.Attrs["crossdock.outcome"], s.Attrs["messaging.batch.message_count"], s.Failed})
	}
	want := []row{
		{outside[36:52], "accepted", "1", false},
		{"", "unauthentic", "0", false},
		{"", "kafka-away", "0", true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	if want := "00-" + outside[3:35] + "-" + spans[0].ID + "-01"; traceOf(w.kafka.stored()[0]) != want {
		t.Errorf("the record carries %s, want %s", traceOf(w.kafka.stored()[0]), want)
	}
}
