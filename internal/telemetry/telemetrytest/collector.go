// Package telemetrytest is a collector for tests: it takes OTLP over HTTP as a real one
// does, and keeps what it was sent. In: exports. Out: their spans, decoded. It keeps them in
// memory.
package telemetrytest

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Span is one span as it was sent.
type Span struct {
	Name string
	// Trace, ID and Parent in hexadecimal digits; Parent is empty for a root.
	Trace, ID, Parent string
	// Links are the span ids that it refers to.
	Links  []string
	Failed bool
	Attrs  map[string]string
}

// Export is one request that was taken.
type Export struct {
	Path   string
	Header http.Header
}

// Collector listens on loopback until the test ends.
type Collector struct {
	*httptest.Server
	// Status is what it answers; what is not 200 takes nothing. Block, when set, is waited for
	// before. Both are set before the first request.
	Status int
	Block  chan struct{}
	// Came gets one signal for each request.
	Came chan struct{}

	mu       sync.Mutex
	exports  []Export
	resource map[string]string
	spans    []Span
}

// New starts a collector.
func New(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{Status: http.StatusOK, Came: make(chan struct{}, 10_000)}
	c.Server = httptest.NewServer(http.HandlerFunc(c.take))
	t.Cleanup(c.Close)
	return c
}

func (c *Collector) take(w http.ResponseWriter, r *http.Request) {
	c.Came <- struct{}{}
	if c.Block != nil {
		select {
		case <-c.Block:
		case <-r.Context().Done():
			return
		}
	}
	if c.Status != http.StatusOK {
		w.WriteHeader(c.Status)
		return
	}
	m, err := decode(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.exports = append(c.exports, Export{r.URL.Path, r.Header.Clone()})
	for _, rs := range m.ResourceSpans {
		c.resource = attributes(rs.Resource.Attributes)
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				c.spans = append(c.spans, span(s))
			}
		}
	}
}

func decode(r *http.Request) (*collector.ExportTraceServiceRequest, error) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, fmt.Errorf("unpacking: %w", err)
		}
		body = z
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("reading: %w", err)
	}
	m := new(collector.ExportTraceServiceRequest)
	if err := proto.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("decoding: %w", err)
	}
	return m, nil
}

func span(s *tracepb.Span) Span {
	out := Span{
		Name: s.Name, Trace: hex.EncodeToString(s.TraceId), ID: hex.EncodeToString(s.SpanId), Parent: hex.EncodeToString(s.ParentSpanId),
		Failed: s.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR, Attrs: attributes(s.Attributes),
	}
	for _, l := range s.Links {
		out.Links = append(out.Links, hex.EncodeToString(l.SpanId))
	}
	return out
}

func attributes(all []*common.KeyValue) map[string]string {
	m := make(map[string]string)
	for _, kv := range all {
		switch v := kv.Value.Value.(type) {
		case *common.AnyValue_StringValue:
			m[kv.Key] = v.StringValue
		case *common.AnyValue_IntValue:
			m[kv.Key] = fmt.Sprint(v.IntValue)
		default:
			m[kv.Key] = fmt.Sprintf("%T", v)
		}
	}
	return m
}

// Spans are all that came, by name and then as they came.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Clone(c.spans)
	slices.SortStableFunc(all, func(a, b Span) int {
		switch {
		case a.Name < b.Name:
			return -1
		case a.Name > b.Name:
			return 1
		}
		return 0
	})
	return all
}

// Resource is what the last export said of the process.
func (c *Collector) Resource() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.resource
}

// Exports are the requests that were taken.
func (c *Collector) Exports() []Export {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.exports)
}
