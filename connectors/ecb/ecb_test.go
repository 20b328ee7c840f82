package ecb

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/ecb/simulator"
	"github.com/helloword/crossdock/internal/testkit"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/money"
)

const small = `Date,USD,JPY,CYP,GBP,
2024-04-03,1.0783,163.66,N/A,0.8577,
2024-04-02,1.0749,163.01,N/A,0.8566,
2024-03-28,1.0811,163.45,N/A,0.8551,
2024-03-27,1.0816,163.52,,0.858,
`

// bank is a simulator with its HTTP server, its clock in the test's hand.
type bank struct {
	*simulator.Server
	at   time.Time
	conn *connectors.Connector
}

func open(t *testing.T, history string, cfg Config) *bank {
	t.Helper()
	b := &bank{at: time.Date(2024, 4, 3, 15, 0, 0, 0, time.UTC)}
	sim, err := simulator.New([]byte(history), func() time.Time { return b.at })
	if err != nil {
		t.Fatal(err)
	}
	b.Server = sim
	srv := httptest.NewServer(sim)
	t.Cleanup(srv.Close)
	cfg.BaseURL = srv.URL + "/stats/eurofxref"
	if err := cfg.Validate(schemas.Test); err != nil {
		t.Fatal(err)
	}
	b.conn, err = New(cfg, connectors.Deps{Account: "ecb", HTTP: srv.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// poll returns what was emitted and the new cursor.
func (b *bank) poll(t *testing.T, cursor json.RawMessage) ([]connectors.Raw, connectors.PollResult) {
	t.Helper()
	raws, res, err := b.try(cursor)
	if err != nil {
		t.Fatal(err)
	}
	if res.Objects != len(raws) || res.More {
		t.Fatalf("result %+v for %d objects", res, len(raws))
	}
	return raws, res
}

func (b *bank) try(cursor json.RawMessage) ([]connectors.Raw, connectors.PollResult, error) {
	var raws []connectors.Raw
	res, err := b.conn.Poll[connectors.RateDays].Poll(context.Background(), connectors.PollRequest{Cursor: cursor},
		func(r connectors.Raw) error { raws = append(raws, r); return nil })
	return raws, res, err
}

func dates(raws []connectors.Raw) string {
	var s []string
	for _, r := range raws {
		s = append(s, r.Object)
	}
	return strings.Join(s, " ")
}

// facts translates and prints a raw day: "2024-04-03 GBP 0.8577 …".
func (b *bank) facts(t *testing.T, r connectors.Raw) string {
	t.Helper()
	f, err := b.conn.Translate.Translate(&connectors.Record{Subject: r.Subject, Object: r.Object, Format: r.Format, Body: r.Body})
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Rates) != 1 || f.Rates[0].Source != "ecb" || f.Rates[0].Base != "EUR" {
		t.Fatalf("facts %+v", f)
	}
	s := f.Rates[0].Date
	for _, r := range f.Rates[0].Rates {
		text, err := money.FormatDecimal(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		s += " " + r.Currency + " " + text
	}
	return s
}

func TestFirstPollReadsTheHistory(t *testing.T) {
	b := open(t, small, Config{})
	raws, res := b.poll(t, nil)
	if got, want := dates(raws), "2024-03-27 2024-03-28 2024-04-02 2024-04-03"; got != want {
		t.Fatalf("emitted %s, want %s", got, want)
	}
	if got, want := string(raws[0].Body), "Date,USD,JPY,CYP,GBP,\n2024-03-27,1.0816,163.52,,0.858,\n"; got != want {
		t.Errorf("body %q, want %q", got, want)
	}
	if raws[0].Subject != connectors.RateDays || raws[0].Format != FormatHistory {
		t.Errorf("raw %+v", raws[0])
	}
	if got, want := b.facts(t, raws[0]), "2024-03-27 GBP 0.858 JPY 163.52 USD 1.0816"; got != want {
		t.Errorf("facts %s, want %s", got, want)
	}
	if !res.Watermark.Equal(b.at) {
		t.Errorf("watermark %s, want the server's clock", res.Watermark)
	}
	// Nothing changed: nothing is emitted, and only the small file is read.
	raws, _ = b.poll(t, res.Cursor)
	if len(raws) != 0 || b.Served("eurofxref-hist.zip") != 1 {
		t.Errorf("second poll emitted %s, the history was read %d times", dates(raws), b.Served("eurofxref-hist.zip"))
	}
}

func TestNewDayComesByTheDailyFile(t *testing.T) {
	b := open(t, small, Config{})
	b.SetToday("2024-04-02")
	_, res := b.poll(t, nil)
	b.SetToday("2024-04-03")
	raws, res := b.poll(t, res.Cursor)
	if dates(raws) != "2024-04-03" || raws[0].Format != FormatDaily {
		t.Fatalf("emitted %s", dates(raws))
	}
	if got, want := b.facts(t, raws[0]), "2024-04-03 GBP 0.8577 JPY 163.66 USD 1.0783"; got != want {
		t.Errorf("facts %s, want %s", got, want)
	}
	if b.Served("eurofxref-hist.zip") != 1 {
		t.Error("the history was read for one new day")
	}
	// A day later the history is read again; the day that came by XML is no news in it.
	b.at = b.at.Add(25 * time.Hour)
	raws, _ = b.poll(t, res.Cursor)
	if len(raws) != 0 || b.Served("eurofxref-hist.zip") != 2 {
		t.Errorf("emitted %s, the history was read %d times", dates(raws), b.Served("eurofxref-hist.zip"))
	}
}

func TestMissedDaysComeByTheHistory(t *testing.T) {
	b := open(t, small, Config{})
	b.SetToday("2024-03-27")
	_, res := b.poll(t, nil)
	b.SetToday("2024-04-03")
	raws, _ := b.poll(t, res.Cursor)
	if got := dates(raws); got != "2024-03-28 2024-04-02 2024-04-03" {
		t.Errorf("emitted %s", got)
	}
}

func TestCorrectedDayIsEmittedAgain(t *testing.T) {
	b := open(t, small, Config{})
	_, res := b.poll(t, nil)
	if err := b.Correct("2024-03-28", "GBP", "0.8552"); err != nil {
		t.Fatal(err)
	}
	raws, res := b.poll(t, res.Cursor)
	if len(raws) != 0 {
		t.Errorf("emitted %s before the history was due", dates(raws))
	}
	b.at = b.at.Add(25 * time.Hour)
	raws, res = b.poll(t, res.Cursor)
	if dates(raws) != "2024-03-28" {
		t.Fatalf("emitted %s, want the corrected day", dates(raws))
	}
	if got, want := b.facts(t, raws[0]), "2024-03-28 GBP 0.8552 JPY 163.45 USD 1.0811"; got != want {
		t.Errorf("facts %s, want %s", got, want)
	}
	// The latest day is corrected in the daily file: seen at once.
	if err := b.Correct("2024-04-03", "USD", "1.0784"); err != nil {
		t.Fatal(err)
	}
	raws, res = b.poll(t, res.Cursor)
	if dates(raws) != "2024-04-03" {
		t.Fatalf("emitted %s, want the corrected latest day", dates(raws))
	}
	if raws, _ = b.poll(t, res.Cursor); len(raws) != 0 {
		t.Errorf("emitted %s again", dates(raws))
	}
}

func TestWithoutHistory(t *testing.T) {
	b := open(t, small, Config{History: "none"})
	raws, res := b.poll(t, nil)
	if dates(raws) != "2024-04-03" {
		t.Errorf("emitted %s", dates(raws))
	}
	// The check for corrections does not bring in what was not wanted.
	b.at = b.at.Add(25 * time.Hour)
	if raws, _ = b.poll(t, res.Cursor); len(raws) != 0 {
		t.Errorf("emitted %s", dates(raws))
	}
	// A start in the request bounds the first poll.
	b = open(t, small, Config{})
	raws = nil
	_, err := b.conn.Poll[connectors.RateDays].Poll(context.Background(), connectors.PollRequest{Start: time.Date(2024, 3, 28, 9, 0, 0, 0, time.UTC)},
		func(r connectors.Raw) error { raws = append(raws, r); return nil })
	if err != nil || dates(raws) != "2024-03-28 2024-04-02 2024-04-03" {
		t.Errorf("emitted %s, %v", dates(raws), err)
	}
}

// Whatever is wrong with a file: an error that says so, not one day emitted, and the same
// poll works afterwards.
func TestDamagedFilesEmitNothing(t *testing.T) {
	const ok = simulator.Fault("")
	for name, c := range map[string]struct {
		faults []simulator.Fault
		want   string
		class  string
	}{
		"daily unavailable":   {[]simulator.Fault{simulator.Unavailable}, "503", "retry-after"},
		"daily HTML":          {[]simulator.Fault{simulator.HTML}, "not the daily XML", "transient"},
		"daily truncated":     {[]simulator.Fault{simulator.Truncated}, "not the daily XML", "transient"},
		"history unavailable": {[]simulator.Fault{ok, simulator.Unavailable}, "503", "retry-after"},
		"history HTML":        {[]simulator.Fault{ok, simulator.HTML}, "not a complete zip", "transient"},
		"history truncated":   {[]simulator.Fault{ok, simulator.Truncated}, "not a complete zip", "transient"},
		"history corrupt":     {[]simulator.Fault{ok, simulator.Corrupt}, "zip", "transient"},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, small, Config{})
			b.Break(c.faults...)
			raws, _, err := b.try(nil)
			if err == nil || !strings.Contains(err.Error(), c.want) || connectors.Class(err) != c.class {
				t.Errorf("error %v of class %s; want %q, %s", err, connectors.Class(err), c.want, c.class)
			}
			if len(raws) != 0 {
				t.Errorf("emitted %s", dates(raws))
			}
			if raws, _ = b.poll(t, nil); len(raws) != 4 {
				t.Errorf("afterwards: emitted %s", dates(raws))
			}
		})
	}
}

func TestHistoryThatLostDaysIsNotBelieved(t *testing.T) {
	b := open(t, small, Config{})
	_, res := b.poll(t, nil)
	b.at = b.at.Add(25 * time.Hour)
	b.Break("", simulator.CutLines)
	raws, _, err := b.try(res.Cursor)
	if err == nil || !strings.Contains(err.Error(), "2024-03-27") || len(raws) != 0 {
		t.Errorf("emitted %s, %v", dates(raws), err)
	}
}

func TestNotFoundIsPermanent(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	c, err := New(Config{BaseURL: srv.URL}, connectors.Deps{Account: "ecb", HTTP: srv.Client()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Poll[connectors.RateDays].Poll(context.Background(), connectors.PollRequest{}, func(connectors.Raw) error { return nil })
	if !errors.Is(err, connectors.ErrPermanent) {
		t.Errorf("error %v, want permanent", err)
	}
	checks, err := c.Check.Check(context.Background())
	if err != nil || len(checks) != 2 || checks[0].OK || checks[1].OK || checks[0].Advice == "" {
		t.Errorf("checks %+v, %v", checks, err)
	}
}

func TestEmitErrorEndsThePoll(t *testing.T) {
	b := open(t, small, Config{})
	full := errors.New("kafka is away")
	n := 0
	_, err := b.conn.Poll[connectors.RateDays].Poll(context.Background(), connectors.PollRequest{}, func(connectors.Raw) error {
		n++
		if n == 2 {
			return full
		}
		return nil
	})
	if !errors.Is(err, full) || n != 2 {
		t.Errorf("%d emitted, %v", n, err)
	}
}

func TestDamagedCursor(t *testing.T) {
	b := open(t, small, Config{})
	for _, c := range []string{`{`, `{"days":"?"}`, `{"days":"AQI="}`, `{"days":"AAAAAAAAAAAA"}`, `[]`} {
		if _, _, err := b.try(json.RawMessage(c)); !errors.Is(err, connectors.ErrPermanent) || !strings.Contains(err.Error(), "delete it") {
			t.Errorf("cursor %s: %v", c, err)
		}
	}
}

// One figure that cannot be read spoils its own day only.
func TestBrokenFigureIsTheTranslatorsAffair(t *testing.T) {
	b := open(t, small+"2024-03-26,abc,163.6,N/A,0.857,\n", Config{})
	raws, res := b.poll(t, nil)
	if len(raws) != 5 {
		t.Fatalf("emitted %s", dates(raws))
	}
	_, err := b.conn.Translate.Translate(&connectors.Record{Object: raws[0].Object, Format: raws[0].Format, Body: raws[0].Body})
	if !errors.Is(err, connectors.ErrMalformed) || !strings.Contains(err.Error(), "USD") {
		t.Errorf("error %v", err)
	}
	b.facts(t, raws[1])
	if raws, _ = b.poll(t, res.Cursor); len(raws) != 0 {
		t.Errorf("the broken day was emitted again: %s", dates(raws))
	}
}

func TestTranslateRefuses(t *testing.T) {
	const xmlHead = `<Envelope><Cube><Cube time="2024-04-03">`
	for name, c := range map[string]struct {
		format, object, body string
		want                 error
	}{
		"format":         {"ecb/other", "2024-04-03", small, connectors.ErrUnsupported},
		"many days":      {FormatHistory, "2024-04-03", small, connectors.ErrMalformed},
		"other day":      {FormatHistory, "2024-04-02", "Date,USD,\n2024-04-03,1.07,\n", connectors.ErrMalformed},
		"no rates":       {FormatHistory, "2024-04-03", "Date,USD,\n2024-04-03,N/A,\n", connectors.ErrMalformed},
		"zero":           {FormatHistory, "2024-04-03", "Date,USD,\n2024-04-03,0,\n", connectors.ErrMalformed},
		"negative":       {FormatHistory, "2024-04-03", "Date,USD,\n2024-04-03,-1.1,\n", connectors.ErrMalformed},
		"no code":        {FormatHistory, "2024-04-03", "Date,usd,\n2024-04-03,1.07,\n", connectors.ErrMalformed},
		"twice":          {FormatHistory, "2024-04-03", "Date,USD,USD,\n2024-04-03,1.07,1.07,\n", connectors.ErrMalformed},
		"columns":        {FormatHistory, "2024-04-03", "Date,USD,\n2024-04-03,1.07\n", connectors.ErrMalformed},
		"date":           {FormatHistory, "2024-04-03", "Date,USD,\n03.04.2024,1.07,\n", connectors.ErrMalformed},
		"empty":          {FormatHistory, "2024-04-03", "", connectors.ErrMalformed},
		"cut":            {FormatHistory, "2024-04-03", "Date,USD,\n2024-04-03,1.07,", connectors.ErrMalformed},
		"xml empty":      {FormatDaily, "2024-04-03", xmlHead + `</Cube></Cube></Envelope>`, connectors.ErrMalformed},
		"xml cut":        {FormatDaily, "2024-04-03", xmlHead + `<Cube currency="USD" rate="1.07"/>`, connectors.ErrMalformed},
		"xml figure":     {FormatDaily, "2024-04-03", xmlHead + `<Cube currency="USD" rate="1,07"/></Cube></Cube></Envelope>`, connectors.ErrMalformed},
		"xml other root": {FormatDaily, "2024-04-03", `<html></html>`, connectors.ErrMalformed},
		"xml two days":   {FormatDaily, "2024-04-03", xmlHead + `</Cube><Cube time="2024-04-02"></Cube></Cube></Envelope>`, connectors.ErrMalformed},
		"xml bad date":   {FormatDaily, "2024-04-03", strings.Replace(xmlHead, "-03", "", 1) + `</Cube></Cube></Envelope>`, connectors.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := translator{}.Translate(&connectors.Record{Object: c.object, Format: c.format, Body: []byte(c.body)})
			if !errors.Is(err, c.want) || len(f.Rates) != 0 {
				t.Errorf("got %+v, %v; want %v", f, err, c.want)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		env  schemas.Environment
		want string // empty = valid
	}{
		{Config{}, schemas.Production, ""}, {Config{}, schemas.Test, ""},
		{Config{History: "none"}, schemas.Test, ""}, {Config{History: "some"}, schemas.Test, "history"},
		{Config{BaseURL: "http://127.0.0.1:9/x"}, schemas.Test, ""},
		{Config{BaseURL: "http://127.0.0.1:9/x"}, schemas.Production, "this machine"},
		{Config{BaseURL: "http://mirror.example/x/"}, schemas.Test, "https"},
		{Config{BaseURL: "https://mirror.example/x/"}, schemas.Production, ""},
		{Config{BaseURL: "ftp://mirror.example/"}, schemas.Test, "base_url"},
		{Config{BaseURL: "https://user:secret@mirror.example/"}, schemas.Test, "base_url"},
		{Config{BaseURL: "nonsense"}, schemas.Test, "base_url"},
	} {
		err := c.cfg.Validate(c.env)
		if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v in %s: %v, want %q", c.cfg, c.env, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error repeats a secret: %v", err)
		}
	}
	if _, err := New(Config{}, connectors.Deps{}); err == nil {
		t.Error("New without an HTTP client")
	}
}

func TestCapabilitiesAndCheck(t *testing.T) {
	b := open(t, small, Config{})
	if diff := cmp.Diff([]string{"check", "poll:rates", "translate"}, b.conn.Capabilities()); diff != "" {
		t.Error(diff)
	}
	checks, err := b.conn.Check.Check(context.Background())
	if err != nil || len(checks) != 2 || !checks[0].OK || !checks[1].OK || checks[0].Detail != "2024-04-03, 3 currencies" {
		t.Errorf("checks %+v, %v", checks, err)
	}
}

// The whole history: every figure of every day arrives, compared with another reader of the
// same file, and a poll that changes nothing emits nothing. With -short one day in twenty is
// compared.
func TestWholeHistory(t *testing.T) {
	file, err := os.ReadFile(testkit.Shared(t, "data", "ecb-eurofxref-hist-2026-04-13.zip"))
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, string(file), Config{})
	raws, res := b.poll(t, nil)
	if len(raws) != 6983 {
		t.Fatalf("emitted %d days", len(raws))
	}
	figures, each := 0, 1
	if testing.Short() {
		each = 20
	}
	for n, r := range raws {
		if n%each != 0 {
			continue
		}
		rows, err := csv.NewReader(bytes.NewReader(r.Body)).ReadAll()
		if err != nil || len(rows) != 2 {
			t.Fatalf("%s: %v", r.Object, err)
		}
		var want []string
		for i, f := range rows[1][1:] {
			if f != "N/A" && f != "" {
				if strings.Contains(f, ".") {
					f = strings.TrimRight(strings.TrimRight(f, "0"), ".")
				}
				want = append(want, rows[0][i+1]+" "+f)
			}
		}
		slices.Sort(want)
		figures += len(want)
		if diff := cmp.Diff(r.Object+" "+strings.Join(want, " "), b.facts(t, r)); diff != "" {
			t.Fatal(diff)
		}
	}
	if figures*each < 200_000 {
		t.Errorf("only %d figures", figures)
	}
	if len(res.Cursor) > 80_000 {
		t.Errorf("the cursor has %d bytes", len(res.Cursor))
	}
	b.at = b.at.Add(25 * time.Hour)
	if raws, _ = b.poll(t, res.Cursor); len(raws) != 0 || b.Served("eurofxref-hist.zip") != 2 {
		t.Errorf("emitted %d days again", len(raws))
	}
	t.Logf("%d figures, cursor of %d bytes", figures, len(res.Cursor))
}

// The bank's own daily file and its history say the same in different spellings.
func TestBothFormatsGiveEqualFacts(t *testing.T) {
	b := open(t, small, Config{History: "none"})
	byDaily, _ := b.poll(t, nil)
	byHistory, _ := open(t, small, Config{}).poll(t, nil)
	if !bytes.Contains(byDaily[0].Body, []byte("'1.07830'")) && !bytes.Contains(byDaily[0].Body, []byte("'0.85770'")) {
		t.Fatalf("the daily file shows no other spelling: %s", byDaily[0].Body)
	}
	if got, want := b.facts(t, byDaily[0]), b.facts(t, byHistory[3]); got != want {
		t.Errorf("daily %s, history %s", got, want)
	}
}

func FuzzTranslate(f *testing.F) {
	f.Add("2024-04-03", true, []byte("Date,USD,\n2024-04-03,1.07,\n"))
	f.Add("2024-04-03", false, []byte(`<Envelope><Cube><Cube time="2024-04-03"><Cube currency="USD" rate="1.07"/></Cube></Cube></Envelope>`))
	f.Add("2024-04-03", true, []byte("Date,USD,JPY\r\n2024-04-03,N/A,1\r\n"))
	f.Fuzz(func(t *testing.T, object string, history bool, body []byte) {
		r := &connectors.Record{Object: object, Format: FormatDaily, Body: body}
		if history {
			r.Format = FormatHistory
		}
		facts, err := translator{}.Translate(r)
		if err != nil {
			if !errors.Is(err, connectors.ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		day := facts.Rates[0]
		if day.Date != object || len(day.Rates) == 0 {
			t.Fatalf("%+v", day)
		}
		for i, r := range day.Rates {
			if r.Value.Unscaled <= 0 || len(r.Currency) != 3 || i > 0 && r.Currency <= day.Rates[i-1].Currency {
				t.Fatalf("%+v", day)
			}
		}
	})
}

func FuzzCursor(f *testing.F) {
	f.Add([]byte(`{"checked":"2024-04-03T15:00:00Z","days":"AQIDBAUGBw=="}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := readCursor(text)
		if err != nil {
			return
		}
		out, err := c.marshal()
		if err != nil {
			t.Skip() // a year that JSON's form of time does not know
		}
		again, err := readCursor(out)
		if err != nil || !slices.Equal(again.days, c.days) {
			t.Fatalf("%s → %s: %v", text, out, err)
		}
	})
}
