package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/helloword/crossdock/internal/httpx"
)

// Bounds of what waits for the collector.
const (
	queueSpans    = 4096
	batchSpans    = 512
	batchAge      = 2 * time.Second
	exportTimeout = 10 * time.Second
)

// Reasons why a span is dropped.
const (
	dropQueue  = "queue-full"
	dropExport = "export-failed"
	dropStop   = "stopped"
)

type traceMetrics struct {
	exported prometheus.Counter
	dropped  *prometheus.CounterVec
}

func newTraceMetrics(reg prometheus.Registerer) (*traceMetrics, error) {
	m := &traceMetrics{
		exported: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "crossdock_trace_spans_exported_total", Help: "Spans that the collector took.",
		}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "crossdock_trace_spans_dropped_total", Help: "Spans that were given up: queue-full, export-failed (the collector is away, or refused some of a batch) or stopped.",
		}, []string{"reason"}),
	}
	for _, reason := range []string{dropQueue, dropExport, dropStop} {
		m.dropped.WithLabelValues(reason)
	}
	return m, errors.Join(reg.Register(m.exported), reg.Register(m.dropped))
}

// processor hands spans to the exporter in batches. Whoever ends a span never waits: what
// does not fit is dropped and counted, which the SDK's own processor would not tell us.
type processor struct {
	exporter sdktrace.SpanExporter
	metrics  *traceMetrics
	log      *slog.Logger
	queue    chan sdktrace.ReadOnlySpan

	ctx     context.Context // of exports
	cancel  context.CancelFunc
	stopped atomic.Bool
	once    sync.Once
	stop    chan struct{}
	done    chan struct{}
	away    bool // of run: the last export failed
}

func newProcessor(e sdktrace.SpanExporter, m *traceMetrics, log *slog.Logger) *processor {
	p := &processor{
		exporter: e, metrics: m, log: log, queue: make(chan sdktrace.ReadOnlySpan, queueSpans),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	go p.run()
	return p
}

// OnStart implements sdktrace.SpanProcessor.
func (p *processor) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd implements sdktrace.SpanProcessor.
func (p *processor) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if p.stopped.Load() {
		p.metrics.dropped.WithLabelValues(dropStop).Inc()
		return
	}
	select {
	case p.queue <- s:
	default:
		p.metrics.dropped.WithLabelValues(dropQueue).Inc()
	}
}

// ForceFlush implements sdktrace.SpanProcessor. Nothing is waited for.
func (p *processor) ForceFlush(context.Context) error { return nil }

// Shutdown implements sdktrace.SpanProcessor: the rest is sent until ctx ends.
func (p *processor) Shutdown(ctx context.Context) error {
	p.stopped.Store(true)
	p.once.Do(func() { close(p.stop) })
	var err error
	select {
	case <-p.done:
	case <-ctx.Done():
		err = fmt.Errorf("sending the last spans: %w", ctx.Err())
		p.cancel()
		<-p.done
	}
	p.cancel()
	// The exporter has nothing under way any more.
	return errors.Join(err, p.exporter.Shutdown(context.WithoutCancel(ctx)))
}

// run collects and sends.
func (p *processor) run() {
	defer close(p.done)
	timer := time.NewTimer(batchAge)
	timer.Stop()
	defer timer.Stop()
	batch := make([]sdktrace.ReadOnlySpan, 0, batchSpans)
	send := func() {
		timer.Stop()
		p.export(batch)
		clear(batch)
		batch = batch[:0]
	}
	take := func(s sdktrace.ReadOnlySpan) {
		if batch = append(batch, s); len(batch) == 1 {
			timer.Reset(batchAge)
		}
		if len(batch) == batchSpans {
			send()
		}
	}
	for {
		select {
		case s := <-p.queue:
			take(s)
		case <-timer.C:
			send()
		case <-p.stop:
			for {
				select {
				case s := <-p.queue:
					take(s)
					continue
				default:
				}
				send()
				return
			}
		}
	}
}

// maxErrorText bounds what a collector's answer can put into the log.
const maxErrorText = 300

func (p *processor) export(batch []sdktrace.ReadOnlySpan) {
	if len(batch) == 0 {
		return
	}
	n := float64(len(batch))
	if p.ctx.Err() != nil {
		p.metrics.dropped.WithLabelValues(dropStop).Add(n)
		return
	}
	ctx, cancel := context.WithTimeout(p.ctx, exportTimeout)
	defer cancel()
	err := p.exporter.ExportSpans(ctx, batch)
	switch {
	case err == nil:
		p.metrics.exported.Add(n)
		if p.away {
			p.away = false
			p.log.Info("the trace collector takes spans again")
		}
	case p.ctx.Err() != nil:
		p.metrics.dropped.WithLabelValues(dropStop).Add(n)
	default:
		p.metrics.dropped.WithLabelValues(dropExport).Add(n)
		if !p.away {
			p.away = true
			text := httpx.RedactError(err).Error()
			p.log.Warn("the trace collector takes no spans; they are dropped and counted until it does", "error", text[:min(len(text), maxErrorText)])
		}
	}
}
