package clickhouse

import (
	"strings"
	"time"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas/event"
)

// valuationsReader fills valuations.
type valuationsReader struct {
	m event.Valuation
	*rows
	subject, kind, account, object *word
	currency                       *word
	amount                         *ints
	reportingCurrency              *word
	reporting                      *ints
	source, date                   *word
	fromRate, toRate               *ints
	fromScale, toScale             *ints32
	waiting                        *flags
	why                            *word
	occurred                       *ints
}

func newValuationsReader() *valuationsReader {
	r := newRows("valuations")
	d := &valuationsReader{
		rows: r, subject: r.text("subject"), kind: r.word("kind"), account: r.word("account"), object: r.text("object_id"),
		currency: r.word("currency"), amount: r.int("amount_minor"), reportingCurrency: r.word("reporting_currency"), reporting: r.int("reporting_minor"),
		source: r.word("source"), date: r.text("rate_date"), fromRate: r.int("from_rate_unscaled"), fromScale: r.int32("from_rate_scale"),
		toRate: r.int("to_rate_unscaled"), toScale: r.int32("to_rate_scale"), waiting: r.flag("waiting"), why: r.word("waiting_reason"), occurred: r.time("occurred_at"),
	}
	r.seal()
	return d
}

func (d *valuationsReader) tables() []*rows { return []*rows{d.rows} }

func (d *valuationsReader) add(r *stream.Record, c coordinates) error {
	m := &d.m
	m.Reset()
	if err := decode(r, m); err != nil {
		return err
	}
	if m.Subject == "" {
		return malformed("a valuation without subject")
	}
	if err := times(m.OccurredMs); err != nil {
		return err
	}
	// The header first: a subject that waited is valued later in the same version of its own.
	c, err := c.fromHeader(r, m.Version)
	if err != nil {
		return err
	}
	kind, account, object := subjectParts(m.Subject)
	d.subject.add(m.Subject)
	d.kind.add(kind)
	d.account.add(account)
	d.object.add(object)
	d.currency.add(m.Amount.GetCurrency())
	d.amount.add(m.Amount.GetMinor())
	d.reportingCurrency.add(m.Reporting.GetCurrency())
	d.reporting.add(m.Reporting.GetMinor())
	d.source.add(m.Source)
	d.date.add(m.RateDate)
	d.fromRate.add(m.FromRate.GetUnscaled())
	d.fromScale.add(m.FromRate.GetScale())
	d.toRate.add(m.ToRate.GetUnscaled())
	d.toScale.add(m.ToRate.GetScale())
	d.waiting.add(m.Waiting)
	d.why.add(m.WaitingReason)
	d.occurred.add(m.OccurredMs)
	d.at(c)
	return nil
}

func (d *valuationsReader) removed(key string) ([]removal, error) {
	kind, account, object := subjectParts(key)
	return []removal{{"valuations", "kind = " + quote(kind) + " AND account = " + quote(account) + " AND object_id = " + quote(object)}}, nil
}

// subjectParts cuts "order/<account>/<id>"; the id may contain slashes.
func subjectParts(s string) (kind, account, object string) {
	kind, rest, _ := strings.Cut(s, "/")
	account, object, _ = strings.Cut(rest, "/")
	return kind, account, object
}

// ratesReader fills rates: one row per currency of a day.
type ratesReader struct {
	m event.RateDay
	*rows
	source         *word
	date           *scalarCol[time.Time]
	base, currency *word
	rate           *ints
	scale          *ints32
}

func newRatesReader() *ratesReader {
	r := newRows("rates")
	d := &ratesReader{
		rows: r, source: r.word("source"), date: scalarOf[time.Time](r, "date", "Date32"), base: r.word("base"), currency: r.word("currency"),
		rate: r.int("rate_unscaled"), scale: r.int32("rate_scale"),
	}
	r.seal()
	return d
}

func (d *ratesReader) tables() []*rows { return []*rows{d.rows} }

func (d *ratesReader) add(r *stream.Record, c coordinates) error {
	m := &d.m
	m.Reset()
	if err := decode(r, m); err != nil {
		return err
	}
	// Every partition of the fx room keeps its own copy of a day, and versions of different
	// partitions do not compare: the first one's copy stands for all.
	if source, told := stream.SourceOf(r); told && source != 0 {
		return nil
	}
	day, err := time.Parse(time.DateOnly, m.Date)
	if err != nil || day.Year() < 1900 || day.Year() > 2299 {
		return malformed("the date %q of a day of rates is not YYYY-MM-DD", m.Date)
	}
	c, err = c.fromHeader(r, nil)
	if err != nil {
		return err
	}
	for _, x := range m.Rates {
		d.source.add(m.Source)
		d.date.add(day)
		d.base.add(m.Base)
		d.currency.add(x.Currency)
		d.rate.add(x.Value.GetUnscaled())
		d.scale.add(x.Value.GetScale())
		d.at(c)
	}
	return nil
}

func (d *ratesReader) removed(key string) ([]removal, error) {
	source, day, _ := strings.Cut(key, "/")
	if _, err := time.Parse(time.DateOnly, day); err != nil {
		return nil, malformed("the key %q of a day of rates is not source/YYYY-MM-DD", key)
	}
	return []removal{{"rates", "source = " + quote(source) + " AND date = toDate32(" + quote(day) + ")"}}, nil
}
