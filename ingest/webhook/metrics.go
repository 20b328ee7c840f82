package webhook

import (
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	bytes    *prometheus.CounterVec
	records  *prometheus.CounterVec
	unknown  prometheus.Counter
}

// connectionMetrics are looked up once for each connection, not for each request.
type connectionMetrics struct {
	outcomes       [outcomes]prometheus.Counter
	duration       prometheus.Observer
	bytes, records prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	who := []string{"connector", "account"}
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "crossdock_webhook_requests_total",
			Help: "Webhook calls by what became of them; both names are empty for addresses that are no connection's.",
		}, append(who, "outcome")),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "crossdock_webhook_duration_seconds",
			Help:    "Time from the first byte of a webhook call to its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, who),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "crossdock_webhook_bytes_total",
			Help: "Bytes of the bodies received.",
		}, who),
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "crossdock_webhook_records_total",
			Help: "Raw records acknowledged by Kafka.",
		}, who),
	}
	m.unknown = m.requests.WithLabelValues("", "", unknownConnection.String())
	for _, c := range []prometheus.Collector{m.requests, m.duration, m.bytes, m.records} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) of(connector, account string) connectionMetrics {
	c := connectionMetrics{
		duration: m.duration.WithLabelValues(connector, account),
		bytes:    m.bytes.WithLabelValues(connector, account),
		records:  m.records.WithLabelValues(connector, account),
	}
	for o := range outcomes {
		c.outcomes[o] = m.requests.WithLabelValues(connector, account, o.String())
	}
	return c
}
