package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/helloword/crossdock/cmd/crossdock/app"
	"github.com/helloword/crossdock/sinks/clickhouse"
)

// Report is what a year came to. Every figure about trade is read back from ClickHouse; the
// shops' own counters tell of webhooks and of what they show.
type Report struct {
	Lines               int64   `json:"lines"`
	LinesAccounted      int64   `json:"lines_accounted"`
	Orders              int64   `json:"orders"`
	OrderLines          int64   `json:"order_lines"`
	Units               int64   `json:"units"`
	GrossMinor          int64   `json:"gross_minor"`
	GrossReportingMinor int64   `json:"gross_reporting_minor"`
	ReturnInvoices      int64   `json:"return_invoices"`
	ReturnLines         int64   `json:"return_lines"`
	ReturnMinor         int64   `json:"return_minor"`
	UnmatchedReturns    int64   `json:"unmatched_return_lines"`
	WriteOffLines       int64   `json:"writeoff_lines"`
	WriteOffUnits       int64   `json:"writeoff_units"`
	ReceiptLines        int64   `json:"receipt_lines"`
	ReceiptUnits        int64   `json:"receipt_units"`
	RefusedLines        int64   `json:"refused_lines"`
	SKUs                int64   `json:"skus"`
	SKUsWrong           int64   `json:"skus_wrong"`
	WebhooksSent        int64   `json:"webhooks_sent"`
	WebhooksDuplicated  int64   `json:"webhooks_duplicated"`
	WebhooksDropped     int64   `json:"webhooks_dropped"`
	FoundByPoll         int64   `json:"found_by_poll"`
	PushesAccepted      int64   `json:"pushes_accepted"`
	ListingsDiffering   int64   `json:"listings_differing"`
	Seconds             float64 `json:"seconds"`
	PeakRSSMB           int64   `json:"peak_rss_mb"`
	// ByChannel is each platform's share.
	ByChannel map[string]*Channel `json:"by_channel"`

	problems []error
}

// Channel is what the shops on one platform came to.
type Channel struct {
	Orders            int64 `json:"orders"`
	GrossMinor        int64 `json:"gross_minor"`
	FoundByPoll       int64 `json:"found_by_poll"`
	PushesAccepted    int64 `json:"pushes_accepted"`
	ListingsDiffering int64 `json:"listings_differing"`
}

// Err says what was lost, doubled or wrong; nil when nothing was.
func (r *Report) Err() error { return errors.Join(r.problems...) }

func (y *year) report(ctx context.Context, began time.Time) (*Report, error) {
	f, err := y.reader.Figures(ctx)
	if err != nil {
		return nil, err
	}
	levels, err := y.reader.Levels(ctx)
	if err != nil {
		return nil, err
	}
	r := &Report{
		Lines: int64(y.year.Rows), Orders: f.Orders, OrderLines: f.OrderLines, Units: f.Units,
		GrossMinor: f.GrossMinor, GrossReportingMinor: f.GrossReportingMinor,
		ReturnInvoices: f.ReturnInvoices, ReturnLines: f.ReturnLines, ReturnMinor: f.ReturnMinor, UnmatchedReturns: f.UnmatchedReturnLines,
		WriteOffLines: f.WriteoffLines, WriteOffUnits: f.WriteoffUnits, ReceiptLines: f.ReceiptLines, ReceiptUnits: f.ReceiptUnits,
		RefusedLines: f.RefusedLines, SKUs: f.SKUs, FoundByPoll: f.FoundByPoll, PushesAccepted: f.PushesAccepted,
	}
	if err := y.byChannel(ctx, r, levels); err != nil {
		return nil, err
	}
	r.LinesAccounted = r.OrderLines + r.ReturnLines + r.WriteOffLines + r.ReceiptLines + r.RefusedLines
	for _, sh := range y.shops {
		st := sh.Stats()
		r.WebhooksSent += st.WebhooksSent
		r.WebhooksDuplicated += st.WebhooksDuplicated
		r.WebhooksDropped += st.WebhooksDropped
	}
	for sku, want := range y.figures.Levels {
		l, ok := levels[sku]
		if got := l.OnHand - l.Short - l.Reserved; !ok || got != want {
			r.SKUsWrong++
			if r.SKUsWrong <= 5 {
				r.problems = append(r.problems, fmt.Errorf("SKU %s: %d at the end, the file says %d", sku, got, want))
			}
		}
	}
	w := y.figures
	for _, c := range []struct {
		what      string
		got, want int64
	}{
		{"lines_accounted", r.LinesAccounted, w.Lines}, {"orders", r.Orders, w.Orders}, {"order_lines", r.OrderLines, w.OrderLines},
		{"units", r.Units, w.Units}, {"gross_minor", r.GrossMinor, w.GrossMinor}, {"return_invoices", r.ReturnInvoices, w.ReturnInvoices},
		{"return_lines", r.ReturnLines, w.ReturnLines}, {"return_minor", r.ReturnMinor, w.ReturnMinor},
		{"unmatched_return_lines", r.UnmatchedReturns, w.UnmatchedReturnLines}, {"writeoff_lines", r.WriteOffLines, w.WriteOffLines},
		{"writeoff_units", r.WriteOffUnits, w.WriteOffUnits}, {"receipt_lines", r.ReceiptLines, w.ReceiptLines},
		{"receipt_units", r.ReceiptUnits, w.ReceiptUnits}, {"refused_lines", r.RefusedLines, w.RefusedLines},
		{"skus_wrong", r.SKUsWrong, 0}, {"listings_differing", r.ListingsDiffering, 0},
		{"orders without a value in the reporting currency", f.OrdersUnvalued, 0}, {"parked orders", f.OrdersParked, 0},
	} {
		if c.got != c.want {
			r.problems = append(r.problems, fmt.Errorf("%s: %d, the file says %d", c.what, c.got, c.want))
		}
	}
	var parts Channel
	for _, c := range r.ByChannel {
		parts.Orders, parts.GrossMinor, parts.FoundByPoll = parts.Orders+c.Orders, parts.GrossMinor+c.GrossMinor, parts.FoundByPoll+c.FoundByPoll
		parts.PushesAccepted, parts.ListingsDiffering = parts.PushesAccepted+c.PushesAccepted, parts.ListingsDiffering+c.ListingsDiffering
	}
	if whole := (Channel{r.Orders, r.GrossMinor, r.FoundByPoll, r.PushesAccepted, r.ListingsDiffering}); parts != whole {
		r.problems = append(r.problems, fmt.Errorf("the channels come to %+v, all together to %+v", parts, whole))
	}
	if f.DeadLetters != w.RefusedLines {
		if err := y.explain(ctx, r); err != nil {
			return nil, err
		}
	}
	r.Seconds = time.Since(began).Seconds()
	r.PeakRSSMB = peakRSS()
	return r, nil
}

// byChannel reads each platform's share, and compares what its listings show with the levels.
func (y *year) byChannel(ctx context.Context, r *Report, levels map[string]clickhouse.Level) error {
	figures, err := y.reader.ByAccount(ctx)
	if err != nil {
		return err
	}
	r.ByChannel = make(map[string]*Channel)
	for _, sh := range y.shops {
		c := r.ByChannel[sh.platform]
		if c == nil {
			c = new(Channel)
			r.ByChannel[sh.platform] = c
		}
		f := figures[sh.account]
		c.Orders, c.GrossMinor, c.FoundByPoll, c.PushesAccepted = c.Orders+f.Orders, c.GrossMinor+f.GrossMinor, c.FoundByPoll+f.FoundByPoll, c.PushesAccepted+f.PushesAccepted
		for sku, shown := range sh.Listings() {
			if shown == levels[sku].Available {
				continue
			}
			c.ListingsDiffering++
			if r.ListingsDiffering++; r.ListingsDiffering <= 5 {
				r.problems = append(r.problems, fmt.Errorf("%s shows %d of SKU %s, %d are available", sh.account, shown, sku, levels[sku].Available))
			}
		}
	}
	return nil
}

// explain adds the reasons of dead letters that the file does not ask for.
func (y *year) explain(ctx context.Context, r *Report) error {
	const most = 5
	n := 0
	return y.app.DeadLetters(ctx, nil, time.Time{}, func(d *app.DeadLetter) error {
		if d.Letter.Account == depotAccount && d.Letter.Code == "unsupported" {
			return nil // the file's own bookkeeping entries
		}
		if n++; n <= most {
			r.problems = append(r.problems, fmt.Errorf("dead letter %s of stage %s: %s", d.ID, d.Letter.Stage, d.Letter.Reason))
		}
		return nil
	})
}

// Print shows the report to people.
func (r *Report) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', tabwriter.AlignRight)
	for _, l := range []struct {
		what  string
		value string
	}{
		{"lines of the file", thousands(r.Lines)}, {"accounted for", thousands(r.LinesAccounted)},
		{"orders", thousands(r.Orders)}, {"order lines", thousands(r.OrderLines)}, {"units", thousands(r.Units)},
		{"gross, GBP", thousands(r.GrossMinor / 100)}, {"gross, EUR", thousands(r.GrossReportingMinor / 100)},
		{"credit notes", thousands(r.ReturnInvoices)}, {"returned lines", thousands(r.ReturnLines)}, {"of these unmatched", thousands(r.UnmatchedReturns)},
		{"written off, units", thousands(r.WriteOffUnits)}, {"received, units", thousands(r.ReceiptUnits)}, {"refused lines", thousands(r.RefusedLines)},
		{"SKUs", thousands(r.SKUs)}, {"SKUs wrong", thousands(r.SKUsWrong)},
		{"webhooks sent", thousands(r.WebhooksSent)}, {"duplicated", thousands(r.WebhooksDuplicated)}, {"dropped", thousands(r.WebhooksDropped)},
		{"orders found by poll", thousands(r.FoundByPoll)}, {"stock writes accepted", thousands(r.PushesAccepted)}, {"listings differing", thousands(r.ListingsDiffering)},
	} {
		fmt.Fprintf(t, "%s\t%s\t\n", l.what, l.value)
	}
	for _, name := range slices.Sorted(maps.Keys(r.ByChannel)) {
		c := r.ByChannel[name]
		fmt.Fprintf(t, "%s: orders\t%s\t\n%[1]s: gross, GBP\t%[3]s\t\n%[1]s: found by poll\t%[4]s\t\n%[1]s: stock writes accepted\t%[5]s\t\n%[1]s: listings differing\t%[6]s\t\n",
			name, thousands(c.Orders), thousands(c.GrossMinor/100), thousands(c.FoundByPoll), thousands(c.PushesAccepted), thousands(c.ListingsDiffering))
	}
	for _, l := range []struct {
		what  string
		value string
	}{
		{"seconds", fmt.Sprintf("%.1f", r.Seconds)}, {"peak memory, MB", thousands(r.PeakRSSMB)},
	} {
		fmt.Fprintf(t, "%s\t%s\t\n", l.what, l.value)
	}
	return t.Flush()
}
