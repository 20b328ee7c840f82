package stream

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// TestRebuild: Redis is wiped in the middle, while some of what is in the tables' topic is not
// committed: keys changed and keys new above the cut among it.
func TestRebuild(t *testing.T) {
	e := newEngines(t, 2)
	e.deps.Group.MaxPoll = 20
	want := make(map[string]int64)
	feed := func(n, keys int) {
		var rs []kafka.Record
		for i := range n {
			k := "k" + strconv.Itoa(i%keys)
			want[k]++
			rs = append(rs, number(k, 1))
		}
		e.produce(t, rs...)
	}
	r := e.run(t, newSumRoom())
	feed(100, 10)
	e.drained(t, "orders")
	// From here on nothing is committed any more: the next is as good as a crash.
	f := e.broker.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Group: e.deps.Scope.Group("orders"), Err: kerr.RebalanceInProgress, Count: -1})
	feed(60, 15)
	eventually(t, "the uncommitted records to be emitted", func() bool {
		return figure(e.deps.Metrics.Records.WithLabelValues("orders")) == 160 && f.Hits() > 1
	})
	r.stop(t)
	f.Remove()
	e.mini.FlushAll()
	refuses(t, e.run(t, newSumRoom()).wait(t), "crossdock rebuild --room orders")

	res, err := Rebuild(t.Context(), newSumRoom(), e.deps, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.Entries != 10 || res.Partitions != 2 || res.Room != "orders" {
		t.Errorf("rebuilt %+v, want 10 entries of 2 partitions", res)
	}
	feed(30, 20)
	r = e.run(t, newSumRoom())
	e.drained(t, "orders")
	r.stop(t)
	e.sumsAre(t, want)
}

// written is a table record as the loop writes it.
func written(key string, version, previous, since int64) kafka.Record {
	b, err := (&event.Claim{OnHand: version, CauseVersion: &event.Version{Number: version}}).MarshalVTStrict()
	if err != nil {
		panic(err)
	}
	return kafka.Record{Topic: sums, Key: []byte(key), Value: b, Headers: []kafka.Header{
		{Key: schemas.HeaderVersion, Value: []byte(Version{Number: version}.String())},
		{Key: schemas.HeaderLineage, Value: (&lineage{previous: Version{Number: previous}, since: since}).append(nil, 0)},
	}}
}

func tombstone(key string, version, previous int64) kafka.Record {
	r := written(key, version, previous, version)
	r.Value = nil
	return r
}

// TestRebuildCut: what a table's topic can hold when Redis is gone, with offset 5 committed.
func TestRebuildCut(t *testing.T) {
	for _, tc := range []struct {
		name    string
		topic   []kafka.Record
		want    map[string]int64 // version of each entry
		mark    int64            // watermark
		refuses string
	}{
		{"the highest below the cut", []kafka.Record{written("a", 1, -1, 1), written("a", 3, 1, 3), written("b", 4, -1, 4)}, map[string]int64{"a": 3, "b": 4}, 4, ""},
		{"an old version after a newer one", []kafka.Record{written("a", 3, 1, 3), written("a", 1, -1, 1)}, map[string]int64{"a": 3}, 4, ""},
		{"a key that is new above the cut", []kafka.Record{written("a", 3, -1, 3), written("b", 7, -1, 7)}, map[string]int64{"a": 3}, 4, ""},
		{"changed above the cut", []kafka.Record{written("a", 3, -1, 3), written("a", 7, 3, 7), written("a", 9, 7, 9)}, map[string]int64{"a": 3}, 4, ""},
		{"deleted", []kafka.Record{written("a", 1, -1, 1), tombstone("a", 3, 1)}, map[string]int64{}, 4, ""},
		{"deleted and new above the cut", []kafka.Record{tombstone("a", 3, 1), written("a", 8, -1, 8)}, map[string]int64{}, 4, ""},
		{"one version spans the cut", []kafka.Record{written("a", 1, -1, 1), written("a", 7, 1, 3), written("b", 4, -1, 4)}, map[string]int64{"a": 1}, 2, ""},
		{"one span leads to another", []kafka.Record{written("a", 7, -1, 4), written("b", 4, -1, 2), written("c", 1, -1, 1)}, map[string]int64{"c": 1}, 1, ""},
		{"compaction removed what is needed", []kafka.Record{written("a", 7, 3, 7)}, nil, 4, "version 0.3 is needed and was compacted away"},
		{"compaction removed the one between", []kafka.Record{written("a", 1, -1, 1), written("a", 7, 3, 7)}, nil, 4, "rebuild --room orders --from-input"},
		{"a record without lineage", []kafka.Record{{Topic: sums, Key: []byte("a")}}, nil, 4, "header version"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := newEngines(t, 1)
			var in []kafka.Record
			for range 10 {
				in = append(in, number("x", 1))
			}
			e.produce(t, in...)
			e.produce(t, tc.topic...)
			c := e.admin(t)
			if _, err := c.ResetGroup(t.Context(), "orders", []schemas.Topic{sumsIn}, func(_, _, _ int64) int64 { return 5 }, time.Time{}); err != nil {
				t.Fatal(err)
			}
			room := newSumRoom()
			st := newRedisStore(e.deps.Redis, e.deps.Scope, "orders", []*Table{room.table})
			p := partition{sumsIn.Name, 0}
			if err := st.setWatermark(t.Context(), p, 4); err != nil {
				t.Fatal(err)
			}
			_, err := Rebuild(t.Context(), room, e.deps, false, nil)
			if (err != nil) != (tc.refuses != "") || err != nil && !strings.Contains(err.Error(), tc.refuses) {
				t.Fatalf("rebuild: %v, want a refusal that says %q", err, tc.refuses)
			}
			got := make(map[string]int64)
			wm, stored, err := st.load(t.Context(), p, []Key{{room.table, "a"}, {room.table, "b"}, {room.table, "c"}})
			if err != nil {
				t.Fatal(err)
			}
			if wm != tc.mark {
				t.Errorf("watermark %d, want %d", wm, tc.mark)
			}
			for i, b := range stored {
				if b == nil {
					continue
				}
				en, err := decodeEntry(room.table, b)
				if err != nil {
					t.Fatal(err)
				}
				got[string("abc"[i])] = en.version.Number
			}
			if fmt.Sprint(got) != fmt.Sprint(tc.want) && tc.refuses == "" {
				t.Errorf("entries %v, want %v", got, tc.want)
			}
		})
	}
}

// TestRebuildFromInput forgets everything, and the loop folds the whole input again.
func TestRebuildFromInput(t *testing.T) {
	e := newEngines(t, 1)
	r := e.run(t, newSumRoom())
	e.produce(t, number("a", 1), number("b", 2), number("a", 3))
	e.drained(t, "orders")
	r.stop(t)
	e.mini.FlushAll()
	e.produce(t, kafka.Record{Topic: sums, Key: []byte("junk")}) // tables that cannot be read do not matter
	if _, err := Rebuild(t.Context(), newSumRoom(), e.deps, true, nil); err != nil {
		t.Fatal(err)
	}
	r = e.run(t, newSumRoom())
	e.drained(t, "orders")
	r.stop(t)
	e.sumsAre(t, map[string]int64{"a": 4, "b": 2})
}

func TestRebuildRefusesLiveMembers(t *testing.T) {
	for _, next := range []bool{false, true} {
		e := newEngines(t, 1)
		e.deps.Group.NewProtocol = next
		r := e.run(t, newSumRoom())
		e.produce(t, number("a", 1))
		e.drained(t, "orders")
		if _, err := Rebuild(t.Context(), newSumRoom(), e.deps, false, nil); err == nil || !strings.Contains(err.Error(), "stop them first") {
			t.Errorf("kip848=%v: rebuilding under a live member: %v", next, err)
		}
		r.stop(t)
		e.sumsAre(t, map[string]int64{"a": 1})
	}
}
