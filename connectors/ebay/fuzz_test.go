package ebay

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
)

func itoa(v int64) string { return strconv.FormatInt(v, 10) }

// FuzzTranslate: no bytes make it panic, and what it refuses it calls malformed.
func FuzzTranslate(f *testing.F) {
	for _, r := range records(f) {
		f.Add(r.Record.Format, string(r.Record.Body))
	}
	f.Add(formatConfirmed, `{"metadata":{"topic":"X"},"notification":{"notificationId":"n","data":{"a":[{"orderId":"1"}]}}}`)
	f.Fuzz(func(t *testing.T, format, body string) {
		rec := &connectors.Record{Account: "a", Format: format, Body: []byte(body), SourceTime: time.Unix(1, 0)}
		facts, err := (&translator{}).Translate(rec)
		if err != nil && !errors.Is(err, connectors.ErrMalformed) && !errors.Is(err, connectors.ErrUnsupported) {
			t.Errorf("got %v", err)
		}
		for _, o := range facts.Orders {
			sum := o.TotalShipping.GetMinor() + o.TotalTax.GetMinor() - o.TotalDiscounts.GetMinor()
			for _, l := range o.Lines {
				sum += l.Total.GetMinor()
				if l.Quantity < 1 || l.Fulfilled < 0 || l.Fulfilled > l.Quantity {
					t.Errorf("a line of %d units, %d shipped", l.Quantity, l.Fulfilled)
				}
			}
			if sum != o.Total.GetMinor() {
				t.Errorf("the parts are %d, the total %d", sum, o.Total.GetMinor())
			}
		}
	})
}

// FuzzSignature: no header is taken apart into something that has another spelling.
func FuzzSignature(f *testing.F) {
	f.Add("eyJhbGciOiJlY2RzYSIsImtpZCI6Ijk5MzYyNjFhLTdkN2ItNDYyMS1hMGYxLTk2Y2NiNDI4YWY0OSIsInNpZ25hdHVyZSI6IngiLCJkaWdlc3QiOiJTSEExIn0=")
	f.Fuzz(func(t *testing.T, header string) {
		s, ok := readSignature(header)
		if !ok {
			return
		}
		if text, exact := exactBase64(header); !exact || s.alg != "ecdsa" || !keyID.MatchString(s.kid) {
			t.Errorf("%q was taken: %+v", text, s)
		}
	})
}

// FuzzList: no answer makes the pollers panic.
func FuzzList(f *testing.F) {
	f.Add(`{"total":1,"next":"x","orders":[{"orderId":"a","lastModifiedDate":"2026-11-01T00:00:00.000Z","cancelStatus":{"cancelState":"CANCELED","cancelRequests":[{}]},"fulfillmentHrefs":["x"],"lineItems":[{"lineItemFulfillmentStatus":"IN_PROGRESS"}]}]}`)
	f.Add(`{"fulfillments":[{"lineItems":[]}]}`)
	f.Fuzz(func(_ *testing.T, body string) {
		nodes, _, _, _ := readList([]byte(body), "orders", orderHead)
		for _, n := range nodes {
			orderFlags(n.text)
			itemHead(n.text)
		}
		shipmentsOf([]byte(body))
		orderFlags(body)
		readNotification(jsonread.NewString(body))
	})
}
