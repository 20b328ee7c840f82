package push

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/internal/telemetry"
	"github.com/helloword/crossdock/internal/telemetry/telemetrytest"
	"github.com/helloword/crossdock/schemas"
)

// TestSpans: each write of a listing is a span of the trace of the record that decided it, a
// write that is tried again has one for each attempt, and the outcome carries the last one.
func TestSpans(t *testing.T) {
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	o := telemetrytest.New(t)
	tracer, err := telemetry.NewTracer(telemetry.TraceConfig{Endpoint: o.URL, Ratio: 1}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var outcomes []string
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "uk")
		w.tracer = tracer
		w.start()
		s := w.shops["uk"]
		s.hook(func() { s.hook(nil, nil); s.meet(notSent) }, nil)
		b, err := target("uk", "a", 1, 5, true).MarshalVTStrict()
		if err != nil {
			t.Fatal(err)
		}
		w.append([]byte("uk/a"), b)
		w.log[0].Headers = []stream.Header{{Key: schemas.HeaderTrace, Value: []byte("00-" + trace + "-" + span + "-01")}}
		w.offer()
		pass(time.Minute)
		w.stop(false)
		w.check()
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, r := range w.records {
			for _, h := range r.Headers {
				if h.Key == schemas.HeaderTrace && r.Topic.Name == schemas.PushOutcomes.Name {
					outcomes = append(outcomes, string(h.Value))
				}
			}
		}
	})
	if err := tracer.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []string
	spans := o.Spans()
	for _, s := range spans {
		if s.Name != "push write" || s.Trace != trace || s.Parent != span || s.Attrs["crossdock.account"] != "uk" || len(s.Attrs["crossdock.command_id"]) != 32 {
			t.Errorf("span %+v", s)
		}
		got = append(got, s.Attrs["crossdock.outcome"])
	}
	if diff := cmp.Diff([]string{"not-sent", "accepted"}, got); diff != "" {
		t.Fatal(diff)
	}
	want := []string{"00-" + trace + "-" + spans[0].ID + "-01", "00-" + trace + "-" + spans[1].ID + "-01"}
	if diff := cmp.Diff(want, outcomes); diff != "" {
		t.Error(diff)
	}
}
