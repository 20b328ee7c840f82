package fx

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
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
		if len(id) == len("0/2006-01") {
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

// A crash at each step of a release, after the state was written or after the outputs were
// sent: the note and the valuable that were lost are sent again.
func TestReleaseSurvivesACrash(t *testing.T) {
	for _, crash := range []stream.Crash{stream.AfterApply, stream.AfterEmit} {
		for at := range 8 {
			h := start(t, Config{})
			h.send(amount("a", 1, 10000, "GBP", "2024-04-03"))
			h.send(amount("b", 1, 20000, "GBP", "2024-04-03"))
			h.send(day("2024-04-02", "GBP 0.8566"))
			crashed := false
			for step := 0; h.Pending() > 0; step++ {
				c := stream.NoCrash
				if step == at {
					c, crashed = crash, true
				}
				outs, err := h.Step(1, c)
				if err != nil {
					t.Fatal(err)
				}
				h.loop(outs)
			}
			if a, b := h.say("a"), h.say("b"); a != "EUR 116.74 ecb 2024-04-02 0.8566/1" || b != "EUR 233.48 ecb 2024-04-02 0.8566/1" {
				t.Errorf("crash %d at step %d: a %s, b %s", crash, at, a, b)
			}
			if n := h.listed(); n != 0 {
				t.Errorf("crash %d at step %d: %d still on lists", crash, at, n)
			}
			if at < 7 && !crashed { // two valuables, a day, two notes, two valuables again
				t.Errorf("no step %d", at)
			}
		}
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

// BenchmarkRoom is the whole fold in memory: decode, choose the day, convert, encode.
func BenchmarkRoom(b *testing.B) {
	h := start(b, Config{})
	for d := 1; d <= 28; d++ {
		h.send(day(fmt.Sprintf("2024-02-%02d", d), "USD 1.0749", "JPY 163.01", "GBP 0.8566"))
	}
	h.drain()
	b.ReportAllocs()
	for n := int64(0); b.Loop(); n++ {
		h.send(amount(fmt.Sprintf("order/shop-uk/%d", n%10_000), n, n, "GBP", fmt.Sprintf("2024-02-%02d", 12+n%10)))
		if n%500 == 499 {
			h.drain()
			h.Emitted = h.Emitted[:0]
		}
	}
}
