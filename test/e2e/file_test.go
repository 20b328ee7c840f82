package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// file collects lines as the retail file has them.
type file struct {
	bytes.Buffer
	lines int64
}

func (f *file) line(invoice, code string, quantity int, at, price, customer, country string) {
	f.lines++
	fmt.Fprintf(f, "%s,%s,Goods %s,%d,%s,%s,%s,%s\n", invoice, code, code, quantity, at, price, customer, country)
}

// writeFiles writes the orders and a rate history with one rate for all working days.
func writeFiles(t *testing.T) (orders, rates string, lines int64) {
	t.Helper()
	var f file
	f.WriteString("InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n")
	// 40 orders of 2 × 1.25 each, on all four shops. Customer 100 has the first twenty.
	countries := []string{"United Kingdom", "EIRE", "Germany", "USA"}
	for i := range 40 {
		customer := "100.0"
		if i >= 20 {
			customer = fmt.Sprintf("%d.0", 200+i)
		}
		f.line(fmt.Sprint(536000+i), fmt.Sprintf("SKU%d", i%5), 2, fmt.Sprintf("2010-12-01 08:%02d:00", i), "1.25", customer, countries[i%4])
	}
	// Halves go to the even penny: 12.5 to 12, 37.5 to 38.
	f.line("537000", "SKU0", 1, "2010-12-01 09:00:00", "0.125", "300.0", "France")
	f.line("537000", "SKU0", 3, "2010-12-01 09:00:00", "0.125", "300.0", "France")
	// Created at ten, edited three minutes later; postage is no goods.
	f.line("537001", "SKU1", 5, "2010-12-01 10:00:00", "2.00", "301.0", "United Kingdom")
	f.line("537001", "POST", 1, "2010-12-01 10:00:00", "18.00", "301.0", "United Kingdom")
	f.line("537001", "SKU2", 1, "2010-12-01 10:03:00", "3.00", "301.0", "United Kingdom")
	// Seven of the eight SKU0 that customer 100 has, out of four orders; one line out of one
	// order; and two that no order explains.
	f.line("C538000", "SKU0", -7, "2010-12-02 08:00:00", "1.25", "100.0", "United Kingdom")
	f.line("C538001", "SKU1", -2, "2010-12-02 08:01:00", "1.25", "100.0", "United Kingdom")
	f.line("C538002", "SKU1", -1, "2010-12-02 08:02:00", "1.25", "999.0", "United Kingdom")
	f.line("C538003", "D", -1, "2010-12-02 08:03:00", "27.50", "100.0", "United Kingdom")
	// Written off: three that are there, and far more than there are.
	f.line("539000", "SKU3", -3, "2010-12-03 08:00:00", "0.00", "", "United Kingdom")
	f.line("539001", "SKU4", -500, "2010-12-03 08:01:00", "0.00", "", "United Kingdom")
	// Received, one of it never sold.
	f.line("539002", "SKU2", 10, "2010-12-03 08:02:00", "0.00", "", "United Kingdom")
	f.line("539002", "SKUNEW", 4, "2010-12-03 08:02:00", "0.00", "", "United Kingdom")
	// No orders.
	f.line("A563185", "B", 1, "2010-12-03 09:00:00", "11062.06", "", "United Kingdom")
	f.line("A563186", "B", 1, "2010-12-03 09:01:00", "-11062.06", "", "United Kingdom")
	f.line("A563187", "B", 1, "2010-12-03 09:02:00", "-11062.06", "", "United Kingdom")

	var r bytes.Buffer
	r.WriteString("Date,USD,GBP,\n")
	for day := time.Date(2010, 12, 6, 0, 0, 0, 0, time.UTC); day.Month() >= 11; day = day.AddDate(0, 0, -1) {
		if wd := day.Weekday(); wd != time.Saturday && wd != time.Sunday {
			fmt.Fprintf(&r, "%s,1.3,0.85,\n", day.Format(time.DateOnly))
		}
	}
	dir := t.TempDir()
	orders, rates = filepath.Join(dir, "orders.csv"), filepath.Join(dir, "rates.csv")
	for path, b := range map[string][]byte{orders: f.Bytes(), rates: r.Bytes()} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return orders, rates, f.lines
}
