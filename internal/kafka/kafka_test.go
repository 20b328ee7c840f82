package kafka

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/helloword/crossdock/internal/testkit"
	"github.com/helloword/crossdock/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// place is one cluster to test on, with names of its own.
type place struct {
	cfg   Config
	scope schemas.Scope
	fake  *kfake.Cluster // nil: the real one
}

func (p *place) open(t *testing.T, opts ...kgo.Opt) *Client {
	t.Helper()
	c, err := Open(p.cfg, p.scope, slog.New(slog.DiscardHandler), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func fake(t *testing.T, opts ...kfake.Opt) *place {
	t.Helper()
	b, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return &place{Config{Brokers: b.ListenAddrs()}, schemas.Scope{Tenant: "acme", Environment: schemas.Test}, b}
}

// everywhere runs a test on the fake broker and on the real one.
func everywhere(t *testing.T, f func(t *testing.T, p *place)) {
	t.Run("fake", func(t *testing.T) { f(t, fake(t)) })
	t.Run("real", func(t *testing.T) {
		var b [4]byte
		_, _ = rand.Read(b[:])
		f(t, &place{cfg: Config{Brokers: []string{testkit.Kafka(t)}}, scope: schemas.Scope{Tenant: "k" + hex.EncodeToString(b[:]), Environment: schemas.Test}})
	})
}

var (
	loose   = schemas.Topic{Name: "plain.v1", Width: schemas.Wide, Cleanup: schemas.Delete, Retention: time.Hour}
	pinned  = schemas.Topic{Name: "pinned.v1", Width: schemas.Wide, Stateful: true, Cleanup: schemas.Delete, Retention: time.Hour}
	compact = schemas.Topic{Name: "compact.v1", Width: schemas.Narrow, Cleanup: schemas.Compact, MinCompactionLag: time.Hour}
	total   = schemas.Topic{Name: "total.v1", Width: schemas.Single, Cleanup: schemas.Delete, Retention: time.Hour}
	all     = []schemas.Topic{loose, pinned, compact, total}
	small   = Layout{Wide: 3, Narrow: 2, Replicas: 1, MinInSync: 1}
)

func apply(t *testing.T, c *Client, l Layout, topics ...schemas.Topic) []Change {
	t.Helper()
	done, err := c.ApplyTopics(t.Context(), topics, l)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func actions(changes []Change) []string {
	var got []string
	for _, c := range changes {
		got = append(got, c.Action)
	}
	return got
}

// TestPartitionIsKafkasOwn: the client's partitioner for Kafka's own hash agrees for every key.
func TestPartitionIsKafkasOwn(t *testing.T) {
	own := kgo.StickyKeyPartitioner(nil).ForTopic("t")
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "key")
		n := rapid.IntRange(1, 200).Draw(t, "n")
		if got, want := Partition(key, int32(n)), int32(own.Partition(&kgo.Record{Key: key}, n)); got != want {
			t.Fatalf("Partition(%x, %d) = %d, want %d", key, n, got, want)
		}
	})
}

func TestTopicsAreAppliedOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		c := p.open(t)
		plan, err := c.PlanTopics(t.Context(), all, small)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"create", "create", "create", "create"}, actions(plan)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(plan, apply(t, c, small, all...)); diff != "" {
			t.Error(diff)
		}
		if plan, err = c.PlanTopics(t.Context(), all, small); err != nil || len(plan) != 0 {
			t.Errorf("after applying there is still a plan: %v, %v", plan, err)
		}
		for topic, want := range map[*schemas.Topic]int32{&loose: 3, &compact: 2, &total: 1} {
			if _, n, err := c.TopicID(t.Context(), *topic); err != nil || n != want {
				t.Errorf("%s has %d partitions (%v), want %d", topic.Name, n, err, want)
			}
		}
	})
}

func TestTopicsAreSetAndWidened(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		c := p.open(t)
		apply(t, c, small, all...)
		changed := loose
		changed.Retention = 2 * time.Hour
		wider := Layout{Wide: 3, Narrow: 5, Replicas: 1, MinInSync: 1}
		done := apply(t, c, wider, changed, pinned, compact, total)
		want := []Change{
			{p.scope.Topic(loose), "set", "retention.ms=7200000"},
			{p.scope.Topic(compact), "widen", "2 to 5 partitions"},
		}
		if diff := cmp.Diff(want, done); diff != "" {
			t.Error(diff)
		}
		if plan, err := c.PlanTopics(t.Context(), []schemas.Topic{changed, pinned, compact, total}, wider); err != nil || len(plan) != 0 {
			t.Errorf("after applying there is still a plan: %v, %v", plan, err)
		}
	})
}

func TestTopicsRefused(t *testing.T) {
	c := fake(t).open(t)
	apply(t, c, small, all...)
	for name, tc := range map[string]struct {
		topic schemas.Topic
		l     Layout
		says  string
	}{
		"a stateful topic is not widened":        {pinned, Layout{Wide: 6, Narrow: 2, Replicas: 1, MinInSync: 1}, "set kafka.partitions back to 3"},
		"a stateful topic is not narrowed":       {pinned, Layout{Wide: 2, Narrow: 2, Replicas: 1, MinInSync: 1}, "set kafka.partitions back to 3"},
		"partitions cannot be taken from others": {loose, Layout{Wide: 1, Narrow: 2, Replicas: 1, MinInSync: 1}, "cannot take partitions away"},
	} {
		t.Run(name, func(t *testing.T) {
			plan, err := c.PlanTopics(t.Context(), []schemas.Topic{tc.topic}, tc.l)
			if err != nil {
				t.Fatal(err)
			}
			if len(plan) != 1 || plan[0].Action != "refuse" || !strings.Contains(plan[0].Detail, tc.says) {
				t.Errorf("plan %v, want one refusal that says %q", plan, tc.says)
			}
			if _, err = c.ApplyTopics(t.Context(), []schemas.Topic{tc.topic}, tc.l); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("applied: %v, want a refusal that says %q", err, tc.says)
			}
			if _, n, err := c.TopicID(t.Context(), tc.topic); err != nil || n != 3 {
				t.Errorf("%d partitions afterwards (%v), want 3", n, err)
			}
		})
	}
}

// scan collects what Scan brings, by partition.
func (p *place) scan(t *testing.T, from time.Time, topics ...schemas.Topic) map[int32][]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got := make(map[int32][]string)
	err := Scan(ctx, p.cfg, p.scope, slog.New(slog.DiscardHandler), topics, from, func(r *Scanned) error {
		got[r.Partition] = append(got[r.Partition], string(r.Key))
		return nil
	})
	if err != nil {
		t.Fatalf("scan: %v", err)
	}
	return got
}

func TestProduceKeysPartitionsAndEverywhere(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		c := p.open(t)
		apply(t, c, small, all...)
		records := []Record{
			{Topic: loose, Key: []byte("everywhere"), ByPartition: true, Partition: -1},
			{Topic: loose, Key: []byte("second"), ByPartition: true, Partition: 2},
			{Topic: loose, Key: []byte("k1"), Headers: []Header{{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte("2")}}, TimestampMs: 1234},
			{Topic: loose, Key: []byte("elsewhere"), PartitionKey: []byte("k1")},
		}
		if err := c.Produce(t.Context(), records); err != nil {
			t.Fatal(err)
		}
		want := map[int32][]string{0: {"everywhere"}, 1: {"everywhere"}, 2: {"everywhere", "second"}}
		k1 := Partition([]byte("k1"), 3)
		want[k1] = append(want[k1], "k1", "elsewhere")
		if diff := cmp.Diff(want, p.scan(t, time.Time{}, loose)); diff != "" {
			t.Error(diff)
		}
		err := Scan(t.Context(), p.cfg, p.scope, nil, []schemas.Topic{loose}, time.Time{}, func(r *Scanned) error {
			if string(r.Key) == "k1" && (string(r.Header("a")) != "2" || r.TimestampMs != 1234 || r.Header("b") != nil) {
				t.Errorf("record k1: header a = %q, time %d", r.Header("a"), r.TimestampMs)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if err := c.Produce(t.Context(), []Record{{Topic: loose, ByPartition: true, Partition: 3}}); err == nil {
			t.Error("a record for partition 3 of 3 was accepted")
		}
		missing := schemas.Topic{Name: "missing.v1"}
		if err := c.Produce(t.Context(), []Record{{Topic: missing, Key: []byte("k")}}); !errors.Is(err, ErrNoTopic) || !strings.Contains(err.Error(), "crossdock topics apply") {
			t.Errorf("producing to a topic that is not there: %v", err)
		}
	})
}

// TestProduceWaitsForAllReplicas: what the broker does not confirm is an error, and what it
// refuses for a while is repeated until it is there, once.
func TestProduceWaitsForAllReplicas(t *testing.T) {
	p := fake(t)
	c := p.open(t)
	apply(t, c, small, loose)
	acks := make(chan int16, 100)
	p.fake.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		acks <- r.(*kmsg.ProduceRequest).Acks
		return nil, nil, false
	})
	f := p.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: p.scope.Topic(loose), Err: kerr.NotEnoughReplicas, Count: 3})
	if err := c.Produce(t.Context(), []Record{{Topic: loose, Key: []byte("k")}}); err != nil {
		t.Fatal(err)
	}
	if got := <-acks; got != -1 {
		t.Errorf("acks = %d, want -1 (all)", got)
	}
	if f.Hits() != 3 {
		t.Errorf("%d refusals were met, want 3", f.Hits())
	}
	if got := p.scan(t, time.Time{}, loose)[Partition([]byte("k"), 3)]; len(got) != 1 {
		t.Errorf("the record is there %d times, want once", len(got))
	}
	p.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: p.scope.Topic(loose), Err: kerr.TopicAuthorizationFailed, Count: 1})
	if err := c.Produce(t.Context(), []Record{{Topic: loose, Key: []byte("k")}}); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("a refused record: %v, want the broker's refusal", err)
	}
}

// TestProduceTakesWhatTopicsTake: the producer does not refuse what max.message.bytes allows.
func TestProduceTakesWhatTopicsTake(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		c := p.open(t)
		apply(t, c, small, total)
		big := make([]byte, 7<<20)
		_, _ = rand.Read(big)
		if err := c.Produce(t.Context(), []Record{{Topic: total, Key: []byte("big"), Value: big}}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[int32][]string{0: {"big"}}, p.scan(t, time.Time{}, total)); diff != "" {
			t.Error(diff)
		}
	})
}

// TestScanEndsAtHoles: offsets for which no record will come do not keep Scan waiting. The
// holes are transaction markers, which a compacted end looks like.
func TestScanEndsAtHoles(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		c := p.open(t)
		apply(t, c, small, loose, total, compact)
		w := p.open(t, kgo.TransactionalID(p.scope.Topic(loose)+"-txn"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		transact := func(topic schemas.Topic, keys ...string) {
			t.Helper()
			if err := w.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			for _, k := range keys {
				if err := w.ProduceSync(t.Context(), &kgo.Record{Topic: p.scope.Topic(topic), Key: []byte(k)}).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
				t.Fatal(err)
			}
		}
		transact(loose, "a", "b")
		transact(loose, "c")
		transact(total, "d")
		want := map[int32][]string{0: {"a", "b", "c"}}
		if diff := cmp.Diff(want, p.scan(t, time.Time{}, loose)); diff != "" {
			t.Error(diff)
		}
		// From a time after all of it, and a topic without any record, end at once.
		if got := p.scan(t, time.Now().Add(time.Hour), loose); len(got) != 0 {
			t.Errorf("scan from the future brought %v", got)
		}
		if got := p.scan(t, time.Time{}, compact, schemas.Topic{Name: "missing.v1"}); len(got) != 0 {
			t.Errorf("scan of nothing brought %v", got)
		}
		// All records are gone, only the marker is left.
		adm := kadm.NewClient(c.Client)
		var gone kadm.Offsets
		gone.AddOffset(p.scope.Topic(total), 0, 1, -1)
		if _, err := adm.DeleteRecords(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		if got := p.scan(t, time.Time{}, total); len(got) != 0 {
			t.Errorf("scan of a marker brought %v", got)
		}
	})
}

// TestScanAfterCompaction: the last record of each key, and the scan ends.
func TestScanAfterCompaction(t *testing.T) {
	p := fake(t)
	c := p.open(t)
	apply(t, c, Layout{Narrow: 1, Replicas: 1}, compact)
	for i := range 50 {
		if err := c.Produce(t.Context(), []Record{{Topic: compact, Key: []byte("k" + strconv.Itoa(i%3))}}); err != nil {
			t.Fatal(err)
		}
	}
	p.fake.Compact()
	got := p.scan(t, time.Time{}, compact)[0]
	if len(got) > 4 || got[len(got)-1] != "k1" {
		t.Errorf("after compaction the scan brought %v", got)
	}
}

func TestScanStops(t *testing.T) {
	p := fake(t)
	c := p.open(t)
	apply(t, c, small, loose)
	if err := c.Produce(t.Context(), []Record{{Topic: loose, Key: []byte("k")}, {Topic: loose, Key: []byte("k")}}); err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	n := 0
	err := Scan(t.Context(), p.cfg, p.scope, nil, []schemas.Topic{loose}, time.Time{}, func(*Scanned) error { n++; return enough })
	if !errors.Is(err, enough) || n != 1 {
		t.Errorf("after %d records: %v, want the function's own error after 1", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Scan(ctx, p.cfg, p.scope, nil, []schemas.Topic{loose}, time.Time{}, func(*Scanned) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled scan: %v", err)
	}
}

func TestLag(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		c := p.open(t)
		apply(t, c, small, total, loose)
		for i := range 5 {
			if err := c.Produce(t.Context(), []Record{{Topic: total, Key: fmt.Append(nil, i)}}); err != nil {
				t.Fatal(err)
			}
		}
		full := p.scope.Topic(total)
		got, err := c.Lag(t.Context(), "room", []schemas.Topic{total})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]Progress{{full, 0, -1, 5}}, got); diff != "" {
			t.Error(diff)
		}
		if _, err = c.ResetGroup(t.Context(), "room", []schemas.Topic{total}, func(_, _, _ int64) int64 { return 3 }, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if got, err = c.Lag(t.Context(), "room", []schemas.Topic{total}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]Progress{{full, 0, 3, 5}}, got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestResetGroup: offsets stay within what the topic has; a time is the first record after it.
func TestResetGroup(t *testing.T) {
	p := fake(t)
	c := p.open(t)
	apply(t, c, small, total)
	for i := range 5 {
		if err := c.Produce(t.Context(), []Record{{Topic: total, Key: []byte("k"), TimestampMs: int64(1000 * (i + 1))}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name string
		to   func(start, end, atTime int64) int64
		at   time.Time
		want int64
	}{
		{"below the start", func(_, _, _ int64) int64 { return -7 }, time.Time{}, 0},
		{"beyond the end", func(_, _, _ int64) int64 { return 99 }, time.Time{}, 5},
		{"the end", func(_, end, _ int64) int64 { return end }, time.Time{}, 5},
		{"a time", func(_, _, at int64) int64 { return at }, time.UnixMilli(2500), 2},
		{"a time after all", func(_, _, at int64) int64 { return at }, time.UnixMilli(9000), 5},
	} {
		done, err := c.ResetGroup(t.Context(), "room", []schemas.Topic{total}, tc.to, tc.at)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		if diff := cmp.Diff([]Progress{{p.scope.Topic(total), 0, tc.want, 5}}, done); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
	}
}

// TestResetGroupRefusesLiveMembers, of both group protocols.
func TestResetGroupRefusesLiveMembers(t *testing.T) {
	for _, protocol := range []struct {
		name string
		opts []kgo.Opt
	}{{"classic", nil}, {"kip848", []kgo.Opt{kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer())}}} {
		t.Run(protocol.name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, p *place) {
				c := p.open(t)
				apply(t, c, small, total)
				if err := c.Produce(t.Context(), []Record{{Topic: total, Key: []byte("k")}}); err != nil {
					t.Fatal(err)
				}
				if err := c.Idle(t.Context(), "room"); err != nil {
					t.Fatalf("a group that never was: %v", err)
				}
				m := p.open(t, append([]kgo.Opt{kgo.ConsumerGroup(p.scope.Group("room")), kgo.ConsumeTopics(p.scope.Topic(total)),
					kgo.ConsumeStartOffset(kgo.NewOffset().AtStart())}, protocol.opts...)...)
				if m.PollFetches(t.Context()).NumRecords() == 0 {
					t.Fatal("the member got no record")
				}
				_, err := c.ResetGroup(t.Context(), "room", []schemas.Topic{total}, func(_, _, _ int64) int64 { return 0 }, time.Time{})
				if err == nil || !strings.Contains(err.Error(), "1 members: stop them first") {
					t.Errorf("with a live member: %v, want a refusal", err)
				}
				if err := c.ForgetGroup(t.Context(), "room"); err == nil {
					t.Error("a group with a live member was forgotten")
				}
				if err := m.LeaveGroupContext(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := c.Idle(t.Context(), "room"); err != nil {
					t.Errorf("after the member left: %v", err)
				}
				if err := c.ForgetGroup(t.Context(), "room"); err != nil {
					t.Errorf("forgetting: %v", err)
				}
			})
		})
	}
}
