package webhook

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/ingest"
	"github.com/helloword/crossdock/internal/httpx"
	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/internal/telemetry"
)

// Prefix of the address of every webhook.
const Prefix = "/webhooks/"

// Handler serves the webhooks' addresses and answers 404 to everything else.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// verdict is what becomes of one request.
type verdict struct {
	outcome outcome
	// reason replaces the outcome's own.
	reason string
	// cause is for the log, never for the caller.
	cause error
	// records were stored.
	records int
	// body and contentType answer a challenge.
	body        []byte
	contentType string
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	began := s.now()
	name, ok := strings.CutPrefix(r.URL.Path, Prefix)
	c := s.connections[name]
	if !ok || c == nil {
		s.metrics.unknown.Inc()
		s.answer(w, &verdict{outcome: unknownConnection})
		return
	}
	span := s.tracer.Webhook(c.Connector, c.Account, r.Header.Get("Traceparent"))
	v := s.guarded(c, r, began, span)
	s.answer(w, &v)
	span.End(v.outcome.String(), answers[v.outcome].status >= http.StatusInternalServerError, v.records)
	if v.outcome == accepted {
		s.answered.Pass()
	}
	c.metrics.outcomes[v.outcome].Inc()
	c.metrics.duration.Observe(s.now().Sub(began).Seconds())
	s.report(c, &v)
}

// guarded turns a panic of a receiver into an answer: the caller learns an id, the log the
// rest.
func (s *Server) guarded(c *connection, r *http.Request, began time.Time, span *telemetry.Span) (v verdict) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		id := fmt.Sprintf("%016x", rand.Uint64())
		s.log.Error("webhook: panic", "connector", c.Connector, "account", c.Account, "id", id, "panic", p, "stack", string(debug.Stack()))
		v = verdict{outcome: failed, reason: "internal error " + id}
	}()
	switch r.Method {
	case http.MethodPost:
		return s.post(c, r, began, span)
	case http.MethodGet:
		if c.Challenge != nil {
			return s.challenge(c, r, began)
		}
	}
	return verdict{outcome: wrongMethod}
}

// post is the way of one webhook call, from top to bottom.
func (s *Server) post(c *connection, r *http.Request, began time.Time, span *telemetry.Span) verdict {
	buf, refused := s.read(r)
	if refused != nil {
		return *refused
	}
	defer s.inFlightBytes.Add(-buf.charged)
	c.metrics.bytes.Add(float64(len(buf.b)))

	// Counted only now: a sender who takes its time takes nobody else's place.
	defer s.inFlight.Add(-1)
	if s.inFlight.Add(1) > s.cfg.InFlight {
		s.recycle(buf)
		return verdict{outcome: busy}
	}
	// The sender may hang up; what it said is stored all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), s.cfg.AnswerTimeout)
	defer cancel()
	d := delivery(r, began)
	d.Body = buf.b
	raws, err := c.Receive.Receive(ctx, &d)
	if err != nil {
		s.recycle(buf)
		return refusal(err)
	}
	if c.Takes != nil {
		raws = slices.DeleteFunc(raws, func(r connectors.Raw) bool { return !c.Takes(r.Subject) })
	}
	s.received.Pass()
	if len(raws) == 0 {
		s.recycle(buf)
		return verdict{outcome: ignored}
	}
	trace := span.TraceParent()
	if trace == "" {
		trace = httpx.TraceParent(r.Header.Get("Traceparent"))
	}
	records, err := stamp(c.stamp, raws, trace)
	if err != nil {
		return verdict{outcome: failed, reason: "the connector named a subject that is not kept", cause: err}
	}
	if err := s.publisher.Produce(ctx, records); err != nil {
		// The client may still be sending these bytes: the buffer is left to the collector.
		return verdict{outcome: kafkaAway, cause: fmt.Errorf("producing %d records: %w", len(records), err)}
	}
	s.produced.Pass()
	s.recycle(buf)
	c.metrics.records.Add(float64(len(records)))
	return verdict{outcome: accepted, records: len(records)}
}

func stamp(st *ingest.Stamp, raws []connectors.Raw, trace string) ([]kafka.Record, error) {
	records := make([]kafka.Record, len(raws))
	for i := range raws {
		var err error
		if records[i], err = st.Record(&raws[i], trace); err != nil {
			return nil, err
		}
	}
	return records, nil
}

func (s *Server) challenge(c *connection, r *http.Request, began time.Time) verdict {
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.AnswerTimeout)
	defer cancel()
	d := delivery(r, began)
	body, contentType, err := c.Challenge.Answer(ctx, &d)
	if err != nil {
		return refusal(err)
	}
	return verdict{outcome: challenged, body: body, contentType: contentType}
}

func delivery(r *http.Request, received time.Time) connectors.Delivery {
	return connectors.Delivery{
		Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery,
		Header: r.Header, Received: received,
	}
}

// refusal translates the contract of connectors.Receiver into an answer.
func refusal(err error) verdict {
	switch {
	case errors.Is(err, connectors.ErrUnauthentic):
		return verdict{outcome: unauthentic, cause: err}
	case errors.Is(err, connectors.ErrMalformed), errors.Is(err, connectors.ErrUnsupported):
		return verdict{outcome: malformed, cause: err}
	default:
		// Signing keys that cannot be fetched now, a secret that cannot be read: the same call
		// may well succeed later.
		return verdict{outcome: receiverAway, cause: err}
	}
}

// report logs trouble, the same connection's at most once in a while.
func (s *Server) report(c *connection, v *verdict) {
	if v.cause == nil {
		return
	}
	if skipped, now := c.trouble.due(s.now()); now {
		s.log.Warn("webhook refused", "connector", c.Connector, "account", c.Account,
			"outcome", v.outcome.String(), "error", v.cause, "not_logged_before", skipped)
	}
}
