package push

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"time"

	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// record makes what became of a batch durable: first in Kafka, then in the memory. In the
// other order a crash between them would lose the outcome, because the target would count as
// carried out. It is false when ctx ended before.
func (l *lane) record(ctx context.Context, tasks []*task) bool {
	records, err := l.outcomes(tasks)
	if err != nil {
		// Our own message cannot be encoded: it would not be the next time either.
		l.s.deps.Log.Error("an outcome is not recorded", "account", l.account, "err", err)
	}
	if len(records) > 0 && !l.persist(ctx, "recording outcomes", func() error { return l.s.deps.Publish.Produce(ctx, records) }) {
		return false
	}
	l.alerts = nil
	var kept []*task
	var writes []Write
	for _, t := range tasks {
		if !t.remember {
			continue
		}
		w := Write{Listing: t.it.target.ListingId, Entry: Entry{Target: t.it.target, Offset: t.it.offset}, Loaded: t.loaded}
		kept, writes = append(kept, t), append(writes, w)
	}
	if len(writes) > 0 {
		ok := l.persist(ctx, "remembering what was accepted", func() error {
			races, err := l.s.deps.Memory.Store(ctx, l.account, writes)
			for i := range races {
				kept[i].race = races[i]
			}
			return err
		})
		if !ok {
			return false
		}
		for i := range writes {
			l.own.note(writes[i].Listing, &writes[i].Entry)
		}
	}
	l.s.recorded.Pass()
	return true
}

// persist tries until it succeeds or ctx ends.
func (l *lane) persist(ctx context.Context, what string, do func() error) bool {
	return l.s.persist(ctx, l.account, what, do)
}

func (s *Sink) persist(ctx context.Context, account, what string, do func() error) bool {
	for n := 1; ; n++ {
		err := do()
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if n&(n-1) == 0 {
			s.deps.Log.Warn("a step failed and is tried again", "step", what, "account", account, "failures", n, "err", err)
		}
		if sleep(ctx, backoff(s.cfg(), n)) != nil {
			return false
		}
	}
}

// Bits of listing.told.
const (
	toldNotSent uint8 = 1 << iota
	toldUnknown
)

// outcomes are the records that tell what became of a batch: outcomes, to the sinks and to the
// stock room; the newest targets where a late writer's is the last; alerts. What is tried
// again is told once, not on each attempt.
func (l *lane) outcomes(tasks []*task) ([]kafka.Record, error) {
	now := l.s.deps.Now()
	var out []kafka.Record
	var failed error
	add := func(r kafka.Record, m interface{ MarshalVTStrict() ([]byte, error) }) {
		b, err := m.MarshalVTStrict()
		if err != nil {
			failed = fmt.Errorf("encoding a record of %s: %w", r.Topic.Name, err)
			return
		}
		r.Value = b
		out = append(out, r)
	}
	for _, t := range tasks {
		if t.outcome == event.Outcome_OUTCOME_UNSPECIFIED {
			continue
		}
		if bit := passing(t.outcome); bit != 0 {
			if t.g.told&bit != 0 {
				continue
			}
			t.g.told |= bit
		}
		o := l.outcome(t, now)
		l.s.metrics.outcomes.WithLabelValues(l.account, label(t.outcome)).Inc()
		if t.outcome == event.Outcome_OUTCOME_ACCEPTED && t.it.target.DecidedMs > 0 {
			l.s.metrics.delay.WithLabelValues(l.account).Observe(max(0, float64(now.UnixMilli()-t.it.target.DecidedMs)/1000))
		}
		headers := trace(t.it.trace)
		if t.span != nil {
			headers = trace([]byte(t.span.TraceParent()))
		}
		add(kafka.Record{Topic: schemas.PushOutcomes, Key: []byte(t.g.key), Headers: headers}, o)
		if o.Sku != "" {
			id := sha256.Sum256([]byte(o.CommandId + "/" + label(o.Outcome)))
			add(kafka.Record{Topic: schemas.StockIn, Key: []byte(o.Sku), PartitionKey: []byte(o.Sku), Headers: headers},
				&event.StockInput{EventId: id[:16], Input: &event.StockInput_Outcome{Outcome: o}})
		}
		if t.outcome == event.Outcome_OUTCOME_REFUSED {
			l.alertRefusal(o, now)
		}
	}
	for _, newest := range l.repairs(tasks) {
		l.s.metrics.repairs.WithLabelValues(l.account).Inc()
		add(targetRecord(newest), newest)
	}
	for _, a := range l.alerts {
		add(kafka.Record{Topic: schemas.Alerts, Key: []byte(a.Kind + "/" + a.Subject)}, a)
	}
	return out, failed
}

// repairs are the targets to be written to their topic again.
func (l *lane) repairs(tasks []*task) (newest []*event.PushTarget) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	for _, t := range tasks {
		switch {
		case !t.over:
		case t.g.repair:
			t.g.repair = false
			if t.g.next != nil {
				newest = append(newest, t.g.next.target)
			} else {
				newest = append(newest, t.it.target)
			}
		case t.repair != nil:
			newest = append(newest, t.repair.Target)
		}
	}
	return newest
}

func (l *lane) outcome(t *task, now time.Time) *event.PushOutcome {
	tg := t.it.target
	o := &event.PushOutcome{
		Connector: tg.Connector, Account: tg.Account, ListingId: tg.ListingId, Sku: tg.Sku,
		Quantity: tg.Quantity, TargetVersion: tg.Version, Outcome: t.outcome,
		CommandId: t.write.CommandID, Code: clip(t.code, 100), Message: clip(t.message, 500),
		Attempts: t.g.attempts, StartedMs: now.UnixMilli(), FinishedMs: now.UnixMilli(), ReadBack: t.shown,
	}
	if o.CommandId == "" {
		o.CommandId = t.commandID()
	}
	if !t.g.started.IsZero() {
		o.StartedMs = t.g.started.UnixMilli()
	}
	return o
}

func passing(o event.Outcome) uint8 {
	switch o {
	case event.Outcome_OUTCOME_NOT_SENT:
		return toldNotSent
	case event.Outcome_OUTCOME_UNKNOWN:
		return toldUnknown
	default:
		return 0
	}
}

func targetRecord(t *event.PushTarget) kafka.Record {
	return kafka.Record{
		Topic: schemas.PushTargets, Key: []byte(t.Account + "/" + t.ListingId),
		Headers: []kafka.Header{{
			Key:   schemas.HeaderVersion,
			Value: []byte(strconv.FormatInt(t.Version.GetEpoch(), 10) + "." + strconv.FormatInt(t.Version.GetNumber(), 10)),
		}},
	}
}

func trace(parent []byte) []kafka.Header {
	if len(parent) == 0 {
		return nil
	}
	return []kafka.Header{{Key: schemas.HeaderTrace, Value: parent}}
}

// ---- what waits long ----

// carry writes targets to the end of their topic again. When such a record comes back, it
// takes the place of the old one, which is done then: an account that waits for its owner
// does not hold back the offset that it shares with others.
func (l *lane) carry(ctx context.Context, targets []*event.PushTarget) {
	records := make([]kafka.Record, 0, len(targets))
	for _, t := range targets {
		r := targetRecord(t)
		var err error
		if r.Value, err = t.MarshalVTStrict(); err != nil {
			l.s.deps.Log.Error("a target is not carried", "account", l.account, "err", err)
			continue
		}
		records = append(records, r)
	}
	l.persist(ctx, "carrying targets", func() error { return l.s.deps.Publish.Produce(ctx, records) })
	l.s.metrics.carried.WithLabelValues(l.account).Add(float64(len(records)))
}

// ---- what people must know ----

// alertRefusal tells of one refusal of each kind in an hour; all of them are outcomes.
func (l *lane) alertRefusal(o *event.PushOutcome, now time.Time) {
	for code, at := range l.alerted {
		if now.Sub(at) >= time.Hour {
			delete(l.alerted, code)
		}
	}
	if _, told := l.alerted[o.Code]; told || len(l.alerted) >= 100 {
		return
	}
	l.alerted[o.Code] = now
	l.alert("push-refused", o.Account+"/"+o.ListingId, event.Severity_SEVERITY_WARNING,
		fmt.Sprintf("the platform refused to show %d of %s: %s %s", o.Quantity, o.Sku, o.Code, o.Message))
}

func newAlert(account, kind, subject string, severity event.Severity, text string, now int64) *event.Alert {
	return &event.Alert{
		Id: kind + "/" + subject + "/" + strconv.FormatInt(now, 10), Kind: kind, Severity: severity,
		Account: account, Subject: subject, Text: text, RaisedMs: now,
	}
}

// bury sends a record that is no target to the dead letters, its bytes untouched.
func (s *Sink) bury(ctx context.Context, r *stream.Record, why error) error {
	now := s.deps.Now().UnixMilli()
	d := &event.DeadLetter{
		Stage: "push", Code: "malformed", Reason: clip(why.Error(), 1000),
		Topic: r.Topic.Name, Partition: r.Partition, Offset: r.Offset, TimestampMs: r.TimestampMs,
		Attempt: 1, FailedMs: now,
	}
	if n, err := strconv.ParseInt(string(r.Header(schemas.HeaderAttempt)), 10, 64); err == nil {
		d.Attempt = n + 1
	}
	b, err := d.MarshalVTStrict()
	if err != nil {
		return fmt.Errorf("encoding the dead letter of %s/%d@%d: %w", r.Topic.Name, r.Partition, r.Offset, err)
	}
	rec := kafka.Record{Topic: schemas.DeadLetters("push"), Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		if h.Key != schemas.HeaderDeadLetter {
			rec.Headers = append(rec.Headers, h)
		}
	}
	rec.Headers = append(rec.Headers, kafka.Header{Key: schemas.HeaderDeadLetter, Value: b})
	s.metrics.malformed.Inc()
	for n := 1; ; n++ {
		err := s.deps.Publish.Produce(ctx, []kafka.Record{rec})
		if err == nil {
			return nil
		}
		if e := sleep(ctx, backoff(s.cfg(), n)); e != nil {
			return fmt.Errorf("writing the dead letter of %s/%d@%d: %w", r.Topic.Name, r.Partition, r.Offset, err)
		}
	}
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 { // not within a character
		n--
	}
	return s[:n]
}
