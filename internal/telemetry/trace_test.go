package telemetry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/helloword/crossdock/internal/httpx"
	"github.com/helloword/crossdock/internal/telemetry/telemetrytest"
)

// secret is a reference that changes.
type secret struct {
	value string
	err   error
}

func (s *secret) Resolve() (string, error) { return s.value, s.err }

func newTracer(t *testing.T, cfg TraceConfig) (*Tracer, *prometheus.Registry, *bytes.Buffer) {
	t.Helper()
	reg, text := prometheus.NewRegistry(), new(bytes.Buffer)
	tracer, err := NewTracer(cfg, reg, slog.New(slog.NewTextHandler(text, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = tracer.Shutdown(ctx) // a test that is done with it has ended it already
	})
	return tracer, reg, text
}

func figure(t *testing.T, reg *prometheus.Registry, name, reason string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == name && (reason == "" || m.Label[0].GetValue() == reason) {
				return m.Counter.GetValue()
			}
		}
	}
	t.Fatalf("no metric %s %s", name, reason)
	return 0
}

// TestSpansArrive: a trace that began outside is gone on with from the webhook to the write.
func TestSpansArrive(t *testing.T) {
	o := telemetrytest.New(t)
	token := &secret{value: "s3cret-token"}
	tracer, reg, _ := newTracer(t, TraceConfig{
		Endpoint: o.URL, Ratio: 1, Headers: map[string]Secret{"Authorization": token},
		Tenant: "acme", Environment: "test", Version: "v1.2.3", Instance: "pod-7",
	})
	const outside = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	web := tracer.Webhook("shopify", "shop-uk", outside)
	batch := tracer.Batch("orders", "acme.test.orders.v1", 3)
	batch.Record([]byte(web.TraceParent()))
	batch.Record(nil)
	write := tracer.PushWrite("shopify", "shop-uk", "c0ffee", []byte(web.TraceParent()), 5)
	write.End("unknown", true, 1)
	batch.End(10, 12, 3, "done", false)
	web.End("accepted", false, 2)
	poll := tracer.Poll("shopify", "shop-uk", "orders")
	poll.End("ok", false, 7)
	if err := tracer.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}

	wantResource := map[string]string{
		"service.name": "crossdock", "service.version": "v1.2.3", "service.instance.id": "pod-7",
		"deployment.environment.name": "test", "tenant": "acme",
	}
	if diff := cmp.Diff(wantResource, o.Resource()); diff != "" {
		t.Error(diff)
	}
	byName := map[string]telemetrytest.Span{}
	for _, s := range o.Spans() {
		byName[s.Name] = s
	}
	if len(byName) != 4 {
		t.Fatalf("spans of 4 names wanted: %v", byName)
	}
	receive := byName["webhook receive"]
	if got := receive.Trace + "/" + receive.Parent; got != "0af7651916cd43dd8448eb211c80319c/b7ad6b7169203331" {
		t.Errorf("the caller's trace is not gone on with: %s", got)
	}
	if want := "00-" + receive.Trace + "-" + receive.ID + "-01"; web.TraceParent() != want {
		t.Errorf("records carry %s, want %s", web.TraceParent(), want)
	}
	for _, name := range []string{"orders batch", "push write"} {
		if s := byName[name]; s.Trace != receive.Trace || s.Parent != receive.ID {
			t.Errorf("%s is not a part of what was received", name)
		}
	}
	if l := byName["orders batch"].Links; !slices.Equal(l, []string{receive.ID}) {
		t.Errorf("links of the batch: %v", l)
	}
	if byName["poll page"].Trace == receive.Trace {
		t.Error("a poll goes on with somebody's trace")
	}
	if diff := cmp.Diff(map[string]string{
		"crossdock.room": "orders", "messaging.system": "kafka", "messaging.destination.name": "acme.test.orders.v1",
		"messaging.destination.partition.id": "3", "crossdock.offset.first": "10", "crossdock.offset.last": "12",
		"messaging.batch.message_count": "3", "crossdock.outcome": "done",
	}, byName["orders batch"].Attrs); diff != "" {
		t.Error(diff)
	}
	if !byName["push write"].Failed || receive.Failed {
		t.Error("the write failed, the webhook did not: the spans say otherwise")
	}
	if e := o.Exports()[0]; e.Path != "/v1/traces" || e.Header.Get("Authorization") != "s3cret-token" || !strings.HasPrefix(e.Header.Get("User-Agent"), "crossdock/") {
		t.Errorf("asked %v", e)
	}
	if got := figure(t, reg, "crossdock_trace_spans_exported_total", ""); got != 4 {
		t.Errorf("%v exported, want 4", got)
	}
}

// TestBatchOfSeveralTraces: it is recorded whatever the ratio, and links to each, bounded.
func TestBatchOfSeveralTraces(t *testing.T) {
	o := telemetrytest.New(t)
	tracer, _, _ := newTracer(t, TraceConfig{Endpoint: o.URL, Ratio: 0})
	parent := func(i int, flags string) []byte {
		return fmt.Appendf(nil, "00-%032x-%016x-%s", i+1, i+1, flags)
	}
	some := tracer.Batch("stock", "t", 0)
	some.Record(parent(1, "01"))
	some.Record(parent(2, "00")) // not recorded
	some.Record(parent(3, "03"))
	some.Record([]byte("nonsense"))
	some.Record(append(parent(4, "01"), 'x'))
	some.End(0, 4, 5, "done", false)
	many := tracer.Batch("many", "t", 0)
	for i := range 1000 {
		many.Record(parent(i, "01"))
	}
	many.End(0, 999, 1000, "done", false)
	quiet := tracer.Batch("quiet", "t", 0)
	quiet.Record(parent(1, "00"))
	quiet.End(0, 0, 1, "done", false)
	if err := tracer.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range o.Spans() {
		got = append(got, fmt.Sprintf("%s parent=%q links=%d", s.Name, s.Parent, len(s.Links)))
	}
	if diff := cmp.Diff([]string{`many batch parent="" links=128`, `stock batch parent="" links=2`}, got); diff != "" {
		t.Error(diff)
	}
}

// TestSampling: a caller has no say in what is recorded; what was decided holds on the whole way.
func TestSampling(t *testing.T) {
	o := telemetrytest.New(t)
	tracer, _, _ := newTracer(t, TraceConfig{Endpoint: o.URL, Ratio: 0})
	const wish = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	none := tracer.Webhook("shopify", "shop-uk", wish)
	if got := none.TraceParent(); !strings.HasPrefix(got, wish[:36]) || !strings.HasSuffix(got, "-00") {
		t.Errorf("a caller's wish to be recorded: %s", got)
	}
	tracer.PushWrite("shopify", "shop-uk", "id", []byte(none.TraceParent()), 1).End("accepted", false, 1)
	none.End("accepted", false, 1)
	tracer.SetRatio(1)
	if got := tracer.Webhook("shopify", "shop-uk", "broken").TraceParent(); !strings.HasSuffix(got, "-01") || httpx.TraceParent(got) != got {
		t.Errorf("a new trace: %s", got)
	}
	tracer.SetRatio(0)
	all := tracer.PushWrite("shopify", "shop-uk", "id", []byte(wish), 1)
	all.End("accepted", false, 1)
	if err := tracer.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := o.Spans(); len(got) != 1 || got[0].Name != "push write" {
		t.Errorf("recorded: %v, want only the write of a recorded trace", got)
	}
}

// TestOff: without an endpoint nothing is made, and nothing allocated.
func TestOff(t *testing.T) {
	tracer, reg, _ := newTracer(t, TraceConfig{})
	if tracer != nil {
		t.Fatal("a tracer without an endpoint")
	}
	parent := []byte("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if n := testing.AllocsPerRun(100, func() {
		s := tracer.Webhook("a", "b", "")
		if s.TraceParent() != "" {
			t.Error("a traceparent of nothing")
		}
		s.End("accepted", false, 1)
		tracer.Poll("a", "b", "c").End("ok", false, 1)
		tracer.PushWrite("a", "b", "c", parent, 1).End("ok", false, 1)
		b := tracer.Batch("a", "b", 1)
		b.Record(parent)
		b.End(1, 2, 3, "ok", false)
	}); n != 0 {
		t.Errorf("%v allocations without a tracer", n)
	}
	tracer.SetRatio(1)
	if err := tracer.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	// What is looked at in a dashboard is there, at 0.
	for _, reason := range []string{dropQueue, dropExport, dropStop} {
		if got := figure(t, reg, "crossdock_trace_spans_dropped_total", reason); got != 0 {
			t.Errorf("%v dropped: %s", got, reason)
		}
	}
}

// TestCollectorAway: who ends a span does not wait; what is lost is counted, said once, and
// the secret is in no log.
func TestCollectorAway(t *testing.T) {
	o := telemetrytest.New(t)
	o.Status = http.StatusBadRequest
	tracer, reg, text := newTracer(t, TraceConfig{Endpoint: o.URL, Ratio: 1, Headers: map[string]Secret{"Authorization": &secret{value: "s3cret-token"}}})
	for range 2 * batchSpans {
		tracer.Poll("a", "b", "c").End("ok", false, 1)
	}
	if err := tracer.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := figure(t, reg, "crossdock_trace_spans_dropped_total", dropExport); got != 2*batchSpans {
		t.Errorf("%v dropped, want %d", got, 2*batchSpans)
	}
	if n := strings.Count(text.String(), "takes no spans"); n != 1 || strings.Contains(text.String(), "s3cret") {
		t.Errorf("said %d times: %s", n, text)
	}
	tracer.Poll("a", "b", "c").End("ok", false, 1)
	if got := figure(t, reg, "crossdock_trace_spans_dropped_total", dropStop); got != 1 {
		t.Errorf("%v dropped after the end, want 1", got)
	}
}

// TestQueueIsBounded: a collector that does not answer costs spans, not time; and a stop is bounded.
func TestQueueIsBounded(t *testing.T) {
	o := telemetrytest.New(t)
	o.Block = make(chan struct{})
	tracer, reg, _ := newTracer(t, TraceConfig{Endpoint: o.URL, Ratio: 1})
	for range batchSpans {
		tracer.Poll("a", "b", "c").End("ok", false, 1)
	}
	<-o.Came // the first batch is under way, and stays there
	const more = queueSpans + 100
	for range more {
		tracer.Poll("a", "b", "c").End("ok", false, 1)
	}
	if got := figure(t, reg, "crossdock_trace_spans_dropped_total", dropQueue); got != 100 {
		t.Errorf("%v dropped, want 100", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tracer.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped with %v", err)
	}
	close(o.Block)
	if got := figure(t, reg, "crossdock_trace_spans_dropped_total", dropStop); got != batchSpans+queueSpans {
		t.Errorf("%v dropped by the stop, want %d", got, batchSpans+queueSpans)
	}
}

// TestFlushByAge: a few spans do not wait for more.
func TestFlushByAge(t *testing.T) {
	o := telemetrytest.New(t)
	tracer, reg, _ := newTracer(t, TraceConfig{Endpoint: o.URL + "/own/path", Ratio: 1})
	tracer.Poll("a", "b", "c").End("ok", false, 1)
	select {
	case <-o.Came:
	case <-time.After(time.Minute):
		t.Fatal("nothing was sent")
	}
	if err := tracer.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := o.Exports(); got[0].Path != "/own/path" || figure(t, reg, "crossdock_trace_spans_exported_total", "") != 1 {
		t.Errorf("sent: %v", got)
	}
}

// TestSecretIsReadAgain: a rotated token is taken up; one that cannot be read sends nothing.
func TestSecretIsReadAgain(t *testing.T) {
	o := telemetrytest.New(t)
	token := &secret{err: errors.New("not there")}
	tracer, reg, _ := newTracer(t, TraceConfig{Endpoint: o.URL, Ratio: 1, Headers: map[string]Secret{"X-Token": token}})
	for range batchSpans {
		tracer.Poll("a", "b", "c").End("ok", false, 1)
	}
	deadline := time.Now().Add(time.Minute)
	for figure(t, reg, "crossdock_trace_spans_dropped_total", dropExport) == 0 {
		if time.Now().After(deadline) {
			t.Fatal("nothing was tried")
		}
		time.Sleep(time.Millisecond)
	}
	if len(o.Came) != 0 {
		t.Error("the collector was called without the token")
	}
	token.value, token.err = "new", nil
	tracer.Poll("a", "b", "c").End("ok", false, 1)
	if err := tracer.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := o.Exports(); len(got) != 1 || got[0].Header.Get("X-Token") != "new" {
		t.Errorf("sent: %v", got)
	}
}

func TestTraceConfig(t *testing.T) {
	for _, tc := range []struct {
		cfg  TraceConfig
		want string // in the error; "" = valid
	}{
		{TraceConfig{}, ""},
		{TraceConfig{Endpoint: "https://otlp.example.com", Ratio: 0.1}, ""},
		{TraceConfig{Endpoint: "http://127.0.0.1:4318/v1/traces"}, ""},
		{TraceConfig{Endpoint: "http://[::1]:4318"}, ""},
		{TraceConfig{Endpoint: "http://localhost:4318"}, ""},
		{TraceConfig{Endpoint: "http://collector:4318"}, "use https"},
		{TraceConfig{Endpoint: "collector:4318"}, "https://host"},
		{TraceConfig{Endpoint: "https://user:hunter2@otlp.example.com"}, "use headers"},
		{TraceConfig{Endpoint: "https://otlp.example.com?key=hunter2"}, "use headers"},
		{TraceConfig{Ratio: 1.5}, "sample_ratio"},
		{TraceConfig{Ratio: -1}, "sample_ratio"},
		{TraceConfig{Headers: map[string]Secret{"A": invalid{}}}, "headers: A: no reference"},
	} {
		err := tc.cfg.Validate()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: %v, want %q", tc.cfg, err, tc.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v repeats a secret", err)
		}
		tracer, newErr := NewTracer(tc.cfg, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
		if (err == nil) != (newErr == nil) {
			t.Errorf("%+v: valid %v, made %v", tc.cfg, err, newErr)
		}
		if err := tracer.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

type invalid struct{}

func (invalid) Resolve() (string, error) { return "", errors.New("none") }
func (invalid) Validate() error          { return errors.New("no reference") }

// TestGuard: an endpoint that leads into our own network is not called.
func TestGuard(t *testing.T) {
	tracer, reg, text := newTracer(t, TraceConfig{Endpoint: "https://169.254.169.254/v1/traces", Ratio: 1})
	tracer.Poll("a", "b", "c").End("ok", false, 1)
	if err := tracer.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := figure(t, reg, "crossdock_trace_spans_dropped_total", dropExport); got != 1 || !strings.Contains(text.String(), "not public") {
		t.Errorf("%v dropped; %s", got, text)
	}
}

// FuzzTraceParent: whatever a record carries, what is read is what is written.
func FuzzTraceParent(f *testing.F) {
	f.Add("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	f.Add("00-00000000000000000000000000000000-b7ad6b7169203331-01")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		sc, ok := parse(s)
		if ok != sc.IsValid() {
			t.Fatalf("%q: %v, %v", s, ok, sc)
		}
		if ok && !strings.EqualFold(format(sc)[:53], s[:53]) {
			t.Fatalf("%q was read as %q", s, format(sc))
		}
		if ok && sampled([]byte(strings.ToLower(s))) != sc.IsSampled() {
			t.Fatalf("%q: sampled %v", s, sc.IsSampled())
		}
	})
}
