// Package retail plays a real year of somebody's trade: the UCI Online Retail file, sold on
// simulated shops and a simulated warehouse. What comes in: the file. What goes out: orders,
// edits, refunds and stock entries, in the order in which they happened, and the figures that
// the pipeline must arrive at, computed straight from the file. It keeps nothing.
package retail

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // the file's clock is London's, on machines without zone files too

	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// Line is one line of the file.
type Line struct {
	// Number is the line's place in its invoice, from 1; Row its place in the file.
	Number, Row int
	SKU         string
	Title       string
	Quantity    int64
	Price       *event.Decimal
	PriceText   string
	// Minor is quantity × price, rounded half-even to the penny; negative for returns.
	Minor int64
	At    time.Time
}

// Goods reports whether the line's code is something that lies in a warehouse.
func (l *Line) Goods() bool { return Goods(l.SKU) }

// services are the codes that are not goods: postage, fees, discounts, samples, manual
// entries, gift vouchers.
var services = map[string]bool{
	"POST": true, "DOT": true, "M": true, "C2": true, "D": true, "S": true, "B": true,
	"BANK CHARGES": true, "AMAZONFEE": true, "CRUK": true,
}

// Goods reports whether a stock code is something that lies in a warehouse.
func Goods(code string) bool {
	return !services[strings.ToUpper(code)] && !strings.HasPrefix(code, "gift_")
}

// Kind of an invoice, or of a group of its lines.
type Kind int

// What the merchant's rules make of the file's lines.
const (
	Sale Kind = iota
	Edit
	Return
	WriteOff
	Receipt
	Refused
)

// Event is something that happened at one minute: lines of one invoice, of one kind.
type Event struct {
	Kind     Kind
	Invoice  string
	Customer string
	Country  string
	At       time.Time
	Lines    []*Line
}

// Year is the file, as events in the order of time.
type Year struct {
	Events []*Event
	Rows   int
	// Sold is how many units of each stocked SKU the file sells: what each starts with.
	Sold map[string]int64
	// Titles of the SKUs, sold or not.
	Titles map[string]string
	// Prices: the first price at which each SKU was sold.
	Prices map[string]*event.Decimal
}

var header = []string{"InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"}

// Read reads the file, plain or gzipped. A file that is cut in the middle is an error that
// names the line; nothing is played of it.
func Read(path string) (*Year, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("orders file: %w", err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, fmt.Errorf("%s: not a gzip file: %w", path, err)
		}
	}
	y, err := parse(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return y, nil
}

func parse(r io.Reader) (*Year, error) {
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		return nil, fmt.Errorf("the zone Europe/London: %w", err)
	}
	c := csv.NewReader(r)
	c.ReuseRecord = true
	c.FieldsPerRecord = len(header)
	head, err := c.Read()
	if err != nil {
		return nil, fmt.Errorf("line 1: %w", err)
	}
	for i, h := range header {
		if strings.TrimPrefix(head[i], "\ufeff") != h {
			return nil, fmt.Errorf("line 1: column %d is %q, want %q", i+1, head[i], h)
		}
	}
	y := &Year{Sold: make(map[string]int64), Titles: make(map[string]string), Prices: make(map[string]*event.Decimal)}
	type key struct {
		invoice string
		kind    Kind
		at      int64
	}
	events := make(map[key]*Event)
	numbers := make(map[string]int)
	first := make(map[string]time.Time)
	b := &builder{london: london, texts: make(map[string]string), prices: make(map[string]*event.Decimal)}
	for {
		rec, err := c.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("after %d lines: %w: the file is damaged or cut off", y.Rows, err)
		}
		row, _ := c.FieldPos(0)
		l, err := b.line(rec)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", row, err)
		}
		y.Rows++
		l.Row = y.Rows
		invoice := b.text(rec[0])
		numbers[invoice]++
		l.Number = numbers[invoice]
		kind := classify(invoice, l)
		if kind == Sale {
			if t, ok := first[invoice]; !ok || l.At.Before(t) {
				first[invoice] = l.At
			}
			if l.Goods() {
				y.Sold[l.SKU] += l.Quantity
			}
			if y.Prices[l.SKU] == nil {
				y.Prices[l.SKU] = l.Price
			}
		}
		if l.Title != "" && y.Titles[l.SKU] == "" {
			y.Titles[l.SKU] = l.Title
		}
		k := key{invoice, kind, l.At.Unix()}
		e := events[k]
		if e == nil {
			e = &Event{Kind: kind, Invoice: invoice, Customer: b.text(customer(rec[6])), Country: b.text(rec[7]), At: l.At}
			events[k] = e
			y.Events = append(y.Events, e)
		}
		e.Lines = append(e.Lines, l)
	}
	for _, e := range y.Events {
		if e.Kind == Sale && e.At.After(first[e.Invoice]) {
			e.Kind = Edit
		}
	}
	// Within a minute the file's own order counts.
	sort.SliceStable(y.Events, func(i, j int) bool {
		if !y.Events[i].At.Equal(y.Events[j].At) {
			return y.Events[i].At.Before(y.Events[j].At)
		}
		return y.Events[i].Lines[0].Row < y.Events[j].Lines[0].Row
	})
	return y, nil
}

// builder makes lines. A year has half a million of them and few codes, titles and prices:
// equal ones are kept once.
type builder struct {
	london *time.Location
	texts  map[string]string
	prices map[string]*event.Decimal
	room   []Line // where the next lines go

	date string // of the line before
	at   time.Time
}

// text is a copy of s that is shared by all who want the same.
func (b *builder) text(s string) string {
	if t, ok := b.texts[s]; ok {
		return t
	}
	t := strings.Clone(s)
	b.texts[t] = t
	return t
}

func (b *builder) price(text string) (*event.Decimal, error) {
	if p := b.prices[text]; p != nil {
		return p, nil
	}
	p, err := money.ParseDecimal(text)
	if err == nil {
		b.prices[b.text(text)] = p
	}
	return p, err
}

func (b *builder) line(rec []string) (*Line, error) {
	if len(b.room) == 0 {
		b.room = make([]Line, 512)
	}
	l := &b.room[0]
	b.room = b.room[1:]
	*l = Line{SKU: b.text(strings.TrimSpace(rec[1])), Title: b.text(strings.TrimSpace(rec[2])), PriceText: b.text(rec[5])}
	var err error
	if l.Quantity, err = strconv.ParseInt(rec[3], 10, 64); err != nil {
		return nil, fmt.Errorf("quantity %q is no whole number", rec[3])
	}
	if l.Price, err = b.price(rec[5]); err != nil {
		return nil, fmt.Errorf("unit price %q: %w", rec[5], err)
	}
	if l.Minor, err = money.Mul(l.Price, l.Quantity, 2); err != nil {
		return nil, fmt.Errorf("line amount: %w", err)
	}
	if rec[4] != b.date {
		at, err := time.ParseInLocation(time.DateTime, rec[4], b.london)
		if err != nil {
			return nil, fmt.Errorf("invoice date %q: %w", rec[4], err)
		}
		b.date, b.at = strings.Clone(rec[4]), at.UTC()
	}
	l.At = b.at
	return l, nil
}

// classify is the merchant's rules.
func classify(invoice string, l *Line) Kind {
	switch {
	case strings.HasPrefix(invoice, "C"):
		return Return
	case !digits(invoice):
		return Refused
	case l.Quantity < 0:
		return WriteOff
	case l.Price.GetUnscaled() == 0:
		return Receipt
	default:
		return Sale
	}
}

func digits(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return s != ""
}

// customer drops the ".0" that a spreadsheet left behind the number.
func customer(s string) string { return strings.TrimSuffix(s, ".0") }

// ListPrices are the SKUs' first prices as a shop can list them: in whole pence, at least one.
func (y *Year) ListPrices() map[string]string {
	listed := make(map[string]string, len(y.Prices))
	for sku, price := range y.Prices {
		minor, err := money.Mul(price, 1, 2)
		if err != nil {
			panic(err) // unreachable: its lines' amounts were computed from it
		}
		minor = max(minor, 1)
		listed[sku] = fmt.Sprintf("%d.%02d", minor/100, minor%100)
	}
	return listed
}
