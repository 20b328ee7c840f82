package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Span is one piece of work under way. A nil Span does nothing.
type Span struct {
	span   trace.Span
	parent string
}

// TraceParent is what the records that come of this work carry; "" without a tracer.
func (s *Span) TraceParent() string {
	if s == nil {
		return ""
	}
	return s.parent
}

// End ends the span once. outcome is a word of a fixed list, never the text of an error;
// failed marks what somebody should look at.
func (s *Span) End(outcome string, failed bool, records int) {
	if s == nil || !s.span.IsRecording() {
		return
	}
	s.span.SetAttributes(attribute.String("crossdock.outcome", outcome), attribute.Int("messaging.batch.message_count", records))
	if failed {
		s.span.SetStatus(codes.Error, outcome)
	}
	s.span.End()
}

func (t *Tracer) start(parent trace.SpanContext, name string, kind trace.SpanKind, attrs ...attribute.KeyValue) *Span {
	ctx := trace.ContextWithRemoteSpanContext(context.Background(), parent)
	_, span := t.tracer.Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(attrs...))
	return &Span{span: span, parent: format(span.SpanContext())}
}

// Webhook begins the span of one call of a platform. received is its traceparent, if it sent
// one: its trace is gone on with, but whether it is recorded is decided here.
func (t *Tracer) Webhook(connector, account, received string) *Span {
	if t == nil {
		return nil
	}
	parent, ok := parse(received)
	if ok {
		flags := trace.TraceFlags(0)
		if t.chance() {
			flags = trace.FlagsSampled
		}
		parent = parent.WithTraceFlags(flags)
	}
	return t.start(parent, "webhook receive", trace.SpanKindServer,
		attribute.String("crossdock.connector", connector), attribute.String("crossdock.account", account))
}

// Poll begins the span of one page that a poller reads.
func (t *Tracer) Poll(connector, account, subject string) *Span {
	if t == nil {
		return nil
	}
	return t.start(trace.SpanContext{}, "poll page", trace.SpanKindClient,
		attribute.String("crossdock.connector", connector), attribute.String("crossdock.account", account),
		attribute.String("crossdock.subject", subject))
}

// PushWrite begins the span of one listing's write. parent is the traceparent of the record
// that decided it; batch is how many listings the call writes.
func (t *Tracer) PushWrite(connector, account, command string, parent []byte, batch int) *Span {
	if t == nil {
		return nil
	}
	from, _ := parse(string(parent))
	return t.start(from, "push write", trace.SpanKindClient,
		attribute.String("crossdock.connector", connector), attribute.String("crossdock.account", account),
		attribute.String("crossdock.command_id", command), attribute.Int("crossdock.batch_size", batch))
}

// maxLinks bounds what one batch refers to.
const maxLinks = 128

// BatchSpan is the handling of one batch of a partition by a room or a sink. It is recorded
// if one of its records belongs to a recorded trace, and links to all of them; if they are
// all of one trace, it is a part of that. A nil BatchSpan does nothing. For one goroutine.
type BatchSpan struct {
	tracer    *Tracer
	room      string
	topic     string
	partition int32
	began     time.Time
	links     []trace.Link
	one       bool // all links are of one trace
}

// Batch begins a batch of a room. The loop calls Record for each record of it and End when
// its outputs were acknowledged and its progress is stored, or it failed.
func (t *Tracer) Batch(room, topic string, partition int32) *BatchSpan {
	if t == nil {
		return nil
	}
	return &BatchSpan{tracer: t, room: room, topic: topic, partition: partition, began: time.Now(), one: true}
}

// Record names the traceparent of one record of the batch, as its header has it; nil for none.
func (b *BatchSpan) Record(traceparent []byte) {
	if b == nil || !sampled(traceparent) || len(b.links) == maxLinks {
		return
	}
	sc, ok := parse(string(traceparent))
	if !ok || !sc.IsSampled() {
		return
	}
	if len(b.links) > 0 && b.links[0].SpanContext.TraceID() != sc.TraceID() {
		b.one = false
	}
	b.links = append(b.links, trace.Link{SpanContext: sc})
}

// sampled looks at the flag alone: most records belong to no recorded trace.
func sampled(traceparent []byte) bool {
	if len(traceparent) != traceLength {
		return false
	}
	digit := traceparent[traceLength-1]
	// As characters, odd digits are odd, but b, d and f are even.
	return digit&1 == 1 == (digit <= '9')
}

// End ends the batch: its first and last offset, how many records were handled, and what
// became of it, a word of a fixed list.
func (b *BatchSpan) End(first, last int64, records int, outcome string, failed bool) {
	if b == nil || len(b.links) == 0 {
		return
	}
	ctx := context.WithValue(context.Background(), collecting{}, true)
	if b.one {
		ctx = trace.ContextWithRemoteSpanContext(ctx, b.links[0].SpanContext)
	}
	_, span := b.tracer.tracer.Start(ctx, b.room+" batch", trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithTimestamp(b.began), trace.WithLinks(b.links...),
		trace.WithAttributes(
			attribute.String("crossdock.room", b.room),
			attribute.String("messaging.system", "kafka"),
			attribute.String("messaging.destination.name", b.topic),
			attribute.Int("messaging.destination.partition.id", int(b.partition)),
			attribute.Int64("crossdock.offset.first", first),
			attribute.Int64("crossdock.offset.last", last),
		))
	(&Span{span: span}).End(outcome, failed, records)
}
