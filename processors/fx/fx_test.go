package fx

import (
	"archive/zip"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/internal/testkit"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// harness is a room in memory. What the room sends to its own input is appended there, as
// Kafka would.
type harness struct {
	t testing.TB
	*stream.Memory
	room *Room
}

func start(t testing.TB, cfg Config) *harness {
	t.Helper()
	room, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r, err := stream.NewRoom(room, "test")
	if err != nil {
		t.Fatal(err)
	}
	return &harness{t, stream.NewMemory(r, schemas.FxIn), room}
}

func (h *harness) send(in *event.FxInput) {
	key := "day"
	if v := in.GetValuable(); v != nil {
		key = v.Subject
	}
	h.AppendMessage(key, in, 1)
}

// loop appends what was emitted to the room's own input.
func (h *harness) loop(outs []stream.Output) {
	h.t.Helper()
	for _, o := range outs {
		if o.Topic.Name == "dlq.fx.v1" {
			h.t.Fatalf("a dead letter: %v", o.Headers)
		}
		if o.Topic.Name == schemas.FxIn.Name {
			if o.ByPartition && o.Partition != 0 {
				h.t.Fatalf("a note for partition %d", o.Partition)
			}
			h.AppendMessage(string(o.Key), o.Value, 1)
		}
	}
}

func (h *harness) drain() {
	h.t.Helper()
	for n := 0; h.Pending() > 0; n++ {
		if n > 1_000_000 {
			h.t.Fatal("the room never comes to rest")
		}
		outs, err := h.Step(64, stream.NoCrash)
		if err != nil {
			h.t.Fatal(err)
		}
		h.loop(outs)
	}
}

func (h *harness) valuation(subject string) *event.Valuation {
	v, _ := h.Entry(stream.Key{Table: h.room.Valuations(), ID: subject}).(*event.Valuation)
	return v
}

// say prints a valuation: "EUR 11.23 ecb 2024-03-28 0.8551/1", or "waits: …".
func (h *harness) say(subject string) string {
	v := h.valuation(subject)
	switch {
	case v == nil:
		return "nothing"
	case v.Waiting:
		return "waits: " + v.WaitingReason
	}
	text, err := money.Format("", v.Reporting)
	if err != nil {
		h.t.Fatal(err)
	}
	if v.Source == "" {
		return v.Reporting.Currency + " " + text + " as it is"
	}
	from, err := money.FormatDecimal(v.FromRate)
	if err != nil {
		h.t.Fatal(err)
	}
	to, err := money.FormatDecimal(v.ToRate)
	if err != nil {
		h.t.Fatal(err)
	}
	return fmt.Sprintf("%s %s %s %s %s/%s", v.Reporting.Currency, text, v.Source, v.RateDate, from, to)
}

func ms(date string) int64 {
	t, err := time.Parse(time.DateTime, date+" 12:00:00")
	if err != nil {
		panic(err)
	}
	return t.UnixMilli()
}

func amount(subject string, version int64, minor int64, currency, date string) *event.FxInput {
	return &event.FxInput{Input: &event.FxInput_Valuable{Valuable: &event.Valuable{
		Subject: subject, Version: &event.Version{Number: version},
		Amount: &event.Money{Minor: minor, Currency: currency}, OccurredMs: ms(date),
	}}}
}

// day makes rates of one day: "USD 1.0811", "GBP 0.8551" …
func day(date string, figures ...string) *event.FxInput {
	d := &event.RateDay{Source: "ecb", Base: "EUR", Date: date}
	for _, f := range figures {
		currency, text, _ := strings.Cut(f, " ")
		value, err := money.ParseDecimal(text)
		if err != nil {
			panic(err)
		}
		d.Rates = append(d.Rates, &event.Rate{Currency: currency, Value: value})
	}
	return &event.FxInput{Input: &event.FxInput_Rates{Rates: d}}
}

func TestRules(t *testing.T) {
	days := []*event.FxInput{
		day("2024-03-27", "GBP 0.8580", "USD 1.0816"), day("2024-03-28", "GBP 0.8551", "USD 1.0811"),
		day("2024-04-02", "GBP 0.8566", "USD 1.0749"), day("2024-04-03", "GBP 0.8577", "USD 1.0783"),
	}
	for _, c := range []struct {
		cfg    Config
		amount *event.FxInput
		want   string
	}{
		// Good Friday was 2024-03-29, Easter Monday 2024-04-01.
		{Config{}, amount("o", 1, 10000, "GBP", "2024-04-02"), "EUR 116.95 ecb 2024-03-28 0.8551/1"},
		{Config{}, amount("o", 1, 10000, "GBP", "2024-03-31"), "EUR 116.95 ecb 2024-03-28 0.8551/1"},
		{Config{}, amount("o", 1, 10000, "GBP", "2024-03-28"), "EUR 116.55 ecb 2024-03-27 0.858/1"},
		{Config{}, amount("o", 1, -10000, "GBP", "2024-03-28"), "EUR -116.55 ecb 2024-03-27 0.858/1"},
		{Config{}, amount("o", 1, 777, "EUR", "2024-03-28"), "EUR 7.77 as it is"},
		{Config{Reporting: "USD"}, amount("o", 1, 10000, "GBP", "2024-04-03"), "USD 125.48 ecb 2024-04-02 0.8566/1.0749"},
		{Config{Reporting: "USD"}, amount("o", 1, 10000, "EUR", "2024-04-03"), "USD 107.49 ecb 2024-04-02 1/1.0749"},
		{Config{Reporting: "GBP"}, amount("o", 1, 5, "GBP", "1990-04-03"), "GBP 0.05 as it is"},
		{Config{Rule: SameDay}, amount("o", 1, 10000, "GBP", "2024-04-02"), "EUR 116.74 ecb 2024-04-02 0.8566/1"},
		{Config{Rule: SameDay}, amount("o", 1, 10000, "GBP", "2024-03-30"), "EUR 116.95 ecb 2024-03-28 0.8551/1"},
		{Config{Rule: MonthEnd}, amount("o", 1, 10000, "GBP", "2024-03-04"), "EUR 116.95 ecb 2024-03-28 0.8551/1"},
		{Config{Rule: MonthEndOrNext}, amount("o", 1, 10000, "GBP", "2024-03-04"), "EUR 116.74 ecb 2024-04-02 0.8566/1"},
		{Config{Rule: QuarterEndOrNext}, amount("o", 1, 10000, "GBP", "2024-01-04"), "EUR 116.74 ecb 2024-04-02 0.8566/1"},
		{Config{}, amount("o", 1, 10000, "GBP", "2024-04-04"), "EUR 116.59 ecb 2024-04-03 0.8577/1"},
		{Config{}, amount("o", 1, 10000, "GBP", "2024-04-05"), "waits: the rates of 2024-04-04 have not come yet from ecb"},
		{Config{}, amount("o", 1, 10000, "CHF", "2024-04-03"), "waits: CHF was not quoted by ecb on 2024-04-02"},
		{Config{Reporting: "CHF"}, amount("o", 1, 10000, "GBP", "2024-04-03"), "waits: CHF was not quoted by ecb on 2024-04-02"},
		{Config{}, amount("o", 1, 10000, "GBP", "2024-03-27"), "waits: ecb has no rates of 2024-03-26, nor of the 10 days before"},
		{Config{}, amount("o", 1, 10000, "GBP", "2024-02-27"), "waits: the rates of 2024-02-26 have not come yet from ecb"},
		{Config{}, amount("o", 1, 10000, "GBP", "1999-01-04"), "waits: there were no rates before 1999-01-04"},
		{Config{Rule: QuarterEndOrNext}, amount("o", 1, 10000, "GBP", "1995-01-04"), "waits: there were no rates before 1999-01-04"},
		{Config{Source: "other"}, amount("o", 1, 10000, "GBP", "2024-04-03"), "waits: the rates of 2024-04-02 have not come yet from other"},
	} {
		h := start(t, c.cfg)
		for _, d := range days {
			h.send(d)
		}
		h.send(c.amount)
		h.drain()
		if got := h.say("o"); got != c.want {
			t.Errorf("%+v, %v: got %q, want %q", c.cfg, c.amount.GetValuable(), got, c.want)
		}
	}
}

// Zero, three and four decimals on either side.
func TestExponents(t *testing.T) {
	rates := day("2024-04-02", "JPY 163.01", "KWD 0.3311", "CLF 0.0266")
	for _, c := range []struct {
		reporting, currency string
		minor, want         int64
	}{
		{"EUR", "JPY", 16301, 10000}, {"JPY", "EUR", 10000, 16301}, {"EUR", "KWD", 3311, 1000},
		{"KWD", "JPY", 16301, 33110}, {"CLF", "EUR", 100, 266}, {"JPY", "CLF", 266, 163},
		{"EUR", "JPY", 1, 1}, {"EUR", "JPY", 0, 0},
	} {
		h := start(t, Config{Reporting: c.reporting})
		h.send(rates)
		h.send(amount("o", 1, c.minor, c.currency, "2024-04-03"))
		h.drain()
		if v := h.valuation("o"); v.Waiting || v.Reporting.Minor != c.want || v.Reporting.Currency != c.reporting {
			t.Errorf("%d %s in %s: %v, want %d", c.minor, c.currency, c.reporting, v, c.want)
		}
	}
}

// What waits is released by the day that it waits for, and by that day only.
func TestWaitingIsReleased(t *testing.T) {
	h := start(t, Config{})
	h.send(amount("o", 1, 10000, "GBP", "2024-04-03"))
	h.send(amount("later", 1, 10000, "GBP", "2024-04-04"))
	h.send(amount("swiss", 1, 10000, "CHF", "2024-04-03"))
	h.drain()
	const wait = "waits: the rates of 2024-04-02 have not come yet from ecb"
	if got := h.say("o"); got != wait {
		t.Fatalf("got %q", got)
	}
	h.send(day("2024-03-28", "GBP 0.8551")) // an older one is no help
	h.drain()
	if got := h.say("o"); got != wait {
		t.Fatalf("got %q", got)
	}
	h.send(day("2024-04-02", "GBP 0.8566"))
	h.drain()
	if got, want := h.say("o"), "EUR 116.74 ecb 2024-04-02 0.8566/1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := h.say("later"), "waits: the rates of 2024-04-03 have not come yet from ecb"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := h.say("swiss"), "waits: CHF was not quoted by ecb on 2024-04-02"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// The bank adds the Swiss figure: that releases it, and leaves the other decision alone.
	h.send(day("2024-04-02", "GBP 0.9", "CHF 0.98"))
	h.drain()
	if got, want := h.say("swiss"), "EUR 102.04 ecb 2024-04-02 0.98/1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := h.say("o"), "EUR 116.74 ecb 2024-04-02 0.8566/1"; got != want {
		t.Errorf("after the correction: got %q, want %q", got, want)
	}
	h.send(day("2024-04-03", "GBP 0.8577"))
	h.drain()
	if n := h.listed(); n != 0 {
		t.Errorf("%d valuables are still on waiting lists", n)
	}
}

// listed counts what stands on waiting lists, and checks that the directory names exactly
// the lists that are not empty.
func (h *harness) listed() int {
	h.t.Helper()
	n := 0
	lists, named := map[string]bool{}, map[string]bool{}
	h.Entries(h.room.waitings, func(id string, m stream.Message) {
		w := m.(*event.FxWaiting)
		if id == "0/days" {
			for _, d := range w.Days {
				for c := range chunks {
					if d.Chunks[c/64]>>(c%64)&1 == 1 {
						named[fmt.Sprintf("0/%s/%d", d.Date, c)] = true
					}
				}
			}
			return
		}
		n += len(w.Valuables)
		if len(w.Valuables) > 0 {
			lists[id] = true
		}
	})
	if diff := cmp.Diff(lists, named); diff != "" {
		h.t.Errorf("the directory does not name the lists (-lists +named): %s", diff)
	}
	return n
}

func TestUnforeseenClosing(t *testing.T) {
	// 2024-04-02 is a TARGET day without publication.
	for _, c := range []struct {
		rule Rule
		date string
		want string
	}{
		{PreviousDay, "2024-04-03", "EUR 116.95 ecb 2024-03-28 0.8551/1"},
		{SameDay, "2024-04-02", "EUR 116.95 ecb 2024-03-28 0.8551/1"},
		{QuarterEndOrNext, "2024-02-03", "EUR 116.59 ecb 2024-04-03 0.8577/1"},
	} {
		for _, early := range []bool{true, false} {
			h := start(t, Config{Rule: c.rule})
			h.send(day("2024-03-28", "GBP 0.8551"))
			if early {
				h.send(amount("o", 1, 10000, "GBP", c.date))
				h.drain()
				if got := h.say("o"); !strings.Contains(got, "2024-04-02 have not come") {
					t.Errorf("%s: got %q before the next publication", c.rule, got)
				}
			}
			h.send(day("2024-04-03", "GBP 0.8577"))
			if !early {
				h.send(amount("o", 1, 10000, "GBP", c.date))
			}
			h.drain()
			if got := h.say("o"); got != c.want {
				t.Errorf("%s, early %v: got %q, want %q", c.rule, early, got, c.want)
			}
		}
	}
	// A gap of weeks is no closing.
	h := start(t, Config{})
	h.send(day("2024-03-28", "GBP 0.8551"))
	h.send(amount("o", 1, 10000, "GBP", "2024-04-03"))
	h.send(day("2024-04-15", "GBP 0.8577"))
	h.drain()
	if got, want := h.say("o"), "waits: the rates of 2024-04-02 have not come yet from ecb"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// The missing history comes late: found, although it is older than the newest day.
	h.send(day("2024-04-02", "GBP 0.8566"))
	h.drain()
	if got, want := h.say("o"), "EUR 116.74 ecb 2024-04-02 0.8566/1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// So does what is missing behind a closing.
	h = start(t, Config{})
	h.send(day("2024-04-03", "GBP 0.8577"))
	h.send(amount("o", 1, 10000, "GBP", "2024-04-03"))
	h.drain()
	if got, want := h.say("o"), "waits: ecb has no rates of 2024-04-02, nor of the 10 days before"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	h.send(day("2024-03-28", "GBP 0.8551"))
	h.drain()
	if got, want := h.say("o"), "EUR 116.95 ecb 2024-03-28 0.8551/1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestVersions(t *testing.T) {
	h := start(t, Config{})
	h.send(day("2024-04-02", "GBP 0.8566"))
	h.send(amount("o", 5, 10000, "GBP", "2024-04-03"))
	h.send(amount("o", 4, 20000, "GBP", "2024-04-03")) // stale
	h.drain()
	if got, want := h.say("o"), "EUR 116.74 ecb 2024-04-02 0.8566/1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	h.send(day("2024-04-02", "GBP 0.9"))               // a correction …
	h.send(amount("o", 5, 10000, "GBP", "2024-04-03")) // … and the same version again
	h.drain()
	if got, want := h.say("o"), "EUR 116.74 ecb 2024-04-02 0.8566/1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	h.send(amount("o", 6, 10000, "GBP", "2024-04-03"))
	h.drain()
	if got, want := h.say("o"), "EUR 111.11 ecb 2024-04-02 0.9/1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// A version that waits is replaced by one for another day; the older one leaves its list
	// when its day comes.
	h.send(amount("p", 1, 10000, "GBP", "2024-04-04"))
	h.send(amount("p", 2, 30000, "GBP", "2024-04-05"))
	h.send(day("2024-04-03", "GBP 0.8577"))
	h.drain()
	if got, want := h.say("p"), "waits: the rates of 2024-04-04 have not come yet from ecb"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if n := h.listed(); n != 1 {
		t.Errorf("%d valuables wait, want the newer one", n)
	}
	h.send(day("2024-04-04", "GBP 0.8577"))
	h.drain()
	if got, want := h.say("p"), "EUR 349.77 ecb 2024-04-04 0.8577/1"; got != want || h.listed() != 0 {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestUnchangedEmitsNothing(t *testing.T) {
	h := start(t, Config{})
	h.send(day("2024-04-02", "GBP 0.8566"))
	h.send(amount("o", 1, 10000, "GBP", "2024-04-03"))
	h.send(amount("w", 1, 10000, "GBP", "2024-04-04"))
	h.drain()
	before := len(h.Emitted)
	h.send(day("2024-04-02", "GBP 0.8566"))
	h.send(amount("o", 1, 10000, "GBP", "2024-04-03"))
	h.send(amount("w", 1, 10000, "GBP", "2024-04-04"))
	h.drain()
	for _, o := range h.Emitted[before:] {
		t.Errorf("emitted %s %s", o.Topic.Name, o.Key)
	}
}

func TestPrepareRefuses(t *testing.T) {
	h := start(t, Config{})
	valid := func(change func(*event.Valuable)) *event.FxInput {
		in := amount("o", 1, 1, "GBP", "2024-04-03")
		change(in.GetValuable())
		return in
	}
	rates := func(change func(*event.RateDay)) *event.FxInput {
		in := day("2024-04-03", "GBP 0.8577", "USD 1.07")
		change(in.GetRates())
		return in
	}
	for name, c := range map[string]struct {
		in   *event.FxInput
		want error
	}{
		"nothing":       {&event.FxInput{}, connectors.ErrUnsupported},
		"subject":       {valid(func(v *event.Valuable) { v.Subject = "" }), connectors.ErrMalformed},
		"long subject":  {valid(func(v *event.Valuable) { v.Subject = strings.Repeat("x", 513) }), connectors.ErrMalformed},
		"no time":       {valid(func(v *event.Valuable) { v.OccurredMs = 0 }), connectors.ErrMalformed},
		"year 10000":    {valid(func(v *event.Valuable) { v.OccurredMs = 253402300800000 }), connectors.ErrMalformed},
		"no amount":     {valid(func(v *event.Valuable) { v.Amount = nil }), connectors.ErrUnsupported},
		"gold":          {valid(func(v *event.Valuable) { v.Amount.Currency = "XAU" }), connectors.ErrUnsupported},
		"date":          {rates(func(d *event.RateDay) { d.Date = "3.4.2024" }), connectors.ErrMalformed},
		"source":        {rates(func(d *event.RateDay) { d.Source = "" }), connectors.ErrMalformed},
		"base":          {rates(func(d *event.RateDay) { d.Base = "" }), connectors.ErrMalformed},
		"no rates":      {rates(func(d *event.RateDay) { d.Rates = nil }), connectors.ErrMalformed},
		"zero":          {rates(func(d *event.RateDay) { d.Rates[0].Value.Unscaled = 0 }), connectors.ErrMalformed},
		"scale":         {rates(func(d *event.RateDay) { d.Rates[0].Value.Scale = 19 }), connectors.ErrMalformed},
		"no value":      {rates(func(d *event.RateDay) { d.Rates[0].Value = nil }), connectors.ErrMalformed},
		"twice":         {rates(func(d *event.RateDay) { d.Rates[1].Currency = "GBP" }), connectors.ErrMalformed},
		"base rated":    {rates(func(d *event.RateDay) { d.Rates[1].Currency = "EUR" }), connectors.ErrMalformed},
		"note":          {&event.FxInput{Input: &event.FxInput_LookAgain{LookAgain: &event.LookAgain{Date: "x"}}}, connectors.ErrMalformed},
		"note's chunk":  {&event.FxInput{Input: &event.FxInput_LookAgain{LookAgain: &event.LookAgain{Date: "2024-04-03", Chunk: chunks}}}, connectors.ErrMalformed},
		"negative note": {&event.FxInput{Input: &event.FxInput_LookAgain{LookAgain: &event.LookAgain{Date: "2024-04-03", Chunk: -1}}}, connectors.ErrMalformed},
	} {
		b, err := c.in.MarshalVTStrict()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.room.Prepare(&stream.Record{Value: b}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := h.room.Prepare(&stream.Record{Value: []byte{0xff}}); !errors.Is(err, connectors.ErrMalformed) {
		t.Errorf("garbage: %v", err)
	}
	// An amount that does not fit is a dead letter, not a wrong figure.
	h.send(day("2024-04-02", "IDR 17000"))
	h.send(amount("o", 1, 1<<62, "EUR", "2024-04-03"))
	h2 := start(t, Config{Reporting: "IDR"})
	h2.send(day("2024-04-02", "IDR 17000"))
	h2.send(amount("o", 1, 1<<62, "EUR", "2024-04-03"))
	outs, err := h2.Step(10, stream.NoCrash)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(outs, func(o stream.Output) bool { return o.Topic.Name == "dlq.fx.v1" }) || h2.valuation("o") != nil {
		t.Errorf("no dead letter: %s", h2.say("o"))
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{}, ""}, {Config{Reporting: "GBP", Rule: SameDay, Source: "boe"}, ""},
		{Config{Reporting: "eur"}, "reporting_currency"}, {Config{Reporting: "XAU"}, "reporting_currency"},
		{Config{Rule: "yesterday"}, "previous-day"}, {Config{Source: "a/b"}, "source"},
	} {
		_, err := New(c.cfg)
		if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.cfg, err, c.want)
		}
	}
}

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
			if checked < 200_000 {
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

// The model: any interleaving of valuables with the days of rates (which come in order, as
// the connector sends them, with repetitions), any cut into batches, crashes, a state that
// falls back: at rest every subject has the value of its newest version, nothing converted
// waits on a list, and the tables' topics say what the entries say.
func TestModel(t *testing.T) {
	dates := []string{"2024-03-21", "2024-03-22", "2024-03-25", "2024-03-26", "2024-03-27", "2024-03-28", "2024-04-02", "2024-04-03", "2024-04-04", "2024-04-05", "2024-04-08"}
	rapid.Check(t, func(rt *rapid.T) {
		rule := rapid.SampledFrom(rules[:]).Draw(rt, "rule")
		h := start(t, Config{Rule: rule})
		closed := rapid.SampledFrom(append([]string{"none"}, dates...)).Draw(rt, "closed")
		var published []string
		for _, d := range dates {
			if d != closed {
				published = append(published, d)
			}
		}
		figures := func(d string) []string {
			i := slices.Index(dates, d)
			f := []string{fmt.Sprintf("GBP 0.%d", 85+i), fmt.Sprintf("JPY 16%d.5", i)}
			if i%3 == 0 {
				f = append(f, "TRY 35.1")
			}
			return f
		}
		type newest struct {
			version int64
			in      *event.Valuable
		}
		want := map[string]newest{}
		next, version := 0, int64(0)
		var snapshot any
		consumed := func(outs []stream.Output, err error) {
			if err != nil {
				t.Fatal(err)
			}
			h.loop(outs)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"valuable": func(rt *rapid.T) {
				subject := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(rt, "subject")
				version++
				v := version
				if old, ok := want[subject]; ok && rapid.Bool().Draw(rt, "stale") {
					v = old.version - int64(rapid.IntRange(0, 1).Draw(rt, "by"))
				}
				date := time.UnixMilli(ms("2024-03-22")).UTC().AddDate(0, 0, rapid.IntRange(0, 20).Draw(rt, "day")).Format(time.DateOnly)
				in := amount(subject, v, rapid.Int64Range(-100_000, 100_000).Draw(rt, "minor"), rapid.SampledFrom([]string{"EUR", "GBP", "JPY", "TRY"}).Draw(rt, "currency"), date)
				if old, ok := want[subject]; ok && old.version == v {
					in.Input = &event.FxInput_Valuable{Valuable: old.in} // one version has one content
				}
				if old, ok := want[subject]; !ok || old.version < v {
					want[subject] = newest{v, in.GetValuable()}
				}
				h.send(in)
			},
			"rates": func(rt *rapid.T) {
				if next < len(published) {
					h.send(day(published[next], figures(published[next])...))
					next++
				}
			},
			"again": func(rt *rapid.T) {
				if next > 0 {
					d := published[rapid.IntRange(0, next-1).Draw(rt, "which")]
					h.send(day(d, figures(d)...))
				}
			},
			"step": func(rt *rapid.T) {
				crash := rapid.SampledFrom([]stream.Crash{stream.NoCrash, stream.NoCrash, stream.AfterApply, stream.AfterEmit}).Draw(rt, "crash")
				consumed(h.Step(rapid.IntRange(1, 5).Draw(rt, "n"), crash))
			},
			"snapshot": func(*rapid.T) { snapshot = h.Snapshot() },
			"fall back": func(*rapid.T) {
				if snapshot != nil {
					h.Restore(snapshot)
					h.Look()
				}
			},
		})
		for ; next < len(published); next++ {
			h.send(day(published[next], figures(published[next])...))
		}
		h.Look()
		h.drain()

		waiting := 0
		for subject, n := range want {
			v := h.valuation(subject)
			if v == nil || v.Version.Number != n.version || !v.Amount.EqualVT(n.in.Amount) || v.OccurredMs != n.in.OccurredMs {
				rt.Fatalf("%s: %v, want version %d of %v", subject, v, n.version, n.in)
			}
			rateDate := modelDay(rule, published, time.UnixMilli(n.in.OccurredMs).UTC().Format(time.DateOnly))
			quoted := rateDate != "" && (n.in.Amount.Currency != "TRY" || slices.Index(dates, rateDate)%3 == 0)
			switch {
			case n.in.Amount.Currency == "EUR":
				if v.Waiting || v.Reporting.Minor != n.in.Amount.Minor {
					rt.Fatalf("%s: %v", subject, v)
				}
			case !quoted:
				waiting++
				if !v.Waiting {
					rt.Fatalf("%s: %v, want it to wait (rates of %q)", subject, v, rateDate)
				}
			case v.Waiting || v.RateDate != rateDate:
				rt.Fatalf("%s of %s: %v, want the rates of %s", subject, time.UnixMilli(n.in.OccurredMs).UTC().Format(time.DateOnly), v, rateDate)
			}
		}
		h.listed()
		for subject, n := range want {
			if v := h.valuation(subject); !v.Waiting && n.in.Amount.Currency != "EUR" && h.isListed(n.in) {
				rt.Fatalf("%s was converted and is still on a list", subject)
			}
		}
		h.sameAsTopics(rt)
	})
}

func (h *harness) isListed(v *event.Valuable) bool {
	found := false
	h.Entries(h.room.waitings, func(_ string, m stream.Message) {
		for _, w := range m.(*event.FxWaiting).Valuables {
			found = found || w.EqualVT(v)
		}
	})
	return found
}

// sameAsTopics: what a rebuild would read, the highest version of each key, is the state.
func (h *harness) sameAsTopics(t *rapid.T) {
	type kept struct {
		version stream.Version
		value   []byte
	}
	topics := map[string]map[string]kept{}
	for _, o := range h.Emitted {
		var version stream.Version
		for _, x := range o.Headers {
			if x.Key == schemas.HeaderVersion {
				version, _ = stream.ParseVersion(string(x.Value))
			}
		}
		value := o.Bytes
		if o.Value != nil {
			value, _ = o.Value.MarshalVTStrict()
		}
		if topics[o.Topic.Name] == nil {
			topics[o.Topic.Name] = map[string]kept{}
		}
		if old, ok := topics[o.Topic.Name][string(o.Key)]; !ok || !version.Before(old.version) {
			topics[o.Topic.Name][string(o.Key)] = kept{version, value}
		}
	}
	for _, table := range h.room.Tables() {
		n := 0
		h.Entries(table, func(id string, m stream.Message) {
			n++
			value, _ := m.MarshalVTStrict()
			if got := topics[table.Topic.Name][id].value; string(got) != string(value) {
				t.Fatalf("%s, key %s: the topic says %x, the state %x", table.Topic.Name, id, got, value)
			}
		})
		if n != len(topics[table.Topic.Name]) {
			t.Fatalf("%s: %d keys in the topic, %d entries", table.Topic.Name, len(topics[table.Topic.Name]), n)
		}
	}
}

// modelDay is the naive rule over the published days of late March and early April 2024,
// whose only TARGET holidays are 2024-03-29 and 2024-04-01. "" = it waits.
func modelDay(rule Rule, published []string, date string) string {
	open := func(d time.Time) bool {
		s := d.Format(time.DateOnly)
		return d.Weekday() != time.Saturday && d.Weekday() != time.Sunday && s != "2024-03-29" && s != "2024-04-01"
	}
	d, _ := time.Parse(time.DateOnly, date)
	step := -1
	switch rule {
	case PreviousDay:
		d = d.AddDate(0, 0, -1)
	case MonthEnd:
		d = time.Date(d.Year(), d.Month()+1, 0, 0, 0, 0, 0, time.UTC)
	case MonthEndOrNext:
		d, step = time.Date(d.Year(), d.Month()+1, 0, 0, 0, 0, 0, time.UTC), 1
	case QuarterEndOrNext:
		d, step = time.Date(d.Year(), (d.Month()+2)/3*3+1, 0, 0, 0, 0, 0, time.UTC), 1
	}
	for !open(d) {
		d = d.AddDate(0, 0, step)
	}
	wanted := d.Format(time.DateOnly)
	if slices.Contains(published, wanted) {
		return wanted
	}
	last := d.AddDate(0, 0, reach).Format(time.DateOnly)
	first := d.AddDate(0, 0, -reach).Format(time.DateOnly)
	before, after := "", ""
	for _, p := range published {
		if p >= first && p < wanted {
			before = p
		}
		if p > wanted && p <= last && after == "" {
			after = p
		}
	}
	switch {
	case after == "":
		return ""
	case step > 0:
		return after
	}
	return before
}

func FuzzPrepare(f *testing.F) {
	for _, in := range []*event.FxInput{amount("o", 1, 1, "GBP", "2024-04-03"), day("2024-04-02", "GBP 0.85"), {Input: &event.FxInput_LookAgain{LookAgain: &event.LookAgain{Date: "2024-04-02"}}}} {
		b, err := in.MarshalVTStrict()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	room, err := New(Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := room.Prepare(&stream.Record{Value: b})
		if err == nil && (len(in.Keys) == 0 || in.Value == nil) {
			t.Fatalf("%+v", in)
		}
		if class := connectors.Class(err); err != nil && class != "malformed" && class != "unsupported" {
			t.Fatalf("%v is of class %s", err, class)
		}
	})
}

func BenchmarkValuable(b *testing.B) {
	h := start(b, Config{})
	h.send(day("2024-04-02", "USD 1.0749", "JPY 163.01", "GBP 0.8566"))
	h.drain()
	value, err := amount("order/shop-uk/450789469", 1, 10000, "GBP", "2024-04-03").MarshalVTStrict()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.room.Prepare(&stream.Record{Value: value}); err != nil {
			b.Fatal(err)
		}
	}
}
