package dev

import (
	"bytes"
	"fmt"
	"time"
)

// madeUpRates is a history of the last three weeks in the bank's format, for runs without a
// file. The figures are invented and constant.
func madeUpRates(now time.Time) []byte {
	var b bytes.Buffer
	b.WriteString("Date,USD,JPY,GBP,\n")
	for day := now.UTC(); now.Sub(day) < 21*24*time.Hour; day = day.AddDate(0, 0, -1) {
		if wd := day.Weekday(); wd != time.Saturday && wd != time.Sunday {
			fmt.Fprintf(&b, "%s,1.1,160,0.85,\n", day.Format(time.DateOnly))
		}
	}
	return b.Bytes()
}
