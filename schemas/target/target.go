// Package target is the calendar of TARGET, the settlement system of the euro, on whose
// open days the European Central Bank publishes its reference rates.
//
// Comes in and goes out: days. Keeps: nothing. The rules are fixed since 2002
// (https://www.ecb.europa.eu/ecb/educational/explainers/tell-me-more/html/target-holidays.en.html);
// a day on which the ECB did not publish although the calendar says open cannot be foreseen
// here: who looks for rates goes by what was published, and asks the calendar only what is
// still to be expected.
package target

import (
	"fmt"
	"time"
)

// Day is a calendar day, counted from 1970-01-01.
type Day int32

const dayMs = 24 * 60 * 60 * 1000

// Of is the UTC day of a time in milliseconds since the epoch.
func Of(ms int64) Day {
	d := ms / dayMs
	if ms%dayMs < 0 {
		d--
	}
	return Day(d)
}

// Date is a day of the Gregorian calendar.
func Date(year int, month time.Month, day int) Day {
	return Of(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).UnixMilli())
}

// Parse reads YYYY-MM-DD, and nothing else.
func Parse(text string) (Day, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return 0, fmt.Errorf("date %.20q: want YYYY-MM-DD", text)
	}
	return Of(t.UnixMilli()), nil
}

// String is YYYY-MM-DD.
func (d Day) String() string { return d.time().Format(time.DateOnly) }

// EndOfMonth is the last day of d's month.
func (d Day) EndOfMonth() Day {
	y, m, _ := d.time().Date()
	return Date(y, m+1, 0)
}

// EndOfQuarter is the last day of d's calendar quarter.
func (d Day) EndOfQuarter() Day {
	y, m, _ := d.time().Date()
	return Date(y, (m+2)/3*3+1, 0)
}

func (d Day) time() time.Time { return time.UnixMilli(int64(d) * dayMs).UTC() }

// Open reports whether TARGET is open. Before 1999-01-04, the first day with rates, it was not.
func (d Day) Open() bool {
	if d < first {
		return false
	}
	if w := d.time().Weekday(); w == time.Saturday || w == time.Sunday {
		return false
	}
	year, month, day := d.time().Date()
	switch {
	case month == time.January && day == 1, month == time.December && day == 25:
		return false
	case year == 1999:
		// The first year had two holidays, and a third one against the millennium bug.
		return !(month == time.December && day == 31)
	case year == 2001 && month == time.December && day == 31:
		// The euro cash changeover.
		return false
	case month == time.May && day == 1, month == time.December && day == 26:
		return false
	}
	e := easter(year)
	return d != e-2 && d != e+1
}

// first day of the euro's rates, Date(1999, January, 4).
const first Day = 10595

// Before is the last open day strictly before d; ok is false when there is none.
func (d Day) Before() (open Day, ok bool) {
	for d--; d >= first; d-- {
		if d.Open() {
			return d, true
		}
	}
	return 0, false
}

// After is the first open day strictly after d.
func (d Day) After() Day {
	for d = max(d, first-1) + 1; !d.Open(); d++ {
	}
	return d
}

// easter Sunday of the Gregorian calendar, by the rule of Meeus, Jones and Butcher.
func easter(year int) Day {
	a, b, c := year%19, year/100, year%100
	h := (19*a + b - b/4 - (b-(b+8)/25+1)/3 + 15) % 30
	l := (32 + 2*(b%4) + 2*(c/4) - h - c%4) % 7
	m := (a + 11*h + 22*l) / 451
	n := h + l - 7*m + 114
	return Date(year, time.Month(n/31), n%31+1)
}
