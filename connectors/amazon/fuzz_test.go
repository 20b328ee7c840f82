package amazon

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/helloword/crossdock/connectors"
)

// FuzzTranslate: whatever the bytes, there is a fact, or one of the two errors that send a
// record to the dead letters; and an order that is taken adds up.
func FuzzTranslate(f *testing.F) {
	formats := []string{formatOrder, formatListing, formatLevel, formatReport, formatSummary, formatNotification}
	paths, err := filepath.Glob("testdata/records/*")
	if err != nil || len(paths) == 0 {
		f.Fatal("no records", err)
	}
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for i := range formats {
			f.Add(i, body)
		}
	}
	f.Fuzz(func(t *testing.T, format int, body []byte) {
		facts, err := translated(formats[uint(format)%uint(len(formats))], string(body))
		if err != nil {
			if !errors.Is(err, connectors.ErrMalformed) && !errors.Is(err, connectors.ErrUnsupported) {
				t.Fatalf("%v", err)
			}
			return
		}
		for _, o := range facts.Orders {
			if o.Total == nil {
				continue
			}
			if err := addsUp(o); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzParsers: nothing that comes from outside makes a parser panic.
func FuzzParsers(f *testing.F) {
	f.Add([]byte(`{"NotificationType":"ORDER_CHANGE","Payload":{"OrderChangeNotification":{"AmazonOrderId":"1"}}}`))
	f.Add([]byte(`{"items":[{"sku":"a","summaries":[{"lastUpdatedDate":"2026-01-01T00:00:00Z"}]}],"pagination":{"nextToken":"x"}}`))
	f.Add([]byte(`{"payload":{"inventorySummaries":[{"sellerSku":"a"}]},"pagination":{}}`))
	f.Add([]byte("\ufeffseller-sku\tquantity\r\nA\t1\r\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := readNotification(body)
		if raw := n.raw(message{body: body}); raw.Object == "" || raw.Subject == "" || raw.Format == "" {
			t.Errorf("a record without object, subject or format: %+v, %v", raw, err)
		}
		if raw := orderRaw(string(body)); raw.Object == "" {
			t.Error("an order without an object")
		}
		if items, _, err := readListings(body); err == nil {
			for _, node := range items {
				if sku, _ := listingHead(node); sku == "" {
					t.Error("a listing without an object")
				}
			}
		}
		if nodes, _, err := readSummaries(body); err == nil {
			for _, node := range nodes {
				if raw := summaryRaw("A1F83G8C2ARO7P", node); raw.Object == "" {
					t.Error("a summary without an object")
				}
			}
		}
		_ = walk(bytes.NewReader(body), "", func(r connectors.Raw) error {
			if r.Object == "" {
				t.Error("a row without an object")
			}
			return nil
		})
	})
}
