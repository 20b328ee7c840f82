package fx

import (
	"strings"

	"github.com/helloword/crossdock/schemas/target"
)

// Rule says which day's rates an amount is converted with, from the UTC date of its event.
type Rule string

// The rules.
const (
	// PreviousDay: the last TARGET day strictly before the date.
	PreviousDay Rule = "previous-day"
	// SameDay: the date itself, or the last TARGET day before it. An order then waits until
	// the afternoon.
	SameDay Rule = "same-day"
	// MonthEnd: the last TARGET day of the date's month.
	MonthEnd Rule = "month-end"
	// MonthEndOrNext: the last day of the month or, if nothing was published then, the next
	// day of publication. IOSS: Directive 2006/112/EC, Article 369zb.
	MonthEndOrNext Rule = "month-end-or-next"
	// QuarterEndOrNext: the same for the calendar quarter. OSS: Articles 366 and 369h.
	QuarterEndOrNext Rule = "quarter-end-or-next"
)

var rules = [...]Rule{PreviousDay, SameDay, MonthEnd, MonthEndOrNext, QuarterEndOrNext}

func (r Rule) known() bool {
	for _, k := range rules {
		if r == k {
			return true
		}
	}
	return false
}

// ahead: where nothing was published on the day itself, the next publication counts.
func (r Rule) ahead() bool { return r == MonthEndOrNext || r == QuarterEndOrNext }

// want is the day whose rates are wanted for an event's date, as far as the calendar knows;
// ok is false when there were no rates in the world.
func (r Rule) want(date target.Day) (day target.Day, ok bool) {
	switch r {
	case PreviousDay:
		return date.Before()
	case SameDay:
		return (date + 1).Before()
	case MonthEnd:
		return (date.EndOfMonth() + 1).Before()
	case MonthEndOrNext:
		return orNext(date.EndOfMonth())
	case QuarterEndOrNext:
		return orNext(date.EndOfQuarter())
	}
	return 0, false
}

// orNext is the day, or the first TARGET day after it; long before the euro there is none.
func orNext(day target.Day) (target.Day, bool) {
	next := (day - 1).After()
	return next, next-day <= reach
}

func rulesText() string {
	var names []string
	for _, r := range rules {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

// reach is how many calendar days an unforeseen closing may last: twice the longest gap
// between two publications since 1999, which is five.
const reach = 10

// window are the days from which the rates for a wanted day may be taken, or which tell that
// it was a closing: the TARGET days within reach, ascending.
func window(wanted target.Day) []target.Day {
	days := make([]target.Day, 0, 16)
	for d := wanted - reach; d <= wanted+reach; d++ {
		if d.Open() {
			days = append(days, d)
		}
	}
	return days
}
