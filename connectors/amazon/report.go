package amazon

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/connectors/jsonread"
)

// The report of all listings is read because searchListingsItems tells of changes only, and
// what it never told of would stay unknown for ever. It is made by Amazon in the background,
// so that it is a step further with each poll: asked for, looked at, read.
// https://developer-docs.amazon.com/sp-api/docs/report-type-values-inventory
const reportType = "GET_MERCHANT_LISTINGS_ALL_DATA"

const (
	// maxReport bounds a report after decompression, and maxRow one line of it.
	maxReport = 1 << 30
	maxRow    = 1 << 20
	// reportPatience is how long a report may take before another one is asked for.
	reportPatience = 6 * time.Hour
)

// report moves the report on. One that Amazon gives up is asked for again when the next is due.
func (p *productPoller) report(ctx context.Context, state *productCursor, emit func(connectors.Raw) error) error {
	now := p.deps.Now()
	switch {
	case p.cfg.ReportEvery == 0:
		return nil
	case state.Report == "":
		if !state.Read.IsZero() && now.Sub(state.Read) < p.cfg.ReportEvery {
			return nil
		}
		id, err := p.createReport(ctx)
		if err != nil {
			return err
		}
		state.Report, state.Asked = id, now
		return nil
	}
	made, err := p.getReport(ctx, state.Report)
	if errors.Is(err, errNotFound) {
		state.Report = "" // reports are kept for 90 days
		return nil
	}
	if err != nil {
		return err
	}
	switch made.Status {
	case "IN_QUEUE", "IN_PROGRESS":
		if now.Sub(state.Asked) > reportPatience {
			p.deps.Log.Warn("the report of all listings is not made: it is asked for again", "report", state.Report, "status", made.Status)
			state.Report = ""
		}
		return nil
	case "DONE":
		if err := p.readReport(ctx, made, emit); err != nil {
			return err
		}
	default: // CANCELLED, FATAL, and what else there may be
		p.deps.Log.Warn("Amazon gave up the report of all listings: it is asked for again when it is due", "report", state.Report, "status", jsonread.Clip(made.Status))
	}
	state.Report, state.Read = "", now
	return nil
}

func (c *client) createReport(ctx context.Context) (id string, err error) {
	a, err := c.read(ctx, call{op: opCreateReport, path: "/reports/2021-06-30/reports", priority: connectors.Backfill, body: map[string]any{
		"reportType":     reportType,
		"marketplaceIds": c.cfg.Marketplaces[:1],
	}})
	if err != nil {
		return "", err
	}
	var data struct {
		ID string `json:"reportId"`
	}
	if err := json.Unmarshal(a.body, &data); err != nil || data.ID == "" {
		return "", calls.Passing(errors.New("asking for a report: the answer names none"))
	}
	return data.ID, nil
}

// madeReport is the state of a report.
type madeReport struct {
	Status   string `json:"processingStatus"`
	Document string `json:"reportDocumentId"`
	Created  string `json:"createdTime"`
	// Began is when the figures in it were taken.
	Began string `json:"processingStartTime"`
}

func (m madeReport) at() time.Time {
	for _, text := range []string{m.Began, m.Created} {
		if ms, ok := jsonread.Instant(text); ok {
			return time.UnixMilli(ms).UTC()
		}
	}
	return time.Time{}
}

func (c *client) getReport(ctx context.Context, id string) (m madeReport, err error) {
	a, err := c.read(ctx, call{op: opGetReport, path: "/reports/2021-06-30/reports/" + url.PathEscape(id), priority: connectors.Backfill})
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(a.body, &m); err != nil || m.Status == "" {
		return m, calls.Passing(fmt.Errorf("the answer about report %s cannot be read", jsonread.Clip(id)))
	}
	return m, nil
}

// readReport downloads the document and emits its rows.
func (c *client) readReport(ctx context.Context, m madeReport, emit func(connectors.Raw) error) error {
	d, err := c.document(ctx, call{op: opReportDocument, path: "/reports/2021-06-30/documents/" + url.PathEscape(m.Document), priority: connectors.Backfill}, "a report")
	if err != nil {
		return err
	}
	defer d.close()
	return rows(d, charset(d.contentType), maxReport, m.at(), emit)
}

// charset is the encoding that a document is named to have; nil = it says nothing.
// Amazon's reports are Latin-1 in Europe and America and Shift-JIS in Japan, unless they
// are UTF-8.
func charset(contentType string) encoding.Encoding {
	_, parameters, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil
	}
	switch strings.ToLower(parameters["charset"]) {
	case "iso-8859-1", "latin1", "cp1252", "windows-1252":
		return charmap.Windows1252 // holds Latin-1, and what is written under its name
	case "iso-8859-15":
		return charmap.ISO8859_15
	case "shift_jis", "shift-jis", "sjis", "windows-31j", "cp932", "ms932":
		return japanese.ShiftJIS
	}
	return nil
}

// reportRow is the record of one line: a record has to be readable by itself, so that the head
// is with it, and both are UTF-8.
type reportRow struct {
	Head string `json:"head"`
	Row  string `json:"row"`
}

// rows emits each line of a table, which must end before the limit.
func rows(body io.Reader, of encoding.Encoding, limit int64, at time.Time, emit func(connectors.Raw) error) error {
	limited := &io.LimitedReader{R: body, N: limit}
	lines := bufio.NewScanner(limited)
	lines.Buffer(make([]byte, 64<<10), maxRow)
	var head []byte
	sku := -1
	for lines.Scan() {
		line, err := utf8Line(lines.Bytes(), of)
		if err != nil {
			return fmt.Errorf("reading a report: %w", err)
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if head == nil {
			head = bytes.Clone(bytes.TrimPrefix(line, []byte("\ufeff")))
			for i, name := range strings.Split(string(head), "\t") {
				if name == columnSKU {
					sku = i
				}
			}
			if sku < 0 {
				return fmt.Errorf("reading a report: %w: no column %s: set the account's report language to English, or report_every to 0", connectors.ErrPermanent, columnSKU)
			}
			continue
		}
		object := unknownObject
		if cells := strings.Split(string(line), "\t"); sku < len(cells) && cells[sku] != "" && len(cells[sku]) <= maxID {
			object = cells[sku]
		}
		record, err := json.Marshal(reportRow{string(head), string(line)})
		if err != nil {
			return fmt.Errorf("reading a report: %w", err)
		}
		if err := emit(connectors.Raw{Subject: connectors.Products, Object: object, Body: record, Format: formatReport, SourceTime: at}); err != nil {
			return err
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("reading a report: %w: a line of more than %d bytes", connectors.ErrPermanent, maxRow)
	case err != nil:
		return calls.Passing(fmt.Errorf("reading a report: %w", err))
	case limited.N <= 0:
		return fmt.Errorf("reading a report: %w: it is larger than %d bytes: set report_every to 0", connectors.ErrPermanent, limit)
	case head == nil:
		return calls.Passing(errors.New("reading a report: it is empty"))
	}
	return nil
}

// utf8Line is a line as UTF-8. One that is UTF-8 already is, whatever it is called: only text
// that happens to be both ways readable is ambiguous, and no German or French is.
func utf8Line(line []byte, of encoding.Encoding) ([]byte, error) {
	line = bytes.TrimSuffix(line, []byte("\r"))
	if utf8.Valid(line) {
		return line, nil
	}
	if of == nil {
		of = charmap.Windows1252
	}
	b, err := of.NewDecoder().Bytes(line)
	if err != nil {
		return nil, fmt.Errorf("%w: a line is in another encoding than the report says", connectors.ErrMalformed)
	}
	return b, nil
}
