package fx

import (
	"archive/zip"
	"encoding/csv"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/internal/testkit"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// history is the oracle's own reader of the bank's file: newest first, figures as text.
type history struct {
	currencies []string
	days       []map[string]string // by currency, and "Date"; oldest first
}

func readHistory(t testing.TB) history {
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
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var h history
	for _, r := range rows[1:] {
		m := map[string]string{"Date": r[0], "EUR": "1"}
		for i, c := range rows[0] {
			if i > 0 && c != "" && r[i] != "N/A" && r[i] != "" {
				m[c] = r[i]
			}
		}
		h.days = append(h.days, m)
	}
	for _, c := range rows[0][1:] {
		if c != "" {
			h.currencies = append(h.currencies, c)
		}
	}
	slices.Reverse(h.days)
	return h
}

func (h history) input(i int) *event.FxInput {
	var figures []string
	for _, c := range slices.Sorted(maps.Keys(h.days[i])) {
		if c != "EUR" && c != "Date" {
			figures = append(figures, c+" "+h.days[i][c])
		}
	}
	return day(h.days[i]["Date"], figures...)
}

// before is the oracle's rule: the last published day before a date, found by the file alone
// and not by any calendar.
func (h history) before(date string) map[string]string {
	at, _ := slices.BinarySearchFunc(h.days, date, func(m map[string]string, d string) int { return strings.Compare(m["Date"], d) })
	if at == 0 {
		return nil
	}
	return h.days[at-1]
}

// decimals of the currencies of the file, written down by hand: the oracle knows no table.
func decimals(currency string) int {
	switch currency {
	case "JPY", "ISK", "KRW", "TRL":
		return 0
	}
	return 2
}

// convert is the oracle's arithmetic: rationals, rounded half to even by way of text.
func convert(minor int64, from, to string, fromDecimals, toDecimals int) *big.Int {
	r := new(big.Rat).SetInt64(minor)
	f, _ := new(big.Rat).SetString(from)
	t, _ := new(big.Rat).SetString(to)
	r.Mul(r, t).Quo(r, f)
	for range toDecimals {
		r.Mul(r, big.NewRat(10, 1))
	}
	for range fromDecimals {
		r.Quo(r, big.NewRat(10, 1))
	}
	floor, rest := new(big.Int).DivMod(r.Num(), r.Denom(), new(big.Int))
	switch twice := rest.Lsh(rest, 1); twice.Cmp(r.Denom()) {
	case 1:
		floor.Add(floor, big.NewInt(1))
	case 0:
		floor.Add(floor, new(big.Int).And(floor, big.NewInt(1)))
	}
	return floor
}

// The whole history, all its currencies, every calendar day, amounts of all sizes and both
// signs, into EUR and by way of the cross into others: no difference to the oracle.
func TestWholeHistoryAgainstTheOracle(t *testing.T) {
	hist := readHistory(t)
	for _, reporting := range []string{"EUR", "GBP", "JPY"} {
		t.Run(reporting, func(t *testing.T) {
			h := start(t, Config{Reporting: reporting})
			for i := range hist.days {
				h.send(hist.input(i))
			}
			h.drain()
			random := rand.New(rand.NewPCG(1, 2))
			currencies := append([]string{"EUR"}, hist.currencies...)
			checked, waiting := 0, 0
			check := func(subject, currency string, minor int64, date string) {
				v := h.valuation(subject)
				if currency == reporting {
					if v.Reporting.Minor != minor {
						t.Fatalf("%s: %v", subject, v)
					}
					return
				}
				d := hist.before(date)
				from, quoted := d[currency]
				to, quotedTo := d[reporting]
				if !quoted || !quotedTo {
					waiting++
					if !v.Waiting {
						t.Fatalf("%s: %v, but %s was not quoted before %s", subject, v, currency, date)
					}
					return
				}
				want := convert(minor, from, to, decimals(currency), decimals(reporting))
				if v.Waiting || !want.IsInt64() || v.Reporting.Minor != want.Int64() || v.RateDate != d["Date"] || v.Source != "ecb" {
					t.Fatalf("%s: %d %s on %s: %v, want %s by %s", subject, minor, currency, date, v, want, d["Date"])
				}
				if f, _ := money.FormatDecimal(v.FromRate); f != shortest(from) {
					t.Fatalf("%s: figure %s, published %s", subject, f, from)
				}
				checked++
			}
			type sample struct {
				subject, currency, date string
				minor                   int64
			}
			var batch []sample
			flush := func() {
				h.drain()
				for _, s := range batch {
					check(s.subject, s.currency, s.minor, s.date)
				}
				batch = batch[:0]
			}
			first, _ := time.Parse(time.DateOnly, "1999-01-05")
			last, _ := time.Parse(time.DateOnly, "2026-04-14")
			for d, n := first, 0; !d.After(last); d = d.AddDate(0, 0, 1) {
				date := d.Format(time.DateOnly)
				// Crosses have nothing of their own but the second figure: every fifth day. So for -short.
				if (reporting != "EUR" || testing.Short()) && d.Day()%5 != 0 {
					continue
				}
				for _, c := range currencies {
					minor := random.Int64N(1 << (1 + random.IntN(40)))
					if random.IntN(5) == 0 {
						minor = -minor
					}
					n++
					s := sample{fmt.Sprintf("s%d", n%50_000), c, date, minor}
					in := amount(s.subject, int64(n), s.minor, s.currency, s.date)
					h.send(in)
					if batch = append(batch, s); len(batch) == 20_000 {
						flush()
					}
				}
			}
			flush()
			if checked < 50_000 {
				t.Errorf("only %d conversions were compared", checked)
			}
			t.Logf("%d conversions, 0 differences; %d wait because their currency was not quoted", checked, waiting)
		})
	}
}

func shortest(text string) string {
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// Five quarters of 2021 to 2025 ended on a day without publication; OSS takes the next.
func TestQuarterEndsWithoutPublication(t *testing.T) {
	hist := readHistory(t)
	h := start(t, Config{Rule: QuarterEndOrNext})
	for i := range hist.days {
		h.send(hist.input(i))
	}
	want := map[string]string{
		"2022-12-31": "2023-01-02", "2023-09-30": "2023-10-02", "2023-12-31": "2024-01-02",
		"2024-03-31": "2024-04-02", "2024-06-30": "2024-07-01",
	}
	others := 0
	for year := 2021; year <= 2025; year++ {
		for _, end := range []string{"03-31", "06-30", "09-30", "12-31"} {
			date := fmt.Sprintf("%d-%s", year, end)
			h.send(amount(date, 1, 10000, "PLN", date[:5]+map[string]string{"03-31": "02-11", "06-30": "04-01", "09-30": "09-30", "12-31": "12-24"}[end]))
		}
	}
	h.drain()
	h.Entries(h.room.Valuations(), func(id string, m stream.Message) {
		v := m.(*event.Valuation)
		next, moved := want[id]
		if !moved {
			others++
			next = id
		}
		if v.RateDate != next {
			t.Errorf("quarter that ends on %s: rates of %q, want %s", id, v.RateDate, next)
		}
	})
	if others != 15 {
		t.Errorf("%d other quarters, want 15", others)
	}
}
