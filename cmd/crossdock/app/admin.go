package app

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/sinks/alert"
	"github.com/helloword/crossdock/sinks/clickhouse"
)

// noListings answers nothing: a room that is only described needs no view.
type noListings struct{}

func (noListings) Lookup(string, string) *event.Resolution { return nil }

// Folds are the rooms that keep state, in the order of an order's way.
func (a *App) Folds() ([]stream.Fold, error) {
	var folds []stream.Fold
	for _, open := range []func() (stream.Fold, error){
		func() (stream.Fold, error) { return a.translateRoom(noListings{}) },
		a.catalogRoom, a.ordersRoom, describedPrivacyRoom, a.stockRoom, a.commandsRoom, a.fxRoom,
	} {
		f, err := open()
		if err != nil {
			return nil, err
		}
		folds = append(folds, f)
	}
	return folds, nil
}

// Rebuild makes the state of rooms (none named: all) in Redis anew from Kafka.
func (a *App) Rebuild(ctx context.Context, rooms []string, fromInput bool, progress func(room string, records int)) ([]stream.Rebuilt, error) {
	folds, err := a.Folds()
	if err != nil {
		return nil, err
	}
	wanted := make(map[string]bool)
	for _, r := range rooms {
		wanted[r] = true
	}
	var done []stream.Rebuilt
	for _, f := range folds {
		if len(rooms) > 0 && !wanted[f.Name()] {
			continue
		}
		delete(wanted, f.Name())
		r, err := stream.Rebuild(ctx, f, a.deps(), fromInput, func(n int) {
			if progress != nil {
				progress(f.Name(), n)
			}
		})
		if err != nil {
			return done, fmt.Errorf("room %s: %w", f.Name(), err)
		}
		done = append(done, r)
	}
	for r := range wanted {
		return done, fmt.Errorf("room %q is not known", r)
	}
	return done, nil
}

// Reader is something that reads topics in a group of its own.
type Reader struct {
	Group  string
	Topics []schemas.Topic
}

// Readers of this version.
func (a *App) Readers() ([]Reader, error) {
	folds, err := a.Folds()
	if err != nil {
		return nil, err
	}
	var rs []Reader
	for _, f := range folds {
		rs = append(rs, Reader{f.Name(), f.Inputs()})
	}
	rs = append(rs,
		Reader{"push", []schemas.Topic{schemas.PushTargets, schemas.PushCommands}},
		Reader{"clickhouse", clickhouse.Topics()},
		Reader{"alert", alert.Topics()},
	)
	return rs, nil
}

// Lag of one group over all its partitions.
type Lag struct {
	Group   string `json:"group"`
	Records int64  `json:"records"`
	End     int64  `json:"end"`
	Handled int64  `json:"handled"`
}

// Lags of all readers.
func (a *App) Lags(ctx context.Context) ([]Lag, error) {
	readers, err := a.Readers()
	if err != nil {
		return nil, err
	}
	var lags []Lag
	for _, r := range readers {
		parts, err := a.Producer.Lag(ctx, r.Group, r.Topics)
		if err != nil {
			return nil, err
		}
		l := Lag{Group: r.Group}
		for _, p := range parts {
			l.End += p.End
			l.Handled += max(p.Committed, 0)
			l.Records += p.End - max(p.Committed, 0)
		}
		lags = append(lags, l)
	}
	return lags, nil
}

// Replay puts a group to an earlier place, so that what it did is done again: rooms repeat
// their outputs from state, sinks write again. to is a time (RFC 3339) or an offset.
func (a *App) Replay(ctx context.Context, group, to string) ([]kafka.Progress, error) {
	readers, err := a.Readers()
	if err != nil {
		return nil, err
	}
	var known []string
	for _, r := range readers {
		known = append(known, r.Group)
		if r.Group != group {
			continue
		}
		if offset, err := strconv.ParseInt(to, 10, 64); err == nil {
			return a.Producer.ResetGroup(ctx, group, r.Topics, func(_, _, _ int64) int64 { return offset }, time.Time{})
		}
		at, err := time.Parse(time.RFC3339, to)
		if err != nil {
			return nil, fmt.Errorf("--from %q: write an offset, or a time as 2026-11-23T08:00:00Z", to)
		}
		return a.Producer.ResetGroup(ctx, group, r.Topics, func(_, _, t int64) int64 { return t }, at)
	}
	return nil, fmt.Errorf("group %q is not known: use %s", group, strings.Join(known, ", "))
}

// DeadLetter is one record of a dead-letter topic.
type DeadLetter struct {
	ID     string            `json:"id"` // topic/partition/offset in the dead letters
	Letter *event.DeadLetter `json:"letter"`
	Key    []byte            `json:"-"`
	Value  []byte            `json:"-"`

	headers []kafka.Header
}

// DeadLetters calls f for each dead letter of the stages (none named: all) since a time.
func (a *App) DeadLetters(ctx context.Context, stages []string, since time.Time, f func(*DeadLetter) error) error {
	if len(stages) == 0 {
		stages = schemas.Stages
	}
	var topics []schemas.Topic
	for _, s := range stages {
		topics = append(topics, schemas.DeadLetters(s))
	}
	return kafka.Scan(ctx, a.Config.KafkaConfig(), a.Scope, a.Log, topics, since, func(r *kafka.Scanned) error {
		d := &DeadLetter{
			ID:     fmt.Sprintf("%s/%d/%d", r.Topic.Name, r.Partition, r.Offset),
			Letter: new(event.DeadLetter), Key: r.Key, Value: r.Value, headers: r.Headers,
		}
		if h := r.Header(schemas.HeaderDeadLetter); h != nil {
			if err := d.Letter.UnmarshalVT(h); err != nil {
				return fmt.Errorf("dead letter %s: its header cannot be decoded: %w", d.ID, err)
			}
		}
		return f(d)
	})
}

// Redrive sends a dead letter back to where it came from. It stands for the record that it
// was: dedup treats it as that one, so a corrected or repaired one is no duplicate.
func (a *App) Redrive(ctx context.Context, d *DeadLetter) error {
	var topic *schemas.Topic
	for _, t := range schemas.Topics() {
		if t.Name == d.Letter.GetTopic() {
			topic = &t
		}
	}
	if topic == nil {
		return fmt.Errorf("dead letter %s: it came from topic %q, which this version does not have", d.ID, d.Letter.GetTopic())
	}
	r := kafka.Record{Topic: *topic, Key: d.Key, Value: d.Value, Partition: d.Letter.Partition, ByPartition: true, TimestampMs: d.Letter.TimestampMs}
	origin := stream.Origin(d.Letter.Topic, d.Letter.Partition, d.Letter.Offset)
	for _, h := range d.headers {
		switch h.Key {
		case schemas.HeaderDeadLetter, schemas.HeaderAttempt:
		case schemas.HeaderOrigin:
			origin = string(h.Value)
		default:
			r.Headers = append(r.Headers, h)
		}
	}
	r.Headers = append(r.Headers,
		kafka.Header{Key: schemas.HeaderOrigin, Value: []byte(origin)},
		kafka.Header{Key: schemas.HeaderAttempt, Value: strconv.AppendInt(nil, d.Letter.Attempt, 10)})
	if err := a.Producer.Produce(ctx, []kafka.Record{r}); err != nil {
		return fmt.Errorf("redriving %s: %w", d.ID, err)
	}
	return nil
}

// Check asks every engine and connection what it is and what it may do.
func (a *App) Check(ctx context.Context) []connectors.CheckResult {
	var all []connectors.CheckResult
	add := func(group string, rs ...connectors.CheckResult) {
		for _, r := range rs {
			r.Subject = group + ": " + r.Subject
			all = append(all, r)
		}
	}
	add("kafka", a.checkKafka(ctx)...)
	add("redis", a.checkRedis(ctx)...)
	add("clickhouse", a.checkClickHouse(ctx)...)
	for _, c := range a.connections {
		if c.Check == nil {
			continue
		}
		rs, err := c.Check.Check(ctx)
		if err != nil {
			rs = append(rs, connectors.CheckResult{Subject: "connection", Detail: err.Error(), Advice: advice(err)})
		}
		add("connection "+c.name, rs...)
	}
	return all
}

func advice(err error) string {
	switch {
	case errors.Is(err, connectors.ErrNeedsAuthorisation):
		return "let its owner authorise it again"
	case errors.Is(err, connectors.ErrPermanent):
		return "correct the connection's settings"
	default:
		return "see that the address can be reached from here, then check again"
	}
}
