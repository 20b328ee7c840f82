package stream

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/internal/telemetry"
	"github.com/helloword/crossdock/internal/telemetry/telemetrytest"
	"github.com/helloword/crossdock/schemas"
)

// TestTraceGoesOn: the trace context of a record is on everything that it causes, and on
// nothing else; its batch is a span of the trace.
func TestTraceGoesOn(t *testing.T) {
	onEngines(t, 1, func(t *testing.T, e *engines) {
		const id = "4bf92f3577b34da6a3ce929d0e0e4736"
		parent := "00-" + id + "-00f067aa0ba902b7-01"
		collector := telemetrytest.New(t)
		var err error
		e.deps.Tracer, err = telemetry.NewTracer(telemetry.TraceConfig{Endpoint: collector.URL, Ratio: 0}, prometheus.NewRegistry(), e.deps.Log)
		if err != nil {
			t.Fatal(err)
		}
		seen := number("seen", 1)
		seen.Headers = []kafka.Header{{Key: schemas.HeaderTrace, Value: []byte(parent)}}
		bad := kafka.Record{Topic: sumsIn, Key: []byte("bad"), Value: []byte("x"), Headers: seen.Headers}
		e.produce(t, seen, number("unseen", 1), bad)
		stop := e.start(t, newSumRoom())
		e.drained(t, "orders")
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		records := 0
		topics := []schemas.Topic{sums, sumsOut, schemas.DeadLetters("orders")}
		err = kafka.Scan(t.Context(), e.deps.Kafka, e.deps.Scope, e.deps.Log, topics, time.Time{}, func(r *kafka.Scanned) error {
			records++
			want := parent
			if string(r.Key) == "unseen" {
				want = ""
			}
			if got := header(r.Headers, schemas.HeaderTrace); got != want {
				t.Errorf("%s, key %s: traceparent %q, want %q", r.Topic.Name, r.Key, got, want)
			}
			return nil
		})
		if err != nil || records != 5 {
			t.Fatalf("%d records, %v; want an output and an entry of two keys, and a dead letter", records, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := e.deps.Tracer.Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
		spans := collector.Spans()
		if len(spans) == 0 {
			t.Fatal("no span came")
		}
		for _, s := range spans {
			if s.Name != "orders batch" || s.Trace != id {
				t.Errorf("span %s of trace %s", s.Name, s.Trace)
			}
		}
	})
}
