package poll

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	polls                        *prometheus.CounterVec
	objects, bytes               *prometheus.CounterVec
	duration                     *prometheus.HistogramVec
	success, watermark, needAuth *prometheus.GaugeVec
	lost                         prometheus.Counter
}

// subjectMetrics are those of one subject of one account.
type subjectMetrics struct {
	outcome                      func(class string)
	objects, bytes               prometheus.Counter
	duration                     prometheus.Observer
	success, watermark, needAuth prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	who := []string{"connector", "account", "subject"}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append(who[:3:3], labels...))
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, who)
	}
	m := &metrics{
		polls:     counter("crossdock_polls_total", `Calls of a poller by the class of their error, "ok" without, "engine" when Redis could not be asked.`, "outcome"),
		objects:   counter("crossdock_poll_objects_total", "Objects that polls emitted and Kafka acknowledged."),
		bytes:     counter("crossdock_poll_bytes_total", "Bytes of these objects."),
		success:   gauge("crossdock_poll_last_success_timestamp_seconds", "When a poll last ended well, by Redis' clock."),
		watermark: gauge("crossdock_poll_watermark_timestamp_seconds", "Everything that changed up to here was emitted, by the platform's clock."),
		needAuth:  gauge("crossdock_poll_needs_authorisation", "1 while the connection needs its owner to authorise it again."),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "crossdock_poll_duration_seconds", Help: "Time of one call of a poller with everything produced.",
			Buckets: prometheus.ExponentialBuckets(.05, 3, 9),
		}, who),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "crossdock_poll_leases_lost_total", Help: "Polls that were broken off because their lease was lost.",
		}),
	}
	for _, c := range []prometheus.Collector{m.polls, m.objects, m.bytes, m.success, m.watermark, m.needAuth, m.duration, m.lost} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) of(connector, account, subject string) subjectMetrics {
	return subjectMetrics{
		outcome: func(class string) { m.polls.WithLabelValues(connector, account, subject, class).Inc() },
		objects: m.objects.WithLabelValues(connector, account, subject), bytes: m.bytes.WithLabelValues(connector, account, subject),
		duration: m.duration.WithLabelValues(connector, account, subject),
		success:  m.success.WithLabelValues(connector, account, subject), watermark: m.watermark.WithLabelValues(connector, account, subject),
		needAuth: m.needAuth.WithLabelValues(connector, account, subject),
	}
}

// show sets the gauges to what an entry says.
func (m *subjectMetrics) show(e *entry) {
	m.success.Set(unix(e.Success))
	m.watermark.Set(unix(e.Watermark))
	m.needAuth.Set(0)
	if e.Class == needsOwner {
		m.needAuth.Set(1)
	}
}

func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
