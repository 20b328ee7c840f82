package shopify

import (
	"bytes"
	"strings"
	"testing"

	"github.com/helloword/crossdock/connectors"
)

// encoded is all that facts say.
func encoded(t testing.TB, f connectors.Facts) []byte {
	t.Helper()
	var all []byte
	add := func(b []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(append(all, '|'), b...)
	}
	for _, o := range f.Orders {
		add(o.MarshalVTStrict())
	}
	for _, r := range f.Refunds {
		add(r.MarshalVTStrict())
	}
	for _, p := range f.Products {
		add(p.MarshalVTStrict())
	}
	for _, d := range f.Deleted {
		add(d.MarshalVTStrict())
	}
	for _, o := range f.Observations {
		add(o.MarshalVTStrict())
	}
	return all
}

// everyRecord is one of everything that can come: recorded, polled, and as the shops of today
// write it.
func everyRecord(t testing.TB) (all []connectors.Record) {
	t.Helper()
	for _, r := range polled(t) {
		all = append(all, r.Record)
	}
	for _, d := range recorded(t) {
		for _, topic := range topics() {
			if topic.name == d.Delivery.Header.Get("X-Shopify-Topic") {
				all = append(all, connectors.Record{Format: topic.format, Body: d.Delivery.Body})
			}
		}
	}
	for n := range 20 {
		all = append(all, connectors.Record{Format: formatOrder, Body: orderBody(n)})
	}
	return append(all, connectors.Record{Format: formatOrder, Body: []byte(smallOrder)})
}

// The bytes of a record belong to the caller again when Translate returns, and what one
// translation handed out is not touched by the next.
func TestFactsKeepNothingOfTheRecord(t *testing.T) {
	tr := &translator{currency: "GBP", location: "1"}
	type fact struct {
		facts connectors.Facts
		said  []byte
	}
	var facts []fact
	for round := range 3 {
		for _, d := range everyRecord(t) {
			d.Account, d.Body = "shop-uk", bytes.Clone(d.Body)
			f, err := tr.Translate(&d)
			if err != nil {
				t.Fatalf("round %d, %s: %v", round, d.Format, err)
			}
			said := encoded(t, f)
			for i := range d.Body {
				d.Body[i] = 'X'
			}
			facts = append(facts, fact{f, said})
		}
	}
	for i, f := range facts {
		if now := encoded(t, f.facts); !bytes.Equal(now, f.said) {
			t.Errorf("document %d: the facts have changed:\n%q\n%q", i, f.said, now)
		}
	}
}

func TestKeep(t *testing.T) {
	var m store
	var want, got []string
	for n := range 3000 {
		s := strings.Repeat(string(rune('a'+n%26)), n%700)
		if n%500 == 0 {
			s = strings.Repeat("long", textPiece)
		}
		b := []byte(s)
		want, got = append(want, s), append(got, m.keep(view(b)))
		clear(b)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("text %d: kept %.20q of %d, want %.20q of %d", i, got[i], len(got[i]), want[i], len(want[i]))
		}
	}
}

func TestSlab(t *testing.T) {
	var s slab[lineBlock]
	seen := map[*lineBlock]bool{}
	for range 1000 {
		b := s.take()
		if seen[b] || b.line.Id != "" || b.total.Minor != 0 {
			t.Fatal("handed out twice, or used before")
		}
		seen[b] = true
		b.line.Id, b.total.Minor = "1", 1
	}
	var large slab[[slabPiece + 1]byte]
	if large.take() == large.take() {
		t.Error("one of what is larger than a piece was handed out twice")
	}
}
