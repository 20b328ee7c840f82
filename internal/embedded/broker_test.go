package embedded

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func kafkaClient(t testing.TB, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(addr)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseAllowingRebalance)
	return c
}

func startBroker(t testing.TB, cfg BrokerConfig) *Broker {
	t.Helper()
	b, err := NewBroker(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func makeTopic(t testing.TB, c *kgo.Client, topic string, partitions int32, configs map[string]*string) {
	t.Helper()
	if _, err := kadm.NewClient(c).CreateTopic(t.Context(), partitions, 1, configs, topic); err != nil {
		t.Fatalf("creating %s: %v", topic, err)
	}
}

func produce(t testing.TB, c *kgo.Client, topic string, from, to int) {
	t.Helper()
	var rs []*kgo.Record
	for i := from; i < to; i++ {
		rs = append(rs, &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "k%d", i), Value: fmt.Appendf(nil, "v%d", i)})
	}
	if err := c.ProduceSync(t.Context(), rs...).FirstErr(); err != nil {
		t.Fatalf("producing: %v", err)
	}
}

// consume reads n records through the group and commits them.
func consume(t testing.TB, c *kgo.Client, n int) map[string]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	got := map[string]int{}
	for sum := 0; sum < n; {
		fs := c.PollRecords(ctx, n)
		if err := fs.Err(); err != nil {
			t.Fatalf("after %d of %d records: %v", sum, n, err)
		}
		fs.EachRecord(func(r *kgo.Record) { got[string(r.Value)]++; sum++ })
	}
	if err := c.CommitUncommittedOffsets(ctx); err != nil {
		t.Fatalf("committing: %v", err)
	}
	return got
}

func TestBrokerGroups(t *testing.T) {
	b := startBroker(t, BrokerConfig{Log: testLog(t)})
	admin := kafkaClient(t, b.Addr())
	for name, opt := range map[string]kgo.Opt{
		"cooperative": kgo.Balancers(kgo.CooperativeStickyBalancer()),
		"KIP-848":     kgo.ServerSideBalancer(),
	} {
		t.Run(name, func(t *testing.T) {
			topic := "in-" + strings.ToLower(name)
			makeTopic(t, admin, topic, 4, nil)
			produce(t, admin, topic, 0, 1000)
			group := func() *kgo.Client {
				return kafkaClient(t, b.Addr(), kgo.ConsumerGroup(name), kgo.ConsumeTopics(topic), opt,
					kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
			}
			first := group()
			got := consume(t, first, 1000)
			if len(got) != 1000 {
				t.Errorf("%d different records, want 1000", len(got))
			}
			first.CloseAllowingRebalance()
			produce(t, admin, topic, 1000, 1100)
			if got := consume(t, group(), 100); len(got) != 100 || got["v1000"] != 1 {
				t.Errorf("the second member did not go on at the commit: %d records", len(got))
			}
		})
	}
}

func TestBrokerCreatesNoTopicByItself(t *testing.T) {
	b := startBroker(t, BrokerConfig{})
	c := kafkaClient(t, b.Addr(), kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(1))
	err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "typo", Value: []byte("x")}).FirstErr()
	if !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("producing to a topic that nobody created: %v", err)
	}
}

func TestBrokerSurvives(t *testing.T) {
	for _, end := range []string{"stop", "kill -9"} {
		t.Run(end, func(t *testing.T) {
			dir := t.TempDir()
			p := spawn(t, "broker", dir, "127.0.0.1:0")
			c := kafkaClient(t, p.addr)
			makeTopic(t, c, "orders", 2, map[string]*string{"min.compaction.lag.ms": kadm.StringPtr("1000")})
			produce(t, c, "orders", 0, 500)
			g := kafkaClient(t, p.addr, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("orders"),
				kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
			first := consume(t, g, 500)
			g.CloseAllowingRebalance()
			produce(t, c, "orders", 500, 700)
			if end == "stop" {
				p.stop()
			} else {
				p.kill()
			}

			q := spawn(t, "broker", dir, p.addr)
			if q.addr != p.addr {
				t.Errorf("restarted on %s, not on %s", q.addr, p.addr)
			}
			g = kafkaClient(t, q.addr, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("orders"), kgo.DisableAutoCommit())
			second := consume(t, g, 200)
			for v, n := range second {
				first[v] += n
			}
			want := map[string]int{}
			for i := range 700 {
				want[fmt.Sprintf("v%d", i)] = 1
			}
			if diff := cmp.Diff(want, first); diff != "" {
				t.Errorf("records over the restart (-want +got):\n%s", diff)
			}
			q.stop()
		})
	}
}

func TestBrokerCompactsAndForgets(t *testing.T) {
	dir := t.TempDir()
	cfg := BrokerConfig{Dir: dir, CleanEvery: 10 * time.Millisecond, RetentionBytes: 20_000}
	b := startBroker(t, cfg)
	c := kafkaClient(t, b.Addr())
	makeTopic(t, c, "levels", 1, map[string]*string{"cleanup.policy": kadm.StringPtr("compact")})
	makeTopic(t, c, "moves", 1, nil)
	if err := b.Close(); err != nil { // the ticker must work after a restart too
		t.Fatal(err)
	}
	c.Close()
	b = startBroker(t, cfg)
	c = kafkaClient(t, b.Addr(), kgo.ProducerBatchCompression(kgo.NoCompression()))
	admin := kadm.NewClient(c)
	old := time.Now().Add(-30 * 24 * time.Hour)
	pad := strings.Repeat("x", 400)
	put := func(topic, key string, at time.Time) {
		r := &kgo.Record{Topic: topic, Key: []byte(key), Value: []byte(pad), Timestamp: at}
		if err := c.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		put("moves", "k", time.Now())
		put("levels", fmt.Sprintf("k%d", i), old) // a hundred keys, older than any retention
	}
	for range 100 {
		put("levels", "k99", old)
	}
	start := func(topic string) int64 {
		o, err := admin.ListStartOffsets(t.Context(), topic)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := o.Lookup(topic, 0)
		return got.Offset
	}
	eventually(t, "retention by size", func() bool { return start("moves") > 30 })

	read := func() (keys map[string]bool, records int) {
		reader := kafkaClient(t, b.Addr(), kgo.ConsumeTopics("levels"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		defer reader.Close()
		keys = map[string]bool{}
		for last := int64(-1); last < 199; {
			fs := reader.PollFetches(t.Context())
			if err := fs.Err(); err != nil {
				t.Fatal(err)
			}
			fs.EachRecord(func(r *kgo.Record) { keys[string(r.Key)] = true; records++; last = r.Offset })
		}
		return keys, records
	}
	eventually(t, "superseded records are compacted away", func() bool { _, n := read(); return n < 200 })
	if keys, n := read(); len(keys) != 100 {
		t.Errorf("a compacted topic forgot keys: %d of 100 left in %d records", len(keys), n)
	}
}

func TestBrokerKeepsAlteredCompactedTopics(t *testing.T) {
	b := startBroker(t, BrokerConfig{})
	c := kafkaClient(t, b.Addr())
	makeTopic(t, c, "t", 1, nil)
	admin := kadm.NewClient(c)
	if _, err := admin.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "cleanup.policy", Value: kadm.StringPtr("compact")}}, "t"); err != nil {
		t.Fatal(err)
	}
	rc, err := admin.DescribeTopicConfigs(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, cf := range rc[0].Configs {
		if cf.Value != nil && (cf.Key == "cleanup.policy" || strings.HasPrefix(cf.Key, "retention.")) {
			got[cf.Key] = *cf.Value
		}
	}
	want := map[string]string{"cleanup.policy": "compact", "retention.ms": "-1", "retention.bytes": "-1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
