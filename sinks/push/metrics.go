package push

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/helloword/crossdock/schemas/event"
)

// metrics are labelled by account, of which there are as many as the configuration names.
type metrics struct {
	outcomes    *prometheus.CounterVec
	commands    *prometheus.CounterVec
	superseded  *prometheus.CounterVec
	stale       *prometheus.CounterVec
	readBacks   *prometheus.CounterVec
	races       *prometheus.CounterVec
	repairs     *prometheus.CounterVec
	carried     *prometheus.CounterVec
	off         *prometheus.CounterVec
	malformed   prometheus.Counter
	callSeconds *prometheus.HistogramVec
	delay       *prometheus.HistogramVec
	calls       *prometheus.CounterVec

	pending      *prometheus.GaugeVec
	parked       *prometheus.GaugeVec
	unauthorised *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "crossdock_push_" + name, Help: help}, append([]string{"account"}, labels...))
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "crossdock_push_" + name, Help: help}, append([]string{"account"}, labels...))
	}
	m := &metrics{
		outcomes:   counter("outcomes_total", "Stock writes by outcome; what is tried again counts once for each target.", "outcome"),
		commands:   counter("commands_total", "Commands by kind (price, shipment, cancellation, refund) and what became of them; what is tried again counts once, and what nobody knows after all patience as \"gave-up\".", "kind", "outcome"),
		superseded: counter("superseded_total", "Targets that gave way to newer ones before they were carried out."),
		stale:      counter("stale_total", "Writes that found another quantity shown than was believed."),
		readBacks:  counter("read_backs_total", "Listings whose shown quantity was read."),
		races:      counter("races_total", "Listings that another process wrote at the same time, and that were looked at again."),
		repairs:    counter("repairs_total", "Newest targets written to their topic again after a late writer's."),
		off:        counter("off_total", "Targets that were let pass because stock is not written to the account: its module inventory is off."),
		carried:    counter("carried_total", "Targets written to the end of their topic again because they wait long."),
		malformed:  prometheus.NewCounter(prometheus.CounterOpts{Name: "crossdock_push_malformed_total", Help: "Records that are no targets, sent to the dead letters."}),
		callSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "crossdock_push_call_seconds", Help: "Duration of stock writes at the platform, waiting for quota included.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 14),
		}, []string{"account"}),
		calls: counter("calls_total", `Calls of a platform by operation (write and read of stock; price, shipment, cancellation, refund) and the class of what went wrong: "ok", a class of error, or the outcome ("not-sent", "unknown") of a write that was answered without one.`, "operation", "class"),
		delay: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "crossdock_push_delay_seconds", Help: "From the record that decided a target to the platform's acceptance.",
			Buckets: prometheus.ExponentialBuckets(0.01, 2, 18),
		}, []string{"account"}),
		pending:      gauge("pending", "Listings that have something to do; in lane commands, orders and prices.", "lane"),
		parked:       gauge("parked_seconds", "How long the account still waits after failures."),
		unauthorised: gauge("needs_authorisation", "1 while the account needs its owner."),
	}
	for _, c := range []prometheus.Collector{
		m.outcomes, m.commands, m.superseded, m.stale, m.readBacks, m.races, m.repairs, m.carried, m.off, m.malformed,
		m.callSeconds, m.calls, m.delay, m.pending, m.parked, m.unauthorised,
	} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("push: registering metrics: %w", err)
		}
	}
	return m, nil
}

type laneGauges struct{ urgent, calm, parked prometheus.Gauge }

func (m *metrics) lane(account string) laneGauges {
	return laneGauges{
		urgent: m.pending.WithLabelValues(account, "urgent"), calm: m.pending.WithLabelValues(account, "calm"),
		parked: m.parked.WithLabelValues(account),
	}
}

// set shows the lane's state. Sink.mu is held.
func (g laneGauges) set(l *lane, now time.Time) {
	g.urgent.Set(float64(len(l.urgent)))
	g.calm.Set(float64(len(l.calm)))
	g.parked.Set(max(0, l.parked.Sub(now).Seconds()))
}

func label(o event.Outcome) string {
	switch o {
	case event.Outcome_OUTCOME_ACCEPTED:
		return "accepted"
	case event.Outcome_OUTCOME_REFUSED:
		return "refused"
	case event.Outcome_OUTCOME_NOT_SENT:
		return "not-sent"
	case event.Outcome_OUTCOME_GIVEN_BACK:
		return "given-back"
	default:
		return "unknown"
	}
}
