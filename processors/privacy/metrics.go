package privacy

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/helloword/crossdock/schemas/event"
)

type metrics struct {
	open, due         *prometheus.GaugeVec
	forgotten, failed prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	who := []string{"connector"}
	m := &metrics{
		open:      prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "crossdock_privacy_open", Help: "Requests about people's data that are not carried out, by platform."}, who),
		due:       prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "crossdock_privacy_due_timestamp_seconds", Help: "Nearest deadline of these; not there while there is none."}, who),
		forgotten: prometheus.NewCounter(prometheus.CounterOpts{Name: "crossdock_privacy_orders_forgotten_total", Help: "Orders whose buyer was to be forgotten, counted again at each look that found them."}),
		failed:    prometheus.NewCounter(prometheus.CounterOpts{Name: "crossdock_privacy_looks_failed_total", Help: "Looks at the requests and orders that failed."}),
	}
	for _, c := range []prometheus.Collector{m.open, m.due, m.forgotten, m.failed} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// show sets the gauges. states are sorted by deadline.
func (m *metrics) show(states []*event.PrivacyState) {
	m.due.Reset()
	open := make(map[string]int)
	for _, s := range states {
		if !Asked(s) {
			continue
		}
		if Done(s) {
			open[s.Connector] += 0
			continue
		}
		if open[s.Connector] == 0 {
			m.due.WithLabelValues(s.Connector).Set(float64(s.DueMs) / float64(time.Second.Milliseconds()))
		}
		open[s.Connector]++
	}
	for connector, n := range open {
		m.open.WithLabelValues(connector).Set(float64(n))
	}
}
