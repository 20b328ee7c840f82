package ecb

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
	"github.com/helloword/crossdock/schemas/target"
)

// day is one day of either file. figures are as published, blanks and N/A left out.
type day struct {
	date    target.Day
	figures []figure
	format  string
	body    []byte
}

type figure struct{ currency, text string }

// parseDaily reads the daily file: one day, complete to its last tag.
func parseDaily(body []byte) (day, error) {
	var file struct {
		XMLName xml.Name `xml:"Envelope"`
		Days    []struct {
			Date  string `xml:"time,attr"`
			Rates []struct {
				Currency string `xml:"currency,attr"`
				Rate     string `xml:"rate,attr"`
			} `xml:"Cube"`
		} `xml:"Cube>Cube"`
	}
	if err := xml.Unmarshal(body, &file); err != nil {
		return day{}, fmt.Errorf("not the daily XML (it begins with %.24q): %w", body, err)
	}
	if len(file.Days) != 1 {
		return day{}, fmt.Errorf("the daily XML holds %d days, want one", len(file.Days))
	}
	d := day{format: FormatDaily, body: body}
	var err error
	if d.date, err = parseDate(file.Days[0].Date); err != nil {
		return day{}, fmt.Errorf("the daily XML: %w", err)
	}
	for _, r := range file.Days[0].Rates {
		d.figures = append(d.figures, figure{r.Currency, r.Rate})
	}
	if len(d.figures) == 0 {
		return day{}, fmt.Errorf("the daily XML of %s holds no rates", d.date)
	}
	return d, nil
}

// parseDate refuses days before the euro: whatever it is, it is no day of rates.
func parseDate(text string) (target.Day, error) {
	date, err := target.Parse(text)
	if err == nil && date < target.Date(1999, time.January, 1) {
		return 0, fmt.Errorf("date %s is before the euro", date)
	}
	return date, err
}

// splitHistory cuts the history file into days, oldest first. It looks at the frame only
// (header, dates, number of columns), so that one unreadable figure spoils one day and not
// all; whatever is wrong with the frame spoils the file, because then columns cannot be
// trusted to stand under their currency.
func splitHistory(csv []byte) ([]day, error) {
	header, rest, found := bytes.Cut(csv, []byte("\n"))
	if !found || !bytes.HasPrefix(header, []byte("Date,")) {
		return nil, fmt.Errorf("not the history CSV: it begins with %.24q, want Date,", csv)
	}
	if len(rest) == 0 || rest[len(rest)-1] != '\n' {
		return nil, fmt.Errorf("the history CSV is cut off: its last line has no end")
	}
	columns := bytes.Count(header, []byte(","))
	days := make([]day, 0, bytes.Count(rest, []byte("\n")))
	for n := 2; len(rest) > 0; n++ {
		var row []byte
		row, rest, _ = bytes.Cut(rest, []byte("\n"))
		if got := bytes.Count(row, []byte(",")); got != columns {
			return nil, fmt.Errorf("the history CSV, line %d: %d columns, the header has %d", n, got+1, columns+1)
		}
		name, _, _ := bytes.Cut(row, []byte(","))
		date, err := parseDate(string(name))
		if err != nil {
			return nil, fmt.Errorf("the history CSV, line %d: %w", n, err)
		}
		if len(days) > 0 && date >= days[len(days)-1].date {
			return nil, fmt.Errorf("the history CSV, line %d: %s does not come before %s", n, date, days[len(days)-1].date)
		}
		body := make([]byte, 0, len(header)+len(row)+2)
		body = append(append(append(append(body, header...), '\n'), row...), '\n')
		days = append(days, day{date: date, figures: rowFigures(header, row), format: FormatHistory, body: body})
	}
	if len(days) == 0 {
		return nil, fmt.Errorf("the history CSV holds no days")
	}
	slices.Reverse(days)
	return days, nil
}

// rowFigures pairs the header with one line of as many columns. The last column is a
// trailing comma in both; N/A and empty cells mean that the day has no rate for the currency.
func rowFigures(header, row []byte) []figure {
	names := strings.Split(strings.TrimRight(string(header), "\r"), ",")
	cells := strings.Split(strings.TrimRight(string(row), "\r"), ",")
	figures := make([]figure, 0, len(names))
	for i := 1; i < len(names); i++ {
		if cells[i] != "N/A" && cells[i] != "" {
			figures = append(figures, figure{names[i], cells[i]})
		}
	}
	return figures
}

// parseHistoryDay reads the body of a "ecb/hist-day".
func parseHistoryDay(body []byte) (day, error) {
	days, err := splitHistory(body)
	if err != nil {
		return day{}, err
	}
	if len(days) != 1 {
		return day{}, fmt.Errorf("the record holds %d days, want one", len(days))
	}
	return days[0], nil
}

// rates are a day's figures as facts, in the order of currencies.
func (d day) rates() ([]*event.Rate, error) {
	rates := make([]*event.Rate, 0, len(d.figures))
	for _, f := range d.figures {
		if !isCode(f.currency) {
			return nil, fmt.Errorf("%s: currency %.20q is no code of three letters", d.date, f.currency)
		}
		value, err := money.ParseDecimal(f.text)
		if err != nil {
			return nil, fmt.Errorf("%s: rate of %s: %w", d.date, f.currency, err)
		}
		if value.Unscaled <= 0 {
			return nil, fmt.Errorf("%s: rate of %s is %.40q, not above zero", d.date, f.currency, f.text)
		}
		rates = append(rates, &event.Rate{Currency: f.currency, Value: value})
	}
	slices.SortFunc(rates, func(a, b *event.Rate) int { return strings.Compare(a.Currency, b.Currency) })
	for i := 1; i < len(rates); i++ {
		if rates[i].Currency == rates[i-1].Currency {
			return nil, fmt.Errorf("%s: two rates of %s", d.date, rates[i].Currency)
		}
	}
	if len(rates) == 0 {
		return nil, fmt.Errorf("%s: no rates", d.date)
	}
	return rates, nil
}

func isCode(s string) bool {
	for i := range len(s) {
		if s[i] < 'A' || s[i] > 'Z' {
			return false
		}
	}
	return len(s) == 3
}

type translator struct{}

// Translate turns one raw day into a RateDay; see connectors.Translator.
func (translator) Translate(r *connectors.Record) (connectors.Facts, error) {
	var d day
	var err error
	switch r.Format {
	case FormatDaily:
		d, err = parseDaily(r.Body)
	case FormatHistory:
		d, err = parseHistoryDay(r.Body)
	default:
		return connectors.Facts{}, fmt.Errorf("rate day %s: format %q: %w", r.Object, r.Format, connectors.ErrUnsupported)
	}
	if err != nil {
		return connectors.Facts{}, fmt.Errorf("rate day %s: %w: %w", r.Object, err, connectors.ErrMalformed)
	}
	if d.date.String() != r.Object {
		return connectors.Facts{}, fmt.Errorf("rate day %s: the content is of %s: %w", r.Object, d.date, connectors.ErrMalformed)
	}
	rates, err := d.rates()
	if err != nil {
		return connectors.Facts{}, fmt.Errorf("rate day %s: %w: %w", r.Object, err, connectors.ErrMalformed)
	}
	return connectors.Facts{Rates: []*event.RateDay{{Source: Name, Base: "EUR", Date: r.Object, Rates: rates}}}, nil
}
