package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/helloword/crossdock/schemas"
)

// ErrNoTopic: the topic is not there.
var ErrNoTopic = errors.New("no such topic")

// list asks the brokers themselves: what the client remembers may be older than a topic that
// was made, widened or recreated a moment ago.
func (c *Client) list(ctx context.Context, full ...string) (kadm.TopicDetails, error) {
	return kadm.NewClient(c.Client).ListTopics(kadm.WithAuthorizedOps(ctx), full...)
}

func (c *Client) ask(ctx context.Context, full string) (int32, error) {
	details, err := c.list(ctx, full)
	if err != nil {
		return 0, fmt.Errorf("asking for topic %s: %w", full, err)
	}
	d := details[full]
	if errors.Is(d.Err, kerr.UnknownTopicOrPartition) || len(d.Partitions) == 0 {
		return 0, fmt.Errorf("topic %s: %w: run `crossdock topics apply`", full, ErrNoTopic)
	}
	if d.Err != nil {
		return 0, fmt.Errorf("topic %s: %w", full, d.Err)
	}
	return int32(len(d.Partitions)), nil
}

// TopicID is the cluster's own id of a topic and its partition count: a recreated topic has
// another one, and its offsets mean other records.
func (c *Client) TopicID(ctx context.Context, t schemas.Topic) (id string, partitions int32, err error) {
	full := c.scope.Topic(t)
	details, err := c.list(ctx, full)
	if err != nil {
		return "", 0, fmt.Errorf("asking for topic %s: %w", full, err)
	}
	d := details[full]
	if d.Err != nil || len(d.Partitions) == 0 {
		return "", 0, fmt.Errorf("topic %s: %w: run `crossdock topics apply`", full, ErrNoTopic)
	}
	return d.ID.String(), int32(len(d.Partitions)), nil
}

// Layout is how wide the topics of a cluster are to be, and how safe.
type Layout struct {
	// Wide and Narrow are partition counts of these classes.
	Wide, Narrow int32
	Replicas     int16
	MinInSync    int
}

// Count of a topic's partitions.
func (l Layout) Count(t schemas.Topic) int32 {
	switch t.Width {
	case schemas.Wide:
		return l.Wide
	case schemas.Narrow:
		return l.Narrow
	default:
		return 1
	}
}

// Change is one step from a cluster's topics to the declared ones.
type Change struct {
	Topic  string `json:"topic"`
	Action string `json:"action"` // create | set | widen | refuse
	Detail string `json:"detail"`
}

// PlanTopics compares a cluster with the declarations.
func (c *Client) PlanTopics(ctx context.Context, topics []schemas.Topic, l Layout) ([]Change, error) {
	plan, err := c.plan(ctx, topics, l)
	if err != nil {
		return nil, err
	}
	changes := make([]Change, len(plan))
	for i := range plan {
		changes[i] = plan[i].Change
	}
	return changes, nil
}

// ApplyTopics makes the cluster's topics as declared. It refuses to change the partition count
// of a stateful topic: its state is kept by partition.
func (c *Client) ApplyTopics(ctx context.Context, topics []schemas.Topic, l Layout) ([]Change, error) {
	plan, err := c.plan(ctx, topics, l)
	if err != nil {
		return nil, err
	}
	adm := kadm.NewClient(c.Client)
	done := make([]Change, 0, len(plan))
	for _, s := range plan {
		if s.Action == "refuse" {
			return done, fmt.Errorf("topic %s: %s", s.Topic, s.Detail)
		}
		if err := s.do(ctx, adm); err != nil {
			return done, fmt.Errorf("topic %s, %s: %w", s.Topic, s.Action, err)
		}
		done = append(done, s.Change)
	}
	if len(done) == 0 {
		return done, nil
	}
	return done, c.visible(ctx, topics, l)
}

// visible waits until the cluster shows the topics as declared: a broker's metadata follow the
// controller's, and who starts or looks right after must find what was applied.
func (c *Client) visible(ctx context.Context, topics []schemas.Topic, l Layout) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		plan, err := c.plan(ctx, topics, l)
		if err != nil {
			return err
		}
		if len(plan) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the cluster does not show topic %s as it was applied (%s: %s): %w", plan[0].Topic, plan[0].Action, plan[0].Detail, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

type step struct {
	Change
	do func(context.Context, *kadm.Client) error
}

func (c *Client) plan(ctx context.Context, topics []schemas.Topic, l Layout) ([]step, error) {
	adm := kadm.NewClient(c.Client)
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = c.scope.Topic(t)
	}
	details, err := c.list(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("listing topics: %w", err)
	}
	var present []string
	for _, d := range details {
		if d.Err == nil && len(d.Partitions) > 0 {
			present = append(present, d.Topic)
		}
	}
	found := make(map[string]map[string]string)
	if len(present) > 0 {
		configs, err := adm.DescribeTopicConfigs(ctx, present...)
		if err != nil {
			return nil, fmt.Errorf("describing topics: %w", err)
		}
		for _, rc := range configs {
			m := make(map[string]string)
			for _, kv := range rc.Configs {
				m[kv.Key] = kv.MaybeValue()
			}
			found[rc.Name] = m
		}
	}
	var plan []step
	for i, t := range topics {
		full, want, n := names[i], settings(t, l), l.Count(t)
		have, ok := found[full]
		if !ok {
			plan = append(plan, step{
				Change{full, "create", fmt.Sprintf("%d partitions, %d replicas, %s", n, l.Replicas, text(want))},
				func(ctx context.Context, adm *kadm.Client) error {
					configs := make(map[string]*string, len(want))
					for k, v := range want {
						configs[k] = kadm.StringPtr(v)
					}
					r, err := adm.CreateTopic(ctx, n, l.Replicas, configs, full)
					if errors.Is(err, kerr.TopicAlreadyExists) || errors.Is(r.Err, kerr.TopicAlreadyExists) {
						return nil
					}
					return err
				},
			})
			continue
		}
		if now := int32(len(details[full].Partitions)); now != n {
			plan = append(plan, width(full, t, now, n))
		}
		diff := make(map[string]string)
		for k, v := range want {
			// A setting that the broker does not report is one that it does not have.
			if now, reported := have[k]; reported && now != v {
				diff[k] = v
			}
		}
		if len(diff) > 0 {
			plan = append(plan, step{
				Change{full, "set", text(diff)},
				func(ctx context.Context, adm *kadm.Client) error {
					var alter []kadm.AlterConfig
					for k, v := range diff {
						alter = append(alter, kadm.AlterConfig{Op: kadm.SetConfig, Name: k, Value: kadm.StringPtr(v)})
					}
					rs, err := adm.AlterTopicConfigs(ctx, alter, full)
					if err != nil {
						return err
					}
					_, err = rs.On(full, func(r *kadm.AlterConfigsResponse) error { return r.Err })
					return err
				},
			})
		}
	}
	return plan, nil
}

func width(full string, t schemas.Topic, now, want int32) step {
	if t.Stateful {
		return step{Change: Change{full, "refuse", fmt.Sprintf(
			"it has %d partitions and the configuration says %d, but state is kept by partition: set kafka.partitions back to %d, or begin a new tenant with the new count and replay into it",
			now, want, now)}}
	}
	if now > want {
		return step{Change: Change{full, "refuse", fmt.Sprintf("it has %d partitions and the configuration says %d: Kafka cannot take partitions away; set kafka.partitions back", now, want)}}
	}
	return step{
		Change{full, "widen", fmt.Sprintf("%d to %d partitions", now, want)},
		func(ctx context.Context, adm *kadm.Client) error {
			rs, err := adm.UpdatePartitions(ctx, int(want), full)
			if err != nil {
				return err
			}
			_, err = rs.On(full, func(r *kadm.CreatePartitionsResponse) error { return r.Err })
			return err
		},
	}
}

// settings are the topic's configuration as Kafka writes it.
func settings(t schemas.Topic, l Layout) map[string]string {
	m := map[string]string{
		"cleanup.policy":    string(t.Cleanup),
		"max.message.bytes": strconv.Itoa(maxMessageBytes),
	}
	if l.MinInSync > 0 {
		m["min.insync.replicas"] = strconv.Itoa(l.MinInSync)
	}
	if t.Cleanup == schemas.Compact {
		m["min.compaction.lag.ms"] = strconv.FormatInt(t.MinCompactionLag.Milliseconds(), 10)
		if t.MaxCompactionLag > 0 {
			m["max.compaction.lag.ms"] = strconv.FormatInt(t.MaxCompactionLag.Milliseconds(), 10)
		}
	} else {
		m["retention.ms"] = strconv.FormatInt(t.Retention.Milliseconds(), 10)
	}
	return m
}

func text(m map[string]string) string {
	parts := make([]string, 0, len(m))
	for k, v := range m {
		parts = append(parts, k+"="+v)
	}
	sort.Strings(parts)
	return strings.Join(parts, " ")
}

// clientLog hands the client's log to ours: its warnings are ours, its chatter is debug.
type clientLog struct{ log *slog.Logger }

func (l clientLog) Level() kgo.LogLevel {
	if l.log == nil {
		return kgo.LogLevelNone
	}
	return kgo.LogLevelWarn
}

func (l clientLog) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	at := slog.LevelWarn
	if level == kgo.LogLevelError {
		at = slog.LevelError
	}
	l.log.Log(context.Background(), at, "kafka client: "+msg, keyvals...)
}

// Version guesses the cluster's version from what it can do; ok says that it is 4.0 or newer.
func (c *Client) Version(ctx context.Context) (text string, ok bool, err error) {
	vs, err := kadm.NewClient(c.Client).ApiVersions(ctx)
	if err != nil {
		return "", false, fmt.Errorf("asking for API versions: %w", err)
	}
	ok = len(vs) > 0
	for _, v := range vs {
		if v.Err != nil {
			return "", false, fmt.Errorf("asking broker %d for API versions: %w", v.NodeID, v.Err)
		}
		text = v.VersionGuess()
		// KIP-848 heartbeats (68), and KIP-896's baseline: 4.0 took away Fetch (1) below version 4.
		_, groups := v.KeyMaxVersion(68)
		fetch, _ := v.KeyMinVersion(1)
		if !groups || fetch < 4 {
			ok = false
		}
	}
	return text, ok, nil
}
