package telemetry

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/helloword/crossdock/internal/httpx"
)

// Secret is read for each export, so that a rotated one is taken up.
type Secret interface{ Resolve() (string, error) }

// TraceConfig says where spans go. Without an endpoint there are none.
type TraceConfig struct {
	// Endpoint takes OTLP over HTTP: https://host[:port][/path]; without a path /v1/traces. Plain
	// http only reaches a collector on this machine.
	Endpoint string
	// Ratio is the share of new traces that is recorded, 0 to 1. Who calls us has no say in it.
	Ratio float64
	// Headers go with each export.
	Headers map[string]Secret
	// Tenant, Environment and Version describe the process; Instance tells it from its siblings.
	Tenant, Environment, Version, Instance string
}

// Validate reports what is wrong, without asking anybody.
func (c TraceConfig) Validate() error {
	var errs []error
	if c.Endpoint != "" {
		u, err := url.Parse(c.Endpoint)
		switch {
		// The text may hold a password: it is not repeated.
		case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
			errs = append(errs, errors.New("endpoint: write https://host[:port]/v1/traces"))
		case u.User != nil || u.RawQuery != "":
			errs = append(errs, errors.New("endpoint: no password and no query in the address: use headers with a reference to a secret"))
		case u.Scheme == "http" && !loopback(u.Hostname()):
			errs = append(errs, fmt.Errorf("endpoint: http only reaches a collector on this machine: use https for %s", u.Host))
		}
	}
	if !(c.Ratio >= 0 && c.Ratio <= 1) {
		errs = append(errs, fmt.Errorf("sample_ratio %g: use 0 (none) to 1 (all)", c.Ratio))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		if v, ok := c.Headers[name].(interface{ Validate() error }); ok {
			if err := v.Validate(); err != nil {
				errs = append(errs, fmt.Errorf("headers: %s: %w", name, err))
			}
		}
	}
	return errors.Join(errs...)
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// Tracer makes spans and sends them to a collector in the background. A nil Tracer makes
// none and costs nothing; so do the nil spans that come of it. Used concurrently.
//
// A trace context travels as a W3C traceparent in the header of records. Spans hold names of
// connections, rooms and topics, coordinates and outcomes: no personal data, no texts of errors.
type Tracer struct {
	ratio     atomic.Uint64 // bits of a float64
	processor *processor
	client    *http.Client
	tracer    trace.Tracer
}

// NewTracer makes a tracer, or nil when no endpoint is configured. Nobody is called yet.
// Shutdown ends it.
func NewTracer(cfg TraceConfig, reg prometheus.Registerer, log *slog.Logger) (*Tracer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	metrics, err := newTraceMetrics(reg)
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	if cfg.Endpoint == "" {
		return nil, nil
	}
	u, err := url.Parse(cfg.Endpoint)
	if err != nil {
		return nil, errors.New("traces: endpoint: not an address")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	// A collector on this machine is reached only when the configuration says so by name: not
	// because some name leads here.
	client := httpx.NewClient(httpx.Config{AllowLoopback: loopback(u.Hostname()), Timeout: exportTimeout})
	client.Transport = &headerTransport{next: client.Transport, headers: cfg.Headers, agent: "crossdock/" + cfg.Version}
	exporter, err := otlptracehttp.New(context.Background(),
		otlptracehttp.WithEndpointURL(u.String()),
		otlptracehttp.WithHTTPClient(client),
		otlptracehttp.WithHeaders(map[string]string{}), // none from the environment
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
		otlptracehttp.WithTimeout(exportTimeout),
		otlptracehttp.WithMaxResponseSize(64<<10),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: time.Second, MaxInterval: 3 * time.Second, MaxElapsedTime: exportTimeout}),
	)
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	t := &Tracer{client: client, processor: newProcessor(exporter, metrics, log)}
	t.SetRatio(cfg.Ratio)
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSpanProcessor(t.processor),
		sdktrace.WithSampler(sampler{t}),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "crossdock"),
			attribute.String("service.version", cfg.Version),
			attribute.String("service.instance.id", cfg.Instance),
			attribute.String("deployment.environment.name", cfg.Environment),
			attribute.String("tenant", cfg.Tenant),
		)),
	)
	t.tracer = provider.Tracer("github.com/helloword/crossdock")
	return t, nil
}

// headerTransport adds the configured headers to each export.
type headerTransport struct {
	next    http.RoundTripper
	headers map[string]Secret
	agent   string
}

func (t *headerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context()) // a RoundTripper must not change its request
	r.Header.Set("User-Agent", t.agent)
	for name, s := range t.headers {
		v, err := s.Resolve()
		if err != nil {
			if r.Body != nil {
				_ = r.Body.Close()
			}
			return nil, fmt.Errorf("header %s: %w", name, err)
		}
		r.Header.Set(name, v)
	}
	return t.next.RoundTrip(r)
}

// CloseIdleConnections makes http.Client.CloseIdleConnections work.
func (t *headerTransport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// SetRatio changes the share of new traces that is recorded.
func (t *Tracer) SetRatio(ratio float64) {
	if t != nil {
		t.ratio.Store(math.Float64bits(ratio))
	}
}

// Shutdown sends what was recorded, until ctx ends; what is left then is counted as dropped.
// Spans that end later are dropped, too.
func (t *Tracer) Shutdown(ctx context.Context) error {
	if t == nil {
		return nil
	}
	err := t.processor.Shutdown(ctx)
	t.client.CloseIdleConnections()
	return err
}

// chance decides about a new trace. It does not look at the trace's id, which may have been
// chosen by a caller.
func (t *Tracer) chance() bool {
	ratio := math.Float64frombits(t.ratio.Load())
	return ratio >= 1 || rand.Float64() < ratio //nolint:gosec // which traces are recorded is no secret
}

// sampler follows the parent; a new trace is up to chance, unless it collects others.
type sampler struct{ t *Tracer }

// collecting marks the context of a span that links to recorded ones.
type collecting struct{}

func (s sampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	parent := trace.SpanContextFromContext(p.ParentContext)
	record := parent.IsSampled()
	if !parent.IsValid() {
		record = p.ParentContext.Value(collecting{}) != nil || s.t.chance()
	}
	if record {
		return sdktrace.SamplingResult{Decision: sdktrace.RecordAndSample}
	}
	return sdktrace.SamplingResult{Decision: sdktrace.Drop}
}

func (s sampler) Description() string { return "crossdock" }

// traceLength of a traceparent: "00-<32 hex>-<16 hex>-<2 hex>".
const traceLength = 55

// parse reads a traceparent; ok is false for what is none.
func parse(parent string) (sc trace.SpanContext, ok bool) {
	if len(parent) != traceLength || parent[:3] != "00-" || parent[35] != '-' || parent[52] != '-' {
		return sc, false
	}
	var c trace.SpanContextConfig
	var flags [1]byte
	for _, f := range []struct {
		to   []byte
		from string
	}{{c.TraceID[:], parent[3:35]}, {c.SpanID[:], parent[36:52]}, {flags[:], parent[53:]}} {
		if _, err := hex.Decode(f.to, []byte(f.from)); err != nil {
			return sc, false
		}
	}
	c.TraceFlags, c.Remote = trace.TraceFlags(flags[0])&trace.FlagsSampled, true
	sc = trace.NewSpanContext(c)
	return sc, sc.IsValid()
}

// format writes a traceparent.
func format(sc trace.SpanContext) string {
	id, span := sc.TraceID(), sc.SpanID()
	out := make([]byte, 0, traceLength)
	out = hex.AppendEncode(append(out, "00-"...), id[:])
	out = hex.AppendEncode(append(out, '-'), span[:])
	if sc.IsSampled() {
		return string(append(out, "-01"...))
	}
	return string(append(out, "-00"...))
}
