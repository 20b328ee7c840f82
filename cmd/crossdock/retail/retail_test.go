package retail

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/internal/testkit"
)

const head = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"

func TestRules(t *testing.T) {
	y, err := parse(strings.NewReader(head + `536365,85123A,HEART,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom
536365,POST,POSTAGE,1,2010-12-01 08:26:00,18.0,17850.0,United Kingdom
536365,85123A,HEART,2,2010-12-01 08:28:00,2.55,17850.0,United Kingdom
536366,85123A,HEART,4,2010-12-02 08:00:00,0.125,17850.0,United Kingdom
C536379,85123A,HEART,-9,2010-12-03 08:00:00,2.55,17850.0,United Kingdom
C536380,85123A,HEART,-9,2010-12-03 09:00:00,2.55,17850.0,United Kingdom
C536381,85123A,HEART,-1,2010-12-03 09:00:00,2.55,,United Kingdom
536367,85123A,damaged,-3,2010-12-04 08:00:00,0.0,,United Kingdom
536368,85123A,found,5,2010-12-04 09:00:00,0.0,,United Kingdom
A563185,B,Adjust bad debt,1,2011-08-12 14:50:00,11062.06,,United Kingdom
`))
	if err != nil {
		t.Fatal(err)
	}
	got := y.Figures()
	want := Figures{
		Lines: 10, Orders: 2, OrderLines: 4, Units: 13,
		// 15.30 + 18.00 + 5.10 + 0.50
		GrossMinor:     3890,
		ReturnInvoices: 3, ReturnLines: 3, ReturnMinor: 2295*2 + 255, UnmatchedReturnLines: 2,
		WriteOffLines: 1, WriteOffUnits: 3, ReceiptLines: 1, ReceiptUnits: 5, RefusedLines: 1,
		// start 12, sold 12, returned 9 (8 of the first order, 1... spread over both), −3 +5
		Levels: map[string]int64{"85123A": 12 - 12 + 9 - 3 + 5},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var kinds []Kind
	for _, e := range y.Events {
		kinds = append(kinds, e.Kind)
	}
	if diff := cmp.Diff([]Kind{Sale, Edit, Sale, Return, Return, Return, WriteOff, Receipt, Refused}, kinds); diff != "" {
		t.Error(diff)
	}
}

// TestEqualIsKeptOnce: lines share what they have in common, and nothing else.
func TestEqualIsKeptOnce(t *testing.T) {
	y, err := parse(strings.NewReader(head + `536365,85123A,HEART,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom
536366,85123A,HEART,1,2010-12-01 08:26:00,2.55,17851.0,United Kingdom
536367,85123A,HEART,1,2010-12-01 08:27:00,2.550,17851.0,United Kingdom
`))
	if err != nil {
		t.Fatal(err)
	}
	a, b, c := y.Events[0].Lines[0], y.Events[1].Lines[0], y.Events[2].Lines[0]
	if a.Price != b.Price || unsafe.StringData(a.Title) != unsafe.StringData(b.Title) || unsafe.StringData(a.PriceText) != unsafe.StringData(b.PriceText) {
		t.Error("equal prices and texts are kept twice")
	}
	if a.Quantity != 6 || b.Quantity != 1 || c.PriceText != "2.550" || !c.At.Equal(a.At.Add(time.Minute)) {
		t.Errorf("lines %+v, %+v, %+v", a, b, c)
	}
}

// TestReturnParts: the newest order with enough is taken whole; else several, newest first,
// and the parts' amounts add up to the penny.
func TestReturnParts(t *testing.T) {
	sell := func(b *Book, invoice string, qty ...int64) {
		e := &Event{Invoice: invoice, Customer: "c"}
		for _, q := range qty {
			e.Lines = append(e.Lines, &Line{SKU: "s", Quantity: q})
		}
		b.Sell(e)
	}
	b := NewBook()
	sell(b, "1", 5)
	sell(b, "2", 2, 2)
	sell(b, "3", 1)
	if diff := cmp.Diff([]Part{{"1", 0, 5, 1000}}, b.Return("c", &Line{SKU: "s", Quantity: -5, Minor: -1000})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Part{{"2", 0, 2, 666}, {"2", 1, 1, 334}}, b.Return("c", &Line{SKU: "s", Quantity: -3, Minor: -1000})); diff != "" {
		t.Error(diff)
	}
	// One is left of each of two orders: together they are enough.
	if diff := cmp.Diff([]Part{{"3", 0, 1, 333}, {"2", 1, 1, 334}}, b.Return("c", &Line{SKU: "s", Quantity: -2, Minor: -667})); diff != "" {
		t.Error(diff)
	}
	sell(b, "4", 2)
	if got := b.Return("c", &Line{SKU: "s", Quantity: -3, Minor: -1}); got != nil {
		t.Errorf("3 of 2 left: %v, want none", got)
	}
	if got := b.Return("", &Line{SKU: "s", Quantity: -1, Minor: -1}); got != nil {
		t.Errorf("nobody's return: %v, want none", got)
	}
}

func TestDamagedFile(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"cut":      {head + "536365,85123A,HEA", "damaged or cut off"},
		"header":   {"a,b,c,d,e,f,g,h\n", `column 1 is "a"`},
		"quantity": {head + "1,S,T,six,2010-12-01 08:26:00,2.55,1,UK\n", `line 2: quantity "six"`},
		"price":    {head + "1,S,T,6,2010-12-01 08:26:00,2;55,1,UK\n", `line 2: unit price`},
		"date":     {head + "1,S,T,6,yesterday,2.55,1,UK\n", "line 2: invoice date"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(strings.NewReader(c.body))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	path := filepath.Join(t.TempDir(), "orders.csv.gz")
	if err := os.WriteFile(path, []byte("no gzip"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want one that names the file", err)
	}
}

// TestWholeYear: every line of the real file is accounted for.
func TestWholeYear(t *testing.T) {
	y, err := Read(testkit.Shared(t, "data", "online-retail.csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	f := y.Figures()
	if f.Lines != 541_909 {
		t.Errorf("%d lines, want 541909", f.Lines)
	}
	if sum := f.OrderLines + f.ReturnLines + f.WriteOffLines + f.ReceiptLines + f.RefusedLines; sum != f.Lines {
		t.Errorf("%d lines accounted for, want %d", sum, f.Lines)
	}
	t.Logf("%+v", func() Figures { g := f; g.Levels = nil; return g }())
}
