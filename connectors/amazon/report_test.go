package amazon

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/amazon/simulator"
	"github.com/helloword/crossdock/schemas/event"
)

// TestReport: step by step it is asked for, waited for and read, whatever it is written in.
func TestReport(t *testing.T) {
	for _, c := range []struct {
		name string
		sim  simulator.Config
	}{{"gzip, UTF-8", simulator.Config{}}, {"gzip, Latin-1", simulator.Config{ReportLatin1: true}}, {"plain, Latin-1", simulator.Config{ReportLatin1: true, ReportPlain: true}}} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, c.sim, func(cfg *Config) { cfg.ReportEvery = 24 * time.Hour })
			stocked(s)
			var rows []connectors.Raw
			req := connectors.PollRequest{}
			once := func() {
				t.Helper()
				s.clock.Add(time.Minute)
				raws, res := s.poll(t, connectors.Products, req)
				req.Cursor = res.Cursor
				for _, r := range raws {
					if r.Format == formatReport {
						rows = append(rows, r)
					}
				}
			}
			once() // asked for
			once() // in progress
			if len(rows) != 0 {
				t.Fatalf("%d rows before the report is made", len(rows))
			}
			once()
			if len(rows) != 3 {
				t.Fatalf("%d rows, want 3", len(rows))
			}
			facts := s.translate(t, rows[1])
			p := facts.Products[0]
			if p.Id != "MUG/red 1" || p.Title != "Mug röd" || *p.Listings[0].Shown != 50 || p.Listings[0].Price.Minor != 339 || !p.Listings[0].Stocked {
				t.Errorf("the merchant's: %v", p)
			}
			if len(facts.Observations) != 1 || facts.Observations[0].Shown != 50 || facts.Observations[0].UpdatedMs <= rowTime {
				t.Errorf("what it shows: %v", facts.Observations)
			}
			if facts = s.translate(t, rows[2]); facts.Products[0].Listings[0].Stocked || len(facts.Observations) != 0 {
				t.Errorf("Amazon's: %v", facts)
			}
			once()
			if got := s.Stats().Calls["createReport"]; got != 1 || len(rows) != 3 {
				t.Errorf("%d reports and %d rows, want one report", got, len(rows))
			}
			s.clock.Add(24 * time.Hour)
			once()
			s.FailReports()
			once()
			if got := s.Stats().Calls["createReport"]; got != 2 {
				t.Errorf("%d reports, want a second one the day after", got)
			}
			once()
			if got := s.Stats().Calls["createReport"]; got != 2 {
				t.Errorf("a report that was given up was asked for again at once")
			}
		})
	}
}

// TestAReportThatFailsHoldsNothingBack: what changed goes on; a refusal is told.
func TestAReportThatFailsHoldsNothingBack(t *testing.T) {
	for code, want := range map[int]string{500: "ok", 429: "ok", 403: "needs-authorisation", 400: "permanent"} {
		s := open(t, simulator.Config{}, func(cfg *Config) { cfg.ReportEvery = 24 * time.Hour })
		stocked(s)
		s.clock.Add(time.Minute)
		s.between = answering(s.Simulator, "/reports/", func(w http.ResponseWriter, _ *http.Request) { fail(w, code, "X", "x") })
		res, err := s.conn.Poll[connectors.Products].Poll(context.Background(), connectors.PollRequest{}, func(connectors.Raw) error { return nil })
		if got := connectors.Class(err); got != want || (err == nil && res.Watermark.IsZero()) {
			t.Errorf("%d: %s (%v), watermark %s, want %s", code, got, err, res.Watermark, want)
		}
	}
}

// TestARowNeverOverridesTheListing: the report knows less, and says so by its time.
func TestARowNeverOverridesTheListing(t *testing.T) {
	row, err := translated(formatReport, `{"head":"seller-sku\tquantity","row":"S\t3"}`)
	if err != nil {
		t.Fatal(err)
	}
	listing, err := translated(formatListing, `{"sku":"S","summaries":[{"marketplaceId":"A1F83G8C2ARO7P","lastUpdatedDate":"2001-01-01T00:00:00Z"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	if row.Products[0].UpdatedMs >= listing.Products[0].UpdatedMs || row.Products[0].UpdatedMs <= 0 {
		t.Errorf("the row is of %d and the listing of %d", row.Products[0].UpdatedMs, listing.Products[0].UpdatedMs)
	}
}

// TestRows: tables as they should not be.
func TestRows(t *testing.T) {
	table := func(text string) (rows int, err error) {
		err = walk(strings.NewReader(text), "", func(connectors.Raw) error { rows++; return nil })
		return rows, err
	}
	for _, c := range []struct {
		name, text string
		rows       int
		want       string
	}{
		{"three", "\ufeffseller-sku\tprice\r\nA\t1\r\n\r\nB\t2\r\nC\t3", 3, "ok"},
		{"a head alone", "seller-sku\tprice\n", 0, "ok"},
		{"nothing", "", 0, "transient"},
		{"another language", "出品者SKU\t価格\nA\t1\n", 0, "permanent"},
		{"a line without end", "seller-sku\n" + strings.Repeat("x", maxRow+1), 0, "permanent"},
	} {
		rows, err := table(c.text)
		if rows != c.rows || connectors.Class(err) != c.want {
			t.Errorf("%s: %d rows, %v, want %d, %s", c.name, rows, err, c.rows, c.want)
		}
	}
	stop := errors.New("stop")
	if err := walk(strings.NewReader("seller-sku\nA\nB\n"), "", func(connectors.Raw) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("an error of emit: %v", err)
	}
	if err := walk(endless{}, "", func(connectors.Raw) error { return nil }); connectors.Class(err) != "permanent" {
		t.Errorf("a table beyond the limit: %v, want permanent", err)
	}
}

// endless is a table that does not end, of long lines that hold nothing.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	p[len(p)-1] = '\n'
	return len(p), nil
}

func walk(r io.Reader, contentType string, emit func(connectors.Raw) error) error {
	return rows(r, charset(contentType), 4<<20, time.Time{}, emit)
}

// TestCharsets: the same line in every encoding that Amazon uses.
func TestCharsets(t *testing.T) {
	latin, err := charmap.ISO8859_1.NewEncoder().String("größe")
	if err != nil {
		t.Fatal(err)
	}
	jis, err := japanese.ShiftJIS.NewEncoder().String("商品名")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ line, contentType, want string }{
		{"größe", "text/plain; charset=UTF-8", "größe"},
		{"größe", "text/plain; charset=ISO-8859-1", "größe"},
		{latin, "text/plain; charset=ISO-8859-1", "größe"},
		{latin, "text/plain; charset=Cp1252", "größe"},
		{latin, "", "größe"},
		{jis, "text/plain; charset=Shift_JIS", "商品名"},
		{"plain\r", ";;;", "plain"},
	} {
		if got, err := utf8Line([]byte(c.line), charset(c.contentType)); string(got) != c.want || err != nil {
			t.Errorf("%q as %s: got %q, %v, want %q", c.line, c.contentType, got, err, c.want)
		}
	}
}

// TestIdentifierKinds: what is named in one of Amazon's ways, and what is not used.
func TestIdentifierKinds(t *testing.T) {
	for text, want := range map[string]event.IdentifierKind{
		"ean": event.IdentifierKind_IDENTIFIER_KIND_GTIN, "UPC": event.IdentifierKind_IDENTIFIER_KIND_GTIN, "gtin": event.IdentifierKind_IDENTIFIER_KIND_GTIN,
		"isbn": event.IdentifierKind_IDENTIFIER_KIND_ISBN, "minsan": event.IdentifierKind_IDENTIFIER_KIND_UNSPECIFIED,
	} {
		if got := identifierKind(text); got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}
