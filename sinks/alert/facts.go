package alert

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// fact is one record, as a person is told of it.
type fact struct {
	offset   int64
	kind     string
	subject  string
	severity Severity
	account  string
	text     string
	at       time.Time
	// clears: what was wrong with the subject is over; the next time is told at once.
	clears []string
}

// Bounds of what goes out.
const (
	maxSubject = 200
	maxText    = 1000
)

// readFact decodes one record of any of the topics. An error is permanent.
func readFact(topic string, r *stream.Record) (fact, error) {
	var f fact
	var err error
	switch {
	case strings.HasPrefix(topic, "dlq."):
		f, err = deadLetter(r)
	case topic == schemas.StockAlarms.Name:
		f, err = stockAlarm(r)
	default:
		f, err = alertFact(r)
	}
	if err != nil {
		return fact{}, err
	}
	f.offset = r.Offset
	f.subject, f.text, f.kind, f.account = clean(f.subject, maxSubject), clean(f.text, maxText), clean(f.kind, 50), clean(f.account, 100)
	return f, nil
}

// deadLetter groups by stage, code and account: a broken feed is one thing to know, not a
// thousand.
func deadLetter(r *stream.Record) (fact, error) {
	h := r.Header(schemas.HeaderDeadLetter)
	if h == nil {
		return fact{}, fmt.Errorf("%w: a dead letter without header %s", connectors.ErrMalformed, schemas.HeaderDeadLetter)
	}
	var m event.DeadLetter
	if err := m.UnmarshalVT(h); err != nil {
		return fact{}, fmt.Errorf("%w: header %s: %v", connectors.ErrMalformed, schemas.HeaderDeadLetter, err)
	}
	subject := m.Stage + ": " + m.Code
	if m.Account != "" {
		subject += " (" + m.Account + ")"
	}
	return fact{
		kind: "dead-letter", subject: subject, severity: Warning, account: m.Account, at: time.UnixMilli(m.FailedMs).UTC(),
		text: fmt.Sprintf("%s gave up %s/%d@%d: %s. See `crossdock dlq show`.", m.Stage, m.Topic, m.Partition, m.Offset, m.Reason),
	}, nil
}

func stockAlarm(r *stream.Record) (fact, error) {
	var m event.StockAlarm
	if err := m.UnmarshalVT(r.Value); err != nil {
		return fact{}, fmt.Errorf("%w: a stock alarm: %v", connectors.ErrMalformed, err)
	}
	f := fact{subject: "SKU " + m.Sku, at: time.UnixMilli(m.OccurredMs).UTC()}
	if m.Warehouse != "" {
		f.subject += " in " + m.Warehouse
	}
	switch m.Kind {
	case event.AlarmKind_ALARM_KIND_OVERSOLD:
		f.kind, f.severity = "oversold", Critical
		f.text = fmt.Sprintf("%d units of %s are promised and not there, since %s.", m.Units, m.Sku, m.Cause)
	case event.AlarmKind_ALARM_KIND_SHORT:
		f.kind, f.severity = "short", Warning
		f.text = fmt.Sprintf("%d units of %s were taken off that were not there, by %s.", m.Units, m.Sku, m.Cause)
	case event.AlarmKind_ALARM_KIND_CLEARED:
		f.kind, f.severity, f.clears = "stock-cleared", Info, []string{"oversold", "short"}
		f.text = fmt.Sprintf("%s is covered again, by %s.", m.Sku, m.Cause)
	default:
		return fact{}, fmt.Errorf("%w: a stock alarm of kind %d", connectors.ErrUnsupported, m.Kind)
	}
	return f, nil
}

func alertFact(r *stream.Record) (fact, error) {
	var m event.Alert
	if err := m.UnmarshalVT(r.Value); err != nil {
		return fact{}, fmt.Errorf("%w: an alert: %v", connectors.ErrMalformed, err)
	}
	if m.Kind == "" {
		return fact{}, fmt.Errorf("%w: an alert without kind", connectors.ErrMalformed)
	}
	f := fact{kind: m.Kind, subject: m.Subject, severity: Warning, account: m.Account, text: m.Text, at: time.UnixMilli(m.RaisedMs).UTC()}
	switch m.Severity {
	case event.Severity_SEVERITY_INFO:
		f.severity = Info
	case event.Severity_SEVERITY_CRITICAL:
		f.severity = Critical
	}
	if f.subject == "" {
		f.subject = m.Account
	}
	return f, nil
}

// clean makes text of outside fit for a header and a bounded body: no control characters, cut
// at a whole character.
func clean(s string, limit int) string {
	s = strings.ToValidUTF8(s, "?")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) <= limit {
		return s
	}
	cut := 0
	for i := range s {
		if i > limit-len("…") {
			break
		}
		cut = i
	}
	return s[:cut] + "…"
}
