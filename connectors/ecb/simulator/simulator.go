// Package simulator plays the European Central Bank's file server: the daily file and the
// zipped history, made from a history file as the bank publishes it.
//
// Comes in: a history (zip or CSV), and what a test or a person sets: today, corrections,
// faults. Goes out: HTTP answers. Keeps: its days, in memory. Safe for concurrent use.
package simulator

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fault is a way in which an answer goes wrong.
type Fault string

// Faults of answers.
const (
	// Unavailable: 503 with Retry-After.
	Unavailable Fault = "unavailable"
	// HTML: a maintenance page with status 200.
	HTML Fault = "html"
	// Truncated: the second half of the file is missing, its length is right.
	Truncated Fault = "truncated"
	// Corrupt: some bytes in the middle are others.
	Corrupt Fault = "corrupt"
	// CutLines: a well-formed file whose oldest half is missing.
	CutLines Fault = "cut-lines"
)

// Server is the file server.
type Server struct {
	mu      sync.Mutex
	now     func() time.Time
	header  []string
	rows    [][]string // newest first, as published
	today   string
	archive []byte // made at the first request, until something changes
	faults  []Fault
	served  map[string]int
}

// New makes a server of a history file, zipped or not. Its today is the last day of the
// file; now is the clock of its answers.
func New(history []byte, now func() time.Time) (*Server, error) {
	if bytes.HasPrefix(history, []byte("PK")) {
		z, err := zip.NewReader(bytes.NewReader(history), int64(len(history)))
		if err != nil {
			return nil, fmt.Errorf("reading the rates: %w", err)
		}
		if len(z.File) != 1 {
			return nil, fmt.Errorf("reading the rates: %d files in the zip, want one", len(z.File))
		}
		f, err := z.File[0].Open()
		if err != nil {
			return nil, fmt.Errorf("reading the rates: %w", err)
		}
		defer func() { _ = f.Close() }()
		if history, err = io.ReadAll(io.LimitReader(f, 64<<20)); err != nil {
			return nil, fmt.Errorf("reading the rates: %w", err)
		}
	}
	rows, err := csv.NewReader(bytes.NewReader(history)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("reading the rates: %w", err)
	}
	if len(rows) < 2 || rows[0][0] != "Date" {
		return nil, fmt.Errorf("reading the rates: not a history file of the ECB: it should begin with a line Date,USD,JPY,…")
	}
	return &Server{now: now, header: rows[0], rows: rows[1:], today: rows[1][0], served: make(map[string]int)}, nil
}

// SetToday hides all days after date (YYYY-MM-DD).
func (s *Server) SetToday(date string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.today, s.archive = date, nil
}

// Correct changes one figure of one day, as the bank does now and then; "N/A" takes it back.
func (s *Server) Correct(date, currency, figure string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	column := slices.Index(s.header, currency)
	for _, r := range s.rows {
		if r[0] == date && column > 0 {
			r[column], s.archive = figure, nil
			return nil
		}
	}
	return fmt.Errorf("no rate of %s on %s to correct", currency, date)
}

// Withdraw removes a day, as an unforeseen closing of TARGET would have it.
func (s *Server) Withdraw(date string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows = slices.DeleteFunc(s.rows, func(r []string) bool { return r[0] == date })
	s.archive = nil
}

// Break makes the next answers go wrong, one fault each.
func (s *Server) Break(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Served is how many requests there were for a file.
func (s *Server) Served(file string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.served[file]
}

// ServeHTTP answers for …/eurofxref-daily.xml and …/eurofxref-hist.zip below any folder.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	file := path.Base(r.URL.Path)
	var body []byte
	var err error
	switch file {
	case "eurofxref-daily.xml":
		w.Header().Set("Content-Type", "text/xml")
		body, err = s.daily()
	case "eurofxref-hist.zip":
		w.Header().Set("Content-Type", "application/zip")
		body, err = s.history(false)
	default:
		http.NotFound(w, r)
		return
	}
	s.served[file]++
	var fault Fault
	if len(s.faults) > 0 {
		fault, s.faults = s.faults[0], s.faults[1:]
	}
	switch fault {
	case Unavailable:
		w.Header().Set("Retry-After", "30")
		http.Error(w, "try later", http.StatusServiceUnavailable)
		return
	case HTML:
		w.Header().Set("Content-Type", "text/html")
		body = []byte("<!DOCTYPE html><html><head><title>Maintenance</title></head><body><br>Back soon</body></html>")
	case Truncated:
		body = body[:len(body)/2]
	case Corrupt:
		body = slices.Clone(body)
		for i := range min(64, len(body)/2) {
			body[len(body)/2+i] ^= 0x55
		}
	case CutLines:
		if file == "eurofxref-hist.zip" {
			body, err = s.history(true)
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(body) // the caller went away: nothing to do
}

// visible are the days up to today.
func (s *Server) visible() [][]string {
	at := slices.IndexFunc(s.rows, func(r []string) bool { return r[0] <= s.today })
	if at < 0 {
		return nil
	}
	return s.rows[at:]
}

// daily writes the latest day as the bank does: single quotes, only what is quoted, and
// zeros at the end of some figures that the history leaves out.
func (s *Server) daily() ([]byte, error) {
	rows := s.visible()
	if len(rows) == 0 {
		return nil, fmt.Errorf("no rates up to %s", s.today)
	}
	var b bytes.Buffer
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" +
		`<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">` +
		"\n\t<gesmes:subject>Reference rates</gesmes:subject>\n\t<gesmes:Sender>\n\t\t<gesmes:name>European Central Bank</gesmes:name>\n\t</gesmes:Sender>\n\t<Cube>\n")
	fmt.Fprintf(&b, "\t\t<Cube time='%s'>\n", rows[0][0])
	for i, figure := range rows[0][1:] {
		if figure == "" || figure == "N/A" {
			continue
		}
		if whole, decimals, found := strings.Cut(figure, "."); found && len(whole)+len(decimals) < 6 && len(whole) < 3 {
			figure += "0"
		}
		fmt.Fprintf(&b, "\t\t\t<Cube currency='%s' rate='", s.header[i+1])
		if err := xml.EscapeText(&b, []byte(figure)); err != nil {
			return nil, err
		}
		b.WriteString("'/>\n")
	}
	b.WriteString("\t\t</Cube>\n\t</Cube>\n</gesmes:Envelope>")
	return b.Bytes(), nil
}

func (s *Server) history(cut bool) ([]byte, error) {
	if s.archive != nil && !cut {
		return s.archive, nil
	}
	rows := s.visible()
	if cut {
		rows = rows[:len(rows)/2]
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create("eurofxref-hist.csv")
	if err != nil {
		return nil, err
	}
	for _, r := range slices.Insert(slices.Clone(rows), 0, s.header) {
		if _, err := io.WriteString(f, strings.Join(r, ",")+"\n"); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	if !cut {
		s.archive = b.Bytes()
	}
	return b.Bytes(), nil
}
