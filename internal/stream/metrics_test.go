package stream

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// figure is a metric's value now.
func figure(m prometheus.Metric) float64 {
	var d dto.Metric
	if err := m.Write(&d); err != nil {
		panic(err)
	}
	switch {
	case d.Counter != nil:
		return d.Counter.GetValue()
	default:
		return d.Gauge.GetValue()
	}
}

// series counts the label values that a metric has.
func series(c prometheus.Collector) int {
	ch := make(chan prometheus.Metric, 1000)
	c.Collect(ch)
	return len(ch)
}

// TestMetricsHaveBoundedLabels: rooms, topics and partitions, never keys.
func TestMetricsHaveBoundedLabels(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg)
	m.Records.WithLabelValues("orders").Inc()
	m.LagSeconds.WithLabelValues("orders", "orders.in.v1", "0").Set(1)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, metric := range f.Metric {
			for _, l := range metric.Label {
				switch l.GetName() {
				case "room", "topic", "partition":
				default:
					t.Errorf("%s has a label %s", f.GetName(), l.GetName())
				}
			}
		}
	}
}
