package privacy

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

var key = []byte("a key of tests")

// fataler is what testing.T and rapid.T have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func newRoom(t fataler) (*Room, *stream.Memory) {
	t.Helper()
	r, err := New(Config{Key: key})
	if err != nil {
		t.Fatalf("new: %v", err)
	}
	sr, err := stream.NewRoom(r, "test")
	if err != nil {
		t.Fatalf("new room: %v", err)
	}
	return r, stream.NewMemory(sr, schemas.PrivacyIn)
}

func request(q *event.PrivacyRequest) *event.PrivacyInput {
	return &event.PrivacyInput{Input: &event.PrivacyInput_Request{Request: q}}
}

func swept(account, id string, n, atMs int64) *event.PrivacyInput {
	return &event.PrivacyInput{Input: &event.PrivacyInput_Sweep{Sweep: &event.PrivacySweep{Account: account, RequestId: id, Found: n, AtMs: atMs}}}
}

func handed(account, id, by, note string, atMs int64) *event.PrivacyInput {
	return &event.PrivacyInput{Input: &event.PrivacyInput_Handover{Handover: &event.PrivacyHandover{Account: account, RequestId: id, By: by, Note: note, AtMs: atMs}}}
}

func expired(account, id string) *event.PrivacyInput {
	return &event.PrivacyInput{Input: &event.PrivacyInput_Expiry{Expiry: &event.PrivacyExpiry{Account: account, RequestId: id}}}
}

func feed(m *stream.Memory, ins ...*event.PrivacyInput) {
	for _, in := range ins {
		m.AppendMessage("k", in, arrived)
	}
}

// arrived is the time of every record.
const arrived = 1_700_000_000_000

func state(r *Room, m *stream.Memory, id string) *event.PrivacyState {
	s, _ := m.Entry(stream.Key{Table: r.table, ID: id}).(*event.PrivacyState)
	return s
}

// world is the rooms and topics around a Sweeper: the privacy room, and an orders room that does
// what it is told.
type world struct {
	t      *testing.T
	room   *Room
	memory *stream.Memory
	now    time.Time
	log    map[string][]kafka.Scanned // by topic
	alerts []*event.Alert
	told   []string // orders that were to be forgotten
	broken bool     // Kafka takes nothing
	reg    *prometheus.Registry
	*Sweeper
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), log: make(map[string][]kafka.Scanned), reg: prometheus.NewRegistry()}
	w.room, w.memory = newRoom(t)
	var err error
	if w.Sweeper, err = NewSweeper(SweepConfig{Key: key, Interval: time.Hour}, SweepDeps{
		Scan: w.scan, Publish: w, Now: func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler), Metrics: w.reg,
	}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) scan(_ context.Context, topics []schemas.Topic, f func(*kafka.Scanned) error) error {
	for _, t := range topics {
		for i := range w.log[t.Name] {
			if err := f(&w.log[t.Name][i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Produce lets the rooms take what was written.
func (w *world) Produce(_ context.Context, records []kafka.Record) error {
	if w.broken {
		return fmt.Errorf("nothing is taken")
	}
	for _, r := range records {
		switch r.Topic.Name {
		case schemas.PrivacyIn.Name:
			in := new(event.PrivacyInput)
			if err := in.UnmarshalVT(r.Value); err != nil {
				return err
			}
			w.take(in)
		case schemas.OrdersIn.Name:
			in := new(event.OrderInput)
			if err := in.UnmarshalVT(r.Value); err != nil {
				return err
			}
			w.forget(in.GetForget())
		case schemas.Alerts.Name:
			a := new(event.Alert)
			if err := a.UnmarshalVT(r.Value); err != nil {
				return err
			}
			w.alerts = append(w.alerts, a)
		default:
			return fmt.Errorf("a record for %s", r.Topic.Name)
		}
	}
	return nil
}

// take is the privacy room's turn.
func (w *world) take(in *event.PrivacyInput) {
	w.t.Helper()
	feed(w.memory, in)
	out, err := w.memory.Drain(1)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, o := range out {
		switch o.Topic.Name {
		case schemas.PrivacyRequests.Name:
			value := o.Bytes
			if value == nil && o.Value != nil {
				if value, err = o.Value.MarshalVTStrict(); err != nil {
					w.t.Fatal(err)
				}
			}
			w.log[o.Topic.Name] = append(w.log[o.Topic.Name], kafka.Scanned{Topic: o.Topic, Key: o.Key, Value: value, Headers: o.Headers})
		case schemas.OrdersIn.Name:
			w.forget(o.Value.(*event.OrderInput).GetForget())
		default:
			w.t.Fatalf("a record for %s: %v", o.Topic.Name, o)
		}
	}
}

// order says that an order is as it is now.
func (w *world) order(o *event.Order) {
	w.t.Helper()
	b, err := o.MarshalVTStrict()
	if err != nil {
		w.t.Fatal(err)
	}
	w.log[schemas.Orders.Name] = append(w.log[schemas.Orders.Name], kafka.Scanned{Topic: schemas.Orders, Key: []byte(o.Account + "/" + o.Id), Value: b})
}

func (w *world) forget(f *event.Forget) {
	w.t.Helper()
	w.told = append(w.told, f.Account+"/"+f.OrderId)
	o := w.newest(f.Account, f.OrderId)
	if o == nil {
		o = &event.Order{Account: f.Account, Id: f.OrderId}
	}
	o.Personal, o.BuyerId, o.ForgottenMs = nil, "", f.AtMs
	w.order(o)
}

func (w *world) newest(account, id string) (o *event.Order) {
	for _, r := range w.log[schemas.Orders.Name] {
		if string(r.Key) == account+"/"+id {
			o = new(event.Order)
			if err := o.UnmarshalVT(r.Value); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	return o
}

func (w *world) look() {
	w.t.Helper()
	if err := w.Look(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// gauges are the metrics by name and connector.
func (w *world) gauges() map[string]float64 {
	w.t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetValue()
			}
			all[name] = m.GetGauge().GetValue()
		}
	}
	return all
}

// bought is an order of somebody.
func bought(connector, account, id, buyer string, created time.Time) *event.Order {
	return &event.Order{
		Connector: connector, Account: account, Id: id, BuyerId: buyer, CreatedMs: created.UnixMilli(),
		Personal: &event.PersonalData{Name: "Ann Example", Email: "ann@example.com"},
	}
}
