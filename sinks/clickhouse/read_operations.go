package clickhouse

import (
	"strings"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// maxObject bounds what of a record's key is kept: keys are short, a corrupt one need not be.
const maxObject = 512

// deadLettersReader fills dead_letters from the header of every dlq.* record. The record's own
// bytes may hold personal data and stay in Kafka.
type deadLettersReader struct {
	m event.DeadLetter
	*rows
	stage, code, reason, topic *word
	partition                  *ints32
	offset, attempt            *ints
	connector, account, object *word
	size                       *scalarCol[uint64]
	app                        *word
	recorded, failed           *ints
}

func newDeadLettersReader() *deadLettersReader {
	r := newRows("dead_letters")
	d := &deadLettersReader{
		rows: r, stage: r.word("stage"), code: r.word("code"), reason: r.text("reason"), topic: r.word("topic"), partition: r.int32("partition"),
		offset: r.int("offset"), attempt: r.int("attempt"), connector: r.word("connector"), account: r.word("account"), object: r.text("object"),
		size: scalarOf[uint64](r, "value_bytes", "UInt64"), app: r.word("app_version"), recorded: r.time("recorded_at"), failed: r.time("failed_at"),
	}
	r.seal()
	return d
}

func (d *deadLettersReader) tables() []*rows { return []*rows{d.rows} }

func (d *deadLettersReader) add(r *stream.Record, c coordinates) error {
	h := r.Header(schemas.HeaderDeadLetter)
	if h == nil {
		return malformed("a dead letter without header %s", schemas.HeaderDeadLetter)
	}
	m := &d.m
	m.Reset()
	if err := m.UnmarshalVT(h); err != nil {
		return malformed("decoding header %s: %v", schemas.HeaderDeadLetter, err)
	}
	if err := times(m.TimestampMs, m.FailedMs); err != nil {
		return err
	}
	c.version = r.Offset
	d.stage.add(m.Stage)
	d.code.add(m.Code)
	d.reason.add(m.Reason)
	d.topic.add(m.Topic)
	d.partition.add(m.Partition)
	d.offset.add(m.Offset)
	d.attempt.add(m.Attempt)
	d.connector.add(m.Connector)
	d.account.add(m.Account)
	d.object.add(strings.ToValidUTF8(string(r.Key[:min(len(r.Key), maxObject)]), "?"))
	d.size.add(uint64(len(r.Value)))
	d.app.add(m.AppVersion)
	d.recorded.add(m.TimestampMs)
	d.failed.add(m.FailedMs)
	d.at(c)
	return nil
}

func (d *deadLettersReader) removed(string) ([]removal, error) { return nil, nil }

// alertsReader fills alerts.
type alertsReader struct {
	m    event.Alert
	word *spelled[event.Severity]
	*rows
	id, kind, severity, account, subject, text *word
	raised                                     *ints
}

func newAlertsReader() *alertsReader {
	r := newRows("alerts")
	d := &alertsReader{
		word: spell[event.Severity]("SEVERITY"), rows: r, id: r.text("alert_id"), kind: r.word("kind"), severity: r.word("severity"),
		account: r.word("account"), subject: r.text("subject"), text: r.text("text"), raised: r.time("raised_at"),
	}
	r.seal()
	return d
}

func (d *alertsReader) tables() []*rows { return []*rows{d.rows} }

func (d *alertsReader) add(r *stream.Record, c coordinates) error {
	m := &d.m
	m.Reset()
	if err := decode(r, m); err != nil {
		return err
	}
	if err := times(m.RaisedMs); err != nil {
		return err
	}
	c.version = r.Offset
	d.id.add(m.Id)
	d.kind.add(m.Kind)
	d.severity.add(d.word.of(m.Severity))
	d.account.add(m.Account)
	d.subject.add(m.Subject)
	d.text.add(m.Text)
	d.raised.add(m.RaisedMs)
	d.at(c)
	return nil
}

func (d *alertsReader) removed(string) ([]removal, error) { return nil, nil }
