package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// lengths is how many rows each column holds.
func lengths(t *rows) map[string]int {
	all := map[string]int{}
	for _, c := range t.cols {
		name, _ := c.title()
		v := reflect.ValueOf(c).Elem()
		if ends := v.FieldByName("ends"); ends.IsValid() {
			all[name] = ends.Len()
			if n := v.FieldByName("v").Len(); ends.Len() == 0 && n != 0 || ends.Len() > 0 && int(ends.Index(ends.Len()-1).Int()) != n {
				all[name+": elements without a row"] = n
			}
		} else {
			all[name] = v.FieldByName("v").Len()
		}
	}
	return all
}

// Whatever the bytes, a record adds whole rows or none, and its error is permanent.
func FuzzReaders(f *testing.F) {
	seeds := []stream.Message{
		order("uk", "1", 1, line{"A", 2, 150}), &event.StockLevel{Sku: "A", Warehouses: []*event.WarehouseLevel{{Warehouse: "w"}}, Listings: []*event.LinkedListing{{Account: "uk"}}},
		&event.Listing{Account: "uk", Id: "1", Identifiers: []*event.Identifier{{Value: "1"}}, Locations: []string{"x"}}, &event.RateDay{Source: "ecb", Date: "2010-11-30", Rates: []*event.Rate{{Currency: "USD"}}},
		&event.Valuation{Subject: "order/uk/1"}, &event.DeadLetter{Stage: "x"},
	}
	for _, m := range seeds {
		b, err := m.MarshalVTStrict()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, "uk/1", "0.7")
		f.Add(b, "A|main|order/uk/1", "x")
	}
	w := &Writer{key: []byte("k")}
	f.Fuzz(func(t *testing.T, b []byte, k, version string) {
		for _, topic := range Topics() {
			rd := w.newReader(family(topic.Name))
			r := &stream.Record{Topic: topic, Key: []byte(k), Value: b, Headers: []stream.Header{{Key: schemas.HeaderVersion, Value: []byte(version)}, {Key: schemas.HeaderDeadLetter, Value: b}}}
			if err := rd.add(r, coordinates{topic: topic.Name}); err != nil && connectors.Class(err) != "malformed" {
				t.Errorf("%s: class %s: %v", topic.Name, connectors.Class(err), err)
			}
			for _, table := range rd.tables() {
				for name, n := range lengths(table) {
					if n != table.n {
						t.Errorf("%s.%s holds %d rows of %d", table.table, name, n, table.n)
					}
				}
			}
			if _, err := rd.removed(k); err != nil && connectors.Class(err) != "malformed" {
				t.Errorf("%s: class %s: %v", topic.Name, connectors.Class(err), err)
			}
		}
	})
}

func TestKeysAreQuoted(t *testing.T) {
	for _, topic := range Topics() {
		rd := (&Writer{}).newReader(family(topic.Name))
		removals, err := rd.removed(`a\'/b' OR 1=1/2010-01-01`)
		if err != nil {
			continue
		}
		for _, r := range removals {
			inside := strings.NewReplacer(`\\`, "", `\'`, "").Replace(r.where)
			if strings.Count(inside, "'")%2 != 0 || strings.Contains(strings.Join(outside(inside), " "), "1=1") {
				t.Errorf("%s: %s", topic.Name, r.where)
			}
		}
	}
}

// outside is what of an expression stands outside of quotes.
func outside(s string) (parts []string) {
	for i, p := range strings.Split(s, "'") {
		if i%2 == 0 {
			parts = append(parts, p)
		}
	}
	return parts
}

// Partitions are written at the same time by one Writer.
func TestConcurrentPartitions(t *testing.T) {
	cfg := migrated(t)
	w, conn := writer(t, cfg, Deps{}), connect(t, cfg)
	const partitions, batches, each = 4, 3, 50
	var wg sync.WaitGroup
	for p := range int32(partitions) {
		l := &log{t: t, topic: schemas.Orders, partition: p}
		var all []*stream.Batch
		for n := range batches {
			var rs []*stream.Record
			for i := range each {
				id := fmt.Sprintf("%d-%d-%d", p, n, i)
				rs = append(rs, l.put("uk/"+id, order("uk", id, 1, line{"A", 1, 100})))
			}
			all = append(all, l.batch(rs...))
		}
		wg.Go(func() {
			for _, b := range all {
				if err := w.Write(t.Context(), b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got, want := one[string](t, conn, "SELECT concat(toString(count()), ' ', toString(uniqExact(order_id)), ' ', toString(sum(total_minor)))  FROM orders"), fmt.Sprintf("%[1]d %[1]d %[2]d", partitions*batches*each, partitions*batches*each*100); got != want {
		t.Errorf("rows, orders, sum: %s, want %s", got, want)
	}
}

// Batches beyond the turns wait, hold nothing meanwhile, and give up with their context.
func TestBatchesTakeTurns(t *testing.T) {
	cfg := migrated(t)
	arrived, goOn := make(chan struct{}), make(chan struct{})
	w := writer(t, cfg, Deps{Inserting: func(table string) {
		if table == "stock_levels" {
			arrived <- struct{}{}
			<-goOn
		}
	}})
	var wg sync.WaitGroup
	begin := func(partition int32) {
		l := &log{t: t, topic: schemas.StockLevels, partition: partition}
		b := l.batch(l.put("A", &event.StockLevel{Sku: "A", OnHand: 1, ChangedMs: 1_290_000_000_000, Version: &event.Version{Number: int64(partition) + 1}}))
		wg.Go(func() {
			if err := w.Write(t.Context(), b); err != nil {
				t.Error(err)
			}
		})
	}
	turns := cap(w.turn)
	for p := range turns {
		begin(int32(p))
		<-arrived
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	l := &log{t: t, topic: schemas.StockLevels, partition: 99}
	if err := w.Write(gone, l.batch(l.put("B", &event.StockLevel{Sku: "B"}))); !errors.Is(err, context.Canceled) {
		t.Errorf("a batch that waits for its turn: %v, want its context's end", err)
	}
	begin(int32(turns))
	goOn <- struct{}{} // one is done; the one that waited comes
	<-arrived
	close(goOn)
	wg.Wait()
}

func TestLargeReadersAreNotKept(t *testing.T) {
	w := &Writer{free: map[string][]reader{}}
	r := newClaimsReader()
	r.n = maxFreeRows + 1
	w.giveBack("claims", r)
	if n := len(w.free["claims"]); n != 0 {
		t.Errorf("%d readers kept, want none", n)
	}
	for range maxFree + 1 {
		w.giveBack("claims", newClaimsReader())
	}
	if n := len(w.free["claims"]); n != maxFree {
		t.Errorf("%d readers kept, want %d", n, maxFree)
	}
}
