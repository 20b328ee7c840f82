package alert

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// otherKind stands for every kind that this version does not know: kinds of alerts.v1 are text
// of other processes, and a label must not grow with it.
const otherKind = "other"

// kinds are what people are told of by name.
var kinds = []string{"dead-letter", "oversold", "short", "stock-cleared", "needs-authorisation", "push-refused", "lag", otherKind}

type metrics struct {
	facts    map[string]prometheus.Counter
	messages *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	facts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "crossdock_alert_facts_total",
		Help: "Facts that people must know of, by kind (oversold, short, dead-letter, needs-authorisation, …; other: unknown to this version), whether or not somebody was told. What is read again after a restart counts again.",
	}, []string{"kind"})
	m := &metrics{
		facts: make(map[string]prometheus.Counter, len(kinds)),
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "crossdock_alert_messages_total",
			Help: "Messages to people by channel (webhook, mail) and outcome (sent, failed: tried again).",
		}, []string{"channel", "outcome"}),
	}
	for _, k := range kinds {
		m.facts[k] = facts.WithLabelValues(k)
	}
	return m, errors.Join(reg.Register(facts), reg.Register(m.messages))
}

func (m *metrics) fact(f fact) {
	c, ok := m.facts[f.kind]
	if !ok {
		c = m.facts[otherKind]
	}
	c.Inc()
}

func (m *metrics) sent(channel string, err error) {
	outcome := "sent"
	if err != nil {
		outcome = "failed"
	}
	m.messages.WithLabelValues(channel, outcome).Inc()
}
