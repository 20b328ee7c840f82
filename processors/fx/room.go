package fx

import (
	"fmt"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// Apply handles a record for the first time; see stream.Handler.
func (r *Room) Apply(tx *stream.Tx, rec *stream.Record, in stream.Input) error {
	switch x := in.Value.(type) {
	case *valuable:
		return r.value(tx, x)
	case *rateDay:
		r.rateDay(tx, rec, x)
	case *lookAgain:
		r.handleAgain(tx, x)
	}
	return nil
}

// Repeat emits again what the entries say; see stream.Handler.
func (r *Room) Repeat(tx *stream.Tx, rec *stream.Record, in stream.Input) error {
	switch x := in.Value.(type) {
	case *valuable:
		tx.Again(x.key)
		if x.window != nil {
			tx.Again(x.list)
			tx.Again(x.directory)
		}
	case *rateDay:
		tx.Again(x.key)
		tx.Again(x.latest)
		r.wake(tx, rec, x)
	case *lookAgain:
		r.handleAgain(tx, x)
	}
	return nil
}

// value decides about a subject's newest amount.
func (r *Room) value(tx *stream.Tx, v *valuable) error {
	old, _ := tx.Get(v.key).(*event.Valuation)
	if old != nil {
		is, was := stream.VersionOf(v.Version), stream.VersionOf(old.Version)
		if is.Before(was) || is == was && !old.Waiting {
			leave(tx, v) // an older amount of the subject may still be on a list
			return nil
		}
	}
	now := &event.Valuation{Subject: v.Subject, Version: v.Version, Amount: v.Amount, OccurredMs: v.OccurredMs}
	if err := r.decide(tx, v, now); err != nil {
		return err
	}
	if now.Waiting && v.window != nil {
		if err := join(tx, v); err != nil {
			return err
		}
	} else {
		leave(tx, v)
	}
	if !now.EqualVT(old) {
		tx.Put(v.key, now)
	}
	return nil
}

// decide fills in the value, or why there is none yet.
func (r *Room) decide(tx *stream.Tx, v *valuable, now *event.Valuation) error {
	if v.Amount.Currency == r.cfg.Reporting {
		now.Reporting = v.Amount
		return nil
	}
	wait := func(format string, args ...any) error {
		now.Waiting, now.WaitingReason = true, fmt.Sprintf(format, args...)
		return nil
	}
	if v.window == nil {
		return wait("there were no rates before %s", firstRates)
	}
	day, why := r.choose(tx, v)
	if day == nil {
		return wait("%s", why)
	}
	from, to := figureOf(day, v.Amount.Currency), figureOf(day, r.cfg.Reporting)
	switch {
	case from == nil:
		return wait("%s was not quoted by %s on %s", v.Amount.Currency, day.Source, day.Date)
	case to == nil:
		return wait("%s was not quoted by %s on %s", r.cfg.Reporting, day.Source, day.Date)
	}
	minor, err := money.Convert(v.Amount.Minor, v.exponent, r.exponent, from, to)
	if err != nil {
		return fmt.Errorf("converting %d %s of %s with the rates of %s: %w: %w", v.Amount.Minor, v.Amount.Currency, v.Subject, day.Date, err, connectors.ErrMalformed)
	}
	now.Reporting = &event.Money{Minor: minor, Currency: r.cfg.Reporting}
	now.Source, now.RateDate, now.FromRate, now.ToRate = day.Source, day.Date, from, to
	return nil
}

const firstRates = "1999-01-04"

// choose returns the day whose rates count, or why none does.
func (r *Room) choose(tx *stream.Tx, v *valuable) (*event.RateDay, string) {
	var before, after *event.RateDay // the nearest published days
	for _, w := range v.window {
		day, _ := tx.Get(w.key).(*event.RateDay)
		switch {
		case day == nil:
		case w.day == v.wanted:
			return day, ""
		case w.day < v.wanted:
			before = day
		case after == nil:
			after = day
		}
	}
	switch {
	case after == nil:
		return nil, fmt.Sprintf("the rates of %s have not come yet from %s", v.listDay, r.cfg.Source)
	case r.cfg.Rule.ahead():
		return after, ""
	case before == nil:
		return nil, fmt.Sprintf("%s has no rates of %s, nor of the %d days before", r.cfg.Source, v.listDay, reach)
	}
	return before, ""
}

// unit is the figure of the base currency itself.
func unit() *event.Decimal { return &event.Decimal{Unscaled: 1} }

func figureOf(day *event.RateDay, currency string) *event.Decimal {
	if currency == day.Base {
		return unit()
	}
	for _, x := range day.Rates {
		if x.Currency == currency {
			return x.Value
		}
	}
	return nil
}

// rateDay takes a day in, and wakes what it may help.
func (r *Room) rateDay(tx *stream.Tx, rec *stream.Record, d *rateDay) {
	old, _ := tx.Get(d.key).(*event.RateDay)
	if old != nil && sameRates(old, d.RateDay) {
		return
	}
	tx.Put(d.key, d.RateDay)
	if d.Source != r.cfg.Source {
		return
	}
	seen(tx, d)
	r.wake(tx, rec, d)
}

// sameRates: where a day came from is no news.
func sameRates(a, b *event.RateDay) bool {
	if a.Base != b.Base || len(a.Rates) != len(b.Rates) {
		return false
	}
	for i := range a.Rates {
		if !a.Rates[i].EqualVT(b.Rates[i]) {
			return false
		}
	}
	return true
}

// handleAgain sends what waits in one list back to the room's own input. It cannot be
// decided here: the keys of a record follow from the record alone, and this one does not
// know the subjects. They leave the list when they are decided, not before, so that a crash
// in between forgets none.
func (r *Room) handleAgain(tx *stream.Tx, l *lookAgain) {
	list, _ := tx.Get(l.list).(*event.FxWaiting)
	for _, v := range list.GetValuables() {
		tx.Emit(stream.Output{
			Topic: schemas.FxIn, Key: []byte(v.Subject),
			Value: &event.FxInput{Input: &event.FxInput_Valuable{Valuable: v}},
		})
	}
}
