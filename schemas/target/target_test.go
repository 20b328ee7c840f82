package target

import (
	"archive/zip"
	"bufio"
	"strings"
	"testing"
	"time"

	"github.com/helloword/crossdock/internal/testkit"
)

// The calendar against the days on which rates were really published, 1999 to 2026.
func TestOpenIsPublished(t *testing.T) {
	z, err := zip.OpenReader(testkit.Shared(t, "data", "ecb-eurofxref-hist-2026-04-13.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	f, err := z.Open("eurofxref-hist.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	published := map[Day]bool{}
	for s := bufio.NewScanner(f); s.Scan(); {
		if date, _, _ := strings.Cut(s.Text(), ","); date != "Date" {
			d, err := Parse(date)
			if err != nil {
				t.Fatal(err)
			}
			published[d] = true
		}
	}
	if len(published) != 6983 {
		t.Fatalf("read %d days, want 6983", len(published))
	}
	for d := Date(1998, time.December, 1); d <= Date(2026, time.April, 13); d++ {
		if d.Open() != published[d] {
			t.Errorf("%s: open %v, published %v", d, d.Open(), published[d])
		}
	}
}

func TestDays(t *testing.T) {
	if first != Date(1999, time.January, 4) {
		t.Errorf("first = %s", first)
	}
	for _, c := range []struct{ day, before, after string }{
		{"2024-04-02", "2024-03-28", "2024-04-03"}, // Easter
		{"2024-04-01", "2024-03-28", "2024-04-02"},
		{"2023-12-27", "2023-12-22", "2023-12-28"}, // Christmas
		{"2026-01-02", "2025-12-31", "2026-01-05"},
		{"2025-05-02", "2025-04-30", "2025-05-05"},
		{"2002-01-02", "2001-12-28", "2002-01-03"},
	} {
		d, err := Parse(c.day)
		if err != nil {
			t.Fatal(err)
		}
		before, ok := d.Before()
		if !ok || before.String() != c.before || d.After().String() != c.after {
			t.Errorf("%s: before %s, after %s; want %s, %s", d, before, d.After(), c.before, c.after)
		}
	}
	if _, ok := Date(1999, time.January, 4).Before(); ok {
		t.Error("there is an open day before the first")
	}
	if got := Date(1990, time.May, 5).After(); got != first {
		t.Errorf("After(1990) = %s", got)
	}
	for day, want := range map[string][2]string{
		"2024-02-10": {"2024-02-29", "2024-03-31"}, "2025-12-31": {"2025-12-31", "2025-12-31"},
		"2023-07-01": {"2023-07-31", "2023-09-30"}, "2023-05-31": {"2023-05-31", "2023-06-30"},
	} {
		d, _ := Parse(day)
		if got := [2]string{d.EndOfMonth().String(), d.EndOfQuarter().String()}; got != want {
			t.Errorf("%s: month and quarter end on %v, want %v", day, got, want)
		}
	}
	for ms, want := range map[int64]string{0: "1970-01-01", -1: "1969-12-31", dayMs - 1: "1970-01-01", dayMs: "1970-01-02", -dayMs: "1969-12-31"} {
		if got := Of(ms).String(); got != want {
			t.Errorf("Of(%d) = %s, want %s", ms, got, want)
		}
	}
	for _, bad := range []string{"", "2024-2-1", "2024-02-30", "2024-02-01T00:00:00Z", "20240201", " 2024-02-01"} {
		if d, err := Parse(bad); err == nil {
			t.Errorf("Parse(%q) = %s", bad, d)
		}
	}
	// Known Easters, the earliest and the latest of the years in question among them.
	for year, want := range map[int]string{1999: "1999-04-04", 2000: "2000-04-23", 2008: "2008-03-23", 2011: "2011-04-24", 2024: "2024-03-31", 2025: "2025-04-20", 2026: "2026-04-05", 2038: "2038-04-25"} {
		if got := easter(year).String(); got != want {
			t.Errorf("easter(%d) = %s, want %s", year, got, want)
		}
	}
}
