package e2e

import (
	"compress/gzip"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/helloword/crossdock/cmd/crossdock/dev"
	"github.com/helloword/crossdock/cmd/crossdock/retail"
	"github.com/helloword/crossdock/cmd/crossdock/shops"
	"github.com/helloword/crossdock/internal/testkit"
)

// kept are invoices that a part of the year has in any case: the largest line, 80,995 units, with
// the credit note that takes it back a quarter of an hour later; more money given back than was
// paid, in Singapore and in Portugal; orders to which a line was added, in France and in Ireland.
var kept = []string{"581483", "C581484", "548813", "C548830", "C548834", "571324", "C571325", "C571327"}

// share of the year that is played, and how often something goes wrong on the way.
type share struct {
	until    string   // what was sold abroad before
	endings  []string // invoices at home, by how their numbers end
	wrong    float64
	orders   int64 // there are at least
	returned int64 // lines, at least
}

// shares: six weeks abroad and one invoice in fifty at home; with -short five days and one in five
// hundred. So few are enough for the rooms, the shops and their pollers to work side by side.
func shares() share {
	if testing.Short() {
		return share{"2010-12-06", []string{"000", "500"}, 0.2, 60, 3}
	}
	return share{"2011-01-12", []string{"00", "50"}, 0.05, 300, 40}
}

// part of the real year: a share of it, and what is kept.
func part(t *testing.T, of share) (orders string, rates string) {
	t.Helper()
	source, err := os.Open(testkit.Shared(t, "data", "online-retail.csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	z, err := gzip.NewReader(source)
	if err != nil {
		t.Fatal(err)
	}
	orders = filepath.Join(t.TempDir(), "part.csv")
	out, err := os.Create(orders)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	in, to := csv.NewReader(z), csv.NewWriter(out)
	for n := 0; ; n++ {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		invoice, at, country := row[0], row[4], row[7]
		abroad := country != "United Kingdom" && at < of.until
		sampled := slices.ContainsFunc(of.endings, func(end string) bool { return strings.HasSuffix(invoice, end) })
		if n == 0 || abroad || sampled || slices.Contains(kept, invoice) {
			if err := to.Write(row); err != nil {
				t.Fatal(err)
			}
		}
	}
	to.Flush()
	if err := to.Error(); err != nil {
		t.Fatal(err)
	}
	return orders, testkit.Shared(t, "data", "ecb-eurofxref-hist-2026-04-13.zip")
}

// TestYearOverFiveChannels: a part of the real year, spread over five platforms with what goes
// wrong on their ways, comes to the file's own arithmetic in every figure, and each channel to its
// own countries'.
func TestYearOverFiveChannels(t *testing.T) {
	of := shares()
	orders, rates := part(t, of)
	file, err := retail.Read(orders)
	if err != nil {
		t.Fatal(err)
	}
	w := file.Figures()
	var largest int64
	gross := map[string]int64{}
	for _, e := range file.Events {
		for _, l := range e.Lines {
			if e.Kind == retail.Sale || e.Kind == retail.Edit {
				largest = max(largest, l.Quantity)
				gross[channelOf(e.Country)] += l.Minor
			}
		}
	}
	if largest < 80_000 || w.ReturnLines-w.UnmatchedReturnLines < of.returned || w.Orders < of.orders {
		t.Fatalf("the part is none: %d orders, %d lines returned, %d of them of nobody's order, at most %d units in a line", w.Orders, w.ReturnLines, w.UnmatchedReturnLines, largest)
	}
	s := engines(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	got, err := dev.Year(ctx, dev.Options{
		Dir: t.TempDir(), Orders: orders, Rates: rates, Channels: five, Exit: true, Version: "test", Progress: io.Discard,
		Log:    slog.New(slog.NewTextHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelInfo})),
		Faults: shops.Faults{Duplicate: of.wrong, Reorder: of.wrong, ReorderBy: 50 * time.Millisecond, Drop: of.wrong},
		Kafka:  s.kafka, Redis: s.redis, ClickHouse: s.clickhouse,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Err(); err != nil {
		t.Error(err)
	}
	want := &dev.Report{
		Lines: w.Lines, LinesAccounted: w.Lines, Orders: w.Orders, OrderLines: w.OrderLines, Units: w.Units, GrossMinor: w.GrossMinor,
		ReturnInvoices: w.ReturnInvoices, ReturnLines: w.ReturnLines, ReturnMinor: w.ReturnMinor, UnmatchedReturns: w.UnmatchedReturnLines,
		WriteOffLines: w.WriteOffLines, WriteOffUnits: w.WriteOffUnits, ReceiptLines: w.ReceiptLines, ReceiptUnits: w.ReceiptUnits,
		RefusedLines: w.RefusedLines, SKUs: int64(len(w.Levels)),
	}
	ignore := cmpopts.IgnoreFields(dev.Report{}, "GrossReportingMinor", "WebhooksSent", "WebhooksDuplicated", "WebhooksDropped", "FoundByPoll", "PushesAccepted", "Seconds", "PeakRSSMB", "ByChannel")
	if diff := cmp.Diff(want, got, ignore, cmpopts.IgnoreUnexported(dev.Report{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.WebhooksDropped == 0 || got.WebhooksDuplicated == 0 {
		t.Errorf("nothing went wrong on the way: %d dropped, %d duplicated", got.WebhooksDropped, got.WebhooksDuplicated)
	}
	for _, name := range five {
		c := got.ByChannel[name]
		if c == nil || c.Orders == 0 || c.PushesAccepted == 0 || c.GrossMinor != gross[name] {
			t.Errorf("%s: %+v, gross %d wanted", name, c, gross[name])
		}
	}
	// Magento, Amazon's queue and eBay are asked; what webhooks were dropped of is found so, too.
	for _, name := range []string{"magento", "amazon", "ebay"} {
		if c := got.ByChannel[name]; c.FoundByPoll != c.Orders {
			t.Errorf("%s: %d of %d orders were found by poll", name, c.FoundByPoll, c.Orders)
		}
	}
}

// channelOf is where a country of the part buys.
func channelOf(country string) string {
	switch country {
	case "United Kingdom", "Channel Islands", "Unspecified":
		return "shopify"
	case "Germany", "Austria", "Switzerland":
		return "woocommerce"
	case "France", "Belgium", "Netherlands":
		return "magento"
	case "EIRE", "Spain", "Portugal", "Italy", "Greece", "Cyprus", "Malta":
		return "amazon"
	}
	return "ebay"
}
